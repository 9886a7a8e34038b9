$ -- What is normed is all of y: it holds x already, or x is not added.
$ local whole = spec.norm_place == "post" or spec.residual == "none"
$ local weights = hooks("block/norm.c").of(a.norm)
$ local scaled = spec.residual_scale ~= 0
$ if whole then
/* y = norm(sum) */
$ else
/* y = ${a.from} + ${scaled and f32(spec.residual_scale) .. " * " or ""}norm(sum) */
$ end
static void ${a.name}_task(void *ctx, int64_t task, int worker) {
    const layer *l = ctx;
    (void)worker;
    const int32_t end = min32(l->some, (int32_t)task * MB + MB);
    for (int32_t i = (int32_t)task * MB; i < end; i++) {
        const int32_t row = l->first + i;
        float *sum = l->sum + (int64_t)i * (MODEL + PAD), *y = y_row(l, row);
$ if whole then
        norm(y, sum, ${weights});
$ else
        norm(sum, sum, ${weights});
$   if scaled then
        join(y, ${a.from == "x" and "x_row(l, row)" or "y"}, sum, MODEL);
$   elseif a.from == "x" then
        const float *x = x_row(l, row);
        for (int32_t c = 0; c < MODEL; c++) y[c] = x[c] + sum[c];
$   else
        add(y, sum, MODEL);
$   end
$ end
        if (is_q_pad(l, row)) memset(y, 0, sizeof(float) * MODEL);
    }
}
