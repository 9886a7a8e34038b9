/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* gguf.h - a GGUF file (version 2 or 3, little-endian) that lies in memory: its metadata, and where
 * its tensors are. Source: the GGUF specification (ggml, docs/gguf.md), and what ggml's gguf.cpp
 * takes.
 *
 *     attn_gguf g;
 *     if (attn_gguf_open(&g, data, bytes, message, sizeof message) != ATTN_OK) ..
 *     for (attn_gguf_key k = {0}; attn_gguf_next_key(&g, &k);) ..
 *     for (attn_gguf_tensor t = {0}; attn_gguf_next_tensor(&g, &t);) ..
 *
 * The file is of others: attn_gguf_open checks every length, type, count and offset, and that no
 * name is given twice; what lies beyond is never read. Names and strings are bytes of the file,
 * without a zero at the end. Nothing is allocated or copied, and pointers are into the file: they
 * live as long as it does. No state: thread-safe. */
#ifndef ATTN_GGUF_H
#define ATTN_GGUF_H

#include "compiler.h"
#include "attn.h"
#include <stdbool.h>

ATTN_HIDDEN_BEGIN

enum {
    ATTN_GGUF_COUNT_MAX = 65536, /* keys, and tensors */
    ATTN_GGUF_RANK_MAX = 4,      /* as ggml */
    ATTN_GGUF_NAME_MAX = 64,     /* of a tensor, with the zero at its end; as ggml */
    ATTN_GGUF_KEY_MAX = 65535    /* of a key's name, as the specification */
};

/* What a value is, by the format's numbers. */
typedef enum attn_gguf_kind {
    ATTN_GGUF_U8,
    ATTN_GGUF_I8,
    ATTN_GGUF_U16,
    ATTN_GGUF_I16,
    ATTN_GGUF_U32,
    ATTN_GGUF_I32,
    ATTN_GGUF_F32,
    ATTN_GGUF_BOOL,
    ATTN_GGUF_STRING,
    ATTN_GGUF_ARRAY,
    ATTN_GGUF_U64,
    ATTN_GGUF_I64,
    ATTN_GGUF_F64,
    ATTN_GGUF_KINDS
} attn_gguf_kind;

typedef struct attn_gguf_text {
    const char *data;
    uint64_t length;
} attn_gguf_text;

typedef struct attn_gguf {
    const uint8_t *data;
    uint64_t bytes;
    uint32_t version;
    uint32_t alignment;      /* of tensors, in bytes */
    uint64_t keys, tensors;  /* how many */
    uint64_t tensor_list_at; /* offsets in the file; keys begin at 24 */
    uint64_t data_at;
} attn_gguf;

/* A key and its value,. */
typedef struct attn_gguf_key {
    attn_gguf_text name;
    attn_gguf_kind kind; /* of the value; of an array, of its elements */
    bool array;
    uint64_t count; /* of elements; 1 where it is no array */
    uint64_t at;    /* offset of the first element */
    uint64_t next;  /* of what follows; 0: none has been read */
    uint64_t index; /* how many keys have been read */
} attn_gguf_key;

typedef struct attn_gguf_tensor {
    char name[ATTN_GGUF_NAME_MAX];
    int32_t rank;
    int64_t dim[ATTN_GGUF_RANK_MAX]; /* slowest first, as attn_tensor has them; the file has the
                                        fastest first */
    int32_t type;                    /* attn_weight_type */
    const void *data;                /* aligned in the file; rows of whole blocks */
    uint64_t bytes;
    uint64_t at;          /* offset of its entry in the list */
    uint64_t next, index; /* as above */
} attn_gguf_tensor;

/* ATTN_E_WEIGHTS, with a message (may be null) that says at which byte, what is wrong and what is
 * allowed, if this is no GGUF file that is understood; ATTN_E_ARGUMENT where g or data is null. */
attn_status attn_gguf_open(attn_gguf *g, const void *data, size_t bytes, char *message,
                           size_t message_size);

/* The next key; k->next = 0: the first. False at the end. */
bool attn_gguf_next_key(const attn_gguf *g, attn_gguf_key *k);
bool attn_gguf_find(const attn_gguf *g, const char *name, attn_gguf_key *k);

/* The next tensor; t->next = 0: the first. False at the end. */
bool attn_gguf_next_tensor(const attn_gguf *g, attn_gguf_tensor *t);
bool attn_gguf_find_tensor(const attn_gguf *g, const char *name, attn_gguf_tensor *t);

/* Element i of a key's value (0, where it is no array), as whatever fits: false where the kind or
 * the value does not. Integers of any width are numbers too. Of an array of strings
 * in the order of i: each call goes from the first. */
bool attn_gguf_int(const attn_gguf *g, const attn_gguf_key *k, uint64_t i, int64_t *out);
bool attn_gguf_number(const attn_gguf *g, const attn_gguf_key *k, uint64_t i, double *out);
bool attn_gguf_bool(const attn_gguf *g, const attn_gguf_key *k, uint64_t i, bool *out);
bool attn_gguf_string(const attn_gguf *g, const attn_gguf_key *k, uint64_t i, attn_gguf_text *out);
/* Of an array of strings in order: *at = k->at before the first, and moves on. */
bool attn_gguf_next_string(const attn_gguf *g, uint64_t *at, attn_gguf_text *out);

bool attn_gguf_is(attn_gguf_text text, const char *word);

ATTN_VISIBILITY_END

#endif
