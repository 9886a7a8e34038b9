$ -- Rows on lists as dot products over rows that are gathered as they are stored.
$ local base = hooks("layout/" .. plan.layout .. ".c") -- whose keys go by their numbers
$ local KR, VR = base.rows(plan.type.k.c), base.rows(plan.type.v.c)
$ local dot = plan.dots[1]
$ local R, P = dot.rows, dot.lanes
${part("part/dot_rows.c")}

enum { INDEX_ROWS = TILES * ${R} }; /* of a group at a time */

/* Asks for the rows of a key. */
static inline void ask_key(const ${plan.type.k.c} *k, const ${plan.type.v.c} *v) {
    for (int d = 0; d < D; d += ${plan.type.k.line}) ATTN_PREFETCH_L1(ATTN_AHEAD(k, d));
    for (int d = 0; d < DV; d += ${plan.type.v.line}) ATTN_PREFETCH_L1(ATTN_AHEAD(v, d));
}

/* The keys of the block, for the heads that share those of h. */
static void gather_block(const item *x, scratch *w, int32_t h) {
    enum { SOON = ${plan.gather_ahead} };
    const attn_args *args = x->args;
    const ptrdiff_t ldk = ${base.k_step("args->k.")}, ldv = ${base.v_step("args->v.")};
    const int32_t b = x->b;
    ${KR}k = ${base.k_rows("args->k.", "b", "key_head(h)", "args")};
    ${VR}v = ${base.v_rows("args->v.", "b", "value_head(h)", "args")};
$ if plan.scaled then
    ${base.scales}ks = k_scales(x, h, 0), ${base.scales_too}vs = v_scales(x, h, 0);
    const ptrdiff_t ks_step = ${base.scale_step("args->k_scale.")}, vs_step = ${base.scale_step("args->v_scale.")};
$ end
    for (int32_t i = 0; i < w->count; i++) {
        const int64_t key = w->number[i], soon = w->number[min32(i + SOON, w->count - 1)];
        ask_key(${base.k_at("k", "soon", "ldk")}, ${base.v_at("v", "soon", "ldv")});
        memcpy(w->k + i * D, ${base.k_at("k", "key", "ldk")}, sizeof *w->k * D);
        memcpy(w->v + i * DV, ${base.v_at("v", "key", "ldv")}, sizeof *w->v * DV);
$ if plan.scaled then
        w->k_scale[i] = ${base.scale("ks", "key", "ks_step")};
        w->v_scale[i] = ${base.scale("vs", "key", "vs_step")};
$ end
    }
}

/* A tile over the keys of the block. */
static void dot_block(const item *x, tile *t, scratch *w) {
    enum { KEYS = ${dot.keys} };
    const lines none = {(uintptr_t)t->q, (uintptr_t)t->q, 0, 0}; /* all is there */
    for (int32_t at = 0; at < w->count; at += KEYS) {
        const int32_t n = min32(KEYS, w->count - at), block = w->base + at;
        const ${plan.type.k.c} *k = w->k + at * D;
        const ${plan.type.v.c} *v = w->v + at * DV;
        dot_span(t, block / ${dot.span});
        bool masked = n < KEYS${expr and expr.mask and " || true" or ""};
$ if plan.bias then
        masked |= x->args->mask.type != ATTN_MASK_NONE;
$ end
        if (masked)
            dot_keys_${R}(x, t, w, block, n, k, v, none${dot.again and ", none" or ""}, true);
        else
            dot_keys_${R}(x, t, w, block, KEYS, k, v, none${dot.again and ", none" or ""}, false);
    }
}

/* The rows of a tile have seen all keys. */
static void dot_finish(const item *x, tile *t, bool some) {
    _Alignas(64) float l[ROWS];
    tile_sum(t);
    float *sum = t->has_kept ? t->kept : t->o;
    memcpy(l, t->l, sizeof l);
    vf_store(l, vf_stride_add(vf_add(vf_load(t->l), vf_load(t->l_lost)), ${P}));
    for (int32_t r = 0; r < t->rows; r++) {
        float *o = sum + r * DVP;
        if (!some) { /* no key */
            finish_scale(x, t->head[r], t->row[r], NO_MAX, 0);
            memset(output_row(x, t->head[r], t->row[r]), 0, sizeof(${plan.type.o.c}) * DV);
            continue;
        }
$ if plan.codes and plan.codes.v_whole > 0 then
        order_columns(o);
$ end
$ if plan.pair_dv > 0 then
        for (int32_t d = 0; d < ${plan.pair_dv}; d += 2 * W) vf_join(o + d);
$ end
        finish_row(x, t->head[r], t->row[r], t->m[r], (double)l[r], o);
    }
}

/* Rows from .. on of the group's at query row i, INDEX_ROWS at most. */
static void index_rows(const item *x, scratch *w, int32_t g, int32_t i, int32_t from) {
    const int32_t tiles = min32(TILES, (GROUP - from + ${R - 1}) / ${R});
    int32_t lo, hi;
    see_positions(x, i, &lo, &hi);
    for (int32_t n = 0; n < tiles; n++) {
        tile *t = &w->t[n];
        const int32_t first = from + n * ${R};
        t->rows = min32(${R}, GROUP - first);
        for (int32_t r = 0; r < t->rows; r++) t->head[r] = g * GROUP + first + r, t->row[r] = i;
        tile_begin(x, t);
        dot_begin(x, t, ${R}, ${P});
    }
    list_rest list = {NULL, 0, 0};
    if (lo <= hi) list = list_of(x, g, i);
    w->base = 0;
    while (next_numbers(x, w, &list, lo, hi) > 0) {
        gather_block(x, w, g * GROUP);
        for (int32_t n = 0; n < tiles; n++) dot_block(x, &w->t[n], w);
        w->base += w->count;
    }
    for (int32_t n = 0; n < tiles; n++) dot_finish(x, &w->t[n], w->base > 0);
}
