$ -- What variants share that go through the keys in tiles: shares of the items, tiles of rows, their
$ -- sums; and the workspace, of which one part serves both, one after the other.
$ assert(plan.tile_vectors >= 1, "plan: a tile has at least one vector")
$ assert(plan.panel % plan.width == 0, "plan: a V panel is whole vectors")
$ local engine = hooks("engine/" .. isa.engine .. ".c")
$ if a.section == "sizes" then
GROUP = ${plan.group}, /* query heads that share both their key head and their value head */
GROUPS = HEADS / GROUP,
ROWS = ${plan.rows}, /* query rows of a full tile: ${plan.tile_vectors} vectors */
TILES = ${plan.tiles}, /* tiles a query block */
BK = ${plan.key_block}, /* keys a block */
CHUNK = ${plan.chunk_keys}, /* keys of a chunk: whole blocks */
HELD = ${plan.held_tiles}, /* tiles of a task that goes through key chunks, at most */
PACK_MOST = ${plan.pack_most}, /* bytes of packed values that key chunks are not for */
SPAN = ${plan.span}, /* keys of a tile's sum before it is kept: see sums */
$   if plan.reach >= 0 then
REACH = ${plan.reach}, /* n rows see at most n + REACH keys from the first to the last */
$   end
$   if plan.indexed then
BLOCK = ${plan.index_keys}, /* keys of a list at a time */
$   end
$   if plan.holes then
HELD_PAGES = ${plan.held_pages}, /* pages of a part or a key block at most */
$   end
PV_GROUPS = ${plan.pv_groups_max}, /* most row groups of a tile in P V */
$ elseif a.section == "scratch" then
${part("part/scratch.c")}
$ elseif a.section == "tiles" then
${part("part/sums.c")}

$ if plan.gathers then
$   for _, dot in ipairs(plan.dots) do
${part(plan.codes and "part/integer.c" or "part/dot.c", { dot = dot })}
$   end
$ else -- tiles
$ if plan.indexed then
/* The number at a position of the block. */
static inline int64_t nth(const scratch *w, int64_t position) {
    return w->number[position - w->base];
}

/* Where the row of K at a position is, past the block's last one that of it. */
static inline uintptr_t asked(const scratch *w, int64_t position) {
    const int64_t last = w->base + w->count - 1, at = position < last ? position : last;
    return (uintptr_t)(${hooks(plan.places .. ".c").asked("at")});
}

$ end
$ if plan.holes then
/* Rows of keys, by the pages that were resolved for them. */
static inline key_rows held_rows(const scratch *w, key_rows rows) {
    if (w->held) return (key_rows){rows.at, w->page, rows.stride, rows.key - w->page_from, 0, -1};
    return rows;
}

$   if plan.scaled then
static inline scale_rows held_scales(const scratch *w, scale_rows rows) {
    if (w->held) return (scale_rows){rows.at, w->page, rows.stride, rows.key - w->page_from};
    return rows;
}

$   end
$ end
$ if plan.widen then
${part("part/widen.c")}

$ end

${engine.pack_q()}

$ local pv_seen = {} -- register tiles of P V, emitted once
$ for nv = 1, plan.tile_vectors do
${engine.qk(nv)}

${part("part/softmax.c", { nv = nv })}

${engine.pv(nv, pv_seen)}

${part("part/adjust.c", { nv = nv })}

$   if expr and not plan.indexed then
$     if plan.rescore then
${part("backend/flex_tile.c", { nv = nv, masked = false })}

$     end
${part("backend/flex_tile.c", { nv = nv, masked = true })}

$   end
${part("part/tile.c", { nv = nv })}

$ end
$ end
$ elseif plan.indexed then -- rows have their own lists: nothing is shared out
$   if a.section == "code" then
/* Positions past the int32 range wrap, and bound nothing. */
static inline bool positions_wrap(const item *x) {
    return (int64_t)x->q_start + x->rows - 1 > INT32_MAX;
}

${part("part/rows.c")}
$   end
$ elseif a.section == "types" then
/* What an item has to do, found out when a call begins: time goes by the keys that its rows see,
 * not by how long K and V are. */
typedef struct share {
    int32_t first, last; /* keys that some row sees; none: first > last */
    int32_t parts;       /* decode: parts that some row sees */
    int32_t blocks;      /* prefill: key blocks whose values are packed, first / BK the first */
    bool decode;         /* it has rows, and they run as decode, not as tiles */
$ if plan.holes then
    bool holes; /* there may be keys between those that rows see which no row does */
$ end
    int32_t sets;        /* prefill: tasks of a head, or of a value head */
    int32_t rows;        /* decode: rows of a group */
    int32_t tail;        /* keys that do not stand at their numbers */
    _Alignas(8) int64_t task; /* tasks of the items before it */
    int64_t before;      /* packed blocks of the items before it, or partial results */
} share;
_Static_assert(sizeof(share) == ${plan.share_bytes}, "the plan's workspace");
$ elseif a.section == "members" then
share *share;         /* one an item */
int32_t few;          /* items that run as decode */
$ elseif a.section == "code" then
$   if plan.holes then
${part("part/held.c")}

$   end
${part("part/shares.c")}

${part("part/rows.c")}
$ elseif a.section == "bounds" then
/* Keys from the first to the last that so many rows of an item see, at most; 0 rows see none. */
static int64_t most_keys(int32_t rows, int32_t kv_len_max) {
    if (rows <= 0) return 0;
$   if plan.scattered then
    return min64(kv_len_max, rows * INT64_C(${plan.row_keys})); /* else nothing is packed */
$   elseif plan.reach >= 0 then
    return min64(kv_len_max, reach_of(rows));
$   else
    return kv_len_max;
$   end
}
$ elseif a.section == "places" then
const uint64_t items = (uint64_t)e->batch, all = (uint64_t)attn_extent_rows(e);
c->share = attn_carve(base, &bytes, items * sizeof(share));
$ elseif a.section == "run" then
find_shares(&c);
$ end
