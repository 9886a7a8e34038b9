/* stored.c - between floats and stored elements. */
#include "stored.h"

#include "text.h"

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

const void *stored_read(arena *a, const st_file *f, const st_tensor *t, int32_t type, diag *d) {
    if (type == ATTN_TYPE_F32) return st_floats(a, f, t, d);
    const size_t bytes = (size_t)t->count * attn_type_size(type);
    if (t->dtype == stored_dtype(type)) return memcpy(arena_alloc(a, bytes + 1), t->data, bytes);
    diag_set(d, "%s: %s: must be %s, as the case's type says, got %s", f->path,
             text_shown(a, t->name), st_dtype_name(stored_dtype(type)), st_dtype_name(t->dtype));
    return NULL;
}
