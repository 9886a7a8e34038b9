/* --- decode: few query rows, keys split in fixed parts that are merged in order --- */

/* Partial results of one row over one part. */
typedef struct partial {
    float *m, *l, *o; /* o: DVP */
} partial;

static partial partial_of(const call *c, int32_t b, int32_t g, int32_t part, int32_t row) {
    const int64_t i = (((int64_t)b * GROUPS + g) * c->parts + part) * c->rows + row;
    float *p = c->partial + i * (DVP + 16);
    return (partial){p + DVP, p + DVP + 1, p};
}

$ if #plan.dot_rows > 0 then
/* The rows of a tile one after the other, scaled, as dot products want them. */
static void pack_rows(const item *x, tile *t, int32_t rows) {
    enum { DP = (D + W - 1) / W * W };
    const attn_view *q = &x->args->q;
    const vf scale = vf_set1(${f32(plan.q_scale)});
    memset(t->o, 0, sizeof(float) * DVP * (size_t)rows);
    for (int32_t r = 0; r < rows; r++) {
        /* A row past the tile's repeats its last: computed, never read. */
        const int32_t from = min32(r, t->rows - 1);
        const float *row = q->data + x->b * q->batch + t->head[from] * q->head +
                           t->row[from] * q->token;
        for (int32_t d = 0; d < D; d += W) {
            const vf z = load_n(row + d, D - d);
            vf_store(t->q + r * DP + d, vf_mul(z, scale));
        }
    }
}

$ end
static void decode_tile(const item *x, tile *t, scratch *w, int32_t k0, const float *k,
                        const float *v) {
    const ptrdiff_t ldv = x->args->v.token;
    const int32_t k1 = min32(k0 + PART, x->kv_len) - 1;
$ for _, r in ipairs(plan.dot_rows) do
    if (t->rows <= ${r}) {
        pack_rows(x, t, ${r});
        dot_${r}(x, t, w, k0, k1, k, v);
        return;
    }
$ end
    tile_pack(x, t);
    const values as_rows = {v, 1, ldv, ldv, 0};
    for (int32_t at = k0; at <= k1; at += BK)
        tile_run(x, t, w, at, min32(at + BK - 1, k1), k, &as_rows, true);
}

/* The rows of one group of heads over one part of the keys. */
static void decode_task(void *ctx, int64_t task, int worker) {
    const call *c = ctx;
    const attn_args *args = c->args;
    scratch *w = &c->work[worker];
    const int32_t part = (int32_t)(task % c->parts);
    const int32_t g = (int32_t)(task / c->parts % GROUPS);
    const int32_t b = (int32_t)(task / c->parts / GROUPS);
    const item x = item_of(c, b);
    if (part * PART >= x.kv_len) return;
    const float *k = args->k.data + b * args->k.batch + key_head(g * GROUP) * args->k.head;
    const float *v = args->v.data + b * args->v.batch + value_head(g * GROUP) * args->v.head;

    tile *t = &w->t[0];
    for (int32_t row = 0; row < c->rows; row += ROWS) {
        t->rows = min32(ROWS, c->rows - row);
        for (int32_t r = 0; r < t->rows; r++) {
            t->head[r] = g * GROUP + (row + r) % GROUP;
            t->row[r] = (row + r) / GROUP;
        }
        tile_begin(&x, t);
        if (t->first < part * PART + PART && t->last >= part * PART)
            decode_tile(&x, t, w, part * PART, k, v);
        for (int32_t r = 0; r < t->rows; r++) {
            const partial p = partial_of(c, b, g, part, row + r);
            *p.m = t->m[r];
            *p.l = t->l[r];
            if (t->l[r] != 0) memcpy(p.o, t->o + r * DVP, sizeof(float) * DVP);
        }
    }
}

/* Merges the parts of the rows of one group, first to last. */
static void merge_task(void *ctx, int64_t task, int worker) {
    const call *c = ctx;
    float *o = c->work[worker].t[0].o;
    const int32_t g = (int32_t)(task % GROUPS), b = (int32_t)(task / GROUPS);
    const item x = item_of(c, b);
    const int32_t parts = (x.kv_len + PART - 1) / PART;
    for (int32_t row = 0; row < c->rows; row++) {
        float m = NO_MAX, l = 0;
        for (int32_t i = 0; i < parts; i++) m = fmaxf(m, *partial_of(c, b, g, i, row).m);
        memset(o, 0, sizeof(float) * DVP);
        for (int32_t i = 0; i < parts; i++) {
            const partial p = partial_of(c, b, g, i, row);
            if (*p.l == 0) continue;
            const vf f = vf_exp2_softmax(vf_set1(*p.m - m));
            _Alignas(64) float factor[W];
            vf_store(factor, f);
            l += *p.l * factor[0];
            for (int32_t d = 0; d < DVP; d += W)
                vf_store(o + d, vf_fma(f, vf_load(p.o + d), vf_load(o + d)));
        }
        finish_row(&x, g * GROUP + row % GROUP, row / GROUP, m, l, o);
    }
}
