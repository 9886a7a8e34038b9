/* types.c - nodes, and which types each operation takes and makes. */
#include "parser.h"

expr_node *parser_new_node(parser *p, expr_op op, expr_type type, size_t at) {
    if (++p->nodes > EXPR_MAX_NODES)
        return parser_fail(p, at, "expression is too large: more than %d operations and operands",
                           EXPR_MAX_NODES);
    expr_node *n = arena_alloc(p->a, sizeof *n);
    n->op = op;
    n->type = type;
    n->at = at;
    return n;
}

const char *parser_type_name(const expr_node *n) {
    static const char *const name[] = {"true or false", "an int", "a float"};
    return name[n->type];
}

expr_node *parser_to_float(parser *p, expr_node *n) {
    if (n->type == TYPE_FLOAT) return n;
    expr_node *f = parser_new_node(p, EX_TO_FLOAT, TYPE_FLOAT, n->at);
    if (!f) return NULL;
    f->kids = 1;
    f->kid[0] = n;
    return f;
}

/* Converts the numbers among kid[first..] to one type: float if any is. */
static bool unify(parser *p, expr_node *n, int first) {
    bool any = false;
    for (int i = first; i < n->kids; i++) any |= n->kid[i]->type == TYPE_FLOAT;
    for (int i = first; any && i < n->kids; i++)
        if (!(n->kid[i] = parser_to_float(p, n->kid[i]))) return false;
    return true;
}

static bool to_floats(parser *p, expr_node *n) {
    for (int i = 0; i < n->kids; i++)
        if (!(n->kid[i] = parser_to_float(p, n->kid[i]))) return false;
    return true;
}

/* Position of operand i in a message: operators have sides, functions have arguments. */
static const char *operand_name(const parser *p, const expr_node *n, int i) {
    if (expr_ops[n->op].precedence == 0) return arena_printf(p->a, "argument %d", i + 1);
    if (n->kids == 1) return "its operand";
    return i ? "the right side" : "the left side";
}

static expr_node *wrong_type(parser *p, const expr_node *n, int i, const char *wants) {
    size_t at = expr_ops[n->op].precedence == 0 ? n->kid[i]->at : n->at;
    return parser_fail(p, at, "'%s' needs %s, but %s is %s", expr_ops[n->op].name, wants,
                       operand_name(p, n, i), parser_type_name(n->kid[i]));
}

static expr_node *type_bools(parser *p, expr_node *n) {
    for (int i = 0; i < n->kids; i++)
        if (n->kid[i]->type != TYPE_BOOL)
            return wrong_type(p, n, i, "true or false (such as a comparison)");
    n->type = TYPE_BOOL;
    return n;
}

static expr_node *type_ints(parser *p, expr_node *n) {
    for (int i = 0; i < n->kids; i++)
        if (n->kid[i]->type != TYPE_INT) return wrong_type(p, n, i, "ints");
    n->type = TYPE_INT;
    return n;
}

static bool are_bools(const expr_node *n) {
    return n->kid[0]->type == TYPE_BOOL && n->kid[1]->type == TYPE_BOOL;
}

static expr_node *type_numbers(parser *p, expr_node *n) {
    for (int i = 0; i < n->kids; i++)
        if (n->kid[i]->type == TYPE_BOOL) return wrong_type(p, n, i, "numbers");
    if (!unify(p, n, 0)) return NULL;
    n->type = expr_is_compare(n->op) ? TYPE_BOOL : n->kid[0]->type;
    return n;
}

static expr_node *type_floats(parser *p, expr_node *n) {
    for (int i = 0; i < n->kids; i++)
        if (n->kid[i]->type == TYPE_BOOL) return wrong_type(p, n, i, "numbers");
    n->type = TYPE_FLOAT;
    return to_floats(p, n) ? n : NULL;
}

static expr_node *type_int(parser *p, expr_node *n) {
    if (n->kid[0]->type == TYPE_BOOL) return wrong_type(p, n, 0, "a number");
    if (n->kid[0]->type == TYPE_INT) return n->kid[0];
    n->type = TYPE_INT;
    return n;
}

static expr_node *type_where(parser *p, expr_node *n) {
    if (n->kid[0]->type != TYPE_BOOL)
        return wrong_type(p, n, 0, "a condition (true or false) first");
    bool bools = n->kid[1]->type == TYPE_BOOL;
    if (bools != (n->kid[2]->type == TYPE_BOOL))
        return parser_fail(p, n->kid[2]->at,
                           "the two choices of 'where' are %s and %s: make them alike",
                           parser_type_name(n->kid[1]), parser_type_name(n->kid[2]));
    if (!unify(p, n, 1)) return NULL;
    n->type = n->kid[1]->type;
    return n;
}

static expr_node *type_node(parser *p, expr_node *n) {
    switch (n->op) {
    case EX_OR:
    case EX_AND:
    case EX_NOT: return type_bools(p, n);
    case EX_BIT_XOR: return are_bools(n) ? type_bools(p, n) : type_ints(p, n);
    case EX_EQ:
    case EX_NE: return are_bools(n) ? type_bools(p, n) : type_numbers(p, n);
    case EX_INT: return type_int(p, n);
    case EX_BIT_OR:
    case EX_BIT_AND:
    case EX_SHL:
    case EX_SHR:
    case EX_BIT_NOT: return type_ints(p, n);
    case EX_WHERE: return type_where(p, n);
    case EX_DIV:
    case EX_EXP:
    case EX_EXP2:
    case EX_LOG:
    case EX_TANH:
    case EX_SIGMOID:
    case EX_SQRT:
    case EX_SIN:
    case EX_COS:
    case EX_FLOOR:
    case EX_CEIL:
    case EX_ROUND: return type_floats(p, n);
    default: return type_numbers(p, n);
    }
}

expr_node *parser_new_op(parser *p, expr_op op, size_t at, int kids, expr_node *const kid[]) {
    expr_node *n = parser_new_node(p, op, TYPE_BOOL, at);
    if (!n) return NULL;
    n->kids = kids;
    for (int i = 0; i < kids; i++) n->kid[i] = kid[i];
    return type_node(p, n);
}
