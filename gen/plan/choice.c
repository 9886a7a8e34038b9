/* choice.c - what can be chosen for a kernel: the model's choices, and what is allowed. */
#include "plan_internal.h"

#include "op.h"
#include <string.h>

#define PARAM(name, min, max, is_bool) \
    { #name, offsetof(plan_choice, name), min, max, is_bool }
const plan_param plan_params[PLAN_PARAMS] = {
    PARAM(vectors, 1, PLAN_MAX_VECTORS, false),
    PARAM(keys, 1, 16, false),
    PARAM(columns, 1, 4, false),
    PARAM(key_block, 16, 1024, false),
    PARAM(tiles, 1, 32, false),
    PARAM(unroll, 1, PLAN_MOST_UNROLL, false),
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
    plan_choice c = {.unasked = -1};
    for (int i = 0; i < PLAN_PARAMS; i++) plan_choice_set(&c, i, -1);
    return c;
}

/* --- The model's choices, for what is still -1; rules that cost.c can price. --- */

/* A cache line of a key, so that the next keys can be asked for in step. */
static int auto_unroll(const plan *p) {
    return min_int(p->d, plan_line(ATTN_TYPE_F32));
}

static int lcm(int a, int b) {
    return a / gcd(a, b) * b;
}

/* Keys a block: S of a tile and one V panel in two thirds of L1, whole register tiles and lines.
 * No more than P V sums at once: each share of a block would have a block's start-up. */
static int choose_key_block(const plan *p, const isa_row *isa, const plan_choice *c) {
    const int step = lcm(c->keys, plan_line(ATTN_TYPE_F32));
    const int bytes = 4 * (c->vectors * isa->width + plan_panel(p, isa));
    const int most = min_int(isa->l1_bytes * 2 / 3 / bytes, SUM_MOST) / step * step;
    return most > 0 ? most : step;
}

/* The query block: as many tiles as three quarters of L2 hold, at most 16. */
static int choose_tiles(const plan *p, const isa_row *isa) {
    const int64_t tile_bytes = (int64_t)p->choice.vectors * isa->width * (p->d + p->dvp) * 4;
    const int fit = (int)(isa->l2_bytes * 3LL / 4 / tile_bytes);
    return fit < 1 ? 1 : min_int(fit, 16);
}

/* A turn of K and of V is 2 to 4 KB: fewer lines wait for memory in vain, more displace each other
 * (tests/bench/NOTES.md). Short rows make up for turns' own work by more keys, which add to o less
 * often: rows of f32 where three rows or more share them, narrower ones always. 16 are a page's
 * least, over which sums are the dense kernel's. */
static int dot_keys_wanted(const plan *p) {
    const int bytes = plan_k_bytes(p);
    const bool narrow = plan_line(p->type.k) > plan_line(ATTN_TYPE_F32);
    if (bytes > 512) return 4;
    if (bytes <= 256 && (narrow || p->group > 2)) return 16;
    return p->group == 2 ? 4 : 8;
}

/* No more than there is room for the scores of. */
static int choose_dot_keys(const plan *p, const isa_row *isa) {
    const int room = p->choice.key_block * p->choice.vectors * isa->width / DOT_ROWS;
    int keys = dot_keys_wanted(p);
    while (keys > 4 && keys > room) keys /= 2;
    return keys;
}

/* 16 KB of K and as much of V are on their way: what memory's delay takes at its bandwidth, several
 * times over, and little beside L2. Where products take longer AVX2 has measured best with 4 KB. */
static int choose_dot_ahead(const plan *p, const isa_row *isa) {
    const int most = plan_fma_bound(p, p->group) && isa->width == 8 ? 4096 : 16384;
    const int k_row = plan_k_bytes(p), v_row = plan_v_bytes(p, p->dv);
    const int wide = k_row > v_row ? k_row : v_row;
    return wide < 16 ? 1024 : wide > most ? 1 : most / wide;
}

void plan_choose(plan *p, const kernel_spec *k, const isa_row *isa) {
    plan_choice *c = &p->choice;
    if (c->vectors < 0) c->vectors = isa->tile_vectors;
    if (c->keys < 0) c->keys = min_int(plan_qk_keys(isa, c->vectors), isa->max_keys);
    if (c->columns < 0) c->columns = 2;
    if (c->key_block < 0) c->key_block = choose_key_block(p, isa, c);
    if (c->tiles < 0) c->tiles = choose_tiles(p, isa);
    if (c->unroll < 0) c->unroll = auto_unroll(p);
    if (c->prefetch < 0) c->prefetch = c->unroll % plan_line(ATTN_TYPE_F32) == 0;
    /* A score expression may drift by more than a lazy maximum bears (ALiBi does, every block). */
    if (c->lazy < 0) c->lazy = !k->score_expr;
    if (p->codes.q_most) c->dot_keys = CODE_KEYS; /* the contract's */
    if (c->dot_keys < 0) c->dot_keys = choose_dot_keys(p, isa);
    if (c->dot_ahead < 0) c->dot_ahead = choose_dot_ahead(p, isa);
    if (c->part_keys < 0) {
        const int step = p->codes.q_most ? lcm(c->key_block, CODE_KEYS) : c->key_block;
        c->part_keys = 512 / step * step;
        if (c->part_keys < 1) c->part_keys = step;
    }
    /* A shared latent row is key and value: prefill would read it twice to pack it, which pays
     * later (tune on M1: decode is 8 % ahead at 8 rows). */
    const int least = plan_is_latent(&k->core) ? 8 : 4;
    if (c->decode_q < 0) c->decode_q = 32 / p->group > least ? 32 / p->group : least;
}

/* --- What is allowed. --- */

static int param_index(size_t offset) {
    int i = 0;
    while (plan_params[i].offset != offset) i++;
    return i;
}
#define INDEX(member) param_index(offsetof(plan_choice, member))

const char *plan_check_unroll(arena *a, const kernel_spec *k, int unroll) {
    const int d = attn_spec_k_dim(&k->core), steps = unroll < 0 || unroll > d ? d : unroll;
    if (k->core.level == ATTN_LEVEL_BLOCK || attn_op_few_keys(&k->core)) return NULL;
    if (steps <= PLAN_MOST_UNROLL) return NULL;
    return arena_printf(a,
                        "%s would unroll %d steps of the loop over its head width: at most %d are "
                        "unrolled, since more leave the L1 instruction cache and compilers take "
                        "minutes for them; give auto or 1 to %d",
                        k->name, steps, PLAN_MOST_UNROLL, PLAN_MOST_UNROLL);
}

const char *plan_check(arena *a, const kernel_spec *k, const isa_row *isa,
                       const plan_choice *choice, int *param) {
    plan p = {.isa = (attn_isa)(isa - isa_table), .choice = *choice};
    for (*param = 0; *param < PLAN_PARAMS; ++*param) {
        const int value = plan_choice_get(choice, *param);
        if (value < 0) continue;
        if (k->core.level == ATTN_LEVEL_BLOCK) return "a layer has nothing to choose; its core has";
        if (attn_op_few_keys(&k->core)) return "a gather kernel has nothing to choose";
        const plan_param *row = &plan_params[*param];
        if (value < row->min || value > row->max)
            return arena_printf(a, "must be from %d to %d, got %d", row->min, row->max, value);
    }
    plan_sizes(k, isa, &p);
    plan_choose(&p, k, isa);
    const plan_choice *c = &p.choice;
    const int rows = c->vectors * isa->width;
    *param = INDEX(vectors);
    if (plan_qk_keys(isa, c->vectors) < 1) return "the tile is too wide for the registers";
    *param = INDEX(keys);
    if (c->keys > plan_qk_keys(isa, c->vectors))
        return arena_printf(a,
                            "at most %d keys x %d vectors of queries fit the %d registers, got %d",
                            plan_qk_keys(isa, c->vectors), c->vectors, isa->registers, c->keys);
    *param = INDEX(columns);
    if ((rows + plan_pv_rows(isa, c->columns) - 1) / plan_pv_rows(isa, c->columns) >
        PLAN_MAX_GROUPS)
        return arena_printf(a, "%d vectors leave registers for %d rows of P V: more than %d groups",
                            c->columns, plan_pv_rows(isa, c->columns), PLAN_MAX_GROUPS);
    *param = INDEX(key_block);
    if (c->key_block % 8) return arena_printf(a, "must be a multiple of 8, got %d", c->key_block);
    *param = INDEX(unroll);
    if (c->unroll > p.d)
        return arena_printf(a, "at most the head width, %d, got %d", p.d, c->unroll);
    *param = INDEX(prefetch);
    if (c->prefetch > 0 && c->unroll % plan_line(ATTN_TYPE_F32))
        return arena_printf(a, "must be 0 where unroll (%d) is no multiple of %d", c->unroll,
                            plan_line(ATTN_TYPE_F32));
    *param = INDEX(lazy);
    if (c->lazy && k->score_expr) return "must be false: a score expression may drift";
    *param = INDEX(dot_keys);
    if (p.codes.q_most && choice->dot_keys >= 0 && choice->dot_keys != CODE_KEYS)
        return arena_printf(a, "must be %d, the keys of a block of P, got %d", CODE_KEYS,
                            choice->dot_keys);
    if (c->dot_keys & (c->dot_keys - 1))
        return arena_printf(a, "must be a power of two, got %d", c->dot_keys);
    if (c->dot_keys * DOT_ROWS > c->key_block * rows)
        return arena_printf(a, "%d rows of %d scores do not fit a tile's %d x %d", DOT_ROWS,
                            c->dot_keys, c->key_block, rows);
    *param = INDEX(part_keys);
    if (c->part_keys % c->key_block)
        return arena_printf(a, "must be a multiple of key_block (%d), got %d", c->key_block,
                            c->part_keys);
    if (p.codes.q_most && c->part_keys % CODE_KEYS)
        return arena_printf(a, "must be a multiple of %d, the keys of a block of P, got %d",
                            CODE_KEYS, c->part_keys);
    return NULL;
}
