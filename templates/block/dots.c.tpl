$ -- How codes of one type are multiplied with the integers of a row, and summed: type.dots.
$ --   quads  bytes, four products at once into 32 bits
$ --   pairs  bytes, two at once into 16 bits, which hold the sums of type.fold elements
$ --   words  codes as numbers of 16 bits, two at once into 32
$ -- A vector's sums are z .. c .. of, c from 0 to digits - 1. What is added of them are its totals:
$ -- products with the upper bytes and with the lowest one.
$ return {
$   of = function(type)
$     local t, words, pairs = type.layout, type.dots == "words", type.dots == "pairs"
$     local one = plan.int_bytes == 1
$     local digits = one and 1 or words and 2 or 3
$     local upper = t.part == 32 and "(b->upper[0] + b->upper[1])" or "b->upper[k % 32 / 16]"
$     local zero = "vi_set1(0)"
$     local quads = type.dots == "quads"
$     local roomy = quads and isa.registers > 16
$     -- Where totals start: products with the codes' offset are taken away.
$     local start = { zero, zero }
$     if t.offset > 0 then
$       start[1] = "vi_set1(-" .. t.offset .. " * " .. upper .. ")"
$       start[2] = start[1]:gsub("upper", "lower")
$     end
$     local function sum(z, c, of) return z .. c .. of end
$     return {
$       digits = digits, pairs = pairs, offset = t.offset > 0,
$       add = ({ quads = "vi_add_dots", pairs = "vi_add_pairs", words = "vi_add_words" })[type.dots],
$       halves = roomy and { { "u", "v" } } or { { "u", of = "u" }, { "v", of = "v" } },
$       -- Compilers give the registers of a function of its own to its innermost loop.
$       alone = roomy and "" or "__attribute__((noinline)) ",
$       rolled = roomy and "" or "ATTN_ROLLED ",
$       -- Where sum c starts.
$       start = function(c) return not pairs and start[c - digits + 3] or zero end,
$       -- Those of a slice of type.fold elements, added to the totals.
$       folded = function(z, of, first)
$         local lines, names = {}, { not one and sum(z, "u", of), sum(z, "l", of) }
$         for i, total in ipairs(names) do
$           if total and first then lines[#lines + 1] = "vi " .. total .. " = " .. start[i] .. ";" end
$         end
$         local function more(total, c, times)
$           lines[#lines + 1] = total .. " = vi_sum_pairs(" .. total .. ", " .. sum(z, c, of) .. ", " .. times .. ");"
$         end
$         if not one then more(names[1], 0, 256) end
$         if not one then more(names[1], 1, 1) end
$         more(names[2], digits - 1, 1)
$         return lines
$       end,
$       -- Totals, by the letters of their names.
$       totals = one and { l = start[2] } or { u = start[1], l = start[2] },
$       letters = one and { "l" } or { "u", "l" },
$       -- 256 times the one total, and the other.
$       whole = function(z, of)
$         local u, l = sum(z, digits - 2, of), sum(z, digits - 1, of) -- u: of more than one byte
$         if pairs then u, l = sum(z, "u", of), sum(z, "l", of) end
$         if one then return "vi_to_f(" .. l .. ")" end
$         if quads then u = "vi_add(vi_shl(" .. sum(z, 0, of) .. ", vi_set1(8)), " .. u .. ")" end
$         return "whole_int(" .. u .. ", " .. l .. ")"
$       end,
$       -- u, 4 codes a lane: what is multiplied of it, by the ends of names.
$       apart = function(u)
$         if not words then return {} end
$         return {
$           "const vi " .. u .. "e = vi_and(" .. u .. ", vi_set1(0x00ff00ff));",
$           "const vi " .. u .. "o = vi_odd_bytes(" .. u .. ");",
$         }
$       end,
$       ends = words and { "e", "o" } or { "" },
$       -- What they are multiplied by: integers of a row from element `from` on, in each lane.
$       integers = function(c, i, from)
$         if not words then return "vi_bcast4(b->q[" .. c .. "] + " .. from .. ")" end
$         return "vi_bcast4((const void *)(b->w[" .. c .. "] + " .. from .. (i == 2 and " + 2" or "") .. "))"
$       end,
$     }
$   end,
$ }
