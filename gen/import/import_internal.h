/* import_internal.h - shared by the parts of the importer. */
#ifndef GEN_IMPORT_INTERNAL_H
#define GEN_IMPORT_INTERNAL_H

#include "import_hf.h"
#include "json_text.h"
#include "spec/source.h"

/* One import. */
typedef struct hf {
    arena *a;
    const char *path, *text;
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
    const spec_input *backend;
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

/* Sets a field; dropped where the level has none of it. from: what errors point at. */
void put_value(hf *h, fields *f, const char *field, const json_val *from);
void put_int(hf *h, fields *f, const char *field, int64_t v, const json_val *from);
void put_float(hf *h, fields *f, const char *field, double v, const json_val *from);
void put_bool(hf *h, fields *f, const char *field, bool v, const json_val *from);
void put_text(hf *h, fields *f, const char *field, const char *v, const json_val *from);

/* The rotation of a sliding or full layer with heads of this width, which width_at says; *mscale2:
 * the factor of mla's scale. Families without rope keys: nothing. */
bool import_rope(hf *h, bool sliding, int32_t head_dim, const json_val *width_at, fields *f,
                 double *mscale2);

/* Keys that the family's class does not read: before the layers are made, and, for what such keys
 * say about them, after it. */
bool import_check_keys(hf *h);
bool import_check_stated(hf *h);
/* A note where the file names code that is not transformers' own. */
void import_note_code(hf *h);

#endif
