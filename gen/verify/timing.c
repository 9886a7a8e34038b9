#include "timing.h"
#include "lab/oracle.h"
#include "lab/peak.h"
#include "lab/stored.h"
#include "spec.h"

#include <math.h>
#include <stdlib.h>

enum { ROUNDS = 7, ROUND_MICROSECONDS = 3000 };

static double oracle_error(const oracle *want, int32_t type, const void *o, size_t rows,
                           size_t width) {
    double worst = 0;
    for (size_t i = 0; i < rows * width; i++) {
        const double e = fabs(stored_value(type, o, (int64_t)i) - want->o[i]);
        if (!want->row[i / width].any && e > worst) worst = e;
    }
    return worst;
}

/* Seconds of one run, from as many as fill a round. */
static double run_round(const kernel_lib *lib, const attn_plan *plan, const attn_args *args) {
    int runs = 0;
    const double start = bench_clock(1);
    double spent = 0;
    while (spent < ROUND_MICROSECONDS * 1e-6) {
        if (lib->run(plan, args) != ATTN_OK) return INFINITY;
        runs++;
        spent = bench_clock(1) - start;
    }
    return spent / runs;
}

speed time_call(arena *a, const kernel_lib *lib, const attn_plan *plan, const call *c,
                attn_isa isa) {
    speed s = {0};
    attn_args args = call_dense_args(c);
    const size_t rows = call_rows(c), width = (size_t)call_v_dim(c);
    const int32_t type = attn_spec_types(&c->spec->core).o;
    void *o = arena_alloc(a, call_o_size(c) * attn_type_size(type) + 64);
    const attn_extent e = {sizeof e,        args.batch, args.q_len,
                           args.kv_len_max, 1,          c->q_begin ? call_q_rows(c) : 0};
    oracle want;
    oracle_run(a, c->spec, &args, &want);
    args.threads = 1;
    const int64_t head = call_q_rows(c) * (int64_t)width;
    args.o = (attn_out){o, c->spec->core.heads * head, head, (int64_t)width};
    if (lib->workspace(plan, &e, &args.workspace_bytes) != ATTN_OK) return s;
    args.workspace = aligned_alloc(64, (args.workspace_bytes + 127) / 64 * 64);
    if (!args.workspace) return s;

    double pairs = 0, best = INFINITY, peak = 0;
    for (size_t i = 0; i < rows; i++) pairs += want.row[i].visible;
    for (int i = 0; i < ROUNDS; i++) {
        const double now = run_round(lib, plan, &args), fma = peak_fma(isa, 1);
        if (now < best) best = now;
        if (fma > peak) peak = fma;
    }
    free(args.workspace);
    s.oracle_error = oracle_error(&want, type, o, rows, width);
    s.gflops = 2e-9 * (call_k_dim(c) + (double)width) * pairs / best;
    s.share = peak > 0 ? s.gflops / peak : 0;
    return s;
}
