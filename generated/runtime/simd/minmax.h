/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* minmax.h - block minima and maxima of the side tensors that a tile classifier reads; filled once
 * a call, into the workspace. */
#ifndef ATTN_MINMAX_H
#define ATTN_MINMAX_H

#include "../attn_kernel.h"
#include "interval.h"

/* Bytes of one table, in whole cache lines. */
static inline uint64_t attn_minmax_size(int64_t count) {
    const uint64_t blocks = ((uint64_t)count + ATTN_MINMAX_BLOCK - 1) / ATTN_MINMAX_BLOCK;
    return (blocks * 8 + 63) & ~(uint64_t)63;
}

/* Bytes of the tables of the sides in the bit set `wanted`. */
static inline uint64_t attn_minmax_bytes(const attn_extent *e, const attn_side_decl *sides,
                                         int count, uint32_t wanted, int32_t heads,
                                         int32_t kv_heads) {
    uint64_t bytes = 0;
    for (int i = 0; i < count; i++) {
        if (!(wanted >> i & 1)) continue;
        const int64_t size =
            attn_side_count(&sides[i], e->batch, heads, kv_heads, e->q_len, e->kv_len_max);
        bytes = attn_plus(bytes, attn_minmax_size(size));
    }
    return bytes;
}

/* Fills the tables, and minmax[i] with the table of side i or null. */
static inline void attn_minmax_fill(const attn_args *args, const attn_side_decl *sides, int count,
                                    uint32_t wanted, char *tables, const void **minmax) {
    for (int i = 0; i < count; i++) {
        minmax[i] = NULL;
        if (!(wanted >> i & 1)) continue;
        minmax[i] = tables;
        const attn_side *side = &args->side[i];
        if (sides[i].is_float)
            attn_minmax_f32(side->data, side->count, (float *)(void *)tables);
        else
            attn_minmax_i32(side->data, side->count, (int32_t *)(void *)tables);
        tables += attn_minmax_size(side->count);
    }
}

#endif
