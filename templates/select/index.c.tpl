$ -- Select index: a row's keys are those that its list names, in that order. The keys of a block are
$ -- numbers in w->number, w->count of them, from position w->base of the list on; what tiles count as
$ -- keys are positions. These hooks are those of the layout, which says where a number's row lies.
$ local base = hooks("layout/" .. plan.layout .. ".c")
$ local function number(position) return "nth(w, " .. position .. ")" end
$ local function key_at(rows, position, step) return base.k_at(rows, number(position), step) end
$ return {
$   declare = base.declare,
$   page = base.page,
$   rows = base.rows,
$   q_at = base.q_at,
$   o_at = base.o_at,
$   k_rows = base.k_rows,
$   v_rows = base.v_rows,
$   k_at = key_at,
$   v_at = key_at,
$   one = base.one,
$   held = base.held,
$   held_scales = base.held_scales,
$   beside = base.beside,
$   -- The row of K at a position, or at the last one: only tiles ask, and for rows of w->k_rows.
$   ahead = function(rows, position, step)
$     assert(rows == "w->k_rows" and step == "w->k_step")
$     return "asked(w, " .. position .. ")"
$   end,
$   asked = function(position) return base.k_at("w->k_rows", number(position), "w->k_step") end,
$   k_step = base.k_step,
$   v_step = base.v_step,
$   head_step = base.head_step,
$   scales = base.scales,
$   scales_too = base.scales_too,
$   scale_at = base.scale_at,
$   scale = function(rows, position, step) return base.scale(rows, number(position), step) end,
$   scale_run = base.scale_run,
$   scale_step = base.scale_step,
$ }
