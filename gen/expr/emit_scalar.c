/* emit_scalar.c - the tree as scalar C in double, guards included: what a condition does not
 * select is not evaluated, so that *oob speaks of indexes that count only.
 *
 * Small subexpressions nest; a long one becomes a variable. Where the guarded side of and, or,
 * where needs variables of its own, the guard becomes an if. */
#include "expr_internal.h"

typedef struct emitter {
    arena *a;
    const expr *e;
    expr_lines lines;
    int depth; /* of blocks */
    int made;  /* variables */
} emitter;

enum { NEST_COLUMNS = 56 };

static const char *value(emitter *m, const expr_node *n);

static const char *c_type(const expr_node *n) {
    static const char *const type[] = {"bool", "int32_t", "double"};
    return type[n->type];
}

static void statement(emitter *m, const char *text) {
    /* Deep nests stop indenting: lines stay short. */
    int indent = m->depth < 5 ? 4 * m->depth : 20;
    expr_line_wrap(m->a, &m->lines, indent, text);
}

static const char *new_name(emitter *m) {
    return arena_printf(m->a, "v%d", m->made++);
}

/* The text itself if it is short, else a variable that holds it. */
static const char *shortened(emitter *m, const expr_node *n, const char *text) {
    if (strlen(text) <= NEST_COLUMNS) return text;
    const char *name = new_name(m);
    statement(m, arena_printf(m->a, "const %s %s = %s;", c_type(n), name, text));
    return name;
}

static const char *const_text(emitter *m, const expr_node *n) {
    if (n->type == TYPE_BOOL) return n->i ? "true" : "false";
    if (n->type == TYPE_INT) return expr_int_text(m->a, n->i);
    return isinf(n->f) ? "(double)INFINITY" : arena_printf(m->a, "%a", n->f);
}

static const char *tensor_text(emitter *m, const expr_node *n) {
    const attn_side_decl *t = &m->e->tensors[n->index];
    const char *at = "0";
    for (int d = 0; d < n->kids; d++) {
        const char *i = value(m, n->kid[d]), *dim = expr_dim_text(m->a, m->e, t->dim[d]);
        const char *text = arena_printf(m->a, "attn_flat_checked(%s, %s, %s, oob)", at, i, dim);
        at = new_name(m);
        statement(m, arena_printf(m->a, "const int64_t %s = %s;", at, text));
    }
    return arena_printf(m->a, "attn_read_%s(x, %d, %s)", t->is_float ? "f32" : "i32", n->index, at);
}

/* The value of n and the statements that it needs, kept aside: if there are none, the value can
 * nest in && || ?: and needs no block. */
typedef struct aside {
    expr_lines lines;
    const char *text;
} aside;

static aside value_aside(emitter *m, const expr_node *n) {
    expr_lines outer = m->lines;
    m->lines = (expr_lines){0};
    m->depth++;
    const char *text = value(m, n);
    m->depth--;
    aside r = {m->lines, text};
    m->lines = outer;
    return r;
}

static void assign(emitter *m, const char *name, const aside *v) {
    for (int i = 0; i < v->lines.count; i++) expr_line_add(m->a, &m->lines, v->lines.line[i]);
    m->depth++;
    statement(m, arena_printf(m->a, "%s = %s;", name, v->text));
    m->depth--;
}

static const char *logic_text(emitter *m, const expr_node *n) {
    const char *left = value(m, n->kid[0]);
    aside right = value_aside(m, n->kid[1]);
    bool is_and = n->op == EX_AND;
    if (right.lines.count == 0)
        return arena_printf(m->a, "(%s %s %s)", left, is_and ? "&&" : "||", right.text);
    const char *name = new_name(m);
    statement(m, arena_printf(m->a, "bool %s = %s;", name, left));
    statement(m, arena_printf(m->a, is_and ? "if (%s) {" : "if (!%s) {", name));
    assign(m, name, &right);
    statement(m, "}");
    return name;
}

static const char *where_text(emitter *m, const expr_node *n) {
    const char *c = value(m, n->kid[0]);
    aside yes = value_aside(m, n->kid[1]), no = value_aside(m, n->kid[2]);
    if (yes.lines.count + no.lines.count == 0)
        return arena_printf(m->a, "(%s ? %s : %s)", c, yes.text, no.text);
    const char *guard = new_name(m), *name = new_name(m);
    statement(m, arena_printf(m->a, "const bool %s = %s;", guard, c));
    statement(m, arena_printf(m->a, "%s %s;", c_type(n), name));
    statement(m, arena_printf(m->a, "if (%s) {", guard));
    assign(m, name, &yes);
    statement(m, "} else {");
    assign(m, name, &no);
    statement(m, "}");
    return name;
}

static const char *op_text(emitter *m, const expr_node *n) {
    const char *operand[3] = {0};
    for (int i = 0; i < n->kids; i++) operand[i] = value(m, n->kid[i]);
    const expr_op_row *row = &expr_ops[n->op];
    /* Compilers warn about `q <= q`. */
    bool same = expr_is_compare(n->op) && n->kid[0]->type != TYPE_FLOAT &&
                strcmp(operand[0], operand[1]) == 0;
    if (same) return n->op == EX_LE || n->op == EX_GE || n->op == EX_EQ ? "true" : "false";
    const char *pattern = n->kid[0]->type == TYPE_FLOAT ? row->cd : row->ci;
    if (n->op == EX_TO_FLOAT || n->op == EX_NOT) pattern = row->cd;
    const char *text = expr_fill(m->a, pattern, operand);
    bool call = expr_ops[n->op].precedence == 0 || strncmp(pattern, "attn_", 5) == 0;
    return call ? text : arena_printf(m->a, "(%s)", text);
}

static const char *value(emitter *m, const expr_node *n) {
    static const char *const var[VAR_COUNT] = {"s",        "x->b",      "h",
                                               "q",        "k",         "x->q_start",
                                               "x->q_len", "x->kv_len", "attn_key_position(x, k)"};
    switch (n->op) {
    case EX_CONST: return const_text(m, n);
    case EX_VAR: return var[n->index];
    case EX_SCALAR:
        return arena_printf(m->a,
                            n->type == TYPE_FLOAT ? "(double)x->args->scalars[%d].f32"
                                                  : "x->args->scalars[%d].i32",
                            n->index);
    case EX_TENSOR: return shortened(m, n, tensor_text(m, n));
    case EX_AND:
    case EX_OR: return shortened(m, n, logic_text(m, n));
    case EX_WHERE: return shortened(m, n, where_text(m, n));
    default: return shortened(m, n, op_text(m, n));
    }
}

expr_lines expr_emit_scalar(arena *a, const expr *e) {
    emitter m = {a, e, {0}, 0, 0};
    const char *text = value(&m, e->tree);
    statement(&m, arena_printf(a, "return %s;", text));
    const char *const score[] = {"x", "h", "q", "k", "s", "oob", NULL};
    const char *const mask[] = {"x", "h", "q", "k", "oob", NULL};
    expr_lines_void(a, &m.lines, e->kind == EXPR_SCORE ? score : mask);
    return m.lines;
}
