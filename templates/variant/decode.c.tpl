$ -- Variant decode: few rows, and the keys in parts that run side by side.
$ local layout = hooks(plan.places .. ".c")
$ local engine = hooks("engine/" .. isa.engine .. ".c")
$ local Q, QT = plan.type.q.suffix, plan.type.q.c
$ local KR, VR = layout.rows(plan.type.k.c), layout.rows(plan.type.v.c)
$ local k_step, v_step = layout.k_step("k->"), layout.v_step("v->")
$ local first, last = "s->first", "s->last" -- rows see all between
$ if plan.scattered then first, last = "0", "-1" end
$ local asks = #plan.dots > 0 -- tiles of prefill ask for their own rows
$ local again = false -- some tile asks for rows twice
$ for _, dot in ipairs(plan.dots) do again = again or dot.again end
$ local ask_names = asks and (again and ", ask, soon" or ", ask") or ""
$ local ask_params = ask_names:gsub(", ", ", const lines ")
$ if a.section == "sizes" then
PART = ${plan.part_keys}, /* keys a part of a split-key run */
DECODE_Q = ${plan.decode_q}, /* most query rows that run as decode */
$   if #plan.dots > 0 then
DOT_MOST = ${plan.dot_most}, /* most rows of a group that run as dot products, */
DOT_ROWS = ${plan.dots[#plan.dots].rows}, /* that many a tile; such tiles take turns: */
TURN = ${plan.turn_keys}, /* keys of a turn */
AHEAD = ${plan.dot_ahead}, /* rows of K and of V that are asked for before their turn */
$   end
$ elseif a.section == "members" then
float *partial;       /* decode: of each item [group][part][row] of m, l and o */
$   if plan.scattered then
int32_t *part;        /* decode: [batch][part] which parts an item sees, ascending */
$   end
int32_t parts;        /* decode: parts of an item at most */
int32_t span;         /* decode: groups a task takes */
$ elseif a.section == "code" then
$   for _, dot in ipairs(plan.dots) do
${part(plan.codes and "part/integer.c" or "part/dot.c", { dot = dot })}

$   end
/* --- decode: few query rows, keys split in fixed parts that are merged in order --- */

/* Partial results of one row over one part. */
typedef struct partial {
    float *m, *l, *o; /* o: DVP */
} partial;

/* slot: which of the item's parts. */
static partial partial_of(const call *c, int32_t b, int32_t g, int32_t slot, int32_t row) {
    const share *s = &c->share[b];
    const int64_t i = s->before + ((int64_t)g * s->parts + slot) * s->rows + row;
    float *p = c->partial + i * (DVP + 16);
    return (partial){p + DVP, p + DVP + 1, p};
}

/* How an item's rows go through a part: by its own number of rows alone. */
typedef struct pace {
    int32_t rows;      /* query rows of a group */
    int32_t tile_rows; /* rows of a tile, */
    int32_t turn;      /* keys of its turn, */
$ if asks then
    int32_t ahead;     /* and keys by which rows are asked for before */
$ end
} pace;

static pace pace_of(const call *c, const item *x) {
    pace p = {.rows = x->rows * GROUP, .tile_rows = ROWS, .turn = BK};
$ if asks then
    /* Two turns in one while two of them, K and V of all heads, are little beside L2. */
    const int turns = c->span > 1 && c->span <= 8 ? 2 : 1;
    if (p.rows <= DOT_MOST) p.tile_rows = DOT_ROWS, p.turn = turns * TURN;
    p.ahead = max32(1, AHEAD / (p.turn * c->span)) * p.turn;
$ else
    (void)c;
$ end
    return p;
}

$ if #plan.dots > 0 then
${part("part/dot_rows.c")}

$ end
/* A tile of a group's rows from this one on, for the keys k0..k1. */
static void decode_begin(const item *x, const pace *p, tile *t, int32_t group, int32_t from,
                         int32_t k0, int32_t k1) {
    t->rows = min32(p->tile_rows, p->rows - from);
    for (int32_t r = 0; r < t->rows; r++) {
        t->head[r] = group * GROUP + (from + r) % GROUP;
        t->row[r] = (from + r) / GROUP;
    }
    tile_begin(x, t);
    if (leaves_gaps(x)) {
        if (!tile_sees(x, t, &k0, &k1)) k0 = INT32_MAX, k1 = -1;
        tile_clip(t, k0, k1);
    }
    if (t->first > k1 || t->last < k0) return;
$ if plan.has_mask then
    if (tile_class(x, t, max32(t->first, k0), min32(t->last, k1)) == ATTN_TILE_NONE) {
        tile_clip(t, INT32_MAX, -1);
        return;
    }
$ end
$ for _, dot in ipairs(plan.dots) do
    if (t->rows <= ${dot.rows}) {
        dot_begin(x, t, ${dot.rows}, ${dot.lanes});
        return;
    }
$ end
    tile_pack(x, t);
}

/* Keys k0..k1 of a tile; k and v stand at key 0.${asks and (again and " ask, soon" or " ask") .. ": what to ask for meanwhile." or ""} */
static void decode_keys(const item *x, tile *t, scratch *w, int32_t k0, int32_t k1, ${KR}k,
                        ${VR}v${ask_params}) {
$ for _, dot in ipairs(plan.dots) do
    if (t->rows <= ${dot.rows}) {
        dot_${dot.rows}(x, t, w, k0, k1, k, v, ask${dot.again and ", soon" or ""});
        return;
    }
$ end
$ if asks then
    (void)ask${again and ", (void)soon" or ""};
$ end
$ if plan.widen then
    for (int64_t at = k0; at <= k1; at += BK) {
        values rows = {w->v, 1, DVP, DVP, (int32_t)at};
$   if plan.latent then
        /* Keys and values are the same rows: once widened they serve as both. */
        if (${layout.one("v", "k")} && ${layout.v_step("x->args->v.")} == ${layout.k_step("x->args->k.")})
            rows = (values){w->k, 1, D, D, (int32_t)at};
$   end
        widen_begin(w, (int32_t)at);
        tile_run(x, t, w, (int32_t)at, (int32_t)min64(at + BK - 1, k1), k, v, &rows, true);
    }
$ else
    const ptrdiff_t ldv = ${layout.v_step("x->args->v.")};
    const values as_rows = {${layout.first("v")}, 1, ldv, ldv, 0};
    for (int64_t at = k0; at <= k1; at += BK)
        tile_run(x, t, w, (int32_t)at, (int32_t)min64(at + BK - 1, k1), k, &as_rows, true);
$ end
}

/* What a tile has found out about one part. */
static void decode_end(const call *c, tile *t, int32_t b, int32_t g, int32_t slot,
                       int32_t row) {
    _Alignas(64) float l[ROWS];
    memcpy(l, t->l, sizeof l);
    const float *o = tile_sum(t);
$ for i, dot in ipairs(plan.dots) do
    ${i > 1 and "else " or ""}if (t->rows <= ${dot.rows}) vf_store(l, vf_stride_add(vf_load(l), ${dot.lanes}));
$ end
    for (int32_t r = 0; r < t->rows; r++) {
        const partial p = partial_of(c, b, g, slot, row + r);
        *p.m = t->m[r];
        *p.l = l[r];
        if (l[r] != 0) memcpy(p.o, o + r * DVP, sizeof(float) * DVP);
$ if plan.codes and plan.codes.v_whole > 0 then
        if (l[r] != 0 && t->rows <= DOT_ROWS) order_columns(p.o);
$ end
$ if plan.pair_dv > 0 then
        if (l[r] == 0 || t->rows > DOT_ROWS) continue;
        for (int32_t d = 0; d < ${plan.pair_dv}; d += 2 * W) vf_join(p.o + d);
$ end
    }
}

$ if asks then
/* What lies `ahead` keys after key `at` of the j-th of the groups from g on: as many rows as a turn
 * has, in the order in which they lie. Past the last key it is rows of the next groups, whose
 * ranges are taken to be like this one. */
static lines lines_ahead(const call *c, const item *x, const pace *p, const tile *t, int32_t g,
                         int32_t j, int64_t at, int32_t ahead) {
    const attn_view *k = &c->args->k, *v = &c->args->v;
    /* Whole turns; at least one, since a tile that sees nothing has no turn. */
    const int64_t begin = t->first / p->turn * p->turn;
    const int64_t end = ((int64_t)t->last / p->turn + 1) * p->turn;
    int64_t key = at + ahead;
    int32_t b = x->b;
    if (key >= end) {
        key = begin + (key - end) % (end - begin);
        g += c->span;
        if (g >= GROUPS) g = 0, b++;
        if (b == c->args->batch) b = x->b; /* nothing comes: of no use, but no harm */
    }
$ if layout.page and not plan.scattered then
    const share *s = &c->share[b];
    const int32_t first = s->first, last = s->holes ? -1 : s->last;
$ end
$ local first, last = plan.scattered and "0" or "first", plan.scattered and "-1" or "last"
    ${KR}k0 = ${layout.k_rows("k->", "b", "key_head(g * GROUP)", "c->args", first, last)};
    ${VR}v0 = ${layout.v_rows("v->", "b", "value_head(g * GROUP)", "c->args", first, last)};
    const lines tokens = {${layout.ahead("k0", "key", k_step)}, ${layout.ahead("v0", "key", v_step)},
                          ${k_step}, ${v_step}};
    if (c->span == 1) return tokens;
    const int32_t heads = min32(c->span, GROUPS - g), row = j * p->turn;
    lines ask = lines_from(tokens, row / heads);
    ask.k_step = ${layout.head_step("k->")}, ask.v_step = ${layout.head_step("v->")};
    return lines_from(ask, row % heads);
}

/* Keys from `at` on, up to k1 at most, before what lies ahead of them becomes another group's. */
static int64_t run_length(const pace *p, const tile *t, int64_t at, int32_t k1) {
    const int64_t end = ((int64_t)t->last / p->turn + 1) * p->turn;
    int64_t rest = end - p->ahead - at;
    if (rest <= 0) rest = end - p->turn - at;
$ if layout.page then
    /* What is asked for lies in one page; past the last key wherever it may. */
    if (at + p->ahead < end) rest = min64(rest, page_rest(at + p->ahead));
$   if again then
    rest = min64(rest, page_rest(at + p->turn));
$   end
    if (rest < p->turn) rest = p->turn;
$ end
    rest = rest / p->turn * p->turn;
    return rest > 0 ? min64(rest, k1 - at + 1) : k1 - at + 1;
}

$ end
/* The rows of c->span groups of heads over one part of the keys. Several tiles take turns, a few
 * keys each, so that they find in cache what they share, and so that memory is read as it lies
 * where the heads of a token lie side by side. */
static void decode_task(void *ctx, int64_t task, int worker) {
    const call *c = ctx;
    const attn_view *kv = &c->args->k, *vv = &c->args->v;
    scratch *w = &c->work[worker];
    const int32_t b = item_of_task(c, &task);
    const share *s = &c->share[b];
    const int32_t slot = (int32_t)(task % s->parts);
    const int32_t g0 = (int32_t)(task / s->parts) * c->span;
    const item x = item_of(c, b);
    const pace p = pace_of(c, &x);
    const int32_t k0 = part_at(c, b, slot) * PART, k1 = k0 + min32(PART, x.kv_len - k0) - 1;
    const int32_t count = min32(c->span, GROUPS - g0);
    ${KR}k[TILES];
    ${VR}v[TILES];
$ if plan.holes then
    w->held = s->holes;
    if (s->holes) hold_pages(&x, w, 0, x.rows, k0, k1);
$ end
    for (int32_t i = 0; i < count; i++) {
        k[i] = ${layout.k_rows("kv->", "b", "key_head((g0 + i) * GROUP)", "c->args", first, last)};
        v[i] = ${layout.v_rows("vv->", "b", "value_head((g0 + i) * GROUP)", "c->args", first, last)};
$ if plan.holes then
        k[i] = ${layout.held("k[i]", "w")};
        v[i] = ${layout.held("v[i]", "w")};
$ end
    }

    ${engine.begin()}
    /* As many tiles of each group as there is room for. */
    const int32_t most = max32(1, TILES / count) * p.tile_rows;
    for (int32_t row = 0; row < p.rows; row += most) {
        const int32_t rows = min32(most, p.rows - row);
        const int32_t tiles = (rows + p.tile_rows - 1) / p.tile_rows; /* of a group */
        for (int32_t i = 0; i < count * tiles; i++)
            decode_begin(&x, &p, &w->t[i], g0 + i / tiles, row + i % tiles * p.tile_rows, k0, k1);
        int64_t n = p.turn;
        for (int64_t at = k0; at <= k1; at += n) {
$ if asks then
            if (count * tiles == 1) n = run_length(&p, &w->t[0], at, k1);
$ end
            const int32_t from = (int32_t)at, end = (int32_t)min64(at + n - 1, k1);
            for (int32_t i = 0; i < count * tiles; i++) {
                tile *t = &w->t[i];
                const int32_t j = i / tiles;
                if (t->first > end || t->last < from) continue;
$ if asks then
                const lines ask = lines_ahead(c, &x, &p, t, g0, j, at, p.ahead);
$ end
$ if again then
                /* A turn of many heads does not fit L1: they ask for what is there. */
                const lines none = {(uintptr_t)t->q, (uintptr_t)t->q, 0, 0};
                const lines soon = c->span > 1 ? none
                                               : lines_ahead(c, &x, &p, t, g0, 0, at, p.turn);
$ end
                decode_keys(&x, t, w, from, end, k[j], v[j]${ask_names});
            }
        }
        for (int32_t i = 0; i < count * tiles; i++)
            decode_end(c, &w->t[i], b, g0 + i / tiles, slot, row + i % tiles * p.tile_rows);
    }
    ${engine.finish()}
}

/* Merges the parts of the rows of one group, first to last. */
static void merge_task(void *ctx, int64_t task, int worker) {
    const call *c = ctx;
    float *o = c->work[worker].t[0].kept, *lost = c->work[worker].t[0].lost;
    const int32_t b = item_of_task(c, &task), g = (int32_t)task;
    const item x = item_of(c, b);
    const int32_t parts = c->share[b].parts, rows = x.rows * GROUP;
    for (int32_t row = 0; row < rows; row++) {
        float m = NO_MAX;
        double l = 0;
        for (int32_t i = 0; i < parts; i++) m = fmaxf(m, *partial_of(c, b, g, i, row).m);
        memset(o, 0, sizeof(float) * DVP);
        memset(lost, 0, sizeof(float) * DVP);
        for (int32_t i = 0; i < parts; i++) {
            const partial p = partial_of(c, b, g, i, row);
            if (*p.l == 0) continue;
            const vf f = vf_exp2_softmax(vf_set1(*p.m - m));
            _Alignas(64) float factor[W];
            vf_store(factor, f);
            l += (double)*p.l * factor[0];
            keep_row(o, lost, vf_set1(1.0f), p.o, f);
        }
        finish_row(&x, g * GROUP + row % GROUP, row / GROUP, m, l, o);
    }
}
$ elseif a.section == "bounds" then
/* Parts that so many rows of an item see, at most. */
static int32_t most_parts(int32_t rows, int32_t kv_len_max) {
$   if plan.scattered then
    enum { A_ROW = ${plan.row_parts} };
    return (int32_t)min64(attn_runs(kv_len_max, kv_len_max, PART), (int64_t)rows * A_ROW);
$   else
    return attn_runs(most_keys(rows, kv_len_max), kv_len_max, PART);
$   end
}
$ elseif a.section == "tasks" then
const int32_t few = min32(e->q_len, DECODE_Q);
const uint64_t parts = (uint64_t)max32(1, most_parts(few, e->kv_len_max));
const uint64_t decode = attn_times(items * GROUPS, parts);
$ elseif a.section == "places" then
/* Never less than a shorter call needs: a decode run's partial results come with any. */
const int32_t few = min32(e->q_len, DECODE_Q);
c->parts = most_parts(few, e->kv_len_max);
$   if plan.scattered then
c->part = attn_carve(base, &bytes, attn_times(items * (uint64_t)c->parts, sizeof(int32_t)));
$   end
const uint64_t fewest = items * (uint64_t)few < all ? items * (uint64_t)few : all;
const uint64_t rows = attn_times(fewest * HEADS, (uint64_t)c->parts);
const uint64_t partials = attn_times(rows, (DVP + 16) * sizeof(float));
$ elseif a.section == "runner" then
/* Each item's partial results lie after the others'. */
static void place_partials(const call *c) {
    int64_t before = 0;
    for (int32_t b = 0; b < c->args->batch; b++) {
        share *s = &c->share[b];
        if (!s->decode) continue;
        s->before = before;
        s->rows = item_of(c, b).rows * GROUP;
        before += (int64_t)GROUPS * s->parts * s->rows;
    }
}

/* Groups a task, few enough to keep the threads busy. */
static int32_t decode_span(int64_t parts, int threads) {
    int32_t span = min32(GROUPS, TILES);
    while (span > 1 && threads > 1 && parts * ((GROUPS + span - 1) / span) < 4 * (int64_t)threads)
        span = (span + 1) / 2;
    return span;
}

/* The items of few rows: parts of their keys, merged in order. */
static void run_decode(call *c) {
    const attn_args *args = c->args;
    const int threads = max32(1, args->threads);
    place_partials(c);
    const bool by_token = ${layout.head_step("args->k.")} < ${layout.k_step("args->k.")};
    c->span = by_token ? decode_span(number_tasks(c, (weights){.part = 1}), threads) : 1;
    const int32_t sets = (GROUPS + c->span - 1) / c->span;
    attn_parallel(c->team, number_tasks(c, (weights){.part = sets}), decode_task, c);
    attn_parallel(c->team, number_tasks(c, (weights){.few = GROUPS}), merge_task, c);
}
$ elseif a.section == "run" then
if (c.few > 0) run_decode(&c);
$ end
