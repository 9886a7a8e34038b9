#include "kernel_spec.h"

#include "source.h"
#include "layout.h"
#include "weight_types.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static bool input_error(arena *a, const spec_input *in, const char *text, diag *d) {
    buf b = buf_new(a);
    buf_printf(&b, "%s: %s", in->where, text);
    if (in->file_text) source_show(&b, in->file_text, in->file_offset);
    return diag_set(d, "%s", b.data);
}

/* --- Values: one field of the spec --- */

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

static bool set_enum(building *b, const spec_input *in, const attn_field *f) {
    const char *const *names = split_values(b->a, f->values);
    const lua_val *v = in->value;
    const char *given = v->kind == LUA_VAL_STRING ? v->string
                        : v->kind == LUA_VAL_BOOL ? v->boolean ? "true" : "false"
                                                  : "";
    buf text = buf_new(b->a);
    buf_puts(&text, "must be one of");
    for (int32_t i = 0; names[i]; i++) {
        buf_printf(&text, "%s '%s'", i ? "," : "", names[i]);
        if (strcmp(names[i], given) != 0) continue;
        attn_field_put(f, &b->out->core, i);
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
    attn_field_put(f, &b->out->core, (double)v);
    return true;
}

static bool set_bool(building *b, const spec_input *in, const attn_field *f) {
    bool v;
    if (!bool_value(in, &v))
        return input_error(
            b->a, in,
            arena_printf(b->a, "must be true or false, got %s", value_quoted(b->a, in->value)),
            b->d);
    attn_field_put(f, &b->out->core, v);
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
    attn_field_put(f, &b->out->core, v);
    return true;
}

/* The matrix that a name stands for; -1: none. What is gated stands for both halves. */
static int32_t matrix_named(const char *name, size_t n) {
    static const char gate[] = "gate_proj", up[] = "up_proj";
    char text[64];
    const size_t end = sizeof gate - 1;
    if (n >= sizeof text) return -1;
    memcpy(text, name, n);
    text[n] = 0;
    if (n >= end && !strcmp(text + n - end, gate)) memcpy(text + n - end, up, sizeof up);
    for (int32_t i = 0; i < ATTN_MATRIX_COUNT; i++)
        if (!strcmp(attn_matrix_name(i), text)) return i;
    return -1;
}

static int32_t layer_type_named(const char *name, size_t n) {
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++) {
        const char *own = attn_weight_get(type).name;
        if (strlen(own) == n && !strncmp(own, name, n)) return type;
    }
    return -1;
}

/* What a list of types may hold. */
static const char *types_allowed(arena *a) {
    buf b = buf_new(a);
    buf_puts(&b, "must be NAME=TYPE; .., names of");
    for (int32_t i = 0; i < ATTN_MATRIX_COUNT; i++)
        buf_printf(&b, "%s %s", i ? "," : "", attn_matrix_name(i));
    buf_puts(&b, " (or gate_proj in place of up_proj), types of");
    for (int32_t i = 0; i < ATTN_WEIGHT_COUNT; i++)
        buf_printf(&b, "%s %s", i ? "," : "", attn_weight_get(i).name);
    return b.data;
}

/* "v_proj=q8_0; down_proj=bf16", with ; or , between. */
bool kernel_spec_types(arena *a, const spec_input *in, int32_t types[ATTN_MATRIX_COUNT], diag *d) {
    static const char blanks[] = " \t\n";
    const lua_val *v = in->value;
    const char *p = v->kind == LUA_VAL_STRING ? v->string : "?";
    memset(types, 0, ATTN_MATRIX_COUNT * sizeof *types);
    for (p += strspn(p, blanks); *p; p += strspn(p, blanks)) {
        const char *name = p;
        const size_t n = strcspn(p, "=;, \t\n");
        p += n + strspn(p + n, blanks);
        const char *type = p + (*p == '=');
        type += strspn(type, blanks);
        const size_t m = strcspn(type, "=;, \t\n");
        const int32_t matrix = matrix_named(name, n), t = layer_type_named(type, m);
        const bool fits = *p == '=' && matrix >= 0 && t >= 0;
        if (!fits || (types[matrix] && types[matrix] != t + 1)) {
            const char *got = fits ? arena_printf(a, "two types of %s", attn_matrix_name(matrix))
                                   : value_quoted(a, v);
            return input_error(a, in, arena_printf(a, "%s; got %s", types_allowed(a), got), d);
        }
        types[matrix] = t + 1;
        p = type + m;
        p += strspn(p, blanks);
        p += *p == ';' || *p == ',';
    }
    return true;
}

/* In a model's layer, those that it has: the model's other layers may have the rest. */
static bool set_types(building *b, const spec_input *in, bool of_model) {
    int32_t types[ATTN_MATRIX_COUNT];
    attn_spec *s = &b->out->core;
    if (!kernel_spec_types(b->a, in, types, b->d)) return false;
    for (int32_t i = 0; i < ATTN_MATRIX_COUNT; i++)
        if (types[i] && (!of_model || attn_spec_has_matrix(s, i))) s->weight_types[i] = types[i];
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
    case ATTN_KIND_TYPES: return set_types(b, in, false);
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
        if (!attn_field_is_member(f) && !attn_spec_takes_expressions(&b->out->core))
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
    source_line_column(text, offset, &line, &column);
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
    if ((tensor ? k->tensor_count : k->scalar_count) == KERNEL_MAX_DECLS)
        return input_error(b->a, in, arena_printf(b->a, "at most %d are allowed", KERNEL_MAX_DECLS),
                           b->d);
    if (tensor)
        k->tensors[k->tensor_count++] = side;
    else
        k->scalars[k->scalar_count++] = scalar;
    return true;
}

static bool declare_all(building *b) {
    kernel_spec *k = b->out;
    k->tensors = arena_alloc(b->a, KERNEL_MAX_DECLS * sizeof *k->tensors);
    k->scalars = arena_alloc(b->a, KERNEL_MAX_DECLS * sizeof *k->scalars);
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

const char *kernel_spec_text(arena *a, const kernel_spec *k) {
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
    const char *text = kernel_spec_text(b->a, k);
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

static bool is_given(const spec_input *inputs, int count, const char *field) {
    for (int i = 0; i < count; i++)
        if (!strcmp(inputs[i].field, field)) return true;
    return false;
}

bool kernel_spec_change(arena *a, kernel_spec *k, const spec_input *inputs, int count, diag *d) {
    building b = {a, inputs, count, NULL, k, d};
    const int32_t kv_type = k->core.kv_type;
    if (is_given(inputs, count, "weight_type")) /* of all matrices */
        memset(k->core.weight_types, 0, sizeof k->core.weight_types);
    for (int i = 0; i < count; i++) {
        const bool types = attn_field_find(inputs[i].field)->kind == ATTN_KIND_TYPES;
        if (types ? !set_types(&b, &inputs[i], true) : !set_value(&b, &inputs[i])) return false;
    }
    if (k->core.kv_type != kv_type) { /* what was right for its keys says nothing of others */
        if (!is_given(inputs, count, "rotate")) k->core.rotate = ATTN_UNSET;
        if (!is_given(inputs, count, "dot")) k->core.dot = ATTN_DOT_AUTO;
    }
    if (is_given(inputs, count, "layout") && !is_given(inputs, count, "page"))
        if (!attn_layout_of(&k->core)->paged) k->core.page = 0; /* that of the other layout */
    if (!resolve(&b)) return false;
    attn_spec_format(&k->core, k->name);
    k->inner = k->expanded = -1;
    k->outer = false;
    return true;
}

static void inner_kernel(const kernel_spec *block, const attn_spec *spec, kernel_spec *core) {
    *core = *block;
    core->core = *spec;
    attn_spec_format(&core->core, core->name);
    core->inner = core->expanded = -1;
    core->outer = false;
}

bool kernel_spec_relative(arena *a, const kernel_spec *k) {
    if (k->score_expr && !expr_relative(a, k->score_expr)) return false;
    return !k->mask_expr || expr_relative(a, k->mask_expr);
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
