/* pool.c - fork, capture, wait. */
#define _DEFAULT_SOURCE
#include "pool.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct running {
    pid_t pid; /* 0: not started, or ended */
    FILE *out;
    bool ended;
} running;

/* What a signal's handler reads: the jobs of the pool that runs. */
static running *volatile live;
static volatile sig_atomic_t live_count;
static void (*volatile on_signal)(void);
static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
enum { ENDING = sizeof ending / sizeof *ending };

/* Jobs are groups of their own: a compiler's children end with it, and are waited for (half a
 * second: where nobody collects them they stay). What is still there then writes no more. */
static void end_jobs(void) {
    const struct timespec moment = {.tv_nsec = 5000000};
    for (int i = 0; i < live_count; i++)
        if (live[i].pid > 0) kill(-live[i].pid, SIGTERM);
    for (int i = 0; i < live_count; i++) {
        const pid_t pid = live[i].pid;
        if (pid <= 0) continue;
        waitpid(pid, NULL, 0);
        for (int n = 0; n < 100 && !kill(-pid, 0); n++) nanosleep(&moment, NULL);
        kill(-pid, SIGKILL);
    }
}

/* The handler stays until the end (no SA_RESETHAND): timeout(1) sends each signal twice, and where
 * the second comes before this runs, its default action must not. */
static void handle(int sig) {
    static volatile sig_atomic_t under_way;
    if (under_way++) return;
    end_jobs();
    if (on_signal) on_signal();
    signal(sig, SIG_DFL);
    raise(sig); /* taken on return */
}

void pool_on_signal(void (*clean)(void)) {
    if (on_signal) return;
    on_signal = clean;
    struct sigaction action = {.sa_handler = handle}, old;
    sigfillset(&action.sa_mask);
    for (int i = 0; i < ENDING; i++)
        if (!sigaction(ending[i], NULL, &old) && old.sa_handler == SIG_DFL)
            sigaction(ending[i], &action, NULL);
}

/* In a job: signals are its own again. */
static void leave_signals(void) {
    live_count = 0;
    for (int i = 0; on_signal && i < ENDING; i++) {
        struct sigaction old;
        if (!sigaction(ending[i], NULL, &old) && old.sa_handler == handle)
            signal(ending[i], SIG_DFL);
    }
}

static void die(const char *what) {
    perror(what);
    exit(2);
}

int pool_cpus(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 256 ? 256 : (int)n;
}

void *pool_shared(size_t bytes) {
    void *p =
        mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) die("mmap");
    return p;
}

const char *pool_signal_text(arena *a, int sig) {
    const char *why = sig == SIGALRM                    ? "took too long"
                      : sig == SIGSEGV || sig == SIGBUS ? "a read or write outside of its buffers"
                      : sig == SIGILL                   ? "an instruction this CPU lacks"
                      : sig == SIGFPE                   ? "an integer division by zero"
                      : sig == SIGABRT                  ? "abort"
                                                        : "killed";
    return arena_printf(a, "crashed (signal %d: %s)", sig, why);
}

static void start(running *r, unsigned seconds, pool_job *job, void *ctx, int index) {
    r->out = tmpfile();
    if (!r->out) die("tmpfile");
    fflush(stdout);
    fflush(stderr);
    sigset_t all, before; /* no signal between fork and what each side does next */
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    const pid_t pid = fork();
    if (pid < 0) die("fork");
    if (pid > 0) setpgid(r->pid = pid, pid);
    if (pid == 0) {
        setpgid(0, 0);
        leave_signals();
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid > 0) return;
    dup2(fileno(r->out), STDOUT_FILENO);
    dup2(fileno(r->out), STDERR_FILENO);
    setvbuf(stdout, NULL, _IOLBF, 0); /* a crash must not lose what was said */
    alarm(seconds);
    int code = job(ctx, index);
    fflush(stdout);
    fflush(stderr);
    _exit(code);
}

static const char *slurp(arena *a, FILE *f) {
    long size = fseek(f, 0, SEEK_END) ? 0 : ftell(f);
    if (size < 0) size = 0;
    char *text = arena_alloc(a, (size_t)size + 1);
    rewind(f);
    size_t got = fread(text, 1, (size_t)size, f);
    text[got] = 0;
    fclose(f);
    return text;
}

static void collect(arena *a, running *r, pool_result *out, int status) {
    r->pid = 0;
    r->ended = true;
    *out = (pool_result){.output = slurp(a, r->out)};
    if (WIFSIGNALED(status))
        out->signal = WTERMSIG(status);
    else
        out->code = WEXITSTATUS(status);
}

/* Waits for one of ours; other children of this process are not touched. */
static int wait_any(const running *all, int count, int *status) {
    for (;;) {
        for (int i = 0; i < count; i++) {
            if (!all[i].pid) continue;
            pid_t got = waitpid(all[i].pid, status, WNOHANG);
            if (got == all[i].pid) return i;
            if (got < 0 && errno != EINTR) die("waitpid");
        }
        usleep(2000);
    }
}

void pool_run(arena *a, int count, int limit, unsigned seconds, pool_job *job, void *ctx,
              pool_result *results, void (*done)(void *ctx, int index, const pool_result *r)) {
    if (limit <= 0) limit = pool_cpus();
    running *all = arena_alloc(a, (size_t)(count ? count : 1) * sizeof *all);
    int next = 0, active = 0, told = 0;
    running *const outer = live; /* where `done` calls this */
    const sig_atomic_t outer_count = live_count;
    live_count = 0;
    live = all;
    live_count = count;
    while (next < count || active) {
        while (next < count && active < limit) {
            start(&all[next], seconds, job, ctx, next);
            next++;
            active++;
        }
        int status, i = wait_any(all, next, &status);
        collect(a, &all[i], &results[i], status);
        active--;
        for (; told < count && all[told].ended; told++)
            if (done) done(ctx, told, &results[told]);
    }
    live_count = 0;
    live = outer;
    live_count = outer_count;
}
