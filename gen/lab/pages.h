/* pages.h - a problem's keys in pages: in random order, unneeded entries bad, a prefix that two
 * items have in common in the same pages. */
#ifndef VERIFY_PAGES_H
#define VERIFY_PAGES_H

#include "call.h"

typedef struct page_map {
    int32_t *table; /* [B][each]: a page, or PAGE_NONE */
    int32_t each;   /* pages of kv_len_max */
    int32_t count;  /* of the pool, those that hold nothing among them */
    int32_t page;   /* keys a page; 0: the spec's layout has none */
} page_map;
enum { PAGE_NONE = -1 };

/* Entries of pages that no row of the problem needs are PAGE_NONE. */
page_map page_map_make(arena *a, const call *c, uint64_t seed);

/* Page n of item b; PAGE_NONE: nobody needs it. */
int32_t page_map_at(const page_map *m, int64_t b, int64_t n);

#endif
