/* block_plan.h - every decision about a layer: a pure function of the spec and the ISA row. */
#ifndef GEN_BLOCK_PLAN_H
#define GEN_BLOCK_PLAN_H

#include "isa.h"
#include "spec/model.h"

enum { BLOCK_MAX_NOTES = 16 };

typedef struct block_plan {
    attn_isa isa;
    char symbol[ATTN_NAME_MAX];
    int width;            /* f32 lanes */
    int model;            /* floats of a row of x and y */
    int keys;             /* floats of a row on the key side */
    bool given_positions; /* RoPE positions come as arguments */
    bool second_output;   /* mla: a further output projection, o_proj */
    /* key = shared: queries an item from which keys and values are expanded to heads; 0: never. */
    int expand_from;
    /* Matrix products: a register tile of mr rows x nr columns. */
    int mr, nr, vectors; /* nr in vectors */
    int depth;           /* of a panel's slice that stays in L1 */
    int unroll;
    int rows;      /* of x in a task */
    int wide, few; /* columns of a task, and of one where those would leave threads idle */
    int near;      /* depth where rows are few */
    int sum, span; /* products that are summed at once, and in one sum of those */
    int ahead;     /* rows of a panel to ask for in advance there */
    int line;      /* floats of a cache line */
    int streams;   /* panels that one row reads at once */
    int pad;       /* floats between rows in the workspace */
    int chunk;     /* row blocks a thread that pass the ffn together */
    /* RoPE: what position 1 turns each pair by, scaling included. */
    double *frequency;
    int frequency_count;
    double mscale;
    const char *note[BLOCK_MAX_NOTES];
    int notes;
} block_plan;

void block_plan_make(arena *a, const kernel_spec *spec, const isa_row *isa, block_plan *out);

/* For templates. */
lua_val *block_plan_to_lua(arena *a, const block_plan *p);

/* FLOPs of a layer's projections for one row: 2 for each weight used. */
double block_plan_row_flops(const kernel_spec *spec);

#endif
