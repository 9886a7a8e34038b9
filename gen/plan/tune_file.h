/* tune_file.h - tune files: choices of the plan that were measured, kernel by kernel.
 *
 *   return {
 *     ["attn_f32_regular_sdpa_full_self_h8k2d64"] = {  -- a kernel's canonical name
 *       avx2 = { key_block = 192, unroll = 8 },        -- plan_params; the model decides the others
 *       avx512bf16 = { unasked = true },               -- taken where ATTN_ISA does not name it
 *     },
 *   }
 *
 * The same file gives the same C on any host. */
#ifndef GEN_TUNE_FILE_H
#define GEN_TUNE_FILE_H

#include "plan.h"

typedef struct tune_entry {
    const char *kernel; /* canonical name */
    attn_isa isa;
    plan_choice choice;
} tune_entry;

typedef struct tune_set {
    const char *text; /* the file's */
    tune_entry *entry;
    int count;
} tune_set;

/* Reads a tune file for a model. Kernels that the model lacks, unknown instruction sets and
 * parameters, and values of which no kernel can be made are errors with line and column. */
bool tune_read(arena *a, const char *path, const char *source, const model *m, tune_set *out,
               diag *d);

/* The same of a file's bytes, which may hold a zero byte; and from a file. */
bool tune_take(arena *a, const char *path, const char *source, size_t size, const model *m,
               tune_set *out, diag *d);
bool tune_load(arena *a, const char *path, const model *m, tune_set *out, diag *d);

/* What the set says of a kernel on an instruction set; null: nothing. set may be null. */
const plan_choice *tune_find(const tune_set *set, const char *kernel, attn_isa isa);

#endif
