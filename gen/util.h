/* util.h - memory, text and errors of the generator. */
#ifndef GEN_UTIL_H
#define GEN_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The message of the first error; later ones are dropped. */
typedef struct diag {
    bool set;
    char text[4096];
} diag;
/* Masks what would harm a terminal (text.c). Returns false, so that a caller can `return
 * diag_set(...)`. */
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

int gcd(int a, int b);
bool ends_with(const char *s, const char *end);

/* Appends " (did you mean 'x'?)" to b if a name of the null-terminated list is close to `name`,
 * whatever the case of its letters, or is the only one that has it in it. */
void suggest(buf *b, const char *name, const char *const *names);
/* "a|b|c" as a null-terminated list. */
const char *const *split_values(arena *a, const char *values);

uint64_t hash64(const void *data, size_t n);                     /* FNV-1a */
uint64_t hash64_more(uint64_t hash, const void *data, size_t n); /* of what was hashed, and this */

#endif
