$ local right = spec.causal and 0 or spec.right_window
$ local ahead = right > 0 and " + " .. right or ""
/* op sliding_self: query position p sees the keys p - ${spec.window} .. p${ahead}. */
static inline void op_range(const item *x, int32_t i, int32_t *lo, int32_t *hi) {
    const int64_t p = attn_row_position(x, i);
    const int64_t from = p - ${spec.window}, to = p${ahead};
    *lo = from < 0 ? 0 : from < x->kv_len ? (int32_t)from : x->kv_len;
    *hi = to < 0 ? -1 : to < x->kv_len ? (int32_t)to : x->kv_len - 1;
}
