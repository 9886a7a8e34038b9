/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* f16.h - the vocabulary's loads and stores of f16, IEEE binary16: by the instructions of an ISA's
 * header, which stands before it, or in integers on its primitives of 16 bits. Loads are exact,
 * denormals too, whatever the CPU does with those of f32; stores round to nearest, ties to even,
 * keep NaN, and what is too large becomes infinity (types.h is the same one element at a time). */
#ifndef ATTN_SIMD_F16_H
#define ATTN_SIMD_F16_H

typedef uint16_t f16;

#if !defined ATTN_SIMD_F16C
/* Exponents move by 112, the difference of the biases; those of infinity and NaN twice as far.
 * Denormals are made beside 2^-14, which is then taken away. */
ATTN_SIMD vf attn__from_f16(vi a) {
    const vi rest = vi_shl(vi_and(a, vi_set1(0x7fff)), vi_set1(13));
    const vi exponent = vi_and(a, vi_set1(0x7c00)), bias = vi_set1(112 << 23);
    const vi more = vi_select(vi_eq(exponent, vi_set1(0x7c00)), bias, vi_set1(0));
    const vf tiny = vf_sub(vf_bits(vi_add(rest, vi_set1(113 << 23))), vf_set1(0x1p-14f));
    const vm small = vi_eq(exponent, vi_set1(0));
    const vi size = vi_select(small, vi_bits(tiny), vi_add(rest, vi_add(bias, more)));
    return vf_bits(vi_or(size, vi_shl(vi_and(a, vi_set1(0x8000)), vi_set1(16))));
}
/* Denormals are rounded by an addition of 0.5, whose last bit is theirs. */
ATTN_SIMD vi attn__to_f16(vf a) {
    const vi bits = vi_bits(a), size = vi_and(bits, vi_set1(0x7fffffff));
    const vi upper = vi_shr(size, vi_set1(13)), odd = vi_and(upper, vi_set1(1));
    const vi moved = vi_add(size, vi_set1(0xfff - (112 << 23)));
    const vi near = vi_shr(vi_add(moved, odd), vi_set1(13));
    const vi tiny = vi_sub(vi_bits(vf_add(vf_bits(size), vf_set1(0.5f))), vi_bits(vf_set1(0.5f)));
    const vi payload = vi_or(vi_and(upper, vi_set1(0x3ff)), vi_set1(0x7e00));
    vi half = vi_select(vi_lt(size, vi_set1(113 << 23)), tiny, near);
    half = vi_select(vi_ge(size, vi_set1(143 << 23)), vi_set1(0x7c00), half);
    half = vi_select(vi_gt(size, vi_set1(0x7f800000)), payload, half);
    return vi_or(half, vi_and(vi_shr(bits, vi_set1(16)), vi_set1(0x8000)));
}
ATTN_SIMD vf vf_loadu_f16(const f16 *p) {
    return attn__from_f16(vi_loadu_u16(p));
}
ATTN_SIMD vf vf_loadn_f16(const f16 *p, int n) {
    return attn__from_f16(vi_loadn_u16(p, n));
}
ATTN_SIMD void vf_storen_f16(f16 *p, vf a, int n) {
    vi_storen_u16(p, attn__to_f16(a), n);
}
ATTN_SIMD vf vf_bcast_f16(const f16 *p) {
    return attn__from_f16(vi_set1(*p));
}
#endif
ATTN_SIMD void vf_storeu_f16(f16 *p, vf a) {
    vf_storen_f16(p, a, VF_WIDTH);
}
ATTN_SIMD void vf_store_f16(f16 *p, vf a) {
    vf_storen_f16(p, a, VF_WIDTH);
}

#endif
