/* pages.c - where the keys of a problem go, in layouts with pages. */
#include "pages.h"
#include "oracle.h"
#include "spec.h"
#include "stored.h"
#include <string.h>

enum { SPARE = 3 }; /* pages of the pool that nobody has */

static int32_t length(const call *c, int64_t b) {
    return c->kv_len ? c->kv_len[b] : c->kv_len_max;
}

static int32_t count_of(const call *c, int64_t b) {
    return c->q_begin ? c->q_begin[b + 1] - c->q_begin[b] : c->q_len;
}

/* Marks the pages of keys that a row's lists name. */
static void mark_list(const call *c, page_map *m, int64_t b, int64_t i) {
    const int64_t heads = c->spec->core.kv_heads, of = c->q_begin ? 0 : b;
    const int64_t rows = c->q_begin ? c->q_begin[c->batch] : c->q_len;
    const int64_t row = (c->q_begin ? c->q_begin[b] : 0) + i;
    for (int64_t h = 0; h < heads; h++)
        for (int32_t n = 0; n < c->index_count[of * rows + row]; n++) {
            const int32_t k = c->index[((of * heads + h) * rows + row) * c->index_each + n];
            if (k >= 0 && k < length(c, b)) m->table[b * m->each + k / m->page] = 0;
        }
}

/* Marks the pages of keys that the op shows to a row: the contract, restated. */
static void mark_row(const call *c, page_map *m, int64_t b, int64_t i) {
    const attn_spec *spec = &c->spec->core;
    const int64_t start = c->q_start ? c->q_start[b] : 0;
    int64_t lo, hi;
    if (c->index) {
        mark_list(c, m, b, i);
        return;
    }
    const int64_t row = (c->q_begin ? c->q_begin[b] : b * c->q_len) + i;
    const int64_t len = length(c, b), tail = c->tail ? c->tail[b] : 0;
    oracle_range(spec,
                 c->seg          ? c->seg[row]
                 : c->q_position ? c->q_position[row]
                                 : start + i,
                 &lo, &hi);
    for (int64_t k = 0; k < len; k++) {
        const int64_t at = k - (len - tail);
        const int64_t position = at < 0 ? k : c->k_position[b * c->tail_most + at];
        if (lo <= position && position <= hi) m->table[b * m->each + k / m->page] = 0;
    }
}

static bool same_rows(const call *c, const void *data, int32_t type, int32_t heads, int32_t width,
                      int64_t b, int64_t from, int64_t n) {
    for (int64_t h = 0; data && h < heads; h++) {
        const int64_t mine = (b * heads + h) * c->kv_len_max, other = h * c->kv_len_max;
        if (memcmp(attn_at(data, type, (mine + from) * width),
                   attn_at(data, type, (other + from) * width),
                   (size_t)(n * width) * attn_type_size(type)))
            return false;
    }
    return true;
}

/* Whether page n of item b holds what item 0's does, and no more: others may share it too. */
static bool is_shared(const call *c, const page_map *m, int64_t b, int64_t n) {
    const attn_spec *s = &c->spec->core;
    const attn_types type = attn_spec_types(s);
    const int64_t from = n * m->page;
    int64_t rows = m->page;
    if (b == 0 || m->table[n] == PAGE_NONE) return false;
    if (length(c, b) - from < rows) rows = length(c, b) - from;
    if (length(c, 0) - from < rows) return false;
    return same_rows(c, c->k, type.k, s->kv_heads, attn_spec_k_dim(s), b, from, rows) &&
           same_rows(c, c->v, type.v, s->v_heads, s->v_dim, b, from, rows) &&
           same_rows(c, c->k_scale, ATTN_TYPE_F32, s->kv_heads, 1, b, from, rows) &&
           same_rows(c, c->v_scale, ATTN_TYPE_F32, s->v_heads, 1, b, from, rows);
}

/* Pages in a random order. */
static void shuffle(arena *a, page_map *m, int64_t used, uint64_t seed, int64_t entries) {
    int32_t *order = arena_alloc(a, (size_t)(used + SPARE) * sizeof *order);
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
    m->count = (int32_t)used + SPARE;
    for (int32_t i = 0; i < m->count; i++) order[i] = i;
    for (int32_t i = m->count - 1; i > 0; i--) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const int32_t j = (int32_t)((state >> 33) % (uint64_t)(i + 1)), old = order[i];
        order[i] = order[j], order[j] = old;
    }
    for (int64_t i = 0; i < entries; i++)
        if (m->table[i] != PAGE_NONE) m->table[i] = order[m->table[i]];
}

page_map page_map_make(arena *a, const call *c, uint64_t seed) {
    const attn_spec *s = &c->spec->core;
    page_map m = {.page = s->layout == ATTN_LAYOUT_PAGED ? s->page : 0};
    if (!m.page) return m;
    m.each = (c->kv_len_max + m.page - 1) / m.page;
    const int64_t entries = (int64_t)c->batch * m.each;
    m.table = arena_alloc(a, (size_t)(entries + 1) * sizeof *m.table);
    for (int64_t i = 0; i < entries; i++) m.table[i] = PAGE_NONE;
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t i = 0; i < count_of(c, b); i++) mark_row(c, &m, b, i);
    if (c->pages) { /* a case's own */
        m.count = c->page_count;
        for (int64_t i = 0; i < entries; i++)
            if (m.table[i] != PAGE_NONE && c->pages[i] >= 0 && c->pages[i] < m.count)
                m.table[i] = c->pages[i];
            else
                m.table[i] = PAGE_NONE;
        return m;
    }
    int32_t used = 0;
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t n = 0; n < m.each; n++) {
            int32_t *entry = &m.table[b * m.each + n];
            if (*entry == PAGE_NONE) continue;
            *entry = is_shared(c, &m, b, n) ? m.table[n] : used++;
        }
    shuffle(a, &m, used, seed, entries);
    return m;
}

int32_t page_map_at(const page_map *m, int64_t b, int64_t n) {
    return m->table[b * m->each + n];
}
