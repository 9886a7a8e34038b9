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

/* What the op shows to a row of the keys that stand at their numbers and, after them, of each of
 * the tail. */
static attn_page_run piece_run(const attn_page_walk *w) {
    const attn_args *a = w->args;
    const attn_spec *spec = w->kernel->spec;
    const attn_expr_ctx *x = &w->item;
    const bool segments = attn_op_of(spec)->segments;
    const int64_t place = segments
                              ? a->seg[(a->q_begin ? 0 : w->b * a->seg_batch) + x->q_row + w->i]
                              : attn_row_position(x, w->i);
    const int32_t body = x->kv_len - x->tail, key = body + w->piece - 1;
    if (w->piece == 0) return pages_of(spec, attn_op_keys(spec, place, body));
    const attn_keys at = attn_op_keys(spec, place, ATTN_FAR);
    const int32_t position = attn_key_position(x, key);
    const bool seen = at.first <= position && position <= at.last;
    return seen ? pages_of(spec, (attn_keys){key, key}) : (attn_page_run){0, -1};
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
    w->i = w->piece = 0;
    w->done = (attn_page_run){0, -1};
    if (w->b >= a->batch) return;
    w->item = (attn_expr_ctx){.args = a, .b = w->b, .kv_len = item_keys(a, w->b)};
    w->item.q_start = a->q_start ? a->q_start[w->b] : 0;
    w->item.q_row = attn_first_row(a, w->b);
    attn_set_tail(&w->item, attn_tail_of(a, w->b));
}

/* The next piece, perhaps of the next row or item; false: there is none. */
static bool next_piece(attn_page_walk *w) {
    w->done = join(w->done, w->row);
    if (++w->piece > w->item.tail) w->piece = 0, w->i++;
    while (w->b < w->args->batch && w->i >= attn_row_count(w->args, w->b)) w->b++, begin_item(w);
    if (w->b >= w->args->batch) return false;
    w->row = piece_run(w);
    w->at = w->row.first;
    return true;
}

attn_page_walk attn_pages_begin(const attn_kernel *kernel, const attn_args *args) {
    attn_page_walk w = {.kernel = kernel, .args = args, .row.last = -1};
    begin_item(&w);
    w.piece = -1;
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

/* Those that hold keys which a row's list names. */
static attn_status check_list(const attn_why *why, const attn_spec *spec, const attn_args *a,
                              int32_t b, int32_t i) {
    const int32_t keys = item_keys(a, b), count = *attn_index_count(a, b, i);
    for (int32_t h = 0; h < spec->kv_heads; h++) {
        const int32_t *list = attn_index_of(a, b, h, i);
        for (int32_t n = 0; n < count; n++) {
            const bool named = list[n] >= 0 && list[n] < keys;
            const attn_status st = named ? check_entry(why, a, b, list[n] / spec->page) : ATTN_OK;
            if (st != ATTN_OK) return st;
        }
    }
    return ATTN_OK;
}

static attn_status check_named(const attn_why *why, const attn_spec *spec, const attn_args *a) {
    for (int32_t b = 0; b < a->batch; b++)
        for (int32_t i = 0; i < attn_row_count(a, b); i++) {
            const attn_status status = check_list(why, spec, a, b, i);
            if (status != ATTN_OK) return status;
        }
    return ATTN_OK;
}

attn_status attn_check_pages(const attn_why *why, const attn_kernel *kernel, const attn_args *a) {
    const attn_spec *spec = kernel->spec;
    const attn_status status = check_table(why, spec, a);
    if (status != ATTN_OK || !attn_layout_of(spec)->paged || a->kv_len_max == 0) return status;
    if (spec->select == ATTN_SELECT_INDEX) return check_named(why, spec, a);
    attn_page_walk walk = attn_pages_begin(kernel, a);
    for (int32_t n; attn_pages_next(&walk, &n);) {
        const attn_status entry = check_entry(why, a, walk.b, n);
        if (entry != ATTN_OK) return entry;
    }
    return ATTN_OK;
}
