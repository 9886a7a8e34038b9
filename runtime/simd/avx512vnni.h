/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* avx512vnni.h - the vocabulary of avx512.h, and products of codes of 8 and 16 bits, summed in 32
 * bits (VNNI). Sums wrap: they are exact where their total is in range. W is VF_WIDTH: avxvnni.h
 * promises the same.
 *
 *   vi_dot_words(s, a, b)  lane i: s + the products of 2 signed words
 *   vi_dot_bytes(s, a, b)  lane i: s + the products of 4 bytes, a's unsigned, b's signed
 *   vi_add_dots(s, a, b)   the same as vi_dot_bytes, for sums that stay in registers
 *   vi_words vi_wordsn     2 W codes of 8 bits as words; the first n of them, then zeros
 *   vi_bytes vi_bytesn     4 W codes as they are; likewise
 *   vi_flip(a)             bytes: each signed code plus 128, unsigned
 *   vi_sums(a)             lane i: the sum of the lanes of a[i]
 *   vi_key_bytes(u, r, to) u: key i / r of row i % r, 0..255 in the lowest byte, a vector or those
 *                          of 4 keys. Puts the bytes of 4 keys of a row into an element of `to`
 *                          [4 keys][r]; r is a constant, 1, 2, 4 or 8
 *   vi_weave(row, to)      4 W columns of 4 rows of codes into 4 vectors, a lane the rows of a
 *                          column: lane i of vector j is column 16 (i / 4) + 4 j + i % 4
 *   vi_weave_few(row, n)   the first n columns, up to W, of 4 rows into one; lane i is column i
 *   vf_unweave(r)          4 vectors of floats whose lanes are columns as in vi_weave, to columns
 *                          in order */
#ifndef ATTN_SIMD_AVX512VNNI_H
#define ATTN_SIMD_AVX512VNNI_H
#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if !defined ATTN_TARGET_END /* else that of an instruction set with more than this one */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(                                                               \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,avx512vnni"))), \
    apply_to = function)
#define ATTN_TARGET_END _Pragma("clang attribute pop")
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,avx512vnni")
#define ATTN_TARGET_END _Pragma("GCC pop_options")
#endif
#endif

#include "avx512.h"

ATTN_SIMD vi vi_dot_words(vi s, vi a, vi b) {
    return _mm512_dpwssd_epi32(s, a, b);
}
ATTN_SIMD vi vi_dot_bytes(vi s, vi a, vi b) {
    return _mm512_dpbusd_epi32(s, a, b);
}
/* gcc 12 copies the sums around the intrinsic where a loop carries many. */
ATTN_SIMD vi vi_add_dots(vi s, vi a, vi b) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(s) : "v"(a), "v"(b));
    return s;
}
ATTN_SIMD vi vi_words(const int8_t *p) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i_u *)(const void *)p));
}
ATTN_SIMD vi vi_wordsn(const int8_t *p, int n) {
    const __mmask32 first = n >= 32 ? 0xffffffff : ((__mmask32)1 << n) - 1;
    return _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(first, p));
}
ATTN_SIMD vi vi_bytes(const int8_t *p) {
    return _mm512_loadu_si512((const void *)p);
}
ATTN_SIMD vi vi_bytesn(const int8_t *p, int n) {
    const __mmask64 first = n >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << n) - 1;
    return _mm512_maskz_loadu_epi8(first, p);
}
ATTN_SIMD vi vi_flip(vi a) {
    return _mm512_xor_si512(a, _mm512_set1_epi8(-128));
}

/* As vf_sums. */
ATTN_SIMD vi attn__foldi(vi a, vi b) {
    return _mm512_add_epi32(_mm512_mask_blend_epi32(0xff00, a, b),
                            _mm512_shuffle_i32x4(a, b, _MM_SHUFFLE(1, 0, 3, 2)));
}
ATTN_SIMD vi attn__foldi2(vi a, vi b) {
    return _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, _MM_SHUFFLE(2, 0, 2, 0)),
                            _mm512_shuffle_i32x4(a, b, _MM_SHUFFLE(3, 1, 3, 1)));
}
ATTN_SIMD vi attn__foldi3(vi a, vi b) {
    const vf swapped = _mm512_shuffle_ps(vf_bits(a), vf_bits(b), _MM_SHUFFLE(1, 0, 3, 2));
    return _mm512_add_epi32(_mm512_mask_blend_epi32(0xcccc, a, b), vi_bits(swapped));
}
ATTN_SIMD vi attn__sums4i(const vi *a) {
    return attn__foldi2(attn__foldi(a[0], a[4]), attn__foldi(a[8], a[12]));
}
ATTN_SIMD vi vi_sums(const vi *a) {
    const vi u = attn__foldi3(attn__sums4i(a), attn__sums4i(a + 1));
    const vi v = attn__foldi3(attn__sums4i(a + 2), attn__sums4i(a + 3));
    const vf even = _mm512_shuffle_ps(vf_bits(u), vf_bits(v), _MM_SHUFFLE(2, 0, 2, 0));
    const vf odd = _mm512_shuffle_ps(vf_bits(u), vf_bits(v), _MM_SHUFFLE(3, 1, 3, 1));
    return _mm512_add_epi32(vi_bits(even), vi_bits(odd));
}

ATTN_SIMD void vi_key_bytes(const vi *u, const int r, uint32_t *to) {
    __m128i a = _mm512_cvtepi32_epi8(u[0]);
    if (r == 2)
        a = _mm_shuffle_epi8(a,
                             _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15));
    if (r == 4)
        a = _mm_shuffle_epi8(a,
                             _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    if (r == 8) {
        const __m128i pairs = _mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
        const __m128i b = _mm_shuffle_epi8(_mm512_cvtepi32_epi8(u[1]), pairs);
        a = _mm_shuffle_epi8(a, pairs);
        _mm_storeu_si128((__m128i_u *)(void *)(to + 4), _mm_unpackhi_epi16(a, b));
        a = _mm_unpacklo_epi16(a, b);
    }
    _mm_storeu_si128((__m128i_u *)(void *)to, a);
}

ATTN_SIMD void vi_weave(const vi *row, vi *to) {
    const vi a = _mm512_unpacklo_epi8(row[0], row[1]), b = _mm512_unpackhi_epi8(row[0], row[1]);
    const vi c = _mm512_unpacklo_epi8(row[2], row[3]), d = _mm512_unpackhi_epi8(row[2], row[3]);
    to[0] = _mm512_unpacklo_epi16(a, c), to[1] = _mm512_unpackhi_epi16(a, c);
    to[2] = _mm512_unpacklo_epi16(b, d), to[3] = _mm512_unpackhi_epi16(b, d);
}
ATTN_SIMD __m128i attn__codes16(const int8_t *p, int n) {
    return _mm_maskz_loadu_epi8(attn__first(n), p);
}
ATTN_SIMD vi vi_weave_few(const int8_t *const *row, int n) {
    const __m128i r = attn__codes16(row[0], n), s = attn__codes16(row[1], n);
    const __m128i t = attn__codes16(row[2], n), u = attn__codes16(row[3], n);
    const __m128i a = _mm_unpacklo_epi8(r, s), b = _mm_unpackhi_epi8(r, s);
    const __m128i c = _mm_unpacklo_epi8(t, u), d = _mm_unpackhi_epi8(t, u);
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_unpacklo_epi16(a, c)),
                                                _mm_unpackhi_epi16(a, c), 1);
    const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_unpacklo_epi16(b, d)),
                                                 _mm_unpackhi_epi16(b, d), 1);
    return _mm512_inserti32x8(_mm512_castsi256_si512(low), high, 1);
}
/* A transpose of 4 x 4 quarters. */
ATTN_SIMD void vf_unweave(vf *r) {
    const vf a = _mm512_shuffle_f32x4(r[0], r[1], _MM_SHUFFLE(1, 0, 1, 0));
    const vf b = _mm512_shuffle_f32x4(r[2], r[3], _MM_SHUFFLE(1, 0, 1, 0));
    const vf c = _mm512_shuffle_f32x4(r[0], r[1], _MM_SHUFFLE(3, 2, 3, 2));
    const vf d = _mm512_shuffle_f32x4(r[2], r[3], _MM_SHUFFLE(3, 2, 3, 2));
    r[0] = _mm512_shuffle_f32x4(a, b, _MM_SHUFFLE(2, 0, 2, 0));
    r[1] = _mm512_shuffle_f32x4(a, b, _MM_SHUFFLE(3, 1, 3, 1));
    r[2] = _mm512_shuffle_f32x4(c, d, _MM_SHUFFLE(2, 0, 2, 0));
    r[3] = _mm512_shuffle_f32x4(c, d, _MM_SHUFFLE(3, 1, 3, 1));
}

#endif
#endif
