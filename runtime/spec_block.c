/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* spec_block.c - the rules of layer specs (level = block). */
#include "op.h"
#include "weight_types.h"

#include <math.h>

#define fail attn_spec_fail

static void fill(int32_t *member, int32_t value) {
    if (*member == ATTN_UNSET) *member = value;
}

static bool is_cross(const attn_spec *s) {
    return attn_op_of(s)->segments;
}

static attn_status need(int32_t member, const char *field, const char *what, attn_spec_error *err) {
    return member == ATTN_UNSET ? fail(err, field, "is required for level = block: %s", what)
                                : ATTN_OK;
}

static attn_status check_widths(const attn_spec *s, attn_spec_error *err) {
    if (s->heads == ATTN_UNSET) return fail(err, "heads", "is required: the number of query heads");
    if (!is_cross(s)) return need(s->d_model, "d_model", "the width of the layer's rows", err);
    attn_status st = need(s->q_dim, "q_dim", "the width of the query side's rows", err);
    return st == ATTN_OK ? need(s->kv_dim, "kv_dim", "the width of the key side's rows", err) : st;
}

/* A whole width that is split among the heads: d_model (self) or d_attn (cross). */
static attn_status split(attn_spec *s, int32_t width, const char *field, attn_spec_error *err) {
    if (s->head_dim != ATTN_UNSET) return ATTN_OK;
    if (width % s->heads)
        return fail(err, field, "must be a multiple of heads: %d is no multiple of %d", width,
                    s->heads);
    s->head_dim = width / s->heads;
    return ATTN_OK;
}

static attn_status regular_widths(attn_spec *s, attn_spec_error *err) {
    if (!is_cross(s)) return split(s, s->d_model, "d_model", err);
    if (s->d_attn == ATTN_UNSET && s->head_dim == ATTN_UNSET)
        return need(s->d_attn, "d_attn", "heads * head_dim", err);
    attn_status st = s->d_attn == ATTN_UNSET ? ATTN_OK : split(s, s->d_attn, "d_attn", err);
    if (st != ATTN_OK) return st;
    const int64_t width = (int64_t)s->heads * s->head_dim;
    if (width > 1048576)
        return fail(err, "head_dim",
                    "is too large: heads * head_dim must be at "
                    "most 1048576");
    if (s->d_attn != ATTN_UNSET && s->d_attn != width)
        return fail(err, "d_attn", "must be heads * head_dim = %d, got %d", (int)width, s->d_attn);
    s->d_attn = ATTN_UNSET; /* head_dim says it */
    return ATTN_OK;
}

static attn_status mla_widths(attn_spec *s, attn_spec_error *err) {
    attn_status st = need(s->head_dim, "head_dim", "the width of a query head", err);
    if (st != ATTN_OK) return st;
    if (s->key == ATTN_KEY_PER_HEAD) {
        if (s->v_head_dim != ATTN_UNSET) return fail(err, "v_head_dim", "needs key = shared");
        return need(s->q_comp_dim, "q_comp_dim", "the width of the compressed query", err);
    }
    if (is_cross(s)) return fail(err, "key", "must be per_head for layers of segment_cross");
    fill(&s->v_head_dim, s->head_dim);
    if (s->scale == ATTN_UNSET_F && s->retr_dim != ATTN_UNSET)
        s->scale = (float)(1.0 / sqrt((double)s->head_dim + s->retr_dim));
    return ATTN_OK;
}

attn_status attn_spec_block_core(attn_spec *s, attn_spec_error *err) {
    attn_status st = check_widths(s, err);
    if (st != ATTN_OK) return st;
    if (!is_cross(s) && s->kv_dim != ATTN_UNSET &&
        (attn_op_has_edges(s) || s->form == ATTN_FORM_MLA)) /* positions are the queries' alone */
        return fail(err, "kv_dim",
                    "applies to segment_cross, and to regular full_self with causal "
                    "= false");
    return s->form == ATTN_FORM_MLA ? mla_widths(s, err) : regular_widths(s, err);
}

static attn_status norm_rules(attn_spec *s, attn_spec_error *err) {
    const bool cross = is_cross(s), mla = s->form == ATTN_FORM_MLA;
    fill(&s->norm, cross ? ATTN_NORM_NONE : mla ? ATTN_NORM_RMSNORM : ATTN_NORM_LAYERNORM);
    fill(&s->residual, cross ? ATTN_RESIDUAL_NONE : ATTN_RESIDUAL_SERIAL);
    fill(&s->norm_bias, s->norm == ATTN_NORM_LAYERNORM && !s->norm_bare);
    const bool norms = s->norm != ATTN_NORM_NONE, rms = s->norm == ATTN_NORM_RMSNORM;
    if (!norms && s->norm_bias) return fail(err, "norm_bias", "needs a norm");
    if (!norms && s->norm_offset) return fail(err, "norm_offset", "needs a norm");
    if (!norms && s->norm_place) return fail(err, "norm_place", "needs a norm");
    if (!norms && s->norm_bare) return fail(err, "norm_bare", "needs a norm");
    if (s->norm_bare && s->norm_bias)
        return fail(err, "norm_bias",
                    "must be false where norm_bare says that norms have no weights");
    if (s->norm_bare && s->norm_offset)
        return fail(err, "norm_offset",
                    "needs weights of norms, and norm_bare says there are none");
    if (s->norm_eps == ATTN_UNSET_F) s->norm_eps = rms || (mla && !norms) ? 0x1p-23f : 1e-5f;
    if (!(s->norm_eps >= 0)) return fail(err, "norm_eps", "must not be negative");
    if (s->latent_eps != 0 && s->key != ATTN_KEY_SHARED)
        return fail(err, "latent_eps", "needs key = shared");
    if (!(s->latent_eps >= 0)) return fail(err, "latent_eps", "must not be negative");
    if (s->latent_eps == s->norm_eps) s->latent_eps = 0; /* one spelling */
    const bool parallel = s->residual == ATTN_RESIDUAL_PARALLEL;
    if (s->skip_norm1 && (!norms || s->norm_place || s->residual != ATTN_RESIDUAL_SERIAL))
        return fail(err, "skip_norm1", "needs a norm, norm_place = pre and residual = serial");
    if (s->shared_norm && (!parallel || !norms))
        return fail(err, "shared_norm", "needs a norm and residual = parallel");
    if (parallel && s->norm_place != ATTN_NORM_PLACE_PRE)
        return fail(err, "norm_place", "must be pre where residual = parallel");
    if (s->residual == ATTN_RESIDUAL_NONE && s->residual_scale != 0)
        return fail(err, "residual_scale", "needs a residual");
    if (s->residual_scale == 1) s->residual_scale = 0; /* one spelling */
    return ATTN_OK;
}

/* Fields of mixtures of experts: a layer without one has none of them. */
static attn_status no_moe(const attn_spec *s, attn_spec_error *err) {
    static const char *const fields[] = {
        "expert_act",     "experts",     "top_k",        "expert_dim",   "router",
        "router_bias",    "norm_topk",   "router_scale", "groups",       "group_top",
        "shared_experts", "shared_gate", "router_input", "router_jitter"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (!attn_field_is_default(attn_field_find(fields[i]), s))
            return fail(err, fields[i], "needs ffn = moe");
    return ATTN_OK;
}

static attn_status group_rules(attn_spec *s, attn_spec_error *err) {
    if (!s->groups) s->groups = 1;
    if (s->groups == 1 && s->group_top > 1)
        return fail(err, "group_top", "needs more groups than 1");
    if (s->groups == 1) {
        s->group_top = 1;
        return ATTN_OK;
    }
    if (s->router == ATTN_ROUTER_TOPK_SOFTMAX || s->router == ATTN_ROUTER_SPARSEMIXER)
        return fail(err, "groups", "must be 1 for router = topk_softmax and sparsemixer");
    if (s->experts % s->groups)
        return fail(err, "groups", "must divide experts: %d is no multiple of %d", s->experts,
                    s->groups);
    const int32_t each = s->experts / s->groups;
    if (s->router == ATTN_ROUTER_SIGMOID && each < 2)
        return fail(err, "groups", "must leave 2 experts a group for router = sigmoid");
    if (!s->group_top) return fail(err, "group_top", "is required where groups is more than 1");
    if (s->group_top > s->groups)
        return fail(err, "group_top", "must be at most groups = %d, got %d", s->groups,
                    s->group_top);
    if (s->top_k > s->group_top * each)
        return fail(err, "top_k", "must be at most group_top * experts / groups = %d, got %d",
                    s->group_top * each, s->top_k);
    return ATTN_OK;
}

static attn_status shared_expert_rules(attn_spec *s, attn_spec_error *err) {
    if (s->shared_gate && !s->shared_experts)
        return fail(err, "shared_gate", "needs shared_experts");
    if ((int64_t)s->shared_experts * s->expert_dim > 1048576)
        return fail(err, "shared_experts",
                    "is too large: shared_experts * expert_dim must be at most 1048576");
    return ATTN_OK;
}

static attn_status router_rules(attn_spec *s, attn_spec_error *err) {
    const bool late = s->router == ATTN_ROUTER_TOPK_SOFTMAX;
    const bool mixer = s->router == ATTN_ROUTER_SPARSEMIXER;
    if ((late || mixer) && s->router_bias == ATTN_ROUTER_BIAS_SELECTION)
        return fail(err, "router_bias",
                    "must be none or logits for router = topk_softmax and sparsemixer");
    if (late && s->norm_topk)
        return fail(err, "norm_topk",
                    "must be false for router = topk_softmax: its weights sum to 1");
    if (s->router_jitter != 0 && !mixer)
        return fail(err, "router_jitter", "needs router = sparsemixer");
    if (!(s->router_jitter >= 0 && s->router_jitter <= 1))
        return fail(err, "router_jitter", "must be from 0 to 1");
    if (s->router_scale == 0) s->router_scale = 1;
    return ATTN_OK;
}

static attn_status moe_rules(attn_spec *s, attn_spec_error *err) {
    if (s->ffn_dim != ATTN_UNSET || s->ffn_dim_multiplier != ATTN_UNSET)
        return fail(err, s->ffn_dim != ATTN_UNSET ? "ffn_dim" : "ffn_dim_multiplier",
                    "is not of ffn = moe: expert_dim is the experts' width");
    if (!s->experts)
        return fail(err, "experts", "is required for ffn = moe: how many experts there are");
    if (!s->top_k)
        return fail(err, "top_k", "is required for ffn = moe: experts that are chosen for a row");
    if (!s->expert_dim)
        return fail(err, "expert_dim", "is required for ffn = moe: the width of an expert");
    if (s->top_k > s->experts)
        return fail(err, "top_k", "must be at most experts = %d, got %d", s->experts, s->top_k);
    attn_status st = router_rules(s, err);
    if (st != ATTN_OK) return st;
    fill(&s->ffn_bias, 0);
    st = group_rules(s, err);
    return st == ATTN_OK ? shared_expert_rules(s, err) : st;
}

static attn_status ffn_rules(attn_spec *s, attn_spec_error *err) {
    const int32_t width = is_cross(s) ? s->q_dim : s->d_model;
    fill(&s->ffn, is_cross(s) ? ATTN_FFN_NONE : ATTN_FFN_SWIGLU);
    const bool own = s->ffn != ATTN_FFN_NONE && s->ffn != ATTN_FFN_EXTERNAL;
    if (s->skip_norm1 && !own)
        return fail(err, "skip_norm1", "needs an ffn of the layer's own; else norm = none says it");
    const attn_status st = s->ffn == ATTN_FFN_MOE ? ATTN_OK : no_moe(s, err);
    if (st != ATTN_OK) return st;
    if (!own) {
        if (s->ffn_dim != ATTN_UNSET || s->ffn_dim_multiplier != ATTN_UNSET)
            return fail(err, s->ffn_dim != ATTN_UNSET ? "ffn_dim" : "ffn_dim_multiplier",
                        "needs an ffn of the layer's own");
        if (s->ffn_bias == 1) return fail(err, "ffn_bias", "needs an ffn of the layer's own");
        s->ffn_bias = 0;
        return ATTN_OK;
    }
    if (s->residual == ATTN_RESIDUAL_NONE)
        return fail(err, "ffn", "must be none where residual = none");
    if (s->ffn == ATTN_FFN_MOE) return moe_rules(s, err);
    fill(&s->ffn_bias, 1);
    if (s->ffn_dim_multiplier != ATTN_UNSET && s->ffn_dim != ATTN_UNSET)
        return fail(err, "ffn_dim_multiplier", "and ffn_dim say the same: give one of them");
    const int64_t times = s->ffn_dim_multiplier == ATTN_UNSET ? 4 : s->ffn_dim_multiplier;
    if (s->ffn_dim == ATTN_UNSET && times * width > 1048576)
        return fail(err, "ffn_dim_multiplier", "is too large: ffn_dim must be at most 1048576");
    fill(&s->ffn_dim, (int32_t)(times * width));
    s->ffn_dim_multiplier = ATTN_UNSET; /* ffn_dim says it */
    return ATTN_OK;
}

static void bias_rules(attn_spec *s) {
    fill(&s->q_bias, !is_cross(s) && s->form == ATTN_FORM_REGULAR);
    fill(&s->k_bias, s->q_bias);
    fill(&s->v_bias, s->q_bias);
    fill(&s->o_bias, s->q_bias);
}

/* The latent projections of mla carry no biases; the shared key's first projections have names of
 * their own. */
static attn_status mla_bias_rules(const attn_spec *s, attn_spec_error *err) {
    if (s->form != ATTN_FORM_MLA) return ATTN_OK;
    if (s->q_bias) return fail(err, "q_bias", "must be false for form mla");
    if (s->k_bias) return fail(err, "k_bias", "must be false for form mla");
    if (s->v_bias) return fail(err, "v_bias", "must be false for form mla");
    if (s->o_bias) return fail(err, "o_bias", "must be false for form mla");
    return ATTN_OK;
}

static attn_status longrope_rules(attn_spec *s, attn_spec_error *err) {
    if (s->rope_mscale == ATTN_UNSET_F && s->rope_original < 2)
        return fail(err, "rope_original", "must be at least 2 where rope_mscale is not given");
    if (s->rope_mscale == ATTN_UNSET_F)
        s->rope_mscale =
            (float)sqrt(1 + log((double)s->rope_factor) / log((double)s->rope_original));
    return s->rope_mscale > 0 ? ATTN_OK : fail(err, "rope_mscale", "must be greater than 0");
}

static attn_status scaling_rules(attn_spec *s, attn_spec_error *err) {
    const int kind = s->rope_scaling;
    const bool ramp = kind == ATTN_ROPE_SCALING_LLAMA3 || kind == ATTN_ROPE_SCALING_YARN;
    if (kind != ATTN_ROPE_SCALING_NONE && s->rope_factor == ATTN_UNSET_F)
        return fail(err, "rope_factor", "is required where rope_scaling is given");
    if (kind == ATTN_ROPE_SCALING_NONE && s->rope_factor != ATTN_UNSET_F)
        return fail(err, "rope_factor", "needs rope_scaling");
    if (kind != ATTN_ROPE_SCALING_NONE && !(s->rope_factor >= 1))
        return fail(err, "rope_factor", "must be at least 1");
    const bool longrope = kind == ATTN_ROPE_SCALING_LONGROPE;
    if ((ramp || longrope) && s->rope_original == ATTN_UNSET)
        return fail(err, "rope_original",
                    "is required for rope_scaling = llama3, yarn and longrope");
    if (!ramp && !longrope && s->rope_original != ATTN_UNSET)
        return fail(err, "rope_original", "needs rope_scaling = llama3, yarn or longrope");
    if (!ramp && (s->rope_low != ATTN_UNSET_F || s->rope_high != ATTN_UNSET_F))
        return fail(err, s->rope_low != ATTN_UNSET_F ? "rope_low" : "rope_high",
                    "needs rope_scaling = llama3 or yarn");
    const bool yarn = kind == ATTN_ROPE_SCALING_YARN;
    if (!yarn && !longrope && s->rope_mscale != ATTN_UNSET_F)
        return fail(err, "rope_mscale", "needs rope_scaling = yarn or longrope");
    if (!yarn && !s->rope_truncate) return fail(err, "rope_truncate", "needs rope_scaling = yarn");
    if (longrope) return longrope_rules(s, err);
    if (!ramp) return ATTN_OK;
    if (s->rope_low == ATTN_UNSET_F) s->rope_low = 1;
    if (s->rope_high == ATTN_UNSET_F) s->rope_high = yarn ? 32 : 4;
    if (!(s->rope_low > 0 && s->rope_high >= s->rope_low))
        return fail(err, "rope_high", "must be at least rope_low, and both greater than 0");
    if (!yarn) return ATTN_OK;
    if (!(s->rope_base > 1))
        return fail(err, "rope_base", "must be greater than 1 for rope_scaling = yarn, got %g",
                    (double)s->rope_base);
    if (s->rope_mscale == ATTN_UNSET_F)
        s->rope_mscale = (float)(0.1 * log((double)s->rope_factor) + 1);
    if (!(s->rope_mscale > 0)) return fail(err, "rope_mscale", "must be greater than 0");
    return ATTN_OK;
}

static attn_status rope_rules(attn_spec *s, attn_spec_error *err) {
    const bool mla = s->form == ATTN_FORM_MLA;
    const int32_t whole = mla ? s->retr_dim : s->head_dim;
    if (s->rope == ATTN_ROPE_NONE) {
        if (s->rope_dim != ATTN_UNSET) return fail(err, "rope_dim", "needs a rope");
        if (s->rope_base != ATTN_UNSET_F) return fail(err, "rope_base", "needs a rope");
        if (s->rope_scaling) return fail(err, "rope_scaling", "needs a rope");
        return scaling_rules(s, err);
    }
    fill(&s->rope_dim, whole);
    if (s->rope_dim % 2 || s->rope_dim > whole)
        return fail(err, "rope_dim", "must be even and at most %d, the width of a %s, got %d",
                    whole, mla ? "retrieval key" : "head", s->rope_dim);
    if (s->rope_base == ATTN_UNSET_F) s->rope_base = 10000;
    if (!(s->rope_base > 0)) return fail(err, "rope_base", "must be greater than 0");
    return scaling_rules(s, err);
}

/* Of q and k; RoPE is known. */
static attn_status qk_norm_rules(attn_spec *s, attn_spec_error *err) {
    static const char *const fields[] = {"qk_norm_kind", "qk_norm_over", "qk_norm_place",
                                         "qk_norm_weights"};
    for (size_t i = 0; !s->qk_norm && i < sizeof fields / sizeof *fields; i++)
        if (!attn_field_is_default(attn_field_find(fields[i]), s))
            return fail(err, fields[i], "needs qk_norm");
    if (s->qk_norm_over == ATTN_QK_NORM_OVER_ALL &&
        s->qk_norm_weights == ATTN_QK_NORM_WEIGHTS_HEADS)
        return fail(err, "qk_norm_weights",
                    "must be head or none for qk_norm_over = all, whose weights are as wide as all "
                    "heads");
    if (s->rope == ATTN_ROPE_NONE) s->qk_norm_place = ATTN_QK_NORM_PLACE_BEFORE; /* one spelling */
    return ATTN_OK;
}

static attn_status growth_rules(const attn_spec *s, attn_spec_error *err) {
    if (s->q_growth == 0 && s->q_growth_every) return fail(err, "q_growth_every", "needs q_growth");
    if (s->q_growth == 0 && s->q_growth_offset)
        return fail(err, "q_growth_offset", "needs q_growth");
    if (s->q_growth == 0) return ATTN_OK;
    if (!s->q_growth_every)
        return fail(err, "q_growth_every", "is required where q_growth is given");
    if (s->kv_dim != ATTN_UNSET)
        return fail(err, "q_growth", "needs keys of the layer's own rows, and kv_dim is given");
    return ATTN_OK;
}

static int32_t default_rest(const attn_spec *s) {
    return s->weight_type == ATTN_WEIGHT_F32 ? ATTN_WEIGHT_F32 : ATTN_WEIGHT_F16;
}

int32_t attn_spec_weight_rest(const attn_spec *s) {
    return s->weight_rest == ATTN_WEIGHT_REST_AUTO ? default_rest(s) : s->weight_rest - 1;
}

int32_t attn_spec_weight_type(const attn_spec *s, int64_t k) {
    const int block = attn_weight_get(s->weight_type).block;
    if (k % block == 0) return s->weight_type;
    if (s->weight_rest == ATTN_WEIGHT_REST_AUTO && block > 32 && k % 32 == 0)
        return ATTN_WEIGHT_Q8_0;
    return attn_spec_weight_rest(s);
}

/* Why a matrix is no rows of blocks as it is given; null: it is as it lies. */
static const char *not_in_blocks(const attn_spec *s, int32_t matrix) {
    const bool per_head = s->form == ATTN_FORM_MLA && s->key == ATTN_KEY_PER_HEAD;
    switch (matrix) {
    case ATTN_MATRIX_KV_B_PROJ:
    case ATTN_MATRIX_W_KR: return "is used transposed";
    case ATTN_MATRIX_Q_PROJ: return per_head ? "is folded into one" : NULL;
    case ATTN_MATRIX_OUT_PROJ: return attn_op_of(s)->second_output ? "is folded into one" : NULL;
    default: return NULL;
    }
}

int32_t attn_spec_matrix_type(const attn_spec *s, int32_t matrix, int64_t k) {
    const int32_t own = s->weight_types[matrix];
    if (own) return own - 1;
    return not_in_blocks(s, matrix) ? attn_spec_weight_rest(s) : attn_spec_weight_type(s, k);
}

/* Columns of a matrix whose type can be chosen; 0: the layer has none such. */
static int64_t matrix_columns(const attn_spec *s, int32_t matrix) {
    const bool regular = s->form == ATTN_FORM_REGULAR;
    const bool shared = !regular && s->key == ATTN_KEY_SHARED, per_head = !regular && !shared;
    const bool moe = s->ffn == ATTN_FFN_MOE, lora = shared && s->q_comp_dim != ATTN_UNSET;
    const bool dense = !moe && s->ffn != ATTN_FFN_NONE && s->ffn != ATTN_FFN_EXTERNAL;
    const int64_t width = attn_spec_row_dim(s), keys = s->kv_dim != ATTN_UNSET ? s->kv_dim : width;
    switch (matrix) {
    case ATTN_MATRIX_Q_PROJ: return shared && lora ? 0 : width;
    case ATTN_MATRIX_K_PROJ:
    case ATTN_MATRIX_V_PROJ: return regular ? keys : 0;
    case ATTN_MATRIX_O_PROJ:
        return regular  ? (int64_t)s->heads * s->v_dim
               : shared ? (int64_t)s->heads * s->v_head_dim
                        : 0;
    case ATTN_MATRIX_Q_A_PROJ: return lora ? width : 0;
    case ATTN_MATRIX_Q_B_PROJ: return lora ? s->q_comp_dim : 0;
    case ATTN_MATRIX_KV_A_PROJ: return shared ? width : 0;
    case ATTN_MATRIX_UP_PROJ: return dense ? width : 0;
    case ATTN_MATRIX_DOWN_PROJ: return dense ? s->ffn_dim : 0;
    case ATTN_MATRIX_EXPERTS_UP: return moe ? width : 0;
    case ATTN_MATRIX_EXPERTS_DOWN: return moe ? s->expert_dim : 0;
    case ATTN_MATRIX_SHARED_UP: return moe && s->shared_experts ? width : 0;
    case ATTN_MATRIX_O_GATE: return s->o_gate != ATTN_O_GATE_NONE ? width : 0;
    case ATTN_MATRIX_KV_B_PROJ: return shared ? s->kv_comp_dim : 0;
    case ATTN_MATRIX_KV_PROJ: return per_head ? keys : 0;
    case ATTN_MATRIX_W_KR:
    case ATTN_MATRIX_W_KC_KV: return per_head ? s->kv_comp_dim : 0;
    case ATTN_MATRIX_OUT_PROJ: return per_head ? (int64_t)s->heads * s->head_dim : 0;
    default: return moe && s->shared_experts ? (int64_t)s->shared_experts * s->expert_dim : 0;
    }
}

bool attn_spec_has_matrix(const attn_spec *s, int32_t matrix) {
    return s->level == ATTN_LEVEL_BLOCK && matrix_columns(s, matrix) > 0;
}

int32_t attn_spec_stored_type(const attn_spec *s, int32_t matrix, const char **why) {
    const int64_t k = matrix_columns(s, matrix);
    const int32_t type = attn_spec_matrix_type(s, matrix, k);
    *why = NULL;
    if (s->weight_types[matrix] || type == s->weight_type) return type;
    *why = not_in_blocks(s, matrix);
    if (!*why) *why = "has rows that are no whole blocks";
    return type;
}

/* Names of matrices that the layer has, and whose rows are whole blocks; what they would be anyway
 * is not said. */
static attn_status matrix_rules(attn_spec *s, attn_spec_error *err) {
    for (int32_t i = 0; i < ATTN_MATRIX_COUNT; i++) {
        if (!s->weight_types[i]) continue;
        const int64_t k = matrix_columns(s, i);
        const int32_t own = s->weight_types[i];
        const attn_weight_row row = attn_weight_get(own - 1);
        const char *why = not_in_blocks(s, i);
        if (!k)
            return fail(err, "weight_types", "%s is no matrix of this layer whose type is free",
                        attn_matrix_name(i));
        if (why && !attn_weight_is_float(own - 1))
            return fail(err, "weight_types", "%s=%s: it %s, so its type must be f32, bf16 or f16",
                        attn_matrix_name(i), row.name, why);
        if (k % row.block)
            return fail(err, "weight_types", "%s=%s: its rows of %lld are no whole blocks of %d",
                        attn_matrix_name(i), row.name, (long long)k, row.block);
        s->weight_types[i] = 0;
        if (own - 1 != attn_spec_matrix_type(s, i, k)) s->weight_types[i] = own;
    }
    return ATTN_OK;
}

/* Whether rows meet weights in blocks anywhere. */
static bool has_blocks(const attn_spec *s) {
    const int64_t width = attn_spec_row_dim(s);
    for (int32_t i = 0; i < ATTN_MATRIX_COUNT; i++) {
        const int64_t k = matrix_columns(s, i);
        if (k && !attn_weight_is_float(attn_spec_matrix_type(s, i, k))) return true;
    }
    return !attn_weight_is_float(
        attn_spec_weight_type(s, s->kv_dim != ATTN_UNSET ? s->kv_dim : width));
}

static attn_status product_rules(const attn_spec *s, attn_spec_error *err) {
    static const char need[] = "needs weights in blocks (weight_type = q8_0, q4_0 ..)";
    if (s->weight_dot && !has_blocks(s)) return fail(err, "weight_dot", "i8 %s", need);
    if (s->same_bits && !has_blocks(s)) return fail(err, "same_bits", "false %s", need);
    return ATTN_OK;
}

attn_status attn_spec_block_rest(attn_spec *s, attn_spec_error *err) {
    if (s->weight_rest - 1 == default_rest(s)) s->weight_rest = ATTN_WEIGHT_REST_AUTO;
    attn_status st = norm_rules(s, err);
    if (st == ATTN_OK) st = ffn_rules(s, err);
    if (st != ATTN_OK) return st;
    bias_rules(s);
    st = mla_bias_rules(s, err);
    if (st == ATTN_OK) st = matrix_rules(s, err);
    if (st == ATTN_OK) st = product_rules(s, err);
    if (st == ATTN_OK) st = rope_rules(s, err);
    if (st == ATTN_OK) st = qk_norm_rules(s, err);
    return st == ATTN_OK ? growth_rules(s, err) : st;
}
