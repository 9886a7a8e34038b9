/* property.h - kernels against the oracle, over specs and shapes that nobody chose by hand. */
#ifndef PROPERTY_H
#define PROPERTY_H

#include "lab/problem.h"

/* A row of the spec table (specs.c). */
typedef struct property_spec {
    const char *name;
    const char *fields; /* "field=value;field=value;..." as on the command line */
    int32_t lo, hi;     /* values of integer side tensors and scalars */
    bool uses_b;        /* expressions or tensors depend on b: an item alone is another problem */
    bool neg_inf;       /* float side tensors hold -inf here and there */
} property_spec;

extern const property_spec property_specs[];
extern const int property_spec_count;

/* Rows of the axes (product.c): all combinations of types, forms, ops and backends; and a set in
 * which each two values of two axes, of layouts too, stand together where that is legal. */
typedef struct property_rows {
    property_spec *row;
    int count;
} property_rows;
property_rows property_product(arena *a);
property_rows property_pairs(arena *a);

/* Builds row `index`; *kernel lives in the arena. Ends the program with a message if it is refused,
 * since every row is legal. */
void property_kernel(arena *a, const property_spec *row, kernel_spec *kernel);
bool property_try(arena *a, const char *name, const char *fields, kernel_spec *kernel, diag *d);
/* Builds portable kernels of these fields, and a plan of each; null, with a line that says why,
 * where one cannot be had. (plans.c) */
const kernel_lib *property_plans(arena *a, const char *test, const build_options *build,
                                 const char *const *fields, int count, kernel_spec *spec,
                                 attn_plan **plan);

/* --- Random problems (shapes.c) --- */

/* Problem number `index` of a spec. max_work bounds B * Hq * Lq * Lk * (D + Dv). *text says what it
 * is, for reports. */
void property_problem(arena *a, const property_spec *row, const kernel_spec *spec, rng *r,
                      int index, double max_work, call *out, const char **text);
placement property_placement(rng *r, int threads);

/* A tune set in which every parameter of every kernel differs from the plan's own choice where it
 * can (choices.c). changed[PLAN_PARAMS] counts how often each does. */
const tune_set *property_choices(arena *a, const kernel_spec *kernels, int count, uint64_t seed,
                                 long *changed);

/* One with the longest key blocks that there may be, and nothing else. */
const tune_set *property_long_blocks(arena *a, const kernel_spec *const *kernels, int count);

/* Kernels as they would be if key chunks were a block, and all prefill went by them (chunks.c). */
void property_chunks(build_options *build);

/* --- Tests. Each prints what fails, and returns how many checks failed. --- */

typedef struct property_options {
    unsigned isa_mask;
    int shapes; /* a spec */
    int layers; /* random layer specs */
    uint64_t seed;
    const char *spec; /* only this row; null: all */
    int shape;        /* only this problem of it; -1: all */
    int every;        /* only every so many-th row, from the seed's on; of layers, from 0 */
    bool tuned;       /* under property_choices */
    bool lists;       /* layers: all over lists of keys */
    bool verbose;
    build_options build;
} property_options;

/* Everything this CPU runs; ATTN_PROPERTY_SHAPES and ATTN_PROPERTY_SEED from the environment. */
property_options property_defaults(void);

int property_sweep(const property_options *o);         /* rules 5 to 10 of CONTRACT.md */
int property_sweep_pairs(const property_options *o);   /* property_pairs */
int property_sweep_product(const property_options *o); /* property_product */
int property_statuses(const property_options *o);      /* every attn_status */
int property_stores(const property_options *o);        /* attn_store_rows, and scales */
int property_tables(const property_options *o);        /* page tables */
int property_sums(const property_options *o);          /* rule 8 over many keys */
int property_workspaces(const property_options *o);    /* planned and generated figures agree */
int property_mutations(const property_options *o);     /* a changed kernel must be noticed */

int property_caches(const property_options *o); /* items that are viewed, forked and taken back */
int property_layers(const property_options *o); /* whole layers at random */
int property_layer_statuses(const property_options *o);
int property_layer_mutations(const property_options *o);

/* One ISA's kernel against the oracle: compares a run's outcome, and returns null or what is wrong.
 * *compared counts rows; *worst is the greatest error as a fraction of its bound. */
struct oracle;
const char *property_compare(arena *a, const call *c, const struct oracle *want, const outcome *got,
                             long *compared, double *worst);

/* Null, or what long sums of equal terms say against a kernel of sdpa without side inputs. */
const char *property_judge_sums(arena *a, const kernel_spec *kernel, attn_isa isa, const built *b);

/* The problem in random parts of its keys, merged (merges.c); one: what a call over all of them has
 * given. Null, or what is wrong. Nothing where keys cannot be counted from another one on. */
const char *property_merge(arena *a, const kernel_lib *lib, const attn_plan *plan, const call *c,
                           rng *r, const struct oracle *want, const outcome *one, long *rows,
                           double *worst);

#endif
