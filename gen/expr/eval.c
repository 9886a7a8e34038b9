/* eval.c - the oracle: walks the tree as written, in double, with guards. It shares no code with
 * the simplifier and the emitters, so that a fault in one of them shows. */
#include "expr_internal.h"

typedef struct value {
    int32_t i; /* int or bool */
    double f;
} value;

typedef struct walk {
    const expr *e;
    expr_point *p;
} walk;

static value eval(walk *w, const expr_node *n);

static value of_int(int64_t v) {
    uint32_t low = (uint32_t)(uint64_t)v; /* 32-bit ints wrap */
    return (value){.i = low > INT32_MAX ? (int32_t)(low - 0x80000000u) + INT32_MIN : (int32_t)low};
}

static value of_float(double v) {
    return (value){.f = v};
}

static int32_t extent(const walk *w, int32_t dim) {
    switch (dim) {
    case ATTN_DIM_BATCH: return w->p->batch;
    case ATTN_DIM_HEADS: return w->e->heads;
    case ATTN_DIM_KV_HEADS: return w->e->kv_heads;
    case ATTN_DIM_Q_LEN: return w->p->q_len_max ? w->p->q_len_max : w->p->q_len;
    case ATTN_DIM_KV_LEN: return w->p->kv_len_max;
    default: return dim;
    }
}

static value eval_tensor(walk *w, const expr_node *n) {
    const attn_side_decl *t = &w->e->tensors[n->index];
    int64_t at = 0;
    bool inside = true;
    for (int d = 0; d < n->kids; d++) {
        int32_t i = eval(w, n->kid[d]).i, size = extent(w, t->dim[d]);
        inside = inside && i >= 0 && i < size;
        at = at * size + i;
    }
    const attn_side *side = &w->p->side[n->index];
    if (!inside || at >= side->count) {
        w->p->oob = true;
        return (value){0};
    }
    if (t->is_float) return of_float((double)((const float *)side->data)[at]);
    return (value){.i = ((const int32_t *)side->data)[at]};
}

static value eval_var(const walk *w, int var) {
    const expr_point *p = w->p;
    switch (var) {
    case VAR_S: return of_float(p->s);
    case VAR_B: return of_int(p->b);
    case VAR_H: return of_int(p->h);
    case VAR_Q: return of_int(p->q);
    case VAR_K: return of_int(p->k);
    case VAR_K_POS: return of_int((int32_t)((uint32_t)p->k + (uint32_t)p->k_moved));
    case VAR_Q_START: return of_int(p->q_start);
    case VAR_Q_LEN: return of_int(p->q_len);
    default: return of_int(p->kv_len);
    }
}

static bool compare(expr_op op, double a, double b) { /* int32 is exact in double */
    switch (op) {
    case EX_LT: return a < b;
    case EX_LE: return a <= b;
    case EX_GT: return a > b;
    case EX_GE: return a >= b;
    case EX_EQ: return a == b;
    default: return a != b;
    }
}

static int64_t floor_quotient(int64_t a, int64_t b) {
    int64_t quotient = a / b;
    return a % b != 0 && (a ^ b) < 0 ? quotient - 1 : quotient;
}

static value int_op(expr_op op, int64_t a, int64_t b) {
    int n = (int)(b & 31);
    switch (op) {
    case EX_ADD: return of_int(a + b);
    case EX_SUB: return of_int(a - b);
    case EX_MUL: return of_int(a * b);
    case EX_FLOORDIV: return of_int(b ? floor_quotient(a, b) : 0);
    case EX_FLOORMOD: return of_int(b ? a - b * floor_quotient(a, b) : 0);
    case EX_NEG: return of_int(-a);
    case EX_ABS: return of_int(a < 0 ? -a : a);
    case EX_BIT_AND: return of_int(a & b);
    case EX_BIT_OR: return of_int(a | b);
    case EX_BIT_XOR: return of_int(a ^ b);
    case EX_BIT_NOT: return of_int(~a);
    case EX_SHL: return of_int(a * ((int64_t)1 << n));
    case EX_SHR: return of_int(floor_quotient(a, (int64_t)1 << n));
    case EX_MIN: return of_int(a < b ? a : b);
    default: return of_int(a > b ? a : b); /* EX_MAX */
    }
}

static double float_op(expr_op op, double a, double b) {
    switch (op) {
    case EX_ADD: return a + b;
    case EX_SUB: return a - b;
    case EX_MUL: return a * b;
    case EX_DIV: return a / b;
    case EX_FLOORDIV: return floor(a / b);
    case EX_FLOORMOD: return a - b * floor(a / b);
    case EX_NEG: return -a;
    case EX_ABS: return fabs(a);
    case EX_MIN: return a < b ? a : b;
    case EX_MAX: return a > b ? a : b;
    case EX_EXP: return exp(a);
    case EX_EXP2: return exp2(a);
    case EX_LOG: return log(a);
    case EX_TANH: return tanh(a);
    case EX_SIGMOID: return 1 / (1 + exp(-a));
    case EX_SQRT: return sqrt(a);
    case EX_SIN: return sin(a);
    case EX_COS: return cos(a);
    case EX_FLOOR: return floor(a);
    case EX_CEIL: return ceil(a);
    default: return nearbyint(a); /* EX_ROUND: ties to even */
    }
}

/* Towards zero; what 32 bits do not hold becomes the nearest that they do, NaN 0. */
static value truncated(double a) {
    if (isnan(a)) return of_int(0);
    return of_int(a >= 0x1p31 ? INT32_MAX : a < -0x1p31 ? INT32_MIN : (int64_t)a);
}

static value eval_clamp(walk *w, const expr_node *n) {
    value x = eval(w, n->kid[0]), lo = eval(w, n->kid[1]), hi = eval(w, n->kid[2]);
    if (n->type == TYPE_INT) {
        int32_t low = x.i > lo.i ? x.i : lo.i;
        return of_int(low < hi.i ? low : hi.i);
    }
    double low = x.f > lo.f ? x.f : lo.f;
    return of_float(low < hi.f ? low : hi.f);
}

static value eval(walk *w, const expr_node *n) {
    switch (n->op) {
    case EX_CONST: return (value){n->i, n->f};
    case EX_VAR: return eval_var(w, n->index);
    case EX_SCALAR:
        if (w->e->scalars[n->index].is_float) return of_float((double)w->p->scalars[n->index].f32);
        return of_int(w->p->scalars[n->index].i32);
    case EX_TENSOR: return eval_tensor(w, n);
    case EX_TO_FLOAT: return of_float(eval(w, n->kid[0]).i);
    case EX_OR: return of_int(eval(w, n->kid[0]).i || eval(w, n->kid[1]).i);
    case EX_AND: return of_int(eval(w, n->kid[0]).i && eval(w, n->kid[1]).i);
    case EX_NOT: return of_int(!eval(w, n->kid[0]).i);
    case EX_WHERE: return eval(w, n->kid[eval(w, n->kid[0]).i ? 1 : 2]);
    case EX_CLAMP: return eval_clamp(w, n);
    case EX_INT: return truncated(eval(w, n->kid[0]).f);
    default: break;
    }
    value a = eval(w, n->kid[0]), b = n->kids > 1 ? eval(w, n->kid[1]) : (value){0};
    bool floats = n->kid[0]->type == TYPE_FLOAT;
    if (expr_is_compare(n->op))
        return of_int(compare(n->op, floats ? a.f : a.i, floats ? b.f : b.i));
    return floats ? of_float(float_op(n->op, a.f, b.f)) : int_op(n->op, a.i, b.i);
}

double expr_eval_score(const expr *e, expr_point *p) {
    walk w = {e, p};
    p->oob = false;
    return eval(&w, e->tree).f;
}

bool expr_eval_mask(const expr *e, expr_point *p) {
    walk w = {e, p};
    p->oob = false;
    return eval(&w, e->tree).i != 0;
}
