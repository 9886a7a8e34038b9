$ local norms = spec.norm ~= "none"
$ local bare = spec.norm_bare or spec.qk_norm_weights == "none" -- some norms
/* --- Rows --- */

/* to += from */
static inline void add(float *restrict to, const float *restrict from, int32_t n) {
    int32_t c = 0;
    for (; c + W <= n; c += W) vf_storeu(to + c, vf_add(vf_loadu(to + c), vf_loadu(from + c)));
    for (; c < n; c++) to[c] += from[c];
}

$ if spec.residual_scale ~= 0 then
/* to = x + ${f32(spec.residual_scale)} * from; to may be x. */
static inline void join(float *to, const float *x, const float *from, int32_t n) {
    const vf scale = vf_set1(${f32(spec.residual_scale)});
    int32_t c = 0;
    for (; c + W <= n; c += W)
        vf_storeu(to + c, vf_fma(scale, vf_loadu(from + c), vf_loadu(x + c)));
    if (c == n) return;
    const vf tail = vf_fma(scale, vf_loadn(from + c, n - c), vf_loadn(x + c, n - c));
    vf_storen(to + c, tail, n - c);
}

$ end
$ local S = plan.kv.suffix
$ if plan.rotate then
/* A row of keys after RoPE, rotated as it is stored: in double, rounded once. */
static void turn_key(float *x) {
    enum { FROM = ${plan.rotate.from}, TURNED = K_DIM - FROM };
    double z[TURNED];
    for (int32_t d = 0; d < TURNED; d++) z[d] = (double)x[FROM + d];
    attn_rotate(z, TURNED, ${plan.rotate.block});
    for (int32_t d = 0; d < TURNED; d++) x[FROM + d] = (float)z[d];
}

$ end
$ if S ~= "" and not plan.scaled then
/* to = from, rounded to what keys and values are stored in. */
static inline void store_row(${plan.kv.c} *to, const float *from, int32_t n) {
    int32_t c = 0;
    for (; c + W <= n; c += W) vf_storeu${S}(to + c, vf_loadu(from + c));
    if (c < n) vf_storen${S}(to + c, vf_loadn(from + c, n - c), n - c);
}

$ end
$ if S ~= "" and plan.expand_from > 0 then
/* to = from, whose values are exact. */
static inline void load_row(float *to, const ${plan.kv.c} *from, int32_t n) {
    int32_t c = 0;
    for (; c + W <= n; c += W) vf_storeu(to + c, vf_loadu${S}(from + c));
    if (c < n) vf_storen(to + c, vf_loadn${S}(from + c, n - c), n - c);
}

$ end
$ if plan.scaled and plan.expand_from > 0 then
/* x times its row's scale. */
static inline void scale_key(float *x, float scale, int32_t n) {
    int32_t c = 0;
    for (; c + W <= n; c += W) vf_storeu(x + c, vf_mul(vf_loadu(x + c), vf_set1(scale)));
    for (; c < n; c++) x[c] *= scale;
}

$ end
$ if norms or spec.qk_norm or spec.key == "shared" then
enum { SHORT = 32 * W }; /* floats of a row that are summed at once, in lanes */

/* Sum of (x - mean)^2: lanes of short sums, which are added in double. */
static float sum_squares(const float *x, float mean, int32_t n) {
    const vf m = vf_set1(mean);
    double sum = 0;
    int32_t c = 0;
    while (c + 2 * W <= n) {
        const int32_t end = min32(c + SHORT, n) - 2 * W;
        vf s0 = vf_zero(), s1 = vf_zero();
        for (; c <= end; c += 2 * W) {
            const vf a = vf_sub(vf_loadu(x + c), m), b = vf_sub(vf_loadu(x + c + W), m);
            s0 = vf_fma(a, a, s0);
            s1 = vf_fma(b, b, s1);
        }
        sum += (double)vf_reduce_add(vf_add(s0, s1));
    }
    for (; c < n; c++) sum += (double)((x[c] - mean) * (x[c] - mean));
    return (float)sum;
}

/* to = (x - mean) * factor * weight${spec.norm_bias and " + bias" or ""}; to may be x.${bare and " No weight: 1." or ""} */
static inline void scale_row(float *to, const float *x, float mean, float factor,
                             const float *weight, const float *bias, int32_t n) {
    const vf m = vf_set1(mean), f = vf_set1(factor);
    int32_t c = 0;
    for (; c + W <= n; c += W) {
$ if bare then
        vf y = vf_mul(vf_sub(vf_loadu(x + c), m), f);
        if (weight) y = vf_mul(y, vf_loadu(weight + c));
$ else
        const vf y = vf_mul(vf_mul(vf_sub(vf_loadu(x + c), m), f), vf_loadu(weight + c));
$ end
        vf_storeu(to + c, bias ? vf_add(y, vf_loadu(bias + c)) : y);
    }
$ if bare then
    for (; c < n; c++)
        to[c] = (x[c] - mean) * factor * (weight ? weight[c] : 1) + (bias ? bias[c] : 0);
$ else
    for (; c < n; c++) to[c] = (x[c] - mean) * factor * weight[c] + (bias ? bias[c] : 0);
$ end
}

/* Root mean square norm (Zhang and Sennrich 2019). */
static inline void rms_norm(float *to, const float *x, const float *weight, const float *bias,
                            int32_t n) {
    const float mean_square = sum_squares(x, 0, n) / (float)n;
    scale_row(to, x, 0, 1 / sqrtf(mean_square + ${f32(spec.norm_eps)}), weight, bias, n);
}

$ if spec.latent_eps ~= 0 then
/* Of latent rows, whose eps is their own. */
static inline void latent_norm(float *to, const float *x, const float *weight, const float *bias,
                               int32_t n) {
    const float mean_square = sum_squares(x, 0, n) / (float)n;
    scale_row(to, x, 0, 1 / sqrtf(mean_square + ${f32(spec.latent_eps)}), weight, bias, n);
}

$ end
$ end
$ local general = spec.qk_norm and spec.qk_norm_kind == "layernorm"
$ local N = general and "n" or "MODEL"
$ if spec.norm == "layernorm" or general then
/* Layer norm (Ba et al. 2016). */
$   if general then
static void layer_norm(float *to, const float *x, const float *weight, const float *bias,
                       int32_t n) {
$   else
static void norm(float *to, const float *x, const float *weight, const float *bias) {
$   end
    double sum = 0;
    int32_t c = 0;
    while (c + 2 * W <= ${N}) {
        const int32_t end = min32(c + SHORT, ${N}) - 2 * W;
        vf s0 = vf_zero(), s1 = vf_zero();
        for (; c <= end; c += 2 * W) {
            s0 = vf_add(s0, vf_loadu(x + c));
            s1 = vf_add(s1, vf_loadu(x + c + W));
        }
        sum += (double)vf_reduce_add(vf_add(s0, s1));
    }
    for (; c < ${N}; c++) sum += (double)x[c];
    const float mean = (float)(sum / ${N}), variance = sum_squares(x, mean, ${N}) / ${N};
    scale_row(to, x, mean, 1 / sqrtf(variance + ${f32(spec.norm_eps)}), weight, bias, ${N});
}

$ end
$ if general and spec.norm == "layernorm" then
static void norm(float *to, const float *x, const float *weight, const float *bias) {
    layer_norm(to, x, weight, bias, MODEL);
}

$ elseif norms and spec.norm == "rmsnorm" then
static void norm(float *to, const float *x, const float *weight, const float *bias) {
    rms_norm(to, x, weight, bias, MODEL);
}

$ end
$ local pairs = #plan.frequencies
$ if pairs > 0 then
$ local longrope = spec.rope_scaling == "longrope"
$ local angle = longrope and "angle_at(packed, i)" or "frequency[i]"
/* Angle of each pair of components at position 1${longrope and ", before its factor" or ""}. */
static const double frequency[ROPE_DIM / 2] = {
    ${wrap(table.concat(plan.frequencies, ", "))}
};

$ if longrope then
/* The same after it: packed behind the cosines and sines. */
enum { FREQUENCIES = 64 * (ROPE_DIM / 2) * 4 };
static inline double angle_at(const float *packed, int32_t i) {
    double at;
    memcpy(&at, packed + FREQUENCIES + 2 * i, sizeof at);
    return at;
}

static void pack_frequencies(attn_packing *p, float *packed) {
    for (int32_t i = 0; i < ROPE_DIM / 2; i++) {
        const double factor = attn_source_at(p, W_ROPE_FACTORS, i), at = frequency[i] / factor;
        if (!p->why && !(factor > 0 && isfinite(factor))) {
            p->why = "its factors must be finite and greater than 0";
            p->refused = W_ROPE_FACTORS;
        }
        memcpy(packed + FREQUENCIES + 2 * i, &at, sizeof at);
    }
}

$ end
/* Cosines and sines of positions 0..63: what a position adds to its block of 64. */
static void pack_rope(float *packed) {
    for (int32_t p = 0; p < 64; p++)
        for (int32_t i = 0; i < ROPE_DIM / 2; i++) {
            const double turn[2] = {cos(p * ${angle}), sin(p * ${angle})};
            memcpy(packed + (p * (ROPE_DIM / 2) + i) * 4, turn, sizeof turn);
        }
}

/* The block of 64 positions that was looked at last. */
typedef struct turns {
    int32_t block;
    double cosine[ROPE_DIM / 2], sine[ROPE_DIM / 2];
} turns;

/* to = cosines and sines of a position, as rope() takes them: a function of the position alone. */
static void angles_of(turns *at, int32_t position, const float *packed, float *to) {
    const int32_t block = (position - (position & 63)) / 64, inside = position & 63;
    if (at->block != block)
        for (int32_t i = 0; i < ROPE_DIM / 2; i++) {
            at->cosine[i] = cos(block * 64.0 * ${angle});
            at->sine[i] = sin(block * 64.0 * ${angle});
        }
    at->block = block;
    for (int32_t i = 0; i < ROPE_DIM / 2; i++) {
        double turn[2];
        memcpy(turn, packed + (inside * (ROPE_DIM / 2) + i) * 4, sizeof turn);
        const double c = at->cosine[i] * turn[0] - at->sine[i] * turn[1];
        const double s = at->cosine[i] * turn[1] + at->sine[i] * turn[0];
$ local scale = plan.mscale ~= 1 and f32(plan.mscale) .. " * " or ""
$ if spec.rope == "half" then
        to[i] = ${scale}(float)c;
        to[ROPE_DIM / 2 + i] = ${scale}(float)s;
$ else
        to[2 * i] = to[2 * i + 1] = ${scale}(float)c;
        to[ROPE_DIM + 2 * i] = -${scale}(float)s;
        to[ROPE_DIM + 2 * i + 1] = ${scale}(float)s;
$ end
    }
}

$ if spec.rope == "half" then
/* Rotates the pairs i, i + ROPE_DIM / 2. */
static inline void rope(float *x, const float *angles) {
    enum { HALF = ROPE_DIM / 2 };
    int32_t i = 0;
    for (; i + W <= HALF; i += W) {
        const vf c = vf_loadu(angles + i), s = vf_loadu(angles + HALF + i);
        const vf a = vf_loadu(x + i), b = vf_loadu(x + HALF + i);
        vf_storeu(x + i, vf_fma(a, c, vf_neg(vf_mul(b, s))));
        vf_storeu(x + HALF + i, vf_fma(b, c, vf_mul(a, s)));
    }
    for (; i < HALF; i++) {
        const float a = x[i], b = x[HALF + i];
        x[i] = a * angles[i] - b * angles[HALF + i];
        x[HALF + i] = b * angles[i] + a * angles[HALF + i];
    }
}
$ else
/* Rotates the pairs 2i, 2i + 1. */
static inline void rope(float *x, const float *angles) {
    int32_t i = 0;
    for (; i + W <= ROPE_DIM; i += W) {
        const vf a = vf_loadu(x + i);
        const vf turned = vf_mul(vf_swap(a), vf_loadu(angles + ROPE_DIM + i));
        vf_storeu(x + i, vf_fma(a, vf_loadu(angles + i), turned));
    }
    for (; i < ROPE_DIM; i += 2) {
        const float a = x[i], b = x[i + 1];
        x[i] = a * angles[i] + b * angles[ROPE_DIM + i];
        x[i + 1] = b * angles[i + 1] + a * angles[ROPE_DIM + i + 1];
    }
}
$ end
$ end

/* Rows that come out as 0. */
static inline bool is_q_pad(const layer *l, int32_t row) {
    const attn_block_args *a = l->args;
    const attn_block_row *r = &l->call->row[row];
    return a->q_pad && a->q_pad[r->item * a->q_pad_batch + r->place];
}
