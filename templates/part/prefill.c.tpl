/* --- prefill: V packed once, then query blocks of tiles over key blocks --- */

static float *packed_block(const call *c, int32_t b, int32_t hv, int32_t block) {
    return c->packed + (((int64_t)b * VALUE_HEADS + hv) * c->blocks + block) * BK * DVP;
}

$ local W, C = plan.width, plan.panel
$ local whole = plan.dvp // C * C
$ local line = 16 -- floats of a cache line
/* Packs one key block of one value head into column panels; columns past DV are zero. */
static void pack_v_task(void *ctx, int64_t task, int worker) {
    (void)worker;
    const call *c = ctx;
    const attn_view *v = &c->args->v;
    const int32_t block = (int32_t)(task % c->blocks);
    const int32_t hv = (int32_t)(task / c->blocks % VALUE_HEADS);
    const int32_t b = (int32_t)(task / c->blocks / VALUE_HEADS);
    const item x = item_of(c, b);
    const int32_t n = min32(BK, x.kv_len - block * BK);
    const float *row = v->data + b * v->batch + hv * v->head + (int64_t)block * BK * v->token;
    float *to = packed_block(c, b, hv, block);
    for (int32_t key = 0; key < n; key++, row += v->token) {
$ if whole > 0 then
        for (int32_t col = 0; col < ${whole}; col += ${C}) {
            float *panel = to + col * BK + key * ${C};
$   for j = 0, C - 1, W do
            vf_store(panel + ${j}, load_n(row + col + ${j}, DV - col - ${j}));
$   end
        }
$ end
$ if whole < plan.dvp then
        float *panel = to + ${whole} * BK + key * ${plan.dvp - whole}; /* as narrow as what is left */
$   for j = 0, plan.dvp - whole - 1, W do
        vf_store(panel + ${j}, load_n(row + ${whole + j}, DV - ${whole + j}));
$   end
$ end
    }
}

/* One query block of one head. */
static void prefill_task(void *ctx, int64_t task, int worker) {
    const call *c = ctx;
    const attn_args *args = c->args;
    scratch *w = &c->work[worker];
    const int64_t heads = (int64_t)args->batch * HEADS;
    const int32_t chunks = (c->tiles + c->chunk - 1) / c->chunk;
    /* The last query blocks have the most keys: they go first, so that threads end together. */
    const int32_t chunk = chunks - 1 - (int32_t)(task / heads);
    const int32_t b = (int32_t)(task % heads / HEADS), h = (int32_t)(task % heads % HEADS);
    const item x = item_of(c, b);
    const int32_t count = min32(c->chunk, c->tiles - chunk * c->chunk);

    int32_t first = INT32_MAX, last = -1;
    for (int32_t i = 0; i < count; i++) {
        tile *t = &w->t[i];
        const int32_t row = (chunk * c->chunk + i) * ROWS;
        t->rows = min32(ROWS, args->q_len - row);
        for (int32_t r = 0; r < t->rows; r++) t->head[r] = h, t->row[r] = row + r;
        tile_begin(&x, t);
        tile_pack(&x, t);
        if (t->first > t->last) continue;
        first = min32(first, t->first);
        last = max32(last, t->last);
    }

    const float *k = args->k.data + b * args->k.batch + key_head(h) * args->k.head;
    for (int32_t block = first / BK; first <= last && block <= last / BK; block++) {
        const int32_t k0 = block * BK;
        const values v = {packed_block(c, b, value_head(h), block), BK, ${C}, DVP - ${whole}, k0};
        for (int32_t i = 0; i < count; i++)
            tile_run(&x, &w->t[i], w, k0, k0 + BK - 1, k, &v, false);
    }

    for (int32_t i = 0; i < count; i++) {
        tile *t = &w->t[i];
        if (t->fresh && !t->has_kept) memset(t->o, 0, sizeof t->o); /* no row saw a key */
        const float *o = tile_sum(t);
        for (int32_t r = 0; r < t->rows; r++) {
            /* The next tile's row is asked for: its stores would wait for it. */
            const float *next = output_row(&x, h, t->row[r] + ROWS);
            for (int32_t d = 0; i + 1 < count && d < DV; d += ${line}) ATTN_PREFETCH_L2(next + d);
            finish_row(&x, h, t->row[r], t->m[r], (double)t->l[r] + t->l_lost[r], o + r * DVP);
        }
    }
}
