/* Runs the two layers of my.lua on small data, and prints some of the output; see README.md. */
#include "my.h" /* written by attn-gen: all that a product includes */

#include <stdio.h>
#include <stdlib.h>

enum { HEADS = 4, KV_HEADS = 2, D = 32, LEN = 100 };

static float q[HEADS * LEN * D], k[KV_HEADS * LEN * D], v[KV_HEADS * LEN * D], o[HEADS * LEN * D];

static void fill(float *x, int n, uint32_t seed) { /* -1 .. 1, the same on every machine */
    for (int i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
}

/* A layer's output for the n query rows from position start, over the keys 0 .. start + n - 1. */
static attn_status run(int layer, int32_t start, int32_t n) {
    static const float slope[HEADS] = {0.5f, 0.25f, 0.125f, 0.0625f};
    static int32_t doc[LEN]; /* the number of each token's document */
    for (int i = 0; i < LEN; i++) doc[i] = i / 40;
    const attn_side side[] = {{slope, HEADS}, {doc, start + n}}; /* in my.lua's order */

    attn_plan *plan;
    attn_status status = my_create(&plan, layer, 0);
    if (status != ATTN_OK) return status;
    attn_args a = ATTN_ARGS_INIT;
    a.batch = 1, a.q_len = n, a.kv_len_max = start + n, a.threads = 2;
    a.q = (attn_view){q + start * D, HEADS * LEN * D, LEN * D, D}; /* strides: batch, head, token */
    a.k = (attn_view){k, KV_HEADS * LEN * D, LEN * D, D};
    a.v = (attn_view){v, KV_HEADS * LEN * D, LEN * D, D};
    a.o = (attn_out){o + start * D, HEADS * LEN * D, LEN * D, D};
    a.q_start = &start;
    if (my_layer[layer].backend == ATTN_BACKEND_FLEX) a.side = side, a.side_count = 2;
    const attn_extent e = {sizeof e, a.batch, a.q_len, a.kv_len_max, a.threads, 0};
    attn_size size;
    status = my_sizes(plan, &e, &size);
    a.workspace_bytes = size.workspace;
    void *memory = malloc(size.workspace + 63);
    a.workspace = attn_align(memory);
    if (status == ATTN_OK) status = my_run(plan, &a);
    printf("layer %d, %d rows: %s\n", layer, (int)n, attn_plan_kernel(plan, n));
    for (int h = 0; h < HEADS && status == ATTN_OK; h += 3) {
        const float *row = o + (h * LEN + start + n - 1) * D;
        printf("  head %d, position %d: %6.3f %6.3f %6.3f ..\n", h, (int)(start + n - 1), row[0],
               row[1], row[2]);
    }
    free(memory);
    my_destroy(plan);
    return status;
}

int main(void) {
    fill(q, HEADS * LEN * D, 1), fill(k, KV_HEADS * LEN * D, 2), fill(v, KV_HEADS * LEN * D, 3);
    attn_status status = ATTN_OK;
    for (int i = 0; i < MY_LAYERS && status == ATTN_OK; i++) status = run(i, 0, LEN - 1);
    for (int i = 0; i < MY_LAYERS && status == ATTN_OK; i++) status = run(i, LEN - 1, 1);
    if (status != ATTN_OK) fprintf(stderr, "example: %s\n", attn_status_text(status));
    return status != ATTN_OK;
}
