#define _XOPEN_SOURCE 700 /* setitimer, sigaction */
#include "lua_host.h"

#include "text.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <math.h>
#include <float.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* Chunk names as Lua prints them in messages, "NAME:LINE:". */
#define MODEL_CHUNK "(model)"
#define PRELUDE_CHUNK "(prelude)"
#define DRIVER_CHUNK "(driver)"

enum {
    MODEL_BYTES = 1 << 20,       /* of a model file */
    STEP_SLICE = 1000,           /* instructions between two looks at the budget */
    MAX_DEPTH = 16,              /* of tables in a result */
    MAX_VALUES = 500000,         /* in a result */
    MAX_RESULT_BYTES = 16 << 20, /* of strings in a result */
    MAX_CALLS = 10000,           /* nested */
    MAX_FRAMES = 12              /* lines of a traceback */
};

/* What a run may use. Templates are ours: their limits only catch mistakes, on slow hosts too. */
typedef struct limits {
    const char *what;
    int64_t steps;
    size_t bytes;
    int seconds;
} limits;
static const limits model_limits = {"model file", 50000000, (size_t)64 << 20, 5};
static const limits template_limits = {"template", 500000000, (size_t)256 << 20, 60};

typedef struct host {
    lua_State *L;
    const limits *limit;
    bool is_template;
    size_t used; /* bytes */
    int64_t steps;
    int oom_line;       /* model line at which memory ran out; 0: unknown */
    bool system_is_out; /* the last refusal was the system's, not the budget's */
    arena *a;
    const lua_source *sources;
    int source_count;
} host;

/* --- Values --- */

static lua_val *new_val(arena *a, lua_kind kind) {
    lua_val *v = arena_alloc(a, sizeof *v);
    v->kind = kind;
    return v;
}

lua_val *lua_val_table(arena *a) {
    return new_val(a, LUA_VAL_TABLE);
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
    lua_val *x = new_val(a, LUA_VAL_INT);
    x->integer = v;
    lua_val_set(a, table, name, x);
}

void lua_val_set_bool(arena *a, lua_val *table, const char *name, bool v) {
    lua_val *x = new_val(a, LUA_VAL_BOOL);
    x->boolean = v;
    lua_val_set(a, table, name, x);
}

void lua_val_set_float(arena *a, lua_val *table, const char *name, double v) {
    lua_val *x = new_val(a, LUA_VAL_FLOAT);
    x->number = v;
    lua_val_set(a, table, name, x);
}

void lua_val_set_string(arena *a, lua_val *table, const char *name, const char *v) {
    lua_val *x = new_val(a, LUA_VAL_STRING);
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

/* --- Budget --- */

static bool chunk_is(const lua_Debug *ar, const char *chunk) {
    return strcmp(ar->short_src, chunk) == 0;
}

/* Line of the innermost model frame; 0: none. Allocates nothing. */
static int model_line(lua_State *L) {
    lua_Debug ar;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (chunk_is(&ar, MODEL_CHUNK) && ar.currentline > 0) return ar.currentline;
    }
    return 0;
}

static void *budget_alloc(void *ud, void *p, size_t old, size_t size) {
    host *h = ud;
    if (!p) old = 0; /* then it is a type tag */
    if (size == 0) {
        free(p);
        h->used -= old;
        return NULL;
    }
    if (size > old && size - old > h->limit->bytes - h->used) {
        if (h->L) h->oom_line = model_line(h->L);
        h->system_is_out = false;
        return NULL;
    }
    void *q = realloc(p, size);
    if (q)
        h->used += size - old;
    else
        h->system_is_out = true; /* Lua collects garbage and tries once more */
    return q;
}

static host *host_of(lua_State *L) {
    void *ud;
    lua_getallocf(L, &ud);
    return ud;
}

static void count_steps(lua_State *L, lua_Debug *ar) {
    host *h = host_of(L);
    h->steps += STEP_SLICE;
    if (h->steps > h->limit->steps)
        luaL_error(L, "ran more than %d million steps: is there an endless loop?",
                   (int)(h->limit->steps / 1000000));
    if (lua_getstack(L, MAX_CALLS, ar))
        luaL_error(L, "more than %d nested calls: is there an endless recursion?", MAX_CALLS);
}

/* Steps do not count inside C functions (a pattern match may take years), so a timer ends the
 * program. Nothing has been written to disk at that point. */
static char late_text[512];
static size_t late_length;
static struct sigaction late_before;
static struct itimerval late_timer_before;

static void on_late(int signal_number) {
    (void)signal_number;
    ssize_t ignored = write(STDERR_FILENO, late_text, late_length);
    (void)ignored;
    _exit(2);
}

static void watch_start(const char *path, const limits *limit) {
    int n = snprintf(late_text, sizeof late_text, "%.400s: error: %s ran longer than %d s\n", path,
                     limit->what, limit->seconds);
    late_length = (size_t)n < sizeof late_text ? (size_t)n : sizeof late_text - 1;
    late_text[late_length - 1] = 0; /* the newline */
    text_mask(late_text, false);
    late_text[late_length - 1] = '\n';
    struct sigaction act = {.sa_handler = on_late};
    sigemptyset(&act.sa_mask);
    sigaction(SIGALRM, &act, &late_before);
    sigset_t alarm_only; /* a parent may have left it blocked */
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
    struct itimerval timer = {.it_value = {.tv_sec = limit->seconds}};
    setitimer(ITIMER_REAL, &timer, &late_timer_before);
}

static void watch_stop(void) {
    struct itimerval off = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &off, NULL);
    sigaction(SIGALRM, &late_before, NULL);
    setitimer(ITIMER_REAL, &late_timer_before, NULL);
}

/* --- Sandbox --- */

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

/* Pushes a fresh environment with what the sandbox allows. */
static void push_environment(lua_State *L, bool is_template) {
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

/* Compiles text as `chunk` with the environment at index env; pushes the function or raises. */
static void compile(lua_State *L, const char *text, const char *chunk, int env) {
    env = lua_absindex(L, env);
    const char *name = lua_pushfstring(L, "=%s", chunk);
    if (luaL_loadbufferx(L, text, strlen(text), name, "t") != LUA_OK) lua_error(L);
    lua_pushvalue(L, env);
    lua_setupvalue(L, -2, 1);
    lua_remove(L, -2);
}

/* --- Messages --- */

/* "CHUNK:LINE: " at the start of a message: its length, or 0. */
static size_t position_length(const char *message, const char *chunk, int *line) {
    size_t n = strlen(chunk);
    if (strncmp(message, chunk, n) != 0 || message[n] != ':') return 0;
    char *end;
    *line = (int)strtol(message + n + 1, &end, 10);
    if (end[0] != ':') return 0;
    return (size_t)(end - message) + (end[1] == ' ' ? 2 : 1);
}

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

/* Message handler: runs before the stack unwinds, so that it knows the lines. */
static int explain_error(lua_State *L) {
    host *h = host_of(L);
    if (lua_type(L, 1) != LUA_TSTRING) /* assert(false, {}) */
        lua_pushfstring(L, "failed with a %s instead of a message", luaL_typename(L, 1));
    const char *message = lua_tostring(L, -1);
    luaL_Buffer b;
    int line = 0;
    size_t skip = 0;
    if (!h->is_template) {
        /* A helper's own line says nothing to the author of a model: name the line that called. */
        skip = position_length(message, PRELUDE_CHUNK, &line);
        bool placed = position_length(message, MODEL_CHUNK, &line) > 0;
        lua_Integer at = model_line(L);
        luaL_buffinit(L, &b);
        if (!placed && at > 0) {
            char position[64];
            snprintf(position, sizeof position, MODEL_CHUNK ":%d: ", (int)at);
            luaL_addstring(&b, position);
        }
        luaL_addstring(&b, message + skip);
    } else {
        luaL_buffinit(L, &b);
        luaL_addstring(&b, message);
        add_frames(L, h, &b);
    }
    luaL_pushresult(&b);
    return 1;
}

/* The line numbered `line` of the source under a message, as the checks of model.c show it. */
static void add_source_line(buf *b, const char *source, int line) {
    while (--line > 0 && source) {
        source = strchr(source, '\n');
        if (source) source++;
    }
    if (!source) return;
    size_t n = strcspn(source, "\r\n");
    if (n == 0) return;
    buf_printf(b, "\n    %s", text_shown_n(b->a, source, n > 160 ? 160 : n));
}

static bool model_error(host *h, int status, const char *path, const char *source, diag *d) {
    buf b = buf_new(h->a);
    int line = h->oom_line > 0 ? h->oom_line : 1;
    path = text_shown(h->a, path);
    const char *message = lua_tostring(h->L, -1);
    if (status == LUA_ERRMEM) {
        buf_printf(&b, "%s:%d:1: used more than %zu MiB of memory", path, line,
                   h->limit->bytes >> 20);
    } else {
        if (!message) message = "unknown error";
        line = 1;
        size_t skip = position_length(message, MODEL_CHUNK, &line);
        buf_printf(&b, "%s:%d:1: %s", path, line, message + skip);
    }
    add_source_line(&b, source, line);
    return diag_set(d, "%s", b.data);
}

/* --- Results --- */

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
    if (c->bytes > MAX_RESULT_BYTES) {
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

/* The value on top of the stack; null with c->error set. */
static lua_val *copy_value(copier *c, int depth) {
    lua_State *L = c->L;
    if (++c->values > MAX_VALUES) return copy_fail(c, "makes the model too large: 500000 values");
    lua_val *v = new_val(c->a, LUA_VAL_NIL);
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

static bool copy_model(host *h, const char *path, lua_val **out, diag *d) {
    if (lua_type(h->L, -1) != LUA_TTABLE)
        return diag_set(d, "%s:1:1: must return a table { name = .., layers = { .. } }, got %s",
                        text_shown(h->a, path), luaL_typename(h->L, -1));
    copier c = {.a = h->a, .L = h->L};
    *out = copy_value(&c, 0);
    if (*out) return true;
    return diag_set(d, "%s:1:1: %s %s", text_shown(h->a, path),
                    *c.where ? text_shown(h->a, c.where) : "the model", c.error);
}

/* --- Runs --- */

static void open_host(host *h) {
    h->L = lua_newstate(budget_alloc, h);
    if (!h->L) out_of_memory(); /* the budget has room for a state */
    lua_sethook(h->L, count_steps, LUA_MASKCOUNT, STEP_SLICE);
}

/* Calls a C function with one argument: LUA_OK, or an error with its message on the stack. The
 * system's want of memory is nobody's error, and ends the program. */
static int call_host(host *h, lua_CFunction function, void *argument) {
    lua_pushcfunction(h->L, explain_error);
    lua_pushcfunction(h->L, function);
    lua_pushlightuserdata(h->L, argument);
    const int status = lua_pcall(h->L, 1, 1, 1);
    if (status == LUA_ERRMEM && h->system_is_out) out_of_memory();
    return status;
}

typedef struct model_job {
    const char *source, *prelude;
} model_job;

static int run_model(lua_State *L) {
    const model_job *job = lua_touserdata(L, 1);
    push_environment(L, false);
    int env = lua_gettop(L);
    if (job->prelude) {
        compile(L, job->prelude, PRELUDE_CHUNK, env);
        lua_call(L, 0, 0);
    }
    compile(L, job->source, MODEL_CHUNK, env);
    lua_call(L, 0, 1);
    return 1;
}

bool lua_eval_model(arena *a, const char *path, const char *source, const char *prelude,
                    lua_val **out, diag *d) {
    if (strlen(source) > MODEL_BYTES) return diag_set(d, "%s: larger than 1 MiB", path);
    if (strncmp(source, "\xef\xbb\xbf", 3) == 0) source += 3;
    host h = {.limit = &model_limits, .a = a};
    open_host(&h);
    model_job job = {source, prelude};
    watch_start(path, h.limit);
    const int status = call_host(&h, run_model, &job);
    bool ok =
        status == LUA_OK ? copy_model(&h, path, out, d) : model_error(&h, status, path, source, d);
    watch_stop();
    lua_close(h.L);
    return ok;
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
        compile(L, h->sources[i].chunk, name, 2);
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
    push_environment(L, true);
    int env = lua_gettop(L);
    lua_pushcfunction(L, load_source);
    lua_setfield(L, env, "chunk");
    lua_pushcfunction(L, float_literal);
    lua_setfield(L, env, "f32");
    push_value(L, job->data);
    lua_setfield(L, env, "data");
    compile(L, job->driver, DRIVER_CHUNK, env);
    lua_call(L, 0, 1);
    if (lua_type(L, -1) != LUA_TSTRING)
        return luaL_error(L, "the driver must return a string, got %s", luaL_typename(L, -1));
    return 1;
}

bool lua_render(arena *a, const lua_source *sources, int source_count, const char *driver,
                const lua_val *data, const char **text, diag *d) {
    host h = {.limit = &template_limits,
              .is_template = true,
              .a = a,
              .sources = sources,
              .source_count = source_count};
    open_host(&h);
    render_job job = {driver, data};
    watch_start("templates", h.limit);
    const int status = call_host(&h, run_driver, &job);
    size_t n = 0;
    const char *result = lua_tolstring(h.L, -1, &n);
    if (status == LUA_OK)
        *text = arena_strndup(a, result, n);
    else if (status == LUA_ERRMEM)
        diag_set(d, "templates used more than %zu MiB of memory", h.limit->bytes >> 20);
    else
        diag_set(d, "%s", result ? result : "unknown error");
    watch_stop();
    lua_close(h.L);
    return status == LUA_OK;
}
