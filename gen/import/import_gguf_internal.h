/* import_gguf_internal.h - a GGUF file on its way to a config.json: import_gguf.c and what it
 * calls. */
#ifndef IMPORT_GGUF_INTERNAL_H
#define IMPORT_GGUF_INTERNAL_H

#include "gguf.h"
#include "import_gguf.h"
#include "import_internal.h"

typedef struct gguf {
    arena *a;
    const char *path;
    attn_gguf file;
    const json_val *table, *row,
        *keys; /* gguf_families.json, the architecture's row, the family's */
    const char *arch;
    int32_t heads, head_dim, layers;
    bool windows;      /* there is a sliding window, or it does not matter */
    buf config, names; /* members of the config, and what its keys are called in the file */
    buf used;          /* keys that were read, each between line ends */
    buf notes;
    diag *d;
} gguf;

/* --- import_gguf_keys.c --- */

/* Says what is wrong with a key; returns false. */
bool gguf_fail(gguf *x, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* "llama.block_count" */
const char *gguf_full_name(const gguf *x, const char *suffix);
bool gguf_find(gguf *x, const char *suffix, attn_gguf_key *k);
/* The number that all elements are, as JSON; null with a message. */
const char *gguf_number_text(gguf *x, const char *suffix, const attn_gguf_key *k);
/* An int of the file; missing: what llama.cpp takes, if it is not negative. */
bool gguf_read_int(gguf *x, const char *suffix, int32_t missing, int32_t *out);

/* A member of the config, and what it is called in the file. */
void gguf_put(gguf *x, const char *key, const char *name, const char *text);
void gguf_put_from(gguf *x, const char *key, const char *suffix, const char *text);
/* What the architecture's row says, as JSON. */
const char *gguf_row_text(gguf *x, const json_val *v);

/* --- import_gguf_rope.c --- */

bool gguf_put_scaling(gguf *x, const char *key);

#endif
