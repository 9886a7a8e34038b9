/* layer_statuses.c - every mistake that a caller of attn_block_* can make gives its status, and
 * writes nothing; packed weights by any of their names, saved and mapped back. */
#define _DEFAULT_SOURCE
#include "isa.h"
#include "layers.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { B = 2, T = 4, M = 10, KV = 5, KV_DIM = 6, CAPACITY = 9, FLOATS = B * T * M };

enum layer_index { SELF, SLIDE, BOTH_WAYS, CROSS, SECOND, FLEX, INDEXED, SHARED, LAYERS };
static const char *const layer_text[LAYERS] = {
    [SELF] = "level=block;heads=3;kv_heads=1;head_dim=8;d_model=10;ffn_dim=12",
    [SLIDE] = "level=block;op=sliding_self;heads=2;head_dim=8;window=3;d_model=10;ffn=none",
    [BOTH_WAYS] = "level=block;heads=2;head_dim=8;causal=false;d_model=10;ffn=none",
    [CROSS] = "level=block;op=segment_cross;heads=2;head_dim=8;lookback=1;q_dim=10;kv_dim=6",
    [SECOND] = "level=block;heads=2;head_dim=8;causal=false;d_model=10;kv_dim=6;ffn=none",
    [FLEX] = "level=block;backend=flex;heads=2;head_dim=8;d_model=10;ffn=none;"
             "score=s + slope[h] * c;tensor=slope=f32[heads];scalar=c=f32",
    [INDEXED] = "level=block;backend=flex;heads=2;head_dim=8;d_model=10;ffn=none;"
                "score=s + slope[k];tensor=slope=f32[2]",
    [SHARED] = "level=block;form=mla;key=shared;heads=2;head_dim=8;retr_dim=4;kv_comp_dim=12;"
               "d_model=10;ffn=none",
};

/* Correct arguments for a layer, for a test to spoil. */
typedef struct fixture {
    float x[FLOATS], kv[B * KV * KV_DIM], slope[2];
    int32_t count[B], kv_count[B], seg[B * T], position[B * T];
    uint8_t mask[T * CAPACITY];
    attn_side side;
    attn_scalar scalar;
    guard y, workspace, memory;
    attn_cache cache;
    attn_block_args args;
} fixture;

typedef struct status_test {
    arena *a;
    rng r;
    const kernel_lib *lib;
    kernel_spec spec[LAYERS];
    built built[LAYERS];
    attn_block *block[LAYERS];
    layer_problem weights[LAYERS];
    guard packed[LAYERS];
    int checks, failures;
    fixture f;
} status_test;

static void note(status_test *t, const char *what, bool ok, const char *why) {
    t->checks++;
    if (ok) return;
    t->failures++;
    printf("FAIL layers, %s: %s\n", what, why);
}

static void check(status_test *t, const char *what, attn_status got, attn_status want) {
    note(t, what, got == want,
         arena_printf(t->a, "status %d (%s), not %d", (int)got, t->lib->status_text(got), want));
}

/* --- Calls --- */

static void prepare(status_test *t, enum layer_index k) {
    fixture *f = &t->f;
    attn_block_args *a = &f->args;
    *a = ATTN_BLOCK_ARGS_INIT;
    a->batch = B, a->tokens = T, a->threads = 2;
    a->x = f->x, a->x_batch = T * M, a->x_token = M;
    f->y = guard_alloc(FLOATS * sizeof(float), sizeof(float), false);
    a->y = (float *)(void *)f->y.data, a->y_batch = T * M, a->y_token = M;
    if (k == CROSS || k == SECOND)
        a->kv = f->kv, a->kv_batch = KV * KV_DIM, a->kv_token = KV_DIM, a->kv_tokens = KV;
    if (k == CROSS) a->seg = f->seg, a->seg_batch = T;
    f->side = (attn_side){f->slope, 2};
    if (k == FLEX || k == INDEXED) a->side = &f->side, a->side_count = 1;
    if (k == FLEX) a->scalars = &f->scalar, a->scalar_count = 1;
    size_t bytes;
    t->lib->cache_bytes(t->block[k], B, CAPACITY, &bytes);
    f->memory = guard_alloc(bytes, 64, false);
    t->lib->cache_init(t->block[k], &f->cache, B, CAPACITY, f->memory.data, bytes);
    a->cache = &f->cache;
    a->packed = t->packed[k].data;
    t->lib->block_workspace(t->block[k], a, &bytes);
    f->workspace = guard_alloc(bytes, 64, false);
    a->workspace = f->workspace.data, a->workspace_bytes = bytes;
    for (int b = 0; b < B; b++) f->count[b] = T, f->kv_count[b] = KV;
}

/* Runs the fixture as it is, which must fail without writing. */
static void refuse(status_test *t, enum layer_index k, bool step, const char *what,
                   attn_status want) {
    fixture *f = &t->f;
    uint8_t *before = arena_alloc(t->a, f->memory.size + 1);
    memcpy(before, f->memory.data, f->memory.size);
    const attn_status got = step ? t->lib->block_step(t->block[k], &f->args)
                                 : t->lib->block_prefill(t->block[k], &f->args);
    check(t, what, got, want);
    if (want != ATTN_OK) {
        note(t, what, guard_untouched(&f->y), "y was written");
        note(t, what, guard_untouched(&f->workspace), "the workspace was written");
        note(t, what, memcmp(before, f->memory.data, f->memory.size) == 0, "the cache was written");
    }
    guard_free(&f->y);
    guard_free(&f->workspace);
    guard_free(&f->memory);
}

/* prepare, spoil, refuse. */
#define CALL(layer, step, spoil, want)                                  \
    do {                                                                \
        prepare(t, layer);                                              \
        fixture *f = &t->f;                                             \
        attn_block_args *a = &f->args;                                  \
        spoil;                                                          \
        (void)a;                                                        \
        refuse(t, layer, step, #layer " " #step " with " #spoil, want); \
    } while (0)
#define PREFILL(layer, spoil, want) CALL(layer, false, spoil, want)
#define STEP(layer, spoil, want) CALL(layer, true, spoil, want)

static void check_good(status_test *t) {
    for (int k = 0; k < LAYERS; k++) PREFILL((enum layer_index)k, (void)0, ATTN_OK);
    STEP(SELF, (void)0, ATTN_OK);
    PREFILL(SELF, a->cache = NULL, ATTN_E_WORKSPACE); /* keys take room in it */
    PREFILL(SELF, a->batch = 0, ATTN_E_CACHE);
    PREFILL(SELF, (a->batch = 0, a->cache = NULL), ATTN_OK);
    PREFILL(SELF, (a->tokens = 0, a->x = NULL, a->y = NULL), ATTN_OK);
}

static void check_pointers(status_test *t) {
    PREFILL(SELF, a->x = NULL, ATTN_E_ARGUMENT);
    PREFILL(SELF, a->y = NULL, ATTN_E_ARGUMENT);
    PREFILL(SELF, a->packed = NULL, ATTN_E_ARGUMENT);
    PREFILL(SELF, a->packed = t->packed[SELF].data + 4, ATTN_E_ARGUMENT);
    PREFILL(SELF, a->batch = -1, ATTN_E_ARGUMENT);
    PREFILL(SELF, a->tokens = -1, ATTN_E_ARGUMENT);
    PREFILL(SELF, a->threads = -1, ATTN_E_ARGUMENT);
    PREFILL(SELF, a->threads = 65537, ATTN_E_ARGUMENT);
    PREFILL(SELF, (a->cache = NULL, a->tokens = INT32_MAX), ATTN_E_ARGUMENT);
    PREFILL(SECOND, a->kv_tokens = -1, ATTN_E_ARGUMENT);
    PREFILL(SECOND, a->kv = NULL, ATTN_E_ARGUMENT);
    PREFILL(CROSS, a->kv = NULL, ATTN_E_ARGUMENT);
    PREFILL(CROSS, a->seg = NULL, ATTN_E_ARGUMENT);
    PREFILL(FLEX, a->side = NULL, ATTN_E_ARGUMENT);
    PREFILL(FLEX, a->scalars = NULL, ATTN_E_ARGUMENT);
    PREFILL(FLEX, f->side.data = NULL, ATTN_E_ARGUMENT);
    STEP(BOTH_WAYS, (void)0, ATTN_E_ARGUMENT);
    PREFILL(SELF, a->struct_size--, ATTN_E_ABI);
    PREFILL(SELF, a->struct_size = 0, ATTN_E_ABI);
    check(t, "no block", t->lib->block_prefill(NULL, &t->f.args), ATTN_E_ARGUMENT);
    check(t, "no arguments", t->lib->block_step(t->block[SELF], NULL), ATTN_E_ARGUMENT);
}

static void check_unused(status_test *t) {
    PREFILL(SELF, a->kv = f->kv, ATTN_E_UNUSED);
    PREFILL(SELF, a->kv_tokens = 1, ATTN_E_UNUSED);
    PREFILL(SELF, a->kv_count = f->kv_count, ATTN_E_UNUSED);
    PREFILL(SELF, a->seg = f->seg, ATTN_E_UNUSED);
    PREFILL(SECOND, a->seg = f->seg, ATTN_E_UNUSED);
    PREFILL(SELF, a->q_pos = f->position, ATTN_E_UNUSED);
    PREFILL(SELF, a->kv_pos = f->position, ATTN_E_UNUSED);
    PREFILL(SECOND, (a->q_pos = f->position, a->q_pos_batch = T), ATTN_OK);
    PREFILL(SELF, a->side_count = 1, ATTN_E_UNUSED);
    PREFILL(SELF, a->scalar_count = 1, ATTN_E_UNUSED);
    PREFILL(FLEX,
            a->mask = ((attn_mask){.data = f->mask, .type = ATTN_MASK_BOOL, .rank = 1, .dim = {1}}),
            ATTN_E_UNUSED);
}

static void check_shapes(status_test *t) {
    PREFILL(SELF, (a->count = f->count, f->count[1] = T + 1), ATTN_E_LENGTH);
    PREFILL(SELF, (a->count = f->count, f->count[0] = -1), ATTN_E_LENGTH);
    PREFILL(CROSS, (a->kv_count = f->kv_count, f->kv_count[1] = KV + 1), ATTN_E_LENGTH);
    PREFILL(CROSS, (a->kv_count = f->kv_count, f->kv_count[0] = -1), ATTN_E_LENGTH);
    PREFILL(FLEX, f->side.count = 3, ATTN_E_SHAPE);
    PREFILL(FLEX, a->side_count = 0, ATTN_E_SHAPE);
    PREFILL(FLEX, a->scalar_count = 2, ATTN_E_SHAPE);
#define MASK(keys) ((attn_mask){f->mask, ATTN_MASK_BOOL, 2, {T, keys}, {keys, 1}})
    PREFILL(SELF, (memset(f->mask, 1, sizeof f->mask), a->mask = MASK(T)), ATTN_OK);
    PREFILL(SELF, a->mask = MASK(CAPACITY), ATTN_E_SHAPE);
    STEP(SELF, (f->cache.length[0] = 2, a->mask = MASK(T)), ATTN_E_SHAPE);
    PREFILL(SELF, (a->mask = MASK(T), a->mask.rank = 5), ATTN_E_SHAPE);
    PREFILL(SELF, (a->mask = MASK(T), a->mask.data = NULL), ATTN_E_ARGUMENT);
#undef MASK
}

static void check_caches(status_test *t) {
    STEP(SELF, a->cache = NULL, ATTN_E_CACHE);
    STEP(SELF, f->cache.batch = 1, ATTN_E_CACHE);
    STEP(SELF, f->cache.struct_size--, ATTN_E_CACHE);
    STEP(SELF, f->cache.length[1] = -1, ATTN_E_CACHE);
    STEP(SELF, f->cache.length[1] = CAPACITY + 1, ATTN_E_CACHE);
    STEP(SELF, f->cache.start[1] = -1, ATTN_E_CACHE);
    STEP(SELF, f->cache.start[1] = INT32_MAX - 2, ATTN_E_CACHE);
    STEP(SELF, f->cache.length[1] = CAPACITY - T + 1, ATTN_E_CACHE);
    STEP(SELF, f->cache.k = NULL, ATTN_E_CACHE);
    STEP(SLIDE, f->cache.length[1] = CAPACITY, ATTN_OK);
    STEP(SLIDE, (f->cache.length[1] = CAPACITY, f->cache.capacity = CAPACITY), ATTN_OK);
    PREFILL(SELF, f->cache.length[1] = CAPACITY, ATTN_OK);
    size_t bytes;
    attn_cache other;
    guard g = guard_alloc(1 << 16, 64, true);
    const kernel_lib *lib = t->lib;
    attn_block *self = t->block[SELF];
    check(t, "a cache", lib->cache_bytes(self, B, CAPACITY, &bytes), ATTN_OK);
    check(t, "batch -1", lib->cache_bytes(self, -1, 1, &bytes), ATTN_E_ARGUMENT);
    check(t, "capacity -1", lib->cache_bytes(self, 1, -1, &bytes), ATTN_E_ARGUMENT);
    check(t, "a huge cache", lib->cache_bytes(self, INT32_MAX, INT32_MAX, &bytes), ATTN_E_ARGUMENT);
    lib->cache_bytes(self, B, CAPACITY, &bytes);
    check(t, "no memory", lib->cache_init(self, &other, B, CAPACITY, NULL, bytes), ATTN_E_ARGUMENT);
    check(t, "no cache", lib->cache_init(self, NULL, B, 1, g.data, bytes), ATTN_E_ARGUMENT);
    check(t, "odd memory", lib->cache_init(self, &other, B, CAPACITY, g.data + 4, bytes),
          ATTN_E_CACHE);
    check(t, "little memory", lib->cache_init(self, &other, B, CAPACITY, g.data, bytes - 1),
          ATTN_E_CACHE);
    note(t, "caches that were refused", guard_untouched(&g), "memory was written");
    lib->cache_init(t->block[SHARED], &other, B, CAPACITY, g.data, g.size);
    STEP(SELF, *a->cache = other, ATTN_E_CACHE);
    guard_free(&g);
}

static void check_workspaces(status_test *t) {
    size_t bytes;
    PREFILL(SELF, a->workspace = NULL, ATTN_E_WORKSPACE);
    PREFILL(SELF, a->workspace_bytes--, ATTN_E_WORKSPACE);
    PREFILL(SELF, a->workspace = (char *)a->workspace + 32, ATTN_E_WORKSPACE);
    PREFILL(SELF, a->threads = 5, ATTN_E_WORKSPACE);
    attn_block_args a = ATTN_BLOCK_ARGS_INIT;
    check(t, "workspace of no block", t->lib->block_workspace(NULL, &a, &bytes), ATTN_E_ARGUMENT);
    check(t, "workspace to nowhere", t->lib->block_workspace(t->block[SELF], &a, NULL),
          ATTN_E_ARGUMENT);
    a.struct_size--;
    check(t, "workspace, ABI", t->lib->block_workspace(t->block[SELF], &a, &bytes), ATTN_E_ABI);
}

static void check_create(status_test *t) {
    const kernel_lib *lib = t->lib;
    attn_block *block;
    attn_plan *plan;
    attn_spec s = t->spec[SELF].core;
    check(t, "create to nowhere", lib->block_create(NULL, &s, 0), ATTN_E_ARGUMENT);
    check(t, "create of nothing", lib->block_create(&block, NULL, 0), ATTN_E_ARGUMENT);
    check(t, "unknown flag", lib->block_create(&block, &s, 8), ATTN_E_ARGUMENT);
    check(t, "a layer as a core", lib->plan_create(&plan, &s, 0), ATTN_E_SPEC);
    s.struct_size--;
    check(t, "spec, ABI", lib->block_create(&block, &s, 0), ATTN_E_ABI);
    s = t->spec[SELF].core;
    s.d_model++;
    check(t, "another width", lib->block_create(&block, &s, 0), ATTN_E_NO_KERNEL);
    note(t, "another width", !block, "a block came back");
    s.d_model = -5;
    check(t, "a negative width", lib->block_create(&block, &s, 0), ATTN_E_SPEC);
    lib->spec_init(&s);
    s.heads = 2, s.head_dim = 8;
    check(t, "a core as a layer", lib->block_create(&block, &s, 0), ATTN_E_SPEC);
    lib->block_destroy(NULL);
}

/* --- Weights --- */

/* Tensors of a layer as pack takes them. */
static int tensors(const status_test *t, enum layer_index k, attn_tensor *out) {
    const block_case *c = &t->weights[k].c;
    for (int i = 0; i < c->weight_count; i++) {
        out[i] = (attn_tensor){c->weight[i].name, c->weight[i].data, c->weight[i].rank, {0}};
        memcpy(out[i].dim, c->weight[i].dim, sizeof out[i].dim);
    }
    return c->weight_count;
}

enum { MOST = 40 };

static int find(const attn_tensor *list, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0) return i;
    return 0;
}

/* Everything that is wrong is in one message, and nothing was packed. */
static void check_wrong_weights(status_test *t) {
    attn_tensor w[MOST];
    char message[1024], little[16];
    int n = tensors(t, SELF, w);
    const size_t bytes = t->lib->block_packed_bytes(t->block[SELF]);
    guard g = guard_alloc(bytes, 64, false);
    w[find(w, n, "norm1.weight")].name = "x.q_proj.weight"; /* doubled, and of another shape */
    w[find(w, n, "k_proj.weight")].dim[0]++;                /* wrong shape */
    w[find(w, n, "o_proj.bias")].data = NULL;               /* no data */
    w[n++] = (attn_tensor){"model.who.knows", t->f.x, 1, {3, 0, 0, 0}};
    w[n] = w[find(w, n, "v_proj.weight")];
    w[n++].name = "layers.0.v_proj.weight";
    attn_status st =
        t->lib->block_pack(t->block[SELF], w, n, g.data, bytes, message, sizeof message);
    check(t, "wrong weights", st, ATTN_E_WEIGHTS);
    static const char *const parts[] = {"norm1.weight: missing",
                                        "k_proj.weight: must be [8, 10], got [9, 10]",
                                        "o_proj.bias: must be [10], got [10] without data",
                                        "model.who.knows: unknown weight",
                                        "layers.0.v_proj.weight: gives v_proj.weight a second time",
                                        "x.q_proj.weight: must be [24, 10], got [10]"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        note(t, "wrong weights", strstr(message, parts[i]) != NULL,
             arena_printf(t->a, "\"%s\" is not in the message:\n%s", parts[i], message));
    st = t->lib->block_pack(t->block[SELF], w, n, g.data, bytes, little, sizeof little);
    check(t, "a short message", st, ATTN_E_WEIGHTS);
    note(t, "a short message", memchr(little, 0, sizeof little) != NULL, "has no end");
    st = t->lib->block_pack(t->block[SELF], w, n, g.data, bytes, NULL, 0);
    check(t, "no message", st, ATTN_E_WEIGHTS);
    note(t, "wrong weights", guard_untouched(&g), "packed memory was written");
    n = tensors(t, SELF, w);
#define PACK(block, count, to, size) t->lib->block_pack(block, w, count, to, size, NULL, 0)
    check(t, "pack, no block", PACK(NULL, n, g.data, bytes), ATTN_E_ARGUMENT);
    check(t, "pack to nowhere", PACK(t->block[SELF], n, NULL, bytes), ATTN_E_ARGUMENT);
    check(t, "pack, odd memory", PACK(t->block[SELF], n, g.data + 4, bytes), ATTN_E_ARGUMENT);
    check(t, "pack, little memory", PACK(t->block[SELF], n, g.data, bytes - 1), ATTN_E_ARGUMENT);
    check(t, "pack -1 tensors", PACK(t->block[SELF], -1, g.data, bytes), ATTN_E_ARGUMENT);
    w[0].name = NULL;
    check(t, "a nameless tensor", PACK(t->block[SELF], n, g.data, bytes), ATTN_E_ARGUMENT);
#undef PACK
    note(t, "packs that were refused", guard_untouched(&g), "packed memory was written");
    guard_free(&g);
}

/* One tensor of the rows of several. */
static attn_tensor fuse(status_test *t, const attn_tensor *w, int n, const char *name,
                        const char *const *parts, int count) {
    attn_tensor all = w[find(w, n, parts[0])];
    int64_t floats = 0, row = all.rank == 2 ? all.dim[1] : 1;
    float *data = arena_alloc(t->a, 1 << 16);
    all.dim[0] = 0;
    for (int i = 0; i < count; i++) {
        const attn_tensor *part = &w[find(w, n, parts[i])];
        memcpy(data + floats, part->data, (size_t)(part->dim[0] * row) * sizeof(float));
        floats += part->dim[0] * row;
        all.dim[0] += part->dim[0];
    }
    all.name = name;
    all.data = data;
    return all;
}

/* Other names of the same weights pack to the same bytes. */
static void check_names(status_test *t) {
    static const char *const qkv[] = {"q_proj.weight", "k_proj.weight", "v_proj.weight"};
    static const char *const bias[] = {"q_proj.bias", "k_proj.bias", "v_proj.bias"};
    static const char *const gate[] = {"gate_proj.weight", "up_proj.weight"};
    attn_tensor w[MOST], other[MOST];
    const int n = tensors(t, SELF, w);
    int count = 0;
    for (int i = 0; i < n; i++) {
        bool fused = false;
        for (int j = 0; j < 3; j++)
            fused |= !strcmp(w[i].name, qkv[j]) || !strcmp(w[i].name, bias[j]) ||
                     (j < 2 && !strcmp(w[i].name, gate[j]));
        if (!fused) other[count] = w[i];
        if (!fused) other[count++].name = arena_printf(t->a, "model.layers.7.%s", w[i].name);
    }
    other[count++] = fuse(t, w, n, "h.3.qkv.weight", qkv, 3);
    other[count++] = fuse(t, w, n, "self_attn.qkv_proj.bias", bias, 3);
    other[count++] = fuse(t, w, n, "mlp.gate_up_proj.weight", gate, 2);
    other[find(other, count, "model.layers.7.norm1.weight")].name = "a.input_layernorm.weight";
    const size_t bytes = t->lib->block_packed_bytes(t->block[SELF]);
    guard g = guard_alloc(bytes, 64, false);
    char message[1024];
    attn_status st =
        t->lib->block_pack(t->block[SELF], other, count, g.data, bytes, message, sizeof message);
    note(t, "other names", st == ATTN_OK, message);
    note(t, "other names", memcmp(g.data, t->packed[SELF].data, bytes) == 0, "packed other bytes");
    guard_free(&g);
}

/* --- Packed weights --- */

static void run_packed(status_test *t, enum layer_index k, const void *packed, float *y) {
    prepare(t, k);
    t->f.args.packed = packed;
    check(t, "packed weights", t->lib->block_prefill(t->block[k], &t->f.args), ATTN_OK);
    memcpy(y, t->f.y.data, FLOATS * sizeof(float));
    guard_free(&t->f.y);
    guard_free(&t->f.workspace);
    guard_free(&t->f.memory);
}

/* Saved to a file, and mapped back read-only. */
static void check_mapped(status_test *t, enum layer_index k) {
    float y[2][FLOATS];
    const size_t bytes = t->lib->block_packed_bytes(t->block[k]);
    FILE *file = tmpfile();
    if (!file || fwrite(t->packed[k].data, 1, bytes, file) != bytes || fflush(file)) {
        note(t, "packed weights", false, "cannot write a file");
        return;
    }
    void *map = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fileno(file), 0);
    note(t, "packed weights", map != MAP_FAILED, "mmap failed");
    check(t, "mapped weights", t->lib->block_check(t->block[k], map, bytes), ATTN_OK);
    run_packed(t, k, t->packed[k].data, y[0]);
    run_packed(t, k, map, y[1]);
    note(t, "mapped weights", memcmp(y[0], y[1], sizeof y[0]) == 0, "other bits");
    munmap(map, bytes);
    fclose(file);
}

static void check_damage(status_test *t) {
    const size_t bytes = t->lib->block_packed_bytes(t->block[SELF]);
    guard g = guard_alloc(bytes, 64, false);
#define CHECK(at, size) t->lib->block_check(t->block[SELF], at, size)
    /* Each byte of the header, then bytes here and there in the weights. */
    for (size_t i = 0; i < bytes; i += i < 64 ? 1 : 61) {
        memcpy(g.data, t->packed[SELF].data, bytes);
        g.data[i] ^= 0x10;
        check(t, arena_printf(t->a, "byte %zu changed", i), CHECK(g.data, bytes), ATTN_E_PACKED);
        const bool header = i < 32; /* magic, ABI, ISA, size and layer: runs see them too */
        if (header) PREFILL(SELF, a->packed = g.data, ATTN_E_PACKED);
    }
    memcpy(g.data, t->packed[SELF].data, bytes);
    check(t, "packed, whole", CHECK(g.data, bytes), ATTN_OK);
    check(t, "packed, cut", CHECK(g.data, bytes - 1), ATTN_E_PACKED);
    check(t, "packed, none", CHECK(NULL, bytes), ATTN_E_ARGUMENT);
    check(t, "packed, odd", CHECK(g.data + 4, bytes), ATTN_E_ARGUMENT);
    check(t, "packed, another's", CHECK(t->packed[FLEX].data, t->packed[FLEX].size), ATTN_E_PACKED);
#undef CHECK
    PREFILL(SELF, a->packed = t->packed[SLIDE].data, ATTN_E_PACKED);
    guard_free(&g);
}

/* A call that reads a side tensor out of range, by a reference or a debug build, which look. */
static void refuse_index(status_test *t, attn_block *block, const char *what) {
    attn_block *const usual = t->block[INDEXED];
    t->block[INDEXED] = block;
    prepare(t, INDEXED);
    t->f.cache.length[0] = t->f.cache.length[1] = 1; /* prefill empties it all the same */
    check(t, what, t->lib->block_prefill(block, &t->f.args), ATTN_E_INDEX);
    note(t, what, guard_untouched(&t->f.y), "y was written");
    note(t, what, t->f.cache.length[0] == 0 && t->f.cache.length[1] == 0, "the cache has keys");
    t->f.count[0] = t->f.count[1] = 2; /* keys 0 and 1 are in range */
    t->f.args.count = t->f.count;
    refuse(t, INDEXED, false, what, ATTN_OK);
    t->block[INDEXED] = usual;
}

static void check_index(status_test *t, const property_options *o) {
    PREFILL(INDEXED, (void)0, ATTN_OK); /* others clamp */
    attn_block *block = NULL;
    check(t, "a reference", t->lib->block_create(&block, &t->spec[INDEXED].core, ATTN_REFERENCE),
          ATTN_OK);
    if (block) refuse_index(t, block, "an index, reference");
    t->lib->block_destroy(block);

    built b;
    build_options build = o->build;
    build.isa_mask = 1u << ATTN_ISA_PORTABLE;
    build.cflags = "-O1 -DATTN_DEBUG";
    build_kernels(t->a, &t->spec[INDEXED], 1, &build, &b);
    note(t, "a debug build", !b.error, b.error);
    if (b.error) return;
    const kernel_lib *const usual = t->lib;
    t->lib = b.lib;
    check(t, "a debug build", t->lib->block_create(&block, &t->spec[INDEXED].core, 0), ATTN_OK);
    refuse_index(t, block, "an index, debug build");
    t->lib->block_destroy(block);
    t->lib = usual;
}

static bool make_layers(status_test *t, const property_options *o) {
    build_options build = o->build;
    const char *why = NULL;
    diag d = {0};
    build.isa_mask = 1u << ATTN_ISA_PORTABLE;
    build.cflags = "-O1";
    setenv("ATTN_ISA", "portable", 1);
    for (int k = 0; k < LAYERS; k++)
        if (!property_try(t->a, "layer", layer_text[k], &t->spec[k], &d)) why = d.text;
    if (!why) build_kernels(t->a, t->spec, LAYERS, &build, t->built);
    for (int k = 0; k < LAYERS && !why; k++) {
        why = t->built[k].error;
        if (why) break;
        t->lib = t->built[k].lib;
        if (t->lib->block_create(&t->block[k], &t->spec[k].core, 0) != ATTN_OK) {
            why = "attn_block_create failed";
            break;
        }
        t->weights[k].c.spec = &t->spec[k];
        layer_weights(t->a, t->lib, t->block[k], &t->r, &t->weights[k]);
        layer_pack(t->a, t->lib, t->block[k], &t->weights[k], &t->packed[k], &why);
    }
    if (why) printf("FAIL layers' statuses: %s\n", why);
    return !why;
}

int property_layer_statuses(const property_options *o) {
    arena *a = arena_new();
    status_test *t = arena_alloc(a, sizeof *t);
    t->a = a;
    t->r.state = 5;
    int failures = 1;
    for (int i = 0; i < FLOATS; i++) t->f.x[i] = rng_normal(&t->r);
    for (int i = 0; i < B * KV * KV_DIM; i++) t->f.kv[i] = rng_normal(&t->r);
    if (make_layers(t, o)) {
        check_good(t);
        check_pointers(t);
        check_unused(t);
        check_shapes(t);
        check_caches(t);
        check_workspaces(t);
        check_create(t);
        check_wrong_weights(t);
        check_names(t);
        for (int k = 0; k < LAYERS; k++) check_mapped(t, (enum layer_index)k);
        check_damage(t);
        check_index(t, o);
        printf("property: %d status checks of layers, %d failed\n", t->checks, t->failures);
        failures = t->failures;
    }
    for (int k = 0; k < LAYERS; k++) {
        if (t->block[k]) t->lib->block_destroy(t->block[k]);
        if (t->packed[k].data) guard_free(&t->packed[k]);
    }
    arena_free(a);
    return failures;
}
