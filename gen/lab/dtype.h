/* dtype.h - element types of safetensors files. Apart from the reader, so that an oracle links
 * without a JSON library. */
#ifndef LAB_DTYPE_H
#define LAB_DTYPE_H

#include <stdint.h>

typedef enum st_dtype {
    ST_F32,
    ST_F64,
    ST_BF16,
    ST_F16,
    ST_I64,
    ST_I32,
    ST_U8,
    ST_I8,
    ST_BOOL,
    ST_DTYPE_COUNT
} st_dtype;

/* "BF16" -> ST_BF16; ST_DTYPE_COUNT: there is none of this name. */
st_dtype st_dtype_named(const char *name);
const char *st_dtype_name(st_dtype dtype);
int64_t st_dtype_size(st_dtype dtype); /* bytes of an element */
/* Element i of an array of floats of this type. */
double st_value(st_dtype dtype, const void *data, int64_t i);

#endif
