#include "files.h"

#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char *odd_file(mode_t mode) {
    if (S_ISREG(mode)) return NULL;
    return S_ISDIR(mode)    ? "a folder"
           : S_ISLNK(mode)  ? "a symbolic link"
           : S_ISFIFO(mode) ? "a FIFO"
           : S_ISSOCK(mode) ? "a socket"
                            : "a device";
}

int passed_fd(const char *path) {
    static const struct {
        const char *path;
        int fd;
    } standard[] = {{"/dev/stdin", 0}, {"/dev/stdout", 1}, {"/dev/stderr", 2}};
    static const char *const folder[] = {"/dev/fd/", "/proc/self/fd/"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(path, standard[i].path)) return standard[i].fd;
    for (int i = 0; i < 2; i++) {
        const size_t n = strlen(folder[i]);
        if (strncmp(path, folder[i], n) || !isdigit((unsigned char)path[n])) continue;
        char *end;
        const long fd = strtol(path + n, &end, 10);
        if (!*end && fd <= INT_MAX) return (int)fd;
    }
    return -1;
}

char *read_open(arena *a, int fd, const char *name, size_t max, size_t *size, diag *d) {
    buf b = buf_new(a);
    char chunk[1 << 16];
    ssize_t n = 1;
    while (n != 0 && b.len <= max) {
        n = read(fd, chunk, sizeof chunk);
        if (n > 0) buf_add(&b, chunk, (size_t)n);
        if (n < 0 && errno != EINTR) break;
    }
    const int error = errno;
    close(fd);
    if (n < 0) {
        diag_set(d, "%s: cannot read: %s", text_shown(a, name), strerror(error));
        return NULL;
    }
    if (b.len > max) {
        diag_set(d, "%s: larger than %zu bytes", text_shown(a, name), max);
        return NULL;
    }
    if (size) *size = b.len;
    return b.data;
}

/* A regular file, or what passed_fd knows (then *what names it); -1 with a message. */
static int open_file(arena *a, const char *path, struct stat *st, const char **what, diag *d) {
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, st)) {
        if (errno == ENOMEM) out_of_memory();
        diag_set(d, "%s: cannot open: %s", text_shown(a, path), strerror(errno));
        if (fd >= 0) close(fd);
        return -1;
    }
    *what = odd_file(st->st_mode);
    if (*what && (S_ISDIR(st->st_mode) || passed_fd(path) < 0)) {
        diag_set(d, "%s: is %s, not a file", text_shown(a, path), *what);
        close(fd);
        return -1;
    }
    return fd;
}

char *read_file(arena *a, const char *path, size_t max, size_t *size, diag *d) {
    struct stat st;
    const char *what;
    const int fd = open_file(a, path, &st, &what, d);
    if (fd < 0) return NULL;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    return read_open(a, fd, path, max, size, d);
}

bool write_all(int fd, const void *data, size_t size) {
    for (const char *p = data; size;) {
        const ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

bool file_map(arena *a, const char *path, mapped_file *out, diag *d) {
    struct stat st;
    const char *what;
    const int fd = open_file(a, path, &st, &what, d);
    *out = (mapped_file){"", 0}; /* nothing is mapped of an empty file */
    if (fd < 0) return false;
    if (what) {
        close(fd);
        return diag_set(d, "%s: is %s, not a file", text_shown(a, path), what);
    }
    void *data = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    const int error = errno;
    close(fd);
    if (!data) return true;
    if (data == MAP_FAILED)
        return diag_set(d, "%s: cannot read: %s", text_shown(a, path), strerror(error));
    *out = (mapped_file){data, (size_t)st.st_size};
    return true;
}

void file_unmap(mapped_file *file) {
    if (file->size) munmap((void *)(uintptr_t)file->data, file->size);
}
