#include "lua_places.h"

#include "source.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef enum token_kind { TOKEN_NAME, TOKEN_NUMBER, TOKEN_STRING, TOKEN_SIGN } token_kind;

struct lua_token {
    token_kind kind;
    size_t at, length; /* of strings: what is between the quotes */
};

/* "[[" or "[==[" at p: the number of '=', or -1. */
static int long_bracket(const char *p) {
    if (*p != '[') return -1;
    size_t level = strspn(p + 1, "=");
    return p[1 + level] == '[' ? (int)level : -1;
}

/* End of the text inside a long bracket that starts at p. */
static size_t long_end(const char *text, size_t p, int level) {
    for (; text[p]; p++) {
        if (text[p] != ']') continue;
        size_t n = strspn(text + p + 1, "=");
        if (n == (size_t)level && text[p + 1 + n] == ']') return p;
    }
    return p;
}

static size_t short_end(const char *text, size_t p, char quote) {
    while (text[p] && text[p] != quote && text[p] != '\n')
        p += text[p] == '\\' && text[p + 1] ? 2 : 1;
    return p;
}

static size_t skip_comment(const char *text, size_t p) {
    int level = long_bracket(text + p + 2);
    if (level < 0) return p + strcspn(text + p, "\n");
    size_t end = long_end(text, p + 4 + (size_t)level, level);
    return text[end] ? end + 2 + (size_t)level : end;
}

static size_t word_end(const char *text, size_t p) {
    while (isalnum((unsigned char)text[p]) || text[p] == '_') p++;
    return p;
}

/* 1.5e-3, 0x1p+4 */
static size_t number_end(const char *text, size_t p) {
    while (isalnum((unsigned char)text[p]) || text[p] == '.' ||
           ((text[p] == '-' || text[p] == '+') && strchr("eEpP", text[p - 1])))
        p++;
    return p;
}

/* Reads the token at p (no blank or comment); returns where the next one may start. */
static size_t read_token(const char *text, size_t p, lua_token *t) {
    char c = text[p];
    int level = long_bracket(text + p);
    *t = (lua_token){TOKEN_SIGN, p, 1};
    if (level >= 0 || c == '"' || c == '\'') {
        size_t skip = level >= 0 ? (size_t)level + 2 : 1;
        size_t end = level >= 0 ? long_end(text, p + skip, level) : short_end(text, p + 1, c);
        *t = (lua_token){TOKEN_STRING, p + skip, end - p - skip};
        return text[end] ? end + skip : end;
    }
    if (isdigit((unsigned char)c))
        t->kind = TOKEN_NUMBER;
    else if (isalpha((unsigned char)c) || c == '_')
        t->kind = TOKEN_NAME;
    else if (strchr("=<>~", c) && text[p + 1] == '=')
        t->length = 2;
    if (t->kind == TOKEN_NUMBER) t->length = number_end(text, p + 1) - p;
    if (t->kind == TOKEN_NAME) t->length = word_end(text, p) - p;
    return p + t->length;
}

lua_tokens lua_tokenize(arena *a, const char *text) {
    lua_tokens out = {text, arena_alloc(a, (strlen(text) + 1) * sizeof(lua_token)), 0};
    for (size_t p = 0; text[p];) {
        if (isspace((unsigned char)text[p]))
            p++;
        else if (text[p] == '-' && text[p + 1] == '-')
            p = skip_comment(text, p);
        else
            p = read_token(text, p, &out.token[out.count++]);
    }
    return out;
}

static bool token_is(const lua_tokens *s, int i, const char *text) {
    if (i < 0 || i >= s->count) return false;
    const lua_token *t = &s->token[i];
    return strlen(text) == t->length && memcmp(s->text + t->at, text, t->length) == 0;
}

static bool sign_is(const lua_tokens *s, int i, const char *text) {
    return token_is(s, i, text) && s->token[i].kind == TOKEN_SIGN;
}

static int bracket_depth(const lua_tokens *s, int i) {
    if (s->token[i].kind == TOKEN_NAME) {
        if (token_is(s, i, "function") || token_is(s, i, "do") || token_is(s, i, "then")) return 1;
        return token_is(s, i, "end") || token_is(s, i, "elseif") ? -1 : 0;
    }
    if (s->token[i].kind != TOKEN_SIGN) return 0;
    char c = s->text[s->token[i].at];
    if (strchr("{([", c)) return 1;
    return strchr("})]", c) ? -1 : 0;
}

/* Item `wanted` (from 0) of the table constructor that opens at token `open`. */
static bool find_item(const lua_tokens *s, int open, int wanted, lua_span *out) {
    int depth = 0, item = 0, start = open + 1;
    for (int i = open; i < s->count; i++) {
        depth += bracket_depth(s, i);
        bool closes = depth == 0;
        if (!closes && !(depth == 1 && (sign_is(s, i, ",") || sign_is(s, i, ";")))) continue;
        if (item == wanted && i > start) {
            *out = (lua_span){start, i};
            return true;
        }
        if (closes) return false;
        item++;
        start = i + 1;
    }
    return false;
}

static bool value_matches(const lua_tokens *s, int i, const lua_val *v) {
    if (v->kind == LUA_VAL_STRING)
        return i < s->count && s->token[i].kind == TOKEN_STRING && token_is(s, i, v->string);
    if (v->kind == LUA_VAL_BOOL) return token_is(s, i, v->boolean ? "true" : "false");
    if (v->kind != LUA_VAL_INT && v->kind != LUA_VAL_FLOAT) return false;
    bool negative = sign_is(s, i, "-");
    i += negative;
    if (i >= s->count || s->token[i].kind != TOKEN_NUMBER) return false;
    double x = strtod(s->text + s->token[i].at, NULL);
    return (negative ? -x : x) == v->number;
}

/* The key token that wrote `key`, best with this value; -1: none. *value: the token of the value
 * where it is this one, else the key's. */
static int find_key(const lua_tokens *s, lua_span in, const char *key, const lua_val *v,
                    int *value) {
    int assigned = -1, seen = -1;
    for (int i = in.first; i < in.last; i++) {
        token_kind kind = s->token[i].kind;
        bool quoted_key = kind == TOKEN_STRING && sign_is(s, i - 1, "[") && sign_is(s, i + 1, "]");
        if (!token_is(s, i, key) || !(kind == TOKEN_NAME || quoted_key)) continue;
        int next = i + 1 + quoted_key;
        if (seen < 0) seen = i;
        if (!sign_is(s, next, "=")) continue;
        if (assigned < 0) assigned = i;
        if (!value_matches(s, next + 1, v)) continue;
        *value = next + 1;
        return i;
    }
    *value = assigned >= 0 ? assigned : seen;
    return *value;
}

/* A string token that holds `text` somewhere: the offset of the text; false: there is none. */
static bool find_text(const lua_tokens *s, lua_span in, const char *text, size_t *offset) {
    size_t n = strlen(text);
    for (int i = in.first; n > 0 && i < in.last; i++) {
        const lua_token *t = &s->token[i];
        if (t->kind != TOKEN_STRING) continue;
        for (size_t k = 0; k + n <= t->length; k++) {
            if (memcmp(s->text + t->at + k, text, n) != 0) continue;
            *offset = t->at + k;
            return true;
        }
    }
    return false;
}

/* The token of a key, in the span or else anywhere, as find_key does. */
static int find_key_near(const lua_tokens *s, lua_span in, const char *key, const lua_val *v,
                         int *value) {
    const lua_span all = {0, s->count};
    const int found = find_key(s, in, key, v, value);
    return found < 0 ? find_key(s, all, key, v, value) : found;
}

static size_t span_begin(const lua_tokens *s, lua_span in) {
    return in.first < s->count ? s->token[in.first].at : 0;
}

size_t lua_place_key(const lua_tokens *s, lua_span in, const char *key, const lua_val *v) {
    const lua_val nothing = {.kind = LUA_VAL_NIL};
    int value;
    const int found = find_key_near(s, in, key, v ? v : &nothing, &value);
    return found < 0 ? span_begin(s, in) : s->token[found].at;
}

size_t lua_place_value(const lua_tokens *s, lua_span in, const char *key, const lua_val *v) {
    const lua_span all = {0, s->count};
    int value;
    const int found = find_key_near(s, in, key, v, &value);
    size_t offset;
    if (value == found && v->kind == LUA_VAL_STRING &&
        (find_text(s, in, v->string, &offset) || find_text(s, all, v->string, &offset)))
        return offset;
    return found < 0 ? span_begin(s, in) : s->token[value].at;
}

size_t lua_place_layer(const lua_tokens *s, int index, lua_span *out) {
    for (int i = 0; index >= 0 && i + 2 < s->count; i++)
        if (token_is(s, i, "layers") && sign_is(s, i + 1, "=") && sign_is(s, i + 2, "{") &&
            find_item(s, i + 2, index, out))
            return s->token[out->first].at;
    *out = (lua_span){0, s->count};
    return lua_place_key(s, *out, "layers", NULL);
}

bool lua_refuse(arena *a, const char *path, const char *source, const char *const *keys,
                const char *text, diag *d) {
    const lua_tokens s = lua_tokenize(a, source);
    lua_span in = {0, s.count};
    size_t offset = span_begin(&s, in);
    for (int i = 0; keys[i]; i++) {
        const lua_val nothing = {.kind = LUA_VAL_NIL};
        int value;
        const int at = find_key(&s, in, keys[i], &nothing, &value);
        if (at < 0) break;
        offset = s.token[at].at;
        in.first = at + 1;
    }
    buf b = buf_new(a);
    buf_printf(&b, "%s: %s", source_place(a, path, source, offset), text);
    source_show(&b, source, offset);
    return diag_set(d, "%s", b.data);
}
