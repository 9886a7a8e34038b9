#include "block_internal.h"

#include "layout.h"
#include "op.h"
#include "types.h"
#include "weight_types.h"

#include <math.h>
#include <stdio.h>

/* --- RoPE --- */

static double pair_angle(const attn_spec *s, int i) {
    return pow((double)s->rope_base, -2.0 * i / s->rope_dim);
}

/* Llama 3: long waves are stretched by the factor, short ones not, those between in part. */
static double llama3(const attn_spec *s, double angle) {
    const double turns = s->rope_original * angle / (2 * M_PI);
    const double low = (double)s->rope_low, high = (double)s->rope_high;
    if (turns > high) return angle;
    if (turns < low || low == high) return angle / (double)s->rope_factor;
    const double part = (turns - low) / (high - low);
    return (1 - part) * angle / (double)s->rope_factor + part * angle;
}

/* The pair that turns `turns` times over the trained length (Peng et al. 2023). */
static double yarn_pair(const attn_spec *s, double turns) {
    return s->rope_dim * log(s->rope_original / (turns * 2 * M_PI)) /
           (2 * log((double)s->rope_base));
}

static double yarn(const attn_spec *s, int i) {
    double low = yarn_pair(s, (double)s->rope_high), high = yarn_pair(s, (double)s->rope_low);
    if (s->rope_truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, s->rope_dim - 1);
    if (low == high) high += 0.001;
    const double ramp = fmin(fmax((i - low) / (high - low), 0), 1);
    const double angle = pair_angle(s, i);
    return angle / (double)s->rope_factor * ramp + angle * (1 - ramp);
}

static double frequency(const attn_spec *s, int i) {
    switch (s->rope_scaling) {
    case ATTN_ROPE_SCALING_LINEAR: return pair_angle(s, i) / (double)s->rope_factor;
    case ATTN_ROPE_SCALING_LLAMA3: return llama3(s, pair_angle(s, i));
    case ATTN_ROPE_SCALING_YARN: return yarn(s, i);
    default: return pair_angle(s, i);
    }
}

static void plan_rope(arena *a, const attn_spec *s, block_plan *p) {
    const bool scaled =
        s->rope_scaling == ATTN_ROPE_SCALING_YARN || s->rope_scaling == ATTN_ROPE_SCALING_LONGROPE;
    p->mscale = scaled ? (double)s->rope_mscale : 1;
    if (s->rope == ATTN_ROPE_NONE) return;
    p->frequency_count = s->rope_dim / 2;
    p->frequency = arena_alloc(a, (size_t)p->frequency_count * sizeof(double));
    for (int i = 0; i < p->frequency_count; i++) p->frequency[i] = frequency(s, i);
}

/* --- Matrix products --- */

static int most(int a, int b) {
    return a > b ? a : b;
}

/* Columns that a task may not be narrower than. */
static int widest_unit(const attn_spec *s, int nr) {
    int widest = block_unit(s->head_dim, nr);
    if (s->form == ATTN_FORM_REGULAR) widest = most(widest, block_unit(s->v_dim, nr));
    if (s->form == ATTN_FORM_MLA) {
        widest = most(widest, block_unit(s->retr_dim, nr));
        widest = most(widest, block_unit(s->head_dim + s->retr_dim, nr));
    }
    if (s->key == ATTN_KEY_SHARED)
        widest = most(widest, block_unit(s->head_dim + s->v_head_dim, nr));
    return widest;
}

/* Tiles of 2 vectors and `int_bytes` sums a row: of 32 registers 18 to 24 are sums; of 16 12, or 8
 * where products of two take a register more. 2 rows x 2 vectors x 3 bytes, 2 of codes and one of a
 * row's bytes load 8 times for 12 products; one vector of 4 rows would load 13 times. */
static void plan_integers(const attn_spec *s, const isa_row *isa, block_plan *p) {
    enum { MANY = 5 };
    const bool coarse = s->weight_dot == ATTN_WEIGHT_DOT_I8, wide = isa->registers > 16;
    p->int_bytes = coarse ? 1 : 3;
    p->int_rows = coarse ? (wide || isa->dots == ISA_DOTS_QUADS ? 6 : 4) : wide ? 3 : 2;
    if (s->same_bits == ATTN_SAME_BITS_FALSE && !coarse && isa->dots == ISA_DOTS_PAIRS)
        p->float_from = MANY;
}

static void plan_gemm(const attn_spec *s, const isa_row *isa, block_plan *p) {
    p->vectors = 2;
    /* mr * 2 accumulators, 2 vectors of W and a broadcast. */
    p->mr = (isa->registers - p->vectors - 1) / p->vectors;
    p->mr = p->mr > 12 ? 12 : p->mr;
    p->nr = p->vectors * isa->width;
    p->line = 16; /* f32 */
    p->depth = 256;
    p->unroll = 2; /* 4: gcc 12 spills */
    p->rows = 96;
    p->wide = most(8 * p->nr, widest_unit(s, p->nr));
    p->few = p->nr;
    p->near = 128;
    p->sum = 128; /* equal ones round by 43 of 2^-24 at most, and spans of them by 6 more */
    p->span = 2048;
    p->ahead = 64;
    p->streams = 4;
    p->block_ahead = 4096; /* what memory takes its time for */
    p->block_streams = 2;
    p->int_cache = isa->int_cache;
    p->pad = 16;
    p->chunk =
        s->ffn == ATTN_FFN_MOE ? 8 : 4; /* more rows an expert, whose weights are read once */
    p->tasks = 3;
    p->task_bytes = 2 << 20;
    p->few_tiles = 2;
    p->row_ahead = 16;
    plan_integers(s, isa, p);
    p->int_depth = 512;
    p->int_few = 8;
}

/* A pair of the absorbed form takes (c + r) + c products, of the expanded one (n + r) + v; to
 * expand a key takes c (n + v). Under a causal mask a query sees half of the keys. */
static void plan_expand(const attn_spec *s, block_plan *p) {
    if (!attn_spec_expands(s)) return;
    const double once = (double)s->kv_comp_dim * (s->head_dim + s->v_head_dim);
    const double saved = 2.0 * s->kv_comp_dim - s->head_dim - s->v_head_dim;
    const double from = saved > 0 ? once / saved * (s->causal ? 2 : 1) : 1e9;
    if (from < 1e6) p->expand_from = (int)ceil(from);
}

static void note(block_plan *p, const char *text) {
    if (p->notes < BLOCK_MAX_NOTES) p->note[p->notes++] = text;
}

/* "bf16 and f16": those that are not f32. */
static const char *type_names(arena *a, const bool *has) {
    buf b = buf_new(a);
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++)
        if (type != ATTN_WEIGHT_F32 && has[type])
            buf_printf(&b, "%s%s", b.len ? " and " : "", attn_weight_get(type).name);
    return b.len ? b.data : "";
}

/* Types of weights that are widened. */
static const char *weight_names(arena *a, const block_plan *p) {
    return type_names(a, p->has_weights);
}

/* Where keys and values are rounded. */
static void plan_stored_notes(arena *a, const attn_spec *s, block_plan *p) {
    const char *type = attn_type_get(attn_spec_types(s).k).name;
    const char *wide =
        p->expand_from ? "; those that are expanded are widened again, an item at a time" : "";
    const attn_rotation turn = attn_spec_rotation(s);
    if (attn_spec_types(s).k == ATTN_TYPE_F32) return;
    if (!attn_spec_scaled(s))
        note(p, arena_printf(a, "keys and values are rounded to %s in the pass that makes them%s",
                             type, wide));
    else if (s->form == ATTN_FORM_MLA && !attn_spec_one_row(s))
        note(p, arena_printf(a,
                             "keys are rounded to %s in the pass that makes them, and so are the "
                             "latent rows that they are made of: whole, as a row has one scale",
                             type));
    else
        note(p, arena_printf(a,
                             "%s are rounded to %s, by the largest number of a row, in the pass "
                             "that makes them%s",
                             attn_spec_one_row(s) ? "key rows" : "keys and values", type, wide));
    if (turn.block)
        note(p, arena_printf(a,
                             "keys are rotated in blocks of %d columns, in double, before they are "
                             "rounded",
                             turn.block));
}

/* Where rows are integers on their way into products. */
static void plan_integer_notes(arena *a, const attn_spec *s, block_plan *p) {
    if (s->weight_dot == ATTN_WEIGHT_DOT_I8 && !p->integers)
        note(p, "weight_dot = i8: not made use of here, products are in f32");
    if (p->integers)
        note(p,
             arena_printf(a,
                          "rows times weights in %s: 32 elements of a row are integers of %d bits "
                          "times a scale%s, and their products with codes are summed in integers, "
                          "exactly, whatever the rows and the instruction set (portable "
                          "aside); scales in f32. Blocks below 2^-100 are 0",
                          type_names(a, p->has_integers), 8 * p->int_bytes,
                          p->int_bytes > 1 ? "" : " (weight_dot = i8)"));
    if (p->float_from)
        note(p, arena_printf(a,
                             "same_bits = false: from %d rows of a call on these products are in "
                             "floats: a row's bits depend on how many rows the call has",
                             p->float_from));
    else if (s->same_bits == ATTN_SAME_BITS_FALSE)
        note(p, "same_bits = false: not made use of here, floats are no faster");
}

/* How few rows read their weights. */
static void plan_row_notes(arena *a, block_plan *p) {
    bool own = false, blocks = false;
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++)
        if (p->has_weights[type]) *(attn_weight_is_float(type) ? &own : &blocks) = true;
    if (own)
        note(p,
             arena_printf(a, "one row reads %d panels at once; few rows take W as it lies, %d deep",
                          p->streams, p->near));
    if (blocks)
        note(p, arena_printf(a, "one row reads %d panels of weights in blocks at once",
                             p->block_streams));
    if (p->integers)
        note(p, arena_printf(a,
                             "one row of integers reads a panel at a time, and asks for what lies "
                             "%d bytes ahead, to L%d; few rows take W as it lies",
                             p->block_ahead, p->int_cache));
}

static void plan_tile_notes(arena *a, block_plan *p) {
    bool floats = false;
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++)
        floats = floats || p->has_weights[type];
    if (floats)
        note(p,
             arena_printf(a,
                          "products: register tile of %d rows x %d columns; W packed in panels of "
                          "%d columns, slices of %d stay in L1",
                          p->mr, p->nr, p->nr, p->depth));
    if (p->integers)
        note(p,
             arena_printf(a,
                          "products of integers: register tile of %d rows x %d columns; W packed "
                          "in panels of %d columns, slices of %d stay in L1 as bytes",
                          p->int_rows, p->nr, p->nr, p->int_depth));
}

static void plan_notes(arena *a, const attn_spec *s, block_plan *p) {
    plan_tile_notes(a, p);
    note(p,
         arena_printf(
             a, "tasks: %d rows x %d columns, %d columns where those would leave threads idle%s",
             p->rows, p->wide, p->few,
             block_has_brief(p) ? arena_printf(a,
                                               "; of %d rows or fewer whole panels of %d MB "
                                               "of weights at most, or the fewest that go together",
                                               p->few_tiles * p->mr, p->task_bytes >> 20)
                                : ""));
    plan_row_notes(a, p);
    if (!p->float_from)
        note(p, "sums run over k in order whatever the rows, so that a step's projections have the "
                "bits of a prefill's");
    if (p->expand_from && attn_layout_of(s)->paged && attn_spec_types(s).k == ATTN_TYPE_F32)
        note(p, "keys that are expanded are brought side by side first, an item at a time");
    if (p->expand_from)
        note(p,
             arena_printf(a,
                          "latent keys are expanded to keys and values a head where an item has %d "
                          "queries or more: %d products a pair instead of %d, and %d for each key",
                          p->expand_from, s->head_dim + s->retr_dim + s->v_head_dim,
                          2 * s->kv_comp_dim + s->retr_dim,
                          s->kv_comp_dim * (s->head_dim + s->v_head_dim)));
    if (p->experts)
        note(p, arena_printf(a,
                             "experts: a block of rows is sorted by expert once; an expert's rows "
                             "are one product, and a row's experts are added in ascending order%s; "
                             "a row reads %d of %d experts",
                             p->every_row ? ", the shared ones last" : "", s->top_k, s->experts));
    if (s->qk_norm && s->qk_norm_over == ATTN_QK_NORM_OVER_ALL)
        note(p,
             "q and k are normed over all heads in a pass of their own, after their products; keys "
             "stand in the workspace until then");
    if (block_plan_gates(s))
        note(p, arena_printf(a,
                             "gates: %lld more columns of the first products; what the heads give "
                             "is multiplied in a pass before the output projection",
                             (long long)block_plan_gates(s)));
    plan_stored_notes(a, s, p);
    plan_integer_notes(a, s, p);
    if (*weight_names(a, p))
        note(p, arena_printf(a,
                             "weights in %s are widened in registers where rows are few, else a "
                             "slice of a panel at a time into L1: the same products and sums as in "
                             "f32",
                             weight_names(a, p)));
    if (s->rope != ATTN_ROPE_NONE)
        note(p, "RoPE: angles of 64-token blocks by sin and cos in double, those inside by one "
                "complex product");
}

/* A sliding layer with expressions: whether its cache lets go of keys. */
static void plan_cache_note(arena *a, const kernel_spec *k, block_plan *p) {
    if (k->core.select == ATTN_SELECT_INDEX)
        note(p, "cache: keeps all keys: lists name them by number");
    if (attn_layout_of(&k->core)->paged) {
        note(p, "cache: new keys and values go to their pages in the pass that makes them");
        if (attn_op_kept(&k->core) < ATTN_FAR)
            note(p, "cache: keys keep their numbers; pages before the window may be unmapped");
        return;
    }
    if ((!k->score_expr && !k->mask_expr) || attn_op_kept(&k->core) == ATTN_FAR) return;
    note(p, kernel_spec_relative(a, k)
                ? "cache: lets go of keys beyond the window: expressions see distances, wherever "
                  "keys are counted from"
                : "cache: keeps all keys: an expression sees the number of a key, and not its "
                  "distance alone");
}

bool block_plan_adds(arena *a, const kernel_spec *k, const isa_row *isa, const isa_row *like) {
    block_plan p;
    block_plan_make(a, k, isa, &p);
    return p.integers && isa->dots != like->dots; /* all else of a layer's plan is the like row's */
}

void block_plan_make(arena *a, const kernel_spec *k, const isa_row *isa, block_plan *p) {
    const attn_spec *s = &k->core;
    *p = (block_plan){.isa = (attn_isa)(isa - isa_table), .width = isa->width};
    p->model = attn_spec_row_dim(s);
    p->keys = s->kv_dim != ATTN_UNSET ? s->kv_dim : p->model;
    p->given_positions = s->kv_dim != ATTN_UNSET;
    p->second_output = attn_op_of(s)->second_output && s->key == ATTN_KEY_PER_HEAD;
    plan_rope(a, s, p);
    plan_gemm(s, isa, p);
    plan_expand(s, p);
    p->page = attn_layout_of(s)->paged ? s->page : 0;
    p->kept = p->page && attn_op_kept(s) < ATTN_FAR ? (int)attn_op_kept(s) : -1;
    block_plan_stages(s, p);
    snprintf(p->symbol, sizeof p->symbol, "%.200s__%s_r%dc%d", k->name, isa->name, p->mr, p->nr);
    plan_notes(a, s, p);
    plan_cache_note(a, k, p);
}

/* Those that a row passes. */
static double ffn_weights(const attn_spec *s, double width) {
    block_plan p = {0};
    block_plan_ffn(s, &p);
    const double each = (p.gated ? 3 : 2) * width;
    if (!p.experts) return each * p.ffn_dim;
    return each * (p.ffn_dim + (double)s->top_k * s->expert_dim) +
           width * (s->experts + (s->shared_gate ? 1 : 0));
}

double block_plan_row_flops(const kernel_spec *k) {
    const attn_spec *s = &k->core;
    const double width = attn_spec_row_dim(s);
    const double keys = s->kv_dim != ATTN_UNSET ? s->kv_dim : width, h = s->heads;
    double weights = ffn_weights(s, width);
    if (s->form == ATTN_FORM_REGULAR)
        weights += h * s->head_dim * width + keys * s->kv_heads * s->head_dim +
                   keys * s->v_heads * s->v_dim + h * s->v_dim * width +
                   (double)block_plan_gates(s) * width;
    else if (s->key == ATTN_KEY_PER_HEAD)
        weights += width * h * s->retr_dim + keys * s->kv_comp_dim +
                   (double)s->kv_comp_dim * h * s->retr_dim + h * s->kv_comp_dim * s->head_dim +
                   h * s->head_dim * width;
    else {
        const double q = h * (s->head_dim + s->retr_dim);
        weights += s->q_comp_dim == ATTN_UNSET ? width * q : s->q_comp_dim * (width + q);
        weights += keys * (s->kv_comp_dim + s->retr_dim) + h * s->kv_comp_dim * s->head_dim +
                   h * s->kv_comp_dim * s->v_head_dim + h * s->v_head_dim * width;
    }
    return 2 * weights;
}
