/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* block_check.c - calls of layers: what they need, and every reason to refuse one. */
#include "block.h"
#include "lists.h"
#include "op.h"
#include "spec.h"

static attn_block_extent extent_of(const attn_block *block, const attn_block_args *a) {
    const attn_spec *s = block->kernel->spec;
    attn_block_extent e = {.batch = a->batch, .tokens = a->tokens, .threads = a->threads};
    e.rows = a->q_begin ? a->q_begin[a->batch] - a->q_begin[0] : a->batch * a->tokens;
    e.kv_rows = attn_spec_has_kv(s) ? a->batch * a->kv_tokens : 0;
    e.cached = a->cache != NULL;
    e.keys = e.cached ? a->cache->capacity : attn_spec_has_kv(s) ? a->kv_tokens : a->tokens;
    if (!e.cached) e.keys = (int32_t)attn_layout_rows(s, e.keys); /* whole pages */
    const attn_extent core = {sizeof core, a->batch, a->tokens, e.keys, a->threads, e.rows};
    e.core_bytes = attn_plan_workspace(block->core, &core);
    if (!attn_expands(block->kernel, a->tokens)) return e;
    const uint64_t expanded = attn_plan_workspace(block->expanded, &core);
    if (expanded > e.core_bytes) e.core_bytes = expanded;
    return e;
}

/* base may be null (sizing). */
static uint64_t own_layout(const attn_block *block, const attn_block_extent *e, char *base,
                           attn_block_lists *o) {
    uint64_t used = 0;
    const uint64_t list = (uint64_t)e->batch * sizeof(int32_t);
    const bool paged = attn_cache_paged(block->kernel);
    const bool sliding = e->cached && !paged && attn_op_kept(block->kernel->spec) < ATTN_FAR;
    o->row0 = attn_carve(base, &used, list);
    o->pos0 = attn_carve(base, &used, list);
    o->held = attn_carve(base, &used, list);
    o->begin = attn_carve(base, &used, list + sizeof(int32_t));
    o->rows = attn_carve(base, &used, list);
    o->row = attn_carve(base, &used, (uint64_t)e->rows * sizeof *o->row);
    o->key_row = attn_carve(base, &used, (uint64_t)e->kv_rows * sizeof *o->key_row);
    o->seg = o->position = o->pages = NULL, o->padding = NULL;
    if (!attn_spec_has_kv(block->kernel->spec))
        o->position = attn_carve(base, &used, (uint64_t)e->rows * sizeof *o->position);
    if (attn_op_of(block->kernel->spec)->segments)
        o->seg = attn_carve(base, &used, (uint64_t)e->rows * sizeof *o->seg);
    if (sliding) o->padding = attn_carve(base, &used, (uint64_t)e->batch * (uint64_t)e->keys);
    if (paged && !e->cached)
        o->pages = attn_carve(base, &used,
                              list * (uint64_t)attn_layout_pages(block->kernel->spec, e->keys));
    return used;
}

/* Bytes of a call's workspace. */
static uint64_t call_bytes(const attn_block *block, const attn_block_extent *e) {
    attn_block_lists unused;
    return attn_plus(own_layout(block, e, NULL, &unused), block->kernel->workspace(e));
}

/* The rows of a ragged call, as far as they size it. */
static attn_status check_ends(const attn_why *why, const attn_block_args *a) {
    const int32_t *begin = a->q_begin;
    if (!begin) return ATTN_OK;
    if (begin[0] < 0)
        return attn_refuse(why, ATTN_E_LENGTH, "q_begin[0] is %d: must not be negative", begin[0]);
    if (begin[a->batch] < begin[0])
        return attn_refuse(why, ATTN_E_LENGTH,
                           "q_begin[%d] is %d: must be at least q_begin[0] = %d", a->batch,
                           begin[a->batch], begin[0]);
    const int64_t rows = (int64_t)begin[a->batch] - begin[0];
    if (rows <= INT32_MAX / 2) return ATTN_OK;
    return attn_refuse(why, ATTN_E_ARGUMENT, "q_begin has %lld rows: at most %d are allowed",
                       (long long)rows, INT32_MAX / 2);
}

/* More than INT32_MAX / 2 rows in a call. */
static attn_status check_rows(const attn_why *why, const char *name, int32_t batch, int32_t rows) {
    if ((int64_t)batch * rows <= INT32_MAX / 2) return ATTN_OK;
    return attn_refuse(why, ATTN_E_ARGUMENT,
                       "%s is %d: batch * %s must be at most %d, and batch is "
                       "%d",
                       name, rows, name, INT32_MAX / 2, batch);
}

static attn_status check_extents(const attn_why *why, const attn_block *block,
                                 const attn_block_args *a) {
    attn_status status = attn_check_range(why, "batch", a->batch, INT32_MAX);
    if (status == ATTN_OK) status = attn_check_range(why, "tokens", a->tokens, INT32_MAX);
    if (status == ATTN_OK) status = attn_check_range(why, "kv_tokens", a->kv_tokens, INT32_MAX);
    if (status == ATTN_OK) status = attn_check_threads(why, a->threads);
    if (status == ATTN_OK) status = check_ends(why, a);
    if (status == ATTN_OK && !a->q_begin) status = check_rows(why, "tokens", a->batch, a->tokens);
    if (status == ATTN_OK) status = check_rows(why, "kv_tokens", a->batch, a->kv_tokens);
    const attn_cache *c = a->cache;
    if (status == ATTN_OK && c) status = attn_check_call_cache(why, block, c, a->batch);
    if (status != ATTN_OK) return status;
    const attn_spec *s = block->kernel->spec;
    const double widest = (double)s->heads * (attn_spec_k_dim(s) + (double)s->v_dim) +
                          4 * (double)(s->d_model > 0 ? s->d_model : s->q_dim) +
                          (double)(s->ffn_dim > 0 ? s->ffn_dim : 0) +
                          (double)s->top_k * s->expert_dim +
                          (double)s->shared_experts * s->expert_dim;
    const double longest = (double)a->tokens + a->kv_tokens + (c ? c->capacity : 0);
    const attn_block_extent e = extent_of(block, a);
    if (a->batch * longest * widest < 1e15)
        return attn_check_fits(why, "the workspace", call_bytes(block, &e));
    return attn_refuse(why, ATTN_E_ARGUMENT,
                       "batch is %d and tokens, kv_tokens and cache.capacity are together %.0f: "
                       "rows would have %.1e elements; must be fewer than 1e15",
                       a->batch, longest, a->batch * longest * widest);
}

/* *a: the caller's arguments, of this library's size. */
static attn_status check_call(const attn_why *why, const attn_block *block,
                              const attn_block_args *args, attn_block_args *a) {
    static const size_t before[] = {
        offsetof(attn_block_args, pool), offsetof(attn_block_args, q_begin),
        offsetof(attn_block_args, q_position), offsetof(attn_block_args, index), 0};
    const attn_status status = attn_check_block(why, block);
    if (status != ATTN_OK) return status;
    if (!args) return attn_refuse(why, ATTN_E_ARGUMENT, "args is null");
    return attn_check_grown(why, "args", args, before, a, sizeof *a, "ATTN_BLOCK_ARGS_INIT");
}

attn_status attn_own_block_workspace(const attn_block *block, const attn_block_args *args,
                                     size_t *bytes) {
    if (!bytes) return ATTN_E_ARGUMENT;
    *bytes = 0;
    attn_block_args a;
    attn_status status = check_call(NULL, block, args, &a);
    if (status == ATTN_OK) status = check_extents(NULL, block, &a);
    if (status != ATTN_OK) return status;
    const attn_block_extent e = extent_of(block, &a);
    *bytes = (size_t)call_bytes(block, &e);
    return ATTN_OK;
}

attn_status attn_block_workspace(const attn_block *block, const attn_block_args *args,
                                 size_t *bytes) {
    return attn_own_block_workspace(block, args, bytes);
}

static attn_status unused(const attn_why *why, const char *name, const char *reason) {
    return attn_refuse(why, ATTN_E_UNUSED, "%s is given: must be left out, as %s", name, reason);
}

static attn_status check_pointers(const attn_why *why, const attn_block *block,
                                  const attn_block_args *a, bool reset) {
    const attn_spec *s = block->kernel->spec;
    const bool rows = a->batch > 0 && a->tokens > 0, segments = attn_op_of(s)->segments;
    if (rows && (!a->x || !a->y))
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "%s is null: must hold floats, [batch, tokens, width] = [%d, %d, %d]",
                           a->x ? "y" : "x", a->batch, a->tokens, attn_spec_row_dim(s));
    const size_t need = attn_packed_size(block->kernel);
    attn_status status = attn_check_memory(why, ATTN_E_ARGUMENT, "packed", a->packed, "", need,
                                           need, "attn_block_pack fills it");
    if (status != ATTN_OK) return status;
    if (rows && segments && !a->seg)
        return attn_refuse(
            why, ATTN_E_ARGUMENT,
            "seg is null: must hold int32, [batch, tokens] = [%d, %d], as the op goes "
            "by segments",
            a->batch, a->tokens);
    if (!reset && !a->cache)
        return attn_refuse(why, ATTN_E_CACHE,
                           "cache is null: a step appends to the keys of a prefill");
    if (attn_spec_has_kv(s) && !a->kv && a->kv_tokens > 0 && a->batch > 0)
        return attn_refuse(
            why, ATTN_E_ARGUMENT,
            "kv is null: must hold floats, [batch, kv_tokens, kv_dim] = [%d, %d, %d]", a->batch,
            a->kv_tokens, s->kv_dim);
    static const char own_keys[] = "the layer's keys are its own rows";
    if (!attn_spec_has_kv(s) && a->kv) return unused(why, "kv", own_keys);
    if (!attn_spec_has_kv(s) && a->kv_tokens) return unused(why, "kv_tokens", own_keys);
    if (!attn_spec_has_kv(s) && a->kv_count) return unused(why, "kv_count", own_keys);
    if (!segments && a->seg) return unused(why, "seg", "the op does not go by segments");
    if (a->q_begin && a->count) return unused(why, "count", "q_begin says how many rows exist");
    if (!attn_spec_has_kv(s) && a->q_pos) return unused(why, "q_pos", own_keys);
    if (attn_spec_has_kv(s) && a->q_position)
        return unused(why, "q_position", "keys come from kv: q_pos and kv_pos are for RoPE");
    if (!attn_spec_has_kv(s) && a->kv_pos) return unused(why, "kv_pos", own_keys);
    if (!reset && !attn_spec_has_kv(s) && !s->causal)
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "a step: this layer is not causal, so that later keys would change the "
                           "rows that are already out; use attn_block_prefill");
    return ATTN_OK;
}

/* Most keys of an item once the new ones are there. */
static int32_t longest_item(const attn_block_kernel *k, const attn_block_args *a, bool reset) {
    int32_t longest = 0;
    for (int32_t b = 0; b < a->batch; b++) {
        const attn_standing at = attn_stand_in(k, a, b, reset);
        const int32_t held = at.length - at.drop + attn_new_keys(k->spec, a, b);
        if (held > longest) longest = held;
    }
    return longest;
}

/* Positions of an item's rows; at least `least`. */
static attn_status check_positions(const attn_why *why, const attn_block_kernel *k,
                                   const attn_block_args *a, int32_t b, bool reset) {
    const attn_standing at = attn_stand_in(k, a, b, reset);
    const bool slides = a->cache && !attn_cache_paged(k) && attn_op_kept(k->spec) < ATTN_FAR;
    const int32_t least = slides ? at.start + at.length : 0;
    const int64_t first = a->q_begin ? a->q_begin[b] : b * a->q_position_batch;
    for (int32_t i = 0; a->q_position && i < attn_count_of(a, b); i++) {
        const int32_t position = a->q_position[first + i];
        if (position >= least && position < INT32_MAX) continue;
        return attn_refuse(why, ATTN_E_LENGTH,
                           "q_position of row %d of item %d is %d: must be from %d%s to %d", i, b,
                           position, least, slides ? " (start + length)" : "", INT32_MAX - 1);
    }
    return ATTN_OK;
}

/* Lengths and room, item by item. */
static attn_status check_items(const attn_why *why, const attn_block_kernel *k,
                               const attn_block_args *a, bool reset) {
    const attn_cache *c = a->cache;
    const attn_status begin = attn_check_begin(why, a->q_begin, a->batch, "tokens", a->tokens);
    if (begin != ATTN_OK) return begin;
    for (int32_t b = 0; b < a->batch; b++) {
        attn_status status =
            attn_check_item(why, "count", b, attn_count_of(a, b), "tokens", a->tokens);
        if (status == ATTN_OK)
            status = attn_check_item(why, "kv_count", b, attn_kv_count_of(a, b), "kv_tokens",
                                     a->kv_tokens);
        if (status == ATTN_OK && c) status = attn_check_held(why, k, "cache", c, b);
        if (status == ATTN_OK) status = check_positions(why, k, a, b, reset);
        if (status != ATTN_OK) return status;
        if (!c) continue;
        const int32_t added = attn_new_keys(k->spec, a, b);
        const attn_standing at = attn_stand_in(k, a, b, reset);
        if (added > c->capacity - (at.length - at.drop))
            return attn_refuse(why, ATTN_E_CACHE,
                               "cache.capacity is %d: item %d keeps %d keys and gets %d more "
                               "(attn_cache_capacity)",
                               c->capacity, b, at.length - at.drop, added);
        if ((int64_t)at.start + at.length + added > INT32_MAX)
            return attn_refuse(why, ATTN_E_CACHE,
                               "cache.start[%d] is %d: positions would pass %d with %d keys held "
                               "and %d more",
                               b, at.start, INT32_MAX, at.length, added);
    }
    return ATTN_OK;
}

/* The core's call, but for tensors that the layer makes. */
static attn_args core_call(const attn_block *block, const attn_block_args *a,
                           const attn_block_lists *o, int32_t keys) {
    const attn_spec *s = block->kernel->spec;
    attn_args c = ATTN_ARGS_INIT;
    c.batch = a->batch, c.q_len = a->tokens, c.kv_len_max = keys, c.threads = a->threads;
    c.q_start = attn_spec_has_kv(s) ? NULL : o->row0;
    c.kv_len = o->held;
    c.q_begin = a->q_begin;
    c.seg = a->seg, c.seg_batch = a->seg_batch;
    c.key_padding = a->key_padding, c.key_padding_batch = a->key_padding_batch;
    c.mask = a->mask;
    c.side = a->side, c.side_count = a->side_count;
    c.scalars = a->scalars, c.scalar_count = a->scalar_count;
    c.pool = a->pool;
    c.index = a->index, c.index_count = a->index_count;
    c.index_batch = a->index_batch, c.index_count_batch = a->index_count_batch;
    c.index_head = a->index_head, c.index_row = a->index_row;
    if (!attn_cache_paged(block->kernel)) return c;
    const int32_t own = attn_layout_pages(s, keys); /* of an item, where there is no cache */
    c.pages = a->cache ? a->cache->pages : o->pages;
    c.pages_batch = a->cache ? a->cache->pages_batch : own;
    c.page_count = a->cache ? a->cache->page_count : a->batch * own;
    return c;
}

/* [batch, rows, width] of elements, from row `first` on. */
static attn_area *add_rows(attn_areas *list, const char *name, const void *data, int64_t first,
                           int64_t width, size_t size, const attn_dim dim[2]) {
    attn_area *area =
        attn_areas_add_from(list, name, data, first, dim[0].stride, size, width * (int64_t)size);
    for (int i = 0; i < 2; i++)
        attn_area_repeat(area, dim[i].name, dim[i].count, dim[i].stride, size);
    return area;
}

static void add_scales(attn_areas *list, const attn_block_kernel *k, const attn_cache *c) {
    const int64_t k_bytes = (int64_t)attn_cache_scale_bytes(k, c, k->k_heads);
    attn_areas_add(list, "cache.k_scale", c->k_scale, k_bytes)->written = true;
    if (!k->v_dim) return; /* k's serve v */
    const int64_t v_bytes = (int64_t)attn_cache_scale_bytes(k, c, k->v_heads);
    attn_areas_add(list, "cache.v_scale", c->v_scale, v_bytes)->written = true;
}

void attn_areas_add_cache(attn_areas *list, const attn_block_kernel *k, const attn_cache *c,
                          int32_t items) {
    const int64_t word = sizeof(int32_t), list_bytes = items * word;
    attn_areas_add(list, "cache.k", c->k, (int64_t)attn_cache_k_bytes(k, c))->written = true;
    attn_areas_add(list, "cache.v", c->v, (int64_t)attn_cache_v_bytes(k, c))->written = true;
    if (attn_cache_scaled(k)) add_scales(list, k, c);
    attn_areas_add(list, "cache.length", c->length, list_bytes)->written = true;
    attn_areas_add(list, "cache.start", c->start, list_bytes)->written = true;
    if (!attn_cache_paged(k)) return;
    attn_area_repeat(attn_areas_add(list, "cache.pages", c->pages,
                                    attn_layout_pages(k->spec, c->capacity) * word),
                     "cache.pages_batch", items, c->pages_batch, sizeof(int32_t));
}

/* What the call reads and writes must not lie in each other. */
static attn_status check_areas(const attn_why *why, const attn_block *block,
                               const attn_block_args *a, const attn_args *core, size_t workspace) {
    const attn_block_kernel *k = block->kernel;
    const int64_t width = attn_spec_row_dim(k->spec), word = sizeof(float),
                  list_bytes = a->batch * word;
    const attn_cache *c = a->cache;
    const int64_t first = attn_first_row(core, 0); /* ragged rows are as those of one item */
    const int32_t rows = attn_lined_rows(core), items = attn_lined_items(core);
    attn_areas list;
    list.count = 0;
    attn_area *y =
        add_rows(&list, "y", a->y, first, width, sizeof(float),
                 (attn_dim[2]){{"y_token", rows, a->y_token}, {"y_batch", items, a->y_batch}});
    y->same_as = list.count; /* x, which comes next */
    y->written = true;
    add_rows(&list, "x", a->x, first, width, sizeof(float),
             (attn_dim[2]){{"x_token", rows, a->x_token}, {"x_batch", items, a->x_batch}});
    add_rows(&list, "kv", a->kv, 0, k->spec->kv_dim, sizeof(float),
             (attn_dim[2]){{"kv_token", a->kv_tokens, a->kv_token},
                           {"kv_batch", a->batch, a->kv_batch}});
    const struct {
        const char *name;
        const void *data;
        int32_t count, items;
        size_t size;
        int64_t batch;
    } flat[] = {{"q_pos", a->q_pos ? a->q_pos + first : NULL, rows, items, sizeof *a->q_pos,
                 a->q_pos_batch},
                {"kv_pos", a->kv_pos, a->kv_tokens, a->batch, sizeof *a->kv_pos, a->kv_pos_batch},
                {"q_position", a->q_position ? a->q_position + first : NULL, rows, items,
                 sizeof *a->q_position, a->q_position_batch},
                {"q_pad", a->q_pad ? a->q_pad + first : NULL, rows, items, sizeof *a->q_pad,
                 a->q_pad_batch}};
    for (int i = 0; i < 4; i++)
        attn_area_repeat(attn_areas_add(&list, flat[i].name, flat[i].data,
                                        flat[i].count * (int64_t)flat[i].size),
                         flat[i].name, flat[i].items, flat[i].batch, flat[i].size);
    attn_areas_add(&list, "count", a->count, list_bytes);
    attn_areas_add(&list, "kv_count", a->kv_count, list_bytes);
    attn_areas_add(&list, "packed", a->packed, (int64_t)attn_packed_size(k));
    attn_areas_add(&list, "workspace", a->workspace, (int64_t)workspace)->written = true;
    if (c) attn_areas_add_cache(&list, k, c, a->batch);
    attn_areas_add_padding(&list, core->key_padding, core->kv_len_max, 0, core->batch,
                           core->key_padding_batch);
    attn_areas_add_inputs(&list, k->core, core);
    if (a->index && core->kv_len_max > 0)
        attn_areas_add_lists(&list, &(attn_lists){k->core->spec, core, a->count});
    return attn_check_areas(why, &list);
}

/* A call that has been checked. */
attn_status attn_block_call_check(const attn_why *why, const attn_block *block,
                                  const attn_block_args *args, bool reset, attn_block_checked *c) {
    const attn_block_args *a = &c->args;
    attn_status status = check_call(why, block, args, &c->args);
    if (status != ATTN_OK) return status;
    const attn_block_kernel *k = block->kernel;
    status = check_extents(why, block, a);
    if (status == ATTN_OK) status = check_pointers(why, block, a, reset);
    if (status == ATTN_OK) status = attn_check_packed_header(why, k, a->packed);
    if (status == ATTN_OK) status = check_items(why, k, a, reset);
    if (status != ATTN_OK) return status;

    attn_block_args *own = &c->args;
    if (a->q_begin) /* rows lie by their numbers alone */
        own->x_batch = own->y_batch = own->seg_batch = own->q_pos_batch = own->q_pad_batch =
            own->q_position_batch = own->index_batch = own->index_count_batch = 0;
    c->call = (attn_block_call){.args = a, .extent = extent_of(block, a)};
    c->used = own_layout(block, &c->call.extent, a->workspace, &c->own);
    const size_t need = (size_t)(c->used + k->workspace(&c->call.extent));
    status = attn_check_memory(why, ATTN_E_WORKSPACE, "workspace", a->workspace, "workspace_bytes",
                               a->workspace_bytes, need, "attn_block_workspace");
    if (status != ATTN_OK) return status;
    c->keys = longest_item(k, a, reset);
    c->call.core = core_call(block, a, &c->own, c->keys);
    status = attn_inputs_check(why, k->core, &c->call.core);
    const attn_lists lists = {k->core->spec, &c->call.core, a->count};
    if (status == ATTN_OK) status = attn_check_lists(why, &lists);
    if (status == ATTN_OK) status = attn_check_call_pages(why, block, a, &c->call.core, reset);
    return status == ATTN_OK ? check_areas(why, block, a, &c->call.core, need) : status;
}

attn_status attn_own_block_check_call(const attn_block *block, const attn_block_args *args,
                                      bool reset, char *message, size_t size) {
    const attn_why why = attn_why_begin(message, size);
    attn_block_checked c;
    return attn_block_call_check(&why, block, args, reset, &c);
}

attn_status attn_prefill_check(const attn_block *block, const attn_block_args *args, char *message,
                               size_t size) {
    return attn_own_block_check_call(block, args, true, message, size);
}

attn_status attn_step_check(const attn_block *block, const attn_block_args *args, char *message,
                            size_t size) {
    return attn_own_block_check_call(block, args, false, message, size);
}
