/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* block_cache_items.c - what callers do with items of a cache between calls: views, forks, and
 * tokens that are taken back. */
#include "block.h"
#include "op.h"

static attn_status check_item(const attn_why *why, const attn_block *block, const char *name,
                              const attn_cache *c, const char *item_name, int32_t item) {
    const attn_status status = attn_check_cache(why, block, name, c);
    if (status != ATTN_OK) return status;
    if (item < 0 || item >= c->batch)
        return attn_refuse(why, ATTN_E_ARGUMENT, "%s is %d: must be from 0 to %d, below %s.batch",
                           item_name, item, c->batch - 1, name);
    return attn_check_held(why, block->kernel, name, c, item);
}

/* --- Views --- */

attn_status attn_check_cache_view(const attn_why *why, const attn_block *block, const attn_cache *c,
                                  int32_t first, int32_t count, const attn_cache *view) {
    attn_status status = attn_check_cache(why, block, "cache", c);
    if (status == ATTN_OK) status = attn_check_range(why, "first", first, c->batch);
    if (status == ATTN_OK) status = attn_check_range(why, "count", count, c->batch - first);
    if (status != ATTN_OK) return status;
    return view ? ATTN_OK : attn_refuse(why, ATTN_E_ARGUMENT, "view is null");
}

attn_status attn_own_cache_view(const attn_block *block, const attn_cache *cache, int32_t first,
                                int32_t count, attn_cache *view) {
    const attn_status status = attn_check_cache_view(NULL, block, cache, first, count, view);
    if (status != ATTN_OK) return status;
    static const size_t member[ATTN_CACHE_PARTS] = {
        offsetof(attn_cache, k), offsetof(attn_cache, v), offsetof(attn_cache, k_scale),
        offsetof(attn_cache, v_scale)};
    attn_cache v = {0};
    memcpy(&v, cache, cache->struct_size); /* callers may have no more of it */
    attn_cache_part part[ATTN_CACHE_PARTS];
    const int parts = attn_cache_parts(block->kernel, cache, first, part);
    for (int i = 0; i < parts; i++) {
        void *data = part[i].data;
        memcpy((char *)&v + member[part[i].member], &data, sizeof data);
    }
    if (!block->kernel->v_dim) v.v = v.k;
    if (cache->batch > 0) v.length += first, v.start += first;
    if (v.pages) v.pages += first * v.pages_batch;
    v.batch = count;
    memcpy(view, &v, cache->struct_size);
    return ATTN_OK;
}

attn_status attn_cache_view(const attn_block *block, const attn_cache *cache, int32_t first,
                            int32_t count, attn_cache *view) {
    return attn_own_cache_view(block, cache, first, count, view);
}

attn_status attn_cache_view_check(const attn_block *block, const attn_cache *cache, int32_t first,
                                  int32_t count, const attn_cache *view, char *message,
                                  size_t size) {
    const attn_why why = attn_why_begin(message, size);
    return attn_check_cache_view(&why, block, cache, first, count, view);
}

/* --- Tokens that are taken back --- */

static attn_status check_slots(const attn_why *why, const int32_t *slots, int32_t n,
                               int32_t later) {
    attn_status status = attn_check_range(why, "n", n, later);
    if (status == ATTN_OK && n > 0 && !slots)
        return attn_refuse(why, ATTN_E_ARGUMENT, "slots is null: must hold n = %d numbers", n);
    for (int32_t i = 0; i < n && status == ATTN_OK; i++) {
        const int32_t least = i ? slots[i - 1] + 1 : 0;
        if (slots[i] < least || slots[i] >= later)
            status =
                attn_refuse(why, ATTN_E_ARGUMENT,
                            "slots[%d] is %d: must be from %d to %d, as slots ascend below the "
                            "%d tokens that follow",
                            i, slots[i], least, later - 1, later);
    }
    return status;
}

/* An item that has let go of keys goes back no farther than the keys allow that its next row sees.
 */
static attn_status check_window(const attn_why *why, const attn_block_kernel *k,
                                const attn_cache *c, int32_t item, int32_t tokens, int32_t n) {
    const int64_t start = c->start[item], end = start + c->length[item];
    const int64_t kept = attn_cache_kept(k), need = kept < ATTN_FAR ? kept : 0;
    const bool emptied = tokens == 0 && n == 0, all = (int64_t)tokens + n == end;
    if (start == 0 || emptied || (tokens >= start && ((int64_t)tokens + n >= start + need || all)))
        return ATTN_OK;
    return attn_refuse(why, ATTN_E_CACHE,
                       "tokens is %d and n is %d: item %d has let go of the keys before %lld, so "
                       "that tokens must be at least %lld and tokens + n at least %lld, or both 0, "
                       "which empties the item",
                       tokens, n, item, (long long)start, (long long)start,
                       (long long)(start + need));
}

/* Pages of one item that are to be written, and what all hold. */
typedef struct item_pages {
    const attn_block_kernel *kernel;
    const attn_cache *cache;
    int32_t item;
    attn_page_run run;
} item_pages;

static attn_page_run written_pages(const void *ctx, int32_t b) {
    const item_pages *p = ctx;
    return b == p->item ? p->run : (attn_page_run){0, -1};
}

static attn_page_run held_pages(const void *ctx, int32_t b) {
    const item_pages *p = ctx;
    return attn_held_pages(p->kernel, p->cache->length[b]);
}

static attn_status check_owner(const attn_why *why, const char *name, const item_pages *p) {
    const attn_page_owners owners = {name, p->cache, p->cache->batch, written_pages, held_pages, p};
    return attn_check_owners(why, &owners);
}

/* The pages of keys that move, from key `place` + slots[i] to place + i. */
static attn_status check_moves(const attn_why *why, const attn_block_kernel *k, const attn_cache *c,
                               int32_t item, int32_t place, const int32_t *slots, int32_t n) {
    int32_t moved = 0;
    while (moved < n && slots[moved] == moved) moved++;
    if (moved == n || !attn_cache_paged(k)) return ATTN_OK;
    const int64_t page = k->spec->page, first = (place + moved) / page;
    const attn_page_run to = {first, ((int64_t)place + n - 1) / page};
    attn_status status = ATTN_OK;
    for (int64_t i = first; status == ATTN_OK && i <= ((int64_t)place + slots[n - 1]) / page; i++)
        status = attn_check_cache_page(why, "cache", c, item, i, "keys move there");
    const item_pages p = {k, c, item, to};
    return status == ATTN_OK ? check_owner(why, "cache", &p) : status;
}

attn_status attn_check_cache_keep(const attn_why *why, const attn_block *block, const attn_cache *c,
                                  int32_t item, int32_t tokens, const int32_t *slots, int32_t n) {
    attn_status status = check_item(why, block, "cache", c, "item", item);
    if (status != ATTN_OK) return status;
    const int64_t end = (int64_t)c->start[item] + c->length[item];
    if (end > INT32_MAX)
        return attn_refuse(why, ATTN_E_CACHE, "cache.start[%d] is %d: positions would pass %d",
                           item, c->start[item], INT32_MAX);
    if (tokens < 0 || tokens > end)
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "tokens is %d: must be from 0 to %d, which item %d has", tokens,
                           (int32_t)end, item);
    status = check_slots(why, slots, n, (int32_t)end - tokens);
    if (status == ATTN_OK) status = check_window(why, block->kernel, c, item, tokens, n);
    if (status != ATTN_OK) return status;
    return check_moves(why, block->kernel, c, item, tokens - c->start[item], slots, n);
}

attn_status attn_own_cache_keep(const attn_block *block, attn_cache *cache, int32_t item,
                                int32_t tokens, const int32_t *slots, int32_t n) {
    const attn_status status = attn_check_cache_keep(NULL, block, cache, item, tokens, slots, n);
    if (status != ATTN_OK) return status;
    if (tokens == 0 && n == 0) cache->start[item] = 0;
    const int32_t place = tokens - cache->start[item];
    for (int32_t i = 0, run; i < n; i += run) { /* slots that follow one another go together */
        for (run = 1; i + run < n && slots[i + run] == slots[i] + run;) run++;
        attn_cache_move(block->kernel, cache, item, place + i, place + slots[i], run);
    }
    cache->length[item] = place + n;
    return ATTN_OK;
}

attn_status attn_cache_keep(const attn_block *block, attn_cache *cache, int32_t item,
                            int32_t tokens, const int32_t *slots, int32_t n) {
    return attn_own_cache_keep(block, cache, item, tokens, slots, n);
}

attn_status attn_cache_truncate(const attn_block *block, attn_cache *cache, int32_t item,
                                int32_t tokens) {
    return attn_own_cache_keep(block, cache, item, tokens, NULL, 0);
}

attn_status attn_cache_keep_check(const attn_block *block, const attn_cache *cache, int32_t item,
                                  int32_t tokens, const int32_t *slots, int32_t n, char *message,
                                  size_t size) {
    const attn_why why = attn_why_begin(message, size);
    return attn_check_cache_keep(&why, block, cache, item, tokens, slots, n);
}

attn_status attn_cache_truncate_check(const attn_block *block, const attn_cache *cache,
                                      int32_t item, int32_t tokens, char *message, size_t size) {
    const attn_why why = attn_why_begin(message, size);
    return attn_check_cache_keep(&why, block, cache, item, tokens, NULL, 0);
}

/* --- Pages that are to be an item's own --- */

attn_status attn_check_cache_own_page(const attn_why *why, const attn_block *block,
                                      const attn_cache *c, int32_t item, int32_t n, int32_t page) {
    attn_status status = check_item(why, block, "cache", c, "item", item);
    if (status != ATTN_OK) return status;
    const attn_block_kernel *k = block->kernel;
    if (!attn_cache_paged(k))
        return attn_refuse(why, ATTN_E_UNUSED, "n is given: this layer's cache has no pages");
    const int64_t pages = attn_layout_pages(k->spec, c->length[item]);
    if (n < 0 || n >= pages)
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "n is %d: must be from 0 to %lld, as item %d has %d keys", n,
                           (long long)pages - 1, item, c->length[item]);
    if (page < 0 || page >= c->page_count)
        return attn_refuse(why, ATTN_E_PAGE,
                           "page is %d: must be from 0 to cache.page_count - 1 = %d", page,
                           c->page_count - 1);
    status = attn_check_cache_page(why, "cache", c, item, n, "its rows are copied");
    for (int32_t b = 0; status == ATTN_OK && b < c->batch; b++) {
        const attn_page_run held = attn_held_pages(k, c->length[b]);
        for (int64_t i = held.first; status == ATTN_OK && i <= held.last; i++)
            if (c->pages[b * c->pages_batch + i] == page)
                status = attn_refuse(why, ATTN_E_PAGE,
                                     "page is %d, and so is cache.pages[%d][%lld]: it must be "
                                     "nobody's",
                                     page, b, (long long)i);
    }
    return status;
}

void attn_cache_copy_page(const attn_block_kernel *k, const attn_cache *c, int32_t item, int32_t n,
                          int32_t page) {
    attn_cache_part part[ATTN_CACHE_PARTS];
    const int32_t size = k->spec->page, rest = c->length[item] - n * size;
    const int parts = attn_cache_parts(k, c, item, part);
    for (int i = 0; i < parts; i++) {
        attn_cache_part to = part[i];
        to.pages = &page;
        attn_cache_copy(&to, 0, &part[i], n * size, rest < size ? rest : size);
    }
}

attn_status attn_cache_own_page(const attn_block *block, attn_cache *cache, int32_t item, int32_t n,
                                int32_t page) {
    const attn_status status = attn_check_cache_own_page(NULL, block, cache, item, n, page);
    if (status != ATTN_OK) return status;
    attn_cache_copy_page(block->kernel, cache, item, n, page);
    cache->pages[item * cache->pages_batch + n] = page;
    return ATTN_OK;
}

attn_status attn_cache_own_page_check(const attn_block *block, const attn_cache *cache,
                                      int32_t item, int32_t n, int32_t page, char *message,
                                      size_t size) {
    const attn_why why = attn_why_begin(message, size);
    return attn_check_cache_own_page(&why, block, cache, item, n, page);
}

/* --- Forks --- */

/* Keys that an item of `to` gets of an item of `from`: the newest, as many as it holds. */
static int32_t forked(const attn_cache *from, int32_t from_item, const attn_cache *to) {
    const int32_t length = from->length[from_item];
    return length < to->capacity ? length : to->capacity;
}

/* Keys `first`.. of an item, `count` of them, and what says how many these are. */
static void add_item(attn_areas *list, const attn_block_kernel *k, const char *const *name,
                     const attn_cache *c, int32_t item, int32_t first, int32_t count) {
    attn_cache_part part[ATTN_CACHE_PARTS];
    const int parts = attn_cache_parts(k, c, item, part);
    for (int i = 0; i < parts; i++) {
        attn_area *area =
            attn_areas_add(list, name[part[i].member], part[i].data + (size_t)first * part[i].row,
                           count * (int64_t)part[i].row);
        attn_area_repeat(area, name[part[i].member], part[i].heads, (int64_t)part[i].head, 1);
    }
    attn_areas_add(list, name[4], c->length + item, sizeof *c->length);
    attn_areas_add(list, name[5], c->start + item, sizeof *c->start);
}

/* Whether both have the same pools. */
static bool same_pools(const attn_cache *a, const attn_cache *b) {
    return a->k == b->k && a->v == b->v && a->k_scale == b->k_scale && a->v_scale == b->v_scale;
}

/* A fork in pages. */
typedef struct page_fork {
    const attn_cache *from, *to;
    int32_t from_item, to_item;
    bool same, itself;
    attn_page_run held;    /* of the item */
    attn_page_run written; /* those whose rows are copied: of the same pools a last one that is not
                              full */
} page_fork;

static page_fork page_fork_of(const attn_block_kernel *k, const attn_cache *from, int32_t from_item,
                              const attn_cache *to, int32_t to_item) {
    page_fork f = {.from = from, .to = to, .from_item = from_item, .to_item = to_item};
    const int32_t length = from->length[from_item];
    f.same = same_pools(from, to);
    f.itself = from->pages + from_item * from->pages_batch == to->pages + to_item * to->pages_batch;
    f.written = f.held = attn_held_pages(k, length);
    if (f.same) f.written.first = f.held.last + (length % k->spec->page == 0);
    return f;
}

static attn_page_run fork_written(const void *ctx, int32_t b) {
    const page_fork *f = ctx;
    return b == f->to_item ? f->written : (attn_page_run){0, -1};
}

/* Of items of `to` but the one that changes, and, of the same pools, of that of `from`. */
typedef struct fork_owners {
    page_fork fork;
    const attn_block_kernel *kernel;
} fork_owners;

static attn_page_run fork_held(const void *ctx, int32_t b) {
    const fork_owners *o = ctx;
    if (b == o->fork.to_item) return (attn_page_run){0, -1};
    return attn_held_pages(o->kernel, o->fork.to->length[b]);
}

static attn_status check_fork_pages(const attn_why *why, const attn_block_kernel *k,
                                    const page_fork *f) {
    attn_status status = ATTN_OK;
    if (f->to->capacity < f->from->length[f->from_item])
        return attn_refuse(why, ATTN_E_CACHE,
                           "to.capacity is %d: item %d of from has %d keys, and keys in pages keep "
                           "their numbers",
                           f->to->capacity, f->from_item, f->from->length[f->from_item]);
    if (f->itself) return ATTN_OK;
    for (int64_t n = f->held.first; status == ATTN_OK && n <= f->held.last; n++) {
        status =
            attn_check_cache_page(why, "from", f->from, f->from_item, n, "item has keys there");
        if (status != ATTN_OK || n < f->written.first) continue;
        status = attn_check_cache_page(why, "to", f->to, f->to_item, n, "keys are copied to it");
        for (int64_t i = f->held.first; status == ATTN_OK && f->same && i <= f->held.last; i++)
            if (f->from->pages[f->from_item * f->from->pages_batch + i] ==
                f->to->pages[f->to_item * f->to->pages_batch + n])
                status = attn_refuse(why, ATTN_E_PAGE,
                                     "to.pages[%d][%lld] is from.pages[%d][%lld], too: the last "
                                     "page, which is not full, must be the new item's own",
                                     f->to_item, (long long)n, f->from_item, (long long)i);
    }
    const fork_owners o = {*f, k};
    const attn_page_owners owners = {"to", f->to, f->to->batch, fork_written, fork_held, &o};
    return status == ATTN_OK ? attn_check_owners(why, &owners) : status;
}

/* An item's rows, where the layout is dense: all of them; or its entries of the table. */
static void add_fork(attn_areas *list, const attn_block_kernel *k, const char *const *name,
                     const attn_cache *c, int32_t item, int32_t first, int32_t count) {
    if (!attn_cache_paged(k)) {
        add_item(list, k, name, c, item, first, count);
        return;
    }
    attn_areas_add(list, name[6], c->pages + item * c->pages_batch,
                   attn_layout_pages(k->spec, count) * (int64_t)sizeof *c->pages);
    attn_areas_add(list, name[4], c->length + item, sizeof *c->length);
    attn_areas_add(list, name[5], c->start + item, sizeof *c->start);
}

/* Different pools lie apart. */
static attn_status check_pools(const attn_why *why, const attn_block_kernel *k,
                               const attn_cache *from, const attn_cache *to) {
    const attn_cache *of[2] = {from, to};
    static const char *const names[2][4] = {{"from.k", "from.v", "from.k_scale", "from.v_scale"},
                                            {"to.k", "to.v", "to.k_scale", "to.v_scale"}};
    attn_areas list;
    list.count = 0;
    for (int i = 0; i < 2; i++) {
        attn_cache_part part[ATTN_CACHE_PARTS];
        const int parts = attn_cache_parts(k, of[i], 0, part);
        const int64_t keys = (int64_t)of[i]->page_count * k->spec->page;
        for (int n = 0; n < parts; n++)
            attn_areas_add(&list, names[i][part[n].member], part[n].data,
                           keys * (int64_t)part[n].token)
                ->written = i > 0;
    }
    return attn_check_areas(why, &list);
}

static attn_status check_room(const attn_why *why, const attn_block_kernel *k,
                              const attn_cache *from, int32_t from_item, const attn_cache *to) {
    const int32_t length = from->length[from_item], count = forked(from, from_item, to);
    const int64_t kept = attn_cache_kept(k);
    if (count >= length || count >= kept) return ATTN_OK;
    return attn_refuse(why, ATTN_E_CACHE,
                       "to.capacity is %d: item %d of from has %d keys, of which %d have to be "
                       "kept",
                       to->capacity, from_item, length, length < kept ? length : (int32_t)kept);
}

attn_status attn_check_cache_fork(const attn_why *why, const attn_block *block,
                                  const attn_cache *from, int32_t from_item, const attn_cache *to,
                                  int32_t to_item) {
    static const char *const names[2][7] = {
        {"from.k", "from.v", "from.k_scale", "from.v_scale", "from.length", "from.start",
         "from.pages"},
        {"to.k", "to.v", "to.k_scale", "to.v_scale", "to.length", "to.start", "to.pages"}};
    const attn_block_kernel *k;
    attn_status status = check_item(why, block, "from", from, "from_item", from_item);
    if (status == ATTN_OK) status = check_item(why, block, "to", to, "to_item", to_item);
    if (status != ATTN_OK) return status;
    k = block->kernel;
    if (attn_cache_paged(k)) {
        const page_fork f = page_fork_of(k, from, from_item, to, to_item);
        status = check_fork_pages(why, k, &f);
        if (status == ATTN_OK && !f.same) status = check_pools(why, k, from, to);
    } else {
        status = check_room(why, k, from, from_item, to);
    }
    if (status != ATTN_OK) return status;
    const int32_t length = from->length[from_item], count = forked(from, from_item, to);
    attn_areas list;
    list.count = 0;
    add_fork(&list, k, names[0], from, from_item, length - count, count);
    const int members = list.count;
    add_fork(&list, k, names[1], to, to_item, 0, count);
    for (int i = members; i < list.count; i++) {
        list.area[i].written = true;
        list.area[i].same_as = i - members; /* a fork of itself */
    }
    return attn_check_areas(why, &list);
}

/* Whether page n of the item, before those that later rows may see, is to be copied: an item that
 * goes back sees it again. What is not there is not there in the new one, either. */
static bool copies_let_go(const page_fork *f, attn_cache *to, int64_t n) {
    const int32_t from = f->from->pages[f->from_item * f->from->pages_batch + n];
    int32_t *own = &to->pages[f->to_item * to->pages_batch + n];
    const bool there = from >= 0 && from < f->from->page_count;
    if (!there) *own = -1;
    return there && *own >= 0 && *own < to->page_count;
}

/* Entries of pages that are shared, and rows of those that are not. */
static void fork_pages(const attn_block_kernel *k, const page_fork *f, attn_cache *to) {
    const int32_t page = k->spec->page, length = f->from->length[f->from_item];
    if (f->itself) return;
    for (int64_t n = 0; f->same && n < f->written.first; n++)
        to->pages[f->to_item * to->pages_batch + n] =
            f->from->pages[f->from_item * f->from->pages_batch + n];
    attn_cache_part source[ATTN_CACHE_PARTS], target[ATTN_CACHE_PARTS];
    const int parts = attn_cache_parts(k, f->from, f->from_item, source);
    attn_cache_parts(k, to, f->to_item, target);
    for (int64_t n = 0; !f->same && n < f->held.first; n++)
        for (int i = 0; copies_let_go(f, to, n) && i < parts; i++)
            attn_cache_copy(&target[i], (int32_t)n * page, &source[i], (int32_t)n * page, page);
    const int32_t first = (int32_t)f->written.first * page;
    for (int i = 0; i < parts && first < length; i++)
        attn_cache_copy(&target[i], first, &source[i], first, length - first);
}

attn_status attn_own_cache_fork(const attn_block *block, const attn_cache *from, int32_t from_item,
                                attn_cache *to, int32_t to_item) {
    const attn_status status = attn_check_cache_fork(NULL, block, from, from_item, to, to_item);
    if (status != ATTN_OK) return status;
    const attn_block_kernel *k = block->kernel;
    const int32_t count = forked(from, from_item, to), gone = from->length[from_item] - count;
    attn_cache_part source[ATTN_CACHE_PARTS], target[ATTN_CACHE_PARTS];
    int parts = 0;
    if (attn_cache_paged(k)) {
        const page_fork f = page_fork_of(k, from, from_item, to, to_item);
        fork_pages(k, &f, to);
    } else {
        parts = attn_cache_parts(k, from, from_item, source);
        attn_cache_parts(k, to, to_item, target);
    }
    for (int i = 0; i < parts && count > 0; i++)
        attn_cache_copy(&target[i], 0, &source[i], gone, count);
    to->start[to_item] = from->start[from_item] + gone;
    to->length[to_item] = count;
    return ATTN_OK;
}

attn_status attn_cache_fork(const attn_block *block, const attn_cache *from, int32_t from_item,
                            attn_cache *to, int32_t to_item) {
    return attn_own_cache_fork(block, from, from_item, to, to_item);
}

attn_status attn_cache_fork_check(const attn_block *block, const attn_cache *from,
                                  int32_t from_item, const attn_cache *to, int32_t to_item,
                                  char *message, size_t size) {
    const attn_why why = attn_why_begin(message, size);
    return attn_check_cache_fork(&why, block, from, from_item, to, to_item);
}
