$ -- Few rows: dot_keys over a range of keys, and what of it may be hidden.
$ local layout = hooks(plan.places .. ".c")
$ local R, KEYS, again = a.dot.rows, a.dot.keys, a.dot.again
$ local KT, VT = plan.type.k.c, plan.type.v.c
$ local KR, VR = layout.rows(KT), layout.rows(VT)
$ local k_block, v_block = layout.block_at("k", "block", "ldk"), layout.block_at("v", "block", "ldv")
$ local soon, soon_arg = again and ", const lines soon" or "", again and ", soon" or ""
/* What may be hidden in part, and what is left of a range. */
static void dot_rest_${R}(const item *x, tile *t, scratch *w, int32_t block, int32_t n,
                      ${layout.block(KT)}k, ${layout.block(VT)}v, const lines ask${soon}) {
    dot_keys_${R}(x, t, w, block, n, k, v, ask${soon_arg}, true);
}

/* ${R} row${R > 1 and "s" or ""} of a tile over the keys k0..k1; k and v stand at key 0. ask: a row to ask for with each
 * key from k0 on${again and "; soon: likewise, nearer ones" or ""}. */
static void dot_${R}(const item *x, tile *t, scratch *w, int32_t k0, int32_t k1, ${KR}k,
                  ${VR}v, const lines ask${soon}) {
    enum { KEYS = ${KEYS} };
$ if not (layout.page and layout.far) then
    const ptrdiff_t ldk = ${layout.k_step("x->args->k.")}, ldv = ${layout.v_step("x->args->v.")};
$ end
    const int32_t first = max32(k0, t->first), last = min32(k1, t->last);
    int32_t n = 0;
    for (int32_t block = first; block <= last; block += n) {
        /* Up to the next multiple, so that results do not depend on where a turn begins. */
        n = ${layout.keys_here("k", "block", "min32(KEYS - (block - k0) % KEYS, last - block + 1)")};
        dot_span(t, block % PART / ${a.dot.span}); /* of so many keys, counted in its part */
        const ptrdiff_t i = block - k0;
        const lines next = lines_from(ask, i);
$ if again then
        const lines near = lines_from(soon, i);
$ end
        bool masked = n < KEYS || block < t->all_first || block + n - 1 > t->all_last ||
                      has_padding(x, block, n);
$ if plan.bias then
        masked |= x->args->mask.type != ATTN_MASK_NONE;
$ end
$ if plan.has_mask then
        const attn_tile_class class = tile_class(x, t, block, block + n - 1);
        if (class == ATTN_TILE_NONE) continue;
        masked |= class == ATTN_TILE_SOME;
$ end
        if (masked)
            dot_rest_${R}(x, t, w, block, n, ${k_block}, ${v_block}, next${again and ", near" or ""});
        else
            dot_keys_${R}(x, t, w, block, KEYS, ${k_block}, ${v_block}, next${again and ", near" or ""},
                        false);
    }
}
