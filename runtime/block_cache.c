/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* block_cache.c - caches: memory shared out, keys that stay and keys that go. */
#include "block.h"
#include "layout.h"
#include "op.h"
#include "spec.h"
#include "types.h"

/* Numbers of keys change where keys go: all stay where an expression would notice. */
int64_t attn_cache_kept(const attn_block_kernel *k) {
    const attn_expr_hooks *expr = k->core->expr;
    return expr && !expr->relative ? ATTN_FAR : attn_op_kept(k->spec);
}

int32_t attn_cache_capacity(const attn_block *block, int32_t total, int32_t chunk) {
    if (!block || total < 0 || chunk < 0) return 0;
    if (attn_cache_paged(block->kernel)) return total;
    const int64_t kept = attn_cache_kept(block->kernel);
    const int64_t least = kept < total ? kept + chunk : total;
    return least < total ? (int32_t)least : total;
}

/* --- Memory --- */

/* Which spec a cache is for: the kernel's name up to "__", which says all of it and no instruction
 * set. */
static uint64_t cache_layer(const attn_block_kernel *k) {
    const char *end = strstr(k->name, "__");
    return attn_name_hash(k->name, end ? (size_t)(end - k->name) : strlen(k->name));
}

/* What elements of keys and values are stored in: attn_type. */
static int32_t stored_type(const attn_block_kernel *k) {
    return attn_spec_types(k->spec).k;
}

/* Caches of f32 are those of callers from before types, and have no member of theirs; nor have
 * dense ones of pages. */
static size_t struct_bytes(const attn_block_kernel *k) {
    if (attn_cache_paged(k)) return sizeof(attn_cache);
    return stored_type(k) == ATTN_TYPE_F32 ? offsetof(attn_cache, type)
                                           : offsetof(attn_cache, pages);
}

static size_t row_bytes(const attn_block_kernel *k, int32_t dim) {
    return (size_t)dim * attn_type_size(stored_type(k));
}

/* Rows of so many heads for all items, of `row` bytes each. */
static uint64_t rows_bytes(const attn_block_kernel *k, const attn_cache *c, int32_t heads,
                           size_t row) {
    const uint64_t keys = attn_cache_paged(k) ? (uint64_t)c->page_count * (uint64_t)k->spec->page
                                              : (uint64_t)c->batch * (uint64_t)c->capacity;
    return attn_times(attn_times(keys, (uint64_t)heads), row);
}

uint64_t attn_cache_k_bytes(const attn_block_kernel *k, const attn_cache *c) {
    return rows_bytes(k, c, k->k_heads, row_bytes(k, k->k_dim));
}

uint64_t attn_cache_v_bytes(const attn_block_kernel *k, const attn_cache *c) {
    return rows_bytes(k, c, k->v_heads, row_bytes(k, k->v_dim));
}

uint64_t attn_cache_scale_bytes(const attn_block_kernel *k, const attn_cache *c, int32_t heads) {
    return rows_bytes(k, c, heads, sizeof(float));
}

bool attn_cache_scaled(const attn_block_kernel *k) {
    return attn_type_scaled(stored_type(k));
}

/* Bytes of k, v, their scales, length, start and table; memory may be null (sizing). Where they are
 * many, k and v must not end up a power of two apart: attn.h, attn_args. */
static uint64_t cache_layout(const attn_block_kernel *k, attn_cache *c, char *memory) {
    enum { MANY = 1 << 20, APART = 64 << 10 };
    uint64_t used = 0;
    const uint64_t list = (uint64_t)c->batch * sizeof(int32_t), keys = attn_cache_k_bytes(k, c);
    const bool apart = keys >= MANY && k->v_dim;
    c->k = attn_carve(memory, &used, apart ? attn_plus(keys, APART) : keys);
    c->v = attn_carve(memory, &used, attn_cache_v_bytes(k, c));
    if (!k->v_dim) c->v = c->k;
    if (attn_cache_scaled(k))
        c->k_scale = attn_carve(memory, &used, attn_cache_scale_bytes(k, c, k->k_heads));
    if (attn_cache_scaled(k) && k->v_dim)
        c->v_scale = attn_carve(memory, &used, attn_cache_scale_bytes(k, c, k->v_heads));
    c->length = attn_carve(memory, &used, list);
    c->start = attn_carve(memory, &used, list);
    c->pages_batch = attn_layout_pages(k->spec, c->capacity);
    if (attn_cache_paged(k))
        c->pages = attn_carve(memory, &used, attn_times((uint64_t)c->pages_batch, list));
    return used;
}

/* A cache that is to be. */
typedef struct cache_extent {
    int32_t batch, capacity, pages;
    bool pooled; /* with so many pages; else items have all of their own, if keys lie in such */
    const char *needed_by;
} cache_extent;

static cache_extent plain(int32_t batch, int32_t capacity) {
    return (cache_extent){batch, capacity, 0, false, "attn_cache_bytes"};
}

static cache_extent pooled(int32_t batch, int32_t capacity, int32_t pages) {
    return (cache_extent){batch, capacity, pages, true, "attn_cache_paged_bytes"};
}

static int64_t pages_of(const attn_block_kernel *k, const cache_extent *e) {
    if (e->pooled) return e->pages;
    return (int64_t)e->batch * attn_layout_pages(k->spec, e->capacity);
}

static attn_cache cache_of(const attn_block_kernel *k, const cache_extent *e) {
    return (attn_cache){
        .batch = e->batch, .capacity = e->capacity, .page_count = (int32_t)pages_of(k, e)};
}

static uint64_t cache_size(const attn_block_kernel *k, const cache_extent *e) {
    attn_cache c = cache_of(k, e);
    return cache_layout(k, &c, NULL);
}

static attn_status check_page_count(const attn_why *why, const attn_block_kernel *k,
                                    const cache_extent *e) {
    if (!attn_cache_paged(k) && e->pooled)
        return attn_refuse(why, ATTN_E_UNUSED,
                           "page_count is given: this layer's cache has no pages; use "
                           "attn_cache_bytes and attn_cache_init");
    if (e->pooled) return attn_check_range(why, "page_count", e->pages, INT32_MAX);
    if (pages_of(k, e) <= INT32_MAX) return ATTN_OK;
    return attn_refuse(why, ATTN_E_ARGUMENT,
                       "batch is %d and capacity is %d: the cache would have %lld pages; must be "
                       "at most %d",
                       e->batch, e->capacity, (long long)pages_of(k, e), INT32_MAX);
}

static attn_status check_cache_size(const attn_why *why, const attn_block *block,
                                    const cache_extent *e) {
    attn_status status = attn_check_block(why, block);
    if (status == ATTN_OK) status = attn_check_range(why, "batch", e->batch, INT32_MAX);
    if (status == ATTN_OK) status = attn_check_range(why, "capacity", e->capacity, INT32_MAX);
    if (status == ATTN_OK) status = check_page_count(why, block->kernel, e);
    if (status != ATTN_OK) return status;
    const attn_block_kernel *k = block->kernel;
    const double rows = attn_cache_paged(k) ? (double)pages_of(k, e) * k->spec->page
                                            : (double)e->batch * e->capacity;
    const double values = rows * (k->k_heads * (double)k->k_dim + k->v_heads * (double)k->v_dim);
    if (values <= 1e15) return attn_check_fits(why, "the cache", cache_size(k, e));
    return attn_refuse(why, ATTN_E_ARGUMENT,
                       "batch is %d, capacity is %d%s: the cache would hold %.1e values; must be "
                       "at most 1e15",
                       e->batch, e->capacity, e->pooled ? ", and page_count is given" : "", values);
}

static attn_status cache_bytes(const attn_block *block, cache_extent e, size_t *bytes) {
    if (!bytes) return ATTN_E_ARGUMENT;
    *bytes = 0;
    const attn_status status = check_cache_size(NULL, block, &e);
    if (status == ATTN_OK) *bytes = (size_t)cache_size(block->kernel, &e);
    return status;
}

attn_status attn_own_cache_bytes(const attn_block *block, int32_t batch, int32_t capacity,
                                 size_t *bytes) {
    return cache_bytes(block, plain(batch, capacity), bytes);
}

attn_status attn_own_cache_paged_bytes(const attn_block *block, int32_t batch, int32_t capacity,
                                       int32_t page_count, size_t *bytes) {
    return cache_bytes(block, pooled(batch, capacity, page_count), bytes);
}

attn_status attn_cache_bytes(const attn_block *block, int32_t batch, int32_t capacity,
                             size_t *bytes) {
    return attn_own_cache_bytes(block, batch, capacity, bytes);
}

attn_status attn_cache_paged_bytes(const attn_block *block, int32_t batch, int32_t capacity,
                                   int32_t page_count, size_t *bytes) {
    return attn_own_cache_paged_bytes(block, batch, capacity, page_count, bytes);
}

static attn_status check_cache_memory(const attn_why *why, const attn_block *block,
                                      const cache_extent *e, const void *memory, size_t bytes) {
    const attn_status status = check_cache_size(why, block, e);
    if (status != ATTN_OK) return status;
    const size_t need = (size_t)cache_size(block->kernel, e);
    if (!memory && e->batch > 0)
        return attn_refuse(why, ATTN_E_ARGUMENT, "memory is null: %llu bytes are needed (%s)",
                           (unsigned long long)need, e->needed_by);
    return attn_check_memory(why, ATTN_E_CACHE, "memory", memory, "bytes", bytes, need,
                             e->needed_by);
}

attn_status attn_cache_memory_check(const attn_block *block, int32_t batch, int32_t capacity,
                                    const void *memory, size_t bytes, char *message, size_t size) {
    const attn_why why = attn_why_begin(message, size);
    const cache_extent e = plain(batch, capacity);
    return check_cache_memory(&why, block, &e, memory, bytes);
}

attn_status attn_cache_paged_memory_check(const attn_block *block, int32_t batch, int32_t capacity,
                                          int32_t page_count, const void *memory, size_t bytes,
                                          char *message, size_t size) {
    const attn_why why = attn_why_begin(message, size);
    const cache_extent e = pooled(batch, capacity, page_count);
    return check_cache_memory(&why, block, &e, memory, bytes);
}

static attn_status cache_init(const attn_block *block, attn_cache *cache, cache_extent e,
                              void *memory, size_t bytes) {
    if (!cache) return ATTN_E_ARGUMENT;
    const attn_status status = check_cache_memory(NULL, block, &e, memory, bytes);
    if (status != ATTN_OK) return status;
    const attn_block_kernel *k = block->kernel;
    const size_t size = struct_bytes(k); /* callers may have no more of it */
    attn_cache c = cache_of(k, &e);
    c.struct_size = (uint32_t)size;
    c.type = stored_type(k);
    cache_layout(k, &c, memory);
    c.layer = cache_layer(k);
    for (int32_t b = 0; b < e.batch; b++) c.length[b] = c.start[b] = 0;
    for (int64_t i = 0; attn_cache_paged(k) && i < e.batch * c.pages_batch; i++)
        c.pages[i] = e.pooled ? -1 : (int32_t)i;
    memcpy(cache, &c, size);
    return ATTN_OK;
}

attn_status attn_own_cache_init(const attn_block *block, attn_cache *cache, int32_t batch,
                                int32_t capacity, void *memory, size_t bytes) {
    return cache_init(block, cache, plain(batch, capacity), memory, bytes);
}

attn_status attn_own_cache_paged_init(const attn_block *block, attn_cache *cache, int32_t batch,
                                      int32_t capacity, int32_t page_count, void *memory,
                                      size_t bytes) {
    return cache_init(block, cache, pooled(batch, capacity, page_count), memory, bytes);
}

attn_status attn_cache_init(const attn_block *block, attn_cache *cache, int32_t batch,
                            int32_t capacity, void *memory, size_t bytes) {
    return attn_own_cache_init(block, cache, batch, capacity, memory, bytes);
}

attn_status attn_cache_paged_init(const attn_block *block, attn_cache *cache, int32_t batch,
                                  int32_t capacity, int32_t page_count, void *memory,
                                  size_t bytes) {
    return attn_own_cache_paged_init(block, cache, batch, capacity, page_count, memory, bytes);
}

attn_status attn_check_cache(const attn_why *why, const attn_block *block, const char *name,
                             const attn_cache *c) {
    const attn_status status = attn_check_block(why, block);
    if (status != ATTN_OK) return status;
    if (!c) return attn_refuse(why, ATTN_E_CACHE, "%s is null", name);
    const attn_block_kernel *k = block->kernel;
    const size_t size = struct_bytes(k), old = offsetof(attn_cache, type);
    const bool known = c->struct_size == old || c->struct_size == offsetof(attn_cache, pages) ||
                       c->struct_size == sizeof *c;
    if (known && c->layer != cache_layer(k))
        return attn_refuse(why, ATTN_E_CACHE,
                           "%s.layer is another layer's: attn_cache_init has to be given the "
                           "block (or one of the same spec) that runs",
                           name);
    if (c->struct_size != size)
        return attn_refuse(why, ATTN_E_CACHE,
                           "%s.struct_size is %u: must be %u, as attn_cache_init sets it", name,
                           (unsigned)c->struct_size, (unsigned)size);
    if (size > old && c->type != stored_type(k))
        return attn_refuse(why, ATTN_E_CACHE,
                           "%s.type is %d: must be %d (%s), as attn_cache_init sets it", name,
                           c->type, stored_type(k), attn_type_get(stored_type(k)).name);
    if (c->batch < 0 || c->capacity < 0)
        return attn_refuse(why, ATTN_E_CACHE, "%s.%s is %d: must not be negative", name,
                           c->batch < 0 ? "batch" : "capacity",
                           c->batch < 0 ? c->batch : c->capacity);
    if (c->batch == 0) return ATTN_OK;
    const bool scaled = attn_cache_scaled(k);
    const char *null = !c->k                               ? "k"
                       : !c->v                             ? "v"
                       : !c->length                        ? "length"
                       : !c->start                         ? "start"
                       : scaled && !c->k_scale             ? "k_scale"
                       : scaled && k->v_dim && !c->v_scale ? "v_scale"
                                                           : "";
    if (*null)
        return attn_refuse(why, ATTN_E_CACHE, "%s.%s is null: attn_cache_init sets it", name, null);
    return attn_cache_paged(k) ? attn_check_cache_table(why, k, name, c) : ATTN_OK;
}

attn_status attn_check_call_cache(const attn_why *why, const attn_block *block, const attn_cache *c,
                                  int32_t batch) {
    const attn_status status = attn_check_cache(why, block, "cache", c);
    if (status != ATTN_OK || c->batch == batch) return status;
    return attn_refuse(why, ATTN_E_CACHE, "cache.batch is %d: must be the call's batch = %d",
                       c->batch, batch);
}

attn_status attn_check_held(const attn_why *why, const attn_block_kernel *k, const char *name,
                            const attn_cache *c, int32_t b) {
    if (c->length[b] < 0 || c->length[b] > c->capacity)
        return attn_refuse(why, ATTN_E_CACHE,
                           "%s.length[%d] is %d: must be from 0 to %s.capacity = %d", name, b,
                           c->length[b], name, c->capacity);
    if (c->start[b] < 0)
        return attn_refuse(why, ATTN_E_CACHE, "%s.start[%d] is %d: must not be negative", name, b,
                           c->start[b]);
    if (attn_cache_paged(k) && c->start[b])
        return attn_refuse(why, ATTN_E_CACHE,
                           "%s.start[%d] is %d: must be 0, as keys in pages keep their numbers",
                           name, b, c->start[b]);
    return ATTN_OK;
}

attn_status attn_cache_check(const attn_block *block, const attn_cache *cache, int32_t batch,
                             char *message, size_t size) {
    const attn_why why = attn_why_begin(message, size);
    return attn_check_call_cache(&why, block, cache, batch);
}

/* --- Keys that stay, and keys that go --- */

attn_standing attn_cache_stand(const attn_block_kernel *k, const attn_cache *c, int32_t b,
                               int32_t count, bool reset) {
    attn_standing at = {0, 0, 0};
    if (!c || reset) return at;
    at.length = c->length[b];
    at.start = c->start[b];
    const int64_t kept = attn_cache_paged(k) ? ATTN_FAR : attn_cache_kept(k); /* pages stay */
    if (count > c->capacity - at.length && at.length > kept) at.drop = at.length - (int32_t)kept;
    return at;
}

int attn_cache_parts(const attn_block_kernel *k, const attn_cache *c, int32_t b,
                     attn_cache_part part[ATTN_CACHE_PARTS]) {
    const bool scaled = attn_cache_scaled(k);
    const struct {
        void *data;
        int32_t heads;
        size_t row; /* bytes; 0: there are none */
    } all[ATTN_CACHE_PARTS] = {
        {c->k, k->k_heads, row_bytes(k, k->k_dim)},
        {c->v, k->v_heads, row_bytes(k, k->v_dim)},
        {scaled ? c->k_scale : NULL, k->k_heads, scaled ? sizeof(float) : 0},
        {scaled ? c->v_scale : NULL, k->v_heads, scaled && k->v_dim ? sizeof(float) : 0}};
    int count = 0;
    for (int i = 0; i < ATTN_CACHE_PARTS; i++) {
        if (!all[i].data || !all[i].row) continue;
        attn_cache_part p = {.member = i, .data = all[i].data, .heads = all[i].heads};
        p.row = p.token = p.head = all[i].row;
        if (attn_cache_paged(k)) {
            p.token *= (size_t)p.heads;
            p.keys = k->spec->page;
            p.pages = c->pages + b * c->pages_batch;
        } else {
            p.head *= (size_t)c->capacity;
            p.data += (size_t)b * (size_t)p.heads * p.head;
        }
        part[count++] = p;
    }
    return count;
}

void attn_cache_copy(const attn_cache_part *to, int32_t to_key, const attn_cache_part *from,
                     int32_t from_key, int32_t count) {
    for (int32_t h = 0; !to->pages && h < to->heads; h++)
        memmove(attn_part_row(to, h, to_key), attn_part_row(from, h, from_key),
                (size_t)count * to->row);
    for (int32_t i = 0; to->pages && i < count; i++) /* the heads of a key lie side by side */
        memmove(attn_part_row(to, 0, to_key + i), attn_part_row(from, 0, from_key + i), to->token);
}

void attn_cache_move(const attn_block_kernel *k, attn_cache *c, int32_t b, int32_t to, int32_t from,
                     int32_t count) {
    attn_cache_part part[ATTN_CACHE_PARTS];
    const int parts = to == from || count == 0 ? 0 : attn_cache_parts(k, c, b, part);
    for (int i = 0; i < parts; i++) attn_cache_copy(&part[i], to, &part[i], from, count);
}

/* Moves the keys that stay to the front. */
void attn_cache_let_go(const attn_block_kernel *k, attn_cache *c, int32_t b,
                       const attn_standing *at) {
    const int32_t keep = at->length - at->drop;
    attn_cache_move(k, c, b, 0, at->drop, keep);
    c->length[b] = keep;
    c->start[b] = at->start + at->drop;
}
