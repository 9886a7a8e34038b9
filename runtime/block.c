/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* block.c - layers: from a spec to the best linked layer. */
#include "block.h"
#include "cpu.h"
#include "mode.h"
#include "spec.h"

#include <stdio.h>
#include <stdlib.h>

attn_status attn_check_block(const attn_why *why, const attn_block *block) {
    return block ? ATTN_OK : attn_refuse(why, ATTN_E_ARGUMENT, "block is null");
}

attn_status attn_block_find(const attn_spec *given, const attn_spec *spec,
                            const attn_block_kernel **out) {
    const attn_block_kernel *best = NULL;
    const attn_registry *from = NULL;
    for (const attn_registry *r = attn_registries; r; r = r->next)
        for (int i = 0; i < r->blocks; i++) {
            const attn_block_kernel *k = r->block[i];
            if (k->abi != ATTN_KERNEL_ABI) return ATTN_E_ABI;
            if (!attn_isa_allowed_as(k->isa, k->core->unasked)) continue;
            if (!attn_spec_same(k->spec, spec)) continue;
            if (attn_kernel_better(given, k->isa, r, from ? best->isa : k->isa, from))
                best = k, from = r;
        }
    if (out) *out = best;
    return best ? ATTN_OK : ATTN_E_NO_KERNEL;
}

static void destroy(attn_block *block) {
    if (!block) return;
    attn_own_plan_destroy(block->core);
    attn_own_plan_destroy(block->expanded);
    free(block);
}

static __attribute__((noinline)) attn_status create(attn_block **out, const attn_spec *spec,
                                                    uint32_t flags) {
    attn_spec resolved;
    attn_status status = attn_spec_take(NULL, spec, flags, &resolved);
    if (status != ATTN_OK) return status;
    if (resolved.level != ATTN_LEVEL_BLOCK) return ATTN_E_SPEC;
    const attn_block_kernel *best;
    status = attn_block_find(spec, &resolved, &best);
    if (status != ATTN_OK) return status;
    if (!attn_arithmetic_ok() || !best->arithmetic_ok()) return ATTN_E_ARITHMETIC;
    if (!attn_size_fits(attn_packed_total(best))) return ATTN_E_MEMORY;
    attn_block *block = calloc(1, sizeof *block);
    if (!block) return ATTN_E_MEMORY;
    block->kernel = best;
    block->reference = flags & ATTN_REFERENCE;
    status = attn_plan_of_kernel(&block->core, best->core, flags);
    if (status == ATTN_OK && best->expanded)
        status = attn_plan_of_kernel(&block->expanded, best->expanded, flags);
    if (status != ATTN_OK) {
        destroy(block);
        return status;
    }
    const char *verbose = getenv("ATTN_VERBOSE");
    if (verbose && *verbose && *verbose != '0')
        fprintf(stderr, "attn: %s (core %s)\n", best->name, best->core->name);
    *out = block;
    return ATTN_OK;
}

attn_status attn_own_block_create(attn_block **out, const attn_spec *spec, uint32_t flags) {
    if (!out) return ATTN_E_ARGUMENT;
    *out = NULL;
    const attn_mode mode = attn_mode_enter();
    const attn_status status = create(out, spec, flags);
    attn_mode_leave(mode);
    return status;
}

attn_status attn_block_create(attn_block **out, const attn_spec *spec, uint32_t flags) {
    return attn_own_block_create(out, spec, flags);
}

void attn_own_block_destroy(attn_block *block) {
    destroy(block);
}

void attn_block_destroy(attn_block *block) {
    destroy(block);
}

const char *attn_block_name(const attn_block *block) {
    return block ? block->kernel->name : "";
}

int32_t attn_block_weights(const attn_block *block, attn_tensor *list, int32_t capacity) {
    const attn_block_kernel *k = block ? block->kernel : NULL;
    const int32_t all = k ? k->weight_count + k->expert_weight_count : 0;
    int32_t n = 0;
    for (int32_t i = 0; i < all; i++) {
        const attn_weight *w =
            i < k->weight_count ? &k->weights[i] : &k->expert_weights[i - k->weight_count];
        if (!w->used) continue;
        if (list && n < capacity)
            list[n] = (attn_tensor){
                .name = w->name, .rank = w->rank, .dim = {w->dim[0], w->dim[1], w->dim[2], 0}};
        n++;
    }
    return n;
}
