$ -- Weights in blocks of elements that have a scale: where their fields lie says
$ -- runtime/weight_layout.h, whose figures are type.layout. Value = code * d + m.
$ local function cast(p, offset)
$   if type(offset) == "number" then return offset == 0 and "(const void *)" .. p or cast(p, tostring(offset)) end
$   return "(const void *)(" .. p .. " + " .. offset .. ")"
$ end
$ return {
$   of = function(type)
$     local t, S, nr, width = type.layout, type.suffix, plan.nr, plan.width
$     local half = t.table and "bf16" or "f16"
$     local element = "(const uint8_t *)(const void *)(l->w + "
$     -- Scale or minimum, of 16 bits, n vectors further on.
$     local function halves(p, at, n)
$       return "vf_loadu_" .. half .. "(" .. cast(p, at + 2 * n * width) .. ")"
$     end
$     -- Those of parts: whole numbers.
$     local function whole(p, at)
$       return "vf_loadu_i8(" .. cast(p, at) .. ")"
$     end
$     -- Of vector n of the part at p: what its scale or its high bits are; minima: and its minimum.
$     local function fields(p, k, n, s, of, minima)
$       local b, g, lines = "b" .. p, "g" .. p, {}
$       if of == "high" then
$         if t.high > 0 then lines[1] = "vi h" .. s .. " = vi_loadu(" .. cast("c" .. p, 4 * n * width) .. ");" end
$         return lines
$       end
$       local function add(name, value) lines[#lines + 1] = "const vf " .. name .. s .. " = " .. value .. ";" end
$       if t.scaled then
$         local part = t.part < 32 and k .. " % 32 / " .. t.part .. " * " .. nr .. " + " or ""
$         add("e", halves(g, 0, n))
$         add("i", whole(b, part .. n * width))
$         add("d", "vf_mul(e" .. s .. ", i" .. s .. ")")
$       else
$         add("d", halves(b, 0, n))
$       end
$       if not minima then return lines end
$       if t.min and t.scaled then
$         add("f", halves(g, 2 * nr, n))
$         add("m", "vf_neg(vf_mul(f" .. s .. ", " .. whole(b, 32 // t.part * nr + n * width) .. "))")
$       else
$         add("m", t.min and halves(b, 2 * nr, n) or "vf_mul(d" .. s .. ", vf_set1(-" .. t.offset .. "))")
$       end
$       return lines
$     end
$     return {
$       element = "uint8_t", part = t.part,
$       offset = function(k) return "(int64_t)(" .. k .. " / " .. type.block .. ") * " .. t.group_bytes end,
$       place = function(name) return element .. name .. "_AT)" end,
$       -- Pointers to the part of a panel's slice w that begins with element k: to its block, b, to
$       -- its codes, c, and to what its group has, g.
$       point = function(w, k, s)
$         local rest = k .. " % " .. type.block
$         local lines = { "const uint8_t *b" .. s .. " = " .. w .. " + (int64_t)(" .. k .. " / " .. type.block .. ") * " .. t.group_bytes .. ";" }
$         if t.scaled then
$           lines = { "const uint8_t *g" .. s .. " = " .. w .. " + (int64_t)(" .. k .. " / " .. type.block .. ") * " .. t.group_bytes .. ";" }
$           lines[2] = "const uint8_t *b" .. s .. " = g" .. s .. " + " .. t.head_bytes .. " + " .. rest .. " / 32 * " .. t.block_bytes .. ";"
$         end
$         local part = t.part < 32 and " + " .. k .. " % 32 / " .. t.part .. " * " .. t.part_bytes or ""
$         lines[#lines + 1] = "const uint8_t *c" .. s .. " = b" .. s .. " + " .. t.parts_at .. part .. ";"
$         return lines
$       end,
$       -- Of vector n of the part at p: scale, minimum, high bits; s ends their names.
$       head = function(p, k, n, s)
$         local lines = {}
$         for _, of in ipairs({ "scale", "high" }) do
$           for _, line in ipairs(fields(p, k, n, s, of, true)) do lines[#lines + 1] = line end
$         end
$         return lines
$       end,
$       -- The same without minima that are those of an offset; of: scale, or high.
$       field = function(p, k, n, s, of) return fields(p, k, n, s, of, t.min) end,
$       -- Codes of 8 elements from j of the part on, in bytes: u the first four, v the others. of:
$       -- "u" or "v", u before v: of these alone.
$       codes = function(p, j, n, s, of)
$         local from, lines = (t.high > 0 and 4 * nr or 0) + 4 * n * width, {}
$         local function add(name, value) lines[#lines + 1] = name .. " = " .. value .. ";" end
$         local function load(at, step) return "vi_loadu(" .. cast("c" .. p, (at > 0 and at .. " + " or "") .. j .. " * " .. step) .. ")" end
$         local q, h = "q" .. s, "h" .. s
$         if t.bits == 4 and of ~= "v" then add("const vi " .. q, load(from, nr // 2)) end
$         for half, name in ipairs({ "u", "v" }) do
$           local u = name .. s
$           if of and of ~= name then
$           elseif t.bits == 8 then
$             add("const vi " .. u, load(from + (half - 1) * 4 * nr, nr))
$           else
$             local four = half == 1 and "vi_low_halves(" or "vi_high_halves("
$             add((t.table or t.high > 0) and "vi " .. u or "const vi " .. u, four .. q .. ")")
$             if t.table then add(u, "vi_pick(values" .. S .. ", " .. u .. ")") end
$             if t.high > 0 then
$               local mask = t.high == 1 and "vi_set1(0x10101010)" or "vi_set1(0x30303030)"
$               add(u, "vi_or(" .. u .. ", vi_and(vi_shl(" .. h .. ", vi_set1(" .. 4 - (half - 1) * t.high .. ")), " .. mask .. "))")
$             end
$           end
$         end
$         if t.high > 0 and of ~= "u" then add(h, "vi_shr(" .. h .. ", vi_set1(" .. 2 * t.high .. "))") end
$         return lines
$       end,
$       -- Element i of those 8.
$       load = function(i, s)
$         local from = (i < 4 and "u" or "v") .. s
$         return "vf_fma(vi_to_f(vi_byte(" .. from .. ", " .. i % 4 .. ")), d" .. s .. ", m" .. s .. ")"
$       end,
$       -- What codes needs.
$       values = function()
$         if t.table then
/* Twice the values of E2M1 (OCP Microscaling 1.0), plus 12. */
static const uint8_t values${S}[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

$         end
$       end,
$     }
$   end,
$ }
