$ -- Variant index: each row goes through the keys that its list names, gathered block by block.
$ local layout = hooks(plan.places .. ".c")
$ local engine = hooks("engine/" .. isa.engine .. ".c")
$ local KR, VR = layout.rows(plan.type.k.c), layout.rows(plan.type.v.c)
$ if a.section == "code" then
/* --- index: the keys that a row's list names --- */

/* What of a list is left: numbers `at` .. count - 1 of it. */
typedef struct list_rest {
    const int32_t *number;
    int32_t at, count;
} list_rest;

static list_rest list_of(const item *x, int32_t g, int32_t i) {
    const attn_args *args = x->args;
    return (list_rest){attn_index_of(args, x->b, key_head(g * GROUP), i), 0,
                       *attn_index_count(args, x->b, i)};
}

/* The next numbers that name a key which exists, stands at a position of lo..hi and no padding
 * hides, a block of them at most. Returns how many. */
static int32_t next_numbers(const item *x, scratch *w, list_rest *list, int32_t lo, int32_t hi) {
    const uint8_t *padding = item_padding(x);
    w->count = 0;
    for (; list->at < list->count && w->count < BK; list->at++) {
        const int32_t key = list->number[list->at];
        if (key < 0 || key >= x->kv_len || (padding && padding[key])) continue;
        const int32_t position = attn_key_position(x, key);
        if (position < lo || position > hi) continue;
        w->number[w->count++] = key;
    }
    return w->count;
}

/* All rows of a tile see all positions. */
static void tile_open(tile *t, int32_t first, int32_t last) {
    t->first = t->all_first = first;
    t->last = t->all_last = last;
    for (int g = 0; g < PV_GROUPS; g++) t->group_first[g] = 0, t->group_last[g] = INT32_MAX;
$ if plan.edge_keys > 0 then
    for (int j = 0; j < ${plan.tile_vectors}; j++) t->vector_first[j] = 0, t->vector_last[j] = INT32_MAX;
$ end
}

/* The keys of the block go through a tile. */
static void tile_block(const item *x, tile *t, scratch *w) {
    const attn_args *args = x->args;
    const int32_t first = w->base, last = w->base + w->count - 1, b = x->b, h = t->head[0];
    ${KR}k = ${layout.k_rows("args->k.", "b", "key_head(h)", "args")};
    ${VR}v = ${layout.v_rows("args->v.", "b", "value_head(h)", "args")};
    values rows = {w->v, 1, DVP, DVP, first};
$ if plan.latent then
    /* Keys and values are the same rows: once widened they serve as both. */
    if (${layout.one("v", "k")} && ${layout.v_step("args->v.")} == ${layout.k_step("args->k.")})
        rows = (values){w->k, 1, D, D, first};
$ end
    widen_begin(w, first);
    tile_open(t, first, last);
    tile_run(x, t, w, first, last, k, v, &rows, true);
}

/* Rows from .. on of the group's at query row i, a tile at most. */
static void index_rows(const item *x, scratch *w, int32_t g, int32_t i, int32_t from) {
    tile *t = &w->t[0];
    int32_t lo, hi;
    see_positions(x, i, &lo, &hi);
    t->rows = min32(ROWS, GROUP - from);
    for (int32_t r = 0; r < t->rows; r++) t->head[r] = g * GROUP + from + r, t->row[r] = i;
    tile_begin(x, t);
    tile_pack(x, t);
    list_rest list = {NULL, 0, 0};
    if (lo <= hi) list = list_of(x, g, i);
    w->base = 0;
    while (next_numbers(x, w, &list, lo, hi) > 0) {
        tile_block(x, t, w);
        w->base += w->count;
    }
    const float *o = tile_sum(t);
    for (int32_t r = 0; r < t->rows; r++) {
        if (w->base > 0) {
            finish_row(x, t->head[r], i, t->m[r], (double)t->l[r] + t->l_lost[r], o + r * DVP);
            continue;
        }
        finish_scale(x, t->head[r], i, NO_MAX, 0); /* no key */
        memset(output_row(x, t->head[r], i), 0, sizeof(${plan.type.o.c}) * DV);
    }
}

/* Rows of all items, and those of the items before one. */
static inline int64_t rows_before(const attn_args *args, int32_t b) {
    return args->q_begin ? args->q_begin[b] - (int64_t)args->q_begin[0] : b * (int64_t)args->q_len;
}

/* The item of one of them. */
static int32_t item_of_row(const attn_args *args, int64_t row) {
    int32_t b = 0, end = args->batch; /* the item is b..end - 1 */
    while (end - b > 1) {
        const int32_t middle = b + (end - b) / 2;
        if (rows_before(args, middle) <= row)
            b = middle;
        else
            end = middle;
    }
    return b;
}

/* One query row of one group of heads. */
static void index_task(void *ctx, int64_t task, int worker) {
    const call *c = ctx;
    const int64_t row = task / GROUPS;
    const int32_t b = item_of_row(c->args, row), g = (int32_t)(task % GROUPS);
    const int32_t i = (int32_t)(row - rows_before(c->args, b));
    const item x = item_of(c, b);
    if (i >= x.rows) return;
    ${engine.begin()}
    for (int32_t from = 0; from < GROUP; from += ROWS) index_rows(&x, &c->work[worker], g, i, from);
    ${engine.finish()}
}
$ elseif a.section == "tasks" then
(void)items;
return attn_times(GROUPS, rows);
$ elseif a.section == "run" then
attn_parallel(team, GROUPS * rows_before(args, args->batch), index_task, &c);
$ end
