/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* spec_name.c - canonical names, written and read. */
#include "spec.h"

#include <ctype.h>
#include <locale.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char prefix[] = "attn_", kv_prefix[] = "kv", o_prefix[] = "o",
                  block_prefix[] = "block_";
static const char rotate_word[] = "rotate_", dot_prefix[] = "dot", page_prefix[] = "page";
static const char *const axes[] = {"form", "backend", "op"}; /* in the order of names */

static bool same(const attn_spec *a, const attn_spec *b) {
    return memcmp(a, b, sizeof *a) == 0; /* 4-byte members only: no padding */
}

/* A field is left out of the name where leaving it out of the spec changes nothing. */
static bool implied(const attn_spec *spec, const attn_field *f) {
    attn_spec without = *spec;
    attn_field_put_default(f, &without);
    return attn_spec_resolve(&without, NULL) == ATTN_OK && same(&without, spec);
}

static void put(char name[ATTN_NAME_MAX], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void put(char name[ATTN_NAME_MAX], const char *fmt, ...) {
    size_t n = strlen(name);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name + n, ATTN_NAME_MAX - n, fmt, ap);
    va_end(ap);
}

/* 0.125 -> 0p125, -1e-05 -> m1em05, 1e+20 -> 1e20; a locale's decimal point is 'p' too. */
static void put_float(char name[ATTN_NAME_MAX], float x) {
    char text[ATTN_FLOAT_MAX];
    attn_float_text(x, text);
    for (const char *p = text; *p; p++) {
        if (*p == '+') continue;
        if (*p == '-')
            put(name, "m");
        else if (isdigit((unsigned char)*p) || *p == 'e')
            put(name, "%c", *p);
        else if (isdigit((unsigned char)p[1]))
            put(name, "p");
    }
}

/* Others are named by their values, or not at all. */
static bool has_letter(const attn_field *f) {
    return f->id != ' ' && f->id != '.';
}

/* "f32_", "f32_kvbf16_", "f32_kvi8_rotate_doti8_", and a layout where it is not the default,
 * "f32_paged_", "f32_paged_page16_", "f32_index_". */
static void put_types(char name[ATTN_NAME_MAX], const attn_spec *spec) {
    const attn_types type = attn_spec_types(spec);
    char value[ATTN_FIELD_TEXT_MAX];
    attn_enum_name(attn_field_find("type"), type.q, value, sizeof value);
    put(name, "%s_", value);
    if (attn_field_text(attn_field_find("kv_type"), spec, value))
        put(name, "%s%s_", kv_prefix, value);
    if (attn_field_text(attn_field_find("o_type"), spec, value))
        put(name, "%s%s_", o_prefix, value);
    if (spec->rotate) put(name, "%s", rotate_word);
    const attn_field *dot = attn_field_find("dot");
    if (!implied(spec, dot) && attn_field_text(dot, spec, value))
        put(name, "%s%s_", dot_prefix, value);
    if (attn_field_text(attn_field_find("layout"), spec, value)) put(name, "%s_", value);
    const attn_field *page = attn_field_find("page");
    if (!implied(spec, page) && attn_field_text(page, spec, value))
        put(name, "%s%s_", page_prefix, value);
    if (attn_field_text(attn_field_find("select"), spec, value)) put(name, "%s_", value);
}

/* Form, backend, op, and the fields of a core that say something. */
static void put_core(char name[ATTN_NAME_MAX], const attn_spec *spec) {
    for (size_t i = 0; i < sizeof axes / sizeof *axes; i++) {
        const attn_field *f = attn_field_find(axes[i]);
        char value[ATTN_FIELD_TEXT_MAX];
        attn_field_text(f, spec, value);
        put(name, "%s_", value);
    }
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        if (!has_letter(f) || implied(spec, f)) continue;
        put(name, "%c", f->id);
        if (f->kind == ATTN_KIND_FLOAT)
            put_float(name, (float)attn_field_get(f, spec));
        else
            put(name, "%d", (int)attn_field_get(f, spec));
    }
    if (spec->expr_hash) put(name, "x%08x", (unsigned)spec->expr_hash);
}

/* FNV-1a (Fowler, Noll, Vo). */
static uint32_t hash_more(uint32_t hash, const char *text) {
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash;
}

/* A value, the same in every locale. */
static void value_text(const attn_field *f, const attn_spec *spec, char text[ATTN_FIELD_TEXT_MAX]) {
    const float x = (float)attn_field_get(f, spec);
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    attn_field_text(f, spec, text);
    if (f->kind == ATTN_KIND_FLOAT) snprintf(text, ATTN_FIELD_TEXT_MAX, "%08x", (unsigned)bits);
}

/* Of a layer's fields by their names, less those at their defaults: a field that is added, with a
 * default, renames no layer. */
static uint32_t layer_hash(const attn_spec *spec) {
    uint32_t hash = 2166136261u;
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        char text[ATTN_FIELD_TEXT_MAX];
        if (!attn_field_is_member(f) || implied(spec, f)) continue;
        value_text(f, spec, text);
        hash = hash_more(hash_more(hash, f->name), "=");
        hash = hash_more(hash_more(hash, text), "\n");
    }
    return hash;
}

void attn_spec_format(const attn_spec *spec, char name[ATTN_NAME_MAX]) {
    const bool layer = spec->level == ATTN_LEVEL_BLOCK;
    attn_spec core;
    attn_spec_core(spec, &core);
    name[0] = 0;
    put(name, "%s", prefix);
    put_types(name, &core);
    put(name, "%s", layer ? block_prefix : "");
    put_core(name, &core);
    if (layer) put(name, "_%08x", (unsigned)layer_hash(spec));
}

/* The parsers below return where they stopped, or null. */
static const char *parse_axis(const char *p, const attn_field *f, attn_spec *spec) {
    size_t n = 0;
    const char *v;
    for (int32_t i = 0; (v = attn_enum_value(f->values, i, &n)) != NULL; i++) {
        if (strncmp(p, v, n) != 0 || p[n] != '_') continue;
        attn_field_put(f, spec, i);
        return p + n + 1;
    }
    return NULL;
}

static const char *parse_int(const char *p, const attn_field *f, attn_spec *spec) {
    int64_t v = 0;
    const char *start = p;
    for (; isdigit((unsigned char)*p); p++) {
        v = v * 10 + (*p - '0');
        if (v > INT32_MAX) return NULL;
    }
    if (p == start) return NULL;
    attn_field_put(f, spec, (double)v);
    return p;
}

static const char *parse_float(const char *p, const attn_field *f, attn_spec *spec) {
    char text[64] = "";
    size_t n = strspn(p, "0123456789pme");
    if (n == 0 || n > 24) return NULL;
    for (size_t i = 0, at = 0; i < n; i++) {
        const char *piece = (char[2]){p[i], 0};
        if (p[i] == 'm') piece = "-";
        if (p[i] == 'p') piece = localeconv()->decimal_point;
        at += strlen(piece);
        if (at >= sizeof text) return NULL;
        strcat(text, piece);
    }
    char *end;
    float v = strtof(text, &end);
    if (*end) return NULL;
    attn_field_put(f, spec, (double)v);
    return p + n;
}

static const char *parse_hash(const char *p, attn_spec *spec) {
    uint32_t v = 0;
    for (int i = 0; i < 8; i++, p++) {
        if (!isxdigit((unsigned char)*p)) return NULL;
        v = v * 16 + (uint32_t)(isdigit((unsigned char)*p) ? *p - '0' : (*p | 32) - 'a' + 10);
    }
    spec->expr_hash = v;
    return p;
}

static const char *parse_field(const char *p, attn_spec *spec) {
    if (*p == 'x') return parse_hash(p + 1, spec);
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        if (!has_letter(f) || f->id != *p) continue;
        if (f->kind == ATTN_KIND_FLOAT) return parse_float(p + 1, f, spec);
        return parse_int(p + 1, f, spec);
    }
    return NULL;
}

static bool starts(const char *p, const char *word) {
    return strncmp(p, word, strlen(word)) == 0;
}

static const char *parse_types(const char *p, attn_spec *spec) {
    p = parse_axis(p, attn_field_find("type"), spec);
    if (p && starts(p, kv_prefix))
        p = parse_axis(p + sizeof kv_prefix - 1, attn_field_find("kv_type"), spec);
    if (p && starts(p, o_prefix))
        p = parse_axis(p + sizeof o_prefix - 1, attn_field_find("o_type"), spec);
    if (p && starts(p, rotate_word)) p += sizeof rotate_word - 1, spec->rotate = 1;
    if (p && starts(p, dot_prefix))
        p = parse_axis(p + sizeof dot_prefix - 1, attn_field_find("dot"), spec);
    const char *after = p ? parse_axis(p, attn_field_find("layout"), spec) : NULL;
    if (after) p = after;
    if (after && starts(after, page_prefix)) {
        p = parse_int(after + sizeof page_prefix - 1, attn_field_find("page"), spec);
        p = p && *p == '_' ? p + 1 : NULL;
    }
    after = p ? parse_axis(p, attn_field_find("select"), spec) : NULL;
    return after ? after : p;
}

attn_status attn_spec_parse(const char *name, attn_spec *spec) {
    attn_spec s;
    attn_spec_init(&s);
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) return ATTN_E_SPEC;
    const char *p = parse_types(name + sizeof prefix - 1, &s);
    for (size_t i = 0; p && i < sizeof axes / sizeof *axes; i++)
        p = parse_axis(p, attn_field_find(axes[i]), &s);
    while (p && *p) p = parse_field(p, &s);
    if (!p || attn_spec_resolve(&s, NULL) != ATTN_OK) return ATTN_E_SPEC;
    /* Only the canonical spelling is a name: no leading zeros, other orders or implied fields. */
    char canonical[ATTN_NAME_MAX];
    attn_spec_format(&s, canonical);
    if (strcmp(canonical, name) != 0) return ATTN_E_SPEC;
    *spec = s;
    return ATTN_OK;
}

/* The core's name, without "block_" and the hash. */
static bool layer_core(const char *name, char core[ATTN_NAME_MAX]) {
    const size_t skipped = sizeof block_prefix - 1, n = strlen(name);
    attn_spec unused;
    attn_spec_init(&unused);
    const size_t head = sizeof prefix - 1;
    if (n >= ATTN_NAME_MAX || n < head + 9 || strncmp(name, prefix, head)) return false;
    const char *block = parse_types(name + head, &unused);
    if (!block || strncmp(block, block_prefix, skipped)) return false;
    const char *hash = name + n - 9;
    if (hash < block + skipped || *hash != '_' || strspn(hash + 1, "0123456789abcdef") != 8)
        return false;
    core[0] = 0;
    put(core, "%.*s%.*s", (int)(block - name), name, (int)(hash - block - (ptrdiff_t)skipped),
        block + skipped);
    return true;
}

bool attn_name_is_canonical(const char *name) {
    attn_spec spec;
    char core[ATTN_NAME_MAX];
    return attn_spec_parse(layer_core(name, core) ? core : name, &spec) == ATTN_OK;
}
