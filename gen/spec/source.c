#include "source.h"

#include "text.h"

#include <string.h>

enum { SHOWN_LINE = 160 };

void source_show(buf *b, const char *text, size_t offset) {
    size_t start = offset, end = offset;
    while (start > 0 && text[start - 1] != '\n') start--;
    end += strcspn(text + end, "\r\n");
    if (end - start > SHOWN_LINE) {
        if (offset - start > SHOWN_LINE / 2) start = offset - SHOWN_LINE / 2;
        if (end - start > SHOWN_LINE) end = start + SHOWN_LINE;
    }
    const char *shown = text_shown_n(b->a, text + start, end - start);
    buf_printf(b, "\n    %s\n    ", shown);
    for (size_t i = 0; i < offset - start; i++) buf_puts(b, shown[i] == '\t' ? "\t" : " ");
    buf_puts(b, "^");
}

void source_line_column(const char *text, size_t offset, size_t *line, size_t *column) {
    *line = *column = 1;
    for (size_t i = 0; i < offset; i++) {
        ++*column;
        if (text[i] != '\n') continue;
        ++*line;
        *column = 1;
    }
}

const char *source_place(arena *a, const char *path, const char *text, size_t offset) {
    size_t line, column;
    source_line_column(text, offset, &line, &column);
    return arena_printf(a, "%s:%zu:%zu", text_shown(a, path), line, column);
}

const char *value_quoted(arena *a, const lua_val *v) {
    if (v->string && v->kind != LUA_VAL_STRING) return v->string;
    switch (v->kind) {
    case LUA_VAL_NIL: return "nil";
    case LUA_VAL_BOOL: return v->boolean ? "true" : "false";
    case LUA_VAL_INT: return arena_printf(a, "%lld", (long long)v->integer);
    case LUA_VAL_FLOAT: return arena_printf(a, "%.9g", v->number);
    case LUA_VAL_TABLE: return "a table";
    case LUA_VAL_STRING: break;
    }
    size_t n = strlen(v->string);
    return arena_printf(a, "'%s%s'", text_shown_n(a, v->string, n > 40 ? 40 : n),
                        n > 40 ? ".." : "");
}
