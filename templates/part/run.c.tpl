$ local each = a.each
$ local layout = hooks(plan.places .. ".c")
/* --- the call --- */

static const char *variant(int32_t q_len) {
$ -- Each up to its most query rows, the last one whatever there is.
$ local text = '"' .. plan.variants[#plan.variants].name .. '"'
$ for i = #plan.variants - 1, 1, -1 do
$   local name = plan.variants[i].name
$   text = "q_len <= " .. name:upper() .. '_Q ? "' .. name .. '" : ' .. text
$ end
    return ${#plan.variants > 1 and text or "(void)q_len, " .. text};
}

${each("bounds")}

/* Tasks of a call, at most: no more threads than that do anything. */
static uint64_t most_tasks(const attn_extent *e) {
    const uint64_t items = (uint64_t)e->batch, rows = (uint64_t)attn_extent_rows(e);
    ${each("tasks")}
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
    ${each("places")}
    return bytes;
}

static uint64_t workspace(const attn_extent *e) {
    call c;
    return layout(&c, e, NULL);
}

${each("runner")}

static void run(const attn_args *args, const int32_t *rows, attn_team *team) {
    const attn_extent e = attn_extent_of(args);
    call c = {.args = args, .rows = rows, .team = team};
    layout(&c, &e, args->workspace);
    if (attn_extent_rows(&e) == 0 || (args->q_begin && e.rows == 0)) return;
$ if plan.minmax then
    const void *minmax[SIDES];
    attn_minmax_fill(args, sides, SIDES, MINMAX_SIDES, c.tables, minmax);
    c.minmax = minmax;
$ end
    ${each("run")}
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
    .side_count = ${plan.minmax and "SIDES" or #expr.sides},
$   end
    .scalar_count = ${expr.scalar_count},
$ end
    .variant = variant,
    .workspace = workspace,
    .run = run,
    .arithmetic_ok = attn_arithmetic_ok,
$ if plan.unasked >= 0 then
    .unasked = ${plan.unasked > 0 and "ATTN_UNASKED_YES" or "ATTN_UNASKED_NO"},
$ end
};
