$ local W, nv = plan.width, a.nv
$ local R = nv * W
/* s = exp2(s - m) in place over n keys, and l += its sums; mx: the maxima with these keys. Returns
 * whether a maximum rose: alpha then holds the factors of what came before. */
static inline int softmax_${nv}(float *restrict s, int32_t n, tile *restrict t, const vf *restrict mx,
                            float *restrict alpha) {
$ for j = 0, nv - 1 do
    const vf m${j} = mx[${j}], old${j} = vf_load(t->m + ${j * W});
    vf l${j} = vf_load(t->l + ${j * W});
$ end
    const int rose = ${list(nv, function(j) return "vf_any_gt(m" .. j .. ", old" .. j .. ")" end, " | ")};
    if (rose) {
$ for j = 0, nv - 1 do
        const vf a${j} = vf_exp2_softmax(vf_sub(old${j}, m${j}));
        vf_store(alpha + ${j * W}, a${j});
        vf_store(t->m + ${j * W}, m${j});
        l${j} = vf_mul(l${j}, a${j});
$ end
    }
    for (int32_t key = 0; key < n; key++, s += ${R}) {
$ for j = 0, nv - 1 do
        const vf p${j} = vf_exp2_softmax(vf_sub(vf_load(s + ${j * W}), m${j}));
$ end
$ for j = 0, nv - 1 do
        vf_store(s + ${j * W}, p${j});
        l${j} = vf_add(l${j}, p${j});
$ end
    }
$ for j = 0, nv - 1 do
    vf_store(t->l + ${j * W}, l${j});
$ end
    return rose;
}
