/* plan_lua.c - a plan as data for templates. */
#include "plan_internal.h"

#include "types.h"

static void push_int(arena *a, lua_val *list, int value) {
    lua_val *v = arena_alloc(a, sizeof *v);
    *v = (lua_val){.kind = LUA_VAL_INT, .integer = value};
    lua_val_push(a, list, v);
}

static lua_val *strips_to_lua(arena *a, const plan_pv *pv) {
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < pv->strips; i++) {
        const plan_strip *s = &pv->strip[i];
        lua_val *t = lua_val_table(a);
        lua_val_set_int(a, t, "vectors", s->vectors);
        lua_val_set_int(a, t, "from", s->from);
        lua_val_set_int(a, t, "to", s->to);
        lua_val_set_bool(a, t, "tail", s->tail);
        lua_val_set_bool(a, t, "narrow", s->narrow);
        lua_val_push(a, list, t);
    }
    return list;
}

static lua_val *pv_to_lua(arena *a, const plan_pv *pv) {
    lua_val *t = lua_val_table(a), *groups = lua_val_table(a), *starts = lua_val_table(a);
    int at = 0;
    for (int i = 0; i <= pv->group_count; i++) {
        push_int(a, starts, at);
        if (i == pv->group_count) break;
        push_int(a, groups, pv->groups[i]);
        at += pv->groups[i];
    }
    lua_val_set(a, t, "groups", groups);
    lua_val_set(a, t, "starts", starts);
    lua_val_set_int(a, t, "columns", pv->columns);
    lua_val_set(a, t, "strips", strips_to_lua(a, pv));
    return t;
}

/* whole: those of the d columns that steps of the unrolled loop take.
 * asks: of a line's steps, the one at which a line of each row of K is asked for. */
static void set_asks(arena *a, lua_val *t, const plan_tile *tile, int d) {
    lua_val *asks = lua_val_table(a);
    const int line = plan_line(ATTN_TYPE_F32);
    for (int m = 0; m < tile->keys && tile->prefetch; m++) push_int(a, asks, m * line / tile->keys);
    lua_val_set_int(a, t, "keys", tile->keys);
    lua_val_set_int(a, t, "unroll", tile->unroll);
    lua_val_set_int(a, t, "whole", d / tile->unroll * tile->unroll);
    lua_val_set_int(a, t, "prefetch", tile->prefetch);
    lua_val_set_int(a, t, "row_asks", tile->row_asks);
    lua_val_set(a, t, "asks", asks);
}

static lua_val *tiles_to_lua(arena *a, const plan *p) {
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < p->tile_vectors; i++) {
        lua_val *t = lua_val_table(a);
        set_asks(a, t, &p->tile[i], p->dk);
        lua_val_set_bool(a, t, "lazy", p->tile[i].lazy);
        lua_val_set_int(a, t, "exp_keys", p->tile[i].exp_keys);
        lua_val_set_int(a, t, "widens", p->tile[i].widens);
        lua_val_set(a, t, "pv", pv_to_lua(a, &p->tile[i].pv));
        lua_val_push(a, list, t);
    }
    return list;
}

static lua_val *edges_to_lua(arena *a, const plan *p) {
    lua_val *list = lua_val_table(a);
    for (int nv = 1; p->edge_keys && nv < p->tile_vectors; nv++) {
        lua_val *t = lua_val_table(a);
        const plan_tile part = {.keys = plan_edge_part(p, nv),
                                .unroll = p->tile[p->tile_vectors - 1].unroll};
        lua_val_set_int(a, t, "vectors", nv);
        set_asks(a, t, &part, p->dk);
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
        lua_val_set_int(a, t, "vector_keys", isa_table[p->isa].width / p->dot[i].lanes);
        lua_val_set_int(a, t, "span", DOT_SUMS * p->dot[i].keys);
        lua_val_set_int(a, t, "walk", p->dot[i].walk);
        lua_val_set_int(a, t, "row_lines", p->dot[i].row_lines);
        lua_val_set_int(a, t, "strip_lines", p->dot[i].strip_lines);
        lua_val_set_int(a, t, "line_keys", p->dot[i].line_keys);
        lua_val_set_int(a, t, "key_lines", p->dot[i].key_lines);
        lua_val_set_int(a, t, "unroll", p->dot[i].unroll);
        lua_val_set_bool(a, t, "again", p->dot[i].again);
        lua_val_set_bool(a, t, "plain", p->dot[i].plain);
        lua_val_set_bool(a, t, "bursts", p->dot[i].bursts);
        lua_val_set_int(a, t, "whole", p->dot[i].whole);
        lua_val_set_int(a, t, "step", p->dot[i].step);
        lua_val_set_int(a, t, "asks", p->dot[i].asks);
        lua_val_set(a, t, "pv", pv_to_lua(a, &p->dot[i].pv));
        lua_val_push(a, list, t);
    }
    return list;
}

lua_val *plan_type_to_lua(arena *a, int32_t type) {
    const attn_type_row row = attn_type_get(type);
    lua_val *t = lua_val_table(a);
    lua_val_set_string(a, t, "c", row.ctype);
    lua_val_set_string(a, t, "suffix",
                       type == ATTN_TYPE_F32 ? "" : arena_printf(a, "_%s", row.name));
    lua_val_set_int(a, t, "line", plan_line(type));
    return t;
}

static lua_val *types_to_lua(arena *a, const plan *p) {
    const struct {
        const char *name;
        int32_t type;
    } operand[] = {{"q", p->type.q}, {"k", p->type.k}, {"v", p->type.v}, {"o", p->type.o}};
    lua_val *list = lua_val_table(a);
    for (size_t i = 0; i < sizeof operand / sizeof *operand; i++)
        lua_val_set(a, list, operand[i].name, plan_type_to_lua(a, operand[i].type));
    return list;
}

lua_val *plan_rotation_to_lua(arena *a, attn_rotation rotate) {
    lua_val *t = lua_val_table(a);
    if (!rotate.block) return *t = (lua_val){.kind = LUA_VAL_BOOL}, t;
    lua_val_set_int(a, t, "from", rotate.from);
    lua_val_set_int(a, t, "block", rotate.block);
    return t;
}

typedef struct named_int {
    const char *name;
    int value;
} named_int;

static void set_ints(arena *a, lua_val *t, const named_int *ints, size_t n) {
    for (size_t i = 0; i < n; i++) lua_val_set_int(a, t, ints[i].name, ints[i].value);
}
static lua_val *codes_to_lua(arena *a, const plan *p) {
    lua_val *t = lua_val_table(a);
    const plan_codes *c = &p->codes;
    const int step = plan_code_step(p);
    lua_val_set_bool(a, t, "words", c->words);
    const named_int ints[] = {{"q_most", c->q_most},
                              {"p_bytes", c->p_bytes},
                              {"p_most", c->p_most},
                              {"step", step},
                              {"d", plan_code_row(p)},
                              {"d_whole", p->d / step * step},
                              {"steps", CODE_STEPS},
                              {"d_loop", plan_code_loop(p)},
                              {"v_whole", p->dv / plan_code_weave(p) * plan_code_weave(p)},
                              {"rows", plan_code_rows(p)},
                              {"woven", CODE_KEYS / 4 * p->dvp},
                              {"p_words", CODE_KEYS / 4 * DOT_ROWS}};
    set_ints(a, t, ints, sizeof ints / sizeof *ints);
    return t;
}

static lua_val *variants_to_lua(arena *a, const plan *p) {
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < p->variants; i++) {
        lua_val *t = lua_val_table(a);
        lua_val_set_string(a, t, "name", p->variant[i].name);
        lua_val_set_int(a, t, "most_rows", p->variant[i].most_rows);
        lua_val_push(a, list, t);
    }
    return list;
}

#define SET_INTS(...)                                \
    set_ints(a, t, (const named_int[]){__VA_ARGS__}, \
             sizeof((const named_int[]){__VA_ARGS__}) / sizeof(named_int))

/* What variants in tiles have. */
static void set_tiled(arena *a, lua_val *t, const plan *p) {
    SET_INTS({"tile_vectors", p->tile_vectors}, {"rows", p->tile_vectors * isa_table[p->isa].width},
             {"tiles", p->tiles}, {"key_block", p->key_block}, {"sum_keys", p->sum_keys},
             {"sum_most", SUM_MOST}, {"exp_sums", EXP_SUMS}, {"span", p->span}, {"panel", p->panel},
             {"panels_end", p->dvp / p->panel * p->panel}, {"last_panel", p->dvp % p->panel},
             {"max_keys", p->max_keys}, {"edge_keys", p->edge_keys},
             {"pv_groups_max", p->pv_groups}, {"line", plan_line(ATTN_TYPE_F32)},
             {"minmax_sides", (int)p->minmax}, {"q_floats", plan_q_floats(p)},
             {"share_bytes", PLAN_SHARE}, {"reach", p->reach}, {"chunk_keys", p->chunk_keys},
             {"held_tiles", p->held_tiles}, {"pack_most", PACK_MOST});
    lua_val_set_int(a, t, "chunk_bytes", (int64_t)plan_chunk_bytes(p));
    SET_INTS({"part_keys", p->part_keys}, {"decode_q", p->decode_q}, {"turn_keys", p->turn_keys},
             {"dot_ahead", p->dot_ahead}, {"dot_most", p->dot_most}, {"pair_d", p->pair_d},
             {"pair_dv", p->pair_dv}, {"k_lines", plan_lines(p->type.k, p->d)},
             {"v_lines", plan_lines(p->type.v, p->dv)});
    lua_val_set_int(a, t, "row_keys", p->row_keys);
    if (p->scattered) lua_val_set_int(a, t, "row_parts", plan_row_parts(p));
    if (plan_holes(p)) lua_val_set_int(a, t, "held_pages", plan_held_pages(p));
    lua_val_set(a, t, "tile", tiles_to_lua(a, p));
    lua_val_set(a, t, "edges", edges_to_lua(a, p));
    lua_val_set(a, t, "dots", dots_to_lua(a, p));
    lua_val_set_bool(a, t, "widen", p->widen);
    if (p->pairs) lua_val_set_bool(a, t, "pairs", true);
    lua_val_set_int(a, t, "widen_ahead", p->widen_ahead);
    lua_val_set_bool(a, t, "latent", p->latent);
    lua_val_set_bool(a, t, "dot_spread", p->dot_spread);
    if (p->codes.q_most) lua_val_set(a, t, "codes", codes_to_lua(a, p));
    lua_val_set_bool(a, t, "scattered", p->scattered);
    lua_val_set_bool(a, t, "lazy", p->lazy);
}

/* Gather's keys by vectors of scores. few: so few that their sums are reduced by themselves. */
static lua_val *gather_strips_to_lua(arena *a, const plan *p, int width) {
    lua_val *list = lua_val_table(a);
    for (int from = 0; from < p->gather_keys; from += width) {
        lua_val *t = lua_val_table(a);
        const int keys = min_int(width, p->gather_keys - from);
        lua_val_set_int(a, t, "from", from);
        lua_val_set_int(a, t, "keys", keys);
        lua_val_set_bool(a, t, "few", keys <= GATHER_FEW && keys < width);
        lua_val_push(a, list, t);
    }
    return list;
}

static void set_gather(arena *a, lua_val *t, const plan *p) {
    const int width = isa_table[p->isa].width;
    lua_val_set(a, t, "gather_strips", gather_strips_to_lua(a, p, width));
    SET_INTS({"gather_keys", p->gather_keys}, {"gather_rows", GATHER_ROWS},
             {"gather_lanes", (p->gather_keys + width - 1) / width * width},
             {"gather_batch", min_int(GATHER_BATCH, width)});
}

static lua_val *notes_to_lua(arena *a, const plan *p) {
    lua_val *notes = lua_val_table(a);
    for (int i = 0; i < p->notes; i++) {
        lua_val *v = arena_alloc(a, sizeof *v);
        *v = (lua_val){.kind = LUA_VAL_STRING, .string = p->note[i]};
        lua_val_push(a, notes, v);
    }
    return notes;
}

/* A part that no variant uses is absent: a template that asks for it fails. */
lua_val *plan_to_lua(arena *a, const plan *p) {
    lua_val *t = lua_val_table(a);
    lua_val_set_string(a, t, "symbol", p->symbol);
    lua_val_set_string(a, t, "layout", p->layout);
    const int width = isa_table[p->isa].width;
    SET_INTS({"width", width}, {"heads", p->heads}, {"key_heads", p->key_heads},
             {"value_heads", p->value_heads}, {"group", p->group}, {"d", p->d}, {"dv", p->dv},
             {"dvp", p->dvp}, {"d_whole", p->d / width * width},
             {"d_lanes", (p->d + width - 1) / width * width}, {"dv_whole", p->dv / width * width},
             {"scratch_bytes", (int)plan_scratch(p)});
    lua_val_set(a, t, "variants", variants_to_lua(a, p));
    lua_val_set(a, t, "type", types_to_lua(a, p));
    lua_val_set_float(a, t, "q_scale", p->q_scale);
    lua_val_set_float(a, t, "softcap_factor", p->softcap_factor);
    lua_val_set_bool(a, t, "bias", p->bias);
    lua_val_set_bool(a, t, "rescore", p->rescore);
    lua_val_set_bool(a, t, "has_score", p->has_score);
    lua_val_set_bool(a, t, "has_mask", p->has_mask);
    lua_val_set_bool(a, t, "minmax", p->minmax != 0);
    lua_val_set_bool(a, t, "log2e", p->log2e);
    lua_val_set_bool(a, t, "tiled", p->tiled);
    if (p->tiled)
        set_tiled(a, t, p);
    else
        set_gather(a, t, p);
    lua_val_set(a, t, "notes", notes_to_lua(a, p));
    return t;
}

lua_val *plan_for_templates(arena *a, const plan *p) {
    lua_val *t = plan_to_lua(a, p);
    lua_val_set_bool(a, t, "scaled", p->scaled);
    lua_val_set_string(a, t, "places", p->places);
    lua_val_set_bool(a, t, "indexed", p->indexed);
    lua_val_set_bool(a, t, "gathers", p->gathers);
    if (p->indexed) SET_INTS({"index_keys", p->index_keys}, {"gather_ahead", GATHER_AHEAD});
    lua_val_set_bool(a, t, "holes", plan_holes(p));
    lua_val_set(a, t, "rotate", plan_rotation_to_lua(a, p->rotate));
    if (!p->codes.q_most) lua_val_set_bool(a, t, "codes", false);
    if (!p->pairs) lua_val_set_bool(a, t, "pairs", false);
    lua_val_set_int(a, t, "dk", p->dk);
    lua_val_set_int(a, t, "unasked", p->choice.unasked);
    lua_val_set_string(a, t, "dk_name", p->pairs ? "DK" : "D");
    return t;
}

const char *plan_code(arena *a, const plan *p) {
    plan silent = *p;
    silent.notes = 0;
    buf b = buf_new(a);
    lua_val_text(&b, plan_to_lua(a, &silent));
    return b.data;
}
