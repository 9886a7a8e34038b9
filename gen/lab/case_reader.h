/* case_reader.h - a case in the making, and its tensors by name and shape: cases.c, case_tensors.c,
 * case_weights.c. */
#ifndef VERIFY_CASE_READER_H
#define VERIFY_CASE_READER_H

#include "case_pages.h"
#include "cases.h"
#include "safetensors.h"

enum { MAX_INPUTS = 128, MAX_SCALARS = 32 };

typedef struct named_scalar {
    const char *name;
    attn_scalar value;
} named_scalar;

/* A case in the making. */
typedef struct reader {
    arena *a;
    st_file file;
    diag *d;
    golden *out;
    spec_input inputs[MAX_INPUTS];
    int input_count;
    named_scalar scalars[MAX_SCALARS];
    int scalar_count;
    int64_t batch, heads, kv_heads, v_heads, q_len, kv_len, k_dim, v_dim;
    int64_t q_items, q_rows; /* first dims of in.q: batch and q_len, or those of ragged rows */
    const int32_t *q_begin;
    bool mla, shared;
    int64_t new_len;  /* layers: rows of in.x_new */
    const char *page; /* layers: keys a page that are asked for; null: as the case says */
    case_pages pages;
} reader;

/* Says what is wrong with a tensor or a key; false. */
bool case_bad(reader *r, const char *key, const char *why);
/* A tensor that must be there, of this rank; null: it is not. */
const st_tensor *case_need(reader *r, const char *name, int rank);
bool case_has_shape(reader *r, const st_tensor *t, int rank, const int64_t *dim);

/* Tensors that may be there, of these shapes. */
bool case_floats(reader *r, const char *name, int rank, const int64_t *dim, const float **out);
bool case_ints(reader *r, const char *name, int rank, const int64_t *dim, const int32_t **out);
bool case_bools(reader *r, const char *name, int rank, const int64_t *dim, const uint8_t **out);

/* Weights w.NAME of a layer, in blocks where the metadata's `stored` says of which type. */
bool case_weights(reader *r, block_case *c);

/* in.q_begin [B + 1]: rows of in.q [1, Hq, all rows, D] lie in a row. */
bool case_read_begin(reader *r);

#endif
