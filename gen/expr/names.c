/* names.c - the words of the language. */
#include "expr_internal.h"

#include <stdarg.h>
#include <stdio.h>

const char *const expr_var_names[VAR_COUNT + 1] = {"s",       "b",     "h",      "q",     "k",
                                                   "q_start", "q_len", "kv_len", "k_pos", NULL};

const char *const expr_spec_names[] = {"heads",       "kv_heads", "v_heads",      "head_dim",
                                       "v_dim",       "window",   "right_window", "lookback",
                                       "kv_comp_dim", "retr_dim", "q_comp_dim",   NULL};

int32_t expr_spec_value(const attn_spec *spec, int i) {
    const int32_t value[] = {spec->heads,       spec->kv_heads, spec->v_heads,      spec->head_dim,
                             spec->v_dim,       spec->window,   spec->right_window, spec->lookback,
                             spec->kv_comp_dim, spec->retr_dim, spec->q_comp_dim};
    return value[i];
}

const char *const expr_function_names[] = {"where", "abs",   "min",  "max",     "clamp", "exp",
                                           "exp2",  "log",   "tanh", "sigmoid", "sqrt",  "sin",
                                           "cos",   "floor", "ceil", "round",   "int",   NULL};
const char *const expr_keywords[] = {"and", "or", "not", "true", "false", "inf", NULL};

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

bool expr_digit(char c) {
    return c >= '0' && c <= '9';
}

bool expr_name_char(char c) {
    return expr_name_start(c) || expr_digit(c);
}

int expr_name_find(const char *const *names, const char *name) {
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

bool expr_reserved(const char *name) {
    return expr_name_find(expr_var_names, name) >= 0 ||
           expr_name_find(expr_spec_names, name) >= 0 ||
           expr_name_find(expr_function_names, name) >= 0 ||
           expr_name_find(expr_keywords, name) >= 0 ||
           expr_name_find((const char *const[]){"if", "else", NULL}, name) >= 0;
}
