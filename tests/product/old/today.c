/* today.c - plans, layers and packed weights for caller.c, by the headers of today. */
#include "old.h"
#include <stdlib.h>

attn_plan *today_plan(void);
attn_block *today_block(void);
const void *today_packed(attn_block *block);

attn_plan *today_plan(void) {
    attn_plan *plan;
    if (attn_plan_create(&plan, &old_layer[0], 0)) exit(2);
    return plan;
}

attn_block *today_block(void) {
    attn_block *block;
    if (attn_block_create(&block, &old_layer[1], 0)) exit(2);
    return block;
}

const void *today_packed(attn_block *block) {
    attn_tensor w[64];
    const int32_t n = attn_block_weights(block, w, 64);
    for (int32_t i = 0; i < n; i++) {
        size_t size = 1;
        for (int d = 0; d < w[i].rank; d++) size *= (size_t)w[i].dim[d];
        float *data = malloc(size * sizeof *data);
        if (!data) exit(2);
        for (size_t j = 0; j < size; j++) data[j] = (float)((j * 7 + (size_t)i) % 13) / 50 - 0.1f;
        w[i].data = data;
    }
    const size_t bytes = attn_block_packed_bytes(block);
    void *packed = aligned_alloc(64, bytes);
    if (!packed || attn_block_pack(block, w, n, packed, bytes, NULL, 0)) exit(2);
    return packed;
}
