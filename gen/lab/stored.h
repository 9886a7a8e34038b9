/* stored.h - operands as they are stored: elements of a storage type, made from floats and read
 * back. */
#ifndef LAB_STORED_H
#define LAB_STORED_H

#include "safetensors.h"
#include "types.h"

/* A new array of the type: the floats rounded by the contract's rule; of f32, themselves. */
const void *stored_from(arena *a, int32_t type, const float *values, int64_t count);

/* Rows of a type with scales, of `width` floats each, likewise; *scale: theirs. Of types that have
 * none: as stored_from, and null. */
void *stored_rows(arena *a, int32_t type, const float *values, int64_t rows, int32_t width,
                  float **scale);

/* The type's elements in a safetensors file. */
st_dtype stored_dtype(int32_t type);

/* A tensor of a file as a core of this type takes it: f32 is made of any floats (of 16 bits only
 * where the file does not itself state the type), others are there as they are. Null with a
 * message. */
const void *stored_read(arena *a, const st_file *f, const st_tensor *t, int32_t type, bool stated,
                        diag *d);

/* Scales of rows, [batch, heads, tokens]: there if they are wanted, else not. in_file: the shape
 * that a message names, of pools where the file has such. */
bool stored_read_scales(arena *a, const st_file *f, const char *name, const int64_t dim[3],
                        const int64_t in_file[3], bool wanted, const float **out, diag *d);

/* Whether rows of v are the first columns of rows of k, bit by bit. */
bool stored_in_rows(int32_t type, const void *v, int64_t v_dim, const void *k, int64_t k_dim,
                    int64_t rows);

/* What is stored of x: rounded to nearest, ties to even, too large to infinity. A restatement that
 * shares nothing with types.h, for the oracle; f32 stands for what is not rounded: x itself. */
double stored_rounded(int32_t type, double x);

/* Between two numbers of a type that rounds, at and above |x|. */
double stored_step(int32_t type, double x);
/* The first power of two that is too large for it. */
double stored_end(int32_t type);

/* Element i as its exact value (its code, where the row has a scale): a restatement that shares
 * nothing with types.h, for the oracle. */
double stored_value(int32_t type, const void *data, int64_t i);

#endif
