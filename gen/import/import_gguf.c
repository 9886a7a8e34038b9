/* import_gguf.c - GGUF metadata to the text of a config.json: every key that the family's row has,
 * from the file, from what llama.cpp takes where the file is silent, or from the architecture's
 * row. Keys that are left over are an error unless they change nothing. */
#include "import_gguf_internal.h"

#include "embedded.h"
#include "gguf.h"
#include "import_gguf_types.h"
#include "import_internal.h"
#include "text.h"
#include "weight_types.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_MAX = 512, LIST_MAX = 4096 };

static bool has_tensor(const gguf *x, const char *name) {
    attn_gguf_tensor t;
    return attn_gguf_find_tensor(&x->file, name, &t);
}

/* --- Members of the config --- */

static bool put_mapped(gguf *x, const char *key) {
    const json_val *suffix = json_get(json_get(x->row, "keys"), key);
    if (!suffix) suffix = json_get(json_get(x->table, "keys"), key);
    const json_val *missing = json_get(json_get(x->row, "default"), key);
    attn_gguf_key k;
    bool yes;
    if (!suffix)
        return gguf_fail(x, key, "is a key of %s that gguf_families.json does not know",
                         json_get(x->row, "model_type")->string);
    if (!gguf_find(x, suffix->string, &k)) {
        if (!missing) return gguf_fail(x, gguf_full_name(x, suffix->string), "is missing");
        gguf_put_from(x, key, suffix->string, gguf_row_text(x, missing));
        return true;
    }
    if (json_get(x->keys, key)->kind == JSON_BOOL) {
        if (k.array || !attn_gguf_bool(&x->file, &k, 0, &yes))
            return gguf_fail(x, gguf_full_name(x, suffix->string), "must be a bool");
        gguf_put_from(x, key, suffix->string, yes ? "true" : "false");
        return true;
    }
    const char *text = gguf_number_text(x, suffix->string, &k);
    if (text) gguf_put_from(x, key, suffix->string, text);
    return text != NULL;
}

static bool put_heads(gguf *x, const char *key) {
    int32_t heads;
    if (!gguf_read_int(x, "attention.head_count_kv", x->heads, &heads)) return false;
    attn_gguf_key k;
    if (gguf_find(x, "attention.head_count_kv", &k)) return put_mapped(x, key);
    gguf_put_from(x, key, "attention.head_count_kv", arena_printf(x->a, "%d", heads));
    return true;
}

static bool put_head_dim(gguf *x, const char *key) {
    gguf_put_from(x, key, "attention.key_length", arena_printf(x->a, "%d", x->head_dim));
    return true;
}

/* 0: none. */
static bool put_window(gguf *x, const char *key) {
    const json_val *missing = json_get(json_get(x->row, "default"), key);
    int32_t window;
    const int32_t other = !missing                       ? -1
                          : missing->kind == JSON_NUMBER ? (int32_t)missing->number
                                                         : 0;
    if (!gguf_read_int(x, "attention.sliding_window", other, &window)) return false;
    x->windows = window > 0;
    gguf_put_from(x, key, "attention.sliding_window",
                  window ? arena_printf(x->a, "%d", window) : "null");
    return true;
}

/* A bool a layer; where there is no window, all of them are full. */
static bool put_layer_types(gguf *x, const char *key) {
    static const char suffix[] = "attention.sliding_window_pattern";
    attn_gguf_key k;
    const bool listed = gguf_find(x, suffix, &k) && k.array;
    if (!listed && x->windows) {
        gguf_put_from(x, key, suffix, "null");
        return true;
    }
    if (listed && k.count < (uint64_t)x->layers)
        return gguf_fail(x, gguf_full_name(x, suffix), "must have %d items, one a layer, got %llu",
                         x->layers, (unsigned long long)k.count);
    buf b = buf_new(x->a);
    for (int32_t i = 0; i < x->layers; i++) {
        bool slides = false;
        if (listed && !attn_gguf_bool(&x->file, &k, (uint64_t)i, &slides))
            return gguf_fail(x, gguf_full_name(x, suffix), "must be bools");
        if (!x->windows) slides = false;
        buf_printf(&b, "%s\"%s\"", i ? ", " : "[", slides ? "sliding_attention" : "full_attention");
    }
    buf_puts(&b, "]");
    gguf_put_from(x, key, suffix, b.data);
    return true;
}

/* Every so many layers one is full. */
static bool put_pattern(gguf *x, const char *key) {
    static const char suffix[] = "attention.sliding_window_pattern";
    attn_gguf_key k;
    const json_val *usual = json_get(x->keys, key);
    const bool single = gguf_find(x, suffix, &k) && !k.array;
    const char *text = single ? gguf_number_text(x, suffix, &k) : gguf_row_text(x, usual);
    if (text) gguf_put_from(x, key, suffix, text);
    return text != NULL;
}

static bool put_scalar(gguf *x, const char *key) {
    int32_t width;
    if (!gguf_read_int(x, "embedding_length", -1, &width)) return false;
    const json_val *layers = json_get(x->row, "scalar_layers");
    const bool by_width = layers && x->layers == (int32_t)layers->number;
    gguf_put_from(x, key, by_width ? "embedding_length" : "attention.key_length",
                  arena_printf(x->a, "%d", by_width ? width / x->heads : x->head_dim));
    return true;
}

/* The importer cuts head_dim times the part to an integer. */
static bool put_part(gguf *x, const char *key) {
    int32_t rotated;
    if (!gguf_read_int(x, "rope.dimension_count", x->head_dim, &rotated)) return false;
    if (rotated > x->head_dim)
        return gguf_fail(x, gguf_full_name(x, "rope.dimension_count"),
                         "must be at most %d, the width of a "
                         "head, got %d",
                         x->head_dim, rotated);
    const double part = rotated == x->head_dim ? 1 : (rotated + 0.25) / x->head_dim;
    gguf_put_from(x, key, "rope.dimension_count", arena_printf(x->a, "%.17g", part));
    return true;
}

/* No key says it, but tensors do: with a bias in the first layer. */
static bool put_bias(gguf *x, const char *key, const char *name, const char *same) {
    const bool bias = has_tensor(x, name);
    if (has_tensor(x, same) != bias)
        return gguf_fail(x, bias ? name : same, "is there, and %s is not: %s takes both or none",
                         bias ? same : name, json_get(x->row, "model_type")->string);
    gguf_put(x, key, name, bias ? "true" : "false");
    return true;
}

static bool put_attention_bias(gguf *x, const char *key) {
    return put_bias(x, key, "blk.0.attn_q.bias", "blk.0.attn_output.bias");
}

static bool put_mlp_bias(gguf *x, const char *key) {
    return put_bias(x, key, "blk.0.ffn_up.bias", "blk.0.ffn_down.bias");
}

/* llama4: q and k are normed, but in the model of 128 experts. */
static bool put_l2_norm(gguf *x, const char *key) {
    int32_t experts;
    if (!gguf_read_int(x, "expert_count", 0, &experts)) return false;
    gguf_put_from(x, key, "expert_count", experts == 128 ? "false" : "true");
    return true;
}

/* --- Latent attention --- */

/* Files of before the latent keys were cached have the expanded heads' widths under the older
 * names, where newer ones have those of the cache. */
static bool read_latent(gguf *x) {
    int32_t stored, value, rotated, kv_heads;
    if (!gguf_read_int(x, "attention.key_length", -1, &stored) ||
        !gguf_read_int(x, "attention.key_length_mla", stored, &x->head_dim) ||
        !gguf_read_int(x, "attention.value_length", -1, &value) ||
        !gguf_read_int(x, "rope.dimension_count", -1, &rotated) ||
        !gguf_read_int(x, "attention.head_count_kv", 1, &kv_heads))
        return false;
    return (rotated >= 1 && rotated < x->head_dim) ||
           gguf_fail(x, gguf_full_name(x, "rope.dimension_count"),
                     "must be from 1 to %d, less than the width of a key, got %d", x->head_dim - 1,
                     rotated);
}

static bool put_unrotated(gguf *x, const char *key) {
    int32_t rotated;
    if (!gguf_read_int(x, "rope.dimension_count", -1, &rotated)) return false;
    gguf_put_from(x, key, "attention.key_length_mla",
                  arena_printf(x->a, "%d", x->head_dim - rotated));
    return true;
}

static bool put_value_width(gguf *x, const char *key) {
    int32_t older, width;
    if (!gguf_read_int(x, "attention.value_length", -1, &older) ||
        !gguf_read_int(x, "attention.value_length_mla", older, &width))
        return false;
    gguf_put_from(x, key, "attention.value_length_mla", arena_printf(x->a, "%d", width));
    return true;
}

/* deepseek_v2 chooses in groups by a method of its own. */
static bool put_method(gguf *x, const char *key) {
    int32_t groups;
    if (!gguf_read_int(x, "expert_group_count", 1, &groups)) return false;
    gguf_put_from(x, key, "expert_group_count",
                  groups > 1 ? "\"group_limited_greedy\"" : "\"greedy\"");
    return true;
}

/* --- All keys --- */

static const struct {
    const char *key;
    bool (*put)(gguf *x, const char *key);
} special[] = {
    {"num_key_value_heads", put_heads},
    {"head_dim", put_head_dim},
    {"sliding_window", put_window},
    {"layer_types", put_layer_types},
    {"sliding_window_pattern", put_pattern},
    {"query_pre_attn_scalar", put_scalar},
    {"partial_rotary_factor", put_part},
    {"attention_bias", put_attention_bias},
    {"mlp_bias", put_mlp_bias},
    {"rope_scaling", gguf_put_scaling},
    {"qk_nope_head_dim", put_unrotated},
    {"v_head_dim", put_value_width},
    {"topk_method", put_method},
    {"use_qk_norm", put_l2_norm},
};
enum { SPECIAL = sizeof special / sizeof *special };

static bool put_key(gguf *x, const char *key) {
    const json_val *set = json_get(json_get(x->row, "set"), key);
    if (set) {
        gguf_put(x, key, arena_printf(x->a, "%s (as %s files have it)", key, x->arch),
                 gguf_row_text(x, set));
        return true;
    }
    for (int i = 0; i < SPECIAL; i++)
        if (!strcmp(special[i].key, key)) return special[i].put(x, key);
    return put_mapped(x, key);
}

/* What other keys need, and what must agree with it. */
static bool read_widths(gguf *x) {
    int32_t width, value, rotated;
    if (!gguf_read_int(x, "attention.head_count", -1, &x->heads) ||
        !gguf_read_int(x, "block_count", -1, &x->layers) ||
        !gguf_read_int(x, "embedding_length", -1, &width))
        return false;
    if (x->heads < 1 || width < 1)
        return gguf_fail(
            x, gguf_full_name(x, x->heads < 1 ? "attention.head_count" : "embedding_length"),
            "must be at least 1");
    if (x->layers < 1 || x->layers > MODEL_MAX_LAYERS)
        return gguf_fail(x, gguf_full_name(x, "block_count"), "must be from 1 to %d, got %d",
                         MODEL_MAX_LAYERS, x->layers);
    if (json_get(x->keys, "kv_lora_rank")) return read_latent(x);
    if (!gguf_read_int(x, "attention.key_length", width / x->heads, &x->head_dim) ||
        !gguf_read_int(x, "attention.value_length", x->head_dim, &value) ||
        !gguf_read_int(x, "rope.dimension_count", x->head_dim, &rotated))
        return false;
    if (x->head_dim < 1 || x->head_dim > 65536)
        return gguf_fail(x, gguf_full_name(x, "attention.key_length"),
                         "must be from 1 to 65536, got %d", x->head_dim);
    if (value != x->head_dim)
        return gguf_fail(x, gguf_full_name(x, "attention.value_length"),
                         "is %d, and keys have %d: must be the same", value, x->head_dim);
    if (rotated != x->head_dim && !json_get(x->keys, "partial_rotary_factor"))
        return gguf_fail(x, gguf_full_name(x, "rope.dimension_count"),
                         "is %d, and heads have %d: %s rotates whole heads", rotated, x->head_dim,
                         x->arch);
    return true;
}

static bool is_neutral(gguf *x, const attn_gguf_key *k, const json_val *v) {
    double number;
    bool yes;
    if (!v || k->array) return false;
    if (v->kind == JSON_BOOL) return attn_gguf_bool(&x->file, k, 0, &yes) && yes == v->boolean;
    return attn_gguf_number(&x->file, k, 0, &number) && number == v->number;
}

static bool lists(const json_val *list, const char *suffix) {
    for (int i = 0; list && i < list->count; i++)
        if (!strcmp(list->item[i].string, suffix)) return true;
    return false;
}

static bool is_harmless(const gguf *x, const char *suffix) {
    return lists(json_get(x->table, "harmless"), suffix) ||
           lists(json_get(x->row, "harmless"), suffix);
}

/* Keys of the architecture that nothing above has read. */
static bool check_left(gguf *x) {
    const char *prefix = gguf_full_name(x, "");
    const size_t n = strlen(prefix);
    for (attn_gguf_key k = {0}; attn_gguf_next_key(&x->file, &k);) {
        if (k.name.length <= n || memcmp(k.name.data, prefix, n)) continue;
        const char *name = arena_strndup(x->a, k.name.data, (size_t)k.name.length);
        const char *suffix = name + n;
        if (strstr(x->used.data, arena_printf(x->a, "\n%s\n", suffix))) continue;
        if (is_harmless(x, suffix)) continue;
        if (is_neutral(x, &k, json_get(json_get(x->table, "neutral"), suffix))) continue;
        return gguf_fail(x, name, "is not understood here, and may change the layers");
    }
    return true;
}

/* --- What stands around the layers --- */

/* A number of the file under the same name; false with a message. */
static bool put_own(gguf *x, const char *key) {
    attn_gguf_key k;
    if (!gguf_find(x, key, &k)) return true;
    const char *text = gguf_number_text(x, key, &k);
    if (text) gguf_put_from(x, key, key, text);
    return text != NULL;
}

/* Rows of the embedding, and whether there is a head beside it: without one it is tied. */
static bool put_whole(gguf *x) {
    attn_gguf_tensor t;
    if (!attn_gguf_find_tensor(&x->file, "token_embd.weight", &t)) return true;
    if (t.rank != 2 || t.dim[0] > INT32_MAX)
        return gguf_fail(x, t.name, "must have two dimensions, and at most %d rows", INT32_MAX);
    gguf_put(x, "vocab_size", t.name, arena_printf(x->a, "%lld", (long long)t.dim[0]));
    gguf_put(x, "tie_word_embeddings", "output.weight",
             has_tensor(x, "output.weight") ? "false" : "true");
    return put_own(x, "final_logit_softcapping") && put_own(x, "logit_scale");
}

/* --- The architecture --- */

static const json_val *gguf_table(arena *a) {
    diag d = {0};
    return json_read(a, "gen/import/gguf_families.json",
                     embedded_find("gen/import/gguf_families.json"), NULL, &d);
}

const char *import_gguf_architectures(arena *a) {
    const json_val *rows = json_get(gguf_table(a), "architectures");
    buf b = buf_new(a);
    for (int i = 0; i < rows->count; i++) buf_printf(&b, "%s%s", i ? ", " : "", rows->item[i].name);
    return b.data;
}

/* What an architecture has more than one family for: by its experts, and by their gate. */
static bool choose_row(gguf *x) {
    enum { NONE, SOFTMAX, SIGMOID };
    const json_val *mixture = json_get(x->row, "mixture"), *sigmoid = json_get(x->row, "sigmoid");
    int32_t experts = 0, gate = SOFTMAX;
    if (mixture && !gguf_read_int(x, "expert_count", 0, &experts)) return false;
    if (sigmoid && !gguf_read_int(x, "expert_gating_func", SOFTMAX, &gate)) return false;
    if (gate > SIGMOID)
        return gguf_fail(x, gguf_full_name(x, "expert_gating_func"),
                         "must be 1 (softmax) or 2 (sigmoid), got %d", gate);
    if (experts > 0) x->row = mixture;
    if (gate == SIGMOID) x->row = sigmoid;
    return true;
}

static bool find_architecture(gguf *x) {
    static const char name[] = "general.architecture";
    attn_gguf_key k;
    attn_gguf_text text;
    if (!attn_gguf_find(&x->file, name, &k))
        return gguf_fail(x, name, "is missing: which architecture the model is of (%s)",
                         import_gguf_architectures(x->a));
    if (k.array || !attn_gguf_string(&x->file, &k, 0, &text))
        return gguf_fail(x, name, "must be a string");
    const size_t length = text.length > 80 ? 80 : (size_t)text.length;
    x->arch = arena_strndup(x->a, text.data, length);
    const json_val *rows = json_get(x->table, "architectures");
    x->row = strlen(x->arch) == text.length ? json_get(rows, x->arch) : NULL;
    if (!x->row)
        return gguf_fail(x, name,
                         "'%s' is not known; known: %s; describe its layers in a model file, "
                         ".lua (attn-gen models lists ready-made ones)",
                         text_shown_n(x->a, text.data, length), import_gguf_architectures(x->a));
    if (!choose_row(x)) return false;
    const json_val *families = json_get(import_table(x->a), "families");
    x->keys = json_get(json_get(families, json_get(x->row, "model_type")->string), "keys");
    return true;
}

/* A part of a model may lack the tensors that are asked for. */
static bool check_split(gguf *x) {
    attn_gguf_key k;
    int64_t parts;
    if (!attn_gguf_find(&x->file, "split.count", &k)) return true;
    if (attn_gguf_int(&x->file, &k, 0, &parts) && parts <= 1) return true;
    return gguf_fail(x, "split.count",
                     "the file is a part of a model: put its parts together first (llama.cpp's "
                     "llama-gguf-split --merge)");
}

/* The row's fields, and what most weights are stored in: as JSON. */
static const char *own_fields(gguf *x, int32_t most) {
    const json_val *spec = json_get(x->row, "spec");
    buf b = buf_new(x->a);
    if (most != ATTN_WEIGHT_F32)
        buf_printf(&b, ", \"weight_type\": \"%s\"", attn_weight_get(most).name);
    for (int i = 0; spec && i < spec->count; i++)
        buf_printf(&b, ", \"%s\": %s", spec->item[i].name, gguf_row_text(x, &spec->item[i]));
    return arena_printf(x->a, "{%s}", b.len ? b.data + 1 : "");
}

/* --- The whole --- */

bool import_gguf_is(const char *path) {
    return ends_with(path, ".gguf");
}

static bool open_file(gguf *x, const void *data, size_t bytes) {
    char message[MESSAGE_MAX];
    if (attn_gguf_open(&x->file, data, bytes, message, sizeof message) == ATTN_OK) return true;
    return diag_set(x->d, "%s: %s", x->path, text_shown(x->a, message));
}

bool model_from_gguf(arena *a, const char *path, const void *data, size_t bytes,
                     const spec_input *flags, int flag_count, model *out, const char **notes,
                     diag *d) {
    gguf x = {.a = a, .path = text_shown(a, path), .d = d, .windows = true};
    x.config = buf_new(a), x.names = buf_new(a), x.used = buf_new(a), x.notes = buf_new(a);
    if (!open_file(&x, data, bytes)) return false;
    x.table = gguf_table(a);
    if (!find_architecture(&x) || !check_split(&x) || !read_widths(&x)) return false;
    buf_printf(&x.config, "{\"model_type\": \"%s\"", json_get(x.row, "model_type")->string);
    buf_puts(&x.names, "{\"model_type\": \"general.architecture\"");
    for (int i = 0; i < x.keys->count; i++)
        if (!put_key(&x, x.keys->item[i].name)) return false;
    if (!put_whole(&x) || !check_left(&x)) return false;
    buf_puts(&x.config, "\n}");
    buf_puts(&x.names, "\n}");
    const gguf_types types = import_gguf_types(a, x.path, &x.file, x.layers);
    const import_source source = {
        .path = path,
        .text = x.config.data,
        .names = json_read(a, path, x.names.data, NULL, d),
        .fields = json_read(a, path, own_fields(&x, types.most), NULL, d),
        .layers = json_read(a, path, types.layers, NULL, d),
    };
    if (!source.names || !source.fields || !source.layers ||
        !import_run(a, &source, flags, flag_count, out, notes, d))
        return false;
    const json_val *note = json_get(x.row, "note");
    if (note) buf_printf(&x.notes, "%s: %s: %s\n", x.path, x.arch, note->string);
    const bool block = out->kernels[out->layer_kernel[0]].core.level == ATTN_LEVEL_BLOCK;
    buf_puts(&x.notes, types.stored);
    if (block) buf_puts(&x.notes, types.widened);
    *notes = arena_printf(a, "%s%s", *notes, x.notes.data);
    return true;
}
