/* import_gguf.c - GGUF metadata to the text of a config.json: every key that the family's row has,
 * from the file, from what llama.cpp takes where the file is silent, or from the architecture's
 * row. Keys that are left over are an error unless they change nothing. */
#include "import_gguf.h"

#include "embedded.h"
#include "gguf.h"
#include "import_gguf_types.h"
#include "import_internal.h"
#include "text.h"
#include "weight_types.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_MAX = 512, LIST_MAX = 4096 };

typedef struct gguf {
    arena *a;
    const char *path;
    attn_gguf file;
    const json_val *table, *row,
        *keys; /* gguf_families.json, the architecture's row, the family's */
    const char *arch;
    int32_t heads, head_dim, layers;
    bool windows;      /* there is a sliding window, or it does not matter */
    buf config, names; /* members of the config, and what its keys are called in the file */
    buf used;          /* keys that were read, each between line ends */
    buf notes;
    diag *d;
} gguf;

/* --- Messages and keys --- */

/* Returns false. */
static bool fail(gguf *x, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail(gguf *x, const char *key, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return diag_set(x->d, "%s: %s: %s", x->path, text_shown(x->a, key), text);
}

/* "llama.block_count" */
static const char *full_name(const gguf *x, const char *suffix) {
    return arena_printf(x->a, "%s.%s", x->arch, suffix);
}

static bool find(gguf *x, const char *suffix, attn_gguf_key *k) {
    buf_printf(&x->used, "\n%s\n", suffix);
    return attn_gguf_find(&x->file, full_name(x, suffix), k);
}

static bool has_tensor(const gguf *x, const char *name) {
    attn_gguf_tensor t;
    return attn_gguf_find_tensor(&x->file, name, &t);
}

/* The number that all elements are, as JSON; null with a message. */
static const char *number_text(gguf *x, const char *suffix, const attn_gguf_key *k) {
    const char *name = full_name(x, suffix);
    double v, other;
    if (!k->count || !attn_gguf_number(&x->file, k, 0, &v) || !isfinite(v)) {
        fail(x, name, "must be a finite number");
        return NULL;
    }
    for (uint64_t i = 1; i < k->count; i++)
        if (!attn_gguf_number(&x->file, k, i, &other) || other != v) {
            fail(x, name, "differs from layer to layer, which is not understood");
            return NULL;
        }
    char text[32];
    if (fabs(v) < 9e15 && v == floor(v)) return arena_printf(x->a, "%.0f", v);
    /* An f32, in the fewest digits that mean it: 1e-05. */
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if ((k->kind == ATTN_GGUF_F32 ? (double)strtof(text, NULL) : strtod(text, NULL)) == v)
            break;
    }
    return arena_strdup(x->a, text);
}

/* An int of the file; missing: what llama.cpp takes. */
static bool read_int(gguf *x, const char *suffix, int32_t missing, int32_t *out) {
    attn_gguf_key k;
    int64_t v;
    *out = missing;
    if (!find(x, suffix, &k)) {
        if (missing >= 0) return true;
        return fail(x, full_name(x, suffix), "is missing");
    }
    const char *text = number_text(x, suffix, &k);
    if (!text) return false;
    if (!attn_gguf_int(&x->file, &k, 0, &v) || v < 0 || v > INT32_MAX)
        return fail(x, full_name(x, suffix), "must be an integer from 0 to %d, got %s", INT32_MAX,
                    text);
    *out = (int32_t)v;
    return true;
}

/* --- Members of the config --- */

static void put(gguf *x, const char *key, const char *name, const char *text) {
    buf_printf(&x->config, ",\n\"%s\": %s", key, text);
    buf_printf(&x->names, ",\n\"%s\": \"%s\"", key, name);
}

static void put_from(gguf *x, const char *key, const char *suffix, const char *text) {
    put(x, key, full_name(x, suffix), text);
}

/* What the architecture's row says, which names no key of the file. */
static const char *row_text(gguf *x, const json_val *v) {
    if (v->kind == JSON_STRING) return arena_printf(x->a, "\"%s\"", v->string);
    if (v->kind == JSON_BOOL) return v->boolean ? "true" : "false";
    if (v->kind == JSON_NUMBER) return arena_printf(x->a, "%.17g", v->number);
    return "null";
}

static bool put_mapped(gguf *x, const char *key) {
    const json_val *suffix = json_get(json_get(x->row, "keys"), key);
    if (!suffix) suffix = json_get(json_get(x->table, "keys"), key);
    const json_val *missing = json_get(json_get(x->row, "default"), key);
    attn_gguf_key k;
    if (!suffix)
        return fail(x, key, "is a key of %s that gguf_families.json does not know",
                    json_get(x->row, "model_type")->string);
    if (!find(x, suffix->string, &k)) {
        if (!missing) return fail(x, full_name(x, suffix->string), "is missing");
        put_from(x, key, suffix->string, row_text(x, missing));
        return true;
    }
    const char *text = number_text(x, suffix->string, &k);
    if (text) put_from(x, key, suffix->string, text);
    return text != NULL;
}

static bool put_heads(gguf *x, const char *key) {
    int32_t heads;
    if (!read_int(x, "attention.head_count_kv", x->heads, &heads)) return false;
    attn_gguf_key k;
    if (find(x, "attention.head_count_kv", &k)) return put_mapped(x, key);
    put_from(x, key, "attention.head_count_kv", arena_printf(x->a, "%d", heads));
    return true;
}

static bool put_head_dim(gguf *x, const char *key) {
    put_from(x, key, "attention.key_length", arena_printf(x->a, "%d", x->head_dim));
    return true;
}

/* 0: none. */
static bool put_window(gguf *x, const char *key) {
    const json_val *missing = json_get(json_get(x->row, "default"), key);
    int32_t window;
    const int32_t other = !missing                       ? -1
                          : missing->kind == JSON_NUMBER ? (int32_t)missing->number
                                                         : 0;
    if (!read_int(x, "attention.sliding_window", other, &window)) return false;
    x->windows = window > 0;
    put_from(x, key, "attention.sliding_window",
             window ? arena_printf(x->a, "%d", window) : "null");
    return true;
}

/* A bool a layer; where there is no window, all of them are full. */
static bool put_layer_types(gguf *x, const char *key) {
    static const char suffix[] = "attention.sliding_window_pattern";
    attn_gguf_key k;
    const bool listed = find(x, suffix, &k) && k.array;
    if (!listed && x->windows) {
        put_from(x, key, suffix, "null");
        return true;
    }
    if (listed && k.count < (uint64_t)x->layers)
        return fail(x, full_name(x, suffix), "must have %d items, one a layer, got %llu", x->layers,
                    (unsigned long long)k.count);
    buf b = buf_new(x->a);
    for (int32_t i = 0; i < x->layers; i++) {
        bool slides = false;
        if (listed && !attn_gguf_bool(&x->file, &k, (uint64_t)i, &slides))
            return fail(x, full_name(x, suffix), "must be bools");
        if (!x->windows) slides = false;
        buf_printf(&b, "%s\"%s\"", i ? ", " : "[", slides ? "sliding_attention" : "full_attention");
    }
    buf_puts(&b, "]");
    put_from(x, key, suffix, b.data);
    return true;
}

/* Every so many layers one is full. */
static bool put_pattern(gguf *x, const char *key) {
    static const char suffix[] = "attention.sliding_window_pattern";
    attn_gguf_key k;
    const json_val *usual = json_get(x->keys, key);
    const bool single = find(x, suffix, &k) && !k.array;
    const char *text = single ? number_text(x, suffix, &k) : row_text(x, usual);
    if (text) put_from(x, key, suffix, text);
    return text != NULL;
}

static bool put_scalar(gguf *x, const char *key) {
    int32_t width;
    if (!read_int(x, "embedding_length", -1, &width)) return false;
    const json_val *layers = json_get(x->row, "scalar_layers");
    const bool by_width = layers && x->layers == (int32_t)layers->number;
    put_from(x, key, by_width ? "embedding_length" : "attention.key_length",
             arena_printf(x->a, "%d", by_width ? width / x->heads : x->head_dim));
    return true;
}

/* The importer cuts head_dim times the part to an integer. */
static bool put_part(gguf *x, const char *key) {
    int32_t rotated;
    if (!read_int(x, "rope.dimension_count", x->head_dim, &rotated)) return false;
    if (rotated > x->head_dim)
        return fail(x, full_name(x, "rope.dimension_count"),
                    "must be at most %d, the width of a "
                    "head, got %d",
                    x->head_dim, rotated);
    const double part = rotated == x->head_dim ? 1 : (rotated + 0.25) / x->head_dim;
    put_from(x, key, "rope.dimension_count", arena_printf(x->a, "%.17g", part));
    return true;
}

/* No key says it, but tensors do: with a bias in the first layer. */
static bool put_bias(gguf *x, const char *key, const char *name, const char *same) {
    const bool bias = has_tensor(x, name);
    if (has_tensor(x, same) != bias)
        return fail(x, bias ? name : same, "is there, and %s is not: %s takes both or none",
                    bias ? same : name, json_get(x->row, "model_type")->string);
    put(x, key, name, bias ? "true" : "false");
    return true;
}

static bool put_attention_bias(gguf *x, const char *key) {
    return put_bias(x, key, "blk.0.attn_q.bias", "blk.0.attn_output.bias");
}

static bool put_mlp_bias(gguf *x, const char *key) {
    return put_bias(x, key, "blk.0.ffn_up.bias", "blk.0.ffn_down.bias");
}

/* --- RoPE --- */

/* llama3's, whose factors are in a tensor: those of all published models but for `factor`. */
static bool put_llama3(gguf *x, const char *key, const attn_gguf_tensor *t) {
    static const double low = 1, high = 4, original = 8192;
    const int32_t pairs = x->head_dim / 2;
    attn_gguf_key k;
    double base = 10000;
    if (find(x, "rope.freq_base", &k) && !attn_gguf_number(&x->file, &k, 0, &base))
        return fail(x, full_name(x, "rope.freq_base"), "must be a number");
    if (t->type != ATTN_WEIGHT_F32 || t->rank != 1 || t->dim[0] != pairs)
        return fail(x, t->name, "must be f32 [%d], one a pair of a head's columns", pairs);
    const unsigned char *data = t->data;
    float factor, is;
    memcpy(&factor, data + 4 * (pairs - 1), sizeof factor);
    for (int32_t i = 0; i < pairs; i++) {
        const double wave = 2 * 3.14159265358979323846 * pow(base, 2.0 * i / x->head_dim);
        const double smooth = (original / wave - low) / (high - low);
        double want = 1 / ((1 - smooth) / (double)factor + smooth);
        if (wave < original / high) want = 1;
        if (wave > original / low) want = (double)factor;
        memcpy(&is, data + 4 * i, sizeof is);
        if (!(fabs((double)is - want) <= 1e-4 * want))
            return fail(
                x, t->name,
                "[%d] is %.9g: llama3's factors with low_freq_factor 1, high_freq_factor 4 "
                "and original_max_position_embeddings 8192, which published files have, are "
                "%.9g there, and others are not understood",
                i, (double)is, want);
    }
    if (factor == 1)
        put(x, key, t->name, "null");
    else
        put(x, key, t->name,
            arena_printf(x->a,
                         "{\"rope_type\": \"llama3\", \"factor\": %.9g, \"low_freq_factor\": 1, "
                         "\"high_freq_factor\": 4, \"original_max_position_embeddings\": 8192}",
                         (double)factor));
    return true;
}

/* A number beside rope.scaling.type; null: there is none, or it is wrong. */
static const char *scaling_number(gguf *x, const char *suffix, bool *ok) {
    attn_gguf_key k;
    if (!find(x, suffix, &k)) return NULL;
    const char *text = number_text(x, suffix, &k);
    *ok = *ok && text;
    return text;
}

static bool put_yarn(gguf *x, const char *key, const char *factor) {
    bool ok = true;
    const char *fast = scaling_number(x, "rope.scaling.yarn_beta_fast", &ok);
    const char *slow = scaling_number(x, "rope.scaling.yarn_beta_slow", &ok);
    int32_t longest, original;
    if (!ok || !read_int(x, "context_length", -1, &longest) ||
        !read_int(x, "rope.scaling.original_context_length", longest, &original))
        return false;
    const json_val *truncate = json_get(x->row, "truncate");
    put_from(x, key, "rope.scaling.type",
             arena_printf(x->a,
                          "{\"rope_type\": \"yarn\", \"factor\": %s, \"beta_fast\": %s, "
                          "\"beta_slow\": %s, \"original_max_position_embeddings\": %d%s%s}",
                          factor, fast ? fast : "32", slow ? slow : "1", original,
                          truncate ? ", \"truncate\": " : "",
                          truncate ? row_text(x, truncate) : ""));
    return true;
}

static bool put_scaling(gguf *x, const char *key) {
    static const char suffix[] = "rope.scaling.type";
    attn_gguf_key k;
    attn_gguf_tensor t;
    attn_gguf_text type = {"linear", 6};
    bool ok = true;
    if (find(x, suffix, &k) && (k.array || !attn_gguf_string(&x->file, &k, 0, &type)))
        return fail(x, full_name(x, suffix), "must be a string");
    const char *factor = scaling_number(x, "rope.scaling.factor", &ok);
    if (!factor) factor = scaling_number(x, "rope.scale_linear", &ok);
    if (!ok) return false;
    if (attn_gguf_find_tensor(&x->file, "rope_factors_long.weight", &t) ||
        attn_gguf_is(type, "longrope")) {
        (void)find(x, "rope.scaling.attn_factor", &k); /* a part of it */
        put_from(x, key, suffix, "{\"rope_type\": \"longrope\"}");
        return true;
    }
    if (attn_gguf_find_tensor(&x->file, "rope_freqs.weight", &t)) {
        if (!json_get(x->row, "rope_freqs"))
            return fail(x, t.name, "is not understood in files of %s", x->arch);
        return put_llama3(x, key, &t);
    }
    const bool none = !factor || strtod(factor, NULL) == 0 || strtod(factor, NULL) == 1;
    if (attn_gguf_is(type, "none") || none) {
        put_from(x, key, suffix, "null");
        return true;
    }
    if (attn_gguf_is(type, "yarn")) return put_yarn(x, key, factor);
    if (!attn_gguf_is(type, "linear"))
        return fail(x, full_name(x, suffix), "'%s' is not known: none, linear, yarn, longrope",
                    text_shown_n(x->a, type.data, type.length > 80 ? 80 : (size_t)type.length));
    put_from(x, key, suffix,
             arena_printf(x->a, "{\"rope_type\": \"linear\", \"factor\": %s}", factor));
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
    {"rope_scaling", put_scaling},
};
enum { SPECIAL = sizeof special / sizeof *special };

static bool put_key(gguf *x, const char *key) {
    const json_val *set = json_get(json_get(x->row, "set"), key);
    if (set) {
        put(x, key, arena_printf(x->a, "%s (as %s files have it)", key, x->arch), row_text(x, set));
        return true;
    }
    for (int i = 0; i < SPECIAL; i++)
        if (!strcmp(special[i].key, key)) return special[i].put(x, key);
    return put_mapped(x, key);
}

/* What other keys need, and what must agree with it. */
static bool read_widths(gguf *x) {
    int32_t width, value, rotated;
    if (!read_int(x, "attention.head_count", -1, &x->heads) ||
        !read_int(x, "block_count", -1, &x->layers) || !read_int(x, "embedding_length", -1, &width))
        return false;
    if (x->heads < 1 || width < 1)
        return fail(x, full_name(x, x->heads < 1 ? "attention.head_count" : "embedding_length"),
                    "must be at least 1");
    if (x->layers < 1 || x->layers > MODEL_MAX_LAYERS)
        return fail(x, full_name(x, "block_count"), "must be from 1 to %d, got %d",
                    MODEL_MAX_LAYERS, x->layers);
    if (!read_int(x, "attention.key_length", width / x->heads, &x->head_dim) ||
        !read_int(x, "attention.value_length", x->head_dim, &value) ||
        !read_int(x, "rope.dimension_count", x->head_dim, &rotated))
        return false;
    if (x->head_dim < 1 || x->head_dim > 65536)
        return fail(x, full_name(x, "attention.key_length"), "must be from 1 to 65536, got %d",
                    x->head_dim);
    if (value != x->head_dim)
        return fail(x, full_name(x, "attention.value_length"),
                    "is %d, and keys have %d: must be the same", value, x->head_dim);
    if (rotated != x->head_dim && !json_get(x->keys, "partial_rotary_factor"))
        return fail(x, full_name(x, "rope.dimension_count"),
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
    const char *prefix = full_name(x, "");
    const size_t n = strlen(prefix);
    for (attn_gguf_key k = {0}; attn_gguf_next_key(&x->file, &k);) {
        if (k.name.length <= n || memcmp(k.name.data, prefix, n)) continue;
        const char *name = arena_strndup(x->a, k.name.data, (size_t)k.name.length);
        const char *suffix = name + n;
        if (strstr(x->used.data, arena_printf(x->a, "\n%s\n", suffix))) continue;
        if (is_harmless(x, suffix)) continue;
        if (is_neutral(x, &k, json_get(json_get(x->table, "neutral"), suffix))) continue;
        return fail(x, name, "is not understood here, and may change the layers");
    }
    return true;
}

/* --- What stands around the layers --- */

/* A number of the file under the same name; false with a message. */
static bool put_own(gguf *x, const char *key) {
    attn_gguf_key k;
    if (!find(x, key, &k)) return true;
    const char *text = number_text(x, key, &k);
    if (text) put_from(x, key, key, text);
    return text != NULL;
}

/* Rows of the embedding, and whether there is a head beside it: without one it is tied. */
static bool put_whole(gguf *x) {
    attn_gguf_tensor t;
    if (!attn_gguf_find_tensor(&x->file, "token_embd.weight", &t)) return true;
    if (t.rank != 2 || t.dim[0] > INT32_MAX)
        return fail(x, t.name, "must have two dimensions, and at most %d rows", INT32_MAX);
    put(x, "vocab_size", t.name, arena_printf(x->a, "%lld", (long long)t.dim[0]));
    put(x, "tie_word_embeddings", "output.weight",
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

static bool find_architecture(gguf *x) {
    static const char name[] = "general.architecture";
    attn_gguf_key k;
    attn_gguf_text text;
    if (!attn_gguf_find(&x->file, name, &k))
        return fail(x, name, "is missing: which architecture the model is of (%s)",
                    import_gguf_architectures(x->a));
    if (k.array || !attn_gguf_string(&x->file, &k, 0, &text))
        return fail(x, name, "must be a string");
    const size_t length = text.length > 80 ? 80 : (size_t)text.length;
    x->arch = arena_strndup(x->a, text.data, length);
    const json_val *rows = json_get(x->table, "architectures");
    x->row = strlen(x->arch) == text.length ? json_get(rows, x->arch) : NULL;
    if (!x->row)
        return fail(x, name,
                    "'%s' is not known; known: %s; describe its layers in a model file, "
                    ".lua (attn-gen models lists ready-made ones)",
                    text_shown_n(x->a, text.data, length), import_gguf_architectures(x->a));
    const json_val *mixture = json_get(x->row, "mixture");
    int32_t experts = 0;
    if (mixture && !read_int(x, "expert_count", 0, &experts)) return false;
    if (experts > 0) x->row = mixture;
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
    return fail(x, "split.count",
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
        buf_printf(&b, ", \"%s\": %s", spec->item[i].name, row_text(x, &spec->item[i]));
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
