/* Rules and canonical names of attn_spec. */
#include "spec.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static attn_spec regular(int32_t heads, int32_t head_dim) {
    attn_spec s;
    attn_spec_init(&s);
    s.heads = heads;
    s.head_dim = head_dim;
    return s;
}

static attn_spec mla(int32_t heads, int32_t c, int32_t r) {
    attn_spec s;
    attn_spec_init(&s);
    s.form = ATTN_FORM_MLA;
    s.heads = heads;
    s.kv_comp_dim = c;
    s.retr_dim = r;
    return s;
}

static int round_trips;

static void round_trip(attn_spec s) {
    attn_spec_error err = {0};
    cr_assert_eq(attn_spec_resolve(&s, &err), ATTN_OK, "%s %s", err.field, err.text);
    attn_spec again = s, parsed;
    cr_assert_eq(attn_spec_resolve(&again, &err), ATTN_OK, "%s %s", err.field, err.text);
    cr_assert_eq(memcmp(&again, &s, sizeof s), 0, "resolving twice changes the spec");
    char name[ATTN_NAME_MAX], second[ATTN_NAME_MAX];
    attn_spec_format(&s, name);
    for (const char *p = name; *p; p++)
        cr_assert(isalnum((unsigned char)*p) || *p == '_', "%s is no identifier", name);
    cr_assert_null(strstr(name, "__"), "%s", name);
    cr_assert_eq(attn_spec_parse(name, &parsed), ATTN_OK, "%s does not parse", name);
    cr_assert_eq(memcmp(&parsed, &s, sizeof s), 0, "%s parses to another spec", name);
    attn_spec_format(&parsed, second);
    cr_assert_str_eq(name, second);
    round_trips++;
}

/* Every combination of the fields that all forms and ops share. */
static void sweep_floats(attn_spec s) {
    static const float scales[] = {ATTN_UNSET_F, 0.1f,   1.0f,   -2.5f, 0.0f,       -0.0f,
                                   1e20f,        1e-30f, 1e-36f, 1e33f, 123456.789f};
    static const float softcaps[] = {ATTN_UNSET_F, 50.0f, 0.3f, 1e-5f};
    bool needs_scale = s.key == ATTN_KEY_SHARED;
    for (size_t i = needs_scale; i < sizeof scales / sizeof *scales; i++)
        for (size_t j = 0; j < sizeof softcaps / sizeof *softcaps; j++)
            for (int sinks = 0; sinks < 2; sinks++) {
                s.scale = scales[i];
                s.softcap = softcaps[j];
                s.sinks = sinks;
                round_trip(s);
            }
}

static void sweep_ops(attn_spec s) {
    static const int32_t windows[] = {0, 1, 255, INT32_MAX};
    sweep_floats(s);
    s.causal = 0;
    sweep_floats(s);
    s.op = ATTN_OP_SLIDING_SELF;
    for (int i = 0; i < 4; i++) {
        s.window = windows[i];
        s.causal = 0;
        s.right_window = windows[3 - i];
        sweep_floats(s);
        s.causal = 1;
        s.right_window = ATTN_UNSET;
        sweep_floats(s);
    }
    s.window = ATTN_UNSET;
    s.op = ATTN_OP_SEGMENT_CROSS;
    for (int i = 0; i < 4; i++) {
        s.lookback = windows[i];
        sweep_floats(s);
    }
}

static void sweep_backends(attn_spec s) {
    sweep_ops(s);
    s.backend = ATTN_BACKEND_FLEX;
    sweep_ops(s);
    s.expr_hash = 0x0000beefu;
    sweep_ops(s);
}

Test(spec, names_round_trip) {
    attn_spec s = regular(8, 64);
    sweep_backends(s);
    s.kv_heads = 2;
    sweep_backends(s);
    s.v_heads = 8;
    s.v_dim = 65536 / 8;
    sweep_backends(s);
    sweep_backends(regular(65536, 1));
    sweep_backends(regular(1, 65536));
    s = mla(16, 512, 64);
    sweep_backends(s);
    s.head_dim = 128;
    s.q_comp_dim = 1536;
    sweep_backends(s);
    s.key = ATTN_KEY_SHARED;
    sweep_backends(s);
    cr_assert_gt(round_trips, 10000);
}

static attn_spec block(int32_t d_model, int32_t heads) {
    attn_spec s;
    attn_spec_init(&s);
    s.level = ATTN_LEVEL_BLOCK;
    s.d_model = d_model;
    s.heads = heads;
    return s;
}

#define WITH(spec, ...)     \
    do {                    \
        attn_spec s = spec; \
        __VA_ARGS__;        \
    } while (0)

/* A layer's name is its core's and a hash of all its fields, which no other layer here shares. */
typedef struct layer_names {
    char name[1024][ATTN_NAME_MAX];
    int count;
} layer_names;

static void name_layer(layer_names *all, attn_spec s) {
    attn_spec_error err = {0};
    attn_spec core;
    char core_name[ATTN_NAME_MAX], *name = all->name[all->count++];
    cr_assert_eq(attn_spec_resolve(&s, &err), ATTN_OK, "%s %s", err.field, err.text);
    attn_spec_core(&s, &core);
    attn_spec_format(&core, core_name);
    attn_spec_format(&s, name);
    const char *hash = strrchr(name, '_');
    cr_assert_eq(strlen(hash), 9, "%s", name);
    cr_assert_eq(strncmp(name, "attn_f32_block_", 15), 0, "%s", name);
    const size_t n = (size_t)(hash - name) - 15;
    cr_assert(strlen(core_name) == 9 + n && !strncmp(name + 15, core_name + 9, n), "%s of %s", name,
              core_name);
    cr_assert(attn_name_is_canonical(name) && attn_name_is_canonical(core_name), "%s", name);
    cr_assert_eq(attn_spec_parse(name, &core), ATTN_E_SPEC, "a hash was read back: %s", name);
    for (int i = 0; i + 1 < all->count; i++)
        cr_assert_str_neq(all->name[i], name, "layers %d and %d", i, all->count - 1);
}

/* Every field of layers at another value than its default. */
Test(spec, layer_names_tell_every_field) {
    layer_names *all = calloc(1, sizeof *all);
    attn_spec base = block(2048, 32);
    base.kv_heads = 8, base.norm = ATTN_NORM_RMSNORM, base.rope_scaling = ATTN_ROPE_SCALING_YARN;
    base.rope_factor = 40, base.rope_original = 4096;
    name_layer(all, block(512, 8));
    name_layer(all, base);
#define OTHER(change) WITH(base, change; name_layer(all, s))
    OTHER(s.norm = ATTN_NORM_LAYERNORM);
    OTHER(s.norm_eps = 1e-6f);
    OTHER(s.norm_bias = 1);
    OTHER(s.norm_offset = 1);
    OTHER(s.norm_place = ATTN_NORM_PLACE_BOTH);
    OTHER(s.norm_place = ATTN_NORM_PLACE_BRANCH);
    OTHER(s.norm_bare = 1);
    OTHER(s.residual_scale = 0.5f);
    OTHER(s.skip_norm1 = 1);
    OTHER(s.weight_type = ATTN_WEIGHT_Q8_0);
    OTHER(s.weight_type = ATTN_WEIGHT_Q8_0; s.weight_dot = ATTN_WEIGHT_DOT_I8);
    OTHER(s.weight_type = ATTN_WEIGHT_Q8_0; s.same_bits = ATTN_SAME_BITS_FALSE);
    OTHER(s.residual = ATTN_RESIDUAL_PARALLEL);
    OTHER(s.residual = ATTN_RESIDUAL_PARALLEL; s.shared_norm = 1);
    OTHER(s.q_bias = 0);
    OTHER(s.k_bias = 0);
    OTHER(s.v_bias = 0);
    OTHER(s.o_bias = 0);
    OTHER(s.qk_norm = 1);
    OTHER(s.qk_norm = 1; s.qk_norm_kind = ATTN_QK_NORM_KIND_LAYERNORM);
    OTHER(s.qk_norm = 1; s.qk_norm_over = ATTN_QK_NORM_OVER_ALL);
    OTHER(s.qk_norm = 1; s.qk_norm_place = ATTN_QK_NORM_PLACE_AFTER);
    OTHER(s.qk_norm = 1; s.qk_norm_weights = ATTN_QK_NORM_WEIGHTS_HEADS);
    OTHER(s.qk_norm = 1; s.qk_norm_weights = ATTN_QK_NORM_WEIGHTS_NONE);
    OTHER(s.q_growth = 0.1f; s.q_growth_every = 16);
    OTHER(s.q_growth = 0.1f; s.q_growth_every = 17);
    OTHER(s.q_growth = 0.1f; s.q_growth_every = 16; s.q_growth_offset = 1);
    OTHER(s.o_gate = ATTN_O_GATE_HEAD);
    OTHER(s.o_gate = ATTN_O_GATE_CHANNEL);
    OTHER(s.rope = ATTN_ROPE_HALF);
    OTHER(s.rope_dim = 32);
    OTHER(s.rope_base = 5e5f);
    OTHER(s.rope_factor = 41);
    OTHER(s.rope_original = 8192);
    OTHER(s.rope_low = 2);
    OTHER(s.rope_high = 16);
    OTHER(s.rope_mscale = 1.5f);
    OTHER(s.rope_truncate = 0);
    OTHER(s.rope_scaling = ATTN_ROPE_SCALING_LONGROPE);
    OTHER(s.ffn = ATTN_FFN_GEGLU_TANH);
    OTHER(s.ffn = ATTN_FFN_XIELU);
    OTHER(s.ffn_dim_multiplier = 3);
    OTHER(s.ffn_dim = 1000);
    OTHER(s.ffn_bias = 0);
    OTHER(s.d_model = 4096; s.head_dim = 64);
#define MIXTURE s.ffn = ATTN_FFN_MOE, s.experts = 8, s.top_k = 2, s.expert_dim = 96
    OTHER(MIXTURE);
    OTHER(MIXTURE; s.expert_act = ATTN_EXPERT_ACT_GEGLU);
    OTHER(MIXTURE; s.experts = 9);
    OTHER(MIXTURE; s.top_k = 3);
    OTHER(MIXTURE; s.expert_dim = 97);
    OTHER(MIXTURE; s.router = ATTN_ROUTER_SIGMOID);
    OTHER(MIXTURE; s.router_bias = ATTN_ROUTER_BIAS_LOGITS);
    OTHER(MIXTURE; s.norm_topk = 1);
    OTHER(MIXTURE; s.router_scale = 2);
    OTHER(MIXTURE; s.groups = 4; s.group_top = 2);
    OTHER(MIXTURE; s.groups = 4; s.group_top = 3);
    OTHER(MIXTURE; s.shared_experts = 1);
    OTHER(MIXTURE; s.shared_experts = 1; s.shared_gate = 1);
    OTHER(MIXTURE; s.router_input = 1);
#undef MIXTURE
    OTHER(s.causal = 0; s.kv_dim = 96; s.rope_scaling = ATTN_ROPE_SCALING_NONE;
          s.rope_factor = ATTN_UNSET_F; s.rope_original = ATTN_UNSET; s.rope = ATTN_ROPE_NONE);
#undef OTHER
    attn_spec mla_layer = block(64, 4);
    mla_layer.form = ATTN_FORM_MLA, mla_layer.head_dim = 16, mla_layer.kv_comp_dim = 32;
    mla_layer.q_comp_dim = 24, mla_layer.retr_dim = 16;
    name_layer(all, mla_layer);
#define OTHER(change) WITH(mla_layer, change; name_layer(all, s))
    OTHER(s.q_comp_dim = 25); /* the core has neither of these */
    OTHER(s.head_dim = 8);
    OTHER(s.key = ATTN_KEY_SHARED);
    OTHER(s.key = ATTN_KEY_SHARED; s.v_head_dim = 8);
#undef OTHER
    attn_spec cross = block(ATTN_UNSET, 4);
    cross.op = ATTN_OP_SEGMENT_CROSS, cross.q_dim = 64, cross.kv_dim = 48, cross.d_attn = 32;
    name_layer(all, cross);
    WITH(cross, s.q_dim = 65; name_layer(all, s));
    WITH(cross, s.kv_dim = 49; name_layer(all, s));
    /* A hash that changes renames every layer that anybody has. */
    cr_assert_str_eq(all->name[0], "attn_f32_block_regular_sdpa_full_self_h8d64_ddb249de");
    free(all);
}

Test(spec, canonical_names) {
    static const char *const bad[] = {
        "attn_f32_block_regular_sdpa_full_self_h8d64",
        "attn_f32_block_regular_sdpa_full_self_h8d64_0123456",
        "attn_f32_block_regular_sdpa_full_self_h8d64_0123456G",
        "attn_f32_block_regular_sdpa_full_self_d64h8_01234567",
        "attn_f32_block__01234567",
        "attn_f32_block_block_regular_sdpa_full_self_h8d64_01234567",
        "attn_block",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(!attn_name_is_canonical(bad[i]), "'%s' is a name", bad[i]);
}

Test(spec, layers_take_the_reference_constructors_defaults) {
    attn_spec s = block(512, 8), core;
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    cr_assert_eq(s.head_dim, 64);
    cr_assert_eq(s.ffn_dim, 2048);
    cr_assert_eq(s.norm, ATTN_NORM_LAYERNORM);
    cr_assert_float_eq(s.norm_eps, 1e-5f, 0);
    cr_assert(s.q_bias && s.o_bias && s.ffn_bias && s.norm_bias);
    attn_spec_core(&s, &core);
    attn_spec plain = regular(8, 64);
    cr_assert_eq(attn_spec_resolve(&plain, NULL), ATTN_OK);
    cr_assert_eq(memcmp(&core, &plain, sizeof core), 0);
}

static void refused(attn_spec s, const char *field) {
    attn_spec_error err = {0};
    cr_assert_eq(attn_spec_resolve(&s, &err), ATTN_E_SPEC);
    cr_assert_str_eq(err.field, field, "%s: %s", err.field, err.text);
}

Test(spec, layer_rules) {
    refused(block(ATTN_UNSET, 8), "d_model");
    refused(block(510, 8), "d_model");
    attn_spec s = block(512, 8);
    s.rope_dim = 65;
    refused(s, "rope_dim");
    s = block(512, 8);
    s.rope_scaling = ATTN_ROPE_SCALING_LLAMA3;
    refused(s, "rope_factor");
    s = block(512, 8);
    s.rope_scaling = ATTN_ROPE_SCALING_LONGROPE, s.rope_factor = 4;
    refused(s, "rope_original");
    s.rope_original = 1;
    refused(s, "rope_original");
    s.rope_original = 64, s.rope_low = 1;
    refused(s, "rope_low");
    s.rope_low = ATTN_UNSET_F, s.rope_truncate = 0;
    refused(s, "rope_truncate");
    s.rope_truncate = 1, s.rope_mscale = -1;
    refused(s, "rope_mscale");
    s.rope_mscale = ATTN_UNSET_F;
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    cr_assert_float_eq(s.rope_mscale, sqrtf(4.0f / 3), 1e-6);
    s = block(512, 8);
    s.ffn_dim = 1024, s.ffn_dim_multiplier = 2;
    refused(s, "ffn_dim_multiplier");
    s = block(512, 8);
    s.kv_dim = 64;
    refused(s, "kv_dim");
    s = block(512, 8);
    s.shared_norm = 1;
    refused(s, "shared_norm");
    s = regular(8, 64);
    s.d_model = 512;
    refused(s, "d_model");
    s = regular(8, 64);
    s.experts = 4;
    refused(s, "experts");
    s = block(64, 4);
    s.form = ATTN_FORM_MLA, s.head_dim = 16, s.kv_comp_dim = 32, s.retr_dim = 16;
    refused(s, "q_comp_dim");
}

Test(spec, rules_of_norms_and_residuals) {
#define REFUSED(field, change) WITH(block(512, 8), change; refused(s, field))
    REFUSED("norm_bias", s.norm_bare = 1; s.norm_bias = 1);
    REFUSED("norm_offset", s.norm_bare = 1; s.norm_offset = 1);
    REFUSED("norm_bare", s.norm_bare = 1; s.norm = ATTN_NORM_NONE);
    REFUSED("norm_place", s.norm_place = ATTN_NORM_PLACE_BRANCH; s.norm = ATTN_NORM_NONE);
    REFUSED("norm_place", s.norm_place = ATTN_NORM_PLACE_BRANCH;
            s.residual = ATTN_RESIDUAL_PARALLEL);
    REFUSED("residual_scale", s.residual_scale = 0.5f; s.residual = ATTN_RESIDUAL_NONE;
            s.ffn = ATTN_FFN_NONE);
    REFUSED("skip_norm1", s.skip_norm1 = 1; s.norm = ATTN_NORM_NONE);
    REFUSED("weight_dot", s.weight_dot = ATTN_WEIGHT_DOT_I8);
    REFUSED("weight_dot", s.weight_dot = ATTN_WEIGHT_DOT_I8; s.weight_type = ATTN_WEIGHT_BF16);
    REFUSED("same_bits", s.same_bits = ATTN_SAME_BITS_FALSE);
    REFUSED("skip_norm1", s.skip_norm1 = 1; s.norm_place = ATTN_NORM_PLACE_POST);
    REFUSED("skip_norm1", s.skip_norm1 = 1; s.residual = ATTN_RESIDUAL_PARALLEL);
    REFUSED("skip_norm1", s.skip_norm1 = 1; s.ffn = ATTN_FFN_NONE);
    REFUSED("latent_eps", s.form = ATTN_FORM_MLA; s.head_dim = 16; s.kv_comp_dim = 32;
            s.retr_dim = 16; s.q_comp_dim = 16; s.latent_eps = 0.5f);
    REFUSED("q_growth_every", s.q_growth = 0.1f);
    REFUSED("q_growth_every", s.q_growth_every = 16);
    REFUSED("q_growth_offset", s.q_growth_offset = 1);
    REFUSED("q_growth", s.q_growth = 0.1f; s.q_growth_every = 16; s.kv_dim = 64; s.causal = 0);
    REFUSED("qk_norm_kind", s.qk_norm_kind = ATTN_QK_NORM_KIND_LAYERNORM);
    REFUSED("qk_norm_over", s.qk_norm_over = ATTN_QK_NORM_OVER_ALL);
    REFUSED("qk_norm_place", s.qk_norm_place = ATTN_QK_NORM_PLACE_AFTER);
    REFUSED("qk_norm_weights", s.qk_norm_weights = ATTN_QK_NORM_WEIGHTS_NONE);
    REFUSED("qk_norm_weights", s.qk_norm = 1; s.qk_norm_over = ATTN_QK_NORM_OVER_ALL;
            s.qk_norm_weights = ATTN_QK_NORM_WEIGHTS_HEADS);
#undef REFUSED
    /* One spelling each. */
    attn_spec s = block(512, 8);
    s.norm_bare = 1, s.residual_scale = 1, s.rope = ATTN_ROPE_NONE;
    s.qk_norm = 1, s.qk_norm_place = ATTN_QK_NORM_PLACE_AFTER;
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    cr_assert(!s.norm_bias && s.residual_scale == 0);
    cr_assert_eq(s.qk_norm_place, ATTN_QK_NORM_PLACE_BEFORE);
}

static attn_spec mixture(void) {
    attn_spec s = block(512, 8);
    s.ffn = ATTN_FFN_MOE, s.experts = 8, s.top_k = 2, s.expert_dim = 96;
    return s;
}

Test(spec, rules_of_mixtures) {
    attn_spec s = mixture();
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    cr_assert(s.router_scale == 1 && s.groups == 1 && s.group_top == 1 && s.ffn_bias == 0);
    cr_assert_eq(s.ffn_dim, ATTN_UNSET);
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
#define REFUSED(field, change) WITH(mixture(), change; refused(s, field))
    REFUSED("experts", s.experts = 0);
    REFUSED("experts", s.experts = ATTN_EXPERTS_MOST + 1);
    REFUSED("top_k", s.top_k = 0);
    REFUSED("top_k", s.top_k = 9);
    REFUSED("expert_dim", s.expert_dim = 0);
    REFUSED("ffn_dim", s.ffn_dim = 96);
    REFUSED("ffn_dim_multiplier", s.ffn_dim_multiplier = 4);
    REFUSED("groups", s.groups = 3; s.group_top = 1);
    REFUSED("groups", s.groups = 2; s.group_top = 1; s.router = ATTN_ROUTER_TOPK_SOFTMAX);
    REFUSED("groups", s.groups = 8; s.group_top = 2; s.router = ATTN_ROUTER_SIGMOID);
    REFUSED("group_top", s.groups = 2);
    REFUSED("group_top", s.groups = 2; s.group_top = 3);
    REFUSED("group_top", s.group_top = 2);
    REFUSED("top_k", s.groups = 4; s.group_top = 1; s.top_k = 3);
    REFUSED("router_bias", s.router = ATTN_ROUTER_TOPK_SOFTMAX;
            s.router_bias = ATTN_ROUTER_BIAS_SELECTION);
    REFUSED("norm_topk", s.router = ATTN_ROUTER_TOPK_SOFTMAX; s.norm_topk = 1);
    REFUSED("shared_gate", s.shared_gate = 1);
    REFUSED("shared_experts", s.shared_experts = 1024; s.expert_dim = 2048);
#undef REFUSED
    /* None of its fields without it. */
#define REFUSED(field, change) WITH(block(512, 8), change; refused(s, field))
    REFUSED("expert_act", s.expert_act = ATTN_EXPERT_ACT_GELU);
    REFUSED("experts", s.experts = 8);
    REFUSED("top_k", s.top_k = 2);
    REFUSED("expert_dim", s.expert_dim = 96);
    REFUSED("router", s.router = ATTN_ROUTER_SIGMOID);
    REFUSED("router_bias", s.router_bias = ATTN_ROUTER_BIAS_LOGITS);
    REFUSED("norm_topk", s.norm_topk = 1);
    REFUSED("router_scale", s.router_scale = 2);
    REFUSED("groups", s.groups = 1);
    REFUSED("group_top", s.group_top = 1);
    REFUSED("shared_experts", s.shared_experts = 1);
    REFUSED("shared_gate", s.shared_gate = 1);
    REFUSED("router_input", s.router_input = 1);
    REFUSED("experts", s.ffn = ATTN_FFN_EXTERNAL; s.experts = 8);
#undef REFUSED
}

Test(spec, name_reads_as_documented) {
    attn_spec s = regular(8, 64);
    s.kv_heads = 2;
    s.op = ATTN_OP_SLIDING_SELF;
    s.backend = ATTN_BACKEND_FLEX;
    s.window = 255;
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    char name[ATTN_NAME_MAX];
    attn_spec_format(&s, name);
    cr_assert_str_eq(name, "attn_f32_regular_flex_sliding_self_h8k2d64w255");
    s.expr_hash = 0x12ab;
    s.scale = -0.5f;
    attn_spec_format(&s, name);
    cr_assert_str_eq(name, "attn_f32_regular_flex_sliding_self_h8k2d64w255sm0p5x000012ab");
}

Test(spec, only_canonical_names_parse) {
    static const char *const bad[] = {
        "",
        "attn_f32_",
        "attn_f32_regular_sdpa_full_self_",
        "attn_f32_regular_sdpa_full_self_d64h8",           /* order */
        "attn_f32_regular_sdpa_full_self_h08d64",          /* leading zero */
        "attn_f32_regular_sdpa_full_self_h8k8d64",         /* implied */
        "attn_f32_regular_sdpa_full_self_h8h8d64",         /* twice */
        "attn_f32_regular_sdpa_full_self_h8d64s0p125",     /* the default scale */
        "attn_f32_regular_sdpa_full_self_h8d64a1",         /* the default */
        "attn_f32_regular_sdpa_full_self_h8d64w3",         /* does not apply */
        "attn_f32_regular_sdpa_full_self_h8d64x00000001",  /* sdpa has no expressions */
        "attn_f32_regular_flex_full_self_h8d64x00000000",  /* no hash */
        "attn_f32_regular_flex_full_self_h8d64x0000000G",  /* no digit */
        "attn_f32_regular_flex_full_self_h8d64x0000000A",  /* upper case */
        "attn_f32_regular_flex_full_self_h8d64x001",       /* short */
        "attn_f32_regular_sdpa_full_self_h8d64s1e999",     /* infinite */
        "attn_f32_regular_sdpa_full_self_h8d64s1p",        /* not as printed */
        "attn_f32_regular_sdpa_full_self_h99999999999d64", /* out of range */
        "attn_f32_regular_sdpa_full_self_h8d64__avx2_4x4", /* right of __ */
        "attn_f32_regular_sdpa_sliding_self_h8d64",        /* window is missing */
        "attn_f32_mla_sdpa_full_self_h8y1c8t8",            /* scale is missing */
        "attn_f32_regular_full_self_sdpa_h8d64",
        "attn_f64_regular_sdpa_full_self_h8d64",
        "attn_bf16_kvbf16_regular_sdpa_full_self_h8d64",     /* the same */
        "attn_f32_of32_regular_sdpa_full_self_h8d64",        /* the same */
        "attn_f16_of32_kvbf16_regular_sdpa_full_self_h8d64", /* order */
        "attn_f32_rotate_regular_sdpa_full_self_h8d64",      /* f32 keys are not rotated */
        "attn_f32_kvi8_doti16_regular_sdpa_full_self_h8d64", /* the default */
        "attn_f32_doti8_regular_sdpa_full_self_h8d64",
        "attn_f32_kvi8_doti8_rotate_regular_sdpa_full_self_h8d64", /* order */
        "attn_f32_kvi8_dotf64_regular_sdpa_full_self_h8d64",
    };
    attn_spec s;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(attn_spec_parse(bad[i], &s), ATTN_E_SPEC, "'%s' parses", bad[i]);
}

Test(spec, types_in_names) {
    static const struct {
        const char *name;
        attn_types type;
    } row[] = {
        {"attn_f32_kvf16_regular_sdpa_full_self_h8d64",
         {ATTN_TYPE_F32, ATTN_TYPE_F16, ATTN_TYPE_F16, ATTN_TYPE_F32}},
        {"attn_bf16_regular_sdpa_full_self_h8d64",
         {ATTN_TYPE_BF16, ATTN_TYPE_BF16, ATTN_TYPE_BF16, ATTN_TYPE_BF16}},
        {"attn_f16_kvf32_regular_sdpa_full_self_h8d64",
         {ATTN_TYPE_F16, ATTN_TYPE_F32, ATTN_TYPE_F32, ATTN_TYPE_F16}},
        {"attn_f16_kvbf16_of32_regular_sdpa_full_self_h8d64",
         {ATTN_TYPE_F16, ATTN_TYPE_BF16, ATTN_TYPE_BF16, ATTN_TYPE_F32}},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        attn_spec s;
        char name[ATTN_NAME_MAX];
        cr_assert_eq(attn_spec_parse(row[i].name, &s), ATTN_OK, "%s", row[i].name);
        const attn_types type = attn_spec_types(&s);
        cr_expect_eq(memcmp(&type, &row[i].type, sizeof type), 0, "%s", row[i].name);
        attn_spec_format(&s, name);
        cr_expect_str_eq(name, row[i].name);
    }
}

Test(spec, type_in_layers) {
    attn_spec s;
    attn_spec_error e;
    attn_spec_init(&s);
    s.level = ATTN_LEVEL_BLOCK;
    s.heads = 2, s.d_model = 16, s.type = ATTN_TYPE_BF16;
    cr_assert_eq(attn_spec_resolve(&s, &e), ATTN_E_SPEC);
    cr_expect_str_eq(e.field, "type");
    cr_expect_not_null(strstr(e.text, "must be f32 in layers, whose rows are"), "%s", e.text);
    s.type = ATTN_TYPE_F32, s.o_type = ATTN_O_TYPE_F32; /* as they are: nothing to choose */
    cr_assert_eq(attn_spec_resolve(&s, &e), ATTN_E_SPEC);
    cr_expect_str_eq(e.field, "o_type");
    s.o_type = ATTN_O_TYPE_SAME;
    cr_expect_eq(attn_spec_resolve(&s, &e), ATTN_OK);
}

Test(spec, defaults) {
    attn_spec s = regular(8, 64);
    s.kv_heads = 2;
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    cr_expect_eq(s.v_heads, 2);
    cr_expect_eq(s.v_dim, 64);
    cr_expect_eq(s.causal, 1);
    cr_expect_eq(s.right_window, ATTN_UNSET);
    cr_expect_eq(s.softcap, ATTN_UNSET_F);
    cr_expect_eq(s.scale, 0.125f);
    s = regular(4, 80);
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    cr_expect_eq(s.scale, (float)(1.0 / sqrt(80.0)));
}

Test(spec, mla_derives_its_heads) {
    attn_spec s = mla(16, 512, 64);
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    cr_expect_eq(attn_spec_k_dim(&s), 64);
    cr_expect_eq(s.kv_heads, 16);
    cr_expect_eq(s.v_heads, 1);
    cr_expect_eq(s.v_dim, 512);
    cr_expect_eq(s.scale, 0.125f);
    s = mla(16, 512, 64);
    s.key = ATTN_KEY_SHARED;
    s.scale = 0.1f;
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    cr_expect_eq(attn_spec_k_dim(&s), 576);
    cr_expect_eq(s.kv_heads, 1);
}

/* Unset members take defaults, in a struct that attn_spec_init did not fill too. */
Test(spec, unset_is_default_everywhere) {
    attn_spec s = regular(8, 64), unset = s;
    unset.form = unset.op = unset.backend = unset.key = ATTN_UNSET;
    unset.causal = unset.sinks = unset.lookback = ATTN_UNSET;
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    cr_assert_eq(attn_spec_resolve(&unset, NULL), ATTN_OK);
    cr_assert_eq(memcmp(&s, &unset, sizeof s), 0);
}

static void expect_error(attn_spec s, const char *field, const char *text) {
    attn_spec before = s;
    attn_spec_error err = {0};
    cr_expect_eq(attn_spec_resolve(&s, &err), ATTN_E_SPEC, "%s %s is accepted", field, text);
    if (!err.field) return;
    cr_expect_str_eq(err.field, field, "%s: %s", err.field, err.text);
    cr_expect_not_null(strstr(err.text, text), "%s: %s lacks '%s'", err.field, err.text, text);
    cr_expect_eq(memcmp(&s, &before, sizeof s), 0, "an error changes the spec");
}

Test(spec, rules) {
    WITH(regular(8, 64), s.heads = ATTN_UNSET; expect_error(s, "heads", "required"));
    WITH(regular(8, ATTN_UNSET), expect_error(s, "head_dim", "required"));
    WITH(regular(0, 64), expect_error(s, "heads", "from 1 to 65536, got 0"));
    WITH(regular(8, 65537), expect_error(s, "head_dim", "from 1 to 65536"));
    WITH(regular(65536, 65536), expect_error(s, "head_dim", "too large"));
    WITH(regular(8, 64), s.op = 3; expect_error(s, "op", "one of"));
    WITH(regular(8, 64), s.form = -1; expect_error(s, "form", "one of"));
    WITH(regular(8, 64), s.kv_heads = 3; expect_error(s, "kv_heads", "divide"));
    WITH(regular(8, 64), s.v_heads = 16; expect_error(s, "v_heads", "divide"));
    WITH(regular(8, 64), s.window = 3; expect_error(s, "window", "sliding_self only"));
    WITH(regular(8, 64), s.lookback = 3; expect_error(s, "lookback", "segment_cross only"));
    WITH(regular(8, 64), s.key = 1; expect_error(s, "key", "mla only"));
    WITH(regular(8, 64), s.retr_dim = 8; expect_error(s, "retr_dim", "mla only"));
    WITH(regular(8, 64), s.causal = 2; expect_error(s, "causal", "from 0 to 1"));
    WITH(regular(8, 64), s.softcap = 0; expect_error(s, "softcap", "greater than 0"));
    WITH(regular(8, 64), s.softcap = NAN; expect_error(s, "softcap", "finite"));
    WITH(regular(8, 64), s.scale = INFINITY; expect_error(s, "scale", "finite"));
    WITH(regular(8, 64), s.expr_hash = 1; expect_error(s, "backend", "flex"));
    WITH(regular(8, 64), s.op = ATTN_OP_SLIDING_SELF; expect_error(s, "window", "required"));
    WITH(regular(8, 64), s.op = ATTN_OP_SLIDING_SELF; s.window = -1;
         expect_error(s, "window", "from 0"));
    WITH(regular(8, 64), s.op = ATTN_OP_SLIDING_SELF; s.window = 1; s.causal = 0;
         expect_error(s, "right_window", "required"));
    WITH(regular(8, 64), s.op = ATTN_OP_SLIDING_SELF; s.window = 1; s.right_window = 1;
         expect_error(s, "right_window", "causal = false"));
    WITH(regular(8, 64), s.op = ATTN_OP_SEGMENT_CROSS; s.causal = 0;
         expect_error(s, "causal", "segment_cross"));
    WITH(mla(8, 64, ATTN_UNSET), expect_error(s, "retr_dim", "required"));
    WITH(mla(8, ATTN_UNSET, 64), expect_error(s, "kv_comp_dim", "required"));
    WITH(mla(8, 64, 64), s.kv_heads = 2; expect_error(s, "kv_heads", "regular only"));
    WITH(mla(8, 64, 64), s.v_dim = 65; expect_error(s, "v_dim", "regular only"));
    WITH(mla(8, 64, 64), s.key = 1; expect_error(s, "scale", "required"));
    WITH(mla(65536, 32000, 32000), s.key = 1; s.scale = 1; expect_error(s, "retr_dim", "large"));
}

Test(spec, other_struct_sizes_are_refused) {
    attn_spec s = regular(8, 64);
    s.struct_size--;
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_E_ABI);
}

/* The table is what flags, Lua keys and names are made from. */
Test(spec, table_is_sound) {
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        cr_expect_eq(attn_field_find(f->name), f, "%s is there twice", f->name);
        cr_expect(*f->help, "%s", f->name);
        for (int j = 0; j < i && f->id != ' ' && f->id != '.'; j++)
            cr_expect_neq(f->id, attn_fields[j].id, "%s and %s share a letter", f->name,
                          attn_fields[j].name);
        /* 'x' is the hash; 'p', 'm' and 'e' stand inside numbers */
        cr_expect_null(strchr("xpme", f->id), "%s", f->name);
        cr_expect(f->id == ' ' || f->id == '.' || !(f->applies & ATTN_IN_BLOCK),
                  "layers have no letters: %s", f->name);
    }
}

/* One member of every kind, at the ends of what it holds. */
Test(spec, members_by_their_rows) {
    static const struct {
        const char *field;
        double value;
        const char *text;
    } row[] = {{"op", ATTN_OP_SLIDING_SELF, "sliding_self"},
               {"causal", 1, "true"},
               {"causal", 0, "false"},
               {"heads", 65536, "65536"},
               {"window", INT32_MAX, "2147483647"},
               {"scale", (double)0.1f, "0.1"},
               {"scale", (double)-3e38f, NULL},
               {"heads", ATTN_UNSET, NULL}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const attn_field *f = attn_field_find(row[i].field);
        attn_spec s;
        attn_spec_init(&s);
        attn_field_put(f, &s, row[i].value);
        char text[ATTN_FIELD_TEXT_MAX];
        const bool set = attn_field_text(f, &s, text);
        cr_expect_eq(attn_field_get(f, &s), row[i].value, "%s", f->name);
        cr_expect_eq(set, row[i].text != NULL, "%s", f->name);
        cr_expect_str_eq(text, row[i].text ? row[i].text : "", "%s", f->name);
        cr_expect_eq(attn_field_is_set(f, &s), set, "%s", f->name);
    }
    attn_spec s;
    attn_spec_init(&s);
    attn_field_put(attn_field_find("window"), &s, 255);
    attn_field_put(attn_field_find("softcap"), &s, 30);
    cr_expect(s.window == 255 && s.softcap == 30 && s.heads == ATTN_UNSET);
    cr_expect_not(attn_field_is_member(attn_field_find("score")));
}

/* i8 keys: rotation and dot are theirs, and are read back from the name. */
Test(spec, integer_keys) {
    attn_spec s = regular(8, 64), back;
    char name[ATTN_NAME_MAX];
    s.kv_type = ATTN_KV_TYPE_I8;
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    cr_expect_eq(s.rotate, 0);
    cr_expect_eq(s.dot, ATTN_DOT_I16);
    cr_expect(attn_spec_scaled(&s));
    cr_expect_eq(attn_spec_rotation(&s).block, 0);
    attn_spec_format(&s, name);
    cr_expect_str_eq(name, "attn_f32_kvi8_regular_sdpa_full_self_h8d64");
    s.rotate = 1;
    s.dot = ATTN_DOT_BF16;
    attn_spec_format(&s, name);
    cr_expect_str_eq(name, "attn_f32_kvi8_rotate_dotbf16_regular_sdpa_full_self_h8d64");
    cr_assert_eq(attn_spec_parse(name, &back), ATTN_OK);
    cr_expect_eq(back.rotate, 1);
    cr_expect_eq(back.dot, ATTN_DOT_BF16);
    s = regular(8, 64); /* a layer's keys are rotated unasked, and it is named so */
    s.level = ATTN_LEVEL_BLOCK, s.d_model = 512, s.kv_type = ATTN_KV_TYPE_I8;
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    cr_expect(s.rotate == 1 && s.dot == ATTN_DOT_I16);
    attn_spec_format(&s, name);
    cr_expect_eq(strncmp(name, "attn_f32_kvi8_rotate_block_regular_", 35), 0, "%s", name);
    s.rotate = 0;
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    cr_expect_eq(s.rotate, 0);
    attn_spec_format(&s, name);
    cr_expect_eq(strncmp(name, "attn_f32_kvi8_block_regular_", 28), 0, "%s", name);
    s = regular(8, 64);
    s.dot = ATTN_DOT_F32, s.rotate = 0; /* the defaults of f32: one spelling */
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    cr_expect_eq(s.dot, ATTN_DOT_AUTO);
    cr_expect(!attn_spec_scaled(&s));
}

static attn_rotation rotation_of(int32_t head_dim, int32_t latent, int32_t retr) {
    attn_spec s = regular(2, head_dim);
    s.kv_type = ATTN_KV_TYPE_I8, s.rotate = 1;
    if (latent) {
        s.form = ATTN_FORM_MLA, s.key = ATTN_KEY_SHARED, s.head_dim = ATTN_UNSET, s.scale = 1;
        s.kv_comp_dim = latent, s.retr_dim = retr;
    }
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    return attn_spec_rotation(&s);
}

Test(spec, rotated_columns) {
    cr_expect_eq(rotation_of(64, 0, 0).block, 64);
    cr_expect_eq(rotation_of(96, 0, 0).block, 32);
    cr_expect_eq(rotation_of(33, 0, 0).block, 1);
    cr_expect_eq(rotation_of(96, 0, 0).from, 0);
    cr_expect_eq(rotation_of(0, 512, 48).block, 16);
    cr_expect_eq(rotation_of(0, 512, 48).from, 512);
}

/* What a matrix would be anyway is not said; types of single matrices are part of the name. */
Test(spec, types_of_single_matrices) {
    attn_spec s, plain;
    char name[ATTN_NAME_MAX], other[ATTN_NAME_MAX], text[ATTN_FIELD_TEXT_MAX];
    const attn_field *f = attn_field_find("weight_types");
    attn_spec_init(&s);
    s.level = ATTN_LEVEL_BLOCK, s.heads = 2, s.d_model = 64, s.weight_type = ATTN_WEIGHT_Q4_0;
    plain = s;
    s.weight_types[ATTN_MATRIX_V_PROJ] = 1 + ATTN_WEIGHT_Q4_0;
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    cr_assert_eq(attn_spec_resolve(&plain, NULL), ATTN_OK);
    cr_expect_eq(memcmp(&s, &plain, sizeof s), 0);
    cr_expect(attn_field_is_default(f, &s) && !attn_field_text(f, &s, text));
    s.weight_types[ATTN_MATRIX_V_PROJ] = 1 + ATTN_WEIGHT_Q8_0;
    s.weight_types[ATTN_MATRIX_DOWN_PROJ] = 1 + ATTN_WEIGHT_BF16;
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    attn_spec_format(&s, name);
    attn_spec_format(&plain, other);
    cr_expect_str_neq(name, other);
    cr_expect(attn_field_text(f, &s, text));
    cr_expect_str_eq(text, "v_proj=q8_0; down_proj=bf16");
    cr_expect_eq(attn_spec_matrix_type(&s, ATTN_MATRIX_V_PROJ, 64), ATTN_WEIGHT_Q8_0);
    cr_expect_eq(attn_spec_matrix_type(&s, ATTN_MATRIX_Q_PROJ, 64), ATTN_WEIGHT_Q4_0);
    s.weight_types[ATTN_MATRIX_V_PROJ] = 1 + ATTN_WEIGHT_COUNT;
    cr_expect_eq(attn_spec_resolve(&s, NULL), ATTN_E_SPEC);
}

/* What is transposed or folded has floats, weight_rest's if nothing is said. */
Test(spec, types_of_latent_matrices) {
    attn_spec s, plain;
    attn_spec_error err;
    attn_spec_init(&s);
    s.level = ATTN_LEVEL_BLOCK, s.form = ATTN_FORM_MLA, s.key = ATTN_KEY_SHARED, s.heads = 2;
    s.d_model = 64, s.head_dim = s.v_head_dim = s.kv_comp_dim = 32, s.retr_dim = 16;
    s.weight_type = ATTN_WEIGHT_Q4_0;
    plain = s;
    s.weight_types[ATTN_MATRIX_KV_B_PROJ] = 1 + ATTN_WEIGHT_F16;
    cr_assert_eq(attn_spec_resolve(&s, &err), ATTN_OK, "%s", err.text);
    cr_assert_eq(attn_spec_resolve(&plain, NULL), ATTN_OK);
    cr_expect_eq(memcmp(&s, &plain, sizeof s), 0);
    s.weight_types[ATTN_MATRIX_KV_B_PROJ] = 1 + ATTN_WEIGHT_BF16;
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    cr_expect_eq(attn_spec_matrix_type(&s, ATTN_MATRIX_KV_B_PROJ, 32), ATTN_WEIGHT_BF16);
    s.weight_types[ATTN_MATRIX_KV_B_PROJ] = 1 + ATTN_WEIGHT_Q4_0;
    cr_expect_eq(attn_spec_resolve(&s, &err), ATTN_E_SPEC);
    cr_expect(strstr(err.text, "kv_b_proj=q4_0: it is used transposed, so its type must be f32, "
                               "bf16 or f16"),
              "%s", err.text);
}
