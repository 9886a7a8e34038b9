/* --- sums over many keys ---
 *
 * In three levels, so that their error does not grow with the number of keys: registers sum the
 * keys of a block, from zero; a tile's o sums the blocks of a span of keys; `kept` sums the spans
 * and, with what its additions round off, is as good as exact (Kahan 1965), as is l, to which tiles
 * add ${plan.exp_sums} sums of P at most at once. Maxima are whole numbers, so that the factors between them are
 * powers of two and round nothing. */

/* sum + lost += x */
static ATTN_INLINE void add_exactly(vf *sum, vf *lost, vf x) {
    const vf y = vf_add(x, *lost), s = vf_add(*sum, y);
    *lost = vf_sub(y, vf_sub(s, *sum));
    *sum = s;
}

/* The maximum after one that scores go up to: the least whole number that is no less. */
static ATTN_INLINE vf next_max(vf m, vf top) {
    return vf_select(vf_gt(top, m), vf_neg(vf_floor(vf_neg(top))), m);
}

/* A row of n floats: kept + lost = was (kept + lost) + factor o, for powers of two. */
static inline void keep_row(float *restrict kept, float *restrict lost, vf was,
                            const float *restrict o, vf factor) {
    for (int32_t d = 0; d < DVP; d += W) {
        vf sum = vf_mul(was, vf_load(kept + d)), rest = vf_mul(was, vf_load(lost + d));
        add_exactly(&sum, &rest, vf_mul(factor, vf_load(o + d)));
        vf_store(kept + d, sum);
        vf_store(lost + d, rest);
    }
}

/* A span of keys ends: what o holds goes to kept. */
static void tile_keep(tile *t) {
    for (int32_t r = 0; !t->fresh && r < t->rows; r++) {
        float *kept = t->kept + r * DVP, *lost = t->lost + r * DVP;
        if (!t->has_kept) {
            memcpy(kept, t->o + r * DVP, sizeof(float) * DVP);
            memset(lost, 0, sizeof(float) * DVP);
        } else { /* the maximum may have risen since */
            const vf was = vf_exp2_softmax(vf_set1(t->kept_m[r] - t->m[r]));
            keep_row(kept, lost, was, t->o + r * DVP, vf_set1(1.0f));
        }
        t->kept_m[r] = t->m[r];
    }
    t->has_kept |= !t->fresh;
    t->fresh = true;
}

/* The sum over all keys. */
static const float *tile_sum(tile *t) {
    if (!t->has_kept) return t->o;
    tile_keep(t);
    return t->kept;
}
$ if #plan.dots > 0 then

/* Tiles of dot products add to o from the first key on. */
static inline void dot_span(tile *t, int32_t span) {
    if (span == t->span) return;
    if (!t->fresh) {
        tile_keep(t);
        memset(t->o, 0, sizeof(float) * DVP * (size_t)t->rows);
    }
    t->span = span;
}
$ end
