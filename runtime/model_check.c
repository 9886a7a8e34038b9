/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_check.c - a model's call: what is wrong with it, and where its workspace has what. */
#include "model_call.h"

#include <stdio.h>

static const char *const from_init = "ATTN_MODEL_ARGS_INIT";

/* --- Rows --- */

static attn_status check_begin(const attn_why *why, const attn_model_args *a, attn_model_call *c) {
    attn_status status = attn_check_range(why, "items", a->items, INT32_MAX - 1);
    if (status != ATTN_OK || !a->items) return status;
    if (!a->begin)
        return attn_refuse(why, ATTN_E_ARGUMENT, "begin is null: must hold items + 1 = %d numbers",
                           a->items + 1);
    if (a->begin[0] != 0)
        return attn_refuse(why, ATTN_E_LENGTH, "begin[0] is %d: must be 0", a->begin[0]);
    for (int32_t i = 0; i < a->items; i++) {
        if (a->begin[i + 1] < a->begin[i])
            return attn_refuse(why, ATTN_E_LENGTH,
                               "begin[%d] is %d: must be at least begin[%d] = %d", i + 1,
                               a->begin[i + 1], i, a->begin[i]);
        const int32_t rows = a->begin[i + 1] - a->begin[i];
        if (rows > c->tokens) c->tokens = rows;
    }
    c->rows = a->begin[a->items];
    return ATTN_OK;
}

/* Of an item's first new row. */
static int64_t position_of(const attn_model_args *a, int32_t item) {
    if (!a->cache || !a->cache->layers) return 0;
    const attn_cache *first = &a->cache->layer[0];
    return (int64_t)first->start[item] + first->length[item];
}

/* The short factors of longrope are for so many tokens. */
static attn_status check_longest(const attn_why *why, const attn_model *m, const attn_model_args *a,
                                 int32_t rows) {
    static const char longrope_opened[] =
        "as longrope's short factors, for which options.capacity opened the model, are for so many";
    for (int32_t i = 0; i < rows && m->longest && a->position; i++)
        if (a->position[i] >= m->longest)
            return attn_refuse(why, ATTN_E_LENGTH, "position[%d] is %d: must be below %d, %s", i,
                               a->position[i], m->longest, longrope_opened);
    for (int32_t i = 0; i < a->items && m->longest && !a->position; i++) {
        const int64_t end = position_of(a, i) + a->begin[i + 1] - a->begin[i];
        if (end > m->longest && a->begin[i + 1] > a->begin[i])
            return attn_refuse(why, ATTN_E_LENGTH,
                               "item %d would have %lld tokens, more than %d, %s", i,
                               (long long)end, m->longest, longrope_opened);
    }
    return ATTN_OK;
}

static attn_status check_positions(const attn_why *why, const attn_model_call *c) {
    const attn_model_args *a = &c->args;
    const int32_t offset = c->model->desc->spec.position_offset;
    const int32_t count = a->ids || c->stack->rows ? c->stack->positions_count : 0;
    for (int32_t i = 0; i < c->rows && count && a->position; i++)
        if ((int64_t)a->position[i] + offset >= count)
            return attn_refuse(why, ATTN_E_LENGTH,
                               "position[%d] is %d: must be below %d, as the table of positions "
                               "says",
                               i, a->position[i], count - offset);
    for (int32_t i = 0; i < a->items && count && !a->position; i++) {
        const int64_t end = position_of(a, i) + a->begin[i + 1] - a->begin[i];
        if (end + offset <= count || a->begin[i + 1] == a->begin[i]) continue;
        return attn_refuse(why, ATTN_E_LENGTH,
                           "item %d would have %lld tokens: the table of positions has room for %d",
                           i, (long long)end, count - offset);
    }
    return ATTN_OK;
}

static attn_status check_numbers(const attn_why *why, const char *name, const int32_t *x,
                                 int32_t count, int32_t below) {
    for (int32_t i = 0; i < count; i++)
        if (x[i] < 0 || x[i] >= below)
            return attn_refuse(why, ATTN_E_ARGUMENT, "%s[%d] is %d: must be from 0 to %d", name, i,
                               x[i], below - 1);
    return ATTN_OK;
}

static attn_status check_stride(const attn_why *why, const char *name, const void *data,
                                int64_t *stride, int32_t width) {
    if (!data) return ATTN_OK;
    if (*stride == 0) *stride = width;
    if (*stride >= width) return ATTN_OK;
    return attn_refuse(why, ATTN_E_ARGUMENT, "%s is %lld: must be at least %d, or 0", name,
                       (long long)*stride, width);
}

static attn_status check_inputs(const attn_why *why, const attn_model *m, attn_model_call *c) {
    attn_model_args *a = &c->args;
    const attn_model_spec *s = &m->desc->spec;
    if (!c->rows) return ATTN_OK;
    if (a->ids && c->stack->rows)
        return attn_refuse(why, ATTN_E_UNUSED, "ids is given, and the %s takes rows alone: x",
                           c->encodes ? "encoder" : "model");
    if (!a->ids == !a->x)
        return attn_refuse(why, ATTN_E_ARGUMENT, "ids and x are both %s: give one of them",
                           a->ids ? "given" : "null");
    if (a->token_types && (!s->token_types || !a->ids || c->encodes))
        return attn_refuse(why, ATTN_E_UNUSED, "token_types is given, and %s",
                           a->ids ? "the model has no table of them" : "x, which has no ids");
    attn_status status = check_stride(why, "x_row", a->x, &a->x_row, m->width);
    if (status == ATTN_OK && a->ids) status = check_numbers(why, "ids", a->ids, c->rows, s->vocab);
    if (status == ATTN_OK && a->token_types)
        status = check_numbers(why, "token_types", a->token_types, c->rows, s->token_types);
    if (status == ATTN_OK) status = check_positions(why, c);
    return status == ATTN_OK ? check_longest(why, m, a, c->rows) : status;
}

/* --- Outputs --- */

static attn_status check_encoded(const attn_why *why, const attn_model_args *a) {
    const char *given = a->cache         ? "cache"
                        : a->pooled      ? "pooled"
                        : a->logits      ? "logits"
                        : a->logit_count ? "logit_count"
                                         : NULL;
    if (!given) return ATTN_OK;
    return attn_refuse(why, ATTN_E_UNUSED, "%s is given: an encoder gives hidden rows, and cross",
                       given);
}

static attn_status check_outputs(const attn_why *why, const attn_model *m, attn_model_call *c,
                                 bool sizing) {
    attn_model_args *a = &c->args;
    const attn_model_spec *s = &m->desc->spec;
    attn_status status = check_stride(why, "hidden_row", a->hidden, &a->hidden_row, m->width);
    if (status == ATTN_OK)
        status = check_stride(why, "pooled_row", a->pooled, &a->pooled_row, m->width);
    if (status == ATTN_OK)
        status = check_stride(why, "logits_row", a->logits, &a->logits_row, s->vocab);
    if (status == ATTN_OK) status = attn_check_range(why, "logit_count", a->logit_count, INT32_MAX);
    if (status != ATTN_OK) return status;
    if (a->pooled && !s->pool)
        return attn_refuse(why, ATTN_E_UNUSED,
                           "pooled is given, and the model pools no rows: pool "
                           "is none (--pool)");
    if (!sizing && !a->logits != !a->logit_count)
        return attn_refuse(why, ATTN_E_ARGUMENT, "logits is %s, and logit_count is %d",
                           a->logits ? "given" : "null", a->logit_count);
    if (!a->logit_count) return ATTN_OK;
    if (!m->head.data)
        return attn_refuse(why, ATTN_E_UNUSED, "logits are wanted, and the model has no head");
    if (sizing) return ATTN_OK;
    if (!a->logit_rows) return attn_refuse(why, ATTN_E_ARGUMENT, "logit_rows is null");
    return check_numbers(why, "logit_rows", a->logit_rows, a->logit_count, c->rows);
}

/* --- The cache --- */

/* name: "cache" or "cross", of these layers. */
static attn_status check_cache(const attn_why *why, const attn_model_call *call, const char *name,
                               const attn_model_cache *c, const attn_model_layers *layers) {
    const int32_t items = call->args.items;
    char first[32];
    if (!c) return ATTN_OK;
    if (c->struct_size != sizeof *c)
        return attn_refuse(why, ATTN_E_CACHE,
                           "%s.struct_size is %u: must be %u, as attn_model_%s_init sets it", name,
                           (unsigned)c->struct_size, (unsigned)sizeof *c, name);
    if (c->layers != layers->count || !c->layer)
        return attn_refuse(why, ATTN_E_CACHE, "%s has %d layers: the model has %d", name, c->layers,
                           layers->count);
    if (c->items != items)
        return attn_refuse(why, ATTN_E_CACHE,
                           "%s has %d items: must be the call's %d; items without new rows have "
                           "equal begins",
                           name, c->items, items);
    snprintf(first, sizeof first, "%s.layer[0]", name);
    const attn_block *block = call->model->block[layers->layer[0]];
    const attn_status status = attn_check_cache(why, block, first, &c->layer[0]);
    if (status != ATTN_OK || c->layer[0].batch == items) return status;
    return attn_refuse(why, ATTN_E_CACHE, "%s.batch is %d: must be %s.items = %d", first,
                       c->layer[0].batch, name, items);
}

/* Keys of the encoder's. */
static attn_status check_cross(const attn_why *why, const attn_model_call *c) {
    const attn_model *m = c->model;
    const attn_model_cache *cross = c->args.cross;
    if (cross && !m->cross.count)
        return attn_refuse(why, ATTN_E_UNUSED, "cross is given, and the model has no encoder");
    if (!cross && m->cross.count && !c->encodes)
        return attn_refuse(why, ATTN_E_CACHE,
                           "cross is null: must be what attn_model_encode wrote");
    return check_cache(why, c, "cross", cross, &m->cross);
}

/* --- The workspace --- */

static attn_cache *cache_of(attn_model_cache *c, const attn_model_layers *layers, int32_t layer) {
    int32_t at = 0;
    while (c && layers->layer[at] != layer) at++;
    return c ? &c->layer[at] : NULL;
}

static bool has_kv(const attn_model_call *c, int32_t layer) {
    return attn_spec_has_kv(c->model->block[layer]->kernel->spec);
}

static attn_block_args layer_args(const attn_model_call *c, int32_t layer) {
    attn_block_args b = ATTN_BLOCK_ARGS_INIT;
    b.batch = c->args.items, b.threads = c->args.threads;
    b.packed = c->model->packed[layer];
    b.workspace = c->layers;
    b.workspace_bytes = (size_t)c->layers_bytes;
    b.pool = c->args.pool;
    return b;
}

attn_block_args attn_model_layer_args(const attn_model_call *c, int32_t layer) {
    const attn_model *m = c->model;
    const attn_model_args *a = &c->args;
    attn_block_args b = layer_args(c, layer);
    b.tokens = c->tokens;
    b.x = b.y = c->h;
    b.x_token = b.y_token = m->width;
    b.q_begin = a->begin;
    if (has_kv(c, layer)) {
        b.cache = cache_of(a->cross, &m->cross, layer);
        return b;
    }
    b.cache = c->encodes ? NULL : cache_of(a->cache, &m->own, layer);
    if (c->stack->bias.count) b.side = &c->stack->bias, b.side_count = 1;
    b.q_position = a->position;
    b.mask = a->mask;
    return b;
}

bool attn_model_layer_resets(const attn_model_call *c, int32_t layer) {
    return !c->args.cache && !has_kv(c, layer);
}

attn_block_args attn_model_cross_args(const attn_model_call *c, int32_t n) {
    const attn_model *m = c->model;
    attn_block_args b = layer_args(c, m->cross.layer[n]);
    b.kv = c->kv;
    b.kv_token = m->width, b.kv_batch = (int64_t)c->tokens * m->width;
    b.kv_tokens = c->tokens, b.kv_count = c->kept;
    b.cache = &c->args.cross->layer[n];
    return b;
}

/* base may be null (sizing); returns the bytes. */
static uint64_t lay_out(attn_model_call *c, char *base) {
    const uint64_t width = (uint64_t)c->model->width * sizeof(float);
    uint64_t used = 0;
    const uint64_t threads = c->threads > 1 ? (uint64_t)c->threads : 1;
    c->h = attn_carve(base, &used, attn_times((uint64_t)c->rows, width));
    const uint64_t picked = (uint64_t)attn_model_head_width(c->model) * sizeof(float);
    const uint64_t buffer = (uint64_t)attn_model_buffer(c->model) * sizeof(float);
    c->picked = attn_carve(base, &used, attn_times((uint64_t)c->args.logit_count, picked));
    c->buffer = attn_carve(base, &used, attn_times(threads, buffer));
    if (attn_model_crossings(c)) {
        const uint64_t items = (uint64_t)c->args.items;
        c->kept = attn_carve(base, &used, attn_times(items, sizeof *c->kept));
        c->kv = attn_carve(base, &used, attn_times(items, attn_times((uint64_t)c->tokens, width)));
    }
    c->layers = attn_carve(base, &used, c->layers_bytes);
    return used;
}

static attn_status size_layer(const attn_why *why, attn_model_call *c, int32_t layer,
                              const attn_block_args *b) {
    size_t bytes;
    const attn_status status = attn_own_block_workspace(c->model->block[layer], b, &bytes);
    if (status != ATTN_OK)
        return attn_refuse(why, status, "layer %d: %s", layer, attn_status_text(status));
    if (bytes > c->layers_bytes) c->layers_bytes = bytes;
    return ATTN_OK;
}

/* The most that a layer needs. */
static attn_status size_layers(const attn_why *why, attn_model_call *c) {
    attn_status status = ATTN_OK;
    for (int32_t i = c->stack->first; i < c->stack->end && status == ATTN_OK; i++) {
        const attn_block_args b = attn_model_layer_args(c, i);
        status = size_layer(why, c, i, &b);
    }
    for (int32_t i = 0; i < attn_model_crossings(c) && status == ATTN_OK; i++) {
        const attn_block_args b = attn_model_cross_args(c, i);
        status = size_layer(why, c, c->model->cross.layer[i], &b);
    }
    return status;
}

/* --- Memory --- */

static void add_output(attn_areas *list, const char *name, const float *data, int64_t width,
                       const char *stride_name, int64_t count, int64_t stride) {
    attn_area *area = attn_areas_add(list, name, data, width * (int64_t)sizeof(float));
    attn_area_repeat(area, stride_name, count, stride, sizeof(float));
    area->written = true;
}

/* All but what the layers know: masks and caches. */
static void add_call(attn_areas *list, const attn_model_call *c, size_t workspace) {
    const attn_model_args *a = &c->args;
    const int64_t word = sizeof(int32_t), rows = c->rows * word;
    list->count = 0;
    add_output(list, "hidden", a->hidden, c->model->width, "hidden_row", c->rows, a->hidden_row);
    add_output(list, "logits", a->logits, c->model->desc->spec.vocab, "logits_row", a->logit_count,
               a->logits_row);
    add_output(list, "pooled", a->pooled, c->model->width, "pooled_row", a->items, a->pooled_row);
    attn_areas_add(list, "workspace", a->workspace, (int64_t)workspace)->written = true;
    attn_areas_add(list, "begin", a->begin, (a->items + (int64_t)1) * word);
    attn_areas_add(list, "ids", a->ids, rows);
    attn_areas_add(list, "position", a->position, rows);
    attn_areas_add(list, "token_types", a->token_types, rows);
    attn_areas_add(list, "logit_rows", a->logit_rows, a->logit_count * word);
    attn_area_repeat(attn_areas_add(list, "x", a->x, c->model->width * (int64_t)sizeof(float)),
                     "x_row", c->rows, a->x_row, sizeof(float));
    if (a->cache)
        attn_areas_add(list, "cache.layer", a->cache->layer,
                       a->cache->layers * (int64_t)sizeof(attn_cache));
}

static attn_status check_areas(const attn_why *why, const attn_model_call *c, size_t workspace) {
    attn_areas list;
    add_call(&list, c, workspace);
    return attn_check_areas(why, &list);
}

/* What a layer adds to the call's memory, and the tokens that its cache holds: as many as layer
 * 0's. Layers with keys of a second input hold those. */
static attn_status check_beside(const attn_why *why, const attn_model_call *c, int32_t layer,
                                const attn_block_args *b, size_t workspace) {
    const attn_block_kernel *k = c->model->block[layer]->kernel;
    attn_areas list;
    if (!b->cache && b->mask.type == ATTN_MASK_NONE) return ATTN_OK;
    add_call(&list, c, workspace);
    attn_areas_add_mask(&list, &b->mask);
    if (b->cache) attn_areas_add_cache(&list, k, b->cache, b->batch);
    for (int32_t i = 0; b->cache && !attn_spec_has_kv(k->spec) && i < b->batch; i++) {
        const int64_t held = (int64_t)b->cache->start[i] + b->cache->length[i];
        if (held == position_of(&c->args, i)) continue;
        return attn_refuse(why, ATTN_E_CACHE,
                           "cache.layer[%d] holds %lld tokens of item %d, and cache.layer[0] %lld: "
                           "must be as many in all layers",
                           (int)(b->cache - c->args.cache->layer), (long long)held, i,
                           (long long)position_of(&c->args, i));
    }
    return attn_check_areas(why, &list);
}

/* One mask serves layers whose keys have the same numbers. */
static attn_status check_mask(const attn_why *why, const attn_model_call *c, int32_t layer,
                              const attn_block_args *b) {
    const attn_block_kernel *k = c->model->block[layer]->kernel;
    for (int32_t i = 0; b->cache && b->mask.type != ATTN_MASK_NONE && i < b->batch; i++) {
        const attn_standing at = attn_stand_in(k, b, i, false);
        if (at.start == 0 && at.drop == 0) continue;
        return attn_refuse(why, ATTN_E_CACHE,
                           "mask is given, and layer %d has let go of keys of item %d: a mask "
                           "needs a cache with room for all tokens, or one in pages",
                           layer, i);
    }
    return ATTN_OK;
}

static attn_status check_layer(const attn_why *why, const attn_model_call *c, int32_t layer,
                               const attn_block_args *b, bool reset) {
    char text[ATTN_MESSAGE_MAX];
    const attn_status status =
        attn_own_block_check_call(c->model->block[layer], b, reset, why ? text : NULL, sizeof text);
    if (status != ATTN_OK) return attn_refuse(why, status, "layer %d: %s", layer, text);
    return check_mask(why, c, layer, b);
}

/* What the layers say. */
static attn_status check_layers(const attn_why *why, const attn_model_call *c, size_t workspace) {
    attn_status status = ATTN_OK;
    for (int32_t i = c->stack->first; i < c->stack->end && status == ATTN_OK; i++) {
        const attn_block_args b = attn_model_layer_args(c, i);
        status = check_layer(why, c, i, &b, attn_model_layer_resets(c, i));
        if (status == ATTN_OK) status = check_beside(why, c, i, &b, workspace);
    }
    for (int32_t i = 0; i < attn_model_crossings(c) && status == ATTN_OK; i++) {
        attn_block_args b = attn_model_cross_args(c, i);
        b.kv_count = NULL; /* not counted yet: as many as the longest item has */
        status = check_layer(why, c, c->model->cross.layer[i], &b, true);
        if (status == ATTN_OK)
            status = check_beside(why, c, c->model->cross.layer[i], &b, workspace);
    }
    return status;
}

/* --- The whole --- */

attn_status attn_model_call_check(const attn_why *why, const attn_model_question *q,
                                  attn_model_call *c, size_t *bytes) {
    static const size_t before[] = {offsetof(attn_model_args, position),
                                    offsetof(attn_model_args, cross), 0};
    const attn_model *m = q->model;
    const bool sizing = q->sizing;
    *c = (attn_model_call){.model = m, .encodes = q->encodes};
    attn_model_args *a = &c->args;
    if (!m || !q->args)
        return attn_refuse(why, ATTN_E_ARGUMENT, "%s is null", m ? "args" : "model");
    if (q->encodes && !m->encoder.end)
        return attn_refuse(why, ATTN_E_UNUSED, "the model has no encoder beside its layers");
    c->stack = q->encodes ? &m->encoder : &m->main;
    attn_status status = attn_check_grown(why, "args", q->args, before, a, sizeof *a, from_init);
    if (status == ATTN_OK) status = check_begin(why, a, c);
    if (status == ATTN_OK) status = attn_check_threads(why, a->threads);
    if (status == ATTN_OK) status = attn_check_pool(why, a->pool);
    if (status == ATTN_OK && q->encodes) status = check_encoded(why, a);
    if (status == ATTN_OK) status = check_cache(why, c, "cache", a->cache, &m->own);
    if (status == ATTN_OK) status = check_cross(why, c);
    if (status == ATTN_OK) status = check_outputs(why, m, c, sizing);
    if (status == ATTN_OK && !sizing) status = check_inputs(why, m, c);
    if (status != ATTN_OK) return status;
    c->threads = attn_team_limit(a->pool, a->threads);
    status = size_layers(why, c);
    if (status != ATTN_OK) return status;
    const uint64_t need = lay_out(c, NULL);
    if ((status = attn_check_fits(why, "the workspace", need)) != ATTN_OK) return status;
    *bytes = (size_t)need;
    if (sizing) return ATTN_OK;
    status = attn_check_memory(why, ATTN_E_WORKSPACE, "workspace", a->workspace, "workspace_bytes",
                               a->workspace_bytes, *bytes, "attn_model_bytes");
    if (status == ATTN_OK) status = check_areas(why, c, *bytes);
    if (status != ATTN_OK) return status;
    lay_out(c, a->workspace);
    return check_layers(why, c, *bytes);
}
