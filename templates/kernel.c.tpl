$ -- One kernel file: a spec on an instruction set. The axes are hooks: form/ finds rows, op/ says which
$ -- keys a row sees, backend/ changes scores, variant/ goes through a call's items, engine/ computes
$ -- products, layout/ forms addresses. part/ is what they share.
$ -- What all variants say in a section of the file, after what they share.
$ local function each(section)
$   local texts = {}
$   local function add(file)
$     local text = part(file, { section = section }):gsub("^\n+", ""):gsub("\n+$", "\n")
$     if text ~= "" then texts[#texts + 1] = text end
$   end
$   if plan.tiled then add("part/tiled.c") end
$   for _, v in ipairs(plan.variants) do add("variant/" .. v.name .. ".c") end
$   local apart = section == "code" or section == "bounds" or section == "runner"
$   return table.concat(texts, apart and "\n" or "")
$ end
$ assert(plan.heads % plan.group == 0, "plan: groups of heads are whole")
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
$ if plan.pairs then
    DK = ${plan.dk}, /* pairs of bf16 in a key row of tiles */
$ end
    DV = ${plan.dv}, /* width of a value and output row */
    DVP = ${plan.dvp}, /* the same in whole vectors */
    HEADS = ${plan.heads}, /* query heads */
    KEY_HEADS = ${plan.key_heads},
    VALUE_HEADS = ${plan.value_heads},
    ${each("sizes")}
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
$ if plan.tiled and not plan.indexed then

static inline int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}
$ end

${part("form/" .. spec.form .. ".c")}

${part("op/" .. spec.op .. ".c")}

${part("part/places.c")}

$ hooks(plan.places .. ".c").declare()

${each("scratch")}
_Static_assert(sizeof(scratch) == ${plan.scratch_bytes}, "the plan's workspace");

$ if expr then
${part("part/expr.c")}

$ end
${part("part/common.c")}
$ if plan.scaled then

${part("part/scaled.c")}
$ end
$ if plan.rotate then

${part("part/rotated.c")}
$ end

${part("backend/" .. spec.backend .. ".c")}

${each("tiles")}

${part("part/finish.c")}

${part("part/call.c", { each = each })}

${each("code")}

${part("part/run.c", { each = each })}
ATTN_TARGET_END
$ if isa.guard then
#endif
$ end
