/* sizes.c - what a spec and an instruction set say before anything is chosen. */
#include "plan_internal.h"

#include "op.h"

#include "types.h"

int plan_line(int32_t type) {
    return LINE_BYTES / (int)attn_type_size(type);
}

int plan_lines(int32_t type, int elements) {
    const int line = plan_line(type);
    return (elements + line - 1) / line;
}

/* Measured on Zen 3: four rows of f32 wait for memory, of two bytes an element for the FMA units.
 */
bool plan_fma_bound(const plan *p, int rows) {
    return rows > 2 && plan_line(p->type.k) > plan_line(ATTN_TYPE_F32);
}

int plan_k_bytes(const plan *p) {
    return p->d * (int)attn_type_size(p->type.k);
}

int plan_v_bytes(const plan *p, int columns) {
    return columns * (int)attn_type_size(p->type.v);
}

/* Sizes that choices depend on. */
/* Past 16 rows products take longer than memory, and past 4 of a shared latent row, which is key
 * and value: the tiles of prefill are better at those. */
bool plan_has_dots(const attn_spec *s, const plan *p) {
    if (attn_op_few_keys(s)) return false;
    return p->group <= DOT_MOST && (!plan_is_latent(s) || p->group <= 4);
}

/* Few enough rows, and codes whose products' sums fit 32 bits: |k| is up to 128. */
static void plan_integers(const kernel_spec *k, const isa_row *isa, plan *p) {
    const int32_t dot = k->core.dot;
    if (!isa->integers || !attn_spec_scaled(&k->core) || !plan_has_dots(&k->core, p)) return;
    if (dot == ATTN_DOT_I16 && p->d <= 2048)
        p->codes = (plan_codes){true, p->d <= 512 ? 32639 : 8191, 2, 65535};
    else if (dot == ATTN_DOT_I8)
        p->codes = (plan_codes){false, 127, 1, 255};
}

/* Rows of a shared latent key are values too, whose pairs are others; gathered rows are floats. */
static void plan_tile_pairs(const kernel_spec *k, const isa_row *isa, plan *p) {
    const attn_spec *s = &k->core;
    const bool stored = p->type.k == ATTN_TYPE_BF16 && p->type.v == ATTN_TYPE_BF16;
    const bool tiles = !attn_op_few_keys(s) && s->select != ATTN_SELECT_INDEX;
    p->pairs = isa->pairs && s->dot == ATTN_DOT_BF16 && stored && tiles && !plan_is_latent(s);
    p->dk = p->pairs ? (p->d + 1) / 2 : p->d;
}

void plan_sizes(const kernel_spec *k, const isa_row *isa, plan *p) {
    const attn_spec *s = &k->core;
    p->type = attn_spec_types(s);
    p->heads = s->heads;
    p->key_heads = s->kv_heads;
    p->value_heads = s->v_heads;
    p->group = gcd(p->heads / p->key_heads, p->heads / p->value_heads);
    p->d = attn_spec_k_dim(s);
    p->dv = s->v_dim;
    p->dvp = (p->dv + isa->width - 1) / isa->width * isa->width;
    plan_integers(k, isa, p);
    plan_tile_pairs(k, isa, p);
}

/* One row a key, its first columns the value: what all heads share. */
bool plan_is_latent(const attn_spec *s) {
    return s->form == ATTN_FORM_MLA && s->key == ATTN_KEY_SHARED;
}

int plan_code_weave(const plan *p) {
    return 4 * isa_table[p->isa].width;
}

int plan_code_step(const plan *p) {
    return plan_code_weave(p) / (p->codes.words ? 2 : 1);
}

int plan_code_loop(const plan *p) {
    const int turn = CODE_STEPS * plan_code_step(p), turns = p->d / turn;
    return turns > 1 ? turns * turn : 0;
}

int plan_code_rows(const plan *p) {
    return p->dots ? p->dot[p->dots - 1].rows : 0;
}

int plan_code_row(const plan *p) {
    const int step = plan_code_step(p);
    return (p->d + step - 1) / step * step;
}

/* Keys that fit beside nv queries and one broadcast. */
int plan_qk_keys(const isa_row *isa, int nv) {
    return (isa->registers - nv - 1) / nv;
}

/* Rows that fit beside `columns` vectors of V and one broadcast of P. */
int plan_pv_rows(const isa_row *isa, int columns) {
    return (isa->registers - columns - 1) / columns;
}

int plan_panel(const plan *p, const isa_row *isa) {
    return min_int(p->choice.columns, p->dvp / isa->width) * isa->width;
}

/* Of those, the keys that nv vectors of rows have registers for. */
int plan_edge_part(const plan *p, int nv) {
    int keys = min_int(plan_qk_keys(&isa_table[p->isa], nv), p->edge_keys);
    while (p->edge_keys % keys) keys--;
    return keys;
}

/* Floats of a tile's Q: transposed, or rows of dot products in whole vectors. */
int plan_q_floats(const plan *p) {
    const int w = isa_table[p->isa].width, rows = p->tile_vectors * w;
    int most = 0;
    for (int i = 0; i < p->dots; i++)
        if (p->dot[i].rows > most) most = p->dot[i].rows;
    const int dots = most * ((p->d + w - 1) / w * w);
    return p->dk * rows > dots ? p->dk * rows : dots;
}
