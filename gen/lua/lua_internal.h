/* lua_internal.h - what the files of gen/lua share: a state with its budget, and its sandbox. */
#ifndef GEN_LUA_INTERNAL_H
#define GEN_LUA_INTERNAL_H

#include "lua_host.h"

#include <lauxlib.h>
#include <lua.h>

/* The chunk of a model file as Lua prints it in messages, "NAME:LINE:". */
#define HOST_MODEL_CHUNK "(model)"

/* What a run may use. */
typedef struct host_limits {
    const char *what;
    int64_t steps;
    size_t bytes;
    int seconds;
} host_limits;

typedef struct host {
    lua_State *L;
    const host_limits *limit;
    lua_CFunction explain; /* message handler: runs before the stack unwinds */
    size_t used;           /* bytes */
    int64_t steps;
    int oom_line;       /* model line at which memory ran out; 0: unknown */
    bool system_is_out; /* the last refusal was the system's, not the budget's */
    arena *a;
    const lua_source *sources;
    int source_count;
} host;

/* --- lua_budget.c --- */
/* Opens the state of a host with its limit and handler, and its clock. what: whose run it is. */
void host_begin(host *h, const char *what);
void host_end(host *h);
host *host_of(lua_State *L);
/* Calls a C function with one argument: LUA_OK, or an error with its message on the stack. The
 * system's want of memory is nobody's error, and ends the program. */
int host_call(host *h, lua_CFunction function, void *argument);
/* For handlers: the error's message, or what stands in for one. */
const char *host_message(lua_State *L);
/* Line of the innermost model frame; 0: none. Allocates nothing. */
int host_model_line(lua_State *L);

/* --- lua_sandbox.c --- */
/* Pushes a fresh environment with what the sandbox allows; templates may set metatables. */
void host_push_environment(lua_State *L, bool is_template);
/* Compiles text as `chunk` with the environment at index env; pushes the function or raises. */
void host_compile(lua_State *L, const char *text, const char *chunk, int env);

/* --- lua_copy.c --- */
/* The value on top of the stack; null with the path in it and what is wrong there. */
lua_val *host_copy(arena *a, lua_State *L, const char **where, const char **error);

#endif
