/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* json.h - JSON (RFC 8259) read in passing: the headers and indexes of safetensors files, which are
 * of others. What lies beyond the text is never read; nothing is allocated, and nesting is limited.
 * Each function moves on and returns true, or says in the message at which byte what is wrong. */
#ifndef ATTN_JSON_H
#define ATTN_JSON_H

#include "compiler.h"
#include "attn.h"
#include <stdbool.h>

ATTN_HIDDEN_BEGIN

/* Bytes of the text, without a zero at the end. */
typedef struct attn_text {
    const char *data;
    size_t length;
} attn_text;

typedef struct attn_json {
    const char *text;
    size_t bytes, at;
    char *message; /* may be null */
    size_t message_size;
} attn_json;

/* Returns false. */
bool attn_json_wrong(const attn_json *j, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The next byte that is no blank; 0 at the end. */
char attn_json_peek(attn_json *j);
/* One of { } [ ] , : */
bool attn_json_take(attn_json *j, char what);
/* The next member of an object, or item of an array, whose end is `close`: true before it; false at
 * the end, which is taken, and where something is wrong, *ok = false. first: whether it is the
 * first one; becomes false. */
bool attn_json_more(attn_json *j, char close, bool *first, bool *ok);
/* A member's name and the colon. */
bool attn_json_name(attn_json *j, attn_text *out);
/* A string that has no escapes: names of tensors and files have none. */
bool attn_json_string(attn_json *j, attn_text *out);
/* A whole number from 0 to 2^63 - 1. */
bool attn_json_whole(attn_json *j, int64_t *out);
/* Any value. */
bool attn_json_skip(attn_json *j);
/* Blanks to the end of the text. */
bool attn_json_end(attn_json *j);

bool attn_text_is(attn_text text, const char *word);
/* For messages: what is not plain ASCII as '?', cut where it is long. */
enum { ATTN_SHOWN_MAX = 120 };
const char *attn_text_shown(attn_text text, char out[ATTN_SHOWN_MAX]);

ATTN_VISIBILITY_END

#endif
