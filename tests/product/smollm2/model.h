/* model.h - a Llama model's weights, mapped from a safetensors file under Hugging Face's names. */
#ifndef SMOLLM2_MODEL_H
#define SMOLLM2_MODEL_H

#include <stddef.h>

typedef struct config {
    int hidden, ffn, layers, heads, kv_heads, head_dim, vocab, eos;
    double eps, rope_base;
} config;

/* Every matrix is f32 [out, in], row-major. */
typedef struct layer {
    const float *input_norm;  /* [hidden] */
    const float *q, *k, *v;   /* [heads * head_dim, hidden], [kv_heads * head_dim, hidden] twice */
    const float *o;           /* [hidden, heads * head_dim] */
    const float *post_norm;   /* [hidden] */
    const float *gate, *up;   /* [ffn, hidden] */
    const float *down;        /* [hidden, ffn] */
    void *block;              /* layer_forward's own (packed weights, workspace); NULL at first */
    float *k_cache, *v_cache; /* [kv_heads, capacity, head_dim]; keys are stored rotated */
} layer;

typedef struct model {
    config c;
    const float *embedding; /* [vocab, hidden]: also the output matrix (tied) */
    const float *norm;      /* [hidden] */
    layer *layers;
    int capacity; /* tokens that the caches hold */
    const unsigned char *token_bytes;
    const int *token_offsets; /* token i is token_bytes[token_offsets[i] .. token_offsets[i + 1]) */
} model;

/* Maps DIR/model.safetensors and DIR/vocab.safetensors, reads DIR/config.json and allocates caches
 * for `capacity` tokens. Ends the program with a message if anything is missing or has another
 * shape than the config says. */
void model_open(model *m, const char *dir, int capacity);

/* Frees what model_open allocated; the files stay mapped until the program ends. */
void model_close(model *m);

/* Packs a layer's weights and makes its cache, once, before layer_forward. Returns 0, or a
 * message. */
const char *layer_prepare(model *m, int index);
void layer_free(model *m, int index);

/* One decoder layer. x [count, hidden]: its input, replaced by its output. The rows are the tokens
 * at positions start .. start + count - 1; the caches of layer `index` hold the `start` tokens
 * before them and receive theirs. Returns 0, or a message. Not thread-safe on one model. */
const char *layer_forward(const model *m, int index, float *x, int start, int count);

void *allocate(size_t bytes);
/* Ends the program: message from format, a newline, status 1. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
