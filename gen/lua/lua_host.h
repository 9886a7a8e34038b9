/* lua_host.h - the only door to Lua: sandboxed states with a budget of steps, memory and time. */
#ifndef GEN_LUA_HOST_H
#define GEN_LUA_HOST_H

#include "lua_val.h"

enum { LUA_MODEL_MAX_BYTES = 1 << 20 };

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
