/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* store.c - rows of keys and values from f32 into what a core stores them in. */
#include "dispatch.h"
#include "layout.h"
#include "mode.h"
#include "pages.h"
#include "spec.h"
#include "types.h"

/* An operand of a core. */
typedef struct operand {
    int32_t type, heads, width;
    attn_rotation rotation;
} operand;

static operand operand_of(const attn_spec *s, attn_operand which) {
    const attn_types type = attn_spec_types(s);
    if (which == ATTN_OPERAND_V)
        return (operand){.type = type.v, .heads = s->v_heads, .width = s->v_dim};
    return (operand){type.k, s->kv_heads, attn_spec_k_dim(s), attn_spec_rotation(s)};
}

static void add_rows(attn_areas *list, const char *names[4], const void *data, const operand *o,
                     const attn_rows *r, const int64_t stride[3], int32_t width, size_t size) {
    attn_area *area = attn_areas_add(list, names[0], data, width * (int64_t)size);
    attn_area_repeat(area, names[1], r->tokens, stride[0], size);
    attn_area_repeat(area, names[2], o->heads, stride[1], size);
    attn_area_repeat(area, names[3], r->batch, stride[2], size);
}

static attn_status check_places(const attn_why *why, const attn_spec *s, const operand *o,
                                const attn_rows *r) {
    const bool paged = attn_layout_of(s)->paged;
    const attn_rows places = {/* of all pages, where rows go to some */
                              .batch = paged ? r->page_count : r->batch,
                              .tokens = paged ? s->page : r->tokens};
    const bool none = r->batch == 0 || r->tokens == 0;
    attn_areas list;
    list.count = 0;
#define ROWS(name, data, of, width, size)                                                          \
    add_rows(&list, (const char *[4]){#name, #name ".token", #name ".head", #name ".batch"}, data, \
             o, of, (int64_t[3]){r->name.token, r->name.head, r->name.batch}, width, size)
    ROWS(from, r->from.data, r, o->width, sizeof(float));
    ROWS(to, none ? NULL : r->to.data, &places, o->width, attn_type_size(o->type));
    ROWS(scale, none ? NULL : r->scale.data, &places, 1, sizeof(float));
#undef ROWS
    list.area[1].written = list.area[2].written = true;
    return attn_check_areas(why, &list);
}

static attn_status check_pointers(const attn_why *why, const operand *o, const attn_rows *r) {
    const bool scaled = attn_type_scaled(o->type), some = r->batch > 0 && r->tokens > 0;
    if (some && !r->from.data) return attn_refuse(why, ATTN_E_ARGUMENT, "from.data is null");
    if (some && !r->to.data) return attn_refuse(why, ATTN_E_ARGUMENT, "to.data is null");
    if (some && scaled && !r->scale.data)
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "scale.data is null: must have room for floats, [batch, heads, tokens] "
                           "= [%d, %d, %d], as the rows are stored in %s",
                           r->batch, o->heads, r->tokens, attn_type_get(o->type).name);
    if (!scaled && r->scale.data)
        return attn_refuse(why, ATTN_E_UNUSED,
                           "scale.data is given: must be null, as %s has no scales",
                           attn_type_get(o->type).name);
    return ATTN_OK;
}

static int64_t first_key(const attn_rows *r, int32_t b) {
    return r->first ? r->first[b] : 0;
}

/* Where rows go in pages. */
static attn_status check_table(const attn_why *why, const attn_spec *s, const attn_rows *r) {
    const bool paged = attn_layout_of(s)->paged, some = r->batch > 0 && r->tokens > 0;
    if (!paged && (r->pages || r->first))
        return attn_refuse(why, ATTN_E_UNUSED,
                           "%s is given: must be null, as the spec's layout is not paged",
                           r->pages ? "pages" : "first");
    if (!paged || !some) return ATTN_OK;
    if (!r->pages)
        return attn_refuse(
            why, ATTN_E_ARGUMENT,
            "pages is null: must hold int32, [batch, pages], as the spec's layout is "
            "paged");
    attn_status status = attn_check_range(why, "page_count", r->page_count, INT32_MAX);
    for (int32_t b = 0; status == ATTN_OK && b < r->batch; b++) {
        const int64_t first = first_key(r, b), last = first + r->tokens - 1;
        if (first < 0 || last >= INT32_MAX)
            return attn_refuse(why, ATTN_E_LENGTH,
                               "first[%d] is %lld: must be from 0 to %lld, with %d tokens", b,
                               (long long)first, (long long)INT32_MAX - r->tokens, r->tokens);
        for (int64_t n = first / s->page; status == ATTN_OK && n <= last / s->page; n++) {
            const attn_page_entry entry = {b, n, r->pages[b * r->pages_batch + n], r->page_count};
            status = attn_check_page(why, &entry, "rows go to it");
        }
    }
    return status;
}

/* *r: the caller's rows, of this library's size. */
static attn_status check(const attn_why *why, const attn_plan *plan, attn_operand which,
                         const attn_rows *rows, attn_rows *r) {
    if (!plan) return attn_refuse(why, ATTN_E_ARGUMENT, "plan is null");
    if (!rows) return attn_refuse(why, ATTN_E_ARGUMENT, "rows is null");
    if (which != ATTN_OPERAND_K && which != ATTN_OPERAND_V)
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "operand is %d: must be ATTN_OPERAND_K or ATTN_OPERAND_V", (int)which);
    const attn_spec *s = plan->kernel->spec;
    if (which == ATTN_OPERAND_V && attn_spec_one_row(s))
        return attn_refuse(why, ATTN_E_UNUSED,
                           "operand is ATTN_OPERAND_V: v is the first columns of k, and stored "
                           "with it");
    static const size_t before[] = {offsetof(attn_rows, pages), 0};
    attn_status status = attn_check_grown(why, "rows", rows, before, r, sizeof *r,
                                          "{.struct_size = sizeof rows, ..}");
    if (status == ATTN_OK) status = attn_check_range(why, "batch", r->batch, INT32_MAX);
    if (status == ATTN_OK) status = attn_check_range(why, "tokens", r->tokens, INT32_MAX);
    const operand o = operand_of(s, which);
    if (status == ATTN_OK) status = check_pointers(why, &o, r);
    if (status == ATTN_OK) status = check_table(why, s, r);
    return status == ATTN_OK ? check_places(why, s, &o, r) : status;
}

/* A row of K in a rotated core: in double, rounded once. */
static void turn(const operand *o, const float *from, float *to) {
    double x[ATTN_ROTATE_MOST];
    for (int32_t d = 0; d < o->width; d++) x[d] = (double)from[d];
    attn_rotate(x + o->rotation.from, o->width - o->rotation.from, o->rotation.block);
    for (int32_t d = 0; d < o->width; d++) to[d] = (float)x[d];
}

/* Where token t of an item goes, of places with these strides. */
static int64_t place(const attn_spec *s, const attn_rows *r, int64_t b, int64_t h, int64_t t,
                     attn_view to) {
    const attn_page_table pages = {r->pages, r->pages_batch};
    if (!pages.data) return b * to.batch + h * to.head + t * to.token;
    return attn_layout_at(s, &to, &pages, b, h, first_key(r, (int32_t)b) + t);
}

static void store_row(const attn_spec *s, const operand *o, const attn_rows *r, int64_t b,
                      int64_t h, int64_t t) {
    float turned[ATTN_ROTATE_MOST];
    const float *row =
        (const float *)r->from.data + b * r->from.batch + h * r->from.head + t * r->from.token;
    if (o->rotation.block) {
        turn(o, row, turned);
        row = turned;
    }
    const attn_out *to = &r->to;
    const attn_scales_out *scales = &r->scale;
    const int64_t at = place(s, r, b, h, t, (attn_view){NULL, to->batch, to->head, to->token});
    const float scale = attn_store_row(to->data, o->type, at, row, o->width);
    if (!attn_type_scaled(o->type)) return;
    const attn_view strides = {NULL, scales->batch, scales->head, scales->token};
    scales->data[place(s, r, b, h, t, strides)] = scale;
}

static __attribute__((noinline)) attn_status store(const attn_plan *plan, attn_operand which,
                                                   const attn_rows *rows) {
    attn_rows copy;
    const attn_rows *r = &copy;
    const attn_status status = check(NULL, plan, which, rows, &copy);
    if (status != ATTN_OK) return status;
    const attn_spec *s = plan->kernel->spec;
    const operand o = operand_of(s, which);
    for (int32_t b = 0; b < r->batch; b++)
        for (int32_t h = 0; h < o.heads; h++)
            for (int32_t t = 0; t < r->tokens; t++) store_row(s, &o, r, b, h, t);
    return ATTN_OK;
}

attn_status attn_store_rows(const attn_plan *plan, attn_operand operand, const attn_rows *rows) {
    const attn_mode mode = attn_mode_enter();
    const attn_status status = store(plan, operand, rows);
    attn_mode_leave(mode);
    return status;
}

attn_status attn_store_check(const attn_plan *plan, attn_operand operand, const attn_rows *rows,
                             char *message, size_t size) {
    const attn_why why = attn_why_begin(message, size);
    attn_rows copy;
    return check(&why, plan, operand, rows, &copy);
}
