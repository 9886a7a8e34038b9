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

static const char *fact_text(arena *a, attn_spec s, const char *topic) {
    kernel_spec k = {.inner = -1, .expanded = -1, .core = s};
    attn_spec_error err = {0};
    cr_assert_eq(attn_spec_resolve(&k.core, &err), ATTN_OK, "%s %s", err.field, err.text);
    const fact_list facts = facts_of(a, &k);
    for (int i = 0; i < facts.count; i++)
        if (!strcmp(facts.fact[i].topic, topic)) return facts.fact[i].text;
    return "";
}

Test(facts, parts_that_few_layers_have) {
    arena *a = arena_new();
    attn_spec s;
    attn_spec_init(&s);
    s.level = ATTN_LEVEL_BLOCK, s.heads = 2, s.d_model = 16, s.ffn = ATTN_FFN_NONE;
    s.norm = ATTN_NORM_RMSNORM, s.norm_bare = 1, s.residual_scale = 0.5f;
    s.qk_norm = 1, s.qk_norm_over = ATTN_QK_NORM_OVER_ALL, s.qk_norm_place = 1;
    s.q_growth = 0.1f, s.q_growth_every = 8192, s.q_growth_offset = 1;
    s.o_gate = ATTN_O_GATE_HEAD;
    s.rope_scaling = ATTN_ROPE_SCALING_LONGROPE, s.rope_factor = 4, s.rope_original = 16;
    cr_expect_str_eq(fact_text(a, s, "Attention"), "y = x + 0.5 * attention(norm1(x))");
    const char *const has[][2] = {
        {"Layer", "rmsnorm (without weights)"},
        {"Layer", "rmsnorm of q and k rows, after RoPE"},
        {"Queries", "times 1 + 0.1 ln(1 + floor((p + 1) / 8192))"},
        {"Gate", "a number a head"},
        {"RoPE", "each angle divided by its factor in the weight rope_factors"},
    };
    for (size_t i = 0; i < sizeof has / sizeof *has; i++)
        cr_expect(strstr(fact_text(a, s, has[i][0]), has[i][1]), "%s: %s", has[i][0],
                  fact_text(a, s, has[i][0]));
    arena_free(a);
}

/* What nobody asked for: the layer cannot keep the type. */
Test(facts, weights_in_another_type_than_weight_type) {
    arena *a = arena_new();
    attn_spec s;
    attn_spec_init(&s);
    s.level = ATTN_LEVEL_BLOCK, s.form = ATTN_FORM_MLA, s.key = ATTN_KEY_SHARED;
    s.heads = 2, s.head_dim = 32, s.kv_comp_dim = 64, s.retr_dim = 16, s.scale = 0.1f;
    s.d_model = 256, s.ffn = ATTN_FFN_SWIGLU, s.ffn_dim = 96;
    cr_expect_str_eq(fact_text(a, s, "Weights"), "");
    s.weight_type = ATTN_WEIGHT_Q4_K;
    s.weight_types[ATTN_MATRIX_Q_PROJ] = 1 + ATTN_WEIGHT_BF16;
    cr_expect_str_eq(
        fact_text(a, s, "Weights"),
        "matrices are stored in q4_k; q_proj in bf16; o_proj in q8_0, not as weight_type says: it "
        "has rows that are no whole blocks; down_proj in q8_0, not as weight_type says: it has "
        "rows that are no whole blocks; kv_b_proj in f16, not as weight_type says: it is used "
        "transposed. Weights that are given in another type are rounded to that, once.");
    arena_free(a);
}
