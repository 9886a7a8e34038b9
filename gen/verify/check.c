/* check.c - runs, and what must come out of them. */
#include "check.h"
#include "lab/block_call.h"
#include "lab/oracle.h"
#include "plan/plan.h"
#include <math.h>
#include <string.h>

static const char *against(check *c, const expected *want, values got, double dot,
                           const bool *skip) {
    return compare(c->a, want, got, c->g->tolerance + dot, skip, &c->error);
}

static const char *against_stored(check *c, const expected *want, values got, int32_t type,
                                  const bool *skip) {
    return compare_stored(c->a, want, got, type, c->g->tolerance + c->o_dot, skip, &c->error);
}

static int32_t output_type(const check *c) {
    return attn_spec_types(&c->g->spec[c->backend].core).o;
}

/* --- Cores --- */

void check_allow(check *c, int isa, const build_options *build) {
    const call *problem = &c->g->problem[c->backend];
    const kernel_spec *spec = &c->g->spec[c->backend];
    plan p;
    plan_make(c->a, spec, &isa_table[isa], build->unroll, NULL, &p);
    if (!p.pairs && (!p.codes.q_most || problem->q_len > p.decode_q)) return;
    const attn_args args = call_dense_args(problem);
    oracle got;
    oracle_run(c->a, problem->spec, &args, &got);
    for (size_t i = 0; i < call_rows(problem); i++) {
        c->o_dot = fmax(c->o_dot, got.row[i].dot);
        c->lse_dot = fmax(c->lse_dot, got.row[i].lse_dot);
    }
}

static const char *judge(check *c, const kernel_lib *lib, const outcome *r) {
    const golden *g = c->g;
    if (r->status != ATTN_OK)
        return arena_printf(c->a, "attn_run: %s", lib->status_text(r->status));
    if (r->fault) return r->fault;
    const char *why = against_stored(c, &g->o, (values){.f32 = r->o}, output_type(c), NULL);
    if (why || !r->lse) return why;
    return against(c, &g->lse, (values){.f32 = r->lse}, c->lse_dot, NULL);
}

const char *check_core(check *c, const kernel_lib *lib, const attn_plan *plan, int threads) {
    const call *problem = &c->g->problem[c->backend];
    placement first = {.threads = threads};
    placement second = {.order = {TOKEN_MAJOR, TOKEN_MAJOR, TOKEN_MAJOR, TOKEN_MAJOR},
                        .gap = {1, 0, 0},
                        .at_start = true,
                        .threads = 1};
    call shared = *problem;
    if (c->g->v_in_k) shared.v = NULL;
    c->kernel = lib->plan_kernel(plan, problem->q_len);
    outcome r = call_run(c->a, lib, plan, problem->v ? problem : &shared, &first);
    const char *why = judge(c, lib, &r);
    if (why) return why;
    outcome s = call_run(c->a, lib, plan, &shared, &second);
    check other = *c;
    why = judge(&other, lib, &s);
    if (why) return arena_printf(c->a, "token-major: %s", why);
    if (memcmp(r.o, s.o, call_o_size(problem) * sizeof *r.o) ||
        memcmp(r.lse, s.lse, call_rows(problem) * sizeof *r.lse))
        return "other bits with one thread and a token-major layout";
    return NULL;
}

/* --- Layers --- */

/* The rows of y, [batch, tokens, width], that the case expects: the last ones of each item. */
static values expected_rows(check *c, values y) {
    const expected *want = &c->g->y;
    const int64_t tokens = c->g->block[c->backend].tokens, shown = want->dim[1];
    const int64_t width = want->dim[2], first = tokens - shown;
    if (!first) return y;
    const size_t size = y.f64 ? sizeof(double) : sizeof(float), row = (size_t)width * size;
    const char *from = y.f64 ? (const char *)y.f64 : (const char *)y.f32;
    char *to = arena_alloc(c->a, expected_count(want) * size + 1);
    for (int64_t b = 0; b < want->dim[0]; b++)
        memcpy(to + (size_t)(b * shown) * row, from + (size_t)(b * tokens + first) * row,
               (size_t)shown * row);
    return y.f64 ? (values){.f64 = (const double *)(const void *)to}
                 : (values){.f32 = (const float *)(const void *)to};
}

/* Caches that the case expects and nobody handed out are a failure. */
static const char *judge_layer(check *c, values y, values cache_k, values cache_v) {
    const golden *g = c->g;
    const char *why = against(c, &g->y, expected_rows(c, y), 0, g->y_open);
    if (why) return why;
    const bool k = cache_k.f32 || cache_k.f64, v = cache_v.f32 || cache_v.f64;
    if ((g->cache_k.data && !k) || (g->cache_v.data && !v)) return "no cache came out";
    const int32_t type = attn_spec_types(&g->spec[c->backend].core).k;
    why = against_stored(c, &g->cache_k, cache_k, type, NULL);
    return why ? why : against_stored(c, &g->cache_v, cache_v, type, NULL);
}

static const char *run_layer(check *c, const kernel_lib *lib, const block_run *run,
                             block_outcome *out) {
    const char *why = NULL;
    if (!run_block_case(c->a, lib, &c->g->block[c->backend], run, out, &why)) return why;
    c->kernel = out->kernel;
    return judge_layer(c, (values){.f32 = out->y}, (values){.f32 = out->cache_k},
                       (values){.f32 = out->cache_v});
}

const char *check_layer(check *c, const kernel_lib *lib, int isa, uint32_t flags, int threads) {
    const golden *g = c->g;
    const block_case *b = &g->block[c->backend];
    block_run run = {.isa = isa,
                     .flags = flags,
                     .threads = threads,
                     .prefill = g->prefill,
                     .step = b->tokens,
                     .caches = g->cache_k.data || g->cache_v.data};
    block_outcome first, second;
    const char *why = run_layer(c, lib, &run, &first);
    if (why) return why;
    run.threads = 1;
    why = run_layer(c, lib, &run, &second);
    if (why) return arena_printf(c->a, "one thread: %s", why);
    const size_t size = (size_t)b->batch * (size_t)b->tokens * (size_t)g->y.dim[2];
    if (memcmp(first.y, second.y, size * sizeof *first.y)) return "other bits with one thread";
    if (g->prefill == b->tokens) return NULL;
    run.step = 1;
    why = run_layer(c, lib, &run, &second);
    return why ? arena_printf(c->a, "one row a step: %s", why) : NULL;
}

/* --- The oracle --- */

static const char *core_oracle(check *c) {
    const call *problem = &c->g->problem[c->backend];
    const attn_args args = call_dense_args(problem);
    const size_t rows = call_rows(problem);
    oracle got;
    oracle_run(c->a, problem->spec, &args, &got);
    double *lse = arena_alloc(c->a, (rows + 1) * sizeof *lse);
    bool *any = arena_alloc(c->a, rows + 1);
    for (size_t i = 0; i < rows; i++) {
        lse[i] = got.row[i].lse;
        any[i] = got.row[i].any;
    }
    const char *why = against_stored(c, &c->g->o, (values){.f64 = got.o}, output_type(c), any);
    if (why) return why;
    expected want = c->g->lse; /* a row of its own each, so that `any` says which to skip */
    want.dim[want.rank++] = 1;
    return want.data ? against(c, &want, (values){.f64 = lse}, 0, any) : NULL;
}

static double *new_doubles(arena *a, int64_t count) {
    return arena_alloc(a, ((size_t)count + 1) * sizeof(double));
}

static const char *layer_oracle(check *c) {
    block_case b = c->g->block[c->backend];
    char error[4096];
    b.y = new_doubles(c->a, (int64_t)b.batch * b.tokens * block_width(&b.spec->core));
    b.cache_k = new_doubles(c->a, block_cache_k_size(&b));
    b.cache_v = new_doubles(c->a, block_cache_v_size(&b));
    if (!block_oracle(&b, error, sizeof error)) return arena_strdup(c->a, error);
    return judge_layer(c, (values){.f64 = b.y}, (values){.f64 = b.cache_k},
                       (values){.f64 = b.cache_v});
}

const char *check_oracle(check *c) {
    c->kernel = "oracle";
    return c->g->is_block ? layer_oracle(c) : core_oracle(c);
}
