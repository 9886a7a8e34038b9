/* expr.h - the expression language of flex specs (runtime/CONTRACT.md): parse and type, fold,
 * evaluate in double, classify tiles by intervals, and print as C.
 *
 * Text -> expr_parse -> tree (kept as written: the oracle evaluates it) and a simplified DAG (what
 * the emitters and the classifier read). Everything lives in the arena. */
#ifndef GEN_EXPR_H
#define GEN_EXPR_H

#include "util.h"
#include "attn_kernel.h"

typedef enum expr_kind { EXPR_SCORE, EXPR_MASK } expr_kind;

/* Declared run-time scalar. */
typedef struct expr_scalar {
    const char *name;
    bool is_float;
} expr_scalar;

/* Names an expression may use beside the built-in ones. spec must be resolved: its integer fields
 * (heads, kv_heads, v_heads, head_dim, v_dim, window, right_window, lookback, kv_comp_dim,
 * retr_dim, q_comp_dim) are constants where they are set. */
typedef struct expr_env {
    const attn_spec *spec;
    const attn_side_decl *tensors;
    int tensor_count;
    const expr_scalar *scalars;
    int scalar_count;
} expr_env;

typedef struct expr expr;

/* Where and why a text was refused: byte offset into the text, and the sentence. */
typedef struct expr_error {
    size_t offset;
    char text[512];
} expr_error;

/* Null with *err filled if the text is not a valid expression of its kind. A score of type int is
 * converted to float; a mask must be bool. Length, nesting and node count are limited. */
expr *expr_parse(arena *a, const char *text, expr_kind kind, const expr_env *env, expr_error *err);

/* Declarations: "slope=f32[heads]", "doc=i32[kv_len]", "table = f32[heads][127]"; "prefix=i32". A
 * name may be declared once, and may not be a built-in name, function or keyword. */
bool expr_parse_tensor(arena *a, const char *text, attn_side_decl *out, expr_error *err);
bool expr_parse_scalar(arena *a, const char *text, expr_scalar *out, expr_error *err);

/* Canonical text: normalised spacing, parentheses only where needed; parses to the same tree. */
const char *expr_canonical(arena *a, const expr *e);
const char *expr_decl_canonical(arena *a, const attn_side_decl *t);

/* The simplified DAG, a node a line (attn-gen --dump expr). */
const char *expr_dump(arena *a, const expr *e);

/* --- Oracle: the unsimplified tree in double precision. Shares no code with the emitters. --- */
typedef struct expr_point {
    int32_t b, h, q, k, q_start, q_len, kv_len;
    int32_t k_moved; /* k_pos - k: 0 but in a tail */
    double s;
    int32_t batch, kv_len_max; /* extents, for dims */
    int32_t q_len_max;         /* 0: q_len */
    const attn_side *side;     /* as in attn_args */
    const attn_scalar *scalars;
    const void *const *minmax; /* classifier: as in attn_expr_ctx; null: none */
    bool oob; /* out: an index that counts was out of range (the value is then unspecified) */
} expr_point;
double expr_eval_score(const expr *e, expr_point *p);
bool expr_eval_mask(const expr *e, expr_point *p);

/* --- Intervals, evaluated in the generator (explain). side and scalars may be null: what they hold
 * may then be anything. Same rules as the emitted classifier. --- */
attn_tile_class expr_classify(const expr *e, const attn_tile_box *box, const expr_point *p);
void expr_range(const expr *e, const attn_tile_box *box, const expr_point *p, int32_t *lo,
                int32_t *hi);
/* An entry of minmax: the block minima and maxima of a side tensor, as a kernel makes them. */
const void *expr_minmax_table(arena *a, const attn_side_decl *decl, const attn_side *side);
/* Closed form of the key range in words and symbols, e.g. "max(0, q - 256) <= k <= q"; "" if the
 * mask bounds k nowhere. */
const char *expr_range_text(arena *a, const expr *e);

/* How far keys that the mask can show lie from their query: q - back <= k <= q + ahead, whatever
 * the data, where no arithmetic wraps. EXPR_NO_REACH: as far as they like. */
#define EXPR_NO_REACH ((int64_t)1 << 40)
typedef struct expr_reach {
    int64_t back, ahead;
} expr_reach;
expr_reach expr_reach_of(arena *a, const expr *e);

/* Does it say the same where q, k, q_start and kv_len all grow by one number, below 2^30? */
bool expr_relative(arena *a, const expr *e);

/* A score times factor (> 0), with the constant factors at its ends moved to where they cost
 * nothing: into what does not depend on the key, and out of s. The result expects s times
 * *s_factor; where the text says s / 30, that is 1 / 30. With a null s_factor s stays as it is.
 * Rounds in other places than the text. */
const expr *expr_scale(arena *a, const expr *e, double factor, double *s_factor);

/* --- C code. ---
 * Two modes of vector code. `j` numbers the vectors of a tile row; names that depend on the lane
 * carry the suffix _j.
 *   EXPR_TILE   lanes are consecutive queries of one head. In scope: x (const attn_expr_ctx *), h
 *               and k (int32_t), vq_j (vi: positions of vector j), q_0_j (int32_t: position of its
 *               lane 0), s_j (vf).
 *   EXPR_LANES  anything goes. In scope: x, vh_j, vq_j, vk_j (vi), s_j (vf).
 * Statements come in three stages: `once` (needs neither k nor s), `key` (EXPR_TILE only: depends
 * on k but not on the lane), and `lane` (the rest, of all vectors). result[j] is an expression of
 * type vf (score) or vm (mask), valid after the other stages. Names that the code defines start
 * with `prefix`. A side tensor is read at clamped indexes only; where the index runs by +1 or -1
 * over the lanes it is one vector load (vf_load_side, vf_load_side_rev). a + b * c becomes vf_fma.
 * `ops` is the cost of a vector's lanes in simple vector operations (exp is about 12), for the
 * cost model.
 * Generated code includes simd/scalar.h and the ISA's header. */
typedef enum expr_mode { EXPR_TILE, EXPR_LANES } expr_mode;
typedef struct expr_lines {
    const char **line; /* statements, without indentation, at most 96 columns each */
    int count;
} expr_lines;
enum { EXPR_MAX_VECTORS = 4 };
typedef struct expr_code {
    expr_lines once, key, lane;
    const char *result[EXPR_MAX_VECTORS];
    int ops;
} expr_code;
void expr_emit_vector(arena *a, const expr *e, expr_mode mode, int vectors, const char *prefix,
                      expr_code *out);

/* Bodies of the functions of attn_expr_hooks, as statements ending in a return; parameters are
 * named as there (x, h, q, k, s, oob; x, box, lo, hi). *oob is set, never cleared. They include
 * simd/scalar.h and simd/interval.h; classify and range are for masks only. */
expr_lines expr_emit_scalar(arena *a, const expr *e);
expr_lines expr_emit_classify(arena *a, const expr *e);
expr_lines expr_emit_range(arena *a, const expr *e);
/* What an expression reads as written: bit t of tensors for side tensor t. */
typedef struct expr_uses {
    uint32_t tensors;
    bool scalars, head;
} expr_uses;
expr_uses expr_uses_of(const expr *e);
/* Bit t is set if the classifier wants block minima and maxima of side tensor t. */
uint32_t expr_minmax_tensors(const expr *e);

#endif
