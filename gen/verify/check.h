/* check.h - one case held against a kernel, a layer or the oracle itself. */
#ifndef VERIFY_CHECK_H
#define VERIFY_CHECK_H

#include "lab/cases.h"

typedef struct check {
    arena *a;
    const golden *g;
    int backend;           /* one that can express the case */
    double o_dot, lse_dot; /* what products in integers may add to the tolerance */
    double error;          /* out: the greatest difference seen */
    const char *kernel;    /* out: what ran; null: unknown */
} check;

/* Sets o_dot and lse_dot where the kernel of an instruction set rounds as `dot` allows: to the
 * case's largest such terms ("Storage types" of CONTRACT.md, `dot`). */
void check_allow(check *c, int isa, const build_options *build);
/* Null, or why the case fails. Two runs each: with `threads` threads, and with one and, for cores,
 * another layout; both must give the same bits. */
const char *check_core(check *c, const kernel_lib *lib, const attn_plan *plan, int threads);
/* The rows that are new to the case go through steps: in one, and then one a step, which must give
 * the expected rows, but not the same bits. */
const char *check_layer(check *c, const kernel_lib *lib, int isa, uint32_t flags, int threads);
/* The double oracle in the kernel's place. */
const char *check_oracle(check *c);

#endif
