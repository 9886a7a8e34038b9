$ -- The body of a lazy maximum where nothing but the exponential happens to clean scores: what every
$ -- row sees goes from products to P in registers, the rest by way of w->s.
$ local W, nv = plan.width, a.nv
$ local R, MR = nv * W, plan.tile[nv].keys
$ local E = nv == plan.tile_vectors and plan.edge_keys or 0
$ local function edge(from, to)
$   if E == 0 then return "qk_range_" .. nv .. "(t, w, row, ldk, " .. from .. ", " .. to .. ", mx)" end
$   return "qk_edges_" .. nv .. "(t, w, row, ldk, first, " .. from .. ", " .. to .. ")"
$ end
/* In whole register tiles: what is left of them counts as hidden in part. */
const int32_t begin = min32((clean + ${MR - 1}) / ${MR} * ${MR}, n);
const int32_t end = begin + max32(0, clean_end - begin) / ${MR} * ${MR};
${edge("0", "begin")};
for (int32_t key = begin; key < end;) {
    const int32_t stop = min32(key + ${plan.tile[nv].exp_keys}, end);
    vf sum[${nv}] = {${list(nv, function(j) return "vf_zero()" end)}}; /* see sums */
    for (; key < stop; key += ${MR}) {
$ if plan.widen then
        widen_k(w, key + ${MR});
$   if plan.tile[nv].widens > 0 then
        const ${plan.type.k.c} *from[${MR}];
        float *to = widen_next(w, key, end, ${MR}, from);
$   end
$ else
        if (ask) ask_rows(ask + key * ldv, ldv, ${MR});
$ end
        qk_exp_${nv}(row + key * ldk, ldk, t->q, w->s + key * ${R}, m, sum${plan.tile[nv].widens > 0 and ",\n            from, to, w, (int64_t)w->k_first + key + " .. 2 * MR or ""});
    }
$ for j = 0, nv - 1 do
    add_exactly(&l[${j}], &lost[${j}], sum[${j}]);
$ end
}
${edge("end", "n")};
adjust_range_${nv}(x, t, w, first, 0, begin, mx, true, lanes);
exp_rows_${nv}(w->s, begin, m, l, lost);
adjust_range_${nv}(x, t, w, first, end, n, mx, true, lanes);
exp_rows_${nv}(w->s + end * ${R}, n - end, m, l, lost);
