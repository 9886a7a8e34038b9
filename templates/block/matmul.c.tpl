$ -- A stage: products of the same rows with one or more matrices, cut into tasks of row blocks and
$ -- column blocks. a.stage: its name in the plan, and its function's. a.done: what takes the columns
$ -- of each matrix, by the matrix's name. a.step: of a matrix a head, how much further each reads.
$ local name, stage = a.stage, plan.stages[a.stage]
$ local brief = stage.brief > stage.wide -- some matrix's weights are many
$ if brief then
/* Which columns a task takes: few where wide tasks would leave threads idle, else brief ones where
 * few rows read the weights of wide ones for long. */
static inline task_width ${name}_width(const layer *l) {
    const bool few = ${a.rows} <= FEW_ROWS;
    const int64_t wide = few ? ${stage.brief} : ${stage.wide} * row_blocks(${a.rows});
    if (wide < ${plan.tasks} * (int64_t)l->call->extent.threads) return TASK_FEW;
    return few ? TASK_BRIEF : TASK_WIDE;
}
$ else
/* Narrow tasks, where wide ones would leave threads idle. */
static inline bool ${name}_narrow(const layer *l) {
    return ${stage.wide} * row_blocks(${a.rows}) < ${plan.tasks} * (int64_t)l->call->extent.threads;
}
$ end

$ local either = plan.float_from > 0 and stage.int_blocks > 0
$ if either then
/* Many rows, all of a call: they stay floats. */
static inline bool ${name}_floats(const layer *l) {
    return ${a.rows == "l->some" and "l->rows" or a.rows} >= FLOAT_FROM;
}

$ end
$ if stage.int_blocks > 0 then
enum { ${name:upper()}_INTS = ${stage.int_blocks}, ${name:upper()}_INT_ROWS = 8 };

/* Rows on their way into ${name}_task, as integers. */
static void ${name}_ints_task(void *ctx, int64_t task, int worker) {
    enum { BLOCKS = ${name:upper()}_INTS, EACH = ${name:upper()}_INT_ROWS };
    const layer *l = ctx;
    (void)worker;
    const int32_t end = min32((int32_t)task * EACH + EACH, ${a.rows});
    for (int32_t row = (int32_t)task * EACH; row < end; row++) {
        const float *from = ${a.from};
        from += (int64_t)row * (${a.lda});
        for (int32_t k = 0; k < BLOCKS; k++)
            to_integers(from + 32 * k, l->ints + (int64_t)row * BLOCKS + k);
    }
}

$ end
static void ${name}_task(void *ctx, int64_t task, int worker) {
    const layer *l = ctx;
    float *t = l->work[worker].t;
    const int64_t high = row_blocks(${a.rows});
    const int32_t first = (int32_t)(task % high) * MB, rows = min32(MB, ${a.rows} - first);
    int32_t block = (int32_t)(task / high);
$ if brief then
    const task_width width = ${name}_width(l);
$ else
    const bool narrow = ${name}_narrow(l);
$ end
$ for i, m in ipairs(stage.matrices) do
$   assert(m.unit <= plan.wide, "matmul: a unit is wider than a task")
$   local heads, W = m.heads, hooks("weight/" .. m.type.name .. ".c")
    { /* ${m.name}: [${heads > 1 and heads .. " x " or ""}${m.n}, ${m.k}] */
        enum { N = ${m.n}, K = ${m.k}, PANELS = ${m.panels} };
$   if not brief then
        const int32_t per = narrow ? ${m.few} : ${m.wide};
$   elseif m.few == m.wide then
        const int32_t per = ${m.wide};
$   elseif m.brief == m.wide then
        const int32_t per = width == TASK_FEW ? ${m.few} : ${m.wide};
$   else
        const int32_t per = width == TASK_WIDE ? ${m.wide} : ${m.few == m.brief and m.few or "width == TASK_BRIEF ? " .. m.brief .. " : " .. m.few};
$   end
        const int32_t blocks = (N + per - 1) / per;
$   if heads > 1 then
        if (block < ${heads} * blocks) {
            const int32_t h = block / blocks, col = block % blocks * per;
            const ${W.element} *w = ${W.place(m.name)};
            w += (int64_t)h * PANELS * ${W.offset("K")};
$   else
        if (block < blocks) {
            const int32_t col = block * per;
            const ${W.element} *w = ${W.place(m.name)};
$   end
            const int32_t panels = min32(per / NR, PANELS - col / NR);
            w += (int64_t)(col / NR) * ${W.offset("K")};
$   local ints = { of = "integers", from = "l->ints", lda = name:upper() .. "_INTS", step = heads > 1 and "(K / 32)", gemm = "gemm_ints" .. m.type.suffix }
$   local floats = { of = "float", from = a.from, lda = a.lda, step = heads > 1 and a.step, gemm = "gemm" .. m.type.suffix }
$   if m.integers and either then
            if (${name}_floats(l)) {
                ${part("block/multiply.c", floats)}
            } else {
                ${part("block/multiply.c", ints)}
            }
$   else
            ${part("block/multiply.c", m.integers and ints or floats)}
$   end
            const int32_t cols = min32(per, N - col);
            ${a.done[m.name]}(l, ${a.offset and a.offset .. " + " or ""}first, rows, ${heads > 1 and "h * N + " or ""}col, cols, t, (ptrdiff_t)panels * NR);
            return;
        }
$   if i < #stage.matrices then
        block -= ${heads > 1 and heads .. " * " or ""}blocks;
$   end
    }
$ end
}

static void ${name}(layer *l) {
$ if brief then
    static const int32_t tasks[] = {[TASK_WIDE] = ${stage.wide}, [TASK_BRIEF] = ${stage.brief}, [TASK_FEW] = ${stage.few}};
    const int64_t blocks = tasks[${name}_width(l)];
$ else
    const int64_t blocks = ${name}_narrow(l) ? ${stage.few} : ${stage.wide};
$ end
$ if stage.int_blocks > 0 then
    const int64_t some = (${a.rows} + ${name:upper()}_INT_ROWS - 1) / ${name:upper()}_INT_ROWS;
$   if either then
    if (!${name}_floats(l))
        attn_parallel(l->call->team, some, ${name}_ints_task, l);
$   else
    attn_parallel(l->call->team, some, ${name}_ints_task, l);
$   end
$ end
    attn_parallel(l->call->team, blocks * row_blocks(${a.rows}), ${name}_task, l);
}
