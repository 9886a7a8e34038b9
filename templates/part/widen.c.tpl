$ -- Rows of stored keys and values as f32, for tiles: widened once for all tiles of a query block, those
$ -- of keys just before they are multiplied.
$ -- Where they have scales, what is widened are the values.
$ local layout = hooks(plan.places .. ".c")
$ local W = plan.width
$ local gap = plan.indexed and "\n                    " or " "
$ local function value(loaded) return plan.scaled and "vf_mul(" .. loaded .. ", factor)" or loaded end
$ local factor = plan.scaled and ", float scale" or ""
$ -- The scale of a row, as an argument.
$ local function scale_of(rows, i, step)
$   return plan.scaled and ",\n                    " .. layout.scale(rows, i, step) or ""
$ end
/* A key block that starts here: none of its rows is widened yet. */
static inline void widen_begin(scratch *w, int32_t base) {
    w->has_k = w->has_v = (widened){base, base, base - 1};
}
$ if plan.pairs then

/* A row of K is its pairs as they are stored; the last may be half of one. */
static inline void widen_k_row(float *restrict to, const ${plan.type.k.c} *restrict from) {
    memcpy(to, from, sizeof(*from) * D);
$   if plan.d % 2 > 0 then
    memset((char *)to + sizeof(*from) * D, 0, sizeof(*from));
$   end
}

/* V's rows of two keys are one of pairs. n columns of one, up to a vector, go to their half; other:
 * whether the other half is there already, else it is 0. */
static ATTN_INLINE void add_half(float *to, const ${plan.type.v.c} *from, int32_t n, int32_t second,
                                 bool other) {
    const vi row = n >= W ? vi_loadu_u16(from) : vi_loadn_u16(from, n);
    const vi half = vi_shl(row, vi_set1(16 * second));
    const vf was = other ? vf_loadu(to) : vf_zero();
    vf_storeu(to, vf_bits(vi_or(vi_bits(was), half)));
}

/* The values of key `at` of a block. */
static inline void widen_v_row(float *restrict to, const ${plan.type.v.c} *restrict from, int32_t at,
                               bool other) {
    to += at / 2 * DVP;
    for (int32_t d = 0; d < DV; d += W) add_half(to + d, from + d, DV - d, at % 2, other);
}
$ end
$ for _, name in ipairs(plan.pairs and {} or { "k", "v" }) do
$   local type = plan.type[name]
$   local width = name == "k" and plan.d or plan.dv
$   local main = name == "k" and plan.d_whole or plan.dv_whole
$   local rest = "vf_loadn" .. type.suffix .. "(" .. at("from", main) .. ", " .. width - main .. ")"

static inline void widen_${name}_row(float *restrict to, const ${type.c} *restrict from${factor}) {
$   if plan.scaled then
    const vf factor = vf_set1(scale);
$   end
$   if main > 0 then
    for (int d = 0; d < ${main}; d += W) vf_storeu(to + d, ${value("vf_loadu" .. type.suffix .. "(from + d)")});
$   end
$   if main < width and name == "k" then
    vf_storen(${at("to", main)}, ${value(rest)}, ${width - main});
$   elseif main < width then
    vf_storeu(${at("to", main)}, ${value(rest)});
$   end
}
$ end

/* The keys from `first` on come next; returns where in w->k their rows will stand. k stands at key
 * 0. */
static float *widen_from(const item *x, ${plan.scaled and "const tile *t, " or ""}scratch *w, ${layout.rows(plan.type.k.c)}k, int32_t first) {
    const ptrdiff_t ldk = ${layout.k_step("x->args->k.")};
$ if plan.scaled then
    w->k_scales = ${layout.held_scales("k_scales(x, t->head[0], 0)", "w")};
    w->k_scale_step = ${layout.scale_step("x->args->k_scale.")};
$ end
    widened *has = &w->has_k;
    if (has->first > has->last) has->first = first, has->last = first - 1;
    for (; has->first > first; has->first--)
        widen_k_row(w->k + (has->first - 1 - has->base) * ${plan.dk_name},${gap}${layout.k_at("k", "(has->first - 1)", "ldk")}${scale_of("w->k_scales", "(has->first - 1)", "w->k_scale_step")});
    w->k_rows = k, w->k_step = ldk, w->k_first = first;
    return w->k + (first - has->base) * ${plan.dk_name};
}

/* The rows of n of those keys are there; the next ones are asked for. */
static ATTN_INLINE void widen_k(scratch *w, int32_t n) {
    widened *has = &w->has_k;
    const int32_t last = w->k_first + n - 1;
    for (int32_t key = has->last + 1; key <= last; key++) {
        for (int d = 0; d < D; d += ${plan.type.k.line})
            ATTN_PREFETCH_L1(${layout.ahead("w->k_rows", "(key + " .. plan.widen_ahead .. ")", "w->k_step")} + d * sizeof(${plan.type.k.c}));
        widen_k_row(w->k + (key - has->base) * ${plan.dk_name}, ${layout.k_at("w->k_rows", "key", "w->k_step")}${scale_of("w->k_scales", "key", "w->k_scale_step")});
    }
    has->last = max32(has->last, last);
}

$ local widens = false
$ for _, tile in ipairs(plan.tile) do widens = widens or tile.widens > 0 end
$ if widens then
/* While those keys at .. at + n - 1 are multiplied the next n are to be widened, if all are before
 * `end`. from: where they are stored; returns where to. Where nothing is to do that is the keys
 * themselves, to where nobody reads. */
static ATTN_INLINE float *widen_next(scratch *w, int32_t at, int32_t end, int32_t n,
                                     const ${plan.type.k.c} **from) {
    widened *has = &w->has_k;
    const int32_t key = w->k_first + at, next = key + n;
    const bool wanted = at + 2 * n <= end && has->last == next - 1;
    for (int32_t i = 0; i < n; i++) {
        const int32_t source = (wanted ? next : key) + i;
        from[i] = ${layout.k_at("w->k_rows", "source", "w->k_step")};
    }
    if (wanted) has->last += n;
    return wanted ? w->k + (next - has->base) * ${plan.dk_name} : w->edge;
}

$ end
/* Puts the values of the keys first..last to w->v; v stands at key 0. */
static void widen_v(const item *x, ${plan.scaled and "const tile *t, " or ""}scratch *w, ${layout.rows(plan.type.v.c)}v,${plan.scaled and "\n                    " or " "}int32_t first, int32_t last) {
    const ptrdiff_t ldv = ${layout.v_step("x->args->v.")};
$ if plan.scaled then
    ${layout.scales}scale = ${layout.held_scales("v_scales(x, t->head[0], 0)", "w")};
    const ptrdiff_t step = ${layout.scale_step("x->args->v_scale.")};
$ end
    widened *has = &w->has_v;
    if (has->first > has->last) has->first = first, has->last = first - 1;
$ if plan.pairs then
    for (; has->first > first; has->first--) {
        const int32_t key = has->first - 1, at = key - has->base;
        widen_v_row(w->v, ${layout.v_at("v", "key", "ldv")}, at, at % 2 == 0 && key < has->last);
    }
    for (; has->last < last; has->last++) {
        const int32_t key = has->last + 1, at = key - has->base;
        widen_v_row(w->v, ${layout.v_at("v", "key", "ldv")}, at, at % 2 == 1 && key > has->first);
    }
$ else
    for (; has->first > first; has->first--)
        widen_v_row(w->v + (has->first - 1 - has->base) * DVP,${gap}${layout.v_at("v", "(has->first - 1)", "ldv")}${scale_of("scale", "(has->first - 1)", "step")});
    for (; has->last < last; has->last++)
        widen_v_row(w->v + (has->last + 1 - has->base) * DVP,${gap}${layout.v_at("v", "(has->last + 1)", "ldv")}${scale_of("scale", "(has->last + 1)", "step")});
$ end
}
