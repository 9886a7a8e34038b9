/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* attn.h - the only header a product includes. C11 and C++. What a kernel computes, and what a call
 * has to be given, is in CONTRACT.md: beside this file, or in attn-gen's runtime/.
 *
 *     #include "attn.h"
 *     #include "tiny.h"                                 // written by attn-gen: the filled specs
 *
 *     attn_plan *plan;
 *     if (attn_plan_create(&plan, &tiny_layer[0], 0) != ATTN_OK) return 1;
 *     attn_args a = ATTN_ARGS_INIT;
 *     a.batch = 1; a.q_len = 128; a.kv_len_max = 128;   // extents
 *     a.q = (attn_view){q, 8 * 128 * 64, 128 * 64, 64}; // data and strides: batch, head, token
 *     a.k = ...; a.v = ...; a.o = ...;
 *     size_t bytes;
 *     attn_extent e = {sizeof e, a.batch, a.q_len, a.kv_len_max, a.threads, 0};
 *     attn_workspace(plan, &e, &bytes);
 *     void *memory = malloc(bytes + 63);                // or aligned_alloc, where it exists
 *     a.workspace = attn_align(memory); a.workspace_bytes = bytes;
 *     attn_status st = attn_run(plan, &a);              // O = softmax(scale Q K^T + masks) V
 *     char why[ATTN_MESSAGE_MAX];                       // which argument, and what is allowed
 *     if (st != ATTN_OK) attn_plan_check(plan, &a, why, sizeof why), fprintf(stderr, "%s\n", why);
 *     attn_plan_destroy(plan);
 *
 * Nothing here prints, aborts or takes a lock (where a system has no futex, threads that go to
 * sleep take one). Only attn_plan_create and attn_block_create allocate, and the system where a
 * call starts a thread. A plan is immutable: any number of threads may run it at once, each with
 * its own workspace. The same arguments give the same bits at any thread count, batch size and
 * alignment.
 *
 * Null is allowed for every pointer: the function that gets it does nothing and says so by
 * ATTN_E_ARGUMENT, or by 0 or an empty text where it returns no status.
 *
 * Threads: a call uses at most args.threads; the workspace is for as many. They are the library's
 * own, where it was built with OpenMP (-fopenmp), or the caller's (attn_pool). Of its own a call
 * takes no more than there are CPUs for it (omp_get_num_procs, affinity included) or
 * OMP_THREAD_LIMIT allows, none inside a parallel region of the caller's that allows none, and none
 * that has no task. They begin with the first call that has tasks for them, with the affinity of
 * its thread, and sleep where no call needs them. No call waits for one that has no CPU, unless it
 * has begun a task. 64 calls at a time may have threads, further ones run alone. Since these
 * threads outlive a call, a shared library that holds this code is never unloaded: it is linked
 * with -Wl,-z,nodelete, as the generated Makefile and CMake do, so that dlclose leaves it in place;
 * where there is no such option, do not close it.
 *
 * fork: a child may go on with its parent's plans, blocks, caches and packed weights. Threads are
 * not copied, so once a process has run a call on several threads, calls of its children run on the
 * calling thread alone, with the same bits, until they exec. A child forked before that has threads
 * of its own.
 *
 * Floating point: calls run, on every thread, in the default mode - round to nearest, no traps,
 * subnormal numbers kept - whatever the caller's is, and give the caller back its own, flags
 * included.
 *
 * Sources: Vaswani et al. 2017 (attention); Milakov and Gimelshein 2018, Dao et al. 2022 (online
 * softmax over key blocks); Ainslie et al. 2023 (grouped queries); DeepSeek-AI 2024 (mla). */
#ifndef ATTN_H
#define ATTN_H

#include <stddef.h>
#include <stdint.h>

/* What a shared library shows: the functions and objects of this header and of the model's, and
 * nothing else, whatever -fvisibility says. */
#if defined(__ELF__) || defined(__APPLE__)
#define ATTN_PUBLIC_BEGIN _Pragma("GCC visibility push(default)")
#define ATTN_HIDDEN_BEGIN _Pragma("GCC visibility push(hidden)")
#define ATTN_VISIBILITY_END _Pragma("GCC visibility pop")
#define ATTN_HIDDEN __attribute__((visibility("hidden")))
#else
#define ATTN_PUBLIC_BEGIN
#define ATTN_HIDDEN_BEGIN
#define ATTN_VISIBILITY_END
#define ATTN_HIDDEN
#endif

#ifdef __cplusplus
extern "C" {
#endif
ATTN_PUBLIC_BEGIN

typedef enum attn_status {
    ATTN_OK = 0,
    ATTN_E_ARGUMENT,  /* a required pointer is null, an extent or stride is out of range, or an
                         output overlaps itself or another argument */
    ATTN_E_SPEC,      /* the spec breaks a rule of spec_fields.def */
    ATTN_E_NO_KERNEL, /* no linked kernel has this spec and runs on this CPU (or under ATTN_ISA) */
    ATTN_E_ABI,       /* struct_size or the kernel's ABI number does not fit this runtime */
    ATTN_E_LENGTH,    /* kv_len[b], count[b] or kv_count[b] outside its extent, or q_begin does not
                         ascend or gives an item more rows than its extent */
    ATTN_E_SHAPE,     /* attn_mask or a side tensor does not broadcast to, or fill, its dims */
    ATTN_E_UNUSED, /* an argument is given that this spec does not take (e.g. attn_mask to flex) */
    ATTN_E_WORKSPACE, /* workspace is null, not 64-byte aligned, or smaller than attn_workspace says
                       */
    ATTN_E_INDEX,     /* debug builds: a side-tensor index is out of range at a visible pair */
    ATTN_E_MEMORY,    /* attn_plan_create or attn_block_create could not allocate */
    ATTN_E_WEIGHTS,   /* a weight is missing, unknown or of another shape: see the message */
    ATTN_E_PACKED,    /* packed weights of another layer, ISA or version, or damaged */
    ATTN_E_CACHE, /* a step without a cache, or with one of another layer or batch or without room;
                     an item that cannot go back */
    ATTN_E_ARITHMETIC, /* compiled with options that change floating point, such as -ffast-math */
    ATTN_E_PAGE, /* an entry of pages that is needed lies outside 0..page_count - 1, or names a
                    page that is written and another's, too */
    ATTN_STATUS_COUNT
} attn_status;

/* A sentence in English that says what a status means and which function says more. Never null;
 * static storage. */
const char *attn_status_text(attn_status status);

/* The functions attn_*_check say what another call would: they return the status that it would, and
 * write a sentence that names the argument, its value and what is allowed. Empty: nothing is wrong.
 * At most `size` bytes, the last one 0; message may be null. A check costs what the call's own
 * checks do; calls that are refused write no sentence. */
enum { ATTN_MESSAGE_MAX = 320 }; /* bytes that hold any of these sentences */

typedef enum attn_level { ATTN_LEVEL_CORE, ATTN_LEVEL_BLOCK } attn_level;
typedef enum attn_form { ATTN_FORM_REGULAR, ATTN_FORM_MLA } attn_form;
typedef enum attn_op { ATTN_OP_FULL_SELF, ATTN_OP_SLIDING_SELF, ATTN_OP_SEGMENT_CROSS } attn_op;
typedef enum attn_backend { ATTN_BACKEND_SDPA, ATTN_BACKEND_FLEX } attn_backend;
typedef enum attn_key { ATTN_KEY_PER_HEAD, ATTN_KEY_SHARED } attn_key;
typedef enum attn_layout { ATTN_LAYOUT_DENSE, ATTN_LAYOUT_PAGED } attn_layout;
typedef enum attn_select { ATTN_SELECT_ALL, ATTN_SELECT_INDEX } attn_select;
typedef enum attn_norm { ATTN_NORM_NONE, ATTN_NORM_LAYERNORM, ATTN_NORM_RMSNORM } attn_norm;
typedef enum attn_norm_place {
    ATTN_NORM_PLACE_PRE,
    ATTN_NORM_PLACE_POST,
    ATTN_NORM_PLACE_BOTH,
    ATTN_NORM_PLACE_BRANCH
} attn_norm_place;
typedef enum attn_qk_norm_kind {
    ATTN_QK_NORM_KIND_RMSNORM,
    ATTN_QK_NORM_KIND_LAYERNORM
} attn_qk_norm_kind;
typedef enum attn_qk_norm_over { ATTN_QK_NORM_OVER_HEAD, ATTN_QK_NORM_OVER_ALL } attn_qk_norm_over;
typedef enum attn_qk_norm_place {
    ATTN_QK_NORM_PLACE_BEFORE,
    ATTN_QK_NORM_PLACE_AFTER
} attn_qk_norm_place;
typedef enum attn_qk_norm_weights {
    ATTN_QK_NORM_WEIGHTS_HEAD,
    ATTN_QK_NORM_WEIGHTS_HEADS,
    ATTN_QK_NORM_WEIGHTS_NONE
} attn_qk_norm_weights;
typedef enum attn_o_gate { ATTN_O_GATE_NONE, ATTN_O_GATE_HEAD, ATTN_O_GATE_CHANNEL } attn_o_gate;
typedef enum attn_residual {
    ATTN_RESIDUAL_SERIAL,
    ATTN_RESIDUAL_PARALLEL,
    ATTN_RESIDUAL_NONE
} attn_residual;
typedef enum attn_rope { ATTN_ROPE_NONE, ATTN_ROPE_INTERLEAVED, ATTN_ROPE_HALF } attn_rope;
typedef enum attn_rope_scaling {
    ATTN_ROPE_SCALING_NONE,
    ATTN_ROPE_SCALING_LINEAR,
    ATTN_ROPE_SCALING_LLAMA3,
    ATTN_ROPE_SCALING_YARN,
    ATTN_ROPE_SCALING_LONGROPE
} attn_rope_scaling;
typedef enum attn_ffn {
    ATTN_FFN_NONE,
    ATTN_FFN_SWIGLU,
    ATTN_FFN_GEGLU,
    ATTN_FFN_GEGLU_TANH,
    ATTN_FFN_GELU,
    ATTN_FFN_GELU_TANH,
    ATTN_FFN_RELU,
    ATTN_FFN_EXTERNAL,
    ATTN_FFN_MOE,
    ATTN_FFN_RELU2,
    ATTN_FFN_QUICK_GELU,
    ATTN_FFN_SILU,
    ATTN_FFN_XIELU
} attn_ffn;
typedef enum attn_expert_act { /* as ATTN_FFN_..., and one more */
                               ATTN_EXPERT_ACT_SWIGLU,
                               ATTN_EXPERT_ACT_GEGLU,
                               ATTN_EXPERT_ACT_GEGLU_TANH,
                               ATTN_EXPERT_ACT_GELU,
                               ATTN_EXPERT_ACT_GELU_TANH,
                               ATTN_EXPERT_ACT_RELU,
                               ATTN_EXPERT_ACT_SWIGLU_CLAMPED,
                               ATTN_EXPERT_ACT_RELU2,
                               ATTN_EXPERT_ACT_QUICK_GELU,
                               ATTN_EXPERT_ACT_SILU
} attn_expert_act;
typedef enum attn_router {
    ATTN_ROUTER_SOFTMAX_TOPK,
    ATTN_ROUTER_TOPK_SOFTMAX,
    ATTN_ROUTER_SIGMOID,
    ATTN_ROUTER_SPARSEMIXER
} attn_router;
typedef enum attn_router_bias {
    ATTN_ROUTER_BIAS_NONE,
    ATTN_ROUTER_BIAS_LOGITS,
    ATTN_ROUTER_BIAS_SELECTION
} attn_router_bias;
enum { ATTN_EXPERTS_MOST = 512 }; /* as spec_fields.def says */

/* What elements of a tensor are stored in: the rows of types.def. kv_type: same as type, or one of
 * them. */
#include "types.def"
#define ATTN_TYPE_ID(id, ...) ATTN_TYPE_##id,
#define ATTN_KV_TYPE_ID(id, ...) ATTN_KV_TYPE_##id,
typedef enum attn_type { ATTN_TYPES(ATTN_TYPE_ID) ATTN_TYPE_COUNT } attn_type;
typedef enum attn_kv_type {
    ATTN_KV_TYPE_SAME,
    ATTN_TYPES(ATTN_KV_TYPE_ID) ATTN_KV_TYPE_COUNT
} attn_kv_type;
/* What weights are stored in: the rows of weight_types.def. A layer's matrices: weight_type;
 * weight_rest, auto or one of its floats. */
#include "weight_types.def"
#define ATTN_WEIGHT_ID(id, ...) ATTN_WEIGHT_##id,
#define ATTN_WEIGHT_TYPE_ID(id, ...) ATTN_WEIGHT_TYPE_##id = ATTN_WEIGHT_##id,
#define ATTN_WEIGHT_REST_ID(id, ...) ATTN_WEIGHT_REST_##id,
#define ATTN_MATRIX_ID(id, ...) ATTN_MATRIX_##id,
typedef enum attn_weight_type {
    ATTN_WEIGHT_TYPES(ATTN_WEIGHT_ID) ATTN_WEIGHT_COUNT,
    ATTN_WEIGHT_TYPES(ATTN_WEIGHT_TYPE_ID)
} attn_weight_type;
typedef enum attn_weight_rest {
    ATTN_WEIGHT_REST_AUTO,
    ATTN_FLOAT_WEIGHTS(ATTN_WEIGHT_REST_ID) ATTN_WEIGHT_REST_COUNT
} attn_weight_rest;
/* weight_types[matrix]: 0: as weight_type says; else 1 + attn_weight_type. */
typedef enum attn_matrix { ATTN_MATRICES(ATTN_MATRIX_ID) ATTN_MATRIX_COUNT } attn_matrix;
/* Bits of rows in products with weights in blocks; whether the number of rows leaves no trace. */
typedef enum attn_weight_dot { ATTN_WEIGHT_DOT_F32, ATTN_WEIGHT_DOT_I8 } attn_weight_dot;
typedef enum attn_same_bits { ATTN_SAME_BITS_TRUE, ATTN_SAME_BITS_FALSE } attn_same_bits;
typedef enum attn_o_type { ATTN_O_TYPE_SAME, ATTN_O_TYPE_F32 } attn_o_type;

/* Bits in which products may be formed. AUTO: I16 for keys in i8, else F32. */
typedef enum attn_dot {
    ATTN_DOT_AUTO,
    ATTN_DOT_F32,
    ATTN_DOT_I16,
    ATTN_DOT_BF16,
    ATTN_DOT_I8
} attn_dot;

#define ATTN_UNSET INT32_MIN    /* an integer field that takes its default */
#define ATTN_UNSET_F (-3.0e38f) /* a float field that takes its default */

/* What a kernel computes. One member a row of spec_fields.def, which documents each. */
typedef struct attn_spec {
    uint32_t struct_size;
#define ATTN_FIELD_ENUM(name, ...) int32_t name;
#define ATTN_FIELD_INT(name, ...) int32_t name;
#define ATTN_FIELD_BOOL(name, ...) int32_t name;
#define ATTN_FIELD_FLOAT(name, ...) float name;
#define ATTN_FIELD_TYPES(name, ...) int32_t name[ATTN_MATRIX_COUNT];
#include "spec_fields.def"
    uint32_t expr_hash; /* of the canonical score, mask, tensors and scalars; 0: no expressions */
} attn_spec;

/* Sets struct_size and leaves every field to its default. Then set fields by name. */
void attn_spec_init(attn_spec *spec);

/* As attn_plan_create, for a layer as attn_block_create: which field breaks which rule, or why no
 * linked kernel runs it. */
attn_status attn_spec_check(const attn_spec *spec, uint32_t flags, char *message, size_t size);

/* A tensor: data, of the type that the spec says, and its element strides. The innermost dimension
 * (width) is contiguous. */
typedef struct attn_view {
    const void *data;
    int64_t batch, head, token;
} attn_view;

typedef struct attn_out {
    void *data;
    int64_t batch, head, token;
} attn_out;

/* Scales of a tensor whose type has one a row (i8): [batch, heads, tokens], with element strides. A
 * row's values are its scale times its codes. */
typedef struct attn_scales {
    const float *data;
    int64_t batch, head, token;
} attn_scales;

typedef enum attn_mask_type { ATTN_MASK_NONE, ATTN_MASK_BOOL, ATTN_MASK_F32 } attn_mask_type;

/* Run-time mask (sdpa), right-aligned to [batch, heads, q_len, kv_len_max]: dim[rank - 1] is the
 * key dimension. Sizes of 1 broadcast. bool (one byte): nonzero = visible. f32: added to the score;
 * -inf, or -1e30 and less, hides the key. */
typedef struct attn_mask {
    const void *data;
    int32_t type;              /* attn_mask_type */
    int32_t rank;              /* 1..4 */
    int64_t dim[4], stride[4]; /* elements; the first `rank` entries are used */
} attn_mask;

/* Side tensor of a flex spec: dense, row-major, i32 or f32 as declared. count: its elements, at
 * most 2^31 - 1 (kernels index with 32 bits); more is ATTN_E_ARGUMENT. */
typedef struct attn_side {
    const void *data;
    int64_t count;
} attn_side;

typedef union attn_scalar {
    int32_t i32;
    float f32;
} attn_scalar;

/* Extents that size a workspace. */
typedef struct attn_extent {
    uint32_t struct_size;
    int32_t batch, q_len, kv_len_max;
    int32_t threads; /* as in attn_args */

    /* Callers whose struct_size ends here have none. */
    int32_t rows; /* of ragged calls: rows of all items, at most batch * q_len; 0: batch * q_len */
} attn_extent;

/* Threads of the caller's own, instead of the library's: `run` calls work(job) at least once and at
 * most `threads` times, on any threads, the calling one among them or not, at the same time or one
 * after the other, and returns when all these calls have returned. The first of them leads: it does
 * the whole call, and has no need of the others; they help it meanwhile, asleep where there is
 * nothing to do, and one that comes too late returns at once. A call of this library runs one such
 * region. With OpenMP, say:
 *
 *     static void run(void *ctx, int32_t threads, void (*work)(void *job), void *job) {
 *     #pragma omp parallel num_threads(threads)
 *         work(job);
 *     }
 *
 * Neither CPUs nor OpenMP nor a fork bound args.threads then, but 4094; it works in libraries built
 * without OpenMP, too. threads of 0 or 1: run is not called. */
typedef struct attn_pool {
    uint32_t struct_size;
    void (*run)(void *ctx, int32_t threads, void (*work)(void *job), void *job);
    void *ctx; /* for run */
} attn_pool;

/* One call. All pointers are the caller's; nothing is kept after the call returns. */
typedef struct attn_args {
    uint32_t struct_size;
    int32_t batch, q_len, kv_len_max; /* B, Lq, Lk; 0 is allowed */
    int32_t threads; /* at most this many, 0..65536; 0 or 1: the calling thread alone */

    attn_view q; /* [B, heads,    Lq, D]  */
    /* Fastest where k and v do not start a large power of two apart, which makes one bank of memory
     * serve both: 64 KB more are enough. */
    attn_view k; /* [B, kv_heads, Lk, D]  */
    attn_view v; /* [B, v_heads,  Lk, Dv]; may be the same memory as k */
    /* [B, heads, Lq, Dv]. Rows must not overlap: of the strides that are in use, each is at least
     * the span of the smaller ones. o may be q itself (same data, same strides, Dv <= D <= 4096);
     * o, lse and the workspace share memory with no other argument and not with each other. */
    attn_out o;

    float *lse; /* [B, heads, Lq] natural log, token stride 1; null: not wanted */
    int64_t lse_batch, lse_head;

    const int32_t *q_start; /* [B] absolute position of query row 0; null: 0 */
    const int32_t *kv_len;  /* [B] keys that exist, 0..kv_len_max; null: kv_len_max */
    const int32_t *seg;     /* segment_cross: [B, Lq], row stride seg_batch, element stride 1 */
    int64_t seg_batch;
    const uint8_t *key_padding; /* [B, Lk], nonzero = padding; null: none */
    int64_t key_padding_batch;
    attn_mask mask;     /* sdpa only; type ATTN_MASK_NONE: none */
    const float *sinks; /* [heads], where the spec says sinks */

    const attn_side *side; /* flex: in the order in which the spec declares them */
    int32_t side_count;
    int32_t scalar_count;
    const attn_scalar *scalars;

    void *workspace; /* 64-byte aligned */
    size_t workspace_bytes;

    /* Callers whose struct_size ends here have none. */
    /* Of types with scales, i8; data is null with all others. key = shared: k_scale serves V too,
     * and v_scale is null. V's scales must be finite below kv_len[b]; those of hidden keys of K may
     * be anything. */
    attn_scales k_scale, v_scale;

    /* Callers whose struct_size ends here have none. */
    const attn_pool *pool; /* null: threads of the library's */

    /* Callers whose struct_size ends here have none. Each is null where the spec does not take it:
     * else ATTN_E_UNUSED. */
    /* layout = paged: int32 [B, pages of kv_len_max], element stride 1; each entry 0..page_count -
     * 1 */
    const int32_t *pages; /* fastest where token is the largest stride within a page */
    int64_t pages_batch;
    int32_t page_count;
    /* select = index: the keys of a row, [B, kv_heads, Lq, n], n < index_count[B, Lq], summed in
     * this order; negative numbers, and kv_len and more, name none */
    const int32_t *index, *index_count;
    int64_t index_batch, index_head, index_row; /* element stride of n: 1 */
    int64_t index_count_batch;                  /* row stride 1 */
    /* Ragged rows: [B + 1], ascending, from 0 or more on. Rows of item b are q_begin[b] ..
     * q_begin[b + 1] - 1 of q, o, lse and seg, whose batch strides are not used; q_len is the most
     * rows that an item may have. Rows of masks and q_len in expressions are the item's own. */
    const int32_t *q_begin;
    /* Positions of rows, [B, Lq] (ragged: by row), instead of q_start + i; and of the last tail[b]
     * keys, [B, most of tail], which else stand at their numbers: 0 .. 2^31 - 2. Row strides 1. Op
     * rules compare positions; expressions have them as q and k_pos, and numbers of keys as k. tail
     * and k_position go together, and not with ops that go by segments. */
    const int32_t *q_position, *tail, *k_position;
    int64_t q_position_batch, k_position_batch;

    /* Callers whose struct_size ends here have none. */
    /* Nonzero: index and index_count lie by item, [B, kv_heads, Lq, n] and [B, Lq] with all of
     * their strides, where rows are ragged, too. 0: by row there, like q. */
    int32_t index_by_item;
} attn_args;

#ifdef __cplusplus
#define ATTN_ARGS_INIT attn__args_init()
static inline attn_args attn__args_init() {
    attn_args a = {};
    a.struct_size = sizeof a;
    return a;
}
#else
#define ATTN_ARGS_INIT ((attn_args){.struct_size = sizeof(attn_args)})
#endif

typedef struct attn_plan attn_plan;

enum {
    ATTN_REFERENCE = 1u /* run the double-precision reference instead of a compiled kernel */
};

/* Finds the best linked kernel for `spec` on this CPU. Reads the environment: ATTN_ISA=NAME
 * (portable, avx2 ..) caps the choice, ATTN_VERBOSE=1 prints it to stderr. *out is null on any
 * error. */
attn_status attn_plan_create(attn_plan **out, const attn_spec *spec, uint32_t flags);
void attn_plan_destroy(attn_plan *plan);

/* Bytes that attn_run needs at these extents (0 is possible). Grows at most linearly in batch,
 * heads and lengths, where a window bounds what rows see in q_len and the window rather than in
 * kv_len_max; smaller extents never need more. ATTN_E_ARGUMENT where size_t cannot hold them. */
attn_status attn_workspace(const attn_plan *plan, const attn_extent *extent, size_t *bytes);

/* The first 64-byte aligned address from `memory` on; null for null. Workspaces, packed weights and
 * caches start at one: of malloc(bytes + 63), since not every C library has aligned_alloc. */
static inline void *attn_align(void *memory) {
    return memory ? (char *)memory + (64 - (uintptr_t)memory % 64) % 64 : memory;
}

/* What a call at some extents needs. */
typedef struct attn_size {
    int64_t q, k, v, o, lse; /* elements of dense tensors, in the types of the spec */
    size_t workspace;        /* bytes, as attn_workspace */
} attn_size;
attn_status attn_sizes(const attn_plan *plan, const attn_extent *extent, attn_size *size);

/* What goes with the keys of such a call. */
typedef struct attn_key_size {
    int64_t k_scale, v_scale; /* floats of dense scales; 0: there are none, or k_scale is V's too */
    int64_t pages;            /* entries of a page table of the whole batch; 0: it takes none */
} attn_key_size;
attn_status attn_key_sizes(const attn_plan *plan, const attn_extent *extent, attn_key_size *size);

attn_status attn_extent_check(const attn_plan *plan, const attn_extent *extent, char *message,
                              size_t size);

/* Runs one call. Checks every argument first: on any status but ATTN_OK nothing was written. */
attn_status attn_run(const attn_plan *plan, const attn_args *args);
/* attn_run's checks, but for ATTN_E_INDEX, which takes a call. */
attn_status attn_plan_check(const attn_plan *plan, const attn_args *args, char *message,
                            size_t size);

/* Name of the kernel that attn_run uses for this many query rows, "NAME:variant" with variant
 * prefill, decode, gather, index or reference ("NAME" alone: a variant that this runtime does not
 * know); valid as long as the plan. No plan: "". */
const char *attn_plan_kernel(const attn_plan *plan, int32_t q_len);

/* --- Attention over keys that several calls have seen --- */

/* What one call has found over its keys. */
typedef struct attn_part {
    attn_view o;      /* f32 [batch, heads, q_len, v_dim] */
    const float *lse; /* [batch, heads, q_len] natural log, token stride 1 */
    int64_t lse_batch, lse_head;
} attn_part;

typedef struct attn_merge_args {
    uint32_t struct_size;
    int32_t batch, heads, q_len, v_dim; /* 0 is allowed */
    int32_t part_count;
    const attn_part *parts;
    attn_out o; /* f32 [batch, heads, q_len, v_dim] */
    float *lse; /* [batch, heads, q_len], token stride 1; null: not wanted */
    int64_t lse_batch, lse_head;
} attn_merge_args;

/* Attention of the same queries over all keys from their attention over disjoint sets of them, such
 * as a prefix that many items share and what each has of its own: with w = exp(lse - the largest
 * lse) of each part, o = sum(w * o) / sum(w) and lse = the largest + log(sum(w)), in double, in the
 * order of the parts, rounded once. A part with lse = -inf (no visible key) adds nothing, whatever
 * its o is; where all are so, or there is no part, o = 0 and lse = -inf. An lse of NaN makes the
 * row NaN. Of specs with sinks at most one part may come from a call that has them. o may be a
 * part's o, and lse its lse (same data and strides); else what is written lies apart from all that
 * is read. Runs on the calling thread; calls may run side by side on rows that lie apart. Checks
 * first: on any status but ATTN_OK (ATTN_E_ARGUMENT, ATTN_E_ABI) nothing was written. Source: Dao
 * et al. 2023, split keys (Flash-Decoding); Juravsky et al. 2024 (Hydragen).
 * Queries of many items over a prefix that they share are rows of one item, whose q_start is at
 * least kv_len: CONTRACT.md, Keys in parts. */
attn_status attn_merge(const attn_merge_args *args);
attn_status attn_merge_check(const attn_merge_args *args, char *message, size_t size);

/* --- Keys and values as a core stores them --- */

typedef enum attn_operand { ATTN_OPERAND_K, ATTN_OPERAND_V } attn_operand;

typedef struct attn_scales_out {
    float *data;
    int64_t batch, head, token;
} attn_scales_out;

/* Rows of K or V in f32, and where they go. All pointers are the caller's. */
typedef struct attn_rows {
    uint32_t struct_size;
    int32_t batch, tokens;
    attn_view from; /* f32: [batch, heads of the operand, tokens, its width] */
    attn_out to;    /* the same rows, as the plan's core takes them; strides in its elements */
    attn_scales_out
        scale; /* of types with scales: [batch, heads, tokens]; data is null with others */

    /* Callers whose struct_size ends here have none. layout = paged, and null with others: `to` and
     * `scale` are then the pools (batch: between pages), and item b's token i becomes key first[b]
     * + i of the pages that its table names. first: null: 0. */
    const int32_t *pages, *first;
    int64_t pages_batch;
    int32_t page_count;
} attn_rows;

/* Stores rows as the core reads them: rounded to its type, to nearest, ties to even; in i8 each row
 * by its largest number ("Storage types" of CONTRACT.md), and with `rotate` keys rotated
 * first. An append writes the new tokens' rows: `to` and `scale` start at the first of them. A row
 * of i8 that is not finite gets scale NaN and codes 0. key = shared: V is the front of K's rows,
 * and only these are stored. Entries of pages that the rows go to must be from 0 to page_count - 1,
 * else ATTN_E_PAGE; `from` lies outside the pools; where items share a page, the last one's row
 * stays. Runs on the calling thread; calls may run side by side on rows that
 * lie apart. Checks first: on any status but ATTN_OK nothing was written. */
attn_status attn_store_rows(const attn_plan *plan, attn_operand operand, const attn_rows *rows);
attn_status attn_store_check(const attn_plan *plan, attn_operand operand, const attn_rows *rows,
                             char *message, size_t size);

/* --- Whole layers: specs with level = block --- */

/* A layer around its attention: norms, projections, RoPE, attention, output projection, residuals
 * and feed-forward, as the spec says (Shazeer 2020 for the gated ffn; Su et
 * al. 2021 for RoPE; Peng et al. 2023 for yarn). Weights are packed once; caches, workspace and
 * packed weights are the caller's memory. Like a plan, a block is immutable: any number of threads
 * may run it at once, each with its own cache and workspace.
 *
 *     attn_block_create(&block, &spec, 0);
 *     attn_block_pack(block, tensors, count, packed, attn_block_packed_bytes(block), text, size);
 *     attn_cache_init(block, &cache, batch, capacity, memory, bytes);    // attn_cache_bytes
 *     attn_block_prefill(block, &args);  attn_block_step(block, &args);  // y = layer(x) */
typedef struct attn_block attn_block;

/* A weight as PyTorch stores it: row-major, linear layers as [out, in]. */
typedef struct attn_tensor {
    const char *name;
    const void *data;
    int32_t rank;
    int64_t dim[4];
    int32_t type; /* attn_weight_type of data; rows are whole blocks, vectors f32, bf16 or f16 */
} attn_tensor;

/* Keys and values of the tokens so far, in memory of the caller's that attn_cache_init shares out.
 * k: [batch, kv_heads, capacity, D], after RoPE and `rotate`; v: [batch, v_heads, capacity, Dv].
 * mla: k holds the retrieval keys and v the latent rows; with key = shared v is k, rows of [latent
 * | rotated by RoPE]. Copying the members and the memory copies the cache.
 *
 * layout = paged: k is a pool, [page_count, page, kv_heads, D], v and the scales likewise, and key
 * j of item b is row j % page of page pages[b * pages_batch + j / page]. The table is the caller's
 * to write between calls, and may be memory of his (one for the caches of all layers of a model,
 * say): entries outside 0 .. page_count - 1 name no page. A call needs the pages that the op shows
 * to its rows and those that the new keys go to; it looks at no others. Items may share pages that
 * are full (attn_cache_fork). A page that is written has one owner: it stands once in its item's
 * table, and in no other item's of the cache, of the pages from attn_cache_first_page on; else
 * ATTN_E_PAGE. start is 0, and keys keep their numbers: a sliding item lets go of keys where the
 * caller unmaps the pages before attn_cache_first_page. */
typedef struct attn_cache {
    uint32_t struct_size;
    int32_t batch, capacity;
    void *k, *v;
    int32_t *length; /* [batch] keys held */
    int32_t *start;  /* [batch] absolute position of the first of them: a sliding cache lets go of
                        what no later query sees */
    uint64_t layer;  /* which spec it is for: other layers refuse the cache */

    /* Of caches whose struct_size goes beyond here; all others hold f32, without scales. */
    int32_t type;             /* attn_type of k and v */
    float *k_scale, *v_scale; /* [batch, heads, capacity], of types with scales; else null. key =
                                 shared: k_scale serves v too, and v_scale is null */

    /* Of caches in pages, whose struct_size goes beyond here. */
    int32_t *pages;      /* [batch, pages of capacity] */
    int64_t pages_batch; /* at least the pages of capacity */
    int32_t page_count;  /* of the pools */
} attn_cache;

/* One call. Rows are contiguous; batch and token strides in elements. */
typedef struct attn_block_args {
    uint32_t struct_size;
    int32_t batch, tokens; /* rows an item */
    int32_t threads;       /* as in attn_args */
    const float *x;        /* [batch, tokens, d_model or q_dim] */
    int64_t x_batch, x_token;
    /* Likewise. May be x itself (same data, same strides). Rows must not overlap: y_token is at
     * least d_model (q_dim), or the larger of two strides where items lie within tokens. y, the
     * cache and the workspace share memory with no other argument and not with each other. */
    float *y;
    int64_t y_batch, y_token;
    const int32_t *count; /* [batch] rows that exist, 0..tokens; null: tokens. Others are neither
                             read nor written */
    attn_cache *cache;    /* null: prefill alone, keys are those of this call */
    /* [batch, positions] nonzero: the key at that absolute position is padding. It has to cover all
     * keys held, not only new ones. Null: none. */
    const uint8_t *key_padding;
    int64_t key_padding_batch;
    attn_mask mask; /* sdpa: [batch, heads, tokens, keys], key 0 being the first key held */
    /* segment_cross, and full_self with kv_dim: the key side. With a cache, steps may leave kv out
     * and see the keys of the prefill. */
    const float *kv; /* [batch, kv_tokens, kv_dim] */
    int64_t kv_batch, kv_token;
    int32_t kv_tokens;
    const int32_t *kv_count; /* [batch] rows of kv that exist; null: kv_tokens */
    const int32_t *seg;      /* segment_cross: [batch, tokens], as in attn_args */
    int64_t seg_batch;
    /* Where keys come from kv: positions for RoPE, [batch, tokens] and [batch, kv_tokens]; batch
     * stride 0 shares one row. Null: 0, 1, 2.., also in a step. */
    const int32_t *q_pos, *kv_pos;
    int64_t q_pos_batch, kv_pos_batch;
    const uint8_t *q_pad; /* [batch, tokens] nonzero: the row of y is 0; null: none */
    int64_t q_pad_batch;
    const attn_side *side; /* flex, as in attn_args */
    int32_t side_count;
    int32_t scalar_count;
    const attn_scalar *scalars;
    const void *packed; /* of attn_block_pack, 64-byte aligned */
    void *workspace;    /* 64-byte aligned */
    size_t workspace_bytes;

    /* Callers whose struct_size ends here have none. */
    const attn_pool *pool; /* as in attn_args: one region a call */

    /* Callers whose struct_size ends here have none. */
    /* [batch + 1] ascending, from 0 or more on: rows lie in a row, those of item b as rows
     * q_begin[b] .. q_begin[b + 1] - 1 of x, y, seg, q_pos and q_pad, whose batch strides are not
     * used. tokens is the most rows that an item may have, and count is null. Null: [batch,
     * tokens], with count. */
    const int32_t *q_begin;
    /* Positions of rows, [batch, tokens] (ragged: by row), where they are not start + length on,
     * one by one: for RoPE, the op's rule, and q and k_pos of expressions. The new keys stand at
     * them, too. So rows of a draft's tree share positions; a mask hides from each what is not on
     * its path. Not negative; where a cache lets go of keys, at least start + length. Not of layers
     * with kv. */
    const int32_t *q_position;
    int64_t q_position_batch;

    /* Callers whose struct_size ends here have none. Null where the spec does not take them: else
     * ATTN_E_UNUSED. */
    /* select = index: the keys of a row, [batch, kv_heads, tokens, n] (mla: a key head a head, or
     * one where key = shared; ragged: by row), n < index_count[batch, tokens], summed in this
     * order. Keys are numbered from 0, as rows of the item, or of kv, come to the layer; a step's
     * lists go on from those that the cache holds. Negative numbers, and those that the item does
     * not have yet, name none. Of rows that exist alone; a call without keys may have none. */
    const int32_t *index, *index_count;
    int64_t index_batch, index_head, index_row; /* element stride of n: 1 */
    int64_t index_count_batch;                  /* row stride 1 */
} attn_block_args;

#ifdef __cplusplus
#define ATTN_BLOCK_ARGS_INIT attn__block_args_init()
static inline attn_block_args attn__block_args_init() {
    attn_block_args a = {};
    a.struct_size = sizeof a;
    return a;
}
#else
#define ATTN_BLOCK_ARGS_INIT ((attn_block_args){.struct_size = sizeof(attn_block_args)})
#endif

/* Finds the best linked layer for `spec` on this CPU, and the core kernel of the same instruction
 * set; reads ATTN_ISA and ATTN_VERBOSE. ATTN_REFERENCE runs the attention itself (not the
 * projections) on the reference. *out is null on any error. */
attn_status attn_block_create(attn_block **out, const attn_spec *spec, uint32_t flags);
void attn_block_destroy(attn_block *block);
/* Name of the layer's kernel, valid as long as the block. No block: "". */
const char *attn_block_name(const attn_block *block);

/* Arrays of attn_tensor carry no size, and its elements have grown a type. The functions that take
 * them have a new name in libraries, so that a program which was compiled before finds none of the
 * old name, instead of one that misreads its array. */
#define attn_block_weights attn_block_weights_typed
#define attn_block_pack attn_block_pack_typed

/* The weights that the layer takes, by their canonical names; data is null. Writes at most
 * `capacity` rows, none where list is null, and returns how many there are. No block: 0. */
int32_t attn_block_weights(const attn_block *block, attn_tensor *list, int32_t capacity);

/* Bytes of packed weights, a multiple of 64. No block: 0. */
size_t attn_block_packed_bytes(const attn_block *block);

/* Packs weights for the kernels and folds what can be folded. Names may be canonical, the
 * reference's, Hugging Face's or GGUF's, with any prefix up to a dot; fused tensors (qkv, w1,
 * gate_up_proj ..) fill several weights. Matrices are stored as weight_type of the spec says: of
 * the same type as they are, of others rounded to nearest, ties to even; folds in double, rounded
 * once; all else is f32. On ATTN_E_WEIGHTS `message` (may be null) says everything that is wrong:
 * unknown names, wrong shapes, missing and doubled weights (nothing was written), or one that holds
 * a finite number too large for its type; on other statuses, which argument is. packed: 64-byte
 * aligned. The result holds no pointers: it may be saved, and mapped back on a machine of the same
 * byte order and instruction set. */
attn_status attn_block_pack(const attn_block *block, const attn_tensor *tensors, int32_t count,
                            void *packed, size_t packed_bytes, char *message, size_t message_size);
/* Whether packed weights fit this block (ATTN_E_PACKED: another spec, ISA, version or size, or the
 * checksum differs). Reads all of it; runs check the header only. */
attn_status attn_block_check(const attn_block *block, const void *packed, size_t packed_bytes);
attn_status attn_packed_check(const attn_block *block, const void *packed, size_t packed_bytes,
                              char *message, size_t size);

/* Fewest keys an item that a cache has to hold for `total` tokens, appended at most `chunk` at a
 * time: total, or window + chunk where the layer slides (and no expression sees the number of a
 * key: CONTRACT.md, Caches). More is fine, and moves kept keys to the front less often: a sliding
 * cache of 2 * window moves one row a token. 0: no block, or a negative argument. */
int32_t attn_cache_capacity(const attn_block *block, int32_t total, int32_t chunk);
attn_status attn_cache_bytes(const attn_block *block, int32_t batch, int32_t capacity,
                             size_t *bytes);
/* memory: 64-byte aligned, `bytes` long. The cache is empty. */
attn_status attn_cache_init(const attn_block *block, attn_cache *cache, int32_t batch,
                            int32_t capacity, void *memory, size_t bytes);
/* What attn_cache_bytes and attn_cache_init would say of this memory. */
attn_status attn_cache_memory_check(const attn_block *block, int32_t batch, int32_t capacity,
                                    const void *memory, size_t bytes, char *message, size_t size);
/* Caches in pages. attn_cache_bytes and attn_cache_init above make one whose items have all of
 * their pages, each its own; these make pools of `page_count` pages, and a table that names none:
 * which item has which is the caller's business. capacity: the most keys that an item's table can
 * name. Layers of another layout: ATTN_E_UNUSED. */
attn_status attn_cache_paged_bytes(const attn_block *block, int32_t batch, int32_t capacity,
                                   int32_t page_count, size_t *bytes);
attn_status attn_cache_paged_init(const attn_block *block, attn_cache *cache, int32_t batch,
                                  int32_t capacity, int32_t page_count, void *memory, size_t bytes);
attn_status attn_cache_paged_memory_check(const attn_block *block, int32_t batch, int32_t capacity,
                                          int32_t page_count, const void *memory, size_t bytes,
                                          char *message, size_t size);
/* Pages that hold the first `tokens` keys of an item. 0: another layout, no block, or a negative
 * number. */
int32_t attn_cache_pages(const attn_block *block, int32_t tokens);
/* What a page takes of the pools together: rows of k and v, and scales. */
attn_status attn_cache_page_bytes(const attn_block *block, size_t *bytes);
/* The first page of an item that a later row may see: earlier entries of its table are not looked
 * at again, unless tokens are taken back. 0 where the layer does not slide, or the cache is none of
 * this layer's in pages or has no such item. */
int32_t attn_cache_first_page(const attn_block *block, const attn_cache *cache, int32_t item);
/* Whether a call of `batch` items takes this cache. */
attn_status attn_cache_check(const attn_block *block, const attn_cache *cache, int32_t batch,
                             char *message, size_t size);

/* --- Items of a cache between calls. Nothing is allocated. On any status but ATTN_OK nothing was
 * written; a cache of another layer, or one that is damaged, is ATTN_E_CACHE, and a wrong item,
 * number or overlap ATTN_E_ARGUMENT. Calls may run side by side, and beside layers, on items that
 * lie apart. --- */

/* Items first..first + count - 1 of a cache as a cache of `count` items: its members point into the
 * same memory, so that what is done to one is done to the other. `first` may be cache->batch, where
 * count is 0. view: as large as the cache's struct_size says; may be `cache` itself. */
attn_status attn_cache_view(const attn_block *block, const attn_cache *cache, int32_t first,
                            int32_t count, attn_cache *view);
/* Takes tokens back: the item's first `tokens` stay, counted from its beginning (start + length of
 * them are there), and the next one has position `tokens`. 0 empties the item, whatever it was. A
 * sliding item that has let go of keys (start > 0) lacks those that an early row would see: other
 * numbers below start + window are ATTN_E_CACHE, unless nothing changes. */
attn_status attn_cache_truncate(const attn_block *block, attn_cache *cache, int32_t item,
                                int32_t tokens);
/* As truncate, but of the tokens that follow the first `tokens`, the n of `slots` stay as well and
 * close up: a draft's accepted rows. slots ascend and count from the first that follows, 0 (rows of
 * the call that appended them, say). Keys are moved as they are, so each was given the position
 * that it has afterwards, or has no RoPE. A sliding item with start > 0 needs tokens >= start, and
 * tokens + n >= start + window, or that nothing changes. */
attn_status attn_cache_keep(const attn_block *block, attn_cache *cache, int32_t item,
                            int32_t tokens, const int32_t *slots, int32_t n);
/* Makes an item a copy of another one of this cache, or of another cache of the same layer (then
 * the capacities may differ): its keys, length and start. What the item held is gone. Where `to`
 * has less room than there are keys, a sliding item's newest are copied; ATTN_E_CACHE where keys
 * that later rows see find no room. An item may be its own copy, else they lie apart.
 *
 * In pages: where both have the same pools, the entries of all full pages are copied, so that both
 * items share them, and of a last page that is not full the rows, to the page that the table of
 * `to` names there, which is to be its own. Where the pools differ, all rows are copied, to pages
 * of to's. What the table of `to` named before is the caller's to free, and who counts the owners
 * of a page counts one more. Needed are pages from attn_cache_first_page on. */
attn_status attn_cache_fork(const attn_block *block, const attn_cache *from, int32_t from_item,
                            attn_cache *to, int32_t to_item);
/* Copy on write, in pages: page n of an item, which it shares and is to be written, becomes its
 * own. The rows that it has there are copied to `page`, which is nobody's, and the table names
 * that. (A fork does so with a last page that is not full; what is taken back may end within a
 * shared one.) Other layouts: ATTN_E_UNUSED. ATTN_E_PAGE: `page` is none, or another entry's, of
 * those that items of the cache need; or entry n is none. */
attn_status attn_cache_own_page(const attn_block *block, attn_cache *cache, int32_t item, int32_t n,
                                int32_t page);
attn_status attn_cache_own_page_check(const attn_block *block, const attn_cache *cache,
                                      int32_t item, int32_t n, int32_t page, char *message,
                                      size_t size);
attn_status attn_cache_view_check(const attn_block *block, const attn_cache *cache, int32_t first,
                                  int32_t count, const attn_cache *view, char *message,
                                  size_t size);
attn_status attn_cache_truncate_check(const attn_block *block, const attn_cache *cache,
                                      int32_t item, int32_t tokens, char *message, size_t size);
attn_status attn_cache_keep_check(const attn_block *block, const attn_cache *cache, int32_t item,
                                  int32_t tokens, const int32_t *slots, int32_t n, char *message,
                                  size_t size);
attn_status attn_cache_fork_check(const attn_block *block, const attn_cache *from,
                                  int32_t from_item, const attn_cache *to, int32_t to_item,
                                  char *message, size_t size);

/* Bytes that a call with these batch, tokens, kv_tokens, threads and cache needs; pointers but the
 * cache are not looked at. */
attn_status attn_block_workspace(const attn_block *block, const attn_block_args *args,
                                 size_t *bytes);

/* prefill empties the cache first; step appends. Both write a row of y for each row of x, append
 * keys, and take any number of tokens: prefill(all) and prefill(some) + steps give the same rows.
 * The rows of x are the layer's newest tokens: item b's first has position start[b] + length[b].
 * On any status but ATTN_OK nothing was written. But ATTN_E_INDEX, which can only be told once the
 * new keys exist, may have used the workspace, and leaves the cache without the new keys. (Latent
 * layers run items of few and of many rows one after the other: then rows of y of the few may have
 * been written.) */
attn_status attn_block_prefill(const attn_block *block, const attn_block_args *args);
attn_status attn_block_step(const attn_block *block, const attn_block_args *args);
/* Their checks, but for ATTN_E_INDEX. */
attn_status attn_prefill_check(const attn_block *block, const attn_block_args *args, char *message,
                               size_t size);
attn_status attn_step_check(const attn_block *block, const attn_block_args *args, char *message,
                            size_t size);

/* --- For languages that do not compile this header, such as the generated NAME.py --- */

/* sizeof a struct or union of this header, by its name: "attn_args"; 0: there is none. */
size_t attn_struct_bytes(const char *name);
/* A number that changes whenever kernels and runtimes of different times do not fit each other. */
int32_t attn_abi(void);

ATTN_VISIBILITY_END
#ifdef __cplusplus
}
#endif
#endif
