/* guard.c - pages between two inaccessible ones. */
#define _DEFAULT_SOURCE
#include "guard.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page_size(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

static void die(const char *what) {
    perror(what);
    exit(2);
}

/* Byte i of the pages as the pattern has it. */
static uint8_t pattern_byte(size_t i) {
    const uint32_t word = GUARD_PATTERN;
    uint8_t bytes[4];
    memcpy(bytes, &word, sizeof bytes);
    return bytes[i % 4];
}

static void fill(const guard *g, size_t from, size_t to) {
    const uint32_t word = GUARD_PATTERN;
    for (; from < to && from % 4; from++) g->pages[from] = pattern_byte(from);
    for (; from + 4 <= to; from += 4) memcpy(g->pages + from, &word, sizeof word);
    for (; from < to; from++) g->pages[from] = pattern_byte(from);
}

guard guard_alloc(size_t size, size_t align, bool at_start) {
    size_t page = page_size();
    size_t body = (size + page) / page * page; /* at least one page, even for nothing */
    uint8_t *map =
        mmap(NULL, body + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) die("mmap");
    guard g = {.size = size, .pages = map + page, .pages_size = body};
    if (mprotect(g.pages, body, PROT_READ | PROT_WRITE)) die("mprotect");
    fill(&g, 0, body);
    size_t offset = at_start ? 0 : (body - size) & ~(align - 1);
    g.data = g.pages + offset;
    return g;
}

void guard_seal(const guard *g) {
    if (mprotect(g->pages, g->pages_size, PROT_READ)) die("mprotect");
}

void guard_restore(const guard *g, size_t from, size_t count) {
    const size_t start = (size_t)(g->data - g->pages) + from;
    fill(g, start, start + count);
}

/* Bytes from..to of the pages hold the pattern. */
static bool pattern(const guard *g, size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        if (g->pages[i] != pattern_byte(i)) return false;
    return true;
}

bool guard_intact(const guard *g) {
    size_t start = (size_t)(g->data - g->pages);
    return pattern(g, 0, start) && pattern(g, start + g->size, g->pages_size);
}

bool guard_untouched(const guard *g) {
    return pattern(g, 0, g->pages_size);
}

void guard_free(guard *g) {
    size_t page = page_size();
    munmap(g->pages - page, g->pages_size + 2 * page);
    memset(g, 0, sizeof *g);
}
