/* chat.c - SmolLM2 on generated layers: token ids in, the greedy answer's text out.
 *
 * usage: chat DIR TOKENS_FILE [--prefill N] [--generate N] [--logits FILE]
 *   DIR          what weights.py made
 *   TOKENS_FILE  token ids in decimal
 *   --prefill N  the first N ids go through the layers at once, the others one by one (default:
 * all)
 *   --generate N ends the answer after N tokens (default 40), if the model does not
 *   --logits F   writes the logits of every given id to F: raw f32 [ids, vocab]
 * The answer goes to standard output, tokens/s to standard error. */
#include "model.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct options {
    const char *dir, *tokens, *logits;
    int prefill, generate;
} options;

typedef struct run {
    model m;
    int *ids; /* given, then generated */
    int given, length;
    float *x;                      /* [given, hidden] */
    double layer_seconds, seconds; /* since the last reset */
} run;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int count_of(const char *name, const char *value) {
    char *end;
    long n = value ? strtol(value, &end, 10) : -1;
    if (n < 0 || n > 1 << 20 || *end) die("%s: expected a number from 0 to 1048576", name);
    return (int)n;
}

static options parse(int argc, char **argv) {
    if (argc < 3) die("usage: chat DIR TOKENS_FILE [--prefill N] [--generate N] [--logits FILE]");
    options o = {.dir = argv[1], .tokens = argv[2], .prefill = -1, .generate = 40};
    for (int i = 3; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--prefill") == 0)
            o.prefill = count_of(argv[i], value);
        else if (strcmp(argv[i], "--generate") == 0)
            o.generate = count_of(argv[i], value);
        else if (strcmp(argv[i], "--logits") == 0 && value)
            o.logits = value;
        else
            die("%s: unknown, or its value is missing", argv[i]);
    }
    return o;
}

/* Returns how many there are. */
static int read_ids(const char *path, int **out) {
    FILE *f = fopen(path, "r");
    if (!f) die("%s: %s", path, strerror(errno));
    int n = 0, size = 64, id, got;
    int *ids = malloc((size_t)size * sizeof *ids);
    while (ids && (got = fscanf(f, "%d", &id)) == 1) {
        ids[n++] = id;
        if (n == size) ids = realloc(ids, (size_t)(size *= 2) * sizeof *ids);
    }
    if (!ids) die("out of memory");
    if (got != EOF || n == 0) die("%s: expected token ids in decimal", path);
    fclose(f);
    *out = ids;
    return n;
}

static void norm_row(float *x, const float *weight, int n, double eps) {
    double squares = 0;
    for (int i = 0; i < n; i++) squares += (double)x[i] * x[i];
    double factor = 1 / sqrt(squares / n + eps);
    for (int i = 0; i < n; i++) x[i] = (float)(x[i] * factor * weight[i]);
}

/* Four rows of the embedding at once: independent sums keep the memory busy. */
static void dot4(float *out, const float *rows, const float *x, int n) {
    const float *r1 = rows + n, *r2 = r1 + n, *r3 = r2 + n;
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (int i = 0; i < n; i++) {
        s0 += rows[i] * x[i];
        s1 += r1[i] * x[i];
        s2 += r2[i] * x[i];
        s3 += r3[i] * x[i];
    }
    out[0] = s0, out[1] = s1, out[2] = s2, out[3] = s3;
}

/* logits [count, vocab] = x [count, hidden] times the embedding transposed, which is read once for
 * every eight rows of x. */
static void output(const model *m, const float *x, int count, float *logits) {
    const size_t hidden = (size_t)m->c.hidden, vocab = (size_t)m->c.vocab;
    for (int t0 = 0; t0 < count; t0 += 8) {
        int t1 = t0 + 8 < count ? t0 + 8 : count;
#pragma omp parallel for schedule(static)
        for (size_t row = 0; row < vocab; row += 4)
            for (int t = t0; t < t1; t++)
                dot4(logits + (size_t)t * vocab + row, m->embedding + row * hidden,
                     x + (size_t)t * hidden, m->c.hidden);
    }
}

/* Runs ids[start .. start + count) through the model; logits of the last `rows` of them. */
static void forward(run *r, int start, int count, int rows, float *logits) {
    const model *m = &r->m;
    const size_t hidden = (size_t)m->c.hidden;
    double begin = now();
    for (int t = 0; t < count; t++)
        memcpy(r->x + (size_t)t * hidden, m->embedding + (size_t)r->ids[start + t] * hidden,
               hidden * sizeof *r->x);
    double before = now();
    for (int i = 0; i < m->c.layers; i++) {
        const char *problem = layer_forward(m, i, r->x, start, count);
        if (problem) die("layer %d: %s", i, problem);
    }
    r->layer_seconds += now() - before;
    float *last = r->x + (size_t)(count - rows) * hidden;
    for (int t = 0; t < rows; t++)
        norm_row(last + (size_t)t * hidden, m->norm, m->c.hidden, m->c.eps);
    output(m, last, rows, logits);
    r->seconds += now() - begin;
}

static int argmax(const float *x, int n) {
    int best = 0;
    for (int i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static void print_token(const model *m, int id) {
    int from = m->token_offsets[id], to = m->token_offsets[id + 1];
    fwrite(m->token_bytes + from, 1, (size_t)(to - from), stdout);
    fflush(stdout);
}

/* And resets the clocks. */
static void report(run *r, const char *what, int tokens) {
    if (tokens)
        fprintf(stderr,
                "%s: %d tokens, %.1f tokens/s (%.2f ms a token: layers %.2f, logits %.2f)\n", what,
                tokens, tokens / r->seconds, 1e3 * r->seconds / tokens,
                1e3 * r->layer_seconds / tokens, 1e3 * (r->seconds - r->layer_seconds) / tokens);
    r->seconds = r->layer_seconds = 0;
}

static void write_logits(const char *path, const float *logits, size_t count) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(logits, sizeof *logits, count, f) != count || fclose(f) != 0)
        die("%s: %s", path, strerror(errno));
}

/* The given ids. Returns the logits, whose last row is the next token's. */
static float *prompt(run *r, const options *o) {
    const size_t vocab = (size_t)r->m.c.vocab;
    int at_once = o->prefill < 0 || o->prefill > r->given ? r->given : o->prefill;
    int all = o->logits != NULL;
    float *logits = allocate((size_t)(all ? r->given : 1) * vocab * sizeof *logits);
    if (at_once) forward(r, 0, at_once, all ? at_once : 1, logits);
    report(r, "prompt", at_once);
    for (int t = at_once; t < r->given; t++)
        forward(r, t, 1, 1, logits + (all ? (size_t)t * vocab : 0));
    report(r, "prompt, one by one", r->given - at_once);
    if (all) write_logits(o->logits, logits, (size_t)r->given * vocab);
    return logits;
}

static void answer(run *r, const options *o, float *logits) {
    const int vocab = r->m.c.vocab;
    int steps = 0;
    for (r->length = r->given; r->length < r->given + o->generate; r->length++) {
        if (r->length > r->given) {
            forward(r, r->length - 1, 1, 1, logits);
            steps++;
        }
        int id = argmax(logits, vocab);
        if (id == r->m.c.eos) break;
        r->ids[r->length] = id;
        print_token(&r->m, id);
    }
    if (o->generate) putchar('\n');
    report(r, "generation", steps);
}

int main(int argc, char **argv) {
    options o = parse(argc, argv);
    run r = {0};
    r.given = read_ids(o.tokens, &r.ids);
    r.ids = realloc(r.ids, ((size_t)r.given + (size_t)o.generate) * sizeof *r.ids);
    if (!r.ids) die("out of memory");
    model_open(&r.m, o.dir, r.given + o.generate);
    for (int i = 0; i < r.m.c.layers; i++) { /* before the clock starts */
        const char *problem = layer_prepare(&r.m, i);
        if (problem) die("layer %d: %s", i, problem);
    }
    if (r.m.c.vocab % 4) die("vocab_size %d is not a multiple of 4", r.m.c.vocab);
    for (int i = 0; i < r.given; i++)
        if (r.ids[i] < 0 || r.ids[i] >= r.m.c.vocab)
            die("%s: id %d is not in 0..%d", o.tokens, r.ids[i], r.m.c.vocab - 1);
    r.x = allocate((size_t)r.given * (size_t)r.m.c.hidden * sizeof *r.x);
    float *logits = prompt(&r, &o);
    answer(&r, &o, o.logits ? logits + (size_t)(r.given - 1) * (size_t)r.m.c.vocab : logits);
    free(logits);
    free(r.x);
    free(r.ids);
    for (int i = 0; i < r.m.c.layers; i++) layer_free(&r.m, i);
    model_close(&r.m);
    return 0;
}
