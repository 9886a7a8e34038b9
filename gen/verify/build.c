/* build.c - temporary folder, compiler jobs, dlopen. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#include "build.h"
#include "../isa.h"
#include "pool.h"
#include <dlfcn.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is to be compiled, and how. */
typedef struct compilation {
    arena *a;
    const char *dir;
    const char **source; /* relative to dir */
    int count;
    const char *flags;
} compilation;

static const char *compiler(void) {
    const char *cc = getenv("CC");
    return cc && *cc ? cc : "cc";
}

/* Runs a shell command in place of this process. */
static int become(const char *command) {
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    perror("/bin/sh");
    return 127;
}

static int command_job(void *ctx, int index) {
    return become(((const char **)ctx)[index]);
}

/* True if the command succeeds; its output is in *output. */
static bool command(arena *a, const char *text, const char **output) {
    pool_result r;
    pool_run(a, 1, 1, 600, command_job, &text, &r, NULL);
    *output = r.signal ? pool_signal_text(a, r.signal) : r.output;
    return !r.signal && r.code == 0;
}

/* " -fopenmp" where the compiler can build and link with it, "" otherwise. Asked once. */
static const char *openmp_flag(void) {
    static int known = -1;
    if (known >= 0) return known ? " -fopenmp" : "";
    arena *a = arena_new();
    char path[] = "/tmp/attn-openmp-XXXXXX";
    int fd = mkstemp(path);
    const char *output;
    known = 0;
    if (fd >= 0) {
        close(fd);
        known = command(a,
                        arena_printf(a,
                                     "echo 'int f(void);int f(void){return 0;}' | %s -x c -fopenmp "
                                     "-fPIC -shared - -o %s",
                                     compiler(), path),
                        &output);
        unlink(path);
    }
    arena_free(a);
    return known ? " -fopenmp" : "";
}

static int compile_job(void *ctx, int index) {
    const compilation *c = ctx;
    return become(arena_printf(c->a, "cd '%s' && exec %s %s -I. -Iruntime -c '%s' -o obj%d.o",
                               c->dir, compiler(), c->flags, c->source[index], index));
}

static bool ends_with(const char *s, const char *tail) {
    size_t n = strlen(s), m = strlen(tail);
    return n >= m && strcmp(s + n - m, tail) == 0;
}

/* Programs of a folder, which have their own main. */
static bool is_program(const gen_file *f) {
    return strstr(f->text, "int main(") != NULL;
}

static bool compile_all(const compilation *c, diag *d) {
    pool_result *r = arena_alloc(c->a, (size_t)c->count * sizeof *r);
    pool_run(c->a, c->count, 0, 600, compile_job, (void *)c, r, NULL);
    for (int i = 0; i < c->count; i++) {
        if (r[i].signal)
            return diag_set(d, "compiler: %s on %s", pool_signal_text(c->a, r[i].signal),
                            c->source[i]);
        if (r[i].code)
            return diag_set(d, "%s does not compile:\n%.800s", c->source[i], r[i].output);
    }
    const char *output;
    /* -Bsymbolic: this library's runtime, never one that its host may export. */
    const char *link = arena_printf(c->a,
                                    "cd '%s' && exec %s %s -shared -Wl,-Bsymbolic -o "
                                    "kernels.so obj*.o -lm",
                                    c->dir, compiler(), c->flags);
    if (!command(c->a, link, &output)) return diag_set(d, "does not link:\n%.800s", output);
    return true;
}

static bool compile_folder(arena *a, const char *dir, const gen_files *files,
                           const build_options *o, diag *d) {
    compilation c = {.a = a, .dir = dir};
    c.source = arena_alloc(a, (size_t)files->count * sizeof *c.source);
    for (int i = 0; i < files->count; i++)
        if (ends_with(files->file[i].path, ".c") && !is_program(&files->file[i]))
            c.source[c.count++] = files->file[i].path;
    c.flags = arena_printf(a, "-O2 -std=c11 -fPIC%s %s", openmp_flag(), o->cflags ? o->cflags : "");
    return compile_all(&c, d);
}

static bool load_symbol(void *handle, const char *name, void *fn, size_t size, diag *d) {
    void *symbol = dlsym(handle, name);
    if (!symbol) return diag_set(d, "the library has no %s", name);
    memcpy(fn, &symbol, size);
    return true;
}

/* The library stays loaded to the end: OpenMP's threads may still be in it. */
static const kernel_lib *load(arena *a, const char *dir, diag *d) {
    void *handle = dlopen(arena_printf(a, "%s/kernels.so", dir), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        diag_set(d, "dlopen: %s", dlerror());
        return NULL;
    }
    kernel_lib *lib = arena_alloc(a, sizeof *lib);
#define LOAD(member) load_symbol(handle, "attn_" #member, &lib->member, sizeof lib->member, d)
    bool ok = LOAD(plan_create) && LOAD(plan_destroy) && LOAD(workspace) && LOAD(run) &&
              LOAD(plan_kernel) && LOAD(status_text) && LOAD(spec_init);
#undef LOAD
    return ok ? lib : NULL;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st, (void)type, (void)at;
    return remove(path);
}

static const char *temporary_folder(arena *a, diag *d) {
    const char *tmp = getenv("TMPDIR");
    char *dir = arena_printf(a, "%s/attn-verify-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (mkdtemp(dir)) return dir;
    diag_set(d, "cannot make a temporary folder %s", dir);
    return NULL;
}

static const kernel_lib *build_in(arena *a, const char *dir, const kernel_spec *kernels, int count,
                                  const build_options *o, diag *d) {
    int *layers = arena_alloc(a, (size_t)count * sizeof *layers);
    for (int i = 0; i < count; i++) layers[i] = i;
    model m = {"verify", count, layers, count, (kernel_spec *)kernels};
    gen_options g = {.isa_mask = o->isa_mask, .unroll = o->unroll, .templates = o->templates};
    gen_files files;
    if (!gen_render(a, &m, &g, &files, d)) return NULL;
    if (o->edit) o->edit(a, &files, o->edit_ctx);
    if (!gen_write(a, dir, &files, d)) return NULL;
    if (!compile_folder(a, dir, &files, o, d)) return NULL;
    return load(a, dir, d);
}

static const kernel_lib *build_folder(arena *a, const kernel_spec *kernels, int count,
                                      const build_options *o, diag *d) {
    const char *dir = temporary_folder(a, d);
    if (!dir) return NULL;
    const kernel_lib *lib = build_in(a, dir, kernels, count, o, d);
    if (o->keep)
        fprintf(stderr, "kept %s\n", dir);
    else
        nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return lib;
}

void build_kernels(arena *a, const kernel_spec *kernels, int count, const build_options *o,
                   built *out) {
    if (count == 0) return;
    diag d = {0};
    const kernel_lib *lib = build_folder(a, kernels, count, o, &d);
    for (int i = 0; i < count; i++) out[i] = (built){lib, lib ? NULL : arena_strdup(a, d.text)};
    if (lib || count == 1) return;
    for (int i = 0; i < count; i++) build_kernels(a, &kernels[i], 1, o, &out[i]);
}

attn_plan *build_plan(arena *a, const kernel_lib *lib, const kernel_spec *kernel, int isa,
                      uint32_t flags, const char **why) {
    setenv("ATTN_ISA", isa_table[isa].name, 1);
    attn_plan *plan = NULL;
    attn_status st = lib->plan_create(&plan, &kernel->core, flags);
    if (st != ATTN_OK || !plan) {
        *why = arena_printf(a, "attn_plan_create: %s", lib->status_text(st));
        return NULL;
    }
    if (flags & ATTN_REFERENCE) return plan;
    const char *name = lib->plan_kernel(plan, 1);
    if (strstr(name, arena_printf(a, "__%s", isa_table[isa].name))) return plan;
    *why = arena_printf(a, "ATTN_ISA=%s gave the kernel %s", isa_table[isa].name, name);
    lib->plan_destroy(plan);
    return NULL;
}
