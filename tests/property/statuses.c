/* statuses.c - every attn_status, each from the mistake that it names, with a sentence that names
 * the argument; nothing is written then. */
#define _DEFAULT_SOURCE
#include "caller_mode.h"
#include "plan/isa.h"
#include "property.h"
#include "lab/guard.h"
#include "lab/pool.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { LQ = 6, LK = 9, MAX_O = 2 * 2 * LQ * 8 };

enum kernel_index { PLAIN, FLEX, CROSS, INDEXED, KERNELS };
static const char *const kernel_fields[KERNELS] = {
    [PLAIN] = "heads=2;head_dim=8",
    [FLEX] = ("backend=flex;heads=2;head_dim=8;score=s + bias[h][k] + c;mask=k != first;"
              "tensor=bias=f32[heads][kv_len];scalar=c=f32;scalar=first=i32"),
    [CROSS] = "op=segment_cross;heads=2;head_dim=8;lookback=2;sinks=true",
    [INDEXED] = ("backend=flex;heads=2;head_dim=8;causal=false;score=s + bias[k + 2];"
                 "tensor=bias=f32[kv_len]"),
};

/* Correct arguments for a kernel, over arrays of its own, for a test to spoil. */
typedef struct fixture {
    float qkv[2 * 2 * LK * 8], o[MAX_O], lse[2 * 2 * LQ], sinks[2], bias[2 * LK];
    int32_t seg[2 * LQ], kv_len[2];
    uint8_t mask[2 * 2 * LQ * LK];
    attn_side side[2];
    attn_scalar scalars[3];
    uint8_t *workspace;
    attn_args args;
} fixture;

typedef struct status_test {
    arena *a;
    const kernel_lib *lib;
    attn_plan *plan[KERNELS];
    kernel_spec spec[KERNELS];
    int checks, failures;
    fixture f;
} status_test;

static void prepare(status_test *t, enum kernel_index k) {
    fixture *f = &t->f;
    attn_args *a = &f->args;
    *a = ATTN_ARGS_INIT;
    a->batch = 2, a->q_len = LQ, a->kv_len_max = LK, a->threads = 2;
    a->q = (attn_view){f->qkv, 2 * LQ * 8, LQ * 8, 8};
    a->k = a->v = (attn_view){f->qkv, 2 * LK * 8, LK * 8, 8};
    a->o = (attn_out){f->o, 2 * LQ * 8, LQ * 8, 8};
    a->lse = f->lse, a->lse_batch = 2 * LQ, a->lse_head = LQ;
    a->workspace = f->workspace;
    attn_extent e = {sizeof e, 2, LQ, LK, 2, 0};
    t->lib->workspace(t->plan[k], &e, &a->workspace_bytes);
    f->kv_len[0] = f->kv_len[1] = LK;
    f->side[0] = (attn_side){f->bias, k == INDEXED ? LK : 2 * LK};
    if (k == FLEX)
        a->side = f->side, a->side_count = 1, a->scalars = f->scalars, a->scalar_count = 2;
    if (k == INDEXED) a->side = f->side, a->side_count = 1;
    if (k == CROSS) a->seg = f->seg, a->seg_batch = LQ, a->sinks = f->sinks;
    for (int i = 0; i < MAX_O; i++) f->o[i] = 77;
}

static const attn_pool short_pool = {4, NULL, NULL}, idle_pool = {sizeof(attn_pool), NULL, NULL};

static bool untouched(const fixture *f) {
    for (int i = 0; i < MAX_O; i++)
        if (f->o[i] < 77 || f->o[i] > 77) return false;
    return true;
}

static void check(status_test *t, const char *what, attn_status got, attn_status want) {
    t->checks++;
    if (got == want) return;
    t->failures++;
    printf("FAIL status of %s: %d (%s), not %d\n", what, (int)got, t->lib->status_text(got), want);
}

/* What a check returned and wrote: the status of the call, and where that is an error a sentence
 * that has these words. */
static void check_text(status_test *t, const char *what, attn_status got, attn_status want,
                       const char *text, const char *says) {
    check(t, what, got, want);
    t->checks++;
    if (want == ATTN_OK ? !*text : *text && strstr(text, says) != NULL) return;
    t->failures++;
    printf("FAIL text of %s: \"%s\", without \"%s\"\n", what, text, says);
}

/* Runs the fixture as it is, which must fail without writing. */
static void refuse(status_test *t, enum kernel_index k, const char *what, attn_status want,
                   const char *says) {
    char text[ATTN_MESSAGE_MAX] = "?";
    const attn_status got = t->lib->plan_check(t->plan[k], &t->f.args, text, sizeof text);
    if (want != ATTN_E_INDEX) check_text(t, what, got, want, text, says);
    check(t, what, t->lib->run(t->plan[k], &t->f.args), want);
    if (want == ATTN_OK || untouched(&t->f)) return;
    t->failures++;
    printf("FAIL %s: the outputs were written\n", what);
}

/* prepare, spoil, refuse; says: words of the sentence. */
#define REFUSE(kernel, spoil, want, says)                       \
    do {                                                        \
        prepare(t, kernel);                                     \
        attn_args *a = &t->f.args;                              \
        spoil;                                                  \
        (void)a;                                                \
        refuse(t, kernel, #kernel " with " #spoil, want, says); \
    } while (0)

static void check_arguments(status_test *t) {
    REFUSE(PLAIN, (void)0, ATTN_OK, "");
    REFUSE(FLEX, (void)0, ATTN_OK, "");
    REFUSE(CROSS, (void)0, ATTN_OK, "");
    REFUSE(PLAIN, a->q.data = NULL, ATTN_E_ARGUMENT,
           "q.data is null: must hold floats, [batch, heads, length, width] = [2, 2, 6, 8]");
    REFUSE(PLAIN, a->k.data = NULL, ATTN_E_ARGUMENT, "k.data is null");
    REFUSE(PLAIN, a->v.data = NULL, ATTN_E_ARGUMENT, "v.data is null");
    REFUSE(PLAIN, a->o.data = NULL, ATTN_E_ARGUMENT, "o.data is null");
    REFUSE(PLAIN, a->batch = -1, ATTN_E_ARGUMENT, "batch is -1: must be from 0 to");
    REFUSE(PLAIN, a->q_len = -1, ATTN_E_ARGUMENT, "q_len is -1: must be from 0 to");
    REFUSE(PLAIN, a->kv_len_max = -1, ATTN_E_ARGUMENT, "kv_len_max is -1");
    REFUSE(PLAIN, a->threads = -1, ATTN_E_ARGUMENT, "threads is -1: must be from 0 to 65536");
    REFUSE(PLAIN, a->pool = &short_pool, ATTN_E_ABI, "pool.struct_size is 4: must be");
    REFUSE(PLAIN, a->pool = &idle_pool, ATTN_E_ARGUMENT, "pool.run is null");
    REFUSE(PLAIN, (a->pool = &idle_pool, a->struct_size = offsetof(attn_args, pool)), ATTN_OK, "");
    REFUSE(CROSS, a->seg = NULL, ATTN_E_ARGUMENT,
           "seg is null: must hold int32, [batch, rows] = [2, 6]");
    REFUSE(CROSS, a->sinks = NULL, ATTN_E_ARGUMENT, "sinks is null: must hold 2 floats");
    REFUSE(FLEX, a->side = NULL, ATTN_E_ARGUMENT,
           "side is null: must hold 1 side tensors, the first of them bias");
    REFUSE(FLEX, a->scalars = NULL, ATTN_E_ARGUMENT, "scalars is null: must hold 2");
    REFUSE(FLEX, t->f.side[0].data = NULL, ATTN_E_ARGUMENT, "side[0].data (bias) is null");
    REFUSE(PLAIN, a->struct_size--, ATTN_E_ABI, "args.struct_size is ");
    REFUSE(PLAIN, a->struct_size = 0, ATTN_E_ABI, "args.struct_size is 0: must be");
    static const int32_t tail[] = {1, 2}, long_tail[] = {LK + 1, 0}, at[] = {0, 0, 3, -1, 0, 0},
                         place[] = {0, 0, 3, 4, 0, 0};
    REFUSE(PLAIN, (a->tail = tail, a->k_position = at, a->k_position_batch = 2), ATTN_E_ARGUMENT,
           "k_position[1][1] is -1: must be from 0 to");
    REFUSE(PLAIN, (a->tail = long_tail, a->k_position = place), ATTN_E_LENGTH, "tail[0] is");
    REFUSE(PLAIN, a->tail = tail, ATTN_E_ARGUMENT, "k_position is null");
    REFUSE(PLAIN, a->k_position = place, ATTN_E_ARGUMENT, "tail is null");
    REFUSE(CROSS, (a->tail = tail, a->k_position = place), ATTN_E_UNUSED, "tail is given");
    static const int32_t falling[] = {0, 2, 1}, negative[] = {-1, 0, 1},
                         long_item[] = {0, 0, LQ + 1}, none[] = {3, 3, 3};
    REFUSE(PLAIN, a->q_begin = falling, ATTN_E_LENGTH,
           "q_begin[2] is 1: must be at least q_begin[1] = 2");
    REFUSE(PLAIN, a->q_begin = negative, ATTN_E_LENGTH, "q_begin[0] is -1: must not be negative");
    REFUSE(PLAIN, a->q_begin = long_item, ATTN_E_LENGTH, "more than q_len =");
    REFUSE(PLAIN, (a->q_begin = none, a->q.data = NULL, a->o.data = NULL, a->workspace = NULL),
           ATTN_OK, "");
    REFUSE(PLAIN, (a->kv_len = t->f.kv_len, t->f.kv_len[1] = -1), ATTN_E_LENGTH,
           "kv_len[1] is -1: must be from 0 to kv_len_max = 9");
    REFUSE(PLAIN, (a->kv_len = t->f.kv_len, t->f.kv_len[1] = LK + 1), ATTN_E_LENGTH,
           "kv_len[1] is 10: must be from 0 to kv_len_max = 9");
    REFUSE(FLEX, a->side_count = 0, ATTN_E_SHAPE, "side_count is 0: must be 1");
    REFUSE(FLEX, a->scalar_count = 3, ATTN_E_SHAPE, "scalar_count is 3: must be 2");
    REFUSE(FLEX, t->f.side[0].count--, ATTN_E_SHAPE, "side[0].count (bias) is 17: must be 18");
    REFUSE(PLAIN, a->seg = t->f.seg, ATTN_E_UNUSED, "seg is given");
    REFUSE(PLAIN, a->sinks = t->f.sinks, ATTN_E_UNUSED, "sinks is given");
    REFUSE(PLAIN, (a->side = t->f.side, a->side_count = 1), ATTN_E_UNUSED,
           "side_count is 1: must be 0");
    REFUSE(PLAIN, (a->scalars = t->f.scalars, a->scalar_count = 1), ATTN_E_UNUSED,
           "scalar_count is 1: must be 0");
}

static const attn_mask full_mask = {
    NULL, ATTN_MASK_BOOL, 4, {2, 2, LQ, LK}, {2 * LQ * LK, LQ *LK, LK, 1}};

#define REFUSE_MASK(kernel, spoil, want, says) \
    REFUSE(kernel, (a->mask = full_mask, a->mask.data = t->f.mask, spoil), want, says)

static void check_masks(status_test *t) {
    REFUSE_MASK(PLAIN, (void)0, ATTN_OK, "");
    REFUSE_MASK(PLAIN, a->mask.dim[0] = 1, ATTN_OK, "");
    REFUSE_MASK(PLAIN, a->mask.dim[3] = LK - 1, ATTN_E_SHAPE,
                "mask.dim[3] is 8: must be 1 or 9 (keys)");
    REFUSE_MASK(PLAIN, a->mask.dim[1] = 4, ATTN_E_SHAPE,
                "mask.dim[1] is 4: must be 1 or 2 (heads)");
    REFUSE_MASK(PLAIN, a->mask.dim[0] = 0, ATTN_E_SHAPE,
                "mask.dim[0] is 0: must be 1 or 2 (batch)");
    REFUSE_MASK(PLAIN, a->mask.rank = 0, ATTN_E_SHAPE, "mask.rank is 0");
    REFUSE_MASK(PLAIN, a->mask.rank = 5, ATTN_E_SHAPE, "mask.rank is 5: must be from 1 to 4");
    REFUSE_MASK(PLAIN, a->mask.type = 9, ATTN_E_ARGUMENT, "mask.type is 9");
    REFUSE_MASK(PLAIN, a->mask.data = NULL, ATTN_E_ARGUMENT, "mask.data is null");
    REFUSE_MASK(FLEX, (void)0, ATTN_E_UNUSED, "mask.type is 1: must be ATTN_MASK_NONE");
}

static void check_workspaces(status_test *t) {
    for (int k = 0; k < KERNELS; k++) {
        prepare(t, (enum kernel_index)k);
        if (t->f.args.workspace_bytes == 0) continue;
        t->f.args.workspace_bytes--;
        refuse(t, (enum kernel_index)k, "a workspace a byte too small", ATTN_E_WORKSPACE,
               "workspace_bytes is ");
        prepare(t, (enum kernel_index)k);
        t->f.args.workspace = NULL;
        refuse(t, (enum kernel_index)k, "no workspace", ATTN_E_WORKSPACE, "workspace is null: ");
        prepare(t, (enum kernel_index)k);
        t->f.args.workspace = t->f.workspace + 32;
        refuse(t, (enum kernel_index)k, "a misaligned workspace", ATTN_E_WORKSPACE,
               "must be 64-byte aligned");
    }
}

/* Rows that overlap, and memory that two arguments share. Strides in use are o's 96, 48, 8. */
static void check_overlaps(status_test *t) {
    static const char rows[] = "rows of o overlap",
                      apart[] = "shares memory with no other argument";
    REFUSE(PLAIN, a->o.token = 7, ATTN_E_ARGUMENT,
           "o.token is 7: rows of o overlap; must be at least 8");
    REFUSE(PLAIN, a->o.token = 0, ATTN_E_ARGUMENT, rows);
    REFUSE(PLAIN, a->o.token = -7, ATTN_E_ARGUMENT, rows);
    REFUSE(PLAIN, a->o.head = 47, ATTN_E_ARGUMENT,
           "o.head is 47: rows of o overlap; must be at least 48");
    REFUSE(PLAIN, a->o.batch = 95, ATTN_E_ARGUMENT, "o.batch is 95");
    REFUSE(PLAIN, a->o.head = INT64_MAX, ATTN_E_ARGUMENT, "o does not fit the address space");
    REFUSE(PLAIN, a->o.head = INT64_MIN, ATTN_E_ARGUMENT, "o does not fit the address space");
    REFUSE(PLAIN, a->k.batch = INT64_C(1) << 60, ATTN_E_ARGUMENT,
           "k does not fit the address space");
    REFUSE(PLAIN, a->v.head = -(INT64_C(1) << 60), ATTN_E_ARGUMENT,
           "v does not fit the address space");
    REFUSE(PLAIN, (a->o.token = 16, a->o.head = 8), ATTN_OK, ""); /* heads within tokens */
    REFUSE(PLAIN, (a->o.token = 15, a->o.head = 8), ATTN_E_ARGUMENT, "o.token is 15");
    REFUSE(PLAIN, (a->o.data = t->f.o + 5 * 8, a->o.token = -8), ATTN_OK, "");
    REFUSE(PLAIN, (a->batch = 1, a->o.batch = 0), ATTN_OK, "");
    REFUSE(PLAIN, (a->q_len = 1, a->o.token = 0), ATTN_OK, "");
    REFUSE(PLAIN, a->lse_head = 5, ATTN_E_ARGUMENT,
           "lse_head is 5: rows of lse overlap; must be at least 6");
    REFUSE(PLAIN, a->lse_batch = 0, ATTN_E_ARGUMENT, "lse_batch is 0");
    REFUSE(PLAIN, a->q.data = a->o.data, ATTN_OK, ""); /* o may be q, */
    REFUSE(PLAIN, (a->q.data = a->o.data, a->q.token = a->o.token = 16, a->q.head = a->o.head = 8),
           ATTN_OK, "");
    REFUSE(PLAIN, (a->q.data = a->o.data, a->q.head = 8, a->q.token = 16), ATTN_E_ARGUMENT,
           "o overlaps q"); /* row for row */
    REFUSE(PLAIN, a->q.data = t->f.o + 1, ATTN_E_ARGUMENT, "o overlaps q");
    REFUSE(PLAIN, (a->k.data = a->o.data, a->kv_len_max = 6), ATTN_E_ARGUMENT, "o overlaps k");
    REFUSE(PLAIN, (a->v.data = a->o.data, a->kv_len_max = 6), ATTN_E_ARGUMENT, "o overlaps v");
    REFUSE(PLAIN, a->lse = a->o.data, ATTN_E_ARGUMENT, apart);
    REFUSE(PLAIN, a->lse = t->f.qkv, ATTN_E_ARGUMENT, "lse overlaps q");
    REFUSE(PLAIN, a->q.data = (float *)a->workspace, ATTN_E_ARGUMENT, "workspace overlaps q");
    REFUSE(PLAIN, a->q_start = (int32_t *)a->o.data, ATTN_E_ARGUMENT, "o overlaps q_start");
    REFUSE(PLAIN, (a->key_padding = (uint8_t *)a->o.data, a->key_padding_batch = LK),
           ATTN_E_ARGUMENT, "o overlaps key_padding");
    REFUSE(CROSS, a->seg = (int32_t *)a->o.data, ATTN_E_ARGUMENT, "o overlaps seg");
    REFUSE(CROSS, a->sinks = a->o.data, ATTN_E_ARGUMENT, "o overlaps sinks");
    REFUSE(FLEX, t->f.side[0].data = a->o.data, ATTN_E_ARGUMENT, "o overlaps bias");
    REFUSE(FLEX, a->scalars = (attn_scalar *)a->o.data, ATTN_E_ARGUMENT, "o overlaps scalars");
    REFUSE_MASK(PLAIN, a->mask.data = a->o.data, ATTN_E_ARGUMENT, "o overlaps mask.data");
    /* Inputs between the rows of o, and o between the rows of q: nothing is shared. */
    REFUSE(PLAIN,
           (a->batch = 1, a->q_len = a->kv_len_max = 4, a->o.token = 24, a->o.head = 96,
            a->k.data = t->f.o + 8, a->v.data = t->f.o + 16, a->k.token = a->v.token = 24,
            a->k.head = a->v.head = 96, a->q.head = 32),
           ATTN_OK, "");
    REFUSE(PLAIN,
           (a->batch = 1, a->q_len = a->kv_len_max = 4, a->o.token = 24, a->o.head = 96,
            a->k.data = t->f.o + 8, a->v.data = t->f.o + 17, a->k.token = a->v.token = 24,
            a->k.head = a->v.head = 96, a->q.head = 32),
           ATTN_E_ARGUMENT, "o overlaps v");
}

/* No keys, no rows, no items: their tensors may be null, and o is 0 where there are rows. */
static void check_empty(status_test *t) {
    for (int k = 0; k < KERNELS; k++) {
        REFUSE((enum kernel_index)k,
               (t->f.side[0].count = 0, t->f.side[0].data = NULL, a->kv_len_max = 0,
                a->k.data = a->v.data = NULL),
               ATTN_OK, "");
        for (int i = 0; i < MAX_O; i++) {
            t->checks++;
            if (t->f.o[i] == 0) continue;
            t->failures++;
            printf("FAIL o without keys is %g\n", (double)t->f.o[i]);
            break;
        }
        REFUSE((enum kernel_index)k, (a->q_len = 0, a->q.data = NULL, a->o.data = NULL), ATTN_OK,
               "");
        REFUSE((enum kernel_index)k,
               (a->batch = 0, a->q.data = NULL, a->o.data = NULL, a->k.data = a->v.data = NULL),
               ATTN_OK, "");
    }
}

/* As attn_spec_check says, in every mode that the caller may have. */
static attn_status create(status_test *t, const attn_spec *spec, uint32_t flags) {
    char text[ATTN_MESSAGE_MAX] = "?";
    attn_plan *plan = (attn_plan *)(void *)&plan;
    const caller_mode mode = caller_mode_enter(t->checks);
    attn_status st = t->lib->plan_create(&plan, spec, flags);
    const attn_status said = t->lib->spec_check(spec, flags, text, sizeof text);
    check(t, "a caller's floating-point mode", caller_mode_leave(mode) ? ATTN_OK : ATTN_E_ARGUMENT,
          ATTN_OK);
    if (spec) check(t, "a spec's check", said, st);
    t->checks++;
    if (!*text != (st == ATTN_OK))
        t->failures++, printf("FAIL the text for a spec: \"%s\"\n", text);
    if (st == ATTN_OK)
        t->lib->plan_destroy(plan);
    else if (plan)
        return ATTN_STATUS_COUNT; /* *out must be null */
    return st;
}

static void check_plans(status_test *t) {
    attn_spec good = t->spec[PLAIN].core, s;
    check(t, "a plan", create(t, &good, 0), ATTN_OK);
    check(t, "a reference plan", create(t, &good, ATTN_REFERENCE), ATTN_OK);
    check(t, "no spec", create(t, NULL, 0), ATTN_E_ARGUMENT);
    check(t, "no plan", t->lib->plan_create(NULL, &good, 0), ATTN_E_ARGUMENT);
    check(t, "an unknown flag", create(t, &good, 1u << 30), ATTN_E_ARGUMENT);
    s = good, s.struct_size = 4;
    check(t, "a spec's struct_size", create(t, &s, 0), ATTN_E_ABI);
    t->lib->spec_init(&s);
    check(t, "an empty spec", create(t, &s, 0), ATTN_E_SPEC);
    s.heads = 2, s.head_dim = 8;
    check(t, "a spec with defaults", create(t, &s, 0), ATTN_OK);
    s.kv_heads = 3;
    check(t, "kv_heads = 3 of 2", create(t, &s, 0), ATTN_E_SPEC);
    char text[ATTN_MESSAGE_MAX];
#define SPEC(what, spec, flags, want, says) \
    check_text(t, what, t->lib->spec_check(spec, flags, text, sizeof text), want, text, says)
    SPEC("kv_heads = 3 of 2", &s, 0, ATTN_E_SPEC,
         "kv_heads must divide heads: 3 is no divisor of 2");
    SPEC("no spec", NULL, 0, ATTN_E_ARGUMENT, "spec is null");
    SPEC("an unknown flag", &good, 1u << 30, ATTN_E_ARGUMENT, "flags is 0x40000000");
    s = good, s.struct_size = 4;
    SPEC("a spec's struct_size", &s, 0, ATTN_E_ABI, "spec.struct_size is 4: must be");
    s = good, s.head_dim = 16, s.v_dim = 16;
    SPEC("a spec without a kernel", &s, 0, ATTN_E_NO_KERNEL,
         "no linked kernel is attn_f32_regular_sdpa_full_self_h2d16");
#undef SPEC
    s = good, s.head_dim = 16, s.v_dim = 16;
    check(t, "a spec without a kernel", create(t, &s, 0), ATTN_E_NO_KERNEL);
    s = t->spec[FLEX].core, s.expr_hash ^= 1;
    check(t, "other expressions", create(t, &s, 0), ATTN_E_NO_KERNEL);
    setenv("ATTN_ISA", "nonesuch", 1);
    check(t, "ATTN_ISA=nonesuch", create(t, &good, 0), ATTN_E_NO_KERNEL);
    setenv("ATTN_ISA", "portable", 1);
}

static void check_extent(status_test *t, const char *what, const attn_plan *plan,
                         const attn_extent *e, attn_status want, const char *says) {
    char text[ATTN_MESSAGE_MAX] = "?";
    const attn_status got = t->lib->extent_check(plan, e, text, sizeof text);
    check_text(t, what, got, want, text, says);
}

static void check_extents(status_test *t) {
    size_t bytes;
    attn_extent good = {sizeof good, 2, LQ, LK, 2, 0}, e = good;
    const attn_plan *p = t->plan[PLAIN];
    check(t, "extents", t->lib->workspace(p, &e, &bytes), ATTN_OK);
    check_extent(t, "extents", p, &good, ATTN_OK, "");
    check_extent(t, "no plan", NULL, &e, ATTN_E_ARGUMENT, "plan is null");
    check_extent(t, "no extents", p, NULL, ATTN_E_ARGUMENT, "extent is null");
    check(t, "no plan", t->lib->workspace(NULL, &e, &bytes), ATTN_E_ARGUMENT);
    check(t, "no extents", t->lib->workspace(p, NULL, &bytes), ATTN_E_ARGUMENT);
    check(t, "no result", t->lib->workspace(p, &e, NULL), ATTN_E_ARGUMENT);
    e.struct_size--;
    check(t, "an extent's struct_size", t->lib->workspace(p, &e, &bytes), ATTN_E_ABI);
    check_extent(t, "an extent's struct_size", p, &e, ATTN_E_ABI, "extent.struct_size is");
    e = good, e.batch = -1;
    check(t, "batch = -1", t->lib->workspace(p, &e, &bytes), ATTN_E_ARGUMENT);
    check_extent(t, "batch = -1", p, &e, ATTN_E_ARGUMENT, "batch is -1");
    e = good, e.q_len = -1;
    check(t, "q_len = -1", t->lib->workspace(p, &e, &bytes), ATTN_E_ARGUMENT);
    check_extent(t, "q_len = -1", p, &e, ATTN_E_ARGUMENT, "q_len is -1");
    e = good, e.kv_len_max = -1;
    check(t, "kv_len_max = -1", t->lib->workspace(p, &e, &bytes), ATTN_E_ARGUMENT);
    check_extent(t, "kv_len_max = -1", p, &e, ATTN_E_ARGUMENT, "kv_len_max is -1");
    e = good, e.threads = -1;
    check(t, "threads = -1", t->lib->workspace(p, &e, &bytes), ATTN_E_ARGUMENT);
    check_extent(t, "threads = -1", p, &e, ATTN_E_ARGUMENT, "threads is -1");
    e = good, e.rows = 2 * LQ + 1;
    check(t, "too many rows", t->lib->workspace(p, &e, &bytes), ATTN_E_ARGUMENT);
    check_extent(t, "too many rows", p, &e, ATTN_E_ARGUMENT, "extent.rows is");
    e.rows = -1;
    check_extent(t, "rows = -1", p, &e, ATTN_E_ARGUMENT, "extent.rows is -1: must be from 0 to");
    e.struct_size = offsetof(attn_extent, rows); /* of a caller that knows no rows */
    check_extent(t, "extents without rows", p, &e, ATTN_OK, "");
    check(t, "no arguments", t->lib->run(p, NULL), ATTN_E_ARGUMENT);
    prepare(t, PLAIN);
    check(t, "a run without a plan", t->lib->run(NULL, &t->f.args), ATTN_E_ARGUMENT);
    t->lib->plan_destroy(NULL);
    t->lib->spec_init(NULL);
    t->checks++;
    const char *name = t->lib->plan_kernel(NULL, 1);
    if (!name || *name) t->failures++, printf("FAIL the kernel of no plan is not \"\"\n");
    char text[8] = "1234567";
    check(t, "a run without a plan", t->lib->plan_check(NULL, &t->f.args, NULL, 0),
          ATTN_E_ARGUMENT);
    check(t, "a run without a plan", t->lib->plan_check(NULL, &t->f.args, text, 0),
          ATTN_E_ARGUMENT);
    check_text(t, "a short message", t->lib->plan_check(NULL, &t->f.args, text, 5), ATTN_E_ARGUMENT,
               text, "plan");
    check_text(t, "no arguments", t->lib->plan_check(p, NULL, text, sizeof text), ATTN_E_ARGUMENT,
               text, "args is");
    t->checks++;
    if (text[7]) t->failures++, printf("FAIL a message without an end\n");
}

/* A text for each, none given twice. */
static void check_texts(status_test *t) {
    for (int i = 0; i <= ATTN_STATUS_COUNT; i++)
        for (int j = 0; j < i; j++) {
            const char *x = t->lib->status_text((attn_status)i);
            const char *y = t->lib->status_text((attn_status)j);
            t->checks++;
            if (x && y && *x && strcmp(x, y) != 0) continue;
            t->failures++;
            printf("FAIL texts of statuses %d and %d\n", i, j);
        }
    const char *wild = t->lib->status_text((attn_status)12345);
    t->checks++;
    if (!wild) t->failures++;
}

/* Only debug builds look: others clamp. */
static void check_index(status_test *t, bool debug) {
    REFUSE(INDEXED, (void)0, debug ? ATTN_E_INDEX : ATTN_OK, "");
    REFUSE(INDEXED, (a->kv_len = t->f.kv_len, t->f.kv_len[0] = t->f.kv_len[1] = LK - 2), ATTN_OK,
           "");
}

/* Leaves this process no memory; run in a child. */
static int no_memory_job(void *ctx, int index) {
    status_test *t = ctx;
    struct rlimit none = {1 << 20, 1 << 20};
    if (setrlimit(RLIMIT_AS, &none)) return 0;
    for (size_t size = 1 << 20; size >= 16; size /= 2)
        for (void **p; (p = malloc(size)) != NULL;) *p = p;
    attn_plan *plan;
    attn_status st = t->lib->plan_create(&plan, &t->spec[PLAIN].core, 0);
    (void)index;
    return st == ATTN_E_MEMORY && !plan ? 0 : 1;
}

static void check_memory(status_test *t) {
    pool_result r;
#if defined(__SANITIZE_ADDRESS__)
    return; /* its allocator ends the program instead */
#endif
    pool_run(t->a, 1, 1, 60, no_memory_job, t, &r, NULL);
    t->checks++;
    if (!r.signal && r.code == 0) return;
    t->failures++;
    printf("FAIL status without memory: not ATTN_E_MEMORY\n");
}

static bool make_plans(status_test *t, const property_options *o, bool debug) {
    build_options build = o->build;
    if (debug) build.cflags = arena_printf(t->a, "%s -DATTN_DEBUG", o->build.cflags);
    t->lib = property_plans(t->a, "statuses", &build, kernel_fields, KERNELS, t->spec, t->plan);
    return t->lib != NULL;
}

static void reserve_workspace(status_test *t) {
    size_t most = 64;
    for (int k = 0; k < KERNELS; k++) {
        attn_extent e = {sizeof e, 2, LQ, LK, 2, 0};
        size_t bytes = 0;
        t->lib->workspace(t->plan[k], &e, &bytes);
        if (bytes > most) most = bytes;
    }
    t->f.workspace = guard_alloc(most + 64, 64, true).data;
}

static int run_statuses(const property_options *o, bool debug) {
    arena *a = arena_new();
    status_test *t = arena_alloc(a, sizeof *t);
    t->a = a;
    int failures = 1;
    if (make_plans(t, o, debug)) {
        reserve_workspace(t);
        check_arguments(t);
        check_masks(t);
        check_overlaps(t);
        check_empty(t);
        check_workspaces(t);
        check_plans(t);
        check_extents(t);
        check_texts(t);
        check_index(t, debug);
        check_memory(t);
        for (int k = 0; k < KERNELS; k++) t->lib->plan_destroy(t->plan[k]);
        printf("property: %d status checks%s, %d failed\n", t->checks, debug ? " (debug)" : "",
               t->failures);
        failures = t->failures;
    }
    arena_free(a);
    return failures;
}

int property_statuses(const property_options *o) {
    return run_statuses(o, false) + run_statuses(o, true) + property_stores(o) + property_tables(o);
}
