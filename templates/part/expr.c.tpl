$ -- The expressions in scalar form (for the reference and for tests), and the tile classifier.
$ if expr.score then
${comment("score: " .. expr.score.text)}
static double score_at(const attn_expr_ctx *x, int32_t h, int32_t q, int32_t k, double s,
                       bool *oob) {
    (void)s;
    ${lines(expr.score.scalar)}
}

$ end
$ if expr.mask then
${comment("mask: " .. expr.mask.text)}
static bool mask_at(const attn_expr_ctx *x, int32_t h, int32_t q, int32_t k, bool *oob) {
    ${lines(expr.mask.scalar)}
}

/* Whether the mask shows none, all or some of the box, by interval evaluation. */
static ATTN_CLASSIFIER attn_tile_class mask_classify(const attn_expr_ctx *x,
                                                     const attn_tile_box *box) {
    ${lines(expr.mask.classify)}
}

$   local bounds = expr.mask.range_text ~= "" and ": " .. expr.mask.range_text or ""
${comment("Keys that the mask can show in the box" .. bounds .. ".")}
static ATTN_CLASSIFIER void mask_range(const attn_expr_ctx *x, const attn_tile_box *box,
                                       int32_t *lo, int32_t *hi) {
    ${lines(expr.mask.range)}
}

$ end
static const attn_expr_hooks hooks = {
$ if expr.score then
    .score = score_at,
$ end
$ if expr.mask then
    .mask = mask_at,
    .classify = mask_classify,
    .range = mask_range,
$ end
$ if expr.relative then
    .relative = true,
$ end
};
$ if #expr.sides > 0 then

$   if plan.minmax then
enum { SIDES = ${#expr.sides}, MINMAX_SIDES = ${plan.minmax_sides} }; /* a bit a side */
$   end
static const attn_side_decl sides[] = {
$ for _, side in ipairs(expr.sides) do
    {.name = "${side.name}",
     .is_float = ${side.is_float and "true" or "false"},
     .rank = ${side.rank},
     .dim = {${table.concat(side.dims, ", ")}}},
$ end
};
$ end
