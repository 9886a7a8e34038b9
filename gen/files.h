/* files.h - descriptors and whole files. */
#ifndef GEN_FILES_H
#define GEN_FILES_H

#include "util.h"

#include <sys/types.h>

/* What a file's mode says that it is, where that is no regular file ("a FIFO"); null where it is.
 */
const char *odd_file(mode_t mode);
/* N where a path names a descriptor that this process was started with (/dev/stdin, /dev/fd/N),
 * which may be a pipe; else -1. */
int passed_fd(const char *path);

/* Whole file, terminated; null with a message on error or above max bytes. Regular files only, and
 * what passed_fd knows: nobody waits for a FIFO. */
char *read_file(arena *a, const char *path, size_t max, size_t *size, diag *d);
/* The same of an open file, which it closes. */
char *read_open(arena *a, int fd, const char *name, size_t max, size_t *size, diag *d);

/* A regular file's bytes, mapped for reading until file_unmap. Nobody may shorten it meanwhile. */
typedef struct mapped_file {
    const void *data;
    size_t size;
} mapped_file;
bool file_map(arena *a, const char *path, mapped_file *out, diag *d);
void file_unmap(mapped_file *file);

bool write_all(int fd, const void *data, size_t size); /* false with errno */

#endif
