#include "cost.h"

enum { LINE = 64, CALL_CYCLES = 6, GROUP_CYCLES = 8 };

static double larger(double x, double y) {
    return x > y ? x : y;
}

/* n register tiles of `fma` products and `loads` loads a step, and what starting each costs. */
static double products(const isa_row *isa, double steps, double fma, double loads) {
    return steps * larger(fma / isa->fma_cycle, loads / isa->loads_cycle);
}

static double qk_cycles(const plan *p, const isa_row *isa) {
    const plan_tile *t = &p->tile[p->tile_vectors - 1];
    const double calls = (double)p->key_block / t->keys, nv = p->tile_vectors;
    return calls * (products(isa, p->d, t->keys * nv, t->keys + nv) + CALL_CYCLES);
}

/* A running maximum takes a pass of its own over S, and two over what it rescales. */
static double softmax_cycles(const plan *p, const isa_row *isa) {
    const double vectors = (double)p->key_block * p->tile_vectors;
    const double expression = p->rescore ? isa->exp_cycles : 0; /* at least a pass: who knows */
    return vectors * (isa->exp_cycles + (p->lazy ? 0 : 2) + expression);
}

static double pv_cycles(const plan *p, const isa_row *isa) {
    const plan_pv *pv = &p->tile[p->tile_vectors - 1].pv;
    const double strips = (double)(p->dvp / isa->width) / pv->columns;
    double cycles = 0;
    for (int g = 0; g < pv->group_count; g++) {
        const double tile = (double)pv->groups[g] * pv->columns;
        cycles += products(isa, p->key_block, tile, pv->groups[g] + pv->columns);
        cycles += 2 * tile / isa->loads_cycle + GROUP_CYCLES; /* O is loaded and stored */
    }
    return cycles * strips;
}

/* Machine code, fitted to what gcc 12 -O2 made of the bench's kernels (within a quarter): what
 * every kernel has, the steps of the loops over the head width, the second softmax of a lazy
 * maximum, a second width of dot products, and a soft cap's tanh. What score and mask expressions
 * add is not in it. */
static int text_estimate(const plan *p, const isa_row *isa) {
    enum { LAZY = 8000, SOFTCAP = 12000, DOTS = 5000, GATHER = 2800, GATHER_KEY = 100 };
    if (!p->tiled) return GATHER + GATHER_KEY * p->gather_keys;
    double steps = 0;
    for (int nv = 1; nv <= p->tile_vectors; nv++) {
        const plan_tile *t = &p->tile[nv - 1];
        const int rest = p->d % t->unroll;
        steps += (double)(t->unroll + rest) * (t->keys * nv + t->keys + nv);
    }
    const int extra =
        (p->lazy ? LAZY : 0) + (p->softcap_factor > 0 ? SOFTCAP : 0) + (p->dots > 1 ? DOTS : 0);
    return (int)(isa->text_base + isa->text_step * steps) + extra;
}

plan_cost cost_of(const plan *p) {
    const isa_row *isa = &isa_table[p->isa];
    plan_cost c = {.text_bytes = text_estimate(p, isa)};
    if (!p->tiled) return c;
    const int rows = p->tile_vectors * isa->width;
    const plan_tile *t = &p->tile[p->tile_vectors - 1];
    const int key_bytes = 4 * p->key_block * (p->d + p->dvp);
    c.q_bytes = 4 * rows * p->d;
    c.s_bytes = 4 * rows * p->key_block;
    c.panel_bytes = 4 * p->panel * p->key_block;
    c.block_bytes = 4 * p->tiles * rows * (p->d + p->dvp) + key_bytes;
    c.fits_l1 = c.s_bytes + larger(c.q_bytes, c.panel_bytes) <= isa->l1_bytes;
    c.fits_l2 = c.block_bytes <= isa->l2_bytes;
    c.qk = qk_cycles(p, isa);
    c.softmax = softmax_cycles(p, isa);
    c.pv = pv_cycles(p, isa);
    c.lines = (double)key_bytes / LINE * isa->line_cycles;
    /* What does not stay in L1 between QK and P V travels to L2 and back. */
    if (!c.fits_l1) c.lines += 2.0 * c.s_bytes / LINE * isa->line_cycles;
    if (!c.fits_l2) c.lines *= 2;
    const double useful = (double)rows * p->key_block * (p->d + p->dv) / isa->width;
    const double all = c.qk + c.softmax + c.pv + c.lines;
    c.peak_percent = 100 * useful / isa->fma_cycle / all;
    c.prefetch_cycles =
        t->prefetch * products(isa, p->d, t->keys * p->tile_vectors, t->keys + p->tile_vectors);
    return c;
}
