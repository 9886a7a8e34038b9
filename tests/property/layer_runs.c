/* layer_runs.c - a layer's calls as a careless neighbour would make them: odd strides, NaN wherever
 * nothing exists, and pages that nobody may touch behind every buffer. */
#include "caller_mode.h"
#include "layers.h"
#include <math.h>
#include <string.h>

static const attn_spec *spec_of(const layer_run *run) {
    return &run->p->c.spec->core;
}

bool layer_pack(arena *a, const kernel_lib *lib, const attn_block *block, const layer_problem *p,
                guard *packed, const char **why) {
    const block_case *c = &p->c;
    const size_t bytes = lib->block_packed_bytes(block);
    char message[1024];
    *packed = guard_alloc(bytes, 64, false);
    attn_status st = lib->block_pack(block, p->given, c->weight_count, packed->data, bytes, message,
                                     sizeof message);
    if (st == ATTN_OK && guard_intact(packed)) {
        guard_seal(packed);
        st = lib->block_check(block, packed->data, bytes);
        if (st != ATTN_OK) *why = lib->status_text(st);
        return st == ATTN_OK;
    }
    *why = st == ATTN_OK ? "attn_block_pack wrote outside of its memory"
                         : arena_printf(a, "attn_block_pack: %s", message);
    return false;
}

bool layer_run_start(layer_run *run, int32_t capacity, const char **why) {
    const block_case *c = &run->p->c;
    const size_t rows = (size_t)c->batch * (size_t)c->tokens * (size_t)block_width(spec_of(run));
    run->done = arena_alloc(run->a, ((size_t)c->batch + 1) * sizeof *run->done);
    run->y = arena_alloc(run->a, rows * sizeof(float) + 1);
    for (size_t i = 0; i < rows; i++) run->y[i] = NAN;
    run->cached = capacity >= 0;
    if (!run->cached) return true;
    if (spec_of(run)->layout == ATTN_LAYOUT_PAGED) return layer_pages_start(run, capacity, why);
    size_t bytes;
    attn_status st = run->lib->cache_bytes(run->block, c->batch, capacity, &bytes);
    if (st == ATTN_OK) {
        run->memory = guard_alloc(bytes, 64, false);
        st = run->lib->cache_init(run->block, &run->cache, c->batch, capacity, run->memory.data,
                                  bytes);
    }
    *why = run->lib->status_text(st);
    return st == ATTN_OK;
}

void layer_run_end(layer_run *run) {
    layer_pages_end(run);
    if (run->memory.data) guard_free(&run->memory);
}

/* Memory of one call. */
typedef struct buffers {
    guard x, y, kv, workspace;
    const int32_t *rows;
    int32_t *begin; /* where rows lie in a row: [batch + 1]; else null */
    int64_t width;
    uint8_t *y_before, *cache_before, *table_before;
} buffers;

/* Rows [batch][tokens][width] with gaps: floats in all. */
static size_t strides(rng *r, int32_t batch, int32_t tokens, int64_t width, int64_t *item,
                      int64_t *token) {
    *token = width + rng_int(r, 0, 3);
    *item = tokens * *token + rng_int(r, 0, 5);
    if (!batch || !tokens) return 0;
    return (size_t)((batch - 1) * *item + (tokens - 1) * *token + width);
}

/* Random gaps between rows, of which the call has so many floats. */
static size_t row_strides(const layer_run *run, const attn_block_args *a, const buffers *m,
                          int64_t *item, int64_t *token) {
    const int32_t batch = run->p->c.batch;
    if (!m->begin) return strides(run->r, batch, a->tokens, m->width, item, token);
    const size_t floats = strides(run->r, 1, m->begin[batch], m->width, item, token);
    *item = INT64_MAX / 8; /* not looked at */
    return floats;
}

/* Row i of item b in x or y. */
static int64_t row_at(const buffers *m, int64_t item, int64_t token, int32_t b, int32_t i) {
    return m->begin ? (m->begin[b] + i) * token : b * item + i * token;
}

/* The same in what goes by rows alone; how many there are. */
static int64_t number_of(const attn_block_args *a, const buffers *m, int32_t b, int32_t i) {
    return row_at(m, a->tokens, 1, b, i);
}
static size_t numbers(const attn_block_args *a, const buffers *m) {
    const size_t ragged = m->begin ? (size_t)m->begin[a->batch] : 0;
    return m->begin ? ragged : (size_t)a->batch * (size_t)a->tokens;
}

/* Row i of item b of the call is row done[b] + i of the problem. */
static void gather_rows(const layer_run *run, attn_block_args *a, buffers *m) {
    const block_case *c = &run->p->c;
    size_t floats = row_strides(run, a, m, &a->x_batch, &a->x_token);
    m->x = guard_alloc(floats * sizeof(float), sizeof(float), false);
    float *x = (float *)(void *)m->x.data;
    for (int32_t b = 0; b < c->batch; b++)
        for (int32_t i = 0; i < m->rows[b]; i++)
            memcpy(x + row_at(m, a->x_batch, a->x_token, b, i),
                   c->x + ((int64_t)b * c->tokens + run->done[b] + i) * m->width,
                   (size_t)m->width * sizeof *x);
    a->x = x;
    if (run->alias) {
        a->y = x, a->y_batch = a->x_batch, a->y_token = a->x_token;
        return;
    }
    guard_seal(&m->x);
    floats = row_strides(run, a, m, &a->y_batch, &a->y_token);
    m->y = guard_alloc(floats * sizeof(float), sizeof(float), false);
    a->y = (float *)(void *)m->y.data;
}

/* Per-row integers of the call. */
static const int32_t *gather_ints(const layer_run *run, const attn_block_args *a, const buffers *m,
                                  const int32_t *all) {
    if (!all) return NULL;
    const block_case *c = &run->p->c;
    int32_t *v = arena_alloc(run->a, (numbers(a, m) + 1) * sizeof *v);
    for (size_t n = 0; n < numbers(a, m); n++) v[n] = INT32_MAX;
    for (int32_t b = 0; b < c->batch; b++)
        for (int32_t i = 0; i < m->rows[b]; i++)
            v[number_of(a, m, b, i)] = all[(int64_t)b * c->tokens + run->done[b] + i];
    return v;
}

/* Positions of the query side's rows; a prefill may leave 0, 1, 2.. out. */
static const int32_t *gather_positions(const layer_run *run, const attn_block_args *a,
                                       const buffers *m, bool prefill) {
    const block_case *c = &run->p->c;
    if (c->q_pos || prefill || !layer_has_kv(spec_of(run))) return gather_ints(run, a, m, c->q_pos);
    int32_t *v = arena_alloc(run->a, (numbers(a, m) + 1) * sizeof *v);
    for (int32_t b = 0; b < c->batch; b++)
        for (int32_t i = 0; i < (m->begin ? m->rows[b] : a->tokens); i++)
            v[number_of(a, m, b, i)] = run->done[b] + i;
    return v;
}

static const uint8_t *gather_pad(const layer_run *run, const attn_block_args *a, const buffers *m) {
    const block_case *c = &run->p->c;
    if (!c->q_pad) return NULL;
    uint8_t *v = arena_alloc(run->a, numbers(a, m) + 1);
    for (int32_t b = 0; b < c->batch; b++)
        for (int32_t i = 0; i < m->rows[b]; i++)
            v[number_of(a, m, b, i)] = c->q_pad[(int64_t)b * c->tokens + run->done[b] + i];
    return v;
}

/* Keys of the longest item once the call is done. Where keys are let go of, there is no mask. */
static int32_t longest(const layer_run *run, const attn_block_args *a, const buffers *m) {
    const block_case *c = &run->p->c;
    int32_t most = 0;
    for (int32_t b = 0; b < c->batch; b++) {
        int32_t n = run->done[b] + m->rows[b];
        if (layer_has_kv(spec_of(run)))
            n = a->kv ? (run->p->kv_count ? run->p->kv_count[b] : c->kv_tokens)
                      : run->cache.length[b];
        if (n > most) most = n;
    }
    return most;
}

static void gather_mask(const layer_run *run, attn_block_args *a, const buffers *m) {
    const block_case *c = &run->p->c;
    if (!c->mask) return;
    const int64_t heads = spec_of(run)->heads, keys = longest(run, a, m);
    const size_t size = c->mask->type == ATTN_MASK_BOOL ? 1 : sizeof(float);
    const size_t count = (size_t)c->batch * (size_t)heads * (size_t)a->tokens * (size_t)keys;
    char *data = arena_alloc(run->a, count * size + 1);
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t i = 0; i < m->rows[b]; i++) {
                const int64_t from = ((b * heads + h) * c->tokens + run->done[b] + i);
                memcpy(data + (size_t)(((b * heads + h) * a->tokens + i) * keys) * size,
                       (const char *)c->mask->data + (size_t)(from * block_keys(c)) * size,
                       (size_t)keys * size);
            }
    a->mask = (attn_mask){.data = data, .type = c->mask->type, .rank = 4};
    const int64_t dim[4] = {c->batch, heads, a->tokens, keys};
    memcpy(a->mask.dim, dim, sizeof dim);
    a->mask.stride[3] = 1;
    for (int i = 2; i >= 0; i--) a->mask.stride[i] = a->mask.stride[i + 1] * dim[i + 1];
}

/* Lists lie by item, or by row, with gaps; where no key is, there may be none. */
static void gather_lists(const layer_run *run, attn_block_args *a, const buffers *m) {
    const block_case *c = &run->p->c;
    if (!c->index || longest(run, a, m) == 0) return;
    const int64_t heads = spec_of(run)->kv_heads, each = c->index_each;
    const int64_t rows = m->begin ? m->begin[c->batch] : a->tokens, items = m->begin ? 1 : c->batch;
    a->index_row = each + rng_int(run->r, 0, 2);
    a->index_head = rows * a->index_row, a->index_batch = heads * a->index_head;
    a->index_count_batch = rows;
    const size_t size = (size_t)(items * a->index_batch + 1);
    int32_t *to = arena_alloc(run->a, size * sizeof *to);
    for (size_t i = 0; i < size; i++) to[i] = INT32_MIN;
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t n = 0; n < heads * m->rows[b]; n++) {
            const int64_t h = n % heads, i = n / heads, row = (m->begin ? m->begin[b] : 0) + i;
            memcpy(to + (m->begin ? 0 : b) * a->index_batch + h * a->index_head +
                       row * a->index_row,
                   c->index + ((b * heads + h) * c->tokens + run->done[b] + i) * each,
                   (size_t)each * sizeof *to);
        }
    a->index = to, a->index_count = gather_ints(run, a, m, c->index_count);
    if (m->begin) a->index_batch = a->index_count_batch = INT64_MAX / 8; /* not looked at */
}

static void gather_sides(const layer_run *run, attn_block_args *a, const buffers *m) {
    const kernel_spec *k = run->p->c.spec;
    attn_side *side = arena_alloc(run->a, ((size_t)k->tensor_count + 1) * sizeof *side);
    for (int i = 0; i < k->tensor_count; i++) {
        side[i] = run->p->c.side[i];
        if (k->tensors[i].dim[0] == ATTN_DIM_KV_LEN) side[i].count = longest(run, a, m);
    }
    a->side = side, a->side_count = k->tensor_count;
    a->scalars = run->p->c.scalars, a->scalar_count = k->scalar_count;
}

/* The key side goes with the first call. */
static void gather_kv(const layer_run *run, attn_block_args *a, buffers *m) {
    const block_case *c = &run->p->c;
    const int64_t width = spec_of(run)->kv_dim;
    size_t floats = strides(run->r, c->batch, c->kv_tokens, width, &a->kv_batch, &a->kv_token);
    m->kv = guard_alloc(floats * sizeof(float), sizeof(float), false);
    float *kv = (float *)(void *)m->kv.data;
    for (int32_t b = 0; b < c->batch; b++)
        for (int32_t i = 0; i < (run->p->kv_count ? run->p->kv_count[b] : c->kv_tokens); i++)
            memcpy(kv + b * a->kv_batch + i * a->kv_token,
                   c->kv + ((int64_t)b * c->kv_tokens + i) * width, (size_t)width * sizeof *kv);
    guard_seal(&m->kv);
    a->kv = kv, a->kv_tokens = c->kv_tokens, a->kv_count = run->p->kv_count;
    a->kv_pos = c->kv_pos, a->kv_pos_batch = c->kv_tokens;
}

/* Where rows lie in a row, from a random one on. */
static int32_t *begins(const layer_run *run, const int32_t *rows) {
    const int32_t batch = run->p->c.batch;
    int32_t *begin = arena_alloc(run->a, ((size_t)batch + 1) * sizeof *begin);
    begin[0] = rng_int(run->r, 0, 2);
    for (int32_t b = 0; b < batch; b++) begin[b + 1] = begin[b] + rows[b];
    return begin;
}

static attn_block_args gather(layer_run *run, const int32_t *rows, bool prefill, buffers *m) {
    const block_case *c = &run->p->c;
    attn_block_args a = ATTN_BLOCK_ARGS_INIT;
    bool all = true;
    for (int32_t b = 0; b < c->batch; b++)
        if (rows[b] > a.tokens) a.tokens = rows[b];
    if (run->least)
        a.tokens = run->least;
    else if (rng_chance(run->r, 25))
        a.tokens += rng_int(run->r, 1, 3);
    for (int32_t b = 0; b < c->batch; b++) all &= rows[b] == a.tokens;
    a.batch = c->batch, a.threads = run->threads, a.pool = run->pool;
    m->rows = rows;
    m->width = block_width(spec_of(run));
    if (rng_chance(run->r, 40)) a.q_begin = m->begin = begins(run, rows);
    gather_rows(run, &a, m);
    if (!all && !m->begin) a.count = rows;
    if (layer_has_kv(spec_of(run)) && prefill) gather_kv(run, &a, m);
    if (run->cached) a.cache = &run->cache;
    a.key_padding = run->p->key_padding, a.key_padding_batch = block_keys(c);
    a.seg = gather_ints(run, &a, m, c->seg);
    if (layer_has_kv(spec_of(run)))
        a.q_pos = gather_positions(run, &a, m, prefill);
    else
        a.q_position = gather_ints(run, &a, m, c->q_pos);
    a.q_pad = gather_pad(run, &a, m);
    a.seg_batch = a.q_pos_batch = a.q_pad_batch = m->begin ? INT64_MAX / 8 : a.tokens;
    a.q_position_batch = a.q_pos_batch;
    gather_mask(run, &a, m);
    gather_lists(run, &a, m);
    gather_sides(run, &a, m);
    a.packed = run->packed;
    return a;
}

/* Outputs of rows that exist; everything else still holds what it held. */
static bool collect(layer_run *run, const attn_block_args *a, const buffers *m) {
    const block_case *c = &run->p->c;
    const guard *g = run->alias ? &m->x : &m->y;
    for (int32_t b = 0; b < c->batch; b++)
        for (int32_t i = 0; i < m->rows[b]; i++) {
            float *from = a->y + row_at(m, a->y_batch, a->y_token, b, i);
            memcpy(run->y + ((int64_t)b * c->tokens + run->done[b] + i) * m->width, from,
                   (size_t)m->width * sizeof *from);
            memcpy(from, m->y_before + ((uint8_t *)from - g->data),
                   (size_t)m->width * sizeof *from);
        }
    for (int32_t b = 0; b < c->batch; b++) run->done[b] += m->rows[b];
    return memcmp(g->data, m->y_before, g->size) == 0;
}

static uint8_t *copy_of(arena *a, const guard *g) {
    return memcpy(arena_alloc(a, g->size + 1), g->data, g->size);
}

/* Null, or what was touched that may not be. */
static const char *judge(layer_run *run, const attn_block_args *a, const buffers *m,
                         attn_status st) {
    const guard *y = run->alias ? &m->x : &m->y;
    if (!guard_intact(&m->workspace)) return "wrote outside of its workspace";
    if (!guard_intact(y)) return "wrote outside of y";
    if (run->cached && !guard_intact(&run->memory)) return "wrote outside of the cache";
    if (run->cached && !layer_pages_kept(run, m->cache_before, (void *)m->table_before))
        return "wrote to a table of pages, or to pages that are nobody's";
    if (st == ATTN_OK)
        return collect(run, a, m) ? NULL : "wrote to rows of y that do not exist, or between rows";
    if (memcmp(y->data, m->y_before, y->size) != 0) return "failed, and wrote to y";
    if (!guard_untouched(&m->workspace)) return "failed, and wrote to its workspace";
    if (run->cached && memcmp(run->memory.data, m->cache_before, run->memory.size) != 0)
        return "failed, and wrote to the cache";
    return NULL;
}

/* Keys that a call with these rows appends. */
static const int32_t *new_keys(const layer_run *run, const int32_t *rows, bool prefill) {
    const block_case *c = &run->p->c;
    if (!layer_has_kv(spec_of(run))) return rows;
    int32_t *keys = arena_alloc(run->a, ((size_t)c->batch + 1) * sizeof *keys);
    for (int32_t b = 0; b < c->batch; b++)
        keys[b] = !prefill ? 0 : run->p->kv_count ? run->p->kv_count[b] : c->kv_tokens;
    return keys;
}

bool layer_run_call(layer_run *run, const int32_t *rows, bool prefill, attn_status *status,
                    const char **why) {
    buffers m = {0};
    layer_pages_map(run, new_keys(run, rows, prefill), prefill);
    attn_block_args a = gather(run, rows, prefill, &m);
    size_t bytes;
    *why = NULL;
    *status = run->lib->block_workspace(run->block, &a, &bytes);
    m.workspace = guard_alloc(*status == ATTN_OK ? bytes : 0, 64, false);
    a.workspace = m.workspace.data, a.workspace_bytes = m.workspace.size;
    m.y_before = copy_of(run->a, run->alias ? &m.x : &m.y);
    if (run->cached) m.cache_before = copy_of(run->a, &run->memory);
    if (run->pages.table.data) m.table_before = copy_of(run->a, &run->pages.table);
    const caller_mode mode = caller_mode_enter(rng_int(run->r, 0, 7)); /* which must not matter */
    if (*status == ATTN_OK)
        *status = prefill ? run->lib->block_prefill(run->block, &a)
                          : run->lib->block_step(run->block, &a);
    const bool same_mode = caller_mode_leave(mode);
    *why = judge(run, &a, &m, *status);
    if (!same_mode) *why = "changed the caller's floating-point mode or flags";
    guard *all[] = {&m.x, &m.y, &m.kv, &m.workspace};
    for (int i = 0; i < 4; i++)
        if (all[i]->data) guard_free(all[i]);
    return !*why;
}
