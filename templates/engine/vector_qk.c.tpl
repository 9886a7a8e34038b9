$ -- S transposed: keys x query vectors in registers; queries along the lanes, so that no sum ever
$ -- crosses lanes and K is read as it lies, one broadcast a key and column.
$ -- nv: vectors that are computed, of the tile's `of`; tile: its register tile.
$ local W, nv, of, tile = plan.width, a.nv, a.of, a.tile
$ local R, MR, U = of * W, tile.keys, tile.unroll
$ local fma = plan.pairs and "vf_fma_pairs" or "vf_fma" -- an element of a row is then a pair of bf16
$ local id = of == nv and nv or nv .. "_of_" .. of
$ assert(MR * nv + nv + 1 <= isa.registers, "qk: the register tile does not fit")
$ local line = plan.line -- elements of a cache line
$ -- The keys of a register tile ahead are asked for while these are multiplied, a line a row and
$ -- step; or, for decode, line after line as they lie.
$ local ahead, per = tile.prefetch * MR, tile.row_asks
$ assert(#tile.asks == 0 or U % line == 0, "qk: keys are asked for by whole lines")
$ -- Or the next register tile's rows are widened, and those after them asked for as they are stored.
$ local widens = a.lazy and tile.widens or 0
$ local layout = hooks(plan.places .. ".c")
$ local KT = plan.type.k.c
$ -- One step of the loop over the head width, written once: both functions repeat it.
$ local function macro(text) return text .. string.rep(" ", math.max(0, 56 - #text)) .. " \\" end
$ if not a.lazy then
/* Products of column d of ${MR} keys and ${nv * W} queries, in registers. */
${macro("#define QK_STEP_" .. id .. "(d)")}
${macro("    {")}
$   for n = 0, nv - 1 do
${macro("        const vf q" .. n .. " = vf_load(" .. at("q + (d) * " .. R, n * W) .. ");")}
$   end
$   for m = 0, MR - 1 do
$     local k = "k" .. (m > 0 and m or "")
${macro("        const vf b" .. m .. " = vf_bcast(" .. k .. " + (d));")}
$     for n = 0, nv - 1 do
$       local s = "s" .. m .. "_" .. n
${macro("        " .. s .. " = " .. fma .. "(b" .. m .. ", q" .. n .. ", " .. s .. ");")}
$     end
$   end
    }

$ end
$ if a.lazy then
/* s[key][${R}] = exp2(scores - m) for ${MR} keys x ${R} queries, and sum += its sums. m is any
 * reference, not the maximum: the caller looks at l. The exponentials overlap the next tile's
 * products.${widens > 0 and " from, to: " .. MR .. " rows to widen meanwhile, those before the key `after`." or ""} */
static inline void qk_exp_${nv}(const float *restrict k, ptrdiff_t ldk, const float *restrict q,
                            float *restrict s, const vf *restrict m,
                            vf *restrict sum${widens > 0 and ", const " .. KT .. " *const *from,\n                            float *restrict to, const scratch *w, int64_t after" or ""}) {
$ elseif of > nv then
/* s[key][0 .. ${nv * W - 1}] = K Q^T for ${MR} keys and ${nv} of the ${of} vectors of queries in q and s. */
static inline void qk_${id}(const float *restrict k, ptrdiff_t ldk, const float *restrict q,
                            float *restrict s) {
$ else
/* s[key][${R}] = K Q^T for ${MR} keys x ${R} queries; mx: running maximum of each lane. */
static inline void qk_${nv}(const float *restrict k, ptrdiff_t ldk, const float *restrict q,
                        float *restrict s, vf *restrict mx) {
$ end
$ for m = 1, MR - 1 do
    const float *k${m} = ${at("k", 0, m, "ldk")};
$ end
$ local function start(n)
$   return a.lazy and "vf_neg(m[" .. n .. "])" or "vf_zero()"
$ end
$ for m = 0, MR - 1 do
    vf ${list(nv, function(n) return "s" .. m .. "_" .. n .. " = " .. start(n) end, nv > 3 and ",\n       " or ", ")};
$ end
$ local main = tile.whole
$ if U < plan.dk then
    for (int d = 0; d < ${main}; d += ${U}) {
$ else
    {
        enum { d = 0 };
$ end
$ for u = 0, U - 1 do
$   for m = 0, u % line == 0 and widens - 1 or -1 do
        {
            const int32_t at = ${at((u > 0 and "(d + " .. u .. ")" or "d") .. " / " .. line .. " * " .. widens, m)};
            const int64_t key = after + at / ${plan.k_lines}, column = at % ${plan.k_lines} * ${plan.type.k.line};
            ATTN_PREFETCH_L1(${layout.ahead("w->k_rows", "key", "w->k_step")} + column * sizeof(${KT}));
        }
$   end
$   if widens == 0 and per > 0 and u % line == 0 then
        const int line${u} = ${u > 0 and "(d + " .. u .. ")" or "d"} / ${line};
        const ptrdiff_t ask${u} = (${ahead} + line${u} / ${per}) * ldk + line${u} % ${per} * ${MR * line};
$   end
$   for row, step in ipairs(tile.asks) do
$     local m, column = row - 1, u // line * line
$     if u % line == step and widens > 0 then
$       for j = column, column + line - W, W do
        vf_storeu(${at("to + d", m * plan.d + j)}, vf_loadu${plan.type.k.suffix}(${at("from[" .. m .. "] + d", j)}));
$       end
$     elseif u % line == step and per > 0 then
        ATTN_PREFETCH_L1(ATTN_AHEAD(k, ${at("ask" .. column, m * line)}));
$     elseif u % line == step then
        ATTN_PREFETCH_L1(ATTN_AHEAD(k, ${at(ahead + m .. " * ldk + d", column)}));
$     end
$   end
        QK_STEP_${id}(${at("d", u)})
$ end
    }
$ for d = main, plan.dk - 1 do
    QK_STEP_${id}(${d})
$ end
$ if a.lazy then
$   -- In pairs: more would need registers that the other scores are in.
$   -- Sums of a query vector in pairs, pairs of pairs ..: open[n] has those that wait, by size.
$   local open, count = {}, 0
$   for n = 0, nv - 1 do open[n] = {} end
$   local function add(n, name)
$     local size = 1
$     local waiting = open[n][size]
$     while waiting do
    const vf sum${count} = vf_add(${waiting}, ${name});
$       open[n][size], name, size, count = nil, "sum" .. count, 2 * size, count + 1
$       waiting = open[n][size]
$     end
$     open[n][size] = name
$   end
$   for i = 0, MR * nv - 1, 2 do
$     local pair = math.min(2, MR * nv - i)
$     local function score(j) return "s" .. (i + j) // nv .. "_" .. (i + j) % nv end
    vf p${i // 2}[${pair}] = {${list(pair, score)}};
    vf_exp2_lazy_each(p${i // 2}, ${pair});
$     for j = 0, pair - 1 do
    vf_store(${at("s", (i + j) * W)}, p${i // 2}[${j}]);
$       add((i + j) % nv, "p" .. i // 2 .. "[" .. j .. "]")
$     end
$   end
$   for n = 0, nv - 1 do
$     local sum
$     for size = 0, 4 do
$       local part = open[n][1 << size]
$       if part and sum then sum = "vf_add(" .. part .. ", " .. sum .. ")" else sum = part or sum end
$     end
    sum[${n}] = vf_add(sum[${n}], ${sum});
$   end
$ elseif of == nv then
$   -- The score first: a NaN must not become the maximum (vf_max returns its second operand then).
$   for n = 0, nv - 1 do
    vf m${n} = mx[${n}];
$     for m = 0, MR - 1 do
    m${n} = vf_max(s${m}_${n}, m${n});
$     end
    mx[${n}] = m${n};
$   end
$ end
$ if not a.lazy then
$   for m = 0, MR - 1 do
$     for n = 0, nv - 1 do
    vf_store(${at("s", m * R + n * W)}, s${m}_${n});
$     end
$   end
$ end
}
