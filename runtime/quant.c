/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* quant.c - rows of weights: values of what quant_read.h reads, and stores, one a type in blocks.
 *
 * Values: a scale has 11 bits (f16) or 1 (mxfp4), a scale of a K-quant's part 6 or 7 and an element
 * at most 5 more, so that all products here are exact, and a fused multiply-add rounds as the two
 * do. Stores: products are not, and go through times(). */
#include "quant.h"

#include "arithmetic.h"
#include "quant_read.h"
#include "types.h"

/* --- Bytes --- */

static void write_u16(uint8_t *b, uint32_t v) {
    b[0] = (uint8_t)v;
    b[1] = (uint8_t)(v >> 8);
}

static void write_u32(uint8_t *b, uint32_t v) {
    write_u16(b, v);
    write_u16(b + 2, v >> 16);
}

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Whether it is still finite. */
static bool write_half(uint8_t *b, float x) {
    const uint32_t half = attn_round_float(x, 16, 5);
    write_u16(b, half);
    return (half & 0x7c00) != 0x7c00;
}

/* --- Values --- */

/* Elements i .. i + 31. */
static void values_of(const attn_block_codes *b, int32_t type, int i, float *x) {
    const attn_weight_layout t = attn_weight_layout_of(type);
    for (int j = i; j < i + QK; j++) {
        const float scale = t.scaled ? b->d * (float)b->scale[j / t.part] : b->d;
        const float least = t.scaled ? -(b->min * (float)b->least[j / QK]) : b->min;
        const int code = t.table ? mxfp4_value[b->code[j]] : b->code[j] - t.offset;
        *x++ = t.min ? scale * (float)code + least : scale * (float)code;
    }
}

/* --- Rounding --- */

/* The product, rounded, whatever the compiler does with the sum that it goes into. */
static float times(float a, float b) {
    const volatile float product = a * b;
    return product;
}

/* The lowest 8 bits of x cut to an integer; 0 where no int32_t has it, as x86-64 does. */
static uint8_t cut(float x) {
    return fabsf(x) < 0x1p31f ? (uint8_t)(int32_t)x : 0;
}

/* At most `most`, as signed bytes. */
static uint32_t cut_signed(float x, int most) {
    const int8_t v = (int8_t)cut(x);
    return (uint8_t)(v < most ? v : most);
}

static float inverse(float d) {
    return d != 0 ? 1 / d : 0;
}

/* The element of the largest magnitude, the first of equal ones. */
static float largest(const float *x) {
    float most = 0, at = 0;
    for (int j = 0; j < QK; j++) {
        if (most >= fabsf(x[j])) continue;
        most = fabsf(x[j]);
        at = x[j];
    }
    return at;
}

static bool store_q8_0(uint8_t *b, const float *x) {
    const float d = fabsf(largest(x)) / 127, id = inverse(d);
    for (int j = 0; j < QK; j++) b[2 + j] = cut(roundf(x[j] * id));
    return write_half(b, d);
}

static void put_nibble(uint8_t *packed, uint32_t *high, int j, uint32_t code) {
    if (j < QK / 2)
        packed[j] = code & 15;
    else
        packed[j - QK / 2] |= (uint8_t)((code & 15) << 4);
    *high |= (code >> 4 & 1) << j;
}

/* Codes 0 .. 2 * middle - 1, of which the largest element has 0. */
static bool store_around(uint8_t *b, uint8_t *packed, uint32_t *high, int middle, const float *x) {
    const float d = largest(x) / (float)-middle, id = inverse(d);
    for (int j = 0; j < QK; j++)
        put_nibble(packed, high, j,
                   cut_signed(times(x[j], id) + ((float)middle + 0.5f), 2 * middle - 1));
    return write_half(b, d);
}

/* Codes 0 (the least element) .. most. */
static bool store_from(uint8_t *b, uint8_t *packed, uint32_t *high, int most, const float *x) {
    float min = x[0], max = x[0];
    for (int j = 1; j < QK; j++) {
        if (x[j] < min) min = x[j];
        if (x[j] > max) max = x[j];
    }
    const float d = (max - min) / (float)most, id = inverse(d);
    for (int j = 0; j < QK; j++)
        put_nibble(packed, high, j, cut_signed(times(x[j] - min, id) + 0.5f, most));
    const bool finite = write_half(b, d);
    return write_half(b + 2, min) && finite;
}

static bool store_q4_0(uint8_t *b, const float *x) {
    uint32_t none = 0;
    return store_around(b, b + 2, &none, 8, x);
}

static bool store_q4_1(uint8_t *b, const float *x) {
    uint32_t none = 0;
    return store_from(b, b + 4, &none, 15, x);
}

static bool store_q5_0(uint8_t *b, const float *x) {
    uint32_t high = 0;
    const bool finite = store_around(b, b + 6, &high, 16, x);
    write_u32(b + 2, high);
    return finite;
}

static bool store_q5_1(uint8_t *b, const float *x) {
    uint32_t high = 0;
    const bool finite = store_from(b, b + 8, &high, 31, x);
    write_u32(b + 4, high);
    return finite;
}

/* The first of the nearest values. */
static uint32_t nearest_mxfp4(float x, float d) {
    uint32_t best = 0;
    float least = fabsf(x);
    for (uint32_t i = 1; i < 16; i++) {
        const float error = fabsf(times(mxfp4_value[i], d) - x);
        if (error >= least) continue;
        best = i;
        least = error;
    }
    return best;
}

/* The logarithm is rounded to a float before it is cut, as ggml's log2f. */
static bool store_mxfp4(uint8_t *b, const float *x) {
    const float most = fabsf(largest(x));
    const float exponent = most > 0 ? floorf((float)log2((double)most)) - 2 + 127 : 0;
    uint32_t none = 0;
    b[0] = cut(exponent);
    for (int j = 0; j < QK; j++)
        put_nibble(b + 1, &none, j, nearest_mxfp4(x[j], mxfp4_scale(b[0])));
    return true;
}

/* --- Rows --- */

typedef bool store_block(uint8_t *b, const float *x); /* whether all is finite */

/* What has no store is not rounded to. */
static store_block *const stores[ATTN_WEIGHT_COUNT] = {
    [ATTN_WEIGHT_Q8_0] = store_q8_0, [ATTN_WEIGHT_Q4_0] = store_q4_0,
    [ATTN_WEIGHT_Q4_1] = store_q4_1, [ATTN_WEIGHT_Q5_0] = store_q5_0,
    [ATTN_WEIGHT_Q5_1] = store_q5_1, [ATTN_WEIGHT_MXFP4] = store_mxfp4,
};

void attn_block_read(const void *block, int32_t type, attn_block_codes *to) {
    attn_read_block(block, type, to);
}

/* Types of 16 bits without blocks: bits of the exponent; 0: all others. */
static int exponent_of(int32_t type) {
    if (type == ATTN_WEIGHT_BF16) return attn_type_get(ATTN_TYPE_BF16).exponent;
    return type == ATTN_WEIGHT_F16 ? attn_type_get(ATTN_TYPE_F16).exponent : 0;
}

void attn_dequantise(const void *blocks, int32_t type, int64_t n, float *x) {
    const attn_weight_row row = attn_weight_get(type);
    const int exponent = exponent_of(type);
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += row.block, b += row.bytes) {
        if (row.block == 1) {
            x[i] = exponent ? attn_float_value(read_u16(b), 16, exponent) : float_of(read_u32(b));
            continue;
        }
        attn_block_codes codes;
        attn_block_read(b, type, &codes);
        for (int j = 0; j < row.block; j += QK) values_of(&codes, type, j, x + i + j);
    }
}

/* Whether all that is finite stays so. */
static bool store_floats(uint8_t *b, int exponent, int64_t n, const float *x) {
    for (int64_t i = 0; i < n; i++) {
        if (!exponent) {
            write_u32(b + 4 * i, bits_of(x[i]));
            continue;
        }
        const uint32_t code = attn_round_float(x[i], 16, exponent);
        if (isfinite(x[i]) && !isfinite(attn_float_value(code, 16, exponent))) return false;
        write_u16(b + 2 * i, code);
    }
    return true;
}

const char *attn_quantise(void *blocks, int32_t type, int64_t n, const float *x) {
    static const char too_large[] = "a finite number becomes infinite in it";
    const attn_weight_row row = attn_weight_get(type);
    if (row.block == 1) return store_floats(blocks, exponent_of(type), n, x) ? NULL : too_large;
    if (!stores[type])
        return "K-quants are not made here: only tensors that are of the type can be taken";
    uint8_t *b = blocks;
    for (int64_t i = 0; i < n; i += row.block, b += row.bytes) {
        for (int32_t j = 0; j < row.block; j++)
            if (!isfinite(x[i + j])) return "a number that is not finite cannot be in its blocks";
        if (!stores[type](b, x + i)) return too_large;
    }
    return NULL;
}
