/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_call.h - a call of a whole model, checked (model_check.c) and run (model_run.c). */
#ifndef ATTN_MODEL_CALL_H
#define ATTN_MODEL_CALL_H

#include "model.h"

ATTN_HIDDEN_BEGIN

typedef struct attn_model_call {
    const attn_model *model;
    const attn_model_stack *stack; /* that runs */
    bool encodes;                  /* it is the encoder */
    attn_model_args args;          /* of this library's size, row strides filled in */
    int32_t rows, tokens;          /* in all, and of the longest item */
    int32_t threads;
    attn_status status; /* of the layers */
    /* The workspace. */
    float *h;      /* [rows][width] */
    float *kv;     /* encodes: [items][tokens][width] normed rows */
    int32_t *kept; /* encodes: [items] how many of them there are */
    float *picked; /* [logit_count][attn_model_head_width] rows whose logits are wanted */
    float *buffer; /* [threads][attn_model_buffer] */
    char *layers;  /* theirs */
    uint64_t layers_bytes;
} attn_model_call;

/* A layer of the stack's part of the call, and whether it is a prefill. */
attn_block_args attn_model_layer_args(const attn_model_call *c, int32_t layer);
bool attn_model_layer_resets(const attn_model_call *c, int32_t layer);
/* Of a call that encodes: what the n-th layer with keys of the encoder's takes from its rows. */
attn_block_args attn_model_cross_args(const attn_model_call *c, int32_t n);
/* How many of these there are. */
static inline int32_t attn_model_crossings(const attn_model_call *c) {
    return c->encodes && c->args.cross ? c->model->cross.count : 0;
}

/* What a caller asks: a call of the encoder or of the other stack; sizing: pointers but begin and
 * caches are not looked at. */
typedef struct attn_model_question {
    const attn_model *model;
    const attn_model_args *args;
    bool encodes, sizing;
} attn_model_question;

/* Every reason to refuse a call; *bytes is what the workspace has to have. */
attn_status attn_model_call_check(const attn_why *why, const attn_model_question *q,
                                  attn_model_call *c, size_t *bytes);

ATTN_VISIBILITY_END

#endif
