/* golden.h - what the tests of whole models share: the numbers of a case's expected.bin, how near
 * rows are to them, and a call in a workspace of its own. After the model's own header. */
#ifndef GOLDEN_H
#define GOLDEN_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int failures;

static void check(int ok, const char *what) {
    if (!ok) failures++, printf("FAIL %s\n", what);
}

static void *take(FILE *f, size_t count) {
    void *p = malloc(4 * count + 4);
    if (!p || fread(p, 4, count, f) != count) exit(2);
    return p;
}

static void *room(size_t bytes) {
    void *p = malloc(bytes + 63);
    if (!p) exit(2);
    return attn_align(p);
}

static void near(const float *got, const float *want, size_t count, const char *what) {
    double worst = 0, most = 0;
    for (size_t i = 0; i < count; i++) {
        const double d = fabs((double)got[i] - (double)want[i]);
        if (!(d <= worst)) worst = d;
        if (fabs((double)want[i]) > most) most = fabs((double)want[i]);
    }
    printf("%s: error %.1e of %.1e\n", what, worst, most);
    check(worst <= 2e-6 * most * 8, what);
}

/* Runs a call, the encoder's or the other one, in a workspace of exactly its size. */
static attn_status run_call(const attn_model *m, attn_model_args *a, int encodes) {
    char why[ATTN_MESSAGE_MAX] = "";
    attn_status st =
        (encodes ? attn_model_encode_bytes : attn_model_bytes)(m, a, &a->workspace_bytes);
    if (st == ATTN_OK) a->workspace = room(a->workspace_bytes);
    if (st == ATTN_OK) st = (encodes ? attn_model_encode : attn_model_forward)(m, a);
    if (st != ATTN_OK)
        (encodes ? attn_model_encode_check : attn_model_check)(m, a, why, sizeof why), puts(why);
    return st;
}

static attn_status forward(const attn_model *m, attn_model_args *a) {
    return run_call(m, a, 0);
}

#endif
