$ -- Variant prefill: query blocks over key blocks.
$ local layout = hooks(plan.places .. ".c")
$ local engine = hooks("engine/" .. isa.engine .. ".c")
$ local VT = plan.type.v.c
$ local KR, VR = layout.rows(plan.type.k.c), layout.rows(plan.type.v.c)
$ local v_step = layout.v_step("args->v.")
$ local first, last = plan.scattered and "0" or "first", plan.scattered and "-1" or "last" -- rows see all between
$ if a.section == "members" then
bool whole;           /* V is packed before anything else, not key chunk by key chunk */
float *packed;        /* V: of each item [value head][key block][column panel][key][column], */
                      /* or [worker] a chunk_space */
uint64_t room;        /* bytes there */
$   if plan.scattered or plan.has_mask then
uint8_t *seen;        /* [batch][value head][key block] some row may see a key of it */
$   end
int32_t blocks;       /* packed key blocks of an item at most */
int32_t longest;      /* query rows of the longest of the others, */
int64_t tiles;        /* and tiles of a head of all of them */
int32_t chunk;        /* tiles of a query block */
int32_t together;     /* key chunks: query blocks of a task */
$ elseif a.section == "code" then
/* --- prefill: query blocks of tiles over key blocks of packed V ---
 *
 * All of V is packed first, where there is room for it. Else a task has several query blocks that
 * share a value head, and takes them through one key chunk after the other, whose values it packs:
 * its tiles keep their state from chunk to chunk. A tile goes through the same key blocks in the
 * same order in both ways, so that its bits are the same. */

/* Query blocks of a head of so many rows. */
static inline int32_t query_blocks(const call *c, int32_t rows) {
    return (tiles_of(rows) + c->chunk - 1) / c->chunk;
}

/* The block-th of the key blocks that an item has packed. */
static float *packed_block(const call *c, int32_t b, int32_t hv, int32_t block) {
    const share *s = &c->share[b];
    return c->packed + (s->before + (int64_t)hv * s->blocks + block) * BK * DVP;
}

/* Packs the values of the keys first..n - 1 of the key block at k0 into column panels; columns past
 * DV are zero. */
static void pack_values(const call *c, int32_t b, int32_t hv, int32_t k0, int32_t first, int32_t n,
                        float *to) {
    const attn_view *v = &c->args->v;
$ local rows = layout.v_rows("v->", "b", "hv", "c->args")
$ if layout.page then
    ${VR}rows = ${rows};
    const int32_t last = k0 + n - 1;
$   rows = "rows"
$ end
    const ${VT} *row =
        ${layout.v_at(rows, "(int64_t)(k0 + first)", layout.v_step("v->"))};
$ if plan.scaled then
    const attn_scales *scales = &c->args->v_scale;
    ${layout.scales}scale =
        ${layout.scale_at("scales->", "b", "hv", "(k0 + first)", "c->args")};
$ end
    for (int32_t key = first; key < n; key++, ${layout.v_next("row", "k0 + key", layout.v_step("v->"), "rows", "last")}) {
$ if plan.scaled then
        const vf factor = vf_set1(${layout.scale("scale", "(key - first)", layout.scale_step("scales->"))});
$ end
        ${engine.pack_v("row", "to", "key", "key > first")}
    }
}

$ if plan.scattered or plan.has_mask then
/* May some row see a key of a block of an item? */
static bool block_seen(const call *c, const item *x, const share *s, int32_t hv, int32_t block) {
$   if plan.has_mask then
    const int32_t k0 = block * BK;
    const int32_t first = max32(s->first, k0), last = min32(s->last, k0 + BK - 1);
$   end
$   if plan.scattered then
    if (!*seen_at(c, x->b, hv, block - s->first / BK)) return false;
$   else
    (void)c, (void)hv;
$   end
$   if plan.has_mask then
    return item_class(x, first, last) != ATTN_TILE_NONE;
$   else
    return true;
$   end
}

$ end
/* Packs what some row sees of a key block of one value head. */
static void pack_v_task(void *ctx, int64_t task, int worker) {
    (void)worker;
    const call *c = ctx;
    const int32_t b = item_of_task(c, &task);
    const share *s = &c->share[b];
    const int32_t hv = (int32_t)(task / s->blocks), at = (int32_t)(task % s->blocks);
    const int32_t block = s->first / BK + at, k0 = block * BK;
$ if plan.scattered or plan.has_mask then
    const item x = item_of(c, b);
    const bool seen = block_seen(c, &x, s, hv, block);
    *seen_at(c, b, hv, at) = seen;
    if (!seen) return;
$ end
    pack_values(c, b, hv, k0, max32(s->first - k0, 0), min32(BK, s->last - k0 + 1),
                packed_block(c, b, hv, at));
}

/* The first key block from `block` on of which some row of the tiles sees a key; past the last one
 * if there is none. */
static int32_t next_block(const item *x, const tile *t, int32_t count, int32_t block,
                          int32_t last) {
    int32_t next = INT32_MAX;
    for (int32_t i = 0; i < count; i++)
        for (int32_t r = 0; r < t[i].rows; r++)
            next = min32(next, next_seen(x, &t[i], r, block * BK));
    return next > last ? last / BK + 1 : next / BK;
}

/* Asks for the lines of a row of O. */
static inline void ask_output(const ${plan.type.o.c} *o) {
    for (int32_t d = 0; d < DV; d += ${plan.type.o.line}) ATTN_PREFETCH_L2(ATTN_AHEAD(o, d));
}

/* A query block of one head: its tiles, and the keys first..last that some row of it sees. */
typedef struct query_block {
    tile *t;
    int32_t head, count, first, last;
$ if plan.holes then
    bool holes; /* see share */
$ end
} query_block;

/* Packed key blocks, from number `base` on. */
typedef struct packed_blocks {
    const float *values; /* null: nothing is packed */
    int32_t base;
$ if plan.scattered or plan.has_mask then
    const uint8_t *seen; /* whether some row may see a key of each */
$ end
} packed_blocks;

/* The chunk-th query block of a head, in tiles from t on. No tiles: there is no such block. */
static query_block block_begin(const call *c, const item *x, int32_t h, int32_t chunk, tile *t) {
    query_block q = {t, h, min32(c->chunk, tiles_of(x->rows) - chunk * c->chunk), INT32_MAX, -1${plan.holes and ",\n                     c->share[x->b].holes" or ""}};
    for (int32_t i = 0; i < q.count; i++, t++) {
        const int32_t row = (chunk * c->chunk + i) * ROWS;
        t->rows = min32(ROWS, x->rows - row);
        for (int32_t r = 0; r < t->rows; r++) t->head[r] = h, t->row[r] = row + r;
        tile_begin(x, t);
$ if plan.has_mask then
        const share *s = &c->share[x->b];
        tile_clip(t, s->first, s->last); /* what is packed */
$ end
        tile_pack(x, t);
        if (t->first > t->last) continue;
        q.first = min32(q.first, t->first);
        q.last = max32(q.last, t->last);
    }
    return q;
}

/* The tiles of a query block over the keys first..last. */
static void block_run(const item *x, const query_block *q, scratch *w, int32_t first, int32_t last,
                      const packed_blocks *packed) {
    const attn_args *args = x->args;
    const int32_t b = x->b, h = q->head;
    const bool lanes = args->q_position != NULL; /* rows are any */
$ if plan.holes then
    w->held = q->holes;
$ end
    ${KR}k = ${layout.k_rows("args->k.", "b", "key_head(h)", "args", first, last)};
    ${VR}v = ${layout.v_rows("args->v.", "b", "value_head(h)", "args")};
    for (int32_t block = first / BK; first <= last && block <= last / BK; block++) {
        if (leaves_gaps(x)) block = next_block(x, q->t, q->count, block, last);
        if (block > last / BK) break;
        const int32_t k0 = block * BK, k1 = k0 + min32(BK - 1, last - k0);
$ if plan.holes then
        const tile *end = q->t + (q->count - 1);
        if (q->holes) hold_pages(x, w, q->t->row[0], end->row[0] + end->rows, k0, k1);
$ end
$ if plan.widen then
        values from = {w->v, 1, DVP, DVP, k0};
        widen_begin(w, k0);
$ else
        values from = {${layout.first("v")}, 1, ${v_step}, ${v_step}, 0};
$ end
        if (packed->values) {
            const int32_t at = block - packed->base;
$ if plan.scattered or plan.has_mask then
            if (!packed->seen[at]) continue;
$ end
            const float *panels = packed->values + (int64_t)at * BK * DVP;
            from = ${engine.packed("panels", "k0")};
        }
        for (int32_t i = 0; i < q->count; i++)
            tile_run(x, &q->t[i], w, k0, k1, ${layout.held("k", "w")}, ${plan.widen and layout.held("v", "w") .. ", " or ""}&from, lanes);
    }
}

static void block_finish(const item *x, const query_block *q) {
    for (int32_t i = 0; i < q->count; i++) {
        tile *t = &q->t[i];
        if (t->fresh && !t->has_kept) memset(t->o, 0, sizeof t->o); /* no row saw a key */
        const float *o = tile_sum(t);
        for (int32_t r = 0; r < t->rows; r++) {
            /* The next tile's row is asked for: its stores would wait for it. */
            if (i + 1 < q->count && r < t[1].rows)
                ask_output(output_row(x, q->head, t[1].row[r]));
            finish_row(x, q->head, t->row[r], t->m[r], (double)t->l[r] + t->l_lost[r], o + r * DVP);
        }
    }
}

/* One query block of one head, where all of V is packed. */
static void prefill_task(void *ctx, int64_t task, int worker) {
    const call *c = ctx;
    scratch *w = &c->work[worker];
    const int32_t b = item_of_task(c, &task), h = (int32_t)(task % HEADS);
    const item x = item_of(c, b);
    const share *s = &c->share[b];
    /* The last query blocks have the most keys: they go first, so that threads end together. */
    const int32_t chunk = s->sets - 1 - (int32_t)(task / HEADS);

    ${engine.begin()}
    const query_block q = block_begin(c, &x, h, chunk, w->t);
    packed_blocks packed = {.base = s->first / BK};
    if (s->blocks > 0) packed.values = packed_block(c, b, value_head(h), 0);
$ if plan.scattered or plan.has_mask then
    if (s->blocks > 0) packed.seen = seen_at(c, b, value_head(h), 0);
$ end
    block_run(&x, &q, w, q.first, q.last, &packed);
    block_finish(&x, &q);
    ${engine.finish()}
}

/* Packs the values of the keys first..last, of one key chunk, that some row of the item sees. */
static void pack_chunk(const call *c, const item *x, int32_t hv, int32_t first, int32_t last,
                       ${(plan.scattered or plan.has_mask) and "uint8_t *seen, " or ""}float *to) {
    const int32_t base = first / CHUNK * (CHUNK / BK);
    for (int32_t block = first / BK; block <= last / BK; block++) {
        const int32_t k0 = block * BK, at = block - base;
$ if plan.scattered or plan.has_mask then
        seen[at] = block_seen(c, x, &c->share[x->b], hv, block);
        if (!seen[at]) continue;
$ end
        pack_values(c, x->b, hv, k0, max32(first - k0, 0), min32(BK, last - k0 + 1),
                    to + (int64_t)at * BK * DVP);
    }
}

/* What a thread has for a task of key chunks. */
typedef struct chunk_space {
    tile t[HELD];
    _Alignas(64) float values[CHUNK * DVP]; /* of a chunk: [key block][column panel][key][column] */
} chunk_space;
_Static_assert(sizeof(chunk_space) == ${plan.chunk_bytes}, "the plan's workspace");

/* Query blocks that share a value head, through key chunks. */
static void chunks_task(void *ctx, int64_t task, int worker) {
    enum { SHARING = HEADS / VALUE_HEADS }; /* heads of a value head */
    const call *c = ctx;
    scratch *w = &c->work[worker];
    const int32_t b = item_of_task(c, &task), hv = (int32_t)(task % VALUE_HEADS);
    const item x = item_of(c, b);
    const share *s = &c->share[b];
    const int32_t chunks = query_blocks(c, x.rows);

    ${engine.begin()}
    query_block q[HELD];
    int32_t count = 0, first = INT32_MAX, last = -1;
    chunk_space *own = (chunk_space *)(void *)c->packed + worker;
    tile *t = own->t;
    for (int32_t i = 0; i < c->together; i++) {
        const int64_t at = task / VALUE_HEADS * c->together + i; /* the last rows first, as above */
        const int64_t chunk = chunks - 1 - at / SHARING;
        const int32_t h = hv * SHARING + (int32_t)(at % SHARING);
        if (chunk < 0) continue;
        q[count] = block_begin(c, &x, h, (int32_t)chunk, t);
        first = min32(first, q[count].first);
        last = max32(last, q[count].last);
        t += q[count++].count;
    }
$ if plan.scattered or plan.has_mask then
    uint8_t seen[CHUNK / BK];
$ end
    for (int64_t at = first / CHUNK * (int64_t)CHUNK; at <= last; at += CHUNK) {
        const int32_t from = max32(first, (int32_t)at);
        const int32_t to = (int32_t)min64(last, at + CHUNK - 1);
        packed_blocks packed = {.base = (int32_t)(at / BK)};
$ if plan.scattered or plan.has_mask then
        packed.seen = seen;
        if (s->blocks > 0) pack_chunk(c, &x, hv, from, to, seen, own->values);
$ else
        if (s->blocks > 0) pack_chunk(c, &x, hv, from, to, own->values);
$ end
        if (s->blocks > 0) packed.values = own->values;
        for (int32_t i = 0; i < count; i++)
            block_run(&x, &q[i], w, max32(q[i].first, from), min32(q[i].last, to), &packed);
    }
    for (int32_t i = 0; i < count; i++) block_finish(&x, &q[i]);
    ${engine.finish()}
}
$ elseif a.section == "tasks" then
/* Few rows may run as tiles too. A last tile of an item may be narrow. */
const uint64_t longest = attn_times(items, (uint64_t)tiles_of(e->q_len));
const uint64_t tiles = longest < rows / ROWS + items ? longest : rows / ROWS + items;
const uint64_t prefill = attn_times(HEADS, tiles);
return decode > prefill ? decode : prefill;
$ elseif a.section == "places" then
c->blocks = attn_runs(most_keys(e->q_len, e->kv_len_max), e->kv_len_max, BK);
$   if plan.scattered or plan.has_mask then
const uint64_t blocks = attn_times(items * VALUE_HEADS, (uint64_t)c->blocks);
c->seen = attn_carve(base, &bytes, e->q_len > DECODE_Q ? blocks : 0);
$   end
const uint64_t keys = (uint64_t)c->blocks * BK; /* whole blocks */
const uint64_t most = all / (DECODE_Q + 1), packing = most < items ? most : items; /* items */
const uint64_t heads = packing * VALUE_HEADS;
const uint64_t panels = attn_times(heads, attn_times(keys, DVP * sizeof(float)));
/* All is packed where that takes no more room than key chunks do, or than PACK_MOST. */
const uint64_t chunks = attn_times(threads < tasks ? threads : tasks, sizeof(chunk_space));
const uint64_t room = chunks > PACK_MOST ? chunks : PACK_MOST;
c->room = panels < room ? panels : room;
const uint64_t values = c->room;
const uint64_t larger = e->q_len > DECODE_Q && values > partials ? values : partials;
c->packed = c->partial = attn_carve(base, &bytes, larger);
$ elseif a.section == "runner" then
/* Whether the values of all items have room at once; then each one's lie after the others'. */
static bool place_packed(call *c) {
    int64_t blocks = 0;
    for (int32_t b = 0; b < c->args->batch; b++) {
        c->share[b].before = blocks;
        blocks += c->share[b].blocks * (int64_t)VALUE_HEADS;
    }
    return (uint64_t)blocks * BK * DVP * sizeof(float) <= c->room;
}

/* The tasks of each item: `together` query blocks of a head or, `sharing` of them, of all that
 * share a value head. */
static int64_t number_sets(const call *c, int32_t sharing, int32_t together, int32_t a_set) {
    for (int32_t b = 0; b < c->args->batch; b++) {
        share *s = &c->share[b];
        const int64_t all = s->decode ? 0 : sharing * (int64_t)query_blocks(c, item_of(c, b).rows);
        s->sets = (int32_t)((all + together - 1) / together);
    }
    return number_tasks(c, (weights){.set = a_set});
}

/* The others: V packed, then query blocks. */
static void run_prefill(call *c) {
    c->whole = place_packed(c);
    const int threads = max32(1, c->args->threads);
    /* Whole query blocks share keys in cache; smaller ones keep many threads busy. */
    const int64_t fair = HEADS * c->tiles / ((c->whole ? 4 : 2) * (int64_t)threads);
    c->chunk = threads == 1 || fair >= TILES ? TILES : max32(1, (int32_t)fair);
    c->chunk = min32(c->chunk, tiles_of(c->longest));
    if (c->whole) {
        attn_parallel(c->team, number_tasks(c, (weights){.block = VALUE_HEADS}), pack_v_task, c);
        attn_parallel(c->team, number_sets(c, 1, 1, HEADS), prefill_task, c);
        return;
    }
    const int64_t most = threads == 1 ? HELD : min64(HELD, fair), blocks = most / c->chunk;
    const int64_t all = (int64_t)(HEADS / VALUE_HEADS) * query_blocks(c, c->longest);
    c->together = (int32_t)min64(max32(1, (int32_t)blocks), all);
    attn_parallel(c->team, number_sets(c, HEADS / VALUE_HEADS, c->together, VALUE_HEADS),
                  chunks_task, c);
}
$ elseif a.section == "run" then
if (c.longest > 0) run_prefill(&c);
$ end
