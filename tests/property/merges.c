/* merges.c - attention over random parts of a problem's keys, by the kernel's own calls, merged:
 * what one call over all of them must give, within rule 8 of runtime/CONTRACT.md; and that call's
 * numbers where a part has every key and the others none. */
#include "property.h"
#include "lab/oracle.h"
#include "op.h"
#include "types.h"
#include <math.h>
#include <string.h>

enum { PARTS_MOST = 4 };

/* Whether keys may be counted from another one on: distances count, and no length. */
static bool can_be_parted(arena *a, const call *c) {
    const kernel_spec *k = c->spec;
    if (attn_spec_types(&k->core).o != ATTN_TYPE_F32)
        return false;                             /* merged before it is rounded */
    if (attn_op_of(&k->core)->keys) return false; /* the op shows keys by their numbers */
    if (c->q_begin || c->q_position || c->tail)
        return false; /* attn_merge goes by items and rows */
    if ((k->score && strstr(k->score, "kv_len")) || (k->mask && strstr(k->mask, "kv_len")))
        return false;
    for (int32_t b = 0; b < c->batch && c->q_start; b++)
        if (c->q_start[b] < INT32_MIN + c->kv_len_max) return false;
    for (int64_t i = 0; i < (int64_t)c->batch * c->q_len && c->seg; i++)
        if (c->seg[i] < INT32_MIN + c->kv_len_max) return false;
    return kernel_spec_relative(a, k);
}

/* Keys from..to - 1 of [rows][keys][size] bytes. */
static const void *keys_of(arena *a, const void *data, int64_t rows, int64_t keys, size_t size,
                           int32_t from, int32_t to) {
    if (!data) return NULL;
    const size_t n = (size_t)(to - from) * size;
    char *out = arena_alloc(a, (size_t)rows * n + 1);
    for (int64_t i = 0; i < rows && n; i++)
        memcpy(out + (size_t)i * n,
               (const char *)data + (size_t)i * (size_t)keys * size + (size_t)from * size, n);
    return out;
}

static const int32_t *lowered(arena *a, const int32_t *all, int64_t count, int32_t by) {
    int32_t *out = arena_alloc(a, (size_t)count * sizeof *out + 1);
    for (int64_t i = 0; i < count; i++) out[i] = (all ? all[i] : 0) - by;
    return out;
}

static void part_mask(arena *a, call *part, int32_t keys, int32_t from, int32_t to) {
    const int last = part->mask_rank - 1;
    if (part->mask_type == ATTN_MASK_NONE || part->mask_dim[last] != keys || keys == 1) return;
    int64_t rows = 1;
    for (int i = 0; i < last; i++) rows *= part->mask_dim[i];
    const size_t size = part->mask_type == ATTN_MASK_BOOL ? 1 : sizeof(float);
    part->mask = keys_of(a, part->mask, rows, keys, size, from, to);
    part->mask_dim[last] = to - from;
}

/* The same queries over keys from..to - 1, which are counted from 0 on. */
static call part_of(arena *a, const call *c, int32_t from, int32_t to, bool sinks) {
    const attn_spec *s = &c->spec->core;
    const attn_types type = attn_spec_types(s);
    const int64_t k_rows = (int64_t)c->batch * s->kv_heads, v_rows = (int64_t)c->batch * s->v_heads;
    const int32_t keys = c->kv_len_max;
    call p = *c;
    p.kv_len_max = to - from;
    p.k = keys_of(a, c->k, k_rows, keys, (size_t)call_k_dim(c) * attn_type_size(type.k), from, to);
    p.v = keys_of(a, c->v, v_rows, keys, (size_t)call_v_dim(c) * attn_type_size(type.v), from, to);
    p.k_scale = keys_of(a, c->k_scale, k_rows, keys, sizeof(float), from, to);
    p.v_scale = keys_of(a, c->v_scale, v_rows, keys, sizeof(float), from, to);
    p.key_padding = keys_of(a, c->key_padding, c->batch, keys, 1, from, to);
    p.q_start = lowered(a, c->q_start, c->batch, from);
    if (c->seg) p.seg = lowered(a, c->seg, (int64_t)c->batch * c->q_len, from);
    int32_t *len = arena_alloc(a, (size_t)c->batch * sizeof *len + 1);
    for (int32_t b = 0; b < c->batch; b++) {
        const int32_t left = (c->kv_len ? c->kv_len[b] : keys) - from;
        len[b] = left < 0 ? 0 : left < to - from ? left : to - from;
    }
    p.kv_len = len;
    part_mask(a, &p, keys, from, to);
    float *none = arena_alloc(a, (size_t)s->heads * sizeof *none);
    for (int32_t h = 0; h < s->heads; h++) none[h] = -INFINITY; /* adds nothing */
    if (c->sinks && !sinks) p.sinks = none;
    return p;
}

/* Ends of the parts, in order, the last one being that of the keys. */
static int split(rng *r, int32_t keys, bool whole, int32_t end[PARTS_MOST]) {
    const int parts = rng_int(r, 2, PARTS_MOST), full = rng_int(r, 0, parts - 1);
    for (int n = 0; n < parts; n++) end[n] = whole ? (n < full ? 0 : keys) : rng_int(r, 0, keys);
    for (int n = 0; n < parts; n++)
        for (int m = n; m > 0 && end[m] < end[m - 1]; m--) {
            const int32_t t = end[m];
            end[m] = end[m - 1], end[m - 1] = t;
        }
    end[parts - 1] = keys;
    return parts;
}

static attn_status merge(arena *a, const kernel_lib *lib, const call *c, const outcome *part,
                         int parts, outcome *out) {
    const int64_t row = call_v_dim(c), head = c->q_len * row, batch = c->spec->core.heads * head;
    attn_part list[PARTS_MOST];
    for (int n = 0; n < parts; n++)
        list[n] = (attn_part){.o = {part[n].o, batch, head, row},
                              .lse = part[n].lse,
                              .lse_batch = (int64_t)c->spec->core.heads * c->q_len,
                              .lse_head = c->q_len};
    out->o = arena_alloc(a, call_o_size(c) * sizeof(float) + 1);
    out->lse = arena_alloc(a, call_rows(c) * sizeof(float) + 1);
    const attn_merge_args args = {.struct_size = sizeof args,
                                  .batch = c->batch,
                                  .heads = c->spec->core.heads,
                                  .q_len = c->q_len,
                                  .v_dim = call_v_dim(c),
                                  .part_count = parts,
                                  .parts = list,
                                  .o = {out->o, batch, head, row},
                                  .lse = out->lse,
                                  .lse_batch = list[0].lse_batch,
                                  .lse_head = list[0].lse_head};
    return lib->merge(&args);
}

/* Rows that have a value, number by number: zeros lose their sign. */
static const char *same_numbers(arena *a, const call *c, const oracle *want, const outcome *one,
                                const outcome *merged) {
    const size_t width = (size_t)call_v_dim(c);
    for (size_t row = 0; row < call_rows(c); row++) {
        bool same = want->row[row].any || one->lse[row] == merged->lse[row];
        for (size_t d = row * width; d < (row + 1) * width && !want->row[row].any; d++)
            same &= one->o[d] == merged->o[d];
        if (!same) return arena_printf(a, "row %zu is not that of the part with all keys", row);
    }
    return NULL;
}

const char *property_merge(arena *a, const kernel_lib *lib, const attn_plan *plan, const call *c,
                           rng *r, const oracle *want, const outcome *one, long *rows,
                           double *worst) {
    int32_t end[PARTS_MOST];
    outcome part[PARTS_MOST], merged = {0};
    if (!can_be_parted(a, c) || !one->lse) return NULL;
    const bool whole = rng_chance(r, 25);
    const int parts = split(r, c->kv_len_max, whole, end);
    int sinks = whole ? 0 : rng_int(r, 0, parts - 1);
    while (whole && end[sinks] < c->kv_len_max) sinks++; /* the part with all keys */
    for (int n = 0; n < parts; n++) {
        const int32_t from = n ? end[n - 1] : 0;
        const call p = part_of(a, c, from, end[n], n == sinks);
        const placement at = property_placement(r, rng_int(r, 1, 2));
        part[n] = call_run(a, lib, plan, &p, &at);
        if (part[n].fault) return part[n].fault;
        if (part[n].status != ATTN_OK) return lib->status_text(part[n].status);
    }
    const attn_status status = merge(a, lib, c, part, parts, &merged);
    if (status != ATTN_OK) return lib->status_text(status);
    const char *why = property_compare(a, c, want, &merged, rows, worst);
    return why || !whole || c->kv_len_max == 0 ? why : same_numbers(a, c, want, one, &merged);
}
