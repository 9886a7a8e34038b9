/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* block_experts.c - weights of experts: one tensor for all of them, or one for each. */
#include "block.h"

#include <stdio.h>
#include <stdlib.h>

/* Names of one expert's weights, after "experts.N.". */
static const struct {
    const char *name, *canonical;
} each[] = {
#define EXPERT(name, canonical) {name, canonical},
#include "weight_names.def"
};

/* Tensors with a part for every expert, after "experts.". clamped: of layers with expert_act =
 * swiglu_clamped, or of all others. */
static const struct {
    const char *name;
    bool clamped, transposed;
    const char *piece[2]; /* two: one after the other, or, transposed, by turns */
} stacked[] = {
#define EXPERTS(name, clamped, transposed, ...) {name, clamped, transposed, {__VA_ARGS__}},
#include "weight_names.def"
};

/* What follows the last "experts." that stands at a dot; null: nothing. */
static const char *after_experts(const char *name) {
    static const char word[] = "experts.";
    const char *last = NULL;
    for (const char *p = name; (p = strstr(p, word)) != NULL; p++)
        if (p == name || p[-1] == '.') last = p + sizeof word - 1;
    return last;
}

/* Number of "experts.NAME"; -1: the layer has none of it. */
static int weight_named(const attn_block_kernel *k, const char *name) {
    static const size_t skipped = sizeof "experts." - 1;
    for (int i = 0; i < k->expert_weight_count; i++)
        if (!strcmp(k->expert_weights[i].name + skipped, name)) return i;
    return -1;
}

static void give(const attn_block_kernel *k, const attn_tensor *t, int w, int64_t expert,
                 attn_expert_rows rows, attn_weights *out, attn_problems *p) {
    attn_expert_rows *part = &out->part[w * k->experts + expert];
    if (part->data)
        attn_problem(p, "%s: gives %s of expert %d a second time", t->name,
                     k->expert_weights[w].name, (int)expert);
    *part = rows;
}

/* [n, k], or the n of a bias, of one expert. */
static int64_t rows_of(const attn_weight *w) {
    return w->dim[1];
}
static int64_t width_of(const attn_weight *w) {
    return w->rank == 3 ? w->dim[2] : 1;
}

/* "experts.3.gate_proj.weight" */
static void take_one(const attn_block_kernel *k, const attn_tensor *t, int w, int64_t expert,
                     attn_weights *out, attn_problems *p) {
    const attn_weight *weight = &k->expert_weights[w];
    if (expert >= k->experts) {
        attn_problem(p, "%s: the layer has experts 0 to %d", t->name, k->experts - 1);
        return;
    }
    if (!attn_tensor_fits(t, weight->rank - 1, weight->dim + 1, p)) return;
    const attn_expert_rows rows = {t->data, width_of(weight), 1};
    give(k, t, w, expert, rows, out, p);
}

/* Pieces of [experts, rows of all pieces, width], or, transposed, [experts, width, rows] where
 * pieces take turns row by row. */
static void take_stack(const attn_block_kernel *k, const attn_tensor *t, const int *piece,
                       int pieces, bool transposed, attn_weights *out, attn_problems *p) {
    const attn_weight *first = &k->expert_weights[piece[0]];
    const int64_t n = rows_of(first), width = width_of(first), all = pieces * n;
    int64_t want[3] = {k->experts, all, width};
    if (transposed && first->rank == 3) want[1] = width, want[2] = all;
    if (!attn_tensor_fits(t, first->rank, want, p)) return;
    for (int i = 0; i < pieces; i++)
        for (int64_t e = 0; e < k->experts; e++) {
            const float *data = (const float *)t->data + e * all * width;
            const attn_expert_rows rows = transposed
                                              ? (attn_expert_rows){data + i, pieces, all}
                                              : (attn_expert_rows){data + i * n * width, width, 1};
            give(k, t, piece[i], e, rows, out, p);
        }
}

static bool take_stacked(const attn_block_kernel *k, const attn_tensor *t, const char *name,
                         attn_weights *out, attn_problems *p) {
    const bool clamped = k->spec->expert_act == ATTN_EXPERT_ACT_SWIGLU_CLAMPED;
    for (size_t i = 0; i < sizeof stacked / sizeof *stacked; i++) {
        if (stacked[i].clamped != clamped || strcmp(stacked[i].name, name)) continue;
        int piece[2] = {-1, -1}, pieces = 0;
        for (; pieces < 2 && stacked[i].piece[pieces]; pieces++) {
            piece[pieces] = weight_named(k, stacked[i].piece[pieces]);
            if (piece[pieces] < 0) return false;
        }
        take_stack(k, t, piece, pieces, stacked[i].transposed, out, p);
        return true;
    }
    return false;
}

/* NAME of "N.NAME", and N; null: there is no number. */
static const char *numbered(const char *text, int64_t *number) {
    char *end;
    if (*text < '0' || *text > '9') return NULL;
    *number = strtoll(text, &end, 10);
    return *end == '.' ? end + 1 : NULL;
}

/* The canonical name of one expert's weight, with its .weight or .bias. */
static int weight_of_one(const attn_block_kernel *k, const char *name) {
    const size_t n = strcspn(name, ".");
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        char text[64];
        if (strlen(each[i].name) != n || strncmp(each[i].name, name, n)) continue;
        snprintf(text, sizeof text, "%s%s", each[i].canonical, name + n);
        return weight_named(k, text);
    }
    return weight_named(k, name);
}

bool attn_expert_take(const attn_block_kernel *k, const attn_tensor *t, attn_weights *out,
                      attn_problems *p) {
    const char *name = after_experts(t->name);
    int64_t number;
    if (!name) return false;
    const char *of_one = numbered(name, &number);
    const int w = of_one ? weight_of_one(k, of_one) : weight_named(k, name);
    if (w < 0) return !of_one && take_stacked(k, t, name, out, p);
    if (of_one)
        take_one(k, t, w, number, out, p);
    else
        take_stack(k, t, &w, 1, false, out, p);
    return true;
}

void attn_expert_missing(const attn_block_kernel *k, const attn_weights *found, attn_problems *p) {
    for (int32_t w = 0; w < k->expert_weight_count; w++) {
        const attn_weight *weight = &k->expert_weights[w];
        int32_t without = 0, first = -1;
        for (int32_t e = k->experts - 1; e >= 0; e--)
            if (!found->part[w * k->experts + e].data) without++, first = e;
        char dims[96];
        attn_put_dims(dims, sizeof dims, weight->rank, weight->dim);
        if (without == k->experts)
            attn_problem(p, "%s: missing, [%s]", weight->name, dims);
        else if (without)
            attn_problem(p, "%s: missing of %d experts, the first of them %d", weight->name,
                         without, first);
    }
}
