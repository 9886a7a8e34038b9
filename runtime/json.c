/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* json.c - a cursor over JSON text. */
#include "json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { DEEPEST = 64 };

bool attn_json_wrong(const attn_json *j, size_t at, const char *fmt, ...) {
    if (!j->message || !j->message_size) return false;
    const int n = snprintf(j->message, j->message_size, "byte %zu: ", at);
    if (n < 0 || (size_t)n >= j->message_size) return false;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(j->message + n, j->message_size - (size_t)n, fmt, ap);
    va_end(ap);
    return false;
}

bool attn_text_is(attn_text text, const char *word) {
    const size_t n = strlen(word);
    return text.length == n && !memcmp(text.data, word, n);
}

const char *attn_text_shown(attn_text text, char out[ATTN_SHOWN_MAX]) {
    size_t n = 0;
    for (; n < text.length && n < ATTN_SHOWN_MAX - 1; n++) {
        const char c = text.data[n];
        out[n] = '?';
        if (c >= ' ' && c <= '~') out[n] = c;
    }
    if (n < text.length) memcpy(out + n - 3, "...", 3);
    out[n] = 0;
    return out;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* The byte at the cursor; 0 at the end, where a zero byte is wrong as well. */
static char here(const attn_json *j) {
    return j->at < j->bytes ? j->text[j->at] : 0;
}

char attn_json_peek(attn_json *j) {
    while (is_blank(here(j))) j->at++;
    return here(j);
}

/* What stands at the cursor, for messages. */
static const char *found(const attn_json *j, char out[8]) {
    const char c = here(j);
    if (j->at >= j->bytes) return "the end";
    snprintf(out, 8, c > ' ' && c <= '~' ? "'%c'" : "0x%02x", (unsigned char)c);
    return out;
}

bool attn_json_take(attn_json *j, char what) {
    char got[8];
    if (attn_json_peek(j) != what)
        return attn_json_wrong(j, j->at, "expected '%c', got %s", what, found(j, got));
    j->at++;
    return true;
}

bool attn_json_more(attn_json *j, char close, bool *first, bool *ok) {
    char got[8];
    const char c = attn_json_peek(j);
    const bool begins = *first;
    *first = false;
    if (c == close) {
        j->at++;
        return false;
    }
    if (begins) return true;
    if (c != ',') {
        *ok = attn_json_wrong(j, j->at, "expected ',' or '%c', got %s", close, found(j, got));
        return false;
    }
    j->at++;
    return true;
}

static bool hex4(const attn_json *j, size_t at) {
    for (size_t i = at; i < at + 4; i++) {
        if (i >= j->bytes) return false;
        const char c = j->text[i];
        if (!is_digit(c) && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F')) return false;
    }
    return true;
}

static bool escape(attn_json *j) {
    const size_t at = j->at++;
    const char c = here(j);
    if (c == 'u' && hex4(j, j->at + 1)) {
        j->at += 5;
        return true;
    }
    if (!c || c == 'u' || !strchr("\"\\/bfnrt", c))
        return attn_json_wrong(j, at, "not an escape of JSON");
    j->at++;
    return true;
}

static bool string(attn_json *j, attn_text *out, bool *escapes) {
    *escapes = false;
    if (!attn_json_take(j, '"')) return false;
    const size_t from = j->at;
    for (;;) {
        if (j->at >= j->bytes) return attn_json_wrong(j, from - 1, "a string without an end");
        const unsigned char c = (unsigned char)here(j);
        if (c == '"') break;
        if (c < ' ') return attn_json_wrong(j, j->at, "a control character in a string");
        if (c == '\\') {
            *escapes = true;
            if (!escape(j)) return false;
        } else {
            j->at++;
        }
    }
    *out = (attn_text){j->text + from, j->at++ - from};
    return true;
}

bool attn_json_string(attn_json *j, attn_text *out) {
    bool escapes;
    (void)attn_json_peek(j);
    const size_t at = j->at;
    if (!string(j, out, &escapes)) return false;
    return !escapes || attn_json_wrong(j, at, "a name with an escape: such names are not taken");
}

bool attn_json_name(attn_json *j, attn_text *out) {
    return attn_json_string(j, out) && attn_json_take(j, ':');
}

bool attn_json_whole(attn_json *j, int64_t *out) {
    char got[8];
    int64_t v = 0;
    (void)attn_json_peek(j);
    const size_t at = j->at;
    while (is_digit(here(j))) {
        const int digit = here(j) - '0';
        if (v > (INT64_MAX - digit) / 10) return attn_json_wrong(j, at, "a number beyond 2^63 - 1");
        v = 10 * v + digit;
        j->at++;
    }
    if (j->at == at)
        return attn_json_wrong(j, at, "expected a whole number, got %s", found(j, got));
    if (j->at - at > 1 && j->text[at] == '0')
        return attn_json_wrong(j, at, "a number that begins with 0");
    *out = v;
    return true;
}

static bool digits(attn_json *j) {
    const size_t at = j->at;
    while (is_digit(here(j))) j->at++;
    return j->at > at;
}

static bool number(attn_json *j) {
    const size_t at = j->at;
    if (here(j) == '-') j->at++;
    const size_t whole = j->at;
    bool ok = digits(j) && (j->text[whole] != '0' || j->at == whole + 1);
    if (ok && here(j) == '.') {
        j->at++;
        ok = digits(j);
    }
    if (ok && (here(j) == 'e' || here(j) == 'E')) {
        j->at++;
        if (here(j) == '+' || here(j) == '-') j->at++;
        ok = digits(j);
    }
    return ok || attn_json_wrong(j, at, "not a number of JSON");
}

static bool word(attn_json *j) {
    static const char *const words[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++) {
        const size_t n = strlen(words[i]);
        if (j->bytes - j->at < n || memcmp(j->text + j->at, words[i], n)) continue;
        j->at += n;
        return true;
    }
    char got[8];
    return attn_json_wrong(j, j->at, "expected a value, got %s", found(j, got));
}

static bool scalar(attn_json *j) {
    attn_text text;
    bool escapes;
    const char c = here(j);
    if (c == '"') return string(j, &text, &escapes);
    return c == '-' || is_digit(c) ? number(j) : word(j);
}

bool attn_json_skip(attn_json *j) {
    char close[DEEPEST];
    bool first[DEEPEST], ok = true;
    int depth = 0;
    attn_text name;
    bool escapes;
    do {
        const char c = attn_json_peek(j);
        if (c == '{' || c == '[') {
            if (depth == DEEPEST)
                return attn_json_wrong(j, j->at, "nested deeper than %d levels", DEEPEST);
            j->at++;
            first[depth] = true;
            close[depth++] = c == '{' ? '}' : ']';
        } else if (!scalar(j)) {
            return false;
        }
        while (depth > 0 && !attn_json_more(j, close[depth - 1], &first[depth - 1], &ok)) {
            if (!ok) return false;
            depth--;
        }
        if (depth > 0 && close[depth - 1] == '}') {
            (void)attn_json_peek(j);
            if (!string(j, &name, &escapes) || !attn_json_take(j, ':')) return false;
        }
    } while (depth > 0);
    return true;
}

bool attn_json_end(attn_json *j) {
    char got[8];
    (void)attn_json_peek(j);
    return j->at == j->bytes ||
           attn_json_wrong(j, j->at, "expected the end, got %s", found(j, got));
}
