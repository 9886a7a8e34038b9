/* compare.c - the worst element of a tensor. */
#include "compare.h"
#include "stored.h"
#include <math.h>

/* |got - want| / (1 + |want|). */
static double excess(double got, double want) {
    if (isnan(want)) return isnan(got) ? 0 : INFINITY;
    if (isinf(want)) return got == want ? 0 : INFINITY;
    if (!isfinite(got)) return INFINITY;
    return fabs(got - want) / (1 + fabs(want));
}

static double value(values v, size_t i) {
    return v.f64 ? v.f64[i] : (double)v.f32[i];
}

size_t expected_count(const expected *e) {
    size_t count = 1;
    for (int i = 0; i < e->rank; i++) count *= (size_t)e->dim[i];
    return count;
}

static const char *element(arena *a, const expected *e, size_t index, double got) {
    buf at = buf_new(a);
    size_t rest = index, step = expected_count(e);
    for (int i = 0; i < e->rank; i++) {
        step /= (size_t)e->dim[i];
        buf_printf(&at, "%s%zu", i ? "," : "", rest / step);
        rest %= step;
    }
    return arena_printf(a, "%s[%s] got %.9g want %.9g", e->name, at.data, got,
                        (double)e->data[index]);
}

const char *compare(arena *a, const expected *want, values got, double tolerance, const bool *skip,
                    double *error) {
    if (!want->data) return NULL;
    const size_t count = expected_count(want);
    const size_t width = want->rank ? (size_t)want->dim[want->rank - 1] : 1;
    double most = 0;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (skip && skip[i / width]) continue;
        const double x = value(got, i), y = (double)want->data[i], e = excess(x, y);
        const double diff = fabs(x - y);
        if (isfinite(diff) && diff > *error) *error = diff;
        if (!(e > most)) continue;
        most = e;
        at = i;
    }
    return most <= tolerance ? NULL : element(a, want, at, value(got, at));
}

/* What a kernel's number may be before it is rounded. A number that is one of the type may have
 * been rounded in the case as well: half a step more. */
static void before_rounding(int32_t type, double want, double tolerance, double *low,
                            double *high) {
    const double end = stored_end(type), below = end - stored_step(type, end / 2) / 2;
    const double off = tolerance * (1 + fmin(fabs(want), end));
    *low = want - off, *high = want + off;
    if (isinf(want)) {
        *low = want > 0 ? below - off : -INFINITY;
        *high = want > 0 ? INFINITY : off - below;
    } else if (stored_rounded(type, want) == want) {
        const double half = stored_step(type, want) / 2;
        *low -= half, *high += half;
    }
}

static bool may_be_stored(int32_t type, double got, double want, double tolerance) {
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got);
    double low, high;
    before_rounding(type, want, tolerance, &low, &high);
    const double x = stored_rounded(type, got); /* an oracle's is not rounded yet */
    return x >= stored_rounded(type, low) && x <= stored_rounded(type, high);
}

/* A row with a scale: a code may be the next one, and where the case is not rounded half as far. */
static const char *compare_codes(arena *a, const expected *want, values got, double tolerance,
                                 const bool *skip, double *error) {
    const size_t width = want->rank ? (size_t)want->dim[want->rank - 1] : 1;
    double step = 0;
    for (size_t i = 0; i < expected_count(want); i++) {
        if (i % width == 0) {
            double most = 0;
            for (size_t d = 0; d < width; d++) most = fmax(most, fabs((double)want->data[i + d]));
            step = most / 127;
        }
        if (skip && skip[i / width]) continue;
        const double x = value(got, i), y = (double)want->data[i], diff = fabs(x - y);
        if (isfinite(diff) && diff > *error) *error = diff;
        const bool same = isnan(y) ? isnan(x) : diff <= step + tolerance * (1 + fabs(y));
        if (!same) return element(a, want, i, x);
    }
    return NULL;
}

const char *compare_stored(arena *a, const expected *want, values got, int32_t type,
                           double tolerance, const bool *skip, double *error) {
    if (!want->data) return NULL;
    if (type == ATTN_TYPE_F32) return compare(a, want, got, tolerance, skip, error);
    if (attn_type_scaled(type)) return compare_codes(a, want, got, tolerance, skip, error);
    const size_t count = expected_count(want);
    const size_t width = want->rank ? (size_t)want->dim[want->rank - 1] : 1;
    for (size_t i = 0; i < count; i++) {
        if (skip && skip[i / width]) continue;
        const double x = value(got, i), y = (double)want->data[i], diff = fabs(x - y);
        if (isfinite(diff) && diff > *error) *error = diff;
        if (!may_be_stored(type, x, y, tolerance)) return element(a, want, i, x);
    }
    return NULL;
}
