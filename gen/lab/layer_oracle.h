/* layer_oracle.h - what the parts of block_oracle.c share. */
#ifndef LAB_LAYER_ORACLE_H
#define LAB_LAYER_ORACLE_H

#include "block_oracle.h"
#include "oracle.h"
#include "spec.h"

/* Rows of activations [batch, tokens, width]; those that do not exist are 0 and stay so. */
typedef struct rows {
    int32_t batch, tokens, width;
    const bool *live; /* [batch * tokens] */
    double *data;
} rows;

/* y = W x + b, W [out, in]. */
typedef struct linear {
    const float *w, *b; /* b null: none */
    int32_t out, in;
    int32_t type; /* attn_weight_type that the layer stores it in; a fold's: f32 */
    int64_t id;   /* from 1 on, the same in all runs of the spec; a fold's: 0 */
} linear;

typedef struct norm {
    int32_t kind;       /* attn_norm */
    const float *w, *b; /* null: 1, 0 */
    double eps;
    bool offset;
    int32_t own; /* weights of each vector of a row: this far apart; 0: the same for all */
} norm;

/* A run in the making. */
typedef struct layer {
    arena *a;
    const block_case *c;
    const attn_spec *s;
    bool *used; /* by weight */
    buf error;
    block_tensor *list; /* block_weight_list's, or null */
    int listed, list_size;
    int64_t ids;     /* of matrices so far */
    bool two_inputs; /* keys come from kv */
    bool *live;      /* rows of x */
    bool *kv_live;   /* rows that keys are made of */
    double *angle;   /* of the rotated pairs */
    const int32_t *q_position, *k_position;
} layer;

/* --- oracle_weights.c: null and 0 with a complaint in l->error --- */
/* Where the rows of a projection may lie: from `first` of `total` in this weight. */
typedef struct place {
    const char *name;
    int64_t first, total;
} place;
/* The weight of this name and shape. */
const float *weight_need(layer *l, const char *name, int rank, int64_t d0, int64_t d1, int64_t d2);
/* The first place that is there; the last one, the projection's own, is what is missing if none. */
linear weight_projection(layer *l, const place *at, int places, int32_t out, int32_t in, bool bias);
linear weight_own(layer *l, const char *name, int32_t out, int32_t in, bool bias);
norm weight_norm(layer *l, const char *name);
/* The norms of latent rows are always rms, with no bias. */
norm weight_inner_norm(layer *l, const char *name, int32_t width);
/* Whatever nobody asked for is a mistake. */
void weight_unused(layer *l);
/* attn_weight_type of matrices that are folded or transposed. */
int32_t layer_rest_type(const attn_spec *s);

/* --- oracle_rows.c, with the sizes that block_oracle.h declares --- */
bool layer_has_two_inputs(const attn_spec *s);
bool layer_is_mla(const attn_spec *s);
bool layer_is_shared(const attn_spec *s);

rows rows_new(const layer *l, int32_t tokens, int32_t width, const bool *live);
int64_t rows_count(const rows *r);
double *rows_at(const rows *r, int64_t i);
double rows_largest(const double *x, int32_t n); /* NaN where there is one */
/* p->in elements of row number `row` on their way into a matrix: with weight_dot = i8 and a matrix
 * in blocks each 32 rounded (block_oracle.h); else x itself. */
const double *rows_rounded(const layer *l, const linear *p, int64_t row, const double *x);
void rows_multiply(const float *w, int32_t out, int32_t in, const double *x, double *y);
void rows_multiply_left(const double *x, const float *w, int32_t in, int32_t out, double *y);
rows rows_apply(const layer *l, const linear *p, const rows *x);
void rows_normalise(const norm *n, double *x, int32_t width); /* one vector, in place */
rows rows_normed(const layer *l, const norm *n, const rows *x);
rows rows_sum(const layer *l, const rows *x, const rows *y); /* x + residual_scale * y */

/* --- oracle_doubts.c --- */
/* How far the elements of such a row may be from what they are, beyond the doubt of an f32. */
double doubts_of(const layer *l, const linear *p, int64_t row, const double *x);

/* --- oracle_rope.c --- */
/* Every head of every row: x rows are [heads, step], rotation starts `at` into a head. */
void rows_rotate(const layer *l, const rows *x, int32_t heads, int32_t at, const int32_t *position);

/* --- oracle_regular.c --- */
/* Rows [tokens, heads, width of a head] as the core takes them. */
oracle_view attention_view(const rows *x, int32_t heads);
/* Rows [heads * v_dim]. Rows of q are turned as keys are stored, in place. */
rows attention_core(const layer *l, const float *sinks, const rows *q, oracle_view k,
                    oracle_view v);
/* Rows [heads, width of a head] rounded to what keys and values are stored in, the first `front`
 * elements of a head apart from the others: doubts of each go by their own largest. With scales: by
 * whole rows, and those of keys turned before. */
void attention_round(const layer *l, const rows *x, int32_t heads, int32_t front, bool keys);
/* Rows [heads, width of a head] to a cache [batch, heads, tokens, width of a head]. */
void attention_store(const rows *x, int32_t heads, double *cache);

/* from: the rows that keys are made of. */
typedef struct regular {
    linear q, k, v, o, gate; /* gate.w null: none */
    norm q_norm, k_norm;     /* of q and k */
    const float *sinks;
} regular;

regular regular_weights(layer *l);
rows regular_attention(const layer *l, const regular *w, const rows *x, const rows *from);

/* --- oracle_mla.c: a key a head, and one key for all heads --- */
typedef struct latent {
    linear kv, q, out, o; /* folded: q with kc_q and qr, [heads * retr_dim, in]; out with o */
    bool folded;
    const float *kc_q, *kc_kv, *qr, *kr, *sinks;
} latent;

latent latent_weights(layer *l);
rows latent_attention(const layer *l, const latent *w, const rows *x, const rows *from);

typedef struct shared {
    linear q, q_a, kv_a, o; /* q_a.w null: no compressed query */
    norm q_norm, kv_norm;
    const float *kv_b, *sinks;
} shared;

shared shared_weights(layer *l);
rows shared_attention(const layer *l, const shared *w, const rows *x, const rows *from);

/* --- The feed-forward part --- */
typedef struct feed {
    linear gate, up, down;          /* gate.w null: up alone */
    const float *alpha_p, *alpha_n; /* xielu's */
} feed;

/* oracle_experts.c: runtime/CONTRACT.md, "Mixtures of experts". */
typedef struct mixture {
    const float *router, *router_bias, *selection, *shared_gate;
    const float *gate, *up, *down, *gate_bias, *up_bias, *down_bias; /* of all experts */
    feed shared;
} mixture;

mixture mixture_weights(layer *l);
rows mixture_of(const layer *l, const mixture *w, const rows *x);

#endif
