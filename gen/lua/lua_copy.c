/* lua_copy.c - a value out of Lua, if it is plain data. */
#include "lua_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_DEPTH = 16, /* of tables */
    MAX_VALUES = 500000,
    MAX_BYTES = 16 << 20 /* of strings */
};

typedef struct copier {
    arena *a;
    lua_State *L;
    int values;
    size_t bytes;
    const void *parent[MAX_DEPTH];
    char where[256]; /* path of the value, e.g. layers[2].mask */
    const char *error;
} copier;

static lua_val *copy_fail(copier *c, const char *error) {
    if (!c->error) c->error = error;
    return NULL;
}

static const char *copy_string(copier *c, int index) {
    size_t n;
    const char *s = lua_tolstring(c->L, index, &n);
    c->bytes += n;
    if (c->bytes > MAX_BYTES) {
        copy_fail(c, "the texts of this model are larger than 16 MiB");
        return NULL;
    }
    if (memchr(s, 0, n)) {
        copy_fail(c, "holds a zero byte");
        return NULL;
    }
    return arena_strndup(c->a, s, n);
}

static lua_val *copy_value(copier *c, int depth);

static lua_val *copy_child(copier *c, int depth, const char *fmt, const char *name, int item) {
    size_t end = strlen(c->where);
    if (name)
        snprintf(c->where + end, sizeof c->where - end, fmt, name);
    else
        snprintf(c->where + end, sizeof c->where - end, "[%d]", item);
    lua_val *v = copy_value(c, depth + 1);
    if (v) c->where[end] = 0; /* an error keeps the path */
    return v;
}

static int by_name(const void *x, const void *y) {
    return strcmp(((const lua_field *)x)->name, ((const lua_field *)y)->name);
}

/* Fields with names; counts the integer keys. */
static bool copy_named(copier *c, lua_val *out, int depth, lua_Integer *items) {
    lua_State *L = c->L;
    int table = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        if (lua_isinteger(L, -2)) {
            (*items)++;
            lua_pop(L, 1);
            continue;
        }
        if (lua_type(L, -2) != LUA_TSTRING) {
            copy_fail(c, "has a key that is neither a name nor an integer");
            return false;
        }
        const char *name = copy_string(c, -2);
        lua_val *v = name ? copy_child(c, depth, *c->where ? ".%.60s" : "%.60s", name, 0) : NULL;
        if (!v) return false;
        lua_val_set(c->a, out, name, v);
        lua_pop(L, 1);
    }
    if (out->field_count) qsort(out->field, (size_t)out->field_count, sizeof *out->field, by_name);
    return true;
}

static lua_val *copy_table(copier *c, int depth) {
    lua_State *L = c->L;
    const void *self = lua_topointer(L, -1);
    for (int i = 0; i < depth; i++)
        if (c->parent[i] == self) return copy_fail(c, "is a table that contains itself");
    if (depth == MAX_DEPTH) return copy_fail(c, "is nested too deep");
    if (!lua_checkstack(L, 8)) {
        if (host_of(L)->system_is_out) out_of_memory();
        return copy_fail(c, "does not fit the memory budget");
    }
    c->parent[depth] = self;
    lua_val named = {.kind = LUA_VAL_TABLE};
    lua_Integer items = 0;
    if (!copy_named(c, &named, depth, &items)) return NULL;
    lua_val *out = lua_val_table(c->a);
    for (lua_Integer i = 1; i <= items; i++) {
        if (lua_rawgeti(L, -1, i) == LUA_TNIL)
            return copy_fail(c, "is a list with holes: items must be numbered 1, 2, 3 ..");
        lua_val *v = copy_child(c, depth, NULL, NULL, (int)i);
        if (!v) return NULL;
        lua_val_push(c->a, out, v);
        lua_pop(L, 1);
    }
    for (int i = 0; i < named.field_count; i++)
        lua_val_set(c->a, out, named.field[i].name, named.field[i].value);
    return out;
}

static lua_val *copy_value(copier *c, int depth) {
    lua_State *L = c->L;
    if (++c->values > MAX_VALUES) return copy_fail(c, "makes the model too large: 500000 values");
    lua_val *v = lua_val_new(c->a, LUA_VAL_NIL);
    switch (lua_type(L, -1)) {
    case LUA_TNIL: return v;
    case LUA_TBOOLEAN:
        v->kind = LUA_VAL_BOOL;
        v->boolean = lua_toboolean(L, -1);
        return v;
    case LUA_TNUMBER:
        v->kind = lua_isinteger(L, -1) ? LUA_VAL_INT : LUA_VAL_FLOAT;
        v->integer = v->kind == LUA_VAL_INT ? lua_tointeger(L, -1) : 0;
        v->number = lua_tonumber(L, -1);
        return v;
    case LUA_TSTRING:
        v->kind = LUA_VAL_STRING;
        v->string = copy_string(c, -1);
        return v->string ? v : NULL;
    case LUA_TTABLE: return copy_table(c, depth);
    case LUA_TFUNCTION: return copy_fail(c, "is a function; call it, a model holds plain values");
    default: return copy_fail(c, "is not a plain value");
    }
}

lua_val *host_copy(arena *a, lua_State *L, const char **where, const char **error) {
    copier c = {.a = a, .L = L};
    lua_val *v = copy_value(&c, 0);
    if (v) return v;
    *where = arena_strdup(a, c.where);
    *error = c.error;
    return NULL;
}
