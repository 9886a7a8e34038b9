$ local mr, nv, U = plan.mr, plan.nr // plan.width, plan.unroll
$ assert(mr * nv + nv + 1 <= isa.registers, "gemm: the register tile does not fit")
/* --- Matrix products: t = a W^T --- */

/* W is packed in panels of NR columns, [k][NR] each; rows of `a` are read as they lie. A sum runs
 * over k from 0 on, whatever the rows and slices: its bits are the same in every tile. next:
 * weights to ask for meanwhile. */
$ for m = 1, mr do
static void tile_${m}(const float *restrict a, ptrdiff_t lda, const float *restrict w,
                   const float *next, int32_t depth, bool first, float *restrict t,
                   ptrdiff_t ldt) {
$   for i = 1, m - 1 do
    const float *a${i} = a + ${i} * lda;
$   end
$   for i = 0, m - 1 do
    vf ${list(nv, function(n) return "s" .. i .. "_" .. n .. " = vf_zero()" end)};
$   end
$   if m == 1 then
    (void)lda;
$   end
    if (!first) {
$   for i = 0, m - 1 do
$     for n = 0, nv - 1 do
        s${i}_${n} = vf_loadu(t + ${i} * ldt + ${n * plan.width});
$     end
$   end
    }
    int32_t k = 0;
$   for _, step in ipairs({ U, 1 }) do
    for (; k + ${step} <= depth; k += ${step}) {
$     if step > 1 then
$       for line = 0, step * plan.nr - 1, 16 do
        ATTN_PREFETCH_L1(next + (int64_t)k * NR + ${line});
$       end
$     end
$     for u = 0, step - 1 do
        {
$       for n = 0, nv - 1 do
            const vf w${n} = vf_load(w + (int64_t)(k + ${u}) * NR + ${n * plan.width});
$       end
$       for i = 0, m - 1 do
            const vf x${i} = vf_bcast(a${i > 0 and i or ""} + k + ${u});
$         for n = 0, nv - 1 do
            s${i}_${n} = vf_fma(x${i}, w${n}, s${i}_${n});
$         end
$       end
        }
$     end
    }
$   end
$   for i = 0, m - 1 do
$     for n = 0, nv - 1 do
    vf_storeu(t + ${i} * ldt + ${n * plan.width}, s${i}_${n});
$     end
$   end
}

$ end
/* t[rows][panels * NR] = a[rows][depth] times panels of packed weights. */
static void gemm(const float *a, ptrdiff_t lda, int32_t rows, const float *w, int32_t depth,
                 int32_t panels, float *t) {
    const ptrdiff_t ldt = (ptrdiff_t)panels * NR;
    const int32_t slice = rows > MR ? DEPTH : depth; /* one tile reads W once, as it lies */
    for (int32_t k = 0; k < depth; k += slice) {
        const int32_t some = min32(slice, depth - k);
        for (int32_t p = 0; p < panels; p++) {
            const float *panel = w + (int64_t)p * depth * NR + (int64_t)k * NR;
            const float *ahead = panel + (rows > MR ? (int64_t)depth * NR : 64 * NR);
            for (int32_t r = 0; r < rows; r += MR) {
                const float *from = a + r * lda + k;
                const float *next = r == 0 ? ahead : panel; /* once is enough */
                float *to = t + r * ldt + (ptrdiff_t)p * NR;
                switch (min32(MR, rows - r)) {
$ for m = 1, mr - 1 do
                case ${m}: tile_${m}(from, lda, panel, next, some, k == 0, to, ldt); break;
$ end
                default: tile_${mr}(from, lda, panel, next, some, k == 0, to, ldt); break;
                }
            }
        }
    }
}
