/* chat.c - SmolLM2 by its generated whole model: token ids in, those of the greedy answer out.
 *
 * usage: chat WEIGHTS TOKENS_FILE [--prefill N] [--generate N] [--logits FILE]
 *   WEIGHTS      model.safetensors or the GGUF, whichever the model was generated for
 *   TOKENS_FILE  token ids in decimal
 *   --prefill N  the first N ids go in at once, the others one by one (default: all at once)
 *   --generate N ends the answer after N tokens (default 40), if the model does not
 *   --logits F   writes the logits of every given id to F: raw f32 [ids, vocab]
 * Ids go to standard output as they come, tokens/s to standard error. */
#include MODEL_HEADER

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#ifdef _OPENMP
#include <omp.h>
#endif

enum { END = 2, MOST = 1 << 15 }; /* END: <|im_end|> */

typedef struct run {
    attn_model *model;
    attn_model_cache cache;
    attn_model_args args;
    int32_t vocab, given;
    int32_t *ids;
    float *logits; /* of the last call */
} run;

static void *need(void *p) {
    if (!p) fputs("chat: out of memory, or a file cannot be used\n", stderr), exit(1);
    return p;
}

/* What a token reads from end to end, the cache, is read faster in large pages. Until the program
 * ends. */
static void *large(size_t bytes) {
    const size_t page = (size_t)2 << 20;
    void *p = need(aligned_alloc(page, (bytes + page - 1) / page * page));
#ifdef MADV_HUGEPAGE
    madvise(p, bytes, MADV_HUGEPAGE);
#endif
    return p;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void report(const char *what, int tokens, double seconds) {
    if (tokens)
        fprintf(stderr, "%s: %d tokens, %.1f tokens/s (%.2f ms a token)\n", what, tokens,
                tokens / seconds, 1e3 * seconds / tokens);
}

/* Appends `count` ids, with the logits of the last `rows` of them. */
static void forward(run *r, const int32_t *ids, int32_t count, int32_t rows) {
    const int32_t begin[2] = {0, count};
    int32_t *wanted = need(malloc((size_t)rows * sizeof *wanted));
    attn_model_args *a = &r->args;
    char why[ATTN_MESSAGE_MAX];
    for (int32_t i = 0; i < rows; i++) wanted[i] = count - rows + i;
    a->begin = begin, a->ids = ids, a->logit_rows = wanted, a->logit_count = rows;
    a->logits = r->logits;
    size_t bytes;
    if (attn_model_bytes(r->model, a, &bytes) == ATTN_OK && bytes > a->workspace_bytes) {
        a->workspace = large(bytes);
        a->workspace_bytes = bytes;
    }
    if (attn_model_forward(r->model, a) != ATTN_OK) {
        attn_model_check(r->model, a, why, sizeof why);
        fprintf(stderr, "chat: %s\n", why);
        exit(1);
    }
    free(wanted);
}

static void start(run *r, const char *path, int32_t capacity) {
    char why[4000];
    size_t bytes;
    if (MODEL_OPEN(&r->model, path, NULL, why, sizeof why) != ATTN_OK)
        fprintf(stderr, "chat: %s\n", why), exit(1);
    attn_model_info info = {.struct_size = sizeof info};
    attn_model_describe(r->model, &info);
    r->vocab = info.vocab;
    attn_model_cache_bytes(r->model, 1, capacity, &bytes);
    attn_model_cache_init(r->model, &r->cache, 1, capacity, large(bytes), bytes);
    r->args = ATTN_MODEL_ARGS_INIT;
    r->args.items = 1, r->args.cache = &r->cache;
#ifdef _OPENMP
    r->args.threads = omp_get_max_threads();
#endif
}

/* The given ids; the last call's last row of logits is the next token's. */
static float *prompt(run *r, int32_t at_once, const char *file) {
    FILE *out = file ? need(fopen(file, "wb")) : NULL;
    const size_t row = (size_t)r->vocab;
    int32_t done = 0;
    double begin = now();
    for (int32_t count = at_once; done < r->given; done += count, count = 1) {
        const int32_t rows = out ? count : 1;
        forward(r, r->ids + done, count, rows);
        if (out) fwrite(r->logits, sizeof(float), row * (size_t)rows, out);
        if (done == 0) report("prompt", count, now() - begin), begin = now();
        if (done + count == r->given && out)
            memmove(r->logits, r->logits + row * (size_t)(rows - 1), row * sizeof(float));
    }
    report("prompt, one by one", r->given - at_once, now() - begin);
    if (out && fclose(out)) exit(1);
    return r->logits;
}

static void answer(run *r, const float *logits, int32_t most) {
    const double begin = now();
    int32_t steps = 0;
    for (int32_t n = 0; n < most; n++) {
        int32_t best = 0;
        if (n > 0) forward(r, &r->ids[0], 1, 1), steps++;
        for (int32_t i = 1; i < r->vocab; i++)
            if (logits[i] > logits[best]) best = i;
        if (best == END) break;
        printf("%d\n", best);
        fflush(stdout);
        r->ids[0] = best;
    }
    report("generation", steps, now() - begin);
}

static int32_t number(const char *text) {
    char *end;
    const long n = strtol(text, &end, 10);
    if (*end || n < 0 || n > MOST)
        fprintf(stderr, "chat: %s: must be 0 to %d\n", text, MOST), exit(2);
    return (int32_t)n;
}

int main(int argc, char **argv) {
    run r = {0};
    int32_t prefill = MOST, generate = 40, id;
    const char *logits = NULL;
    if (argc < 3 || argc % 2 == 0) return fputs("usage: chat WEIGHTS TOKENS_FILE ..\n", stderr), 2;
    for (int i = 3; i < argc; i += 2)
        if (!strcmp(argv[i], "--prefill"))
            prefill = number(argv[i + 1]);
        else if (!strcmp(argv[i], "--generate"))
            generate = number(argv[i + 1]);
        else
            logits = argv[i + 1];
    FILE *in = need(fopen(argv[2], "r"));
    r.ids = need(malloc(MOST * sizeof *r.ids));
    while (r.given < MOST && fscanf(in, "%d", &id) == 1) r.ids[r.given++] = id;
    if (!r.given || prefill == 0) return fputs("chat: no tokens\n", stderr), 2;
    if (prefill > r.given) prefill = r.given;
    start(&r, argv[1], r.given + generate);
    r.logits = need(malloc((size_t)r.vocab * sizeof(float) * (size_t)(logits ? prefill : 1)));
    answer(&r, prompt(&r, prefill, logits), generate);
    attn_model_close(r.model);
    return 0;
}
