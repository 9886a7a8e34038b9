$ -- What a list named, as it is stored, side by side: the hooks of dot products over it.
$ local dense = hooks("layout/dense.c")
$ return {
$   page = false,
$   rows = dense.rows,
$   block = dense.block,
$   in_block = dense.in_block,
$   beside = dense.beside,
$   k_step = function() return "D" end,
$   v_step = function() return "DV" end,
$   scales = dense.scales,
$   scales_too = dense.scales_too,
$   scale = dense.scale,
$   scale_run = dense.scale_run,
$   scale_step = function() return "1" end,
$ }
