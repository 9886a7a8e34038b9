/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_rows.c - rows outside the layers: of tables, norms, and products with the head's rows. */
#include "model.h"

#include "cpu.h"
#include "quant.h"

/* --- A row as floats --- */

void attn_model_row(const attn_model_matrix *m, int64_t row, float *to) {
    const char *data = m->data;
    attn_dequantise(data + row * attn_weight_bytes(m->type, m->width), m->type, m->width, to);
}

/* --- Products --- */

void attn_model_product(const attn_model_matrix *m, const float *x, int64_t x_row, int32_t n,
                        int64_t from, int64_t to, float *out, int64_t out_row) {
#if defined(__x86_64__)
    if (attn_isa_allowed(ATTN_ISA_AVX512))
        attn_model_dots_avx512(m, x, x_row, n, from, to, out, out_row);
    else if (attn_isa_allowed(ATTN_ISA_AVX2))
        attn_model_dots_avx2(m, x, x_row, n, from, to, out, out_row);
    else
#endif
        attn_model_dots_portable(m, x, x_row, n, from, to, out, out_row);
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
