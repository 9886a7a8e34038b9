/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* team.c - the one place that knows threads: how many a call may use, and tasks on them. OpenMP
 * says whether there are any, and how many; the threads are started here, since a region of
 * OpenMP's begins and ends only when each of its threads has had a CPU. Or they are those of the
 * caller's pool. Without either, the same tasks run in order on the calling thread.
 *
 * A call is a region (attn_team_run), with phases in it (attn_parallel). A phase is a number of
 * tasks. Whoever has a CPU takes the next one; the phase has ended when all are done, and nobody is
 * waited for who has none. One thread leads: it is member 0, works as the others do, and does all
 * alone if they never come. */
#include "attn_kernel.h"
#include "mode.h"
#include "sleep.h"

#ifdef _OPENMP
#include <omp.h>
#include <pthread.h>
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif
#endif

enum {
    TASK_BITS = 20,
    MOST_TASKS = (1 << TASK_BITS) - 1, /* at once; more are several phases */
    MOST_MEMBERS = 4094,
    TEAMS = 64 /* calls that have the library's threads at the same time; further ones run alone */
};

/* No phase: the region has ended. */
static const unsigned over = ~0u << TASK_BITS;

/* What a leader and its helpers share. Words that different threads write stand apart. */
struct attn_team {
    /* Members that may take tasks << TASK_BITS | tasks that nobody has taken. Taking one is a
     * compare and exchange, so that a thread which comes late takes a task of the phase that is
     * there, or none. */
    _Alignas(64) atomic_uint open;
    /* Of the open phase: they stay while a task is not done. */
    attn_task_fn *fn;
    void *ctx;
    int64_t end; /* the task that is taken when n are open is end - n */

    _Alignas(64) atomic_uint left; /* tasks that are not done */
    atomic_bool lead_sleeps;       /* whoever does the last one wakes the leader */

    _Alignas(64) atomic_uint asleep; /* helpers that sleep, or are about to */
    atomic_uint threads;             /* of the call at hand: helpers beyond need not stay awake */
    atomic_uint came;                /* helpers that have come, in all */

    /* Of the library's own teams. */
    _Alignas(64) atomic_bool taken; /* by a call; the rest is the call's */
    bool starts;                    /* helpers where there is work for more, as long as */
    bool refused;                   /* the system has not refused one */
    uint32_t started;
};

static unsigned min_of(unsigned a, unsigned b) {
    return a < b ? a : b;
}

static unsigned open_tasks(unsigned open) {
    return open & MOST_TASKS;
}

/* Whether there is a task for this member. */
static bool is_for(unsigned open, unsigned member) {
    return open_tasks(open) > 0 && open >> TASK_BITS > member;
}

/* A thread has a mode of its own. Tasks are never inlined here (a single file has all in one unit),
 * where their loops get fewer registers: with gcc 12 decode took up to 1.5 times as long. */
static void run_task(attn_task_fn *volatile fn, void *ctx, int64_t task, unsigned member) {
    const attn_mode mode = attn_mode_enter();
    fn(ctx, task, (int)member);
    attn_mode_leave(mode);
}

/* Takes tasks until there are none. */
static void work(attn_team *t, unsigned member) {
    unsigned open = atomic_load_explicit(&t->open, memory_order_relaxed);
    while (is_for(open, member)) {
        if (!atomic_compare_exchange_weak_explicit(&t->open, &open, open - 1, memory_order_acquire,
                                                   memory_order_relaxed))
            continue;
        run_task(t->fn, t->ctx, t->end - open_tasks(open), member);
        if (atomic_fetch_sub(&t->left, 1) == 1 && atomic_load(&t->lead_sleeps))
            attn_wake(&t->left, 1);
        open = atomic_load_explicit(&t->open, memory_order_relaxed);
    }
}

/* --- Helpers --- */

/* Helpers from 32 on share the bits of others, and wake with them. */
static unsigned bit_of(unsigned member) {
    return 1u << member % 32;
}

static unsigned bits_below(unsigned members) {
    return members < 32 ? bit_of(members) - 1 : ~0u;
}

/* Looks for a task for a while. */
static bool look(const attn_team *t, unsigned member) {
    for (int i = 0; i < ATTN_LOOKS; i++) {
        const unsigned open = atomic_load_explicit(&t->open, memory_order_relaxed);
        if (is_for(open, member)) return true;
        if (open == over || member >= atomic_load_explicit(&t->threads, memory_order_relaxed))
            return false;
        attn_pause();
    }
    return false;
}

/* Whoever opens a phase, or ends the region, and then finds this helper asleep wakes it. */
static void doze(attn_team *t, unsigned member) {
    atomic_fetch_add(&t->asleep, 1);
    const unsigned open = atomic_load(&t->open);
    if (!is_for(open, member) && open != over) attn_sleep(&t->open, open, bit_of(member));
    atomic_fetch_sub(&t->asleep, 1);
}

/* To the end of the region; the library's own have none. */
static void help(attn_team *t) {
    const unsigned member = 1 + atomic_fetch_add(&t->came, 1);
    while (atomic_load_explicit(&t->open, memory_order_relaxed) != over) {
        if (look(t, member))
            work(t, member);
        else
            doze(t, member);
    }
}

/* --- The leader --- */

static void start_helpers(attn_team *t, unsigned helpers);

static void open_phase(attn_team *t, unsigned count, unsigned members) {
    atomic_store_explicit(&t->left, count, memory_order_relaxed);
    atomic_store(&t->open, members << TASK_BITS | count);
    /* Those who have no part in it may all be asleep. */
    const unsigned came = atomic_load(&t->came), others = came - min_of(came, members - 1);
    if (atomic_load(&t->asleep) > others) attn_wake(&t->open, bits_below(members));
}

/* Until all tasks are done: those that others have taken. */
static void await(attn_team *t) {
    for (int i = 0; i < ATTN_LOOKS; i++) {
        if (atomic_load_explicit(&t->left, memory_order_acquire) == 0) return;
        attn_pause();
    }
    atomic_store(&t->lead_sleeps, true);
    for (unsigned left; (left = atomic_load(&t->left)) > 0;) attn_sleep(&t->left, left, 1);
    atomic_store_explicit(&t->lead_sleeps, false, memory_order_relaxed);
}

static void lead(attn_team *t, int64_t count, attn_task_fn *fn, void *ctx) {
    const unsigned threads = atomic_load_explicit(&t->threads, memory_order_relaxed);
    for (int64_t first = 0; first < count; first += MOST_TASKS) {
        const int64_t rest = count - first;
        const unsigned some = rest < MOST_TASKS ? (unsigned)rest : MOST_TASKS;
        const unsigned members = min_of(threads, some);
        start_helpers(t, members - 1);
        t->fn = fn, t->ctx = ctx, t->end = first + some;
        open_phase(t, some, members);
        work(t, 0);
        await(t);
    }
}

void attn_parallel(attn_team *team, int64_t count, attn_task_fn *fn, void *ctx) {
    if (team && count > 1) {
        lead(team, count, fn, ctx);
        return;
    }
    attn_task_fn *volatile call = fn; /* see run_task */
    for (int64_t i = 0; i < count; i++) call(ctx, i, 0);
}

/* --- Threads of the library's own --- */

#ifdef _OPENMP
#if defined(__unix__) || defined(__APPLE__)
/* Whether this process was forked from one that has used threads here: they are not there then. */
static bool is_forked_child(void) {
    static atomic_long owner; /* the process that used a team first; 0: none yet */
    const long self = (long)getpid();
    long first = atomic_load_explicit(&owner, memory_order_relaxed);
    if (first == 0 && atomic_compare_exchange_strong(&owner, &first, self)) return false;
    return first != self;
}
#else
static bool is_forked_child(void) {
    return false;
}
#endif

/* CPUs that this thread may use. ATTN_TEST_CPUS: as if there were that many, so that tests run
 * large teams on small machines. */
static int32_t cpus(void) {
#ifdef ATTN_TEST_CPUS
    return ATTN_TEST_CPUS;
#else
    return omp_get_num_procs();
#endif
}

/* Within a parallel region of the caller's its other threads have the CPUs, unless it has allowed
 * regions inside regions. */
static bool may_nest(void) {
    return omp_get_active_level() < omp_get_max_active_levels();
}

static int32_t own_threads(void) {
    const int32_t here = cpus(), most = omp_get_thread_limit();
    const int32_t threads = here < most ? here : most;
    return threads <= 1 || !may_nest() || is_forked_child() ? 1 : threads;
}

static void *helper(void *team) {
    help(team);
    return NULL;
}

/* As many helpers as there is work for; they stay. */
static void start_helpers(attn_team *t, unsigned helpers) {
    pthread_attr_t attributes;
    if (t->started >= helpers || t->refused || !t->starts || pthread_attr_init(&attributes)) return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    while (t->started < helpers && !t->refused) {
        pthread_t thread;
        t->refused = pthread_create(&thread, &attributes, helper, t) != 0;
        if (!t->refused) t->started++;
    }
    pthread_attr_destroy(&attributes);
}

static attn_team teams[TEAMS];

/* The first that is free, whose helpers are the likeliest to be awake; null: none is. */
static attn_team *take_team(int32_t threads) {
    for (int i = 0; i < TEAMS; i++) {
        attn_team *t = &teams[i];
        if (atomic_load_explicit(&t->taken, memory_order_relaxed) ||
            atomic_exchange_explicit(&t->taken, true, memory_order_acquire))
            continue;
        t->starts = true;
        atomic_store_explicit(&t->threads, (unsigned)threads, memory_order_relaxed);
        return t;
    }
    return NULL;
}

static void give_back(attn_team *t) {
    if (t) atomic_store_explicit(&t->taken, false, memory_order_release);
}

#else
static int32_t own_threads(void) {
    return 1;
}

static void start_helpers(attn_team *t, unsigned helpers) {
    (void)t, (void)helpers;
}

static attn_team *take_team(int32_t threads) {
    (void)threads;
    return NULL;
}

static void give_back(attn_team *t) {
    (void)t;
}
#endif

int32_t attn_team_limit(const attn_pool *pool, int32_t threads) {
    if (threads <= 1) return 1;
    const int32_t most = pool ? MOST_MEMBERS : own_threads();
    return (int32_t)min_of(min_of((unsigned)threads, MOST_MEMBERS), (unsigned)most);
}

/* --- Regions --- */

/* A call on threads of the caller's. */
typedef struct region {
    attn_team team;
    attn_team_fn *fn;
    void *ctx;
    atomic_bool led; /* the first thread leads */
} region;

static void join(void *job) {
    region *r = job;
    attn_team *t = &r->team;
    const attn_mode mode = attn_mode_enter();
    if (atomic_exchange(&r->led, true)) {
        help(t);
    } else {
        r->fn(r->ctx, t);
        atomic_store(&t->open, over);
        if (atomic_load(&t->asleep) > 0) attn_wake(&t->open, ~0u);
    }
    attn_mode_leave(mode);
}

static void run_on_pool(const attn_pool *pool, int32_t threads, attn_team_fn *fn, void *ctx) {
    region r = {.fn = fn, .ctx = ctx};
    atomic_init(&r.team.threads, (unsigned)threads);
    pool->run(pool->ctx, threads, join, &r);
    if (!atomic_load(&r.led)) join(&r);
}

void attn_team_run(const attn_pool *pool, int32_t threads, attn_team_fn *fn, void *ctx) {
    if (pool && threads > 1) {
        run_on_pool(pool, threads, fn, ctx);
        return;
    }
    attn_team *t = threads > 1 ? take_team(threads) : NULL;
    fn(ctx, t);
    give_back(t);
}
