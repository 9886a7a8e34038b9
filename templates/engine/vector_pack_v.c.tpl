$ -- A row of V into its place in the panels of a key block.
$ local W, C = plan.width, plan.panel
$ local V, VT = plan.type.v.suffix, plan.type.v.c
$ local whole = plan.panels_end
$ if whole > 0 then
for (int32_t col = 0; col < ${whole}; col += ${C}) {
    ${VT} *panel = ${a.to} + col * BK + ${a.key} * ${C};
$   for j = 0, C - 1, W do
    vf_store${V}(${at("panel", j)}, load_n${V}(${at(a.row .. " + col", j)}, DV - col${j > 0 and " - " .. j or ""}));
$   end
}
$ end
$ if plan.last_panel > 0 then
${VT} *panel = ${a.to} + ${whole} * BK + ${a.key} * ${plan.last_panel}; /* as narrow as what is left */
$   for j = 0, plan.last_panel - 1, W do
vf_store${V}(${at("panel", j)}, load_n${V}(${a.row} + ${whole + j}, DV - ${whole + j}));
$   end
$ end
