/* block_stages.c - what a layer multiplies by: where weights lie once they are packed, and which
 * products are taken together. */
#include "block_internal.h"

#include "spec.h"
#include "weight_layout.h"

#include <string.h>

static int64_t round_up(int64_t n, int64_t to) {
    return (n + to - 1) / to * to;
}

/* --- Places, in the order of calls --- */

static void place(block_plan *p, const char *name, int64_t panels, int64_t panel) {
    p->place[p->places++] = (block_place){name, p->packed_floats, panels, panel};
    p->packed_floats += (panels ? panels : 1) * panel;
}

/* In whole cache lines, so that all that follows is aligned. */
static void vector(block_plan *p, const char *name, int64_t n) {
    place(p, name, 0, round_up(n, p->line));
}

static int64_t columns(const block_matrix *m, int target) {
    const int64_t units = target / m->unit;
    return (units ? units : 1) * m->unit;
}

/* Columns of a task of many rows at most: of EXPERT_UP all of an expert's. */
static int64_t most_columns(const block_matrix *m) {
    return strcmp(m->name, "EXPERT_UP") ? m->wide : m->n;
}

/* Columns whose weights one core reads in 0.2 ms. A task of EXPERT_DOWN goes through all experts of
 * a row. */
static int64_t brief_columns(const block_plan *p, const block_matrix *m) {
    const int64_t panel = attn_panel_bytes(m->type, p->nr, m->k);
    const int64_t reads = strcmp(m->name, "EXPERT_DOWN") ? 1 : p->spec->top_k;
    const int64_t most = p->task_bytes / (panel * reads) * p->nr;
    if (most >= most_columns(m)) return most_columns(m);
    return most < m->few ? m->few : columns(m, (int)most);
}

/* Floats of a panel [k][nr], in whole vectors. */
static int64_t panel_floats(const block_plan *p, int32_t type, int64_t k) {
    return attn_panel_bytes(type, p->nr, k) / (int64_t)sizeof(float);
}

/* What a matrix's type is, by attn_matrix. */
enum { NAMED = 100 };
#define TYPE_OF(id) (NAMED + ATTN_MATRIX_##id)

/* W [n, k], or one a head, of a type of weights, whose columns are made in groups of `together`. */
static int matrices(block_plan *p, const char *name, int32_t type, int heads, int64_t n, int64_t k,
                    int together) {
    block_matrix *m = &p->matrix[p->matrices];
    if (type >= NAMED) type = attn_spec_matrix_type(p->spec, type - NAMED, k);
    *m = (block_matrix){.name = name, .heads = heads, .n = n, .k = k, .type = type};
    m->panels = (n + p->nr - 1) / p->nr;
    m->unit = block_unit(together, p->nr);
    m->wide = columns(m, p->wide);
    m->few = columns(m, p->few);
    m->brief = brief_columns(p, m);
    m->integers = isa_table[p->isa].dots != ISA_DOTS_NONE && !attn_weight_is_float(m->type);
    if (m->integers) p->has_integers[m->type] = true;
    if (!m->integers || p->float_from) p->has_weights[m->type] = true;
    p->integers = p->integers || m->integers;
    place(p, name, heads * m->panels, panel_floats(p, m->type, k));
    return p->matrices++;
}

static int matrix(block_plan *p, const char *name, int32_t type, int64_t n, int64_t k,
                  int together) {
    return matrices(p, name, type, 1, n, k, together);
}

bool block_has_brief(const block_plan *p) {
    for (int i = 0; i < p->stages; i++)
        if (p->stage[i].brief > p->stage[i].wide) return true;
    for (int i = 0; i < p->matrices; i++)
        if (!strcmp(p->matrix[i].name, "EXPERT_UP") && p->matrix[i].brief < p->matrix[i].n)
            return true;
    return false;
}

/* --- Stages --- */

static int64_t blocks(const block_matrix *m, int64_t columns) {
    return m->heads * ((m->n + columns - 1) / columns);
}

static void stage(block_plan *p, const char *name, int count, const int *matrix) {
    static const char *const chunked[] = {"output", "output_rows", "up_values",   "up",
                                          "down",   "expert_up",   "expert_down", NULL};
    const bool expert = !strncmp(name, "expert_", 7); /* a row meets each of its experts as it is */
    block_stage *st = &p->stage[p->stages++];
    *st = (block_stage){.name = name, .matrices = count};
    for (int i = 0; i < count; i++) {
        const block_matrix *m = &p->matrix[matrix[i]];
        st->matrix[i] = matrix[i];
        st->wide += blocks(m, m->wide);
        st->brief += blocks(m, m->brief);
        st->few += blocks(m, m->few);
        const int64_t row = (expert ? 1 : m->heads) * m->k / 32;
        if (m->integers && st->int_blocks < row) st->int_blocks = row;
    }
    for (int i = 0; chunked[i]; i++) st->chunked = st->chunked || !strcmp(name, chunked[i]);
    int64_t *most = st->chunked ? &p->int_chunk : &p->int_all;
    const int64_t each = st->int_blocks * (strcmp(name, "expert_down") ? 1 : p->spec->top_k);
    if (*most < each) *most = each;
}
#define STAGE(p, name, ...)                                                 \
    stage(p, name, (int)(sizeof((const int[]){__VA_ARGS__}) / sizeof(int)), \
          (const int[]){__VA_ARGS__})

/* --- Forms --- */

static bool is_cross(const attn_spec *s) {
    return s->kv_dim != ATTN_UNSET;
}

/* Of a norm of so many heads of queries or keys. */
static int64_t qk_norm_weights(const attn_spec *s, int64_t heads) {
    if (!s->qk_norm || s->qk_norm_weights == ATTN_QK_NORM_WEIGHTS_NONE) return 0;
    const bool one = s->qk_norm_over == ATTN_QK_NORM_OVER_HEAD &&
                     s->qk_norm_weights == ATTN_QK_NORM_WEIGHTS_HEAD;
    return (one ? 1 : heads) * s->head_dim;
}

static void regular_vectors(const attn_spec *s, block_plan *p) {
    if (s->q_bias) vector(p, "Q_BIAS", (int64_t)s->heads * s->head_dim);
    if (s->k_bias) vector(p, "K_BIAS", (int64_t)s->kv_heads * s->head_dim);
    if (s->v_bias) vector(p, "V_BIAS", (int64_t)s->v_heads * s->v_dim);
    if (qk_norm_weights(s, s->heads)) vector(p, "Q_NORM", qk_norm_weights(s, s->heads));
    if (qk_norm_weights(s, s->kv_heads)) vector(p, "K_NORM", qk_norm_weights(s, s->kv_heads));
    if (s->o_bias) vector(p, "O_BIAS", p->model);
}

int64_t block_plan_gates(const attn_spec *s) {
    if (s->o_gate == ATTN_O_GATE_NONE) return 0;
    return (int64_t)s->heads * (s->o_gate == ATTN_O_GATE_CHANNEL ? s->v_dim : 1);
}

static void regular(const attn_spec *s, block_plan *p) {
    const int64_t d = s->head_dim, dv = s->v_dim;
    const int q = matrix(p, "Q", TYPE_OF(Q_PROJ), s->heads * d, p->model, s->head_dim);
    const int k = matrix(p, "K", TYPE_OF(K_PROJ), s->kv_heads * d, p->keys, s->head_dim);
    const int v = matrix(p, "V", TYPE_OF(V_PROJ), s->v_heads * dv, p->keys, s->v_dim);
    const int64_t gates = block_plan_gates(s);
    const int gate = gates ? matrix(p, "GATE", TYPE_OF(O_GATE), gates, p->model, 1) : -1;
    const int o = matrix(p, "O", TYPE_OF(O_PROJ), p->model, s->heads * dv, 1);
    const int rows[] = {q, k, v, gate}, queries[] = {q, gate};
    regular_vectors(s, p);
    if (is_cross(s)) {
        stage(p, "project_queries", gates ? 2 : 1, queries);
        STAGE(p, "project_keys", k, v);
    } else {
        stage(p, "project", gates ? 4 : 3, rows);
    }
    STAGE(p, "output", o);
}

static void mla_per_head(const attn_spec *s, block_plan *p) {
    const int64_t keys = (int64_t)s->heads * s->retr_dim; /* and queries */
    const int q = matrix(p, "Q", TYPE_OF(Q_PROJ), keys, p->model, s->retr_dim);
    const int kv = matrix(p, "KV", TYPE_OF(KV_PROJ), s->kv_comp_dim, p->keys, 1);
    const int kr = matrix(p, "KR", TYPE_OF(W_KR), keys, s->kv_comp_dim, s->retr_dim);
    const int uv = matrices(p, "UV", TYPE_OF(W_KC_KV), s->heads, s->head_dim, s->kv_comp_dim, 1);
    const int o = matrix(p, "O", TYPE_OF(OUT_PROJ), p->model, (int64_t)s->heads * s->head_dim, 1);
    if (is_cross(s)) {
        STAGE(p, "project_queries", q);
        STAGE(p, "project_latent", kv);
    } else {
        STAGE(p, "project_rows", q, kv);
    }
    STAGE(p, "project_keys", kr);
    STAGE(p, "up_values", uv);
    STAGE(p, "output_rows", o);
}

static void mla_shared(const attn_spec *s, block_plan *p) {
    const bool lora = s->q_comp_dim != ATTN_UNSET;
    const int c = s->kv_comp_dim, query = s->head_dim + s->retr_dim;
    const int both = s->head_dim + s->v_head_dim;
    const int qa = lora ? matrix(p, "QA", TYPE_OF(Q_A_PROJ), s->q_comp_dim, p->model, 1) : -1;
    if (lora) vector(p, "QA_NORM", s->q_comp_dim);
    const int q = matrix(p, "Q", lora ? TYPE_OF(Q_B_PROJ) : TYPE_OF(Q_PROJ),
                         (int64_t)s->heads * query, lora ? s->q_comp_dim : p->model, query);
    const int kva = matrix(p, "KVA", TYPE_OF(KV_A_PROJ), c + s->retr_dim, p->keys, 1);
    vector(p, "KV_NORM", c);
    const int uk = matrices(p, "UK", TYPE_OF(KV_B_PROJ), s->heads, c, s->head_dim, 1);
    const int uv = matrices(p, "UV", TYPE_OF(KV_B_PROJ), s->heads, s->v_head_dim, c, 1);
    const int kvb = p->expand_from
                        ? matrix(p, "KVB", TYPE_OF(KV_B_PROJ), (int64_t)s->heads * both, c, both)
                        : -1;
    const int o = matrix(p, "O", TYPE_OF(O_PROJ), p->model, (int64_t)s->heads * s->v_head_dim, 1);
    STAGE(p, "project_rows", lora ? qa : q, kva);
    if (lora) STAGE(p, "project_queries", q);
    STAGE(p, "absorb", uk);
    if (p->expand_from) STAGE(p, "expand_item", kvb);
    STAGE(p, "up_values", uv);
    STAGE(p, "output_rows", o);
}

/* --- The layer around it --- */

static void norm(const attn_spec *s, block_plan *p, const char *weight, const char *bias) {
    if (!s->norm_bare) vector(p, weight, p->model);
    if (s->norm_bias) vector(p, bias, p->model);
}

/* Columns of a first product: panels of gate and up alternate. */
static int64_t up_columns(const block_plan *p, int64_t hidden) {
    return p->gated ? 2 * round_up(hidden, p->nr) : hidden;
}

static void every_row(const attn_spec *s, block_plan *p) {
    p->ffn_columns = round_up(p->ffn_dim, p->nr);
    const int64_t n = up_columns(p, p->ffn_dim);
    const bool shared = p->experts;
    const int up = matrix(p, "UP", shared ? TYPE_OF(SHARED_UP) : TYPE_OF(UP_PROJ), n, p->model,
                          p->gated ? 2 * p->nr : 1);
    const int down = matrix(p, "DOWN", shared ? TYPE_OF(SHARED_DOWN) : TYPE_OF(DOWN_PROJ), p->model,
                            p->ffn_dim, 1);
    if (s->ffn == ATTN_FFN_XIELU) vector(p, "XIELU", 2);
    if (s->ffn_bias) vector(p, "UP_BIAS", n);
    if (s->ffn_bias) vector(p, "DOWN_BIAS", p->model);
    STAGE(p, "up", up);
    STAGE(p, "down", down);
}

/* Of a place with a vector for each expert: whole panels and cache lines, where columns of a
 * product read it. */
static int64_t expert_vector(const block_plan *p, int64_t n) {
    return round_up(round_up(n, p->nr), p->line);
}

static void experts(const attn_spec *s, block_plan *p) {
    const int64_t n = up_columns(p, s->expert_dim);
    p->router_columns = s->experts + (s->shared_gate ? 1 : 0);
    p->expert_columns = round_up(s->expert_dim, p->nr);
    const int router = matrix(p, "ROUTER", ATTN_WEIGHT_F32, p->router_columns, p->model, 1);
    if (s->router_bias != ATTN_ROUTER_BIAS_NONE) vector(p, "ROUTER_BIAS", p->router_columns);
    const int up = matrices(p, "EXPERT_UP", TYPE_OF(EXPERTS_UP), s->experts, n, p->model,
                            p->gated ? 2 * p->nr : 1);
    const int down =
        matrices(p, "EXPERT_DOWN", TYPE_OF(EXPERTS_DOWN), s->experts, p->model, s->expert_dim, 1);
    p->expert_up_bias = expert_vector(p, n);
    p->expert_down_bias = expert_vector(p, p->model);
    if (s->ffn_bias) vector(p, "EXPERT_UP_BIAS", s->experts * p->expert_up_bias);
    if (s->ffn_bias) vector(p, "EXPERT_DOWN_BIAS", s->experts * p->expert_down_bias);
    STAGE(p, "route", router);
    STAGE(p, "expert_up", up);
    STAGE(p, "expert_down", down);
}

void block_plan_ffn(const attn_spec *s, block_plan *p) {
    p->own_ffn = s->ffn != ATTN_FFN_NONE && s->ffn != ATTN_FFN_EXTERNAL;
    p->experts = s->ffn == ATTN_FFN_MOE;
    const attn_field *act = attn_field_find(p->experts ? "expert_act" : "ffn");
    attn_enum_name(act, p->experts ? s->expert_act : s->ffn, p->activation, sizeof p->activation);
    p->gated = strstr(p->activation, "glu") != NULL;
    p->ffn_dim = p->experts ? s->shared_experts * s->expert_dim : p->own_ffn ? s->ffn_dim : 0;
    p->every_row = p->ffn_dim > 0;
}

void block_plan_stages(const attn_spec *s, block_plan *p) {
    const bool norms = s->norm != ATTN_NORM_NONE, branch = s->norm_place == ATTN_NORM_PLACE_BRANCH;
    const bool out = norms && (branch || s->norm_place == ATTN_NORM_PLACE_BOTH);
    p->spec = s;
    block_plan_ffn(s, p);
    p->second_norm = norms && !branch && p->own_ffn && !s->shared_norm;
    if (norms && !branch && !s->skip_norm1) norm(s, p, "NORM1", "NORM1_BIAS");
    if (s->form == ATTN_FORM_REGULAR)
        regular(s, p);
    else if (s->key == ATTN_KEY_PER_HEAD)
        mla_per_head(s, p);
    else
        mla_shared(s, p);
    if (s->sinks) vector(p, "SINKS", s->heads);
    if (out) norm(s, p, "POST1", "POST1_BIAS");
    if (p->second_norm) norm(s, p, "NORM2", "NORM2_BIAS");
    if (p->experts) experts(s, p);
    if (p->every_row) every_row(s, p);
    if (p->own_ffn && out) norm(s, p, "POST2", "POST2_BIAS");
    /* Cosine and sine in double, of each pair at 64 positions; longrope: angles after them. */
    const int64_t positions = s->rope_scaling == ATTN_ROPE_SCALING_LONGROPE ? 65 : 64;
    if (p->frequency_count) place(p, "ROPE", 0, positions * 2 * 2 * p->frequency_count);
}
