$ local layout = hooks(plan.places .. ".c")
$ local O, OT = plan.type.o.suffix, plan.type.o.c
/* Writes the log of a row's denominator where it is wanted; returns the factor of its O. l: the sum
 * of P, relative to the maximum m. */
static ATTN_INLINE float finish_scale(const item *x, int32_t h, int32_t i, float m, double l) {
    const attn_args *args = x->args;
    float *lse = args->lse ? args->lse + x->b * args->lse_batch + h * args->lse_head : NULL;
    if (lse) lse += x->q_row + i;
$ if spec.sinks then
    /* The sink joins the denominator. */
    const double sink = args->sinks[h];
    if (l == 0) { /* no key */
        if (lse) *lse = (float)sink;
        return 0;
    }
    const double top = m * LN2, other = exp(sink - top);
    if (lse) *lse = (float)(other < 1 ? top + log(l + other) : sink + log(1 + l * exp(top - sink)));
    return (float)(1 / (l + other));
$ else
    if (lse) *lse = l == 0 ? -INFINITY : (float)(m * LN2 + log(l));
    return l == 0 ? 0 : (float)(1 / l);
$ end
}

static inline ${OT} *output_row(const item *x, int32_t h, int32_t i) {
    const attn_out *o = &x->args->o;
    return ${layout.o_at("o->", "x->b", "h", "(x->q_row + i)")};
}

$ if not plan.indexed then
/* No key of the row's range was hidden by a mask. */
static inline bool sees_range(const item *x) {
$ if plan.has_mask or plan.has_score then
    return (void)x, false; /* as far as is known */
$ else
    return x->args->mask.type == ATTN_MASK_NONE && !x->args->key_padding;
$ end
}

/* Scores left the range of f32 if l is no number, or says that no key of a range was seen. */
static inline bool lost_scores(const item *x, double l, int32_t lo, int32_t hi) {
    return isnan(l) || (l == 0 && lo <= hi && sees_range(x));
}
$ end
$ if plan.tiled and plan.indexed then
/* Did f32 not have the range for a row? It may: the reference says what it is. */
static inline bool left_range(const item *x, int32_t h, int32_t i, double l, vi bits) {
    (void)x, (void)h, (void)i, (void)l, (void)bits;
    return true;
}

$ elseif plan.tiled then

$   if plan.scaled then
/* The largest |V| of the keys lo..hi, in codes: 0, or at least 1. A smaller |V| would matter only
 * where all its products with P are 0, and O is less than f32 has. One of `enough` will do. */
$   else
/* The largest |V| of the keys lo..hi; one that is at least `enough` will do. */
$   end
static float largest_value(const item *x, int32_t h, int32_t lo, int32_t hi, float enough) {
    const attn_view *v = &x->args->v;
$   local rows = layout.v_rows("v->", "x->b", "value_head(h)", "x->args")
$   if layout.page then
    ${layout.rows(plan.type.v.c)}rows = ${rows};
$     rows = "rows"
$   end
    const ${plan.type.v.c} *row =
        ${layout.v_at(rows, "lo", layout.v_step("v->"))};
    vf top = vf_zero();
$   local header = "for (int32_t k = lo; k <= hi && !vf_any_gt(top, vf_set1(enough)); k++," .. (layout.page and "\n     " or " ") .. layout.v_next("row", "k", layout.v_step("v->"), "rows", "hi") .. ")"
$   local loaded = "load_n" .. plan.type.v.suffix .. "(row + c, DV - c)"
    ${header}
        for (int32_t c = 0; c < DV; c += W) top = vf_max(vf_abs(${loaded}), top);
    return vf_reduce_max(top);
}

/* Did f32 not have the range for a row? bits: of the largest |O| by lanes, not yet divided by l. */
static __attribute__((noinline, cold)) bool left_range(const item *x, int32_t h, int32_t i,
                                                       double l, vi bits) {
    const float small = ${f32(2^-40)}; /* times P of a lazy maximum, 2^-60, it keeps its bits */
    int32_t lo, hi;
    row_range(x, i, &lo, &hi);
    if (l == 0 || isnan(l)) return lost_scores(x, l, lo, hi);
    _Alignas(64) int32_t each[W];
    vi_store(each, bits);
    for (int j = 1; j < W; j++) each[0] = max32(each[0], each[j]);
    float top;
    memcpy(&top, each, sizeof top);
    if (!(top < ${f32(2^-100)})) return true; /* an overflow */
    const float value = largest_value(x, h, lo, hi, small);
    if (value == 0) return false;
    /* Where larger values may be of hidden keys, and P is not small, zeros are taken for zeros. */
    return value <= small || top > 0 || l < 0.25;
}

$ end
$ if plan.tiled then
/* One output row: O / l, and the log of its denominator. */
static void finish_row(const item *x, int32_t h, int32_t i, float m, double l, const float *o) {
    /* The largest |O|, as bits: NaN is larger than any. */
    vi bits = vi_set1(0);
    for (int32_t c = 0; c < DVP; c += W)
        bits = vi_max(vi_and(vi_bits(vf_load(o + c)), vi_set1(INT32_MAX)), bits);
    const vf top = vf_bits(bits), least = vf_set1(${f32(2^-100)});
    const vf most = vf_set1(l < 1 ? (float)(0x1.fffffp127 * l) : 0x1.fffffep127f);
    if (!vm_all(vf_le(top, most)) || !vf_any_gt(top, least)) {
        if (left_range(x, h, i, l, bits)) {
            attn_reference_row(
                &${plan.symbol},
                x->args, x->b, h, i);
            return;
        }
    }
    const vf f = vf_set1(finish_scale(x, h, i, m, l));
    ${OT} *to = output_row(x, h, i);
    int32_t c = 0;
    for (; c + W <= DV; c += W) vf_storeu${O}(to + c, vf_mul(vf_load(o + c), f));
    if (c < DV) vf_storen${O}(to + c, vf_mul(vf_load(o + c), f), DV - c);
}
$ end
