/* products.c - a layer's matrix products against double: "Products" in CONTRACT.md, for sums of
 * 28672. GENERATED is the layer's file, so that its statics are at hand. */
#include GENERATED

#include <stdio.h>
#include <stdlib.h>

enum { K = 28672, PANELS = 4, COLUMNS = PANELS * NR, MOST_ROWS = 8 };

typedef enum kind { EQUAL, POSITIVE, RANDOM, KINDS } kind;
static const char *const kinds[KINDS] = {"equal", "positive", "random"};

static uint32_t state = 1;

static float number(kind k, float equal) {
    state = state * 1664525u + 1013904223u;
    const float part = (float)(state >> 8) / (1 << 24);
    return k == EQUAL ? equal : k == POSITIVE ? part : 2 * part - 1;
}

/* The largest error of row r, as a fraction of what is allowed. */
static double error_of(const float *a, const float *w, const float *t) {
    double worst = 0;
    for (int c = 0; c < COLUMNS; c++) {
        double y = 0, size = 0;
        for (int k = 0; k < K; k++) {
            const double x =
                (double)a[k] * (double)w[((size_t)(c / NR) * K + (size_t)k) * NR + c % NR];
            y += x;
            size += fabs(x);
        }
        worst = fmax(worst, fabs((double)t[c] - y) / (4e-6 * size));
    }
    return worst;
}

int main(void) {
    int failed = 0;
    scratch *s = aligned_alloc(64, (sizeof *s + 63) / 64 * 64);
    float *w = aligned_alloc(64, sizeof(float) * K * COLUMNS);
    float *a = malloc(sizeof(float) * K * MOST_ROWS), one[COLUMNS];
    for (int kind = 0; kind < KINDS; kind++) {
        for (int i = 0; i < K * COLUMNS; i++) w[i] = number(kind, 1.37f);
        for (int i = 0; i < K * MOST_ROWS; i++) a[i] = number(kind, 1.1f);
        gemm(a, K, 1, w, K, PANELS, s);
        memcpy(one, s->t, sizeof one);
        gemm(a, K, MOST_ROWS, w, K, PANELS, s);
        double worst = 0;
        for (int r = 0; r < MOST_ROWS; r++)
            worst = fmax(worst, error_of(a + (size_t)r * K, w, s->t + r * COLUMNS));
        const bool same = memcmp(one, s->t, sizeof one) == 0;
        if (worst > 1 || !same) failed++;
        printf("%s products: %.2f of the bound, %s bits in one row and in %d\n", kinds[kind], worst,
               same ? "same" : "OTHER", MOST_ROWS);
    }
    printf("%d passed, %d failed\n", KINDS - failed, failed);
    free(s), free(w), free(a);
    return failed != 0;
}
