/* picture.h - the picture of a mask as data for templates/report/mask.svg.tpl: tiles by their
 * class, the elements of partial tiles, and a detail. */
#ifndef GEN_PICTURE_H
#define GEN_PICTURE_H

#include "plan/work.h"

/* Extents that show what the mask does: whole tiles, and longer than its window. Lengths that
 * `want` gives are kept. */
explain_extent picture_extent(const kernel_spec *k, const explain_extent *want);

/* id: a prefix of element ids, unique in a page. The table's strings are escaped for XML. */
lua_val *picture_make(arena *a, const kernel_spec *k, const plan *p, const explain_extent *e,
                      const char *id);

#endif
