$ -- Flex over a tile whose lanes are consecutive queries of one head: what does not depend on the
$ -- key is computed once, what does not depend on the lane once a key.
$ local W, nv = plan.width, a.nv
$ local R = nv * W
/* Final scores of n keys from first${a.masked and ", hidden ones -inf" or ""}; mx: raised by them. */
static void adjust_tile_${nv}${a.masked and "_masked" or ""}(const item *x, const tile *t, float *restrict s,
                                  int32_t first, int32_t n, vf *restrict mx) {
    const int32_t h = t->head[0];
    (void)x, (void)h;
$ for j = 0, nv - 1 do
    const int32_t q_0_${j} = t->pos[${j * W}];
    const vi vq_${j} = vi_load(${at("t->pos", j * W)});
    (void)q_0_${j}, (void)vq_${j};
$   if a.masked then
    const vi lo_${j} = vi_load(${at("t->from", j * W)}), hi_${j} = vi_load(${at("t->to", j * W)});
$   end
    vf m_${j} = mx[${j}];
$ end
$ if expr.score then
    ${comment("score: " .. expr.score.text)}
    ${lines(expr.score.tile[nv].once)}
$ end
$ if a.masked and expr.mask then
    ${comment("mask: " .. expr.mask.text)}
    ${lines(expr.mask.tile[nv].once)}
$ end
$ if a.masked then
    const uint8_t *padding = item_padding(x);
$ end
    for (int32_t i = 0; i < n; i++, s += ${R}) {
        const int32_t k = first + i, k_pos = attn_key_position(x, k);
        (void)k, (void)k_pos;
$ if a.masked then
        if (padding && padding[k]) {
$   for j = 0, nv - 1 do
            vf_store(${at("s", j * W)}, vf_set1(-INFINITY));
$   end
            continue;
        }
        const vi vp = vi_set1(k_pos);
$ end
$ if expr.score then
        ${lines(expr.score.tile[nv].key)}
$ end
$ if a.masked and expr.mask then
        ${lines(expr.mask.tile[nv].key)}
$ end
$ if spec.softcap then
        vf z[${nv}] = {${list(nv, function(j) return "vf_load(" .. at("s", j * W) .. ")" end)}};
        cap_scores(z, ${nv});
$ end
$ for j = 0, nv - 1 do
        const vf s_${j} = ${spec.softcap and "z[" .. j .. "]" or "vf_load(" .. at("s", j * W) .. ")"};
$ end
$ if expr.score then
        ${lines(expr.score.tile[nv].lane)}
$ end
$ if a.masked and expr.mask then
        ${lines(expr.mask.tile[nv].lane)}
$ end
$ for j = 0, nv - 1 do
$   local score, mask = "s_" .. j, nil
$   if expr.score then score = expr.score.tile[nv].result[j + 1] end
$   if a.masked then
$     if expr.mask then mask = expr.mask.tile[nv].result[j + 1] end
        vm seen_${j} = vm_and(vi_le(lo_${j}, vp), vi_le(vp, hi_${j}));
$     if mask then
        seen_${j} = vm_and(seen_${j}, ${mask});
$     end
        const vf z_${j} = vf_select(seen_${j}, ${score}, vf_set1(-INFINITY));
$     score = "z_" .. j
$   end
        m_${j} = vf_max(${score}, m_${j});
        vf_store(${at("s", j * W)}, ${score});
$ end
    }
$ for j = 0, nv - 1 do
    mx[${j}] = m_${j};
$ end
}
