/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* team.c - the one place that knows threads: how many a call may use, and tasks on them. OpenMP
 * says whether there are any, and how many; the threads are started here, since a region of
 * OpenMP's begins and ends only when each of its threads has had a CPU. Without OpenMP the same
 * tasks run in order on the calling thread.
 *
 * A phase (attn_parallel) is a number of tasks. Whoever has a CPU takes the next one; the phase has
 * ended when all are done, and nobody is waited for who has none. The calling thread leads: it is
 * member 0, works as the others do, and does all alone if they never come. */
#include "attn_kernel.h"
#include "mode.h"

#ifdef _OPENMP
#include "sleep.h"
#include <omp.h>
#include <pthread.h>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>

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

static int32_t min32(int32_t a, int32_t b) {
    return a < b ? a : b;
}

/* Within a parallel region of the caller's its other threads have the CPUs, unless it has allowed
 * regions inside regions. */
static bool may_nest(void) {
    return omp_get_active_level() < omp_get_max_active_levels();
}

int32_t attn_team_limit(int32_t threads) {
    if (threads <= 1) return threads;
    const int32_t most = min32(min32(threads, cpus()), omp_get_thread_limit());
    return most <= 1 || !may_nest() || is_forked_child() ? 1 : most;
}

/* --- Phases --- */

enum {
    TASK_BITS = 20,
    MOST_TASKS = (1 << TASK_BITS) - 1, /* at once; more are several phases */
    MOST_MEMBERS = 4095,
    TEAMS = 64 /* calls that have threads at the same time; further ones run alone */
};

/* What a leader and its helpers share. Words that different threads write stand apart. */
typedef struct team {
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
    atomic_int threads;              /* of the call at hand: helpers beyond need not stay awake */
    atomic_uint came;                /* helpers that have come, in all */

    _Alignas(64) atomic_bool taken; /* by a call; the rest is the call's */
    int32_t started;                /* helpers */
    bool refused;                   /* the system has no thread for us: it is not asked again */
} team;

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
static void work(team *t, unsigned member) {
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
static bool look(team *t, unsigned member) {
    for (int i = 0; i < ATTN_LOOKS; i++) {
        if (is_for(atomic_load_explicit(&t->open, memory_order_relaxed), member)) return true;
        if ((int)member >= atomic_load_explicit(&t->threads, memory_order_relaxed)) return false;
        attn_pause();
    }
    return false;
}

/* Whoever opens a phase and then finds this helper asleep wakes it. */
static void doze(team *t, unsigned member) {
    atomic_fetch_add(&t->asleep, 1);
    const unsigned open = atomic_load(&t->open);
    if (!is_for(open, member)) attn_sleep(&t->open, open, bit_of(member));
    atomic_fetch_sub(&t->asleep, 1);
}

static void *help(void *of) {
    team *t = of;
    const unsigned member = 1 + atomic_fetch_add(&t->came, 1);
    for (;;) {
        if (look(t, member))
            work(t, member);
        else
            doze(t, member);
    }
    return NULL;
}

/* As many helpers as there is work for; they stay. */
static void start(team *t, int32_t helpers) {
    pthread_attr_t attributes;
    if (t->started >= helpers || t->refused || pthread_attr_init(&attributes)) return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    while (t->started < helpers && !t->refused) {
        pthread_t thread;
        t->refused = pthread_create(&thread, &attributes, help, t) != 0;
        if (!t->refused) t->started++;
    }
    pthread_attr_destroy(&attributes);
}

/* --- The leader --- */

static void open_phase(team *t, unsigned count, int32_t members) {
    atomic_store_explicit(&t->left, count, memory_order_relaxed);
    atomic_store(&t->open, (unsigned)members << TASK_BITS | count);
    /* Those who have no part in it may all be asleep. */
    const int32_t idle = t->started - (members - 1);
    if ((int32_t)atomic_load(&t->asleep) > idle) attn_wake(&t->open, bits_below((unsigned)members));
}

/* Until all tasks are done: those that others have taken. */
static void await(team *t) {
    for (int i = 0; i < ATTN_LOOKS; i++) {
        if (atomic_load_explicit(&t->left, memory_order_acquire) == 0) return;
        attn_pause();
    }
    atomic_store(&t->lead_sleeps, true);
    for (unsigned left; (left = atomic_load(&t->left)) > 0;) attn_sleep(&t->left, left, 1);
    atomic_store_explicit(&t->lead_sleeps, false, memory_order_relaxed);
}

static void lead(team *t, int64_t count, int32_t threads, attn_task_fn *fn, void *ctx) {
    atomic_store_explicit(&t->threads, threads, memory_order_relaxed);
    for (int64_t first = 0; first < count; first += MOST_TASKS) {
        const int64_t rest = count - first;
        const int32_t some = rest < MOST_TASKS ? (int32_t)rest : MOST_TASKS;
        const int32_t members = min32(threads, some);
        start(t, members - 1);
        t->fn = fn, t->ctx = ctx, t->end = first + some;
        open_phase(t, (unsigned)some, members);
        work(t, 0);
        await(t);
    }
}

static team teams[TEAMS];

/* The first that is free, whose helpers are the likeliest to be awake; null: none is. */
static team *take_team(void) {
    for (int i = 0; i < TEAMS; i++)
        if (!atomic_load_explicit(&teams[i].taken, memory_order_relaxed) &&
            !atomic_exchange_explicit(&teams[i].taken, true, memory_order_acquire))
            return &teams[i];
    return NULL;
}

#else
int32_t attn_team_limit(int32_t threads) {
    return threads < 1 ? threads : 1;
}
#endif

void attn_parallel(int64_t count, int threads, attn_task_fn *fn, void *ctx) {
#ifdef _OPENMP
    team *t = threads > 1 && count > 1 ? take_team() : NULL;
    if (t) {
        lead(t, count, min32(threads, MOST_MEMBERS), fn, ctx);
        atomic_store_explicit(&t->taken, false, memory_order_release);
        return;
    }
#endif
    (void)threads;
    attn_task_fn *volatile call = fn; /* see run_task */
    for (int64_t i = 0; i < count; i++) call(ctx, i, 0);
}
