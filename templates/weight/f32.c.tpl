$ -- Weights in f32: what tiles and rows take as they are.
$ return {
$   element = "float",
$   offset = function(k) return "(int64_t)" .. k .. " * NR" end,
$   load = function(p) return "vf_load(" .. p .. ")" end,
$   place = function(name) return "l->w + " .. name .. "_AT" end,
$ }
