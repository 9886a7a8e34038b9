/* oracle_rope.c - runtime/CONTRACT.md, "Layers": RoPE. */
#include "layer_oracle.h"

#include <math.h>

/* The pair, as a real number, that turns `rotations` times within the trained length. */
static double yarn_pair(const attn_spec *s, double rotations) {
    return s->rope_dim * log((double)s->rope_original / (rotations * 2 * M_PI)) /
           (2 * log((double)s->rope_base));
}

/* 0: the angle stays, 1: it is divided by the factor. */
static double yarn_ramp(const attn_spec *s, int32_t pair) {
    double low = yarn_pair(s, (double)s->rope_high), high = yarn_pair(s, (double)s->rope_low);
    if (s->rope_truncate) {
        low = floor(low);
        high = ceil(high);
    }
    if (low < 0) low = 0;
    if (high > s->rope_dim - 1) high = s->rope_dim - 1;
    if (low == high) high += 0.001;
    const double ramp = (pair - low) / (high - low);
    return ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
}

static double llama3_angle(const attn_spec *s, double angle) {
    const double length = 2 * M_PI / angle, trained = (double)s->rope_original;
    const double low = (double)s->rope_low, high = (double)s->rope_high;
    if (length < trained / high) return angle;
    const double slow = angle / (double)s->rope_factor;
    if (length > trained / low || low == high) return slow;
    const double smooth = (trained / length - low) / (high - low);
    return (1 - smooth) * slow + smooth * angle;
}

static double scaled_angle(const attn_spec *s, int32_t pair, double angle) {
    const double slow = angle / (double)s->rope_factor;
    switch (s->rope_scaling) {
    case ATTN_ROPE_SCALING_LINEAR: return slow;
    case ATTN_ROPE_SCALING_LLAMA3: return llama3_angle(s, angle);
    case ATTN_ROPE_SCALING_YARN: {
        const double ramp = yarn_ramp(s, pair);
        return ramp * slow + (1 - ramp) * angle;
    }
    default: return angle;
    }
}

void block_rope_angles(const attn_spec *s, double *angle) {
    for (int32_t i = 0; s->rope != ATTN_ROPE_NONE && i < s->rope_dim / 2; i++)
        angle[i] = scaled_angle(s, i, pow((double)s->rope_base, -2.0 * i / s->rope_dim));
}

double block_rope_mscale(const attn_spec *s) {
    const bool scaled =
        s->rope_scaling == ATTN_ROPE_SCALING_YARN || s->rope_scaling == ATTN_ROPE_SCALING_LONGROPE;
    return scaled ? (double)s->rope_mscale : 1;
}

/* Rotates the first rope_dim components of a head. */
static void rotate(const layer *l, double *x, int32_t position) {
    const attn_spec *s = l->s;
    if (s->rope == ATTN_ROPE_NONE) return;
    const int32_t pairs = s->rope_dim / 2;
    const bool half = s->rope == ATTN_ROPE_HALF;
    const double scale = block_rope_mscale(s);
    for (int32_t i = 0; i < pairs; i++) {
        double *re = x + (half ? i : 2 * i), *im = x + (half ? i + pairs : 2 * i + 1);
        const double turn = position * l->angle[i], a = *re, b = *im;
        const double cosine = scale * cos(turn), sine = scale * sin(turn);
        *re = a * cosine - b * sine;
        *im = b * cosine + a * sine;
    }
}

void rows_rotate(const layer *l, const rows *x, int32_t heads, int32_t at,
                 const int32_t *position) {
    for (int64_t i = 0; i < rows_count(x); i++)
        for (int32_t h = 0; x->live[i] && h < heads; h++)
            rotate(l, rows_at(x, i) + (int64_t)h * (x->width / heads) + at, position[i]);
}
