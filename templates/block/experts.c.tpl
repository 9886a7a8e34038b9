$ -- A mixture of experts: which a row passes, the rows of each expert together, and their sum.
$ -- a.source: rows on their way in; a.f: the activation.
$ local up, down = plan.stages.expert_up.matrices[1], plan.stages.expert_down.matrices[1]
$ local softmax, sigmoid = spec.router == "softmax_topk", spec.router == "sigmoid"
$ local selection, late = spec.router_bias == "selection", spec.router == "topk_softmax"
$ local mixer = spec.router == "sparsemixer"
$ local U, D = hooks("weight/" .. up.type.name .. ".c"), hooks("weight/" .. down.type.name .. ".c")
$ local many = plan.float_from > 0 -- rows may be floats after all
$ local either, unless_floats = many and up.integers, many and "if (!experts_floats(l)) " or ""
$ assert(up.unit <= plan.wide and down.unit <= plan.wide, "experts: a unit is wider than a task")
/* Scores of some rows, and what the gate of the shared experts takes. */
static void route_done(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                       float *t, ptrdiff_t ldt) {
    for (int32_t i = 0; i < rows; i++, t += ldt) {
$ if spec.router_bias == "logits" then
        add(t, l->w + ROUTER_BIAS_AT + col, cols);
$ end
        memcpy(l->z + (int64_t)(first + i) * SCORES + col, t, sizeof(float) * (size_t)cols);
    }
}

${part("block/matmul.c", { stage = "route", from = a.source .. " + (int64_t)l->first * (MODEL + PAD)", lda = "MODEL + PAD", rows = "l->some", offset = false, done = { ROUTER = "route_done" } })}

static inline bool is_more(double a, double b) {
    return a > b || (isnan(b) && !isnan(a));
}

/* The largest of n keys that are not marked; of equal ones the first. NaN is less than all others:
 * whatever the keys are, there is one. */
static int32_t largest_of(const double *key, const bool *mark, int32_t n) {
    int32_t best = -1;
    for (int32_t e = 0; e < n; e++)
        if (!mark[e] && (best < 0 || is_more(key[e], key[best]))) best = e;
    return best;
}

$ if not mixer then
static void mark_largest(const double *key, bool *mark, int32_t n, int32_t count) {
    for (; count > 0; count--) mark[largest_of(key, mark, n)] = true;
}

$ end
$ if spec.groups > 1 then
/* Marks the experts of groups that are not chosen${sigmoid and ", by the sum of their two largest keys" or ", by their largest key"}. */
static void mark_other_groups(const double *key, bool *mark) {
    enum { EACH = EXPERTS / GROUPS };
    double score[GROUPS];
    bool chosen[GROUPS] = {false};
    for (int32_t g = 0; g < GROUPS; g++) {
        bool largest[EACH] = {false};
        mark_largest(key + g * EACH, largest, EACH, ${sigmoid and 2 or 1});
        score[g] = 0;
        for (int32_t e = 0; e < EACH; e++)
            if (largest[e]) score[g] += key[g * EACH + e];
    }
    mark_largest(score, chosen, GROUPS, GROUP_TOP);
    for (int32_t e = 0; e < EXPERTS; e++) mark[e] = !chosen[e / EACH];
}

$ end
$ if mixer then
/* The largest score that is not marked, as a softmax weighs it among those not marked that lie no
 * further below it than 2 router_jitter of the larger of the two. Marks it. */
static double weigh_largest(const double *p, bool *mark, int32_t *which) {
    static const double BAND = 2 * (double)${f32(spec.router_jitter)};
    const int32_t best = *which = largest_of(p, mark, EXPERTS);
    double all = 0;
    for (int32_t e = 0; e < EXPERTS; e++) {
        const double most = fabs(p[e]) > p[best] ? fabs(p[e]) : p[best];
        if (mark[e] || (p[best] - p[e]) / most > BAND) continue;
        all += exp(p[e] - p[best]);
    }
    mark[best] = true;
    return 1 / all;
}

$ end
/* A row's experts in ascending order, and their weights, from its scores z. */
static void choose(${selection and "const layer *l, " or ""}const float *z, pick *to) {
    double p[EXPERTS];
$ if not sigmoid and not mixer then
    double top = -INFINITY, all = 0;
$ end
    bool ${mixer and "mark[EXPERTS] = {false}" or "other[EXPERTS] = {false}, mark[EXPERTS]"};
$ if late or mixer then
    for (int32_t e = 0; e < EXPERTS; e++) p[e] = (double)z[e];
$ elseif sigmoid then
    for (int32_t e = 0; e < EXPERTS; e++) p[e] = 1 / (1 + exp(-(double)z[e]));
$ else
    for (int32_t e = 0; e < EXPERTS; e++) top = (double)z[e] > top ? (double)z[e] : top;
    for (int32_t e = 0; e < EXPERTS; e++) all += p[e] = exp((double)z[e] - top);
    for (int32_t e = 0; e < EXPERTS; e++) p[e] /= all;
$ end
$ local key = "p"
$ if selection then
$   key = "key"
    double key[EXPERTS];
    for (int32_t e = 0; e < EXPERTS; e++) key[e] = p[e] + (double)l->w[ROUTER_BIAS_AT + e];
$ end
$ if spec.groups > 1 then
    mark_other_groups(${key}, other);
$ end
$ if mixer then
    for (int32_t n = 0, e; n < TOP_K; n++) {
        const double weight = weigh_largest(p, mark, &e);
        p[e] = weight;
    }
$ else
    memcpy(mark, other, sizeof mark);
    mark_largest(${key}, mark, EXPERTS, TOP_K);
$ end
    for (int32_t e = 0, n = 0; e < EXPERTS; e++)
        if (mark[e]${mixer and "" or " && !other[e]"}) to[n++].expert = e;
$ if late then
    for (int32_t n = 0; n < TOP_K; n++) top = p[to[n].expert] > top ? p[to[n].expert] : top;
    for (int32_t n = 0; n < TOP_K; n++) all += p[to[n].expert] = exp(p[to[n].expert] - top);
    for (int32_t n = 0; n < TOP_K; n++) p[to[n].expert] /= all;
$ end
$ local scaled = spec.router_scale ~= 1 and " * (double)" .. f32(spec.router_scale) or ""
$ if spec.norm_topk then
    double sum = 1e-20;
    for (int32_t n = 0; n < TOP_K; n++) sum += p[to[n].expert];
$ end
$ local weight = "p[to[n].expert]" .. (spec.norm_topk and " / sum" or "") .. scaled
    for (int32_t n = 0; n < TOP_K; n++)
        to[n].weight = (float)(${weight});
}

static void choose_task(void *ctx, int64_t task, int worker) {
    const layer *l = ctx;
    (void)worker;
    const int32_t end = min32(l->some, (int32_t)task * MB + MB);
    for (int32_t i = (int32_t)task * MB; i < end; i++) {
        const float *z = l->z + (int64_t)i * SCORES;
        choose(${selection and "l, " or ""}z, l->pick + (int64_t)i * TOP_K);
$ if spec.shared_gate then
        l->share[i] = (float)(1 / (1 + exp(-(double)z[EXPERTS])));
$ end
    }
}

/* The rows of each expert one after the other, in ascending order. */
static void sort_task(void *ctx, int64_t task, int worker) {
    layer *l = ctx;
    int32_t next[EXPERTS];
    (void)task;
    (void)worker;
    memset(l->begin, 0, sizeof(int32_t) * (EXPERTS + 1));
    for (int32_t i = 0; i < l->some; i++)
        for (int32_t n = 0; n < TOP_K; n++)
            l->begin[l->pick[(int64_t)i * TOP_K + n].expert + 1]++;
    for (int32_t e = 0; e < EXPERTS; e++) {
        next[e] = l->begin[e];
        l->begin[e + 1] += l->begin[e];
    }
    for (int32_t i = 0; i < l->some; i++)
        for (int32_t n = 0; n < TOP_K; n++) {
            const pick *p = &l->pick[(int64_t)i * TOP_K + n];
            l->slot[next[p->expert]++] = (slot){i, n == 0, p->weight};
        }
    l->blocks = 0;
    for (int32_t e = 0; e < EXPERTS; e++)
        for (int32_t at = l->begin[e]; at < l->begin[e + 1]; at += MB)
            l->block[l->blocks++] = (expert_block){e, at, min32(MB, l->begin[e + 1] - at)};
}

/* --- First products: blocks of an expert's rows, and some or all columns --- */

$ local head = {
$   "static void expert_up_done(const layer *l, const expert_block *b, int32_t rows, int32_t col,",
$   "                           int32_t cols, float *t, ptrdiff_t ldt) {",
$ }
$ if spec.ffn_bias then
$   head[3] = "    const float *biases = l->w + EXPERT_UP_BIAS_AT + (int64_t)b->expert * UP_BIAS_ROW;"
$ end
${part("block/hidden.c", { f = a.f, head = lines(head), h = "l->xh + (int64_t)(b->slot + i) * X_ROW", bias = spec.ffn_bias and "biases" })}

$ local up_widest = up.brief
$ if up_widest < up.n then
/* Columns of a task: where there are blocks enough all, or as brief as few rows want; else some. */
$ else
/* Columns of a task: all where there are blocks enough, else some. */
$ end
static int32_t expert_up_columns(const layer *l) {
    const int64_t wanted = ${plan.tasks} * (int64_t)l->call->extent.threads;
$ if up_widest < up.n then
    const int32_t most = l->rows <= FEW_ROWS ? ${up_widest} : ${up.n};
    if (l->blocks >= wanted) return most;
    return ${up.blocks} * (int64_t)l->blocks >= wanted ? min32(${up.wide}, most) : ${up.few};
$ else
    if (l->blocks >= wanted) return ${up.n};
    return ${up.blocks} * (int64_t)l->blocks >= wanted ? ${up.wide} : ${up.few};
$ end
}

$ if up.integers or down.integers then
enum { EXPERT_INT_ROWS = 8 }; /* of a task that makes them integers */

$ end
$ if many and (up.integers or down.integers) then
/* Many rows an expert, on average: they stay floats. */
static inline bool experts_floats(const layer *l) {
    return (int64_t)l->rows * TOP_K >= (int64_t)FLOAT_FROM * EXPERTS;
}

$ end
$ if not up.integers or either or spec.router_input then
/* A block's rows, one after the other. */
static const float *expert_rows(const layer *l, scratch *s, const expert_block *b) {
    const slot *rows = l->slot + b->slot;
    const float *in = ${a.source} + (int64_t)l->first * (MODEL + PAD);
$   if spec.router_input then
    for (int32_t i = 0; i < b->rows; i++) {
        const float *row = in + (int64_t)rows[i].row * (MODEL + PAD);
        add_weighted(s->rows + (int64_t)i * (MODEL + PAD), row, rows[i].weight, MODEL, true);
    }
$   else
    if (b->rows == 1) return in + (int64_t)rows->row * (MODEL + PAD);
    for (int32_t i = 0; i < b->rows; i++)
        memcpy(s->rows + (int64_t)i * (MODEL + PAD), in + (int64_t)rows[i].row * (MODEL + PAD),
               sizeof(float) * MODEL);
$   end
    return s->rows;
}

$ end
$ if up.integers then
/* The same as integers. */
static const integers *expert_ints(const layer *l, scratch *s, const expert_block *b) {
    enum { BLOCKS = ${up.k} / 32 };
$   if spec.router_input then
    const float *from = expert_rows(l, s, b);
    for (int32_t i = 0; i < b->rows; i++)
        for (int32_t k = 0; k < BLOCKS; k++)
            to_integers(from + (int64_t)i * (MODEL + PAD) + 32 * k, s->ints + i * BLOCKS + k);
$   else
    const slot *rows = l->slot + b->slot;
    if (b->rows == 1) return l->ints + (int64_t)rows->row * BLOCKS;
    for (int32_t i = 0; i < b->rows; i++)
        memcpy(s->ints + i * BLOCKS, l->ints + (int64_t)rows[i].row * BLOCKS,
               sizeof(integers) * BLOCKS);
$   end
    return s->ints;
}

$   if not spec.router_input then
${part("block/expert_ints.c", { name = "expert_up_ints_task", what = "Rows of the chunk", k = up.k, rows = "l->some", from = a.source .. " + (int64_t)(l->first + row) * (MODEL + PAD)" })}

$   end
$ end
$ if down.integers then
${part("block/expert_ints.c", { name = "expert_down_ints_task", what = "Hidden rows", k = down.k, rows = "l->some * TOP_K", from = "l->xh + (int64_t)row * X_ROW" })}

$ end
/* [${up.heads} x ${up.n}, ${up.k}] */
static void expert_up_task(void *ctx, int64_t task, int worker) {
    const layer *l = ctx;
    enum { N = ${up.n}, K = ${up.k}, PANELS = ${up.panels} };
    scratch *s = &l->work[worker];
    const expert_block *b = &l->block[task % l->blocks];
$ if either then
    const bool floats = experts_floats(l);
$ end
$ if not up.integers or either then
    const float *from = ${either and "floats ? expert_rows(l, s, b) : NULL" or "expert_rows(l, s, b)"};
$ end
$ if up.integers then
    const integers *ints = ${either and "floats ? NULL : expert_ints(l, s, b)" or "expert_ints(l, s, b)"};
$ end
    const ${U.element} *w = ${U.place("EXPERT_UP")};
    w += (int64_t)b->expert * PANELS * ${U.offset("K")};
    const int32_t per = expert_up_columns(l), first = (int32_t)(task / l->blocks) * per;
    const int32_t end = min32(N, first + per);
    for (int32_t col = first; col < end; col += ${up.wide}) {
        const int32_t cols = min32(${up.wide}, end - col), panels = (cols + NR - 1) / NR;
        const ${U.element} *some = w + (int64_t)(col / NR) * ${U.offset("K")};
        ${part("block/expert_product.c", { m = up, either = either, floats = "from, MODEL + PAD", ints = "ints, K / 32", rows = "b->rows", w = "some" })}
        expert_up_done(l, b, b->rows, col, cols, s->t, (ptrdiff_t)panels * NR);
    }
}

/* --- Second products: some columns of some rows, through all of their experts --- */

static void expert_down_done(const layer *l, int32_t expert, int32_t first, int32_t rows,
                             int32_t col, int32_t cols, float *t, ptrdiff_t ldt) {
$ if not spec.ffn_bias then
    (void)expert;
$ end
    for (int32_t i = 0; i < rows; i++, t += ldt) {
        const slot *at = &l->slot[first + i];
$ if spec.ffn_bias then
        add(t, l->w + EXPERT_DOWN_BIAS_AT + (int64_t)expert * DOWN_BIAS_ROW + col, cols);
$ end
        float *mix = l->mix + (int64_t)at->row * (MODEL + PAD) + col;
        add_weighted(mix, t, ${spec.router_input and "1" or "at->weight"}, cols, at->first);
    }
}

/* The first of an expert's slots whose row is `row` or later. */
static int32_t slot_from(const layer *l, int32_t expert, int32_t row) {
    int32_t low = l->begin[expert], high = l->begin[expert + 1];
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (l->slot[middle].row < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Rows are shared out where columns alone are too few tasks; a single block of rows in narrow ones.
 */
static int32_t expert_down_ranges(const layer *l) {
    const int64_t wide = ${down.blocks};
    const int64_t wanted = (${plan.tasks} * (int64_t)l->call->extent.threads + wide - 1) / wide;
    const int64_t most = (l->some + MB - 1) / MB;
    return (int32_t)(wanted < most ? wanted : most);
}
static int32_t expert_down_columns(const layer *l) {
    const int64_t wide = ${down.blocks} * (int64_t)expert_down_ranges(l);
$ if down.brief < down.wide then
    const int32_t most = l->rows <= FEW_ROWS ? ${down.brief} : ${down.wide};
    return wide < ${plan.tasks} * (int64_t)l->call->extent.threads ? ${down.few} : most;
$ else
    return wide < ${plan.tasks} * (int64_t)l->call->extent.threads ? ${down.few} : ${down.wide};
$ end
}

/* [${down.heads} x ${down.n}, ${down.k}] */
static void expert_down_task(void *ctx, int64_t task, int worker) {
    const layer *l = ctx;
    enum { N = ${down.n}, K = ${down.k}, PANELS = ${down.panels} };
    scratch *s = &l->work[worker];
$ if many and down.integers then
    const bool floats = experts_floats(l);
$ end
    const int32_t ranges = expert_down_ranges(l), range = (int32_t)(task % ranges);
    const int32_t from = (int32_t)((int64_t)l->some * range / ranges);
    const int32_t to = (int32_t)((int64_t)l->some * (range + 1) / ranges);
    const int32_t per = expert_down_columns(l), col = (int32_t)(task / ranges) * per;
    const int32_t cols = min32(per, N - col), panels = (cols + NR - 1) / NR;
    for (int32_t e = 0; e < EXPERTS; e++) {
        const ${D.element} *w = ${D.place("EXPERT_DOWN")};
        w += ((int64_t)e * PANELS + col / NR) * ${D.offset("K")};
        if (l->begin[e] == l->begin[e + 1]) continue;
        const int32_t end = slot_from(l, e, to);
        for (int32_t at = slot_from(l, e, from); at < end; at += MB) {
            const int32_t rows = min32(MB, end - at);
            ${part("block/expert_product.c", { m = down, either = many, floats = "l->xh + (int64_t)at * X_ROW, X_ROW", ints = "l->ints + (int64_t)at * (K / 32), K / 32", rows = "rows", w = "w" })}
            expert_down_done(l, e, at, rows, col, cols, s->t, (ptrdiff_t)panels * NR);
        }
    }
$ if not plan.every_row then
    down_done(l, from, to - from, col, cols, l->mix + (int64_t)from * (MODEL + PAD) + col,
              MODEL + PAD);
$ end
}

static void experts(layer *l) {
    attn_team *const team = l->call->team;
    route(l);
    attn_parallel(team, (l->some + MB - 1) / MB, choose_task, l);
    attn_parallel(team, 1, sort_task, l);
    const int64_t up_columns = expert_up_columns(l), down_columns = expert_down_columns(l);
$ if up.integers and not spec.router_input then
    const int32_t some = (l->some + EXPERT_INT_ROWS - 1) / EXPERT_INT_ROWS;
    ${unless_floats}attn_parallel(team, some, expert_up_ints_task, l);
$ end
    attn_parallel(team, (${up.n} + up_columns - 1) / up_columns * l->blocks, expert_up_task, l);
$ if down.integers then
    const int32_t slots = (l->some * TOP_K + EXPERT_INT_ROWS - 1) / EXPERT_INT_ROWS;
    ${unless_floats}attn_parallel(team, slots, expert_down_ints_task, l);
$ end
    const int64_t ranges = expert_down_ranges(l);
    attn_parallel(team, (${down.n} + down_columns - 1) / down_columns * ranges, expert_down_task, l);
}
