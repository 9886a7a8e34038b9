/* cases.c - metadata and shapes -> spec; tensors -> operands. */
#include "case_reader.h"
#include "text.h"
#include "stored.h"
#include "spec.h"
#include "op.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *meta(const reader *r, const char *key, const char *dflt) {
    const char *value = st_get(&r->file, key);
    return value ? value : dflt;
}

static bool add(reader *r, const char *field, const char *value) {
    if (r->input_count == MAX_INPUTS) return case_bad(r, field, "too many fields");
    lua_val *v = arena_alloc(r->a, sizeof *v);
    v->kind = LUA_VAL_STRING;
    v->string = value;
    r->inputs[r->input_count++] =
        (spec_input){.field = field,
                     .value = v,
                     .from_flag = true,
                     .where = arena_printf(r->a, "%s: %s", r->file.path, field)};
    return true;
}

static bool add_int(reader *r, const char *field, int64_t value) {
    return add(r, field, arena_printf(r->a, "%lld", (long long)value));
}

/* Passes a metadata key on as it is. */
static bool add_meta(reader *r, const char *key) {
    const char *value = meta(r, key, NULL);
    return !value || add(r, key, value);
}

/* --- Shapes --- */

static bool read_shapes(reader *r) {
    const st_tensor *q = case_need(r, "in.q", 4), *k = q ? case_need(r, "in.k", 4) : NULL;
    if (!k) return false;
    r->batch = k->dim[0], r->heads = q->dim[1], r->q_len = q->dim[2], r->k_dim = q->dim[3];
    r->q_items = q->dim[0], r->q_rows = q->dim[2];
    if (!case_read_begin(r)) return false;
    if (!r->q_begin && r->q_items != r->batch)
        return case_bad(r, "in.q", "must have as many items as in.k, or in.q_begin");
    r->kv_heads = k->dim[1], r->kv_len = k->dim[2];
    int64_t k_shape[] = {r->batch, r->kv_heads, r->kv_len, r->k_dim};
    if (!case_has_shape(r, k, 4, k_shape)) return false;
    const st_tensor *v = st_find(&r->file, "in.v"), *o = case_need(r, "out.o", 4);
    if (!o) return false;
    r->v_dim = o->dim[3];
    int64_t o_shape[] = {r->q_items, r->heads, r->q_rows, r->v_dim};
    if (!case_has_shape(r, o, 4, o_shape)) return false;
    r->v_heads = v && v->rank == 4 ? v->dim[1] : 1;
    if (!v) return r->shared || case_bad(r, "in.v", "missing");
    int64_t v_shape[] = {r->batch, r->v_heads, r->kv_len, r->v_dim};
    return case_has_shape(r, v, 4, v_shape);
}

/* --- Spec --- */

/* A number, or 1/sqrt(head_dim), or 1/sqrt(retr_dim). */
static bool add_scale(reader *r) {
    const char *scale = meta(r, "scale", NULL);
    if (!scale) return true;
    const char *head_dim = r->mla ? meta(r, "head_dim", NULL) : NULL;
    const bool by_head = strcmp(scale, "1/sqrt(head_dim)") == 0;
    if (!by_head && strcmp(scale, "1/sqrt(retr_dim)") != 0) return add(r, "scale", scale);
    double width = (double)(!by_head && r->shared ? r->k_dim - r->v_dim : r->k_dim);
    if (by_head && head_dim) width = strtod(head_dim, NULL);
    return add(r, "scale", arena_printf(r->a, "%.9g", 1 / sqrt(width)));
}

static bool add_dims(reader *r) {
    if (!add_int(r, "heads", r->heads)) return false;
    if (!r->mla)
        return add_int(r, "kv_heads", r->kv_heads) && add_int(r, "v_heads", r->v_heads) &&
               add_int(r, "head_dim", r->k_dim) && add_int(r, "v_dim", r->v_dim);
    int64_t retr_dim = r->shared ? r->k_dim - r->v_dim : r->k_dim;
    int64_t want_heads = r->shared ? 1 : r->heads;
    if (r->kv_heads != want_heads)
        return case_bad(
            r, "in.k",
            arena_printf(r->a, "an mla key of this kind has %lld heads", (long long)want_heads));
    if (r->v_heads != 1) return case_bad(r, "in.v", "an mla value has one head");
    if (!add_int(r, "kv_comp_dim", r->v_dim) || !add_int(r, "retr_dim", retr_dim)) return false;
    return add_meta(r, "key") && add_meta(r, "q_comp_dim") && add_meta(r, "head_dim");
}

static bool add_bool(reader *r, const char *key) {
    const char *value = meta(r, key, NULL);
    if (!value) return true;
    if (strcmp(value, "True") == 0) value = "true";
    if (strcmp(value, "False") == 0) value = "false";
    return add(r, key, value);
}

/* Calls item on each part of "a;b;c", blanks trimmed. */
static bool each_part(reader *r, const char *key, bool (*item)(reader *r, const char *part)) {
    const char *text = meta(r, key, "");
    while (*text) {
        size_t n = strcspn(text, ";"), from = strspn(text, " ");
        size_t to = n;
        while (to > from && text[to - 1] == ' ') to--;
        if (to > from && !item(r, arena_strndup(r->a, text + from, to - from))) return false;
        text += n + (text[n] == ';');
    }
    return true;
}

static bool add_tensor(reader *r, const char *part) {
    return add(r, "tensor", part);
}

static bool add_scalar(reader *r, const char *part) {
    const char *equals = strchr(part, '=');
    if (!equals || !equals[1] || r->scalar_count == MAX_SCALARS)
        return case_bad(r, "scalars", "must read name=value;...");
    named_scalar *s = &r->scalars[r->scalar_count++];
    size_t n = (size_t)(equals - part);
    while (n && part[n - 1] == ' ') n--;
    s->name = arena_strndup(r->a, part, n);
    char *end;
    bool is_float = strpbrk(equals + 1, ".eEn") != NULL; /* inf, nan */
    if (is_float)
        s->value.f32 = strtof(equals + 1, &end);
    else
        s->value.i32 = (int32_t)strtol(equals + 1, &end, 10);
    if (*end)
        return case_bad(r, "scalars",
                        arena_printf(r->a, "not a number: %s", text_shown(r->a, part)));
    return add(r, "scalar", arena_printf(r->a, "%s=%s", s->name, is_float ? "f32" : "i32"));
}

static bool add_fields(reader *r) {
    bool cross = strcmp(meta(r, "op", ""), "segment_cross") == 0;
    if (!meta(r, "op", NULL)) return case_bad(r, "op", "missing in __metadata__");
    if (!add(r, "form", meta(r, "form", "regular")) || !add_meta(r, "op")) return false;
    if (!add_dims(r) || !add_scale(r)) return false;
    if (!cross && !add_bool(r, "causal")) return false; /* causal does not apply to cross */
    if (!add_meta(r, "window") || !add_meta(r, "right_window") || !add_meta(r, "lookback"))
        return false;
    if (!add_meta(r, "softcap") || !add_meta(r, "score") || !add_meta(r, "mask")) return false;
    if (!add_meta(r, "type") || !add_meta(r, "kv_type") || !add_meta(r, "o_type")) return false;
    if (!add_bool(r, "rotate") || !add_meta(r, "dot") || !add_meta(r, "layout")) return false;
    if (!add_meta(r, "page") || !add_meta(r, "select")) return false;
    if (st_find(&r->file, "in.sinks") && !add(r, "sinks", "true")) return false;
    return each_part(r, "tensors", add_tensor) && each_part(r, "scalars", add_scalar);
}

static bool build_specs(reader *r, unsigned backends) {
    bool mask = st_find(&r->file, "in.attn_mask") != NULL;
    bool expr = meta(r, "score", NULL) || meta(r, "mask", NULL) || meta(r, "tensors", NULL) ||
                meta(r, "scalars", NULL);
    if (mask && expr)
        return case_bad(r, "in.attn_mask", "no backend takes it along with expressions");
    const bool can[2] = {[ATTN_BACKEND_SDPA] = !expr, [ATTN_BACKEND_FLEX] = !mask};
    const char *names[2] = {[ATTN_BACKEND_SDPA] = "sdpa", [ATTN_BACKEND_FLEX] = "flex"};
    /* A backend is a wish, and every one that can express the case must reproduce it; but a case
     * that names a kernel is that kernel's. */
    const char *only = meta(r, "kernel", NULL) ? meta(r, "backend", NULL) : NULL;
    if (only && strcmp(only, "sdpa") != 0 && strcmp(only, "flex") != 0)
        return case_bad(r, "backend", "must be sdpa or flex");
    int own = r->input_count;
    for (int b = 0; b < 2; b++) {
        r->out->able[b] = can[b] && (backends >> b & 1) && (!only || !strcmp(only, names[b]));
        if (!r->out->able[b]) continue;
        r->input_count = own;
        if (!add(r, "backend", names[b])) return false;
        if (!kernel_spec_build(r->a, r->inputs, r->input_count, r->file.path, &r->out->spec[b],
                               r->d))
            return false;
    }
    return true;
}

/* --- Operands --- */

/* The spec of a backend that can express the case, or null. */
static const attn_spec *some_spec(const golden *g) {
    if (g->able[ATTN_BACKEND_SDPA]) return &g->spec[ATTN_BACKEND_SDPA].core;
    return g->able[ATTN_BACKEND_FLEX] ? &g->spec[ATTN_BACKEND_FLEX].core : NULL;
}

/* What operands are stored in: all backends agree. */
static attn_types types_of(const golden *g) {
    const attn_spec *s = some_spec(g);
    return s ? attn_spec_types(s) : (attn_types){0};
}

static bool optional_stored(reader *r, const char *name, int32_t type, const int64_t *dim,
                            const void **out) {
    const st_tensor *t = st_find(&r->file, name);
    if (!t) return true;
    if (!case_has_shape(r, t, 4, dim)) return false;
    const bool own = strcmp(name, "in.q") != 0 && meta(r, "kv_type", NULL);
    const bool stated = own || meta(r, "type", NULL);
    return (*out = stored_read(r->a, &r->file, t, type, stated, r->d)) != NULL;
}

static bool read_padding(reader *r, call *c) {
    const int64_t dim[] = {r->batch, r->kv_len};
    return case_bools(r, "in.key_padding_mask", 2, dim, &c->key_padding);
}

static bool read_mask(reader *r, call *c) {
    const st_tensor *t = st_find(&r->file, "in.attn_mask");
    if (!t) return true;
    if (t->rank < 1 || t->rank > 4) return case_bad(r, t->name, "its rank must be 1 to 4");
    c->mask_type = st_is_float(t) ? ATTN_MASK_F32 : ATTN_MASK_BOOL;
    c->mask_rank = t->rank;
    for (int i = 0; i < t->rank; i++) c->mask_dim[i] = t->dim[i];
    c->mask = st_is_float(t) ? (const void *)st_floats(r->a, &r->file, t, r->d)
                             : st_bools(r->a, &r->file, t, r->d);
    return c->mask != NULL;
}

/* in.index [B, Hk, Lq, n], of which each row has in.index_count [B, Lq]. */
static bool read_index(reader *r, call *c) {
    const st_tensor *t = st_find(&r->file, "in.index");
    if (!t) return true;
    const int64_t each = t->rank == 4 ? t->dim[3] : 0, rows[] = {r->q_items, r->q_rows};
    const int64_t dim[] = {r->q_items, r->kv_heads, r->q_rows, each};
    if (!case_need(r, "in.index_count", 2) || !case_ints(r, "in.index", 4, dim, &c->index) ||
        !case_ints(r, "in.index_count", 2, rows, &c->index_count))
        return false;
    c->index_each = (int32_t)each;
    for (int64_t i = 0; i < r->q_items * r->q_rows; i++)
        if (c->index_count[i] < 0 || c->index_count[i] > each)
            return case_bad(r, "in.index_count", "must be 0 to the width of in.index");
    return true;
}

/* in.q_position [B, Lq]; in.k_position [B, n], of which an item has in.tail [B]. */
static bool read_places(reader *r, call *c) {
    const st_tensor *t = st_find(&r->file, "in.k_position");
    const int64_t most = t && t->rank == 2 ? t->dim[1] : 0, tails[] = {r->batch, most};
    const int64_t rows[] = {r->q_items, r->q_rows};
    if (!case_ints(r, "in.q_position", 2, rows, &c->q_position)) return false;
    if (!t && !st_find(&r->file, "in.tail")) return true;
    if (!case_need(r, "in.tail", 1) || !case_need(r, "in.k_position", 2) ||
        !case_ints(r, "in.tail", 1, tails, &c->tail) ||
        !case_ints(r, "in.k_position", 2, tails, &c->k_position))
        return false;
    c->tail_most = (int32_t)most;
    for (int64_t b = 0; b < r->batch; b++)
        if (c->tail[b] < 0 || c->tail[b] > most)
            return case_bad(r, "in.tail", "must be 0 to the width of in.k_position");
    return true;
}

static bool read_lengths(reader *r, call *c) {
    const int64_t batch[] = {r->batch}, rows[] = {r->q_items, r->q_rows};
    if (!case_ints(r, "in.kv_len", 1, batch, &c->kv_len)) return false;
    for (int64_t b = 0; c->kv_len && b < r->batch; b++)
        if (c->kv_len[b] < 0 || c->kv_len[b] > r->kv_len)
            return case_bad(r, "in.kv_len", "must be 0 to the length of in.k");
    if (!case_ints(r, "in.seg_id", 2, rows, &c->seg) || !read_index(r, c)) return false;
    return case_ints(r, "in.q_start", 1, batch, &c->q_start) && read_places(r, c);
}

static bool read_scales(reader *r, const char *name, int64_t heads, bool wanted,
                        const float **out) {
    const int64_t dim[] = {r->batch, heads, r->kv_len};
    const int64_t pools[] = {r->pages.count, heads, r->pages.page};
    return stored_read_scales(r->a, &r->file, name, dim, r->pages.pages ? pools : dim, wanted, out,
                              r->d);
}

static bool in_rows_of_k(const reader *r, const call *c, int32_t type) {
    return stored_in_rows(type, c->v, r->v_dim, c->k, r->k_dim, r->batch * r->kv_heads * r->kv_len);
}

/* Where V lies in rows of K, their scales serve both; V may be there to be the same. */
static bool drop_v(reader *r, call *c, int32_t type) {
    const float *own = c->k_scale;
    const bool given = st_find(&r->file, "in.v_scale");
    if (given && !read_scales(r, "in.v_scale", 1, true, &own)) return false;
    if (memcmp(own, c->k_scale, (size_t)(r->batch * r->kv_len) * sizeof *own))
        return case_bad(r, "in.v_scale", "must be in.k_scale or left out, as key = shared says");
    if (c->v && !in_rows_of_k(r, c, type))
        return case_bad(r, "in.v",
                        "must be in.k's first columns or left out, as key = shared says");
    c->v = NULL;
    return true;
}

static bool read_v_scales(reader *r, call *c, int32_t type) {
    const bool scaled = attn_type_scaled(type);
    if (scaled && r->shared) return drop_v(r, c, type);
    return read_scales(r, "in.v_scale", r->v_heads, scaled, &c->v_scale);
}

static bool read_operands(reader *r, call *c) {
    const int64_t q[] = {r->q_items, r->heads, r->q_rows, r->k_dim};
    const int64_t k[] = {r->batch, r->kv_heads, r->kv_len, r->k_dim};
    const int64_t v[] = {r->batch, r->v_heads, r->kv_len, r->v_dim};
    c->batch = (int32_t)r->batch;
    c->q_len = (int32_t)r->q_len;
    c->q_begin = r->q_begin;
    c->kv_len_max = (int32_t)r->kv_len;
    const attn_types type = types_of(r->out);
    return optional_stored(r, "in.q", type.q, q, &c->q) &&
           optional_stored(r, "in.k", type.k, k, &c->k) &&
           optional_stored(r, "in.v", type.v, v, &c->v) &&
           read_scales(r, "in.k_scale", r->kv_heads, attn_type_scaled(type.k), &c->k_scale) &&
           read_v_scales(r, c, type.v) && case_floats(r, "in.sinks", 1, q + 1, &c->sinks) &&
           read_lengths(r, c) && read_padding(r, c) && read_mask(r, c);
}

static bool read_side(reader *r, call *c) {
    const kernel_spec *spec = c->spec;
    attn_side *side = arena_alloc(r->a, (size_t)(spec->tensor_count + 1) * sizeof *side);
    for (int i = 0; i < spec->tensor_count; i++) {
        const attn_side_decl *decl = &spec->tensors[i];
        const char *name = arena_printf(r->a, "side.%s", decl->name);
        const st_tensor *t = st_find(&r->file, name);
        if (!t) return case_bad(r, name, "missing");
        side[i].count = t->count;
        if (t->count != call_side_count(c, i))
            return case_bad(r, name, "its shape does not fit its declaration");
        side[i].data = decl->is_float ? (const void *)st_floats(r->a, &r->file, t, r->d)
                                      : st_ints(r->a, &r->file, t, r->d);
        if (!side[i].data) return false;
    }
    c->side = side;
    return true;
}

/* In the order of the spec, which may differ from the case's. */
static void read_scalars(reader *r, call *c) {
    const kernel_spec *spec = c->spec;
    attn_scalar *out = arena_alloc(r->a, (size_t)(spec->scalar_count + 1) * sizeof *out);
    for (int i = 0; i < spec->scalar_count; i++)
        for (int j = 0; j < r->scalar_count; j++)
            if (strcmp(spec->scalars[i].name, r->scalars[j].name) == 0)
                out[i] = r->scalars[j].value;
    c->scalars = out;
}

static bool read_problems(reader *r) {
    call base = {.pages = r->pages.pages, .page_count = r->pages.count};
    if (!read_operands(r, &base)) return false;
    for (int b = 0; b < 2; b++) {
        if (!r->out->able[b]) continue;
        r->out->problem[b] = base;
        r->out->problem[b].spec = &r->out->spec[b];
        if (!read_side(r, &r->out->problem[b])) return false;
        read_scalars(r, &r->out->problem[b]);
    }
    return true;
}

static bool v_in_k(const reader *r, const call *c) {
    if (!c->v) return true;
    if (r->kv_heads != r->v_heads || r->v_dim > r->k_dim) return false;
    const attn_types type = types_of(r->out);
    if (type.v != type.k || attn_type_scaled(type.v)) return false;
    return in_rows_of_k(r, c, type.v);
}

/* out.NAME, if it is there. */
static bool read_expected(reader *r, const char *name, int rank, const int64_t *dim,
                          expected *out) {
    *out = (expected){.name = name, .rank = rank};
    for (int i = 0; i < rank; i++) out->dim[i] = dim[i];
    return case_floats(r, arena_printf(r->a, "out.%s", name), rank, dim, &out->data);
}

static bool read_answer(reader *r) {
    const int64_t dim[] = {r->q_items, r->heads, r->q_rows, r->v_dim};
    golden *g = r->out;
    if (!read_expected(r, "o", 4, dim, &g->o)) return false;
    if (!read_expected(r, "lse", 3, dim, &g->lse)) return false;
    for (int b = 0; b < 2; b++)
        if (g->able[b]) g->v_in_k = v_in_k(r, &g->problem[b]);
    return true;
}

static bool read_tolerance(reader *r) {
    golden *g = r->out;
    char *end;
    const char *tolerance = meta(r, "tolerance", "1e-5");
    g->tolerance = strtod(tolerance, &end);
    if (*end || !(g->tolerance >= 0)) return case_bad(r, "tolerance", "must be a number");
    return true;
}

/* --- Layers --- */

/* in.x (self) or in.q (cross), [batch, rows, width]. */
static const st_tensor *query_rows(reader *r) {
    return case_need(r, st_find(&r->file, "in.q") ? "in.q" : "in.x", 3);
}

static bool read_block_shapes(reader *r) {
    const st_tensor *x = query_rows(r);
    const st_tensor *kv = st_find(&r->file, "in.kv"), *next = st_find(&r->file, "in.x_new");
    if (!x || (kv && !case_need(r, "in.kv", 3)) || (next && !case_need(r, "in.x_new", 3)))
        return false;
    if (kv && next) return case_bad(r, "in.x_new", "belongs to layers whose keys come from in.x");
    r->batch = x->dim[0];
    r->new_len = next ? next->dim[1] : 0;
    r->q_len = x->dim[1] + r->new_len;
    r->kv_len = kv ? kv->dim[1] : r->q_len;
    return true;
}

/* Factors of scores in words; null: a number. */
static const char *scale_width(const char *scale) {
    if (strcmp(scale, "1/sqrt(head_dim)") == 0) return "head_dim";
    return strcmp(scale, "1/sqrt(retr_dim)") == 0 ? "retr_dim" : NULL;
}

static bool add_block_scale(reader *r, const char *scale) {
    const char *field = scale_width(scale), *width = field ? meta(r, field, NULL) : NULL;
    if (!field) return add(r, "scale", scale);
    /* What is not given follows from other widths, and is the default then. */
    if (!width && !r->mla) return true;
    if (!width) return case_bad(r, field, "is needed for the scale");
    return add(r, "scale", arena_printf(r->a, "%.9g", 1 / sqrt(strtod(width, NULL))));
}

/* Every field of the spec by its name; what is none of them describes the case. */
static bool add_block_field(reader *r, const st_meta *m) {
    const attn_field *f = attn_field_find(m->key);
    if (r->page && (!strcmp(m->key, "layout") || !strcmp(m->key, "page"))) return true;
    if (!f || strcmp(m->key, "backend") == 0) return true;
    if (strcmp(m->key, "scale") == 0) return add_block_scale(r, m->value);
    return f->kind == ATTN_KIND_BOOL ? add_bool(r, m->key) : add(r, m->key, m->value);
}

static bool add_block_fields(reader *r) {
    for (int i = 0; i < r->file.meta_count; i++)
        if (!add_block_field(r, &r->file.meta[i])) return false;
    if (!meta(r, "op", NULL)) return case_bad(r, "op", "missing in __metadata__");
    if (r->page && (!add(r, "layout", "paged") || !add(r, "page", r->page))) return false;
    if (!meta(r, "sinks", NULL) && st_find(&r->file, "w.sinks") && !add(r, "sinks", "true"))
        return false;
    return each_part(r, "tensors", add_tensor) && each_part(r, "scalars", add_scalar);
}

/* The rows of in.x and in.x_new, one after the other in each item. */
static bool read_x(reader *r, int32_t width, block_case *c) {
    const st_tensor *x = query_rows(r), *next = st_find(&r->file, "in.x_new");
    const int64_t old_len = r->q_len - r->new_len;
    if (!case_has_shape(r, x, 3, (const int64_t[]){r->batch, old_len, width})) return false;
    const float *old = st_floats(r->a, &r->file, x, r->d), *new_rows = NULL;
    const int64_t dim[] = {r->batch, r->new_len, width};
    if (!old || !case_floats(r, "in.x_new", 3, dim, &new_rows)) return false;
    c->x = old;
    if (!next) return true;
    float *all = arena_alloc(r->a, (size_t)(r->batch * r->q_len * width) * sizeof *all + 1);
    const size_t old_size = (size_t)(old_len * width), new_size = (size_t)(r->new_len * width);
    for (int64_t b = 0; b < r->batch; b++) {
        float *item = all + b * r->q_len * width;
        memcpy(item, old + (size_t)b * old_size, old_size * sizeof *all);
        memcpy(item + old_size, new_rows + (size_t)b * new_size, new_size * sizeof *all);
    }
    c->x = all;
    return true;
}

/* Positions of rows: [batch, count], or [count] for all items. */
static bool read_positions(reader *r, const char *name, int64_t count, const int32_t **out) {
    const st_tensor *t = st_find(&r->file, name);
    const int64_t dim[] = {r->batch, count};
    if (!t || t->rank == 2) return case_ints(r, name, 2, dim, out);
    const int32_t *one = NULL;
    if (!case_ints(r, name, 1, dim + 1, &one)) return false;
    int32_t *all = arena_alloc(r->a, (size_t)(r->batch * count) * sizeof *all + 1);
    for (int64_t i = 0; i < r->batch * count; i++) all[i] = one[i % count];
    *out = all;
    return true;
}

static bool read_lengths_of_x(reader *r, block_case *c) {
    const int64_t batch[] = {r->batch};
    if (!case_ints(r, "in.length", 1, batch, &c->length)) return false;
    for (int64_t b = 0; c->length && b < r->batch; b++)
        if (c->length[b] < 0 || c->length[b] > r->q_len)
            return case_bad(r, "in.length", "must be 0 to the number of rows");
    const char *start = meta(r, "pos_start", NULL);
    if (!start) return true;
    char *end;
    const long first = strtol(start, &end, 10);
    if (*end || !*start || first < 0 || first > INT32_MAX)
        return case_bad(r, "pos_start", "must be an integer");
    if (r->new_len && first != r->q_len - r->new_len)
        return case_bad(r, "pos_start", "must be the number of rows of in.x");
    if (!r->new_len) c->position = (int32_t)first;
    return true;
}

static bool read_block_inputs(reader *r, const attn_spec *s, block_case *c) {
    const int64_t rows[] = {r->batch, r->q_len}, keys[] = {r->batch, r->kv_len};
    c->batch = (int32_t)r->batch;
    c->tokens = (int32_t)r->q_len;
    if (!read_x(r, block_width(s), c) || !read_lengths_of_x(r, c)) return false;
    if (s->kv_dim != ATTN_UNSET) {
        const st_tensor *kv = case_need(r, "in.kv", 3);
        const int64_t dim[] = {r->batch, r->kv_len, s->kv_dim};
        if (!kv || !case_floats(r, "in.kv", 3, dim, &c->kv)) return false;
        c->kv_tokens = (int32_t)r->kv_len;
    }
    if (attn_op_of(s)->segments && !case_need(r, "in.seg_id", 2)) return false;
    return case_ints(r, "in.seg_id", 2, rows, &c->seg) &&
           read_positions(r, "in.q_pos_ids", r->q_len, &c->q_pos) &&
           read_positions(r, "in.kv_pos_ids", r->kv_len, &c->kv_pos) &&
           case_bools(r, "in.q_pad_mask", 2, rows, &c->q_pad) &&
           case_bools(r, "in.key_padding_mask", 2, keys, &c->key_padding) &&
           (c->key_padding || case_bools(r, "in.kv_mask", 2, keys, &c->key_padding));
}

/* in.index [B, Hk, rows, n], of which each row has in.index_count [B, rows]. */
static bool read_block_lists(reader *r, const attn_spec *s, call *c) {
    r->q_items = r->batch, r->q_rows = r->q_len, r->kv_heads = s->kv_heads;
    if (s->select == ATTN_SELECT_INDEX && !case_need(r, "in.index", 4)) return false;
    return read_index(r, c);
}

static bool read_blocks(reader *r, const attn_spec *s) {
    golden *g = r->out;
    block_case base = {0};
    call extents = {
        .batch = (int32_t)r->batch, .q_len = (int32_t)r->q_len, .kv_len_max = (int32_t)r->kv_len};
    if (!read_block_inputs(r, s, &base) || !case_weights(r, &base)) return false;
    if (!read_mask(r, &extents) || !read_block_lists(r, s, &extents)) return false;
    base.index = extents.index, base.index_count = extents.index_count;
    base.index_each = extents.index_each;
    for (int b = 0; b < 2; b++) {
        if (!g->able[b]) continue;
        call *c = &g->problem[b];
        *c = extents;
        c->spec = &g->spec[b];
        if (!read_side(r, c)) return false;
        read_scalars(r, c);
        g->block[b] = base;
        g->block[b].spec = &g->spec[b];
        g->block[b].side = c->side;
        g->block[b].scalars = c->scalars;
        if (!c->mask) continue;
        attn_mask *mask = arena_alloc(r->a, sizeof *mask);
        *mask = call_dense_mask(c);
        g->block[b].mask = mask;
    }
    return true;
}

/* Rows that the reference leaves as they come although they are padding: ours are 0 (contract). */
static void zero_padded_rows(reader *r, const uint8_t *q_pad, int32_t width) {
    const char *zeroed = meta(r, "q_pad_zeroed", "True");
    if (!q_pad || strcmp(zeroed, "False") != 0) return;
    float *y = arena_alloc(r->a, (size_t)(r->batch * r->q_len * width) * sizeof *y + 1);
    for (int64_t i = 0; i < r->batch * r->q_len * width; i++)
        y[i] = q_pad[i / width] ? 0 : r->out->y.data[i];
    r->out->y.data = y;
}

/* Caches: rotated keys and values, under the reference's names for mla. */
static bool read_caches(reader *r, const attn_spec *s) {
    golden *g = r->out;
    const int64_t n = r->kv_len, k_dim = attn_spec_k_dim(s);
    if (r->shared)
        return read_expected(r, "cache_k", 3, (const int64_t[]){r->batch, n, k_dim}, &g->cache_k);
    const int64_t k[] = {r->batch, s->kv_heads, n, k_dim}, kv_c[] = {r->batch, n, s->v_dim};
    const int64_t v[] = {r->batch, s->v_heads, n, s->v_dim};
    if (r->mla)
        return read_expected(r, "cache_k_r", 4, k, &g->cache_k) &&
               read_expected(r, "cache_kv_c", 3, kv_c, &g->cache_v);
    return read_expected(r, "cache_k", 4, k, &g->cache_k) &&
           read_expected(r, "cache_v", 4, v, &g->cache_v);
}

/* out.y_open [B, rows]: rows whose choice of experts is nearly another one. */
static bool read_open(reader *r, const char *name, const int64_t *dim) {
    const uint8_t *open = NULL;
    if (!case_bools(r, arena_printf(r->a, "out.%s_open", name), 2, dim, &open)) return false;
    if (!open) return true;
    bool *skip = arena_alloc(r->a, (size_t)(dim[0] * dim[1]) + 1);
    for (int64_t i = 0; i < dim[0] * dim[1]; i++) skip[i] = open[i] != 0;
    r->out->y_open = skip;
    return true;
}

static bool read_block_answer(reader *r, const attn_spec *s, const uint8_t *q_pad) {
    golden *g = r->out;
    const int64_t shown = r->new_len ? r->new_len : r->q_len;
    const int64_t dim[] = {r->batch, shown, block_width(s)};
    const char *name = r->new_len ? "y_new" : "y";
    g->prefill = (int32_t)(r->q_len - r->new_len);
    if (!case_need(r, arena_printf(r->a, "out.%s", name), 3)) return false;
    if (!read_expected(r, name, 3, dim, &g->y) || !read_open(r, name, dim) || !read_caches(r, s))
        return false;
    zero_padded_rows(r, q_pad, block_width(s));
    return true;
}

static bool read_block(reader *r, unsigned backends) {
    golden *g = r->out;
    g->is_block = true;
    if (!read_block_shapes(r) || !add_block_fields(r) || !build_specs(r, backends)) return false;
    const attn_spec *s = some_spec(g);
    if (!s) return true;
    const int b = g->able[ATTN_BACKEND_SDPA] ? ATTN_BACKEND_SDPA : ATTN_BACKEND_FLEX;
    return read_blocks(r, s) && read_block_answer(r, s, g->block[b].q_pad) && read_tolerance(r);
}

bool golden_read(arena *a, const char *path, unsigned backends, const char *page, golden *out,
                 diag *d) {
    *out = (golden){.path = path};
    reader *r = arena_alloc(a, sizeof *r);
    r->a = a, r->d = d, r->out = out, r->page = page;
    if (!st_read(a, path, &r->file, d) || !case_pages_read(a, &r->file, &r->pages, d)) return false;
    out->name = text_shown(r->a, meta(r, "case", path));
    const char *level = meta(r, "level", "core"), *form = meta(r, "form", "regular");
    if (strcmp(level, "core") != 0 && strcmp(level, "block") != 0)
        return case_bad(r, "level", "must be core or block");
    r->mla = strcmp(form, "mla") == 0;
    r->shared = r->mla && strcmp(meta(r, "key", "per_head"), "shared") == 0;
    if (strcmp(level, "block") == 0) return read_block(r, backends);
    if (page) return case_bad(r, "level", "must be block with --page: keys of cores lie in files");
    if (!read_shapes(r) || !add_fields(r) || !build_specs(r, backends)) return false;
    if (!some_spec(out)) return true;
    return read_problems(r) && read_answer(r) && read_tolerance(r);
}
