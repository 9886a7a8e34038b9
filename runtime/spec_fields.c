/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* spec_fields.c - the members of a spec, by their rows in spec_fields.def. */
#include "spec.h"
#include "weight_types.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const attn_field attn_fields[] = {
#define AT(name) (int)offsetof(attn_spec, name)
#define ATTN_FIELD_ENUM(name, id, values, dflt, applies, help) \
    {#name, ATTN_KIND_ENUM, id, AT(name), 0, 0, dflt, values, applies, help},
#define ATTN_FIELD_INT(name, id, lowest, highest, dflt, applies, help) \
    {#name, ATTN_KIND_INT, id, AT(name), lowest, highest, dflt, NULL, applies, help},
#define ATTN_FIELD_BOOL(name, id, dflt, applies, help) \
    {#name, ATTN_KIND_BOOL, id, AT(name), 0, 1, dflt, NULL, applies, help},
#define ATTN_FIELD_FLOAT(name, id, applies, help) \
    {#name, ATTN_KIND_FLOAT, id, AT(name), 0, 0, 0, NULL, applies, help},
#define ATTN_FIELD_TYPES(name, id, applies, help) \
    {#name, ATTN_KIND_TYPES, id, AT(name), 0, 0, 0, NULL, applies, help},
#define ATTN_FIELD_TEXT(name, help) {#name, ATTN_KIND_TEXT, ' ', -1, 0, 0, 0, NULL, 0, help},
#define ATTN_FIELD_LIST(name, help) {#name, ATTN_KIND_LIST, ' ', -1, 0, 0, 0, NULL, 0, help},
#include "spec_fields.def"
#undef AT
};
const int attn_field_count = (int)(sizeof attn_fields / sizeof *attn_fields);

bool attn_field_is_member(const attn_field *f) {
    return f->offset >= 0;
}

static bool is_types(const attn_field *f) {
    return f->kind == ATTN_KIND_TYPES;
}

static int32_t types_given(const attn_spec *s) {
    int32_t given = 0;
    for (int i = 0; i < ATTN_MATRIX_COUNT; i++) given += s->weight_types[i] != 0;
    return given;
}

/* Members are reached through the table's offsets; all but weight_types are 4 bytes wide. */
double attn_field_get(const attn_field *f, const attn_spec *s) {
    int32_t i;
    float x;
    if (is_types(f)) return types_given(s);
    memcpy(&i, (const char *)s + f->offset, sizeof i);
    memcpy(&x, (const char *)s + f->offset, sizeof x);
    return f->kind == ATTN_KIND_FLOAT ? (double)x : i;
}

void attn_field_put(const attn_field *f, attn_spec *s, double value) {
    const bool is_float = f->kind == ATTN_KIND_FLOAT;
    const int32_t i = is_float ? 0 : (int32_t)value;
    const float x = (float)value;
    if (is_types(f)) {
        memset(s->weight_types, 0, sizeof s->weight_types);
        return;
    }
    memcpy((char *)s + f->offset, is_float ? (const void *)&x : &i, sizeof i);
}

static double default_of(const attn_field *f) {
    return f->kind == ATTN_KIND_FLOAT && f->id != '.' ? (double)ATTN_UNSET_F : (double)f->dflt;
}

void attn_field_put_default(const attn_field *f, attn_spec *s) {
    if (attn_field_is_member(f)) attn_field_put(f, s, default_of(f));
}

bool attn_field_is_default(const attn_field *f, const attn_spec *s) {
    return attn_field_get(f, s) == default_of(f);
}

bool attn_field_is_silent(const attn_field *f, const attn_spec *s) {
    if (f->id != '.') return false;
    if (attn_field_is_default(f, s)) return true;
    return f->offset == (int)offsetof(attn_spec, rotate) && !s->rotate && !attn_rotates_unasked(s);
}

bool attn_field_is_set(const attn_field *f, const attn_spec *s) {
    const double unset = f->kind == ATTN_KIND_FLOAT ? (double)ATTN_UNSET_F : ATTN_UNSET;
    return attn_field_get(f, s) != unset && !attn_field_is_silent(f, s);
}

void attn_spec_init(attn_spec *spec) {
    if (!spec) return;
    memset(spec, 0, sizeof *spec);
    spec->struct_size = sizeof *spec;
    for (int i = 0; i < attn_field_count; i++) attn_field_put_default(&attn_fields[i], spec);
}

static const char *const aliases[][2] = {
#define ATTN_FIELD_ALIAS(field, name) {#name, #field},
#include "spec_fields.def"
};

const attn_field *attn_field_find(const char *name) {
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (strcmp(aliases[i][0], name) == 0) name = aliases[i][1];
    for (int i = 0; i < attn_field_count; i++)
        if (strcmp(attn_fields[i].name, name) == 0) return &attn_fields[i];
    return NULL;
}

/* --- Enum values: "a|b|c" --- */

/* Value number `index`; null past the last. */
const char *attn_enum_value(const char *values, int32_t index, size_t *length) {
    for (; index > 0 && values; index--) {
        values = strchr(values, '|');
        if (values) values++;
    }
    if (!values || index < 0) return NULL;
    *length = strcspn(values, "|");
    return values;
}

void attn_enum_name(const attn_field *field, int32_t value, char *out, size_t size) {
    size_t n = 0;
    const char *v = attn_enum_value(field->values, value, &n);
    snprintf(out, size, "%.*s", (int)n, v ? v : "");
}

const char *attn_matrix_name(int32_t matrix) {
    static const char *const names[] = {
#define NAME(id, name) name,
        ATTN_MATRICES(NAME)
#undef NAME
    };
    return names[matrix];
}

/* "v_proj=q8_0; down_proj=bf16" */
static void types_text(const attn_spec *s, char text[ATTN_FIELD_TEXT_MAX]) {
    size_t n = 0;
    for (int32_t i = 0; i < ATTN_MATRIX_COUNT && n < ATTN_FIELD_TEXT_MAX; i++)
        if (s->weight_types[i])
            n +=
                (size_t)snprintf(text + n, ATTN_FIELD_TEXT_MAX - n, "%s%s=%s", n ? "; " : "",
                                 attn_matrix_name(i), attn_weight_get(s->weight_types[i] - 1).name);
}

bool attn_field_text(const attn_field *f, const attn_spec *s, char text[ATTN_FIELD_TEXT_MAX]) {
    *text = 0;
    if (!attn_field_is_set(f, s)) return false;
    const double v = attn_field_get(f, s);
    switch (f->kind) {
    case ATTN_KIND_ENUM: attn_enum_name(f, (int32_t)v, text, ATTN_FIELD_TEXT_MAX); break;
    case ATTN_KIND_BOOL: strcpy(text, v != 0 ? "true" : "false"); break;
    case ATTN_KIND_FLOAT: attn_float_text((float)v, text); break;
    case ATTN_KIND_TYPES: types_text(s, text); break;
    default: snprintf(text, ATTN_FIELD_TEXT_MAX, "%d", (int)v);
    }
    return *text != 0;
}

void attn_float_text(float x, char text[ATTN_FLOAT_MAX]) {
    char any[ATTN_FLOAT_MAX] = "";
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, ATTN_FLOAT_MAX, "%.*g", digits, (double)x);
        if (strtof(text, NULL) != x) continue;
        if (!strchr(text, 'e')) return;
        if (!*any) memcpy(any, text, sizeof any);
    }
    if (*any) memcpy(text, any, sizeof any);
}

attn_status attn_spec_fail(attn_spec_error *err, const char *field, const char *fmt, ...) {
    if (!err) return ATTN_E_SPEC;
    err->field = field;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return ATTN_E_SPEC;
}
