/* explain.h - the plan for people and for programs. */
#ifndef GEN_EXPLAIN_H
#define GEN_EXPLAIN_H

#include "emit.h"

/* Extents of the call to explain; -1: not given. q_start is kv_len - q_len (bottom-right). */
typedef struct explain_extent {
    int32_t batch, q_len, kv_len;
} explain_extent;

/* Bytes of a kernel's machine code and constants on each instruction set, by kernel, as a compiler
 * made them; null: not measured, so that an estimate is printed. */
typedef struct explain_sizes {
    size_t bytes[ATTN_ISA_COUNT];
} explain_sizes;

/* C text of a model that attn-gen promises to stay below; the runtime's copy does not count. */
enum { EXPLAIN_TEXT_BUDGET = 2000000 };

bool explain_text(arena *a, const model *m, const gen_options *o, const explain_extent *e,
                  const explain_sizes *sizes, const char **text, diag *d);
bool explain_json(arena *a, const model *m, const gen_options *o, const explain_extent *e,
                  const explain_sizes *sizes, const char **text, diag *d);

/* Useful FLOPs of a call of a kernel; *exact: not an upper bound. */
double explain_flops(const kernel_spec *k, const plan *p, const explain_extent *e, bool *exact);

#endif
