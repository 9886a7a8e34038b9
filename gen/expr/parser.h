/* parser.h - what a parse is made of: its state, tokens, and nodes with their types. */
#ifndef GEN_EXPR_PARSER_H
#define GEN_EXPR_PARSER_H

#include "expr_internal.h"

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

/* --- lexer.c --- */
/* Null; the first error counts. Everything that parses returns null after one. */
expr_node *parser_fail(parser *p, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void parser_next(parser *p);
bool parser_is(const parser *p, const char *word); /* the current token, a name or a sign */

/* --- types.c: null after an error --- */
expr_node *parser_new_node(parser *p, expr_op op, expr_type type, size_t at);
/* A node of these operands, with its type; ints become floats where an operation wants them. */
expr_node *parser_new_op(parser *p, expr_op op, size_t at, int kids, expr_node *const kid[]);
expr_node *parser_to_float(parser *p, expr_node *n);
const char *parser_type_name(const expr_node *n); /* "an int" */

#endif
