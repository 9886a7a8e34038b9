/* import_whole.c - what stands around the layers: the row's "model", and keys of the file. */
#include "import_internal.h"

#include <math.h>
#include <string.h>

typedef struct whole_import {
    hf *h;
    const json_val *row; /* "model" of the family's row */
    model *m;
    const attn_spec *layer; /* the first one's */
    bool ok;
} whole_import;

static void set(whole_import *w, const char *field, double v) {
    whole_put(whole_find(field), &w->m->whole, v);
}

/* A key of the file, or of the file that has it in text_config; null where it has none. */
static const json_val *file_key(const hf *h, const char *key) {
    const json_val *v = json_get(h->in, key);
    if (!v) v = json_get(h->top, key);
    return v && !hf_is_null(v) ? v : NULL;
}

static void set_int(whole_import *w, const char *field, const char *key, int32_t missing) {
    const json_val *v = file_key(w->h, key);
    int32_t x = missing;
    if (v && !hf_int(w->h, v, 0, INT32_MAX, &x)) w->ok = false;
    set(w, field, x);
}

/* A number of the file; else what the row has under the key's name, null: not set. */
static void set_number(whole_import *w, const char *field, const char *key) {
    const json_val *usual = json_get(w->row, key), *v = json_get(w->h->in, key);
    double x = 0;
    if (!usual || (v && hf_is_null(v)) || (!v && hf_is_null(usual))) return;
    if (v && !hf_number(w->h, v, &x)) w->ok = false;
    set(w, field, v ? x : usual->number);
}

/* What the row says, or the key of the file that it names. */
static void set_bool_of_row(whole_import *w, const char *field) {
    const json_val *v = json_get(w->row, field);
    const json_val *key = v && v->kind == JSON_STRING ? file_key(w->h, v->string) : NULL;
    bool says = v && v->kind == JSON_BOOL && v->boolean;
    if (key && !hf_bool(w->h, key, &says)) w->ok = false;
    if (v) set(w, field, says);
}

/* One over a number of the file's. */
static void set_divisor(whole_import *w, const char *field, const char *name) {
    const json_val *key = json_get(w->row, name);
    const json_val *v = key ? file_key(w->h, key->string) : NULL;
    double x = 1;
    if (!v) return;
    if (!hf_number(w->h, v, &x) || x == 0) w->ok = w->ok && hf_fail(w->h, v, "must not be 0");
    set(w, field, w->ok ? 1 / x : 1);
}

/* Rows of a table: the row's {key, usual}, and so many more. */
static void set_table(whole_import *w, const char *field) {
    const json_val *t = json_get(w->row, field), *more = json_get(t, "more");
    if (!t) return;
    set_int(w, field, json_get(t, "key")->string, (int32_t)json_get(t, "usual")->number);
    const whole_field *f = whole_find(field);
    if (more) set(w, field, whole_get(f, &w->m->whole) + more->number);
}

static bool row_says(const whole_import *w, const char *name) {
    const json_val *v = json_get(w->row, name);
    return v && v->boolean;
}

/* The layers' norm, of embedded rows or after the last layer. */
static void put_norm(whole_import *w, const char *field, const char *eps, const char *bias) {
    const attn_spec *s = w->layer;
    set(w, field, s->norm);
    set(w, eps, (double)s->norm_eps);
    if (s->norm == ATTN_NORM_LAYERNORM && !s->norm_bare) set(w, bias, s->norm_bias != 0);
}

static bool is_true_key(const hf *h, const char *key) {
    const json_val *v = json_get(h->in, key);
    return v && v->kind == JSON_BOOL && v->boolean;
}

/* embed_norm: true, or "post": where the layers' norms stand after their parts. */
static void set_norm(whole_import *w) {
    const attn_spec *s = w->layer;
    const json_val *embed = json_get(w->row, "embed_norm");
    const bool post = s->norm_place == ATTN_NORM_PLACE_POST;
    if (embed && (embed->kind == JSON_STRING ? post : embed->boolean))
        put_norm(w, "embed_norm", "embed_norm_eps", "embed_norm_bias");
    if (s->norm_place != ATTN_NORM_PLACE_POST && !is_true_key(w->h, "_remove_final_layer_norm")) {
        put_norm(w, "final_norm", "final_norm_eps", "final_norm_bias");
        set(w, "final_norm_bare", s->norm_bare == 1);
    }
    set(w, "norm_offset", s->norm_offset == 1);
}

static void set_head(whole_import *w) {
    const json_val *usual = json_get(w->row, "tie_word_embeddings");
    const json_val *v = file_key(w->h, "tie_word_embeddings");
    bool tied = usual && usual->boolean;
    if (!usual) return; /* no head */
    if (v && !hf_bool(w->h, v, &tied)) w->ok = false;
    set(w, "head", tied ? ATTN_MODEL_HEAD_TIED : ATTN_MODEL_HEAD_OWN);
    set_number(w, "logit_softcap", "final_logit_softcapping");
    set_number(w, "logit_scale", "logit_scale");
    set_divisor(w, "logit_scale", "logit_divisor");
    set_bool_of_row(w, "head_bias");
}

/* embed_scale: a key, or the root of the width. */
static void set_scale(whole_import *w) {
    const json_val *scale = json_get(w->row, "embed_scale"), *v = NULL;
    double x = sqrt((double)attn_spec_row_dim(w->layer));
    if (scale && scale->kind == JSON_STRING) {
        v = file_key(w->h, scale->string);
        x = 1;
    }
    if (v && !hf_number(w->h, v, &x)) w->ok = false;
    if (scale) set(w, "embed_scale", x);
}

static void set_list(whole_import *w, const char *field, const json_val *list) {
    if (!list) return;
    double *x = arena_alloc(w->h->a, sizeof *x * ((size_t)list->count + 1));
    for (int i = 0; i < list->count; i++) x[i] = list->item[i].number;
    whole_put_list(w->h->a, whole_find(field), &w->m->whole, x, list->count);
}

static bool takes_rows(const whole_import *w) {
    return row_says(w, "rows");
}

/* An embedding of a width of its own, or one that passes a matrix whatever its width. */
static void set_project(whole_import *w) {
    const json_val *row = json_get(w->row, "project"), *usual = json_get(row, "usual");
    const int32_t rows = attn_spec_row_dim(w->layer);
    if (!row) return;
    set_int(w, "embed_width", json_get(row, "key")->string, usual ? (int32_t)usual->number : rows);
    const whole_field *f = whole_find("embed_width");
    const bool same = whole_get(f, &w->m->whole) == rows;
    if (same) set(w, "embed_width", 0);
    if (same && !json_get(row, "always")) return;
    const json_val *both = json_get(row, "head");
    set(w, "embed_project", both ? ATTN_MODEL_EMBED_PROJECT_FIRST : ATTN_MODEL_EMBED_PROJECT_LAST);
    if (both) set(w, "embed_project_bias", 0), set(w, "head_project", 1);
}

/* What the files of such a model hold, and no field says; null: nothing. */
static const char *unlike(const hf *h) {
    const json_val *one = json_get(h->in, "multi_query");
    if (one && one->kind == JSON_BOOL && !one->boolean && hf_row_is(h, "like", "gpt2"))
        return arena_printf(h->a, "%s is false, and its files hold q, k and v by head", one->path);
    return NULL;
}

static void set_all(whole_import *w) {
    const json_val *names = json_get(w->row, "names");
    const whole_field *f = whole_find("names");
    const lua_val value = {.kind = LUA_VAL_STRING, .string = names->string};
    whole_begin(&w->m->whole);
    whole_set(w->h->a, &w->m->whole, f, &value);
    set(w, "files", w->h->names ? ATTN_MODEL_FILES_GGUF : ATTN_MODEL_FILES_SAFETENSORS);
    if (takes_rows(w))
        set(w, "input", ATTN_MODEL_INPUT_ROWS);
    else
        set_int(w, "vocab", "vocab_size", 0);
    set_table(w, "positions");
    set_table(w, "token_types");
    set_table(w, "layer_groups");
    set_project(w);
    const json_val *first = json_get(w->row, "position_offset");
    if (first) set(w, "position_offset", first->number);
    set_scale(w);
    set_list(w, "rope_short", w->h->rope_short);
    set_list(w, "rope_long", w->h->rope_long);
    set_norm(w);
    set_head(w);
}

bool import_whole(hf *h) {
    model *m = h->out;
    const json_val *own = json_get(json_get(h->table, "families"), h->model_type);
    whole_import w = {h, json_get(own, "model"), m, NULL, true};
    if (!w.row || !h->block || (!takes_rows(&w) && !file_key(h, "vocab_size"))) return true;
    w.layer = &m->kernels[m->layer_kernel[0]].core;
    set_all(&w);
    const char *why = unlike(h);
    if (!why) why = model_whole_why(h->a, m);
    m->is_whole = w.ok && !why;
    if (w.ok && why) hf_note(h, h->in, "no whole model is written: %s", why);
    return w.ok;
}
