$ -- Few rows: dot products along the head width, W sums at a time (keys x rows), reduced together.
$ local W, R = plan.width, a.rows
$ local N = W // R
$ local main = plan.d // W * W
$ local vectors = plan.dvp // W
$ local C = math.min(2, vectors)
$ local strips = vectors // C
$ local rest = vectors - strips * C
$ local partial = plan.dv % W
$ local KEYS = math.max(plan.dot_keys, N)
$ local line = 16 -- floats of a cache line
/* ${R} row${R > 1 and "s" or ""} of a tile over the keys k0..k1, ${KEYS} at a time; k and v stand at key 0. Every line is
 * asked for ahead, in the order in which it lies: V rows while their keys are multiplied, the next
 * keys while V is. */
static void dot_${R}(const item *x, tile *t, scratch *w, int32_t k0, int32_t k1, const float *k,
                  const float *v) {
    const ptrdiff_t ldk = x->args->k.token, ldv = x->args->v.token;
    enum { KEYS = ${KEYS}, DP = (D + W - 1) / W * W };
    const int32_t first = max32(k0, t->first), last = min32(k1, t->last);
    const float *q = t->q;
    float *s = w->s;
    /* Lane l of a score vector is key l / ${R}, row l % ${R}. */
    _Alignas(64) int32_t lane[5][W];
    _Alignas(64) float state[2][W];
    for (int i = 0; i < W; i++) {
        const int r = i % ${R};
        lane[0][i] = i / ${R}, lane[1][i] = t->pos[r], lane[2][i] = t->head[r];
        lane[3][i] = t->lo[r], lane[4][i] = t->hi[r];
        state[0][i] = t->m[r];
    }
    vf m = vf_load(state[0]), l = vf_zero();
    const vi ahead = vi_load(lane[0]);

    for (int32_t block = first; block <= last; block += KEYS) {
        const int32_t n = min32(KEYS, last - block + 1);
        bool masked = block < t->all_first || block + n - 1 > t->all_last ||
                      has_padding(x, block, n);
$ if plan.has_mask then
        const attn_tile_class class = tile_class(x, t, block, block + n - 1);
        if (class == ATTN_TILE_NONE) continue;
        masked |= class == ATTN_TILE_SOME;
$ end
        for (int32_t key = 0; key < n; key += ${N}) {
$ for i = 0, N - 1 do
            const float *k${i} = k + (block + min32(key + ${i}, n - 1)) * ldk;
            const float *v${i} = v + (block + min32(key + ${i}, n - 1)) * ldv;
$ end
$ for i = 0, N - 1 do
            for (int d = 0; d < DV; d += ${line}) ATTN_PREFETCH_L1(v${i} + d);
$ end
$ for i = 0, N - 1 do
            vf ${list(R, function(j) return "a" .. i .. "_" .. j .. " = vf_zero()" end)};
$ end
$ local step = main % line == 0 and line or W
$ if main > 0 then
            for (int d = 0; d < ${main}; d += ${step}) {
$   for u = 0, step - W, W do
$     local off = u > 0 and " + " .. u or ""
                {
$     for j = 0, R - 1 do
                    const vf q${j} = vf_load(q + ${j} * DP + d${off});
$     end
$     for i = 0, N - 1 do
                    const vf b${i} = vf_loadu(k${i} + d${off});
$       for j = 0, R - 1 do
                    a${i}_${j} = vf_fma(b${i}, q${j}, a${i}_${j});
$       end
$     end
                }
$   end
            }
$ end
$ if main < plan.d then
            {
$   for j = 0, R - 1 do
                const vf q${j} = vf_load(q + ${j} * DP + ${main});
$   end
$   for i = 0, N - 1 do
                const vf b${i} = vf_loadn(k${i} + ${main}, ${plan.d - main});
$     for j = 0, R - 1 do
                a${i}_${j} = vf_fma(b${i}, q${j}, a${i}_${j});
$     end
$   end
            }
$ end
            const vf a[W] = {
                ${wrap(list(W, function(i) return "a" .. i // R .. "_" .. i % R end))}
            };
            vf_store(s + key * ${R}, vf_sums(a));
        }
$ if plan.bias then
        const bool biased = x->args->mask.type != ATTN_MASK_NONE;
        if (biased)
            for (int32_t i = 0; i < n; i++)
                for (int r = 0; r < ${R}; r++)
                    w->bias[i * ${R} + r] = bias_at(x, t, r, block + i);
        masked |= biased;
$ end
        if (masked)
            for (int32_t i = 0; i < n * ${R}; i += W) {
                const vi vk = vi_add(vi_set1(block + i / ${R}), ahead);
                const vf z = adjust_lanes(x, vf_load(s + i), vk, vi_load(lane[1]), vi_load(lane[2]),
                                          vi_load(lane[3]), vi_load(lane[4]),
                                          ${plan.bias and "biased ? w->bias + i : NULL" or "NULL"}, true);
                vf_store(s + i, z);
            }
$ if plan.rescore then
        else
            for (int32_t i = 0; i < n * ${R}; i += W) {
                const vi vk = vi_add(vi_set1(block + i / ${R}), ahead);
                const vf z = adjust_lanes(x, vf_load(s + i), vk, vi_load(lane[1]), vi_load(lane[2]),
                                          vi_load(lane[3]), vi_load(lane[4]), NULL, false);
                vf_store(s + i, z);
            }
$ end
        const uint8_t *padding = masked ? item_padding(x) : NULL;
        for (int32_t i = 0; i < (n + ${N - 1}) / ${N} * ${N}; i++)
            if (i >= n || (padding && padding[block + i]))
                for (int r = 0; r < ${R}; r++) s[i * ${R} + r] = -INFINITY;

        vf top = m;
        for (int32_t i = 0; i < n * ${R}; i += W) top = vf_max(vf_load(s + i), top);
        top = vf_stride_max(top, ${R});
        const int rose = vf_any_gt(top, m);
        if (rose) {
            const vf alpha = vf_exp2_softmax(vf_sub(m, top));
            l = vf_mul(l, alpha);
            m = top;
            vf_store(w->alpha, alpha);
        }
        for (int32_t i = 0; i < n * ${R}; i += W) {
            const vf p = vf_exp2_softmax(vf_sub(vf_load(s + i), m));
            vf_store(s + i, p);
            l = vf_add(l, p);
        }
$ local groups = {}
$ if strips > 0 then
$   local n = strips
$   if partial > 0 and rest == 0 then n = strips - 1 end
$   if n > 0 then groups[#groups + 1] = { c = C, from = 0, to = n * C * W } end
$   if n < strips then groups[#groups + 1] = { c = C, from = n * C * W, tail = true } end
$ end
$ if rest > 0 then groups[#groups + 1] = { c = rest, from = strips * C * W, tail = partial > 0 } end
        const float *next = k + (block + n) * ldk;
$ -- The lines of the next keys in the order in which they lie, KEYS of them a column strip.
$ local per = plan.d % (line * KEYS) == 0 and plan.d // (line * KEYS) or 0
$ local function asked(g)
$   if per == 0 then return "next + c" end
$   local strip = "c / " .. g.c * W
$   return "next + " .. strip .. " / " .. per .. " * ldk + " .. strip .. " % " .. per .. " * " .. line * KEYS
$ end
$ for _, g in ipairs(groups) do
$   if g.to then
        for (int32_t c = ${g.from}; c < ${g.to}; c += ${g.c * W}) {
$   else
        {
            enum { c = ${g.from} };
$   end
            float *o = t->o + c;
            const float *ask = ${asked(g)};
            const float *vr = v + block * ldv + c;
$   for r = 0, R - 1 do
            vf ${list(g.c, function(j) return "o" .. r .. "_" .. j .. " = vf_load(o + " .. r .. " * DVP + " .. j * W .. ")" end)};
$   end
            if (rose) {
$   for r = 0, R - 1 do
                const vf f${r} = vf_bcast(w->alpha + ${r});
$     for j = 0, g.c - 1 do
                o${r}_${j} = vf_mul(o${r}_${j}, f${r});
$     end
$   end
            }
            for (int32_t key = 0; key < n; key++, vr += ldv) {
                ATTN_PREFETCH_L1(ask + key * ${per > 0 and line or "ldk"});
$   for j = 0, g.c - 1 do
$     if g.tail and j == g.c - 1 then
                const vf v${j} = vf_loadn(vr + ${j * W}, ${partial});
$     else
                const vf v${j} = vf_loadu(vr + ${j * W});
$     end
$   end
$   for r = 0, R - 1 do
                const vf p${r} = vf_bcast(s + key * ${R} + ${r});
$     for j = 0, g.c - 1 do
                o${r}_${j} = vf_fma(p${r}, v${j}, o${r}_${j});
$     end
$   end
            }
$   for r = 0, R - 1 do
$     for j = 0, g.c - 1 do
            vf_store(o + ${r} * DVP + ${j * W}, o${r}_${j});
$     end
$   end
        }
$ end
    }
    vf_store(state[0], m);
    vf_store(state[1], vf_stride_add(l, ${R}));
    for (int r = 0; r < ${R}; r++) t->m[r] = state[0][r], t->l[r] = state[1][r];
}

