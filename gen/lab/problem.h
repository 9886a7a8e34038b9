/* problem.h - random problems for a spec: for property tests, and for a product's own cases. */
#ifndef VERIFY_PROBLEM_H
#define VERIFY_PROBLEM_H

#include "call.h"

typedef struct rng {
    uint64_t state;
} rng;
uint64_t rng_next(rng *r);
int32_t rng_int(rng *r, int32_t lo, int32_t hi); /* inclusive */
bool rng_chance(rng *r, int percent);
float rng_normal(rng *r);

typedef struct problem_options {
    double max_work;              /* bounds B * Hq * Lq * Lk * (D + Dv) */
    double max_elements;          /* of Q, K, V and O together */
    int32_t longest;              /* most queries, most keys */
    int32_t lo, hi;               /* values of integer side tensors */
    int32_t scalar_lo, scalar_hi; /* of integer scalars; hi < lo: up to the keys' number */
    bool neg_inf;                 /* float side tensors hold -inf here and there */
    bool bad_visible;             /* NaN and Inf also where they are seen */
    bool all;                     /* every optional input that the spec takes is given */
    bool empty_item;              /* at least two items, and the last has no keys */
    int ragged;                   /* percent of the problems whose rows lie in a row */
    int placed;                   /* and of those whose rows, or last keys, have positions */
} problem_options;

/* Problem number `index` of a spec: the first six are of a kind each (one query, a few, as many as
 * keys, many, none, no keys), the others random. *text says what it is, for reports. */
void problem_make(arena *a, const kernel_spec *spec, const problem_options *o, rng *r, int index,
                  call *out, const char **text);

#endif
