$ -- Weights in f32: what tiles and rows take as they are.
$ return {
$   element = "float",
$   load = function(p) return "vf_load(" .. p .. ")" end,
$   place = function(name) return "l->w + " .. name .. "_AT" end,
$ }
