/* embed.c - all-MiniLM-L6-v2 by its generated whole model: token ids in, sentence embeddings out.
 *
 * usage: embed WEIGHTS TOKENS_FILE [ROUNDS]
 *   TOKENS_FILE  a line of token ids a sentence; all of them go through the model in one call
 *   ROUNDS       repeats the call, and one of each sentence by itself; the milliseconds of the
 *                fastest of both on standard error (default 1)
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

/* One call; the time it takes, or less than 0. */
static double embed(attn_model *model, attn_model_args *a) {
    const double start = now();
    return attn_model_forward(model, a) == ATTN_OK ? now() - start : -1;
}

/* Each sentence by itself. */
static double embed_each(attn_model *model, const attn_model_args *all, int32_t width) {
    double sum = 0;
    for (int32_t i = 0; i < all->items; i++) {
        const int32_t begin[2] = {0, all->begin[i + 1] - all->begin[i]};
        attn_model_args a = *all;
        a.items = 1, a.begin = begin, a.ids += all->begin[i], a.pooled += (ptrdiff_t)i * width;
        const double took = embed(model, &a);
        if (took < 0) return -1;
        sum += took;
    }
    return sum;
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
    double best = 1e9, best_each = 1e9;
    for (int i = argc > 3 ? atoi(argv[3]) : 1; i > 0; i--) {
        const double each = embed_each(model, &a, info.width), all = embed(model, &a);
        if (all < 0 || each < 0) return attn_model_check(model, &a, why, sizeof why), fail(why);
        if (all < best) best = all;
        if (each < best_each) best_each = each;
    }
    fprintf(stderr, "%.2f %.2f\n", 1e3 * best, 1e3 * best_each);
    fwrite(a.pooled, sizeof(float) * (size_t)info.width, (size_t)a.items, stdout);
    attn_model_close(model);
    return 0;
}
