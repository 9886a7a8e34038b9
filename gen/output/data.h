/* data.h - products and models as the tables that templates read. */
#ifndef GEN_DATA_H
#define GEN_DATA_H

#include "product.h"

/* For kernel.c and block.c: plan, spec, isa, expr and package. */
lua_val *product_data(arena *a, const product *p, const gen_options *o);

/* For package/: the model, its kernels, and what the build files list. */
lua_val *model_data(arena *a, const product_list *p);

/* Whether a folder of this model has a file of runtime/: those of whole models serve them alone. */
bool runtime_needs(const model *m, const char *path);

#endif
