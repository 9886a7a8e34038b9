/* call.h - one attention problem in plain dense arrays, and runs of it in guarded memory under any
 * layout. A run sees nothing but what the contract lets it see. */
#ifndef VERIFY_CALL_H
#define VERIFY_CALL_H

#include "build.h"

/* Dense and row-major; q, k and v of the spec's storage types. Null: absent. */
typedef struct call {
    const kernel_spec *spec;
    int32_t batch, q_len, kv_len_max;
    /* [B + 1] from 0 on: rows lie in a row, Lq of them at most an item. Then q, seg, O and LSE are
     * as those of one item that has all rows. */
    const int32_t *q_begin;
    const void *q;        /* [B, heads, Lq, D] */
    const void *k;        /* [B, kv_heads, Lk, D] */
    const void *v;        /* [B, v_heads, Lk, Dv]; null: the first Dv columns of k's rows */
    const float *k_scale; /* [B, kv_heads, Lk], of types with a scale a row */
    const float *v_scale; /* [B, v_heads, Lk]; null with v */
    const int32_t *q_start, *kv_len;  /* [B] */
    const int32_t *seg;               /* [B, Lq] */
    const int32_t *q_position;        /* [B, Lq] */
    const int32_t *tail, *k_position; /* [B], [B, tail_most] */
    int32_t tail_most;
    const uint8_t *key_padding; /* [B, Lk] */
    const void *mask;           /* mask_dim, of mask_rank */
    attn_mask_type mask_type;
    int32_t mask_rank;
    int64_t mask_dim[4];
    const float *sinks; /* [heads] */
    const attn_side *side;
    const attn_scalar *scalars;
    /* Paged layouts: which pages the keys are to lie in, [B][pages of Lk]; null: any. */
    const int32_t *pages;
    int32_t page_count;
    /* select = index: lists of keys, [B, kv_heads, Lq, index_each] (ragged rows: B = 1, all rows),
     * of which each row has so many: [B, Lq]. */
    const int32_t *index, *index_count;
    int32_t index_each;
} call;

/* Where the operands of a run lie, and how it is called. */
typedef struct placement {
    /* Order of batch, head and token from the outermost in, for q, k, v, o: 0..5. */
    int order[4];
    int gap[3];    /* unused elements after each token, head and batch step, innermost first */
    bool at_start; /* guard pages right before the operands instead of right after them */
    bool no_lse;
    bool lists_by_item; /* lists of ragged rows lie by item, not by row */
    int threads;
    const attn_pool *pool;
} placement;
enum { HEAD_MAJOR = 0, TOKEN_MAJOR = 1, PLACEMENT_ORDERS = 6 };

typedef struct outcome {
    attn_status status;
    const char *fault; /* null, or what a run did that no run may do */
    float *o;          /* dense, its values; null unless status is ATTN_OK */
    float *lse;        /* dense; null with no_lse */
} outcome;

/* One run. Inputs are read-only; rows of K and V at j >= kv_len[b] are NaN, or not there at all;
 * where they lie in pages so is every page that nobody
 * needs, and its entry of the table is bad; the workspace is as large as attn_workspace says and
 * not a byte larger; what lies around and between the rows of O and LSE must come back untouched.
 */
outcome call_run(arena *a, const kernel_lib *lib, const attn_plan *plan, const call *c,
                 const placement *p);

/* The same problem as arguments over the dense arrays: for the oracle. */
attn_args call_dense_args(const call *c);
attn_mask call_dense_mask(const call *c);

/* Item b alone. Not for specs whose expressions or side tensors depend on b. Where no operand has
 * a key dimension of its own, trim cuts Lk down to the item's kv_len. */
call call_item(arena *a, const call *c, int32_t b, bool trim);

size_t call_o_size(const call *c); /* elements of O */
size_t call_rows(const call *c);   /* elements of LSE */
/* Items that q, O and LSE have, and the rows of each. */
int32_t call_q_items(const call *c);
int32_t call_q_rows(const call *c);
/* Of item b: how many rows, and where row i of a head lies in LSE, in elements. */
int32_t call_count(const call *c, int32_t b);
size_t call_row(const call *c, int32_t b, int32_t h, int32_t i);
/* Width of key rows and value rows. */
int32_t call_k_dim(const call *c);
int32_t call_v_dim(const call *c);
/* A declared dimension of a side tensor as a number. */
int64_t call_side_dim(const call *c, int32_t dim);
/* Elements of side tensor t. */
int64_t call_side_count(const call *c, int t);

#endif
