$ -- Regular attention in a layer: q, k, v projections with RoPE, and the output projection.
$ local q, k, v = spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim, spec.v_heads * spec.v_dim
$ local out = spec.heads * spec.v_dim
$ local roped = #plan.frequencies > 0
$ local cross = spec.kv_dim > 0
$ local gated, grows = spec.o_gate ~= "none", spec.q_growth ~= 0
$ local gates = spec.heads * (spec.o_gate == "channel" and spec.v_dim or 1)
$ local kv, qk = hooks("block/kv.c"), hooks("block/qk_norm.c")
$ local Q_NORM_EACH, K_NORM_EACH = qk.norm("Q", "t + c", "col + c", "D"), qk.norm("K", "t + c", "col + c", "D")
$ if a.section == "weights" then
$   a.weight("q_proj.weight", { q, plan.model })
$   a.weight("k_proj.weight", { k, plan.keys })
$   a.weight("v_proj.weight", { v, plan.keys })
$   if spec.q_bias then a.weight("q_proj.bias", { q }) end
$   if spec.k_bias then a.weight("k_proj.bias", { k }) end
$   if spec.v_bias then a.weight("v_proj.bias", { v }) end
$   if qk.weights then
$     a.weight("q_norm.weight", qk.shape(spec.heads), { vector = true })
$     a.weight("k_norm.weight", qk.shape(spec.kv_heads), { vector = true })
$   end
$   if gated then a.weight("o_gate.weight", { gates, plan.model }) end
$   a.weight("o_proj.weight", { plan.model, out })
$   if spec.o_bias then a.weight("o_proj.bias", { plan.model }) end
$ elseif a.section == "sizes" then
    HEADS = ${spec.heads}, /* query heads */
    KEY_HEADS = ${spec.kv_heads},
    VALUE_HEADS = ${spec.v_heads},
    D = ${spec.head_dim}, /* width of a query and key head */
    DV = ${spec.v_dim}, /* width of a value head */
$   if roped then
    ROPE_DIM = ${spec.rope_dim}, /* rotated components of a head */
$   end
    K_HEADS = KEY_HEADS, /* as the cache has them */
    K_DIM = D,
    V_HEADS = VALUE_HEADS,
    V_DIM = DV,
    Q_ROW = HEADS * D + ${plan.pad},
$   if qk.whole then
    K_ROW = KEY_HEADS * D + ${plan.pad},
$   end
    CTX_ROW = HEADS * DV + ${plan.pad},
$   if gated then
    GATE_ROW = ${gates + plan.pad},
$   end
$ elseif a.section == "members" then
    float *q;   /* [rows][HEADS * D] queries, rotated */
$   if qk.whole then
    float *raw; /* [${cross and "key_rows" or "rows"}][KEY_HEADS * D] keys before their norm */
$   end
    float *ctx; /* [rows][HEADS * DV] what the heads saw */
$   if gated then
    float *gate; /* [rows][GATE_ROW] what that is multiplied by */
$   end
$   if grows then
    float *growth; /* [rows] what queries are multiplied by */
$   end
$ elseif a.section == "pack" then
    attn_pack_rows(p, &matrices[M_Q], 0, W_Q_PROJ_WEIGHT, 0, HEADS * D);
    attn_pack_rows(p, &matrices[M_K], 0, W_K_PROJ_WEIGHT, 0, KEY_HEADS * D);
    attn_pack_rows(p, &matrices[M_V], 0, W_V_PROJ_WEIGHT, 0, VALUE_HEADS * DV);
    attn_pack_rows(p, &matrices[M_O], 0, W_O_PROJ_WEIGHT, 0, MODEL);
$   if gated then
    attn_pack_rows(p, &matrices[M_GATE], 0, W_O_GATE_WEIGHT, 0, ${gates});
$   end
$   for _, p in ipairs({ { "q", "HEADS * D" }, { "k", "KEY_HEADS * D" }, { "v", "VALUE_HEADS * DV" }, { "o", "MODEL" } }) do
$     if spec[p[1] .. "_bias"] then
    attn_pack_vector(p, ${p[1]:upper()}_BIAS_AT, W_${p[1]:upper()}_PROJ_BIAS, 0, ${p[2]});
$     end
$   end
$   if qk.weights then
    pack_norm(p, Q_NORM_AT, W_Q_NORM_WEIGHT, ${qk.count("HEADS")});
    pack_norm(p, K_NORM_AT, W_K_NORM_WEIGHT, ${qk.count("KEY_HEADS")});
$   end
$ elseif a.section == "code" then
$   -- Heads of a row of keys, of columns col .. col + cols of the projection, to where keys live.
$   local function store_keys(row)
$     if roped then
        const float *all = l->${cross and "key_angles" or "angles"};
        const float *angles = all + (int64_t)(${row}) * 2 * ROPE_DIM;
$     end
        for (int32_t c = 0; c < cols; c += D) {
$     if qk.before then
            ${K_NORM_EACH}
$     end
$     if roped then
            rope(t + c, angles);
$     end
$     if qk.after then
            ${K_NORM_EACH}
$     end
$     if qk.last then
        }
        ${qk.norm("K", "t", false, "KEY_HEADS * D")}
        for (int32_t c = 0; c < cols; c += D) {
$     end
            ${kv.turn("t + c")}
            ${kv.store("to + (col + c) / D * l->k.head", "scale[(col + c) / D * l->k_scale.head]", "t + c", "D", "sizeof(float) * D")}
        }
$   end
/* Queries: whole heads of some rows. Padding is 0, so that what x holds there changes no bit. */
static void q_done(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                   float *t, ptrdiff_t ldt) {
    for (int32_t i = 0; i < rows; i++, t += ldt) {
        const int32_t row = first + i;
$   if spec.q_bias then
        add(t, l->w + Q_BIAS_AT + col, cols);
$   end
$   local function norm_heads()
$     if #Q_NORM_EACH > 52 then
        for (int32_t c = 0; c < cols; c += D)
            ${Q_NORM_EACH}
$     else
        for (int32_t c = 0; c < cols; c += D) ${Q_NORM_EACH}
$     end
$   end
$   if not qk.whole then
$     if qk.before then norm_heads() end
$     if roped then
        const float *angles = l->angles + (int64_t)row * 2 * ROPE_DIM;
        for (int32_t c = 0; c < cols; c += D) rope(t + c, angles);
$     end
$     if qk.after then norm_heads() end
$     if grows then
        for (int32_t c = 0; c < cols; c++) t[c] *= l->growth[row];
$     end
        if (is_q_pad(l, row)) memset(t, 0, sizeof(float) * (size_t)cols);
$   end
        memcpy(l->q + (int64_t)row * Q_ROW + col, t, sizeof(float) * (size_t)cols);
    }
}

$   if qk.whole then
/* Keys, before their norm. */
$   else
/* Keys, rotated by their own positions, to where keys live. */
$   end
static void k_done(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                   float *t, ptrdiff_t ldt) {
    for (int32_t i = 0; i < rows; i++, t += ldt) {
$   if not qk.whole then
        ${plan.kv.c} *to = key_row(l, &l->k, first + i);
        ${kv.scale_at("k", "first + i")}
$   end
$   if spec.k_bias then
        add(t, l->w + K_BIAS_AT + col, cols);
$   end
$   if qk.whole then
        memcpy(l->raw + (int64_t)(first + i) * K_ROW + col, t, sizeof(float) * (size_t)cols);
$   else
$     store_keys("first + i")
$   end
    }
}
$   if qk.whole then

/* Queries, normed over all heads, and rotated. */
static void norm_queries_task(void *ctx, int64_t task, int worker) {
    const layer *l = ctx;
    (void)worker;
    const int32_t end = min32(l->rows, (int32_t)task * MB + MB);
    for (int32_t row = (int32_t)task * MB; row < end; row++) {
        float *q = l->q + (int64_t)row * Q_ROW;
$     if qk.first then
        ${qk.norm("Q", "q", false, "HEADS * D")}
$     end
$     if roped then
        const float *angles = l->angles + (int64_t)row * 2 * ROPE_DIM;
        for (int32_t c = 0; c < HEADS * D; c += D) rope(q + c, angles);
$     end
$     if qk.last then
        ${qk.norm("Q", "q", false, "HEADS * D")}
$     end
$     if grows then
        for (int32_t c = 0; c < HEADS * D; c++) q[c] *= l->growth[row];
$     end
        if (is_q_pad(l, row)) memset(q, 0, sizeof(float) * HEADS * D);
    }
}

/* Keys likewise, to where they live. */
static void norm_keys_task(void *ctx, int64_t task, int worker) {
    const layer *l = ctx;
    (void)worker;
    const int32_t end = min32(l->${cross and "key_rows" or "rows"}, (int32_t)task * MB + MB);
    for (int32_t row = (int32_t)task * MB; row < end; row++) {
        enum { col = 0, cols = KEY_HEADS * D };
        float *t = l->raw + (int64_t)row * K_ROW;
        ${plan.kv.c} *to = key_row(l, &l->k, row);
        ${kv.scale_at("k", "row")}
$     if qk.first then
        ${qk.norm("K", "t", false, "KEY_HEADS * D")}
$     end
$     store_keys("row")
    }
}

static void norm_projected(layer *l) {
    attn_team *const team = l->call->team;
    attn_parallel(team, (l->rows + MB - 1) / MB, norm_queries_task, l);
    const int32_t keys = l->${cross and "key_rows" or "rows"};
    if (keys > 0) attn_parallel(team, (keys + MB - 1) / MB, norm_keys_task, l);
}
$   end

static void v_done(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                   float *t, ptrdiff_t ldt) {
    for (int32_t i = 0; i < rows; i++, t += ldt) {
        ${plan.kv.c} *to = key_row(l, &l->v, first + i);
        ${kv.scale_at("v", "first + i")}
$   if spec.v_bias then
        add(t, l->w + V_BIAS_AT + col, cols);
$   end
        for (int32_t c = 0; c < cols; c += DV)
            ${kv.store("to + (col + c) / DV * l->v.head", "scale[(col + c) / DV * l->v_scale.head]", "t + c", "DV", "sizeof(float) * DV")}
    }
}

$   if gated then
static void gate_done(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                      float *t, ptrdiff_t ldt) {
    for (int32_t i = 0; i < rows; i++, t += ldt) {
        float *to = l->gate + (int64_t)(first + i) * GATE_ROW + col;
        for (int32_t c = 0; c < cols; c += W) /* t has whole panels */
            vf_storeu(t + c, vf_sigmoid(vf_loadu(t + c)));
        memcpy(to, t, sizeof(float) * (size_t)cols);
    }
}

/* What the heads saw, times their gates. */
static void gate_task(void *ctx, int64_t task, int worker) {
    const layer *l = ctx;
    (void)worker;
    const int32_t end = min32(l->rows, (int32_t)task * MB + MB);
    for (int32_t row = (int32_t)task * MB; row < end; row++) {
        float *seen = l->ctx + (int64_t)row * CTX_ROW;
        const float *gate = l->gate + (int64_t)row * GATE_ROW;
$     if spec.o_gate == "head" then
        for (int32_t h = 0; h < HEADS; h++)
            for (int32_t c = 0; c < DV; c++) seen[h * DV + c] *= gate[h];
$     else
        for (int32_t c = 0; c < HEADS * DV; c++) seen[c] *= gate[c];
$     end
    }
}

$   end
$   local queries = { Q = "q_done", GATE = "gate_done" }
$   if cross then
${part("block/matmul.c", { stage = "project_queries", from = "l->a", lda = "MODEL + PAD", rows = "l->rows", offset = false, done = queries })}

${part("block/matmul.c", { stage = "project_keys", from = "l->ak", lda = "KEY_SIDE + PAD", rows = "l->key_rows", offset = false, done = { K = "k_done", V = "v_done" } })}

static void project(layer *l) {
    project_queries(l);
    if (l->key_rows > 0) project_keys(l);
}
$   else
${part("block/matmul.c", { stage = "project", from = "l->a", lda = "MODEL + PAD", rows = "l->rows", offset = false, done = { Q = "q_done", K = "k_done", V = "v_done", GATE = "gate_done" } })}
$   end
$ elseif a.section == "output" then
${part("block/matmul.c", { stage = "output", from = "l->ctx + (int64_t)l->first * CTX_ROW", lda = "CTX_ROW", rows = "l->some", offset = "l->first", done = { O = "out_done" } })}
$ elseif a.section == "layout" then
    l->q = attn_carve(base, &bytes, rows * Q_ROW * sizeof(float));
    l->ctx = attn_carve(base, &bytes, rows * CTX_ROW * sizeof(float));
$   if gated then
    l->gate = attn_carve(base, &bytes, rows * GATE_ROW * sizeof(float));
$   end
$   if grows then
    l->growth = attn_carve(base, &bytes, rows * sizeof(float));
$   end
$   if qk.whole then
    l->raw = attn_carve(base, &bytes, ${cross and "key_rows" or "rows"} * K_ROW * sizeof(float));
$   end
$ elseif a.section == "core" then
    args.q = (attn_view){l->q, 0, D, Q_ROW};
    args.o = (attn_out){l->ctx, 0, DV, CTX_ROW};
    clear_rest(l, l->ctx, CTX_ROW);
$ end
