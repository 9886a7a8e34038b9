$ local layout = hooks(plan.places .. ".c")
$ local QT = plan.type.q.c
$ local VT = plan.type.v.c
$ if spec.softcap then
/* c tanh(s / c) of n vectors of scores, n a constant of at most 4; Q was divided by c. */
static ATTN_INLINE void cap_scores(vf *s, const int n) {
    vf_tanh_each(s, n);
    ATTN_EACH(n) s[i] = vf_mul(vf_set1(${f32(plan.softcap_factor)}), s[i]);
}

$ end
$ if plan.tiled then
$   local seen = {} -- a function a type
$   local types = { plan.type.q, plan.type.v }
$   if plan.indexed then types = { plan.gathers and not plan.rotate and plan.type.q or nil } end
$   for _, type in ipairs(types) do
$     if not seen[type.suffix] then
$       seen[type.suffix] = true
/* The first n floats, the other lanes zero; reads nothing past them. */
static inline vf load_n${type.suffix}(const ${type.c} *p, int32_t n) {
    return n >= W ? vf_loadu${type.suffix}(p) : vf_loadn${type.suffix}(p, n);
}

$     end
$   end
$ end
static inline const ${QT} *query_row(const item *x, int32_t h, int32_t i) {
    const attn_view *q = &x->args->q;
    return ${layout.q_at("q->", "x->b", "h", "(x->q_row + i)")};
}

/* Null: the item has no padding. */
static inline const uint8_t *item_padding(const item *x) {
    const attn_args *args = x->args;
    return args->key_padding ? args->key_padding + x->b * args->key_padding_batch : NULL;
}
$ if plan.tiled then

$ if #plan.dots > 0 then
/* Positions of keys by lanes, of which those before `end` are meant. */
static ATTN_INLINE vi lane_positions(const item *x, vi vk, int32_t end) {
    if (x->tail == 0 || end <= x->kv_len - x->tail) return vk;
    _Alignas(64) int32_t k[W];
    vi_store(k, vk);
    for (int j = 0; j < W; j++)
        if (k[j] < x->kv_len) k[j] = attn_key_position(x, k[j]);
    return vi_load(k);
}

$ end
$ if not plan.indexed then
static inline bool has_padding(const item *x, int32_t first, int32_t n) {
    const uint8_t *padding = item_padding(x);
    return padding && attn_any_nonzero(padding + first, n);
}

$ end
$ if plan.edge_keys > 0 then
/* Does a row of vector j see a key of first .. last? */
static inline bool vector_sees(const tile *t, int32_t j, int32_t first, int32_t last) {
    return t->vector_first[j] <= last && first <= t->vector_last[j];
}

$ end
$ if plan.lazy and not plan.rescore and not plan.widen and not plan.gathers then
/* Asks for the lines of n rows of V, in their order. */
static inline void ask_rows(const ${VT} *v, ptrdiff_t ldv, int32_t n) {
    for (int32_t i = 0; i < n; i++)
        for (int32_t c = 0; c < DV; c += ${plan.type.v.line})
            ATTN_PREFETCH_L2(ATTN_AHEAD(${layout.beside("v", "i", "ldv")}, c));
}

$ end
$ if not plan.gathers then
/* The last n keys of a range as a whole register tile: the last one repeats, so that it changes no
 * maximum and nothing past it is read. */
static void pad_keys(float *to, const float *k, ptrdiff_t ldk, int32_t n, int32_t whole) {
    for (int32_t i = 0; i < whole; i++)
        memcpy(to + i * ${plan.dk_name}, ${layout.beside("k", "min32(i, n - 1)", "ldk")}, sizeof(float) * ${plan.dk_name});
}
$ end
$ end
$ if plan.bias and plan.tiled and not plan.gathers then

/* bias[key][row] of a tile from the run-time mask: hidden keys are -inf. */
$   if plan.indexed then
static void load_bias(const item *x, const tile *t, const scratch *w, int32_t first, int32_t n,
                      int32_t rows, float *bias) {
    const int32_t *number = w->number + (first - w->base);
$   else
static void load_bias(const item *x, const tile *t, int32_t first, int32_t n, int32_t rows,
                      float *bias) {
$   end
    for (int32_t r = 0; r < rows; r++) {
        const attn_mask_row mask = attn_mask_at(&x->args->mask, x->b, t->head[r], t->row[r]);
        for (int32_t i = 0; i < n; i++)
            bias[i * rows + r] = r < t->rows ? attn_mask_value(&mask, ${plan.indexed and "number[i]" or "first + i"}) : 0;
    }
}
$ end
$ if plan.bias and plan.tiled and #plan.dots > 0 then

static inline float bias_at(const item *x, const tile *t, int32_t r, int32_t k) {
    const attn_mask_row mask = attn_mask_at(&x->args->mask, x->b, t->head[r], t->row[r]);
    return attn_mask_value(&mask, k);
}
$ end
$ if plan.has_mask and plan.tiled then

/* Positions that wrap past the int32 range cannot be boxed: their tiles evaluate the mask. */
static inline bool box_is_valid(const attn_tile_box *box) {
    return box->q0 <= box->q1;
}

static attn_tile_class tile_class(const item *x, const tile *t, int32_t first, int32_t last) {
    attn_tile_box box = t->box;
    if (!box_is_valid(&box)) return ATTN_TILE_SOME;
    box.k0 = first;
    box.k1 = last;
    return mask_classify(x, &box);
}
$ end
