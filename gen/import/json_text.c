/* json_text.c - what Python's json reads, since that writes and reads these files: RFC 8259, and
 * the numbers NaN, Infinity and -Infinity. A byte order mark is passed over. */
#include "json_text.h"

#include "spec/source.h"
#include "text.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Deeper and larger than any file of a model is outside the lists that `unread` names. */
enum { MAX_DEPTH = 64, MAX_KEPT = 1 << 18 };

typedef struct reading {
    arena *a;
    const char *path, *text;
    const json_val *unread;
    size_t at, line_start;
    int line, depth, kept;
    diag *d;
} reading;

/* --- Messages --- */

static bool refuse(const reading *r, size_t offset, const char *what) {
    buf b = buf_new(r->a);
    buf_printf(&b, "%s: %s", source_place(r->a, r->path, r->text, offset), what);
    source_show(&b, r->text, offset);
    return diag_set(r->d, "%s", b.data);
}

static bool no_json(const reading *r, size_t offset, const char *why) {
    if (!r->text[offset])
        return refuse(r, offset, "is no JSON: the text ends before its last bracket or value does");
    return refuse(r, offset, arena_printf(r->a, "is no JSON from here on: %s", why));
}

static bool starts(const reading *r, const char *with) {
    return !strncmp(r->text + r->at, with, strlen(with));
}

static bool starts_any(const reading *r, const char *const *with) {
    for (; *with; with++)
        if (starts(r, *with)) return true;
    return false;
}

/* What stands where a value or a name should, in the words of who wrote it by hand. */
static bool no_token(const reading *r, const char *wanted) {
    static const char *const comments[] = {"//", "/*", "#", NULL};
    static const char *const python[] = {"True", "False", "None", NULL};
    static const char *const numbers[] = {"nan", "inf", "-inf", "+inf", NULL};
    const char c = r->text[r->at];
    if (starts(r, "version https://git-lfs"))
        return no_json(r, r->at, "this is Git LFS's pointer to the file, not the file itself");
    if (c == '<') return no_json(r, r->at, "this is a web page or XML");
    if (starts_any(r, numbers)) return no_json(r, r->at, "it writes NaN, Infinity and -Infinity");
    if (starts_any(r, comments)) return no_json(r, r->at, "it has no comments");
    if (starts_any(r, python))
        return no_json(r, r->at, "it has true, false and null, not True, False and None");
    if (c == '\'') return no_json(r, r->at, "strings and names stand in double quotes");
    if (c == ',') return no_json(r, r->at, "a comma with nothing before it");
    return no_json(r, r->at, wanted);
}

/* --- Characters --- */

static void blanks(reading *r) {
    for (;; r->at++) {
        const char c = r->text[r->at];
        if (c == '\n') {
            r->line++;
            r->line_start = r->at + 1;
        } else if (c != ' ' && c != '\t' && c != '\r') {
            return;
        }
    }
}

/* The bytes of the character at p, 0: none. */
static size_t utf8_length(const unsigned char *p) {
    if (*p < 0x80) return 1;
    const size_t n = *p >= 0xC2 && *p < 0xE0 ? 2 : (*p & 0xF0) == 0xE0 ? 3 : 4;
    if (*p < 0xC2 || *p > 0xF4) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    const bool overlong = (*p == 0xE0 && p[1] < 0xA0) || (*p == 0xF0 && p[1] < 0x90);
    const bool beyond = (*p == 0xED && p[1] > 0x9F) || (*p == 0xF4 && p[1] > 0x8F);
    return overlong || beyond ? 0 : n;
}

static bool check_utf8(const reading *r) {
    if (starts(r, "\xFF\xFE") || starts(r, "\xFE\xFF"))
        return diag_set(r->d, "%s: is UTF-16: save it as UTF-8", r->path);
    for (size_t p = 0, n; r->text[p]; p += n) {
        n = utf8_length((const unsigned char *)r->text + p);
        if (!n) return refuse(r, p, "is no UTF-8 from here on: save it as UTF-8");
    }
    return true;
}

static void put_utf8(buf *b, uint32_t c) {
    char s[4];
    size_t n = 0;
    if (c >= 0x800 && c < 0x10000) s[n++] = (char)(0xE0 | c >> 12);
    if (c >= 0x10000) {
        s[n++] = (char)(0xF0 | c >> 18);
        s[n++] = (char)(0x80 | (c >> 12 & 0x3F));
    }
    if (c < 0x80)
        s[n++] = (char)c;
    else if (c < 0x800)
        s[n++] = (char)(0xC0 | c >> 6);
    else
        s[n++] = (char)(0x80 | (c >> 6 & 0x3F));
    if (c >= 0x80) s[n++] = (char)(0x80 | (c & 0x3F));
    buf_add(b, s, n);
}

/* The four digits at r->at; false: they are none. */
static bool hex4(reading *r, uint32_t *out) {
    *out = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        const char c = r->text[r->at];
        if (!isxdigit((unsigned char)c)) return false;
        *out = *out << 4 | (uint32_t)(isdigit((unsigned char)c) ? c - '0' : (c | 32) - 'a' + 10);
    }
    return true;
}

/* After \u. Half of a pair alone, which Python takes, becomes U+FFFD. out: null where not kept. */
static bool read_unicode(reading *r, buf *out) {
    const size_t begin = r->at - 2;
    uint32_t c, low;
    if (!hex4(r, &c)) return no_json(r, begin, "\\u needs four hexadecimal digits");
    if (!c && out) return refuse(r, begin, "a zero character is part of no name or value");
    if (c >= 0xD800 && c < 0xDC00 && starts(r, "\\u")) {
        const size_t back = r->at;
        r->at += 2;
        if (!hex4(r, &low)) return no_json(r, back, "\\u needs four hexadecimal digits");
        if (low >= 0xDC00 && low < 0xE000)
            c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        else
            r->at = back;
    }
    if (out) put_utf8(out, c >= 0xD800 && c < 0xE000 ? 0xFFFD : c);
    return true;
}

static bool read_escape(reading *r, buf *out) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char c = r->text[r->at + 1];
    const char *p = c ? strchr(from, c) : NULL;
    r->at += 2;
    if (c == 'u') return read_unicode(r, out);
    if (!p) return no_json(r, r->at - 2, "a string has no such escape");
    if (out) buf_add(out, &to[p - from], 1);
    return true;
}

static bool read_string(reading *r, const char **out, bool keep) {
    const size_t begin = r->at++;
    buf b = {0};
    if (keep) b = buf_new(r->a);
    for (;;) {
        const size_t plain = strcspn(r->text + r->at, "\"\\\n\r");
        for (size_t i = 0; i < plain; i++)
            if ((unsigned char)r->text[r->at + i] < ' ')
                return no_json(r, r->at + i, "a string holds no control characters");
        if (keep) buf_add(&b, r->text + r->at, plain);
        r->at += plain;
        if (r->text[r->at] == '"') break;
        if (r->text[r->at] != '\\')
            return no_json(r, begin, "this quote is not closed in its line");
        if (!read_escape(r, keep ? &b : NULL)) return false;
    }
    r->at++;
    *out = keep ? b.data : "";
    return true;
}

/* --- Values --- */

static size_t number_length(const char *text) {
    const char *p = text + (*text == '-');
    if (!isdigit((unsigned char)*p)) return 0;
    p += *p == '0' ? 1 : strspn(p, "0123456789");
    if (*p == '.') {
        const size_t n = strspn(p + 1, "0123456789");
        if (!n) return 0;
        p += 1 + n;
    }
    if (*p == 'e' || *p == 'E') {
        p += 1 + (p[1] == '+' || p[1] == '-');
        const size_t n = strspn(p, "0123456789");
        if (!n) return 0;
        p += n;
    }
    return isalnum((unsigned char)*p) || *p == '.' || *p == '_' ? 0 : (size_t)(p - text);
}

static bool word(reading *r, const char *name) {
    const size_t n = strlen(name);
    if (!starts(r, name) || isalnum((unsigned char)r->text[r->at + n])) return false;
    r->at += n;
    return true;
}

static bool read_number(reading *r, json_val *out) {
    const size_t n = number_length(r->text + r->at);
    out->kind = JSON_NUMBER;
    out->number = n ? strtod(r->text + r->at, NULL) : 0;
    r->at += n;
    return n || no_json(r, r->at, "this is not how it writes a number");
}

static bool read_word(reading *r, json_val *out) {
    static const struct {
        const char *name;
        json_kind kind;
        bool boolean;
        double number;
    } words[] = {
        {"true", JSON_BOOL, true, 0},
        {"false", JSON_BOOL, false, 0},
        {"null", JSON_NULL, false, 0},
        {"NaN", JSON_NUMBER, false, NAN},
        {"Infinity", JSON_NUMBER, false, INFINITY},
        {"-Infinity", JSON_NUMBER, false, -INFINITY},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!word(r, words[i].name)) continue;
        out->kind = words[i].kind;
        out->boolean = words[i].boolean;
        out->number = words[i].number;
        return true;
    }
    return no_token(r, "here should stand a value");
}

static bool read_scalar(reading *r, json_val *out) {
    const char *p = r->text + r->at;
    const bool letter = isalpha((unsigned char)p[strspn(p, "+-.")]);
    return !letter && *p && strchr("+-.0123456789", *p) ? read_number(r, out) : read_word(r, out);
}

static bool read_items(reading *r, json_val *out, bool keep);

static bool read_value(reading *r, json_val *out, bool keep) {
    out->at = r->at;
    out->text = r->text;
    const char c = r->text[r->at];
    out->kind = c == '{' ? JSON_OBJECT : c == '[' ? JSON_ARRAY : JSON_STRING;
    if (c == '{' || c == '[') return read_items(r, out, keep);
    return c == '"' ? read_string(r, &out->string, keep) : read_scalar(r, out);
}

static bool listed(const json_val *list, const char *name) {
    for (int i = 0; list && i < list->count; i++)
        if (!strcmp(list->item[i].string, name)) return true;
    return false;
}

static bool read_item(reading *r, const json_val *in, json_val *out, bool keep) {
    out->key_at = r->at;
    out->line = r->line;
    out->column = (int)(r->at - r->line_start) + 1;
    if (keep && ++r->kept > MAX_KEPT)
        return refuse(r, r->at,
                      arena_printf(r->a,
                                   "%s: is more than a config says: the file has over %d "
                                   "values beside lists of quantization",
                                   in->path, MAX_KEPT));
    if (in->kind == JSON_ARRAY) {
        if (keep) out->path = arena_printf(r->a, "%s[%d]", in->path, in->count);
        return read_value(r, out, keep);
    }
    if (r->text[r->at] != '"') return no_token(r, "here should stand a name in double quotes");
    if (!read_string(r, &out->name, keep)) return false;
    blanks(r);
    if (r->text[r->at] != ':') return no_json(r, r->at, "a colon is missing after the name");
    r->at++;
    blanks(r);
    if (keep)
        out->path = arena_printf(r->a, "%s%s%s", in->path, *in->path ? "." : "",
                                 text_shown(r->a, out->name));
    const bool nested = strchr("{[", r->text[r->at]) && listed(r->unread, out->name);
    return read_value(r, out, keep && !nested);
}

static void append(reading *r, json_val *list, const json_val *v, int *room) {
    if (list->count == *room) {
        *room = *room ? 2 * *room : 8;
        json_val *more = arena_alloc(r->a, (size_t)*room * sizeof *more);
        if (list->count) memcpy(more, list->item, (size_t)list->count * sizeof *more);
        list->item = more;
    }
    list->item[list->count++] = *v;
}

/* The place of a name: empty if the object has none of it. */
static const json_val **slot_of(const json_val *object, const char *name) {
    const size_t size = 2 * (size_t)object->count + 1;
    size_t k = (size_t)hash64(name, strlen(name)) % size;
    while (object->slot[k] && strcmp(object->slot[k]->name, name)) k = (k + 1) % size;
    return &object->slot[k];
}

/* A name given twice, of which Python would take the last without a word, is refused. */
static bool index_names(const reading *r, json_val *object) {
    object->slot = arena_alloc(r->a, (2 * (size_t)object->count + 1) * sizeof *object->slot);
    for (int i = 0; i < object->count; i++) {
        const json_val *v = &object->item[i], **slot = slot_of(object, v->name);
        if (*slot && !listed(r->unread, v->name))
            return refuse(r, v->key_at,
                          arena_printf(r->a, "%s: is given twice, in line %d too: remove one",
                                       v->path, (*slot)->line));
        *slot = v;
    }
    return true;
}

static bool read_items(reading *r, json_val *out, bool keep) {
    const char close = out->kind == JSON_OBJECT ? '}' : ']';
    size_t comma = 0; /* where it stands, after one */
    int room = 0;
    if (++r->depth > MAX_DEPTH) return refuse(r, r->at, "is nested more than 64 levels deep");
    r->at++;
    for (;;) {
        blanks(r);
        if (comma && strchr("]}", r->text[r->at]) && r->text[r->at])
            return no_json(r, comma, "a comma with nothing after it");
        if (r->text[r->at] == close) break;
        json_val v = {.path = ""};
        if (!read_item(r, out, &v, keep)) return false;
        if (keep) append(r, out, &v, &room);
        blanks(r);
        if (r->text[r->at] == close) break;
        comma = r->at;
        if (r->text[r->at] != ',')
            return no_json(r, r->at, "before this a comma or a closing bracket is missing");
        r->at++;
    }
    r->at++;
    r->depth--;
    return !keep || out->kind == JSON_ARRAY || index_names(r, out);
}

const json_val *json_read(arena *a, const char *path, const char *text, const json_val *unread,
                          diag *d) {
    reading r = {.a = a, .path = path, .text = text, .unread = unread, .line = 1, .d = d};
    if (!check_utf8(&r)) return NULL;
    if (starts(&r, "\xEF\xBB\xBF")) r.at = 3;
    blanks(&r);
    json_val *top = arena_alloc(a, sizeof *top);
    top->path = "";
    top->key_at = r.at;
    top->line = r.line;
    top->column = (int)(r.at - r.line_start) + 1;
    if (!read_value(&r, top, true)) return NULL;
    blanks(&r);
    if (text[r.at]) {
        no_json(&r, r.at, "after its last bracket or value nothing follows");
        return NULL;
    }
    return top;
}

/* --- Values that were read --- */

const json_val *json_get(const json_val *object, const char *name) {
    if (!object || object->kind != JSON_OBJECT || !object->slot) return NULL;
    return *slot_of(object, name);
}

static void place_names(arena *a, json_val *object) {
    object->slot = arena_alloc(a, (2 * (size_t)object->count + 1) * sizeof *object->slot);
    for (int i = 0; i < object->count; i++)
        *slot_of(object, object->item[i].name) = &object->item[i];
}

const json_val *json_over(arena *a, const json_val *base, const json_val *over) {
    json_val *out = arena_alloc(a, sizeof *out);
    *out = *over;
    out->item = arena_alloc(a, ((size_t)base->count + (size_t)over->count + 1) * sizeof *out->item);
    out->count = 0;
    for (int i = 0; i < base->count; i++) {
        const json_val *v = &base->item[i], *own = json_get(over, v->name);
        const bool both = own && own->kind == JSON_OBJECT && v->kind == JSON_OBJECT;
        out->item[out->count++] = both ? *json_over(a, v, own) : own ? *own : *v;
    }
    for (int i = 0; i < over->count; i++)
        if (!json_get(base, over->item[i].name)) out->item[out->count++] = over->item[i];
    place_names(a, out);
    return out;
}

const json_val *json_less(arena *a, const json_val *object, const json_val *names) {
    json_val *out = arena_alloc(a, sizeof *out);
    *out = *object;
    out->item = arena_alloc(a, ((size_t)object->count + 1) * sizeof *out->item);
    out->count = 0;
    for (int i = 0; i < object->count; i++)
        if (!names || !listed(names, object->item[i].name))
            out->item[out->count++] = object->item[i];
    place_names(a, out);
    return out;
}

static bool same_items(const json_val *x, const json_val *y) {
    if (x->count != y->count) return false;
    for (int i = 0; i < x->count; i++) {
        const json_val *other = x->kind == JSON_ARRAY ? &y->item[i] : json_get(y, x->item[i].name);
        if (!other || !json_same(&x->item[i], other)) return false;
    }
    return true;
}

bool json_same(const json_val *x, const json_val *y) {
    if (x->kind != y->kind) return false;
    switch (x->kind) {
    case JSON_NULL: return true;
    case JSON_BOOL: return x->boolean == y->boolean;
    case JSON_NUMBER: return x->number == y->number;
    case JSON_STRING: return strcmp(x->string, y->string) == 0;
    default: return same_items(x, y);
    }
}

/* What a message calls it, where Lua's word would be another or the digits are the file's. */
static const char *in_words(arena *a, const json_val *v) {
    if (v->kind == JSON_STRING) return v->string;
    if (v->kind == JSON_OBJECT) return "an object";
    if (v->kind == JSON_ARRAY) return "a list";
    if (v->kind == JSON_BOOL || !v->text) return NULL;
    const char *digits = v->text + v->at;
    const size_t n = strcspn(digits, ",]} \t\r\n");
    return n > 40 ? arena_printf(a, "%.40s..", digits) : arena_strndup(a, digits, n);
}

const lua_val *json_to_lua(arena *a, const json_val *v) {
    lua_val *out = arena_alloc(a, sizeof *out);
    const bool whole = fabs(v->number) < 9e15 && v->number == floor(v->number);
    switch (v->kind) {
    case JSON_NULL: out->kind = LUA_VAL_NIL; break;
    case JSON_BOOL: out->kind = LUA_VAL_BOOL; break;
    case JSON_NUMBER: out->kind = whole ? LUA_VAL_INT : LUA_VAL_FLOAT; break;
    case JSON_STRING: out->kind = LUA_VAL_STRING; break;
    default: out->kind = LUA_VAL_TABLE; break;
    }
    out->boolean = v->boolean;
    out->number = v->number;
    out->integer = whole ? (int64_t)v->number : 0;
    out->string = in_words(a, v);
    return out;
}
