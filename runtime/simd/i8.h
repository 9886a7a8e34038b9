/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* i8.h - the vocabulary's loads and stores of i8: codes, widened to f32; what scales them is the
 * kernel's. On the primitives of 8 bits of an ISA's header, which stands before it. Stores are of
 * codes that were loaded: nothing is rounded, but by vf_row_i8. */
#ifndef ATTN_SIMD_I8_H
#define ATTN_SIMD_I8_H

typedef int8_t i8;

ATTN_SIMD vf vf_bcast_i8(const i8 *p) {
    return vf_set1(*p);
}
ATTN_SIMD vf vf_loadu_i8(const i8 *p) {
    return vi_to_f(vi_loadu_i8(p));
}
ATTN_SIMD vf vf_loadn_i8(const i8 *p, int n) {
    return vi_to_f(vi_loadn_i8(p, n));
}
ATTN_SIMD void vf_storen_i8(i8 *p, vf a, int n) {
    vi_storen_i8(p, vf_to_i(a), n);
}
ATTN_SIMD void vf_storeu_i8(i8 *p, vf a) {
    vf_storen_i8(p, a, VF_WIDTH);
}
ATTN_SIMD void vf_store_i8(i8 *p, vf a) {
    vf_storen_i8(p, a, VF_WIDTH);
}

/* The largest |x| of n floats, as its bits: NaN is larger than infinity. */
ATTN_SIMD int32_t attn__most_bits(const float *x, int n) {
    const vi size = vi_set1(INT32_MAX);
    vi most = vi_set1(0);
    int c = 0;
    for (; c + VF_WIDTH <= n; c += VF_WIDTH)
        most = vi_max(most, vi_and(vi_bits(vf_loadu(x + c)), size));
    if (c < n) most = vi_max(most, vi_and(vi_bits(vf_loadn(x + c, n - c)), size));
    int32_t lane[VF_WIDTH], all = 0;
    vi_storeu(lane, most);
    for (int i = 0; i < VF_WIDTH; i++) all = lane[i] > all ? lane[i] : all;
    return all;
}

/* Rounds a row of n floats to codes and returns its scale, with the bits of types.h's
 * attn_round_i8. */
ATTN_SIMD float vf_row_i8(i8 *to, const float *x, int n) {
    enum { INFINITE = 0x7f800000 };
    const int32_t bits = attn__most_bits(x, n);
    float most;
    memcpy(&most, &bits, sizeof most);
    if (bits >= INFINITE || most < 0x1p-100f) {
        memset(to, 0, (size_t)n);
        return bits >= INFINITE ? NAN : 0;
    }
    const vf factor = vf_set1(127 / most);
    int c = 0;
    for (; c + VF_WIDTH <= n; c += VF_WIDTH)
        vf_storeu_i8(to + c, vf_rint(vf_mul(vf_loadu(x + c), factor)));
    if (c < n) vf_storen_i8(to + c, vf_rint(vf_mul(vf_loadn(x + c, n - c), factor)), n - c);
    return most / 127;
}

#endif
