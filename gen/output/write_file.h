/* write_file.h - one file by itself: the -o of explain, report and tune. */
#ifndef GEN_WRITE_FILE_H
#define GEN_WRITE_FILE_H

#include "util.h"

/* Writes a file, whole or not at all, unless it holds these bytes already; makes its folders. A
 * device, a FIFO or a descriptor (/dev/stdout) is written into and stays what it is; a link to a
 * file is refused. */
bool write_file(arena *a, const char *path, const void *data, size_t size, diag *d);

/* Says early, and without a trace, what write_file would say. */
bool file_can_be_written(arena *a, const char *path, diag *d);

#endif
