/* process.c - what a process does around a model: more threads than there are CPUs or tasks, forks,
 * libraries that are closed, two models at once. Prints what is wrong; exit status 1 then.
 *
 *     process threads LIB | fork LIB | close LIB | two LIB LIB
 *
 * LIB: a shared library libNAME.so of one layer, built as if there were 8 CPUs (ATTN_TEST_CPUS).
 * With -DLINKED the libraries one and two are the program's own, and there are no arguments. */
#define _GNU_SOURCE
#ifdef LINKED
#include "one.h"
#include "two.h"
#else
#include "attn.h"
#endif
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROWS = 300, FLOATS = ROWS * 512 };

typedef struct model {
    char name[32];
    void *handle;
    const attn_spec *layer;
    attn_status (*create)(attn_plan **plan, int32_t layer, uint32_t flags);
    attn_status (*sizes)(const attn_plan *plan, const attn_extent *extent, attn_size *size);
    attn_status (*run)(const attn_plan *plan, const attn_args *args);
    void (*destroy)(attn_plan *plan);
} model;

static float x[FLOATS];
static int failures;

static void expect(int ok, const char *what) {
    if (ok) return;
    failures++;
    printf("FAIL %s\n", what);
}

#ifndef LINKED
static void symbol(const model *m, const char *what, void *to) {
    char name[64];
    snprintf(name, sizeof name, "%s_%s", m->name, what);
    void *at = dlsym(m->handle, name);
    if (!at) printf("FAIL %s\n", dlerror()), exit(1);
    memcpy(to, &at, sizeof at);
}

/* .../libNAME.so */
static model open_model(const char *path, int flags) {
    model m = {.handle = dlopen(path, RTLD_NOW | flags)};
    if (!m.handle) printf("FAIL %s\n", dlerror()), exit(1);
    sscanf(strrchr(path, '/') + 4, "%31[^.]", m.name);
    symbol(&m, "layer", &m.layer);
    symbol(&m, "create", &m.create);
    symbol(&m, "sizes", &m.sizes);
    symbol(&m, "run", &m.run);
    symbol(&m, "destroy", &m.destroy);
    return m;
}
#endif

/* Rows of self attention over as many keys, into o; by the model's own kernel. */
static attn_status run(const model *m, int32_t rows, int32_t threads, float *o) {
    const int32_t h = m->layer->heads, d = m->layer->head_dim;
    attn_plan *plan;
    attn_status status = m->create(&plan, 0, 0);
    if (status != ATTN_OK) return status;
    attn_args a = ATTN_ARGS_INIT;
    a.batch = 1, a.q_len = a.kv_len_max = rows, a.threads = threads;
    a.q = a.k = a.v = (attn_view){x, h * rows * d, rows * d, d};
    a.o = (attn_out){o, h * rows * d, rows * d, d};
    const attn_extent e = {sizeof e, 1, rows, rows, threads, 0};
    attn_size size;
    status = m->sizes(plan, &e, &size);
    void *memory = mmap(NULL, size.workspace + 1, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    a.workspace = memory, a.workspace_bytes = size.workspace;
    if (status == ATTN_OK) status = m->run(plan, &a);
    if (memory != MAP_FAILED) munmap(memory, size.workspace + 1);
    m->destroy(plan);
    return status;
}

/* The model's layer gives these bits, or these become its bits. */
static void expect_bits(const model *m, int32_t rows, int32_t threads, float *bits, int known,
                        const char *what) {
    static float o[FLOATS];
    const size_t bytes = sizeof(float) * (size_t)(rows * m->layer->heads * m->layer->head_dim);
    memset(o, 0, sizeof o);
    expect(run(m, rows, threads, o) == ATTN_OK, what);
    if (known) expect(!memcmp(o, bits, bytes), what);
    memcpy(bits, o, bytes);
}

#ifndef LINKED
static float bits[FLOATS];

static int threads_now(void) {
    int n = 0;
    char line[256];
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) sscanf(line, "Threads: %d", &n);
    if (f) fclose(f);
    return n;
}

/* 4 heads, one row: 4 tasks. */
static void test_threads(const char *path) {
    const model m = open_model(path, RTLD_LOCAL);
    expect(run(&m, 1, 1000, bits) == ATTN_OK, "1000 threads for 4 tasks");
    expect(threads_now() > 1 && threads_now() <= 4, "4 tasks start more than 4 threads, or none");
    expect_bits(&m, ROWS, 1, bits, 0, "one thread");
    expect_bits(&m, ROWS, 65536, bits, 1, "65536 threads");
    expect(threads_now() == 8, "there are other than 8 threads on 8 CPUs");
    expect(run(&m, 1, 8, bits) == ATTN_OK, "few tasks after many");
    expect(threads_now() == 8, "threads were ended for a call with few tasks");
    expect(run(&m, 1, 65537, bits) == ATTN_E_ARGUMENT, "65537 threads are accepted");
}

/* Runs the same in a child, and in a child of its; the most threads that it had. */
static int in_child(const model *m, int generations, const char *what) {
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        alarm(60); /* a call that hangs */
        expect_bits(m, ROWS, 4, bits, 1, what);
        int most = threads_now();
        const int below = generations > 1 ? in_child(m, generations - 1, what) : 0;
        fflush(stdout);
        _exit(failures ? 100 : below > most ? below : most);
    }
    int status = 0;
    waitpid(child, &status, 0);
    expect(WIFEXITED(status) && WEXITSTATUS(status) < 100, what);
    return WEXITSTATUS(status);
}

static void test_fork(const char *path) {
    const model m = open_model(path, RTLD_LOCAL);
    expect_bits(&m, ROWS, 1, bits, 0, "one thread");
    expect(in_child(&m, 1, "a child of a process without threads") == 4, "such a child has none");
    expect_bits(&m, ROWS, 4, bits, 1, "four threads");
    expect(in_child(&m, 2, "children of a process with threads") == 1, "a child had threads");
    expect_bits(&m, ROWS, 4, bits, 1, "the parent again");
    expect(threads_now() == 4, "the parent has lost threads");
}

/* Idle threads of a library that is closed. */
static void test_close(const char *path) {
    model m = open_model(path, RTLD_LOCAL);
    expect_bits(&m, ROWS, 4, bits, 0, "the first time");
    expect(dlclose(m.handle) == 0, "dlclose");
    void *still = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    expect(still != NULL, "the library is gone, and its threads are in it");
    usleep(200000);
    m = open_model(path, RTLD_LOCAL);
    expect_bits(&m, ROWS, 4, bits, 1, "opened again");
}
#endif

/* Each alone, then in turns. */
static void test_two(const model *one, const model *two) {
    static float bits_of[2][FLOATS];
    expect(one->layer->head_dim != two->layer->head_dim, "the models are one");
    for (int i = 0; i < 3; i++) {
        expect_bits(one, ROWS, 2, bits_of[0], i, "the first model");
        expect_bits(two, ROWS, 2, bits_of[1], i, "the second model");
    }
}

#ifdef LINKED
int main(void) {
    const model one = {"one", NULL, one_layer, one_create, one_sizes, one_run, one_destroy};
    const model two = {"two", NULL, two_layer, two_create, two_sizes, two_run, two_destroy};
    for (int i = 0; i < FLOATS; i++) x[i] = (float)(i * 37 % 101) / 50 - 1;
    test_two(&one, &two);
    return failures > 0;
}
#else
int main(int argc, char **argv) {
    for (int i = 0; i < FLOATS; i++) x[i] = (float)(i * 37 % 101) / 50 - 1;
    if (argc < 3) return 2;
    const char *test = argv[1], *lib = argv[2];
    if (!strcmp(test, "threads")) test_threads(lib);
    if (!strcmp(test, "fork")) test_fork(lib);
    if (!strcmp(test, "close")) test_close(lib);
    if (strcmp(test, "two")) return failures > 0;
    if (argc < 5) return 2;
    const int flags = strcmp(argv[4], "global") ? RTLD_LOCAL : RTLD_GLOBAL;
    const model one = open_model(lib, flags), two = open_model(argv[3], flags);
    test_two(&one, &two);
    return failures > 0;
}
#endif
