$ -- Latent attention in a layer: what both kinds of keys share. mla_block_shared and
$ -- mla_block_per_head have the rest.
$ local H, c = spec.heads, spec.kv_comp_dim
$ local v = spec.key == "shared" and spec.v_head_dim or spec.head_dim
$ local expand = plan.expand_from > 0
$ local keyed = "form/mla_block_" .. spec.key .. ".c"
$ if a.section == "weights" then
${part(keyed, { section = "weights", weight = a.weight })}
$ elseif a.section == "sizes" then
    HEADS = ${H},
${part(keyed, { section = "sizes" })}
    K_DIM = D,
    Q_ROW = HEADS * D + ${plan.pad},
    CTX_ROW = HEADS * LATENT + ${plan.pad},
    O_ROW = HEADS * VALUE + ${plan.pad},
$ elseif a.section == "members" then
    float *q;   /* [rows][HEADS * D] */
    float *ctx; /* [rows][HEADS * LATENT] what the heads saw */
    float *o;   /* [chunk][HEADS * VALUE] the same, projected up */
${part(keyed, { section = "members" })}
$ elseif a.section == "fold" then
${part(keyed, { section = "fold" })}
$ elseif a.section == "output" then
/* What the heads saw, projected up. */
static void up_value_done(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                          float *t, ptrdiff_t ldt) {
    for (int32_t i = 0; i < rows; i++, t += ldt)
        memcpy(l->o + (int64_t)(first + i) * O_ROW + col, t, sizeof(float) * (size_t)cols);
}

${part("block/matmul.c", { stage = "up_values", from = "l->ctx + (int64_t)l->first * CTX_ROW", lda = "CTX_ROW", rows = "l->some", offset = false, step = "LATENT", done = { UV = "up_value_done" } })}

${part("block/matmul.c", { stage = "output_rows", from = expand and "l->o + (l->expand ? (int64_t)l->first * O_ROW : 0)" or "l->o", lda = "O_ROW", rows = "l->some", offset = "l->first", done = { O = "out_done" } })}

static void output(layer *l) {
$   if expand then
    if (!l->expand) up_values(l);
$   else
    up_values(l);
$   end
    output_rows(l);
}
$ elseif a.section == "core" then
$   if expand then
${part(keyed, { section = "core" })}
$   end
    args.q = (attn_view){l->q, 0, D, Q_ROW};
    args.o = (attn_out){l->ctx, 0, LATENT, CTX_ROW};
    clear_rest(l, l->ctx, CTX_ROW);
$ else
${part(keyed, { section = a.section })}
$ end
