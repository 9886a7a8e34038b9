/* head.c - the last norm and the output matrix, which is the embedding's. */
#include "serving.h"
#include <math.h>

int weights_next(const weights *w, float *x) {
    double squares = 0;
    for (int i = 0; i < w->hidden; i++) squares += (double)x[i] * x[i];
    const double factor = 1 / sqrt(squares / w->hidden + w->eps);
    for (int i = 0; i < w->hidden; i++) x[i] = (float)(x[i] * factor * w->norm[i]);
    int best = 0;
    float most = -INFINITY;
    for (int id = 0; id < w->vocab; id++) {
        const float *row = w->embedding + (size_t)id * (size_t)w->hidden;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int i = 0; i < w->hidden; i++) sum += x[i] * row[i];
        if (sum > most) most = sum, best = id;
    }
    return best;
}
