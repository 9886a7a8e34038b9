/* lexer.c - text to tokens. */
#include "parser.h"

#include <stdarg.h>
#include <stdio.h>

expr_node *parser_fail(parser *p, size_t at, const char *fmt, ...) {
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
    while (expr_digit(text[i])) i++;
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
            parser_fail(p, i, "an exponent needs digits");
            return;
        }
        p->token = TOKEN_DECIMAL;
        i = end;
    }
    if (expr_name_char(t[i]) || t[i] == '.')
        parser_fail(p, i, "malformed number: '%c' follows it directly", t[i]);
    p->end = i;
}

static size_t sign_length(const char *t) {
    static const char *const two[] = {"<=", ">=", "==", "!=", "//", "<<", ">>"};
    for (size_t i = 0; i < sizeof two / sizeof *two; i++)
        if (strncmp(t, two[i], 2) == 0) return 2;
    return strchr("+-*/%&|^~<>()[],", *t) ? 1 : 0;
}

static void fail_character(parser *p) {
    const char *t = p->text + p->at;
    if (*t == '=')
        parser_fail(p, p->at, "'=' is not an operator: equality is '=='");
    else if (*t == '!')
        parser_fail(p, p->at, "'!' is not an operator: write 'not'");
    else if (*t > ' ' && *t <= '~')
        parser_fail(p, p->at, "unexpected character '%c'", *t);
    else
        parser_fail(p, p->at, "unexpected byte 0x%02x", (unsigned char)*t);
}

void parser_next(parser *p) {
    const char *t = p->text;
    size_t i = p->end;
    while (t[i] == ' ' || t[i] == '\t' || t[i] == '\n' || t[i] == '\r') i++;
    p->at = p->end = i;
    p->token = TOKEN_END;
    if (!t[i]) {
        p->word = "";
        return;
    }
    if (expr_digit(t[i]) || (t[i] == '.' && expr_digit(t[i + 1]))) {
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

bool parser_is(const parser *p, const char *word) {
    return p->token >= TOKEN_NAME && strcmp(p->word, word) == 0;
}
