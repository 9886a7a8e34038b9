/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* block_weights.c - elements of weights as they are given, on their way to where a layer's kernels
 * read them. */
#include "block.h"
#include "types.h"
#include "weight_types.h"

enum { CHUNK = 256 }; /* elements on their way at once */

/* Types of weights that are types of elements have the same numbers. */
_Static_assert((int)ATTN_WEIGHT_F32 == (int)ATTN_TYPE_F32, "f32");
_Static_assert((int)ATTN_WEIGHT_BF16 == (int)ATTN_TYPE_BF16, "bf16");
_Static_assert((int)ATTN_WEIGHT_F16 == (int)ATTN_TYPE_F16, "f16");

const float *attn_source_floats(const attn_packing *p, int32_t weight, int64_t at, int64_t n,
                                float *buffer) {
    const attn_source *w = &p->weight[weight];
    if (w->type == ATTN_WEIGHT_F32) return (const float *)w->data + at;
    for (int64_t i = 0; i < n; i++) buffer[i] = attn_load(w->data, w->type, at + i);
    return buffer;
}

double attn_source_at(const attn_packing *p, int32_t weight, int64_t at) {
    const attn_source *w = &p->weight[weight];
    return (double)attn_load(w->data, w->type, at);
}

/* x as an f32; where that is not exact, the next one towards 0 with its last bit set: it lies on
 * the same side of every middle of two shorter floats as x does, so that x is rounded once. */
static float to_odd(double x) {
    float f = (float)x;
    if ((double)f == x || isinf(f) || isnan(f)) return f;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    bits -= fabs((double)f) > fabs(x);
    bits |= 1;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Element (row, i) of a packed matrix: panels of rows side by side. */
static int64_t packed_at(const attn_panels *m, int64_t row, int64_t i) {
    return (row / m->columns * m->k + i) * m->columns + row % m->columns;
}

/* Rounds a number of a weight into an element. A finite one that becomes infinite is kept in mind.
 */
static void put(attn_packing *p, const attn_panels *m, int64_t at, int32_t weight, float x,
                bool finite) {
    attn_store(p->to + m->at, m->type, at, x);
    if (finite && p->infinite < 0 && isinf(attn_load(p->to + m->at, m->type, at)))
        p->infinite = weight;
}

void attn_pack_value(attn_packing *p, const attn_panels *m, int64_t row, int64_t i, int32_t weight,
                     double x) {
    const float rounded = m->type == ATTN_WEIGHT_F32 ? (float)x : to_odd(x);
    put(p, m, packed_at(m, row, i), weight, rounded, isfinite(x));
}

/* Elements of 16 bits as they are. */
static void copy_some(const attn_packing *p, const attn_panels *m, int64_t to, const attn_source *w,
                      int64_t at, int64_t n) {
    const char *from = attn_at(w->data, w->type, at);
    for (int64_t j = 0; j < n; j++)
        memcpy((char *)(p->to + m->at) + (to + j * m->columns) * 2, from + j * 2, 2);
}

/* Elements from `at` on of a weight become those of a packed row from i on. */
static void pack_some(attn_packing *p, const attn_panels *m, int64_t row, int64_t i, int32_t weight,
                      int64_t at, int64_t n) {
    const attn_source *w = &p->weight[weight];
    const int64_t to = packed_at(m, row, i), step = m->columns;
    if (m->type == w->type && m->type != ATTN_WEIGHT_F32) {
        copy_some(p, m, to, w, at, n);
        return;
    }
    float buffer[CHUNK];
    const float *x = attn_source_floats(p, weight, at, n, buffer);
    if (m->type == ATTN_WEIGHT_F32)
        for (int64_t j = 0; j < n; j++) p->to[m->at + to + j * step] = x[j];
    else
        for (int64_t j = 0; j < n; j++) put(p, m, to + j * step, weight, x[j], isfinite(x[j]));
}

void attn_pack_rows(attn_packing *p, const attn_panels *m, int64_t row, int32_t weight,
                    int64_t from, int64_t n) {
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < m->k; i += CHUNK)
            pack_some(p, m, row + r, i, weight, (from + r) * m->k + i,
                      m->k - i < CHUNK ? m->k - i : CHUNK);
}

void attn_pack_vector(attn_packing *p, int64_t at, int32_t weight, int64_t from, int64_t n) {
    const attn_source *w = &p->weight[weight];
    for (int64_t i = 0; i < n; i++) p->to[at + i] = attn_load(w->data, w->type, from + i);
}
