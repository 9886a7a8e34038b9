$ -- A stage: products of the same rows with one or more matrices, cut into tasks of row blocks and
$ -- column blocks. a.matrices: { name, n, k, unit, done, heads, step }; unit: columns that belong
$ -- together; with heads, each has a matrix of its own, and reads its rows `step` floats further.
$ local function gcd(x, y)
$   while y > 0 do x, y = y, x % y end
$   return x
$ end
static void ${a.name}_task(void *ctx, int64_t task, int worker) {
    const layer *l = ctx;
    float *t = l->work[worker].t;
    const int32_t row_blocks = (${a.rows} + MB - 1) / MB;
    const int32_t first = (int32_t)(task % row_blocks) * MB, rows = min32(MB, ${a.rows} - first);
    int32_t block = (int32_t)(task / row_blocks);
    const bool few = ${a.rows} <= MR;
$ for i, m in ipairs(a.matrices) do
$   local unit = m.unit // gcd(m.unit, plan.nr) * plan.nr
$   assert(unit <= plan.wide, "matmul: a unit is wider than a task")
$   local function columns(target)
$     local units = target // unit
$     return (units > 0 and units or 1) * unit
$   end
$   local panels = (m.n + plan.nr - 1) // plan.nr
$   local heads = m.heads or 1
    { /* ${m.name}: [${heads > 1 and heads .. " x " or ""}${m.n}, ${m.k}] */
        enum { N = ${m.n}, K = ${m.k}, PANELS = ${panels} };
        const int32_t per = few ? ${columns(plan.few)} : ${columns(plan.wide)};
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
            gemm(from${heads > 1 and " + h * " .. m.step or ""}, ${a.lda}, rows, w, K, panels, t);
            ${m.done}(l, ${a.offset and a.offset .. " + " or ""}first, rows, ${heads > 1 and "h * N + " or ""}col,
                   min32(per, N - col), t, (ptrdiff_t)panels * NR);
            return;
        }
$   if i < #a.matrices then
        block -= ${heads > 1 and heads .. " * " or ""}blocks;
$   end
    }
$ end
}

static void ${a.name}(layer *l) {
    const bool few = ${a.rows} <= MR;
    int64_t blocks = 0;
$ for _, m in ipairs(a.matrices) do
$   local unit = m.unit // gcd(m.unit, plan.nr) * plan.nr
$   local function columns(target)
$     local units = target // unit
$     return (units > 0 and units or 1) * unit
$   end
$   local function count(target)
$     local per = columns(target)
$     return (m.heads or 1) * ((m.n + per - 1) // per)
$   end
    blocks += few ? ${count(plan.few)} : ${count(plan.wide)}; /* ${m.name} */
$ end
    const int64_t row_blocks = (${a.rows} + MB - 1) / MB;
    attn_parallel(blocks * row_blocks, l->call->extent.threads, ${a.name}_task, l);
}
