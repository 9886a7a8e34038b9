/* scale.c - a score in other units, at no cost a pair.
 *
 * Kernels want scores in units of log 2, and multiply s by a scale anyway, in Q. A factor moves
 * down from the root as long as it ends in a constant, in a value that is computed once for all
 * keys, or in s itself: s + slope[h] * (k - q) gets its log2(e) from Q and from slope[h]. If s is
 * used once and its user multiplies or divides by a constant, that goes into Q as well. */
#include "expr_internal.h"

#include <float.h>

typedef struct scaler {
    expr_builder *b;
    expr_node **copy; /* by node id */
    bool s_once;      /* s has one user, or is the root */
    double s_factor;
} scaler;

/* Factors of s that cost no precision, whatever s is. */
static bool in_range(double factor) {
    return fabs(factor) >= 0x1p-20 && fabs(factor) <= 0x1p20;
}

/* Far from where floats end, so that products of s and others may be taken in any order. */
static bool is_plain(double factor) {
    return fabs(factor) >= 0x1p-60 && fabs(factor) <= 0x1p60;
}

static bool is_s(const expr_node *n) {
    return n->op == EX_VAR && n->index == VAR_S;
}

static bool is_float_const(const expr_node *n) {
    return n->op == EX_CONST && n->type == TYPE_FLOAT;
}

/* The same for all keys: computed once. */
static bool is_fixed(const expr_node *n) {
    return !(n->deps & (DEP_S | DEP_K));
}

/* The constant c of x * c or x / c as a factor of x; 0: n is neither. */
static double own_factor(const expr_node *n) {
    if (n->op != EX_MUL && n->op != EX_DIV) return 0;
    if (n->type != TYPE_FLOAT || !is_float_const(n->kid[1])) return 0;
    return n->op == EX_MUL ? n->kid[1]->f : 1 / n->kid[1]->f;
}

static expr_node *copy(scaler *m, const expr_node *n) {
    if (m->copy[n->id]) return m->copy[n->id];
    const double factor = own_factor(n);
    expr_node *kid[ATTN_SIDE_RANK] = {0};
    for (int i = 0; i < n->kids; i++) kid[i] = copy(m, n->kid[i]);
    if (n->kids == 2 && is_s(n->kid[0]) && m->s_once && in_range(factor)) {
        m->s_factor = factor;
        return m->copy[n->id] = kid[0];
    }
    return m->copy[n->id] = expr_build(m->b, n, kid);
}

/* Can n be multiplied by a factor without another operation a pair? */
static bool takes_factor(const scaler *m, const expr_node *n) {
    if (n->type != TYPE_FLOAT) return false;
    if (is_fixed(n)) return true;
    if (is_s(n)) return m->s_once;
    if (n->uses > 1) return false; /* others want it as it is */
    const expr_node *x = n->kid[0], *y = n->kids > 1 ? n->kid[1] : NULL;
    switch (n->op) {
    case EX_NEG: return takes_factor(m, x);
    case EX_ADD:
    case EX_SUB: return takes_factor(m, x) && takes_factor(m, y);
    case EX_MUL: return takes_factor(m, x) || takes_factor(m, y);
    case EX_DIV: return takes_factor(m, x) || is_float_const(y);
    case EX_WHERE: return takes_factor(m, y) && takes_factor(m, n->kid[2]);
    default: return false;
    }
}

static expr_node *scaled(scaler *m, const expr_node *n, double factor);

/* n where the operands with a bit in `which` take the factor. */
static expr_node *with_scaled(scaler *m, const expr_node *n, double factor, unsigned which) {
    expr_node *kid[ATTN_SIDE_RANK] = {0};
    for (int i = 0; i < n->kids; i++)
        kid[i] = which >> i & 1 ? scaled(m, n->kid[i], factor) : copy(m, n->kid[i]);
    return expr_build(m->b, n, kid);
}

/* What a constant can be multiplied by: a finite one stays finite, and hides nothing. */
static double kept_finite(const expr_node *n, double factor) {
    const double most = FLT_MAX * (1 - 0x1p-20), size = fabs(n->f);
    if (!is_float_const(n) || isinf(n->f) || size * fabs(factor) <= most) return factor;
    return copysign(most / size, factor);
}

/* n times the factor. */
static expr_node *scaled(scaler *m, const expr_node *n, double factor) {
    if (is_s(n) && m->s_once && in_range(factor)) {
        m->s_factor = factor;
        return copy(m, n);
    }
    const double own = own_factor(n), both = own * factor;
    if (is_s(n) || !takes_factor(m, n) || (own != 0 && !is_plain(both)))
        return expr_times(m->b, copy(m, n), factor);
    if (own != 0)
        return takes_factor(m, n->kid[0]) ? scaled(m, n->kid[0], both)
                                          : expr_times(m->b, copy(m, n->kid[0]), both);
    if (is_fixed(n)) return expr_times(m->b, copy(m, n), kept_finite(n, factor));
    switch (n->op) {
    case EX_ADD:
    case EX_SUB: return with_scaled(m, n, factor, 3);
    case EX_WHERE: return with_scaled(m, n, factor, 6);
    case EX_MUL: return with_scaled(m, n, factor, takes_factor(m, n->kid[0]) ? 1 : 2);
    default: return with_scaled(m, n, factor, 1); /* NEG, DIV */
    }
}

const expr *expr_scale(arena *a, const expr *e, double factor, double *s_factor) {
    expr *out = arena_alloc(a, sizeof *out);
    *out = *e;
    scaler m = {.b = expr_builder_new(a), .s_factor = 1};
    m.copy = arena_alloc(a, sizeof *m.copy * (size_t)e->node_count);
    for (int i = 0; i < e->node_count; i++)
        if (is_s(e->node[i])) m.s_once = s_factor && e->node[i]->uses <= 1;
    expr_finish(m.b, out, scaled(&m, e->root, factor));
    if (s_factor) *s_factor = m.s_factor;
    return out;
}
