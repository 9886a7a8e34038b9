$ -- Latent attention in a layer, key = shared: DeepSeek's, absorbed: one key row [latent | rotated]
$ -- serves all heads.
$ local H, K, r, c, v = spec.heads, spec.head_dim, spec.retr_dim, spec.kv_comp_dim, spec.v_head_dim
$ local lora = spec.q_comp_dim > 0
$ local norm = spec.latent_eps ~= 0 and "latent_norm" or "rms_norm"
$ local roped = #plan.frequencies > 0
$ local expand = plan.expand_from > 0
$ local kv = hooks("block/kv.c")
$ local stored = plan.kv.suffix ~= "" -- keys are rounded where they live
$ local paged = plan.page > 0
$ local widened = stored or paged -- as floats, row after row, before they are expanded
$ if a.section == "weights" then
$   if lora then
$     a.weight("q_a_proj.weight", { spec.q_comp_dim, plan.model })
$     a.weight("q_a_layernorm.weight", { spec.q_comp_dim })
$     a.weight("q_b_proj.weight", { H * (K + r), spec.q_comp_dim })
$   else
$     a.weight("q_proj.weight", { H * (K + r), plan.model })
$   end
$   a.weight("kv_a_proj_with_mqa.weight", { c + r, plan.keys })
$   a.weight("kv_a_layernorm.weight", { c })
$   a.weight("kv_b_proj.weight", { H * (K + v), c })
$   a.weight("o_proj.weight", { plan.model, H * v })
$ elseif a.section == "sizes" then
    HEAD = ${K}, /* width of the unrotated part of a query */
    LATENT = ${c}, /* width of a latent row: the value of all heads */
    RETR = ${r}, /* width of the rotated part of a key */
$   if roped then
    ROPE_DIM = ${spec.rope_dim}, /* rotated components of those */
$   end
    VALUE = ${v}, /* width of a value head after its up-projection */
$     if lora then
    QA = ${spec.q_comp_dim}, /* width of the compressed query */
    QA_ROW = QA + ${plan.pad},
$     end
    D = LATENT + RETR, /* width of a query and key row */
    KEY_ROW = D + ${plan.pad}, /* a key row on its way to its norm */
    NOPE_ROW = HEADS * HEAD + ${plan.pad},
$     if expand then
    EXPAND_FROM = ${plan.expand_from}, /* queries an item from which keys are expanded to heads */
    EXPANDED = HEAD + RETR, /* width of an expanded key */
    EXPANDED_ROW = HEADS * EXPANDED + ${plan.pad},
$     end
    K_HEADS = 1, /* as the cache has them; values are the first columns of keys */
    V_HEADS = 1,
    V_DIM = 0,
$ elseif a.section == "members" then
$     if lora then
    float *qa; /* [rows][QA] compressed queries */
$     end
    float *nope; /* [rows][HEADS * HEAD] the unrotated parts of queries */
    float *key;  /* [rows][D] keys before norm and rotation */
$     if expand then
    bool expand;    /* this call */
    int32_t item;   /* whose keys are being expanded, */
    int32_t held;   /* and how many it has */
$       if paged then
    int32_t from; /* the first of those, of its page, that a row sees */
$       end
$       if widened then
    float *wide;    /* [keys][D] that item's keys as floats */
$       end
    float *ek, *ev; /* [batch][HEADS][keys][EXPANDED], [batch][HEADS][keys][VALUE] */
$     end
$ elseif a.section == "fold" then
/* kv_b [head][HEAD + VALUE][LATENT]: its first rows turn queries to latent space (transposed), the
 * others turn what a head saw to its value. */
static void pack_up(attn_packing *p) {
    enum { UK_ROWS = ${plan.matrix.UK.panels} * NR, UV_ROWS = ${plan.matrix.UV.panels} * NR };
    for (int64_t h = 0; h < HEADS; h++) {
        const int64_t first = h * (HEAD + VALUE);
        for (int64_t k = 0; k < HEAD; k++)
            for (int64_t i = 0; i < LATENT; i++)
                attn_pack_value(p, &matrices[M_UK], h * UK_ROWS + i, k, W_KV_B_PROJ_WEIGHT,
                                attn_source_at(p, W_KV_B_PROJ_WEIGHT, (first + k) * LATENT + i));
        attn_pack_rows(p, &matrices[M_UV], h * UV_ROWS, W_KV_B_PROJ_WEIGHT, first + HEAD, VALUE);
    }
}
$ elseif a.section == "pack" then
$   if lora then
    attn_pack_rows(p, &matrices[M_QA], 0, W_Q_A_PROJ_WEIGHT, 0, QA);
    pack_norm(p, QA_NORM_AT, W_Q_A_LAYERNORM_WEIGHT, QA);
    attn_pack_rows(p, &matrices[M_Q], 0, W_Q_B_PROJ_WEIGHT, 0, HEADS * (HEAD + RETR));
$   else
    attn_pack_rows(p, &matrices[M_Q], 0, W_Q_PROJ_WEIGHT, 0, HEADS * (HEAD + RETR));
$   end
    attn_pack_rows(p, &matrices[M_KVA], 0, W_KV_A_PROJ_WITH_MQA_WEIGHT, 0, D);
    pack_norm(p, KV_NORM_AT, W_KV_A_LAYERNORM_WEIGHT, LATENT);
    pack_up(p);
$   if expand then
    attn_pack_rows(p, &matrices[M_KVB], 0, W_KV_B_PROJ_WEIGHT, 0, HEADS * (HEAD + VALUE));
$   end
    attn_pack_rows(p, &matrices[M_O], 0, W_O_PROJ_WEIGHT, 0, MODEL);
$ elseif a.section == "code" then
$   if lora then
static void qa_done(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                    float *t, ptrdiff_t ldt) {
    for (int32_t i = 0; i < rows; i++, t += ldt)
        memcpy(l->qa + (int64_t)(first + i) * QA_ROW + col, t, sizeof(float) * (size_t)cols);
}

$   end
static void key_done(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                     float *t, ptrdiff_t ldt) {
    for (int32_t i = 0; i < rows; i++, t += ldt)
        memcpy(l->key + (int64_t)(first + i) * KEY_ROW + col, t, sizeof(float) * (size_t)cols);
}

/* Queries: the unrotated part is absorbed later, the other is rotated to its place. Padding is 0,
 * so that what x holds there changes no bit. */
static void q_done(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                   float *t, ptrdiff_t ldt) {
    for (int32_t i = 0; i < rows; i++, t += ldt) {
        const int32_t at = first + i;
        const int64_t row = at;
        if (is_q_pad(l, at)) memset(t, 0, sizeof(float) * (size_t)cols);
        for (int32_t c = 0; c < cols; c += HEAD + RETR) {
            const int32_t h = (col + c) / (HEAD + RETR);
$   if roped then
            rope(t + c + HEAD, l->angles + row * 2 * ROPE_DIM);
$   end
$   if expand then
            if (l->expand) {
                memcpy(l->q + row * EXPANDED_ROW + h * EXPANDED, t + c, sizeof(float) * EXPANDED);
                continue;
            }
$   end
            memcpy(l->nope + row * NOPE_ROW + h * HEAD, t + c, sizeof(float) * HEAD);
            memcpy(l->q + row * Q_ROW + h * D + LATENT, t + c + HEAD, sizeof(float) * RETR);
        }
    }
}

static void absorbed(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                     float *t, ptrdiff_t ldt) {
    const int32_t at = col / LATENT * D + col % LATENT;
    for (int32_t i = 0; i < rows; i++, t += ldt)
        memcpy(l->q + (int64_t)(first + i) * Q_ROW + at, t, sizeof(float) * (size_t)cols);
}

/* Keys to where they live: the latent part normalised, the other rotated.${lora and " Queries: normalised." or ""} */
static void settle_task(void *ctx, int64_t task, int worker) {
    const layer *l = ctx;
    (void)worker;
    const int32_t end = min32(l->rows, (int32_t)task * MB + MB);
    for (int32_t row = (int32_t)task * MB; row < end; row++) {
$   if lora then
        float *qa = l->qa + (int64_t)row * QA_ROW;
        ${norm}(qa, qa, l->w + QA_NORM_AT, NULL, QA);
$   end
$   if stored then
        float *key = l->key + (int64_t)row * KEY_ROW;
        ${plan.kv.c} *to = key_row(l, &l->k, row);
        ${norm}(key, key, l->w + KV_NORM_AT, NULL, LATENT);
$   else
        float *key = l->key + (int64_t)row * KEY_ROW, *to = key_row(l, &l->k, row);
        ${norm}(to, key, l->w + KV_NORM_AT, NULL, LATENT);
$   end
$   if roped then
        rope(key + LATENT, l->angles + (int64_t)row * 2 * ROPE_DIM);
$   end
$   if stored then
        ${kv.turn("key")}
        ${kv.scale_at("k", "row")}
        ${kv.store("to", "*scale", "key", "D", "")}
$   else
        memcpy(to + LATENT, key + LATENT, sizeof(float) * RETR);
$   end
    }
}

${part("block/matmul.c", { stage = "project_rows", from = "l->a", lda = "MODEL + PAD", rows = "l->rows", offset = false, done = { Q = "q_done", QA = "qa_done", KVA = "key_done" } })}

$   if lora then
${part("block/matmul.c", { stage = "project_queries", from = "l->qa", lda = "QA_ROW", rows = "l->rows", offset = false, done = { Q = "q_done" } })}

$   end
${part("block/matmul.c", { stage = "absorb", from = "l->nope", lda = "NOPE_ROW", rows = "l->rows", offset = false, step = "HEAD", done = { UK = "absorbed" } })}

$   if expand then
$     if paged then
/* The first key of the first page that a row of an item sees. */
static int32_t first_seen(const layer *l, int32_t item) {
$       if plan.kept >= 0 then
    const attn_args *core = &l->call->core;
    const int32_t first = l->call->begin[item], rows = l->call->begin[item + 1] - first;
    const int32_t held = l->call->row0[item]; /* before this call */
    int32_t least = core->q_position ? INT32_MAX : held;
    for (int32_t i = 0; core->q_position && i < rows; i++)
        if (core->q_position[first + i] < least) least = core->q_position[first + i];
    const int32_t seen = least > ${plan.kept} ? least - ${plan.kept} : 0;
    return min32(seen, held) / PAGE * PAGE;
$       else
    (void)l, (void)item;
    return 0;
$       end
}

$     end
$     if widened then
/* The keys of an item as floats${plan.rotate and ", rotated back: H is its own inverse" or ""}. */
static void widen_task(void *ctx, int64_t task, int worker) {
    const layer *l = ctx;
    (void)worker;
    const int32_t end = min32(l->held, (int32_t)task * MB + MB);
$       if paged then
    const attn_out *to = &l->k;
    for (int32_t row = (int32_t)task * MB; row < end; row++) {
        const int32_t at = l->from + row;
        const int64_t page = page_of(l, l->item, at);
        const ${plan.kv.c} *from = (const ${plan.kv.c} *)to->data + page * to->batch + at % PAGE * to->token;
        float *key = l->wide + (int64_t)row * KEY_ROW;
$         if stored then
        load_row(key, from, D);
$         else
        memcpy(key, from, sizeof(float) * D);
$         end
$         if plan.scaled then
        const attn_scales_out *s = &l->k_scale;
        scale_key(key, s->data[page * s->batch + at % PAGE * s->token], D);
        ${kv.turn("key")}
$         end
    }
$       else
    const ${plan.kv.c} *keys = (const ${plan.kv.c} *)l->k.data + l->item * l->k.batch;
$       if plan.scaled then
    const float *scale = l->k_scale.data + l->item * l->k_scale.batch;
    for (int32_t row = (int32_t)task * MB; row < end; row++) {
        float *key = l->wide + (int64_t)row * KEY_ROW;
        load_row(key, keys + row * l->k.token, D);
        scale_key(key, scale[row * l->k_scale.token], D);
        ${kv.turn("key")}
    }
$       else
    for (int32_t row = (int32_t)task * MB; row < end; row++)
        load_row(l->wide + (int64_t)row * KEY_ROW, keys + row * l->k.token, D);
$       end
$       end
}

$     end
/* Keys of an item, head by head: [W_uk latent | rotated], and values W_uv latent. */
static void expanded(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                     float *t, ptrdiff_t ldt) {
    const int64_t keys = l->call->core.kv_len_max;
    for (int32_t i = 0; i < rows; i++, t += ldt) {
$     if widened then
        const float *key = l->wide + (int64_t)(first + i) * KEY_ROW;
$     else
        const float *key =
            (const float *)l->k.data + l->item * l->k.batch + (first + i) * l->k.token;
$     end
        for (int32_t c = 0; c < cols; c += HEAD + VALUE) {
            const int32_t h = (col + c) / (HEAD + VALUE);
            const int64_t row = ((int64_t)l->item * HEADS + h) * keys + ${paged and "l->from + " or ""}first + i;
            memcpy(l->ek + row * EXPANDED, t + c, sizeof(float) * HEAD);
            memcpy(l->ek + row * EXPANDED + HEAD, key + LATENT, sizeof(float) * RETR);
            memcpy(l->ev + row * VALUE, t + c + HEAD, sizeof(float) * VALUE);
        }
    }
}

${part("block/matmul.c", { stage = "expand_item", from = widened and "l->wide" or "(const float *)l->k.data + l->item * l->k.batch", lda = widened and "KEY_ROW" or "D", rows = "l->held", offset = false, done = { KVB = "expanded" } })}

$   end
static void project(layer *l) {
    project_rows(l);
    attn_parallel(l->call->team, (l->rows + MB - 1) / MB, settle_task, l);
$   if lora then
    project_queries(l);
$   end
$   if expand then
    if (l->expand) {
        for (l->item = 0; l->item < l->call->extent.batch; l->item++) {
            l->held = l->call->held[l->item];
$     if paged then
            l->from = first_seen(l, l->item), l->held -= l->from;
$     end
$     if widened then
            if (l->call->rows[l->item] <= 0 || l->held <= 0) continue;
            attn_parallel(l->call->team, (l->held + MB - 1) / MB, widen_task, l);
            expand_item(l);
$     else
            if (l->call->rows[l->item] > 0 && l->held > 0) expand_item(l);
$     end
        }
        return;
    }
$   end
    absorb(l);
}
$ elseif a.section == "layout" then
$   if expand then
$     if lora then
    l->qa = attn_carve(base, &bytes, rows * QA_ROW * sizeof(float));
$     end
    l->key = attn_carve(base, &bytes, rows * KEY_ROW * sizeof(float));
    /* Either form's tensors: items of few rows are absorbed, in a run of their own. */
    l->expand = e->tokens >= EXPAND_FROM;
    char *either = base ? base + bytes : NULL;
    uint64_t few_bytes = 0, many_bytes = 0;
    const uint64_t most = (uint64_t)e->batch * (uint64_t)min32(e->tokens, EXPAND_FROM - 1);
    const uint64_t few = most < rows ? most : rows;
    l->q = attn_carve(either, &few_bytes, few * Q_ROW * sizeof(float));
    l->ctx = attn_carve(either, &few_bytes, few * CTX_ROW * sizeof(float));
    l->nope = attn_carve(either, &few_bytes, few * NOPE_ROW * sizeof(float));
    l->o = attn_carve(either, &few_bytes, (few < chunk ? few : chunk) * O_ROW * sizeof(float));
    if (l->expand) {
        const uint64_t keys = (uint64_t)e->batch * (uint64_t)e->keys * HEADS;
        l->q = attn_carve(either, &many_bytes, rows * EXPANDED_ROW * sizeof(float));
        l->o = attn_carve(either, &many_bytes, rows * O_ROW * sizeof(float));
        l->ek = attn_carve(either, &many_bytes, keys * EXPANDED * sizeof(float));
        l->ev = attn_carve(either, &many_bytes, keys * VALUE * sizeof(float));
$     if widened then
        l->wide = attn_carve(either, &many_bytes, (uint64_t)e->keys * KEY_ROW * sizeof(float));
$     end
    }
    bytes += few_bytes > many_bytes ? few_bytes : many_bytes;
$   else
    l->q = attn_carve(base, &bytes, rows * Q_ROW * sizeof(float));
    l->ctx = attn_carve(base, &bytes, rows * CTX_ROW * sizeof(float));
    l->o = attn_carve(base, &bytes, chunk * O_ROW * sizeof(float));
$     if lora then
    l->qa = attn_carve(base, &bytes, rows * QA_ROW * sizeof(float));
$     end
    l->nope = attn_carve(base, &bytes, rows * NOPE_ROW * sizeof(float));
    l->key = attn_carve(base, &bytes, rows * KEY_ROW * sizeof(float));
$   end
$ elseif a.section == "core" then
$   if expand then
    if (l->expand) {
        const int64_t keys = args.kv_len_max;
        args.q = (attn_view){l->q, 0, EXPANDED, EXPANDED_ROW};
        args.k = (attn_view){l->ek, HEADS * keys * EXPANDED, keys * EXPANDED, EXPANDED};
        args.v = (attn_view){l->ev, HEADS * keys * VALUE, keys * VALUE, VALUE};
        args.o = (attn_out){l->o, 0, VALUE, O_ROW};
        clear_rest(l, l->o, O_ROW);
        const attn_kernel *core =
            &${plan.expanded};
        return l->call->run_core(core, &args, l->call->rows, l->call->team);
    }
$   end
$ end
