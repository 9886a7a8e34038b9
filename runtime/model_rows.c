/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_rows.c - rows outside the layers: of tables, norms, and products with the head's rows, in
 * vectors of the compiler's. Products read each row of the matrix once for up to ROWS rows of x: a
 * head is larger than any cache. */
#include "model.h"

#include "cpu.h"
#include "quant.h"

enum {
    LANES = 16,
    ROWS = 2,
    SHORT = 64 * LANES
}; /* SHORT: products that are summed in f32, 32 a lane and chain */

typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint32_t bits __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint16_t halves __attribute__((vector_size(32), aligned(1), may_alias));
typedef int16_t shorts __attribute__((vector_size(32), aligned(1), may_alias));
typedef int8_t bytes __attribute__((vector_size(16), aligned(1), may_alias));
typedef int32_t ints __attribute__((vector_size(64), aligned(4), may_alias));

/* --- A row as floats --- */

void attn_model_row(const attn_model_matrix *m, int64_t row, float *to) {
    const char *data = m->data;
    attn_dequantise(data + row * attn_weight_bytes(m->type, m->width), m->type, m->width, to);
}

static ATTN_INLINE void widen_bf16(const char *from, int64_t n, float *to) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        halves h;
        memcpy(&h, from + 2 * i, sizeof h);
        const bits wide = __builtin_convertvector(h, bits) << 16;
        memcpy(to + i, &wide, sizeof wide);
    }
    if (i < n) attn_dequantise(from + 2 * i, ATTN_WEIGHT_BF16, n - i, to + i);
}

/* Exponents are 112 apart: a product with 2^112 moves them, denormal numbers too. */
static ATTN_INLINE void widen_f16(const char *from, int64_t n, float *to) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        halves h;
        memcpy(&h, from + 2 * i, sizeof h);
        const bits code = __builtin_convertvector(h, bits), rest = (code & 0x7fff) << 13;
        lanes x;
        memcpy(&x, &rest, sizeof x);
        x *= 0x1p112f;
        bits b;
        memcpy(&b, &x, sizeof b);
        b |= (code & 0x8000) << 16;
        b |= (bits)((code & 0x7c00) == 0x7c00) & 0x7f800000; /* infinity, NaN */
        memcpy(to + i, &b, sizeof b);
    }
    if (i < n) attn_dequantise(from + 2 * i, ATTN_WEIGHT_F16, n - i, to + i);
}

/* As widen_f16, of one. */
static ATTN_INLINE float half_value(uint32_t code) {
    const uint32_t rest = (code & 0x7fff) << 13, sign = (code & 0x8000) << 16;
    const uint32_t infinite = (code & 0x7c00) == 0x7c00 ? 0x7f800000 : 0;
    float x;
    uint32_t b;
    memcpy(&x, &rest, sizeof x);
    x *= 0x1p112f;
    memcpy(&b, &x, sizeof b);
    b |= sign | infinite;
    memcpy(&x, &b, sizeof x);
    return x;
}

static ATTN_INLINE void widen_q8_0(const char *from, int64_t n, float *to) {
    for (int64_t i = 0; i < n; i += 32, from += 34, to += 32) {
        uint16_t half;
        memcpy(&half, from, sizeof half);
        const float d = half_value(half);
        for (int part = 0; part < 32; part += LANES) {
            bytes code;
            memcpy(&code, from + 2 + part, sizeof code);
            /* In two steps: gcc 12 takes one step apart. */
            const shorts wide = __builtin_convertvector(code, shorts);
            const lanes x = __builtin_convertvector(__builtin_convertvector(wide, ints), lanes) * d;
            memcpy(to + part, &x, sizeof x);
        }
    }
}

/* --- Products --- */

/* to += a vector of x times one of y. */
static ATTN_INLINE void add_times(lanes *to, const float *x, const float *y) {
    *to += *(const lanes *)(const void *)x * *(const lanes *)(const void *)y;
}

/* Sums of m rows of x with a row of floats, each in two chains whatever m, which is a constant. */
static ATTN_INLINE void dots(const int m, const float *x, int64_t x_row, const float *w, int64_t n,
                             float *out, int64_t out_row) {
    double sum[ROWS] = {0};
    int64_t i = 0;
    while (i + 2 * LANES <= n) {
        const int64_t end = n - i < SHORT ? n : i + SHORT;
        lanes s[ROWS], t[ROWS];
        ATTN_UNROLLED for (int r = 0; r < m; r++) s[r] = t[r] = (lanes){0};
        for (; i + 2 * LANES <= end; i += 2 * LANES) {
            ATTN_UNROLLED for (int r = 0; r < m; r++) {
                add_times(&s[r], x + r * x_row + i, w + i);
                add_times(&t[r], x + r * x_row + i + LANES, w + i + LANES);
            }
        }
        ATTN_UNROLLED for (int r = 0; r < m; r++) {
            const lanes both = s[r] + t[r];
            for (int lane = 0; lane < LANES; lane++) sum[r] += (double)both[lane];
        }
    }
    for (; i < n; i++)
        for (int r = 0; r < m; r++) sum[r] += (double)x[r * x_row + i] * (double)w[i];
    for (int r = 0; r < m; r++) out[r * out_row] = (float)sum[r];
}

/* A row of the matrix as floats, in place or in the buffer. */
static ATTN_INLINE const float *floats_of(const attn_model_matrix *m, int64_t row, float *buffer) {
    const char *data = (const char *)m->data + row * attn_weight_bytes(m->type, m->width);
    switch (m->type) {
    case ATTN_WEIGHT_F32: return (const float *)(const void *)data;
    case ATTN_WEIGHT_BF16: widen_bf16(data, m->width, buffer); break;
    case ATTN_WEIGHT_F16: widen_f16(data, m->width, buffer); break;
    case ATTN_WEIGHT_Q8_0: widen_q8_0(data, m->width, buffer); break;
    default: attn_dequantise(data, m->type, m->width, buffer);
    }
    return buffer;
}

typedef struct product {
    const attn_model_matrix *m;
    const float *x;
    int64_t x_row;
    int32_t n;
    int64_t from, to;
    float *out;
    int64_t out_row;
    float *buffer;
} product;

static ATTN_INLINE void products(const product *p) {
    const int64_t width = p->m->width;
    for (int64_t row = p->from; row < p->to; row++) {
        const float *w = floats_of(p->m, row, p->buffer);
        int32_t r = 0;
        float *out = p->out + row;
        for (; r + ROWS <= p->n; r += ROWS)
            dots(ROWS, p->x + r * p->x_row, p->x_row, w, width, out + r * p->out_row, p->out_row);
        for (; r < p->n; r++) dots(1, p->x + r * p->x_row, 0, w, width, out + r * p->out_row, 0);
    }
}

#if defined(__x86_64__)
static __attribute__((target("avx2,fma"), noinline)) void products_avx2(const product *p) {
    products(p);
}
static __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"), noinline)) void
products_avx512(const product *p) {
    products(p);
}
#endif
static __attribute__((noinline)) void products_portable(const product *p) {
    products(p);
}

void attn_model_product(const attn_model_matrix *m, const float *x, int64_t x_row, int32_t n,
                        int64_t from, int64_t to, float *out, int64_t out_row, float *buffer) {
    const product p = {m, x, x_row, n, from, to, out, out_row, buffer};
#if defined(__x86_64__)
    if (attn_isa_allowed(ATTN_ISA_AVX512))
        products_avx512(&p);
    else if (attn_isa_allowed(ATTN_ISA_AVX2))
        products_avx2(&p);
    else
#endif
        products_portable(&p);
}

/* --- Norms --- */

void attn_model_norm_row(const attn_model_norm *n, float *x, int32_t width) {
    double mean = 0, squares = 0;
    if (n->kind == ATTN_NORM_NONE) return;
    if (n->kind == ATTN_NORM_LAYERNORM) {
        for (int32_t i = 0; i < width; i++) mean += (double)x[i];
        mean /= width;
    }
    for (int32_t i = 0; i < width; i++) squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    const double factor = 1 / sqrt(squares / width + (double)n->eps);
    for (int32_t i = 0; i < width; i++) {
        const double y = ((double)x[i] - mean) * factor * (n->weight ? (double)n->weight[i] : 1);
        x[i] = (float)(n->bias ? y + (double)n->bias[i] : y);
    }
}

/* As torch.nn.functional.normalize: no less than 1e-12. */
void attn_model_normalise(float *x, int32_t width) {
    double squares = 0;
    for (int32_t i = 0; i < width; i++) squares += (double)x[i] * (double)x[i];
    const double length = sqrt(squares) < 1e-12 ? 1e-12 : sqrt(squares);
    for (int32_t i = 0; i < width; i++) x[i] = (float)((double)x[i] / length);
}
