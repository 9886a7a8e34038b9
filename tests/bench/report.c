/* report.c - the table and the JSON file. */
#include "bench.h"
#include "plan/isa.h"
#include "blas.h"
#include <stdio.h>
#include <stdlib.h>

static const char *isa_name(const entry *e) {
    return isa_table[e->isa].name;
}

/* " 12.3", or "-" where the value is not known. */
static void cell(int width, int digits, double value) {
    if (value > 0)
        printf(" %*.*f", width, digits, value);
    else
        printf(" %*s", width, "-");
}

static const char *verdict(const entry *e) {
    if (!e->error.finite) return "FAIL: NaN or Inf in O";
    if (!(e->error.excess <= 1))
        return case_is_layer(e->spec) ? "FAIL: error above 1e-5 (1 + |y|)"
                                      : "FAIL: error above CONTRACT.md's rule 8";
    return e->same_bits ? "ok" : "FAIL: bits differ between runs";
}

static void table_row(const bench *b, const entry *e) {
    const bench_case *c = e->c;
    printf("%-16s %-8s %3d", c->name, isa_name(e), c->threads);
    printf(" %9.3f", 1e3 * series_quantile(&e->time, 0.5));
    cell(7, 1, entry_gflops(e, 0.5));
    cell(7, 1, entry_gflops(e, 0));
    cell(6, 1, entry_percent_of_peak(b, e));
    cell(6, 1, entry_percent_of_sgemm(b, e));
    cell(6, 1, entry_gbs(e, 0));
    cell(6, 1, entry_percent_of_read(b, e));
    cell(4, 0, c->target[e->isa]);
    printf("  %7.1e %5.2f", e->error.max_abs, e->error.excess);
    cell(5, 0, (double)e->text_bytes / 1024);
    printf("  %s\n", verdict(e));
}

static const entry *find(const bench *b, const char *name, attn_isa isa) {
    for (int i = 0; i < b->count; i++)
        if (b->entry[i].isa == isa && !strcmp(b->entry[i].c->name, name)) return &b->entry[i];
    return NULL;
}

/* Whether a ratio tells how many times as fast a case is, not how much longer it takes. */
static bool tells_speed(const bench_ratio *r, const entry *own, const entry *base) {
    return r->limit >= 1 || own->c->threads != base->c->threads;
}

/* Of cases whose rounds are pairs: times as fast, round by round. */
static series paired(const entry *own, const entry *base) {
    series s = {0};
    for (int i = 0; i < own->wall.count && i < base->wall.count; i++)
        series_add(&s, base->wall.value[i] / own->wall.value[i]);
    return s;
}

/* How a case compares with its base at the q-quantile of both: time more, or times as fast. */
static double ratio(const bench_ratio *r, const entry *own, const entry *base, double q) {
    if (entry_is_busy(own)) {
        const series s = paired(own, base);
        const double value = series_quantile(&s, 1 - q);
        free(s.value);
        return value;
    }
    const double time = series_quantile(&own->time, q) / series_quantile(&base->time, q);
    const double wall = series_quantile(&own->wall, q) / series_quantile(&base->wall, q);
    if (own->c->threads != base->c->threads) return 1 / wall;
    return tells_speed(r, own, base) ? 1 / time : time - 1;
}

typedef void ratio_fn(const bench_ratio *r, const entry *own, const entry *base, void *ctx);

static void each_ratio(const bench *b, ratio_fn *fn, void *ctx) {
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++)
        for (int i = 0; i < bench_ratio_count; i++) {
            const bench_ratio *r = &bench_ratios[i];
            const entry *own = find(b, r->name, (attn_isa)isa);
            const entry *base = find(b, r->base, (attn_isa)isa);
            const isa_row *like = isa_table[isa].like; /* which has what this one does not */
            if (!base && like) base = find(b, r->base, (attn_isa)(like - isa_table));
            if (own && base) fn(r, own, base, ctx);
        }
}

static void print_ratio(const bench_ratio *r, const entry *own, const entry *base, void *ctx) {
    const double median = ratio(r, own, base, 0.5), best = ratio(r, own, base, 0);
    (void)ctx;
    if (!tells_speed(r, own, base))
        printf("%-42s %-8s %+6.1f %% median, %+6.1f %% best; at most %+.0f %%\n", r->title,
               isa_name(own), 100 * median, 100 * best, 100 * r->limit);
    else
        printf("%-42s %-8s %6.2f x median, %6.2f x best; at least %.1f x\n", r->title,
               isa_name(own), median, best, r->limit);
    if (!entry_is_busy(own)) return;
    printf("    rounds:");
    for (int i = 0; i <= 4; i++) printf(" %.2f", ratio(r, own, base, 1 - i / 4.0));
    puts(" (least, quartiles, most)");
}

static void print_peaks(const bench *b) {
    for (int i = 0; i < b->peak_count; i++) {
        const peak *p = &b->peaks[i];
        printf("%d thread%s:", p->threads, p->threads > 1 ? "s" : "");
        for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
            const entry e = {.isa = (attn_isa)isa};
            if (p->fma[isa].count)
                printf(" FMA peak %s %.1f GF/s (median %.1f);", isa_name(&e),
                       series_quantile(&p->fma[isa], 1), series_quantile(&p->fma[isa], 0.5));
        }
        printf(" read %.1f GB/s (median %.1f)\n", series_quantile(&p->read, 1),
               series_quantile(&p->read, 0.5));
    }
}

static bool has_gemm(const bench *b) {
    for (int i = 0; i < b->count; i++)
        if (case_is_gemm(b->entry[i].c, b->entry[i].spec)) return true;
    return false;
}

static void print_sgemm(const bench *b) {
    if (b->has_blas)
        printf("sgemm 1024^3 %.1f GF/s (median %.1f): %s\n", series_quantile(&b->sgemm, 1),
               series_quantile(&b->sgemm, 0.5), blas_text());
    else if (has_gemm(b))
        printf("%%gemm: skipped: %s\n", blas_text());
}

/* Threads that had no CPU of their own show in the peak of all of them. */
static bool crowded(const bench *b, const peak *p) {
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
        const double one = series_quantile(&b->peaks[0].fma[isa], 0.5);
        if (series_quantile(&p->fma[isa], 0.5) < 0.65 * p->threads * one) return true;
    }
    return false;
}

void report_table(const bench *b) {
    printf("%s, %d CPUs, %d rounds\n", b->machine, b->cpus, b->rounds);
    print_peaks(b);
    for (int i = 0; i < b->peak_count; i++)
        if (crowded(b, &b->peaks[i]))
            printf("%d threads had no CPU each: others were at work. Their rows say little.\n",
                   b->peaks[i].threads);
    print_sgemm(b);
    printf("\n%-16s %-8s %3s %9s %7s %7s %6s %6s %6s %6s %4s  %7s %5s %5s\n", "case", "isa", "thr",
           "ms", "GF/s", "best", "%peak", "%gemm", "GB/s", "%read", "bar", "error", "/bnd", "KB");
    for (int i = 0; i < b->count; i++) {
        if (i && b->entry[i].c->group != b->entry[i - 1].c->group) puts("");
        table_row(b, &b->entry[i]);
    }
    puts("");
    each_ratio(b, print_ratio, NULL);
}

/* --- JSON. --- */

static void put_string(FILE *f, const char *s) {
    fputc('"', f);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') fputc('\\', f);
        if ((unsigned char)*s >= ' ') fputc(*s, f);
    }
    fputc('"', f);
}

/* null where the value is not known. */
static void put_number(FILE *f, const char *name, double value) {
    if (isfinite(value) && value != 0)
        fprintf(f, ", \"%s\": %.6g", name, value);
    else
        fprintf(f, ", \"%s\": null", name);
}

static void put_error(FILE *f, const entry *e) {
    if (isfinite(e->error.max_abs))
        fprintf(f, ", \"max_abs_error\": %.3e", e->error.max_abs);
    else
        fputs(", \"max_abs_error\": null", f);
    if (isfinite(e->error.excess)) fprintf(f, ", \"error_over_bound\": %.3g", e->error.excess);
    fprintf(f, ", \"rows_checked\": %d, \"ok\": %s", e->error.rows,
            entry_passed(e) ? "true" : "false");
}

static const char *cache_of(const entry *e) {
    return e->c->how & COLD ? "emptied before each run" : "as the run before leaves it";
}

static void put_entry(FILE *f, const bench *b, const entry *e) {
    fprintf(f, "    {\"name\": \"%s\", \"isa\": \"%s\", \"threads\": %d", e->c->name, isa_name(e),
            e->c->threads);
    put_number(f, "gflops", entry_gflops(e, 0.5));
    put_number(f, "q1_gflops", entry_gflops(e, 0.25));
    put_number(f, "best_gflops", entry_gflops(e, 0));
    put_number(f, "percent_of_peak", entry_percent_of_peak(b, e));
    put_number(f, "percent_of_sgemm", entry_percent_of_sgemm(b, e));
    put_number(f, "gbs", entry_gbs(e, 0.5));
    put_number(f, "q1_gbs", entry_gbs(e, 0.25));
    put_number(f, "best_gbs", entry_gbs(e, 0));
    put_number(f, "percent_of_read", entry_percent_of_read(b, e));
    put_error(f, e);
    put_number(f, "bar_percent", e->c->target[e->isa]);
    put_number(f, "seconds", series_quantile(&e->time, 0.5));
    put_number(f, "best_seconds", series_quantile(&e->time, 0));
    put_number(f, "wall_seconds", series_quantile(&e->wall, 0.5));
    put_number(f, "flops", e->flops);
    put_number(f, "text_bytes", (double)e->text_bytes);
    fprintf(f,
            ", \"runs\": %d, \"calls_a_run\": %d, \"cache\": \"%s\", \"kernel\": ", e->time.count,
            e->calls, cache_of(e));
    put_string(f, e->kernel);
    fputc('}', f);
}

typedef struct json_list {
    FILE *f;
    const char *comma;
} json_list;

static void put_ratio(const bench_ratio *r, const entry *own, const entry *base, void *ctx) {
    json_list *list = ctx;
    fprintf(list->f,
            "%s\n    {\"case\": \"%s\", \"base\": \"%s\", \"isa\": \"%s\", \"kind\": \"%s\"",
            list->comma, r->name, r->base, isa_name(own),
            tells_speed(r, own, base) ? "times_as_fast" : "slower_by");
    put_number(list->f, "median", ratio(r, own, base, 0.5));
    put_number(list->f, "best", ratio(r, own, base, 0));
    if (entry_is_busy(own)) {
        put_number(list->f, "least", ratio(r, own, base, 1));
        put_number(list->f, "q1", ratio(r, own, base, 0.75));
        put_number(list->f, "q3", ratio(r, own, base, 0.25));
    }
    put_number(list->f, "bar", r->limit);
    fputc('}', list->f);
    list->comma = ",";
}

static void put_peaks(FILE *f, const bench *b) {
    const char *comma = "";
    for (int i = 0; i < b->peak_count; i++)
        for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
            const peak *p = &b->peaks[i];
            const entry e = {.isa = (attn_isa)isa};
            if (!p->fma[isa].count) continue;
            fprintf(f, "%s\n    {\"isa\": \"%s\", \"threads\": %d", comma, isa_name(&e),
                    p->threads);
            put_number(f, "fma_gflops", series_quantile(&p->fma[isa], 1));
            put_number(f, "median_fma_gflops", series_quantile(&p->fma[isa], 0.5));
            put_number(f, "read_gbs", series_quantile(&p->read, 1));
            put_number(f, "median_read_gbs", series_quantile(&p->read, 0.5));
            fputc('}', f);
            comma = ",";
        }
}

/* The one-thread peak of the widest ISA that ran. */
static double widest_peak(const bench *b) {
    double best = 0;
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++)
        if (b->peaks[0].fma[isa].count) best = series_quantile(&b->peaks[0].fma[isa], 1);
    return best;
}

bool report_json(const bench *b, const char *path) {
    FILE *f = fopen(path, "w");
    if (!f) {
        perror(path);
        return false;
    }
    fputs("{\"machine\": ", f);
    put_string(f, b->machine);
    put_number(f, "fma_peak_gflops", widest_peak(b));
    put_number(f, "read_gbs", series_quantile(&b->peaks[0].read, 1));
    put_number(f, "sgemm_gflops", series_quantile(&b->sgemm, 1));
    put_number(f, "median_sgemm_gflops", series_quantile(&b->sgemm, 0.5));
    fputs(", \"sgemm\": ", f);
    put_string(f, blas_text());
    fprintf(f, ", \"cpus\": %d, \"rounds\": %d,\n  \"peaks\": [", b->cpus, b->rounds);
    put_peaks(f, b);
    fputs("],\n  \"ratios\": [", f);
    json_list list = {f, ""};
    each_ratio(b, put_ratio, &list);
    fputs("],\n  \"cases\": [\n", f);
    for (int i = 0; i < b->count; i++) {
        put_entry(f, b, &b->entry[i]);
        fputs(i + 1 < b->count ? ",\n" : "\n", f);
    }
    fputs("  ]}\n", f);
    const bool ok = !ferror(f);
    return fclose(f) == 0 && ok;
}
