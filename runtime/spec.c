/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
#include "spec.h"
#include "op.h"

#include <ctype.h>
#include <float.h>
#include <locale.h>
#include <math.h>
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
#define ATTN_FIELD_TEXT(name, help) {#name, ATTN_KIND_TEXT, ' ', -1, 0, 0, 0, NULL, 0, help},
#define ATTN_FIELD_LIST(name, help) {#name, ATTN_KIND_LIST, ' ', -1, 0, 0, 0, NULL, 0, help},
#include "spec_fields.def"
#undef AT
};
const int attn_field_count = (int)(sizeof attn_fields / sizeof *attn_fields);

/* Floats beyond this are refused: it keeps clear of ATTN_UNSET_F and of infinities. */
static const float float_limit = 1e38f;

bool attn_field_is_member(const attn_field *f) {
    return f->offset >= 0;
}

/* Members are reached through the table's offsets; all are 4 bytes wide. */
double attn_field_get(const attn_field *f, const attn_spec *s) {
    int32_t i;
    float x;
    memcpy(&i, (const char *)s + f->offset, sizeof i);
    memcpy(&x, (const char *)s + f->offset, sizeof x);
    return f->kind == ATTN_KIND_FLOAT ? (double)x : i;
}

void attn_field_put(const attn_field *f, attn_spec *s, double value) {
    const bool is_float = f->kind == ATTN_KIND_FLOAT;
    const int32_t i = is_float ? 0 : (int32_t)value;
    const float x = (float)value;
    memcpy((char *)s + f->offset, is_float ? (const void *)&x : &i, sizeof i);
}

static double default_of(const attn_field *f) {
    return f->kind == ATTN_KIND_FLOAT ? (double)ATTN_UNSET_F : (double)f->dflt;
}

static void set_default(attn_spec *s, const attn_field *f) {
    if (attn_field_is_member(f)) attn_field_put(f, s, default_of(f));
}

static bool is_default(const attn_spec *s, const attn_field *f) {
    return attn_field_get(f, s) == default_of(f);
}

bool attn_field_is_set(const attn_field *f, const attn_spec *s) {
    const double unset = f->kind == ATTN_KIND_FLOAT ? (double)ATTN_UNSET_F : ATTN_UNSET;
    return attn_field_get(f, s) != unset;
}

static void init(attn_spec *spec) {
    memset(spec, 0, sizeof *spec);
    spec->struct_size = sizeof *spec;
    for (int i = 0; i < attn_field_count; i++) set_default(spec, &attn_fields[i]);
}

void attn_spec_init(attn_spec *spec) {
    if (spec) init(spec);
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
static const char *enum_value(const char *values, int32_t index, size_t *length) {
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
    const char *v = enum_value(field->values, value, &n);
    snprintf(out, size, "%.*s", (int)n, v ? v : "");
}

bool attn_field_text(const attn_field *f, const attn_spec *s, char text[ATTN_FIELD_TEXT_MAX]) {
    *text = 0;
    if (!attn_field_is_set(f, s)) return false;
    const double v = attn_field_get(f, s);
    switch (f->kind) {
    case ATTN_KIND_ENUM: attn_enum_name(f, (int32_t)v, text, ATTN_FIELD_TEXT_MAX); break;
    case ATTN_KIND_BOOL: strcpy(text, v != 0 ? "true" : "false"); break;
    case ATTN_KIND_FLOAT: attn_float_text((float)v, text); break;
    default: snprintf(text, ATTN_FIELD_TEXT_MAX, "%d", (int)v);
    }
    return *text != 0;
}

/* --- Rules --- */

#define fail attn_spec_fail

attn_status attn_spec_fail(attn_spec_error *err, const char *field, const char *fmt, ...) {
    if (!err) return ATTN_E_SPEC;
    err->field = field;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return ATTN_E_SPEC;
}

/* Zero, or a float of full precision: kernels run with subnormal numbers flushed or not, and agree
 * only where there are none. */
static bool is_normal(float x) {
    return x == 0 || (fabsf(x) >= FLT_MIN && fabsf(x) <= FLT_MAX);
}

static attn_status check_value(const attn_spec *s, const attn_field *f, attn_spec_error *err) {
    if (!attn_field_is_member(f)) return ATTN_OK;
    if (f->kind == ATTN_KIND_FLOAT) {
        float x = (float)attn_field_get(f, s);
        if (x == ATTN_UNSET_F) return ATTN_OK;
        if (!(x >= -float_limit && x <= float_limit))
            return fail(err, f->name, "must be a finite number, in magnitude at most 1e+38");
        if (is_normal(x)) return ATTN_OK;
        return fail(err, f->name,
                    "must be in magnitude at least 1.18e-38 where it is not 0, got %g", (double)x);
    }
    int32_t v = (int32_t)attn_field_get(f, s);
    if (f->kind == ATTN_KIND_ENUM) {
        size_t n;
        if (enum_value(f->values, v, &n) || v == (int32_t)f->dflt) return ATTN_OK;
        return fail(err, f->name, "must be one of %s, got number %d", f->values, v);
    }
    if (v == (int32_t)f->dflt || (v >= f->lowest && v <= f->highest)) return ATTN_OK;
    return fail(err, f->name, "must be from %lld to %lld, got %d", (long long)f->lowest,
                (long long)f->highest, v);
}

/* The ATTN_IN_* bits of a spec's form, op and level. */
static int places(const attn_spec *s) {
    int at = s->form == ATTN_FORM_MLA ? ATTN_IN_MLA : ATTN_IN_REGULAR;
    if (s->level == ATTN_LEVEL_BLOCK) at |= ATTN_IN_BLOCK;
    return at | attn_op_of(s)->fields;
}

/* "op full_self and sliding_self": those that take such fields. */
static void ops_text(int applies, char *text, size_t size) {
    const attn_field *op = attn_field_find("op");
    attn_spec s = {0};
    size_t n = (size_t)snprintf(text, size, "op"), length;
    for (int taken = 0; enum_value(op->values, s.op, &length); s.op++) {
        if (!(attn_op_of(&s)->fields & applies) || n >= size) continue;
        n += (size_t)snprintf(text + n, size - n, "%s%.*s", taken++ ? " and " : " ", (int)length,
                              enum_value(op->values, s.op, &length));
    }
}

static void places_text(int applies, char *text, size_t size) {
    if (applies & ATTN_IN_OPS)
        ops_text(applies, text, size);
    else
        snprintf(text, size, "%s",
                 applies == ATTN_IN_REGULAR ? "form regular"
                 : applies == ATTN_IN_MLA   ? "form mla"
                                            : "level block");
}

/* Whether a field may be given in a spec of this form, op and level; if not, says why. err may be
 * null. */
bool attn_field_applies(const attn_field *f, const attn_spec *s, attn_spec_error *err) {
    static const struct {
        const char *field;
        int bits;
    } groups[] = {{"level", ATTN_IN_BLOCK}, {"form", ATTN_IN_FORMS}, {"op", ATTN_IN_OPS}};
    for (int i = 0; i < 3; i++) {
        const int wanted = f->applies & groups[i].bits;
        if (!wanted || (wanted & places(s))) continue;
        const attn_field *by = attn_field_find(groups[i].field);
        char now[ATTN_FIELD_TEXT_MAX], where[160];
        attn_field_text(by, s, now);
        places_text(wanted, where, sizeof where);
        fail(err, f->name, "applies to %s only, and %s is %s", where, by->name, now);
        return false;
    }
    return true;
}

static attn_status check_required(const attn_spec *s, attn_spec_error *err) {
    bool mla = s->form == ATTN_FORM_MLA, sliding = places(s) & ATTN_IN_SLIDING;
    if (s->heads == ATTN_UNSET) return fail(err, "heads", "is required: the number of query heads");
    if (!mla && s->head_dim == ATTN_UNSET)
        return fail(err, "head_dim", "is required: the width of a query and key head");
    if (mla && s->kv_comp_dim == ATTN_UNSET)
        return fail(err, "kv_comp_dim", "is required for mla: the width of the latent value");
    if (mla && s->retr_dim == ATTN_UNSET)
        return fail(err, "retr_dim", "is required for mla: the width of the retrieval key");
    if (sliding && s->window == ATTN_UNSET)
        return fail(err, "window", "is required for sliding_self: how far back a query sees");
    if (sliding && !s->causal && s->right_window == ATTN_UNSET)
        return fail(err, "right_window",
                    "is required for sliding_self with causal = false: how far ahead a query sees");
    if (mla && s->key == ATTN_KEY_SHARED && s->scale == ATTN_UNSET_F)
        return fail(err, "scale", "is required for key = shared: no width there implies it");
    return ATTN_OK;
}

/* Unset: takes `value`. A resolved mla spec carries it already; another value is an error. */
static attn_status derive(int32_t *member, int32_t value, const char *name, attn_spec_error *err) {
    if (*member != ATTN_UNSET && *member != value)
        return fail(err, name, "applies to form regular only, and form is mla");
    *member = value;
    return ATTN_OK;
}

static attn_status derive_mla(attn_spec *s, attn_spec_error *err) {
    int32_t kv_heads = s->key == ATTN_KEY_SHARED ? 1 : s->heads;
    attn_status st = derive(&s->kv_heads, kv_heads, "kv_heads", err);
    if (st == ATTN_OK) st = derive(&s->v_heads, 1, "v_heads", err);
    if (st == ATTN_OK) st = derive(&s->v_dim, s->kv_comp_dim, "v_dim", err);
    return st;
}

static attn_status check_applies(const attn_spec *s, attn_spec_error *err) {
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        if (!attn_field_is_member(f) || is_default(s, f)) continue;
        /* derive_mla has checked these */
        if (s->form == ATTN_FORM_MLA && f->applies == ATTN_IN_REGULAR) continue;
        if (!attn_field_applies(f, s, err)) return ATTN_E_SPEC;
    }
    if (s->form == ATTN_FORM_REGULAR && s->key != ATTN_KEY_PER_HEAD)
        return fail(err, "key", "shared applies to form mla only, and form is regular");
    if (s->right_window != ATTN_UNSET && s->causal)
        return fail(err, "right_window",
                    "needs causal = false: a causal query sees nothing ahead of itself");
    if (s->expr_hash && s->backend != ATTN_BACKEND_FLEX)
        return fail(err, "backend", "expressions belong to flex, and backend is sdpa");
    return ATTN_OK;
}

/* heads * width has to be an int32_t, in generated code as well. */
static attn_status check_width(const attn_spec *s, int32_t width, const char *field,
                               attn_spec_error *err) {
    if (width == ATTN_UNSET || (int64_t)s->heads * width <= INT32_MAX) return ATTN_OK;
    return fail(err, field, "is too large: heads * width must be at most %d, got %d * %d",
                INT32_MAX, s->heads, width);
}

static attn_status check_sizes(const attn_spec *s, attn_spec_error *err) {
    if (s->heads % s->kv_heads)
        return fail(err, "kv_heads", "must divide heads: %d is no divisor of %d", s->kv_heads,
                    s->heads);
    if (s->heads % s->v_heads)
        return fail(err, "v_heads", "must divide heads: %d is no divisor of %d", s->v_heads,
                    s->heads);
    bool mla = s->form == ATTN_FORM_MLA;
    attn_status st = check_width(s, s->head_dim, "head_dim", err);
    if (st == ATTN_OK) st = check_width(s, s->v_dim, mla ? "kv_comp_dim" : "v_dim", err);
    if (st == ATTN_OK && mla) st = check_width(s, attn_spec_k_dim(s), "retr_dim", err);
    if (st == ATTN_OK) st = check_width(s, s->q_comp_dim, "q_comp_dim", err);
    return st;
}

/* What kernels fold into Q has to be a float, too. log2(e) of what check_value lets through is. */
static attn_status check_scores(const attn_spec *s, attn_spec_error *err) {
    if (s->softcap == ATTN_UNSET_F || is_normal(s->scale / s->softcap)) return ATTN_OK;
    return fail(
        err, "softcap",
        "is too far from scale: scale / softcap must be 0, or in magnitude from 1.18e-38 to "
        "3.4e+38, got %g / %g",
        (double)s->scale, (double)s->softcap);
}

static float default_scale(const attn_spec *s) {
    return (float)(1.0 / sqrt((double)attn_spec_k_dim(s)));
}

static void fill(int32_t *member, int32_t value) {
    if (*member == ATTN_UNSET) *member = value;
}

static attn_status resolve(attn_spec *s, attn_spec_error *err) {
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        if (!attn_field_is_member(f)) continue;
        if (!attn_field_is_set(f, s)) set_default(s, f);
        attn_status st = check_value(s, f, err);
        if (st != ATTN_OK) return st;
    }
    if (s->softcap != ATTN_UNSET_F && !(s->softcap > 0))
        return fail(err, "softcap", "must be greater than 0");
    const bool block = s->level == ATTN_LEVEL_BLOCK;
    attn_status st = block ? attn_spec_block_core(s, err) : ATTN_OK;
    if (st == ATTN_OK) st = check_required(s, err);
    if (st == ATTN_OK && s->form == ATTN_FORM_MLA) st = derive_mla(s, err);
    if (st == ATTN_OK) st = check_applies(s, err);
    if (st != ATTN_OK) return st;
    fill(&s->kv_heads, s->heads);
    fill(&s->v_heads, s->kv_heads);
    fill(&s->v_dim, s->head_dim);
    st = check_sizes(s, err);
    if (st != ATTN_OK) return st;
    if (s->scale == ATTN_UNSET_F) s->scale = default_scale(s);
    s->scale += 0.0f; /* one zero: -0 would be a second name of the same kernel */
    st = check_scores(s, err);
    if (st != ATTN_OK) return st;
    return block ? attn_spec_block_rest(s, err) : ATTN_OK;
}

attn_status attn_spec_resolve(attn_spec *spec, attn_spec_error *err) {
    if (spec->struct_size != sizeof *spec) {
        fail(err, "struct_size", "is %u, and this runtime's attn_spec has %u bytes",
             (unsigned)spec->struct_size, (unsigned)sizeof *spec);
        return ATTN_E_ABI;
    }
    attn_spec s = *spec;
    attn_status st = resolve(&s, err);
    if (st == ATTN_OK) *spec = s;
    return st;
}

void attn_spec_core(const attn_spec *spec, attn_spec *core) {
    *core = *spec;
    if (spec->level == ATTN_LEVEL_CORE) return;
    for (int i = 0; i < attn_field_count; i++)
        if (attn_fields[i].applies & ATTN_IN_BLOCK) set_default(core, &attn_fields[i]);
    core->level = ATTN_LEVEL_CORE;
    if (spec->form != ATTN_FORM_MLA) return;
    core->head_dim = ATTN_UNSET; /* what only the projections see */
    core->q_comp_dim = ATTN_UNSET;
}

void attn_spec_expanded(const attn_spec *spec, attn_spec *core) {
    attn_spec_core(spec, core);
    core->form = ATTN_FORM_REGULAR;
    core->key = ATTN_KEY_PER_HEAD;
    core->kv_heads = core->v_heads = core->heads;
    core->head_dim = spec->head_dim + spec->retr_dim;
    core->v_dim = spec->v_head_dim;
    core->kv_comp_dim = core->retr_dim = ATTN_UNSET;
}

int32_t attn_spec_row_dim(const attn_spec *spec) {
    return attn_op_of(spec)->segments ? spec->q_dim : spec->d_model;
}

int32_t attn_spec_k_dim(const attn_spec *spec) {
    if (spec->form != ATTN_FORM_MLA) return spec->head_dim;
    return spec->key == ATTN_KEY_SHARED ? spec->kv_comp_dim + spec->retr_dim : spec->retr_dim;
}

/* --- Canonical names --- */

static const char prefix[] = "attn_f32_", block_prefix[] = "block_";
static const char *const axes[] = {"form", "backend", "op"}; /* in the order of names */

static bool same(const attn_spec *a, const attn_spec *b) {
    return memcmp(a, b, sizeof *a) == 0; /* 4-byte members only: no padding */
}

/* A field is left out of the name where leaving it out of the spec changes nothing. */
static bool implied(const attn_spec *spec, const attn_field *f) {
    attn_spec without = *spec;
    set_default(&without, f);
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
        if (f->id == ' ' || implied(spec, f)) continue;
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
    put(name, "%s%s", prefix, layer ? block_prefix : "");
    put_core(name, &core);
    if (layer) put(name, "_%08x", (unsigned)layer_hash(spec));
}

/* The parsers below return where they stopped, or null. */
static const char *parse_axis(const char *p, const attn_field *f, attn_spec *spec) {
    size_t n = 0;
    const char *v;
    for (int32_t i = 0; (v = enum_value(f->values, i, &n)) != NULL; i++) {
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
        if (f->id == ' ' || f->id != *p) continue;
        if (f->kind == ATTN_KIND_FLOAT) return parse_float(p + 1, f, spec);
        return parse_int(p + 1, f, spec);
    }
    return NULL;
}

attn_status attn_spec_parse(const char *name, attn_spec *spec) {
    attn_spec s;
    init(&s);
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) return ATTN_E_SPEC;
    const char *p = name + sizeof prefix - 1;
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
    const size_t head = sizeof prefix - 1, skipped = sizeof block_prefix - 1, n = strlen(name);
    if (n >= ATTN_NAME_MAX || n < head + skipped + 9) return false;
    if (strncmp(name, prefix, head) || strncmp(name + head, block_prefix, skipped)) return false;
    const char *hash = name + n - 9;
    if (*hash != '_' || strspn(hash + 1, "0123456789abcdef") != 8) return false;
    core[0] = 0;
    put(core, "%s%.*s", prefix, (int)(n - head - skipped - 9), name + head + skipped);
    return true;
}

bool attn_name_is_canonical(const char *name) {
    attn_spec spec;
    char core[ATTN_NAME_MAX];
    return attn_spec_parse(layer_core(name, core) ? core : name, &spec) == ATTN_OK;
}
