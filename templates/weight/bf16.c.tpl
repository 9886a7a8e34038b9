$ -- Weights in bf16, widened in registers; of slices that many rows pass, once for all of them.
$ return {
$   element = "bf16",
$   offset = function(k) return "(int64_t)" .. k .. " * NR" end,
$   load = function(p) return "vf_loadu_bf16(" .. p .. ")" end,
$   place = function(name) return "(const bf16 *)(const void *)(l->w + " .. name .. "_AT)" end,
$ }
