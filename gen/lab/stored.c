/* stored.c - between floats and stored elements. */
#include "stored.h"

#include <math.h>

static void *stored_copy(arena *a, int32_t type, const float *values, int64_t count) {
    void *out = arena_alloc(a, (size_t)count * attn_type_size(type) + 1);
    for (int64_t i = 0; i < count; i++) attn_store(out, type, i, values[i]);
    return out;
}

const void *stored_from(arena *a, int32_t type, const float *values, int64_t count) {
    return type == ATTN_TYPE_F32 ? values : stored_copy(a, type, values, count);
}

void *stored_rows(arena *a, int32_t type, const float *values, int64_t rows, int32_t width,
                  float **scale) {
    *scale = NULL;
    if (!attn_type_scaled(type)) return stored_copy(a, type, values, rows * width);
    void *out = arena_alloc(a, (size_t)(rows * width) * attn_type_size(type) + 1);
    *scale = arena_alloc(a, (size_t)rows * sizeof **scale + 1);
    for (int64_t i = 0; i < rows; i++)
        (*scale)[i] = attn_store_row(out, type, i * width, values + i * width, width);
    return out;
}

st_dtype stored_dtype(int32_t type) {
    return st_dtype_named(attn_type_get(type).safetensors);
}

double stored_value(int32_t type, const void *data, int64_t i) {
    return st_value(stored_dtype(type), data, i);
}

bool stored_in_rows(int32_t type, const void *v, int64_t v_dim, const void *k, int64_t k_dim,
                    int64_t rows) {
    const size_t bytes = (size_t)v_dim * attn_type_size(type);
    for (int64_t i = 0; i < rows; i++)
        if (memcmp(attn_at(v, type, i * v_dim), attn_at(k, type, i * k_dim), bytes)) return false;
    return true;
}

double stored_step(int32_t type, double x) {
    const attn_type_row row = attn_type_get(type);
    const int digits = row.bits - row.exponent;      /* of a significand, the hidden one included */
    const int least = 2 - (1 << (row.exponent - 1)); /* exponent of 2 */
    int e;                                           /* |x| is in [0.5, 1) * 2^e */
    (void)frexp(x, &e);
    return ldexp(1, (e - 1 < least ? least : e - 1) - (digits - 1));
}

double stored_end(int32_t type) {
    return ldexp(1, 1 << (attn_type_get(type).exponent - 1));
}

double stored_rounded(int32_t type, double x) {
    if (type == ATTN_TYPE_F32 || !isfinite(x) || x == 0) return x;
    const double unit = stored_step(type, x);
    const double units = x / unit, below = floor(units), part = units - below;
    double to = part > 0.5 ? below + 1 : below;
    if (part == 0.5) to = fmod(below, 2) != 0 ? below + 1 : below;
    to *= unit;
    return fabs(to) >= stored_end(type) ? copysign(INFINITY, x) : to;
}
