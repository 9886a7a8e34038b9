/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* block.h - what the files of layers (block*.c) share. */
#ifndef ATTN_BLOCK_H
#define ATTN_BLOCK_H

#include "dispatch.h"
#include "layout.h"
#include "pages.h"

ATTN_HIDDEN_BEGIN

struct attn_block {
    const attn_block_kernel *kernel;
    attn_plan *core, *expanded; /* expanded may be null */
    bool reference;
};

attn_status attn_check_block(const attn_why *why, const attn_block *block);

/* Keys of a second input, rather than of the layer's own rows. */
static inline bool attn_spec_has_kv(const attn_spec *s) {
    return s->kv_dim != ATTN_UNSET;
}

/* --- Weights (block_names.c, block_pack.c) --- */

enum { ATTN_WEIGHTS_MAX = 64, ATTN_EXPERT_WEIGHTS_MAX = 6 };

/* What pack takes of a layer's weights. */
typedef struct attn_weights {
    attn_source latent[2]; /* kv_b_proj's keys and values, where it is given in two */
    attn_source weight[ATTN_WEIGHTS_MAX + ATTN_EXPERT_WEIGHTS_MAX * ATTN_EXPERTS_MOST];
} attn_weights;

/* Points *out, all null so far, at the data. ATTN_E_WEIGHTS: message (may be null) says all that is
 * wrong. */
attn_status attn_weights_find(const attn_block_kernel *kernel, const attn_tensor *tensors,
                              int32_t count, attn_weights *out, char *message, size_t size);

/* What is wrong with the given weights, one a line. */
typedef struct attn_problems {
    char *text;
    size_t size, length;
    int count;
} attn_problems;
void attn_problem(attn_problems *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "2, 3" */
void attn_put_dims(char *out, size_t size, int32_t rank, const int64_t *dim);
bool attn_name_ends_in(const char *name, size_t n, const char *suffix, size_t m);
/* With data, and of these dims; and of a type that such rows may have, f32, bf16 or f16 of what
 * `floats` says, if it is not null: else a problem. */
bool attn_tensor_has(const attn_tensor *t, int32_t rank, const int64_t *want, attn_problems *p);
bool attn_tensor_fits(const attn_tensor *t, int32_t rank, const int64_t *want, const char *floats,
                      attn_problems *p);

/* --- Weights of experts (block_experts.c) --- */

/* Takes a tensor whose name is one of experts' weights; false: it is none. */
bool attn_expert_take(const attn_block_kernel *kernel, const attn_tensor *tensor, attn_weights *out,
                      attn_problems *p);
void attn_expert_missing(const attn_block_kernel *kernel, const attn_weights *found,
                         attn_problems *p);

/* --- kv_b_proj in two tensors (block_latent.c) --- */

/* Takes a tensor that is one of them; false: it is none. */
bool attn_latent_take(const attn_block_kernel *kernel, const attn_tensor *tensor, attn_weights *out,
                      attn_problems *p);
void attn_latent_missing(const attn_weights *found, attn_problems *p);

/* Bytes of packed weights; UINT64_MAX: more than that. */
uint64_t attn_packed_total(const attn_block_kernel *kernel);
/* The same of a layer that was created: it fits. */
size_t attn_packed_size(const attn_block_kernel *kernel);
const float *attn_packed_floats(const void *packed);
/* What a run can tell of packed weights without reading all of them. */
attn_status attn_check_packed_header(const attn_why *why, const attn_block_kernel *kernel,
                                     const void *packed);
/* FNV-1a. */
uint64_t attn_name_hash(const char *name, size_t length);

/* --- Caches (block_cache.c) --- */

uint64_t attn_cache_k_bytes(const attn_block_kernel *kernel, const attn_cache *cache);
uint64_t attn_cache_v_bytes(const attn_block_kernel *kernel, const attn_cache *cache);
/* Of k's scales, or v's: so many heads of the cache. */
uint64_t attn_cache_scale_bytes(const attn_block_kernel *kernel, const attn_cache *cache,
                                int32_t heads);
/* Whether a layer's v, if it has one of its own, has scales, and so k. */
bool attn_cache_scaled(const attn_block_kernel *kernel);
/* name: of the argument. */
attn_status attn_check_cache(const attn_why *why, const attn_block *block, const char *name,
                             const attn_cache *cache);
/* And that it has as many items as a call. */
attn_status attn_check_call_cache(const attn_why *why, const attn_block *block,
                                  const attn_cache *cache, int32_t batch);

/* Of the keys so far, how many before a new row's own it, or a later row, may see: what a cache has
 * to keep. ATTN_FAR: all. */
int64_t attn_cache_kept(const attn_block_kernel *kernel);

/* Whether keys lie in pages. */
static inline bool attn_cache_paged(const attn_block_kernel *kernel) {
    return attn_layout_of(kernel->spec)->paged;
}

/* What an item holds of one member of a cache, from its first head's first row on; in pages: the
 * pool. */
typedef struct attn_cache_part {
    int member; /* 0..3: k, v, k_scale, v_scale */
    char *data;
    int32_t heads;
    size_t row, token, head; /* bytes of a row, and from a key, a head to the next */
    const int32_t *pages;    /* the item's; null: keys lie in none */
    int32_t keys;            /* of a page */
} attn_cache_part;

static inline char *attn_part_row(const attn_cache_part *p, int32_t head, int32_t key) {
    int64_t place = key;
    if (p->pages) place = (int64_t)p->pages[key / p->keys] * p->keys + key % p->keys;
    return p->data + (size_t)place * p->token + (size_t)head * p->head;
}

enum { ATTN_CACHE_PARTS = 4 };
/* Of those that the layer has; how many these are. */
int attn_cache_parts(const attn_block_kernel *kernel, const attn_cache *cache, int32_t b,
                     attn_cache_part part[ATTN_CACHE_PARTS]);
/* Rows of an item's member, to those of another one or its own. */
void attn_cache_copy(const attn_cache_part *to, int32_t to_key, const attn_cache_part *from,
                     int32_t from_key, int32_t count);
/* Rows `from`.. of an item become its rows `to`... */
void attn_cache_move(const attn_block_kernel *kernel, attn_cache *cache, int32_t b, int32_t to,
                     int32_t from, int32_t count);
/* attn_cache_keep and attn_cache_fork, and their checks. */
attn_status attn_check_cache_keep(const attn_why *why, const attn_block *block,
                                  const attn_cache *cache, int32_t item, int32_t tokens,
                                  const int32_t *slots, int32_t n);
attn_status attn_own_cache_keep(const attn_block *block, attn_cache *cache, int32_t item,
                                int32_t tokens, const int32_t *slots, int32_t n);
/* Copies the rows of an item's page n to another page, without a look at the table of `page`. */
void attn_cache_copy_page(const attn_block_kernel *kernel, const attn_cache *cache, int32_t item,
                          int32_t n, int32_t page);
attn_status attn_check_cache_own_page(const attn_why *why, const attn_block *block,
                                      const attn_cache *cache, int32_t item, int32_t n,
                                      int32_t page);
attn_status attn_check_cache_fork(const attn_why *why, const attn_block *block,
                                  const attn_cache *from, int32_t from_item, const attn_cache *to,
                                  int32_t to_item);
attn_status attn_own_cache_fork(const attn_block *block, const attn_cache *from, int32_t from_item,
                                attn_cache *to, int32_t to_item);
attn_status attn_check_cache_view(const attn_why *why, const attn_block *block,
                                  const attn_cache *cache, int32_t first, int32_t count,
                                  const attn_cache *view);
attn_status attn_own_cache_view(const attn_block *block, const attn_cache *cache, int32_t first,
                                int32_t count, attn_cache *view);
/* length and start of an item are what they can be. */
attn_status attn_check_held(const attn_why *why, const attn_block_kernel *kernel, const char *name,
                            const attn_cache *cache, int32_t b);

/* --- Pages of caches (block_cache_pages.c) --- */

/* A table is there, and has room for the pages of capacity. */
attn_status attn_check_cache_table(const attn_why *why, const attn_block_kernel *kernel,
                                   const char *name, const attn_cache *cache);
/* Entry n of an item names a page; `as`: why it has to. */
attn_status attn_check_cache_page(const attn_why *why, const char *name, const attn_cache *cache,
                                  int32_t b, int64_t n, const char *as);
/* The pages of an item that hold keys which it, or a later row, sees, of its first `length` keys.
 */
attn_page_run attn_held_pages(const attn_block_kernel *kernel, int32_t length);
/* Of the first `items` of a cache: the pages that are to be written, which have been checked, and
 * those that are held. Each of the former is its item's alone, and stands once in its table. */
typedef struct attn_page_owners {
    const char *name; /* of the cache */
    const attn_cache *cache;
    int32_t items;
    attn_page_run (*written)(const void *ctx, int32_t b), (*held)(const void *ctx, int32_t b);
    const void *ctx;
} attn_page_owners;
attn_status attn_check_owners(const attn_why *why, const attn_page_owners *owners);
/* What a call needs of the table. */
attn_status attn_check_call_pages(const attn_why *why, const attn_block *block,
                                  const attn_block_args *args, const attn_args *core, bool reset);

/* Where an item stands before a call: keys held, the first one's position, keys to let go of. */
typedef struct attn_standing {
    int32_t length, start, drop;
} attn_standing;

/* reset: as if the cache were empty. */
attn_standing attn_cache_stand(const attn_block_kernel *kernel, const attn_cache *cache, int32_t b,
                               int32_t count, bool reset);
/* Moves the keys that stay to the front. */
void attn_cache_let_go(const attn_block_kernel *kernel, attn_cache *cache, int32_t b,
                       const attn_standing *at);

/* --- Calls (block_check.c) --- */

/* Rows of an item. */
static inline int32_t attn_count_of(const attn_block_args *a, int32_t b) {
    if (a->q_begin) return a->q_begin[b + 1] - a->q_begin[b];
    return a->count ? a->count[b] : a->tokens;
}

static inline int32_t attn_kv_count_of(const attn_block_args *a, int32_t b) {
    return a->kv_count ? a->kv_count[b] : a->kv_tokens;
}

/* New keys of an item. */
static inline int32_t attn_new_keys(const attn_spec *s, const attn_block_args *a, int32_t b) {
    if (!attn_spec_has_kv(s)) return attn_count_of(a, b);
    return a->kv ? attn_kv_count_of(a, b) : 0;
}

/* Where an item of this call stands: a prefill, or new keys of a second input, start over. */
static inline attn_standing attn_stand_in(const attn_block_kernel *k, const attn_block_args *a,
                                          int32_t b, bool reset) {
    return attn_cache_stand(k, a->cache, b, attn_new_keys(k->spec, a, b),
                            reset || (attn_spec_has_kv(k->spec) && a->kv));
}

/* In which form an item runs goes by its own rows. Items of one form run together. */
static inline bool attn_expands(const attn_block_kernel *k, int32_t count) {
    return k->expanded && count >= k->expand_from;
}

/* The runtime's own part of the workspace. */
typedef struct attn_block_lists {
    int32_t *row0, *pos0, *held, *begin, *rows; /* as attn_block_call has them */
    attn_block_row *row, *key_row;
    int32_t *seg; /* [rows] of ops that go by segments */
    int32_t
        *position; /* [rows] of layers whose keys are their rows, counted from the first key held */
    uint8_t *padding; /* [batch][keys] of a cache that slides */
    int32_t *pages;   /* [batch][pages of keys] where these lie in the workspace, in pages */
} attn_block_lists;

/* A call that has been checked. */
typedef struct attn_block_checked {
    attn_block_args args; /* of this library's size */
    attn_block_call call;
    attn_block_lists own;
    uint64_t used; /* bytes of the workspace that are the runtime's own */
    int32_t keys;  /* most keys of an item */
} attn_block_checked;

/* Every reason to refuse a call, in the order in which they are told. reset: a prefill. */
/* The memory of a cache, as what a call of so many items writes. */
void attn_areas_add_cache(attn_areas *list, const attn_block_kernel *kernel,
                          const attn_cache *cache, int32_t items);
attn_status attn_block_call_check(const attn_why *why, const attn_block *block,
                                  const attn_block_args *args, bool reset, attn_block_checked *out);

/* --- Entry points of attn.h as whole models call them: see attn_kernel.h --- */
void attn_own_block_destroy(attn_block *block);
attn_status attn_own_block_pack(const attn_block *block, const attn_tensor *tensors, int32_t count,
                                void *packed, size_t packed_bytes, char *message,
                                size_t message_size);
attn_status attn_own_block_workspace(const attn_block *block, const attn_block_args *args,
                                     size_t *bytes);
/* reset: a prefill; else a step. team: of the caller's region, which has as many threads; null: a
 * region of its own. */
attn_status attn_own_block_run(const attn_block *block, const attn_block_args *args, bool reset,
                               attn_team *const *team);
attn_status attn_own_block_check_call(const attn_block *block, const attn_block_args *args,
                                      bool reset, char *message, size_t size);
attn_status attn_own_cache_bytes(const attn_block *block, int32_t batch, int32_t capacity,
                                 size_t *bytes);
attn_status attn_own_cache_init(const attn_block *block, attn_cache *cache, int32_t batch,
                                int32_t capacity, void *memory, size_t bytes);
attn_status attn_own_cache_paged_bytes(const attn_block *block, int32_t batch, int32_t capacity,
                                       int32_t page_count, size_t *bytes);
attn_status attn_own_cache_paged_init(const attn_block *block, attn_cache *cache, int32_t batch,
                                      int32_t capacity, int32_t page_count, void *memory,
                                      size_t bytes);

ATTN_VISIBILITY_END

#endif
