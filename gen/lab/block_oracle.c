/* block_oracle.c - runtime/CONTRACT.md, "Layers", in double: slow and plain. */
#include "layer_oracle.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- Feed-forward --- */

static bool has_ffn(const attn_spec *s) {
    return s->ffn != ATTN_FFN_NONE && s->ffn != ATTN_FFN_EXTERNAL;
}

static bool has_gate(const attn_spec *s) {
    return s->ffn == ATTN_FFN_SWIGLU || s->ffn == ATTN_FFN_GEGLU || s->ffn == ATTN_FFN_GEGLU_TANH;
}

static feed feed_weights(layer *l) {
    const attn_spec *s = l->s;
    feed w = {0};
    if (!has_ffn(s) || s->ffn == ATTN_FFN_MOE) return w;
    const int32_t in = block_width(s), f = s->ffn_dim;
    const int64_t first = has_gate(s) ? f : 0, all = first + f;
    if (has_gate(s))
        w.gate = weight_projection(l, (place[]){{"w1", 0, all}, {"gate_proj", 0, f}}, 2, f, in,
                                   s->ffn_bias);
    w.up = weight_projection(l, (place[]){{"w1", first, all}, {"up_proj", 0, f}}, 2, f, in,
                             s->ffn_bias);
    if (s->ffn == ATTN_FFN_XIELU) {
        w.alpha_p = weight_need(l, "act_fn.alpha_p", 1, 1, 0, 0);
        w.alpha_n = weight_need(l, "act_fn.alpha_n", 1, 1, 0, 0);
    }
    w.down =
        weight_projection(l, (place[]){{"w2", 0, in}, {"down_proj", 0, in}}, 2, in, f, s->ffn_bias);
    return w;
}

static rows feed_forward(const layer *l, const feed *w, const rows *x) {
    rows u = rows_apply(l, &w->up, x);
    const int64_t count = rows_count(&u) * u.width;
    if (w->gate.w) {
        const rows g = rows_apply(l, &w->gate, x);
        for (int64_t i = 0; i < count; i++) u.data[i] *= block_activation(l->s->ffn, g.data[i]);
    } else {
        for (int64_t i = 0; i < count; i++)
            u.data[i] = w->alpha_p
                            ? block_xielu((double)*w->alpha_p, (double)*w->alpha_n, u.data[i])
                            : block_activation(l->s->ffn, u.data[i]);
    }
    return rows_apply(l, &w->down, &u);
}

/* --- The layer --- */

typedef struct weights {
    norm norm1, norm2, post1, post2;
    regular regular;
    latent latent;
    shared shared;
    feed feed;
    mixture mixture;
    const float *rope_factors; /* longrope's, a pair */
} weights;

/* f(..) is normed before it joins x. */
static bool norms_branch(const attn_spec *s) {
    return s->norm_place == ATTN_NORM_PLACE_BOTH || s->norm_place == ATTN_NORM_PLACE_BRANCH;
}

static void take_weights(layer *l, weights *w) {
    const attn_spec *s = l->s;
    const bool branch = s->norm_place == ATTN_NORM_PLACE_BRANCH;
    if (!branch && !s->skip_norm1) w->norm1 = weight_norm(l, "norm1");
    if (!branch && has_ffn(s) && !s->shared_norm) w->norm2 = weight_norm(l, "norm2");
    if (norms_branch(s)) w->post1 = weight_norm(l, "post_norm1");
    if (norms_branch(s) && has_ffn(s)) w->post2 = weight_norm(l, "post_norm2");
    if (layer_is_shared(s))
        w->shared = shared_weights(l);
    else if (layer_is_mla(s))
        w->latent = latent_weights(l);
    else
        w->regular = regular_weights(l);
    if (s->rope_scaling == ATTN_ROPE_SCALING_LONGROPE)
        w->rope_factors = weight_need(l, "rope_factors", 1, s->rope_dim / 2, 0, 0);
    w->feed = feed_weights(l);
    if (s->ffn == ATTN_FFN_MOE) w->mixture = mixture_weights(l);
    weight_unused(l);
}

int block_weight_list(arena *a, const kernel_spec *spec, block_tensor *out, int capacity) {
    const block_case none = {.spec = spec};
    layer l = {.a = a, .c = &none, .s = &spec->core, .list = out, .list_size = capacity};
    l.two_inputs = layer_has_two_inputs(l.s);
    weights ignored;
    take_weights(&l, &ignored);
    return l.listed;
}

/* from: the rows that keys are made of, or null: x itself. */
static rows attention(const layer *l, const weights *w, const rows *x, const rows *from) {
    if (!from) from = x;
    if (layer_is_shared(l->s)) return shared_attention(l, &w->shared, x, from);
    if (layer_is_mla(l->s)) return latent_attention(l, &w->latent, x, from);
    return regular_attention(l, &w->regular, x, from);
}

/* One half of a serial layer: x and f(x) put together, around the norms. */
static rows join(const layer *l, const norm *n, const norm *post, const rows *x, const rows *fx) {
    rows y = norms_branch(l->s) ? rows_normed(l, post, fx) : *fx;
    if (l->s->residual != ATTN_RESIDUAL_NONE) y = rows_sum(l, x, &y);
    return l->s->norm_place == ATTN_NORM_PLACE_POST ? rows_normed(l, n, &y) : y;
}

static rows before(const layer *l, const norm *n, const rows *x) {
    const int32_t place = l->s->norm_place;
    const bool first = place == ATTN_NORM_PLACE_PRE || place == ATTN_NORM_PLACE_BOTH;
    return first ? rows_normed(l, n, x) : *x;
}

static rows fed_forward(const layer *l, const weights *w, const rows *x) {
    return l->s->ffn == ATTN_FFN_MOE ? mixture_of(l, &w->mixture, x) : feed_forward(l, &w->feed, x);
}

static rows run(const layer *l, const weights *w, const rows *x, const rows *from) {
    const attn_spec *s = l->s;
    const rows a = s->skip_norm1 ? *x : before(l, &w->norm1, x);
    const rows attended = attention(l, w, &a, from);
    rows h = join(l, &w->norm1, &w->post1, x, &attended);
    if (!has_ffn(s)) return h;
    if (s->residual == ATTN_RESIDUAL_PARALLEL) {
        const rows b = s->shared_norm ? a : rows_normed(l, &w->norm2, x);
        const rows fed = fed_forward(l, w, &b);
        return rows_sum(l, &h, &fed);
    }
    const rows b = before(l, &w->norm2, &h), fed = fed_forward(l, w, &b);
    return join(l, &w->norm2, &w->post2, &h, &fed);
}

/* --- Inputs and outputs --- */

static rows read_rows(const layer *l, const float *x, int32_t tokens, int32_t width,
                      const bool *live) {
    rows r = rows_new(l, tokens, width, live);
    for (int64_t i = 0; i < rows_count(&r); i++)
        for (int32_t d = 0; live[i] && d < width; d++) rows_at(&r, i)[d] = (double)x[i * width + d];
    return r;
}

static void write_rows(const block_case *c, const rows *y) {
    for (int64_t i = 0; i < rows_count(y); i++) {
        const bool shown = y->live[i] && !(c->q_pad && c->q_pad[i]);
        for (int32_t d = 0; d < y->width; d++)
            c->y[i * y->width + d] = shown ? rows_at(y, i)[d] : 0;
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
    if (layer_has_two_inputs(s) && !c->kv) return "kv must be given";
    if (s->op == ATTN_OP_SEGMENT_CROSS && !c->seg) return "seg must be given";
    if (s->select == ATTN_SELECT_INDEX && (!c->index || !c->index_count))
        return "index and index_count must be given";
    if (c->past && (layer_is_mla(s) || layer_has_two_inputs(s) || c->length))
        return "past keys need regular self attention and whole rows";
    return NULL;
}

static void prepare(layer *l) {
    const block_case *c = l->c;
    l->two_inputs = layer_has_two_inputs(l->s);
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
    for (int32_t i = 0; w.rope_factors && i < l.s->rope_dim / 2; i++)
        l.angle[i] /= (double)w.rope_factors[i];
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
