/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* block_latent.c - kv_b_proj in two tensors, as GGUF has it: attn_k_b, turned head by head, and
 * attn_v_b. */
#include "block.h"

enum { KEYS, VALUES };

static const char *const names[2][2] = {{"attn_k_b.weight", "k_b_proj.weight"},
                                        {"attn_v_b.weight", "v_b_proj.weight"}};

static int weight_of(const attn_block_kernel *k) {
    for (int i = 0; i < k->weight_count; i++)
        if (!strcmp(k->weights[i].name, "kv_b_proj.weight")) return i;
    return -1;
}

static int half_named(const char *name) {
    for (int half = 0; half < 2; half++)
        for (int i = 0; i < 2; i++)
            if (attn_name_ends_in(name, strlen(name), names[half][i], strlen(names[half][i])))
                return half;
    return -1;
}

bool attn_latent_take(const attn_block_kernel *k, const attn_tensor *t, attn_weights *out,
                      attn_problems *p) {
    const attn_spec *s = k->spec;
    const int weight = weight_of(k), half = half_named(t->name);
    if (weight < 0 || half < 0) return false;
    const int64_t want[2][3] = {{s->heads, s->kv_comp_dim, s->head_dim},
                                {s->heads, s->v_head_dim, s->kv_comp_dim}};
    if (!attn_tensor_fits(t, 3, want[half], NULL, p)) return true;
    attn_source *to = &out->latent[half], *whole = &out->weight[weight];
    if (to->data || (whole->data && !whole->half))
        attn_problem(p, "%s: gives %s a second time", t->name, k->weights[weight].name);
    *to = (attn_source){.data = t->data, .type = t->type, .row = (int32_t)want[half][2], .step = 1};
    if (!out->latent[KEYS].data || !out->latent[VALUES].data) return true;
    *whole = (attn_source){.data = out->latent[KEYS].data,
                           .type = ATTN_WEIGHT_F32,
                           .row = s->kv_comp_dim,
                           .step = 1,
                           .half = out->latent,
                           .head = {s->head_dim, s->v_head_dim}};
    return true;
}

void attn_latent_missing(const attn_weights *found, attn_problems *p) {
    const bool keys = found->latent[KEYS].data, values = found->latent[VALUES].data;
    if (keys != values)
        attn_problem(p, "%s: missing beside %s", names[keys ? VALUES : KEYS][0],
                     names[keys ? KEYS : VALUES][0]);
}
