/* plan_internal.h - what the files that make a plan share. */
#ifndef GEN_PLAN_INTERNAL_H
#define GEN_PLAN_INTERNAL_H

#include "plan.h"

enum {
    LINE_BYTES = 64,  /* of a cache line */
    PLAN_SHARE = 48,  /* bytes of a `share`, which the generated file asserts */
    DOT_MOST = 16,    /* most rows of a group that run as dot products */
    DOT_ROWS = 8,     /* most rows of a tile that runs as dot products */
    GATHER_ROWS = 64, /* query rows of a task of gather */
    GATHER_BATCH = 8, /* keys that gather multiplies side by side, at most */
    GATHER_FEW = 4,   /* so many sums or fewer are reduced by themselves */
    SUM_MOST = 96,    /* keys summed one after the other: equal ones round by 36 of 2^-24 at most */
    /* Sums of P added plainly before l takes them: equal ones round by 5 of 2^-24 at most. LSE may
     * be off by 16 such, and where it is 8 or more its own rounding takes 8. */
    EXP_SUMS = 12,
    SPAN_KEYS = 2048, /* that a tile's o sums, or a block more: calls of so many keep nothing */
    CHUNK_BYTES = 1 << 20, /* of packed values of a key chunk */
    HELD_BYTES = 3 << 20,  /* of tiles that go through key chunks, or a query block */
    HELD_MOST = 128,       /* such tiles */
    PACK_MOST = 16 << 20,  /* of values that are packed all at once, whatever key chunks take */
    WIDEN_AHEAD = 12,      /* two register tiles of a narrow tile on AVX2 */
    CODE_KEYS = 32,        /* of a block in which P is rounded */
    GATHER_KEYS = 64,      /* rows of a list that are gathered at a time, whole blocks of these */
    GATHER_AHEAD = 16,     /* and asked for before */
    CODE_STEPS = 4,        /* vectors of codes of a row that a turn of the loop over them takes */
    PLAIN_SUMS = 16,       /* of P, a lane, that are summed before l takes them: as EXP_SUMS */
    BURST_MOST = 32,       /* lines that are asked for at once */
    DOT_SUMS = 64          /* turns that a tile of dot products sums before its sums are kept */
};

static inline int min_int(int a, int b) {
    return a < b ? a : b;
}

/* So many rows' products with keys and values take longer than memory gives those. */
bool plan_fma_bound(const plan *p, int rows);
/* Elements of a cache line, and the lines that so many elements take. */
int plan_line(int32_t type);
int plan_lines(int32_t type, int elements);
/* Keys that fit in registers beside nv queries and one broadcast. */
int plan_qk_keys(const isa_row *isa, int nv);
/* Rows that fit beside `columns` vectors of V and one broadcast of P. */
int plan_pv_rows(const isa_row *isa, int columns);
/* Of the keys at a time at edges, those that nv vectors of rows have registers for. */
int plan_edge_part(const plan *p, int nv);
/* Columns of a packed V panel. */
int plan_panel(const plan *p, const isa_row *isa);
/* Floats of a tile's Q: transposed, or rows of dot products in whole vectors. */
int plan_q_floats(const plan *p);
/* Bytes of a tile, and of what a thread has for a task of key chunks: `tile` and `chunk_space` of
 * the generated file, which asserts the latter. */
size_t plan_tile_bytes(const plan *p);
size_t plan_chunk_bytes(const plan *p);
/* One row a key, its first columns the value: what all heads share. */
bool plan_is_latent(const attn_spec *s);
/* Whether few rows run as dot products. */
bool plan_has_dots(const attn_spec *s, const plan *p);
/* Columns of V that are woven at once: a vector of bytes. */
int plan_code_weave(const plan *p);
/* Codes of a row of Q in whole vectors, and those of a vector. */
int plan_code_step(const plan *p);
int plan_code_row(const plan *p);
/* Columns of a row that a loop takes; rows of one turn have none. */
int plan_code_loop(const plan *p);
/* Most rows of a tile of dot products. */
int plan_code_rows(const plan *p);
/* Decode's parts that a row's keys lie in, where the rows of an item see keys far apart: most. */
int64_t plan_row_parts(const plan *p);
/* Keys may lie in pages of which a call needs some: those between them are not looked up. */
bool plan_holes(const plan *p);
/* Pages of a part or a key block at most. */
int plan_held_pages(const plan *p);
/* Sizes that choices depend on. */
void plan_sizes(const kernel_spec *k, const isa_row *isa, plan *p);
/* The model's choices, for what is still -1. */
void plan_choose(plan *p, const kernel_spec *k, const isa_row *isa);
void plan_notes(arena *a, const kernel_spec *k, const isa_row *isa, plan *p);

#endif
