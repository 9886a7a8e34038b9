/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_dots_portable.c - products with a head's rows. */
#include "model.h"

#include "quant_read.h"
#include "simd/portable.h"

#define DOTS attn_model_dots_portable
#include "model_dots.def"
