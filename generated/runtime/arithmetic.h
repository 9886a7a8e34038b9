/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* arithmetic.h - the arithmetic that kernels and runtime are written for: every operation rounded
 * to its own type, in the order in which it stands, with NaN, infinities and signed zeros. Options
 * that take this away are refused: here where a macro tells of them, by attn_arithmetic_ok where
 * none does. Harmless: -fno-math-errno, -fno-trapping-math, -frounding-math, -ffp-contract=fast. */
#ifndef ATTN_ARITHMETIC_H
#define ATTN_ARITHMETIC_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__FAST_MATH__)
#error \
    "attn: -ffast-math (or -Ofast) makes this code wrong: compile it without that option, for example with -O2"
#elif defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#error "attn: -ffinite-math-only makes this code wrong: compile it without that option"
#elif defined(__ASSOCIATIVE_MATH__)
#error \
    "attn: -fassociative-math (or -funsafe-math-optimizations) makes this code wrong: compile it without that option"
#elif defined(__RECIPROCAL_MATH__)
#error "attn: -freciprocal-math makes this code inexact: compile it without that option"
#elif defined(__NO_SIGNED_ZEROS__)
#error "attn: -fno-signed-zeros makes this code wrong: compile it without that option"
#elif defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ < 0
#error \
    "attn: floats are evaluated as the compiler likes (a part of -ffast-math, or -mfpmath=both), which makes this code wrong: compile it without that option"
#elif defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error \
    "attn: floats are evaluated as wider ones (x87), which makes this code wrong: compile it with -msse2 -mfpmath=sse, or for x86-64"
#endif

/* Whether the options with which this very file is compiled keep that arithmetic. The operands are
 * volatile, so that nothing is known before it runs. Raises no floating-point exception but
 * "inexact". */
static inline bool attn_arithmetic_ok(void) {
    volatile float one = 1.0f, three = 3.0f, five = 5.0f, tiny = 0x1p-30f, minus_zero = -0.0f;
    volatile float infinite = INFINITY, nan = NAN;
    /* In the order written, and each sum a float: -fassociative-math, x87. */
    const float a = one, sum = a + tiny, rounded = (tiny + 0x1.8p23f) - 0x1.8p23f;
    if (sum - a != 0.0f || rounded != 0.0f) return false;
    /* -fno-honor-nans, -fno-honor-infinities */
    const float n = nan, i = infinite;
    if (n == n || i != INFINITY) return false;
    /* -fno-signed-zeros: -0 + 0 is 0 */
    const float zero = minus_zero + 0.0f;
    uint32_t bits;
    memcpy(&bits, &zero, sizeof bits);
    if (bits != 0) return false;
    /* -freciprocal-math: 5 * (1 / 3) is another float */
    const float constant = five / 3.0f, variable = five / three;
    if (constant != 0x1.aaaaaap+0f || variable != 0x1.aaaaaap+0f) return false;
    return sizeof(1.0) == sizeof(double); /* -fsingle-precision-constant */
}

#endif
