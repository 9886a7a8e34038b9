/* plan.c - the facts of a kernel. */
#include "plan_internal.h"

#include "layout.h"
#include "op.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double LOG2E = 1.4426950408889634;
#define KEYS_MOST ((int64_t)INT32_MAX + 1)

/* Splits `rows` into the fewest groups of at most `most`, as even as can be, larger ones first. */
static void split_rows(plan_pv *pv, int rows, int most) {
    const int count = (rows + most - 1) / most;
    pv->group_count = count;
    for (int i = 0; i < count; i++) pv->groups[i] = rows / count + (i < rows % count);
}

/* Rows of a decode token fill tiles of this many vectors. */
static bool is_one_token(const plan *p, int nv) {
    const int width = isa_table[p->isa].width;
    return p->group > 4 && (p->group + width - 1) / width == nv;
}

/* A narrower tile only ends ranges, unless a token's heads fill it or the head is very wide. */
static bool is_busy(const plan *p, int nv) {
    return nv == p->tile_vectors || is_one_token(p, nv) || p->d >= 256;
}

/* Whole strips in a loop, then what is left, or the one whose last vector is partial. */
static void split_columns(const plan *p, int width, plan_pv *pv) {
    const int vectors = p->dvp / width, whole = vectors / pv->columns;
    const int rest = vectors - whole * pv->columns;
    const bool partial = p->dv % width != 0;
    const int looped = rest == 0 && partial ? whole - 1 : whole;
    const int end = looped * pv->columns * width;
    if (looped > 0) pv->strip[pv->strips++] = (plan_strip){.vectors = pv->columns, .to = end};
    if (rest > 0)
        pv->strip[pv->strips++] =
            (plan_strip){.vectors = rest, .from = end, .tail = partial, .narrow = true};
    else if (partial)
        pv->strip[pv->strips++] = (plan_strip){.vectors = pv->columns, .from = end, .tail = true};
}

static int tile_unroll(const plan *p, int nv, int requested) {
    if (requested < 0) return p->dk;
    if (requested > 0) return min_int(requested, p->dk);
    return min_int(p->dk, is_busy(p, nv) || p->d <= 16 ? p->choice.unroll : 4);
}

/* The levels of sums over keys (part/sums.c.tpl): equal shares of a block, and whole blocks. */
static void plan_sums(plan *p) {
    const int shares = (p->key_block + SUM_MOST - 1) / SUM_MOST;
    p->sum_keys = (p->key_block + shares - 1) / shares;
    p->span = (SPAN_KEYS + p->key_block - 1) / p->key_block * p->key_block;
}

/* K rows are asked for a line a row and step. Narrow tiles are decode's, whose keys come from
 * memory: it likes lines best in the order in which they lie, where the rows' lines come out even.
 */
static int row_asks(const plan *p, int nv, const plan_tile *t) {
    const int lines = plan_line(ATTN_TYPE_F32) * t->keys;
    return t->prefetch && nv < p->tile_vectors && p->dk % lines == 0 ? p->dk / lines : 0;
}

/* Narrow tiles are decode's, and alone with a key block: while they multiply a register tile's rows
 * they widen those of the next, whole lines of both kinds. */
static int tile_widens(const plan *p, int nv, const plan_tile *t) {
    const int line = plan_line(ATTN_TYPE_F32), lines = t->keys * line;
    if (!p->widen || p->pairs || p->scaled || nv == p->tile_vectors || !t->lazy || !t->prefetch)
        return 0;
    if (p->d % t->unroll || lines % plan_line(p->type.k) || p->d % plan_line(p->type.k)) return 0;
    return lines / plan_line(p->type.k);
}

static void plan_tiles(plan *p, const isa_row *isa, int unroll) {
    const plan_choice *c = &p->choice;
    p->key_block = c->key_block;
    plan_sums(p);
    p->tiles = c->tiles;
    for (int nv = 1; nv <= p->tile_vectors; nv++) {
        plan_tile *t = &p->tile[nv - 1];
        const bool full = nv == p->tile_vectors;
        /* keys * nv accumulators, nv queries and one broadcast. */
        t->keys = full ? c->keys : min_int(plan_qk_keys(isa, nv), isa->max_keys);
        if (t->keys > p->max_keys) p->max_keys = t->keys;
        t->unroll = tile_unroll(p, nv, unroll);
        /* Whole lines are asked for in step; other unrollings ask for nothing. */
        t->prefetch = t->unroll % plan_line(ATTN_TYPE_F32) ? 0 : c->prefetch;
        t->row_asks = row_asks(p, nv, t);
        /* In between, a tile is rare: the running maximum alone saves code. */
        t->lazy = p->lazy && (full || nv == 1 || is_one_token(p, nv));
        t->exp_keys = EXP_SUMS * t->keys;
        t->widens = tile_widens(p, nv, t);
        t->pv.columns = p->panel / isa->width;
        split_rows(&t->pv, nv * isa->width, plan_pv_rows(isa, c->columns));
        split_columns(p, isa->width, &t->pv);
        if (t->pv.group_count > p->pv_groups) p->pv_groups = t->pv.group_count;
    }
}

/* Keys at a time at the edges of full tiles, whose vectors of rows do not all see them: about 8, in
 * whole register tiles. */
static void plan_edges(const kernel_spec *k, plan *p) {
    const plan_tile *t = &p->tile[p->tile_vectors - 1];
    if (!attn_op_has_edges(&k->core) || p->tile_vectors == 1) return;
    p->edge_keys = t->keys < 8 ? 8 / t->keys * t->keys : t->keys;
    if (p->edge_keys > p->max_keys) p->max_keys = p->edge_keys;
}

/* Lines of K and of V that a tile of dot products asks for, spread over its loops. */
static void plan_dot_asks(const plan *p, const isa_row *isa, plan_dot *t) {
    const int line = plan_line(p->type.k), unit = p->pair_d ? 2 * isa->width : isa->width;
    const int strips = (p->dvp / isa->width + t->pv.columns - 1) / t->pv.columns;
    t->row_lines = plan_lines(p->type.k, p->d);
    t->strip_lines = (t->keys * t->row_lines + strips - 1) / strips;
    t->line_keys = t->keys < t->strip_lines ? 1 : t->keys / t->strip_lines;
    t->key_lines = (t->strip_lines + t->keys - 1) / t->keys;
    t->whole = p->d / unit * unit;
    t->step = t->whole % line == 0 ? line : unit;
    const int lines = t->walk * plan_lines(p->type.v, p->dv);
    t->unroll = t->plain && t->walk * t->rows == isa->width && t->whole <= 4 * t->step ? 4 : 1;
    t->bursts = t->plain && t->strip_lines <= BURST_MOST && lines <= BURST_MOST;
    if (p->dot_spread && t->whole > 0) t->asks = (lines * t->step + t->whole - 1) / t->whole;
}

/* Keys of a score vector whose sums stay in registers: all of them where there are enough. One row
 * reads as many streams as keys, and two rows half of that: more break the prefetchers'. */
static int dot_walk(const isa_row *isa, int rows, int vector_keys) {
    const int most = isa->registers < 32 || rows == 1 ? 2 : rows == 2 ? 4 : vector_keys;
    return min_int(most, vector_keys);
}

/* Vectors of columns of O that are summed at once. Four rows whose products take longer than memory
 * do so in half of 32 registers: that widens a vector of V for more sums, and where it is cheap, by
 * shift and mask, whole rows of 128 read P half as often. Of pairs, whole strips. */
static int dot_columns(const plan *p, const isa_row *isa, int rows) {
    int most = 2;
    if (isa->registers >= 32 && rows == 4 && plan_fma_bound(p, rows)) most = p->pair_dv ? 8 : 4;
    while (p->pair_dv % (most * isa->width)) most /= 2;
    return min_int(most, p->dvp / isa->width);
}

static void add_dot(plan *p, const isa_row *isa, int rows) {
    plan_dot *t = &p->dot[p->dots++];
    t->rows = rows;
    for (t->lanes = 1; t->lanes < rows;) t->lanes *= 2;
    const int least = isa->width / t->lanes; /* the keys of one score vector */
    t->keys = p->choice.dot_keys > least ? p->choice.dot_keys : least;
    if (t->keys > p->turn_keys) p->turn_keys = t->keys;
    t->pv.columns = dot_columns(p, isa, rows);
    t->walk = p->codes.q_most ? least : dot_walk(isa, rows, least);
    t->plain = plan_fma_bound(p, rows) && t->keys * t->lanes <= PLAIN_SUMS * isa->width;
    /* So little work a row runs into full queues, which drop requests; loads are short where O is
     * summed wide. */
    t->again = rows * 4 <= isa->width && (t->pv.columns <= 2 || p->codes.q_most);
    if (p->codes.q_most) {
        /* Sums in half of the registers: a row's, by bytes of P, of up to 8 vectors of columns. */
        t->pv.columns = min_int(isa->registers / 4, p->dvp / isa->width);
        split_rows(&t->pv, rows, isa->registers / 2 / (t->pv.columns * p->codes.p_bytes));
    } else {
        split_rows(&t->pv, rows, plan_pv_rows(isa, t->pv.columns));
    }
    split_columns(p, isa->width, &t->pv);
    plan_dot_asks(p, isa, t);
}

/* Whole pairs of vectors; of O, whole strips. */
static void plan_pairs(plan *p, const isa_row *isa) {
    const int unit = 2 * isa->width;
    if (p->type.k != ATTN_TYPE_BF16 || p->type.v != ATTN_TYPE_BF16) return;
    p->pair_d = p->d / unit * unit;
    p->pair_dv = p->dv / unit * unit;
}

static void plan_split(const kernel_spec *k, const isa_row *isa, plan *p) {
    p->part_keys = p->choice.part_keys;
    p->decode_q = p->choice.decode_q;
    /* More lines at once than wait for memory side by side. */
    p->dot_spread = p->d > 128 || isa->width > 8;
    p->dot_most = DOT_MOST;
    /* One token's rows in tiles of up to 8, and up to four tokens of a head that shares no key. */
    if (!plan_has_dots(&k->core, p)) return;
    plan_pairs(p, isa);
    const int most = min_int(DOT_ROWS, isa->width), tiles = (p->group + most - 1) / most;
    const int rows = (p->group + tiles - 1) / tiles;
    add_dot(p, isa, rows);
    if (rows < 3 && !p->indexed) add_dot(p, isa, 4);
    p->dot_ahead = (p->choice.dot_ahead + p->turn_keys - 1) / p->turn_keys * p->turn_keys;
}

/* Zero, or a float of full precision. */
static bool is_normal(double x) {
    return x == 0 || (fabs(x) >= (double)FLT_MIN && fabs(x) <= (double)FLT_MAX);
}

/* False where a factor of s makes one of them no float. */
static bool plan_factors(const attn_spec *s, double factor, plan *p) {
    const bool capped = s->softcap > 0;
    p->q_scale = capped ? (double)s->scale / s->softcap : s->scale * factor;
    p->softcap_factor = s->softcap * factor;
    return is_normal(p->q_scale) && (!capped || is_normal(p->softcap_factor));
}

static void plan_scores(arena *a, const kernel_spec *k, plan *p) {
    const attn_spec *s = &k->core;
    const bool capped = s->softcap > 0;
    p->has_score = k->score_expr != NULL;
    p->has_mask = k->mask_expr != NULL;
    p->bias = attn_spec_takes_mask(s);
    p->rescore = capped || p->has_score;
    p->scaled = attn_spec_scaled(s);
    p->rotate = attn_spec_rotation(s);
    double factor = LOG2E;
    if (p->has_score) p->score = expr_scale(a, k->score_expr, LOG2E, &factor);
    if (!plan_factors(s, factor, p) && p->has_score) {
        p->score = expr_scale(a, k->score_expr, LOG2E, NULL);
        plan_factors(s, 1, p);
        p->apart = true;
    }
    p->log2e = p->bias;
}

static bool is_length(int32_t dim) {
    return dim == ATTN_DIM_Q_LEN || dim == ATTN_DIM_KV_LEN;
}

/* What the classifier of tiles reads. Tables stay linear in the lengths: a tensor over two lengths
 * gets none. */
static void plan_minmax(const kernel_spec *k, plan *p) {
    p->minmax = k->mask_expr ? expr_minmax_tensors(k->mask_expr) : 0;
    for (int t = 0; t < k->tensor_count; t++) {
        int lengths = 0;
        for (int i = 0; i < k->tensors[t].rank; i++) lengths += is_length(k->tensors[t].dim[i]);
        if (lengths > 1) p->minmax &= ~(1u << t);
    }
}

/* Keys from the first to the last that n rows see: n - 1 and what the first sees back and the last
 * ahead of its position, itself among them. */
static void plan_reach(arena *a, const kernel_spec *k, plan *p) {
    const attn_spec *s = &k->core;
    expr_reach r = {EXPR_NO_REACH, EXPR_NO_REACH};
    if (k->mask_expr) r = expr_reach_of(a, k->mask_expr);
    const attn_op_rule *rule = attn_op_of(s);
    const attn_op_reach op = rule->reach(s);
    p->scattered = rule->segments;
    p->row_keys = op.most < KEYS_MOST ? op.most : KEYS_MOST;
    if (op.back < r.back) r.back = op.back;
    if (op.ahead < r.ahead) r.ahead = op.ahead;
    const int64_t reach = r.back + r.ahead;
    const bool bounded = r.back < EXPR_NO_REACH && r.ahead < EXPR_NO_REACH && reach < INT32_MAX;
    p->reach = p->scattered || !bounded ? -1 : reach > 0 ? (int)reach : 0;
}

/* Where V is not packed all at once: few keys, so that threads need little, and many rows, so that
 * each chunk is packed for many. */
static void plan_chunks(plan *p) {
    const int64_t block = (int64_t)p->key_block * p->dvp * (int64_t)sizeof(float);
    const int held = min_int((int)(HELD_BYTES / plan_tile_bytes(p)), HELD_MOST);
    p->chunk_keys = (block < CHUNK_BYTES ? (int)(CHUNK_BYTES / block) : 1) * p->key_block;
    p->held_tiles = held > p->tiles ? held : p->tiles;
}

/* Prefill and decode: what they share, and what is decode's. */
static void plan_tiled(arena *a, const kernel_spec *k, const isa_row *isa, int unroll, plan *p) {
    p->tiled = true;
    /* Tiles take rows that lie side by side. */
    p->widen = p->type.k != ATTN_TYPE_F32 || p->type.v != ATTN_TYPE_F32 || p->paged || p->indexed;
    p->widen_ahead = p->widen ? WIDEN_AHEAD : 0;
    p->latent = plan_is_latent(&k->core);
    plan_choose(p, k, isa);
    p->tile_vectors = p->choice.vectors;
    p->panel = plan_panel(p, isa);
    p->lazy = p->choice.lazy;
    plan_minmax(k, p);
    plan_tiles(p, isa, unroll);
    plan_edges(k, p);
    plan_split(k, isa, p);
    plan_reach(a, k, p);
    plan_chunks(p);
    if (p->indexed) {
        p->gathers = p->dots > 0;
        if (p->gathers) p->widen = false, p->edge_keys = 0;
        p->index_keys = p->gathers ? GATHER_KEYS : p->key_block;
        p->scattered = p->has_mask = false; /* no range of keys is what rows see */
        p->minmax = 0;
        p->reach = -1;
        p->variant[p->variants++] = (plan_variant){.name = "index"};
    } else {
        p->variant[p->variants++] = (plan_variant){.name = "decode", .most_rows = p->decode_q};
        p->variant[p->variants++] = (plan_variant){.name = "prefill"};
    }
    snprintf(p->symbol, sizeof p->symbol, "%.200s__%s_q%dk%d", k->name, isa->name,
             p->tile_vectors * isa->width, p->key_block);
}

static void plan_gather(const kernel_spec *k, const isa_row *isa, plan *p) {
    p->gather_keys = attn_op_few_keys(&k->core);
    p->variant[p->variants++] = (plan_variant){.name = "gather"};
    snprintf(p->symbol, sizeof p->symbol, "%.200s__%s_g%d", k->name, isa->name, p->gather_keys);
}

static const char *plan_layout(arena *a, const attn_spec *s) {
    char name[ATTN_FIELD_TEXT_MAX];
    attn_enum_name(attn_field_find("layout"), s->layout, name, sizeof name);
    return arena_strdup(a, name);
}

static void decide(arena *a, const kernel_spec *k, const isa_row *isa, int unroll,
                   const plan_choice *choice, plan *p) {
    *p = (plan){.isa = (attn_isa)(isa - isa_table), .layout = plan_layout(a, &k->core)};
    p->paged = attn_layout_of(&k->core)->paged;
    p->page = k->core.page;
    p->indexed = k->core.select == ATTN_SELECT_INDEX;
    p->places = p->indexed ? "select/index" : arena_printf(a, "layout/%s", p->layout);
    p->choice = choice ? *choice : plan_choice_none();
    for (int i = 0; i < PLAN_PARAMS; i++)
        if (plan_choice_get(&p->choice, i) >= 0) p->tuned |= 1u << i;
    plan_sizes(k, isa, p);
    plan_scores(a, k, p);
    if (attn_op_few_keys(&k->core))
        plan_gather(k, isa, p);
    else
        plan_tiled(a, k, isa, unroll, p);
}

double plan_flops(const plan *p, double pairs) {
    return 2.0 * (p->d + p->dv) * pairs;
}

static const char *code_on(arena *a, const kernel_spec *k, const isa_row *isa, int unroll,
                           const plan_choice *choice) {
    plan p;
    decide(a, k, isa, unroll, choice, &p);
    *p.symbol = 0;
    return plan_code(a, &p);
}

void plan_make(arena *a, const kernel_spec *k, const isa_row *isa, int unroll,
               const plan_choice *choice, plan *p) {
    decide(a, k, isa, unroll, choice, p);
    if (choice || unroll) {
        const char *code = code_on(a, k, isa, unroll, choice);
        const size_t n = strlen(p->symbol);
        if (strcmp(code, code_on(a, k, isa, 0, NULL)) != 0)
            snprintf(p->other, sizeof p->other, "t%08x", (unsigned)hash64(code, strlen(code)));
        snprintf(p->symbol + n, sizeof p->symbol - n, "%s", p->other);
    }
    plan_notes(a, k, isa, p);
}

bool plan_adds(arena *a, const kernel_spec *k, const isa_row *isa, const isa_row *like,
               int unroll) {
    return strcmp(code_on(a, k, isa, unroll, NULL), code_on(a, k, like, unroll, NULL)) != 0;
}

const char *plan_check_unasked(arena *a, const kernel_spec *k, const isa_row *isa) {
    if (!isa->like)
        return arena_printf(a, "says nothing of %s, which is taken wherever no better one runs",
                            isa->name);
    if (k->core.level != ATTN_LEVEL_BLOCK && plan_adds(a, k, isa, isa->like, 0)) return NULL;
    return arena_printf(a, "this kernel has no code of its own for %s", isa->name);
}
