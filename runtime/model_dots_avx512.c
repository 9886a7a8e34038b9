/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_dots_avx512.c - products with a head's rows. */
#include "attn_kernel.h"
#if defined(__x86_64__)
#include "simd/avx512.h"
#include "simd/bf16.h"
#include "simd/f16.h"
#include "simd/i8.h"

#define DOTS attn_model_dots_avx512
#include "model_dots.h"

ATTN_TARGET_END
#endif
