/* lines.c - lists of statements that an emitter writes. */
#include "expr_internal.h"

#include <stdarg.h>
#include <stdio.h>

void expr_line_add(arena *a, expr_lines *l, const char *line) {
    bool full = (l->count & (l->count - 1)) == 0; /* grows at powers of two */
    if (full) {
        const char **more = arena_alloc(a, sizeof *more * (size_t)(l->count ? l->count * 2 : 1));
        if (l->count) memcpy(more, l->line, sizeof *more * (size_t)l->count);
        l->line = more;
    }
    l->line[l->count++] = line;
}

/* Where to break a line of at most `most` bytes: after its last space, preferring one after ','. */
static size_t break_at(const char *text, size_t most) {
    size_t any = 0, comma = 0;
    for (size_t i = 1; i <= most; i++) {
        if (text[i - 1] != ' ') continue;
        any = i;
        if (i > 1 && text[i - 2] == ',') comma = i;
    }
    return comma > most / 2 ? comma : any;
}

void expr_line_wrap(arena *a, expr_lines *l, int indent, const char *text) {
    for (int more = 0;; more = 4) {
        size_t room = (size_t)(EXPR_COLUMNS - indent - more);
        size_t at = strlen(text) <= room ? 0 : break_at(text, room);
        if (at == 0) {
            expr_line_add(a, l, arena_printf(a, "%*s%s", indent + more, "", text));
            return;
        }
        expr_line_add(a, l, arena_printf(a, "%*s%.*s", indent + more, "", (int)at - 1, text));
        text += at;
    }
}

void expr_line_printf(arena *a, expr_lines *l, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *text = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, ap);
    va_end(ap);
    expr_line_wrap(a, l, 0, text);
}

bool expr_lines_use(const expr_lines *l, const char *name) {
    size_t n = strlen(name);
    for (int i = 0; i < l->count; i++)
        for (const char *p = l->line[i]; (p = strstr(p, name)); p++) {
            bool starts = p == l->line[i] || (!expr_name_char(p[-1]) && p[-1] != '>');
            if (starts && !expr_name_char(p[n])) return true;
        }
    return false;
}

void expr_lines_void(arena *a, expr_lines *l, const char *const *names) {
    expr_lines out = {0};
    for (; *names; names++)
        if (!expr_lines_use(l, *names)) expr_line_printf(a, &out, "(void)%s;", *names);
    for (int i = 0; i < l->count; i++) expr_line_add(a, &out, l->line[i]);
    *l = out;
}
