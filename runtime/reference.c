/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* Written from the contract, sharing nothing with the kernels. */
#include "reference.h"

#include "spec.h"

typedef struct row {
    const attn_kernel *kernel;
    const attn_args *args;
    attn_expr_ctx x;
    int32_t h, i; /* query head and row */
    int32_t q;    /* absolute position, wrapped as expressions see it */
    const float *query;
    int64_t first, last; /* keys that the op shows */
} row;

uint64_t attn_reference_workspace(const attn_extent *extent) {
    return ((uint64_t)extent->kv_len_max * sizeof(double) + 63) & ~(uint64_t)63;
}

static void op_keys(row *r) {
    const attn_spec *spec = r->kernel->spec;
    const int64_t p = (int64_t)r->x.q_start + r->i;
    r->first = 0;
    r->last = (int64_t)r->x.kv_len - 1;
    if (spec->op == ATTN_OP_SEGMENT_CROSS) {
        const int64_t seg = r->args->seg[r->x.b * r->args->seg_batch + r->i];
        r->first = seg < 0 ? 0 : seg - spec->lookback;
        if (seg < r->last) r->last = seg;
    } else {
        if (spec->op == ATTN_OP_SLIDING_SELF) r->first = p - spec->window;
        const bool ahead = spec->op == ATTN_OP_SLIDING_SELF && !spec->causal;
        const int64_t to = ahead ? p + spec->right_window : p;
        if ((spec->causal || ahead) && to < r->last) r->last = to;
    }
    if (r->first < 0) r->first = 0;
}

/* The final score of key k, or -INFINITY where it is hidden. */
static double score(const row *r, int64_t k, bool *oob) {
    const attn_args *args = r->args;
    const attn_spec *spec = r->kernel->spec;
    const attn_expr_hooks *expr = r->kernel->expr;
    const int64_t b = r->x.b;
    if (args->key_padding && args->key_padding[b * args->key_padding_batch + k]) return -INFINITY;
    double bias = 0;
    if (args->mask.type != ATTN_MASK_NONE) {
        const attn_mask_row mask = attn_mask_at(&args->mask, r->x.b, r->h, r->i);
        bias = attn_mask_value(&mask, (int32_t)k);
        if (bias <= -1e30) return -INFINITY;
    }
    if (expr && expr->mask && !expr->mask(&r->x, r->h, r->q, (int32_t)k, oob)) return -INFINITY;

    const int64_t hk = r->h / (spec->heads / spec->kv_heads);
    const float *key = args->k.data + b * args->k.batch + hk * args->k.head + k * args->k.token;
    double s = 0;
    for (int32_t d = 0; d < attn_spec_k_dim(spec); d++) s += (double)r->query[d] * key[d];
    s *= spec->scale;
    if (spec->softcap > 0) s = spec->softcap * tanh(s / spec->softcap);
    if (expr && expr->score) s = expr->score(&r->x, r->h, r->q, (int32_t)k, s, oob);
    return s + bias;
}

static void write_row(const row *r, const double *s, double max) {
    const attn_args *args = r->args;
    const attn_spec *spec = r->kernel->spec;
    const int64_t b = r->x.b, hv = r->h / (spec->heads / spec->v_heads);
    const float *v = args->v.data + b * args->v.batch + hv * args->v.head;
    float *o = args->o.data + b * args->o.batch + r->h * args->o.head + r->i * args->o.token;
    if (spec->sinks && args->sinks[r->h] > max) max = args->sinks[r->h];
    double sum = spec->sinks ? exp(args->sinks[r->h] - max) : 0;
    for (int64_t k = r->first; k <= r->last; k++)
        if (s[k] != -INFINITY) sum += exp(s[k] - max);
    const bool empty = sum == 0;
    for (int32_t d = 0; d < spec->v_dim; d++) {
        double y = 0;
        for (int64_t k = r->first; k <= r->last; k++)
            if (s[k] != -INFINITY) y += exp(s[k] - max) * v[k * args->v.token + d];
        o[d] = empty ? 0 : (float)(y / sum);
    }
    if (args->lse)
        args->lse[b * args->lse_batch + r->h * args->lse_head + r->i] =
            empty ? -INFINITY : (float)(max + log(sum));
}

static attn_status walk(const attn_kernel *kernel, const attn_args *args, const int32_t *rows,
                        bool write) {
    double *s = write ? args->workspace : NULL;
    row r = {.kernel = kernel, .args = args};
    bool oob = false;
    for (int32_t b = 0; b < args->batch; b++)
        for (r.h = 0; r.h < kernel->spec->heads; r.h++)
            for (r.i = 0; r.i < (rows ? rows[b] : args->q_len); r.i++) {
                const int32_t start = args->q_start ? args->q_start[b] : 0;
                r.x = (attn_expr_ctx){.args = args,
                                      .b = b,
                                      .q_start = start,
                                      .q_len = args->q_len,
                                      .kv_len = args->kv_len ? args->kv_len[b] : args->kv_len_max};
                r.q = (int32_t)((uint32_t)start + (uint32_t)r.i);
                r.query =
                    args->q.data + b * args->q.batch + r.h * args->q.head + r.i * args->q.token;
                op_keys(&r);
                double max = -INFINITY;
                for (int64_t k = r.first; k <= r.last; k++) {
                    const double z = score(&r, k, &oob);
                    if (oob) return ATTN_E_INDEX;
                    if (s) s[k] = z;
                    if (z > max) max = z;
                }
                if (write) write_row(&r, s, max);
            }
    return ATTN_OK;
}

attn_status attn_reference_run(const attn_kernel *kernel, const attn_args *args,
                               const int32_t *rows) {
    return walk(kernel, args, rows, true);
}

attn_status attn_reference_check(const attn_kernel *kernel, const attn_args *args,
                                 const int32_t *rows) {
    return walk(kernel, args, rows, false);
}
