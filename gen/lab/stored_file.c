/* stored_file.c - operands from safetensors files. */
#include "stored.h"

#include "text.h"

const void *stored_read(arena *a, const st_file *f, const st_tensor *t, int32_t type, diag *d) {
    if (type == ATTN_TYPE_F32) return st_floats(a, f, t, d);
    const size_t bytes = (size_t)t->count * attn_type_size(type);
    if (t->dtype == stored_dtype(type)) return memcpy(arena_alloc(a, bytes + 1), t->data, bytes);
    diag_set(d, "%s: %s: must be %s, as the case's type says, got %s", f->path,
             text_shown(a, t->name), st_dtype_name(stored_dtype(type)), st_dtype_name(t->dtype));
    return NULL;
}
