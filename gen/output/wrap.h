/* wrap.h - lines of C: none too long, and functions apart. */
#ifndef GEN_WRAP_H
#define GEN_WRAP_H

#include "util.h"

/* The text with its code lines broken at commas and operators, outermost first, below the
 * parenthesis that they stand in. Comments, directives and lines that cannot be broken stay. */
const char *wrap_lines(arena *a, const char *text, size_t width);

/* The text with an empty line after each function that has none. */
const char *space_functions(arena *a, const char *text);

#endif
