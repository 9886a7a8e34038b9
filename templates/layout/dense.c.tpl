$ -- Layout dense: a row of Q, K, V or O lies by its item, head and token, with a stride for each.
$ -- The hooks of a layout give the text of addresses; no other template forms one. `view` reaches
$ -- the members of an attn_view: "q->" or "args->k.". `rows` is what stands for the keys of an item's
$ -- head, counted from any of them; here a pointer. `args`: the call's; first and last: keys between
$ -- which no page goes unused, where that is known.
$ local function rows_of(type) -- type: of the pointer that elements are counted by
$   return function(view, b, h)
$     return "(" .. type .. " *)" .. view .. "data + " .. b .. " * " .. view .. "batch + " .. h .. " * " .. view .. "head"
$   end
$ end
$ local function row_at(type)
$   return function(view, b, h, i) return rows_of(type)(view, b, h) .. " + " .. i .. " * " .. view .. "token" end
$ end
$ local function key_at(rows, key, step)
$   return rows .. " + " .. key .. " * " .. step
$ end
$ return {
$   page = false, -- keys of a page, where rows lie in such
$   declare = function() end, -- prints what the texts below need
$   rows = function(type) return "const " .. type .. " *" end, -- their C type
$   q_at = row_at("const " .. plan.type.q.c), -- row i of an item's query head
$   o_at = row_at(plan.type.o.c),
$   k_rows = rows_of("const " .. plan.type.k.c), -- the keys of an item's key head, from key 0 on
$   v_rows = rows_of("const " .. plan.type.v.c),
$   held = function(rows) return rows end, -- the same where nothing but what rows see may be looked up; w: of a thread,
$   held_scales = function(rows) return rows end, -- and of scales
$   k_from = key_at, -- the same from this key on
$   k_at = key_at, -- the row of this key, counted from where `rows` stands
$   v_at = key_at,
$   first = function(rows) return rows end, -- the row of key 0, where `rows` stands there
$   one = function(v, k) return v .. " == " .. k end, -- rows begin at the same places
$   -- What stands for a block of keys that dot products take: its C type, and from rows; and a row of
$   -- it, n keys after its first.
$   block = function(type) return "const " .. type .. " *" end,
$   block_at = key_at,
$   in_block = key_at,
$   beside = key_at, -- the row n keys after a row that it lies side by side with
$   v_next = function(row, key, step, rows, last) return row .. " += " .. step end, -- to the row of `key` from the one before; `rows`: they are, `last`: its key
$   -- Where that row would lie, past the last key too: an address, no pointer.
$   ahead = function(rows, key, step) return "ATTN_AHEAD(" .. rows .. ", " .. key .. " * " .. step .. ")" end,
$   k_step = function(view) return view .. "token" end, -- between keys that lie side by side
$   v_step = function(view) return view .. "token" end,
$   -- Scales from this key on: their C type, alone and as a further declarator,
$   scales = "const float *",
$   scales_too = "*",
$   scale_at = function(view, b, h, key)
$     return view .. "data + " .. b .. " * " .. view .. "batch + " .. h .. " * " .. view .. "head + " .. key .. " * " .. view .. "token"
$   end,
$   scale = function(rows, i, step) return rows .. "[" .. i .. " * " .. step .. "]" end, -- the i-th,
$   scale_run = function(rows, i) return rows .. " + " .. i end, -- the address of that and those after
$   scale_step = function(view) return view .. "token" end,
$   head_step = function(view) return view .. "head" end, -- between the heads of a key
$   -- Of n keys from this one on, as many as lie side by side.
$   keys_here = function(rows, key, n) return n end,
$   -- Prints what body(from, to, values) prints for runs of the keys from .. to that lie side by side;
$   -- values: the `values` at that name, as they lie for a run where they are rows (column = 1).
$   runs = function(from, to, values, body) body(from, to, values) end,
$ }
