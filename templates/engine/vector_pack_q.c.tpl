$ -- Q tile to [d][row] by W x W transposes, scaled.
$ local W = plan.width
$ local Q, QT = plan.type.q.suffix, plan.type.q.c
$ local main = plan.d_whole
$ if plan.rotate then
/* q[d][row] = scaled query rows of the tile, rotated; as many rows as its vectors hold. */
static void pack_q(const item *x, tile *t) {
    const int32_t rows = t->vectors * W;
    for (int32_t r = 0; r < t->rows; r++)
        rotated_row(x, t->head[r], t->row[r], ${f32(plan.q_scale)}, t->q + r, rows);
    for (int32_t r = t->rows; r < rows; r++)
        for (int32_t d = 0; d < D; d++) t->q[d * rows + r] = 0;
}
$ else
/* Stands for the rows past a tile's. */
static const ${QT} no_row[D] = {0};

/* q[d][row] = scaled query rows of the tile, transposed; as many rows as its vectors hold.${plan.pairs and "\n * d: of pairs of bf16." or ""} */
static void pack_q(const item *x, tile *t) {
    const vf scale = vf_set1(${f32(plan.q_scale)});
    const int32_t rows = t->vectors * W;
    for (int32_t v = 0; v < rows; v += W) {
        const ${QT} *row[W];
        for (int i = 0; i < W; i++) {
            const int32_t r = v + i;
            row[i] = r < t->rows ? query_row(x, t->head[r], t->row[r]) : no_row;
        }
        float *to = t->q + v;
        vf c[W];
$ if main > 0 then
        for (int d = 0; d < ${main}; d += W, to += ${plan.pairs and "W / 2" or "W"} * rows) {
$   for i = 0, W - 1 do
            c[${i}] = vf_loadu${Q}(row[${i}] + d);
$   end
            vf_transpose(c);
$   if plan.pairs then
            for (int i = 0; i < W; i += 2)
                vf_store(to + i / 2 * rows, vf_pairs(vf_mul(c[i], scale), vf_mul(c[i + 1], scale)));
$   end
$   for i = 0, plan.pairs and -1 or W - 1 do
            vf_store(${at("to", 0, i, "rows")}, vf_mul(c[${i}], scale));
$   end
        }
$ end
$ if main < plan.d then
        for (int i = 0; i < W; i++) c[i] = vf_loadn${Q}(row[i] + ${main}, ${plan.d - main});
        vf_transpose(c);
$   if plan.pairs then
        for (int i = 0; i < ${plan.d - main}; i += 2)
            vf_store(to + i / 2 * rows, vf_pairs(vf_mul(c[i], scale), vf_mul(c[i + 1], scale)));
$   else
        for (int i = 0; i < ${plan.d - main}; i++) vf_store(to + i * rows, vf_mul(c[i], scale));
$   end
$ end
    }
}
$ end
