/* Plans of layers: where weights lie once they are packed, and how their products are cut. */
#include "plan/block_plan.h"

#include <criterion/criterion.h>
#include <string.h>

/* Every part that a layer can have, in every form, at widths that fill no panel. */
static const char model_text[] =
    "local function layer(fields)\n"
    "  fields.level, fields.heads, fields.head_dim = 'block', 3, 13\n"
    "  return fields\n"
    "end\n"
    "local function latent(fields)\n"
    "  fields.form, fields.kv_comp_dim, fields.retr_dim = 'mla', 37, 6\n"
    "  return layer(fields)\n"
    "end\n"
    "return { layers = {\n"
    "  layer { d_model = 41, kv_heads = 1, v_dim = 9, norm_place = 'both', qk_norm = true,\n"
    "          sinks = true, rope_dim = 6, ffn_dim = 50 },\n"
    "  layer { d_model = 41, residual = 'parallel', q_bias = false, ffn = 'gelu', rope = 'none' "
    "},\n"
    "  layer { op = 'segment_cross', q_dim = 23, kv_dim = 19, rope = 'none' },\n"
    "  latent { d_model = 41, q_comp_dim = 11, norm_place = 'both', sinks = true },\n"
    "  latent { op = 'segment_cross', q_dim = 23, kv_dim = 19, q_comp_dim = 11 },\n"
    "  latent { d_model = 41, key = 'shared', scale = 0.2, q_comp_dim = 11, v_head_dim = 700,\n"
    "           norm_place = 'both', sinks = true, ffn = 'relu' },\n"
    "  latent { d_model = 41, key = 'shared', scale = 0.2 },\n"
    "  layer { d_model = 41, rope = 'none', ffn = 'moe', experts = 37, top_k = 3, expert_dim = 21, "
    "ffn_bias = "
    "true,\n"
    "          shared_experts = 2, shared_gate = true, router_bias = 'logits' },\n"
    "  layer { d_model = 41, kv_heads = 1, norm_place = 'branch', qk_norm = true, rope = 'none',\n"
    "          qk_norm_over = 'all', o_gate = 'channel', v_dim = 9 },\n"
    "  layer { d_model = 41, norm_bare = true, qk_norm = true, rope_dim = 6,\n"
    "          qk_norm_weights = 'heads', qk_norm_kind = 'layernorm' },\n"
    "  latent { d_model = 41, key = 'shared', scale = 0.2, q_comp_dim = 11, norm_place = 'both',\n"
    "           sinks = true, ffn = 'moe', experts = 4, top_k = 2, expert_dim = 9, expert_act = "
    "'relu',\n"
    "           ffn_bias = true, shared_experts = 1, router_bias = 'selection' },\n"
    "} }\n";

enum { LINE = 16 }; /* floats */

static int uses(const block_plan *p, int matrix) {
    int count = 0;
    for (int i = 0; i < p->stages; i++)
        for (int m = 0; m < p->stage[i].matrices; m++) count += p->stage[i].matrix[m] == matrix;
    return count;
}

static const block_place *place_of(const block_plan *p, const char *name) {
    const block_place *found = NULL;
    for (int i = 0; i < p->places; i++)
        if (!strcmp(p->place[i].name, name)) {
            cr_expect_null(found, "%s: two places of %s", p->symbol, name);
            found = &p->place[i];
        }
    return found;
}

/* One after the other, and aligned: vectors are loaded from where a place starts. */
static void check_places(const block_plan *p) {
    int64_t at = 0;
    cr_assert_leq(p->places, BLOCK_MAX_PLACES);
    for (int i = 0; i < p->places; i++) {
        const block_place *place = &p->place[i];
        cr_expect_eq(place->at, at, "%s: %s", p->symbol, place->name);
        cr_expect_eq(at % p->width, 0, "%s: %s", p->symbol, place->name);
        cr_expect(place->panels || place->panel % LINE == 0, "%s: %s", p->symbol, place->name);
        at += (place->panels ? place->panels : 1) * place->panel;
        place_of(p, place->name);
    }
    cr_expect_eq(p->packed_floats, at);
}

/* Tasks of so many columns make whole panels, and together each column once. */
static int64_t blocks_of(const block_plan *p, const block_matrix *m, int64_t columns) {
    cr_expect_eq(columns % p->nr, 0, "%s: %s", p->symbol, m->name);
    cr_expect_eq(columns % m->unit, 0, "%s: %s", p->symbol, m->name);
    cr_expect_leq(columns, p->wide, "%s: %s is wider than a thread's room", p->symbol, m->name);
    int64_t blocks = 0;
    for (int64_t from = 0; from < m->n; from += columns) blocks++;
    return m->heads * blocks;
}

static void check_matrices(const block_plan *p) {
    cr_assert_leq(p->matrices, BLOCK_MAX_MATRICES);
    for (int i = 0; i < p->matrices; i++) {
        const block_matrix *m = &p->matrix[i];
        const block_place *place = place_of(p, m->name);
        cr_assert_not_null(place, "%s: no place for %s", p->symbol, m->name);
        cr_expect_eq(place->panel, m->k * p->nr, "%s: %s", p->symbol, m->name);
        cr_expect_eq(place->panels, m->heads * m->panels, "%s: %s", p->symbol, m->name);
        cr_expect_geq(m->panels * p->nr, m->n, "%s: %s", p->symbol, m->name);
        cr_expect_lt((m->panels - 1) * p->nr, m->n, "%s: %s", p->symbol, m->name);
        cr_expect_eq(uses(p, i), 1, "%s: %s is in %d stages", p->symbol, m->name, uses(p, i));
    }
}

static void check_stages(const block_plan *p) {
    cr_assert_leq(p->stages, BLOCK_MAX_STAGES);
    for (int i = 0; i < p->stages; i++) {
        const block_stage *stage = &p->stage[i];
        int64_t wide = 0, few = 0;
        for (int m = 0; m < stage->matrices; m++) {
            const block_matrix *matrix = &p->matrix[stage->matrix[m]];
            cr_expect_leq(matrix->few, matrix->wide);
            wide += blocks_of(p, matrix, matrix->wide);
            few += blocks_of(p, matrix, matrix->few);
        }
        cr_expect_eq(stage->wide, wide, "%s: %s", p->symbol, stage->name);
        cr_expect_eq(stage->few, few, "%s: %s", p->symbol, stage->name);
    }
}

Test(block_plan, places_and_stages_hold_all_weights) {
    arena *a = arena_new();
    model m;
    diag d = {0};
    cr_assert(model_from_lua(a, "m.lua", model_text, &m, &d), "%s", d.text);
    int layers = 0;
    for (int i = 0; i < m.kernel_count; i++)
        for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
            block_plan p;
            if (m.kernels[i].core.level != ATTN_LEVEL_BLOCK) continue;
            block_plan_make(a, &m.kernels[i], &isa_table[isa], &p);
            check_places(&p);
            check_matrices(&p);
            check_stages(&p);
            layers += isa == 0;
        }
    cr_expect_eq(layers, 11);
    arena_free(a);
}

/* Where every width is whole panels, nothing lies between weights: Llama 3 8B's layer has
 * 218,112,000 of them, and the cosines and sines of 64 pairs at 64 positions, in double. */
Test(block_plan, whole_panels_have_no_padding) {
    static const char text[] =
        "return { layers = { { level = 'block', d_model = 4096, heads = 32, kv_heads = 8,\n"
        "  norm = 'rmsnorm', q_bias = false, ffn_dim = 14336, ffn_bias = false } } }\n";
    arena *a = arena_new();
    model m;
    diag d = {0};
    cr_assert(model_from_lua(a, "m.lua", text, &m, &d), "%s", d.text);
    for (int i = 0; i < m.kernel_count; i++)
        for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
            block_plan p;
            if (m.kernels[i].core.level != ATTN_LEVEL_BLOCK) continue;
            block_plan_make(a, &m.kernels[i], &isa_table[isa], &p);
            cr_expect_eq(p.packed_floats, 218112000 + 64 * 64 * 2 * 2);
            cr_expect_eq(place_of(&p, "UP")->panels * p.nr, 2 * 14336);
        }
    arena_free(a);
}
