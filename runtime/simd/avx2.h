/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* avx2.h - the vector vocabulary on AVX2, FMA and F16C, 8 lanes. Everything from here to
 * ATTN_TARGET_END is compiled for that ISA, whatever the command line says. What the names promise:
 * portable.h. */
#ifndef ATTN_SIMD_AVX2_H
#define ATTN_SIMD_AVX2_H
#if defined(__x86_64__)

#if defined VF_WIDTH
#error "one ISA a file"
#endif

#include "../compiler.h"
#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define VF_WIDTH 8
#define ATTN_SIMD_FMA 1
#define ATTN_SIMD_F16C 1
#define ATTN_SIMD static inline __attribute__((always_inline, unused))
#define ATTN_EACH(n) _Pragma("GCC unroll 4") for (int i = 0; i < (n); i++)

#if !defined ATTN_TARGET_END /* else that of an instruction set with more than this one */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#define ATTN_TARGET_END _Pragma("clang attribute pop")
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#define ATTN_TARGET_END _Pragma("GCC pop_options")
#endif
#endif

#define ATTN_PREFETCH_L1(at) __builtin_prefetch((const void *)((at) | (uintptr_t)0), 0, 3)
#define ATTN_PREFETCH_L2(at) __builtin_prefetch((const void *)((at) | (uintptr_t)0), 0, 2)

typedef __m256 vf;
typedef __m256i vi;
typedef __m256 vm; /* lanes of all ones or all zeros */

ATTN_SIMD vi vi_bits(vf a) {
    return _mm256_castps_si256(a);
}
ATTN_SIMD vf vf_bits(vi a) {
    return _mm256_castsi256_ps(a);
}

/* --- i32 --- */
ATTN_SIMD vi vi_set1(int32_t a) {
    return _mm256_set1_epi32(a);
}
ATTN_SIMD vi vi_iota(void) {
    return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
}
ATTN_SIMD vi vi_load(const int32_t *p) {
    return _mm256_load_si256((const __m256i *)(const void *)p);
}
ATTN_SIMD vi vi_loadu(const int32_t *p) {
    return _mm256_loadu_si256((const __m256i_u *)(const void *)p);
}
ATTN_SIMD void vi_store(int32_t *p, vi a) {
    _mm256_store_si256((__m256i *)(void *)p, a);
}
ATTN_SIMD void vi_storeu(int32_t *p, vi a) {
    _mm256_storeu_si256((__m256i_u *)(void *)p, a);
}
/* 8 bits a lane, as they lie in memory: sign-extended; stored, the lowest. */
ATTN_SIMD vi vi_loadu_i8(const int8_t *p) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i_u *)(const void *)p));
}
ATTN_SIMD vi vi_loadn_i8(const int8_t *p, int n) {
    if (n >= 8) return vi_loadu_i8(p);
    uint64_t a = 0;
    for (int i = 0; i < n; i++) a |= (uint64_t)(uint8_t)p[i] << (8 * i);
    return _mm256_cvtepi8_epi32(_mm_cvtsi64_si128((long long)a));
}
ATTN_SIMD void vi_storen_i8(int8_t *p, vi a, int n) {
    const vi bytes = _mm256_shuffle_epi8(a, _mm256_set1_epi32(0x0c080400));
    const uint32_t low = (uint32_t)_mm256_extract_epi32(bytes, 0);
    const uint64_t all = (uint64_t)(uint32_t)_mm256_extract_epi32(bytes, 4) << 32 | low;
    if (n >= 8)
        memcpy(p, &all, sizeof all);
    else
        for (int i = 0; i < n; i++) p[i] = (int8_t)(all >> (8 * i));
}
/* 16 bits a lane, as they lie in memory: zero-extended; stored, the lower halves. */
ATTN_SIMD vi vi_loadu_u16(const uint16_t *p) {
    return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i_u *)(const void *)p));
}
ATTN_SIMD vi vi_loadu_pairs(const uint16_t *p) {
    return _mm256_loadu_si256((const __m256i_u *)(const void *)p);
}
/* p[at] .. p[at + 3], of which those below n are read; the others are 0. */
ATTN_SIMD long long attn__few_u16(const uint16_t *p, int at, int n) {
    uint64_t a = 0;
    if (n > at) a = p[at];
    if (n > at + 1) a |= (uint64_t)p[at + 1] << 16;
    if (n > at + 2) a |= (uint64_t)p[at + 2] << 32;
    if (n > at + 3) a |= (uint64_t)p[at + 3] << 48;
    return (long long)a;
}
ATTN_SIMD __m128i attn__loadn_u16(const uint16_t *p, int n) {
    return _mm_set_epi64x(attn__few_u16(p, 4, n), attn__few_u16(p, 0, n));
}
ATTN_SIMD void attn__storen_u16(uint16_t *p, __m128i a, int n) {
    if (n >= 8) {
        _mm_storeu_si128((__m128i_u *)(void *)p, a);
        return;
    }
    uint64_t low = (uint64_t)_mm_cvtsi128_si64(a);
    if (n >= 4) {
        memcpy(p, &low, sizeof low);
        low = (uint64_t)_mm_extract_epi64(a, 1);
        p += 4, n -= 4;
    }
    for (int i = 0; i < n; i++, low >>= 16) p[i] = (uint16_t)low;
}
ATTN_SIMD vi vi_loadn_u16(const uint16_t *p, int n) {
    return _mm256_cvtepu16_epi32(attn__loadn_u16(p, n));
}
ATTN_SIMD void vi_storen_u16(uint16_t *p, vi a, int n) {
    const vi halves = _mm256_and_si256(a, _mm256_set1_epi32(0xffff));
    const __m128i high = _mm256_extracti128_si256(halves, 1);
    attn__storen_u16(p, _mm_packus_epi32(_mm256_castsi256_si128(halves), high), n);
}
ATTN_SIMD vi vi_add(vi a, vi b) {
    return _mm256_add_epi32(a, b);
}
ATTN_SIMD vi vi_sub(vi a, vi b) {
    return _mm256_sub_epi32(a, b);
}
ATTN_SIMD vi vi_mul(vi a, vi b) {
    return _mm256_mullo_epi32(a, b);
}
ATTN_SIMD vi vi_neg(vi a) {
    return _mm256_sub_epi32(_mm256_setzero_si256(), a);
}
ATTN_SIMD vi vi_abs(vi a) {
    return _mm256_abs_epi32(a);
}
ATTN_SIMD vi vi_and(vi a, vi b) {
    return _mm256_and_si256(a, b);
}
ATTN_SIMD vi vi_or(vi a, vi b) {
    return _mm256_or_si256(a, b);
}
ATTN_SIMD vi vi_not(vi a) {
    return _mm256_xor_si256(a, _mm256_set1_epi32(-1));
}
ATTN_SIMD vi vi_shl(vi a, vi counts) {
    return _mm256_sllv_epi32(a, _mm256_and_si256(counts, _mm256_set1_epi32(31)));
}
ATTN_SIMD vi vi_shr(vi a, vi counts) {
    return _mm256_srav_epi32(a, _mm256_and_si256(counts, _mm256_set1_epi32(31)));
}
ATTN_SIMD vi attn__shl23(vi a) {
    return _mm256_slli_epi32(a, 23);
}
ATTN_SIMD vi attn__shr23(vi a) {
    return _mm256_srai_epi32(a, 23);
}
ATTN_SIMD vi vi_byte(vi a, const int n) {
    if (n == 0) return _mm256_and_si256(a, _mm256_set1_epi32(255));
    if (n == 3) return _mm256_srli_epi32(a, 24);
    const __m256i quarter = _mm256_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12);
    return _mm256_shuffle_epi8(a, _mm256_add_epi32(quarter, _mm256_set1_epi32(n - 256)));
}
ATTN_SIMD vi vi_low_halves(vi a) {
    return _mm256_and_si256(a, _mm256_set1_epi8(15));
}
ATTN_SIMD vi vi_high_halves(vi a) {
    return _mm256_and_si256(_mm256_srli_epi16(a, 4), _mm256_set1_epi8(15));
}
ATTN_SIMD vi vi_pick(const uint8_t *table, vi a) {
    const __m128i t = _mm_loadu_si128((const __m128i_u *)(const void *)table);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(t), a);
}
ATTN_SIMD vi vi_min(vi a, vi b) {
    return _mm256_min_epi32(a, b);
}
ATTN_SIMD vi vi_max(vi a, vi b) {
    return _mm256_max_epi32(a, b);
}
ATTN_SIMD vm vi_gt(vi a, vi b) {
    return vf_bits(_mm256_cmpgt_epi32(a, b));
}
ATTN_SIMD vm vi_lt(vi a, vi b) {
    return vi_gt(b, a);
}
ATTN_SIMD vm vi_le(vi a, vi b) {
    return vf_bits(vi_not(_mm256_cmpgt_epi32(a, b)));
}
ATTN_SIMD vm vi_ge(vi a, vi b) {
    return vi_le(b, a);
}
ATTN_SIMD vm vi_eq(vi a, vi b) {
    return vf_bits(_mm256_cmpeq_epi32(a, b));
}
ATTN_SIMD vm vi_ne(vi a, vi b) {
    return vf_bits(vi_not(_mm256_cmpeq_epi32(a, b)));
}
ATTN_SIMD vi vi_select(vm m, vi a, vi b) {
#if ATTN_NOT_BLEND_FAULT || ATTN_CHAR_BLEND_FAULT /* see compiler.h */
    return vi_bits(_mm256_blendv_ps(vf_bits(b), vf_bits(a), m));
#else
    return _mm256_blendv_epi8(b, a, vi_bits(m));
#endif
}
/* In double the quotient of two int32 never rounds up to an integer; INT_MIN / -1 and x / 0 convert
 * to INT_MIN. */
ATTN_SIMD __m128i attn__floordiv4(__m128i a, __m128i b) {
    const __m256d q = _mm256_div_pd(_mm256_cvtepi32_pd(a), _mm256_cvtepi32_pd(b));
    return _mm256_cvttpd_epi32(_mm256_floor_pd(q));
}
ATTN_SIMD vi vi_floordiv(vi a, vi b) {
    const __m128i lo = attn__floordiv4(_mm256_castsi256_si128(a), _mm256_castsi256_si128(b));
    const __m128i hi =
        attn__floordiv4(_mm256_extracti128_si256(a, 1), _mm256_extracti128_si256(b, 1));
    const vi q = _mm256_inserti128_si256(_mm256_castsi128_si256(lo), hi, 1);
    return _mm256_andnot_si256(_mm256_cmpeq_epi32(b, _mm256_setzero_si256()), q);
}
ATTN_SIMD vi vi_floormod(vi a, vi b) {
    const vi r = vi_sub(a, vi_mul(vi_floordiv(a, b), b));
    return _mm256_andnot_si256(_mm256_cmpeq_epi32(b, _mm256_setzero_si256()), r);
}
ATTN_SIMD vf vi_to_f(vi a) {
    return _mm256_cvtepi32_ps(a);
}
ATTN_SIMD vi vf_to_i(vf a) {
    return _mm256_cvttps_epi32(a);
}
ATTN_SIMD vi vi_gather(const int32_t *p, vi idx) {
    return _mm256_i32gather_epi32((const int *)p, idx, 4);
}
ATTN_SIMD vi attn__revi(vi a) {
    return _mm256_permutevar8x32_epi32(a, _mm256_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0));
}

/* --- masks --- */
ATTN_SIMD vm vm_set1(bool b) {
    return vf_bits(_mm256_set1_epi32(-(int)b));
}
ATTN_SIMD vm vm_first(int n) {
    return vf_bits(_mm256_cmpgt_epi32(_mm256_set1_epi32(n), vi_iota()));
}
ATTN_SIMD vm vm_and(vm a, vm b) {
    return _mm256_and_ps(a, b);
}
ATTN_SIMD vm vm_or(vm a, vm b) {
    return _mm256_or_ps(a, b);
}
ATTN_SIMD vm vm_not(vm a) {
    return vf_bits(vi_not(vi_bits(a)));
}
ATTN_SIMD int vm_any(vm a) {
    return _mm256_movemask_ps(a) != 0;
}
ATTN_SIMD int vm_all(vm a) {
    return _mm256_movemask_ps(a) == 0xff;
}

/* --- f32 --- */
ATTN_SIMD vf vf_zero(void) {
    return _mm256_setzero_ps();
}
ATTN_SIMD vf vf_set1(float a) {
    return _mm256_set1_ps(a);
}
ATTN_SIMD vf vf_bcast(const float *p) {
    return _mm256_broadcast_ss(p);
}
ATTN_SIMD vf vf_load(const float *p) {
    return _mm256_load_ps(p);
}
ATTN_SIMD vf vf_loadu(const float *p) {
    return _mm256_loadu_ps(p);
}
ATTN_SIMD vf vf_loadn(const float *p, int n) {
    return _mm256_maskload_ps(p, vi_bits(vm_first(n)));
}
ATTN_SIMD void vf_store(float *p, vf a) {
    _mm256_store_ps(p, a);
}
ATTN_SIMD void vf_storeu(float *p, vf a) {
    _mm256_storeu_ps(p, a);
}
ATTN_SIMD void vf_storen(float *p, vf a, int n) {
    _mm256_maskstore_ps(p, vi_bits(vm_first(n)), a);
}
/* f16: see f16.h. */
ATTN_SIMD vf vf_loadu_f16(const uint16_t *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i_u *)(const void *)p));
}
ATTN_SIMD vf vf_loadn_f16(const uint16_t *p, int n) {
    return _mm256_cvtph_ps(attn__loadn_u16(p, n));
}
ATTN_SIMD vf vf_bcast_f16(const uint16_t *p) {
    return _mm256_cvtph_ps(_mm_set1_epi16((short)*p));
}
ATTN_SIMD void vf_storen_f16(uint16_t *p, vf a, int n) {
    attn__storen_u16(p, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT), n);
}
ATTN_SIMD vf vf_gather(const float *p, vi idx) {
    return _mm256_i32gather_ps(p, idx, 4);
}
ATTN_SIMD vf vf_add(vf a, vf b) {
    return _mm256_add_ps(a, b);
}
ATTN_SIMD vf vf_sub(vf a, vf b) {
    return _mm256_sub_ps(a, b);
}
ATTN_SIMD vf vf_mul(vf a, vf b) {
    return _mm256_mul_ps(a, b);
}
ATTN_SIMD vf vf_div(vf a, vf b) {
    return _mm256_div_ps(a, b);
}
ATTN_SIMD vf vf_fma(vf a, vf b, vf c) {
    return _mm256_fmadd_ps(a, b, c);
}
ATTN_SIMD vf vf_neg(vf a) {
    return _mm256_xor_ps(a, _mm256_set1_ps(-0.0f));
}
ATTN_SIMD vf vf_abs(vf a) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
ATTN_SIMD vf attn__xorsign(vf a, vf s) {
    return _mm256_xor_ps(a, _mm256_and_ps(s, _mm256_set1_ps(-0.0f)));
}
ATTN_SIMD vf vf_min(vf a, vf b) {
    return _mm256_min_ps(a, b);
}
ATTN_SIMD vf vf_max(vf a, vf b) {
    return _mm256_max_ps(a, b);
}
ATTN_SIMD vf vf_sqrt(vf a) {
    return _mm256_sqrt_ps(a);
}
ATTN_SIMD vf vf_floor(vf a) {
    return _mm256_floor_ps(a);
}
ATTN_SIMD vf vf_rint(vf a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
ATTN_SIMD vf vf_select(vm m, vf a, vf b) {
    return _mm256_blendv_ps(b, a, m);
}
ATTN_SIMD vm vf_lt(vf a, vf b) {
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
ATTN_SIMD vm vf_le(vf a, vf b) {
    return _mm256_cmp_ps(a, b, _CMP_LE_OQ);
}
ATTN_SIMD vm vf_gt(vf a, vf b) {
    return _mm256_cmp_ps(a, b, _CMP_GT_OQ);
}
ATTN_SIMD vm vf_ge(vf a, vf b) {
    return _mm256_cmp_ps(a, b, _CMP_GE_OQ);
}
ATTN_SIMD vm vf_eq(vf a, vf b) {
    return _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
}
ATTN_SIMD vm vf_ne(vf a, vf b) {
    return _mm256_cmp_ps(a, b, _CMP_NEQ_UQ);
}
ATTN_SIMD int vf_any_gt(vf a, vf b) {
    return _mm256_movemask_ps(vf_gt(a, b)) != 0;
}
/* Neighbours change places: lanes 1, 0, 3, 2 .. */
ATTN_SIMD vf vf_swap(vf a) {
    return _mm256_permute_ps(a, 0xb1);
}
ATTN_SIMD vf vf_held(vf a) {
    __asm__("" : "+x"(a));
    return a;
}
ATTN_SIMD vf attn__rev(vf a) {
    return _mm256_permutevar8x32_ps(a, _mm256_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0));
}

/* --- reductions: halves first, so that every one of them adds in the same order --- */
ATTN_SIMD __m128 attn__half_add(vf v) {
    return _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
}
ATTN_SIMD __m128 attn__half_max(vf v) {
    return _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
}
ATTN_SIMD float vf_reduce_add(vf v) {
    __m128 a = attn__half_add(v);
    a = _mm_add_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_add_ss(a, _mm_movehdup_ps(a)));
}
ATTN_SIMD float vf_reduce_max(vf v) {
    __m128 a = attn__half_max(v);
    a = _mm_max_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_max_ss(a, _mm_movehdup_ps(a)));
}
ATTN_SIMD vf attn__fold(vf a, vf b) {
    return _mm256_add_ps(_mm256_blend_ps(a, b, 0xf0), _mm256_permute2f128_ps(a, b, 0x21));
}
ATTN_SIMD vf attn__fold2(vf a, vf b) {
    return _mm256_add_ps(_mm256_blend_ps(a, b, 0xcc),
                         _mm256_shuffle_ps(a, b, _MM_SHUFFLE(1, 0, 3, 2)));
}
ATTN_SIMD vf vf_sums(const vf *a) {
    const vf u = attn__fold2(attn__fold(a[0], a[4]), attn__fold(a[1], a[5]));
    const vf v = attn__fold2(attn__fold(a[2], a[6]), attn__fold(a[3], a[7]));
    return _mm256_add_ps(_mm256_shuffle_ps(u, v, _MM_SHUFFLE(2, 0, 2, 0)),
                         _mm256_shuffle_ps(u, v, _MM_SHUFFLE(3, 1, 3, 1)));
}
/* vf_sums of the first n vectors, a constant of at most 4; the other lanes are 0. */
ATTN_SIMD vf vf_sums_few(const vf *a, const int n) {
    __m128 q[4];
    ATTN_EACH(4) q[i] = i < n ? attn__half_add(a[i]) : _mm_setzero_ps();
    const __m128 u = _mm_add_ps(_mm_movelh_ps(q[0], q[1]), _mm_movehl_ps(q[1], q[0]));
    const __m128 v = _mm_add_ps(_mm_movelh_ps(q[2], q[3]), _mm_movehl_ps(q[3], q[2]));
    return _mm256_zextps128_ps256(_mm_add_ps(_mm_shuffle_ps(u, v, _MM_SHUFFLE(2, 0, 2, 0)),
                                             _mm_shuffle_ps(u, v, _MM_SHUFFLE(3, 1, 3, 1))));
}
ATTN_SIMD vf attn__spread(__m128 a, int r) {
    if (r == 4) return _mm256_insertf128_ps(_mm256_castps128_ps256(a), a, 1);
    if (r == 2) return _mm256_castpd_ps(_mm256_broadcastsd_pd(_mm_castps_pd(a)));
    return _mm256_broadcastss_ps(a);
}
ATTN_SIMD vf vf_stride_add(vf v, int r) {
    if (r >= 8) return v;
    __m128 a = attn__half_add(v);
    if (r < 4) a = _mm_add_ps(a, _mm_movehl_ps(a, a));
    if (r < 2) a = _mm_add_ss(a, _mm_movehdup_ps(a));
    return attn__spread(a, r);
}
ATTN_SIMD vf vf_stride_max(vf v, int r) {
    if (r >= 8) return v;
    __m128 a = attn__half_max(v);
    if (r < 4) a = _mm_max_ps(a, _mm_movehl_ps(a, a));
    if (r < 2) a = _mm_max_ss(a, _mm_movehdup_ps(a));
    return attn__spread(a, r);
}

ATTN_SIMD vf vf_repeat(const float *p, int r) {
    if (r >= 8) return _mm256_broadcast_ss(p);
    if (r == 4)
        return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_broadcast_ss(p)),
                                    _mm_broadcast_ss(p + 1), 1);
    if (r == 2)
        return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)),
                                        _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
    return _mm256_loadu_ps(p);
}

/* 4 x 4 within each half. Straight-line code: gcc 12 -O2 keeps the arrays of a loop in memory. */
ATTN_SIMD void attn__transpose4(vf *r) {
    const vf a = _mm256_unpacklo_ps(r[0], r[1]), b = _mm256_unpackhi_ps(r[0], r[1]);
    const vf c = _mm256_unpacklo_ps(r[2], r[3]), d = _mm256_unpackhi_ps(r[2], r[3]);
    r[0] = _mm256_shuffle_ps(a, c, _MM_SHUFFLE(1, 0, 1, 0));
    r[1] = _mm256_shuffle_ps(a, c, _MM_SHUFFLE(3, 2, 3, 2));
    r[2] = _mm256_shuffle_ps(b, d, _MM_SHUFFLE(1, 0, 1, 0));
    r[3] = _mm256_shuffle_ps(b, d, _MM_SHUFFLE(3, 2, 3, 2));
}
ATTN_SIMD void attn__halves(vf *a, vf *b) {
    const vf low = _mm256_permute2f128_ps(*a, *b, 0x20);
    *b = _mm256_permute2f128_ps(*a, *b, 0x31);
    *a = low;
}
ATTN_SIMD void vf_split(float *p) {
    const vf a = _mm256_load_ps(p), b = _mm256_load_ps(p + 8);
    const __m256d even = _mm256_castps_pd(_mm256_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)));
    const __m256d odd = _mm256_castps_pd(_mm256_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1)));
    _mm256_store_ps(p, _mm256_castpd_ps(_mm256_permute4x64_pd(even, _MM_SHUFFLE(3, 1, 2, 0))));
    _mm256_store_ps(p + 8, _mm256_castpd_ps(_mm256_permute4x64_pd(odd, _MM_SHUFFLE(3, 1, 2, 0))));
}
ATTN_SIMD void vf_join(float *p) {
    const vf even = _mm256_load_ps(p), odd = _mm256_load_ps(p + 8);
    vf a = _mm256_unpacklo_ps(even, odd), b = _mm256_unpackhi_ps(even, odd);
    attn__halves(&a, &b);
    _mm256_store_ps(p, a);
    _mm256_store_ps(p + 8, b);
}
ATTN_SIMD void vf_transpose(vf *r) {
    attn__transpose4(r), attn__transpose4(r + 4);
    attn__halves(r, r + 4), attn__halves(r + 1, r + 5);
    attn__halves(r + 2, r + 6), attn__halves(r + 3, r + 7);
}

#include "math.h"

/* --- Products of codes as integers: see portable.h. --- */
ATTN_SIMD vi vi_bcast4(const int8_t *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
}
ATTN_SIMD void vi_store_bytes(int8_t *p, vi a) {
    vi_storen_i8(p, a, VF_WIDTH);
}
ATTN_SIMD void vi_store_pairs(int16_t *p, vi a) {
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 8, 9, 4, 5, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1));
    const __m256i words = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(a, order), 0x08);
    _mm_storeu_si128((__m128i_u *)(void *)p, _mm256_castsi256_si128(words));
}
ATTN_SIMD int32_t vi_reduce_add(vi a) {
    __m128i b = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    b = _mm_add_epi32(b, _mm_shuffle_epi32(b, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(b, _mm_shuffle_epi32(b, 0xb1)));
}
ATTN_SIMD int32_t vi_reduce_max(vi a) {
    __m128i b = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    b = _mm_max_epi32(b, _mm_shuffle_epi32(b, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(b, _mm_shuffle_epi32(b, 0xb1)));
}
ATTN_SIMD vi vi_round(vf a) {
    return _mm256_cvtps_epi32(a);
}
ATTN_SIMD vi vi_odd_bytes(vi a) {
    return _mm256_srli_epi16(a, 8);
}
/* 12 sums, codes, integers and a product are all 16 registers: left to itself, gcc 12 spills. */
ATTN_SIMD vi vi_add_pairs(vi s, vi a, vi b) {
    vi t;
    __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+x"(s), "=&x"(t) : "x"(a), "x"(b));
    return s;
}
ATTN_SIMD vi vi_add_words(vi s, vi a, vi b) {
    vi t;
    __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(s), "=&x"(t) : "x"(a), "x"(b));
    return s;
}
ATTN_SIMD vi vi_sum_pairs(vi s, vi a, const int16_t times) {
    return _mm256_add_epi32(s, _mm256_madd_epi16(a, _mm256_set1_epi16(times)));
}

#endif
#endif
