/* file_list.h - files in memory. */
#ifndef GEN_FILE_LIST_H
#define GEN_FILE_LIST_H

#include <stddef.h>

typedef struct gen_file {
    const char *path; /* relative to the folder */
    const char *text;
    size_t size; /* 0: the text's length */
} gen_file;

typedef struct gen_files {
    gen_file *file;
    int count;
} gen_files;

#endif
