/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* quant.h - rows of weights in the types of weight_types.def: their values in f32, and rounding of
 * f32 to them.
 *
 * Values are those of ggml's dequantize_row_* (ggml-quants.c), and rounding gives the bytes of its
 * quantize_row_*_ref, as compiled without fused multiply-adds; where that converts a float to an
 * integer that cannot hold it, what x86-64's instruction gives (0). f16 and bf16 round as types.h
 * says. NaN comes out as some NaN. Bytes are little-endian on every machine, at any address.
 *
 * No allocation, no state; thread-safe. In the default floating-point mode (mode.h). */
#ifndef ATTN_QUANT_H
#define ATTN_QUANT_H

#include "compiler.h"
#include "weight_layout.h"

ATTN_HIDDEN_BEGIN

/* x[0 .. n - 1] = the values of n elements, n a multiple of the type's block. blocks and x do not
 * overlap. */
void attn_dequantise(const void *blocks, int32_t type, int64_t n, float *x);

/* What a block holds. Fields that its type has not are as they were. */
typedef struct attn_block_codes {
    float d, min;     /* scale and minimum: of the block, or of its parts' scales and minima */
    int8_t scale[16]; /* of parts, whole numbers */
    int8_t least[8];
    uint8_t code[256]; /* unsigned; weight_layout.h says what a code stands for */
} attn_block_codes;

void attn_block_read(const void *block, int32_t type, attn_block_codes *to);

/* Rounds n floats into blocks. Null, or, with some blocks unwritten, a sentence on what cannot be:
 * f32 in a K-quant; a number that is not finite, in blocks; a finite number that would become
 * infinite. */
const char *attn_quantise(void *blocks, int32_t type, int64_t n, const float *x);

ATTN_VISIBILITY_END

#endif
