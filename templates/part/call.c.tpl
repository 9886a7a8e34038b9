${a.each("types")}

typedef struct call {
    const attn_args *args;
    const int32_t *rows;       /* query rows of each item; null: all */
    const void *const *minmax; /* see attn_expr_ctx */
$ if plan.minmax then
    char *tables; /* where minmax points into */
$ end
    attn_team *team;
    scratch *work; /* one a thread */
    ${a.each("members")}
} call;

static item item_of(const call *c, int32_t b) {
    const attn_args *args = c->args;
    item x = {
        .args = args,
        .b = b,
        .q_start = args->q_start ? args->q_start[b] : 0,
        .q_len = attn_row_count(args, b),
        .kv_len = attn_keys_of(args, b),
        .minmax = c->minmax,
        .rows = c->rows ? c->rows[b] : attn_row_count(args, b),
        .q_row = attn_first_row(args, b),
    };
$ if plan.indexed then
    attn_set_tail(&x, attn_tail_of(args, b));
$ elseif plan.tiled then
    attn_set_tail(&x, c->share[b].tail);
$ end
    return x;
}
