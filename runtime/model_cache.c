/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_cache.c - items of a model's cache: those of all its layers' caches. */
#include "model.h"

static const attn_block *block_of(const attn_model *m, const attn_model_cache *c, int32_t i) {
    return m->block[attn_model_cache_layers(m, c)->layer[i]];
}

const attn_model_layers *attn_model_cache_layers(const attn_model *m, const attn_model_cache *c) {
    const bool cross = m->cross.count && c->layers == m->cross.count && c->layer &&
                       attn_check_cache(NULL, m->block[m->cross.layer[0]], "", c->layer) == ATTN_OK;
    return cross ? &m->cross : &m->own;
}

attn_status attn_model_check_cache(const attn_why *why, const char *name, const attn_model_cache *c,
                                   const attn_model_layers *layers) {
    if (c->struct_size == sizeof *c && c->layers == layers->count && c->layer) return ATTN_OK;
    return attn_refuse(why, ATTN_E_CACHE,
                       "%s has struct_size %u and %d layers: must be %u and %d, as "
                       "attn_model_cache_init sets them",
                       name, (unsigned)c->struct_size, c->layers, (unsigned)sizeof *c,
                       layers->count);
}

static attn_status check(const attn_why *why, const attn_model *m, const char *name,
                         const attn_model_cache *c) {
    if (!m) return attn_refuse(why, ATTN_E_ARGUMENT, "model is null");
    if (!c) return attn_refuse(why, ATTN_E_ARGUMENT, "%s is null", name);
    return attn_model_check_cache(why, name, c, attn_model_cache_layers(m, c));
}

static attn_status check_view(const attn_why *why, const attn_model *m, const attn_model_cache *c,
                              int32_t first, int32_t count, const attn_model_cache *view,
                              const attn_cache *layer) {
    attn_status status = check(why, m, "cache", c);
    if (status == ATTN_OK && (!view || !layer))
        return attn_refuse(why, ATTN_E_ARGUMENT, "%s is null", view ? "layer" : "view");
    for (int32_t i = 0; status == ATTN_OK && i < c->layers; i++)
        status =
            attn_check_cache_view(why, block_of(m, c, i), &c->layer[i], first, count, &layer[i]);
    return status;
}

static attn_status check_keep(const attn_why *why, const attn_model *m, const attn_model_cache *c,
                              int32_t item, int32_t tokens, const int32_t *slots, int32_t n) {
    attn_status status = check(why, m, "cache", c);
    for (int32_t i = 0; status == ATTN_OK && i < c->layers; i++)
        status =
            attn_check_cache_keep(why, block_of(m, c, i), &c->layer[i], item, tokens, slots, n);
    return status;
}

static attn_status check_fork(const attn_why *why, const attn_model *m,
                              const attn_model_cache *from, int32_t from_item,
                              const attn_model_cache *to, int32_t to_item) {
    attn_status status = check(why, m, "from", from);
    if (status == ATTN_OK) status = check(why, m, "to", to);
    for (int32_t i = 0; status == ATTN_OK && i < from->layers; i++)
        status = attn_check_cache_fork(why, block_of(m, from, i), &from->layer[i], from_item,
                                       &to->layer[i], to_item);
    return status;
}

attn_status attn_model_cache_view(const attn_model *m, const attn_model_cache *cache, int32_t first,
                                  int32_t count, attn_model_cache *view, attn_cache *layer) {
    const attn_status status = check_view(NULL, m, cache, first, count, view, layer);
    if (status != ATTN_OK) return status;
    for (int32_t i = 0; i < cache->layers; i++)
        attn_own_cache_view(block_of(m, cache, i), &cache->layer[i], first, count, &layer[i]);
    *view = (attn_model_cache){sizeof *view, count, cache->layers, layer};
    return ATTN_OK;
}

attn_status attn_model_cache_view_check(const attn_model *m, const attn_model_cache *cache,
                                        int32_t first, int32_t count, const attn_model_cache *view,
                                        const attn_cache *layer, char *message, size_t size) {
    const attn_why why = attn_why_begin(message, size);
    return check_view(&why, m, cache, first, count, view, layer);
}

attn_status attn_model_cache_keep(const attn_model *m, attn_model_cache *cache, int32_t item,
                                  int32_t tokens, const int32_t *slots, int32_t n) {
    const attn_status status = check_keep(NULL, m, cache, item, tokens, slots, n);
    if (status != ATTN_OK) return status;
    for (int32_t i = 0; i < cache->layers; i++)
        attn_own_cache_keep(block_of(m, cache, i), &cache->layer[i], item, tokens, slots, n);
    return ATTN_OK;
}

attn_status attn_model_cache_fork(const attn_model *m, const attn_model_cache *from,
                                  int32_t from_item, attn_model_cache *to, int32_t to_item) {
    const attn_status status = check_fork(NULL, m, from, from_item, to, to_item);
    if (status != ATTN_OK) return status;
    for (int32_t i = 0; i < from->layers; i++)
        attn_own_cache_fork(block_of(m, from, i), &from->layer[i], from_item, &to->layer[i],
                            to_item);
    return ATTN_OK;
}

attn_status attn_model_cache_keep_check(const attn_model *m, const attn_model_cache *cache,
                                        int32_t item, int32_t tokens, const int32_t *slots,
                                        int32_t n, char *message, size_t size) {
    const attn_why why = attn_why_begin(message, size);
    return check_keep(&why, m, cache, item, tokens, slots, n);
}

attn_status attn_model_cache_fork_check(const attn_model *m, const attn_model_cache *from,
                                        int32_t from_item, const attn_model_cache *to,
                                        int32_t to_item, char *message, size_t size) {
    const attn_why why = attn_why_begin(message, size);
    return check_fork(&why, m, from, from_item, to, to_item);
}

static attn_status check_own_page(const attn_why *why, const attn_model *m,
                                  const attn_model_cache *c, int32_t item, int32_t n,
                                  int32_t page) {
    attn_status status = check(why, m, "cache", c);
    for (int32_t i = 0; status == ATTN_OK && i < c->layers; i++)
        status = attn_check_cache_own_page(why, block_of(m, c, i), &c->layer[i], item, n, page);
    return status;
}

attn_status attn_model_cache_own_page(const attn_model *m, attn_model_cache *cache, int32_t item,
                                      int32_t n, int32_t page) {
    const attn_status status = check_own_page(NULL, m, cache, item, n, page);
    if (status != ATTN_OK) return status;
    for (int32_t i = 0; i < cache->layers; i++)
        attn_cache_copy_page(block_of(m, cache, i)->kernel, &cache->layer[i], item, n, page);
    for (int32_t i = 0; i < cache->layers; i++)
        cache->layer[i].pages[item * cache->layer[i].pages_batch + n] = page;
    return ATTN_OK;
}

attn_status attn_model_cache_own_page_check(const attn_model *m, const attn_model_cache *cache,
                                            int32_t item, int32_t n, int32_t page, char *message,
                                            size_t size) {
    const attn_why why = attn_why_begin(message, size);
    return check_own_page(&why, m, cache, item, n, page);
}
