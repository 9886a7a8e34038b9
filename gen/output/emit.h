/* emit.h - from a model's products to the files of its folder, in memory; folder.h writes them. */
#ifndef GEN_EMIT_H
#define GEN_EMIT_H

#include "file_list.h"
#include "product.h"

/* Renders every file of a model's folder: kernels, header, registry, selftest, build files, runtime
 * copy, model.lua (the resolved inputs), tune.lua (if there is one) and manifest.json. Touches no
 * disk. */
bool gen_render(arena *a, const product_list *p, gen_files *out, diag *d);

#endif
