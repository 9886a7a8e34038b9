$ -- Latent attention in a layer, key = per_head: the reference's. Queries and keys meet in a retrieval
$ -- space, values are the latent rows themselves.
$ local H, K, r, c = spec.heads, spec.head_dim, spec.retr_dim, spec.kv_comp_dim
$ local roped = #plan.frequencies > 0
$ local cross = spec.kv_dim > 0
$ local kv = hooks("block/kv.c")
$ local folded_out = plan.second_output
$ if a.section == "weights" then
$   a.weight("q_proj.weight", { H * K, plan.model })
$   a.weight("w_kc_q", { H, K, spec.q_comp_dim })
$   a.weight("W_qr", { H, spec.q_comp_dim, r })
$   a.weight("kv_proj.weight", { c, plan.keys })
$   a.weight("W_kr", { H, c, r })
$   a.weight("w_kc_kv", { H, K, c })
$   a.weight("out_proj.weight", { plan.model, H * K })
$   if not cross then a.weight("o_proj.weight", { plan.model, plan.model }, { ignored = not folded_out }) end
$ elseif a.section == "sizes" then
    HEAD = ${K}, /* width of a value head after its up-projection */
    LATENT = ${c}, /* width of a latent row: the value of all heads */
    RETR = ${r}, /* width of the rotated key of a head */
$   if roped then
    ROPE_DIM = ${spec.rope_dim}, /* rotated components of those */
$   end
    VALUE = HEAD,
    D = RETR, /* width of a query and key row */
    LATENT_ROW = LATENT + ${plan.pad},
    K_HEADS = HEADS, /* as the cache has them */
    V_HEADS = 1,
    V_DIM = LATENT,
$ elseif a.section == "members" then
    float *latent; /* [key rows][LATENT] */
$ elseif a.section == "fold" then
/* (q w_kc_q) W_qr is one matrix: Wq^T (w_kc_q W_qr), head by head, in double, 64 columns at a
 * time. */
static void fold_query(attn_packing *p) {
    enum { COMP = ${spec.q_comp_dim} };
    for (int64_t row = 0; row < HEADS * RETR; row++) {
        const int64_t h = row / RETR, j = row % RETR;
        double both[HEAD];
        for (int64_t k = 0; k < HEAD; k++) {
            both[k] = 0;
            for (int64_t d = 0; d < COMP; d++)
                both[k] += attn_source_at(p, W_W_KC_Q, (h * HEAD + k) * COMP + d) *
                           attn_source_at(p, W_W_QR, (h * COMP + d) * RETR + j);
        }
        for (int64_t i = 0; i < MODEL; i += 64) {
            double sum[64] = {0};
            float some[64];
            const int64_t n = MODEL - i < 64 ? MODEL - i : 64;
            for (int64_t k = 0; k < HEAD; k++) {
                const float *q =
                    attn_source_floats(p, W_Q_PROJ_WEIGHT, (h * HEAD + k) * MODEL + i, n, some);
                for (int64_t c = 0; c < n; c++) sum[c] += both[k] * q[c];
            }
            for (int64_t c = 0; c < n; c++)
                attn_pack_value(p, &matrices[M_Q], row, i + c, W_Q_PROJ_WEIGHT, sum[c]);
        }
    }
}

/* W_kr [head][LATENT][RETR] as a matrix of HEADS * RETR rows. */
static void pack_retrieval(attn_packing *p) {
    for (int64_t row = 0; row < HEADS * RETR; row++)
        for (int64_t i = 0; i < LATENT; i++)
            attn_pack_value(
                p, &matrices[M_KR], row, i, W_W_KR,
                attn_source_at(p, W_W_KR, (row / RETR * LATENT + i) * RETR + row % RETR));
}

$     if folded_out then
/* Two output projections are one: second first, in double, 64 columns at a time. */
static void fold_output(attn_packing *p) {
    enum { COLUMNS = HEADS * HEAD };
    for (int64_t row = 0; row < MODEL; row++)
        for (int64_t j = 0; j < COLUMNS; j += 64) {
            double sum[64] = {0};
            float some[64];
            const int64_t n = COLUMNS - j < 64 ? COLUMNS - j : 64;
            for (int64_t m = 0; m < MODEL; m++) {
                const double x = attn_source_at(p, W_O_PROJ_WEIGHT, row * MODEL + m);
                const float *first =
                    attn_source_floats(p, W_OUT_PROJ_WEIGHT, m * COLUMNS + j, n, some);
                for (int64_t c = 0; c < n; c++) sum[c] += x * first[c];
            }
            for (int64_t c = 0; c < n; c++)
                attn_pack_value(p, &matrices[M_O], row, j + c, W_OUT_PROJ_WEIGHT, sum[c]);
        }
}
$     end
$ elseif a.section == "pack" then
    fold_query(p);
    attn_pack_rows(p, &matrices[M_KV], 0, W_KV_PROJ_WEIGHT, 0, LATENT);
    pack_retrieval(p);
    for (int64_t h = 0; h < HEADS; h++)
        attn_pack_rows(p, &matrices[M_UV], h * ${plan.matrix.UV.panels} * NR, W_W_KC_KV, h * HEAD, HEAD);
$   if folded_out then
    fold_output(p);
$   else
    attn_pack_rows(p, &matrices[M_O], 0, W_OUT_PROJ_WEIGHT, 0, MODEL);
$   end
$ elseif a.section == "code" then
/* Padding on the key side: its latent row is zero, and masked. */
static inline bool is_key_pad(const layer *l, int32_t row) {
    const attn_block_args *args = l->args;
    if (!args->key_padding) return false;
$   if cross then
    const attn_block_row *r = &l->call->key_row[row];
    return args->key_padding[r->item * args->key_padding_batch + r->token];
$   else
    const attn_block_row *r = &l->call->row[row];
    return args->key_padding[r->item * args->key_padding_batch + l->call->pos0[r->item] + r->token];
$   end
}

/* Queries in retrieval space: whole heads of some rows. Padding is 0, so that what x holds there
 * changes no bit. */
static void q_done(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                   float *t, ptrdiff_t ldt) {
    for (int32_t i = 0; i < rows; i++, t += ldt) {
$   if roped then
        const float *angles = l->angles + (int64_t)(first + i) * 2 * ROPE_DIM;
        for (int32_t c = 0; c < cols; c += RETR) rope(t + c, angles);
$   end
        if (is_q_pad(l, first + i)) memset(t, 0, sizeof(float) * (size_t)cols);
        memcpy(l->q + (int64_t)(first + i) * Q_ROW + col, t, sizeof(float) * (size_t)cols);
    }
}

$   if plan.scaled then
/* Latent rows, what keys are made of; values are made of whole ones. */
$   else
/* Latent rows: values as they are, and what keys are made of. */
$   end
static void latent_done(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                        float *t, ptrdiff_t ldt) {
    const size_t bytes = sizeof(float) * (size_t)cols;
    for (int32_t i = 0; i < rows; i++, t += ldt) {
$   if not plan.scaled then
        ${plan.kv.c} *to = key_row(l, &l->v, first + i);
$   end
        if (is_key_pad(l, first + i)) memset(t, 0, bytes);
        memcpy(l->latent + (int64_t)(first + i) * LATENT_ROW + col, t, bytes);
$   if not plan.scaled then
        ${kv.store("to + col", "", "t", "cols", "bytes")}
$   end
    }
}

$   if plan.scaled then
/* The value of a row that exists, whose largest number is known now that all of it is there. */
static void store_latent(const layer *l, int32_t row) {
    ${plan.kv.c} *to = key_row(l, &l->v, row);
    const float *from = l->latent + (int64_t)row * LATENT_ROW;
    ${kv.scale_at("v", "row")}
    ${kv.store("to", "*scale", "from", "LATENT", "")}
}

$   end
static void k_done(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                   float *t, ptrdiff_t ldt) {
    for (int32_t i = 0; i < rows; i++, t += ldt) {
        ${plan.kv.c} *to = key_row(l, &l->k, first + i);
        ${kv.scale_at("k", "first + i")}
$   if plan.scaled then
        if (col == 0) store_latent(l, first + i);
$   end
$   if roped then
        const float *all = l->${cross and "key_angles" or "angles"};
        const float *angles = all + (int64_t)(first + i) * 2 * ROPE_DIM;
$   end
        for (int32_t c = 0; c < cols; c += RETR) {
$   if roped then
            rope(t + c, angles);
$   end
            ${kv.turn("t + c")}
            ${kv.store("to + (col + c) / RETR * l->k.head", "scale[(col + c) / RETR * l->k_scale.head]", "t + c", "RETR", "sizeof(float) * RETR")}
        }
    }
}

$   if cross then
${part("block/matmul.c", { stage = "project_queries", from = "l->a", lda = "MODEL + PAD", rows = "l->rows", offset = false, done = { Q = "q_done" } })}

${part("block/matmul.c", { stage = "project_latent", from = "l->ak", lda = "KEY_SIDE + PAD", rows = "l->key_rows", offset = false, done = { KV = "latent_done" } })}

${part("block/matmul.c", { stage = "project_keys", from = "l->latent", lda = "LATENT_ROW", rows = "l->key_rows", offset = false, done = { KR = "k_done" } })}

static void project(layer *l) {
    project_queries(l);
    if (l->key_rows == 0) return;
    project_latent(l);
    project_keys(l);
}
$   else
${part("block/matmul.c", { stage = "project_rows", from = "l->a", lda = "MODEL + PAD", rows = "l->rows", offset = false, done = { Q = "q_done", KV = "latent_done" } })}

${part("block/matmul.c", { stage = "project_keys", from = "l->latent", lda = "LATENT_ROW", rows = "l->rows", offset = false, done = { KR = "k_done" } })}

static void project(layer *l) {
    project_rows(l);
    project_keys(l);
}
$   end
$ elseif a.section == "layout" then
    l->q = attn_carve(base, &bytes, rows * Q_ROW * sizeof(float));
    l->ctx = attn_carve(base, &bytes, rows * CTX_ROW * sizeof(float));
    l->o = attn_carve(base, &bytes, chunk * O_ROW * sizeof(float));
$   if cross then
    l->latent = attn_carve(base, &bytes, key_rows * LATENT_ROW * sizeof(float));
$   else
    l->latent = attn_carve(base, &bytes, rows * LATENT_ROW * sizeof(float));
$   end
$ end
