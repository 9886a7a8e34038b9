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

static void set_bool_of_row(whole_import *w, const char *field) {
    const json_val *v = json_get(w->row, field);
    if (v) set(w, field, v->boolean);
}

static void set_norm(whole_import *w) {
    const attn_spec *s = w->layer;
    const bool after = s->norm_place == ATTN_NORM_PLACE_POST; /* bert: before the layers */
    set(w, after ? "embed_norm" : "final_norm", s->norm);
    set(w, after ? "embed_norm_eps" : "final_norm_eps", (double)s->norm_eps);
    if (!after && s->norm == ATTN_NORM_LAYERNORM) set(w, "final_norm_bias", s->norm_bias != 0);
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
    set_bool_of_row(w, "head_bias");
}

static void set_all(whole_import *w) {
    const json_val *names = json_get(w->row, "names");
    const whole_field *f = whole_find("names");
    const lua_val value = {.kind = LUA_VAL_STRING, .string = names->string};
    whole_begin(&w->m->whole);
    whole_set(w->h->a, &w->m->whole, f, &value);
    set(w, "files", w->h->names ? ATTN_MODEL_FILES_GGUF : ATTN_MODEL_FILES_SAFETENSORS);
    set_int(w, "vocab", "vocab_size", 0);
    if (hf_row_is(w->h, "layers", "bert")) {
        set_int(w, "positions", "max_position_embeddings", 512);
        set_int(w, "token_types", "type_vocab_size", 2);
        const json_val *first = json_get(w->row, "position_offset");
        set(w, "position_offset", first ? first->number : 0);
    }
    const json_val *scale = json_get(w->row, "embed_scale");
    if (scale) set(w, "embed_scale", sqrt((double)attn_spec_row_dim(w->layer)));
    set_norm(w);
    set_head(w);
}

bool import_whole(hf *h) {
    model *m = h->out;
    const json_val *own = json_get(json_get(h->table, "families"), h->model_type);
    whole_import w = {h, json_get(own, "model"), m, NULL, true};
    if (!w.row || !h->block || !file_key(h, "vocab_size")) return true;
    w.layer = &m->kernels[m->layer_kernel[0]].core;
    set_all(&w);
    const char *why = model_whole_why(h->a, m);
    m->is_whole = w.ok && !why;
    if (w.ok && why) hf_note(h, h->in, "no whole model is written: %s", why);
    return w.ok;
}
