$ -- Rows of an item that leave pages between them which none of them sees: these are not looked up.
$ local layout = hooks(plan.places .. ".c")
/* Of the keys that stand at their numbers, those that a row sees. */
static void body_range(const item *x, int32_t i, int32_t *lo, int32_t *hi) {
    if (x->tail == 0) {
        op_range(x, i, lo, hi);
        return;
    }
    see_positions(x, i, lo, hi);
    *hi = min32(*hi, x->kv_len - x->tail - 1);
}

/* Does a row see this key of the tail? */
static bool tail_seen(const item *x, int32_t i, int32_t k) {
    int32_t lo, hi;
    see_positions(x, i, &lo, &hi);
    const int32_t position = attn_key_position(x, k);
    return lo <= position && position <= hi;
}

/* The keys first..last, and those of one more range if that goes on from them; false if not. */
static bool goes_on(int32_t *first, int32_t *last, int32_t lo, int32_t hi) {
    if (lo > hi) return true;
    if (*first <= *last && (lo > *last + 1 || hi + 1 < *first)) return false;
    *first = min32(*first, lo);
    *last = max32(*last, hi);
    return true;
}

/* May there be keys between those that rows see which no row does? */
static bool leaves_holes(const item *x) {
    int32_t first = INT32_MAX, last = -1;
$ if not plan.scattered then
    if (!x->args->q_position && x->tail == 0) return false; /* one by one */
$ end
    for (int32_t i = 0; i < x->rows; i++) {
        int32_t lo, hi;
        body_range(x, i, &lo, &hi);
        if (!goes_on(&first, &last, lo, hi)) return true;
        for (int32_t k = x->kv_len - x->tail; k < x->kv_len; k++)
            if (tail_seen(x, i, k) && !goes_on(&first, &last, k, k)) return true;
    }
    return false;
}

/* Resolves the pages of the keys k0..k1 for the rows from..end - 1 of an item. For pages of which
 * they see no key stands that of the first key that they see, which lies before them and is whole:
 * its rows are read as hidden keys. */
static void hold_pages(const item *x, scratch *w, int32_t from, int32_t end, int32_t k0,
                       int32_t k1) {
    const attn_args *args = x->args;
    const int32_t *pages = args->pages + x->b * args->pages_batch;
    const int32_t base = k0 / PAGE, count = k1 / PAGE - base + 1;
    bool seen[HELD_PAGES] = {false};
    int32_t least = INT32_MAX;
    for (int32_t i = from; i < end; i++) {
        int32_t lo, hi;
        body_range(x, i, &lo, &hi);
        if (lo <= hi) least = min32(least, lo);
        lo = max32(lo, k0), hi = min32(hi, k1);
        for (int32_t n = lo / PAGE; lo <= hi && n <= hi / PAGE; n++) seen[n - base] = true;
        for (int32_t k = x->kv_len - x->tail; k < x->kv_len; k++) {
            if (!tail_seen(x, i, k)) continue;
            least = min32(least, k);
            if (k0 <= k && k <= k1) seen[k / PAGE - base] = true;
        }
    }
    w->page_from = base * (int64_t)PAGE;
    for (int32_t n = 0; n < count && least < INT32_MAX; n++)
        w->page[n] = pages[seen[n] ? base + n : least / PAGE];
}
