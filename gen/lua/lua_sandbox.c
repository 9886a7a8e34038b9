/* lua_sandbox.c - what code of ours and of others sees of Lua. */
#include "lua_internal.h"

#include <lualib.h>
#include <string.h>

static const char *const base_functions[] = {"assert",   "ipairs", "select",
                                             "tonumber", "type",   NULL};
static const char *const template_functions[] = {"setmetatable", "rawget", "rawset", NULL};

/* Names that Lua programs expect and that are not here, with the reason. */
static const char *const absent[][2] = {
    {"pairs", "its order is not defined; use ipairs"},
    {"next", "its order is not defined; use ipairs"},
    {"print", "the program's output is what it writes; use error() to report something"},
    {"pcall", "an error ends the run"},
    {"xpcall", "an error ends the run"},
    {"coroutine", "use functions and loops"},
    {"io", "files are not read or written from here"},
    {"os", "the result may depend on nothing but the text"},
    {"require", "one file holds everything"},
    {"dofile", "one file holds everything"},
    {"load", "code does not make code here"},
    {"loadstring", "code does not make code here"},
    {"loadfile", "one file holds everything"},
    {"debug", "the interpreter's inside is closed"},
    {"package", "one file holds everything"},
    {"setmetatable", "tables are plain"},
    {"getmetatable", "tables are plain"},
    {"rawget", "tables are plain; use t[k]"},
    {"rawset", "tables are plain; use t[k] = v"},
    {"rawequal", "tables are plain; use =="},
    {"rawlen", "tables are plain; use #"},
    {"collectgarbage", "memory has a fixed budget"},
    {"warn", "use error() to report something"},
    {"utf8", "strings are bytes"},
    {"_G", "name a global directly"},
    {NULL, NULL}};

static int read_undefined(lua_State *L) {
    if (lua_type(L, 2) != LUA_TSTRING) return luaL_error(L, "undefined global");
    const char *name = lua_tostring(L, 2);
    for (int i = 0; absent[i][0]; i++)
        if (strcmp(absent[i][0], name) == 0)
            return luaL_error(L, "%s is not available: %s", name, absent[i][1]);
    return luaL_error(L, "undefined name '%s'", name);
}

/* Tables and functions print as addresses, which differ from run to run. */
static void refuse_address(lua_State *L, int index) {
    int type = lua_type(L, index);
    if (type == LUA_TTABLE || type == LUA_TFUNCTION)
        luaL_error(L, "a %s has no text", lua_typename(L, type));
}

static int safe_tostring(lua_State *L) {
    luaL_checkany(L, 1);
    refuse_address(L, 1);
    luaL_tolstring(L, 1, NULL);
    return 1;
}

static int safe_format(lua_State *L) {
    const char *p = luaL_checkstring(L, 1);
    int count = lua_gettop(L);
    for (int i = 2; i <= count; i++) refuse_address(L, i);
    while ((p = strchr(p, '%')) != NULL) {
        p++;
        p += strspn(p, "-+ #0123456789.");
        if (*p == 'p') return luaL_error(L, "format %%p prints an address, which is not defined");
        if (*p) p++;
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, count, LUA_MULTRET);
    return lua_gettop(L);
}

/* error(message [, level]): as Lua's, for text only. */
static int raise_text(lua_State *L) {
    if (lua_isnoneornil(L, 1)) return luaL_error(L, "error was called without a message");
    if (lua_type(L, 1) != LUA_TSTRING)
        return luaL_error(L, "error was called with a %s instead of a message",
                          luaL_typename(L, 1));
    luaL_where(L, (int)luaL_optinteger(L, 2, 1));
    lua_pushvalue(L, 1);
    lua_concat(L, 2);
    return lua_error(L);
}

static void remove_fields(lua_State *L, const char *const *names) {
    for (; *names; names++) {
        lua_pushnil(L);
        lua_setfield(L, -2, *names);
    }
}

static void copy_functions(lua_State *L, int from, int to, const char *const *names) {
    for (; *names; names++) {
        lua_getfield(L, from, *names);
        lua_setfield(L, to, *names);
    }
}

static void open_library(lua_State *L, int env, const char *name, lua_CFunction open,
                         const char *const *without) {
    luaL_requiref(L, name, open, 0);
    remove_fields(L, without);
    lua_setfield(L, env, name);
}

/* string.format keeps the original as its upvalue. */
static void guard_format(lua_State *L, int env) {
    lua_getfield(L, env, "string");
    lua_getfield(L, -1, "format");
    lua_pushcclosure(L, safe_format, 1);
    lua_setfield(L, -2, "format");
    lua_pop(L, 1);
}

void host_push_environment(lua_State *L, bool is_template) {
    static const char *const no_dump[] = {"dump", NULL};
    static const char *const no_random[] = {"random", "randomseed", NULL};
    static const char *const all[] = {NULL};
    lua_newtable(L);
    int env = lua_gettop(L);
    luaL_requiref(L, "_G", luaopen_base, 0);
    copy_functions(L, env + 1, env, base_functions);
    if (is_template) copy_functions(L, env + 1, env, template_functions);
    lua_pop(L, 1);
    lua_pushcfunction(L, safe_tostring);
    lua_setfield(L, env, "tostring");
    lua_pushcfunction(L, raise_text);
    lua_setfield(L, env, "error");
    open_library(L, env, "string", luaopen_string, no_dump);
    guard_format(L, env);
    open_library(L, env, "table", luaopen_table, all);
    open_library(L, env, "math", luaopen_math, no_random);
    lua_newtable(L);
    lua_pushcfunction(L, read_undefined);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, env);
}

void host_compile(lua_State *L, const char *text, const char *chunk, int env) {
    env = lua_absindex(L, env);
    const char *name = lua_pushfstring(L, "=%s", chunk);
    if (luaL_loadbufferx(L, text, strlen(text), name, "t") != LUA_OK) lua_error(L);
    lua_pushvalue(L, env);
    lua_setupvalue(L, -2, 1);
    lua_remove(L, -2);
}
