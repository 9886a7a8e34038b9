/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* layout.h - where keys and values lie: a row of layout.c's table each. The reference, size queries
 * and checks of memory ask here. Kernels know it from their template, layout/NAME.c.tpl. */
#ifndef ATTN_LAYOUT_H
#define ATTN_LAYOUT_H

#include "spec.h"

ATTN_HIDDEN_BEGIN

/* What a layout's row says. Null members: as dense. */
typedef struct attn_layout_rule {
    /* How many token strides after key 0 of its head this key lies; ascending. */
    int64_t (*place)(int64_t key);
    const char *words; /* for banners and explain; null: nothing */
    bool scales;       /* its template says where the scales of keys lie */
    bool paged;        /* keys lie in pages of the spec's `page`, which a table names */
} attn_layout_rule;

const attn_layout_rule *attn_layout_of(const attn_spec *spec);

/* Which page an item's keys lie in: data[b * batch + number of the page]. */
typedef struct attn_page_table {
    const int32_t *data;
    int64_t batch;
} attn_page_table;

/* The element of K or V at which the row of a key begins. */
int64_t attn_layout_at(const attn_spec *spec, const attn_view *view, const attn_page_table *pages,
                       int64_t b, int64_t head, int64_t key);

/* Token strides that so many keys of a head take, the last one's row among them; whole pages. */
int64_t attn_layout_rows(const attn_spec *spec, int64_t keys);

/* Of those, how many lie side by side: of a page, or all. */
int64_t attn_layout_together(const attn_spec *spec, int64_t keys);

/* Pages that hold the first `keys` keys of an item; 0: they lie in none. */
int32_t attn_layout_pages(const attn_spec *spec, int32_t keys);

ATTN_VISIBILITY_END

#endif
