#include "plan.h"

#include "types.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const double LOG2E = 1.4426950408889634;
enum {
    LINE_BYTES = 64,  /* of a cache line */
    PLAN_SHARE = 32,  /* bytes of a `share`, which the generated file asserts */
    DOT_ROWS = 8,     /* most rows of a tile that runs as dot products */
    GATHER_ROWS = 64, /* query rows of a task of gather */
    SUM_MOST = 96,    /* keys summed one after the other: equal ones round by 36 of 2^-24 at most */
    SPAN_KEYS = 2048,
    DOT_SUMS = 64 /* turns that a tile of dot products sums before its sums are kept */
};

static int gcd(int a, int b) {
    return b ? gcd(b, a % b) : a;
}

static int min_int(int a, int b) {
    return a < b ? a : b;
}

static void note(arena *a, plan *p, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void note(arena *a, plan *p, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (p->notes < PLAN_MAX_NOTES) p->note[p->notes++] = arena_strdup(a, text);
}

/* --- What can be chosen. --- */

#define PARAM(name, min, max, is_bool) \
    { #name, offsetof(plan_choice, name), min, max, is_bool }
const plan_param plan_params[PLAN_PARAMS] = {
    PARAM(vectors, 1, PLAN_MAX_VECTORS, false),
    PARAM(keys, 1, 16, false),
    PARAM(columns, 1, 4, false),
    PARAM(key_block, 16, 1024, false),
    PARAM(tiles, 1, 32, false),
    PARAM(unroll, 1, 65536, false),
    PARAM(prefetch, 0, 4, false),
    PARAM(lazy, 0, 1, true),
    PARAM(dot_keys, 1, 64, false),
    PARAM(dot_ahead, 1, 1024, false),
    PARAM(part_keys, 16, 65536, false),
    PARAM(decode_q, 1, 256, false),
};
#undef PARAM

int plan_choice_get(const plan_choice *c, int param) {
    int value;
    memcpy(&value, (const char *)c + plan_params[param].offset, sizeof value);
    return value;
}

void plan_choice_set(plan_choice *c, int param, int value) {
    memcpy((char *)c + plan_params[param].offset, &value, sizeof value);
}

plan_choice plan_choice_none(void) {
    plan_choice c;
    for (int i = 0; i < PLAN_PARAMS; i++) plan_choice_set(&c, i, -1);
    return c;
}

static int param_index(size_t offset) {
    int i = 0;
    while (plan_params[i].offset != offset) i++;
    return i;
}
#define INDEX(member) param_index(offsetof(plan_choice, member))

/* Splits `rows` into the fewest groups of at most `most`, as even as can be, larger ones first. */
static void split_rows(plan_pv *pv, int rows, int most) {
    const int count = (rows + most - 1) / most;
    pv->group_count = count;
    for (int i = 0; i < count; i++) pv->groups[i] = rows / count + (i < rows % count);
}

/* Rows that fit beside `columns` vectors of V and one broadcast of P. */
static int pv_rows(const isa_row *isa, int columns) {
    return (isa->registers - columns - 1) / columns;
}

/* Keys that fit beside nv queries and one broadcast. */
static int qk_keys(const isa_row *isa, int nv) {
    return (isa->registers - nv - 1) / nv;
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

/* Elements of a cache line. */
static int line_of(int32_t type) {
    return LINE_BYTES / (int)attn_type_size(type);
}

int plan_k_bytes(const plan *p) {
    return p->d * (int)attn_type_size(p->type.k);
}

int plan_v_bytes(const plan *p, int columns) {
    return columns * (int)attn_type_size(p->type.v);
}

/* A cache line of a key, so that the next keys can be asked for in step. */
static int auto_unroll(const plan *p) {
    return min_int(p->d, line_of(p->type.k));
}

static int tile_unroll(const plan *p, int nv, int requested) {
    if (requested < 0) return p->d;
    if (requested > 0) return min_int(requested, p->d);
    return is_busy(p, nv) || p->d <= 16 ? p->choice.unroll : 4;
}

/* --- The model's choices, for what is still -1; rules that cost.c can price. --- */

static int lcm(int a, int b) {
    return a / gcd(a, b) * b;
}

/* Keys a block: S of a tile and one V panel in two thirds of L1, whole register tiles and lines.
 * Past 128 keys a block's start-up is below a percent, and ragged ends grow. */
static int choose_key_block(const plan *p, const isa_row *isa, const plan_choice *c) {
    const int step = lcm(c->keys, line_of(ATTN_TYPE_F32));
    const int bytes = 4 * c->vectors * isa->width + plan_v_bytes(p, p->panel);
    const int most = min_int(isa->l1_bytes * 2 / 3 / bytes, 128) / step * step;
    return most > 0 ? most : step;
}

/* The query block: as many tiles as three quarters of L2 hold, at most 16. */
static int choose_tiles(const plan *p, const isa_row *isa) {
    const int64_t tile_bytes = (int64_t)p->tile_vectors * isa->width * (p->d + p->dvp) * 4;
    const int fit = (int)(isa->l2_bytes * 3LL / 4 / tile_bytes);
    return fit < 1 ? 1 : min_int(fit, 16);
}

/* One row a key, its first columns the value: what all heads share. */
static bool is_latent(const attn_spec *s) {
    return s->form == ATTN_FORM_MLA && s->key == ATTN_KEY_SHARED;
}

static void choose(plan *p, const kernel_spec *k, const isa_row *isa) {
    plan_choice *c = &p->choice;
    if (c->vectors < 0) c->vectors = isa->tile_vectors;
    p->tile_vectors = c->vectors;
    if (c->keys < 0) c->keys = min_int(qk_keys(isa, c->vectors), isa->max_keys);
    if (c->columns < 0) c->columns = 2;
    p->panel = min_int(c->columns, p->dvp / isa->width) * isa->width;
    if (c->key_block < 0) c->key_block = choose_key_block(p, isa, c);
    if (c->tiles < 0) c->tiles = choose_tiles(p, isa);
    if (c->unroll < 0) c->unroll = auto_unroll(p);
    if (c->prefetch < 0) c->prefetch = c->unroll % line_of(p->type.k) == 0;
    /* A score expression may drift by more than a lazy maximum bears (ALiBi does, every block). */
    if (c->lazy < 0) c->lazy = !k->score_expr;
    /* A turn of K and of V is 2 to 4 KB: fewer lines wait for memory in vain, more displace each
     * other (tests/bench/NOTES.md). */
    if (c->dot_keys < 0) c->dot_keys = plan_k_bytes(p) > 512 || p->group == 2 ? 4 : 8;
    /* 16 KB of K and as much of V are on their way: what memory's delay takes at its bandwidth,
     * several times over, and little beside L2. */
    const int k_row = plan_k_bytes(p), v_row = plan_v_bytes(p, p->dv);
    const int wide = k_row > v_row ? k_row : v_row;
    if (c->dot_ahead < 0) c->dot_ahead = wide < 16 ? 1024 : wide > 16384 ? 1 : 16384 / wide;
    if (c->part_keys < 0) {
        c->part_keys = 512 / c->key_block * c->key_block;
        if (c->part_keys < 1) c->part_keys = c->key_block;
    }
    /* A shared latent row is key and value: prefill would read it twice to pack it, which pays
     * later (tune on M1: decode is 8 % ahead at 8 rows). */
    const int least = is_latent(&k->core) ? 8 : 4;
    if (c->decode_q < 0) c->decode_q = 32 / p->group > least ? 32 / p->group : least;
}

/* The levels of sums over keys (part/sums.c.tpl): equal shares of a block, and whole blocks. */
static void plan_sums(plan *p) {
    const int shares = (p->key_block + SUM_MOST - 1) / SUM_MOST;
    p->sum_keys = (p->key_block + shares - 1) / shares;
    p->span = SPAN_KEYS > p->key_block ? SPAN_KEYS / p->key_block * p->key_block : p->key_block;
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
        t->keys = full ? c->keys : min_int(qk_keys(isa, nv), isa->max_keys);
        if (t->keys > p->max_keys) p->max_keys = t->keys;
        t->unroll = tile_unroll(p, nv, unroll);
        /* Whole lines are asked for in step; other unrollings ask for nothing. */
        t->prefetch = t->unroll % line_of(p->type.k) ? 0 : c->prefetch;
        /* In between, a tile is rare: the running maximum alone saves code. */
        t->lazy = p->lazy && (full || nv == 1 || is_one_token(p, nv));
        t->pv.columns = p->panel / isa->width;
        split_rows(&t->pv, nv * isa->width, pv_rows(isa, c->columns));
        if (t->pv.group_count > p->pv_groups) p->pv_groups = t->pv.group_count;
    }
}

/* Keys at a time at the edges of full tiles, whose vectors of rows do not all see them: about 8, in
 * whole register tiles. */
static void plan_edges(const kernel_spec *k, plan *p) {
    const attn_spec *s = &k->core;
    const bool diagonal =
        s->op == ATTN_OP_SLIDING_SELF || (s->op == ATTN_OP_FULL_SELF && s->causal);
    const plan_tile *t = &p->tile[p->tile_vectors - 1];
    if (!diagonal || p->tile_vectors == 1) return;
    p->edge_keys = t->keys < 8 ? 8 / t->keys * t->keys : t->keys;
    if (p->edge_keys > p->max_keys) p->max_keys = p->edge_keys;
}

/* Of those, the keys that nv vectors of rows have registers for. */
static int edge_part(const plan *p, int nv) {
    int keys = min_int(qk_keys(&isa_table[p->isa], nv), p->edge_keys);
    while (p->edge_keys % keys) keys--;
    return keys;
}

static void add_dot(plan *p, const isa_row *isa, int rows) {
    plan_dot *t = &p->dot[p->dots++];
    t->rows = rows;
    for (t->lanes = 1; t->lanes < rows;) t->lanes *= 2;
    const int least = isa->width / t->lanes; /* the keys of one score vector */
    t->keys = p->choice.dot_keys > least ? p->choice.dot_keys : least;
    if (t->keys > p->turn_keys) p->turn_keys = t->keys;
    t->pv.columns = min_int(2, p->dvp / isa->width);
    t->walk = min_int(2, least); /* more break the prefetchers' streams */
    /* So little work a row runs into full queues, which drop requests. */
    t->again = rows * 4 <= isa->width;
    split_rows(&t->pv, rows, pv_rows(isa, t->pv.columns));
}

static void plan_split(const kernel_spec *k, const isa_row *isa, plan *p) {
    p->part_keys = p->choice.part_keys;
    p->decode_q = p->choice.decode_q;
    /* More lines at once than wait for memory side by side. */
    p->dot_spread = p->d > 128 || isa->width > 8;
    p->dot_most = 16;
    /* One token's rows in tiles of up to 8, and up to four tokens of a head that shares no key.
     * Past 16 rows products take longer than memory, and past 4 of a shared latent row, which is
     * key and value: the tiles of prefill are better at those. */
    if (p->group > p->dot_most || (is_latent(&k->core) && p->group > 4)) return;
    const int most = min_int(DOT_ROWS, isa->width), tiles = (p->group + most - 1) / most;
    const int rows = (p->group + tiles - 1) / tiles;
    add_dot(p, isa, rows);
    if (rows < 3) add_dot(p, isa, 4);
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
    p->bias = s->backend == ATTN_BACKEND_SDPA;
    p->rescore = capped || p->has_score;
    p->lazy = p->choice.lazy;
    double factor = LOG2E;
    if (p->has_score) p->score = expr_scale(a, k->score_expr, LOG2E, &factor);
    if (!plan_factors(s, factor, p) && p->has_score) {
        p->score = expr_scale(a, k->score_expr, LOG2E, NULL);
        plan_factors(s, 1, p);
        p->apart = true;
    }
    p->log2e = p->bias;
    p->minmax = k->mask_expr ? expr_minmax_tensors(k->mask_expr) : 0;
}

static bool is_length(int32_t dim) {
    return dim == ATTN_DIM_Q_LEN || dim == ATTN_DIM_KV_LEN;
}

/* Tables stay linear in the lengths: a tensor over two lengths gets none. */
static void plan_minmax(const kernel_spec *k, plan *p) {
    for (int t = 0; t < k->tensor_count; t++) {
        int lengths = 0;
        for (int i = 0; i < k->tensors[t].rank; i++) lengths += is_length(k->tensors[t].dim[i]);
        if (lengths > 1) p->minmax &= ~(1u << t);
    }
}

static const char *param_text(arena *a, const plan_choice *c, int param) {
    const int value = plan_choice_get(c, param);
    if (plan_params[param].is_bool) return value ? "true" : "false";
    return arena_printf(a, "%d", value);
}

static void plan_sizes(const kernel_spec *k, const isa_row *isa, plan *p);

/* Which choices come from a tune file, and what the model would have chosen. */
static void note_tuned(arena *a, const kernel_spec *k, const isa_row *isa, plan *p) {
    if (!p->tuned) return;
    plan model = {.choice = plan_choice_none()};
    plan_sizes(k, isa, &model);
    choose(&model, k, isa);
    buf changed = buf_new(a), same = buf_new(a);
    for (int i = 0; i < PLAN_PARAMS; i++) {
        if (!(p->tuned >> i & 1)) continue;
        const char *now = param_text(a, &p->choice, i), *then = param_text(a, &model.choice, i);
        if (strcmp(now, then))
            buf_printf(&changed, "%s%s %s (without it: %s)", changed.len ? ", " : "",
                       plan_params[i].name, now, then);
        else
            buf_printf(&same, "%s%s", same.len ? ", " : "", plan_params[i].name);
    }
    if (changed.len) note(a, p, "tune file: %s", changed.data);
    if (same.len) note(a, p, "tune file, the same as without it: %s", same.data);
}

static void plan_notes(arena *a, const kernel_spec *k, const isa_row *isa, plan *p) {
    const plan_tile *t = &p->tile[p->tile_vectors - 1];
    note_tuned(a, k, isa, p);
    if (p->gather_keys) {
        note(a, p,
             "gather: a row sees at most %d keys, so each is one dot product; no tiles, no "
             "packing, no workspace but a row of scores",
             p->gather_keys);
    } else {
        note(a, p,
             "prefill: tiles of %d queries x %d keys; S = K Q^T keeps %d x %d accumulators, "
             "%d queries and 1 broadcast in %d registers",
             p->tile_vectors * isa->width, p->key_block, t->keys, p->tile_vectors, p->tile_vectors,
             isa->registers);
        note(a, p,
             "prefill: P V in row groups of %d x %d columns; V packed once a value head in "
             "panels of %d columns",
             t->pv.groups[0], t->pv.columns * isa->width, p->panel);
        note(a, p,
             "prefill: %d tiles share a key block; their Q and O stay in three quarters of L2",
             p->tiles);
        note(a, p,
             "decode: up to %d query rows; %d query head%s of a group; keys in "
             "parts of %d, merged in order",
             p->decode_q, p->group, p->group > 1 ? "s" : "", p->part_keys);
        if (p->dots)
            note(a, p,
                 "decode: up to %d rows of a group run as dot products, %d a tile and %d keys at "
                 "a time, their rows asked for %d keys ahead; more as tiles on unpacked V",
                 p->dot_most, p->dot[p->dots - 1].rows, p->turn_keys, p->dot_ahead);
        else
            note(a, p, "decode: tiles of prefill on unpacked V");
    }
    if (!p->gather_keys && t->prefetch)
        note(a, p, "prefetch: K rows %d register tile%s ahead, a line a row and %d steps",
             t->prefetch, t->prefetch > 1 ? "s" : "", line_of(p->type.k));
    note(a, p, "unroll: %d of %d steps of the loop over the head width%s", t->unroll, p->d,
         t->unroll == p->d ? " (full)" : "");
    if (p->has_mask) {
        const char *range = expr_range_text(a, k->mask_expr);
        if (*range)
            note(a, p, "mask: keys in closed form: %s; no mask tensor exists", range);
        else
            note(a, p,
                 "mask: no bound on k in closed form: every key block is classified; no mask "
                 "tensor exists");
    }
    note(a, p,
         p->lazy ? "softmax: lazy maximum; a key block is redone where its sum leaves 2^-60 .. 2^60"
         : p->has_score ? "softmax: running maximum, since a score expression may drift"
                        : "softmax: running maximum");
    if (!p->rescore)
        note(a, p, "scores: scale * log2(e) is folded into Q; exp is exp2");
    else if (p->apart)
        note(a, p,
             "scores: constant factors of the expression stay in it: in Q they would leave f32");
    else if (p->has_score)
        note(a, p,
             "scores: constant factors, log2(e) among them, are folded into Q and into what is the "
             "same for all keys");
    else
        note(a, p, "scores: the scale is folded into Q; every score is changed before the softmax");
}

static bool is_gather(const attn_spec *s) {
    return s->op == ATTN_OP_SEGMENT_CROSS && s->lookback < 16;
}

/* Keys from the first to the last that n rows see: n - 1 and what the first sees back and the last
 * ahead of its position, itself among them. */
static void plan_reach(arena *a, const kernel_spec *k, plan *p) {
    const attn_spec *s = &k->core;
    expr_reach r = {EXPR_NO_REACH, EXPR_NO_REACH};
    if (k->mask_expr) r = expr_reach_of(a, k->mask_expr);
    const bool slides = s->op == ATTN_OP_SLIDING_SELF;
    p->scattered = s->op == ATTN_OP_SEGMENT_CROSS;
    if (slides && s->window < r.back) r.back = s->window;
    const int64_t ahead = slides && !s->causal ? s->right_window : 0;
    if ((slides || (s->op == ATTN_OP_FULL_SELF && s->causal)) && ahead < r.ahead) r.ahead = ahead;
    const int64_t reach = r.back + r.ahead;
    const bool bounded = r.back < EXPR_NO_REACH && r.ahead < EXPR_NO_REACH && reach < INT32_MAX;
    p->reach = p->scattered || !bounded ? -1 : reach > 0 ? (int)reach : 0;
}

/* Sizes that choices depend on. */
static void plan_sizes(const kernel_spec *k, const isa_row *isa, plan *p) {
    const attn_spec *s = &k->core;
    p->type = attn_spec_types(s);
    p->heads = s->heads;
    p->key_heads = s->kv_heads;
    p->value_heads = s->v_heads;
    p->group = gcd(p->heads / p->key_heads, p->heads / p->value_heads);
    p->d = attn_spec_k_dim(s);
    p->dv = s->v_dim;
    p->dvp = (p->dv + isa->width - 1) / isa->width * isa->width;
    if (is_gather(s)) p->gather_keys = s->lookback + 1;
}

const char *plan_check(arena *a, const kernel_spec *k, const isa_row *isa,
                       const plan_choice *choice, int *param) {
    plan p = {.isa = (attn_isa)(isa - isa_table), .choice = *choice};
    for (*param = 0; *param < PLAN_PARAMS; ++*param) {
        const int value = plan_choice_get(choice, *param);
        if (value < 0) continue;
        if (k->core.level == ATTN_LEVEL_BLOCK) return "a layer has nothing to choose; its core has";
        if (is_gather(&k->core)) return "a gather kernel has nothing to choose";
        const plan_param *row = &plan_params[*param];
        if (value < row->min || value > row->max)
            return arena_printf(a, "must be from %d to %d, got %d", row->min, row->max, value);
    }
    plan_sizes(k, isa, &p);
    choose(&p, k, isa);
    const plan_choice *c = &p.choice;
    const int rows = c->vectors * isa->width;
    *param = INDEX(vectors);
    if (qk_keys(isa, c->vectors) < 1) return "the tile is too wide for the registers";
    *param = INDEX(keys);
    if (c->keys > qk_keys(isa, c->vectors))
        return arena_printf(a,
                            "at most %d keys x %d vectors of queries fit the %d registers, got %d",
                            qk_keys(isa, c->vectors), c->vectors, isa->registers, c->keys);
    *param = INDEX(columns);
    if ((rows + pv_rows(isa, c->columns) - 1) / pv_rows(isa, c->columns) > PLAN_MAX_GROUPS)
        return arena_printf(a, "%d vectors leave registers for %d rows of P V: more than %d groups",
                            c->columns, pv_rows(isa, c->columns), PLAN_MAX_GROUPS);
    *param = INDEX(key_block);
    if (c->key_block % 8) return arena_printf(a, "must be a multiple of 8, got %d", c->key_block);
    *param = INDEX(unroll);
    if (c->unroll > p.d)
        return arena_printf(a, "at most the head width, %d, got %d", p.d, c->unroll);
    *param = INDEX(prefetch);
    if (c->prefetch > 0 && c->unroll % line_of(p.type.k))
        return arena_printf(a, "must be 0 where unroll (%d) is no multiple of %d", c->unroll,
                            line_of(p.type.k));
    *param = INDEX(lazy);
    if (c->lazy && k->score_expr) return "must be false: a score expression may drift";
    *param = INDEX(dot_keys);
    if (c->dot_keys & (c->dot_keys - 1))
        return arena_printf(a, "must be a power of two, got %d", c->dot_keys);
    if (c->dot_keys * DOT_ROWS > c->key_block * rows)
        return arena_printf(a, "%d rows of %d scores do not fit a tile's %d x %d", DOT_ROWS,
                            c->dot_keys, c->key_block, rows);
    *param = INDEX(part_keys);
    if (c->part_keys % c->key_block)
        return arena_printf(a, "must be a multiple of key_block (%d), got %d", c->key_block,
                            c->part_keys);
    return NULL;
}

void plan_make(arena *a, const kernel_spec *k, const isa_row *isa, int unroll,
               const plan_choice *choice, plan *p) {
    *p = (plan){.isa = (attn_isa)(isa - isa_table), .layout = "dense"};
    p->choice = choice ? *choice : plan_choice_none();
    for (int i = 0; i < PLAN_PARAMS; i++)
        if (plan_choice_get(&p->choice, i) >= 0) p->tuned |= 1u << i;
    plan_sizes(k, isa, p);
    choose(p, k, isa);
    plan_scores(a, k, p);
    plan_minmax(k, p);
    plan_tiles(p, isa, unroll);
    plan_edges(k, p);
    plan_split(k, isa, p);
    plan_reach(a, k, p);
    if (p->gather_keys) p->minmax = 0; /* no tiles to classify */
    if (p->gather_keys)
        snprintf(p->symbol, sizeof p->symbol, "%.200s__%s_g%d", k->name, isa->name, p->gather_keys);
    else
        snprintf(p->symbol, sizeof p->symbol, "%.200s__%s_q%dk%d", k->name, isa->name,
                 p->tile_vectors * isa->width, p->key_block);
    plan_notes(a, k, isa, p);
}

static size_t up64(size_t n) {
    return (n + 63) & ~(size_t)63;
}

/* Floats of a tile's Q: transposed, or rows of dot products in whole vectors. */
static int q_floats(const plan *p) {
    const int w = isa_table[p->isa].width, rows = p->tile_vectors * w;
    int most = 0;
    for (int i = 0; i < p->dots; i++)
        if (p->dot[i].rows > most) most = p->dot[i].rows;
    const int dots = most * ((p->d + w - 1) / w * w);
    return p->d * rows > dots ? p->d * rows : dots;
}

size_t plan_scratch(const plan *p) {
    const size_t w = (size_t)isa_table[p->isa].width, rows = (size_t)p->tile_vectors * w;
    if (p->gather_keys) {
        const size_t lanes = ((size_t)p->gather_keys + w - 1) / w * w;
        return up64(4 * lanes);
    }
    /* In floats, member by member of part/scratch.c.tpl. */
    const size_t tile = (size_t)q_floats(p) + 3 * rows * (size_t)p->dvp + 9 * rows + 8 +
                        2 * (size_t)p->pv_groups + 6 +
                        (p->edge_keys ? 2 * (size_t)p->tile_vectors : 0);
    const size_t scores = (size_t)(p->key_block + p->max_keys) * rows;
    const size_t bias = p->bias ? (size_t)p->key_block * rows : 0;
    return up64((size_t)p->tiles * up64(4 * tile) + 4 * (scores + rows + bias) +
                (size_t)p->max_keys * (size_t)plan_k_bytes(p));
}

/* Bytes of the block minima and maxima that a classifier reads, as runtime/simd/minmax.h. */
static uint64_t table_bytes(const plan *p, const kernel_spec *k, int32_t batch, int32_t q_len,
                            int32_t kv_len) {
    uint64_t bytes = 0;
    for (int i = 0; i < k->tensor_count; i++) {
        if (!(p->minmax >> i & 1)) continue;
        const uint64_t count =
            (uint64_t)attn_side_count(&k->tensors[i], batch, p->heads, p->key_heads, q_len, kv_len);
        bytes = attn_plus(bytes, up64((count + 63) / 64 * 8));
    }
    return bytes;
}

/* As most_keys and most_parts of part/run.c.tpl. */
static int64_t most_keys(const plan *p, const kernel_spec *k, int32_t rows, int32_t kv_len) {
    if (rows <= 0) return 0;
    int64_t keys = kv_len;
    if (p->scattered) keys = rows * ((int64_t)k->core.lookback + 1);
    if (p->reach >= 0) keys = (int64_t)rows + p->reach;
    return keys < kv_len ? keys : kv_len;
}

static int64_t most_parts(const plan *p, const kernel_spec *k, int32_t rows, int32_t kv_len) {
    if (!p->scattered) return attn_runs(most_keys(p, k, rows, kv_len), kv_len, p->part_keys);
    const int64_t all = attn_runs(kv_len, kv_len, p->part_keys);
    const int64_t a_row = ((int64_t)k->core.lookback + p->part_keys - 1) / p->part_keys + 1;
    return rows * a_row < all ? rows * a_row : all;
}

/* As most_tasks of part/run.c.tpl. */
static uint64_t most_tasks(const plan *p, const kernel_spec *k, int32_t batch, int32_t q_len,
                           int32_t kv_len) {
    const uint64_t items = (uint64_t)batch, heads = (uint64_t)p->heads;
    if (p->gather_keys) return items * heads * (((uint64_t)q_len + GATHER_ROWS - 1) / GATHER_ROWS);
    const int64_t parts = most_parts(p, k, min_int(q_len, p->decode_q), kv_len);
    const int rows = p->tile_vectors * isa_table[p->isa].width;
    const int tiles = q_len / rows + (q_len % rows > 0); /* few rows may run as tiles too */
    const uint64_t decode =
        attn_times(items * heads / (uint64_t)p->group, (uint64_t)(parts > 1 ? parts : 1));
    const uint64_t prefill = attn_times(items * heads, (uint64_t)tiles);
    return decode > prefill ? decode : prefill;
}

uint64_t plan_workspace(const plan *p, const kernel_spec *k, int32_t batch, int32_t q_len,
                        int32_t kv_len, int32_t threads) {
    uint64_t bytes = 0;
    const uint64_t asked = threads > 1 ? (uint64_t)threads : 1;
    const uint64_t tasks = most_tasks(p, k, batch, q_len, kv_len);
    attn_carve(NULL, &bytes, plan_scratch(p) * (asked < tasks ? asked : tasks));
    attn_carve(NULL, &bytes, table_bytes(p, k, batch, q_len, kv_len));
    if (p->gather_keys) return bytes;
    const uint64_t items = (uint64_t)batch, dvp = (uint64_t)p->dvp;
    const int few = min_int(q_len, p->decode_q);
    const uint64_t parts = (uint64_t)most_parts(p, k, few, kv_len);
    attn_carve(NULL, &bytes, items * PLAN_SHARE);
    if (p->scattered) attn_carve(NULL, &bytes, attn_times(items * parts, 4));
    const uint64_t rows = items * (uint64_t)(p->heads / p->group) * (uint64_t)(few * p->group);
    const uint64_t partials = attn_times(attn_times(rows, parts), (dvp + 16) * 4);
    const uint64_t blocks =
        (uint64_t)attn_runs(most_keys(p, k, q_len, kv_len), kv_len, p->key_block);
    const uint64_t values = items * (uint64_t)p->value_heads;
    const bool tiles = q_len > p->decode_q;
    if (p->scattered || p->has_mask)
        attn_carve(NULL, &bytes, tiles ? attn_times(values, blocks) : 0);
    const uint64_t panels =
        attn_times(values, blocks * (uint64_t)p->key_block * (uint64_t)plan_v_bytes(p, p->dvp));
    attn_carve(NULL, &bytes, tiles && panels > partials ? panels : partials);
    return bytes;
}

double plan_flops(const plan *p, double pairs) {
    return 2.0 * (p->d + p->dv) * pairs;
}

static lua_val *pv_to_lua(arena *a, const plan_pv *pv) {
    lua_val *t = lua_val_table(a), *groups = lua_val_table(a), *starts = lua_val_table(a);
    int at = 0;
    for (int i = 0; i <= pv->group_count; i++) {
        lua_val *start = arena_alloc(a, sizeof *start), *rows = arena_alloc(a, sizeof *rows);
        *start = (lua_val){.kind = LUA_VAL_INT, .integer = at};
        lua_val_push(a, starts, start);
        if (i == pv->group_count) break;
        *rows = (lua_val){.kind = LUA_VAL_INT, .integer = pv->groups[i]};
        lua_val_push(a, groups, rows);
        at += pv->groups[i];
    }
    lua_val_set(a, t, "groups", groups);
    lua_val_set(a, t, "starts", starts);
    lua_val_set_int(a, t, "columns", pv->columns);
    return t;
}

static lua_val *tiles_to_lua(arena *a, const plan *p) {
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < p->tile_vectors; i++) {
        lua_val *t = lua_val_table(a);
        lua_val_set_int(a, t, "keys", p->tile[i].keys);
        lua_val_set_int(a, t, "unroll", p->tile[i].unroll);
        lua_val_set_int(a, t, "prefetch", p->tile[i].prefetch);
        lua_val_set_bool(a, t, "lazy", p->tile[i].lazy);
        lua_val_set(a, t, "pv", pv_to_lua(a, &p->tile[i].pv));
        lua_val_push(a, list, t);
    }
    return list;
}

static lua_val *edges_to_lua(arena *a, const plan *p) {
    lua_val *list = lua_val_table(a);
    for (int nv = 1; p->edge_keys && nv < p->tile_vectors; nv++) {
        lua_val *t = lua_val_table(a);
        lua_val_set_int(a, t, "vectors", nv);
        lua_val_set_int(a, t, "keys", edge_part(p, nv));
        lua_val_push(a, list, t);
    }
    return list;
}

static lua_val *dots_to_lua(arena *a, const plan *p) {
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < p->dots; i++) {
        lua_val *t = lua_val_table(a);
        lua_val_set_int(a, t, "rows", p->dot[i].rows);
        lua_val_set_int(a, t, "lanes", p->dot[i].lanes);
        lua_val_set_int(a, t, "keys", p->dot[i].keys);
        lua_val_set_int(a, t, "span", DOT_SUMS * p->dot[i].keys);
        lua_val_set_int(a, t, "walk", p->dot[i].walk);
        lua_val_set_bool(a, t, "again", p->dot[i].again);
        lua_val_set(a, t, "pv", pv_to_lua(a, &p->dot[i].pv));
        lua_val_push(a, list, t);
    }
    return list;
}

/* How the elements of Q, K, V and O are stored: their C type, the suffix of the vocabulary's loads
 * and stores of them, and how many a cache line holds. */
static lua_val *types_to_lua(arena *a, const plan *p) {
    const struct {
        const char *name;
        int32_t type;
    } operand[] = {{"q", p->type.q}, {"k", p->type.k}, {"v", p->type.v}, {"o", p->type.o}};
    lua_val *list = lua_val_table(a);
    for (size_t i = 0; i < sizeof operand / sizeof *operand; i++) {
        const attn_type_row row = attn_type_get(operand[i].type);
        const bool plain = operand[i].type == ATTN_TYPE_F32;
        lua_val *t = lua_val_table(a);
        lua_val_set_string(a, t, "c", row.ctype);
        lua_val_set_string(a, t, "suffix", plain ? "" : arena_printf(a, "_%s", row.name));
        lua_val_set_int(a, t, "line", line_of(operand[i].type));
        lua_val_set(a, list, operand[i].name, t);
    }
    return list;
}

lua_val *plan_to_lua(arena *a, const plan *p) {
    const isa_row *isa = &isa_table[p->isa];
    lua_val *t = lua_val_table(a);
    const struct {
        const char *name;
        int value;
    } ints[] = {
        {"width", isa->width},
        {"heads", p->heads},
        {"key_heads", p->key_heads},
        {"value_heads", p->value_heads},
        {"group", p->group},
        {"d", p->d},
        {"dv", p->dv},
        {"dvp", p->dvp},
        {"tile_vectors", p->tile_vectors},
        {"rows", p->tile_vectors * isa->width},
        {"tiles", p->tiles},
        {"key_block", p->key_block},
        {"sum_keys", p->sum_keys},
        {"sum_most", SUM_MOST},
        {"span", p->span},
        {"panel", p->panel},
        {"max_keys", p->max_keys},
        {"edge_keys", p->edge_keys},
        {"part_keys", p->part_keys},
        {"decode_q", p->decode_q},
        {"turn_keys", p->turn_keys},
        {"dot_ahead", p->dot_ahead},
        {"dot_most", p->dot_most},
        {"gather_keys", p->gather_keys},
        {"gather_rows", GATHER_ROWS},
        {"gather_lanes", (p->gather_keys + isa->width - 1) / isa->width * isa->width},
        {"pv_groups_max", p->pv_groups},
        {"minmax_sides", (int)p->minmax},
        {"q_floats", q_floats(p)},
        {"scratch_bytes", (int)plan_scratch(p)},
        {"share_bytes", PLAN_SHARE},
        {"reach", p->reach},
    };
    lua_val_set_string(a, t, "symbol", p->symbol);
    lua_val_set_string(a, t, "layout", p->layout);
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
        lua_val_set_int(a, t, ints[i].name, ints[i].value);
    lua_val_set(a, t, "type", types_to_lua(a, p));
    lua_val_set(a, t, "tile", tiles_to_lua(a, p));
    lua_val_set(a, t, "edges", edges_to_lua(a, p));
    lua_val_set(a, t, "dots", dots_to_lua(a, p));
    lua_val_set_float(a, t, "q_scale", p->q_scale);
    lua_val_set_float(a, t, "softcap_factor", p->softcap_factor);
    lua_val_set_bool(a, t, "dot_spread", p->dot_spread);
    lua_val_set_bool(a, t, "scattered", p->scattered);
    lua_val_set_bool(a, t, "bias", p->bias);
    lua_val_set_bool(a, t, "rescore", p->rescore);
    lua_val_set_bool(a, t, "lazy", p->lazy);
    lua_val_set_bool(a, t, "has_score", p->has_score);
    lua_val_set_bool(a, t, "has_mask", p->has_mask);
    lua_val_set_bool(a, t, "minmax", p->minmax != 0);
    lua_val_set_bool(a, t, "log2e", p->log2e);
    lua_val *notes = lua_val_table(a);
    for (int i = 0; i < p->notes; i++) {
        lua_val *v = arena_alloc(a, sizeof *v);
        *v = (lua_val){.kind = LUA_VAL_STRING, .string = p->note[i]};
        lua_val_push(a, notes, v);
    }
    lua_val_set(a, t, "notes", notes);
    return t;
}
