/* model.h - from flags or a Lua table to a model: layers, and the distinct kernels they need. */
#ifndef GEN_MODEL_H
#define GEN_MODEL_H

#include "kernel_spec.h"
#include "whole.h"

typedef struct model {
    const char *name;
    int layer_count;
    int *layer_kernel; /* layer -> index into kernels */
    int kernel_count;
    kernel_spec *kernels; /* in order of first use; a layer's core follows it */
    bool is_whole;        /* and what stands around the layers is known: */
    attn_model_spec whole;
} model;

/* A one-layer-a-kernel model of resolved kernels; false: two of them have one name, by a hash. */
bool model_from_kernels(arena *a, const char *name, const kernel_spec *kernels, int count,
                        model *out);
/* Whether a layer is this kernel, or has it as its core. */
bool model_layer_runs(const model *m, int layer, int kernel);

/* For readers of other files: a model with room for `layers`, and its layers one after the other.
 * False: two kernels have one name, by a hash of their expressions or of a layer's fields. */
enum { MODEL_MAX_LAYERS = 4096 };
void model_begin(arena *a, const char *name, int layers, model *out);
bool model_add_layer(arena *a, model *m, const kernel_spec *k);
/* Why these layers cannot be a whole model's; null: they can. */
const char *model_whole_why(arena *a, const model *m);
bool model_name_is_valid(const char *name);
extern const char model_name_rule[]; /* in words */
/* For a name that nobody chose (a file's): itself, or another where it would make a header or a
 * library that the system has (reserved.h). */
const char *model_name_free(arena *a, const char *name);
/* For one that somebody chose: false with a message that names another. */
bool model_name_check(arena *a, const model *m, const char *where, diag *d);

/* A model file's text. path names it in messages and gives the default name. */
bool model_from_lua(arena *a, const char *path, const char *source, model *out, diag *d);
/* A one-layer model from flags; its name is the kernel's canonical name. */
bool model_from_flags(arena *a, const spec_input *inputs, int count, model *out, diag *d);
/* The fields that model_takes, with their flags and what follows them in a list. */
#define MODEL_FIELDS(FIELD)                          \
    FIELD("kv_type", "--kv-type", ", ")              \
    FIELD("rotate", "--rotate", ", ")                \
    FIELD("dot", "--dot", ", ")                      \
    FIELD("layout", "--layout", ", ")                \
    FIELD("page", "--page", ", ")                    \
    FIELD("weight_type", "--weight-type", ", ")      \
    FIELD("weight_types", "--weight-types", " and ") \
    FIELD("weight_rest", "--weight-rest", ", ")      \
    FIELD("weight_dot", "--weight-dot", ", ")        \
    FIELD("same_bits", "--same-bits", "")
#define MODEL_FLAG(field, flag, after) flag after
#define MODEL_FLAGS MODEL_FIELDS(MODEL_FLAG)
/* Whether a field is one that the command line may give beside a MODEL, for every layer of it. */
bool model_takes(const char *field);
/* --pool and --normalize: what a whole model's pooled rows are; pool null: as it says. */
bool model_pool(arena *a, model *m, const char *pool, bool normalize, diag *d);
/* Gives every layer the values of those among the inputs, whatever the model says. */
bool model_change(arena *a, model *m, const spec_input *inputs, int count, diag *d);
/* Gives a model another name (--name). False with a message if it makes no file or C name, or one
 * that the system has. */
bool model_rename(arena *a, model *m, const char *name, diag *d);
/* The name as a C identifier and a file's stem: "llama-3-8b" -> "llama_3_8b". */
char *model_identifier(arena *a, const char *name);
/* The model as a model file with every field resolved: reading it back gives the same model. */
const char *model_to_lua(arena *a, const model *m);

#endif
