$ if spec.causal then
/* op full_self, causal: query position p sees the keys 0..p. */
$ else
/* op full_self, not causal: every query sees every key. */
$ end
static inline void op_range(const item *x, int32_t i, int32_t *lo, int32_t *hi) {
    *lo = 0;
$ if spec.causal then
    const int64_t p = attn_row_position(x, i);
    *hi = p < 0 ? -1 : p < x->kv_len ? (int32_t)p : x->kv_len - 1;
$ else
    (void)i;
    *hi = x->kv_len - 1;
$ end
}
