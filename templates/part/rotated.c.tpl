$ -- Keys are stored rotated: H k. Queries are rotated where they are packed, once, in double, so that
$ -- what cancels there rounds no more than a stored number.
$ local Q, QT = plan.type.q.suffix, plan.type.q.c
/* Row i of a query head, as its keys lie, times factor; element d goes to to[d * step]. */
static void rotated_row(const item *x, int32_t h, int32_t i, double factor, float *to,
                        ptrdiff_t step) {
    const ${QT} *row = query_row(x, h, i);
    _Alignas(64) float q[${plan.d_lanes}];
    double z[D];
    for (int32_t d = 0; d < D; d += W) vf_store(q + d, vf_loadn${Q}(row + d, D - d));
    for (int32_t d = 0; d < D; d++) z[d] = q[d];
    attn_rotate(z${plan.rotate.from > 0 and " + " .. plan.rotate.from or ""}, ${plan.d - plan.rotate.from}, ${plan.rotate.block});
    for (int32_t d = 0; d < D; d++) to[d * step] = (float)(z[d] * factor);
}
