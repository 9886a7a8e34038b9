/* rename.h - what C sources declare for themselves, under other names: so that a profiler tells the
 * functions of kernels apart, and several sources fit into one file. Knows as much of C as the
 * generated code and the runtime use. */
#ifndef GEN_RENAME_H
#define GEN_RENAME_H

#include "util.h"

typedef struct name_set {
    arena *a;
    const char **name;
    int count, cap;
} name_set;

bool name_set_has(const name_set *s, const char *name, size_t length);

/* What a source declares at file scope for itself. */
enum {
    DECLARED_TYPES = 1,   /* typedefs and enumerators */
    DECLARED_STATICS = 2, /* functions and objects */
    DEFINED_FOR_ALL = 4   /* functions and objects that other sources see */
};
void declared_names(const char *text, unsigned kinds, name_set *out);

/* Adds the macros that a source defines. */
void defined_macros(const char *text, name_set *out);

/* The text with every name of the set prefixed, but for members after . and ->, members where
 * structs declare them, comments, strings and #include lines. Lines that continue a parenthesis
 * stay below it. */
const char *rename_text(arena *a, const char *text, const name_set *names, const char *prefix);

#endif
