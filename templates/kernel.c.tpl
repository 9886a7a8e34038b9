$ -- One kernel file: a spec on an instruction set. The three axes are hooks: form/ finds rows, op/
$ -- says which keys a row sees, backend/ changes scores. part/ holds the register tiles.
$ local engine = hooks("engine/" .. isa.engine .. ".c")
$ assert(plan.tile_vectors >= 1, "plan: a tile has at least one vector")
$ assert(plan.panel % plan.width == 0, "plan: a V panel is whole vectors")
${part("package/banner.c")}
#include "runtime/attn_kernel.h"
$ if isa.guard then
#if ${isa.guard}
$ end
#include "runtime/simd/${isa.name}.h"
$ local stored = {}
$ for _, type in ipairs { plan.type.q, plan.type.k, plan.type.v, plan.type.o } do
$   if type.suffix ~= "" and not stored[type.suffix] then
$     stored[type.suffix] = true
#include "runtime/simd/${type.suffix:sub(2)}.h"
$   end
$ end
$ if expr then
#include "runtime/simd/minmax.h"
$ end

enum {
    D = ${plan.d}, /* width of a query and key row */
    DV = ${plan.dv}, /* width of a value and output row */
    DVP = ${plan.dvp}, /* the same in whole vectors */
    HEADS = ${plan.heads}, /* query heads */
    KEY_HEADS = ${plan.key_heads},
    VALUE_HEADS = ${plan.value_heads},
$ if plan.gather_keys > 0 then
    KEYS = ${plan.gather_keys}, /* most keys that a row sees: few enough to unroll */
$ else
    GROUP = ${plan.group}, /* query heads that share both their key head and their value head */
    GROUPS = HEADS / GROUP,
    ROWS = ${plan.rows}, /* query rows of a full tile: ${plan.tile_vectors} vectors */
    TILES = ${plan.tiles}, /* tiles a query block */
    BK = ${plan.key_block}, /* keys a block */
    SPAN = ${plan.span}, /* keys of a tile's sum before it is kept: see sums */
    PART = ${plan.part_keys}, /* keys a part of a split-key run */
$   if plan.reach >= 0 then
    REACH = ${plan.reach}, /* n rows see at most n + REACH keys from the first to the last */
$   end
    DECODE_Q = ${plan.decode_q}, /* most query rows that run as decode */
$   if #plan.dots > 0 then
    DOT_MOST = ${plan.dot_most}, /* most rows of a group that run as dot products, */
    DOT_ROWS = ${plan.dots[#plan.dots].rows}, /* that many a tile; such tiles take turns: */
    TURN = ${plan.turn_keys}, /* keys of a turn */
    AHEAD = ${plan.dot_ahead}, /* rows of K and of V that are asked for before their turn */
$   end
    PV_GROUPS = ${plan.pv_groups_max}, /* most row groups of a tile in P V */
$ end
    W = VF_WIDTH
};

$ if plan.log2e then
/* exp(x) = exp2(x * LOG2E): scores are kept in units of log 2. */
static const float LOG2E = ${f32(1.4426950408889634)};
$ end
static const double LN2 = 0x1.62e42fefa39efp-1;
/* No maximum yet. Finite, so that hidden keys (-inf) minus it stay -inf. */
static const float NO_MAX = ${f32(-3.4028234663852886e38)};

typedef attn_expr_ctx item; /* one batch item of the call */

ATTN_HIDDEN extern const attn_kernel
    ${plan.symbol};

static inline int32_t min32(int32_t a, int32_t b) {
    return a < b ? a : b;
}
static inline int32_t max32(int32_t a, int32_t b) {
    return a > b ? a : b;
}
$ if plan.gather_keys == 0 then
static inline int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}
$ end

${part("form/" .. spec.form .. ".c")}
${part("op/" .. spec.op .. ".c")}

$ if plan.gather_keys == 0 then
${part("part/scratch.c")}
$ else
/* What a thread works in: the scores of one row. */
typedef struct scratch {
    _Alignas(64) float s[${plan.gather_lanes}];
} scratch;
$ end
_Static_assert(sizeof(scratch) == ${plan.scratch_bytes}, "the plan's workspace");

$ if expr then
${part("part/expr.c")}

$ end
${part("part/common.c")}

$ if plan.gather_keys == 0 then
${part("part/sums.c")}

$ end
${part("backend/" .. spec.backend .. ".c")}

$ if plan.gather_keys == 0 then
${engine.pack_q()}

$ end
$ local pv_seen = {} -- register tiles of P V, emitted once
$ for nv = 1, plan.gather_keys > 0 and 0 or plan.tile_vectors do
${engine.qk(nv)}

${part("part/softmax.c", { nv = nv })}
${engine.pv(nv, pv_seen)}
${part("part/adjust.c", { nv = nv })}
$   if expr then
$     if plan.rescore then
${part("backend/flex_tile.c", { nv = nv, masked = false })}
$     end
${part("backend/flex_tile.c", { nv = nv, masked = true })}
$   end
${part("part/tile.c", { nv = nv })}

$ end
${part("part/finish.c")}

${part("part/call.c")}

$ if plan.gather_keys > 0 then
${part("part/gather.c")}

$ else
${part("part/shares.c")}

${part("part/rows.c")}

${part("part/prefill.c")}

$   for _, dot in ipairs(plan.dots) do
${part("part/dot.c", { dot = dot })}

$   end
${part("part/decode.c")}

$ end
${part("part/run.c")}
ATTN_TARGET_END
$ if isa.guard then
#endif
$ end
