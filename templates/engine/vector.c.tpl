$ -- Engine vector: products in vector registers, for any instruction set that has them. S of a tile
$ -- is transposed, [key][row]; its Q is packed as [d][row], V of a key block in column panels. The
$ -- hooks give C text. nv: vectors of a tile's rows.
$ local function qk(nv)
$   local text = part("engine/vector_qk.c", { nv = nv, of = nv, tile = plan.tile[nv], lazy = false })
$   if plan.tile[nv].lazy and not plan.rescore then
$     text = text .. "\n" .. part("engine/vector_qk.c", { nv = nv, of = nv, tile = plan.tile[nv], lazy = true })
$   end
$   for _, edge in ipairs(nv == plan.tile_vectors and plan.edges or {}) do
$     text = text .. "\n" .. part("engine/vector_qk.c", { nv = edge.vectors, of = nv, tile = edge, lazy = false })
$   end
$   return text
$ end
$ return {
$   -- Statements of a task around all that uses the engine.
$   begin = function() return "" end,
$   finish = function() return "" end,
$   -- pack_q(x, t): the rows of a tile, scaled, to t->q.
$   pack_q = function() return part("engine/vector_pack_q.c") end,
$   -- Register tiles of S = K Q^T.
$   qk = qk,
$   -- qk_keys_NV(t, w, row, ldk, first, n, clean, clean_end, mx): S of a range of keys to w->s.
$   keys = function(nv) return part("engine/vector_keys.c", { nv = nv }) end,
$   -- Statements of lazy_NV: the same, then P, where nothing but exp is between them.
$   keys_exp = function(nv) return part("engine/vector_keys_exp.c", { nv = nv }) end,
$   -- Statements that put a row of V, times `factor` where it has a scale, at its place `key` of the
$   -- packed block `to`; other: whether the row before stands there,
$   pack_v = function(row, to, key, other) return part("engine/vector_pack_v.c", { row = row, to = to, key = key, other = other }) end,
$   -- and the `values` of such a block, whose first key is `base`.
$   packed = function(to, base)
$     return "(values){" .. to .. ", BK, " .. plan.panel .. ", DVP - " .. plan.panels_end .. ", " .. base .. "}"
$   end,
$   -- pv_NV(t, v, s, first, last, alpha): o += P V over a range of keys. seen: what was printed
$   -- for tiles of other widths.
$   pv = function(nv, seen) return part("engine/vector_pv.c", { nv = nv, seen = seen }) end,
$ }
