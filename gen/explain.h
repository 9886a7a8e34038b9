/* explain.h - the plan for people and for programs. */
#ifndef GEN_EXPLAIN_H
#define GEN_EXPLAIN_H

#include "emit.h"

/* Extents of the call to explain; -1: not given. q_start is kv_len - q_len (bottom-right). */
typedef struct explain_extent {
    int32_t batch, q_len, kv_len;
} explain_extent;

bool explain_text(arena *a, const model *m, const gen_options *o, const explain_extent *e,
                  const char **text, diag *d);
bool explain_json(arena *a, const model *m, const gen_options *o, const explain_extent *e,
                  const char **text, diag *d);

#endif
