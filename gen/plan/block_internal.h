/* block_internal.h - what the files that make a layer's plan share. */
#ifndef GEN_BLOCK_INTERNAL_H
#define GEN_BLOCK_INTERNAL_H

#include "block_plan.h"

/* Fewest columns that are whole groups of `together` and whole panels. */
static inline int block_unit(int together, int nr) {
    return together / gcd(together, nr) * nr;
}

/* What the feed-forward part is made of. */
void block_plan_ffn(const attn_spec *s, block_plan *p);

/* Columns of the gate of what the attention gives; 0: none. */
int64_t block_plan_gates(const attn_spec *s);

/* Whether integers of a row are needed as words too. */
bool block_plan_words(const block_plan *p);

/* Weights, their places and their products; what the plan says of tiles and tasks is set before. */
void block_plan_stages(const attn_spec *s, block_plan *p);

/* Tasks of few rows are narrower than others somewhere. */
bool block_has_brief(const block_plan *p);

#endif
