/* bench.c - times the cases of cases.def in interleaved rounds, beside the machine's peaks, and
 * checks what they compute. Needs kernels.so (and sizes.txt) beside the program. */
#include "bench.h"
#include "busy.h"
#include "files.h"
#include "blas.h"
#include "cpu.h"
#include "plan/isa.h"
#include "lab/peak.h"
#include <dlfcn.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char help[] =
    "usage: bench [options]\n"
    "\n"
    "  --isa LIST      "
#define ATTN_ISA_ROW(id, name, ...) name ","
#include "isa.def"
    " native (all that this CPU runs); default: the best\n"
    "  --case A,B,..   these cases instead of the main ones; any of --list\n"
    "  --only-layers   whole layers alone; with --threads, theirs\n"
    "  --only-cores    no whole layers\n"
    "  --cliffs        also the widths and head groups that kernels may stumble over\n"
    "  --busy          on two CPUs, beside two processes that it starts to keep them busy\n"
    "  --threads N,..  also P1, P2, D2 and the layers B1024 and B4096 on so many threads\n"
    "  --rounds N      interleaved rounds (default 9; 7 or more for figures to quote)\n"
    "  --cpu N         one-thread cases on this CPU; default: each round on the next\n"
    "  --blas PATH     the OpenBLAS that layers are compared with; default: the system's\n"
    "  --json PATH     write the results\n"
    "  --svg PATH      run the plot's cases instead, and draw them\n"
    "  --list          print the cases as JSON, and stop\n"
    "  --model         print the kernels (of --case) as a model file for attn-gen, and stop\n"
    "\n"
    "Exit status: 0 all outputs right, 1 some wrong, 2 cannot run.\n";

enum { MOST_THREADS = 16 };

typedef struct options {
    unsigned isa_mask;
    const char *cases, *json, *svg, *blas;
    bool cliffs, list, model, only_layers, only_cores, busy;
    int scale[MOST_THREADS + 1]; /* ends with 0 */
    int rounds, cpu;
} options;

static void die(const char *what, const char *why) {
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(2);
}

/* --- Options. --- */

static void parse_threads(options *o, const char *list) {
    int count = 0;
    for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',') {
        const int threads = atoi(p);
        if (threads < 1 || threads > 1024 || count == MOST_THREADS) die("--threads", list);
        o->scale[count++] = threads;
    }
}

static void parse_value(options *o, const char *name, const char *value) {
    diag d = {0};
    if (!strcmp(name, "--isa"))
        o->isa_mask = isa_parse(value, &d);
    else if (!strcmp(name, "--case"))
        o->cases = value;
    else if (!strcmp(name, "--threads"))
        parse_threads(o, value);
    else if (!strcmp(name, "--rounds"))
        o->rounds = atoi(value);
    else if (!strcmp(name, "--cpu"))
        o->cpu = atoi(value);
    else if (!strcmp(name, "--blas"))
        o->blas = value;
    else if (!strcmp(name, "--json"))
        o->json = value;
    else if (!strcmp(name, "--svg"))
        o->svg = value;
    else
        die(name, "unknown option; see --help");
    if (d.set) die(name, d.text);
}

static options parse(int argc, char **argv) {
    options o = {.rounds = 9, .cpu = -1};
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help")) {
            fputs(help, stdout);
            exit(0);
        } else if (!strcmp(argv[i], "--cliffs"))
            o.cliffs = true;
        else if (!strcmp(argv[i], "--busy"))
            o.busy = true;
        else if (!strcmp(argv[i], "--only-layers"))
            o.only_layers = true;
        else if (!strcmp(argv[i], "--only-cores"))
            o.only_cores = true;
        else if (!strcmp(argv[i], "--list"))
            o.list = true;
        else if (!strcmp(argv[i], "--model"))
            o.model = true;
        else if (i + 1 == argc)
            die(argv[i], "unknown, or needs a value; see --help");
        else
            parse_value(&o, argv[i], argv[i + 1]), i++;
    }
    if (o.rounds < 1) die("--rounds", "at least 1");
    return o;
}

/* --- The library of kernels, beside this program. --- */

static const char *beside(arena *a, const char *name) {
    char path[4096];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n < 0) die("/proc/self/exe", "not readable");
    path[n] = 0;
    *strrchr(path, '/') = 0;
    return arena_printf(a, "%s/%s", path, name);
}

static void load_symbol(void *handle, const char *name, void *fn, size_t size) {
    void *symbol = dlsym(handle, name);
    if (!symbol) die(name, "not in kernels.so");
    memcpy(fn, &symbol, size);
}

static kernel_lib load(arena *a) {
    const char *path = beside(a, "kernels.so");
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    kernel_lib lib = {0};
    if (!handle) die(path, dlerror());
#define LOAD(member) \
    load_symbol(handle, LIBRARY_NAME(attn_##member), &lib.member, sizeof lib.member)
    LOAD(plan_create), LOAD(plan_destroy), LOAD(block_destroy), LOAD(workspace), LOAD(run),
        LOAD(plan_kernel), LOAD(status_text);
    LOAD(block_create), LOAD(block_name), LOAD(block_weights), LOAD(block_packed_bytes);
    LOAD(block_pack), LOAD(cache_bytes), LOAD(cache_init), LOAD(block_workspace);
    LOAD(block_prefill), LOAD(block_step);
#undef LOAD
    return lib;
}

/* Lines "BYTES SYMBOL.o" of sizes.txt. */
static long text_bytes(const char *sizes, const char *kernel) {
    const size_t length = strcspn(kernel, ":");
    for (const char *line = sizes; line && *line;) {
        const char *name = line + strcspn(line, " \n");
        name += strspn(name, " ");
        if (!strncmp(name, kernel, length) && !strncmp(name + length, ".o", 2))
            return strtol(line, NULL, 10);
        line = strchr(line, '\n');
        if (line) line++;
    }
    return 0;
}

/* --- Series. --- */

void series_add(series *s, double value) {
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 16;
        s->value = realloc(s->value, (size_t)s->cap * sizeof *s->value);
        if (!s->value) die("series", "out of memory");
    }
    s->value[s->count++] = value;
}

static int ascending(const void *x, const void *y) {
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

double series_quantile(const series *s, double q) {
    if (!s->count) return 0;
    double *sorted = malloc((size_t)s->count * sizeof *sorted);
    if (!sorted) die("series", "out of memory");
    memcpy(sorted, s->value, (size_t)s->count * sizeof *sorted);
    qsort(sorted, (size_t)s->count, sizeof *sorted, ascending);
    const double at = q * (s->count - 1);
    const int low = (int)at, high = low + 1 < s->count ? low + 1 : low;
    const double value = sorted[low] + (at - low) * (sorted[high] - sorted[low]);
    free(sorted);
    return value;
}

/* --- What to run. --- */

static bool named(const char *list, const char *name) {
    for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
        if (strcspn(p, ",") == strlen(name) && !strncmp(p, name, strlen(name))) return true;
    return false;
}

static bool wanted(const options *o, const bench_case *c) {
    if (o->busy != (c->group == BUSY)) return false;
    if (o->busy && !o->cases) return true;
    if (o->cases) return named(o->cases, c->name);
    if (o->svg) return c->group == PLOT;
    const bool layer = c->group == WHOLE || c->group == WHOLE_SCALE;
    if (layer ? o->only_cores : o->only_layers) return false;
    return c->group != PLOT && (c->group != CLIFF || o->cliffs);
}

static void check_names(const options *o, const bench_cases *cases) {
    for (const char *p = o->cases ? o->cases : ""; *p; p += strcspn(p, ","), p += *p == ',')
        if (!cases_find(cases, p, strcspn(p, ",")))
            die(p, "no such case; see --list, and --threads for those with more threads");
}

static attn_plan *plan_of(arena *a, const kernel_lib *lib, const kernel_spec *k, attn_isa isa) {
    const char *name = isa_table[isa].name;
    attn_plan *plan;
    setenv("ATTN_ISA", name, 1);
    const attn_status status = lib->plan_create(&plan, &k->core, 0);
    if (status != ATTN_OK) die(k->name, lib->status_text(status));
    if (!strstr(lib->plan_kernel(plan, 1), arena_printf(a, "__%s_", name)))
        die(k->name, arena_printf(a, "kernels.so has no kernel for %s", name));
    return plan;
}

static void plan_core(arena *a, const kernel_lib *lib, entry *e) {
    const bench_case *c = e->c;
    e->plan = plan_of(a, lib, e->spec, e->isa);
    const bool items = case_is_items(c);
    e->kernel = lib->plan_kernel(e->plan, items ? 1 : c->q_len);
    const attn_extent extent = {sizeof extent, items ? c->q_len : 1, items ? 1 : c->q_len,
                                case_room(c),  c->threads,           0};
    if (lib->workspace(e->plan, &extent, &e->workspace_bytes) != ATTN_OK) die(c->name, "workspace");
}

/* The layer of another entry, where there is one: weights are packed once. */
static void plan_layer(arena *a, bench *b, const kernel_lib *lib, entry *e) {
    const bench_layer *l = NULL;
    for (int i = 0; i < b->count && !l; i++) {
        const entry *other = &b->entry[i];
        if (other->layer && other->spec == e->spec && other->isa == e->isa) l = other->layer->layer;
    }
    if (!l) l = layer_make(a, lib, e->spec, e->isa);
    e->kernel = arena_strdup(b->a, lib->block_name(l->block));
    e->layer = layer_call_make(a, lib, l, e->c, &e->workspace_bytes);
}

/* Layers of one type of weights on one instruction set are timed together, before those of the next
 * are made: all at once would take a gigabyte a type. Cores are the first part. */
static int part_of(const kernel_spec *k, attn_isa isa) {
    return case_is_layer(k) ? 1 + (int)isa * (int)ATTN_WEIGHT_COUNT + k->core.weight_type : 0;
}

static void add_peak(bench *b, int threads) {
    for (int i = 0; i < b->peak_count; i++)
        if (b->peaks[i].threads == threads) return;
    b->peaks[b->peak_count++].threads = threads;
}

const peak *bench_peak(const bench *b, int threads) {
    for (int i = 0; i < b->peak_count; i++)
        if (b->peaks[i].threads == threads) return &b->peaks[i];
    return NULL;
}

static void make_entries(bench *b, const options *o, const kernel_lib *lib) {
    b->entry = arena_alloc(b->a, (size_t)(b->cases.count * ATTN_ISA_COUNT) * sizeof *b->entry);
    b->peaks = arena_alloc(b->a, (size_t)b->cases.count * sizeof *b->peaks);
    add_peak(b, 1);
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
        if (!(o->isa_mask & (1u << isa))) continue;
        for (int i = 0; i < b->cases.count; i++) {
            const bench_case *c = &b->cases.row[i];
            if (!wanted(o, c)) continue;
            if (!build_has(b->a, lib, &b->cases.kernels[c->kernel], isa)) continue;
            const kernel_spec *k = &b->cases.kernels[c->kernel];
            b->entry[b->count++] = (entry){.c = c,
                                           .spec = k,
                                           .isa = (attn_isa)isa,
                                           .part = part_of(k, (attn_isa)isa),
                                           .flops = case_flops(c, k),
                                           .bytes = case_bytes(c, k),
                                           .same_bits = true};
            add_peak(b, c->threads);
        }
    }
    if (!b->count) die("nothing to run", "see --list");
}

/* --- Threads and CPUs. --- */

static cpu_set_t all_cpus;

/* The n-th CPU that this process may use, cyclically. */
static void pin(int n) {
    cpu_set_t one;
    CPU_ZERO(&one);
    n %= CPU_COUNT(&all_cpus);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &all_cpus) || n-- > 0) cpu++;
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

/* Threads inherit the CPUs of the thread that starts them. Those of OpenMP (the peaks') and of the
 * kernels stop spinning after a while. */
static void place(int threads, int cpu) {
    if (threads > 1)
        sched_setaffinity(0, sizeof all_cpus, &all_cpus);
    else
        pin(cpu);
}

/* --- Measuring. --- */

static void run_entry(const kernel_lib *lib, const entry *e) {
    const attn_status status = e->layer ? layer_run(lib, e->layer) : lib->run(e->plan, &e->args);
    if (status != ATTN_OK) die(e->c->name, lib->status_text(status));
}

static uint64_t hash_output(const bench_data *d, const entry *e) {
    const bench_case *c = e->c;
    const size_t items = c->how & PADDED ? (size_t)c->batch : 1;
    const size_t each = data_outputs(c, e->spec) / items; /* of an item, of which some exist */
    const size_t some = each / (size_t)case_tokens(c) * (size_t)c->q_len;
    uint64_t hash = 0;
    for (size_t i = 0; i < items; i++)
        hash = hash * 31 + hash64((const float *)d->o + i * each, some * sizeof(float));
    return hash;
}

/* Same inputs, same bits: at any thread count, too. */
static void compare_bits(bench *b, entry *e) {
    for (const entry *f = b->entry; f < e; f++)
        if (f->c->kernel == e->c->kernel && f->isa == e->isa && f->c->q_len == e->c->q_len &&
            f->c->kv_len == e->c->kv_len && f->c->batch == e->c->batch &&
            !((f->c->how ^ e->c->how) & (TOKEN | CLOSE | BEYOND | ITEMS | PADDED | EVEN | RAGGED)))
            e->same_bits &= f->hash == e->hash;
}

/* Over NaN, so that a row that is not written shows. The second run sets the number of calls. */
static void check_entry(bench *b, const kernel_lib *lib, const bench_data *d, entry *e) {
    if (e->layer) {
        layer_call_place(e->layer, d, e->workspace_bytes);
    } else {
        e->args = data_args(b->a, d, e->c, e->spec);
        e->args.workspace_bytes = e->workspace_bytes;
    }
    memset(d->o, 0xff, data_outputs(e->c, e->spec) * sizeof(float));
    place(e->c->threads, 0);
    run_entry(lib, e);
    e->error = e->layer ? layer_check(e->layer) : data_check(&e->args, e->c, e->spec);
    e->hash = hash_output(d, e);
    compare_bits(b, e);
    const double start = bench_wall();
    run_entry(lib, e);
    const double calls = 3e-3 / (bench_wall() - start);
    e->calls = e->c->how & COLD || calls < 1 ? 1 : calls > 1000 ? 1000 : (int)calls;
}

static void measure(const kernel_lib *lib, const bench_data *d, entry *e) {
    if (e->c->how & COLD) peak_evict(d->other, d->other_bytes);
    const double wall = bench_wall(), start = bench_clock(e->c->threads);
    for (int i = 0; i < e->calls; i++) run_entry(lib, e);
    series_add(&e->time, (bench_clock(e->c->threads) - start) / e->calls);
    series_add(&e->wall, (bench_wall() - wall) / e->calls);
}

static void measure_busy(const kernel_lib *lib, entry *e) {
    const double start = bench_wall();
    double now = start;
    int calls = 0;
    for (; now - start < 1; calls++, now = bench_wall()) run_entry(lib, e);
    series_add(&e->time, (now - start) / calls);
    series_add(&e->wall, (now - start) / calls);
}

/* Short ones three times a round, all but long ones after an untimed run. */
static void round_of(const kernel_lib *lib, const bench_data *d, entry *e, int cpu) {
    if (entry_is_busy(e)) {
        place(2, cpu); /* one thread, too, goes where there is room */
        measure_busy(lib, e);
        return;
    }
    place(e->c->threads, cpu);
    const bool is_long = e->wall.count && e->wall.value[0] > 0.3; /* and warms itself */
    if (!(e->c->how & COLD) && !is_long) run_entry(lib, e);
    const double start = bench_wall();
    for (int i = 0; i < 3 && (i == 0 || bench_wall() - start < 0.1); i++) measure(lib, d, e);
    if (e->c->threads > 1) usleep(5000);
}

static void measure_peaks(bench *b, const options *o, const bench_data *d, int cpu) {
    for (int i = 0; i < b->peak_count; i++) {
        peak *p = &b->peaks[i];
        place(p->threads, cpu);
        for (int isa = 0; isa < ATTN_ISA_COUNT; isa++)
            if (o->isa_mask & (1u << isa))
                series_add(&p->fma[isa], peak_fma((attn_isa)isa, p->threads));
        series_add(&p->read, peak_read(d->other, d->other_bytes, p->threads));
        if (p->threads > 1) usleep(5000);
    }
    place(1, cpu);
    for (int i = 0; i < 3 && b->has_blas; i++) series_add(&b->sgemm, blas_sgemm());
}

/* What the entries of a part need. Layers and their calls are the arena's. */
static bench_data plan_part(arena *a, bench *b, const kernel_lib *lib, int part) {
    size_t inputs = 0, scales = 0, outputs = 0, workspace = 0;
    unsigned types = 0;
    diag d = {0};
    const char *sizes = read_file(a, beside(a, "sizes.txt"), 1 << 20, NULL, &d);
    for (int i = 0; i < b->count; i++) {
        entry *e = &b->entry[i];
        if (e->part != part) continue;
        if (case_is_layer(e->spec))
            plan_layer(a, b, lib, e);
        else
            plan_core(b->a, lib, e);
        e->text_bytes = text_bytes(sizes, e->kernel);
        const size_t in = data_inputs(e->c, e->spec), out = data_outputs(e->c, e->spec);
        const size_t rows = data_scales(e->c, e->spec);
        types |= data_types(e->spec);
        if (in > inputs) inputs = in;
        if (rows > scales) scales = rows;
        if (out > outputs) outputs = out;
        if (e->workspace_bytes > workspace) workspace = e->workspace_bytes;
    }
    return data_make(inputs, scales, outputs, workspace, types);
}

static void run_rounds(bench *b, const options *o, const kernel_lib *lib, const bench_data *d,
                       int part) {
    for (int round = 0; round < o->rounds; round++) {
        const int cpu = o->cpu >= 0 ? o->cpu : round;
        if (round == 0 || !o->busy) measure_peaks(b, o, d, cpu);
        if (round == 0 && o->busy && busy_start(2)) die("--busy", "cannot start processes");
        for (int i = 0; i < b->count; i++) {
            entry *e = &b->entry[i];
            if (e->part != part) continue;
            round_of(lib, d, e, cpu);
            if (round == o->rounds - 1) e->same_bits &= hash_output(d, e) == e->hash;
        }
        if (isatty(STDERR_FILENO)) fprintf(stderr, "\rround %d of %d ", round + 1, o->rounds);
    }
    busy_end();
    if (!o->busy) measure_peaks(b, o, d, o->cpu >= 0 ? o->cpu : 0);
}

/* Layers are destroyed, calls of entries forgotten. */
static void end_part(bench *b, const kernel_lib *lib, int part) {
    for (int i = 0; i < b->count; i++) {
        entry *e = &b->entry[i];
        if (e->part != part || !e->layer) continue;
        attn_block *block = e->layer->layer->block;
        for (int n = b->count - 1; n >= i; n--)
            if (b->entry[n].layer && b->entry[n].layer->layer->block == block)
                b->entry[n].layer = NULL;
        lib->block_destroy(block);
    }
    layers_release();
    data_release();
}

static void run_part(bench *b, const options *o, const kernel_lib *lib, int part) {
    arena *a = arena_new();
    const bench_data d = plan_part(a, b, lib, part);
    for (int i = 0; i < b->count; i++)
        if (b->entry[i].part == part) check_entry(b, lib, &d, &b->entry[i]);
    run_rounds(b, o, lib, &d, part);
    end_part(b, lib, part);
    arena_free(a);
}

static void run_all(bench *b, const options *o, const kernel_lib *lib) {
    enum { PARTS = 1 + (int)ATTN_ISA_COUNT * (int)ATTN_WEIGHT_COUNT };
    bool has[PARTS] = {0};
    for (int i = 0; i < b->count; i++) has[b->entry[i].part] = true;
    for (int part = 0; part < PARTS; part++)
        if (has[part]) run_part(b, o, lib, part);
    if (isatty(STDERR_FILENO)) fputs("\r                    \r", stderr);
}

/* --- Rates. --- */

double entry_gflops(const entry *e, double q) {
    return 1e-9 * e->flops / series_quantile(&e->time, q);
}

double entry_gbs(const entry *e, double q) {
    const bool once = e->c->q_len == 1 || case_owns_keys(e->c);
    return once ? 1e-9 * e->bytes / series_quantile(&e->time, q) : 0;
}

static double percent(double rate, double best) {
    return best > 0 ? 100 * rate / best : 0;
}

double entry_percent_of_peak(const bench *b, const entry *e) {
    const peak *p = bench_peak(b, e->c->threads);
    return percent(entry_gflops(e, 0), series_quantile(&p->fma[e->isa], 1));
}

double entry_percent_of_read(const bench *b, const entry *e) {
    const peak *p = bench_peak(b, e->c->threads);
    return percent(entry_gbs(e, 0), series_quantile(&p->read, 1));
}

double entry_percent_of_sgemm(const bench *b, const entry *e) {
    if (!case_is_gemm(e->c, e->spec) || e->c->threads != 1 || e->isa != b->widest) return 0;
    return percent(entry_gflops(e, 0), series_quantile(&b->sgemm, 1));
}

bool entry_passed(const entry *e) {
    return e->error.finite && e->error.excess <= 1 && e->same_bits;
}

/* --- Main. --- */

static void find_machine(bench *b) {
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[512];
    snprintf(b->machine, sizeof b->machine, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (!colon || strncmp(line, "model name", 10)) continue;
        snprintf(b->machine, sizeof b->machine, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (f) fclose(f);
    sched_getaffinity(0, sizeof all_cpus, &all_cpus);
    b->cpus = CPU_COUNT(&all_cpus);
}

/* Two of the CPUs, so that two processes keep all of them busy. */
static void take_two(bench *b) {
    if (b->cpus < 2) die("--busy", "there are no two CPUs");
    for (int cpu = CPU_SETSIZE - 1; CPU_COUNT(&all_cpus) > 2; cpu--) CPU_CLR(cpu, &all_cpus);
    b->cpus = 2;
    place(2, 0);
}

/* Only where a row is compared with it. */
static void find_blas(bench *b, const options *o) {
    bool needed = false;
    for (int i = 0; i < b->count; i++) needed |= case_is_gemm(b->entry[i].c, b->entry[i].spec);
    if (!needed) return;
    b->has_blas = blas_load(o->blas);
    if (!b->has_blas && o->blas) die("--blas", blas_text());
    if (b->has_blas) blas_sgemm(); /* its first call allocates */
}

/* The kernels of --case, or all. */
static void print_model(bench *b, const options *o) {
    const bench_cases *c = &b->cases;
    kernel_spec *kernels = arena_alloc(b->a, (size_t)c->kernel_count * sizeof *kernels);
    model m;
    int count = 0;
    check_names(o, c);
    for (int k = 0; k < c->kernel_count; k++) {
        bool used = !o->cases;
        for (int i = 0; i < c->count && !used; i++)
            used = c->row[i].kernel == k && named(o->cases, c->row[i].name);
        if (used) kernels[count++] = c->kernels[k];
    }
    if (!model_from_kernels(b->a, "bench", kernels, count, &m))
        die("cases.def", "two expressions have one hash");
    fputs(model_to_lua(b->a, &m), stdout);
}

static void print_list(const bench *b) {
    puts("[");
    for (int i = 0; i < b->cases.count; i++) {
        const bench_case *c = &b->cases.row[i];
        const kernel_spec *k = &b->cases.kernels[c->kernel];
        const attn_spec *s = &k->core;
        /* Not for the peers; never the last row. */
        const bool mixture = s->ffn == ATTN_FFN_MOE;
        if (c->group == BUSY || mixture || c->how & (BEYOND | ITEMS)) continue;
        printf("  {\"name\": \"%s\", \"layer\": %d, \"spec\": \"%s\", \"heads\": %d, "
               "\"kv_heads\": %d, \"v_heads\": %d, \"dim\": %d, \"v_dim\": %d, \"q_len\": %d, "
               "\"kv_len\": %d, \"threads\": %d, \"causal\": %d, \"window\": %d, \"cross\": %d, "
               "\"scale\": %.9g, \"shares_v\": %d, \"token_major\": %d, \"flops\": %.0f, "
               "\"bytes\": %.0f, \"reads\": %d, \"whole\": %d, \"batch\": %d, \"d_model\": %d, "
               "\"ffn_dim\": %d}%s\n",
               c->name, c->kernel, c->text, s->heads, s->kv_heads, s->v_heads, attn_spec_k_dim(s),
               s->v_dim, c->q_len, c->kv_len, c->threads, s->causal, s->window,
               s->op == ATTN_OP_SEGMENT_CROSS, (double)s->scale, case_shares_v(k),
               (c->how & TOKEN) != 0, case_flops(c, k), case_bytes(c, k), case_reads(c, k),
               case_is_layer(k), c->batch, s->d_model, s->ffn_dim,
               i + 1 < b->cases.count ? "," : "");
    }
    puts("]");
}

int main(int argc, char **argv) {
    options o = parse(argc, argv);
    bench b = {.a = arena_new(), .rounds = o.rounds};
    b.cases = cases_make(b.a, o.scale);
    if (o.model) print_model(&b, &o);
    if (o.list) print_list(&b);
    if (o.model || o.list) return 0;

    const unsigned native = isa_native();
    if (!o.isa_mask) o.isa_mask = isa_best(native);
    if (o.isa_mask & ~native) die("--isa", "this CPU does not run all of these");
    check_names(&o, &b.cases);
    find_machine(&b);
    if (o.busy) take_two(&b);
    b.widest = attn_isa_best(native);
    const kernel_lib lib = load(b.a);
    make_entries(&b, &o, &lib);
    find_blas(&b, &o);
    run_all(&b, &o, &lib);
    report_table(&b);
    bool ok = !o.json || report_json(&b, o.json);
    if (o.svg) ok &= plot_svg(&b, o.svg);
    if (!ok) return 2;
    for (int i = 0; i < b.count; i++) ok &= entry_passed(&b.entry[i]);
    return !ok;
}
