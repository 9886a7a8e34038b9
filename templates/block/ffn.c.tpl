$ local gated, parallel = a.gated, a.parallel
$ local pre_norm = spec.norm ~= "none" and spec.norm_place ~= "post" and not parallel
$ local summed = spec.norm_place == "post" or spec.norm_place == "both"
$ local source = parallel and (spec.shared_norm and "l->a" or (a.second and "l->a2" or "l->a")) or "l->a"
$ if not parallel then
/* Rows of y${pre_norm and ", normalised," or ""} on their way into the feed-forward part. */
static void prepare_ffn_task(void *ctx, int64_t task, int worker) {
    const layer *l = ctx;
    (void)worker;
    const int32_t end = min32(l->first + l->some, l->first + (int32_t)task * MB + MB);
    for (int32_t row = l->first + (int32_t)task * MB; row < end; row++) {
        float *to = l->a + (int64_t)row * (MODEL + PAD);
        if (!row_exists(l, row)) continue;
$   if pre_norm then
        norm(to, y_row(l, row), l->w + NORM2_AT, ${spec.norm_bias and "l->w + NORM2_BIAS_AT" or "NULL"});
$   else
        memcpy(to, y_row(l, row), sizeof(float) * MODEL);
$   end
    }
}

$ end
$ local act = { swiglu = "silu", geglu = "gelu", geglu_tanh = "gelu", gelu = "gelu", gelu_tanh = "gelu", relu = "relu" }
$ local f = act[spec.ffn]
$ if f == "silu" then
/* g / (1 + exp(-g)) */
static inline vf silu(vf g) {
    return vf_mul(g, vf_sigmoid(g));
}
$ elseif f == "relu" then
static inline vf relu(vf g) {
    return vf_max(g, vf_zero());
}
$ elseif spec.ffn == "gelu_tanh" or spec.ffn == "geglu_tanh" then
/* g / 2 (1 + tanh(sqrt(2 / pi) (g + 0.044715 g^3))) (Hendrycks and Gimpel 2016). */
static inline vf gelu(vf g) {
    const vf half = vf_set1(0.5f);
    const vf cubic = vf_fma(vf_mul(vf_mul(g, g), g), vf_set1(${f32(0.044715)}), g);
    const vf t = vf_tanh(vf_mul(vf_set1(${f32(0.7978845608028654)}), cubic));
    return vf_mul(vf_mul(g, half), vf_add(vf_set1(1), t));
}
$ else
/* g / 2 (1 + erf(g / sqrt(2))); erfc(z) = t exp(-z^2 + p(t)), t = 1 / (1 + z / 2), to 1.2e-7 of its
 * value (Press et al. 1992, erfcc). */
static inline vf gelu(vf g) {
    static const float p[] = {
$   local coefficients = { 0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223 }
${wrap(list(#coefficients, function(i) return f32(coefficients[i + 1]) end))}
    };
    const vf one = vf_set1(1), half = vf_set1(0.5f);
    const vf z = vf_mul(vf_abs(g), vf_set1(${f32(0.7071067811865476)}));
    const vf t = vf_div(one, vf_fma(z, half, one));
    vf sum = vf_set1(p[0]);
    for (int i = 1; i < ${#coefficients}; i++) sum = vf_fma(sum, t, vf_set1(p[i]));
    const vf tail = vf_mul(vf_mul(t, vf_exp(vf_sub(sum, vf_mul(z, z)))), vf_mul(g, half));
    return vf_select(vf_gt(g, vf_zero()), vf_sub(g, tail), tail);
}
$ end

$ if gated then
/* Panels of gate and up alternate: h = ${f}(gate) * up. */
static void up_done(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                    float *t, ptrdiff_t ldt) {
    for (int32_t i = 0; i < rows; i++, t += ldt) {
        float *h = l->h + (int64_t)(first + i) * H_ROW;
        for (int32_t c = 0; c < cols; c += 2 * NR)
            for (int32_t j = 0; j < NR; j += W) {
                vf g = vf_loadu(t + c + j), u = vf_loadu(t + c + NR + j);
$   if spec.ffn_bias then
                const float *bias = l->w + UP_BIAS_AT + col + c + j;
                g = vf_add(g, vf_load(bias));
                u = vf_add(u, vf_load(bias + NR));
$   end
                vf_storeu(h + (col + c) / 2 + j, vf_mul(${f}(g), u));
            }
    }
}
$ else
/* h = ${f}(up) */
static void up_done(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                    float *t, ptrdiff_t ldt) {
    for (int32_t i = 0; i < rows; i++, t += ldt) {
        float *h = l->h + (int64_t)(first + i) * H_ROW;
        for (int32_t c = 0; c < cols; c += W) { /* t has whole panels, h whole rows of them */
            vf g = vf_loadu(t + c);
$   if spec.ffn_bias then
            g = vf_add(g, vf_loadu(l->w + UP_BIAS_AT + col + c));
$   end
            vf_storeu(h + col + c, ${f}(g));
        }
    }
}
$ end

${part("block/matmul.c", { stage = "up", from = source .. " + (int64_t)l->first * (MODEL + PAD)", lda = "MODEL + PAD", rows = "l->some", offset = false, done = { UP = "up_done" } })}

static void down_done(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                      float *t, ptrdiff_t ldt) {
    for (int32_t i = 0; i < rows; i++, t += ldt) {
        const int32_t row = l->first + first + i;
        if (!row_exists(l, row)) continue;
$ if spec.ffn_bias then
        add(t, l->w + DOWN_BIAS_AT + col, cols);
$ end
$ if summed then
        float *to = l->sum + (int64_t)(first + i) * (MODEL + PAD) + col;
        memcpy(to, t, sizeof(float) * (size_t)cols);
$   if spec.norm_place == "post" then
        add(to, y_row(l, row) + col, cols);
$   end
$ else
        add(y_row(l, row) + col, t, cols);
        if (is_q_pad(l, row)) memset(y_row(l, row) + col, 0, sizeof(float) * (size_t)cols);
$ end
    }
}

${part("block/matmul.c", { stage = "down", from = "l->h", lda = "H_ROW", rows = "l->some", offset = false, done = { DOWN = "down_done" } })}
