/* call.c - lays a problem out in guarded memory, runs it, and checks what was touched. */
#include "call.h"
#include "guard.h"
#include "pages.h"
#include "spec.h"
#include "stored.h"
#include <string.h>

/* Rows of one operand: extents and element strides of batch, head, token. */
typedef struct rows {
    int64_t extent[3], stride[3];
    int32_t width, type; /* attn_type of elements */
} rows;

enum { MAX_GUARDS = 32 };

/* Memory and arguments of one run. */
typedef struct stage {
    arena *a;
    const call *c;
    const placement *p;
    guard guards[MAX_GUARDS];
    int count;
    guard o, lse, workspace;
    rows o_rows, lse_rows;
    page_map pages;
    attn_args args;
} stage;

int32_t call_k_dim(const call *c) {
    return attn_spec_k_dim(&c->spec->core);
}

int32_t call_v_dim(const call *c) {
    return c->spec->core.v_dim;
}

int32_t call_q_items(const call *c) {
    return c->q_begin ? 1 : c->batch;
}

int32_t call_q_rows(const call *c) {
    return c->q_begin ? c->q_begin[c->batch] : c->q_len;
}

int32_t call_count(const call *c, int32_t b) {
    return c->q_begin ? c->q_begin[b + 1] - c->q_begin[b] : c->q_len;
}

size_t call_row(const call *c, int32_t b, int32_t h, int32_t i) {
    const int32_t heads = c->spec->core.heads, item = c->q_begin ? 0 : b;
    const size_t row = (size_t)((c->q_begin ? c->q_begin[b] : 0) + i);
    return ((size_t)item * (size_t)heads + (size_t)h) * (size_t)call_q_rows(c) + row;
}

size_t call_rows(const call *c) {
    return (size_t)call_q_items(c) * (size_t)c->spec->core.heads * (size_t)call_q_rows(c);
}

size_t call_o_size(const call *c) {
    return call_rows(c) * (size_t)call_v_dim(c);
}

int64_t call_side_dim(const call *c, int32_t dim) {
    switch (dim) {
    case ATTN_DIM_BATCH: return c->batch;
    case ATTN_DIM_HEADS: return c->spec->core.heads;
    case ATTN_DIM_KV_HEADS: return c->spec->core.kv_heads;
    case ATTN_DIM_Q_LEN: return c->q_len;
    case ATTN_DIM_KV_LEN: return c->kv_len_max;
    default: return dim;
    }
}

int64_t call_side_count(const call *c, int t) {
    const attn_side_decl *d = &c->spec->tensors[t];
    int64_t count = 1;
    for (int i = 0; i < d->rank; i++) count *= call_side_dim(c, d->dim[i]);
    return count;
}

static rows rows_of(int32_t type, int64_t batch, int64_t heads, int64_t tokens, int32_t width,
                    int order, const int gap[3]) {
    static const int perm[PLACEMENT_ORDERS][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                                  {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    rows r = {{batch, heads, tokens}, {0}, width, type};
    int64_t step = width;
    for (int i = 2; i >= 0; i--) {
        int axis = perm[order][i];
        step += gap[2 - i];
        r.stride[axis] = step;
        step *= r.extent[axis] ? r.extent[axis] : 1;
    }
    return r;
}

static int64_t row_offset(const rows *r, int64_t b, int64_t h, int64_t t) {
    return b * r->stride[0] + h * r->stride[1] + t * r->stride[2];
}

/* Number of tokens of batch item b that exist. */
static int64_t tokens_of(const rows *r, const int32_t *len, int64_t b) {
    return len ? len[b] : r->extent[2];
}

/* Elements up to the end of the last row that exists. */
static int64_t rows_size(const rows *r, const int32_t *len) {
    int64_t size = 0;
    for (int64_t b = 0; b < r->extent[0]; b++) {
        int64_t n = tokens_of(r, len, b);
        if (n == 0 || r->extent[1] == 0) continue;
        int64_t end = row_offset(r, b, r->extent[1] - 1, n - 1) + r->width;
        if (end > size) size = end;
    }
    return size;
}

static guard *stage_guard(stage *s, int64_t bytes, size_t align) {
    guard *g = &s->guards[s->count++];
    *g = guard_alloc((size_t)bytes, align, s->p->at_start);
    return g;
}

/* A guarded copy of an array; null stays null. */
static const void *stage_copy(stage *s, const void *data, int64_t count, size_t size) {
    if (!data) return NULL;
    guard *g = stage_guard(s, count * (int64_t)size, size);
    if (count) memcpy(g->data, data, (size_t)count * size);
    return g->data;
}

/* A guarded copy of a matrix whose rows lie `stride` elements apart. */
static const void *stage_matrix(stage *s, const void *data, int64_t count, int64_t width,
                                int64_t stride, size_t size) {
    if (!data) return NULL;
    int64_t total = count ? (count - 1) * stride + width : 0;
    guard *g = stage_guard(s, total * (int64_t)size, size);
    for (int64_t i = 0; width && i < count; i++)
        memcpy(g->data + (size_t)(i * stride) * size,
               (const uint8_t *)data + (size_t)(i * width) * size, (size_t)width * size);
    return g->data;
}

/* Of rows that lie in pages: up to the end of the last one that somebody needs. */
static int64_t paged_size(const page_map *m, const rows *r, const call *c) {
    int64_t size = 0;
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t t = 0; t < tokens_of(r, c->kv_len, b); t++) {
            const int32_t page = page_map_at(m, b, t / m->page);
            if (page == PAGE_NONE) continue;
            const int64_t end = row_offset(r, page, r->extent[1] - 1, t % m->page) + r->width;
            if (end > size) size = end;
        }
    return size;
}

/* Keys, [B, heads, Lk], in pages of the map. */
static attn_view stage_pages(stage *s, const rows *dense_rows, const rows *r, const void *dense) {
    const call *c = s->c;
    const page_map *m = &s->pages;
    const size_t size = attn_type_size(r->type), bytes = (size_t)r->width * size;
    rows items = *r;
    items.extent[2] = dense_rows->extent[2];
    guard *g = stage_guard(s, paged_size(m, &items, c) * (int64_t)size, size);
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t h = 0; h < r->extent[1]; h++)
            for (int64_t t = 0; t < tokens_of(dense_rows, c->kv_len, b); t++) {
                const int32_t page = page_map_at(m, b, t / m->page);
                if (page == PAGE_NONE) continue;
                const int64_t row = (b * r->extent[1] + h) * dense_rows->extent[2] + t;
                memcpy(g->data + (size_t)row_offset(r, page, h, t % m->page) * size,
                       attn_at(dense, r->type, row * r->width), bytes);
            }
    return (attn_view){g->data, r->stride[0], r->stride[1], r->stride[2]};
}

/* The page table, up to the last entry that somebody needs; the others are the guard's pattern. */
static void stage_table(stage *s) {
    const page_map *m = &s->pages;
    const int64_t step = m->each + s->p->gap[0];
    int64_t total = 0;
    for (int64_t b = 0; m->page && b < s->c->batch; b++)
        for (int64_t n = 0; n < m->each; n++)
            if (page_map_at(m, b, n) != PAGE_NONE) total = b * step + n + 1;
    if (!m->page) return;
    int32_t *table = (int32_t *)(void *)stage_guard(s, total * 4, 4)->data;
    for (int64_t b = 0; b < s->c->batch; b++)
        for (int64_t n = 0; n < m->each; n++)
            if (page_map_at(m, b, n) != PAGE_NONE) table[b * step + n] = page_map_at(m, b, n);
    s->args.pages = table;
    s->args.pages_batch = step;
    s->args.page_count = m->count;
}

static attn_view stage_rows(stage *s, const rows *r, const void *dense, const int32_t *len) {
    const size_t size = attn_type_size(r->type);
    guard *g = stage_guard(s, rows_size(r, len) * (int64_t)size, size);
    for (int64_t b = 0; b < r->extent[0]; b++)
        for (int64_t h = 0; h < r->extent[1]; h++)
            for (int64_t t = 0; t < tokens_of(r, len, b); t++) {
                int64_t row = (b * r->extent[1] + h) * r->extent[2] + t;
                memcpy(g->data + (size_t)row_offset(r, b, h, t) * size,
                       attn_at(dense, r->type, row * r->width), (size_t)r->width * size);
            }
    return (attn_view){g->data, r->stride[0], r->stride[1], r->stride[2]};
}

/* Rows of keys [B, heads, Lk], in the layout that the spec says. */
static attn_view stage_keys(stage *s, int32_t type, int32_t heads, int32_t width, int order,
                            const void *dense) {
    const call *c = s->c;
    const rows r = rows_of(type, c->batch, heads, c->kv_len_max, width, order, s->p->gap);
    if (!s->pages.page) return stage_rows(s, &r, dense, c->kv_len);
    const rows pool = rows_of(type, s->pages.count, heads, s->pages.page, width, order, s->p->gap);
    return stage_pages(s, &r, &pool, dense);
}

/* Scales lie in an order and with gaps of their own. */
static attn_scales stage_scales(stage *s, const float *dense, int32_t heads, int order) {
    if (!dense) return (attn_scales){0};
    const attn_view v = stage_keys(s, ATTN_TYPE_F32, heads, 1, order, dense);
    return (attn_scales){v.data, v.batch, v.head, v.token};
}

static void stage_qkv(stage *s) {
    const call *c = s->c;
    const attn_spec *spec = &c->spec->core;
    const placement *p = s->p;
    const attn_types type = attn_spec_types(spec);
    rows q = rows_of(type.q, call_q_items(c), spec->heads, call_q_rows(c), call_k_dim(c),
                     p->order[0], p->gap);
    s->args.q = stage_rows(s, &q, c->q, NULL);
    s->args.k = stage_keys(s, type.k, spec->kv_heads, call_k_dim(c), p->order[1], c->k);
    s->args.k_scale = stage_scales(s, c->k_scale, spec->kv_heads, p->order[2]);
    s->args.v_scale = stage_scales(s, c->v_scale, spec->v_heads, p->order[1]);
    if (!c->v) {
        s->args.v = s->args.k;
        return;
    }
    s->args.v = stage_keys(s, type.v, spec->v_heads, call_v_dim(c), p->order[2], c->v);
}

static void dense_strides(const call *c, attn_mask *m) {
    m->type = c->mask_type;
    m->rank = c->mask_rank;
    int64_t stride = 1;
    for (int n = c->mask_rank - 1; n >= 0; n--) {
        m->dim[n] = c->mask_dim[n];
        m->stride[n] = stride;
        stride *= m->dim[n];
    }
}

/* The mask's rows get the placement's gap as well. */
static void stage_mask(stage *s) {
    const call *c = s->c;
    attn_mask *m = &s->args.mask;
    if (c->mask_type == ATTN_MASK_NONE) return;
    size_t size = c->mask_type == ATTN_MASK_BOOL ? 1 : sizeof(float);
    int64_t keys = c->mask_dim[c->mask_rank - 1], count = 1;
    for (int n = 0; n < c->mask_rank - 1; n++) count *= c->mask_dim[n];
    dense_strides(c, m);
    int64_t stride = keys + s->p->gap[0];
    m->data = stage_matrix(s, c->mask, count, keys, stride, size);
    for (int n = c->mask_rank - 2; n >= 0; n--) {
        m->stride[n] = stride;
        stride *= m->dim[n];
    }
}

static void stage_expr_data(stage *s) {
    const kernel_spec *spec = s->c->spec;
    attn_side *side = arena_alloc(s->a, (size_t)(spec->tensor_count + 1) * sizeof *side);
    for (int t = 0; t < spec->tensor_count; t++) {
        int64_t count = s->c->side[t].count;
        side[t] = (attn_side){stage_copy(s, s->c->side[t].data, count, 4), count};
    }
    s->args.side_count = spec->tensor_count;
    s->args.side =
        stage_copy(s, spec->tensor_count ? side : NULL, spec->tensor_count, sizeof *side);
    s->args.scalar_count = spec->scalar_count;
    s->args.scalars = stage_copy(s, s->c->scalars, spec->scalar_count, sizeof(attn_scalar));
}

/* Ragged rows begin anywhere: arguments point so many rows before the first. */
static int32_t first_row(const stage *s) {
    return s->c->q_begin ? s->p->gap[0] : 0;
}

static const int32_t *stage_begin(stage *s) {
    const call *c = s->c;
    if (!c->q_begin) return NULL;
    const size_t count = (size_t)c->batch + 1;
    int32_t *begin = arena_alloc(s->a, count * sizeof *begin);
    for (size_t b = 0; b < count; b++) begin[b] = c->q_begin[b] + first_row(s);
    return stage_copy(s, begin, (int64_t)count, sizeof *begin);
}

/* `count` elements before `data`: where nothing is, so that only the sum may be used. */
static void *before(const void *data, int64_t count, size_t size) {
    return data ? (void *)((uintptr_t)data - (size_t)count * size) : NULL;
}

static void move_rows(stage *s) {
    attn_args *a = &s->args;
    const int64_t n = first_row(s);
    const attn_types type = attn_spec_types(&s->c->spec->core);
    a->q.data = before(a->q.data, n * a->q.token, attn_type_size(type.q));
    a->o.data = before(a->o.data, n * a->o.token, attn_type_size(type.o));
    a->seg = before(a->seg, n, sizeof *a->seg);
    a->lse = before(a->lse, n, sizeof *a->lse);
    a->q_position = before(a->q_position, n, sizeof *a->q_position);
    if (!a->index_by_item) {
        a->index = before(a->index, n * a->index_row, sizeof *a->index);
        a->index_count = before(a->index_count, n, sizeof *a->index_count);
    }
    if (!s->c->q_begin) return;
    a->q.batch = a->o.batch = a->lse_batch = INT64_MAX / 16; /* not used */
    a->seg_batch = a->q_position_batch = INT64_MAX / 16;
    if (!a->index_by_item) a->index_batch = a->index_count_batch = INT64_MAX / 16;
}

/* Lists of ragged rows as those of items that have all rows: what is not there is wrong. */
static void lists_by_item(arena *a, const call *c, const int32_t **index, const int32_t **count) {
    const int64_t heads = c->spec->core.kv_heads, rows = (int64_t)c->batch * c->q_len;
    const size_t each = (size_t)c->index_each, words = (size_t)(rows * heads) * each;
    int32_t *list = arena_alloc(a, (words + 1) * sizeof *list);
    int32_t *n = arena_alloc(a, ((size_t)rows + 1) * sizeof *n);
    for (size_t i = 0; i < words; i++) list[i] = INT32_MIN;
    for (int64_t i = 0; i < rows; i++) n[i] = INT32_MIN;
    for (int64_t b = 0; b < c->batch; b++) {
        const size_t here = (size_t)call_count(c, (int32_t)b), from = (size_t)c->q_begin[b];
        memcpy(n + b * c->q_len, c->index_count + from, here * sizeof *n);
        for (int64_t h = 0; h < heads; h++)
            memcpy(list + (size_t)((b * heads + h) * c->q_len) * each,
                   c->index + ((size_t)(h * call_q_rows(c)) + from) * each,
                   here * each * sizeof *list);
    }
    *index = list, *count = n;
}

static void stage_index(stage *s) {
    const call *c = s->c;
    const int64_t heads = c->spec->core.kv_heads;
    const int32_t *index = c->index, *count = c->index_count;
    attn_args *a = &s->args;
    int64_t items = call_q_items(c), rows = call_q_rows(c);
    a->index_by_item = c->index && s->p->lists_by_item;
    if (a->index_by_item && c->q_begin) {
        items = c->batch, rows = c->q_len;
        lists_by_item(s->a, c, &index, &count);
    }
    a->index_row = c->index_each + s->p->gap[0];
    a->index_head = rows * a->index_row;
    a->index_batch = heads * a->index_head;
    a->index_count_batch = rows;
    a->index = stage_matrix(s, index, items * heads * rows, c->index_each, a->index_row, 4);
    a->index_count = stage_copy(s, count, items * rows, 4);
}

static void stage_inputs(stage *s) {
    const call *c = s->c;
    s->args = ATTN_ARGS_INIT;
    s->args.batch = c->batch;
    s->args.q_len = c->q_len;
    s->args.kv_len_max = c->kv_len_max;
    s->args.threads = s->p->threads;
    s->args.pool = s->p->pool;
    const placement *p = s->p;
    const uint64_t seed = (uint64_t)(p->order[0] + 6 * p->order[1] + 36 * p->order[2] + p->gap[0]);
    s->pages = page_map_make(s->a, c, seed);
    stage_table(s);
    stage_qkv(s);
    s->args.q_start = stage_copy(s, c->q_start, c->batch, sizeof(int32_t));
    s->args.kv_len = stage_copy(s, c->kv_len, c->batch, sizeof(int32_t));
    s->args.seg_batch = call_q_rows(c) + s->p->gap[0];
    s->args.seg = stage_matrix(s, c->seg, call_q_items(c), call_q_rows(c), s->args.seg_batch,
                               sizeof(int32_t));
    s->args.q_begin = stage_begin(s);
    s->args.q_position_batch = call_q_rows(c) + s->p->gap[1];
    s->args.q_position = stage_matrix(s, c->q_position, call_q_items(c), call_q_rows(c),
                                      s->args.q_position_batch, sizeof(int32_t));
    s->args.tail = stage_copy(s, c->tail, c->batch, sizeof(int32_t));
    s->args.k_position_batch = c->tail_most + s->p->gap[2];
    s->args.k_position = stage_matrix(s, c->k_position, c->batch, c->tail_most,
                                      s->args.k_position_batch, sizeof(int32_t));
    s->args.key_padding_batch = c->kv_len_max + s->p->gap[1];
    s->args.key_padding =
        stage_matrix(s, c->key_padding, c->batch, c->kv_len_max, s->args.key_padding_batch, 1);
    stage_index(s);
    s->args.sinks = stage_copy(s, c->sinks, c->spec->core.heads, sizeof(float));
    stage_mask(s);
    stage_expr_data(s);
    for (int i = 0; i < s->count; i++) guard_seal(&s->guards[i]);
}

static guard stage_output(const rows *r, bool at_start) {
    const size_t size = attn_type_size(r->type);
    return guard_alloc((size_t)rows_size(r, NULL) * size, size, at_start);
}

static void stage_outputs(stage *s) {
    const call *c = s->c;
    const placement *p = s->p;
    int64_t heads = c->spec->core.heads;
    const int32_t type = attn_spec_types(&c->spec->core).o;
    const int32_t items = call_q_items(c), rows = call_q_rows(c);
    s->o_rows = rows_of(type, items, heads, rows, call_v_dim(c), p->order[3], p->gap);
    s->o = stage_output(&s->o_rows, p->at_start);
    s->args.o =
        (attn_out){s->o.data, s->o_rows.stride[0], s->o_rows.stride[1], s->o_rows.stride[2]};
    int order = p->order[3] & 2; /* batch or head outermost; the token stride is 1 */
    s->lse_rows =
        rows_of(ATTN_TYPE_F32, items, heads, rows, 1, order, (const int[3]){0, p->gap[1], 0});
    s->lse = stage_output(&s->lse_rows, p->at_start);
    if (p->no_lse) return;
    s->args.lse = (float *)(void *)s->lse.data;
    s->args.lse_batch = s->lse_rows.stride[0];
    s->args.lse_head = s->lse_rows.stride[1];
}

static attn_status stage_workspace(stage *s, const kernel_lib *lib, const attn_plan *plan) {
    attn_extent e = {sizeof e, s->c->batch, s->c->q_len, s->c->kv_len_max, s->p->threads, 0};
    if (s->c->q_begin) e.rows = call_q_rows(s->c);
    size_t bytes = 0;
    attn_status st = lib->workspace(plan, &e, &bytes);
    s->workspace = guard_alloc(bytes, 64, s->p->at_start);
    s->args.workspace = s->workspace.data;
    s->args.workspace_bytes = bytes;
    return st;
}

/* Takes the values out of an output, and puts the pattern back in their place. */
static float *take_rows(arena *a, const guard *g, const rows *r) {
    size_t count = (size_t)(r->extent[0] * r->extent[1] * r->extent[2]) * (size_t)r->width;
    float *dense = arena_alloc(a, count * sizeof *dense), *to = dense;
    const size_t size = attn_type_size(r->type);
    for (int64_t b = 0; b < r->extent[0]; b++)
        for (int64_t h = 0; h < r->extent[1]; h++)
            for (int64_t t = 0; t < r->extent[2]; t++) {
                const int64_t at = row_offset(r, b, h, t);
                for (int32_t d = 0; d < r->width; d++) *to++ = attn_load(g->data, r->type, at + d);
                guard_restore(g, (size_t)at * size, (size_t)r->width * size);
            }
    return dense;
}

static const char *touched(stage *s, outcome *out) {
    if (!guard_intact(&s->workspace)) return "wrote outside of its workspace";
    if (out->status != ATTN_OK)
        return guard_untouched(&s->o) && guard_untouched(&s->lse)
                   ? NULL
                   : "returned an error, but wrote an output";
    out->o = take_rows(s->a, &s->o, &s->o_rows);
    if (!s->p->no_lse) out->lse = take_rows(s->a, &s->lse, &s->lse_rows);
    if (!guard_untouched(&s->o)) return "wrote outside of the rows of O";
    if (!guard_untouched(&s->lse)) return "wrote outside of the rows of LSE";
    return NULL;
}

outcome call_run(arena *a, const kernel_lib *lib, const attn_plan *plan, const call *c,
                 const placement *p) {
    stage s = {.a = a, .c = c, .p = p};
    outcome out = {0};
    stage_inputs(&s);
    stage_outputs(&s);
    move_rows(&s);
    out.status = stage_workspace(&s, lib, plan);
    if (out.status == ATTN_OK) out.status = lib->run(plan, &s.args);
    out.fault = touched(&s, &out);
    for (int i = 0; i < s.count; i++) guard_free(&s.guards[i]);
    guard_free(&s.o);
    guard_free(&s.lse);
    guard_free(&s.workspace);
    return out;
}

static attn_view dense_view(const void *data, int64_t heads, int64_t tokens, int64_t width) {
    return (attn_view){data, heads * tokens * width, tokens * width, width};
}

static attn_scales dense_scales(const float *data, int64_t heads, int64_t tokens) {
    return data ? (attn_scales){data, heads * tokens, tokens, 1} : (attn_scales){0};
}

attn_mask call_dense_mask(const call *c) {
    attn_mask m = {.data = c->mask};
    if (c->mask_type != ATTN_MASK_NONE) dense_strides(c, &m);
    return m;
}

attn_args call_dense_args(const call *c) {
    const attn_spec *spec = &c->spec->core;
    int64_t k_dim = call_k_dim(c);
    attn_args a = ATTN_ARGS_INIT;
    a.batch = c->batch;
    a.q_len = c->q_len;
    a.kv_len_max = c->kv_len_max;
    a.q_begin = c->q_begin;
    a.q = dense_view(c->q, spec->heads, call_q_rows(c), k_dim);
    a.k = dense_view(c->k, spec->kv_heads, c->kv_len_max, k_dim);
    a.v = c->v ? dense_view(c->v, spec->v_heads, c->kv_len_max, call_v_dim(c)) : a.k;
    a.k_scale = dense_scales(c->k_scale, spec->kv_heads, c->kv_len_max);
    a.v_scale = dense_scales(c->v_scale, spec->v_heads, c->kv_len_max);
    a.q_start = c->q_start;
    a.kv_len = c->kv_len;
    a.seg = c->seg;
    a.seg_batch = c->q_len;
    a.q_position = c->q_position;
    a.q_position_batch = c->q_len;
    if (c->q_begin) a.q.batch = a.seg_batch = a.q_position_batch = 0; /* as kernels get it */
    a.tail = c->tail;
    a.k_position = c->k_position;
    a.k_position_batch = c->tail_most;
    a.key_padding = c->key_padding;
    a.key_padding_batch = c->kv_len_max;
    a.sinks = c->sinks;
    a.index = c->index, a.index_count = c->index_count;
    a.index_row = c->index_each, a.index_count_batch = call_q_rows(c);
    a.index_head = call_q_rows(c) * a.index_row;
    a.index_batch = spec->kv_heads * a.index_head;
    a.mask = call_dense_mask(c);
    a.side = c->side;
    a.side_count = c->spec->tensor_count;
    a.scalars = c->scalars;
    a.scalar_count = c->spec->scalar_count;
    return a;
}

/* Rows of a dense array that lie `step` rows apart head by head, `n` of each head, from row `first`
 * on. */
static const void *rows_from(arena *a, int32_t type, const void *data, int64_t first, int64_t heads,
                             int64_t step, int64_t n, int64_t width) {
    if (!data) return NULL;
    const size_t bytes = (size_t)(n * width) * attn_type_size(type);
    char *out = arena_alloc(a, (size_t)heads * bytes + 1);
    for (int64_t h = 0; h < heads; h++)
        memcpy(out + (size_t)h * bytes, attn_at(data, type, (first + h * step) * width), bytes);
    return out;
}

/* Item b of a dense [B, heads, from, width] array, the first `to` tokens of each head. */
static const void *item_rows(arena *a, int32_t type, const void *data, int64_t b, int64_t heads,
                             int64_t from, int64_t to, int64_t width) {
    return rows_from(a, type, data, b * heads * from, heads, from, to, width);
}

static void item_mask(arena *a, const call *c, call *item, int32_t b) {
    if (c->mask_type == ATTN_MASK_NONE) return;
    const size_t size = c->mask_type == ATTN_MASK_BOOL ? 1 : sizeof(float);
    const int rank = c->mask_rank, at = rank - 2; /* of the dim of rows */
    if (rank == 4 && c->mask_dim[0] != 1) {
        const int64_t step = c->mask_dim[1] * c->mask_dim[2] * c->mask_dim[3];
        item->mask = (const uint8_t *)c->mask + (size_t)(b * step) * size;
        item->mask_dim[0] = 1;
    }
    if (rank < 2 || c->mask_dim[at] == 1 || item->q_len == c->q_len) return;
    int64_t heads = 1;
    for (int n = 0; n < at; n++) heads *= item->mask_dim[n];
    const int32_t type = size == 1 ? ATTN_TYPE_I8 : ATTN_TYPE_F32;
    item->mask = rows_from(a, type, item->mask, 0, heads, c->mask_dim[at], item->q_len,
                           c->mask_dim[rank - 1]);
    item->mask_dim[at] = item->q_len;
}

/* True if something other than K and V is as long as they are. */
static bool has_key_dimension(const call *c) {
    for (int t = 0; t < c->spec->tensor_count; t++)
        for (int i = 0; i < c->spec->tensors[t].rank; i++)
            if (c->spec->tensors[t].dim[i] == ATTN_DIM_KV_LEN) return true;
    return c->mask_type != ATTN_MASK_NONE && c->mask_dim[c->mask_rank - 1] != 1;
}

/* An item's lists. */
static void item_index(arena *a, const call *c, int32_t b, call *item) {
    const int32_t heads = c->spec->core.kv_heads, rows = item->q_len, all = call_q_rows(c);
    const int64_t first = c->q_begin ? c->q_begin[b] : 0, of = c->q_begin ? 0 : b;
    const size_t width = (size_t)c->index_each;
    int32_t *to = arena_alloc(a, (size_t)heads * (size_t)rows * width * sizeof *to + 1);
    for (int64_t h = 0; h < heads; h++)
        memcpy(to + (size_t)(h * rows) * width,
               c->index + (size_t)((of * heads + h) * all + first) * width,
               (size_t)rows * width * sizeof *to);
    item->index = to;
    item->index_count = c->index_count + of * all + first;
}

call call_item(arena *a, const call *c, int32_t b, bool trim) {
    const attn_spec *spec = &c->spec->core;
    call item = *c;
    int32_t len = trim && c->kv_len && !has_key_dimension(c) ? c->kv_len[b] : c->kv_len_max;
    item.batch = 1;
    item.kv_len_max = len;
    item.pages = NULL;
    const attn_types type = attn_spec_types(spec);
    const int64_t keys = c->kv_len_max;
    item.q_begin = NULL;
    item.q_len = call_count(c, b);
    item.q = rows_from(a, type.q, c->q, (int64_t)call_row(c, b, 0, 0), spec->heads, call_q_rows(c),
                       item.q_len, call_k_dim(c));
    item.k = item_rows(a, type.k, c->k, b, spec->kv_heads, keys, len, call_k_dim(c));
    item.v = item_rows(a, type.v, c->v, b, spec->v_heads, keys, len, call_v_dim(c));
    item.k_scale = item_rows(a, ATTN_TYPE_F32, c->k_scale, b, spec->kv_heads, keys, len, 1);
    item.v_scale = item_rows(a, ATTN_TYPE_F32, c->v_scale, b, spec->v_heads, keys, len, 1);
    if (c->q_start) item.q_start = c->q_start + b;
    if (c->kv_len) item.kv_len = c->kv_len + b;
    if (c->index) item_index(a, c, b, &item);
    if (c->seg) item.seg = c->seg + (c->q_begin ? c->q_begin[b] : (int64_t)b * c->q_len);
    const int64_t first_row = c->q_begin ? c->q_begin[b] : (int64_t)b * c->q_len;
    if (c->q_position) item.q_position = c->q_position + first_row;
    if (c->tail) item.tail = c->tail + b;
    if (c->k_position) item.k_position = c->k_position + (int64_t)b * c->tail_most;
    if (c->key_padding) item.key_padding = c->key_padding + (int64_t)b * c->kv_len_max;
    item_mask(a, c, &item, b);
    return item;
}
