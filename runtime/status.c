/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* status.c - statuses in words. */
#include "attn_kernel.h"

const char *attn_status_text(attn_status status) {
    switch (status) {
    case ATTN_OK: return "ok";
    case ATTN_E_ARGUMENT:
        return "an argument is null, out of range, or shares memory with what the call writes: "
               "attn_plan_check, attn_prefill_check, attn_step_check and attn_packed_check name it";
    case ATTN_E_SPEC:
        return "the spec breaks a rule, or is of the other level (core or block): start from "
               "attn_spec_init or a generated spec; attn_spec_check names the field";
    case ATTN_E_NO_KERNEL:
        return "no linked kernel has this spec and runs on this CPU: generate one, link its files, "
               "and check ATTN_ISA";
    case ATTN_E_ABI:
        return "struct_size or the kernel's ABI number does not fit this runtime: start from "
               "attn_spec_init, ATTN_ARGS_INIT and ATTN_BLOCK_ARGS_INIT, and build kernels and "
               "runtime together";
    case ATTN_E_LENGTH:
        return "a length is outside its extent: kv_len[b] 0..kv_len_max, a layer's count[b] "
               "0..tokens and kv_count[b] 0..kv_tokens; or q_begin does not ascend, or gives an "
               "item more rows than q_len or tokens";
    case ATTN_E_SHAPE:
        return "attn_mask does not broadcast to [batch, heads, q_len, kv_len_max], or a side "
               "tensor's or the scalars' count is not what the spec declares: attn_plan_check and "
               "attn_prefill_check name it";
    case ATTN_E_UNUSED:
        return "an argument is given that this spec does not take: attn_mask belongs to sdpa, side "
               "tensors and scalars to flex, seg to segment_cross, sinks to specs with sinks, kv "
               "and its positions to layers with kv_dim";
    case ATTN_E_WORKSPACE:
        return "workspace is null, not 64-byte aligned, or smaller than attn_workspace or "
               "attn_block_workspace says for these extents and threads";
    case ATTN_E_INDEX: return "a side-tensor index is out of range at a visible pair";
    case ATTN_E_MEMORY: return "out of memory";
    case ATTN_E_WEIGHTS:
        return "a weight is missing, unknown, doubled, of another shape, or not to be stored as "
               "weight_type says: attn_block_pack's message names it, and attn_block_weights lists "
               "what the layer takes";
    case ATTN_E_PACKED:
        return "the packed weights are of another layer, instruction set or version, or damaged: "
               "pack them again; attn_packed_check says which";
    case ATTN_E_CACHE:
        return "the cache is missing in a step, was made for another layer or batch, or has no "
               "room for the new tokens (attn_cache_capacity): attn_cache_check and "
               "attn_step_check say which";
    case ATTN_E_ARITHMETIC:
        return "the kernels or the runtime were compiled with options that change floating point "
               "(a part of -ffast-math, such as -fassociative-math, or "
               "-fsingle-precision-constant): compile them without, for example with -O2 alone";
    case ATTN_E_PAGE:
        return "an entry of pages that is needed lies outside 0..page_count - 1, or names a page "
               "that is to be written and is another item's, too: attn_plan_check, "
               "attn_prefill_check, attn_step_check and the checks of caches name it";
    case ATTN_STATUS_COUNT: break;
    }
    return "unknown status";
}
