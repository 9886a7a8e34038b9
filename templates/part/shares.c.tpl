/* --- shares: what the rows of an item see --- */

$ if plan.reach >= 0 then
/* n rows see keys within n + REACH of each other; only where positions wrap may it be more. */
static inline int64_t reach_of(int32_t n) {
    return (int64_t)n + REACH;
}

$ end
/* Positions past the int32 range wrap, and bound nothing. */
static inline bool positions_wrap(const item *x) {
    return !x->args->q_position && (int64_t)x->q_start + x->rows - 1 > INT32_MAX;
}

$ if plan.scattered then
/* The first key from `at` on that some row sees. Rows are few, or ask once: each is looked at. */
static int64_t next_key(const item *x, int64_t at) {
    int64_t next = INT64_MAX;
    for (int32_t i = 0; i < x->rows; i++) {
        int32_t lo, hi;
        row_range(x, i, &lo, &hi);
        if (lo > hi || hi < at) continue;
        if (lo <= at) return at;
        if (lo < next) next = lo;
    }
    return next;
}

/* The keys first..last that some row sees. Returns how many they see one by one. */
static int64_t rows_range(const item *x, int32_t *first, int32_t *last) {
    int64_t keys = 0;
    *first = INT32_MAX, *last = -1;
    for (int32_t i = 0; i < x->rows; i++) {
        int32_t lo, hi;
        row_range(x, i, &lo, &hi);
        if (lo > hi) continue;
        keys += (int64_t)hi - lo + 1;
        *first = min32(*first, lo);
        *last = max32(*last, hi);
    }
    return keys;
}

$ else
/* The keys first..last that some row sees: where positions ascend one by one, from those of the
 * first row to those of the last. */
static void rows_range(const item *x, int32_t *first, int32_t *last) {
    int32_t unused;
    if (x->args->q_position || x->tail > 0) {
        *first = INT32_MAX, *last = -1;
        for (int32_t i = 0; i < x->rows; i++) {
            int32_t lo, hi;
            row_range(x, i, &lo, &hi);
            if (lo > hi) continue;
            *first = min32(*first, lo);
            *last = max32(*last, hi);
        }
        return;
    }
    row_range(x, 0, first, &unused);
    row_range(x, x->rows - 1, &unused, last);
}

$ end
$ if plan.has_mask then
/* All heads and rows of an item; not where positions wrap. */
static attn_tile_box item_box(const item *x, int32_t first, int32_t last) {
    int32_t low = x->q_start, high = x->q_start + (x->rows - 1);
    for (int32_t i = 0; x->args->q_position && i < x->rows; i++) {
        const int32_t p = (int32_t)attn_row_position(x, i);
        low = i == 0 ? p : min32(low, p);
        high = i == 0 ? p : max32(high, p);
    }
    return (attn_tile_box){0, HEADS - 1, low, high, first, last};
}

/* What the mask shows of some keys to any of them. */
static attn_tile_class item_class(const item *x, int32_t first, int32_t last) {
    const attn_tile_box box = item_box(x, first, last);
    return positions_wrap(x) ? ATTN_TILE_SOME : mask_classify(x, &box);
}

$ end
static share share_of(const item *x) {
    share s = {.first = 0, .last = -1, .decode = x->rows > 0 && x->rows <= DECODE_Q};
    if (x->rows == 0) return s;
$ if plan.scattered then
    const int64_t seen = rows_range(x, &s.first, &s.last);
$ else
    rows_range(x, &s.first, &s.last);
$ end
$ if plan.has_mask then
    if (s.first <= s.last && !positions_wrap(x)) {
        const attn_tile_box box = item_box(x, s.first, s.last);
        mask_range(x, &box, &s.first, &s.last);
    }
$ end
    if (s.first > s.last) return s;
$ local bounded = plan.scattered or plan.reach >= 0
$ if bounded then
    const int64_t keys = (int64_t)s.last - s.first + 1;
$ end
$ if plan.scattered then
    /* Where rows are so far apart that there are more keys than that, values are read as they lie:
     * packing them would take longer than what they are for. */
    const bool near = keys <= seen;
$ elseif bounded then
    const bool near = keys <= reach_of(x->rows); /* else there is no room */
    s.decode = s.decode && near;
$ end
$ if plan.holes then
    s.holes = leaves_holes(x); /* then values are read as they lie, too */
$ end
    if (!s.decode${bounded and " && near" or ""}${plan.holes and " && !s.holes" or ""}) s.blocks = s.last / BK - s.first / BK + 1;
$ if not plan.scattered then
    if (s.decode) s.parts = s.last / PART - s.first / PART + 1;
$ end
    return s;
}

$ if plan.scattered then
/* The parts of an item of decode that some row sees. */
static void list_parts(const call *c, const item *x, share *s) {
    int32_t *part = c->part + (int64_t)x->b * c->parts;
    int64_t at = next_key(x, s->first);
    while (at <= s->last) {
        part[s->parts] = (int32_t)(at / PART);
        at = next_key(x, (at / PART + 1) * PART);
        s->parts++;
    }
}

$ end
$ if plan.scattered or plan.has_mask then
/* Whether some row may see the keys of a packed block. */
static inline uint8_t *seen_at(const call *c, int32_t b, int32_t hv, int32_t block) {
    return c->seen + ((int64_t)b * VALUE_HEADS + hv) * c->blocks + block;
}

$ end
$ if plan.scattered then
/* The key blocks of an item that some row sees. */
static void mark_blocks(const call *c, const item *x, const share *s) {
    uint8_t *seen = seen_at(c, x->b, 0, 0);
    memset(seen, 0, (size_t)s->blocks);
    for (int32_t i = 0; i < x->rows; i++) {
        int32_t lo, hi;
        row_range(x, i, &lo, &hi);
        lo = max32(lo, s->first), hi = min32(hi, s->last);
        if (lo > hi) continue;
        const int32_t block = lo / BK - s->first / BK;
        memset(seen + block, 1, (size_t)(hi / BK - lo / BK + 1));
    }
    for (int32_t hv = 1; hv < VALUE_HEADS; hv++)
        memcpy(seen_at(c, x->b, hv, 0), seen, (size_t)s->blocks);
}

$ end
static inline int32_t part_at(const call *c, int32_t b, int32_t slot) {
$ if plan.scattered then
    return c->part[(int64_t)b * c->parts + slot];
$ else
    return c->share[b].first / PART + slot;
$ end
}

static inline int32_t tiles_of(int32_t rows) {
    return rows / ROWS + (rows % ROWS > 0);
}

static void find_shares(call *c) {
    for (int32_t b = 0; b < c->args->batch; b++) {
        share *s = &c->share[b];
        const int32_t tail = s->tail = attn_tail_of(c->args, b);
        const item x = item_of(c, b);
        *s = share_of(&x);
        s->tail = tail;
        if (s->decode) {
$ if plan.scattered then
            list_parts(c, &x, s);
$ end
            c->few++;
            continue;
        }
$ if plan.scattered then
        if (s->blocks > 0) mark_blocks(c, &x, s);
$ end
        c->longest = max32(c->longest, x.rows);
        c->tiles += tiles_of(x.rows);
    }
}

/* How many tasks each thing that an item has is worth. */
typedef struct weights {
    int64_t few;   /* an item that runs as decode, */
    int64_t part;  /* and each of its parts */
    int64_t block; /* each packed block, */
    int64_t set;   /* and each set of its query blocks */
} weights;

/* Numbers the tasks of all items; returns how many there are. */
static int64_t number_tasks(const call *c, weights each) {
    int64_t tasks = 0;
    for (int32_t b = 0; b < c->args->batch; b++) {
        share *s = &c->share[b];
        s->task = tasks;
        tasks += s->decode * each.few + s->parts * each.part + s->blocks * each.block +
                 s->sets * each.set;
    }
    return tasks;
}

/* The item of a task; leaves in *task its number among the item's. */
static int32_t item_of_task(const call *c, int64_t *task) {
    int32_t b = 0, end = c->args->batch; /* the item is b..end - 1 */
    while (end - b > 1) {
        const int32_t middle = b + (end - b) / 2;
        if (c->share[middle].task <= *task)
            b = middle;
        else
            end = middle;
    }
    *task -= c->share[b].task;
    return b;
}
