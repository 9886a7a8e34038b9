$ local mr, nv, U = plan.mr, plan.vectors, plan.unroll
$ assert(mr * nv + nv + 1 <= isa.registers, "gemm: the register tile does not fit")
/* --- Matrix products: t = a W^T --- */

#define EACH_ROW(m) ATTN_UNROLLED for (int i = 0; i < (m); i++)

/* W is packed in panels of NR columns, [k][NR] each; rows of `a` are read as they lie. A sum runs
 * over k from 0 on, whatever the rows and slices: its bits are the same in every tile. It has three
 * levels, so that its error does not grow with its length: SUM products in registers, from zero;
 * those of a SPAN in t; spans as if exactly (keep). ahead: floats from w to those weights that are
 * asked for meanwhile, perhaps past the last. m: rows, a constant. */
static ATTN_INLINE void tile(const int m, const float *restrict a, ptrdiff_t lda,
                             const float *restrict w, int64_t ahead, int32_t depth, bool first,
                             float *restrict t, ptrdiff_t ldt) {
    const float *row[MR];
    EACH_ROW(m) row[i] = a + i * lda;
    for (int32_t k = 0; k < depth; first = false) {
        const int32_t end = min32(k + SUM, depth);
        vf ${list(nv, function(n) return "s" .. n .. "[MR]" end)};
        EACH_ROW(m) ${list(nv, function(n) return "s" .. n .. "[i] = vf_zero()" end)};
$ for _, step in ipairs({ U, 1 }) do
        for (; k + ${step} <= end; k += ${step}) {
$   if step > 1 then
$     for line = 0, step * plan.nr - 1, plan.line do
            ATTN_PREFETCH_L1(ATTN_AHEAD(w, ${at("ahead + (int64_t)k * NR", line)}));
$     end
$   end
$   for u = 0, step - 1 do
            {
$     for n = 0, nv - 1 do
                const vf w${n} = vf_load(w + (int64_t)(k + ${u}) * NR + ${n * plan.width});
$     end
                EACH_ROW(m) {
                    const vf x = vf_bcast(row[i] + k + ${u});
$     for n = 0, nv - 1 do
                    s${n}[i] = vf_fma(x, w${n}, s${n}[i]);
$     end
                }
            }
$   end
        }
$ end
        EACH_ROW(m) {
            float *to = t + i * ldt;
            if (!first) {
$ for n = 0, nv - 1 do
                s${n}[i] = vf_add(vf_loadu(${at("to", n * plan.width)}), s${n}[i]);
$ end
            }
$ for n = 0, nv - 1 do
            vf_storeu(${at("to", n * plan.width)}, s${n}[i]);
$ end
        }
    }
}

$ for m = 1, mr do
static void tile_${m}(const float *restrict a, ptrdiff_t lda, const float *restrict w,
                   int64_t ahead, int32_t depth, bool first, float *restrict t, ptrdiff_t ldt) {
    tile(${m}, a, lda, w, ahead, depth, first, t, ldt);
}

$ end
$ local streams = plan.streams
/* t[${streams} * NR] = one row times ${streams} panels, which lie `step` floats apart: memory gives more to several
 * streams than to one. The sums are those of a tile. */
static void row_${streams}(const float *restrict a, const float *restrict w, ptrdiff_t step, int32_t depth,
                  float *restrict t) {
$ for p = 0, streams - 1 do
    const float *w${p} = w + ${p} * step;
$ end
    for (int32_t k = 0; k < depth;) {
        const bool first = k == 0;
        const int32_t end = min32(k + SUM, depth);
$ for p = 0, streams - 1 do
        vf ${list(nv, function(n) return "s" .. p .. "_" .. n .. " = vf_zero()" end)};
$ end
        for (; k < end; k++) {
            const vf x = vf_bcast(a + k);
            const int64_t at = (int64_t)k * NR;
$ for p = 0, streams - 1 do
$   for line = 0, plan.nr - 1, plan.line do
            ATTN_PREFETCH_L1(ATTN_AHEAD(w${p}, at + ${line + plan.row_ahead * plan.nr}));
$   end
$   for n = 0, nv - 1 do
            s${p}_${n} = vf_fma(x, vf_load(w${p} + at + ${n * plan.width}), s${p}_${n});
$   end
$ end
        }
        if (!first) {
$ for p = 0, streams - 1 do
$   for n = 0, nv - 1 do
            s${p}_${n} = vf_add(vf_loadu(t + ${p} * NR + ${n * plan.width}), s${p}_${n});
$   end
$ end
        }
$ for p = 0, streams - 1 do
$   for n = 0, nv - 1 do
        vf_storeu(t + ${p} * NR + ${n * plan.width}, s${p}_${n});
$   end
$ end
    }
}

/* Some rows times a panel's slice, in tiles of equal size as nearly as may be. */
static void slice_times(const float *a, ptrdiff_t lda, int32_t rows, const float *w,
                        int64_t ahead, int32_t depth, bool first, float *t, ptrdiff_t ldt) {
    int32_t tiles = (rows + MR - 1) / MR;
    for (int32_t r = 0, n; r < rows; r += n, tiles--) {
        n = (rows - r + tiles - 1) / tiles;
        const float *from = a + r * lda;
        float *to = t + r * ldt;
        switch (n) {
$ for m = 1, mr - 1 do
        case ${m}: tile_${m}(from, lda, w, ahead, depth, first, to, ldt); break;
$ end
        default: tile_${mr}(from, lda, w, ahead, depth, first, to, ldt); break;
        }
        ahead = 0; /* once is enough */
    }
}

/* t[rows][panels * NR] = a[rows][depth] times panels of packed weights, which are `panel` floats
 * apart, for a depth of SPAN at most. */
static void gemm_span(const float *a, ptrdiff_t lda, int32_t rows, const float *w, int64_t panel,
                      int32_t depth, int32_t panels, float *t) {
    if (rows == 1)
        for (; panels >= ${streams}; panels -= ${streams}, w += ${streams} * panel, t += ${streams} * NR)
            row_${streams}(a, w, panel, depth, t);
    const ptrdiff_t ldt = (ptrdiff_t)panels * NR;
    if (rows <= ${plan.few_tiles} * MR) { /* weights come from memory: as they lie */
        for (int32_t p = 0; p < panels; p++, w += panel)
            for (int32_t k = 0; k < depth; k += NEAR) {
                const float *at = w + (int64_t)k * NR;
                slice_times(a + k, lda, rows, at, AHEAD * NR, min32(NEAR, depth - k), k == 0,
                            t + (ptrdiff_t)p * NR, ldt);
            }
        return;
    }
    for (int32_t k = 0; k < depth; k += DEPTH)
        for (int32_t p = 0; p < panels; p++) {
            const float *at = w + p * panel + (int64_t)k * NR;
            slice_times(a + k, lda, rows, at, panel, min32(DEPTH, depth - k), k == 0,
                        t + (ptrdiff_t)p * NR, ldt);
        }
}

/* kept = the n sums of a span, or they are added to it, and what that rounds off to lost (Kahan
 * 1965). */
static void keep(const float *t, float *kept, float *lost, int32_t n, bool first) {
    for (int32_t c = 0; c < n; c += W) {
        const vf x = vf_load(t + c);
        if (first) {
            vf_store(kept + c, x);
            vf_store(lost + c, vf_zero());
            continue;
        }
        const vf old = vf_load(kept + c), y = vf_add(x, vf_load(lost + c)), sum = vf_add(old, y);
        vf_store(kept + c, sum);
        vf_store(lost + c, vf_sub(y, vf_sub(sum, old)));
    }
}

/* s->t[rows][panels * NR] = a[rows][depth] times panels of packed weights. */
static void gemm(const float *a, ptrdiff_t lda, int32_t rows, const float *w, int32_t depth,
                 int32_t panels, scratch *s) {
    const int64_t panel = (int64_t)depth * NR;
    const int32_t n = rows * panels * NR;
    for (int32_t k = 0; k < depth; k += SPAN) {
        const int32_t deep = min32(SPAN, depth - k);
        gemm_span(a + k, lda, rows, w + (int64_t)k * NR, panel, deep, panels, s->t);
        if (depth > SPAN) keep(s->t, s->kept, s->lost, n, k == 0);
    }
    if (depth > SPAN) memcpy(s->t, s->kept, sizeof(float) * (size_t)n);
}
