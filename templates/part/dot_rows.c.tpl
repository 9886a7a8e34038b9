$ -- Rows of a tile of dot products, before they run.
$ local Q, QT = plan.type.q.suffix, plan.type.q.c
$ if plan.codes then
${part("part/integer_rows.c")}

$ else
/* The rows of a tile one after the other, scaled, as dot products want them. */
static void pack_rows(const item *x, tile *t, int32_t rows) {
    enum { DP = (D + W - 1) / W * W };
$   if not plan.rotate then
    const vf scale = vf_set1(${f32(plan.q_scale)});
$   end
    for (int32_t r = 0; r < rows; r++) {
        /* A row past the tile's repeats its last: computed, never read. */
        const int32_t from = min32(r, t->rows - 1);
$   if plan.rotate then
        rotated_row(x, t->head[from], t->row[from], ${f32(plan.q_scale)}, t->q + r * DP, 1);
        for (int32_t d = D; d < DP; d++) t->q[r * DP + d] = 0;
$   else
        const ${QT} *row = query_row(x, t->head[from], t->row[from]);
        for (int32_t d = 0; d < D; d += W) {
            const vf z = load_n${Q}(row + d, D - d);
            vf_store(t->q + r * DP + d, vf_mul(z, scale));
        }
$     if plan.pair_d > 0 then
        for (int32_t d = 0; d < ${plan.pair_d}; d += 2 * W) vf_split(t->q + r * DP + d);
$     end
$   end
    }
}

$ end
/* Rows that run as dot products: every key's lanes say what its rows see. */
static void dot_begin(const item *x, tile *t, int32_t rows, int32_t lanes) {
    for (int32_t i = lanes; i < W; i++) {
        t->head[i] = t->head[i % lanes], t->pos[i] = t->pos[i % lanes];
        t->from[i] = t->from[i % lanes], t->to[i] = t->to[i % lanes];
    }
    pack_rows(x, t, rows);
$   if plan.codes then
    spread_units(t, rows, lanes);
$   end
    memset(t->o, 0, sizeof(float) * DVP * (size_t)rows);
}
