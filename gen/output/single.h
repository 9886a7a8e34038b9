/* single.h - a generated folder as one .c and one .h: the same sources, one after the other. */
#ifndef GEN_SINGLE_H
#define GEN_SINGLE_H

#include "file_list.h"
#include "product.h"

/* folder: what gen_render made, with its runtime. out: the model's .c and .h. */
bool single_render(arena *a, const product_list *p, const gen_files *folder, gen_files *out,
                   diag *d);

/* Writes the two files to dir, where other files may be. Refuses to replace a file that attn-gen
 * did not write, and a generated folder. */
bool single_write(arena *a, const char *dir, const gen_files *files, diag *d);

/* The model and the options that a single file holds. */
bool single_load(arena *a, const char *path, model *m, gen_options *o, diag *d);

/* As gen_check, of PATH.c and the header beside it. */
bool single_check(arena *a, const char *path, const char *templates, const char **report, diag *d);

#endif
