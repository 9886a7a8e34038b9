/* words.h - a model's layers and kernels in words, for people. */
#ifndef WORDS_H
#define WORDS_H

#include "spec/model.h"

/* Which layers are a kernel's, inside: or have it in them: "all layers", "layer 5", "even layers",
 * "every 6th layer, from 5", "all layers but every 6th, from 5", or "layers 0 .. 3, 5". *count: how
 * many they are. */
const char *words_of_layers(arena *a, const model *m, int kernel, bool inside, int *count);

/* What a kernel is: "sliding self-attention, window 511; 4 heads of 256, 1 key head; geglu_tanh,
 * 6912 wide". Plain text, with what spec says alone. */
const char *words_of_kernel(arena *a, const kernel_spec *k);

/* A field's value in the words of a model file; null where it is unset or does not apply. */
const char *words_of_field(arena *a, const attn_field *f, const attn_spec *spec);

#endif
