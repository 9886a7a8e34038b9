/* unseen.c - keys that no row sees cost nothing: unseen KIND. Includes one generated kernel, so
 * that its tasks can be counted. All of K and V is out of bounds but for the keys that the contract
 * shows to some row; the answers are the reference's, the bits those of any number of threads and
 * of a tight cache; tasks and workspace go by what is seen. unseen.sh builds it once a KIND. */
#include "attn_kernel.h"

static int64_t tasks; /* of all calls since it was 0 */

static void count_parallel(attn_team *team, int64_t count, attn_task_fn *fn, void *ctx) {
    tasks += count;
    attn_parallel(team, count, fn, ctx);
}
#define attn_parallel count_parallel
#include KERNEL

#include "k.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { H = 2, WIDTH = 64, MAX_BATCH = 3, MAX_ROWS = 64, PAGE = 4096 };

/* One call: items of `rows` queries that see the keys of `kind`. */
typedef struct problem {
    const char *kind;
    int32_t batch, rows;
    int32_t start[MAX_BATCH], held[MAX_BATCH];
    int32_t seg[MAX_BATCH * MAX_ROWS];
    int32_t position[MAX_BATCH * MAX_ROWS]; /* far: of each row */
} problem;

/* The keys lo..hi of a row, as the contract says for unseen.sh's flags. */
static void keys_of(const problem *p, int32_t b, int32_t i, int64_t *lo, int64_t *hi) {
    const bool far = !strcmp(p->kind, "far");
    const int64_t seg = p->seg[b * MAX_ROWS + i];
    const int64_t q = far ? p->position[b * MAX_ROWS + i] : (int64_t)p->start[b] + i;
    *lo = 0, *hi = q;
    if (!strcmp(p->kind, "slide") || far) *lo = q - 255;
    if (!strcmp(p->kind, "ahead")) *lo = q - 20, *hi = q + 9;
    if (!strcmp(p->kind, "near")) *lo = q - 99;
    if (!strcmp(p->kind, "block")) *lo = q / 64 * 64;
    if (!strcmp(p->kind, "cross")) *lo = seg - 40, *hi = seg;
    if (*lo < 0) *lo = 0;
    if (*hi > p->held[b] - 1) *hi = p->held[b] - 1;
    /* Where rows look to places of their own, blocks of 96 keys are read as a whole. */
    if (strcmp(p->kind, "cross") && !far) return;
    *lo = *lo / 96 * 96, *hi = *hi / 96 * 96 + 95;
    if (*hi > p->held[b] - 1) *hi = p->held[b] - 1;
}

static float number(int64_t i) { /* -1 .. 1 */
    uint64_t x = (uint64_t)i * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9u;
    return (float)(x >> 40) / 8388608.0f - 1.0f;
}

static void die(const char *what) {
    perror(what);
    exit(2);
}

/* [batch][head][capacity][WIDTH], of which only what some row sees is there. */
static float *keys_and_values(const problem *p, int64_t capacity, int64_t salt) {
    const size_t bytes = (size_t)p->batch * H * (size_t)capacity * WIDTH * sizeof(float);
    char *map = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) die("mmap");
    for (int32_t b = 0; b < p->batch; b++)
        for (int32_t h = 0; h < H; h++)
            for (int32_t i = 0; i < p->rows; i++) {
                int64_t lo, hi;
                keys_of(p, b, i, &lo, &hi);
                if (lo > hi) continue;
                const int64_t head = ((int64_t)b * H + h) * capacity;
                float *rows = (float *)(void *)map + (head + lo) * WIDTH;
                const size_t from = (size_t)((char *)rows - map) / PAGE * PAGE;
                const size_t to = (size_t)((char *)(rows + (hi - lo + 1) * WIDTH) - map);
                if (mprotect(map + from, to - from, PROT_READ | PROT_WRITE)) die("mprotect");
                for (int64_t n = 0; n < (hi - lo + 1) * WIDTH; n++)
                    rows[n] = number(salt + (b * H + h) * 1000003 + lo * WIDTH + n);
            }
    return (float *)(void *)map;
}

/* What a call did. */
typedef struct outcome {
    float o[MAX_BATCH * H * MAX_ROWS * WIDTH], lse[MAX_BATCH * H * MAX_ROWS];
    int64_t tasks;
    size_t workspace;
} outcome;

static void run_problem(const problem *p, int32_t capacity, int32_t threads, bool reference,
                        outcome *out) {
    static float q[MAX_BATCH * H * MAX_ROWS * WIDTH];
    for (size_t i = 0; i < sizeof q / sizeof *q; i++) q[i] = number((int64_t)i - 77);
    memset(out, 0, sizeof *out);
    attn_plan *plan;
    if (k_create(&plan, 0, reference ? ATTN_REFERENCE : 0)) die("k_create");
    attn_args a = ATTN_ARGS_INIT;
    a.batch = p->batch, a.q_len = p->rows, a.kv_len_max = capacity, a.threads = threads;
    float *k = keys_and_values(p, capacity, 1), *v = keys_and_values(p, capacity, 2);
    const int64_t head = (int64_t)capacity * WIDTH;
    a.q = (attn_view){q, H * MAX_ROWS * WIDTH, MAX_ROWS * WIDTH, WIDTH};
    a.k = (attn_view){k, H * head, head, WIDTH};
    a.v = (attn_view){v, H * head, head, WIDTH};
    a.o = (attn_out){out->o, H * MAX_ROWS * WIDTH, MAX_ROWS * WIDTH, WIDTH};
    a.lse = out->lse, a.lse_batch = H * MAX_ROWS, a.lse_head = MAX_ROWS;
    a.q_start = p->start, a.kv_len = p->held;
    if (!strcmp(p->kind, "cross")) a.seg = p->seg, a.seg_batch = MAX_ROWS;
    if (!strcmp(p->kind, "far")) a.q_position = p->position, a.q_position_batch = MAX_ROWS;
    const attn_extent e = {sizeof e, a.batch, a.q_len, capacity, threads, 0};
    if (attn_workspace(plan, &e, &out->workspace)) die("attn_workspace");
    const size_t bytes = (out->workspace + PAGE) / PAGE * PAGE;
    a.workspace = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (a.workspace == MAP_FAILED) die("mmap");
    a.workspace_bytes = out->workspace;
    tasks = 0;
    const attn_status status = attn_run(plan, &a);
    if (status) printf("FAIL %s: %s\n", p->kind, attn_status_text(status)), exit(1);
    out->tasks = tasks;
    const size_t kv = (size_t)(p->batch * H * head) * sizeof(float);
    munmap(k, kv), munmap(v, kv), munmap(a.workspace, bytes);
    attn_plan_destroy(plan);
}

static int passed, failed;

static void expect(bool ok, const problem *p, int32_t capacity, const char *what, double got) {
    passed += ok, failed += !ok;
    if (!ok)
        printf("FAIL %s, %d rows, capacity %d: %s (%.9g)\n", p->kind, (int)p->rows, (int)capacity,
               what, got);
}

static bool same_bits(const outcome *a, const outcome *b) {
    return !memcmp(a->o, b->o, sizeof a->o) && !memcmp(a->lse, b->lse, sizeof a->lse);
}

static double distance(const outcome *a, const outcome *b) {
    double most = 0;
    for (size_t i = 0; i < sizeof a->o / sizeof *a->o; i++)
        most = fmax(most, fabs((double)a->o[i] - (double)b->o[i]));
    return most;
}

/* The same problem in a tight cache and in ever larger ones. `alike`: the tasks of the first call
 * of this kind and rows, wherever its keys lie; 0: none yet. */
static void check(const problem *p, int64_t *alike, bool bounded) {
    static outcome want, first, got;
    int32_t tight = 0;
    for (int32_t b = 0; b < p->batch; b++) tight = p->held[b] > tight ? p->held[b] : tight;
    run_problem(p, tight, 1, true, &want);
    run_problem(p, tight, 1, false, &first);
    expect(distance(&want, &first) < 4e-6, p, tight, "not the reference's answer",
           distance(&want, &first));
    if (!*alike) *alike = first.tasks;
    /* A range may touch one block or part more where it begins elsewhere. */
    expect(first.tasks <= *alike + 2 * H * p->batch, p, tight, "more tasks", (double)first.tasks);
    static const int32_t larger[] = {0, 1000, 3000000};
    for (int i = 0; i < 3; i++) {
        const int32_t capacity = tight + larger[i];
        run_problem(p, capacity, i + 1, false, &got);
        expect(same_bits(&first, &got), p, capacity, "other bits at more threads and keys", i + 1);
        expect(got.tasks <= first.tasks + 8 * (i + 1), p, capacity, "tasks follow the capacity",
               (double)got.tasks);
    }
    run_problem(p, tight + 3000000, 1, false, &got);
    if (bounded)
        expect(got.workspace <= 2 * first.workspace + (1 << 20), p, tight,
               "workspace follows the capacity", (double)got.workspace);
}

/* Rows that attend to the last keys of items of such lengths. */
static problem at_end(const char *kind, int32_t rows, int32_t batch, const int32_t *held) {
    problem p = {.kind = kind, .batch = batch, .rows = rows};
    for (int32_t b = 0; b < batch; b++) {
        p.held[b] = held[b], p.start[b] = held[b] - rows;
        for (int32_t i = 0; i < rows; i++) /* the first keys, and the last */
            p.seg[b * MAX_ROWS + i] = i % 2 ? held[b] - 1 - i / 8 : 3 + i;
        for (int32_t i = 0; i < rows; i++) /* all over, in no order */
            p.position[b * MAX_ROWS + i] =
                (int32_t)((int64_t)held[b] * (i * 7 % rows + 1) / rows) - 1;
    }
    return p;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    const char *kind = argv[1];
    const bool full = !strcmp(kind, "full");
    static const int32_t rows[] = {1, 3, 40, 64};
    static const int32_t length[] = {700, 9001, 200064}, some[] = {900, 64, 20000};
    static const int32_t few[] = {64, 100, 164}; /* of full attention */
    for (int r = 0; r < 4; r++) {
        int64_t one = 0, mixed = 0;
        for (int i = 0; i < 3; i++) {
            const int32_t held = full ? few[i] : length[i];
            const problem p = at_end(kind, rows[r], 1, &held);
            check(&p, &one, !full);
        }
        const problem p = at_end(kind, rows[r], 3, full ? few : some);
        check(&p, &mixed, !full);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
