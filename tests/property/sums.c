/* sums.c - rule 8 of CONTRACT.md over many keys: scores that are equal, peaked, drifting (the
 * maximum rises all the way) or made to round the same way again and again, against the oracle. Q
 * is a unit vector, so that the first component of a key is its score. */
#include "plan/isa.h"
#include "property.h"
#include "lab/oracle.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Lazy and running maxima, dot products of one and more rows, decode in tiles, sinks; the first
 * again, in long key blocks, on the best instruction set. */
static const char *const specs[] = {
    "heads=1;head_dim=8;causal=false",
    "heads=20;kv_heads=1;head_dim=8;v_dim=12;causal=false;sinks=true",
    "backend=flex;heads=3;kv_heads=1;head_dim=8;causal=false;score=s + 0.125 * (k & 1)",
    "heads=1;head_dim=8;causal=false",
};
enum { SPECS = sizeof specs / sizeof *specs, LONG = SPECS - 1, VALUES = 5 };

typedef enum kind { ZERO, EQUAL, PEAKED, CREEPING, DRIFTING, FALLING, STEPS, PLAIN, KINDS } kind;
static const char *const kinds[KINDS] = {"zero",     "equal",   "peaked", "creeping",
                                         "drifting", "falling", "steps",  "plain"};

static float score(rng *r, kind k, int32_t j, int32_t n, float any) {
    const float part = (float)j / (float)n;
    switch (k) {
    case ZERO: return 0;
    case EQUAL: return any; /* P has some mantissa, the same for all keys */
    case PEAKED: return j == n / 3 ? 14 : any;
    case CREEPING: return 0.01f * part;
    case DRIFTING: return 90 * part - 45;
    case FALLING: return 45 - 90 * part;
    case STEPS: return 1e-4f * (float)(j / 97); /* a rise as small as its rounding, every block */
    default: return 2 * rng_normal(r);
    }
}

/* Columns that lose differently: one value (of any mantissa), positive, alternating, a ramp. */
static float value(rng *r, int32_t d, int32_t j, int32_t n, float any) {
    switch (d % VALUES) {
    case 0: return 1.9f;
    case 1: return 1 + any * (float)d / 9;
    case 2: return 1 + (float)rng_int(r, 0, 1 << 20) / (1 << 20);
    case 3: return j % 2 ? 1.7f : -1.3f;
    default: return 2 * (float)j / (float)n;
    }
}

typedef struct sum_problem {
    kind kind;
    int32_t q_len, keys;
    float shift, size; /* added to the scores, and what V is multiplied by */
} sum_problem;

/* Ends of f32's range: where P V overflows, or would be too small to be kept; and where a lazy
 * maximum (2^60 at most, 2^-60 at least) takes it there. */
static const sum_problem extremes[] = {
    {PLAIN, 40, 300, 0, 0x1p-118f},
    {PEAKED, 40, 3000, 0, 0x1p-124f},
    {PLAIN, 1, 300, 0, 0x1p-118f},
    {PLAIN, 40, 300, -38, 0x1p-90f},
    {PLAIN, 1, 300, -38, 0x1p-90f},
    {EQUAL, 40, 300, 36, 0x1p100f},
    {EQUAL, 1, 300, 36, 0x1p100f},
    {ZERO, 40, 3000, 0, 0x1p126f},
    {DRIFTING, 1, 3000, 0, 0x1p126f},
    {ZERO, 1, 3000, 0, 0x1p-148f},
    {ZERO, 40, 300, 0, 0},
};
enum { EXTREMES = sizeof extremes / sizeof *extremes };

static void make(arena *a, const kernel_spec *spec, uint64_t seed, const sum_problem *p, call *c) {
    rng random = {seed * 7919 + (uint64_t)p->kind * 31 + (uint64_t)p->keys}, *r = &random;
    const int32_t q_len = p->q_len, n = p->keys;
    const attn_spec *s = &spec->core;
    const int32_t dim = s->head_dim, v_dim = s->v_dim;
    const float any = 0.1f + (float)rng_int(r, 0, 1 << 20) / (1 << 20);
    const size_t rows = (size_t)s->heads * (size_t)q_len;
    float *q = arena_alloc(a, rows * (size_t)dim * sizeof *q);
    float *k = arena_alloc(a, (size_t)n * (size_t)dim * sizeof *k);
    float *v = arena_alloc(a, (size_t)n * (size_t)v_dim * sizeof *v);
    float *sinks = arena_alloc(a, (size_t)s->heads * sizeof *sinks);
    for (size_t i = 0; i < rows; i++) q[i * (size_t)dim] = 1 / s->scale;
    for (int32_t j = 0; j < n; j++) {
        k[(size_t)j * (size_t)dim] = p->shift + score(r, p->kind, j, n, any);
        for (int32_t d = 0; d < v_dim; d++)
            v[(size_t)j * (size_t)v_dim + (size_t)d] = p->size * value(r, d, j, n, any);
    }
    *c = (call){.spec = spec, .batch = 1, .q_len = q_len, .kv_len_max = n, .q = q, .k = k, .v = v};
    if (s->sinks) c->sinks = sinks;
}

/* The greatest errors as fractions of their bounds. */
typedef struct sum_errors {
    double o, lse;
} sum_errors;

/* A problem on an instruction set; null, or what is wrong. */
static const char *run(arena *a, const built *b, attn_isa isa, const call *c, const oracle *want,
                       sum_errors *most) {
    const char *why = b->error;
    attn_plan *plan = why ? NULL : build_plan(a, b->lib, c->spec, (int)isa, 0, &why);
    long compared = 0;
    const placement place = {.threads = 1};
    if (!plan) return why;
    const outcome got = call_run(a, b->lib, plan, c, &place);
    if (got.fault || got.status != ATTN_OK)
        why = got.fault ? got.fault : b->lib->status_text(got.status);
    else
        why = property_compare(a, c, want, &got, &compared, &most->o);
    b->lib->plan_destroy(plan);
    for (size_t row = 0; row < call_rows(c) && !why; row++) {
        const oracle_row *w = &want->row[row];
        most->lse = fmax(most->lse, fabs((double)got.lse[row] - w->lse) / w->lse_bound);
    }
    return why;
}

/* One problem on every instruction set; returns how many fail. */
static int check(const property_options *o, const kernel_spec *spec, const built *b,
                 const sum_problem *p, sum_errors *most) {
    arena *a = arena_new();
    call c;
    oracle want;
    int failures = 0;
    make(a, spec, o->seed, p, &c);
    const attn_args dense = call_dense_args(&c);
    oracle_run(a, spec, &dense, &want);
    /* A result that is not a normal number may be off by the spacing of those. */
    for (size_t row = 0; row < call_rows(&c); row++) want.row[row].bound += 0x1p-149;
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
        if (!(o->isa_mask >> isa & 1) || !build_has(a, b->lib, spec, isa)) continue;
        const char *text = arena_printf(a, "%s, %s scores + %g, V * %g, Lq=%d Lk=%d, %s",
                                        spec->name, kinds[p->kind], (double)p->shift,
                                        (double)p->size, p->q_len, p->keys, isa_table[isa].name);
        sum_errors here = {0};
        const char *why = run(a, b, (attn_isa)isa, &c, &want, &here);
        *most = (sum_errors){fmax(most->o, here.o), fmax(most->lse, here.lse)};
        if (o->verbose) printf("%s: %.2f of the bound, LSE %.2f\n", text, here.o, here.lse);
        if (why) failures++, printf("FAIL %s: %s\n", text, why);
    }
    arena_free(a);
    return failures;
}

const char *property_judge_sums(arena *a, const kernel_spec *kernel, attn_isa isa, const built *b) {
    const char *why = NULL;
    for (int i = 0; i < 3 && !why; i++) {
        const sum_problem p = {EQUAL, 40, (1 << 17) + i, 0, 1};
        sum_errors unused = {0};
        call c;
        oracle want;
        make(a, kernel, 1, &p, &c);
        const attn_args dense = call_dense_args(&c);
        oracle_run(a, kernel, &dense, &want);
        why = run(a, b, isa, &c, &want, &unused);
    }
    return why;
}

int property_sums(const property_options *o) {
    static const int32_t keys[] = {256, 8192, 65536, 1 << 20};
    enum { LENGTHS = sizeof keys / sizeof *keys };
    const int lengths = o->shapes < 100 ? LENGTHS - 1 : LENGTHS;
    arena *a = arena_new();
    kernel_spec kernel[SPECS];
    built libs[SPECS];
    diag d = {0};
    int failures = 0, problems = 0;
    sum_errors most = {0};
    for (int i = 0; i < SPECS; i++)
        if (!property_try(a, "sums", specs[i], &kernel[i], &d))
            return printf("FAIL %s\n", d.text), 1;
    build_options build = o->build;
    build.isa_mask = o->isa_mask;
    build_kernels(a, kernel, LONG, &build, libs);
    property_options best = *o;
    build.isa_mask = best.isa_mask = isa_best(o->isa_mask);
    build.tune = property_long_blocks(a, (const kernel_spec *const[]){&kernel[LONG]}, 1);
    build_kernels(a, &kernel[LONG], 1, &build, &libs[LONG]);
    for (int i = 0; i < SPECS; i++) {
        for (int at = 0; at < lengths * KINDS * 2; at++) {
            const int32_t n = keys[at / 2 / KINDS], long_rows = n > 8192 ? 34 : 40;
            const int32_t q_len = at % 2 == 0 ? 1 : i == 1 ? 4 : long_rows;
            const sum_problem p = {(kind)(at / 2 % KINDS), q_len, n, 0, 1};
            failures += check(i == LONG ? &best : o, &kernel[i], &libs[i], &p, &most);
        }
        for (int at = 0; at < EXTREMES; at++)
            failures += check(i == LONG ? &best : o, &kernel[i], &libs[i], &extremes[at], &most);
        problems += lengths * KINDS * 2 + EXTREMES;
    }
    printf("property: long sums, %d problems, worst error %.2f of its bound, LSE %.2f, %d failed\n",
           problems, most.o, most.lse, failures);
    arena_free(a);
    return failures;
}
