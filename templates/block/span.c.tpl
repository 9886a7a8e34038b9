$ -- Many rows times panels of weights of one type: a.type. Those that are not f32 are widened, a
$ -- slice of a panel at a time, and tiles of f32 run over it.
$ local W, S, streams = hooks("weight/" .. a.type.name .. ".c"), a.type.suffix, a.type.streams
$ local E, plain, blocks = W.element, a.type.name == "f32", a.type.block > 1
$ if not plain then
/* to[depth][NR] = a panel's slice. ahead: as in a tile. */
static void widen${S}(const ${E} *restrict w, int64_t ahead, int32_t depth,
                       float *restrict to) {
$   if blocks then
    for (int32_t k = 0; k < depth; k += ${W.part}) {
        ${lines(W.point("w", "k", ""))}
$     for line = 0, a.type.layout.part_bytes - 1, 64 do
        ATTN_PREFETCH_L1(ATTN_AHEAD(c, ${at("ahead", line)}));
$     end
$     for n = 0, plan.vectors - 1 do
        ${lines(W.head("", "k", n, n))}
$     end
        for (int32_t j = 0; j < ${W.part}; j += 8, to += 8 * NR) {
$     for n = 0, plan.vectors - 1 do
            ${lines(W.codes("", "j", n, n))}
$     end
$     for i = 0, 7 do
$       for n = 0, plan.vectors - 1 do
            vf_store(${at("to", i * plan.nr + n * plan.width)}, ${W.load(i, n)});
$       end
$     end
        }
    }
}
$   else
    for (int32_t k = 0; k < depth; k++, w += NR, to += NR) {
$   for line = 0, plan.nr - 1, a.type.line do
        ATTN_PREFETCH_L1(ATTN_AHEAD(w, ${at("ahead", line)}));
$   end
$   for n = 0, plan.vectors - 1 do
        vf_store(${at("to", n * plan.width)}, ${W.load(at("w", n * plan.width))});
$   end
    }
}
$   end

$ end
/* t[rows][panels * NR] = a[rows][depth] times panels of packed weights, which are `panel` ${plain and "floats" or blocks and "bytes" or "elements"}
 * apart, for a depth of SPAN at most. */
static void gemm_span${S}(const float *a, ptrdiff_t lda, int32_t rows, const ${E} *w,
                      int64_t panel, int32_t depth, int32_t panels,${plain and "" or " float *wide,"} float *t) {
    if (rows == 1)
        for (; panels >= ${streams}; panels -= ${streams}, w += ${streams} * panel, t += ${streams} * NR)
            row_${streams}${S}(a, w, panel, depth, t);
    const ptrdiff_t ldt = (ptrdiff_t)panels * NR;
    if (rows <= ${plan.few_tiles} * MR) { /* weights come from memory: as they lie */
        for (int32_t p = 0; p < panels; p++, w += panel)
            for (int32_t k = 0; k < depth; k += ${blocks and a.type.near or "NEAR"}) {
                const ${E} *at = w + ${W.offset("k")};
$ if blocks then
                const int32_t deep = min32(${a.type.near}, depth - k);
                widen${S}(at, ${W.offset(a.type.near)}, deep, wide);
                slice_times(a + k, lda, rows, wide, 0, deep, k == 0, t + (ptrdiff_t)p * NR, ldt);
$ else
                slice_times${S}(a + k, lda, rows, at, AHEAD * NR, min32(NEAR, depth - k), k == 0,
                            t + (ptrdiff_t)p * NR, ldt);
$ end
            }
        return;
    }
    for (int32_t k = 0; k < depth; k += DEPTH)
        for (int32_t p = 0; p < panels; p++) {
            const ${E} *at = w + p * panel + ${W.offset("k")};
$ if plain then
            slice_times(a + k, lda, rows, at, panel, min32(DEPTH, depth - k), k == 0,
$ else
            const int32_t deep = min32(DEPTH, depth - k);
            widen${S}(at, panel, deep, wide);
            slice_times(a + k, lda, rows, wide, 0, deep, k == 0,
$ end
                        t + (ptrdiff_t)p * NR, ldt);
        }
}
