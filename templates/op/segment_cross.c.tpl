/* op segment_cross: a query of segment g sees the keys g - ${spec.lookback} .. g that exist; a
 * negative segment sees nothing. */
static inline void op_range(const item *x, int32_t i, int32_t *lo, int32_t *hi) {
    const int32_t g = x->args->seg[x->b * x->args->seg_batch + x->q_row + i];
    const int64_t from = (int64_t)g - ${spec.lookback};
    *lo = from < 0 ? 0 : from < x->kv_len ? (int32_t)from : x->kv_len;
    *hi = g < 0 ? -1 : min32(g, x->kv_len - 1);
}
