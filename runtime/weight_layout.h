/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* weight_layout.h - how packed matrices hold weights in blocks: where each field of a panel's rows
 * lies. pack writes it, plans count it, and templates index it by the same figures.
 *
 * A panel's rows lie side by side: of a group of elements first the fields that its rows have once,
 * then its blocks of 32 elements, one after the other, so that a product reads a panel once, from
 * its first byte to its last. A block: fields of each row, then codes in 32-bit numbers, one a row.
 *
 * - group: d [rows] f16, minimum's d [rows] f16, where scales have a scale
 * - block: else d [rows] f16 (mxfp4: bf16), minimum [rows] f16; there scales [32 / part][rows] i8,
 *   minima [rows] i8
 * - part: fifth bits [rows] or fifth and sixth bits [rows], then codes [..][rows]
 *
 * Codes of 8 bits: byte i of number n is element 4 n + i. Of 4 bits: the lower half of byte i of
 * number n is element 8 n + i, the upper half 8 n + 4 + i. High bits: `high` bits from bit high * g
 * on, of byte i, are those of element 4 g + i of the part. Codes are unsigned; `offset` is that of
 * the value 0. */
#ifndef ATTN_WEIGHT_LAYOUT_H
#define ATTN_WEIGHT_LAYOUT_H

#include "weight_types.h"

ATTN_HIDDEN_BEGIN

enum { ATTN_LAID = 32 }; /* elements of a block in a panel */

typedef struct attn_weight_layout {
    bool min;    /* has minima, else an offset */
    bool scaled; /* d is that of a group's scales, which are whole numbers */
    bool table;  /* codes are places in a table of values */
    int part;    /* elements that have a scale in common, and whose codes follow each other */
    int bits;    /* of a code, without the high ones */
    int high;
    int offset;
} attn_weight_layout;

/* Of a type in blocks. */
static inline attn_weight_layout attn_weight_layout_of(int32_t type) {
    switch (type) {
    case ATTN_WEIGHT_Q8_0: return (attn_weight_layout){.part = 32, .bits = 8, .offset = 128};
    case ATTN_WEIGHT_Q4_0: return (attn_weight_layout){.part = 32, .bits = 4, .offset = 8};
    case ATTN_WEIGHT_Q4_1: return (attn_weight_layout){.min = true, .part = 32, .bits = 4};
    case ATTN_WEIGHT_Q5_0:
        return (attn_weight_layout){.part = 32, .bits = 4, .high = 1, .offset = 16};
    case ATTN_WEIGHT_Q5_1:
        return (attn_weight_layout){.min = true, .part = 32, .bits = 4, .high = 1};
    case ATTN_WEIGHT_Q4_K:
        return (attn_weight_layout){.min = true, .scaled = true, .part = 32, .bits = 4};
    case ATTN_WEIGHT_Q5_K:
        return (attn_weight_layout){.min = true, .scaled = true, .part = 32, .bits = 4, .high = 1};
    case ATTN_WEIGHT_Q6_K:
        return (attn_weight_layout){.scaled = true, .part = 16, .bits = 4, .high = 2, .offset = 32};
    default: /* mxfp4: twice its values, plus 12 */
        return (attn_weight_layout){.table = true, .part = 32, .bits = 4, .offset = 12};
    }
}

/* Bytes a row, and so offsets in units of a panel's rows. */
typedef struct attn_weight_places {
    int group, block, part; /* of all of a group; of a block; of a part's high bits and codes */
    int head;               /* before the first block */
    int parts;              /* from a block's start to its first part */
} attn_weight_places;

static inline attn_weight_places attn_weight_places_of(int32_t type) {
    const attn_weight_layout t = attn_weight_layout_of(type);
    const int fields = t.min ? 4 : 2;
    attn_weight_places p = {.part = t.part * t.bits / 8 + (t.high ? 4 : 0)};
    p.head = t.scaled ? fields : 0;
    p.parts = t.scaled ? ATTN_LAID / t.part + (t.min ? 1 : 0) : fields;
    p.block = p.parts + ATTN_LAID / t.part * p.part;
    p.group = p.head + attn_weight_get(type).block / ATTN_LAID * p.block;
    return p;
}

/* Bytes of a panel of `rows` rows of k elements, whole groups. */
static inline int64_t attn_panel_bytes(int32_t type, int64_t rows, int64_t k) {
    if (attn_weight_is_float(type)) return rows * k * attn_weight_get(type).bytes;
    return rows * (k / attn_weight_get(type).block) * attn_weight_places_of(type).group;
}

ATTN_VISIBILITY_END

#endif
