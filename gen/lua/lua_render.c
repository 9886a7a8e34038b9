/* lua_render.c - runs the templates' driver. */
#include "lua_internal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define DRIVER_CHUNK "(driver)"

enum { MAX_FRAMES = 12 }; /* lines of a traceback */

/* Templates are ours: their limits only catch mistakes, on slow hosts too. */
static const host_limits limits = {"template", 500000000, (size_t)256 << 20, 60};

static bool is_source(const host *h, const char *name) {
    for (int i = 0; i < h->source_count; i++)
        if (strcmp(h->sources[i].name, name) == 0) return true;
    return false;
}

/* The template lines that led here, innermost first. */
static void add_frames(lua_State *L, const host *h, luaL_Buffer *b) {
    lua_Debug ar;
    int shown = 0;
    for (int level = 0; shown < MAX_FRAMES && lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline <= 0 || !is_source(h, ar.source + (*ar.source == '='))) continue;
        char line[160];
        snprintf(line, sizeof line, "\n    at %.120s:%d", ar.source + 1, ar.currentline);
        luaL_addstring(b, line);
        shown++;
    }
}

static int explain_error(lua_State *L) {
    const char *message = host_message(L);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    luaL_addstring(&b, message);
    add_frames(L, host_of(L), &b);
    luaL_pushresult(&b);
    return 1;
}

static void push_value(lua_State *L, const lua_val *v) {
    luaL_checkstack(L, 4, "data is nested too deep");
    switch (v->kind) {
    case LUA_VAL_NIL: lua_pushnil(L); return;
    case LUA_VAL_BOOL: lua_pushboolean(L, v->boolean); return;
    case LUA_VAL_INT: lua_pushinteger(L, v->integer); return;
    case LUA_VAL_FLOAT: lua_pushnumber(L, v->number); return;
    case LUA_VAL_STRING: lua_pushstring(L, v->string); return;
    case LUA_VAL_TABLE: break;
    }
    lua_newtable(L);
    lua_Integer items = 0;
    for (int i = 0; i < v->field_count; i++) {
        push_value(L, v->field[i].value);
        if (v->field[i].name)
            lua_setfield(L, -2, v->field[i].name);
        else
            lua_rawseti(L, -2, ++items);
    }
}

/* chunk(name, env) */
static int load_source(lua_State *L) {
    host *h = host_of(L);
    const char *name = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    for (int i = 0; i < h->source_count; i++) {
        if (strcmp(h->sources[i].name, name) != 0) continue;
        host_compile(L, h->sources[i].chunk, name, 2);
        return 1;
    }
    return luaL_error(L, "there is no template '%s'", name);
}

/* f32(x): a literal that every C compiler reads as exactly (float)x. */
static int float_literal(lua_State *L) {
    if (lua_type(L, 1) != LUA_TNUMBER)
        return luaL_error(L, "f32 needs a number, got %s", luaL_typename(L, 1));
    double x = lua_tonumber(L, 1);
    if (isnan(x)) return luaL_error(L, "f32 needs a number, got nan");
    if (isinf(x)) {
        lua_pushstring(L, x > 0 ? "INFINITY" : "-INFINITY");
        return 1;
    }
    if (fabs(x) > FLT_MAX) return luaL_error(L, "f32: %f is too large for a float", x);
    char text[48];
    snprintf(text, sizeof text, "%af", (double)(float)x);
    lua_pushstring(L, text);
    return 1;
}

typedef struct render_job {
    const char *driver;
    const lua_val *data;
} render_job;

static int run_driver(lua_State *L) {
    const render_job *job = lua_touserdata(L, 1);
    host_push_environment(L, true);
    int env = lua_gettop(L);
    lua_pushcfunction(L, load_source);
    lua_setfield(L, env, "chunk");
    lua_pushcfunction(L, float_literal);
    lua_setfield(L, env, "f32");
    push_value(L, job->data);
    lua_setfield(L, env, "data");
    host_compile(L, job->driver, DRIVER_CHUNK, env);
    lua_call(L, 0, 1);
    if (lua_type(L, -1) != LUA_TSTRING)
        return luaL_error(L, "the driver must return a string, got %s", luaL_typename(L, -1));
    return 1;
}

bool lua_render(arena *a, const lua_source *sources, int source_count, const char *driver,
                const lua_val *data, const char **text, diag *d) {
    host h = {.limit = &limits,
              .explain = explain_error,
              .a = a,
              .sources = sources,
              .source_count = source_count};
    host_begin(&h, "templates");
    render_job job = {driver, data};
    const int status = host_call(&h, run_driver, &job);
    size_t n = 0;
    const char *result = lua_tolstring(h.L, -1, &n);
    if (status == LUA_OK)
        *text = arena_strndup(a, result, n);
    else if (status == LUA_ERRMEM)
        diag_set(d, "templates used more than %zu MiB of memory", h.limit->bytes >> 20);
    else
        diag_set(d, "%s", result ? result : "unknown error");
    host_end(&h);
    return status == LUA_OK;
}
