/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* Written from the contract. Of a kernel it takes the spec and the scalar form of its expressions;
 * what the op shows stands in op.c, from which no kernel is made. */
#include "reference.h"

#include "layout.h"
#include "op.h"
#include "spec.h"
#include "types.h"

typedef struct row {
    const attn_kernel *kernel;
    const attn_args *args;
    attn_expr_ctx x;
    attn_page_table pages;
    int32_t h, i;    /* query head and row */
    int32_t q;       /* absolute position, wrapped as expressions see it */
    attn_types type; /* of stored elements, which are widened one at a time */
    const void *query;
    const double *turned; /* the query, rotated as its keys are; null: they are not */
    attn_keys seen;       /* positions that the op shows */
    int64_t first, last;  /* keys among which those at them are */
    const int32_t *list;  /* of those, these, in this order, `count` of them; null: all */
    int64_t count;
    const double *score; /* of each key; null: to be computed where it is needed */
} row;

enum { COLUMNS = 64 }; /* of O, side by side */

uint64_t attn_reference_workspace(const attn_extent *extent) {
    return ((uint64_t)extent->kv_len_max * sizeof(double) + 63) & ~(uint64_t)63;
}

/* Where a row is over the keys of a list. */
static void find_list(row *r) {
    const attn_args *a = r->args;
    const attn_spec *spec = r->kernel->spec;
    r->count = r->last - r->first + 1;
    if (spec->select != ATTN_SELECT_INDEX || r->count <= 0) return;
    r->list = attn_index_of(a, r->x.b, r->h / (spec->heads / spec->kv_heads), r->i);
    r->count = *attn_index_count(a, r->x.b, r->i);
}

/* The n-th of its keys; -1: none that the op shows. */
static int64_t key_of(const row *r, int64_t n) {
    const int64_t k = r->list ? r->list[n] : r->first + n;
    return k >= r->first && k <= r->last ? k : -1;
}

static void op_keys(row *r) {
    const attn_spec *spec = r->kernel->spec;
    const attn_args *a = r->args;
    const int64_t place = attn_op_of(spec)->segments
                              ? a->seg[r->x.b * a->seg_batch + r->x.q_row + r->i]
                              : attn_row_position(&r->x, r->i);
    const bool moved = r->x.tail > 0;
    r->seen = attn_op_keys(spec, place, moved ? ATTN_FAR : r->x.kv_len);
    r->first = moved ? 0 : r->seen.first;
    r->last = moved ? r->x.kv_len - 1 : r->seen.last;
}

/* Keys of a tail stand anywhere. */
static bool op_shows(const row *r, int64_t k) {
    const int32_t position = attn_key_position(&r->x, (int32_t)k);
    return r->seen.first <= position && position <= r->seen.last;
}

/* What the run-time mask adds to the score of key k: -INFINITY hides it. Its dims are the last of
 * [batch, heads, rows, keys]; those of size 1 broadcast. */
static double mask_bias(const row *r, int64_t k) {
    const attn_mask *m = &r->args->mask;
    const int64_t at[4] = {r->x.b, r->h, r->i, k};
    int64_t element = 0;
    for (int n = 0; n < m->rank; n++)
        if (m->dim[n] != 1) element += m->stride[n] * at[4 - m->rank + n];
    if (m->type == ATTN_MASK_BOOL) return ((const uint8_t *)m->data)[element] ? 0 : -INFINITY;
    const double bias = ((const float *)m->data)[element];
    return bias <= -1e30 ? -INFINITY : bias;
}

/* The scale of a row; 1 where its type has none. */
static double scale_of(const row *r, const attn_scales *scale, int64_t h, int64_t k) {
    const attn_view view = {scale->data, scale->batch, scale->head, scale->token};
    if (!attn_spec_scaled(r->kernel->spec)) return 1;
    return scale->data[attn_layout_at(r->kernel->spec, &view, &r->pages, r->x.b, h, k)];
}

static double query_at(const row *r, int32_t d) {
    return r->turned ? r->turned[d] : (double)attn_load(r->query, r->type.q, d);
}

/* The query, rotated as its keys are; null where they are not. */
static const double *turn(const row *r, double to[ATTN_ROTATE_MOST]) {
    const attn_spec *spec = r->kernel->spec;
    const attn_rotation rotation = attn_spec_rotation(spec);
    const int32_t dim = attn_spec_k_dim(spec);
    if (rotation.block == 0) return NULL;
    for (int32_t d = 0; d < dim; d++) to[d] = (double)attn_load(r->query, r->type.q, d);
    attn_rotate(to + rotation.from, dim - rotation.from, rotation.block);
    return to;
}

/* The final score of key k, or -INFINITY where it is hidden. */
static double score(const row *r, int64_t k, bool *oob) {
    const attn_args *args = r->args;
    const attn_spec *spec = r->kernel->spec;
    const attn_expr_hooks *expr = r->kernel->expr;
    const int64_t b = r->x.b;
    if (!op_shows(r, k)) return -INFINITY;
    if (args->key_padding && args->key_padding[b * args->key_padding_batch + k]) return -INFINITY;
    double bias = 0;
    if (args->mask.type != ATTN_MASK_NONE) {
        bias = mask_bias(r, k);
        if (bias == -INFINITY) return -INFINITY;
    }
    if (expr && expr->mask && !expr->mask(&r->x, r->h, r->q, (int32_t)k, oob)) return -INFINITY;

    const int64_t hk = r->h / (spec->heads / spec->kv_heads);
    const int64_t key = attn_layout_at(spec, &args->k, &r->pages, b, hk, k);
    const int32_t dim = attn_spec_k_dim(spec);
    double s = 0;
    for (int32_t d = 0; d < dim; d++)
        s += query_at(r, d) * attn_load(args->k.data, r->type.k, key + d);
    s *= spec->scale * scale_of(r, &args->k_scale, hk, k);
    if (spec->softcap > 0) s = spec->softcap * tanh(s / spec->softcap);
    if (expr && expr->score) s = expr->score(&r->x, r->h, r->q, (int32_t)k, s, oob);
    return s + bias;
}

static double score_of(const row *r, int64_t k) {
    bool oob = false;
    return r->score ? r->score[k] : score(r, k, &oob);
}

/* o[n columns from c on] = sum of P V; returns the sum of P. */
static double sum_columns(const row *r, double max, int32_t c, int32_t n, double *o) {
    const attn_spec *spec = r->kernel->spec;
    const attn_view *v = &r->args->v;
    const int64_t hv = r->h / (spec->heads / spec->v_heads);
    double sum = 0;
    for (int32_t d = 0; d < n; d++) o[d] = 0;
    for (int64_t n_th = 0; n_th < r->count; n_th++) {
        const int64_t k = key_of(r, n_th);
        const double s = k < 0 ? -INFINITY : score_of(r, k);
        if (s == -INFINITY) continue;
        const double p = exp(s - max);
        sum += p;
        const int64_t at = attn_layout_at(spec, v, &r->pages, r->x.b, hv, k) + c;
        const double factor = p * scale_of(r, &r->args->v_scale, hv, k);
        for (int32_t d = 0; d < n; d++) o[d] += factor * attn_load(v->data, r->type.v, at + d);
    }
    return sum;
}

static void write_row(const row *r, double max) {
    const attn_args *args = r->args;
    const attn_spec *spec = r->kernel->spec;
    const int64_t b = r->x.b;
    const int64_t o = b * args->o.batch + r->h * args->o.head + (r->x.q_row + r->i) * args->o.token;
    const double sink = spec->sinks ? args->sinks[r->h] : -INFINITY;
    const bool empty = max == -INFINITY; /* no key */
    if (sink > max) max = sink;
    double sum = 0, y[COLUMNS];
    for (int32_t c = 0; c < spec->v_dim; c += COLUMNS) {
        const int32_t n = spec->v_dim - c < COLUMNS ? spec->v_dim - c : COLUMNS;
        sum = empty ? 0 : sum_columns(r, max, c, n, y);
        if (sink != -INFINITY) sum += exp(sink - max);
        for (int32_t d = 0; d < n; d++)
            attn_store(args->o.data, r->type.o, o + c + d, empty ? 0 : (float)(y[d] / sum));
    }
    if (args->lse)
        args->lse[b * args->lse_batch + r->h * args->lse_head + r->x.q_row + r->i] =
            (float)(empty ? sink : max + log(sum));
}

/* The row of item b; r->h, r->i and r->x.b are set. */
static void find_row(row *r) {
    const attn_args *args = r->args;
    const int64_t b = r->x.b;
    r->x.args = args;
    r->pages = (attn_page_table){args->pages, args->pages_batch};
    r->x.q_start = args->q_start ? args->q_start[b] : 0;
    r->x.q_len = attn_row_count(args, (int32_t)b);
    r->x.q_row = attn_first_row(args, (int32_t)b);
    r->x.kv_len = args->kv_len ? args->kv_len[b] : args->kv_len_max;
    attn_set_tail(&r->x, attn_tail_of(args, (int32_t)b));
    r->q = (int32_t)(uint32_t)attn_row_position(&r->x, r->i);
    r->type = attn_spec_types(r->kernel->spec);
    r->query =
        attn_at(args->q.data, r->type.q,
                b * args->q.batch + r->h * args->q.head + (r->x.q_row + r->i) * args->q.token);
    op_keys(r);
    find_list(r);
}

static attn_status walk(const attn_kernel *kernel, const attn_args *args, const int32_t *rows,
                        bool write) {
    double *s = write ? args->workspace : NULL, turned[ATTN_ROTATE_MOST];
    row r = {.kernel = kernel, .args = args, .score = s};
    bool oob = false;
    for (r.x.b = 0; r.x.b < args->batch; r.x.b++)
        for (r.h = 0; r.h < kernel->spec->heads; r.h++)
            for (r.i = 0; r.i < (rows ? rows[r.x.b] : attn_row_count(args, r.x.b)); r.i++) {
                find_row(&r);
                r.turned = turn(&r, turned);
                double max = -INFINITY;
                for (int64_t n = 0; n < r.count; n++) {
                    const int64_t k = key_of(&r, n);
                    if (k < 0) continue;
                    const double z = score(&r, k, &oob);
                    if (oob) return ATTN_E_INDEX;
                    if (s) s[k] = z;
                    if (z > max) max = z;
                }
                if (write) write_row(&r, max);
            }
    return ATTN_OK;
}

void attn_reference_row(const attn_kernel *kernel, const attn_args *args, int32_t b, int32_t h,
                        int32_t i) {
    row r = {.kernel = kernel, .args = args, .x.b = b, .h = h, .i = i};
    find_row(&r);
    float query[ATTN_IN_PLACE_MOST]; /* o may be q itself, and is written before all of q is read */
    const int32_t d = attn_spec_k_dim(kernel->spec);
    if (d <= ATTN_IN_PLACE_MOST)
        r.query = memcpy(query, r.query, (size_t)d * attn_type_size(r.type.q));
    double turned[ATTN_ROTATE_MOST];
    r.turned = turn(&r, turned);
    double max = -INFINITY;
    bool oob = false;
    /* One score that is NaN, or infinite, makes all of the row NaN. */
    for (int64_t n = 0; n < r.count && max < INFINITY; n++) {
        const int64_t k = key_of(&r, n);
        if (k < 0) continue;
        const double s = score(&r, k, &oob);
        if (!(s <= max)) max = s;
    }
    if (!(max < INFINITY)) r.count = 0; /* nothing to be added to it */
    write_row(&r, max);
}

attn_status attn_reference_run(const attn_kernel *kernel, const attn_args *args,
                               const int32_t *rows) {
    return walk(kernel, args, rows, true);
}

attn_status attn_reference_check(const attn_kernel *kernel, const attn_args *args,
                                 const int32_t *rows) {
    return walk(kernel, args, rows, false);
}
