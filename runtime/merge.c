/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* merge.c - attention over all keys from attention over disjoint sets of them. */
#include "check.h"
#include "mode.h"
#include <math.h>

/* --- Checks --- */

static attn_area *add(attn_areas *list, const char *name, const void *data, int64_t floats) {
    return attn_areas_add(list, name, data, floats * (int64_t)sizeof(float));
}

static void repeat(attn_area *area, const char *head_name, int64_t head, const char *batch_name,
                   int64_t batch, const attn_merge_args *m) {
    attn_area_repeat(area, head_name, m->heads, head, sizeof(float));
    attn_area_repeat(area, batch_name, m->batch, batch, sizeof(float));
}

/* What is written lies apart from itself and from this part, or is the part. */
static attn_status check_places(const attn_why *why, const attn_merge_args *m, const attn_part *p) {
    attn_areas list;
    list.count = 0;
    attn_area *area;
#define ROWS(name, of)                                                             \
    area = add(&list, name, (of)->o.data, m->v_dim);                               \
    attn_area_repeat(area, name ".token", m->q_len, (of)->o.token, sizeof(float)); \
    repeat(area, name ".head", (of)->o.head, name ".batch", (of)->o.batch, m)
#define LSE(name, of)                             \
    area = add(&list, name, (of)->lse, m->q_len); \
    repeat(area, name "_head", (of)->lse_head, name "_batch", (of)->lse_batch, m)
    ROWS("parts[].o", p);
    LSE("parts[].lse", p);
    ROWS("o", m);
    LSE("lse", m);
#undef ROWS
#undef LSE
    list.area[2].written = list.area[3].written = true;
    list.area[2].same_as = 0, list.area[3].same_as = 1; /* a row is read before it is written */
    return attn_check_areas(why, &list);
}

static attn_status check_part(const attn_why *why, const attn_merge_args *m, int32_t i) {
    const attn_part *p = &m->parts[i];
    if (!p->o.data) return attn_refuse(why, ATTN_E_ARGUMENT, "parts[%d].o.data is null", i);
    if (!p->lse)
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "parts[%d].lse is null: the call that makes a part must ask for it", i);
    return check_places(why, m, p);
}

static attn_status check(const attn_why *why, const attn_merge_args *m) {
    if (!m) return attn_refuse(why, ATTN_E_ARGUMENT, "args is null");
    attn_status status =
        attn_check_size(why, "args", m->struct_size, sizeof *m, "{.struct_size = sizeof args, ..}");
    const struct {
        const char *name;
        int32_t value;
    } counts[] = {{"batch", m->batch},
                  {"heads", m->heads},
                  {"q_len", m->q_len},
                  {"v_dim", m->v_dim},
                  {"part_count", m->part_count}};
    for (int i = 0; i < 5 && status == ATTN_OK; i++)
        status = attn_check_range(why, counts[i].name, counts[i].value, INT32_MAX);
    if (status != ATTN_OK) return status;
    if (m->batch == 0 || m->heads == 0 || m->q_len == 0) return ATTN_OK;
    if (!m->o.data && m->v_dim > 0) return attn_refuse(why, ATTN_E_ARGUMENT, "o.data is null");
    if (m->part_count > 0 && !m->parts)
        return attn_refuse(why, ATTN_E_ARGUMENT, "parts is null: must hold part_count = %d parts",
                           m->part_count);
    if (m->part_count == 0) return check_places(why, m, &(attn_part){.lse = NULL});
    for (int32_t i = 0; i < m->part_count && status == ATTN_OK; i++) status = check_part(why, m, i);
    return status;
}

/* --- Rows --- */

/* Of all parts and outputs. */
typedef struct place {
    int32_t b, h, i;
} place;

static double lse_at(const attn_part *p, place at) {
    return (double)p->lse[at.b * p->lse_batch + at.h * p->lse_head + at.i];
}

static int64_t row_at(int64_t batch, int64_t head, int64_t token, place at) {
    return at.b * batch + at.h * head + at.i * token;
}

/* The largest LSE; NaN is found by whoever weighs with it. */
static double largest(const attn_merge_args *m, place at) {
    double most = -INFINITY;
    for (int32_t n = 0; n < m->part_count; n++) {
        const double lse = lse_at(&m->parts[n], at);
        if (lse > most) most = lse;
    }
    return most;
}

/* A part without a visible key, LSE = -inf, adds nothing, whatever its row of O holds. */
static double weight_of(const attn_part *p, place at, double most) {
    const double lse = lse_at(p, at);
    return lse == -INFINITY ? 0 : exp(lse - most);
}

/* Columns from..from+count-1 of a row; in double, rounded once. */
enum { COLUMNS = 512 };
static void merge_columns(const attn_merge_args *m, place at, double most, double total,
                          int32_t from, int32_t count) {
    double sum[COLUMNS] = {0};
    for (int32_t n = 0; n < m->part_count; n++) {
        const attn_part *p = &m->parts[n];
        const double weight = weight_of(p, at, most);
        if (weight == 0) continue;
        const float *o =
            (const float *)p->o.data + row_at(p->o.batch, p->o.head, p->o.token, at) + from;
        for (int32_t d = 0; d < count; d++) sum[d] += weight * (double)o[d];
    }
    float *to = (float *)m->o.data + row_at(m->o.batch, m->o.head, m->o.token, at) + from;
    for (int32_t d = 0; d < count; d++) to[d] = total == 0 ? 0 : (float)(sum[d] / total);
}

static void merge_row(const attn_merge_args *m, place at) {
    const double most = largest(m, at);
    double total = 0;
    for (int32_t n = 0; n < m->part_count; n++) total += weight_of(&m->parts[n], at, most);
    for (int32_t d = 0; d < m->v_dim; d += COLUMNS)
        merge_columns(m, at, most, total, d, m->v_dim - d < COLUMNS ? m->v_dim - d : COLUMNS);
    if (m->lse)
        m->lse[at.b * m->lse_batch + at.h * m->lse_head + at.i] =
            total == 0 ? -INFINITY : (float)(most + log(total));
}

static __attribute__((noinline)) attn_status merge(const attn_merge_args *m) {
    const attn_status status = check(NULL, m);
    if (status != ATTN_OK) return status;
    for (int32_t b = 0; b < m->batch; b++)
        for (int32_t h = 0; h < m->heads; h++)
            for (int32_t i = 0; i < m->q_len; i++) merge_row(m, (place){b, h, i});
    return ATTN_OK;
}

attn_status attn_merge(const attn_merge_args *args) {
    const attn_mode mode = attn_mode_enter();
    const attn_status status = merge(args);
    attn_mode_leave(mode);
    return status;
}

attn_status attn_merge_check(const attn_merge_args *args, char *message, size_t size) {
    const attn_why why = attn_why_begin(message, size);
    return check(&why, args);
}
