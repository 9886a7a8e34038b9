/* tiny.c - a model of three layers, at random, and six users. */
#include "serving.h"
#include "lm.h"
#include <math.h>
#include <stdlib.h>

enum { HIDDEN = 48, VOCAB = 61, SYSTEM = 29, USERS = 6, PROMPT = 20 };

static uint32_t state = 1;

static float uniform(void) { /* -1..1 */
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 8388608.0f - 1.0f;
}

static float *floats(size_t count, float size) {
    float *to = malloc(count * sizeof *to);
    for (size_t i = 0; to && i < count; i++) to[i] = size * uniform();
    return to;
}

int weights_open(weights *w, int argc, char **argv, prompt *prompts, int most) {
    static int ids[1 + USERS][SYSTEM];
    (void)argc, (void)argv;
    float *norm = floats(HIDDEN, 0);
    for (int i = 0; norm && i < HIDDEN; i++) norm[i] = 1;
    *w = (weights){HIDDEN, VOCAB, -1, 1e-5, floats(HIDDEN * VOCAB, 1), norm};
    for (int n = 0; n < most && n <= USERS; n++) {
        prompts[n] = (prompt){ids[n], n ? 1 + PROMPT * n / USERS : SYSTEM};
        for (int i = 0; i < prompts[n].count; i++) ids[n][i] = (int)(state % VOCAB), uniform();
    }
    return 1 + USERS;
}

int weights_of_layer(int index, attn_tensor *out) {
    attn_block *block;
    if (lm_block_create(&block, index, 0)) return 0;
    const int count = attn_block_weights(block, out, 32);
    for (int i = 0; i < count; i++) {
        size_t size = 1;
        for (int d = 0; d < out[i].rank; d++) size *= (size_t)out[i].dim[d];
        out[i].data = floats(size, out[i].rank > 1 ? 3.0f / sqrtf((float)out[i].dim[1]) : 1);
    }
    attn_block_destroy(block);
    return count;
}

void weights_show(int user, const int *ids, int count) {
    (void)user, (void)ids, (void)count;
}
