$ -- A stage: products of the same rows with one or more matrices, cut into tasks of row blocks and
$ -- column blocks. a.matrices: { name, n, k, unit, done, heads, step }; unit: columns that belong
$ -- together; with heads, each has a matrix of its own, and reads its rows `step` floats further.
$ local function gcd(x, y)
$   while y > 0 do x, y = y, x % y end
$   return x
$ end
$ local function unit_of(m)
$   return m.unit // gcd(m.unit, plan.nr) * plan.nr
$ end
$ local function columns(m, target)
$   local units = target // unit_of(m)
$   return (units > 0 and units or 1) * unit_of(m)
$ end
$ local function blocks(m, target)
$   local per = columns(m, target)
$   return (m.heads or 1) * ((m.n + per - 1) // per)
$ end
$ local wide, few = 0, 0
$ for _, m in ipairs(a.matrices) do
$   wide = wide + blocks(m, plan.wide)
$   few = few + blocks(m, plan.few)
$ end
/* Narrow tasks, where wide ones would leave threads idle. */
static inline bool ${a.name}_narrow(const layer *l) {
    const int64_t row_blocks = (${a.rows} + MB - 1) / MB;
    return ${wide} * row_blocks < 3 * (int64_t)l->call->extent.threads;
}

static void ${a.name}_task(void *ctx, int64_t task, int worker) {
    const layer *l = ctx;
    float *t = l->work[worker].t;
    const int32_t row_blocks = (${a.rows} + MB - 1) / MB;
    const int32_t first = (int32_t)(task % row_blocks) * MB, rows = min32(MB, ${a.rows} - first);
    int32_t block = (int32_t)(task / row_blocks);
    const bool narrow = ${a.name}_narrow(l);
$ for i, m in ipairs(a.matrices) do
$   assert(unit_of(m) <= plan.wide, "matmul: a unit is wider than a task")
$   local panels = (m.n + plan.nr - 1) // plan.nr
$   local heads = m.heads or 1
    { /* ${m.name}: [${heads > 1 and heads .. " x " or ""}${m.n}, ${m.k}] */
        enum { N = ${m.n}, K = ${m.k}, PANELS = ${panels} };
        const int32_t per = narrow ? ${columns(m, plan.few)} : ${columns(m, plan.wide)};
        const int32_t blocks = (N + per - 1) / per;
$   if heads > 1 then
        if (block < ${heads} * blocks) {
            const int32_t h = block / blocks, col = block % blocks * per;
            const float *w = l->w + ${m.name}_AT + (int64_t)h * PANELS * K * NR;
$   else
        if (block < blocks) {
            const int32_t col = block * per;
            const float *w = l->w + ${m.name}_AT;
$   end
            const int32_t panels = min32(per / NR, PANELS - col / NR);
            const float *from = ${a.from};
            from += (int64_t)first * (${a.lda});
            w += (int64_t)(col / NR) * K * NR;
            gemm(from${heads > 1 and " + h * " .. m.step or ""}, ${a.lda}, rows, w, K, panels, &l->work[worker]);
            const int32_t cols = min32(per, N - col);
            ${m.done}(l, ${a.offset and a.offset .. " + " or ""}first, rows, ${heads > 1 and "h * N + " or ""}col, cols, t, (ptrdiff_t)panels * NR);
            return;
        }
$   if i < #a.matrices then
        block -= ${heads > 1 and heads .. " * " or ""}blocks;
$   end
    }
$ end
}

static void ${a.name}(layer *l) {
    const int64_t blocks = ${a.name}_narrow(l) ? ${few} : ${wide};
    const int64_t row_blocks = (${a.rows} + MB - 1) / MB;
    attn_parallel(blocks * row_blocks, l->call->extent.threads, ${a.name}_task, l);
}
