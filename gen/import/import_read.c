/* import_read.c - keys of a config, messages about them, and the fields that a layer gets of them.
 */
#include "import_internal.h"

#include "text.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- Messages --- */

/* What a key of the text is called in the file that it stands for. */
static const char *own_name(hf *h, const char *path) {
    const size_t n = strcspn(path, "[.");
    const json_val *own = json_get(h->names, path);
    if (!own) own = json_get(h->names, arena_strndup(h->a, path, n));
    return own ? own->string : path;
}

const char *hf_name(hf *h, const json_val *v) {
    const char *name = v->path;
    if (hf_in_file(h, v)) return h->names ? own_name(h, name) : name;
    for (int i = 0; i < 3; i++) name = strchr(name, '.') + 1; /* "families.NAME.keys." */
    return arena_printf(h->a, "%s (the default of %s)", name, h->model_type);
}

/* Whether the line and column of a key are those of the file. */
static bool has_place(const hf *h, const json_val *v) {
    return hf_in_file(h, v) && !h->names;
}

static const char *where_of(hf *h, const json_val *v) {
    const char *name = hf_name(h, v), *colon = *name ? ": " : "";
    if (!has_place(h, v)) return arena_printf(h->a, "%s%s%s", h->path, colon, name);
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
    if (has_place(h, at)) source_show(&b, h->text, at->key_at);
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

bool hf_key_int(hf *h, const char *key, int64_t lowest, int64_t highest, int32_t *out) {
    return hf_int(h, hf_get(h, key), lowest, highest, out);
}

bool hf_key_bool(hf *h, const char *key, bool *out) {
    return hf_bool(h, hf_get(h, key), out);
}

static const char *row_text(const hf *h, const char *name) {
    const json_val *v = json_get(h->family, name);
    return v ? v->string : "";
}

bool hf_row_is(const hf *h, const char *name, const char *value) {
    return strcmp(row_text(h, name), value) == 0;
}

bool hf_row_says(const hf *h, const char *name) {
    const json_val *v = json_get(h->family, name);
    return v && v->boolean;
}

const char *hf_key(const hf *h, const char *role) {
    static const char *const usual[][2] = {{"heads", "num_attention_heads"},
                                           {"layers", "num_hidden_layers"},
                                           {"d_model", "hidden_size"},
                                           {"ffn_dim", "intermediate_size"}};
    const json_val *own = json_get(json_get(h->family, "roles"), role);
    if (own) return own->string;
    int i = 0;
    while (strcmp(usual[i][0], role)) i++;
    return usual[i][1];
}

bool hf_sees_both_ways(const hf *h) {
    return hf_row_says(h, "encoder");
}

/* --- Fields of a layer --- */

/* A layer's fields at level core, and kv_heads of mla, whose form implies them, are left out. */
static bool has_field(const hf *h, const attn_field *f) {
    if (!h->block && (f->applies & ATTN_IN_BLOCK)) return false;
    const json_val *form = json_get(json_get(h->family, "spec"), "form");
    const int forms = f->applies & ATTN_IN_FORMS;
    return !forms || (forms & (form ? ATTN_IN_MLA : ATTN_IN_REGULAR));
}

void put_lua(hf *h, fields *f, const char *field, const lua_val *v, const json_val *from) {
    if (!has_field(h, attn_field_find(field))) return;
    int i = 0;
    while (i < f->count && strcmp(f->item[i].field, field)) i++;
    if (i == f->count) f->count++;
    spec_input *in = &f->item[i];
    *in = (spec_input){.field = field, .value = v, .where = h->path};
    if (!from) return;
    in->where = where_of(h, from);
    if (!has_place(h, from)) return;
    in->file = h->path;
    in->file_text = h->text;
    in->file_offset = from->key_at;
}

void put_value(hf *h, fields *f, const char *field, const json_val *from) {
    put_lua(h, f, field, json_to_lua(h->a, from), from);
}

void put_int(hf *h, fields *f, const char *field, int64_t v, const json_val *from) {
    lua_val *x = arena_alloc(h->a, sizeof *x);
    *x = (lua_val){.kind = LUA_VAL_INT, .integer = v, .number = (double)v};
    put_lua(h, f, field, x, from);
}

void put_float(hf *h, fields *f, const char *field, double v, const json_val *from) {
    lua_val *x = arena_alloc(h->a, sizeof *x);
    *x = (lua_val){.kind = LUA_VAL_FLOAT, .number = v};
    put_lua(h, f, field, x, from);
}

void put_bool(hf *h, fields *f, const char *field, bool v, const json_val *from) {
    lua_val *x = arena_alloc(h->a, sizeof *x);
    *x = (lua_val){.kind = LUA_VAL_BOOL, .boolean = v};
    put_lua(h, f, field, x, from);
}

void put_text(hf *h, fields *f, const char *field, const char *v, const json_val *from) {
    lua_val *x = arena_alloc(h->a, sizeof *x);
    *x = (lua_val){.kind = LUA_VAL_STRING, .string = v};
    put_lua(h, f, field, x, from);
}

bool has_put(const fields *f, const char *field) {
    for (int i = 0; i < f->count; i++)
        if (!strcmp(f->item[i].field, field)) return true;
    return false;
}

void put_nothing(fields *f, const char *field) {
    for (int i = 0; i < f->count; i++)
        if (!strcmp(f->item[i].field, field)) f->item[i--] = f->item[--f->count];
}

const char *hf_ffn_kind(const char *act, bool glu) {
    static const char *const exact[] = {"gelu", "gelu_python", NULL};
    static const char *const tanh_form[] = {
        "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_accurate", "gelu_python_tanh", NULL};
    for (int i = 0; exact[i]; i++)
        if (!strcmp(act, exact[i])) return glu ? "geglu" : "gelu";
    for (int i = 0; tanh_form[i]; i++)
        if (!strcmp(act, tanh_form[i])) return glu ? "geglu_tanh" : "gelu_tanh";
    if (!strcmp(act, "silu") || !strcmp(act, "swish")) return glu ? "swiglu" : "silu";
    static const char *const same[] = {"relu", "relu2", "quick_gelu", "xielu", NULL};
    for (int i = 0; same[i] && !glu; i++)
        if (!strcmp(act, same[i])) return same[i];
    return NULL;
}
