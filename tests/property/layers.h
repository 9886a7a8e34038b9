/* layers.h - whole layers against the double oracle and against themselves: random specs, random
 * problems, and runs in guarded memory. */
#ifndef PROPERTY_LAYERS_H
#define PROPERTY_LAYERS_H

#include "property.h"
#include "lab/block_oracle.h"
#include "lab/guard.h"

/* --- Specs (layer_specs.c) --- */

/* "field=value;..." of random layer number `index`: the kind of attention goes round in turn, two
 * numbers in a row share their core, and the layer around it is drawn. lists: all are over lists of
 * keys. */
const char *layer_fields(arena *a, uint64_t seed, int index, bool lists);

static inline bool layer_has_kv(const attn_spec *s) {
    return s->kv_dim != ATTN_UNSET;
}
/* Keys may be let go of: no expression sees more of q and k than q - k, written so. */
bool layer_slides(const kernel_spec *k);
/* Keys and values are rounded. */
static inline bool layer_rounds(const attn_spec *s) {
    return attn_spec_types(s).k != ATTN_TYPE_F32;
}
/* Steps are allowed. */
static inline bool layer_steps(const attn_spec *s) {
    return layer_has_kv(s) || s->causal;
}

/* --- Problems (layer_problems.c) --- */

/* c is what the oracle sees; a caller gives kv_count, and padding without what it leaves out. */
typedef struct layer_problem {
    block_case c;
    const attn_tensor *given;   /* the weights as they are packed: of any type that gives c's */
    const int32_t *kv_count;    /* [batch]; null: kv_tokens */
    const uint8_t *key_padding; /* [batch, keys]; null: none */
    int32_t draft;              /* rows from this one on come in one call: they have positions */
    int mask_type;              /* attn_mask_type; the mask is dense [batch, heads, tokens, keys] */
    const char *text;           /* for reports */
    double *bound;              /* [batch, tokens] of |y - oracle's y| */
    /* What a cache's k and v hold where kv_type rounds, the most and the least (block_oracle.h,
     * lean); where weight_dot = i8, two draws of these. */
    double *k[3], *v[3];
} layer_problem;

/* Random weights of a layer, by the names that attn_block_weights gives. */
void layer_weights(arena *a, const kernel_lib *lib, const attn_block *block, rng *r,
                   layer_problem *p);
/* Problem number `index`; p->c.spec and weights are set before. Now and then a large one. */
void layer_problem_make(arena *a, rng *r, int index, layer_problem *p);
/* p->c.y, and p->bound: LAYER_BOUND times the most that y moves, over a row, where every weight and
 * input is changed by at most one unit in its last place, at random, LAYER_NUDGES times. A float
 * sum of products is the exact sum of products with weights that are changed by a few such units
 * (Higham 2002, section 3.1), and a norm, a rotation or an exponential likewise: so the error of a
 * correct layer is a small multiple of that, in whatever way the layer passes it on (FLT_MIN at the
 * least, as f32 ends there). Where kv_type rounds, elements in doubt go up in one half of these,
 * and down in the other; so do codes of rows where p->c.rows says that kernels make some, wide in
 * the second two (block_oracle.h). A row whose choice of experts is nearer to another one than what
 * f32 and leaning may move it by has no bound: INFINITY, of few rows. */
bool layer_expect(arena *a, rng *r, layer_problem *p, const char **why);
enum { LAYER_BOUND = 16, LAYER_NUDGES = 4 };

/* Items order[0..count-1] of p as a problem of their own. */
layer_problem layer_items(arena *a, const layer_problem *p, const int32_t *order, int count);

/* --- Runs (layer_runs.c) --- */

struct layer_run;

/* The pages of a cache: which are whose is drawn, call by call (layer_pages.c). */
typedef struct layer_pages {
    guard table;  /* null: the cache has none */
    bool *taken;  /* [page_count] */
    int32_t *own; /* [batch][pages_batch] an item's pages, -1: none there */
    bool unmap;   /* those that nobody sees any more */
    bool spoil, spoiled;
    rng r; /* of its own: draws of a dense twin are the same without */
} layer_pages;

typedef struct layer_run {
    const layer_problem *p;
    const kernel_lib *lib;
    attn_block *block;
    const void *packed;
    arena *a;
    rng *r;
    int threads;
    const attn_pool *pool;
    bool alias;    /* y is x */
    int32_t least; /* rows of a call an item, existing or not; 0: as many as it takes, or more */

    guard memory;
    attn_cache cache;
    bool cached;
    layer_pages pages; /* of a cache in pages */
    int32_t *done;     /* [batch] rows so far */
    float *y;          /* [batch, tokens, width]; NaN where no row is yet */
} layer_run;

/* An empty cache in pages, of which none is anybody's, whose memory is all NaN. */
bool layer_pages_start(struct layer_run *run, int32_t capacity, const char **why);
/* Before a call with so many new keys of each item: those that it needs have pages, at random, and
 * all other entries are wrong, or name pages of others. pages.spoil: so does one that it needs, if
 * there is one (pages.spoiled). */
void layer_pages_map(struct layer_run *run, const int32_t *keys, bool prefill);
/* Whether the table, and pages that are nobody's, are as they were: `memory` before the call. */
bool layer_pages_kept(const struct layer_run *run, const uint8_t *memory, const int32_t *table);
void layer_pages_end(struct layer_run *run);

/* An empty run; capacity < 0: no cache. */
bool layer_run_start(layer_run *run, int32_t capacity, const char **why);
/* One call with rows[b] further rows of each item, in memory of its own that ends at guard pages:
 * odd strides, NaN where nothing exists, a workspace of exactly the size asked for. Gives the
 * status; false with *why where memory was touched that may not be, also by a call that failed. */
bool layer_run_call(layer_run *run, const int32_t *rows, bool prefill, attn_status *status,
                    const char **why);
void layer_run_end(layer_run *run);

/* Packs p's weights in guarded, then sealed memory. */
bool layer_pack(arena *a, const kernel_lib *lib, const attn_block *block, const layer_problem *p,
                guard *packed, const char **why);

/* Null, or which row of y is farther from the oracle's than its bound. *worst: the greatest error
 * as a fraction of its bound. */
const char *layer_compare(arena *a, const layer_problem *p, const float *y, double *worst);
/* Null, or which element of a cache of all keys, none let go of, no rounding to kv_type gives. */
const char *layer_compare_cache(arena *a, const layer_problem *p, const attn_cache *cache);

/* --- Campaigns (layers.c) --- */

/* o->shapes problems of each layer, in child processes; failures of each, and what they are unless
 * quiet. Returns their sum. */
long layer_campaign(arena *a, const property_options *o, const char **fields, kernel_spec *kernels,
                    built *libs, int count, bool quiet, long *failures);

#endif
