/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* block_experts.c - weights of experts: one tensor for all of them, or one for each. */
#include "block.h"
#include "weight_types.h"

#include <stdio.h>
#include <stdlib.h>

/* Names of one expert's weights, after "experts.N.". */
static const struct {
    const char *name, *canonical;
} each[] = {
#define EXPERT(name, canonical) {name, canonical},
#include "weight_names.def"
};

/* Which layers, by their expert_act, take a tensor of all experts; how its pieces lie; and what it
 * holds of them. */
enum acts { ANY_ACT, CLAMPED, INPUTS, OTHERS }; /* INPUTS: router_input */
enum order {
    ROWS,   /* [experts, rows of the first piece, then of the second, width] */
    TURNS,  /* the same, rows of both by turns */
    TURNED, /* [experts, width, rows], rows of both by turns */
    COLUMNS /* [experts, width, rows], those of the first piece, then of the second */
};
enum part { WHOLE, CODES, SCALES };

/* Tensors with a part for every expert. */
static const struct {
    const char *name;
    enum acts acts;
    enum order order;
    enum part part;
    const char *piece[2];
} stacked[] = {
#define EXPERTS(name, acts, order, part, ...) {name, acts, order, part, {__VA_ARGS__}},
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

/* A weight in one tensor, or what one of two holds of it. */
static void give(const attn_block_kernel *k, const attn_tensor *t, int w, int64_t expert,
                 attn_source source, attn_weights *out, attn_problems *p) {
    attn_source *to = &out->weight[attn_expert_weight(k, w, (int32_t)expert)];
    const bool half = to->split && source.split;
    if (half ? (source.data && to->data) || (source.scales && to->scales) : to->data || to->scales)
        attn_problem(p, "%s: gives %s of expert %d a second time", t->name,
                     k->expert_weights[w].name, (int)expert);
    if (half && !source.data) source.data = to->data;
    if (half && !source.scales) source.scales = to->scales;
    *to = source;
}

/* [n, k], or the n of a bias, of one expert. */
static int64_t rows_of(const attn_weight *w) {
    return w->dim[1];
}
static int64_t width_of(const attn_weight *w) {
    return w->rank == 3 ? w->dim[2] : 1;
}

static const char *floats_of(const attn_weight *w, enum order order) {
    if (w->rank == 2) return "vectors";
    return order >= TURNED ? "rows that stand as columns" : NULL;
}

/* "experts.3.gate_proj.weight" */
static void take_one(const attn_block_kernel *k, const attn_tensor *t, int w, int64_t expert,
                     attn_weights *out, attn_problems *p) {
    const attn_weight *weight = &k->expert_weights[w];
    if (expert >= k->experts) {
        attn_problem(p, "%s: the layer has experts 0 to %d", t->name, k->experts - 1);
        return;
    }
    const char *floats = weight->rank == 2 ? "a vector" : NULL;
    if (!attn_tensor_fits(t, weight->rank - 1, weight->dim + 1, floats, p)) return;
    const int32_t width = (int32_t)width_of(weight);
    give(k, t, w, expert, (attn_source){.data = t->data, .type = t->type, .row = width, .step = 1},
         out, p);
}

/* Pieces of a tensor, each of so many experts, rows, and elements of a row. */
typedef struct stack {
    const int *piece;
    int pieces;
    enum order order;
    enum part part;
    int64_t experts, n, width;
} stack;

/* Whether a tensor has the shape and type of these pieces. */
static bool stack_fits(const attn_block_kernel *k, const attn_tensor *t, const stack *s,
                       attn_problems *p) {
    enum { BLOCK = 32, CODE_BYTES = 16 }; /* of mxfp4 */
    const attn_weight *first = &k->expert_weights[s->piece[0]];
    const int64_t all = s->pieces * s->n;
    const bool turned = s->order >= TURNED && first->rank == 3;
    const int64_t want[3] = {s->experts, turned ? s->width : all, turned ? all : s->width};
    const int64_t split[4] = {s->experts, all, s->width / BLOCK, CODE_BYTES};
    if (s->part == WHOLE)
        return attn_tensor_fits(t, first->rank, want, floats_of(first, s->order), p);
    if (s->width % BLOCK) {
        attn_problem(p, "%s: is mxfp4, in blocks of %d: rows of %s are %lld elements", t->name,
                     BLOCK, first->name, (long long)s->width);
        return false;
    }
    if (!attn_tensor_has(t, s->part == CODES ? 4 : 3, split, p)) return false;
    if (t->type == ATTN_WEIGHT_MXFP4) return true;
    attn_problem(p, "%s: type is %d: must be ATTN_WEIGHT_MXFP4, %d, of _blocks and _scales",
                 t->name, t->type, ATTN_WEIGHT_MXFP4);
    return false;
}

/* Piece i of expert e. Its first row is `first` rows into a tensor of [row elements]. */
static attn_source stack_source(const attn_tensor *t, const stack *s, int i, int64_t e) {
    const int64_t all = s->pieces * s->n, turns = s->order == ROWS ? 1 : s->pieces;
    const int64_t first = e * all + (s->order == ROWS ? i * s->n : i);
    attn_source out = {.type = t->type, .row = (int32_t)(turns * s->width), .step = 1};
    const char *data = t->data;
    switch (s->part) {
    case CODES: out.data = data + first * s->width / 2; break;
    case SCALES: out.scales = (const uint8_t *)data + first * (s->width / 32); break;
    default: out.data = data + attn_weight_bytes(t->type, first * s->width);
    }
    out.split = s->part != WHOLE;
    if (s->order < TURNED) return out;
    const int64_t column = s->order == TURNED ? i : i * s->n;
    out.data = data + attn_weight_bytes(t->type, e * all * s->width + column);
    out.row = s->order == TURNED ? (int32_t)turns : 1, out.step = (int32_t)all;
    return out;
}

static void take_stack(const attn_block_kernel *k, const attn_tensor *t, const stack *s,
                       attn_weights *out, attn_problems *p) {
    if (!stack_fits(k, t, s, p)) return;
    for (int i = 0; i < s->pieces; i++)
        for (int64_t e = 0; e < s->experts; e++)
            give(k, t, s->piece[i], e, stack_source(t, s, i, e), out, p);
}

static stack stack_of(const attn_block_kernel *k, const int *piece, int pieces, enum order order,
                      enum part part) {
    const attn_weight *first = &k->expert_weights[piece[0]];
    return (stack){piece, pieces, order, part, k->experts, rows_of(first), width_of(first)};
}

static enum acts acts_of(const attn_spec *s) {
    if (s->expert_act == ATTN_EXPERT_ACT_SWIGLU_CLAMPED) return CLAMPED;
    return s->router_input ? INPUTS : OTHERS;
}

static bool take_stacked(const attn_block_kernel *k, const attn_tensor *t, attn_weights *out,
                         attn_problems *p) {
    for (size_t i = 0; i < sizeof stacked / sizeof *stacked; i++) {
        if (stacked[i].acts != ANY_ACT && stacked[i].acts != acts_of(k->spec)) continue;
        if (!attn_name_ends_in(t->name, strlen(t->name), stacked[i].name, strlen(stacked[i].name)))
            continue;
        int piece[2] = {-1, -1}, pieces = 0;
        for (; pieces < 2 && stacked[i].piece[pieces]; pieces++) {
            piece[pieces] = weight_named(k, stacked[i].piece[pieces]);
            if (piece[pieces] < 0) return false;
        }
        const stack s = stack_of(k, piece, pieces, stacked[i].order, stacked[i].part);
        take_stack(k, t, &s, out, p);
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
    const char *of_one = name ? numbered(name, &number) : NULL;
    const int w = of_one ? weight_of_one(k, of_one) : name ? weight_named(k, name) : -1;
    if (w < 0) return !of_one && take_stacked(k, t, out, p);
    if (of_one) {
        take_one(k, t, w, number, out, p);
        return true;
    }
    const stack s = stack_of(k, &w, 1, ROWS, WHOLE);
    take_stack(k, t, &s, out, p);
    return true;
}

/* What is missing of a weight in two tensors; null: nothing. */
static const char *half_missing(const attn_source *s) {
    if (!s->split) return NULL;
    return !s->data ? "the codes (_blocks)" : !s->scales ? "the scales (_scales)" : NULL;
}

void attn_expert_missing(const attn_block_kernel *k, const attn_weights *found, attn_problems *p) {
    for (int32_t w = 0; w < k->expert_weight_count; w++) {
        const attn_weight *weight = &k->expert_weights[w];
        int32_t without = 0, first = -1;
        const char *half = NULL;
        for (int32_t e = k->experts - 1; e >= 0; e--) {
            const attn_source *s = &found->weight[attn_expert_weight(k, w, e)];
            if (!s->data && !s->split) without++, first = e;
            if (half_missing(s)) half = half_missing(s);
        }
        char dims[96];
        attn_put_dims(dims, sizeof dims, weight->rank, weight->dim);
        if (without == k->experts)
            attn_problem(p, "%s: missing, [%s]", weight->name, dims);
        else if (without)
            attn_problem(p, "%s: missing of %d experts, the first of them %d", weight->name,
                         without, first);
        if (half) attn_problem(p, "%s: missing: %s", weight->name, half);
    }
}
