/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* attn_kernel.h - what generated code and the runtime see of each other. Products include attn.h.
 */
#ifndef ATTN_KERNEL_H
#define ATTN_KERNEL_H

#include "compiler.h"
#include "attn.h"
#include "arithmetic.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>

ATTN_HIDDEN_BEGIN

/* Changes whenever a kernel built for an older runtime would misread something below. */
enum { ATTN_KERNEL_ABI = 14 };

typedef enum attn_isa {
#define ATTN_ISA_ROW(id, ...) ATTN_ISA_##id,
#include "isa.def"
    ATTN_ISA_COUNT
} attn_isa;

/* Whether a kernel is taken where ATTN_ISA does not name its instruction set: as isa.def says of
 * the CPU, or as was measured there (a tune file's `unasked`). */
typedef enum attn_unasked { ATTN_UNASKED_BY_CPU, ATTN_UNASKED_YES, ATTN_UNASKED_NO } attn_unasked;

/* The threads of one call (team.c). Null: the calling thread alone. */
typedef struct attn_team attn_team;

/* What an expression sees beside b, h, q, k and s: one batch item of one call. */
typedef struct attn_expr_ctx {
    const attn_args *args;
    int32_t b, q_start, q_len, kv_len; /* kv_len: this item's; args->kv_len_max is Lk */
    const void *const *minmax;         /* per side tensor: its block minima and maxima, or null */
    int32_t rows;                      /* query rows of this item that exist: q_len or fewer */
    int32_t q_row; /* number of its first row in q, o, lse and seg: 0, but of ragged rows */
    int32_t tail;  /* its last keys, which do not stand at their numbers, */
    const int32_t *k_position; /* but here */
} attn_expr_ctx;

/* Rows of ragged calls lie in a row: kernels get no batch strides of q, o, lse, seg, q_position and
 * lists by row, and count from the item's first row. */
static inline int32_t attn_first_row(const attn_args *a, int32_t b) {
    return a->q_begin ? a->q_begin[b] : 0;
}

static inline int32_t attn_row_count(const attn_args *a, int32_t b) {
    return a->q_begin ? a->q_begin[b + 1] - a->q_begin[b] : a->q_len;
}

/* Absolute position of a row. */
static inline int64_t attn_row_position(const attn_expr_ctx *x, int32_t i) {
    const attn_args *a = x->args;
    if (a->q_position) return a->q_position[x->b * a->q_position_batch + x->q_row + i];
    return (int64_t)x->q_start + i;
}

/* And of a key. */
static inline int32_t attn_key_position(const attn_expr_ctx *x, int32_t k) {
    const int32_t i = k - (x->kv_len - x->tail);
    return i < 0 || x->tail == 0 ? k : x->k_position[i];
}

static inline int32_t attn_keys_of(const attn_args *a, int32_t b) {
    return a->kv_len ? a->kv_len[b] : a->kv_len_max;
}

/* Keys at an item's end that have positions of their own, and past the last of these. Layers give
 * no tail: the rows of the call are their last keys, and k_position is q_position. */
static inline int32_t attn_given_tail(const attn_args *a, int32_t b, const int32_t **end) {
    if (!a->k_position) return 0;
    const int32_t n = a->tail ? a->tail[b] : attn_row_count(a, b);
    *end = a->k_position + n;
    *end += a->tail ? b * a->k_position_batch : attn_first_row(a, b);
    return n;
}

/* Of these, from the first on that does not stand at its number. */
static inline int32_t attn_tail_of(const attn_args *a, int32_t b) {
    const int32_t *end = NULL;
    int32_t n = attn_given_tail(a, b, &end);
    while (n > 0 && *(end - n) == attn_keys_of(a, b) - n) n--;
    return n;
}

/* Lays a tail out in a context. */
static inline void attn_set_tail(attn_expr_ctx *x, int32_t tail) {
    const int32_t *end = NULL;
    x->tail = tail;
    if (tail > 0) attn_given_tail(x->args, x->b, &end);
    x->k_position = tail > 0 ? end - tail : NULL;
}

/* The extents of a call, and the rows of all its items. */
static inline attn_extent attn_extent_of(const attn_args *a) {
    attn_extent e = {sizeof e, a->batch, a->q_len, a->kv_len_max, a->threads, 0};
    if (a->q_begin) e.rows = a->q_begin[a->batch] - a->q_begin[0];
    return e;
}

static inline int64_t attn_extent_rows(const attn_extent *e) {
    return e->rows ? e->rows : (int64_t)e->batch * e->q_len;
}

/* How many keys the list of a row names. */
static inline const int32_t *attn_index_count(const attn_args *a, int32_t b, int32_t i) {
    const int32_t first = a->index_by_item ? 0 : attn_first_row(a, b);
    return a->index_count + b * a->index_count_batch + first + i;
}

/* The list of a row of a key head. */
static inline const int32_t *attn_index_of(const attn_args *a, int32_t b, int32_t key_head,
                                           int32_t i) {
    const int64_t row = (a->index_by_item ? 0 : attn_first_row(a, b)) + i;
    return a->index + b * a->index_batch + key_head * a->index_head + row * a->index_row;
}

/* Answer of the tile classifier. */
typedef enum attn_tile_class { ATTN_TILE_NONE, ATTN_TILE_ALL, ATTN_TILE_SOME } attn_tile_class;

/* Positions that a tile covers, all inclusive: absolute query positions q0..q1, heads h0..h1, keys
 * k0..k1. */
typedef struct attn_tile_box {
    int32_t h0, h1, q0, q1, k0, k1;
} attn_tile_box;

/* The expressions of a spec in scalar form, for the reference and for tests. */
typedef struct attn_expr_hooks {
    /* Double-precision value of the score; *oob is set if a side-tensor index that counts is out
     * of range. Null: no score expression. */
    double (*score)(const attn_expr_ctx *x, int32_t h, int32_t q, int32_t k, double s, bool *oob);
    /* Null: no mask expression. */
    bool (*mask)(const attn_expr_ctx *x, int32_t h, int32_t q, int32_t k, bool *oob);
    /* Tile classifier of the mask and closed-form bounds of its visible keys: every visible key of
     * the box has *lo <= k <= *hi. Null with mask. */
    attn_tile_class (*classify)(const attn_expr_ctx *x, const attn_tile_box *box);
    void (*range)(const attn_expr_ctx *x, const attn_tile_box *box, int32_t *lo, int32_t *hi);
    /* They say the same where q, k, q_start and kv_len all grow by one number. */
    bool relative;
} attn_expr_hooks;

/* A side tensor's declaration: dims as in the spec; negative values name an extent. */
enum {
    ATTN_DIM_BATCH = -1,
    ATTN_DIM_HEADS = -2,
    ATTN_DIM_KV_HEADS = -3,
    ATTN_DIM_Q_LEN = -4,
    ATTN_DIM_KV_LEN = -5, /* Lk */
    ATTN_SIDE_RANK = 6
};
typedef struct attn_side_decl {
    const char *name;
    bool is_float;
    int rank;
    int32_t dim[ATTN_SIDE_RANK];
} attn_side_decl;

/* Elements of a side tensor; INT64_MAX where 64 bits do not hold them. */
static inline int64_t attn_side_count(const attn_side_decl *side, int32_t batch, int32_t heads,
                                      int32_t kv_heads, int32_t q_len, int32_t kv_len_max) {
    int64_t count = 1;
    bool none = false;
    for (int i = 0; i < side->rank; i++) {
        const int32_t d = side->dim[i];
        const int64_t n = d >= 0                   ? d
                          : d == ATTN_DIM_BATCH    ? batch
                          : d == ATTN_DIM_HEADS    ? heads
                          : d == ATTN_DIM_KV_HEADS ? kv_heads
                          : d == ATTN_DIM_Q_LEN    ? q_len
                                                   : kv_len_max;
        none = none || n == 0;
        if (__builtin_mul_overflow(count, n, &count)) count = INT64_MAX;
    }
    return none ? 0 : count;
}

/* One generated kernel: a spec on an ISA. */
typedef struct attn_kernel {
    uint32_t abi;
    const char *name; /* file stem and symbol */
    attn_isa isa;
    const attn_spec *spec;
    const attn_expr_hooks *expr; /* null: no expressions */
    const attn_side_decl *sides; /* side_count of them */
    int32_t side_count, scalar_count;
    /* "prefill", "decode", "gather" or "index": which variant runs for q_len query rows. */
    const char *(*variant)(int32_t q_len);
    uint64_t (*workspace)(const attn_extent *extent); /* bytes; UINT64_MAX: more than that */
    /* Arguments have been checked. rows: [batch] query rows of each item that exist, the first ones
     * of its own: others are neither read nor written, and count for nothing. Null: all. team: who
     * does it, of args->threads at most. */
    void (*run)(const attn_args *args, const int32_t *rows, attn_team *team);
    bool (*arithmetic_ok)(void); /* attn_arithmetic_ok, compiled as this kernel was */
    attn_unasked unasked;        /* counts for layers around it, too */
} attn_kernel;

enum { ATTN_IN_PLACE_MOST = 4096 }; /* widest rows of q that o may take the place of */

/* Writes one output row (and its LSE) by the formula in double (reference.c): for rows whose
 * scores, sums or products left the range of f32. */
void attn_reference_row(const attn_kernel *kernel, const attn_args *args, int32_t b, int32_t h,
                        int32_t i);

/* --- Layers --- */

/* A weight of a layer: canonical name and dims. used = false: accepted and ignored. vector: stored
 * in f32, as all of rank 1 are. */
typedef struct attn_weight {
    const char *name;
    int32_t rank;
    int64_t dim[3];
    bool used, vector;
} attn_weight;

/* A weight as it was given: element i of row j is element j * row + i * step of data. A vector's
 * elements are rows of one. */
typedef struct attn_source {
    const void *data;
    const uint8_t *scales; /* of mxfp4 in two tensors: one a block, and data has the codes alone */
    int32_t type;          /* attn_weight_type; in blocks: step is 1, and row is whole blocks */
    int32_t row, step;
    bool split; /* in two tensors */
    /* Rows stand in groups: after so many, so many others'; 0: one after the other. Of matrices and
     * vectors that attn_pack_rows and attn_pack_vector take. */
    int32_t group, skip;
    /* Not null: of two tensors, keys [heads][latent][head[0]] and values [heads][head[1]][latent],
     * seen as [heads][head[0] + head[1]][latent], of which row is latent; type is f32. */
    const struct attn_source *half;
    int32_t head[2];
} attn_source;

/* A packed matrix of k columns: panels of `columns` rows side by side, [k][columns] each. */
typedef struct attn_panels {
    int64_t at; /* floats from the first of the packed weights */
    int32_t type, columns;
    int64_t k;
} attn_panels;

/* A layer's weights on their way into its packed form. */
typedef struct attn_packing {
    const attn_source *weight; /* as attn_block_kernel.weights, then experts': attn_expert_weight */
    float *to;                 /* zeros so far */
    int32_t refused;           /* a weight that cannot be packed, */
    const char *why;           /* and why; null: none */
} attn_packing;

/* n elements of a layer's weight from `at` on, as floats: in place, or in the buffer; and one. */
const float *attn_source_floats(const attn_packing *p, int32_t weight, int64_t at, int64_t n,
                                float *buffer);
double attn_source_at(const attn_packing *p, int32_t weight, int64_t at);

/* n rows of a weight, from `from` on, become those of a packed matrix from `row` on: as they are
 * where both have a type, else rounded to nearest, ties to even. */
void attn_pack_rows(attn_packing *p, const attn_panels *m, int64_t row, int32_t weight,
                    int64_t from, int64_t n);
/* Element (row, i) = x, of which `weight` is a part: rounded once. */
void attn_pack_value(attn_packing *p, const attn_panels *m, int64_t row, int64_t i, int32_t weight,
                     double x);
/* n elements of a weight, from `from` on, become floats from `at` on. */
void attn_pack_vector(attn_packing *p, int64_t at, int32_t weight, int64_t from, int64_t n);

/* A row of a layer's call, of those that exist. */
typedef struct attn_block_row {
    int32_t item, token; /* whose it is, and its number there */
    int32_t place;       /* its number in x, y, q_pos and q_pad: token, but of ragged rows */
} attn_block_row;

/* Extents that size a layer's workspace. */
typedef struct attn_block_extent {
    int32_t batch, tokens, threads;
    int32_t rows, kv_rows; /* of all items, of x and of kv */
    int32_t keys;          /* keys an item that the attention sees at most */
    bool cached;           /* keys live in a cache, not in the workspace */
    uint64_t core_bytes;   /* workspace of the core */
} attn_block_extent;

/* One checked call of a layer, or of those of its items that run alike: the others have no rows. */
typedef struct attn_block_call {
    const attn_block_args *args;
    attn_block_extent extent; /* tokens: of the longest item; rows, kv_rows: those that exist */
    /* Rows that exist, item by item: the layer's own tensors have them in this order. */
    const attn_block_row *row, *key_row; /* [rows] of x, [kv_rows] of kv */
    const int32_t *begin; /* [batch + 1] rows of item b: begin[b] .. begin[b + 1] - 1 */
    const float *packed;  /* past the header */
    attn_out k, v;        /* where keys live: cache; data is null where it is the workspace */
    attn_scales_out k_scale, v_scale; /* theirs, in types that have some */
    int32_t *row0;                    /* [batch] where the new keys go */
    int32_t *pos0;                    /* [batch] absolute position of the first new token */
    int32_t *held;                    /* [batch] keys that exist once the new ones are there */
    int32_t *rows;                    /* [batch] rows that attend: without padding at the end */
    attn_args core;                   /* the core's call, but for q, k, v, o and the workspace */
    /* ATTN_E_INDEX: nothing but keys and the workspace was written. */
    attn_status (*run_core)(const attn_kernel *kernel, const attn_args *args, const int32_t *rows,
                            attn_team *team);
    char *workspace; /* past the lists */
    attn_team *team;
} attn_block_call;

/* One generated layer: a spec on an instruction set. */
typedef struct attn_block_kernel {
    uint32_t abi;
    const char *name;
    attn_isa isa;
    const attn_spec *spec;
    const attn_kernel *core;
    const attn_kernel *expanded; /* runs where an item has expand_from queries or more; or null */
    int32_t expand_from;
    const attn_weight *weights;
    int32_t weight_count;
    int64_t packed_floats;
    /* A key's row and head, in elements: k [kv_heads][D], v [v_heads][Dv]; v_dim = 0: v is k. */
    int32_t k_heads, k_dim, v_heads, v_dim;
    void (*pack)(attn_packing *p);
    uint64_t (*workspace)(const attn_block_extent *e); /* bytes; UINT64_MAX: more than that */
    attn_status (*run)(const attn_block_call *call);   /* what run_core returned */
    bool (*arithmetic_ok)(void);                       /* as a kernel's */
    /* Mixtures of experts, else null and 0: weights of which each expert has one, their first dim
     * being its number. */
    const attn_weight *expert_weights;
    int32_t expert_weight_count, experts;
} attn_block_kernel;

/* The number, in a packing, of an expert's expert_weights[w]. */
static inline int32_t attn_expert_weight(const attn_block_kernel *k, int32_t w, int32_t expert) {
    return k->weight_count + w * k->experts + expert;
}

/* The kernels and layers of a generated model (its registry.c). A program may have several: each
 * adds its own to the list before main, or when its library is opened. */
typedef struct attn_registry {
    const attn_kernel *const *kernel;
    int kernels;
    const attn_block_kernel *const *block;
    int blocks;
    const struct attn_registry *next;
    const attn_spec *layer; /* the model's, which run on its own kernels where others are as good */
    int layers;
} attn_registry;
extern const attn_registry *attn_registries;

/* What of an archive refers to this brings in the first of its models. Not on Windows, whose
 * linkers have no such symbols: there a program has one model. */
#if defined(_WIN32)
#define ATTN_ONE_OF_MANY
#else
#define ATTN_ONE_OF_MANY __attribute__((weak))
#endif
extern const char attn_registry_linked;

/* Before constructors of C++ objects, where systems know an order. */
#if defined(__ELF__)
#define ATTN_AT_START __attribute__((constructor(101)))
#else
#define ATTN_AT_START __attribute__((constructor))
#endif

#define ATTN_INLINE inline __attribute__((always_inline))

/* Before a loop whose length is a constant of at most 16: no loop remains, so that the arrays that
 * it indexes are registers. clang takes a count that is more than the length for no such wish. */
#if defined(__clang__)
#define ATTN_UNROLLED _Pragma("clang loop unroll(full)")
#define ATTN_ROLLED _Pragma("clang loop unroll(disable)")
#else
#define ATTN_UNROLLED _Pragma("GCC unroll 16")
#define ATTN_ROLLED _Pragma("GCC unroll 1")
#endif

/* Where element n of p would lie, perhaps past p's object: an integer, since no pointer may point
 * there. For ATTN_PREFETCH_ of simd/, and nothing else. */
#define ATTN_AHEAD(p, n) ((uintptr_t)(p) + (uintptr_t)(n) * sizeof *(p))

/* Sizes are counted in 64 bits on every target, and stop at UINT64_MAX: no product wraps. */
static inline uint64_t attn_times(uint64_t a, uint64_t b) {
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static inline uint64_t attn_plus(uint64_t a, uint64_t b) {
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* The next `bytes` of a workspace, 64-byte aligned; advances *used. base may be null (sizing). */
static inline void *attn_carve(char *base, uint64_t *used, uint64_t bytes) {
    void *p = base ? base + *used : NULL;
    *used = bytes > UINT64_MAX - 63 ? UINT64_MAX : attn_plus(*used, (bytes + 63) & ~(uint64_t)63);
    return p;
}

/* Whether memory of so many bytes can exist. */
static inline bool attn_size_fits(uint64_t bytes) {
    return bytes <= PTRDIFF_MAX;
}

/* Runs of `size` keys, at multiples of it, that `keys` consecutive ones of `all` touch at most. */
static inline int32_t attn_runs(int64_t keys, int32_t all, int32_t size) {
    const int64_t whole = ((int64_t)all + size - 1) / size;
    const int64_t some = keys < 1 ? 0 : (keys - 1 + size - 1) / size + 1;
    return (int32_t)(keys >= all || some > whole ? whole : some);
}

static inline bool attn_any_nonzero(const uint8_t *p, int32_t n) {
    uint8_t any = 0;
    for (int32_t i = 0; i < n; i++) any |= p[i];
    return any != 0;
}

/* One query row of a run-time mask. */
typedef struct attn_mask_row {
    const void *data;
    int64_t stride;
    bool is_float;
} attn_mask_row;

/* Element stride of dimension d of [batch, head, row, key]: 0 where the mask broadcasts. */
static inline int64_t attn_mask_stride(const attn_mask *mask, int d) {
    const int i = d - (4 - mask->rank);
    return i < 0 || mask->dim[i] == 1 ? 0 : mask->stride[i];
}

static inline attn_mask_row attn_mask_at(const attn_mask *mask, int32_t b, int32_t h, int32_t i) {
    const int64_t at = b * attn_mask_stride(mask, 0) + h * attn_mask_stride(mask, 1) +
                       i * attn_mask_stride(mask, 2);
    const bool is_float = mask->type == ATTN_MASK_F32;
    const void *data = is_float ? (const void *)((const float *)mask->data + at)
                                : (const void *)((const uint8_t *)mask->data + at);
    return (attn_mask_row){data, attn_mask_stride(mask, 3), is_float};
}

/* What the mask adds to the score of key k: -INFINITY hides it. */
static inline float attn_mask_value(const attn_mask_row *row, int32_t k) {
    if (row->is_float) return ((const float *)row->data)[k * row->stride];
    return ((const uint8_t *)row->data)[k * row->stride] ? 0.0f : -INFINITY;
}

/* x = H x for each block of n of `width` numbers, n a power of two that divides it: H[i][j] =
 * (-1)^popcount(i & j) / sqrt(n). In double, so that what cancels rounds little. */
static inline void attn_rotate(double *x, int32_t width, int32_t n) {
    const double factor = 1 / sqrt((double)n);
    for (int32_t half = 1; half < n; half *= 2)
        for (int32_t i = 0; i < width; i += 2 * half)
            for (int32_t j = i; j < i + half; j++) {
                const double a = x[j], b = x[j + half];
                x[j] = a + b;
                x[j + half] = a - b;
            }
    for (int32_t i = 0; i < width; i++) x[i] *= factor;
}

/* --- Threads (team.c) --- */

/* A phase: tasks 0..count-1 on the threads of a team; all are done when it returns. worker is below
 * the numbers of threads and of tasks. Results must not depend on the order, or on who does what.
 */
typedef void attn_task_fn(void *ctx, int64_t task, int worker);
void attn_parallel(attn_team *team, int64_t count, attn_task_fn *fn, void *ctx);

/* The threads that a call asks for, at least 1, but no more than it can have. */
int32_t attn_team_limit(const attn_pool *pool, int32_t threads);
/* Calls fn once, perhaps on another thread, with a team of that many threads, and returns when it
 * has. pool: whose; null: the library's. */
typedef void attn_team_fn(void *ctx, attn_team *team);
void attn_team_run(const attn_pool *pool, int32_t threads, attn_team_fn *fn, void *ctx);

/* --- Entry points of attn.h as this library calls them itself: a public name may belong to another
 * library of the program. --- */
attn_status attn_own_plan_create(attn_plan **out, const attn_spec *spec, uint32_t flags);
void attn_own_plan_destroy(attn_plan *plan);
attn_status attn_own_workspace(const attn_plan *plan, const attn_extent *extent, size_t *bytes);
attn_status attn_own_sizes(const attn_plan *plan, const attn_extent *extent, attn_size *size);
attn_status attn_own_run(const attn_plan *plan, const attn_args *args);
attn_status attn_own_block_create(attn_block **out, const attn_spec *spec, uint32_t flags);

ATTN_VISIBILITY_END

#endif
