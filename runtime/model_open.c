/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_open.c - whole models: from a generated description and files to what calls run. */
#include "model.h"
#include "mode.h"
#include "spec.h"

#include <stdio.h>
#include <stdlib.h>

/* --- Opening --- */

static void destroy(attn_model *m) {
    if (!m) return;
    for (int32_t i = 0; i < m->owned_count; i++) free(m->owned[i]);
    for (int32_t i = 0; m->block && i < m->desc->layers; i++) attn_own_block_destroy(m->block[i]);
    attn_model_source_close(&m->source);
    if (m->packed_file.data) attn_model_unmap(&m->packed_file);
    free(m->tensors.list);
    free(m->tensors.first);
    free(m->owned);
    free(m->block);
    free(m->packed);
    free(m->own.layer);
    free(m->cross.layer);
    free(m);
}

static attn_status create_blocks(attn_model *m, uint32_t flags, attn_problems *p) {
    const attn_model_desc *d = m->desc;
    m->block = calloc((size_t)d->layers + 1, sizeof *m->block);
    m->packed = calloc((size_t)d->layers + 1, sizeof *m->packed);
    if (!m->block || !m->packed) return ATTN_E_MEMORY;
    for (int32_t i = 0; i < d->layers; i++) {
        const attn_status status = attn_own_block_create(&m->block[i], &d->layer[i], flags);
        if (status == ATTN_OK) continue;
        attn_problem(p, "layer %d: %s", i, attn_status_text(status));
        return status;
    }
    m->width = attn_spec_row_dim(m->block[0]->kernel->spec);
    return ATTN_OK;
}

/* The layers of each stack, and of each kind of cache. */
static attn_status list_layers(attn_model *m) {
    const attn_model_spec *s = &m->desc->spec;
    const size_t bytes = ((size_t)m->desc->layers + 1) * sizeof *m->own.layer;
    m->main = (attn_model_stack){.first = s->encoder_layers,
                                 .end = m->desc->layers,
                                 .rows = s->input == ATTN_MODEL_INPUT_ROWS,
                                 .positions_count = s->positions};
    m->encoder = (attn_model_stack){.end = s->encoder_layers,
                                    .rows = s->encoder_input == ATTN_MODEL_INPUT_ROWS,
                                    .positions_count = s->encoder_positions};
    m->own.layer = malloc(bytes);
    m->cross.layer = malloc(bytes);
    if (!m->own.layer || !m->cross.layer) return ATTN_E_MEMORY;
    for (int32_t i = m->main.first; i < m->main.end; i++) {
        const bool cross = attn_spec_has_kv(m->block[i]->kernel->spec);
        attn_model_layers *to = cross ? &m->cross : &m->own;
        to->layer[to->count++] = i;
    }
    return ATTN_OK;
}

static attn_status open_model(attn_model *m, const char *path, const attn_model_options *o,
                              attn_problems *p) {
    attn_status status = create_blocks(m, o->flags, p);
    if (status == ATTN_OK) status = list_layers(m);
    if (status != ATTN_OK) return status;
    if (!attn_model_source_open(&m->source, path, p, &status)) return status;
    return attn_model_load(m, o, p);
}

/* The options in this library's size; what older callers do not know is 0. */
static attn_status check_options(const attn_why *why, const attn_model_options *from,
                                 attn_model_options *to) {
    static const size_t before[] = {offsetof(attn_model_options, threads), 0};
    *to = ATTN_MODEL_OPTIONS_INIT;
    attn_status status = ATTN_OK;
    if (from)
        status = attn_check_grown(why, "options", from, before, to, sizeof *to,
                                  "ATTN_MODEL_OPTIONS_INIT");
    if (status == ATTN_OK) status = attn_check_threads(why, to->threads);
    if (status == ATTN_OK)
        status = attn_check_range(why, "options.capacity", to->capacity, INT32_MAX);
    if (status == ATTN_OK) status = attn_check_pool(why, to->pool);
    const uint32_t known = ATTN_MODEL_PACKED_TRUST | ATTN_MODEL_PACKED_RENEW;
    if (status == ATTN_OK && (to->packed_flags & ~known || (to->packed_flags && !to->packed)))
        status = attn_refuse(why, ATTN_E_ARGUMENT,
                             "options.packed_flags is %u: must be of ATTN_MODEL_PACKED_.., and 0 "
                             "without a file",
                             (unsigned)to->packed_flags);
    return status;
}

static attn_status check_open(const attn_model_desc *desc, const char *path,
                              const attn_model_options *options, attn_model_options *known,
                              attn_problems *p) {
    char text[ATTN_MESSAGE_MAX];
    const attn_why why = attn_why_begin(text, sizeof text);
    if (!desc || !path) {
        attn_problem(p, "%s is null", desc ? "path" : "the model's description");
        return ATTN_E_ARGUMENT;
    }
    if (desc->abi != ATTN_KERNEL_ABI) {
        attn_problem(p, "the model was generated for another runtime");
        return ATTN_E_ABI;
    }
    const attn_status status = check_options(&why, options, known);
    if (status != ATTN_OK) {
        attn_problem(p, "%s", text);
        return status;
    }
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    attn_problem(p, "files of weights are little-endian, and this machine is not");
    return ATTN_E_WEIGHTS;
#endif
    return ATTN_OK;
}

attn_status attn_own_model_open(attn_model **out, const attn_model_desc *desc, const char *path,
                                const attn_model_options *options, char *message, size_t size) {
    attn_problems p = {message, size, 0, 0};
    attn_model_options known;
    if (message && size) *message = 0;
    if (out) *out = NULL;
    attn_status status = out ? check_open(desc, path, options, &known, &p) : ATTN_E_ARGUMENT;
    if (status != ATTN_OK) return status;
    attn_model *m = calloc(1, sizeof *m);
    if (!m) return ATTN_E_MEMORY;
    m->desc = desc;
    const attn_mode mode = attn_mode_enter();
    status = open_model(m, path, &known, &p);
    attn_mode_leave(mode);
    if (status == ATTN_OK) {
        *out = m;
        return ATTN_OK;
    }
    if (!p.count) attn_problem(&p, "%s: %s", path, attn_status_text(status));
    destroy(m);
    return status;
}

void attn_model_close(attn_model *model) {
    destroy(model);
}

attn_status attn_model_describe(const attn_model *m, attn_model_info *info) {
    const size_t old = offsetof(attn_model_info, encoder_layers);
    if (!m || !info) return ATTN_E_ARGUMENT;
    if (info->struct_size != sizeof *info && info->struct_size != old) return ATTN_E_ABI;
    attn_model_info all = {.struct_size = info->struct_size,
                           .layers = m->desc->layers,
                           .width = m->width,
                           .vocab = m->desc->spec.vocab,
                           .has_head = m->head.data != NULL,
                           .has_pool = m->desc->spec.pool != ATTN_MODEL_POOL_NONE,
                           .packed_bytes = m->packed_bytes,
                           .mapped_bytes = m->packed_file.bytes,
                           .encoder_layers = m->encoder.end,
                           .encoder_rows = m->encoder.rows};
    for (int32_t i = 0; i < m->source.files; i++) all.mapped_bytes += m->source.file[i].bytes;
    memcpy(info, &all, info->struct_size);
    return ATTN_OK;
}

/* --- Caches --- */

/* Caches that are to be, of these layers. pages: of each layer's pools, where `pooled`. */
typedef struct cache_extent {
    const attn_model_layers *layers;
    int32_t items, capacity, pages;
    bool pooled;
} cache_extent;

static attn_status layer_bytes(const attn_block *block, const cache_extent *e, size_t *bytes) {
    return e->pooled ? attn_own_cache_paged_bytes(block, e->items, e->capacity, e->pages, bytes)
                     : attn_own_cache_bytes(block, e->items, e->capacity, bytes);
}

static attn_status layer_init(const attn_block *block, const cache_extent *e, attn_cache *cache,
                              void *memory, size_t bytes) {
    return e->pooled ? attn_own_cache_paged_init(block, cache, e->items, e->capacity, e->pages,
                                                 memory, bytes)
                     : attn_own_cache_init(block, cache, e->items, e->capacity, memory, bytes);
}

static int32_t page_of(const attn_block *block) {
    return block->kernel->spec->page; /* 0: none */
}

/* Bytes of all layers' caches; where memory is given, they are made there. Layers with pages of one
 * size have one table. */
static attn_status lay_out(const attn_model *m, const cache_extent *e, char *memory,
                           attn_cache *layer, uint64_t *used) {
    *used = 0;
    attn_carve(NULL, used, (uint64_t)e->layers->count * sizeof(attn_cache));
    for (int32_t i = 0; i < e->layers->count; i++) {
        size_t bytes;
        const int32_t *number = e->layers->layer;
        const attn_block *block = m->block[number[i]];
        attn_status status = layer_bytes(block, e, &bytes);
        if (status == ATTN_OK && e->pooled && page_of(block) != page_of(m->block[number[0]]))
            status = ATTN_E_UNUSED;
        if (status != ATTN_OK) return status;
        char *at = attn_carve(memory, used, bytes);
        if (!memory) continue;
        memset(&layer[i], 0, sizeof layer[i]);
        status = layer_init(block, e, &layer[i], at, bytes);
        if (status != ATTN_OK) return status;
        int32_t first = 0;
        while (page_of(m->block[number[first]]) != page_of(block)) first++;
        layer[i].pages = layer[first].pages;
    }
    return attn_size_fits(*used) ? ATTN_OK : ATTN_E_ARGUMENT;
}

static attn_status cache_bytes(const attn_model *m, cache_extent e, size_t *bytes) {
    uint64_t used;
    if (!m || !bytes) return ATTN_E_ARGUMENT;
    *bytes = 0;
    if (!e.layers->count) return ATTN_E_UNUSED;
    const attn_status status = lay_out(m, &e, NULL, NULL, &used);
    if (status == ATTN_OK) *bytes = (size_t)used;
    return status;
}

static attn_status cache_init(const attn_model *m, attn_model_cache *cache, cache_extent e,
                              void *memory, size_t bytes) {
    uint64_t used;
    size_t need;
    if (!m || !cache) return ATTN_E_ARGUMENT;
    attn_status status = cache_bytes(m, e, &need);
    if (status == ATTN_OK)
        status = attn_check_memory(NULL, ATTN_E_CACHE, "memory", memory, "bytes", bytes, need,
                                   "attn_model_cache_bytes");
    if (status != ATTN_OK) return status;
    *cache = (attn_model_cache){sizeof *cache, e.items, e.layers->count, memory};
    return lay_out(m, &e, memory, cache->layer, &used);
}

/* Of a model that is null: none. */
static const attn_model_layers *own_of(const attn_model *m) {
    return m ? &m->own : NULL;
}

static const attn_model_layers *cross_of(const attn_model *m) {
    return m ? &m->cross : NULL;
}

attn_status attn_model_cache_bytes(const attn_model *m, int32_t items, int32_t capacity,
                                   size_t *bytes) {
    return cache_bytes(m, (cache_extent){own_of(m), items, capacity, 0, false}, bytes);
}

attn_status attn_model_cache_paged_bytes(const attn_model *m, int32_t items, int32_t capacity,
                                         int32_t page_count, size_t *bytes) {
    return cache_bytes(m, (cache_extent){own_of(m), items, capacity, page_count, true}, bytes);
}

attn_status attn_model_cross_bytes(const attn_model *m, int32_t items, int32_t capacity,
                                   size_t *bytes) {
    return cache_bytes(m, (cache_extent){cross_of(m), items, capacity, 0, false}, bytes);
}

attn_status attn_model_cache_init(const attn_model *m, attn_model_cache *cache, int32_t items,
                                  int32_t capacity, void *memory, size_t bytes) {
    const cache_extent e = {own_of(m), items, capacity, 0, false};
    return cache_init(m, cache, e, memory, bytes);
}

attn_status attn_model_cache_paged_init(const attn_model *m, attn_model_cache *cache, int32_t items,
                                        int32_t capacity, int32_t page_count, void *memory,
                                        size_t bytes) {
    const cache_extent e = {own_of(m), items, capacity, page_count, true};
    return cache_init(m, cache, e, memory, bytes);
}

attn_status attn_model_cross_init(const attn_model *m, attn_model_cache *cross, int32_t items,
                                  int32_t capacity, void *memory, size_t bytes) {
    const cache_extent e = {cross_of(m), items, capacity, 0, false};
    return cache_init(m, cross, e, memory, bytes);
}
