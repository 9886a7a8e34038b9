$ -- Variant prefill: query blocks over key blocks.
$ local layout = hooks("layout/" .. plan.layout .. ".c")
$ local engine = hooks("engine/" .. isa.engine .. ".c")
$ local VT = plan.type.v.c
$ local KR, VR = layout.rows(plan.type.k.c), layout.rows(plan.type.v.c)
$ local v_step = layout.v_step("args->v.")
$ if a.section == "members" then
float *packed;        /* V: [batch][value head][key block][column panel][key][column] */
$   if plan.scattered or plan.has_mask then
uint8_t *seen;        /* [batch][value head][key block] some row may see a key of it */
$   end
int32_t blocks;       /* packed key blocks of an item at most */
int32_t longest;      /* query rows of the longest of the others, */
int64_t tiles;        /* and tiles of a head of all of them */
int32_t chunks;       /* query blocks of a head at most, */
int32_t chunk;        /* and how many tiles one has */
$ elseif a.section == "code" then
/* --- prefill: V packed once, then query blocks of tiles over key blocks --- */

/* The block-th of the key blocks that an item has packed. */
static float *packed_block(const call *c, int32_t b, int32_t hv, int32_t block) {
    return c->packed + (((int64_t)b * VALUE_HEADS + hv) * c->blocks + block) * BK * DVP;
}

/* Packs what some row sees of a key block of one value head into column panels; columns past DV are
 * zero. */
static void pack_v_task(void *ctx, int64_t task, int worker) {
    (void)worker;
    const call *c = ctx;
    const attn_view *v = &c->args->v;
    const int32_t b = item_of_task(c, &task);
    const share *s = &c->share[b];
    const int32_t hv = (int32_t)(task / s->blocks), block = (int32_t)(task % s->blocks);
    const int32_t k0 = (s->first / BK + block) * BK;
    const int32_t first = max32(s->first - k0, 0), n = min32(BK, s->last - k0 + 1);
$ if plan.scattered then
    if (!*seen_at(c, b, hv, block)) return;
$ end
$ if plan.has_mask then
    const item x = item_of(c, b);
    const bool seen = item_class(&x, k0 + first, k0 + n - 1) != ATTN_TILE_NONE;
    *seen_at(c, b, hv, block) = seen;
    if (!seen) return;
$ end
    const ${VT} *row =
        ${layout.v_at(layout.v_rows("v->", "b", "hv"), "(int64_t)(k0 + first)", layout.v_step("v->"))};
$ if plan.scaled then
    const attn_scales *scales = &c->args->v_scale;
    const float *scale =
        ${layout.scale_at("scales->", "b", "hv", "(k0 + first)")};
$ end
    float *to = packed_block(c, b, hv, block);
    for (int32_t key = first; key < n; key++, ${layout.v_next("row", "k0 + key", layout.v_step("v->"))}) {
$ if plan.scaled then
        const vf factor = vf_set1(scale[(key - first) * ${layout.scale_step("scales->")}]);
$ end
        ${engine.pack_v("row", "to", "key")}
    }
}

$ if plan.scattered then
/* The first key block from `block` on of which some row of the tiles sees a key; past the last one
 * if there is none. */
static int32_t next_block(const tile *t, int32_t count, int32_t block, int32_t last) {
    const int32_t k0 = block * BK;
    int32_t next = INT32_MAX;
    for (int32_t i = 0; i < count; i++)
        for (int32_t r = 0; r < t[i].rows; r++)
            if (t[i].lo[r] <= t[i].hi[r] && t[i].hi[r] >= k0)
                next = min32(next, max32(t[i].lo[r], k0));
    return next > last ? last / BK + 1 : next / BK;
}

$ end
/* Asks for the lines of a row of O. */
static inline void ask_output(const ${plan.type.o.c} *o) {
    for (int32_t d = 0; d < DV; d += ${plan.type.o.line}) ATTN_PREFETCH_L2(ATTN_AHEAD(o, d));
}

/* One query block of one head. */
static void prefill_task(void *ctx, int64_t task, int worker) {
    const call *c = ctx;
    const attn_args *args = c->args;
    scratch *w = &c->work[worker];
    const int64_t heads = (int64_t)args->batch * HEADS;
    /* The last query blocks have the most keys: they go first, so that threads end together. */
    const int32_t chunk = c->chunks - 1 - (int32_t)(task / heads);
    const int32_t b = (int32_t)(task % heads / HEADS), h = (int32_t)(task % heads % HEADS);
    const item x = item_of(c, b);
    const share *s = &c->share[b];
    const int32_t count = min32(c->chunk, tiles_of(x.rows) - chunk * c->chunk);
    if (s->decode || count <= 0) return;

    ${engine.begin()}
    int32_t first = INT32_MAX, last = -1;
    for (int32_t i = 0; i < count; i++) {
        tile *t = &w->t[i];
        const int32_t row = (chunk * c->chunk + i) * ROWS;
        t->rows = min32(ROWS, x.rows - row);
        for (int32_t r = 0; r < t->rows; r++) t->head[r] = h, t->row[r] = row + r;
        tile_begin(&x, t);
$ if plan.has_mask then
        tile_clip(t, s->first, s->last); /* what is packed */
$ end
        tile_pack(&x, t);
        if (t->first > t->last) continue;
        first = min32(first, t->first);
        last = max32(last, t->last);
    }

    ${KR}k = ${layout.k_rows("args->k.", "b", "key_head(h)")};
    ${VR}v = ${layout.v_rows("args->v.", "b", "value_head(h)")};
    for (int32_t block = first / BK; first <= last && block <= last / BK; block++) {
$ if plan.scattered then
        block = next_block(w->t, count, block, last);
        if (block > last / BK) break;
$ end
        const int32_t k0 = block * BK, k1 = k0 + min32(BK - 1, last - k0);
$ if plan.widen then
        values from = {w->v, 1, DVP, DVP, k0};
        widen_begin(w, k0);
$ else
        values from = {${layout.first("v")}, 1, ${v_step}, ${v_step}, 0};
$ end
        if (s->blocks > 0) {
            const int32_t hv = value_head(h), at = block - s->first / BK;
$ if plan.scattered or plan.has_mask then
            if (!*seen_at(c, b, hv, at)) continue;
$ end
            const float *packed = packed_block(c, b, hv, at);
            from = ${engine.packed("packed", "k0")};
        }
        for (int32_t i = 0; i < count; i++) tile_run(&x, &w->t[i], w, k0, k1, k, ${plan.widen and "v, " or ""}&from, false);
    }

    for (int32_t i = 0; i < count; i++) {
        tile *t = &w->t[i];
        if (t->fresh && !t->has_kept) memset(t->o, 0, sizeof t->o); /* no row saw a key */
        const float *o = tile_sum(t);
        for (int32_t r = 0; r < t->rows; r++) {
            /* The next tile's row is asked for: its stores would wait for it. */
            if (i + 1 < count && r < t[1].rows) ask_output(output_row(&x, h, t[1].row[r]));
            finish_row(&x, h, t->row[r], t->m[r], (double)t->l[r] + t->l_lost[r], o + r * DVP);
        }
    }
    ${engine.finish()}
}
$ elseif a.section == "tasks" then
const uint64_t tiles = (uint64_t)tiles_of(e->q_len); /* few rows may run as tiles too */
const uint64_t prefill = attn_times(items * HEADS, tiles);
return decode > prefill ? decode : prefill;
$ elseif a.section == "places" then
c->blocks = attn_runs(most_keys(e->q_len, e->kv_len_max), e->kv_len_max, BK);
$   if plan.scattered or plan.has_mask then
const uint64_t blocks = attn_times(items * VALUE_HEADS, (uint64_t)c->blocks);
c->seen = attn_carve(base, &bytes, e->q_len > DECODE_Q ? blocks : 0);
$   end
const uint64_t keys = (uint64_t)c->blocks * BK; /* whole blocks */
const uint64_t panels = attn_times(items * VALUE_HEADS, attn_times(keys, DVP * sizeof(float)));
const uint64_t larger = e->q_len > DECODE_Q && panels > partials ? panels : partials;
c->packed = c->partial = attn_carve(base, &bytes, larger);
$ elseif a.section == "runner" then
/* The others: V packed, then query blocks. */
static void run_prefill(call *c) {
    const int threads = max32(1, c->args->threads);
    /* Whole query blocks share keys in cache; smaller ones keep many threads busy. */
    const int64_t fair = HEADS * c->tiles / (4 * (int64_t)threads);
    c->chunk = threads == 1 || fair >= TILES ? TILES : max32(1, (int32_t)fair);
    c->chunks = (tiles_of(c->longest) + c->chunk - 1) / c->chunk;
    attn_parallel(c->team, number_tasks(c, 0, VALUE_HEADS), pack_v_task, c);
    const int64_t heads = (int64_t)c->args->batch * HEADS;
    attn_parallel(c->team, heads * c->chunks, prefill_task, c);
}
$ elseif a.section == "run" then
if (c.longest > 0) run_prefill(&c);
$ end
