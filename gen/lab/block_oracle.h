/* block_oracle.h - a whole layer in double precision, straight from runtime/CONTRACT.md
 * ("Layers") and the fields of spec_fields.def: what every generated layer must compute. The
 * attention inside is oracle.h's; nothing is rounded to f32 on the way, but keys and values are to
 * kv_type. Shares no code with kernels and runtime.
 *
 * Lean. A layer rounds the f32 that it has of a key's element, the oracle the double. Where the
 * f32's error straddles the middle between two stored values they differ, and both are right. An
 * f32 is off by no more than BLOCK_DOUBT times its row's largest element, so what a cache may hold
 * lies from the rounding of x - doubt to that of x + doubt: one value, but for the elements in
 * doubt (of bf16, one in some hundreds). `lean` = -1 and 1 run the layer with the one end and the
 * other; what y moves by says how much those few count. A kernel that truncates, rounds otherwise
 * or not at all gives other values for half of the elements or more: its cache is wrong at the
 * first of them. A kernel without a cache has to have the bits of one with it.
 *
 * With scales. m, a row's largest element after H, is off by BLOCK_DOUBT of the larger of those
 * before and after H, and so is any x there: H is orthogonal, it spreads errors and does not add to
 * their sum of squares, and BLOCK_DOUBT is 32 times what one operation rounds. (One element could
 * gather all of them, sqrt(n) times one; the 32 have room for that, too.) So 127 x / m is off by
 * 254 of that part of m, some 2^-11: one code in a thousand is in doubt, by one. scale = m / 127 is
 * off by that part of itself, and each operation of the rounding adds 2^-24: so what a cache holds
 * lies from the lower code times the scale that is nearer to 0 (or farther, below 0) to the upper
 * one times the other. Where `dot` is not f32, O leans as well, by a quarter of what that allows,
 * up or down element by element: kernels may form products in so many bits.
 *
 * Rows in 8 bits. weight_dot = i8 lets a kernel round rows on their way into matrices in blocks.
 * With BLOCK_ROWS_CODES (its plan says so) each 32 are codes times a scale, as above, here as
 * there: what is left is doubt, and with BLOCK_ROWS_FLOAT there is none. Where stored keys or codes
 * of an earlier matrix are in doubt, a row itself is off by more than an f32: with `doubts` a run
 * without lean keeps the rows, leaning ones note how far theirs are from that, and `wide` ones
 * take four times as much for each element's doubt, as several that are in doubt may move together
 * what the two ends of all move apart; up to half a code. */
#ifndef VERIFY_BLOCK_ORACLE_H
#define VERIFY_BLOCK_ORACLE_H

#include "spec/model.h"

/* A weight by its canonical name, dense, row-major; matrices are [out, in], as PyTorch stores them.
 *
 * norms     norm1, norm2; norm_place = both: post_norm1, post_norm2 too, branch: these alone:
 *           .weight (.bias)
 * regular   q_proj k_proj v_proj o_proj: .weight (.bias); qkv: the rows of q, k, v in one;
 *           kv_proj: those of k, v; q_norm.weight k_norm.weight [head_dim], or [heads * head_dim]
 *           for qk_norm_over = all, [heads, head_dim] for qk_norm_weights = heads
 *           o_gate.weight [heads or heads * v_dim, in]
 * mla       per_head: kv_proj.weight [c, in], q_proj.weight [H*K, in], w_kc_q [H,K,d], W_qr
 * [H,d,r], W_kr [H,c,r], w_kc_kv [H,K,c], out_proj.weight [width, H*K], for full_self o_proj.weight
 * [width, width] (sliding_self may carry one, which has no effect) shared: q_proj.weight, or
 * q_a_proj.weight, q_a_layernorm.weight, q_b_proj.weight; kv_a_proj_with_mqa.weight,
 * kv_a_layernorm.weight, kv_b_proj.weight, o_proj.weight ffn       gate_proj up_proj down_proj:
 * .weight (.bias); w1: the rows of gate, up in one; w2: down sinks     [H]
 *           xielu: act_fn.alpha_p, act_fn.alpha_n [1]
 *           longrope: rope_factors [rope_dim / 2]
 * moe       router.weight [experts, width], router.bias or e_score_correction_bias [experts];
 *           experts.gate_proj up_proj down_proj: .weight [experts, out, in] (.bias [experts, out]);
 *           shared_expert.gate_proj up_proj down_proj; shared_expert_gate.weight [1, width] */
typedef struct block_tensor {
    const char *name;
    const float *data;
    int rank;
    int64_t dim[4];
    const void *stored; /* the same in blocks of a type, if block_round_weights made some */
    int32_t type;
} block_tensor;

/* Rows on their way into matrices in blocks, with weight_dot = i8. */
typedef enum block_rows { BLOCK_ROWS_FLOAT, BLOCK_ROWS_CODES } block_rows;

/* What rows were before they became codes, and how far from that they have been since. */
typedef struct block_doubts block_doubts;
block_doubts *block_doubts_new(arena *a);

/* One run of a layer over whole sequences. Null: absent. Tensors are dense and row-major. */
typedef struct block_case {
    const kernel_spec *spec; /* level block, resolved */
    const block_tensor *weight;
    int weight_count;

    int32_t batch, tokens; /* rows of x an item: all of them (self), or the query side */
    const float *x;        /* [batch, tokens, width]; width: d_model or q_dim */
    const int32_t *length; /* [batch] tokens that exist; null: all. y is 0 after them */
    /* Of x's first row, for RoPE. Self: x is the whole sequence, and the core numbers queries and
     * keys from its first row. Keys of a second input: the core's q_start. */
    int32_t position;
    const uint8_t *key_padding; /* [batch, keys] nonzero: padding */
    /* regular self attention: keys and values before x's first row, as a cache holds them: the
     * first `past` of [batch, kv_heads, past_capacity, head_dim] and [batch, v_heads,
     * past_capacity, v_dim]. All rows exist then, and `position` is the caller's to set. */
    int32_t past, past_capacity;
    const float *past_k, *past_v;

    /* Keys and values before rounding, and rows whose codes are: 0 as they are, 1 and -1 by their
     * doubt. */
    int lean;
    block_rows rows; /* weight_dot = i8: what a kernel's plan makes of them */
    block_doubts *doubts;
    bool wide;

    int32_t kv_tokens;     /* where the keys come from a second input */
    const float *kv;       /* [batch, kv_tokens, kv_dim] */
    const int32_t *seg;    /* [batch, tokens]; segment_cross */
    const int32_t *q_pos;  /* [batch, tokens]; null: position, position + 1, .. Self: of the keys
                              that the rows make, too, for RoPE and the core (without a past) */
    const int32_t *kv_pos; /* [batch, kv_tokens]; null: 0, 1, .. (self: q_pos) */
    const uint8_t *q_pad;  /* [batch, tokens] nonzero: the row's y is 0 */
    /* select = index: lists of keys by number, [batch, kv_heads, tokens, index_each], of which each
     * row has index_count [batch, tokens]. */
    const int32_t *index, *index_count;
    int32_t index_each;

    const attn_side *side; /* as in attn_args */
    const attn_scalar *scalars;
    const attn_mask *mask; /* sdpa */

    double *y; /* [batch, tokens, width] */
    /* moe: what experts are chosen by, [batch, tokens, experts], and how far the choice is from
     * another one, [batch, tokens]: the least that a key, or a sum of two keys where groups are
     * chosen, would have to move by. Null: not wanted. */
    double *choice_key, *choice_margin;
    /* What a cache holds of the keys; null: not wanted. Rows that do not exist are left as they
     * were. regular: rotated k [batch, kv_heads, keys, head_dim], v [batch, v_heads, keys, v_dim].
     * mla per_head: rotated k_r [batch, heads, keys, retr_dim], kv_c [batch, keys, kv_comp_dim];
     * shared: rows [kv_c | k_r] [batch, keys, kv_comp_dim + retr_dim] in cache_k. mla rows of
     * padding are 0. Rounded to kv_type. */
    double *cache_k, *cache_v;
} block_case;

/* A key's or value's f32 is off by no more than this part of its row's largest element. */
#define BLOCK_DOUBT 0x1p-19

/* False with every weight that is missing, of a wrong shape or unknown named in error. */
bool block_oracle(const block_case *c, char *error, size_t size);

/* Width of x's rows, number of keys, and elements of the caches (0: none) of a case. */
int32_t block_width(const attn_spec *spec);
int32_t block_keys(const block_case *c);
int64_t block_cache_k_size(const block_case *c);
int64_t block_cache_v_size(const block_case *c);

/* The weights that a layer takes, without data, by the names of projections of their own (no qkv,
 * kv_proj of k and v, w1, w2). Writes at most `capacity`; returns how many there are. */
int block_weight_list(arena *a, const kernel_spec *spec, block_tensor *out, int capacity);

/* Rounds weights to what the layer stores them in (types that floats are not rounded to: makes
 * blocks of about their size): what it multiplies by, and so what a case has to
 * hold. Those that are folded stay: the oracle rounds what they become. */
void block_round_weights(arena *a, const kernel_spec *spec, block_tensor *weight, int count);
/* Whether blocks of a type are made there, since floats are not rounded to it. */
bool block_weight_made(int32_t type);
/* What a layer stores the weight of this name in, once it is no part of a fold: attn_weight_type.
 */
int32_t block_weight_type(const attn_spec *spec, const block_tensor *weight);

/* --- The pieces, for tests. --- */

/* Radians a position of the pairs 0..rope_dim/2-1, scaling included but for longrope's weight; the
 * factor of the rotated values (yarn's and longrope's mscale, else 1). */
void block_rope_angles(const attn_spec *spec, double *angle);
double block_rope_mscale(const attn_spec *spec);
/* Activation of an ffn kind: on the gate where there is one. */
double block_activation(int32_t ffn, double x);
/* Of ffn = xielu, with the layer's two numbers. */
double block_xielu(double alpha_p, double alpha_n, double x);

#endif
