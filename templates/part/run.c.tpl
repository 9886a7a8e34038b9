/* --- the call --- */

static const char *variant(int32_t q_len) {
$ if plan.gather_keys > 0 then
    return (void)q_len, "gather";
$ else
    return q_len <= DECODE_Q ? "decode" : "prefill";
$ end
}

/* Places everything in the workspace and returns its size. base may be null. */
static size_t layout(call *c, const attn_extent *e, char *base) {
    const int32_t threads = max32(1, e->threads);
    size_t bytes = 0;
    c->work = attn_carve(base, &bytes, sizeof(scratch) * (size_t)threads);
$ if plan.minmax then
    const size_t tables = attn_minmax_bytes(e, sides, SIDES, MINMAX_SIDES, HEADS, KEY_HEADS);
    c->tables = attn_carve(base, &bytes, tables);
$ end
$ if plan.gather_keys == 0 then
    c->blocks = e->kv_len_max / BK + (e->kv_len_max % BK > 0);
    c->parts = e->kv_len_max / PART + (e->kv_len_max % PART > 0);
    /* Never less than a shorter call needs: a decode run's partial results come with any. */
    c->rows = min32(e->q_len, DECODE_Q) * GROUP;
    const size_t rows = (size_t)e->batch * GROUPS * (size_t)c->parts * (size_t)c->rows;
    const size_t partials = rows * (DVP + 16) * sizeof(float);
    const size_t keys = (size_t)c->blocks * BK; /* whole blocks */
    const size_t panels = (size_t)e->batch * VALUE_HEADS * keys * DVP * sizeof(float);
    const size_t larger = e->q_len > DECODE_Q && panels > partials ? panels : partials;
    c->packed = c->partial = attn_carve(base, &bytes, larger);
$ end
    return bytes;
}

$ if plan.gather_keys == 0 then
/* Groups a task, few enough to keep the threads busy. */
static int32_t decode_span(int64_t parts, int threads) {
    int32_t span = min32(GROUPS, TILES);
    while (span > 1 && threads > 1 && parts * ((GROUPS + span - 1) / span) < 4 * (int64_t)threads)
        span = (span + 1) / 2;
    return span;
}

$ end
static size_t workspace(const attn_extent *e) {
    call c;
    return layout(&c, e, NULL);
}

static void run(const attn_args *args) {
    const attn_extent e = {sizeof e, args->batch, args->q_len, args->kv_len_max, args->threads};
    call c = {.args = args};
    const int threads = max32(1, args->threads);
    layout(&c, &e, args->workspace);
    if (args->batch == 0 || args->q_len == 0) return;
$ if plan.minmax then
    const void *minmax[SIDES];
    attn_minmax_fill(args, sides, SIDES, MINMAX_SIDES, c.tables, minmax);
    c.minmax = minmax;
$ end
    const int64_t items = args->batch;
$ if plan.gather_keys > 0 then
    const int64_t chunks = (args->q_len + GATHER_ROWS - 1) / GATHER_ROWS;
    attn_parallel(items * HEADS * chunks, threads, gather_task, &c);
$ else
    if (args->q_len <= DECODE_Q) {
        const bool by_token = args->k.head < args->k.token;
        c.span = by_token ? decode_span(items * c.parts, threads) : 1;
        c.tile_rows = ROWS, c.turn = BK;
$   if #plan.dots > 0 then
        /* Two turns in one while two of them, K and V of all heads, are little beside L2. */
        const int turns = c.span > 1 && c.span <= 8 ? 2 : 1;
        if (c.rows <= DOT_MOST) c.tile_rows = DOT_ROWS, c.turn = turns * TURN;
        c.ahead = max32(1, AHEAD / (c.turn * c.span)) * c.turn;
$   end
        attn_parallel(items * ((GROUPS + c.span - 1) / c.span) * c.parts, threads, decode_task, &c);
        attn_parallel(items * GROUPS, threads, merge_task, &c);
        return;
    }
    c.tiles = (args->q_len + ROWS - 1) / ROWS;
    /* Whole query blocks share keys in cache; smaller ones keep many threads busy. */
    const int64_t fair = items * HEADS * c.tiles / (4 * (int64_t)threads);
    c.chunk = threads == 1 || fair >= TILES ? TILES : max32(1, (int32_t)fair);
    attn_parallel(items * VALUE_HEADS * c.blocks, threads, pack_v_task, &c);
    attn_parallel(items * HEADS * ((c.tiles + c.chunk - 1) / c.chunk), threads, prefill_task, &c);
$ end
}

static const attn_spec spec = {
    .struct_size = sizeof(attn_spec),
$ for _, f in ipairs(spec.fields) do
    ${f}
$ end
    .expr_hash = ${spec.hash},
};

const attn_kernel
    ${plan.symbol} = {
    .abi = ATTN_KERNEL_ABI,
    .name =
        "${plan.symbol}",
    .isa = ${isa.id},
    .spec = &spec,
$ if expr then
    .expr = &hooks,
$   if #expr.sides > 0 then
    .sides = sides,
    .side_count = ${#expr.sides},
$   end
    .scalar_count = ${expr.scalar_count},
$ end
    .variant = variant,
    .workspace = workspace,
    .run = run,
};
