/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model.h - what generated code and the files of whole models (model*.c) see of each other. */
#ifndef ATTN_MODEL_INTERNAL_H
#define ATTN_MODEL_INTERNAL_H

#include "attn_model.h"
#include "block.h"
#include "model_spec.h"
#include "packed_file.h"
#include "weight_types.h"

ATTN_HIDDEN_BEGIN

/* A generated model. */
typedef struct attn_model_desc {
    uint32_t abi; /* ATTN_KERNEL_ABI */
    const char *name;
    const attn_spec *layer;
    int32_t layers;
    attn_model_spec spec;
} attn_model_desc;

/* --- Files (model_file.c) --- */

/* A tensor of some file. */
typedef struct attn_model_tensor {
    attn_tensor tensor; /* type = -1: none that a weight may have */
    char dtype[16];
    int32_t file;
    bool used;
} attn_model_tensor;

typedef struct attn_model_file {
    char *path;
    const void *data;
    size_t bytes;
} attn_model_file;

/* The files of a model, and their tensors in the order of their names. */
typedef struct attn_model_source {
    attn_model_file *file;
    int32_t files;
    attn_model_tensor *tensor;
    int32_t tensors, capacity;
    bool gguf;
} attn_model_source;

/* False, with what is wrong among the problems, and *status. */
bool attn_model_source_open(attn_model_source *s, const char *path, attn_problems *p,
                            attn_status *status);
void attn_model_source_close(attn_model_source *s);
/* Maps f->path; false, with errno, 0 where it is no file or empty. */
bool attn_model_map(attn_model_file *f);
void attn_model_unmap(attn_model_file *f);
/* Asks the system for large pages in memory that is read from end to end: fewer misses of the TLB.
 * A wish: nothing is written, and nothing is lost where there are none. */
void attn_model_large_pages(void *p, size_t bytes);
/* Null: there is none. */
attn_model_tensor *attn_model_find(const attn_model_source *s, const char *name);

/* --- Weights (model_weights.c) --- */

/* A matrix whose rows are looked up, or multiplied: in the file, or in memory of the model's. */
typedef struct attn_model_matrix {
    const void *data; /* null: none */
    int32_t type;     /* attn_weight_type */
    int64_t rows, width;
    attn_model_tensor *from; /* was converted from this one; null: it lies in the file */
} attn_model_matrix;

/* Weights of a norm as they multiply; null: none. */
typedef struct attn_model_norm {
    int32_t kind; /* attn_norm */
    float eps;
    const float *weight, *bias;
} attn_model_norm;

/* Tensors of layers, layer by layer. */
typedef struct attn_layer_tensors {
    attn_tensor *list;
    int32_t *first; /* [layers + 1] */
} attn_layer_tensors;

/* Layers one after the other, and what stands before and after them. */
typedef struct attn_model_stack {
    int32_t first, end;      /* of the model's layers */
    bool rows;               /* it is given rows, no ids */
    int32_t positions_count; /* rows of the table of positions; 0: none */
    attn_model_matrix positions;
    attn_model_norm embed_norm, final_norm;
    attn_side bias; /* side tensor of layers with keys of their own rows; count is 0: none */
} attn_model_stack;

/* Layers that one cache serves, by their numbers. */
typedef struct attn_model_layers {
    int32_t *layer, count;
} attn_model_layers;

struct attn_model {
    const attn_model_desc *desc;
    attn_model_source source;
    attn_layer_tensors tensors;
    int32_t width;
    attn_block **block; /* [layers] */
    void **packed;      /* [layers] in memory of the model's, or in packed_file */
    attn_model_file packed_file;
    attn_packed_head packed_head; /* of a file of them; without a version: not known yet */
    size_t packed_bytes;
    attn_floats rope;               /* longrope's factors, of this open; empty: none */
    int32_t longest;                /* tokens of an item that they are for; 0: any number */
    attn_model_stack main, encoder; /* the decoder of two, or all; encoder.end is 0: none */
    attn_model_layers own, cross;   /* of main, with keys of their own rows, and of the encoder's */
    attn_model_matrix embedding, token_types, head, pooler, embed_project, head_project;
    const float *head_bias, *pooler_bias, *embed_project_bias;
    void **owned; /* what is freed with the model */
    int32_t owned_count, owned_capacity;
};

/* Columns of the embedding. */
static inline int32_t attn_model_embed_width(const attn_model *m) {
    return m->desc->spec.embed_width ? m->desc->spec.embed_width : m->width;
}
/* Columns of rows that the head takes. */
static inline int32_t attn_model_head_width(const attn_model *m) {
    return m->desc->spec.head_project ? attn_model_embed_width(m) : m->width;
}
/* Floats of a thread's buffer: rows on the way through a matrix have two parts of it. */
static inline int32_t attn_model_buffer(const attn_model *m) {
    const int32_t width = attn_model_embed_width(m);
    if (!m->desc->spec.embed_project && !m->desc->spec.head_project) return m->width;
    return 2 * (width > m->width ? width : m->width);
}
/* The layer whose packed weights a layer has: its own, or the first one's of its group. */
static inline int32_t attn_model_owner(const attn_model *m, int32_t layer) {
    const int64_t groups = m->desc->spec.layer_groups, layers = m->desc->layers;
    if (!groups) return layer;
    const int64_t group = layer * groups / layers;
    return (int32_t)((group * layers + groups - 1) / groups);
}

/* Points the model's own weights into the files, converts them, and packs the layers. */
attn_status attn_model_load(attn_model *m, const attn_model_options *o, attn_problems *p);
/* Memory that is freed with the model, 64-byte aligned; null: there is none. */
void *attn_model_allocate(attn_model *m, size_t bytes);
/* Tensors of layers under the names, and in the shapes, that layers know (model_tensors.c). */
attn_status attn_model_regroup(attn_model *m, attn_problems *p);
/* Elements of their own are read at their own alignment. */
bool attn_tensor_is_aligned(const attn_tensor *t);

/* --- Caches (model_cache.c) --- */

/* The layers that a cache is for: those with keys of the encoder's where it was made for them. */
const attn_model_layers *attn_model_cache_layers(const attn_model *m, const attn_model_cache *c);
attn_status attn_model_check_cache(const attn_why *why, const char *name, const attn_model_cache *c,
                                   const attn_model_layers *layers);

/* --- Packing (model_pack.c): of weights that were checked --- */

/* Packs the layers and converts matrices, on all threads of the options. */
attn_status attn_model_pack(attn_model *m, const attn_model_options *o, attn_problems *p);
/* Tasks on these threads; at least one. */
void attn_model_tasks(const attn_model_options *o, int64_t tasks, attn_task_fn *fn, void *ctx);
int32_t attn_model_threads(const attn_model_options *o);

/* --- Packed files (model_packed.c) --- */

/* Maps o->packed in place of packing; ATTN_E_PACKED, with a problem, where it does not fit. */
attn_status attn_model_take_packed(attn_model *m, const attn_model_options *o, attn_problems *p);
/* Whether packed weights may take the place of what is at `path`: of nothing, or of their like;
 * else a problem. */
bool attn_model_may_renew(const char *path, attn_problems *p);
attn_status attn_own_model_save(const attn_model *m, const char *path, const attn_model_options *o,
                                attn_problems *p);

/* Matrices that may be converted. */
enum { ATTN_MODEL_MATRICES = 8 };
static inline void attn_model_matrices(attn_model *m, attn_model_matrix *out[ATTN_MODEL_MATRICES]) {
    out[0] = &m->embedding, out[1] = &m->main.positions, out[2] = &m->token_types;
    out[3] = &m->head, out[4] = &m->pooler, out[5] = &m->encoder.positions;
    out[6] = &m->embed_project, out[7] = &m->head_project;
}
static inline uint64_t attn_model_matrix_bytes(const attn_model_matrix *m) {
    return (uint64_t)(attn_weight_bytes(m->type, m->width) * m->rows);
}

/* --- Rows (model_rows.c) --- */

/* to[width] = a row, and add a row to it. */
void attn_model_row(const attn_model_matrix *m, int64_t row, float *to);
void attn_model_norm_row(const attn_model_norm *n, float *x, int32_t width);
void attn_model_normalise(float *x, int32_t width);

/* out[i][j] = x[i] . row j, for n rows of x that lie x_row apart, and rows from..to - 1 of m: the
 * same bits for any n. By the widest instruction set that is allowed and has a model_dots_ISA.c. */
void attn_model_product(const attn_model_matrix *m, const float *x, int64_t x_row, int32_t n,
                        int64_t from, int64_t to, float *out, int64_t out_row);
#define ATTN_MODEL_DOTS(isa)                                                              \
    void attn_model_dots_##isa(const attn_model_matrix *m, const float *x, int64_t x_row, \
                               int32_t n, int64_t from, int64_t to, float *out, int64_t out_row)
ATTN_MODEL_DOTS(portable);
ATTN_MODEL_DOTS(avx2);
ATTN_MODEL_DOTS(avx512);

/* --- Entry points as generated code calls them: a public name may be another library's. --- */
attn_status attn_own_model_open(attn_model **out, const attn_model_desc *desc, const char *path,
                                const attn_model_options *options, char *message, size_t size);

ATTN_VISIBILITY_END

#endif
