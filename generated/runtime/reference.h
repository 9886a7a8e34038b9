/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* reference.h - the contract's formula in double precision, one row at a time: slow and plain. */
#ifndef ATTN_REFERENCE_H
#define ATTN_REFERENCE_H

#include "attn_kernel.h"

ATTN_HIDDEN_BEGIN

/* Bytes of workspace that attn_reference_run needs: one score a key. */
uint64_t attn_reference_workspace(const attn_extent *extent);

/* Writes o and lse. Returns ATTN_E_INDEX, with rows up to there written, where an expression reads
 * a side tensor out of range at a visible pair. args->workspace may be shared with nobody. rows: as
 * in attn_kernel.run. */
attn_status attn_reference_run(const attn_kernel *kernel, const attn_args *args,
                               const int32_t *rows);

/* The same walk over the visible pairs without output: debug builds run it before a kernel. */
attn_status attn_reference_check(const attn_kernel *kernel, const attn_args *args,
                                 const int32_t *rows);

ATTN_VISIBILITY_END

#endif
