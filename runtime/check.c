/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>

attn_why attn_why_begin(char *text, size_t size) {
    if (text && size) *text = 0;
    return (attn_why){size ? text : NULL, size};
}

attn_status attn_refuse(const attn_why *why, attn_status status, const char *fmt, ...) {
    if (!why || !why->text) return status;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why->text, why->size, fmt, ap);
    va_end(ap);
    return status;
}

attn_status attn_check_range(const attn_why *why, const char *name, int32_t value, int32_t most) {
    if (value >= 0 && value <= most) return ATTN_OK;
    return attn_refuse(why, ATTN_E_ARGUMENT, "%s is %d: must be from 0 to %d", name, value, most);
}

attn_status attn_check_threads(const attn_why *why, int32_t threads) {
    return attn_check_range(why, "threads", threads, ATTN_THREADS_MAX);
}

attn_status attn_check_item(const attn_why *why, const char *name, int32_t b, int32_t value,
                            const char *most_name, int32_t most) {
    if (value >= 0 && value <= most) return ATTN_OK;
    return attn_refuse(why, ATTN_E_LENGTH, "%s[%d] is %d: must be from 0 to %s = %d", name, b,
                       value, most_name, most);
}

attn_status attn_check_begin(const attn_why *why, const int32_t *begin, int32_t batch,
                             const char *most_name, int32_t most) {
    if (!begin) return ATTN_OK;
    if (begin[0] < 0)
        return attn_refuse(why, ATTN_E_LENGTH, "q_begin[0] is %d: must not be negative", begin[0]);
    for (int32_t b = 0; b < batch; b++) {
        if (begin[b + 1] < begin[b])
            return attn_refuse(why, ATTN_E_LENGTH,
                               "q_begin[%d] is %d: must be at least q_begin[%d] = %d", b + 1,
                               begin[b + 1], b, begin[b]);
        if (begin[b + 1] - begin[b] > most)
            return attn_refuse(why, ATTN_E_LENGTH,
                               "q_begin[%d] is %d: item %d would have %d rows, more than %s = %d",
                               b + 1, begin[b + 1], b, begin[b + 1] - begin[b], most_name, most);
    }
    return ATTN_OK;
}

attn_status attn_check_size(const attn_why *why, const char *name, uint32_t got, size_t want,
                            const char *from) {
    if (got == want) return ATTN_OK;
    return attn_refuse(why, ATTN_E_ABI, "%s.struct_size is %u: must be %u; start from %s", name,
                       (unsigned)got, (unsigned)want, from);
}

attn_status attn_check_grown(const attn_why *why, const char *name, const void *from_caller,
                             const size_t *before, void *to, size_t size, const char *from) {
    uint32_t got; /* struct_size comes first */
    memcpy(&got, from_caller, sizeof got);
    while (*before && got != *before) before++;
    if (!*before && got != size) return attn_check_size(why, name, got, size, from);
    memset((char *)to + got, 0, size - got);
    memcpy(to, from_caller, got);
    return ATTN_OK;
}

attn_status attn_check_pool(const attn_why *why, const attn_pool *pool) {
    if (!pool) return ATTN_OK;
    const attn_status status =
        attn_check_size(why, "pool", pool->struct_size, sizeof *pool, "{sizeof pool, ..}");
    if (status != ATTN_OK || pool->run) return status;
    return attn_refuse(why, ATTN_E_ARGUMENT, "pool.run is null");
}

attn_status attn_check_fits(const attn_why *why, const char *what, uint64_t bytes) {
    if (attn_size_fits(bytes)) return ATTN_OK;
    return attn_refuse(why, ATTN_E_ARGUMENT,
                       "%s would have %.1e bytes: at most %.1e fit this target", what,
                       (double)bytes, (double)PTRDIFF_MAX);
}

attn_status attn_check_memory(const attn_why *why, attn_status status, const char *name,
                              const void *memory, const char *bytes_name, size_t bytes, size_t need,
                              const char *needed_by) {
    if (need == 0) return ATTN_OK;
    if (!memory)
        return attn_refuse(why, status, "%s is null: %llu bytes are needed (%s)", name,
                           (unsigned long long)need, needed_by);
    if ((uintptr_t)memory % 64)
        return attn_refuse(why, status, "%s is at %p: must be 64-byte aligned", name, memory);
    if (bytes < need)
        return attn_refuse(why, status, "%s is %llu: must be at least %llu (%s)", bytes_name,
                           (unsigned long long)bytes, (unsigned long long)need, needed_by);
    return ATTN_OK;
}

/* --- Areas --- */

/* No CPU of today gives a process more than 57 bits of addresses. */
#define SPAN_MOST (sizeof(void *) < 8 ? (int64_t)UINT32_MAX : INT64_C(1) << 57)

attn_area *attn_areas_add(attn_areas *list, const char *name, const void *data, int64_t bytes) {
    attn_area *area = &list->area[list->count++];
    area->name = name;
    area->at = (uintptr_t)data;
    area->width = data ? bytes : 0;
    area->dims = 0; /* the rest of dim[] is never looked at */
    area->same_as = -1;
    area->written = area->beyond = false;
    return area;
}

attn_area *attn_areas_add_from(attn_areas *list, const char *name, const void *data, int64_t steps,
                               int64_t elements, size_t size, int64_t bytes) {
    int64_t from = 0;
    const bool beyond = __builtin_mul_overflow(steps, elements, &from) ||
                        __builtin_mul_overflow(from, (int64_t)size, &from);
    attn_area *area = attn_areas_add(list, name, data, bytes);
    if (data) area->at += (uintptr_t)from;
    area->beyond = beyond || from > SPAN_MOST || from < -SPAN_MOST;
    return area;
}

void attn_area_repeat(attn_area *area, const char *name, int64_t count, int64_t elements,
                      size_t size) {
    if (count <= 0) area->width = 0;
    if (count <= 1) return; /* its stride is not used */
    int64_t step;
    if (__builtin_mul_overflow(elements, (int64_t)size, &step)) area->beyond = true, step = 0;
    area->dim[area->dims].name = name;
    area->dim[area->dims].unit = (int64_t)size;
    area->dim[area->dims].count = count;
    area->dim[area->dims++].step = step;
}

/* First byte and the one past the last; false where the address space does not hold them. What it
 * holds is so little of what 64 bits count that sums of a few spans and offsets fit them. */
static bool reach(const attn_area *a, int64_t *first, int64_t *end) {
    *first = (int64_t)a->at;
    if (a->beyond) return false;
    if (__builtin_add_overflow(*first, a->width, end)) return false;
    for (int i = 0; i < a->dims; i++) {
        int64_t far;
        if (__builtin_mul_overflow(a->dim[i].count - 1, a->dim[i].step, &far)) return false;
        if (__builtin_add_overflow(far < 0 ? *first : *end, far, far < 0 ? first : end))
            return false;
    }
    int64_t span;
    return !__builtin_sub_overflow(*end, *first, &span) && span <= SPAN_MOST;
}

/* Steps forward, the longest first, none of 0; what each dimension and those after it span. */
typedef struct ordered {
    attn_area area;
    int64_t span[5];
} ordered;

/* All of it is within the reach that was checked. Steps of 0 are kept on request: rows that
 * coincide. */
static ordered order(const attn_area *a, bool keep_zero) {
    ordered o = {.area = *a};
    attn_area *to = &o.area;
    to->dims = 0;
    for (int i = 0; i < a->dims; i++) {
        int64_t step = a->dim[i].step;
        if (step == 0 && !keep_zero) continue;
        if (step < 0) {
            step = -step;
            to->at -= (uintptr_t)((a->dim[i].count - 1) * step);
        }
        int at = to->dims++;
        for (; at > 0 && to->dim[at - 1].step < step; at--) to->dim[at] = to->dim[at - 1];
        to->dim[at] = a->dim[i];
        to->dim[at].step = step;
    }
    o.span[to->dims] = to->width;
    for (int i = to->dims - 1; i >= 0; i--)
        o.span[i] = o.span[i + 1] + (to->dim[i].count - 1) * to->dim[i].step;
    return o;
}

/* Whether a byte of `a` is one of `b`, which starts `offset` bytes further; dimensions before i and
 * j are settled. Entangled layouts, which no nested loops make, count as meeting. */
static bool meet(const ordered *a, int i, const ordered *b, int j, int64_t offset) {
    if (offset >= a->span[i] || -offset >= b->span[j]) return false;
    const int64_t step_a = i < a->area.dims ? a->area.dim[i].step : 0;
    const int64_t step_b = j < b->area.dims ? b->area.dim[j].step : 0;
    const int64_t step = step_a > step_b ? step_a : step_b;
    if (step == 0) return true;
    int64_t from = 0, to = 0; /* b against a, in steps */
    if (step_a == step) from = 1 - a->area.dim[i++].count;
    if (step_b == step) to = b->area.dim[j++].count - 1;
    /* Where they can meet at all: -span b < offset + n * step < span a. */
    const int64_t least = (-b->span[j] - offset) / step - 1,
                  most = (a->span[i] - offset) / step + 1;
    if (from < least) from = least;
    if (to > most) to = most;
    if (to - from > 8) return true;
    for (int64_t n = from; n <= to; n++)
        if (meet(a, i, b, j, offset + n * step)) return true;
    return false;
}

/* The same rows at the same places, or the front of them. */
static bool same_rows(const attn_area *a, const attn_area *b) {
    if (a->at != b->at || a->width > b->width || a->dims != b->dims) return false;
    for (int i = 0; i < a->dims; i++)
        if (a->dim[i].count != b->dim[i].count || a->dim[i].step != b->dim[i].step) return false;
    return true;
}

static attn_status check_rows(const attn_why *why, const attn_area *a) {
    const ordered o = order(a, true);
    for (int i = o.area.dims - 1; i >= 0; i--) {
        const int64_t step = o.area.dim[i].step, span = o.span[i + 1], unit = o.area.dim[i].unit;
        if (step < span)
            return attn_refuse(why, ATTN_E_ARGUMENT,
                               "%s is %lld: rows of %s overlap; must be at least %lld elements, "
                               "what the smaller strides span",
                               o.area.dim[i].name, (long long)(step / unit), a->name,
                               (long long)((span + unit - 1) / unit));
    }
    return ATTN_OK;
}

void attn_areas_add_mask(attn_areas *list, const attn_mask *mask) {
    if (mask->type == ATTN_MASK_NONE) return;
    const size_t size = mask->type == ATTN_MASK_F32 ? sizeof(float) : 1;
    attn_area *area = attn_areas_add(list, "mask.data", mask->data, (int64_t)size);
    for (int i = mask->rank - 1; i >= 0; i--)
        attn_area_repeat(area, "mask.stride", mask->dim[i], mask->stride[i], size);
}

int32_t attn_longest(const attn_args *a) {
    if (!a->kv_len) return a->kv_len_max;
    int32_t longest = 0;
    for (int32_t b = 0; b < a->batch; b++)
        if (a->kv_len[b] > longest) longest = a->kv_len[b];
    return longest;
}

void attn_areas_add_padding(attn_areas *list, const uint8_t *padding, int32_t keys, int32_t from,
                            int32_t items, int64_t stride) {
    attn_area_repeat(attn_areas_add_from(list, "key_padding", padding, from, stride, 1, keys),
                     "key_padding_batch", items, stride, 1);
}

void attn_areas_add_inputs(attn_areas *list, const attn_kernel *kernel, const attn_args *a) {
    const int64_t word = sizeof(int32_t);
    attn_areas_add_mask(list, &a->mask);
    const int32_t *seg = a->seg ? a->seg + attn_first_row(a, 0) : NULL;
    attn_area_repeat(attn_areas_add(list, "seg", seg, attn_lined_rows(a) * word), "seg_batch",
                     attn_lined_items(a), a->seg_batch, sizeof(int32_t));
    attn_areas_add(list, "q_begin", a->q_begin, ((int64_t)a->batch + 1) * word);
    attn_areas_add(list, "side", a->side, a->side_count * (int64_t)sizeof *a->side);
    for (int i = 0; i < kernel->side_count; i++)
        attn_areas_add(list, kernel->sides[i].name, a->side[i].data, a->side[i].count * word);
    attn_areas_add(list, "scalars", a->scalars, a->scalar_count * word);
    attn_areas_add(list, "pool", a->pool, sizeof *a->pool);
}

attn_status attn_check_areas(const attn_why *why, const attn_areas *areas) {
    const attn_area *list = areas->area;
    const int count = areas->count;
    int64_t first[ATTN_AREAS_MAX], end[ATTN_AREAS_MAX];
    for (int i = 0; i < count; i++) {
        end[i] = first[i] = 0;
        if (list[i].width > 0 && !reach(&list[i], &first[i], &end[i]))
            return attn_refuse(why, ATTN_E_ARGUMENT,
                               "%s does not fit the address space: its strides are too large",
                               list[i].name);
    }
    for (int i = 0; i < count; i++) {
        const attn_area *a = &list[i];
        if (!a->written || a->width == 0) continue;
        attn_status status = a->dims ? check_rows(why, a) : ATTN_OK;
        if (status != ATTN_OK) return status;
        for (int j = 0; j < count; j++) {
            if (first[i] >= end[j] || first[j] >= end[i] || i == j) continue;
            const attn_area *b = &list[j];
            if (a->same_as == j && same_rows(a, b)) continue;
            if (b->written && b->same_as == i && same_rows(b, a)) continue;
            const ordered x = order(a, false), y = order(b, false);
            if (!meet(&x, 0, &y, 0, (int64_t)(y.area.at - x.area.at))) continue;
            return attn_refuse(why, ATTN_E_ARGUMENT, "%s overlaps %s: %s", a->name, b->name,
                               a->same_as == j
                                   ? "it may be the same rows (data and strides), or lie apart"
                                   : "what a call writes shares memory with no other argument");
        }
    }
    return ATTN_OK;
}
