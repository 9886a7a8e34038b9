/* layer_statuses.c - every mistake that a caller of attn_block_* can make gives its status and a
 * sentence that names the argument, and writes nothing; packed weights by any of their names, saved
 * and mapped back. */
#define _DEFAULT_SOURCE
#include "caller_mode.h"
#include "plan/isa.h"
#include "lab/stored.h"
#include "layers.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { B = 2, T = 4, M = 10, KV = 5, KV_DIM = 6, CAPACITY = 9, FLOATS = B * T * M };

enum layer_index {
    SELF,
    SLIDE,
    BOTH_WAYS,
    CROSS,
    SECOND,
    FLEX,
    INDEXED,
    SHARED,
    STORED,
    SINGLE,
    MIXED,
    CLAMPED,
    SCALED_INPUT,
    CODES,
    UNTURNED,
    PAGED,
    LISTED,
    LAYERS
};
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
               "d_model=10;ffn=none;weight_type=f16",
    [CODES] = "level=block;heads=3;kv_heads=1;head_dim=8;d_model=10;ffn=none;kv_type=i8",
    [UNTURNED] = "level=block;heads=3;kv_heads=1;head_dim=8;d_model=10;ffn=none;kv_type=i8;"
                 "rotate=false",
    [PAGED] = "level=block;heads=3;kv_heads=1;head_dim=8;d_model=10;ffn=none;kv_type=i8;"
              "layout=paged;page=16",
    [LISTED] = "level=block;heads=4;kv_heads=2;head_dim=8;d_model=10;ffn=none;layout=paged;page=16;"
               "select=index",
    [STORED] = "level=block;heads=3;kv_heads=1;head_dim=8;d_model=10;ffn=none;kv_type=bf16;"
               "weight_type=bf16",
    [SINGLE] = "level=block;heads=3;kv_heads=1;head_dim=8;d_model=10;ffn=none;kv_type=bf16;"
               "weight_type=bf16;weight_types=o_proj=f16",
    [MIXED] = "level=block;heads=2;head_dim=8;d_model=10;ffn=moe;experts=3;top_k=2;expert_dim=6;"
              "router=sigmoid;router_bias=selection;shared_experts=2;shared_gate=true",
    [CLAMPED] = "level=block;heads=2;head_dim=8;d_model=10;ffn=moe;experts=3;top_k=1;expert_dim=6;"
                "expert_act=swiglu_clamped;router=topk_softmax;router_bias=logits;ffn_bias=true",
    [SCALED_INPUT] = "level=block;heads=2;head_dim=8;d_model=10;ffn=moe;experts=3;top_k=1;"
                     "expert_dim=6;router=sigmoid;router_input=true;qk_norm=true;"
                     "qk_norm_weights=heads;rope_scaling=longrope;rope_factor=4;rope_original=8",
};

/* Correct arguments for a layer, for a test to spoil. */
typedef struct fixture {
    float x[FLOATS], kv[B * KV * KV_DIM], slope[2];
    int32_t count[B], kv_count[B], seg[B * T], position[B * T];
    int32_t index[B * 2 * T * 3], index_count[B * T];
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

/* A check's sentence: none where nothing is wrong. */
static void check_text(status_test *t, const char *what, attn_status got, attn_status want,
                       const char *text, const char *says) {
    check(t, what, got, want);
    note(t, what, want == ATTN_OK ? !*text : *text && strstr(text, says) != NULL,
         arena_printf(t->a, "the sentence is \"%s\", without \"%s\"", text, says));
}

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

/* --- Calls --- */

static const attn_pool short_pool = {4, NULL, NULL}, idle_pool = {sizeof(attn_pool), NULL, NULL};

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
    if (k == LISTED) {
        a->index = f->index, a->index_batch = 2 * T * 3, a->index_head = T * 3, a->index_row = 3;
        a->index_count = f->index_count, a->index_count_batch = T;
    }
    for (int i = 0; i < B * 2 * T * 3; i++) f->index[i] = i % 3 - 1;
    for (int i = 0; i < B * T; i++) f->index_count[i] = i % 3;
    size_t bytes;
    const int32_t capacity = k == PAGED || k == LISTED ? 40 : CAPACITY; /* 3 pages an item */
    t->lib->cache_bytes(t->block[k], B, capacity, &bytes);
    f->memory = guard_alloc(bytes, 64, false);
    t->lib->cache_init(t->block[k], &f->cache, B, capacity, f->memory.data, bytes);
    a->cache = &f->cache;
    a->packed = t->packed[k].data;
    t->lib->block_workspace(t->block[k], a, &bytes);
    f->workspace = guard_alloc(bytes, 64, false);
    a->workspace = f->workspace.data, a->workspace_bytes = bytes;
    for (int b = 0; b < B; b++) f->count[b] = T, f->kv_count[b] = KV;
}

/* Runs the fixture as it is, which must fail without writing. */
static void refuse(status_test *t, enum layer_index k, bool step, const char *what,
                   attn_status want, const char *says) {
    fixture *f = &t->f;
    uint8_t *before = arena_alloc(t->a, f->memory.size + 1);
    memcpy(before, f->memory.data, f->memory.size);
    char text[ATTN_MESSAGE_MAX] = "?";
    const attn_status said = (step ? t->lib->step_check : t->lib->prefill_check)(
        t->block[k], &f->args, text, sizeof text);
    check_text(t, what, said, want, text, says);
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

/* prepare, spoil, refuse; says: words of the sentence. */
#define CALL(layer, step, spoil, want, says)                                  \
    do {                                                                      \
        prepare(t, layer);                                                    \
        fixture *f = &t->f;                                                   \
        attn_block_args *a = &f->args;                                        \
        spoil;                                                                \
        (void)a;                                                              \
        refuse(t, layer, step, #layer " " #step " with " #spoil, want, says); \
    } while (0)
#define PREFILL(layer, spoil, want, says) CALL(layer, false, spoil, want, says)
#define STEP(layer, spoil, want, says) CALL(layer, true, spoil, want, says)

/* Each layer is that of its spec, whatever else is linked. */
static void check_kernels(status_test *t) {
    for (int k = 0; k < LAYERS; k++) {
        const char *got = t->lib->block_name(t->block[k]), *want = t->spec[k].name;
        note(t, "a layer's kernel", !strncmp(got, want, strlen(want)),
             arena_printf(t->a, "%s, of %s", got, want));
    }
}

static void check_good(status_test *t) {
    check_kernels(t);
    for (int k = 0; k < LAYERS; k++) PREFILL((enum layer_index)k, (void)0, ATTN_OK, "");
    STEP(SELF, (void)0, ATTN_OK, "");
    PREFILL(SELF, a->cache = NULL, ATTN_E_WORKSPACE,
            "workspace_bytes is"); /* keys take room in it */
    PREFILL(SELF, a->batch = 0, ATTN_E_CACHE, "cache.batch is 2: must be the call's batch = 0");
    PREFILL(SELF, (a->batch = 0, a->cache = NULL), ATTN_OK, "");
    PREFILL(SELF, (a->tokens = 0, a->x = NULL, a->y = NULL), ATTN_OK, "");
}

static void check_pointers(status_test *t) {
    PREFILL(SELF, a->x = NULL, ATTN_E_ARGUMENT,
            "x is null: must hold floats, [batch, tokens, width] = [2, 4, 10]");
    PREFILL(SELF, a->y = NULL, ATTN_E_ARGUMENT, "y is null: must hold floats");
    PREFILL(SELF, a->packed = NULL, ATTN_E_ARGUMENT, "packed is null: ");
    PREFILL(SELF, a->packed = t->packed[SELF].data + 4, ATTN_E_ARGUMENT, "must be 64-byte aligned");
    PREFILL(SELF, a->batch = -1, ATTN_E_ARGUMENT, "batch is -1: must be from 0 to");
    PREFILL(SELF, a->tokens = -1, ATTN_E_ARGUMENT, "tokens is -1");
    PREFILL(SELF, a->threads = -1, ATTN_E_ARGUMENT, "threads is -1: must be from 0 to 65536");
    PREFILL(SELF, a->threads = 65537, ATTN_E_ARGUMENT, "threads is 65537: must be from 0 to 65536");
    PREFILL(SELF, (a->cache = NULL, a->tokens = INT32_MAX), ATTN_E_ARGUMENT,
            "tokens is 2147483647: batch * tokens must be at most");
    PREFILL(SECOND, a->kv_tokens = -1, ATTN_E_ARGUMENT, "kv_tokens is -1");
    PREFILL(SECOND, a->kv = NULL, ATTN_E_ARGUMENT,
            "kv is null: must hold floats, [batch, kv_tokens, kv_dim] = [2, 5, 6]");
    PREFILL(CROSS, a->kv = NULL, ATTN_E_ARGUMENT,
            "kv is null: must hold floats, [batch, kv_tokens, kv_dim] = [2, 5, 6]");
    PREFILL(CROSS, a->seg = NULL, ATTN_E_ARGUMENT,
            "seg is null: must hold int32, [batch, tokens] = [2, 4]");
    PREFILL(FLEX, a->side = NULL, ATTN_E_ARGUMENT,
            "side is null: must hold 1 side tensors, the first of them slope");
    PREFILL(FLEX, a->scalars = NULL, ATTN_E_ARGUMENT, "scalars is null: must hold 1");
    PREFILL(FLEX, f->side.data = NULL, ATTN_E_ARGUMENT, "side[0].data (slope) is null");
    PREFILL(SELF, a->pool = &short_pool, ATTN_E_ABI, "pool.struct_size is 4: must be");
    PREFILL(SELF, a->pool = &idle_pool, ATTN_E_ARGUMENT, "pool.run is null");
    PREFILL(SELF, (a->pool = &idle_pool, a->struct_size = offsetof(attn_block_args, pool)), ATTN_OK,
            "");
    STEP(BOTH_WAYS, (void)0, ATTN_E_ARGUMENT, "a step: this layer is not causal");
    PREFILL(SELF, a->struct_size--, ATTN_E_ABI, "args.struct_size is");
    PREFILL(SELF, a->struct_size = 0, ATTN_E_ABI, "args.struct_size is 0");
    check(t, "no block", t->lib->block_prefill(NULL, &t->f.args), ATTN_E_ARGUMENT);
    check(t, "no arguments", t->lib->block_step(t->block[SELF], NULL), ATTN_E_ARGUMENT);
}

static void check_unused(status_test *t) {
    PREFILL(SELF, a->kv = f->kv, ATTN_E_UNUSED, "kv is given");
    PREFILL(SELF, a->kv_tokens = 1, ATTN_E_UNUSED, "kv_tokens is given");
    PREFILL(SELF, a->kv_count = f->kv_count, ATTN_E_UNUSED, "kv_count is given");
    PREFILL(SELF, a->seg = f->seg, ATTN_E_UNUSED, "seg is given");
    PREFILL(SECOND, a->seg = f->seg, ATTN_E_UNUSED, "seg is given");
    PREFILL(SELF, a->q_pos = f->position, ATTN_E_UNUSED, "q_pos is given");
    PREFILL(SELF, a->kv_pos = f->position, ATTN_E_UNUSED, "kv_pos is given");
    PREFILL(SECOND, (a->q_pos = f->position, a->q_pos_batch = T), ATTN_OK, "");
    PREFILL(SELF, a->side_count = 1, ATTN_E_UNUSED, "side_count is 1: must be 0");
    PREFILL(SELF, a->scalar_count = 1, ATTN_E_UNUSED, "scalar_count is 1: must be 0");
    PREFILL(FLEX,
            a->mask = ((attn_mask){.data = f->mask, .type = ATTN_MASK_BOOL, .rank = 1, .dim = {1}}),
            ATTN_E_UNUSED, "mask.type is 1: must be ATTN_MASK_NONE");
}

static void check_shapes(status_test *t) {
    PREFILL(SELF, (a->count = f->count, f->count[1] = T + 1), ATTN_E_LENGTH,
            "count[1] is 5: must be from 0 to tokens = 4");
    PREFILL(SELF, (a->count = f->count, f->count[0] = -1), ATTN_E_LENGTH, "count[0] is -1");
    static const int32_t place[B * T] = {0, 1, -1};
    PREFILL(SELF, (a->q_position = place, a->q_position_batch = T), ATTN_E_LENGTH,
            "q_position of row 2 of item 0 is -1: must be from 0");
    PREFILL(CROSS, a->q_position = place, ATTN_E_UNUSED, "q_position is given");
    static const int32_t falling[] = {0, 2, 1}, negative[] = {-1, 0, 1}, back[] = {2, 2, 1},
                         long_item[] = {0, 0, T + 1};
    PREFILL(SELF, a->q_begin = falling, ATTN_E_LENGTH,
            "q_begin[2] is 1: must be at least q_begin[1] = 2");
    PREFILL(SELF, a->q_begin = negative, ATTN_E_LENGTH, "q_begin[0] is -1: must not be negative");
    PREFILL(SELF, a->q_begin = back, ATTN_E_LENGTH, "must be at least q_begin[0] = 2");
    PREFILL(SELF, a->q_begin = long_item, ATTN_E_LENGTH, "more than tokens =");
    PREFILL(SELF, (a->q_begin = long_item, a->count = f->count), ATTN_E_UNUSED, "count is given");
    PREFILL(CROSS, (a->kv_count = f->kv_count, f->kv_count[1] = KV + 1), ATTN_E_LENGTH,
            "kv_count[1] is 6: must be from 0 to kv_tokens = 5");
    PREFILL(CROSS, (a->kv_count = f->kv_count, f->kv_count[0] = -1), ATTN_E_LENGTH,
            "kv_count[0] is -1");
    PREFILL(FLEX, f->side.count = 3, ATTN_E_SHAPE, "side[0].count (slope) is 3: must be 2");
    PREFILL(FLEX, a->side_count = 0, ATTN_E_SHAPE, "side_count is 0: must be 1");
    PREFILL(FLEX, a->scalar_count = 2, ATTN_E_SHAPE, "scalar_count is 2: must be 1");
#define MASK(keys) ((attn_mask){f->mask, ATTN_MASK_BOOL, 2, {T, keys}, {keys, 1}})
    PREFILL(SELF, (memset(f->mask, 1, sizeof f->mask), a->mask = MASK(T)), ATTN_OK, "");
    PREFILL(SELF, a->mask = MASK(CAPACITY), ATTN_E_SHAPE,
            "mask.dim[1] is 9: must be 1 or 4 (keys)");
    STEP(SELF, (f->cache.length[0] = 2, a->mask = MASK(T)), ATTN_E_SHAPE,
         "mask.dim[1] is 4: must be 1 or 6 (keys)");
    PREFILL(SELF, (a->mask = MASK(T), a->mask.rank = 5), ATTN_E_SHAPE, "mask.rank is 5");
    PREFILL(SELF, (a->mask = MASK(T), a->mask.data = NULL), ATTN_E_ARGUMENT, "mask.data is null");
#undef MASK
}

/* A cache of bf16 is half as large, and no other type's. */
static void check_stored(status_test *t, void *memory, size_t size) {
    enum { BYTES = B * CAPACITY * 8 * 2 }; /* of k, and of v */
    attn_cache other;
    t->lib->cache_init(t->block[STORED], &other, B, CAPACITY, memory, size);
    PREFILL(SELF, *a->cache = other, ATTN_E_CACHE, "cache.layer is another layer's");
    t->lib->cache_init(t->block[SELF], &other, B, CAPACITY, memory, size);
    STEP(STORED, *a->cache = other, ATTN_E_CACHE, "cache.layer is another layer's");
    STEP(STORED, f->cache.type = ATTN_TYPE_F32, ATTN_E_CACHE,
         "cache.type is 0: must be 1 (bf16), as attn_cache_init sets it");
    STEP(STORED, f->cache.struct_size = offsetof(attn_cache, type), ATTN_E_CACHE,
         "cache.struct_size is");
    STEP(STORED, f->cache.v = (char *)f->cache.k + BYTES, ATTN_OK, "");
    STEP(STORED, f->cache.v = (char *)f->cache.k + BYTES - 2, ATTN_E_ARGUMENT,
         "cache.k overlaps cache.v");
    size_t bytes;
    t->lib->cache_bytes(t->block[STORED], B, CAPACITY, &bytes);
    note(t, "a cache of bf16", bytes == 2 * (BYTES + 63) / 64 * 64 + 2 * 64, "has another size");
}

/* One of i8 has scales, and no other rotation. */
static void check_codes(status_test *t, void *memory, size_t size) {
    enum { ROWS = B * CAPACITY, BYTES = ROWS * 8 }; /* of k, and of v */
    attn_cache other;
    t->lib->cache_init(t->block[CODES], &other, B, CAPACITY, memory, size);
    PREFILL(STORED, *a->cache = other, ATTN_E_CACHE, "cache.layer is another layer's");
    PREFILL(UNTURNED, *a->cache = other, ATTN_E_CACHE, "cache.layer is another layer's");
    t->lib->cache_init(t->block[UNTURNED], &other, B, CAPACITY, memory, size);
    STEP(CODES, *a->cache = other, ATTN_E_CACHE, "cache.layer is another layer's");
    STEP(CODES, f->cache.type = ATTN_TYPE_BF16, ATTN_E_CACHE, "cache.type is 1: must be 3 (i8)");
    STEP(CODES, f->cache.k_scale = NULL, ATTN_E_CACHE,
         "cache.k_scale is null: attn_cache_init sets it");
    STEP(CODES, f->cache.v_scale = NULL, ATTN_E_CACHE, "cache.v_scale is null");
    STEP(CODES, f->cache.v_scale = f->cache.k_scale + ROWS, ATTN_OK, "");
    STEP(CODES, f->cache.v_scale = f->cache.k_scale + ROWS - 1, ATTN_E_ARGUMENT,
         "cache.k_scale overlaps cache.v_scale");
    STEP(CODES, f->cache.k_scale = f->cache.v, ATTN_E_ARGUMENT, "cache.v overlaps cache.k_scale");
    size_t bytes;
    t->lib->cache_bytes(t->block[CODES], B, CAPACITY, &bytes);
    const size_t want = 2 * ((BYTES + 63) / 64 + (ROWS * sizeof(float) + 63) / 64) * 64 + 2 * 64;
    note(t, "a cache of i8", bytes == want, "has another size");
}

/* Tables whose items have pages 0, 1, 2 and 3, 4, 5. */
static void check_pages(status_test *t) {
    STEP(PAGED, f->cache.pages = NULL, ATTN_E_CACHE,
         "cache.pages is null: must hold int32, [batch, pages of capacity] = [2, 3]");
    STEP(PAGED, f->cache.pages_batch = 2, ATTN_E_CACHE,
         "cache.pages_batch is 2: must be at least 3, the pages of capacity = 40");
    STEP(PAGED, f->cache.page_count = -1, ATTN_E_CACHE, "cache.page_count is -1");
    STEP(PAGED, f->cache.struct_size = offsetof(attn_cache, pages), ATTN_E_CACHE,
         "cache.struct_size is");
    STEP(PAGED, f->cache.start[1] = 1, ATTN_E_CACHE, "cache.start[1] is 1: must be 0, as keys in");
    STEP(PAGED, f->cache.pages[3] = 6, ATTN_E_PAGE,
         "cache.pages[1][0] is 6: must be from 0 to cache.page_count - 1 = 5, as new keys go to");
    STEP(PAGED, (f->cache.length[1] = 14, f->cache.pages[4] = -1), ATTN_E_PAGE,
         "cache.pages[1][1] is -1: must be from 0 to cache.page_count - 1 = 5, as new keys go to");
    STEP(PAGED, (f->cache.length[1] = 16, f->cache.pages[3] = INT32_MIN), ATTN_E_PAGE,
         "cache.pages[1][0] is -2147483648: must be from 0 to cache.page_count - 1 = 5, as rows "
         "see keys of it");
    STEP(PAGED, f->cache.page_count = 3, ATTN_E_PAGE, "cache.pages[1][0] is 3: must be from 0");
    STEP(PAGED, f->cache.pages[3] = 0, ATTN_E_PAGE,
         "cache.pages[0][0] is 0, and so is cache.pages[1][0]: a page that is written must be "
         "named there alone");
    STEP(PAGED, (f->cache.length[1] = 20, f->cache.pages[3] = 0), ATTN_E_PAGE,
         "cache.pages[0][0] is 0, and so is cache.pages[1][0]");
    STEP(PAGED, (f->cache.length[0] = 20, f->cache.pages[1] = 0), ATTN_E_PAGE,
         "cache.pages[0][1] is 0, and so is cache.pages[0][0]");
    STEP(PAGED,
         (f->count[1] = 0, a->count = f->count, f->cache.length[1] = 3, f->cache.pages[3] = 0),
         ATTN_E_PAGE, "cache.pages[0][0] is 0, and so is cache.pages[1][0]");
    STEP(PAGED, (f->cache.length[0] = f->cache.length[1] = 16, f->cache.pages[3] = 0), ATTN_OK, "");
    STEP(PAGED, (f->cache.pages[1] = -1, f->cache.pages[5] = 0), ATTN_OK, "");
    STEP(PAGED, (f->count[1] = 0, a->count = f->count, f->cache.pages[3] = 0), ATTN_OK, "");
    PREFILL(PAGED, (f->cache.length[1] = 40, f->cache.pages[5] = 0), ATTN_OK, "");
    STEP(PAGED, f->cache.length[0] = 37, ATTN_E_CACHE, "cache.capacity is 40: item 0 keeps 37");
}

/* Lists of keys; those of row 1 of item 1 name keys -1, 0. */
static void check_lists(status_test *t) {
    PREFILL(SELF, a->index = f->index, ATTN_E_UNUSED,
            "index is given: must be null, as the spec's select is all");
    PREFILL(SELF, a->index_count = f->index_count, ATTN_E_UNUSED,
            "index_count is given: must be null, as the spec's select is all");
    PREFILL(
        LISTED, a->index_count = NULL, ATTN_E_ARGUMENT,
        "index_count is null: must hold int32, [batch, rows] = [2, 4], as the spec's select is");
    PREFILL(LISTED, a->index = NULL, ATTN_E_ARGUMENT,
            "index is null: must hold int32, [batch, kv_heads, rows, n], as the spec's select is");
    PREFILL(LISTED, a->struct_size = offsetof(attn_block_args, index), ATTN_E_ARGUMENT,
            "index_count is null");
    PREFILL(SELF, a->struct_size = offsetof(attn_block_args, index), ATTN_OK, "");
    PREFILL(LISTED, f->index_count[5] = -1, ATTN_E_LENGTH,
            "index_count of row 1 of item 1 is -1: must not be negative");
    PREFILL(LISTED, (a->count = f->count, f->count[1] = 1, f->index_count[5] = -1), ATTN_OK, "");
    PREFILL(LISTED,
            (a->count = f->count, f->count[0] = f->count[1] = 0, a->index = a->index_count = NULL),
            ATTN_OK, "");
    PREFILL(LISTED, a->index = (int32_t *)a->y, ATTN_E_ARGUMENT, "y overlaps index");
    PREFILL(LISTED, a->index = (int32_t *)f->cache.k, ATTN_E_ARGUMENT, "cache.k overlaps index");
    static const int32_t rows[] = {1, 2, 4};
    PREFILL(LISTED, (a->q_begin = rows, f->index_count[0] = -1), ATTN_OK, ""); /* nobody's */
    PREFILL(LISTED, (a->q_begin = rows, f->index_count[2] = -1), ATTN_E_LENGTH,
            "index_count of row 0 of item 1 is -1");
    STEP(LISTED, (f->cache.length[1] = 16, f->cache.pages[3] = -1), ATTN_E_PAGE,
         "cache.pages[1][0] is -1: must be from 0 to cache.page_count - 1 = 5, as rows see keys");
    STEP(LISTED,
         (f->cache.length[1] = 16, f->cache.pages[3] = -1,
          memset(f->index_count + T, 0, T * sizeof(int32_t))),
         ATTN_OK, "");
    STEP(LISTED,
         (f->cache.length[1] = 16, f->cache.pages[3] = -1, a->index_batch = 0,
          memset(f->index, 0x7f, sizeof f->index)),
         ATTN_OK, "");
}

/* Sizes of caches in pages. */
static void check_paged_sizes(status_test *t) {
    const kernel_lib *lib = t->lib;
    attn_block *paged = t->block[PAGED], *self = t->block[SELF];
    attn_cache c;
    size_t bytes, page;
    char text[ATTN_MESSAGE_MAX];
    guard g = guard_alloc(1 << 14, 64, true);
    check(t, "a page", lib->cache_page_bytes(paged, &page), ATTN_OK);
    note(t, "a page", page == 2 * 16 * (8 + sizeof(float)), "has another size");
    check(t, "a page of no cache", lib->cache_page_bytes(self, &page), ATTN_E_UNUSED);
    check(t, "a page of no block", lib->cache_page_bytes(NULL, &page), ATTN_E_ARGUMENT);
    check(t, "a page, and no size", lib->cache_page_bytes(paged, NULL), ATTN_E_ARGUMENT);
    note(t, "pages",
         lib->cache_pages(paged, 0) == 0 && lib->cache_pages(paged, 16) == 1 &&
             lib->cache_pages(paged, 17) == 2 && lib->cache_pages(paged, -1) == 0 &&
             lib->cache_pages(self, 17) == 0 && lib->cache_pages(NULL, 17) == 0,
         "are not as many");
    note(t, "capacity in pages", lib->cache_capacity(paged, 50, 3) == 50, "is not all");
#define BYTES(block, capacity, count, want, says)                                               \
    check(t, says, lib->cache_paged_bytes(block, 2, capacity, count, &bytes), want);            \
    check(t, says, lib->cache_paged_init(block, &c, 2, capacity, count, g.data, g.size), want); \
    check_text(t, says,                                                                         \
               lib->cache_paged_memory_check(block, 2, capacity, count, g.data, g.size, text,   \
                                             sizeof text),                                      \
               want, text, says)
    BYTES(NULL, 20, 3, ATTN_E_ARGUMENT, "block is null");
    BYTES(self, 20, 3, ATTN_E_UNUSED, "page_count is given: this layer's cache has no pages");
    BYTES(paged, 20, -1, ATTN_E_ARGUMENT, "page_count is -1");
    BYTES(paged, -1, 3, ATTN_E_ARGUMENT, "capacity is -1");
    BYTES(paged, 20, 3, ATTN_OK, "");
#undef BYTES
    note(t, "an empty table",
         c.pages[0] == -1 && c.pages[3] == -1 && c.page_count == 3 && c.pages_batch == 2 &&
             c.capacity == 20,
         "is not empty");
    c.length[1] = 20;
    note(t, "the first page", lib->cache_first_page(paged, &c, 1) == 0, "is not 0");
    check(t, "a page's owner", lib->cache_own_page(self, &c, 0, 0, 0), ATTN_E_CACHE);
#define OWN(item, n, page, want, says)                                                          \
    check_text(t, says, lib->cache_own_page_check(paged, &c, item, n, page, text, sizeof text), \
               want, text, says);                                                               \
    check(t, says, lib->cache_own_page(paged, &c, item, n, page), want)
    OWN(2, 0, 0, ATTN_E_ARGUMENT, "item is 2");
    OWN(1, 2, 0, ATTN_E_ARGUMENT, "n is 2: must be from 0 to 1, as item 1 has 20 keys");
    OWN(1, 1, 3, ATTN_E_PAGE, "page is 3: must be from 0 to cache.page_count - 1 = 2");
    OWN(1, 1, 2, ATTN_E_PAGE, "cache.pages[1][1] is -1: must be from 0");
    c.pages[2] = 0, c.pages[3] = 1;
    OWN(1, 1, 0, ATTN_E_PAGE, "page is 0, and so is cache.pages[1][0]: it must be nobody's");
    OWN(1, 1, 2, ATTN_OK, "");
    note(t, "a page of its own", c.pages[3] == 2, "is not in the table");
#undef OWN
    guard_free(&g);
}

static void check_caches(status_test *t) {
    STEP(SELF, a->cache = NULL, ATTN_E_CACHE,
         "cache is null: a step appends to the keys of a prefill");
    STEP(SELF, f->cache.batch = 1, ATTN_E_CACHE, "cache.batch is 1: must be the call's batch = 2");
    STEP(SELF, f->cache.struct_size--, ATTN_E_CACHE, "cache.struct_size is");
    STEP(SELF, f->cache.length[1] = -1, ATTN_E_CACHE,
         "cache.length[1] is -1: must be from 0 to cache.capacity = 9");
    STEP(SELF, f->cache.length[1] = CAPACITY + 1, ATTN_E_CACHE, "cache.length[1] is 10");
    STEP(SELF, f->cache.start[1] = -1, ATTN_E_CACHE, "cache.start[1] is -1");
    STEP(SELF, f->cache.start[1] = INT32_MAX - 2, ATTN_E_CACHE,
         "cache.start[1] is 2147483645: positions would pass");
    STEP(SELF, f->cache.length[1] = CAPACITY - T + 1, ATTN_E_CACHE,
         "cache.capacity is 9: item 1 keeps 6 keys and gets 4 more");
    STEP(SELF, f->cache.k = NULL, ATTN_E_CACHE, "cache.k is null");
    STEP(SLIDE, f->cache.length[1] = CAPACITY, ATTN_OK, "");
    STEP(SLIDE, (f->cache.length[1] = CAPACITY, f->cache.capacity = CAPACITY), ATTN_OK, "");
    PREFILL(SELF, f->cache.length[1] = CAPACITY, ATTN_OK, "");
    size_t bytes;
    attn_cache other;
    guard g = guard_alloc(1 << 16, 64, true);
    const kernel_lib *lib = t->lib;
    attn_block *self = t->block[SELF];
    check(t, "a cache", lib->cache_bytes(self, B, CAPACITY, &bytes), ATTN_OK);
    size_t none;
    char text[ATTN_MESSAGE_MAX];
#define BYTES(what, block, batch, capacity, says)                                             \
    check(t, what, lib->cache_bytes(block, batch, capacity, &none), ATTN_E_ARGUMENT);         \
    check_text(t, what,                                                                       \
               lib->cache_memory_check(block, batch, capacity, g.data, 0, text, sizeof text), \
               ATTN_E_ARGUMENT, text, says)
    BYTES("a cache of no block", NULL, 1, 1, "block is null");
    BYTES("batch -1", self, -1, 1, "batch is -1");
    BYTES("capacity -1", self, 1, -1, "capacity is -1");
    BYTES("a huge cache", self, INT32_MAX, INT32_MAX, "the cache would hold 7.4e+19 values");
#undef BYTES
#define INIT(what, memory, size, want, says)                                                      \
    check(t, what, lib->cache_init(self, &other, B, CAPACITY, memory, size), want);               \
    check_text(t, what,                                                                           \
               lib->cache_memory_check(self, B, CAPACITY, memory, size, text, sizeof text), want, \
               text, says)
    INIT("no memory", NULL, bytes, ATTN_E_ARGUMENT, "memory is null");
    INIT("odd memory", g.data + 4, bytes, ATTN_E_CACHE, "64-byte aligned");
    INIT("little memory", g.data, bytes - 1, ATTN_E_CACHE, "bytes is ");
#undef INIT
    check(t, "no cache", lib->cache_init(self, NULL, B, 1, g.data, bytes), ATTN_E_ARGUMENT);
    check(t, "no size", lib->cache_bytes(self, B, 1, NULL), ATTN_E_ARGUMENT);
    note(t, "capacity of no block", lib->cache_capacity(NULL, 5, 1) == 0, "is not 0");
    note(t, "capacity for -1 tokens", lib->cache_capacity(self, -1, 1) == 0, "is not 0");
    check_text(t, "no cache", lib->cache_check(self, NULL, B, text, sizeof text), ATTN_E_CACHE,
               text, "cache is null");
    check_text(t, "no block", lib->cache_check(NULL, &other, B, text, sizeof text), ATTN_E_ARGUMENT,
               text, "block is null");
    note(t, "caches that were refused", guard_untouched(&g), "memory was written");
    check(t, "a cache again", lib->cache_init(self, &other, B, CAPACITY, g.data, bytes), ATTN_OK);
    check_text(t, "a cache", lib->cache_check(self, &other, B, text, sizeof text), ATTN_OK, text,
               "");
    check_text(t, "another batch", lib->cache_check(self, &other, 1, text, sizeof text),
               ATTN_E_CACHE, text, "cache.batch is 2: must be the call's batch = 1");
    /* The same widths in all, of another layer. */
    check(t, "BOTH_WAYS' cache",
          lib->cache_init(t->block[BOTH_WAYS], &other, B, CAPACITY, g.data, g.size), ATTN_OK);
    PREFILL(SLIDE, *a->cache = other, ATTN_E_CACHE, "cache.layer is another layer's");
    lib->cache_init(t->block[SHARED], &other, B, CAPACITY, g.data, g.size);
    STEP(SELF, *a->cache = other, ATTN_E_CACHE, "cache.layer is another layer's");
    check_stored(t, g.data, g.size);
    check_codes(t, g.data, g.size);
    guard_free(&g);
}

/* Rows of y that overlap, and memory that two arguments share. y's strides are 10 and 40. */
static void check_overlaps(status_test *t) {
    PREFILL(SELF, a->y_token = 9, ATTN_E_ARGUMENT,
            "y_token is 9: rows of y overlap; must be at least 10");
    PREFILL(SELF, a->y_token = 0, ATTN_E_ARGUMENT, "y_token is 0");
    PREFILL(SELF, a->y_batch = 39, ATTN_E_ARGUMENT,
            "y_batch is 39: rows of y overlap; must be at least 40");
    PREFILL(CROSS, a->y_token = 9, ATTN_E_ARGUMENT, "y_token is 9");
    PREFILL(SELF, (a->y_token = 20, a->y_batch = 10), ATTN_OK, ""); /* items within tokens */
    PREFILL(SELF, (a->y_token = 19, a->y_batch = 10), ATTN_E_ARGUMENT, "y_token is 19");
    PREFILL(SELF, (f->count[0] = 0), ATTN_OK, "");
    PREFILL(SELF, a->x = a->y, ATTN_OK, ""); /* y may be x, row for row */
    PREFILL(SELF, a->x = a->y + 1, ATTN_E_ARGUMENT, "y overlaps x: it may be the same rows");
    PREFILL(SELF, (a->x = a->y, a->x_token = 20, a->x_batch = 10), ATTN_E_ARGUMENT, "y overlaps x");
    PREFILL(SECOND, a->kv = a->y, ATTN_E_ARGUMENT, "y overlaps kv");
    PREFILL(CROSS, a->seg = (int32_t *)a->y, ATTN_E_ARGUMENT, "y overlaps seg");
    PREFILL(SELF, (a->key_padding = (uint8_t *)a->y, a->key_padding_batch = 4), ATTN_E_ARGUMENT,
            "y overlaps key_padding");
    PREFILL(SELF, (a->q_pad = (uint8_t *)a->y, a->q_pad_batch = 4), ATTN_E_ARGUMENT,
            "y overlaps q_pad");
    PREFILL(SECOND, (a->q_pos = (int32_t *)a->y), ATTN_E_ARGUMENT, "y overlaps q_pos");
    PREFILL(FLEX, f->side.data = a->y, ATTN_E_ARGUMENT, "y overlaps slope");
    PREFILL(SELF, a->x = f->cache.k, ATTN_E_ARGUMENT, "cache.k overlaps x");
    PREFILL(SELF, a->x = (float *)a->workspace, ATTN_E_ARGUMENT, "workspace overlaps x");
    PREFILL(SELF, f->cache.v = f->cache.k, ATTN_E_ARGUMENT, "cache.k overlaps cache.v");
    PREFILL(SELF, f->cache.length = f->cache.start, ATTN_E_ARGUMENT,
            "cache.length overlaps cache.start");
}

/* Packed in any mode, the same bytes; and runs give the same bits: see layer_runs.c. */
static void check_modes(status_test *t) {
    for (int k = 0; k < LAYERS; k++) {
        attn_tensor w[MOST];
        const int n = tensors(t, (enum layer_index)k, w);
        const size_t bytes = t->lib->block_packed_bytes(t->block[k]);
        guard g = guard_alloc(bytes, 64, false);
        for (int number = 0; number < 8; number++) {
            attn_block *block = NULL;
            const caller_mode mode = caller_mode_enter(number);
            const attn_status made = t->lib->block_create(&block, &t->spec[k].core, 0);
            const attn_status st = t->lib->block_pack(t->block[k], w, n, g.data, bytes, NULL, 0);
            note(t, "another floating-point mode", caller_mode_leave(mode), "did not come back");
            check(t, "create in another mode", made, ATTN_OK);
            check(t, "pack in another mode", st, ATTN_OK);
            note(t, "pack in another mode", !memcmp(g.data, t->packed[k].data, bytes),
                 "other bytes");
            t->lib->block_destroy(block);
        }
        guard_free(&g);
    }
}

static void check_null_blocks(status_test *t) {
    const kernel_lib *lib = t->lib;
    attn_tensor w[1];
    note(t, "no block", !*lib->block_name(NULL), "has a name");
    note(t, "no block", lib->block_weights(NULL, w, 1) == 0, "has weights");
    note(t, "no block", lib->block_packed_bytes(NULL) == 0, "has packed weights");
    note(t, "no list",
         lib->block_weights(t->block[SELF], NULL, 99) == lib->block_weights(t->block[SELF], w, 1),
         "other weights");
    check(t, "no step", lib->block_step(NULL, NULL), ATTN_E_ARGUMENT);
    check(t, "no workspace", lib->block_workspace(t->block[SELF], NULL, &(size_t){0}),
          ATTN_E_ARGUMENT);
    char text[ATTN_MESSAGE_MAX];
    check_text(t, "no block", lib->prefill_check(NULL, &t->f.args, text, sizeof text),
               ATTN_E_ARGUMENT, text, "block is null");
    check_text(t, "no arguments", lib->step_check(t->block[SELF], NULL, text, sizeof text),
               ATTN_E_ARGUMENT, text, "args is null");
    check_text(t, "no packed block", lib->packed_check(NULL, w, 1, text, sizeof text),
               ATTN_E_ARGUMENT, text, "block is null");
}

static void check_workspaces(status_test *t) {
    size_t bytes;
    PREFILL(SELF, a->workspace = NULL, ATTN_E_WORKSPACE, "workspace is null");
    PREFILL(SELF, a->workspace_bytes--, ATTN_E_WORKSPACE, "workspace_bytes is");
    PREFILL(SELF, a->workspace = (char *)a->workspace + 32, ATTN_E_WORKSPACE, "64-byte aligned");
    PREFILL(SELF, a->threads = 5, ATTN_E_WORKSPACE, "workspace_bytes is");
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
#define PACK(what, block, list, count, to, size, says)                                             \
    check_text(t, what, t->lib->block_pack(block, list, count, to, size, message, sizeof message), \
               ATTN_E_ARGUMENT, message, says)
    attn_block *const self = t->block[SELF];
    PACK("pack, no block", NULL, w, n, g.data, bytes, "block is null");
    PACK("pack to nowhere", self, w, n, NULL, bytes, "packed is null: ");
    PACK("pack, odd memory", self, w, n, g.data + 4, bytes, "must be 64-byte aligned");
    PACK("pack, little memory", self, w, n, g.data, bytes - 1, "packed_bytes is ");
    PACK("pack -1 tensors", self, w, -1, g.data, bytes, "count is -1");
    PACK("pack, no tensors", self, NULL, n, g.data, bytes, "tensors is null");
    w[1].name = NULL;
    PACK("a nameless tensor", self, w, n, g.data, bytes, "tensors[1].name is null");
#undef PACK
    note(t, "packs that were refused", guard_untouched(&g), "packed memory was written");
    guard_free(&g);
}

/* One tensor of the rows of several. */
static attn_tensor fuse(status_test *t, const attn_tensor *w, int n, const char *name,
                        const char *const *parts, int count) {
    attn_tensor all = w[find(w, n, parts[0])];
    int64_t row = all.rank == 2 ? all.dim[1] : 1;
    char *data = arena_alloc(t->a, 1 << 16);
    size_t bytes = 0;
    all.dim[0] = 0;
    for (int i = 0; i < count; i++) {
        const attn_tensor *part = &w[find(w, n, parts[i])];
        const size_t some = (size_t)(part->dim[0] * row) * attn_type_size(part->type);
        memcpy(data + bytes, part->data, some);
        bytes += some;
        all.dim[0] += part->dim[0];
    }
    all.name = name;
    all.data = data;
    return all;
}

static void same_packed(status_test *t, enum layer_index k, const attn_tensor *w, int n,
                        const char *what) {
    const size_t bytes = t->lib->block_packed_bytes(t->block[k]);
    guard g = guard_alloc(bytes, 64, false);
    char message[1024];
    attn_status st = t->lib->block_pack(t->block[k], w, n, g.data, bytes, message, sizeof message);
    note(t, what, st == ATTN_OK, message);
    note(t, what, memcmp(g.data, t->packed[k].data, bytes) == 0, "packed other bytes");
    guard_free(&g);
}

/* Weights of 16 bits in a tensor of several; a number that their type has not; a type that is none.
 */
static void check_types(status_test *t) {
    static const char *const qkv[] = {"q_proj.weight", "k_proj.weight", "v_proj.weight"};
    attn_tensor w[MOST];
    int n = tensors(t, STORED, w), last = 0;
    for (int i = 0; i < 3; i++) {
        attn_tensor *part = &w[find(w, n, qkv[i])];
        part->type = ATTN_WEIGHT_BF16;
        part->data = stored_from(t->a, part->type, part->data, part->dim[0] * part->dim[1]);
    }
    const attn_tensor all = fuse(t, w, n, "h.3.qkv.weight", qkv, 3);
    for (int i = 0; i < n; i++)
        if (w[i].type == ATTN_WEIGHT_F32) w[last++] = w[i];
    w[last++] = all;
    same_packed(t, STORED, w, last, "bf16 in a tensor of several");

    n = tensors(t, SHARED, w);
    attn_tensor *large = &w[find(w, n, "o_proj.weight")];
    float *data = arena_alloc(t->a, (size_t)(large->dim[0] * large->dim[1]) * sizeof *data);
    memcpy(data, large->data, (size_t)(large->dim[0] * large->dim[1]) * sizeof *data);
    data[3] = 65520; /* the first number that is too large for f16 */
    large->data = data;
    const size_t bytes = t->lib->block_packed_bytes(t->block[SHARED]);
    guard g = guard_alloc(bytes, 64, false);
    char message[1024];
    check_text(t, "65520 as f16",
               t->lib->block_pack(t->block[SHARED], w, n, g.data, bytes, message, sizeof message),
               ATTN_E_WEIGHTS, message,
               "o_proj.weight: as the layer stores it: a finite number becomes infinite in it");
    check(t, "what is packed then", t->lib->block_check(t->block[SHARED], g.data, bytes),
          ATTN_E_PACKED);
    large->type = ATTN_WEIGHT_COUNT;
    check_text(t, "weights of no type",
               t->lib->block_pack(t->block[SHARED], w, n, g.data, bytes, message, sizeof message),
               ATTN_E_WEIGHTS, message,
               "o_proj.weight: type is 12: must be an attn_weight_type, 0 to 11");
    large->type = ATTN_WEIGHT_Q4_K;
    check_text(t, "rows that are no blocks",
               t->lib->block_pack(t->block[SHARED], w, n, g.data, bytes, message, sizeof message),
               ATTN_E_WEIGHTS, message,
               "o_proj.weight: type is q4_k, in blocks of 256: its rows are 16 elements");
    guard_free(&g);
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
    same_packed(t, SELF, other, count, "other names");
}

/* --- Weights of experts --- */

enum { EXPERTS = 3, HIDDEN = 6 }; /* of MIXED and CLAMPED */

/* Tensors that pack, whatever their names and layouts, to the layer's bytes. */
static void packs_alike(status_test *t, enum layer_index k, const attn_tensor *w, int n,
                        const char *what) {
    const size_t bytes = t->lib->block_packed_bytes(t->block[k]);
    guard g = guard_alloc(bytes, 64, false);
    char message[1024] = "";
    const attn_status st = t->lib->block_pack(t->block[k], w, n, g.data, bytes, message, 1024);
    note(t, what, st == ATTN_OK, message);
    note(t, what, st != ATTN_OK || !memcmp(g.data, t->packed[k].data, bytes), "packed other bytes");
    guard_free(&g);
}

static bool of_experts(const attn_tensor *w) {
    return strncmp(w->name, "experts.", 8) == 0;
}

/* The layer's tensors but for those of experts. Returns how many. */
static int others(status_test *t, enum layer_index k, attn_tensor *out) {
    attn_tensor w[MOST];
    int count = 0;
    for (int i = 0, n = tensors(t, k, w); i < n; i++)
        if (!of_experts(&w[i])) out[count++] = w[i];
    return count;
}

/* One tensor an expert: PREFIX.experts.N.NAME, by a family's names of gate, up and down. */
static int split_experts(status_test *t, enum layer_index k, const char *prefix,
                         const char *const names[3], attn_tensor *out) {
    static const char *const ours[] = {"gate_proj", "up_proj", "down_proj"};
    attn_tensor w[MOST];
    int count = others(t, k, out);
    for (int i = 0, n = tensors(t, k, w); i < n; i++)
        for (int e = 0; of_experts(&w[i]) && e < EXPERTS; e++) {
            int part = 0;
            while (strncmp(w[i].name + 8, ours[part], strlen(ours[part])) != 0) part++;
            const char *kind = w[i].name + 8 + strlen(ours[part]);
            const int64_t width = w[i].rank == 3 ? w[i].dim[2] : 1;
            out[count] = (attn_tensor){.rank = w[i].rank - 1, .dim = {w[i].dim[1], width}};
            out[count].name =
                arena_printf(t->a, "%s.experts.%d.%s%s", prefix, e, names[part], kind);
            out[count++].data = (const float *)w[i].data + e * w[i].dim[1] * width;
        }
    return count;
}

/* [experts, gate and up, width], gate first; or, by turns, [experts, width, gate and up]. */
static float *join_halves(status_test *t, const attn_tensor *gate, const attn_tensor *up,
                          bool turns) {
    const int64_t n = gate->dim[1], width = gate->rank == 3 ? gate->dim[2] : 1;
    float *to = arena_alloc(t->a, (size_t)(EXPERTS * 2 * n * width) * sizeof *to);
    for (int64_t e = 0; e < EXPERTS; e++)
        for (int64_t j = 0; j < 2 * n; j++)
            for (int64_t i = 0; i < width; i++) {
                const attn_tensor *from = (turns ? j % 2 : j / n) ? up : gate;
                const int64_t row = turns ? j / 2 : j % n;
                const int64_t at = turns ? i * 2 * n + j : j * width + i;
                to[e * 2 * n * width + at] = ((const float *)from->data)[(e * n + row) * width + i];
            }
    return to;
}

/* As transformers 5 holds them: gate_up_proj and down_proj of all experts. */
static void check_stacked(status_test *t) {
    attn_tensor w[MOST], other[MOST];
    const int n = tensors(t, MIXED, w);
    int count = others(t, MIXED, other);
    const attn_tensor *gate = &w[find(w, n, "experts.gate_proj.weight")];
    const attn_tensor *up = &w[find(w, n, "experts.up_proj.weight")];
    other[count++] = (attn_tensor){"a.mlp.experts.gate_up_proj",
                                   join_halves(t, gate, up, false),
                                   3,
                                   {EXPERTS, 2 * HIDDEN, M, 0},
                                   0};
    other[count] = w[find(w, n, "experts.down_proj.weight")];
    other[count++].name = "a.mlp.experts.down_proj";
    packs_alike(t, MIXED, other, count, "experts in one tensor");
}

/* [experts, n, width] as [experts, width, n]. */
static float *turned(status_test *t, const float *from, int64_t n, int64_t width) {
    float *to = arena_alloc(t->a, (size_t)(EXPERTS * n * width) * sizeof *to);
    for (int64_t e = 0; e < EXPERTS; e++)
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < width; i++)
                to[(e * width + i) * n + j] = from[(e * n + j) * width + i];
    return to;
}

/* llama4: the inputs' dim before the outputs', gate first. */
static void check_columns(status_test *t) {
    attn_tensor w[MOST], other[MOST];
    const int n = tensors(t, SCALED_INPUT, w);
    int count = others(t, SCALED_INPUT, other);
    const attn_tensor *gate = &w[find(w, n, "experts.gate_proj.weight")];
    const attn_tensor *up = &w[find(w, n, "experts.up_proj.weight")];
    const attn_tensor *down = &w[find(w, n, "experts.down_proj.weight")];
    other[count++] =
        (attn_tensor){"feed_forward.experts.gate_up_proj",
                      turned(t, join_halves(t, gate, up, false), (int64_t)2 * HIDDEN, M),
                      3,
                      {EXPERTS, M, 2 * HIDDEN, 0},
                      0};
    other[count++] = (attn_tensor){"feed_forward.experts.down_proj",
                                   turned(t, down->data, M, HIDDEN),
                                   3,
                                   {EXPERTS, HIDDEN, M, 0},
                                   0};
    packs_alike(t, SCALED_INPUT, other, count, "experts as columns");
}

/* gpt_oss: the inputs' dim before the outputs', gate and up by turns. */
static void check_transposed(status_test *t) {
    attn_tensor w[MOST], other[MOST];
    const int n = tensors(t, CLAMPED, w);
    int count = others(t, CLAMPED, other);
#define OF(name) (&w[find(w, n, "experts." name)])
    const attn_tensor *down = OF("down_proj.weight");
    const float *columns = turned(t, down->data, M, HIDDEN);
    const float *both = join_halves(t, OF("gate_proj.weight"), OF("up_proj.weight"), true);
    const float *bias = join_halves(t, OF("gate_proj.bias"), OF("up_proj.bias"), true);
    other[count++] =
        (attn_tensor){"mlp.experts.gate_up_proj", both, 3, {EXPERTS, M, 2 * HIDDEN, 0}, 0};
    other[count++] =
        (attn_tensor){"mlp.experts.gate_up_proj_bias", bias, 2, {EXPERTS, 2 * HIDDEN, 0, 0}, 0};
    other[count++] = (attn_tensor){"mlp.experts.down_proj", columns, 3, {EXPERTS, HIDDEN, M, 0}, 0};
    other[count] = *OF("down_proj.bias");
    other[count++].name = "mlp.experts.down_proj_bias";
#undef OF
    packs_alike(t, CLAMPED, other, count, "experts by turns");
}

static void check_expert_names(status_test *t) {
    static const char *const usual[] = {"gate_proj", "up_proj", "down_proj"};
    static const char *const mixtral[] = {"w1", "w3", "w2"};
    attn_tensor w[MOST];
    int n = split_experts(t, MIXED, "model.layers.7.mlp", usual, w);
    w[find(w, n, "router.weight")].name = "model.layers.7.mlp.gate.weight";
    w[find(w, n, "e_score_correction_bias")].name = "mlp.gate.e_score_correction_bias";
    w[find(w, n, "shared_expert.up_proj.weight")].name = "mlp.shared_experts.up_proj.weight";
    packs_alike(t, MIXED, w, n, "experts' names");
    n = split_experts(t, MIXED, "block_sparse_moe", mixtral, w);
    w[find(w, n, "router.weight")].name = "block_sparse_moe.gate.weight";
    packs_alike(t, MIXED, w, n, "Mixtral's names");
    n = split_experts(t, CLAMPED, "mlp", usual, w);
    packs_alike(t, CLAMPED, w, n, "experts' biases");
    check_stacked(t);
    check_transposed(t);
    check_columns(t);
}

static void check_wrong_experts(status_test *t) {
    static const char *const usual[] = {"gate_proj", "up_proj", "down_proj"};
    attn_tensor w[MOST];
    char message[1024];
    int n = split_experts(t, MIXED, "m", usual, w);
    w[find(w, n, "m.experts.1.up_proj.weight")].name = "m.experts.3.up_proj.weight";
    w[find(w, n, "m.experts.2.gate_proj.weight")].name = "m.experts.0.gate_proj.weight";
    w[find(w, n, "m.experts.0.down_proj.weight")].dim[1]++;
    w[n++] = (attn_tensor){"m.experts.0.who.weight", t->f.x, 1, {3, 0, 0, 0}, 0};
    w[n++] = (attn_tensor){"m.experts.gate_up_proj", t->f.x, 3, {3, 10, 12, 0}, 0};
    const attn_status st = t->lib->block_pack(t->block[MIXED], w, n, t->packed[MIXED].data,
                                              t->packed[MIXED].size, message, sizeof message);
    check(t, "wrong experts", st, ATTN_E_WEIGHTS);
    static const char *const parts[] = {
        "m.experts.3.up_proj.weight: the layer has experts 0 to 2",
        "m.experts.0.gate_proj.weight: gives experts.gate_proj.weight of expert 0 a second time",
        "m.experts.0.down_proj.weight: must be [10, 6], got [10, 7]",
        "m.experts.0.who.weight: unknown weight",
        "m.experts.gate_up_proj: must be [3, 12, 10], got [3, 10, 12]",
        "experts.gate_proj.weight: missing of 1 experts, the first of them 2",
        "experts.up_proj.weight: missing of 1 experts, the first of them 1"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        note(t, "wrong experts", strstr(message, parts[i]) != NULL,
             arena_printf(t->a, "\"%s\" is not in the message:\n%s", parts[i], message));
}

/* A weight of the layer, spoiled, and what is said of it. */
static void check_spoiled(status_test *t, const char *name, attn_tensor spoiled, const char *says) {
    attn_tensor w[MOST];
    char message[1024];
    const int n = tensors(t, SCALED_INPUT, w);
    attn_tensor *of = &w[find(w, n, name)];
    of->data = spoiled.data ? spoiled.data : of->data;
    of->type = spoiled.type;
    guard g = guard_alloc(t->packed[SCALED_INPUT].size, 64, false);
    const attn_status st =
        t->lib->block_pack(t->block[SCALED_INPUT], w, n, g.data, g.size, message, sizeof message);
    guard_free(&g);
    check(t, name, st, ATTN_E_WEIGHTS);
    note(t, name, strstr(message, says) != NULL,
         arena_printf(t->a, "\"%s\" is not in the message: %s", says, message));
}

static void check_wrong_vectors(status_test *t) {
    static const float zero[4] = {1, 2, 0, 1}, infinite[4] = {1, INFINITY, 1, 1};
    check_spoiled(t, "q_norm.weight", (attn_tensor){.type = ATTN_WEIGHT_Q8_0},
                  "q_norm.weight: type is q8_0: must be f32, bf16 or f16 of a vector");
    check_spoiled(t, "rope_factors", (attn_tensor){.data = zero},
                  "its factors must be finite and greater than 0");
    check_spoiled(t, "rope_factors", (attn_tensor){.data = infinite},
                  "its factors must be finite and greater than 0");
}

/* Rows whose scores are NaN touch no memory that is not theirs, and no other item's bits. */
static void check_nan_scores(status_test *t, enum layer_index k) {
    float y[2][FLOATS];
    for (int run = 0; run < 2; run++) {
        prepare(t, k);
        const float usual = t->f.x[3];
        t->f.x[3] = run ? NAN : usual;
        check(t, "a NaN", t->lib->block_prefill(t->block[k], &t->f.args), ATTN_OK);
        note(t, "a NaN", guard_intact(&t->f.workspace), "the workspace's ends were written");
        memcpy(y[run], t->f.y.data, sizeof y[run]);
        t->f.x[3] = usual;
        guard_free(&t->f.y);
        guard_free(&t->f.workspace);
        guard_free(&t->f.memory);
    }
    note(t, "a NaN", isnan(y[1][0]), "its row is none");
    note(t, "a NaN", !memcmp(y[0] + T * M, y[1] + T * M, T * M * sizeof(float)), "other bits");
}

/* llama.cpp's; phi3's files have gate and up in ffn_up, the others up alone. */
static void check_gguf_names(status_test *t, bool fused) {
    static const char *const gguf[][2] = {
        {"norm1.", "attn_norm."},    {"q_proj.", "attn_q."},  {"k_proj.", "attn_k."},
        {"v_proj.", "attn_v."},      {"norm2.", "ffn_norm."}, {"o_proj.", "attn_output."},
        {"gate_proj.", "ffn_gate."}, {"up_proj.", "ffn_up."}, {"down_proj.", "ffn_down."}};
    static const char *const qkv[] = {"q_proj.weight", "k_proj.weight", "v_proj.weight"};
    static const char *const gate[] = {"gate_proj.weight", "up_proj.weight"};
    attn_tensor w[MOST], other[MOST];
    const int n = tensors(t, SELF, w);
    int count = 0;
    for (int i = 0; i < n; i++) {
        bool part = false;
        for (int j = 0; j < 3; j++)
            part |= !strcmp(w[i].name, qkv[j]) || (j < 2 && !strcmp(w[i].name, gate[j]));
        if (fused && part) continue;
        other[count] = w[i];
        for (size_t j = 0; j < sizeof gguf / sizeof *gguf; j++) {
            const size_t length = strlen(gguf[j][0]);
            if (strncmp(w[i].name, gguf[j][0], length)) continue;
            other[count].name = arena_printf(t->a, "blk.7.%s%s", gguf[j][1], w[i].name + length);
        }
        note(t, "GGUF's names", other[count].name != w[i].name, w[i].name);
        count++;
    }
    if (fused) other[count++] = fuse(t, w, n, "blk.7.attn_qkv.weight", qkv, 3);
    if (fused) other[count++] = fuse(t, w, n, "blk.7.ffn_up.weight", gate, 2);
    same_packed(t, SELF, other, count, "GGUF's names");
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
    char text[ATTN_MESSAGE_MAX];
#define CHECK(at, size) t->lib->block_check(t->block[SELF], at, size)
#define SAYS(what, at, size, want, says)                                                         \
    check(t, what, CHECK(at, size), want);                                                       \
    check_text(t, what, t->lib->packed_check(t->block[SELF], at, size, text, sizeof text), want, \
               text, says)
    /* Each byte of the header, then bytes here and there in the weights. */
    for (size_t i = 0; i < bytes; i += i < 64 ? 1 : 61) {
        memcpy(g.data, t->packed[SELF].data, bytes);
        g.data[i] ^= 0x10;
        check(t, arena_printf(t->a, "byte %zu changed", i), CHECK(g.data, bytes), ATTN_E_PACKED);
        const bool header = i < 32; /* magic, ABI, ISA, size and layer: runs see them too */
        if (header) PREFILL(SELF, a->packed = g.data, ATTN_E_PACKED, "packed is not for ");
    }
    memcpy(g.data, t->packed[SELF].data, bytes);
    SAYS("packed, whole", g.data, bytes, ATTN_OK, "");
    SAYS("packed, cut", g.data, bytes - 1, ATTN_E_PACKED, "packed_bytes is ");
    SAYS("packed, none", NULL, bytes, ATTN_E_ARGUMENT, "packed is null");
    SAYS("packed, odd", g.data + 4, bytes, ATTN_E_ARGUMENT, "64-byte aligned");
    SAYS("packed, another's", t->packed[SHARED].data, bytes, ATTN_E_PACKED, "for another layer");
    g.data[bytes - 70] ^= 1;
    SAYS("packed, a weight", g.data, bytes, ATTN_E_PACKED, "its checksum differs");
    g.data[12] ^= 1;
    SAYS("packed, ISA", g.data, bytes, ATTN_E_PACKED, "for another instruction set");
    g.data[8] ^= 1;
    SAYS("packed, ABI", g.data, bytes, ATTN_E_PACKED, "of another version");
    g.data[0] ^= 1;
    SAYS("packed, magic", g.data, bytes, ATTN_E_PACKED, "attn_block_pack did not write it");
    check(t, "packed, no block", t->lib->block_check(NULL, g.data, bytes), ATTN_E_ARGUMENT);
#undef SAYS
#undef CHECK
    PREFILL(SELF, a->packed = t->packed[SLIDE].data, ATTN_E_PACKED,
            "it was packed for another layer");
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
    refuse(t, INDEXED, false, what, ATTN_OK, "");
    t->block[INDEXED] = usual;
}

static void check_index(status_test *t, const property_options *o) {
    PREFILL(INDEXED, (void)0, ATTN_OK, ""); /* others clamp */
    attn_block *block = NULL;
    check(t, "a reference", t->lib->block_create(&block, &t->spec[INDEXED].core, ATTN_REFERENCE),
          ATTN_OK);
    if (block) refuse_index(t, block, "an index, reference");
    t->lib->block_destroy(block);

    built b;
    build_options build = o->build;
    build.isa_mask = 1u << ATTN_ISA_PORTABLE;
    build.cflags = arena_printf(t->a, "%s -DATTN_DEBUG", o->build.cflags);
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
        check_pages(t);
        check_lists(t);
        check_paged_sizes(t);
        check_overlaps(t);
        check_modes(t);
        check_null_blocks(t);
        check_workspaces(t);
        check_create(t);
        check_wrong_weights(t);
        check_names(t);
        check_types(t);
        check_expert_names(t);
        check_wrong_vectors(t);
        check_wrong_experts(t);
        check_nan_scores(t, MIXED);
        check_nan_scores(t, CLAMPED);
        check_gguf_names(t, false);
        check_gguf_names(t, true);
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
