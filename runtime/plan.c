/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* plan.c - plans: from a spec to the best linked kernel. */
#include "check.h"
#include "cpu.h"
#include "dispatch.h"
#include "mode.h"
#include "spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const variants[ATTN_PLAN_VARIANTS] = {"prefill", "decode", "gather", "index",
                                                         "reference"};

bool attn_spec_same(const attn_spec *a, const attn_spec *b) {
#define ATTN_FIELD_ENUM(name, ...) \
    if (a->name != b->name) return false;
#define ATTN_FIELD_INT(name, ...) \
    if (a->name != b->name) return false;
#define ATTN_FIELD_BOOL(name, ...) \
    if (a->name != b->name) return false;
#define ATTN_FIELD_FLOAT(name, ...) \
    if (a->name != b->name) return false;
#define ATTN_FIELD_TYPES(name, ...) \
    if (memcmp(a->name, b->name, sizeof a->name)) return false;
#include "spec_fields.def"
    return a->expr_hash == b->expr_hash;
}

const attn_registry *attn_registries = NULL;

/* By its address, not by what it says. */
static bool has_layer(const attn_registry *r, const attn_spec *spec) {
    const uintptr_t at = (uintptr_t)spec, first = (uintptr_t)r->layer;
    return at >= first && at < first + (uintptr_t)r->layers * sizeof *spec;
}

bool attn_kernel_better(const attn_spec *given, attn_isa isa, const attn_registry *of,
                        attn_isa best, const attn_registry *best_of) {
    if (!best_of) return true;
    if (isa != best) return attn_isa_better(isa, best);
    return has_layer(of, given) && !has_layer(best_of, given);
}

static attn_status find_kernel(const attn_spec *given, const attn_spec *spec,
                               const attn_kernel **out) {
    const attn_registry *from = NULL;
    *out = NULL;
    if (!attn_registry_linked) return ATTN_E_NO_KERNEL; /* it is 1, and its model is linked */
    for (const attn_registry *r = attn_registries; r; r = r->next)
        for (int i = 0; i < r->kernels; i++) {
            const attn_kernel *k = r->kernel[i];
            if (k->abi != ATTN_KERNEL_ABI) return ATTN_E_ABI;
            if (!attn_isa_allowed_as(k->isa, k->unasked)) continue;
            if (!attn_spec_same(k->spec, spec)) continue;
            if (attn_kernel_better(given, k->isa, r, from ? (*out)->isa : k->isa, from))
                *out = k, from = r;
        }
    return *out ? ATTN_OK : ATTN_E_NO_KERNEL;
}

attn_status attn_spec_take(const attn_why *why, const attn_spec *spec, uint32_t flags,
                           attn_spec *resolved) {
    if (!spec) return attn_refuse(why, ATTN_E_ARGUMENT, "spec is null");
    if (flags & ~(uint32_t)ATTN_REFERENCE)
        return attn_refuse(why, ATTN_E_ARGUMENT, "flags is 0x%x: must be 0 or ATTN_REFERENCE",
                           (unsigned)flags);
    attn_status status = attn_check_size(why, "spec", spec->struct_size, sizeof *spec,
                                         "attn_spec_init or a generated spec");
    if (status != ATTN_OK) return status;
    *resolved = *spec;
    attn_spec_error error;
    status = attn_spec_resolve(resolved, &error);
    return status == ATTN_OK ? status : attn_refuse(why, status, "%s %s", error.field, error.text);
}

attn_status attn_plan_of_kernel(attn_plan **out, const attn_kernel *kernel, uint32_t flags) {
    if (!attn_arithmetic_ok() || !kernel->arithmetic_ok()) return ATTN_E_ARITHMETIC;
    attn_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return ATTN_E_MEMORY;
    plan->kernel = kernel;
    plan->reference = flags & ATTN_REFERENCE;
    for (int i = 0; i < ATTN_PLAN_VARIANTS; i++)
        snprintf(plan->name[i], sizeof plan->name[i], "%s:%s", kernel->name, variants[i]);
    *out = plan;
    return ATTN_OK;
}

static __attribute__((noinline)) attn_status create(attn_plan **out, const attn_spec *spec,
                                                    uint32_t flags) {
    attn_spec resolved;
    attn_status status = attn_spec_take(NULL, spec, flags, &resolved);
    if (status != ATTN_OK) return status;
    if (resolved.level != ATTN_LEVEL_CORE) return ATTN_E_SPEC; /* attn_block_create takes layers */
    const attn_kernel *kernel;
    status = find_kernel(spec, &resolved, &kernel);
    if (status == ATTN_OK) status = attn_plan_of_kernel(out, kernel, flags);
    if (status != ATTN_OK) return status;
    const char *verbose = getenv("ATTN_VERBOSE");
    if (verbose && *verbose && *verbose != '0')
        fprintf(stderr, "attn: %s%s\n", kernel->name, (*out)->reference ? ":reference" : "");
    return ATTN_OK;
}

attn_status attn_own_plan_create(attn_plan **out, const attn_spec *spec, uint32_t flags) {
    if (!out) return ATTN_E_ARGUMENT;
    *out = NULL;
    const attn_mode mode = attn_mode_enter();
    const attn_status status = create(out, spec, flags);
    attn_mode_leave(mode);
    return status;
}

attn_status attn_plan_create(attn_plan **out, const attn_spec *spec, uint32_t flags) {
    return attn_own_plan_create(out, spec, flags);
}

static __attribute__((noinline)) attn_status check_spec(const attn_why *why, const attn_spec *spec,
                                                        uint32_t flags) {
    attn_spec resolved;
    attn_status status = attn_spec_take(why, spec, flags, &resolved);
    if (status != ATTN_OK) return status;
    const attn_kernel *kernel;
    status = resolved.level == ATTN_LEVEL_CORE ? find_kernel(spec, &resolved, &kernel)
                                               : attn_block_find(spec, &resolved, NULL);
    if (status == ATTN_OK) return status;
    if (status == ATTN_E_ABI)
        return attn_refuse(why, status,
                           "a linked kernel was generated for another runtime: "
                           "generate and build both together");
    char name[ATTN_NAME_MAX];
    attn_spec_format(&resolved, name);
    const char *cap = getenv("ATTN_ISA");
    return attn_refuse(why, status, "no linked kernel is %s and runs on this CPU%s%s", name,
                       cap && *cap ? " under ATTN_ISA=" : "", cap && *cap ? cap : "");
}

attn_status attn_spec_check(const attn_spec *spec, uint32_t flags, char *message, size_t size) {
    const attn_why why = attn_why_begin(message, size);
    const attn_mode mode = attn_mode_enter();
    const attn_status status = check_spec(&why, spec, flags);
    attn_mode_leave(mode);
    return status;
}

void attn_own_plan_destroy(attn_plan *plan) {
    free(plan);
}

void attn_plan_destroy(attn_plan *plan) {
    attn_own_plan_destroy(plan);
}

const char *attn_plan_kernel(const attn_plan *plan, int32_t q_len) {
    if (!plan) return "";
    const char *variant = plan->reference ? "reference" : plan->kernel->variant(q_len);
    for (int i = 0; variant && i < ATTN_PLAN_VARIANTS; i++)
        if (!strcmp(variant, variants[i])) return plan->name[i];
    return plan->kernel->name; /* a variant that this runtime does not know */
}
