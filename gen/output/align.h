/* align.h - what stands below what in generated C, whatever the templates' inserts and the names of
 * functions made of it. */
#ifndef GEN_ALIGN_H
#define GEN_ALIGN_H

#include "util.h"

/* The text with lines that go on in a parenthesis below its first one, unless they stand a step
 * further than the statement does. They may become too long: wrap_lines follows. */
const char *align_parentheses(arena *a, const char *text);

/* The text with comments behind code below one another, in lines that follow each other, as far as
 * `width` allows; one blank before them otherwise. */
const char *align_comments(arena *a, const char *text, size_t width);

#endif
