$ local layout = hooks(plan.places .. ".c")
$ local engine = hooks("engine/" .. isa.engine .. ".c")
$ local KR, VR = layout.rows(plan.type.k.c), layout.rows(plan.type.v.c)
$ local W, nv = plan.width, a.nv
$ local R = nv * W
$ local w = plan.indexed and "w, " or ""
/* Final scores of the keys from .. to - 1, counted from key first; mx: raised by them. */
static ATTN_INLINE void adjust_range_${nv}(const item *x, const tile *t, scratch *w, int32_t first,
                                       int32_t from, int32_t to, vf *mx, bool masked, bool lanes) {
    float *s = w->s + from * ${R};
    const int32_t n = to - from, k = first + from;
    if (n <= 0) return;
$ if plan.bias then
    if (x->args->mask.type != ATTN_MASK_NONE) {
        load_bias(x, t, ${w}k, n, ${R}, w->bias);
        adjust_${nv}(x, t, ${w}s, w->bias, k, n, mx, true);
        return;
    }
$ elseif expr and not plan.indexed then
    if (!lanes) {
        if (masked) adjust_tile_${nv}_masked(x, t, s, k, n, mx);
$   if plan.rescore then
        if (!masked) adjust_tile_${nv}(x, t, s, k, n, mx);
$   end
        return;
    }
$ end
$ if not expr or plan.indexed then
    (void)lanes;
$ end
    if (masked) adjust_${nv}(x, t, ${w}s, NULL, k, n, mx, true);
$ if plan.rescore then
    if (!masked) adjust_${nv}(x, t, ${w}s, NULL, k, n, mx, false);
$ end
}

${engine.keys(nv)}

$ if plan.tile[nv].lazy then
/* P of a tile over n keys, by a lazy maximum: exp2 of the scores minus what the maximum was, or 0
 * at first. Nothing is hidden at the keys clean .. clean_end - 1. False if that reference did not
 * do: then only w->s was changed.${plan.widen and "" or " ask: null, or the rows of V to ask for on the way."} */
static bool lazy_${nv}(const item *x, tile *t, scratch *w, const float *row, ptrdiff_t ldk,
$ if plan.widen then
                   int32_t first, int32_t n, int32_t clean, int32_t clean_end, bool lanes) {
$ else
                   int32_t first, int32_t n, int32_t clean, int32_t clean_end, const float *ask,
                   ptrdiff_t ldv, bool lanes) {
$ end
    const vf none = vf_set1(NO_MAX);
    vf m[${nv}], l[${nv}], lost[${nv}], mx[${nv}]; /* mx: not wanted here */
$ for j = 0, nv - 1 do
    m[${j}] = vf_load(${at("t->m", j * W)});
    m[${j}] = vf_select(vf_eq(m[${j}], none), vf_zero(), m[${j}]);
    l[${j}] = vf_load(${at("t->l", j * W)});
    lost[${j}] = vf_load(${at("t->l_lost", j * W)});
    mx[${j}] = none;
$ end
$ if plan.rescore then
$   if not plan.widen then
    (void)ask, (void)ldv;
$   end
    qk_keys_${nv}(t, w, row, ldk, first, n, clean, clean_end, mx);
    adjust_range_${nv}(x, t, w, first, 0, clean, mx, true, lanes);
$   if plan.rescore then
    adjust_range_${nv}(x, t, w, first, clean, clean_end, mx, false, lanes);
$   end
    adjust_range_${nv}(x, t, w, first, clean_end, n, mx, true, lanes);
    exp_rows_${nv}(w->s, n, m, l, lost);
$ else
    ${engine.keys_exp(nv)}
$ end
    if (!lazy_ok_${nv}(l)) return false;
$ for j = 0, nv - 1 do
    vf_store(${at("t->m", j * W)}, m[${j}]);
    vf_store(${at("t->l", j * W)}, l[${j}]);
    vf_store(${at("t->l_lost", j * W)}, lost[${j}]);
$ end
    return true;
}

$ end
/* One tile over the keys k0..k1, at most BK of them; ${plan.widen and "k, vr stand" or "k stands"} at key 0. lanes: the rows are any,
 * not consecutive queries of one head. */
static void tile_${nv}(const item *x, tile *t, scratch *w, int32_t k0, int32_t k1, ${KR}k,
                   ${plan.widen and VR .. "vr, " or "ptrdiff_t ldk, "}const values *v, bool lanes) {
    const int32_t first = max32(k0, t->first), last = min32(k1, t->last);
    if (first > last) return;
    const int32_t n = last - first + 1;
$ if not plan.widen then
    const float *row = ${layout.k_at("k", "first", "ldk")};
$ end
    /* Keys that every row sees. */
    int32_t clean = min32(max32(t->all_first - first, 0), n);
    int32_t clean_end = max32(min32(t->all_last - first + 1, n), clean);
$ if plan.indexed then
    bool partial = ${expr and expr.mask and "true" or "false"}; /* padding is in no block */
$ else
    bool partial = has_padding(x, first, n);
$ end
$ if plan.bias then
    partial |= x->args->mask.type != ATTN_MASK_NONE;
$ end
$ if plan.has_mask then
    const attn_tile_class class = tile_class(x, t, first, last);
    if (class == ATTN_TILE_NONE) return;
    partial |= class == ATTN_TILE_SOME;
$ end
    if (partial) clean = clean_end = 0;
$ if plan.widen then
    enum { ldk = ${plan.dk_name} };
    const float *row = widen_from(x, ${plan.scaled and "t, " or ""}w, k, first);
    if (v->v == w->v) widen_v(x, ${plan.scaled and "t, " or ""}w, vr, first, last);
$ end

$ if plan.tile[nv].lazy then
$   local asks = plan.widen and "" or ", ask, v->row"
$   if not plan.widen then
    /* P V reads the caller's rows by column strips, a line a row: ask for them as they lie. */
    const float *ask = lanes && v->v != ${layout.first("k")} ? v->v + (first - v->base) * v->row : NULL;
$   end
    if (lazy_${nv}(x, t, w, row, ldk, first, n, clean, clean_end${asks}, lanes)) {
        pv_${nv}(t, v, w->s, first, last, NULL);
        return;
    }
$ end
    /* The true maximum of these keys, and what came before rescaled. */
    vf mx[${nv}] = {${list(nv, function(j) return "vf_load(" .. at("t->m", j * W) .. ")" end, nv > 3 and ",\n        " or ", ")}};
    qk_keys_${nv}(t, w, row, ldk, first, n, clean, clean_end, mx);
$ if plan.rescore then
    ${list(nv, function(j) return "mx[" .. j .. "] = vf_load(" .. at("t->m", j * W) .. ")" end, nv > 3 and ",\n        " or ", ")};
    adjust_range_${nv}(x, t, w, first, 0, clean, mx, true, lanes);
    adjust_range_${nv}(x, t, w, first, clean, clean_end, mx, false, lanes);
    adjust_range_${nv}(x, t, w, first, clean_end, n, mx, true, lanes);
$ else
    if (clean_end - clean < n) {
        ${list(nv, function(j) return "mx[" .. j .. "] = vf_load(" .. at("t->m", j * W) .. ")" end, nv > 3 and ",\n        " or ", ")};
        adjust_range_${nv}(x, t, w, first, 0, n, mx, true, lanes);
    }
$ end
    const int rose = softmax_${nv}(w->s, n, t, mx, w->alpha);
    pv_${nv}(t, v, w->s, first, last, rose ? w->alpha : NULL);
}
