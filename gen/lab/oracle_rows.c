/* oracle_rows.c - sizes of a case, and arithmetic on its rows of activations. */
#include "layer_oracle.h"

#include "weight_types.h"

#include <math.h>
#include <string.h>

int32_t block_width(const attn_spec *spec) {
    return spec->op == ATTN_OP_SEGMENT_CROSS ? spec->q_dim : spec->d_model;
}

bool layer_has_two_inputs(const attn_spec *s) {
    return s->kv_dim != ATTN_UNSET;
}

int32_t block_keys(const block_case *c) {
    return layer_has_two_inputs(&c->spec->core) ? c->kv_tokens : c->tokens;
}

bool layer_is_mla(const attn_spec *s) {
    return s->form == ATTN_FORM_MLA;
}

bool layer_is_shared(const attn_spec *s) {
    return layer_is_mla(s) && s->key == ATTN_KEY_SHARED;
}

int64_t block_cache_k_size(const block_case *c) {
    const attn_spec *s = &c->spec->core;
    return (int64_t)c->batch * s->kv_heads * block_keys(c) * attn_spec_k_dim(s);
}

int64_t block_cache_v_size(const block_case *c) {
    const attn_spec *s = &c->spec->core;
    return layer_is_shared(s) ? 0 : (int64_t)c->batch * s->v_heads * block_keys(c) * s->v_dim;
}

/* --- Arithmetic on rows --- */

rows rows_new(const layer *l, int32_t tokens, int32_t width, const bool *live) {
    rows r = {l->c->batch, tokens, width, live, NULL};
    size_t count = (size_t)r.batch * (size_t)tokens * (size_t)width;
    r.data = arena_alloc(l->a, (count + 1) * sizeof *r.data);
    return r;
}

int64_t rows_count(const rows *r) {
    return (int64_t)r->batch * r->tokens;
}

double *rows_at(const rows *r, int64_t i) {
    return r->data + i * r->width;
}

/* y = W x */
void rows_multiply(const float *w, int32_t out, int32_t in, const double *x, double *y) {
    for (int32_t o = 0; o < out; o++) {
        double sum = 0;
        for (int32_t i = 0; i < in; i++) sum += (double)w[(int64_t)o * in + i] * x[i];
        y[o] = sum;
    }
}

double rows_largest(const double *x, int32_t n) {
    double most = 0;
    for (int32_t i = 0; i < n; i++)
        if (!(fabs(x[i]) <= most) && !isnan(most)) most = fabs(x[i]);
    return most;
}

/* n elements, at most 32, as codes times a scale; off: by how much each may be. */
static void round_block(const layer *l, const double *x, int32_t n, double off, double *y) {
    const double most = rows_largest(x, n), step = most / 127;
    const double lean = l->c->lean * fmin(off / step + 127 * 0x1p-21, 0.5);
    memset(y, 0, (size_t)n * sizeof *y);
    for (int32_t i = 0; i < n && !(most < 0x1p-100); i++) {
        const double code = rint(x[i] / step + lean);
        y[i] = isfinite(most) ? fmax(-127, fmin(code, 127)) * step : NAN;
    }
}

const double *rows_rounded(const layer *l, const linear *p, int64_t row, const double *x) {
    const bool rounds = l->s->weight_dot == ATTN_WEIGHT_DOT_I8 && !attn_weight_is_float(p->type);
    if (!rounds || l->c->rows != BLOCK_ROWS_CODES) return x;
    double *y = arena_alloc(l->a, (size_t)p->in * sizeof *y);
    const double off = 2 * BLOCK_DOUBT * rows_largest(x, p->in) + doubts_of(l, p, row, x);
    for (int32_t k = 0; k < p->in; k += 32)
        round_block(l, x + k, k + 32 < p->in ? 32 : p->in - k, off, y + k);
    return y;
}

/* y = x W, W [in, out] */
void rows_multiply_left(const double *x, const float *w, int32_t in, int32_t out, double *y) {
    for (int32_t o = 0; o < out; o++) {
        double sum = 0;
        for (int32_t i = 0; i < in; i++) sum += x[i] * (double)w[(int64_t)i * out + o];
        y[o] = sum;
    }
}

rows rows_apply(const layer *l, const linear *p, const rows *x) {
    rows y = rows_new(l, x->tokens, p->out, x->live);
    for (int64_t i = 0; i < rows_count(x); i++) {
        if (!x->live[i]) continue;
        rows_multiply(p->w, p->out, p->in, rows_rounded(l, p, i, rows_at(x, i)), rows_at(&y, i));
        for (int32_t o = 0; p->b && o < p->out; o++) rows_at(&y, i)[o] += (double)p->b[o];
    }
    return y;
}

/* One vector, in place. layernorm: mean and variance (over n); rmsnorm: mean square. */
void rows_normalise(const norm *n, double *x, int32_t width) {
    if (n->kind == ATTN_NORM_NONE) return;
    double mean = 0, square = 0;
    if (n->kind == ATTN_NORM_LAYERNORM)
        for (int32_t i = 0; i < width; i++) mean += x[i] / width;
    for (int32_t i = 0; i < width; i++) square += (x[i] - mean) * (x[i] - mean) / width;
    for (int32_t i = 0; i < width; i++) {
        const double weight = !n->w ? 1 : n->offset ? 1 + (double)n->w[i] : (double)n->w[i];
        x[i] = (x[i] - mean) / sqrt(square + n->eps) * weight;
        if (n->b) x[i] += (double)n->b[i];
    }
}

rows rows_normed(const layer *l, const norm *n, const rows *x) {
    rows y = rows_new(l, x->tokens, x->width, x->live);
    for (int64_t i = 0; i < rows_count(x); i++) {
        if (!x->live[i]) continue;
        memcpy(rows_at(&y, i), rows_at(x, i), (size_t)x->width * sizeof(double));
        rows_normalise(n, rows_at(&y, i), x->width);
    }
    return y;
}

rows rows_sum(const layer *l, const rows *x, const rows *y) {
    rows z = rows_new(l, x->tokens, x->width, x->live);
    const double scale = l->s->residual_scale != 0 ? (double)l->s->residual_scale : 1;
    for (int64_t i = 0; i < rows_count(x) * x->width; i++)
        z.data[i] = x->data[i] + scale * y->data[i];
    return z;
}

double block_xielu(double alpha_p, double alpha_n, double x) {
    const double beta = 0.5, eps = -1e-6;
    if (x > 0) return log1p(exp(alpha_p)) * x * x + beta * x;
    return (expm1(fmin(x, eps)) - x) * (beta + log1p(exp(alpha_n))) + beta * x;
}

double block_activation(int32_t ffn, double x) {
    switch (ffn) {
    case ATTN_FFN_SWIGLU:
    case ATTN_FFN_SILU: return x / (1 + exp(-x));
    case ATTN_FFN_QUICK_GELU: return x / (1 + exp(-1.702 * x));
    case ATTN_FFN_RELU2: return x > 0 ? x * x : 0;
    case ATTN_FFN_GEGLU:
    case ATTN_FFN_GELU: return 0.5 * x * erfc(-x / sqrt(2));
    case ATTN_FFN_GEGLU_TANH:
    case ATTN_FFN_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    default: return x > 0 ? x : 0;
    }
}
