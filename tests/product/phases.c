/* phases.c - phases of tasks on threads that come at once, late or never: phases.sh builds it with
 * futexes and without, and under TSan. Includes the runtime's team.c, so that it decides when
 * threads start. */
#define _GNU_SOURCE
#include <pthread.h>

static int start_thread(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *),
                        void *of);
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

static void run_phases(phase *p, int phases, int64_t count, int threads) {
    unsigned want[MOST] = {0}, next[MOST] = {0};
    *p = (phase){.count = count, .threads = threads, .wait = p->wait, .helped = p->helped};
    for (int n = 0; n < phases; n++) {
        attn_parallel(count, threads, phase_task, p);
        memcpy(p->before, p->after, sizeof p->after);
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

static void test_phases(int phases) {
    static const int64_t count[] = {0, 1, 2, 3, 7, 40, MOST};
    static const int threads[] = {0, 1, 2, 3, 8};
    static phase p;
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

/* More than a word holds at once. */
static void test_many_tasks(void) {
    atomic_llong sum = 0;
    const int64_t count = 2 * (int64_t)MOST_TASKS + 5;
    attn_parallel(count, 3, count_task, &sum);
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

static void test_limits(void) {
    expect(attn_team_limit(-3) == -3 && attn_team_limit(1) == 1, "limit", 0, 1);
    expect(attn_team_limit(1000) == cpus(), "not as many as there are CPUs", 0, 1000);
#ifndef NO_REGION
    int nested = 0;
#pragma omp parallel num_threads(2)
#pragma omp single
    nested = attn_team_limit(2);
    expect(nested == 1, "threads within a parallel region", 0, 2);
#endif
    checks += 3;
}

int main(int argc, char **argv) {
    const char *kind = argc > 1 ? argv[1] : "now";
    const bool now = !strcmp(kind, "now");
    if (!strcmp(kind, "never")) most_threads = 0;
    if (!strcmp(kind, "few")) most_threads = 1;
    if (!strcmp(kind, "late")) late = 2000;
    test_phases(now ? 300 : 50);
    test_sleep();
    test_many_tasks();
    if (now) test_limits(), test_callers();
    if (!strcmp(kind, "never")) expect(teams[0].came == 0, "a refused thread came", 0, 0);
    if (!strcmp(kind, "few")) expect(teams[0].came == 1, "other than one thread came", 0, 0);
    printf("%s: %d checks, %d failed\n", kind, checks, failures);
    return failures > 0;
}
