$ -- One layer file: a layer spec on an instruction set. form/*_block says what is projected and how
$ -- the heads come together again; the rest of a layer is the same for all.
$ local source = part("package/banner.c")
$ local norms = spec.norm ~= "none"
$ local own_ffn, gated, second = plan.own_ffn, plan.gated, plan.second_norm
$ local N = hooks("block/norm.c")
$ local post, out = spec.norm_place == "post", N.after
$ local scaled = spec.residual_scale ~= 0
$ local parallel = spec.residual == "parallel"
$ local form = "form/" .. spec.form .. "_block.c"
$ local paged = plan.page > 0
$ local dims = { MODEL = plan.model, FFN = plan.ffn_dim }
$ -- Norms and ffn: the weights of every layer.
$ local function norm_weights(weight, name)
$   if not spec.norm_bare then weight(name .. ".weight", { dims.MODEL }) end
$   if spec.norm_bias then weight(name .. ".bias", { dims.MODEL }) end
$ end
$ local function layer_weights(weight)
$   if N.first then norm_weights(weight, "norm1") end
${part(form, { section = "weights", weight = weight })}
$   if spec.sinks then weight("sinks", { spec.heads }) end
$   if spec.rope_scaling == "longrope" then weight("rope_factors", { #plan.frequencies }) end
$   if out then norm_weights(weight, "post_norm1") end
$   if second then norm_weights(weight, "norm2") end
$   if plan.experts then
$     weight("router.weight", { spec.experts, dims.MODEL })
$     if spec.router_bias == "logits" then weight("router.bias", { spec.experts }) end
$     if spec.router_bias == "selection" then weight("e_score_correction_bias", { spec.experts }) end
$     if spec.shared_gate then weight("shared_expert_gate.weight", { 1, dims.MODEL }) end
$   end
$   if plan.every_row then
$     local shared = plan.experts and "shared_expert." or ""
$     if gated then weight(shared .. "gate_proj.weight", { dims.FFN, dims.MODEL }) end
$     weight(shared .. "up_proj.weight", { dims.FFN, dims.MODEL })
$     weight(shared .. "down_proj.weight", { dims.MODEL, dims.FFN })
$     if spec.ffn == "xielu" then
$       weight("act_fn.alpha_p", { 1 })
$       weight("act_fn.alpha_n", { 1 })
$       weight("act_fn.beta", {}, { ignored = true })
$       weight("act_fn.eps", {}, { ignored = true })
$     end
$     if spec.ffn_bias then
$       if gated then weight(shared .. "gate_proj.bias", { dims.FFN }) end
$       weight(shared .. "up_proj.bias", { dims.FFN })
$       weight(shared .. "down_proj.bias", { dims.MODEL })
$     end
$   end
$   if own_ffn and out then norm_weights(weight, "post_norm2") end
$ end
$ -- The weights that every expert has.
$ local function expert_weights(weight)
$   local n, hidden, model = spec.experts, spec.expert_dim, dims.MODEL
$   if gated then weight("experts.gate_proj.weight", { n, hidden, model }) end
$   weight("experts.up_proj.weight", { n, hidden, model })
$   weight("experts.down_proj.weight", { n, model, hidden })
$   if spec.ffn_bias then
$     if gated then weight("experts.gate_proj.bias", { n, hidden }) end
$     weight("experts.up_proj.bias", { n, hidden })
$     weight("experts.down_proj.bias", { n, model })
$   end
$ end
${source}
#include "runtime/attn_kernel.h"
$ if isa.guard then
#if ${isa.guard}
$ end
#include "runtime/simd/${isa.name}.h"
$ if plan.kv.suffix ~= "" then
#include "runtime/simd/${plan.kv.suffix:sub(2)}.h"
$ end
$ for _, name in ipairs(plan.headers) do
#include "runtime/simd/${name}.h"
$ end

ATTN_HIDDEN extern const attn_kernel
    ${plan.core};
$ if plan.expand_from > 0 then
ATTN_HIDDEN extern const attn_kernel
    ${plan.expanded};
$ end

enum {
    MODEL = ${plan.model}, /* floats of a row of x and y */
$ if spec.kv_dim > 0 then
    KEY_SIDE = ${plan.keys}, /* floats of a row of kv */
$ end
$ if plan.every_row then
    FFN = ${plan.ffn_dim}, /* hidden width of the feed-forward part */
    H_ROW = ${plan.ffn_columns + plan.pad}, /* floats of a row of those */
$ end
$ if plan.experts then
    EXPERTS = ${spec.experts},
    TOP_K = ${spec.top_k}, /* experts of a row */
$   if spec.groups > 1 then
    GROUPS = ${spec.groups},
    GROUP_TOP = ${spec.group_top}, /* groups of a row */
$   end
    HIDDEN = ${spec.expert_dim}, /* width of an expert */
    SCORES = ${plan.router_columns}, /* of a row */
    X_ROW = ${plan.expert_columns + plan.pad},
$   if spec.ffn_bias then
    UP_BIAS_ROW = ${plan.expert_up_bias},
    DOWN_BIAS_ROW = ${plan.expert_down_bias},
$   end
$ end
${part(form, { section = "sizes" })}
$ if paged then
    PAGE = ${plan.page}, /* keys of a page */
$ end
    W = VF_WIDTH,
    NR = ${plan.nr}, /* columns of a register tile, and of a panel of packed weights */
$ if plan.brief then
    FEW_ROWS = ${plan.few_tiles * plan.mr}, /* so many or fewer wait for weights */
$ end
$ if #plan.weights > 0 then
    MR = ${plan.mr}, /* rows of a register tile */
    DEPTH = ${plan.depth}, /* of a panel's slice that stays in the first cache */
    NEAR = ${plan.near}, /* the same where rows are few */
    AHEAD = ${plan.ahead}, /* rows of a panel to ask for in advance there */
    SUM = ${plan.sum}, /* products that are summed at once; NEAR and DEPTH are whole SUMs */
$ end
    SPAN = ${plan.span}, /* products that t sums; sums of spans are kept apart */
    MB = ${plan.rows}, /* rows of a task */
    WIDE = ${plan.wide}, /* most columns of a task */
$ if plan.integers then
    INT_DEPTH = ${plan.int_depth}, /* of a slice whose codes are bytes */
    INT_ROWS = ${plan.int_rows}, /* of a register tile of integers */
$   if plan.float_from > 0 then
    FLOAT_FROM = ${plan.float_from}, /* rows of a call from which they are floats after all */
$   end
$ end
    CHUNK = ${plan.chunk}, /* row blocks a thread that pass the second half of the layer together */
    PAD = ${plan.pad} /* floats between rows in the workspace: rows 4 KiB apart would share cache sets */
};

$ if plan.brief then
/* Columns of a task of products. */
typedef enum task_width { TASK_WIDE, TASK_BRIEF, TASK_FEW } task_width;

$ end
/* Weights, in the order of pack's argument. */
enum {
$ local function enumerator(name)
    W_${name:gsub("%.", "_"):upper()},
$ end
$ layer_weights(enumerator)
    WEIGHTS
};
static const attn_weight weights[] = {
$ local function row(name, shape, more) -- more: { ignored = .., vector = .. }
$   local used = more and more.ignored and "false" or "true"
$   local vector = more and more.vector and #shape > 1 and "true" or "false"
    {"${name}", ${#shape}, {${#shape > 0 and table.concat(shape, ", ") or "0"}}, ${used}, ${vector}},
$ end
$ layer_weights(row)
};
$ if plan.experts then

/* Of each expert, likewise. */
enum {
$   expert_weights(enumerator)
    EXPERT_WEIGHTS
};
static const attn_weight expert_weights[] = {
$   expert_weights(row)
};
$ end

/* Packed weights: where each starts, in floats. */
$ local last = "0"
$ for _, p in ipairs(plan.places) do
#define ${p.name}_AT (${last})
$   last = p.name .. "_AT + " .. (p.panels > 0 and p.panels .. " * (int64_t)" or "") .. p.panel
$ end
#define PACKED_FLOATS (${last})

/* Packed matrices. */
enum {
$ for _, m in ipairs(plan.matrices) do
    M_${m.name},
$ end
};
static const attn_panels matrices[] = {
$ for _, m in ipairs(plan.matrices) do
    {${m.name}_AT, ATTN_WEIGHT_${m.type.name:upper()}, NR, ${m.k}},
$ end
};

/* --- One call --- */

$ if plan.integers then
$   local three = plan.int_bytes == 3
$   if three then
/* 32 elements of a row. upper, lower: sums over 16 of them of their upper bytes and the lowest. */
enum { MOST_INT = 8290303 };
$   else
/* 32 elements of a row. lower: sums over 16 of them. */
enum { MOST_INT = 127 };
$   end
typedef struct integers {
    int8_t q[${plan.int_bytes}][32];
$   if plan.int_words and three then
    int16_t w[2][32]; /* upper bytes, and the lowest; of 4 elements in the order 0 2 1 3 */
$   elseif plan.int_words then
    int16_t w[1][32]; /* the same; of 4 elements in the order 0 2 1 3 */
$   end
    int32_t ${three and "upper[2], " or ""}lower[2];
    float d, all; /* all: the sum of the elements */
$   if three then
    int32_t none[2];
$   end
} integers;

/* A panel's slice as codes of bytes. */
typedef struct slice {
    _Alignas(64) uint8_t codes[INT_DEPTH * NR];
    float scale[INT_DEPTH / 16 * NR], least[INT_DEPTH / 32 * NR];
} slice;

$ end
/* What a thread works in. */
typedef struct scratch {
    _Alignas(64) float t[MB * WIDE];          /* a task's products */
$ if #plan.weights > 1 or not plan.has_floats and #plan.weights > 0 then
    float wide[DEPTH * NR]; /* a slice of a panel whose weights are no floats */
$ end
$ if plan.integers then
    slice slice;
$ end
    float kept[MB * WIDE], lost[MB * WIDE]; /* of longer sums: those of t before, their rounding */
$ if plan.experts then
    float rows[MB * (MODEL + PAD)]; /* of one expert */
$   if plan.stages.expert_up.int_blocks > 0 then
    integers ints[MB * ${plan.stages.expert_up.int_blocks}]; /* the same */
$   end
$ end
} scratch;
$ if plan.experts then

/* An expert that a row passes. */
typedef struct pick {
    int32_t expert;
    float weight;
} pick;

/* The same, in the order of experts. */
typedef struct slot {
    int32_t row; /* from that of the chunk on */
    bool first;  /* of the row's experts */
    float weight;
} slot;

/* Slots of one expert, one after the other. */
typedef struct expert_block {
    int32_t expert, slot, rows;
} expert_block;
$ end

typedef struct layer {
    const attn_block_call *call;
    const attn_block_args *args;
    const float *w;              /* packed weights */
    int32_t rows;                /* of all items, one after the other */
    int32_t first, some;         /* rows that the stage at hand covers */
    scratch *work;               /* one a thread */
    float *a;                    /* [rows][MODEL + PAD] normalised rows */
$ if plan.integers then
    integers *ints; /* of the rows that the stage at hand multiplies */
$ end
$ if parallel and second then
    float *a2; /* likewise, for the feed-forward part */
$ end
$ if #plan.frequencies > 0 then
    float *angles; /* [rows][ROPE_DIM] cosines, then sines */
$ end
$ if spec.kv_dim > 0 then
    int32_t key_rows;
    float *ak; /* [key_rows][KEY_SIDE + PAD] */
$   if #plan.frequencies > 0 then
    float *key_angles;
$   end
$ end
    attn_out k, v; /* where keys and values live */
$ if plan.scaled then
    attn_scales_out ${spec.key == "shared" and "k_scale; /* and theirs" or "k_scale, v_scale; /* and their scales"} */
$ end
$ if post or out then
    float *sum; /* [chunk][MODEL + PAD] rows before their norm */
$ end
$ if plan.every_row then
    float *h; /* [chunk][H_ROW] */
$ end
$ if plan.experts then
    float *z;   /* [chunk][SCORES] */
    float *xh;  /* [chunk * TOP_K][X_ROW] hidden rows, by slot */
    float *mix; /* [chunk][MODEL + PAD] the experts' sum */
$   if spec.shared_gate then
    float *share; /* [chunk] of the shared experts */
$   end
    pick *pick;     /* [chunk][TOP_K] */
    slot *slot;     /* [chunk * TOP_K] */
    int32_t *begin; /* [EXPERTS + 1] where an expert's slots begin */
    expert_block *block;
    int32_t blocks;
$ end
${part(form, { section = "members" })}
    char *core; /* the core's workspace */
} layer;

static inline int32_t min32(int32_t a, int32_t b) {
    return a < b ? a : b;
}

static inline int32_t max32(int32_t a, int32_t b) {
    return a > b ? a : b;
}

/* Blocks of rows that make a task each. */
static inline int64_t row_blocks(int32_t rows) {
    return (rows + MB - 1) / MB;
}

static inline const float *x_row(const layer *l, int32_t row) {
    const attn_block_row *r = &l->call->row[row];
    return l->args->x + r->item * l->args->x_batch + r->place * l->args->x_token;
}

static inline float *y_row(const layer *l, int32_t row) {
    const attn_block_row *r = &l->call->row[row];
    return l->args->y + r->item * l->args->y_batch + r->place * l->args->y_token;
}

${part("block/gemm.c")}

${part("block/rows.c")}

/* --- Attention --- */

$ if spec.kv_dim > 0 then
${part("block/prepare.c", { name = "prepare_keys", keys = true })}

$ end
$ if spec.q_growth ~= 0 then
/* What queries at a position are multiplied by. */
static float growth_at(int32_t position) {
    const int64_t steps = ((int64_t)position + ${spec.q_growth_offset}) / ${spec.q_growth_every};
    return (float)(1 + (double)${f32(spec.q_growth)} * log1p((double)steps));
}

$ end
${part("block/prepare.c", { name = "prepare", keys = false, second = parallel and second })}

$ local key = spec.kv_dim > 0 and "l->call->key_row" or "l->call->row"
$ local first = spec.kv_dim > 0 and "" or "l->call->row0[r->item] + "
$ local function place() -- of key `at`, from the first row of `to` on
$   if not paged then return "r->item * to->batch + at * to->token" end
$   return "page_of(l, r->item, at) * to->batch + at % PAGE * to->token"
$ end
$ if paged then
static inline int64_t page_of(const layer *l, int64_t item, int64_t key) {
    const attn_args *core = &l->call->core;
    return core->pages[item * core->pages_batch + key / PAGE];
}
$ end
/* Where the keys of a row go: `head` 0. */
static inline ${plan.kv.c} *key_row(const layer *l, const attn_out *to, int32_t row) {
    const attn_block_row *r = &${key}[row];
    const int64_t at = ${first}r->token;
    return (${plan.kv.c} *)to->data + ${place()};
}
$ if plan.scaled then
/* Where the scale of those goes. */
static inline float *key_scale(const layer *l, const attn_scales_out *to, int32_t row) {
    const attn_block_row *r = &${key}[row];
    const int64_t at = ${first}r->token;
    return to->data + ${place()};
}
$ end

${part(form, { section = "code" })}

/* The attention's output, `cols` columns from `col` on of some rows: the residual joins here. */
static void out_done(const layer *l, int32_t first, int32_t rows, int32_t col, int32_t cols,
                     float *t, ptrdiff_t ldt) {
    for (int32_t i = 0; i < rows; i++, t += ldt) {
        const int32_t row = first + i;
$ if spec.o_bias then
        add(t, l->w + O_BIAS_AT + col, cols);
$ end
$ if post or out then
        float *to = l->sum + (int64_t)(row - l->first) * (MODEL + PAD) + col;
$ else
        float *to = y_row(l, row) + col;
$ end
$ if spec.residual ~= "none" and not out then
$   if scaled then
        join(to, x_row(l, row) + col, t, cols);
$   else
        const float *x = x_row(l, row) + col;
        for (int32_t c = 0; c < cols; c++) to[c] = x[c] + t[c];
$   end
$ else
        memcpy(to, t, sizeof(float) * (size_t)cols);
$ end
$ if not (post or out) then
        if (is_q_pad(l, row)) memset(to, 0, sizeof(float) * (size_t)cols);
$ end
    }
}

${part(form, { section = "output" })}

$ if post or out then
${part("block/after.c", { name = "after_attention", norm = post and "NORM1" or "POST1", from = "x" })}

$ end
$ if own_ffn then
/* --- Feed-forward --- */

${part("block/ffn.c", { parallel = parallel, second = second })}

$   if post or out then
${part("block/after.c", { name = "after_ffn", norm = post and "NORM2" or "POST2", from = "y" })}

$   end
$ end
${part("block/run.c", { form = form, gated = gated, own_ffn = own_ffn, second = second, norms = norms })}
$ if isa.guard then
#endif
$ end
