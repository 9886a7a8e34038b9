/* tune.c - candidates, their calls and times, and who wins. */
#define _DEFAULT_SOURCE
#include "tune.h"

#include "files.h"
#include "plan/work.h"
#include "plan/isa.h"
#include "text.h"
#include "op.h"
#include "plan/tune_file.h"
#include "build.h"
#include "call.h"
#include "peak.h"
#include "progress.h"
#include "stored.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_CANDIDATES = 64, MAX_CALLS = 4, ROUNDS = 9, FINAL_ROUNDS = 15, MIN_MICROSECONDS = 2000 };
static const double NOISE = 0.015; /* of best and of median, at least */
static const double CALL_FLOPS = 6e9, DECODE_BYTES = 64e6;

/* A call that is timed. */
typedef struct timed_call {
    const char *what;
    call c;
    attn_args args;
    double flops; /* useful ones; 0: not known */
} timed_call;

/* Times of a candidate on a call. */
typedef struct times {
    double value[FINAL_ROUNDS];
    int count;
} times;

typedef struct candidate {
    attn_isa isa;
    plan_choice choice;
    const char *code; /* plan_code */
    int param;        /* what differs from the plan's own choice; -1: nothing, or several */
    const kernel_lib *lib;
    attn_plan *plan;
    size_t workspace_bytes[MAX_CALLS];
    times times[MAX_CALLS];
} candidate;

/* One kernel on one instruction set; or on two, of which the one below is candidates 0 and 1. */
typedef struct tuning {
    arena *a; /* freed with the kernel */
    const kernel_spec *k;
    attn_isa isa;
    /* 0: the plan's own choice; 1: the same once more, whose distance from 0 is noise. */
    candidate candidate[MAX_CANDIDATES];
    int count;
    timed_call calls[MAX_CALLS];
    int call_count;
    void *o, *want;    /* an output, and candidate 0's */
    void *workspace;   /* for any candidate and call */
    const char *where; /* for progress and messages */
    diag *d;
} tuning;

static void compiled(void *ctx, int done, int count) {
    const tuning *t = ctx;
    progress("tune: %s: compiling alternatives, %d of %d files left", t->where, count - done,
             count);
}

/* --- Candidates. --- */

static plan plan_with(const tuning *t, const plan_choice *choice) {
    plan p;
    plan_make(t->a, t->k, &isa_table[t->isa], 0, choice, &p);
    return p;
}

/* The plan's own choice and its twin. */
static void add_own(tuning *t, const plan_choice *own) {
    const plan p = plan_with(t, own);
    const char *code = plan_code(t->a, &p);
    for (int i = 0; i < 2; i++)
        t->candidate[t->count++] =
            (candidate){.isa = t->isa, .choice = *own, .code = code, .param = -1};
}

/* Adds a candidate if a kernel can be made of it that is none of those there are. */
static void add(tuning *t, const plan_choice *choice, int param) {
    int wrong;
    if (t->count == MAX_CANDIDATES) return;
    if (plan_check(t->a, t->k, &isa_table[t->isa], choice, &wrong)) return;
    const plan p = plan_with(t, choice);
    const char *code = plan_code(t->a, &p);
    for (int i = 0; i < t->count; i++)
        if (!strcmp(t->candidate[i].code, code)) return;
    t->candidate[t->count++] =
        (candidate){.isa = t->isa, .choice = p.choice, .code = code, .param = param};
}

/* Values of a parameter that are worth a measurement; a list that ends with -1. */
static void alternatives(const plan_choice *c, const char *name, int *value) {
    static const struct {
        const char *name;
        int value[6];
    } fixed[] = {
        {"vectors", {1, 2, 3, 4, -1}},
        {"columns", {1, 2, 3, 4, -1}},
        {"key_block", {48, 64, 96, 192, 256, -1}},
        {"tiles", {2, 4, 8, 16, -1}},
        {"unroll", {4, 8, 16, 32, -1}},
        {"prefetch", {0, 1, 2, 3, -1}},
        {"lazy", {0, 1, -1}},
        {"dot_keys", {4, 8, 16, 32, -1}},
        {"dot_ahead", {8, 16, 32, 64, 128, -1}},
        {"part_keys", {256, 512, 1024, 2048, -1}},
    };
    *value = -1;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (!strcmp(name, fixed[i].name)) memcpy(value, fixed[i].value, sizeof fixed[i].value);
    const int near[] = {c->keys - 2, c->keys - 1, c->keys + 1, c->keys + 2, -1};
    const int queries[] = {c->decode_q / 2, c->decode_q * 2, -1};
    if (!strcmp(name, "keys")) memcpy(value, near, sizeof near);
    if (!strcmp(name, "decode_q")) memcpy(value, queries, sizeof queries);
}

/* The plan's own choice, then every alternative of one parameter at a time. */
static void list_candidates(tuning *t) {
    const plan_choice none = plan_choice_none();
    const plan_choice own = plan_with(t, &none).choice;
    add_own(t, &own);
    for (int i = 0; i < PLAN_PARAMS; i++) {
        int value[6];
        alternatives(&own, plan_params[i].name, value);
        for (int j = 0; value[j] >= 0; j++) {
            plan_choice c = own;
            plan_choice_set(&c, i, value[j]);
            if (!strcmp(plan_params[i].name, "vectors")) c.keys = c.key_block = c.part_keys = -1;
            if (!strcmp(plan_params[i].name, "key_block")) c.part_keys = -1;
            if (!strcmp(plan_params[i].name, "unroll")) c.prefetch = -1;
            if (!strcmp(plan_params[i].name, "part_keys"))
                c.part_keys = c.part_keys / c.key_block * c.key_block;
            add(t, &c, i);
        }
    }
}

/* --- Calls. Data is random; integers sort the tokens into a few documents. --- */

static float uniform(uint64_t *state) { /* xorshift64 (Marsaglia 2003), in -1..1 */
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (float)((double)(int64_t)*state * 0x1p-63);
}

static float *random_floats(arena *a, size_t count) {
    float *p = arena_alloc(a, count * sizeof *p + 64);
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < count; i++) p[i] = 1.7f * uniform(&state);
    return p;
}

/* The same as stored rows; *scale: theirs, of types that have some. */
static const void *random_rows(arena *a, int32_t type, size_t rows, size_t width,
                               const float **scale) {
    float *scales;
    const float *x = random_floats(a, rows * width);
    const void *stored = stored_rows(a, type, x, (int64_t)rows, (int32_t)width, &scales);
    *scale = scales;
    return stored;
}

static void make_sides(arena *a, call *c) {
    const kernel_spec *k = c->spec;
    attn_side *side = arena_alloc(a, ((size_t)k->tensor_count + 1) * sizeof *side);
    attn_scalar *scalars = arena_alloc(a, ((size_t)k->scalar_count + 1) * sizeof *scalars);
    c->side = side;
    for (int i = 0; i < k->tensor_count; i++) {
        const int64_t count = call_side_count(c, i);
        float *f = random_floats(a, (size_t)count);
        int32_t *n = arena_alloc(a, (size_t)count * sizeof *n + 4);
        for (int64_t j = 0; j < count; j++) f[j] *= 0.05f, n[j] = (int32_t)(4 * j / count);
        side[i] = (attn_side){k->tensors[i].is_float ? (const void *)f : (const void *)n, count};
    }
    for (int i = 0; i < k->scalar_count; i++) {
        if (k->scalars[i].is_float)
            scalars[i].f32 = 1;
        else
            scalars[i].i32 = c->kv_len_max / 4;
    }
    c->scalars = scalars;
}

static void add_call(tuning *t, const char *what, int32_t q_len, int32_t kv_len) {
    const attn_spec *s = &t->k->core;
    arena *a = t->a;
    const size_t keys = (size_t)kv_len, d = (size_t)attn_spec_k_dim(s), dv = (size_t)s->v_dim;
    timed_call *timed = &t->calls[t->call_count++];
    int32_t *start = arena_alloc(a, sizeof *start);
    *start = kv_len - q_len;
    *timed = (timed_call){
        .what = arena_printf(a, "%s, %d x %d", what, q_len, kv_len),
        .c = {.spec = t->k, .batch = 1, .q_len = q_len, .kv_len_max = kv_len, .q_start = start}};
    call *c = &timed->c;
    const attn_types type = attn_spec_types(s);
    const float *none_of_q;
    c->q = random_rows(a, type.q, (size_t)s->heads * (size_t)q_len, d, &none_of_q);
    c->k = random_rows(a, type.k, (size_t)s->kv_heads * keys, d, &c->k_scale);
    /* An absorbed latent cache: values are the first columns of its rows. */
    const bool shared = s->form == ATTN_FORM_MLA && s->key == ATTN_KEY_SHARED;
    if (!shared) c->v = random_rows(a, type.v, (size_t)s->v_heads * keys, dv, &c->v_scale);
    c->sinks = random_floats(a, (size_t)s->heads);
    if (!s->sinks) c->sinks = NULL;
    if (attn_op_of(s)->segments) {
        int32_t *seg = arena_alloc(a, (size_t)q_len * sizeof *seg);
        for (int32_t i = 0; i < q_len; i++)
            seg[i] = (int32_t)((int64_t)(i + 1) * kv_len / q_len) - 1;
        c->seg = seg;
    }
    make_sides(a, c);
    timed->args = call_dense_args(c);
    timed->args.threads = 1;
    const explain_extent e = {1, q_len, kv_len};
    const plan_choice none = plan_choice_none();
    const plan p = plan_with(t, &none);
    const work w = work_of(t->k, &p, &e, NULL);
    timed->flops = w.exact ? w.flops : 0;
}

static double flops_at(const tuning *t, int32_t len) {
    const explain_extent e = {1, len, len};
    const plan_choice none = plan_choice_none();
    const plan p = plan_with(t, &none);
    return work_of(t->k, &p, &e, NULL).flops;
}

/* Prefill as long as a run stays short; one token over keys that no cache holds; and query rows on
 * either side of the border between the two. */
static void list_calls(tuning *t) {
    const attn_spec *s = &t->k->core;
    int32_t len = 2048;
    while (len > 256 && flops_at(t, len) > CALL_FLOPS) len /= 2;
    add_call(t, "prefill", len, len);
    const attn_types type = attn_spec_types(s);
    const double row = attn_type_size(type.k) * (s->kv_heads * (double)attn_spec_k_dim(s)) +
                       attn_type_size(type.v) * (s->v_heads * (double)s->v_dim);
    int32_t keys = 1024;
    while (keys < 32768 && keys * row < DECODE_BYTES) keys *= 2;
    add_call(t, "decode", 1, keys);
    const int32_t border = t->candidate[0].choice.decode_q;
    add_call(t, "few queries", border, 2048);
    add_call(t, "more queries", 2 * border, 2048);
}

/* --- Measuring. --- */

static const tune_set *choices(const tuning *t, const kernel_spec *kernels) {
    tune_set *set = arena_alloc(t->a, sizeof *set);
    set->text = "";
    set->entry = arena_alloc(t->a, (size_t)t->count * sizeof *set->entry);
    for (int i = 0; i < t->count; i++)
        set->entry[set->count++] =
            (tune_entry){kernels[i].name, t->candidate[i].isa, t->candidate[i].choice};
    return set;
}

/* Another scale, a unit in the last place away: from 0 a step that no score shows. */
static float next_scale(const attn_spec *s) {
    const float unit = s->softcap > 0 ? s->softcap : 1;
    if (s->scale == 0) return fmaxf(1e-20f * unit, 2 * FLT_MIN);
    return nextafterf(s->scale, fabsf(s->scale) > 1 ? 0 : copysignf(INFINITY, s->scale));
}

/* All candidates in one library: copies of the kernel with scales a few units in the last place
 * apart, by which the library tells them from each other, and with names of their own. */
static bool build(tuning *t) {
    kernel_spec *kernels = arena_alloc(t->a, (size_t)t->count * sizeof *kernels);
    built *out = arena_alloc(t->a, (size_t)t->count * sizeof *out);
    for (int i = 0; i < t->count; i++) {
        kernels[i] = *t->k;
        if (i > 0) kernels[i].core.scale = next_scale(&kernels[i - 1].core);
        snprintf(kernels[i].name, sizeof kernels[i].name, "attn_tune_candidate%d", i);
    }
    unsigned isa_mask = 0;
    for (int i = 0; i < t->count; i++) isa_mask |= 1u << t->candidate[i].isa;
    const build_options o = {
        .isa_mask = isa_mask, .tune = choices(t, kernels), .compiled = compiled, .compiled_ctx = t};
    build_kernels(t->a, kernels, t->count, &o, out);
    for (int i = 0; i < t->count; i++) {
        candidate *c = &t->candidate[i];
        const char *why = out[i].error;
        if (!why) c->plan = build_plan(t->a, out[i].lib, &kernels[i], (int)c->isa, 0, &why);
        if (why) return diag_set(t->d, "tune: %s: %s", t->where, why);
        c->lib = out[i].lib;
    }
    return true;
}

/* One workspace serves all, so that none is luckier with its pages. */
static bool allocate(tuning *t) {
    size_t most = 64;
    for (int k = 0; k < t->count; k++)
        for (int i = 0; i < t->call_count; i++) {
            candidate *c = &t->candidate[k];
            const attn_args *args = &t->calls[i].args;
            const attn_extent e = {sizeof e, 1, args->q_len, args->kv_len_max, 1, 0};
            if (c->lib->workspace(c->plan, &e, &c->workspace_bytes[i]) != ATTN_OK)
                return diag_set(t->d, "tune: %s: no workspace", t->where);
            if (c->workspace_bytes[i] > most) most = c->workspace_bytes[i];
        }
    t->workspace = aligned_alloc(64, (most + 63) / 64 * 64);
    return t->workspace || diag_set(t->d, "tune: no memory for %zu bytes", most);
}

static bool run_once(tuning *t, const candidate *c, int call_index) {
    attn_args args = t->calls[call_index].args;
    const attn_spec *s = &t->k->core;
    args.o = (attn_out){t->o, (int64_t)s->heads * args.q_len * s->v_dim,
                        (int64_t)args.q_len * s->v_dim, s->v_dim};
    args.workspace = t->workspace;
    args.workspace_bytes = c->workspace_bytes[call_index];
    const attn_status status = c->lib->run(c->plan, &args);
    return status == ATTN_OK ||
           diag_set(t->d, "tune: %s: %s", t->where, c->lib->status_text(status));
}

/* Seconds of a run, from as many as fill some milliseconds, after one that is not timed: caches
 * then hold what this candidate leaves there, not another. */
static bool time_once(tuning *t, candidate *c, int call_index) {
    if (!run_once(t, c, call_index)) return false;
    const double start = bench_clock(1);
    double spent = 0;
    int runs = 0;
    while (spent < MIN_MICROSECONDS * 1e-6) {
        if (!run_once(t, c, call_index)) return false;
        runs++;
        spent = bench_clock(1) - start;
    }
    times *s = &c->times[call_index];
    s->value[s->count++] = spent / runs;
    return true;
}

/* A candidate must compute what the first does, but for rounding (Q and P too, on another ISA). */
static bool check_outputs(tuning *t) {
    for (int i = 0; i < t->call_count; i++) {
        const size_t count = call_o_size(&t->calls[i].c);
        const int32_t type = attn_spec_types(&t->k->core).o;
        for (int k = 0; k < t->count; k++) {
            const float most = t->candidate[k].isa == t->candidate[0].isa ? 1e-3f : 0.1f;
            if (!run_once(t, &t->candidate[k], i)) return false;
            if (k == 0) memcpy(t->want, t->o, count * attn_type_size(type));
            for (size_t j = 0; j < count; j++) {
                const float got = attn_load(t->o, type, (int64_t)j);
                const float want = attn_load(t->want, type, (int64_t)j);
                if (!(fabsf(got - want) <= most + attn_last_place(type) * fabsf(want)))
                    return diag_set(t->d,
                                    "tune: %s: an alternative of %s computes %g for %g: please "
                                    "report it",
                                    t->where,
                                    t->candidate[k].param < 0
                                        ? "several parameters"
                                        : plan_params[t->candidate[k].param].name,
                                    (double)got, (double)want);
            }
        }
    }
    return true;
}

static bool measure(tuning *t, int rounds) {
    if (!allocate(t) || !check_outputs(t)) return false;
    const double first = bench_wall();
    for (int r = 0; r < rounds; r++) {
        const double left = r ? (bench_wall() - first) / r * (rounds - r) : 0;
        progress("tune: %s: %d alternatives, round %d of %d%s", t->where, t->count - 2, r + 1,
                 rounds, r ? arena_printf(t->a, ", %.0f s left", left) : "");
        for (int c = 0; c < t->call_count; c++)
            for (int i = 0; i < t->count; i++) /* each is the first of a round in its turn */
                if (!time_once(t, &t->candidate[(i + r) % t->count], c)) return false;
    }
    return true;
}

static void release(tuning *t) {
    for (int i = 0; i < t->count; i++) {
        candidate *c = &t->candidate[i];
        if (c->plan) c->lib->plan_destroy(c->plan);
    }
    free(t->workspace);
}

/* --- Judging. --- */

static int ascending(const void *x, const void *y) {
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static double best_of(const times *s) {
    double best = INFINITY;
    for (int i = 0; i < s->count; i++) best = fmin(best, s->value[i]);
    return best;
}

static double median_of(const times *s) {
    double sorted[FINAL_ROUNDS];
    memcpy(sorted, s->value, sizeof sorted);
    qsort(sorted, (size_t)s->count, sizeof *sorted, ascending);
    return sorted[s->count / 2];
}

/* How much faster than the plan's own choice a candidate is on a call: the less of what its best
 * and its median run say. */
static double lead(const tuning *t, const candidate *c, int call_index) {
    const times *own = &t->candidate[0].times[call_index], *its = &c->times[call_index];
    return fmin(best_of(own) / best_of(its), median_of(own) / median_of(its)) - 1;
}

/* What a lead must exceed on a call: the two halves of the same code differ by as much. */
static double noise(const tuning *t, int call_index) {
    const times *own = &t->candidate[0].times[call_index];
    const times *twin = &t->candidate[1].times[call_index];
    const double best = fabs(best_of(own) / best_of(twin) - 1);
    const double median = fabs(median_of(own) / median_of(twin) - 1);
    return fmax(NOISE, 1.5 * fmax(best, median));
}

/* True if a candidate was the faster one in five of six rounds: rounds are interleaved, so that the
 * two of a round had the same neighbours. */
static bool steady(const tuning *t, const candidate *c, int call_index) {
    const times *own = &t->candidate[0].times[call_index], *its = &c->times[call_index];
    int faster = 0;
    for (int i = 0; i < own->count; i++) faster += its->value[i] < own->value[i];
    return 6 * faster >= 5 * own->count;
}

/* The leads of a candidate over the calls, summed; 0: none exceeds the noise, or it is slower
 * somewhere. */
static double gain(const tuning *t, const candidate *c) {
    double sum = 0;
    bool wins = false;
    for (int i = 0; i < t->call_count; i++) {
        const double by = lead(t, c, i);
        if (by < -NOISE) return 0;
        wins |= by > noise(t, i) && steady(t, c, i);
        sum += by;
    }
    return wins && sum > 0 ? sum : 0;
}

/* The best alternative of each parameter that wins, all together and alone, best first. */
static void list_finalists(const tuning *first, tuning *final) {
    const candidate *winner[PLAN_PARAMS] = {NULL};
    plan_choice all = first->candidate[0].choice;
    for (int i = 2; i < first->count; i++) {
        const candidate *c = &first->candidate[i], **w = &winner[c->param];
        if (gain(first, c) > (*w ? gain(first, *w) : 0)) *w = c;
    }
    add_own(final, &first->candidate[0].choice);
    for (int i = 0; i < PLAN_PARAMS; i++) {
        if (!winner[i]) continue;
        const plan_choice before = all;
        int wrong;
        for (int j = 0; j < PLAN_PARAMS; j++) {
            const int value = plan_choice_get(&winner[i]->choice, j);
            if (value != plan_choice_get(&first->candidate[0].choice, j))
                plan_choice_set(&all, j, value);
        }
        if (plan_check(final->a, final->k, &isa_table[final->isa], &all, &wrong)) all = before;
        add(final, &winner[i]->choice, i);
    }
    add(final, &all, -1);
}

static const candidate *winner_of(const tuning *t) {
    const candidate *best = &t->candidate[0];
    double most = 0;
    for (int i = 2; i < t->count; i++) {
        const double g = gain(t, &t->candidate[i]);
        if (g <= most) continue;
        most = g;
        best = &t->candidate[i];
    }
    return best;
}

/* --- The file. --- */

static const char *rate(const tuning *t, const timed_call *c, double seconds) {
    if (c->flops > 0)
        return arena_printf(t->a, "%.4g ms, %.1f GF/s", 1e3 * seconds, 1e-9 * c->flops / seconds);
    return arena_printf(t->a, "%.4g ms", 1e3 * seconds);
}

/* What was measured of an instruction set and of one that it is like; nothing where that was not
 * measured. */
static void print_unasked(buf *b, const tuning *t) {
    const candidate *below = &t->candidate[0], *it = &t->candidate[2];
    for (int i = 0; t->count && i < t->call_count; i++)
        buf_printf(b, "            -- %s: %.4g ms, on %s %.4g ms\n", t->calls[i].what,
                   1e3 * best_of(&it->times[i]), isa_table[below->isa].name,
                   1e3 * best_of(&below->times[i]));
    if (t->count) buf_printf(b, "            unasked = %s,\n", gain(t, it) > 0 ? "true" : "false");
}

/* versus: the winner beside that of an instruction set that this one is like. */
static void print_choice(buf *b, const tuning *t, const candidate *winner, const tuning *versus) {
    const candidate *own = &t->candidate[0];
    buf_printf(b, "        %s = {\n", isa_table[t->isa].name);
    for (int i = 0; i < t->call_count; i++) {
        const timed_call *c = &t->calls[i];
        buf_printf(b, "            -- %s: %s (median %.4g ms)\n", c->what,
                   rate(t, c, best_of(&winner->times[i])), 1e3 * median_of(&winner->times[i]));
        if (winner != own)
            buf_printf(b, "            --   without this file: %s (median %.4g ms)\n",
                       rate(t, c, best_of(&own->times[i])), 1e3 * median_of(&own->times[i]));
    }
    if (winner == own) buf_puts(b, "            -- no alternative was faster\n");
    for (int i = 0; i < PLAN_PARAMS; i++) {
        const int value = plan_choice_get(&winner->choice, i);
        const int other = plan_choice_get(&own->choice, i);
        const bool flag = plan_params[i].is_bool;
        if (flag)
            buf_printf(b, "            %s = %s,", plan_params[i].name, value ? "true" : "false");
        else
            buf_printf(b, "            %s = %d,", plan_params[i].name, value);
        if (value != other && flag)
            buf_printf(b, " -- without this file: %s", other ? "true" : "false");
        else if (value != other)
            buf_printf(b, " -- without this file: %d", other);
        buf_puts(b, "\n");
    }
    print_unasked(b, versus);
    buf_puts(b, "        },\n");
}

/* What won on the instruction sets of a kernel that are measured already. */
typedef struct winners {
    unsigned isa_mask;
    plan_choice choice[ATTN_ISA_COUNT];
} winners;

/* The winner beside that of the nearest instruction set that this one is like, and its twin; left
 * without candidates where none is measured. */
static bool compare_below(tuning *t, const plan_choice *choice, const winners *won) {
    const isa_row *below = isa_like(&isa_table[t->isa], won->isa_mask);
    if (!below) return true;
    const attn_isa like = (attn_isa)(below - isa_table);
    for (t->count = 0; t->count < 2; t->count++)
        t->candidate[t->count] = (candidate){.isa = like, .choice = won->choice[like], .param = -1};
    t->candidate[t->count++] = (candidate){.isa = t->isa, .choice = *choice, .param = -1};
    return build(t) && measure(t, FINAL_ROUNDS);
}

static bool tune_kernel(buf *b, const kernel_spec *k, attn_isa isa, const char *where, winners *won,
                        diag *d) {
    arena *a = arena_new();
    tuning first = {.a = a, .k = k, .isa = isa, .where = where, .d = d};
    list_candidates(&first);
    list_calls(&first);
    size_t largest = 0;
    for (int i = 0; i < first.call_count; i++)
        if (call_o_size(&first.calls[i].c) > largest) largest = call_o_size(&first.calls[i].c);
    const size_t bytes = largest * attn_type_size(attn_spec_types(&k->core).o) + 64;
    first.o = arena_alloc(a, bytes);
    first.want = arena_alloc(a, bytes);
    tuning final = first;
    final.count = 0;
    memset(final.candidate, 0, sizeof final.candidate);
    tuning versus = final;
    bool ok = build(&first) && measure(&first, ROUNDS);
    if (ok) {
        list_finalists(&first, &final);
        ok = build(&final) && measure(&final, FINAL_ROUNDS);
    }
    if (ok) {
        const candidate *winner = winner_of(&final);
        won->choice[isa] = winner->choice;
        ok = compare_below(&versus, &winner->choice, won);
        won->isa_mask |= 1u << isa;
        if (ok) print_choice(b, &final, winner, &versus);
    }
    release(&first);
    release(&final);
    release(&versus);
    progress_end();
    arena_free(a);
    return ok;
}

/* "AMD EPYC", or "" where the system does not say. */
static const char *cpu_name(arena *a) {
    diag ignored = {0};
    const char *text = read_file(a, "/proc/cpuinfo", 4 << 20, NULL, &ignored);
    const char *name = text ? strstr(text, "model name") : NULL;
    name = name ? strchr(name, ':') : NULL;
    return name ? arena_strndup(a, name + 2, strcspn(name + 2, "\n")) : "";
}

/* Layers have none of their own, nor have kernels without tiles. */
static bool has_choices(arena *a, const kernel_spec *k) {
    plan p;
    if (k->core.level == ATTN_LEVEL_BLOCK) return false;
    plan_make(a, k, &isa_table[0], 0, NULL, &p);
    return p.tiled;
}

bool tune_model(arena *a, const model *m, const char *target, unsigned isa_mask, const char **text,
                int *measured, diag *d) {
    const char *compiler = build_compiler(a, d);
    if (!compiler) return false;
    buf b = buf_new(a);
    buf_printf(&b,
               "-- Written by attn-gen tune %s on %s, one thread, %s.\n"
               "-- Times are the best of %d interleaved rounds. Read with attn-gen generate or "
               "explain --tune.\n"
               "return {\n",
               target, text_shown(a, cpu_name(a)), text_shown(a, compiler), FINAL_ROUNDS);
    int total = 0;
    for (int i = 0; i < m->kernel_count; i++) total += has_choices(a, &m->kernels[i]);
    *measured = 0;
    for (int i = 0; i < m->kernel_count; i++) {
        const kernel_spec *k = &m->kernels[i];
        if (k->core.level == ATTN_LEVEL_BLOCK) continue; /* its core is a kernel of the model */
        if (!has_choices(a, k)) {
            buf_printf(&b, "    -- %s gathers: nothing to choose\n", k->name);
            continue;
        }
        ++*measured;
        buf_printf(&b, "    [\"%s\"] = {\n", k->name);
        winners won = {0};
        for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
            if (!(isa_mask >> isa & 1)) continue;
            const isa_row *like = isa_like(&isa_table[isa], isa_mask);
            if (like && !plan_adds(a, k, &isa_table[isa], like, 0)) continue;
            const char *where =
                arena_printf(a, "kernel %d of %d, %s", *measured, total, isa_table[isa].name);
            if (!tune_kernel(&b, k, (attn_isa)isa, where, &won, d)) return false;
        }
        buf_puts(&b, "    },\n");
    }
    buf_puts(&b, "}\n");
    *text = b.data;
    return true;
}
