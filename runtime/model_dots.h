/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_dots.h - rows of x times rows of a table or head as the file has them: the body of
 * model_dots_ISA.c, which names the function (DOTS) and includes the vector vocabulary before.
 *
 * A row of weights is read once for ROWS rows of x. 32 weights at a time become floats in
 * registers, each vector of them with sums of its own, which go to double after SHORT weights: an
 * output has the same bits whatever the other rows of x are. */
#include "model.h"

#include "quant_read.h"

enum {
    ROWS = 2,
    PART = 32, /* weights at a time */
    CHAINS = PART / VF_WIDTH,
    SHORT = 32 * PART
};

/* Sums of the products with each row of x. */
typedef struct sums {
    vf part[ROWS][CHAINS];
    double whole[ROWS];
    const float *x[ROWS]; /* what the next weights are for */
    int parts;            /* since `whole` was added to */
} sums;

/* m: rows of x, a constant here and below. */
static ATTN_INLINE void flush(const int m, sums *s) {
    ATTN_UNROLLED for (int r = 0; r < m; r++) {
        vf all = s->part[r][0];
        ATTN_UNROLLED for (int c = 1; c < CHAINS; c++) all = vf_add(all, s->part[r][c]);
        s->whole[r] += (double)vf_reduce_add(all);
        ATTN_UNROLLED for (int c = 0; c < CHAINS; c++) s->part[r][c] = vf_zero();
    }
    s->parts = 0;
}

/* One vector of a part. */
static ATTN_INLINE void add(const int m, sums *s, int c, vf w) {
    ATTN_UNROLLED for (int r = 0; r < m; r++) s->part[r][c] =
        vf_fma(vf_loadu(s->x[r] + c * VF_WIDTH), w, s->part[r][c]);
}

static ATTN_INLINE void next_part(const int m, sums *s) {
    ATTN_UNROLLED for (int r = 0; r < m; r++) s->x[r] += PART;
    if (++s->parts == SHORT / PART) flush(m, s);
}

/* --- Weights of their own --- */

static ATTN_INLINE vf load(const int32_t type, const char *from) {
    if (type == ATTN_WEIGHT_BF16) return vf_loadu_bf16((const void *)from);
    if (type == ATTN_WEIGHT_F16) return vf_loadu_f16((const void *)from);
    return vf_loadu((const void *)from);
}

static ATTN_INLINE void add_floats(const int m, const int32_t type, const char *w, int64_t n,
                                   sums *s) {
    const int64_t step = attn_weight_bytes(type, VF_WIDTH);
    int64_t i = 0;
    for (; i + PART <= n; i += PART) {
        ATTN_UNROLLED for (int c = 0; c < CHAINS; c++, w += step) add(m, s, c, load(type, w));
        next_part(m, s);
    }
    float rest[PART];
    attn_dequantise(w, type, n - i, rest);
    for (int64_t k = 0; k < n - i; k++)
        for (int r = 0; r < m; r++) s->whole[r] += (double)s->x[r][k] * (double)rest[k];
}

/* --- Weights in blocks --- */

/* Codes are signed in the file: no copy. */
static ATTN_INLINE void add_q8_0(const int m, const char *w, int64_t n, sums *s) {
    for (int64_t i = 0; i < n; i += 32, w += 34) {
        const vf d = vf_bcast_f16((const void *)w);
        ATTN_UNROLLED for (int c = 0; c < CHAINS; c++) {
            const vf code = vf_loadu_i8((const void *)(w + 2 + c * VF_WIDTH));
            add(m, s, c, vf_mul(code, d));
        }
        next_part(m, s);
    }
}

enum { PARTS = 16 }; /* of a block, at most */

/* Scales of a block's parts, and what is added to each product of a code. */
static ATTN_INLINE void scales_of(const attn_weight_layout t, const attn_block_codes *b,
                                  float scale[PARTS], float low[PARTS]) {
    if (!t.scaled) {
        scale[0] = b->d;
        low[0] = t.min ? b->min : -b->d * (float)(t.table ? 0 : t.offset);
        return;
    }
    for (int p = 0; p < PARTS; p += VF_WIDTH) {
        const vf d = vf_mul(vf_loadu_i8(b->scale + p), vf_set1(b->d));
        vf_storeu(scale + p, d);
        if (!t.min) vf_storeu(low + p, vf_mul(d, vf_set1((float)-t.offset)));
    }
    for (int p = 0; p < QK_K / PART && t.min; p++) low[p] = -(b->min * (float)b->least[p]);
}

/* type is a constant. */
static ATTN_INLINE void add_blocks(const int m, const int32_t type, const char *w, int64_t n,
                                   sums *s) {
    const attn_weight_layout t = attn_weight_layout_of(type);
    const attn_weight_row row = attn_weight_get(type);
    attn_block_codes b = {0};
    float scale[PARTS], low[PARTS];
    for (int64_t i = 0; i < n; i += row.block, w += row.bytes) {
        attn_read_block((const uint8_t *)w, type, &b);
        if (t.table) attn_block_look_up(&b);
        scales_of(t, &b, scale, low);
        for (int j = 0; j < row.block; j += PART) {
            ATTN_UNROLLED for (int c = 0; c < CHAINS; c++) {
                const int at = j + c * VF_WIDTH, p = at / t.part;
                const vf code = vf_loadu_i8((const int8_t *)b.code + at);
                add(m, s, c, vf_fma(code, vf_set1(scale[p]), vf_set1(low[p])));
            }
            next_part(m, s);
        }
    }
}

/* --- Rows --- */

static ATTN_INLINE void add_row(const int m, const int32_t type, const char *w, int64_t n,
                                sums *s) {
    if (attn_weight_is_float(type))
        add_floats(m, type, w, n, s);
    else if (type == ATTN_WEIGHT_Q8_0)
        add_q8_0(m, w, n, s);
    else
        add_blocks(m, type, w, n, s);
}

static ATTN_INLINE void row_dots(const int m, const attn_model_matrix *w, int64_t row,
                                 const float *x, int64_t x_row, float *out, int64_t out_row) {
    const char *from = (const char *)w->data + row * attn_weight_bytes(w->type, w->width);
    sums s;
    ATTN_UNROLLED for (int r = 0; r < m; r++) {
        s.x[r] = x + r * x_row;
        s.whole[r] = 0;
        ATTN_UNROLLED for (int c = 0; c < CHAINS; c++) s.part[r][c] = vf_zero();
    }
    s.parts = 0;
    switch (w->type) {
#define EACH(id, ...) \
    case ATTN_WEIGHT_##id: add_row(m, ATTN_WEIGHT_##id, from, w->width, &s); break;
        ATTN_WEIGHT_TYPES(EACH)
#undef EACH
    default: break;
    }
    flush(m, &s);
    ATTN_UNROLLED for (int r = 0; r < m; r++) out[r * out_row] = (float)s.whole[r];
}

void DOTS(const attn_model_matrix *w, const float *x, int64_t x_row, int32_t n, int64_t from,
          int64_t to, float *out, int64_t out_row) {
    for (int64_t row = from; row < to; row++) {
        int32_t r = 0;
        for (; r + ROWS <= n; r += ROWS)
            row_dots(ROWS, w, row, x + r * x_row, x_row, out + r * out_row + row, out_row);
        for (; r < n; r++) row_dots(1, w, row, x + r * x_row, 0, out + r * out_row + row, 0);
    }
}
