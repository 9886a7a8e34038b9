/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
#include "cpu.h"

const char *attn_isa_name(attn_isa isa) {
    static const char *const names[ATTN_ISA_COUNT] = {"portable", "avx2", "avx512"};
    return names[isa];
}

bool attn_cpu_runs(attn_isa isa) {
#if defined(__x86_64__)
    /* The compiler's check covers the operating system's saving of the wide registers. */
    __builtin_cpu_init();
    switch (isa) {
    case ATTN_ISA_PORTABLE: return true;
    case ATTN_ISA_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case ATTN_ISA_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    default: return false;
    }
#else
    return isa == ATTN_ISA_PORTABLE;
#endif
}
