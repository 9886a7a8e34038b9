$ -- Bare scores of a range of keys in register tiles.
$ local W, nv = plan.width, a.nv
$ local R, MR = nv * W, plan.tile[nv].keys
$ local E = nv == plan.tile_vectors and plan.edge_keys or 0
/* Bare scores of the keys from .. to - 1, where from is whole register tiles. */
static ATTN_INLINE void qk_range_${nv}(const tile *t, scratch *w, const float *row, ptrdiff_t ldk,
                                   int32_t from, int32_t to, vf *mx) {
    int32_t key = from;
$ if plan.widen then
    for (; key + ${MR} <= to; key += ${MR}) {
        widen_k(w, key + ${MR});
        qk_${nv}(row + key * ldk, ldk, t->q, w->s + key * ${R}, mx);
    }
    if (key >= to) return;
    widen_k(w, to);
$ else
    for (; key + ${MR} <= to; key += ${MR})
        qk_${nv}(row + key * ldk, ldk, t->q, w->s + key * ${R}, mx);
    if (key >= to) return;
$ end
    pad_keys(w->edge, row + key * ldk, ldk, to - key, ${MR});
    qk_${nv}(w->edge, ${plan.dk_name}, t->q, w->s + key * ${R}, mx);
}

$ if E > 0 then
/* Bare scores of ${E} keys from first on: vectors whose rows see none of them are left out, and keep
 * what they had. */
static ATTN_INLINE void qk_edge_${nv}(const tile *t, float *s, const float *k, ptrdiff_t ldk,
                                  int32_t first) {
    int32_t begin = 0, end = ${nv};
    while (begin < end && !vector_sees(t, begin, first, first + ${E - 1})) begin++;
    while (begin < end && !vector_sees(t, end - 1, first, first + ${E - 1})) end--;
    const float *q = t->q + begin * W;
    s += begin * W;
    vf mx[${nv}] = {${list(nv, function(j) return "vf_zero()" end)}}; /* not wanted */
    switch (end - begin) {
$   local parts = { table.unpack(plan.edges) }
$   parts[#parts + 1] = { vectors = nv, keys = MR }
$   for _, part in ipairs(parts) do
$     local name = "qk_" .. part.vectors .. (part.vectors < nv and "_of_" .. nv or "")
$     local rest = part.vectors < nv and "" or ", mx"
    case ${part.vectors}:
$     for i = 0, E - 1, part.keys do
        ${name}(${at("k", 0, i, "ldk")}, ldk, q, ${at("s", i * R)}${rest});
$     end
        break;
$   end
    }
}

/* The same for the keys from .. to - 1, counted from key first; up to ${E - 1} more may change. */
static void qk_edges_${nv}(const tile *t, scratch *w, const float *row, ptrdiff_t ldk, int32_t first,
                       int32_t from, int32_t to) {
    int32_t key = from;
$ if plan.widen then
    if (from < to) widen_k(w, to);
$ end
    for (; key + ${E} <= to; key += ${E})
        qk_edge_${nv}(t, w->s + key * ${R}, row + key * ldk, ldk, first + key);
    if (key >= to) return;
    pad_keys(w->edge, row + key * ldk, ldk, to - key, ${E});
    qk_edge_${nv}(t, w->s + key * ${R}, w->edge, ${plan.dk_name}, first + key);
}

$ end
/* Bare scores of n keys from first on; every row sees the keys clean .. clean_end - 1. */
static ATTN_INLINE void qk_keys_${nv}(const tile *t, scratch *w, const float *row, ptrdiff_t ldk,
                                  int32_t first, int32_t n, int32_t clean, int32_t clean_end,
                                  vf *mx) {
$ if E > 0 then
    const int32_t begin = min32((clean + ${MR - 1}) / ${MR} * ${MR}, n), end = max32(begin, clean_end);
    qk_edges_${nv}(t, w, row, ldk, first, 0, begin);
    qk_range_${nv}(t, w, row, ldk, begin, end, mx);
    qk_edges_${nv}(t, w, row, ldk, first, end, n);
$ else
    (void)first, (void)clean, (void)clean_end;
    qk_range_${nv}(t, w, row, ldk, 0, n, mx);
$ end
}
