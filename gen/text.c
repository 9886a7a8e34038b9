#include "text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- UTF-8. --- */

/* The character at s and its length; 0: these bytes are none. */
static size_t character(const char *s, uint32_t *out) {
    const unsigned char *p = (const unsigned char *)s;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t n = p[0] < 0x80   ? 1
                     : p[0] < 0xc0 ? 0
                     : p[0] < 0xe0 ? 2
                     : p[0] < 0xf0 ? 3
                     : p[0] < 0xf8 ? 4
                                   : 0;
    if (n == 0) return 0;
    *out = n == 1 ? p[0] : p[0] & (0x7f >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0; /* the terminating zero, too */
        *out = *out << 6 | (p[i] & 0x3f);
    }
    const bool surrogate = *out >= 0xd800 && *out <= 0xdfff;
    return *out < least[n] || *out > 0x10ffff || surrogate ? 0 : n;
}

/* Whether a character stays where it stands, and shows. */
static bool is_shown(uint32_t c) {
    static const uint32_t hidden[][2] = {{0x00, 0x08},     {0x0a, 0x1f},     {0x7f, 0x9f},
                                         {0xad, 0xad},     {0x61c, 0x61c},   {0x180e, 0x180e},
                                         {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},
                                         {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe0fff}};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (c >= hidden[i][0] && c <= hidden[i][1]) return false;
    return true;
}

/* Bytes at s that stand for themselves; 0: the byte at s does not. */
static size_t shown_length(const char *s) {
    uint32_t c;
    const size_t n = character(s, &c);
    return n && is_shown(c) ? n : 0;
}

/* --- Terminals. --- */

void text_mask(char *s, bool lines) {
    while (*s) {
        const size_t n = lines && *s == '\n' ? 1 : shown_length(s);
        if (!n) *s = '?';
        s += n ? n : 1;
    }
}

char *text_shown_n(arena *a, const char *s, size_t n) {
    char *copy = arena_strndup(a, s, n);
    text_mask(copy, false);
    return copy;
}

char *text_shown(arena *a, const char *s) {
    return text_shown_n(a, s, strlen(s));
}

/* --- C. --- */

void text_c_line(buf *b, const char *line, size_t n) {
    for (size_t i = 0; i < n;) {
        const char c = line[i];
        const bool trigraph = c == '?' && i > 0 && line[i - 1] == '?';
        size_t length = c == '\\' || trigraph ? 0 : shown_length(line + i);
        if (length > n - i) length = 0;
        if (length)
            buf_add(b, line + i, length);
        else
            buf_printf(b, "\\x%02x", (unsigned)(unsigned char)c);
        i += length ? length : 1;
    }
}

static int hex_digit(char c) {
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

void text_c_line_read(buf *b, const char *line, size_t n) {
    for (size_t i = 0; i < n;) {
        const bool escape = n - i >= 4 && line[i] == '\\' && line[i + 1] == 'x';
        const int high = escape ? hex_digit(line[i + 2]) : -1;
        const int low = high >= 0 ? hex_digit(line[i + 3]) : -1;
        const char c = low >= 0 ? (char)(16 * high + low) : '\0';
        buf_add(b, c ? &c : line + i, 1);
        i += c ? 4 : 1;
    }
}

const char *text_c_comment(arena *a, const char *line) {
    buf b = buf_new(a);
    char before = 0;
    for (const char *p = text_shown(a, line); *p; before = *p++) {
        const bool opens = before == '/' && *p == '*', closes = before == '*' && *p == '/';
        const char c = *p == '\\' || (before == '?' && *p == '?') ? '.' : *p;
        if (opens || closes) buf_puts(&b, " ");
        buf_add(&b, &c, 1);
    }
    return b.data;
}

/* --- Lua. --- */

void text_lua(buf *b, const char *s) {
    buf_puts(b, "\"");
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c == '\n')
            buf_puts(b, "\\n");
        else if (c < ' ' || c > '~')
            buf_printf(b, "\\%03u", c);
        else
            buf_add(b, s, 1);
    }
    buf_puts(b, "\"");
}

/* --- XML. --- */

const char *text_xml(arena *a, const char *s) {
    buf b = buf_new(a);
    for (const char *p = text_shown(a, s); *p; p++) {
        const char *escape = *p == '&'    ? "&amp;"
                             : *p == '<'  ? "&lt;"
                             : *p == '>'  ? "&gt;"
                             : *p == '"'  ? "&quot;"
                             : *p == '\'' ? "&#39;"
                                          : NULL;
        if (escape)
            buf_puts(&b, escape);
        else
            buf_add(&b, p, 1);
    }
    return b.data;
}

/* --- Build files. --- */

bool text_plain_path(const char *path) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789/._-+,=@";
    return *path && *path != '-' && !path[strspn(path, allowed)];
}

/* Lines after the first are indented, so that none of others' text looks like one of ours. */
static void indent_lines(char *text, size_t size) {
    enum { INDENT = 4 };
    for (char *p = text; (p = strchr(p, '\n')); p++) {
        const size_t rest = strlen(p + 1), room = size - (size_t)(p + 1 - text) - 1;
        if (!rest || p[1] == ' ' || room <= INDENT) continue;
        const size_t kept = rest < room - INDENT ? rest : room - INDENT;
        memmove(p + 1 + INDENT, p + 1, kept);
        p[1 + INDENT + kept] = 0;
        memset(p + 1, ' ', INDENT);
    }
}

bool diag_set(diag *d, const char *fmt, ...) {
    if (d->set) return false;
    d->set = true;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(d->text, sizeof d->text, fmt, ap);
    va_end(ap);
    text_mask(d->text, true);
    indent_lines(d->text, sizeof d->text);
    return false;
}
