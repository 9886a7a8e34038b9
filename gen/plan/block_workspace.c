/* block_workspace.c - a layer's memory: the workspace of a call, as the runtime (own_layout) and
 * the generated layout() (block/run.c.tpl) will place it, and its packed weights by type. */
#include "block_internal.h"

#include "attn_kernel.h"
#include "layout.h"
#include "op.h"
#include "types.h"
#include "weight_layout.h"
#include "weight_types.h"

#include <string.h>

enum { PICK_BYTES = 8, SLOT_BYTES = 12, EXPERT_BLOCK_BYTES = 12, LINE = 64 };

/* Areas one after the other, each at a cache line. */
typedef struct areas {
    uint64_t bytes;
} areas;

static void area(areas *to, uint64_t bytes) {
    attn_carve(NULL, &to->bytes, bytes);
}

static void floats(areas *to, uint64_t rows, int64_t width) {
    area(to, attn_times(rows, (uint64_t)width * sizeof(float)));
}

static bool has_keys_of_its_own(const attn_spec *s) {
    return s->kv_dim == ATTN_UNSET;
}

/* As own_layout of runtime/block_check.c. */
static void runtime_areas(areas *to, const attn_spec *s, const attn_block_extent *e) {
    const uint64_t list = (uint64_t)e->batch * sizeof(int32_t), rows = (uint64_t)e->rows;
    for (int i = 0; i < 5; i++) area(to, list + (i == 3 ? sizeof(int32_t) : 0));
    area(to, rows * sizeof(attn_block_row));
    area(to, (uint64_t)e->kv_rows * sizeof(attn_block_row));
    if (has_keys_of_its_own(s)) area(to, rows * sizeof(int32_t));
    if (attn_op_of(s)->segments) area(to, rows * sizeof(int32_t));
    const bool paged = s->layout == ATTN_LAYOUT_PAGED;
    if (paged && !e->cached) area(to, list * (uint64_t)attn_layout_pages(s, e->keys));
    if (e->cached && !paged && attn_op_kept(s) < ATTN_FAR)
        area(to, (uint64_t)e->batch * (uint64_t)e->keys);
}

/* `integers` of templates/block.c.tpl: 32 of a row as bytes, as words where those are needed, sums
 * and scale. */
static uint64_t integers_bytes(const block_plan *p) {
    const bool three = p->int_bytes == 3;
    const int words = !block_plan_words(p) ? 0 : three ? 2 : 1;
    return (uint64_t)(32 * p->int_bytes + 64 * words + (three ? 32 : 16));
}

static int64_t stage_int_blocks(const block_plan *p, const char *name) {
    for (int i = 0; i < p->stages; i++)
        if (!strcmp(p->stage[i].name, name)) return p->stage[i].int_blocks;
    return 0;
}

/* `scratch` of templates/block.c.tpl. */
static uint64_t scratch_bytes(const block_plan *p) {
    const uint64_t tile = sizeof(float) * (uint64_t)p->rows * (uint64_t)p->wide;
    bool widens = false;
    for (int type = ATTN_WEIGHT_F32 + 1; type < ATTN_WEIGHT_COUNT; type++)
        widens = widens || p->has_weights[type];
    areas s = {3 * tile};
    if (widens) s.bytes += sizeof(float) * (uint64_t)p->depth * (uint64_t)p->nr;
    if (p->integers) {
        const uint64_t codes = (uint64_t)p->int_depth * (uint64_t)p->nr;
        areas slice = {0};
        area(&slice, codes + codes / 16 * sizeof(float) + codes / 32 * sizeof(float));
        s.bytes = (s.bytes + LINE - 1) / LINE * LINE + slice.bytes;
    }
    if (p->experts) {
        const uint64_t ints = (uint64_t)stage_int_blocks(p, "expert_up") * integers_bytes(p);
        const uint64_t row = sizeof(float) * (uint64_t)(p->model + p->pad);
        s.bytes += (uint64_t)p->rows * (row + ints);
    }
    return (s.bytes + LINE - 1) / LINE * LINE;
}

static uint64_t chunk_rows(const block_plan *p, const attn_block_extent *e) {
    const int64_t team = e->threads > 1 ? e->threads : 1;
    int64_t chunk = (int64_t)p->chunk * p->rows * team;
    const int64_t most = INT32_MAX / 2 / (p->experts ? p->spec->top_k : 1);
    if (p->experts && chunk > most) chunk = most;
    return (uint64_t)(e->rows < chunk ? e->rows : chunk);
}

static void expert_areas(areas *to, const block_plan *p, uint64_t chunk) {
    const attn_spec *s = p->spec;
    const uint64_t slots = chunk * (uint64_t)s->top_k, experts = (uint64_t)s->experts;
    floats(to, chunk, p->router_columns);
    floats(to, slots, p->expert_columns + p->pad);
    floats(to, chunk, p->model + p->pad);
    if (s->shared_gate) floats(to, chunk, 1);
    area(to, slots * PICK_BYTES);
    area(to, slots * SLOT_BYTES);
    area(to, (experts + 1) * sizeof(int32_t));
    area(to, (slots / (uint64_t)p->rows + experts) * EXPERT_BLOCK_BYTES);
}

static void regular_areas(areas *to, const block_plan *p, const attn_block_extent *e) {
    const attn_spec *s = p->spec;
    const uint64_t rows = (uint64_t)e->rows;
    floats(to, rows, (int64_t)s->heads * s->head_dim + p->pad);
    floats(to, rows, (int64_t)s->heads * s->v_dim + p->pad);
    if (s->o_gate != ATTN_O_GATE_NONE) floats(to, rows, block_plan_gates(s) + p->pad);
    if (s->q_growth != 0) floats(to, rows, 1);
    if (s->qk_norm && s->qk_norm_over == ATTN_QK_NORM_OVER_ALL)
        floats(to, has_keys_of_its_own(s) ? rows : (uint64_t)e->kv_rows,
               (int64_t)s->kv_heads * s->head_dim + p->pad);
}

static void per_head_areas(areas *to, const block_plan *p, const attn_block_extent *e) {
    const attn_spec *s = p->spec;
    const int64_t heads = s->heads;
    const uint64_t rows = (uint64_t)e->rows;
    floats(to, rows, heads * s->retr_dim + p->pad);
    floats(to, rows, heads * s->kv_comp_dim + p->pad);
    floats(to, chunk_rows(p, e), heads * s->head_dim + p->pad);
    floats(to, has_keys_of_its_own(s) ? rows : (uint64_t)e->kv_rows, s->kv_comp_dim + p->pad);
}

/* Of absorbed queries, or where keys are expanded. */
static void absorbed_areas(areas *to, const block_plan *p, uint64_t rows, uint64_t chunk) {
    const attn_spec *s = p->spec;
    const int64_t heads = s->heads;
    floats(to, rows, heads * (s->kv_comp_dim + s->retr_dim) + p->pad);
    floats(to, rows, heads * s->kv_comp_dim + p->pad);
    floats(to, rows, heads * s->head_dim + p->pad);
    floats(to, rows < chunk ? rows : chunk, heads * s->v_head_dim + p->pad);
}

static void expanded_areas(areas *to, const block_plan *p, const attn_block_extent *e) {
    const attn_spec *s = p->spec;
    const int64_t heads = s->heads, wide = s->head_dim + s->retr_dim;
    const uint64_t keys = (uint64_t)e->batch * (uint64_t)e->keys * (uint64_t)heads;
    floats(to, (uint64_t)e->rows, heads * wide + p->pad);
    floats(to, (uint64_t)e->rows, heads * s->v_head_dim + p->pad);
    floats(to, keys, wide);
    floats(to, keys, s->v_head_dim);
    if (attn_spec_types(s).k != ATTN_TYPE_F32 || s->layout == ATTN_LAYOUT_PAGED)
        floats(to, (uint64_t)e->keys, s->kv_comp_dim + s->retr_dim + p->pad);
}

static void shared_areas(areas *to, const block_plan *p, const attn_block_extent *e) {
    const attn_spec *s = p->spec;
    const uint64_t rows = (uint64_t)e->rows, chunk = chunk_rows(p, e);
    if (s->q_comp_dim != ATTN_UNSET) floats(to, rows, s->q_comp_dim + p->pad);
    floats(to, rows, s->kv_comp_dim + s->retr_dim + p->pad);
    if (!p->expand_from) {
        absorbed_areas(to, p, rows, chunk);
        return;
    }
    const int32_t most = e->tokens < p->expand_from - 1 ? e->tokens : p->expand_from - 1;
    const uint64_t few = (uint64_t)e->batch * (uint64_t)most;
    areas absorbed = {0}, expanded = {0};
    absorbed_areas(&absorbed, p, few < rows ? few : rows, chunk);
    if (e->tokens >= p->expand_from) expanded_areas(&expanded, p, e);
    to->bytes += absorbed.bytes > expanded.bytes ? absorbed.bytes : expanded.bytes;
}

/* Keys and values of a call without a cache. */
static void key_areas(areas *to, const attn_spec *s, const attn_block_extent *e) {
    const bool mla = s->form == ATTN_FORM_MLA, shared = mla && s->key == ATTN_KEY_SHARED;
    const int32_t type = attn_spec_types(s).k;
    const uint64_t keys = (uint64_t)e->batch * (uint64_t)e->keys;
    const int64_t k_heads = shared ? 1 : mla ? s->heads : s->kv_heads;
    const int64_t v_heads = mla ? 1 : s->v_heads, v_dim = shared ? 0 : s->v_dim;
    area(to, keys * (uint64_t)(k_heads * attn_spec_k_dim(s)) * attn_type_size(type));
    area(to, keys * (uint64_t)(v_heads * v_dim) * attn_type_size(type));
    if (attn_type_scaled(type)) floats(to, keys, k_heads);
    if (attn_type_scaled(type) && !shared) floats(to, keys, v_heads);
}

/* Rows on their way in, and through the second half. */
static void row_areas(areas *to, const block_plan *p, const attn_block_extent *e) {
    const attn_spec *s = p->spec;
    const uint64_t rows = (uint64_t)e->rows, key_rows = (uint64_t)e->kv_rows;
    const uint64_t chunk = chunk_rows(p, e);
    const bool norms = s->norm != ATTN_NORM_NONE, roped = p->frequency_count > 0;
    area(to, scratch_bytes(p) * (uint64_t)(e->threads > 1 ? e->threads : 1));
    floats(to, rows, p->model + p->pad);
    if (p->integers) {
        const uint64_t most = rows > key_rows ? rows : key_rows;
        const uint64_t all = most * (uint64_t)p->int_all, some = chunk * (uint64_t)p->int_chunk;
        area(to, (all > some ? all : some) * integers_bytes(p));
    }
    if (s->residual == ATTN_RESIDUAL_PARALLEL && p->second_norm)
        floats(to, rows, p->model + p->pad);
    if (roped) floats(to, rows, 2 * (int64_t)s->rope_dim);
    if (!has_keys_of_its_own(s)) floats(to, key_rows, p->keys + p->pad);
    if (!has_keys_of_its_own(s) && roped) floats(to, key_rows, 2 * (int64_t)s->rope_dim);
    if (norms && s->norm_place != ATTN_NORM_PLACE_PRE) floats(to, chunk, p->model + p->pad);
    if (p->every_row) floats(to, chunk, p->ffn_columns + p->pad);
    if (p->experts) expert_areas(to, p, chunk);
}

uint64_t block_plan_workspace(const block_plan *p, const attn_block_extent *e) {
    areas own = {0}, all = {0};
    runtime_areas(&own, p->spec, e);
    row_areas(&all, p, e);
    if (p->spec->form == ATTN_FORM_REGULAR)
        regular_areas(&all, p, e);
    else if (p->spec->key == ATTN_KEY_SHARED)
        shared_areas(&all, p, e);
    else
        per_head_areas(&all, p, e);
    if (!e->cached) key_areas(&all, p->spec, e);
    area(&all, e->core_bytes);
    return attn_plus(own.bytes, all.bytes);
}

/* --- Packed weights --- */

static uint64_t matrix_bytes(const block_plan *p, const block_matrix *m) {
    return (uint64_t)(m->heads * m->panels * attn_panel_bytes(m->type, p->nr, m->k));
}

uint64_t block_plan_type_bytes(const block_plan *p, int32_t type) {
    uint64_t bytes = 0;
    for (int i = 0; i < p->matrices; i++)
        if (p->matrix[i].type == type) bytes += matrix_bytes(p, &p->matrix[i]);
    return bytes;
}

double block_plan_row_bytes(const block_plan *p) {
    double bytes = 0;
    for (int i = 0; i < p->matrices; i++) {
        const block_matrix *m = &p->matrix[i];
        const double all = (double)matrix_bytes(p, m);
        if (!strcmp(m->name, "KVB")) continue; /* many rows take it, in place of others */
        bytes += strncmp(m->name, "EXPERT_", 7) ? all : all * p->spec->top_k / m->heads;
    }
    return bytes;
}
