$ -- Keys and values with a scale a row: products are formed of codes, scores take the scale of their
$ -- key, and P that of its value.
$ local layout = hooks(plan.places .. ".c")
/* The scales of the keys of a key head, and of a value head, from this key on. */
static inline ${layout.scales}k_scales(const item *x, int32_t h, int32_t key) {
    const attn_scales *scale = &x->args->k_scale;
    return ${layout.scale_at("scale->", "x->b", "key_head(h)", "key", "x->args")};
}

static inline ${layout.scales}v_scales(const item *x, int32_t h, int32_t key) {
    const attn_scales *scale = &x->args->v_scale;
    return ${layout.scale_at("scale->", "x->b", "value_head(h)", "key", "x->args")};
}
$ if not plan.indexed or plan.gathers then
$   local layout = hooks((plan.gathers and "select/gathered" or plan.places) .. ".c")

/* Scales by lanes, from lane `first` on: `each` lanes a key, of which there are n; the last one
 * repeats. */
static ATTN_INLINE vf scale_lanes(${layout.scales}scale, ptrdiff_t step, int32_t first, int32_t n,
                                  const int32_t each) {
    const int32_t key = first / each;
$ if layout.page then
    if (step == 1 && key + W / each <= n && (scale.key + key) % PAGE + W / each <= PAGE)
        return vf_repeat(${layout.scale_run("scale", "key")}, each);
$ else
    if (step == 1 && key + W / each <= n) return vf_repeat(${layout.scale_run("scale", "key")}, each);
$ end
    _Alignas(64) float row[W];
    for (int32_t i = 0; i < W / each; i++) row[i] = ${layout.scale("scale", "min32(key + i, n - 1)", "step")};
    return vf_repeat(row, each);
}
$ end
