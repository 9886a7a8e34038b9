/* naive_layer.c - one Llama layer in plain loops and double: what chat.c is checked with, and the
 * independent C check of the generated layers. Built in by -DNAIVE_LAYERS. */
#include "model.h"
#include <math.h>
#include <stdlib.h>

static void rms(double *y, const float *x, const float *weight, int n, double eps) {
    double squares = 0;
    for (int i = 0; i < n; i++) squares += (double)x[i] * x[i];
    double factor = 1 / sqrt(squares / n + eps);
    for (int i = 0; i < n; i++) y[i] = x[i] * factor * weight[i];
}

/* y [count, out] = x [count, in] times w [out, in] transposed. */
static void linear(double *y, const double *x, const float *w, int count, int out, int in) {
#pragma omp parallel for schedule(static)
    for (int o = 0; o < out; o++) {
        for (int t = 0; t < count; t++) {
            double sum = 0;
#pragma omp simd reduction(+ : sum)
            for (int i = 0; i < in; i++) sum += x[(size_t)t * in + i] * w[(size_t)o * in + i];
            y[(size_t)t * out + o] = sum;
        }
    }
}

/* Turns the pairs (i, i + n / 2). */
static void rope(double *x, int n, int position, double base) {
    for (int i = 0; i < n / 2; i++) {
        double angle = position * pow(base, -2.0 * i / n);
        double a = x[i], b = x[i + n / 2];
        x[i] = a * cos(angle) - b * sin(angle);
        x[i + n / 2] = b * cos(angle) + a * sin(angle);
    }
}

/* One query over `length` cached keys; scores: scratch of that length. */
static void attend(double *out, const double *q, const float *k, const float *v, int length, int n,
                   double *scores) {
    double most = -INFINITY, sum = 0;
    for (int j = 0; j < length; j++) {
        double s = 0;
        for (int d = 0; d < n; d++) s += q[d] * k[(size_t)j * n + d];
        scores[j] = s / sqrt(n);
        most = fmax(most, scores[j]);
    }
    for (int d = 0; d < n; d++) out[d] = 0;
    for (int j = 0; j < length; j++) {
        double p = exp(scores[j] - most);
        sum += p;
        for (int d = 0; d < n; d++) out[d] += p * v[(size_t)j * n + d];
    }
    for (int d = 0; d < n; d++) out[d] /= sum;
}

static void attention(const model *m, const layer *l, double *out, double *q, double *k,
                      const double *v, int start, int count) {
    const config *c = &m->c;
    int n = c->head_dim, group = c->heads / c->kv_heads;
    for (int t = 0; t < count; t++) {
        for (int h = 0; h < c->heads; h++)
            rope(q + ((size_t)t * c->heads + h) * n, n, start + t, c->rope_base);
        for (int h = 0; h < c->kv_heads; h++) {
            double *kh = k + ((size_t)t * c->kv_heads + h) * n;
            rope(kh, n, start + t, c->rope_base);
            size_t cached = ((size_t)h * m->capacity + start + t) * n;
            for (int d = 0; d < n; d++) {
                l->k_cache[cached + d] = (float)kh[d];
                l->v_cache[cached + d] = (float)v[((size_t)t * c->kv_heads + h) * n + d];
            }
        }
    }
    double *scores = allocate((size_t)(start + count) * sizeof *scores);
    for (int t = 0; t < count; t++) {
        for (int h = 0; h < c->heads; h++) {
            size_t row = ((size_t)t * c->heads + h) * n;
            size_t cached = (size_t)(h / group) * m->capacity * n;
            attend(out + row, q + row, l->k_cache + cached, l->v_cache + cached, start + t + 1, n,
                   scores);
        }
    }
    free(scores);
}

const char *layer_forward(const model *m, int index, float *x, int start, int count) {
    const config *c = &m->c;
    const layer *l = &m->layers[index];
    size_t rows = (size_t)count, hidden = rows * c->hidden, kv = rows * c->kv_heads * c->head_dim;
    double *a = allocate(hidden * sizeof *a), *q = allocate(hidden * sizeof *q);
    double *k = allocate(kv * sizeof *k), *v = allocate(kv * sizeof *v);
    double *gate = allocate(rows * c->ffn * sizeof *gate);
    double *up = allocate(rows * c->ffn * sizeof *up);
    for (int t = 0; t < count; t++)
        rms(a + (size_t)t * c->hidden, x + (size_t)t * c->hidden, l->input_norm, c->hidden, c->eps);
    linear(q, a, l->q, count, c->hidden, c->hidden);
    linear(k, a, l->k, count, c->kv_heads * c->head_dim, c->hidden);
    linear(v, a, l->v, count, c->kv_heads * c->head_dim, c->hidden);
    attention(m, l, a, q, k, v, start, count);
    linear(q, a, l->o, count, c->hidden, c->hidden);
    for (size_t i = 0; i < hidden; i++) x[i] += (float)q[i];

    for (int t = 0; t < count; t++)
        rms(a + (size_t)t * c->hidden, x + (size_t)t * c->hidden, l->post_norm, c->hidden, c->eps);
    linear(gate, a, l->gate, count, c->ffn, c->hidden);
    linear(up, a, l->up, count, c->ffn, c->hidden);
    for (size_t i = 0; i < rows * c->ffn; i++) gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i];
    linear(q, gate, l->down, count, c->hidden, c->ffn);
    for (size_t i = 0; i < hidden; i++) x[i] += (float)q[i];
    free(a), free(q), free(k), free(v), free(gate), free(up);
    return NULL;
}

const char *layer_prepare(model *m, int index) {
    (void)m, (void)index;
    return NULL;
}

void layer_free(model *m, int index) {
    (void)m, (void)index;
}
