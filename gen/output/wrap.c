#include "wrap.h"

#include <string.h>

enum { DEPTH_MAX = 32, STEP = 4 };

/* A line as far as it has been read. */
typedef struct line {
    const char *text;
    size_t length, indent;
    bool inside;            /* it began inside a parenthesis of a line before */
    size_t open[DEPTH_MAX]; /* columns of its open parentheses */
    int depth;
    size_t value; /* column after its first " = "; 0: none */
} line;

/* A place where a line may be broken. */
typedef struct place {
    size_t end, column; /* of the part before it; of the rest, on its own line */
    int depth, rank;    /* the least are the outermost */
} place;

static bool starts(const char *s, const char *with) {
    return !strncmp(s, with, strlen(with));
}

/* The length of what may end a line at p: a comma or an operator, by rank. 0: nothing. */
static size_t breakable(const char *p, int *rank) {
    static const char *const ends[] = {", ", " || ", " && ", " | ", " + ", " * "};
    for (*rank = 0; *rank < (int)(sizeof ends / sizeof *ends); ++*rank)
        if (starts(p, ends[*rank])) return strlen(ends[*rank]) - 1;
    return 0;
}

/* Where the rest stands if the line is broken here. */
static size_t rest_column(const line *l, bool comma) {
    if (l->depth > 0) return l->open[l->depth - 1] + 1;
    if (l->inside) return l->indent;
    return l->value && !comma ? l->value : l->indent + STEP;
}

/* The end of "for (..)" or "if (..)", where a statement follows on the line; else 0. */
static size_t head_end(const line *l) {
    const char *p = l->text + l->indent;
    if (!starts(p, "for (") && !starts(p, "if (") && !starts(p, "while (")) return 0;
    int depth = 0;
    for (size_t i = l->indent; i < l->length; i++) {
        depth += (l->text[i] == '(') - (l->text[i] == ')');
        if (l->text[i] == ')' && !depth) return starts(l->text + i + 1, " {") ? 0 : i + 1;
    }
    return 0;
}

/* The last of the outermost places before `width`; end 0: there is none. */
static place best_place(line *l, size_t width) {
    place best = {0, 0, DEPTH_MAX, 0};
    const size_t head = head_end(l);
    if (head && head < width) return (place){head, l->indent + STEP, 0, 0};
    for (size_t i = l->indent; i < l->length && i < width; i++) {
        const char *p = l->text + i;
        int rank;
        if (*p == '"' || *p == '\'' || *p == '#' || starts(p, "/*")) break;
        if (*p == '(' || *p == '[' || *p == '{') {
            if (l->depth == DEPTH_MAX) break;
            l->open[l->depth++] = i;
        }
        if ((*p == ')' || *p == ']' || *p == '}') && l->depth > 0) l->depth--;
        if (!l->value && !l->depth && starts(p, " = ")) l->value = i + 3;
        const size_t n = breakable(p, &rank);
        const bool outer = l->depth < best.depth || (l->depth == best.depth && rank <= best.rank);
        if (n && i + n <= width && outer)
            best = (place){i + n, rest_column(l, *p == ','), l->depth, rank};
    }
    return best;
}

/* Where a line is broken; end 0: nowhere. */
static place place_in(const char *text, bool inside, size_t width) {
    line l = {.text = text, .length = strlen(text), .indent = strspn(text, " "), .inside = inside};
    if (l.length <= width || strchr("*/", text[l.indent]) || text[l.length - 1] == '\\')
        return (place){0};
    const place at = best_place(&l, width);
    return at.column < at.end ? at : (place){0};
}

/* Parentheses that are open after a line, `open` before it. */
static int still_open(const char *text, int open) {
    for (; *text && !starts(text, "/*"); text++) open += (*text == '(') - (*text == ')');
    return open > 0 ? open : 0;
}

const char *wrap_lines(arena *a, const char *text, size_t width) {
    buf b = buf_new(a);
    int open = 0;
    while (*text) {
        const char *now = arena_strndup(a, text, strcspn(text, "\n"));
        text += strlen(now);
        for (place at; (at = place_in(now, open > 0, width)).end;) {
            const char *first = arena_strndup(a, now, at.end), *rest = now + at.end + 1;
            buf_printf(&b, "%s\n", first);
            now = arena_printf(a, "%*s%s", (int)at.column, "", rest);
            open = still_open(first, open);
            /* What was broken before goes on behind the rest. */
            const bool goes_on = *text && strspn(text + 1, " ") == at.column;
            if (!goes_on || !still_open(now, open)) continue;
            text += 1 + at.column;
            now = arena_printf(a, "%s %.*s", now, (int)strcspn(text, "\n"), text);
            text += strcspn(text, "\n");
        }
        open = still_open(now, open);
        buf_puts(&b, now);
        if (*text) buf_puts(&b, "\n"), text++;
    }
    return b.data;
}

const char *space_functions(arena *a, const char *text) {
    buf b = buf_new(a);
    for (const char *p = text; *p;) {
        const size_t n = strcspn(p, "\n") + 1;
        const bool ends = starts(p, "}\n");
        buf_add(&b, p, p[n - 1] ? n : n - 1);
        p += p[n - 1] ? n : n - 1;
        if (ends && *p && *p != '\n' && *p != '#') buf_puts(&b, "\n");
    }
    return b.data;
}
