/* lua_host.h - the only door to Lua: sandboxed states with a budget of steps, memory and time. */
#ifndef GEN_LUA_HOST_H
#define GEN_LUA_HOST_H

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
lua_val *lua_val_table(arena *a);
void lua_val_set(arena *a, lua_val *table, const char *name, lua_val *value);
void lua_val_push(arena *a, lua_val *table, lua_val *value);
void lua_val_set_int(arena *a, lua_val *table, const char *name, int64_t v);
void lua_val_set_bool(arena *a, lua_val *table, const char *name, bool v);
void lua_val_set_float(arena *a, lua_val *table, const char *name, double v);
void lua_val_set_string(arena *a, lua_val *table, const char *name, const char *v);
const lua_val *lua_val_get(const lua_val *table, const char *name); /* null if absent */

/* Runs a model file (text only, no bytecode): `prelude` first, then `source`, and copies out the
 * table that it returns. No io, os, load, debug, pairs, pcall, coroutines or metatables; a budget
 * of steps and memory, and a wall-clock limit that ends the program with exit status 2. Errors
 * read file:line: what. Cyclic or over-deep tables are errors. */
bool lua_eval_model(arena *a, const char *path, const char *source, const char *prelude,
                    lua_val **out, diag *d);

/* A template, already translated to a Lua chunk (render.c): line n of the chunk is line n of the
 * template. */
typedef struct lua_source {
    const char *name;
    const char *chunk;
} lua_source;

/* Runs `driver` (Lua) and returns the string it returns. In scope for it: the base functions
 * assert, error, ipairs, select, setmetatable, rawget, rawset, tostring, type, string, table, math;
 * `data` (the table `data`); chunk(name, env), which compiles a source under an environment (error
 * if there is none of that name); f32(x), a hex float literal with suffix f ("0x1.8p+1f", also
 * -INFINITY, INFINITY). Errors carry the template's name and line, and the calling lines. */
bool lua_render(arena *a, const lua_source *sources, int source_count, const char *driver,
                const lua_val *data, const char **text, diag *d);

#endif
