/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
#include "lists.h"

static int32_t rows_of(const attn_lists *l, int32_t b) {
    if (l->args->q_begin || !l->count) return attn_row_count(l->args, b);
    return l->count[b];
}

static attn_status check_counts(const attn_why *why, const attn_lists *l) {
    for (int32_t b = 0; b < l->args->batch; b++)
        for (int32_t i = 0; i < rows_of(l, b); i++) {
            const int32_t n = *attn_index_count(l->args, b, i);
            if (n < 0)
                return attn_refuse(why, ATTN_E_LENGTH,
                                   "index_count of row %d of item %d is %d: must not be negative",
                                   i, b, n);
        }
    return ATTN_OK;
}

attn_status attn_check_lists(const attn_why *why, const attn_lists *l) {
    const attn_args *a = l->args;
    const bool indexed = l->spec->select == ATTN_SELECT_INDEX;
    const int32_t *given = a->index ? a->index : a->index_count;
    if (given && !indexed)
        return attn_refuse(why, ATTN_E_UNUSED,
                           "%s is given: must be null, as the spec's select is all",
                           a->index ? "index" : "index_count");
    if (!indexed || a->batch == 0 || a->q_len == 0 || a->kv_len_max == 0) return ATTN_OK;
    if (!a->index_count)
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "index_count is null: must hold int32, [batch, rows] = [%d, %d], as the "
                           "spec's select is index",
                           a->batch, a->q_len);
    if (!a->index)
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "index is null: must hold int32, [batch, kv_heads, rows, n], as the "
                           "spec's select is index");
    return check_counts(why, l);
}

void attn_areas_add_lists(attn_areas *areas, const attn_lists *l) {
    const attn_args *a = l->args;
    const bool by_row = a->q_begin && !a->index_by_item;
    const int64_t first = by_row ? a->q_begin[0] : 0, word = sizeof(int32_t);
    const int32_t rows = by_row ? attn_lined_rows(a) : a->q_len, items = by_row ? 1 : a->batch;
    int32_t most = 0;
    for (int32_t b = 0; b < a->batch; b++)
        for (int32_t i = 0; i < rows_of(l, b); i++) {
            const int32_t n = *attn_index_count(a, b, i);
            if (n > most) most = n;
        }
    attn_area *index = attn_areas_add_from(areas, "index", a->index, first, a->index_row,
                                           sizeof(int32_t), most * word);
    attn_area_repeat(index, "index_row", rows, a->index_row, sizeof(int32_t));
    attn_area_repeat(index, "index_head", l->spec->kv_heads, a->index_head, sizeof(int32_t));
    attn_area_repeat(index, "index_batch", items, a->index_batch, sizeof(int32_t));
    attn_area *count = attn_areas_add(areas, "index_count", a->index_count + first, rows * word);
    attn_area_repeat(count, "index_count_batch", items, a->index_count_batch, sizeof(int32_t));
}
