/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* pages.h - page tables of a call: which entries it needs, and whether those are right. */
#ifndef ATTN_PAGES_H
#define ATTN_PAGES_H

#include "check.h"

ATTN_HIDDEN_BEGIN

/* Pages first..last of an item; first > last: none. */
typedef struct attn_page_run {
    int64_t first, last;
} attn_page_run;

/* The pages that a call needs, one after the other: of each item, those that hold keys which the op
 * shows to some row, each once where the rows' runs go on from one to the next; then those of the
 * tail that some row sees. (Not of layers' own tail: they write it.) Of lists, those that hold keys
 * which they name. */
typedef struct attn_page_walk {
    const attn_kernel *kernel;
    const attn_args *args;
    attn_expr_ctx item;
    int32_t b, i;            /* item, and row; past its rows: page of the tail */
    int64_t piece;           /* of lists: which number of the row's */
    attn_page_run row, done; /* of this piece, and of those before */
    int64_t at;              /* the next page of the piece */
    int64_t first, last;     /* positions that any row sees lie within */
    int32_t seer;            /* the row that saw the last key of the tail */
} attn_page_walk;

attn_page_walk attn_pages_begin(const attn_kernel *kernel, const attn_args *args);
/* False: no more. Else the page is number *page of item w->b. */
bool attn_pages_next(attn_page_walk *w, int32_t *page);

/* Keys of that page which exist. */
int32_t attn_page_keys(const attn_page_walk *w, int32_t page);

/* Entry n of item b, and how many pages there are. */
typedef struct attn_page_entry {
    int32_t b;
    int64_t n;
    int32_t page, page_count;
} attn_page_entry;

/* That a needed entry names a page; as: why it is needed. */
attn_status attn_check_page(const attn_why *why, const attn_page_entry *e, const char *as);

/* That a table is there if the layout wants one, and that its needed entries name pages. Lengths
 * have been checked. */
attn_status attn_check_pages(const attn_why *why, const attn_kernel *kernel, const attn_args *args);

ATTN_VISIBILITY_END

#endif
