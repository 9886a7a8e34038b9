/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* dispatch.h - what plans (plan.c), their calls (dispatch.c) and layers (block*.c) use of each
 * other. */
#ifndef ATTN_DISPATCH_H
#define ATTN_DISPATCH_H

#include "check.h"
#include "spec.h"

ATTN_HIDDEN_BEGIN

enum { ATTN_PLAN_VARIANTS = 5 };
struct attn_plan {
    const attn_kernel *kernel;
    bool reference;
    char name[ATTN_PLAN_VARIANTS][ATTN_NAME_MAX];
};

bool attn_spec_same(const attn_spec *a, const attn_spec *b);
attn_status attn_plan_of_kernel(attn_plan **out, const attn_kernel *kernel, uint32_t flags);
/* Checks a spec as create takes it, and fills in its defaults. */
attn_status attn_spec_take(const attn_why *why, const attn_spec *spec, uint32_t flags,
                           attn_spec *resolved);
/* Whether a kernel for an instruction set, of a model's registry, is better for a spec than
 * another: by the instruction set; of equal ones, where the spec as given is one of the model's own
 * layers, since another model may have other code for the same spec (--tune). best_of: null: there
 * is none. */
bool attn_kernel_better(const attn_spec *given, attn_isa isa, const attn_registry *of,
                        attn_isa best, const attn_registry *best_of);
/* The best linked layer for a spec as given, and resolved; out may be null. */
attn_status attn_block_find(const attn_spec *given, const attn_spec *spec,
                            const attn_block_kernel **out);
/* Checks what a layer hands through to its core: lengths, masks, side tensors, seg. Tensors that
 * the layer makes itself are taken as given. */
attn_status attn_inputs_check(const attn_why *why, const attn_kernel *kernel,
                              const attn_args *args);
/* Bytes that a call needs; UINT64_MAX: more than 64 bits hold, or extents that no call may have. */
uint64_t attn_plan_workspace(const attn_plan *plan, const attn_extent *extent);
/* Runs a call that was checked, on the rows that exist (null: all); a reference, or in a debug
 * build a kernel, looks first whether an expression reads a side tensor out of range (ATTN_E_INDEX,
 * and nothing was written). */
attn_status attn_run_checked(const attn_kernel *kernel, const attn_args *args, const int32_t *rows,
                             attn_team *team, bool reference);

ATTN_VISIBILITY_END

#endif
