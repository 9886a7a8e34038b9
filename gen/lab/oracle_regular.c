/* oracle_regular.c - the core as every form calls it, and attention of form regular. */
#include "layer_oracle.h"

#include "stored.h"

#include <math.h>
#include <string.h>

oracle_view attention_view(const rows *x, int32_t heads) {
    return (oracle_view){x->data, (int64_t)x->tokens * x->width, x->width / heads, x->width};
}

static attn_args core_args(const layer *l, const float *sinks) {
    const block_case *c = l->c;
    attn_args args = ATTN_ARGS_INIT;
    args.batch = c->batch;
    args.q_len = c->tokens;
    args.kv_len_max = c->past + block_keys(c);
    if (l->two_inputs || c->past) {
        int32_t *start = arena_alloc(l->a, ((size_t)c->batch + 1) * sizeof *start);
        for (int32_t b = 0; b < c->batch; b++) start[b] = c->past ? c->past : c->position;
        args.q_start = start;
    } else {
        args.kv_len = c->length;
    }
    if (!l->two_inputs && c->q_pos) { /* keys are the rows, and stand where these do */
        int32_t *tail = arena_alloc(l->a, ((size_t)c->batch + 1) * sizeof *tail);
        for (int32_t b = 0; b < c->batch; b++) tail[b] = c->length ? c->length[b] : c->tokens;
        args.tail = tail;
        args.q_position = args.k_position = c->q_pos;
        args.q_position_batch = args.k_position_batch = c->tokens;
    }
    args.seg = c->seg;
    args.seg_batch = c->tokens;
    args.key_padding = c->key_padding;
    args.key_padding_batch = args.kv_len_max;
    if (c->mask) args.mask = *c->mask;
    args.index = c->index, args.index_count = c->index_count;
    args.index_row = c->index_each, args.index_head = c->tokens * args.index_row;
    args.index_batch = l->s->kv_heads * args.index_head, args.index_count_batch = c->tokens;
    args.sinks = sinks;
    args.side = c->side;
    args.side_count = c->spec->tensor_count;
    args.scalars = c->scalars;
    args.scalar_count = c->spec->scalar_count;
    return args;
}

/* What `dot` may add to element i of a row, in one direction or the other. */
static double dot_lean(const layer *l, const oracle_row *row, int64_t i) {
    const bool up = (uint64_t)i * 0x9e3779b97f4a7c15u >> 63;
    return l->c->lean * (up ? 1 : -1) * row->dot / 4;
}

rows attention_core(const layer *l, const float *sinks, const rows *q, oracle_view k,
                    oracle_view v) {
    const attn_spec *s = l->s;
    const attn_args args = core_args(l, sinks);
    const int64_t dim = attn_spec_k_dim(s);
    for (int64_t i = 0; i < rows_count(q) * s->heads; i++) oracle_turn(l->a, s, q->data + i * dim);
    const oracle_view qkv[3] = {attention_view(q, s->heads), k, v};
    oracle got;
    oracle_run_double(l->a, l->c->spec, &args, qkv, &got);
    rows o = rows_new(l, l->c->tokens, s->heads * s->v_dim, l->live);
    for (int64_t i = 0; i < rows_count(&o); i++)
        for (int64_t h = 0; o.live[i] && h < s->heads; h++) {
            const int64_t from = (i / o.tokens * s->heads + h) * o.tokens + i % o.tokens;
            double *to = rows_at(&o, i) + h * s->v_dim;
            memcpy(to, got.o + from * s->v_dim, (size_t)s->v_dim * sizeof(double));
            for (int64_t d = 0; d < s->v_dim; d++)
                to[d] += dot_lean(l, &got.row[from], from * s->v_dim + d);
        }
    return o;
}

static void round_part(const layer *l, double *x, int32_t width) {
    const int32_t type = attn_spec_types(l->s).k;
    const double most = rows_largest(x, width);
    for (int32_t d = 0; d < width; d++)
        x[d] = stored_rounded(type, x[d] + l->c->lean * BLOCK_DOUBT * most);
}

/* A row with a scale, rounded by its largest element, after H of keys (block_oracle.h, lean). */
static void round_codes(const layer *l, double *x, int32_t width, bool keys) {
    const double before = rows_largest(x, width);
    if (keys) oracle_turn(l->a, l->s, x);
    const double most = rows_largest(x, width), step = most / 127;
    const double doubt = BLOCK_DOUBT * fmax(before / most, 1) + 0x1p-22;
    for (int32_t d = 0; d < width; d++) {
        if (!isfinite(most) || most < 0x1p-100) {
            x[d] = isfinite(most) ? 0 : NAN;
            continue;
        }
        const double code = rint(x[d] / step + l->c->lean * 2 * 127 * doubt);
        x[d] = fmin(fabs(code), 127) * step *
               (code < 0 ? -1 + l->c->lean * doubt : 1 + l->c->lean * doubt);
    }
}

void attention_round(const layer *l, const rows *x, int32_t heads, int32_t front, bool keys) {
    const int32_t width = x->width / heads;
    for (int64_t i = 0; i < rows_count(x) * heads; i++) {
        double *row = x->data + i * width;
        if (attn_spec_scaled(l->s)) {
            round_codes(l, row, width, keys);
            continue;
        }
        round_part(l, row, front);
        round_part(l, row + front, width - front);
    }
}

void attention_store(const rows *x, int32_t heads, double *cache) {
    const int64_t width = x->width / heads;
    for (int64_t i = 0; cache && i < rows_count(x); i++)
        for (int64_t h = 0; x->live[i] && h < heads; h++)
            memcpy(cache + ((i / x->tokens * heads + h) * x->tokens + i % x->tokens) * width,
                   rows_at(x, i) + h * width, (size_t)width * sizeof(double));
}

/* Rows of a cache, then those of x: what the core sees. */
static rows attention_with_past(const layer *l, const float *cache, const rows *x, int32_t heads) {
    const int32_t past = l->c->past, width = x->width / heads;
    if (!past) return *x;
    rows all = rows_new(l, past + x->tokens, x->width, NULL);
    for (int64_t b = 0; b < all.batch; b++) {
        double *to = rows_at(&all, b * all.tokens);
        for (int64_t h = 0; h < heads; h++) {
            const float *from = cache + (b * heads + h) * l->c->past_capacity * width;
            for (int64_t i = 0; i < past; i++)
                for (int32_t d = 0; d < width; d++)
                    to[i * x->width + h * width + d] = (double)from[i * width + d];
        }
        memcpy(to + (int64_t)past * x->width, rows_at(x, b * x->tokens),
               (size_t)x->tokens * (size_t)x->width * sizeof *to);
    }
    return all;
}

static norm qk_norm(layer *l, const char *name, int32_t heads) {
    const attn_spec *s = l->s;
    norm n = {.eps = (double)s->norm_eps, .offset = s->norm_offset};
    if (!s->qk_norm) return n;
    n.kind =
        s->qk_norm_kind == ATTN_QK_NORM_KIND_LAYERNORM ? ATTN_NORM_LAYERNORM : ATTN_NORM_RMSNORM;
    if (s->qk_norm_weights == ATTN_QK_NORM_WEIGHTS_NONE) return n;
    if (s->qk_norm_over == ATTN_QK_NORM_OVER_ALL) {
        n.w = weight_need(l, name, 1, heads * s->head_dim, 0, 0);
    } else if (s->qk_norm_weights == ATTN_QK_NORM_WEIGHTS_HEADS) {
        n.w = weight_need(l, name, 2, heads, s->head_dim, 0);
        n.own = s->head_dim;
    } else {
        n.w = weight_need(l, name, 1, s->head_dim, 0, 0);
    }
    return n;
}

regular regular_weights(layer *l) {
    const attn_spec *s = l->s;
    const int32_t q = s->heads * s->head_dim, k = s->kv_heads * s->head_dim;
    const int32_t v = s->v_heads * s->v_dim, in = block_width(s);
    const int32_t kv_in = l->two_inputs ? s->kv_dim : in;
    const int64_t all = (int64_t)q + k + v, both = (int64_t)k + v;
    regular w = {0};
    w.q = weight_projection(l, (place[]){{"qkv", 0, all}, {"q_proj", 0, q}}, 2, q, in, s->q_bias);
    w.k = weight_projection(l, (place[]){{"qkv", q, all}, {"kv_proj", 0, both}, {"k_proj", 0, k}},
                            3, k, kv_in, s->k_bias);
    w.v =
        weight_projection(l, (place[]){{"qkv", q + k, all}, {"kv_proj", k, both}, {"v_proj", 0, v}},
                          3, v, kv_in, s->v_bias);
    w.o = weight_own(l, "o_proj", in, s->heads * s->v_dim, s->o_bias);
    if (s->o_gate != ATTN_O_GATE_NONE)
        w.gate = weight_own(l, "o_gate", s->heads * (s->o_gate == ATTN_O_GATE_HEAD ? 1 : s->v_dim),
                            in, false);
    w.q_norm = qk_norm(l, "q_norm.weight", s->heads);
    w.k_norm = qk_norm(l, "k_norm.weight", s->kv_heads);
    if (s->sinks) w.sinks = weight_need(l, "sinks", 1, s->heads, 0, 0);
    return w;
}

/* Each head of a row, or all of them as one vector. */
static void norm_heads(const layer *l, const norm *n, const rows *x, int32_t heads) {
    const int32_t parts = l->s->qk_norm_over == ATTN_QK_NORM_OVER_ALL ? 1 : heads;
    const int32_t width = x->width / parts;
    for (int64_t i = 0; i < rows_count(x); i++)
        for (int32_t h = 0; x->live[i] && h < parts; h++) {
            norm own = *n;
            if (own.w) own.w += (int64_t)h * n->own;
            rows_normalise(&own, rows_at(x, i) + (int64_t)h * width, width);
        }
}

/* Queries or keys, normed and rotated. */
static void norm_and_rotate(const layer *l, const norm *n, const rows *x, int32_t heads,
                            const int32_t *position) {
    const bool after = l->s->qk_norm_place == ATTN_QK_NORM_PLACE_AFTER;
    if (!after) norm_heads(l, n, x, heads);
    rows_rotate(l, x, heads, 0, position);
    if (after) norm_heads(l, n, x, heads);
}

/* Queries, by their positions. */
static void grow(const layer *l, const rows *q) {
    const attn_spec *s = l->s;
    for (int64_t i = 0; i < rows_count(q); i++) {
        const double at = (double)l->q_position[i] + s->q_growth_offset;
        const double factor = 1 + (double)s->q_growth * log(1 + floor(at / s->q_growth_every));
        for (int32_t d = 0; d < q->width; d++) rows_at(q, i)[d] *= factor;
    }
}

/* What the heads saw, times sigmoid of a product of the rows that queries are made of. */
static void apply_gate(const layer *l, const linear *gate, const rows *x, const rows *seen) {
    const rows z = rows_apply(l, gate, x);
    const int32_t columns = seen->width / z.width; /* of one gate */
    for (int64_t i = 0; i < rows_count(seen); i++)
        for (int32_t d = 0; seen->live[i] && d < seen->width; d++)
            rows_at(seen, i)[d] /= 1 + exp(-rows_at(&z, i)[d / columns]);
}

rows regular_attention(const layer *l, const regular *w, const rows *x, const rows *from) {
    const attn_spec *s = l->s;
    rows q = rows_apply(l, &w->q, x), k = rows_apply(l, &w->k, from),
         v = rows_apply(l, &w->v, from);
    norm_and_rotate(l, &w->q_norm, &q, s->heads, l->q_position);
    if (s->q_growth != 0) grow(l, &q);
    norm_and_rotate(l, &w->k_norm, &k, s->kv_heads, l->k_position);
    attention_round(l, &k, s->kv_heads, 0, true);
    attention_round(l, &v, s->v_heads, 0, false);
    attention_store(&k, s->kv_heads, l->c->cache_k);
    attention_store(&v, s->v_heads, l->c->cache_v);
    k = attention_with_past(l, l->c->past_k, &k, s->kv_heads);
    v = attention_with_past(l, l->c->past_v, &v, s->v_heads);
    const rows o = attention_core(l, w->sinks, &q, attention_view(&k, s->kv_heads),
                                  attention_view(&v, s->v_heads));
    if (w->gate.w) apply_gate(l, &w->gate, x, &o);
    return rows_apply(l, &w->o, &o);
}
