/* stored.c - between floats and stored elements. */
#include "stored.h"

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
