/* GGUF files -> layers: the same as the config.json of the model, but for what such files have
 * otherwise. The files are tests/import/make_gguf_cases.py's, or made here. */
#include "files.h"
#include "gguf_builder.h"
#include "import/import_gguf.h"
#include "import/import_hf.h"
#include "import/json_text.h"
#include "embedded.h"
#include "spec.h"
#include "weight_types.h"
#include <criterion/criterion.h>
#include <string.h>

static const struct {
    const char *file, *config;
    const char *differs; /* fields, between blanks, in which alone all layers differ */
    const char *notes[3];
} means[] = {
    {"llama",
     "{'model_type': 'llama', 'hidden_size': 32, 'intermediate_size': 64, 'num_hidden_layers': 2, "
     "'num_attention_heads': 2, 'num_key_value_heads': 1, 'rms_norm_eps': 1e-5, 'rope_theta': 1e5}",
     " rope weight_type weight_types ",
     {"llama.gguf: llama: rows of attn_q and attn_k are permuted",
      "stored as q4_1: attn_q, attn_k, attn_output, ffn_gate, ffn_up, attn_v (1 of 2 layers), "
      "ffn_down (1 of 2 layers)\n",
      "stored as q5_0: attn_v (1 of 2 layers), ffn_down (1 of 2 layers)\n"}},
    {"llama3",
     "{'model_type': 'llama', 'hidden_size': 256, 'intermediate_size': 512, 'num_hidden_layers': "
     "2, "
     "'num_attention_heads': 2, 'num_key_value_heads': 1, 'rms_norm_eps': 1e-5, 'rope_theta': "
     "500000, 'rope_scaling': {'rope_type': 'llama3', 'factor': 32, 'low_freq_factor': 1, "
     "'high_freq_factor': 4, 'original_max_position_embeddings': 8192}}",
     " rope ",
     {NULL}},
    {"yarn",
     "{'model_type': 'llama', 'hidden_size': 64, 'intermediate_size': 128, 'num_hidden_layers': 1, "
     "'num_attention_heads': 4, 'attention_bias': true, 'mlp_bias': true, 'rms_norm_eps': 1e-6, "
     "'rope_scaling': {'rope_type': 'yarn', 'factor': 8, 'beta_fast': 16, "
     "'original_max_position_embeddings': 4096}}",
     " rope ",
     {NULL}},
    {"qwen2",
     "{'model_type': 'qwen2', 'hidden_size': 64, 'intermediate_size': 128, 'num_hidden_layers': 2, "
     "'num_attention_heads': 4, 'num_key_value_heads': 2, 'rms_norm_eps': 1e-6, 'rope_theta': 1e6}",
     "",
     {NULL}},
    {"qwen3",
     "{'model_type': 'qwen3', 'hidden_size': 64, 'intermediate_size': 128, 'num_hidden_layers': 2, "
     "'num_attention_heads': 4, 'num_key_value_heads': 2, 'head_dim': 32, 'rms_norm_eps': 1e-6, "
     "'rope_theta': 1e6}",
     "",
     {NULL}},
    {"gemma",
     "{'model_type': 'gemma', 'hidden_size': 64, 'intermediate_size': 128, 'num_hidden_layers': 2, "
     "'num_attention_heads': 4, 'num_key_value_heads': 1, 'head_dim': 32, 'rms_norm_eps': 1e-6}",
     " norm_offset ",
     {"gemma.gguf: gemma: weights of norms have their 1 added"}},
    {"gemma2",
     "{'model_type': 'gemma2', 'hidden_size': 64, 'intermediate_size': 128, 'num_hidden_layers': "
     "3, "
     "'num_attention_heads': 4, 'num_key_value_heads': 2, 'head_dim': 32, 'rms_norm_eps': 1e-6, "
     "'attn_logit_softcapping': 30, 'sliding_window': 512, 'query_pre_attn_scalar': 32}",
     " norm_offset ",
     {"gemma2.gguf: gemma2: weights of norms have their 1 added"}},
    {"gemma3",
     "{'model_type': 'gemma3_text', 'hidden_size': 64, 'intermediate_size': 128, "
     "'num_hidden_layers': 7, 'num_attention_heads': 4, 'num_key_value_heads': 2, 'head_dim': 32, "
     "'rms_norm_eps': 1e-6, 'sliding_window': 512, 'query_pre_attn_scalar': 32, 'rope_scaling': "
     "{'rope_type': 'linear', 'factor': 8}}",
     " norm_offset ",
     {"gemma3.gguf: gemma3: weights of norms have their 1 added"}},
    {"gemma3_bools",
     "{'model_type': 'gemma3_text', 'hidden_size': 64, 'intermediate_size': 128, "
     "'num_hidden_layers': 3, 'num_attention_heads': 4, 'num_key_value_heads': 2, 'head_dim': 32, "
     "'rms_norm_eps': 1e-6, 'sliding_window': 512, 'query_pre_attn_scalar': 32, "
     "'rope_local_base_freq': 5000, 'layer_types': ['sliding_attention', 'full_attention', "
     "'sliding_attention']}",
     " norm_offset ",
     {NULL}},
    {"phi3",
     "{'model_type': 'phi3', 'hidden_size': 96, 'intermediate_size': 128, 'num_hidden_layers': 2, "
     "'num_attention_heads': 2, 'num_key_value_heads': 1, 'partial_rotary_factor': 0.75, "
     "'rms_norm_eps': 1e-5, 'sliding_window': 2047}",
     " weight_type ",
     {"stored as q4_0: attn_qkv (1 of 2 layers), ffn_up (1 of 2 layers)\n"}},
    {"cohere2",
     "{'model_type': 'cohere2', 'hidden_size': 64, 'intermediate_size': 128, 'num_hidden_layers': "
     "4, 'num_attention_heads': 4, 'num_key_value_heads': 2, 'layer_norm_eps': 1e-5, "
     "'sliding_window': 256, 'rope_theta': 50000}",
     "",
     {NULL}},
    {"mixtral",
     "{'model_type': 'mixtral', 'hidden_size': 64, 'intermediate_size': 96, 'num_hidden_layers': "
     "2, "
     "'num_attention_heads': 4, 'num_key_value_heads': 2, 'rms_norm_eps': 1e-5, 'rope_theta': 1e6, "
     "'sliding_window': null, 'num_local_experts': 4, 'num_experts_per_tok': 2}",
     " rope weight_type weight_types ",
     {"stored as q8_0: ffn_down_exps\n"}},
    {"qwen2moe",
     "{'model_type': 'qwen2_moe', 'hidden_size': 64, 'intermediate_size': 128, "
     "'num_hidden_layers': 1, 'num_attention_heads': 4, 'num_key_value_heads': 2, 'rms_norm_eps': "
     "1e-6, 'rope_theta': 1e6, 'num_experts': 6, 'num_experts_per_tok': 2, "
     "'moe_intermediate_size': 32, 'shared_expert_intermediate_size': 64}",
     " weight_type weight_types ",
     {"stored as q5_1: ffn_down_exps, ffn_up_exps\n"}},
    {"qwen3moe",
     "{'model_type': 'qwen3_moe', 'hidden_size': 64, 'intermediate_size': 128, "
     "'num_hidden_layers': 2, 'num_attention_heads': 4, 'num_key_value_heads': 2, 'head_dim': 32, "
     "'rms_norm_eps': 1e-6, 'rope_theta': 1e6, 'num_experts': 8, 'num_experts_per_tok': 4, "
     "'moe_intermediate_size': 48, 'norm_topk_prob': true}",
     "",
     {"qwen3moe: weights of chosen experts are divided by their sum"}},
    {"gpt_oss",
     "{'model_type': 'gpt_oss', 'hidden_size': 64, 'intermediate_size': 96, 'num_hidden_layers': "
     "3, "
     "'num_attention_heads': 4, 'num_key_value_heads': 2, 'head_dim': 32, 'rms_norm_eps': 1e-5, "
     "'rope_theta': 150000, 'num_local_experts': 4, 'num_experts_per_tok': 2, 'sliding_window': "
     "128, 'rope_scaling': {'rope_type': 'yarn', 'factor': 32, 'beta_fast': 32, 'beta_slow': 1, "
     "'truncate': false, 'original_max_position_embeddings': 4096}}",
     " weight_type weight_types ",
     {"stored as mxfp4: ffn_down_exps (1 of 3 layers)\n"}},
    {"deepseek2",
     "{'model_type': 'deepseek_v2', 'hidden_size': 64, 'intermediate_size': 96, "
     "'num_hidden_layers': 3, 'num_attention_heads': 4, 'num_key_value_heads': 4, "
     "'kv_lora_rank': 32, 'q_lora_rank': null, 'qk_nope_head_dim': 32, 'qk_rope_head_dim': 16, "
     "'v_head_dim': 32, 'rms_norm_eps': 1e-6, 'rope_theta': 10000, 'n_routed_experts': 8, "
     "'num_experts_per_tok': 3, 'n_shared_experts': 2, 'moe_intermediate_size': 64, "
     "'first_k_dense_replace': 1, 'max_position_embeddings': 163840, 'rope_scaling': {'type': "
     "'yarn', 'factor': 40, 'mscale': 0.707, 'mscale_all_dim': 0.707, 'beta_fast': 32, "
     "'beta_slow': 1, 'original_max_position_embeddings': 4096}}",
     " weight_type weight_types ",
     {"stored as bf16: attn_k_b (1 of 3 layers), attn_v_b (1 of 3 layers)\n"}},
    {"deepseek2_older",
     "{'model_type': 'deepseek_v2', 'hidden_size': 64, 'intermediate_size': 96, "
     "'num_hidden_layers': 2, 'num_attention_heads': 4, 'num_key_value_heads': 4, "
     "'kv_lora_rank': 32, 'q_lora_rank': 48, 'qk_nope_head_dim': 32, 'qk_rope_head_dim': 16, "
     "'v_head_dim': 32, 'rms_norm_eps': 1e-6, 'rope_theta': 10000, 'n_routed_experts': 8, "
     "'num_experts_per_tok': 3, 'n_shared_experts': 2, 'moe_intermediate_size': 64, "
     "'first_k_dense_replace': 1, 'routed_scaling_factor': 16, 'topk_method': "
     "'group_limited_greedy', 'n_group': 4, 'topk_group': 2}",
     " weight_type ",
     {"stored as f16: attn_kv_b (1 of 2 layers)\n"}},
    {"deepseek3",
     "{'model_type': 'deepseek_v3', 'hidden_size': 64, 'intermediate_size': 96, "
     "'num_hidden_layers': 2, 'num_attention_heads': 4, 'num_key_value_heads': 4, "
     "'kv_lora_rank': 32, 'q_lora_rank': 48, 'qk_nope_head_dim': 32, 'qk_rope_head_dim': 16, "
     "'v_head_dim': 32, 'rms_norm_eps': 1e-6, 'rope_theta': 10000, 'n_routed_experts': 8, "
     "'num_experts_per_tok': 3, 'n_shared_experts': 1, 'moe_intermediate_size': 64, "
     "'first_k_dense_replace': 1, 'routed_scaling_factor': 2.5, 'norm_topk_prob': true, "
     "'n_group': 4, 'topk_group': 2}",
     "",
     {"deepseek2: experts are chosen among all where the file has no expert_group_count"}},
    {"olmoe",
     "{'model_type': 'olmoe', 'hidden_size': 64, 'intermediate_size': 96, 'num_hidden_layers': 2, "
     "'num_attention_heads': 4, 'rms_norm_eps': 1e-5, 'rope_theta': 10000, 'num_experts': 8, "
     "'num_experts_per_tok': 3}",
     " weight_type ",
     {"stored as q4_0: ffn_gate_exps (1 of 2 layers)\n"}},
    {"llama4",
     "{'model_type': 'llama4_text', 'hidden_size': 64, 'intermediate_size': 96, "
     "'intermediate_size_mlp': 128, 'num_hidden_layers': 4, 'num_attention_heads': 4, "
     "'num_key_value_heads': 2, 'head_dim': 16, 'rms_norm_eps': 1e-5, 'rope_theta': 500000, "
     "'num_local_experts': 4, 'num_experts_per_tok': 1, 'interleave_moe_layer_step': 2, "
     "'max_position_embeddings': 10485760, 'rope_scaling': {'rope_type': 'llama3', 'factor': 16, "
     "'low_freq_factor': 1, 'high_freq_factor': 1, 'original_max_position_embeddings': 8192}}",
     "",
     {0}},
};

static const spec_input no_flag;

/* As from a file of this name. */
static bool import(arena *a, const char *name, const void *data, size_t size, model *m,
                   const char **notes, diag *d) {
    void *copy = exact_copy(data, size);
    const char *path = arena_printf(a, "models/%s.gguf", name);
    const bool ok = model_from_gguf(a, path, copy, size, &no_flag, 0, m, notes, d);
    free(copy);
    return ok;
}

static const char *json_of(arena *a, const char *text) {
    char *json = arena_strdup(a, text);
    for (char *p = json; *p; p++)
        if (*p == '\'') *p = '"';
    return json;
}

/* Layers differ in these fields alone, and in each of them. */
static void check_same(arena *a, const char *name, const attn_spec *x, const attn_spec *y,
                       const char *differs) {
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        char left[ATTN_FIELD_TEXT_MAX] = "", right[ATTN_FIELD_TEXT_MAX] = "";
        if (!attn_field_is_member(f)) continue;
        attn_field_text(f, x, left);
        attn_field_text(f, y, right);
        const bool may = strstr(differs, arena_printf(a, " %s ", f->name)) != NULL;
        if (may && f->kind == ATTN_KIND_TYPES) continue; /* of some layers */
        cr_expect_eq(!strcmp(left, right), !may, "%s: %s is %s, and %s by config.json", name,
                     f->name, left, right);
    }
}

Test(import_gguf, means_what_config_json_does) {
    for (size_t i = 0; i < sizeof means / sizeof *means; i++) {
        arena *a = arena_new();
        diag d = {0};
        size_t size;
        model got, want;
        const char *notes = "", *ignored;
        const char *file = arena_printf(a, "tests/import/gguf/%s.gguf", means[i].file);
        const char *data = read_file(a, file, 1 << 20, &size, &d);
        cr_assert(data, "%s", d.text);
        cr_assert(import(a, means[i].file, data, size, &got, &notes, &d), "%s", d.text);
        cr_assert(model_from_hf(a, "config.json", json_of(a, means[i].config), &no_flag, 0, &want,
                                &ignored, &d),
                  "%s: %s", means[i].file, d.text);
        cr_assert_str_eq(got.name, means[i].file);
        cr_assert_eq(got.layer_count, want.layer_count, "%s", means[i].file);
        for (int l = 0; l < got.layer_count; l++)
            check_same(a, means[i].file, &got.kernels[got.layer_kernel[l]].core,
                       &want.kernels[want.layer_kernel[l]].core, means[i].differs);
        for (int n = 0; n < 3 && means[i].notes[n]; n++)
            cr_expect(strstr(notes, means[i].notes[n]), "%s: no note %s in:\n%s", means[i].file,
                      means[i].notes[n], notes);
        arena_free(a);
    }
}

/* Every key of a family is given a meaning: none falls back to the class's default. */
Test(import_gguf, rows_know_their_families) {
    static const char *const made[] = {
        "num_key_value_heads",   "head_dim",         "sliding_window",
        "layer_types",           "attention_bias",   "mlp_bias",
        "query_pre_attn_scalar", "rope_scaling",     "sliding_window_pattern",
        "partial_rotary_factor", "qk_nope_head_dim", "v_head_dim",
        "topk_method",           "use_qk_norm"};
    arena *a = arena_new();
    diag d = {0};
    const json_val *table =
        json_read(a, "t", embedded_find("gen/import/gguf_families.json"), NULL, &d);
    const json_val *hf = json_read(a, "t", embedded_find("gen/import/hf_families.json"), NULL, &d);
    const json_val *rows = json_get(table, "architectures");
    cr_assert(rows && rows->count >= 7);
    for (int i = 0; i < rows->count; i++) {
        const json_val *row = &rows->item[i];
        const json_val *family =
            json_get(json_get(hf, "families"), json_get(row, "model_type")->string);
        cr_assert(family, "%s", row->name);
        const json_val *keys = json_get(family, "keys");
        for (int k = 0; k < keys->count; k++) {
            const char *key = keys->item[k].name;
            bool known =
                json_get(json_get(row, "set"), key) || json_get(json_get(table, "keys"), key);
            for (size_t n = 0; n < sizeof made / sizeof *made; n++)
                known = known || !strcmp(made[n], key);
            cr_expect(known, "gguf_families.json: %s does not say what %s is", row->name, key);
        }
        const json_val *set = json_get(row, "set");
        for (int k = 0; k < set->count; k++)
            cr_expect(json_get(keys, set->item[k].name), "%s: no key %s", row->name,
                      set->item[k].name);
    }
    arena_free(a);
}

/* --- A small llama file, with one thing otherwise --- */

enum { KEYS = 7 };

/* Without the key `without` (may be null); more keys, and one tensor, follow. */
static buf small_file(arena *a, const char *without, int more, int tensors) {
    static const char *const names[KEYS] = {
        "llama.context_length",      "llama.embedding_length",     "llama.block_count",
        "llama.feed_forward_length", "llama.attention.head_count", "llama.attention.head_count_kv",
        "llama.rope.dimension_count"};
    static const uint32_t values[KEYS] = {4096, 64, 2, 128, 4, 2, 16};
    static const char eps[] = "llama.attention.layer_norm_rms_epsilon";
    buf b = buf_new(a);
    put_header(&b, (uint64_t)tensors, (uint64_t)(KEYS + 2 + more - (without != NULL)));
    for (int i = 0; i < KEYS; i++)
        if (!without || strcmp(without, names[i])) put_u32_key(&b, names[i], values[i]);
    if (!without || strcmp(without, eps)) put_f32_key(&b, eps, 1e-5f);
    if (!without || strcmp(without, "general.architecture"))
        put_string_key(&b, "general.architecture", "llama");
    return b;
}

/* --- Types of weights --- */

/* Of a file whose layers' matrices are of these types: the one in the layers, and notes. */
static attn_spec with_types(arena *a, const uint32_t *types, int count, const char **notes) {
    buf b = small_file(a, "llama.block_count", 1, count);
    put_u32_key(&b, "llama.block_count", (uint32_t)count);
    for (int i = 0; i < count; i++) {
        put_text(&b, arena_printf(a, "blk.%d.attn_q.weight", i));
        put_int(&b, 2, 4);
        put_int(&b, 256, 8);
        put_int(&b, 1, 8);
        put_int(&b, types[i], 4);
        put_int(&b, 0, 8);
    }
    put_data(&b, 1024);
    model m;
    diag d = {0};
    cr_assert(import(a, "small", b.data, b.len, &m, notes, &d), "%s", d.text);
    return m.kernels[m.layer_kernel[0]].core;
}

Test(import_gguf, types_of_weights) {
    arena *a = arena_new();
    const char *notes;
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++) {
        const uint32_t gguf = attn_weight_get(type).gguf;
        const attn_spec spec = with_types(a, (uint32_t[]){gguf, gguf}, 2, &notes);
        cr_expect_eq(spec.weight_type, type);
        cr_expect_eq(spec.weight_types[ATTN_MATRIX_Q_PROJ], 0);
    }
    arena_free(a);
}

/* A matrix of its own type in one layer. */
Test(import_gguf, types_of_single_matrices) {
    static const uint32_t q8_0 = 8, bf16 = 30, q5_0 = 6;
    arena *a = arena_new();
    const char *notes;
    attn_spec spec = with_types(a, (uint32_t[]){bf16, q8_0}, 2, &notes); /* equal: the first row */
    cr_expect_eq(spec.weight_type, ATTN_WEIGHT_BF16);
    spec = with_types(a, (uint32_t[]){q5_0, bf16, bf16}, 3, &notes);
    cr_expect_eq(spec.weight_type, ATTN_WEIGHT_BF16);
    cr_expect_eq(spec.weight_types[ATTN_MATRIX_Q_PROJ], 1 + ATTN_WEIGHT_Q5_0);
    cr_expect_eq(spec.weight_types[ATTN_MATRIX_V_PROJ], 0);
    cr_expect(strstr(notes, "stored as bf16: attn_q (2 of 3 layers)\n"), "%s", notes);
    arena_free(a);
}

/* --- Refusals --- */

static void check_refused(arena *a, const buf *b, const char *what) {
    model m;
    const char *notes;
    diag d = {0};
    cr_expect_not(import(a, "small", b->data, b->len, &m, &notes, &d), "%s", what);
    cr_expect(!strncmp(d.text, "models/small.gguf: ", 19) && strstr(d.text, what), "%s, not: %s",
              d.text, what);
}

/* In place of the key, a u32. */
static void check_u32(arena *a, const char *name, uint32_t v, bool replaces, const char *what) {
    buf b = small_file(a, replaces ? name : NULL, 1, 0);
    put_u32_key(&b, name, v);
    check_refused(a, &b, what);
}

static void check_string(arena *a, const char *name, const char *v, bool replaces,
                         const char *what) {
    buf b = small_file(a, replaces ? name : NULL, 1, 0);
    put_string_key(&b, name, v);
    check_refused(a, &b, what);
}

Test(import_gguf, small_file_is_right) {
    arena *a = arena_new();
    model m;
    const char *notes;
    diag d = {0};
    const buf b = small_file(a, NULL, 0, 0);
    cr_assert(import(a, "small", b.data, b.len, &m, &notes, &d), "%s", d.text);
    cr_assert_eq(m.layer_count, 2);
    arena_free(a);
}

Test(import_gguf, refusals) {
    static const char *const needed[] = {"general.architecture",
                                         "llama.context_length",
                                         "llama.embedding_length",
                                         "llama.block_count",
                                         "llama.attention.head_count",
                                         "llama.feed_forward_length",
                                         "llama.attention.layer_norm_rms_epsilon"};
    arena *a = arena_new();
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        const buf b = small_file(a, needed[i], 0, 0);
        check_refused(a, &b, arena_printf(a, "%s: is missing", needed[i]));
    }
    check_string(a, "general.architecture", "mam\033ba", true,
                 "general.architecture: 'mam?ba' is not known; known: llama, qwen2moe, ");
    check_u32(a, "general.architecture", 1, true, "general.architecture: must be a string");
    check_u32(a, "llama.block_count", 0, true, "llama.block_count: must be from 1 to");
    check_u32(a, "llama.block_count", UINT32_MAX, true,
              "llama.block_count: must be an integer from 0 to 2147483647, got 4294967295");
    check_string(a, "llama.block_count", "2", true, "llama.block_count: must be a finite number");
    check_u32(a, "llama.attention.head_count", 0, true,
              "llama.attention.head_count: must be at least 1");
    check_u32(a, "llama.attention.head_count_kv", 3, true, "llama.attention.head_count_kv");
    check_u32(a, "llama.feed_forward_length", 0, true, "llama.feed_forward_length");
    check_u32(a, "llama.attention.value_length", 8, false,
              "llama.attention.value_length: is 8, and keys have 16: must be the same");
    check_u32(a, "llama.rope.dimension_count", 8, true,
              "llama.rope.dimension_count: is 8, and heads have 16: llama rotates whole heads");
    check_u32(a, "llama.attention.key_length", 0, false,
              "llama.attention.key_length: must be from 1");
    check_u32(a, "llama.expert_count", 8, false, "llama.expert_used_count: is missing");
    check_u32(a, "llama.expert_shared_count", 1, false,
              "llama.expert_shared_count: is not understood here, and may change the layers");
    check_u32(a, "llama.attention.sliding_window", 4096, false,
              "llama.attention.sliding_window: is not understood here");
    check_u32(a, "llama.some\nthing", 1, false, "llama.some?thing: is not understood here");
    check_u32(a, "llama.attention.key_length_mla", 24, false,
              "llama.attention.key_length_mla: is not understood here");
    check_u32(a, "split.count", 3, false, "split.count: the file is a part of a model");
    check_u32(a, "llama.rope.scaling.type", 3, false, "llama.rope.scaling.type: must be a string");
    buf b = small_file(a, NULL, 1, 0);
    put_key(&b, "llama.rope.freq_base", ATTN_GGUF_F32);
    put_int(&b, 0x7fc00000, 4);
    check_refused(a, &b, "llama.rope.freq_base: must be a finite number");
    b = small_file(a, "llama.attention.head_count_kv", 1, 0);
    put_key(&b, "llama.attention.head_count_kv", ATTN_GGUF_ARRAY);
    put_int(&b, ATTN_GGUF_U32, 4);
    put_int(&b, 2, 8);
    put_int(&b, 2, 4);
    put_int(&b, 1, 4);
    check_refused(a, &b, "llama.attention.head_count_kv: differs from layer to layer");
    b = small_file(a, NULL, 2, 0);
    put_string_key(&b, "llama.rope.scaling.type", "ntk");
    put_f32_key(&b, "llama.rope.scaling.factor", 2);
    check_refused(a, &b,
                  "llama.rope.scaling.type: 'ntk' is not known: none, linear, yarn, longrope");
    b = small_file(a, NULL, 1, 0);
    put_string_key(&b, "llama.rope.scaling.type", "longrope");
    check_refused(a, &b, "rope_factors_short.weight: is missing: longrope has two sets");
    check_refused(a, &(buf){.data = "GGUX", .len = 4}, "byte 0: this is no GGUF file");
    arena_free(a);
}

/* Tensors that say something about layers. */
Test(import_gguf, refused_tensors) {
    arena *a = arena_new();
    buf b = small_file(a, NULL, 0, 1);
    put_tensor(&b, "blk.0.attn_q.bias", 8, 0, 0);
    put_data(&b, 32);
    check_refused(a, &b, "blk.0.attn_q.bias: is there, and blk.0.attn_output.bias is not");
    b = small_file(a, NULL, 0, 1);
    put_tensor(&b, "rope_freqs.weight", 4, 0, 0);
    put_data(&b, 32);
    check_refused(a, &b, "rope_freqs.weight: must be f32 [8], one a pair of a head's columns");
    b = small_file(a, NULL, 0, 1);
    put_tensor(&b, "rope_freqs.weight", 8, 0, 0);
    put_data(&b, 32);
    check_refused(a, &b, "rope_freqs.weight: [0] is 0: llama3's factors with low_freq_factor 1");
    arena_free(a);
}
