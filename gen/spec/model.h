/* model.h - from flags or a Lua table to a model: layers, and the distinct kernels they need. */
#ifndef GEN_MODEL_H
#define GEN_MODEL_H

#include "expr/expr.h"
#include "lua/lua_host.h"
#include "spec.h"
#include "util.h"

/* A spec with its expressions: what one kernel computes. */
typedef struct kernel_spec {
    attn_spec core;           /* resolved; expr_hash filled */
    const char *score, *mask; /* as written; null: none */
    expr *score_expr, *mask_expr;
    attn_side_decl *tensors;
    int tensor_count;
    expr_scalar *scalars;
    int scalar_count;
    char name[ATTN_NAME_MAX]; /* canonical */
    int inner;                /* layers: the kernel of their core in the model; -1 for cores */
    int expanded;             /* layers with key = shared: the kernel with keys a head; else -1 */
    bool outer; /* some layer of the model is this kernel; not so: it is only the core of one */
} kernel_spec;

typedef struct model {
    const char *name;
    int layer_count;
    int *layer_kernel; /* layer -> index into kernels */
    int kernel_count;
    kernel_spec *kernels; /* in order of first use; a layer's core follows it */
} model;

/* One field as the user wrote it. where: prefix of messages, e.g. "--window" or
 * "tiny.lua:3:14: layers[2].window". */
typedef struct spec_input {
    const char *field;
    const lua_val *value; /* flags: a string */
    bool from_flag;       /* strings are converted to the field's kind */
    const char *where;
    /* Position of a text value in its file, so that carets land in the source; null for flags. */
    const char *file, *file_text;
    size_t file_offset;
} spec_input;

/* Builds and checks one kernel: unknown fields first (named, with what is allowed), then values,
 * then missing fields, then rules between fields, then expressions. */
bool kernel_spec_build(arena *a, const spec_input *inputs, int count, const char *where,
                       kernel_spec *out, diag *d);

/* A one-layer-a-kernel model of resolved kernels; false: two expressions have one hash. */
bool model_from_kernels(arena *a, const char *name, const kernel_spec *kernels, int count,
                        model *out);
/* Whether a layer is this kernel, or has it as its core. */
bool model_layer_runs(const model *m, int layer, int kernel);

/* The attention inside a layer, as a kernel of its own. */
void kernel_spec_core(const kernel_spec *block, kernel_spec *core);
/* The same with keys and values a head (key = shared). */
void kernel_spec_expanded(const kernel_spec *block, kernel_spec *core);

/* For readers of other files: a model with room for `layers`, and its layers one after the other.
 * False: two expressions have one hash. */
enum { MODEL_MAX_LAYERS = 4096 };
void model_begin(arena *a, const char *name, int layers, model *out);
bool model_add_layer(arena *a, model *m, const kernel_spec *k);
bool model_name_is_valid(const char *name);
/* For a name that nobody chose (a file's): itself, or another where it would make a header or a
 * library that the system has (reserved.h). */
const char *model_name_free(arena *a, const char *name);
/* For one that somebody chose: false with a message that names another. */
bool model_name_check(arena *a, const model *m, const char *where, diag *d);

/* "path:line:column"; the line at offset with a caret under it, after a newline and without one at
 * the end; a value as it is quoted in messages. */
const char *source_place(arena *a, const char *path, const char *text, size_t offset);
void source_show(buf *b, const char *text, size_t offset);
const char *value_quoted(arena *a, const lua_val *v);

/* A model file's text. path names it in messages and gives the default name. */
bool model_from_lua(arena *a, const char *path, const char *source, model *out, diag *d);
/* A one-layer model from flags; its name is the kernel's canonical name. */
bool model_from_flags(arena *a, const spec_input *inputs, int count, model *out, diag *d);
/* Gives a model another name (--name). False with a message if it makes no file or C name, or one
 * that the system has. */
bool model_rename(arena *a, model *m, const char *name, diag *d);
/* The name as a C identifier and a file's stem: "llama-3-8b" -> "llama_3_8b". */
char *model_identifier(arena *a, const char *name);
/* The model as a model file with every field resolved: reading it back gives the same model. */
const char *model_to_lua(arena *a, const model *m);

/* An error about a Lua text: "path:line:column: text" and the line with a caret, at the key
 * keys[0], or at keys[1] after it, and so on to a null. Returns false. */
bool model_refuse_text(arena *a, const char *path, const char *source, const char *const *keys,
                       const char *text, diag *d);

#endif
