/* isa.h - the table of instruction sets (runtime/isa.def): what the plan needs to know of each. */
#ifndef GEN_ISA_H
#define GEN_ISA_H

#include "attn_kernel.h"
#include "spec.h"
#include "util.h"

/* Products of bytes: none; two at once into 16 bits; four at once into 32. */
typedef enum isa_dots { ISA_DOTS_NONE, ISA_DOTS_PAIRS, ISA_DOTS_QUADS } isa_dots;

typedef struct isa_row {
    const struct isa_row *like; /* kernels whose code here would be that of this row are made for it
                                   alone; null: all have their own */
    const char *name;           /* as in --isa, names and file stems */
    const char *id;             /* C enumerator */
    const char *guard;          /* preprocessor condition of targets that have it; null: all do */
    const char *engine;         /* how products are computed: a file of templates/engine */
    int width;                  /* f32 lanes of a vector */
    int registers;              /* architectural vector registers */
    bool integers;    /* multiplies and adds codes of 8 and 16 bits at a multiple of the f32 rate */
    isa_dots dots;    /* how codes of weights are multiplied with bytes */
    bool pairs;       /* multiplies and adds pairs of bf16, sums in f32 */
    int tile_vectors; /* query vectors of a full tile */
    int max_keys;     /* most keys of a QK register tile */
    int int_cache;    /* 1 or 2: the cache that lines of weights are asked into ahead of a row of
                         integers */
    /* For the cost model (cost.c): typical of CPUs with it, never this host's. */
    int l1_bytes, l2_bytes;
    double fma_cycle;   /* vector multiply-adds a cycle: what the peak means */
    double loads_cycle; /* vector loads a cycle */
    double exp_cycles;  /* of an exponential of a vector, beside the products */
    double line_cycles; /* of a line from L2, where the loops hide most of it */
    /* Machine code: bytes beside the products, and a vector instruction of a step. */
    int text_base, text_step;
} isa_row;

extern const isa_row isa_table[ATTN_ISA_COUNT];

/* "portable,avx2", "native" (what this CPU runs) or "all" -> bit mask; 0 with a message on error.
 */
unsigned isa_parse(const char *text, diag *d);
/* Their names with this between them: "portable,avx2". */
const char *isa_list(arena *a, unsigned mask, const char *between);
/* Bits of all ISAs, and of those that this CPU runs. */
unsigned isa_all(void);
unsigned isa_native(void);
/* The best of a set, and those that it is like. */
unsigned isa_best(unsigned mask);
/* The nearest of a set that this one is like; null: none of them is. */
const isa_row *isa_like(const isa_row *isa, unsigned mask);

#endif
