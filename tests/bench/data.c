/* data.c - see data.h. */
#include "data.h"
#include "spec.h"
#include "types.h"
#include "../../gen/lab/oracle.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE = 2 << 20, PERIOD = 1000003, OTHER_BYTES = 256 << 20, GAP = 64 << 10 };

/* What data_pages has taken. */
static struct {
    void *at;
    size_t bytes;
} taken[1024];
static int taken_count;

void *data_pages(size_t bytes) {
    bytes = (bytes + HUGE) / HUGE * HUGE;
    char *p = mmap(NULL, bytes + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || taken_count == sizeof taken / sizeof *taken) {
        fprintf(stderr, "bench: no memory for %zu MB\n", bytes >> 20);
        exit(2);
    }
    taken[taken_count].at = p;
    taken[taken_count++].bytes = bytes + HUGE;
    p += (size_t)(-(uintptr_t)p % HUGE);
    madvise(p, bytes, MADV_HUGEPAGE);
    memset(p, 0, bytes);
    return p;
}

void data_release(void) {
    while (taken_count--) munmap(taken[taken_count].at, taken[taken_count].bytes);
    taken_count = 0;
}

#define START UINT64_C(88172645463325252)

static double uniform(uint64_t *state) { /* xorshift64 (Marsaglia 2003), in 0..1 */
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (double)(*state >> 11) * 0x1p-53;
}

/* Normal numbers (Box and Muller 1958), repeated with a period that no row width divides. */
void data_fill(float *p, size_t count, double scale, int seed) {
    uint64_t state = START ^ (uint64_t)seed * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < count && i < PERIOD; i++)
        p[i] = (float)(scale * sqrt(-2 * log(1 - uniform(&state))) *
                       cos(6.283185307179586 * uniform(&state)));
    for (size_t i = PERIOD; i < count; i += PERIOD)
        memcpy(p + i, p, (count - i < PERIOD ? count - i : PERIOD) * sizeof *p);
}

static size_t q_floats(const bench_case *c, const kernel_spec *k) {
    return (size_t)k->core.heads * (size_t)c->q_len * (size_t)attn_spec_k_dim(&k->core);
}

static size_t k_floats(const bench_case *c, const kernel_spec *k) {
    return (size_t)k->core.kv_heads * (size_t)c->kv_len * (size_t)attn_spec_k_dim(&k->core);
}

static size_t v_floats(const bench_case *c, const kernel_spec *k) {
    if (case_shares_v(k)) return 0;
    return (size_t)k->core.v_heads * (size_t)c->kv_len * (size_t)k->core.v_dim;
}

size_t data_inputs(const bench_case *c, const kernel_spec *k) {
    if (case_is_layer(k)) return data_outputs(c, k);
    return q_floats(c, k) + k_floats(c, k) + v_floats(c, k) + GAP / 2;
}

size_t data_outputs(const bench_case *c, const kernel_spec *k) {
    if (case_is_layer(k))
        return (size_t)c->batch * (size_t)case_tokens(c) * (size_t)k->core.d_model;
    return (size_t)k->core.heads * (size_t)c->q_len * (size_t)k->core.v_dim;
}

static size_t k_scales(const bench_case *c, const kernel_spec *k) {
    return (size_t)k->core.kv_heads * (size_t)c->kv_len;
}

size_t data_scales(const bench_case *c, const kernel_spec *k) {
    if (case_is_layer(k) || !attn_spec_scaled(&k->core)) return 0;
    const size_t v = case_shares_v(k) ? 0 : (size_t)k->core.v_heads * (size_t)c->kv_len;
    return k_scales(c, k) + v;
}

/* The pool, rounded to a type. Of one with scales, all of it is one row. */
static void *rounded(const float *pool, size_t count, int32_t type) {
    const size_t size = attn_type_size(type), period = count < PERIOD ? count : PERIOD;
    char *p = data_pages(count * size);
    attn_store_row(p, type, 0, pool, (int32_t)period);
    for (size_t i = PERIOD; i < count; i += PERIOD)
        memcpy(p + i * size, p, (count - i < PERIOD ? count - i : PERIOD) * size);
    return p;
}

unsigned data_types(const kernel_spec *k) {
    const attn_types t = attn_spec_types(&k->core);
    return case_is_layer(k) ? 0 : 1u << t.q | 1u << t.k | 1u << t.v;
}

/* So many scales: those with which the largest codes are 2.5 to 6. */
static float *make_scales(size_t count) {
    float *p = data_pages(count * sizeof *p);
    uint64_t state = START;
    for (size_t i = 0; i < count; i++) p[i] = (float)((2.5 + 3.5 * uniform(&state)) / 127);
    return p;
}

bench_data data_make(size_t inputs, size_t scales, size_t outputs, size_t workspace,
                     unsigned types) {
    bench_data d = {.other_bytes = OTHER_BYTES};
    d.pool = data_pages(inputs * sizeof *d.pool);
    d.o = data_pages(outputs * sizeof *d.o);
    d.workspace = data_pages(workspace);
    d.other = data_pages(d.other_bytes);
    data_fill(d.pool, inputs, 1, SEED_INPUT);
    d.stored[ATTN_TYPE_F32] = d.pool;
    for (int32_t type = ATTN_TYPE_F32 + 1; type < ATTN_TYPE_COUNT; type++)
        if (types >> type & 1) d.stored[type] = rounded(d.pool, inputs, type);
    if (scales) d.scale = make_scales(scales);
    return d;
}

static attn_view view(const void *data, int64_t heads, int64_t tokens, int64_t width, bool token) {
    if (token) return (attn_view){data, heads * tokens * width, width, heads * width};
    return (attn_view){data, heads * tokens * width, tokens * width, width};
}

/* Of a tensor of the same heads and tokens as `view`. */
static attn_scales scales(const float *data, int64_t heads, int64_t tokens, bool token) {
    if (token) return (attn_scales){data, heads * tokens, 1, heads};
    return (attn_scales){data, heads * tokens, tokens, 1};
}

/* Pages of a paged case's item; keys are whole pages. */
static int32_t page_count(const bench_case *c, const attn_spec *spec) {
    return spec->layout == ATTN_LAYOUT_PAGED ? c->kv_len / spec->page : 0;
}

/* A table of all pages, in a random order. */
static const int32_t *page_table(arena *a, int32_t count) {
    int32_t *table = arena_alloc(a, ((size_t)count + 1) * sizeof *table);
    uint64_t state = START;
    for (int32_t i = 0; i < count; i++) table[i] = i;
    for (int32_t i = count - 1; i > 0; i--) {
        const int32_t j = (int32_t)(uniform(&state) * (i + 1)), old = table[i];
        table[i] = table[j], table[j] = old;
    }
    return table;
}

/* Lists of CHOSEN keys a row, ascending, at random distances, as a top-k leaves them. */
static void choose_keys(arena *a, const bench_case *c, const attn_spec *spec, attn_args *args) {
    const int64_t rows = (int64_t)spec->kv_heads * c->q_len;
    int32_t *list = arena_alloc(a, (size_t)(rows * CHOSEN) * sizeof *list);
    int32_t *count = arena_alloc(a, (size_t)c->q_len * sizeof *count);
    uint64_t state = START;
    const double step = (double)c->kv_len / CHOSEN;
    for (int64_t i = 0; i < rows * CHOSEN; i++)
        list[i] = (int32_t)(((double)(i % CHOSEN) + uniform(&state)) * step);
    for (int32_t i = 0; i < c->q_len; i++) count[i] = CHOSEN;
    args->index = list, args->index_count = count;
    args->index_row = CHOSEN, args->index_head = (int64_t)c->q_len * CHOSEN;
    args->index_batch = rows * CHOSEN, args->index_count_batch = c->q_len;
}

static int64_t side_count(const attn_side_decl *t, const bench_case *c, const attn_spec *spec) {
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++) {
        const int32_t d = t->dim[i];
        count *= d >= 0                   ? d
                 : d == ATTN_DIM_BATCH    ? 1
                 : d == ATTN_DIM_HEADS    ? spec->heads
                 : d == ATTN_DIM_KV_HEADS ? spec->kv_heads
                 : d == ATTN_DIM_Q_LEN    ? c->q_len
                                          : c->kv_len;
    }
    return count;
}

/* Floats are ALiBi's slopes 2^(-8 (h + 1) / heads), integers segments. */
static attn_side side_tensor(arena *a, const attn_side_decl *t, const bench_case *c,
                             const attn_spec *spec) {
    const int64_t count = side_count(t, c, spec);
    float *f = arena_alloc(a, (size_t)count * sizeof *f);
    int32_t *n = (int32_t *)(void *)f;
    for (int64_t i = 0; i < count; i++) {
        if (t->is_float)
            f[i] = (float)exp2(-8.0 * (double)(i + 1) / spec->heads);
        else
            n[i] = case_segment(c, i);
    }
    return (attn_side){f, count};
}

static const int32_t *segments(arena *a, const bench_case *c) {
    int32_t *seg = arena_alloc(a, (size_t)c->q_len * sizeof *seg);
    for (int32_t i = 0; i < c->q_len; i++) seg[i] = case_segment(c, i);
    return seg;
}

attn_args data_args(arena *a, const bench_data *d, const bench_case *c, const kernel_spec *k) {
    const attn_spec *spec = &k->core;
    const int32_t dim = attn_spec_k_dim(spec);
    const bool token = c->how & TOKEN;
    attn_args args = ATTN_ARGS_INIT;
    const bool items = case_is_items(c);
    const int32_t room = case_room(c);
    args.batch = items ? c->q_len : 1, args.q_len = items ? 1 : c->q_len;
    args.kv_len_max = room;
    args.threads = c->threads;
    const attn_types type = attn_spec_types(spec);
    const size_t gap = GAP / attn_type_size(type.v);
    const size_t value = k_floats(c, k) + (c->how & CLOSE ? 0 : gap);
    const size_t query = value + v_floats(c, k);
#define AT(name, i) attn_at(d->stored[type.name], type.name, (int64_t)(i))
    args.q = view(AT(q, query), spec->heads, c->q_len, dim, false);
    const int32_t pages = page_count(c, spec), keys = pages ? spec->page : room;
    if (pages) args.pages = page_table(a, pages), args.pages_batch = args.page_count = pages;
    args.k = view(AT(k, 0), spec->kv_heads, keys, dim, token);
    args.v = view(AT(v, value), spec->v_heads, keys, spec->v_dim, token);
#undef AT
    if (attn_spec_scaled(spec)) {
        args.k_scale = scales(d->scale, spec->kv_heads, keys, token);
        if (!case_shares_v(k))
            args.v_scale = scales(d->scale + k_scales(c, k), spec->v_heads, keys, token);
    }
    if (case_shares_v(k)) args.v = args.k;
    const attn_view o = view(d->o, spec->heads, c->q_len, spec->v_dim, false);
    args.o = (attn_out){d->o, o.batch, o.head, o.token};
    if (items) { /* a row each */
        args.q.batch = args.q.token, args.o.batch = args.o.token;
    }
    if (items && !case_owns_keys(c)) {
        args.k.batch = args.v.batch = args.k_scale.batch = args.v_scale.batch = 0;
    }
    int32_t *start = arena_alloc(a, (size_t)args.batch * sizeof *start);
    for (int32_t b = 0; b < args.batch; b++) start[b] = case_start(c);
    args.q_start = start;
    int32_t *length = arena_alloc(a, (size_t)args.batch * sizeof *length);
    for (int32_t b = 0; b < args.batch; b++) length[b] = case_keys(c, b);
    if (case_owns_keys(c)) args.kv_len = length;
    if (spec->select == ATTN_SELECT_INDEX) choose_keys(a, c, spec, &args);
    if (spec->op == ATTN_OP_SEGMENT_CROSS) args.seg = segments(a, c), args.seg_batch = c->q_len;
    attn_side *side = arena_alloc(a, (size_t)(k->tensor_count + 1) * sizeof *side);
    for (int t = 0; t < k->tensor_count; t++) side[t] = side_tensor(a, &k->tensors[t], c, spec);
    args.side = k->tensor_count ? side : NULL;
    args.side_count = k->tensor_count;
    args.workspace = d->workspace;
    return args;
}

/* The rows of all heads at query row i against the oracle, which sees a call of that row alone. */
static void check_rows(const attn_args *args, const kernel_spec *k, int32_t i, bench_error *e) {
    arena *a = arena_new();
    attn_args one = *args;
    const bool item = args->batch > 1;
    const int32_t start = item ? args->q_start[i] : args->q_start[0] + i;
    one.batch = one.q_len = 1; /* row i, or item i: both lie a token on */
    const attn_types type = attn_spec_types(&k->core);
    if (item) {
        one.k.data = attn_at(args->k.data, type.k, i * args->k.batch);
        one.v.data = attn_at(args->v.data, type.v, i * args->v.batch);
    }
    if (one.kv_len) one.kv_len += i;
    one.q.data = attn_at(args->q.data, type.q, i * args->q.token);
    one.q_start = &start;
    if (one.seg) one.seg += i;
    if (one.index) one.index += i * one.index_row, one.index_count += i;
    oracle expected;
    oracle_run(a, k, &one, &expected);
    for (int32_t h = 0; h < k->core.heads; h++) {
        const int64_t at = h * args->o.head + i * args->o.token;
        const double *want = expected.o + (int64_t)h * k->core.v_dim;
        for (int32_t d = 0; d < k->core.v_dim; d++) {
            const double got = (double)attn_load(args->o.data, type.o, at + d);
            const double error = fabs(got - want[d]);
            const double excess = oracle_fraction(&expected.row[h], type.o, got, want[d]);
            if (!(error <= e->max_abs)) e->max_abs = error;
            if (!(excess <= e->excess)) e->excess = isnan(excess) ? INFINITY : excess;
        }
        e->rows++;
    }
    arena_free(a);
}

int32_t data_sampled(int32_t rows, int count, int n) {
    static uint64_t state = START;
    if (n == 0) return 0;
    if (n == count - 1) return rows - 1;
    return (int32_t)(((double)n + uniform(&state)) * rows / count);
}

bench_error data_check(const attn_args *args, const bench_case *c, const kernel_spec *k) {
    bench_error e = {.finite = true};
    int count = (63 + k->core.heads) / k->core.heads;
    if (count < 8) count = 8;
    if (count > c->q_len) count = c->q_len;
    for (int n = 0; n < count; n++) check_rows(args, k, data_sampled(c->q_len, count, n), &e);
    const size_t floats = data_outputs(c, k);
    const int32_t type = attn_spec_types(&k->core).o;
    for (size_t i = 0; i < floats; i++)
        if (!isfinite(attn_load(args->o.data, type, (int64_t)i))) e.finite = false;
    return e;
}
