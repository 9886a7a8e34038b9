/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* block_names.c - which of a layer's weights a tensor's name stands for. */
#include "block.h"
#include "weight_types.h"

#include <stdarg.h>
#include <stdio.h>

enum { PIECES = 3 };

/* How a tensor holds its weights; TURNED: it may be [in, out]. */
typedef enum holding { ROWS, TURNED, BY_KEY_HEAD } holding;

static const struct {
    const char *suffix;
    holding how;
    const char *beside; /* where this one is given too; null: anywhere */
    const char *piece[PIECES];
} names[] = {
#define NAME(suffix, ...) {suffix, ROWS, NULL, {__VA_ARGS__}},
#define CONV1D(suffix, ...) {suffix, TURNED, NULL, {__VA_ARGS__}},
#define GROUPED(suffix, ...) {suffix, BY_KEY_HEAD, NULL, {__VA_ARGS__}},
#define BESIDE(other, suffix, ...) {suffix, ROWS, other, {__VA_ARGS__}},
#include "weight_names.def"
};

/* Names come from others' files: what begins a line, or moves a terminal's cursor, becomes '?'. */
static void one_line(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f) *text = '?';
}

void attn_problem(attn_problems *p, const char *fmt, ...) {
    if (p->text && p->length < p->size) {
        va_list ap;
        va_start(ap, fmt);
        const char *separator = p->count ? "\n" : "";
        p->length += (size_t)snprintf(p->text + p->length, p->size - p->length, "%s", separator);
        if (p->length < p->size) {
            char *line = p->text + p->length;
            p->length += (size_t)vsnprintf(line, p->size - p->length, fmt, ap);
            one_line(line);
        }
        va_end(ap);
    }
    p->count++;
}

bool attn_name_ends_in(const char *name, size_t n, const char *suffix, size_t m) {
    if (m > n || memcmp(name + n - m, suffix, m)) return false;
    return m == n || name[n - m - 1] == '.';
}

/* Index of the weight BASE.kind, or of BASE, one without a kind; -1: the layer takes none of this
 * name. */
static int weight_named(const attn_block_kernel *k, const char *base, const char *kind) {
    for (int i = 0; i < k->weight_count; i++) {
        const size_t n = strlen(base);
        if (strncmp(k->weights[i].name, base, n)) continue;
        if (!k->weights[i].name[n] || !strcmp(k->weights[i].name + n, kind)) return i;
    }
    return -1;
}

/* The weights that the layer has of a row's; 0: not all. */
static int row_weights(const attn_block_kernel *k, size_t row, const char *kind,
                       int piece[PIECES]) {
    int pieces = 0;
    for (; pieces < PIECES && names[row].piece[pieces]; pieces++)
        if ((piece[pieces] = weight_named(k, names[row].piece[pieces], kind)) < 0) return 0;
    return pieces;
}

/* Whether a tensor has as many rows as these weights together. */
static bool has_rows_of(const attn_block_kernel *k, const attn_tensor *t, const int *piece,
                        int pieces) {
    int64_t rows = 0;
    for (int i = 0; i < pieces; i++) rows += k->weights[piece[i]].dim[0];
    return t->rank > 0 && t->dim[0] == rows;
}

/* The tensors of a call. */
typedef struct tensors {
    const attn_tensor *list;
    int32_t count;
} tensors;

static bool is_given(const tensors *all, const char *suffix) {
    static const size_t kind = sizeof ".weight" - 1;
    for (int32_t i = 0; i < all->count; i++) {
        const size_t n = strlen(all->list[i].name);
        if (n > kind && !strcmp(all->list[i].name + n - kind, ".weight") &&
            attn_name_ends_in(all->list[i].name, n - kind, suffix, strlen(suffix)))
            return true;
    }
    return false;
}

/* The weights that a tensor's name stands for; 0: none. */
static int find_weights(const attn_block_kernel *k, const tensors *all, const attn_tensor *t,
                        int found[PIECES], holding *how) {
    *how = ROWS;
    const char *name = t->name;
    const size_t n = strlen(name);
    size_t longest = 0;
    int count = 0;
    for (int i = 0; i < k->weight_count; i++) {
        const size_t m = strlen(k->weights[i].name);
        if (m <= longest || !attn_name_ends_in(name, n, k->weights[i].name, m)) continue;
        longest = m;
        found[0] = i;
        count = 1;
    }
    static const char *const kinds[] = {".weight", ".bias"};
    for (int s = 0; s < 2; s++) {
        const size_t kind = strlen(kinds[s]);
        if (n <= kind || strcmp(name + n - kind, kinds[s])) continue;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            const size_t m = strlen(names[i].suffix);
            if (m + kind < longest || !attn_name_ends_in(name, n - kind, names[i].suffix, m))
                continue;
            if (names[i].beside && !is_given(all, names[i].beside)) continue;
            int piece[PIECES];
            const int pieces = row_weights(k, i, kinds[s], piece);
            if (!pieces) continue;
            if (m + kind == longest &&
                (has_rows_of(k, t, found, count) || !has_rows_of(k, t, piece, pieces)))
                continue;
            longest = m + kind;
            memcpy(found, piece, sizeof piece);
            count = pieces;
            *how = names[i].how;
        }
    }
    return count;
}

void attn_put_dims(char *out, size_t size, int32_t rank, const int64_t *dim) {
    size_t n = 0;
    out[0] = 0;
    for (int i = 0; i < rank && i < 4 && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%lld", i ? ", " : "", (long long)dim[i]);
}

bool attn_tensor_has(const attn_tensor *t, int32_t rank, const int64_t *want, attn_problems *p) {
    bool same = t->rank == rank && t->data;
    for (int i = 0; same && i < t->rank; i++) same = t->dim[i] == want[i];
    if (same) return true;
    char got[96], expected[96];
    attn_put_dims(got, sizeof got, t->rank, t->dim);
    attn_put_dims(expected, sizeof expected, rank, want);
    attn_problem(p, "%s: must be [%s], got [%s]%s", t->name, expected, got,
                 t->data ? "" : " without data");
    return false;
}

/* Rows are whole blocks. floats: see block.h. */
static bool type_fits(const attn_tensor *t, const char *floats, attn_problems *p) {
    if (t->type < 0 || t->type >= ATTN_WEIGHT_COUNT) {
        attn_problem(p, "%s: type is %d: must be an attn_weight_type, 0 to %d", t->name, t->type,
                     ATTN_WEIGHT_COUNT - 1);
        return false;
    }
    const attn_weight_row row = attn_weight_get(t->type);
    if (floats && !attn_weight_is_float(t->type)) {
        attn_problem(p, "%s: type is %s: must be f32, bf16 or f16 of %s", t->name, row.name,
                     floats);
        return false;
    }
    if (t->dim[t->rank - 1] % row.block == 0) return true;
    attn_problem(p, "%s: type is %s, in blocks of %d: its rows are %lld elements", t->name,
                 row.name, row.block, (long long)t->dim[t->rank - 1]);
    return false;
}

bool attn_tensor_fits(const attn_tensor *t, int32_t rank, const int64_t *want, const char *floats,
                      attn_problems *p) {
    return attn_tensor_has(t, rank, want, p) && type_fits(t, floats, p);
}

static int64_t all_rows(const attn_block_kernel *k, const int *found, int pieces) {
    int64_t rows = 0;
    for (int i = 0; i < pieces; i++) rows += k->weights[found[i]].dim[0];
    return rows;
}

/* Whether the tensors are those of Conv1D: one of its matrices is [in, out], and no square. */
static bool are_conv1d(const attn_block_kernel *k, const tensors *all) {
    for (int32_t i = 0; i < all->count; i++) {
        const attn_tensor *t = &all->list[i];
        int found[PIECES];
        holding how;
        const int pieces = find_weights(k, all, t, found, &how);
        if (!pieces || how != TURNED || t->rank != 2 || k->weights[found[0]].rank != 2) continue;
        const int64_t rows = all_rows(k, found, pieces), width = k->weights[found[0]].dim[1];
        if (rows != width && t->dim[0] == width && t->dim[1] == rows) return true;
    }
    return false;
}

/* A matrix of Conv1D: row j of weight i begins j elements into the tensor's first row. */
static void take_turned(const attn_block_kernel *k, const attn_tensor *t, const int *found,
                        int pieces, attn_weights *out, attn_problems *p) {
    const int64_t rows = all_rows(k, found, pieces);
    const int64_t want[2] = {k->weights[found[0]].dim[1], rows};
    if (!attn_tensor_fits(t, 2, want, "[in, out], of Conv1D,", p)) return;
    const char *data = t->data;
    for (int i = 0; i < pieces; i++) {
        const attn_weight *w = &k->weights[found[i]];
        if (out->weight[found[i]].data)
            attn_problem(p, "%s: gives %s a second time", t->name, w->name);
        out->weight[found[i]] =
            (attn_source){.data = data, .type = t->type, .row = 1, .step = (int32_t)rows};
        data += attn_weight_bytes(t->type, w->dim[0]);
    }
}

/* Rows by key head: of those of weight i, how many a group has, and where its first one is. */
static void set_groups(const attn_block_kernel *k, const int *found, int pieces,
                       attn_weights *out) {
    const int32_t groups = k->k_heads;
    const int64_t all = all_rows(k, found, pieces) / groups;
    int64_t before = 0;
    for (int i = 0; i < pieces; i++) {
        attn_source *s = &out->weight[found[i]];
        const int64_t rows = k->weights[found[i]].dim[0] / groups;
        const int64_t first = before * s->row;
        s->data = (const char *)out->weight[found[0]].data + attn_weight_bytes(s->type, first);
        s->group = (int32_t)rows;
        s->skip = (int32_t)(all - rows);
        before += rows;
    }
}

/* [1, n] for [n], or [n] for [1, n]: one of them holds the other. */
static bool is_flat(const attn_tensor *t, const attn_weight *w, int64_t rows) {
    if (t->rank == 1 && w->rank == 2) return rows == 1;
    return t->rank == 2 && w->rank == 1 && t->dim[0] == 1;
}

/* Points the weights of one tensor into it. */
static void take(const attn_block_kernel *k, const tensors *all, const attn_tensor *t, bool turned,
                 attn_weights *out, attn_problems *p) {
    if (k->experts && attn_expert_take(k, t, out, p)) return;
    if (attn_latent_take(k, t, out, p)) return;
    int found[PIECES];
    holding how;
    const int pieces = find_weights(k, all, t, found, &how);
    if (!pieces) {
        attn_problem(p, "%s: unknown weight", t->name);
        return;
    }
    if (pieces == 1 && !k->weights[found[0]].used) return;
    const attn_weight *first = &k->weights[found[0]];
    if (turned && how == TURNED && first->rank == 2) {
        take_turned(k, t, found, pieces, out, p);
        return;
    }
    const int64_t rows = all_rows(k, found, pieces);
    const int64_t want[4] = {rows, first->dim[1], first->dim[2], 0}, row[2] = {1, rows};
    const bool flat = is_flat(t, first, rows);
    const int64_t *dims = !flat ? want : t->rank == 1 ? want + 1 : row;
    if (!attn_tensor_fits(t, flat ? t->rank : first->rank, dims,
                          first->rank == 1 || first->vector ? "a vector" : NULL, p))
        return;
    const char *data = t->data;
    for (int i = 0; i < pieces; i++) {
        const attn_weight *w = &k->weights[found[i]];
        if (out->weight[found[i]].data)
            attn_problem(p, "%s: gives %s a second time", t->name, w->name);
        out->weight[found[i]] = (attn_source){
            .data = data,
            .type = t->type,
            .row = w->rank > 1 && !w->vector ? (int32_t)w->dim[w->rank - 1] : 1,
            .step = 1,
        };
        int64_t size = 1;
        for (int d = 0; d < w->rank; d++) size *= w->dim[d];
        data += attn_weight_bytes(t->type, size);
    }
    if (how == BY_KEY_HEAD && k->k_heads > 1) set_groups(k, found, pieces, out);
}

attn_status attn_weights_find(const attn_block_kernel *k, const attn_tensor *list, int32_t count,
                              attn_weights *out, char *message, size_t size) {
    attn_problems p = {message, size, 0, 0};
    const tensors all = {list, count};
    const bool turned = are_conv1d(k, &all);
    for (int32_t i = 0; i < count; i++) take(k, &all, &list[i], turned, out, &p);
    for (int32_t i = 0; i < k->weight_count; i++) {
        if (out->weight[i].data || !k->weights[i].used) continue;
        char dims[96];
        attn_put_dims(dims, sizeof dims, k->weights[i].rank, k->weights[i].dim);
        attn_problem(&p, "%s: missing, [%s]", k->weights[i].name, dims);
    }
    attn_latent_missing(out, &p);
    attn_expert_missing(k, out, &p);
    return p.count ? ATTN_E_WEIGHTS : ATTN_OK;
}
