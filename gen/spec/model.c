#include "model.h"
#include "embedded.h"
#include "reserved.h"
#include "text.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LAYERS = MODEL_MAX_LAYERS, MAX_NAME = 64, MAX_DECLS = 32, SHOWN_LINE = 160 };

/* --- Messages --- */

/* The line and a caret; an excerpt where the line is too long to read. No newline at the end. */
void source_show(buf *b, const char *text, size_t offset) {
    size_t start = offset, end = offset;
    while (start > 0 && text[start - 1] != '\n') start--;
    end += strcspn(text + end, "\r\n");
    if (end - start > SHOWN_LINE) {
        if (offset - start > SHOWN_LINE / 2) start = offset - SHOWN_LINE / 2;
        if (end - start > SHOWN_LINE) end = start + SHOWN_LINE;
    }
    buf_puts(b, "\n");
    caret(b, text_shown_n(b->a, text + start, end - start), offset - start);
    b->data[--b->len] = 0;
}

static void line_and_column(const char *text, size_t offset, size_t *line, size_t *column) {
    *line = *column = 1;
    for (size_t i = 0; i < offset; i++) {
        ++*column;
        if (text[i] != '\n') continue;
        ++*line;
        *column = 1;
    }
}

const char *source_place(arena *a, const char *path, const char *text, size_t offset) {
    size_t line, column;
    line_and_column(text, offset, &line, &column);
    return arena_printf(a, "%s:%zu:%zu", text_shown(a, path), line, column);
}

static bool input_error(arena *a, const spec_input *in, const char *text, diag *d) {
    buf b = buf_new(a);
    buf_printf(&b, "%s: %s", in->where, text);
    if (in->file_text) source_show(&b, in->file_text, in->file_offset);
    return diag_set(d, "%s", b.data);
}

/* A value as it is quoted in messages. */
const char *value_quoted(arena *a, const lua_val *v) {
    if (v->string && v->kind != LUA_VAL_STRING) return v->string;
    switch (v->kind) {
    case LUA_VAL_NIL: return "nil";
    case LUA_VAL_BOOL: return v->boolean ? "true" : "false";
    case LUA_VAL_INT: return arena_printf(a, "%lld", (long long)v->integer);
    case LUA_VAL_FLOAT: return arena_printf(a, "%.9g", v->number);
    case LUA_VAL_TABLE: return "a table";
    case LUA_VAL_STRING: break;
    }
    size_t n = strlen(v->string);
    return arena_printf(a, "'%s%s'", text_shown_n(a, v->string, n > 40 ? 40 : n),
                        n > 40 ? ".." : "");
}

/* --- Values: one field of the spec --- */

typedef struct building {
    arena *a;
    const spec_input *inputs;
    int count;
    const char *where;
    kernel_spec *out;
    diag *d;
} building;

static const spec_input *input_of(const building *b, const char *field) {
    for (int i = 0; i < b->count; i++)
        if (strcmp(b->inputs[i].field, field) == 0) return &b->inputs[i];
    return NULL;
}

static bool parse_int(const char *s, int64_t *out) {
    bool negative = *s == '-';
    s += negative;
    if (!*s || strlen(s) > 18) return false;
    int64_t v = 0;
    for (; *s; s++) {
        if (!isdigit((unsigned char)*s)) return false;
        v = v * 10 + (*s - '0');
    }
    *out = negative ? -v : v;
    return true;
}

static bool parse_float(const char *s, double *out) {
    if (!*s || s[strspn(s, "0123456789.eE+-")]) return false; /* no inf, nan, hex or blanks */
    char *end;
    *out = strtod(s, &end);
    return *end == 0;
}

static bool int_value(const spec_input *in, int64_t *out) {
    const lua_val *v = in->value;
    if (v->kind == LUA_VAL_STRING) return in->from_flag && parse_int(v->string, out);
    if (v->kind == LUA_VAL_INT)
        *out = v->integer;
    else if (v->kind == LUA_VAL_FLOAT && fabs(v->number) < 9e15 && v->number == floor(v->number))
        *out = (int64_t)v->number;
    else
        return false;
    return true;
}

static bool float_value(const spec_input *in, double *out) {
    const lua_val *v = in->value;
    if (v->kind == LUA_VAL_STRING) return in->from_flag && parse_float(v->string, out);
    if (v->kind == LUA_VAL_INT)
        *out = (double)v->integer;
    else if (v->kind == LUA_VAL_FLOAT)
        *out = v->number;
    else
        return false;
    return true;
}

static bool bool_value(const spec_input *in, bool *out) {
    const lua_val *v = in->value;
    if (v->kind == LUA_VAL_BOOL)
        *out = v->boolean;
    else if (in->from_flag && strcmp(v->string, "true") == 0)
        *out = true;
    else if (in->from_flag && strcmp(v->string, "false") == 0)
        *out = false;
    else
        return false;
    return true;
}

static void set_member(attn_spec *s, const attn_field *f, const void *value) {
    memcpy((char *)s + f->offset, value, 4);
}

/* "a|b|c" as a null-terminated list. */
static const char *const *split_values(arena *a, const char *values) {
    size_t count = 1;
    for (const char *p = values; *p; p++) count += *p == '|';
    const char **list = arena_alloc(a, (count + 1) * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        size_t n = strcspn(values, "|");
        list[i] = arena_strndup(a, values, n);
        values += n + (values[n] == '|');
    }
    return list;
}

static bool set_enum(building *b, const spec_input *in, const attn_field *f) {
    const char *const *names = split_values(b->a, f->values);
    const lua_val *v = in->value;
    buf text = buf_new(b->a);
    buf_puts(&text, "must be one of");
    for (int32_t i = 0; names[i]; i++) {
        buf_printf(&text, "%s '%s'", i ? "," : "", names[i]);
        if (v->kind != LUA_VAL_STRING || strcmp(names[i], v->string) != 0) continue;
        set_member(&b->out->core, f, &i);
        return true;
    }
    buf_printf(&text, ", got %s", value_quoted(b->a, v));
    if (v->kind == LUA_VAL_STRING) suggest(&text, v->string, names);
    return input_error(b->a, in, text.data, b->d);
}

static bool set_int(building *b, const spec_input *in, const attn_field *f) {
    int64_t v;
    if (!int_value(in, &v) || v < f->lowest || v > f->highest)
        return input_error(b->a, in,
                           arena_printf(b->a, "must be an integer from %lld to %lld, got %s",
                                        (long long)f->lowest, (long long)f->highest,
                                        value_quoted(b->a, in->value)),
                           b->d);
    int32_t narrow = (int32_t)v;
    set_member(&b->out->core, f, &narrow);
    return true;
}

static bool set_bool(building *b, const spec_input *in, const attn_field *f) {
    bool v;
    if (!bool_value(in, &v))
        return input_error(
            b->a, in,
            arena_printf(b->a, "must be true or false, got %s", value_quoted(b->a, in->value)),
            b->d);
    int32_t narrow = v;
    set_member(&b->out->core, f, &narrow);
    return true;
}

static bool set_float(building *b, const spec_input *in, const attn_field *f) {
    double v;
    if (!float_value(in, &v) || !(fabs(v) <= 1e38))
        return input_error(
            b->a, in,
            arena_printf(b->a, "must be a finite number, in magnitude at most 1e+38, got %s",
                         value_quoted(b->a, in->value)),
            b->d);
    if (v != 0 && fabs(v) < FLT_MIN)
        return input_error(
            b->a, in,
            arena_printf(b->a, "must be in magnitude at least 1.18e-38 where it is not 0, got %s",
                         value_quoted(b->a, in->value)),
            b->d);
    float narrow = (float)v;
    set_member(&b->out->core, f, &narrow);
    return true;
}

static bool check_text(building *b, const spec_input *in) {
    if (in->value->kind == LUA_VAL_STRING) return true;
    return input_error(
        b->a, in, arena_printf(b->a, "must be a string, got %s", value_quoted(b->a, in->value)),
        b->d);
}

static bool set_value(building *b, const spec_input *in) {
    const attn_field *f = attn_field_find(in->field);
    switch (f->kind) {
    case ATTN_KIND_ENUM: return set_enum(b, in, f);
    case ATTN_KIND_INT: return set_int(b, in, f);
    case ATTN_KIND_BOOL: return set_bool(b, in, f);
    case ATTN_KIND_FLOAT: return set_float(b, in, f);
    default: return check_text(b, in);
    }
}

/* --- Checks between fields --- */

static bool unknown_field(building *b, const spec_input *in) {
    const char **names = arena_alloc(b->a, ((size_t)attn_field_count + 1) * sizeof *names);
    for (int i = 0; i < attn_field_count; i++) names[i] = attn_fields[i].name;
    buf text = buf_new(b->a);
    const lua_val key = {.kind = LUA_VAL_STRING, .string = in->field};
    buf_printf(&text, "unknown key %s", value_quoted(b->a, &key));
    suggest(&text, in->field, names);
    buf_puts(&text, "; allowed:");
    const spec_input *level = input_of(b, "level");
    const bool block =
        level && level->value->kind == LUA_VAL_STRING && strcmp(level->value->string, "block") == 0;
    for (int i = 0; i < attn_field_count; i++)
        if (block || !(attn_fields[i].applies & ATTN_IN_BLOCK))
            buf_printf(&text, "%s %s", i ? "," : "", names[i]);
    return input_error(b->a, in, text.data, b->d);
}

/* An error of attn_spec_resolve, at the field it names; a field not given is named after where. */
static bool spec_error(building *b, const attn_spec_error *err) {
    const spec_input *in = input_of(b, err->field);
    if (in) return input_error(b->a, in, err->text, b->d);
    if (b->where) return diag_set(b->d, "%s.%s: %s", b->where, err->field, err->text);
    char *flag = arena_printf(b->a, "--%s", err->field);
    for (char *p = flag; *p; p++)
        if (*p == '_') *p = '-';
    return diag_set(b->d, "%s: %s", flag, err->text);
}

/* attn_spec_resolve cannot tell a field that was given its default from one that was not given. */
static bool check_given(building *b) {
    for (int i = 0; i < b->count; i++) {
        const spec_input *in = &b->inputs[i];
        const attn_field *f = attn_field_find(in->field);
        attn_spec_error err;
        if (!attn_field_applies(f, &b->out->core, &err))
            return input_error(b->a, in, err.text, b->d);
        if (f->offset < 0 && b->out->core.backend != ATTN_BACKEND_FLEX)
            return input_error(
                b->a, in, "belongs to backend flex, and backend is sdpa: add backend = flex", b->d);
    }
    return true;
}

/* What is missing is said before what does not belong. */
static bool resolve(building *b) {
    attn_spec_error err;
    attn_spec s = b->out->core;
    attn_status st = attn_spec_resolve(&s, &err);
    bool missing = st != ATTN_OK && !input_of(b, err.field);
    if (missing) return spec_error(b, &err);
    if (!check_given(b)) return false;
    if (st != ATTN_OK) return spec_error(b, &err);
    b->out->core = s;
    return true;
}

/* --- Expressions --- */

/* Where in its text an expression is wrong: "column 9", or "line 2, column 3". */
static const char *place_inside(arena *a, const char *text, size_t offset) {
    size_t line, column;
    line_and_column(text, offset, &line, &column);
    if (strchr(text, '\n')) return arena_printf(a, "line %zu, column %zu", line, column);
    return arena_printf(a, "column %zu", column);
}

/* "tiny.lua:3:14: layers[2].mask" -> "layers[2].mask" */
static const char *after_position(const spec_input *in) {
    const char *p = strstr(in->where + strlen(in->file), ": ");
    return p ? p + 2 : in->where;
}

static bool text_error(building *b, const spec_input *in, const expr_error *err) {
    const char *text = in->value->string;
    size_t offset = err->offset <= strlen(text) ? err->offset : strlen(text);
    const char *inside = place_inside(b->a, text, offset);
    buf m = buf_new(b->a);
    bool verbatim =
        in->file_text && strncmp(in->file_text + in->file_offset, text, strlen(text)) == 0;
    if (verbatim) {
        offset += in->file_offset;
        buf_printf(&m, "%s: %s: %s: %s", source_place(b->a, in->file, in->file_text, offset),
                   after_position(in), inside, err->text);
        source_show(&m, in->file_text, offset);
        return diag_set(b->d, "%s", m.data);
    }
    buf_printf(&m, "%s: %s: %s", in->where, inside, err->text);
    if (in->file_text) {
        source_show(&m, in->file_text, in->file_offset);
        buf_puts(&m, "\n  in the expression");
    }
    source_show(&m, text, offset);
    return diag_set(b->d, "%s", m.data);
}

static bool declared(const kernel_spec *k, const char *name) {
    for (int i = 0; i < k->tensor_count; i++)
        if (strcmp(k->tensors[i].name, name) == 0) return true;
    for (int i = 0; i < k->scalar_count; i++)
        if (strcmp(k->scalars[i].name, name) == 0) return true;
    return false;
}

static bool declare(building *b, const spec_input *in) {
    kernel_spec *k = b->out;
    expr_error err = {0, ""};
    bool tensor = strcmp(in->field, "tensor") == 0;
    attn_side_decl side;
    expr_scalar scalar;
    bool ok = tensor ? expr_parse_tensor(b->a, in->value->string, &side, &err)
                     : expr_parse_scalar(b->a, in->value->string, &scalar, &err);
    if (!ok) return text_error(b, in, &err);
    const char *name = tensor ? side.name : scalar.name;
    if (declared(k, name))
        return input_error(b->a, in, arena_printf(b->a, "'%s' is declared twice", name), b->d);
    if ((tensor ? k->tensor_count : k->scalar_count) == MAX_DECLS)
        return input_error(b->a, in, arena_printf(b->a, "at most %d are allowed", MAX_DECLS), b->d);
    if (tensor)
        k->tensors[k->tensor_count++] = side;
    else
        k->scalars[k->scalar_count++] = scalar;
    return true;
}

static bool declare_all(building *b) {
    kernel_spec *k = b->out;
    k->tensors = arena_alloc(b->a, MAX_DECLS * sizeof *k->tensors);
    k->scalars = arena_alloc(b->a, MAX_DECLS * sizeof *k->scalars);
    for (int i = 0; i < b->count; i++)
        if (attn_field_find(b->inputs[i].field)->kind == ATTN_KIND_LIST &&
            !declare(b, &b->inputs[i]))
            return false;
    return true;
}

static bool parse_text(building *b, const char *field, expr_kind kind, const char **text,
                       expr **out) {
    const spec_input *in = input_of(b, field);
    if (!in) return true;
    const kernel_spec *k = b->out;
    expr_env env = {&k->core, k->tensors, k->tensor_count, k->scalars, k->scalar_count};
    expr_error err = {0, ""};
    *text = in->value->string;
    *out = expr_parse(b->a, *text, kind, &env, &err);
    return *out || text_error(b, in, &err);
}

/* What the expressions of two kernels are compared by, and their hash. */
static const char *canonical_text(arena *a, const kernel_spec *k) {
    buf b = buf_new(a);
    if (k->score_expr) buf_printf(&b, "score=%s\n", expr_canonical(a, k->score_expr));
    if (k->mask_expr) buf_printf(&b, "mask=%s\n", expr_canonical(a, k->mask_expr));
    for (int i = 0; i < k->tensor_count; i++)
        buf_printf(&b, "tensor=%s\n", expr_decl_canonical(a, &k->tensors[i]));
    for (int i = 0; i < k->scalar_count; i++)
        buf_printf(&b, "scalar=%s=%s\n", k->scalars[i].name,
                   k->scalars[i].is_float ? "f32" : "i32");
    return b.data;
}

static bool build_expressions(building *b) {
    kernel_spec *k = b->out;
    if (!declare_all(b)) return false;
    if (!parse_text(b, "score", EXPR_SCORE, &k->score, &k->score_expr)) return false;
    if (!parse_text(b, "mask", EXPR_MASK, &k->mask, &k->mask_expr)) return false;
    if (!k->score && !k->mask && k->tensor_count + k->scalar_count > 0)
        return input_error(b->a, input_of(b, k->tensor_count ? "tensor" : "scalar"),
                           "is declared, and there is no score or mask that could use it", b->d);
    const char *text = canonical_text(b->a, k);
    if (!*text) return true;
    uint32_t hash = (uint32_t)hash64(text, strlen(text));
    k->core.expr_hash = hash ? hash : 1; /* 0 says that there are no expressions */
    return true;
}

/* Aliases become the field's name; a field and its alias may not both be given. */
static bool by_name(building *b) {
    spec_input *named = arena_alloc(b->a, ((size_t)b->count + 1) * sizeof *named);
    for (int i = 0; i < b->count; i++) {
        named[i] = b->inputs[i];
        const attn_field *f = attn_field_find(named[i].field);
        for (int j = 0; j < i && f->kind != ATTN_KIND_LIST; j++)
            if (strcmp(named[j].field, f->name) == 0)
                return input_error(
                    b->a, &b->inputs[i],
                    arena_printf(b->a, "says the same as %s: give one of them", b->inputs[j].field),
                    b->d);
        named[i].field = f->name;
    }
    b->inputs = named;
    return true;
}

bool kernel_spec_build(arena *a, const spec_input *inputs, int count, const char *where,
                       kernel_spec *out, diag *d) {
    building b = {a, inputs, count, where, out, d};
    memset(out, 0, sizeof *out);
    attn_spec_init(&out->core);
    for (int i = 0; i < count; i++)
        if (!attn_field_find(inputs[i].field)) return unknown_field(&b, &inputs[i]);
    if (!by_name(&b)) return false;
    for (int i = 0; i < count; i++)
        if (!set_value(&b, &b.inputs[i])) return false;
    if (!resolve(&b) || !build_expressions(&b)) return false;
    attn_spec_format(&out->core, out->name);
    out->inner = out->expanded = -1;
    return true;
}

static void inner_kernel(const kernel_spec *block, const attn_spec *spec, kernel_spec *core) {
    *core = *block;
    core->core = *spec;
    attn_spec_format(&core->core, core->name);
    core->inner = core->expanded = -1;
    core->outer = false;
}

void kernel_spec_core(const kernel_spec *block, kernel_spec *core) {
    attn_spec spec;
    attn_spec_core(&block->core, &spec);
    inner_kernel(block, &spec, core);
}

void kernel_spec_expanded(const kernel_spec *block, kernel_spec *core) {
    attn_spec spec;
    attn_spec_expanded(&block->core, &spec);
    inner_kernel(block, &spec, core);
}

/* --- Where in a Lua source a value was written --- */

typedef enum token_kind { TOKEN_NAME, TOKEN_NUMBER, TOKEN_STRING, TOKEN_SIGN } token_kind;

typedef struct token {
    token_kind kind;
    size_t at, length; /* of strings: what is between the quotes */
} token;

typedef struct tokens {
    const char *text;
    token *token;
    int count;
} tokens;

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
static size_t read_token(const char *text, size_t p, token *t) {
    char c = text[p];
    int level = long_bracket(text + p);
    *t = (token){TOKEN_SIGN, p, 1};
    if (level >= 0 || c == '"' || c == '\'') {
        size_t skip = level >= 0 ? (size_t)level + 2 : 1;
        size_t end = level >= 0 ? long_end(text, p + skip, level) : short_end(text, p + 1, c);
        *t = (token){TOKEN_STRING, p + skip, end - p - skip};
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

static tokens tokenize(arena *a, const char *text) {
    tokens out = {text, arena_alloc(a, (strlen(text) + 1) * sizeof(token)), 0};
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

static bool token_is(const tokens *s, int i, const char *text) {
    if (i < 0 || i >= s->count) return false;
    const token *t = &s->token[i];
    return strlen(text) == t->length && memcmp(s->text + t->at, text, t->length) == 0;
}

static bool sign_is(const tokens *s, int i, const char *text) {
    return token_is(s, i, text) && s->token[i].kind == TOKEN_SIGN;
}

/* Tokens first..last-1. */
typedef struct span {
    int first, last;
} span;

static int bracket_depth(const tokens *s, int i) {
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
static bool find_item(const tokens *s, int open, int wanted, span *out) {
    int depth = 0, item = 0, start = open + 1;
    for (int i = open; i < s->count; i++) {
        depth += bracket_depth(s, i);
        bool closes = depth == 0;
        if (!closes && !(depth == 1 && (sign_is(s, i, ",") || sign_is(s, i, ";")))) continue;
        if (item == wanted && i > start) {
            *out = (span){start, i};
            return true;
        }
        if (closes) return false;
        item++;
        start = i + 1;
    }
    return false;
}

/* The source of layers[index]; where the list is not written out, the whole text. */
static bool find_layer(const tokens *s, int index, span *out) {
    for (int i = 0; i + 2 < s->count; i++)
        if (token_is(s, i, "layers") && sign_is(s, i + 1, "=") && sign_is(s, i + 2, "{") &&
            find_item(s, i + 2, index, out))
            return true;
    *out = (span){0, s->count};
    return false;
}

static bool value_matches(const tokens *s, int i, const lua_val *v) {
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
static int find_key(const tokens *s, span in, const char *key, const lua_val *v, int *value) {
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
static bool find_text(const tokens *s, span in, const char *text, size_t *offset) {
    size_t n = strlen(text);
    for (int i = in.first; n > 0 && i < in.last; i++) {
        const token *t = &s->token[i];
        if (t->kind != TOKEN_STRING) continue;
        for (size_t k = 0; k + n <= t->length; k++) {
            if (memcmp(s->text + t->at + k, text, n) != 0) continue;
            *offset = t->at + k;
            return true;
        }
    }
    return false;
}

/* Offset of a value, or of its key where the value itself is not there literally. */
static size_t locate(const tokens *s, span in, const char *key, const lua_val *v, bool at_key) {
    span all = {0, s->count};
    int value = -1;
    int found = find_key(s, in, key, v, &value);
    if (found < 0) found = find_key(s, all, key, v, &value);
    size_t offset;
    bool exact = value != found;
    if (!at_key && !exact && v->kind == LUA_VAL_STRING &&
        (find_text(s, in, v->string, &offset) || find_text(s, all, v->string, &offset)))
        return offset;
    if (found < 0) return in.first < s->count ? s->token[in.first].at : 0;
    return s->token[at_key ? found : value].at;
}

/* --- Model files --- */

typedef struct reading {
    arena *a;
    const char *path, *source;
    diag *d;
} reading;

/* An error about the key of the model's outer table, or about layers[index]. */
static bool model_error(const reading *r, int index, const char *key, const char *text) {
    tokens s = tokenize(r->a, r->source);
    span in = {0, s.count};
    bool found = index >= 0 && find_layer(&s, index, &in);
    const lua_val nothing = {.kind = LUA_VAL_NIL};
    size_t offset =
        found && !key ? s.token[in.first].at : locate(&s, in, key ? key : "layers", &nothing, true);
    buf b = buf_new(r->a);
    buf_printf(&b, "%s: ", source_place(r->a, r->path, r->source, offset));
    if (index >= 0) buf_printf(&b, "layers[%d]: ", index + 1);
    buf_puts(&b, text);
    source_show(&b, r->source, offset);
    return diag_set(r->d, "%s", b.data);
}

bool model_refuse_text(arena *a, const char *path, const char *source, const char *const *keys,
                       const char *text, diag *d) {
    const tokens s = tokenize(a, source);
    span in = {0, s.count};
    size_t offset = s.count ? s.token[0].at : 0;
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

static const char *stem(arena *a, const char *path) {
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    size_t n = strlen(base);
    if (n > 4 && strcmp(base + n - 4, ".lua") == 0) n -= 4;
    return arena_strndup(a, base, n);
}

static const char name_rule[] = "must be 1 to 64 of A-Z a-z 0-9 _ . - and start with a letter, and "
                                "not with attn, which is the runtime's";

bool model_name_is_valid(const char *name) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789_.-";
    size_t n = strlen(name);
    attn_spec s; /* a model made from flags is named after its kernel, at any length */
    if (strncmp(name, "attn", 4) == 0) return attn_spec_parse(name, &s) == ATTN_OK;
    return n <= MAX_NAME && isalpha((unsigned char)*name) && strspn(name, allowed) == n;
}

const char *model_name_free(arena *a, const char *name) {
    return reserved_reason(a, model_identifier(a, name)) ? reserved_instead(a, name) : name;
}

bool model_name_check(arena *a, const model *m, const char *where, diag *d) {
    const char *why = reserved_reason(a, model_identifier(a, m->name));
    return !why || diag_set(d, "%s: the model cannot be called '%s': %s; for example --name %s",
                            text_shown(a, where), m->name, why, reserved_instead(a, m->name));
}

static bool read_name(const reading *r, const lua_val *table, model *out) {
    const lua_val *v = lua_val_get(table, "name");
    if (v && v->kind == LUA_VAL_STRING && model_name_is_valid(v->string)) {
        out->name = v->string;
        return true;
    }
    if (v)
        return model_error(r, -1, "name",
                           arena_printf(r->a, "name %s, got %s", name_rule, value_quoted(r->a, v)));
    out->name = stem(r->a, r->path);
    if (model_name_is_valid(out->name)) {
        out->name = model_name_free(r->a, out->name);
        return true;
    }
    const lua_val got = {.kind = LUA_VAL_STRING, .string = out->name};
    return diag_set(r->d,
                    "%s:1:1: no name is given, and the file's name makes none: a name %s, got %s",
                    r->path, name_rule, value_quoted(r->a, &got));
}

static bool check_outer(const reading *r, const lua_val *table) {
    static const char *const allowed[] = {"name", "layers", NULL};
    for (int i = 0; i < table->field_count; i++) {
        const char *key = table->field[i].name;
        if (!key)
            return model_error(r, -1, NULL,
                               "the model must be a table { name = .., layers = { .. } }, not a "
                               "list");
        if (strcmp(key, "name") == 0 || strcmp(key, "layers") == 0) continue;
        buf b = buf_new(r->a);
        const lua_val got = {.kind = LUA_VAL_STRING, .string = key};
        buf_printf(&b, "unknown key %s", value_quoted(r->a, &got));
        suggest(&b, key, allowed);
        buf_puts(&b, "; allowed: name, layers");
        return model_error(r, -1, key, b.data);
    }
    return true;
}

typedef struct input_list {
    spec_input *item;
    int count, cap;
} input_list;

static void add_input(arena *a, input_list *l, const char *field, const lua_val *value,
                      const char *suffix) {
    if (l->count == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 32;
        spec_input *grown = arena_alloc(a, (size_t)l->cap * sizeof *grown);
        if (l->count) memcpy(grown, l->item, (size_t)l->count * sizeof *grown);
        l->item = grown;
    }
    l->item[l->count++] = (spec_input){.field = field, .value = value, .where = suffix};
}

/* One input a field, and one an item of tensor and scalar; where: the path inside the layer. */
static bool collect(const reading *r, int index, const lua_val *layer, input_list *l) {
    if (layer->kind != LUA_VAL_TABLE)
        return model_error(
            r, index, NULL,
            arena_printf(r->a, "must be a table, got %s", value_quoted(r->a, layer)));
    for (int i = 0; i < layer->field_count; i++) {
        const char *key = layer->field[i].name;
        const lua_val *v = layer->field[i].value;
        if (!key) return model_error(r, index, NULL, "holds a value without a key; write key = ..");
        const attn_field *f = attn_field_find(key);
        if (!f) l->count = 0; /* this is what will be refused; there may be very many more */
        bool list = f && f->kind == ATTN_KIND_LIST && v->kind == LUA_VAL_TABLE;
        if (list && v->field_count > MAX_DECLS)
            return model_error(r, index, key,
                               arena_printf(r->a, "%s: at most %d are allowed, got %d", key,
                                            MAX_DECLS, v->field_count));
        if (!list) add_input(r->a, l, key, v, f ? arena_printf(r->a, ".%s", key) : "");
        for (int k = 0; list && k < v->field_count; k++) {
            if (v->field[k].name)
                return model_error(
                    r, index, key,
                    arena_printf(r->a, "%s must be a string or a list of strings", key));
            add_input(r->a, l, key, v->field[k].value, arena_printf(r->a, ".%s[%d]", key, k + 1));
        }
        if (!f) break;
    }
    return true;
}

/* Adds positions to the inputs of a layer that was refused: finding them takes a pass over the
 * text, too much for every layer of every model. */
static const char *place_inputs(const reading *r, int index, input_list *l, size_t *layer_at) {
    tokens s = tokenize(r->a, r->source);
    span in;
    bool found = find_layer(&s, index, &in);
    const lua_val nothing = {.kind = LUA_VAL_NIL};
    *layer_at = found ? s.token[in.first].at : locate(&s, in, "layers", &nothing, true);
    for (int i = 0; i < l->count; i++) {
        spec_input *x = &l->item[i];
        x->file = r->path;
        x->file_text = r->source;
        x->file_offset = locate(&s, in, x->field, x->value, !attn_field_find(x->field));
        x->where = arena_printf(r->a, "%s: layers[%d]%s",
                                source_place(r->a, r->path, r->source, x->file_offset), index + 1,
                                x->where);
    }
    return arena_printf(r->a, "%s: layers[%d]", source_place(r->a, r->path, r->source, *layer_at),
                        index + 1);
}

static bool read_layer(const reading *r, int index, const lua_val *layer, kernel_spec *out) {
    input_list l = {0};
    if (!collect(r, index, layer, &l)) return false;
    diag quiet = {0};
    if (kernel_spec_build(r->a, l.item, l.count, "", out, &quiet)) return true;
    size_t layer_at;
    const char *where = place_inputs(r, index, &l, &layer_at);
    kernel_spec_build(r->a, l.item, l.count, where, out, r->d);
    if (strchr(r->d->text, '\n')) return false; /* has its source line */
    buf b = buf_new(r->a);
    buf_puts(&b, r->d->text);
    source_show(&b, r->source, layer_at);
    r->d->set = false;
    return diag_set(r->d, "%s", b.data);
}

/* Index of the kernel in the model, added if it is new; -1: two expressions have one hash. */
static int intern(arena *a, model *m, const kernel_spec *k) {
    for (int i = 0; i < m->kernel_count; i++) {
        if (strcmp(m->kernels[i].name, k->name) != 0) continue;
        if (strcmp(canonical_text(a, &m->kernels[i]), canonical_text(a, k)) != 0) return -1;
        return i;
    }
    m->kernels[m->kernel_count] = *k;
    return m->kernel_count++;
}

/* A layer's kernel, and its core's. */
static int intern_layer(arena *a, model *m, const kernel_spec *k) {
    const int at = intern(a, m, k);
    if (at < 0) return -1;
    m->kernels[at].outer = true;
    if (k->core.level != ATTN_LEVEL_BLOCK || m->kernels[at].inner >= 0) return at;
    kernel_spec core;
    kernel_spec_core(k, &core);
    const int inner = intern(a, m, &core);
    m->kernels[at].inner = inner;
    if (inner < 0 || k->core.key != ATTN_KEY_SHARED) return inner < 0 ? -1 : at;
    kernel_spec_expanded(k, &core);
    const int expanded = intern(a, m, &core);
    m->kernels[at].expanded = expanded;
    return expanded < 0 ? -1 : at;
}

bool model_from_kernels(arena *a, const char *name, const kernel_spec *kernels, int count,
                        model *out) {
    *out = (model){.name = name, .layer_count = count};
    out->layer_kernel = arena_alloc(a, ((size_t)count + 1) * sizeof *out->layer_kernel);
    out->kernels = arena_alloc(a, (3 * (size_t)count + 1) * sizeof *out->kernels);
    for (int i = 0; i < count; i++) {
        out->layer_kernel[i] = intern_layer(a, out, &kernels[i]);
        if (out->layer_kernel[i] < 0) return false;
    }
    return true;
}

bool model_layer_runs(const model *m, int layer, int kernel) {
    const int at = m->layer_kernel[layer];
    return at == kernel || m->kernels[at].inner == kernel || m->kernels[at].expanded == kernel;
}

static bool read_layers(const reading *r, const lua_val *table, model *out) {
    const lua_val *layers = lua_val_get(table, "layers");
    if (!layers) return model_error(r, -1, "return", "layers is required: a list of tables");
    if (layers->kind != LUA_VAL_TABLE || layers->field_count == 0)
        return model_error(r, -1, "layers", "layers must be a list of at least one table");
    if (layers->field[layers->field_count - 1].name)
        return model_error(r, -1, "layers", "layers must be a list of tables, without keys");
    if (layers->field_count > MAX_LAYERS)
        return model_error(r, -1, "layers",
                           arena_printf(r->a, "layers must be at most %d, got %d", MAX_LAYERS,
                                        layers->field_count));
    model_begin(r->a, out->name, layers->field_count, out);
    for (int i = 0; i < layers->field_count; i++) {
        kernel_spec k;
        if (!read_layer(r, i, layers->field[i].value, &k)) return false;
        if (!model_add_layer(r->a, out, &k))
            return model_error(r, i, NULL,
                               "its expressions have the hash of another layer's "
                               "others; change their wording");
    }
    return true;
}

bool model_from_lua(arena *a, const char *path, const char *source, model *out, diag *d) {
    memset(out, 0, sizeof *out);
    lua_val *table;
    if (!lua_eval_model(a, path, source, embedded_find("gen/lua/prelude.lua"), &table, d))
        return false;
    reading r = {a, path, source, d};
    return check_outer(&r, table) && read_name(&r, table, out) && read_layers(&r, table, out);
}

bool model_from_flags(arena *a, const spec_input *inputs, int count, model *out, diag *d) {
    memset(out, 0, sizeof *out);
    out->kernels = arena_alloc(a, 3 * sizeof *out->kernels);
    out->layer_kernel = arena_alloc(a, sizeof *out->layer_kernel);
    kernel_spec k;
    if (!kernel_spec_build(a, inputs, count, NULL, &k, d)) return false;
    out->layer_kernel[0] = intern_layer(a, out, &k);
    out->name = out->kernels->name;
    out->layer_count = 1;
    return true;
}

void model_begin(arena *a, const char *name, int layers, model *out) {
    *out = (model){.name = name};
    out->layer_kernel = arena_alloc(a, (size_t)layers * sizeof *out->layer_kernel);
    /* a layer, and the attention inside it */
    out->kernels = arena_alloc(a, 3 * (size_t)layers * sizeof *out->kernels);
}

bool model_add_layer(arena *a, model *m, const kernel_spec *k) {
    const int kernel = intern_layer(a, m, k);
    if (kernel < 0) return false;
    m->layer_kernel[m->layer_count++] = kernel;
    return true;
}

bool model_rename(arena *a, model *m, const char *name, diag *d) {
    if (!model_name_is_valid(name))
        return diag_set(d, "--name: %s, got '%s'", name_rule,
                        text_shown_n(a, name, strnlen(name, 80)));
    m->name = name;
    return model_name_check(a, m, "--name", d);
}

char *model_identifier(arena *a, const char *name) {
    char *s = arena_strdup(a, name);
    for (char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p)) *p = '_';
    return s;
}

/* --- Printing a model file --- */

static bool is_printed(const attn_field *f, const attn_spec *s) {
    if (f->offset < 0 || !attn_field_applies(f, s, NULL)) return false;
    int32_t v;
    memcpy(&v, (const char *)s + f->offset, sizeof v);
    float x;
    memcpy(&x, (const char *)s + f->offset, sizeof x);
    if (f->kind == ATTN_KIND_FLOAT) return x != ATTN_UNSET_F;
    if (strcmp(f->name, "key") == 0) return s->form == ATTN_FORM_MLA;
    return v != ATTN_UNSET;
}

static void put_field(buf *b, const attn_field *f, const attn_spec *s) {
    int32_t v;
    memcpy(&v, (const char *)s + f->offset, sizeof v);
    float x;
    memcpy(&x, (const char *)s + f->offset, sizeof x);
    char name[32], number[ATTN_FLOAT_MAX];
    switch (f->kind) {
    case ATTN_KIND_ENUM:
        attn_enum_name(f, v, name, sizeof name);
        buf_printf(b, "%s = \"%s\"", f->name, name);
        return;
    case ATTN_KIND_BOOL: buf_printf(b, "%s = %s", f->name, v ? "true" : "false"); return;
    case ATTN_KIND_FLOAT:
        attn_float_text(x, number);
        buf_printf(b, "%s = %s", f->name, number);
        return;
    default: buf_printf(b, "%s = %d", f->name, v); return;
    }
}

static void put_expressions(arena *a, buf *b, const kernel_spec *k) {
    for (int i = 0; i < k->tensor_count; i++) {
        buf_puts(b, i ? ", " : "    tensor = { ");
        text_lua(b, expr_decl_canonical(a, &k->tensors[i]));
        if (i == k->tensor_count - 1) buf_puts(b, " },\n");
    }
    for (int i = 0; i < k->scalar_count; i++) {
        buf_puts(b, i ? ", " : "    scalar = { ");
        buf_printf(b, "\"%s=%s\"", k->scalars[i].name, k->scalars[i].is_float ? "f32" : "i32");
        if (i == k->scalar_count - 1) buf_puts(b, " },\n");
    }
    const char *const names[] = {"score", "mask"};
    const char *const texts[] = {k->score, k->mask};
    for (int i = 0; i < 2; i++) {
        if (!texts[i]) continue;
        buf_printf(b, "    %s = ", names[i]);
        text_lua(b, texts[i]);
        buf_puts(b, ",\n");
    }
}

static void put_kernel(arena *a, buf *b, int number, const kernel_spec *k) {
    buf_printf(b, "-- %s\nkernel[%d] = {\n", k->name, number);
    size_t line = b->len;
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        if (!is_printed(f, &k->core)) continue;
        buf_puts(b, b->len == line ? "    " : " ");
        put_field(b, f, &k->core);
        buf_puts(b, ",");
        if (b->len - line <= 80) continue;
        buf_puts(b, "\n");
        line = b->len;
    }
    if (b->len != line) buf_puts(b, "\n");
    put_expressions(a, b, k);
    buf_puts(b, "}\n");
}

const char *model_to_lua(arena *a, const model *m) {
    buf b = buf_new(a);
    buf_puts(&b, "local kernel = {}\n");
    for (int i = 0; i < m->kernel_count; i++)
        if (m->kernels[i].outer) put_kernel(a, &b, i + 1, &m->kernels[i]);
    buf_puts(&b, "\nreturn {\n    name = ");
    text_lua(&b, m->name);
    buf_puts(&b, ",\n    layers = {");
    for (int i = 0; i < m->layer_count; i++)
        buf_printf(&b, "%skernel[%d],", i % 6 ? " " : "\n        ", m->layer_kernel[i] + 1);
    buf_puts(&b, "\n    },\n}\n");
    return b.data;
}
