/* caller.c - a program that was compiled before tensors had types, with a library of today: its
 * shorter structs are taken, nothing behind them is read or written. See old.sh; today.c makes what
 * the program would have made with functions whose layouts are frozen nowhere. */
#include "attn_before_types.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADS = 2, D = 16, ROWS = 5, WIDTH = 32 };

const attn_spec *today_core(void);
attn_block *today_block(void);
const void *today_packed(attn_block *block);
attn_plan *today_plan(void);

static int passed, failed;

static void check(const char *what, int good) {
    if (good)
        passed++;
    else
        printf("FAIL %s\n", what), failed++;
}

/* A struct, and what must not be read or written behind it. */
enum { GUARD = 128, GUARD_BYTE = 0xa5 };
typedef struct guarded_args {
    attn_args a;
    unsigned char behind[GUARD];
} guarded_args;
typedef struct guarded_cache {
    attn_cache c;
    unsigned char behind[GUARD];
} guarded_cache;

static int intact(const unsigned char *behind) {
    for (int i = 0; i < GUARD; i++)
        if (behind[i] != GUARD_BYTE) return 0;
    return 1;
}

static void *aligned(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (!p) exit(2);
    return p;
}

static void fill(float *to, int n, uint32_t seed) {
    for (int i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        to[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
}

/* One key: O is V. */
static void core(void) {
    static float q[HEADS * ROWS * D], k[HEADS * D], v[HEADS * D], o[HEADS * ROWS * D];
    static guarded_args g;
    attn_plan *plan = today_plan();
    memset(g.behind, GUARD_BYTE, sizeof g.behind);
    fill(q, HEADS * ROWS * D, 1), fill(k, HEADS * D, 2), fill(v, HEADS * D, 3);
    attn_args *a = &g.a;
    a->struct_size = sizeof *a;
    a->batch = 1, a->q_len = ROWS, a->kv_len_max = 1, a->threads = 1;
    a->q = (attn_view){q, HEADS * ROWS * D, ROWS * D, D};
    a->k = (attn_view){k, HEADS * D, D, D};
    a->v = (attn_view){v, HEADS * D, D, D};
    a->o = (attn_out){o, HEADS * ROWS * D, ROWS * D, D};
    attn_extent e = {sizeof e, 1, ROWS, 1, 1};
    check("attn_workspace", !attn_workspace(plan, &e, &a->workspace_bytes));
    a->workspace = aligned(a->workspace_bytes);
    char text[320] = "";
    check("attn_plan_check", !attn_plan_check(plan, a, text, sizeof text));
    if (*text) printf("    %s\n", text);
    check("attn_run", !attn_run(plan, a));
    int same = 1;
    for (int i = 0; i < HEADS * ROWS * D; i++)
        same &= fabsf(o[i] - v[i / (ROWS * D) * D + i % D]) < 1e-6f;
    check("o", same);
    a->struct_size -= 8;
    check("a shorter struct", attn_run(plan, a) != 0);
    a->struct_size = 4096;
    check("a longer struct", attn_run(plan, a) != 0);
    check("behind args", intact(g.behind));
    free(a->workspace);
    attn_plan_destroy(plan);
}

static int call(const attn_block *block, attn_block_args *a, int step) {
    size_t bytes;
    if (attn_block_workspace(block, a, &bytes)) return 1;
    a->workspace = aligned(bytes), a->workspace_bytes = bytes;
    const int status = step ? attn_block_step(block, a) : attn_block_prefill(block, a);
    free(a->workspace);
    return status;
}

/* All rows at once, and a row at a time from a cache. */
static void layer(void) {
    static float x[ROWS * WIDTH], all[ROWS * WIDTH], each[ROWS * WIDTH];
    static guarded_cache g;
    attn_block *block = today_block();
    memset(g.behind, GUARD_BYTE, sizeof g.behind);
    fill(x, ROWS * WIDTH, 4);
    attn_block_args a = {.struct_size = sizeof a};
    a.batch = 1, a.tokens = ROWS, a.threads = 1;
    a.x = x, a.y = all;
    a.x_batch = a.y_batch = ROWS * WIDTH, a.x_token = a.y_token = WIDTH;
    a.packed = today_packed(block);
    check("attn_block_prefill", !call(block, &a, 0));
    size_t bytes;
    check("attn_cache_bytes", !attn_cache_bytes(block, 1, ROWS, &bytes));
    check("attn_cache_init", !attn_cache_init(block, &g.c, 1, ROWS, aligned(bytes), bytes));
    check("behind the cache", intact(g.behind));
    check("cache.struct_size", g.c.struct_size == sizeof g.c);
    check("attn_cache_check", !attn_cache_check(block, &g.c, 1, NULL, 0));
    a.cache = &g.c;
    a.tokens = 1;
    int good = 1;
    for (int i = 0; i < ROWS; i++) {
        a.x = x + i * WIDTH, a.y = each + i * WIDTH;
        good &= !call(block, &a, i > 0);
    }
    check("steps", good);
    for (int i = 0; i < ROWS * WIDTH; i++) good &= fabsf(each[i] - all[i]) < 1e-4f;
    check("rows of steps", good);
    check("keys held", g.c.length[0] == ROWS);
    check("behind the cache, after steps", intact(g.behind));
}

int main(void) {
    core();
    layer();
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
