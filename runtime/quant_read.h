/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* quant_read.h - blocks of weights, one reader a type, for quant.c and for products that read
 * blocks as they lie: inline, so that a type that is a constant costs no choice. Layouts are
 * ggml-common.h's, formulas ggml-quants.c's. */
#ifndef ATTN_QUANT_READ_H
#define ATTN_QUANT_READ_H

#include "attn_kernel.h"
#include "quant.h"

#include "types.h"

#include <string.h>

enum { QK = 32, QK_K = 256 }; /* elements of a block */

/* --- Bytes --- */

static inline uint32_t read_u16(const uint8_t *b) {
    return (uint32_t)b[0] | (uint32_t)b[1] << 8;
}

static inline uint32_t read_u32(const uint8_t *b) {
    return read_u16(b) | read_u16(b + 2) << 16;
}

static inline float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float read_half(const uint8_t *b) {
    return attn_float_value(read_u16(b), 16, 5);
}

/* --- Codes --- */

typedef uint8_t bytes __attribute__((vector_size(16)));
typedef uint64_t words __attribute__((vector_size(16)));

static inline bytes read_bytes(const uint8_t *from) {
    bytes b;
    memcpy(&b, from, sizeof b);
    return b;
}

static inline void write_bytes(uint8_t *to, bytes b) {
    memcpy(to, &b, sizeof b);
}

/* 16 in each byte whose bit of `high` is set, byte 0's lowest. */
static inline bytes fifth_bits(uint32_t high) {
    const uint64_t each = 0x0101010101010101;
    const words both = {(high & 255) * each, (high >> 8 & 255) * each};
    const bytes all = (bytes)both;
    const bytes bit = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    return (bytes)((all & bit) == bit) & 16;
}

/* 16 bytes: elements j in their low halves, j + 16 in the high ones; `high` has a fifth bit of
 * each, element 0's lowest. */
static inline void read_nibbles(const uint8_t *packed, uint32_t high, attn_block_codes *to) {
    const bytes b = read_bytes(packed);
    write_bytes(to->code, (b & 15) | fifth_bits(high));
    write_bytes(to->code + QK / 2, b >> 4 | fifth_bits(high >> 16));
}

static inline void read_q8_0(const uint8_t *b, attn_block_codes *to) {
    for (int j = 0; j < QK; j++) to->code[j] = b[2 + j] ^ 128;
}

static inline void read_q4_0(const uint8_t *b, attn_block_codes *to) {
    read_nibbles(b + 2, 0, to);
}

static inline void read_q4_1(const uint8_t *b, attn_block_codes *to) {
    read_nibbles(b + 4, 0, to);
}

static inline void read_q5_0(const uint8_t *b, attn_block_codes *to) {
    read_nibbles(b + 6, read_u32(b + 2), to);
}

static inline void read_q5_1(const uint8_t *b, attn_block_codes *to) {
    read_nibbles(b + 8, read_u32(b + 4), to);
}

static inline void write_four(int8_t *to, uint32_t v) {
    for (int i = 0; i < 4; i++) to[i] = (int8_t)(v >> 8 * i & 255);
}

/* Scales and minima of 8 parts: 6 bits each, in 12 bytes (get_scale_min_k4). */
static inline void read_parts(const uint8_t *packed, attn_block_codes *to) {
    const uint32_t a = read_u32(packed), b = read_u32(packed + 4), c = read_u32(packed + 8);
    write_four(to->scale, a & 0x3f3f3f3f);
    write_four(to->least, b & 0x3f3f3f3f);
    write_four(to->scale + 4, (c & 0x0f0f0f0f) | (a >> 2 & 0x30303030));
    write_four(to->least + 4, (c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030));
}

/* 16 in each byte whose bit j is set. */
static inline bytes fifth_of(bytes high, int j) {
    const uint8_t bit = (uint8_t)(1 << j);
    return (bytes)((high & bit) == bit) & 16;
}

/* Two parts of 32 elements share 32 bytes, one in the low halves and one in the high; bit j of
 * high[l] is the fifth of element l of part j. */
static inline void read_q45_k(const uint8_t *b, const uint8_t *high, const uint8_t *low,
                              attn_block_codes *to) {
    read_parts(b + 4, to);
    for (int j = 0; j < 8; j += 2, low += 32) {
        for (int l = 0; l < 32; l += 16) {
            const bytes q = read_bytes(low + l);
            bytes first = q & 15, second = q >> 4;
            if (high) {
                const bytes h = read_bytes(high + l);
                first |= fifth_of(h, j), second |= fifth_of(h, j + 1);
            }
            write_bytes(to->code + 32 * j + l, first);
            write_bytes(to->code + 32 * j + 32 + l, second);
        }
    }
}

static inline void read_q4_k(const uint8_t *b, attn_block_codes *to) {
    read_q45_k(b, NULL, b + 16, to);
}

static inline void read_q5_k(const uint8_t *b, attn_block_codes *to) {
    read_q45_k(b, b + 16, b + 48, to);
}

/* Halves of 128 elements: 64 bytes of low halves, 32 of pairs of bits, 8 scales of 16 elements. */
static inline void read_q6_k(const uint8_t *b, attn_block_codes *to) {
    for (int at = 0; at < 64; at += 16) { /* of the low halves: 32 a half */
        const uint8_t *low = b + at / 32 * 64 + at % 32;
        const bytes first = read_bytes(low), second = read_bytes(low + 32);
        const bytes high = read_bytes(b + 128 + at);
        uint8_t *code = to->code + at / 32 * 128 + at % 32;
        write_bytes(code, (first & 15) | (high << 4 & 0x30));
        write_bytes(code + 32, (second & 15) | (high << 2 & 0x30));
        write_bytes(code + 64, first >> 4 | (high & 0x30));
        write_bytes(code + 96, second >> 4 | (high >> 2 & 0x30));
    }
    memcpy(to->scale, b + 192, 16);
}

static inline void read_mxfp4(const uint8_t *b, attn_block_codes *to) {
    read_nibbles(b + 1, 0, to);
}

/* Twice the values of E2M1; the block's scale is half of what its exponent says. */
static const int8_t mxfp4_value[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* What stands at 16 places of the table, in registers: 0 .. 4, then 1, 2 and 5 more. */
static inline bytes mxfp4_values(bytes place) {
    typedef int8_t signs __attribute__((vector_size(16)));
    const signs m = (signs)(place & 7), minus = (signs)place > 7;
    const signs v = m - (m > 4) - (m > 5) + ((m > 6) & 3);
    return (bytes)((v ^ minus) - minus);
}

/* 2^(e - 128). ggml has no NaN here: 255 is 2^127. */
static inline float mxfp4_scale(uint8_t e) {
    return float_of(e < 2 ? 0x00200000u << e : (e - 1u) << 23);
}

/* Where a block has the scale of its scales or elements; the minimum's follows it. */
static inline int scale_at(int32_t type) {
    return type == ATTN_WEIGHT_Q6_K ? 208 : 0;
}

/* As attn_block_read; type may be a constant. */
static ATTN_INLINE void attn_read_block(const uint8_t *b, int32_t type, attn_block_codes *to) {
    switch (type) {
    case ATTN_WEIGHT_Q8_0: read_q8_0(b, to); break;
    case ATTN_WEIGHT_Q4_0: read_q4_0(b, to); break;
    case ATTN_WEIGHT_Q4_1: read_q4_1(b, to); break;
    case ATTN_WEIGHT_Q5_0: read_q5_0(b, to); break;
    case ATTN_WEIGHT_Q5_1: read_q5_1(b, to); break;
    case ATTN_WEIGHT_Q4_K: read_q4_k(b, to); break;
    case ATTN_WEIGHT_Q5_K: read_q5_k(b, to); break;
    case ATTN_WEIGHT_Q6_K: read_q6_k(b, to); break;
    default:
        read_mxfp4(b, to);
        to->d = mxfp4_scale(b[0]);
        return;
    }
    const uint8_t *d = b + scale_at(type);
    to->d = read_half(d);
    to->min = attn_weight_layout_of(type).min ? read_half(d + 2) : 0;
}

/* Likewise, but of mxfp4 twice the values, signed bytes. */
static ATTN_INLINE void attn_read_values(const uint8_t *b, int32_t type, attn_block_codes *to) {
    if (type != ATTN_WEIGHT_MXFP4) {
        attn_read_block(b, type, to);
        return;
    }
    const bytes place = read_bytes(b + 1);
    write_bytes(to->code, mxfp4_values(place & 15));
    write_bytes(to->code + QK / 2, mxfp4_values(place >> 4));
    to->d = mxfp4_scale(b[0]);
}

#endif
