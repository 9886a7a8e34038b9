/* attn_before_types.h - the layouts of attn.h before tensors had types, frozen: what a program that
 * was compiled then passes. Only what caller.c uses; never to be brought up to date. */
#ifndef ATTN_BEFORE_TYPES_H
#define ATTN_BEFORE_TYPES_H

#include <stddef.h>
#include <stdint.h>

typedef struct attn_spec attn_spec;
typedef struct attn_plan attn_plan;
typedef struct attn_block attn_block;

typedef struct attn_view {
    const float *data;
    int64_t batch, head, token;
} attn_view;

typedef struct attn_out {
    float *data;
    int64_t batch, head, token;
} attn_out;

typedef struct attn_mask {
    const void *data;
    int32_t type;
    int32_t rank;
    int64_t dim[4], stride[4];
} attn_mask;

typedef struct attn_side {
    const void *data;
    int64_t count;
} attn_side;

typedef union attn_scalar {
    int32_t i32;
    float f32;
} attn_scalar;

typedef struct attn_extent {
    uint32_t struct_size;
    int32_t batch, q_len, kv_len_max;
    int32_t threads;
} attn_extent;

typedef struct attn_args {
    uint32_t struct_size;
    int32_t batch, q_len, kv_len_max;
    int32_t threads;

    attn_view q;
    attn_view k;
    attn_view v;
    attn_out o;

    float *lse;
    int64_t lse_batch, lse_head;

    const int32_t *q_start;
    const int32_t *kv_len;
    const int32_t *seg;
    int64_t seg_batch;
    const uint8_t *key_padding;
    int64_t key_padding_batch;
    attn_mask mask;
    const float *sinks;

    const attn_side *side;
    int32_t side_count;
    int32_t scalar_count;
    const attn_scalar *scalars;

    void *workspace;
    size_t workspace_bytes;
} attn_args;

typedef struct attn_cache {
    uint32_t struct_size;
    int32_t batch, capacity;
    float *k, *v;
    int32_t *length;
    int32_t *start;
    uint64_t layer;
} attn_cache;

typedef struct attn_block_args {
    uint32_t struct_size;
    int32_t batch, tokens;
    int32_t threads;
    const float *x;
    int64_t x_batch, x_token;
    float *y;
    int64_t y_batch, y_token;
    const int32_t *count;
    attn_cache *cache;
    const uint8_t *key_padding;
    int64_t key_padding_batch;
    attn_mask mask;
    const float *kv;
    int64_t kv_batch, kv_token;
    int32_t kv_tokens;
    const int32_t *kv_count;
    const int32_t *seg;
    int64_t seg_batch;
    const int32_t *q_pos, *kv_pos;
    int64_t q_pos_batch, kv_pos_batch;
    const uint8_t *q_pad;
    int64_t q_pad_batch;
    const attn_side *side;
    int32_t side_count;
    int32_t scalar_count;
    const attn_scalar *scalars;
    const void *packed;
    void *workspace;
    size_t workspace_bytes;
} attn_block_args;

int attn_plan_create(attn_plan **out, const attn_spec *spec, uint32_t flags);
void attn_plan_destroy(attn_plan *plan);
int attn_workspace(const attn_plan *plan, const attn_extent *extent, size_t *bytes);
int attn_run(const attn_plan *plan, const attn_args *args);
int attn_plan_check(const attn_plan *plan, const attn_args *args, char *message, size_t size);
typedef struct attn_tensor {
    const char *name;
    const float *data;
    int32_t rank;
    int64_t dim[4];
} attn_tensor;
int32_t attn_block_weights(const attn_block *block, attn_tensor *list, int32_t capacity);
int attn_block_pack(const attn_block *block, const attn_tensor *tensors, int32_t count,
                    void *packed, size_t packed_bytes, char *message, size_t message_size);
int attn_cache_bytes(const attn_block *block, int32_t batch, int32_t capacity, size_t *bytes);
int attn_cache_init(const attn_block *block, attn_cache *cache, int32_t batch, int32_t capacity,
                    void *memory, size_t bytes);
int attn_cache_check(const attn_block *block, const attn_cache *cache, int32_t batch, char *message,
                     size_t size);
int attn_block_workspace(const attn_block *block, const attn_block_args *args, size_t *bytes);
int attn_block_prefill(const attn_block *block, const attn_block_args *args);
int attn_block_step(const attn_block *block, const attn_block_args *args);

#endif
