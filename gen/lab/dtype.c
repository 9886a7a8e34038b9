/* dtype.c - see dtype.h. */
#include "dtype.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    int size;
} dtypes[ST_DTYPE_COUNT] = {
    [ST_F32] = {"F32", 4}, [ST_F64] = {"F64", 8},   [ST_BF16] = {"BF16", 2},
    [ST_F16] = {"F16", 2}, [ST_I64] = {"I64", 8},   [ST_I32] = {"I32", 4},
    [ST_U8] = {"U8", 1},   [ST_BOOL] = {"BOOL", 1}, [ST_I8] = {"I8", 1},
};

st_dtype st_dtype_named(const char *name) {
    int i = 0;
    while (i < ST_DTYPE_COUNT && strcmp(name, dtypes[i].name) != 0) i++;
    return (st_dtype)i;
}

const char *st_dtype_name(st_dtype dtype) {
    return dtypes[dtype].name;
}

int64_t st_dtype_size(st_dtype dtype) {
    return dtypes[dtype].size;
}

static float half_to_float(uint16_t h) {
    int exponent = (h >> 10) & 31, mantissa = h & 1023;
    float sign = h & 0x8000 ? -1.0f : 1.0f;
    if (exponent == 31) return mantissa ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexpf((float)mantissa, -24);
    return sign * ldexpf((float)(mantissa + 1024), exponent - 25);
}

static float bfloat_to_float(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* The bytes of a number are the host's: this runs on little-endian machines only. */
double st_value(st_dtype dtype, const void *data, int64_t i) {
    const uint8_t *p = (const uint8_t *)data + i * dtypes[dtype].size;
    float f;
    double g;
    uint16_t h;
    switch (dtype) {
    case ST_F32: memcpy(&f, p, sizeof f); return (double)f;
    case ST_F64: memcpy(&g, p, sizeof g); return g;
    case ST_I8: return (double)(int8_t)*p;
    case ST_BF16: memcpy(&h, p, sizeof h); return (double)bfloat_to_float(h);
    default: memcpy(&h, p, sizeof h); return (double)half_to_float(h);
    }
}
