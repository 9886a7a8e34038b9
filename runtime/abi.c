/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* abi.c - what callers that do not compile attn.h compare their layouts with. */
#include "attn_kernel.h"

typedef struct struct_row {
    const char *name;
    size_t bytes;
} struct_row;

static const struct_row structs[] = {
#define STRUCT_ROW(type) {#type, sizeof(type)},
    STRUCT_ROW(attn_args) STRUCT_ROW(attn_block_args) STRUCT_ROW(attn_cache) STRUCT_ROW(attn_extent)
        STRUCT_ROW(attn_key_size) STRUCT_ROW(attn_mask) STRUCT_ROW(attn_merge_args)
            STRUCT_ROW(attn_out) STRUCT_ROW(attn_part) STRUCT_ROW(attn_pool) STRUCT_ROW(attn_rows)
                STRUCT_ROW(attn_scalar) STRUCT_ROW(attn_scales) STRUCT_ROW(attn_scales_out)
                    STRUCT_ROW(attn_side) STRUCT_ROW(attn_size) STRUCT_ROW(attn_spec)
                        STRUCT_ROW(attn_tensor) STRUCT_ROW(attn_view)
#undef STRUCT_ROW
};

size_t attn_struct_bytes(const char *name) {
    for (size_t i = 0; name && i < sizeof structs / sizeof *structs; i++)
        if (!strcmp(structs[i].name, name)) return structs[i].bytes;
    return 0;
}

int32_t attn_abi(void) {
    return ATTN_KERNEL_ABI;
}
