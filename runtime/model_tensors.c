/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_tensors.c - tensors of layers that files hold otherwise than layers take them: by a name
 * that means something else elsewhere, or a vector a head in a tensor of its own. */
#include "model.h"

#include "quant.h"
#include <stdio.h>
#include <stdlib.h>

static const struct {
    int32_t names; /* attn_model_names */
    const char *suffix, *means;
} renamed[] = {
#define MODEL_LAYER_NAME(id, suffix, means) {ATTN_MODEL_NAMES_##id, suffix, means},
#include "model_names.def"
};

/* The name with its kind, .weight or .bias; null: no memory. */
static char *join(attn_model *m, const char *base, size_t n, const char *kind) {
    const size_t size = n + strlen(kind) + 1;
    char *name = attn_model_allocate(m, size);
    if (name) snprintf(name, size, "%.*s%s", (int)n, base, kind);
    return name;
}

static attn_status rename_tensor(attn_model *m, attn_tensor *t) {
    static const char *const kinds[] = {".weight", ".bias"};
    const size_t n = strlen(t->name);
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++)
        for (int k = 0; k < 2 && renamed[i].names == m->desc->spec.names; k++) {
            const size_t kind = strlen(kinds[k]);
            const char *suffix = renamed[i].suffix, *means = renamed[i].means;
            if (n <= kind || strcmp(t->name + n - kind, kinds[k]) ||
                !attn_name_ends_in(t->name, n - kind, suffix, strlen(suffix)))
                continue;
            t->name = join(m, means, strlen(means), kinds[k]);
            return t->name ? ATTN_OK : ATTN_E_MEMORY;
        }
    return ATTN_OK;
}

/* The head of BASE.norms.HEAD.weight, and the length of BASE; -1: it is no such name. */
static int64_t head_of(const char *name, size_t *base) {
    static const char word[] = ".norms.";
    const char *at = strstr(name, word);
    if (!at) return -1;
    const char *number = at + sizeof word - 1;
    const size_t digits = strspn(number, "0123456789");
    if (!digits || digits > 6 || strcmp(number + digits, ".weight")) return -1;
    *base = (size_t)(at - name);
    return strtol(number, NULL, 10);
}

/* Tensors of one layer. */
typedef struct layer {
    attn_tensor *list;
    int32_t count;
} layer;

/* The tensor of a head beside this one's; null: there is none. */
static const attn_tensor *of_head(const layer *l, const attn_tensor *like, size_t base,
                                  int64_t head) {
    for (int32_t i = 0; i < l->count; i++) {
        size_t n;
        if (head_of(l->list[i].name, &n) == head && n == base &&
            !memcmp(l->list[i].name, like->name, n))
            return &l->list[i];
    }
    return NULL;
}

/* Vectors of all heads, as many as there are in a row from head 0, as rows of one tensor; those
 * beyond a gap stay, as unknown ones. */
static attn_status gather(attn_model *m, const layer *l, const attn_tensor *first, size_t base,
                          attn_tensor *out, attn_problems *p) {
    int64_t heads = 0;
    for (const attn_tensor *t; (t = of_head(l, first, base, heads)); heads++) {
        if (t->rank == 1 && t->dim[0] == first->dim[0] && attn_weight_is_float(t->type)) continue;
        attn_problem(p, "%s: must be a vector in f32, bf16 or f16, as long as that of head 0",
                     t->name);
        return ATTN_E_WEIGHTS;
    }
    const int64_t width = first->dim[0];
    float *rows = attn_model_allocate(m, (size_t)(heads * width) * sizeof *rows);
    char *name = join(m, first->name, base, ".weight");
    if (!rows || !name) return ATTN_E_MEMORY;
    for (int64_t i = 0; i < heads; i++) {
        const attn_tensor *t = of_head(l, first, base, i);
        attn_dequantise(t->data, t->type, width, rows + i * width);
    }
    *out = (attn_tensor){name, rows, 2, {heads, width}, ATTN_WEIGHT_F32};
    return ATTN_OK;
}

/* Tensors of a layer, gathered, at `to`; *count: how many they are then. */
static attn_status regroup(attn_model *m, const layer *l, attn_tensor *to, int32_t *count,
                           attn_problems *p) {
    *count = 0;
    for (int32_t i = 0; i < l->count; i++) {
        size_t base;
        const int64_t head = head_of(l->list[i].name, &base);
        attn_tensor *out = &to[*count];
        if (head > 0 && of_head(l, &l->list[i], base, head - 1)) continue;
        *out = l->list[i];
        attn_status status = rename_tensor(m, out);
        if (status == ATTN_OK && !head) status = gather(m, l, &l->list[i], base, out, p);
        if (status == ATTN_E_WEIGHTS) status = ATTN_OK; /* it is a problem */
        if (status != ATTN_OK) return status;
        ++*count;
    }
    return ATTN_OK;
}

attn_status attn_model_regroup(attn_model *m, attn_problems *p) {
    attn_layer_tensors *t = &m->tensors;
    const int32_t all = t->first[m->desc->layers];
    attn_tensor *list = calloc((size_t)all + 1, sizeof *list);
    attn_status status = list ? ATTN_OK : ATTN_E_MEMORY;
    int32_t at = 0;
    for (int32_t i = 0; i < m->desc->layers && status == ATTN_OK; i++) {
        const layer l = {t->list + t->first[i], t->first[i + 1] - t->first[i]};
        int32_t count = 0;
        t->first[i] = at;
        status = regroup(m, &l, list + at, &count, p);
        at += count;
    }
    t->first[m->desc->layers] = status == ATTN_OK ? at : 0;
    free(status == ATTN_OK ? t->list : list);
    if (status == ATTN_OK) t->list = list;
    return status;
}
