/* interval.c - tile classes and key ranges in the generator (explain): the conditions of cond.c,
 * evaluated with the helpers that generated classifiers call. */
#include "expr_internal.h"

typedef struct walk {
    const expr *e;
    const attn_tile_box *box;
    const expr_point *p; /* may be null: anything */
    attn_args args;      /* of p's side tensors */
    attn_expr_ctx ctx;
    const attn_expr_ctx *x; /* null: side tensors hold anything */
    expr_conds cs;
    bool *done; /* by node id */
    attn_iv *iv;
    attn_fv *fv;
} walk;

static attn_iv iv_of(walk *w, expr_node *n);
static attn_fv fv_of(walk *w, expr_node *n);
static attn_cond cond_of(walk *w, expr_cond *c);

static int32_t extent(const walk *w, int32_t dim) {
    switch (dim) {
    case ATTN_DIM_BATCH: return w->p ? w->p->batch : INT32_MAX;
    case ATTN_DIM_HEADS: return w->e->heads;
    case ATTN_DIM_KV_HEADS: return w->e->kv_heads;
    case ATTN_DIM_Q_LEN: return w->p ? w->p->q_len : INT32_MAX;
    case ATTN_DIM_KV_LEN: return w->p ? w->p->kv_len_max : INT32_MAX;
    default: return dim;
    }
}

static attn_span span_of(walk *w, expr_node *n) {
    attn_span s = {0, 0};
    for (int d = 0; d < n->kids; d++)
        s = attn_span_at(s, iv_of(w, n->kid[d]), extent(w, w->e->tensors[n->index].dim[d]));
    return s;
}

static attn_iv iv_var(const walk *w, int var) {
    const attn_tile_box *box = w->box;
    if (var == VAR_H) return attn_iv_of(box->h0, box->h1);
    if (var == VAR_Q) return attn_iv_of(box->q0, box->q1);
    if (var == VAR_K || var == VAR_K_POS) return attn_iv_of(box->k0, box->k1); /* no tail */
    if (!w->p) return attn_iv_any();
    if (var == VAR_B) return attn_iv_at(w->p->b);
    if (var == VAR_Q_START) return attn_iv_at(w->p->q_start);
    return attn_iv_at(var == VAR_Q_LEN ? w->p->q_len : w->p->kv_len);
}

static attn_iv iv_new(walk *w, expr_node *n) {
    const expr_op_row *row = &expr_ops[n->op];
    switch (n->op) {
    case EX_CONST: return attn_iv_at(n->i);
    case EX_VAR: return iv_var(w, n->index);
    case EX_SCALAR:
        if (!w->p || !w->p->scalars) return attn_iv_any();
        return attn_iv_at(w->p->scalars[n->index].i32);
    case EX_TENSOR: return attn_iv_side(w->x, n->index, span_of(w, n));
    case EX_WHERE:
        return attn_iv_where(cond_of(w, expr_cond_of(&w->cs, n->kid[0])), iv_of(w, n->kid[1]),
                             iv_of(w, n->kid[2]));
    case EX_INT: return attn_iv_of_fv(fv_of(w, n->kid[0]));
    default: break;
    }
    attn_iv a = iv_of(w, n->kid[0]);
    return row->iv1 ? row->iv1(a) : row->iv2(a, iv_of(w, n->kid[1]));
}

static attn_iv iv_of(walk *w, expr_node *n) {
    if (!w->done[n->id]) w->iv[n->id] = iv_new(w, n);
    w->done[n->id] = true;
    return w->iv[n->id];
}

static attn_fv fv_new(walk *w, expr_node *n) {
    const expr_op_row *row = &expr_ops[n->op];
    switch (n->op) {
    case EX_CONST: return attn_fv_near((double)(float)n->f, n->f != (double)(float)n->f);
    case EX_VAR: return attn_fv_any(); /* s */
    case EX_SCALAR:
        if (!w->p || !w->p->scalars) return attn_fv_any();
        return attn_fv_at((double)w->p->scalars[n->index].f32);
    case EX_TENSOR: return attn_fv_side(w->x, n->index, span_of(w, n));
    case EX_TO_FLOAT: return attn_fv_of_iv(iv_of(w, n->kid[0]));
    case EX_WHERE:
        return attn_fv_where(cond_of(w, expr_cond_of(&w->cs, n->kid[0])), fv_of(w, n->kid[1]),
                             fv_of(w, n->kid[2]));
    default: break;
    }
    attn_fv a = fv_of(w, n->kid[0]);
    return row->fv1 ? row->fv1(a) : row->fv2(a, fv_of(w, n->kid[1]));
}

static attn_fv fv_of(walk *w, expr_node *n) {
    if (!w->done[n->id]) w->fv[n->id] = fv_new(w, n);
    w->done[n->id] = true;
    return w->fv[n->id];
}

static attn_cond linear(walk *w, const expr_cond *c) {
    attn_lin d = attn_lin_of(c->d.c, c->d.h, c->d.q, c->d.k);
    for (int i = 0; i < c->d.terms; i++)
        d = attn_lin_add(d, c->d.term[i].factor, iv_of(w, c->d.term[i].atom));
    if (c->checked) d = attn_lin_checked(d, iv_of(w, c->l), iv_of(w, c->r), c->strict);
    return c->rel == ATTN_LE ? attn_cond_le(d, w->box) : attn_cond_eq_ne(c->rel, d, w->box);
}

static attn_cond group(walk *w, const expr_cond *c) {
    attn_cond *kid = arena_alloc(w->cs.a, sizeof *kid * (size_t)c->kids);
    for (int i = 0; i < c->kids; i++) kid[i] = cond_of(w, c->kid[i]);
    return c->kind == COND_ALL ? attn_all_of(c->kids, kid, w->box)
                               : attn_any_of(c->kids, kid, w->box);
}

static attn_cond cond_new(walk *w, expr_cond *c) {
    switch (c->kind) {
    case COND_CONST: return attn_cond_of(c->holds ? ATTN_ALWAYS : ATTN_NEVER, w->box);
    case COND_OPEN: return attn_cond_of(ATTN_MAYBE, w->box);
    case COND_LIN: return linear(w, c);
    case COND_NOT: return attn_cond_not(cond_of(w, c->kid[0]), w->box);
    case COND_FLOAT: {
        attn_fv a = fv_of(w, c->compare->kid[0]), b = fv_of(w, c->compare->kid[1]);
        return attn_cond_of(expr_ops[c->compare->op].compare(a, b), w->box);
    }
    default: return group(w, c);
    }
}

static attn_cond cond_of(walk *w, expr_cond *c) {
    if (!c->done) c->value = cond_new(w, c);
    c->done = true;
    return c->value;
}

static walk start(arena *a, const expr *e, const attn_tile_box *box, const expr_point *p,
                  bool range) {
    const size_t n = (size_t)e->node_count;
    walk w = {.e = e, .box = box, .p = p, .cs = expr_conds_new(a, e, range)};
    w.done = arena_alloc(a, n * sizeof *w.done);
    w.iv = arena_alloc(a, n * sizeof *w.iv);
    w.fv = arena_alloc(a, n * sizeof *w.fv);
    return w;
}

static attn_cond mask_of(const expr *e, const attn_tile_box *box, const expr_point *p, bool range) {
    arena *a = arena_new();
    walk w = start(a, e, box, p, range);
    if (p && p->side) {
        w.args.side = p->side;
        w.ctx = (attn_expr_ctx){.args = &w.args,
                                .b = p->b,
                                .q_start = p->q_start,
                                .q_len = p->q_len,
                                .kv_len = p->kv_len,
                                .minmax = p->minmax,
                                .rows = p->q_len};
        w.x = &w.ctx;
    }
    attn_cond c = cond_of(&w, expr_cond_of(&w.cs, e->root));
    arena_free(a);
    return c;
}

attn_iv expr_interval(const expr *e, expr_node *n, const attn_tile_box *box) {
    arena *a = arena_new();
    walk w = start(a, e, box, NULL, true);
    const attn_iv iv = iv_of(&w, n);
    arena_free(a);
    return iv;
}

attn_tile_class expr_classify(const expr *e, const attn_tile_box *box, const expr_point *p) {
    if (e->kind != EXPR_MASK) return ATTN_TILE_SOME;
    return attn_class_of(mask_of(e, box, p, false));
}

void expr_range(const expr *e, const attn_tile_box *box, const expr_point *p, int32_t *lo,
                int32_t *hi) {
    *lo = box->k0;
    *hi = box->k1;
    if (e->kind == EXPR_MASK) attn_range_of(mask_of(e, box, p, true), lo, hi);
}

const void *expr_minmax_table(arena *a, const attn_side_decl *decl, const attn_side *side) {
    const int64_t blocks = (side->count + ATTN_MINMAX_BLOCK - 1) / ATTN_MINMAX_BLOCK;
    void *table = arena_alloc(a, (size_t)(2 * blocks) * sizeof(int32_t)); /* an f32 is as wide */
    if (decl->is_float)
        attn_minmax_f32(side->data, side->count, table);
    else
        attn_minmax_i32(side->data, side->count, table);
    return table;
}
