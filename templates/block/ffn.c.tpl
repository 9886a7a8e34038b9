$ local parallel = a.parallel
$ local N = hooks("block/norm.c")
$ local pre_norm = N.before and not parallel
$ local summed = spec.norm_place == "post" or N.after
$ local scaled = spec.residual_scale ~= 0
$ local source = parallel and (spec.shared_norm and "l->a" or (a.second and "l->a2" or "l->a")) or "l->a"
$ if not parallel then
/* Rows of y${pre_norm and ", normalised," or ""} on their way into the feed-forward part. */
static void prepare_ffn_task(void *ctx, int64_t task, int worker) {
    const layer *l = ctx;
    (void)worker;
    const int32_t end = min32(l->first + l->some, l->first + (int32_t)task * MB + MB);
    for (int32_t row = l->first + (int32_t)task * MB; row < end; row++) {
        float *to = l->a + (int64_t)row * (MODEL + PAD);
$   if pre_norm then
        norm(to, y_row(l, row), ${N.of("NORM2")});
$   else
        memcpy(to, y_row(l, row), sizeof(float) * MODEL);
$   end
    }
}

$ end
$ local act = { swiglu = "silu", geglu = "gelu", geglu_tanh = "gelu", gelu = "gelu", gelu_tanh = "gelu", relu = "relu", swiglu_clamped = "clamped", relu2 = "relu2", quick_gelu = "quick_gelu", silu = "silu", xielu = "xielu" }
$ local f = act[plan.activation]
$ if f == "silu" then
/* g / (1 + exp(-g)) */
static inline vf silu(vf g) {
    return vf_mul(g, vf_sigmoid(g));
}
$ elseif f == "clamped" then
/* g / (1 + exp(-1.702 g)) * (u + 1) of clamped g and u. */
static inline vf glu(vf g, vf u) {
    const vf limit = vf_set1(7);
    g = vf_min(limit, g); /* of a NaN: itself */
    u = vf_max(vf_set1(-7), vf_min(limit, u));
    const vf gate = vf_mul(g, vf_sigmoid(vf_mul(vf_set1(${f32(1.702)}), g)));
    return vf_mul(gate, vf_add(u, vf_set1(1)));
}
$ elseif f == "quick_gelu" then
/* g / (1 + exp(-1.702 g)) */
static inline vf quick_gelu(vf g) {
    return vf_mul(g, vf_sigmoid(vf_mul(vf_set1(${f32(1.702)}), g)));
}
$ elseif f == "relu2" then
static inline vf relu2(vf g) {
    const vf r = vf_max(g, vf_zero());
    return vf_mul(r, r);
}
$ elseif f == "xielu" then
$   local terms, factorial = {}, 1
$   for i = 2, 11 do
$     factorial = factorial * i
$     terms[12 - i] = f32(1 / factorial)
$   end
/* With p, n of pack_xielu: p g^2 + g / 2 of g > 0, else (e^z - 1 - g) n + g / 2, z = min(g, -1e-6)
 * (Huang and Schlag 2024). e^z - 1 - z of small z by its series: the difference cancels. */
static inline vf xielu(vf g, const float *learned) {
    static const float series[] = {
        ${wrap(table.concat(terms, ", "))}
    };
    const vf p = vf_set1(learned[0]), n = vf_set1(learned[1]), half = vf_mul(g, vf_set1(0.5f));
    const vf z = vf_min(g, vf_set1(${f32(-1e-6)}));
    const vf far = vf_sub(vf_sub(vf_exp(z), vf_set1(1)), z);
    vf near = vf_set1(series[0]);
    for (int i = 1; i < ${#terms}; i++) near = vf_fma(near, z, vf_set1(series[i]));
    near = vf_mul(near, vf_mul(z, z));
    const vf e = vf_add(vf_select(vf_gt(z, vf_set1(-1)), near, far), vf_sub(z, g));
    const vf above = vf_fma(vf_mul(p, g), g, half), below = vf_fma(n, e, half);
    return vf_select(vf_gt(g, vf_zero()), above, below);
}
$ elseif f == "relu" then
static inline vf relu(vf g) {
    return vf_max(g, vf_zero());
}
$ elseif plan.activation == "gelu_tanh" or plan.activation == "geglu_tanh" then
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

$ if plan.every_row then
$   local head = {
$     "static void up_done(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,",
$     "                    float *t, ptrdiff_t ldt) {",
$   }
${part("block/hidden.c", { f = f, head = lines(head), h = "l->h + (int64_t)(first + i) * H_ROW", bias = spec.ffn_bias and "l->w + UP_BIAS_AT" })}

${part("block/matmul.c", { stage = "up", from = source .. " + (int64_t)l->first * (MODEL + PAD)", lda = "MODEL + PAD", rows = "l->some", offset = false, done = { UP = "up_done" } })}

$ end
$ if plan.experts then
/* to = weight * from, or is added to. */
static inline void add_weighted(float *restrict to, const float *restrict from, float weight,
                                int32_t n, bool first) {
    const vf w = vf_set1(weight);
    int32_t c = 0;
    for (; c + W <= n; c += W) {
        const vf x = vf_loadu(from + c);
        vf_storeu(to + c, first ? vf_mul(w, x) : vf_fma(w, x, vf_loadu(to + c)));
    }
    if (c == n) return;
    const vf x = vf_loadn(from + c, n - c);
    vf_storen(to + c, first ? vf_mul(w, x) : vf_fma(w, x, vf_loadn(to + c, n - c)), n - c);
}

$   if plan.every_row then
/* Columns of the shared experts, which join the sum of the others. */
$   else
/* Columns of the experts' sum. */
$   end
$ end
static void down_done(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                      float *t, ptrdiff_t ldt) {
    for (int32_t i = 0; i < rows; i++, t += ldt) {
$ if not summed or spec.norm_place == "post" then
        const int32_t row = l->first + first + i;
$ end
$ if spec.ffn_bias and plan.every_row then
        add(t, l->w + DOWN_BIAS_AT + col, cols);
$ end
$ if plan.experts and plan.every_row then
        float *mix = l->mix + (int64_t)(first + i) * (MODEL + PAD) + col;
        add_weighted(mix, t, ${spec.shared_gate and "l->share[first + i]" or "1"}, cols, false);
        memcpy(t, mix, sizeof(float) * (size_t)cols);
$ end
$ if summed then
        float *to = l->sum + (int64_t)(first + i) * (MODEL + PAD) + col;
$   if scaled and spec.norm_place == "post" then
        join(to, y_row(l, row) + col, t, cols);
$   else
        memcpy(to, t, sizeof(float) * (size_t)cols);
$     if spec.norm_place == "post" then
        add(to, y_row(l, row) + col, cols);
$     end
$   end
$ else
$   if scaled then
        join(y_row(l, row) + col, y_row(l, row) + col, t, cols);
$   else
        add(y_row(l, row) + col, t, cols);
$   end
        if (is_q_pad(l, row)) memset(y_row(l, row) + col, 0, sizeof(float) * (size_t)cols);
$ end
    }
}

$ if plan.every_row then
${part("block/matmul.c", { stage = "down", from = "l->h", lda = "H_ROW", rows = "l->some", offset = false, done = { DOWN = "down_done" } })}
$ end
$ if plan.experts then

${part("block/experts.c", { source = source, f = f })}
$ end
