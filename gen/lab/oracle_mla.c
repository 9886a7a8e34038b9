/* oracle_mla.c - attention of form mla. */
#include "layer_oracle.h"

#include "stored.h"
#include "weight_types.h"

#include <string.h>

enum { UP_ID = 1 << 20 }; /* of w_kc_kv, beyond all others */

/* --- Attention, form mla, a key a head --- */

/* What stands in place of a product of matrices, stored as one of them says. */
static linear folded(const layer *l, int32_t matrix, int32_t out, int32_t in, const double *exact) {
    const int32_t own = l->s->weight_types[matrix];
    const int32_t type = own ? own - 1 : layer_rest_type(l->s);
    const size_t count = (size_t)out * (size_t)in;
    float *w = arena_alloc(l->a, count * sizeof *w);
    for (size_t i = 0; i < count; i++)
        w[i] = (float)stored_rounded(attn_weight_element(type), exact[i]);
    return (linear){.w = w, .out = out, .in = in};
}

/* What is stored is rounded, so that it matters which matrices are one. */
static void fold(const layer *l, latent *w) {
    const attn_spec *s = l->s;
    const int32_t wide = s->head_dim, d = s->q_comp_dim, r = s->retr_dim, in = block_width(s);
    double *q = arena_alloc(l->a, (size_t)s->heads * (size_t)r * (size_t)in * sizeof *q);
    double *column = arena_alloc(l->a, (size_t)(wide + d + r) * sizeof *column);
    for (int32_t h = 0; h < s->heads; h++)
        for (int32_t i = 0; i < in; i++) {
            double *comp = column + wide, *row = comp + d;
            for (int32_t k = 0; k < wide; k++)
                column[k] = (double)w->q.w[((int64_t)h * wide + k) * in + i];
            rows_multiply_left(column, w->kc_q + (int64_t)h * wide * d, wide, d, comp);
            rows_multiply_left(comp, w->qr + (int64_t)h * d * r, d, r, row);
            for (int32_t j = 0; j < r; j++) q[((int64_t)h * r + j) * in + i] = row[j];
        }
    w->q = folded(l, ATTN_MATRIX_Q_PROJ, s->heads * r, in, q);
    w->folded = true;
    if (!w->o.w) return;
    double *out = arena_alloc(l->a, (size_t)in * (size_t)w->out.in * sizeof *out);
    for (int32_t i = 0; i < in; i++)
        for (int32_t j = 0; j < w->out.in; j++) {
            double sum = 0;
            for (int32_t m = 0; m < in; m++)
                sum += (double)w->o.w[(int64_t)i * in + m] *
                       (double)w->out.w[(int64_t)m * w->out.in + j];
            out[(int64_t)i * w->out.in + j] = sum;
        }
    w->out = folded(l, ATTN_MATRIX_OUT_PROJ, in, w->out.in, out);
}

/* Whether what is folded is rounded to less than f32. */
static bool folds(const attn_spec *s) {
    return layer_rest_type(s) != ATTN_WEIGHT_F32 || s->weight_types[ATTN_MATRIX_Q_PROJ] ||
           s->weight_types[ATTN_MATRIX_OUT_PROJ];
}

latent latent_weights(layer *l) {
    const attn_spec *s = l->s;
    const int32_t h = s->heads, wide = h * s->head_dim, in = block_width(s);
    latent w = {.kv =
                    weight_own(l, "kv_proj", s->kv_comp_dim, l->two_inputs ? s->kv_dim : in, false),
                .q = weight_own(l, "q_proj", wide, in, false),
                .out = weight_own(l, "out_proj", in, wide, false),
                .kc_q = weight_need(l, "w_kc_q", 3, h, s->head_dim, s->q_comp_dim),
                .kc_kv = weight_need(l, "w_kc_kv", 3, h, s->head_dim, s->kv_comp_dim),
                .qr = weight_need(l, "W_qr", 3, h, s->q_comp_dim, s->retr_dim),
                .kr = weight_need(l, "W_kr", 3, h, s->kv_comp_dim, s->retr_dim)};
    if (s->op == ATTN_OP_FULL_SELF) w.o = weight_own(l, "o_proj", in, in, false);
    if (s->sinks) w.sinks = weight_need(l, "sinks", 1, h, 0, 0);
    if (folds(s) && !l->list && !l->error.len) fold(l, &w);
    return w;
}

/* The latent rows of padding are 0. */
static void zero_padding(const layer *l, const rows *x) {
    for (int64_t i = 0; l->c->key_padding && i < rows_count(x); i++)
        if (l->c->key_padding[i]) memset(rows_at(x, i), 0, (size_t)x->width * sizeof(double));
}

static rows latent_queries(const layer *l, const latent *w, const rows *x) {
    const attn_spec *s = l->s;
    const int32_t wide = s->head_dim, d = s->q_comp_dim, r = s->retr_dim;
    const rows q = rows_apply(l, &w->q, x);
    if (w->folded) {
        rows_rotate(l, &q, s->heads, 0, l->q_position);
        return q;
    }
    rows q_r = rows_new(l, x->tokens, s->heads * r, x->live);
    double *comp = arena_alloc(l->a, (size_t)d * sizeof *comp);
    for (int64_t i = 0; i < rows_count(x); i++)
        for (int64_t h = 0; x->live[i] && h < s->heads; h++) {
            rows_multiply_left(rows_at(&q, i) + h * wide, w->kc_q + h * wide * d, wide, d, comp);
            rows_multiply_left(comp, w->qr + h * d * r, d, r, rows_at(&q_r, i) + h * r);
        }
    rows_rotate(l, &q_r, s->heads, 0, l->q_position);
    return q_r;
}

rows latent_attention(const layer *l, const latent *w, const rows *x, const rows *from) {
    const attn_spec *s = l->s;
    const int32_t c = s->kv_comp_dim, r = s->retr_dim;
    const rows kv_c = rows_apply(l, &w->kv, from), q_r = latent_queries(l, w, x);
    zero_padding(l, &kv_c);
    rows k_r = rows_new(l, from->tokens, s->heads * r, from->live);
    for (int64_t i = 0; i < rows_count(from); i++)
        for (int64_t h = 0; from->live[i] && h < s->heads; h++)
            rows_multiply_left(rows_at(&kv_c, i), w->kr + h * c * r, c, r,
                               rows_at(&k_r, i) + h * r);
    rows_rotate(l, &k_r, s->heads, 0, l->k_position);
    attention_round(l, &k_r, s->heads, 0, true);
    attention_round(l, &kv_c, 1, 0, false); /* keys are made of it as it was */
    attention_store(&k_r, s->heads, l->c->cache_k);
    attention_store(&kv_c, 1, l->c->cache_v);

    const rows ctx =
        attention_core(l, w->sinks, &q_r, attention_view(&k_r, s->heads), attention_view(&kv_c, 1));
    rows y = rows_new(l, x->tokens, s->heads * s->head_dim, x->live);
    const block_tensor up = {.name = "w_kc_kv", .rank = 3, .dim = {s->heads, s->head_dim, c}};
    const linear values = {.in = c, .type = block_weight_type(s, &up), .id = UP_ID};
    for (int64_t i = 0; i < rows_count(&y); i++)
        for (int64_t h = 0; y.live[i] && h < s->heads; h++)
            rows_multiply(w->kc_kv + h * s->head_dim * c, s->head_dim, c,
                          rows_rounded(l, &values, i * s->heads + h, rows_at(&ctx, i) + h * c),
                          rows_at(&y, i) + h * s->head_dim);
    y = rows_apply(l, &w->out, &y);
    return s->op == ATTN_OP_FULL_SELF && !w->folded ? rows_apply(l, &w->o, &y) : y;
}

/* --- Attention, form mla, one key for all heads --- */

shared shared_weights(layer *l) {
    const attn_spec *s = l->s;
    const int32_t c = s->kv_comp_dim, r = s->retr_dim, in = block_width(s);
    const int32_t wide = s->heads * (s->head_dim + r), down = s->q_comp_dim;
    shared w = {0};
    if (down != ATTN_UNSET) {
        w.q_a = weight_own(l, "q_a_proj", down, in, false);
        w.q_norm = weight_inner_norm(l, "q_a_layernorm", down);
        w.q = weight_own(l, "q_b_proj", wide, down, false);
    } else {
        w.q = weight_own(l, "q_proj", wide, in, false);
    }
    w.kv_a = weight_own(l, "kv_a_proj_with_mqa", c + r, l->two_inputs ? s->kv_dim : in, false);
    w.kv_norm = weight_inner_norm(l, "kv_a_layernorm", c);
    w.kv_b = weight_need(l, "kv_b_proj.weight", 2,
                         (int64_t)s->heads * (s->head_dim + s->v_head_dim), c, 0);
    w.o = weight_own(l, "o_proj", in, s->heads * s->v_head_dim, false);
    if (s->sinks) w.sinks = weight_need(l, "sinks", 1, s->heads, 0, 0);
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
        from = rows_apply(l, &w->q_a, x);
        from = rows_normed(l, &w->q_norm, &from);
    }
    const rows q = rows_apply(l, &w->q, &from);
    rows_rotate(l, &q, s->heads, nope, l->q_position);
    rows out = rows_new(l, x->tokens, s->heads * (c + r), x->live);
    for (int64_t i = 0; i < rows_count(x); i++)
        for (int64_t h = 0; x->live[i] && h < s->heads; h++) {
            const double *head = rows_at(&q, i) + h * (nope + r);
            double *to = rows_at(&out, i) + h * (c + r);
            rows_multiply_left(head, up_weights(l, w, h), nope, c, to);
            memcpy(to + c, head + nope, (size_t)r * sizeof *to);
        }
    return out;
}

rows shared_attention(const layer *l, const shared *w, const rows *x, const rows *from) {
    const attn_spec *s = l->s;
    const int32_t c = s->kv_comp_dim, v = s->v_head_dim;
    const rows key = rows_apply(l, &w->kv_a, from), q = shared_queries(l, w, x);
    for (int64_t i = 0; i < rows_count(&key); i++)
        if (key.live[i]) rows_normalise(&w->kv_norm, rows_at(&key, i), c);
    rows_rotate(l, &key, 1, c, l->k_position);
    zero_padding(l, &key);
    attention_round(l, &key, 1, c, true);
    attention_store(&key, 1, l->c->cache_k);

    const rows ctx =
        attention_core(l, w->sinks, &q, attention_view(&key, 1), attention_view(&key, 1));
    rows y = rows_new(l, x->tokens, s->heads * v, x->live);
    for (int64_t i = 0; i < rows_count(&y); i++)
        for (int64_t h = 0; y.live[i] && h < s->heads; h++)
            rows_multiply(up_weights(l, w, h) + (int64_t)s->head_dim * c, v, c,
                          rows_at(&ctx, i) + h * c, rows_at(&y, i) + h * v);
    return rows_apply(l, &w->o, &y);
}
