/* import_gguf_types.h - what a GGUF file's weights are stored in. */
#ifndef GEN_IMPORT_GGUF_TYPES_H
#define GEN_IMPORT_GGUF_TYPES_H

#include "gguf.h"
#include "util.h"

typedef struct gguf_types {
    int32_t most;       /* attn_weight_type of most matrices of layers */
    const char *layers; /* what differs from it: a JSON list, an object with weight_types a layer */
    const char *stored; /* notes: a line a type, the matrices that have it */
    const char *widened; /* notes: what layers do not hold as the file does */
} gguf_types;

/* path: for notes. */
gguf_types import_gguf_types(arena *a, const char *path, const attn_gguf *file, int32_t layers);

#endif
