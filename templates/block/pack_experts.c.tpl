$ -- Packed weights of a mixture of experts.
$ local up, down = plan.stages.expert_up.matrices[1], plan.stages.expert_down.matrices[1]
/* The number of an expert's weight. */
static int32_t weight_of(int32_t weight, int32_t expert) {
    return WEIGHTS + weight * EXPERTS + expert;
}

static void pack_expert(attn_packing *p, int32_t e) {
    const attn_panels *m = &matrices[M_EXPERT_UP];
    const int64_t up_row = (int64_t)e * ${up.panels} * NR, down_row = (int64_t)e * ${down.panels} * NR;
$ if plan.gated then
    pack_gated(p, m, up_row, weight_of(W_EXPERTS_GATE_PROJ_WEIGHT, e),
               weight_of(W_EXPERTS_UP_PROJ_WEIGHT, e), HIDDEN);
$ else
    attn_pack_rows(p, m, up_row, weight_of(W_EXPERTS_UP_PROJ_WEIGHT, e), 0, HIDDEN);
$ end
    attn_pack_rows(p, &matrices[M_EXPERT_DOWN], down_row,
                   weight_of(W_EXPERTS_DOWN_PROJ_WEIGHT, e), 0, MODEL);
$ if spec.ffn_bias then
    const int64_t up_bias = EXPERT_UP_BIAS_AT + (int64_t)e * UP_BIAS_ROW;
    const int64_t down_bias = EXPERT_DOWN_BIAS_AT + (int64_t)e * DOWN_BIAS_ROW;
$   if plan.gated then
    pack_gated_bias(p, up_bias, weight_of(W_EXPERTS_GATE_PROJ_BIAS, e),
                    weight_of(W_EXPERTS_UP_PROJ_BIAS, e), HIDDEN);
$   else
    attn_pack_vector(p, up_bias, weight_of(W_EXPERTS_UP_PROJ_BIAS, e), 0, HIDDEN);
$   end
    attn_pack_vector(p, down_bias, weight_of(W_EXPERTS_DOWN_PROJ_BIAS, e), 0, MODEL);
$ end
}

/* Scores, and the shared experts' gate after them. */
static void pack_router(attn_packing *p) {
    attn_pack_rows(p, &matrices[M_ROUTER], 0, W_ROUTER_WEIGHT, 0, EXPERTS);
$ if spec.shared_gate then
    attn_pack_rows(p, &matrices[M_ROUTER], EXPERTS, W_SHARED_EXPERT_GATE_WEIGHT, 0, 1);
$ end
$ if spec.router_bias ~= "none" then
$   local bias = spec.router_bias == "logits" and "ROUTER_BIAS" or "E_SCORE_CORRECTION_BIAS"
    attn_pack_vector(p, ROUTER_BIAS_AT, W_${bias}, 0, EXPERTS);
$ end
}
