typedef struct call {
    const attn_args *args;
    const void *const *minmax; /* see attn_expr_ctx */
$ if plan.minmax then
    char *tables; /* where minmax points into */
$ end
    scratch *work; /* one a thread */
$ if plan.gather_keys == 0 then
    float *packed;        /* V: [batch][value head][key block][column panel][key][column] */
    float *partial;       /* decode: [batch][group][part][row] of m, l and o */
    int32_t blocks;       /* key blocks of kv_len_max */
    int32_t parts;        /* decode: key parts of kv_len_max */
    int32_t tiles, chunk; /* tiles of a head, and how many of them a task takes */
    int32_t rows;         /* decode: query rows of a group */
    int32_t span;         /* decode: groups a task takes */
    int32_t tile_rows;    /* decode: rows of a tile, */
    int32_t turn, ahead;  /* keys of its turn, and keys by which rows are asked for before */
$ end
} call;

static item item_of(const call *c, int32_t b) {
    const attn_args *args = c->args;
    return (item){
        .args = args,
        .b = b,
        .q_start = args->q_start ? args->q_start[b] : 0,
        .q_len = args->q_len,
        .kv_len = args->kv_len ? args->kv_len[b] : args->kv_len_max,
        .minmax = c->minmax,
    };
}
