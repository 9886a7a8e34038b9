$ -- Variant gather: a row sees at most KEYS consecutive keys: one dot product each, no tiles, no packing.
$ local layout = hooks(plan.places .. ".c")
$ local Q, QT = plan.type.q.suffix, plan.type.q.c
$ if plan.rotate then Q, QT = "", "float" end -- rotated rows
$ local K, KT = plan.type.k.suffix, plan.type.k.c
$ local V, VT = plan.type.v.suffix, plan.type.v.c
$ local O, OT = plan.type.o.suffix, plan.type.o.c
$ local KR, VR = layout.rows(plan.type.k.c), layout.rows(plan.type.v.c)
$ local W, G = plan.width, plan.gather_keys
$ local main, lanes, batch = plan.d_whole, plan.gather_lanes, plan.gather_batch
$ if a.section == "sizes" then
KEYS = ${plan.gather_keys}, /* most keys that a row sees: few enough to unroll */
$ elseif a.section == "scratch" then
/* What a thread works in: the scores of one row. */
typedef struct scratch {
    _Alignas(64) float s[${lanes}];
} scratch;
$ elseif a.section == "code" then
/* --- gather: a row's few keys, unrolled --- */

/* An average of the largest floats, rounded up, is no infinity. */
static inline vf in_range(vf o) {
    const vf most = vf_set1(0x1.fffffep127f);
    return vf_max(vf_neg(most), vf_min(most, o));
}

static void gather_row(const item *x, scratch *w, int32_t h, int32_t i, ${KR}k,
                       ${VR}v) {
    const attn_args *args = x->args;
    const ptrdiff_t ldk = ${layout.k_step("args->k.")}, ldv = ${layout.v_step("args->v.")};
    float *s = w->s;
    int32_t lo, hi;
    row_range(x, i, &lo, &hi);
    if (lo > hi) {
        finish_scale(x, h, i, NO_MAX, 0);
        memset(output_row(x, h, i), 0, sizeof(${OT}) * DV);
        return;
    }
    const int32_t n = hi - lo + 1;
$ if plan.rotate then
    _Alignas(64) float q[D];
    rotated_row(x, h, i, 1, q, 1);
$ else
    const ${QT} *q = query_row(x, h, i);
$ end
$ if plan.scaled then
    ${layout.scales}ks = k_scales(x, h, lo), ${layout.scales_too}vs = v_scales(x, h, lo);
    const ptrdiff_t ks_step = ${layout.scale_step("args->k_scale.")}, vs_step = ${layout.scale_step("args->v_scale.")};
$ end
    ${KR}k0 = ${layout.k_from("k", "lo", "ldk")};
$ for _, strip in ipairs(plan.gather_strips) do
    {
$   local first, keys, few = strip.from, strip.keys, strip.few
        vf a[${few and keys or "W"}];
$   for i = keys, few and 0 or W - 1 do
        a[${i}] = vf_zero();
$   end
$   for some = 0, keys - 1, batch do
$     local count = math.min(batch, keys - some)
        {
$     for i = 0, count - 1 do
            const ${KT} *r${i} = ${layout.k_at("k0", "min32(" .. first + some + i .. ", n - 1)", "ldk")};
$     end
$     for i = 0, count - 1, 4 do
            vf ${list(math.min(4, count - i), function(j) return "a" .. i + j .. " = vf_zero()" end)};
$     end
$     if main > 0 then
            for (int d = 0; d < ${main}; d += W) {
                const vf z = vf_loadu${Q}(q + d);
$       for i = 0, count - 1 do
                a${i} = vf_fma(z, vf_loadu${K}(r${i} + d), a${i});
$       end
            }
$     end
$     if main < plan.d then
            const vf z = vf_loadn${Q}(${at("q", main)}, ${plan.d - main});
$       for i = 0, count - 1 do
            a${i} = vf_fma(z, vf_loadn${K}(r${i} + ${main}, ${plan.d - main}), a${i});
$       end
$     end
$     for i = 0, count - 1 do
            a[${some + i}] = a${i};
$     end
        }
$   end
        vf_store(${at("s", first)}, vf_mul(${few and "vf_sums_few(a, " .. keys .. ")" or "vf_sums(a)"}, vf_set1(${f32(plan.q_scale)})));
    }
$ end
    const int32_t pos = (int32_t)(uint32_t)attn_row_position(x, i);
$ if plan.bias then
    _Alignas(64) float bias[${lanes}];
    const bool biased = args->mask.type != ATTN_MASK_NONE;
    if (biased) {
        const attn_mask_row mask = attn_mask_at(&args->mask, x->b, h, i);
        for (int32_t j = 0; j < ${lanes}; j++)
            bias[j] = j < n ? attn_mask_value(&mask, lo + j) : 0;
    }
$ end
    const uint8_t *padding = item_padding(x);
    vf top = vf_set1(NO_MAX);
    for (int32_t j = 0; j < ${lanes}; j += W) {
        const vi vk = vi_add(vi_set1(lo + j), vi_iota());
        vf z = vf_load(s + j);
$ if plan.scaled then
        z = vf_mul(z, scale_lanes(ks, ks_step, j, n, 1));
$ end
$ if spec.softcap then
        cap_scores(&z, 1);
$ end
        z = adjust_lanes(x, z, vk, vk, vi_set1(pos), vi_set1(h), vi_set1(lo), vi_set1(hi),
                         ${plan.bias and "biased ? bias + j : NULL" or "NULL"}, true);
        vf_store(s + j, z);
    }
    if (padding)
        for (int32_t j = 0; j < n; j++)
            if (padding[lo + j]) s[j] = -INFINITY;
    for (int32_t j = 0; j < ${lanes}; j += W) top = vf_max(vf_load(s + j), top);
    const float m = vf_reduce_max(top);
    vf sum = vf_zero();
    for (int32_t j = 0; j < ${lanes}; j += W) {
        const vf p = vf_exp2_softmax(vf_sub(vf_load(s + j), vf_set1(m)));
        vf_store(s + j, p);
        sum = vf_add(sum, p);
    }
    const float l = vf_reduce_add(sum);
    if (lost_scores(x, l, lo, hi)) {
        attn_reference_row(
            &${plan.symbol},
            args, x->b, h, i);
        return;
    }
    const float inv = finish_scale(x, h, i, m, l);
    /* Keys past the last one repeat it, with P = 0. */
$ for j = 0, G - 1 do
    const ${VT} *v${j} = ${layout.v_at("v", "(lo + min32(" .. j .. ", n - 1))", "ldv")};
    const vf p${j} = vf_set1(s[${j}] * inv${plan.scaled and " * " .. layout.scale("vs", "min32(" .. j .. ", n - 1)", "vs_step") or ""});
$ end
    ${OT} *to = output_row(x, h, i);
$ local whole = plan.dv_whole
$ if whole > 0 then
    for (int32_t c = 0; c < ${whole}; c += W) {
        vf o = vf_mul(p0, vf_loadu${V}(v0 + c));
$   for j = 1, G - 1 do
        o = vf_fma(p${j}, vf_loadu${V}(v${j} + c), o);
$   end
        vf_storeu${O}(to + c, in_range(o));
    }
$ end
$ if whole < plan.dv then
    vf o = vf_mul(p0, vf_loadn${V}(${at("v0", whole)}, ${plan.dv - whole}));
$   for j = 1, G - 1 do
    o = vf_fma(p${j}, vf_loadn${V}(v${j} + ${whole}, ${plan.dv - whole}), o);
$   end
    vf_storen${O}(${at("to", whole)}, in_range(o), ${plan.dv - whole});
$ end
}

enum { GATHER_ROWS = ${plan.gather_rows} }; /* query rows a task */

static inline int64_t gather_chunks(int64_t rows) {
    return (rows + GATHER_ROWS - 1) / GATHER_ROWS;
}

/* Rows of all items, and those of the items before one. */
static inline int64_t rows_before(const attn_args *args, int32_t b) {
    return args->q_begin ? args->q_begin[b] - (int64_t)args->q_begin[0] : b * (int64_t)args->q_len;
}

/* The item of one of them. */
static int32_t item_of_row(const attn_args *args, int64_t row) {
    int32_t b = 0, end = args->batch; /* the item is b..end - 1 */
    while (end - b > 1) {
        const int32_t middle = b + (end - b) / 2;
        if (rows_before(args, middle) <= row)
            b = middle;
        else
            end = middle;
    }
    return b;
}

/* The rows from .. to - 1 of an item and head, of those that exist. */
static void gather_rows(const call *c, scratch *w, int32_t b, int32_t h, int32_t from, int32_t to) {
    const attn_args *args = c->args;
    const item x = item_of(c, b);
    ${KR}k = ${layout.k_rows("args->k.", "b", "key_head(h)", "args")};
    ${VR}v = ${layout.v_rows("args->v.", "b", "value_head(h)", "args")};
    for (int32_t i = from; i < min32(to, x.rows); i++) gather_row(&x, w, h, i, k, v);
}

static void gather_task(void *ctx, int64_t task, int worker) {
    const call *c = ctx;
    const attn_args *args = c->args;
    scratch *w = &c->work[worker];
    const int64_t rows = rows_before(args, args->batch), chunks = gather_chunks(rows);
    const int32_t h = (int32_t)(task / chunks);
    int64_t row = task % chunks * GATHER_ROWS;
    const int64_t end = row + GATHER_ROWS < rows ? row + GATHER_ROWS : rows;
    for (int32_t b = item_of_row(args, row); row < end; b++) {
        const int64_t first = rows_before(args, b), next = rows_before(args, b + 1);
        const int64_t to = next < end ? next : end;
        gather_rows(c, w, b, h, (int32_t)(row - first), (int32_t)(to - first));
        row = to;
    }
}
$ elseif a.section == "tasks" then
(void)items;
return attn_times(HEADS, (uint64_t)gather_chunks((int64_t)rows));
$ elseif a.section == "run" then
const int64_t chunks = gather_chunks(rows_before(args, args->batch));
attn_parallel(team, HEADS * chunks, gather_task, &c);
$ end
