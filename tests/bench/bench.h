/* bench.h - what the parts of the bench hand to each other: entries, their times, and peaks. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "layers.h"

/* Measurements of one kind. */
typedef struct series {
    double *value;
    int count, cap;
} series;

/* q in 0..1: 0 the smallest, 0.5 the median. 0 of none. */
double series_quantile(const series *s, double q);
void series_add(series *s, double value);

/* A case on an ISA. */
typedef struct entry {
    const bench_case *c;
    const kernel_spec *spec;
    attn_isa isa;
    int part;        /* of the run: entries of one are timed in turns */
    attn_plan *plan; /* cores */
    attn_args args;
    layer_call *layer; /* layers, while their part runs; null: a core */
    size_t workspace_bytes;
    const char *kernel; /* NAME:variant */
    long text_bytes;    /* of the kernel's object: code and constants; 0: not known */
    double flops, bytes;
    int calls;   /* a measurement */
    series time; /* seconds a call: CPU time of one thread, else wall-clock */
    series wall; /* seconds a call by the wall clock */
    bench_error error;
    uint64_t hash;  /* of O after the check */
    bool same_bits; /* O was still that after the last round, and is so at any thread count */
} entry;

/* FMA peak of an ISA and read bandwidth, on some number of threads. */
typedef struct peak {
    int threads;
    series fma[ATTN_ISA_COUNT]; /* GF/s */
    series read;                /* GB/s */
} peak;

typedef struct bench {
    arena *a;
    char machine[256];
    int cpus;
    bench_cases cases;
    entry *entry;
    int count;
    peak *peaks; /* one a thread count in use */
    int peak_count;
    bool has_blas;
    series sgemm;    /* GF/s of an OpenBLAS on one thread; empty: none, or no prefill to compare */
    attn_isa widest; /* that this CPU runs: the library's, we take it */
    int rounds;
} bench;

const peak *bench_peak(const bench *b, int threads);
/* A case that has busy CPUs to share: its measurements are of the wall clock, one a round, and
 * long, so that each is of many turns of the CPUs' scheduler. */
static inline bool entry_is_busy(const entry *e) {
    return e->c->group == BUSY;
}

/* The best or the median of each; GF/s, GB/s, percent; 0: not known. */
double entry_gflops(const entry *e, double q);
double entry_gbs(const entry *e, double q); /* 0 unless q_len is 1 */
double entry_percent_of_peak(const bench *b, const entry *e);
double entry_percent_of_read(const bench *b, const entry *e);
/* Of sgemm: a layer's prefill on one thread of the widest ISA. */
double entry_percent_of_sgemm(const bench *b, const entry *e);
bool entry_passed(const entry *e);

void report_table(const bench *b);
bool report_json(const bench *b, const char *path);
/* The plot's points as an SVG file. False with a message if there are none, or on errors. */
bool plot_svg(const bench *b, const char *path);

#endif
