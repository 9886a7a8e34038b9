#include "declared.h"

#include "spec.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    arena *a;
    lua_val *structs, *functions;
    buf renamed; /* "NAME SYMBOL\n" of macros */
    diag *d;
} reader;

static bool starts(const char *s, const char *with) {
    return !strncmp(s, with, strlen(with));
}

static bool is_word(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

/* --- The text without what declares nothing. --- */

static const char *without_comments(arena *a, const char *s) {
    buf b = buf_new(a);
    while (*s) {
        const char *open = strstr(s, "/*"), *close = open ? strstr(open, "*/") : NULL;
        const size_t n = open ? (size_t)(open - s) : strlen(s);
        buf_add(&b, s, n);
        if (!close) break;
        buf_puts(&b, " ");
        s = close + 2;
    }
    return b.data;
}

/* "#define attn_block_pack attn_block_pack_typed": a function's name in libraries. */
static void read_rename(reader *r, const char *line) {
    static const char word[] = "#define ";
    if (!starts(line, word)) return;
    const char *name = line + strlen(word), *end = name;
    while (is_word(*end)) end++;
    if (*end != ' ' || !islower((unsigned char)*name)) return;
    const char *symbol = end + 1, *last = symbol;
    while (is_word(*last)) last++;
    if (*last == '\n' && last > symbol)
        buf_printf(&r->renamed, "%.*s %.*s\n", (int)(end - name), name, (int)(last - symbol),
                   symbol);
}

/* Directives go, but for the members that come from a table, which become a word of their own. */
static const char *without_directives(reader *r, const char *s) {
    buf b = buf_new(r->a);
    for (bool more = false; *s;) {
        const size_t n = strcspn(s, "\n") + (strchr(s, '\n') != NULL);
        const bool directive = more || *s == '#';
        more = directive && n > 1 && s[n - 2] == '\\';
        if (directive && *s == '#') read_rename(r, s);
        if (starts(s, "#include \"spec_fields.def\"")) buf_puts(&b, "SPEC_FIELDS;");
        if (!directive && !starts(s, "extern \"C\" {") && !starts(s, "}\n") &&
            !starts(s, "ATTN_PUBLIC_BEGIN") && !starts(s, "ATTN_VISIBILITY_END"))
            buf_add(&b, s, n);
        if (!directive && starts(s, "}\n")) buf_puts(&b, "\x7f"); /* a function's end, or C++'s */
        s += n;
    }
    return b.data;
}

/* --- Types and declarators. --- */

/* The last word before `end`, with blanks around it. */
static const char *last_word(const char *begin, const char *end, size_t *length) {
    while (end > begin && !is_word(end[-1])) end--;
    const char *word = end;
    while (word > begin && is_word(word[-1])) word--;
    *length = (size_t)(end - word);
    return word;
}

/* The type that words before a declarator name: without const and struct. */
static char *base_type(arena *a, const char *p, const char *end) {
    char *type = "";
    while (p < end) {
        while (p < end && !is_word(*p)) p++;
        const char *word = p;
        while (p < end && is_word(*p)) p++;
        char *found = arena_strndup(a, word, (size_t)(p - word));
        if (*found && strcmp(found, "const") && strcmp(found, "struct")) type = found;
    }
    return type;
}

static bool has_star(const char *p, const char *end) {
    return memchr(p, '*', (size_t)(end - p)) != NULL;
}

static void set_type(arena *a, lua_val *t, const char *type, bool pointer) {
    lua_val_set_string(a, t, "type", type);
    lua_val_set_bool(a, t, "pointer", pointer);
}

static void push_field(reader *r, lua_val *fields, const char *name, const char *type, bool pointer,
                       int64_t count) {
    lua_val *t = lua_val_table(r->a);
    lua_val_set_string(r->a, t, "name", name);
    set_type(r->a, t, type, pointer);
    lua_val_set_int(r->a, t, "count", count);
    lua_val_push(r->a, fields, t);
}

static void push_spec_fields(reader *r, lua_val *fields) {
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        if (!attn_field_is_member(f)) continue;
        push_field(r, fields, f->name, f->kind == ATTN_KIND_FLOAT ? "float" : "int32_t", false,
                   f->kind == ATTN_KIND_TYPES ? ATTN_MATRIX_COUNT : 0);
    }
}

/* "const int32_t *a, *b" or "int64_t dim[4], stride[4]" or "void (*run)(void *ctx, ..)" */
static bool read_members(reader *r, lua_val *fields, const char *p, const char *end) {
    size_t n;
    const char *type = NULL, *paren = memchr(p, '(', (size_t)(end - p));
    if (paren) {
        const char *close = memchr(paren, ')', (size_t)(end - paren));
        const char *name = last_word(paren, close, &n);
        push_field(r, fields, arena_strndup(r->a, name, n), "function", true, 0);
        return true;
    }
    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p)), *stop = comma ? comma : end;
        const char *bracket = memchr(p, '[', (size_t)(stop - p));
        const char *name = last_word(p, bracket ? bracket : stop, &n);
        const int64_t count = bracket ? strtol(bracket + 1, NULL, 10) : 0;
        if (!type) type = base_type(r->a, p, name);
        if (!*type || !n || (bracket && count < 1))
            return diag_set(r->d, "a header's members are not understood: %.*s", (int)(end - p), p);
        push_field(r, fields, arena_strndup(r->a, name, n), type, has_star(p, name), count);
        p = stop + 1;
    }
    return true;
}

/* --- Declarations. --- */

/* "typedef struct NAME { members } NAME": p at typedef. */
static bool read_struct(reader *r, const char *p, const char *open, const char *close) {
    size_t n;
    lua_val *t = lua_val_table(r->a), *fields = lua_val_table(r->a);
    const char *name = last_word(p, open, &n);
    lua_val_set_string(r->a, t, "name", arena_strndup(r->a, name, n));
    lua_val_set_bool(r->a, t, "union", starts(p, "typedef union"));
    lua_val_set(r->a, t, "fields", fields);
    for (const char *m = open + 1, *end; (end = memchr(m, ';', (size_t)(close - m))); m = end + 1) {
        while (isspace((unsigned char)*m)) m++;
        if (starts(m, "SPEC_FIELDS;"))
            push_spec_fields(r, fields);
        else if (!read_members(r, fields, m, end))
            return false;
    }
    lua_val_push(r->a, r->structs, t);
    return true;
}

/* What libraries call a function. */
static const char *symbol_of(const reader *r, const char *name) {
    const char *key = arena_printf(r->a, "%s ", name);
    for (const char *p = r->renamed.data; *p; p += strcspn(p, "\n") + 1)
        if (starts(p, key))
            return arena_strndup(r->a, p + strlen(key), strcspn(p + strlen(key), "\n"));
    return name;
}

/* "attn_status attn_run(const attn_plan *plan, const attn_args *args)": [p, end). */
static bool read_function(reader *r, const char *p, const char *end) {
    size_t n;
    const char *open = memchr(p, '(', (size_t)(end - p));
    const char *name = last_word(p, open, &n);
    lua_val *t = lua_val_table(r->a), *result = lua_val_table(r->a);
    lua_val *parameters = lua_val_table(r->a);
    const char *text = arena_strndup(r->a, name, n);
    if (end[-1] != ')' || !n)
        return diag_set(r->d, "a header's declaration is not understood: %.*s", (int)(end - p), p);
    lua_val_set_string(r->a, t, "name", text);
    lua_val_set_string(r->a, t, "symbol", symbol_of(r, text));
    set_type(r->a, result, base_type(r->a, p, name), has_star(p, name));
    lua_val_set(r->a, t, "result", result);
    for (const char *q = open + 1; q < end - 1;) {
        const char *comma = memchr(q, ',', (size_t)(end - 1 - q)), *stop = comma ? comma : end - 1;
        const char *own = last_word(q, stop, &n);
        lua_val *parameter = lua_val_table(r->a);
        set_type(r->a, parameter, base_type(r->a, q, own), has_star(q, own));
        if (own > q) lua_val_push(r->a, parameters, parameter); /* not so: (void) */
        q = stop + 1;
    }
    lua_val_set(r->a, t, "parameters", parameters);
    lua_val_push(r->a, r->functions, t);
    return true;
}

static bool read_text(reader *r, const char *p) {
    while (*p) {
        while (isspace((unsigned char)*p) || *p == '\x7f' || *p == ';') p++;
        const char *end = p + strcspn(p, ";{");
        if (!*end) return true;
        if (starts(p, "static inline")) { /* its body ends a line that begins with } */
            p = end + strcspn(end, "\x7f");
            continue;
        }
        const char *close = *end == '{' ? strchr(end, '}') : NULL;
        const bool record = starts(p, "typedef struct") || starts(p, "typedef union");
        if (close && record && !read_struct(r, p, end, close)) return false;
        if (!close && !starts(p, "typedef") && !starts(p, "extern") &&
            memchr(p, '(', (size_t)(end - p)) && !read_function(r, p, end))
            return false;
        p = close ? close + strcspn(close, ";") : end;
    }
    return true;
}

bool declared(arena *a, const char *const *texts, int count, lua_val **out, diag *d) {
    reader r = {a, lua_val_table(a), lua_val_table(a), buf_new(a), d};
    for (int i = 0; i < count; i++)
        if (!read_text(&r, without_directives(&r, without_comments(a, texts[i])))) return false;
    *out = lua_val_table(a);
    lua_val_set(a, *out, "structs", r.structs);
    lua_val_set(a, *out, "functions", r.functions);
    return true;
}
