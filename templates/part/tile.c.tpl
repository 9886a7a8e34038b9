$ local W, nv = plan.width, a.nv
$ local R, MR = nv * W, plan.tile[nv].keys
/* One tile over the keys k0..k1, at most BK of them; k stands at key 0. lanes: the rows are any,
 * not consecutive queries of one head. */
static void tile_${nv}(const item *x, tile *t, scratch *w, int32_t k0, int32_t k1, const float *k,
                   ptrdiff_t ldk, const values *v, bool lanes) {
    const int32_t first = max32(k0, t->first), last = min32(k1, t->last);
    if (first > last) return;
    const int32_t n = last - first + 1;
    float *s = w->s;
    bool masked = first < t->all_first || last > t->all_last || has_padding(x, first, n);
$ if plan.has_mask then
    const attn_tile_class class = tile_class(x, t, first, last);
    if (class == ATTN_TILE_NONE) return;
    masked |= class == ATTN_TILE_SOME;
$ end

    vf mx[${nv}] = {${list(nv, function(j) return "vf_load(t->m + " .. j * W .. ")" end)}};
    const float *row = k + first * ldk;
    int32_t key = 0;
    for (; key + ${MR} <= n; key += ${MR}) qk_${nv}(row + key * ldk, ldk, t->q, s + key * ${R}, mx);
    if (key < n) {
        pad_keys(w->edge, row + key * ldk, ldk, n - key, ${MR});
        qk_${nv}(w->edge, D, t->q, s + key * ${R}, mx);
    }

$ if plan.bias then
    if (x->args->mask.type != ATTN_MASK_NONE) {
        load_bias(x, t, first, n, ${R}, w->bias);
        adjust_${nv}(x, t, s, w->bias, first, n, mx, true);
    } else if (masked) {
        adjust_${nv}(x, t, s, NULL, first, n, mx, true);
$   if plan.rescore then
    } else {
        adjust_${nv}(x, t, s, NULL, first, n, mx, false);
$   end
    }
$ elseif expr then
    if (lanes) {
        if (masked)
            adjust_${nv}(x, t, s, NULL, first, n, mx, true);
$   if plan.rescore then
        else
            adjust_${nv}(x, t, s, NULL, first, n, mx, false);
$   end
    } else {
        if (masked)
            adjust_tile_${nv}_masked(x, t, s, first, n, mx);
$   if plan.rescore then
        else
            adjust_tile_${nv}(x, t, s, first, n, mx);
$   end
    }
$ else
    if (masked)
        adjust_${nv}(x, t, s, NULL, first, n, mx, true);
$   if plan.rescore then
    else
        adjust_${nv}(x, t, s, NULL, first, n, mx, false);
$   end
$ end

    const int rose = softmax_${nv}(s, n, t, mx, w->alpha);
    pv_${nv}(t, v, s, first, last, rose ? w->alpha : NULL);
$ if not expr then
    (void)lanes;
$ end
}
