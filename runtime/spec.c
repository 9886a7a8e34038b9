/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* spec.c - the rules of specs: what is required, where it belongs, what follows from it. */
#include "spec.h"
#include "weight_types.h"
#include "layout.h"
#include "op.h"
#include "types.h"

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Floats beyond this are refused: it keeps clear of ATTN_UNSET_F and of infinities. */
static const float float_limit = 1e38f;

#define fail attn_spec_fail

static const char kv_types[] = "same"
#define ATTN_SAID(id, name, ...) " " #name
    ATTN_TYPES(ATTN_SAID);

/* Zero, or a float of full precision: kernels run with subnormal numbers flushed or not, and agree
 * only where there are none. */
static bool is_normal(float x) {
    return x == 0 || (fabsf(x) >= FLT_MIN && fabsf(x) <= FLT_MAX);
}

static attn_status check_matrix_types(const attn_spec *s, attn_spec_error *err) {
    for (int32_t i = 0; i < ATTN_MATRIX_COUNT; i++)
        if (s->weight_types[i] < 0 || s->weight_types[i] > ATTN_WEIGHT_COUNT)
            return fail(err, "weight_types",
                        "of %s must be 0, or 1 + an attn_weight_type: at most %d, got %d",
                        attn_matrix_name(i), ATTN_WEIGHT_COUNT, s->weight_types[i]);
    return ATTN_OK;
}

static attn_status check_value(const attn_spec *s, const attn_field *f, attn_spec_error *err) {
    if (!attn_field_is_member(f)) return ATTN_OK;
    if (f->kind == ATTN_KIND_TYPES) return check_matrix_types(s, err);
    if (f->kind == ATTN_KIND_FLOAT) {
        float x = (float)attn_field_get(f, s);
        if (x == ATTN_UNSET_F) return ATTN_OK;
        if (!(x >= -float_limit && x <= float_limit))
            return fail(err, f->name, "must be a finite number, in magnitude at most 1e+38");
        if (is_normal(x)) return ATTN_OK;
        return fail(err, f->name,
                    "must be in magnitude at least 1.18e-38 where it is not 0, got %g", (double)x);
    }
    int32_t v = (int32_t)attn_field_get(f, s);
    if (f->kind == ATTN_KIND_ENUM) {
        size_t n;
        if (attn_enum_value(f->values, v, &n) || v == (int32_t)f->dflt) return ATTN_OK;
        return fail(err, f->name, "must be one of %s, got number %d", f->values, v);
    }
    if (v == (int32_t)f->dflt || (v >= f->lowest && v <= f->highest)) return ATTN_OK;
    return fail(err, f->name, "must be from %lld to %lld, got %d", (long long)f->lowest,
                (long long)f->highest, v);
}

/* The ATTN_IN_* bits of a spec's form, op and level. */
static int places(const attn_spec *s) {
    int at = s->form == ATTN_FORM_MLA ? ATTN_IN_MLA : ATTN_IN_REGULAR;
    if (s->level == ATTN_LEVEL_BLOCK) at |= ATTN_IN_BLOCK;
    return at | attn_op_of(s)->fields;
}

/* "op full_self and sliding_self": those that take such fields. */
static void ops_text(int applies, char *text, size_t size) {
    const attn_field *op = attn_field_find("op");
    attn_spec s = {0};
    size_t n = (size_t)snprintf(text, size, "op"), length;
    for (int taken = 0; attn_enum_value(op->values, s.op, &length); s.op++) {
        if (!(attn_op_of(&s)->fields & applies) || n >= size) continue;
        n += (size_t)snprintf(text + n, size - n, "%s%.*s", taken++ ? " and " : " ", (int)length,
                              attn_enum_value(op->values, s.op, &length));
    }
}

static void places_text(int applies, char *text, size_t size) {
    if (applies & ATTN_IN_OPS)
        ops_text(applies, text, size);
    else
        snprintf(text, size, "%s",
                 applies == ATTN_IN_REGULAR ? "form regular"
                 : applies == ATTN_IN_MLA   ? "form mla"
                                            : "level block");
}

/* Whether a field may be given in a spec of this form, op and level; if not, says why. err may be
 * null. */
bool attn_field_applies(const attn_field *f, const attn_spec *s, attn_spec_error *err) {
    static const struct {
        const char *field;
        int bits;
    } groups[] = {{"level", ATTN_IN_BLOCK}, {"form", ATTN_IN_FORMS}, {"op", ATTN_IN_OPS}};
    for (int i = 0; i < 3; i++) {
        const int wanted = f->applies & groups[i].bits;
        if (!wanted || (wanted & places(s))) continue;
        const attn_field *by = attn_field_find(groups[i].field);
        char now[ATTN_FIELD_TEXT_MAX], where[160];
        attn_field_text(by, s, now);
        places_text(wanted, where, sizeof where);
        fail(err, f->name, "applies to %s only, and %s is %s", where, by->name, now);
        return false;
    }
    return true;
}

static attn_status check_required(const attn_spec *s, attn_spec_error *err) {
    bool mla = s->form == ATTN_FORM_MLA, sliding = places(s) & ATTN_IN_SLIDING;
    if (s->heads == ATTN_UNSET) return fail(err, "heads", "is required: the number of query heads");
    if (!mla && s->head_dim == ATTN_UNSET)
        return fail(err, "head_dim", "is required: the width of a query and key head");
    if (mla && s->kv_comp_dim == ATTN_UNSET)
        return fail(err, "kv_comp_dim", "is required for mla: the width of the latent value");
    if (mla && s->retr_dim == ATTN_UNSET)
        return fail(err, "retr_dim", "is required for mla: the width of the retrieval key");
    if (sliding && s->window == ATTN_UNSET)
        return fail(err, "window", "is required for sliding_self: how far back a query sees");
    if (sliding && !s->causal && s->right_window == ATTN_UNSET)
        return fail(err, "right_window",
                    "is required for sliding_self with causal = false: how far ahead a query sees");
    if (mla && s->key == ATTN_KEY_SHARED && s->scale == ATTN_UNSET_F)
        return fail(err, "scale", "is required for key = shared: no width there implies it");
    return ATTN_OK;
}

/* Unset: takes `value`. A resolved mla spec carries it already; another value is an error. */
static attn_status derive(int32_t *member, int32_t value, const char *name, attn_spec_error *err) {
    if (*member != ATTN_UNSET && *member != value)
        return fail(err, name, "applies to form regular only, and form is mla");
    *member = value;
    return ATTN_OK;
}

static attn_status derive_mla(attn_spec *s, attn_spec_error *err) {
    int32_t kv_heads = s->key == ATTN_KEY_SHARED ? 1 : s->heads;
    attn_status st = derive(&s->kv_heads, kv_heads, "kv_heads", err);
    if (st == ATTN_OK) st = derive(&s->v_heads, 1, "v_heads", err);
    if (st == ATTN_OK) st = derive(&s->v_dim, s->kv_comp_dim, "v_dim", err);
    return st;
}

static attn_status check_applies(const attn_spec *s, attn_spec_error *err) {
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        if (!attn_field_is_member(f) || attn_field_is_default(f, s)) continue;
        /* derive_mla has checked these */
        if (s->form == ATTN_FORM_MLA && f->applies == ATTN_IN_REGULAR) continue;
        if (!attn_field_applies(f, s, err)) return ATTN_E_SPEC;
    }
    if (s->form == ATTN_FORM_REGULAR && s->key != ATTN_KEY_PER_HEAD)
        return fail(err, "key", "shared applies to form mla only, and form is regular");
    if (s->right_window != ATTN_UNSET && s->causal)
        return fail(err, "right_window",
                    "needs causal = false: a causal query sees nothing ahead of itself");
    if (s->expr_hash && !attn_spec_takes_expressions(s))
        return fail(err, "backend", "expressions belong to flex, and backend is sdpa");
    return ATTN_OK;
}

/* heads * width has to be an int32_t, in generated code as well. */
static attn_status check_width(const attn_spec *s, int32_t width, const char *field,
                               attn_spec_error *err) {
    if (width == ATTN_UNSET || (int64_t)s->heads * width <= INT32_MAX) return ATTN_OK;
    return fail(err, field, "is too large: heads * width must be at most %d, got %d * %d",
                INT32_MAX, s->heads, width);
}

static attn_status check_sizes(const attn_spec *s, attn_spec_error *err) {
    if (s->heads % s->kv_heads)
        return fail(err, "kv_heads", "must divide heads: %d is no divisor of %d", s->kv_heads,
                    s->heads);
    if (s->heads % s->v_heads)
        return fail(err, "v_heads", "must divide heads: %d is no divisor of %d", s->v_heads,
                    s->heads);
    bool mla = s->form == ATTN_FORM_MLA;
    attn_status st = check_width(s, s->head_dim, "head_dim", err);
    if (st == ATTN_OK) st = check_width(s, s->v_dim, mla ? "kv_comp_dim" : "v_dim", err);
    if (st == ATTN_OK && mla) st = check_width(s, attn_spec_k_dim(s), "retr_dim", err);
    if (st == ATTN_OK) st = check_width(s, s->q_comp_dim, "q_comp_dim", err);
    return st;
}

/* What kernels fold into Q has to be a float, too. log2(e) of what check_value lets through is. */
static attn_status check_scores(const attn_spec *s, attn_spec_error *err) {
    if (s->softcap == ATTN_UNSET_F || is_normal(s->scale / s->softcap)) return ATTN_OK;
    return fail(
        err, "softcap",
        "is too far from scale: scale / softcap must be 0, or in magnitude from 1.18e-38 to "
        "3.4e+38, got %g / %g",
        (double)s->scale, (double)s->softcap);
}

/* One spelling of what k, v and o are stored in. */
static attn_status resolve_types(attn_spec *s, attn_spec_error *err) {
    if (s->kv_type - 1 == s->type) s->kv_type = ATTN_KV_TYPE_SAME;
    const bool layer = s->level == ATTN_LEVEL_BLOCK;
    if (layer && s->o_type != ATTN_O_TYPE_SAME)
        return fail(err, "o_type", "applies to level core only: the rows of layers are f32");
    if (s->type == ATTN_TYPE_F32) s->o_type = ATTN_O_TYPE_SAME;
    if (layer && s->type != ATTN_TYPE_F32)
        return fail(
            err, "type",
            "must be f32 in layers, whose rows are (kv_type stores keys and values alone in "
            "one of%s)",
            &kv_types[strlen("same")]);
    return ATTN_OK;
}

static void fill(int32_t *member, int32_t value) {
    if (*member == ATTN_UNSET) *member = value;
}

/* Rotation and the bits of products: as keys in i8 take them, or as all others do. */
static attn_status resolve_products(attn_spec *s, attn_spec_error *err) {
    const bool scaled = attn_spec_scaled(s);
    if (!scaled && s->dot == ATTN_DOT_F32) s->dot = ATTN_DOT_AUTO; /* one spelling */
    fill(&s->rotate, attn_rotates_unasked(s));
    if (!scaled && s->rotate)
        return fail(err, "rotate", "needs kv_type = i8: other keys are stored as they are");
    if (!scaled && s->dot != ATTN_DOT_AUTO && s->dot != ATTN_DOT_BF16)
        return fail(err, "dot", "must be f32 or bf16: i16 and i8 need kv_type = i8");
    if (scaled && s->dot == ATTN_DOT_AUTO) s->dot = ATTN_DOT_I16;
    if (s->rotate && attn_spec_k_dim(s) > ATTN_ROTATE_MOST)
        return fail(err, "rotate", "takes key rows of at most %d columns, got %d", ATTN_ROTATE_MOST,
                    attn_spec_k_dim(s));
    return ATTN_OK;
}

/* Pages have a size, and nothing else has. */
static attn_status resolve_page(attn_spec *s, attn_spec_error *err) {
    if (!attn_layout_of(s)->paged && s->page != 0)
        return fail(err, "page", "needs layout = paged: other keys lie in none");
    if (attn_layout_of(s)->paged && s->page == 0) s->page = 64;
    if (!(s->page & (s->page - 1))) return ATTN_OK;
    return fail(err, "page", "must be a power of two, got %d", s->page);
}

/* Caches of layers are dense or in pages. */
static attn_status check_layout(const attn_spec *s, attn_spec_error *err) {
    if (attn_spec_scaled(s) && !attn_layout_of(s)->scales) {
        char name[ATTN_FIELD_TEXT_MAX];
        attn_field_text(attn_field_find("layout"), s, name);
        return fail(err, "kv_type",
                    "must not be i8 with layout = %s, which has no place for its scales", name);
    }
    const bool cached = s->layout == ATTN_LAYOUT_DENSE || attn_layout_of(s)->paged;
    if (cached || s->level == ATTN_LEVEL_CORE) return ATTN_OK;
    return fail(err, "layout", "must be dense or paged in layers, whose caches are");
}

static float default_scale(const attn_spec *s) {
    return (float)(1.0 / sqrt((double)attn_spec_k_dim(s)));
}

static attn_status resolve(attn_spec *s, attn_spec_error *err) {
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        if (!attn_field_is_member(f)) continue;
        if (!attn_field_is_set(f, s)) attn_field_put_default(f, s);
        attn_status st = check_value(s, f, err);
        if (st != ATTN_OK) return st;
    }
    if (s->softcap != ATTN_UNSET_F && !(s->softcap > 0))
        return fail(err, "softcap", "must be greater than 0");
    const bool block = s->level == ATTN_LEVEL_BLOCK;
    attn_status st = block ? attn_spec_block_core(s, err) : ATTN_OK;
    if (st == ATTN_OK) st = check_required(s, err);
    if (st == ATTN_OK && s->form == ATTN_FORM_MLA) st = derive_mla(s, err);
    if (st == ATTN_OK) st = check_applies(s, err);
    if (st == ATTN_OK) st = resolve_types(s, err);
    if (st == ATTN_OK) st = resolve_products(s, err);
    if (st == ATTN_OK) st = resolve_page(s, err);
    if (st == ATTN_OK) st = check_layout(s, err);
    if (st != ATTN_OK) return st;
    fill(&s->kv_heads, s->heads);
    fill(&s->v_heads, s->kv_heads);
    fill(&s->v_dim, s->head_dim);
    st = check_sizes(s, err);
    if (st != ATTN_OK) return st;
    if (s->scale == ATTN_UNSET_F) s->scale = default_scale(s);
    s->scale += 0.0f; /* one zero: -0 would be a second name of the same kernel */
    st = check_scores(s, err);
    if (st != ATTN_OK) return st;
    return block ? attn_spec_block_rest(s, err) : ATTN_OK;
}

attn_status attn_spec_resolve(attn_spec *spec, attn_spec_error *err) {
    if (spec->struct_size != sizeof *spec) {
        fail(err, "struct_size", "is %u, and this runtime's attn_spec has %u bytes",
             (unsigned)spec->struct_size, (unsigned)sizeof *spec);
        return ATTN_E_ABI;
    }
    attn_spec s = *spec;
    attn_status st = resolve(&s, err);
    if (st == ATTN_OK) *spec = s;
    return st;
}

void attn_spec_core(const attn_spec *spec, attn_spec *core) {
    *core = *spec;
    if (spec->level == ATTN_LEVEL_CORE) return;
    for (int i = 0; i < attn_field_count; i++)
        if (attn_fields[i].applies & ATTN_IN_BLOCK) attn_field_put_default(&attn_fields[i], core);
    core->level = ATTN_LEVEL_CORE;
    if (spec->form != ATTN_FORM_MLA) return;
    core->head_dim = ATTN_UNSET; /* what only the projections see */
    core->q_comp_dim = ATTN_UNSET;
}

void attn_spec_expanded(const attn_spec *spec, attn_spec *core) {
    attn_spec_core(spec, core);
    core->form = ATTN_FORM_REGULAR;
    core->kv_type = ATTN_KV_TYPE_SAME; /* made of stored rows, and not rounded again */
    core->layout = ATTN_LAYOUT_DENSE;
    core->page = 0;
    core->rotate = 0;
    if (core->dot != ATTN_DOT_BF16) core->dot = ATTN_DOT_AUTO; /* that of keys in f32 */
    core->key = ATTN_KEY_PER_HEAD;
    core->kv_heads = core->v_heads = core->heads;
    core->head_dim = spec->head_dim + spec->retr_dim;
    core->v_dim = spec->v_head_dim;
    core->kv_comp_dim = core->retr_dim = ATTN_UNSET;
}

bool attn_spec_takes_mask(const attn_spec *spec) {
    return spec->backend == ATTN_BACKEND_SDPA;
}

bool attn_spec_takes_expressions(const attn_spec *spec) {
    return spec->backend == ATTN_BACKEND_FLEX;
}

attn_types attn_spec_types(const attn_spec *spec) {
    const int32_t same = spec->type;
    const int32_t kv = spec->kv_type == ATTN_KV_TYPE_SAME ? same : spec->kv_type - 1;
    return (attn_types){same, kv, kv, spec->o_type == ATTN_O_TYPE_F32 ? ATTN_TYPE_F32 : same};
}

bool attn_spec_one_row(const attn_spec *spec) {
    return spec->form == ATTN_FORM_MLA && spec->key == ATTN_KEY_SHARED;
}

bool attn_spec_scaled(const attn_spec *spec) {
    return attn_type_scaled(attn_spec_types(spec).k);
}

bool attn_rotates_unasked(const attn_spec *s) {
    const bool own = s->kv_type > ATTN_KV_TYPE_SAME && s->kv_type <= ATTN_TYPE_COUNT;
    return s->level == ATTN_LEVEL_BLOCK && own && attn_type_scaled(s->kv_type - 1);
}

attn_rotation attn_spec_rotation(const attn_spec *spec) {
    if (!spec->rotate) return (attn_rotation){0};
    const int32_t width = attn_spec_one_row(spec) ? spec->retr_dim : attn_spec_k_dim(spec);
    return (attn_rotation){attn_spec_k_dim(spec) - width, width & -width};
}

int32_t attn_spec_row_dim(const attn_spec *spec) {
    return attn_op_of(spec)->segments ? spec->q_dim : spec->d_model;
}

int32_t attn_spec_k_dim(const attn_spec *spec) {
    if (spec->form != ATTN_FORM_MLA) return spec->head_dim;
    return spec->key == ATTN_KEY_SHARED ? spec->kv_comp_dim + spec->retr_dim : spec->retr_dim;
}
