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

const char *compare_stored(arena *a, const expected *want, values got, int32_t type,
                           double tolerance) {
    if (!want->data) return NULL;
    const size_t count = expected_count(want);
    for (size_t i = 0; i < count; i++) {
        const double x = value(got, i), y = (double)want->data[i];
        const double off = tolerance * (1 + fabs(y));
        const double low = stored_rounded(type, y - off), high = stored_rounded(type, y + off);
        if (!(x >= low && x <= high) && !(isnan(x) && isnan(y))) return element(a, want, i, x);
    }
    return NULL;
}
