/* stored.c - between floats and stored elements. */
#include "stored.h"

const void *stored_from(arena *a, int32_t type, const float *values, int64_t count) {
    if (type == ATTN_TYPE_F32) return values;
    void *out = arena_alloc(a, (size_t)count * attn_type_size(type) + 1);
    for (int64_t i = 0; i < count; i++) attn_store(out, type, i, values[i]);
    return out;
}

st_dtype stored_dtype(int32_t type) {
    return st_dtype_named(attn_type_get(type).safetensors);
}

double stored_value(int32_t type, const void *data, int64_t i) {
    return st_value(stored_dtype(type), data, i);
}
