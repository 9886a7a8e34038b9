/* work.h - what a call does: which tiles are skipped, which pairs are visible, FLOPs and bytes.
 * explain, the pictures of masks and the report all ask here. */
#ifndef GEN_WORK_H
#define GEN_WORK_H

#include "plan.h"

/* Extents of a call; batch -1: 1, lengths -1: not given. */
typedef struct explain_extent {
    int32_t batch, q_len, kv_len;
} explain_extent;

int32_t extent_batch(const explain_extent *e);
/* Position of query row 0: kv_len - q_len (a call with a cache); 0 where rows go by segments. */
int32_t extent_start(const kernel_spec *k, const explain_extent *e);

/* Made-up run-time data of a call, the same every time. */
typedef struct example {
    expr_point point;   /* its b, extents, side tensors, scalars and tables; q, k, h are free */
    const int32_t *seg; /* where rows go by segments: that of each */
    const char *text;   /* in words */
} example;

/* Whether what a query sees depends on run-time data: segments, side tensors or scalars. (Run-time
 * masks, paddings and lengths are left out of account everywhere in this file.) */
bool work_needs_data(const kernel_spec *k);
void example_make(arena *a, const kernel_spec *k, const plan *p, const explain_extent *e,
                  example *out);

/* One batch item. x may be null where it says so: then what depends on data counts as visible. */
typedef struct work {
    int64_t none, all,
        some;            /* tiles of the grid query tiles x key blocks, over all heads at once */
    double pairs;        /* visible (query row, key) pairs of a head, or an upper bound */
    double keys;         /* keys that some tile reads, or an upper bound */
    bool exact;          /* neither is a bound */
    double flops, bytes; /* of the whole call, all batch items: useful FLOPs; Q, O, K and V once */
    size_t workspace;    /* one thread */
} work;

/* x: null allowed. */
work work_of(const kernel_spec *k, const plan *p, const explain_extent *e, const example *x);
/* Keys lo..hi that the op shows to query row i. x: null allowed; false: then it is not known. */
bool work_keys(const kernel_spec *k, const explain_extent *e, const example *x, int32_t i,
               int64_t *lo, int64_t *hi);
/* What a tile of query rows i0..i1 and keys k0..k1 shows of heads h0..h1. x: null allowed. */
attn_tile_class work_class(const kernel_spec *k, const explain_extent *e, const example *x,
                           const attn_tile_box *box);
/* Whether head h of query row i sees a key. */
bool work_visible(const kernel_spec *k, const explain_extent *e, const example *x, int32_t h,
                  int32_t i, int32_t key);

/* Bytes of K and V that one token adds to a layer's cache. */
double work_cache_bytes(const kernel_spec *k, const plan *p);

#endif
