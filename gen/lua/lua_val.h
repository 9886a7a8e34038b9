/* lua_val.h - values that go into Lua and come out of it. */
#ifndef GEN_LUA_VAL_H
#define GEN_LUA_VAL_H

#include "util.h"

/* A value copied out of, or into, Lua. Tables keep their fields in the order given here; values
 * that come out of Lua list array items 1..n first, then named fields sorted by name. */
typedef enum lua_kind {
    LUA_VAL_NIL,
    LUA_VAL_BOOL,
    LUA_VAL_INT,
    LUA_VAL_FLOAT,
    LUA_VAL_STRING,
    LUA_VAL_TABLE
} lua_kind;

typedef struct lua_val lua_val;
typedef struct lua_field {
    const char *name; /* null: array item */
    lua_val *value;
} lua_field;
struct lua_val {
    lua_kind kind;
    bool boolean;
    int64_t integer;
    double number;
    const char *string; /* of other kinds: how messages quote it; null: as Lua does */
    lua_field *field;
    int field_count, field_cap;
};

/* Builders, in an arena. Setting appends. */
lua_val *lua_val_new(arena *a, lua_kind kind);
lua_val *lua_val_table(arena *a);
void lua_val_set(arena *a, lua_val *table, const char *name, lua_val *value);
void lua_val_push(arena *a, lua_val *table, lua_val *value);
void lua_val_set_int(arena *a, lua_val *table, const char *name, int64_t v);
void lua_val_set_bool(arena *a, lua_val *table, const char *name, bool v);
void lua_val_set_float(arena *a, lua_val *table, const char *name, double v);
void lua_val_set_string(arena *a, lua_val *table, const char *name, const char *v);
const lua_val *lua_val_get(const lua_val *table, const char *name); /* null if absent */
/* Adds a value as text: other values, and fields in another order, give another text. */
void lua_val_text(buf *b, const lua_val *v);

#endif
