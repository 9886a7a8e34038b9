/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* avx512.h - the vector vocabulary on AVX-512 F, BW, DQ and VL, 16 lanes. Everything from here to
 * ATTN_TARGET_END is compiled for that ISA, whatever the command line says. What the names promise:
 * portable.h. */
#ifndef ATTN_SIMD_AVX512_H
#define ATTN_SIMD_AVX512_H
#if defined(__x86_64__)

#if defined VF_WIDTH
#error "one ISA a file"
#endif

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define VF_WIDTH 16
#define ATTN_SIMD_FMA 1
#define ATTN_SIMD_F16C 1
#define ATTN_SIMD static inline __attribute__((always_inline, unused))
#define ATTN_EACH(n) _Pragma("GCC unroll 4") for (int i = 0; i < (n); i++)

#if !defined ATTN_TARGET_END /* else that of an instruction set with more than this one */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(                                                    \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), \
    apply_to = function)
#define ATTN_TARGET_END _Pragma("clang attribute pop")
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
#define ATTN_TARGET_END _Pragma("GCC pop_options")
#endif
#endif

#define ATTN_PREFETCH_L1(at) __builtin_prefetch((const void *)((at) | (uintptr_t)0), 0, 3)
#define ATTN_PREFETCH_L2(at) __builtin_prefetch((const void *)((at) | (uintptr_t)0), 0, 2)

typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

ATTN_SIMD vi vi_bits(vf a) {
    return _mm512_castps_si512(a);
}
ATTN_SIMD vf vf_bits(vi a) {
    return _mm512_castsi512_ps(a);
}

/* --- i32 --- */
ATTN_SIMD vi vi_set1(int32_t a) {
    return _mm512_set1_epi32(a);
}
ATTN_SIMD vi vi_iota(void) {
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
ATTN_SIMD vi vi_load(const int32_t *p) {
    return _mm512_load_si512((const void *)p);
}
ATTN_SIMD vi vi_loadu(const int32_t *p) {
    return _mm512_loadu_si512((const void *)p);
}
ATTN_SIMD void vi_store(int32_t *p, vi a) {
    _mm512_store_si512((void *)p, a);
}
ATTN_SIMD void vi_storeu(int32_t *p, vi a) {
    _mm512_storeu_si512((void *)p, a);
}
/* 16 bits a lane, as they lie in memory: zero-extended; stored, the lower halves. */
ATTN_SIMD vi vi_loadu_u16(const uint16_t *p) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i_u *)(const void *)p));
}
ATTN_SIMD vi vi_loadu_pairs(const uint16_t *p) {
    return _mm512_loadu_si512(p);
}
ATTN_SIMD __mmask16 attn__first(int n) {
    return (__mmask16)(n >= 16 ? 0xffff : n > 0 ? (1 << n) - 1 : 0);
}
/* 8 bits a lane, as they lie in memory: sign-extended; stored, the lowest. */
ATTN_SIMD vi vi_loadu_i8(const int8_t *p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i_u *)(const void *)p));
}
ATTN_SIMD vi vi_loadn_i8(const int8_t *p, int n) {
    return _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(attn__first(n), p));
}
ATTN_SIMD void vi_storen_i8(int8_t *p, vi a, int n) {
    _mm512_mask_cvtepi32_storeu_epi8(p, attn__first(n), a);
}
ATTN_SIMD vi vi_loadn_u16(const uint16_t *p, int n) {
    return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(attn__first(n), p));
}
ATTN_SIMD void vi_storen_u16(uint16_t *p, vi a, int n) {
    _mm512_mask_cvtepi32_storeu_epi16(p, attn__first(n), a);
}
ATTN_SIMD vi vi_add(vi a, vi b) {
    return _mm512_add_epi32(a, b);
}
ATTN_SIMD vi vi_sub(vi a, vi b) {
    return _mm512_sub_epi32(a, b);
}
ATTN_SIMD vi vi_mul(vi a, vi b) {
    return _mm512_mullo_epi32(a, b);
}
ATTN_SIMD vi vi_neg(vi a) {
    return _mm512_sub_epi32(_mm512_setzero_si512(), a);
}
ATTN_SIMD vi vi_abs(vi a) {
    return _mm512_abs_epi32(a);
}
ATTN_SIMD vi vi_and(vi a, vi b) {
    return _mm512_and_si512(a, b);
}
ATTN_SIMD vi vi_or(vi a, vi b) {
    return _mm512_or_si512(a, b);
}
ATTN_SIMD vi vi_not(vi a) {
    return _mm512_xor_si512(a, _mm512_set1_epi32(-1));
}
ATTN_SIMD vi vi_shl(vi a, vi counts) {
    return _mm512_sllv_epi32(a, _mm512_and_si512(counts, _mm512_set1_epi32(31)));
}
ATTN_SIMD vi vi_shr(vi a, vi counts) {
    return _mm512_srav_epi32(a, _mm512_and_si512(counts, _mm512_set1_epi32(31)));
}
ATTN_SIMD vi attn__shl23(vi a) {
    return _mm512_slli_epi32(a, 23);
}
ATTN_SIMD vi attn__shr23(vi a) {
    return _mm512_srai_epi32(a, 23);
}
ATTN_SIMD vi vi_byte(vi a, const int n) {
    if (n == 0) return _mm512_and_si512(a, _mm512_set1_epi32(255));
    if (n == 3) return _mm512_srli_epi32(a, 24);
    const __m512i quarter = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 4, 8, 12));
    return _mm512_shuffle_epi8(a, _mm512_add_epi32(quarter, _mm512_set1_epi32(n - 256)));
}
ATTN_SIMD vi vi_low_halves(vi a) {
    return _mm512_and_si512(a, _mm512_set1_epi8(15));
}
ATTN_SIMD vi vi_high_halves(vi a) {
    return _mm512_and_si512(_mm512_srli_epi16(a, 4), _mm512_set1_epi8(15));
}
ATTN_SIMD vi vi_pick(const uint8_t *table, vi a) {
    const __m128i t = _mm_loadu_si128((const __m128i_u *)(const void *)table);
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(t), a);
}
ATTN_SIMD vi vi_min(vi a, vi b) {
    return _mm512_min_epi32(a, b);
}
ATTN_SIMD vi vi_max(vi a, vi b) {
    return _mm512_max_epi32(a, b);
}
ATTN_SIMD vm vi_lt(vi a, vi b) {
    return _mm512_cmplt_epi32_mask(a, b);
}
ATTN_SIMD vm vi_le(vi a, vi b) {
    return _mm512_cmple_epi32_mask(a, b);
}
ATTN_SIMD vm vi_gt(vi a, vi b) {
    return _mm512_cmpgt_epi32_mask(a, b);
}
ATTN_SIMD vm vi_ge(vi a, vi b) {
    return _mm512_cmpge_epi32_mask(a, b);
}
ATTN_SIMD vm vi_eq(vi a, vi b) {
    return _mm512_cmpeq_epi32_mask(a, b);
}
ATTN_SIMD vm vi_ne(vi a, vi b) {
    return _mm512_cmpneq_epi32_mask(a, b);
}
ATTN_SIMD vi vi_select(vm m, vi a, vi b) {
    return _mm512_mask_blend_epi32(m, b, a);
}
/* In double the quotient of two int32 never rounds up to an integer; INT_MIN / -1 and x / 0 convert
 * to INT_MIN. */
ATTN_SIMD __m256i attn__floordiv8(__m256i a, __m256i b) {
    const __m512d q = _mm512_div_pd(_mm512_cvtepi32_pd(a), _mm512_cvtepi32_pd(b));
    return _mm512_cvttpd_epi32(_mm512_roundscale_pd(q, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC));
}
ATTN_SIMD vi vi_floordiv(vi a, vi b) {
    const __m256i lo = attn__floordiv8(_mm512_castsi512_si256(a), _mm512_castsi512_si256(b));
    const __m256i hi =
        attn__floordiv8(_mm512_extracti32x8_epi32(a, 1), _mm512_extracti32x8_epi32(b, 1));
    const vi q = _mm512_inserti32x8(_mm512_castsi256_si512(lo), hi, 1);
    return _mm512_maskz_mov_epi32(_mm512_test_epi32_mask(b, b), q);
}
ATTN_SIMD vi vi_floormod(vi a, vi b) {
    const vi r = vi_sub(a, vi_mul(vi_floordiv(a, b), b));
    return _mm512_maskz_mov_epi32(_mm512_test_epi32_mask(b, b), r);
}
ATTN_SIMD vf vi_to_f(vi a) {
    return _mm512_cvtepi32_ps(a);
}
ATTN_SIMD vi vf_to_i(vf a) {
    return _mm512_cvttps_epi32(a);
}
ATTN_SIMD vi vi_gather(const int32_t *p, vi idx) {
    return _mm512_i32gather_epi32(idx, (const void *)p, 4);
}
ATTN_SIMD vi attn__revi(vi a) {
    const vi idx = _mm512_setr_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return _mm512_permutexvar_epi32(idx, a);
}

/* --- masks --- */
ATTN_SIMD vm vm_set1(bool b) {
    return (vm)(b ? 0xffff : 0);
}
ATTN_SIMD vm vm_first(int n) {
    return _mm512_cmplt_epi32_mask(vi_iota(), _mm512_set1_epi32(n));
}
ATTN_SIMD vm vm_and(vm a, vm b) {
    return (vm)(a & b);
}
ATTN_SIMD vm vm_or(vm a, vm b) {
    return (vm)(a | b);
}
ATTN_SIMD vm vm_not(vm a) {
    return (vm)~a;
}
ATTN_SIMD int vm_any(vm a) {
    return a != 0;
}
ATTN_SIMD int vm_all(vm a) {
    return a == 0xffff;
}

/* --- f32 --- */
ATTN_SIMD vf vf_zero(void) {
    return _mm512_setzero_ps();
}
ATTN_SIMD vf vf_set1(float a) {
    return _mm512_set1_ps(a);
}
ATTN_SIMD vf vf_bcast(const float *p) {
    return _mm512_set1_ps(*p);
}
ATTN_SIMD vf vf_load(const float *p) {
    return _mm512_load_ps(p);
}
ATTN_SIMD vf vf_loadu(const float *p) {
    return _mm512_loadu_ps(p);
}
ATTN_SIMD vf vf_loadn(const float *p, int n) {
    return _mm512_maskz_loadu_ps(vm_first(n), p);
}
ATTN_SIMD void vf_store(float *p, vf a) {
    _mm512_store_ps(p, a);
}
ATTN_SIMD void vf_storeu(float *p, vf a) {
    _mm512_storeu_ps(p, a);
}
ATTN_SIMD void vf_storen(float *p, vf a, int n) {
    _mm512_mask_storeu_ps(p, vm_first(n), a);
}
/* f16: see f16.h. */
ATTN_SIMD vf vf_loadu_f16(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i_u *)(const void *)p));
}
ATTN_SIMD vf vf_loadn_f16(const uint16_t *p, int n) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(attn__first(n), p));
}
ATTN_SIMD vf vf_bcast_f16(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_set1_epi16((short)*p));
}
ATTN_SIMD void vf_storen_f16(uint16_t *p, vf a, int n) {
    const __m256i halves = _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT);
    _mm256_mask_storeu_epi16(p, attn__first(n), halves);
}
ATTN_SIMD vf vf_gather(const float *p, vi idx) {
    return _mm512_i32gather_ps(idx, p, 4);
}
ATTN_SIMD vf vf_add(vf a, vf b) {
    return _mm512_add_ps(a, b);
}
ATTN_SIMD vf vf_sub(vf a, vf b) {
    return _mm512_sub_ps(a, b);
}
ATTN_SIMD vf vf_mul(vf a, vf b) {
    return _mm512_mul_ps(a, b);
}
ATTN_SIMD vf vf_div(vf a, vf b) {
    return _mm512_div_ps(a, b);
}
ATTN_SIMD vf vf_fma(vf a, vf b, vf c) {
    return _mm512_fmadd_ps(a, b, c);
}
ATTN_SIMD vf attn__xorsign(vf a, vf s) {
    return _mm512_xor_ps(a, _mm512_and_ps(s, _mm512_set1_ps(-0.0f)));
}
ATTN_SIMD vf vf_neg(vf a) {
    return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f));
}
ATTN_SIMD vf vf_abs(vf a) {
    return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a);
}
ATTN_SIMD vf vf_min(vf a, vf b) {
    return _mm512_min_ps(a, b);
}
ATTN_SIMD vf vf_max(vf a, vf b) {
    return _mm512_max_ps(a, b);
}
ATTN_SIMD vf vf_sqrt(vf a) {
    return _mm512_sqrt_ps(a);
}
ATTN_SIMD vf vf_floor(vf a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
ATTN_SIMD vf vf_rint(vf a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
ATTN_SIMD vf vf_select(vm m, vf a, vf b) {
    return _mm512_mask_blend_ps(m, b, a);
}
ATTN_SIMD vm vf_lt(vf a, vf b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
ATTN_SIMD vm vf_le(vf a, vf b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ);
}
ATTN_SIMD vm vf_gt(vf a, vf b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}
ATTN_SIMD vm vf_ge(vf a, vf b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
}
ATTN_SIMD vm vf_eq(vf a, vf b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}
ATTN_SIMD vm vf_ne(vf a, vf b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ);
}
ATTN_SIMD int vf_any_gt(vf a, vf b) {
    return vf_gt(a, b) != 0;
}
/* Neighbours change places: lanes 1, 0, 3, 2 .. */
ATTN_SIMD vf vf_swap(vf a) {
    return _mm512_permute_ps(a, 0xb1);
}
ATTN_SIMD vf vf_held(vf a) {
    __asm__("" : "+v"(a));
    return a;
}
ATTN_SIMD vf attn__rev(vf a) {
    const vi idx = _mm512_setr_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return _mm512_permutexvar_ps(idx, a);
}

/* --- reductions: halves first, so that every one of them adds in the same order --- */
ATTN_SIMD __m256 attn__half_add(vf v) {
    return _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
}
ATTN_SIMD __m128 attn__quarter_add(__m256 v) {
    return _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
}
ATTN_SIMD __m256 attn__half_max(vf v) {
    return _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
}
ATTN_SIMD __m128 attn__quarter_max(__m256 v) {
    return _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
}
ATTN_SIMD float vf_reduce_add(vf v) {
    __m128 a = attn__quarter_add(attn__half_add(v));
    a = _mm_add_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_add_ss(a, _mm_movehdup_ps(a)));
}
ATTN_SIMD float vf_reduce_max(vf v) {
    __m128 a = attn__quarter_max(attn__half_max(v));
    a = _mm_max_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_max_ss(a, _mm_movehdup_ps(a)));
}
ATTN_SIMD vf attn__fold(vf a, vf b) {
    return _mm512_add_ps(_mm512_mask_blend_ps(0xff00, a, b),
                         _mm512_shuffle_f32x4(a, b, _MM_SHUFFLE(1, 0, 3, 2)));
}
ATTN_SIMD vf attn__fold2(vf a, vf b) {
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, _MM_SHUFFLE(2, 0, 2, 0)),
                         _mm512_shuffle_f32x4(a, b, _MM_SHUFFLE(3, 1, 3, 1)));
}
ATTN_SIMD vf attn__fold3(vf a, vf b) {
    return _mm512_add_ps(_mm512_mask_blend_ps(0xcccc, a, b),
                         _mm512_shuffle_ps(a, b, _MM_SHUFFLE(1, 0, 3, 2)));
}
ATTN_SIMD vf attn__sums4(const vf *a) {
    return attn__fold2(attn__fold(a[0], a[4]), attn__fold(a[8], a[12]));
}
ATTN_SIMD vf vf_sums(const vf *a) {
    const vf u = attn__fold3(attn__sums4(a), attn__sums4(a + 1));
    const vf v = attn__fold3(attn__sums4(a + 2), attn__sums4(a + 3));
    return _mm512_add_ps(_mm512_shuffle_ps(u, v, _MM_SHUFFLE(2, 0, 2, 0)),
                         _mm512_shuffle_ps(u, v, _MM_SHUFFLE(3, 1, 3, 1)));
}
/* vf_sums of the first n vectors, a constant of at most 4; the other lanes are 0. */
ATTN_SIMD vf vf_sums_few(const vf *a, const int n) {
    __m128 q[4];
    ATTN_EACH(4) q[i] = i < n ? attn__quarter_add(attn__half_add(a[i])) : _mm_setzero_ps();
    const __m128 u = _mm_add_ps(_mm_movelh_ps(q[0], q[1]), _mm_movehl_ps(q[1], q[0]));
    const __m128 v = _mm_add_ps(_mm_movelh_ps(q[2], q[3]), _mm_movehl_ps(q[3], q[2]));
    return _mm512_zextps128_ps512(_mm_add_ps(_mm_shuffle_ps(u, v, _MM_SHUFFLE(2, 0, 2, 0)),
                                             _mm_shuffle_ps(u, v, _MM_SHUFFLE(3, 1, 3, 1))));
}
ATTN_SIMD vf attn__spread(__m128 a, int r) {
    if (r == 4) return _mm512_broadcast_f32x4(a);
    if (r == 2) return _mm512_castpd_ps(_mm512_broadcastsd_pd(_mm_castps_pd(a)));
    return _mm512_broadcastss_ps(a);
}
ATTN_SIMD vf vf_stride_add(vf v, int r) {
    if (r >= 16) return v;
    const __m256 h = attn__half_add(v);
    if (r == 8) return _mm512_broadcast_f32x8(h);
    __m128 a = attn__quarter_add(h);
    if (r < 4) a = _mm_add_ps(a, _mm_movehl_ps(a, a));
    if (r < 2) a = _mm_add_ss(a, _mm_movehdup_ps(a));
    return attn__spread(a, r);
}
ATTN_SIMD vf vf_stride_max(vf v, int r) {
    if (r >= 16) return v;
    const __m256 h = attn__half_max(v);
    if (r == 8) return _mm512_broadcast_f32x8(h);
    __m128 a = attn__quarter_max(h);
    if (r < 4) a = _mm_max_ps(a, _mm_movehl_ps(a, a));
    if (r < 2) a = _mm_max_ss(a, _mm_movehdup_ps(a));
    return attn__spread(a, r);
}

ATTN_SIMD vf vf_repeat(const float *p, int r) {
    if (r >= 16) return _mm512_set1_ps(*p);
    if (r == 8)
        return _mm512_castpd_ps(_mm512_insertf64x4(
            _mm512_castps_pd(_mm512_set1_ps(*p)), _mm256_castps_pd(_mm256_broadcast_ss(p + 1)), 1));
    if (r == 4)
        return _mm512_permutexvar_ps(
            _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3),
            _mm512_castps128_ps512(_mm_loadu_ps(p)));
    if (r == 2)
        return _mm512_permutexvar_ps(
            _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7),
            _mm512_castps256_ps512(_mm256_loadu_ps(p)));
    return _mm512_loadu_ps(p);
}

/* 4 x 4 within each quarter. Straight-line code: gcc 12 -O2 keeps the arrays of a loop in memory.
 */
ATTN_SIMD void attn__transpose4(vf *r) {
    const vf a = _mm512_unpacklo_ps(r[0], r[1]), b = _mm512_unpackhi_ps(r[0], r[1]);
    const vf c = _mm512_unpacklo_ps(r[2], r[3]), d = _mm512_unpackhi_ps(r[2], r[3]);
    r[0] = _mm512_shuffle_ps(a, c, _MM_SHUFFLE(1, 0, 1, 0));
    r[1] = _mm512_shuffle_ps(a, c, _MM_SHUFFLE(3, 2, 3, 2));
    r[2] = _mm512_shuffle_ps(b, d, _MM_SHUFFLE(1, 0, 1, 0));
    r[3] = _mm512_shuffle_ps(b, d, _MM_SHUFFLE(3, 2, 3, 2));
}
/* 4 x 4 quarters of r[0], r[4], r[8], r[12]. */
ATTN_SIMD void attn__quarters(vf *r) {
    const vf a = _mm512_shuffle_f32x4(r[0], r[4], _MM_SHUFFLE(2, 0, 2, 0));
    const vf b = _mm512_shuffle_f32x4(r[0], r[4], _MM_SHUFFLE(3, 1, 3, 1));
    const vf c = _mm512_shuffle_f32x4(r[8], r[12], _MM_SHUFFLE(2, 0, 2, 0));
    const vf d = _mm512_shuffle_f32x4(r[8], r[12], _MM_SHUFFLE(3, 1, 3, 1));
    r[0] = _mm512_shuffle_f32x4(a, c, _MM_SHUFFLE(2, 0, 2, 0));
    r[4] = _mm512_shuffle_f32x4(b, d, _MM_SHUFFLE(2, 0, 2, 0));
    r[8] = _mm512_shuffle_f32x4(a, c, _MM_SHUFFLE(3, 1, 3, 1));
    r[12] = _mm512_shuffle_f32x4(b, d, _MM_SHUFFLE(3, 1, 3, 1));
}
ATTN_SIMD void attn__choose(float *p, __m512i low, __m512i high) {
    const vf a = _mm512_load_ps(p), b = _mm512_load_ps(p + 16);
    _mm512_store_ps(p, _mm512_permutex2var_ps(a, low, b));
    _mm512_store_ps(p + 16, _mm512_permutex2var_ps(a, high, b));
}
ATTN_SIMD void vf_split(float *p) {
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    attn__choose(p, even, _mm512_or_si512(even, _mm512_set1_epi32(1)));
}
ATTN_SIMD void vf_join(float *p) {
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    attn__choose(p, low, _mm512_or_si512(low, _mm512_set1_epi32(8)));
}
ATTN_SIMD void vf_transpose(vf *r) {
    attn__transpose4(r), attn__transpose4(r + 4);
    attn__transpose4(r + 8), attn__transpose4(r + 12);
    attn__quarters(r), attn__quarters(r + 1);
    attn__quarters(r + 2), attn__quarters(r + 3);
}

/* --- powers of two: vscalefps multiplies by 2^floor, also out of range, rounding once --- */
#define ATTN__OWN_SCALE2
ATTN_SIMD vf attn__scale2(vf p, vf n) {
    return _mm512_scalef_ps(p, n);
}
/* x[i] = 2^x[i] for any x: exactly 1 at 0, exactly 0 at x <= -150 and -inf (denormal from -126 down
 * to there), NaN stays NaN. x - floor(x) is +0 for -inf. */
ATTN_SIMD void vf_exp2_softmax_each(vf *x, const int n) {
    vf r[4], p[4];
    ATTN_EACH(n)
    r[i] = _mm512_reduce_ps(x[i], _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); /* 0..1 */
    ATTN_EACH(n) p[i] = vf_fma(vf_set1(0x1.ee51c2p-10f), r[i], vf_set1(0x1.260324p-7f));
    ATTN_EACH(n) p[i] = vf_fma(p[i], r[i], vf_set1(0x1.c969bcp-5f));
    ATTN_EACH(n) p[i] = vf_fma(p[i], r[i], vf_set1(0x1.ebd524p-3f));
    ATTN_EACH(n) p[i] = vf_fma(p[i], r[i], vf_set1(0x1.62e4e2p-1f));
    ATTN_EACH(n) p[i] = vf_fma(p[i], r[i], vf_set1(1.0f));
    ATTN_EACH(n) x[i] = _mm512_scalef_ps(p[i], x[i]);
}
ATTN_SIMD void vf_exp2_lazy_each(vf *x, const int n) {
    vf_exp2_softmax_each(x, n);
}

#include "math.h"

/* --- Products of codes as integers: see portable.h. --- */
ATTN_SIMD vi vi_bcast4(const int8_t *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}
ATTN_SIMD void vi_store_bytes(int8_t *p, vi a) {
    _mm_storeu_si128((__m128i_u *)(void *)p, _mm512_cvtepi32_epi8(a));
}
ATTN_SIMD int32_t vi_reduce_add(vi a) {
    return _mm512_reduce_add_epi32(a);
}
ATTN_SIMD int32_t vi_reduce_max(vi a) {
    return _mm512_reduce_max_epi32(a);
}
ATTN_SIMD vi vi_round(vf a) {
    return _mm512_cvtps_epi32(a);
}
ATTN_SIMD void vi_store_pairs(int16_t *p, vi a) {
    const __m256i words = _mm512_cvtepi32_epi16(_mm512_shuffle_epi32(a, _MM_PERM_DBCA));
    _mm256_storeu_si256((__m256i_u *)(void *)p, words);
}
ATTN_SIMD vi vi_odd_bytes(vi a) {
    return _mm512_srli_epi16(a, 8);
}
/* As vi_add_dots of avx512vnni.h: gcc 12 would copy sums. */
ATTN_SIMD vi vi_add_pairs(vi s, vi a, vi b) {
    vi t;
    __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+v"(s), "=&v"(t) : "v"(a), "v"(b));
    return s;
}
ATTN_SIMD vi vi_add_words(vi s, vi a, vi b) {
    vi t;
    __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+v"(s), "=&v"(t) : "v"(a), "v"(b));
    return s;
}
ATTN_SIMD vi vi_sum_pairs(vi s, vi a, const int16_t times) {
    return _mm512_add_epi32(s, _mm512_madd_epi16(a, _mm512_set1_epi16(times)));
}

#endif
#endif
