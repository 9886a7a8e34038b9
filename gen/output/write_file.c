#include "write_file.h"

#include "files.h"
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef enum target {
    TARGET_REFUSED,
    TARGET_FILE, /* a regular file, or none yet */
    TARGET_NODE, /* a device or FIFO, maybe by a link */
} target;

static target refuse(const char *path, const char *why, diag *d) {
    diag_set(d, "-o: %s: cannot write: %s", path, why);
    return TARGET_REFUSED;
}

static target target_of(const char *path, diag *d) {
    struct stat own, st;
    if (!*path || path[strlen(path) - 1] == '/') return refuse(path, "it names no file", d);
    if (lstat(path, &own)) return errno == ENOENT ? TARGET_FILE : refuse(path, strerror(errno), d);
    if (stat(path, &st)) return refuse(path, "it is a symbolic link that leads nowhere", d);
    if (S_ISDIR(st.st_mode)) return refuse(path, "it is a folder", d);
    if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) return TARGET_NODE;
    if (S_ISBLK(st.st_mode)) return refuse(path, "it is a block device", d);
    if (!S_ISREG(st.st_mode)) return refuse(path, "it is a socket", d);
    if (S_ISLNK(own.st_mode))
        return refuse(path, "it is a symbolic link: name the file that it leads to", d);
    return TARGET_FILE;
}

/* A reader that goes away is an error, not the end of this process. */
static bool write_into(int fd, const char *path, const void *data, size_t size, diag *d) {
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction old;
    fflush(stdout);
    sigaction(SIGPIPE, &ignore, &old);
    const bool ok = write_all(fd, data, size);
    const int error = errno;
    sigaction(SIGPIPE, &old, NULL);
    return ok || diag_set(d, "-o: %s: cannot write: %s", path, strerror(error));
}

/* A FIFO's reader may be about to open it. */
static int open_node(const char *path) {
    const struct timespec pause = {0, 50000000};
    for (int i = 0;; i++) {
        const int fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0 || errno != ENXIO || i == 20) return fd;
        nanosleep(&pause, NULL);
    }
}

static bool write_node(const char *path, const void *data, size_t size, diag *d) {
    const int fd = open_node(path);
    if (fd < 0)
        return diag_set(d, "-o: %s: cannot write: %s", path,
                        errno == ENXIO ? "nobody reads it" : strerror(errno));
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    bool ok = write_into(fd, path, data, size, d);
    if (close(fd) && ok) ok = diag_set(d, "-o: %s: cannot write: %s", path, strerror(errno));
    return ok;
}

/* Beside it first, then renamed, so that no reader sees half of it. The folder is this process's:
 * what has the name of the file beside it was left by one that was killed. */
static bool replace(const disk_folder *f, const char *leaf, const void *data, size_t size) {
    const char *temporary = arena_printf(f->a, ".%s" DISK_STAGE ".new", leaf);
    if (unlinkat(f->fd, temporary, 0) && errno != ENOENT) return false;
    if (disk_create(f->fd, temporary, data, size, true)) return false;
    if (!renameat(f->fd, temporary, f->fd, leaf)) return true;
    const int error = errno;
    unlinkat(f->fd, temporary, 0);
    errno = error;
    return false;
}

bool write_file(arena *a, const char *path, const void *data, size_t size, diag *d) {
    const int passed = passed_fd(path);
    if (passed >= 0) return write_into(passed, path, data, size, d);
    const target to = target_of(path, d);
    if (to != TARGET_FILE) return to == TARGET_NODE && write_node(path, data, size, d);
    disk_folder f;
    const char *slash = strrchr(path, '/'), *leaf = slash ? slash + 1 : path;
    if (!disk_enter(a, disk_folder_of(a, path), &f, d)) return false;
    sigset_t signals;
    disk_hold_signals(&signals);
    const bool ok = disk_holds(f.fd, leaf, data, size) || replace(&f, leaf, data, size);
    if (!ok) diag_set(d, "-o: %s: cannot write: %s", path, strerror(errno));
    disk_leave(&f, ok);
    disk_free_signals(&signals);
    return ok;
}

bool file_can_be_written(arena *a, const char *path, diag *d) {
    if (passed_fd(path) >= 0) return true;
    const target to = target_of(path, d);
    if (to != TARGET_FILE) return to == TARGET_NODE;
    const char *dir = disk_folder_of(a, path);
    return !access(dir, W_OK) || diag_set(d, "-o: cannot write in %s%s: %s", dir,
                                          strchr(path, '/') ? "/" : "", strerror(errno));
}
