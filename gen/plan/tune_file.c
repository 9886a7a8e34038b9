#include "tune_file.h"

#include "files.h"
#include "embedded.h"
#include "spec/lua_places.h"
#include "text.h"
#include <string.h>

enum { MAX_BYTES = 1 << 20 };

/* A file that is being read, and the keys of the value at hand. */
typedef struct reading {
    arena *a;
    const char *path, *source;
    const model *m;
    tune_set *out;
    diag *d;
    const char *key[4]; /* kernel, instruction set, parameter; ends with null */
} reading;

static bool refuse(const reading *r, const char *text) {
    return lua_refuse(r->a, r->path, r->source, r->key, text, r->d);
}

static bool unknown(const reading *r, const char *what, const char *name,
                    const char *const *allowed) {
    buf b = buf_new(r->a);
    buf_printf(&b, "unknown %s '%s'", what, text_shown_n(r->a, name, strnlen(name, 80)));
    suggest(&b, name, allowed);
    buf_puts(&b, "; allowed:");
    for (int i = 0; allowed[i]; i++) buf_printf(&b, "%s %s", i ? "," : "", allowed[i]);
    return refuse(r, b.data);
}

static const char *kind_text(const lua_val *v) {
    static const char *const text[] = {
        [LUA_VAL_NIL] = "nil",          [LUA_VAL_BOOL] = "a boolean",  [LUA_VAL_INT] = "an integer",
        [LUA_VAL_FLOAT] = "a fraction", [LUA_VAL_STRING] = "a string", [LUA_VAL_TABLE] = "a table"};
    return text[v->kind];
}

static bool refuse_kind(const reading *r, const lua_field *f, const char *want) {
    return refuse(r,
                  arena_printf(r->a, "%s must be %s, got %s", f->name, want, kind_text(f->value)));
}

static const char unasked[] = "unasked";

static bool read_unasked(reading *r, const kernel_spec *k, attn_isa isa, const lua_field *f,
                         plan_choice *choice) {
    if (f->value->kind != LUA_VAL_BOOL) return refuse_kind(r, f, "true or false");
    const char *why = plan_check_unasked(r->a, k, &isa_table[isa]);
    if (why) return refuse(r, arena_printf(r->a, "%s: %s", f->name, why));
    choice->unasked = f->value->boolean;
    return true;
}

static bool read_param(reading *r, const lua_field *f, plan_choice *choice) {
    const char *allowed[PLAN_PARAMS + 2] = {NULL};
    int param = -1;
    for (int i = 0; i < PLAN_PARAMS; i++) {
        allowed[i] = plan_params[i].name;
        if (!strcmp(f->name, plan_params[i].name)) param = i;
    }
    allowed[PLAN_PARAMS] = unasked;
    if (param < 0) return unknown(r, "parameter", f->name, allowed);
    const plan_param *row = &plan_params[param];
    const lua_val *v = f->value;
    const lua_kind want = row->is_bool ? LUA_VAL_BOOL : LUA_VAL_INT;
    if (v->kind != want) return refuse_kind(r, f, row->is_bool ? "true or false" : "an integer");
    if (!row->is_bool && (v->integer < row->min || v->integer > row->max))
        return refuse(r, arena_printf(r->a, "%s must be from %d to %d, got %lld", f->name, row->min,
                                      row->max, (long long)v->integer));
    plan_choice_set(choice, param, row->is_bool ? v->boolean : (int)v->integer);
    return true;
}

static bool read_choice(reading *r, const kernel_spec *k, attn_isa isa, const lua_val *table) {
    tune_entry *e = &r->out->entry[r->out->count];
    *e = (tune_entry){k->name, isa, plan_choice_none()};
    if (table->kind != LUA_VAL_TABLE)
        return refuse(
            r, arena_printf(r->a, "must be a table of parameters, got %s", kind_text(table)));
    for (int i = 0; i < table->field_count; i++) {
        if (!table->field[i].name) return refuse(r, "holds a value without a key; write key = ..");
        r->key[2] = table->field[i].name;
        const lua_field *f = &table->field[i];
        if (!strcmp(f->name, unasked) ? !read_unasked(r, k, isa, f, &e->choice)
                                      : !read_param(r, f, &e->choice))
            return false;
        r->key[2] = NULL;
    }
    int param;
    const char *why = plan_check(r->a, k, &isa_table[isa], &e->choice, &param);
    r->out->count++;
    if (!why) return true;
    r->key[2] = plan_params[param].name;
    return refuse(r, arena_printf(r->a, "%s: %s", plan_params[param].name, why));
}

static bool read_kernel(reading *r, const kernel_spec *k, const lua_val *table) {
    if (table->kind != LUA_VAL_TABLE)
        return refuse(
            r, arena_printf(r->a, "must be a table of instruction sets, got %s", kind_text(table)));
    for (int i = 0; i < table->field_count; i++) {
        const char *name = table->field[i].name, *allowed[ATTN_ISA_COUNT + 1] = {NULL};
        int isa = -1;
        for (int j = 0; j < ATTN_ISA_COUNT; j++) {
            allowed[j] = isa_table[j].name;
            if (name && !strcmp(name, allowed[j])) isa = j;
        }
        if (!name) return refuse(r, "holds a value without a key; write avx2 = { .. }");
        r->key[1] = name;
        if (isa < 0) return unknown(r, "instruction set", name, allowed);
        if (!read_choice(r, k, (attn_isa)isa, table->field[i].value)) return false;
        r->key[1] = NULL;
    }
    return true;
}

bool tune_read(arena *a, const char *path, const char *source, const model *m, tune_set *out,
               diag *d) {
    reading r = {.a = a, .path = path, .source = source, .m = m, .out = out, .d = d};
    const char **allowed = arena_alloc(a, ((size_t)m->kernel_count + 1) * sizeof *allowed);
    lua_val *table;
    *out = (tune_set){.text = source};
    if (!lua_eval_model(a, path, source, embedded_find("gen/lua/prelude.lua"), &table, d))
        return false;
    out->entry =
        arena_alloc(a, ((size_t)m->kernel_count * ATTN_ISA_COUNT + 1) * sizeof *out->entry);
    for (int k = 0; k < m->kernel_count; k++) allowed[k] = m->kernels[k].name;
    for (int i = 0; i < table->field_count; i++) {
        const char *name = table->field[i].name;
        int at = -1;
        for (int k = 0; name && k < m->kernel_count; k++)
            if (!strcmp(name, m->kernels[k].name)) at = k;
        if (!name) return refuse(&r, "a tune file is a table of kernels by their names");
        r.key[0] = name;
        if (at < 0) return unknown(&r, "kernel", name, allowed);
        if (!read_kernel(&r, &m->kernels[at], table->field[i].value)) return false;
    }
    return true;
}

bool tune_take(arena *a, const char *path, const char *source, size_t size, const model *m,
               tune_set *out, diag *d) {
    if (strlen(source) != size)
        return diag_set(d, "%s: has a zero byte at offset %zu: a tune file is text", path,
                        strlen(source));
    return tune_read(a, path, source, m, out, d);
}

bool tune_load(arena *a, const char *path, const model *m, tune_set *out, diag *d) {
    size_t size;
    const char *source = read_file(a, path, MAX_BYTES, &size, d);
    return source && tune_take(a, path, source, size, m, out, d);
}

const plan_choice *tune_find(const tune_set *set, const char *kernel, attn_isa isa) {
    for (int i = 0; set && i < set->count; i++)
        if (set->entry[i].isa == isa && !strcmp(set->entry[i].kernel, kernel))
            return &set->entry[i].choice;
    return NULL;
}
