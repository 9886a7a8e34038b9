/* explain.h - the plan for people and for programs. */
#ifndef GEN_EXPLAIN_H
#define GEN_EXPLAIN_H

#include "emit.h"
#include "work.h"

bool explain_text(arena *a, const model *m, const gen_options *o, const explain_extent *e,
                  const char **text, diag *d);
bool explain_json(arena *a, const model *m, const gen_options *o, const explain_extent *e,
                  const char **text, diag *d);

#endif
