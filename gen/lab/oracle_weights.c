/* oracle_weights.c - a layer's weights by name and shape, or what is wrong with them. */
#include "layer_oracle.h"

#include "quant.h"
#include "stored.h"
#include "types.h"

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
            l->list[l->listed] = (block_tensor){.name = name, .rank = rank, .dim = {d0, d1, d2}};
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
    linear p = {.out = out, .in = in, .id = ++l->ids};
    const char *weight = arena_printf(l->a, "%s.weight", at[i].name);
    p.w = weight_need(l, weight, 2, at[i].total, in, 0);
    p.type = block_weight_type(l->s, &(block_tensor){.name = weight, .rank = 2, .dim = {out, in}});
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
    if (!s->norm_bare)
        n.w = weight_need(l, arena_printf(l->a, "%s.weight", name), 1, block_width(s), 0, 0);
    if (s->norm_bias)
        n.b = weight_need(l, arena_printf(l->a, "%s.bias", name), 1, block_width(s), 0, 0);
    return n;
}

/* Of latent rows. */
norm weight_inner_norm(layer *l, const char *name, int32_t width) {
    const attn_spec *s = l->s;
    return (norm){.kind = ATTN_NORM_RMSNORM,
                  .eps = (double)(s->latent_eps != 0 ? s->latent_eps : s->norm_eps),
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

/* --- Types --- */

static bool is_one_of(const char *name, const char *const *names) {
    for (; *names; names++)
        if (!strcmp(name, *names)) return true;
    return false;
}

int32_t layer_rest_type(const attn_spec *s) {
    if (s->weight_rest != ATTN_WEIGHT_REST_AUTO) return s->weight_rest - 1;
    return s->weight_type == ATTN_WEIGHT_F32 ? ATTN_WEIGHT_F32 : ATTN_WEIGHT_F16;
}

/* weight_types of a matrix, by its own name or that of what it is stored with. */
static int32_t named_type(const attn_spec *s, const char *weight) {
    static const struct {
        const char *name;
        attn_matrix matrix;
    } all[] = {
        {"q_proj", ATTN_MATRIX_Q_PROJ},
        {"k_proj", ATTN_MATRIX_K_PROJ},
        {"v_proj", ATTN_MATRIX_V_PROJ},
        {"o_proj", ATTN_MATRIX_O_PROJ},
        {"q_a_proj", ATTN_MATRIX_Q_A_PROJ},
        {"q_b_proj", ATTN_MATRIX_Q_B_PROJ},
        {"kv_a_proj_with_mqa", ATTN_MATRIX_KV_A_PROJ},
        {"gate_proj", ATTN_MATRIX_UP_PROJ},
        {"up_proj", ATTN_MATRIX_UP_PROJ},
        {"down_proj", ATTN_MATRIX_DOWN_PROJ},
        {"experts.gate_proj", ATTN_MATRIX_EXPERTS_UP},
        {"experts.up_proj", ATTN_MATRIX_EXPERTS_UP},
        {"experts.down_proj", ATTN_MATRIX_EXPERTS_DOWN},
        {"shared_expert.gate_proj", ATTN_MATRIX_SHARED_UP},
        {"shared_expert.up_proj", ATTN_MATRIX_SHARED_UP},
        {"shared_expert.down_proj", ATTN_MATRIX_SHARED_DOWN},
        {"o_gate", ATTN_MATRIX_O_GATE},
        {"kv_b_proj", ATTN_MATRIX_KV_B_PROJ},
        {"kv_proj", ATTN_MATRIX_KV_PROJ},
        {"W_kr", ATTN_MATRIX_W_KR},
        {"w_kc_kv", ATTN_MATRIX_W_KC_KV},
        {"out_proj", ATTN_MATRIX_OUT_PROJ},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const size_t n = strlen(all[i].name);
        if (!strncmp(weight, all[i].name, n) && (!weight[n] || !strcmp(weight + n, ".weight")))
            return s->weight_types[all[i].matrix];
    }
    return 0;
}

int32_t block_weight_type(const attn_spec *s, const block_tensor *t) {
    const char *name = t->name;
    static const char *const folded[] = {"q_proj.weight", "w_kc_q", "W_qr", NULL};
    static const char *const outputs[] = {"out_proj.weight", "o_proj.weight", NULL};
    static const char *const floats[] = {
        "norm",   "bias",         "sinks", "router.weight", "shared_expert_gate",
        "act_fn", "rope_factors", NULL};
    for (int i = 0; floats[i]; i++)
        if (strstr(name, floats[i])) return ATTN_WEIGHT_F32;
    const bool per_head = layer_is_mla(s) && !layer_is_shared(s);
    if (per_head && is_one_of(name, folded)) return ATTN_WEIGHT_F32;
    if (per_head && s->op == ATTN_OP_FULL_SELF && is_one_of(name, outputs)) return ATTN_WEIGHT_F32;
    const bool transposed = !strcmp(name, "W_kr") || !strcmp(name, "kv_b_proj.weight");
    const int32_t own = named_type(s, name);
    if (own) return own - 1;
    const int64_t k = t->dim[t->rank - 1];
    const bool whole = k % attn_weight_get(s->weight_type).block == 0;
    if (whole && !transposed) return s->weight_type;
    const bool fits_32 = block_weight_made(s->weight_type) && k % 32 == 0;
    if (!transposed && fits_32 && s->weight_rest == ATTN_WEIGHT_REST_AUTO) return ATTN_WEIGHT_Q8_0;
    return layer_rest_type(s);
}

static void put_half(uint8_t *to, float x) {
    const uint32_t half = attn_round_float(x, 16, 5);
    to[0] = (uint8_t)half, to[1] = (uint8_t)(half >> 8);
}

/* Blocks of a K-quant: bytes from the floats' low bits, scales for numbers as large as they are. */
static void make_blocks(int32_t type, const float *from, int64_t count, uint8_t *to) {
    const attn_weight_row row = attn_weight_get(type);
    for (int64_t i = 0; i < count; i += row.block, to += row.bytes) {
        float most = 0;
        for (int j = 0; j < row.block; j++) {
            uint32_t bits;
            memcpy(&bits, &from[i + j], sizeof bits);
            if (j < row.bytes) to[j] = (uint8_t)(bits >> 5);
            most = fmaxf(most, fabsf(from[i + j]));
        }
        if (type == ATTN_WEIGHT_Q6_K) {
            put_half(to + 208, most / (128 * 32));
            continue;
        }
        put_half(to, most / (63 * (type == ATTN_WEIGHT_Q4_K ? 15 : 31)));
        put_half(to + 2, most / 126); /* half of them are negative */
    }
}

/* Floats by a restatement of the rule; blocks by quant.h, which is held to ggml's own bytes. */
static void round_weight(int32_t type, const float *from, int64_t count, void *blocks, float *to) {
    const int32_t element = attn_weight_element(type);
    if (element >= 0) {
        for (int64_t i = 0; i < count; i++) to[i] = (float)stored_rounded(element, (double)from[i]);
        return;
    }
    if (block_weight_made(type))
        make_blocks(type, from, count, blocks);
    else
        attn_quantise(blocks, type, count, from);
    attn_dequantise(blocks, type, count, to);
}

bool block_weight_made(int32_t type) {
    return type == ATTN_WEIGHT_Q4_K || type == ATTN_WEIGHT_Q5_K || type == ATTN_WEIGHT_Q6_K;
}

void block_round_weights(arena *a, const kernel_spec *spec, block_tensor *weight, int count) {
    for (int i = 0; i < count; i++) {
        const int32_t type = block_weight_type(&spec->core, &weight[i]);
        if (type == ATTN_WEIGHT_F32) continue;
        int64_t elements = 1;
        for (int d = 0; d < weight[i].rank; d++) elements *= weight[i].dim[d];
        float *to = arena_alloc(a, (size_t)elements * sizeof *to + 1);
        void *blocks = arena_alloc(a, (size_t)attn_weight_bytes(type, elements) + 1);
        round_weight(type, weight[i].data, elements, blocks, to);
        weight[i].data = to;
        if (attn_weight_is_float(type)) continue;
        weight[i].stored = blocks;
        weight[i].type = type;
    }
}
