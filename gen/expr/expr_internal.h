/* expr_internal.h - what the files of gen/expr share: nodes and the table of operations. */
#ifndef GEN_EXPR_INTERNAL_H
#define GEN_EXPR_INTERNAL_H

#include "expr.h"
#include "simd/interval.h"

typedef enum expr_type { TYPE_BOOL, TYPE_INT, TYPE_FLOAT } expr_type;

/* FMA is made by the vector emitter, and not in the language. */
typedef enum expr_op {
    EX_CONST,
    EX_VAR,
    EX_SCALAR,
    EX_TENSOR,
    EX_TO_FLOAT,
    EX_OR,
    EX_AND,
    EX_NOT,
    EX_LT,
    EX_LE,
    EX_GT,
    EX_GE,
    EX_EQ,
    EX_NE,
    EX_BIT_OR,
    EX_BIT_XOR, /* of bools too: as != */
    EX_BIT_AND,
    EX_SHL,
    EX_SHR,
    EX_ADD,
    EX_SUB,
    EX_MUL,
    EX_DIV,
    EX_FLOORDIV,
    EX_FLOORMOD,
    EX_NEG,
    EX_BIT_NOT,
    EX_WHERE,
    EX_ABS,
    EX_MIN,
    EX_MAX,
    EX_CLAMP,
    EX_EXP,
    EX_EXP2,
    EX_LOG,
    EX_TANH,
    EX_SIGMOID,
    EX_SQRT,
    EX_SIN,
    EX_COS,
    EX_FLOOR,
    EX_CEIL,
    EX_ROUND,
    EX_INT,
    EX_FMA,
    EX_COUNT
} expr_op;

/* Built-in names, in the order of their indexes. */
typedef enum expr_var {
    VAR_S,
    VAR_B,
    VAR_H,
    VAR_Q,
    VAR_K,
    VAR_Q_START,
    VAR_Q_LEN,
    VAR_KV_LEN,
    VAR_K_POS, /* position of the key; k is its number */
    VAR_COUNT
} expr_var;

/* What a value depends on; everything else is fixed during a call (or a batch item). */
enum { DEP_S = 1, DEP_H = 2, DEP_Q = 4, DEP_K = 8 };

enum {
    EXPR_MAX_TEXT = 4096,
    EXPR_MAX_DEPTH = 200,
    EXPR_MAX_NODES = 1024,
    EXPR_MAX_TENSORS = 32 /* bits of expr_minmax_tensors */
};

typedef struct expr_node expr_node;
struct expr_node {
    expr_op op;
    expr_type type;
    int kids;
    expr_node *kid[ATTN_SIDE_RANK];
    int32_t i;        /* CONST int or bool */
    double f;         /* CONST float */
    int index;        /* VAR, SCALAR, TENSOR */
    const char *name; /* CONST: the spec's field, or null */
    size_t at;        /* byte offset in the text */
    /* DAG only. */
    int id, uses;
    unsigned deps;
    expr_node *negation; /* of a bool, once made */
    expr_node *chain;    /* hash bucket */
};

struct expr {
    expr_kind kind;
    expr_node *tree;  /* as written */
    expr_node *root;  /* simplified DAG */
    expr_node **node; /* its nodes, operands first; node[i]->id == i */
    int node_count;
    const attn_side_decl *tensors;
    int tensor_count;
    const expr_scalar *scalars;
    int scalar_count;
    int32_t heads, kv_heads;
};

/* --- ops.c: one row an operation --- */
typedef struct expr_op_row {
    const char *name;
    int precedence; /* 0: written as a call */
    int operands;
    int cost; /* in simple vector operations */
    /* Vector calls on ints and floats (a comparison is named by its operands). */
    const char *vi, *vf;
    const char *each; /* of several vectors in place; null: none */
    /* Scalar C with %1 %2 %3 for the operands: int32_t, float and double. */
    const char *ci, *cf, *cd;
    /* Interval helpers: their names, and the functions. */
    const char *iv_name, *fv_name;
    attn_iv (*iv1)(attn_iv);
    attn_iv (*iv2)(attn_iv, attn_iv);
    attn_fv (*fv1)(attn_fv);
    attn_fv (*fv2)(attn_fv, attn_fv);
    attn_tri (*compare)(attn_fv, attn_fv);
} expr_op_row;
extern const expr_op_row expr_ops[EX_COUNT];

bool expr_is_compare(expr_op op);
/* Elements along dim d of a tensor, as C in terms of x (attn_expr_ctx), or a number. */
const char *expr_dim_text(arena *a, const expr *e, int32_t dim);
/* The C pattern with its operands filled in. */
const char *expr_fill(arena *a, const char *pattern, const char *const operand[]);
/* C literals. Floats are rounded to f32 and printed in hex. */
const char *expr_int_text(arena *a, int32_t v);
const char *expr_f32_text(arena *a, double v);

/* --- names.c --- */
/* Fills *err and returns false. */
bool expr_fail(expr_error *err, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool expr_digit(char c);
bool expr_name_start(char c);
bool expr_name_char(char c);
/* Is it a built-in name, function, keyword or field of the spec? */
bool expr_reserved(const char *name);
/* Index in a null-terminated list; -1: it is not there. */
int expr_name_find(const char *const *names, const char *name);
extern const char *const expr_var_names[VAR_COUNT + 1];
/* Integer fields of a spec that are constants: name list (null-terminated) and value. */
extern const char *const expr_spec_names[];
int32_t expr_spec_value(const attn_spec *spec, int i);
extern const char *const expr_function_names[];
extern const char *const expr_keywords[];

/* --- simplify.c --- */
typedef struct expr_builder expr_builder; /* makes a DAG's nodes */
expr_builder *expr_builder_new(arena *a);
/* A node like this one, of these operands (of the same builder), simplified. */
expr_node *expr_build(expr_builder *b, const expr_node *like, expr_node *const kid[]);
expr_node *expr_times(expr_builder *b, expr_node *x, double factor);
/* Makes root, and what it needs, the DAG of e. */
void expr_finish(expr_builder *b, expr *e, expr_node *root);
void expr_simplify(arena *a, expr *e);

/* --- canonical.c --- */
void expr_print(buf *b, const expr *e, const expr_node *n, int precedence);

/* --- lines.c --- */
/* Growing list of statements; a long one is broken over lines. */
enum { EXPR_COLUMNS = 96 };
void expr_line_add(arena *a, expr_lines *l, const char *line);
void expr_line_wrap(arena *a, expr_lines *l, int indent, const char *text);
void expr_line_printf(arena *a, expr_lines *l, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Does any line use this identifier? */
bool expr_lines_use(const expr_lines *l, const char *name);
/* Puts "(void)name;" in front for every parameter that is not used. */
void expr_lines_void(arena *a, expr_lines *l, const char *const *names);

/* --- cond.c: the mask as conditions that intervals can answer --- */
typedef enum cond_kind {
    COND_CONST, /* holds or not */
    COND_OPEN,  /* may hold anywhere in the box */
    COND_LIN,   /* d <= 0, d == 0 or d != 0 */
    COND_FLOAT, /* comparison of floats */
    COND_NOT,
    COND_ALL,
    COND_ANY
} cond_kind;

enum { LIN_TERMS = 8 };
/* c + h * head + q * query + k * key + factors * atoms. An atom is an int node that is not linear,
 * or fixed during a call. */
typedef struct expr_lin {
    int64_t c, h, q, k;
    int terms;
    struct {
        int64_t factor;
        expr_node *atom;
    } term[LIN_TERMS];
} expr_lin;

typedef struct expr_cond expr_cond;
struct expr_cond {
    cond_kind kind;
    bool holds; /* CONST */
    /* LIN: the form, which is l - r + strict as long as 32 bits hold every step of l and r;
     * `checked` if that is to be seen at run time. */
    attn_rel rel;
    expr_lin d;
    expr_node *l, *r;
    int strict;
    bool checked;
    expr_node *compare; /* FLOAT */
    int kids;           /* NOT, ALL, ANY */
    expr_cond **kid;
    /* For those who walk it. */
    const char *name;
    bool done;
    attn_cond value;
};

/* Conditions of a bool node. For ranges, a condition in which k is not linear is open: what it
 * says costs more to find out than it saves. */
typedef struct expr_conds {
    arena *a;
    const expr *e;
    bool range;
    expr_cond **of; /* by node id */
} expr_conds;
expr_conds expr_conds_new(arena *a, const expr *e, bool range);
expr_cond *expr_cond_of(expr_conds *cs, expr_node *n);
/* d += factor * n; false if d would become too large. */
bool expr_lin_add(expr_lin *d, expr_node *n, int64_t factor);
expr_lin expr_lin_negated(const expr_lin *d);

/* --- interval.c --- */
/* What an int node can be in a box, whatever the run-time data. */
attn_iv expr_interval(const expr *e, expr_node *n, const attn_tile_box *box);

#endif
