/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_call.h - a call of a whole model, checked (model_check.c) and run (model_run.c). */
#ifndef ATTN_MODEL_CALL_H
#define ATTN_MODEL_CALL_H

#include "model.h"

ATTN_HIDDEN_BEGIN

typedef struct attn_model_call {
    const attn_model *model;
    attn_model_args args; /* of this library's size, row strides filled in */
    int32_t rows, tokens; /* in all, and of the longest item */
    int32_t threads;
    attn_status status; /* of the layers */
    /* The workspace. */
    float *h;      /* [rows][width] */
    float *picked; /* [logit_count][attn_model_head_width] rows whose logits are wanted */
    float *buffer; /* [threads][attn_model_buffer] */
    char *layers;  /* theirs */
    uint64_t layers_bytes;
} attn_model_call;

/* A layer's part of the call. */
attn_block_args attn_model_layer_args(const attn_model_call *c, int32_t layer);
/* Every reason to refuse a call; sizing: pointers but begin and cache are not looked at, and
 * *bytes is what the workspace has to have. */
attn_status attn_model_call_check(const attn_why *why, const attn_model *model,
                                  const attn_model_args *args, bool sizing, attn_model_call *c,
                                  size_t *bytes);

ATTN_VISIBILITY_END

#endif
