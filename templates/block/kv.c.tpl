$ -- Keys and values on their way to where they live, in the type that they are stored in. Rows of f32
$ -- are copied; others are rounded (store_row, or vf_row of types with a scale a row) and widened
$ -- (load_row), by functions of rows.c and simd/.
$ local suffix = plan.kv.suffix
$ return {
$   -- Before a whole row of keys is stored, where it is there as floats.
$   turn = function(row)
$     return plan.rotate and "turn_key(" .. row .. ");" or ""
$   end,
$   -- Names where the scale of a row that exists goes, before it is stored.
$   scale_at = function(name, row)
$     return plan.scaled and "float *scale = key_scale(l, &l->" .. name .. "_scale, " .. row .. ");" or ""
$   end,
$   -- n floats from `from`, `bytes` of them, become elements from `to` on: a whole row, where it has
$   -- a scale, which goes to `scale`.
$   store = function(to, scale, from, n, bytes)
$     if suffix == "" then return "memcpy(" .. to .. ", " .. from .. ", " .. bytes .. ");" end
$     if plan.scaled then return scale .. " =\n    vf_row" .. suffix .. "(" .. to .. ", " .. from .. ", " .. n .. ");" end
$     return "store_row(" .. to .. ", " .. from .. ", " .. n .. ");"
$   end,
$ }
