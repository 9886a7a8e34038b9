/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* portable.h - the vector vocabulary on GNU vectors, 4 lanes, for any target of gcc and clang; and
 * the place where the vocabulary is described. A kernel file includes attn_kernel.h, then one of
 * portable.h, avx2.h, avx512.h, and ends with ATTN_TARGET_END.
 *
 * Types: vf (VF_WIDTH f32 lanes), vi (i32 lanes), vm (a mask). Arrays of vf and vi are fine.
 * Conventions that the three headers share:
 *   _load, _store       aligned to the vector (4 * VF_WIDTH bytes); loadu, storeu: to 4 bytes
 *   vf_loadn vf_storen  touch the first n lanes only (n < 0: none, n > VF_WIDTH: all); loadn fills
 *                       the others with 0
 *   vf_max(a, b)        a > b ? a : b, so b if either is NaN; vf_min likewise with <
 *   vf_fma(a, b, c)     a * b + c, rounded once where ATTN_SIMD_FMA is 1
 *   comparisons         IEEE: false with NaN, but vf_ne true
 *   vi_add sub mul neg abs floordiv  wrap; shift counts are taken modulo 32, vi_shr is arithmetic
 *   vi_floordiv vi_floormod          towards minus infinity; by 0: 0
 *   vf_load_side(p, base, n)         lane i = p[clamp(base + i, 0, n - 1)], any base; _rev: - i
 *   vf_gather vi_gather              lane i = p[idx[i]], all lanes, no clamp
 *   vf_reduce_add vf_sums vf_stride_add   halves are added to each other, in the same order in all
 *                       three: lane i of vf_sums(a) has the bits of vf_reduce_add(a[i])
 *   vf_sums_few(a, n)   the same of n vectors, a constant of at most 4; the other lanes are 0
 *   vf_stride_add(v, r) lane i = sum of the lanes congruent to i mod r, the same bits in each of
 *                       them; r is a constant power of two, r >= VF_WIDTH gives v; _max likewise
 *   vf_repeat(p, r)     lane i = p[i / r]; r is a constant power of two up to VF_WIDTH
 *   vf_transpose(r)     r[0 .. VF_WIDTH - 1], in place
 *   vf_split(p)         the 2 VF_WIDTH floats at p, aligned: those at even places, then those at
 * odd ones; vf_join undoes it vf_held(a)          a, in a register: compilers may load what is read
 * twice twice vi_loadu_u16 vi_loadn_u16 vi_storen_u16   what storage types of 16 bits are made of
 * (bf16.h) vi_loadu_pairs      VF_WIDTH pairs of 16 bits, a pair a lane, as they lie in memory
 *   vi_loadu_i8 vi_loadn_i8 vi_storen_i8      likewise of 8 bits (i8.h)
 *   vi_byte(a, n)       lane i: byte n of a's, unsigned; n is a constant, 0 is the lowest
 *   vi_low_halves vi_high_halves   the lower 4 bits of each byte; the upper ones
 *   vi_pick(table, a)   each byte of a, 0 to 15, becomes that of the 16 in the table
 *   vf_to_i             of whole numbers
 *   vf_rint             to the nearest whole number, ties to the even one
 * Products of codes as integers, avx2.h and avx512.h; avxvnni.h and avx512vnni.h have more:
 *   vi_add_pairs(s, a, b)  words: s + the products of 2 bytes, a's unsigned, b's signed, in range
 *   vi_sum_pairs(s, a, n)  lane i: s + n times the sum of the 2 words of a; n is a constant
 *   vi_add_words(s, a, b)  lane i: s + the products of 2 signed words
 *   vi_odd_bytes(a)        words: the upper byte, unsigned
 *   vi_bcast4(p)           the 4 bytes at p in each lane
 *   vi_store_bytes(p, a)   the lowest byte of each lane
 *   vi_store_pairs(p, a)   the lower half of each lane, of 4 the third before the second
 *   vi_reduce_add vi_reduce_max   of all lanes
 *   vi_round(a)            floats to the nearest integers, ties to even
 * Functions of math.h: see there. */
#ifndef ATTN_SIMD_PORTABLE_H
#define ATTN_SIMD_PORTABLE_H

#if defined VF_WIDTH
#error "one ISA a file"
#endif

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__) && defined(__FMA__)
#include <immintrin.h>
#elif defined(__SSE2__) /* read in a tenth of the time */
#include <emmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#define VF_WIDTH 4
#if (defined(__SSE2__) && defined(__FMA__)) || (defined(__aarch64__) && defined(__ARM_NEON))
#define ATTN_SIMD_FMA 1
#else
#define ATTN_SIMD_FMA 0
#endif
#define ATTN_SIMD static inline __attribute__((always_inline, unused))
/* A statement for each of n vectors, n a constant of at most 4: where several do every step side by
 * side, their latencies overlap. */
#define ATTN_EACH(n) _Pragma("GCC unroll 4") for (int i = 0; i < (n); i++)
#define ATTN_TARGET_END

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#define ATTN__SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define ATTN__SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vi){__VA_ARGS__})
#endif

/* Ask for the cache line at an address, an integer (ATTN_AHEAD forms it): what comes next may lie
 * past its object, where no pointer may point. A pointer has no `|`. */
#define ATTN_PREFETCH_L1(at) __builtin_prefetch((const void *)((at) | (uintptr_t)0), 0, 3)
#define ATTN_PREFETCH_L2(at) __builtin_prefetch((const void *)((at) | (uintptr_t)0), 0, 2)

typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
typedef int32_t vm __attribute__((vector_size(16))); /* lanes of all ones or all zeros */

/* Wrapping arithmetic; and the types that memory is accessed as. */
typedef uint32_t attn__vu __attribute__((vector_size(16)));
typedef float attn__vf_mem __attribute__((vector_size(16), may_alias));
typedef float attn__vf_memu __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t attn__vi_mem __attribute__((vector_size(16), may_alias));
typedef int32_t attn__vi_memu __attribute__((vector_size(16), aligned(4), may_alias));

ATTN_SIMD vi vi_bits(vf a) {
    return (vi)a;
}
ATTN_SIMD vf vf_bits(vi a) {
    return (vf)a;
}

/* --- i32 --- */
ATTN_SIMD vi vi_set1(int32_t a) {
    return (vi){a, a, a, a};
}
ATTN_SIMD vi vi_iota(void) {
    return (vi){0, 1, 2, 3};
}
ATTN_SIMD vi vi_load(const int32_t *p) {
    return *(const attn__vi_mem *)(const void *)p;
}
ATTN_SIMD vi vi_loadu(const int32_t *p) {
    return *(const attn__vi_memu *)(const void *)p;
}
ATTN_SIMD void vi_store(int32_t *p, vi a) {
    *(attn__vi_mem *)(void *)p = a;
}
ATTN_SIMD void vi_storeu(int32_t *p, vi a) {
    *(attn__vi_memu *)(void *)p = a;
}
/* 8 bits a lane, as they lie in memory: sign-extended; stored, the lowest. */
ATTN_SIMD vi vi_loadu_i8(const int8_t *p) {
    return (vi){p[0], p[1], p[2], p[3]};
}
ATTN_SIMD vi vi_loadn_i8(const int8_t *p, int n) {
    return (vi){n > 0 ? p[0] : 0, n > 1 ? p[1] : 0, n > 2 ? p[2] : 0, n > 3 ? p[3] : 0};
}
ATTN_SIMD void vi_storen_i8(int8_t *p, vi a, int n) {
    if (n > 0) p[0] = (int8_t)a[0];
    if (n > 1) p[1] = (int8_t)a[1];
    if (n > 2) p[2] = (int8_t)a[2];
    if (n > 3) p[3] = (int8_t)a[3];
}
/* 16 bits a lane, as they lie in memory: zero-extended; stored, the lower halves. */
ATTN_SIMD vi vi_loadu_pairs(const uint16_t *p) {
    vi a;
    memcpy(&a, p, sizeof a);
    return a;
}
ATTN_SIMD vi vi_loadu_u16(const uint16_t *p) {
    return (vi){p[0], p[1], p[2], p[3]};
}
ATTN_SIMD vi vi_loadn_u16(const uint16_t *p, int n) {
    return (vi){n > 0 ? p[0] : 0, n > 1 ? p[1] : 0, n > 2 ? p[2] : 0, n > 3 ? p[3] : 0};
}
ATTN_SIMD void vi_storen_u16(uint16_t *p, vi a, int n) {
    if (n > 0) p[0] = (uint16_t)a[0];
    if (n > 1) p[1] = (uint16_t)a[1];
    if (n > 2) p[2] = (uint16_t)a[2];
    if (n > 3) p[3] = (uint16_t)a[3];
}
ATTN_SIMD vi vi_add(vi a, vi b) {
    return (vi)((attn__vu)a + (attn__vu)b);
}
ATTN_SIMD vi vi_sub(vi a, vi b) {
    return (vi)((attn__vu)a - (attn__vu)b);
}
ATTN_SIMD vi vi_mul(vi a, vi b) {
    return (vi)((attn__vu)a * (attn__vu)b);
}
ATTN_SIMD vi vi_neg(vi a) {
    return vi_sub((vi){0, 0, 0, 0}, a);
}
ATTN_SIMD vi vi_and(vi a, vi b) {
    return a & b;
}
ATTN_SIMD vi vi_or(vi a, vi b) {
    return a | b;
}
ATTN_SIMD vi vi_not(vi a) {
    return ~a;
}
ATTN_SIMD vi vi_shl(vi a, vi counts) {
    return (vi)((attn__vu)a << ((attn__vu)counts & (attn__vu)vi_set1(31)));
}
ATTN_SIMD vi vi_shr(vi a, vi counts) {
    return a >> (counts & vi_set1(31));
}
ATTN_SIMD vi attn__shl23(vi a) {
    return (vi)((attn__vu)a << 23);
}
ATTN_SIMD vi attn__shr23(vi a) {
    return a >> 23;
}
ATTN_SIMD vm vi_lt(vi a, vi b) {
    return (vm)(a < b);
}
ATTN_SIMD vm vi_le(vi a, vi b) {
    return (vm)(a <= b);
}
ATTN_SIMD vm vi_gt(vi a, vi b) {
    return (vm)(a > b);
}
ATTN_SIMD vm vi_ge(vi a, vi b) {
    return (vm)(a >= b);
}
ATTN_SIMD vm vi_eq(vi a, vi b) {
    return (vm)(a == b);
}
ATTN_SIMD vm vi_ne(vi a, vi b) {
    return (vm)(a != b);
}
ATTN_SIMD vi vi_select(vm m, vi a, vi b) {
    return (m & a) | (~m & b);
}
ATTN_SIMD vi vi_abs(vi a) {
    const vi s = a >> 31;
    return vi_sub(a ^ s, s);
}
ATTN_SIMD vi vi_byte(vi a, const int n) {
    return (vi)((attn__vu)a >> 8 * n & 255);
}
ATTN_SIMD vi vi_pick(const uint8_t *table, vi a) {
    uint8_t byte[sizeof a];
    memcpy(byte, &a, sizeof a);
    for (size_t i = 0; i < sizeof a; i++) byte[i] = table[byte[i]];
    memcpy(&a, byte, sizeof a);
    return a;
}
ATTN_SIMD vi vi_low_halves(vi a) {
    return vi_and(a, vi_set1(0x0f0f0f0f));
}
ATTN_SIMD vi vi_high_halves(vi a) {
    return vi_and(vi_shr(a, vi_set1(4)), vi_set1(0x0f0f0f0f));
}
ATTN_SIMD vi vi_min(vi a, vi b) {
    return vi_select(a < b, a, b);
}
ATTN_SIMD vi vi_max(vi a, vi b) {
    return vi_select(a > b, a, b);
}
ATTN_SIMD int32_t attn__floordiv(int32_t a, int32_t b) {
    if (b == 0) return 0;
    const int64_t q = (int64_t)a / b;
    return (int32_t)(uint32_t)(q - (a % (int64_t)b != 0 && (a < 0) != (b < 0)));
}
ATTN_SIMD vi vi_floordiv(vi a, vi b) {
    return (vi){attn__floordiv(a[0], b[0]), attn__floordiv(a[1], b[1]), attn__floordiv(a[2], b[2]),
                attn__floordiv(a[3], b[3])};
}
ATTN_SIMD vi vi_floormod(vi a, vi b) {
    return vi_sub(a, vi_mul(vi_floordiv(a, b), b)) & (b != 0);
}
ATTN_SIMD vf vi_to_f(vi a) {
    return __builtin_convertvector(a, vf);
}
ATTN_SIMD vi vf_to_i(vf a) {
    return __builtin_convertvector(a, vi);
}
ATTN_SIMD vi vi_gather(const int32_t *p, vi idx) {
    return (vi){p[idx[0]], p[idx[1]], p[idx[2]], p[idx[3]]};
}
ATTN_SIMD vi attn__revi(vi a) {
    return ATTN__SHUFFLE(a, a, 3, 2, 1, 0);
}

/* --- masks --- */
ATTN_SIMD vm vm_set1(bool b) {
    return vi_set1(-(int32_t)b);
}
ATTN_SIMD vm vm_first(int n) {
    return vi_lt(vi_iota(), vi_set1(n));
}
ATTN_SIMD vm vm_and(vm a, vm b) {
    return a & b;
}
ATTN_SIMD vm vm_or(vm a, vm b) {
    return a | b;
}
ATTN_SIMD vm vm_not(vm a) {
    return ~a;
}
ATTN_SIMD int vm_any(vm a) {
#if defined(__SSE2__)
    return _mm_movemask_ps((__m128)a) != 0;
#else
    return (a[0] | a[1] | a[2] | a[3]) != 0;
#endif
}
ATTN_SIMD int vm_all(vm a) {
    return !vm_any(~a);
}

/* --- f32 --- */
ATTN_SIMD vf vf_set1(float a) {
    return (vf){a, a, a, a};
}
ATTN_SIMD vf vf_zero(void) {
    return vf_set1(0.0f);
}
ATTN_SIMD vf vf_bcast(const float *p) {
    return vf_set1(*p);
}
ATTN_SIMD vf vf_load(const float *p) {
    return *(const attn__vf_mem *)(const void *)p;
}
ATTN_SIMD vf vf_loadu(const float *p) {
    return *(const attn__vf_memu *)(const void *)p;
}
ATTN_SIMD vf vf_loadn(const float *p, int n) {
    return (vf){n > 0 ? p[0] : 0.0f, n > 1 ? p[1] : 0.0f, n > 2 ? p[2] : 0.0f, n > 3 ? p[3] : 0.0f};
}
ATTN_SIMD void vf_store(float *p, vf a) {
    *(attn__vf_mem *)(void *)p = a;
}
ATTN_SIMD void vf_storeu(float *p, vf a) {
    *(attn__vf_memu *)(void *)p = a;
}
ATTN_SIMD void vf_storen(float *p, vf a, int n) {
    if (n > 0) p[0] = a[0];
    if (n > 1) p[1] = a[1];
    if (n > 2) p[2] = a[2];
    if (n > 3) p[3] = a[3];
}
ATTN_SIMD vf vf_gather(const float *p, vi idx) {
    return (vf){p[idx[0]], p[idx[1]], p[idx[2]], p[idx[3]]};
}
ATTN_SIMD vf vf_add(vf a, vf b) {
    return a + b;
}
ATTN_SIMD vf vf_sub(vf a, vf b) {
    return a - b;
}
ATTN_SIMD vf vf_mul(vf a, vf b) {
    return a * b;
}
ATTN_SIMD vf vf_div(vf a, vf b) {
    return a / b;
}
ATTN_SIMD vf vf_fma(vf a, vf b, vf c) {
#if defined(__SSE2__) && defined(__FMA__)
    return (vf)_mm_fmadd_ps((__m128)a, (__m128)b, (__m128)c);
#elif ATTN_SIMD_FMA
    return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}
ATTN_SIMD vf attn__xorsign(vf a, vf s) {
    return (vf)((vi)a ^ ((vi)s & vi_set1(INT32_MIN)));
}
ATTN_SIMD vf vf_neg(vf a) {
    return (vf)((vi)a ^ vi_set1(INT32_MIN));
}
ATTN_SIMD vf vf_abs(vf a) {
    return (vf)((vi)a & vi_set1(INT32_MAX));
}
ATTN_SIMD vf vf_select(vm m, vf a, vf b) {
    return (vf)((m & (vi)a) | (~m & (vi)b));
}
ATTN_SIMD vm vf_lt(vf a, vf b) {
    return (vm)(a < b);
}
ATTN_SIMD vm vf_le(vf a, vf b) {
    return (vm)(a <= b);
}
ATTN_SIMD vm vf_gt(vf a, vf b) {
    return (vm)(a > b);
}
ATTN_SIMD vm vf_ge(vf a, vf b) {
    return (vm)(a >= b);
}
ATTN_SIMD vm vf_eq(vf a, vf b) {
    return (vm)(a == b);
}
ATTN_SIMD vm vf_ne(vf a, vf b) {
    return (vm)(a != b);
}
ATTN_SIMD int vf_any_gt(vf a, vf b) {
    return vm_any(vf_gt(a, b));
}
ATTN_SIMD vf vf_min(vf a, vf b) {
#if defined(__SSE2__)
    return (vf)_mm_min_ps((__m128)a, (__m128)b);
#else
    return vf_select(vf_lt(a, b), a, b);
#endif
}
ATTN_SIMD vf vf_max(vf a, vf b) {
#if defined(__SSE2__)
    return (vf)_mm_max_ps((__m128)a, (__m128)b);
#else
    return vf_select(vf_gt(a, b), a, b);
#endif
}
ATTN_SIMD vf vf_sqrt(vf a) {
#if defined(__SSE2__)
    return (vf)_mm_sqrt_ps((__m128)a);
#elif ATTN_SIMD_FMA
    return (vf)vsqrtq_f32((float32x4_t)a);
#else
    return (vf){sqrtf(a[0]), sqrtf(a[1]), sqrtf(a[2]), sqrtf(a[3])};
#endif
}
ATTN_SIMD vf vf_floor(vf a) {
    const vm small = vf_lt(vf_abs(a), vf_set1(0x1p23f)); /* else whole, or not a number */
    const vf b = vf_select(small, a, vf_zero());
    const vf t = __builtin_convertvector(__builtin_convertvector(b, vi), vf);
    const vf f = vf_sub(t, vf_select(vf_gt(t, b), vf_set1(1.0f), vf_zero()));
    return vf_select(small, (vf)((vi)f | ((vi)a & vi_set1(INT32_MIN))), a); /* floor(-0) = -0 */
}
ATTN_SIMD vf vf_rint(vf a) {
    return (vf){rintf(a[0]), rintf(a[1]), rintf(a[2]), rintf(a[3])};
}
/* Neighbours change places: lanes 1, 0, 3, 2 .. */
ATTN_SIMD vf vf_swap(vf a) {
    return ATTN__SHUFFLE(a, a, 1, 0, 3, 2);
}
ATTN_SIMD void vf_split(float *p) {
    const vf a = vf_load(p), b = vf_load(p + 4);
    vf_store(p, ATTN__SHUFFLE(a, b, 0, 2, 4, 6));
    vf_store(p + 4, ATTN__SHUFFLE(a, b, 1, 3, 5, 7));
}
ATTN_SIMD void vf_join(float *p) {
    const vf a = vf_load(p), b = vf_load(p + 4);
    vf_store(p, ATTN__SHUFFLE(a, b, 0, 4, 1, 5));
    vf_store(p + 4, ATTN__SHUFFLE(a, b, 2, 6, 3, 7));
}
ATTN_SIMD vf vf_held(vf a) {
    return a;
}
ATTN_SIMD vf attn__rev(vf a) {
    return ATTN__SHUFFLE(a, a, 3, 2, 1, 0);
}

/* --- reductions --- */
ATTN_SIMD float vf_reduce_add(vf v) {
    const vf a = v + ATTN__SHUFFLE(v, v, 2, 3, 2, 3);
    return a[0] + a[1];
}
ATTN_SIMD float vf_reduce_max(vf v) {
    vf a = vf_max(v, ATTN__SHUFFLE(v, v, 2, 3, 2, 3));
    a = vf_max(a, ATTN__SHUFFLE(a, a, 1, 1, 1, 1));
    return a[0];
}
ATTN_SIMD vf vf_sums(const vf *a) {
    const vf u = ATTN__SHUFFLE(a[0], a[1], 0, 1, 4, 5) + ATTN__SHUFFLE(a[0], a[1], 2, 3, 6, 7);
    const vf v = ATTN__SHUFFLE(a[2], a[3], 0, 1, 4, 5) + ATTN__SHUFFLE(a[2], a[3], 2, 3, 6, 7);
    return ATTN__SHUFFLE(u, v, 0, 2, 4, 6) + ATTN__SHUFFLE(u, v, 1, 3, 5, 7);
}
ATTN_SIMD vf vf_sums_few(const vf *a, const int n) {
    vf q[4];
    ATTN_EACH(4) q[i] = i < n ? a[i] : vf_zero();
    return vf_sums(q);
}
ATTN_SIMD vf attn__spread(vf a, int r) {
    return r == 2 ? ATTN__SHUFFLE(a, a, 0, 1, 0, 1) : ATTN__SHUFFLE(a, a, 0, 0, 0, 0);
}
ATTN_SIMD vf vf_stride_add(vf v, int r) {
    if (r >= 4) return v;
    vf a = v + ATTN__SHUFFLE(v, v, 2, 3, 2, 3);
    if (r < 2) a = a + ATTN__SHUFFLE(a, a, 1, 1, 1, 1);
    return attn__spread(a, r);
}
ATTN_SIMD vf vf_stride_max(vf v, int r) {
    if (r >= 4) return v;
    vf a = vf_max(v, ATTN__SHUFFLE(v, v, 2, 3, 2, 3));
    if (r < 2) a = vf_max(a, ATTN__SHUFFLE(a, a, 1, 1, 1, 1));
    return attn__spread(a, r);
}

ATTN_SIMD vf vf_repeat(const float *p, int r) {
    if (r >= 4) return vf_bcast(p);
    return r == 2 ? (vf){p[0], p[0], p[1], p[1]} : vf_loadu(p);
}

ATTN_SIMD void vf_transpose(vf *r) {
    const vf a = ATTN__SHUFFLE(r[0], r[1], 0, 4, 1, 5), b = ATTN__SHUFFLE(r[0], r[1], 2, 6, 3, 7);
    const vf c = ATTN__SHUFFLE(r[2], r[3], 0, 4, 1, 5), d = ATTN__SHUFFLE(r[2], r[3], 2, 6, 3, 7);
    r[0] = ATTN__SHUFFLE(a, c, 0, 1, 4, 5);
    r[1] = ATTN__SHUFFLE(a, c, 2, 3, 6, 7);
    r[2] = ATTN__SHUFFLE(b, d, 0, 1, 4, 5);
    r[3] = ATTN__SHUFFLE(b, d, 2, 3, 6, 7);
}

#include "math.h"

#endif
