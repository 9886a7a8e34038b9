$ -- A row of V into its place in the panels of a key block; pairs: into its half of a row of pairs, by
$ -- add_half, where `other` says whether the other half is there already.
$ local W, C = plan.width, plan.panel
$ local V = plan.type.v.suffix
$ local whole = plan.panels_end
$ local key = plan.pairs and a.key .. " / 2" or a.key
$ local function loaded(at, n)
$   local row = "load_n" .. V .. "(" .. at .. ", DV - " .. n .. ")"
$   return plan.scaled and "vf_mul(" .. row .. ", factor)" or row
$ end
$ local function put(to, at, n)
$   if plan.pairs then
$     return "add_half(" .. to .. ", " .. at .. ", DV - " .. n .. ", " .. a.key .. " % 2, other);"
$   end
$   return "vf_store(" .. to .. ", " .. loaded(at, n) .. ");"
$ end
$ if plan.pairs then
const bool other = ${a.key} % 2 == 1 && ${a.other};
$ end
$ if whole > 0 then
for (int32_t col = 0; col < ${whole}; col += ${C}) {
    float *panel = ${a.to} + col * BK + ${key} * ${C};
$   for j = 0, C - 1, W do
    ${put(at("panel", j), at(a.row .. " + col", j), "col" .. (j > 0 and " - " .. j or ""))}
$   end
}
$ end
$ if plan.last_panel > 0 then
float *panel = ${a.to} + ${whole} * BK + ${key} * ${plan.last_panel}; /* as narrow as what is left */
$   for j = 0, plan.last_panel - 1, W do
${put(at("panel", j), a.row .. " + " .. whole + j, whole + j)}
$   end
$ end
