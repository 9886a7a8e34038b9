#include "util.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

int gcd(int a, int b) {
    return b ? gcd(b, a % b) : a;
}

bool ends_with(const char *s, const char *end) {
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

static char plain_letter(char c) {
    return (char)(c == '-' ? '_' : tolower((unsigned char)c));
}

static size_t edit_distance(const char *x, const char *y) {
    size_t row[64], n = strlen(y);
    if (n >= 63) return 64;
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 1; x[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = diagonal + (plain_letter(x[i - 1]) != plain_letter(y[j - 1]));
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[n];
}

/* The only name that has the word in it; null: none, or several, or a word that says nothing. */
static const char *only_with(const char *word, const char *const *names) {
    const char *found = NULL;
    for (; *names && strlen(word) >= 3; names++) {
        if (!strstr(*names, word)) continue;
        if (found) return NULL;
        found = *names;
    }
    return found;
}

void suggest(buf *b, const char *name, const char *const *names) {
    const char *best = NULL, *only = only_with(name, names);
    size_t best_distance = strlen(name) / 3 + 1;
    for (; *names; names++) {
        size_t distance = edit_distance(name, *names);
        if (distance > best_distance || (best && distance == best_distance)) continue;
        best = *names;
        best_distance = distance;
    }
    if (!best) best = only;
    if (best) buf_printf(b, " (did you mean '%s'?)", best);
}

const char *const *split_values(arena *a, const char *values) {
    size_t count = 1;
    for (const char *p = values; *p; p++) count += *p == '|';
    const char **list = arena_alloc(a, (count + 1) * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        size_t n = strcspn(values, "|");
        list[i] = arena_strndup(a, values, n);
        values += n + (values[n] == '|');
    }
    return list;
}

uint64_t hash64_more(uint64_t h, const void *data, size_t n) {
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 1099511628211u;
    return h;
}

uint64_t hash64(const void *data, size_t n) {
    return hash64_more(1469598103934665603u, data, n);
}
