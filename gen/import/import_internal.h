/* import_internal.h - shared by the parts of the importer. */
#ifndef GEN_IMPORT_INTERNAL_H
#define GEN_IMPORT_INTERNAL_H

#include "import_hf.h"
#include "json_text.h"
#include "spec/source.h"

/* What is imported: a config.json, or one that says what another file does. */
typedef struct import_source {
    const char *path, *text;
    const json_val *names;  /* what the text's keys are called in that file; null: it is the file */
    const json_val *fields; /* of the spec, whatever the family's row says; null: none */
    const json_val *layers; /* the same of each layer, a list; null: none */
} import_source;

bool import_run(arena *a, const import_source *source, const spec_input *flags, int flag_count,
                model *out, const char **notes, diag *d);

/* One import. */
typedef struct hf {
    arena *a;
    const char *path, *text;
    const json_val *names, *own_fields, *layer_fields; /* import_source */
    const char *model_type;
    const json_val *table;  /* hf_families.json */
    const json_val *top;    /* the file */
    const json_val *in;     /* its object that describes the text model */
    const json_val *family; /* its row in hf_families.json */
    const json_val *keys;   /* the row's keys and defaults */
    const char *class;      /* what the names of the file's own classes begin with */
    bool block;             /* level */
    bool core_asked;        /* --level core was written out: RoPE is the caller's business */
    bool causal;            /* is_causal, which decoders obey */
    int32_t encoder_layers; /* which a decoder's follow; 0: one stack */
    const spec_input *backend;
    const json_val *rope_short, *rope_long; /* longrope's lists; null: none */
    buf notes;
    model *out;
    diag *d;
} hf;

/* The fields of one layer, at most one of a name. */
typedef struct fields {
    spec_input item[64];
    int count;
} fields;

/* Returns false. The key's place where it is in the file, its name where it is a default. */
bool hf_fail(hf *h, const json_val *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Once, however often it is said. */
void hf_note(hf *h, const json_val *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
const char *hf_quote(hf *h, const json_val *v);
const char *hf_name(hf *h, const json_val *v);   /* the key, and whether it is a default */
bool hf_same_word(const char *x, const char *y); /* RMSNorm is rms_norm */

bool hf_has(const hf *h, const char *key);            /* a key that the family's class reads */
const json_val *hf_get(const hf *h, const char *key); /* of the file, else the default */
bool hf_in_file(const hf *h, const json_val *v);
bool hf_is_null(const json_val *v);
bool hf_int(hf *h, const json_val *v, int64_t lowest, int64_t highest, int32_t *out);
bool hf_number(hf *h, const json_val *v, double *out);
bool hf_bool(hf *h, const json_val *v, bool *out);
bool hf_is_off(const json_val *v); /* false, null, or empty */
bool hf_key_int(hf *h, const char *key, int64_t lowest, int64_t highest, int32_t *out);
bool hf_key_bool(hf *h, const char *key, bool *out);
/* Of the family's row: whether a string is this one, and whether something is true. */
bool hf_row_is(const hf *h, const char *name, const char *value);
bool hf_row_says(const hf *h, const char *name);
/* The key that says heads, layers, d_model or ffn_dim: a row may call it otherwise than Llama's. */
const char *hf_key(const hf *h, const char *role);
/* Whether the family's class has no other than self attention that sees both ways. */
bool hf_sees_both_ways(const hf *h);

/* Sets a field; dropped where the level has none of it. from: what errors point at. */
void put_lua(hf *h, fields *f, const char *field, const lua_val *v, const json_val *from);
void put_value(hf *h, fields *f, const char *field, const json_val *from);
void put_int(hf *h, fields *f, const char *field, int64_t v, const json_val *from);
void put_float(hf *h, fields *f, const char *field, double v, const json_val *from);
void put_bool(hf *h, fields *f, const char *field, bool v, const json_val *from);
void put_text(hf *h, fields *f, const char *field, const char *v, const json_val *from);

bool has_put(const fields *f, const char *field);
/* An activation as one of the spec's kinds of ffn; null: it has none of it. */
const char *hf_ffn_kind(const char *act, bool glu);
void put_nothing(fields *f, const char *field); /* takes a field back */

/* --- import_family.c --- */
const json_val *import_table(arena *a);
/* The object with the text model, and its row. */
bool import_find_family(hf *h);

/* --- import_stack.c: every layer of the model --- */
bool import_layers(hf *h);

/* --- import_layer.c --- */
typedef enum ffn_part { FFN_OWN, FFN_EXPERTS, FFN_NONE } ffn_part;
typedef struct import_layer {
    bool sliding, causal, cross;
    int32_t window; /* sliding: how far it sees, back and, where not causal, ahead */
    const json_val *window_at;
    bool both_ways; /* by use_bidirectional_attention */
    bool rope;      /* where the family has one */
    bool chunked;   /* sees keys of its own chunk alone */
    int32_t index;
    const char *heads, *ffn_dim; /* keys */
    ffn_part ffn;
} import_layer;
bool import_add_layer(hf *h, const import_layer *l);

/* --- import_experts.c --- */
/* Whether a layer has a mixture of experts. */
bool import_has_experts(hf *h, int32_t layer, bool *out);
/* Its fields, but for the activation. */
bool import_put_experts(hf *h, fields *f);

/* --- import_own.c --- */
/* Keys that may only be what the spec can say. */
bool import_check_only(hf *h);
/* What the code that a row names in "adds" adds to a layer. */
bool import_put_own(hf *h, const import_layer *l, fields *f);

/* --- import_rope.c --- */
/* The rotation of a sliding or full layer with heads of this width, which width_at says; *mscale2:
 * the factor of mla's scale. Families without rope keys: nothing. */
bool import_rope(hf *h, bool sliding, int32_t head_dim, const json_val *width_at, fields *f,
                 double *mscale2);

/* --- import_whole.c: what stands around the layers, where the family's row says it --- */
bool import_whole(hf *h);

/* --- import_keys.c --- */
/* Keys that the family's class does not read: before the layers are made, and, for what such keys
 * say about them, after it. */
bool import_check_keys(hf *h);
bool import_check_stated(hf *h);
/* A note where the file names code that is not transformers' own. */
void import_note_code(hf *h);

#endif
