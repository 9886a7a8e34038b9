#include "align.h"

#include <string.h>

enum { DEPTH_MAX = 64, STEP = 4 };

static bool starts(const char *s, const char *with) {
    return !strncmp(s, with, strlen(with));
}

/* --- Parentheses --- */

/* What is open where a line begins. */
typedef struct reader {
    int depth;
    char sign[DEPTH_MAX];
    size_t column[DEPTH_MAX]; /* behind it; 0: the line ends there */
    size_t base;              /* the indentation of the statement */
    bool comment, directive;
} reader;

/* The end of a string or character that begins at p. */
static const char *quote_end(const char *p) {
    const char quote = *p++;
    while (*p && *p != '\n' && *p != quote) p += *p == '\\' && p[1] ? 2 : 1;
    return p + (*p == quote);
}

static void open_at(reader *r, const char *p, size_t column) {
    if (r->depth < DEPTH_MAX) {
        r->sign[r->depth] = *p;
        r->column[r->depth] = p[1] != '\n' ? column + 1 : 0;
    }
    r->depth++;
}

/* Follows a line that begins with so many more columns than its text says. */
static void follow(reader *r, const char *line, ptrdiff_t moved) {
    for (const char *p = line; *p && *p != '\n';) {
        if (starts(p, "/*") || r->comment) {
            const size_t n = strcspn(p, "\n");
            const char *end = strstr(p, "*/");
            r->comment = !end || end >= p + n;
            if (r->comment) return;
            p = end + 2;
        } else if (*p == '"' || *p == '\'') {
            p = quote_end(p);
        } else {
            if (strchr("([{", *p)) open_at(r, p, (size_t)(p - line + moved));
            if (strchr(")]}", *p) && r->depth > 0) r->depth--;
            p++;
        }
    }
}

/* Where a line should begin. */
static size_t column_of(reader *r, const char *line, size_t indent) {
    const bool code = line[indent] != '\n' && line[indent] && !starts(line + indent, "/*");
    const bool inside = r->depth > 0 && r->depth <= DEPTH_MAX && r->sign[r->depth - 1] == '(';
    if (r->comment || !code) return indent;
    if (!inside) r->base = indent;
    const size_t below = inside ? r->column[r->depth - 1] : 0;
    return below && indent != r->base + STEP ? below : indent;
}

const char *align_parentheses(arena *a, const char *text) {
    buf b = buf_new(a);
    reader r = {0};
    for (const char *p = text; *p;) {
        const size_t n = strcspn(p, "\n"), indent = strspn(p, " ");
        const bool directive = r.directive || p[indent] == '#';
        r.directive = directive && n > 0 && p[n - 1] == '\\';
        size_t column = indent;
        if (!directive) {
            column = column_of(&r, p, indent);
            follow(&r, p, (ptrdiff_t)column - (ptrdiff_t)indent);
        }
        buf_printf(&b, "%*s", (int)column, "");
        buf_add(&b, p + indent, n - indent);
        p += n;
        if (*p) buf_puts(&b, "\n"), p++;
    }
    return b.data;
}

/* --- Comments --- */

/* A line with code and a comment behind it. */
typedef struct commented {
    const char *comment;
    size_t code, length, indent; /* of the code without blanks at its end; of the comment */
} commented;

static bool comment_in(const char *line, commented *c) {
    const size_t n = strcspn(line, "\n");
    if (n < 4 || strncmp(line + n - 2, "*/", 2)) return false;
    size_t at = n - 2;
    while (at > 0 && !starts(line + at, "/*")) at--;
    *c = (commented){line + at, at, n - at, strspn(line, " ")};
    while (c->code > 0 && line[c->code - 1] == ' ') c->code--;
    return c->code > 0 && !memchr(line, '"', c->code);
}

static size_t most(size_t a, size_t b) {
    return a > b ? a : b;
}

const char *align_comments(arena *a, const char *text, size_t width) {
    buf b = buf_new(a);
    for (const char *p = text; *p;) {
        commented c;
        size_t code = 0, comment = 0;
        const size_t indent = strspn(p, " ");
        const char *end = p; /* of the lines that fit below one another */
        while (*end && comment_in(end, &c) && c.indent == indent) {
            if (most(code, c.code) + 1 + most(comment, c.length) > width) break;
            code = most(code, c.code), comment = most(comment, c.length);
            end += strcspn(end, "\n");
            end += *end == '\n';
        }
        if (end == p) { /* another line, or one that is too long */
            const size_t n = strcspn(p, "\n");
            buf_add(&b, p, n + (p[n] == '\n'));
            p += n + (p[n] == '\n');
        }
        for (; p < end; p += *p == '\n') {
            comment_in(p, &c);
            buf_printf(&b, "%.*s%*s%.*s\n", (int)c.code, p, (int)(code + 1 - c.code), "",
                       (int)c.length, c.comment);
            p += strcspn(p, "\n");
        }
    }
    return b.data;
}
