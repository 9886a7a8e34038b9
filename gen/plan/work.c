#include "work.h"

#include "types.h"

#include "op.h"
#include <string.h>

int32_t extent_batch(const explain_extent *e) {
    return e->batch >= 0 ? e->batch : 1;
}

int32_t extent_start(const kernel_spec *k, const explain_extent *e) {
    return attn_op_of(&k->core)->segments ? 0 : e->kv_len - e->q_len;
}

static expr_point point_of(const kernel_spec *k, const explain_extent *e) {
    return (expr_point){.q_start = extent_start(k, e),
                        .q_len = e->q_len,
                        .kv_len = e->kv_len,
                        .batch = extent_batch(e),
                        .kv_len_max = e->kv_len};
}

/* --- Examples. --- */

bool work_needs_data(const kernel_spec *k) {
    if (attn_op_of(&k->core)->segments) return true;
    if (!k->mask_expr) return false;
    const expr_uses u = expr_uses_of(k->mask_expr);
    return u.tensors || u.scalars;
}

/* Uneven segments of 2, 4, 3 and 7 sixteenths of four keys' share of the queries. The last rows,
 * one in 32, are padding. */
static const int32_t *example_segments(arena *a, const explain_extent *e, buf *text) {
    static const int until[] = {2, 6, 9, 16};
    int32_t *seg = arena_alloc(a, ((size_t)e->q_len + 1) * sizeof *seg);
    const int32_t padding = e->q_len / 32;
    for (int32_t i = 0; i < e->q_len; i++) {
        const int64_t at = (int64_t)i * 4 * e->kv_len / e->q_len;
        int part = 0;
        while (at % 16 >= until[part]) part++;
        seg[i] = i < e->q_len - padding ? (int32_t)(at / 16 * 4) + part : -1;
    }
    buf_printf(text, "segments 0, 1, 2 .. of uneven length over the query rows");
    if (padding) buf_printf(text, ", the last %d rows padding (segment -1)", padding);
    return seg;
}

/* Ends of the example's four documents in a row of n. */
static int32_t document_end(int32_t n, int i) {
    static const int sixteenths[] = {3, 8, 11, 16};
    return (int32_t)((int64_t)n * sixteenths[i] / 16);
}

static int32_t dim_size(const kernel_spec *k, const explain_extent *e, int32_t dim) {
    switch (dim) {
    case ATTN_DIM_BATCH: return extent_batch(e);
    case ATTN_DIM_HEADS: return k->core.heads;
    case ATTN_DIM_KV_HEADS: return k->core.kv_heads;
    case ATTN_DIM_Q_LEN: return e->q_len;
    case ATTN_DIM_KV_LEN: return e->kv_len;
    default: return dim;
    }
}

static void fill_side(const kernel_spec *k, const explain_extent *e, const attn_side_decl *t,
                      int64_t count, void *data, buf *text) {
    const int32_t last = t->dim[t->rank - 1], n = dim_size(k, e, last);
    const char *comma = text->len ? "; " : "";
    if (t->is_float) {
        for (int64_t i = 0; i < count; i++) ((float *)data)[i] = (float)(i * 37 % 101) / 101.0f;
        buf_printf(text, "%s%s: numbers from 0 to 1", comma, t->name);
        return;
    }
    int32_t *out = data;
    if (last != ATTN_DIM_KV_LEN && last != ATTN_DIM_Q_LEN) {
        for (int64_t i = 0; i < count; i++) out[i] = e->kv_len / 4;
        buf_printf(text, "%s%s: %d everywhere", comma, t->name, e->kv_len / 4);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        out[i] = 0;
        while (out[i] < 3 && i % n >= document_end(n, out[i])) out[i]++;
    }
    buf_printf(text, "%s%s: 0, 1, 2 and 3 in runs that end at %d, %d, %d and %d", comma, t->name,
               document_end(n, 0), document_end(n, 1), document_end(n, 2), n);
}

static void example_sides(arena *a, const kernel_spec *k, const plan *p, const explain_extent *e,
                          uint32_t used, example *x, buf *text) {
    attn_side *side = arena_alloc(a, ((size_t)k->tensor_count + 1) * sizeof *side);
    const void **minmax = arena_alloc(a, ((size_t)k->tensor_count + 1) * sizeof *minmax);
    for (int t = 0; t < k->tensor_count; t++) {
        int64_t count = 1;
        for (int d = 0; d < k->tensors[t].rank; d++) count *= dim_size(k, e, k->tensors[t].dim[d]);
        if (!(used >> t & 1)) continue; /* what only a score reads stays empty */
        void *data = arena_alloc(a, (size_t)count * 4);
        fill_side(k, e, &k->tensors[t], count, data, text);
        side[t] = (attn_side){data, count};
        if (p->minmax >> t & 1) minmax[t] = expr_minmax_table(a, &k->tensors[t], &side[t]);
    }
    x->point.side = side;
    x->point.minmax = minmax;
}

static void example_scalars(arena *a, const kernel_spec *k, const explain_extent *e, example *x,
                            buf *text) {
    attn_scalar *scalars = arena_alloc(a, ((size_t)k->scalar_count + 1) * sizeof *scalars);
    for (int i = 0; i < k->scalar_count; i++) {
        const char *comma = text->len ? "; " : "";
        if (k->scalars[i].is_float) {
            scalars[i].f32 = 0.5f;
            buf_printf(text, "%s%s = 0.5", comma, k->scalars[i].name);
        } else {
            scalars[i].i32 = e->kv_len / 4;
            buf_printf(text, "%s%s = %d", comma, k->scalars[i].name, e->kv_len / 4);
        }
    }
    x->point.scalars = scalars;
}

void example_make(arena *a, const kernel_spec *k, const plan *p, const explain_extent *e,
                  example *x) {
    *x = (example){.point = point_of(k, e)};
    buf text = buf_new(a);
    const expr_uses u = k->mask_expr ? expr_uses_of(k->mask_expr) : (expr_uses){0};
    if (attn_op_of(&k->core)->segments) x->seg = example_segments(a, e, &text);
    if (u.tensors) example_sides(a, k, p, e, u.tensors, x, &text);
    if (u.scalars) example_scalars(a, k, e, x, &text);
    x->text = text.len ? text.data : "";
}

/* --- One pair, one tile. --- */

bool work_keys(const kernel_spec *k, const explain_extent *e, const example *x, int32_t i,
               int64_t *lo, int64_t *hi) {
    const bool segments = attn_op_of(&k->core)->segments;
    attn_keys keys = {0, (int64_t)e->kv_len - 1};
    if (!segments || x)
        keys = attn_op_keys(&k->core, segments ? x->seg[i] : (int64_t)extent_start(k, e) + i,
                            e->kv_len);
    *lo = keys.first, *hi = keys.last;
    return !segments || x;
}

bool work_visible(const kernel_spec *k, const explain_extent *e, const example *x, int32_t h,
                  int32_t i, int32_t key) {
    int64_t lo, hi;
    work_keys(k, e, x, i, &lo, &hi);
    if (key < lo || key > hi) return false;
    if (!k->mask_expr) return true;
    expr_point p = x ? x->point : point_of(k, e);
    p.h = h;
    p.q = p.q_start + i;
    p.k = key;
    return expr_eval_mask(k->mask_expr, &p);
}

/* No row of i0..i1 sees keys outside lo..hi; the op shows all of them all_lo..all_hi. */
typedef struct op_range {
    int64_t lo, hi, all_lo, all_hi;
} op_range;

static op_range op_range_of(const kernel_spec *k, const explain_extent *e, const example *x,
                            int32_t i0, int32_t i1) {
    op_range r = {e->kv_len, -1, 0, e->kv_len - 1};
    for (int32_t i = i0; i <= i1; i++) {
        int64_t lo, hi;
        if (!work_keys(k, e, x, i, &lo, &hi)) return (op_range){0, e->kv_len - 1, 0, -1};
        if (lo > r.all_lo) r.all_lo = lo;
        if (hi < r.all_hi) r.all_hi = hi;
        if (lo > hi) continue;
        if (lo < r.lo) r.lo = lo;
        if (hi > r.hi) r.hi = hi;
    }
    if (!k->mask_expr || r.lo > r.hi) return r;
    const expr_point p = x ? x->point : point_of(k, e);
    const attn_tile_box box = {
        0, k->core.heads - 1, p.q_start + i0, p.q_start + i1, (int32_t)r.lo, (int32_t)r.hi};
    int32_t lo, hi;
    expr_range(k->mask_expr, &box, &p, &lo, &hi);
    r.lo = lo, r.hi = hi;
    return r;
}

/* As part/rows.c.tpl and part/tile.c.tpl: the range clips the block, then the mask is asked about
 * what is left. */
static attn_tile_class classify(const kernel_spec *k, const explain_extent *e, const example *x,
                                const op_range *r, attn_tile_box *box) {
    const bool whole = box->k0 >= r->lo && box->k1 <= r->hi;
    const bool op_all = whole && box->k0 >= r->all_lo && box->k1 <= r->all_hi;
    if (box->k0 < r->lo) box->k0 = (int32_t)r->lo;
    if (box->k1 > r->hi) box->k1 = (int32_t)r->hi;
    if (box->k0 > box->k1) return ATTN_TILE_NONE;
    attn_tile_class mask = ATTN_TILE_ALL;
    const expr_point p = x ? x->point : point_of(k, e);
    if (k->mask_expr) mask = expr_classify(k->mask_expr, box, &p);
    return mask == ATTN_TILE_ALL && !op_all ? ATTN_TILE_SOME : mask;
}

attn_tile_class work_class(const kernel_spec *k, const explain_extent *e, const example *x,
                           const attn_tile_box *box) {
    const int32_t start = extent_start(k, e);
    const op_range r = op_range_of(k, e, x, box->q0 - start, box->q1 - start);
    attn_tile_box clipped = *box;
    return classify(k, e, x, &r, &clipped);
}

/* --- A call. --- */

/* Visible pairs inside a tile. ask: the mask about each; else the op's rule counts alone. */
static double tile_pairs(const kernel_spec *k, const explain_extent *e, const example *x,
                         const attn_tile_box *box, bool ask) {
    double pairs = 0;
    expr_point p = x ? x->point : point_of(k, e);
    for (int32_t q = box->q0; q <= box->q1; q++) {
        int64_t lo, hi;
        work_keys(k, e, x, q - p.q_start, &lo, &hi);
        if (lo < box->k0) lo = box->k0;
        if (hi > box->k1) hi = box->k1;
        if (!ask) {
            if (hi >= lo) pairs += (double)(hi - lo + 1);
            continue;
        }
        p.q = q;
        for (int64_t key = lo; key <= hi; key++) {
            p.k = (int32_t)key;
            pairs += expr_eval_mask(k->mask_expr, &p);
        }
    }
    return pairs;
}

static int32_t min32(int32_t a, int32_t b) {
    return a < b ? a : b;
}

/* Keys of the block that the query tiles read together: from the first to the last of each. */
typedef struct key_span {
    int32_t first, last;
} key_span;

static void add_tile(const kernel_spec *k, const explain_extent *e, const example *x,
                     const op_range *r, attn_tile_box box, key_span *read, work *w) {
    const attn_tile_class class = classify(k, e, x, r, &box);
    w->none += class == ATTN_TILE_NONE;
    w->all += class == ATTN_TILE_ALL;
    w->some += class == ATTN_TILE_SOME;
    if (class == ATTN_TILE_NONE) return;
    const bool ask = class == ATTN_TILE_SOME && k->mask_expr && (x || !work_needs_data(k));
    w->pairs += tile_pairs(k, e, x, &box, ask);
    if (box.k0 < read->first) read->first = box.k0;
    if (box.k1 > read->last) read->last = box.k1;
}

static void count_tiles(const kernel_spec *k, const plan *p, const explain_extent *e,
                        const example *x, work *w) {
    const int32_t rows = p->tile_vectors * isa_table[p->isa].width, start = extent_start(k, e);
    const int32_t blocks = (e->kv_len + p->key_block - 1) / p->key_block;
    arena *a = arena_new();
    key_span *read = arena_alloc(a, ((size_t)blocks + 1) * sizeof *read);
    for (int32_t j = 0; j < blocks; j++) read[j] = (key_span){INT32_MAX, -1};
    for (int32_t i = 0; i < e->q_len; i += rows) {
        const int32_t end = min32(i + rows, e->q_len) - 1;
        const op_range r = op_range_of(k, e, x, i, end);
        for (int32_t j = 0; j < blocks; j++) {
            const int32_t k0 = j * p->key_block;
            const attn_tile_box box = {0,         k->core.heads - 1,
                                       start + i, start + end,
                                       k0,        min32(k0 + p->key_block, e->kv_len) - 1};
            add_tile(k, e, x, &r, box, &read[j], w);
        }
    }
    for (int32_t j = 0; j < blocks; j++)
        if (read[j].last >= read[j].first) w->keys += read[j].last - read[j].first + 1;
    arena_free(a);
}

/* Without tiles: each query reads the keys of its segment. */
static void count_gathered(const kernel_spec *k, const plan *p, const explain_extent *e,
                           const example *x, work *w) {
    if (!x) {
        w->pairs = (double)e->q_len * p->gather_keys;
        w->keys = w->pairs < e->kv_len ? w->pairs : e->kv_len;
        return;
    }
    arena *a = arena_new();
    bool *read = arena_alloc(a, (size_t)e->kv_len + 1);
    for (int32_t i = 0; i < e->q_len; i++) {
        int64_t lo, hi;
        work_keys(k, e, x, i, &lo, &hi);
        for (int64_t key = lo; key <= hi; key++) {
            const bool seen = work_visible(k, e, x, 0, i, (int32_t)key);
            w->pairs += seen;
            w->keys += seen && !read[key];
            read[key] |= seen;
        }
    }
    arena_free(a);
}

/* Bytes of K and V that a key has. With a shared key, V is a part of it. */
static double key_bytes(const kernel_spec *k, const plan *p) {
    const bool in_k = k->core.key == ATTN_KEY_SHARED;
    const double v = in_k ? 0 : (double)p->value_heads * plan_v_bytes(p, p->dv);
    return (double)p->key_heads * plan_k_bytes(p) + v;
}

/* Of a row of Q and of O. */
static double row_bytes(const plan *p) {
    return (double)p->d * (double)attn_type_size(p->type.q) +
           (double)p->dv * (double)attn_type_size(p->type.o);
}

double work_cache_bytes(const kernel_spec *k, const plan *p) {
    return key_bytes(k, p);
}

work work_of(const kernel_spec *k, const plan *p, const explain_extent *e, const example *x) {
    work w = {.exact = x || !work_needs_data(k)};
    if (p->tiled)
        count_tiles(k, p, e, x, &w);
    else
        count_gathered(k, p, e, x, &w);
    const double items = extent_batch(e), rows = (double)k->core.heads * e->q_len;
    w.flops = plan_flops(p, w.pairs) * k->core.heads * items;
    w.bytes = items * (rows * row_bytes(p) + w.keys * key_bytes(k, p));
    w.workspace = plan_workspace(p, k, extent_batch(e), e->q_len, e->kv_len, 1);
    return w;
}
