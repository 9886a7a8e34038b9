$ -- What a row sees where keys of a tail stand anywhere.
/* The positions that a row sees, of keys that stand at them. */
static inline void see_positions(const item *x, int32_t i, int32_t *lo, int32_t *hi) {
    item all = *x;
    all.kv_len = INT32_MAX;
    op_range(&all, i, lo, hi);
}

/* The first and the last key at the positions from .. to, of an item with a tail. */
static void find_keys(const item *x, int32_t from, int32_t to, int32_t *lo, int32_t *hi) {
    const int32_t body = x->kv_len - x->tail;
    *lo = INT32_MAX, *hi = -1;
    if (from < body && from <= to) *lo = from, *hi = min32(to, body - 1);
    for (int32_t k = body; k < x->kv_len; k++) {
        const int32_t position = x->k_position[k - body];
        if (position < from || position > to) continue;
        *lo = min32(*lo, k);
        *hi = k;
    }
}
$ if not plan.indexed then

/* The keys from the first to the last that a row sees: all of them, but in a tail. */
static inline void row_range(const item *x, int32_t i, int32_t *lo, int32_t *hi) {
    op_range(x, i, lo, hi);
    if (x->tail == 0) return;
    int32_t from, to;
    see_positions(x, i, &from, &to);
    find_keys(x, from, to, lo, hi);
}
$ end
