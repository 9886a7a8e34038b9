/* block_call.h - runs of a generated layer on a case: the caller's side of attn_block_*. */
#ifndef VERIFY_BLOCK_CALL_H
#define VERIFY_BLOCK_CALL_H

#include "block_oracle.h"
#include "build.h"

/* How a layer is run over the rows of c->x. */
typedef struct block_run {
    int isa;        /* which code must run: anything else is an error */
    uint32_t flags; /* ATTN_REFERENCE, or 0 */
    int threads;
    int32_t prefill; /* rows that one prefill takes; all that are left go through steps */
    int32_t step;    /* rows a step, at least 1 */
    bool caches;     /* hand the caches out as well */
} block_run;

/* What came out, in the layout of block_case: y of all rows, caches after the last one. */
typedef struct block_outcome {
    float *y, *cache_k, *cache_v;
    const char *kernel; /* name of what ran */
} block_outcome;

/* Packs c's weights, runs the layer that `lib` holds for c->spec as `run` says, in guarded memory,
 * and fills *out. False with *why: a status of the runtime in words, a weight that does not fit, or
 * memory that was touched and may not be. c's y and caches are not used. */
bool run_block_case(arena *a, const kernel_lib *lib, const block_case *c, const block_run *run,
                    block_outcome *out, const char **why);

/* The number, in a cache's k, v or scales, of the row of a key of an item's head, of so many heads:
 * as attn.h lays caches out. */
int64_t block_cache_row(const attn_spec *spec, const attn_cache *cache, int64_t heads, int64_t b,
                        int64_t head, int64_t key);

#endif
