/* block_oracle.c - runtime/CONTRACT.md, "Layers", in double: slow and plain. */
#include "block_oracle.h"
#include "oracle.h"
#include "spec.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

/* Rows of activations [batch, tokens, width]; those that do not exist are 0 and stay so. */
typedef struct rows {
    int32_t batch, tokens, width;
    const bool *live; /* [batch * tokens] */
    double *data;
} rows;

/* y = W x + b, W [out, in]. */
typedef struct linear {
    const float *w, *b; /* b null: none */
    int32_t out, in;
} linear;

typedef struct norm {
    int32_t kind; /* attn_norm */
    const float *w, *b;
    double eps;
    bool offset;
} norm;

/* A run in the making. */
typedef struct layer {
    arena *a;
    const block_case *c;
    const attn_spec *s;
    bool *used; /* by weight */
    buf error;
    block_tensor *list; /* block_weight_list's, or null */
    int listed, list_size;
    bool two_inputs; /* keys come from kv */
    bool *live;      /* rows of x */
    bool *kv_live;   /* rows that keys are made of */
    double *angle;   /* of the rotated pairs */
    const int32_t *q_position, *k_position;
} layer;

int32_t block_width(const attn_spec *spec) {
    return spec->op == ATTN_OP_SEGMENT_CROSS ? spec->q_dim : spec->d_model;
}

static bool has_two_inputs(const attn_spec *s) {
    return s->kv_dim != ATTN_UNSET;
}

int32_t block_keys(const block_case *c) {
    return has_two_inputs(&c->spec->core) ? c->kv_tokens : c->tokens;
}

static bool is_mla(const attn_spec *s) {
    return s->form == ATTN_FORM_MLA;
}

static bool is_shared(const attn_spec *s) {
    return is_mla(s) && s->key == ATTN_KEY_SHARED;
}

int64_t block_cache_k_size(const block_case *c) {
    const attn_spec *s = &c->spec->core;
    return (int64_t)c->batch * s->kv_heads * block_keys(c) * attn_spec_k_dim(s);
}

int64_t block_cache_v_size(const block_case *c) {
    const attn_spec *s = &c->spec->core;
    return is_shared(s) ? 0 : (int64_t)c->batch * s->v_heads * block_keys(c) * s->v_dim;
}

/* --- Weights --- */

static const block_tensor *find(const layer *l, const char *name) {
    for (int i = 0; i < l->c->weight_count; i++)
        if (strcmp(l->c->weight[i].name, name) == 0) return &l->c->weight[i];
    return NULL;
}

static void complain(layer *l, const char *name, const char *what) {
    buf_printf(&l->error, "%s%s: %s", l->error.len ? "; " : "", name, what);
}

static const char *shape_text(arena *a, int rank, const int64_t *dim) {
    buf b = buf_new(a);
    for (int i = 0; i < rank; i++) buf_printf(&b, "%s%lld", i ? ", " : "", (long long)dim[i]);
    return b.data;
}

/* The weight of this name and shape; null with a complaint. */
static const float *need(layer *l, const char *name, int rank, int64_t d0, int64_t d1, int64_t d2) {
    const block_tensor *t = find(l, name);
    const int64_t dim[3] = {d0, d1, d2};
    if (l->list) {
        if (l->listed < l->list_size)
            l->list[l->listed] = (block_tensor){name, NULL, rank, {d0, d1, d2, 0}};
        l->listed++;
        return NULL;
    }
    if (!t) {
        complain(l, name, arena_printf(l->a, "missing, [%s]", shape_text(l->a, rank, dim)));
        return NULL;
    }
    l->used[t - l->c->weight] = true;
    bool fits = t->rank == rank;
    for (int i = 0; fits && i < rank; i++) fits = t->dim[i] == dim[i];
    if (fits) return t->data;
    complain(l, name,
             arena_printf(l->a, "its shape is [%s] and must be [%s]",
                          shape_text(l->a, t->rank < 4 ? t->rank : 4, t->dim),
                          shape_text(l->a, rank, dim)));
    return NULL;
}

/* Where the rows of a projection may lie: from `first` of `total` in this weight. */
typedef struct place {
    const char *name;
    int64_t first, total;
} place;

/* The first place that is there; the last one, the projection's own, is what is missing if none. */
static linear projection(layer *l, const place *at, int places, int32_t out, int32_t in,
                         bool bias) {
    int i = 0;
    while (i < places - 1 && !find(l, arena_printf(l->a, "%s.weight", at[i].name))) i++;
    linear p = {.out = out, .in = in};
    const char *weight = arena_printf(l->a, "%s.weight", at[i].name);
    p.w = need(l, weight, 2, at[i].total, in, 0);
    if (p.w) p.w += at[i].first * in;
    if (!bias) return p;
    p.b = need(l, arena_printf(l->a, "%s.bias", at[i].name), 1, at[i].total, 0, 0);
    if (p.b) p.b += at[i].first;
    return p;
}

static linear own(layer *l, const char *name, int32_t out, int32_t in, bool bias) {
    return projection(l, &(place){name, 0, out}, 1, out, in, bias);
}

static norm layer_norm(layer *l, const char *name) {
    const attn_spec *s = l->s;
    norm n = {.kind = s->norm, .eps = (double)s->norm_eps, .offset = s->norm_offset};
    if (n.kind == ATTN_NORM_NONE) return n;
    n.w = need(l, arena_printf(l->a, "%s.weight", name), 1, block_width(s), 0, 0);
    if (s->norm_bias) n.b = need(l, arena_printf(l->a, "%s.bias", name), 1, block_width(s), 0, 0);
    return n;
}

/* The norms inside the attention are always rms, with no bias. */
static norm inner_norm(layer *l, const char *name, int32_t width) {
    const attn_spec *s = l->s;
    return (norm){.kind = ATTN_NORM_RMSNORM,
                  .eps = (double)s->norm_eps,
                  .offset = s->norm_offset,
                  .w = need(l, arena_printf(l->a, "%s.weight", name), 1, width, 0, 0)};
}

/* Whatever nobody asked for is a mistake, but for what sliding mla layers carry along. */
static void unused(layer *l) {
    const bool spare = is_mla(l->s) && !is_shared(l->s) && l->s->op == ATTN_OP_SLIDING_SELF;
    for (int i = 0; i < l->c->weight_count; i++) {
        const char *name = l->c->weight[i].name;
        if (l->used[i] || (spare && strcmp(name, "o_proj.weight") == 0)) continue;
        complain(l, name, "is no weight of this layer");
    }
}

/* --- Arithmetic on rows --- */

static rows new_rows(const layer *l, int32_t tokens, int32_t width, const bool *live) {
    rows r = {l->c->batch, tokens, width, live, NULL};
    size_t count = (size_t)r.batch * (size_t)tokens * (size_t)width;
    r.data = arena_alloc(l->a, (count + 1) * sizeof *r.data);
    return r;
}

static int64_t row_count(const rows *r) {
    return (int64_t)r->batch * r->tokens;
}

static double *row(const rows *r, int64_t i) {
    return r->data + i * r->width;
}

/* y = W x */
static void multiply(const float *w, int32_t out, int32_t in, const double *x, double *y) {
    for (int32_t o = 0; o < out; o++) {
        double sum = 0;
        for (int32_t i = 0; i < in; i++) sum += (double)w[(int64_t)o * in + i] * x[i];
        y[o] = sum;
    }
}

/* y = x W, W [in, out] */
static void multiply_left(const double *x, const float *w, int32_t in, int32_t out, double *y) {
    for (int32_t o = 0; o < out; o++) {
        double sum = 0;
        for (int32_t i = 0; i < in; i++) sum += x[i] * (double)w[(int64_t)i * out + o];
        y[o] = sum;
    }
}

static rows apply(const layer *l, const linear *p, const rows *x) {
    rows y = new_rows(l, x->tokens, p->out, x->live);
    for (int64_t i = 0; i < row_count(x); i++) {
        if (!x->live[i]) continue;
        multiply(p->w, p->out, p->in, row(x, i), row(&y, i));
        for (int32_t o = 0; p->b && o < p->out; o++) row(&y, i)[o] += (double)p->b[o];
    }
    return y;
}

/* One vector, in place. layernorm: mean and variance (over n); rmsnorm: mean square. */
static void normalise(const norm *n, double *x, int32_t width) {
    if (n->kind == ATTN_NORM_NONE) return;
    double mean = 0, square = 0;
    if (n->kind == ATTN_NORM_LAYERNORM)
        for (int32_t i = 0; i < width; i++) mean += x[i] / width;
    for (int32_t i = 0; i < width; i++) square += (x[i] - mean) * (x[i] - mean) / width;
    for (int32_t i = 0; i < width; i++) {
        const double weight = n->offset ? 1 + (double)n->w[i] : (double)n->w[i];
        x[i] = (x[i] - mean) / sqrt(square + n->eps) * weight;
        if (n->b) x[i] += (double)n->b[i];
    }
}

static rows normed(const layer *l, const norm *n, const rows *x) {
    rows y = new_rows(l, x->tokens, x->width, x->live);
    for (int64_t i = 0; i < row_count(x); i++) {
        if (!x->live[i]) continue;
        memcpy(row(&y, i), row(x, i), (size_t)x->width * sizeof(double));
        normalise(n, row(&y, i), x->width);
    }
    return y;
}

static rows sum(const layer *l, const rows *x, const rows *y) {
    rows z = new_rows(l, x->tokens, x->width, x->live);
    for (int64_t i = 0; i < row_count(x) * x->width; i++) z.data[i] = x->data[i] + y->data[i];
    return z;
}

/* --- RoPE --- */

/* The pair, as a real number, that turns `rotations` times within the trained length. */
static double yarn_pair(const attn_spec *s, double rotations) {
    return s->rope_dim * log((double)s->rope_original / (rotations * 2 * PI)) /
           (2 * log((double)s->rope_base));
}

/* 0: the angle stays, 1: it is divided by the factor. */
static double yarn_ramp(const attn_spec *s, int32_t pair) {
    double low = yarn_pair(s, (double)s->rope_high), high = yarn_pair(s, (double)s->rope_low);
    if (s->rope_truncate) {
        low = floor(low);
        high = ceil(high);
    }
    if (low < 0) low = 0;
    if (high > s->rope_dim - 1) high = s->rope_dim - 1;
    if (low == high) high += 0.001;
    const double ramp = (pair - low) / (high - low);
    return ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
}

static double llama3_angle(const attn_spec *s, double angle) {
    const double length = 2 * PI / angle, trained = (double)s->rope_original;
    const double low = (double)s->rope_low, high = (double)s->rope_high;
    if (length < trained / high) return angle;
    const double slow = angle / (double)s->rope_factor;
    if (length > trained / low) return slow;
    const double smooth = (trained / length - low) / (high - low);
    return (1 - smooth) * slow + smooth * angle;
}

static double scaled_angle(const attn_spec *s, int32_t pair, double angle) {
    const double slow = angle / (double)s->rope_factor;
    switch (s->rope_scaling) {
    case ATTN_ROPE_SCALING_LINEAR: return slow;
    case ATTN_ROPE_SCALING_LLAMA3: return llama3_angle(s, angle);
    case ATTN_ROPE_SCALING_YARN: {
        const double ramp = yarn_ramp(s, pair);
        return ramp * slow + (1 - ramp) * angle;
    }
    default: return angle;
    }
}

void block_rope_angles(const attn_spec *s, double *angle) {
    for (int32_t i = 0; s->rope != ATTN_ROPE_NONE && i < s->rope_dim / 2; i++)
        angle[i] = scaled_angle(s, i, pow((double)s->rope_base, -2.0 * i / s->rope_dim));
}

double block_rope_mscale(const attn_spec *s) {
    return s->rope_scaling == ATTN_ROPE_SCALING_YARN ? (double)s->rope_mscale : 1;
}

/* Rotates the first rope_dim components of a head. */
static void rotate(const layer *l, double *x, int32_t position) {
    const attn_spec *s = l->s;
    if (s->rope == ATTN_ROPE_NONE) return;
    const int32_t pairs = s->rope_dim / 2;
    const bool half = s->rope == ATTN_ROPE_HALF;
    const double scale = block_rope_mscale(s);
    for (int32_t i = 0; i < pairs; i++) {
        double *re = x + (half ? i : 2 * i), *im = x + (half ? i + pairs : 2 * i + 1);
        const double turn = position * l->angle[i], a = *re, b = *im;
        const double cosine = scale * cos(turn), sine = scale * sin(turn);
        *re = a * cosine - b * sine;
        *im = b * cosine + a * sine;
    }
}

/* Every head of every row: x rows are [heads, step], rotation starts `at` into a head. */
static void rotate_rows(const layer *l, const rows *x, int32_t heads, int32_t at,
                        const int32_t *position) {
    for (int64_t i = 0; i < row_count(x); i++)
        for (int32_t h = 0; x->live[i] && h < heads; h++)
            rotate(l, row(x, i) + (int64_t)h * (x->width / heads) + at, position[i]);
}

/* --- The core --- */

/* Rows [tokens, heads, width of a head] as the core takes them. */
static oracle_view view(const rows *x, int32_t heads) {
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
    args.seg = c->seg;
    args.seg_batch = c->tokens;
    args.key_padding = c->key_padding;
    args.key_padding_batch = args.kv_len_max;
    if (c->mask) args.mask = *c->mask;
    args.sinks = sinks;
    args.side = c->side;
    args.side_count = c->spec->tensor_count;
    args.scalars = c->scalars;
    args.scalar_count = c->spec->scalar_count;
    return args;
}

/* Rows [heads * v_dim]. */
static rows core(const layer *l, const float *sinks, oracle_view q, oracle_view k, oracle_view v) {
    const attn_spec *s = l->s;
    const attn_args args = core_args(l, sinks);
    const oracle_view qkv[3] = {q, k, v};
    oracle got;
    oracle_run_double(l->a, l->c->spec, &args, qkv, &got);
    rows o = new_rows(l, l->c->tokens, s->heads * s->v_dim, l->live);
    for (int64_t i = 0; i < row_count(&o); i++)
        for (int64_t h = 0; o.live[i] && h < s->heads; h++) {
            const int64_t from = (i / o.tokens * s->heads + h) * o.tokens + i % o.tokens;
            memcpy(row(&o, i) + h * s->v_dim, got.o + from * s->v_dim,
                   (size_t)s->v_dim * sizeof(double));
        }
    return o;
}

/* Rows [heads, width of a head] to a cache [batch, heads, tokens, width of a head]. */
static void store(const rows *x, int32_t heads, double *cache) {
    const int64_t width = x->width / heads;
    for (int64_t i = 0; cache && i < row_count(x); i++)
        for (int64_t h = 0; x->live[i] && h < heads; h++)
            memcpy(cache + ((i / x->tokens * heads + h) * x->tokens + i % x->tokens) * width,
                   row(x, i) + h * width, (size_t)width * sizeof(double));
}

/* Rows of a cache, then those of x: what the core sees. */
static rows with_past(const layer *l, const float *cache, const rows *x, int32_t heads) {
    const int32_t past = l->c->past, width = x->width / heads;
    if (!past) return *x;
    rows all = new_rows(l, past + x->tokens, x->width, NULL);
    for (int64_t b = 0; b < all.batch; b++) {
        double *to = row(&all, b * all.tokens);
        for (int64_t h = 0; h < heads; h++) {
            const float *from = cache + (b * heads + h) * l->c->past_capacity * width;
            for (int64_t i = 0; i < past; i++)
                for (int32_t d = 0; d < width; d++)
                    to[i * x->width + h * width + d] = (double)from[i * width + d];
        }
        memcpy(to + (int64_t)past * x->width, row(x, b * x->tokens),
               (size_t)x->tokens * (size_t)x->width * sizeof *to);
    }
    return all;
}

/* --- Attention, form regular --- */

typedef struct regular {
    linear q, k, v, o;
    norm q_norm, k_norm;
    const float *sinks;
} regular;

static regular regular_weights(layer *l) {
    const attn_spec *s = l->s;
    const int32_t q = s->heads * s->head_dim, k = s->kv_heads * s->head_dim;
    const int32_t v = s->v_heads * s->v_dim, in = block_width(s);
    const int32_t kv_in = l->two_inputs ? s->kv_dim : in;
    const int64_t all = (int64_t)q + k + v, both = (int64_t)k + v;
    regular w = {0};
    w.q = projection(l, (place[]){{"qkv", 0, all}, {"q_proj", 0, q}}, 2, q, in, s->q_bias);
    w.k = projection(l, (place[]){{"qkv", q, all}, {"kv_proj", 0, both}, {"k_proj", 0, k}}, 3, k,
                     kv_in, s->k_bias);
    w.v = projection(l, (place[]){{"qkv", q + k, all}, {"kv_proj", k, both}, {"v_proj", 0, v}}, 3,
                     v, kv_in, s->v_bias);
    w.o = own(l, "o_proj", in, s->heads * s->v_dim, s->o_bias);
    if (s->qk_norm) {
        w.q_norm = inner_norm(l, "q_norm", s->head_dim);
        w.k_norm = inner_norm(l, "k_norm", s->head_dim);
    }
    if (s->sinks) w.sinks = need(l, "sinks", 1, s->heads, 0, 0);
    return w;
}

static void norm_heads(const norm *n, const rows *x, int32_t heads) {
    const int32_t width = x->width / heads;
    for (int64_t i = 0; n->w && i < row_count(x); i++)
        for (int32_t h = 0; x->live[i] && h < heads; h++)
            normalise(n, row(x, i) + (int64_t)h * width, width);
}

static rows regular_attention(const layer *l, const regular *w, const rows *x, const rows *from) {
    const attn_spec *s = l->s;
    rows q = apply(l, &w->q, x), k = apply(l, &w->k, from), v = apply(l, &w->v, from);
    norm_heads(&w->q_norm, &q, s->heads);
    norm_heads(&w->k_norm, &k, s->kv_heads);
    rotate_rows(l, &q, s->heads, 0, l->q_position);
    rotate_rows(l, &k, s->kv_heads, 0, l->k_position);
    store(&k, s->kv_heads, l->c->cache_k);
    store(&v, s->v_heads, l->c->cache_v);
    k = with_past(l, l->c->past_k, &k, s->kv_heads);
    v = with_past(l, l->c->past_v, &v, s->v_heads);
    const rows o =
        core(l, w->sinks, view(&q, s->heads), view(&k, s->kv_heads), view(&v, s->v_heads));
    return apply(l, &w->o, &o);
}

/* --- Attention, form mla, a key a head --- */

typedef struct latent {
    linear kv, q, out, o;
    const float *kc_q, *kc_kv, *qr, *kr, *sinks;
} latent;

static latent latent_weights(layer *l) {
    const attn_spec *s = l->s;
    const int32_t h = s->heads, wide = h * s->head_dim, in = block_width(s);
    latent w = {.kv = own(l, "kv_proj", s->kv_comp_dim, l->two_inputs ? s->kv_dim : in, false),
                .q = own(l, "q_proj", wide, in, false),
                .out = own(l, "out_proj", in, wide, false),
                .kc_q = need(l, "w_kc_q", 3, h, s->head_dim, s->q_comp_dim),
                .kc_kv = need(l, "w_kc_kv", 3, h, s->head_dim, s->kv_comp_dim),
                .qr = need(l, "W_qr", 3, h, s->q_comp_dim, s->retr_dim),
                .kr = need(l, "W_kr", 3, h, s->kv_comp_dim, s->retr_dim)};
    if (s->op == ATTN_OP_FULL_SELF) w.o = own(l, "o_proj", in, in, false);
    if (s->sinks) w.sinks = need(l, "sinks", 1, h, 0, 0);
    return w;
}

/* The latent rows of padding are 0. */
static void zero_padding(const layer *l, const rows *x) {
    for (int64_t i = 0; l->c->key_padding && i < row_count(x); i++)
        if (l->c->key_padding[i]) memset(row(x, i), 0, (size_t)x->width * sizeof(double));
}

static rows latent_queries(const layer *l, const latent *w, const rows *x) {
    const attn_spec *s = l->s;
    const int32_t wide = s->head_dim, d = s->q_comp_dim, r = s->retr_dim;
    const rows q = apply(l, &w->q, x);
    rows q_r = new_rows(l, x->tokens, s->heads * r, x->live);
    double *comp = arena_alloc(l->a, (size_t)d * sizeof *comp);
    for (int64_t i = 0; i < row_count(x); i++)
        for (int64_t h = 0; x->live[i] && h < s->heads; h++) {
            multiply_left(row(&q, i) + h * wide, w->kc_q + h * wide * d, wide, d, comp);
            multiply_left(comp, w->qr + h * d * r, d, r, row(&q_r, i) + h * r);
        }
    rotate_rows(l, &q_r, s->heads, 0, l->q_position);
    return q_r;
}

static rows latent_attention(const layer *l, const latent *w, const rows *x, const rows *from) {
    const attn_spec *s = l->s;
    const int32_t c = s->kv_comp_dim, r = s->retr_dim;
    const rows kv_c = apply(l, &w->kv, from), q_r = latent_queries(l, w, x);
    zero_padding(l, &kv_c);
    rows k_r = new_rows(l, from->tokens, s->heads * r, from->live);
    for (int64_t i = 0; i < row_count(from); i++)
        for (int64_t h = 0; from->live[i] && h < s->heads; h++)
            multiply_left(row(&kv_c, i), w->kr + h * c * r, c, r, row(&k_r, i) + h * r);
    rotate_rows(l, &k_r, s->heads, 0, l->k_position);
    store(&k_r, s->heads, l->c->cache_k);
    store(&kv_c, 1, l->c->cache_v);

    const rows ctx = core(l, w->sinks, view(&q_r, s->heads), view(&k_r, s->heads), view(&kv_c, 1));
    rows y = new_rows(l, x->tokens, s->heads * s->head_dim, x->live);
    for (int64_t i = 0; i < row_count(&y); i++)
        for (int64_t h = 0; y.live[i] && h < s->heads; h++)
            multiply(w->kc_kv + h * s->head_dim * c, s->head_dim, c, row(&ctx, i) + h * c,
                     row(&y, i) + h * s->head_dim);
    y = apply(l, &w->out, &y);
    return s->op == ATTN_OP_FULL_SELF ? apply(l, &w->o, &y) : y;
}

/* --- Attention, form mla, one key for all heads --- */

typedef struct shared {
    linear q, q_a, kv_a, o; /* q_a.w null: no compressed query */
    norm q_norm, kv_norm;
    const float *kv_b, *sinks;
} shared;

static shared shared_weights(layer *l) {
    const attn_spec *s = l->s;
    const int32_t c = s->kv_comp_dim, r = s->retr_dim, in = block_width(s);
    const int32_t wide = s->heads * (s->head_dim + r), down = s->q_comp_dim;
    shared w = {0};
    if (down != ATTN_UNSET) {
        w.q_a = own(l, "q_a_proj", down, in, false);
        w.q_norm = inner_norm(l, "q_a_layernorm", down);
        w.q = own(l, "q_b_proj", wide, down, false);
    } else {
        w.q = own(l, "q_proj", wide, in, false);
    }
    w.kv_a = own(l, "kv_a_proj_with_mqa", c + r, l->two_inputs ? s->kv_dim : in, false);
    w.kv_norm = inner_norm(l, "kv_a_layernorm", c);
    w.kv_b =
        need(l, "kv_b_proj.weight", 2, (int64_t)s->heads * (s->head_dim + s->v_head_dim), c, 0);
    w.o = own(l, "o_proj", in, s->heads * s->v_head_dim, false);
    if (s->sinks) w.sinks = need(l, "sinks", 1, s->heads, 0, 0);
    return w;
}

/* Head h's rows of kv_b: W_UK [head_dim, c], then W_UV [v_head_dim, c]. */
static const float *up_weights(const layer *l, const shared *w, int64_t h) {
    const attn_spec *s = l->s;
    return w->kv_b + h * (s->head_dim + s->v_head_dim) * s->kv_comp_dim;
}

/* Rows [heads, c + r]: [q_nope W_UK | RoPE(q_rope)]. */
static rows shared_queries(const layer *l, const shared *w, const rows *x) {
    const attn_spec *s = l->s;
    const int32_t c = s->kv_comp_dim, r = s->retr_dim, nope = s->head_dim;
    rows from = *x;
    if (w->q_a.w) {
        from = apply(l, &w->q_a, x);
        from = normed(l, &w->q_norm, &from);
    }
    const rows q = apply(l, &w->q, &from);
    rotate_rows(l, &q, s->heads, nope, l->q_position);
    rows out = new_rows(l, x->tokens, s->heads * (c + r), x->live);
    for (int64_t i = 0; i < row_count(x); i++)
        for (int64_t h = 0; x->live[i] && h < s->heads; h++) {
            const double *head = row(&q, i) + h * (nope + r);
            double *to = row(&out, i) + h * (c + r);
            multiply_left(head, up_weights(l, w, h), nope, c, to);
            memcpy(to + c, head + nope, (size_t)r * sizeof *to);
        }
    return out;
}

static rows shared_attention(const layer *l, const shared *w, const rows *x, const rows *from) {
    const attn_spec *s = l->s;
    const int32_t c = s->kv_comp_dim, v = s->v_head_dim;
    const rows key = apply(l, &w->kv_a, from), q = shared_queries(l, w, x);
    for (int64_t i = 0; i < row_count(&key); i++)
        if (key.live[i]) normalise(&w->kv_norm, row(&key, i), c);
    rotate_rows(l, &key, 1, c, l->k_position);
    zero_padding(l, &key);
    store(&key, 1, l->c->cache_k);

    const rows ctx = core(l, w->sinks, view(&q, s->heads), view(&key, 1), view(&key, 1));
    rows y = new_rows(l, x->tokens, s->heads * v, x->live);
    for (int64_t i = 0; i < row_count(&y); i++)
        for (int64_t h = 0; y.live[i] && h < s->heads; h++)
            multiply(up_weights(l, w, h) + (int64_t)s->head_dim * c, v, c, row(&ctx, i) + h * c,
                     row(&y, i) + h * v);
    return apply(l, &w->o, &y);
}

/* --- Feed-forward --- */

typedef struct feed {
    linear gate, up, down; /* gate.w null: up alone */
} feed;

static bool has_ffn(const attn_spec *s) {
    return s->ffn != ATTN_FFN_NONE && s->ffn != ATTN_FFN_EXTERNAL;
}

static bool has_gate(const attn_spec *s) {
    return s->ffn == ATTN_FFN_SWIGLU || s->ffn == ATTN_FFN_GEGLU || s->ffn == ATTN_FFN_GEGLU_TANH;
}

static feed feed_weights(layer *l) {
    const attn_spec *s = l->s;
    feed w = {0};
    if (!has_ffn(s)) return w;
    const int32_t in = block_width(s), f = s->ffn_dim;
    const int64_t first = has_gate(s) ? f : 0, all = first + f;
    if (has_gate(s))
        w.gate =
            projection(l, (place[]){{"w1", 0, all}, {"gate_proj", 0, f}}, 2, f, in, s->ffn_bias);
    w.up = projection(l, (place[]){{"w1", first, all}, {"up_proj", 0, f}}, 2, f, in, s->ffn_bias);
    w.down = projection(l, (place[]){{"w2", 0, in}, {"down_proj", 0, in}}, 2, in, f, s->ffn_bias);
    return w;
}

double block_activation(int32_t ffn, double x) {
    switch (ffn) {
    case ATTN_FFN_SWIGLU: return x / (1 + exp(-x));
    case ATTN_FFN_GEGLU:
    case ATTN_FFN_GELU: return 0.5 * x * erfc(-x / sqrt(2));
    case ATTN_FFN_GEGLU_TANH:
    case ATTN_FFN_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / PI) * (x + 0.044715 * x * x * x)));
    default: return x > 0 ? x : 0;
    }
}

static rows feed_forward(const layer *l, const feed *w, const rows *x) {
    rows u = apply(l, &w->up, x);
    const int64_t count = row_count(&u) * u.width;
    if (w->gate.w) {
        const rows g = apply(l, &w->gate, x);
        for (int64_t i = 0; i < count; i++) u.data[i] *= block_activation(l->s->ffn, g.data[i]);
    } else {
        for (int64_t i = 0; i < count; i++) u.data[i] = block_activation(l->s->ffn, u.data[i]);
    }
    return apply(l, &w->down, &u);
}

/* --- The layer --- */

typedef struct weights {
    norm norm1, norm2, post1, post2;
    regular regular;
    latent latent;
    shared shared;
    feed feed;
} weights;

static void take_weights(layer *l, weights *w) {
    const attn_spec *s = l->s;
    const bool both = s->norm != ATTN_NORM_NONE && s->norm_place == ATTN_NORM_PLACE_BOTH;
    w->norm1 = layer_norm(l, "norm1");
    if (has_ffn(s) && !s->shared_norm) w->norm2 = layer_norm(l, "norm2");
    if (both) w->post1 = layer_norm(l, "post_norm1");
    if (both && has_ffn(s)) w->post2 = layer_norm(l, "post_norm2");
    if (is_shared(s))
        w->shared = shared_weights(l);
    else if (is_mla(s))
        w->latent = latent_weights(l);
    else
        w->regular = regular_weights(l);
    w->feed = feed_weights(l);
    unused(l);
}

int block_weight_list(arena *a, const kernel_spec *spec, block_tensor *out, int capacity) {
    const block_case none = {.spec = spec};
    layer l = {.a = a, .c = &none, .s = &spec->core, .list = out, .list_size = capacity};
    l.two_inputs = has_two_inputs(l.s);
    weights ignored;
    take_weights(&l, &ignored);
    return l.listed;
}

/* from: the rows that keys are made of, or null: x itself. */
static rows attention(const layer *l, const weights *w, const rows *x, const rows *from) {
    if (!from) from = x;
    if (is_shared(l->s)) return shared_attention(l, &w->shared, x, from);
    if (is_mla(l->s)) return latent_attention(l, &w->latent, x, from);
    return regular_attention(l, &w->regular, x, from);
}

/* One half of a serial layer: x and f(x) put together, around the norms. */
static rows join(const layer *l, const norm *n, const norm *post, const rows *x, const rows *fx) {
    rows y = l->s->norm_place == ATTN_NORM_PLACE_BOTH ? normed(l, post, fx) : *fx;
    if (l->s->residual != ATTN_RESIDUAL_NONE) y = sum(l, x, &y);
    return l->s->norm_place == ATTN_NORM_PLACE_POST ? normed(l, n, &y) : y;
}

static rows before(const layer *l, const norm *n, const rows *x) {
    return l->s->norm_place == ATTN_NORM_PLACE_POST ? *x : normed(l, n, x);
}

static rows run(const layer *l, const weights *w, const rows *x, const rows *from) {
    const attn_spec *s = l->s;
    const rows a = before(l, &w->norm1, x), attended = attention(l, w, &a, from);
    rows h = join(l, &w->norm1, &w->post1, x, &attended);
    if (!has_ffn(s)) return h;
    if (s->residual == ATTN_RESIDUAL_PARALLEL) {
        const rows b = s->shared_norm ? a : normed(l, &w->norm2, x);
        const rows fed = feed_forward(l, &w->feed, &b);
        return sum(l, &h, &fed);
    }
    const rows b = before(l, &w->norm2, &h), fed = feed_forward(l, &w->feed, &b);
    return join(l, &w->norm2, &w->post2, &h, &fed);
}

/* --- Inputs and outputs --- */

static rows read_rows(const layer *l, const float *x, int32_t tokens, int32_t width,
                      const bool *live) {
    rows r = new_rows(l, tokens, width, live);
    for (int64_t i = 0; i < row_count(&r); i++)
        for (int32_t d = 0; live[i] && d < width; d++) row(&r, i)[d] = (double)x[i * width + d];
    return r;
}

static void write_rows(const block_case *c, const rows *y) {
    for (int64_t i = 0; i < row_count(y); i++) {
        const bool shown = y->live[i] && !(c->q_pad && c->q_pad[i]);
        for (int32_t d = 0; d < y->width; d++) c->y[i * y->width + d] = shown ? row(y, i)[d] : 0;
    }
}

/* given, or first, first + 1, .. in every item. */
static const int32_t *positions(const layer *l, const int32_t *given, int32_t tokens,
                                int32_t first) {
    if (given) return given;
    int32_t *out = arena_alloc(l->a, ((size_t)l->c->batch * (size_t)tokens + 1) * sizeof *out);
    for (int64_t i = 0; i < (int64_t)l->c->batch * tokens; i++)
        out[i] = first + (int32_t)(i % tokens);
    return out;
}

static bool *live_rows(const layer *l, int32_t tokens, const int32_t *length) {
    bool *live = arena_alloc(l->a, (size_t)l->c->batch * (size_t)tokens + 1);
    for (int64_t i = 0; i < (int64_t)l->c->batch * tokens; i++)
        live[i] = !length || i % tokens < length[i / tokens];
    return live;
}

static const char *lacks(const block_case *c) {
    const attn_spec *s = &c->spec->core;
    if (s->level != ATTN_LEVEL_BLOCK) return "the spec's level must be block";
    if (!c->x || !c->y) return "x and y must be given";
    if (has_two_inputs(s) && !c->kv) return "kv must be given";
    if (s->op == ATTN_OP_SEGMENT_CROSS && !c->seg) return "seg must be given";
    if (c->past && (is_mla(s) || has_two_inputs(s) || c->length))
        return "past keys need regular self attention and whole rows";
    return NULL;
}

static void prepare(layer *l) {
    const block_case *c = l->c;
    l->two_inputs = has_two_inputs(l->s);
    l->used = arena_alloc(l->a, (size_t)c->weight_count + 1);
    l->error = buf_new(l->a);
    l->live = live_rows(l, c->tokens, c->length);
    l->kv_live = l->two_inputs ? live_rows(l, c->kv_tokens, NULL) : l->live;
    l->q_position = positions(l, c->q_pos, c->tokens, c->position);
    l->k_position = l->two_inputs ? positions(l, c->kv_pos, c->kv_tokens, 0) : l->q_position;
    if (l->s->rope == ATTN_ROPE_NONE) return;
    l->angle = arena_alloc(l->a, (size_t)l->s->rope_dim * sizeof *l->angle);
    block_rope_angles(l->s, l->angle);
}

static bool oracle_in(arena *a, const block_case *c, char *error, size_t size) {
    const char *why = lacks(c);
    if (why) {
        snprintf(error, size, "%s", why);
        return false;
    }
    layer l = {.a = a, .c = c, .s = &c->spec->core};
    weights w = {0};
    prepare(&l);
    take_weights(&l, &w);
    snprintf(error, size, "%s", l.error.len ? l.error.data : "");
    if (l.error.len) return false;
    const rows x = read_rows(&l, c->x, c->tokens, block_width(l.s), l.live);
    rows kv = {0};
    if (l.two_inputs) kv = read_rows(&l, c->kv, c->kv_tokens, l.s->kv_dim, l.kv_live);
    const rows y = run(&l, &w, &x, l.two_inputs ? &kv : NULL);
    write_rows(c, &y);
    return true;
}

bool block_oracle(const block_case *c, char *error, size_t size) {
    arena *a = arena_new();
    bool ok = oracle_in(a, c, error, size);
    arena_free(a);
    return ok;
}
