$ local N = hooks("block/norm.c")
$ local post, out = spec.norm_place == "post", N.after
$ local parallel = spec.residual == "parallel"
$ local roped = #plan.frequencies > 0
$ local scales = not plan.scaled and {} or spec.key == "shared" and { "k" } or { "k", "v" } -- whose
ATTN_TARGET_END

/* --- Weights --- */

$ if (a.norms and not spec.norm_bare) or hooks("block/qk_norm.c").weights or spec.key == "shared" then
/* Norm weights${spec.norm_offset and ", stored less one" or ""}. */
static void pack_norm(attn_packing *p, int64_t at, int32_t weight, int64_t n) {
    attn_pack_vector(p, at, weight, 0, n);
$   if spec.norm_offset then
    for (int64_t i = 0; i < n; i++) p->to[at + i] += 1;
$   end
}

$ end
$ if a.gated and a.own_ffn then
/* Two matrices of n rows, panel by panel in turn, from `row` on. */
static void pack_gated(attn_packing *p, const attn_panels *m, int64_t row, int32_t one,
                       int32_t other, int32_t n) {
    for (int32_t first = 0; first < n; first += NR) {
        const int32_t rows = min32(NR, n - first);
        attn_pack_rows(p, m, row + 2 * first, one, first, rows);
        attn_pack_rows(p, m, row + 2 * first + NR, other, first, rows);
    }
}

$   if spec.ffn_bias then
static void pack_gated_bias(attn_packing *p, int64_t at, int32_t one, int32_t other, int32_t n) {
    for (int32_t first = 0; first < n; first += NR) {
        const int32_t rows = min32(NR, n - first);
        attn_pack_vector(p, at + 2 * first, one, first, rows);
        attn_pack_vector(p, at + 2 * first + NR, other, first, rows);
    }
}

$   end
$ end
$ if spec.ffn == "xielu" then
/* p = ln(1 + e^alpha_p) and n = 1/2 + ln(1 + e^alpha_n). */
static void pack_xielu(attn_packing *p) {
    attn_pack_vector(p, XIELU_AT, W_ACT_FN_ALPHA_P, 0, 1);
    attn_pack_vector(p, XIELU_AT + 1, W_ACT_FN_ALPHA_N, 0, 1);
    for (int i = 0; i < 2; i++) {
        const double alpha = (double)p->to[XIELU_AT + i], least = i ? 0.5 : 0;
        p->to[XIELU_AT + i] = (float)(least + fmax(alpha, 0) + log1p(exp(-fabs(alpha))));
    }
}

$ end
${part(a.form, { section = "fold" })}

$ if plan.experts then
${part("block/pack_experts.c")}

$ end
static void pack(attn_packing *p) {
$ local function norm(at, name)
$   if not spec.norm_bare then
    pack_norm(p, ${at}_AT, W_${name}_WEIGHT, MODEL);
$   end
$   if spec.norm_bias then
    attn_pack_vector(p, ${at}_BIAS_AT, W_${name}_BIAS, 0, MODEL);
$   end
$ end
$ if N.first then norm("NORM1", "NORM1") end
${part(a.form, { section = "pack" })}
$ if spec.sinks then
    attn_pack_vector(p, SINKS_AT, W_SINKS, 0, HEADS);
$ end
$ if out then norm("POST1", "POST_NORM1") end
$ if a.second then norm("NORM2", "NORM2") end
$ if plan.experts then
    pack_router(p);
    for (int32_t e = 0; e < EXPERTS; e++) pack_expert(p, e);
$ end
$ if plan.every_row then
$   local w = "W_" .. (plan.experts and "SHARED_EXPERT_" or "")
$   local gap = plan.experts and "\n               " or " "
$   if a.gated then
    pack_gated(p, &matrices[M_UP], 0, ${w}GATE_PROJ_WEIGHT,${gap}${w}UP_PROJ_WEIGHT, FFN);
$   else
    attn_pack_rows(p, &matrices[M_UP], 0, ${w}UP_PROJ_WEIGHT, 0, FFN);
$   end
    attn_pack_rows(p, &matrices[M_DOWN], 0, ${w}DOWN_PROJ_WEIGHT, 0, MODEL);
$   if spec.ffn == "xielu" then
    pack_xielu(p);
$   end
$   if spec.ffn_bias then
$     if a.gated then
    pack_gated_bias(p, UP_BIAS_AT, ${w}GATE_PROJ_BIAS,${gap}${w}UP_PROJ_BIAS, FFN);
$     else
    attn_pack_vector(p, UP_BIAS_AT, ${w}UP_PROJ_BIAS, 0, FFN);
$     end
    attn_pack_vector(p, DOWN_BIAS_AT, ${w}DOWN_PROJ_BIAS, 0, MODEL);
$   end
$ end
$ if a.own_ffn and out then norm("POST2", "POST_NORM2") end
$ if roped then
$   if spec.rope_scaling == "longrope" then
    pack_frequencies(p, p->to + ROPE_AT);
$   end
    pack_rope(p->to + ROPE_AT);
$ end
}

/* --- The call --- */

/* Rows that pass the second half of the layer together. */
static int32_t chunk_rows(const attn_block_extent *e) {
    const int64_t chunk = (int64_t)CHUNK * MB * max32(1, e->threads);
$ if plan.experts then
    const int64_t most = INT32_MAX / 2 / TOP_K; /* slots are counted in 32 bits */
$ end
    const int64_t rows = e->rows;
$ if plan.experts then
    if (chunk > most) return (int32_t)(rows < most ? rows : most);
$ end
    return (int32_t)(rows < chunk ? rows : chunk);
}

/* Places everything in the workspace and returns its size. base may be null. */
static uint64_t layout(layer *l, const attn_block_extent *e, char *base) {
    const uint64_t rows = (uint64_t)e->rows;
    const uint64_t chunk = (uint64_t)chunk_rows(e);
    uint64_t bytes = 0;
    (void)chunk;
    l->work = attn_carve(base, &bytes, sizeof(scratch) * (uint64_t)max32(1, e->threads));
    l->a = attn_carve(base, &bytes, rows * (MODEL + PAD) * sizeof(float));
$ if plan.integers then
$   if spec.kv_dim > 0 then
    const uint64_t int_rows = rows > (uint64_t)e->kv_rows ? rows : (uint64_t)e->kv_rows;
$   else
    const uint64_t int_rows = rows;
$   end
    const uint64_t all_ints = int_rows * ${plan.int_all}, some_ints = chunk * ${plan.int_chunk};
    const uint64_t ints = all_ints > some_ints ? all_ints : some_ints;
    l->ints = attn_carve(base, &bytes, ints * sizeof(integers));
$ end
$ if parallel and a.second then
    l->a2 = attn_carve(base, &bytes, rows * (MODEL + PAD) * sizeof(float));
$ end
$ if roped then
    l->angles = attn_carve(base, &bytes, rows * 2 * ROPE_DIM * sizeof(float));
$ end
$ if spec.kv_dim > 0 then
    const uint64_t key_rows = (uint64_t)e->kv_rows;
    l->ak = attn_carve(base, &bytes, key_rows * (KEY_SIDE + PAD) * sizeof(float));
$   if roped then
    l->key_angles = attn_carve(base, &bytes, key_rows * 2 * ROPE_DIM * sizeof(float));
$   end
$ end
$ if post or out then
    l->sum = attn_carve(base, &bytes, chunk * (MODEL + PAD) * sizeof(float));
$ end
$ if plan.every_row then
    l->h = attn_carve(base, &bytes, chunk * H_ROW * sizeof(float));
$ end
$ if plan.experts then
    const uint64_t slots = chunk * TOP_K;
    l->z = attn_carve(base, &bytes, chunk * SCORES * sizeof(float));
    l->xh = attn_carve(base, &bytes, slots * X_ROW * sizeof(float));
    l->mix = attn_carve(base, &bytes, chunk * (MODEL + PAD) * sizeof(float));
$   if spec.shared_gate then
    l->share = attn_carve(base, &bytes, chunk * sizeof(float));
$   end
    l->pick = attn_carve(base, &bytes, slots * sizeof(pick));
    l->slot = attn_carve(base, &bytes, slots * sizeof(slot));
    l->begin = attn_carve(base, &bytes, (EXPERTS + 1) * sizeof(int32_t));
    l->block = attn_carve(base, &bytes, (slots / MB + EXPERTS) * sizeof(expert_block));
$ end
${part(a.form, { section = "layout" })}
    if (!e->cached) { /* the keys of this call alone */
        const uint64_t keys = (uint64_t)e->batch * (uint64_t)e->keys;
        ${plan.kv.c} *k = attn_carve(base, &bytes, keys * K_HEADS * K_DIM * sizeof(${plan.kv.c}));
        ${plan.kv.c} *v = attn_carve(base, &bytes, keys * V_HEADS * (uint64_t)V_DIM * sizeof(${plan.kv.c}));
$ if plan.page > 0 then
        l->k = (attn_out){k, PAGE * K_HEADS * K_DIM, K_DIM, K_HEADS * K_DIM}; /* whole pages */
        l->v = (attn_out){v, PAGE * V_HEADS * V_DIM, V_DIM, V_HEADS * V_DIM};
$   for _, name in ipairs(scales) do
        float *${name}_scale = attn_carve(base, &bytes, keys * ${name:upper()}_HEADS * sizeof(float));
        l->${name}_scale = (attn_scales_out){${name}_scale, PAGE * ${name:upper()}_HEADS, 1, ${name:upper()}_HEADS};
$   end
$ else
        const int64_t n = e->keys;
        l->k = (attn_out){k, n * K_HEADS * K_DIM, n * K_DIM, K_DIM};
        l->v = (attn_out){v, n * V_HEADS * V_DIM, n * V_DIM, V_DIM};
$   for _, name in ipairs(scales) do
        float *${name}_scale = attn_carve(base, &bytes, keys * ${name:upper()}_HEADS * sizeof(float));
        l->${name}_scale = (attn_scales_out){${name}_scale, n * ${name:upper()}_HEADS, n, 1};
$   end
$ end
    }
    l->core = attn_carve(base, &bytes, e->core_bytes);
    return bytes;
}

static uint64_t workspace(const attn_block_extent *e) {
    layer l;
    return layout(&l, e, NULL);
}

/* Rows that do not attend have seen nothing. */
static void clear_rest(const layer *l, float *seen, int64_t width) {
    for (int32_t b = 0; b < l->call->extent.batch; b++) {
        const int32_t end = l->call->begin[b + 1], first = l->call->begin[b] + l->call->rows[b];
        memset(seen + first * width, 0, sizeof(float) * (size_t)((end - first) * width));
    }
}

static attn_status attend(const layer *l) {
    attn_args args = l->call->core;
    args.workspace = l->core;
    args.workspace_bytes = (size_t)l->call->extent.core_bytes;
$ if spec.sinks then
    args.sinks = l->w + SINKS_AT;
$ end
${part(a.form, { section = "core" })}
    args.k = (attn_view){l->k.data, l->k.batch, l->k.head, l->k.token};
$ if spec.key == "shared" then
    args.v = args.k; /* its first LATENT columns */
$ else
    args.v = (attn_view){l->v.data, l->v.batch, l->v.head, l->v.token};
$ end
$ for _, name in ipairs(scales) do
    const attn_scales_out *${name}_scale = &l->${name}_scale;
    args.${name}_scale = (attn_scales){${name}_scale->data, ${name}_scale->batch, ${name}_scale->head, ${name}_scale->token};
$ end
$ if plan.scaled and spec.key == "shared" then
    args.v_scale = args.k_scale;
$ end
    const attn_kernel *core =
        &${plan.core};
    return l->call->run_core(core, &args, l->call->rows, l->call->team);
}

static attn_status run(const attn_block_call *call) {
    const attn_block_extent *e = &call->extent;
    layer l = {.call = call, .args = call->args, .w = call->packed, .rows = e->rows};
    layout(&l, e, call->workspace);
    if (e->cached) {
        l.k = call->k;
        l.v = call->v;
$ for _, name in ipairs(scales) do
        l.${name}_scale = call->${name}_scale;
$ end
    }
$ if spec.kv_dim > 0 then
    l.key_rows = e->kv_rows;
    if (l.key_rows > 0) attn_parallel(call->team, row_blocks(l.key_rows), prepare_keys_task, &l);
$ end
    attn_parallel(call->team, row_blocks(l.rows), prepare_task, &l);
    project(&l);
$ if spec.qk_norm and spec.qk_norm_over == "all" then
    norm_projected(&l);
$ end
    if (l.rows == 0) return ATTN_OK;
    const attn_status status = attend(&l);
    if (status != ATTN_OK) return status;
$ if spec.o_gate ~= "none" then
    attn_parallel(call->team, row_blocks(l.rows), gate_task, &l);
$ end
    const int32_t chunk = chunk_rows(e);
    for (l.first = 0; l.first < l.rows; l.first += chunk) {
        l.some = min32(chunk, l.rows - l.first);
        output(&l);
$ if post or out then
        attn_parallel(call->team, row_blocks(l.some), after_attention_task, &l);
$ end
$ if a.own_ffn then
$   if not parallel then
        attn_parallel(call->team, row_blocks(l.some), prepare_ffn_task, &l);
$   end
$   if plan.experts then
        experts(&l);
$   end
$   if plan.every_row then
        up(&l);
        down(&l);
$   end
$   if post or out then
        attn_parallel(call->team, row_blocks(l.some), after_ffn_task, &l);
$   end
$ end
    }
    return ATTN_OK;
}

static const attn_spec spec = {
    .struct_size = sizeof(attn_spec),
$ for _, f in ipairs(spec.fields) do
    ${f}
$ end
    .expr_hash = ${spec.hash},
};

ATTN_HIDDEN extern const attn_block_kernel
    ${plan.symbol};
const attn_block_kernel
    ${plan.symbol} = {
    .abi = ATTN_KERNEL_ABI,
    .name =
        "${plan.symbol}",
    .isa = ${isa.id},
    .spec = &spec,
    .core = &${plan.core},
$ if plan.expand_from > 0 then
    .expanded = &${plan.expanded},
    .expand_from = EXPAND_FROM,
$ end
    .weights = weights,
    .weight_count = WEIGHTS,
    .packed_floats = PACKED_FLOATS,
    .k_heads = K_HEADS,
    .k_dim = K_DIM,
    .v_heads = V_HEADS,
    .v_dim = V_DIM,
    .pack = pack,
    .workspace = workspace,
    .run = run,
    .arithmetic_ok = attn_arithmetic_ok,
$ if plan.experts then
    .expert_weights = expert_weights,
    .expert_weight_count = EXPERT_WEIGHTS,
    .experts = EXPERTS,
$ end
};
