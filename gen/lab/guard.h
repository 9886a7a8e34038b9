/* guard.h - memory that ends, or begins, exactly at a page nobody may touch. What is left of its
 * own pages is filled with a pattern (a NaN as f32), so that stray writes show as well. */
#ifndef VERIFY_GUARD_H
#define VERIFY_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GUARD_PATTERN = 0x7fc57fc5 }; /* a quiet NaN, and in 16 bits two of them */

typedef struct guard {
    uint8_t *data; /* size bytes, all of them the pattern at first */
    size_t size;
    uint8_t *pages; /* the accessible pages around data */
    size_t pages_size;
} guard;

/* align: power of two, at most a page. at_start: data begins at the first page's first byte;
 * otherwise it ends as near to the last page's end as align permits. Never fails: out of memory
 * ends the program. */
guard guard_alloc(size_t size, size_t align, bool at_start);
void guard_seal(const guard *g); /* read-only from now on */
/* The pattern again over these bytes of data, as if nobody had written them. */
void guard_restore(const guard *g, size_t from, size_t count);
/* Nothing around data was written. */
bool guard_intact(const guard *g);
/* Neither data nor anything around it was written. */
bool guard_untouched(const guard *g);
void guard_free(guard *g);

#endif
