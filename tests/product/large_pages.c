/* large_pages.c - whether the packed layers of a model are asked for in large pages: madvise here
 * stands before libc's.
 *
 * usage: large_pages PATH    the model's weights, which it writes: all of them 0
 * Compiled with -DMODEL_HEADER='"x_model.h"' -DMODEL_OPEN=x_model_open. */
#include MODEL_HEADER

#include <stdio.h>
#include <stdlib.h>

/* Layers of more than two large pages; those of model.sh's config.json. */
enum { WIDTH = 256, FFN = 2048, VOCAB = 8, PAGE = 2 << 20 };

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
enum { HAS_LARGE_PAGES = 1 };
#else
enum { HAS_LARGE_PAGES = 0 };
#endif

static int asked;
static uintptr_t from;
static size_t length;

int madvise(void *p, size_t bytes, int advice);
int madvise(void *p, size_t bytes, int advice) {
    if (advice != 14) return 0; /* MADV_HUGEPAGE */
    asked++, from = (uintptr_t)p, length = bytes;
    return 0;
}

/* A matrix [rows][columns], or a vector, in the header at *end of its text; returns where it ends.
 */
static long tensor(char **end, const char *name, int rows, int columns, long at) {
    const long next = at + 4L * rows * (columns ? columns : 1);
    *end += sprintf(*end, "%s\"model.%s.weight\":{\"dtype\":\"F32\",", at ? "," : "", name);
    *end += sprintf(*end, "\"data_offsets\":[%ld,%ld],\"shape\":[%d", at, next, rows);
    *end += columns ? sprintf(*end, ",%d]}", columns) : sprintf(*end, "]}");
    return next;
}

static void write_weights(const char *path) {
    static const char *const square[] = {"q_proj", "k_proj", "v_proj", "o_proj"};
    static char text[4000] = "{";
    char *end = text + 1, name[80];
    long at = tensor(&end, "embed_tokens", VOCAB, WIDTH, 0);
    at = tensor(&end, "norm", WIDTH, 0, at);
    at = tensor(&end, "layers.0.input_layernorm", WIDTH, 0, at);
    at = tensor(&end, "layers.0.post_attention_layernorm", WIDTH, 0, at);
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "layers.0.self_attn.%s", square[i]);
        at = tensor(&end, name, WIDTH, WIDTH, at);
    }
    at = tensor(&end, "layers.0.mlp.gate_proj", FFN, WIDTH, at);
    at = tensor(&end, "layers.0.mlp.up_proj", FFN, WIDTH, at);
    at = tensor(&end, "layers.0.mlp.down_proj", WIDTH, FFN, at);
    end += sprintf(end, "}");
    const uint64_t header = (uint64_t)(end - text);
    FILE *f = fopen(path, "wb");
    void *zeros = calloc((size_t)at, 1);
    if (!f || !zeros || fwrite(&header, 8, 1, f) != 1 || fwrite(text, header, 1, f) != 1 ||
        fwrite(zeros, (size_t)at, 1, f) != 1 || fclose(f))
        exit(2);
    free(zeros);
}

int main(int argc, char **argv) {
    char why[4000];
    attn_model *m;
    if (argc != 2) return 2;
    write_weights(argv[1]);
    if (MODEL_OPEN(&m, argv[1], NULL, why, sizeof why) != ATTN_OK) return puts(why), 1;
    attn_model_info info = {.struct_size = sizeof info};
    attn_model_describe(m, &info);
    attn_model_close(m);
    printf("%zu bytes packed; %d requests, %zu bytes\n", info.packed_bytes, asked, length);
    if (!HAS_LARGE_PAGES) return asked != 0;
    const int whole = from % PAGE == 0 && length % PAGE == 0 && length <= info.packed_bytes &&
                      length + 2 * PAGE > info.packed_bytes;
    return asked != 1 || !length || !whole;
}
