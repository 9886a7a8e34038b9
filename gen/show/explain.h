/* explain.h - the plan for people and for programs. */
#ifndef GEN_EXPLAIN_H
#define GEN_EXPLAIN_H

#include "output/file_list.h"
#include "output/product.h"
#include "plan/work.h"

/* Bytes of a kernel's machine code and constants on each instruction set, by kernel, as a compiler
 * made them; null: not measured, so that an estimate is printed. */
typedef struct explain_sizes {
    size_t bytes[ATTN_ISA_COUNT];
} explain_sizes;

/* C text of a model that attn-gen promises to stay below; the runtime's copy does not count. */
enum { EXPLAIN_TEXT_BUDGET = 2000000 };

/* context: costs of all layers at so many tokens are said too; 0 or less: not. */
bool explain_text(arena *a, const product_list *p, const explain_extent *e, int32_t context,
                  const explain_sizes *sizes, const char **text, diag *d);
bool explain_json(arena *a, const product_list *p, const explain_extent *e, int32_t context,
                  const explain_sizes *sizes, const char **text, diag *d);

/* What its packed matrices are stored in, as text has bytes: "q4_0 9437184, vectors and tables
 * 102336". */
const char *explain_type_bytes(arena *a, const product *p, const char *(*text)(arena *a, double v));
/* Bytes of the C file of a plan among the rendered ones. */
size_t explain_source_bytes(arena *a, const gen_files *files, const char *symbol);

#endif
