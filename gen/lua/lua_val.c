#include "lua_val.h"

#include <string.h>

lua_val *lua_val_new(arena *a, lua_kind kind) {
    lua_val *v = arena_alloc(a, sizeof *v);
    v->kind = kind;
    return v;
}

lua_val *lua_val_table(arena *a) {
    return lua_val_new(a, LUA_VAL_TABLE);
}

void lua_val_set(arena *a, lua_val *table, const char *name, lua_val *value) {
    if (table->field_count == table->field_cap) {
        int cap = table->field_cap ? 2 * table->field_cap : 8;
        lua_field *grown = arena_alloc(a, (size_t)cap * sizeof *grown);
        if (table->field_count)
            memcpy(grown, table->field, (size_t)table->field_count * sizeof *grown);
        table->field = grown;
        table->field_cap = cap;
    }
    table->field[table->field_count++] = (lua_field){name, value};
}

void lua_val_push(arena *a, lua_val *table, lua_val *value) {
    lua_val_set(a, table, NULL, value);
}

void lua_val_set_int(arena *a, lua_val *table, const char *name, int64_t v) {
    lua_val *x = lua_val_new(a, LUA_VAL_INT);
    x->integer = v;
    lua_val_set(a, table, name, x);
}

void lua_val_set_bool(arena *a, lua_val *table, const char *name, bool v) {
    lua_val *x = lua_val_new(a, LUA_VAL_BOOL);
    x->boolean = v;
    lua_val_set(a, table, name, x);
}

void lua_val_set_float(arena *a, lua_val *table, const char *name, double v) {
    lua_val *x = lua_val_new(a, LUA_VAL_FLOAT);
    x->number = v;
    lua_val_set(a, table, name, x);
}

void lua_val_set_string(arena *a, lua_val *table, const char *name, const char *v) {
    lua_val *x = lua_val_new(a, LUA_VAL_STRING);
    x->string = v;
    lua_val_set(a, table, name, x);
}

const lua_val *lua_val_get(const lua_val *table, const char *name) {
    for (int i = 0; i < table->field_count; i++) {
        const lua_field *f = &table->field[i];
        if (f->name && strcmp(f->name, name) == 0) return f->value;
    }
    return NULL;
}

void lua_val_text(buf *b, const lua_val *v) {
    switch (v->kind) {
    case LUA_VAL_NIL: buf_puts(b, "nil"); break;
    case LUA_VAL_BOOL: buf_puts(b, v->boolean ? "true" : "false"); break;
    case LUA_VAL_INT: buf_printf(b, "%lld", (long long)v->integer); break;
    case LUA_VAL_FLOAT: buf_printf(b, "%a", v->number); break;
    case LUA_VAL_STRING: buf_printf(b, "%s", v->string); break;
    case LUA_VAL_TABLE:
        for (int i = 0; i < v->field_count; i++) {
            buf_printf(b, "%s=", v->field[i].name ? v->field[i].name : "");
            lua_val_text(b, v->field[i].value);
            buf_puts(b, ";");
        }
    }
    buf_puts(b, "\n");
}
