/* import_gguf.h - a GGUF file -> model: its metadata as the config.json that says the same, by the
 * table gguf_families.json, and on through import_hf.h's families. */
#ifndef GEN_IMPORT_GGUF_H
#define GEN_IMPORT_GGUF_H

#include "spec/model.h"

/* Whether a MODEL is read as a GGUF file: by its name's end, .gguf. */
bool import_gguf_is(const char *path);

/* As model_from_hf; data: the whole file (it is only read where keys, names and RoPE's factors
 * are). Errors name the file's keys. *notes: also what weights are stored in. */
bool model_from_gguf(arena *a, const char *path, const void *data, size_t bytes,
                     const spec_input *flags, int flag_count, model *out, const char **notes,
                     diag *d);

/* The values of general.architecture that are known, with commas. */
const char *import_gguf_architectures(arena *a);

#endif
