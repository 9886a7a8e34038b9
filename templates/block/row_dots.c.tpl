$ -- Of one row and some vectors: products of a part of a block, or of a slice of it. a.type, a.dots:
$ -- as in integers.c; a.each(f): f(panel, n, s) of each vector; a.from, a.to: elements of the part.
$ -- What lies ahead is asked for in step: a part's lines at once fill the queues of loads.
$ local D, W = a.dots, a.hooks
$ if D.pairs then
$   local function zero(p, n, s)
vi ${list(D.digits, function(c) return "z" .. s .. "_" .. c .. " = vi_set1(0)" end)};
$   end
$   a.each(zero)
$ end
${D.rolled}for (int32_t j = ${a.from}; j < ${a.to}; j += 8) {
$ for line = 0, a.type.layout.eight_bytes - 1, 64 do
    ATTN_PREFETCH_L${plan.int_cache}(ATTN_AHEAD(c0, ${line + plan.block_ahead} + j * ${a.type.layout.element_bytes}));
$ end
$ -- Codes of one half of 8 elements at a time where registers are few.
$ for _, halves in ipairs(D.halves) do
$   local function codes(p, n, s)
    ${lines(W.codes(p, "j", n, s, halves.of))}
$     for _, u in ipairs(halves) do
    ${lines(D.apart(u .. s))}
$     end
$   end
$   a.each(codes)
$   for c = 0, D.digits - 1 do
    {
$     for _, u in ipairs(halves) do
$       for i, ending in ipairs(D.ends) do
        const vi x${u}${ending} = ${D.integers(c, i, a.at .. (u == "u" and "j" or "j + 4"))};
$       end
$     end
$     local function multiply(p, n, s)
$       local z = "z" .. s .. "_" .. c
$       for _, u in ipairs(halves) do
$         for _, ending in ipairs(D.ends) do
        ${z} = ${D.add}(${z}, ${u}${s}${ending}, x${u}${ending});
$         end
$       end
$     end
$     a.each(multiply)
    }
$   end
$ end
}
