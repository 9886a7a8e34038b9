/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_weights.c - which tensor of the files is what of a model; everything that is wrong is said
 * at once, before anything is packed. */
#include "model.h"

#include "quant.h"
#include <stdio.h>
#include <stdlib.h>

enum { PREFIXES = 4, NAME_MAX_BYTES = 160, WRONG_MAX = 64 << 10 };

/* --- Names --- */

typedef struct name_row {
    const char *prefix[PREFIXES];
    const char *layers, *embedding, *positions, *token_types, *embed_norm, *final_norm, *head,
        *pooler;
} name_row;

static const name_row rows[] = {
#define MODEL_PREFIXES(...) \
    { __VA_ARGS__ }
#define MODEL_NAMES(id, prefixes, ...) {MODEL_PREFIXES prefixes, __VA_ARGS__},
#include "model_names.def"
};

static const struct {
    const char *embed, *head; /* null: there are none */
} projects[ATTN_MODEL_NAMES_COUNT] = {
#define MODEL_PROJECT(id, ...) [ATTN_MODEL_NAMES_##id] = {__VA_ARGS__},
#include "model_names.def"
};

/* Wherever it stands. */
static bool is_unread(const char *name) {
    static const char *const ends[] = {
#define MODEL_UNREAD(name) name,
#include "model_names.def"
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (attn_name_ends_in(name, strlen(name), ends[i], strlen(ends[i]))) return true;
    return false;
}

static const name_row *row_of(const attn_model *m) {
    return &rows[m->source.gguf ? ATTN_MODEL_NAMES_GGUF : m->desc->spec.names];
}

/* What follows a prefix; null: the name does not begin with it. */
static const char *after(const char *name, const char *prefix) {
    const size_t n = strlen(prefix);
    return strncmp(name, prefix, n) ? NULL : name + n;
}

/* The layer that a tensor is of; -1: none. */
static int64_t layer_of(const name_row *row, const char *name) {
    for (int i = 0; i <= PREFIXES; i++) {
        const char *prefix = i < PREFIXES ? row->prefix[i] : "";
        const char *rest = prefix ? after(name, prefix) : NULL;
        rest = rest ? after(rest, row->layers) : NULL;
        if (!rest) continue;
        const size_t digits = strspn(rest, "0123456789");
        if (!digits || digits > 9 || rest[digits] != '.') continue;
        return strtol(rest, NULL, 10);
    }
    return -1;
}

/* Outside of layers; `stem`: what makes the rows is the caller's. */
static bool is_unread_around(const name_row *row, const char *name, bool stem) {
    static const char *const under[] = {
#define MODEL_UNREAD_UNDER(name) name,
#include "model_names.def"
    };
    static const char *const stems[] = {
#define MODEL_STEM(name) name,
#include "model_names.def"
    };
    for (size_t i = 0; i < sizeof under / sizeof *under; i++)
        if (after(name, under[i])) return true;
    for (int i = 0; i <= PREFIXES && stem; i++) {
        const char *prefix = i < PREFIXES ? row->prefix[i] : "";
        const char *rest = prefix ? after(name, prefix) : NULL;
        for (size_t k = 0; k < sizeof stems / sizeof *stems && rest; k++)
            if (after(rest, stems[k])) return true;
    }
    return false;
}

/* PREFIX BASE KIND, with any of the prefixes, or none; null: no such tensor. */
static attn_model_tensor *find(const attn_model *m, const char *base, const char *kind) {
    const name_row *row = row_of(m);
    char name[NAME_MAX_BYTES];
    for (int i = 0; i <= PREFIXES && *base; i++) {
        const char *prefix = i < PREFIXES ? row->prefix[i] : "";
        if (!prefix) continue;
        snprintf(name, sizeof name, "%s%s%s", prefix, base, kind);
        attn_model_tensor *t = attn_model_find(&m->source, name);
        if (t) return t;
    }
    return NULL;
}

/* --- What stands around the layers --- */

typedef struct loading {
    attn_model *m;
    attn_problems *p;
    attn_status status;
} loading;

static const char *file_of(const attn_model *m, const attn_model_tensor *t) {
    return m->source.file[t->file].path;
}

void *attn_model_allocate(attn_model *m, size_t bytes) {
    if (m->owned_count == m->owned_capacity) {
        const int32_t capacity = m->owned_capacity ? 2 * m->owned_capacity : 64;
        void **grown = realloc(m->owned, (size_t)capacity * sizeof *grown);
        if (!grown) return NULL;
        m->owned = grown;
        m->owned_capacity = capacity;
    }
    void *p = bytes < SIZE_MAX - 63 ? malloc(bytes + 63) : NULL;
    if (p) m->owned[m->owned_count++] = p;
    return attn_align(p);
}

static bool take_memory(loading *l, void **p, size_t bytes) {
    *p = attn_model_allocate(l->m, bytes ? bytes : 1);
    if (!*p) l->status = ATTN_E_MEMORY;
    if (*p) l->m->packed_bytes += bytes;
    return *p != NULL;
}

/* Its type is one that a weight may have. */
static bool has_type(loading *l, attn_model_tensor *t) {
    t->used = true;
    if (t->tensor.type >= 0) return true;
    attn_problem(l->p, "%s: %s: is stored as %s: must be F32, BF16 or F16", file_of(l->m, t),
                 t->tensor.name, t->dtype);
    return false;
}

/* The tensor of these dims; null with a problem. */
static attn_model_tensor *expect(loading *l, const char *base, const char *kind, int32_t rank,
                                 int64_t first, int64_t second) {
    const int64_t want[2] = {first, second};
    attn_model_tensor *t = find(l->m, base, kind);
    char dims[96];
    if (!t) {
        attn_put_dims(dims, sizeof dims, rank, want);
        attn_problem(l->p, "%s%s: missing, [%s]", base, kind, dims);
        return NULL;
    }
    return has_type(l, t) && attn_tensor_has(&t->tensor, rank, want, l->p) ? t : NULL;
}

/* As floats of the model's own, `more` added. */
static void take_vector(loading *l, const char *base, const char *kind, int64_t n, float more,
                        const float **out) {
    attn_model_tensor *t = expect(l, base, kind, 1, n, 0);
    void *to;
    if (!t || !take_memory(l, &to, (size_t)n * sizeof(float))) return;
    float *x = to;
    if (!attn_weight_is_float(t->tensor.type)) {
        attn_problem(l->p, "%s: is stored as %s: must be f32, bf16 or f16", t->tensor.name,
                     t->dtype);
        return;
    }
    attn_dequantise(t->tensor.data, t->tensor.type, n, x);
    for (int64_t i = 0; i < n && more != 0; i++) x[i] += more;
    *out = x;
}

static void take_norm(loading *l, const char *base, bool bias, int32_t width,
                      attn_model_norm *out) {
    const float more = l->m->desc->spec.norm_offset ? 1.0f : 0.0f;
    const int32_t kind = out->kind;
    if (kind == ATTN_NORM_NONE) return;
    take_vector(l, base, ".weight", width, more, &out->weight);
    if (bias && kind == ATTN_NORM_LAYERNORM) take_vector(l, base, ".bias", width, 0, &out->bias);
}

/* Rows will be rounded to another type, or copied to where they are aligned. */
static void convert(loading *l, attn_model_tensor *t, int32_t type, attn_model_matrix *out) {
    if (out->width % attn_weight_get(type).block) {
        attn_problem(l->p, "%s: rows of %lld are no multiples of %d, the blocks of %s",
                     t->tensor.name, (long long)out->width, attn_weight_get(type).block,
                     attn_weight_get(type).name);
        return;
    }
    out->type = type;
    out->from = t;
}

bool attn_tensor_is_aligned(const attn_tensor *t) {
    return !attn_weight_is_float(t->type) ||
           (uintptr_t)t->data % (unsigned)attn_weight_get(t->type).bytes == 0;
}

/* choice: 0, as the file has it, or a type and 1. */
static void take_matrix(loading *l, const char *base, int64_t rows, int64_t width, int32_t choice,
                        attn_model_matrix *out) {
    attn_model_tensor *t = expect(l, base, ".weight", 2, rows, width);
    if (!t) return;
    const int32_t type = t->tensor.type;
    *out = (attn_model_matrix){t->tensor.data, type, rows, width, NULL};
    if (width % attn_weight_get(type).block)
        attn_problem(l->p, "%s: rows of %lld are no whole blocks of %s", t->tensor.name,
                     (long long)width, t->dtype);
    else if (choice && choice - 1 != type)
        convert(l, t, choice - 1, out);
    else if (!attn_tensor_is_aligned(&t->tensor))
        convert(l, t, type, out);
}

/* Heads and poolers that are not computed. */
static void leave(loading *l, const char *base) {
    static const char *const kinds[] = {".weight", ".bias"};
    for (int i = 0; i < 2; i++) {
        attn_model_tensor *t = find(l->m, base, kinds[i]);
        if (t) t->used = true;
    }
}

/* What the file calls the head: transformers 5 has one name for that of all families. */
static const char *head_of(const attn_model *m) {
    static const char usual[] = "lm_head";
    const char *own = row_of(m)->head;
    return !find(m, own, ".weight") && find(m, usual, ".weight") ? usual : own;
}

static void take_projections(loading *l) {
    attn_model *m = l->m;
    const attn_model_spec *s = &m->desc->spec;
    const int32_t columns = attn_model_embed_width(m);
    if (s->embed_project)
        take_matrix(l, projects[s->names].embed, m->width, columns, 0, &m->embed_project);
    if (s->embed_project && s->embed_project_bias)
        take_vector(l, projects[s->names].embed, ".bias", m->width, 0, &m->embed_project_bias);
    if (s->head_project)
        take_matrix(l, projects[s->names].head, columns, m->width, 0, &m->head_project);
}

static void take_ends(loading *l) {
    attn_model *m = l->m;
    const attn_model_spec *s = &m->desc->spec;
    const name_row *row = row_of(m);
    const char *head = head_of(m);
    const int32_t width = m->width, columns = attn_model_embed_width(m);
    const int32_t tables = s->embed_project == ATTN_MODEL_EMBED_PROJECT_LAST ? columns : width;
    if (s->input == ATTN_MODEL_INPUT_IDS)
        take_matrix(l, row->embedding, s->vocab, columns, s->embed_type, &m->embedding);
    if (s->positions) take_matrix(l, row->positions, s->positions, tables, 0, &m->positions);
    if (s->token_types)
        take_matrix(l, row->token_types, s->token_types, tables, 0, &m->token_types);
    take_projections(l);
    m->embed_norm = (attn_model_norm){.kind = s->embed_norm, .eps = s->embed_norm_eps};
    m->final_norm = (attn_model_norm){.kind = s->final_norm, .eps = s->final_norm_eps};
    take_norm(l, row->embed_norm, s->embed_norm_bias, tables, &m->embed_norm);
    if (!s->final_norm_bare)
        take_norm(l, row->final_norm, s->final_norm_bias, width, &m->final_norm);
    if (s->head == ATTN_MODEL_HEAD_OWN)
        take_matrix(l, head, s->vocab, attn_model_head_width(m), s->head_type, &m->head);
    if (s->head && s->head_bias) take_vector(l, head, ".bias", s->vocab, 0, &m->head_bias);
    if (s->head != ATTN_MODEL_HEAD_OWN) leave(l, head);
    if (s->pool_dense) {
        take_matrix(l, row->pooler, width, width, 0, &m->pooler);
        take_vector(l, row->pooler, ".bias", width, 0, &m->pooler_bias);
    } else {
        leave(l, row->pooler);
    }
}

/* --- Layers --- */

static bool has_longrope(const attn_model *m, int32_t layer) {
    return m->block[layer]->kernel->spec->rope_scaling == ATTN_ROPE_SCALING_LONGROPE;
}

/* Its factors are among the tensors that it packs. */
static bool takes_rope(const attn_model *m, int32_t layer) {
    return has_longrope(m, layer) && attn_model_owner(m, layer) == layer;
}

/* longrope's factors by the capacity; every layer with such a rope takes them. */
static void choose_rope(loading *l, const attn_model_options *o) {
    attn_model *m = l->m;
    const attn_model_spec *s = &m->desc->spec;
    for (int32_t i = 0; i < m->desc->layers; i++) {
        if (!s->rope_short.count || !has_longrope(m, i)) continue;
        const int32_t original = m->block[i]->kernel->spec->rope_original;
        const bool is_long = o->capacity > original;
        m->rope = is_long ? s->rope_long : s->rope_short;
        m->longest = is_long ? 0 : original;
    }
}

/* Tensors of layers come to their layer's list; others that nobody has used are unknown. */
static bool sort_tensors(loading *l, attn_layer_tensors *out) {
    attn_model *m = l->m;
    const name_row *row = row_of(m);
    const int32_t layers = m->desc->layers, count = m->source.tensors;
    const int32_t groups = m->desc->spec.layer_groups, most = groups ? groups : layers;
    out->list = calloc((size_t)count + (size_t)layers + 1, sizeof *out->list);
    out->first = calloc((size_t)layers + 2, sizeof *out->first);
    int32_t *layer = malloc(((size_t)count + 1) * sizeof *layer);
    if (!out->list || !out->first || !layer) {
        free(layer);
        l->status = ATTN_E_MEMORY;
        return false;
    }
    for (int32_t i = 0; i < count; i++) {
        attn_model_tensor *t = &m->source.tensor[i];
        const char *name = t->tensor.name;
        layer[i] = -1;
        if (t->used || is_unread(name)) continue;
        const int64_t at = layer_of(row, name);
        if (at < 0 && is_unread_around(row, name, m->desc->spec.input == ATTN_MODEL_INPUT_ROWS))
            continue;
        if (at < 0)
            attn_problem(l->p, "%s: unknown: no weight of this model", name);
        else if (at >= most)
            attn_problem(l->p, "%s: %s %lld: the model has %d", name, groups ? "group" : "layer",
                         (long long)at, most);
        else if (has_type(l, t))
            layer[i] = groups ? (int32_t)((at * layers + groups - 1) / groups) : (int32_t)at;
        if (layer[i] >= 0) out->first[layer[i] + 2]++;
    }
    for (int32_t i = 0; i < layers && m->rope.count; i++) out->first[i + 2] += takes_rope(m, i);
    for (int32_t i = 0; i < layers; i++) out->first[i + 2] += out->first[i + 1];
    for (int32_t i = 0; i < count; i++)
        if (layer[i] >= 0) out->list[out->first[layer[i] + 1]++] = m->source.tensor[i].tensor;
    const attn_tensor rope = {"rope_factors", m->rope.data, 1, {m->rope.count}, ATTN_WEIGHT_F32};
    for (int32_t i = 0; i < layers && m->rope.count; i++)
        if (takes_rope(m, i)) out->list[out->first[i + 1]++] = rope;
    free(layer);
    return true;
}

/* Lines of one layer's message as problems of the whole. */
static void add_lines(loading *l, int32_t layer, char *text) {
    for (char *line = text, *end; line && *line; line = end) {
        end = strchr(line, '\n');
        if (end) *end++ = 0;
        attn_problem(l->p, "layer %d: %s", layer, line);
    }
}

static void check_layers(loading *l, const attn_layer_tensors *t) {
    attn_weights *weights = malloc(sizeof *weights);
    char *text = malloc(WRONG_MAX);
    if (!weights || !text) l->status = ATTN_E_MEMORY;
    for (int32_t i = 0; i < l->m->desc->layers && l->status == ATTN_OK; i++) {
        if (attn_model_owner(l->m, i) != i) continue;
        memset(weights, 0, sizeof *weights);
        text[0] = 0;
        const attn_status status =
            attn_weights_find(l->m->block[i]->kernel, t->list + t->first[i],
                              t->first[i + 1] - t->first[i], weights, text, WRONG_MAX);
        if (status != ATTN_OK) add_lines(l, i, text);
    }
    free(weights);
    free(text);
}

/* --- The whole --- */

static bool check_files(loading *l) {
    const bool gguf = l->m->desc->spec.files == ATTN_MODEL_FILES_GGUF;
    if (gguf == l->m->source.gguf) return true;
    attn_problem(l->p,
                 "%s: its weights lie as those of %s, and %s was generated for those of %s: "
                 "generate it from %s",
                 l->m->source.file[0].path, gguf ? "safetensors files" : "GGUF files",
                 l->m->desc->name, gguf ? "a GGUF file" : "safetensors files",
                 gguf ? "the model's config.json" : "this file");
    return false;
}

/* Packed before, or now; what is packed may become a file of it. */
static attn_status pack(attn_model *m, const attn_model_options *o, attn_problems *p) {
    if (!o->packed) return attn_model_pack(m, o, p);
    const bool renew = o->packed_flags & ATTN_MODEL_PACKED_RENEW;
    attn_problems none = {0};
    attn_status status = attn_model_take_packed(m, o, renew ? &none : p);
    if (status != ATTN_E_PACKED || !renew) return status;
    if (!attn_model_may_renew(o->packed, p)) return ATTN_E_PACKED;
    status = attn_model_pack(m, o, p);
    return status == ATTN_OK ? attn_own_model_save(m, o->packed, o, p) : status;
}

attn_status attn_model_load(attn_model *m, const attn_model_options *o, attn_problems *p) {
    loading l = {m, p, ATTN_OK};
    attn_layer_tensors *t = &m->tensors;
    if (!check_files(&l)) return ATTN_E_WEIGHTS;
    choose_rope(&l, o);
    take_ends(&l);
    if (l.status == ATTN_OK && sort_tensors(&l, t)) check_layers(&l, t);
    if (l.status == ATTN_OK && p->count) l.status = ATTN_E_WEIGHTS;
    if (l.status == ATTN_OK) l.status = pack(m, o, p);
    if (m->desc->spec.head == ATTN_MODEL_HEAD_TIED) m->head = m->embedding, m->head.from = NULL;
    return l.status;
}
