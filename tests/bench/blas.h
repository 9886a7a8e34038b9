/* blas.h - the sgemm of an OpenBLAS that is found at run time: a yardstick for prefill. */
#ifndef BENCH_BLAS_H
#define BENCH_BLAS_H

#include <stdbool.h>

/* Loads the library at `path`, or where that is null libopenblas.so.0 or libblas.so.3 (which must
 * be an OpenBLAS: others are no yardstick), on one thread. False with the reason in blas_text(). */
bool blas_load(const char *path);
/* What was loaded, or why nothing was. */
const char *blas_text(void);

/* GF/s of C = A B, 1024 x 1024 x 1024, on the calling thread. blas_load must have been true. */
double blas_sgemm(void);

#endif
