$ -- Keys and values on their way to where they live, in the type that they are stored in. Rows of f32
$ -- are copied; others are rounded (store_row) and widened (load_row) by functions of rows.c.
$ local plain = plan.kv.suffix == ""
$ return {
$   -- n floats from `from`, `bytes` of them, become elements from `to` on.
$   store = function(to, from, n, bytes)
$     if plain then return "memcpy(" .. to .. ", " .. from .. ", " .. bytes .. ");" end
$     return "store_row(" .. to .. ", " .. from .. ", " .. n .. ");"
$   end,
$ }
