$ -- Rows on lists as tiles: keys are widened block by block.
$ local layout = hooks(plan.places .. ".c")
$ local KR, VR = layout.rows(plan.type.k.c), layout.rows(plan.type.v.c)
enum { INDEX_ROWS = ROWS }; /* of a group at a time */

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
