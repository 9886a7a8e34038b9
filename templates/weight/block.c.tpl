$ -- Weights in blocks of 32 elements of a row, value = code * d + m; of a panel's NR columns a block
$ -- has the scales d, the minima (f16), fifth bits, and codes: bytes, or halves of bytes, those of
$ -- two elements that follow each other. t.offset: the code of 0; t.min, t.high: has such fields.
$ local function cast(type, p, at)
$   return "(const " .. type .. " *)(const void *)(" .. p .. " + " .. at .. ")"
$ end
$ return {
$   of = function(t)
$     local S = "_" .. t.name
$     local high_at = t.min and 4 or 2
$     local codes_at = (high_at + (t.high and 4 or 0)) * plan.nr
$     local bytes = codes_at + plan.nr * (t.halves and 16 or 32)
$     return {
$       element = "uint8_t", block = 32, group = t.halves and 2 or 1,
$       offset = function(k) return "(int64_t)(" .. k .. " / 32) * " .. bytes end,
$       place = function(name) return "(const uint8_t *)(const void *)(l->w + " .. name .. "_AT)" end,
$       -- Of vector n of the block at b: what its group at element j and those after it take.
$       head = function(b, n, s)
$         local lines = { "const vf d" .. s .. " = vf_loadu_f16(" .. cast("f16", b, 2 * n * plan.width) .. ");" }
$         if t.min then lines[2] = "const vf m" .. s .. " = vf_loadu_f16(" .. cast("f16", b, 2 * plan.nr + 2 * n * plan.width) .. ");" end
$         if t.offset then lines[2] = "const vf m" .. s .. " = vf_mul(d" .. s .. ", vf_set1(-" .. t.offset .. "));" end
$         if t.high then lines[3] = "const vi h" .. s .. " = vi_loadu(" .. cast("int32_t", b, high_at * plan.nr + 4 * n * plan.width) .. ");" end
$         return table.concat(lines, "\n")
$       end,
$       group_of = function(b, j, n, s)
$         if not t.halves then return "" end
$         local at = codes_at + n * plan.width .. " + " .. j .. " / 2 * NR"
$         return "const vi q" .. s .. " = vi_loadu_i8(" .. cast("int8_t", b, at) .. ");\n" ..
$           "const vi r" .. s .. " = vi_shr(q" .. s .. ", vi_set1(4));"
$       end,
$       -- A code times its scale; u: which of the group.
$       load = function(b, j, u, n, s)
$         if not t.halves then
$           return "code" .. S .. "(" .. b .. " + " .. codes_at + n * plan.width .. " + " .. j .. " * NR, d" .. s .. ")"
$         end
$         local q = (u == 0 and "q" or "r") .. s
$         local high = t.high and "h" .. s .. ", " .. j .. " + " .. u .. ", " or ""
$         return "code" .. S .. "(" .. q .. ", " .. high .. "d" .. s .. ", m" .. s .. ")"
$       end,
$       -- The function that load calls.
$       value = function()
$         if not t.halves then
static ATTN_INLINE vf code${S}(const uint8_t *b, vf d) {
    return vf_mul(vf_loadu_i8((const int8_t *)(const void *)b), d);
}
$         elseif t.high then
/* The lower half of q and bit k of h. */
static ATTN_INLINE vf code${S}(vi q, vi h, int32_t k, vf d, vf m) {
    const vi high = vi_and(vi_shl(vi_shr(h, vi_set1(k)), vi_set1(4)), vi_set1(16));
    return vf_fma(vi_to_f(vi_or(vi_and(q, vi_set1(15)), high)), d, m);
}
$         else
/* The lower half of q. */
static ATTN_INLINE vf code${S}(vi q, vf d, vf m) {
    return vf_fma(vi_to_f(vi_and(q, vi_set1(15))), d, m);
}
$         end
$       end,
$     }
$   end,
$ }
