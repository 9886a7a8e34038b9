/* emit.h - from a model to the files of its folder, in memory; folder.h writes them. */
#ifndef GEN_EMIT_H
#define GEN_EMIT_H

#include "plan/plan.h"
#include "plan/tune_file.h"

enum { GEN_MAX_UNROLL = 65536 };

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
    size_t size; /* 0: the text's length */
} gen_file;

typedef struct gen_files {
    gen_file *file;
    int count;
} gen_files;

/* The plan of a kernel under these options. */
void gen_plan(arena *a, const kernel_spec *k, const isa_row *isa, const gen_options *o, plan *out);

/* Renders every file of a model's folder: kernels, header, registry, selftest, build files, runtime
 * copy, model.lua (the resolved inputs), tune.lua (if there is one) and manifest.json. Touches no
 * disk. */
bool gen_render(arena *a, const model *m, const gen_options *o, gen_files *out, diag *d);

/* A line for each file that is missing or differs; empty if there is none. */
const char *gen_differences(arena *a, const char *dir, const gen_files *files);

/* The model and the options that a folder's model.lua, tune.lua and manifest.json hold. */
bool gen_folder(arena *a, const char *dir, model *m, gen_options *o, diag *d);

/* Regenerates DIR in memory from these. *report: a line for each stale,
 * missing or orphan file, empty if there is none. */
bool gen_check(arena *a, const char *dir, const char *templates, const char **report, diag *d);

#endif
