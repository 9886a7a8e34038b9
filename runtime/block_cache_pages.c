/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* block_cache_pages.c - caches in pages: sizes, which entries of a table a call needs, and who owns
 * the pages that it writes. */
#include "block.h"
#include "op.h"
#include "types.h"

/* --- Sizes --- */

int32_t attn_cache_pages(const attn_block *block, int32_t tokens) {
    return block && tokens > 0 ? attn_layout_pages(block->kernel->spec, tokens) : 0;
}

attn_status attn_cache_page_bytes(const attn_block *block, size_t *bytes) {
    if (!bytes) return ATTN_E_ARGUMENT;
    *bytes = 0;
    const attn_status status = attn_check_block(NULL, block);
    if (status != ATTN_OK) return status;
    const attn_block_kernel *k = block->kernel;
    if (!attn_cache_paged(k)) return ATTN_E_UNUSED;
    const attn_cache one = {.page_count = 1};
    uint64_t all = attn_plus(attn_cache_k_bytes(k, &one), attn_cache_v_bytes(k, &one));
    if (attn_cache_scaled(k)) all = attn_plus(all, attn_cache_scale_bytes(k, &one, k->k_heads));
    if (attn_cache_scaled(k) && k->v_dim)
        all = attn_plus(all, attn_cache_scale_bytes(k, &one, k->v_heads));
    if (!attn_size_fits(all)) return ATTN_E_ARGUMENT;
    *bytes = (size_t)all;
    return ATTN_OK;
}

attn_page_run attn_held_pages(const attn_block_kernel *k, int32_t length) {
    const int64_t kept = attn_op_kept(k->spec), first = length > kept ? length - kept : 0;
    return (attn_page_run){first / k->spec->page, attn_layout_pages(k->spec, length) - 1};
}

int32_t attn_cache_first_page(const attn_block *block, const attn_cache *cache, int32_t item) {
    if (attn_check_cache(NULL, block, "cache", cache) != ATTN_OK) return 0;
    const attn_block_kernel *k = block->kernel;
    if (!attn_cache_paged(k) || item < 0 || item >= cache->batch) return 0;
    if (attn_check_held(NULL, k, "cache", cache, item) != ATTN_OK) return 0;
    return (int32_t)attn_held_pages(k, cache->length[item]).first;
}

/* --- Tables --- */

attn_status attn_check_cache_table(const attn_why *why, const attn_block_kernel *k,
                                   const char *name, const attn_cache *c) {
    const int32_t least = attn_layout_pages(k->spec, c->capacity);
    if (!c->pages && least > 0)
        return attn_refuse(why, ATTN_E_CACHE,
                           "%s.pages is null: must hold int32, [batch, pages of capacity] = [%d, "
                           "%d]",
                           name, c->batch, least);
    if (c->pages_batch < least)
        return attn_refuse(why, ATTN_E_CACHE,
                           "%s.pages_batch is %lld: must be at least %d, the pages of capacity = "
                           "%d",
                           name, (long long)c->pages_batch, least, c->capacity);
    if (c->page_count >= 0) return ATTN_OK;
    return attn_refuse(why, ATTN_E_CACHE, "%s.page_count is %d: must not be negative", name,
                       c->page_count);
}

attn_status attn_check_cache_page(const attn_why *why, const char *name, const attn_cache *c,
                                  int32_t b, int64_t n, const char *as) {
    const int32_t page = c->pages[b * c->pages_batch + n];
    if (page >= 0 && page < c->page_count) return ATTN_OK;
    return attn_refuse(why, ATTN_E_PAGE,
                       "%s.pages[%d][%lld] is %d: must be from 0 to %s.page_count - 1 = %d, as %s",
                       name, b, (long long)n, page, name, c->page_count - 1, as);
}

/* --- Owners --- */

/* Numbers that may be in a set. */
enum { SET_BITS = 1 << 15 };
typedef struct page_set {
    uint64_t word[SET_BITS / 64];
} page_set;

static bool may_have(const page_set *set, int32_t page) {
    return set->word[page % SET_BITS / 64] >> (page % 64) & 1;
}

static int32_t page_of(const attn_page_owners *o, int32_t b, int64_t n) {
    return o->cache->pages[b * o->cache->pages_batch + n];
}

/* Whether another entry than n of item b, of those that are written, names its page. */
static attn_status check_alone(const attn_why *why, const attn_page_owners *o, int32_t b,
                               int64_t n) {
    const int32_t page = page_of(o, b, n);
    for (int32_t item = 0; item < o->items; item++) {
        const attn_page_run w = o->written(o->ctx, item);
        for (int64_t i = w.first; i <= w.last; i++) {
            if ((item == b && i == n) || page_of(o, item, i) != page) continue;
            return attn_refuse(why, ATTN_E_PAGE,
                               "%s.pages[%d][%lld] is %d, and so is %s.pages[%d][%lld]: a page "
                               "that is written must be named there alone (attn_cache_fork)",
                               o->name, item, (long long)i, page, o->name, b, (long long)n);
        }
    }
    return ATTN_OK;
}

attn_status attn_check_owners(const attn_why *why, const attn_page_owners *o) {
    page_set set = {{0}};
    for (int32_t b = 0; b < o->items; b++) {
        const attn_page_run w = o->written(o->ctx, b);
        for (int64_t n = w.first; n <= w.last; n++) {
            const int32_t page = page_of(o, b, n);
            const attn_status status = may_have(&set, page) ? check_alone(why, o, b, n) : ATTN_OK;
            if (status != ATTN_OK) return status;
            set.word[page % SET_BITS / 64] |= (uint64_t)1 << (page % 64);
        }
    }
    for (int32_t b = 0; b < o->items; b++) {
        const attn_page_run w = o->written(o->ctx, b), held = o->held(o->ctx, b);
        for (int64_t n = held.first; n <= held.last; n++) {
            const int32_t page = page_of(o, b, n);
            const bool other = n < w.first || n > w.last, named = page >= 0 && may_have(&set, page);
            const attn_status status = other && named ? check_alone(why, o, b, n) : ATTN_OK;
            if (status != ATTN_OK) return status;
        }
    }
    return ATTN_OK;
}

/* --- Calls --- */

typedef struct call_pages {
    const attn_block_kernel *kernel;
    const attn_block_args *args;
    bool reset;
} call_pages;

static attn_page_run written_pages(const void *ctx, int32_t b) {
    const call_pages *c = ctx;
    const int32_t count = attn_new_keys(c->kernel->spec, c->args, b);
    if (count == 0) return (attn_page_run){0, -1};
    const attn_standing at = attn_stand_in(c->kernel, c->args, b, c->reset);
    const int64_t page = c->kernel->spec->page, end = (int64_t)at.length + count;
    return (attn_page_run){at.length / page, (end - 1) / page};
}

static attn_page_run held_pages(const void *ctx, int32_t b) {
    const call_pages *c = ctx;
    return attn_held_pages(c->kernel, attn_stand_in(c->kernel, c->args, b, c->reset).length);
}

static const char seen[] = "rows see keys of it";

/* Where an item's keys are expanded: all from the first that the op shows to a row on. */
static attn_status check_expanded(const attn_why *why, const call_pages *c, int32_t b,
                                  int32_t start) {
    const attn_block_args *a = c->args;
    const attn_spec *s = c->kernel->spec;
    const int32_t rows = attn_count_of(a, b);
    if (!attn_expands(c->kernel, rows)) return ATTN_OK;
    const int64_t row = a->q_begin ? a->q_begin[b] : b * a->q_position_batch;
    int32_t least = a->q_position ? INT32_MAX : start;
    for (int32_t i = 0; a->q_position && i < rows; i++)
        if (a->q_position[row + i] < least) least = a->q_position[row + i];
    const int64_t first = attn_op_keys(s, least, ATTN_FAR).first;
    attn_status status = ATTN_OK;
    for (int64_t n = first / s->page; status == ATTN_OK && n < start / s->page; n++)
        status = attn_check_cache_page(why, "cache", a->cache, b, n, seen);
    return status;
}

/* Keys that the op shows to the item's rows. */
static attn_status check_seen(const attn_why *why, const call_pages *c, const attn_args *core,
                              int32_t b) {
    const attn_block_args *a = c->args;
    const int32_t start = attn_stand_in(c->kernel, a, b, c->reset).length;
    const int32_t held = start + attn_new_keys(c->kernel->spec, a, b);
    attn_args one = *core; /* with this item alone */
    one.batch = 1, one.kv_len = &held;
    if (one.q_start) one.q_start = &start;
    one.q_position = a->q_position;
    if (a->q_begin) {
        one.q_begin = a->q_begin + b;
    } else {
        one.q_len = attn_count_of(a, b);
        if (one.seg) one.seg += b * one.seg_batch;
        if (one.q_position) one.q_position += b * a->q_position_batch;
        if (one.index) one.index += b * one.index_batch;
        if (one.index_count) one.index_count += b * one.index_count_batch;
    }
    one.k_position = one.q_position;
    attn_page_walk walk = attn_pages_begin(c->kernel->core, &one);
    for (int32_t n; attn_pages_next(&walk, &n);) {
        const attn_status status = attn_check_cache_page(why, "cache", a->cache, b, n, seen);
        if (status != ATTN_OK) return status;
    }
    return check_expanded(why, c, b, start);
}

attn_status attn_check_call_pages(const attn_why *why, const attn_block *block,
                                  const attn_block_args *a, const attn_args *core, bool reset) {
    if (!a->cache || !attn_cache_paged(block->kernel)) return ATTN_OK;
    const call_pages c = {block->kernel, a, reset};
    for (int32_t b = 0; b < a->batch; b++) {
        const attn_page_run w = written_pages(&c, b);
        attn_status status = ATTN_OK;
        for (int64_t n = w.first; status == ATTN_OK && n <= w.last; n++)
            status = attn_check_cache_page(why, "cache", a->cache, b, n, "new keys go to it");
        if (status == ATTN_OK) status = check_seen(why, &c, core, b);
        if (status != ATTN_OK) return status;
    }
    const attn_page_owners owners = {"cache", a->cache, a->batch, written_pages, held_pages, &c};
    return attn_check_owners(why, &owners);
}
