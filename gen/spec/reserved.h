/* reserved.h - names that a model may not have, because of the files and functions they make. */
#ifndef GEN_RESERVED_H
#define GEN_RESERVED_H

#include "util.h"

/* Null, or why NAME.h, libNAME, NAME_create or the CMake package NAME would get in the way of the
 * system's, for a name as a C identifier. Letters' case does not count: on some disks it does not.
 */
const char *reserved_reason(arena *a, const char *identifier);

/* What such a name becomes where nobody chose it: "stdio" -> "stdio_model". */
const char *reserved_instead(arena *a, const char *name);

#endif
