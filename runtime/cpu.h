/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* cpu.h - instruction sets: their rows (isa.def), and which of them this CPU and operating system
 * can run. */
#ifndef ATTN_CPU_H
#define ATTN_CPU_H

#include "attn_kernel.h"

ATTN_HIDDEN_BEGIN

/* Whether kernels of this ISA run here. */
bool attn_cpu_runs(attn_isa isa);
/* And are taken here where nobody asks for this ISA. */
bool attn_cpu_prefers(attn_isa isa);
/* Whether plans take kernels of this ISA: ATTN_ISA names this ISA or a better one; where it is not
 * set, and for those that it does not name, the CPU prefers them. An unknown name there allows
 * none. */
bool attn_isa_allowed(attn_isa isa);
/* The same of kernels of which more is known than the CPU's preference. */
bool attn_isa_allowed_as(attn_isa isa, attn_unasked unasked);

/* "portable", "avx2" .. */
const char *attn_isa_name(attn_isa isa);
/* -1: there is none of this name. */
int attn_isa_named(const char *name);

/* Whether a ranks above b. Only ISAs that one CPU runs are compared: they are of one family. */
bool attn_isa_better(attn_isa a, attn_isa b);

/* The best of a set of bits, 1 << isa; not empty. */
attn_isa attn_isa_best(unsigned mask);

/* Whether `cap` allows an ISA: it is of the family and ranks no higher. */
bool attn_isa_below(attn_isa isa, attn_isa cap);

ATTN_VISIBILITY_END

#endif
