/* build.c - temporary folder, compiler jobs, dlopen. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#include "build.h"
#include "files.h"
#include "output/disk.h"
#include "output/folder.h"
#include "plan/isa.h"
#include "output/emit.h"
#include "output/manifest.h"
#include "text.h"
#include "output/write_file.h"
#include "pool.h"
#include "progress.h"
#include "temporary.h"
#include <dirent.h>
#include <dlfcn.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_SOURCES = 4096 };

/* A temporary folder on its way to a library. Kernels that fail leave it; the others stay. */
typedef struct folder {
    arena *a;
    const char *dir;     /* objects and the library */
    const char *sources; /* the same, or build_options.folder */
    const build_options *o;
    const kernel_spec *kernels;
    built *out; /* by kernel */
    int count;
    const char *flags;
    const char *prelude; /* compiled once, for sources that include it; null: none */
    const char *runtime; /* seen from the sources */
    gen_files files;
    const gen_file **source; /* what is compiled: everything but programs */
    const char **object;
    int source_count;
} folder;

static const char *compiler(void) {
    const char *cc = getenv("CC");
    return cc && *cc ? cc : "cc";
}

/* A program and its arguments, for exec: no shell reads them. */
typedef struct arguments {
    arena *a;
    const char *dir; /* to run in; null: here */
    const char
        *tmp; /* for the compiler's own temporaries, so that they go with ours; null: its choice */
    char **word; /* ends with null */
    int count, cap;
} arguments;

static void add_word(arguments *c, const char *word, size_t n) {
    if (c->count + 2 > c->cap) {
        c->cap = c->cap ? 2 * c->cap : 32;
        char **grown = arena_alloc(c->a, (size_t)c->cap * sizeof *grown);
        if (c->count) memcpy(grown, c->word, (size_t)c->count * sizeof *grown);
        c->word = grown;
    }
    c->word[c->count++] = arena_strndup(c->a, word, n);
    c->word[c->count] = NULL;
}

static void add(arguments *c, const char *word) {
    add_word(c, word, strlen(word));
}

/* Words between blanks: of CC and of flags. */
static void add_words(arguments *c, const char *text) {
    static const char blanks[] = " \t\n";
    for (text += strspn(text, blanks); *text; text += strspn(text, blanks)) {
        const size_t n = strcspn(text, blanks);
        add_word(c, text, n);
        text += n;
    }
}

static arguments compiler_in(arena *a, const char *dir, const char *tmp) {
    arguments c = {.a = a, .dir = dir, .tmp = tmp};
    add_words(&c, compiler());
    if (!c.count) add(&c, "cc"); /* CC holds blanks alone */
    return c;
}

/* Runs a command in place of this process. */
static int become(const arguments *c) {
    const bool there = !c->dir || !chdir(c->dir);
    if (c->tmp) setenv("TMPDIR", c->tmp, 1);
    if (there) execvp(c->word[0], c->word);
    perror(there ? c->word[0] : c->dir);
    return 127;
}

static int command_job(void *ctx, int index) {
    return become((const arguments *)ctx + index);
}

/* True if the command succeeds; its output is in *output. */
static bool command(arguments *c, const char **output) {
    pool_result r;
    pool_run(c->a, 1, 1, 600, command_job, c, &r, NULL);
    *output = r.signal ? pool_signal_text(c->a, r.signal) : r.output;
    return !r.signal && r.code == 0;
}

const char *build_compiler(arena *a, diag *d) {
    const char *output;
    arguments c = compiler_in(a, NULL, NULL);
    add(&c, "--version");
    if (command(&c, &output) && *output) return arena_strndup(a, output, strcspn(output, "\n"));
    diag_set(
        d,
        "needs a C compiler, and '%s' is none (%.*s): install gcc or clang, or name one in the "
        "environment variable CC",
        compiler(), (int)strcspn(output, "\n"), output);
    return NULL;
}

/* " -fopenmp" where the compiler can build and link with it, "" otherwise. Asked once, in a
 * temporary folder. */
static const char *openmp_flag(arena *a, const char *dir) {
    static int known = -1;
    static const char source[] = "int f(void);int f(void){return 0;}\n";
    if (known >= 0) return known ? " -fopenmp" : "";
    diag ignored = {0};
    const char *output;
    arguments c = compiler_in(a, dir, dir);
    add_words(&c, "-fopenmp -fPIC -shared openmp.c -o openmp.so");
    const char *path = arena_printf(a, "%s/openmp.c", dir);
    known = write_file(a, path, source, strlen(source), &ignored) && command(&c, &output);
    unlink(path); /* what is generated wants an empty folder */
    unlink(arena_printf(a, "%s/openmp.so", dir));
    return known ? " -fopenmp" : "";
}

/* Programs of a folder, which have their own main. */
static bool is_program(const gen_file *f) {
    return strstr(f->text, "int main(") != NULL;
}

static const char *in_dir(const folder *f, const char *name) {
    return arena_printf(f->a, "%s/%s", f->dir, name);
}

/* What an object is called until all of it is there. */
static const char *new_object(const folder *f, int index) {
    return in_dir(f, arena_printf(f->a, "new%d", index));
}

static bool reads_vectors(const folder *f, int index) {
    return strstr(f->source[index]->text, "#include \"runtime/simd/avx") != NULL;
}

/* Compilers read the declarations of all vector instructions in half a second: once for all kernels
 * here, as a precompiled header. Null where the compiler makes none. A folder is compiled as its
 * Makefile does. */
static const char *precompile(folder *f) {
    static const char name[] = "prelude.h", source[] = "#include <immintrin.h>\n";
    const char *path = arena_printf(f->a, "%s/%s", f->dir, name), *output;
    diag ignored = {0};
    bool any = false;
    for (int i = 0; i < f->source_count; i++) any = any || reads_vectors(f, i);
    if (!any || f->o->folder || !write_file(f->a, path, source, strlen(source), &ignored))
        return NULL;
    arguments c = compiler_in(f->a, f->dir, f->dir);
    add_words(&c, f->flags);
    add_words(&c, "-x c-header prelude.h -o prelude.h.gch");
    return command(&c, &output) ? path : NULL;
}

/* Objects are named by their source's text: what is there need not be compiled again. */
static int compile_job(void *ctx, int index) {
    const folder *f = ctx;
    if (!access(in_dir(f, f->object[index]), F_OK)) return 0;
    arguments c = compiler_in(f->a, f->sources, f->dir);
    add_words(&c, f->flags);
    if (f->prelude && reads_vectors(f, index)) add_words(&c, "-include prelude.h");
    add(&c, arena_printf(f->a, "-I%s", disk_folder_of(f->a, f->runtime)));
    add_words(&c, "-I. -c -o");
    add(&c, new_object(f, index));
    add(&c, arena_printf(f->a, "./%s", f->source[index]->path)); /* it may start with '-' */
    return become(&c);
}

static bool keep_object(const folder *f, int index) {
    const char *object = in_dir(f, f->object[index]);
    return !rename(new_object(f, index), object) || !access(object, F_OK);
}

static void list_sources(folder *f) {
    f->source = arena_alloc(f->a, (size_t)f->files.count * sizeof *f->source);
    f->object = arena_alloc(f->a, (size_t)f->files.count * sizeof *f->object);
    f->source_count = 0;
    for (int i = 0; i < f->files.count; i++) {
        const gen_file *file = &f->files.file[i];
        if (!ends_with(file->path, ".c") || is_program(file)) continue;
        f->source[f->source_count] = file;
        f->object[f->source_count++] = arena_printf(
            f->a, "%016llx.o", (unsigned long long)hash64(file->text, strlen(file->text)));
    }
}

/* The error belongs to the kernels whose file this is, or else to all of them. */
static void blame(folder *f, const char *path, const char *error) {
    bool found = false;
    for (int i = 0; i < f->count; i++) {
        size_t n = strlen(f->kernels[i].name);
        if (strncmp(path, f->kernels[i].name, n) != 0 || strncmp(path + n, "__", 2) != 0) continue;
        f->out[i].error = error;
        found = true;
    }
    for (int i = 0; i < f->count && !found; i++)
        if (!f->out[i].error) f->out[i].error = error;
}

/* Bytes of an ELF object that are loaded and not written: code and constants, as `size` counts
 * text. 0: no ELF64 object. */
static size_t text_bytes(arena *a, const char *path) {
    diag ignored = {0};
    size_t size, bytes = 0;
    const char *data = read_file(a, path, 256 << 20, &size, &ignored);
    Elf64_Ehdr head;
    if (!data || size < sizeof head) return 0;
    memcpy(&head, data, sizeof head);
    if (memcmp(head.e_ident, ELFMAG, SELFMAG) || head.e_ident[EI_CLASS] != ELFCLASS64) return 0;
    for (size_t i = 0; i < head.e_shnum; i++) {
        Elf64_Shdr section;
        const size_t at = head.e_shoff + i * head.e_shentsize;
        if (at + sizeof section > size) return 0;
        memcpy(&section, data + at, sizeof section);
        const bool loaded = section.sh_flags & SHF_ALLOC, written = section.sh_flags & SHF_WRITE;
        if (loaded && !written) bytes += section.sh_size;
    }
    return bytes;
}

/* True if `path` is a file of kernel k, on *isa. */
static bool is_file_of(const folder *f, int k, const char *path, int *isa) {
    const size_t n = strlen(f->kernels[k].name);
    if (strncmp(path, f->kernels[k].name, n) != 0 || strncmp(path + n, "__", 2) != 0) return false;
    for (*isa = 0; *isa < ATTN_ISA_COUNT; ++*isa) {
        const size_t length = strlen(isa_table[*isa].name);
        if (!strncmp(path + n + 2, isa_table[*isa].name, length) && path[n + 2 + length] == '_')
            return true;
    }
    return false;
}

static void note_size(folder *f, int source) {
    int isa;
    for (int k = 0; k < f->count; k++)
        if (is_file_of(f, k, f->source[source]->path, &isa))
            f->out[k].text_bytes[isa] =
                text_bytes(f->a, arena_printf(f->a, "%s/%s", f->dir, f->object[source]));
}

/* The start of what a compiler said: it quotes its source. */
static const char *shown_lines(arena *a, const char *output) {
    char *start = arena_strndup(a, output, strnlen(output, 800));
    text_mask(start, true);
    return start;
}

/* What the compiler said of a file; of a refusal (runtime/compiler.h, arithmetic.h) the sentence
 * alone. */
static const char *compile_error(arena *a, const char *path, const char *output) {
    static const char refusal[] = "\"attn: ";
    const char *sentence = strstr(output, refusal);
    if (!sentence) return arena_printf(a, "%s does not compile:\n%s", path, shown_lines(a, output));
    sentence += strlen(refusal);
    return arena_printf(a, "%s does not compile: %.*s", path, (int)strcspn(sentence, "\"\n"),
                        sentence);
}

static void compile_done(void *ctx, int index, const pool_result *r) {
    const folder *f = ctx;
    (void)r;
    if (f->o->compiled)
        f->o->compiled(f->o->compiled_ctx, index + 1, f->source_count);
    else
        progress("compiling, %d of %d files left", f->source_count - index - 1, f->source_count);
}

/* False if anything failed, with the kernels blamed for it. */
static bool compile_all(folder *f) {
    pool_result *r = arena_alloc(f->a, (size_t)f->source_count * sizeof *r);
    pool_run(f->a, f->source_count, 0, 600, compile_job, f, r, compile_done);
    bool ok = true;
    for (int i = 0; i < f->source_count; i++) {
        const char *path = f->source[i]->path;
        if (!r[i].signal && !r[i].code && keep_object(f, i)) {
            note_size(f, i);
            continue;
        }
        ok = false;
        blame(f, path,
              r[i].signal ? arena_printf(f->a, "the compiler %s on %s",
                                         pool_signal_text(f->a, r[i].signal), path)
                          : compile_error(f->a, path, r[i].output));
    }
    return ok;
}

/* -Bsymbolic: this library's runtime, never one that its host may export. */
static bool link_all(const folder *f, diag *d) {
    arguments c = compiler_in(f->a, f->dir, f->dir);
    add_words(&c, f->flags);
    add_words(&c, "-shared -Wl,-Bsymbolic -o kernels.so");
    for (int i = 0; i < f->source_count; i++) add(&c, f->object[i]);
    add(&c, "-lm");
    const char *output;
    return command(&c, &output) || diag_set(d, "does not link:\n%.800s", output);
}

static bool load_symbol(void *handle, const char *name, void *fn, size_t size, diag *d) {
    void *symbol = dlsym(handle, name);
    if (!symbol) return diag_set(d, "the library has no %s", name);
    memcpy(fn, &symbol, size);
    return true;
}

/* The library stays loaded to the end: its threads are still in it. */
static const kernel_lib *load(arena *a, const char *dir, diag *d) {
    void *handle = dlopen(arena_printf(a, "%s/kernels.so", dir), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        diag_set(d, "dlopen: %s", dlerror());
        return NULL;
    }
    kernel_lib *lib = arena_alloc(a, sizeof *lib);
#define LOAD(member) \
    load_symbol(handle, LIBRARY_NAME(attn_##member), &lib->member, sizeof lib->member, d)
    bool ok = LOAD(plan_create) && LOAD(plan_destroy) && LOAD(workspace) && LOAD(run) &&
              LOAD(plan_kernel) && LOAD(status_text) && LOAD(spec_init) && LOAD(block_create) &&
              LOAD(block_destroy) && LOAD(block_name) && LOAD(block_weights) &&
              LOAD(block_packed_bytes) && LOAD(block_pack) && LOAD(block_check) &&
              LOAD(cache_capacity) && LOAD(cache_bytes) && LOAD(cache_init) &&
              LOAD(block_workspace) && LOAD(block_prefill) && LOAD(block_step);
#undef LOAD
#define LOAD(member) load_symbol(handle, "attn_" #member, &lib->member, sizeof lib->member, &old)
    diag old = {0};
    (void)(LOAD(spec_check) && LOAD(extent_check) && LOAD(plan_check) && LOAD(packed_check) &&
           LOAD(cache_check) && LOAD(cache_memory_check) && LOAD(prefill_check) &&
           LOAD(step_check) && LOAD(store_rows) && LOAD(store_check) && LOAD(cache_view) &&
           LOAD(cache_truncate) && LOAD(cache_keep) && LOAD(cache_fork) && LOAD(cache_view_check) &&
           LOAD(cache_truncate_check) && LOAD(cache_keep_check) && LOAD(cache_fork_check) &&
           LOAD(merge) && LOAD(cache_paged_bytes) && LOAD(cache_paged_init) &&
           LOAD(cache_paged_memory_check) && LOAD(cache_pages) && LOAD(cache_page_bytes) &&
           LOAD(cache_first_page) && LOAD(cache_own_page) && LOAD(cache_own_page_check) &&
           LOAD(sizes) && LOAD(key_sizes));
#undef LOAD
    return ok ? lib : NULL;
}

/* Renders the kernels numbered which[0..count-1] as one model. */
static bool render_kernels(const folder *f, const int *which, int count, gen_files *files,
                           diag *d) {
    kernel_spec *kernels = arena_alloc(f->a, (size_t)count * sizeof *kernels);
    for (int i = 0; i < count; i++) kernels[i] = f->kernels[which[i]];
    model m;
    if (!model_from_kernels(f->a, "verify", kernels, count, &m))
        return diag_set(d, "two expressions or layers have one hash; change the wording of one");
    gen_options g = {.isa_mask = f->o->isa_mask,
                     .unroll = f->o->unroll,
                     .tune = f->o->tune,
                     .templates = f->o->templates};
    for (int i = 0; i < count; i++) {
        const char *wrong = plan_check_unroll(f->a, &kernels[i], g.unroll);
        if (wrong) return diag_set(d, "--unroll: %s", wrong);
    }
    const product_list products = products_make(f->a, &m, &g);
    return gen_render(f->a, &products, files, d);
}

/* Nothing in a folder keeps a compiler waiting: what is no file or folder there is an error. */
static bool read_source(arena *a, const char *dir, const char *path, gen_files *files, diag *d) {
    const char *full = arena_printf(a, "%s/%s", dir, path), *text;
    struct stat st;
    if (stat(full, &st) || S_ISDIR(st.st_mode)) return true;
    const char *what = odd_file(st.st_mode);
    if (what) return diag_set(d, "--folder: %s: is %s, not a file", full, what);
    if (!ends_with(path, ".c")) return true;
    if (!(text = read_file(a, full, 64 << 20, NULL, d))) return false;
    files->file[files->count++] = (gen_file){.path = path, .text = text};
    return true;
}

static bool read_sources(arena *a, const char *dir, const char *sub, gen_files *files, diag *d) {
    DIR *handle = opendir(*sub ? arena_printf(a, "%s/%s", dir, sub) : dir);
    bool ok = true;
    if (!handle) return true;
    for (struct dirent *e; ok && files->count < MAX_SOURCES && (e = readdir(handle));)
        ok = read_source(a, dir, arena_printf(a, "%s%s%s", sub, *sub ? "/" : "", e->d_name), files,
                         d);
    closedir(handle);
    return ok;
}

/* The C files of a generated folder and of its runtime, or those of a single file's folder. */
static bool load_folder(arena *a, const char *dir, gen_files *files, const char **where, diag *d) {
    *files = (gen_files){arena_alloc(a, MAX_SOURCES * sizeof(gen_file)), 0};
    gen_options o = {0};
    diag ignored = {0};
    if (!disk_is_whole(a, dir, d)) return false;
    cJSON *root = manifest_read(a, dir, &ignored); /* a single file has none */
    if (root) manifest_options(a, root, dir, &o, &ignored);
    cJSON_Delete(root);
    const char *runtime = *where = o.runtime ? o.runtime : "runtime";
    if (!read_sources(a, dir, "", files, d) || !read_sources(a, dir, runtime, files, d) ||
        !read_sources(a, dir, arena_printf(a, "%s/simd", runtime), files, d))
        return false;
    return files->count > 0 || diag_set(d, "--folder: %s has no C files", dir);
}

unsigned build_folder_isas(arena *a, const char *dir, diag *d) {
    gen_files files;
    unsigned mask = 0;
    const char *runtime;
    if (!load_folder(a, dir, &files, &runtime, d)) return 0;
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
        const char *line = arena_printf(a, ".isa = %s,", isa_table[isa].id);
        for (int i = 0; i < files.count; i++)
            if (strstr(files.file[i].text, line)) mask |= 1u << isa;
    }
    if (!mask) diag_set(d, "--folder: %s has no kernels of attn-gen", dir);
    return mask;
}

/* Numbers of the kernels that have not failed. */
static int good_kernels(const folder *f, int *which) {
    int count = 0;
    for (int i = 0; i < f->count; i++)
        if (!f->out[i].error) which[count++] = i;
    return count;
}

static void blame_good(folder *f, const diag *d) {
    blame(f, "", arena_strdup(f->a, d->text));
}

/* Renders the good kernels; where that fails, finds out which of them are not. */
static bool render_good(folder *f, int *which) {
    diag d = {0};
    int count = good_kernels(f, which);
    if (!count) return false;
    if (f->o->folder) {
        if (!load_folder(f->a, f->o->folder, &f->files, &f->runtime, &d)) blame_good(f, &d);
        return !d.set;
    }
    if (render_kernels(f, which, count, &f->files, &d)) return true;
    for (int i = 0; i < count; i++) {
        gen_files alone;
        diag own = {0};
        if (!render_kernels(f, &which[i], 1, &alone, &own))
            f->out[which[i]].error = arena_strdup(f->a, own.text);
    }
    if (good_kernels(f, which) == count) blame_good(f, &d);
    count = good_kernels(f, which);
    return count && render_kernels(f, which, count, &f->files, &d);
}

static const kernel_lib *build_good(folder *f, int *which) {
    diag d = {0};
    const kernel_lib *lib = NULL;
    while (render_good(f, which)) {
        if (f->o->edit) f->o->edit(f->a, &f->files, f->o->edit_ctx);
        list_sources(f);
        if (!f->o->folder && !folder_write(f->a, f->dir, FOLDER_TEMPORARY, &f->files, &d)) break;
        if (!f->prelude) f->prelude = precompile(f);
        if (!compile_all(f)) continue; /* without those that do not compile */
        if (link_all(f, &d)) lib = load(f->a, f->dir, &d);
        break;
    }
    if (d.set) blame_good(f, &d);
    return lib;
}

void build_kernels(arena *a, const kernel_spec *kernels, int count, const build_options *o,
                   built *out) {
    diag d = {0};
    folder f = {
        .a = a, .o = o, .kernels = kernels, .out = out, .count = count, .runtime = "runtime"};
    int *which = arena_alloc(a, ((size_t)count + 1) * sizeof *which);
    if (count == 0) return;
    memset(out, 0, (size_t)count * sizeof *out);
    f.dir = temporary_folder(a, o->keep, &d);
    if (!f.dir) {
        blame_good(&f, &d);
        return;
    }
    /* A folder as its Makefile compiles it: -O2, then CFLAGS of the environment. Code of our own
     * does not get by with what old compilers only warn of. */
    const char *given =
        o->folder ? getenv("CFLAGS") : "-Werror=int-conversion -Werror=incompatible-pointer-types";
    f.flags = arena_printf(a, "-std=c11 -fPIC -O2 %s%s %s", given ? given : "",
                           openmp_flag(a, f.dir), o->cflags ? o->cflags : "");
    f.sources = o->folder ? o->folder : f.dir;
    progress("generating and compiling %d kernel%s", count, count == 1 ? "" : "s");
    const kernel_lib *lib = build_good(&f, which);
    progress_end();
    for (int i = 0; i < count; i++)
        if (!out[i].error) out[i].lib = lib;
    if (o->keep)
        fprintf(stderr, "kept %s\n", f.dir);
    else
        temporary_remove(f.dir);
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
