/* timing.h - how fast a kernel does a case, on one thread, beside this CPU's multiply-add peak. */
#ifndef VERIFY_TIMING_H
#define VERIFY_TIMING_H

#include "lab/call.h"

/* Useful GF/s: 2 (D + Dv) FLOPs for each visible pair, best of many runs over warm data; and its
 * share of the peak measured between them. 0 if the run fails or sees no pair. */
typedef struct speed {
    double gflops, share;
    double
        oracle_error; /* greatest |O - O64| against the double oracle, where a value is expected */
} speed;
speed time_call(arena *a, const kernel_lib *lib, const attn_plan *plan, const call *c,
                attn_isa isa);

#endif
