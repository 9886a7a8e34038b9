/* lua_model.c - runs a model file; errors are told by its lines. */
#include "lua_internal.h"

#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRELUDE_CHUNK "(prelude)"

static const host_limits limits = {"model file", 50000000, (size_t)64 << 20, 5};

/* "CHUNK:LINE: " at the start of a message: its length, or 0. */
static size_t position_length(const char *message, const char *chunk, int *line) {
    size_t n = strlen(chunk);
    if (strncmp(message, chunk, n) != 0 || message[n] != ':') return 0;
    char *end;
    *line = (int)strtol(message + n + 1, &end, 10);
    if (end[0] != ':') return 0;
    return (size_t)(end - message) + (end[1] == ' ' ? 2 : 1);
}

/* A helper's own line says nothing to the author of a model: names the line that called. */
static int explain_error(lua_State *L) {
    const char *message = host_message(L);
    int line = 0;
    const size_t skip = position_length(message, PRELUDE_CHUNK, &line);
    const bool placed = position_length(message, HOST_MODEL_CHUNK, &line) > 0;
    const int at = host_model_line(L);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    if (!placed && at > 0) {
        char position[64];
        snprintf(position, sizeof position, HOST_MODEL_CHUNK ":%d: ", at);
        luaL_addstring(&b, position);
    }
    luaL_addstring(&b, message + skip);
    luaL_pushresult(&b);
    return 1;
}

/* The line numbered `line` of the source under a message, as source_show does. */
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
        size_t skip = position_length(message, HOST_MODEL_CHUNK, &line);
        buf_printf(&b, "%s:%d:1: %s", path, line, message + skip);
    }
    add_source_line(&b, source, line);
    return diag_set(d, "%s", b.data);
}

static bool copy_model(host *h, const char *path, lua_val **out, diag *d) {
    if (lua_type(h->L, -1) != LUA_TTABLE)
        return diag_set(d, "%s:1:1: must return a table { name = .., layers = { .. } }, got %s",
                        text_shown(h->a, path), luaL_typename(h->L, -1));
    const char *where, *error;
    *out = host_copy(h->a, h->L, &where, &error);
    if (*out) return true;
    return diag_set(d, "%s:1:1: %s %s", text_shown(h->a, path),
                    *where ? text_shown(h->a, where) : "the model", error);
}

typedef struct model_job {
    const char *source, *prelude;
} model_job;

static int run_model(lua_State *L) {
    const model_job *job = lua_touserdata(L, 1);
    host_push_environment(L, false);
    int env = lua_gettop(L);
    if (job->prelude) {
        host_compile(L, job->prelude, PRELUDE_CHUNK, env);
        lua_call(L, 0, 0);
    }
    host_compile(L, job->source, HOST_MODEL_CHUNK, env);
    lua_call(L, 0, 1);
    return 1;
}

bool lua_eval_model(arena *a, const char *path, const char *source, const char *prelude,
                    lua_val **out, diag *d) {
    if (strlen(source) > LUA_MODEL_MAX_BYTES) return diag_set(d, "%s: larger than 1 MiB", path);
    if (strncmp(source, "\xef\xbb\xbf", 3) == 0) source += 3;
    host h = {.limit = &limits, .explain = explain_error, .a = a};
    host_begin(&h, path);
    model_job job = {source, prelude};
    const int status = host_call(&h, run_model, &job);
    const bool ok =
        status == LUA_OK ? copy_model(&h, path, out, d) : model_error(&h, status, path, source, d);
    host_end(&h);
    return ok;
}
