/* transcribe.c - whisper by its generated whole model: the conv stem's rows in, token ids out.
 *
 * usage: transcribe WEIGHTS ROWS IDS LOGITS
 *   ROWS    raw f32 [rows, width], before positions (whisper.py rows)
 *   IDS     the ids that follow the prompt, the largest logit's each, up to the end's
 *   LOGITS  raw f32 [ids, vocab] that they were chosen by
 * The milliseconds of the encoder's call, and of a token, on standard error. */
#include "whisper_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* Tokens of tiny.en: start of the transcript, without times; and the end of the text. */
enum { START = 50257, NO_TIMES = 50362, END = 50256, CAPACITY = 448, ROWS = 1500 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int fail(const char *why) {
    return fprintf(stderr, "transcribe: %s\n", why), 1;
}

static int32_t largest(const float *x, int32_t n) {
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* Keys of the encoder's, and the decoder's own. */
static attn_status make_caches(const attn_model *m, attn_model_cache *cross,
                               attn_model_cache *cache) {
    size_t bytes;
    attn_status status = attn_model_cross_bytes(m, 1, ROWS, &bytes);
    if (status != ATTN_OK) return status;
    status = attn_model_cross_init(m, cross, 1, ROWS, attn_align(malloc(bytes + 63)), bytes);
    if (status == ATTN_OK) status = attn_model_cache_bytes(m, 1, CAPACITY, &bytes);
    if (status != ATTN_OK) return status;
    return attn_model_cache_init(m, cache, 1, CAPACITY, attn_align(malloc(bytes + 63)), bytes);
}

int main(int argc, char **argv) {
    char why[4000] = "";
    attn_model *m;
    attn_model_cache cross, cache;
    FILE *in = argc > 4 ? fopen(argv[2], "rb") : NULL;
    FILE *ids_out = in ? fopen(argv[3], "w") : NULL, *out = in ? fopen(argv[4], "wb") : NULL;
    if (!in || !ids_out || !out) return fail("usage: transcribe WEIGHTS ROWS IDS LOGITS");
    if (whisper_model_open(&m, argv[1], NULL, why, sizeof why) != ATTN_OK) return fail(why);
    attn_model_info info = {.struct_size = sizeof info};
    attn_model_describe(m, &info);
    if (make_caches(m, &cross, &cache) != ATTN_OK) return fail("caches");

    const size_t width = (size_t)info.width;
    float *x = malloc(ROWS * width * sizeof *x);
    float *logits = malloc((size_t)info.vocab * sizeof *logits);
    int32_t begin[2] = {0, (int32_t)fread(x, width * sizeof *x, ROWS, in)};
    attn_model_args a = ATTN_MODEL_ARGS_INIT;
    a.items = 1, a.begin = begin, a.x = x, a.x_row = info.width, a.cross = &cross;
#ifdef _OPENMP
    a.threads = omp_get_max_threads();
#endif
    attn_model_encode_bytes(m, &a, &a.workspace_bytes);
    a.workspace = attn_align(malloc(a.workspace_bytes + 63));
    const double start = now();
    if (attn_model_encode(m, &a) != ATTN_OK)
        return attn_model_encode_check(m, &a, why, sizeof why), fail(why);

    int32_t ids[2] = {START, NO_TIMES}, last = 1, count = 0;
    begin[1] = 2;
    a.x = NULL, a.ids = ids, a.cache = &cache;
    a.logit_rows = &last, a.logit_count = 1, a.logits = logits;
    attn_model_bytes(m, &a, &a.workspace_bytes); /* later calls are smaller */
    a.workspace = attn_align(malloc(a.workspace_bytes + 63));
    const double encoded = now();
    for (; count < CAPACITY - 2 && ids[0] != END; count++) {
        if (attn_model_forward(m, &a) != ATTN_OK)
            return attn_model_check(m, &a, why, sizeof why), fail(why);
        ids[0] = largest(logits, info.vocab);
        fprintf(ids_out, "%d\n", ids[0]);
        fwrite(logits, sizeof *logits, (size_t)info.vocab, out);
        begin[1] = 1, last = 0; /* the next call appends this token */
    }
    fprintf(stderr, "%.1f %.2f\n", encoded - start, (now() - encoded) / count);
    attn_model_close(m);
    return fclose(ids_out) || fclose(out);
}
