$ local layout = hooks(plan.places .. ".c")
$ local KR = layout.rows(plan.type.k.c)
/* Completes a tile whose rows, head[] and row[] are set: what its rows see. */
static void tile_begin(const item *x, tile *t) {
    t->vectors = (t->rows + W - 1) / W;
    t->first = INT32_MAX, t->last = -1;
    t->all_first = 0, t->all_last = INT32_MAX;
    t->fresh = true, t->has_kept = false, t->span = -1;
    t->box = (attn_tile_box){INT32_MAX, -1, INT32_MAX, INT32_MIN, 0, 0};
    for (int32_t r = 0; r < ROWS; r++) {
        t->m[r] = NO_MAX;
        t->l[r] = t->l_lost[r] = 0;
        if (r >= t->rows) { /* an unused lane: sees what the last row does */
            t->lo[r] = t->lo[r - 1], t->hi[r] = t->hi[r - 1];
            t->from[r] = t->from[r - 1], t->to[r] = t->to[r - 1];
            t->head[r] = t->head[r - 1];
            t->row[r] = t->row[r - 1];
            t->pos[r] = (int32_t)((uint32_t)t->pos[r - 1] + 1);
            continue;
        }
        t->pos[r] = (int32_t)(uint32_t)attn_row_position(x, t->row[r]);
        op_range(x, t->row[r], &t->lo[r], &t->hi[r]);
        t->from[r] = t->lo[r], t->to[r] = t->hi[r];
        if (x->tail > 0) {
            see_positions(x, t->row[r], &t->from[r], &t->to[r]);
            find_keys(x, t->from[r], t->to[r], &t->lo[r], &t->hi[r]);
        }
        t->all_first = max32(t->all_first, t->from[r]);
        t->all_last = min32(t->all_last, min32(t->to[r], x->kv_len - x->tail - 1));
        t->box.h0 = min32(t->box.h0, t->head[r]);
        t->box.h1 = max32(t->box.h1, t->head[r]);
        t->box.q0 = min32(t->box.q0, t->pos[r]);
        t->box.q1 = max32(t->box.q1, t->pos[r]);
        if (t->lo[r] > t->hi[r]) continue;
        t->first = min32(t->first, t->lo[r]);
        t->last = max32(t->last, t->hi[r]);
    }
    if (positions_wrap(x)) t->box.q0 = 1, t->box.q1 = 0; /* no box */
$ if plan.has_mask then
    if (t->first <= t->last && box_is_valid(&t->box)) {
        attn_tile_box box = t->box;
        box.k0 = t->first;
        box.k1 = t->last;
        mask_range(x, &box, &t->first, &t->last);
    }
$ end
}

$ if not plan.gathers then -- whose rows are no tiles
$ if not plan.indexed then
/* Leaves a tile the keys k0..k1. */
static void tile_clip(tile *t, int32_t k0, int32_t k1) {
    t->first = max32(t->first, k0);
    t->last = min32(t->last, k1);
}

/* Whether there may be keys between those of its rows that none of them sees. */
static inline bool leaves_gaps(const item *x) {
$   if plan.scattered then
    (void)x;
    return true;
$   else
    return x->args->q_position || x->tail > 0;
$   end
}

/* The first key from `at` on that row r of a tile sees; INT32_MAX: none. Of an item with a tail it
 * sees a range of those before, and some of the tail. */
static inline int32_t next_seen(const item *x, const tile *t, int32_t r, int32_t at) {
    if (t->lo[r] > t->hi[r] || t->hi[r] < at) return INT32_MAX;
    const int32_t key = max32(at, t->lo[r]), body = x->kv_len - x->tail;
    return x->tail == 0 || key >= body || key <= t->to[r] ? key : body;
}

/* Of the keys *k0..*k1, from the first to the last that some row sees; false: there is none. */
static bool tile_sees(const item *x, const tile *t, int32_t *k0, int32_t *k1) {
    int32_t first = INT32_MAX, last = -1;
    for (int32_t r = 0; r < t->rows; r++) {
        const int32_t lo = next_seen(x, t, r, *k0), body = x->kv_len - x->tail;
        if (lo > *k1) continue;
        int32_t hi = min32(t->hi[r], *k1);
        if (x->tail > 0 && hi < body) hi = min32(hi, t->to[r]);
        first = min32(first, lo);
        last = max32(last, hi);
    }
    *k0 = first, *k1 = last;
    return first <= last;
}

$ end
/* Keys that some of the rows begin .. end - 1 see. */
static void rows_see(const tile *t, int32_t begin, int32_t end, int32_t *first, int32_t *last) {
    *first = INT32_MAX, *last = -1;
    for (int32_t r = begin; r < min32(end, t->rows); r++) {
        if (t->lo[r] > t->hi[r]) continue;
        *first = min32(*first, t->lo[r]);
        *last = max32(*last, t->hi[r]);
    }
}

/* Row groups of P V run over their own rows' keys only. */
static void tile_groups(tile *t, const int32_t *start, int32_t count) {
    for (int32_t g = 0; g < count; g++)
        rows_see(t, start[g], start[g + 1], &t->group_first[g], &t->group_last[g]);
}

/* The row groups of P V, the queries packed, and no O yet. */
static void tile_pack(const item *x, tile *t) {
    switch (t->vectors) {
$ for nv = 1, plan.tile_vectors do
    case ${nv}: {
        static const int32_t start[] = {${table.concat(plan.tile[nv].pv.starts, ", ")}};
        tile_groups(t, start, ${#plan.tile[nv].pv.groups});
        break;
    }
$ end
    }
$ if plan.edge_keys > 0 then
    for (int32_t j = 0; j < ${plan.tile_vectors}; j++)
        rows_see(t, j * W, (j + 1) * W, &t->vector_first[j], &t->vector_last[j]);
$ end
    pack_q(x, t);
}

static void tile_run(const item *x, tile *t, scratch *w, int32_t k0, int32_t k1, ${KR}k,
                     ${plan.widen and layout.rows(plan.type.v.c) .. "vr, " or ""}const values *v, bool lanes) {
$ if not plan.widen then
    const ptrdiff_t ldk = ${layout.k_step("x->args->k.")};
$ end
$ if not plan.indexed then
    if (leaves_gaps(x) && !tile_sees(x, t, &k0, &k1)) return;
$ end
    if (k1 < t->first || k0 > t->last) return;
    /* Counted from the first block that the tile sees: few keys need nothing kept. */
    if (!t->fresh && k0 - t->span >= SPAN) tile_keep(t);
    if (t->fresh) t->span = k0;
$ local function tiles(from, to, v)
    switch (t->vectors) {
$   for nv = 1, plan.tile_vectors do
    case ${nv}: tile_${nv}(x, t, w, ${from}, ${to}, k, ${plan.widen and "vr" or "ldk"}, ${v}, lanes); break;
$   end
    }
$ end
$ if plan.widen then tiles("k0", "k1", "v") else layout.runs("k0", "k1", "v", tiles) end
}
$ end
