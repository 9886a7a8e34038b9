/* layer_problems.c - random weights, rows and lengths for a layer, what it must compute, and how
 * far from that it may be. */
#include "layers.h"
#include "lab/block_call.h"
#include "quant.h"
#include "types.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const attn_spec *spec_of(const layer_problem *p) {
    return &p->c.spec->core;
}

static float *floats(arena *a, rng *r, int64_t count, float size) {
    float *v = arena_alloc(a, (size_t)count * sizeof *v + 1);
    for (int64_t i = 0; i < count; i++) v[i] = size * rng_normal(r);
    return v;
}

static int32_t *ints(arena *a, rng *r, int64_t count, int32_t lo, int32_t hi) {
    int32_t *v = arena_alloc(a, (size_t)count * sizeof *v + 1);
    for (int64_t i = 0; i < count; i++) v[i] = rng_int(r, lo, hi);
    return v;
}

static uint8_t *flags(arena *a, rng *r, int64_t count, int percent) {
    uint8_t *v = arena_alloc(a, (size_t)count + 1);
    for (int64_t i = 0; i < count; i++) v[i] = rng_chance(r, percent);
    return v;
}

/* --- Weights --- */

static float *random_weight(arena *a, rng *r, const layer_problem *p, const attn_tensor *t) {
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++) count *= t->dim[i];
    const bool matrix = t->rank > 1, norm = strstr(t->name, "norm") && strstr(t->name, ".weight");
    const bool folded = t->rank == 3 && strncmp(t->name, "experts.", 8) != 0; /* [heads, in, out] */
    const double in = (double)(folded ? t->dim[1] : t->dim[t->rank - 1]);
    float *w = floats(a, r, count, matrix ? (float)(1 / sqrt(in)) : 0.25f);
    for (int64_t i = 0; norm && !spec_of(p)->norm_offset && i < count; i++) w[i] += 1;
    for (int64_t i = 0; !strcmp(t->name, "rope_factors") && i < count; i++) w[i] = 1 + fabsf(w[i]);
    return w;
}

/* The same weight as the layer stores it. */
static void give_stored(arena *a, const attn_spec *s, const block_tensor *w, attn_tensor *t) {
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++) count *= t->dim[i];
    t->type = block_weight_type(s, w);
    if (w->stored) {
        t->data = w->stored;
        return;
    }
    void *stored = arena_alloc(a, (size_t)attn_weight_bytes(t->type, count) + 1);
    attn_quantise(stored, t->type, count, t->data);
    t->data = stored;
}

void layer_weights(arena *a, const kernel_lib *lib, const attn_block *block, rng *r,
                   layer_problem *p) {
    const int count = lib->block_weights(block, NULL, 0);
    attn_tensor *t = arena_alloc(a, ((size_t)count + 1) * sizeof *t);
    block_tensor *w = arena_alloc(a, ((size_t)count + 1) * sizeof *w);
    lib->block_weights(block, t, count);
    for (int i = 0; i < count; i++) {
        t[i].name = arena_strdup(a, t[i].name);
        t[i].data = random_weight(a, r, p, &t[i]);
        w[i] = (block_tensor){.name = t[i].name, .data = t[i].data, .rank = t[i].rank};
        memcpy(w[i].dim, t[i].dim, sizeof w[i].dim);
    }
    block_round_weights(a, p->c.spec, w, count);
    for (int i = 0; i < count; i++)
        if (block_weight_made(w[i].type) || rng_chance(r, 50))
            give_stored(a, spec_of(p), &w[i], &t[i]);
    p->c.weight = w;
    p->c.weight_count = count;
    p->given = t;
}

/* --- A problem --- */

static void make_lengths(arena *a, rng *r, int index, layer_problem *p) {
    block_case *c = &p->c;
    const bool large = index % 8 == 7;
    c->batch = rng_int(r, 1, 3);
    c->tokens = large ? rng_int(r, 100, 160) : rng_chance(r, 15) ? 1 : rng_int(r, 2, 40);
    const bool two_inputs = layer_has_kv(spec_of(p));
    if (two_inputs) c->kv_tokens = rng_chance(r, 10) ? 0 : rng_int(r, 1, large ? 140 : 40);
    if (rng_chance(r, 60)) c->length = ints(a, r, c->batch, 0, c->tokens);
    if (two_inputs && rng_chance(r, 50)) p->kv_count = ints(a, r, c->batch, 0, c->kv_tokens);
}

/* The oracle has no kv_count: keys that do not exist are padding to it. */
static void make_padding(arena *a, rng *r, layer_problem *p) {
    block_case *c = &p->c;
    const int64_t keys = block_keys(c), count = c->batch * keys;
    if (rng_chance(r, 40)) p->key_padding = flags(a, r, count, rng_int(r, 5, 60));
    c->key_padding = p->key_padding;
    if (!p->kv_count) return;
    uint8_t *all = arena_alloc(a, (size_t)count + 1);
    for (int64_t i = 0; i < count; i++)
        all[i] = (p->key_padding && p->key_padding[i]) || i % keys >= p->kv_count[i / keys];
    c->key_padding = all;
}

static void make_mask(arena *a, rng *r, layer_problem *p) {
    block_case *c = &p->c;
    const attn_spec *s = spec_of(p);
    if (s->backend != ATTN_BACKEND_SDPA || !rng_chance(r, 40)) return;
    const int64_t keys = block_keys(c), count = (int64_t)c->batch * s->heads * c->tokens * keys;
    attn_mask *m = arena_alloc(a, sizeof *m);
    p->mask_type = rng_chance(r, 50) ? ATTN_MASK_BOOL : ATTN_MASK_F32;
    *m = (attn_mask){.type = p->mask_type, .rank = 4};
    const int64_t dim[4] = {c->batch, s->heads, c->tokens, keys};
    memcpy(m->dim, dim, sizeof dim);
    m->stride[3] = 1;
    for (int i = 2; i >= 0; i--) m->stride[i] = m->stride[i + 1] * dim[i + 1];
    if (p->mask_type == ATTN_MASK_BOOL) {
        m->data = flags(a, r, count, 70);
    } else {
        float *v = floats(a, r, count, 1);
        for (int64_t i = 0; i < count; i++)
            if (rng_chance(r, 20)) v[i] = -INFINITY;
        m->data = v;
    }
    c->mask = m;
}

static void make_cross(arena *a, rng *r, layer_problem *p) {
    block_case *c = &p->c;
    const attn_spec *s = spec_of(p);
    if (s->op == ATTN_OP_SEGMENT_CROSS)
        c->seg = ints(a, r, (int64_t)c->batch * c->tokens, -1, c->kv_tokens + 1);
    if (layer_has_kv(s) && rng_chance(r, 50))
        c->q_pos = ints(a, r, (int64_t)c->batch * c->tokens, 0, 300);
    if (layer_has_kv(s) && rng_chance(r, 50))
        c->kv_pos = ints(a, r, (int64_t)c->batch * c->kv_tokens, 0, 300);
    if (rng_chance(r, 30)) c->q_pad = flags(a, r, (int64_t)c->batch * c->tokens, 20);
}

/* A draft: its rows stand anywhere behind those before them, at the same positions or at others. */
static void make_positions(arena *a, rng r, int index, layer_problem *p) {
    block_case *c = &p->c;
    p->draft = INT32_MAX;
    if (layer_has_kv(spec_of(p)) || index % 4 != 1) return;
    p->draft = rng_int(&r, 0, c->tokens - 1);
    int32_t *at = arena_alloc(a, (size_t)(c->batch * c->tokens + 1) * sizeof *at);
    for (int32_t i = 0; i < c->batch * c->tokens; i++) {
        const int32_t row = i % c->tokens, behind = c->tokens - p->draft;
        at[i] = row < p->draft ? row : p->draft + rng_int(&r, 0, behind + 3);
    }
    c->q_pos = at;
}

/* Lists of keys in any order, some twice, among numbers that name none. */
static void make_lists(arena *a, rng *r, layer_problem *p) {
    block_case *c = &p->c;
    const attn_spec *s = spec_of(p);
    if (s->select != ATTN_SELECT_INDEX) return;
    const int64_t rows = (int64_t)c->batch * c->tokens;
    c->index_each = rng_chance(r, 70) ? rng_int(r, 0, 20) : rng_int(r, 0, 150);
    c->index = ints(a, r, rows * s->kv_heads * c->index_each, -2, block_keys(c) + 2);
    int32_t *count = ints(a, r, rows, 0, c->index_each);
    for (int64_t i = 0; i < rows; i++)
        if (rng_chance(r, 60)) count[i] = c->index_each;
    c->index_count = count;
}

/* Side data of the expressions in layer_specs.c. */
static void make_sides(arena *a, rng *r, layer_problem *p) {
    const kernel_spec *k = p->c.spec;
    attn_side *side = arena_alloc(a, ((size_t)k->tensor_count + 1) * sizeof *side);
    attn_scalar *scalar = arena_alloc(a, ((size_t)k->scalar_count + 1) * sizeof *scalar);
    for (int i = 0; i < k->tensor_count; i++) {
        const bool heads = k->tensors[i].dim[0] == ATTN_DIM_HEADS;
        side[i].count = heads ? k->core.heads : block_keys(&p->c);
        side[i].data = k->tensors[i].is_float ? (void *)floats(a, r, side[i].count, 0.1f)
                                              : (void *)ints(a, r, side[i].count, 0, 2);
    }
    for (int i = 0; i < k->scalar_count; i++)
        scalar[i] = k->scalars[i].is_float ? (attn_scalar){.f32 = 0.375f} : (attn_scalar){.i32 = 2};
    p->c.side = side;
    p->c.scalars = scalar;
}

void layer_problem_make(arena *a, rng *r, int index, layer_problem *p) {
    block_case *c = &p->c;
    const attn_spec *s = spec_of(p);
    make_lengths(a, r, index, p);
    make_padding(a, r, p);
    make_mask(a, r, p);
    make_cross(a, r, p);
    make_positions(a, (rng){r->state + 1}, index, p);
    make_lists(a, r, p);
    make_sides(a, r, p);
    const float size = rng_chance(r, 20) ? 0.01f : rng_chance(r, 20) ? 20 : 1;
    c->x = floats(a, r, (int64_t)c->batch * c->tokens * block_width(s), size);
    if (layer_has_kv(s)) c->kv = floats(a, r, (int64_t)c->batch * c->kv_tokens * s->kv_dim, 1);
    buf b = buf_new(a);
    buf_printf(&b, "B=%d T=%d x*%g", c->batch, c->tokens, (double)size);
    for (int32_t i = 0; c->length && i < c->batch; i++)
        buf_printf(&b, "%s%d", i ? "," : " length=", c->length[i]);
    if (layer_has_kv(s)) buf_printf(&b, " kv=%d", c->kv_tokens);
    for (int32_t i = 0; p->kv_count && i < c->batch; i++)
        buf_printf(&b, "%s%d", i ? "," : " kv_count=", p->kv_count[i]);
    static const char *const masks[] = {"", " bool-mask", " f32-mask"};
    buf_printf(&b, "%s%s%s%s%s", masks[p->mask_type], p->key_padding ? " padding" : "",
               c->q_pad ? " q_pad" : "", c->q_pos ? " q_pos" : "", c->kv_pos ? " kv_pos" : "");
    if (p->draft < c->tokens) buf_printf(&b, " draft=%d", p->draft);
    if (c->index) buf_printf(&b, " index=%d", c->index_each);
    p->text = b.data;
}

/* --- Some items alone --- */

static const void *take(arena *a, const void *all, size_t bytes, const int32_t *order, int count) {
    if (!all) return NULL;
    char *some = arena_alloc(a, bytes * (size_t)count + 1);
    for (int i = 0; i < count; i++)
        memcpy(some + (size_t)i * bytes, (const char *)all + (size_t)order[i] * bytes, bytes);
    return some;
}

layer_problem layer_items(arena *a, const layer_problem *p, const int32_t *order, int count) {
    layer_problem q = *p;
    block_case *c = &q.c;
    const attn_spec *s = spec_of(p);
    const size_t t = (size_t)c->tokens, keys = (size_t)block_keys(c), n = sizeof(int32_t);
    const size_t pairs = (size_t)s->heads * t * keys;
#define TAKE(member, bytes) (member) = take(a, member, bytes, order, count)
    TAKE(c->x, t * (size_t)block_width(s) * sizeof(float));
    TAKE(c->length, n);
    TAKE(c->key_padding, keys);
    TAKE(q.key_padding, keys);
    TAKE(q.kv_count, n);
    TAKE(c->seg, t * n);
    TAKE(c->q_pos, t * n);
    TAKE(c->kv_pos, keys * n);
    TAKE(c->q_pad, t);
    TAKE(c->index, (size_t)s->kv_heads * t * (size_t)c->index_each * n);
    TAKE(c->index_count, t * n);
    if (c->kv) TAKE(c->kv, keys * (size_t)s->kv_dim * sizeof(float));
#undef TAKE
    if (c->mask) {
        attn_mask *m = arena_alloc(a, sizeof *m);
        *m = *c->mask;
        m->data =
            take(a, m->data, pairs * (m->type == ATTN_MASK_BOOL ? 1 : sizeof(float)), order, count);
        m->dim[0] = count;
        c->mask = m;
    }
    c->batch = count;
    c->y = NULL;
    q.bound = NULL;
    return q;
}

/* --- What must come out --- */

/* Angles are computed in double from factors as they are: these have no rounding to stand for. */
static bool is_exact(const block_tensor *w) {
    return strcmp(w->name, "rope_factors") == 0;
}

/* Each number up or down by one unit in its last place, or not at all. */
static const float *nudge(arena *a, rng *r, const float *from, int64_t count) {
    if (!from) return NULL;
    float *to = arena_alloc(a, (size_t)count * sizeof *to + 1);
    for (int64_t i = 0; i < count; i++) {
        const int32_t way = rng_int(r, -1, 1);
        to[i] = way ? nextafterf(from[i], way > 0 ? INFINITY : -INFINITY) : from[i];
    }
    return to;
}

static block_case nudged(arena *a, rng *r, const layer_problem *p) {
    block_case c = p->c;
    block_tensor *w = arena_alloc(a, ((size_t)c.weight_count + 1) * sizeof *w);
    for (int i = 0; i < c.weight_count; i++) {
        int64_t count = 1;
        w[i] = c.weight[i];
        for (int d = 0; d < w[i].rank; d++) count *= w[i].dim[d];
        if (!is_exact(&w[i])) w[i].data = nudge(a, r, w[i].data, count);
    }
    c.weight = w;
    c.x = nudge(a, r, c.x, (int64_t)c.batch * c.tokens * block_width(spec_of(p)));
    if (c.kv) c.kv = nudge(a, r, c.kv, (int64_t)c.batch * c.kv_tokens * spec_of(p)->kv_dim);
    return c;
}

/* The caches of a case, before it is run, are those of p. */
static void take_caches(arena *a, block_case *c, layer_problem *p, int way) {
    if (!layer_rounds(spec_of(p))) return;
    p->k[way] = c->cache_k = arena_alloc(a, (size_t)block_cache_k_size(c) * sizeof(double) + 1);
    p->v[way] = c->cache_v = arena_alloc(a, (size_t)block_cache_v_size(c) * sizeof(double) + 1);
}

/* --- Mixtures of experts: a row whose choice is nearly another one --- */

static bool is_mixture(const layer_problem *p) {
    return spec_of(p)->ffn == ATTN_FFN_MOE;
}

static int64_t rows_of(const layer_problem *p) {
    return (int64_t)p->c.batch * p->c.tokens;
}

/* The oracle is to say what c's choices go by. */
static void take_choices(arena *a, block_case *c, const layer_problem *p) {
    if (!is_mixture(p)) return;
    const int64_t experts = spec_of(p)->experts;
    c->choice_key = arena_alloc(a, (size_t)(rows_of(p) * experts + 1) * sizeof(double));
    c->choice_margin = arena_alloc(a, (size_t)(rows_of(p) + 1) * sizeof(double));
}

/* moved[row]: the most that one of its keys moves by. */
static void note_moves(const layer_problem *p, const block_case *c, double *moved) {
    const int64_t experts = is_mixture(p) ? spec_of(p)->experts : 0;
    for (int64_t i = 0; i < rows_of(p) * experts; i++)
        moved[i / experts] = fmax(moved[i / experts], fabs(c->choice_key[i] - p->c.choice_key[i]));
}

/* What moves a row's keys: roundings of f32, at random, and what leans, to its ends. */
typedef struct moves {
    double *at_random, *leaning;
} moves;

/* A layer that is as far from the oracle as it may be can choose otherwise where the margin is less
 * than what keys (or sums of two) move by: there both are right, and the row has no bound. What
 * leans is at its ends, or at a fourth of them (dot): four times as much is the most. False where
 * these are more than a fourth, and more than a few: little would be tested. */
static bool allow_doubts(const layer_problem *p, const moves *m) {
    enum { LEANING = 4 };
    int64_t doubts = 0;
    for (int64_t i = 0; is_mixture(p) && i < rows_of(p); i++) {
        const double moved = LAYER_BOUND * m->at_random[i] + LEANING * m->leaning[i];
        if (p->c.choice_margin[i] > 4 * moved) continue;
        if (p->c.length && i % p->c.tokens >= p->c.length[i / p->c.tokens]) continue;
        p->bound[i] = INFINITY;
        doubts++;
    }
    return 4 * doubts <= rows_of(p) + 10;
}

static bool run_oracle(arena *a, const block_case *c, const char **why) {
    char error[1024];
    if (block_oracle(c, error, sizeof error)) return true;
    *why = arena_strdup(a, error);
    return false;
}

/* Weights and inputs changed, leaning or not. */
static block_case changed(arena *a, rng *r, const layer_problem *p, int lean) {
    block_case c = nudged(a, r, p);
    c.y = arena_alloc(a, (size_t)(rows_of(p) * block_width(spec_of(p)) + 1) * sizeof *c.y);
    c.lean = lean;
    take_choices(a, &c, p);
    return c;
}

bool layer_expect(arena *a, rng *r, layer_problem *p, const char **why) {
    const int64_t rows = rows_of(p), width = block_width(spec_of(p));
    const size_t bytes = (size_t)(rows + 1) * sizeof(double);
    const moves m = {arena_alloc(a, bytes), arena_alloc(a, bytes)};
    p->c.y = arena_alloc(a, (size_t)(rows * width + 1) * sizeof *p->c.y);
    p->bound = arena_alloc(a, bytes);
    p->c.doubts = block_doubts_new(a);
    take_choices(a, &p->c, p);
    take_caches(a, &p->c, p, 0);
    if (!run_oracle(a, &p->c, why)) return false;
    for (int64_t i = 0; i < rows; i++) p->bound[i] = FLT_MIN; /* less may be 0 in f32 */
    for (int n = 1; n <= LAYER_NUDGES; n++) {
        block_case c = changed(a, r, p, n % 2 ? 1 : -1);
        c.wide = n > 2;
        if (n <= 2) take_caches(a, &c, p, n);
        if (!run_oracle(a, &c, why)) return false;
        for (int64_t i = 0; i < rows * width; i++) {
            const double bound = LAYER_BOUND * fabs(c.y[i] - p->c.y[i]);
            if (!(bound <= p->bound[i / width])) p->bound[i / width] = bound;
        }
        note_moves(p, &c, m.leaning);
    }
    for (int n = 0; is_mixture(p) && n < LAYER_NUDGES; n++) {
        block_case c = changed(a, r, p, 0);
        if (!run_oracle(a, &c, why)) return false;
        note_moves(p, &c, m.at_random);
    }
    if (allow_doubts(p, &m)) return true;
    *why = "too many rows whose experts are nearly others";
    return false;
}

const char *layer_compare(arena *a, const layer_problem *p, const float *y, double *worst) {
    const int64_t width = block_width(spec_of(p)), rows = (int64_t)p->c.batch * p->c.tokens;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t b = i / p->c.tokens, t = i % p->c.tokens;
        if (p->c.length && t >= p->c.length[b]) continue;
        for (int64_t d = 0; d < width; d++) {
            const double got = (double)y[i * width + d], want = p->c.y[i * width + d];
            const double error = fabs(got - want);
            const double part = !isfinite(got) ? INFINITY : error > 0 ? error / p->bound[i] : 0;
            if (part > *worst) *worst = part;
            if (part <= 1) continue;
            return arena_printf(a, "y[%d][%d][%d] got %.9g want %.9g, bound %.2g", (int)b, (int)t,
                                (int)d, got, want, p->bound[i]);
        }
    }
    return NULL;
}

/* A row's code in doubt, where weight_dot = i8, moves keys either way and by more than their own
 * doubt: the ends are two draws, in either order, and elements are held to what those say of their
 * row, as y is. */
static double row_slack(const layer_problem *p, double *const want[3], int64_t first, int64_t dim) {
    double most = 0;
    if (spec_of(p)->weight_dot != ATTN_WEIGHT_DOT_I8) return 0;
    for (int64_t i = first; i < first + dim; i++)
        for (int way = 1; way <= 2; way++) most = fmax(most, fabs(want[way][i] - want[0][i]));
    return LAYER_BOUND * most;
}

static const char *compare_element(arena *a, const char *name, double got, int64_t at,
                                   double *const want[3], double slack) {
    const double high = want[1][at] + slack, low = want[2][at] - slack;
    if (got <= high && got >= low) return NULL;
    return arena_printf(a, "the cache's %s[%lld] is %.9g: must be from %.9g to %.9g", name,
                        (long long)at, got, low, high);
}

static const char *compare_part(arena *a, const layer_problem *p, const char *name,
                                const attn_cache *cache, const void *data, const float *scale,
                                double *const want[3], int64_t heads, int64_t dim) {
    const int64_t keys = block_keys(&p->c);
    const int32_t type = attn_spec_types(spec_of(p)).k;
    const char *why = NULL;
    for (int64_t row = 0; !why && row < cache->batch * heads * keys; row++) {
        const int64_t b = row / keys / heads, key = row % keys;
        const bool padding = p->key_padding && p->key_padding[b * keys + key];
        if (padding || key >= cache->length[b]) continue;
        const int64_t at = block_cache_row(spec_of(p), cache, heads, b, row / keys % heads, key);
        const double factor = scale ? (double)scale[at] : 1;
        const double slack = row_slack(p, want, row * dim, dim);
        for (int64_t d = 0; !why && d < dim; d++)
            why = compare_element(a, name, factor * (double)attn_load(data, type, at * dim + d),
                                  row * dim + d, want, slack);
    }
    return why;
}

const char *layer_compare_cache(arena *a, const layer_problem *p, const attn_cache *cache) {
    const attn_spec *s = spec_of(p);
    const char *why = compare_part(a, p, "k", cache, cache->k, cache->k_scale, p->k, s->kv_heads,
                                   attn_spec_k_dim(s));
    if (why || cache->v == cache->k) return why;
    return compare_part(a, p, "v", cache, cache->v, cache->v_scale, p->v, s->v_heads, s->v_dim);
}
