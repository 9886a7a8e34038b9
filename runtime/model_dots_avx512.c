/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_dots_avx512.c - products with a head's rows. */
#include "model.h"

#include "quant_read.h"
#if defined(__x86_64__)
#include "simd/avx512.h"
#include "simd/bf16.h"
#include "simd/f16.h"
#include "simd/i8.h"

#include "model_dots.def"

void attn_model_dots_avx512(const attn_model_matrix *m, const float *x, int64_t x_row, int32_t n,
                            int64_t from, int64_t to, float *out, int64_t out_row) {
    dots(m, x, x_row, n, from, to, out, out_row);
}

ATTN_TARGET_END
#endif
