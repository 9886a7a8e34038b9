/* find_model.h - what a MODEL of the command line is: a built-in model, a model file, a config.json
 * or the folder of one. */
#ifndef GEN_FIND_MODEL_H
#define GEN_FIND_MODEL_H

#include "spec/model.h"

/* The file that a MODEL stands for: of a folder that holds a config.json, that; else itself. */
const char *find_model_path(arena *a, const char *target);

/* The model that it is. inputs, notes: as model_from_hf takes and gives them. */
bool find_model(arena *a, const char *target, const spec_input *inputs, int count, model *out,
                const char **notes, diag *d);

/* A line a built-in model: its name and the first comment of its file. */
const char *find_model_list(arena *a);

#endif
