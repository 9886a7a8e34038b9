$ -- Few rows over keys and values of 8 bits: dot products of codes, W sums at a time (keys x rows).
$ -- P times the scales of values is rounded per block of keys; values are woven, 4 keys a lane.
$ local layout = hooks((plan.gathers and "select/gathered" or plan.places) .. ".c")
$ local codes = plan.codes
$ local KT, VT = plan.type.k.c, plan.type.v.c
$ local W, R = plan.width, a.dot.rows
$ local P, N = a.dot.lanes, a.dot.vector_keys
$ local KEYS, pv, again = a.dot.keys, a.dot.pv, a.dot.again
$ local DIGITS = codes.p_bytes
$ local U = math.max(1, 4 * P // W) -- vectors of 4 keys
$ local soon = again and ", const lines soon" or ""
$ local words = codes.words
$ local load = words and "vi_words" or "vi_bytes"
$ local function request(tab, what, row, column)
$   local function line(of) return "(ask_" .. what .. "(" .. of .. ", " .. row .. ", " .. column .. "));" end
$   local first = tab .. "ATTN_PREFETCH_L2" .. line("ask")
$   return again and first .. "\n" .. tab .. "ATTN_PREFETCH_L1" .. line("soon") or first
$ end
$ local function key_codes(k, tail)
$   local text = tail and load .. "n(" .. k .. ", " .. plan.d - codes.d_whole .. ")" or load .. "(" .. k .. ")"
$   return words and text or "vi_flip(" .. text .. ")"
$ end
$ -- Lines of V are asked for evenly from the steps over the head width, where these are unrolled.
$ local v_asks = N * plan.v_lines
$ local bodies = (plan.d + codes.step - 1) // codes.step
$ local v_each = codes.d_loop == 0 and (v_asks + bodies - 1) // bodies or 0
$ -- Lines of K likewise from the products of values: so many a turn of their loops.
$ local strips = 0
$ for _, g in ipairs(pv.strips) do strips = strips + (g.to > 0 and (g.to - g.from) // (g.vectors * W) or 1) end
$ local turns = KEYS // 4
$ local k_asks, k_turns = KEYS * plan.k_lines, strips * #pv.groups * turns
$ local k_each = (k_asks + k_turns - 1) // k_turns
$ if not plan.gathers then
/* Lane l of a score vector is key ${P > 1 and "l / " .. P or "l"}${P > 1 and ", row l % " .. P or ""}. */
static const int32_t lane_key_${R}[W] = {${list(W, function(i) return i // P end)}};

$ end
/* Products of codes of n keys to w->s [key][${P}], times what a row's codes stand for. */
static void integer_scores_${R}(const item *x, const tile *t, scratch *w, const int32_t n,
                                        ${layout.block(KT)}k, const lines ask${soon}) {
$ if plan.gathers then
    (void)x;
$ end
    const ptrdiff_t ldk = ${layout.k_step("x->args->k.")};
    const vf unit = vf_loadu(t->unit);
$ if not words then
    const vi flipped = vi_loadu(t->flipped);
$ end
    for (int32_t key = 0; key < n; key += ${N}) {
$ for i = 0, N - 1 do
        const ${KT} *k${i} = ${layout.in_block("k", "min32(" .. at("key", i) .. ", n - 1)", "ldk")};
$ end
$ for i = 0, N - 1 do
$   for j = 0, R - 1, 4 do
        vi ${list(math.min(R - j, 4), function(r) return "a" .. i .. "_" .. j + r .. " = vi_set1(0)" end)};
$   end
$ end
$ if v_each == 0 then
        for (int32_t r = key; r < key + ${N}; r++)
            for (int d = 0; d < DV; d += ${plan.type.v.line}) {
${request("                ", "v", "r", "d")}
            }
$ end
$ -- Loops that carry sums round copy them: several steps a turn.
$ local function products(tab, from, tail)
$   local first = v_each > 0 and from // codes.step * v_each or v_asks
$   for i = first, math.min(first + v_each, v_asks) - 1 do
${request(tab, "v", at("key", i // plan.v_lines), i % plan.v_lines * plan.type.v.line)}
$   end
$   for i = 0, N - 1 do
${tab}const vi b${i} = ${key_codes("k" .. i .. " + " .. from, tail)};
$   end
$   for j = 0, R - 1 do
${tab}const vi q${j} = vi_loadu((const void *)(t->codes + ${j * codes.d} + ${from}));
$     for i = 0, N - 1 do
${tab}a${i}_${j} = vi_dot_${words and "words" or "bytes"}(a${i}_${j}, b${i}, q${j});
$     end
$   end
$ end
$ if codes.d_loop > 0 then
        for (int d = 0; d < ${codes.d_loop}; d += ${codes.steps * codes.step}) {
$   for u = 0, codes.steps - 1 do
            {
$     products("                ", at("d", u * codes.step), false)
            }
$   end
        }
$ end
$ for d = codes.d_loop, codes.d_whole - 1, codes.step do
        {
$   products("            ", d, false)
        }
$ end
$ if codes.d_whole < plan.d then
        {
$   products("            ", codes.d_whole, true)
        }
$ end
        const vi a[W] = {
$ for i = 0, N - 1 do
            ${list(P, function(j) return j < R and "a" .. i .. "_" .. j or "vi_set1(0)" end)},
$ end
        }; /* [key][${P}] */
$ if words then
        vf_store(w->s + key * ${P}, vf_mul(vi_to_f(vi_sums(a)), unit));
$ else
        vf_store(w->s + key * ${P}, vf_mul(vi_to_f(vi_sub(vi_sums(a), flipped)), unit));
$ end
    }
}

/* The values of n keys to w->woven [4 keys][column][key]; the last of them repeat. */
static void weave_${R}(const item *x, scratch *w, const int32_t n, ${layout.block(VT)}v) {
$ if plan.gathers then
    (void)x;
$ end
    const ptrdiff_t ldv = ${layout.v_step("x->args->v.")};
    for (int32_t key = 0; key < n; key += 4) {
        const ${VT} *const row[4] = {${list(4, function(i) return layout.in_block("v", "min32(" .. at("key", i) .. ", n - 1)", "ldv") end, ",\n                              ")}};
        int32_t *to = w->woven + key / 4 * DVP;
$ if codes.v_whole > 0 then
        for (int32_t c = 0; c < ${codes.v_whole}; c += 4 * W) {
            const vi r[4] = {${list(4, function(i) return "vi_bytes(row[" .. i .. "] + c)" end, ",\n                             ")}};
            vi z[4];
            vi_weave(r, z);
            vi_store(to + c, z[0]), vi_store(to + c + W, z[1]);
            vi_store(to + c + 2 * W, z[2]), vi_store(to + c + 3 * W, z[3]);
        }
$ end
$ for c = codes.v_whole, plan.dv - 1, W do
        {
            const ${VT} *const rest[4] = {${list(4, function(i) return "row[" .. i .. "] + " .. c end, ", ")}};
            vi_store(to + ${c}, vi_weave_few(rest, ${math.min(W, plan.dv - c)}));
        }
$ end
    }
}

/* P times scales in w->s, of n keys, to unsigned codes: of each row the largest becomes ${codes.p_most}.
 * sign: of those that count; the others are 0, and false says that there are such. */
static bool integer_p_${R}(scratch *w, const int32_t n, const float sign) {
    const int32_t lanes = (n + 3) / 4 * 4 * ${P}; /* whole groups of keys */
    const vf by = vf_set1(sign);
    vf top = vf_zero(), least = vf_zero(), odd = vf_zero();
    for (int32_t i = (n * ${P} + W - 1) / W * W; i < lanes; i += W) vf_store(w->s + i, vf_zero());
    for (int32_t i = 0; i < lanes; i += W) {
        const vf z = vf_mul(vf_load(w->s + i), by);
        top = vf_max(z, top);
        least = vf_min(z, least);
        odd = vf_add(odd, vf_sub(z, z)); /* 0, or NaN */
    }
    top = vf_stride_max(top, ${P}), odd = vf_stride_add(odd, ${P});
    const bool small = vf_any_gt(vf_set1(${f32(2^-110)}), top);
    top = vf_max(top, vf_set1(${f32(2^-110)}));
    const vf factor = vf_div(vf_set1(${f32(codes.p_most)}), top);
    for (int32_t i = 0; i < lanes; i += ${U * W}) {
        vi u[${U}]${DIGITS > 1 and ", high[" .. U .. "]" or ""};
        for (int j = 0; j < ${U}; j++) {
            vf z = vf_max(vf_mul(vf_load(w->s + i + j * W), by), vf_zero());
            /* What is not 0 stays so, that finish_row sees that it is next to nothing. */
            if (small) z = vf_select(vf_gt(z, vf_zero()), vf_max(z, vf_set1(${f32(2^-126)})), z);
            u[j] = vi_round(vf_mul(z, factor));
$ if DIGITS > 1 then
            high[j] = vi_shr(u[j], vi_set1(8));
$ end
        }
        vi_key_bytes(u, ${P}, w->p[0] + i / 4);
$ if DIGITS > 1 then
        vi_key_bytes(high, ${P}, w->p[1] + i / 4);
$ end
    }
    vf_store(w->unit, vf_add(vf_mul(top, vf_set1(sign * ${f32(1 / codes.p_most)})), odd));
    return !vf_any_gt(vf_zero(), least);
}

/* o of each row, times w->alpha if a maximum rose, += codes of P times woven values. */
static void integer_values_${R}(tile *t, const scratch *w, const int32_t n, const bool rose,
                                        const lines ask${soon}) {
$ local strip = 0
$ for _, g in ipairs(pv.strips) do
$   local asked = tostring(strip * #pv.groups * turns)
$   if g.to > 0 then
$     local count = (g.to - g.from) // (g.vectors * W)
$     strip = strip + count
$     if count > 1 then asked = asked .. " + c / " .. g.vectors * W .. " * " .. #pv.groups * turns end
    for (int32_t c = ${g.from}; c < ${g.to}; c += ${g.vectors * W}) {
$   else
$     strip = strip + 1
    {
        enum { c = ${g.from} };
$   end
$   for i, count in ipairs(pv.groups) do
$     local from, to = pv.starts[i], pv.starts[i] + count - 1
        {
            const int32_t *v = w->woven + c;
            const uint32_t *p0 = w->p[0] + ${from}${DIGITS > 1 and ", *p1 = w->p[1] + " .. from or ""};
$     for r = from, to do
$       for d = 0, DIGITS - 1 do
$         for j = 0, g.vectors - 1, 4 do
            vi ${list(math.min(g.vectors - j, 4), function(i) return "o" .. r .. "_" .. d .. "_" .. j + i .. " = vi_set1(0)" end)};
$         end
$       end
$     end
$     -- As above.
#pragma GCC unroll 4
            for (int32_t key = 0; key < n; key += 4) {
$     local nth = (i > 1 and (i - 1) * turns .. " + " or "") .. "key / 4"
$     if asked ~= "0" then nth = asked .. " + " .. nth end
$     if k_each == plan.k_lines and k_turns == KEYS then
$       for m = 0, k_each - 1 do
${request("                ", "k", nth, m * plan.type.k.line)}
$       end
$     else
$       for m = 0, k_each - 1 do
                {
                    const int32_t line = (${nth}) * ${k_each} + ${m};
                    const int32_t row = line / ${plan.k_lines}, column = line % ${plan.k_lines} * ${plan.type.k.line};
$         if k_each * k_turns > k_asks then
                    if (row < ${KEYS}) {
${request("                        ", "k", "row", "column")}
                    }
$         else
${request("                    ", "k", "row", "column")}
$         end
                }
$       end
$     end
$     for r = from, to do
$       for d = 0, DIGITS - 1 do
                const vi p${r}_${d} = vi_set1((int32_t)p${d}[${r - from}]);
$       end
$     end
$     for j = 0, g.vectors - 1 do
                const vi v${j} = vi_load(${at("v", j * W)});
$       for r = from, to do
$         for d = 0, DIGITS - 1 do
                o${r}_${d}_${j} = vi_dot_bytes(o${r}_${d}_${j}, p${r}_${d}, v${j});
$         end
$       end
$     end
                v += DVP, p0 += ${P}${DIGITS > 1 and ", p1 += " .. P or ""};
            }
$     for r = from, to do
            {
                float *o = t->o + c + ${r} * DVP;
                const vf unit = vf_bcast(w->unit + ${r});
                const vf was = rose ? vf_bcast(w->alpha + ${r}) : vf_set1(1);
$       for j = 0, g.vectors - 1 do
$         local low = "o" .. r .. "_0_" .. j
$         if DIGITS > 1 then
                o${r}_0_${j} = vi_add(vi_shl(o${r}_1_${j}, vi_set1(8)), o${r}_0_${j});
$         end
                const vf z${j} = vf_mul(was, vf_load(${at("o", j * W)}));
                vf_store(${at("o", j * W)}, vf_fma(vi_to_f(${low}), unit, z${j}));
$       end
            }
$     end
        }
$   end
    }
$ end
}

/* ${KEYS} keys or fewer for ${R} row${R > 1 and "s" or ""} of a tile; k and v stand at key `block`. ask.v is asked for
 * while keys are multiplied, ask.k while values are. masked: something may be hidden. */
static ATTN_INLINE void dot_keys_${R}(const item *x, tile *t, scratch *w, int32_t block,
                                  const int32_t n, ${layout.block(KT)}k, ${layout.block(VT)}v,
                                  const lines ask${soon}, const bool masked) {
    float *s = w->s; /* [key][${P}] */
    integer_scores_${R}(x, t, w, n, k, ask${again and ", soon" or ""});
    ${part("part/dot_softmax.c", { dot = a.dot })}
    weave_${R}(x, w, n, v);
    if (integer_p_${R}(w, n, 1)) {
        integer_values_${R}(t, w, n, rose, ask${again and ", soon" or ""});
        return;
    }
    /* Scales may be negative. */
    integer_values_${R}(t, w, n, rose, ask${again and ", soon" or ""});
    integer_p_${R}(w, n, -1);
    const lines none = {(uintptr_t)t->q, (uintptr_t)t->q, 0, 0}; /* all are asked for */
    integer_values_${R}(t, w, n, false, none${again and ", none" or ""});
}

$ if not plan.gathers then
${part("part/dot_range.c", { dot = a.dot })}
$ end
