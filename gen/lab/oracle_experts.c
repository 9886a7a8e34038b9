/* oracle_experts.c - runtime/CONTRACT.md, "Mixtures of experts", in double: every row by itself. */
#include "layer_oracle.h"

#include <math.h>
#include <string.h>

static bool has_gate(const attn_spec *s) {
    return s->expert_act == ATTN_EXPERT_ACT_SWIGLU || s->expert_act == ATTN_EXPERT_ACT_GEGLU ||
           s->expert_act == ATTN_EXPERT_ACT_GEGLU_TANH ||
           s->expert_act == ATTN_EXPERT_ACT_SWIGLU_CLAMPED;
}

static const float *of_experts(layer *l, const char *name, int64_t n, int64_t k) {
    return weight_need(l, arena_printf(l->a, "experts.%s", name), k ? 3 : 2, l->s->experts, n, k);
}

mixture mixture_weights(layer *l) {
    const attn_spec *s = l->s;
    const int32_t in = block_width(s), f = s->expert_dim, wide = s->shared_experts * f;
    const bool gate = has_gate(s), bias = s->ffn_bias;
    mixture w = {.router = weight_need(l, "router.weight", 2, s->experts, in, 0)};
    if (s->router_bias == ATTN_ROUTER_BIAS_LOGITS)
        w.router_bias = weight_need(l, "router.bias", 1, s->experts, 0, 0);
    if (s->router_bias == ATTN_ROUTER_BIAS_SELECTION)
        w.selection = weight_need(l, "e_score_correction_bias", 1, s->experts, 0, 0);
    if (s->shared_gate) w.shared_gate = weight_need(l, "shared_expert_gate.weight", 2, 1, in, 0);
    if (gate) w.gate = of_experts(l, "gate_proj.weight", f, in);
    w.up = of_experts(l, "up_proj.weight", f, in);
    w.down = of_experts(l, "down_proj.weight", in, f);
    if (gate && bias) w.gate_bias = of_experts(l, "gate_proj.bias", f, 0);
    if (bias) w.up_bias = of_experts(l, "up_proj.bias", f, 0);
    if (bias) w.down_bias = of_experts(l, "down_proj.bias", in, 0);
    if (!s->shared_experts) return w;
    if (gate) w.shared.gate = weight_own(l, "shared_expert.gate_proj", wide, in, bias);
    w.shared.up = weight_own(l, "shared_expert.up_proj", wide, in, bias);
    w.shared.down = weight_own(l, "shared_expert.down_proj", in, wide, bias);
    return w;
}

/* --- Which experts, and how much of each --- */

/* Ranks: keys that are greater, or equal and before. */
static int32_t rank_of(const double *key, int32_t n, int32_t at) {
    int32_t rank = 0;
    for (int32_t i = 0; i < n; i++) rank += key[i] > key[at] || (key[i] == key[at] && i < at);
    return rank;
}

/* chosen[i]: key i is one of the `count` largest of those that are open; *margin: at most what lies
 * between the least of these and the greatest of the others. */
static void choose(const double *key, const bool *open, int32_t n, int32_t count, bool *chosen,
                   double *margin) {
    double least = INFINITY, greatest = -INFINITY;
    for (int32_t i = 0; i < n; i++) {
        int32_t rank = 0;
        for (int32_t j = 0; j < n; j++)
            rank += open[j] && (key[j] > key[i] || (key[j] == key[i] && j < i));
        chosen[i] = open[i] && rank < count;
        if (chosen[i]) least = fmin(least, key[i]);
        if (open[i] && !chosen[i]) greatest = fmax(greatest, key[i]);
    }
    *margin = fmin(*margin, least - greatest);
}

/* The two largest keys of a group, or its largest. */
static double group_score(const attn_spec *s, const double *key, int32_t each) {
    const int32_t count = s->router == ATTN_ROUTER_SIGMOID ? 2 : 1;
    double score = 0;
    for (int32_t i = 0; i < each; i++)
        if (rank_of(key, each, i) < count) score += key[i];
    return score;
}

static void choose_experts(const layer *l, const double *key, bool *chosen, double *margin) {
    const attn_spec *s = l->s;
    const int32_t n = s->experts, each = n / s->groups;
    bool *open = arena_alloc(l->a, (size_t)n), *group = arena_alloc(l->a, (size_t)n);
    double *score = arena_alloc(l->a, (size_t)n * sizeof *score);
    memset(open, true, (size_t)n);
    for (int32_t g = 0; g < s->groups; g++) score[g] = group_score(s, key + g * each, each);
    choose(score, open, s->groups, s->group_top, group, margin);
    for (int32_t i = 0; i < n; i++) open[i] = group[i / each];
    choose(key, open, n, s->top_k, chosen, margin);
}

/* z becomes p: of all, or of those that count. */
static void softmax(double *z, const bool *counts, int32_t n) {
    double most = -INFINITY, sum = 0;
    for (int32_t i = 0; i < n; i++)
        if (!counts || counts[i]) most = fmax(most, z[i]);
    for (int32_t i = 0; i < n; i++)
        if (!counts || counts[i]) sum += exp(z[i] - most);
    for (int32_t i = 0; i < n; i++) z[i] = exp(z[i] - most) / sum;
}

/* sparsemixer (arXiv:2409.12136, 2.2, as PhiMoE infers): z becomes p of the chosen, each a softmax
 * over those still open that are within 2 jitter of it. */
static void mix(const attn_spec *s, double *z, bool *chosen, double *margin) {
    const int32_t n = s->experts;
    memset(chosen, false, (size_t)n);
    for (int32_t k = 0; k < s->top_k; k++) {
        int32_t top = -1;
        double sum = 0, second = -INFINITY;
        for (int32_t e = 0; e < n; e++)
            if (!chosen[e] && (top < 0 || z[e] > z[top])) top = e;
        for (int32_t e = 0; e < n; e++) {
            if (chosen[e]) continue;
            const double band = 2 * (double)s->router_jitter * fmax(fabs(z[e]), z[top]);
            if (z[top] - z[e] <= band) sum += exp(z[e] - z[top]);
            if (e == top) continue;
            second = fmax(second, z[e]);
            *margin = fmin(*margin, fabs(z[top] - z[e] - band));
        }
        *margin = fmin(*margin, z[top] - second);
        chosen[top] = true;
        z[top] = 1 / sum;
    }
}

/* weight[e]: of expert e; 0: not chosen. */
static void route(const layer *l, const mixture *w, const double *x, int64_t row, double *weight) {
    const attn_spec *s = l->s;
    const int32_t n = s->experts;
    double margin = INFINITY, sum = 0;
    double *p = arena_alloc(l->a, (size_t)n * sizeof *p), *key = arena_alloc(l->a, (size_t)n * 8);
    bool *chosen = arena_alloc(l->a, (size_t)n);
    rows_multiply(w->router, n, block_width(s), x, p);
    for (int32_t e = 0; w->router_bias && e < n; e++) p[e] += (double)w->router_bias[e];
    if (s->router == ATTN_ROUTER_SOFTMAX_TOPK) softmax(p, NULL, n);
    for (int32_t e = 0; s->router == ATTN_ROUTER_SIGMOID && e < n; e++) p[e] = 1 / (1 + exp(-p[e]));
    for (int32_t e = 0; e < n; e++) key[e] = p[e] + (w->selection ? (double)w->selection[e] : 0);
    if (s->router == ATTN_ROUTER_SPARSEMIXER)
        mix(s, p, chosen, &margin);
    else
        choose_experts(l, key, chosen, &margin);
    if (s->router == ATTN_ROUTER_TOPK_SOFTMAX) softmax(p, chosen, n);
    for (int32_t e = 0; e < n; e++) sum += chosen[e] ? p[e] : 0;
    for (int32_t e = 0; e < n; e++) {
        const double part = s->norm_topk ? p[e] / (sum + 1e-20) : p[e];
        weight[e] = chosen[e] ? part * (double)s->router_scale : 0;
    }
    if (l->c->choice_key) memcpy(l->c->choice_key + row * n, key, (size_t)n * sizeof *key);
    if (l->c->choice_margin) l->c->choice_margin[row] = margin;
}

/* --- An expert --- */

/* h[i]: what a hidden unit makes of its products. */
static double unit(int32_t act, double g, double u) {
    switch (act) {
    case ATTN_EXPERT_ACT_SWIGLU: return block_activation(ATTN_FFN_SWIGLU, g) * u;
    case ATTN_EXPERT_ACT_GEGLU: return block_activation(ATTN_FFN_GEGLU, g) * u;
    case ATTN_EXPERT_ACT_GEGLU_TANH: return block_activation(ATTN_FFN_GEGLU_TANH, g) * u;
    case ATTN_EXPERT_ACT_GELU: return block_activation(ATTN_FFN_GELU, u);
    case ATTN_EXPERT_ACT_GELU_TANH: return block_activation(ATTN_FFN_GELU_TANH, u);
    case ATTN_EXPERT_ACT_RELU: return block_activation(ATTN_FFN_RELU, u);
    case ATTN_EXPERT_ACT_RELU2: return block_activation(ATTN_FFN_RELU2, u);
    case ATTN_EXPERT_ACT_QUICK_GELU: return block_activation(ATTN_FFN_QUICK_GELU, u);
    case ATTN_EXPERT_ACT_SILU: return block_activation(ATTN_FFN_SILU, u);
    default: break; /* SWIGLU_CLAMPED */
    }
    g = fmin(g, 7);
    u = fmax(-7, fmin(u, 7));
    return g / (1 + exp(-1.702 * g)) * (u + 1);
}

/* name: of the weight, without "experts."; number: among those of an expert. */
static linear part(const layer *l, const char *name, int number, const float *w, const float *b,
                   int64_t e, int32_t out, int32_t in) {
    const block_tensor t = {.name = arena_printf(l->a, "experts.%s.weight", name),
                            .rank = 3,
                            .dim = {l->s->experts, out, in}};
    return (linear){.w = w ? w + e * out * in : NULL,
                    .b = b ? b + e * out : NULL,
                    .out = out,
                    .in = in,
                    .type = block_weight_type(l->s, &t),
                    .id = l->ids + 1 + 3 * e + number};
}

static feed expert(const layer *l, const mixture *w, int64_t e) {
    const int32_t in = block_width(l->s), f = l->s->expert_dim;
    return (feed){.gate = part(l, "gate_proj", 0, w->gate, w->gate_bias, e, f, in),
                  .up = part(l, "up_proj", 1, w->up, w->up_bias, e, f, in),
                  .down = part(l, "down_proj", 2, w->down, w->down_bias, e, in, f)};
}

static void apply(const layer *l, const linear *p, int64_t row, const double *x, double *y) {
    rows_multiply(p->w, p->out, p->in, rows_rounded(l, p, row, x), y);
    for (int32_t o = 0; p->b && o < p->out; o++) y[o] += (double)p->b[o];
}

/* y += weight * expert(x); row: its number. */
static void add_expert(const layer *l, const feed *w, int64_t row, const double *x, double weight,
                       double *y) {
    const size_t f = (size_t)w->up.out, in = (size_t)w->down.out;
    double *g = arena_alloc(l->a, f * sizeof *g), *u = arena_alloc(l->a, f * sizeof *u);
    double *to = arena_alloc(l->a, in * sizeof *to);
    if (w->gate.w) apply(l, &w->gate, row, x, g);
    apply(l, &w->up, row, x, u);
    for (size_t i = 0; i < f; i++) u[i] = unit(l->s->expert_act, g[i], u[i]);
    apply(l, &w->down, row, u, to);
    for (size_t i = 0; i < in; i++) y[i] += weight * to[i];
}

rows mixture_of(const layer *l, const mixture *w, const rows *x) {
    const attn_spec *s = l->s;
    rows y = rows_new(l, x->tokens, x->width, x->live);
    double *weight = arena_alloc(l->a, (size_t)s->experts * sizeof *weight);
    double *in = arena_alloc(l->a, (size_t)x->width * sizeof *in);
    for (int64_t i = 0; i < rows_count(x); i++) {
        const double *row = rows_at(x, i);
        if (!x->live[i]) continue;
        route(l, w, row, i, weight);
        for (int64_t e = 0; e < s->experts; e++) {
            const feed f = expert(l, w, e);
            if (weight[e] == 0) continue;
            for (int32_t d = 0; s->router_input && d < x->width; d++) in[d] = weight[e] * row[d];
            add_expert(l, &f, i, s->router_input ? in : row, s->router_input ? 1 : weight[e],
                       rows_at(&y, i));
        }
        if (!s->shared_experts) continue;
        double share = 0;
        if (w->shared_gate) rows_multiply(w->shared_gate, 1, x->width, row, &share);
        add_expert(l, &w->shared, i, row, w->shared_gate ? 1 / (1 + exp(-share)) : 1,
                   rows_at(&y, i));
    }
    return y;
}
