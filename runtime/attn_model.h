/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* attn_model.h - a whole model: its file to token ids to rows, logits or embeddings, in four calls.
 * NAME_model.h, which attn-gen writes beside a model's layers, opens one by NAME_model_open.
 *
 *     char why[2000];
 *     attn_model *model;
 *     attn_status st = tiny_model_open(&model, "model.safetensors", NULL, why, sizeof why);
 *     if (st != ATTN_OK) return fprintf(stderr, "%s\n", why), 1;
 *     attn_model_cache cache;
 *     size_t bytes;                                     // an item of at most 512 tokens
 *     attn_model_cache_bytes(model, 1, 512, &bytes);
 *     attn_model_cache_init(model, &cache, 1, 512, attn_align(malloc(bytes + 63)), bytes);
 *     attn_model_args a = ATTN_MODEL_ARGS_INIT;
 *     const int32_t begin[2] = {0, tokens}, last = tokens - 1;
 *     a.items = 1, a.begin = begin, a.ids = ids, a.cache = &cache;
 *     a.logit_rows = &last, a.logit_count = 1, a.logits = logits;    // [vocab]
 *     attn_model_bytes(model, &a, &a.workspace_bytes);
 *     a.workspace = attn_align(malloc(a.workspace_bytes + 63));
 *     st = attn_model_forward(model, &a);               // further calls append to the cache
 *     attn_model_close(model);
 *
 * A model of an encoder and a decoder (whisper) is run by two calls: attn_model_encode takes what
 * the encoder is given, and keeps the keys and values that the decoder's layers make of its rows,
 * once an item; attn_model_forward is then the decoder, over them.
 *
 * What is computed: rows = embedding[id] * embed_scale, plus a row of the table of positions and
 * one of token types, where there are such, then embed_norm; or the caller's rows as they are
 * (where a stack has no ids: plus a row of its table of positions, after embed_norm).
 * embed_project: a matrix, and its bias, makes rows of the layers' width of that, or, with first,
 * of the embedding's own. Then the layers, then final_norm: these are the hidden rows. Logits of a
 * row, which head_project's matrix may take back to the embedding's width: logit_scale * (head row
 * + bias), soft-capped. Pooled row of an item: its first row (cls), its last, or the mean of all;
 * then dense with tanh; then divided by its length. Sums of norms, means and lengths are in double,
 * those of the head in f32, of 32 products a lane, summed in double.
 *
 * Only open allocates; it maps the file, packs the layers' matrices (or maps them, packed before:
 * attn_model_save), and keeps what else is needed where it lies in the file. A model is immutable:
 * any number of threads may run it at once, each with its own cache and workspace. Statuses,
 * threads, floating-point mode and fork: attn.h. */
#ifndef ATTN_MODEL_H
#define ATTN_MODEL_H

#include "attn.h"

#ifdef __cplusplus
extern "C" {
#endif
ATTN_PUBLIC_BEGIN

typedef struct attn_model attn_model;

typedef struct attn_model_options {
    uint32_t struct_size;
    uint32_t flags; /* of attn_block_create */
    /* Called for each layer that is packed, with how many are and how many there are, on the thread
     * that opens; never where `packed` is mapped. Null: nobody asks. */
    void (*progress)(void *ctx, int32_t done, int32_t all);
    void *ctx;

    /* Callers whose struct_size ends here have none. */
    int32_t threads;       /* that pack, a layer each, as in attn_args; 0 or 1: one */
    const attn_pool *pool; /* as in attn_args; regions follow one another */
    const char *packed; /* a file of attn_model_save's; null: none. It is mapped, nothing packed */
    uint32_t packed_flags; /* ATTN_MODEL_PACKED_.. */
    /* Tokens that an item will have at most. Of models with longrope: more than its rope_original
     * choose the long factors, for all items; else the short ones serve, and calls beyond
     * rope_original are ATTN_E_LENGTH. 0: the short ones. Others do not look at it. */
    int32_t capacity;
} attn_model_options;

/* How a file of packed weights is taken. Without flags it has to be one that attn_model_save wrote
 * for this model, on this instruction set, from the very weights at `path`, and undamaged: else
 * ATTN_E_PACKED, and the message says which. All of both files is read for that, on all threads. */
enum {
    /* Names, types and shapes of the weights are compared, and headers read; contents of neither
     * file. A file that was changed behind a right header gives other numbers, and harms nothing
     * else. */
    ATTN_MODEL_PACKED_TRUST = 1,
    /* Where it is absent or does not fit, weights are packed, and saved there. What attn_model_save
     * did not write is not replaced: ATTN_E_PACKED. */
    ATTN_MODEL_PACKED_RENEW = 2
};

#ifdef __cplusplus
#define ATTN_MODEL_OPTIONS_INIT attn__model_options_init()
static inline attn_model_options attn__model_options_init() {
    attn_model_options o = {};
    o.struct_size = sizeof o;
    return o;
}
#else
#define ATTN_MODEL_OPTIONS_INIT ((attn_model_options){.struct_size = sizeof(attn_model_options)})
#endif

/* NAME_model_open of NAME_model.h: opens `path`: a safetensors file, a folder with
 * model.safetensors or model.safetensors.index.json, an index, or a GGUF file. *out is null on any
 * status but ATTN_OK; options may be null. On a failure message (may be null) says why, with the
 * file and, where weights do not fit, every missing, unknown or misshapen tensor of the whole
 * model, one a line, as far as message_size goes. ATTN_E_WEIGHTS: no such file, not one that is
 * understood, or other weights; ATTN_E_MEMORY, and the statuses of attn_block_create. */

/* Unmaps and frees; null is allowed. */
void attn_model_close(attn_model *model);

/* Writes what open packed to a file (beside it first, then put in place), which later opens map:
 * attn_model_options.packed. It is for this model, instruction set and version of the runtime, and
 * bound to the weights by a hash; the file of weights is needed still. ATTN_E_PACKED: it cannot be
 * written (only a file is replaced), and message (may be null) says why. */
attn_status attn_model_save(const attn_model *model, const char *path, char *message, size_t size);

/* What a caller has to know. */
typedef struct attn_model_info {
    uint32_t struct_size;
    int32_t layers, width; /* floats of a row of x, of hidden and of pooled */
    int32_t vocab;         /* floats of a row of logits; 0: the model takes no ids */
    int32_t has_head, has_pool;
    size_t packed_bytes; /* allocated: packed layers, and weights that were converted */
    size_t mapped_bytes; /* of the files, that of packed weights among them */

    /* Callers whose struct_size ends here have none. */
    int32_t encoder_layers; /* of `layers`, the first; 0: the model has no encoder */
    int32_t encoder_rows;   /* it is given rows of floats alone */
} attn_model_info;
/* Fills what info->struct_size holds. ATTN_E_ARGUMENT: a null; ATTN_E_ABI: struct_size. */
attn_status attn_model_describe(const attn_model *model, attn_model_info *info);

/* Keys and values of every layer (of a decoder beside an encoder: of the layers with keys of their
 * own rows); items as in attn_cache. `layer`: [layers], so that the functions on caches serve each
 * of them; item i of all stands at the same length. */
typedef struct attn_model_cache {
    uint32_t struct_size;
    int32_t items, layers;
    attn_cache *layer;
} attn_model_cache;

/* For `items` items of at most `capacity` tokens, appended any number at a time. */
attn_status attn_model_cache_bytes(const attn_model *model, int32_t items, int32_t capacity,
                                   size_t *bytes);
/* memory: 64-byte aligned, `bytes` long; the caller's as long as the cache is used. All is empty.
 * In large pages (aligned to 2 MB, and madvise on Linux) a long cache is read some 5 % faster. */
attn_status attn_model_cache_init(const attn_model *model, attn_model_cache *cache, int32_t items,
                                  int32_t capacity, void *memory, size_t bytes);

/* A model's cache of the other kind: keys and values that the decoder's layers make of the
 * encoder's rows, at most `capacity` of an item. The functions on caches below take it, too (in
 * pages, each item has all of its own). Models without an encoder: ATTN_E_UNUSED. */
attn_status attn_model_cross_bytes(const attn_model *model, int32_t items, int32_t capacity,
                                   size_t *bytes);
attn_status attn_model_cross_init(const attn_model *model, attn_model_cache *cross, int32_t items,
                                  int32_t capacity, void *memory, size_t bytes);

/* Layers whose keys lie in pages: the same with pools of `page_count` pages in each layer, and one
 * table for all of them, cache->layer[0].pages, which names no page yet; which item has which is
 * the caller's business (attn_cache in attn.h). (attn_model_cache_init gives each item all of its
 * own.) Layers without pages, or with pages of several sizes: ATTN_E_UNUSED. */
attn_status attn_model_cache_paged_bytes(const attn_model *model, int32_t items, int32_t capacity,
                                         int32_t page_count, size_t *bytes);
attn_status attn_model_cache_paged_init(const attn_model *model, attn_model_cache *cache,
                                        int32_t items, int32_t capacity, int32_t page_count,
                                        void *memory, size_t bytes);

/* Items first..first + count - 1 as a cache of `count` items, in the same memory, as
 * attn_cache_view has it. layer: `layers` rows of the caller's, which become view->layer. On any
 * status but ATTN_OK nothing was written. */
attn_status attn_model_cache_view(const attn_model *model, const attn_model_cache *cache,
                                  int32_t first, int32_t count, attn_model_cache *view,
                                  attn_cache *layer);
attn_status attn_model_cache_view_check(const attn_model *model, const attn_model_cache *cache,
                                        int32_t first, int32_t count, const attn_model_cache *view,
                                        const attn_cache *layer, char *message, size_t size);

/* attn_cache_own_page of attn.h, of every layer, or of none; the table is that of all layers. */
attn_status attn_model_cache_own_page(const attn_model *model, attn_model_cache *cache,
                                      int32_t item, int32_t n, int32_t page);
attn_status attn_model_cache_own_page_check(const attn_model *model, const attn_model_cache *cache,
                                            int32_t item, int32_t n, int32_t page, char *message,
                                            size_t size);

/* attn_cache_keep (n = 0: attn_cache_truncate) and attn_cache_fork of attn.h, of every layer, or of
 * none: on any status but ATTN_OK nothing was written. */
attn_status attn_model_cache_keep(const attn_model *model, attn_model_cache *cache, int32_t item,
                                  int32_t tokens, const int32_t *slots, int32_t n);
attn_status attn_model_cache_fork(const attn_model *model, const attn_model_cache *from,
                                  int32_t from_item, attn_model_cache *to, int32_t to_item);
attn_status attn_model_cache_keep_check(const attn_model *model, const attn_model_cache *cache,
                                        int32_t item, int32_t tokens, const int32_t *slots,
                                        int32_t n, char *message, size_t size);
attn_status attn_model_cache_fork_check(const attn_model *model, const attn_model_cache *from,
                                        int32_t from_item, const attn_model_cache *to,
                                        int32_t to_item, char *message, size_t size);

/* One call. All pointers are the caller's; nothing is kept after it. */
typedef struct attn_model_args {
    uint32_t struct_size;
    int32_t items;
    /* [items + 1], ascending from 0: rows begin[i] .. begin[i + 1] - 1 of all that follows are item
     * i's new ones. An item may have none. */
    const int32_t *begin;
    const int32_t *ids;         /* [rows] token ids, 0..vocab - 1; or null, and */
    const float *x;             /* rows as the first layer takes them */
    int64_t x_row;              /* floats from one to the next, at least width */
    const int32_t *token_types; /* [rows]; null: 0 */
    attn_model_cache *cache;    /* appended to; null: each item is all there is of it */
    int32_t threads;            /* as in attn_args */
    const attn_pool *pool;

    float *hidden;      /* [rows][width], after the final norm; null: not wanted */
    int64_t hidden_row; /* floats from one to the next; 0: width */
    /* Logits of these rows; [logit_count] numbers of rows. */
    const int32_t *logit_rows;
    int32_t logit_count;
    float *logits; /* [logit_count][vocab]; null: not wanted */
    int64_t logits_row;
    float *pooled; /* [items][width]; null: not wanted. An item without rows gets zeros */
    int64_t pooled_row;

    void *workspace; /* 64-byte aligned */
    size_t workspace_bytes;

    /* Callers whose struct_size ends here have none. */
    /* [rows] where rows stand, and their keys: q_position of attn_block_args, of every layer, and
     * of a table of positions. So the rows of a draft's tree share positions. Null: one after the
     * other, behind the tokens held. */
    const int32_t *position;
    /* As in attn_block_args, for every layer, of sdpa all: [items, heads, most rows of an item,
     * most keys of an item with the new ones]. The number of a key is its token's, so layers must
     * not have let go of any: ATTN_E_CACHE. type ATTN_MASK_NONE: none. */
    attn_mask mask;

    /* Callers whose struct_size ends here have none. */
    /* Of models with an encoder: attn_model_encode writes it, attn_model_forward reads its keys.
     * Items are those of the call. As of `cache`, one call at a time: lengths are written again. */
    attn_model_cache *cross;
} attn_model_args;

#ifdef __cplusplus
#define ATTN_MODEL_ARGS_INIT attn__model_args_init()
static inline attn_model_args attn__model_args_init() {
    attn_model_args a = {};
    a.struct_size = sizeof a;
    return a;
}
#else
#define ATTN_MODEL_ARGS_INIT ((attn_model_args){.struct_size = sizeof(attn_model_args)})
#endif

/* Workspace of a call with these items, begin, cache, threads and outputs; other pointers are not
 * looked at. */
attn_status attn_model_bytes(const attn_model *model, const attn_model_args *args, size_t *bytes);

/* Runs one call. Checks every argument first: on any status but ATTN_OK nothing was written.
 * ATTN_E_CACHE: another model's cache, or no room; ATTN_E_LENGTH: begin, or a position beyond the
 * table, or beyond what longrope's factors are for. Output rows must not overlap anything else. The
 * same rows have the same bits whatever stands beside them, at any number of threads. */
attn_status attn_model_forward(const attn_model *model, const attn_model_args *args);
/* Its checks, and a sentence. */
attn_status attn_model_check(const attn_model *model, const attn_model_args *args, char *message,
                             size_t size);

/* Likewise of the encoder: ids or x are its rows, item by item, of which hidden gets the encoder's
 * rows after its norm (may be null), and cross what the decoder's layers make of them (may be
 * null, where hidden is all that is wanted): what an item of it held before is replaced, by nothing
 * where the item has no rows. (attn_model_cache_view encodes some items beside others.) cache,
 * token_types, logits and pooled are not the encoder's: ATTN_E_UNUSED, as every call is of models
 * without one. */
attn_status attn_model_encode_bytes(const attn_model *model, const attn_model_args *args,
                                    size_t *bytes);
attn_status attn_model_encode(const attn_model *model, const attn_model_args *args);
attn_status attn_model_encode_check(const attn_model *model, const attn_model_args *args,
                                    char *message, size_t size);

/* attn_struct_bytes for the structs of this header. */
size_t attn_model_struct_bytes(const char *name);

ATTN_VISIBILITY_END
#ifdef __cplusplus
}
#endif
#endif
