/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* types.h - stored elements one at a time: sizes, names, values, and the one place that rounds. */
#ifndef ATTN_TYPES_H
#define ATTN_TYPES_H

#include "compiler.h"
#include "attn.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>

ATTN_HIDDEN_BEGIN

/* A row of types.def. */
typedef struct attn_type_row {
    const char *name, *ctype;
    int bits, exponent;
    const char *safetensors, *gguf;
} attn_type_row;

static inline attn_type_row attn_type_get(int32_t type) {
    static const attn_type_row rows[] = {
#define ATTN_TYPE_ROW(id, name, bits, exponent, ctype, safetensors, gguf) \
    {#name, #ctype, bits, exponent, safetensors, gguf},
        ATTN_TYPES(ATTN_TYPE_ROW)
#undef ATTN_TYPE_ROW
    };
    return rows[type];
}

/* Whether each row has a scale: an element is that times its code. */
static inline bool attn_type_scaled(int32_t type) {
    return attn_type_get(type).exponent == 0;
}

/* Bytes of an element. */
static inline size_t attn_type_size(int32_t type) {
    return (size_t)attn_type_get(type).bits / 8;
}

/* Address of an element. */
static inline const void *attn_at(const void *data, int32_t type, int64_t i) {
    return (const char *)data + i * (int64_t)attn_type_size(type);
}

/* The sign of a float, its exponent and mantissa, in so many bits. */
static inline uint32_t attn_float_bits(int bits, bool negative, uint32_t rest) {
    return (uint32_t)negative << (bits - 1) | rest;
}

/* n / 2^bits, to nearest, ties to even. */
static inline uint32_t attn_half_even(uint32_t n, int bits) {
    return (n + (1u << (bits - 1)) - 1 + (n >> bits & 1)) >> bits;
}

/* x as a float of `bits` bits, `exponent` of them its exponent: to nearest, ties to even; what is
 * too large becomes infinite, NaN stays NaN, quiet, with the front of its payload. */
static inline uint32_t attn_round_float(float x, int bits, int exponent) {
    const int mantissa = bits - 1 - exponent, lowest = 2 - (1 << (exponent - 1));
    const uint32_t infinite = ((1u << exponent) - 1) << mantissa;
    if (isnan(x)) {
        uint32_t payload;
        memcpy(&payload, &x, sizeof payload);
        payload = (payload & 0x7fffff) >> (23 - mantissa);
        return attn_float_bits(bits, signbit(x), infinite | 1u << (mantissa - 1) | payload);
    }
    /* In units of the last bit, which a float's own bits count: all of it in integers. */
    const int cut = 23 - mantissa, below = lowest + 126; /* bits and exponents that it has not */
    uint32_t units;
    memcpy(&units, &x, sizeof units);
    units &= 0x7fffffff;
    const int smaller = below + 1 - (int)(units >> 23);
    if (below > 0 && smaller > 0) { /* denormal there */
        units =
            smaller > 25 - cut ? 0 : attn_half_even((units & 0x7fffff) | 0x800000, cut + smaller);
        return attn_float_bits(bits, signbit(x), units);
    }
    units = attn_half_even(units - ((uint32_t)below << 23), cut);
    return attn_float_bits(bits, signbit(x), units < infinite ? units : infinite);
}

/* The value of such a float, exact. */
static inline float attn_float_value(uint32_t code, int bits, int exponent) {
    const int mantissa = bits - 1 - exponent, lowest = 2 - (1 << (exponent - 1));
    const uint32_t top = (1u << exponent) - 1, field = code >> mantissa & top;
    const uint32_t rest = code & ((1u << mantissa) - 1), sign = code >> (bits - 1) & 1;
    if (field == top) {
        const uint32_t wide = sign << 31 | 0x7f800000u | rest << (23 - mantissa);
        float x;
        memcpy(&x, &wide, sizeof x);
        return x;
    }
    /* An f32 has all that it has; what is denormal in less than f32's range is units of a power. */
    const int below = lowest + 126;
    const bool tiny = field == 0 && below > 0;
    const uint32_t bits32 =
        tiny ? (uint32_t)(127 + lowest - mantissa) << 23
             : ((field << mantissa | rest) << (23 - mantissa)) + ((uint32_t)below << 23);
    float x;
    memcpy(&x, &bits32, sizeof x);
    if (tiny) x *= (float)rest;
    return sign ? -x : x;
}

/* One unit of an element's last place, in parts of the element, at most. */
static inline float attn_last_place(int32_t type) {
    const attn_type_row row = attn_type_get(type);
    return ldexpf(1, row.exponent + 1 - row.bits);
}

/* The value of element i; its code, where the row has a scale. */
static inline float attn_load(const void *data, int32_t type, int64_t i) {
    if (type == ATTN_TYPE_F32) return ((const float *)data)[i];
    if (attn_type_scaled(type)) return ((const int8_t *)data)[i];
    const attn_type_row row = attn_type_get(type);
    uint16_t half;
    memcpy(&half, attn_at(data, type, i), sizeof half);
    return attn_float_value(half, row.bits, row.exponent);
}

/* Rounds x into element i; of types with scales a code, as it is. */
static inline void attn_store(void *data, int32_t type, int64_t i, float x) {
    if (attn_type_scaled(type)) {
        ((int8_t *)data)[i] = (int8_t)x;
        return;
    }
    if (type == ATTN_TYPE_F32) {
        ((float *)data)[i] = x;
        return;
    }
    const attn_type_row row = attn_type_get(type);
    const uint16_t half = (uint16_t)attn_round_float(x, row.bits, row.exponent);
    memcpy((char *)data + i * (int64_t)sizeof half, &half, sizeof half);
}

/* Rounds a row of n floats into 8 bits, and returns its scale: the largest becomes 127 or -127, and
 * -128 is never written. A row that is not finite has scale NaN, one that is next to nothing 0. */
static inline float attn_round_i8(int8_t *to, const float *x, int32_t n) {
    float most = 0;
    bool finite = true;
    for (int32_t d = 0; d < n; d++) {
        finite = finite && isfinite(x[d]);
        if (fabsf(x[d]) > most) most = fabsf(x[d]);
    }
    const bool none = !finite || most < 0x1p-100f;
    const float factor = none ? 0 : 127 / most;
    for (int32_t d = 0; d < n; d++) to[d] = none ? 0 : (int8_t)rintf(x[d] * factor);
    return finite ? none ? 0 : most / 127 : NAN;
}

/* Rounds a row of n floats into the elements from i on. Returns its scale; 1 of types that have
 * none. */
static inline float attn_store_row(void *data, int32_t type, int64_t i, const float *x, int32_t n) {
    if (attn_type_scaled(type)) return attn_round_i8((int8_t *)data + i, x, n);
    for (int32_t d = 0; d < n; d++) attn_store(data, type, i + d, x[d]);
    return 1;
}

ATTN_VISIBILITY_END

#endif
