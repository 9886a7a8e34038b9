/* layer.c - runs a layer on rows of its input: layer FILE.safetensors PREFIX INPUT */
#include "layer.h" /* written by attn-gen: layer_block_create */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *before(const char *p, char c) {
    while (*--p != c) continue;
    return p;
}

static char *copy(const char *text, size_t n) {
    char *s = calloc(n + 1, 1);
    return s ? memcpy(s, text, n) : s;
}

/* The tensors whose names begin with `prefix`, which is cut off; returns how many. In the header:
 * "name":{"dtype":"F32","shape":[..],"data_offsets":[from,to] */
static int32_t find(const char *header, const char *data, const char *prefix, attn_tensor *out) {
    int32_t n = 0;
    for (const char *p = header; n < 64 && (p = strstr(p, "\"F32\"")); p++) {
        const char *end = before(before(p, '{'), '"'), *name = before(end, '"') + 1;
        if (strncmp(name, prefix, strlen(prefix))) continue;
        name += strlen(prefix);
        attn_tensor *t = &out[n++];
        *t = (attn_tensor){.name = copy(name, (size_t)(end - name))};
        for (char *d = strchr(p, '['); *d != ']';) t->dim[t->rank++] = strtoll(d + 1, &d, 10);
        t->data = (const float *)(data + strtoll(strchr(strstr(p, "offsets"), '[') + 1, NULL, 10));
    }
    return n;
}

int main(int argc, char **argv) {
    FILE *f = argc == 4 ? fopen(argv[1], "rb") : NULL;
    if (!f || fseek(f, 0, SEEK_END)) return fputs("layer FILE PREFIX INPUT\n", stderr), 2;
    const size_t size = (size_t)ftell(f);
    char *file = malloc(size);
    rewind(f);
    if (size < 8 || fread(file, 1, size, f) != size) return fputs("cannot read\n", stderr), 2;
    const char *header = copy(file + 8, *(size_t *)file), *data = file + 8 + *(size_t *)file;
    attn_tensor weight[64], x[64];
    const int32_t weights = find(header, data, argv[2], weight);
    if (find(header, data, argv[3], x) != 1) return fputs("no such input\n", stderr), 2;

    attn_block *block;
    char message[1000];
    if (layer_block_create(&block, 0, 0) != ATTN_OK) return 1;
    const size_t bytes = attn_block_packed_bytes(block);
    void *packed = attn_align(malloc(bytes + 63)); /* may be saved, and mapped back */
    if (attn_block_pack(block, weight, weights, packed, bytes, message, sizeof message))
        return fputs(message, stderr), 1;
    attn_block_args a = ATTN_BLOCK_ARGS_INIT;
    a.batch = (int32_t)x->dim[0], a.tokens = (int32_t)x->dim[1], a.threads = 2, a.packed = packed;
    a.x = x->data, a.x_token = a.y_token = x->dim[2], a.x_batch = a.y_batch = a.tokens * a.x_token;
    a.y = malloc(sizeof(float) * (size_t)(a.batch * a.y_batch));
    attn_block_workspace(block, &a, &a.workspace_bytes);
    a.workspace = attn_align(malloc(a.workspace_bytes + 63));
    const attn_status status = attn_block_prefill(block, &a); /* no cache: these rows alone */
    if (status != ATTN_OK) return fputs(attn_status_text(status), stderr), 1;
    for (int i = 0; i < 4; i++) printf("%.4f\n", (double)a.y[(a.tokens - 1) * a.y_token + i]);
    return 0;
}
