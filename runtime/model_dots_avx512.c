/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_dots_avx512.c - products with a head's rows. */
#include "model.h"

#include "quant_read.h"
#if defined(__x86_64__)
#include "simd/avx512.h"

#define DOTS attn_model_dots_avx512
#include "model_dots.def"
#endif
