/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* mode.h - the floating-point mode that all code here runs in, whatever the caller's or a pool
 * thread's is: round to nearest, no traps, subnormal numbers as they are (neither flushed nor taken
 * for zero). Bits would depend on the thread that computes them otherwise. */
#ifndef ATTN_MODE_H
#define ATTN_MODE_H

#if defined(__x86_64__)
#include <xmmintrin.h>

typedef unsigned attn_mode;

enum { ATTN_MODE_DEFAULT = 0x1f80, ATTN_MODE_FLAGS = 0x3f };

/* The mode that was, for attn_mode_leave. Arithmetic between the two belongs in functions that are
 * not inlined: compilers move it across otherwise. (Reading the register is cheap, writing is not.)
 */
static inline attn_mode attn_mode_enter(void) {
    const attn_mode mode = _mm_getcsr();
    if ((mode & ~(attn_mode)ATTN_MODE_FLAGS) != ATTN_MODE_DEFAULT) _mm_setcsr(ATTN_MODE_DEFAULT);
    return mode;
}

/* The caller's flags come back too: no exception of ours shows in them. */
static inline void attn_mode_leave(attn_mode mode) {
    if (_mm_getcsr() != mode) _mm_setcsr(mode);
}
#else
#include <fenv.h>

typedef fenv_t attn_mode;

static inline attn_mode attn_mode_enter(void) {
    attn_mode mode;
    fegetenv(&mode);
    fesetenv(FE_DFL_ENV);
    return mode;
}

static inline void attn_mode_leave(attn_mode mode) {
    fesetenv(&mode);
}
#endif

#endif
