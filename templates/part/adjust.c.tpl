$ local W, nv = plan.width, a.nv
$ local key = plan.indexed and "w->number[first - w->base + i]" or "first + i" -- its number
$ local R = nv * W
/* Final scores of n keys from first in a tile of any rows; mx: raised by them. */
static ATTN_INLINE void adjust_${nv}(const item *x, const tile *t, ${plan.indexed and "const scratch *w, " or ""}float *restrict s,
                                 const float *bias, int32_t first, int32_t n, vf *restrict mx,
                                 const bool masked) {
    const uint8_t *padding = masked ? item_padding(x) : NULL;
$ for j = 0, nv - 1 do
    const vi vq_${j} = vi_load(${at("t->pos", j * W)}), vh_${j} = vi_load(${at("t->head", j * W)});
    const vi lo_${j} = vi_load(${at("t->from", j * W)}), hi_${j} = vi_load(${at("t->to", j * W)});
    vf m_${j} = mx[${j}];
$ end
    for (int32_t i = 0; i < n; i++, s += ${R}) {
        if (padding && padding[${key}]) {
$ for j = 0, nv - 1 do
            vf_store(${at("s", j * W)}, vf_set1(-INFINITY));
$ end
            continue;
        }
        const int32_t k = ${key};
        const vi vk = vi_set1(k), vp = vi_set1(attn_key_position(x, k));
$ if spec.softcap then
        vf z[${nv}] = {${list(nv, function(j) return "vf_load(" .. at("s", j * W) .. ")" end)}};
        cap_scores(z, ${nv});
$ end
$ for j = 0, nv - 1 do
        const vf s_${j} = adjust_lanes(x, ${spec.softcap and "z[" .. j .. "]" or "vf_load(" .. at("s", j * W) .. ")"}, vk, vp, vq_${j}, vh_${j}, lo_${j}, hi_${j},
                                     bias ? ${at("bias + i * " .. R, j * W)} : NULL, masked);
$ end
$ for j = 0, nv - 1 do
        m_${j} = vf_max(s_${j}, m_${j});
        vf_store(${at("s", j * W)}, s_${j});
$ end
    }
$ for j = 0, nv - 1 do
    mx[${j}] = m_${j};
$ end
}
