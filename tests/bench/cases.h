/* cases.h - what is timed: the rows of cases.def, the plot's, and their kernels' specs. */
#ifndef BENCH_CASES_H
#define BENCH_CASES_H

#include "spec/model.h"

typedef enum case_group { MAIN, TYPES, CLIFF, SCALE, PLOT, WHOLE, WHOLE_SCALE, BUSY } case_group;
enum { COLD = 1, TOKEN = 2, CLOSE = 4, BEYOND = 8, ITEMS = 16, PADDED = 32, EVEN = 64 };
enum { RAGGED = 128 };
enum { CHOSEN = 2048 }; /* keys that a list names, with select = index */

typedef struct bench_case {
    const char *name;
    case_group group;
    const char *text;      /* of the spec */
    int32_t batch;         /* items; cores: 1 */
    int32_t q_len, kv_len; /* layers: tokens; those and the keys held before */
    int threads;
    int how;                       /* COLD .. RAGGED */
    double target[ATTN_ISA_COUNT]; /* percent; 0: none. See cases.def for of what */
    int series;                    /* of the plot; -1: none */
    int kernel;                    /* index into bench_cases.kernels */
} bench_case;

typedef struct bench_ratio {
    const char *title, *name, *base;
    double limit;
} bench_ratio;

/* The plot's lines: the first four over query lengths, the others over key counts. */
enum { SERIES_PREFILL = 4, SERIES_COUNT = 6 };
extern const char *const series_label[SERIES_COUNT];

typedef struct bench_cases {
    bench_case *row;
    int count;
    kernel_spec *kernels; /* distinct; layer i of the model is kernel i */
    int kernel_count;
} bench_cases;

/* All rows. scale: thread counts, ended by 0, for which some rows are repeated. Ends the
 * program where a row of the table is wrong. */
bench_cases cases_make(arena *a, const int *scale);

const bench_case *cases_find(const bench_cases *c, const char *name, size_t length);

extern const bench_ratio bench_ratios[];
extern const int bench_ratio_count;

/* Tokens of a layer's call, of which its items may have fewer. */
int32_t case_tokens(const bench_case *c);

/* A core's queries are items, with keys of their own or all with the same. */
bool case_is_items(const bench_case *c);
bool case_owns_keys(const bench_case *c);
/* Room for keys of an item, and the keys that item i has. */
int32_t case_room(const bench_case *c);
int32_t case_keys(const bench_case *c, int32_t i);

/* Position of query row 0 of a core. */
int32_t case_start(const bench_case *c);

/* A whole layer, not only its attention. */
bool case_is_layer(const kernel_spec *k);
/* A prefill of one: the sgemm rate is the ceiling. */
bool case_is_gemm(const bench_case *c, const kernel_spec *k);
/* Elements of a layer's matrices; 0 for cores. */
double case_weights(const kernel_spec *k);
/* Useful FLOPs: 2 (D + Dv) a pair, and 2 a weight and row. */
double case_flops(const bench_case *c, const kernel_spec *k);
/* (query head, key) pairs that see each other, of all items. */
double case_pairs(const bench_case *c, const kernel_spec *k);
/* True where the read bandwidth is the ceiling, not the FMA peak: few queries on their own keys. */
bool case_reads(const bench_case *c, const kernel_spec *k);
/* What is read once at the least: K and V, or a layer's weights. */
double case_bytes(const bench_case *c, const kernel_spec *k);
/* seg[i] of segment_cross, and of side tensors of that meaning. */
int32_t case_segment(const bench_case *c, int64_t i);
/* mla with shared keys: V is the first columns of K. */
bool case_shares_v(const kernel_spec *k);

#endif
