/* simplify.c - tree to DAG: equal subexpressions become one node, constants fold (ints exactly as
 * they wrap, floats in double), and the few rewrites that every output profits from.
 *
 * Rewrites keep the value bit for bit (x + 0 is kept for floats: -0). They may drop the read of a
 * side tensor, never add one; that an index is out of range is the unsimplified tree's to say. */
#include "expr_internal.h"

enum { BUCKETS = 1024 };

typedef struct expr_builder builder;
struct expr_builder {
    arena *a;
    expr_node *bucket[BUCKETS];
    int made;
};

static expr_node *make(builder *b, expr_op op, expr_type type, int kids, expr_node *const kid[]);

/* --- Hash-consing. --- */
static bool same_float(double x, double y) {
    return memcmp(&x, &y, sizeof x) == 0;
}

static bool same(const expr_node *x, const expr_node *y) {
    if (x->op != y->op || x->type != y->type || x->kids != y->kids || x->i != y->i ||
        x->index != y->index || !same_float(x->f, y->f))
        return false;
    for (int i = 0; i < x->kids; i++)
        if (x->kid[i] != y->kid[i]) return false;
    return true;
}

static unsigned hash(const expr_node *n) {
    uint64_t key[6 + ATTN_SIDE_RANK] = {n->op, n->type, (uint32_t)n->i, (uint64_t)n->index};
    memcpy(&key[4], &n->f, sizeof n->f);
    for (int i = 0; i < n->kids; i++) key[6 + i] = (uint64_t)n->kid[i]->id;
    return (unsigned)(hash64(key, sizeof key) % BUCKETS);
}

/* The one node equal to *key. */
static expr_node *intern(builder *b, const expr_node *key) {
    expr_node **bucket = &b->bucket[hash(key)];
    for (expr_node *n = *bucket; n; n = n->chain)
        if (same(n, key)) return n;
    expr_node *n = arena_alloc(b->a, sizeof *n);
    *n = *key;
    n->id = b->made++;
    n->chain = *bucket;
    *bucket = n;
    static const unsigned var_deps[VAR_COUNT] = {
        [VAR_S] = DEP_S, [VAR_H] = DEP_H, [VAR_Q] = DEP_Q, [VAR_K] = DEP_K, [VAR_K_POS] = DEP_K};
    n->deps = n->op == EX_VAR ? var_deps[n->index] : 0;
    for (int i = 0; i < n->kids; i++) n->deps |= n->kid[i]->deps;
    return n;
}

static expr_node *int_const(builder *b, int32_t v) {
    return intern(b, &(expr_node){.op = EX_CONST, .type = TYPE_INT, .i = v});
}

static expr_node *float_const(builder *b, double v) {
    return intern(b, &(expr_node){.op = EX_CONST, .type = TYPE_FLOAT, .f = v});
}

static expr_node *bool_const(builder *b, bool v) {
    return intern(b, &(expr_node){.op = EX_CONST, .type = TYPE_BOOL, .i = v});
}

static expr_node *make1(builder *b, expr_op op, expr_type type, expr_node *x) {
    return make(b, op, type, 1, &x);
}

static expr_node *make2(builder *b, expr_op op, expr_type type, expr_node *x, expr_node *y) {
    return make(b, op, type, 2, (expr_node *const[]){x, y});
}

/* --- Constants. --- */
static bool is_const(const expr_node *n) {
    return n->op == EX_CONST;
}

static bool is_int(const expr_node *n, int32_t v) {
    return is_const(n) && n->type == TYPE_INT && n->i == v;
}

static bool is_bool(const expr_node *n, bool v) {
    return is_const(n) && n->type == TYPE_BOOL && n->i == v;
}

/* The exponent if n is a positive power of two, else -1. */
static int log2_of(const expr_node *n) {
    if (!is_const(n) || n->type != TYPE_INT || n->i <= 0 || (n->i & (n->i - 1))) return -1;
    int e = 0;
    while (n->i >> e != 1) e++;
    return e;
}

static bool fold_compare(expr_op op, double x, double y) { /* int32 is exact in double */
    switch (op) {
    case EX_LT: return x < y;
    case EX_LE: return x <= y;
    case EX_GT: return x > y;
    case EX_GE: return x >= y;
    case EX_EQ: return x == y;
    default: return x != y;
    }
}

static int32_t fold_int(expr_op op, int32_t x, int32_t y) {
    switch (op) {
    case EX_ADD: return attn_add32(x, y);
    case EX_SUB: return attn_sub32(x, y);
    case EX_MUL: return attn_mul32(x, y);
    case EX_FLOORDIV: return attn_floordiv32(x, y);
    case EX_FLOORMOD: return attn_floormod32(x, y);
    case EX_NEG: return attn_neg32(x);
    case EX_ABS: return attn_abs32(x);
    case EX_BIT_AND: return x & y;
    case EX_BIT_OR: return x | y;
    case EX_BIT_XOR: return x ^ y;
    case EX_BIT_NOT: return ~x;
    case EX_SHL: return attn_shl32(x, y);
    case EX_SHR: return attn_shr32(x, y);
    case EX_MIN: return attn_min32(x, y);
    default: return attn_max32(x, y);
    }
}

static double fold_float(expr_op op, double x, double y) {
    switch (op) {
    case EX_ADD: return x + y;
    case EX_SUB: return x - y;
    case EX_MUL: return x * y;
    case EX_DIV: return x / y;
    case EX_NEG: return -x;
    case EX_ABS: return fabs(x);
    case EX_MIN: return attn_mind(x, y);
    case EX_MAX: return attn_maxd(x, y);
    case EX_EXP: return exp(x);
    case EX_EXP2: return exp2(x);
    case EX_LOG: return log(x);
    case EX_TANH: return tanh(x);
    case EX_SIGMOID: return attn_sigmoidd(x);
    case EX_SQRT: return sqrt(x);
    case EX_SIN: return sin(x);
    case EX_COS: return cos(x);
    case EX_CEIL: return ceil(x);
    case EX_ROUND: return rint(x);
    default: return floor(x);
    }
}

static expr_node *fold(builder *b, expr_op op, int kids, expr_node *const kid[]) {
    if (kids == 0 || kids > 2 || op == EX_TENSOR) return NULL;
    for (int i = 0; i < kids; i++)
        if (!is_const(kid[i]) || kid[i]->type == TYPE_BOOL) return NULL;
    const expr_node *x = kid[0], *y = kid[kids - 1];
    bool floats = x->type == TYPE_FLOAT;
    if (op == EX_TO_FLOAT) return float_const(b, x->i);
    if (op == EX_INT) return int_const(b, attn_intd(x->f));
    if (expr_is_compare(op))
        return bool_const(b, fold_compare(op, floats ? x->f : x->i, floats ? y->f : y->i));
    return floats ? float_const(b, fold_float(op, x->f, y->f))
                  : int_const(b, fold_int(op, x->i, y->i));
}

/* --- Rewrites: each returns the replacement, or null to keep the node. --- */
static expr_node *rewrite_int2(builder *b, expr_op op, expr_node *x, expr_node *y) {
    int power = log2_of(y);
    switch (op) {
    case EX_ADD:
        if (is_int(x, 0)) return y;
        return is_int(y, 0) ? x : NULL;
    case EX_SUB:
        if (is_int(x, 0)) return make1(b, EX_NEG, TYPE_INT, y);
        if (x == y) return int_const(b, 0);
        return is_int(y, 0) ? x : NULL;
    case EX_MUL:
        if (is_int(x, 0) || is_int(y, 1)) return x;
        return is_int(y, 0) || is_int(x, 1) ? y : NULL;
    case EX_FLOORDIV:
        if (power == 0) return x;
        return power > 0 ? make2(b, EX_SHR, TYPE_INT, x, int_const(b, power)) : NULL;
    case EX_FLOORMOD:
        return power >= 0 ? make2(b, EX_BIT_AND, TYPE_INT, x, int_const(b, y->i - 1)) : NULL;
    case EX_BIT_AND:
        if (is_int(x, 0) || is_int(y, -1) || x == y) return x;
        return is_int(y, 0) || is_int(x, -1) ? y : NULL;
    case EX_BIT_OR:
        if (is_int(y, 0) || is_int(x, -1) || x == y) return x;
        return is_int(x, 0) || is_int(y, -1) ? y : NULL;
    case EX_BIT_XOR:
        if (is_int(x, 0)) return y;
        if (is_int(y, 0)) return x;
        return make2(b, EX_BIT_AND, TYPE_INT, make2(b, EX_BIT_OR, TYPE_INT, x, y),
                     make1(b, EX_BIT_NOT, TYPE_INT, make2(b, EX_BIT_AND, TYPE_INT, x, y)));
    case EX_SHL:
    case EX_SHR: return is_const(y) && (y->i & 31) == 0 ? x : NULL;
    case EX_MIN:
    case EX_MAX: return x == y ? x : NULL;
    default: return NULL;
    }
}

static bool is_float(const expr_node *n, double v) {
    return is_const(n) && n->type == TYPE_FLOAT && same_float(n->f, v);
}

/* Powers of two whose reciprocal is exact in f32 as well. */
static bool has_exact_reciprocal(const expr_node *n) {
    if (!is_const(n) || n->type != TYPE_FLOAT) return false;
    int e;
    double m = frexp(fabs(n->f), &e);
    return m == 0.5 && e > -100 && e < 100;
}

static expr_node *rewrite_float2(builder *b, expr_op op, expr_node *x, expr_node *y) {
    switch (op) {
    case EX_SUB:
        if (is_float(y, 0)) return x;
        if (y->op != EX_MUL || !is_const(y->kid[1])) return NULL;
        /* x - a * c is x + a * -c, which is one fma */
        return make2(b, EX_ADD, TYPE_FLOAT, x,
                     make2(b, EX_MUL, TYPE_FLOAT, y->kid[0], float_const(b, -y->kid[1]->f)));
    case EX_MUL:
        if (is_float(y, 1)) return x;
        if (is_float(x, 1)) return y;
        return is_const(x) && !is_const(y) ? make2(b, op, TYPE_FLOAT, y, x) : NULL;
    case EX_DIV:
        if (!has_exact_reciprocal(y)) return NULL;
        return make2(b, EX_MUL, TYPE_FLOAT, x, float_const(b, 1 / y->f));
    case EX_FLOORDIV: return make1(b, EX_FLOOR, TYPE_FLOAT, make2(b, EX_DIV, TYPE_FLOAT, x, y));
    case EX_FLOORMOD:
        return make2(b, EX_SUB, TYPE_FLOAT, x,
                     make2(b, EX_MUL, TYPE_FLOAT, y, make2(b, EX_FLOORDIV, TYPE_FLOAT, x, y)));
    default: return NULL;
    }
}

static expr_node *negate(builder *b, expr_node *n);

/* Whether two bools are equal, or not: by and, or, not, which intervals and vectors know. */
static expr_node *compare_bools(builder *b, bool equal, expr_node *x, expr_node *y) {
    expr_node *const same = equal ? y : negate(b, y), *const other = equal ? negate(b, y) : y;
    return make2(b, EX_OR, TYPE_BOOL, make2(b, EX_AND, TYPE_BOOL, x, same),
                 make2(b, EX_AND, TYPE_BOOL, negate(b, x), other));
}

static expr_node *rewrite_compare(builder *b, expr_op op, expr_node *x, expr_node *y) {
    if (x->type == TYPE_BOOL) return compare_bools(b, op == EX_EQ, x, y);
    if (op == EX_GT) return make2(b, EX_LT, TYPE_BOOL, y, x);
    if (op == EX_GE) return make2(b, EX_LE, TYPE_BOOL, y, x);
    bool equal = x == y && x->type == TYPE_INT; /* not for floats: NaN */
    return equal ? bool_const(b, op == EX_LE || op == EX_EQ) : NULL;
}

static expr_node *rewrite_logic(builder *b, expr_op op, expr_node *x, expr_node *y) {
    bool stop = op == EX_OR; /* the value that decides alone */
    if (is_bool(x, stop) || is_bool(y, !stop) || x == y) return x;
    if (is_bool(y, stop) || is_bool(x, !stop)) return y;
    return x->negation == y ? bool_const(b, stop) : NULL;
}

/* not n, pushed down to the comparisons. Remembered: nested negations would double the work at
 * every level. */
static expr_node *negate(builder *b, expr_node *n) {
    if (n->negation) return n->negation;
    bool ints = n->kids == 2 && n->kid[0]->type == TYPE_INT;
    expr_node *r;
    if (is_const(n))
        r = bool_const(b, !n->i);
    else if (n->op == EX_AND || n->op == EX_OR)
        r = make2(b, n->op == EX_AND ? EX_OR : EX_AND, TYPE_BOOL, negate(b, n->kid[0]),
                  negate(b, n->kid[1]));
    else if (n->op == EX_LT && ints)
        r = make2(b, EX_LE, TYPE_BOOL, n->kid[1], n->kid[0]);
    else if (n->op == EX_LE && ints)
        r = make2(b, EX_LT, TYPE_BOOL, n->kid[1], n->kid[0]);
    else if (n->op == EX_EQ || n->op == EX_NE) /* exact complements, NaN included */
        r = make2(b, n->op == EX_EQ ? EX_NE : EX_EQ, TYPE_BOOL, n->kid[0], n->kid[1]);
    else
        r = intern(b, &(expr_node){.op = EX_NOT, .type = TYPE_BOOL, .kids = 1, .kid = {n}});
    n->negation = r;
    if (!r->negation) r->negation = n;
    return r;
}

static expr_node *rewrite_where(builder *b, expr_node *c, expr_node *x, expr_node *y) {
    if (is_const(c)) return c->i ? x : y;
    if (x == y) return x;
    if (x->type == TYPE_BOOL)
        return make2(b, EX_OR, TYPE_BOOL, make2(b, EX_AND, TYPE_BOOL, c, x),
                     make2(b, EX_AND, TYPE_BOOL, negate(b, c), y));
    if (c->op != EX_NOT) return NULL;
    return make(b, EX_WHERE, x->type, 3, (expr_node *const[]){c->kid[0], y, x});
}

static expr_node *rewrite1(builder *b, expr_op op, expr_type type, expr_node *x) {
    if (op == EX_NOT) return negate(b, x);
    if (op == EX_CEIL) /* -floor(-x), of which there is a vector form */
        return make1(b, EX_NEG, type, make1(b, EX_FLOOR, type, make1(b, EX_NEG, type, x)));
    if ((op == EX_NEG || op == EX_BIT_NOT) && x->op == op) return x->kid[0];
    if (op == EX_ABS && (x->op == EX_ABS || (x->op == EX_NEG && type == TYPE_INT)))
        return x->op == EX_ABS ? x : make1(b, EX_ABS, type, x->kid[0]);
    return NULL;
}

static expr_node *rewrite(builder *b, expr_op op, expr_type type, int kids,
                          expr_node *const kid[]) {
    if (op == EX_TENSOR) return NULL;
    if (op == EX_WHERE) return rewrite_where(b, kid[0], kid[1], kid[2]);
    if (op == EX_CLAMP)
        return make2(b, EX_MIN, type, make2(b, EX_MAX, type, kid[0], kid[1]), kid[2]);
    if (kids == 1) return rewrite1(b, op, type, kid[0]);
    if (kids != 2) return NULL;
    if (op == EX_AND || op == EX_OR) return rewrite_logic(b, op, kid[0], kid[1]);
    if (op == EX_BIT_XOR && type == TYPE_BOOL) return compare_bools(b, false, kid[0], kid[1]);
    if (expr_is_compare(op)) return rewrite_compare(b, op, kid[0], kid[1]);
    return type == TYPE_INT ? rewrite_int2(b, op, kid[0], kid[1])
                            : rewrite_float2(b, op, kid[0], kid[1]);
}

static expr_node *make(builder *b, expr_op op, expr_type type, int kids, expr_node *const kid[]) {
    /* fold() has no case for // and % of floats, which rewrite() takes apart. */
    bool parts = type == TYPE_FLOAT && (op == EX_FLOORDIV || op == EX_FLOORMOD);
    expr_node *r = parts ? NULL : fold(b, op, kids, kid);
    if (!r) r = rewrite(b, op, type, kids, kid);
    if (r) return r;
    expr_node key = {.op = op, .type = type, .kids = kids};
    for (int i = 0; i < kids; i++) key.kid[i] = kid[i];
    return intern(b, &key);
}

expr_node *expr_build(builder *b, const expr_node *like, expr_node *const kid[]) {
    switch (like->op) {
    case EX_CONST:
        if (like->type == TYPE_FLOAT) return float_const(b, like->f);
        return like->type == TYPE_INT ? int_const(b, like->i) : bool_const(b, like->i);
    case EX_VAR:
    case EX_SCALAR:
    case EX_TENSOR: {
        expr_node key = {
            .op = like->op, .type = like->type, .kids = like->kids, .index = like->index};
        for (int i = 0; i < like->kids; i++) key.kid[i] = kid[i];
        return intern(b, &key);
    }
    default: return make(b, like->op, like->type, like->kids, kid);
    }
}

expr_node *expr_times(builder *b, expr_node *x, double factor) {
    return make2(b, EX_MUL, TYPE_FLOAT, x, float_const(b, factor));
}

static expr_node *build_tree(builder *b, const expr_node *t) {
    expr_node *kid[ATTN_SIDE_RANK] = {0};
    for (int i = 0; i < t->kids; i++) kid[i] = build_tree(b, t->kid[i]);
    return expr_build(b, t, kid);
}

/* Numbers what the root needs, operands first. */
static void number(expr *e, expr_node *n) {
    if (n->id >= 0) return;
    for (int i = 0; i < n->kids; i++) {
        number(e, n->kid[i]);
        n->kid[i]->uses++;
    }
    n->id = e->node_count;
    e->node[e->node_count++] = n;
}

builder *expr_builder_new(arena *a) {
    builder *b = arena_alloc(a, sizeof *b);
    b->a = a;
    return b;
}

void expr_finish(builder *b, expr *e, expr_node *root) {
    e->root = root;
    for (int i = 0; i < BUCKETS; i++)
        for (expr_node *n = b->bucket[i]; n; n = n->chain) n->id = -1;
    e->node = arena_alloc(b->a, sizeof *e->node * (size_t)b->made);
    e->node_count = 0;
    number(e, e->root);
}

void expr_simplify(arena *a, expr *e) {
    builder *b = expr_builder_new(a);
    expr_finish(b, e, build_tree(b, e->tree));
}
