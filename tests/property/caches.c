/* caches.c - items of caches as callers use them: rows are appended through views, tokens taken
 * back, drafts' rows kept, items forked, in any order. After each call every item is, bit by bit,
 * one that was made from scratch, and so are the rows that a step gives; a call that is refused has
 * changed nothing and says why. Where keys lie in pages the test is who hands these out, counts
 * owners, and now and then makes none of a page that is to be written. */
#define _DEFAULT_SOURCE
#include "cpu.h"
#include "plan/isa.h"
#include "layers.h"
#include "lab/block_call.h"
#include "types.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 24, CACHES = 2, MOST_ITEMS = 4, MOST_KEYS = 40, TOKENS = 12, STEPS = 80 };
enum { MOST_WIDTH = 24, REPORTS = 5, MOST_AT = 64, PAGE = 16, MOST_PAGES = 16 };

static const char *const layer_text[] = {
    "level=block;heads=3;kv_heads=1;head_dim=8;d_model=10;ffn=none",
    "level=block;op=sliding_self;window=3;heads=4;kv_heads=2;head_dim=8;d_model=12;ffn=none",
    "level=block;op=sliding_self;window=5;heads=2;head_dim=16;d_model=10;ffn=none;kv_type=i8",
    "level=block;form=mla;op=sliding_self;window=2;heads=3;head_dim=10;retr_dim=12;q_comp_dim=9;"
    "kv_comp_dim=20;d_model=24;ffn=none;kv_type=bf16",
    "level=block;form=mla;key=shared;heads=2;head_dim=8;retr_dim=4;kv_comp_dim=12;d_model=10;"
    "ffn=none;kv_type=i8",
    "level=block;op=sliding_self;window=3;heads=2;head_dim=8;d_model=10;ffn=none;backend=flex;"
    "score=s - slope[h] * (q - k);mask=(q - k) % 3 != 1;tensor=slope=f32[heads]",
    "level=block;op=sliding_self;window=3;heads=2;head_dim=8;d_model=10;ffn=none;backend=flex;"
    "score=s + 0.5 * (k % 2)",
    "level=block;heads=3;kv_heads=1;head_dim=8;d_model=10;ffn=none;layout=paged;page=16",
    "level=block;op=sliding_self;window=21;heads=4;kv_heads=2;head_dim=16;d_model=12;ffn=none;"
    "kv_type=i8;layout=paged;page=16",
    "level=block;form=mla;key=shared;heads=2;head_dim=8;retr_dim=4;kv_comp_dim=12;d_model=10;"
    "ffn=none;kv_type=bf16;layout=paged;page=16",
};
enum { LAYERS = sizeof layer_text / sizeof *layer_text };

/* A key as the model has it: row `row` of x, made at position `at`. */
typedef struct key {
    int row, at;
} key;

/* What an item must hold. */
typedef struct item {
    int start, length;
    key held[MOST_KEYS];
} item;

typedef struct trial {
    const kernel_lib *lib;
    const kernel_spec *kernel;
    const attn_spec *spec;
    attn_block *block;
    const void *packed;
    rng *r;
    float x[ROWS * MOST_WIDTH];
    attn_cache cache[CACHES];
    guard memory[CACHES];
    item want[CACHES][MOST_ITEMS];
    uint8_t *made[ROWS][MOST_AT]; /* keys made alone: all parts, one after the other */
    int owners[CACHES][MOST_PAGES];
    int chunk; /* most rows of an append */
    char now[160];
    int checks, failures, refused, let_go, shared, copied;
} trial;

static bool is_paged(const trial *t) {
    return t->spec->layout == ATTN_LAYOUT_PAGED;
}

static bool expect(trial *t, bool ok, const char *what) {
    t->checks++;
    if (!ok && t->failures++ < REPORTS)
        printf("FAIL caches, %s: %s: %s\n", t->lib->block_name(t->block), t->now, what);
    return ok;
}

/* --- The layout that attn.h documents --- */

typedef struct part {
    char *data;
    size_t row;
    int heads;
} part;

/* Members of a cache; data is null where there is none. */
static void parts_of(const trial *t, const attn_cache *c, part out[4]) {
    const attn_spec *s = t->spec;
    const int type = attn_spec_types(s).k;
    const bool scaled = attn_type_scaled(type), own = c->v != c->k;
    const size_t size = attn_type_size(type);
    out[0] = (part){c->k, (size_t)attn_spec_k_dim(s) * size, s->kv_heads};
    out[1] = (part){own ? c->v : NULL, (size_t)s->v_dim * size, s->v_heads};
    out[2] = (part){scaled ? (void *)c->k_scale : NULL, sizeof(float), s->kv_heads};
    out[3] = (part){scaled && own ? (void *)c->v_scale : NULL, sizeof(float), s->v_heads};
}

static char *row_at(const trial *t, const part *p, const attn_cache *c, int b, int h, int n) {
    return p->data + (size_t)block_cache_row(t->spec, c, p->heads, b, h, n) * p->row;
}

/* --- From scratch --- */

static attn_status run(const trial *t, attn_cache *c, const float *x, float *y, int tokens,
                       const int32_t *count, bool prefill, const int32_t *position) {
    const int64_t width = t->spec->d_model;
    attn_block_args a = ATTN_BLOCK_ARGS_INIT;
    a.batch = c->batch, a.tokens = tokens, a.threads = 1, a.count = count, a.cache = c;
    a.x = x, a.y = y, a.x_token = a.y_token = width, a.x_batch = a.y_batch = TOKENS * width;
    a.packed = t->packed, a.q_position = position;
    static const float slope[] = {0.5f, -0.25f};
    const attn_side side = {slope, 2};
    if (t->kernel->tensor_count) a.side = &side, a.side_count = 1;
    size_t bytes = 0;
    attn_status status = t->lib->block_workspace(t->block, &a, &bytes);
    guard g = guard_alloc(bytes, 64, false);
    a.workspace = g.data, a.workspace_bytes = bytes;
    if (status == ATTN_OK)
        status = prefill ? t->lib->block_prefill(t->block, &a) : t->lib->block_step(t->block, &a);
    guard_free(&g);
    return status;
}

static attn_cache new_cache(const trial *t, int batch, int capacity, guard *g) {
    attn_cache c = {0};
    size_t bytes = 0;
    t->lib->cache_bytes(t->block, batch, capacity, &bytes);
    *g = guard_alloc(bytes, 64, false);
    t->lib->cache_init(t->block, &c, batch, capacity, g->data, bytes);
    return c;
}

/* A key that was made alone, at its position. */
static const uint8_t *make_key(trial *t, const key *k) {
    uint8_t **made = &t->made[k->row][k->at % MOST_AT];
    if (*made && k->at < MOST_AT) return *made;
    guard h;
    float y[TOKENS * MOST_WIDTH];
    const int32_t one_row = 1;
    attn_cache one = new_cache(t, 1, 1, &h);
    part from[4];
    size_t bytes = 0;
    if (!is_paged(t)) one.start[0] = k->at;
    run(t, &one, t->x + k->row * t->spec->d_model, y, 1, &one_row, false, &k->at);
    parts_of(t, &one, from);
    free(*made);
    *made = malloc(4096);
    for (int i = 0; i < 4; i++)
        for (int n = 0; from[i].data && n < from[i].heads; n++, bytes += from[i].row)
            memcpy(*made + bytes, row_at(t, &from[i], &one, 0, n, 0), from[i].row);
    guard_free(&h);
    return *made;
}

/* An item by itself, each of whose keys was made alone, at its position. */
static attn_cache scratch_item(trial *t, const item *want, int capacity, guard *g) {
    attn_cache c = new_cache(t, 1, capacity, g);
    part to[4];
    parts_of(t, &c, to);
    for (int n = 0; n < want->length; n++) {
        const uint8_t *made = make_key(t, &want->held[n]);
        for (int i = 0; i < 4; i++)
            for (int k = 0; to[i].data && k < to[i].heads; k++, made += to[i].row)
                memcpy(row_at(t, &to[i], &c, 0, k, n), made, to[i].row);
    }
    c.length[0] = want->length, c.start[0] = want->start;
    return c;
}

static bool same_item(trial *t, const attn_cache *c, int b, const item *want) {
    if (c->length[b] != want->length || c->start[b] != want->start) return false;
    guard g;
    const attn_cache scratch = scratch_item(t, want, c->capacity, &g);
    part got[4], made[4];
    parts_of(t, c, got), parts_of(t, &scratch, made);
    bool same = true;
    for (int i = 0; i < 4; i++)
        for (int h = 0; got[i].data && h < got[i].heads && want->length; h++)
            for (int n = 0; n < want->length; n++)
                same &= !memcmp(row_at(t, &got[i], c, b, h, n),
                                row_at(t, &made[i], &scratch, 0, h, n), got[i].row);
    guard_free(&g);
    return same;
}

/* --- What calls must do to the model --- */

/* Keys before a new row's own that it or a later one sees; more than there can be: all. */
static int kept(const trial *t) {
    return layer_slides(t->kernel) && !is_paged(t) ? t->spec->window : MOST_KEYS + 1;
}

static void drop_first(item *m, int count) {
    memmove(m->held, m->held + count, (size_t)(m->length - count) * sizeof *m->held);
    m->length -= count, m->start += count;
}

static int keys_to_drop(const trial *t, const item *m, int capacity, int count) {
    return count > capacity - m->length && m->length > kept(t) ? m->length - kept(t) : 0;
}

/* Whether tokens can be taken back so far; then they are. */
static bool take_back(const trial *t, item *m, int tokens, const int32_t *slots, int n) {
    const int end = m->start + m->length;
    if (tokens < 0 || tokens > end || n < 0 || n > end - tokens) return false;
    for (int i = 0; i < n; i++)
        if (slots[i] < (i ? slots[i - 1] + 1 : 0) || slots[i] >= end - tokens) return false;
    if (tokens == 0 && n == 0) {
        m->length = m->start = 0;
        return true;
    }
    if (m->start > 0 && (tokens < m->start || (tokens + n - m->start < kept(t) &&
                                               kept(t) <= MOST_KEYS && tokens + n != end)))
        return false;
    for (int i = 0; i < n; i++)
        m->held[tokens - m->start + i] = m->held[tokens - m->start + slots[i]];
    m->length = tokens - m->start + n;
    return true;
}

/* --- Pages --- */

static int32_t *page_at(const attn_cache *c, int b, int n) {
    return &c->pages[b * c->pages_batch + n];
}

static int free_page(const trial *t, int which) {
    int page = rng_int(t->r, 0, t->cache[which].page_count - 1);
    while (t->owners[which][page]) page = (page + 1) % t->cache[which].page_count;
    return page;
}

static void let_page_go(trial *t, int which, int b, int n) {
    int32_t *page = page_at(&t->cache[which], b, n);
    if (*page >= 0) t->owners[which][*page]--;
    *page = -1;
}

static void give_page(trial *t, int which, int b, int n) {
    let_page_go(t, which, b, n);
    const int page = free_page(t, which);
    t->owners[which][page] = 1;
    *page_at(&t->cache[which], b, n) = page;
}

/* Some items of a cache, as a call sees them: emptied first, or as they are. */
typedef struct sight {
    int which, first, batch;
    bool emptied;
} sight;

static sight whole_cache(const trial *t, int which) {
    return (sight){which, 0, t->cache[which].batch, false};
}

static void own_page(trial *t, int which, int b, int n) {
    attn_cache *c = &t->cache[which];
    const int32_t page = *page_at(c, b, n);
    if (page < 0 || n * PAGE >= c->length[b]) {
        give_page(t, which, b, n);
        return;
    }
    const int copy = free_page(t, which);
    char text[ATTN_MESSAGE_MAX];
    expect(t,
           t->lib->cache_own_page_check(t->block, c, b, n, copy, text, sizeof text) == ATTN_OK &&
               !*text,
           text);
    expect(t, t->lib->cache_own_page(t->block, c, b, n, copy) == ATTN_OK, "own_page");
    expect(t, *page_at(c, b, n) == copy, "the table does not name the copy");
    t->owners[which][page]--, t->owners[which][copy] = 1;
    t->copied++;
}

/* An item is to write its keys from..to - 1: pages that it has none of are given, and shared ones
 * become its own by a copy, now and then not. */
static void own_pages(trial *t, int which, int b, int from, int to) {
    const attn_cache *c = &t->cache[which];
    for (int n = from / PAGE; is_paged(t) && n * PAGE < to && n < c->pages_batch; n++) {
        const int32_t page = *page_at(c, b, n);
        if (page >= 0 && t->owners[which][page] == 1) continue;
        if (!rng_chance(t->r, 10)) own_page(t, which, b, n);
    }
}

/* Whether the call sees another entry of this page, of those that later rows may see. */
static bool has_other(const trial *t, const sight *s, int b, int n) {
    const attn_cache *c = &t->cache[s->which];
    for (int i = s->first; !s->emptied && i < s->first + s->batch; i++)
        for (int k = t->lib->cache_first_page(t->block, c, i); k * PAGE < c->length[i]; k++)
            if ((i != b || k != n) && *page_at(c, i, k) == *page_at(c, b, n)) return true;
    return false;
}

/* Whether all of the pages are the item's own, as far as the call sees; what it does not see is the
 * caller's to see to, and is. */
static bool are_own(trial *t, const sight *s, int b, int from, int to) {
    const attn_cache *c = &t->cache[s->which];
    bool own = true;
    for (int n = from / PAGE; is_paged(t) && n * PAGE < to && n < c->pages_batch; n++) {
        const int32_t page = *page_at(c, b, n);
        const bool refused = page < 0 || has_other(t, s, b, n);
        own &= !refused;
        if (!refused && t->owners[s->which][page] > 1) own_page(t, s->which, b, n);
    }
    return own;
}

/* --- Calls --- */

typedef struct snapshot {
    uint8_t *bytes[CACHES];
} snapshot;

static snapshot take(const trial *t) {
    snapshot s;
    for (int i = 0; i < CACHES; i++) {
        s.bytes[i] = malloc(t->memory[i].size + 1);
        memcpy(s.bytes[i], t->memory[i].data, t->memory[i].size);
    }
    return s;
}

/* What has become of a call: every item is as the model has it; a refused one changed nothing, and
 * its check said the same, in words. */
static void judge(trial *t, snapshot before, bool allowed, attn_status got, attn_status said,
                  const char *text) {
    expect(t, (got == ATTN_OK) == allowed, t->lib->status_text(got));
    expect(t, got == said && (*text != 0) == (got != ATTN_OK), text);
    t->refused += !allowed;
    for (int i = 0; i < CACHES; i++) {
        if (!allowed)
            expect(t, !memcmp(before.bytes[i], t->memory[i].data, t->memory[i].size),
                   "refused, and a cache has changed");
        free(before.bytes[i]);
        expect(t, guard_intact(&t->memory[i]), "wrote outside of a cache");
        for (int b = 0; b < t->cache[i].batch; b++)
            expect(t, same_item(t, &t->cache[i], b, &t->want[i][b]),
                   "an item is not as it must be");
    }
}

/* A view, or a view of a view. */
static attn_cache some_view(trial *t, const attn_cache *c, int *first) {
    attn_cache v = *c;
    *first = 0;
    for (int depth = rng_int(t->r, 0, 2); depth > 0; depth--) {
        const int from = rng_int(t->r, 0, v.batch), count = rng_int(t->r, 0, v.batch - from);
        char text[ATTN_MESSAGE_MAX];
        const attn_cache of = v;
        expect(t, t->lib->cache_view(t->block, &of, from, count, &v) == ATTN_OK, "no view");
        expect(t,
               t->lib->cache_view_check(t->block, &of, from, count, &v, text, sizeof text) ==
                       ATTN_OK &&
                   !*text,
               text);
        *first += from;
    }
    return v;
}

/* Rows of items first.. of a cache, as their own call gives them. */
static void same_rows(trial *t, const item *before, const attn_cache *view, const float *x,
                      const float *y, const int32_t *count, bool prefill) {
    const size_t width = (size_t)t->spec->d_model;
    for (int b = 0; b < view->batch; b++) {
        guard g;
        float alone[TOKENS * MOST_WIDTH];
        attn_cache c = scratch_item(t, &before[b], view->capacity, &g);
        const attn_status status =
            run(t, &c, x + (size_t)b * TOKENS * width, alone, count[b], &count[b], prefill, NULL);
        expect(t, status == ATTN_OK, "a step from scratch is refused");
        expect(t,
               !memcmp(alone, y + (size_t)b * TOKENS * width,
                       (size_t)count[b] * width * sizeof *alone),
               "a step gives other rows than from scratch");
        guard_free(&g);
    }
}

static void append(trial *t) {
    const int which = rng_int(t->r, 0, CACHES - 1);
    const bool prefill = rng_chance(t->r, 15);
    int first;
    attn_cache view = some_view(t, &t->cache[which], &first);
    item before[MOST_ITEMS], *want = t->want[which] + first;
    memcpy(before, want, (size_t)view.batch * sizeof *before);
    int32_t count[MOST_ITEMS] = {0};
    float x[MOST_ITEMS * TOKENS * MOST_WIDTH], y[MOST_ITEMS * TOKENS * MOST_WIDTH];
    bool room = true, own = true;
    int held[MOST_ITEMS], end[MOST_ITEMS];
    item after[MOST_ITEMS];
    for (int b = 0; b < view.batch; b++) {
        item *m = &after[b];
        *m = want[b];
        count[b] = rng_int(t->r, 0, t->chunk);
        if (prefill) m->length = m->start = 0;
        const int drop = keys_to_drop(t, m, view.capacity, count[b]);
        drop_first(m, drop);
        t->let_go += drop > 0;
        room &= count[b] <= view.capacity - m->length;
        held[b] = m->length;
        for (int i = 0; i < count[b] && m->length < MOST_KEYS; i++) {
            const int row = rng_int(t->r, 0, ROWS - 1), width = t->spec->d_model;
            memcpy(x + (b * TOKENS + i) * width, t->x + row * width, (size_t)width * sizeof *x);
            m->held[m->length] = (key){row, m->start + m->length};
            m->length++;
        }
        end[b] = held[b] + count[b] < view.capacity ? held[b] + count[b] : view.capacity;
        if (count[b]) own_pages(t, which, first + b, held[b], end[b]);
    }
    const sight s = {which, first, view.batch, prefill};
    for (int again = 0; again < 2; again++) { /* a copy may leave the other its page */
        own = true;
        for (int b = 0; b < view.batch; b++)
            own &= !count[b] || are_own(t, &s, first + b, held[b], end[b]);
    }
    const bool allowed = room && own;
    snprintf(t->now, sizeof t->now, "%s of up to %d rows of items %d..%d of cache %d",
             prefill ? "prefill" : "step", TOKENS, first, first + view.batch - 1, which);
    snapshot was = take(t);
    const attn_status got = run(t, &view, x, y, TOKENS, count, prefill, NULL);
    if (allowed) memcpy(want, after, (size_t)view.batch * sizeof *after);
    expect(t, !room || own || got == ATTN_E_PAGE, "no ATTN_E_PAGE");
    judge(t, was, allowed, got, got, got == ATTN_OK ? "" : "refused");
    if (allowed) same_rows(t, before, &view, x, y, count, prefill);
}

static void keep(trial *t) {
    const int which = rng_int(t->r, 0, CACHES - 1), b = rng_int(t->r, 0, t->cache[which].batch - 1);
    item *m = &t->want[which][b], changed = *m;
    const int end = m->start + m->length;
    const int tokens =
        rng_chance(t->r, 50) ? rng_int(t->r, m->start, end) : rng_int(t->r, -1, end + 1);
    int32_t slots[MOST_KEYS + 1];
    int n = 0;
    for (int s = 0; s < end - tokens && n < MOST_KEYS; s++)
        if (rng_chance(t->r, 60)) slots[n++] = s;
    if (n && rng_chance(t->r, 8)) slots[rng_int(t->r, 0, n - 1)] += rng_int(t->r, -2, 2);
    const bool truncate = rng_chance(t->r, 40);
    if (truncate) n = 0;
    bool allowed = take_back(t, &changed, tokens, slots, n);
    int moved = 0;
    while (moved < n && slots[moved] == moved) moved++;
    if (allowed && moved < n) {
        const sight all = whole_cache(t, which);
        const int from = tokens - m->start + moved, to = tokens - m->start + n;
        own_pages(t, which, b, from, to);
        allowed = are_own(t, &all, b, from, to);
    }
    if (allowed) *m = changed;
    snprintf(t->now, sizeof t->now, "%s item %d of cache %d: %d tokens of %d and %d more",
             truncate ? "truncate" : "keep of", b, which, tokens, end, n);
    char text[ATTN_MESSAGE_MAX];
    const attn_status said =
        truncate
            ? t->lib->cache_truncate_check(t->block, &t->cache[which], b, tokens, text, sizeof text)
            : t->lib->cache_keep_check(t->block, &t->cache[which], b, tokens, slots, n, text,
                                       sizeof text);
    snapshot s = take(t);
    const attn_status got =
        truncate ? t->lib->cache_truncate(t->block, &t->cache[which], b, tokens)
                 : t->lib->cache_keep(t->block, &t->cache[which], b, tokens, slots, n);
    judge(t, s, allowed, got, said, text);
}

/* In pages: the new item's own pages, and what a fork does to owners. */
typedef struct page_fork {
    int from, fb, to, tb, full; /* pages that are shared */
} page_fork;

static bool before_fork(trial *t, const page_fork *f) {
    const int length = t->cache[f->from].length[f->fb];
    if (!is_paged(t) || (f->from == f->to && f->fb == f->tb)) return true;
    const int first = f->full * PAGE;
    t->cache[f->to].length[f->tb] = 0; /* gone, so that nothing of it is copied */
    for (int n = f->full; n * PAGE < length && n < t->cache[f->to].pages_batch; n++)
        let_page_go(t, f->to, f->tb, n);
    const sight all = whole_cache(t, f->to);
    own_pages(t, f->to, f->tb, first, length);
    const bool own = are_own(t, &all, f->tb, first, length);
    t->cache[f->to].length[f->tb] = t->want[f->to][f->tb].length;
    return own;
}

static void after_fork(trial *t, const page_fork *f, const int32_t *old) {
    for (int n = 0; n < f->full; n++) {
        const int32_t page = *page_at(&t->cache[f->to], f->tb, n);
        if (old[n] >= 0) t->owners[f->to][old[n]]--;
        expect(t, page == *page_at(&t->cache[f->from], f->fb, n), "a full page is not shared");
        t->owners[f->to][page]++, t->shared++;
    }
}

static void fork_item(trial *t) {
    const int from = rng_int(t->r, 0, CACHES - 1), to = rng_int(t->r, 0, CACHES - 1);
    const int fb = rng_int(t->r, 0, t->cache[from].batch - 1);
    const int tb = rng_int(t->r, 0, t->cache[to].batch - 1);
    item m = t->want[from][fb];
    const int room = t->cache[to].capacity;
    page_fork f = {from, fb, to, tb, 0};
    if (from == to && fb != tb && is_paged(t)) f.full = m.length / PAGE;
    bool allowed = m.length <= room || kept(t) <= room;
    item *was = &t->want[to][tb];
    int32_t old[MOST_PAGES];
    if (is_paged(t)) {
        allowed = m.length <= room;
        /* pages that go: the item is empty if the fork is refused */
        if (from != to || fb != tb) {
            t->lib->cache_truncate(t->block, &t->cache[to], tb, 0);
            was->length = was->start = 0;
            allowed &= before_fork(t, &f);
        }
        memcpy(old, page_at(&t->cache[to], tb, 0), (size_t)f.full * sizeof *old);
    }
    if (allowed && m.length > room) drop_first(&m, m.length - room);
    if (allowed) *was = m;
    snprintf(t->now, sizeof t->now, "fork of item %d of cache %d to item %d of cache %d", fb, from,
             tb, to);
    char text[ATTN_MESSAGE_MAX];
    const attn_status said = t->lib->cache_fork_check(t->block, &t->cache[from], fb, &t->cache[to],
                                                      tb, text, sizeof text);
    snapshot s = take(t);
    const attn_status got = t->lib->cache_fork(t->block, &t->cache[from], fb, &t->cache[to], tb);
    if (got == ATTN_OK) after_fork(t, &f, old);
    judge(t, s, allowed, got, said, text);
}

/* --- Mistakes --- */

/* A call that must be refused with this status and sentence, and change nothing. */
#define REFUSED(call, check, status, says)                          \
    do {                                                            \
        char text[ATTN_MESSAGE_MAX] = "?";                          \
        snprintf(t->now, sizeof t->now, "%s", says);                \
        snapshot s = take(t);                                       \
        const attn_status got = t->lib->call, said = t->lib->check; \
        expect(t, strstr(text, says) != NULL, text);                \
        expect(t, got == status, t->lib->status_text(got));         \
        judge(t, s, false, got, said, text);                        \
    } while (0)
#define VIEW(c, first, count, out, status, says)        \
    REFUSED(cache_view(t->block, c, first, count, out), \
            cache_view_check(t->block, c, first, count, out, text, sizeof text), status, says)
#define TRUNCATE(c, item, tokens, status, says)        \
    REFUSED(cache_truncate(t->block, c, item, tokens), \
            cache_truncate_check(t->block, c, item, tokens, text, sizeof text), status, says)
#define KEEP(c, item, tokens, slots, n, status, says)                                         \
    REFUSED(cache_keep(t->block, c, item, tokens, slots, n),                                  \
            cache_keep_check(t->block, c, item, tokens, slots, n, text, sizeof text), status, \
            says)
#define FORK(from, item, to, into, status, says)        \
    REFUSED(cache_fork(t->block, from, item, to, into), \
            cache_fork_check(t->block, from, item, to, into, text, sizeof text), status, says)

/* On items that hold four tokens, and have let go of none. */
static void mistakes(trial *t) {
    attn_cache *c = &t->cache[0], *d = &t->cache[1], none = {0}, bad;
    attn_cache view = none;
    VIEW(NULL, 0, 1, &view, ATTN_E_CACHE, "cache is null");
    VIEW(c, -1, 1, &view, ATTN_E_ARGUMENT, "first is -1: must be from 0 to 4");
    VIEW(c, 5, 0, &view, ATTN_E_ARGUMENT, "first is 5");
    VIEW(c, 1, 4, &view, ATTN_E_ARGUMENT, "count is 4: must be from 0 to 3");
    VIEW(c, 1, -1, &view, ATTN_E_ARGUMENT, "count is -1");
    VIEW(c, 1, 1, NULL, ATTN_E_ARGUMENT, "view is null");
    bad = *c, bad.layer ^= 1;
    VIEW(&bad, 0, 1, &view, ATTN_E_CACHE, "cache.layer is another layer's");
    bad = *c, bad.batch = -1;
    VIEW(&bad, 0, 0, &view, ATTN_E_CACHE, "cache.batch is -1");
    expect(t, !memcmp(&view, &none, sizeof view), "a view that was refused was written");

    TRUNCATE(c, 4, 0, ATTN_E_ARGUMENT, "item is 4: must be from 0 to 3, below cache.batch");
    TRUNCATE(c, -1, 0, ATTN_E_ARGUMENT, "item is -1");
    TRUNCATE(c, 1, 5, ATTN_E_ARGUMENT, "tokens is 5: must be from 0 to 4, which item 1 has");
    TRUNCATE(c, 1, -1, ATTN_E_ARGUMENT, "tokens is -1");
    TRUNCATE(NULL, 1, 1, ATTN_E_CACHE, "cache is null");
    bad = *c, bad.length = NULL;
    TRUNCATE(&bad, 1, 1, ATTN_E_CACHE, "cache.length is null");
    int32_t longer[MOST_ITEMS] = {c->capacity + 1, -1, 4, 4}, before[MOST_ITEMS] = {0, 0, 0, -1};
    bad = *c, bad.length = longer, bad.start = before;
    TRUNCATE(&bad, 0, 1, ATTN_E_CACHE, "cache.length[0] is");
    TRUNCATE(&bad, 1, 1, ATTN_E_CACHE, "cache.length[1] is -1");
    TRUNCATE(&bad, 3, 1, ATTN_E_CACHE, "cache.start[3] is -1");
    before[2] = INT32_MAX - 3;
    TRUNCATE(&bad, 2, 1, ATTN_E_CACHE, "positions would pass 2147483647");
    before[2] = 7; /* the keys before are gone */
    TRUNCATE(&bad, 2, 6, ATTN_E_CACHE, "has let go of the keys before 7");

    const int32_t slots[] = {0, 2}, twice[] = {1, 1}, far[] = {0, 3}, negative[] = {-1};
    KEEP(c, 1, 1, NULL, 2, ATTN_E_ARGUMENT, "slots is null: must hold n = 2 numbers");
    KEEP(c, 1, 3, slots, 2, ATTN_E_ARGUMENT, "n is 2: must be from 0 to 1");
    KEEP(c, 1, 1, slots, -1, ATTN_E_ARGUMENT, "n is -1");
    KEEP(c, 1, 1, twice, 2, ATTN_E_ARGUMENT, "slots[1] is 1: must be from 2 to 2");
    KEEP(c, 1, 1, far, 2, ATTN_E_ARGUMENT, "slots[1] is 3: must be from 1 to 2");
    KEEP(c, 1, 1, negative, 1, ATTN_E_ARGUMENT, "slots[0] is -1: must be from 0 to 2");
    KEEP(&bad, 2, 6, slots, 1, ATTN_E_CACHE, "tokens must be at least 7 and tokens + n at least");

    FORK(NULL, 0, c, 1, ATTN_E_CACHE, "from is null");
    FORK(c, 0, NULL, 1, ATTN_E_CACHE, "to is null");
    FORK(c, 4, d, 0, ATTN_E_ARGUMENT, "from_item is 4: must be from 0 to 3, below from.batch");
    FORK(c, 0, d, 2, ATTN_E_ARGUMENT, "to_item is 2: must be from 0 to 1, below to.batch");
    bad = *d, bad.layer ^= 1;
    FORK(c, 0, &bad, 0, ATTN_E_CACHE, "to.layer is another layer's");
    FORK(&bad, 0, c, 0, ATTN_E_CACHE, "from.layer is another layer's");
    bad = *c, bad.k = (char *)c->k + sizeof(float); /* the same rows, but for a shift */
    if (c->k == c->v) bad.v = bad.k;
    FORK(c, 0, &bad, 0, ATTN_E_ARGUMENT, "to.k overlaps from.k");
    bad = *c, bad.length = c->start, bad.start = c->length;
    FORK(c, 0, &bad, 0, ATTN_E_ARGUMENT, "to.length overlaps from.start");
    guard g;
    attn_cache small = new_cache(t, 1, 1, &g);
    FORK(c, 0, &small, 0, ATTN_E_CACHE, "to.capacity is 1: item 0 of from has 4 keys, of which");
    guard_free(&g);
    snprintf(t->now, sizeof t->now, "no block");
    expect(t, t->lib->cache_view(NULL, c, 0, 1, &view) == ATTN_E_ARGUMENT, "view");
    expect(t, t->lib->cache_truncate(NULL, c, 0, 1) == ATTN_E_ARGUMENT, "truncate");
    expect(t, t->lib->cache_keep(NULL, c, 0, 1, NULL, 0) == ATTN_E_ARGUMENT, "keep");
    expect(t, t->lib->cache_fork(NULL, c, 0, c, 1) == ATTN_E_ARGUMENT, "fork");
}

/* --- Trials --- */

/* A cache in pages, that are nobody's so far; a few more than items can have. */
static void new_pool(trial *t, int which, int batch, int capacity) {
    const int pages = batch * ((capacity + PAGE - 1) / PAGE) + 3;
    size_t bytes = 0;
    memset(t->owners[which], 0, sizeof t->owners[which]);
    t->lib->cache_paged_bytes(t->block, batch, capacity, pages, &bytes);
    t->memory[which] = guard_alloc(bytes, 64, false);
    expect(t,
           pages <= MOST_PAGES &&
               t->lib->cache_paged_init(t->block, &t->cache[which], batch, capacity, pages,
                                        t->memory[which].data, bytes) == ATTN_OK,
           "no pool");
}

static void begin(trial *t) {
    static const int batch[CACHES] = {MOST_ITEMS, 2}, dense[CACHES] = {14, 9},
                     paged[CACHES] = {MOST_KEYS, 33};
    const int *capacity = is_paged(t) ? paged : dense;
    t->chunk = is_paged(t) ? TOKENS : 5;
    for (int i = 0; i < ROWS; i++)
        for (int n = 0; n < MOST_AT; n++) free(t->made[i][n]), t->made[i][n] = NULL;
    for (int i = 0; i < ROWS * t->spec->d_model; i++) t->x[i] = rng_normal(t->r);
    memset(t->want, 0, sizeof t->want);
    for (int i = 0; i < CACHES; i++)
        if (is_paged(t))
            new_pool(t, i, batch[i], capacity[i]);
        else
            t->cache[i] = new_cache(t, batch[i], capacity[i], &t->memory[i]);
}

/* --- Pages that a sliding item has let go of --- */

/* Appends rows to one item, which are as from scratch, or are refused. */
static attn_status put(trial *t, attn_cache *c, int b, item *m, int32_t count) {
    const int width = t->spec->d_model;
    float x[TOKENS * MOST_WIDTH], y[TOKENS * MOST_WIDTH];
    const item before = *m;
    attn_cache one;
    expect(t, t->lib->cache_view(t->block, c, b, 1, &one) == ATTN_OK, "no view");
    for (int i = 0; i < count; i++) {
        const int row = (m->length + i) % ROWS;
        memcpy(x + i * width, t->x + row * width, (size_t)width * sizeof *x);
        m->held[before.length + i] = (key){row, before.length + i};
    }
    const attn_status status = run(t, &one, x, y, count, &count, false, NULL);
    if (status != ATTN_OK) return status;
    m->length += count;
    expect(t, same_item(t, c, b, m), "an item is not as it must be");
    same_rows(t, &before, &one, x, y, &count, false);
    return status;
}

/* A fork goes back to keys of page 0, and on from there in a page 1 of its own. */
static attn_status go_back(trial *t, attn_cache *c, int b, item *m) {
    expect(t, t->lib->cache_truncate(t->block, c, b, PAGE) == ATTN_OK, "no truncate");
    m->length = PAGE;
    return put(t, c, b, m, 3);
}

/* Entries before the first page that later rows see go with a fork, in the same pools and in
 * others; those that are no page are none in it, either. */
static void forks_of_let_go(trial *t) {
    enum { KEYS = 39, EACH = (KEYS + PAGE - 1) / PAGE };
    if (!is_paged(t) || t->spec->op != ATTN_OP_SLIDING_SELF) return;
    begin(t);
    attn_cache *c = &t->cache[0], other = {0};
    item *m = t->want[0], copy;
    snprintf(t->now, sizeof t->now, "forks of an item that has let go of keys");
    for (int b = 0; b < 3; b++)
        for (int n = 0; n < EACH; n++) give_page(t, 0, b, n);
    while (m->length < KEYS) {
        const int left = KEYS - m->length;
        if (!expect(t, put(t, c, 0, m, left < TOKENS ? left : TOKENS) == ATTN_OK, "no step")) break;
    }
    expect(t, t->lib->cache_first_page(t->block, c, 0) == 1, "page 0 is seen by later rows");
    int32_t old[EACH];
    memcpy(old, page_at(c, 1, 0), sizeof old);
    expect(t, t->lib->cache_fork(t->block, c, 0, c, 1) == ATTN_OK, "no fork");
    after_fork(t, &(page_fork){.tb = 1, .full = KEYS / PAGE}, old);
    m[1] = m[0];
    give_page(t, 0, 1, 1);
    expect(t, go_back(t, c, 1, &m[1]) == ATTN_OK, "no step of a fork");
    expect(t, same_item(t, c, 0, m), "the item that was forked has changed");

    guard g;
    size_t bytes = 0;
    t->lib->cache_paged_bytes(t->block, 1, MOST_KEYS, EACH, &bytes);
    g = guard_alloc(bytes, 64, false);
    t->lib->cache_paged_init(t->block, &other, 1, MOST_KEYS, EACH, g.data, bytes);
    for (int n = 0; n < EACH; n++) other.pages[n] = EACH - 1 - n;
    expect(t, t->lib->cache_fork(t->block, c, 0, &other, 0) == ATTN_OK, "no fork to other pools");
    copy = m[0];
    expect(t, same_item(t, &other, 0, &copy), "a fork to other pools is not the item");
    expect(t, go_back(t, &other, 0, &copy) == ATTN_OK, "no step in other pools");

    let_page_go(t, 0, 0, 0);
    expect(t, t->lib->cache_fork(t->block, c, 0, c, 2) == ATTN_OK, "no fork without page 0");
    expect(t, t->lib->cache_fork(t->block, c, 0, &other, 0) == ATTN_OK, "no fork without page 0");
    expect(t, *page_at(c, 2, 0) < 0 && other.pages[0] < 0, "a page that the item does not have");
    copy = m[0];
    expect(t, go_back(t, c, 2, &copy) == ATTN_E_PAGE, "a step that lacks its keys");
    guard_free(&g);
    for (int i = 0; i < CACHES; i++) guard_free(&t->memory[i]);
}

/* --- Random calls --- */

static void run_trial(trial *t, int steps) {
    begin(t);
    int32_t four[MOST_ITEMS] = {4, 4, 4, 4};
    float x[MOST_ITEMS * TOKENS * MOST_WIDTH], y[MOST_ITEMS * TOKENS * MOST_WIDTH];
    const int width = t->spec->d_model;
    for (int b = 0; b < MOST_ITEMS; b++)
        for (int i = 0; i < 4; i++) {
            memcpy(x + (b * TOKENS + i) * width, t->x + (b + i) * width, (size_t)width * sizeof *x);
            t->want[0][b].held[i] = (key){b + i, i};
            t->want[0][b].length = 4;
        }
    for (int b = 0; is_paged(t) && b < MOST_ITEMS; b++) give_page(t, 0, b, 0);
    expect(t, run(t, &t->cache[0], x, y, TOKENS, four, true, NULL) == ATTN_OK, "the first prefill");
    if (!is_paged(t)) mistakes(t); /* of pages: layer_statuses.c */
    for (int i = 0; i < steps; i++) {
        const int kind = rng_int(t->r, 0, 9);
        if (kind < 5)
            append(t);
        else if (kind < (is_paged(t) ? 7 : 8))
            keep(t);
        else
            fork_item(t);
    }
    for (int i = 0; i < CACHES; i++) guard_free(&t->memory[i]);
}

/* One layer, on the best instruction set that is asked for. */
static void run_layer(arena *a, const property_options *o, const kernel_spec *spec,
                      const built *built, trial *t, rng *r) {
    guard packed = {0};
    const char *why = built->error;
    layer_problem weights = {.c = {.spec = spec}};
    t->lib = built->lib, t->kernel = spec, t->spec = &spec->core, t->r = r;
    if (!why && t->lib->block_create(&t->block, &spec->core, 0) != ATTN_OK)
        why = "attn_block_create failed";
    if (!why) {
        layer_weights(a, t->lib, t->block, r, &weights);
        layer_pack(a, t->lib, t->block, &weights, &packed, &why);
    }
    if (why) {
        printf("FAIL caches: %s\n", why);
        t->failures++;
    } else {
        t->packed = packed.data;
        forks_of_let_go(t);
        for (int i = 0; i < o->shapes; i += 5) run_trial(t, STEPS);
        guard_free(&packed);
    }
    if (t->block) t->lib->block_destroy(t->block);
    t->block = NULL;
}

int property_caches(const property_options *o) {
    arena *a = arena_new();
    kernel_spec spec[LAYERS];
    built built[LAYERS];
    build_options build = o->build;
    trial *t = arena_alloc(a, sizeof *t);
    *t = (trial){0};
    rng r = {o->seed};
    diag d = {0};
    const attn_isa isa = attn_isa_best(o->isa_mask);
    build.isa_mask = 1u << isa;
    setenv("ATTN_ISA", isa_table[isa].name, 1);
    for (int i = 0; i < LAYERS; i++)
        if (!property_try(a, "caches", layer_text[i], &spec[i], &d)) {
            printf("FAIL caches: %s\n", d.text);
            return 1;
        }
    build_kernels(a, spec, LAYERS, &build, built);
    for (int i = 0; i < LAYERS; i++) run_layer(a, o, &spec[i], &built[i], t, &r);
    if (!t->let_go || !t->refused || !t->shared || (!t->copied && t->shared > 20)) {
        printf("FAIL caches: %d items let go of keys, %d calls were refused, %d pages shared and "
               "%d copied\n",
               t->let_go, t->refused, t->shared, t->copied);
        t->failures++;
    }
    printf(
        "property: %d status checks of caches (%d items let go of keys; %d calls were refused; %d "
        "pages were shared, %d copied), %d failed\n",
        t->checks, t->let_go, t->refused, t->shared, t->copied, t->failures);
    const int failures = t->failures;
    arena_free(a);
    return failures;
}
