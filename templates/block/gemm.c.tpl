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
$ local streams = plan.streams
/* t[${streams} * NR] = one row times ${streams} panels, which lie `step` floats apart: memory gives more to several
 * streams than to one. The sums are tile_1's. */
static void row_${streams}(const float *restrict a, const float *restrict w, ptrdiff_t step, int32_t depth,
                  float *restrict t) {
$ for p = 0, streams - 1 do
    const float *w${p} = w + ${p} * step;
    vf ${list(nv, function(n) return "s" .. p .. "_" .. n .. " = vf_zero()" end)};
$ end
    for (int32_t k = 0; k < depth; k++) {
        const vf x = vf_bcast(a + k);
        const int64_t at = (int64_t)k * NR;
$ for p = 0, streams - 1 do
$   for line = 0, plan.nr - 1, 16 do
        ATTN_PREFETCH_L1(w${p} + at + ${line + 16 * plan.nr});
$   end
$   for n = 0, nv - 1 do
        s${p}_${n} = vf_fma(x, vf_load(w${p} + at + ${n * plan.width}), s${p}_${n});
$   end
$ end
    }
$ for p = 0, streams - 1 do
$   for n = 0, nv - 1 do
    vf_storeu(t + ${p} * NR + ${n * plan.width}, s${p}_${n});
$   end
$ end
}

/* Some rows times a panel's slice, in tiles of equal size as nearly as may be. */
static void slice_times(const float *a, ptrdiff_t lda, int32_t rows, const float *w,
                        const float *next, int32_t depth, bool first, float *t, ptrdiff_t ldt) {
    int32_t tiles = (rows + MR - 1) / MR;
    for (int32_t r = 0, n; r < rows; r += n, tiles--) {
        n = (rows - r + tiles - 1) / tiles;
        const float *from = a + r * lda;
        float *to = t + r * ldt;
        switch (n) {
$ for m = 1, mr - 1 do
        case ${m}: tile_${m}(from, lda, w, next, depth, first, to, ldt); break;
$ end
        default: tile_${mr}(from, lda, w, next, depth, first, to, ldt); break;
        }
        next = w; /* once is enough */
    }
}

/* t[rows][panels * NR] = a[rows][depth] times panels of packed weights. */
static void gemm(const float *a, ptrdiff_t lda, int32_t rows, const float *w, int32_t depth,
                 int32_t panels, float *t) {
    const int64_t panel = (int64_t)depth * NR;
    if (rows == 1)
        for (; panels >= ${streams}; panels -= ${streams}, w += ${streams} * panel, t += ${streams} * NR)
            row_${streams}(a, w, panel, depth, t);
    const ptrdiff_t ldt = (ptrdiff_t)panels * NR;
    if (rows <= 2 * MR) { /* weights come from memory: as they lie */
        for (int32_t p = 0; p < panels; p++, w += panel)
            for (int32_t k = 0; k < depth; k += NEAR) {
                const float *at = w + (int64_t)k * NR;
                slice_times(a + k, lda, rows, at, at + AHEAD * NR, min32(NEAR, depth - k), k == 0,
                            t + (ptrdiff_t)p * NR, ldt);
            }
        return;
    }
    for (int32_t k = 0; k < depth; k += DEPTH)
        for (int32_t p = 0; p < panels; p++) {
            const float *at = w + p * panel + (int64_t)k * NR;
            slice_times(a + k, lda, rows, at, at + panel, min32(DEPTH, depth - k), k == 0,
                        t + (ptrdiff_t)p * NR, ldt);
        }
}
