$ local layout = hooks(plan.places .. ".c")
/* A tile: up to ROWS query rows that go through the key blocks together. */
typedef struct tile {
$ if plan.codes then
    _Alignas(64) ${plan.codes.words and "int16_t" or "int8_t"} codes[${plan.codes.rows * plan.codes.d}]; /* of rows of dot products, */
    float unit[ROWS];               /* and what one of them stands for, by lanes */
$   if not plan.codes.words then
    int32_t flipped[ROWS];          /* by lanes: 128 times a row's sum */
$   end
$ end
    _Alignas(64) float q[${plan.q_floats}]; /* [d][row], scaled */
    float o[ROWS * DVP];            /* sum of P V over a span of keys, not yet divided by l */
    float kept[ROWS * DVP];         /* the same of the spans before, */
    float lost[ROWS * DVP];         /* and what its additions rounded off */
    float m[ROWS], kept_m[ROWS];    /* running maximum; what it was when kept was written */
    float l[ROWS], l_lost[ROWS];    /* sum of P, and what its additions rounded off */
    int32_t lo[ROWS], hi[ROWS];     /* first and last key that a row sees, before masks, */
    int32_t from[ROWS], to[ROWS];   /* and the positions of all that it sees */
    int32_t head[ROWS], row[ROWS];  /* query head and query row */
    int32_t pos[ROWS];              /* absolute query position */
    int32_t rows, vectors;
    bool fresh, has_kept;        /* o holds nothing yet; kept holds something */
    int32_t span;                /* that o is of: its first key; of dot products its number */
    int32_t first, last;         /* keys that some row sees */
    int32_t all_first, all_last; /* keys that every row sees */
$ if plan.edge_keys > 0 then
    int32_t vector_first[${plan.tile_vectors}], vector_last[${plan.tile_vectors}]; /* by vector of rows */
$ end
    int32_t group_first[PV_GROUPS], group_last[PV_GROUPS]; /* by row group of P V */
    attn_tile_box box; /* heads and positions of its rows */
} tile;

/* How values lie: key k, column c is v[c * column + (k - base) * row]; last_row stands for row in
 * the last, narrower column panel of packed values. */
typedef struct values {
    const float *v;
    ptrdiff_t column, row, last_row;
    int32_t base;
} values;

$ if plan.widen then
/* Which rows of a key block are widened, that is, stand side by side as f32: of the keys
 * first..last. That of key base is row 0. */
typedef struct widened {
    int32_t base, first, last;
} widened;

$ end

$ if #plan.dots > 0 then
/* Rows of K and of V that are asked for while others are worked on. They may lie past the last, so
 * that k and v are addresses of the first ones, no pointers; steps are elements. */
typedef struct lines {
    uintptr_t k, v;
    ptrdiff_t k_step, v_step;
} lines;

static inline uintptr_t ask_k(const lines a, ptrdiff_t row, ptrdiff_t column) {
    return a.k + (uintptr_t)(row * a.k_step + column) * sizeof(${plan.type.k.c});
}

static inline uintptr_t ask_v(const lines a, ptrdiff_t row, ptrdiff_t column) {
    return a.v + (uintptr_t)(row * a.v_step + column) * sizeof(${plan.type.v.c});
}

$   if not plan.gathers then
static inline lines lines_from(const lines a, ptrdiff_t i) {
    return (lines){ask_k(a, i, 0), ask_v(a, i, 0), a.k_step, a.v_step};
}

$   end
$ end
/* What a thread works in. */
typedef struct scratch {
    tile t[TILES];
    float s[(BK + ${plan.max_keys}) * ROWS]; /* scores, then P: [key][row] */
    float alpha[ROWS];  /* factor of l and o where a maximum rose */
$ if plan.bias then
    float bias[BK * ROWS]; /* the run-time mask of a tile: [key][row] */
$ end
    float edge[${plan.max_keys} * ${plan.dk_name}]; /* the last keys of a range, padded to a register tile */
$ if plan.widen then
    _Alignas(64) float k[BK * ${plan.dk_name}];   /* rows of a key block, widened, */
    _Alignas(64) float v[BK * DVP]; /* and of its values, where they are not packed */
    _Alignas(64) ${layout.rows(plan.type.k.c)}k_rows; /* where rows of K come from, */
    ptrdiff_t k_step; /* so far apart, */
$   if plan.scaled then
    ${layout.scales}k_scales; /* their scales, from key 0 on, */
    ptrdiff_t k_scale_step; /* so far apart */
$   end
    int32_t k_first;                        /* from this key on */
    widened has_k, has_v;
$ end
$ if plan.holes then
    _Alignas(64) int32_t page[HELD_PAGES]; /* of keys, from page_from on, where */
    int64_t page_from;
    bool held; /* pages may lie between them that nobody sees */
$ end
$ if plan.indexed then
    _Alignas(64) int32_t number[BLOCK]; /* of the keys of a block, */
    int32_t base, count; /* from this position of the list on, so many */
$ end
$ if plan.gathers then
    _Alignas(64) ${plan.type.k.c} k[BLOCK * D];  /* and their rows, */
    _Alignas(64) ${plan.type.v.c} v[BLOCK * DV];
$   if plan.scaled then
    _Alignas(64) float k_scale[BLOCK], v_scale[BLOCK]; /* with their scales */
$   end
$ end
$ if plan.codes then
    _Alignas(64) int32_t woven[${plan.codes.woven}]; /* values of a block of keys: [4 keys][column][key] */
    uint32_t p[${plan.codes.p_bytes}][${plan.codes.p_words}]; /* P of its keys, a byte each: [low, high][4 keys][row][key] */
    _Alignas(64) float unit[${plan.width}]; /* what they are times, by lanes */
$ end
} scratch;
