/* sweep.c - every spec at many random problems: rule 8 of runtime/CONTRACT.md against the oracle,
 * and the same bits at any thread count, layout, batch and position in the batch; of keys in pages
 * also those of the dense kernel. */
#define _DEFAULT_SOURCE
#include "plan/isa.h"
#include "caller_mode.h"
#include "property.h"
#include "lab/oracle.h"
#include "lab/pool.h"
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VARIANTS = 4, TEXT = 1024, MAX_REPORTS = 4 };
static const char *const variants[VARIANTS] = {"prefill", "decode", "gather", "index"};

/* What a job tells its parent, also when it crashes. */
typedef struct shared_state {
    char now[TEXT]; /* the problem at hand */
    long problems, runs, rows, failures, merged;
    long variant[VARIANTS];
    double worst, worst_merged; /* greatest errors as a fraction of their bound */
    char worst_at[TEXT];
} shared_state;

typedef struct sweep {
    const property_options *o;
    arena *a;
    kernel_spec *kernels;
    built *libs;
    kernel_spec *twins; /* those with pages as dense ones, */
    built *twin_libs;
    int *twin;            /* by kernel; -1: none */
    const tune_set *tune; /* null: the plan's own choices */
    const property_spec *rows;
    int *row; /* kernel -> rows */
    shared_state *state;
} sweep;

/* One problem on one ISA. */
typedef struct trial {
    arena *a;
    shared_state *state;
    const property_spec *row;
    const kernel_lib *lib;
    attn_plan *plan;
    const plan *planned; /* by the generator; null: what runs was changed since */
    const call *c;
    rng *r;
    const kernel_spec *twin; /* null: none */
    const built *twin_lib;
    int isa;
} trial;

property_options property_defaults(void) {
    const char *shapes = getenv("ATTN_PROPERTY_SHAPES"), *seed = getenv("ATTN_PROPERTY_SEED");
    property_options o = {
        .isa_mask = isa_native(), .shapes = 25, .seed = 1, .shape = -1, .every = 1};
    o.layers = 22;
    if (shapes && atoi(shapes) > 0) o.shapes = atoi(shapes);
    if (seed) o.seed = strtoull(seed, NULL, 10);
    return o;
}

/* --- Against the oracle --- */

static const char *row_text(arena *a, const call *c, size_t row, const char *what) {
    size_t rows = (size_t)call_q_rows(c), heads = (size_t)c->spec->core.heads;
    return arena_printf(a, "row b=%zu h=%zu i=%zu: %s", row / rows / heads, row / rows % heads,
                        row % rows, what);
}

/* Error as a fraction of its bound; infinite where got is no number. */
static double fraction(double got, double want, double bound) {
    if (want == -INFINITY) return got == -INFINITY ? 0 : INFINITY;
    if (!isfinite(got)) return INFINITY;
    double error = fabs(got - want);
    return error == 0 ? 0 : error / bound;
}

static const char *compare_row(arena *a, const call *c, const oracle *want, const outcome *got,
                               size_t row, double *worst) {
    const oracle_row *w = &want->row[row];
    const int32_t type = attn_spec_types(&c->spec->core).o;
    size_t width = (size_t)call_v_dim(c);
    for (size_t d = 0; d < width; d++) {
        double o = (double)got->o[row * width + d], x = want->o[row * width + d];
        double f = oracle_fraction(w, type, o, x);
        if (f > *worst) *worst = f;
        if (f <= 1) continue;
        return row_text(a, c, row,
                        arena_printf(a, "o[%zu] got %.9g want %.9g, bound %.2g, %d visible keys", d,
                                     o, x, w->bound, w->visible));
    }
    if (!got->lse) return NULL;
    double lse = (double)got->lse[row];
    if (fraction(lse, w->lse, w->lse_bound) <= 1) return NULL;
    return row_text(a, c, row,
                    arena_printf(a, "lse got %.9g want %.9g, bound %.2g, %d visible keys", lse,
                                 w->lse, w->lse_bound, w->visible));
}

const char *property_compare(arena *a, const call *c, const oracle *want, const outcome *got,
                             long *compared, double *worst) {
    for (size_t row = 0; row < call_rows(c); row++) {
        if (want->row[row].any) continue;
        const char *why = compare_row(a, c, want, got, row, worst);
        if (why) return why;
        ++*compared;
    }
    return NULL;
}

/* --- Same bits --- */

static bool same_number(float x, float y) {
    return memcmp(&x, &y, sizeof x) == 0 || (isnan(x) && isnan(y));
}

/* Where the first `count` numbers differ; -1: nowhere. */
static long difference(const float *got, const float *want, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!same_number(got[i], want[i])) return (long)i;
    return -1;
}

/* Rows of `got` from one on against rows of `want`. */
static const char *compare_rows(arena *a, const call *c, const outcome *want, size_t want_row,
                                const outcome *got, size_t got_row, size_t rows) {
    const size_t width = (size_t)call_v_dim(c);
    const float *x = got->o + got_row * width, *y = want->o + want_row * width;
    long at = difference(x, y, rows * width);
    if (at >= 0)
        return arena_printf(a, "o element %ld from row %zu: %.9g, and %.9g in the first run", at,
                            got_row, (double)x[at], (double)y[at]);
    if (!got->lse || !want->lse) return NULL;
    x = got->lse + got_row, y = want->lse + want_row;
    at = difference(x, y, rows);
    if (at < 0) return NULL;
    return arena_printf(a, "lse element %ld from row %zu: %.9g, and %.9g in the first run", at,
                        got_row, (double)x[at], (double)y[at]);
}

static const char *compare_bits(arena *a, const call *c, const outcome *want, const outcome *got) {
    return compare_rows(a, c, want, 0, got, 0, call_rows(c));
}

/* An item alone against what it was among others, head by head. */
static const char *compare_item(arena *a, const call *c, const outcome *want, const call *item,
                                const outcome *got, int32_t b) {
    const char *why = NULL;
    for (int32_t h = 0; h < c->spec->core.heads && !why; h++)
        why = compare_rows(a, c, want, call_row(c, b, h, 0), got, call_row(item, 0, h, 0),
                           (size_t)item->q_len);
    return why;
}

/* --- One problem --- */

static void fail(trial *t, const char *what, const char *why) {
    if (t->state->failures++ < MAX_REPORTS)
        printf("FAIL %s\n     %s: %s\n", t->state->now, what, why);
}

/* Null status text: the run went as it must. */
static bool ran(trial *t, const char *what, const outcome *out) {
    t->state->runs++;
    if (out->fault)
        fail(t, what, out->fault);
    else if (out->status != ATTN_OK)
        fail(t, what, t->lib->status_text(out->status));
    return !out->fault && out->status == ATTN_OK;
}

static void rerun(trial *t, const outcome *first, const char *what, const placement *p) {
    outcome again = call_run(t->a, t->lib, t->plan, t->c, p);
    if (!ran(t, what, &again)) return;
    const char *why = compare_bits(t->a, t->c, first, &again);
    if (why) fail(t, what, why);
}

/* A pool of the caller's: what its threads run in, and whether they still do. */
typedef struct spoiled {
    int mode;
    bool same;
} spoiled;

static void run_spoiled(void *ctx, int32_t threads, void (*work)(void *job), void *job) {
    spoiled *s = ctx;
    bool same = true;
#pragma omp parallel num_threads(threads) reduction(&& : same)
    {
        const caller_mode mode = caller_mode_enter(s->mode + omp_get_thread_num());
        work(job);
        same = caller_mode_leave(mode) && same;
    }
    s->same = same;
}

/* From a caller in another mode, with traps: the same bits, and the mode comes back. */
static void rerun_in_mode(trial *t, const outcome *first, const placement *p) {
    const int number = rng_int(t->r, 0, 7);
    const char *what =
        arena_printf(t->a, "%d threads, another layout, mode %d", p->threads, number);
    spoiled of = {rng_int(t->r, 0, 7), true};
    const attn_pool pool = {sizeof pool, run_spoiled, &of};
    placement there = *p;
    if (rng_chance(t->r, 50)) there.pool = &pool;
    const caller_mode mode = caller_mode_enter(number);
    outcome again = call_run(t->a, t->lib, t->plan, t->c, &there);
    if (!of.same) fail(t, what, "the mode or flags of a pool's thread changed");
    if (!caller_mode_leave(mode)) fail(t, what, "the caller's mode or flags changed");
    if (!ran(t, what, &again)) return;
    const char *why = compare_bits(t->a, t->c, first, &again);
    if (why) fail(t, what, why);
}

/* Where keys lie changes no bit. */
static void run_twin(trial *t, const outcome *first, const placement *p) {
    const char *why;
    if (!t->twin) return;
    call dense = *t->c;
    dense.spec = t->twin;
    const kernel_lib *lib = t->twin_lib->lib;
    attn_plan *plan = lib ? build_plan(t->a, lib, t->twin, t->isa, 0, &why) : NULL;
    if (!plan) {
        fail(t, "the dense kernel", lib ? why : t->twin_lib->error);
        return;
    }
    outcome again = call_run(t->a, lib, plan, &dense, p);
    lib->plan_destroy(plan);
    if (!ran(t, "the dense kernel", &again)) return;
    why = compare_bits(t->a, t->c, first, &again);
    if (why) fail(t, "the dense kernel", why);
}

static void run_items(trial *t, const outcome *first) {
    if (t->c->batch < 2 || t->row->uses_b) return;
    for (int32_t b = 0; b < t->c->batch; b++) {
        call item = call_item(t->a, t->c, b, rng_chance(t->r, 50));
        placement p = property_placement(t->r, rng_int(t->r, 0, 3));
        outcome alone = call_run(t->a, t->lib, t->plan, &item, &p);
        const char *what = arena_printf(t->a, "item %d alone, Lk %d", b, item.kv_len_max);
        if (!ran(t, what, &alone)) continue;
        const char *why = compare_item(t->a, t->c, first, &item, &alone, b);
        if (why) fail(t, what, why);
    }
}

/* What the plan says of a call's workspace, and explain prints, is what the kernel says. */
static void check_planned(trial *t, const attn_extent *e) {
    if (!t->planned) return;
    size_t need = 0;
    const uint64_t planned =
        plan_workspace(t->planned, t->c->spec, e->batch, e->q_len, e->kv_len_max, e->threads);
    const bool sized = t->lib->workspace(t->plan, e, &need) == ATTN_OK;
    if (sized && planned == need) return;
    fail(t, "workspace",
         arena_printf(t->a, "%zu bytes, planned %llu, for B=%d Lq=%d Lk=%d threads=%d", need,
                      (unsigned long long)planned, e->batch, e->q_len, e->kv_len_max, e->threads));
}

/* Smaller extents never need more workspace. */
static void check_workspace(trial *t) {
    const call *c = t->c;
    attn_extent large = {sizeof large, c->batch, c->q_len, c->kv_len_max, 2, 0};
    attn_extent small = {sizeof small,
                         rng_int(t->r, 0, c->batch),
                         rng_int(t->r, 0, c->q_len),
                         rng_int(t->r, 0, c->kv_len_max),
                         rng_int(t->r, 0, 2),
                         0};
    const attn_extent longest = {sizeof longest, 1, rng_int(t->r, 1, 4096), INT32_MAX, 1, 0};
    size_t need = 0, less = 0;
    t->lib->workspace(t->plan, &large, &need);
    t->lib->workspace(t->plan, &small, &less);
    if (less > need)
        fail(t, "workspace",
             arena_printf(t->a, "%zu bytes, and %zu for B=%d Lq=%d Lk=%d threads=%d", need, less,
                          small.batch, small.q_len, small.kv_len_max, small.threads));
    check_planned(t, &large);
    check_planned(t, &small);
    check_planned(t, &longest);
}

static void count_variant(trial *t) {
    const char *name = t->lib->plan_kernel(t->plan, t->c->q_len), *colon = strrchr(name, ':');
    for (int i = 0; i < VARIANTS; i++)
        if (colon && strcmp(colon + 1, variants[i]) == 0) t->state->variant[i]++;
}

static void run_parts(trial *t, const oracle *want, const outcome *first) {
    long rows = 0;
    double worst = 0;
    const char *why = property_merge(t->a, t->lib, t->plan, t->c, t->r, want, first, &rows, &worst);
    t->state->merged += rows;
    if (why) fail(t, "merged parts", why);
    if (worst > t->state->worst_merged) t->state->worst_merged = worst;
}

static void run_trial(trial *t, const oracle *want) {
    placement here = property_placement(t->r, 0);
    placement there = property_placement(t->r, rng_chance(t->r, 50) ? 1 : 3);
    double worst = 0;
    outcome first = call_run(t->a, t->lib, t->plan, t->c, &here);
    count_variant(t);
    if (!ran(t, "first run", &first)) return;
    const char *why = property_compare(t->a, t->c, want, &first, &t->state->rows, &worst);
    if (why) fail(t, "against the oracle", why);
    if (worst > t->state->worst) {
        t->state->worst = worst;
        memcpy(t->state->worst_at, t->state->now, TEXT);
    }
    here.threads = 2;
    rerun(t, &first, "two threads", &here);
    there.no_lse = rng_chance(t->r, 30);
    rerun_in_mode(t, &first, &there);
    run_twin(t, &first, &there);
    run_items(t, &first);
    check_workspace(t);
    /* Numbers of a list are of all keys. */
    if (rng_chance(t->r, 40) && !t->c->index) run_parts(t, want, &first);
}

/* The runtime's reference is another author's reading of the contract: it must agree. */
static void run_reference(trial *t, const oracle *want) {
    placement here = property_placement(t->r, 0);
    double worst = 0;
    outcome first = call_run(t->a, t->lib, t->plan, t->c, &here);
    for (size_t row = 0; row < call_rows(t->c) && first.status == ATTN_E_INDEX; row++)
        if (want->row[row].bad_index && !first.fault) return; /* it looks; kernels clamp */
    if (!ran(t, "reference", &first)) return;
    const char *why = property_compare(t->a, t->c, want, &first, &t->state->rows, &worst);
    if (why) fail(t, "reference", why);
}

static void describe(const sweep *s, shared_state *state, const property_spec *row, int index,
                     const char *isa, const char *text) {
    snprintf(state->now, TEXT, "--spec %s --shape %d --seed %llu --isa %s: %s", row->name, index,
             (unsigned long long)s->o->seed, isa, text);
}

/* On one ISA. Every ISA sees the same random numbers. */
static void run_on(trial t, int isa, uint32_t flags, const oracle *want) {
    const char *why;
    t.plan = build_plan(t.a, t.lib, t.c->spec, isa, flags, &why);
    t.isa = isa;
    if (!t.plan) {
        fail(&t, "plan", why);
        return;
    }
    if (flags & ATTN_REFERENCE)
        run_reference(&t, want);
    else
        run_trial(&t, want);
    t.lib->plan_destroy(t.plan);
}

static void run_problem(const sweep *s, int kernel, int index, shared_state *state) {
    const property_spec *row = &s->rows[s->row[kernel]];
    arena *a = arena_new();
    uint64_t seed = hash64(row->name, strlen(row->name)) + s->o->seed * 1000003u;
    rng r = {seed + (uint64_t)index * 7919u};
    call c;
    oracle want;
    const char *text;
    double max_work = index % 8 < 6 ? 8e6 : 8e7; /* now and then a large one */
    property_problem(a, row, &s->kernels[kernel], &r, index, max_work, &c, &text);
    attn_args dense = call_dense_args(&c);
    describe(s, state, row, index, "any, in the oracle", text);
    oracle_run(a, c.spec, &dense, &want);
    state->problems++;
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
        if (!(s->o->isa_mask >> isa & 1)) continue;
        if (!build_has(a, s->libs[kernel].lib, c.spec, isa)) continue;
        rng own = r;
        plan planned;
        plan_make(a, c.spec, &isa_table[isa], s->o->build.unroll,
                  tune_find(s->tune, c.spec->name, (attn_isa)isa), &planned);
        const plan *as_made = s->o->build.edit ? NULL : &planned;
        trial t = {a, state, row, s->libs[kernel].lib, NULL, as_made, &c, &own};
        const int twin = s->twin[kernel];
        if (twin >= 0) t.twin = &s->twins[twin], t.twin_lib = &s->twin_libs[twin];
        describe(s, state, row, index, isa_table[isa].name, text);
        run_on(t, isa, 0, &want);
        if (isa == ATTN_ISA_PORTABLE && index % 8 < 6) run_on(t, isa, ATTN_REFERENCE, &want);
    }
    arena_free(a);
}

/* --- All of them --- */

static int sweep_job(void *ctx, int kernel) {
    const sweep *s = ctx;
    const property_spec *row = &s->rows[s->row[kernel]];
    shared_state *state = &s->state[kernel];
    if (!s->libs[kernel].lib) {
        printf("FAIL %s: %s\n", row->name, s->libs[kernel].error);
        state->failures++;
        return 0;
    }
    for (int i = 0; i < s->o->shapes; i++)
        if (s->o->shape < 0 || s->o->shape == i) run_problem(s, kernel, i, state);
    if (state->failures > MAX_REPORTS)
        printf("     %s: %ld failures in all\n", row->name, state->failures);
    return 0;
}

static void sweep_done(void *ctx, int kernel, const pool_result *r) {
    const sweep *s = ctx;
    shared_state *state = &s->state[kernel];
    fputs(r->output, stdout);
    if (r->signal) {
        printf("FAIL %s\n     %s\n", state->now, pool_signal_text(s->a, r->signal));
        state->failures++;
    }
    if (s->o->verbose)
        printf("%-22s %4ld problems %5ld runs %7ld rows, worst error %.2f of its bound: %s\n",
               s->rows[s->row[kernel]].name, state->problems, state->runs, state->rows,
               state->worst, state->worst_at);
    fflush(stdout);
}

static int report(const sweep *s, int kernels) {
    shared_state all = {0};
    for (int i = 0; i < kernels; i++) {
        const shared_state *t = &s->state[i];
        all.problems += t->problems;
        all.runs += t->runs;
        all.rows += t->rows;
        all.failures += t->failures;
        all.merged += t->merged;
        if (t->worst_merged > all.worst_merged) all.worst_merged = t->worst_merged;
        for (int v = 0; v < VARIANTS; v++) all.variant[v] += t->variant[v];
        if (t->worst > all.worst) all.worst = t->worst;
    }
    printf("property: %d specs, %ld problems, %ld runs (", kernels, all.problems, all.runs);
    for (int v = 0; v < VARIANTS; v++)
        printf("%s%ld %s", v ? ", " : "", all.variant[v], variants[v]);
    printf("), %ld rows against the oracle, worst error %.2f of its bound, %ld merged of parts, "
           "worst error %.2f, %ld failed\n",
           all.rows, all.worst, all.merged, all.worst_merged, all.failures);
    return (int)all.failures;
}

/* The dense kernels of those with pages, where both are as the plan has them. */
static void build_twins(sweep *s, int kernels, const build_options *build) {
    int twins = 0;
    for (int i = 0; i < kernels; i++) {
        s->twin[i] = -1;
        if (s->kernels[i].core.layout != ATTN_LAYOUT_PAGED || s->tune || build->edit) continue;
        kernel_spec *k = &s->twins[twins];
        *k = s->kernels[i];
        k->core.layout = ATTN_LAYOUT_DENSE;
        k->core.page = 0;
        attn_spec_format(&k->core, k->name);
        s->twin[i] = twins++;
    }
    build_kernels(s->a, s->twins, twins, build, s->twin_libs);
}

static int sweep_rows(arena *a, const property_options *o, const property_spec *rows, int count) {
    const size_t n = (size_t)count;
    sweep s = {.o = o, .a = a, .rows = rows};
    s.kernels = arena_alloc(a, n * sizeof *s.kernels);
    s.libs = arena_alloc(a, n * sizeof *s.libs);
    s.row = arena_alloc(a, n * sizeof *s.row);
    s.twins = arena_alloc(a, n * sizeof *s.twins);
    s.twin_libs = arena_alloc(a, n * sizeof *s.twin_libs);
    s.twin = arena_alloc(a, n * sizeof *s.twin);
    s.state = pool_shared(n * sizeof *s.state);
    int kernels = 0;
    for (int i = 0; i < count; i++) {
        if (o->spec && strcmp(o->spec, rows[i].name) != 0) continue;
        if ((uint64_t)i % (uint64_t)o->every != o->seed % (uint64_t)o->every) continue;
        kernel_spec *k = &s.kernels[kernels];
        property_kernel(a, &rows[i], k);
        if (plan_check_unroll(a, k, o->build.unroll)) {
            printf("skip %s: too wide to be unrolled so far\n", rows[i].name);
            continue;
        }
        s.row[kernels++] = i;
    }
    build_options build = o->build;
    build.isa_mask = o->isa_mask;
    long changed[PLAN_PARAMS] = {0};
    if (o->tuned) s.tune = build.tune = property_choices(a, s.kernels, kernels, o->seed, changed);
    for (int i = 0; o->tuned && i < PLAN_PARAMS; i++)
        printf("tuned: %s differs in %ld kernels\n", plan_params[i].name, changed[i]);
    build_kernels(a, s.kernels, kernels, &build, s.libs);
    build_twins(&s, kernels, &build);
    pool_result *results = arena_alloc(a, n * sizeof *results);
    pool_run(a, kernels, 0, 900, sweep_job, &s, results, sweep_done);
    int failures = report(&s, kernels);
    for (int i = 0; o->tuned && !o->spec && i < PLAN_PARAMS; i++)
        if (!changed[i]) failures++, printf("FAIL no kernel has another %s\n", plan_params[i].name);
    return failures + (kernels == 0);
}

int property_sweep(const property_options *o) {
    arena *a = arena_new();
    const int failures = sweep_rows(a, o, property_specs, property_spec_count);
    arena_free(a);
    return failures;
}

int property_sweep_product(const property_options *o) {
    arena *a = arena_new();
    const property_rows rows = property_product(a);
    const int failures = sweep_rows(a, o, rows.row, rows.count);
    arena_free(a);
    return failures;
}

int property_sweep_pairs(const property_options *o) {
    arena *a = arena_new();
    const property_rows rows = property_pairs(a);
    const int failures = sweep_rows(a, o, rows.row, rows.count);
    arena_free(a);
    return failures;
}
