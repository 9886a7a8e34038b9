/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* block_run.c - calls of layers. */
#include "block.h"
#include "mode.h"
#include "op.h"

/* Fills row0, pos0 and held, and makes room in the cache. */
static void place_items(const attn_block *block, const attn_block_args *a,
                        const attn_block_lists *o, bool reset) {
    const attn_block_kernel *k = block->kernel;
    for (int32_t b = 0; b < a->batch; b++) {
        const attn_standing at = attn_stand_in(k, a, b, reset);
        if (a->cache) attn_cache_let_go(k, a->cache, b, &at);
        o->row0[b] = at.length - at.drop;
        o->pos0[b] = at.start + at.length;
        o->held[b] = o->row0[b] + attn_new_keys(k->spec, a, b);
    }
}

/* Where keys lie in pages of the workspace: item after item. */
static void place_pages(const attn_args *core, const attn_block_lists *o) {
    for (int32_t i = 0; o->pages && i < core->page_count; i++) o->pages[i] = i;
}

/* Rows of so many heads of this width, as the cache has them. */
static attn_out cached(const attn_block_kernel *k, const attn_cache *c, void *data, int32_t heads,
                       int32_t width) {
    const int64_t key = (int64_t)heads * width, head = (int64_t)c->capacity * width;
    if (attn_cache_paged(k)) return (attn_out){data, k->spec->page * key, width, key};
    return (attn_out){data, heads * head, head, width};
}

static attn_scales_out cached_scales(const attn_block_kernel *k, const attn_cache *c, float *data,
                                     int32_t heads) {
    const attn_out at = cached(k, c, data, heads, 1);
    return (attn_scales_out){data, at.batch, at.head, at.token};
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

/* Lists lie as the caller's rows do: by item, or by row from the first of the call's on. */
static void place_lists(const attn_block_args *a, attn_args *core) {
    core->index_by_item = !a->q_begin;
    if (!a->index || !a->q_begin) return;
    core->index = a->index + a->q_begin[0] * a->index_row;
    core->index_count = a->index_count + a->q_begin[0];
}

/* Rows that attend: padding at an item's end is as if it were not there. */
static int32_t attending(const attn_block_args *a, int32_t b, int32_t count) {
    const int64_t first = b * a->q_pad_batch + (a->q_begin ? a->q_begin[b] : 0);
    const uint8_t *pad = a->q_pad ? a->q_pad + first : NULL;
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

/* An item's rows take part: those of x, and those of kv. */
static void list_item(attn_block_call *call, const attn_block_lists *o, int32_t b) {
    const attn_block_args *a = call->args;
    const int32_t count = attn_count_of(a, b), first = a->q_begin ? a->q_begin[b] : 0;
    const int32_t keys = a->kv ? attn_kv_count_of(a, b) : 0;
    const int32_t moved = o->pos0[b] - o->row0[b]; /* keys that the cache has let go of */
    attn_block_extent *e = &call->extent;
    o->rows[b] = attending(a, b, count);
    for (int32_t i = 0; i < count; i++, e->rows++) {
        o->row[e->rows] = (attn_block_row){b, i, first + i};
        if (o->seg) o->seg[e->rows] = a->seg[b * a->seg_batch + first + i];
        if (a->q_position)
            o->position[e->rows] = a->q_position[b * a->q_position_batch + first + i] - moved;
    }
    for (int32_t i = 0; i < keys; i++) o->key_row[e->kv_rows++] = (attn_block_row){b, i, i};
    if (count > e->tokens) e->tokens = count;
}

/* Runs the items of one form. */
static attn_status run_form(const attn_block_kernel *k, attn_block_call *call,
                            const attn_block_lists *o, bool expanded) {
    const attn_block_args *a = call->args;
    attn_block_extent *e = &call->extent;
    bool any = false;
    e->tokens = e->rows = e->kv_rows = 0;
    for (int32_t b = 0; b < a->batch; b++) {
        const bool here = attn_expands(k, attn_count_of(a, b)) == expanded;
        o->begin[b] = e->rows, o->rows[b] = 0;
        if (here) list_item(call, o, b);
        any = any || here;
    }
    o->begin[a->batch] = e->rows;
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
    const attn_block_lists *o = &l->checked.own;
    l->status = run_form(l->kernel, call, o, false);
    if (l->status == ATTN_OK && l->kernel->expanded) l->status = run_form(l->kernel, call, o, true);
}

static __attribute__((noinline)) attn_status
run(const attn_block *block, const attn_block_args *args, bool reset, attn_team *const *team) {
    layer_call l = {0};
    attn_block_checked *c = &l.checked;
    attn_status status = attn_block_call_check(NULL, block, args, reset, c);
    if (status != ATTN_OK) return status;
    const attn_block_args *a = &c->args;
    const attn_block_kernel *k = l.kernel = block->kernel;
    attn_block_call *call = &c->call;
    call->extent.threads = call->core.threads = attn_team_limit(a->pool, a->threads);
    place_items(block, a, &c->own, reset);
    place_pages(&call->core, &c->own);
    shift_padding(block, a, &c->own, c->keys, &call->core);
    call->row0 = c->own.row0, call->pos0 = c->own.pos0, call->held = c->own.held;
    call->begin = call->core.q_begin = c->own.begin, call->rows = c->own.rows;
    call->row = c->own.row, call->key_row = c->own.key_row;
    call->core.seg = c->own.seg, call->core.seg_batch = 0;
    place_lists(a, &call->core);
    if (a->q_position) call->core.q_position = call->core.k_position = c->own.position;
    if (a->cache) {
        call->k = cached(k, a->cache, a->cache->k, k->k_heads, k->k_dim);
        call->v = cached(k, a->cache, a->cache->v, k->v_heads, k->v_dim);
        if (attn_cache_scaled(k)) {
            call->k_scale = cached_scales(k, a->cache, a->cache->k_scale, k->k_heads);
            call->v_scale = cached_scales(k, a->cache, a->cache->v_scale, k->v_heads);
        }
    }
    call->packed = attn_packed_floats(a->packed);
    call->run_core = block->reference ? run_reference : run_kernel;
    call->workspace = (char *)a->workspace + c->used;
    if (a->batch > 0 && team)
        run_forms(&l, *team);
    else if (a->batch > 0)
        attn_team_run(a->pool, call->extent.threads, run_forms, &l);
    const int32_t *length =
        l.status == ATTN_OK ? c->own.held : c->own.row0; /* new keys count, or not */
    for (int32_t b = 0; a->cache && b < a->batch; b++) a->cache->length[b] = length[b];
    return l.status;
}

static attn_status run_in_mode(const attn_block *block, const attn_block_args *a, bool reset,
                               attn_team *const *team) {
    const attn_mode mode = attn_mode_enter();
    const attn_status status = run(block, a, reset, team);
    attn_mode_leave(mode);
    return status;
}

attn_status attn_own_block_run(const attn_block *block, const attn_block_args *args, bool reset,
                               attn_team *const *team) {
    return run_in_mode(block, args, reset, team);
}

attn_status attn_block_prefill(const attn_block *block, const attn_block_args *args) {
    return run_in_mode(block, args, true, NULL);
}

attn_status attn_block_step(const attn_block *block, const attn_block_args *args) {
    return run_in_mode(block, args, false, NULL);
}
