/* fault.c - stands before libc's system calls: linked into a test, or preloaded (LD_PRELOAD), where
 * FAULT=kill:17 arms it and a program that ends without a fault says "fault: not reached". */
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *const fault_names[FAULT_KINDS] = {"none", "kill",    "torn",    "error",
                                              "full", "fullest", "no-links"};

static fault_kind armed;
static int left, hit;

/* What a call is to a fault. */
enum { LOOKS = 0, CHANGES = 1, NEEDS_SPACE = 2, RENAMES = 4 };

/* True where the call fails, with errno. */
static int strikes(int what) {
    const int kills = armed == FAULT_KILL || armed == FAULT_TORN || armed == FAULT_NO_LINKS;
    const int fills = armed == FAULT_FULL || armed == FAULT_FULLEST;
    if (armed == FAULT_NONE) return 0;
    if (kills && !(what & CHANGES)) return 0;
    if (fills && !(what & NEEDS_SPACE) && !(armed == FAULT_FULLEST && what & RENAMES)) return 0;
    left--;
    if (left > 0 || (left < 0 && !fills)) return 0;
    hit = 1;
    if (kills) kill(getpid(), SIGKILL);
    errno = fills ? ENOSPC : EIO;
    return 1;
}

void fault_arm(fault_kind kind, int at) {
    hit = 0;
    left = at;
    armed = kind;
}

int fault_disarm(void) {
    armed = FAULT_NONE;
    return hit;
}

static int open_at(int dir, const char *path, int flags, mode_t mode) {
    if (strikes(flags & O_CREAT ? CHANGES | NEEDS_SPACE : LOOKS)) return -1;
    return (int)syscall(SYS_openat, dir, path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list ap;
    va_start(ap, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...) {
    va_list ap;
    va_start(ap, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return open_at(dir, path, flags, mode);
}

ssize_t write(int fd, const void *data, size_t size) {
    if (armed == FAULT_TORN && left == 1 && size > 1) syscall(SYS_write, fd, data, size / 2);
    if (strikes(CHANGES | NEEDS_SPACE)) return -1;
    return syscall(SYS_write, fd, data, size);
}

ssize_t read(int fd, void *data, size_t size) {
    if (strikes(LOOKS)) return -1;
    return syscall(SYS_read, fd, data, size);
}

/* Nothing here cuts the power: the disk need not be waited for. */
int fsync(int fd) {
    (void)fd;
    return strikes(NEEDS_SPACE) ? -1 : 0;
}

int mkdir(const char *path, mode_t mode) {
    if (strikes(CHANGES | NEEDS_SPACE)) return -1;
    return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int mkdirat(int dir, const char *path, mode_t mode) {
    if (strikes(CHANGES | NEEDS_SPACE)) return -1;
    return (int)syscall(SYS_mkdirat, dir, path, mode);
}

int linkat(int from, const char *path, int to, const char *name, int flags) {
    if (strikes(CHANGES | NEEDS_SPACE)) return -1;
    if (armed == FAULT_NO_LINKS) {
        errno = EPERM;
        return -1;
    }
    return (int)syscall(SYS_linkat, from, path, to, name, flags);
}

int renameat(int from, const char *path, int to, const char *name) {
    if (strikes(CHANGES | RENAMES)) return -1;
    return (int)syscall(SYS_renameat2, from, path, to, name, 0);
}

int unlinkat(int dir, const char *path, int flags) {
    if (strikes(CHANGES)) return -1;
    return (int)syscall(SYS_unlinkat, dir, path, flags);
}

int rmdir(const char *path) {
    if (strikes(CHANGES)) return -1;
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}

int flock(int fd, int operation) {
    if (strikes(LOOKS)) return -1;
    return (int)syscall(SYS_flock, fd, operation);
}

__attribute__((constructor)) static void arm_from_environment(void) {
    const char *text = getenv("FAULT"), *colon = text ? strchr(text, ':') : NULL;
    for (int i = 1; colon && i < FAULT_KINDS; i++)
        if (!strncmp(text, fault_names[i], (size_t)(colon - text)) && !fault_names[i][colon - text])
            fault_arm((fault_kind)i, atoi(colon + 1));
}

__attribute__((destructor)) static void say_not_reached(void) {
    static const char text[] = "fault: not reached\n";
    if (armed != FAULT_NONE && !hit) syscall(SYS_write, 2, text, sizeof text - 1);
}
