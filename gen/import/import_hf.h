/* import_hf.h - a Hugging Face config.json -> model, by the table of families hf_families.json. */
#ifndef GEN_IMPORT_HF_H
#define GEN_IMPORT_HF_H

#include "spec/model.h"

/* What a config.json makes where --level does not say it: "core" or "block". */
#define IMPORT_DEFAULT_LEVEL "block"

/* Some list every layer and how it is quantized. */
enum { IMPORT_MAX_BYTES = 64 << 20 };

/* Whether a MODEL is read as a config.json: by its name's end, .json. */
bool import_hf_is_config(const char *path);

/* flags: the level and backend of the command line, if given. *notes: lines about what the file
 * says and no layer has, "" if there are none. An error names the key, with its place in the text.
 * Every spec goes through kernel_spec_build, so that its rules and messages hold here too. */
bool model_from_hf(arena *a, const char *path, const char *text, const spec_input *flags,
                   int flag_count, model *out, const char **notes, diag *d);

/* The model_types that are known, with commas. */
const char *import_hf_families(arena *a);

#endif
