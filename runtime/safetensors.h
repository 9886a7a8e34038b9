/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* safetensors.h - a safetensors file that lies in memory: where its tensors are; and the index of a
 * model in several such files. Source: huggingface/safetensors, README.md and tensor.rs.
 *
 *     attn_safetensors s;
 *     if (attn_safetensors_open(&s, data, bytes, message, sizeof message) != ATTN_OK) ..
 *     for (attn_safetensor t = {0}; attn_safetensors_next(&s, &t);) ..
 *
 * The files are of others: open checks every length, shape and offset; what lies beyond is never
 * read. Nothing is allocated or copied; pointers are into the file. No state: thread-safe. */
#ifndef ATTN_SAFETENSORS_H
#define ATTN_SAFETENSORS_H

#include "json.h"

ATTN_HIDDEN_BEGIN

enum { ATTN_SAFETENSORS_RANK_MAX = 8, ATTN_SAFETENSORS_HEADER_MAX = 100000000 };

typedef struct attn_safetensors {
    const char *header; /* JSON */
    size_t header_bytes;
    const uint8_t *data; /* of tensors */
    uint64_t bytes;
} attn_safetensors;

typedef struct attn_safetensor {
    attn_text name, dtype; /* "F32" */
    int32_t type;          /* attn_weight_type; -1: a dtype that no weight has */
    int32_t rank;
    int64_t dim[ATTN_SAFETENSORS_RANK_MAX];
    const void *data; /* at any address */
    uint64_t bytes;
    size_t next; /* in the header; 0: none has been read */
} attn_safetensor;

/* ATTN_E_WEIGHTS, with a message (may be null) that says at which byte of the header, what is wrong
 * and what is allowed; ATTN_E_ARGUMENT: null. */
attn_status attn_safetensors_open(attn_safetensors *s, const void *data, size_t bytes,
                                  char *message, size_t message_size);
/* The next tensor; t->next = 0: the first. False at the end. Names may be given twice. */
bool attn_safetensors_next(const attn_safetensors *s, attn_safetensor *t);

/* The entries of an index's weight_map: a tensor, and the file that has it, which is a plain name:
 * no path leads out of the folder. at = 0: the first. False at the end, and where the text is no
 * index, *ok = false, with a message. */
typedef struct attn_safetensors_index {
    attn_json json;
    bool first, open;
    attn_text name, file;
} attn_safetensors_index;
bool attn_safetensors_index_next(attn_safetensors_index *x, bool *ok);

ATTN_VISIBILITY_END

#endif
