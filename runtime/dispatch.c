/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* dispatch.c - plans: from a spec to the best linked kernel, and checked calls of it. */
#include "dispatch.h"
#include "cpu.h"
#include "reference.h"
#include "spec.h"

#include <stdio.h>
#include <stdlib.h>

struct attn_plan {
    const attn_kernel *kernel;
    bool reference;
    char name[4][ATTN_NAME_MAX]; /* of prefill, decode, gather, reference */
};

static const char *const variants[4] = {"prefill", "decode", "gather", "reference"};

const char *attn_status_text(attn_status status) {
    switch (status) {
    case ATTN_OK: return "ok";
    case ATTN_E_ARGUMENT:
        return "a required pointer is null, or an extent is negative or too large: fill q, k, v, o "
               "(and seg or sinks, where the spec takes them)";
    case ATTN_E_SPEC:
        return "the spec breaks a rule: start from attn_spec_init or a generated spec, and see the "
               "spec table";
    case ATTN_E_NO_KERNEL:
        return "no linked kernel has this spec and runs on this CPU: generate one, link its files, "
               "and check ATTN_ISA";
    case ATTN_E_ABI:
        return "struct_size or the kernel's ABI number does not fit this runtime: start from "
               "attn_spec_init and ATTN_ARGS_INIT, and build kernels and runtime together";
    case ATTN_E_LENGTH: return "kv_len[b] is outside 0..kv_len_max";
    case ATTN_E_SHAPE:
        return "attn_mask does not broadcast to [batch, heads, q_len, kv_len_max], or a side "
               "tensor's or the scalars' count is not what the spec declares";
    case ATTN_E_UNUSED:
        return "an argument is given that this spec does not take: attn_mask belongs to sdpa, side "
               "tensors and scalars to flex, seg to segment_cross, sinks to specs with sinks";
    case ATTN_E_WORKSPACE:
        return "workspace is null, not 64-byte aligned, or smaller than attn_workspace says for "
               "these extents and threads";
    case ATTN_E_INDEX: return "a side-tensor index is out of range at a visible pair";
    case ATTN_E_MEMORY: return "out of memory";
    case ATTN_E_WEIGHTS:
        return "a weight is missing, unknown, doubled or of another shape: attn_block_pack's "
               "message names it, and attn_block_weights lists what the layer takes";
    case ATTN_E_PACKED:
        return "the packed weights are of another layer, instruction set or version, or damaged: "
               "pack them again";
    case ATTN_E_CACHE:
        return "the cache was made for another layer or batch, or has no room for the new tokens: "
               "see attn_cache_capacity";
    case ATTN_STATUS_COUNT: break;
    }
    return "unknown status";
}

/* The widest ISA that ATTN_ISA allows; an unknown name allows none. */
static int isa_cap(void) {
    const char *cap = getenv("ATTN_ISA");
    if (!cap || !*cap) return ATTN_ISA_COUNT - 1;
    for (int i = 0; i < ATTN_ISA_COUNT; i++)
        if (!strcmp(cap, attn_isa_name(i))) return i;
    return -1;
}

bool attn_spec_same(const attn_spec *a, const attn_spec *b) {
#define ATTN_FIELD_ENUM(name, ...) \
    if (a->name != b->name) return false;
#define ATTN_FIELD_INT(name, ...) \
    if (a->name != b->name) return false;
#define ATTN_FIELD_BOOL(name, ...) \
    if (a->name != b->name) return false;
#define ATTN_FIELD_FLOAT(name, ...) \
    if (a->name != b->name) return false;
#include "spec_fields.def"
    return a->expr_hash == b->expr_hash;
}

bool attn_isa_allowed(attn_isa isa) {
    return (int)isa <= isa_cap() && attn_cpu_runs(isa);
}

static attn_status find_kernel(const attn_spec *spec, const attn_kernel **out) {
    *out = NULL;
    for (int i = 0; i < attn_registry_count; i++) {
        const attn_kernel *k = attn_registry[i];
        if (k->abi != ATTN_KERNEL_ABI) return ATTN_E_ABI;
        if (!attn_isa_allowed(k->isa) || !attn_spec_same(k->spec, spec)) continue;
        if (!*out || k->isa > (*out)->isa) *out = k;
    }
    return *out ? ATTN_OK : ATTN_E_NO_KERNEL;
}

attn_status attn_plan_of_kernel(attn_plan **out, const attn_kernel *kernel, uint32_t flags) {
    attn_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return ATTN_E_MEMORY;
    plan->kernel = kernel;
    plan->reference = flags & ATTN_REFERENCE;
    for (int i = 0; i < 4; i++)
        snprintf(plan->name[i], sizeof plan->name[i], "%s:%s", kernel->name, variants[i]);
    *out = plan;
    return ATTN_OK;
}

attn_status attn_plan_create(attn_plan **out, const attn_spec *spec, uint32_t flags) {
    if (!out) return ATTN_E_ARGUMENT;
    *out = NULL;
    if (!spec || (flags & ~(uint32_t)ATTN_REFERENCE)) return ATTN_E_ARGUMENT;
    if (spec->struct_size != sizeof *spec) return ATTN_E_ABI;
    attn_spec resolved = *spec;
    attn_status status = attn_spec_resolve(&resolved, NULL);
    if (status != ATTN_OK) return status;
    if (resolved.level != ATTN_LEVEL_CORE) return ATTN_E_SPEC; /* attn_block_create takes layers */
    const attn_kernel *kernel;
    status = find_kernel(&resolved, &kernel);
    if (status == ATTN_OK) status = attn_plan_of_kernel(out, kernel, flags);
    if (status != ATTN_OK) return status;
    const char *verbose = getenv("ATTN_VERBOSE");
    if (verbose && *verbose && *verbose != '0')
        fprintf(stderr, "attn: %s%s\n", kernel->name, (*out)->reference ? ":reference" : "");
    return ATTN_OK;
}

void attn_plan_destroy(attn_plan *plan) {
    free(plan);
}

const char *attn_plan_kernel(const attn_plan *plan, int32_t q_len) {
    const char *variant = plan->reference ? "reference" : plan->kernel->variant(q_len);
    int i = 0;
    while (strcmp(variant, variants[i])) i++;
    return plan->name[i];
}

/* Extents whose products stay far inside 64 bits. */
static bool extents_ok(const attn_kernel *k, int32_t batch, int32_t q_len, int32_t kv_len_max,
                       int32_t threads) {
    if (batch < 0 || q_len < 0 || kv_len_max < 0 || threads < 0 || threads > 65536) return false;
    const double rows = (double)batch * k->spec->heads;
    const double longest = q_len > kv_len_max ? q_len : kv_len_max;
    return rows * longest * (attn_spec_k_dim(k->spec) + k->spec->v_dim) < 1e15;
}

uint64_t attn_plan_workspace(const attn_plan *plan, const attn_extent *e) {
    if (!extents_ok(plan->kernel, e->batch, e->q_len, e->kv_len_max, e->threads)) return UINT64_MAX;
    return plan->reference ? attn_reference_workspace(e) : plan->kernel->workspace(e);
}

attn_status attn_workspace(const attn_plan *plan, const attn_extent *extent, size_t *bytes) {
    if (!plan || !extent || !bytes) return ATTN_E_ARGUMENT;
    *bytes = 0;
    if (extent->struct_size != sizeof *extent) return ATTN_E_ABI;
    const uint64_t need = attn_plan_workspace(plan, extent);
    if (!attn_size_fits(need)) return ATTN_E_ARGUMENT;
    *bytes = (size_t)need;
    return ATTN_OK;
}

attn_status attn_sizes(const attn_plan *plan, const attn_extent *extent, attn_size *size) {
    if (!size) return ATTN_E_ARGUMENT;
    *size = (attn_size){0};
    attn_status status = attn_workspace(plan, extent, &size->workspace);
    if (status != ATTN_OK) return status;
    const attn_spec *spec = plan->kernel->spec;
    const int64_t batch = extent->batch, queries = batch * spec->heads * extent->q_len;
    const int64_t keys = batch * extent->kv_len_max, d = attn_spec_k_dim(spec);
    size->q = queries * d;
    size->k = keys * spec->kv_heads * d;
    size->v = keys * spec->v_heads * spec->v_dim;
    size->o = queries * spec->v_dim;
    size->lse = queries;
    return ATTN_OK;
}

/* Tensors that a layer would make. */
static attn_status check_tensors(const attn_kernel *k, const attn_args *a) {
    const bool queries = a->batch > 0 && a->q_len > 0, keys = queries && a->kv_len_max > 0;
    if (queries && (!a->q.data || !a->o.data)) return ATTN_E_ARGUMENT;
    if (keys && (!a->k.data || !a->v.data)) return ATTN_E_ARGUMENT;
    if (k->spec->sinks && !a->sinks) return ATTN_E_ARGUMENT;
    return !k->spec->sinks && a->sinks ? ATTN_E_UNUSED : ATTN_OK;
}

static attn_status check_pointers(const attn_kernel *k, const attn_args *a) {
    const bool cross = k->spec->op == ATTN_OP_SEGMENT_CROSS;
    if (a->batch > 0 && a->q_len > 0 && cross && !a->seg) return ATTN_E_ARGUMENT;
    if (k->side_count > 0 && !a->side) return ATTN_E_ARGUMENT;
    if (k->scalar_count > 0 && !a->scalars) return ATTN_E_ARGUMENT;
    if (!cross && a->seg) return ATTN_E_UNUSED;
    const bool flex = k->spec->backend == ATTN_BACKEND_FLEX;
    if (flex && a->mask.type != ATTN_MASK_NONE) return ATTN_E_UNUSED;
    if (!flex && (a->side_count || a->scalar_count)) return ATTN_E_UNUSED;
    return ATTN_OK;
}

static attn_status check_mask(const attn_kernel *k, const attn_args *a) {
    const attn_mask *m = &a->mask;
    if (m->type == ATTN_MASK_NONE) return ATTN_OK;
    if (m->type != ATTN_MASK_BOOL && m->type != ATTN_MASK_F32) return ATTN_E_ARGUMENT;
    if (m->rank < 1 || m->rank > 4) return ATTN_E_SHAPE;
    const int64_t want[4] = {a->batch, k->spec->heads, a->q_len, a->kv_len_max};
    bool empty = a->batch == 0 || a->q_len == 0 || a->kv_len_max == 0;
    for (int i = 0; i < m->rank; i++)
        if (m->dim[i] != 1 && m->dim[i] != want[4 - m->rank + i]) return ATTN_E_SHAPE;
    return m->data || empty ? ATTN_OK : ATTN_E_ARGUMENT;
}

static attn_status check_sides(const attn_kernel *k, const attn_args *a) {
    if (a->side_count != k->side_count || a->scalar_count != k->scalar_count) return ATTN_E_SHAPE;
    for (int i = 0; i < k->side_count; i++) {
        const int64_t count = attn_side_count(&k->sides[i], a->batch, k->spec->heads,
                                              k->spec->kv_heads, a->q_len, a->kv_len_max);
        /* Kernels index side tensors with 32 bits. */
        if (a->side[i].count != count || count > INT32_MAX) return ATTN_E_SHAPE;
        if (count > 0 && !a->side[i].data) return ATTN_E_ARGUMENT;
    }
    return ATTN_OK;
}

attn_status attn_plan_check(const attn_plan *plan, const attn_args *a) {
    const attn_kernel *k = plan->kernel;
    if (!extents_ok(k, a->batch, a->q_len, a->kv_len_max, a->threads)) return ATTN_E_ARGUMENT;
    attn_status status = check_pointers(k, a);
    if (status == ATTN_OK) status = check_mask(k, a);
    return status == ATTN_OK ? check_sides(k, a) : status;
}

static attn_status check_args(const attn_plan *plan, const attn_args *a) {
    attn_status status = attn_plan_check(plan, a);
    if (status == ATTN_OK) status = check_tensors(plan->kernel, a);
    if (status != ATTN_OK) return status;
    for (int32_t b = 0; a->kv_len && b < a->batch; b++)
        if (a->kv_len[b] < 0 || a->kv_len[b] > a->kv_len_max) return ATTN_E_LENGTH;
    const attn_extent e = {sizeof e, a->batch, a->q_len, a->kv_len_max, a->threads};
    const uint64_t need = attn_plan_workspace(plan, &e);
    if (!attn_size_fits(need)) return ATTN_E_ARGUMENT;
    if (need > 0 && (!a->workspace || (uintptr_t)a->workspace % 64 || a->workspace_bytes < need))
        return ATTN_E_WORKSPACE;
    return ATTN_OK;
}

attn_status attn_run_checked(const attn_kernel *kernel, const attn_args *args, const int32_t *rows,
                             bool reference) {
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
    kernel->run(args, rows);
    return ATTN_OK;
}

attn_status attn_run(const attn_plan *plan, const attn_args *args) {
    if (!plan || !args) return ATTN_E_ARGUMENT;
    if (args->struct_size != sizeof *args) return ATTN_E_ABI;
    attn_status status = check_args(plan, args);
    if (status != ATTN_OK) return status;
    return attn_run_checked(plan->kernel, args, NULL, plan->reference);
}
