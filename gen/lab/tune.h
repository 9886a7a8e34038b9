/* tune.h - measures alternatives of the plan's choices on this machine. */
#ifndef GEN_TUNE_H
#define GEN_TUNE_H

#include "spec/model.h"

/* Measures every kernel of a model on the instruction sets of isa_mask, which this CPU must run,
 * and prints a tune file (tune_file.h) to *text; *measured is how many there were. An alternative
 * is chosen where its best and its median run are both faster than the plan's own choice by more
 * than noise, in two measurements that know nothing of each other, and where no call is slower by
 * as much. Needs a C compiler. Takes minutes; says on a terminal what it measures and what is left.
 */
bool tune_model(arena *a, const model *m, const char *target, unsigned isa_mask, const char **text,
                int *measured, diag *d);

#endif
