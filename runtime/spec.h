/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* spec.h - the rules of attn_spec: defaults, validation, canonical names. Shared by the runtime and
 * the generator, so that both accept and reject the same specs. No allocation, no I/O. */
#ifndef ATTN_SPEC_H
#define ATTN_SPEC_H

#include "compiler.h"
#include "attn.h"
#include <stdbool.h>

ATTN_HIDDEN_BEGIN

/* Where a field is allowed (spec_fields.def). */
enum {
    ATTN_IN_REGULAR = 1,
    ATTN_IN_MLA = 2,
    ATTN_IN_SELF = 4, /* full_self, sliding_self */
    ATTN_IN_SLIDING = 8,
    ATTN_IN_CROSS = 16,
    ATTN_IN_BLOCK = 32, /* level block */
    ATTN_IN_FORMS = ATTN_IN_REGULAR | ATTN_IN_MLA,
    ATTN_IN_OPS = ATTN_IN_SELF | ATTN_IN_SLIDING | ATTN_IN_CROSS
};

typedef enum attn_field_kind {
    ATTN_KIND_ENUM,
    ATTN_KIND_INT,
    ATTN_KIND_BOOL,
    ATTN_KIND_FLOAT,
    ATTN_KIND_TYPES,
    ATTN_KIND_TEXT,
    ATTN_KIND_LIST
} attn_field_kind;

/* One row of spec_fields.def as data. offset is into attn_spec, or -1 for TEXT and LIST; only
 * attn_field_get and attn_field_put read it. */
typedef struct attn_field {
    const char *name;
    attn_field_kind kind;
    char id;
    int offset;
    int64_t lowest, highest, dflt;
    const char *values; /* ENUM: "a|b|c" */
    int applies;
    const char *help;
} attn_field;

extern const attn_field attn_fields[];
extern const int attn_field_count;

/* By name or alias; null if there is none. */
const attn_field *attn_field_find(const char *name);

/* The value of a member: the int32_t of INT, ENUM and BOOL and the float of FLOAT are exact in a
 * double. Unset: ATTN_UNSET, ATTN_UNSET_F. Of TYPES: how many matrices it names, and put makes that
 * 0 whatever the value. Not for TEXT and LIST, which are no members. */
bool attn_field_is_member(const attn_field *field);
double attn_field_get(const attn_field *field, const attn_spec *spec);
void attn_field_put(const attn_field *field, attn_spec *spec, double value);
/* A storage type, rotation or layout that leaving it out means: names, banners and notes do. */
bool attn_field_is_silent(const attn_field *field, const attn_spec *spec);
bool attn_field_is_set(const attn_field *field, const attn_spec *spec);
void attn_field_put_default(const attn_field *field, attn_spec *spec);
bool attn_field_is_default(const attn_field *field, const attn_spec *spec);
/* The value as a user writes it: sliding_self, true, 64, 0.5; false and "" where it is unset. */
enum { ATTN_FIELD_TEXT_MAX = 512 };
bool attn_field_text(const attn_field *field, const attn_spec *spec,
                     char text[ATTN_FIELD_TEXT_MAX]);

/* What is wrong with a spec: the field's name and a sentence with what is allowed. */
typedef struct attn_spec_error {
    const char *field;
    char text[256];
} attn_spec_error;

/* Whether a field may be given for this form and op; false: err says where it belongs. */
bool attn_field_applies(const attn_field *field, const attn_spec *spec, attn_spec_error *err);

/* Fills defaults and checks every rule. The result is canonical: equal specs are equal in every
 * member (kv_heads, v_heads, v_dim, scale are numbers; mla fills kv_heads, v_heads and v_dim from
 * its own fields). Resolving twice changes nothing. err may be null. */
attn_status attn_spec_resolve(attn_spec *spec, attn_spec_error *err);

/* The attention inside a resolved layer, as a core spec; of a core spec, itself. */
void attn_spec_core(const attn_spec *spec, attn_spec *core);

/* A resolved layer of mla with key = shared: its attention with keys and values a head, which does
 * fewer operations where queries are many, and see all keys rather than a few that lists name. */
static inline bool attn_spec_expands(const attn_spec *spec) {
    return spec->key == ATTN_KEY_SHARED && spec->select == ATTN_SELECT_ALL;
}
void attn_spec_expanded(const attn_spec *spec, attn_spec *core);

/* Layers (spec_block.c): fills what the core's rules need (head_dim, scale), then the rest. Called
 * by attn_spec_resolve. */
attn_status attn_spec_block_core(attn_spec *spec, attn_spec_error *err);
attn_status attn_spec_block_rest(attn_spec *spec, attn_spec_error *err);
attn_status attn_spec_fail(attn_spec_error *err, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What calls may give a spec's backend: a run-time mask, or data of score and mask expressions. */
bool attn_spec_takes_mask(const attn_spec *spec);
bool attn_spec_takes_expressions(const attn_spec *spec);

/* What a resolved spec's operands are stored in: attn_type. */
typedef struct attn_types {
    int32_t q, k, v, o;
} attn_types;
attn_types attn_spec_types(const attn_spec *spec);

/* mla, key = shared: V is the first columns of K's rows. */
bool attn_spec_one_row(const attn_spec *spec);
/* Whether K and V are stored with a scale a row. */
bool attn_spec_scaled(const attn_spec *spec);

/* Whether K is stored rotated where the spec, perhaps unresolved, does not say. */
bool attn_rotates_unasked(const attn_spec *spec);

enum { ATTN_ROTATE_MOST = 4096 }; /* widest key rows that may be rotated */

/* What of a key row is stored rotated: its columns from `from` on, in blocks; block = 0: nothing.
 */
typedef struct attn_rotation {
    int32_t from, block;
} attn_rotation;
attn_rotation attn_spec_rotation(const attn_spec *spec);

/* attn_weight_type that a resolved layer stores a matrix of k columns in, one that has a name
 * (attn_matrix) and one that has none; and those of its matrices that are folded or transposed. */
int32_t attn_spec_matrix_type(const attn_spec *spec, int32_t matrix, int64_t k);
int32_t attn_spec_weight_type(const attn_spec *spec, int64_t k);
int32_t attn_spec_weight_rest(const attn_spec *spec);
const char *attn_matrix_name(int32_t matrix);
/* Whether weight_types of a resolved layer may name it. */
bool attn_spec_has_matrix(const attn_spec *spec, int32_t matrix);

/* Width of a row of a layer: of its input and output. */
int32_t attn_spec_row_dim(const attn_spec *spec);

/* Width of a key row: head_dim, or for mla retr_dim or kv_comp_dim + retr_dim. Resolved specs. */
int32_t attn_spec_k_dim(const attn_spec *spec);

/* Canonical name of a resolved spec, e.g. attn_f32_regular_flex_sliding_self_h8k2d64w255. Fields at
 * their default are left out; floats print as attn_float_text with '.' as 'p' and '-' as 'm'; an
 * expression hash is 'x' and 8 hex digits. A storage type stands after f32, where it is not f32
 * (attn_f32_kvi8_rotate_doti8_regular_..). A layer has the name of its core, after "block_", and 8
 * hex digits, the hash of all its fields: attn_f32_block_regular_sdpa_full_self_h8k2d64_5e2f01ab.
 * Needs ATTN_NAME_MAX bytes. parse is the inverse for cores, and resolves; a layer's name tells
 * only its core. */
enum { ATTN_NAME_MAX = 256 };
void attn_spec_format(const attn_spec *spec, char name[ATTN_NAME_MAX]);
attn_status attn_spec_parse(const char *name, attn_spec *spec);
/* Whether a name has the form of these. */
bool attn_name_is_canonical(const char *name);

/* The shortest decimal that reads back as x; no exponent where nine digits do without. */
enum { ATTN_FLOAT_MAX = 48 };
void attn_float_text(float x, char text[ATTN_FLOAT_MAX]);

/* Value number `index` of an enum field's values, "a|b|c", and how long it is; null past the last.
 */
const char *attn_enum_value(const char *values, int32_t index, size_t *length);
/* Name of an enum field's value, e.g. attn_enum_name("op", 1) is "sliding_self". */
void attn_enum_name(const attn_field *field, int32_t value, char *out, size_t size);

ATTN_VISIBILITY_END

#endif
