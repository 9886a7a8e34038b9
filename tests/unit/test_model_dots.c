/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* Products with rows of a head, in every type and on every instruction set that has them, against
 * double sums of the rows' values. */
#include "cpu.h"
#include "model.h"
#include "quant.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { ROWS_OF_W = 5, ROWS_OF_X = 3, WIDTH_MAX = 2816, OUT_ROW = ROWS_OF_W + 2 };

static const struct {
    attn_isa isa;
    void (*dots)(const attn_model_matrix *m, const float *x, int64_t x_row, int32_t n, int64_t from,
                 int64_t to, float *out, int64_t out_row);
} sets[] = {
    {ATTN_ISA_PORTABLE, attn_model_dots_portable},
#if defined(__x86_64__)
    {ATTN_ISA_AVX2, attn_model_dots_avx2},
    {ATTN_ISA_AVX512, attn_model_dots_avx512},
#endif
};

/* Of floats; blocks take the multiples of theirs. 1024 is where sums change to double. */
static const int32_t widths[] = {1, 31, 32, 33, 256, 577, 1024, 1055, 2304, WIDTH_MAX};

static uint32_t next(uint32_t *state) {
    return *state = *state * 1664525u + 1013904223u;
}
static float random_float(uint32_t *state) {
    return (float)(int32_t)next(state) * 0x1p-31f;
}

/* Scales are f16 but for mxfp4's, which are exponents: those of random blocks become moderate. */
static void make_moderate(int32_t type, uint8_t *block, uint32_t *state) {
    const uint16_t scale = (uint16_t)(0x2800 | (next(state) >> 20 & 0x83ff)); /* +-2^-5 and up */
    if (type == ATTN_WEIGHT_MXFP4) {
        block[0] = (uint8_t)(120 + (next(state) >> 29));
        return;
    }
    memcpy(block + (type == ATTN_WEIGHT_Q6_K ? 208 : 0), &scale, sizeof scale);
    if (attn_weight_layout_of(type).min) memcpy(block + 2, &scale, sizeof scale);
}

static void make_rows(int32_t type, int32_t width, uint8_t *to, uint32_t *state) {
    const attn_weight_row row = attn_weight_get(type);
    for (int64_t i = 0; i < (int64_t)ROWS_OF_W * width; i += row.block, to += row.bytes) {
        if (row.block == 1) {
            const float x = random_float(state);
            cr_assert_null(attn_quantise(to, type, 1, &x));
            continue;
        }
        for (int j = 0; j < row.bytes; j++) to[j] = (uint8_t)(next(state) >> 24);
        make_moderate(type, to, state);
    }
}

/* Sums are of 32 at most in f32, of all chains added, and of these in double. */
static void check(const char *what, const float *row, const float *x, int32_t width, float got) {
    double y = 0, size = 0;
    for (int32_t i = 0; i < width; i++) {
        y += (double)row[i] * (double)x[i];
        size += fabs((double)row[i] * (double)x[i]);
    }
    cr_assert(fabs(y - (double)got) <= 20 * (double)FLT_EPSILON * size, "%s, %d wide: %a, not %a",
              what, width, (double)got, y);
}

static void check_product(int set, int32_t type, int32_t width) {
    static uint8_t data[ROWS_OF_W * WIDTH_MAX * 4 + 1];
    static float x[ROWS_OF_X * (WIDTH_MAX + 3)], row[WIDTH_MAX];
    uint32_t state = (uint32_t)(type * 1000 + width);
    uint8_t *odd = data + 1; /* files align tensors, not rows */
    make_rows(type, width, odd, &state);
    const int64_t x_row = width + 3;
    for (int64_t i = 0; i < ROWS_OF_X * x_row; i++) x[i] = random_float(&state);
    const attn_model_matrix m = {
        .data = (void *)odd, .type = type, .width = width, .rows = ROWS_OF_W};
    float all[ROWS_OF_X * OUT_ROW], one[ROWS_OF_X * OUT_ROW];
    for (int i = 0; i < ROWS_OF_X * OUT_ROW; i++) all[i] = one[i] = 77;
    sets[set].dots(&m, x, x_row, ROWS_OF_X, 1, ROWS_OF_W, all, OUT_ROW);
    for (int r = 0; r < ROWS_OF_X; r++)
        sets[set].dots(&m, x + r * x_row, 0, 1, 1, ROWS_OF_W, one + r * OUT_ROW, 0);
    cr_assert_eq(memcmp(all, one, sizeof all), 0, "a row's bits depend on the others");
    for (int r = 0; r < ROWS_OF_X; r++) {
        cr_assert(all[r * OUT_ROW] == 77 && all[r * OUT_ROW + ROWS_OF_W] == 77,
                  "others are written");
        for (int j = 1; j < ROWS_OF_W; j++) {
            attn_dequantise(odd + j * attn_weight_bytes(type, width), type, width, row);
            check(attn_weight_get(type).name, row, x + r * x_row, width, all[r * OUT_ROW + j]);
        }
    }
}

Test(model_dots, products) {
    for (size_t set = 0; set < sizeof sets / sizeof *sets; set++) {
        if (!attn_cpu_runs(sets[set].isa)) continue;
        for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++)
            for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
                if (widths[w] % attn_weight_get(type).block == 0)
                    check_product((int)set, type, widths[w]);
    }
}
