/* block_layer.c - a decoder layer by the generated attn_block. */
#include "model.h"
#include "smollm2.h"

#include <stdlib.h>
#ifdef _OPENMP
#include <omp.h>
#endif

typedef struct state {
    attn_block *block;
    attn_cache cache;
    void *packed, *memory, *workspace;
    size_t workspace_bytes;
} state;

static void *aligned(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
    if (!p) die("out of memory");
    return p;
}

/* Packs the weights and makes an empty cache; a message on failure. */
static const char *prepare(const model *m, int index, state *s) {
    const layer *l = &m->layers[index];
    const config *c = &m->c;
    const int64_t q = (int64_t)c->heads * c->head_dim, k = (int64_t)c->kv_heads * c->head_dim;
    const attn_tensor weights[] = {
        {"input_layernorm.weight", l->input_norm, 1, {c->hidden}, ATTN_TYPE_F32},
        {"self_attn.q_proj.weight", l->q, 2, {q, c->hidden}, ATTN_TYPE_F32},
        {"self_attn.k_proj.weight", l->k, 2, {k, c->hidden}, ATTN_TYPE_F32},
        {"self_attn.v_proj.weight", l->v, 2, {k, c->hidden}, ATTN_TYPE_F32},
        {"self_attn.o_proj.weight", l->o, 2, {c->hidden, q}, ATTN_TYPE_F32},
        {"post_attention_layernorm.weight", l->post_norm, 1, {c->hidden}, ATTN_TYPE_F32},
        {"mlp.gate_proj.weight", l->gate, 2, {c->ffn, c->hidden}, ATTN_TYPE_F32},
        {"mlp.up_proj.weight", l->up, 2, {c->ffn, c->hidden}, ATTN_TYPE_F32},
        {"mlp.down_proj.weight", l->down, 2, {c->hidden, c->ffn}, ATTN_TYPE_F32},
    };
    static char message[1024];
    attn_status status = attn_block_create(&s->block, &smollm2_layer[index], 0);
    if (status != ATTN_OK) return attn_status_text(status);
    const size_t bytes = attn_block_packed_bytes(s->block);
    s->packed = aligned(bytes);
    status = attn_block_pack(s->block, weights, sizeof weights / sizeof *weights, s->packed, bytes,
                             message, sizeof message);
    if (status != ATTN_OK) return message;
    size_t cache_bytes;
    attn_cache_bytes(s->block, 1, m->capacity, &cache_bytes);
    s->memory = aligned(cache_bytes);
    return attn_cache_init(s->block, &s->cache, 1, m->capacity, s->memory, cache_bytes) == ATTN_OK
               ? NULL
               : "no cache";
}

const char *layer_prepare(model *m, int index) {
    state *s = calloc(1, sizeof *s);
    if (!s) return "out of memory";
    m->layers[index].block = s;
    return prepare(m, index, s);
}

void layer_free(model *m, int index) {
    state *s = m->layers[index].block;
    if (!s) return;
    attn_block_destroy(s->block);
    free(s->packed);
    free(s->memory);
    free(s->workspace);
    free(s);
}

const char *layer_forward(const model *m, int index, float *x, int start, int count) {
    state *s = m->layers[index].block;
    attn_block_args a = ATTN_BLOCK_ARGS_INIT;
    a.batch = 1, a.tokens = count;
#ifdef _OPENMP
    a.threads = omp_get_max_threads();
#endif
    a.x = a.y = x;
    a.x_token = a.y_token = m->c.hidden;
    a.cache = &s->cache;
    a.packed = s->packed;
    size_t bytes;
    attn_status status = attn_block_workspace(s->block, &a, &bytes);
    if (status == ATTN_OK && bytes > s->workspace_bytes) {
        free(s->workspace);
        s->workspace = aligned(bytes);
        s->workspace_bytes = bytes;
    }
    a.workspace = s->workspace;
    a.workspace_bytes = s->workspace_bytes;
    if (status == ATTN_OK)
        status = start == 0 ? attn_block_prefill(s->block, &a) : attn_block_step(s->block, &a);
    return status == ATTN_OK ? NULL : attn_status_text(status);
}
