/* Instruction sets: what isa.def's rows say, and how the best of them is told. */
#include "cpu.h"
#include "plan/isa.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(isa, names_are_found) {
    for (int i = 0; i < ATTN_ISA_COUNT; i++) {
        diag d = {0};
        cr_expect_eq(attn_isa_named(isa_table[i].name), i);
        cr_expect_str_eq(attn_isa_name((attn_isa)i), isa_table[i].name);
        cr_expect_eq(isa_parse(isa_table[i].name, &d), 1u << i);
    }
    cr_expect_eq(attn_isa_named("avx"), -1);
}

Test(isa, refusals_list_all_of_them) {
    diag d = {0};
    cr_expect_eq(isa_parse("portable,avx", &d), 0);
    cr_expect(strstr(d.text, "'avx'"), "%s", d.text);
    for (int i = 0; i < ATTN_ISA_COUNT; i++)
        cr_expect(strstr(d.text, isa_table[i].name), "%s", d.text);
}

/* Twice the rate where it is AMD's, none gained elsewhere: there it has to be asked for. */
Test(isa, pairs_of_bf16_are_taken_unasked_where_they_pay) {
    char asked[32];
    const char *was = getenv("ATTN_ISA");
    snprintf(asked, sizeof asked, "%s", was ? was : "");
    const bool runs = attn_cpu_runs(ATTN_ISA_AVX512BF16);
    bool amd = false;
#if defined(__x86_64__)
    amd = __builtin_cpu_is("amd");
#endif
    unsetenv("ATTN_ISA");
    cr_expect_eq(attn_isa_allowed(ATTN_ISA_AVX512BF16), runs && amd);
    cr_expect_eq(attn_isa_allowed(ATTN_ISA_AVX512), attn_cpu_runs(ATTN_ISA_AVX512));
    setenv("ATTN_ISA", "avx512bf16", 1);
    cr_expect_eq(attn_isa_allowed(ATTN_ISA_AVX512BF16), runs);
    cr_expect_eq(attn_isa_allowed(ATTN_ISA_AVX512VNNI), attn_cpu_runs(ATTN_ISA_AVX512VNNI));
    setenv("ATTN_ISA", "avx512vnni", 1);
    cr_expect(!attn_isa_allowed(ATTN_ISA_AVX512BF16));
    if (was)
        setenv("ATTN_ISA", asked, 1);
    else
        unsetenv("ATTN_ISA");
}

/* What a tune file says goes before the row, and ATTN_ISA before both. */
Test(isa, kernels_that_were_measured_here) {
    char asked[32];
    const char *was = getenv("ATTN_ISA");
    snprintf(asked, sizeof asked, "%s", was ? was : "");
    unsetenv("ATTN_ISA");
    for (int i = 0; i < ATTN_ISA_COUNT; i++) {
        const attn_isa isa = (attn_isa)i;
        cr_expect_eq(attn_isa_allowed_as(isa, ATTN_UNASKED_YES), attn_cpu_runs(isa));
        cr_expect(!attn_isa_allowed_as(isa, ATTN_UNASKED_NO));
        cr_expect_eq(attn_isa_allowed_as(isa, ATTN_UNASKED_BY_CPU), attn_cpu_prefers(isa));
    }
    setenv("ATTN_ISA", "portable", 1);
    cr_expect(attn_isa_allowed_as(ATTN_ISA_PORTABLE, ATTN_UNASKED_NO), "it is asked for");
    cr_expect(!attn_isa_allowed_as(ATTN_ISA_AVX2, ATTN_UNASKED_YES), "and this one is not");
    if (was)
        setenv("ATTN_ISA", asked, 1);
    else
        unsetenv("ATTN_ISA");
}

Test(isa, rank_and_family_tell_the_best) {
    const unsigned portable = 1u << ATTN_ISA_PORTABLE, avx2 = 1u << ATTN_ISA_AVX2;
    cr_expect_eq(attn_isa_best(portable), ATTN_ISA_PORTABLE);
    cr_expect_eq(attn_isa_best(avx2 | portable), ATTN_ISA_AVX2);
    cr_expect_eq(attn_isa_best(avx2 | 1u << ATTN_ISA_AVX512), ATTN_ISA_AVX512);
    for (int i = 0; i < ATTN_ISA_COUNT; i++) {
        const attn_isa isa = (attn_isa)i;
        cr_expect(attn_isa_below(isa, isa));
        cr_expect(attn_isa_below(ATTN_ISA_PORTABLE, isa), "every CPU has portable");
        /* Two that one cap allows are told apart by rank. */
        for (int j = 0; j < i; j++)
            if (attn_isa_below((attn_isa)j, isa) || attn_isa_below(isa, (attn_isa)j))
                cr_expect_neq(attn_isa_better(isa, (attn_isa)j), attn_isa_better((attn_isa)j, isa));
    }
    cr_expect(!attn_isa_below(ATTN_ISA_AVX512, ATTN_ISA_AVX2));
    /* The last row, and no better than those of AVX-512. */
    const unsigned vnni = 1u << ATTN_ISA_AVXVNNI;
    cr_expect_eq(attn_isa_best(vnni | avx2), ATTN_ISA_AVXVNNI);
    cr_expect_eq(attn_isa_best(vnni | 1u << ATTN_ISA_AVX512), ATTN_ISA_AVX512);
    cr_expect(!attn_isa_below(ATTN_ISA_AVXVNNI, ATTN_ISA_AVX2));
    cr_expect_eq(isa_best(vnni | avx2 | portable), vnni | avx2);
}
