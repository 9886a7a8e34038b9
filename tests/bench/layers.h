/* layers.h - whole layers: their weights, caches, calls, and the check of what they compute. */
#ifndef BENCH_LAYERS_H
#define BENCH_LAYERS_H

#include "data.h"
#include "lab/block_oracle.h"
#include "../../gen/lab/build.h"

enum { LAYER_WEIGHTS = 32 };

/* A layer on an ISA with its packed weights: what its cases share. */
typedef struct bench_layer {
    const kernel_spec *spec;
    attn_isa isa;
    attn_block *block;
    attn_tensor weight[LAYER_WEIGHTS]; /* random; as they are stored, in f32 */
    int weight_count;
    void *packed;
    block_rows rows; /* what its kernel makes of them */
} bench_layer;

/* A case's call. */
typedef struct layer_call {
    const bench_layer *layer;
    int32_t held; /* keys an item before a step */
    int32_t rows; /* an item has */
    attn_cache cache;
    attn_block_args args;
} layer_call;

/* Creates and packs; ends the program where that fails. Sets ATTN_ISA. Memory is data_pages's and
 * the arena's; before data_release, all layers must be done with, and layers_release called. */
void layers_release(void);
bench_layer *layer_make(arena *a, const kernel_lib *lib, const kernel_spec *k, attn_isa isa);

/* The call, but for x, y and the workspace, of which it says the bytes. The cache is its own; a
 * step finds `held` random keys and values in it. */
layer_call *layer_call_make(arena *a, const kernel_lib *lib, const bench_layer *l,
                            const bench_case *c, size_t *workspace_bytes);
void layer_call_place(layer_call *call, const bench_data *d, size_t workspace_bytes);

/* A prefill, or a step behind the `held` keys. */
attn_status layer_run(const kernel_lib *lib, layer_call *call);

/* Compares rows of y, and of the cache, with the oracle of layers. It works out a row, its key and
 * its value from x in double, and takes the keys and values before it from the cache that the run
 * itself wrote (or was given). Eight rows or more of a call, the first and the last among them;
 * three where the layer has more than 50 million weights. All of y must be finite. */
bench_error layer_check(const layer_call *call);

#endif
