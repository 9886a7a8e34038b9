$ -- Few rows: final scores of the n keys from `block` on, which are products in s [key][lanes], then P,
$ -- times the scales of their values where they have such. rose: a maximum did, by w->alpha.
$ local layout = hooks((plan.gathers and "select/gathered" or plan.places) .. ".c")
$ local R, P, N = a.dot.rows, a.dot.lanes, a.dot.vector_keys
$ local function times(x) return P > 1 and x .. " * " .. P or x end -- lanes of keys
$ local function by_lanes(x) return P > 1 and x .. " / " .. P or x end
$ if plan.gathers then
    const int32_t *number = w->number + (block - w->base);
$ end
$ if plan.scaled and plan.gathers then
    const float *ks = w->k_scale + (block - w->base), *vs = w->v_scale + (block - w->base);
$ elseif plan.scaled then
    ${layout.scales}ks = k_scales(x, t->head[0], block), ${layout.scales_too}vs = v_scales(x, t->head[0], block);
$ if plan.holes then
    ks = ${layout.held_scales("ks", "w")}, vs = ${layout.held_scales("vs", "w")};
$ end
$ end
$ if plan.scaled then
    const ptrdiff_t ks_step = ${layout.scale_step("x->args->k_scale.")}, vs_step = ${layout.scale_step("x->args->v_scale.")};
    for (int32_t i = 0; i < ${times("n")}; i += W)
        vf_store(s + i, vf_mul(vf_load(s + i), scale_lanes(ks, ks_step, i, n, ${P})));
$ end
$ if plan.bias then
    const bool biased = masked && x->args->mask.type != ATTN_MASK_NONE;
    if (biased)
        for (int32_t i = 0; i < n; i++)
            for (int r = 0; r < ${R}; r++) w->bias[${times("i")} + r] = bias_at(x, t, r, ${plan.gathers and "number[i]" or "block + i"});
$ end
    if (${plan.rescore and "true" or "masked"}) {
        for (int32_t i = 0; i < ${times("n")}; i += W) {
$ if plan.gathers then
            _Alignas(64) int32_t key[W];
            for (int32_t j = 0; j < W; j++) key[j] = number[min32(${by_lanes("(i + j)")}, n - 1)];
            const vi vk = vi_load(key);
$ else
            const vi vk = vi_add(vi_set1(block + ${by_lanes("i")}), vi_loadu(lane_key_${R}));
$ end
            vf z = vf_load(s + i);
$ if spec.softcap then
            cap_scores(&z, 1);
$ end
            const vi vp = lane_positions(x, vk, ${plan.gathers and "x->kv_len" or "block + n"});
            z = adjust_lanes(x, z, vk, vp, vi_load(t->pos), vi_load(t->head), vi_load(t->from),
                             vi_load(t->to), ${plan.bias and "biased ? w->bias + i : NULL" or "NULL"}, masked);
            vf_store(s + i, z);
        }
    }
    if (masked) {
$ local hides = plan.gathers and "" or " || (padding && padding[block + i])" -- no list has such
$ if not plan.gathers then
        const uint8_t *padding = item_padding(x);
$ end
        for (int32_t i = 0; i < ${N > 1 and "(n + " .. N - 1 .. ") / " .. N .. " * " .. N or "n"}; i++)
            if (i >= n${hides})
                for (int r = 0; r < ${P}; r++) s[${times("i")} + r] = -INFINITY;
    }

    vf m = vf_load(t->m), l = vf_load(t->l), lost = vf_load(t->l_lost), top = m;
    for (int32_t i = 0; i < ${times("n")}; i += W) top = vf_max(vf_load(s + i), top);
    top = vf_stride_max(top, ${P});
    const int rose = vf_any_gt(top, m);
    if (rose) {
        top = next_max(m, top);
        const vf alpha = vf_exp2_softmax(vf_sub(m, top));
        l = vf_mul(l, alpha);
        lost = vf_mul(lost, alpha);
        m = top;
        vf_store(w->alpha, alpha);
        vf_store(t->m, m);
    }
$ if a.dot.plain then
    vf sum = vf_zero(); /* of a turn, at most ${a.dot.keys} keys: exact additions would be waited for */
$ end
    for (int32_t i = 0; i < ${times("n")}; i += W) {
        const vf p = vf_exp2_softmax(vf_sub(vf_load(s + i), m));
$ if plan.scaled then
        vf_store(s + i, vf_mul(p, scale_lanes(vs, vs_step, i, n, ${P})));
$ else
        vf_store(s + i, p);
$ end
        ${a.dot.plain and "sum = vf_add(p, sum)" or "add_exactly(&l, &lost, p)"};
    }
$ if a.dot.plain then
    add_exactly(&l, &lost, sum);
$ end
    vf_store(t->l, l);
    vf_store(t->l_lost, lost);
    t->fresh = false;
