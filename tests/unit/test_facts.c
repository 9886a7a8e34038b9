/* What banners, manifest and report say of a layer: its norms and residuals stand in the formula as
 * the oracle applies them (join in gen/lab/block_oracle.c). */
#include "spec/facts.h"
#include <criterion/criterion.h>
#include <string.h>

static const char *formula(arena *a, attn_norm_place place, attn_residual residual) {
    kernel_spec k = {.inner = -1, .expanded = -1};
    attn_spec_init(&k.core);
    k.core.level = ATTN_LEVEL_BLOCK, k.core.heads = 2, k.core.head_dim = 8, k.core.d_model = 16;
    k.core.norm = ATTN_NORM_RMSNORM, k.core.norm_place = place;
    k.core.residual = residual, k.core.ffn = ATTN_FFN_NONE;
    cr_assert_eq(attn_spec_resolve(&k.core, NULL), ATTN_OK);
    const fact_list facts = facts_of(a, &k);
    for (int i = 0; i < facts.count; i++)
        if (!strcmp(facts.fact[i].topic, "Attention")) return facts.fact[i].text;
    return "";
}

Test(facts, norms_and_residuals_of_a_layer) {
    static const struct {
        attn_norm_place place;
        attn_residual residual;
        const char *text;
    } rows[] = {
        {ATTN_NORM_PLACE_PRE, ATTN_RESIDUAL_SERIAL, "y = x + attention(norm1(x))"},
        {ATTN_NORM_PLACE_POST, ATTN_RESIDUAL_SERIAL, "y = norm1(x + attention(x))"},
        {ATTN_NORM_PLACE_BOTH, ATTN_RESIDUAL_SERIAL, "y = x + post_norm1(attention(norm1(x)))"},
        {ATTN_NORM_PLACE_BRANCH, ATTN_RESIDUAL_SERIAL, "y = x + post_norm1(attention(x))"},
        {ATTN_NORM_PLACE_PRE, ATTN_RESIDUAL_NONE, "y = attention(norm1(x))"},
        {ATTN_NORM_PLACE_POST, ATTN_RESIDUAL_NONE, "y = norm1(attention(x))"},
        {ATTN_NORM_PLACE_BRANCH, ATTN_RESIDUAL_NONE, "y = post_norm1(attention(x))"},
        {ATTN_NORM_PLACE_BOTH, ATTN_RESIDUAL_NONE, "y = post_norm1(attention(norm1(x)))"},
    };
    arena *a = arena_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_str_eq(formula(a, rows[i].place, rows[i].residual), rows[i].text);
    arena_free(a);
}
