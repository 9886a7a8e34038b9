/* source.h - a text that somebody wrote, in messages: its places, its lines, its values. */
#ifndef GEN_SOURCE_H
#define GEN_SOURCE_H

#include "lua/lua_host.h"
#include "util.h"

/* Both from 1. */
void source_line_column(const char *text, size_t offset, size_t *line, size_t *column);
/* "path:line:column" */
const char *source_place(arena *a, const char *path, const char *text, size_t offset);
/* The line at offset with a caret under it, or an excerpt where it is too long to read; after a
 * newline and without one at the end. */
void source_show(buf *b, const char *text, size_t offset);
/* A value as it is quoted. */
const char *value_quoted(arena *a, const lua_val *v);

#endif
