/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* block_run.c - calls of layers. */
#include "block.h"
#include "mode.h"
#include "op.h"

/* Fills row0, pos0 and held, and makes room in the cache. */
static void place_items(const attn_block *block, const attn_block_args *a,
                        const attn_block_lists *o, bool reset) {
    const attn_spec *s = block->kernel->spec;
    for (int32_t b = 0; b < a->batch; b++) {
        const attn_standing at = attn_stand_in(s, a, b, reset);
        if (a->cache) attn_cache_let_go(block->kernel, a->cache, b, &at);
        o->row0[b] = at.length - at.drop;
        o->pos0[b] = at.start + at.length;
        o->held[b] = o->row0[b] + attn_new_keys(s, a, b);
    }
}

/* Padding counts absolute positions; a cache that has moved on counts from its first key. Keys that
 * the op hides from the new rows have none. */
static void shift_padding(const attn_block *block, const attn_block_args *a,
                          const attn_block_lists *o, int32_t keys, attn_args *core) {
    if (!a->key_padding || !o->padding) return;
    const int64_t kept = attn_op_kept(block->kernel->spec);
    for (int32_t b = 0; b < a->batch; b++) {
        const int32_t first = o->row0[b] > kept ? o->row0[b] - (int32_t)kept : 0;
        memcpy(o->padding + (size_t)b * (size_t)keys + first,
               a->key_padding + b * a->key_padding_batch + (o->pos0[b] - o->row0[b]) + first,
               (size_t)(o->held[b] - first));
    }
    core->key_padding = o->padding;
    core->key_padding_batch = keys;
}

/* Rows that attend: padding at an item's end is as if it were not there. */
static int32_t attending(const attn_block_args *a, int32_t b, int32_t count) {
    const uint8_t *pad = a->q_pad ? a->q_pad + b * a->q_pad_batch : NULL;
    while (pad && count > 0 && pad[count - 1]) count--;
    return count;
}

static attn_status run_kernel(const attn_kernel *kernel, const attn_args *args, const int32_t *rows,
                              attn_team *team) {
    return attn_run_checked(kernel, args, rows, team, false);
}

static attn_status run_reference(const attn_kernel *kernel, const attn_args *args,
                                 const int32_t *rows, attn_team *team) {
    return attn_run_checked(kernel, args, rows, team, true);
}

/* Runs the items of one form. */
static attn_status run_form(const attn_block_kernel *k, attn_block_call *call, bool expanded) {
    const attn_block_args *a = call->args;
    bool any = false;
    call->extent.tokens = 0;
    for (int32_t b = 0; b < a->batch; b++) {
        const int32_t count = attn_count_of(a->count, b, a->tokens);
        const bool here = attn_expands(k, count) == expanded;
        any = any || here;
        call->count[b] = here ? count : 0;
        call->rows[b] = here ? attending(a, b, count) : 0;
        if (call->count[b] > call->extent.tokens) call->extent.tokens = call->count[b];
    }
    return any ? k->run(call) : ATTN_OK;
}

typedef struct layer_call {
    const attn_block_kernel *kernel;
    attn_block_checked checked;
    attn_status status;
} layer_call;

/* Items of either form: one region of threads. */
static void run_forms(void *ctx, attn_team *team) {
    layer_call *l = ctx;
    attn_block_call *call = &l->checked.call;
    call->team = team;
    l->status = run_form(l->kernel, call, false);
    if (l->status == ATTN_OK && l->kernel->expanded) l->status = run_form(l->kernel, call, true);
}

static __attribute__((noinline)) attn_status run(const attn_block *block,
                                                 const attn_block_args *args, bool reset) {
    layer_call l = {0};
    attn_block_checked *c = &l.checked;
    attn_status status = attn_block_call_check(NULL, block, args, reset, c);
    if (status != ATTN_OK) return status;
    const attn_block_args *a = &c->args;
    const attn_block_kernel *k = l.kernel = block->kernel;
    attn_block_call *call = &c->call;
    call->extent.threads = call->core.threads = attn_team_limit(a->pool, a->threads);
    place_items(block, a, &c->own, reset);
    shift_padding(block, a, &c->own, c->keys, &call->core);
    call->row0 = c->own.row0, call->pos0 = c->own.pos0, call->held = c->own.held;
    call->count = c->own.count, call->rows = c->own.rows;
    if (a->cache) {
        const int64_t k_head = (int64_t)a->cache->capacity * k->k_dim;
        const int64_t v_head = (int64_t)a->cache->capacity * k->v_dim;
        call->k = (attn_out){a->cache->k, k->k_heads * k_head, k_head, k->k_dim};
        call->v = (attn_out){a->cache->v, k->v_heads * v_head, v_head, k->v_dim};
        if (attn_cache_scaled(k)) {
            const int64_t head = a->cache->capacity;
            call->k_scale = (attn_scales_out){a->cache->k_scale, k->k_heads * head, head, 1};
            call->v_scale = (attn_scales_out){a->cache->v_scale, k->v_heads * head, head, 1};
        }
    }
    call->packed = attn_packed_floats(a->packed);
    call->run_core = block->reference ? run_reference : run_kernel;
    call->workspace = (char *)a->workspace + c->used;
    if (a->batch > 0) attn_team_run(a->pool, call->extent.threads, run_forms, &l);
    const int32_t *length =
        l.status == ATTN_OK ? c->own.held : c->own.row0; /* new keys count, or not */
    for (int32_t b = 0; a->cache && b < a->batch; b++) a->cache->length[b] = length[b];
    return l.status;
}

static attn_status run_in_mode(const attn_block *block, const attn_block_args *a, bool reset) {
    const attn_mode mode = attn_mode_enter();
    const attn_status status = run(block, a, reset);
    attn_mode_leave(mode);
    return status;
}

attn_status attn_own_block_run(const attn_block *block, const attn_block_args *args, bool reset) {
    return run_in_mode(block, args, reset);
}

attn_status attn_block_prefill(const attn_block *block, const attn_block_args *args) {
    return run_in_mode(block, args, true);
}

attn_status attn_block_step(const attn_block *block, const attn_block_args *args) {
    return run_in_mode(block, args, false);
}
