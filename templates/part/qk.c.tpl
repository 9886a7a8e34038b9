$ -- S transposed: keys x query vectors in registers; queries along the lanes, so that no sum ever
$ -- crosses lanes and K is read as it lies, one broadcast a key and column.
$ local W, nv = plan.width, a.nv
$ local R, MR = nv * W, plan.tile[nv].keys
$ local U = plan.tile[nv].unroll
$ assert(MR * nv + nv + 1 <= isa.registers, "qk: the register tile does not fit")
/* s[key][${R}] = K Q^T for ${MR} keys x ${R} queries; mx: running maximum of each lane. */
static inline void qk_${nv}(const float *restrict k, ptrdiff_t ldk, const float *restrict q,
                        float *restrict s, vf *restrict mx) {
$ for m = 1, MR - 1 do
    const float *k${m} = k + ${m} * ldk;
$ end
$ for m = 0, MR - 1 do
    vf ${list(nv, function(n) return "s" .. m .. "_" .. n .. " = vf_zero()" end)};
$ end
$ local main = plan.d // U * U
$ if U < plan.d then
    for (int d = 0; d < ${main}; d += ${U}) {
$ else
    {
        enum { d = 0 };
$ end
$ for u = 0, U - 1 do
        {
$   for n = 0, nv - 1 do
            const vf q${n} = vf_load(q + (d + ${u}) * ${R} + ${n * W});
$   end
$   for m = 0, MR - 1 do
            const vf b${m} = vf_bcast(k${m > 0 and m or ""} + d + ${u});
$     for n = 0, nv - 1 do
            s${m}_${n} = vf_fma(b${m}, q${n}, s${m}_${n});
$     end
$   end
        }
$ end
    }
$ for d = main, plan.d - 1 do
    {
$   for n = 0, nv - 1 do
        const vf q${n} = vf_load(q + ${d * R + n * W});
$   end
$   for m = 0, MR - 1 do
        const vf b${m} = vf_bcast(k${m > 0 and m or ""} + ${d});
$     for n = 0, nv - 1 do
        s${m}_${n} = vf_fma(b${m}, q${n}, s${m}_${n});
$     end
$   end
    }
$ end
$ -- The score first: a NaN must not become the maximum (vf_max returns its second operand then).
$ for n = 0, nv - 1 do
    vf m${n} = mx[${n}];
$   for m = 0, MR - 1 do
    m${n} = vf_max(s${m}_${n}, m${n});
$   end
    mx[${n}] = m${n};
$ end
$ for m = 0, MR - 1 do
$   for n = 0, nv - 1 do
    vf_store(s + ${m * R + n * W}, s${m}_${n});
$   end
$ end
}
