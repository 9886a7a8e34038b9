/* report.h - a model's page for people (HTML), and one mask's picture (SVG). Text comes from
 * templates/report/, numbers from the plan and from work.h. */
#ifndef GEN_REPORT_H
#define GEN_REPORT_H

#include "output/product.h"
#include "plan/work.h"

/* Lengths of a picture; more would be a file that nobody can open. */
enum { PICTURE_MAX_LENGTH = 16384 };

/* One self-contained page. e: lengths of the pictures of masks, -1 for lengths that show them.
 * users: those of one more column of the table of memory; -1: none. */
bool report_html(arena *a, const product_list *p, const explain_extent *e, int32_t context,
                 int32_t users, const char **text, diag *d);
/* The mask of a layer's kernel as an SVG file, in tiles of the widest instruction set asked for. */
bool report_svg(arena *a, const product_list *p, const explain_extent *e, int layer,
                const char **text, diag *d);

#endif
