/* stored_file.c - operands from safetensors files. */
#include "stored.h"

#include "text.h"

static bool refuse(arena *a, const st_file *f, const char *name, const char *why, diag *d) {
    return diag_set(d, "%s: %s: %s", f->path, text_shown(a, name), why);
}

const void *stored_read(arena *a, const st_file *f, const st_tensor *t, int32_t type, bool stated,
                        diag *d) {
    const bool narrow = t->dtype == ST_BF16 || t->dtype == ST_F16;
    if (type == ATTN_TYPE_F32 && st_is_float(t) && !(stated && narrow))
        return st_floats(a, f, t, d);
    const size_t bytes = (size_t)t->count * attn_type_size(type);
    if (t->dtype == stored_dtype(type)) return memcpy(arena_alloc(a, bytes + 1), t->data, bytes);
    refuse(a, f, t->name,
           arena_printf(a, "must be %s, as the case's type says, got %s",
                        st_dtype_name(stored_dtype(type)), st_dtype_name(t->dtype)),
           d);
    return NULL;
}

bool stored_read_scales(arena *a, const st_file *f, const char *name, const int64_t dim[3],
                        const int64_t in_file[3], bool wanted, const float **out, diag *d) {
    const st_tensor *t = st_find(f, name);
    if (!wanted)
        return !t || refuse(a, f, name, "is given, and only keys and values in i8 have scales", d);
    const bool fits = t && t->dtype == ST_F32 && t->rank == 3 && t->dim[0] == dim[0] &&
                      t->dim[1] == dim[1] && t->dim[2] == dim[2];
    if (fits) return (*out = st_floats(a, f, t, d)) != NULL;
    const char *has = !t                   ? "missing"
                      : t->dtype != ST_F32 ? arena_printf(a, "is %s", st_dtype_name(t->dtype))
                                           : "has another shape";
    return refuse(a, f, name,
                  arena_printf(a, "%s: i8 has a scale a row, F32 [%lld, %lld, %lld]", has,
                               (long long)in_file[0], (long long)in_file[1], (long long)in_file[2]),
                  d);
}
