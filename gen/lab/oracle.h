/* oracle.h - the contract's formulas in double precision, straight from runtime/CONTRACT.md:
 * what every kernel must compute, and how far from it a float kernel may be. Shares no code with
 * the kernels, nor with the runtime's reference. */
#ifndef VERIFY_ORACLE_H
#define VERIFY_ORACLE_H

#include "spec/model.h"

/* One output row. */
typedef struct oracle_row {
    double lse;
    double bound;     /* rule 8: of |O - O64|, with the term of `dot` */
    double dot;       /* that term */
    double lse_bound; /* the same error of the scores, seen in LSE */
    double lse_dot;   /* of that, the term of `dot` */
    int32_t visible;  /* keys */
    bool any;         /* rule 6: a visible NaN or Inf, or a bad index: no value is expected */
    bool bad_index;   /* a side tensor's index was out of range at a visible pair */
} oracle_row;

typedef struct oracle {
    double *o;       /* [B, heads, Lq, Dv], dense; of ragged rows as of one item that has all */
    oracle_row *row; /* [B, heads, Lq] */
} oracle;

/* args must be valid for the spec (attn_run's checks); workspace and outputs are not used. */
/* Elements of K and V are what they stand for: scale times code, and q is rotated as K is stored.
 */
void oracle_run(arena *a, const kernel_spec *spec, const attn_args *args, oracle *out);

/* q, k or v in double; strides in elements. */
typedef struct oracle_view {
    const double *data;
    int64_t batch, head, token;
} oracle_view;

/* The same over q, k and v in double, for what was computed and never rounded: those of args are
 * not used. v may be k's memory. */
void oracle_run_double(arena *a, const kernel_spec *spec, const attn_args *args,
                       const oracle_view qkv[3], oracle *out);

/* Rule 4 of storage types: turns a row of K, or of Q, as keys are stored; where they are not
 * rotated, not at all. */
void oracle_turn(arena *a, const attn_spec *spec, double *row);

/* A stored element of O against `want`, as a fraction of what it may be away from it: the row's
 * bound and the rounding to O's type, which may be to infinity. More than 1, or infinite, is wrong.
 */
double oracle_fraction(const oracle_row *row, int32_t type, double got, double want);

/* The rounding alone, relative: 0 for f32, whose own is in the row's bound. */
double oracle_rounding(int32_t type);

/* Key range of an op's rule for absolute position p (or segment id), before kv_len: inclusive,
 * empty if hi < lo. */
void oracle_range(const attn_spec *spec, int64_t position, int64_t *lo, int64_t *hi);

#endif
