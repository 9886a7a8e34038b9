/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
#include "pages.h"

#include "layout.h"
#include "op.h"

static int32_t item_keys(const attn_args *a, int32_t b) {
    return a->kv_len ? a->kv_len[b] : a->kv_len_max;
}

static attn_page_run pages_of(const attn_spec *spec, attn_keys keys) {
    if (keys.first > keys.last) return (attn_page_run){0, -1};
    return (attn_page_run){keys.first / spec->page, keys.last / spec->page};
}

/* What the op shows to a row of the keys that stand at their numbers. */
static attn_page_run row_run(attn_page_walk *w) {
    const attn_args *a = w->args;
    const attn_spec *spec = w->kernel->spec;
    const attn_expr_ctx *x = &w->item;
    const bool segments = attn_op_of(spec)->segments;
    const int64_t place = segments
                              ? a->seg[(a->q_begin ? 0 : w->b * a->seg_batch) + x->q_row + w->i]
                              : attn_row_position(x, w->i);
    if (!segments && x->tail > 0) {
        const attn_keys at = attn_op_keys(spec, place, ATTN_FAR);
        if (at.first < w->first) w->first = at.first;
        if (at.last > w->last) w->last = at.last;
    }
    return pages_of(spec, attn_op_keys(spec, place, x->kv_len - x->tail));
}

static bool row_sees(const attn_page_walk *w, int32_t i, int64_t position) {
    const attn_expr_ctx *x = &w->item;
    const attn_keys at = attn_op_keys(w->kernel->spec, attn_row_position(x, i), ATTN_FAR);
    return at.first <= position && position <= at.last;
}

/* Whether some row sees a key of the tail: mostly the one that saw the key before it does. */
static bool tail_seen(attn_page_walk *w, int32_t key) {
    const int32_t rows = attn_row_count(w->args, w->b);
    const int64_t position = attn_key_position(&w->item, key);
    if (position < w->first || position > w->last) return false;
    for (int32_t n = 0; n < rows; n++) {
        const int32_t i = w->seer + n < rows ? w->seer + n : w->seer + n - rows;
        if (!row_sees(w, i, position)) continue;
        w->seer = i;
        return true;
    }
    return false;
}

/* The n-th page of the tail, if some row sees a key there. */
static attn_page_run tail_run(attn_page_walk *w, int32_t n) {
    const int32_t size = w->kernel->spec->page, body = w->item.kv_len - w->item.tail;
    const int64_t page = body / size + n, begin = page * size, end = begin + size;
    int32_t key = begin > body ? (int32_t)begin : body;
    for (; key < end && key < w->item.kv_len; key++)
        if (tail_seen(w, key)) return (attn_page_run){page, page};
    return (attn_page_run){0, -1};
}

/* The key that a number of a row's lists, head after head, names. */
static attn_page_run list_run(const attn_page_walk *w) {
    const int32_t count = *attn_index_count(w->args, w->b, w->i);
    const int32_t head = (int32_t)(w->piece / count), n = (int32_t)(w->piece % count);
    const int32_t key = attn_index_of(w->args, w->b, head, w->i)[n];
    if (key < 0 || key >= w->item.kv_len) return (attn_page_run){0, -1};
    return pages_of(w->kernel->spec, (attn_keys){key, key});
}

/* Of two runs that touch, both; else the later one. */
static attn_page_run join(attn_page_run done, attn_page_run row) {
    if (row.first > row.last) return done;
    if (row.first > done.last + 1 || row.last + 1 < done.first) return row;
    return (attn_page_run){row.first < done.first ? row.first : done.first,
                           row.last > done.last ? row.last : done.last};
}

static void begin_item(attn_page_walk *w) {
    const attn_args *a = w->args;
    w->i = 0, w->piece = -1, w->seer = 0;
    w->first = ATTN_FAR, w->last = -1;
    w->done = (attn_page_run){0, -1};
    if (w->b >= a->batch) return;
    w->item = (attn_expr_ctx){.args = a, .b = w->b, .kv_len = item_keys(a, w->b)};
    w->item.q_start = a->q_start ? a->q_start[w->b] : 0;
    w->item.q_row = attn_first_row(a, w->b);
    attn_set_tail(&w->item, attn_tail_of(a, w->b));
}

/* Pages of an item's tail that rows may see. */
static int32_t tail_pages(const attn_page_walk *w) {
    const attn_expr_ctx *x = &w->item;
    if (x->tail == 0 || !w->args->tail) return 0;
    const int32_t size = w->kernel->spec->page;
    return (x->kv_len - 1) / size - (x->kv_len - x->tail) / size + 1;
}

static bool indexed(const attn_page_walk *w) {
    return w->kernel->spec->select == ATTN_SELECT_INDEX;
}

/* Pieces of the row: numbers of its lists, else one. */
static int64_t pieces(const attn_page_walk *w) {
    if (!indexed(w)) return 1;
    if (w->item.kv_len <= 0) return 0; /* a call without keys may have no lists */
    const int64_t count = *attn_index_count(w->args, w->b, w->i);
    return count * w->kernel->spec->kv_heads;
}

/* Whether the item has another piece, which is then the current one. */
static bool next_of_item(attn_page_walk *w) {
    const int32_t rows = attn_row_count(w->args, w->b);
    for (w->piece++; w->i < rows && w->piece >= pieces(w); w->i++) w->piece = 0;
    if (w->i < rows) return true;
    if (indexed(w)) return false;
    return w->i - rows + w->piece < tail_pages(w);
}

/* The next piece, perhaps of the next row or item; false: there is none. */
static bool next_piece(attn_page_walk *w) {
    w->done = join(w->done, w->row);
    while (w->b < w->args->batch && !next_of_item(w)) w->b++, begin_item(w);
    if (w->b >= w->args->batch) return false;
    const int32_t past = w->i - attn_row_count(w->args, w->b);
    w->row = past >= 0    ? tail_run(w, past + (int32_t)w->piece)
             : indexed(w) ? list_run(w)
                          : row_run(w);
    w->at = w->row.first;
    return true;
}

attn_page_walk attn_pages_begin(const attn_kernel *kernel, const attn_args *args) {
    attn_page_walk w = {.kernel = kernel, .args = args, .row.last = -1};
    begin_item(&w);
    return w;
}

bool attn_pages_next(attn_page_walk *w, int32_t *page) {
    while (w->b < w->args->batch) {
        if (w->at >= w->done.first && w->at <= w->done.last) w->at = w->done.last + 1;
        if (w->at <= w->row.last) {
            *page = (int32_t)w->at++;
            return true;
        }
        if (!next_piece(w)) break;
    }
    return false;
}

int32_t attn_page_keys(const attn_page_walk *w, int32_t page) {
    const int32_t size = w->kernel->spec->page;
    const int32_t rest = item_keys(w->args, w->b) - page * size;
    return rest < size ? rest : size;
}

static attn_status check_table(const attn_why *why, const attn_spec *s, const attn_args *a) {
    const bool paged = attn_layout_of(s)->paged;
    if (a->pages && !paged)
        return attn_refuse(why, ATTN_E_UNUSED,
                           "pages is given: must be null, as the spec's layout is not paged");
    if (!paged || a->batch == 0 || a->q_len == 0 || a->kv_len_max == 0) return ATTN_OK;
    if (!a->pages)
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "pages is null: must hold int32, [batch, pages of kv_len_max] = [%d, "
                           "%d], as the spec's layout is paged",
                           a->batch, attn_layout_pages(s, a->kv_len_max));
    return attn_check_range(why, "page_count", a->page_count, INT32_MAX);
}

attn_status attn_check_page(const attn_why *why, const attn_page_entry *e, const char *as) {
    if (e->page >= 0 && e->page < e->page_count) return ATTN_OK;
    return attn_refuse(why, ATTN_E_PAGE,
                       "pages[%d][%lld] is %d: must be from 0 to page_count - 1 = %d, as %s", e->b,
                       (long long)e->n, e->page, e->page_count - 1, as);
}

static attn_status check_entry(const attn_why *why, const attn_args *a, int32_t b, int32_t n) {
    const attn_page_entry entry = {b, n, a->pages[b * a->pages_batch + n], a->page_count};
    return attn_check_page(why, &entry, "rows see keys of it");
}

attn_status attn_check_pages(const attn_why *why, const attn_kernel *kernel, const attn_args *a) {
    const attn_spec *spec = kernel->spec;
    const attn_status status = check_table(why, spec, a);
    if (status != ATTN_OK || !attn_layout_of(spec)->paged || a->kv_len_max == 0) return status;
    attn_page_walk walk = attn_pages_begin(kernel, a);
    for (int32_t n; attn_pages_next(&walk, &n);) {
        const attn_status entry = check_entry(why, a, walk.b, n);
        if (entry != ATTN_OK) return entry;
    }
    return ATTN_OK;
}
