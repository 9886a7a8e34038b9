/* safetensors.h - reads and writes safetensors files: named tensors and string metadata. */
#ifndef VERIFY_SAFETENSORS_H
#define VERIFY_SAFETENSORS_H

#include "dtype.h"
#include "util.h"

enum { ST_MAX_RANK = 8 };

typedef struct st_tensor {
    const char *name;
    st_dtype dtype;
    int rank;
    int64_t dim[ST_MAX_RANK];
    int64_t count;
    const uint8_t *data; /* little-endian, any alignment */
} st_tensor;

typedef struct st_meta {
    const char *key, *value;
} st_meta;

typedef struct st_file {
    const char *path;
    st_tensor *tensor;
    int tensor_count;
    st_meta *meta;
    int meta_count;
} st_file;

/* False with a message that names the file and the key. */
bool st_read(arena *a, const char *path, st_file *out, diag *d);

/* The bytes of a file; *size of them. Tensors and metadata stand in the order given. */
char *st_bytes(arena *a, const st_file *f, size_t *size);

const st_tensor *st_find(const st_file *f, const char *name); /* null if absent */
const char *st_get(const st_file *f, const char *key);        /* null if absent */
bool st_is_float(const st_tensor *t);

/* The elements as f32, as i32 (range checked; no floats), or as bytes 0 and 1 (U8 and BOOL only).
 * Null with a message. */
const float *st_floats(arena *a, const st_file *f, const st_tensor *t, diag *d);
const int32_t *st_ints(arena *a, const st_file *f, const st_tensor *t, diag *d);
const uint8_t *st_bools(arena *a, const st_file *f, const st_tensor *t, diag *d);

#endif
