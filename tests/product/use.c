/* A product in C, and in C++ as well: makes each layer's plan by its number, runs it and the
 * reference on the same data, and compares. QUICK_H names the model's header. Exit status 0: they
 * agree. The model is made by package.sh: a sliding window and a cross attention. */
#include "quick.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 2, ROWS = 37, KEYS = 45, SIZE = 1 << 14 };

static float q[SIZE], k[SIZE], v[SIZE], o[2][SIZE];

static void fill(float *x, int64_t n, uint32_t seed) {
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
}

static attn_status run(int32_t layer, uint32_t flags, float *out, attn_size *size) {
    const attn_spec *spec = &quick_layer[layer];
    attn_plan *plan;
    attn_status status = quick_create(&plan, layer, flags);
    if (status != ATTN_OK) return status;
    static int32_t seg[BATCH * ROWS];
    for (int i = 0; i < BATCH * ROWS; i++) seg[i] = i % ROWS;
    attn_args a = ATTN_ARGS_INIT;
    a.batch = BATCH, a.q_len = ROWS, a.kv_len_max = KEYS, a.threads = 2;
    const attn_extent e = {sizeof e, a.batch, a.q_len, a.kv_len_max, a.threads, 0};
    status = quick_sizes(plan, &e, size);
    const int64_t d = spec->head_dim;
    a.q.data = q, a.q.batch = size->q / BATCH, a.q.head = ROWS * d, a.q.token = d;
    a.k.data = k, a.k.batch = size->k / BATCH, a.k.head = KEYS * d, a.k.token = d;
    a.v.data = v, a.v.batch = size->v / BATCH, a.v.head = KEYS * d, a.v.token = d;
    a.o.data = out, a.o.batch = size->o / BATCH, a.o.head = ROWS * d, a.o.token = d;
    if (spec->op == ATTN_OP_SEGMENT_CROSS) a.seg = seg, a.seg_batch = ROWS;
    a.workspace_bytes = size->workspace;
    void *memory = malloc(size->workspace + 63);
    a.workspace = attn_align(memory);
    if (status == ATTN_OK) status = quick_run(plan, &a);
    if (!flags) printf("%s\n", attn_plan_kernel(plan, ROWS));
    free(memory);
    quick_destroy(plan);
    return status;
}

int main(void) {
    attn_plan *none;
    if (quick_create(&none, QUICK_LAYERS, 0) != ATTN_E_ARGUMENT || none) return 2;
    fill(q, SIZE, 1), fill(k, SIZE, 2), fill(v, SIZE, 3);
    for (int32_t layer = 0; layer < QUICK_LAYERS; layer++) {
        attn_size size;
        attn_status status = run(layer, 0, o[0], &size);
        if (status == ATTN_OK) status = run(layer, ATTN_REFERENCE, o[1], &size);
        if (status != ATTN_OK) {
            fprintf(stderr, "layer %d: %s\n", (int)layer, attn_status_text(status));
            return 2;
        }
        for (int64_t i = 0; i < size.o; i++)
            if (!(fabsf(o[0][i] - o[1][i]) < 1e-5f)) return 1;
    }
    return 0;
}
