/* serving.h - the model that serving.c serves: tiny.c. */
#ifndef SERVING_H
#define SERVING_H

#include "attn.h"

typedef struct weights {
    int hidden, vocab;
    int end; /* the token that ends a text; -1: none does */
    double eps;
    const float *embedding; /* [vocab, hidden]: the output matrix, too */
    const float *norm;      /* [hidden] */
} weights;

typedef struct prompt {
    const int *ids;
    int count;
} prompt;

/* Fills the model and at most `most` prompts, of which the first is what all users share; returns
 * how many there are. */
int weights_open(weights *w, int argc, char **argv, prompt *prompts, int most);
/* Tensors of a layer; returns how many. */
int weights_of_layer(int index, attn_tensor *out);
/* The most likely token after a row of the last layer, which is normed in place (head.c). */
int weights_next(const weights *w, float *x);
/* The text of a user, for who reads along. */
void weights_show(int user, const int *ids, int count);

#endif
