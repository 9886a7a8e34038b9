/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* interval.h - the arithmetic of tile classifiers: what can an expression be over a box of heads,
 * queries and keys? Generated classifiers and the generator's own (gen/expr/interval.c) call the
 * same functions.
 *
 *   attn_iv    values of an int expression, in int64; `wraps` if 32-bit arithmetic may have wrapped
 *   attn_fv    values of a float expression, wide enough for f32 and for double evaluation
 *   attn_lin   lo..hi + h * head + q * query + k * key: an exact linear form
 *   attn_cond  a condition: whether it holds nowhere or everywhere in the box, and a key range
 *              outside which it holds nowhere
 * Every answer is sound. Conjunctions and disjunctions of linear conditions are exact as long as
 * the box has at most ATTN_ROWS_MAX rows. */
#ifndef ATTN_SIMD_INTERVAL_H
#define ATTN_SIMD_INTERVAL_H

#include "../attn_kernel.h"
#include "scalar.h"
#include <float.h>

#if ATTN_BROADCAST_FAULT /* see compiler.h; callers are ATTN_CLASSIFIER */
#pragma GCC push_options
#pragma GCC target("no-avx")
#endif

/* --- Integers. --- */
typedef struct attn_iv {
    int64_t lo, hi;
    bool wraps;
} attn_iv;

static inline attn_iv attn_iv_of(int64_t lo, int64_t hi) {
    return (attn_iv){lo, hi, false};
}

static inline attn_iv attn_iv_at(int64_t v) {
    return attn_iv_of(v, v);
}

static inline attn_iv attn_iv_any(void) {
    return attn_iv_of(INT32_MIN, INT32_MAX);
}

/* Positions of a box's keys. */
static inline attn_iv attn_iv_positions(const attn_expr_ctx *x, const attn_tile_box *box) {
    attn_iv v = attn_iv_of(box->k0, box->k1);
    const int32_t body = x->kv_len - x->tail;
    if (x->tail == 0 || box->k1 < body) return v;
    if (box->k0 < body)
        v.hi = body - 1;
    else
        v = attn_iv_of(INT32_MAX, INT32_MIN);
    for (int64_t k = box->k0 < body ? body : box->k0; k <= box->k1 && k < x->kv_len; k++) {
        const int32_t p = x->k_position[k - body];
        if (p < v.lo) v.lo = p;
        if (p > v.hi) v.hi = p;
    }
    return v;
}

static inline bool attn_iv_point(attn_iv a) {
    return a.lo == a.hi;
}

static inline int64_t attn_min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static inline int64_t attn_max64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* lo..hi if 32 bits hold it, else anything. */
static inline attn_iv attn_iv_fit(int64_t lo, int64_t hi, bool wraps) {
    if (lo < INT32_MIN || hi > INT32_MAX) return (attn_iv){INT32_MIN, INT32_MAX, true};
    return (attn_iv){lo, hi, wraps};
}

static inline attn_iv attn_iv_add(attn_iv a, attn_iv b) {
    return attn_iv_fit(a.lo + b.lo, a.hi + b.hi, a.wraps || b.wraps);
}

static inline attn_iv attn_iv_sub(attn_iv a, attn_iv b) {
    return attn_iv_fit(a.lo - b.hi, a.hi - b.lo, a.wraps || b.wraps);
}

static inline attn_iv attn_iv_neg(attn_iv a) {
    return attn_iv_fit(-a.hi, -a.lo, a.wraps);
}

static inline attn_iv attn_iv_mul(attn_iv a, attn_iv b) {
    int64_t p = a.lo * b.lo, q = a.lo * b.hi, r = a.hi * b.lo, s = a.hi * b.hi;
    int64_t lo = attn_min64(attn_min64(p, q), attn_min64(r, s));
    int64_t hi = attn_max64(attn_max64(p, q), attn_max64(r, s));
    return attn_iv_fit(lo, hi, a.wraps || b.wraps);
}

static inline attn_iv attn_iv_abs(attn_iv a) {
    int64_t lo = a.lo > 0 ? a.lo : a.hi < 0 ? -a.hi : 0;
    return attn_iv_fit(lo, attn_max64(-a.lo, a.hi), a.wraps);
}

static inline attn_iv attn_iv_min(attn_iv a, attn_iv b) {
    return (attn_iv){attn_min64(a.lo, b.lo), attn_min64(a.hi, b.hi), a.wraps || b.wraps};
}

static inline attn_iv attn_iv_max(attn_iv a, attn_iv b) {
    return (attn_iv){attn_max64(a.lo, b.lo), attn_max64(a.hi, b.hi), a.wraps || b.wraps};
}

static inline attn_iv attn_iv_hull(attn_iv a, attn_iv b) {
    return attn_iv_of(attn_min64(a.lo, b.lo), attn_max64(a.hi, b.hi));
}

/* The rest is opaque to linear forms, which therefore need not know whether it wrapped. */
static inline attn_iv attn_iv_opaque(attn_iv a) {
    return attn_iv_of(a.lo, a.hi);
}

static inline attn_iv attn_iv_floordiv(attn_iv a, attn_iv b) {
    if (b.lo == 0 && b.hi == 0) return attn_iv_at(0);
    if (b.lo <= 0 && b.hi >= 0) { /* |a // b| <= |a|, and 0 for a zero divisor */
        int64_t m = attn_max64(-a.lo, a.hi);
        return attn_iv_opaque(attn_iv_fit(-attn_max64(m, 1), m, false));
    }
    int64_t p = attn_floordiv64(a.lo, b.lo), q = attn_floordiv64(a.lo, b.hi);
    int64_t r = attn_floordiv64(a.hi, b.lo), s = attn_floordiv64(a.hi, b.hi);
    int64_t lo = attn_min64(attn_min64(p, q), attn_min64(r, s));
    int64_t hi = attn_max64(attn_max64(p, q), attn_max64(r, s));
    return attn_iv_opaque(attn_iv_fit(lo, hi, false));
}

static inline attn_iv attn_iv_floormod(attn_iv a, attn_iv b) {
    bool one = attn_iv_point(b) && b.lo != 0;
    if (one && attn_floordiv64(a.lo, b.lo) == attn_floordiv64(a.hi, b.lo)) {
        int64_t base = attn_floordiv64(a.lo, b.lo) * b.lo;
        return attn_iv_of(a.lo - base, a.hi - base);
    }
    return attn_iv_of(attn_min64(b.lo + 1, 0), attn_max64(b.hi - 1, 0));
}

static inline attn_iv attn_iv_and(attn_iv a, attn_iv b) {
    if (attn_iv_point(a) && attn_iv_point(b)) return attn_iv_at(a.lo & b.lo);
    if (attn_iv_point(b) && b.lo >= 0 && (b.lo & (b.lo + 1)) == 0) /* x & 2^n-1 is x mod 2^n */
        return attn_iv_floormod(a, attn_iv_at(b.lo + 1));
    if (a.lo >= 0 && b.lo >= 0) return attn_iv_of(0, attn_min64(a.hi, b.hi));
    if (b.lo >= 0) return attn_iv_of(0, b.hi);
    if (a.lo >= 0) return attn_iv_of(0, a.hi);
    return attn_iv_any();
}

static inline attn_iv attn_iv_or(attn_iv a, attn_iv b) {
    if (attn_iv_point(a) && attn_iv_point(b)) return attn_iv_at(a.lo | b.lo);
    if (a.lo < 0 || b.lo < 0) return attn_iv_any();
    int64_t all = 1; /* every bit that either may have */
    while (all <= a.hi || all <= b.hi) all *= 2;
    return attn_iv_of(attn_max64(a.lo, b.lo), all - 1);
}

static inline attn_iv attn_iv_not(attn_iv a) {
    return attn_iv_of(-a.hi - 1, -a.lo - 1);
}

static inline attn_iv attn_iv_shl(attn_iv a, attn_iv n) {
    if (!attn_iv_point(n)) return attn_iv_any();
    if (attn_iv_point(a)) return attn_iv_at(attn_shl32((int32_t)a.lo, (int32_t)n.lo));
    int64_t factor = (int64_t)1 << (n.lo & 31);
    return attn_iv_opaque(attn_iv_fit(a.lo * factor, a.hi * factor, false));
}

static inline attn_iv attn_iv_shr(attn_iv a, attn_iv n) {
    if (!attn_iv_point(n)) return attn_iv_of(attn_min64(a.lo, 0), attn_max64(a.hi, -1));
    return attn_iv_of(attn_shr32((int32_t)a.lo, (int32_t)n.lo),
                      attn_shr32((int32_t)a.hi, (int32_t)n.lo));
}

/* --- Floats. Every rounding operation widens its result by a few f32 ulps, so that the answer
 * holds for a kernel that evaluates in f32 and for the oracle that evaluates in double. --- */
typedef struct attn_fv {
    double lo, hi;
    bool nan; /* may also be NaN */
} attn_fv;

static inline attn_fv attn_fv_at(double v) {
    if (isnan(v)) return (attn_fv){-INFINITY, INFINITY, true};
    return (attn_fv){v, v, false};
}

static inline attn_fv attn_fv_any(void) {
    return (attn_fv){-INFINITY, INFINITY, true};
}

static inline attn_fv attn_fv_wide(double lo, double hi, double relative, bool nan) {
    if (isnan(lo) || isnan(hi)) return attn_fv_any();
    lo -= isinf(lo) ? 0 : fabs(lo) * relative;
    hi += isinf(hi) ? 0 : fabs(hi) * relative;
    if (hi > FLT_MAX) hi = INFINITY; /* f32 may overflow where double does not */
    if (lo < -FLT_MAX) lo = -INFINITY;
    if (lo > FLT_MAX) lo = FLT_MAX;
    if (hi < -FLT_MAX) hi = -FLT_MAX;
    return (attn_fv){lo, hi, nan};
}

#define ATTN_FV_ROUND 0x1p-22 /* one rounded f32 operation */
#define ATTN_FV_CALL 0x1p-19  /* one transcendental function */

static inline attn_fv attn_fv_round(double lo, double hi, bool nan) {
    return attn_fv_wide(lo, hi, ATTN_FV_ROUND, nan);
}

/* A literal that f32 holds as v, exactly or not. */
static inline attn_fv attn_fv_near(double v, bool inexact) {
    return inexact ? attn_fv_round(v, v, false) : attn_fv_at(v);
}

static inline attn_fv attn_fv_of_iv(attn_iv a) {
    bool exact = a.lo >= -(1 << 24) && a.hi <= 1 << 24;
    if (exact) return (attn_fv){(double)a.lo, (double)a.hi, false};
    return attn_fv_round((double)a.lo, (double)a.hi, false);
}

static inline attn_fv attn_fv_add(attn_fv a, attn_fv b) {
    /* Opposite infinities anywhere in the ranges can meet. */
    bool nan = (isinf(a.lo) && isinf(b.hi)) || (isinf(a.hi) && isinf(b.lo));
    return attn_fv_round(a.lo + b.lo, a.hi + b.hi, a.nan || b.nan || nan);
}

static inline attn_fv attn_fv_neg(attn_fv a) {
    return (attn_fv){-a.hi, -a.lo, a.nan};
}

static inline attn_fv attn_fv_sub(attn_fv a, attn_fv b) {
    return attn_fv_add(a, attn_fv_neg(b));
}

static inline attn_fv attn_fv_mul(attn_fv a, attn_fv b) {
    double p = a.lo * b.lo, q = a.lo * b.hi, r = a.hi * b.lo, s = a.hi * b.hi;
    bool inf = isinf(a.lo) || isinf(a.hi) || isinf(b.lo) || isinf(b.hi);
    bool zero = (a.lo <= 0 && a.hi >= 0) || (b.lo <= 0 && b.hi >= 0);
    if (inf && zero) return attn_fv_any();
    return attn_fv_round(fmin(fmin(p, q), fmin(r, s)), fmax(fmax(p, q), fmax(r, s)),
                         a.nan || b.nan);
}

static inline attn_fv attn_fv_div(attn_fv a, attn_fv b) {
    bool inf = isinf(a.lo) || isinf(a.hi) || isinf(b.lo) || isinf(b.hi);
    if (inf || (b.lo <= 0 && b.hi >= 0)) return attn_fv_any();
    double p = a.lo / b.lo, q = a.lo / b.hi, r = a.hi / b.lo, s = a.hi / b.hi;
    return attn_fv_round(fmin(fmin(p, q), fmin(r, s)), fmax(fmax(p, q), fmax(r, s)),
                         a.nan || b.nan);
}

static inline attn_fv attn_fv_floor(attn_fv a) {
    return (attn_fv){floor(a.lo), floor(a.hi), a.nan};
}

static inline attn_fv attn_fv_rint(attn_fv a) {
    return (attn_fv){rint(a.lo), rint(a.hi), a.nan};
}

static inline attn_iv attn_iv_of_fv(attn_fv a) {
    const int32_t lo = attn_intd(a.lo), hi = attn_intd(a.hi);
    if (!a.nan) return attn_iv_of(lo, hi);
    return attn_iv_of(lo < 0 ? lo : 0, hi > 0 ? hi : 0); /* NaN is 0 */
}

static inline attn_fv attn_fv_floordiv(attn_fv a, attn_fv b) {
    return attn_fv_floor(attn_fv_div(a, b));
}

static inline attn_fv attn_fv_floormod(attn_fv a, attn_fv b) {
    return attn_fv_sub(a, attn_fv_mul(b, attn_fv_floordiv(a, b)));
}

static inline attn_fv attn_fv_hull(attn_fv a, attn_fv b) {
    return (attn_fv){fmin(a.lo, b.lo), fmax(a.hi, b.hi), a.nan || b.nan};
}

/* Which operand min and max return for NaN is not specified. */
static inline attn_fv attn_fv_min(attn_fv a, attn_fv b) {
    if (a.nan || b.nan) return attn_fv_hull(a, b);
    return (attn_fv){fmin(a.lo, b.lo), fmin(a.hi, b.hi), false};
}

static inline attn_fv attn_fv_max(attn_fv a, attn_fv b) {
    if (a.nan || b.nan) return attn_fv_hull(a, b);
    return (attn_fv){fmax(a.lo, b.lo), fmax(a.hi, b.hi), false};
}

static inline attn_fv attn_fv_abs(attn_fv a) {
    double lo = a.lo > 0 ? a.lo : a.hi < 0 ? -a.hi : 0;
    return (attn_fv){lo, fmax(-a.lo, a.hi), a.nan};
}

/* Results below f32's normal range may be flushed to 0. */
static inline attn_fv attn_fv_exp_of(double lo, double hi, bool nan) {
    return attn_fv_wide(lo < FLT_MIN ? 0 : lo, hi, ATTN_FV_CALL, nan);
}

static inline attn_fv attn_fv_exp(attn_fv a) {
    return attn_fv_exp_of(exp(a.lo), fmax(exp(a.hi), FLT_MIN), a.nan);
}

static inline attn_fv attn_fv_exp2(attn_fv a) {
    return attn_fv_exp_of(exp2(a.lo), fmax(exp2(a.hi), FLT_MIN), a.nan);
}

static inline attn_fv attn_fv_log(attn_fv a) {
    if (!(a.lo >= FLT_MIN)) return attn_fv_any();
    attn_fv r = attn_fv_wide(log(a.lo), log(a.hi), ATTN_FV_CALL, a.nan);
    return (attn_fv){r.lo - ATTN_FV_CALL, r.hi + ATTN_FV_CALL, r.nan}; /* near 1 */
}

static inline attn_fv attn_fv_tanh(attn_fv a) {
    return attn_fv_wide(tanh(a.lo), tanh(a.hi), ATTN_FV_CALL, a.nan);
}

static inline attn_fv attn_fv_sigmoid(attn_fv a) {
    double lo = 1 / (1 + exp(-a.lo)), hi = 1 / (1 + exp(-a.hi));
    return attn_fv_exp_of(lo, fmax(hi, FLT_MIN), a.nan);
}

static inline attn_fv attn_fv_sqrt(attn_fv a) {
    if (!(a.lo >= FLT_MIN)) return attn_fv_any();
    return attn_fv_wide(sqrt(a.lo), sqrt(a.hi), ATTN_FV_CALL, a.nan);
}

static inline attn_fv attn_fv_sin(attn_fv a) {
    bool nan = a.nan || isinf(a.lo) || isinf(a.hi);
    return (attn_fv){-1.0 - ATTN_FV_CALL, 1.0 + ATTN_FV_CALL, nan};
}

static inline attn_fv attn_fv_cos(attn_fv a) {
    return attn_fv_sin(a);
}

/* --- Side tensors: by block minima and maxima, or by reading at most one block. --- */
enum { ATTN_MINMAX_BLOCK = 64, ATTN_MINMAX_SPAN = 1 << 18 };

static inline void attn_scan_i32(const int32_t *p, int64_t n, int32_t mm[2]) {
    for (int64_t i = 0; i < n; i++) {
        if (p[i] < mm[0]) mm[0] = p[i];
        if (p[i] > mm[1]) mm[1] = p[i];
    }
}

static inline void attn_scan_f32(const float *p, int64_t n, float mm[2]) {
    for (int64_t i = 0; i < n; i++) {
        if (isnan(p[i])) {
            mm[0] = -INFINITY;
            mm[1] = INFINITY;
            return;
        }
        if (p[i] < mm[0]) mm[0] = p[i];
        if (p[i] > mm[1]) mm[1] = p[i];
    }
}

/* Tables for attn_expr_ctx.minmax: {min, max} of every block of the flattened tensor, so out has
 * 2 * ceil(count / ATTN_MINMAX_BLOCK) elements. A block with a NaN has {-INFINITY, INFINITY}. */
static inline void attn_minmax_i32(const int32_t *p, int64_t count, int32_t *out) {
    for (int64_t i = 0; i < count; i += ATTN_MINMAX_BLOCK, out += 2) {
        out[0] = INT32_MAX;
        out[1] = INT32_MIN;
        attn_scan_i32(p + i, attn_min64(ATTN_MINMAX_BLOCK, count - i), out);
    }
}

static inline void attn_minmax_f32(const float *p, int64_t count, float *out) {
    for (int64_t i = 0; i < count; i += ATTN_MINMAX_BLOCK, out += 2) {
        out[0] = INFINITY;
        out[1] = -INFINITY;
        attn_scan_f32(p + i, attn_min64(ATTN_MINMAX_BLOCK, count - i), out);
    }
}

/* Flattened positions lo..hi, built a dimension at a time. */
typedef struct attn_span {
    int64_t lo, hi;
} attn_span;

static inline attn_span attn_span_at(attn_span s, attn_iv i, int32_t n) {
    if (n <= 0) return s;
    int32_t lo = attn_clamp_index((int32_t)i.lo, n), hi = attn_clamp_index((int32_t)i.hi, n);
    return (attn_span){s.lo * n + lo, s.hi * n + hi};
}

/* What to read of side tensor t for a span. */
typedef struct attn_side_part {
    const void *data, *table; /* table: null if the span is to be read element by element */
    int64_t lo, hi;           /* elements */
    bool known, empty;
} attn_side_part;

static inline attn_side_part attn_side_part_of(const attn_expr_ctx *x, int t, attn_span s) {
    attn_side_part r = {0};
    if (!x) return r; /* the generator has no data */
    const attn_side *side = &x->args->side[t];
    r.empty = side->count <= 0;
    r.data = side->data;
    r.lo = attn_min64(s.lo, side->count - 1);
    r.hi = attn_min64(s.hi, side->count - 1);
    int64_t n = r.hi - r.lo + 1;
    if (n > ATTN_MINMAX_BLOCK && n <= ATTN_MINMAX_SPAN && x->minmax) r.table = x->minmax[t];
    r.known = n <= ATTN_MINMAX_BLOCK || r.table;
    return r;
}

static inline attn_iv attn_iv_side(const attn_expr_ctx *x, int t, attn_span s) {
    attn_side_part r = attn_side_part_of(x, t, s);
    if (r.empty) return attn_iv_at(0);
    if (!r.known) return attn_iv_any();
    const int32_t *data = (const int32_t *)r.data, *table = (const int32_t *)r.table;
    int32_t mm[2] = {INT32_MAX, INT32_MIN};
    int64_t i = r.lo, end = r.hi + 1;
    while (i < end) {
        int64_t n = attn_min64(ATTN_MINMAX_BLOCK - i % ATTN_MINMAX_BLOCK, end - i);
        bool whole = table && n == ATTN_MINMAX_BLOCK;
        if (whole)
            attn_scan_i32(table + i / ATTN_MINMAX_BLOCK * 2, 2, mm);
        else
            attn_scan_i32(data + i, n, mm);
        i += n;
    }
    return attn_iv_of(mm[0], mm[1]);
}

static inline attn_fv attn_fv_side(const attn_expr_ctx *x, int t, attn_span s) {
    attn_side_part r = attn_side_part_of(x, t, s);
    if (r.empty) return attn_fv_at(0);
    if (!r.known) return attn_fv_any();
    const float *data = (const float *)r.data, *table = (const float *)r.table;
    float mm[2] = {INFINITY, -INFINITY};
    int64_t i = r.lo, end = r.hi + 1;
    while (i < end) {
        int64_t n = attn_min64(ATTN_MINMAX_BLOCK - i % ATTN_MINMAX_BLOCK, end - i);
        bool whole = table && n == ATTN_MINMAX_BLOCK;
        if (whole)
            attn_scan_f32(table + i / ATTN_MINMAX_BLOCK * 2, 2, mm);
        else
            attn_scan_f32(data + i, n, mm);
        i += n;
    }
    return (attn_fv){mm[0], mm[1], mm[0] == -INFINITY && mm[1] == INFINITY};
}

/* --- Linear forms. The generator keeps coefficients below 2^24 and terms below 16, so that no sum
 * below leaves int64. --- */
typedef struct attn_lin {
    int64_t lo, hi; /* the part that does not depend on h, q and k, or not linearly */
    int64_t h, q, k;
} attn_lin;

static inline attn_lin attn_lin_of(int64_t c, int64_t h, int64_t q, int64_t k) {
    return (attn_lin){c, c, h, q, k};
}

/* d + factor * a */
static inline attn_lin attn_lin_add(attn_lin d, int64_t factor, attn_iv a) {
    d.lo += factor * (factor < 0 ? a.hi : a.lo);
    d.hi += factor * (factor < 0 ? a.lo : a.hi);
    return d;
}

/* d stands for l - r + strict, which it equals only if nothing in l and r wraps; else intervals
 * must do. */
static inline attn_lin attn_lin_checked(attn_lin d, attn_iv l, attn_iv r, int strict) {
    if (!l.wraps && !r.wraps) return d;
    return (attn_lin){l.lo - r.hi + strict, l.hi - r.lo + strict, 0, 0, 0};
}

static inline attn_lin attn_lin_neg(attn_lin d) {
    return (attn_lin){-d.hi, -d.lo, -d.h, -d.q, -d.k};
}

static inline int64_t attn_lin_min(attn_lin d, const attn_tile_box *box) {
    return d.lo + attn_min64(d.h * box->h0, d.h * box->h1) +
           attn_min64(d.q * box->q0, d.q * box->q1) + attn_min64(d.k * box->k0, d.k * box->k1);
}

/* --- Conditions. --- */
typedef enum attn_rel { ATTN_LE, ATTN_EQ, ATTN_NE } attn_rel; /* d <= 0, d == 0, d != 0 */
typedef enum attn_tri { ATTN_NEVER, ATTN_ALWAYS, ATTN_MAYBE } attn_tri;

typedef struct attn_cond {
    attn_tri tri;
    bool linear; /* rel and d say what it is */
    attn_rel rel;
    attn_lin d;
    int64_t k0, k1; /* holds for no key outside; k0 > k1 where it never holds */
} attn_cond;

enum { ATTN_ROWS_MAX = 4096 };

/* A condition whose keys are not known. */
static inline attn_cond attn_cond_of(attn_tri tri, const attn_tile_box *box) {
    attn_cond c = {.tri = tri, .k0 = box->k0, .k1 = box->k1};
    if (tri == ATTN_NEVER) c.k1 = c.k0 - 1;
    return c;
}

/* Keeps the keys of *k0..*k1 with rest + k * key <= 0. */
static inline void attn_keys_le(int64_t rest, int64_t k, int64_t *k0, int64_t *k1) {
    if (k == 0 && rest > 0) *k1 = *k0 - 1;
    if (k > 0) *k1 = attn_min64(*k1, k == 1 ? -rest : attn_floordiv64(-rest, k));
    if (k < 0) *k0 = attn_max64(*k0, k == -1 ? rest : -attn_floordiv64(-rest, -k));
}

static inline attn_cond attn_cond_negated(attn_cond c) {
    if (c.rel != ATTN_LE) {
        c.rel = c.rel == ATTN_EQ ? ATTN_NE : ATTN_EQ;
        return c;
    }
    c.d = attn_lin_neg(c.d); /* d > 0 */
    c.d.lo++;
    c.d.hi++;
    return c;
}

/* Is this a linear condition that decides something, read as it is or negated? */
static inline bool attn_cond_counts(const attn_cond *c) {
    return c->linear && c->tri == ATTN_MAYBE;
}

/* Does the row (h, q) lose key k to a condition `d != 0`? */
static inline bool attn_row_excludes(int n, const attn_cond *c, bool negate, int64_t h, int64_t q,
                                     int64_t k) {
    attn_rel ne = negate ? ATTN_EQ : ATTN_NE;
    for (int i = 0; i < n; i++) {
        if (!attn_cond_counts(&c[i]) || c[i].rel != ne || c[i].d.lo != c[i].d.hi) continue;
        if (c[i].d.lo + c[i].d.h * h + c[i].d.q * q + c[i].d.k * k == 0) return true;
    }
    return false;
}

/* Keeps the keys at which every (negated) linear condition may hold for head h and query q. */
static inline void attn_row_keys(int n, const attn_cond *c, bool negate, int64_t h, int64_t q,
                                 int64_t *k0, int64_t *k1) {
    for (int i = 0; i < n; i++) {
        if (!attn_cond_counts(&c[i])) continue;
        attn_cond one = negate ? attn_cond_negated(c[i]) : c[i];
        int64_t at = one.d.h * h + one.d.q * q;
        if (one.rel == ATTN_NE) { /* all keys or none here, single keys below */
            bool none = one.d.k == 0 && one.d.lo == one.d.hi && one.d.lo + at == 0;
            if (none) *k1 = *k0 - 1;
            continue;
        }
        attn_keys_le(one.d.lo + at, one.d.k, k0, k1);
        if (one.rel == ATTN_EQ) attn_keys_le(-one.d.hi - at, -one.d.k, k0, k1);
    }
    while (*k0 <= *k1 && attn_row_excludes(n, c, negate, h, q, *k0)) ++*k0;
    while (*k0 <= *k1 && attn_row_excludes(n, c, negate, h, q, *k1)) --*k1;
}

/* Shrinks *k0..*k1 to the exact hull of the keys at which all (negated) linear conditions may hold,
 * row by row; empty if there is none. Stops as soon as the hull cannot shrink: for bands that is
 * after the first and the last row. Boxes with many rows are left as they are. */
static inline void attn_hull(int n, const attn_cond *c, bool negate, const attn_tile_box *box,
                             int64_t *k0, int64_t *k1) {
    int64_t heads = 1, rows = 1;
    for (int i = 0; i < n; i++) {
        if (!attn_cond_counts(&c[i])) continue;
        if (c[i].d.h) heads = (int64_t)box->h1 - box->h0 + 1;
        if (c[i].d.q) rows = (int64_t)box->q1 - box->q0 + 1;
    }
    if (heads > ATTN_ROWS_MAX || rows > ATTN_ROWS_MAX || heads * rows > ATTN_ROWS_MAX) return;
    int64_t lo = *k1 + 1, hi = *k0 - 1;
    for (int64_t i = 0; i < heads * rows && (lo > *k0 || hi < *k1); i++) {
        int64_t r = i / heads, row = r == 0 ? 0 : r == 1 ? rows - 1 : r - 1;
        int64_t a = *k0, b = *k1;
        attn_row_keys(n, c, negate, box->h0 + i % heads, box->q0 + row, &a, &b);
        if (a > b) continue;
        lo = attn_min64(lo, a);
        hi = attn_max64(hi, b);
    }
    *k0 = lo;
    *k1 = hi;
}

static inline attn_cond attn_cond_settle(attn_cond c) {
    if (c.k0 > c.k1) c.tri = ATTN_NEVER;
    if (c.tri == ATTN_NEVER) c.k1 = c.k0 - 1;
    return c;
}

static inline attn_cond attn_cond_le(attn_lin d, const attn_tile_box *box) {
    int64_t min = attn_lin_min(d, box), max = -attn_lin_min(attn_lin_neg(d), box);
    attn_tri tri = min > 0 ? ATTN_NEVER : max <= 0 ? ATTN_ALWAYS : ATTN_MAYBE;
    attn_cond c = attn_cond_of(tri, box);
    c.linear = true;
    c.rel = ATTN_LE;
    c.d = d;
    attn_lin rest = d;
    rest.k = 0;
    if (tri == ATTN_MAYBE) attn_keys_le(attn_lin_min(rest, box), d.k, &c.k0, &c.k1);
    return attn_cond_settle(c);
}

static inline attn_cond attn_cond_eq_ne(attn_rel rel, attn_lin d, const attn_tile_box *box) {
    int64_t min = attn_lin_min(d, box), max = -attn_lin_min(attn_lin_neg(d), box);
    attn_cond c = attn_cond_of(ATTN_MAYBE, box);
    c.linear = true;
    c.rel = ATTN_EQ;
    c.d = d;
    if (min > 0 || max < 0) c.tri = ATTN_NEVER;
    if (min == 0 && max == 0) c.tri = ATTN_ALWAYS;
    if (c.tri == ATTN_MAYBE) {
        attn_lin rest = d;
        rest.k = 0;
        attn_keys_le(attn_lin_min(rest, box), d.k, &c.k0, &c.k1);
        attn_keys_le(attn_lin_min(attn_lin_neg(rest), box), -d.k, &c.k0, &c.k1);
        attn_hull(1, &c, false, box, &c.k0, &c.k1);
    }
    c = attn_cond_settle(c);
    if (rel == ATTN_EQ) return c;
    attn_tri tri = c.tri == ATTN_MAYBE   ? ATTN_MAYBE
                   : c.tri == ATTN_NEVER ? ATTN_ALWAYS
                                         : ATTN_NEVER;
    attn_cond r = attn_cond_of(tri, box);
    r.linear = true;
    r.rel = ATTN_NE;
    r.d = d;
    if (tri == ATTN_MAYBE) attn_hull(1, &r, false, box, &r.k0, &r.k1);
    return attn_cond_settle(r);
}

static inline attn_cond attn_cond_eq(attn_lin d, const attn_tile_box *box) {
    return attn_cond_eq_ne(ATTN_EQ, d, box);
}

static inline attn_cond attn_cond_ne(attn_lin d, const attn_tile_box *box) {
    return attn_cond_eq_ne(ATTN_NE, d, box);
}

static inline attn_cond attn_cond_not(attn_cond c, const attn_tile_box *box) {
    attn_tri tri = c.tri == ATTN_MAYBE   ? ATTN_MAYBE
                   : c.tri == ATTN_NEVER ? ATTN_ALWAYS
                                         : ATTN_NEVER;
    return attn_cond_of(tri, box);
}

static inline attn_cond attn_all_of(int n, const attn_cond *c, const attn_tile_box *box) {
    attn_cond r = attn_cond_of(ATTN_ALWAYS, box);
    int linear = 0;
    for (int i = 0; i < n; i++) {
        if (c[i].tri == ATTN_NEVER) return attn_cond_of(ATTN_NEVER, box);
        if (c[i].tri == ATTN_MAYBE) r.tri = ATTN_MAYBE;
        r.k0 = attn_max64(r.k0, c[i].k0);
        r.k1 = attn_min64(r.k1, c[i].k1);
        linear += attn_cond_counts(&c[i]);
    }
    if (linear > 1 && r.k0 <= r.k1) attn_hull(n, c, false, box, &r.k0, &r.k1);
    return attn_cond_settle(r);
}

static inline attn_cond attn_any_of(int n, const attn_cond *c, const attn_tile_box *box) {
    attn_cond r = attn_cond_of(ATTN_NEVER, box);
    bool any = false;
    int linear = 0;
    for (int i = 0; i < n; i++) {
        if (c[i].tri == ATTN_NEVER) continue;
        if (c[i].tri == ATTN_ALWAYS) return attn_cond_of(ATTN_ALWAYS, box);
        r.k0 = any ? attn_min64(r.k0, c[i].k0) : c[i].k0;
        r.k1 = any ? attn_max64(r.k1, c[i].k1) : c[i].k1;
        r.tri = ATTN_MAYBE;
        any = true;
        linear += attn_cond_counts(&c[i]);
    }
    if (linear < 2) return r;
    int64_t k0 = box->k0, k1 = box->k1; /* where all of them fail */
    attn_hull(n, c, true, box, &k0, &k1);
    return k0 > k1 ? attn_cond_of(ATTN_ALWAYS, box) : r;
}

/* Comparisons of floats: with NaN all but != are false. */
static inline attn_tri attn_fv_lt(attn_fv a, attn_fv b) {
    if (a.lo >= b.hi) return ATTN_NEVER;
    return a.hi < b.lo && !a.nan && !b.nan ? ATTN_ALWAYS : ATTN_MAYBE;
}

static inline attn_tri attn_fv_le(attn_fv a, attn_fv b) {
    if (a.lo > b.hi) return ATTN_NEVER;
    return a.hi <= b.lo && !a.nan && !b.nan ? ATTN_ALWAYS : ATTN_MAYBE;
}

static inline attn_tri attn_fv_eq(attn_fv a, attn_fv b) {
    if (a.lo > b.hi || a.hi < b.lo) return ATTN_NEVER;
    bool same = a.lo == a.hi && b.lo == b.hi && a.lo == b.lo;
    return same && !a.nan && !b.nan ? ATTN_ALWAYS : ATTN_MAYBE;
}

static inline attn_tri attn_fv_ne(attn_fv a, attn_fv b) {
    attn_tri eq = attn_fv_eq(a, b);
    return eq == ATTN_MAYBE ? ATTN_MAYBE : eq == ATTN_NEVER ? ATTN_ALWAYS : ATTN_NEVER;
}

static inline attn_iv attn_iv_where(attn_cond c, attn_iv a, attn_iv b) {
    if (c.tri == ATTN_MAYBE) return attn_iv_hull(a, b);
    return attn_iv_opaque(c.tri == ATTN_ALWAYS ? a : b);
}

static inline attn_fv attn_fv_where(attn_cond c, attn_fv a, attn_fv b) {
    if (c.tri == ATTN_MAYBE) return attn_fv_hull(a, b);
    return c.tri == ATTN_ALWAYS ? a : b;
}

/* --- Answers. --- */
static inline attn_tile_class attn_class_of(attn_cond c) {
    if (c.tri == ATTN_NEVER) return ATTN_TILE_NONE;
    return c.tri == ATTN_ALWAYS ? ATTN_TILE_ALL : ATTN_TILE_SOME;
}

static inline void attn_range_of(attn_cond c, int32_t *lo, int32_t *hi) {
    bool empty = c.k0 > c.k1;
    *lo = empty ? 1 : (int32_t)c.k0;
    *hi = empty ? 0 : (int32_t)c.k1;
}

#if ATTN_BROADCAST_FAULT
#pragma GCC pop_options
#endif

#endif
