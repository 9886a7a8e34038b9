/* isa.h - the table of instruction sets: what the plan needs to know of each. */
#ifndef GEN_ISA_H
#define GEN_ISA_H

#include "attn_kernel.h"
#include "util.h"

typedef struct isa_row {
    const char *name;       /* as in --isa, names and file stems */
    const char *id;         /* C enumerator */
    const char *guard;      /* preprocessor condition of targets that have it; null: all do */
    int width;              /* f32 lanes of a vector */
    int registers;          /* architectural vector registers */
    int tile_vectors;       /* query vectors of a full tile */
    int key_block;          /* keys a block: V panel height, softmax granularity */
    int max_keys;           /* most keys of a QK register tile */
    int l1_bytes, l2_bytes; /* typical, for the cost model; never this host's */
} isa_row;

extern const isa_row isa_table[ATTN_ISA_COUNT];

/* "portable,avx2", "native" (what this CPU runs) or "all" -> bit mask; 0 with a message on error.
 */
unsigned isa_parse(const char *text, diag *d);
/* Bits of the ISAs that this CPU runs. */
unsigned isa_native(void);

#endif
