$ -- Rows on lists as tiles: keys are widened block by block, once for all tiles of the group.
$ local layout = hooks(plan.places .. ".c")
$ local KR, VR = layout.rows(plan.type.k.c), layout.rows(plan.type.v.c)
$ local group = plan.group
$ local tiles = math.min(plan.tiles, (group + plan.rows - 1) // plan.rows)
$ local each = ((group + tiles - 1) // tiles + plan.width - 1) // plan.width * plan.width
$ each = math.min(each, plan.rows)
enum { EACH = ${each}, INDEX_ROWS = ${tiles * each} }; /* rows of a group a tile, and at a time */

/* All rows of a tile see all positions. */
static void tile_open(tile *t, int32_t first, int32_t last) {
    t->first = t->all_first = first;
    t->last = t->all_last = last;
    for (int g = 0; g < PV_GROUPS; g++) t->group_first[g] = 0, t->group_last[g] = INT32_MAX;
$ if plan.edge_keys > 0 then
    for (int j = 0; j < ${plan.tile_vectors}; j++) t->vector_first[j] = 0, t->vector_last[j] = INT32_MAX;
$ end
}

/* The keys of the block go through the tiles, the first of which widens them. */
static void tiles_block(const item *x, scratch *w, int32_t tiles) {
    const attn_args *args = x->args;
    const int32_t first = w->base, last = w->base + w->count - 1, b = x->b, h = w->t[0].head[0];
    ${KR}k = ${layout.k_rows("args->k.", "b", "key_head(h)", "args")};
    ${VR}v = ${layout.v_rows("args->v.", "b", "value_head(h)", "args")};
    values rows = {w->v, 1, DVP, DVP, first};
$ if plan.latent then
    /* Keys and values are the same rows: once widened they serve as both. */
    if (${layout.one("v", "k")} && ${layout.v_step("args->v.")} == ${layout.k_step("args->k.")})
        rows = (values){w->k, 1, D, D, first};
$ end
    widen_begin(w, first);
    for (int32_t n = 0; n < tiles; n++) {
        tile_open(&w->t[n], first, last);
        tile_run(x, &w->t[n], w, first, last, k, v, &rows, true);
    }
}

static void index_begin(const item *x, tile *t, int32_t g, int32_t i, int32_t from) {
    t->rows = min32(EACH, GROUP - from);
    for (int32_t r = 0; r < t->rows; r++) t->head[r] = g * GROUP + from + r, t->row[r] = i;
    tile_begin(x, t);
    tile_pack(x, t);
}

/* The rows of a tile have seen all keys. */
static void index_finish(const item *x, tile *t, int32_t i, bool some) {
    const float *o = tile_sum(t);
    for (int32_t r = 0; r < t->rows; r++) {
        if (some) {
            finish_row(x, t->head[r], i, t->m[r], (double)t->l[r] + t->l_lost[r], o + r * DVP);
            continue;
        }
        finish_scale(x, t->head[r], i, NO_MAX, 0); /* no key */
        memset(output_row(x, t->head[r], i), 0, sizeof(${plan.type.o.c}) * DV);
    }
}

/* Rows from .. on of the group's at query row i, INDEX_ROWS at most. */
static void index_rows(const item *x, scratch *w, int32_t g, int32_t i, int32_t from) {
    const int32_t tiles = (min32(INDEX_ROWS, GROUP - from) + EACH - 1) / EACH;
    int32_t lo, hi;
    see_positions(x, i, &lo, &hi);
    for (int32_t n = 0; n < tiles; n++) index_begin(x, &w->t[n], g, i, from + n * EACH);
    list_rest list = {NULL, 0, 0};
    if (lo <= hi) list = list_of(x, g, i);
    w->base = 0;
    while (next_numbers(x, w, &list, lo, hi) > 0) {
        tiles_block(x, w, tiles);
        w->base += w->count;
    }
    for (int32_t n = 0; n < tiles; n++) index_finish(x, &w->t[n], i, w->base > 0);
}
