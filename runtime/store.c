/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* store.c - rows of keys and values from f32 into what a core stores them in. */
#include "dispatch.h"
#include "mode.h"
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

static attn_status check_places(const attn_why *why, const operand *o, const attn_rows *r) {
    attn_areas list;
    list.count = 0;
#define ROWS(name, data, width, size)                                                              \
    add_rows(&list, (const char *[4]){#name, #name ".token", #name ".head", #name ".batch"}, data, \
             o, r, (int64_t[3]){r->name.token, r->name.head, r->name.batch}, width, size)
    ROWS(from, r->from.data, o->width, sizeof(float));
    ROWS(to, r->to.data, o->width, attn_type_size(o->type));
    ROWS(scale, r->scale.data, 1, sizeof(float));
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

static attn_status check(const attn_why *why, const attn_plan *plan, attn_operand which,
                         const attn_rows *r) {
    if (!plan) return attn_refuse(why, ATTN_E_ARGUMENT, "plan is null");
    if (!r) return attn_refuse(why, ATTN_E_ARGUMENT, "rows is null");
    if (which != ATTN_OPERAND_K && which != ATTN_OPERAND_V)
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "operand is %d: must be ATTN_OPERAND_K or ATTN_OPERAND_V", (int)which);
    const attn_spec *s = plan->kernel->spec;
    if (which == ATTN_OPERAND_V && attn_spec_one_row(s))
        return attn_refuse(why, ATTN_E_UNUSED,
                           "operand is ATTN_OPERAND_V: v is the first columns of k, and stored "
                           "with it");
    attn_status status =
        attn_check_size(why, "rows", r->struct_size, sizeof *r, "{.struct_size = sizeof rows, ..}");
    if (status == ATTN_OK) status = attn_check_range(why, "batch", r->batch, INT32_MAX);
    if (status == ATTN_OK) status = attn_check_range(why, "tokens", r->tokens, INT32_MAX);
    const operand o = operand_of(s, which);
    if (status == ATTN_OK) status = check_pointers(why, &o, r);
    return status == ATTN_OK ? check_places(why, &o, r) : status;
}

/* A row of K in a rotated core: in double, rounded once. */
static void turn(const operand *o, const float *from, float *to) {
    double x[ATTN_ROTATE_MOST];
    for (int32_t d = 0; d < o->width; d++) x[d] = (double)from[d];
    attn_rotate(x + o->rotation.from, o->width - o->rotation.from, o->rotation.block);
    for (int32_t d = 0; d < o->width; d++) to[d] = (float)x[d];
}

static void store_row(const operand *o, const attn_rows *r, int64_t b, int64_t h, int64_t t) {
    float turned[ATTN_ROTATE_MOST];
    const float *row =
        (const float *)r->from.data + b * r->from.batch + h * r->from.head + t * r->from.token;
    if (o->rotation.block) {
        turn(o, row, turned);
        row = turned;
    }
    const int64_t at = b * r->to.batch + h * r->to.head + t * r->to.token;
    const float scale = attn_store_row(r->to.data, o->type, at, row, o->width);
    const attn_scales_out *s = &r->scale;
    if (attn_type_scaled(o->type)) s->data[b * s->batch + h * s->head + t * s->token] = scale;
}

static __attribute__((noinline)) attn_status store(const attn_plan *plan, attn_operand which,
                                                   const attn_rows *r) {
    const attn_status status = check(NULL, plan, which, r);
    if (status != ATTN_OK) return status;
    const operand o = operand_of(plan->kernel->spec, which);
    for (int32_t b = 0; b < r->batch; b++)
        for (int32_t h = 0; h < o.heads; h++)
            for (int32_t t = 0; t < r->tokens; t++) store_row(&o, r, b, h, t);
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
    return check(&why, plan, operand, rows);
}
