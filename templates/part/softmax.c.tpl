$ local W, nv = plan.width, a.nv
$ local R = nv * W
$ -- s = exp of the scores minus m, and l += its sums, as text of a function's body.
$ local function exps(exp)
    for (int32_t key = 0; key < n;) { /* a few keys at a time, so that their sum rounds little */
        const int32_t end = min32(key + ${plan.exp_sums}, n);
        vf ${list(nv, function(j) return "sum" .. j .. " = vf_zero()" end)};
        for (; key < end; key++, s += ${R}) {
            vf p[${nv}];
$ for j = 0, nv - 1 do
            p[${j}] = vf_sub(vf_load(${at("s", j * W)}), m${j});
$ end
            ${exp}(p, ${nv});
$ for j = 0, nv - 1 do
            vf_store(${at("s", j * W)}, p[${j}]);
            sum${j} = vf_add(sum${j}, p[${j}]);
$ end
        }
$ for j = 0, nv - 1 do
        add_exactly(&l${j}, &lost${j}, sum${j});
$ end
    }
$ end
/* s = exp2(s - m) in place over n keys, and l += its sums, for maxima m no less than mx, the
 * largest scores with these keys. Returns whether a maximum rose: alpha then holds the factors of
 * what came before. */
static inline int softmax_${nv}(float *restrict s, int32_t n, tile *restrict t, const vf *restrict mx,
                            float *restrict alpha) {
$ for j = 0, nv - 1 do
    vf m${j} = vf_load(${at("t->m", j * W)});
    vf l${j} = vf_load(${at("t->l", j * W)}), lost${j} = vf_load(${at("t->l_lost", j * W)});
$ end
    const int rose = ${list(nv, function(j) return "vf_any_gt(mx[" .. j .. "], m" .. j .. ")" end, nv > 3 and " |\n                     " or " | ")};
    if (rose) {
$ for j = 0, nv - 1 do
        const vf to${j} = next_max(m${j}, mx[${j}]), a${j} = vf_exp2_softmax(vf_sub(m${j}, to${j}));
        vf_store(${at("alpha", j * W)}, a${j});
        vf_store(${at("t->m", j * W)}, to${j});
        m${j} = to${j};
        l${j} = vf_mul(l${j}, a${j});
        lost${j} = vf_mul(lost${j}, a${j});
$ end
    }
$ exps("vf_exp2_softmax_each")
$ for j = 0, nv - 1 do
    vf_store(${at("t->l", j * W)}, l${j});
    vf_store(${at("t->l_lost", j * W)}, lost${j});
$ end
    return rose;
}

$ if plan.tile[nv].lazy then
/* s = exp2(s - m) in place over n keys for a reference m, and l + lost += its sums. */
static inline void exp_rows_${nv}(float *restrict s, int32_t n, const vf *restrict m, vf *restrict l,
                              vf *restrict lost) {
$ for j = 0, nv - 1 do
    const vf m${j} = m[${j}];
    vf l${j} = l[${j}], lost${j} = lost[${j}];
$ end
$ exps("vf_exp2_lazy_each")
$ for j = 0, nv - 1 do
    l[${j}] = l${j};
    lost[${j}] = lost${j};
$ end
}

/* Sums far from 1 say that the reference is far from the maximum, or a score is NaN. */
static inline int lazy_ok_${nv}(const vf *l) {
    const vf least = vf_set1(${f32(2^-60)}), most = vf_set1(${f32(2^60)});
    vm ok = vm_and(vf_lt(least, l[0]), vf_lt(l[0], most));
$ for j = 1, nv - 1 do
    ok = vm_and(ok, vm_and(vf_lt(least, l[${j}]), vf_lt(l[${j}], most)));
$ end
    return vm_all(ok);
}
$ end
