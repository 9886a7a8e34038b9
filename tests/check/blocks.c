/* Products of rows with a matrix in blocks, GENERATED: random blocks and extreme ones, packed by
 * pack, against sums in double over the values of quant.h, and the same bits for any number of
 * rows. TYPE: the matrix's; gemm: the product, of floats or of what INTEGERS makes of them, in
 * BYTES where weight_dot = i8. The bound is that of the contract for weights of layers. Prints a
 * checksum of the sums' bits too: sums of integers have those of every instruction set. */
#include GENERATED

#include "quant.h"
#include "types.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    K = 2304,
    ROWS = 25,
    N = 2 * NR,
    LDA = K + 16,
    SAME = 32
}; /* more than a span of sums, and some */

static uint64_t state = 88172645463325252u;

static uint32_t bits(void) { /* xorshift64 (Marsaglia 2003) */
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)(state >> 20);
}

static float number(void) {
    return (float)(int32_t)bits() / 0x1p31f;
}

/* f16: as they may stand in files. Zero, the least, subnormal ones, negative, large. */
static void put_scale(uint8_t *to) {
    static const uint16_t some[] = {0x0000, 0x0001, 0x03ff, 0x8001, 0x2c00, 0xac00, 0x1400, 0x5400};
    const uint32_t half = bits() % 4 ? 0x2000 + bits() % 0x0c00 : some[bits() % 8];
    to[0] = (uint8_t)half, to[1] = (uint8_t)(half >> 8);
}

static void make_block(uint8_t *b, const attn_weight_row *row) {
    const int kind = (int)(bits() % 8); /* all codes at an end, or any */
    for (int i = 0; i < row->bytes; i++) b[i] = kind == 0 ? 0 : kind == 1 ? 255 : (uint8_t)bits();
    if (TYPE == ATTN_WEIGHT_MXFP4) {
        b[0] = (uint8_t)(bits() % 8 ? 110 + bits() % 20 : bits() % 3);
        return;
    }
    const attn_weight_layout t = attn_weight_layout_of(TYPE);
    uint8_t *d = b + (TYPE == ATTN_WEIGHT_Q6_K ? 208 : 0);
    put_scale(d);
    if (t.min) put_scale(d + 2);
}

static float w[N * K], x[ROWS * LDA], wide_sums[ROWS][N], sums[N];
static uint8_t blocks[N * K * 4];

/* s->t = some rows times all columns. */
static void multiply(const float *from, int rows, const float *packed, scratch *s) {
#ifdef INTEGERS
    static integers ints[ROWS * K / 32];
    for (int i = 0; i < rows; i++)
        for (int b = 0; b < K / 32; b++) INTEGERS(from + i * LDA + 32 * b, ints + i * (K / 32) + b);
    gemm(ints, K / 32, rows, (const void *)packed, K, N / NR, s);
#else
    gemm(from, LDA, rows, (const void *)packed, K, N / NR, s);
#endif
}

/* Sum of column n of row i, and what may be its error. */
static double exact(int i, int n, double *bound) {
    const attn_weight_layout t = attn_weight_layout_of(TYPE);
    const attn_weight_row row = attn_weight_get(TYPE);
    double sum = 0, size = 0, coarse = 0;
    for (int k = 0; k < K; k += 32) {
        double most = 0, all = 0;
        attn_block_codes b;
        const int64_t block = ((int64_t)n * K + k) / row.block;
        attn_block_read(blocks + block * row.bytes, TYPE, &b);
        for (int j = k; j < k + 32; j++) {
            const double value = (double)w[n * K + j], in = (double)x[i * LDA + j];
            const double least = !t.min     ? 0
                                 : t.scaled ? -(double)b.min * b.least[k % 256 / 32]
                                            : (double)b.min;
            sum += value * in;
            size += (fabs(value - least) + fabs(least)) * fabs(in);
            all += fabs(value);
            most = fmax(most, fabs(in));
        }
        coarse += most * all;
    }
    *bound = 4e-6 * size + 1e-7 * coarse;
#ifdef BYTES
    *bound += coarse / 254;
#endif
    return sum;
}

int main(void) {
    const attn_weight_row row = attn_weight_get(TYPE);
    for (int i = 0; i < N * K / row.block; i++) make_block(blocks + i * row.bytes, &row);
    state = 1; /* the same rows whatever N */
    attn_dequantise(blocks, TYPE, N * K, w);
    for (int i = 0; i < ROWS * LDA; i++) /* blocks of zeros, of a size, of tiny and of large ones */
        x[i] = number() * (i / 32 % 7 == 3    ? 0
                           : i / 32 % 11 == 5 ? 1e-30f
                           : i % 97 == 3      ? 1000
                                              : 1);
    const int64_t panel = attn_panel_bytes(TYPE, NR, K);
    float *packed = aligned_alloc(64, (size_t)(N / NR * panel + 8192) / 64 * 64);
    scratch *s = aligned_alloc(64, (sizeof *s + 63) / 64 * 64);
    const attn_source source = {.data = blocks, .type = TYPE, .row = K, .step = 1};
    attn_packing p = {&source, packed, -1, NULL};
    const attn_panels m = {0, TYPE, NR, K};
    attn_pack_rows(&p, &m, 0, 0, 0, N);
    double worst = 0;
    int differ = 0;
    multiply(x, ROWS, packed, s);
    memcpy(wide_sums, s->t, sizeof wide_sums);
    for (int i = 0; i < ROWS; i++)
        for (int n = 0; n < N; n++) {
            double bound;
            const double want = exact(i, n, &bound), error = fabs(want - (double)wide_sums[i][n]);
            if (!(error <= bound)) worst = INFINITY;
            if (bound > 0 && worst < error / bound) worst = error / bound;
        }
    for (int rows = 1; rows <= 13; rows += rows < 4 ? 1 : 3)
        for (int i = 0; i + rows <= ROWS; i += rows) {
            multiply(x + i * LDA, rows, packed, s);
            differ += memcmp(s->t, wide_sums[i], sizeof sums * (size_t)rows) != 0;
        }
    uint64_t check = 14695981039346656037u; /* FNV-1a; columns are in order whatever NR */
    for (int i = 0; i < ROWS; i++)
        for (int n = 0; n < SAME; n++) {
            uint32_t word;
            memcpy(&word, &wide_sums[i][n], sizeof word);
            check = (check ^ word) * 1099511628211u;
        }
    printf("%s: %.3f of the bound%s%s, bits %016llx\n", row.name, worst,
           worst <= 1 ? "" : ": WRONG", differ ? "; BITS DIFFER by the number of rows" : "",
           (unsigned long long)check);
    return !(worst <= 1) || differ;
}
