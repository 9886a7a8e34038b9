/* A model's file and token ids in, the eight tokens that follow them out; see README.md. */
#include "llama_model.h" /* written by attn-gen */

#include <stdio.h>
#include <stdlib.h>
enum { CAPACITY = 128, VOCAB = 61 };

static int fail(attn_status status, const char *why) {
    return fprintf(stderr, "%s\n%s\n", attn_status_text(status), why), 1;
}

int main(int argc, char **argv) {
    char why[4000] = ""; /* every wrong tensor of the file, or the wrong argument */
    attn_model *model;
    if (argc < 3 || argc - 2 > CAPACITY) return 2;
    attn_status status = llama_model_open(&model, argv[1], NULL, why, sizeof why);
    if (status != ATTN_OK) return fail(status, why);
    size_t bytes;
    attn_model_cache cache;
    attn_model_cache_bytes(model, 1, CAPACITY + 8, &bytes);
    attn_model_cache_init(model, &cache, 1, CAPACITY + 8, attn_align(malloc(bytes + 63)), bytes);
    int32_t ids[CAPACITY], begin[2] = {0, argc - 2}, last = argc - 3;
    float logits[VOCAB];
    for (int i = 2; i < argc; i++) ids[i - 2] = atoi(argv[i]);
    attn_model_args a = ATTN_MODEL_ARGS_INIT;
    a.items = 1, a.begin = begin, a.ids = ids, a.cache = &cache, a.threads = 2;
    a.logit_rows = &last, a.logit_count = 1, a.logits = logits;
    attn_model_bytes(model, &a, &a.workspace_bytes); /* later calls are smaller */
    a.workspace = attn_align(malloc(a.workspace_bytes + 63));
    for (int n = 0; n < 8; n++) {
        if ((status = attn_model_forward(model, &a)) != ATTN_OK)
            return attn_model_check(model, &a, why, sizeof why), fail(status, why);
        ids[0] = 0;
        for (int i = 1; i < VOCAB; i++) ids[0] = logits[i] > logits[ids[0]] ? i : ids[0];
        printf("%s%d", n ? " " : "", ids[0]);
        begin[1] = 1, last = 0; /* the next call appends this token */
    }
    attn_model_close(model);
    puts("");
}
