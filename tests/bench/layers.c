/* layers.c - see layers.h. */
#include "layers.h"
#include "lab/block_call.h"
#include "plan/block_plan.h"
#include "plan/isa.h"
#include "spec.h"
#include "types.h"
#include <stdio.h>
#include <stdlib.h>

/* attn-verify's rule for layers: |y - y64| <= this * (1 + |y64|). */
static const double TOLERANCE = 1e-5;

static void die(const char *what, const char *why) {
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(2);
}

/* --- Weights. --- */

static size_t elements(const attn_tensor *t) {
    size_t count = 1;
    for (int i = 0; i < t->rank; i++) count *= (size_t)t->dim[i];
    return count;
}

/* Weights of one scale: a random sequence. A smaller one stays where a longer one is made,
 * for other layers' checks read it. */
typedef struct sequence {
    float *data;
    size_t count;
    double scale;
} sequence;

enum { MOST = 16 };
static sequence made[MOST];

static const float *sequence_of(double scale, size_t count) {
    int i = 0;
    while (i < MOST && made[i].data && (made[i].scale != scale || made[i].count < count)) i++;
    if (i == MOST) die("weights", "of too many widths");
    if (made[i].data) return made[i].data;
    made[i] = (sequence){data_pages(count * sizeof(float)), count, scale};
    data_fill(made[i].data, count, scale, SEED_WEIGHT);
    return made[i].data;
}

/* As large as PyTorch makes a new linear layer's: variance 1 / (3 in). Norms' are around 1. */
static double weight_scale(const attn_tensor *t, const attn_spec *s) {
    return 1 / sqrt(3.0 * (double)(t->rank == 2 ? t->dim[1] : s->d_model));
}

/* Tensors of one scale are stretches of one sequence, each from a place of its own: a layer of 268
 * million weights needs no second gigabyte. */
static void give_weights(arena *a, bench_layer *l) {
    enum { APART = 7919 };
    for (int i = 0; i < l->weight_count; i++) {
        attn_tensor *t = &l->weight[i];
        size_t most = 0;
        for (int n = 0; n < l->weight_count; n++)
            if (elements(&l->weight[n]) > most) most = elements(&l->weight[n]);
        const double scale = weight_scale(t, &l->spec->core);
        t->data = sequence_of(scale, most + LAYER_WEIGHTS * APART) + (size_t)i * APART;
        if (strncmp(t->name, "norm", 4) || strstr(t->name, ".bias")) continue;
        float *own = arena_alloc(a, elements(t) * sizeof *own);
        const float *noise = t->data;
        for (size_t n = 0; n < elements(t); n++) own[n] = 1 + noise[n];
        t->data = own;
    }
}

/* What the layer has of them, for the check. given: what pack takes, blocks where they are made. */
static void round_weights(arena *a, bench_layer *l, attn_tensor *given) {
    block_tensor weight[LAYER_WEIGHTS];
    for (int i = 0; i < l->weight_count; i++) {
        const attn_tensor *t = &l->weight[i];
        weight[i] = (block_tensor){.name = t->name, .data = t->data, .rank = t->rank};
        memcpy(weight[i].dim, t->dim, sizeof t->dim);
    }
    block_round_weights(a, l->spec, weight, l->weight_count);
    for (int i = 0; i < l->weight_count; i++) {
        given[i] = l->weight[i];
        if (block_weight_made(weight[i].type))
            given[i].data = weight[i].stored, given[i].type = weight[i].type;
        l->weight[i].data = weight[i].data;
    }
}

void layers_release(void) {
    memset(made, 0, sizeof made);
}

bench_layer *layer_make(arena *a, const kernel_lib *lib, const kernel_spec *k, attn_isa isa) {
    bench_layer *l = arena_alloc(a, sizeof *l);
    *l = (bench_layer){.spec = k, .isa = isa};
    const char *name = isa_table[isa].name;
    setenv("ATTN_ISA", name, 1);
    attn_status status = lib->block_create(&l->block, &k->core, 0);
    if (status != ATTN_OK) die(k->name, lib->status_text(status));
    if (!strstr(lib->block_name(l->block), arena_printf(a, "__%s", name)))
        die(k->name, arena_printf(a, "kernels.so has no layer for %s", name));
    l->weight_count = lib->block_weights(l->block, l->weight, LAYER_WEIGHTS);
    if (l->weight_count > LAYER_WEIGHTS) die(k->name, "too many weights");
    give_weights(a, l);
    attn_tensor given[LAYER_WEIGHTS];
    round_weights(a, l, given);
    const size_t bytes = lib->block_packed_bytes(l->block);
    char message[1024];
    l->packed = data_pages(bytes);
    status = lib->block_pack(l->block, given, l->weight_count, l->packed, bytes, message,
                             sizeof message);
    if (status != ATTN_OK) die(k->name, message);
    block_plan plan;
    block_plan_make(a, k, &isa_table[isa], &plan);
    l->rows = plan.integers && plan.int_bytes == 1 ? BLOCK_ROWS_CODES : BLOCK_ROWS_FLOAT;
    return l;
}

/* --- Calls. --- */

/* Random rows of the first `held` keys of each item, as the cache stores them. */
static void fill_cache(const layer_call *call, void *data, float *scale, int64_t heads,
                       int32_t width) {
    arena *a = arena_new();
    const attn_spec *s = &call->layer->spec->core;
    const int64_t held = call->held, rows = call->cache.batch * heads * held;
    const int32_t type = attn_spec_types(s).k;
    float *x = arena_alloc(a, (size_t)(rows * width + 1) * sizeof *x);
    data_fill(x, (size_t)(rows * width), 1, SEED_CACHE);
    for (int64_t i = 0; i < rows; i++) {
        const int64_t at =
            block_cache_row(s, &call->cache, heads, i / held / heads, i / held % heads, i % held);
        const float unit = attn_store_row(data, type, at * width, x + i * width, width);
        if (scale) scale[at] = unit;
    }
    arena_free(a);
}

layer_call *layer_call_make(arena *a, const kernel_lib *lib, const bench_layer *l,
                            const bench_case *c, size_t *workspace_bytes) {
    layer_call *call = arena_alloc(a, sizeof *call);
    *call = (layer_call){.layer = l, .held = c->kv_len - c->q_len, .rows = c->q_len};
    size_t bytes;
    attn_status status = lib->cache_bytes(l->block, c->batch, c->kv_len, &bytes);
    if (status != ATTN_OK) die(c->name, lib->status_text(status));
    void *memory = data_pages(bytes);
    status = lib->cache_init(l->block, &call->cache, c->batch, c->kv_len, memory, bytes);
    if (status != ATTN_OK) die(c->name, lib->status_text(status));
    const attn_spec *s = &l->spec->core;
    fill_cache(call, call->cache.k, call->cache.k_scale, s->kv_heads, s->head_dim);
    fill_cache(call, call->cache.v, call->cache.v_scale, s->v_heads, s->v_dim);
    attn_block_args *args = &call->args;
    *args = ATTN_BLOCK_ARGS_INIT;
    const int64_t width = s->d_model;
    args->batch = c->batch, args->tokens = case_tokens(c), args->threads = c->threads;
    int32_t *count = arena_alloc(a, (size_t)c->batch * sizeof *count);
    for (int32_t b = 0; b < c->batch; b++) count[b] = c->q_len;
    if (c->how & PADDED) args->count = count;
    args->x_token = args->y_token = width;
    args->x_batch = args->y_batch = args->tokens * width;
    args->cache = &call->cache;
    args->packed = l->packed;
    status = lib->block_workspace(l->block, args, workspace_bytes);
    if (status != ATTN_OK) die(c->name, lib->status_text(status));
    return call;
}

void layer_call_place(layer_call *call, const bench_data *d, size_t workspace_bytes) {
    call->args.x = d->pool, call->args.y = d->o;
    call->args.workspace = d->workspace, call->args.workspace_bytes = workspace_bytes;
}

attn_status layer_run(const kernel_lib *lib, layer_call *call) {
    if (!call->held) return lib->block_prefill(call->layer->block, &call->args);
    for (int32_t b = 0; b < call->args.batch; b++) call->cache.length[b] = call->held;
    return lib->block_step(call->layer->block, &call->args);
}

/* --- The check. --- */

/* A row's y, and its key and value as the cache has them: as they are, and with what is in doubt
 * one way and the other (block_oracle.h, lean), -1, 0 and 1 in order. */
enum { WAYS = 3, AS_IS = 1 };
typedef struct wanted {
    double *y[WAYS], *k[WAYS], *v[WAYS];
} wanted;

/* got lies between what is wanted. */
static void compare(const float *got, double *const want[WAYS], int32_t count, double tolerance,
                    bench_error *e) {
    for (int32_t i = 0; i < count; i++) {
        const double x = (double)got[i], middle = want[AS_IS][i], error = fabs(x - middle);
        const double low = fmin(middle, fmin(want[0][i], want[WAYS - 1][i]));
        const double high = fmax(middle, fmax(want[0][i], want[WAYS - 1][i]));
        const double beyond = fmax(0, fmax(low - x, x - high));
        const double excess = isnan(error) ? INFINITY : beyond / (tolerance * (1 + fabs(middle)));
        if (!(error <= e->max_abs)) e->max_abs = error;
        if (excess > e->excess) e->excess = excess;
    }
}

/* The first keys or values of an item, [heads][keys][width], wherever the cache has them. */
static float *cached_rows(arena *a, const layer_call *call, const void *data, const float *scale,
                          int64_t heads, int64_t width, int32_t b, int64_t keys) {
    const attn_spec *s = &call->layer->spec->core;
    const int32_t type = attn_spec_types(s).k;
    float *to = arena_alloc(a, (size_t)(heads * keys * width) * sizeof *to);
    for (int64_t n = 0; n < heads * keys; n++) {
        const int64_t row = block_cache_row(s, &call->cache, heads, b, n / keys, n % keys);
        for (int64_t d = 0; d < width; d++)
            to[n * width + d] = (scale ? scale[row] : 1) * attn_load(data, type, row * width + d);
    }
    return to;
}

static double *doubles(arena *a, int64_t count) {
    return arena_alloc(a, ((size_t)count + 1) * sizeof(double));
}

static wanted row_wanted(arena *a, const block_case *c) {
    const attn_spec *s = &c->spec->core;
    const bool doubts = c->rows == BLOCK_ROWS_CODES || attn_spec_types(s).k != ATTN_TYPE_F32;
    wanted w;
    char why[512];
    for (int i = 0; i < WAYS; i++) {
        block_case one = *c;
        one.lean = doubts ? i - AS_IS : 0;
        w.y[i] = one.y = doubles(a, s->d_model);
        w.k[i] = one.cache_k = doubles(a, block_cache_k_size(&one));
        w.v[i] = one.cache_v = doubles(a, block_cache_v_size(&one));
        if ((i == 0 || doubts) && !block_oracle(&one, why, sizeof why)) die(c->spec->name, why);
        if (i && !doubts) w.y[i] = w.y[0], w.k[i] = w.k[0], w.v[i] = w.v[0];
    }
    return w;
}

/* The most that what is in doubt moves an output by, as TOLERANCE is meant. */
static double doubt(const wanted *w, int32_t count) {
    double most = 0;
    for (int32_t i = 0; i < WAYS * count; i++) {
        const double y = w->y[AS_IS][i % count];
        most = fmax(most, fabs(w->y[i / count][i % count] - y) / (1 + fabs(y)));
    }
    return most;
}

/* Row i of item b. */
static void check_row(const layer_call *call, int32_t b, int32_t i, bench_error *e) {
    const bench_layer *l = call->layer;
    const attn_spec *s = &l->spec->core;
    const attn_cache *cache = &call->cache;
    arena *a = arena_new();
    block_tensor weight[LAYER_WEIGHTS];
    for (int n = 0; n < l->weight_count; n++) {
        const attn_tensor *t = &l->weight[n];
        weight[n] = (block_tensor){.name = t->name, .data = t->data, .rank = t->rank};
        memcpy(weight[n].dim, t->dim, sizeof t->dim);
    }
    const int32_t at = call->held + i, keys = at + 1;
    const float *k =
        cached_rows(a, call, cache->k, cache->k_scale, s->kv_heads, s->head_dim, b, keys);
    const float *v = cached_rows(a, call, cache->v, cache->v_scale, s->v_heads, s->v_dim, b, keys);
    block_case one = {.spec = l->spec, .weight = weight, .weight_count = l->weight_count};
    one.batch = one.tokens = 1;
    one.rows = l->rows;
    one.x = call->args.x + b * call->args.x_batch + i * call->args.x_token;
    one.position = one.past = at;
    one.past_capacity = keys, one.past_k = k, one.past_v = v;
    const wanted w = row_wanted(a, &one);
    const float *y = call->args.y + b * call->args.y_batch + i * call->args.y_token;
    const double tolerance = TOLERANCE + 4 * doubt(&w, s->d_model);
    /* Codes of rows move keys by more than their own doubt. */
    const double of_cache = l->rows == BLOCK_ROWS_CODES ? tolerance : TOLERANCE;
    compare(y, (double *const[]){w.y[AS_IS], w.y[AS_IS], w.y[AS_IS]}, s->d_model, tolerance, e);
    for (int32_t h = 0; h < s->kv_heads; h++) {
        const int64_t from = h * s->head_dim;
        compare(k + ((int64_t)h * keys + at) * s->head_dim,
                (double *const[]){w.k[0] + from, w.k[1] + from, w.k[2] + from}, s->head_dim,
                of_cache, e);
    }
    for (int32_t h = 0; h < s->v_heads; h++) {
        const int64_t from = h * s->v_dim;
        compare(v + ((int64_t)h * keys + at) * s->v_dim,
                (double *const[]){w.v[0] + from, w.v[1] + from, w.v[2] + from}, s->v_dim, of_cache,
                e);
    }
    e->rows++;
    arena_free(a);
}

bench_error layer_check(const layer_call *call) {
    bench_error e = {.finite = true};
    const int32_t tokens = call->rows, rows = call->args.batch * tokens;
    int count = case_weights(call->layer->spec) > 5e7 ? 3 : 8;
    if (count > rows) count = rows;
    for (int n = 0; n < count; n++) {
        const int32_t row = data_sampled(rows, count, n);
        check_row(call, row / tokens, row % tokens, &e);
    }
    const int64_t floats = (int64_t)tokens * call->layer->spec->core.d_model;
    for (int32_t b = 0; b < call->args.batch; b++)
        for (int64_t i = 0; i < floats; i++)
            if (!isfinite(call->args.y[b * call->args.y_batch + i])) e.finite = false;
    return e;
}
