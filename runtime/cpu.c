/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
#include "cpu.h"

#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#if defined ATTN_AVXVNNI_UNKNOWN
#pragma message("attn: kernels for AVX-VNNI are left out: they need gcc 11 or clang 12")
#endif

typedef enum family { ANY, X86 } family;

static const struct {
    const char *name;
    family family;
    int rank;
} rows[ATTN_ISA_COUNT] = {
#define ATTN_ISA_ROW(id, name, family, rank, ...) {name, family, rank},
#include "isa.def"
};

const char *attn_isa_name(attn_isa isa) {
    return rows[isa].name;
}

int attn_isa_named(const char *name) {
    for (int i = 0; i < ATTN_ISA_COUNT; i++)
        if (!strcmp(name, rows[i].name)) return i;
    return -1;
}

bool attn_isa_better(attn_isa a, attn_isa b) {
    return rows[a].rank > rows[b].rank;
}

attn_isa attn_isa_best(unsigned mask) {
    int best = -1;
    for (int i = 0; i < ATTN_ISA_COUNT; i++)
        if ((mask >> i & 1) && (best < 0 || attn_isa_better((attn_isa)i, (attn_isa)best))) best = i;
    return (attn_isa)best;
}

bool attn_isa_below(attn_isa isa, attn_isa cap) {
    const bool family = rows[isa].family == ANY || rows[isa].family == rows[cap].family;
    return family && rows[isa].rank <= rows[cap].rank;
}

#if defined(__x86_64__)
/* The compiler's check covers the operating system's saving of the wide registers. */
#define X86_HAS(feature) (__builtin_cpu_supports(feature) != 0)
/* Not all compilers' check knows this one. Its registers are those of AVX. */
static bool has_f16c(void) {
    unsigned a, b, c = 0, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#define X86_HAS_F16C has_f16c()
/* Nor this one, of AVX's registers too: leaf 7, subleaf 1. */
static bool has_avxvnni(void) {
    unsigned a = 0, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || a < 1) return false;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}
#define X86_HAS_AVXVNNI has_avxvnni()
#define X86_IS(vendor) (__builtin_cpu_is(vendor) != 0)
#else
#define X86_HAS(feature) false
#define X86_HAS_F16C false
#define X86_HAS_AVXVNNI false
#define X86_IS(vendor) false
#endif

/* clang-format off */
static bool runs(attn_isa isa) {
    switch (isa) {
#define ATTN_ISA_ROW(id, name, family, rank, guard, test, ...) case ATTN_ISA_##id: return test;
#include "isa.def"
    case ATTN_ISA_COUNT: break;
    }
    return false;
}
static bool unasked(attn_isa isa) {
    switch (isa) {
#define ATTN_ISA_ROW(id, name, family, rank, guard, test, unasked, ...) case ATTN_ISA_##id: return unasked;
#include "isa.def"
    case ATTN_ISA_COUNT: break;
    }
    return false;
}
/* clang-format on */

bool attn_cpu_runs(attn_isa isa) {
#if defined(__x86_64__)
    __builtin_cpu_init();
#endif
    return runs(isa);
}

bool attn_cpu_prefers(attn_isa isa) {
    return attn_cpu_runs(isa) && unasked(isa);
}

bool attn_isa_allowed_as(attn_isa isa, attn_unasked unasked_by) {
    const char *name = getenv("ATTN_ISA");
    const int cap = name && *name ? attn_isa_named(name) : (int)isa;
    if (cap < 0 || !attn_isa_below(isa, (attn_isa)cap)) return false;
    const bool asked = name && *name && cap == (int)isa;
    if (asked || unasked_by == ATTN_UNASKED_YES) return attn_cpu_runs(isa);
    return unasked_by == ATTN_UNASKED_BY_CPU && attn_cpu_prefers(isa);
}

bool attn_isa_allowed(attn_isa isa) {
    return attn_isa_allowed_as(isa, ATTN_UNASKED_BY_CPU);
}
