/* emit.h - from a model to a folder: all files in memory first, then all or nothing. */
#ifndef GEN_EMIT_H
#define GEN_EMIT_H

#include "plan.h"
#include "tune_file.h"

typedef struct gen_options {
    unsigned isa_mask;     /* bits of attn_isa */
    int unroll;            /* 0: auto; -1: full; else the unroll of the loop over the head width */
    const tune_set *tune;  /* measured choices; null: the model decides all. Not with an unroll */
    const char *runtime;   /* path of a runtime to refer to; null: copy it into the folder */
    const char *templates; /* read templates from this folder; null: the embedded ones */
} gen_options;

typedef struct gen_file {
    const char *path; /* relative to the folder */
    const char *text;
} gen_file;

typedef struct gen_files {
    gen_file *file;
    int count;
} gen_files;

/* The plan of a kernel under these options. */
void gen_plan(arena *a, const kernel_spec *k, const isa_row *isa, const gen_options *o, plan *out);

/* Renders every file of a model's folder: kernels, header, registry, selftest, Makefile, runtime
 * copy, model.lua (the resolved inputs), tune.lua (if there is one) and manifest.json. Touches no
 * disk. */
bool gen_render(arena *a, const model *m, const gen_options *o, gen_files *out, diag *d);

/* Says early, and without a trace, what gen_write_file would say. */
bool file_can_be_written(arena *a, const char *path, diag *d);

/* Writes the files that differ, and removes those that only the folder's previous manifest lists.
 * Refuses a non-empty folder without a manifest of ours. */
bool gen_write(arena *a, const char *dir, const gen_files *files, diag *d);

/* One file: written beside it and renamed, so that no reader sees half of it. Its folders are made.
 * A file that holds the text already is left alone. */
bool gen_write_file(arena *a, const char *path, const char *text, diag *d);

/* Regenerates DIR in memory from its model.lua and manifest.json. *report: a line for each stale,
 * missing or orphan file, empty if there is none. */
bool gen_check(arena *a, const char *dir, const char *templates, const char **report, diag *d);

#endif
