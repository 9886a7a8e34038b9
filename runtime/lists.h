/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* lists.h - select = index: checks of the keys that a call names for each row. */
#ifndef ATTN_LISTS_H
#define ATTN_LISTS_H

#include "attn_kernel.h"
#include "check.h"

ATTN_HIDDEN_BEGIN

/* Lists of a call whose lengths have been checked. count: rows of each item that exist, where the
 * call is not ragged; null: q_len. */
typedef struct attn_lists {
    const attn_spec *spec;
    const attn_args *args;
    const int32_t *count;
} attn_lists;

/* They are there where rows are over such, and nowhere else; no row's has a negative length. */
attn_status attn_check_lists(const attn_why *why, const attn_lists *lists);
/* As if all were as long as the longest. */
void attn_areas_add_lists(attn_areas *areas, const attn_lists *lists);

ATTN_VISIBILITY_END

#endif
