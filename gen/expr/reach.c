/* reach.c - how far from its query a mask lets keys be, whatever the query: what bounds the
 * workspace of a kernel whose mask is a window. Positions are taken not to wrap; a kernel sees to
 * those that do. */
#include "expr_internal.h"

static const expr_reach open_reach = {EXPR_NO_REACH, EXPR_NO_REACH};
static const expr_reach no_key = {-EXPR_NO_REACH, -EXPR_NO_REACH};

/* c > 0 if n is x // c, else 0. */
static int64_t divisor(const expr_node *n) {
    if (n->op != EX_SHR && n->op != EX_FLOORDIV) return 0;
    const expr_node *c = n->kid[1];
    if (c->op != EX_CONST) return 0;
    if (n->op == EX_SHR) return (int64_t)1 << (c->i & 31);
    return c->i > 0 ? c->i : 0;
}

/* f (x // c), where c divides f, is f / c times x - 0 .. c - 1: that x joins d. */
static bool open_quotient(expr_lin *d, expr_node *n, int64_t f) {
    const int64_t c = divisor(n);
    if (c == 0 || f % c) return false;
    expr_lin with = *d;
    const int64_t m = f / c;
    if (!expr_lin_add(&with, n->kid[0], m)) return false;
    with.c -= m > 0 ? m * (c - 1) : 0;
    *d = with;
    return true;
}

/* The least d can be, d being a number for all that is not k - q. */
static int64_t least(const expr *e, const expr_lin *d) {
    const attn_tile_box any = {0, e->heads - 1, INT32_MIN, INT32_MAX, 0, INT32_MAX};
    attn_lin sum = attn_lin_of(d->c, d->h, 0, 0);
    for (int i = 0; i < d->terms; i++)
        sum = attn_lin_add(sum, d->term[i].factor, expr_interval(e, d->term[i].atom, &any));
    return attn_lin_min(sum, &any);
}

/* d <= 0 */
static expr_reach reach_le(const expr *e, const expr_lin *form) {
    expr_lin d = {.c = form->c, .h = form->h, .q = form->q, .k = form->k};
    for (int i = 0; i < form->terms; i++) {
        expr_node *atom = form->term[i].atom;
        if (open_quotient(&d, atom, form->term[i].factor)) continue;
        if (d.terms == LIN_TERMS) return open_reach;
        d.term[d.terms].atom = atom;
        d.term[d.terms++].factor = form->term[i].factor;
    }
    expr_reach r = open_reach;
    if (d.k == 0 || d.q != -d.k) return r;
    const int64_t size = d.k < 0 ? -d.k : d.k;
    const int64_t far = attn_floordiv64(-least(e, &d), size);
    if (far >= INT32_MAX) return r; /* further than positions go */
    *(d.k > 0 ? &r.ahead : &r.back) = far;
    return r;
}

static expr_reach both(expr_reach a, expr_reach b) {
    return (expr_reach){attn_min64(a.back, b.back), attn_min64(a.ahead, b.ahead)};
}

static expr_reach either(expr_reach a, expr_reach b) {
    return (expr_reach){attn_max64(a.back, b.back), attn_max64(a.ahead, b.ahead)};
}

static expr_reach reach_of(const expr *e, const expr_cond *c) {
    expr_reach r = c->kind == COND_ANY ? no_key : open_reach;
    switch (c->kind) {
    case COND_CONST: return c->holds ? open_reach : no_key;
    case COND_LIN:
        if (c->rel == ATTN_NE) return open_reach;
        r = reach_le(e, &c->d);
        if (c->rel == ATTN_EQ) {
            const expr_lin negated = expr_lin_negated(&c->d);
            r = both(r, reach_le(e, &negated));
        }
        return r;
    case COND_ALL:
        for (int i = 0; i < c->kids; i++) r = both(r, reach_of(e, c->kid[i]));
        return r;
    case COND_ANY:
        for (int i = 0; i < c->kids; i++) r = either(r, reach_of(e, c->kid[i]));
        return r;
    default: return open_reach;
    }
}

expr_reach expr_reach_of(arena *a, const expr *e) {
    if (e->kind != EXPR_MASK) return open_reach;
    expr_conds cs = expr_conds_new(a, e, true);
    return reach_of(e, expr_cond_of(&cs, e->root));
}
