/* oracle_weights.c - a layer's weights by name and shape, or what is wrong with them. */
#include "layer_oracle.h"

#include <string.h>

static const block_tensor *weight_find(const layer *l, const char *name) {
    for (int i = 0; i < l->c->weight_count; i++)
        if (strcmp(l->c->weight[i].name, name) == 0) return &l->c->weight[i];
    return NULL;
}

static void weight_complain(layer *l, const char *name, const char *what) {
    buf_printf(&l->error, "%s%s: %s", l->error.len ? "; " : "", name, what);
}

static const char *shape_text(arena *a, int rank, const int64_t *dim) {
    buf b = buf_new(a);
    for (int i = 0; i < rank; i++) buf_printf(&b, "%s%lld", i ? ", " : "", (long long)dim[i]);
    return b.data;
}

const float *weight_need(layer *l, const char *name, int rank, int64_t d0, int64_t d1, int64_t d2) {
    const block_tensor *t = weight_find(l, name);
    const int64_t dim[3] = {d0, d1, d2};
    if (l->list) {
        if (l->listed < l->list_size)
            l->list[l->listed] = (block_tensor){name, NULL, rank, {d0, d1, d2, 0}};
        l->listed++;
        return NULL;
    }
    if (!t) {
        weight_complain(l, name, arena_printf(l->a, "missing, [%s]", shape_text(l->a, rank, dim)));
        return NULL;
    }
    l->used[t - l->c->weight] = true;
    bool fits = t->rank == rank;
    for (int i = 0; fits && i < rank; i++) fits = t->dim[i] == dim[i];
    if (fits) return t->data;
    weight_complain(l, name,
                    arena_printf(l->a, "its shape is [%s] and must be [%s]",
                                 shape_text(l->a, t->rank < 4 ? t->rank : 4, t->dim),
                                 shape_text(l->a, rank, dim)));
    return NULL;
}

linear weight_projection(layer *l, const place *at, int places, int32_t out, int32_t in,
                         bool bias) {
    int i = 0;
    while (i < places - 1 && !weight_find(l, arena_printf(l->a, "%s.weight", at[i].name))) i++;
    linear p = {.out = out, .in = in};
    const char *weight = arena_printf(l->a, "%s.weight", at[i].name);
    p.w = weight_need(l, weight, 2, at[i].total, in, 0);
    if (p.w) p.w += at[i].first * in;
    if (!bias) return p;
    p.b = weight_need(l, arena_printf(l->a, "%s.bias", at[i].name), 1, at[i].total, 0, 0);
    if (p.b) p.b += at[i].first;
    return p;
}

linear weight_own(layer *l, const char *name, int32_t out, int32_t in, bool bias) {
    return weight_projection(l, &(place){name, 0, out}, 1, out, in, bias);
}

norm weight_norm(layer *l, const char *name) {
    const attn_spec *s = l->s;
    norm n = {.kind = s->norm, .eps = (double)s->norm_eps, .offset = s->norm_offset};
    if (n.kind == ATTN_NORM_NONE) return n;
    n.w = weight_need(l, arena_printf(l->a, "%s.weight", name), 1, block_width(s), 0, 0);
    if (s->norm_bias)
        n.b = weight_need(l, arena_printf(l->a, "%s.bias", name), 1, block_width(s), 0, 0);
    return n;
}

norm weight_inner_norm(layer *l, const char *name, int32_t width) {
    const attn_spec *s = l->s;
    return (norm){.kind = ATTN_NORM_RMSNORM,
                  .eps = (double)s->norm_eps,
                  .offset = s->norm_offset,
                  .w = weight_need(l, arena_printf(l->a, "%s.weight", name), 1, width, 0, 0)};
}

/* Whatever nobody asked for is a mistake, but for what sliding mla layers carry along. */
void weight_unused(layer *l) {
    const bool spare =
        layer_is_mla(l->s) && !layer_is_shared(l->s) && l->s->op == ATTN_OP_SLIDING_SELF;
    for (int i = 0; i < l->c->weight_count; i++) {
        const char *name = l->c->weight[i].name;
        if (l->used[i] || (spare && strcmp(name, "o_proj.weight") == 0)) continue;
        weight_complain(l, name, "is no weight of this layer");
    }
}
