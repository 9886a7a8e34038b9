/* alloc.c - a library for LD_PRELOAD whose allocations fail as told by memory.c (alloc.h). It
 * counts from its own start, before main. For glibc, and for programs of one thread. */
#define _GNU_SOURCE
#include "alloc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *p, size_t bytes);
void *__libc_memalign(size_t align, size_t bytes);

static fault *told;    /* null: nothing fails */
static bool out_of_it; /* everything fails, in a child */

__attribute__((constructor)) static void start(void) {
    const char *fd = getenv(FAULT_FD);
    if (!fd) return;
    void *page = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED, atoi(fd), 0);
    if (page != MAP_FAILED) told = page;
}

static int64_t size_of(int fd) {
    struct stat st;
    return fstat(fd, &st) ? -1 : st.st_size;
}

static bool writing(void) {
    struct stat st;
    return *told->path && !lstat(told->path, &st);
}

/* A child says what and ends with 2, and leaves no trace (it may take with it the folder that was
 * made for it: its parent fails then, which nobody looks at); or, where no more is needed but to
 * write, goes on to the end. */
static bool ended_well(int status, bool was_writing, int64_t out, int64_t err) {
    static const char said[] = ": out of memory\n";
    char text[sizeof said] = "";
    const int64_t tail = (int64_t)sizeof said - 1;
    if (!WIFEXITED(status)) return false;
    if (WEXITSTATUS(status) <= 1) {
        told->survived++;
        return *told->path ? writing() : size_of(told->out_fd) == told->out_size;
    }
    return WEXITSTATUS(status) == 2 && size_of(told->out_fd) == out &&
           size_of(told->err_fd) >= err + tail &&
           pread(told->err_fd, text, (size_t)tail, size_of(told->err_fd) - tail) == tail &&
           !memcmp(text, said, (size_t)tail) && (was_writing || !writing());
}

/* True in a child for which all fails from here on. */
static bool child_fails(uint64_t number) {
    const bool was_writing = writing();
    const int64_t out = size_of(told->out_fd), err = size_of(told->err_fd);
    const int before = errno;
    const pid_t pid = fork();
    int status = -1;
    if (pid == 0) return true;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) _exit(126);
    told->children++;
    if (!ended_well(status, was_writing, out, err) && !told->bad++) {
        told->bad_at = number;
        told->bad_status = status;
        const ssize_t n = pread(told->err_fd, told->bad_text, sizeof told->bad_text - 1, err);
        told->bad_text[n > 0 ? n : 0] = 0;
    }
    if (ftruncate(told->out_fd, out) || ftruncate(told->err_fd, err)) _exit(126);
    lseek(told->out_fd, out, SEEK_SET), lseek(told->err_fd, err, SEEK_SET);
    errno = before;
    return false;
}

static bool fails(void) {
    if (!told) return false;
    if (out_of_it) return errno = ENOMEM, true;
    const uint64_t number = ++told->count;
    if (told->dense && (number <= told->dense || number % told->step == 0))
        out_of_it = child_fails(number);
    if (!out_of_it && (!told->at || number != told->at)) return false;
    told->failed++;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t bytes) {
    return fails() ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes) {
    return fails() ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *p, size_t bytes) {
    return bytes && fails() ? NULL : __libc_realloc(p, bytes);
}

void *memalign(size_t align, size_t bytes) {
    return fails() ? NULL : __libc_memalign(align, bytes);
}

void *aligned_alloc(size_t align, size_t bytes) {
    return memalign(align, bytes);
}

int posix_memalign(void **out, size_t align, size_t bytes) {
    void *p = memalign(align, bytes);
    if (p) *out = p;
    return p ? 0 : ENOMEM;
}
