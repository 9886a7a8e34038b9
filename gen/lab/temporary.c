/* temporary.c - made, and removed whole, by a signal's handler too. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#include "temporary.h"
#include "pool.h"
#include "progress.h"
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char current[PATH_MAX]; /* what a signal removes; empty: nothing */

/* Only what a signal handler may call. True if nothing is left. */
static bool run_rm(void) {
    int status = -1;
    const pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/rm", "rm", "-rf", "--", current, (char *)NULL);
        _exit(127);
    }
    if (pid > 0) waitpid(pid, &status, 0);
    return status == 0;
}

/* Again where a compiler that was just killed still put a file into a folder under removal. */
static void remove_current(void) {
    const struct timespec moment = {.tv_nsec = 20000000};
    progress_end();
    for (int n = 0; *current && n < 50 && !run_rm(); n++) nanosleep(&moment, NULL);
}

const char *temporary_folder(arena *a, bool keep, diag *d) {
    const char *tmp = getenv("TMPDIR");
    char *dir = arena_printf(a, "%s/attn-verify-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    char path[PATH_MAX];
    sigset_t all, before; /* made and noted, or neither */
    pool_on_signal(remove_current);
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    const bool made = mkdtemp(dir) && realpath(dir, path); /* absolute: compilers run elsewhere */
    if (made && !keep) memcpy(current, path, sizeof current);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (!made) diag_set(d, "cannot make a temporary folder %s", dir);
    return made ? arena_strdup(a, path) : NULL;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st, (void)type, (void)at;
    return remove(path);
}

void temporary_remove(const char *dir) {
    nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    *current = 0;
}
