/* prefix.c - decode of many items whose keys begin alike: the prefix is read once. In one call
 * their queries are rows of a single item, behind all keys of the prefix; in another each attends
 * to its own suffix; attn_merge makes both one. Held to a call over prefix and suffix, item by
 * item. */
#include "k.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ITEMS = 32,
    HEADS = 4,
    KV_HEADS = 2,
    D = 64,
    PREFIX = 700,
    SUFFIX = 90,
    KEYS = PREFIX + SUFFIX
};

static float q[ITEMS][HEADS][D], o[ITEMS][HEADS][D], whole[ITEMS][HEADS][D];
static float part_o[2][ITEMS][HEADS][D], part_lse[2][HEADS][ITEMS], lse[HEADS][ITEMS];
/* An item's keys: the first PREFIX of item 0 are everyone's. */
static float k[ITEMS][KV_HEADS][KEYS][D], v[ITEMS][KV_HEADS][KEYS][D];

static void must(attn_status status) {
    if (status == ATTN_OK) return;
    fprintf(stderr, "prefix: %s\n", attn_status_text(status));
    exit(2);
}

static void run(const attn_plan *plan, attn_args *a) {
    const attn_extent e = {sizeof e, a->batch, a->q_len, a->kv_len_max, a->threads, 0};
    must(attn_workspace(plan, &e, &a->workspace_bytes));
    void *memory = malloc(a->workspace_bytes + 63);
    a->workspace = attn_align(memory);
    must(attn_run(plan, a));
    free(memory);
}

static void fill(float *to, size_t count) {
    static uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        to[i] = (float)(state >> 8) / 4194304.0f - 2.0f;
    }
}

/* Keys `from`.. of each item, lengths[b] of them; its query stands at the last. */
static attn_args over(int from, int most, const int32_t *start, const int32_t *lengths,
                      float *out) {
    attn_args a = ATTN_ARGS_INIT;
    const int64_t batch = (int64_t)KV_HEADS * KEYS * D, head = (int64_t)KEYS * D;
    a.batch = ITEMS, a.q_len = 1, a.kv_len_max = most, a.threads = 2;
    a.q = (attn_view){q, HEADS * D, D, D};
    a.k = (attn_view){k[0][0][from], batch, head, D};
    a.v = (attn_view){v[0][0][from], batch, head, D};
    a.o = (attn_out){out, HEADS * D, D, D};
    a.q_start = start, a.kv_len = lengths;
    return a;
}

int main(void) {
    attn_plan *plan;
    must(attn_plan_create(&plan, &k_layer[0], 0));
    int32_t own[ITEMS], all[ITEMS], last[ITEMS], place[ITEMS];
    fill(q[0][0], sizeof q / sizeof(float));
    fill(k[0][0][0], sizeof k / sizeof(float));
    fill(v[0][0][0], sizeof v / sizeof(float));
    for (int b = 0; b < ITEMS; b++) {
        own[b] = b * SUFFIX / (ITEMS - 1); /* the first has none */
        all[b] = PREFIX + own[b], last[b] = own[b] - 1, place[b] = all[b] - 1;
        for (int h = 0; b && h < KV_HEADS; h++) { /* for the call to compare with */
            memcpy(k[b][h], k[0][h], sizeof(float) * PREFIX * D);
            memcpy(v[b][h], v[0][h], sizeof(float) * PREFIX * D);
        }
    }
    /* The prefix: one item of 32 rows, which lie as the items do. From position PREFIX on, each row
     * sees every key, in a kernel that is causal, too. */
    const int32_t behind = PREFIX;
    attn_args a = over(0, PREFIX, &behind, NULL, part_o[0][0][0]);
    a.batch = 1, a.q_len = ITEMS;
    a.q = (attn_view){q, 0, D, HEADS * D}, a.o = (attn_out){part_o[0], 0, D, HEADS * D};
    a.lse = part_lse[0][0], a.lse_head = ITEMS;
    run(plan, &a);
    a = over(PREFIX, SUFFIX, last, own, part_o[1][0][0]);
    a.lse = part_lse[1][0], a.lse_batch = 1, a.lse_head = ITEMS;
    run(plan, &a);
    attn_part part[2];
    for (int n = 0; n < 2; n++)
        part[n] = (attn_part){{part_o[n], 0, D, HEADS * D}, part_lse[n][0], 0, ITEMS};
    const attn_merge_args m = {.struct_size = sizeof m,
                               .batch = 1,
                               .heads = HEADS,
                               .q_len = ITEMS,
                               .v_dim = D,
                               .part_count = 2,
                               .parts = part,
                               .o = {o, 0, D, HEADS * D},
                               .lse = lse[0],
                               .lse_head = ITEMS};
    must(attn_merge(&m));
    a = over(0, KEYS, place, all, whole[0][0]);
    run(plan, &a);
    int failed = 0;
    for (int b = 0; b < ITEMS; b++) {
        const float *got = o[b][0], *want = whole[b][0];
        float worst = 0;
        for (int i = 0; i < HEADS * D; i++) worst = fmaxf(worst, fabsf(got[i] - want[i]));
        if (worst < 1e-5f) continue;
        failed++, printf("FAIL item %d: off by %g\n", b, (double)worst);
    }
    attn_plan_destroy(plan);
    printf("%d passed, %d failed\n", ITEMS - failed, failed);
    return failed > 0;
}
