/* peak.h - what the machine can do, measured beside the kernels: multiply-adds and reads. */
#ifndef VERIFY_PEAK_H
#define VERIFY_PEAK_H

#include "attn_kernel.h"

/* Seconds. One thread: the CPU time of the calling thread, so that a neighbour on its core does not
 * count. More: wall-clock time. */
double bench_clock(int threads);
double bench_wall(void);

/* Independent multiply-adds in the registers of `isa` on `threads` threads for some milliseconds:
 * GF/s. portable: SSE multiplications and additions, two FLOPs a lane pair. 0 where there is no
 * such loop (not x86-64). The CPU must run `isa`. */
double peak_fma(attn_isa isa, int threads);

/* GB/s of one pass over a buffer, the best of a few ways to read it. */
double peak_read(const void *data, size_t bytes, int threads);

/* One pass over a buffer: what caches held before is gone if it is larger than they are. */
void peak_evict(const void *data, size_t bytes);

#endif
