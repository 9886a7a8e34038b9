#include "whole.h"
#include "source.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

const whole_field whole_fields[] = {
#define AT(name) offsetof(attn_model_spec, name)
#define MODEL_ENUM(name, missing, values, help) \
    {#name, WHOLE_ENUM, AT(name), 0, 0, missing, values, help},
#define MODEL_INT(name, lowest, highest, missing, help) \
    {#name, WHOLE_INT, AT(name), lowest, highest, missing, NULL, help},
#define MODEL_BOOL(name, missing, help) {#name, WHOLE_BOOL, AT(name), 0, 1, missing, NULL, help},
#define MODEL_FLOAT(name, lowest, missing, help) \
    {#name, WHOLE_FLOAT, AT(name), lowest, 1e30, missing, NULL, help},
#define MODEL_FLOATS(name, help) {#name, WHOLE_FLOATS, AT(name), 0, 0, 0, NULL, help},
#include "model_fields.def"
};
const int whole_field_count = sizeof whole_fields / sizeof *whole_fields;

const whole_field *whole_find(const char *name) {
    for (int i = 0; i < whole_field_count; i++)
        if (!strcmp(whole_fields[i].name, name)) return &whole_fields[i];
    return NULL;
}

const attn_floats *whole_list(const whole_field *f, const attn_model_spec *s) {
    return (const attn_floats *)(const void *)((const char *)s + f->offset);
}

void whole_put_list(arena *a, const whole_field *f, attn_model_spec *s, const double *v,
                    int count) {
    float *x = arena_alloc(a, sizeof *x * ((size_t)count + 1));
    for (int i = 0; i < count; i++) x[i] = (float)v[i];
    const attn_floats list = {x, count};
    memcpy((char *)s + f->offset, &list, sizeof list);
}

double whole_get(const whole_field *f, const attn_model_spec *s) {
    const char *at = (const char *)s + f->offset;
    if (f->kind == WHOLE_FLOATS) return whole_list(f, s)->count;
    int32_t i;
    float x;
    memcpy(&i, at, sizeof i);
    memcpy(&x, at, sizeof x);
    return f->kind == WHOLE_FLOAT ? (double)x : i;
}

void whole_put(const whole_field *f, attn_model_spec *s, double v) {
    char *at = (char *)s + f->offset;
    const int32_t i = f->kind == WHOLE_FLOAT ? 0 : (int32_t)v;
    const float x = (float)v;
    memcpy(at, f->kind == WHOLE_FLOAT ? (const void *)&x : (const void *)&i, sizeof i);
}

void whole_begin(attn_model_spec *s) {
    memset(s, 0, sizeof *s);
    for (int i = 0; i < whole_field_count; i++)
        if (whole_fields[i].kind != WHOLE_FLOATS)
            whole_put(&whole_fields[i], s, whole_fields[i].missing);
}

static const char *list_text(arena *a, const attn_floats *list) {
    char number[ATTN_FLOAT_MAX];
    buf b = buf_new(a);
    for (int i = 0; i < list->count; i++) {
        attn_float_text(list->data[i], number);
        buf_printf(&b, "%s%s", i ? ", " : "{ ", number);
    }
    buf_puts(&b, list->count ? " }" : "{ }");
    return b.data;
}

const char *whole_text(arena *a, const whole_field *f, const attn_model_spec *s) {
    const double v = whole_get(f, s);
    char number[ATTN_FLOAT_MAX];
    size_t n;
    if (f->kind == WHOLE_FLOATS) return list_text(a, whole_list(f, s));
    if (f->kind == WHOLE_BOOL) return v != 0 ? "true" : "false";
    if (f->kind == WHOLE_INT) return arena_printf(a, "%d", (int)v);
    if (f->kind == WHOLE_FLOAT) {
        attn_float_text((float)v, number);
        return arena_strdup(a, number);
    }
    const char *value = attn_enum_value(f->values, (int32_t)v, &n);
    return arena_strndup(a, value, n);
}

static const char *must_be(arena *a, const whole_field *f, const char *what, const lua_val *v) {
    return arena_printf(a, "%s must be %s, got %s", f->name, what, value_quoted(a, v));
}

static const char *set_enum(arena *a, attn_model_spec *s, const whole_field *f, const lua_val *v) {
    size_t n;
    for (int32_t i = 0; v->kind == LUA_VAL_STRING; i++) {
        const char *value = attn_enum_value(f->values, i, &n);
        if (!value) break;
        if (strlen(v->string) != n || memcmp(v->string, value, n)) continue;
        whole_put(f, s, i);
        return NULL;
    }
    buf b = buf_new(a);
    buf_puts(&b, must_be(a, f, arena_printf(a, "one of %s", f->values), v));
    if (v->kind == LUA_VAL_STRING) suggest(&b, v->string, split_values(a, f->values));
    return b.data;
}

static const char *set_list(arena *a, attn_model_spec *s, const whole_field *f, const lua_val *v) {
    const bool list = v->kind == LUA_VAL_TABLE;
    double *x = arena_alloc(a, sizeof *x * (list ? (size_t)v->field_count + 1 : 1));
    for (int i = 0; list && i < v->field_count; i++) {
        const lua_val *one = v->field[i].value;
        const bool whole = one->kind == LUA_VAL_INT;
        x[i] = whole ? (double)one->integer : one->number;
        if (v->field[i].name || (!whole && one->kind != LUA_VAL_FLOAT) ||
            !(x[i] > 0 && x[i] < 1e30))
            return must_be(a, f, "a list of numbers greater than 0", one);
    }
    if (!list) return must_be(a, f, "a list of numbers", v);
    whole_put_list(a, f, s, x, v->field_count);
    return NULL;
}

const char *whole_set(arena *a, attn_model_spec *s, const whole_field *f, const lua_val *v) {
    const bool number = v->kind == LUA_VAL_INT || v->kind == LUA_VAL_FLOAT;
    const double x = v->kind == LUA_VAL_INT ? (double)v->integer : number ? v->number : 0;
    if (f->kind == WHOLE_ENUM) return set_enum(a, s, f, v);
    if (f->kind == WHOLE_FLOATS) return set_list(a, s, f, v);
    if (f->kind == WHOLE_BOOL) {
        if (v->kind != LUA_VAL_BOOL) return must_be(a, f, "true or false", v);
        whole_put(f, s, v->boolean);
        return NULL;
    }
    if (f->kind == WHOLE_INT && (v->kind != LUA_VAL_INT || x < f->lowest || x > f->highest))
        return must_be(a, f, arena_printf(a, "an integer from %.0f to %.0f", f->lowest, f->highest),
                       v);
    if (f->kind == WHOLE_FLOAT && (!number || !(x >= f->lowest && x <= f->highest)))
        return must_be(a, f, arena_printf(a, "a number from %g to %g", f->lowest, f->highest), v);
    whole_put(f, s, x);
    return NULL;
}

/* Values of `names`, of files that have both stacks. */
static const bool has_encoder[ATTN_MODEL_NAMES_COUNT] = {
#define MODEL_ENCODER(id, ...) [ATTN_MODEL_NAMES_##id] = true,
#include "model_names.def"
};

/* Matrices beside the embedding, in files that have them. */
static const char *project_why(const attn_model_spec *s) {
    static const struct {
        const char *embed, *head;
    } names[ATTN_MODEL_NAMES_COUNT] = {
#define MODEL_PROJECT(id, ...) [ATTN_MODEL_NAMES_##id] = {__VA_ARGS__},
#include "model_names.def"
    };
    const char *embed = names[s->names].embed, *head = names[s->names].head;
    const bool any = s->embed_project || s->head_project;
    if (s->embed_width && !s->embed_project) return "embed_width needs embed_project";
    if (any && s->files != ATTN_MODEL_FILES_SAFETENSORS)
        return "embed_project and head_project need files = safetensors: no others have the matrix";
    if (s->embed_project && !(embed && *embed))
        return "embed_project needs names = electra, albert or opt: no other files have the matrix";
    if (s->head_project && !(head && *head))
        return "head_project needs names = opt: no other files have the matrix";
    if (s->head_project && !s->head) return "head_project needs a head";
    return NULL;
}

const char *whole_check(arena *a, const attn_model_spec *s) {
    for (int i = 0; i < whole_field_count; i++)
        if (whole_fields[i].kind == WHOLE_INT &&
            whole_get(&whole_fields[i], s) < whole_fields[i].lowest)
            return arena_printf(a, "%s is required: %s", whole_fields[i].name,
                                whole_fields[i].help);
    const bool rows = s->input == ATTN_MODEL_INPUT_ROWS;
    if (!rows && !s->vocab)
        return arena_printf(a, "vocab is required: %s", whole_find("vocab")->help);
    if (rows && (s->vocab || s->head || s->positions || s->token_types || s->embed_project))
        return "input = rows has no vocab, tables, embed_project or head";
    const char *why = project_why(s);
    if (why) return why;
    const bool encoder_rows = s->encoder_input == ATTN_MODEL_INPUT_ROWS;
    if (!s->encoder_layers && (encoder_rows || s->encoder_positions))
        return "encoder_input and encoder_positions need encoder_layers";
    if (s->encoder_layers && (rows || s->token_types || s->pool || s->layer_groups))
        return "encoder_layers needs a decoder of ids, without token_types, layer_groups and pool";
    if (!s->encoder_layers != !has_encoder[s->names])
        return s->encoder_layers
                   ? "encoder_layers needs names of files with an encoder (whisper, bart, t5)"
                   : "names of files with an encoder need encoder_layers";
    if (!s->bias_buckets != (s->names != ATTN_MODEL_NAMES_T5))
        return "bias_buckets and names = t5 need each other: no other files have such a table";
    if (s->position_offset && s->position_offset >= s->positions)
        return "position_offset must be less than positions";
    if (s->head_bias && s->head == ATTN_MODEL_HEAD_NONE) return "head_bias needs a head";
    if (s->pool_dense && s->names != ATTN_MODEL_NAMES_BERT && s->names != ATTN_MODEL_NAMES_VIT &&
        s->names != ATTN_MODEL_NAMES_ALBERT)
        return "pool_dense needs names = bert, albert or vit: no other files have a pooler";
    if ((s->pool_dense || s->normalize) && s->pool == ATTN_MODEL_POOL_NONE)
        return arena_printf(a, "%s needs pool", s->pool_dense ? "pool_dense" : "normalize");
    return NULL;
}
