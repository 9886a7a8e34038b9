$ -- O += P V: rows x column vectors in registers. One code serves V packed in panels and V as the
$ -- caller's rows lie: `values` says how. Only the last vector of a row may be partial.
$ local W, nv = plan.width, a.nv
$ local R = nv * W
$ local shape = plan.tile[nv].pv
$ local partial = plan.dv - plan.dv_whole
$ -- A row of P and of V is a key's, or two keys' in pairs of bf16.
$ local fma, rows_of = plan.pairs and "vf_fma_pairs" or "vf_fma", plan.pairs and "pairs" or "keys"
$ local function name(rows, strip)
$   return "pv_" .. rows .. "x" .. strip.vectors .. (strip.tail and "_tail" or "")
$ end
$ -- A block may be more keys than are summed at once.
$ local split = plan.sum_keys < plan.key_block
$ local tab = split and "    " or ""
$ local seen = a.seen -- by tiles of every width: what differs between them is lds
$ for _, rows in ipairs(shape.groups) do
$   for _, strip in ipairs(shape.strips) do
$     if not seen[name(rows, strip)] then
$       seen[name(rows, strip)] = true
$       local r, c = rows, strip.vectors
$       assert(r * c + c + 1 <= isa.registers, "pv: the register tile does not fit")
/* o[${r}][${c * W} columns] = alpha o + sum over n ${rows_of} of s[key][row] v[key][column]; s has lds rows.
 * fresh: o holds nothing yet. The keys are summed from zero: see sums. */
static inline void ${name(rows, strip)}(const float *restrict v, ptrdiff_t ldv,
                                   const float *restrict s, ptrdiff_t lds, int32_t n,
                                   float *restrict o, const float *restrict alpha, bool fresh) {
$       if split then
    do {
        const int32_t some = n <= ${plan.sum_most} ? n : ${plan.sum_keys};
$       end
$       for i = 0, r - 1 do
    ${tab}vf ${list(c, function(j) return "o" .. i .. "_" .. j .. " = vf_zero()" end, c > 2 and ",\n       " .. tab or ", ")};
$       end
    ${tab}for (int32_t key = 0; key < ${split and "some" or "n"}; key++, v += ldv, s += lds) {
$       for j = 0, c - 1 do
$         if strip.tail and j == c - 1 then
        ${tab}const vf v${j} = vf_loadn(${at("v", j * W)}, ${partial});
$         else
        ${tab}const vf v${j} = vf_loadu(${at("v", j * W)});
$         end
$       end
$       for i = 0, r - 1 do
        ${tab}const vf p${i} = vf_bcast(${at("s", i)});
$         for j = 0, c - 1 do
        ${tab}o${i}_${j} = ${fma}(p${i}, v${j}, o${i}_${j});
$         end
$       end
    ${tab}}
    ${tab}if (!fresh && alpha) {
$       for i = 0, r - 1 do
        ${tab}const vf a${i} = vf_bcast(${at("alpha", i)});
$         for j = 0, c - 1 do
        ${tab}o${i}_${j} = vf_fma(a${i}, vf_load(${at("o", j * W, i, "DVP")}), o${i}_${j});
$         end
$       end
    ${tab}} else if (!fresh) {
$       for i = 0, r - 1 do
$         for j = 0, c - 1 do
        ${tab}o${i}_${j} = vf_add(vf_load(${at("o", j * W, i, "DVP")}), o${i}_${j});
$         end
$       end
    ${tab}}
$       for i = 0, r - 1 do
$         for j = 0, c - 1 do
    ${tab}vf_store(${at("o", j * W, i, "DVP")}, o${i}_${j});
$         end
$       end
$       if split then
        n -= some;
        fresh = false, alpha = NULL;
    } while (n > 0);
$       end
}

$     end
$   end
$ end
$ if plan.pairs then
/* P of n keys as pairs of bf16, in place: [pair][row]. skip: 1 if the first is a second half. */
static inline void pair_keys_${nv}(float *s, int32_t skip, int32_t n) {
    for (int32_t key = -skip, pair = 0; key < n; key += 2, pair++)
        for (int32_t r = 0; r < ${R}; r += W) {
            const vf a = key < 0 ? vf_zero() : vf_load(s + key * ${R} + r);
            const vf b = key + 1 < n ? vf_load(s + (key + 1) * ${R} + r) : vf_zero();
            vf_store(s + pair * ${R} + r, vf_pairs(a, b));
        }
}

$ end
/* P V of a tile over the keys first..last; s stands at key first. alpha: null, or the factors of
 * the rows. Row groups see only their own keys; a column panel of V stays in L1 for all of them. */
static void pv_${nv}(tile *t, const values *v, ${plan.pairs and "" or "const "}float *s, int32_t first, int32_t last,
                 const float *alpha) {
    enum { COUNT = ${#shape.groups} };
    const bool fresh = t->fresh;
    t->fresh = false;
    int32_t begin[COUNT], n[COUNT];
    for (int g = 0; g < COUNT; g++) {
        begin[g] = min32(max32(first, t->group_first[g]), last + 1);
        n[g] = max32(0, min32(last, t->group_last[g]) - begin[g] + 1);
$ if plan.pairs then
        /* In pairs; P of keys that a group does not see is 0. */
        const int32_t end = begin[g] - v->base + n[g] + 1;
        begin[g] = (begin[g] - v->base) / 2;
        if (n[g] > 0) n[g] = end / 2 - begin[g];
$ end
    }
$ if plan.pairs then
    pair_keys_${nv}(s, (first - v->base) % 2, last - first + 1);
    const int32_t from = (first - v->base) / 2;
$ end
$ for _, strip in ipairs(shape.strips) do
$   if strip.to > 0 then
    for (int32_t c = ${strip.from}; c < ${strip.to}; c += ${strip.vectors * W}) {
$   else
    {
        enum { c = ${strip.from} };
$   end
        const ptrdiff_t ldv = v->${strip.narrow and "last_row" or "row"};
        const float *column = v->v + c * v->column;
$   local row = 0
$   for i, rows in ipairs(shape.groups) do
$     local g = i - 1
        if (t->rows > ${row} && (n[${g}] > 0 || alpha || fresh))
            ${name(rows, strip)}(column + ${plan.pairs and "begin[" .. g .. "]" or "(begin[" .. g .. "] - v->base)"} * ldv, ldv,
                ${at("s + (begin[" .. g .. "] - " .. (plan.pairs and "from" or "first") .. ") * " .. R, row)}, ${R}, n[${g}],
                ${at("t->o", "c", row, "DVP")}, ${row > 0 and "alpha ? alpha + " .. row .. " : NULL" or "alpha"}, fresh);
$     row = row + rows
$   end
    }
$ end
}
