/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_abi.c - abi.c for the structs of attn_model.h. */
#include "attn_model.h"

#include <string.h>

typedef struct model_struct_row {
    const char *name;
    size_t bytes;
} model_struct_row;

static const model_struct_row model_structs[] = {
#define STRUCT_ROW(type) {#type, sizeof(type)},
    STRUCT_ROW(attn_model_args) STRUCT_ROW(attn_model_cache) STRUCT_ROW(attn_model_info)
        STRUCT_ROW(attn_model_options)
#undef STRUCT_ROW
};

size_t attn_model_struct_bytes(const char *name) {
    for (size_t i = 0; name && i < sizeof model_structs / sizeof *model_structs; i++)
        if (!strcmp(model_structs[i].name, name)) return model_structs[i].bytes;
    return 0;
}
