/* statuses.c - every attn_status, each from the mistake that it names; nothing is written then. */
#define _DEFAULT_SOURCE
#include "isa.h"
#include "property.h"
#include "verify/guard.h"
#include "verify/pool.h"
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
    attn_extent e = {sizeof e, 2, LQ, LK, 2};
    t->lib->workspace(t->plan[k], &e, &a->workspace_bytes);
    f->kv_len[0] = f->kv_len[1] = LK;
    f->side[0] = (attn_side){f->bias, k == INDEXED ? LK : 2 * LK};
    if (k == FLEX)
        a->side = f->side, a->side_count = 1, a->scalars = f->scalars, a->scalar_count = 2;
    if (k == INDEXED) a->side = f->side, a->side_count = 1;
    if (k == CROSS) a->seg = f->seg, a->seg_batch = LQ, a->sinks = f->sinks;
    for (int i = 0; i < MAX_O; i++) f->o[i] = 77;
}

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

/* Runs the fixture as it is, which must fail without writing. */
static void refuse(status_test *t, enum kernel_index k, const char *what, attn_status want) {
    check(t, what, t->lib->run(t->plan[k], &t->f.args), want);
    if (want == ATTN_OK || untouched(&t->f)) return;
    t->failures++;
    printf("FAIL %s: the outputs were written\n", what);
}

/* prepare, spoil, refuse. */
#define REFUSE(kernel, spoil, want)                       \
    do {                                                  \
        prepare(t, kernel);                               \
        attn_args *a = &t->f.args;                        \
        spoil;                                            \
        (void)a;                                          \
        refuse(t, kernel, #kernel " with " #spoil, want); \
    } while (0)

static void check_arguments(status_test *t) {
    REFUSE(PLAIN, (void)0, ATTN_OK);
    REFUSE(FLEX, (void)0, ATTN_OK);
    REFUSE(CROSS, (void)0, ATTN_OK);
    REFUSE(PLAIN, a->q.data = NULL, ATTN_E_ARGUMENT);
    REFUSE(PLAIN, a->k.data = NULL, ATTN_E_ARGUMENT);
    REFUSE(PLAIN, a->v.data = NULL, ATTN_E_ARGUMENT);
    REFUSE(PLAIN, a->o.data = NULL, ATTN_E_ARGUMENT);
    REFUSE(PLAIN, a->batch = -1, ATTN_E_ARGUMENT);
    REFUSE(PLAIN, a->q_len = -1, ATTN_E_ARGUMENT);
    REFUSE(PLAIN, a->kv_len_max = -1, ATTN_E_ARGUMENT);
    REFUSE(PLAIN, a->threads = -1, ATTN_E_ARGUMENT);
    REFUSE(CROSS, a->seg = NULL, ATTN_E_ARGUMENT);
    REFUSE(CROSS, a->sinks = NULL, ATTN_E_ARGUMENT);
    REFUSE(FLEX, a->side = NULL, ATTN_E_ARGUMENT);
    REFUSE(FLEX, a->scalars = NULL, ATTN_E_ARGUMENT);
    REFUSE(FLEX, t->f.side[0].data = NULL, ATTN_E_ARGUMENT);
    REFUSE(PLAIN, a->struct_size--, ATTN_E_ABI);
    REFUSE(PLAIN, a->struct_size = 0, ATTN_E_ABI);
    REFUSE(PLAIN, (a->kv_len = t->f.kv_len, t->f.kv_len[1] = -1), ATTN_E_LENGTH);
    REFUSE(PLAIN, (a->kv_len = t->f.kv_len, t->f.kv_len[1] = LK + 1), ATTN_E_LENGTH);
    REFUSE(FLEX, a->side_count = 0, ATTN_E_SHAPE);
    REFUSE(FLEX, a->scalar_count = 3, ATTN_E_SHAPE);
    REFUSE(FLEX, t->f.side[0].count--, ATTN_E_SHAPE);
    REFUSE(PLAIN, a->seg = t->f.seg, ATTN_E_UNUSED);
    REFUSE(PLAIN, a->sinks = t->f.sinks, ATTN_E_UNUSED);
    REFUSE(PLAIN, (a->side = t->f.side, a->side_count = 1), ATTN_E_UNUSED);
    REFUSE(PLAIN, (a->scalars = t->f.scalars, a->scalar_count = 1), ATTN_E_UNUSED);
}

static const attn_mask full_mask = {
    NULL, ATTN_MASK_BOOL, 4, {2, 2, LQ, LK}, {2 * LQ * LK, LQ *LK, LK, 1}};

#define REFUSE_MASK(kernel, spoil, want) \
    REFUSE(kernel, (a->mask = full_mask, a->mask.data = t->f.mask, spoil), want)

static void check_masks(status_test *t) {
    REFUSE_MASK(PLAIN, (void)0, ATTN_OK);
    REFUSE_MASK(PLAIN, a->mask.dim[0] = 1, ATTN_OK);
    REFUSE_MASK(PLAIN, a->mask.dim[3] = LK - 1, ATTN_E_SHAPE);
    REFUSE_MASK(PLAIN, a->mask.dim[1] = 4, ATTN_E_SHAPE);
    REFUSE_MASK(PLAIN, a->mask.dim[0] = 0, ATTN_E_SHAPE);
    REFUSE_MASK(PLAIN, a->mask.rank = 0, ATTN_E_SHAPE);
    REFUSE_MASK(PLAIN, a->mask.rank = 5, ATTN_E_SHAPE);
    REFUSE_MASK(PLAIN, a->mask.type = 9, ATTN_E_ARGUMENT);
    REFUSE_MASK(PLAIN, a->mask.data = NULL, ATTN_E_ARGUMENT);
    REFUSE_MASK(FLEX, (void)0, ATTN_E_UNUSED);
}

static void check_workspaces(status_test *t) {
    for (int k = 0; k < KERNELS; k++) {
        prepare(t, (enum kernel_index)k);
        if (t->f.args.workspace_bytes == 0) continue;
        t->f.args.workspace_bytes--;
        refuse(t, (enum kernel_index)k, "a workspace a byte too small", ATTN_E_WORKSPACE);
        prepare(t, (enum kernel_index)k);
        t->f.args.workspace = NULL;
        refuse(t, (enum kernel_index)k, "no workspace", ATTN_E_WORKSPACE);
        prepare(t, (enum kernel_index)k);
        t->f.args.workspace = t->f.workspace + 32;
        refuse(t, (enum kernel_index)k, "a misaligned workspace", ATTN_E_WORKSPACE);
    }
}

static attn_status create(const status_test *t, const attn_spec *spec, uint32_t flags) {
    attn_plan *plan = (attn_plan *)(void *)&plan;
    attn_status st = t->lib->plan_create(&plan, spec, flags);
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
    s = good, s.head_dim = 16, s.v_dim = 16;
    check(t, "a spec without a kernel", create(t, &s, 0), ATTN_E_NO_KERNEL);
    s = t->spec[FLEX].core, s.expr_hash ^= 1;
    check(t, "other expressions", create(t, &s, 0), ATTN_E_NO_KERNEL);
    setenv("ATTN_ISA", "nonesuch", 1);
    check(t, "ATTN_ISA=nonesuch", create(t, &good, 0), ATTN_E_NO_KERNEL);
    setenv("ATTN_ISA", "portable", 1);
}

static void check_extents(status_test *t) {
    size_t bytes;
    attn_extent good = {sizeof good, 2, LQ, LK, 2}, e = good;
    const attn_plan *p = t->plan[PLAIN];
    check(t, "extents", t->lib->workspace(p, &e, &bytes), ATTN_OK);
    check(t, "no plan", t->lib->workspace(NULL, &e, &bytes), ATTN_E_ARGUMENT);
    check(t, "no extents", t->lib->workspace(p, NULL, &bytes), ATTN_E_ARGUMENT);
    check(t, "no result", t->lib->workspace(p, &e, NULL), ATTN_E_ARGUMENT);
    e.struct_size--;
    check(t, "an extent's struct_size", t->lib->workspace(p, &e, &bytes), ATTN_E_ABI);
    e = good, e.batch = -1;
    check(t, "batch = -1", t->lib->workspace(p, &e, &bytes), ATTN_E_ARGUMENT);
    e = good, e.q_len = -1;
    check(t, "q_len = -1", t->lib->workspace(p, &e, &bytes), ATTN_E_ARGUMENT);
    e = good, e.kv_len_max = -1;
    check(t, "kv_len_max = -1", t->lib->workspace(p, &e, &bytes), ATTN_E_ARGUMENT);
    e = good, e.threads = -1;
    check(t, "threads = -1", t->lib->workspace(p, &e, &bytes), ATTN_E_ARGUMENT);
    check(t, "no arguments", t->lib->run(p, NULL), ATTN_E_ARGUMENT);
    prepare(t, PLAIN);
    check(t, "a run without a plan", t->lib->run(NULL, &t->f.args), ATTN_E_ARGUMENT);
    t->lib->plan_destroy(NULL);
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
    REFUSE(INDEXED, (void)0, debug ? ATTN_E_INDEX : ATTN_OK);
    REFUSE(INDEXED, (a->kv_len = t->f.kv_len, t->f.kv_len[0] = t->f.kv_len[1] = LK - 2), ATTN_OK);
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

static bool make_plans(status_test *t, const property_options *o, const char *cflags) {
    built b[KERNELS];
    diag d = {0};
    build_options build = o->build;
    build.isa_mask = 1u << ATTN_ISA_PORTABLE;
    build.cflags = cflags;
    for (int k = 0; k < KERNELS; k++)
        if (!property_try(t->a, "statuses", kernel_fields[k], &t->spec[k], &d))
            return printf("FAIL %s\n", d.text), false;
    build_kernels(t->a, t->spec, KERNELS, &build, b);
    for (int k = 0; k < KERNELS; k++) {
        const char *why = b[k].error;
        if (!why && b[k].lib != b[0].lib) why = "in another library";
        if (!why) t->plan[k] = build_plan(t->a, b[k].lib, &t->spec[k], ATTN_ISA_PORTABLE, 0, &why);
        if (!t->plan[k]) return printf("FAIL %s: %s\n", kernel_fields[k], why), false;
    }
    t->lib = b[0].lib;
    return true;
}

static void reserve_workspace(status_test *t) {
    size_t most = 64;
    for (int k = 0; k < KERNELS; k++) {
        attn_extent e = {sizeof e, 2, LQ, LK, 2};
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
    if (make_plans(t, o, debug ? "-DATTN_DEBUG" : NULL)) {
        reserve_workspace(t);
        check_arguments(t);
        check_masks(t);
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
    return run_statuses(o, false) + run_statuses(o, true);
}
