/* product.h - what a model's folder is made of, decided once: everything that is written, printed
 * or drawn reads this list, and nothing plans again. */
#ifndef GEN_PRODUCT_H
#define GEN_PRODUCT_H

#include "plan/block_plan.h"
#include "plan/plan.h"
#include "plan/tune_file.h"

enum { GEN_MAX_UNROLL = 65536 };

typedef struct gen_options {
    unsigned isa_mask;     /* bits of attn_isa */
    int unroll;            /* 0: auto; -1: full; else the unroll of the loop over the head width */
    const tune_set *tune;  /* measured choices; null: the model decides all. Not with an unroll */
    const char *runtime;   /* path of a runtime to refer to; null: copy it into the folder */
    const char *templates; /* read templates from this folder; null: the embedded ones */
} gen_options;

/* A kernel or a layer on an instruction set: one C file. */
typedef struct product {
    const kernel_spec *spec;
    int kernel; /* its number in the model */
    const isa_row *isa;
    bool layer;
    plan plan;                      /* of a kernel */
    block_plan block_plan;          /* of a layer */
    const struct product *core;     /* of a layer: its attention; a kernel: itself */
    const struct product *expanded; /* the same with keys a head (key = shared); null: never */
    const char *symbol;             /* and the file's stem */
    const char *prefix;             /* of the file's static functions and objects */
    const char *const *note;        /* why, a line each */
    int notes;
    const char *digest; /* of what the file is made from */
} product;

typedef struct product_list {
    const model *model;
    const gen_options *options; /* of those instruction sets that have kernels */
    product *row; /* kernel by kernel, each on those of them where it has code of its own */
    int *first;   /* where a kernel's rows start; one more at the end */
    int isas;
    int count;
} product_list;

/* The model must outlive the list, and what the options point to. */
product_list products_make(arena *a, const model *m, const gen_options *o);

/* A kernel's products, in the order of instruction sets. */
const product *products_of(const product_list *p, int kernel);
int products_count(const product_list *p, int kernel);

/* A kernel's product on an instruction set; null: it has none. */
const product *product_on(const product_list *p, int kernel, int isa);

/* What attn_block_workspace answers for a layer: batch items of `tokens` rows, and `keys` keys an
 * item: a cache's capacity, or those of a second input; else of the rows alone. */
uint64_t product_workspace(const product *p, int32_t batch, int32_t tokens, int32_t keys,
                           bool cached, int32_t threads);

/* A kernel's product on the best instruction set asked for. */
const product *product_best(const product_list *p, int kernel);

#endif
