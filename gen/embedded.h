/* embedded.h - the text files that travel inside the executable: templates, prelude, built-in
 * models and the runtime's sources. Written at build from the tree. */
#ifndef GEN_EMBEDDED_H
#define GEN_EMBEDDED_H

#include <stddef.h>

typedef struct embedded_file {
    const char *path; /* relative to the repository: "templates/part/tile.c.tpl" */
    const char *text;
} embedded_file;

extern const embedded_file embedded_files[];
extern const size_t embedded_file_count;

/* Null if there is none of that path. */
const char *embedded_find(const char *path);

#endif
