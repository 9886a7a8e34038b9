/* util.h - memory, text and errors of the generator. */
#ifndef GEN_UTIL_H
#define GEN_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The message of the first error; later ones are dropped. */
typedef struct diag {
    bool set;
    char text[4096];
} diag;
/* Returns false, so that a caller can `return diag_set(...)`. */
bool diag_set(diag *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Ends the program with a message and exit status 2. */
_Noreturn void out_of_memory(void);

/* Before files are written: memory that is used where the system has none from here on, so that a
 * write is not left half done. Takes the bytes that are to be written. */
void memory_reserve(size_t bytes);
/* As calloc and free, but that failure ends the program. */
void *memory_take(size_t bytes);
void memory_give(void *p);

/* Everything a run allocates lives in one arena and is freed with it. Allocation never fails:
 * see out_of_memory. */
typedef struct arena arena;
arena *arena_new(void);
void arena_free(arena *a);
void *arena_alloc(arena *a, size_t bytes); /* zeroed, 16-byte aligned */
char *arena_strdup(arena *a, const char *s);
char *arena_strndup(arena *a, const char *s, size_t n);
char *arena_printf(arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Growing text in an arena. Always terminated. */
typedef struct buf {
    arena *a;
    char *data;
    size_t len, cap;
} buf;
buf buf_new(arena *a);
void buf_add(buf *b, const char *data, size_t n);
void buf_puts(buf *b, const char *s);
void buf_printf(buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Appends " (did you mean 'x'?)" to b if a name of the null-terminated list is close to `name`. */
void suggest(buf *b, const char *name, const char *const *names);

/* What a file's mode says that it is, where that is no regular file ("a FIFO"); null where it is.
 */
const char *odd_file(mode_t mode);
/* N where a path names a descriptor that this process was started with (/dev/stdin, /dev/fd/N),
 * which may be a pipe; else -1. */
int passed_fd(const char *path);

/* Whole file, terminated; null with a message on error or above max bytes. Regular files only, and
 * what passed_fd knows: nobody waits for a FIFO. */
char *read_file(arena *a, const char *path, size_t max, size_t *size, diag *d);
/* The same of an open file, which it closes. */
char *read_open(arena *a, int fd, const char *name, size_t max, size_t *size, diag *d);
bool write_all(int fd, const void *data, size_t size); /* false with errno */

uint64_t hash64(const void *data, size_t n);                     /* FNV-1a */
uint64_t hash64_more(uint64_t hash, const void *data, size_t n); /* of what was hashed, and this */

#endif
