/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* op.h - what an op lets a query row see: a row of op.c's table each. The reference, the rules of
 * specs, plans, explain, banners and the selftest ask here. Kernels know it from their template,
 * op/NAME.c.tpl, and the generator's oracle restates it: each is held to the others by tests. */
#ifndef ATTN_OP_H
#define ATTN_OP_H

#include "spec.h"

ATTN_HIDDEN_BEGIN

#define ATTN_FAR ((int64_t)1 << 40) /* farther than any key */

/* No key that a row sees lies more than `back` before its place or more than `ahead` after it, and
 * there are at most `most` of them. ATTN_FAR: no bound. */
typedef struct attn_op_reach {
    int64_t back, ahead, most;
} attn_op_reach;

/* Keys first..last; first > last: none. */
typedef struct attn_keys {
    int64_t first, last;
} attn_keys;

enum { ATTN_OP_WORDS_MAX = 160, ATTN_FEW_KEYS = 16 };

/* What an op's row says. A row of queries has a place: its position, or its segment. Specs are
 * resolved. */
typedef struct attn_op_rule {
    int fields;    /* ATTN_IN_*: the fields that it takes */
    bool segments; /* the place is seg[b][i] (attn.h) rather than q_start[b] + i: rows side by side
                      may see keys anywhere, and keys come from a second input */
    bool second_output; /* mla layers with a key a head have a further output projection, o_proj */
    attn_op_reach (*reach)(const attn_spec *spec);
    /* Null: all keys that the reach allows. */
    attn_keys (*keys)(const attn_spec *spec, int64_t place);
    void (*words)(const attn_spec *spec, char text[ATTN_OP_WORDS_MAX]);
} attn_op_rule;

const attn_op_rule *attn_op_of(const attn_spec *spec);

/* The keys that the op shows to the row at `place`, of those that exist. */
attn_keys attn_op_keys(const attn_spec *spec, int64_t place, int64_t kv_len);

/* Whether what a row sees ends where its position says, so that tiles have edges. */
bool attn_op_has_edges(const attn_spec *spec);

/* Most keys that a row sees, where its place is a segment and they are few: such rows read their
 * own keys. Else 0. */
int32_t attn_op_few_keys(const attn_spec *spec);

/* Of the keys so far, how many before a new row's own it, or a later row, may see: what a cache has
 * to keep. ATTN_FAR: all. */
int64_t attn_op_kept(const attn_spec *spec);

ATTN_VISIBILITY_END

#endif
