/* facts.h - what a kernel computes, in words: the facts of runtime/CONTRACT.md for its spec. The
 * banners of generated files, the manifest and the report say them. */
#ifndef GEN_FACTS_H
#define GEN_FACTS_H

#include "model.h"

typedef struct fact {
    const char *topic; /* a heading of one to three words */
    const char *lead;  /* stands before the text where there is no heading: "Keys: ", or "" */
    const char *text;  /* one line of any length */
    bool code;         /* an expression or declaration; else sentences */
    bool banner;       /* of this spec alone, so that banners say it; else a rule of every kernel */
} fact;

typedef struct fact_list {
    fact *fact;
    int count;
} fact_list;

/* Those of the spec first, in the order in which a score is made; then the rules. */
fact_list facts_of(arena *a, const kernel_spec *k);

#endif
