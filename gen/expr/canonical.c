/* canonical.c - expressions as text: canonical source, and the listing of the simplified DAG. */
#include "expr_internal.h"

#include <stdio.h>
#include <stdlib.h>

static void print_float(buf *b, double v) {
    if (isnan(v)) {
        buf_puts(b, "nan"); /* only folding makes one, so only dumps show it */
        return;
    }
    if (isinf(v)) {
        buf_puts(b, v < 0 ? "-inf" : "inf");
        return;
    }
    char text[40];
    if (fabs(v) < 1e7 && v == floor(v)) {
        buf_printf(b, "%.1f", v);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) { /* the shortest that reads back */
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    buf_puts(b, text);
    if (!strpbrk(text, ".e")) buf_puts(b, ".0"); /* or it would read as an int */
}

static void print_const(buf *b, const expr_node *n) {
    if (n->name)
        buf_puts(b, n->name);
    else if (n->type == TYPE_BOOL)
        buf_puts(b, n->i ? "true" : "false");
    else if (n->type == TYPE_INT)
        buf_printf(b, "%d", (int)n->i);
    else
        print_float(b, n->f);
}

static void print_call(buf *b, const expr *e, const expr_node *n) {
    buf_printf(b, "%s(", expr_ops[n->op].name);
    for (int i = 0; i < n->kids; i++) {
        if (i) buf_puts(b, ", ");
        expr_print(b, e, n->kid[i], 0);
    }
    buf_puts(b, ")");
}

static void print_tensor(buf *b, const expr *e, const expr_node *n) {
    buf_puts(b, e->tensors[n->index].name);
    for (int i = 0; i < n->kids; i++) {
        buf_puts(b, "[");
        expr_print(b, e, n->kid[i], 0);
        buf_puts(b, "]");
    }
}

static void print_operator(buf *b, const expr *e, const expr_node *n) {
    const expr_op_row *row = &expr_ops[n->op];
    if (n->kids == 1) {
        buf_printf(b, n->op == EX_NOT ? "%s " : "%s", row->name);
        expr_print(b, e, n->kid[0], row->precedence);
        return;
    }
    /* Operators associate to the left, comparisons not at all. */
    expr_print(b, e, n->kid[0], row->precedence + (expr_is_compare(n->op) ? 1 : 0));
    buf_printf(b, " %s ", row->name);
    expr_print(b, e, n->kid[1], row->precedence + 1);
}

void expr_print(buf *b, const expr *e, const expr_node *n, int precedence) {
    switch (n->op) {
    case EX_CONST: print_const(b, n); return;
    case EX_VAR: buf_puts(b, expr_var_names[n->index]); return;
    case EX_SCALAR: buf_puts(b, e->scalars[n->index].name); return;
    case EX_TENSOR: print_tensor(b, e, n); return;
    case EX_TO_FLOAT: expr_print(b, e, n->kid[0], precedence); return;
    default: break;
    }
    int own = expr_ops[n->op].precedence;
    if (own == 0) {
        print_call(b, e, n);
        return;
    }
    if (own < precedence) buf_puts(b, "(");
    print_operator(b, e, n);
    if (own < precedence) buf_puts(b, ")");
}

const char *expr_canonical(arena *a, const expr *e) {
    buf b = buf_new(a);
    expr_print(&b, e, e->tree, 0);
    return b.data;
}

static void dump_node(buf *b, const expr *e, const expr_node *n) {
    static const char type[] = {'b', 'i', 'f'};
    buf_printf(b, "%%%d:%c = ", n->id, type[n->type]);
    if (n->kids == 0) {
        expr_print(b, e, n, 0);
    } else {
        buf_puts(b, n->op == EX_TENSOR ? e->tensors[n->index].name : expr_ops[n->op].name);
        for (int i = 0; i < n->kids; i++) buf_printf(b, " %%%d", n->kid[i]->id);
    }
    buf_puts(b, "\n");
}

const char *expr_dump(arena *a, const expr *e) {
    buf b = buf_new(a);
    for (int i = 0; i < e->node_count; i++) dump_node(&b, e, e->node[i]);
    return b.data;
}

static void find_uses(const expr_node *n, expr_uses *u) {
    if (n->op == EX_TENSOR) u->tensors |= 1u << n->index;
    if (n->op == EX_SCALAR) u->scalars = true;
    if (n->op == EX_VAR && n->index == VAR_H) u->head = true;
    for (int i = 0; i < n->kids; i++) find_uses(n->kid[i], u);
}

expr_uses expr_uses_of(const expr *e) {
    expr_uses u = {0};
    find_uses(e->tree, &u);
    return u;
}
