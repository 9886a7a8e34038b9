/* parse.c - text to typed tree. Precedence climbing; the first error wins. */
#include "expr_internal.h"

#include <float.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *const expr_var_names[VAR_COUNT + 1] = {"s",       "b",     "h",      "q", "k",
                                                   "q_start", "q_len", "kv_len", NULL};

const char *const expr_spec_names[] = {"heads",       "kv_heads", "v_heads",      "head_dim",
                                       "v_dim",       "window",   "right_window", "lookback",
                                       "kv_comp_dim", "retr_dim", "q_comp_dim",   NULL};

int32_t expr_spec_value(const attn_spec *spec, int i) {
    const int32_t value[] = {spec->heads,       spec->kv_heads, spec->v_heads,      spec->head_dim,
                             spec->v_dim,       spec->window,   spec->right_window, spec->lookback,
                             spec->kv_comp_dim, spec->retr_dim, spec->q_comp_dim};
    return value[i];
}

const char *const expr_function_names[] = {"where", "abs",  "min", "max",  "clamp",
                                           "exp",   "exp2", "log", "tanh", "sigmoid",
                                           "sqrt",  "sin",  "cos", NULL};
const char *const expr_keywords[] = {"and", "or", "not", "true", "false", "inf", NULL};

/* Names that people reach for and that no kernel can have. */
static const char *const reductions[] = {"sum", "any",    "all",    "mean",   "prod", "range",
                                         "len", "argmax", "argmin", "cumsum", NULL};
static const char *const statements[] = {"for", "while", "lambda", "def", "return", NULL};

bool expr_fail(expr_error *err, size_t at, const char *fmt, ...) {
    err->offset = at;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return false;
}

bool expr_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool digit(char c) {
    return c >= '0' && c <= '9';
}

bool expr_name_char(char c) {
    return expr_name_start(c) || digit(c);
}

static int find(const char *const *names, const char *name) {
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

bool expr_reserved(const char *name) {
    return find(expr_var_names, name) >= 0 || find(expr_spec_names, name) >= 0 ||
           find(expr_function_names, name) >= 0 || find(expr_keywords, name) >= 0 ||
           find((const char *const[]){"if", "else", NULL}, name) >= 0;
}

/* --- Tokens. --- */
typedef enum token { TOKEN_END, TOKEN_INT, TOKEN_DECIMAL, TOKEN_NAME, TOKEN_SIGN } token;

typedef struct parser {
    arena *a;
    const char *text;
    const expr_env *env;
    expr_kind kind;
    expr_error *err;
    int depth, nodes;
    /* The current token. */
    token token;
    size_t at, end;
    const char *word; /* its text */
    bool failed;
} parser;

/* Everything that parses returns null after an error. */
static expr_node *fail(parser *p, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static expr_node *fail(parser *p, size_t at, const char *fmt, ...) {
    if (p->failed) return NULL;
    p->failed = true;
    char text[sizeof p->err->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    expr_fail(p->err, at, "%s", text);
    return NULL;
}

static size_t scan_digits(const char *text, size_t i) {
    while (digit(text[i])) i++;
    return i;
}

static void scan_number(parser *p) {
    const char *t = p->text;
    size_t i = scan_digits(t, p->at);
    p->token = TOKEN_INT;
    if (t[i] == '.') {
        p->token = TOKEN_DECIMAL;
        i = scan_digits(t, i + 1);
    }
    if (t[i] == 'e' || t[i] == 'E') {
        size_t sign = t[i + 1] == '-' || t[i + 1] == '+';
        size_t end = scan_digits(t, i + 1 + sign);
        if (end == i + 1 + sign) {
            fail(p, i, "an exponent needs digits");
            return;
        }
        p->token = TOKEN_DECIMAL;
        i = end;
    }
    if (expr_name_char(t[i]) || t[i] == '.')
        fail(p, i, "malformed number: '%c' follows it directly", t[i]);
    p->end = i;
}

static size_t sign_length(const char *t) {
    static const char *const two[] = {"<=", ">=", "==", "!=", "//", "<<", ">>"};
    for (size_t i = 0; i < sizeof two / sizeof *two; i++)
        if (strncmp(t, two[i], 2) == 0) return 2;
    return strchr("+-*/%&|~<>()[],", *t) ? 1 : 0;
}

static void fail_character(parser *p) {
    const char *t = p->text + p->at;
    if (*t == '=')
        fail(p, p->at, "'=' is not an operator: equality is '=='");
    else if (*t == '!')
        fail(p, p->at, "'!' is not an operator: write 'not'");
    else if (*t == '^')
        fail(p, p->at, "'^' is not an operator of this language");
    else if (*t > ' ' && *t <= '~')
        fail(p, p->at, "unexpected character '%c'", *t);
    else
        fail(p, p->at, "unexpected byte 0x%02x", (unsigned char)*t);
}

static void next(parser *p) {
    const char *t = p->text;
    size_t i = p->end;
    while (t[i] == ' ' || t[i] == '\t' || t[i] == '\n' || t[i] == '\r') i++;
    p->at = p->end = i;
    p->token = TOKEN_END;
    if (!t[i]) {
        p->word = "";
        return;
    }
    if (digit(t[i]) || (t[i] == '.' && digit(t[i + 1]))) {
        scan_number(p);
    } else if (expr_name_start(t[i])) {
        p->token = TOKEN_NAME;
        while (expr_name_char(t[p->end])) p->end++;
    } else {
        size_t n = sign_length(t + i);
        if (n == 0) fail_character(p);
        p->token = TOKEN_SIGN;
        p->end = i + n;
    }
    p->word = arena_strndup(p->a, t + p->at, p->end - p->at);
}

static bool is(const parser *p, const char *word) {
    return p->token >= TOKEN_NAME && strcmp(p->word, word) == 0;
}

/* --- Nodes. --- */
static expr_node *new_node(parser *p, expr_op op, expr_type type, size_t at) {
    if (++p->nodes > EXPR_MAX_NODES)
        return fail(p, at, "expression is too large: more than %d operations and operands",
                    EXPR_MAX_NODES);
    expr_node *n = arena_alloc(p->a, sizeof *n);
    n->op = op;
    n->type = type;
    n->at = at;
    return n;
}

static const char *type_name(const expr_node *n) {
    static const char *const name[] = {"true or false", "an int", "a float"};
    return name[n->type];
}

static expr_node *to_float(parser *p, expr_node *n) {
    if (n->type == TYPE_FLOAT) return n;
    expr_node *f = new_node(p, EX_TO_FLOAT, TYPE_FLOAT, n->at);
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
        if (!(n->kid[i] = to_float(p, n->kid[i]))) return false;
    return true;
}

static bool to_floats(parser *p, expr_node *n) {
    for (int i = 0; i < n->kids; i++)
        if (!(n->kid[i] = to_float(p, n->kid[i]))) return false;
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
    return fail(p, at, "'%s' needs %s, but %s is %s", expr_ops[n->op].name, wants,
                operand_name(p, n, i), type_name(n->kid[i]));
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

static expr_node *type_where(parser *p, expr_node *n) {
    if (n->kid[0]->type != TYPE_BOOL)
        return wrong_type(p, n, 0, "a condition (true or false) first");
    bool bools = n->kid[1]->type == TYPE_BOOL;
    if (bools != (n->kid[2]->type == TYPE_BOOL))
        return fail(p, n->kid[2]->at, "the two choices of 'where' are %s and %s: make them alike",
                    type_name(n->kid[1]), type_name(n->kid[2]));
    if (!unify(p, n, 1)) return NULL;
    n->type = n->kid[1]->type;
    return n;
}

static expr_node *type_node(parser *p, expr_node *n) {
    switch (n->op) {
    case EX_OR:
    case EX_AND:
    case EX_NOT: return type_bools(p, n);
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
    case EX_COS: return type_floats(p, n);
    default: return type_numbers(p, n);
    }
}

static expr_node *new_op(parser *p, expr_op op, size_t at, int kids, expr_node *const kid[]) {
    expr_node *n = new_node(p, op, TYPE_BOOL, at);
    if (!n) return NULL;
    n->kids = kids;
    for (int i = 0; i < kids; i++) n->kid[i] = kid[i];
    return type_node(p, n);
}

/* --- Grammar. --- */
static expr_node *parse_at(parser *p, int precedence);

static bool deeper(parser *p) {
    if (++p->depth <= EXPR_MAX_DEPTH) return true;
    fail(p, p->at, "expression is nested more than %d levels deep", EXPR_MAX_DEPTH);
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
    if (is(p, sign)) {
        next(p);
        return !p->failed;
    }
    const char *found = p->token == TOKEN_END ? "the end of the text" : p->word;
    fail(p, p->at, "expected '%s' to close column %zu, found '%s'", sign, opened + 1, found);
    return false;
}

static expr_node *parse_int(parser *p) {
    uint64_t v = 0;
    for (const char *c = p->word; *c && v <= INT32_MAX; c++) v = v * 10 + (uint64_t)(*c - '0');
    if (v > INT32_MAX)
        return fail(p, p->at, "integer literal is above 2147483647 (ints have 32 bits)");
    expr_node *n = new_node(p, EX_CONST, TYPE_INT, p->at);
    if (!n) return NULL;
    n->i = (int32_t)v;
    next(p);
    return p->failed ? NULL : n;
}

static expr_node *parse_decimal(parser *p) {
    double v = strtod(p->word, NULL);
    if (v > FLT_MAX) return fail(p, p->at, "number is too large for f32; 'inf' is infinity");
    expr_node *n = new_node(p, EX_CONST, TYPE_FLOAT, p->at);
    if (!n) return NULL;
    n->f = v;
    next(p);
    return p->failed ? NULL : n;
}

static expr_node *parse_keyword(parser *p) {
    bool inf = is(p, "inf");
    if (!inf && !is(p, "true") && !is(p, "false"))
        return fail(p, p->at, "'%s' is not a value; parentheses may be missing", p->word);
    expr_node *n = new_node(p, EX_CONST, inf ? TYPE_FLOAT : TYPE_BOOL, p->at);
    if (!n) return NULL;
    n->i = is(p, "true");
    n->f = inf ? (double)INFINITY : 0;
    next(p);
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
    return fail(p, at,
                "'%s' over a side tensor is a reduction, which is refused: a kernel evaluates each "
                "(q, k) pair alone. Compute it before the call and pass it as a side tensor",
                name);
}

static expr_node *unknown_name(parser *p, const char *name) {
    if (find(expr_function_names, name) >= 0)
        return fail(p, p->at, "'%s' is a function: write %s(...)", name, name);
    if (find(reductions, name) >= 0) return reduction_error(p, p->at, name);
    if (find(statements, name) >= 0)
        return fail(p, p->at,
                    "'%s' is not in this language: an unbounded loop is refused, because a kernel "
                    "evaluates each (q, k) pair alone",
                    name);
    if (strcmp(name, "if") == 0 || strcmp(name, "else") == 0)
        return fail(p, p->at, "a choice is written where(condition, a, b)");
    if (find(expr_spec_names, name) >= 0)
        return fail(p, p->at, "this spec has no %s, so it is not a constant here", name);
    buf b = buf_new(p->a);
    buf_printf(&b, "unknown name '%s'", name);
    const char **names = known_names(p);
    suggest(&b, name, names);
    buf_puts(&b, "; known are ");
    list(&b, names);
    return fail(p, p->at, "%s", b.data);
}

static expr_node *parse_tensor(parser *p, int index) {
    const attn_side_decl *t = &p->env->tensors[index];
    size_t start = p->at;
    expr_node *n = new_node(p, EX_TENSOR, t->is_float ? TYPE_FLOAT : TYPE_INT, start);
    if (!n) return NULL;
    n->index = index;
    next(p);
    while (!p->failed && is(p, "[")) {
        size_t at = p->at;
        if (n->kids == t->rank)
            return fail(p, at, "side tensor '%s' has %d dimension%s, this is one index too many",
                        t->name, t->rank, t->rank > 1 ? "s" : "");
        next(p);
        expr_node *i = p->failed ? NULL : parse_nested(p);
        if (!i) return NULL;
        if (i->type != TYPE_INT)
            return fail(p, i->at, "an index must be an int, this is %s", type_name(i));
        n->kid[n->kids++] = i;
        if (!expect(p, "]", at)) return NULL;
    }
    if (p->failed) return NULL;
    if (n->kids < t->rank)
        return fail(p, start, "side tensor '%s' needs %d index%s, has %d", t->name, t->rank,
                    t->rank > 1 ? "es" : "", n->kids);
    return n;
}

static expr_node *parse_var(parser *p, int var) {
    if (var == VAR_S && p->kind == EXPR_MASK)
        return fail(p, p->at,
                    "'s' is the score and a mask cannot see it: use a score expression, where "
                    "-inf masks");
    expr_node *n = new_node(p, EX_VAR, var == VAR_S ? TYPE_FLOAT : TYPE_INT, p->at);
    if (!n) return NULL;
    n->index = var;
    next(p);
    return p->failed ? NULL : n;
}

static expr_node *parse_value(parser *p) {
    int var = find(expr_var_names, p->word), tensor = find_tensor(p->env, p->word);
    if (var >= 0) return parse_var(p, var);
    if (tensor >= 0) return parse_tensor(p, tensor);
    int scalar = find_scalar(p->env, p->word);
    if (scalar >= 0) {
        bool is_float = p->env->scalars[scalar].is_float;
        expr_node *n = new_node(p, EX_SCALAR, is_float ? TYPE_FLOAT : TYPE_INT, p->at);
        if (n) n->index = scalar;
        next(p);
        return p->failed ? NULL : n;
    }
    int field = find(expr_spec_names, p->word);
    if (field < 0 || expr_spec_value(p->env->spec, field) == ATTN_UNSET)
        return unknown_name(p, p->word);
    expr_node *n = new_node(p, EX_CONST, TYPE_INT, p->at);
    if (!n) return NULL;
    n->i = expr_spec_value(p->env->spec, field);
    n->name = expr_spec_names[field];
    next(p);
    return p->failed ? NULL : n;
}

static expr_op find_function(const char *name) {
    for (int op = EX_WHERE; op <= EX_COS; op++)
        if (strcmp(expr_ops[op].name, name) == 0) return (expr_op)op;
    return EX_COUNT;
}

static expr_node *unknown_function(parser *p, size_t at, const char *name) {
    if (find(reductions, name) >= 0) return reduction_error(p, at, name);
    const char **names = known_names(p);
    if (find(names, name) >= 0) return fail(p, at, "'%s' is a value, not a function", name);
    buf b = buf_new(p->a);
    buf_printf(&b, "unknown function '%s'", name);
    suggest(&b, name, expr_function_names);
    buf_puts(&b, "; known are ");
    list(&b, expr_function_names);
    return fail(p, at, "%s", b.data);
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
    next(p);
    if (p->failed) return NULL;
    if ((op == EX_MIN || op == EX_MAX) && bare_tensor(p)) return reduction_error(p, at, name);
    expr_node *kid[3];
    int kids = 0, wants = expr_ops[op].operands;
    if (!is(p, ")")) {
        for (;; next(p)) {
            if (p->failed) return NULL;
            if (kids == wants)
                return fail(p, p->at, "'%s' takes %d argument%s, this is one too many", name, wants,
                            wants > 1 ? "s" : "");
            if (!(kid[kids++] = parse_nested(p))) return NULL;
            if (!is(p, ",")) break;
        }
    }
    if (!expect(p, ")", opened)) return NULL;
    if (kids < wants)
        return fail(p, at, "'%s' takes %d argument%s, has %d", name, wants, wants > 1 ? "s" : "",
                    kids);
    return new_op(p, op, at, kids, kid);
}

static expr_node *parse_name(parser *p) {
    if (find(expr_keywords, p->word) >= 0) return parse_keyword(p);
    const char *after = p->text + p->end;
    while (*after == ' ' || *after == '\t') after++;
    if (*after != '(') return parse_value(p);
    size_t at = p->at;
    const char *name = p->word;
    next(p);
    return parse_call(p, at, name);
}

static expr_node *parse_primary(parser *p) {
    if (p->token == TOKEN_INT) return parse_int(p);
    if (p->token == TOKEN_DECIMAL) return parse_decimal(p);
    if (p->token == TOKEN_NAME) return parse_name(p);
    if (p->token == TOKEN_END) return fail(p, p->at, "expected a value, found the end of the text");
    if (!is(p, "(")) return fail(p, p->at, "expected a value, found '%s'", p->word);
    size_t opened = p->at;
    next(p);
    expr_node *n = p->failed ? NULL : parse_nested(p);
    return n && expect(p, ")", opened) ? n : NULL;
}

static expr_node *parse_prefix(parser *p, expr_op op, int precedence) {
    size_t at = p->at;
    next(p);
    if (p->failed || !deeper(p)) return NULL;
    expr_node *kid = parse_at(p, precedence);
    p->depth--;
    return kid ? new_op(p, op, at, 1, &kid) : NULL;
}

static expr_node *parse_unary(parser *p, int precedence) {
    if (is(p, "not") && precedence <= expr_ops[EX_NOT].precedence)
        return parse_prefix(p, EX_NOT, expr_ops[EX_NOT].precedence);
    if (is(p, "-")) return parse_prefix(p, EX_NEG, expr_ops[EX_NEG].precedence);
    if (is(p, "~")) return parse_prefix(p, EX_BIT_NOT, expr_ops[EX_NEG].precedence);
    expr_node *n = parse_primary(p);
    if (n && is(p, "["))
        return fail(p, p->at, "only side tensors have indexes (and no more than their dimensions)");
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
        next(p);
        expr_node *right = p->failed ? NULL : parse_at(p, expr_ops[op].precedence + 1);
        if (!right) return NULL;
        if (expr_is_compare(op) && expr_is_compare(binary_op(p)))
            return fail(p, p->at, "comparisons do not chain: write 'a %s b and b %s c'",
                        expr_ops[op].name, p->word);
        left = new_op(p, op, at, 2, (expr_node *const[]){left, right});
    }
    return NULL;
}

static expr_node *parse_all(parser *p) {
    if (strlen(p->text) > EXPR_MAX_TEXT)
        return fail(p, EXPR_MAX_TEXT, "expression is longer than %d bytes", EXPR_MAX_TEXT);
    next(p);
    if (p->failed) return NULL;
    if (p->token == TOKEN_END) return fail(p, p->at, "expression is empty");
    expr_node *n = parse_at(p, 0);
    if (!n) return NULL;
    if (is(p, ")") || is(p, "]")) return fail(p, p->at, "'%s' closes nothing", p->word);
    if (is(p, "if") || is(p, "for")) return unknown_name(p, p->word);
    if (p->token != TOKEN_END)
        return fail(p, p->at, "expected an operator or the end, found '%s'", p->word);
    if (p->kind == EXPR_MASK && n->type != TYPE_BOOL)
        return fail(p, 0, "a mask must be true or false (such as a comparison), this is %s",
                    type_name(n));
    if (p->kind == EXPR_SCORE && n->type == TYPE_BOOL)
        return fail(p, 0, "a score must be a number, this is true or false; use where(...)");
    return p->kind == EXPR_SCORE ? to_float(p, n) : n;
}

/* Declarations are checked one by one when they are parsed; here, against each other. */
static bool check_env(parser *p) {
    const expr_env *env = p->env;
    if (env->tensor_count > EXPR_MAX_TENSORS)
        return fail(p, 0, "more than %d side tensors", EXPR_MAX_TENSORS) != NULL;
    for (int i = 0; i < env->tensor_count; i++)
        if (find_tensor(env, env->tensors[i].name) != i ||
            find_scalar(env, env->tensors[i].name) >= 0)
            return fail(p, 0, "'%s' is declared twice", env->tensors[i].name) != NULL;
    for (int i = 0; i < env->scalar_count; i++)
        if (find_scalar(env, env->scalars[i].name) != i)
            return fail(p, 0, "'%s' is declared twice", env->scalars[i].name) != NULL;
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
