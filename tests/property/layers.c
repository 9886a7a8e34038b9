/* layers.c - random layers at random problems: within the oracle's bound, however the rows come;
 * the same bits at any thread count, layout, batch and place in the batch; and a failed call is as
 * if it had not been. */
#define _DEFAULT_SOURCE
#include "cpu.h"
#include "output/product.h"
#include "layers.h"
#include "lab/block_call.h"
#include "lab/pool.h"
#include "types.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 2048, MAX_REPORTS = 3 };

/* What a job tells its parent, also when it crashes. */
typedef struct shared_state {
    char now[TEXT];
    long problems, calls, failures, let_go, refused, bad_tables, twins, drafts;
    long rows, free_rows; /* that the oracle has; those without a bound */
    double worst;         /* greatest error as a fraction of its bound */
    char worst_at[TEXT];
} shared_state;

typedef struct campaign {
    const property_options *o;
    arena *a;
    const char **fields;
    kernel_spec *kernels;
    built *libs;
    kernel_spec *twins; /* the dense layers of those whose keys lie in pages, */
    built *twin_libs;   /* built; null: there are none */
    shared_state *state;
    bool quiet;
} campaign;

/* One problem on one ISA. */
typedef struct trial {
    arena *a;
    shared_state *state;
    const layer_problem *p;
    const kernel_lib *lib;
    attn_block *block;
    const void *packed;
    rng *r;
    const struct trial *twin; /* the same problem in a dense cache, with the same bits; or null */
} trial;

static void fail(const trial *t, const char *what, const char *why) {
    if (t->state->failures++ < MAX_REPORTS)
        printf("FAIL %s\n     %s: %s\n", t->state->now, what, why);
}

/* A pool of the caller's whose threads come one after the other: the first does all. */
static void run_in_turn(void *ctx, int32_t threads, void (*work)(void *job), void *job) {
    (void)ctx;
    for (int32_t i = 0; i < threads; i++) work(job);
}
static const attn_pool in_turn = {sizeof(attn_pool), run_in_turn, NULL};

static layer_run new_run(const trial *t, const layer_problem *p, int threads, bool alias) {
    return (layer_run){.p = p,
                       .lib = t->lib,
                       .block = t->block,
                       .packed = t->packed,
                       .a = t->a,
                       .r = t->r,
                       .threads = threads,
                       .pool = rng_chance(t->r, 25) ? &in_turn : NULL,
                       .alias = alias};
}

static int32_t length_of(const block_case *c, int32_t b) {
    return c->length ? c->length[b] : c->tokens;
}

static int32_t *lengths(const trial *t, const block_case *c) {
    int32_t *rows = arena_alloc(t->a, ((size_t)c->batch + 1) * sizeof *rows);
    for (int32_t b = 0; b < c->batch; b++) rows[b] = length_of(c, b);
    return rows;
}

/* A call that has to work. Now and then, in pages, one comes before it that cannot. */
static bool must(const trial *t, layer_run *run, const int32_t *rows, bool prefill,
                 const char *what) {
    attn_status st;
    const char *why;
    t->state->calls++;
    run->pages.spoil = run->pages.table.data && rng_chance(&run->pages.r, 30);
    const rng before = *run->r;
    bool kept = layer_run_call(run, rows, prefill, &st, &why);
    if (run->pages.spoiled) {
        if (!kept || st != ATTN_E_PAGE) {
            fail(t, what, kept ? "a table that is wrong is not refused" : why);
            return false;
        }
        t->state->bad_tables++;
        run->pages.spoil = false;
        *run->r = before;
        kept = layer_run_call(run, rows, prefill, &st, &why);
    }
    if (kept && st == ATTN_OK) return true;
    fail(t, what, kept ? t->lib->status_text(st) : why);
    return false;
}

static bool start(const trial *t, layer_run *run, int32_t capacity, const char *what) {
    const char *why;
    if (layer_run_start(run, capacity, &why)) return true;
    fail(t, what, why);
    return false;
}

static void against_oracle(const trial *t, const layer_run *run, const char *what) {
    double worst = 0;
    const char *why = layer_compare(t->a, run->p, run->y, &worst);
    if (why) fail(t, what, why);
    if (worst <= t->state->worst) return;
    t->state->worst = worst;
    snprintf(t->state->worst_at, TEXT, "%.1900s, %.100s", t->state->now, what);
}

static bool same_bits(const float *x, const float *y, size_t n) {
    return memcmp(x, y, n * sizeof *x) == 0;
}

/* Whether a row's bits may depend on how many a call has. */
static bool rows_count_in_bits(const trial *t) {
    return t->p->c.spec->core.same_bits == ATTN_SAME_BITS_FALSE;
}

/* --- All rows at once --- */

static bool whole(const trial *t, layer_run *run, int32_t capacity, const char *what) {
    run->least = run->p->c.tokens; /* cores have variants for few rows, with other bits */
    return start(t, run, capacity, what) && must(t, run, lengths(t, &run->p->c), true, what);
}

/* The same call in other circumstances; item: where its first item is in `first`. */
static void again(const trial *t, const layer_run *first, const layer_problem *p,
                  const int32_t *order, int threads, bool alias, int32_t capacity,
                  const char *what) {
    layer_run run = new_run(t, p, threads, alias);
    const size_t item = (size_t)p->c.tokens * (size_t)block_width(&p->c.spec->core);
    if (whole(t, &run, capacity, what))
        for (int32_t b = 0; b < p->c.batch; b++) {
            const size_t rows = (size_t)length_of(&p->c, b) * (item / (size_t)p->c.tokens);
            if ((p->c.batch < t->p->c.batch && rows_count_in_bits(t)) ||
                same_bits(run.y + (size_t)b * item,
                          first->y + (size_t)(order ? order[b] : b) * item, rows))
                continue;
            fail(t, what, arena_printf(t->a, "item %d has other bits than in the first run", b));
            break;
        }
    layer_run_end(&run);
}

/* Rows that exist have the bits that a dense cache gives them. */
static void same_rows(const trial *t, const layer_run *got, const layer_run *want,
                      const char *what) {
    const block_case *c = &t->p->c;
    const size_t width = (size_t)block_width(&c->spec->core);
    t->state->twins++;
    for (int32_t b = 0; b < c->batch; b++) {
        const size_t at = (size_t)b * (size_t)c->tokens * width;
        if (same_bits(got->y + at, want->y + at, (size_t)length_of(c, b) * width)) continue;
        fail(t, what, arena_printf(t->a, "item %d has other bits than in a dense cache", b));
        return;
    }
}

static void dense_whole(const trial *t, const layer_run *first) {
    if (!t->twin) return;
    layer_run run = new_run(t->twin, t->twin->p, 2, false);
    if (whole(t->twin, &run, -1, "dense")) same_rows(t, first, &run, "first run");
    layer_run_end(&run);
}

static void other_batches(const trial *t, const layer_run *first) {
    const block_case *c = &t->p->c;
    int32_t order[8] = {0};
    for (int32_t b = 0; b < c->batch; b++) order[b] = c->batch - 1 - b;
    if (c->batch < 2) return;
    layer_problem turned = layer_items(t->a, t->p, order, c->batch);
    again(t, first, &turned, order, rng_int(t->r, 1, 3), false, -1, "items in reverse");
    const int32_t b = rng_int(t->r, 0, c->batch - 1);
    layer_problem alone = layer_items(t->a, t->p, &b, 1);
    again(t, first, &alone, &b, 1, true, -1, arena_printf(t->a, "item %d alone", b));
}

/* --- Piece by piece --- */

/* Rows of the next call: up to `chunk` an item, the same for all or not; false: all are done. */
static bool next_rows(const trial *t, const layer_run *run, int32_t chunk, bool ragged,
                      int32_t *rows) {
    const block_case *c = &run->p->c;
    bool any = false;
    for (int32_t b = 0; b < c->batch; b++) {
        const int32_t left = length_of(c, b) - run->done[b], draft = run->p->draft - run->done[b];
        rows[b] = ragged ? rng_int(t->r, 0, chunk) : chunk;
        if (draft > 0 && rows[b] > draft) rows[b] = draft;
        if (draft <= 0 || rows[b] > left) rows[b] = left; /* all of a draft at once */
        any |= left > 0;
    }
    return any;
}

/* Keys and values of the same tokens have the same bits, however they came. */
static void same_caches(const trial *t, const layer_run *want, const layer_run *got,
                        const char *what) {
    const block_case *c = &t->p->c;
    const attn_spec *s = &c->spec->core;
    const struct {
        const char *name;
        const void *want, *got;
        int64_t heads;
        size_t row; /* bytes */
    } part[] = {{"k", want->cache.k, got->cache.k, s->kv_heads,
                 (size_t)attn_spec_k_dim(s) * attn_type_size(attn_spec_types(s).k)},
                {"v", want->cache.v, got->cache.v, s->v_heads,
                 (size_t)s->v_dim * attn_type_size(attn_spec_types(s).v)},
                {"k_scale", want->cache.k_scale, got->cache.k_scale, s->kv_heads, sizeof(float)},
                {"v_scale", want->cache.v_scale, got->cache.v_scale, s->v_heads, sizeof(float)}};
    const bool one = want->cache.k == want->cache.v;
    if (rows_count_in_bits(t)) return;
    for (int i = 0; i < 4; i++)
        for (int64_t n = 0; part[i].want && !(one && i == 1) && n < c->batch * part[i].heads; n++) {
            const int64_t b = n / part[i].heads, head = n % part[i].heads;
            bool same = want->cache.length[b] == got->cache.length[b];
            for (int32_t k = 0; same && k < want->cache.length[b]; k++) {
                const int64_t row[2] = {block_cache_row(s, &want->cache, part[i].heads, b, head, k),
                                        block_cache_row(s, &got->cache, part[i].heads, b, head, k)};
                same =
                    !memcmp((const char *)part[i].want + (size_t)row[0] * part[i].row,
                            (const char *)part[i].got + (size_t)row[1] * part[i].row, part[i].row);
            }
            if (same) continue;
            fail(t, what,
                 arena_printf(t->a, "the cache's %s has other bits than after one prefill",
                              part[i].name));
            return;
        }
}

/* A first call of up to `first` rows an item, and steps of up to `chunk`. */
static bool stream(const trial *t, layer_run *run, int32_t first, int32_t chunk, bool ragged,
                   const char *what) {
    int32_t rows[8];
    next_rows(t, run, first, ragged, rows);
    /* A step onto the empty cache is a prefill, where keys are the layer's own. */
    const bool prefill = layer_has_kv(&t->p->c.spec->core) || rng_chance(t->r, 70);
    if (!must(t, run, rows, prefill, what)) return false;
    while (next_rows(t, run, chunk, ragged, rows))
        if (!must(t, run, rows, false, what)) return false;
    return true;
}

static int32_t total_keys(const layer_problem *p) {
    return block_keys(&p->c);
}

/* Of layers that round keys and values: what they have stored. */
static void stored(const trial *t) {
    const char *what = "a cache of all keys";
    layer_run run = new_run(t, t->p, 2, false);
    if (layer_rounds(&t->p->c.spec->core) && whole(t, &run, total_keys(t->p), what)) {
        const char *why = layer_compare_cache(t->a, t->p, &run.cache);
        if (why) fail(t, what, why);
    }
    layer_run_end(&run);
}

/* The same calls on a dense cache. */
static void dense_splits(const trial *t, rng before, const layer_run *paged, int32_t first,
                         int32_t chunk, bool ragged, const char *what) {
    if (!t->twin) return;
    trial twin = *t->twin;
    twin.r = &before; /* the same draws */
    layer_run run = new_run(&twin, twin.p, rng_int(twin.r, 1, 3), rng_chance(twin.r, 30));
    if (start(&twin, &run, total_keys(twin.p), what) &&
        stream(&twin, &run, first, chunk, ragged, what))
        same_rows(t, paged, &run, what);
    layer_run_end(&run);
}

static void splits(const trial *t, const layer_run *cached) {
    const int32_t tokens = t->p->c.tokens, most = tokens > 60 ? 48 : 8;
    for (int i = 0; i < 3; i++) {
        const int32_t first = i == 0 ? 1 : rng_int(t->r, 1, tokens);
        const int32_t chunk = i == 0 && tokens < 60 ? 1 : rng_int(t->r, 1, most);
        const bool ragged = i == 2;
        const char *what =
            arena_printf(t->a, "prefill %d, steps of %d%s", first, chunk, ragged ? " at most" : "");
        const rng before = *t->r;
        layer_run run = new_run(t, t->p, rng_int(t->r, 1, 3), rng_chance(t->r, 30));
        if (start(t, &run, total_keys(t->p), what) && stream(t, &run, first, chunk, ragged, what)) {
            against_oracle(t, &run, what);
            same_caches(t, cached, &run, what);
            dense_splits(t, before, &run, first, chunk, ragged, what);
        }
        layer_run_end(&run);
    }
}

/* In pages: those that no later row sees are nobody's, call by call. */
static void unmapped(const trial *t) {
    const char *what = "pages before the window are unmapped";
    if (t->p->c.spec->core.op != ATTN_OP_SLIDING_SELF) return;
    layer_run run = new_run(t, t->p, rng_int(t->r, 1, 3), false);
    run.pages.unmap = true;
    const int32_t chunk = rng_int(t->r, 1, 12);
    if (start(t, &run, total_keys(t->p), what) && stream(t, &run, chunk, chunk, true, what))
        against_oracle(t, &run, what);
    layer_run_end(&run);
}

/* A sliding cache that holds window + chunk keys and no more: the same rows, and old keys go. */
static void exact_capacity(const trial *t) {
    const block_case *c = &t->p->c;
    const attn_spec *s = &c->spec->core;
    if (s->layout == ATTN_LAYOUT_PAGED) unmapped(t);
    if (s->layout == ATTN_LAYOUT_PAGED || !layer_slides(c->spec) || c->mask || c->q_pos) return;
    const int32_t chunk = rng_int(t->r, 1, 12);
    const int32_t capacity = t->lib->cache_capacity(t->block, c->tokens, chunk);
    const int32_t want = c->tokens < s->window + chunk ? c->tokens : s->window + chunk;
    const char *what = arena_printf(t->a, "chunks of %d in a cache of %d", chunk, capacity);
    layer_run run = new_run(t, t->p, rng_int(t->r, 1, 3), false);
    if (capacity != want) fail(t, what, arena_printf(t->a, "its capacity must be %d", want));
    if (start(t, &run, capacity, what) && stream(t, &run, chunk, chunk, true, what)) {
        against_oracle(t, &run, what);
        for (int32_t b = 0; b < c->batch; b++) {
            const int32_t held = run.cache.length[b], gone = run.cache.start[b];
            if (held + gone != length_of(c, b) || held > capacity ||
                held < (length_of(c, b) < s->window ? length_of(c, b) : s->window))
                fail(t, what,
                     arena_printf(t->a, "item %d holds %d keys from %d on", b, held, gone));
            t->state->let_go += gone > 0;
        }
    }
    layer_run_end(&run);
}

/* A cache moves the keys that it keeps to its front. */
static bool lets_go(const kernel_spec *k) {
    return layer_slides(k) && k->core.layout != ATTN_LAYOUT_PAGED;
}

/* Whether a call with these rows has room: what a sliding layer still needs is its window. */
static bool has_room(const layer_run *run, const int32_t *rows, bool prefill) {
    const attn_spec *s = &run->p->c.spec->core;
    for (int32_t b = 0; b < run->p->c.batch; b++) {
        const int32_t held = prefill ? 0 : run->cache.length[b];
        const int32_t kept = lets_go(run->p->c.spec) && held > s->window ? s->window : held;
        if (rows[b] > run->cache.capacity - kept) return false;
    }
    return true;
}

/* Calls of up to `chunk` rows where there is room for one less: the call that does not fit says so
 * and changes nothing; fewer rows may still fit. */
static bool squeeze(const trial *t, layer_run *run, int32_t chunk, const char *what) {
    int32_t rows[8];
    bool prefill = true;
    while (next_rows(t, run, chunk, false, rows)) {
        attn_status st;
        const char *why;
        const bool room = has_room(run, rows, prefill);
        t->state->calls++;
        if (!layer_run_call(run, rows, prefill, &st, &why)) {
            fail(t, what, why);
            return false;
        }
        if (st != (room ? ATTN_OK : ATTN_E_CACHE)) {
            fail(t, what, t->lib->status_text(st));
            return false;
        }
        t->state->refused += !room;
        if (!room) {
            next_rows(t, run, chunk - 1, false, rows);
            if (chunk < 2 || !has_room(run, rows, prefill)) return false;
            if (!layer_steps(&run->p->c.spec->core)) return false;
            if (!must(t, run, rows, prefill, what)) return false;
        }
        prefill = false;
    }
    return true;
}

static void too_small(const trial *t) {
    const block_case *c = &t->p->c;
    const attn_spec *s = &c->spec->core;
    if (layer_has_kv(s) || c->mask || c->spec->tensor_count || c->q_pos) return;
    const int32_t window = lets_go(c->spec) ? s->window : 0;
    const int32_t chunk = lets_go(c->spec) ? rng_int(t->r, 2, 9) : c->tokens;
    const int32_t capacity = window + chunk - 1;
    const char *what = arena_printf(t->a, "%d rows a call in a cache of %d", chunk, capacity);
    layer_run run = new_run(t, t->p, 1, false);
    if (start(t, &run, capacity, what) && squeeze(t, &run, chunk, what))
        against_oracle(t, &run, what);
    layer_run_end(&run);
}

/* --- One problem --- */

/* Smaller calls never need more workspace. */
static void check_workspace(const trial *t) {
    const block_case *c = &t->p->c;
    const bool kv = layer_has_kv(&c->spec->core);
    attn_block_args large = ATTN_BLOCK_ARGS_INIT, small = large;
    large.batch = c->batch, large.tokens = c->tokens, large.threads = 3;
    large.kv_tokens = c->kv_tokens;
    small.batch = rng_int(t->r, 0, c->batch), small.tokens = rng_int(t->r, 0, c->tokens);
    small.threads = rng_int(t->r, 0, 3);
    if (kv) small.kv_tokens = rng_int(t->r, 0, c->kv_tokens);
    size_t need = 0, less = 0;
    t->lib->block_workspace(t->block, &large, &need);
    t->lib->block_workspace(t->block, &small, &less);
    if (less > need)
        fail(t, "workspace",
             arena_printf(t->a, "%zu bytes, and %zu for B=%d T=%d threads=%d", need, less,
                          small.batch, small.tokens, small.threads));
}

static void run_trial(const trial *t) {
    layer_run first = new_run(t, t->p, 0, false), cached = new_run(t, t->p, 2, false);
    const attn_spec *s = &t->p->c.spec->core;
    if (whole(t, &first, -1, "first run")) {
        against_oracle(t, &first, "first run");
        dense_whole(t, &first);
        t->state->drafts += t->p->c.q_pos && !layer_has_kv(s);
        again(t, &first, t->p, NULL, 2, true, -1, "two threads, y is x");
        again(t, &first, t->p, NULL, 3, false, total_keys(t->p) + 5, "three threads, a cache");
        other_batches(t, &first);
        stored(t);
        check_workspace(t);
        if (layer_steps(s)) {
            if (whole(t, &cached, total_keys(t->p), "with a cache")) splits(t, &cached);
            exact_capacity(t);
        }
        too_small(t);
    }
    layer_run_end(&first);
    layer_run_end(&cached);
}

/* The core by the reference, the projections as they are. */
static void run_reference(const trial *t) {
    layer_run run = new_run(t, t->p, 1, false);
    if (whole(t, &run, -1, "reference core")) against_oracle(t, &run, "reference core");
    layer_run_end(&run);
}

static void describe(const campaign *g, int spec, int index, const char *isa, const char *text) {
    snprintf(g->state[spec].now, TEXT, "--layer '%s' --shape %d --seed %llu --isa %s: %s",
             g->fields[spec], index, (unsigned long long)g->o->seed, isa, text);
}

/* A header and the floats that the plan has places for, each in whole cache lines. */
static void check_packed(const trial *t, int isa, const kernel_spec *k) {
    block_plan planned;
    block_plan_make(t->a, k, &isa_table[isa], &planned);
    const size_t floats = (size_t)planned.packed_floats, want = 64 + (floats + 15) / 16 * 64;
    const size_t got = t->lib->block_packed_bytes(t->block);
    if (got != want)
        fail(t, "packed weights", arena_printf(t->a, "%zu bytes, planned %zu", got, want));
}

/* A layer as the list of products has it. */
static product layer_product(const trial *t, int isa, const kernel_spec *k) {
    product *core = arena_alloc(t->a, 2 * sizeof *core);
    kernel_spec *spec = arena_alloc(t->a, 2 * sizeof *spec);
    product layer = {.spec = k, .core = &core[0]};
    block_plan_make(t->a, k, &isa_table[isa], &layer.block_plan);
    kernel_spec_core(k, &spec[0]);
    if (layer.block_plan.expand_from) {
        kernel_spec_expanded(k, &spec[1]);
        layer.expanded = &core[1];
    }
    for (int i = 0; i < (layer.expanded ? 2 : 1); i++) {
        core[i] = (product){.spec = &spec[i]};
        plan_make(t->a, &spec[i], &isa_table[isa], 0, NULL, &core[i].plan);
    }
    return layer;
}

/* The planned figure, which explain prints, against the layer's own. */
static void check_planned(const trial *t, int isa, const kernel_spec *k) {
    static const int32_t calls[][4] = {
        {1, 1, 1, 1}, {3, 40, 50, 2}, {2, 300, 300, 5}, {1, 1000, 7, 1}};
    const product p = layer_product(t, isa, k);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        for (int cached = 0; cached < 2; cached++) {
            const int32_t *c = calls[i];
            attn_block_args a = ATTN_BLOCK_ARGS_INIT;
            attn_cache cache;
            size_t bytes = 0, got = 0;
            a.batch = c[0], a.tokens = c[1], a.threads = c[3];
            if (layer_has_kv(&k->core)) a.kv_tokens = c[2];
            attn_status st = ATTN_OK;
            if (cached) st = t->lib->cache_bytes(t->block, c[0], c[2], &bytes);
            guard memory = guard_alloc(bytes, 64, false);
            if (cached && st == ATTN_OK)
                st = t->lib->cache_init(t->block, &cache, c[0], c[2], memory.data, bytes);
            if (cached) a.cache = &cache;
            if (st == ATTN_OK) st = t->lib->block_workspace(t->block, &a, &got);
            const uint64_t want = product_workspace(&p, c[0], c[1], c[2], cached, c[3]);
            guard_free(&memory);
            if (st != ATTN_OK || got != want)
                fail(t, "workspace",
                     arena_printf(
                         t->a, "%zu bytes, planned %llu, of %d items of %d rows, %d keys%s", got,
                         (unsigned long long)want, c[0], c[1], c[2], cached ? " in a cache" : ""));
        }
}

/* The dense layer of one with pages, with the same weights. */
static bool make_twin(const campaign *g, int spec, const trial *t, const layer_problem *p,
                      trial *twin, layer_problem *problem, guard *packed) {
    const char *why = NULL;
    if (!g->twin_libs || !g->twin_libs[spec].lib) return false;
    *problem = *p;
    problem->c.spec = &g->twins[spec];
    *twin = (trial){.a = t->a, .state = t->state, .p = problem, .lib = g->twin_libs[spec].lib};
    twin->r = t->r;
    if (twin->lib->block_create(&twin->block, &problem->c.spec->core, 0) != ATTN_OK) return false;
    if (!layer_pack(t->a, twin->lib, twin->block, problem, packed, &why)) fail(t, "twin", why);
    twin->packed = packed->data;
    return !why;
}

static void run_on(trial t, int isa, uint32_t flags, const layer_problem *p, const campaign *g,
                   int spec) {
    guard packed = {0}, twin_packed = {0};
    const char *why = NULL;
    trial twin;
    layer_problem dense;
    setenv("ATTN_ISA", isa_table[isa].name, 1);
    const bool paged = p->c.spec->core.layout == ATTN_LAYOUT_PAGED && !flags;
    if (paged && make_twin(g, spec, &t, p, &twin, &dense, &twin_packed)) t.twin = &twin;
    attn_status st = t.lib->block_create(&t.block, &p->c.spec->core, flags);
    if (st != ATTN_OK) {
        fail(&t, "attn_block_create", t.lib->status_text(st));
        return;
    }
    if (!strstr(t.lib->block_name(t.block), arena_printf(t.a, "__%s_", isa_table[isa].name)))
        fail(&t, "attn_block_create", t.lib->block_name(t.block));
    check_packed(&t, isa, p->c.spec);
    if (!(flags & ATTN_REFERENCE)) check_planned(&t, isa, p->c.spec);
    if (!layer_pack(t.a, t.lib, t.block, p, &packed, &why)) fail(&t, "attn_block_pack", why);
    t.packed = packed.data;
    t.p = p;
    if (!why && flags & ATTN_REFERENCE)
        run_reference(&t);
    else if (!why)
        run_trial(&t);
    if (packed.data) guard_free(&packed);
    t.lib->block_destroy(t.block);
    if (t.twin) twin.lib->block_destroy(twin.block);
    if (twin_packed.data) guard_free(&twin_packed);
}

/* What must come out of kernels that make so much of rows. */
static bool expect(const campaign *g, arena *a, int spec, block_rows rows, rng *r,
                   layer_problem *p) {
    const char *why = NULL;
    shared_state *state = &g->state[spec];
    p->c.rows = rows;
    if (!layer_expect(a, r, p, &why)) {
        fail(&(trial){.state = state}, "problem", why);
        return false;
    }
    for (int64_t i = 0; i < (int64_t)p->c.batch * p->c.tokens; i++) {
        if (i % p->c.tokens >= length_of(&p->c, (int32_t)(i / p->c.tokens))) continue;
        state->rows++;
        state->free_rows += !isfinite(p->bound[i]);
    }
    return true;
}

/* Random weights and rows, and what must come out. */
static bool make_problem(const campaign *g, arena *a, int spec, int index, rng *r,
                         layer_problem *p) {
    attn_block *block;
    *p = (layer_problem){.c = {.spec = &g->kernels[spec]}};
    setenv("ATTN_ISA", isa_table[attn_isa_best(isa_all())].name, 1);
    attn_status st = g->libs[spec].lib->block_create(&block, &g->kernels[spec].core, 0);
    if (st == ATTN_OK) {
        layer_weights(a, g->libs[spec].lib, block, r, p);
        g->libs[spec].lib->block_destroy(block);
        layer_problem_make(a, r, index, p);
        describe(g, spec, index, "any, in the oracle", p->text);
        return expect(g, a, spec, BLOCK_ROWS_FLOAT, r, p);
    }
    fail(&(trial){.state = &g->state[spec]}, "problem", g->libs[spec].lib->status_text(st));
    return false;
}

/* Whether kernels of this instruction set round rows to 8 bits. */
static bool rounds_rows(arena *a, const kernel_spec *k, int isa) {
    block_plan plan;
    block_plan_make(a, k, &isa_table[isa], &plan);
    return plan.integers && plan.int_bytes == 1;
}

static void run_problem(const campaign *g, int spec, int index) {
    arena *a = arena_new();
    shared_state *state = &g->state[spec];
    rng r = {hash64(g->fields[spec], strlen(g->fields[spec])) + (uint64_t)index * 7919u};
    layer_problem p, rounded = {0}; /* by kernels that do not round rows, and by those that do */
    describe(g, spec, index, "none", "being made");
    state->problems++;
    const bool made = make_problem(g, a, spec, index, &r, &p);
    for (int isa = 0; made && isa < ATTN_ISA_COUNT; isa++) {
        if (!(g->o->isa_mask >> isa & 1)) continue;
        if (!build_has(a, g->libs[spec].lib, &g->kernels[spec], isa)) continue;
        rng own = r;
        trial t = {.a = a, .state = state, .lib = g->libs[spec].lib, .r = &own};
        describe(g, spec, index, isa_table[isa].name, p.text);
        const bool rounds = rounds_rows(a, &g->kernels[spec], isa);
        if (rounds && !rounded.bound) {
            rng draws = r;
            rounded = p;
            if (!expect(g, a, spec, BLOCK_ROWS_CODES, &draws, &rounded)) break;
        }
        run_on(t, isa, 0, rounds ? &rounded : &p, g, spec);
        run_on(t, isa, ATTN_REFERENCE, rounds ? &rounded : &p, g, spec);
    }
    arena_free(a);
}

/* --- All of them --- */

static int job(void *ctx, int spec) {
    const campaign *g = ctx;
    shared_state *state = &g->state[spec];
    if (!g->libs[spec].lib) {
        printf("FAIL %s: %s\n", g->fields[spec], g->libs[spec].error);
        state->failures++;
        return 0;
    }
    for (int i = 0; i < g->o->shapes; i++)
        if (g->o->shape < 0 || g->o->shape == i) run_problem(g, spec, i);
    if (state->failures > MAX_REPORTS)
        printf("     %s: %ld failures in all\n", g->fields[spec], state->failures);
    return 0;
}

static void done(void *ctx, int spec, const pool_result *r) {
    const campaign *g = ctx;
    shared_state *state = &g->state[spec];
    state->failures += r->signal != 0;
    if (g->quiet) return;
    fputs(r->output, stdout);
    if (r->signal) printf("FAIL %s\n     %s\n", state->now, pool_signal_text(g->a, r->signal));
    if (g->o->verbose)
        printf("%s\n    %ld problems, %ld calls, worst error %.2f of its bound: %s\n",
               g->fields[spec], state->problems, state->calls, state->worst, state->worst_at);
    fflush(stdout);
}

static int report(const campaign *g, int specs) {
    shared_state all = {0};
    for (int i = 0; i < specs; i++) {
        const shared_state *t = &g->state[i];
        all.problems += t->problems;
        all.calls += t->calls;
        all.let_go += t->let_go;
        all.refused += t->refused;
        all.bad_tables += t->bad_tables;
        all.twins += t->twins;
        all.drafts += t->drafts;
        all.rows += t->rows;
        all.free_rows += t->free_rows;
        all.failures += t->failures;
        if (t->worst > all.worst) all.worst = t->worst;
    }
    printf(
        "property: %d layers, %ld problems (%ld drafts), %ld rows (%ld whose experts are nearly "
        "others have no bound), %ld calls (%ld caches let go of keys, %ld calls found no room, "
        "%ld a wrong table; %ld as in dense caches), worst error %.2f of its bound, %ld failed\n",
        specs, all.problems, all.drafts, all.rows, all.free_rows, all.calls, all.let_go,
        all.refused, all.bad_tables, all.twins, all.worst, all.failures);
    return (int)all.failures;
}

/* The dense layers of those with pages: one a spec, as its kernels are few. */
static void build_twins(campaign *g, int count) {
    kernel_spec *some = arena_alloc(g->a, ((size_t)count + 1) * sizeof *some);
    built *libs = arena_alloc(g->a, ((size_t)count + 1) * sizeof *libs);
    int twins = 0;
    g->twins = arena_alloc(g->a, ((size_t)count + 1) * sizeof *g->twins);
    g->twin_libs = arena_alloc(g->a, ((size_t)count + 1) * sizeof *g->twin_libs);
    for (int i = 0; i < count; i++) {
        g->twins[i] = g->kernels[i];
        g->twin_libs[i] = (built){0};
        if (g->kernels[i].core.layout != ATTN_LAYOUT_PAGED) continue;
        g->twins[i].core.layout = ATTN_LAYOUT_DENSE, g->twins[i].core.page = 0;
        attn_spec_format(&g->twins[i].core, g->twins[i].name);
        some[twins++] = g->twins[i];
    }
    build_options build = g->o->build;
    build.isa_mask = g->o->isa_mask;
    build_kernels(g->a, some, twins, &build, libs);
    for (int i = 0, n = 0; i < count; i++)
        if (g->kernels[i].core.layout == ATTN_LAYOUT_PAGED) g->twin_libs[i] = libs[n++];
}

long layer_campaign(arena *a, const property_options *o, const char **fields, kernel_spec *kernels,
                    built *libs, int count, bool quiet, long *failures) {
    campaign g = {.o = o, .a = a, .fields = fields, .kernels = kernels, .libs = libs};
    pool_result *results = arena_alloc(a, ((size_t)count + 1) * sizeof *results);
    g.state = pool_shared(((size_t)count + 1) * sizeof *g.state);
    g.quiet = quiet;
    if (!o->build.edit) build_twins(&g, count);
    pool_run(a, count, 0, 900, job, &g, results, done);
    for (int i = 0; i < count && failures; i++) failures[i] = g.state[i].failures;
    return quiet ? 0 : report(&g, count);
}

int property_layers(const property_options *o) {
    arena *a = arena_new();
    const int every = o->spec ? 1 : o->every, specs = o->spec ? 1 : (o->layers + every - 1) / every;
    const size_t n = (size_t)specs + 1;
    const char **fields = arena_alloc(a, n * sizeof *fields);
    kernel_spec *kernels = arena_alloc(a, n * sizeof *kernels);
    built *libs = arena_alloc(a, n * sizeof *libs);
    int failures = 0;
    for (int i = 0; i < specs; i++) {
        diag d = {0};
        fields[i] = o->spec ? o->spec : layer_fields(a, o->seed, i * every, o->lists);
        if (property_try(a, "layer", fields[i], &kernels[i], &d)) continue;
        printf("FAIL %s: %s\n", fields[i], d.text);
        failures++;
    }
    if (!failures) {
        build_options build = o->build;
        build.isa_mask = o->isa_mask;
        build_kernels(a, kernels, specs, &build, libs);
        failures = (int)layer_campaign(a, o, fields, kernels, libs, specs, false, NULL);
    }
    arena_free(a);
    return failures;
}
