#include "rename.h"

#include <ctype.h>
#include <string.h>

bool name_set_has(const name_set *s, const char *name, size_t length) {
    for (int i = 0; i < s->count; i++)
        if (strlen(s->name[i]) == length && !memcmp(s->name[i], name, length)) return true;
    return false;
}

static void add_name(name_set *s, const char *name, size_t length) {
    if (name_set_has(s, name, length)) return;
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        const char **grown = arena_alloc(s->a, (size_t)s->cap * sizeof *grown);
        if (s->count) memcpy(grown, s->name, (size_t)s->count * sizeof *grown);
        s->name = grown;
    }
    s->name[s->count++] = arena_strndup(s->a, name, length);
}

/* --- Tokens. --- */

typedef enum token_kind {
    TOKEN_END,
    TOKEN_SPACE,     /* blanks and comments */
    TOKEN_DIRECTIVE, /* a preprocessor line up to its name: "#define" */
    TOKEN_LITERAL,   /* numbers, strings, characters, and all of an #include line */
    TOKEN_NAME,
    TOKEN_SIGN /* one character, but for "->" */
} token_kind;

typedef struct token {
    token_kind kind;
    const char *text;
    size_t length;
    bool line_start; /* only blanks before it on its line */
} token;

static bool is_word(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

static size_t space_length(const char *p) {
    if (isspace((unsigned char)*p)) return strspn(p, " \t\n");
    if (p[0] == '\\' && p[1] == '\n') return 2;
    if (p[0] == '/' && p[1] == '/') return strcspn(p, "\n");
    if (p[0] != '/' || p[1] != '*') return 0;
    const char *end = strstr(p + 2, "*/");
    return end ? (size_t)(end - p) + 2 : strlen(p);
}

static size_t quoted_length(const char *p) {
    size_t n = 1;
    while (p[n] && p[n] != *p) n += p[n] == '\\' && p[n + 1] ? 2 : 1;
    return n + (p[n] != '\0');
}

static size_t number_length(const char *p) {
    size_t n = 1;
    while (is_word(p[n]) || p[n] == '.' ||
           ((p[n] == '+' || p[n] == '-') && strchr("eEpP", p[n - 1])))
        n++;
    return n;
}

static size_t directive_length(const char *p) {
    size_t n = 1 + strspn(p + 1, " ");
    while (is_word(p[n])) n++;
    return n;
}

/* The token at p. */
static token token_at(const char *p, bool line_start) {
    token t = {TOKEN_SIGN, p, 1, line_start};
    const size_t space = space_length(p);
    if (!*p) {
        t.kind = TOKEN_END, t.length = 0;
    } else if (space) {
        t.kind = TOKEN_SPACE, t.length = space;
    } else if (*p == '#' && line_start) {
        t.kind = TOKEN_DIRECTIVE, t.length = directive_length(p);
        if (t.length >= 7 && !strncmp(p + t.length - 7, "include", 7))
            t.kind = TOKEN_LITERAL, t.length = strcspn(p, "\n");
    } else if (*p == '"' || *p == '\'') {
        t.kind = TOKEN_LITERAL, t.length = quoted_length(p);
    } else if (isdigit((unsigned char)*p) || (*p == '.' && isdigit((unsigned char)p[1]))) {
        t.kind = TOKEN_LITERAL, t.length = number_length(p);
    } else if (is_word(*p)) {
        t.kind = TOKEN_NAME;
        while (is_word(p[t.length])) t.length++;
    } else if (p[0] == '-' && p[1] == '>') {
        t.length = 2;
    }
    return t;
}

static token next_token(const token *t) {
    const char *p = t->text + t->length;
    bool line_start = t->line_start;
    if (t->kind != TOKEN_SPACE) line_start = false;
    if (t->kind == TOKEN_SPACE && memchr(t->text, '\n', t->length) && t->text[0] != '\\')
        line_start = true;
    return token_at(p, line_start);
}

static token after_space(token t) {
    while (t.kind == TOKEN_SPACE) t = next_token(&t);
    return t;
}

static bool is(const token *t, const char *text) {
    return t->length == strlen(text) && !memcmp(t->text, text, t->length);
}

/* The token after the group that t opens: "(", "[" or "{". */
static token after_group(token t) {
    int depth = 0;
    for (; t.kind != TOKEN_END; t = next_token(&t)) {
        if (t.kind != TOKEN_SIGN) continue;
        if (strchr("([{", *t.text)) depth++;
        if (strchr(")]}", *t.text) && --depth == 0) return next_token(&t);
    }
    return t;
}

/* The token after a preprocessor line. */
static token after_line(const token *t) {
    const char *p = t->text;
    while (*p && *p != '\n') p += p[0] == '\\' && p[1] ? 2 : 1;
    return token_at(p, true);
}

/* --- Declarations. --- */

/* One declaration at file scope: its tokens without what is in parentheses and braces. */
enum { DECLARATION_MAX = 64 };
typedef struct declaration {
    token token[DECLARATION_MAX]; /* groups are their opening sign */
    int count;
} declaration;

static void add_enumerators(token open, name_set *out) {
    bool expected = true;
    for (token t = after_space(next_token(&open)); t.kind != TOKEN_END && !is(&t, "}");
         t = after_space(next_token(&t))) {
        if (expected && t.kind == TOKEN_NAME) add_name(out, t.text, t.length);
        expected = is(&t, ",");
    }
}

static bool has(const declaration *d, const char *word) {
    for (int i = 0; i < d->count; i++)
        if (is(&d->token[i], word)) return true;
    return false;
}

/* The name that a declaration gives: the name before its first parameters, brackets or value, or
 * its last one. Attributes are no part of it. */
static const token *declared(const declaration *d) {
    const token *last = NULL;
    for (int i = 0; i < d->count; i++) {
        const token *t = &d->token[i], *next = i + 1 < d->count ? t + 1 : NULL;
        if (t->kind != TOKEN_NAME) continue;
        if (is(t, "__attribute__") || is(t, "_Alignas")) {
            i++; /* and its parentheses */
            continue;
        }
        last = t;
        if (next && (is(next, "(") || is(next, "[") || is(next, "="))) return t;
    }
    return last;
}

static unsigned kind_of(const declaration *d, bool body) {
    if (has(d, "static") || has(d, "ATTN_SIMD")) return DECLARED_STATICS;
    if (has(d, "typedef")) return DECLARED_TYPES;
    return (body || has(d, "=")) && !has(d, "extern") ? DEFINED_FOR_ALL : 0;
}

static void add_declaration(const declaration *d, bool body, unsigned kinds, name_set *out) {
    if (d->count == 0 || !(kind_of(d, body) & kinds)) return;
    const token *name = declared(d);
    if (name) add_name(out, name->text, name->length);
}

void declared_names(const char *text, unsigned kinds, name_set *out) {
    declaration d = {.count = 0};
    token t = token_at(text, true), before = t;
    while ((t = after_space(t)).kind != TOKEN_END) {
        if (t.kind == TOKEN_DIRECTIVE) {
            t = after_line(&t);
            continue;
        }
        const bool brace = is(&t, "{"), group = brace || is(&t, "(") || is(&t, "[");
        const bool body = brace && is(&before, "(");
        if (brace && !body && has(&d, "enum") && kinds & DECLARED_TYPES) add_enumerators(t, out);
        if (d.count < DECLARATION_MAX && !is(&t, ";")) d.token[d.count++] = t;
        const bool done = body || is(&t, ";");
        before = t;
        t = group ? after_group(t) : next_token(&t);
        if (!done) continue;
        add_declaration(&d, body, kinds, out);
        d.count = 0;
    }
}

void defined_macros(const char *text, name_set *out) {
    for (token t = token_at(text, true); t.kind != TOKEN_END; t = next_token(&t)) {
        if (t.kind != TOKEN_DIRECTIVE || !is(&t, "#define")) continue;
        t = after_space(next_token(&t));
        add_name(out, t.text, t.length);
    }
}

/* --- Renaming. --- */

enum { DEPTH_MAX = 64 };

typedef struct renamer {
    int depth;            /* of braces and brackets */
    char open[DEPTH_MAX]; /* 's': the body of a struct or union; else the sign itself */
    size_t column[DEPTH_MAX], moved[DEPTH_MAX]; /* of that sign, in the text and in the new one */
    size_t at, now;                             /* columns */
    bool struct_head;                           /* since "struct" there was at most a tag */
    token before;                               /* last token that is no space */
} renamer;

static bool in_struct(const renamer *r) {
    return r->depth > 0 && r->depth <= DEPTH_MAX && r->open[r->depth - 1] == 's';
}

/* Whether a name is a member: used, designated, or declared. */
static bool is_member(const renamer *r, const token *t) {
    if (is(&r->before, ".") || is(&r->before, "->")) return true;
    if (!in_struct(r)) return false;
    const token copy = *t, next = after_space(next_token(&copy));
    return is(&next, ";") || is(&next, ",") || is(&next, "[") || is(&next, ":");
}

static void follow(renamer *r, const token *t) {
    if (t->kind == TOKEN_SPACE) return;
    if (t->kind == TOKEN_SIGN && strchr("{[(", *t->text)) {
        const char kind = *t->text == '{' && r->struct_head ? 's' : *t->text;
        if (r->depth < DEPTH_MAX) {
            r->open[r->depth] = kind;
            r->column[r->depth] = r->at - 1, r->moved[r->depth] = r->now - 1;
        }
        r->depth++;
    }
    if (t->kind == TOKEN_SIGN && strchr("}])", *t->text) && r->depth > 0) r->depth--;
    const bool keyword = is(&r->before, "struct") || is(&r->before, "union");
    r->struct_head = is(t, "struct") || is(t, "union") || (keyword && t->kind == TOKEN_NAME);
    r->before = *t;
}

/* Adds text that is one token or blanks; a line that began below an open parenthesis still does. */
static void copy(renamer *r, buf *b, const token *t) {
    const char *end = t->text + t->length, *line = end;
    while (line > t->text && line[-1] != '\n') line--;
    const size_t column = (size_t)(end - line), top = (size_t)r->depth - 1;
    const bool new_line = line > t->text;
    buf_add(b, t->text, (size_t)(line - t->text));
    r->at = new_line ? column : r->at + column;
    if (new_line && strspn(line, " ") >= column && r->depth > 0 && r->depth <= DEPTH_MAX &&
        column == r->column[top] + 1) {
        buf_printf(b, "%*s", (int)r->moved[top] + 1, "");
        r->now = r->moved[top] + 1;
        return;
    }
    buf_add(b, line, column);
    r->now = new_line ? column : r->now + column;
}

const char *rename_text(arena *a, const char *text, const name_set *names, const char *prefix) {
    buf b = buf_new(a);
    renamer r = {.depth = 0, .before = token_at("", true)};
    for (token t = token_at(text, true); t.kind != TOKEN_END; t = next_token(&t)) {
        if (t.kind == TOKEN_NAME && name_set_has(names, t.text, t.length) && !is_member(&r, &t))
            buf_puts(&b, prefix), r.now += strlen(prefix);
        copy(&r, &b, &t);
        follow(&r, &t);
    }
    return b.data;
}
