/* sums.c - rule 8 over many keys: scores that are equal, peaked, drifting (the maximum rises all
 * the way) or made to round the same way again and again, against the oracle. Q is a unit vector,
 * so that the first component of a key is its score. */
#include "isa.h"
#include "property.h"
#include "verify/oracle.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Lazy and running maxima, dot products of one and more rows, decode in tiles, sinks. */
static const char *const specs[] = {
    "heads=1;head_dim=8;causal=false",
    "heads=20;kv_heads=1;head_dim=8;v_dim=12;causal=false;sinks=true",
    "backend=flex;heads=3;kv_heads=1;head_dim=8;causal=false;score=s + 0.125 * (k & 1)",
};
enum { SPECS = sizeof specs / sizeof *specs, VALUES = 5 };

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

static void make(arena *a, const kernel_spec *spec, rng *r, kind kind, int32_t q_len, int32_t n,
                 call *c) {
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
        k[(size_t)j * (size_t)dim] = score(r, kind, j, n, any);
        for (int32_t d = 0; d < v_dim; d++)
            v[(size_t)j * (size_t)v_dim + (size_t)d] = value(r, d, j, n, any);
    }
    *c = (call){.spec = spec, .batch = 1, .q_len = q_len, .kv_len_max = n, .q = q, .k = k, .v = v};
    if (s->sinks) c->sinks = sinks;
}

/* One problem on every instruction set; returns how many fail. */
static int check(const property_options *o, const kernel_spec *spec, const built *b, kind kind,
                 int32_t q_len, int32_t n, double *most) {
    arena *a = arena_new();
    rng r = {o->seed * 7919 + (uint64_t)kind * 31 + (uint64_t)n};
    call c;
    oracle want;
    int failures = 0;
    make(a, spec, &r, kind, q_len, n, &c);
    const attn_args dense = call_dense_args(&c);
    oracle_run(a, spec, &dense, &want);
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
        if (!(o->isa_mask >> isa & 1)) continue;
        const char *why = b->error;
        attn_plan *plan = why ? NULL : build_plan(a, b->lib, spec, isa, 0, &why);
        double worst = 0;
        long compared = 0;
        const placement p = {.threads = 1};
        if (plan) {
            outcome got = call_run(a, b->lib, plan, &c, &p);
            why = got.fault               ? got.fault
                  : got.status != ATTN_OK ? b->lib->status_text(got.status)
                                          : property_compare(a, &c, &want, &got, &compared, &worst);
            b->lib->plan_destroy(plan);
        }
        if (worst > *most) *most = worst;
        if (o->verbose)
            printf("%s %s Lq=%d Lk=%d %s: %.2f of the bound\n", spec->name, kinds[kind], q_len, n,
                   isa_table[isa].name, worst);
        if (!why) continue;
        failures++;
        printf("FAIL %s, %s scores, Lq=%d Lk=%d, %s: %s\n", spec->name, kinds[kind], q_len, n,
               isa_table[isa].name, why);
    }
    arena_free(a);
    return failures;
}

int property_sums(const property_options *o) {
    static const int32_t keys[] = {256, 1000, 8192, 65536, 1 << 20}, queries[] = {1, 40};
    enum { LENGTHS = sizeof keys / sizeof *keys };
    const int lengths = o->shapes < 100 ? LENGTHS - 1 : LENGTHS;
    arena *a = arena_new();
    kernel_spec kernel[SPECS];
    built libs[SPECS];
    diag d = {0};
    int failures = 0, problems = 0;
    double most = 0;
    for (int i = 0; i < SPECS; i++)
        if (!property_try(a, "sums", specs[i], &kernel[i], &d))
            return printf("FAIL %s\n", d.text), 1;
    build_options build = o->build;
    build.isa_mask = o->isa_mask;
    build_kernels(a, kernel, SPECS, &build, libs);
    for (int i = 0; i < SPECS; i++)
        for (int n = 0; n < lengths; n++)
            for (int k = 0; k < KINDS; k++)
                for (int q = 0; q < 2; q++) {
                    /* Few rows where they are long: all of a tile are alike. */
                    const int32_t q_len = i == 1 && keys[n] > 8192 ? 1 + 3 * q : queries[q];
                    failures += check(o, &kernel[i], &libs[i], (kind)k, q_len, keys[n], &most);
                    problems++;
                }
    printf("property: long sums, %d problems, worst error %.2f of its bound, %d failed\n", problems,
           most, failures);
    arena_free(a);
    return failures;
}
