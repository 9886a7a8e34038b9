/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* cpu.h - what this CPU and operating system can run. */
#ifndef ATTN_CPU_H
#define ATTN_CPU_H

#include "attn_kernel.h"

ATTN_HIDDEN_BEGIN

/* Whether kernels of this ISA run here. */
bool attn_cpu_runs(attn_isa isa);

/* "portable", "avx2", "avx512". */
const char *attn_isa_name(attn_isa isa);

ATTN_VISIBILITY_END

#endif
