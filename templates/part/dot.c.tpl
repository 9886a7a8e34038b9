$ -- Few rows: dot products along the head width, W sums at a time (keys x rows), reduced together.
$ local layout = hooks((plan.gathers and "select/gathered" or plan.places) .. ".c")
$ local K, KT = plan.type.k.suffix, plan.type.k.c
$ local V, VT = plan.type.v.suffix, plan.type.v.c
$ local k_line, v_line = plan.type.k.line, plan.type.v.line -- elements of a cache line
$ local W, R = plan.width, a.dot.rows
$ local P = a.dot.lanes
$ local N = a.dot.vector_keys
$ local KEYS, pv = a.dot.keys, a.dot.pv
$ local function times(x) return P > 1 and x .. " * " .. P or x end -- lanes of keys
$ local function by_lanes(x) return P > 1 and x .. " / " .. P or x end
$ local walk, again = a.dot.walk, a.dot.again
$ local soon = again and ", const lines soon" or ""
$ -- A row's line, from memory into L2 and, where that may have been refused, once more.
$ local function request(tab, what, row, column)
$   local function line(of) return "(ask_" .. what .. "(" .. of .. ", " .. row .. ", " .. column .. "));" end
$   local first = tab .. "ATTN_PREFETCH_L2" .. line("ask")
$   return again and first .. "\n" .. tab .. "ATTN_PREFETCH_L1" .. line("soon") or first
$ end
$ local main, partial = a.dot.whole, plan.dv - plan.dv_whole
$ local bursts = a.dot.bursts
$ -- Of two vectors from `at` on, the u-th as they are loaded: their even places, then their odd ones.
$ local function load_pair(type, at, u)
$   return (u % 2 == 0 and "vf_even" or "vf_odd") .. type .. "(" .. at .. ")"
$ end
$ local function load_key(row, u)
$   if plan.pair_d == 0 then return "vf_loadu" .. K .. "(" .. at(row .. " + d", u * W) .. ")" end
$   return load_pair(K, at(row .. " + d", u // 2 * 2 * W), u)
$ end
$ local function load_query(q)
$   return a.dot.plain and walk > 1 and "vf_held(vf_load(" .. q .. "))" or "vf_load(" .. q .. ")"
$ end
$ local step, asks = a.dot.step, a.dot.asks
$ if not plan.gathers then
/* Lane l of a score vector is key ${by_lanes("l")}${P > 1 and ", row l % " .. P or ""}. */
static const int32_t lane_key_${R}[W] = {${list(W, function(i) return i // P end)}};

$ end
/* ${KEYS} keys or fewer for ${R} row${R > 1 and "s" or ""} of a tile; k and v stand at key `block`. ask.v is asked for
 * while keys are multiplied, ask.k while values are. masked: something may be hidden. */
static ATTN_INLINE void dot_keys_${R}(const item *x, tile *t, scratch *w, int32_t block,
                                  const int32_t n, const ${KT} *k, const ${VT} *v,
                                  const lines ask${soon}, const bool masked) {
    const ptrdiff_t ldk = ${layout.k_step("x->args->k.")}, ldv = ${layout.v_step("x->args->v.")};
    enum { DP = (D + W - 1) / W * W };
    const float *q = t->q;
    float *s = w->s; /* [key][${P}] */
    for (int32_t key = 0; key < n; key += ${N}) {
        vf a[W]; /* [key][${P}] */
$ local tab = N > walk and "    " or ""
$ local at_key = N > walk and "i" or "key"
$ if N > walk then
        for (int32_t i = key; i < key + ${N}; i += ${walk}) {
$ end
$ for i = 0, walk - 1 do
        ${tab}const ${KT} *k${i} = ${layout.beside("k", "min32(" .. at(at_key, i) .. ", n - 1)", "ldk")};
$ end
$ for i = 0, walk - 1 do
$   for j = 0, R - 1, 4 do
        ${tab}vf ${list(math.min(R - j, 4), function(r) return "a" .. i .. "_" .. j + r .. " = vf_zero()" end)};
$   end
$ end
$ if bursts and not plan.dot_spread then
$   for i = 0, walk - 1 do
$     for d = 0, plan.dv - 1, v_line do
${request("        " .. tab, "v", at(at_key, i), d)}
$     end
$   end
$ elseif not plan.dot_spread then
        ${tab}for (int32_t r = ${at_key}; r < ${at_key} + ${walk}; r++)
            ${tab}for (int d = 0; d < DV; d += ${v_line}) {
${request("                " .. tab, "v", "r", "d")}
            ${tab}}
$ end
$ if main > 0 then
$   if a.dot.unroll > 1 then
#pragma GCC unroll ${a.dot.unroll}
$   end
        ${tab}for (int d = 0; d < ${main}; d += ${step}) {
$   for m = 0, asks - 1 do
            ${tab}{
                ${tab}const int at = ${at("d / " .. step .. " * " .. asks, m)};
                ${tab}const int32_t r = ${at_key} + at / ${plan.v_lines}, column = at % ${plan.v_lines} * ${v_line};
${request("                " .. tab, "v", "r", "column")}
            ${tab}}
$   end
$   for u = 0, step - W, W do
$     local off = u > 0 and " + " .. u or ""
            ${tab}{
$     for j = 0, R - 1 do
                ${tab}const vf q${j} = ${load_query(at("q", "d" .. off, j, "DP"))};
$     end
$     for i = 0, walk - 1 do
                ${tab}const vf b${i} = ${load_key("k" .. i, u // W)};
$       for j = 0, R - 1 do
                ${tab}a${i}_${j} = vf_fma(b${i}, q${j}, a${i}_${j});
$       end
$     end
            ${tab}}
$   end
        ${tab}}
$ end
$ for d = main, plan.d - 1, W do
$   local rest = plan.d - d
        ${tab}{
$   for j = 0, R - 1 do
            ${tab}const vf q${j} = vf_load(${at("q", d, j, "DP")});
$   end
$   for i = 0, walk - 1 do
$     if rest < W then
            ${tab}const vf b${i} = vf_loadn${K}(k${i} + ${d}, ${rest});
$     else
            ${tab}const vf b${i} = vf_loadu${K}(k${i} + ${d});
$     end
$     for j = 0, R - 1 do
            ${tab}a${i}_${j} = vf_fma(b${i}, q${j}, a${i}_${j});
$     end
$   end
        ${tab}}
$ end
$ if N > walk then
            vf *sums = a + ${P > 1 and "(i - key) * " .. P or "i - key"};
$ end
$ for i = 0, walk - 1 do
$   for j = 0, P - 1 do
        ${tab}${N > walk and "sums" or "a"}[${i * P + j}] = ${j < R and "a" .. i .. "_" .. j or "vf_zero()"};
$   end
$ end
$ if N > walk then
        }
$ end
        vf_store(s + ${times("key")}, vf_sums(a));
    }
${part("part/dot_softmax.c", { dot = a.dot })}

$ -- The rows at ask.k in the order in which they lie, spread over strips and keys.
$ local row_lines, strip_lines = a.dot.row_lines, a.dot.strip_lines
$ local each, more = a.dot.line_keys, a.dot.key_lines
$ local function nth(m)
$   if each > 1 then return "key / " .. each end
$   return more > 1 and at("key * " .. more, m - 1) or "key"
$ end
$ -- The same of a strip at once.
$ local function burst(tab)
$   local rows = strip_lines % row_lines == 0 and strip_lines // row_lines or 0
$   for i = 0, rows - 1 do
$     for m = 0, row_lines - 1 do
${request(tab, "k", at("asked / " .. row_lines, i), m * k_line)}
$     end
$   end
$   for m = 0, rows == 0 and strip_lines - 1 or -1 do
${request(tab, "k", "(" .. at("asked", m) .. ") / " .. row_lines, "(" .. at("asked", m) .. ") % " .. row_lines .. " * " .. k_line)}
$   end
$ end
$ for _, g in ipairs(pv.strips) do
$   local in_pairs = g.to > 0 and plan.pair_dv > 0
$   assert(not in_pairs or g.to == plan.pair_dv)
$   if g.to > 0 then
    for (int32_t c = ${g.from}; c < ${g.to}; c += ${g.vectors * W}) {
        const int32_t asked = c / ${g.vectors * W} * ${strip_lines};
$   else
    {
        enum { c = ${g.from}, asked = c / ${pv.columns * W} * ${strip_lines} };
$   end
$   if bursts then burst("        ") end
$   for i, count in ipairs(pv.groups) do
$     local from, to = pv.starts[i], pv.starts[i] + count - 1
$     local tab = #pv.groups > 1 and "    " or ""
$     if tab ~= "" then
        {
$     end
        ${tab}float *o = t->o + c;
        ${tab}const ${VT} *vr = v + c;
$     for r = from, to do
$       for j = 0, g.vectors - 1, 2 do
        ${tab}vf ${list(math.min(g.vectors - j, 2), function(i) return "o" .. r .. "_" .. j + i .. " = vf_zero()" end)};
$       end
$     end
$     if bursts then
#pragma GCC unroll 2
$     end
        ${tab}for (int32_t key = 0; key < n; key++, vr += ldv) {
$     -- The address is computed anew on purpose: with fewer instructions the loop runs further
$     -- ahead, and wants more lines at once than L1 has buffers for (tests/bench/NOTES.md).
$     for m = 1, i == 1 and not bursts and more or 0 do
            ${tab}${each > 1 and "if (key % " .. each .. " == 0) " or ""}{
                ${tab}const int32_t at = asked + ${nth(m)};
                ${tab}const int32_t row = at / ${row_lines}, column = at % ${row_lines} * ${k_line};
${request("                " .. tab, "k", "row", "column")}
            ${tab}}
$     end
$     for j = 0, g.vectors - 1 do
$       if g.tail and j == g.vectors - 1 then
            ${tab}const vf v${j} = vf_loadn${V}(${at("vr", j * W)}, ${partial});
$       elseif in_pairs then
            ${tab}const vf v${j} = ${load_pair(V, at("vr", j // 2 * 2 * W), j)};
$       else
            ${tab}const vf v${j} = vf_loadu${V}(${at("vr", j * W)});
$       end
$     end
$     for r = from, to do
            ${tab}const vf p${r} = vf_bcast(${at("s + " .. times("key"), r)});
$       for j = 0, g.vectors - 1 do
            ${tab}o${r}_${j} = vf_fma(p${r}, v${j}, o${r}_${j});
$       end
$     end
        ${tab}}
        ${tab}if (rose) {
$     for r = from, to do
            ${tab}const vf f${r} = vf_bcast(${at("w->alpha", r)});
$       for j = 0, g.vectors - 1 do
            ${tab}o${r}_${j} = vf_fma(f${r}, vf_load(${at("o", j * W, r, "DVP")}), o${r}_${j});
$       end
$     end
        ${tab}} else {
$     for r = from, to do
$       for j = 0, g.vectors - 1 do
            ${tab}o${r}_${j} = vf_add(vf_load(${at("o", j * W, r, "DVP")}), o${r}_${j});
$       end
$     end
        ${tab}}
$     for r = from, to do
$       for j = 0, g.vectors - 1 do
        ${tab}vf_store(${at("o", j * W, r, "DVP")}, o${r}_${j});
$       end
$     end
$     if tab ~= "" then
        }
$     end
$   end
    }
$ end
}

$ if not plan.gathers then
${part("part/dot_range.c", { dot = a.dot })}
$ end
