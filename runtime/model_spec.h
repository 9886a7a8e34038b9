/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_spec.h - what stands around the layers of a whole model, as the runtime and the generator
 * have it. */
#ifndef ATTN_MODEL_SPEC_H
#define ATTN_MODEL_SPEC_H

#include "compiler.h"
#include "attn.h"

/* Values of the enum fields of model_fields.def. */
typedef enum attn_model_names {
#define MODEL_NAMES(id, ...) ATTN_MODEL_NAMES_##id,
#include "model_names.def"
    ATTN_MODEL_NAMES_COUNT
} attn_model_names;
typedef enum attn_model_files {
    ATTN_MODEL_FILES_SAFETENSORS,
    ATTN_MODEL_FILES_GGUF
} attn_model_files;
typedef enum attn_model_head {
    ATTN_MODEL_HEAD_NONE,
    ATTN_MODEL_HEAD_TIED,
    ATTN_MODEL_HEAD_OWN
} attn_model_head;
typedef enum attn_model_input { ATTN_MODEL_INPUT_IDS, ATTN_MODEL_INPUT_ROWS } attn_model_input;
typedef enum attn_model_embed_project {
    ATTN_MODEL_EMBED_PROJECT_NONE,
    ATTN_MODEL_EMBED_PROJECT_LAST,
    ATTN_MODEL_EMBED_PROJECT_FIRST
} attn_model_embed_project;
typedef enum attn_model_pool {
    ATTN_MODEL_POOL_NONE,
    ATTN_MODEL_POOL_CLS,
    ATTN_MODEL_POOL_MEAN,
    ATTN_MODEL_POOL_LAST
} attn_model_pool;

typedef struct attn_floats {
    const float *data;
    int32_t count;
} attn_floats;

/* What stands around the layers: the fields of model_fields.def. */
typedef struct attn_model_spec {
#define MODEL_ENUM(name, ...) int32_t name;
#define MODEL_INT(name, ...) int32_t name;
#define MODEL_BOOL(name, ...) int32_t name;
#define MODEL_FLOAT(name, ...) float name;
#define MODEL_FLOATS(name, ...) attn_floats name;
#include "model_fields.def"
} attn_model_spec;

#endif
