/* lua_budget.c - a state that may take so many steps, so much memory and so long. */
#define _XOPEN_SOURCE 700 /* setitimer, sigaction */
#include "lua_internal.h"

#include "text.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    STEP_SLICE = 1000, /* instructions between two looks at the budget */
    MAX_CALLS = 10000  /* nested */
};

static bool chunk_is(const lua_Debug *ar, const char *chunk) {
    return strcmp(ar->short_src, chunk) == 0;
}

int host_model_line(lua_State *L) {
    lua_Debug ar;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (chunk_is(&ar, HOST_MODEL_CHUNK) && ar.currentline > 0) return ar.currentline;
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
        if (h->L) h->oom_line = host_model_line(h->L);
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

host *host_of(lua_State *L) {
    void *ud;
    lua_getallocf(L, &ud);
    return ud;
}

const char *host_message(lua_State *L) {
    if (lua_type(L, 1) != LUA_TSTRING) /* assert(false, {}) */
        lua_pushfstring(L, "failed with a %s instead of a message", luaL_typename(L, 1));
    return lua_tostring(L, -1);
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
 * program, one of CPU time: on a busy machine a file has no less. Nothing has been written to disk
 * at that point. */
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

static void watch_start(const char *path, const host_limits *limit) {
    int n = snprintf(late_text, sizeof late_text, "%.400s: error: %s ran longer than %d s\n", path,
                     limit->what, limit->seconds);
    late_length = (size_t)n < sizeof late_text ? (size_t)n : sizeof late_text - 1;
    late_text[late_length - 1] = 0; /* the newline */
    text_mask(late_text, false);
    late_text[late_length - 1] = '\n';
    struct sigaction act = {.sa_handler = on_late};
    sigemptyset(&act.sa_mask);
    sigaction(SIGPROF, &act, &late_before);
    sigset_t this_only; /* a parent may have left it blocked */
    sigemptyset(&this_only);
    sigaddset(&this_only, SIGPROF);
    sigprocmask(SIG_UNBLOCK, &this_only, NULL);
    struct itimerval timer = {.it_value = {.tv_sec = limit->seconds}};
    setitimer(ITIMER_PROF, &timer, &late_timer_before);
}

static void watch_stop(void) {
    struct itimerval off = {{0, 0}, {0, 0}};
    setitimer(ITIMER_PROF, &off, NULL);
    sigaction(SIGPROF, &late_before, NULL);
    setitimer(ITIMER_PROF, &late_timer_before, NULL);
}

void host_begin(host *h, const char *what) {
    h->L = lua_newstate(budget_alloc, h);
    if (!h->L) out_of_memory(); /* the budget has room for a state */
    lua_sethook(h->L, count_steps, LUA_MASKCOUNT, STEP_SLICE);
    watch_start(what, h->limit);
}

void host_end(host *h) {
    watch_stop();
    lua_close(h->L);
}

int host_call(host *h, lua_CFunction function, void *argument) {
    lua_pushcfunction(h->L, h->explain);
    lua_pushcfunction(h->L, function);
    lua_pushlightuserdata(h->L, argument);
    const int status = lua_pcall(h->L, 1, 1, 1);
    if (status == LUA_ERRMEM && h->system_is_out) out_of_memory();
    return status;
}
