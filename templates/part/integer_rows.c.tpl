$ -- Rows of a tile as integer products take them, and what such a tile sums as columns in order.
$ local Q, QT = plan.type.q.suffix, plan.type.q.c
$ local codes = plan.codes
/* A row of a tile to codes of ${codes.words and "16" or "8"} bits: its largest number becomes ${codes.q_most}. What f32 has no codes
 * for becomes NaN, so that the row is computed in double (part/finish.c.tpl). */
static void pack_codes(tile *t, int32_t r, const float *row) {
    vf top = vf_zero(), odd = vf_zero();
    for (int32_t d = 0; d < D; d += W) {
        const vf z = vf_loadn(row + d, D - d);
        top = vf_max(vf_abs(z), top);
        odd = vf_add(odd, vf_sub(z, z)); /* 0, or NaN */
    }
    const float most = vf_reduce_max(top), unit = most * ${f32(1 / codes.q_most)};
    const bool in_range = most == 0 || (most >= ${f32(2^-80)} && most <= ${f32(2^80)});
    const bool ordinary = vf_reduce_add(odd) == 0 && in_range;
    const vf factor = vf_set1(ordinary && most > 0 ? ${f32(codes.q_most)} / most : 0);
    int32_t sum = 0;
    ${codes.words and "int16_t" or "int8_t"} *to = t->codes + r * ${codes.d};
    for (int32_t d = 0; d < ${codes.d}; d += W) {
        _Alignas(64) int32_t code[W];
        const vf z = vf_mul(vf_loadn(row + min32(d, D), max32(D - d, 0)), factor);
        vi_store(code, vi_round(ordinary ? z : vf_zero()));
        for (int i = 0; i < W; i++) to[d + i] = (${codes.words and "int16_t" or "int8_t"})code[i], sum += code[i];
    }
    t->unit[r] = ordinary ? unit : NAN;
$ if not codes.words then
    t->flipped[r] = 128 * sum;
$ else
    (void)sum;
$ end
}

/* The rows of a tile one after the other, scaled, in codes. */
static void pack_rows(const item *x, tile *t, int32_t rows) {
    _Alignas(64) float row[${plan.d_lanes}];
$ if not plan.rotate then
    const vf scale = vf_set1(${f32(plan.q_scale)});
$ end
    for (int32_t r = 0; r < rows; r++) {
        /* A row past the tile's repeats its last: computed, never read. */
        const int32_t from = min32(r, t->rows - 1);
$ if plan.rotate then
        rotated_row(x, t->head[from], t->row[from], ${f32(plan.q_scale)}, row, 1);
$ else
        const ${QT} *q = query_row(x, t->head[from], t->row[from]);
        for (int32_t d = 0; d < D; d += W)
            vf_store(row + d, vf_mul(load_n${Q}(q + d, D - d), scale));
$ end
        pack_codes(t, r, row);
    }
}

/* By lanes, as scores are. */
static void spread_units(tile *t, int32_t rows, int32_t lanes) {
    for (int32_t i = rows; i < lanes; i++) t->unit[i] = 0${codes.words and "" or ", t->flipped[i] = 0"};
    for (int32_t i = lanes; i < W; i++) {
        t->unit[i] = t->unit[i % lanes];
$ if not codes.words then
        t->flipped[i] = t->flipped[i % lanes];
$ end
    }
}
$ if codes.v_whole > 0 then

/* A row of O whose columns stand as products of woven values leave them, in order. */
static void order_columns(float *o) {
    for (int32_t c = 0; c < ${codes.v_whole}; c += 4 * W) {
        vf z[4] = {vf_load(o + c), vf_load(o + c + W), vf_load(o + c + 2 * W),
                   vf_load(o + c + 3 * W)};
        vf_unweave(z);
        vf_store(o + c, z[0]), vf_store(o + c + W, z[1]);
        vf_store(o + c + 2 * W, z[2]), vf_store(o + c + 3 * W, z[3]);
    }
}
$ end
