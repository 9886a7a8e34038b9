/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* avx512bf16.h - the vocabulary of avx512vnni.h, and products of pairs of bf16, summed in f32: a
 * vector of floats holds a pair a lane, the first in the lower half.
 *
 *   vf_pairs(a, b)         lane i: a[i] and b[i], rounded to bf16 (ties to even; NaN stays one)
 *   vf_fma_pairs(a, b, s)  lane i: s and the two products of a's and b's pairs, each added by
 * itself
 *
 * Both take numbers below 2^-126 for zero, and give zero for them. */
#ifndef ATTN_SIMD_AVX512BF16_H
#define ATTN_SIMD_AVX512BF16_H
#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(                                                               \
    __attribute__((                                                                         \
        target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,avx512vnni,avx512bf16"))), \
    apply_to = function)
#define ATTN_TARGET_END _Pragma("clang attribute pop")
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,avx512vnni,avx512bf16")
#define ATTN_TARGET_END _Pragma("GCC pop_options")
#endif

#include "avx512vnni.h"

ATTN_SIMD vf vf_pairs(vf a, vf b) {
    const vi both = (vi)_mm512_cvtne2ps_pbh(b, a); /* all of a, then all of b */
    const vi order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
                                      23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return vf_bits(_mm512_permutexvar_epi16(order, both));
}
ATTN_SIMD vf vf_fma_pairs(vf a, vf b, vf s) {
    return _mm512_dpbf16_ps(s, (__m512bh)vi_bits(a), (__m512bh)vi_bits(b));
}

#endif
#endif
