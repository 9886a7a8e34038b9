/* cost.h - what a plan should cost: working sets beside the caches of the ISA table, and cycles of
 * a full tile. A model, not a measurement: it knows no host. */
#ifndef GEN_COST_H
#define GEN_COST_H

#include "plan.h"

/* One tile over one key block with nothing hidden: the inner step of prefill. Cycles of one core.
 */
typedef struct plan_cost {
    int q_bytes, s_bytes, panel_bytes; /* a tile's Q and S, and one V panel: wanted in L1 */
    int block_bytes;                   /* Q and O of a query block, K and V of a key block: in L2 */
    bool fits_l1, fits_l2;
    double qk, softmax, pv; /* products with their loads and stores; exponentials */
    double lines;           /* K and V that come from L2, as far as they are not hidden */
    double peak_percent;    /* useful products over all cycles, of the FMA peak */
    double prefetch_cycles; /* how long before their use K rows are asked for */
    int text_bytes;         /* machine code and constants of the kernel: an estimate */
} plan_cost;

plan_cost cost_of(const plan *p);

#endif
