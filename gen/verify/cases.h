/* cases.h - a golden file as a problem with its expected answer (format: tests/golden/README.md).
 */
#ifndef VERIFY_CASES_H
#define VERIFY_CASES_H

#include "call.h"

typedef struct golden {
    const char *path, *name;
    const char *unsupported; /* null, or why no kernel can be held against this case yet */
    double tolerance;        /* |got - want| <= tolerance * (1 + |want|) */
    bool able[2];            /* by attn_backend: can express the case, and is asked for */
    kernel_spec spec[2];
    call problem[2];
    const float *o, *lse; /* lse: null if the case has none */
    bool v_in_k;          /* V is the first columns of K */
} golden;

/* backends: bits of attn_backend that are asked for. False with a message that names the file and
 * the key. */
bool golden_read(arena *a, const char *path, unsigned backends, golden *out, diag *d);

#endif
