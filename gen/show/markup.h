/* markup.h - long text for XML and HTML. */
#ifndef GEN_MARKUP_H
#define GEN_MARKUP_H

#include "util.h"

/* text_xml of s, in lines of at most 92 columns: broken at blanks and, in longer words, by an empty
 * comment, which readers drop. For element content only. */
const char *markup_fold(arena *a, const char *s);

#endif
