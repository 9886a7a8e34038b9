/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* compiler.h - what this code needs of a compiler, and the faults of compilers that it steers
 * around. Included before everything else: a guard holds for what follows it.
 *
 * Each fault is a program of a few lines in attn-gen's tests/check/compilers, whose test holds the
 * compilers at hand to this page: a guard is on where the fault is, and helps. Where no fixed
 * release is known the guard stays on for later ones. */
#ifndef ATTN_COMPILER_H
#define ATTN_COMPILER_H

#if defined(__cplusplus)
#error "attn: this is C: compile it as C (a C++ program includes the model's header only)"
#elif !defined(__GNUC__)
#error "attn: needs C11 with GNU extensions: compile it with gcc or clang"
#elif !defined(__STDC_VERSION__) || __STDC_VERSION__ < 201112L
#error "attn: needs C11 with GNU extensions: compile it with -std=c11, -std=gnu11 or later"
#endif

#if defined(__clang__)
#define ATTN_GCC 0
#else
#define ATTN_GCC __GNUC__
#endif

/* AVX-VNNI: gcc 11, clang 12 and later have a header of this name, and binutils 2.36 assembles what
 * that gcc writes. Compilers without it leave its kernels out (cpu.c says so), and so does
 * -DATTN_AVXVNNI=0. */
#if !defined ATTN_AVXVNNI && defined(__x86_64__)
#if defined(__has_include)
#if __has_include(<avxvnniintrin.h>)
#define ATTN_AVXVNNI 1
#endif
#endif
#if !defined ATTN_AVXVNNI
#define ATTN_AVXVNNI_UNKNOWN 1
#endif
#endif
#if !defined ATTN_AVXVNNI
#define ATTN_AVXVNNI 0
#endif

/* gcc 12, PR target/108599 (fixed on trunk 2023-01-31): where AVX allows it, a constant {v, v, 0,
 * 0} of 32 bytes is moved as {v, v, v, v}, at every -O. Tile classifiers are full of such constants
 * (k >= c is attn_lin_of(c, 0, 0, ..)), so they are compiled for SSE2 alone: interval.h, and what
 * calls it as ATTN_CLASSIFIER. noinline: within an AVX function the constants would be its own. */
#if ATTN_GCC == 12 && (defined(__x86_64__) || defined(__i386__))
#define ATTN_BROADCAST_FAULT 1
#define ATTN_CLASSIFIER __attribute__((noinline, target("no-avx")))
#else
#define ATTN_BROADCAST_FAULT 0
#define ATTN_CLASSIFIER
#endif

/* gcc 12.2, PR tree-optimization/110702: at -O1 and up a loop's stores may be based on a literal 0;
 * the function is then taken for a pure one, and its calls are dropped. A file compiled so that 0
 * is an address like any other has no such loss; its code is as fast (tests/bench/NOTES.md). */
#if ATTN_GCC >= 12
#define ATTN_NULL_STORES_FAULT 1
#pragma GCC optimize("no-delete-null-pointer-checks")
#else
#define ATTN_NULL_STORES_FAULT 0
#endif

/* gcc 12.2, not reported: with AVX-512 VL and BW on the command line (-march=native, x86-64-v4),
 * from -O2 on, _mm256_blendv_epi8 loses a `not` in its mask, as in q <= k, which is not q > k. A
 * blend of floats does not: vi_select of avx2.h. */
#if ATTN_GCC >= 12 && defined(__AVX512VL__) && defined(__AVX512BW__)
#define ATTN_NOT_BLEND_FAULT 1
#else
#define ATTN_NOT_BLEND_FAULT 0
#endif

/* gcc 12.2, not reported: where char is unsigned (-funsigned-char), the bytes of the mask of
 * _mm256_blendv_epi8 are compared with 0 as unsigned ones, at every -O: none is below, and the
 * result is the first operand. Here too vi_select of avx2.h blends floats. */
#if ATTN_GCC >= 12 && defined(__CHAR_UNSIGNED__)
#define ATTN_CHAR_BLEND_FAULT 1
#else
#define ATTN_CHAR_BLEND_FAULT 0
#endif

#endif
