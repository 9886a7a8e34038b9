/* check.h - what a folder was made from, and whether it is what attn-gen makes of that today. */
#ifndef GEN_CHECK_H
#define GEN_CHECK_H

#include "file_list.h"
#include "product.h"

/* A line for each file that is missing or differs; empty if there is none. */
const char *gen_differences(arena *a, const char *dir, const gen_files *files);

/* The model and the options that a folder's model.lua, tune.lua and manifest.json hold. */
bool gen_folder(arena *a, const char *dir, model *m, gen_options *o, diag *d);

/* Regenerates DIR in memory from these. *report: a line for each stale,
 * missing or orphan file, empty if there is none. */
bool gen_check(arena *a, const char *dir, const char *templates, const char **report, diag *d);

#endif
