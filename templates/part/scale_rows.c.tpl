$ local layout = hooks("layout/" .. plan.layout .. ".c")
$ local W, nv = plan.width, a.nv
$ local R = nv * W
/* s[key][${R}] times the scales of n keys; mx: raised by the products. */
static ATTN_INLINE void scale_rows_${nv}(float *restrict s, const float *restrict scale, ptrdiff_t step,
                                     int32_t n, vf *restrict mx) {
    for (int32_t key = 0; key < n; key++, s += ${R}, scale += step) {
        const vf f = vf_set1(*scale);
$ for j = 0, nv - 1 do
        const vf s${j} = vf_mul(vf_load(${at("s", j * W)}), f);
        mx[${j}] = vf_max(s${j}, mx[${j}]);
        vf_store(${at("s", j * W)}, s${j});
$ end
    }
}

/* Codes' products of n keys from first on become scores; mx: raised by them. */
static void scale_scores_${nv}(const item *x, const tile *t, scratch *w, int32_t first, int32_t n,
                           vf *mx) {
    const ptrdiff_t step = ${layout.scale_step("x->args->k_scale.")};
    scale_rows_${nv}(w->s, k_scales(x, t->head[0], first), step, n, mx);
}

/* P of n keys from first on takes the scales of their values. */
static void scale_p_${nv}(const item *x, const tile *t, scratch *w, int32_t first, int32_t n) {
    const ptrdiff_t step = ${layout.scale_step("x->args->v_scale.")};
    vf mx[${nv}] = {${list(nv, function(j) return "vf_zero()" end)}}; /* not wanted */
    scale_rows_${nv}(w->s, v_scales(x, t->head[0], first), step, n, mx);
}
