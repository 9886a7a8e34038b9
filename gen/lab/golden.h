/* golden.h - random cases with the oracle's answers for every kernel of a generated folder, in the
 * format of tests/golden/README.md. */
#ifndef VERIFY_GOLDEN_H
#define VERIFY_GOLDEN_H

#include "output/file_list.h"
#include "spec/model.h"

typedef struct golden_options {
    uint64_t seed;
    int cases; /* a kernel */
} golden_options;

/* Weights of a whole layer that a case file may hold. */
enum { GOLDEN_MAX_LAYER = 64 << 20 };
int64_t golden_layer_bytes(arena *a, const kernel_spec *k);
/* Whether cases of a whole layer are made: its weights fit, and it takes no side tensors. */
bool golden_takes_layer(arena *a, const kernel_spec *k);

/* A file a case, and the folder's manifest.json. The same model, options and attn-gen give the same
 * bytes. *skipped counts cases that could not be made: no random index stays inside its tensor. */
bool golden_render(arena *a, const model *m, const golden_options *o, gen_files *out, int *skipped,
                   diag *d);

#endif
