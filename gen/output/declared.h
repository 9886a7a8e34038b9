/* declared.h - what C headers declare, as tables that templates of other languages read: the
 * headers are the one place where it stands. Knows as much of C as attn.h, attn_model.h and the
 * generated headers use. */
#ifndef GEN_DECLARED_H
#define GEN_DECLARED_H

#include "lua/lua_host.h"

/* {structs = .., functions = ..} of headers' texts, in their order.
 *     structs:   {name, union, fields = {{name, type, pointer, count}, ..}}; count: of an array,
 * else 0; type "function": a pointer to one functions: {name, symbol, result = {type, pointer},
 * parameters = {{type, pointer}, ..}} symbol: what libraries call it, where the header renames it.
 * Members that attn_spec has by spec_fields.def are among its fields. False with a message where a
 * declaration is not understood.
 */
bool declared(arena *a, const char *const *texts, int count, lua_val **out, diag *d);

#endif
