/* text.h - text of others where it is printed: one escape for each language it is printed into.
 * (JSON's is cJSON's own, and no more of the user's text reaches a build file than
 * text_plain_path lets through.) */
#ifndef GEN_TEXT_H
#define GEN_TEXT_H

#include "util.h"

/* Terminals and messages. What would move the cursor, reorder or hide what stands around it
 * (control characters, bytes that are no UTF-8, marks of direction, characters without width)
 * becomes '?', a byte each, so that columns stay. A tab stays; a newline only where `lines` says
 * that the text has some. */
void text_mask(char *s, bool lines);
/* The same of a copy: one line. */
char *text_shown(arena *a, const char *s);
char *text_shown_n(arena *a, const char *s, size_t n);

/* A line (without its newline) after `//` in C, which text_c_line_read gives back as it was:
 * backslashes, and what could end the comment or hide in it, stand as \xHH. */
void text_c_line(buf *b, const char *line, size_t n);
void text_c_line_read(buf *b, const char *line, size_t n);
/* A line of a block comment in C. Not read back: it ends no comment and continues no line. */
const char *text_c_comment(arena *a, const char *line);

/* Lua: a string with its quotes. (A comment: text_shown, which leaves no end of a line.) */
void text_lua(buf *b, const char *s);

/* XML and HTML: content of elements, and of attributes in either quotes. */
const char *text_xml(arena *a, const char *s);

/* Whether a path needs no quoting in C's #include, make, CMake, pkg-config and a shell: letters,
 * digits, and / . _ - + , = @, and no '-' in front. No quoting serves all of them. */
bool text_plain_path(const char *path);

#endif
