/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* weight_types.h - the rows of weight_types.def as data. */
#ifndef ATTN_WEIGHT_TYPES_H
#define ATTN_WEIGHT_TYPES_H

#include "compiler.h"
#include "attn.h"
#include <stdbool.h>

ATTN_HIDDEN_BEGIN

/* A row of weight_types.def. */
typedef struct attn_weight_row {
    const char *name;
    int block, bytes;        /* elements of a block, and its bytes */
    const char *safetensors; /* "": none */
    uint32_t gguf;
} attn_weight_row;

static inline attn_weight_row attn_weight_get(int32_t type) {
    static const attn_weight_row rows[] = {
#define ATTN_WEIGHT_ROW(id, name, block, bytes, safetensors, gguf) \
    {#name, block, bytes, safetensors, gguf},
        ATTN_WEIGHT_TYPES(ATTN_WEIGHT_ROW)
#undef ATTN_WEIGHT_ROW
    };
    return rows[type];
}

/* What elements of their own are stored in (attn_type): the first rows. -1: they are in blocks. */
static inline int32_t attn_weight_element(int32_t type) {
    switch (type) {
#define ATTN_WEIGHT_ELEMENT(id, ...) \
    case ATTN_WEIGHT_##id: return ATTN_TYPE_##id;
        ATTN_FLOAT_WEIGHTS(ATTN_WEIGHT_ELEMENT)
#undef ATTN_WEIGHT_ELEMENT
    default: return -1;
    }
}

static inline bool attn_weight_is_float(int32_t type) {
    return attn_weight_element(type) >= 0;
}

/* The type of GGUF's number; -1: none here. */
static inline int32_t attn_weight_of_gguf(uint32_t number) {
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++)
        if (attn_weight_get(type).gguf == number) return type;
    return -1;
}

/* Bytes of a row of n elements, whole blocks. */
static inline int64_t attn_weight_bytes(int32_t type, int64_t n) {
    const attn_weight_row row = attn_weight_get(type);
    return n / row.block * row.bytes;
}

ATTN_VISIBILITY_END

#endif
