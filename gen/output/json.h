/* json.h - specs and plans as JSON: the same members in explain --json and in manifests. */
#ifndef GEN_JSON_H
#define GEN_JSON_H

#include "product.h"

#include <cjson/cJSON.h>

/* Adds the fields of spec_fields.def by their names, score and mask (null: not set, or not of this
 * level, form or op), and tensor and scalar where there are any. */
void json_spec(arena *a, cJSON *row, const kernel_spec *k);

/* Adds the plan's sizes, choices ("from_tune_file": which were measured) and reasons. */
void json_product(cJSON *row, const product *p);

/* Adds "layers": [{"index", "kernel"}]. */
void json_layers(cJSON *root, const model *m);

#endif
