/* Names of layers' weights in the files of families, and matrices that lie the other way. */
#include "block.h"
#include "quant.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { MODEL = 4, KEYS = 2, FFN = 6, MOST = 24 };

typedef struct family {
    const char *name;
    const char *layer;   /* its weights, as "norm1 q_proj .. ": with biases where `biases` */
    const char *tensors; /* the file's, each for one weight or q, k, v, or gate, up, in order */
    bool biases, conv1d;
} family;

static const family families[] = {
    {"gpt2", "norm1 q_proj+k_proj+v_proj o_proj norm2 up_proj down_proj",
     "h.0.ln_1 h.0.attn.c_attn h.0.attn.c_proj h.0.ln_2 h.0.mlp.c_fc h.0.mlp.c_proj", true, true},
    {"gpt_bigcode", "norm1 q_proj+k_proj+v_proj o_proj norm2 up_proj down_proj",
     "h.0.ln_1 h.0.attn.c_attn h.0.attn.c_proj h.0.ln_2 h.0.mlp.c_fc h.0.mlp.c_proj", true, false},
    {"starcoder2", "norm1 q_proj k_proj v_proj o_proj norm2 up_proj down_proj",
     "l.input_layernorm l.self_attn.q_proj l.self_attn.k_proj l.self_attn.v_proj "
     "l.self_attn.o_proj l.post_attention_layernorm l.mlp.c_fc l.mlp.c_proj",
     true, false},
    {"gptj", "norm1 q_proj k_proj v_proj o_proj up_proj down_proj",
     "h.0.ln_1 h.0.attn.q_proj h.0.attn.k_proj h.0.attn.v_proj h.0.attn.out_proj h.0.mlp.fc_in "
     "h.0.mlp.fc_out",
     false, false},
    {"phi", "norm1 q_proj k_proj v_proj o_proj up_proj down_proj",
     "l.input_layernorm l.self_attn.q_proj l.self_attn.k_proj l.self_attn.v_proj "
     "l.self_attn.dense l.mlp.fc1 l.mlp.fc2",
     true, false},
    {"glm4",
     "norm1 q_proj k_proj v_proj o_proj post_norm1 norm2 gate_proj+up_proj down_proj "
     "post_norm2",
     "l.input_layernorm l.self_attn.q_proj l.self_attn.k_proj l.self_attn.v_proj "
     "l.self_attn.o_proj l.post_self_attn_layernorm l.post_attention_layernorm l.mlp.gate_up_proj "
     "l.mlp.down_proj l.post_mlp_layernorm",
     false, false},
    {"gemma2",
     "norm1 q_proj k_proj v_proj o_proj post_norm1 norm2 gate_proj up_proj down_proj "
     "post_norm2",
     "l.input_layernorm l.self_attn.q_proj l.self_attn.k_proj l.self_attn.v_proj "
     "l.self_attn.o_proj l.post_attention_layernorm l.pre_feedforward_layernorm l.mlp.gate_proj "
     "l.mlp.up_proj l.mlp.down_proj l.post_feedforward_layernorm",
     false, false},
    {"olmo2",
     "q_proj k_proj v_proj q_norm k_norm o_proj post_norm1 gate_proj up_proj down_proj "
     "post_norm2",
     "l.self_attn.q_proj l.self_attn.k_proj l.self_attn.v_proj l.self_attn.q_norm "
     "l.self_attn.k_norm l.self_attn.o_proj l.post_attention_layernorm l.mlp.gate_proj "
     "l.mlp.up_proj l.mlp.down_proj l.post_feedforward_layernorm",
     false, false},
    {"lfm2", "norm1 q_proj k_proj v_proj q_norm k_norm o_proj norm2 gate_proj up_proj down_proj",
     "l.operator_norm l.self_attn.q_proj l.self_attn.k_proj l.self_attn.v_proj "
     "l.self_attn.q_layernorm l.self_attn.k_layernorm l.self_attn.out_proj l.ffn_norm "
     "l.feed_forward.w1 l.feed_forward.w3 l.feed_forward.w2",
     false, false},
    {"mpt", "norm1 q_proj+k_proj+v_proj o_proj norm2 up_proj down_proj",
     "b.norm_1 b.attn.Wqkv b.attn.out_proj b.norm_2 b.ffn.up_proj b.ffn.down_proj", false, false},
    {"modernbert", "norm1 q_proj+k_proj+v_proj o_proj norm2 gate_proj+up_proj down_proj",
     "l.attn_norm l.attn.Wqkv l.attn.Wo l.mlp_norm l.mlp.Wi l.mlp.Wo", false, false},
    {"nomic_bert", "norm1 q_proj+k_proj+v_proj o_proj norm2 up_proj gate_proj down_proj",
     "l.norm1 l.attn.Wqkv l.attn.out_proj l.norm2 l.mlp.fc11 l.mlp.fc12 l.mlp.fc2", false, false},
    {"roberta", "q_proj k_proj v_proj o_proj norm1 up_proj down_proj norm2",
     "l.attention.self.query l.attention.self.key l.attention.self.value l.attention.output.dense "
     "l.attention.output.LayerNorm l.intermediate.dense l.output.dense l.output.LayerNorm",
     true, false},
    {"distilbert", "q_proj k_proj v_proj o_proj norm1 up_proj down_proj norm2",
     "l.attention.q_lin l.attention.k_lin l.attention.v_lin l.attention.out_lin l.sa_layer_norm "
     "l.ffn.lin1 l.ffn.lin2 l.output_layer_norm",
     true, false},
    {"albert", "q_proj k_proj v_proj o_proj norm1 up_proj down_proj norm2",
     "l.attention.query l.attention.key l.attention.value l.attention.dense l.attention.LayerNorm "
     "l.ffn l.ffn_output l.full_layer_layer_norm",
     true, false},
    {"mpnet", "q_proj k_proj v_proj o_proj norm1 up_proj down_proj norm2",
     "l.attention.attn.q l.attention.attn.k l.attention.attn.v l.attention.attn.o "
     "l.attention.LayerNorm l.intermediate.dense l.output.dense l.output.LayerNorm",
     true, false},
    {"vit", "norm1 q_proj k_proj v_proj o_proj norm2 up_proj down_proj",
     "l.layernorm_before l.attention.attention.query l.attention.attention.key "
     "l.attention.attention.value l.attention.output.dense l.layernorm_after l.intermediate.dense "
     "l.output.dense",
     true, false},
    {"clip", "norm1 q_proj k_proj v_proj o_proj norm2 up_proj down_proj",
     "l.layer_norm1 l.self_attn.q_proj l.self_attn.k_proj l.self_attn.v_proj l.self_attn.out_proj "
     "l.layer_norm2 l.mlp.fc1 l.mlp.fc2",
     true, false},
    {"wav2vec2", "q_proj k_proj v_proj o_proj norm1 up_proj down_proj norm2",
     "l.attention.q_proj l.attention.k_proj l.attention.v_proj l.attention.out_proj l.layer_norm "
     "l.feed_forward.intermediate_dense l.feed_forward.output_dense l.final_layer_norm",
     true, false},
    {"t5", "norm1 q_proj k_proj v_proj o_proj norm2 gate_proj up_proj down_proj",
     "b.layer.0.layer_norm b.layer.0.SelfAttention.q b.layer.0.SelfAttention.k "
     "b.layer.0.SelfAttention.v b.layer.0.SelfAttention.o b.layer.1.layer_norm "
     "b.layer.1.DenseReluDense.wi_0 b.layer.1.DenseReluDense.wi_1 b.layer.1.DenseReluDense.wo",
     false, false},
    {"t5, cross-attention", "norm1 q_proj k_proj v_proj o_proj norm2 up_proj down_proj",
     "b.layer.1.layer_norm b.layer.1.EncDecAttention.q b.layer.1.EncDecAttention.k "
     "b.layer.1.EncDecAttention.v b.layer.1.EncDecAttention.o b.layer.2.layer_norm "
     "b.layer.2.DenseReluDense.wi b.layer.2.DenseReluDense.wo",
     false, false},
};
enum { FAMILIES = sizeof families / sizeof *families };

static char text[64 * 256];
static size_t used;

static const char *keep(const char *stem, size_t n, const char *end) {
    char *s = text + used;
    used += (size_t)snprintf(s, sizeof text - used, "%.*s%s", (int)n, stem, end) + 1;
    return s;
}

static bool starts(const char *name, const char *with) {
    return strncmp(name, with, strlen(with)) == 0;
}

/* Of a canonical weight: rows, and columns where it is a matrix. */
static attn_weight weight_of(const char *name, bool bias) {
    const bool keys = starts(name, "k_proj") || starts(name, "v_proj");
    const bool wide = starts(name, "up_proj") || starts(name, "gate_proj");
    const int64_t rows = keys ? KEYS : wide ? FFN : MODEL;
    const bool matrix = !bias && strstr(name, "_proj");
    return (attn_weight){
        name, matrix ? 2 : 1, {rows, starts(name, "down_proj") ? FFN : MODEL}, true};
}

/* The next word of a list, to the blank or `+`; null: none. */
static const char *word(const char **list, size_t *n) {
    *list += strspn(*list, " +");
    const char *first = *list;
    *n = strcspn(first, " +");
    *list += *n;
    return *n ? first : NULL;
}

static float data[64 * MOST * 2];
static const float *expected[2 * MOST]; /* where a weight begins */

/* Each tensor has the rows of its weights, one after the other. */
static int32_t make(const family *f, attn_weight *weights, int *weight_count,
                    attn_tensor *tensors) {
    const char *layer = f->layer, *given = f->tensors, *w;
    int32_t count = 0;
    size_t n, m;
    *weight_count = 0;
    for (const char *t; (t = word(&given, &m)) != NULL;) {
        attn_tensor matrix = {.data = data + 64 * count}, bias = {.data = data + 64 * count + 64};
        matrix.name = keep(t, m, ".weight"), bias.name = keep(t, m, ".bias");
        do {
            w = word(&layer, &n);
            const attn_weight one = weight_of(keep(w, n, ".weight"), false);
            const int64_t width = one.rank == 2 && !f->conv1d ? one.dim[1] : 1;
            expected[*weight_count] = (const float *)matrix.data + matrix.dim[0] * width;
            weights[(*weight_count)++] = one;
            matrix.rank = one.rank, matrix.dim[0] += one.dim[0], matrix.dim[1] = one.dim[1];
            if (!f->biases) continue;
            expected[*weight_count] = (const float *)bias.data + bias.dim[0];
            weights[(*weight_count)++] = weight_of(keep(w, n, ".bias"), true);
            bias.rank = 1, bias.dim[0] += one.dim[0];
        } while (*layer == '+');
        if (f->conv1d && matrix.rank == 2) {
            const int64_t rows = matrix.dim[0];
            matrix.dim[0] = matrix.dim[1], matrix.dim[1] = rows;
        }
        tensors[count++] = matrix;
        if (f->biases) tensors[count++] = bias;
    }
    return count;
}

static attn_weights found;
static attn_spec spec;

Test(weight_names, of_families) {
    for (int i = 0; i < FAMILIES; i++) {
        const family *f = &families[i];
        attn_weight weights[2 * MOST];
        attn_tensor tensors[2 * MOST];
        char message[2000] = "";
        int weight_count;
        used = 0;
        const int32_t count = make(f, weights, &weight_count, tensors);
        const attn_block_kernel k = {
            .spec = &spec, .weights = weights, .weight_count = weight_count};
        memset(&found, 0, sizeof found);
        const attn_status st =
            attn_weights_find(&k, tensors, count, &found, message, sizeof message);
        cr_assert_eq(st, ATTN_OK, "%s: %s", f->name, message);
        for (int w = 0; w < weight_count; w++)
            cr_assert_eq(found.weight[w].data, expected[w], "%s: %s", f->name, weights[w].name);
    }
}

/* [in, out]: row j of k lies MODEL + j columns into each of MODEL rows of MODEL + 2 KEYS. */
Test(weight_names, of_conv1d_lie_the_other_way) {
    attn_weight weights[2 * MOST];
    attn_tensor tensors[2 * MOST];
    char message[2000] = "";
    int weight_count;
    used = 0;
    const int32_t count = make(&families[0], weights, &weight_count, tensors);
    const attn_block_kernel k = {.spec = &spec, .weights = weights, .weight_count = weight_count};
    memset(&found, 0, sizeof found);
    cr_assert_eq(attn_weights_find(&k, tensors, count, &found, message, sizeof message), ATTN_OK,
                 "%s", message);
    for (int w = 0; w < weight_count; w++) {
        const attn_source *s = &found.weight[w];
        if (!strcmp(weights[w].name, "k_proj.weight")) {
            cr_assert_eq((const float *)s->data - (const float *)tensors[2].data, MODEL);
            cr_assert_eq(s->row, 1);
            cr_assert_eq(s->step, MODEL + 2 * KEYS);
        }
        if (!strcmp(weights[w].name, "o_proj.weight")) { /* a square, turned like the others */
            cr_assert_eq(s->row, 1);
            cr_assert_eq(s->step, MODEL);
        }
    }
    tensors[2].type = ATTN_WEIGHT_Q8_0; /* c_attn.weight */
    memset(&found, 0, sizeof found);
    cr_assert_eq(attn_weights_find(&k, tensors, count, &found, message, sizeof message),
                 ATTN_E_WEIGHTS);
    cr_assert(strstr(message, "must be f32, bf16 or f16 of [in, out], of Conv1D"), "%s", message);
}

/* By key head: of 2, each with 3 query heads of 2 rows, its own 2 rows and its value's. */
Test(weight_names, by_key_head) {
    static const char *const tensor_names[] = {"h.0.self_attention.query_key_value.weight",
                                               "h.0.self_attention.query_key_value.bias"};
    attn_weight weights[] = {
        {"q_proj.weight", 2, {12, 5}, true}, {"k_proj.weight", 2, {4, 5}, true},
        {"v_proj.weight", 2, {4, 5}, true},  {"q_proj.bias", 1, {12}, true},
        {"k_proj.bias", 1, {4}, true},       {"v_proj.bias", 1, {4}, true}};
    float rows[20 * 5], bias[20], to[12 * 5];
    char message[2000] = "";
    for (int i = 0; i < 100; i++) rows[i] = (float)i;
    for (int i = 0; i < 20; i++) bias[i] = (float)i;
    const attn_tensor tensors[] = {{tensor_names[0], rows, 2, {20, 5}, 0},
                                   {tensor_names[1], bias, 1, {20}, 0}};
    const attn_block_kernel k = {
        .spec = &spec, .weights = weights, .weight_count = 6, .k_heads = 2};
    memset(&found, 0, sizeof found);
    cr_assert_eq(attn_weights_find(&k, tensors, 2, &found, message, sizeof message), ATTN_OK, "%s",
                 message);
    static const int first[] = {0, 6, 8}, each[] = {6, 2, 2};
    for (int w = 0; w < 6; w++) {
        attn_packing p = {found.weight, to, -1, NULL};
        const int part = w % 3, n = 2 * each[part], width = w < 3 ? 5 : 1;
        const attn_panels m = {0, ATTN_WEIGHT_F32, 1, 5};
        if (w < 3)
            attn_pack_rows(&p, &m, 0, w, 0, n);
        else
            attn_pack_vector(&p, 0, w, 0, n);
        for (int i = 0; i < n; i++) {
            const int row = i / each[part] * 10 + first[part] + i % each[part];
            cr_assert_float_eq(to[i * width], (float)(row * width), 0, "%s %d", weights[w].name, i);
        }
    }
}

/* ernie4_5_moe's vector is [1, n]. */
Test(weight_names, vectors_of_one_row) {
    static const float row[3] = {1, 2, 3};
    attn_weight weight = {"e_score_correction_bias", 1, {3}, true};
    char message[2000] = "";
    attn_tensor t = {"l.mlp.moe_statics.e_score_correction_bias", row, 2, {1, 3}, 0};
    const attn_block_kernel k = {.spec = &spec, .weights = &weight, .weight_count = 1};
    memset(&found, 0, sizeof found);
    cr_assert_eq(attn_weights_find(&k, &t, 1, &found, message, sizeof message), ATTN_OK, "%s",
                 message);
    cr_assert_eq(found.weight[0].data, row);
    t.dim[0] = 3, t.dim[1] = 1;
    memset(&found, 0, sizeof found);
    cr_assert_eq(attn_weights_find(&k, &t, 1, &found, message, sizeof message), ATTN_E_WEIGHTS);
}

/* --- kv_b_proj in two tensors --- */

enum { HEADS = 2, WIDE = 3, VALUE = 2, LATENT = 64 };

/* Element of the whole, [HEADS][WIDE + VALUE][LATENT]: its own number, a float of 16 bits. */
static float whole_at(int64_t head, int64_t row, int64_t column) {
    return (float)((head * (WIDE + VALUE) + row) * LATENT + column);
}

static attn_status take_halves(const attn_tensor *given, int count, attn_weights *out,
                               char *message) {
    static const attn_weight weight = {.name = "kv_b_proj.weight",
                                       .rank = 2,
                                       .dim = {HEADS * (WIDE + VALUE), LATENT},
                                       .used = true};
    const attn_spec spec = {
        .heads = HEADS, .head_dim = WIDE, .v_head_dim = VALUE, .kv_comp_dim = LATENT};
    const attn_block_kernel kernel = {.spec = &spec, .weights = &weight, .weight_count = 1};
    memset(out, 0, sizeof *out);
    return attn_weights_find(&kernel, given, count, out, message, 500);
}

Test(weight_names, latent_halves) {
    static float keys[HEADS][LATENT][WIDE], values[HEADS][VALUE][LATENT];
    static uint8_t blocks[HEADS * VALUE * LATENT / 32 * 34];
    static attn_weights found;
    char message[500] = "";
    for (int64_t i = 0; i < HEADS * LATENT; i++)
        for (int64_t k = 0; k < WIDE; k++)
            keys[i / LATENT][i % LATENT][k] = whole_at(i / LATENT, k, i % LATENT);
    for (int64_t i = 0; i < HEADS * VALUE * LATENT; i++)
        values[i / (VALUE * LATENT)][i / LATENT % VALUE][i % LATENT] =
            whole_at(i / (VALUE * LATENT), WIDE + i / LATENT % VALUE, i % LATENT);
    attn_tensor t[3] = {
        {.name = "blk.0.attn_k_b.weight", .data = keys, .rank = 3, .dim = {HEADS, LATENT, WIDE}},
        {.name = "blk.0.attn_v_b.weight", .data = values, .rank = 3, .dim = {HEADS, VALUE, LATENT}},
        {.name = "kv_b_proj.weight",
         .data = keys,
         .rank = 2,
         .dim = {HEADS * (WIDE + VALUE), LATENT}}};
    cr_assert_eq(take_halves(t, 2, &found, message), ATTN_OK, "%s", message);
    const attn_packing p = {.weight = found.weight};
    float some[2 * LATENT];
    for (int64_t at = 0; at + 70 <= HEADS * (WIDE + VALUE) * LATENT; at += 70) {
        const float *x = attn_source_floats(&p, 0, at, 70, some);
        for (int64_t i = 0; i < 70; i++)
            cr_assert_eq(x[i], (float)(at + i), "element %d", (int)(at + i));
    }
    attn_quantise(blocks, ATTN_WEIGHT_Q8_0, HEADS * VALUE * LATENT, values[0][0]);
    t[1].data = blocks, t[1].type = ATTN_WEIGHT_Q8_0;
    cr_assert_eq(take_halves(t, 2, &found, message), ATTN_OK, "%s", message);
    attn_dequantise(blocks, ATTN_WEIGHT_Q8_0, HEADS * VALUE * LATENT, values[0][0]);
    const int64_t row = WIDE + VALUE + WIDE + 1; /* the last value of the last head */
    const float *x = attn_source_floats(&p, 0, row * LATENT, LATENT, some);
    cr_expect_eq(memcmp(x, values[1][1], sizeof values[1][1]), 0);
    cr_expect_eq(take_halves(t, 1, &found, message), ATTN_E_WEIGHTS);
    cr_expect(strstr(message, "attn_v_b.weight: missing beside attn_k_b.weight"), "%s", message);
    cr_expect_eq(take_halves(t, 3, &found, message), ATTN_E_WEIGHTS);
    cr_expect_str_eq(message, "kv_b_proj.weight: gives kv_b_proj.weight a second time");
    const attn_tensor twice[3] = {t[2], t[0], t[1]};
    cr_expect_eq(take_halves(twice, 3, &found, message), ATTN_E_WEIGHTS);
    cr_expect(strstr(message, "attn_k_b.weight: gives kv_b_proj.weight a second time"), "%s",
              message);
    t[0].dim[1] = WIDE, t[0].dim[2] = LATENT;
    cr_expect_eq(take_halves(t, 2, &found, message), ATTN_E_WEIGHTS);
    cr_expect(strstr(message, "attn_k_b.weight: must be [2, 64, 3], got [2, 3, 64]"), "%s",
              message);
}
