$ local layout = hooks("layout/" .. plan.layout .. ".c")
/* --- the call --- */

static const char *variant(int32_t q_len) {
$ if plan.gather_keys > 0 then
    return (void)q_len, "gather";
$ else
    return q_len <= DECODE_Q ? "decode" : "prefill";
$ end
}

$ if plan.gather_keys == 0 then
/* Keys from the first to the last that so many rows of an item see, at most; 0 rows see none. */
static int64_t most_keys(int32_t rows, int32_t kv_len_max) {
    if (rows <= 0) return 0;
$   if plan.scattered then
    return min64(kv_len_max, rows * INT64_C(${spec.lookback + 1})); /* else nothing is packed */
$   elseif plan.reach >= 0 then
    return min64(kv_len_max, reach_of(rows));
$   else
    return kv_len_max;
$   end
}

/* Parts that so many rows of an item see, at most. */
static int32_t most_parts(int32_t rows, int32_t kv_len_max) {
$   if plan.scattered then
    enum { A_ROW = ${(spec.lookback + plan.part_keys - 1) // plan.part_keys + 1} };
    return (int32_t)min64(attn_runs(kv_len_max, kv_len_max, PART), (int64_t)rows * A_ROW);
$   else
    return attn_runs(most_keys(rows, kv_len_max), kv_len_max, PART);
$   end
}

$ end
/* Tasks of a call, at most: no more threads than that do anything. */
static uint64_t most_tasks(const attn_extent *e) {
    const uint64_t items = (uint64_t)e->batch;
$ if plan.gather_keys > 0 then
    return items * HEADS * (uint64_t)gather_chunks(e->q_len);
$ else
    const int32_t few = min32(e->q_len, DECODE_Q);
    const uint64_t parts = (uint64_t)max32(1, most_parts(few, e->kv_len_max));
    const uint64_t tiles = (uint64_t)tiles_of(e->q_len); /* few rows may run as tiles too */
    const uint64_t decode = attn_times(items * GROUPS, parts);
    const uint64_t prefill = attn_times(items * HEADS, tiles);
    return decode > prefill ? decode : prefill;
$ end
}

/* Places everything in the workspace and returns its size. base may be null. */
static uint64_t layout(call *c, const attn_extent *e, char *base) {
    const uint64_t threads = (uint64_t)max32(1, e->threads), tasks = most_tasks(e);
    uint64_t bytes = 0;
    c->work = attn_carve(base, &bytes, sizeof(scratch) * (threads < tasks ? threads : tasks));
$ if plan.minmax then
    const uint64_t tables = attn_minmax_bytes(e, sides, SIDES, MINMAX_SIDES, HEADS, KEY_HEADS);
    c->tables = attn_carve(base, &bytes, tables);
$ end
$ if plan.gather_keys == 0 then
    const uint64_t items = (uint64_t)e->batch;
    c->share = attn_carve(base, &bytes, items * sizeof(share));
    /* Never less than a shorter call needs: a decode run's partial results come with any. */
    const int32_t few = min32(e->q_len, DECODE_Q);
    c->part_rows = few * GROUP;
    c->parts = most_parts(few, e->kv_len_max);
$   if plan.scattered then
    c->part = attn_carve(base, &bytes, attn_times(items * (uint64_t)c->parts, sizeof(int32_t)));
$   end
    const uint64_t rows = attn_times(items * GROUPS * (uint64_t)c->part_rows, (uint64_t)c->parts);
    const uint64_t partials = attn_times(rows, (DVP + 16) * sizeof(float));
    c->blocks = attn_runs(most_keys(e->q_len, e->kv_len_max), e->kv_len_max, BK);
$   if plan.scattered or plan.has_mask then
    const uint64_t blocks = attn_times(items * VALUE_HEADS, (uint64_t)c->blocks);
    c->seen = attn_carve(base, &bytes, e->q_len > DECODE_Q ? blocks : 0);
$   end
    const uint64_t keys = (uint64_t)c->blocks * BK; /* whole blocks */
    const uint64_t panels = attn_times(items * VALUE_HEADS, attn_times(keys, DVP * sizeof(${plan.type.v.c})));
    const uint64_t larger = e->q_len > DECODE_Q && panels > partials ? panels : partials;
$   if plan.type.v.suffix == "" then
    c->packed = c->partial = attn_carve(base, &bytes, larger);
$   else
    c->partial = attn_carve(base, &bytes, larger);
    c->packed = (void *)c->partial;
$   end
$ end
    return bytes;
}

static uint64_t workspace(const attn_extent *e) {
    call c;
    return layout(&c, e, NULL);
}

$ if plan.gather_keys == 0 then
/* Groups a task, few enough to keep the threads busy. */
static int32_t decode_span(int64_t parts, int threads) {
    int32_t span = min32(GROUPS, TILES);
    while (span > 1 && threads > 1 && parts * ((GROUPS + span - 1) / span) < 4 * (int64_t)threads)
        span = (span + 1) / 2;
    return span;
}

/* The items of few rows: parts of their keys, merged in order. */
static void run_decode(call *c, int threads) {
    const attn_args *args = c->args;
    const bool by_token = ${layout.head_step("args->k.")} < ${layout.k_step("args->k.")};
    c->span = by_token ? decode_span(number_tasks(c, 1, 0), threads) : 1;
    const int32_t sets = (GROUPS + c->span - 1) / c->span;
    attn_parallel(number_tasks(c, sets, 0), threads, decode_task, c);
    attn_parallel((int64_t)args->batch * GROUPS, threads, merge_task, c);
}

/* The others: V packed, then query blocks. */
static void run_prefill(call *c, int threads) {
    /* Whole query blocks share keys in cache; smaller ones keep many threads busy. */
    const int64_t fair = HEADS * c->tiles / (4 * (int64_t)threads);
    c->chunk = threads == 1 || fair >= TILES ? TILES : max32(1, (int32_t)fair);
    c->chunks = (tiles_of(c->longest) + c->chunk - 1) / c->chunk;
    attn_parallel(number_tasks(c, 0, VALUE_HEADS), threads, pack_v_task, c);
    const int64_t heads = (int64_t)c->args->batch * HEADS;
    attn_parallel(heads * c->chunks, threads, prefill_task, c);
}

$ end
static void run(const attn_args *args, const int32_t *rows) {
    const attn_extent e = {sizeof e, args->batch, args->q_len, args->kv_len_max, args->threads};
    call c = {.args = args, .rows = rows};
    const int threads = max32(1, args->threads);
    layout(&c, &e, args->workspace);
    if (args->batch == 0 || args->q_len == 0) return;
$ if plan.minmax then
    const void *minmax[SIDES];
    attn_minmax_fill(args, sides, SIDES, MINMAX_SIDES, c.tables, minmax);
    c.minmax = minmax;
$ end
$ if plan.gather_keys > 0 then
    const int64_t heads = (int64_t)args->batch * HEADS;
    attn_parallel(heads * gather_chunks(args->q_len), threads, gather_task, &c);
$ else
    find_shares(&c);
    if (c.few > 0) run_decode(&c, threads);
    if (c.longest > 0) run_prefill(&c, threads);
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
    .arithmetic_ok = attn_arithmetic_ok,
};
