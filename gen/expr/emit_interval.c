/* emit_interval.c - the mask's tile classifier and key range as C: a statement an interval or
 * condition, all of them calls of runtime/simd/interval.h. */
#include "expr_internal.h"

typedef struct emitter {
    arena *a;
    const expr *e;
    expr_conds cs;
    expr_lines lines;
    const char **name; /* of the interval of a node, by id */
    int conds, forms;  /* named so far */
} emitter;

static const char *interval(emitter *m, expr_node *n);
static const char *condition(emitter *m, expr_cond *c);

static const char *span_text(emitter *m, const expr_node *n) {
    const char *text = "(attn_span){0, 0}";
    for (int d = 0; d < n->kids; d++) {
        const char *dim = expr_dim_text(m->a, m->e, m->e->tensors[n->index].dim[d]);
        text = arena_printf(m->a, "attn_span_at(%s, %s, %s)", text, interval(m, n->kid[d]), dim);
    }
    return text;
}

static const char *var_text(int var) {
    static const char *const text[VAR_COUNT] = {"attn_fv_any()",
                                                "attn_iv_at(x->b)",
                                                "attn_iv_of(box->h0, box->h1)",
                                                "attn_iv_of(box->q0, box->q1)",
                                                "attn_iv_of(box->k0, box->k1)",
                                                "attn_iv_at(x->q_start)",
                                                "attn_iv_at(x->q_len)",
                                                "attn_iv_at(x->kv_len)",
                                                "attn_iv_positions(x, box)"};
    return text[var];
}

static const char *value_text(emitter *m, expr_node *n) {
    bool f = n->type == TYPE_FLOAT;
    const expr_op_row *row = &expr_ops[n->op];
    switch (n->op) {
    case EX_VAR: return var_text(n->index);
    case EX_SCALAR:
        return arena_printf(m->a,
                            f ? "attn_fv_at((double)x->args->scalars[%d].f32)"
                              : "attn_iv_at(x->args->scalars[%d].i32)",
                            n->index);
    case EX_TENSOR:
        return arena_printf(m->a, "attn_%s_side(x, %d, %s)", f ? "fv" : "iv", n->index,
                            span_text(m, n));
    case EX_TO_FLOAT: return arena_printf(m->a, "attn_fv_of_iv(%s)", interval(m, n->kid[0]));
    case EX_WHERE:
        return arena_printf(m->a, "%s(%s, %s, %s)", f ? row->fv_name : row->iv_name,
                            condition(m, expr_cond_of(&m->cs, n->kid[0])), interval(m, n->kid[1]),
                            interval(m, n->kid[2]));
    default: break;
    }
    const char *call = f ? row->fv_name : row->iv_name, *x = interval(m, n->kid[0]);
    if (n->kids == 1) return arena_printf(m->a, "%s(%s)", call, x);
    return arena_printf(m->a, "%s(%s, %s)", call, x, interval(m, n->kid[1]));
}

/* Name of a node's interval, or a literal. */
static const char *interval(emitter *m, expr_node *n) {
    if (m->name[n->id]) return m->name[n->id];
    bool f = n->type == TYPE_FLOAT;
    if (n->op == EX_CONST) {
        if (!f) return arena_printf(m->a, "attn_iv_at(%s)", expr_int_text(m->a, n->i));
        bool inexact = (double)(float)n->f != n->f;
        return arena_printf(m->a, inexact ? "attn_fv_near(%s, true)" : "attn_fv_at(%s)",
                            expr_f32_text(m->a, n->f));
    }
    const char *text = value_text(m, n);
    bool axis = n->op == EX_VAR && (n->deps & (DEP_H | DEP_Q | DEP_K));
    const char *name = axis ? expr_var_names[n->index] : arena_printf(m->a, "v%d", n->id);
    expr_line_printf(m->a, &m->lines, "const %s %s = %s;", f ? "attn_fv" : "attn_iv", name, text);
    return m->name[n->id] = name;
}

/* `text` as it is, or where it would nest too deep, as the new value of variable d. */
static const char *step(emitter *m, const char *d, const char *text, bool first) {
    if (!d) return text;
    expr_line_printf(m->a, &m->lines, "%s%s = %s;", first ? "attn_lin " : "", d, text);
    return d;
}

static const char *linear_text(emitter *m, const expr_cond *c) {
    const expr_lin *d = &c->d;
    const char *var = d->terms > 1 ? arena_printf(m->a, "d%d", m->forms++) : NULL;
    const char *text = arena_printf(m->a, "attn_lin_of(%lld, %lld, %lld, %lld)", (long long)d->c,
                                    (long long)d->h, (long long)d->q, (long long)d->k);
    text = step(m, var, text, true);
    for (int i = 0; i < d->terms; i++) {
        const char *atom = interval(m, d->term[i].atom);
        text = step(m, var,
                    arena_printf(m->a, "attn_lin_add(%s, %lld, %s)", text,
                                 (long long)d->term[i].factor, atom),
                    false);
    }
    if (c->checked) {
        const char *l = interval(m, c->l), *r = interval(m, c->r);
        text = arena_printf(m->a, "attn_lin_checked(%s, %s, %s, %d)", text, l, r, c->strict);
    }
    static const char *const call[] = {"attn_cond_le", "attn_cond_eq", "attn_cond_ne"};
    return arena_printf(m->a, "%s(%s, box)", call[c->rel], text);
}

static const char *group_text(emitter *m, const expr_cond *c) {
    buf b = buf_new(m->a);
    for (int i = 0; i < c->kids; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", condition(m, c->kid[i]));
    return arena_printf(m->a, "%s(%d, (attn_cond[]){%s}, box)",
                        c->kind == COND_ALL ? "attn_all_of" : "attn_any_of", c->kids, b.data);
}

static const char *condition_text(emitter *m, expr_cond *c) {
    switch (c->kind) {
    case COND_CONST:
        return c->holds ? "attn_cond_of(ATTN_ALWAYS, box)" : "attn_cond_of(ATTN_NEVER, box)";
    case COND_OPEN: return "attn_cond_of(ATTN_MAYBE, box)";
    case COND_LIN: return linear_text(m, c);
    case COND_NOT: return arena_printf(m->a, "attn_cond_not(%s, box)", condition(m, c->kid[0]));
    case COND_FLOAT: {
        const char *x = interval(m, c->compare->kid[0]), *y = interval(m, c->compare->kid[1]);
        return arena_printf(m->a, "attn_cond_of(%s(%s, %s), box)", expr_ops[c->compare->op].fv_name,
                            x, y);
    }
    default: return group_text(m, c);
    }
}

static const char *condition(emitter *m, expr_cond *c) {
    if (c->name) return c->name;
    const char *text = condition_text(m, c);
    c->name = arena_printf(m->a, "c%d", m->conds++);
    expr_line_printf(m->a, &m->lines, "const attn_cond %s = %s;", c->name, text);
    return c->name;
}

static emitter start(arena *a, const expr *e, bool range) {
    emitter m = {a, e, expr_conds_new(a, e, range), {0}, NULL, 0, 0};
    m.name = arena_alloc(a, sizeof *m.name * (size_t)(e->node_count + 1));
    return m;
}

expr_lines expr_emit_classify(arena *a, const expr *e) {
    emitter m = start(a, e, false);
    const char *c = condition(&m, expr_cond_of(&m.cs, e->root));
    expr_line_printf(a, &m.lines, "return attn_class_of(%s);", c);
    expr_lines_void(a, &m.lines, (const char *const[]){"x", "box", NULL});
    return m.lines;
}

expr_lines expr_emit_range(arena *a, const expr *e) {
    emitter m = start(a, e, true);
    const char *c = condition(&m, expr_cond_of(&m.cs, e->root));
    expr_line_printf(a, &m.lines, "attn_range_of(%s, lo, hi);", c);
    expr_lines_void(a, &m.lines, (const char *const[]){"x", "box", NULL});
    return m.lines;
}

uint32_t expr_minmax_tensors(const expr *e) {
    uint32_t bits = 0;
    for (int i = 0; e->kind == EXPR_MASK && i < e->node_count; i++) {
        const expr_node *n = e->node[i];
        bool runs = n->op == EX_TENSOR && (n->deps & (DEP_Q | DEP_K));
        if (runs) bits |= 1u << n->index;
    }
    return bits;
}
