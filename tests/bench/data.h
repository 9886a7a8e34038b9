/* data.h - inputs, outputs and the expected rows of cases. All cases read one pool of random
 * numbers and write one output buffer, so that many fit into memory. */
#ifndef BENCH_DATA_H
#define BENCH_DATA_H

#include "cases.h"

typedef struct bench_data {
    float *pool;                         /* Q, K and V of the case at hand, from its start */
    const void *stored[ATTN_TYPE_COUNT]; /* the same, rounded to the types of some case */
    float *scale;                        /* of rows of K, then of V, where a type has them */
    float *o;
    void *workspace;
    void *other; /* never a case's data: bandwidth, eviction */
    size_t other_bytes;
} bench_data;

/* Memory on huge pages where the system has them; ends the program if there is none. */
void *data_pages(size_t bytes);
/* Gives back all of it that there is. */
void data_release(void);
/* Normal numbers times `scale`, repeated after a million and three; the same for the same seed. */
enum { SEED_INPUT = 1, SEED_WEIGHT, SEED_CACHE, SEED_SGEMM };
void data_fill(float *p, size_t count, double scale, int seed);
/* The n-th of `count` rows to look at: one in each of as many equal parts, the first and the last
 * row among them. */
int32_t data_sampled(int32_t rows, int count, int n);

/* Floats of Q, K and V together, and of O; layers: of x and of y. */
size_t data_inputs(const bench_case *c, const kernel_spec *k);
/* Scales of rows of K and V together; 0: the case has none. */
size_t data_scales(const bench_case *c, const kernel_spec *k);
size_t data_outputs(const bench_case *c, const kernel_spec *k);

/* Buffers for cases of up to these sizes, filled. */
bench_data data_make(size_t inputs, size_t scales, size_t outputs, size_t workspace,
                     unsigned types);
/* Bits of attn_type that a case's kernel reads. */
unsigned data_types(const kernel_spec *k);

/* The call of a case, but for its workspace's size. Small arrays come from the arena. */
attn_args data_args(arena *a, const bench_data *d, const bench_case *c, const kernel_spec *k);

typedef struct bench_error {
    double max_abs; /* |O - O64| over the sampled rows */
    double excess; /* the largest quotient of that and the bound of rule 8 of CONTRACT.md: more than
                      1 fails */
    int rows;      /* sampled */
    bool finite;   /* all of O is */
} bench_error;

/* Compares what is in O with the oracle: all heads at eight or more positions, at least 64 rows
 * where there are as many. */
bench_error data_check(const attn_args *args, const bench_case *c, const kernel_spec *k);

#endif
