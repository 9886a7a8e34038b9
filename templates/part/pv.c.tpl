$ -- O += P V: rows x column vectors in registers. V comes packed in panels [key][panel], or direct
$ -- from the caller's rows, where the last vector of a row may be partial.
$ local W, nv = plan.width, a.nv
$ local R = nv * W
$ local shape = a.direct and plan.tile[nv].direct or plan.tile[nv].packed
$ local suffix = nv .. (a.direct and "_direct" or "")
$ local vectors = plan.dvp // W
$ local C = math.min(shape.columns, vectors)
$ local strips = vectors // C
$ local rest = vectors - strips * C
$ local partial = a.direct and plan.dv % W or 0
$ -- Each distinct register tile once.
$ local seen, shapes = {}, {}
$ for _, rows in ipairs(shape.groups) do
$   for _, c in ipairs({ C, rest }) do
$     if c > 0 and not seen[rows .. "x" .. c] then
$       seen[rows .. "x" .. c] = true
$       shapes[#shapes + 1] = { rows = rows, columns = c }
$     end
$   end
$ end
$ for _, tile in ipairs(shapes) do
$   local r, c = tile.rows, tile.columns
$   assert(r * c + c + 1 <= isa.registers, "pv: the register tile does not fit")
$   -- Partial: only the last strip of a direct row ends inside a vector.
$   for _, tail in ipairs(partial > 0 and { false, true } or { false }) do
$     local is_last = rest > 0 and c == rest or rest == 0
$     if not tail or is_last then
/* o[${r} rows][${c * W} columns] (+)= sum over n keys of s[key][row] v[key][column]. */
static inline void pv_${suffix}_${r}x${c}${tail and "_tail" or ""}(
    const float *restrict v, ptrdiff_t ldv, const float *restrict s, int32_t n, float *restrict o,
    const float *restrict alpha) {
$       for i = 0, r - 1 do
    vf ${list(c, function(j) return "o" .. i .. "_" .. j .. " = vf_load(o + " .. i .. " * DVP + " .. j * W .. ")" end)};
$       end
    if (alpha) {
$       for i = 0, r - 1 do
        const vf a${i} = vf_bcast(alpha + ${i});
$         for j = 0, c - 1 do
        o${i}_${j} = vf_mul(o${i}_${j}, a${i});
$         end
$       end
    }
    for (int32_t key = 0; key < n; key++, v += ldv, s += ${R}) {
$       for j = 0, c - 1 do
$         if tail and j == c - 1 then
        const vf v${j} = vf_loadn(v + ${j * W}, ${partial});
$         else
        const vf v${j} = ${a.direct and "vf_loadu" or "vf_load"}(v + ${j * W});
$         end
$       end
$       for i = 0, r - 1 do
        const vf p${i} = vf_bcast(s + ${i});
$         for j = 0, c - 1 do
        o${i}_${j} = vf_fma(p${i}, v${j}, o${i}_${j});
$         end
$       end
    }
$       for i = 0, r - 1 do
$         for j = 0, c - 1 do
    vf_store(o + ${i} * DVP + ${j * W}, o${i}_${j});
$         end
$       end
}
$     end
$   end
$ end
$ local function call(rows, c, col, tail)
$   return "pv_" .. suffix .. "_" .. rows .. "x" .. c .. (tail and "_tail" or "")
$ end

$ if a.direct then
/* P V of a tile over the keys first..last; v stands at key first. alpha: null, or the factors of
 * the rows. Row groups see only their own keys. */
$ else
/* P V of a tile over the keys first..last; key first is the skip-th of the packed block v. alpha:
 * null, or the factors of the rows. Row groups see only their own keys. */
$ end
static void pv_${suffix}(tile *t, const float *v, ${a.direct and "ptrdiff_t ldv" or "int32_t skip"},
                 const float *s, int32_t first, int32_t last, const float *alpha) {
$ local at = 0
$ for g, rows in ipairs(shape.groups) do
    if (t->rows > ${at}) {
        const int32_t begin = min32(max32(first, t->group_first[${g - 1}]), last + 1);
        const int32_t n = max32(0, min32(last, t->group_last[${g - 1}]) - begin + 1);
        const int32_t from = begin - first;
        const float *p = s + from * ${R} + ${at};
        const float *f = alpha ? alpha + ${at} : NULL;
        float *o = t->o + ${at} * DVP;
$   if a.direct then
        const float *at = v + from * ldv;
$   else
        const int32_t at = skip + from;
$   end
$   local whole = strips
$   if partial > 0 and rest == 0 then
$     whole = strips - 1
$   end
$   local function place(c, w)
$     if a.direct then
$       return "at + " .. c
$     end
$     return "v + " .. c .. " * BK + at * " .. w
$   end
$   if whole > 0 then
        for (int c = 0; c < ${whole * C * W}; c += ${C * W})
            ${call(rows, C)}(${place("c", C * W)}, ${a.direct and "ldv" or C * W}, p, n,
                o + c, f);
$   end
$   if whole < strips then
        ${call(rows, C, 0, true)}(${place(whole * C * W, C * W)}, ldv, p, n,
            o + ${whole * C * W}, f);
$   end
$   if rest > 0 then
$     local col = strips * C * W
        ${call(rows, rest, 0, partial > 0)}(${place(col, rest * W)}, ${a.direct and "ldv" or rest * W}, p, n,
            o + ${col}, f);
$   end
    }
$   at = at + rows
$ end
}
