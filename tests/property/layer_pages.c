/* layer_pages.c - caches in pages as a careless neighbour would keep them: pages in any order, NaN
 * in what is nobody's, and entries that nobody needs wrong, or naming pages of others. */
#include "layers.h"
#include "lab/block_call.h"
#include "types.h"
#include <string.h>

enum { SPARE = 2 };

static const attn_spec *spec_of(const layer_run *run) {
    return &run->p->c.spec->core;
}

static size_t entries(const layer_run *run) {
    return (size_t)run->cache.batch * (size_t)run->cache.pages_batch;
}

bool layer_pages_start(layer_run *run, int32_t capacity, const char **why) {
    const attn_spec *s = spec_of(run);
    const int32_t batch = run->p->c.batch, each = (capacity + s->page - 1) / s->page;
    const int32_t count = batch * each + SPARE;
    size_t bytes;
    attn_status st = run->lib->cache_paged_bytes(run->block, batch, capacity, count, &bytes);
    if (st == ATTN_OK) {
        run->memory = guard_alloc(bytes, 64, false);
        st = run->lib->cache_paged_init(run->block, &run->cache, batch, capacity, count,
                                        run->memory.data, bytes);
    }
    *why = run->lib->status_text(st);
    if (st != ATTN_OK) return false;
    const size_t n = (size_t)batch * (size_t)each;
    run->pages.table = guard_alloc(n * sizeof(int32_t), sizeof(int32_t), false);
    run->cache.pages = (int32_t *)(void *)run->pages.table.data; /* the caller's own */
    run->cache.pages_batch = each;
    run->pages.own = arena_alloc(run->a, (n + 1) * sizeof(int32_t));
    for (size_t i = 0; i < n; i++) run->pages.own[i] = -1;
    run->pages.taken = arena_alloc(run->a, (size_t)count);
    memset(run->pages.taken, 0, (size_t)count);
    run->pages.r = (rng){run->r->state ^ 0x9e3779b97f4a7c15u};
    return true;
}

void layer_pages_end(layer_run *run) {
    if (run->pages.table.data) guard_free(&run->pages.table);
}

/* Page `page` of each pool: where it is, and how many bytes it has. */
static int pools(const layer_run *run, int32_t page, uint8_t *at[4], size_t bytes[4]) {
    const attn_spec *s = spec_of(run);
    const attn_cache *c = &run->cache;
    const size_t size = attn_type_size(attn_spec_types(s).k), rows = (size_t)s->page;
    const size_t k = (size_t)s->kv_heads * rows, v = (size_t)s->v_heads * rows;
    const bool own = c->v != c->k, scaled = attn_spec_scaled(s);
    const struct {
        void *data;
        size_t bytes;
    } all[] = {{c->k, k * (size_t)attn_spec_k_dim(s) * size},
               {own ? c->v : NULL, v * (size_t)s->v_dim * size},
               {scaled ? (void *)c->k_scale : NULL, k * sizeof(float)},
               {scaled && own ? (void *)c->v_scale : NULL, v * sizeof(float)}};
    int count = 0;
    for (int i = 0; i < 4; i++) {
        if (!all[i].data) continue;
        at[count] = (uint8_t *)all[i].data + (size_t)page * all[i].bytes;
        bytes[count++] = all[i].bytes;
    }
    return count;
}

/* A page is nobody's: NaN again. */
static void give_back(layer_run *run, int32_t *page) {
    uint8_t *at[4];
    size_t bytes[4];
    const int count = *page < 0 ? 0 : pools(run, *page, at, bytes);
    for (int i = 0; i < count; i++)
        guard_restore(&run->memory, (size_t)(at[i] - run->memory.data), bytes[i]);
    if (*page >= 0) run->pages.taken[*page] = false;
    *page = -1;
}

static int32_t take_any(layer_run *run) {
    for (;;) {
        const int32_t page = rng_int(&run->pages.r, 0, run->cache.page_count - 1);
        if (run->pages.taken[page]) continue;
        run->pages.taken[page] = true;
        return page;
    }
}

/* What nobody may look at. */
static int32_t nonsense(layer_run *run) {
    const int32_t any[] = {-1, run->cache.page_count, INT32_MAX, INT32_MIN,
                           rng_int(&run->pages.r, 0, run->cache.page_count - 1)};
    return any[rng_int(&run->pages.r, 0, 4)];
}

/* The first page that a row behind so many keys sees. */
static int32_t first_page(const layer_run *run, int32_t length) {
    const attn_spec *s = spec_of(run);
    if (s->op != ATTN_OP_SLIDING_SELF || !s->causal || length < s->window) return 0;
    if (s->select == ATTN_SELECT_INDEX) return 0; /* lists may name any key */
    return (length - s->window) / s->page;
}

static int32_t held_by(const layer_run *run, int32_t b, bool prefill) {
    return prefill ? 0 : run->cache.length[b];
}

/* An entry that a call with these new keys needs gets wrong, or another item's. */
static bool spoil(layer_run *run, const int32_t *keys, bool prefill) {
    const attn_cache *c = &run->cache;
    rng *r = &run->pages.r;
    const int32_t b = rng_int(r, 0, c->batch - 1), held = held_by(run, b, prefill);
    if (keys[b] == 0) return false;
    const int32_t size = spec_of(run)->page, last = (held + keys[b] - 1) / size;
    const bool all = spec_of(run)->op == ATTN_OP_FULL_SELF && !layer_has_kv(spec_of(run)) &&
                     spec_of(run)->select == ATTN_SELECT_ALL; /* lists may name no key there */
    const int32_t n = rng_int(r, all ? 0 : held / size, last);
    int32_t *entry = c->pages + b * c->pages_batch + n;
    const int32_t other = rng_int(r, 0, c->batch - 1);
    const int32_t others = held_by(run, other, prefill) + keys[other];
    if (other != b && others > 0 && n >= held / size && rng_chance(r, 50)) {
        *entry = c->pages[other * c->pages_batch + (others - 1) / size];
        return true;
    }
    *entry = rng_chance(r, 50) ? -1 : c->page_count;
    return true;
}

void layer_pages_map(layer_run *run, const int32_t *keys, bool prefill) {
    const attn_cache *c = &run->cache;
    if (!run->pages.table.data) return;
    for (int32_t b = 0; b < c->batch; b++) {
        const int32_t held = held_by(run, b, prefill), size = spec_of(run)->page;
        const int32_t first = run->pages.unmap ? first_page(run, held) : 0;
        for (int32_t n = 0; n < c->pages_batch; n++) {
            int32_t *own = &run->pages.own[b * c->pages_batch + n];
            const bool needed = n >= first && n < (held + keys[b] + size - 1) / size;
            if (needed && *own < 0) *own = take_any(run);
            if (!needed) give_back(run, own);
            c->pages[b * c->pages_batch + n] = needed ? *own : nonsense(run);
        }
    }
    run->pages.spoiled = run->pages.spoil && spoil(run, keys, prefill);
}

bool layer_pages_kept(const layer_run *run, const uint8_t *memory, const int32_t *table) {
    if (!run->pages.table.data) return true;
    bool same = guard_intact(&run->pages.table) &&
                !memcmp(run->cache.pages, table, entries(run) * sizeof *table);
    for (int32_t page = 0; page < run->cache.page_count; page++) {
        uint8_t *at[4];
        size_t bytes[4];
        const int count = run->pages.taken[page] ? 0 : pools(run, page, at, bytes);
        for (int i = 0; i < count; i++)
            same &= !memcmp(at[i], memory + (at[i] - run->memory.data), bytes[i]);
    }
    return same;
}
