#include "util.h"
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct block {
    struct block *next;
    size_t used, cap;
} block;

enum { BLOCK_HEADER = 32, BLOCK_BYTES = 1 << 16 };

struct arena {
    block *head;
};

void out_of_memory(void) {
    static const char what[] = ": out of memory\n";
    const char *name = program_invocation_short_name;
    if (write(STDERR_FILENO, name, strlen(name)) > 0 &&
        write(STDERR_FILENO, what, sizeof what - 1) > 0)
        exit(2);
    exit(2);
}

/* What memory_reserve put aside, and how much of it is used. */
static char *reserve;
static size_t reserve_size, reserve_used;

static void *from_reserve(size_t bytes) {
    bytes = (bytes + 15) & ~(size_t)15;
    if (bytes > reserve_size - reserve_used) out_of_memory();
    void *p = reserve + reserve_used;
    reserve_used += bytes;
    return p;
}

/* Zeroed. */
void *memory_take(size_t bytes) {
    void *p = calloc(1, bytes ? bytes : 1);
    return p ? p : from_reserve(bytes);
}

void memory_give(void *p) {
    if (!reserve || (char *)p < reserve || (char *)p >= reserve + reserve_size) free(p);
}

void memory_reserve(size_t bytes) {
    enum { SMALL_THINGS = 1 << 20 };
    const size_t size = SMALL_THINGS + 4 * bytes; /* what is there is read, in growing pieces */
    if (reserve) return;
    reserve = calloc(1, size);
    if (!reserve) out_of_memory();
    reserve_size = size;
}

arena *arena_new(void) {
    return memory_take(sizeof(arena));
}

void arena_free(arena *a) {
    if (!a) return;
    for (block *b = a->head; b;) {
        block *next = b->next;
        memory_give(b);
        b = next;
    }
    memory_give(a);
}

void *arena_alloc(arena *a, size_t bytes) {
    bytes = (bytes + 15) & ~(size_t)15;
    block *b = a->head;
    if (!b || b->cap - b->used < bytes) {
        size_t cap = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        b = memory_take(BLOCK_HEADER + cap);
        b->cap = cap;
        b->next = a->head;
        a->head = b;
    }
    void *p = (char *)b + BLOCK_HEADER + b->used;
    b->used += bytes;
    return p;
}

char *arena_strndup(arena *a, const char *s, size_t n) {
    char *p = arena_alloc(a, n + 1);
    memcpy(p, s, n);
    return p;
}

char *arena_strdup(arena *a, const char *s) {
    return arena_strndup(a, s, strlen(s));
}

static char *vprint(arena *a, const char *fmt, va_list ap) {
    va_list copy;
    va_copy(copy, ap);
    int n = vsnprintf(NULL, 0, fmt, copy);
    va_end(copy);
    if (n < 0) out_of_memory(); /* the formats are ours, and right */
    char *p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    return p;
}

char *arena_printf(arena *a, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    char *p = vprint(a, fmt, ap);
    va_end(ap);
    return p;
}

buf buf_new(arena *a) {
    return (buf){a, arena_alloc(a, 256), 0, 256};
}

void buf_add(buf *b, const char *data, size_t n) {
    if (b->len + n + 1 > b->cap) {
        size_t cap = (b->len + n + 1) * 2;
        char *p = arena_alloc(b->a, cap);
        memcpy(p, b->data, b->len);
        b->data = p;
        b->cap = cap;
    }
    memcpy(b->data + b->len, data, n);
    b->len += n;
    b->data[b->len] = 0;
}

void buf_puts(buf *b, const char *s) {
    buf_add(b, s, strlen(s));
}

void buf_printf(buf *b, const char *fmt, ...) {
    char small[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof small) {
        buf_add(b, small, (size_t)n);
        return;
    }
    va_start(ap, fmt);
    buf_puts(b, vprint(b->a, fmt, ap));
    va_end(ap);
}

/* Lines after the first are indented, so that none of others' text looks like one of ours. */
static void indent_lines(char *text, size_t size) {
    enum { INDENT = 4 };
    for (char *p = text; (p = strchr(p, '\n')); p++) {
        const size_t rest = strlen(p + 1), room = size - (size_t)(p + 1 - text) - 1;
        if (!rest || p[1] == ' ' || room <= INDENT) continue;
        const size_t kept = rest < room - INDENT ? rest : room - INDENT;
        memmove(p + 1 + INDENT, p + 1, kept);
        p[1 + INDENT + kept] = 0;
        memset(p + 1, ' ', INDENT);
    }
}

bool diag_set(diag *d, const char *fmt, ...) {
    if (d->set) return false;
    d->set = true;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(d->text, sizeof d->text, fmt, ap);
    va_end(ap);
    text_mask(d->text, true);
    indent_lines(d->text, sizeof d->text);
    return false;
}

static size_t edit_distance(const char *x, const char *y) {
    size_t row[64], n = strlen(y);
    if (n >= 63) return 64;
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 1; x[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = diagonal + (x[i - 1] != y[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[n];
}

void suggest(buf *b, const char *name, const char *const *names) {
    const char *best = NULL;
    size_t best_distance = strlen(name) / 3 + 1;
    for (; *names; names++) {
        size_t distance = edit_distance(name, *names);
        if (distance > best_distance || (best && distance == best_distance)) continue;
        best = *names;
        best_distance = distance;
    }
    if (best) buf_printf(b, " (did you mean '%s'?)", best);
}

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

char *read_file(arena *a, const char *path, size_t max, size_t *size, diag *d) {
    struct stat st;
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        if (errno == ENOMEM) out_of_memory();
        diag_set(d, "%s: cannot open: %s", text_shown(a, path), strerror(errno));
        if (fd >= 0) close(fd);
        return NULL;
    }
    const char *what = odd_file(st.st_mode);
    if (what && (S_ISDIR(st.st_mode) || passed_fd(path) < 0)) {
        diag_set(d, "%s: is %s, not a file", text_shown(a, path), what);
        close(fd);
        return NULL;
    }
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

uint64_t hash64_more(uint64_t h, const void *data, size_t n) {
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 1099511628211u;
    return h;
}

uint64_t hash64(const void *data, size_t n) {
    return hash64_more(1469598103934665603u, data, n);
}
