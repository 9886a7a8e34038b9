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
    return attn_check_held(why, name, c, item);
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
    return status == ATTN_OK ? check_window(why, block->kernel, c, item, tokens, n) : status;
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

attn_status attn_check_cache_fork(const attn_why *why, const attn_block *block,
                                  const attn_cache *from, int32_t from_item, const attn_cache *to,
                                  int32_t to_item) {
    static const char *const names[2][6] = {
        {"from.k", "from.v", "from.k_scale", "from.v_scale", "from.length", "from.start"},
        {"to.k", "to.v", "to.k_scale", "to.v_scale", "to.length", "to.start"}};
    attn_status status = check_item(why, block, "from", from, "from_item", from_item);
    if (status == ATTN_OK) status = check_item(why, block, "to", to, "to_item", to_item);
    if (status != ATTN_OK) return status;
    const int32_t length = from->length[from_item], count = forked(from, from_item, to);
    const int64_t kept = attn_cache_kept(block->kernel);
    if (count < length && count < kept)
        return attn_refuse(why, ATTN_E_CACHE,
                           "to.capacity is %d: item %d of from has %d keys, of which %d have to be "
                           "kept",
                           to->capacity, from_item, length, length < kept ? length : (int32_t)kept);
    attn_areas list;
    list.count = 0;
    add_item(&list, block->kernel, names[0], from, from_item, length - count, count);
    const int members = list.count;
    add_item(&list, block->kernel, names[1], to, to_item, 0, count);
    for (int i = members; i < list.count; i++) {
        list.area[i].written = true;
        list.area[i].same_as = i - members; /* a fork of itself */
    }
    return attn_check_areas(why, &list);
}

attn_status attn_own_cache_fork(const attn_block *block, const attn_cache *from, int32_t from_item,
                                attn_cache *to, int32_t to_item) {
    const attn_status status = attn_check_cache_fork(NULL, block, from, from_item, to, to_item);
    if (status != ATTN_OK) return status;
    const int32_t count = forked(from, from_item, to), gone = from->length[from_item] - count;
    attn_cache_part source[ATTN_CACHE_PARTS], target[ATTN_CACHE_PARTS];
    const int parts = attn_cache_parts(block->kernel, from, from_item, source);
    attn_cache_parts(block->kernel, to, to_item, target);
    for (int i = 0; i < parts && count > 0; i++)
        for (int32_t h = 0; h < source[i].heads; h++) {
            const char *rows = source[i].data + (size_t)h * source[i].head;
            memmove(target[i].data + (size_t)h * target[i].head,
                    rows + (size_t)gone * source[i].row, (size_t)count * source[i].row);
        }
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
