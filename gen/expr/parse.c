/* parse.c - the grammar: tokens to a typed tree. Precedence climbing; the first error wins. */
#include "parser.h"

#include <float.h>
#include <stdlib.h>

/* Names that people reach for and that no kernel can have. */
static const char *const reductions[] = {"sum", "any",    "all",    "mean",   "prod", "range",
                                         "len", "argmax", "argmin", "cumsum", NULL};
static const char *const statements[] = {"for", "while", "lambda", "def", "return", NULL};

static expr_node *parse_at(parser *p, int precedence);

static bool deeper(parser *p) {
    if (++p->depth <= EXPR_MAX_DEPTH) return true;
    parser_fail(p, p->at, "expression is nested more than %d levels deep", EXPR_MAX_DEPTH);
    return false;
}

/* A full expression one level down: in parentheses, brackets or arguments. */
static expr_node *parse_nested(parser *p) {
    if (!deeper(p)) return NULL;
    expr_node *n = parse_at(p, 0);
    p->depth--;
    return n;
}

static bool expect(parser *p, const char *sign, size_t opened) {
    if (p->failed) return false;
    if (parser_is(p, sign)) {
        parser_next(p);
        return !p->failed;
    }
    const char *found = p->token == TOKEN_END ? "the end of the text" : p->word;
    parser_fail(p, p->at, "expected '%s' to close column %zu, found '%s'", sign, opened + 1, found);
    return false;
}

static expr_node *parse_int(parser *p) {
    uint64_t v = 0;
    for (const char *c = p->word; *c && v <= INT32_MAX; c++) v = v * 10 + (uint64_t)(*c - '0');
    if (v > INT32_MAX)
        return parser_fail(p, p->at, "integer literal is above 2147483647 (ints have 32 bits)");
    expr_node *n = parser_new_node(p, EX_CONST, TYPE_INT, p->at);
    if (!n) return NULL;
    n->i = (int32_t)v;
    parser_next(p);
    return p->failed ? NULL : n;
}

static expr_node *parse_decimal(parser *p) {
    double v = strtod(p->word, NULL);
    if (v > FLT_MAX) return parser_fail(p, p->at, "number is too large for f32; 'inf' is infinity");
    expr_node *n = parser_new_node(p, EX_CONST, TYPE_FLOAT, p->at);
    if (!n) return NULL;
    n->f = v;
    parser_next(p);
    return p->failed ? NULL : n;
}

static expr_node *parse_keyword(parser *p) {
    bool inf = parser_is(p, "inf");
    if (!inf && !parser_is(p, "true") && !parser_is(p, "false"))
        return parser_fail(p, p->at, "'%s' is not a value; parentheses may be missing", p->word);
    expr_node *n = parser_new_node(p, EX_CONST, inf ? TYPE_FLOAT : TYPE_BOOL, p->at);
    if (!n) return NULL;
    n->i = parser_is(p, "true");
    n->f = inf ? (double)INFINITY : 0;
    parser_next(p);
    return p->failed ? NULL : n;
}

static int find_tensor(const expr_env *env, const char *name) {
    for (int i = 0; i < env->tensor_count; i++)
        if (strcmp(env->tensors[i].name, name) == 0) return i;
    return -1;
}

static int find_scalar(const expr_env *env, const char *name) {
    for (int i = 0; i < env->scalar_count; i++)
        if (strcmp(env->scalars[i].name, name) == 0) return i;
    return -1;
}

/* Names of this expression's values: null-terminated. */
static const char **known_names(const parser *p) {
    const expr_env *env = p->env;
    size_t most = VAR_COUNT + 16 + (size_t)env->tensor_count + (size_t)env->scalar_count;
    const char **names = arena_alloc(p->a, most * sizeof *names);
    int n = 0;
    for (int i = p->kind == EXPR_MASK; expr_var_names[i]; i++) names[n++] = expr_var_names[i];
    for (int i = 0; i < env->tensor_count; i++) names[n++] = env->tensors[i].name;
    for (int i = 0; i < env->scalar_count; i++) names[n++] = env->scalars[i].name;
    for (int i = 0; expr_spec_names[i]; i++)
        if (expr_spec_value(env->spec, i) != ATTN_UNSET) names[n++] = expr_spec_names[i];
    return names;
}

static void list(buf *b, const char *const *names) {
    for (int i = 0; names[i]; i++) buf_printf(b, "%s%s", i ? ", " : "", names[i]);
}

static expr_node *reduction_error(parser *p, size_t at, const char *name) {
    return parser_fail(
        p, at,
        "'%s' over a side tensor is a reduction, which is refused: a kernel evaluates each "
        "(q, k) pair alone. Compute it before the call and pass it as a side tensor",
        name);
}

static expr_node *unknown_name(parser *p, const char *name) {
    if (expr_name_find(expr_function_names, name) >= 0)
        return parser_fail(p, p->at, "'%s' is a function: write %s(...)", name, name);
    if (expr_name_find(reductions, name) >= 0) return reduction_error(p, p->at, name);
    if (expr_name_find(statements, name) >= 0)
        return parser_fail(
            p, p->at,
            "'%s' is not in this language: an unbounded loop is refused, because a kernel "
            "evaluates each (q, k) pair alone",
            name);
    if (strcmp(name, "if") == 0 || strcmp(name, "else") == 0)
        return parser_fail(p, p->at, "a choice is written where(condition, a, b)");
    if (expr_name_find(expr_spec_names, name) >= 0)
        return parser_fail(p, p->at, "this spec has no %s, so it is not a constant here", name);
    buf b = buf_new(p->a);
    buf_printf(&b, "unknown name '%s'", name);
    const char **names = known_names(p);
    suggest(&b, name, names);
    buf_puts(&b, "; known are ");
    list(&b, names);
    return parser_fail(p, p->at, "%s", b.data);
}

static expr_node *parse_tensor(parser *p, int index) {
    const attn_side_decl *t = &p->env->tensors[index];
    size_t start = p->at;
    expr_node *n = parser_new_node(p, EX_TENSOR, t->is_float ? TYPE_FLOAT : TYPE_INT, start);
    if (!n) return NULL;
    n->index = index;
    parser_next(p);
    while (!p->failed && parser_is(p, "[")) {
        size_t at = p->at;
        if (n->kids == t->rank)
            return parser_fail(p, at,
                               "side tensor '%s' has %d dimension%s, this is one index too many",
                               t->name, t->rank, t->rank > 1 ? "s" : "");
        parser_next(p);
        expr_node *i = p->failed ? NULL : parse_nested(p);
        if (!i) return NULL;
        if (i->type != TYPE_INT)
            return parser_fail(p, i->at, "an index must be an int, this is %s",
                               parser_type_name(i));
        n->kid[n->kids++] = i;
        if (!expect(p, "]", at)) return NULL;
    }
    if (p->failed) return NULL;
    if (n->kids < t->rank)
        return parser_fail(p, start, "side tensor '%s' needs %d index%s, has %d", t->name, t->rank,
                           t->rank > 1 ? "es" : "", n->kids);
    return n;
}

static expr_node *parse_var(parser *p, int var) {
    if (var == VAR_S && p->kind == EXPR_MASK)
        return parser_fail(
            p, p->at,
            "'s' is the score and a mask cannot see it: use a score expression, where "
            "-inf masks");
    expr_node *n = parser_new_node(p, EX_VAR, var == VAR_S ? TYPE_FLOAT : TYPE_INT, p->at);
    if (!n) return NULL;
    n->index = var;
    parser_next(p);
    return p->failed ? NULL : n;
}

static expr_node *parse_value(parser *p) {
    int var = expr_name_find(expr_var_names, p->word), tensor = find_tensor(p->env, p->word);
    if (var >= 0) return parse_var(p, var);
    if (tensor >= 0) return parse_tensor(p, tensor);
    int scalar = find_scalar(p->env, p->word);
    if (scalar >= 0) {
        bool is_float = p->env->scalars[scalar].is_float;
        expr_node *n = parser_new_node(p, EX_SCALAR, is_float ? TYPE_FLOAT : TYPE_INT, p->at);
        if (n) n->index = scalar;
        parser_next(p);
        return p->failed ? NULL : n;
    }
    int field = expr_name_find(expr_spec_names, p->word);
    if (field < 0 || expr_spec_value(p->env->spec, field) == ATTN_UNSET)
        return unknown_name(p, p->word);
    expr_node *n = parser_new_node(p, EX_CONST, TYPE_INT, p->at);
    if (!n) return NULL;
    n->i = expr_spec_value(p->env->spec, field);
    n->name = expr_spec_names[field];
    parser_next(p);
    return p->failed ? NULL : n;
}

static expr_op find_function(const char *name) {
    for (int op = EX_WHERE; op <= EX_INT; op++)
        if (strcmp(expr_ops[op].name, name) == 0) return (expr_op)op;
    return EX_COUNT;
}

static expr_node *unknown_function(parser *p, size_t at, const char *name) {
    if (expr_name_find(reductions, name) >= 0) return reduction_error(p, at, name);
    const char **names = known_names(p);
    if (expr_name_find(names, name) >= 0)
        return parser_fail(p, at, "'%s' is a value, not a function", name);
    buf b = buf_new(p->a);
    buf_printf(&b, "unknown function '%s'", name);
    suggest(&b, name, expr_function_names);
    buf_puts(&b, "; known are ");
    list(&b, expr_function_names);
    return parser_fail(p, at, "%s", b.data);
}

/* Is the current token the bare name of a tensor, as in max(t)? */
static bool bare_tensor(const parser *p) {
    if (p->token != TOKEN_NAME || find_tensor(p->env, p->word) < 0) return false;
    const char *t = p->text + p->end;
    while (*t == ' ' || *t == '\t' || *t == '\n' || *t == '\r') t++;
    return *t == ')' || *t == ',';
}

static expr_node *parse_call(parser *p, size_t at, const char *name) {
    size_t opened = p->at;
    expr_op op = find_function(name);
    if (op == EX_COUNT) return unknown_function(p, at, name);
    parser_next(p);
    if (p->failed) return NULL;
    if ((op == EX_MIN || op == EX_MAX) && bare_tensor(p)) return reduction_error(p, at, name);
    expr_node *kid[3];
    int kids = 0, wants = expr_ops[op].operands;
    if (!parser_is(p, ")")) {
        for (;; parser_next(p)) {
            if (p->failed) return NULL;
            if (kids == wants)
                return parser_fail(p, p->at, "'%s' takes %d argument%s, this is one too many", name,
                                   wants, wants > 1 ? "s" : "");
            if (!(kid[kids++] = parse_nested(p))) return NULL;
            if (!parser_is(p, ",")) break;
        }
    }
    if (!expect(p, ")", opened)) return NULL;
    if (kids < wants)
        return parser_fail(p, at, "'%s' takes %d argument%s, has %d", name, wants,
                           wants > 1 ? "s" : "", kids);
    return parser_new_op(p, op, at, kids, kid);
}

static expr_node *parse_name(parser *p) {
    if (expr_name_find(expr_keywords, p->word) >= 0) return parse_keyword(p);
    const char *after = p->text + p->end;
    while (*after == ' ' || *after == '\t') after++;
    if (*after != '(') return parse_value(p);
    size_t at = p->at;
    const char *name = p->word;
    parser_next(p);
    return parse_call(p, at, name);
}

static expr_node *parse_primary(parser *p) {
    if (p->token == TOKEN_INT) return parse_int(p);
    if (p->token == TOKEN_DECIMAL) return parse_decimal(p);
    if (p->token == TOKEN_NAME) return parse_name(p);
    if (p->token == TOKEN_END)
        return parser_fail(p, p->at, "expected a value, found the end of the text");
    if (!parser_is(p, "(")) return parser_fail(p, p->at, "expected a value, found '%s'", p->word);
    size_t opened = p->at;
    parser_next(p);
    expr_node *n = p->failed ? NULL : parse_nested(p);
    return n && expect(p, ")", opened) ? n : NULL;
}

static expr_node *parse_prefix(parser *p, expr_op op, int precedence) {
    size_t at = p->at;
    parser_next(p);
    if (p->failed || !deeper(p)) return NULL;
    expr_node *kid = parse_at(p, precedence);
    p->depth--;
    return kid ? parser_new_op(p, op, at, 1, &kid) : NULL;
}

static expr_node *parse_unary(parser *p, int precedence) {
    if (parser_is(p, "not") && precedence <= expr_ops[EX_NOT].precedence)
        return parse_prefix(p, EX_NOT, expr_ops[EX_NOT].precedence);
    if (parser_is(p, "-")) return parse_prefix(p, EX_NEG, expr_ops[EX_NEG].precedence);
    if (parser_is(p, "~")) return parse_prefix(p, EX_BIT_NOT, expr_ops[EX_NEG].precedence);
    expr_node *n = parse_primary(p);
    if (n && parser_is(p, "["))
        return parser_fail(p, p->at,
                           "only side tensors have indexes (and no more than their dimensions)");
    return n;
}

/* The binary operator at the current token, or EX_COUNT. */
static expr_op binary_op(const parser *p) {
    if (p->token < TOKEN_NAME) return EX_COUNT;
    for (int op = EX_OR; op <= EX_FLOORMOD; op++)
        if (expr_ops[op].operands == 2 && strcmp(expr_ops[op].name, p->word) == 0)
            return (expr_op)op;
    return EX_COUNT;
}

static expr_node *parse_at(parser *p, int precedence) {
    expr_node *left = parse_unary(p, precedence);
    while (left && !p->failed) {
        expr_op op = binary_op(p);
        if (op == EX_COUNT || expr_ops[op].precedence < precedence) return left;
        size_t at = p->at;
        parser_next(p);
        expr_node *right = p->failed ? NULL : parse_at(p, expr_ops[op].precedence + 1);
        if (!right) return NULL;
        if (expr_is_compare(op) && expr_is_compare(binary_op(p)))
            return parser_fail(p, p->at, "comparisons do not chain: write 'a %s b and b %s c'",
                               expr_ops[op].name, p->word);
        left = parser_new_op(p, op, at, 2, (expr_node *const[]){left, right});
    }
    return NULL;
}

static expr_node *parse_all(parser *p) {
    if (strlen(p->text) > EXPR_MAX_TEXT)
        return parser_fail(p, EXPR_MAX_TEXT, "expression is longer than %d bytes", EXPR_MAX_TEXT);
    parser_next(p);
    if (p->failed) return NULL;
    if (p->token == TOKEN_END) return parser_fail(p, p->at, "expression is empty");
    expr_node *n = parse_at(p, 0);
    if (!n) return NULL;
    if (parser_is(p, ")") || parser_is(p, "]"))
        return parser_fail(p, p->at, "'%s' closes nothing", p->word);
    if (parser_is(p, "if") || parser_is(p, "for")) return unknown_name(p, p->word);
    if (p->token != TOKEN_END)
        return parser_fail(p, p->at, "expected an operator or the end, found '%s'", p->word);
    if (p->kind == EXPR_MASK && n->type != TYPE_BOOL)
        return parser_fail(p, 0, "a mask must be true or false (such as a comparison), this is %s",
                           parser_type_name(n));
    if (p->kind == EXPR_SCORE && n->type == TYPE_BOOL)
        return parser_fail(p, 0, "a score must be a number, this is true or false; use where(...)");
    return p->kind == EXPR_SCORE ? parser_to_float(p, n) : n;
}

/* Declarations are checked one by one when they are parsed; here, against each other. */
static bool check_env(parser *p) {
    const expr_env *env = p->env;
    if (env->tensor_count > EXPR_MAX_TENSORS)
        return parser_fail(p, 0, "more than %d side tensors", EXPR_MAX_TENSORS) != NULL;
    for (int i = 0; i < env->tensor_count; i++)
        if (find_tensor(env, env->tensors[i].name) != i ||
            find_scalar(env, env->tensors[i].name) >= 0)
            return parser_fail(p, 0, "'%s' is declared twice", env->tensors[i].name) != NULL;
    for (int i = 0; i < env->scalar_count; i++)
        if (find_scalar(env, env->scalars[i].name) != i)
            return parser_fail(p, 0, "'%s' is declared twice", env->scalars[i].name) != NULL;
    return true;
}

static void copy_env(arena *a, expr *e, const expr_env *env) {
    size_t tensors = sizeof *e->tensors * (size_t)env->tensor_count;
    attn_side_decl *t = arena_alloc(a, tensors + 1);
    expr_scalar *s = arena_alloc(a, sizeof *s * (size_t)env->scalar_count + 1);
    for (int i = 0; i < env->tensor_count; i++) {
        t[i] = env->tensors[i];
        t[i].name = arena_strdup(a, t[i].name);
    }
    for (int i = 0; i < env->scalar_count; i++) {
        s[i] = env->scalars[i];
        s[i].name = arena_strdup(a, s[i].name);
    }
    e->tensors = t;
    e->tensor_count = env->tensor_count;
    e->scalars = s;
    e->scalar_count = env->scalar_count;
    e->heads = env->spec->heads;
    e->kv_heads = env->spec->kv_heads;
}

expr *expr_parse(arena *a, const char *text, expr_kind kind, const expr_env *env, expr_error *err) {
    parser p = {.a = a, .text = text, .env = env, .kind = kind, .err = err};
    expr_node *tree = check_env(&p) ? parse_all(&p) : NULL;
    if (!tree || p.failed) return NULL;
    expr *e = arena_alloc(a, sizeof *e);
    e->kind = kind;
    e->tree = tree;
    copy_env(a, e, env);
    expr_simplify(a, e);
    return e;
}
