/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* scalar.h - what generated expression code computes once a call or once a key: wrapping 32-bit
 * integers (no undefined behaviour, a zero divisor gives 0), f32 helpers, and reads of side tensors
 * that never leave the tensor. */
#ifndef ATTN_SIMD_SCALAR_H
#define ATTN_SIMD_SCALAR_H

#include "../attn_kernel.h"

static inline int32_t attn_wrap32(int64_t v) {
    uint32_t u = (uint32_t)v;
    int32_t r;
    memcpy(&r, &u, sizeof r);
    return r;
}

static inline int32_t attn_add32(int32_t a, int32_t b) {
    return attn_wrap32((int64_t)a + b);
}

static inline int32_t attn_sub32(int32_t a, int32_t b) {
    return attn_wrap32((int64_t)a - b);
}

static inline int32_t attn_mul32(int32_t a, int32_t b) {
    return attn_wrap32((int64_t)a * b);
}

static inline int32_t attn_neg32(int32_t a) {
    return attn_wrap32(-(int64_t)a);
}

static inline int32_t attn_abs32(int32_t a) {
    return a < 0 ? attn_neg32(a) : a;
}

/* Floor of a / b; b is not 0. */
static inline int64_t attn_floordiv64(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static inline int32_t attn_floordiv32(int32_t a, int32_t b) {
    return b == 0 ? 0 : attn_wrap32(attn_floordiv64(a, b));
}

static inline int32_t attn_floormod32(int32_t a, int32_t b) {
    return b == 0 ? 0 : (int32_t)(a - attn_floordiv64(a, b) * b);
}

static inline int32_t attn_shl32(int32_t a, int32_t n) {
    return attn_wrap32((int64_t)((uint32_t)a << (n & 31)));
}

/* Arithmetic; written without the implementation-defined shift of a negative number. */
static inline int32_t attn_shr32(int32_t a, int32_t n) {
    return a < 0 ? ~(~a >> (n & 31)) : a >> (n & 31);
}

/* Functions, so that compilers do not warn about (q & 4) == 3. */
static inline int32_t attn_and32(int32_t a, int32_t b) {
    return a & b;
}

static inline int32_t attn_or32(int32_t a, int32_t b) {
    return a | b;
}

static inline int32_t attn_xor32(int32_t a, int32_t b) {
    return a ^ b;
}

/* int(a): towards zero; what 32 bits do not hold becomes the nearest that they do, NaN 0. */
static inline int32_t attn_intd(double a) {
    if (isnan(a)) return 0;
    return a >= 0x1p31 ? INT32_MAX : a <= -0x1p31 ? INT32_MIN : (int32_t)a;
}

static inline int32_t attn_intf(float a) {
    return attn_intd((double)a);
}

static inline int32_t attn_min32(int32_t a, int32_t b) {
    return a < b ? a : b;
}

static inline int32_t attn_max32(int32_t a, int32_t b) {
    return a > b ? a : b;
}

static inline float attn_minf(float a, float b) {
    return a < b ? a : b;
}

static inline float attn_maxf(float a, float b) {
    return a > b ? a : b;
}

static inline float attn_sigmoidf(float a) {
    return 1.0f / (1.0f + expf(-a));
}

static inline float attn_floormodf(float a, float b) {
    return a - b * floorf(a / b);
}

static inline double attn_mind(double a, double b) {
    return a < b ? a : b;
}

static inline double attn_maxd(double a, double b) {
    return a > b ? a : b;
}

static inline double attn_sigmoidd(double a) {
    return 1.0 / (1.0 + exp(-a));
}

static inline double attn_floormodd(double a, double b) {
    return a - b * floor(a / b);
}

/* Index i of n >= 1 elements, moved into range. */
static inline int32_t attn_clamp_index(int32_t i, int32_t n) {
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* Row-major position after one more dimension: `row` of rows of n, at clamped index i. */
static inline int64_t attn_flat(int64_t row, int32_t i, int32_t n) {
    return row * n + attn_clamp_index(i, n);
}

/* A tensor without elements is never read: it is replaced by one zero whose dims are all 1. */
static inline const float *attn_side_f32(const attn_expr_ctx *x, int t) {
    static const float zero = 0;
    const attn_side *side = &x->args->side[t];
    return side->count > 0 ? (const float *)side->data : &zero;
}

static inline const int32_t *attn_side_i32(const attn_expr_ctx *x, int t) {
    static const int32_t zero = 0;
    const attn_side *side = &x->args->side[t];
    return side->count > 0 ? (const int32_t *)side->data : &zero;
}

static inline int32_t attn_side_dim(const attn_expr_ctx *x, int t, int32_t n) {
    return x->args->side[t].count > 0 ? n : 1;
}

/* attn_flat for the oracle: reports an index that is out of range. */
static inline int64_t attn_flat_checked(int64_t row, int32_t i, int32_t n, bool *oob) {
    if (i < 0 || i >= n) *oob = true;
    return n > 0 ? attn_flat(row, i, n) : 0;
}

static inline double attn_read_f32(const attn_expr_ctx *x, int t, int64_t at) {
    const attn_side *side = &x->args->side[t];
    return at < side->count ? (double)((const float *)side->data)[at] : 0;
}

static inline int32_t attn_read_i32(const attn_expr_ctx *x, int t, int64_t at) {
    const attn_side *side = &x->args->side[t];
    return at < side->count ? ((const int32_t *)side->data)[at] : 0;
}

#endif
