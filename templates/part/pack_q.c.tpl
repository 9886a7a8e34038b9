$ -- Q tile to [d][row] by W x W transposes, scaled. Rows past the tile's are zero.
/* q[d][row] = scaled query rows of the tile, transposed; as many rows as its vectors hold. */
static void pack_q(const item *x, tile *t) {
    const attn_view *q = &x->args->q;
    const vf scale = vf_set1(${f32(plan.q_scale)});
    const int32_t rows = t->vectors * W;
    for (int32_t v = 0; v < rows; v += W) {
        const float *row[W];
        for (int i = 0; i < W; i++) {
            const int r = v + i;
            row[i] = r < t->rows ? q->data + x->b * q->batch + t->head[r] * q->head +
                                       t->row[r] * q->token
                                 : NULL;
        }
        for (int d = 0; d < D; d += W) {
            const int n = min32(W, D - d);
            vf c[W];
            for (int i = 0; i < W; i++) c[i] = row[i] ? load_n(row[i] + d, n) : vf_zero();
            vf_transpose(c);
            float *to = t->q + d * rows + v;
            for (int i = 0; i < n; i++) vf_store(to + i * rows, vf_mul(c[i], scale));
        }
    }
}
