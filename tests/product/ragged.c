/* ragged.c - an item of a layer has the same bits alone and in any batch, however far it is padded:
 * by count, or by rows of q_pad, and where rows lie in a row. Runs every layer of ragged.lua; see
 * ragged.sh. */
#include "k.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 96, TOKENS = 60, KEYS = 130, ITEMS = 2, STEPS = 3 };

typedef struct layer {
    int index;
    bool cross; /* keys of a second input */
    int32_t width, kv_width;
    attn_block *block;
    void *packed;
} layer;

static float x[ITEMS * TOKENS * WIDTH], kv[ITEMS * KEYS * WIDTH];
static int32_t seg[ITEMS * TOKENS];
static int passed, failed;

static void die(const char *what) {
    printf("FAIL %s\n", what);
    exit(2);
}

static void fill(float *to, size_t n, uint32_t seed, float size) {
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        to[i] = size * ((float)(seed >> 8) / 8388608.0f - 1.0f);
    }
}

static void *allocate(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (!p) die("no memory");
    return p;
}

static layer open_layer(int index) {
    layer l = {.index = index, .cross = k_layer[index].kv_dim > 0};
    const attn_spec *s = &k_layer[index];
    l.width = l.cross ? s->q_dim : s->d_model, l.kv_width = l.cross ? s->kv_dim : 0;
    if (k_block_create(&l.block, index, 0)) die("k_block_create");
    attn_tensor w[64];
    const int32_t n = attn_block_weights(l.block, w, 64);
    for (int32_t i = 0; i < n; i++) {
        size_t size = 1;
        for (int d = 0; d < w[i].rank; d++) size *= (size_t)w[i].dim[d];
        float *data = allocate(size * sizeof *data);
        fill(data, size, (uint32_t)i + 5, w[i].rank > 1 ? 0.2f : 1);
        w[i].data = data;
    }
    const size_t bytes = attn_block_packed_bytes(l.block);
    char text[500];
    l.packed = allocate(bytes);
    if (attn_block_pack(l.block, w, n, l.packed, bytes, text, sizeof text)) die(text);
    for (int32_t i = 0; i < n; i++) free((void *)(uintptr_t)w[i].data);
    return l;
}

/* A call of the first `batch` items, the first of which is item `first` of x. */
static attn_block_args args_of(const layer *l, int32_t first, int32_t batch, int32_t tokens) {
    attn_block_args a = ATTN_BLOCK_ARGS_INIT;
    a.batch = batch, a.tokens = tokens, a.threads = 1, a.packed = l->packed;
    a.x = x + first * TOKENS * WIDTH, a.x_batch = TOKENS * WIDTH, a.x_token = l->width;
    a.y_batch = TOKENS * WIDTH, a.y_token = l->width;
    if (!l->cross) return a;
    a.kv = kv + first * KEYS * WIDTH, a.kv_batch = KEYS * WIDTH, a.kv_token = l->kv_width;
    a.kv_tokens = KEYS;
    a.seg = seg + first * TOKENS, a.seg_batch = TOKENS;
    return a;
}

static void run(const layer *l, attn_block_args *a, bool step) {
    if (attn_block_workspace(l->block, a, &a->workspace_bytes)) die("attn_block_workspace");
    a->workspace = allocate(a->workspace_bytes);
    memset(a->workspace, 0xff, a->workspace_bytes); /* NaN: nothing of it may be used */
    const attn_status status =
        step ? attn_block_step(l->block, a) : attn_block_prefill(l->block, a);
    char why[ATTN_MESSAGE_MAX];
    if (status && step) attn_step_check(l->block, a, why, sizeof why);
    if (status && !step) attn_prefill_check(l->block, a, why, sizeof why);
    if (status) die(why);
    free(a->workspace);
}

static attn_cache new_cache(const layer *l, int32_t batch) {
    attn_cache c;
    size_t bytes;
    if (attn_cache_bytes(l->block, batch, KEYS, &bytes)) die("attn_cache_bytes");
    if (attn_cache_init(l->block, &c, batch, KEYS, allocate(bytes), bytes)) die("attn_cache_init");
    return c;
}

static void expect_same(const layer *l, const float *want, const float *got, int32_t rows,
                        const char *what, int32_t padded) {
    const bool same = !memcmp(want, got, sizeof(float) * (size_t)(rows * l->width));
    passed += same, failed += !same;
    if (!same)
        printf("FAIL layer %d, %d rows %s %d: other bits than alone\n", l->index, (int)rows, what,
               (int)padded);
}

/* One row, but for rounding: its keys lie elsewhere. */
static void expect_near(const layer *l, const float *want, const float *got, const char *what,
                        int32_t number) {
    float worst = 0;
    for (int32_t i = 0; i < l->width; i++) worst = fmaxf(worst, fabsf(want[i] - got[i]));
    const bool near = worst <= 2e-5f;
    passed += near, failed += !near;
    if (!near) printf("FAIL layer %d, a row %s %d: %g away\n", l->index, what, (int)number, worst);
}

/* Item `at` has n rows, the other one as many as there are tokens. */
static void prefill(const layer *l, int32_t n, int32_t at) {
    static float alone[TOKENS * WIDTH], y[ITEMS * TOKENS * WIDTH];
    attn_block_args a = args_of(l, at, 1, n);
    a.y = alone;
    run(l, &a, false);
    for (int32_t tokens = n; tokens <= TOKENS; tokens += tokens < 33 ? 1 : 9) {
        const int32_t count[ITEMS] = {at == 0 ? n : tokens, at == 1 ? n : tokens};
        a = args_of(l, 0, ITEMS, tokens);
        a.y = y, a.count = count, a.threads = 1 + tokens % 3;
        run(l, &a, false);
        expect_same(l, alone, y + at * TOKENS * WIDTH, n, "counted among", tokens);
    }
}

/* The same as rows that q_pad zeroes: whatever they hold. */
static void pad(const layer *l, int32_t n) {
    static float alone[TOKENS * WIDTH], y[ITEMS * TOKENS * WIDTH], kept[TOKENS * WIDTH];
    if (!l->cross) return; /* elsewhere they are keys as well */
    attn_block_args a = args_of(l, 0, 1, n);
    a.y = alone;
    run(l, &a, false);
    memcpy(kept, x, sizeof kept);
    for (int32_t tokens = n + 1; tokens <= TOKENS; tokens += 7) {
        uint8_t q_pad[TOKENS] = {0};
        for (int32_t i = n; i < tokens; i++) q_pad[i] = 1;
        for (int32_t i = n * l->width; i < tokens * l->width; i++) x[i] = NAN;
        a = args_of(l, 0, 1, tokens);
        a.y = y, a.q_pad = q_pad, a.q_pad_batch = TOKENS;
        run(l, &a, false);
        expect_same(l, alone, y, n, "before padding to", tokens);
        /* In between: what padding holds is of no account. */
        q_pad[n - 1] = 0, q_pad[0] = 1;
        memcpy(x, kept, sizeof kept);
        run(l, &a, false);
        memcpy(kept, y, sizeof(float) * (size_t)(n * l->width)); /* x is whole: kept can wait */
        float *save = allocate(sizeof(float) * (size_t)l->width);
        memcpy(save, x, sizeof(float) * (size_t)l->width);
        for (int32_t i = 0; i < l->width; i++) x[i] = NAN;
        run(l, &a, false);
        expect_same(l, kept, y, n, "after padding of", tokens);
        memcpy(x, save, sizeof(float) * (size_t)l->width);
        free(save);
        memcpy(kept, x, sizeof kept);
    }
}

/* Item 0 takes a row a step, and item 1 as many as `tokens`. */
static void steps(const layer *l, int32_t n, int32_t tokens) {
    static float alone[STEPS][TOKENS * WIDTH], y[ITEMS * TOKENS * WIDTH];
    if (l->cross) return;
    for (int32_t batch = 1; batch <= ITEMS; batch++) {
        attn_cache cache = new_cache(l, batch);
        const int32_t count[ITEMS] = {n, n + 11 - 2 * tokens};
        attn_block_args a = args_of(l, 0, batch, batch == 1 ? n : n + 11 - 2 * tokens);
        a.y = y, a.count = count, a.cache = &cache;
        if (batch == ITEMS && count[1] < n) a.tokens = n;
        run(l, &a, false);
        for (int32_t i = 0; i < STEPS; i++) {
            const int32_t more[ITEMS] = {1, tokens};
            attn_block_args b = args_of(l, 0, batch, batch == 1 ? 1 : tokens);
            b.y = batch == 1 ? alone[i] : y, b.count = more, b.cache = &cache;
            run(l, &b, true);
            if (batch > 1) expect_same(l, alone[i], y, 1, "stepping beside", tokens);
        }
        free(cache.k);
    }
}

/* Items of every length in one call, their rows one after the other from row FROM on: prefilled,
 * then stepped by other numbers of rows. */
static void in_a_row(const layer *l) {
    enum { FROM = 3, MANY = 6, CALLS = 3, ALL = FROM + 130 };
    static const int32_t count[CALLS][MANY] = {
        {0, 1, 17, 60, 4, 30}, {1, 1, 0, 2, 17, 1}, {1, 33, 1, 1, 0, 1}};
    static float alone[TOKENS * WIDTH], row[ALL * WIDTH], y[ALL * WIDTH],
        all_kv[MANY * KEYS * WIDTH];
    static int32_t row_seg[ALL];
    attn_cache many = new_cache(l, MANY), one[MANY];
    for (int b = 0; b < MANY; b++) one[b] = new_cache(l, 1);
    fill(all_kv, sizeof all_kv / sizeof *all_kv, 9, 1);
    for (int call = 0; call < (l->cross ? 1 : CALLS); call++) {
        int32_t begin[MANY + 1] = {FROM};
        for (int b = 0; b < MANY; b++) begin[b + 1] = begin[b] + count[call][b];
        fill(row, sizeof row / sizeof *row, 7 + (uint32_t)call, 1);
        fill(y, sizeof y / sizeof *y, 3, 1);
        for (int i = 0; i < ALL; i++) row_seg[i] = i * 7 % KEYS;
        attn_block_args a = args_of(l, 0, MANY, TOKENS);
        a.x = row, a.y = y, a.q_begin = begin, a.threads = 1 + call, a.cache = &many;
        if (l->cross) a.kv = all_kv, a.seg = row_seg, a.cache = NULL;
        float before[2 * WIDTH]; /* rows beside those of the call */
        memcpy(before, y + (FROM - 1) * l->width, sizeof(float) * (size_t)l->width);
        memcpy(before + WIDTH, y + begin[MANY] * l->width, sizeof(float) * (size_t)l->width);
        run(l, &a, call > 0);
        expect_same(l, before, y + (FROM - 1) * l->width, 1, "before call", call);
        expect_same(l, before + WIDTH, y + begin[MANY] * l->width, 1, "after call", call);
        for (int b = 0; b < MANY; b++) {
            attn_block_args s = args_of(l, 0, 1, count[call][b]);
            s.x = row + begin[b] * l->width, s.y = alone, s.cache = &one[b];
            if (l->cross)
                s.kv = all_kv + b * KEYS * WIDTH, s.seg = row_seg + begin[b], s.cache = NULL;
            run(l, &s, call > 0);
            expect_same(l, alone, y + begin[b] * l->width, count[call][b], "in a row, call", call);
        }
    }
    for (int b = 0; b < MANY; b++) free(one[b].k);
    free(many.k);
}

/* A draft of a tree of tokens, verified in one call: rows share positions, and a mask leaves each
 * its path. Every path has the rows that it has where it is stepped alone; and once the cache keeps
 * the longest, the next row as well. */
static void tree(const layer *l) {
    enum { PAST = 20, NODES = 8, DEEP = 4 };
    static const int32_t parent[NODES] = {-1, 0, 0, 1,
                                          1,  2, 4, -1}; /* in front of their children */
    static float past[PAST * WIDTH], row[(NODES + 1) * WIDTH], y[PAST * WIDTH], alone[WIDTH];
    if (l->cross) return;
    attn_cache all = new_cache(l, 1), one = new_cache(l, 1);
    fill(past, sizeof past / sizeof *past, 11, 1);
    fill(row, sizeof row / sizeof *row, 12, 1);
    int32_t position[NODES], slots[DEEP];
    uint8_t mask[NODES][PAST + NODES];
    memset(mask, 0, sizeof mask);
    for (int i = 0; i < NODES; i++) {
        position[i] = parent[i] < 0 ? PAST : position[parent[i]] + 1;
        memset(mask[i], 1, PAST);
        for (int at = i; at >= 0; at = parent[at]) mask[i][PAST + at] = 1;
    }
    attn_block_args a = args_of(l, 0, 1, PAST);
    a.x = past, a.y = y, a.cache = &all;
    run(l, &a, false);
    a = args_of(l, 0, 1, NODES);
    a.x = row, a.y = y, a.cache = &all, a.q_position = position;
    a.mask = (attn_mask){mask, ATTN_MASK_BOOL, 2, {NODES, PAST + NODES}, {PAST + NODES, 1}};
    run(l, &a, true);
    for (int leaf = 0; leaf < NODES; leaf++) {
        int32_t path[DEEP], n = 0;
        for (int at = leaf; at >= 0; at = parent[at]) path[n++] = at;
        attn_block_args s = args_of(l, 0, 1, PAST);
        s.x = past, s.y = alone, s.cache = &one;
        static float ignored[PAST * WIDTH];
        s.y = ignored;
        run(l, &s, false);
        s = args_of(l, 0, 1, 1);
        s.y = alone, s.cache = &one;
        for (int i = n - 1; i >= 0; i--) {
            s.x = row + path[i] * l->width;
            run(l, &s, true);
        }
        expect_near(l, alone, y + leaf * l->width, "of a tree, node", leaf);
        for (int i = 0; i < n && leaf == 6; i++) slots[i] = path[n - 1 - i];
    }
    /* Node 6 and those before it are accepted. */
    const int32_t last[DEEP] = {slots[0], slots[1], slots[2], slots[3]};
    if (attn_cache_keep(l->block, &all, 0, PAST, last, DEEP)) die("attn_cache_keep");
    for (int i = 0; i < 2; i++) {
        attn_block_args s = args_of(l, 0, 1, 1);
        s.x = row + NODES * l->width, s.y = i ? alone : y, s.cache = i ? &one : &all;
        if (i) { /* the same tokens without a tree */
            attn_block_args p = args_of(l, 0, 1, PAST);
            static float ignored[PAST * WIDTH];
            p.x = past, p.y = ignored, p.cache = &one;
            run(l, &p, false);
            for (int n = 0; n < DEEP; n++) {
                p = args_of(l, 0, 1, 1);
                p.x = row + last[n] * l->width, p.y = ignored, p.cache = &one;
                run(l, &p, true);
            }
        }
        run(l, &s, true);
    }
    expect_near(l, alone, y, "after a tree", 0);
    free(all.k);
    free(one.k);
}

int main(void) {
    fill(x, sizeof x / sizeof *x, 1, 1);
    fill(kv, sizeof kv / sizeof *kv, 2, 1);
    for (int32_t i = 0; i < ITEMS * TOKENS; i++) seg[i] = i % TOKENS;
    for (int index = 0; index < K_LAYERS; index++) {
        layer l = open_layer(index);
        static const int32_t rows[] = {1, 3, 30, 45};
        for (int i = 0; i < 4; i++) {
            for (int32_t at = 0; at < ITEMS; at++) prefill(&l, rows[i], at);
            pad(&l, rows[i]);
        }
        for (int32_t tokens = 2; tokens <= 5; tokens++) steps(&l, 20, tokens);
        in_a_row(&l);
        tree(&l);
        free(l.packed);
        attn_block_destroy(l.block);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
