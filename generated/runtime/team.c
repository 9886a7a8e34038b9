/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* team.c - the one place that knows OpenMP: how many threads a call may use, and tasks on them.
 * Without OpenMP the same tasks run in order on the calling thread. */
#include "attn_kernel.h"
#include "mode.h"

#ifdef _OPENMP
#include <omp.h>

#if defined(__unix__) || defined(__APPLE__)
#include <stdatomic.h>
#include <unistd.h>

/* Whether this process was forked from one that has used a team here: the threads of libgomp's pool
 * are not there then, and it would wait for them for ever. */
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

int32_t attn_team_limit(int32_t threads) {
    if (threads <= 1) return threads;
    const int32_t most = min32(min32(threads, cpus()), omp_get_thread_limit());
    return most <= 1 || is_forked_child() ? 1 : most;
}

/* No thread is started that has no task. But none is let go of either: libgomp ends threads where a
 * team is smaller than the last, and starts them again where it is larger, so that a region with
 * few tasks between others would cost more than it saves. */
static int team_size(int64_t count, int threads) {
    static _Thread_local int last; /* the calling thread's last team, as its pool holds it */
    int team = count < threads ? (int)count : threads;
    if (team < last) team = min32(last, threads);
    return last = team;
}

/* A pool's threads have a mode of their own. */
static inline void run_task(attn_task_fn *fn, void *ctx, int64_t task, int worker) {
    const attn_mode mode = attn_mode_enter();
    fn(ctx, task, worker);
    attn_mode_leave(mode);
}

#else
int32_t attn_team_limit(int32_t threads) {
    return threads < 1 ? threads : 1;
}
#endif

void attn_parallel(int64_t count, int threads, attn_task_fn *fn, void *ctx) {
#ifdef _OPENMP
    if (threads > 1 && count > 1) {
        const int team = team_size(count, threads);
        if (count < team) { /* a task each, and no worker's number above the tasks' */
#pragma omp parallel for schedule(static, 1) num_threads(team)
            for (int64_t i = 0; i < count; i++) run_task(fn, ctx, i, (int)i);
            return;
        }
#pragma omp parallel for schedule(dynamic, 1) num_threads(team)
        for (int64_t i = 0; i < count; i++) run_task(fn, ctx, i, omp_get_thread_num());
        return;
    }
#endif
    (void)threads;
    /* Never inlined here (a single file has all in one unit), where a task's loops get fewer
     * registers: with gcc 12 decode took up to 1.5 times as long. */
    attn_task_fn *volatile call = fn;
    for (int64_t i = 0; i < count; i++) call(ctx, i, 0);
}
