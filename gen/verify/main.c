/* main.c - attn-verify: golden files against freshly generated kernels. */
#define _DEFAULT_SOURCE
#include "plan/isa.h"
#include "output/program.h"
#include "version.h"
#include "lab/block_call.h"
#include "check.h"
#include "lab/pool.h"
#include "lab/progress.h"
#include "timing.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: attn-verify FILE.safetensors ... [options]\n"
    "\n"
    "Generates the kernels that the cases need, compiles them with ${CC:-cc}, runs them in "
    "guarded\n"
    "memory and compares: |got - want| <= tolerance * (1 + |want|).\n"
    "\n"
    "  --folder DIR      compile the kernels in this generated folder (or single file's folder)\n"
    "                    instead of fresh ones, as its Makefile does: with the environment's CC\n"
    "                    and CFLAGS, else -O2; --isa: all that it has by default\n"
    "  --isa LIST        "
#define ATTN_ISA_ROW(id, name, ...) name ","
#include "isa.def"
    " or all (default): those that this CPU runs\n"
    "  --backend NAME    sdpa, flex or both (default): those that can express the case\n"
    "  --page N          layers alone: with keys in pages of N (16 to 1024, a power of two), in\n"
    "                    whatever layout the case has them\n"
    "  --threads N       threads of the first run of each case (default 2); the second has one,\n"
    "                    another layout, and must give the same bits\n"
    "  --time            also the error against the double oracle, GFLOP/s on one thread, and the\n"
    "                    share of this CPU's multiply-add peak; cases one after the other\n"
    "  --reference       run the double-precision reference instead of the kernels\n"
    "  --oracle          hold the cases against the double oracle itself, and print its worst "
    "error:\n"
    "                    nothing is generated\n"
    "  --unroll U        auto (default), full or a number, as attn-gen's\n"
    "  --cflags FLAGS    for fresh kernels: options after -O2\n"
    "  --templates DIR   templates to use instead of the built-in ones\n"
    "  --keep            leave the generated folder, and print where it is\n"
    "  --version         print the version\n"
    "\n"
    "Example:\n"
    "    attn-gen golden out -o cases && attn-verify --folder out cases/*.safetensors\n"
    "\n"
    "Exit status: 0 all passed, 1 some failed, 2 wrong input.\n";

typedef struct settings {
    unsigned isa_mask, backends;
    bool isa_given, reference, time, oracle;
    int threads;
    const char *page; /* null: none */
    build_options build;
    const char **path;
    int path_count;
} settings;

/* Passed and failed lines; shared with the children. */
typedef struct tally {
    int passed, failed;
    double worst; /* error; --oracle only */
} tally;

typedef struct verify {
    arena *a;
    settings set;
    golden *cases;
    kernel_spec *kernels; /* distinct */
    built *libs;
    int kernel_count;
    tally *tallies; /* one a case, shared */
} verify;

static void report(const golden *g, const char *kernel, double error, double dot, const char *why,
                   const speed *time, tally *t) {
    if (why) {
        printf("%-28s %s  FAIL: %s\n", g->name, kernel, why);
        t->failed++;
        return;
    }
    printf("%-28s %s  error %.2g, tolerance %.2g", g->name, kernel, error, g->tolerance);
    if (dot > 0) printf(" + %.2g of dot", dot);
    puts("  ok");
    if (time)
        printf("%-28s   against the oracle %.1e  %7.1f GFLOP/s %5.1f %% of peak\n", "",
               time->oracle_error, time->gflops, 100 * time->share);
    t->passed++;
}

static const built *find_kernel(const verify *v, const kernel_spec *spec) {
    for (int i = 0; i < v->kernel_count; i++)
        if (strcmp(v->kernels[i].name, spec->name) == 0) return &v->libs[i];
    return NULL;
}

/* Null, or why the kernel cannot be held against the case, or fails it. */
static const char *run_core(const verify *v, check *c, const built *b, int isa, speed *time) {
    const kernel_spec *spec = &c->g->spec[c->backend];
    const char *why = NULL;
    uint32_t flags = v->set.reference ? ATTN_REFERENCE : 0;
    attn_plan *plan = build_plan(v->a, b->lib, spec, isa, flags, &why);
    if (!plan) return why;
    if (!flags) check_allow(c, isa, &v->set.build);
    why = check_core(c, b->lib, plan, v->set.threads);
    if (v->set.time && !why)
        *time = time_call(v->a, b->lib, plan, &c->g->problem[c->backend], (attn_isa)isa);
    c->kernel = arena_strdup(v->a, c->kernel);
    b->lib->plan_destroy(plan);
    return why;
}

static void run_kernel(const verify *v, const golden *g, int backend, int isa, tally *t) {
    const kernel_spec *spec = &g->spec[backend];
    check c = {.a = v->a, .g = g, .backend = backend};
    const char *name = arena_printf(v->a, "%s__%s", spec->name, isa_table[isa].name);
    const bool timed = v->set.time && !g->is_block;
    const built *b = find_kernel(v, spec);
    speed time = {0};
    const char *why = b->error;
    if (!why)
        why = g->is_block ? check_layer(&c, b->lib, isa, v->set.reference ? ATTN_REFERENCE : 0,
                                        v->set.threads)
                          : run_core(v, &c, b, isa, &time);
    report(g, c.kernel ? c.kernel : name, c.error, c.o_dot, why, timed ? &time : NULL, t);
}

static void run_oracle(const verify *v, const golden *g, int backend, tally *t) {
    check c = {.a = v->a, .g = g, .backend = backend};
    const char *why = check_oracle(&c);
    report(g, arena_printf(v->a, "%s__oracle", g->spec[backend].name), c.error, 0, why, NULL, t);
    if (c.error > t->worst) t->worst = c.error;
}

/* Every ISA, or the oracle alone. */
static void run_backend(const verify *v, const golden *g, int backend, tally *t) {
    if (v->set.oracle) {
        run_oracle(v, g, backend, t);
        return;
    }
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
        const built *b = find_kernel(v, &g->spec[backend]);
        if (!(v->set.isa_mask >> isa & 1)) continue;
        if (!build_has(v->a, b->lib, &g->spec[backend], isa)) continue;
        run_kernel(v, g, backend, isa, t);
        fflush(stdout);
    }
}

static int case_job(void *ctx, int index) {
    const verify *v = ctx;
    const golden *g = &v->cases[index];
    tally *t = &v->tallies[index];
    if (!g->able[ATTN_BACKEND_SDPA] && !g->able[ATTN_BACKEND_FLEX])
        printf("%-28s skipped: this backend cannot express it\n", g->name);
    for (int backend = 0; backend < 2; backend++)
        if (g->able[backend]) run_backend(v, g, backend, t);
    return 0;
}

static void case_done(void *ctx, int index, const pool_result *r) {
    const verify *v = ctx;
    progress_end();
    fputs(r->output, stdout);
    if (r->signal) {
        printf("%-28s FAIL: the next kernel %s\n", v->cases[index].name,
               pool_signal_text(v->a, r->signal));
        v->tallies[index].failed++;
    }
    progress("%d of %d cases left", v->set.path_count - index - 1, v->set.path_count);
}

/* --- Command line --- */

static bool parse_unroll(const char *text, int *out, diag *d) {
    char *end;
    if (strcmp(text, "auto") == 0)
        *out = 0;
    else if (strcmp(text, "full") == 0)
        *out = -1;
    else {
        *out = (int)strtol(text, &end, 10);
        if (*end || *out < 1) return diag_set(d, "--unroll: auto, full or a number, not %s", text);
    }
    return true;
}

static bool parse_threads(const char *text, int *out, diag *d) {
    char *end;
    long n = strtol(text, &end, 10);
    if (*end || n < 1 || n > 1024) return diag_set(d, "--threads: 1 to 1024, not %s", text);
    *out = (int)n;
    return true;
}

static bool parse_backend(const char *text, unsigned *out, diag *d) {
    *out = strcmp(text, "sdpa") == 0   ? 1u << ATTN_BACKEND_SDPA
           : strcmp(text, "flex") == 0 ? 1u << ATTN_BACKEND_FLEX
           : strcmp(text, "both") == 0 ? 3u
                                       : 0;
    return *out || diag_set(d, "--backend: sdpa, flex or both, not %s", text);
}

/* The options that the help lists: whether `name` is one, else with what may be meant. */
static bool is_option(arena *a, const char *name, diag *d) {
    const char *names[32] = {"--help"};
    int n = 1;
    for (const char *p = help; n < 31 && (p = strstr(p, "\n  --")); p += 5)
        names[n++] = arena_strndup(a, p + 3, strcspn(p + 3, " "));
    for (int i = 0; i < n; i++)
        if (!strcmp(names[i], name)) return true;
    buf b = buf_new(a);
    suggest(&b, name, names);
    return diag_set(d, "%s: unknown flag%s; attn-verify --help lists them", name, b.data);
}

/* An option that takes a value. */
static bool parse_option(settings *s, const char *name, const char *value, diag *d) {
    if (strcmp(name, "--isa") == 0) {
        s->isa_given = true;
        s->isa_mask = isa_parse(value, d);
        return s->isa_mask != 0;
    }
    if (strcmp(name, "--backend") == 0) return parse_backend(value, &s->backends, d);
    if (strcmp(name, "--threads") == 0) return parse_threads(value, &s->threads, d);
    if (strcmp(name, "--unroll") == 0) return parse_unroll(value, &s->build.unroll, d);
    if (strcmp(name, "--page") == 0) {
        s->page = value;
        return true;
    }
    if (strcmp(name, "--folder") == 0) {
        s->build.folder = value;
        return true;
    }
    if (strcmp(name, "--cflags") == 0) {
        s->build.cflags = value;
        return true;
    }
    s->build.templates = value;
    return true;
}

static bool parse(arena *a, int argc, char **argv, settings *s, diag *d) {
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (strncmp(arg, "--", 2) != 0)
            s->path[s->path_count++] = arg;
        else if (!is_option(a, arg, d))
            return false;
        else if (strcmp(arg, "--reference") == 0)
            s->reference = true;
        else if (strcmp(arg, "--oracle") == 0)
            s->oracle = true;
        else if (strcmp(arg, "--time") == 0)
            s->time = true;
        else if (strcmp(arg, "--keep") == 0)
            s->build.keep = true;
        else if (i + 1 == argc)
            return diag_set(d, "%s: needs a value", arg);
        else if (!parse_option(s, arg, argv[++i], d))
            return false;
    }
    if (s->path_count == 0)
        return diag_set(d, "needs cases: attn-verify FILE.safetensors ..; see attn-verify --help");
    if (s->build.folder && s->build.cflags)
        return diag_set(d,
                        "--cflags: not with --folder, whose build takes CFLAGS of the environment");
    return true;
}

/* Narrows the ISAs to those that this CPU runs, and says which it leaves out. */
static bool choose_isas(arena *a, settings *s, diag *d) {
    unsigned has = isa_parse("all", d);
    if (s->build.folder) has = build_folder_isas(a, s->build.folder, d);
    if (!has) return false;
    if (!s->isa_given) s->isa_mask = s->reference ? has & -has : has; /* one is enough */
    s->isa_mask &= has;
    if (!s->isa_mask) return diag_set(d, "--isa: the folder has none of these kernels");
    unsigned native = isa_native();
    for (int i = 0; i < ATTN_ISA_COUNT; i++)
        if ((s->isa_mask & ~native) >> i & 1)
            printf("skipped %s: this CPU does not run it\n", isa_table[i].name);
    s->isa_mask &= native;
    return s->isa_mask || diag_set(d, "--isa: this CPU runs none of them");
}

/* --- The way through --- */

static bool read_cases(verify *v, diag *d) {
    v->cases = arena_alloc(v->a, (size_t)v->set.path_count * sizeof *v->cases);
    for (int i = 0; i < v->set.path_count; i++)
        if (!golden_read(v->a, v->set.path[i], v->set.backends, v->set.page, &v->cases[i], d))
            return false;
    return true;
}

static void collect_kernels(verify *v) {
    v->kernels = arena_alloc(v->a, (size_t)v->set.path_count * 2 * sizeof *v->kernels);
    v->libs = arena_alloc(v->a, (size_t)v->set.path_count * 2 * sizeof *v->libs);
    for (int i = 0; i < v->set.path_count * 2; i++) {
        const golden *g = &v->cases[i / 2];
        if (g->able[i % 2] && !find_kernel(v, &g->spec[i % 2]))
            v->kernels[v->kernel_count++] = g->spec[i % 2];
    }
}

static int run_all(verify *v) {
    int n = v->set.path_count, passed = 0, failed = 0;
    double worst = 0;
    pool_result *results = arena_alloc(v->a, (size_t)n * sizeof *results);
    v->tallies = pool_shared((size_t)n * sizeof *v->tallies);
    progress("running %d case%s", n, n == 1 ? "" : "s");
    pool_run(v->a, n, v->set.time ? 1 : 0, 300, case_job, v, results, case_done);
    progress_end();
    for (int i = 0; i < n; i++) {
        passed += v->tallies[i].passed;
        failed += v->tallies[i].failed;
        if (v->tallies[i].worst > worst) worst = v->tallies[i].worst;
    }
    if (v->set.oracle) printf("worst error of the oracle %.2g\n", worst);
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}

static int fail(const diag *d) {
    fprintf(stderr, "attn-verify: %s\n", d->text);
    return 2;
}

static int run_main(verify *v, int argc, char **argv) {
    diag d = {0};
    v->set.path = arena_alloc(v->a, (size_t)argc * sizeof *v->set.path);
    if (!parse(v->a, argc, argv, &v->set, &d) ||
        (!v->set.oracle && !choose_isas(v->a, &v->set, &d)) || !read_cases(v, &d)) {
        return fail(&d);
    }
    if (v->set.oracle) return run_all(v);
    collect_kernels(v);
    v->set.build.isa_mask = v->set.isa_mask;
    build_kernels(v->a, v->kernels, v->kernel_count, &v->set.build, v->libs);
    return run_all(v);
}

int main(int argc, char **argv) {
    program_begin();
    diag d = {0};
    for (int i = 1; i < argc; i++) {
        const bool wants_help = strcmp(argv[i], "--help") == 0;
        if (!wants_help && strcmp(argv[i], "--version")) continue;
        fputs(wants_help ? help : "attn-verify " ATTN_GEN_VERSION "\n", stdout);
        return program_printed(&d) ? 0 : fail(&d);
    }
    setenv("OMP_WAIT_POLICY", "passive", 0);
    verify v = {.a = arena_new()};
    v.set = (settings){.backends = 3, .threads = 2};
    int status = run_main(&v, argc, argv);
    if (!program_printed(&d)) status = fail(&d);
    arena_free(v.a);
    return status;
}
