/* phases.c - phases of tasks on threads that come at once, late or never: phases.sh builds it with
 * futexes and without, and under TSan. Includes the runtime's team.c, so that it decides when
 * threads start. */
#define _GNU_SOURCE
#include <pthread.h>

__attribute__((unused)) static int start_thread(pthread_t *thread, const pthread_attr_t *attributes,
                                                void *(*fn)(void *), void *of);
#define pthread_create start_thread
#include "team.c"
#undef pthread_create

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- Threads that start when the test wants them to. --- */

static atomic_int most_threads = 1000, started; /* more are refused */
static atomic_int late;                         /* microseconds until a thread does anything */

typedef struct beginning {
    void *(*fn)(void *);
    void *of;
} beginning;

static void *begin(void *of) {
    const beginning b = *(beginning *)of;
    free(of);
    usleep((useconds_t)atomic_load(&late));
    return b.fn(b.of);
}

static int start_thread(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *),
                        void *of) {
    if (atomic_fetch_add(&started, 1) >= atomic_load(&most_threads)) return 11;
    beginning *b = malloc(sizeof *b);
    if (!b) abort();
    *b = (beginning){fn, of};
    return pthread_create(thread, attributes, begin, b);
}

/* --- Phases. --- */

static atomic_int checks, failures;

static void expect(bool ok, const char *what, int64_t count, int threads) {
    if (ok) return;
    if (atomic_fetch_add(&failures, 1) < 10)
        printf("FAIL %s: %lld tasks, %d threads\n", what, (long long)count, threads);
}

enum { MOST = 3000, MEMBERS = 64 };

/* Nothing here is atomic: a member works in a place of its own, a task is run once, and a phase
 * sees all of the phase before. */
typedef struct phase {
    int64_t count;
    int threads, wait; /* microseconds that every fifth task takes */
    unsigned before[MOST], after[MOST];
    _Alignas(64) int64_t done[MEMBERS][8]; /* by member */
    bool wrong;
    int64_t helped; /* tasks that the leader has not done, of all runs */
    const attn_pool *pool;
    int phases;
} phase;

static void phase_task(void *ctx, int64_t task, int member) {
    phase *p = ctx;
    const int64_t threads = p->threads > 1 ? p->threads : 1;
    const int64_t most = p->count < threads ? p->count : threads;
    if (member < 0 || member >= most || task < 0 || task >= p->count) p->wrong = true;
    if (p->wait && task % 5 == 0) usleep((useconds_t)p->wait);
    p->done[member][0]++;
    p->after[task] += p->before[(task + 1) % p->count] * 5 + p->before[task] + 1;
}

/* One region. */
static void all_phases(void *ctx, attn_team *team) {
    phase *p = ctx;
    for (int n = 0; n < p->phases; n++) {
        attn_parallel(team, p->count, phase_task, p);
        memcpy(p->before, p->after, sizeof p->after);
    }
}

static void run_phases(phase *p, int phases, int64_t count, int threads) {
    unsigned want[MOST] = {0}, next[MOST] = {0};
    *p = (phase){.count = count,
                 .threads = threads,
                 .wait = p->wait,
                 .helped = p->helped,
                 .pool = p->pool,
                 .phases = phases};
    attn_team_run(p->pool, threads, all_phases, p);
    for (int n = 0; n < phases; n++) {
        for (int64_t i = 0; i < count; i++) next[i] += want[(i + 1) % count] * 5 + want[i] + 1;
        memcpy(want, next, sizeof want);
    }
    int64_t done = 0;
    for (int i = 0; i < MEMBERS; i++) done += p->done[i][0];
    p->helped += done - p->done[0][0];
    expect(!p->wrong, "a member's or a task's number", count, threads);
    expect(done == phases * count, "tasks not done, or twice", count, threads);
    expect(!memcmp(want, p->after, sizeof want), "a phase did not see the one before", count,
           threads);
    checks++;
}

static void test_phases(const attn_pool *pool, int phases) {
    static const int64_t count[] = {0, 1, 2, 3, 7, 40, MOST};
    static const int threads[] = {0, 1, 2, 3, 8};
    static phase p;
    p.pool = pool;
    for (size_t i = 0; i < sizeof count / sizeof *count; i++)
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++)
            run_phases(&p, count[i] == MOST ? 3 : phases, count[i], threads[t]);
}

/* Helpers sleep between phases, and the leader until the last of them is done. */
static void test_sleep(void) {
    static phase p;
    const bool alone = atomic_load(&most_threads) == 0;
    p.wait = 300;
    for (int i = 0; i < 20; i++) {
        run_phases(&p, 2, 7, 3);
        usleep(3000);
    }
    expect((p.helped == 0) == alone, "nobody woke, or nobody was there to", 7, 3);
}

static void count_task(void *ctx, int64_t task, int member) {
    (void)member;
    atomic_fetch_add_explicit((atomic_llong *)ctx, task, memory_order_relaxed);
}

static const int64_t many_tasks = 2 * (int64_t)MOST_TASKS + 5;

static void count_tasks(void *ctx, attn_team *team) {
    attn_parallel(team, many_tasks, count_task, ctx);
}

/* More than a word holds at once. */
static void test_many_tasks(void) {
    atomic_llong sum = 0;
    const int64_t count = many_tasks;
    attn_team_run(NULL, 3, count_tasks, &sum);
    expect(sum == count * (count - 1) / 2, "the sum of all tasks", count, 3);
    checks++;
}

static void *call(void *of) {
    phase *p = of;
    for (int i = 0; i < 10; i++) run_phases(p, 10, 1 + i, 2 + i % 3);
    return NULL;
}

/* More calls at a time than there are teams. */
static void test_callers(void) {
    enum { CALLERS = TEAMS + 16 };
    pthread_t thread[CALLERS];
    phase *p = calloc(CALLERS, sizeof *p + 64);
    for (int i = 0; i < CALLERS; i++)
        if (!p || pthread_create(&thread[i], NULL, call, p + i)) abort();
    for (int i = 0; i < CALLERS; i++) pthread_join(thread[i], NULL);
    free(p);
}

/* --- Pools of the caller's. --- */

typedef struct member {
    void (*work)(void *job);
    void *job;
    int late; /* microseconds */
} member;

static void *member_thread(void *of) {
    const member *m = of;
    usleep((useconds_t)m->late);
    m->work(m->job);
    return NULL;
}

/* So many threads, so late, beside the calling one or instead of it. */
static void run_threads(int threads, int late_by, bool here, void (*work)(void *job), void *job) {
    pthread_t thread[32];
    member m = {work, job, late_by};
    for (int i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, member_thread, &m)) abort();
    if (here) work(job);
    for (int i = 0; i < threads; i++) pthread_join(thread[i], NULL);
}

static void pool_at_once(void *ctx, int32_t threads, void (*work)(void *job), void *job) {
    (void)ctx;
    run_threads(threads - 1, 0, true, work, job);
}
static void pool_late(void *ctx, int32_t threads, void (*work)(void *job), void *job) {
    (void)ctx;
    run_threads(threads - 1, 500, true, work, job);
}
static void pool_elsewhere(void *ctx, int32_t threads, void (*work)(void *job), void *job) {
    (void)ctx;
    run_threads(threads, 0, false, work, job);
}
static void pool_crowd(void *ctx, int32_t threads, void (*work)(void *job), void *job) {
    (void)ctx;
    run_threads(2 * threads + 3, 0, true, work, job);
}
static void pool_in_turn(void *ctx, int32_t threads, void (*work)(void *job), void *job) {
    (void)ctx;
    for (int i = 0; i < threads; i++) work(job);
}
static void pool_alone(void *ctx, int32_t threads, void (*work)(void *job), void *job) {
    (void)ctx, (void)threads;
    work(job);
}
static void pool_never(void *ctx, int32_t threads, void (*work)(void *job), void *job) {
    (void)threads, (void)work, (void)job;
    *(int *)ctx = 1;
}

static void test_pools(void) {
    static int asked;
    static const attn_pool pools[] = {
        {sizeof(attn_pool), pool_at_once, NULL},   {sizeof(attn_pool), pool_late, NULL},
        {sizeof(attn_pool), pool_elsewhere, NULL}, {sizeof(attn_pool), pool_crowd, NULL},
        {sizeof(attn_pool), pool_in_turn, NULL},   {sizeof(attn_pool), pool_alone, NULL},
        {sizeof(attn_pool), pool_never, &asked}};
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) test_phases(&pools[i], 12);
    expect(asked, "the context of a pool", 0, 0);
    expect(attn_team_limit(pools, 1000) == 1000 && attn_team_limit(pools, 65536) == MOST_MEMBERS,
           "limit of a pool", 0, 1000);
    static phase p;
    p.pool = pools, p.wait = 300;
    for (int i = 0; i < 5; i++) run_phases(&p, 3, 7, 3);
    expect(p.helped > 0, "a pool's threads did nothing", 7, 3);
}

#ifdef _OPENMP
static void test_limits(void) {
    expect(attn_team_limit(NULL, 0) == 1 && attn_team_limit(NULL, 1) == 1, "limit", 0, 1);
    expect(attn_team_limit(NULL, 1000) == cpus(), "not as many as there are CPUs", 0, 1000);
#ifndef NO_REGION
    int nested = 0;
#pragma omp parallel num_threads(2)
#pragma omp single
    nested = attn_team_limit(NULL, 2);
    expect(nested == 1, "threads within a parallel region", 0, 2);
#endif
    checks += 3;
}

static void test_own(const char *kind) {
    const bool now = !strcmp(kind, "now");
    if (!strcmp(kind, "never")) most_threads = 0;
    if (!strcmp(kind, "few")) most_threads = 1;
    if (!strcmp(kind, "late")) late = 2000;
    test_phases(NULL, now ? 300 : 50);
    test_sleep();
    test_many_tasks();
    if (now) test_limits(), test_callers();
    if (!strcmp(kind, "never")) expect(teams[0].came == 0, "a refused thread came", 0, 0);
    if (!strcmp(kind, "few")) expect(teams[0].came == 1, "other than one thread came", 0, 0);
}
#else
static void test_own(const char *kind) {
    (void)kind, (void)test_callers, (void)late, (void)started;
    expect(attn_team_limit(NULL, 8) == 1, "threads without OpenMP", 0, 8);
    most_threads = 0;
    test_phases(NULL, 3);
    test_sleep();
    test_many_tasks();
}
#endif

int main(int argc, char **argv) {
    const char *kind = argc > 1 ? argv[1] : "now";
    if (strcmp(kind, "pools"))
        test_own(kind);
    else
        test_pools();
    printf("%s: %d checks, %d failed\n", kind, checks, failures);
    return failures > 0;
}
