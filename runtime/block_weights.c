/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* block_weights.c - elements of weights as they are given, on their way to where a layer's kernels
 * read them. */
#include "block.h"
#include "quant.h"
#include "types.h"

enum { CHUNK = 256, BLOCK_MOST = 256 }; /* elements on their way at once, and of a block */

/* Where block number `block` of a weight stands, as GGUF has it. Codes of mxfp4 in two tensors are
 * halves of bytes in the order of elements: they are put in `made`, which holds a block. */
static const uint8_t *block_at(const attn_source *w, int64_t block, uint8_t made[17]) {
    enum { HALF = 16 };
    const uint8_t *data = w->data;
    if (!w->split) return data + block * attn_weight_get(w->type).bytes;
    const uint8_t *codes = data + block * HALF;
    made[0] = w->scales[block];
    for (int i = 0; i < HALF / 2; i++) {
        const uint8_t low = codes[i], high = codes[HALF / 2 + i];
        made[1 + 2 * i] = (uint8_t)((low & 15) | (high & 15) << 4);
        made[2 + 2 * i] = (uint8_t)(low >> 4 | (high & 240));
    }
    return made;
}

/* Of blocks, those that hold the elements. */
static void widen(const attn_source *w, int64_t at, int64_t n, float *to) {
    const attn_weight_row row = attn_weight_get(w->type);
    uint8_t made[17];
    float some[BLOCK_MOST];
    for (int64_t done = 0, taken; done < n; done += taken) {
        const int64_t block = (at + done) / row.block, skip = (at + done) % row.block;
        attn_dequantise(block_at(w, block, made), w->type, row.block, some);
        taken = row.block - skip < n - done ? row.block - skip : n - done;
        memcpy(to + done, some + skip, sizeof *to * (size_t)taken);
    }
}

static const float *floats_of(const attn_source *w, int64_t at, int64_t n, float *buffer);

/* Of a weight in two tensors, element by element: keys are turned. */
static void gather_halves(const attn_source *w, int64_t at, int64_t n, float *to) {
    const int64_t k = w->head[0], v = w->head[1], both = k + v;
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = (at + i) / w->row, column = (at + i) % w->row;
        const int64_t head = row / both, r = row % both;
        float x;
        to[i] = r < k ? *floats_of(&w->half[0], (head * w->row + column) * k + r, 1, &x)
                      : *floats_of(&w->half[1], (head * v + r - k) * w->row + column, 1, &x);
    }
}

/* n elements from `at` on, each a step further: in place, or in the buffer. */
static const float *floats_of(const attn_source *w, int64_t at, int64_t n, float *buffer) {
    if (w->half) {
        gather_halves(w, at, n, buffer);
        return buffer;
    }
    if (w->type == ATTN_WEIGHT_F32 && w->step == 1) return (const float *)w->data + at;
    if (!attn_weight_is_float(w->type)) {
        widen(w, at, n, buffer);
        return buffer;
    }
    const int32_t type = attn_weight_element(w->type);
    for (int64_t i = 0; i < n; i++) buffer[i] = attn_load(w->data, type, at + i * w->step);
    return buffer;
}

const float *attn_source_floats(const attn_packing *p, int32_t weight, int64_t at, int64_t n,
                                float *buffer) {
    return floats_of(&p->weight[weight], at, n, buffer);
}

double attn_source_at(const attn_packing *p, int32_t weight, int64_t at) {
    float x;
    return (double)*attn_source_floats(p, weight, at, 1, &x);
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

/* Keeps the first weight in mind that cannot be packed. */
static void refuse(attn_packing *p, int32_t weight, const char *why) {
    if (p->why) return;
    p->why = why;
    p->refused = weight;
}

/* Rounds a number of a weight into an element. A finite one that becomes infinite is kept in mind.
 */
static void put(attn_packing *p, const attn_panels *m, int64_t at, int32_t weight, float x,
                bool finite) {
    const int32_t type = attn_weight_element(m->type);
    if (type < 0) return; /* blocks go another way */
    attn_store(p->to + m->at, type, at, x);
    if (finite && isinf(attn_load(p->to + m->at, type, at)))
        refuse(p, weight, "a finite number becomes infinite in it");
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
        memcpy((char *)(p->to + m->at) + (to + j * m->columns) * 2, from + j * w->step * 2, 2);
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
    const float *x = floats_of(w, at, n, buffer);
    if (m->type == ATTN_WEIGHT_F32)
        for (int64_t j = 0; j < n; j++) p->to[m->at + to + j * step] = x[j];
    else
        for (int64_t j = 0; j < n; j++) put(p, m, to + j * step, weight, x[j], isfinite(x[j]));
}

/* --- Blocks, as weight_layout.h has them --- */

/* Rows of a panel, and one of them. */
typedef struct attn_lane {
    int64_t columns, column;
} attn_lane;

static void lay_half(uint8_t *to, attn_lane at, int32_t type, float x) {
    const uint16_t half = (uint16_t)attn_round_float(x, 16, attn_type_get(type).exponent);
    memcpy(to + 2 * at.column, &half, sizeof half);
}

static void lay_word(uint8_t *to, attn_lane at, uint32_t word) {
    memcpy(to + 4 * at.column, &word, sizeof word);
}

/* Bits of codes above those of weight_layout.h's `bits`. */
static uint32_t high_bits(const attn_weight_layout *t, const uint8_t *code) {
    uint32_t word = 0;
    for (int e = 0; e < t->part; e++)
        word |= (uint32_t)(code[e] >> t->bits) << (8 * (e % 4) + t->high * (e / 4));
    return word;
}

static uint32_t code_word(const attn_weight_layout *t, const uint8_t *code) {
    uint32_t word = 0;
    for (int i = 0; i < 4; i++)
        word |= t->bits == 8 ? (uint32_t)code[i] << 8 * i
                             : (uint32_t)((code[i] & 15) | (code[4 + i] & 15) << 4) << 8 * i;
    return word;
}

static void lay_part(uint8_t *to, const attn_weight_layout *t, attn_lane at, const uint8_t *code) {
    if (t->high) {
        lay_word(to, at, high_bits(t, code));
        to += 4 * at.columns;
    }
    const int each = 32 / t->bits; /* codes of a word */
    for (int e = 0; e < t->part; e += each, to += 4 * at.columns)
        lay_word(to, at, code_word(t, code + e));
}

/* Scale and minimum, of a group or of a block. */
static void lay_scale(uint8_t *to, int32_t type, attn_lane at, const attn_block_codes *from) {
    lay_half(to, at, type == ATTN_WEIGHT_MXFP4 ? ATTN_TYPE_BF16 : ATTN_TYPE_F16, from->d);
    if (attn_weight_layout_of(type).min)
        lay_half(to + 2 * at.columns, at, ATTN_TYPE_F16, from->min);
}

/* One block of a type, a group of a panel, into the panel. */
static void lay_block(uint8_t *to, int32_t type, attn_lane at, const uint8_t *block) {
    const attn_weight_layout t = attn_weight_layout_of(type);
    const attn_weight_places place = attn_weight_places_of(type);
    const int elements = attn_weight_get(type).block;
    attn_block_codes from;
    attn_block_read(block, type, &from);
    if (t.scaled) lay_scale(to, type, at, &from);
    to += place.head * at.columns;
    for (int e = 0; e < elements; e += ATTN_LAID, to += place.block * at.columns) {
        int64_t scale = at.column;
        if (!t.scaled) lay_scale(to, type, at, &from);
        for (int p = 0; p < ATTN_LAID / t.part; p++, scale += at.columns) {
            const int first = e + p * t.part;
            if (t.scaled) to[scale] = (uint8_t)from.scale[first / t.part];
            lay_part(to + (place.parts + p * place.part) * at.columns, &t, at, from.code + first);
        }
        if (t.scaled && t.min) to[scale] = (uint8_t)from.least[e / ATTN_LAID];
    }
}

/* Likewise elements in blocks. */
static void pack_blocks(attn_packing *p, const attn_panels *m, int64_t row, int64_t i,
                        int32_t weight, int64_t at, int64_t n) {
    const attn_source *w = &p->weight[weight];
    const attn_weight_row type = attn_weight_get(m->type);
    const bool same = w->type == m->type;
    uint8_t made[CHUNK * sizeof(float)], one[17];
    if (!same) {
        float buffer[CHUNK];
        const char *why = attn_quantise(made, m->type, n, floats_of(w, at, n, buffer));
        if (why) {
            refuse(p, weight, why);
            return;
        }
    }
    const int64_t step = attn_panel_bytes(m->type, m->columns, type.block);
    const attn_lane lane = {m->columns, row % m->columns};
    uint8_t *to = (uint8_t *)(p->to + m->at);
    to += (row / m->columns * m->k + i) / type.block * step;
    for (int64_t j = 0; j < n; j += type.block, to += step) {
        const int64_t block = j / type.block;
        lay_block(to, m->type, lane,
                  same ? block_at(w, at / type.block + block, one) : made + block * type.bytes);
    }
}

/* Where a row of a weight begins. */
static int64_t row_at(const attn_source *w, int64_t row) {
    const int64_t before = w->group ? row / w->group * w->skip : 0;
    return (row + before) * w->row;
}

void attn_pack_rows(attn_packing *p, const attn_panels *m, int64_t row, int32_t weight,
                    int64_t from, int64_t n) {
    const attn_source *w = &p->weight[weight];
    const bool blocks = !attn_weight_is_float(m->type);
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < m->k; i += CHUNK)
            (blocks ? pack_blocks : pack_some)(p, m, row + r, i, weight,
                                               row_at(w, from + r) + i * w->step,
                                               m->k - i < CHUNK ? m->k - i : CHUNK);
}

void attn_pack_vector(attn_packing *p, int64_t at, int32_t weight, int64_t from, int64_t n) {
    const attn_source *w = &p->weight[weight];
    float x;
    for (int64_t i = 0; i < n; i++) p->to[at + i] = *floats_of(w, row_at(w, from + i), 1, &x);
}
