#include "disk.h"

#include "files.h"
#include "text.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
    CHUNK = 1 << 16,
    MOST_NAMES = 1 << 20,
    LOCK_SECONDS = 60,
    LOCK_TRIES = 50 /* a second */
};
/* What is larger was not written by attn-gen. */
static const off_t most_bytes = (off_t)1 << 30;

/* --- Paths. --- */

static bool name_is_plain(const char *name, size_t n) {
    if (n == 0 || n > 255 || name[0] == '.' || name[0] == '-') return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("._+-", name[i])) return false;
    return true;
}

bool disk_path_is_ours(const char *path) {
    if (strchr(path, '/') && strncmp(path, "runtime/", 8)) return false;
    for (const char *name = path;; name++) {
        const size_t n = strcspn(name, "/");
        if (!name_is_plain(name, n)) return false;
        name += n;
        if (!*name) return true;
    }
}

const char *disk_folder_of(arena *a, const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? arena_strndup(a, path, slash == path ? 1 : (size_t)(slash - path)) : ".";
}

int disk_parent(int folder, const char *path, bool make, const char **leaf) {
    char name[256];
    int at = openat(folder, ".", FOLDER_FLAGS);
    for (size_t n; at >= 0 && path[n = strcspn(path, "/")]; path += n + 1) {
        int next = -1;
        if (n >= sizeof name)
            errno = ENAMETOOLONG;
        else {
            memcpy(name, path, n);
            name[n] = 0;
            next = openat(at, name, FOLDER_FLAGS);
            if (next < 0 && errno == ENOENT && make && !mkdirat(at, name, 0777))
                next = openat(at, name, FOLDER_FLAGS);
        }
        const int error = errno;
        close(at);
        errno = error;
        at = next;
    }
    *leaf = path;
    return at;
}

/* --- What is there. --- */

disk_entry disk_look(int folder, const char *path, const char **what) {
    const char *leaf;
    struct stat st;
    *what = NULL;
    const int parent = disk_parent(folder, path, false, &leaf);
    const bool found = parent >= 0 && !fstatat(parent, leaf, &st, AT_SYMLINK_NOFOLLOW);
    const int error = errno;
    if (parent >= 0) close(parent);
    errno = error;
    if (found) {
        *what = odd_file(st.st_mode);
        return *what ? DISK_ODD : DISK_FILE;
    }
    if (error == ENOENT) return DISK_NOTHING;
    if (error != ENOTDIR && error != ELOOP) return DISK_UNKNOWN;
    *what = "below a link or a file, not in a folder";
    return DISK_ODD;
}

disk_entry disk_look_in(const char *dir, const char *path, const char **what) {
    const int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return errno == ENOENT ? DISK_NOTHING : DISK_UNKNOWN;
    const disk_entry is = disk_look(folder, path, what);
    close(folder);
    return is;
}

/* A regular file; -1 with errno, EINVAL where it is none. */
static int open_file(int folder, const char *path, struct stat *st) {
    const char *leaf;
    const int parent = disk_parent(folder, path, false, &leaf);
    if (parent < 0) return -1;
    int fd = openat(parent, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    int error = errno;
    if (fd >= 0 && (fstat(fd, st) || !S_ISREG(st->st_mode))) {
        close(fd);
        fd = -1;
        error = EINVAL;
    }
    close(parent);
    errno = error;
    return fd;
}

char *disk_read(arena *a, int folder, const char *dir, const char *path, size_t max, size_t *size,
                diag *d) {
    const char *what, *name = arena_printf(a, "%s/%s", dir, path);
    struct stat st;
    if (disk_look(folder, path, &what) == DISK_ODD) {
        diag_set(d, "%s: is %s: attn-gen reads files, and follows no links in a folder",
                 text_shown(a, name), what);
        return NULL;
    }
    const int fd = open_file(folder, path, &st);
    if (fd >= 0) return read_open(a, fd, name, max, size, d);
    diag_set(d, "%s: cannot open: %s", text_shown(a, name), strerror(errno));
    return NULL;
}

char *disk_read_in(arena *a, const char *dir, const char *path, size_t max, size_t *size, diag *d) {
    const int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        diag_set(d, "%s: cannot open the folder: %s", text_shown(a, dir), strerror(errno));
        return NULL;
    }
    char *text = disk_read(a, folder, dir, path, max, size, d);
    close(folder);
    return text;
}

/* All of a chunk, or what is left of the file. */
static ssize_t read_chunk(int fd, unsigned char *to) {
    size_t n = 0;
    while (n < CHUNK) {
        const ssize_t got = read(fd, to + n, CHUNK - n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

bool disk_holds(int folder, const char *path, const void *data, size_t size) {
    unsigned char chunk[CHUNK];
    struct stat st;
    const int fd = open_file(folder, path, &st);
    if (fd < 0) return false;
    size_t at = 0;
    ssize_t n = 0;
    bool same = st.st_size == (off_t)size;
    while (same && (n = read_chunk(fd, chunk)) > 0) {
        same = (size_t)n <= size - at && !memcmp(chunk, (const char *)data + at, (size_t)n);
        at += (size_t)n;
    }
    close(fd);
    return same && n == 0 && at == size;
}

int disk_has_hash(int folder, const char *path, uint64_t hash) {
    unsigned char chunk[CHUNK];
    struct stat st;
    const int fd = open_file(folder, path, &st);
    if (fd < 0) return errno == ENOENT || errno == EACCES || errno == EINVAL ? 0 : -1;
    uint64_t h = hash64(NULL, 0);
    ssize_t n = 1;
    if (st.st_size <= most_bytes)
        while ((n = read_chunk(fd, chunk)) > 0) h = hash64_more(h, chunk, (size_t)n);
    const int error = errno;
    close(fd);
    errno = error;
    return n < 0 ? -1 : n == 0 && h == hash;
}

/* --- Writing. --- */

bool disk_flush(int fd) {
    return !fsync(fd) || errno == EINVAL || errno == ENOTSUP;
}

int disk_create(int folder, const char *name, const void *data, size_t size, bool durable) {
    const int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0) return -1;
    bool ok = write_all(fd, data, size) && (!durable || disk_flush(fd));
    int error = errno;
    if (close(fd) && ok) {
        ok = false;
        error = errno;
    }
    if (ok) return 0;
    unlinkat(folder, name, 0);
    errno = error;
    return -1;
}

/* --- A folder of one's own for a while. --- */

static bool lock(const disk_folder *f, diag *d) {
    const struct timespec pause = {0, 1000000000L / LOCK_TRIES};
    for (int i = 0; flock(f->fd, LOCK_EX | LOCK_NB); i++) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return diag_set(d, "-o: %s: cannot lock: %s", f->path, strerror(errno));
        if (i == LOCK_SECONDS * LOCK_TRIES)
            return diag_set(d, "-o: %s: another program has had the lock of this folder for %d s",
                            f->path, LOCK_SECONDS);
        if (i == 0)
            fprintf(stderr, "attn-gen: %s: waiting for another attn-gen that writes there\n",
                    f->path);
        nanosleep(&pause, NULL);
    }
    return true;
}

/* The end of the part of a path after the one that ends at n. */
static size_t next_part(const char *path, size_t n) {
    while (path[n] == '/') n++;
    return n + strcspn(path + n, "/");
}

static bool make_folders(disk_folder *f, diag *d) {
    struct stat st;
    for (size_t n = 0; f->path[n];) {
        n = next_part(f->path, n);
        const char *part = arena_strndup(f->a, f->path, n);
        if (!stat(part, &st) || errno != ENOENT) continue; /* other errors: open's to tell */
        if (!mkdir(part, 0777)) {
            if (!f->made) f->made = n;
        } else if (errno != EEXIST)
            return diag_set(d, "%s: cannot create: %s", part, strerror(errno));
    }
    return true;
}

/* The last one who had it may have removed it, and another have made it anew. */
static bool is_still_there(const disk_folder *f) {
    struct stat open, named;
    return !fstat(f->fd, &open) && !stat(f->path, &named) && open.st_dev == named.st_dev &&
           open.st_ino == named.st_ino;
}

bool disk_enter(arena *a, const char *dir, disk_folder *f, diag *d) {
    *f = (disk_folder){a, dir, -1, 0};
    for (int i = 0; i < 100 && make_folders(f, d); i++) {
        f->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (f->fd < 0 && errno == ENOENT) continue;
        if (f->fd < 0) {
            diag_set(d, errno == ENOTDIR ? "-o: %s is not a folder" : "-o: %s: cannot open: %s",
                     dir, strerror(errno));
            break;
        }
        if (!lock(f, d)) break;
        if (is_still_there(f)) return true;
        close(f->fd);
        f->fd = -1;
    }
    diag_set(d, "-o: %s: cannot open: %s", dir, strerror(ENOENT));
    disk_leave(f, false);
    return false;
}

void disk_leave(disk_folder *f, bool keep) {
    if (!keep && f->made)
        for (size_t n = strlen(f->path); n >= f->made; n--)
            if (!f->path[n] || f->path[n] == '/') rmdir(arena_strndup(f->a, f->path, n));
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
}

void disk_hold_signals(sigset_t *old) {
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXFSZ};
    sigset_t hold;
    sigemptyset(&hold);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) sigaddset(&hold, ends[i]);
    sigprocmask(SIG_BLOCK, &hold, old);
}

/* A write that was too large has failed, and been reported: its signal says nothing more. */
void disk_free_signals(const sigset_t *old) {
    const struct timespec now = {0, 0};
    sigset_t large;
    sigemptyset(&large);
    sigaddset(&large, SIGXFSZ);
    sigtimedwait(&large, NULL, &now);
    sigprocmask(SIG_SETMASK, old, NULL);
}

/* --- Listing. --- */

const char **disk_names(arena *a, int folder) {
    const int fd = openat(folder, ".", FOLDER_FLAGS);
    DIR *handle = fd < 0 ? NULL : fdopendir(fd);
    if (!handle) {
        const int error = errno;
        if (fd >= 0) close(fd);
        errno = error;
        return NULL;
    }
    size_t count = 0, cap = 64;
    const char **list = arena_alloc(a, cap * sizeof *list);
    for (struct dirent *e; count < MOST_NAMES && (e = readdir(handle));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if (count + 1 == cap) {
            const char **grown = arena_alloc(a, 2 * cap * sizeof *grown);
            memcpy(grown, list, count * sizeof *grown);
            list = grown;
            cap *= 2;
        }
        list[count++] = arena_strdup(a, e->d_name);
    }
    closedir(handle);
    return list;
}

bool disk_is_stage(int folder, const char *name) {
    const size_t n = strlen(name), m = strlen(DISK_STAGE);
    struct stat st;
    return name[0] == '.' && n >= m && !strcmp(name + n - m, DISK_STAGE) &&
           !fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISDIR(st.st_mode);
}

bool disk_is_whole(arena *a, const char *dir, diag *d) {
    const int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return true; /* whoever reads it says why */
    const char **names = disk_names(a, folder);
    bool whole = true;
    for (int i = 0; names && names[i] && whole; i++)
        if (disk_is_stage(folder, names[i]))
            whole = diag_set(d,
                             "%s: half-written (%s is there): attn-gen was interrupted, or is "
                             "writing it now; generate it again",
                             text_shown(a, dir), text_shown(a, names[i]));
    close(folder);
    return whole;
}
