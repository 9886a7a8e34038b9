/* block_plan_lua.c - a layer's plan as data for templates. */
#include "block_internal.h"

#include "spec.h"
#include "types.h"
#include "weight_layout.h"

#include <string.h>

static lua_val *places_to_lua(arena *a, const block_plan *p) {
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < p->places; i++) {
        lua_val *t = lua_val_table(a);
        lua_val_set_string(a, t, "name", p->place[i].name);
        lua_val_set_int(a, t, "panels", p->place[i].panels);
        lua_val_set_int(a, t, "panel", p->place[i].panel);
        lua_val_push(a, list, t);
    }
    return list;
}

/* weight_layout.h, in bytes of this plan's panels. */
static lua_val *layout_to_lua(arena *a, const block_plan *p, int32_t type) {
    const attn_weight_layout l = attn_weight_layout_of(type);
    const attn_weight_places at = attn_weight_places_of(type);
    lua_val *t = lua_val_table(a);
    lua_val_set_bool(a, t, "min", l.min);
    lua_val_set_bool(a, t, "scaled", l.scaled);
    lua_val_set_bool(a, t, "table", l.table);
    lua_val_set_int(a, t, "part", l.part);
    lua_val_set_int(a, t, "bits", l.bits);
    lua_val_set_int(a, t, "high", l.high);
    lua_val_set_int(a, t, "offset", l.offset);
    lua_val_set_int(a, t, "group_bytes", at.group * p->nr);
    lua_val_set_int(a, t, "head_bytes", at.head * p->nr);
    lua_val_set_int(a, t, "block_bytes", at.block * p->nr);
    lua_val_set_int(a, t, "parts_at", at.parts * p->nr);
    lua_val_set_int(a, t, "part_bytes", at.part * p->nr);
    /* Of a part with its share of scales: cache lines from one part to the next, rounded up. */
    const int bytes = at.group * p->nr * l.part / attn_weight_get(type).block;
    const int lines = (bytes + 63) / 64;
    lua_val_set_int(a, t, "part_lines", lines);
    lua_val_set_int(a, t, "eight_bytes", lines * 64 * 8 / l.part); /* of 8 elements, */
    lua_val_set_int(a, t, "element_bytes", lines * 64 / l.part);   /* of one */
    return t;
}

/* How its codes are multiplied with bytes of a row (templates/block/dots.c.tpl): the name, and of
 * how many elements 16 bits hold the sums of products by twos; 0: not those of two. */
static const char *dots_of(const block_plan *p, int32_t type, int *fold) {
    enum { MOST_PAIR = 2 * 128, MOST_MXFP4 = 24 };
    const attn_weight_layout l = attn_weight_layout_of(type);
    const int most = l.table ? MOST_MXFP4 : (1 << (l.bits + l.high)) - 1;
    const int sums = INT16_MAX / (MOST_PAIR * most); /* each of 4 elements */
    *fold = l.part;
    if (isa_table[p->isa].dots == ISA_DOTS_QUADS) return "quads";
    if (!sums) return "words";
    while (*fold > 4 * sums) *fold /= 2;
    return "pairs";
}

/* What templates write of a type of weights: its hooks (weight/NAME.c), the end of its functions'
 * names, elements of a cache line. */
static lua_val *weight_to_lua(arena *a, const block_plan *p, int32_t type) {
    const attn_weight_row row = attn_weight_get(type);
    const bool plain = type == ATTN_WEIGHT_F32;
    lua_val *t = lua_val_table(a);
    lua_val_set_string(a, t, "name", row.name);
    lua_val_set_string(a, t, "suffix", plain ? "" : arena_printf(a, "_%s", row.name));
    lua_val_set_int(a, t, "line", p->line * (int)sizeof(float) * row.block / row.bytes);
    lua_val_set_int(a, t, "block", row.block);
    lua_val_set_int(a, t, "streams", row.block > 1 ? p->block_streams : p->streams);
    lua_val_set_int(a, t, "near", row.block > p->near ? row.block : p->near);
    if (row.block == 1) return t;
    int fold;
    lua_val_set_string(a, t, "dots", dots_of(p, type, &fold));
    lua_val_set_int(a, t, "fold", fold);
    lua_val_set(a, t, "layout", layout_to_lua(a, p, type));
    return t;
}

/* The types that matrices have, in the order of weight_types.def, or by their names. */
static lua_val *weights_to_lua(arena *a, const block_plan *p, const bool *has, const bool * or,
                               bool by_name) {
    lua_val *list = lua_val_table(a);
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++)
        if (has[type] || or [type])
            lua_val_set(a, list, by_name ? attn_weight_get(type).name : NULL,
                        weight_to_lua(a, p, type));
    return list;
}

/* Whether weights of a type are made of vectors of this type of elements. */
static bool made_of(int32_t weight, int32_t type) {
    const int32_t element = attn_weight_element(weight);
    const attn_weight_layout blocks = attn_weight_layout_of(weight);
    if (element >= 0) return type == element;
    if (type == ATTN_TYPE_I8) return blocks.scaled;
    return type == (blocks.table ? ATTN_TYPE_BF16 : ATTN_TYPE_F16);
}

bool block_plan_reads(const block_plan *p, int32_t type) {
    if (type == attn_spec_types(p->spec).k) return true;
    for (int32_t weight = 0; weight < ATTN_WEIGHT_COUNT; weight++)
        if ((p->has_weights[weight] || p->has_integers[weight]) && made_of(weight, type))
            return true;
    return false;
}

/* Types of elements, beside that of keys, whose vectors weights are made of: names of simd/. */
static lua_val *headers_to_lua(arena *a, const block_plan *p) {
    const int32_t known = attn_spec_types(p->spec).k;
    lua_val *list = lua_val_table(a);
    for (int32_t type = ATTN_TYPE_F32 + 1; type < ATTN_TYPE_COUNT; type++)
        if (type != known && block_plan_reads(p, type))
            lua_val_set_string(a, list, NULL, attn_type_get(type).name);
    return list;
}

static lua_val *matrix_to_lua(arena *a, const block_plan *p, const block_matrix *m) {
    lua_val *t = lua_val_table(a);
    lua_val_set_string(a, t, "name", m->name);
    lua_val_set(a, t, "type", weight_to_lua(a, p, m->type));
    lua_val_set_int(a, t, "heads", m->heads);
    lua_val_set_bool(a, t, "integers", m->integers);
    lua_val_set_int(a, t, "n", m->n);
    lua_val_set_int(a, t, "k", m->k);
    lua_val_set_int(a, t, "panels", m->panels);
    lua_val_set_int(a, t, "unit", m->unit);
    lua_val_set_int(a, t, "wide", m->wide);
    lua_val_set_int(a, t, "brief", m->brief);
    lua_val_set_int(a, t, "few", m->few);
    lua_val_set_int(a, t, "blocks", (m->n + m->wide - 1) / m->wide); /* wide ones, of each */
    return t;
}

/* In the order of their places, or by their names. */
static lua_val *matrices_to_lua(arena *a, const block_plan *p, bool by_name) {
    lua_val *t = lua_val_table(a);
    for (int i = 0; i < p->matrices; i++)
        lua_val_set(a, t, by_name ? p->matrix[i].name : NULL, matrix_to_lua(a, p, &p->matrix[i]));
    return t;
}

/* By their names: a template that asks for one that the layer has not fails. */
static lua_val *stages_to_lua(arena *a, const block_plan *p) {
    lua_val *stages = lua_val_table(a);
    for (int i = 0; i < p->stages; i++) {
        const block_stage *st = &p->stage[i];
        lua_val *t = lua_val_table(a), *matrices = lua_val_table(a);
        for (int m = 0; m < st->matrices; m++)
            lua_val_push(a, matrices, matrix_to_lua(a, p, &p->matrix[st->matrix[m]]));
        lua_val_set(a, t, "matrices", matrices);
        lua_val_set_int(a, t, "wide", st->wide);
        lua_val_set_int(a, t, "brief", st->brief);
        lua_val_set_int(a, t, "few", st->few);
        lua_val_set_int(a, t, "int_blocks", st->int_blocks);
        lua_val_set(a, stages, st->name, t);
    }
    return stages;
}

bool block_plan_words(const block_plan *p) {
    for (int32_t type = 0, fold; type < ATTN_WEIGHT_COUNT; type++)
        if (p->has_integers[type] && !strcmp(dots_of(p, type, &fold), "words")) return true;
    return false;
}

lua_val *block_plan_to_lua(arena *a, const block_plan *p) {
    lua_val *t = lua_val_table(a), *frequencies = lua_val_table(a), *notes = lua_val_table(a);
    const struct {
        const char *name;
        int value;
    } ints[] = {
        {"width", p->width},
        {"model", p->model},
        {"keys", p->keys},
        {"mr", p->mr},
        {"nr", p->nr},
        {"depth", p->depth},
        {"unroll", p->unroll},
        {"rows", p->rows},
        {"wide", p->wide},
        {"few", p->few},
        {"chunk", p->chunk},
        {"expand_from", p->expand_from},
        {"near", p->near},
        {"ahead", p->ahead},
        {"streams", p->streams},
        {"pad", p->pad},
        {"sum", p->sum},
        {"span", p->span},
        {"vectors", p->vectors},
        {"line", p->line},
        {"tasks", p->tasks},
        {"few_tiles", p->few_tiles},
        {"row_ahead", p->row_ahead},
        {"block_ahead", p->block_ahead},
        {"int_cache", p->int_cache},
        {"int_rows", p->int_rows},
        {"int_depth", p->int_depth},
        {"int_few", p->int_few},
        {"int_bytes", p->int_bytes},
        {"float_from", p->float_from},
        {"page", p->page},
        {"kept", p->kept},
    };
    lua_val_set_string(a, t, "symbol", p->symbol);
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
        lua_val_set_int(a, t, ints[i].name, ints[i].value);
    for (int i = 0; i < p->frequency_count; i++) {
        lua_val *v = arena_alloc(a, sizeof *v);
        *v = (lua_val){.kind = LUA_VAL_STRING, .string = arena_printf(a, "%a", p->frequency[i])};
        lua_val_push(a, frequencies, v);
    }
    lua_val_set(a, t, "frequencies", frequencies);
    lua_val_set_bool(a, t, "given_positions", p->given_positions);
    lua_val_set_bool(a, t, "second_output", p->second_output);
    lua_val_set_float(a, t, "mscale", p->mscale);
    lua_val_set_bool(a, t, "own_ffn", p->own_ffn);
    lua_val_set_bool(a, t, "experts", p->experts);
    lua_val_set_bool(a, t, "every_row", p->every_row);
    lua_val_set_string(a, t, "activation", p->activation);
    lua_val_set_bool(a, t, "gated", p->gated);
    lua_val_set_bool(a, t, "second_norm", p->second_norm);
    lua_val_set_int(a, t, "ffn_dim", p->ffn_dim);
    lua_val_set_int(a, t, "ffn_columns", p->ffn_columns);
    lua_val_set_int(a, t, "expert_columns", p->expert_columns);
    lua_val_set_int(a, t, "expert_up_bias", p->expert_up_bias);
    lua_val_set_int(a, t, "expert_down_bias", p->expert_down_bias);
    lua_val_set_int(a, t, "router_columns", p->router_columns);
    lua_val_set(a, t, "places", places_to_lua(a, p));
    lua_val_set(a, t, "stages", stages_to_lua(a, p));
    lua_val_set_bool(a, t, "brief", block_has_brief(p));
    lua_val_set(a, t, "matrices", matrices_to_lua(a, p, false));
    lua_val_set(a, t, "matrix", matrices_to_lua(a, p, true));
    lua_val_set(a, t, "headers", headers_to_lua(a, p));
    const bool *floats = p->has_weights, *integers = p->has_integers;
    lua_val_set(a, t, "weights", weights_to_lua(a, p, floats, floats, false));
    lua_val_set(a, t, "integer_weights", weights_to_lua(a, p, integers, integers, false));
    lua_val_set(a, t, "types", weights_to_lua(a, p, floats, integers, true));
    lua_val_set_bool(a, t, "integers", p->integers);
    lua_val_set_bool(a, t, "int_words", block_plan_words(p));
    lua_val_set_int(a, t, "int_all", p->int_all);
    lua_val_set_int(a, t, "int_chunk", p->int_chunk);
    lua_val_set(a, t, "floats", weight_to_lua(a, p, ATTN_WEIGHT_F32));
    lua_val_set_bool(a, t, "has_floats", p->has_weights[ATTN_WEIGHT_F32]);
    for (int i = 0; i < p->notes; i++) {
        lua_val *v = arena_alloc(a, sizeof *v);
        *v = (lua_val){.kind = LUA_VAL_STRING, .string = p->note[i]};
        lua_val_push(a, notes, v);
    }
    lua_val_set(a, t, "notes", notes);
    return t;
}
