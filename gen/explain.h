/* explain.h - the plan for people and for programs. */
#ifndef GEN_EXPLAIN_H
#define GEN_EXPLAIN_H

#include "emit.h"
#include "work.h"

bool explain_text(arena *a, const model *m, const gen_options *o, const explain_extent *e,
                  const char **text, diag *d);
bool explain_json(arena *a, const model *m, const gen_options *o, const explain_extent *e,
                  const char **text, diag *d);

/* A field's value in the words of a model file; null where it is unset or does not apply. */
const char *explain_field(arena *a, const attn_field *f, const attn_spec *spec);
/* Bytes of the C file of a plan among the rendered ones. */
size_t explain_source_bytes(arena *a, const gen_files *files, const char *symbol);

#endif
