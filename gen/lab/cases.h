/* cases.h - a golden file as a problem with its expected answer (format: tests/golden/README.md).
 */
#ifndef VERIFY_CASES_H
#define VERIFY_CASES_H

#include "block_oracle.h"
#include "call.h"
#include "compare.h"

typedef struct golden {
    const char *path, *name;
    double tolerance; /* |got - want| <= tolerance * (1 + |want|) */
    bool able[2];     /* by attn_backend: can express the case, and is asked for */
    kernel_spec spec[2];
    call problem[2]; /* of a layer: only its extents, side data and mask */
    expected o, lse; /* lse.data null if the case has none */
    bool v_in_k;     /* V is the first columns of K */

    bool is_block;       /* level = block: the rest counts, and o and lse do not */
    block_case block[2]; /* by attn_backend; y and caches null */
    int32_t prefill;     /* rows of x that are not new; the expected y is of those that are */
    expected y, cache_k, cache_v; /* caches: data null if the case has none */
    const bool *y_open; /* rows of y that the case says nothing of; null: it does of all */
} golden;

/* backends: bits of attn_backend that are asked for. page: of layers, keys a page, instead of the
 * layout of the case; null: as that is. False with a message that names the file and
 * the key. */
bool golden_read(arena *a, const char *path, unsigned backends, const char *page, golden *out,
                 diag *d);

/* Canonical name (block_oracle.h) of a layer's weight as a case file names it: without "w.", the
 * modules around it, and under the reference's names as well. */
const char *block_weight_name(arena *a, const char *name);

#endif
