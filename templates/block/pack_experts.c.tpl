$ -- Packed weights of a mixture of experts.
/* Rows first .. first + n of an expert's weight as panels, as pack_matrix. */
static void pack_rows(float *to, const attn_expert_rows *w, int64_t first, int64_t n, int64_t k) {
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < k; i++)
            to[j / NR * NR * k + i * NR + j % NR] = w->data[(first + j) * w->row + i * w->step];
}

static void pack_experts(const attn_expert_rows *part, float *to) {
$ local up, down = plan.stages.expert_up.matrices[1], plan.stages.expert_down.matrices[1]
    for (int64_t e = 0; e < EXPERTS; e++) {
        float *up_at = to + EXPERT_UP_AT + e * ${up.panels} * MODEL * NR;
        float *down_at = to + EXPERT_DOWN_AT + e * ${down.panels} * HIDDEN * NR;
        const attn_expert_rows *up = part + W_EXPERTS_UP_PROJ_WEIGHT * EXPERTS + e;
$ if plan.gated then
        const attn_expert_rows *gate = part + W_EXPERTS_GATE_PROJ_WEIGHT * EXPERTS + e;
        for (int64_t j = 0; j < HIDDEN; j += NR, up_at += 2 * NR * MODEL) {
            const int64_t n = min32(NR, (int32_t)(HIDDEN - j));
            pack_rows(up_at, gate, j, n, MODEL);
            pack_rows(up_at + NR * MODEL, up, j, n, MODEL);
        }
$ else
        pack_rows(up_at, up, 0, HIDDEN, MODEL);
$ end
        pack_rows(down_at, part + W_EXPERTS_DOWN_PROJ_WEIGHT * EXPERTS + e, 0, MODEL, HIDDEN);
$ if spec.ffn_bias then
        float *up_bias_at = to + EXPERT_UP_BIAS_AT + e * UP_BIAS_ROW;
        float *down_bias_at = to + EXPERT_DOWN_BIAS_AT + e * DOWN_BIAS_ROW;
        const attn_expert_rows *up_bias = part + W_EXPERTS_UP_PROJ_BIAS * EXPERTS + e;
$   if plan.gated then
        const attn_expert_rows *gate_bias = part + W_EXPERTS_GATE_PROJ_BIAS * EXPERTS + e;
        for (int64_t j = 0; j < HIDDEN; j += NR, up_bias_at += 2 * NR) {
            const int64_t n = min32(NR, (int32_t)(HIDDEN - j));
            for (int64_t i = 0; i < n; i++) {
                up_bias_at[i] = gate_bias->data[(j + i) * gate_bias->row];
                up_bias_at[NR + i] = up_bias->data[(j + i) * up_bias->row];
            }
        }
$   else
        for (int64_t i = 0; i < HIDDEN; i++) up_bias_at[i] = up_bias->data[i * up_bias->row];
$   end
        pack_vector(down_bias_at, part[W_EXPERTS_DOWN_PROJ_BIAS * EXPERTS + e].data, MODEL);
$ end
    }
}

/* Scores, and the shared experts' gate after them. */
static void pack_router(const float *const *weight, float *to) {
    const attn_expert_rows scores = {weight[W_ROUTER_WEIGHT], MODEL, 1};
$ if spec.shared_gate then
    for (int64_t e = 0; e <= EXPERTS; e++) {
        const attn_expert_rows gate = {weight[W_SHARED_EXPERT_GATE_WEIGHT], MODEL, 1};
        float *panel = to + ROUTER_AT + e / NR * NR * MODEL;
        pack_rows(panel + e % NR, e < EXPERTS ? &scores : &gate, e < EXPERTS ? e : 0, 1, MODEL);
    }
$ else
    pack_rows(to + ROUTER_AT, &scores, 0, EXPERTS, MODEL);
$ end
$ if spec.router_bias ~= "none" then
    const float *bias = weight[W_${spec.router_bias == "logits" and "ROUTER_BIAS" or "E_SCORE_CORRECTION_BIAS"}];
    memcpy(to + ROUTER_BIAS_AT, bias, sizeof(float) * EXPERTS);
$ end
}
