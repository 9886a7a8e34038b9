$ -- Products of rows with weights of each type that the layer's matrices have.
$ assert(plan.mr * plan.vectors + plan.vectors + 1 <= isa.registers, "gemm: the register tile does not fit")
$ local f32 = plan.floats
/* --- Matrix products: t = a W^T --- */

#define EACH_ROW(m) ATTN_UNROLLED for (int i = 0; i < (m); i++)

$ if not plan.has_floats and #plan.weights > 0 then
${part("block/tile.c", { type = f32, rows = false })}

$ end
$ for _, type in ipairs(plan.weights) do
${part("block/tile.c", { type = type, rows = true })}

$ end
$ for _, type in ipairs(plan.weights) do
${part("block/span.c", { type = type })}

$ end
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

$ for i, type in ipairs(plan.weights) do
$   local W, S, plain = hooks("weight/" .. type.name .. ".c"), type.suffix, type.name == "f32"
/* s->t[rows][panels * NR] = a[rows][depth] times panels of packed weights. */
static void gemm${S}(const float *a, ptrdiff_t lda, int32_t rows, const ${W.element} *w, int32_t depth,
                 int32_t panels, scratch *s) {
    const int64_t panel = ${W.offset("depth")};
    const int32_t n = rows * panels * NR;
    for (int32_t k = 0; k < depth; k += SPAN) {
        const int32_t deep = min32(SPAN, depth - k);
        const ${W.element} *from = w + ${W.offset("k")};
        gemm_span${S}(a + k, lda, rows, from, panel, deep, panels, ${plain and "" or "s->wide, "}s->t);
        if (depth > SPAN) keep(s->t, s->kept, s->lost, n, k == 0);
    }
    if (depth > SPAN) memcpy(s->t, s->kept, sizeof(float) * (size_t)n);
}
$   if i < #plan.weights then

$   end
$ end
$ for i, type in ipairs(plan.integer_weights) do

${part("block/integers.c", { type = type, first = i == 1 })}
$ end
