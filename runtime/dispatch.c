/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* dispatch.c - checked calls of a plan: sizes, workspaces, runs. */
#include "dispatch.h"
#include "check.h"
#include "layout.h"
#include "lists.h"
#include "mode.h"
#include "op.h"
#include "pages.h"
#include "reference.h"
#include "spec.h"
#include "types.h"

/* Extents whose products stay far inside 64 bits. */
static attn_status check_extents(const attn_why *why, const attn_kernel *k, int32_t batch,
                                 int32_t q_len, int32_t kv_len_max, int32_t threads) {
    attn_status status = attn_check_range(why, "batch", batch, INT32_MAX);
    if (status == ATTN_OK) status = attn_check_range(why, "q_len", q_len, INT32_MAX);
    if (status == ATTN_OK) status = attn_check_range(why, "kv_len_max", kv_len_max, INT32_MAX);
    if (status == ATTN_OK) status = attn_check_threads(why, threads);
    if (status != ATTN_OK) return status;
    const double rows = (double)batch * k->spec->heads;
    const double longest = q_len > kv_len_max ? q_len : kv_len_max;
    const double size = rows * longest * (attn_spec_k_dim(k->spec) + k->spec->v_dim);
    if (size < 1e15) return ATTN_OK;
    return attn_refuse(why, ATTN_E_ARGUMENT,
                       "batch is %d and %s is %d: a tensor would have %.1e elements; must be fewer "
                       "than 1e15",
                       batch, q_len > kv_len_max ? "q_len" : "kv_len_max", (int32_t)longest, size);
}

uint64_t attn_plan_workspace(const attn_plan *plan, const attn_extent *e) {
    if (check_extents(NULL, plan->kernel, e->batch, e->q_len, e->kv_len_max, e->threads) != ATTN_OK)
        return UINT64_MAX;
    return plan->reference ? attn_reference_workspace(e) : plan->kernel->workspace(e);
}

/* Extents of a call whose workspace can exist. */
static attn_status check_workspace(const attn_why *why, const attn_plan *plan,
                                   const attn_extent *e) {
    const attn_status status =
        check_extents(why, plan->kernel, e->batch, e->q_len, e->kv_len_max, e->threads);
    if (status != ATTN_OK) return status;
    const int64_t most = (int64_t)e->batch * e->q_len;
    if (e->rows < 0 || e->rows > most)
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "extent.rows is %d: must be from 0 to batch * q_len = %lld", e->rows,
                           (long long)most);
    return attn_check_fits(why, "the workspace", attn_plan_workspace(plan, e));
}

/* *e: the caller's extents, of this library's size. */
static attn_status check_extent(const attn_why *why, const attn_plan *plan,
                                const attn_extent *extent, attn_extent *e) {
    if (!plan) return attn_refuse(why, ATTN_E_ARGUMENT, "plan is null");
    if (!extent) return attn_refuse(why, ATTN_E_ARGUMENT, "extent is null");
    static const size_t before[] = {offsetof(attn_extent, rows), 0};
    const attn_status status =
        attn_check_grown(why, "extent", extent, before, e, sizeof *e, "{sizeof extent, ..}");
    return status == ATTN_OK ? check_workspace(why, plan, e) : status;
}

attn_status attn_extent_check(const attn_plan *plan, const attn_extent *extent, char *message,
                              size_t size) {
    const attn_why why = attn_why_begin(message, size);
    attn_extent e;
    return check_extent(&why, plan, extent, &e);
}

attn_status attn_own_workspace(const attn_plan *plan, const attn_extent *extent, size_t *bytes) {
    if (!bytes) return ATTN_E_ARGUMENT;
    *bytes = 0;
    attn_extent e;
    const attn_status status = check_extent(NULL, plan, extent, &e);
    if (status == ATTN_OK) *bytes = (size_t)attn_plan_workspace(plan, &e);
    return status;
}

attn_status attn_workspace(const attn_plan *plan, const attn_extent *extent, size_t *bytes) {
    return attn_own_workspace(plan, extent, bytes);
}

attn_status attn_own_sizes(const attn_plan *plan, const attn_extent *extent, attn_size *size) {
    if (!size) return ATTN_E_ARGUMENT;
    *size = (attn_size){0};
    attn_extent e;
    const attn_status status = check_extent(NULL, plan, extent, &e);
    if (status != ATTN_OK) return status;
    size->workspace = (size_t)attn_plan_workspace(plan, &e);
    const attn_spec *spec = plan->kernel->spec;
    const int64_t batch = e.batch, queries = spec->heads * attn_extent_rows(&e);
    const int64_t keys = batch * attn_layout_rows(spec, e.kv_len_max);
    const int64_t d = attn_spec_k_dim(spec);
    size->q = queries * d;
    size->k = keys * spec->kv_heads * d;
    size->v = keys * spec->v_heads * spec->v_dim;
    size->o = queries * spec->v_dim;
    size->lse = queries;
    return ATTN_OK;
}

attn_status attn_sizes(const attn_plan *plan, const attn_extent *extent, attn_size *size) {
    return attn_own_sizes(plan, extent, size);
}

attn_status attn_key_sizes(const attn_plan *plan, const attn_extent *extent, attn_key_size *size) {
    if (!size) return ATTN_E_ARGUMENT;
    *size = (attn_key_size){0};
    attn_extent e;
    const attn_status status = check_extent(NULL, plan, extent, &e);
    if (status != ATTN_OK) return status;
    const attn_spec *spec = plan->kernel->spec;
    const int64_t keys = e.batch * attn_layout_rows(spec, e.kv_len_max);
    if (attn_spec_scaled(spec)) {
        size->k_scale = keys * spec->kv_heads;
        size->v_scale = attn_spec_one_row(spec) ? 0 : keys * spec->v_heads;
    }
    size->pages = (int64_t)e.batch * attn_layout_pages(spec, e.kv_len_max);
    return ATTN_OK;
}

/* --- Checks: each with its sentence --- */

static bool has_rows(const attn_args *a) {
    return attn_lined_rows(a) > 0 && a->batch > 0;
}

/* A tensor [batch, heads, length, width] that has elements. */
static attn_status check_data(const attn_why *why, const char *name, const void *data, int32_t type,
                              int32_t batch, int32_t heads, int32_t length, int32_t width) {
    if (data) return ATTN_OK;
    return attn_refuse(why, ATTN_E_ARGUMENT,
                       "%s.data is null: must hold %s, [batch, heads, length, width] = [%d, "
                       "%d, %d, %d]",
                       name, type == ATTN_TYPE_F32 ? "floats" : attn_type_get(type).name, batch,
                       heads, length, width);
}

/* Tensors that a layer would make. */
static attn_status check_tensors(const attn_why *why, const attn_kernel *k, const attn_args *a) {
    const attn_spec *s = k->spec;
    const bool queries = has_rows(a), keys = queries && a->kv_len_max > 0;
    const int32_t d = attn_spec_k_dim(s);
    const attn_types type = attn_spec_types(s);
    attn_status status = ATTN_OK;
    if (queries) status = check_data(why, "q", a->q.data, type.q, a->batch, s->heads, a->q_len, d);
    if (keys && status == ATTN_OK)
        status = check_data(why, "k", a->k.data, type.k, a->batch, s->kv_heads, a->kv_len_max, d);
    if (keys && status == ATTN_OK)
        status =
            check_data(why, "v", a->v.data, type.v, a->batch, s->v_heads, a->kv_len_max, s->v_dim);
    if (queries && status == ATTN_OK)
        status = check_data(why, "o", a->o.data, type.o, a->batch, s->heads, a->q_len, s->v_dim);
    if (status != ATTN_OK) return status;
    if (s->sinks && !a->sinks)
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "sinks is null: must hold %d floats, one a head, as the spec has sinks",
                           s->heads);
    if (!s->sinks && a->sinks)
        return attn_refuse(why, ATTN_E_UNUSED,
                           "sinks is given: must be null, as the spec has none");
    return ATTN_OK;
}

static attn_status check_pointers(const attn_why *why, const attn_kernel *k, const attn_args *a) {
    const bool segments = attn_op_of(k->spec)->segments;
    if (has_rows(a) && segments && !a->seg)
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "seg is null: must hold int32, [batch, rows] = [%d, %d], as the op goes "
                           "by segments",
                           a->batch, a->q_len);
    if (k->side_count > 0 && !a->side)
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "side is null: must hold %d side tensors, the first of them %s",
                           k->side_count, k->sides[0].name);
    if (k->scalar_count > 0 && !a->scalars)
        return attn_refuse(why, ATTN_E_ARGUMENT, "scalars is null: must hold %d scalars",
                           k->scalar_count);
    if (!segments && a->seg)
        return attn_refuse(why, ATTN_E_UNUSED,
                           "seg is given: must be null, as the op does not go by segments");
    if (!attn_spec_takes_mask(k->spec) && a->mask.type != ATTN_MASK_NONE)
        return attn_refuse(why, ATTN_E_UNUSED,
                           "mask.type is %d: must be ATTN_MASK_NONE, as the backend is flex",
                           a->mask.type);
    if (!attn_spec_takes_expressions(k->spec) && (a->side_count || a->scalar_count))
        return attn_refuse(why, ATTN_E_UNUSED, "%s is %d: must be 0, as the backend is sdpa",
                           a->side_count ? "side_count" : "scalar_count",
                           a->side_count ? a->side_count : a->scalar_count);
    return ATTN_OK;
}

static attn_status check_mask(const attn_why *why, const attn_kernel *k, const attn_args *a) {
    const attn_mask *m = &a->mask;
    if (m->type == ATTN_MASK_NONE) return ATTN_OK;
    if (m->type != ATTN_MASK_BOOL && m->type != ATTN_MASK_F32)
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "mask.type is %d: must be ATTN_MASK_NONE, ATTN_MASK_BOOL or "
                           "ATTN_MASK_F32",
                           m->type);
    if (m->rank < 1 || m->rank > 4)
        return attn_refuse(why, ATTN_E_SHAPE, "mask.rank is %d: must be from 1 to 4", m->rank);
    static const char *const names[4] = {"batch", "heads", "query rows", "keys"};
    const int64_t want[4] = {a->batch, k->spec->heads, a->q_len, a->kv_len_max};
    const bool empty = !has_rows(a) || a->kv_len_max == 0;
    for (int i = 0; i < m->rank; i++) {
        const int at = 4 - m->rank + i;
        if (m->dim[i] != 1 && m->dim[i] != want[at])
            return attn_refuse(why, ATTN_E_SHAPE, "mask.dim[%d] is %lld: must be 1 or %lld (%s)", i,
                               (long long)m->dim[i], (long long)want[at], names[at]);
    }
    if (!m->data && !empty) return attn_refuse(why, ATTN_E_ARGUMENT, "mask.data is null");
    return ATTN_OK;
}

static attn_status check_sides(const attn_why *why, const attn_kernel *k, const attn_args *a) {
    if (a->side_count != k->side_count)
        return attn_refuse(why, ATTN_E_SHAPE, "side_count is %d: must be %d, as the spec declares",
                           a->side_count, k->side_count);
    if (a->scalar_count != k->scalar_count)
        return attn_refuse(why, ATTN_E_SHAPE,
                           "scalar_count is %d: must be %d, as the spec declares", a->scalar_count,
                           k->scalar_count);
    for (int i = 0; i < k->side_count; i++) {
        const int64_t count = attn_side_count(&k->sides[i], a->batch, k->spec->heads,
                                              k->spec->kv_heads, a->q_len, a->kv_len_max);
        const char *name = k->sides[i].name;
        if (a->side[i].count != count)
            return attn_refuse(why, ATTN_E_SHAPE, "side[%d].count (%s) is %lld: must be %lld", i,
                               name, (long long)a->side[i].count, (long long)count);
        if (count > INT32_MAX) /* kernels index side tensors with 32 bits */
            return attn_refuse(why, ATTN_E_ARGUMENT,
                               "side[%d].count (%s) is %lld: at most %d can be "
                               "indexed",
                               i, name, (long long)count, INT32_MAX);
        if (count > 0 && !a->side[i].data)
            return attn_refuse(why, ATTN_E_ARGUMENT, "side[%d].data (%s) is null", i, name);
    }
    return ATTN_OK;
}

attn_status attn_inputs_check(const attn_why *why, const attn_kernel *k, const attn_args *a) {
    attn_status status = check_extents(why, k, a->batch, a->q_len, a->kv_len_max, a->threads);
    if (status == ATTN_OK) status = attn_check_pool(why, a->pool);
    if (status == ATTN_OK) status = attn_check_begin(why, a->q_begin, a->batch, "q_len", a->q_len);
    if (status == ATTN_OK) status = check_pointers(why, k, a);
    if (status == ATTN_OK) status = check_mask(why, k, a);
    return status == ATTN_OK ? check_sides(why, k, a) : status;
}

/* [batch, heads, length, width] from `steps` times a stride on, in elements. */
static attn_area *add_tensor(attn_areas *list, const char *name, const void *data, size_t size,
                             int64_t steps, int64_t stride, int64_t width, const attn_dim dim[3]) {
    attn_area *area =
        attn_areas_add_from(list, name, data, steps, stride, size, width * (int64_t)size);
    for (int i = 0; i < 3; i++)
        attn_area_repeat(area, dim[i].name, dim[i].count, dim[i].stride, size);
    return area;
}

static int32_t longest_tail(const attn_args *a) {
    int32_t longest = 0;
    for (int32_t b = 0; a->tail && b < a->batch; b++)
        if (a->tail[b] > longest) longest = a->tail[b];
    return longest;
}

/* Keys that a check of memory is about: the first `keys` of so many items from `from` on. Where
 * they lie in pages those have numbers from `page` on, and hold `rows` rows. */
typedef struct key_memory {
    int32_t from, items, keys;
    int64_t page, pages, rows;
} key_memory;

static key_memory keys_of(const attn_spec *s, int32_t from, int32_t items, int32_t keys) {
    return (key_memory){from, items, keys, from, items, attn_layout_rows(s, keys)};
}

/* Whether what the call writes lies in what it reads. */
static attn_status check_items(const attn_why *why, const attn_kernel *k, const attn_args *a,
                               size_t workspace, key_memory m) {
    const attn_spec *s = k->spec;
    const int32_t b = a->batch, d = attn_spec_k_dim(s);
    const int32_t q_items = attn_lined_items(a), q_rows = attn_lined_rows(a);
    const int64_t word = sizeof(float), first = attn_first_row(a, 0);
    const attn_types type = attn_spec_types(s);
    attn_areas list;
    list.count = 0;
#define TENSOR(name, steps, stride, count, heads, length, width)                            \
    add_tensor(&list, #name, a->name.data, attn_type_size(type.name), steps, stride, width, \
               (attn_dim[3]){{#name ".token", length, a->name.token},                       \
                             {#name ".head", heads, a->name.head},                          \
                             {#name ".batch", count, a->name.batch}})
#define SCALES(name, heads)                                                         \
    add_tensor(&list, #name, a->name.data, sizeof(float), m.page, a->name.batch, 1, \
               (attn_dim[3]){{#name ".token", m.rows, a->name.token},               \
                             {#name ".head", heads, a->name.head},                  \
                             {#name ".batch", m.pages, a->name.batch}})
    TENSOR(q, first, a->q.token, q_items, s->heads, q_rows, d);
    attn_area *o = TENSOR(o, first, a->o.token, q_items, s->heads, q_rows, s->v_dim);
    if (m.keys > 0) {
        TENSOR(k, m.page, a->k.batch, m.pages, s->kv_heads, m.rows, d);
        TENSOR(v, m.page, a->v.batch, m.pages, s->v_heads, m.rows, s->v_dim);
        SCALES(k_scale, s->kv_heads);
        SCALES(v_scale, s->v_heads);
    }
#undef SCALES
#undef TENSOR
    float *lse_rows = a->lse ? a->lse + first : NULL;
    attn_area *lse = attn_areas_add(&list, "lse", lse_rows, q_rows * word);
    attn_area_repeat(lse, "lse_head", s->heads, a->lse_head, sizeof(float));
    attn_area_repeat(lse, "lse_batch", q_items, a->lse_batch, sizeof(float));
    attn_area *scratch = attn_areas_add(&list, "workspace", a->workspace, (int64_t)workspace);
    o->written = lse->written = scratch->written = true;
    if (d <= ATTN_IN_PLACE_MOST && type.o == type.q)
        o->same_as = 0; /* q: a task has read its rows when it writes them */
    if (a->key_padding && m.keys > 0)
        attn_areas_add_padding(&list, a->key_padding, m.keys, m.from, m.items,
                               a->key_padding_batch);
    if (a->pages && m.keys > 0) {
        attn_area *table =
            attn_areas_add_from(&list, "pages", a->pages, m.from, a->pages_batch, sizeof(int32_t),
                                attn_layout_pages(s, m.keys) * word);
        attn_area_repeat(table, "pages_batch", m.items, a->pages_batch, sizeof(int32_t));
    }
    attn_areas_add_inputs(&list, k, a);
    if (a->index && m.keys > 0) attn_areas_add_lists(&list, &(attn_lists){s, a, NULL});
    attn_areas_add(&list, "q_start", a->q_start, b * word);
    const int32_t *q_position = a->q_position ? a->q_position + first : NULL;
    attn_area_repeat(attn_areas_add(&list, "q_position", q_position, q_rows * word),
                     "q_position_batch", q_items, a->q_position_batch, sizeof(int32_t));
    attn_areas_add(&list, "tail", a->tail, b * word);
    attn_area_repeat(attn_areas_add(&list, "k_position", a->k_position, longest_tail(a) * word),
                     "k_position_batch", b, a->k_position_batch, sizeof(int32_t));
    attn_areas_add(&list, "kv_len", a->kv_len, b * word);
    attn_areas_add(&list, "sinks", a->sinks, s->heads * word);
    return attn_check_areas(why, &list);
}

/* The same of pages: all at once, and only if that refuses, each that is needed. */
static attn_status check_paged_memory(const attn_why *why, const attn_kernel *k, const attn_args *a,
                                      size_t workspace) {
    const attn_spec *s = k->spec;
    const int32_t longest = attn_longest(a);
    const key_memory all = {0, a->batch, longest, 0, a->page_count, longest > 0 ? s->page : 0};
    if (check_items(NULL, k, a, workspace, all) == ATTN_OK) return ATTN_OK;
    if (s->select == ATTN_SELECT_INDEX) return check_items(why, k, a, workspace, all);
    /* What is read whatever the pages are. */
    attn_status status = check_items(why, k, a, workspace, keys_of(s, 0, 0, 0));
    attn_page_walk walk = attn_pages_begin(k, a);
    for (int32_t n; status == ATTN_OK && attn_pages_next(&walk, &n);) {
        const int32_t keys = a->kv_len ? a->kv_len[walk.b] : a->kv_len_max;
        const key_memory one = {
            walk.b, 1, keys, a->pages[walk.b * a->pages_batch + n], 1, attn_page_keys(&walk, n)};
        status = check_items(why, k, a, workspace, one);
    }
    return status;
}

/* What the call reads and writes must not lie in each other. Keys beyond an item's kv_len are
 * nobody's business: only where the longest item's length says so for all, each is looked at. */
static attn_status check_memory(const attn_why *why, const attn_kernel *k, const attn_args *a,
                                size_t workspace) {
    const attn_spec *s = k->spec;
    if (attn_layout_of(s)->paged) return check_paged_memory(why, k, a, workspace);
    if (!a->kv_len)
        return check_items(why, k, a, workspace, keys_of(s, 0, a->batch, a->kv_len_max));
    const key_memory all = keys_of(s, 0, a->batch, attn_longest(a));
    if (check_items(NULL, k, a, workspace, all) == ATTN_OK) return ATTN_OK;
    attn_status status = ATTN_OK;
    for (int32_t b = 0; status == ATTN_OK && b < a->batch; b++)
        status = check_items(why, k, a, workspace, keys_of(s, b, 1, a->kv_len[b]));
    return status;
}

/* One tensor's scales: there where its type has some, and nowhere else. */
static attn_status check_scale(const attn_why *why, const char *name, const attn_scales *scale,
                               const attn_args *a, int32_t heads, bool wanted, const char *none) {
    const bool keys = has_rows(a) && a->kv_len_max > 0;
    if (scale->data && !wanted)
        return attn_refuse(why, ATTN_E_UNUSED, "%s.data is given: must be null, as %s", name, none);
    if (scale->data || !wanted || !keys) return ATTN_OK;
    return attn_refuse(why, ATTN_E_ARGUMENT,
                       "%s.data is null: must hold floats, [batch, heads, length] = [%d, %d, %d], "
                       "as k and v are stored in i8",
                       name, a->batch, heads, a->kv_len_max);
}

static attn_status check_scales(const attn_why *why, const attn_spec *s, const attn_args *a) {
    const bool scaled = attn_spec_scaled(s);
    const char *none = "the type of k and v has no scales";
    attn_status status = check_scale(why, "k_scale", &a->k_scale, a, s->kv_heads, scaled, none);
    if (status != ATTN_OK) return status;
    if (scaled) none = "v is the first columns of k, whose scales serve both";
    return check_scale(why, "v_scale", &a->v_scale, a, s->v_heads, scaled && !attn_spec_one_row(s),
                       none);
}

/* Keys that stand elsewhere than at their numbers. */
static attn_status check_tails(const attn_why *why, const attn_spec *s, const attn_args *a) {
    if (!a->tail && !a->k_position) return ATTN_OK;
    if (attn_op_of(s)->segments)
        return attn_refuse(why, ATTN_E_UNUSED,
                           "%s is given: must be null, as the op goes by segments",
                           a->tail ? "tail" : "k_position");
    if (!a->tail || !a->k_position)
        return attn_refuse(why, ATTN_E_ARGUMENT, "%s is null: tail and k_position go together",
                           a->tail ? "k_position" : "tail");
    for (int32_t b = 0; b < a->batch; b++) {
        const attn_status status =
            attn_check_item(why, "tail", b, a->tail[b], "kv_len", attn_keys_of(a, b));
        if (status != ATTN_OK) return status;
        for (int32_t i = 0; i < a->tail[b]; i++) {
            const int32_t position = a->k_position[b * a->k_position_batch + i];
            if (position < 0 || position == INT32_MAX)
                return attn_refuse(why, ATTN_E_ARGUMENT,
                                   "k_position[%d][%d] is %d: must be from 0 to %d", b, i, position,
                                   INT32_MAX - 1);
        }
    }
    return ATTN_OK;
}

/* Rows of ragged calls lie by their numbers alone. */
static void line_up_rows(attn_args *a) {
    if (a->q_begin) a->q.batch = a->o.batch = a->lse_batch = a->seg_batch = a->q_position_batch = 0;
    if (a->q_begin && !a->index_by_item) a->index_batch = a->index_count_batch = 0;
}

/* *a: the caller's arguments, of this library's size. */
static attn_status check_args(const attn_why *why, const attn_plan *plan, const attn_args *args,
                              attn_args *a) {
    if (!plan) return attn_refuse(why, ATTN_E_ARGUMENT, "plan is null");
    if (!args) return attn_refuse(why, ATTN_E_ARGUMENT, "args is null");
    static const size_t before[] = {offsetof(attn_args, k_scale), offsetof(attn_args, pool),
                                    offsetof(attn_args, pages), offsetof(attn_args, index_by_item),
                                    0};
    attn_status status =
        attn_check_grown(why, "args", args, before, a, sizeof *a, "ATTN_ARGS_INIT");
    if (status == ATTN_OK) line_up_rows(a);
    if (status == ATTN_OK) status = attn_inputs_check(why, plan->kernel, a);
    if (status == ATTN_OK) status = check_scales(why, plan->kernel->spec, a);
    if (status == ATTN_OK) status = check_tensors(why, plan->kernel, a);
    for (int32_t b = 0; status == ATTN_OK && a->kv_len && b < a->batch; b++)
        status = attn_check_item(why, "kv_len", b, a->kv_len[b], "kv_len_max", a->kv_len_max);
    if (status == ATTN_OK) status = check_tails(why, plan->kernel->spec, a);
    if (status == ATTN_OK)
        status = attn_check_lists(why, &(attn_lists){plan->kernel->spec, a, NULL});
    if (status == ATTN_OK) status = attn_check_pages(why, plan->kernel, a);
    if (status != ATTN_OK) return status;
    const attn_extent e = attn_extent_of(a);
    status = check_workspace(why, plan, &e);
    if (status != ATTN_OK || (a->q_begin && e.rows == 0)) return status;
    const size_t need = (size_t)attn_plan_workspace(plan, &e);
    status = attn_check_memory(why, ATTN_E_WORKSPACE, "workspace", a->workspace, "workspace_bytes",
                               a->workspace_bytes, need, "attn_workspace");
    if (status != ATTN_OK || attn_extent_rows(&e) == 0) return status;
    return check_memory(why, plan->kernel, a, need);
}

attn_status attn_run_checked(const attn_kernel *kernel, const attn_args *args, const int32_t *rows,
                             attn_team *team, bool reference) {
#ifdef ATTN_DEBUG
    const bool check = true;
#else
    const bool check = reference;
#endif
    /* Before anything is written: does an expression read a side tensor out of range? */
    attn_status status = ATTN_OK;
    if (check && kernel->side_count > 0) status = attn_reference_check(kernel, args, rows);
    if (status != ATTN_OK) return status;
    if (reference) return attn_reference_run(kernel, args, rows);
    kernel->run(args, rows, team);
    return ATTN_OK;
}

/* Where there are no keys, their tensors may be null; kernels step from item to item all the same.
 */
static void stand_in_for_keys(attn_args *a) {
    if (a->kv_len_max > 0) return;
    a->pages = NULL;
    a->k = a->v = (attn_view){.data = a->q.data};
    a->k_scale = a->v_scale = (attn_scales){.data = a->q.data};
}

typedef struct core_call {
    const attn_plan *plan;
    attn_args args;
    attn_status status;
} core_call;

static void run_call(void *ctx, attn_team *team) {
    core_call *c = ctx;
    c->status = attn_run_checked(c->plan->kernel, &c->args, NULL, team, c->plan->reference);
}

static __attribute__((noinline)) attn_status run(const attn_plan *plan, const attn_args *args) {
    core_call call = {.plan = plan};
    attn_args *a = &call.args;
    const attn_status status = check_args(NULL, plan, args, a);
    if (status != ATTN_OK) return status;
    a->threads = attn_team_limit(a->pool, a->threads);
    stand_in_for_keys(a);
    if (attn_spec_one_row(plan->kernel->spec)) a->v_scale = a->k_scale;
    attn_team_run(a->pool, a->threads, run_call, &call);
    return call.status;
}

attn_status attn_own_run(const attn_plan *plan, const attn_args *args) {
    const attn_mode mode = attn_mode_enter();
    const attn_status status = run(plan, args);
    attn_mode_leave(mode);
    return status;
}

attn_status attn_run(const attn_plan *plan, const attn_args *args) {
    return attn_own_run(plan, args);
}

attn_status attn_plan_check(const attn_plan *plan, const attn_args *args, char *message,
                            size_t size) {
    const attn_why why = attn_why_begin(message, size);
    attn_args call;
    return check_args(&why, plan, args, &call);
}
