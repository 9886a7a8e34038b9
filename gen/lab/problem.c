/* problem.c - random problems for a spec: lengths, positions, masks, data and poison. */
#include "problem.h"
#include "stored.h"
#include "op.h"
#include <float.h>
#include <math.h>
#include <string.h>

static const int32_t lengths[] = {0,  1,   2,   3,   7,   23,  24,  25,  47,  64,
                                  65, 100, 127, 128, 129, 200, 300, 515, 1030};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

uint64_t rng_next(rng *r) { /* splitmix64 */
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

int32_t rng_int(rng *r, int32_t lo, int32_t hi) {
    uint64_t span = (uint64_t)((int64_t)hi - lo + 1);
    return (int32_t)((int64_t)lo + (int64_t)(rng_next(r) % span));
}

bool rng_chance(rng *r, int percent) {
    return rng_int(r, 0, 99) < percent;
}

/* Near enough to normal: the sum of four uniform numbers, variance 1. */
float rng_normal(rng *r) {
    uint64_t bits = rng_next(r);
    int sum = 0;
    for (int i = 0; i < 4; i++) sum += (int)(bits >> (16 * i) & 0xffff);
    return ((float)sum - 131070.0f) * (1.7320508f / 65536.0f);
}

/* A problem in the making. */
typedef struct maker {
    arena *a;
    const problem_options *o;
    const attn_spec *spec;
    rng *r;
    call *c;
    buf text;
} maker;

static float *floats(maker *m, int64_t count, float size) {
    float *v = arena_alloc(m->a, (size_t)count * sizeof *v + 1);
    for (int64_t i = 0; i < count; i++) v[i] = size * rng_normal(m->r);
    return v;
}

static int32_t *ints(maker *m, int64_t count, int32_t lo, int32_t hi) {
    int32_t *v = arena_alloc(m->a, (size_t)count * sizeof *v + 1);
    for (int64_t i = 0; i < count; i++) v[i] = rng_int(m->r, lo, hi);
    return v;
}

static void say_ints(maker *m, const char *name, const int32_t *v) {
    buf_printf(&m->text, " %s=", name);
    if (!v) {
        buf_puts(&m->text, "-");
        return;
    }
    for (int b = 0; b < m->c->batch; b++) buf_printf(&m->text, "%s%d", b ? "," : "", v[b]);
}

/* --- Lengths --- */

/* Keys that a row can see at most, for the estimate of work. */
static double reach(const attn_spec *s, double keys) {
    const double most = (double)attn_op_of(s)->reach(s).most;
    return most < keys ? most : keys;
}

static double work(const maker *m, int q, int k) {
    double width = call_k_dim(m->c) + call_v_dim(m->c);
    if (m->c->spec->score_expr || m->c->spec->mask_expr) width += 300;
    double keys = reach(m->spec, lengths[k]) + 0.02 * lengths[k];
    return m->c->batch * (double)m->spec->heads * lengths[q] * keys * width;
}

static bool is_too_large(const maker *m, int q, int k) {
    const problem_options *o = m->o;
    if (lengths[q] > o->longest || lengths[k] > o->longest) return true;
    const double rows = m->c->batch * (double)m->spec->heads * lengths[q];
    const double keys = m->c->batch * (double)lengths[k];
    const double elements = rows * (call_k_dim(m->c) + call_v_dim(m->c)) +
                            keys * (m->spec->kv_heads * (double)call_k_dim(m->c) +
                                    m->spec->v_heads * (double)call_v_dim(m->c));
    return work(m, q, k) > o->max_work || elements > o->max_elements;
}

/* Items of no row, of one, of a few, of as many as there may be. */
static void pick_begin(maker *m) {
    call *c = m->c;
    int32_t *begin = arena_alloc(m->a, ((size_t)c->batch + 1) * sizeof *begin);
    for (int32_t b = 0; b < c->batch; b++) {
        const int kind = rng_int(m->r, 0, 4);
        const int32_t most = kind == 0 ? 0 : kind == 1 ? 1 : kind == 2 ? 20 : c->q_len;
        const int32_t least = kind == 1 || kind == 4 ? most : 0;
        const int32_t count = rng_int(m->r, least, most);
        begin[b + 1] = begin[b] + (count < c->q_len ? count : c->q_len);
    }
    c->q_begin = begin;
    say_ints(m, "q_begin", begin + 1);
}

/* The first problems of a spec are of a kind each; the rest are random. */
static void pick_extents(maker *m, int index) {
    int q = rng_int(m->r, 1, LENGTHS - 1), k = rng_int(m->r, 1, LENGTHS - 1);
    if (index == 0) q = 1, k = LENGTHS - 1 - rng_int(m->r, 0, 3);
    if (index == 1) q = rng_int(m->r, 2, 4), k = LENGTHS - 1 - rng_int(m->r, 0, 3);
    if (index == 2) q = k;
    if (index == 3) q = LENGTHS - 1, k = rng_int(m->r, 1, 8);
    if (index == 4) q = 0;
    if (index == 5) k = 0;
    const bool ragged = m->o->ragged > 0 && rng_chance(m->r, m->o->ragged);
    m->c->batch = ragged ? rng_int(m->r, 1, 6) : rng_int(m->r, 1, 3);
    const int32_t least = m->o->empty_item ? 2 : 1;
    if (m->c->batch < least) m->c->batch = least;
    while (is_too_large(m, q, k) && (q > 1 || k > 1)) {
        if (m->c->batch > least && rng_chance(m->r, 30))
            m->c->batch--;
        else if (q > 1 && (k <= 1 || rng_chance(m->r, 50)))
            q--;
        else
            k--;
    }
    m->c->q_len = lengths[q];
    m->c->kv_len_max = lengths[k];
    buf_printf(&m->text, "B=%d Lq=%d Lk=%d", m->c->batch, m->c->q_len, m->c->kv_len_max);
    if (ragged) pick_begin(m);
}

static int32_t kv_len(const maker *m, int32_t b) {
    return m->c->kv_len ? m->c->kv_len[b] : m->c->kv_len_max;
}

static void pick_kv_len(maker *m) {
    if (rng_chance(m->r, 30) && !m->o->all) return;
    int32_t most = m->c->kv_len_max, *len = ints(m, m->c->batch, 0, most);
    for (int32_t b = 0; b < m->c->batch; b++) {
        if (rng_chance(m->r, 30)) len[b] = most;
        if (rng_chance(m->r, 10)) len[b] = most ? most - 1 : 0;
        if (rng_chance(m->r, 10)) len[b] = 0;
    }
    if (m->o->empty_item) len[m->c->batch - 1] = 0;
    m->c->kv_len = len;
}

static int32_t extreme_start(maker *m) {
    static const int32_t starts[] = {1 << 20, INT32_MAX - 3, INT32_MIN + 2, -1, INT32_MAX};
    return starts[rng_int(m->r, 0, 4)];
}

static void pick_q_start(maker *m) {
    int kind = rng_int(m->r, 0, 9);
    if (kind < 2 && !m->o->all) return;
    int32_t *start = ints(m, m->c->batch, -m->c->q_len - 3, m->c->kv_len_max + 3);
    /* A score in f32 knows positions up to 2^24. */
    bool bounded = m->c->spec->score_expr != NULL;
    for (int32_t b = 0; b < m->c->batch; b++) {
        if (kind < 7) start[b] = kv_len(m, b) - call_count(m->c, b);
        if (kind == 9 && !bounded) start[b] = extreme_start(m);
    }
    m->c->q_start = start;
}

static void pick_segments(maker *m) {
    if (!attn_op_of(m->spec)->segments) return;
    int32_t *seg =
        arena_alloc(m->a, (size_t)call_q_items(m->c) * (size_t)call_q_rows(m->c) * sizeof *seg + 1);
    bool sorted = rng_chance(m->r, 50);
    for (int32_t b = 0; b < m->c->batch; b++) {
        int32_t last = kv_len(m, b) + 5, at = -3;
        const size_t first = (size_t)(m->c->q_begin ? m->c->q_begin[b] : b * m->c->q_len);
        for (int32_t i = 0; i < call_count(m->c, b); i++) {
            at = sorted ? at + rng_int(m->r, 0, 2) : rng_int(m->r, -3, last);
            if (sorted && at > last) at = last;
            seg[first + (size_t)i] = rng_chance(m->r, 1) ? extreme_start(m) : at;
        }
    }
    m->c->seg = seg;
    buf_printf(&m->text, " seg=%s", sorted ? "sorted" : "random");
}

/* --- Positions --- */

/* Around the end of an item's keys: of drafts, some of which share a position; or anywhere. */
static int32_t some_position(maker *m, int32_t b, bool near) {
    const int32_t len = kv_len(m, b), p = near ? len - rng_int(m->r, 0, 12) : rng_int(m->r, 0, len);
    return p > 0 ? p : 0;
}

static void pick_tails(maker *m) {
    call *c = m->c;
    const bool near = rng_chance(m->r, 60);
    int32_t *tail = ints(m, c->batch, 0, 40);
    for (int32_t b = 0; b < c->batch; b++) {
        if (tail[b] > kv_len(m, b)) tail[b] = kv_len(m, b);
        if (tail[b] > c->tail_most) c->tail_most = tail[b];
    }
    int32_t *at = ints(m, (int64_t)c->batch * c->tail_most, 0, 0);
    for (int32_t b = 0; b < c->batch; b++)
        for (int32_t i = 0; i < tail[b]; i++) {
            at[b * c->tail_most + i] = kv_len(m, b) - tail[b] + i; /* its number, or elsewhere */
            if (rng_chance(m->r, 70)) at[b * c->tail_most + i] = some_position(m, b, near);
        }
    c->tail = tail, c->k_position = at;
    say_ints(m, "tail", tail);
}

static void pick_positions(maker *m) {
    call *c = m->c;
    if (m->o->placed <= 0 || !rng_chance(m->r, m->o->placed)) return;
    if (!attn_op_of(m->spec)->segments && rng_chance(m->r, 60)) pick_tails(m);
    if (rng_chance(m->r, 20)) return;
    const bool near = rng_chance(m->r, 60);
    int32_t *at = ints(m, (int64_t)call_q_items(c) * call_q_rows(c), 0, 0);
    for (int32_t b = 0; b < c->batch; b++)
        for (int32_t i = 0; i < call_count(c, b); i++) {
            const int32_t first = c->q_begin ? c->q_begin[b] : b * c->q_len;
            at[first + i] = some_position(m, b, near) - rng_chance(m->r, 5) * 20;
        }
    c->q_position = at;
    buf_puts(&m->text, " q_position");
}

/* --- Masks --- */

static void pick_padding(maker *m) {
    if (rng_chance(m->r, 60) && !m->o->all) return;
    int density = rng_chance(m->r, 20) ? 100 : rng_int(m->r, 1, 60);
    int64_t count = (int64_t)m->c->batch * m->c->kv_len_max;
    uint8_t *pad = arena_alloc(m->a, (size_t)count + 1);
    for (int64_t i = 0; i < count; i++)
        if (rng_chance(m->r, density)) pad[i] = (uint8_t)rng_int(m->r, 1, 255);
    m->c->key_padding = pad;
    buf_printf(&m->text, " padding=%d%%", density);
}

/* Bytes: a good part of them 0. */
static void *bool_mask(maker *m, int64_t count) {
    static const uint8_t visible[] = {1, 1, 2, 128, 255};
    int density = rng_chance(m->r, 15) ? 0 : rng_int(m->r, 5, 95);
    uint8_t *v = arena_alloc(m->a, (size_t)count + 1);
    for (int64_t i = 0; i < count; i++)
        if (rng_chance(m->r, density)) v[i] = visible[rng_int(m->r, 0, 4)];
    return v;
}

/* Biases, some of them masking, seldom one of them NaN. */
static void *float_mask(maker *m, int64_t count) {
    static const float hidden[] = {-INFINITY, -FLT_MAX, -1e30f, -3.4e38f};
    int density = rng_chance(m->r, 40) ? 0 : rng_int(m->r, 5, 95);
    float *v = floats(m, count, 2);
    for (int64_t i = 0; i < count; i++)
        if (rng_chance(m->r, density)) v[i] = hidden[rng_int(m->r, 0, 3)];
    if (count && rng_chance(m->r, 20) && m->o->bad_visible)
        v[rng_next(m->r) % (uint64_t)count] = NAN;
    return v;
}

static void pick_mask(maker *m) {
    call *c = m->c;
    if (!attn_spec_takes_mask(m->spec) || (rng_chance(m->r, 40) && !m->o->all)) return;
    const int64_t full[4] = {c->batch, m->spec->heads, c->q_len, c->kv_len_max};
    int64_t count = 1;
    c->mask_rank = rng_int(m->r, 1, 4);
    c->mask_type = rng_chance(m->r, 50) ? ATTN_MASK_BOOL : ATTN_MASK_F32;
    buf_printf(&m->text, " mask=%s", c->mask_type == ATTN_MASK_BOOL ? "bool" : "f32");
    for (int n = 0; n < c->mask_rank; n++) {
        c->mask_dim[n] = rng_chance(m->r, 25) ? 1 : full[4 - c->mask_rank + n];
        count *= c->mask_dim[n];
        buf_printf(&m->text, "[%d]", (int)c->mask_dim[n]);
    }
    c->mask = c->mask_type == ATTN_MASK_BOOL ? bool_mask(m, count) : float_mask(m, count);
}

/* --- Data --- */

static float bad_number(maker *m) {
    static const float bad[] = {NAN, INFINITY, -INFINITY, -NAN};
    return bad[rng_int(m->r, 0, 3)];
}

/* Bad numbers in row `row` of K, where V is not in the same memory, nor has its scale. */
static void poison_key(maker *m, float *k, int64_t row) {
    if (!m->c->v && attn_spec_scaled(m->spec)) return;
    int32_t dim = call_k_dim(m->c), from = m->c->v ? 0 : call_v_dim(m->c);
    for (int32_t d = from; d < dim; d++)
        if (d == from || rng_chance(m->r, 30)) k[row * dim + d] = bad_number(m);
}

/* Padded keys hold bad numbers; seldom, so does a visible one, or a query. */
static void poison(maker *m, float *q, float *k) {
    const call *c = m->c;
    int64_t heads = m->spec->kv_heads, keys = c->kv_len_max;
    bool padded = c->key_padding && rng_chance(m->r, 60);
    for (int64_t b = 0; padded && b < c->batch; b++)
        for (int64_t j = 0; j < keys; j++)
            for (int64_t h = 0; c->key_padding[b * keys + j] && h < heads; h++)
                poison_key(m, k, (b * heads + h) * keys + j);
    if (padded) buf_puts(&m->text, " bad-padding");
    if (!m->o->bad_visible) return;
    if (keys && rng_chance(m->r, 15)) {
        int64_t row = (int64_t)(rng_next(m->r) % (uint64_t)(c->batch * heads * keys));
        poison_key(m, k, row);
        buf_printf(&m->text, " bad-key=%lld", (long long)row);
    }
    if (call_rows(c) && rng_chance(m->r, 10)) {
        int64_t row = (int64_t)(rng_next(m->r) % call_rows(c));
        q[row * call_k_dim(c) + rng_int(m->r, 0, call_k_dim(c) - 1)] = bad_number(m);
        buf_printf(&m->text, " bad-query=%lld", (long long)row);
    }
}

/* A bad scale without zero codes beside it: of rows that were not finite. */
static void poison_scales(maker *m, int8_t *k, float *scale, int64_t rows) {
    const int32_t dim = call_k_dim(m->c);
    for (int64_t i = 0; i < rows; i++) {
        if (!isnan(scale[i]) || rng_chance(m->r, 50)) continue;
        scale[i] = bad_number(m);
        for (int32_t d = 0; d < dim; d++) k[i * dim + d] = (int8_t)rng_int(m->r, -127, 127);
    }
}

/* The same numbers by scales of either sign: attn_store_rows makes none below 0, callers may. */
static void negate_scales(maker *m, int8_t *code, float *scale, int64_t rows, int32_t width) {
    for (int64_t i = 0; i < rows; i++) {
        if (rng_chance(m->r, 50)) continue;
        scale[i] = -scale[i];
        for (int32_t d = 0; d < width; d++) code[i * width + d] = (int8_t)-code[i * width + d];
    }
}

/* Items that begin as item 0 does: where keys lie in pages, these may be the same pages. */
static void share_prefix(maker *m, float *rows, int32_t heads, int32_t width, int32_t keys) {
    const int64_t head = (int64_t)m->c->kv_len_max * width;
    for (int64_t b = 1; rows && b < m->c->batch; b++)
        for (int64_t h = 0; h < heads; h++)
            memcpy(rows + (b * heads + h) * head, rows + h * head,
                   sizeof *rows * (size_t)(keys * width));
}

static void pick_data(maker *m) {
    call *c = m->c;
    const attn_spec *s = m->spec;
    float size = rng_chance(m->r, 15) ? 6 : rng_chance(m->r, 8) ? 0 : 1;
    if (size != 1) buf_printf(&m->text, " q*%d", (int)size);
    int64_t keys = (int64_t)c->batch * c->kv_len_max;
    float *q = floats(m, (int64_t)call_rows(c) * call_k_dim(c), size);
    float *k = floats(m, keys * s->kv_heads * call_k_dim(c), 1);
    bool in_k = s->form == ATTN_FORM_MLA && s->key == ATTN_KEY_SHARED;
    const int64_t v_count = in_k ? 0 : keys * s->v_heads * call_v_dim(c);
    float *v = in_k ? NULL : floats(m, v_count, 1);
    if (s->layout == ATTN_LAYOUT_PAGED && rng_chance(m->r, 40)) {
        const int32_t prefix = rng_int(m->r, 0, c->kv_len_max);
        share_prefix(m, k, s->kv_heads, call_k_dim(c), prefix);
        share_prefix(m, v, s->v_heads, call_v_dim(c), prefix);
        buf_printf(&m->text, " prefix=%d", prefix);
    }
    const bool scaled = attn_spec_scaled(s), signs = scaled && rng_chance(m->r, 30);
    if (scaled && rng_chance(m->r, 30)) { /* sums of codes are large */
        for (size_t i = 0; i < call_rows(c) * (size_t)call_k_dim(c); i++) q[i] = fabsf(q[i]);
        buf_puts(&m->text, " |q|");
    }
    if (signs) buf_puts(&m->text, " signs");
    c->v = v; /* poison asks whether it is K's memory */
    poison(m, q, k);
    const attn_types type = attn_spec_types(s);
    c->q = stored_from(m->a, type.q, q, (int64_t)call_rows(c) * call_k_dim(c));
    float *k_scale, *v_scale;
    void *stored = stored_rows(m->a, type.k, k, keys * s->kv_heads, call_k_dim(c), &k_scale);
    if (k_scale) poison_scales(m, stored, k_scale, keys * s->kv_heads);
    if (signs) negate_scales(m, stored, k_scale, keys * s->kv_heads, call_k_dim(c));
    c->k = stored;
    c->k_scale = k_scale;
    if (v) {
        stored = stored_rows(m->a, type.v, v, keys * s->v_heads, call_v_dim(c), &v_scale);
        if (signs) negate_scales(m, stored, v_scale, keys * s->v_heads, call_v_dim(c));
        c->v = stored;
        c->v_scale = v_scale;
    }
    if (s->sinks) c->sinks = floats(m, s->heads, 2);
}

/* Lists of keys in any order, some twice, among numbers that name none. */
static void pick_index(maker *m) {
    call *c = m->c;
    if (m->spec->select != ATTN_SELECT_INDEX) return;
    const int64_t rows = (int64_t)call_q_items(c) * call_q_rows(c);
    c->index_each = rng_chance(m->r, 50) ? rng_int(m->r, 0, 20) : rng_int(m->r, 0, 300);
    c->index = ints(m, rows * m->spec->kv_heads * c->index_each, -2, c->kv_len_max + 2);
    int32_t *count = ints(m, rows, 0, c->index_each);
    for (int64_t i = 0; i < rows; i++)
        if (rng_chance(m->r, 60)) count[i] = c->index_each;
    c->index_count = count;
    buf_printf(&m->text, " index=%d", c->index_each);
}

static void pick_expr_data(maker *m) {
    const kernel_spec *k = m->c->spec;
    attn_side *side = arena_alloc(m->a, (size_t)(k->tensor_count + 1) * sizeof *side);
    for (int t = 0; t < k->tensor_count; t++) {
        int64_t count = side[t].count = call_side_count(m->c, t);
        if (!k->tensors[t].is_float) {
            side[t].data = ints(m, count, m->o->lo, m->o->hi);
            continue;
        }
        float *v = floats(m, count, 0.5f);
        for (int64_t i = 0; m->o->neg_inf && i < count; i++)
            if (rng_chance(m->r, 5)) v[i] = -INFINITY;
        side[t].data = v;
    }
    m->c->side = side;
    const int32_t highest = m->o->scalar_hi < m->o->scalar_lo ? m->c->kv_len_max : m->o->scalar_hi;
    attn_scalar *scalar = arena_alloc(m->a, (size_t)(k->scalar_count + 1) * sizeof *scalar);
    for (int i = 0; i < k->scalar_count; i++) {
        if (k->scalars[i].is_float)
            scalar[i].f32 = 0.25f + fabsf(rng_normal(m->r));
        else
            scalar[i].i32 = rng_int(m->r, m->o->scalar_lo, highest);
    }
    m->c->scalars = scalar;
}

void problem_make(arena *a, const kernel_spec *spec, const problem_options *o, rng *r, int index,
                  call *out, const char **text) {
    *out = (call){.spec = spec};
    maker m = {a, o, &spec->core, r, out, buf_new(a)};
    pick_extents(&m, index);
    pick_kv_len(&m);
    say_ints(&m, "kv_len", out->kv_len);
    pick_q_start(&m);
    say_ints(&m, "q_start", out->q_start);
    pick_segments(&m);
    pick_positions(&m);
    pick_padding(&m);
    pick_mask(&m);
    pick_data(&m);
    pick_index(&m);
    pick_expr_data(&m);
    *text = m.text.data;
}
