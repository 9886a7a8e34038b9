/* block_plan.h - every decision about a layer: a pure function of the spec and the ISA row. */
#ifndef GEN_BLOCK_PLAN_H
#define GEN_BLOCK_PLAN_H

#include "isa.h"
#include "spec/model.h"

enum {
    BLOCK_MAX_NOTES = 24,
    BLOCK_MAX_PLACES = 40,
    BLOCK_MAX_MATRICES = 12,
    BLOCK_MAX_STAGES = 12,
    BLOCK_STAGE_MATRICES = 4
};

/* Packed weights that lie together. Sizes are in floats. */
typedef struct block_place {
    const char *name;
    int64_t at;
    int64_t panels; /* of a matrix, or of those of all heads; 0: no matrix */
    int64_t panel;  /* of one of them; no matrix: of all */
} block_place;

/* A matrix W [n, k], or one a head or expert. A task makes some columns of a W^T. */
typedef struct block_matrix {
    const char *name; /* of its place */
    int heads;        /* how many there are; 1: one for all heads */
    int64_t n, k;
    int32_t type;   /* attn_weight_type: what its elements are stored in */
    bool integers;  /* rows are multiplied with its codes as integers */
    int64_t panels; /* of each */
    int64_t unit;   /* columns that no two tasks share */
    /* Columns of a task, of one of few rows, and of one where those would leave threads idle. */
    int64_t wide, brief, few;
} block_matrix;

/* Products of the same rows with some matrices, by one function. */
typedef struct block_stage {
    const char *name;
    int matrix[BLOCK_STAGE_MATRICES], matrices; /* by their numbers in the plan */
    bool chunked;                               /* rows of a chunk, not all */
    int64_t int_blocks;                         /* of 32 integers of a row; 0: it takes floats */
    int64_t wide, brief, few;                   /* tasks of each block of rows, of each kind */
} block_stage;

typedef struct block_plan {
    attn_isa isa;
    const attn_spec *spec;
    char symbol[ATTN_NAME_MAX];
    int width;            /* f32 lanes */
    int model;            /* floats of a row of x and y */
    int keys;             /* floats of a row on the key side */
    bool given_positions; /* RoPE positions come as arguments */
    bool second_output;   /* mla: a further output projection, o_proj */
    /* key = shared: queries an item from which keys and values are expanded to heads; 0: never. */
    int page; /* keys of a page of the cache; 0: they lie in none */
    int kept; /* keys before a row's own that it sees, where those before may be unmapped; or -1 */
    int expand_from;
    /* Matrix products: a register tile of mr rows x nr columns. */
    int mr, nr, vectors; /* nr in vectors */
    int depth;           /* of a panel's slice that stays in L1 */
    int unroll;
    int rows;          /* of x in a task */
    int wide, few;     /* columns of a task, and of one where those would leave threads idle */
    int near;          /* depth where rows are few */
    int sum, span;     /* products that are summed at once, and in one sum of those */
    int ahead;         /* rows of a panel to ask for in advance there */
    int line;          /* floats of a cache line */
    int streams;       /* panels that one row reads at once */
    int block_streams; /* of weights in blocks */
    int block_ahead;   /* bytes of each of those in blocks that are asked for in advance */
    int int_cache;     /* 1 or 2: the cache that they go to where rows are integers */
    int pad;           /* floats between rows in the workspace */
    int chunk;         /* row blocks a thread that pass the ffn together */
    int tasks;         /* wide ones a thread; with fewer, tasks have few columns */
    int task_bytes;    /* of weights that a task of few rows reads, where a panel has no more */
    int few_tiles;     /* register tiles of rows; with no more, W is read as it lies */
    int row_ahead;     /* rows of a panel to ask for in advance where one row reads several */
    /* Weights and products (block_stages.c). */
    bool own_ffn;     /* the layer has a feed-forward part, not the caller */
    bool experts;     /* it is a mixture of experts */
    bool every_row;   /* an ffn that every row passes: the layer's own, or shared experts */
    bool gated;       /* of two projections */
    bool second_norm; /* a norm of the feed-forward part's own */
    char activation[ATTN_FIELD_TEXT_MAX];     /* a value of ffn or expert_act */
    int ffn_dim;                              /* hidden width of what every row passes; 0: none */
    int64_t ffn_columns;                      /* of its hidden rows: whole panels */
    int64_t expert_columns;                   /* of an expert's */
    int64_t expert_up_bias, expert_down_bias; /* floats from one expert's to the next one's */
    int router_columns; /* of a row's scores, and of the shared experts' gate */
    block_place place[BLOCK_MAX_PLACES];
    int places;
    int64_t packed_floats;
    block_matrix matrix[BLOCK_MAX_MATRICES];
    int matrices;
    bool has_weights[ATTN_WEIGHT_COUNT];  /* types that matrices have, whose rows are floats, */
    bool has_integers[ATTN_WEIGHT_COUNT]; /* or are integers */
    bool integers;                        /* of any */
    int int_rows, int_depth, int_few;     /* of a register tile; of its slices; tiles of few rows */
    int int_bytes;                        /* of an integer */
    int float_from; /* rows of a call from which they are floats after all; 0: never */
    int64_t int_all,
        int_chunk; /* most blocks of a row, where all rows pass and where a chunk does */
    block_stage stage[BLOCK_MAX_STAGES];
    int stages;
    /* RoPE: what position 1 turns each pair by, scaling included. */
    double *frequency;
    int frequency_count;
    double mscale;
    const char *note[BLOCK_MAX_NOTES];
    int notes;
} block_plan;

void block_plan_make(arena *a, const kernel_spec *spec, const isa_row *isa, block_plan *out);

/* Whether a layer has code of its own here, not only that of the row that this one is like. */
bool block_plan_adds(arena *a, const kernel_spec *spec, const isa_row *isa, const isa_row *like);

/* What attn_block_workspace answers for a call of these extents, core_bytes among them. */
struct attn_block_extent;
uint64_t block_plan_workspace(const block_plan *p, const struct attn_block_extent *e);

/* Bytes of packed matrices of a type. */
uint64_t block_plan_type_bytes(const block_plan *p, int32_t type);
/* Bytes of packed matrices that a row reads: once each, of experts those that it passes. */
double block_plan_row_bytes(const block_plan *p);

/* Whether a layer's own code has vectors of elements of a type: of keys, or what weights hold. */
bool block_plan_reads(const block_plan *p, int32_t type);

/* For templates. */
lua_val *block_plan_to_lua(arena *a, const block_plan *p);

/* FLOPs of a layer's projections for one row: 2 for each weight used. */
double block_plan_row_flops(const kernel_spec *spec);

#endif
