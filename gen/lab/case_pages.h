/* case_pages.h - cases whose keys are given as pools of pages. */
#ifndef LAB_CASE_PAGES_H
#define LAB_CASE_PAGES_H

#include "safetensors.h"

/* The pages of a case, [B][pages of Lk]; null: it has none. */
typedef struct case_pages {
    const int32_t *pages;
    int32_t count;
    int64_t page; /* keys of one */
} case_pages;

/* Where a file has in.pages, its in.k, in.v and their scales become dense tensors, [B, H, Lk, ..].
 * Rows of entries that are no page are zeros: no key of theirs may be needed. Without in.pages keys
 * are dense as they are. */
bool case_pages_read(arena *a, st_file *f, case_pages *out, diag *d);

#endif
