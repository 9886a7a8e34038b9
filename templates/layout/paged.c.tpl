$ -- Layout paged: keys lie in pages, as dense ones within each, in which a page table says. `rows` of
$ -- this layout say which key they are counted from. Q and O are dense.
$ local PAGE = spec.page
$ assert(PAGE >= 16 and PAGE & (PAGE - 1) == 0, "paged: pages have a power of two of keys")
$ local dense = hooks("layout/dense.c")
$ local T = plan.type.k.c
$ assert(T == plan.type.v.c, "paged: keys and values have one type")
$ -- Blocks of dot products lie in one page, but for those that count more keys than it has.
$ local far = plan.tiled and not plan.gathers and plan.codes and plan.turn_keys > PAGE
$ local function of(view) -- "k->", "args->k."
$   return view:sub(-1) == ">" and view:sub(1, -3) or "&" .. view:sub(1, -2)
$ end
$ local function keys_of(view, b, h, args, first, last)
$   return "keys_of(" .. args .. ", " .. of(view) .. ", " .. b .. ", " .. h .. ", " .. (first or 0) .. ", " .. (last or -1) .. ")"
$ end
$ local function key_at(rows, key, step) return "find(" .. rows .. ", " .. key .. ", " .. step .. ")" end
$ local function from(rows, key) return "rows_from(" .. rows .. ", " .. key .. ")" end
$ local function declare()
enum { PAGE = ${PAGE} }; /* keys a page */

/* An item's keys of one head. */
typedef struct key_rows {
    const ${T} *at;       /* where the head begins in page 0 */
    const int32_t *pages; /* the item's, */
    int64_t stride;       /* and between pages */
    int64_t key;          /* which key they are counted from */
    int32_t first, last;  /* keys whose pages are sure to be needed; first > last: not known */
} key_rows;

static inline key_rows keys_of(const attn_args *args, const attn_view *v, int64_t b, int64_t head,
                               int32_t first, int32_t last) {
    const int32_t *pages = args->pages ? args->pages + b * args->pages_batch : NULL;
    return (key_rows){(const ${T} *)v->data + head * v->head, pages, v->batch, 0, first, last};
}

static inline const ${T} *find(key_rows rows, int64_t key, ptrdiff_t step) {
    key += rows.key;
    return rows.at + rows.pages[key / PAGE] * rows.stride + key % PAGE * step;
}

$ if far or not plan.tiled then
static inline key_rows rows_from(key_rows rows, int64_t key) {
    rows.key += key;
    return rows;
}

$ end
$ if plan.tiled and not plan.indexed then
/* Where that row lies, to ask for it; no entry is read for a key whose page may go unused. */
static inline uintptr_t beyond(key_rows rows, int64_t key, ptrdiff_t step) {
    if (rows.first > rows.last) return (uintptr_t)rows.at;
    key = key < rows.first ? rows.first : key > rows.last ? rows.last : key;
    return ATTN_AHEAD(rows.at, rows.pages[key / PAGE] * rows.stride + key % PAGE * step);
}

/* To the row of `key` from the one before; past the last one it is of no use. */
static inline const ${T} *next_row(key_rows rows, const ${T} *row, int64_t key, int64_t last,
                                   ptrdiff_t step) {
    return key % PAGE || key > last ? row + step : find(rows, key, step);
}

$ end
$ if plan.tiled and not plan.gathers and #plan.dots > 0 then
/* Keys from this one on that its page has. */
static inline int64_t page_rest(int64_t key) {
    return PAGE - key % PAGE;
}

$ end
$ if plan.scaled then
/* Scales of keys, from `key` on. */
typedef struct scale_rows {
    const float *at;
    const int32_t *pages;
    int64_t stride, key;
} scale_rows;

static inline scale_rows scales_of(const attn_args *args, const attn_scales *s, int64_t b,
                                   int64_t head, int64_t key) {
    const int32_t *pages = args->pages ? args->pages + b * args->pages_batch : NULL;
    return (scale_rows){s->data + head * s->head, pages, s->batch, key};
}

static inline const float *find_scale(scale_rows rows, int64_t key, ptrdiff_t step) {
    key += rows.key;
    return rows.at + rows.pages[key / PAGE] * rows.stride + key % PAGE * step;
}

$ end
$ end
$ -- Rows of keys between which there may be pages that nobody sees go by what `w` has resolved.
$ local function held(rows, w) return plan.holes and "held_rows(" .. w .. ", " .. rows .. ")" or rows end
$ local function held_scales(rows, w) return plan.holes and "held_scales(" .. w .. ", " .. rows .. ")" or rows end
$ return {
$   declare = declare,
$   page = PAGE,
$   held = held,
$   held_scales = held_scales,
$   far = far, -- blocks of dot products may lie in several
$   rows = function() return "key_rows " end,
$   q_at = dense.q_at,
$   o_at = dense.o_at,
$   k_rows = keys_of,
$   v_rows = keys_of,
$   k_from = from,
$   k_at = key_at,
$   v_at = key_at,
$   one = function(v, k) return v .. ".at == " .. k .. ".at && " .. v .. ".stride == " .. k .. ".stride" end,
$   block = function(type) return far and "key_rows " or dense.block(type) end,
$   block_at = function(rows, key, step) return far and from(rows, key) or key_at(rows, key, step) end,
$   in_block = function(row, n, step) return far and key_at(row, n, step) or dense.in_block(row, n, step) end,
$   beside = dense.beside,
$   v_next = function(row, key, step, rows, last)
$     return row .. " = next_row(" .. table.concat({ rows, row, key, last, step }, ", ") .. ")"
$   end,
$   ahead = function(rows, key, step) return "beyond(" .. rows .. ", " .. key .. ", " .. step .. ")" end,
$   k_step = dense.k_step,
$   v_step = dense.v_step,
$   head_step = dense.head_step,
$   scales = "scale_rows ",
$   scales_too = "",
$   scale_at = function(view, b, h, key, args)
$     return "scales_of(" .. table.concat({ args, of(view), b, h, key }, ", ") .. ")"
$   end,
$   scale = function(rows, key, step) return "*find_scale(" .. rows .. ", " .. key .. ", " .. step .. ")" end,
$   scale_run = function(rows, key) return "find_scale(" .. rows .. ", " .. key .. ", 1)" end,
$   scale_step = dense.scale_step,
$   keys_here = function(rows, key, n)
$     return far and n or "min32(" .. n .. ", PAGE - " .. key .. " % PAGE)"
$   end,
$ }
