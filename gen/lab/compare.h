/* compare.h - what came out against what a case expects. */
#ifndef VERIFY_COMPARE_H
#define VERIFY_COMPARE_H

#include "util.h"

/* Results in one of two widths; the other is null. */
typedef struct values {
    const float *f32;
    const double *f64;
} values;

/* An expected tensor, dense. */
typedef struct expected {
    const char *name;
    const float *data; /* null: nothing is expected */
    int rank;
    int64_t dim[4];
} expected;

/* Null if |got - want| <= tolerance * (1 + |want|) everywhere (infinities and NaN match only their
 * like), or the worst element: "o[0,1,5,3] got 1.5 want 1.25". *error rises to the greatest
 * difference. skip, if not null, says which rows (all dims but the last) are not compared. */
const char *compare(arena *a, const expected *want, values got, double tolerance, const bool *skip,
                    double *error);

/* The same of elements of a storage type (types.def): each must be what some number within the
 * tolerance of `want` is rounded to. `want` is what they are before rounding, or rounded: a number
 * that is one of the type stands for all that are rounded to it. With a scale a row (want's last
 * dimension): a step of the row's scale more. */
const char *compare_stored(arena *a, const expected *want, values got, int32_t type,
                           double tolerance, const bool *skip, double *error);

/* Elements of a tensor. */
size_t expected_count(const expected *e);

#endif
