/* embed.c - all-MiniLM-L6-v2 by its generated whole model: token ids in, sentence embeddings out.
 *
 * usage: embed WEIGHTS TOKENS_FILE [ROUNDS]
 *   TOKENS_FILE  a line of token ids a sentence; all of them go through the model in one call
 *   ROUNDS       repeats the call, and says the fastest's time on standard error (default 1)
 * Writes raw f32 [sentences, width] to standard output. */
#include "minilm_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#ifdef _OPENMP
#include <omp.h>
#endif

enum { ITEMS = 4096, ROWS = 1 << 18 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int fail(const char *why) {
    return fprintf(stderr, "embed: %s\n", why), 1;
}

/* How many sentences there are. */
static int32_t read_ids(FILE *in, int32_t *ids, int32_t *begin) {
    int32_t items = 0, rows = 0, used;
    static char line[1 << 16];
    while (items < ITEMS && fgets(line, sizeof line, in)) {
        const char *at = line;
        while (rows < ROWS && sscanf(at, "%d%n", &ids[rows], &used) == 1) at += used, rows++;
        begin[++items] = rows;
    }
    return items;
}

int main(int argc, char **argv) {
    static int32_t ids[ROWS], begin[ITEMS + 1];
    char why[4000];
    attn_model *model;
    FILE *in = argc > 2 ? fopen(argv[2], "r") : NULL;
    if (!in) return fail("usage: embed WEIGHTS TOKENS_FILE [ROUNDS]");
    if (minilm_model_open(&model, argv[1], NULL, why, sizeof why) != ATTN_OK) return fail(why);
    attn_model_info info = {.struct_size = sizeof info};
    attn_model_describe(model, &info);
    attn_model_args a = ATTN_MODEL_ARGS_INIT;
    a.items = read_ids(in, ids, begin), a.begin = begin, a.ids = ids;
    a.pooled = malloc(sizeof(float) * (size_t)a.items * (size_t)info.width + 1);
#ifdef _OPENMP
    a.threads = omp_get_max_threads();
#endif
    attn_model_bytes(model, &a, &a.workspace_bytes);
    a.workspace = attn_align(malloc(a.workspace_bytes + 63));
    double best = 1e9;
    for (int i = argc > 3 ? atoi(argv[3]) : 1; i > 0; i--) {
        const double start = now();
        if (attn_model_forward(model, &a) != ATTN_OK)
            return attn_model_check(model, &a, why, sizeof why), fail(why);
        if (now() - start < best) best = now() - start;
    }
    fprintf(stderr, "%d sentences, %d tokens, %d threads: %.2f ms\n", a.items, begin[a.items],
            a.threads, 1e3 * best);
    fwrite(a.pooled, sizeof(float) * (size_t)info.width, (size_t)a.items, stdout);
    attn_model_close(model);
    return 0;
}
