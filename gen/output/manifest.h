/* manifest.h - manifest.json of a generated folder: what it computes, how, from what, and the hash
 * of every file. */
#ifndef GEN_MANIFEST_H
#define GEN_MANIFEST_H

#include "file_list.h"
#include "product.h"
#include "render.h"

#include <cjson/cJSON.h>

const char *manifest_text(arena *a, const product_list *p, const template_set *set,
                          const gen_files *files);

/* The text of DIR/manifest.json; null with a message, also where the folder is half-written. */
const char *manifest_load(arena *a, const char *dir, diag *d);

/* The JSON of it; the caller frees it with cJSON_Delete. Null with a message. */
cJSON *manifest_read(arena *a, const char *dir, diag *d);

/* The files that a manifest lists, as it lists them (anybody may have written it), their hashes as
 * the text; null if it is no manifest of ours. */
const gen_files *manifest_files(arena *a, const char *text);

/* What a manifest is of: "kernels" or "cases". */
const char *manifest_kind(arena *a, const char *text);

/* Adds "files": the path and hash of each. */
void manifest_add_files(arena *a, cJSON *root, const gen_files *files);

/* Printed, with a newline; frees the JSON. */
const char *manifest_print(arena *a, cJSON *root);

/* The options that a manifest's folder was made with, but for its tune file; and whether there is
 * one. */
bool manifest_options(arena *a, const cJSON *root, const char *path, gen_options *o, diag *d);
bool manifest_is_tuned(const cJSON *root);

/* Of a file's bytes, as manifests hold it. */
const char *manifest_hash(arena *a, const void *data, size_t size);

#endif
