$ -- A row of V into its place in the panels of a key block.
$ local W, C = plan.width, plan.panel
$ local V = plan.type.v.suffix
$ local whole = plan.panels_end
$ local function loaded(at, n)
$   local row = "load_n" .. V .. "(" .. at .. ", DV - " .. n .. ")"
$   return plan.scaled and "vf_mul(" .. row .. ", factor)" or row
$ end
$ if whole > 0 then
for (int32_t col = 0; col < ${whole}; col += ${C}) {
    float *panel = ${a.to} + col * BK + ${a.key} * ${C};
$   for j = 0, C - 1, W do
    vf_store(${at("panel", j)}, ${loaded(at(a.row .. " + col", j), "col" .. (j > 0 and " - " .. j or ""))});
$   end
}
$ end
$ if plan.last_panel > 0 then
float *panel = ${a.to} + ${whole} * BK + ${a.key} * ${plan.last_panel}; /* as narrow as what is left */
$   for j = 0, plan.last_panel - 1, W do
vf_store(${at("panel", j)}, ${loaded(a.row .. " + " .. whole + j, whole + j)});
$   end
$ end
