$ -- Norms of queries and keys.
$ local on, whole = spec.qk_norm, spec.qk_norm_over == "all"
$ local weights, own = spec.qk_norm_weights ~= "none", whole or spec.qk_norm_weights == "heads"
$ local f = spec.qk_norm_kind == "layernorm" and "layer_norm" or "rms_norm"
$ return {
$   weights = on and weights,
$   whole = on and whole, -- of all heads at once
$   before = on and not whole and spec.qk_norm_place == "before", -- of each head, before RoPE
$   after = on and not whole and spec.qk_norm_place == "after",
$   first = on and whole and spec.qk_norm_place == "before", -- of all, likewise
$   last = on and whole and spec.qk_norm_place == "after",
$   -- The shape of the weights, and how many there are, as C.
$   shape = function(heads)
$     if whole then return { heads * spec.head_dim } end
$     return own and { heads, spec.head_dim } or { spec.head_dim }
$   end,
$   count = function(heads) return own and heads .. " * D" or "D" end,
$   -- n floats at x, which begin in column `column` of the projection, are normed.
$   norm = function(name, x, column, n)
$     local w = weights and "l->w + " .. name .. "_NORM_AT" .. (own and column and " + " .. column or "") or "NULL"
$     return f .. "(" .. x .. ", " .. x .. ", " .. w .. ", NULL, " .. n .. ");"
$   end,
$ }
