/* binding.h - what headers of other languages say of a model: its kernels' operands and fields. */
#ifndef GEN_BINDING_H
#define GEN_BINDING_H

#include "spec/model.h"

/* Of one kernel, for model.kernels[..].call of templates:
 *     block, takes_mask, segments, sinks, paged, listed, scaled, one_row
 *     heads, kv_heads, v_heads, k_dim, v_dim, row_dim, kv_dim, page   (0: none)
 *     q_type, k_type, o_type         names of types.def
 *     sides, scalars                 {name, is_float, dims = {"batch", "8", ..}}
 *     fields                         {name, value}: members of attn_spec as Python has them
 *     shapes                         lines, one an operand */
lua_val *binding_of(arena *a, const kernel_spec *k);

/* Adds what else of the headers a language has to be told: mask_bool, mask_f32, packed_renew,
 * and weights, {name, block, bytes} of each attn_weight_type. */
void binding_constants(arena *a, lua_val *t);

/* The name, or the name and an underscore, where languages have a keyword or a module of their own
 * of that name: "class" -> "class_". Of a C identifier. */
const char *binding_name(arena *a, const char *identifier);

#endif
