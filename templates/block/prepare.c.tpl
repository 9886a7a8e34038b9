$ -- Rows on their way into the projections: normalised or copied, with their angles.
$ local keys = a.keys
$ local N = hooks("block/norm.c")
$ local norms = N.before and N.first and not keys
$ local roped = #plan.frequencies > 0
$ local width = keys and "KEY_SIDE" or "MODEL"
$ local to = keys and "ak" or "a"
$ if keys then
/* The key side's rows, and their positions' angles. */
$ else
/* Rows of x${norms and ", normalised" or ""}${roped and ", and their positions' angles" or ""}. */
$ end
static void ${a.name}_task(void *ctx, int64_t task, int worker) {
    const layer *l = ctx;
    (void)worker;
$ if keys then
    const attn_block_args *args = l->args;
    const int32_t rows = l->key_rows;
$ else
    const int32_t rows = l->rows;
$ end
    const int32_t end = min32(rows, (int32_t)task * MB + MB);
$ if roped then
    turns at = {.block = INT32_MIN};
$ end
    for (int32_t row = (int32_t)task * MB; row < end; row++) {
        float *to = l->${to} + (int64_t)row * (${width} + PAD);
$ if keys then
        const attn_block_row *r = &l->call->key_row[row];
        const float *x = args->kv + r->item * args->kv_batch + r->token * args->kv_token;
$ else
        const float *x = x_row(l, row);
$ end
$ if norms then
        norm(to, x, ${N.of("NORM1")});
$ else
        memcpy(to, x, sizeof(float) * ${width});
$ end
$ if not keys and a.second then
        float *to2 = l->a2 + (int64_t)row * (MODEL + PAD);
        norm(to2, x, ${N.of("NORM2")});
$ end
$ local grows = not keys and spec.q_growth ~= 0
$ if roped or grows then
$   if not keys then
        const attn_block_row *r = &l->call->row[row];
$   end
$   if plan.given_positions and keys then
        const int32_t *ids = args->kv_pos;
        const int32_t position = ids ? ids[r->item * args->kv_pos_batch + r->token] : r->token;
$   elseif plan.given_positions then
        const int32_t *ids = l->args->q_pos;
        const int32_t position = ids ? ids[r->item * l->args->q_pos_batch + r->place] : r->token;
$   elseif keys then
        const int32_t position = r->token;
$   else
        const int32_t *ids = l->args->q_position;
        const int32_t position = ids ? ids[r->item * l->args->q_position_batch + r->place]
                                     : l->call->pos0[r->item] + r->token;
$   end
$   if grows then
        l->growth[row] = growth_at(position);
$   end
$ end
$ if roped then
        float *angles = l->${keys and "key_angles" or "angles"} + (int64_t)row * 2 * ROPE_DIM;
        angles_of(&at, position, l->w + ROPE_AT, angles);
$ end
    }
}
