/* Writes the log of a row's denominator where it is wanted; returns the factor of its O. */
static ATTN_INLINE float finish_scale(const item *x, int32_t h, int32_t i, float m, float l) {
    const attn_args *args = x->args;
$ if spec.sinks then
    /* The sink joins the denominator. A row without keys has m = NO_MAX and l = 0. */
    const float sink = args->sinks[h] * LOG2E, top = m > sink ? m : sink;
    const float keep = exp2f(m - top);
    l = l * keep + exp2f(sink - top);
    m = top;
    const float inv = l == 0 ? 0 : keep / l;
$ else
    const float inv = l == 0 ? 0 : 1 / l;
$ end
    if (args->lse)
        args->lse[x->b * args->lse_batch + h * args->lse_head + i] =
            l == 0 ? -INFINITY : m * LN2 + logf(l);
    return inv;
}

static inline float *output_row(const item *x, int32_t h, int32_t i) {
    const attn_out *o = &x->args->o;
    return o->data + x->b * o->batch + h * o->head + i * o->token;
}
$ if plan.gather_keys == 0 then

/* One output row: O / l, and the log of its denominator. */
static void finish_row(const item *x, int32_t h, int32_t i, float m, float l, const float *o) {
    const vf f = vf_set1(finish_scale(x, h, i, m, l));
    float *to = output_row(x, h, i);
    int32_t c = 0;
    for (; c + W <= DV; c += W) vf_storeu(to + c, vf_mul(vf_load(o + c), f));
    if (c < DV) vf_storen(to + c, vf_mul(vf_load(o + c), f), DV - c);
}
$ end
