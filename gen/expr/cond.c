/* cond.c - the mask as conditions that intervals can answer. A comparison of ints becomes a linear
 * form against 0, so that terms common to both sides cancel and bounds are exact. */
#include "expr_internal.h"

enum {
    FACTOR_MAX = 1 << 24, /* keeps sums of all terms in int64 (interval.h) */
    SPLITS_MAX = 8        /* min, max and abs taken apart in one comparison */
};

static const int64_t constant_max = (int64_t)1 << 56;

/* --- Linear forms. --- */
static bool add_factor(int64_t *sum, int64_t factor) {
    *sum += factor;
    return *sum <= FACTOR_MAX && *sum >= -FACTOR_MAX;
}

static bool add_atom(expr_lin *d, expr_node *n, int64_t factor) {
    int i = 0;
    while (i < d->terms && d->term[i].atom != n) i++;
    if (i == LIN_TERMS) return false;
    if (i == d->terms) {
        d->term[d->terms++].atom = n;
        d->term[i].factor = 0;
    }
    if (!add_factor(&d->term[i].factor, factor)) return false;
    if (d->term[i].factor == 0) d->term[i] = d->term[--d->terms];
    return true;
}

static bool add_constant(expr_lin *d, int64_t v) {
    d->c += v;
    return d->c <= constant_max && d->c >= -constant_max;
}

bool expr_lin_add(expr_lin *d, expr_node *n, int64_t factor) {
    expr_node *x = n->kid[0], *y = n->kid[1];
    switch (n->op) {
    case EX_CONST: return add_constant(d, factor * n->i);
    case EX_VAR:
        if (n->index == VAR_H) return add_factor(&d->h, factor);
        if (n->index == VAR_Q) return add_factor(&d->q, factor);
        if (n->index == VAR_K) return add_factor(&d->k, factor);
        return add_atom(d, n, factor);
    case EX_ADD: return expr_lin_add(d, x, factor) && expr_lin_add(d, y, factor);
    case EX_SUB: return expr_lin_add(d, x, factor) && expr_lin_add(d, y, -factor);
    case EX_NEG: return expr_lin_add(d, x, -factor);
    case EX_MUL: {
        expr_node *c = x->op == EX_CONST ? x : y;
        bool small = c->op == EX_CONST && c->i <= FACTOR_MAX && c->i >= -FACTOR_MAX;
        int64_t product = small ? factor * c->i : INT64_MAX;
        if (product > FACTOR_MAX || product < -FACTOR_MAX) return add_atom(d, n, factor);
        return expr_lin_add(d, c == x ? y : x, product);
    }
    default: return add_atom(d, n, factor);
    }
}

expr_lin expr_lin_negated(const expr_lin *d) {
    expr_lin n = *d;
    n.c = -n.c, n.h = -n.h, n.q = -n.q, n.k = -n.k;
    for (int i = 0; i < n.terms; i++) n.term[i].factor = -n.term[i].factor;
    return n;
}

static bool scale(expr_lin *d, int64_t factor) {
    bool fits = d->c <= constant_max / factor && d->c >= -(constant_max / factor);
    d->c = fits ? d->c * factor : 0;
    int64_t *const own[] = {&d->h, &d->q, &d->k};
    for (int i = 0; i < 3; i++) {
        *own[i] *= factor;
        fits = fits && *own[i] <= FACTOR_MAX && *own[i] >= -FACTOR_MAX;
    }
    for (int i = 0; i < d->terms; i++) {
        int64_t *f = &d->term[i].factor;
        *f *= factor;
        fits = fits && *f <= FACTOR_MAX && *f >= -FACTOR_MAX;
    }
    return fits;
}

static void drop_term(expr_lin *d, int i) {
    d->term[i] = d->term[--d->terms];
}

/* --- Comparisons of ints. --- */
static expr_cond *new_cond(expr_conds *cs, cond_kind kind) {
    expr_cond *c = arena_alloc(cs->a, sizeof *c);
    c->kind = kind;
    return c;
}

static expr_cond *group(expr_conds *cs, cond_kind kind, int n, expr_cond *const kid[]) {
    expr_cond *c = new_cond(cs, kind);
    c->kids = n;
    c->kid = arena_alloc(cs->a, sizeof *c->kid * (size_t)n);
    memcpy(c->kid, kid, sizeof *c->kid * (size_t)n);
    return c;
}

static expr_cond *with_form(expr_conds *cs, const expr_cond *like, const expr_lin *d) {
    expr_cond *c = new_cond(cs, COND_LIN);
    *c = *like;
    c->d = *d;
    return c;
}

/* c > 0 if n is k // c, else 0. */
static int64_t key_divisor(const expr_node *n) {
    if (n->op != EX_SHR && n->op != EX_FLOORDIV) return 0;
    const expr_node *x = n->kid[0], *y = n->kid[1];
    if (x->op != EX_VAR || x->index != VAR_K || y->op != EX_CONST) return 0;
    if (n->op == EX_SHR) return (int64_t)1 << (y->i & 31);
    return y->i > 0 ? y->i : 0;
}

/* k // c + rest <= 0 is k + c * rest - (c - 1) <= 0, and -(k // c) + rest <= 0 is
 * -k + c * rest <= 0: block structure becomes bounds on k. */
static bool open_block(expr_lin *d) {
    for (int i = 0; i < d->terms; i++) {
        int64_t c = key_divisor(d->term[i].atom), f = d->term[i].factor;
        if (c == 0 || c > FACTOR_MAX || (f != 1 && f != -1)) continue;
        expr_lin rest = *d;
        drop_term(&rest, i);
        if (!scale(&rest, c) || !add_factor(&rest.k, f)) continue;
        if (f == 1 && !add_constant(&rest, 1 - c)) continue;
        *d = rest;
        return true;
    }
    return false;
}

/* d[i] replaced by factor * n. */
static bool substitute(expr_lin *d, int i, expr_node *n, int64_t factor) {
    drop_term(d, i);
    return expr_lin_add(d, n, factor);
}

static expr_cond *split(expr_conds *cs, const expr_cond *c, int *splits);

/* d <= 0 with d = f * max(a, b) + rest is both d(a) <= 0 and d(b) <= 0 if f > 0, one of them if
 * f < 0; min is the reverse; abs(a) is max(a, -a). */
static expr_cond *split_at(expr_conds *cs, const expr_cond *c, int i, int *splits) {
    expr_node *n = c->d.term[i].atom;
    int64_t f = c->d.term[i].factor;
    expr_lin one = c->d, two = c->d;
    bool is_abs = n->op == EX_ABS;
    if (!substitute(&one, i, n->kid[0], f)) return NULL;
    if (!substitute(&two, i, n->kid[is_abs ? 0 : 1], is_abs ? -f : f)) return NULL;
    ++*splits;
    cond_kind kind = (f > 0) == (n->op != EX_MIN) ? COND_ALL : COND_ANY;
    expr_cond *a = split(cs, with_form(cs, c, &one), splits);
    expr_cond *b = split(cs, with_form(cs, c, &two), splits);
    return group(cs, kind, 2, (expr_cond *const[]){a, b});
}

static expr_cond *finish(expr_conds *cs, const expr_cond *c) {
    expr_lin d = c->d;
    if (c->rel == ATTN_LE) open_block(&d);
    bool opaque = false;
    for (int i = 0; i < d.terms; i++) opaque |= (d.term[i].atom->deps & DEP_K) != 0;
    if (cs->range && opaque) return new_cond(cs, COND_OPEN);
    return with_form(cs, c, &d);
}

static expr_cond *split(expr_conds *cs, const expr_cond *c, int *splits) {
    for (int i = 0; c->rel == ATTN_LE && *splits < SPLITS_MAX && i < c->d.terms; i++) {
        expr_op op = c->d.term[i].atom->op;
        if (op != EX_ABS && op != EX_MIN && op != EX_MAX) continue;
        expr_cond *r = split_at(cs, c, i, splits);
        if (r) return r;
    }
    return finish(cs, c);
}

/* May evaluating n as part of a linear form wrap? */
static bool may_wrap(const expr_node *n) {
    switch (n->op) {
    case EX_ADD:
    case EX_SUB:
    case EX_NEG:
    case EX_MUL:
    case EX_ABS: return true;
    case EX_MIN:
    case EX_MAX: return may_wrap(n->kid[0]) || may_wrap(n->kid[1]);
    default: return false;
    }
}

static bool has_key_block(const expr_lin *d) {
    for (int i = 0; i < d->terms; i++)
        if (key_divisor(d->term[i].atom)) return true;
    return false;
}

static expr_cond *compare_ints(expr_conds *cs, expr_node *n) {
    expr_cond c = {.kind = COND_LIN, .l = n->kid[0], .r = n->kid[1]};
    c.rel = n->op == EX_EQ ? ATTN_EQ : n->op == EX_NE ? ATTN_NE : ATTN_LE;
    c.strict = n->op == EX_LT;
    c.checked = may_wrap(c.l) || may_wrap(c.r);
    bool fits =
        add_constant(&c.d, c.strict) && expr_lin_add(&c.d, c.l, 1) && expr_lin_add(&c.d, c.r, -1);
    if (!fits) { /* too large: two atoms, no wrapping in between */
        c.d = (expr_lin){.c = c.strict};
        add_atom(&c.d, c.l, 1);
        add_atom(&c.d, c.r, -1);
        c.checked = false;
    }
    int splits = 0;
    if (c.rel != ATTN_EQ || !has_key_block(&c.d)) return split(cs, &c, &splits);
    expr_cond up = c, down = c; /* equal blocks: two bounds */
    up.rel = down.rel = ATTN_LE;
    down.l = c.r;
    down.r = c.l;
    down.d = expr_lin_negated(&down.d);
    expr_cond *const both[] = {split(cs, &up, &splits), split(cs, &down, &splits)};
    return group(cs, COND_ALL, 2, both);
}

/* --- Logic. --- */
typedef struct flat {
    bool *seen; /* nodes, by id */
    expr_cond **kid;
    int count, most;
} flat;

static void flat_add(expr_conds *cs, flat *f, expr_cond *c) {
    if (f->count == f->most) {
        expr_cond **old = f->kid;
        f->most = f->most ? f->most * 2 : 8;
        f->kid = arena_alloc(cs->a, sizeof *f->kid * (size_t)f->most);
        if (f->count) memcpy(f->kid, old, sizeof *f->kid * (size_t)f->count);
    }
    f->kid[f->count++] = c;
}

/* Operands of nested `and`s (or `or`s) side by side: exactness needs them together. */
static void flatten(expr_conds *cs, expr_node *n, expr_op op, flat *f) {
    if (f->seen[n->id]) return;
    f->seen[n->id] = true;
    if (n->op == op) {
        flatten(cs, n->kid[0], op, f);
        flatten(cs, n->kid[1], op, f);
        return;
    }
    expr_cond *c = expr_cond_of(cs, n);
    bool alike = c->kind == (op == EX_AND ? COND_ALL : COND_ANY);
    if (!alike) flat_add(cs, f, c);
    for (int i = 0; alike && i < c->kids; i++) flat_add(cs, f, c->kid[i]);
}

static expr_cond *logic(expr_conds *cs, expr_node *n) {
    flat f = {.seen = arena_alloc(cs->a, (size_t)cs->e->node_count)};
    flatten(cs, n, n->op, &f);
    return group(cs, n->op == EX_AND ? COND_ALL : COND_ANY, f.count, f.kid);
}

static expr_cond *build(expr_conds *cs, expr_node *n) {
    expr_cond *c;
    switch (n->op) {
    case EX_CONST:
        c = new_cond(cs, COND_CONST);
        c->holds = n->i != 0;
        return c;
    case EX_NOT: {
        expr_cond *kid = expr_cond_of(cs, n->kid[0]);
        return group(cs, COND_NOT, 1, &kid);
    }
    case EX_AND:
    case EX_OR: return logic(cs, n);
    default: break;
    }
    if (n->kid[0]->type == TYPE_INT) return compare_ints(cs, n);
    if (cs->range && (n->deps & DEP_K)) return new_cond(cs, COND_OPEN);
    c = new_cond(cs, COND_FLOAT);
    c->compare = n;
    return c;
}

expr_cond *expr_cond_of(expr_conds *cs, expr_node *n) {
    if (!cs->of[n->id]) cs->of[n->id] = build(cs, n);
    return cs->of[n->id];
}

expr_conds expr_conds_new(arena *a, const expr *e, bool range) {
    return (expr_conds){a, e, range,
                        arena_alloc(a, sizeof(expr_cond *) * (size_t)(e->node_count + 1))};
}

/* --- Key range in words. --- */
typedef struct bounds {
    buf low, high;
    int lows, highs;
} bounds;

/* Can the node be written out in short? */
static bool printable(const expr_node *n) {
    if (n->type != TYPE_INT || n->op == EX_WHERE) return false;
    for (int i = 0; i < n->kids; i++)
        if (!printable(n->kid[i])) return false;
    return true;
}

static void print_term(buf *b, const expr *e, int64_t factor, const expr_node *atom,
                       const char *name) {
    if (factor == 0) return;
    int64_t size = factor < 0 ? -factor : factor;
    if (b->len)
        buf_puts(b, factor < 0 ? " - " : " + ");
    else if (factor < 0)
        buf_puts(b, "-");
    if (size != 1) buf_printf(b, "%lld * ", (long long)size);
    if (atom)
        expr_print(b, e, atom, expr_ops[EX_MUL].precedence);
    else
        buf_puts(b, name);
}

/* d without its key, times sign. */
static const char *print_lin(arena *a, const expr *e, const expr_lin *d, int sign) {
    buf b = buf_new(a);
    print_term(&b, e, sign * d->q, NULL, "q");
    print_term(&b, e, sign * d->h, NULL, "h");
    for (int i = 0; i < d->terms; i++)
        print_term(&b, e, sign * d->term[i].factor, d->term[i].atom, NULL);
    int64_t c = sign * d->c;
    if (b.len == 0)
        buf_printf(&b, "%lld", (long long)c);
    else if (c)
        buf_printf(&b, c < 0 ? " - %lld" : " + %lld", (long long)(c < 0 ? -c : c));
    return b.data;
}

static bool plain(const expr_cond *c) {
    if (c->kind != COND_LIN || c->rel == ATTN_NE || (c->d.k != 1 && c->d.k != -1)) return false;
    for (int i = 0; i < c->d.terms; i++)
        if (!printable(c->d.term[i].atom)) return false;
    return true;
}

static void bound(arena *a, const expr *e, const expr_cond *c, bounds *out) {
    if (c->kind == COND_ALL)
        for (int i = 0; i < c->kids; i++) bound(a, e, c->kid[i], out);
    if (!plain(c)) return;
    bool below = c->d.k == 1;
    const char *text = print_lin(a, e, &c->d, below ? -1 : 1);
    if (below || c->rel == ATTN_EQ) buf_printf(&out->high, "%s%s", out->highs++ ? ", " : "", text);
    if (below && c->rel != ATTN_EQ) return;
    if (strcmp(text, "0") != 0) /* keys start at 0 */
        buf_printf(&out->low, "%s%s", out->lows++ ? ", " : "", text);
}

const char *expr_range_text(arena *a, const expr *e) {
    if (e->kind != EXPR_MASK) return "";
    expr_conds cs = expr_conds_new(a, e, true);
    bounds all = {buf_new(a), buf_new(a), 0, 0};
    bound(a, e, expr_cond_of(&cs, e->root), &all);
    if (all.lows + all.highs == 0) return "";
    buf b = buf_new(a);
    if (all.lows) buf_printf(&b, "max(0, %s) <= ", all.low.data);
    buf_puts(&b, "k");
    if (all.highs) buf_printf(&b, all.highs > 1 ? " <= min(%s)" : " <= %s", all.high.data);
    return b.data;
}
