/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_dots_portable.c - products with a head's rows. */
#include "attn_kernel.h"
#include "simd/portable.h"
#include "simd/bf16.h"
#include "simd/f16.h"
#include "simd/i8.h"

#define DOTS attn_model_dots_portable
#include "model_dots.h"

ATTN_TARGET_END
