/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* avxvnni.h - the vocabulary of avx2.h, and products of codes, on AVX-VNNI: what the names promise
 * says avx512vnni.h. */
#ifndef ATTN_SIMD_AVXVNNI_H
#define ATTN_SIMD_AVXVNNI_H
#if defined(__x86_64__)

#include "../compiler.h"
#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)
#define ATTN_TARGET_END _Pragma("clang attribute pop")
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avxvnni")
#define ATTN_TARGET_END _Pragma("GCC pop_options")
#endif

#include "avx2.h"

ATTN_SIMD vi vi_dot_words(vi s, vi a, vi b) {
    return _mm256_dpwssd_avx_epi32(s, a, b);
}
ATTN_SIMD vi vi_dot_bytes(vi s, vi a, vi b) {
    return _mm256_dpbusd_avx_epi32(s, a, b);
}
ATTN_SIMD vi vi_add_dots(vi s, vi a, vi b) {
#if ATTN_GCC /* copies the sums around the intrinsic where a loop carries many */
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(s) : "x"(a), "x"(b));
    return s;
#else
    return vi_dot_bytes(s, a, b);
#endif
}

/* n is a constant: no more is read. */
ATTN_SIMD __m128i attn__codes16(const int8_t *p, int n) {
    _Alignas(16) int8_t first[16] = {0};
    memcpy(first, p, (size_t)n);
    return _mm_load_si128((const __m128i *)(const void *)first);
}
ATTN_SIMD vi vi_words(const int8_t *p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i_u *)(const void *)p));
}
ATTN_SIMD vi vi_wordsn(const int8_t *p, int n) {
    return n >= 16 ? vi_words(p) : _mm256_cvtepi8_epi16(attn__codes16(p, n));
}
ATTN_SIMD vi vi_bytes(const int8_t *p) {
    return _mm256_loadu_si256((const __m256i_u *)(const void *)p);
}
ATTN_SIMD vi vi_bytesn(const int8_t *p, int n) {
    const int low = n < 16 ? n : 16;
    if (n >= 32) return vi_bytes(p);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(attn__codes16(p, low)),
                                   attn__codes16(p + low, n - low), 1);
}
ATTN_SIMD vi vi_flip(vi a) {
    return _mm256_xor_si256(a, _mm256_set1_epi8(-128));
}

/* As vf_sums. */
ATTN_SIMD vi attn__foldi(vi a, vi b) {
    return _mm256_add_epi32(_mm256_blend_epi32(a, b, 0xf0), _mm256_permute2x128_si256(a, b, 0x21));
}
ATTN_SIMD vi attn__foldi2(vi a, vi b) {
    const vf swapped = _mm256_shuffle_ps(vf_bits(a), vf_bits(b), _MM_SHUFFLE(1, 0, 3, 2));
    return _mm256_add_epi32(_mm256_blend_epi32(a, b, 0xcc), vi_bits(swapped));
}
ATTN_SIMD vi vi_sums(const vi *a) {
    const vi u = attn__foldi2(attn__foldi(a[0], a[4]), attn__foldi(a[1], a[5]));
    const vi v = attn__foldi2(attn__foldi(a[2], a[6]), attn__foldi(a[3], a[7]));
    const vf even = _mm256_shuffle_ps(vf_bits(u), vf_bits(v), _MM_SHUFFLE(2, 0, 2, 0));
    const vf odd = _mm256_shuffle_ps(vf_bits(u), vf_bits(v), _MM_SHUFFLE(3, 1, 3, 1));
    return _mm256_add_epi32(vi_bits(even), vi_bits(odd));
}

/* The lowest bytes of 8 lanes. */
ATTN_SIMD __m128i attn__lowest(vi a) {
    const vi bytes = _mm256_shuffle_epi8(a, _mm256_set1_epi32(0x0c080400));
    return _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
}
ATTN_SIMD void vi_key_bytes(const vi *u, const int r, uint32_t *to) {
    __m128i a = attn__lowest(u[0]);
    if (r == 2)
        a = _mm_shuffle_epi8(a, _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 0, 0, 0, 0, 0, 0, 0, 0));
    if (r <= 2) {
        _mm_storel_epi64((__m128i_u *)(void *)to, a);
        return;
    }
    __m128i b = attn__lowest(u[1]);
    if (r == 4) {
        const __m128i rows = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        a = _mm_shuffle_epi8(_mm_unpacklo_epi64(a, b), rows);
    } else {
        a = _mm_unpacklo_epi8(a, b);
        b = _mm_unpacklo_epi8(attn__lowest(u[2]), attn__lowest(u[3]));
        _mm_storeu_si128((__m128i_u *)(void *)(to + 4), _mm_unpackhi_epi16(a, b));
        a = _mm_unpacklo_epi16(a, b);
    }
    _mm_storeu_si128((__m128i_u *)(void *)to, a);
}

ATTN_SIMD void vi_weave(const vi *row, vi *to) {
    const vi a = _mm256_unpacklo_epi8(row[0], row[1]), b = _mm256_unpackhi_epi8(row[0], row[1]);
    const vi c = _mm256_unpacklo_epi8(row[2], row[3]), d = _mm256_unpackhi_epi8(row[2], row[3]);
    to[0] = _mm256_unpacklo_epi16(a, c), to[1] = _mm256_unpackhi_epi16(a, c);
    to[2] = _mm256_unpacklo_epi16(b, d), to[3] = _mm256_unpackhi_epi16(b, d);
}
ATTN_SIMD vi vi_weave_few(const int8_t *const *row, int n) {
    const __m128i a = _mm_unpacklo_epi8(attn__codes16(row[0], n), attn__codes16(row[1], n));
    const __m128i b = _mm_unpacklo_epi8(attn__codes16(row[2], n), attn__codes16(row[3], n));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_unpacklo_epi16(a, b)),
                                   _mm_unpackhi_epi16(a, b), 1);
}
ATTN_SIMD void vf_unweave(vf *r) {
    attn__halves(r, r + 1), attn__halves(r + 2, r + 3);
    const vf high = r[1];
    r[1] = r[2], r[2] = high;
}

#endif
#endif
