/* memory.h - what a model's layers take and cost together, and the tables around those of a whole
 * model. explain and report both ask here. */
#ifndef GEN_SHOW_MEMORY_H
#define GEN_SHOW_MEMORY_H

#include "output/product.h"
#include "plan/work.h"

/* Most tokens of a context that costs are asked for. */
enum { MEMORY_MOST_CONTEXT = 1 << 24 };

/* Of a layer, as attn_block_packed_bytes says: a header, and whole cache lines. */
uint64_t memory_packed_bytes(const product *p);
/* Of a token's keys and values in one layer, whatever item it is of. */
double memory_token_bytes(const product *p);

/* What one new token costs a layer: its query at the end of a context of n keys; in whole layers,
 * every weight once, of experts those that it passes. */
work memory_token_work(const product *p, int32_t n);
/* Workspace of a prompt of n tokens. */
size_t memory_prompt_workspace(const product *p, int32_t n, int32_t threads);

/* All layers together, on the best instruction set asked for, one user with a context of n tokens.
 */
typedef struct memory {
    bool whole;          /* all are whole layers, */
    double packed;       /* whose packed weights take so many bytes */
    double token;        /* bytes of a cached token's keys and values */
    double flops, bytes; /* a new token at the end of the context: see work */
    size_t step, prompt; /* workspace, one thread: the largest of a layer's, for one new token and
                            for a prompt as long as the context */
} memory;
memory memory_of(const product_list *p, int32_t n);

/* A matrix around the layers: embedding, positions, token types, head, pooler. */
typedef struct memory_table {
    const char *name;
    int64_t rows, columns;
    int32_t type; /* what it is held in; -1: what the file has */
} memory_table;
enum { MEMORY_TABLES = 5 };
/* How many there are; 0: the model is of layers alone. */
int memory_tables(const model *m, memory_table out[MEMORY_TABLES]);
/* "61 x 32, 3904 bytes in bf16", or what each type of a file's takes. */
const char *memory_table_text(arena *a, const memory_table *t,
                              const char *(*bytes)(arena *a, double v));

#endif
