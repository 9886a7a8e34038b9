/* kernel_spec.h - what one kernel computes: its fields and expressions, built from what a user
 * wrote and checked. */
#ifndef GEN_KERNEL_SPEC_H
#define GEN_KERNEL_SPEC_H

#include "expr/expr.h"
#include "lua/lua_host.h"
#include "spec.h"
#include "util.h"

enum { KERNEL_MAX_DECLS = 32 }; /* side tensors, and scalars */

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

/* Gives a kernel that is built other values of fields, under the same checks; the model that it was
 * in knows nothing of it. */
bool kernel_spec_change(arena *a, kernel_spec *k, const spec_input *inputs, int count, diag *d);
/* What an input of weight_types says, as the spec has it. */
bool kernel_spec_types(arena *a, const spec_input *input, int32_t types[ATTN_MATRIX_COUNT],
                       diag *d);

/* The expressions and declarations in canonical form: what two kernels of one name are compared by,
 * and what expr_hash is the hash of; "" if there are none. */
const char *kernel_spec_text(arena *a, const kernel_spec *k);

/* Whether its expressions, if any, see distances between queries and keys and no positions: a
 * sliding cache may let go of keys (expr_relative). */
bool kernel_spec_relative(arena *a, const kernel_spec *k);

/* The attention inside a layer, as a kernel of its own. */
void kernel_spec_core(const kernel_spec *block, kernel_spec *core);
/* The same with keys and values a head (key = shared). */
void kernel_spec_expanded(const kernel_spec *block, kernel_spec *core);

#endif
