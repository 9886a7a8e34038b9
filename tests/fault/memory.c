/* memory.c - a command, once for each of its allocations, which fails.
 *
 *   memory SHIM.so DENSE SECONDS NAME [-o PATH [-i FROM]] -- COMMAND..
 *
 * 1. Memory is out from allocation n on, for n = 1 .. DENSE and every k-th after it, so that all of
 *    it takes about SECONDS (alloc.c: the command forks at each).
 * 2. Allocation n alone fails: the same numbers within SECONDS, and the last of all, where files
 * are written. A run must end as if nothing had been (Lua tries again after a collection), or say
 * "out of memory", exit with 2, print nothing, and leave PATH as it was: a copy of FROM, or
 * nothing. */
#define _GNU_SOURCE
#include "alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_TEXT = 1 << 22 };

typedef struct outcome {
    int status; /* as wait gives it */
    char *out, *err;
    uint64_t before, tree; /* of what stands at PATH; 0: nothing */
} outcome;

static fault *told;
static const char *shim, *path, *from;
static char **command;
static int out_fd, err_fd;
static uint64_t tree_sum;

static void die(const char *what) {
    perror(what);
    exit(2);
}

static uint64_t hash(uint64_t h, const void *data, size_t n) {
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 1099511628211u;
    return h;
}

/* A sum, so that the order of the entries does not count. */
static int add_entry(const char *name, const struct stat *st, int type, struct FTW *at) {
    static char data[MAX_TEXT];
    (void)st, (void)at;
    uint64_t h = hash(1469598103934665603u, name, strlen(name));
    if (type == FTW_F) {
        FILE *f = fopen(name, "rb");
        if (!f) die(name);
        h = hash(h, data, fread(data, 1, sizeof data, f));
        fclose(f);
    }
    tree_sum += h | 1;
    return 0;
}

static int remove_entry(const char *name, const struct stat *st, int type, struct FTW *at) {
    (void)st, (void)type, (void)at;
    return remove(name);
}

static char *contents(int fd) {
    static char text[2][MAX_TEXT + 1];
    char *to = text[fd == err_fd];
    const ssize_t n = pread(fd, to, MAX_TEXT, 0);
    to[n > 0 ? n : 0] = 0;
    return to;
}

static uint64_t tree(void) {
    tree_sum = 0;
    if (path) nftw(path, add_entry, 16, FTW_PHYS);
    return tree_sum;
}

static void prepare(void) {
    int status = 0;
    if (path) nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    if (!from) return;
    const pid_t pid = fork();
    if (pid == 0) execlp("cp", "cp", "-a", from, path, (char *)NULL);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status) die("cp");
}

static outcome run(const fault *how) {
    outcome r = {0};
    prepare();
    if (ftruncate(out_fd, 0) || ftruncate(err_fd, 0)) die("ftruncate");
    *told = *how;
    told->out_fd = out_fd, told->err_fd = err_fd;
    snprintf(told->path, sizeof told->path, "%s", path ? path : "");
    const pid_t pid = fork();
    if (pid < 0) die("fork");
    if (pid == 0) {
        lseek(out_fd, 0, SEEK_SET), lseek(err_fd, 0, SEEK_SET);
        dup2(out_fd, STDOUT_FILENO), dup2(err_fd, STDERR_FILENO);
        setenv("LD_PRELOAD", shim, 1);
        execv(command[0], command);
        _exit(127);
    }
    if (waitpid(pid, &r.status, 0) != pid) die("waitpid");
    r.out = contents(out_fd), r.err = contents(err_fd);
    r.tree = tree();
    return r;
}

/* Null, or what is wrong with a run in which something failed. */
static const char *judge(const outcome *r, const outcome *reference) {
    if (WIFSIGNALED(r->status)) return "crashed";
    if (r->status == reference->status && r->tree == reference->tree &&
        !strcmp(r->out, reference->out))
        return NULL;
    if (WEXITSTATUS(r->status) != 2) return "another exit status than 2, or another result";
    if (!strstr(r->err, "out of memory\n")) return "does not say that memory is out";
    if (*r->out) return "printed something all the same";
    if (r->tree != reference->before) return "wrote something all the same";
    return NULL;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int shared_file(void) {
    const int fd = memfd_create("fault", 0);
    if (fd < 0) die("memfd_create");
    return fd;
}

typedef struct campaign {
    const char *name;
    uint64_t first, alone, total;
    double budget;
    outcome reference;
    uint64_t passed, failed, survived;
} campaign;

/* Every k-th of the allocations that are left fits into the time. */
static uint64_t step_for(const campaign *c, uint64_t at, double each, double left) {
    const double fit = left / each;
    if (at >= c->total) return 1;
    return fit < 1 ? c->total : (uint64_t)((double)(c->total - at) / fit) + 1;
}

/* How long a child takes is found out from those of the first few. */
static void all_from(campaign *c) {
    fault how = {
        .dense = c->first, .step = UINT64_MAX, .out_size = (int64_t)strlen(c->reference.out)};
    if (from) return; /* children would meet what others wrote */
    const double began = seconds();
    run(&how);
    const double each = (seconds() - began) / (double)(told->children + 1);
    if (c->first < c->total) {
        how.step = step_for(c, c->first, each, c->budget - (seconds() - began));
        how.dense = how.step == 1 ? c->total : c->first;
        run(&how);
    }
    c->passed += told->children - told->bad;
    c->failed += told->bad;
    printf("%s: memory out from an allocation on: %llu times, %llu of them too late to matter\n",
           c->name, (unsigned long long)told->children, (unsigned long long)told->survived);
    if (told->bad)
        printf("FAIL: %s: allocation %llu and on: status %x: %.300s\n", c->name,
               (unsigned long long)told->bad_at, (unsigned)told->bad_status, told->bad_text);
}

static void one(campaign *c, uint64_t at) {
    const outcome r = run(&(fault){.at = at});
    const char *why = judge(&r, &c->reference); /* a run may need some fewer: it ended well */
    c->survived += !why && r.status == c->reference.status;
    c->passed += !why;
    c->failed += why != NULL;
    if (why && c->failed < 6)
        printf("FAIL: %s: allocation %llu: %s (status %x): %.300s\n", c->name,
               (unsigned long long)at, why, (unsigned)r.status, r.err);
}

static void each_alone(campaign *c) {
    const uint64_t tail = c->alone / 100 + 8, last = c->total > tail ? c->total - tail : 0;
    const double began = seconds();
    uint64_t runs = 0, step = 1;
    for (uint64_t at = 1; at <= last; at += at < c->alone ? 1 : step) {
        one(c, at);
        const double spent = seconds() - began;
        step = step_for(c, at, spent / (double)++runs, c->budget - spent);
    }
    for (uint64_t at = last + 1; at <= c->total; at++, runs++) one(c, at);
    printf("%s: one allocation: %llu times, %llu of them went on without it\n", c->name,
           (unsigned long long)runs, (unsigned long long)c->survived);
}

int main(int argc, char **argv) {
    int first = 6;
    if (argc > 8 && !strcmp(argv[6], "-o")) path = argv[7], first = 8;
    if (argc > 10 && !strcmp(argv[8], "-i")) from = argv[9], first = 10;
    if (argc < first + 2 || strcmp(argv[first], "--")) {
        fputs("usage: memory SHIM.so FIRST ALONE SECONDS NAME [-o PATH [-i FROM]] -- COMMAND..\n",
              stderr);
        return 2;
    }
    shim = argv[1];
    command = argv + first + 1;
    campaign c = {.name = argv[5],
                  .first = strtoull(argv[2], NULL, 10),
                  .alone = strtoull(argv[3], NULL, 10),
                  .budget = strtod(argv[4], NULL)};
    const int fd = shared_file();
    char number[16];
    snprintf(number, sizeof number, "%d", fd);
    setenv(FAULT_FD, number, 1);
    if (ftruncate(fd, sizeof *told)) die("ftruncate");
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (told == MAP_FAILED) die("mmap");
    out_fd = shared_file(), err_fd = shared_file();

    prepare();
    const uint64_t before = tree();
    c.reference = run(&(fault){0});
    c.reference.out = strdup(c.reference.out);
    c.reference.before = before;
    c.total = told->count;
    if (WIFSIGNALED(c.reference.status) || WEXITSTATUS(c.reference.status) > 1 || !c.total) {
        printf("FAIL: %s: does not run: %s\n0 passed, 1 failed\n", c.name, c.reference.err);
        return 1;
    }
    printf("%s: %llu allocations\n", c.name, (unsigned long long)c.total);
    all_from(&c);
    each_alone(&c);
    if (path) nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    printf("%llu passed, %llu failed\n", (unsigned long long)c.passed,
           (unsigned long long)c.failed);
    return c.failed != 0;
}
