/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* check.h - how arguments are refused: a status for the call, a sentence for who asks. */
#ifndef ATTN_CHECK_H
#define ATTN_CHECK_H

#include "attn_kernel.h"

ATTN_HIDDEN_BEGIN

/* Where the sentence goes; null (a run) or without text: nobody asks. */
typedef struct attn_why {
    char *text;
    size_t size;
} attn_why;

/* An empty text, for the checks that follow. */
attn_why attn_why_begin(char *text, size_t size);

/* `status`, and the sentence that says why. The check and its sentence stand in one place. */
attn_status attn_refuse(const attn_why *why, attn_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* 0..most */
attn_status attn_check_range(const attn_why *why, const char *name, int32_t value, int32_t most);

/* name[b] of an item. */
attn_status attn_check_item(const attn_why *why, const char *name, int32_t b, int32_t value,
                            const char *most_name, int32_t most);

/* The struct_size of an argument; `from` says where a right one comes from. */
attn_status attn_check_size(const attn_why *why, const char *name, uint32_t got, size_t want,
                            const char *from);

/* Of one that has grown at its end: older callers' have one of the sizes `before`, a list that ends
 * with 0. Then its members in *to; those that the caller does not know are 0. */
attn_status attn_check_grown(const attn_why *why, const char *name, const void *from_caller,
                             const size_t *before, void *to, size_t size, const char *from);

/* Where rows begin: ascending, of at most `most` rows an item. Null: they are not ragged. */
attn_status attn_check_begin(const attn_why *why, const int32_t *begin, int32_t batch,
                             const char *most_name, int32_t most);

enum { ATTN_THREADS_MAX = 65536 };
attn_status attn_check_threads(const attn_why *why, int32_t threads);
attn_status attn_check_pool(const attn_why *why, const attn_pool *pool);

/* Whether memory is there, 64-byte aligned and large enough; need = 0: it may be anything. */
attn_status attn_check_memory(const attn_why *why, attn_status status, const char *name,
                              const void *memory, const char *bytes_name, size_t bytes, size_t need,
                              const char *needed_by);

/* Whether this target's memory can hold so many bytes. */
attn_status attn_check_fits(const attn_why *why, const char *what, uint64_t bytes);

/* --- Memory that a call reads or writes --- */

/* Rows of `width` bytes, repeated in up to four dimensions. */
typedef struct attn_area {
    const char *name; /* of the argument */
    uintptr_t at;
    int64_t width;
    struct {
        const char *name; /* of the stride */
        int64_t count, step;
        int64_t unit; /* bytes that the stride counts in */
    } dim[4];
    int dims;
    int same_as; /* index of the area that it may be, or -1 */
    bool written;
    bool beyond; /* a stride leads out of what 64 bits count */
} attn_area;

/* A dimension of a tensor: the argument that is its stride, in elements. */
typedef struct attn_dim {
    const char *name;
    int64_t count, stride;
} attn_dim;

/* Another dimension of an area, around those it has. */
void attn_area_repeat(attn_area *area, const char *name, int64_t count, int64_t elements,
                      size_t size);

/* What a call reads and writes. */
enum { ATTN_AREAS_MAX = 64 };
typedef struct attn_areas {
    attn_area area[ATTN_AREAS_MAX];
    int count;
} attn_areas;

/* The next of the list, with bytes without a break; data = null: nothing. */
attn_area *attn_areas_add(attn_areas *list, const char *name, const void *data, int64_t bytes);
/* The same from `steps` times a stride on, in elements of `size` bytes. */
attn_area *attn_areas_add_from(attn_areas *list, const char *name, const void *data, int64_t steps,
                               int64_t elements, size_t size, int64_t bytes);
/* Keys of the longest item: memory beyond them is nobody's business. */
int32_t attn_longest(const attn_args *a);
void attn_areas_add_padding(attn_areas *list, const uint8_t *padding, int32_t keys, int32_t from,
                            int32_t items, int64_t stride);
/* Where rows lie one after the other: all of a ragged call as those of one item. */
static inline int32_t attn_lined_rows(const attn_args *a) {
    return a->q_begin ? a->q_begin[a->batch] - a->q_begin[0] : a->q_len;
}
static inline int32_t attn_lined_items(const attn_args *a) {
    return a->q_begin ? 1 : a->batch;
}
void attn_areas_add_mask(attn_areas *list, const attn_mask *mask);
/* The masks, side tensors and scalars that layers hand through to their core. */
void attn_areas_add_inputs(attn_areas *list, const attn_kernel *kernel, const attn_args *args);

/* Of areas that are written: no row may overlap another, or an area of the list. */
attn_status attn_check_areas(const attn_why *why, const attn_areas *list);

ATTN_VISIBILITY_END

#endif
