$ -- Some rows times panels of weights of one type. a.type: a type that the plan's matrices have.
$ -- a.rows: single rows as well.
$ local mr, nv, U, streams = plan.mr, plan.vectors, plan.unroll, a.type.streams
$ local W, S = hooks("weight/" .. a.type.name .. ".c"), a.type.suffix
$ local E, blocks = W.element, a.type.block > 1
$ -- Blocks are widened for all but single rows.
$ if blocks then
$   W.values()
$ else
$ if S == "" then
/* W is packed in panels of NR columns, [k][NR] each; rows of `a` are read as they lie. A sum runs
 * over k from 0 on, whatever the rows and slices: its bits are the same in every tile. It has three
 * levels, so that its error does not grow with its length: SUM products in registers, from zero;
 * those of a SPAN in t; spans as if exactly (keep). ahead: floats from w to those weights that are
 * asked for meanwhile, perhaps past the last. m: rows, a constant. */
$ else
/* The same of weights in ${a.type.name}: widened, they are multiplied and summed as those in f32. */
$ end
static ATTN_INLINE void tile${S}(const int m, const float *restrict a, ptrdiff_t lda,
                             const ${E} *restrict w, int64_t ahead, int32_t depth, bool first,
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
$     for line = 0, step * plan.nr - 1, a.type.line do
            ATTN_PREFETCH_L1(ATTN_AHEAD(w, ${at("ahead + (int64_t)k * NR", line)}));
$     end
$   end
$   for u = 0, step - 1 do
            {
$     for n = 0, nv - 1 do
                const vf w${n} = ${W.load(at("w + (int64_t)" .. (u > 0 and "(k + " .. u .. ")" or "k") .. " * NR", n * plan.width))};
$     end
                EACH_ROW(m) {
                    const vf x = vf_bcast(${at("row[i] + k", u)});
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
static void tile_${m}${S}(const float *restrict a, ptrdiff_t lda, const ${E} *restrict w,
                   int64_t ahead, int32_t depth, bool first, float *restrict t, ptrdiff_t ldt) {
    tile${S}(${m}, a, lda, w, ahead, depth, first, t, ldt);
}

$ end
$ end
$ if a.rows then
/* t[${streams} * NR] = one row times ${streams} panels, which lie `step` ${S == "" and "floats" or "elements"} apart: memory gives more to several
 * streams than to one. The sums are those of a tile. */
static void row_${streams}${S}(const float *restrict a, const ${E} *restrict w, ptrdiff_t step,
                  int32_t depth, float *restrict t) {
$ for p = 0, streams - 1 do
    const ${E} *w${p} = ${at("w", 0, p, "step")};
$ end
    for (int32_t k = 0; k < depth;) {
        const bool first = k == 0;
        const int32_t end = min32(k + SUM, depth);
$ for p = 0, streams - 1 do
        vf ${list(nv, function(n) return "s" .. p .. "_" .. n .. " = vf_zero()" end)};
$ end
$   if blocks then
        for (; k < end; k += ${W.part}) {
$     for p = 0, streams - 1 do
            ${lines(W.point("w" .. p, "k", p))}
$       for line = 0, plan.block_ahead > 0 and a.type.layout.part_bytes - 1 or -1, 64 do
            ATTN_PREFETCH_L1(ATTN_AHEAD(c${p}, ${line + plan.block_ahead}));
$       end
$       for n = 0, nv - 1 do
            ${lines(W.head(p, "k", n, p .. "_" .. n))}
$       end
$     end
            for (int32_t j = 0; j < ${W.part}; j += 8) {
$     for p = 0, streams - 1 do
$       for n = 0, nv - 1 do
                ${lines(W.codes(p, "j", n, p .. "_" .. n))}
$       end
$     end
$     for i = 0, 7 do
                {
                    const vf x = vf_bcast(${at("a + k + j", i)});
$       for p = 0, streams - 1 do
$         for n = 0, nv - 1 do
                    s${p}_${n} = vf_fma(x, ${W.load(i, p .. "_" .. n)}, s${p}_${n});
$         end
$       end
                }
$     end
            }
        }
$   else
        for (; k < end; k++) {
            const vf x = vf_bcast(a + k);
            const int64_t at = (int64_t)k * NR;
$ for p = 0, streams - 1 do
$   for line = 0, plan.nr - 1, a.type.line do
            ATTN_PREFETCH_L1(ATTN_AHEAD(w${p}, at + ${line + plan.row_ahead * plan.nr}));
$   end
$   for n = 0, nv - 1 do
            s${p}_${n} = vf_fma(x, ${W.load(at("w" .. p .. " + at", n * plan.width))}, s${p}_${n});
$   end
$ end
        }
$   end
        if (!first) {
$ for p = 0, streams - 1 do
$   for n = 0, nv - 1 do
            s${p}_${n} = vf_add(vf_loadu(${at("t", n * plan.width, p, "NR")}), s${p}_${n});
$   end
$ end
        }
$ for p = 0, streams - 1 do
$   for n = 0, nv - 1 do
        vf_storeu(${at("t", n * plan.width, p, "NR")}, s${p}_${n});
$   end
$ end
    }
}

$ end
$ if not blocks then
/* Some rows times a panel's slice, in tiles of equal size as nearly as may be. */
static void slice_times${S}(const float *a, ptrdiff_t lda, int32_t rows, const ${E} *w,
                        int64_t ahead, int32_t depth, bool first, float *t, ptrdiff_t ldt) {
    int32_t tiles = (rows + MR - 1) / MR;
    for (int32_t r = 0, n; r < rows; r += n, tiles--) {
        n = (rows - r + tiles - 1) / tiles;
        const float *from = a + r * lda;
        float *to = t + r * ldt;
        switch (n) {
$ for m = 1, mr - 1 do
        case ${m}: tile_${m}${S}(from, lda, w, ahead, depth, first, to, ldt); break;
$ end
        default: tile_${mr}${S}(from, lda, w, ahead, depth, first, to, ldt); break;
        }
        ahead = 0; /* once is enough */
    }
}
$ end
