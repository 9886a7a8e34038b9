#include "import_internal.h"

#include "embedded.h"
#include "text.h"

#include <ctype.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Messages --- */

const char *hf_name(hf *h, const json_val *v) {
    const char *name = v->path;
    if (hf_in_file(h, v)) return name;
    for (int i = 0; i < 3; i++) name = strchr(name, '.') + 1; /* "families.NAME.keys." */
    return arena_printf(h->a, "%s (the default of %s)", name, h->model_type);
}

static const char *where_of(hf *h, const json_val *v) {
    const char *name = hf_name(h, v), *colon = *name ? ": " : "";
    if (!hf_in_file(h, v)) return arena_printf(h->a, "%s: %s", h->path, name);
    return arena_printf(h->a, "%s:%d:%d%s%s", h->path, v->line, v->column, colon, name);
}

static const char *printf_va(hf *h, const char *fmt, va_list ap) {
    char text[1024];
    vsnprintf(text, sizeof text, fmt, ap);
    return arena_strdup(h->a, text);
}

bool hf_fail(hf *h, const json_val *at, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    buf b = buf_new(h->a);
    buf_printf(&b, "%s: %s", where_of(h, at), printf_va(h, fmt, ap));
    va_end(ap);
    if (hf_in_file(h, at)) source_show(&b, h->text, at->key_at);
    return diag_set(h->d, "%s", b.data);
}

void hf_note(hf *h, const json_val *at, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const char *line = arena_printf(h->a, "%s: %s\n", where_of(h, at), printf_va(h, fmt, ap));
    va_end(ap);
    if (!strstr(h->notes.data, line)) buf_puts(&h->notes, line);
}

const char *hf_quote(hf *h, const json_val *v) {
    return value_quoted(h->a, json_to_lua(h->a, v));
}

bool hf_same_word(const char *x, const char *y) {
    for (;; x++, y++) {
        x += strspn(x, "_- ");
        y += strspn(y, "_- ");
        if (tolower((unsigned char)*x) != tolower((unsigned char)*y)) return false;
        if (!*x) return true;
    }
}

/* --- Keys --- */

bool hf_in_file(const hf *h, const json_val *v) {
    return v->text == h->text;
}

bool hf_is_null(const json_val *v) {
    return v->kind == JSON_NULL;
}

bool hf_is_off(const json_val *v) {
    if (v->kind == JSON_BOOL) return !v->boolean;
    if (v->kind == JSON_ARRAY || v->kind == JSON_OBJECT) return v->count == 0;
    return v->kind == JSON_NULL;
}

bool hf_has(const hf *h, const char *key) {
    return json_get(h->keys, key) != NULL;
}

const json_val *hf_get(const hf *h, const char *key) {
    const json_val *v = json_get(h->in, key);
    const json_val *alias = json_get(h->family, "alias");
    for (int i = 0; !v && alias && i < alias->count; i++)
        if (!strcmp(alias->item[i].string, key)) v = json_get(h->in, alias->item[i].name);
    return v ? v : json_get(h->keys, key);
}

bool hf_int(hf *h, const json_val *v, int64_t lowest, int64_t highest, int32_t *out) {
    const lua_val *x = json_to_lua(h->a, v);
    if (x->kind != LUA_VAL_INT || x->integer < lowest || x->integer > highest)
        return hf_fail(h, v, "must be an integer from %lld to %lld, got %s", (long long)lowest,
                       (long long)highest, hf_quote(h, v));
    *out = (int32_t)x->integer;
    return true;
}

bool hf_number(hf *h, const json_val *v, double *out) {
    if (v->kind != JSON_NUMBER || !(fabs(v->number) <= 1e38))
        return hf_fail(h, v, "must be a finite number, in magnitude at most 1e+38, got %s",
                       hf_quote(h, v));
    *out = v->number;
    return true;
}

bool hf_bool(hf *h, const json_val *v, bool *out) {
    if (v->kind != JSON_BOOL) return hf_fail(h, v, "must be true or false, got %s", hf_quote(h, v));
    *out = v->boolean;
    return true;
}

static bool key_int(hf *h, const char *key, int64_t lowest, int64_t highest, int32_t *out) {
    return hf_int(h, hf_get(h, key), lowest, highest, out);
}

static bool key_bool(hf *h, const char *key, bool *out) {
    return hf_bool(h, hf_get(h, key), out);
}

/* A string of the row. */
static const char *row_text(const hf *h, const char *name) {
    const json_val *v = json_get(h->family, name);
    return v ? v->string : "";
}

static bool row_is(const hf *h, const char *name, const char *value) {
    return strcmp(row_text(h, name), value) == 0;
}

/* --- Fields of a layer --- */

/* A layer's fields at level core, and kv_heads of mla, whose form implies them, are left out. */
static bool has_field(const hf *h, const attn_field *f) {
    if (!h->block && (f->applies & ATTN_IN_BLOCK)) return false;
    const json_val *form = json_get(json_get(h->family, "spec"), "form");
    const int forms = f->applies & ATTN_IN_FORMS;
    return !forms || (forms & (form ? ATTN_IN_MLA : ATTN_IN_REGULAR));
}

static void put(hf *h, fields *f, const char *field, const lua_val *v, const json_val *from) {
    if (!has_field(h, attn_field_find(field))) return;
    int i = 0;
    while (i < f->count && strcmp(f->item[i].field, field)) i++;
    if (i == f->count) f->count++;
    spec_input *in = &f->item[i];
    *in = (spec_input){.field = field, .value = v, .where = h->path};
    if (!from) return;
    in->where = where_of(h, from);
    if (!hf_in_file(h, from)) return;
    in->file = h->path;
    in->file_text = h->text;
    in->file_offset = from->key_at;
}

void put_value(hf *h, fields *f, const char *field, const json_val *from) {
    put(h, f, field, json_to_lua(h->a, from), from);
}

void put_int(hf *h, fields *f, const char *field, int64_t v, const json_val *from) {
    lua_val *x = arena_alloc(h->a, sizeof *x);
    *x = (lua_val){.kind = LUA_VAL_INT, .integer = v, .number = (double)v};
    put(h, f, field, x, from);
}

void put_float(hf *h, fields *f, const char *field, double v, const json_val *from) {
    lua_val *x = arena_alloc(h->a, sizeof *x);
    *x = (lua_val){.kind = LUA_VAL_FLOAT, .number = v};
    put(h, f, field, x, from);
}

void put_bool(hf *h, fields *f, const char *field, bool v, const json_val *from) {
    lua_val *x = arena_alloc(h->a, sizeof *x);
    *x = (lua_val){.kind = LUA_VAL_BOOL, .boolean = v};
    put(h, f, field, x, from);
}

void put_text(hf *h, fields *f, const char *field, const char *v, const json_val *from) {
    lua_val *x = arena_alloc(h->a, sizeof *x);
    *x = (lua_val){.kind = LUA_VAL_STRING, .string = v};
    put(h, f, field, x, from);
}

static void drop(fields *f, const char *field) {
    for (int i = 0; i < f->count; i++)
        if (!strcmp(f->item[i].field, field)) f->item[i--] = f->item[--f->count];
}

/* --- One layer --- */

typedef enum ffn_part { FFN_OWN, FFN_EXTERNAL, FFN_NONE } ffn_part;

typedef struct layer {
    bool sliding, causal, cross;
    int32_t window; /* sliding: how far it sees, back and, where not causal, ahead */
    const json_val *window_at;
    bool both_ways;              /* by use_bidirectional_attention */
    const char *heads, *ffn_dim; /* keys */
    ffn_part ffn;
} layer;

/* Keys that are fields of the spec, wherever a family has them. */
static const struct {
    const char *field, *key;
    bool may_be_null; /* then the field is not given */
} direct[] = {
    {"kv_heads", "num_key_value_heads", true},
    {"d_model", "hidden_size", false},
    {"d_model", "d_model", false},
    {"norm_eps", "rms_norm_eps", false},
    {"norm_eps", "layer_norm_eps", false},
    {"norm_eps", "layer_norm_epsilon", false},
    {"softcap", "attn_logit_softcapping", true},
    {"q_bias", "attention_bias", false},
    {"q_bias", "bias", false},
    {"ffn_bias", "bias", false},
    {"ffn_bias", "mlp_bias", false},
    {"kv_comp_dim", "kv_lora_rank", false},
    {"q_comp_dim", "q_lora_rank", true},
    {"retr_dim", "qk_rope_head_dim", false},
    {"v_head_dim", "v_head_dim", false},
};

static void put_direct(hf *h, fields *f) {
    const json_val *spec = json_get(h->family, "spec");
    for (int i = 0; i < spec->count; i++) {
        const json_val *v = &spec->item[i];
        put(h, f, v->name, json_to_lua(h->a, v), NULL);
    }
    for (size_t i = 0; i < sizeof direct / sizeof *direct; i++) {
        if (!hf_has(h, direct[i].key)) continue;
        const json_val *v = hf_get(h, direct[i].key);
        if (hf_is_null(v) && direct[i].may_be_null) continue;
        put_value(h, f, direct[i].field, v);
    }
}

/* Width of a head: given, or what hidden_size leaves to each. */
static bool head_width(hf *h, const layer *l, int32_t *width, const json_val **at) {
    const char *own = hf_has(h, "qk_nope_head_dim") ? "qk_nope_head_dim" : "head_dim";
    if (hf_has(h, own)) {
        *at = hf_get(h, own);
        /* A class that has a width of its own as the default takes no null. */
        if (!hf_is_null(*at) || !hf_is_null(json_get(h->keys, own)))
            return hf_int(h, *at, 1, 65536, width);
    }
    int32_t hidden, heads;
    *at = hf_get(h, hf_has(h, "d_model") ? "d_model" : "hidden_size");
    if (!hf_int(h, *at, 1, 1048576, &hidden) || !key_int(h, l->heads, 1, 65536, &heads))
        return false;
    if (hidden % heads)
        return hf_fail(h, *at, "must be a multiple of %s: %d is no multiple of %d%s", l->heads,
                       hidden, heads, hf_has(h, own) ? "; or give head_dim" : "");
    *width = hidden / heads;
    return true;
}

static bool put_scale(hf *h, int32_t head_dim, double mscale2, fields *f) {
    double x;
    if (hf_has(h, "query_pre_attn_scalar")) {
        const json_val *v = hf_get(h, "query_pre_attn_scalar");
        if (!hf_number(h, v, &x)) return false;
        if (!(x > 0)) return hf_fail(h, v, "must be greater than 0, got %s", hf_quote(h, v));
        put_float(h, f, "scale", 1 / sqrt(x), v);
    }
    if (!hf_has(h, "qk_rope_head_dim")) return true;
    int32_t rotated;
    if (!key_int(h, "qk_rope_head_dim", 1, 65536, &rotated)) return false;
    put_float(h, f, "scale", mscale2 / sqrt((double)head_dim + rotated),
              hf_get(h, "qk_rope_head_dim"));
    return true;
}

/* The activation of the feed-forward part as one of the spec's kinds; null: it has none of it. */
static const char *ffn_kind(const char *act, bool glu) {
    static const char *const exact[] = {"gelu", "gelu_python", NULL};
    static const char *const tanh_form[] = {
        "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_accurate", "gelu_python_tanh", NULL};
    for (int i = 0; exact[i]; i++)
        if (!strcmp(act, exact[i])) return glu ? "geglu" : "gelu";
    for (int i = 0; tanh_form[i]; i++)
        if (!strcmp(act, tanh_form[i])) return glu ? "geglu_tanh" : "gelu_tanh";
    if (!strcmp(act, "silu") || !strcmp(act, "swish")) return glu ? "swiglu" : NULL;
    return !strcmp(act, "relu") && !glu ? "relu" : NULL;
}

static bool put_ffn(hf *h, const layer *l, fields *f) {
    if (!h->block) return true;
    if (l->ffn != FFN_OWN) {
        drop(f, "ffn_bias");
        put_text(h, f, "ffn", l->ffn == FFN_NONE ? "none" : "external", NULL);
        return true;
    }
    static const char *const names[] = {"hidden_act", "hidden_activation", "activation",
                                        "activation_function"};
    const json_val *act = NULL;
    for (int i = 0; i < 4 && !act; i++)
        if (hf_has(h, names[i])) act = hf_get(h, names[i]);
    if (act->kind != JSON_STRING)
        return hf_fail(h, act, "must be a string, got %s", hf_quote(h, act));
    const bool glu = !row_is(h, "ffn", "plain");
    const char *kind = ffn_kind(act->string, glu);
    if (!kind)
        return hf_fail(h, act, "%s is no activation of the spec's %s: %s", hf_quote(h, act),
                       glu ? "gated ffn" : "ffn",
                       glu ? "silu, gelu, gelu_pytorch_tanh (gelu_new, gelu_fast)"
                           : "gelu, gelu_pytorch_tanh (gelu_new, gelu_fast), relu");
    put_text(h, f, "ffn", kind, act);
    const json_val *width = hf_get(h, l->ffn_dim);
    /* null where the class has it as its default: 4 * d_model */
    if (!hf_is_null(width) || !hf_is_null(json_get(h->keys, l->ffn_dim)))
        put_value(h, f, "ffn_dim", width);
    return true;
}

static void put_op(hf *h, const layer *l, fields *f) {
    put_text(h, f, "op", l->sliding ? "sliding_self" : "full_self", l->window_at);
    if (!l->causal) put_bool(h, f, "causal", false, NULL);
    if (l->sliding) put_int(h, f, "window", l->window, l->window_at);
    if (l->sliding && !l->causal) put_int(h, f, "right_window", l->window, l->window_at);
    if (l->cross)
        put_value(h, f, "kv_dim", hf_get(h, hf_has(h, "d_model") ? "d_model" : "hidden_size"));
}

/* --- What single families add --- */

/* Falcon's ALiBi is added before the factor 1/sqrt(head_dim). k - q in place of k: the same
 * softmax, and no large numbers. */
static const char *alibi(hf *h, int32_t heads) {
    int32_t power = 1;
    while (power * 2 <= heads) power *= 2;
    const char *first = arena_printf(h->a, "exp2(%.9g * (h + 1))", -8.0 / power);
    if (power == heads) return arena_printf(h->a, "s + %s / sqrt(head_dim) * (k - q)", first);
    return arena_printf(
        h->a, "s + where(h < %d, %s, exp2(%.9g * (2 * h - %d))) / sqrt(head_dim) * (k - q)", power,
        first, -4.0 / power, 2 * power - 1);
}

static bool put_falcon(hf *h, fields *f) {
    bool is_new, multi_query, parallel, use_alibi;
    int32_t heads, norms = 1;
    if (!key_bool(h, "new_decoder_architecture", &is_new) ||
        !key_bool(h, "multi_query", &multi_query) || !key_bool(h, "parallel_attn", &parallel) ||
        !key_bool(h, "alibi", &use_alibi) || !key_int(h, "num_attention_heads", 1, 65536, &heads))
        return false;
    const json_val *kv = hf_get(h, "num_kv_heads"), *ln = hf_get(h, "num_ln_in_parallel_attn");
    int32_t kv_heads = heads;
    if (!hf_is_null(kv) && !hf_int(h, kv, 1, 65536, &kv_heads)) return false;
    if (!hf_is_null(ln) && !hf_int(h, ln, 1, 2, &norms)) return false;
    if (hf_is_null(ln) && is_new) norms = 2;
    if (!is_new && !hf_is_null(ln) && norms == 2 && parallel)
        return hf_fail(h, ln, "2 needs new_decoder_architecture");
    if (is_new && !parallel)
        return hf_fail(h, hf_get(h, "parallel_attn"),
                       "must be true where new_decoder_architecture is");
    if (!is_new && !multi_query && kv_heads != heads)
        return hf_fail(h, kv, "must be num_attention_heads = %d where multi_query is false", heads);
    if (is_new)
        put_int(h, f, "kv_heads", kv_heads, kv);
    else if (multi_query) /* whatever num_kv_heads says */
        put_int(h, f, "kv_heads", 1, hf_get(h, "multi_query"));
    put_text(h, f, "residual", parallel ? "parallel" : "serial", hf_get(h, "parallel_attn"));
    if (parallel && norms == 1) put_bool(h, f, "shared_norm", true, ln);
    if (!use_alibi) return true;
    const json_val *at = hf_get(h, "alibi");
    put_text(h, f, "rope", "none", at);
    put_text(h, f, "backend", "flex", at);
    put_text(h, f, "score", alibi(h, heads), at);
    return true;
}

static bool put_deepseek(hf *h, fields *f) {
    const json_val *kv = hf_get(h, "num_key_value_heads");
    int32_t heads, kv_heads;
    double eps = 0;
    if (!key_int(h, "num_attention_heads", 1, 65536, &heads)) return false;
    if (!hf_is_null(kv) && !hf_int(h, kv, 1, 65536, &kv_heads)) return false;
    if (!hf_is_null(kv) && kv_heads != heads)
        return hf_fail(h, kv, "must be num_attention_heads = %d: latent attention has no groups",
                       heads);
    const json_val *at = hf_get(h, "rms_norm_eps");
    if (!hf_number(h, at, &eps)) return false;
    if (h->block && eps != 1e-6)
        return hf_fail(h, at,
                       "must be 1e-06: the norms of the latent rows have that in the model "
                       "whatever stands here, and a layer has one norm_eps");
    bool pairs = true;
    if (hf_has(h, "rope_interleave") && !key_bool(h, "rope_interleave", &pairs)) return false;
    if (!pairs) put_text(h, f, "rope", "half", hf_get(h, "rope_interleave"));
    return true;
}

static bool put_gemma3(hf *h) {
    const json_val *v = hf_get(h, "attn_logit_softcapping");
    if (hf_is_null(v)) return true;
    return hf_fail(h, v,
                   "is declared by %s, whose attention does not apply it: make it null to go "
                   "without",
                   h->model_type);
}

static bool put_family(hf *h, fields *f) {
    if (hf_has(h, "rope_local_base_freq")) return put_gemma3(h);
    if (hf_has(h, "new_decoder_architecture")) return put_falcon(h, f);
    if (hf_has(h, "kv_lora_rank")) return put_deepseek(h, f);
    if (!hf_has(h, "use_parallel_residual")) return true;
    bool parallel;
    if (!key_bool(h, "use_parallel_residual", &parallel)) return false;
    put_text(h, f, "residual", parallel ? "parallel" : "serial",
             hf_get(h, "use_parallel_residual"));
    return true;
}

static bool add_rope(hf *h, const layer *l, int32_t width, const json_val *width_at, fields *f,
                     double *mscale2) {
    fields rope = {0};
    const bool mla = hf_has(h, "qk_rope_head_dim");
    if (mla) width_at = hf_get(h, "qk_rope_head_dim");
    if (mla && !hf_int(h, width_at, 1, 65536, &width)) return false;
    if (!import_rope(h, l->sliding, width, width_at, &rope, mscale2)) return false;
    for (int i = 0; i < rope.count; i++)
        if (strcmp(rope.item[i].field, "rope"))
            f->item[f->count++] = rope.item[i];
        else
            put(h, f, "rope", rope.item[i].value, NULL);
    return true;
}

static bool add_layer(hf *h, const layer *l) {
    fields f = {0};
    int32_t head_dim;
    const json_val *width_at;
    if (!head_width(h, l, &head_dim, &width_at)) return false;
    put_text(h, &f, "level", h->block ? "block" : "core", NULL);
    put_direct(h, &f);
    put_value(h, &f, "heads", hf_get(h, l->heads));
    put_int(h, &f, "head_dim", head_dim, width_at);
    put_op(h, l, &f);
    if (!put_family(h, &f)) return false;
    const json_val *full_rope = json_get(h->family, "full_rope");
    const bool rotated = l->sliding || !full_rope; /* cohere2's full layers have no positions */
    const bool off = hf_has(h, "alibi") && hf_get(h, "alibi")->boolean;
    double mscale2 = 1;
    if (rotated && !off && !add_rope(h, l, head_dim, width_at, &f, &mscale2)) return false;
    if (!rotated) put_text(h, &f, "rope", "none", NULL);
    if (!put_scale(h, head_dim, mscale2, &f) || !put_ffn(h, l, &f)) return false;
    if (h->backend) {
        drop(&f, "backend");
        f.item[f.count++] = *h->backend;
    }
    kernel_spec k;
    const char *where = arena_printf(h->a, "%s: layer %d", h->path, h->out->layer_count);
    if (!kernel_spec_build(h->a, f.item, f.count, where, &k, h->d)) return false;
    return model_add_layer(h->a, h->out, &k) ||
           diag_set(h->d, "%s: two layers have one hash", where);
}

/* --- The layers of a model --- */

/* sliding_window of a layer: the count includes the token itself, but for the mask that is_causal =
 * false asks for. */
static bool read_window(hf *h, layer *l) {
    l->window_at = hf_get(h, "sliding_window");
    if (!hf_int(h, l->window_at, 1, INT32_MAX, &l->window)) return false;
    if (l->both_ways) l->window = l->window / 2 + 1; /* gemma3: half to each side */
    if (h->causal) l->window--;
    return true;
}

/* transformers 5 makes every decoder's mask by it (masking_utils.py); 4.57 has no such key. */
static bool read_is_causal(hf *h) {
    const json_val *v = json_get(h->in, "is_causal");
    h->causal = true;
    if (!v) return true;
    if (hf_is_null(v))
        return hf_fail(h, v,
                       "null makes a model that sees both ways in transformers 5, and a causal one "
                       "in releases before: write true or false");
    return hf_bool(h, v, &h->causal);
}

static void note_is_causal(hf *h, bool windows) {
    if (!h->causal)
        hf_note(h, json_get(h->in, "is_causal"),
                "the layers see both ways%s, as in transformers 5; releases before it do not read "
                "the key and are causal",
                windows ? ", sliding_window keys to each side beside the token itself" : "");
}

static bool read_layer_types(hf *h, int32_t layers, const json_val **types) {
    *types = hf_has(h, "layer_types") ? hf_get(h, "layer_types") : NULL;
    if (!*types || hf_is_null(*types)) {
        *types = NULL;
        return true;
    }
    if ((*types)->kind != JSON_ARRAY)
        return hf_fail(h, *types, "must be a list, got %s", hf_quote(h, *types));
    if ((*types)->count != layers)
        return hf_fail(h, *types, "must have num_hidden_layers = %d%s items, got %d", layers,
                       hf_in_file(h, hf_get(h, "num_hidden_layers")) ? "" : " (by default)",
                       (*types)->count);
    for (int i = 0; i < layers; i++) {
        const json_val *t = &(*types)->item[i];
        if (t->kind != JSON_STRING ||
            (strcmp(t->string, "full_attention") && strcmp(t->string, "sliding_attention")))
            return hf_fail(h, t, "must be 'full_attention' or 'sliding_attention', got %s",
                           hf_quote(h, t));
    }
    return true;
}

/* Whether layer i slides, by the rule of the family. */
static bool rule_slides(hf *h, int32_t i, int32_t pattern, bool enabled, int32_t first) {
    if (row_is(h, "layers", "pattern")) return (i + 1) % pattern != 0;
    if (row_is(h, "layers", "after")) return enabled && i >= first;
    return row_is(h, "layers", "all") && enabled;
}

typedef struct slide_rule {
    bool enabled; /* there is a window, and it is in use */
    int32_t pattern, first;
    const json_val *off_at; /* what switched it off */
} slide_rule;

static bool read_rule(hf *h, slide_rule *r) {
    *r = (slide_rule){.pattern = 1};
    if (!hf_has(h, "sliding_window")) return true;
    r->off_at = hf_get(h, "sliding_window");
    r->enabled = !hf_is_null(r->off_at);
    const json_val *fixed = json_get(h->family, "pattern");
    if (fixed) r->pattern = (int32_t)fixed->number;
    if (hf_has(h, "sliding_window_pattern") &&
        !key_int(h, "sliding_window_pattern", 1, MODEL_MAX_LAYERS, &r->pattern))
        return false;
    if (!hf_has(h, "use_sliding_window")) return true;
    bool used;
    if (!key_bool(h, "use_sliding_window", &used)) return false;
    if (!used) r->off_at = hf_get(h, "use_sliding_window");
    r->enabled = r->enabled && used;
    return !r->enabled || key_int(h, "max_window_layers", 0, INT32_MAX, &r->first);
}

static bool both_ways(hf *h, bool *out) {
    *out = false;
    const json_val *v =
        hf_has(h, "use_bidirectional_attention") ? hf_get(h, "use_bidirectional_attention") : NULL;
    if (!v || hf_is_null(v)) return true;
    if (!hf_bool(h, v, out)) return false;
    if (*out && !hf_has(h, "rope_local_base_freq"))
        return hf_fail(h, v, "true is not understood for %s", h->model_type);
    return true;
}

static bool add_stack(hf *h) {
    int32_t layers, dense = 0;
    const json_val *types;
    slide_rule rule;
    layer base = {.heads = "num_attention_heads",
                  .ffn_dim =
                      hf_has(h, "ffn_hidden_size") ? "ffn_hidden_size" : "intermediate_size"};
    const bool moe = row_is(h, "ffn", "moe");
    if (!key_int(h, "num_hidden_layers", 1, MODEL_MAX_LAYERS, &layers) ||
        !read_layer_types(h, layers, &types) || !read_rule(h, &rule) ||
        !both_ways(h, &base.both_ways))
        return false;
    int32_t experts;
    if (moe && (!key_int(h, "first_k_dense_replace", 0, INT32_MAX, &dense) ||
                !key_int(h, "n_routed_experts", 1, INT32_MAX, &experts)))
        return false;
    base.causal = h->causal && !base.both_ways;
    bool windows = false;
    for (int32_t i = 0; i < layers; i++) {
        layer l = base;
        l.sliding = types ? !strcmp(types->item[i].string, "sliding_attention")
                          : rule_slides(h, i, rule.pattern, rule.enabled, rule.first);
        if (l.sliding && !rule.enabled)
            return hf_fail(h, rule.off_at, "is %s, and layer %d is a sliding one",
                           hf_quote(h, rule.off_at), i);
        if (l.sliding && !read_window(h, &l)) return false;
        windows = windows || l.sliding;
        if (row_is(h, "ffn", "external") || (moe && i >= dense)) l.ffn = FFN_EXTERNAL;
        if (!add_layer(h, &l)) return false;
    }
    note_is_causal(h, windows);
    return true;
}

/* A decoder's layer is two: self attention without an ffn, and cross-attention with the ffn. */
static bool add_decoder(hf *h, int32_t layers, layer l) {
    for (int32_t i = 0; i < layers; i++) {
        layer self = l, cross = l;
        self.causal = h->causal;
        self.ffn = FFN_NONE;
        cross.cross = true;
        if (!add_layer(h, &self) || !add_layer(h, &cross)) return false;
    }
    return true;
}

static bool add_bert(hf *h) {
    int32_t layers;
    bool decoder, cross;
    if (!key_int(h, "num_hidden_layers", 1, MODEL_MAX_LAYERS / 2, &layers) ||
        !key_bool(h, "is_decoder", &decoder) || !key_bool(h, "add_cross_attention", &cross))
        return false;
    layer l = {.heads = "num_attention_heads",
               .ffn_dim = "intermediate_size",
               .causal = decoder && h->causal};
    if (cross && !decoder) return hf_fail(h, hf_get(h, "add_cross_attention"), "needs is_decoder");
    const json_val *says = json_get(h->in, "is_causal");
    if (says && h->causal && !decoder)
        return hf_fail(h, says, "is true, and the layers see both ways where is_decoder is false");
    if (decoder) note_is_causal(h, false);
    if (cross) {
        l.causal = false;
        return add_decoder(h, layers, l);
    }
    for (int32_t i = 0; i < layers; i++)
        if (!add_layer(h, &l)) return false;
    return true;
}

static bool add_whisper(hf *h) {
    int32_t encoder, decoder;
    if (!key_int(h, "encoder_layers", 0, MODEL_MAX_LAYERS / 4, &encoder) ||
        !key_int(h, "decoder_layers", 0, MODEL_MAX_LAYERS / 4, &decoder))
        return false;
    if (encoder + decoder == 0)
        return hf_fail(h, hf_get(h, "encoder_layers"), "and decoder_layers must not both be 0");
    const layer e = {.heads = "encoder_attention_heads", .ffn_dim = "encoder_ffn_dim"};
    const layer d = {.heads = "decoder_attention_heads", .ffn_dim = "decoder_ffn_dim"};
    for (int32_t i = 0; i < encoder; i++)
        if (!add_layer(h, &e)) return false;
    if (decoder) note_is_causal(h, false);
    return add_decoder(h, decoder, d);
}

/* --- The file --- */

static const json_val *table(arena *a) {
    diag d = {0};
    return json_read(a, "gen/import/hf_families.json", embedded_find("gen/import/hf_families.json"),
                     NULL, &d);
}

static const char *const *family_names(arena *a, const json_val *t) {
    const json_val *rows[] = {json_get(t, "families"), json_get(t, "wrappers")};
    const int count = rows[0]->count + rows[1]->count;
    const char **names = arena_alloc(a, ((size_t)count + 1) * sizeof *names);
    for (int i = 0, n = 0; i < 2; i++)
        for (int k = 0; k < rows[i]->count; k++) names[n++] = rows[i]->item[k].name;
    return names;
}

const char *import_hf_families(arena *a) {
    const char *const *names = family_names(a, table(a));
    buf b = buf_new(a);
    for (int i = 0; names[i]; i++) buf_printf(&b, "%s%s", i ? ", " : "", names[i]);
    return b.data;
}

/* The part of a wrapper's file that describes the text model, whatever it is called there. */
static const json_val *inner_config(const json_val *top) {
    static const char *const names[] = {
        "text_config", "llm_config", "language_config", "language_model_config", "thinker_config",
        "decoder",     NULL};
    for (int i = 0; names[i]; i++) {
        const json_val *v = json_get(top, names[i]);
        if (!v || v->kind != JSON_OBJECT) continue;
        const json_val *deeper = inner_config(v);
        return deeper ? deeper : v;
    }
    return NULL;
}

/* What to do about a type that is not known. */
static const char *advice(hf *h, const json_val *at) {
    static const char write_one[] = "describe its layers in a model file, .lua (attn-gen models "
                                    "lists ready-made ones)";
    const json_val *inner = inner_config(h->in), *type = json_get(inner, "model_type");
    const json_val *usual = json_get(json_get(h->table, "shells"), at->string);
    const bool says = type && type->kind == JSON_STRING;
    const char *const *names = family_names(h->a, h->table);
    for (int i = 0; names[i]; i++)
        if (hf_same_word(names[i], at->string))
            return arena_printf(h->a, "write it as '%s'", names[i]);
    if (says && json_get(json_get(h->table, "families"), type->string))
        return arena_printf(h->a, "its %s is of type %s: save that as a file of its own",
                            inner->path, hf_quote(h, type));
    if (says)
        return arena_printf(h->a, "nor is %s, the type of its %s; %s", hf_quote(h, type),
                            inner->path, write_one);
    if (inner && usual)
        return arena_printf(h->a,
                            "its %s is of type '%s' where it does not say so: save that as a file "
                            "of its own, with \"model_type\": \"%s\" in it",
                            inner->path, usual->string, usual->string);
    return write_one;
}

static bool unknown_type(hf *h, const json_val *at) {
    return hf_fail(h, at, "%s is not known; known: %s; %s", hf_quote(h, at),
                   import_hf_families(h->a), advice(h, at));
}

static bool type_of(hf *h, const json_val *object, const json_val **type) {
    *type = json_get(object, "model_type");
    if (*type && (*type)->kind != JSON_STRING)
        return hf_fail(h, *type, "must be a string, got %s", hf_quote(h, *type));
    if (*type) h->model_type = (*type)->string;
    return true;
}

/* The object with the text model, and its row. */
static bool find_family(hf *h) {
    const json_val *type;
    if (!type_of(h, h->in, &type)) return false;
    if (!type)
        return hf_fail(h, h->in, "model_type is required: which family the model is of (%s)",
                       import_hf_families(h->a));
    const json_val *wrapper = json_get(json_get(h->table, "wrappers"), type->string);
    if (wrapper) {
        const json_val *inner = json_get(h->in, "text_config");
        if (!inner || inner->kind != JSON_OBJECT)
            return hf_fail(h, inner ? inner : type, "%s needs an object text_config",
                           h->model_type);
        const json_val *note = json_get(wrapper, "note");
        if (note) hf_note(h, type, "%s", note->string);
        h->in = inner;
        h->model_type = json_get(wrapper, "text")->string;
        if (!type_of(h, inner, &type)) return false;
    }
    h->family = json_get(json_get(h->table, "families"), h->model_type);
    if (!h->family) return unknown_type(h, type);
    h->class = json_get(wrapper ? wrapper : h->family, "class")->string;
    h->keys = json_get(h->family, "keys");
    return true;
}

/* --- Its name --- */

static bool ends_with(const char *s, const char *end) {
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* Cuts the last part off a path of n characters. */
static const char *cut_part(arena *a, const char *path, size_t *n) {
    while (*n > 0 && path[*n - 1] == '/') --*n;
    const size_t end = *n;
    while (*n > 0 && path[*n - 1] != '/') --*n;
    return arena_strndup(a, path + *n, end - *n);
}

static bool is_commit(const char *name) {
    return strlen(name) == 40 && strspn(name, "0123456789abcdef") == 40;
}

/* A folder of a hub's cache, models--ORGANISATION--NAME/snapshots/COMMIT: NAME. */
static const char *cached_name(arena *a, const char *path, size_t n) {
    if (strcmp(cut_part(a, path, &n), "snapshots")) return NULL;
    const char *repository = cut_part(a, path, &n);
    if (strncmp(repository, "models--", 8)) return NULL;
    for (const char *p = repository; (p = strstr(p, "--")) != NULL;) repository = p += 2;
    return repository;
}

/* A name that the last part of a path makes, without the end `.json`; null: none. */
static const char *path_name(arena *a, const char *path, size_t n) {
    const char *name = cut_part(a, path, &n), *cached = cached_name(a, path, n);
    if (cached) name = cached;
    if (ends_with(name, ".json")) name = arena_strndup(a, name, strlen(name) - 5);
    const bool fit = strlen(name) <= 64 && !is_commit(name) && model_name_is_valid(name);
    return fit ? name : NULL;
}

/* The file's name; of a config.json, its folder's, or what the file says it is. */
static const char *model_name(hf *h) {
    const char *name = path_name(h->a, h->path, strlen(h->path));
    if (name && strcmp(name, "config")) return name;
    const char *slash = strrchr(h->path, '/');
    name = slash ? path_name(h->a, h->path, (size_t)(slash - h->path)) : NULL;
    if (name) return name;
    const json_val *origin = json_get(h->top, "_name_or_path");
    if (origin && origin->kind == JSON_STRING)
        name = path_name(h->a, origin->string, strlen(origin->string));
    return name ? name : h->model_type;
}

static void read_flags(hf *h, const spec_input *flags, int count) {
    const char *level = IMPORT_DEFAULT_LEVEL;
    for (int i = 0; i < count; i++) {
        if (!strcmp(flags[i].field, "backend")) h->backend = &flags[i];
        if (strcmp(flags[i].field, "level")) continue;
        level = flags[i].value->string;
        h->core_asked = !strcmp(level, "core");
    }
    h->block = !strcmp(level, "block");
}

bool import_hf_is_config(const char *path) {
    return ends_with(path, ".json");
}

static bool add_layers(hf *h) {
    if (row_is(h, "layers", "bert")) return add_bert(h);
    return row_is(h, "layers", "whisper") ? add_whisper(h) : add_stack(h);
}

bool model_from_hf(arena *a, const char *path, const char *text, const spec_input *flags,
                   int flag_count, model *out, const char **notes, diag *d) {
    hf h = {
        .a = a, .path = text_shown(a, path), .text = text, .out = out, .d = d, .notes = buf_new(a)};
    h.table = table(a);
    h.top = h.in = json_read(a, path, text, json_get(h.table, "common"), d);
    if (!h.top) return false;
    if (h.top->kind != JSON_OBJECT) return hf_fail(&h, h.top, "must be an object, { .. }");
    read_flags(&h, flags, flag_count);
    if (!find_family(&h) || !import_check_keys(&h) || !read_is_causal(&h)) return false;
    import_note_code(&h);
    model_begin(a, model_name_free(a, model_name(&h)), MODEL_MAX_LAYERS, out);
    const bool ok = add_layers(&h) && import_check_stated(&h);
    *notes = h.notes.data;
    return ok;
}
