/* oracle.c - runtime/CONTRACT.md, "Rules", in double. */
#include "oracle.h"

#include "types.h"
#include "spec.h"
#include "stored.h"
#include <math.h>
#include <string.h>

/* Rounding of an f32 score, as a fraction of what it is made of (rule 8). */
static const double SCORE_ROUNDING = 4e-7;

/* One row in the making. */
typedef struct row_state {
    const kernel_spec *spec;
    const attn_args *args;
    const oracle_view *qkv;
    int32_t b, h, i;
    int32_t first; /* where the item's rows begin in q and seg */
    int64_t p;     /* absolute position */
    expr_point at; /* what expressions see */
    bool any, bad_index;
} row_state;

/* A key's score. */
typedef struct key_score {
    bool visible;
    double s;      /* final: s' plus bias */
    double weight; /* its part of rule 8's A: |s'| + |ds'/ds| * |scale| * sum|q*k| */
    double loose;  /* what rounding of q by `dot` moves it by at most */
} key_score;

/* Restates op.c on purpose: the oracle follows the contract, not the runtime. */
void oracle_range(const attn_spec *spec, int64_t position, int64_t *lo, int64_t *hi) {
    *lo = 0;
    *hi = INT64_MAX;
    if (spec->op == ATTN_OP_SEGMENT_CROSS) {
        *lo = position - spec->lookback;
        *hi = position < 0 ? -1 : position;
        return;
    }
    if (spec->causal) *hi = position;
    if (spec->op != ATTN_OP_SLIDING_SELF) return;
    *lo = position - spec->window;
    if (!spec->causal) *hi = position + spec->right_window;
}

/* The run-time mask's element for this row and key, as an offset in elements. */
static int64_t mask_offset(const attn_mask *m, const row_state *r, int32_t key) {
    const int32_t at[4] = {r->b, r->h, r->i, key};
    int64_t offset = 0;
    for (int n = 0; n < m->rank; n++)
        if (m->dim[n] != 1) offset += m->stride[n] * at[4 - m->rank + n];
    return offset;
}

/* Key padding and the run-time mask. *bias is added to the score. */
static bool unmasked(const row_state *r, int32_t key, double *bias) {
    const attn_args *a = r->args;
    *bias = 0;
    if (a->key_padding && a->key_padding[r->b * a->key_padding_batch + key]) return false;
    if (a->mask.type == ATTN_MASK_NONE) return true;
    int64_t offset = mask_offset(&a->mask, r, key);
    if (a->mask.type == ATTN_MASK_BOOL) return ((const uint8_t *)a->mask.data)[offset] != 0;
    *bias = (double)((const float *)a->mask.data)[offset];
    return !(*bias <= (double)-1e30f);
}

/* Rule 2: the last keys stand where k_position says. */
static int32_t key_position(const row_state *r, int32_t key) {
    const attn_args *a = r->args;
    const int32_t at = a->tail ? key - (r->at.kv_len - a->tail[r->b]) : -1;
    return at < 0 ? key : a->k_position[r->b * a->k_position_batch + at];
}

static void set_key(row_state *r, int32_t key) {
    r->at.k = key;
    r->at.k_moved = (int32_t)((uint32_t)key_position(r, key) - (uint32_t)key);
}

static bool expr_visible(row_state *r, int32_t key) {
    if (!r->spec->mask_expr) return true;
    set_key(r, key);
    r->at.oob = false;
    bool visible = expr_eval_mask(r->spec->mask_expr, &r->at);
    r->bad_index |= r->at.oob;
    return visible || r->at.oob;
}

/* Softcap, then the score expression. */
static double final_score(row_state *r, int32_t key, double s) {
    double cap = (double)r->spec->core.softcap;
    if (cap > 0) s = cap * tanh(s / cap);
    if (!r->spec->score_expr) return s;
    set_key(r, key);
    r->at.s = s;
    r->at.oob = false;
    s = expr_eval_score(r->spec->score_expr, &r->at);
    r->bad_index |= r->at.oob;
    return s;
}

/* |ds'/ds| near s, over a step as large as the rounding of s. */
static double slope(row_state *r, int32_t key, double s, double value, double size) {
    if (r->spec->core.softcap <= 0 && !r->spec->score_expr) return 1;
    double step = SCORE_ROUNDING * (fabs(s) + size) + 1e-9;
    double up = fabs(final_score(r, key, s + step) - value) / step;
    double down = fabs(final_score(r, key, s - step) - value) / step;
    return up > down ? up : down;
}

/* Rule 5 of storage types: |q k| by which rounding of q, as `dot` allows it, changes a product. */
static double dot_slack(const attn_spec *spec, const double *q, const double *k, int32_t dim) {
    double most = 0, keys = 0, each = 0;
    for (int32_t d = 0; d < dim; d++) {
        if (fabs(q[d]) > most) most = fabs(q[d]);
        keys += fabs(k[d]);
        /* Factors below 2^-126 may count as zero; q is scaled first. */
        const bool tiny = fabs(k[d]) < 0x1p-126 || fabs(q[d] * (double)spec->scale) < 0x1p-125;
        each += fabs(q[d] * k[d]) * (tiny ? 1 : 0x1p-8);
    }
    switch (spec->dot) {
    case ATTN_DOT_I16: return most / (2 * 8191.0) * keys; /* 14 bits */
    case ATTN_DOT_I8: return most / (2 * 127.0) * keys;
    case ATTN_DOT_BF16: return each; /* 8 bits of each element */
    default: return 0;
    }
}

/* And rounding of P. */
static double dot_p(const attn_spec *spec) {
    switch (spec->dot) {
    case ATTN_DOT_I16: return 32 / (2 * 65535.0);
    case ATTN_DOT_I8: return 32 / (2 * 255.0);
    case ATTN_DOT_BF16: return ldexp(1, -8);
    default: return 0;
    }
}

static key_score score_key(row_state *r, int32_t key, const double *q, const double *k,
                           int32_t dim) {
    double bias, dot = 0, size = 0;
    if (!unmasked(r, key, &bias) || !expr_visible(r, key)) return (key_score){0};
    for (int32_t d = 0; d < dim; d++) {
        double x = q[d] * k[d];
        dot += x;
        size += fabs(x);
    }
    double scale = (double)r->spec->core.scale, s = scale * dot;
    size *= fabs(scale);
    double own = final_score(r, key, s), value = own + bias;
    /* -inf hides the key, also where s is NaN; not if it is s itself that is infinite. */
    bool hidden = value == -INFINITY;
    if (hidden && !isfinite(s)) hidden = final_score(r, key, 0) + bias == -INFINITY;
    if (hidden) return (key_score){0};
    if (!isfinite(s)) r->any = true;
    if (!isfinite(value)) r->any = true;
    double weight = fmax(fabs(own), fabs(value));
    if (!isfinite(value)) return (key_score){true, value, weight, 0};
    const double steep = slope(r, key, s, own, size);
    const double slack = fabs(scale) * dot_slack(&r->spec->core, q, k, dim);
    return (key_score){true, value, weight + steep * size, steep * slack};
}

static double max_abs(const double *v, int32_t n) {
    double most = 0;
    for (int32_t d = 0; d < n; d++)
        if (fabs(v[d]) > most) most = fabs(v[d]);
    return most;
}

/* The row's visible keys lie in first..last, inclusive; of a tail those that op_shows. */
static void key_range(const row_state *r, int32_t *first, int32_t *last) {
    if (r->args->tail) {
        *first = 0, *last = r->at.kv_len - 1;
        return;
    }
    const attn_args *a = r->args;
    const attn_spec *spec = &r->spec->core;
    int64_t lo, hi, position = r->p;
    if (spec->op == ATTN_OP_SEGMENT_CROSS) position = a->seg[r->b * a->seg_batch + r->first + r->i];
    oracle_range(spec, position, &lo, &hi);
    if (lo < 0) lo = 0;
    if (hi > r->at.kv_len - 1) hi = r->at.kv_len - 1;
    if (hi < lo) lo = 0, hi = -1;
    *first = (int32_t)lo;
    *last = (int32_t)hi;
}

static bool op_shows(const row_state *r, int32_t key) {
    int64_t lo, hi;
    if (!r->args->tail) return true;
    oracle_range(&r->spec->core, r->p, &lo, &hi);
    return lo <= key_position(r, key) && key_position(r, key) <= hi;
}

/* The n-th key of a row; -1: it is none that the op shows. */
static int32_t key_of(const row_state *r, int32_t first, int32_t last, int64_t n) {
    const attn_args *a = r->args;
    if (r->spec->core.select != ATTN_SELECT_INDEX) return (int32_t)(first + n);
    const int64_t head = r->h / (r->spec->core.heads / r->spec->core.kv_heads);
    const int64_t item = a->q_begin ? 0 : r->b, row = r->first + r->i;
    const int32_t k =
        a->index[item * a->index_batch + head * a->index_head + row * a->index_row + n];
    return k < first || k > last ? -1 : k;
}

/* How many keys key_of has. */
static int64_t key_count(const row_state *r, int32_t first, int32_t last) {
    const attn_args *a = r->args;
    if (r->spec->core.select != ATTN_SELECT_INDEX) return (int64_t)last - first + 1;
    return a->index_count[(a->q_begin ? 0 : r->b) * a->index_count_batch + r->first + r->i];
}

static const double *head_rows(const oracle_view *v, int64_t b, int64_t h) {
    return v->data + b * v->batch + h * v->head;
}

static void run_row(row_state *r, key_score *score, double *o, oracle_row *out) {
    const attn_spec *spec = &r->spec->core;
    const attn_args *a = r->args;
    int32_t dim = attn_spec_k_dim(spec), v_dim = spec->v_dim, first, last;
    const double *q =
        head_rows(&r->qkv[0], a->q_begin ? 0 : r->b, r->h) + (r->first + r->i) * r->qkv[0].token;
    const double *k = head_rows(&r->qkv[1], r->b, r->h / (spec->heads / spec->kv_heads));
    const double *v = head_rows(&r->qkv[2], r->b, r->h / (spec->heads / spec->v_heads));
    const int64_t k_step = r->qkv[1].token, v_step = r->qkv[2].token;
    key_range(r, &first, &last);

    bool sink = spec->sinks && a->sinks[r->h] != -INFINITY;
    double most = sink ? (double)a->sinks[r->h] : -INFINITY, weight = 0, v_most = 0, loose = 0;
    *out = (oracle_row){0};
    const int64_t count = key_count(r, first, last);
    for (int64_t n = 0; n < count; n++) {
        const int32_t j = key_of(r, first, last, n);
        if (j < 0) continue;
        score[j] = (key_score){0};
        if (op_shows(r, j)) score[j] = score_key(r, j, q, k + j * k_step, dim);
        if (!score[j].visible) continue;
        out->visible++;
        if (score[j].s > most) most = score[j].s;
        if (score[j].weight > weight) weight = score[j].weight;
        if (score[j].loose > loose) loose = score[j].loose;
        double size = max_abs(v + j * v_step, v_dim);
        if (size > v_most) v_most = size;
    }
    double sum = sink ? exp((double)a->sinks[r->h] - most) : 0;
    memset(o, 0, (size_t)v_dim * sizeof *o);
    for (int64_t n = 0; n < count; n++) {
        const int32_t j = key_of(r, first, last, n);
        if (j < 0 || !score[j].visible) continue;
        double p = exp(score[j].s - most);
        sum += p;
        for (int32_t d = 0; d < v_dim; d++) o[d] += p * v[j * v_step + d];
    }
    if (out->visible)
        for (int32_t d = 0; d < v_dim; d++) o[d] /= sum;
    out->lse = sum <= 0 && !r->any ? -INFINITY : most + log(sum); /* NaN stays NaN */
    out->dot = (exp(2 * loose) - 1 + dot_p(spec)) * v_most;
    /* Products below 2^-126 may count as zero, beside a sum of P of 2^-60. */
    if (spec->dot == ATTN_DOT_BF16) out->dot += out->visible * 0x1p-66;
    out->bound = (4e-6 + SCORE_ROUNDING * weight) * v_most + out->dot;
    out->lse_bound = 1e-6 + SCORE_ROUNDING * weight + loose;
    out->lse_dot = loose;
    out->any = r->any || r->bad_index;
    out->bad_index = r->bad_index;
}

/* Rows of an item, or of all that lie in a row. */
static int32_t rows_of(const attn_args *a) {
    return a->q_begin ? a->q_begin[a->batch] : a->q_len;
}

static int32_t items_of(const attn_args *a) {
    return a->q_begin ? 1 : a->batch;
}

static void run_item(const kernel_spec *spec, const attn_args *a, const oracle_view *qkv, int32_t b,
                     key_score *score, oracle *out) {
    int32_t q_start = a->q_start ? a->q_start[b] : 0;
    int32_t kv_len = a->kv_len ? a->kv_len[b] : a->kv_len_max;
    const int32_t first = a->q_begin ? a->q_begin[b] : 0, item = a->q_begin ? 0 : b;
    const int32_t count = a->q_begin ? a->q_begin[b + 1] - first : a->q_len;
    for (int32_t h = 0; h < spec->core.heads; h++) {
        for (int32_t i = 0; i < count; i++) {
            int64_t p = (int64_t)q_start + i;
            if (a->q_position) p = a->q_position[b * a->q_position_batch + first + i];
            int64_t at = ((int64_t)item * spec->core.heads + h) * rows_of(a) + first + i;
            row_state r = {.spec = spec, .args = a, .qkv = qkv, .b = b, .h = h, .i = i, .p = p};
            r.first = first;
            r.at = (expr_point){.b = b,
                                .h = h,
                                .q = (int32_t)(uint32_t)p,
                                .q_start = q_start,
                                .q_len = count,
                                .q_len_max = a->q_len,
                                .kv_len = kv_len,
                                .batch = a->batch,
                                .kv_len_max = a->kv_len_max,
                                .side = a->side,
                                .scalars = a->scalars};
            run_row(&r, score, out->o + at * spec->core.v_dim, &out->row[at]);
        }
    }
}

void oracle_run_double(arena *a, const kernel_spec *spec, const attn_args *args,
                       const oracle_view qkv[3], oracle *out) {
    size_t rows = (size_t)items_of(args) * (size_t)spec->core.heads * (size_t)rows_of(args);
    out->o = arena_alloc(a, rows * (size_t)spec->core.v_dim * sizeof *out->o);
    out->row = arena_alloc(a, rows * sizeof *out->row);
    key_score *score = arena_alloc(a, ((size_t)args->kv_len_max + 1) * sizeof *score);
    for (int32_t b = 0; b < args->batch; b++) run_item(spec, args, qkv, b, score, out);
}

/* Which tokens of each item exist, and where: of keys that lie in pages, by their table. */
typedef struct tokens_of {
    int32_t count;       /* tokens of an item at most */
    const int32_t *len;  /* null: all exist */
    const attn_args *in; /* whose pages; null: dense */
    int32_t page;        /* keys of one */
} tokens_of;

/* -1: nowhere, an entry that is no page. */
static int64_t token_at(const tokens_of *n, const attn_view *from, int64_t b, int64_t h,
                        int64_t t) {
    if (!n->in) return b * from->batch + h * from->head + t * from->token;
    const int64_t page = n->in->pages[b * n->in->pages_batch + t / n->page];
    if (page < 0 || page >= n->in->page_count) return -1;
    return page * from->batch + h * from->head + t % n->page * from->token;
}

/* A dense copy in double of what is stored. */
static oracle_view widen(arena *a, const attn_view *from, int32_t type, int32_t batch,
                         int32_t heads, const tokens_of *n, int32_t width) {
    const int32_t tokens = n->count, *len = n->len;
    const int64_t head = (int64_t)tokens * width;
    double *data = arena_alloc(a, (size_t)(batch * heads * head) * sizeof *data + 1);
    oracle_view to = {data, heads * head, head, width};
    for (int64_t b = 0; b < batch; b++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t t = 0; t < (len ? len[b] : tokens); t++) {
                const int64_t at = token_at(n, from, b, h, t);
                if (at < 0) continue;
                double *wide = data + b * to.batch + h * to.head + t * to.token;
                for (int32_t d = 0; d < width; d++)
                    wide[d] = stored_value(type, from->data, at + d);
            }
    return to;
}

/* Codes times the scale of their row. */
static void widen_scaled(const oracle_view *to, const attn_scales *scale, int32_t batch,
                         int32_t heads, const tokens_of *n, int32_t width) {
    double *data = (double *)(uintptr_t)to->data;
    const attn_view from = {scale->data, scale->batch, scale->head, scale->token};
    for (int64_t b = 0; b < batch; b++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t t = 0; t < (n->len ? n->len[b] : n->count); t++) {
                const int64_t at = token_at(n, &from, b, h, t);
                for (int32_t d = 0; at >= 0 && d < width; d++)
                    data[b * to->batch + h * to->head + t * to->token + d] *=
                        (double)scale->data[at];
            }
}

/* Rule 4 of storage types, entry by entry: x = H x for each block of n of the last `width` columns
 * of a row. */
static void turn_row(arena *a, double *x, int32_t width) {
    int32_t n = 1;
    while (width % (2 * n) == 0) n *= 2;
    double *y = arena_alloc(a, (size_t)n * sizeof *y);
    for (int32_t from = 0; from < width; from += n) {
        for (int32_t i = 0; i < n; i++) {
            y[i] = 0;
            for (int32_t j = 0; j < n; j++)
                y[i] += (__builtin_popcount((unsigned)(i & j)) & 1 ? -1 : 1) * x[from + j];
        }
        for (int32_t i = 0; i < n; i++) x[from + i] = y[i] / sqrt(n);
    }
}

void oracle_turn(arena *a, const attn_spec *s, double *row) {
    const bool shared = s->form == ATTN_FORM_MLA && s->key == ATTN_KEY_SHARED;
    const int32_t dim = attn_spec_k_dim(s), width = shared ? s->retr_dim : dim;
    if (s->rotate) turn_row(a, row + dim - width, width);
}

static void turn_queries(arena *a, const attn_spec *s, const attn_args *args, oracle_view *q) {
    const int64_t dim = attn_spec_k_dim(s),
                  rows = (int64_t)items_of(args) * s->heads * rows_of(args);
    for (int64_t i = 0; i < rows; i++) oracle_turn(a, s, (double *)(uintptr_t)q->data + i * dim);
}

void oracle_run(arena *a, const kernel_spec *spec, const attn_args *args, oracle *out) {
    const attn_spec *s = &spec->core;
    const int32_t dim = attn_spec_k_dim(s);
    const attn_types type = attn_spec_types(s);
    const tokens_of rows = {.count = rows_of(args)};
    const tokens_of keys = {args->kv_len_max, args->kv_len, args->pages ? args : NULL, s->page};
    oracle_view qkv[3] = {widen(a, &args->q, type.q, items_of(args), s->heads, &rows, dim),
                          widen(a, &args->k, type.k, args->batch, s->kv_heads, &keys, dim),
                          widen(a, &args->v, type.v, args->batch, s->v_heads, &keys, s->v_dim)};
    turn_queries(a, s, args, &qkv[0]);
    if (attn_spec_scaled(s)) {
        const bool own = args->v_scale.data; /* else V lies in K's rows */
        widen_scaled(&qkv[1], &args->k_scale, args->batch, s->kv_heads, &keys, dim);
        widen_scaled(&qkv[2], own ? &args->v_scale : &args->k_scale, args->batch, s->v_heads, &keys,
                     s->v_dim);
    }
    oracle_run_double(a, spec, args, qkv, out);
}

double oracle_rounding(int32_t type) {
    const attn_type_row row = attn_type_get(type);
    return type == ATTN_TYPE_F32 ? 0 : ldexp(1, row.exponent - row.bits);
}

/* Half of the smallest value, and what halfway past the largest becomes infinity. */
static double smallest_half(const attn_type_row *row) {
    return ldexp(1, 3 - (1 << (row->exponent - 1)) - row->bits + row->exponent - 1);
}
static double infinite_from(const attn_type_row *row) {
    const double half = ldexp(1, row->exponent - row->bits);
    return ldexp(1 - half / 2, 1 << (row->exponent - 1));
}

double oracle_fraction(const oracle_row *w, int32_t type, double got, double want) {
    const attn_type_row row = attn_type_get(type);
    double bound = w->bound;
    if (type != ATTN_TYPE_F32) {
        if (isinf(got) && got * want > 0 && fabs(want) + bound >= infinite_from(&row)) return 0;
        bound += (fabs(want) + bound) * oracle_rounding(type) + smallest_half(&row);
    }
    if (!isfinite(got)) return INFINITY;
    const double error = fabs(got - want);
    return error == 0 ? 0 : error / bound;
}
