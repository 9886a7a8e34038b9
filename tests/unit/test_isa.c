/* Instruction sets: what isa.def's rows say, and how the best of them is told. */
#include "cpu.h"
#include "plan/isa.h"
#include <criterion/criterion.h>
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
}
