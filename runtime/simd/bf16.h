/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* bf16.h - the vocabulary's loads and stores of bf16, the upper half of an f32: on the primitives
 * of 16 bits of an ISA's header, which stands before it. Loads are exact; stores round to nearest,
 * ties to even, and keep NaN (types.h is the same one element at a time). */
#ifndef ATTN_SIMD_BF16_H
#define ATTN_SIMD_BF16_H

typedef uint16_t bf16;

#define ATTN__LITTLE (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

ATTN_SIMD vf attn__from_bf16(vi a) {
    return vf_bits(vi_shl(a, vi_set1(16)));
}
ATTN_SIMD vf attn__upper_bf16(vi a) {
    return vf_bits(vi_and(a, vi_set1(-0x10000)));
}
ATTN_SIMD vi attn__to_bf16(vf a) {
    const vi bits = vi_bits(a), upper = vi_shr(bits, vi_set1(16));
    const vi odd = vi_and(upper, vi_set1(1));
    const vi near = vi_shr(vi_add(bits, vi_add(odd, vi_set1(0x7fff))), vi_set1(16));
    return vi_select(vf_ne(a, a), vi_or(upper, vi_set1(0x40)), near);
}
ATTN_SIMD vf vf_bcast_bf16(const bf16 *p) {
    return attn__from_bf16(vi_set1(*p));
}
ATTN_SIMD vf vf_loadu_bf16(const bf16 *p) {
    return attn__from_bf16(vi_loadu_u16(p));
}
/* Of 2 VF_WIDTH elements, those at even and those at odd places. */
ATTN_SIMD vf vf_even_bf16(const bf16 *p) {
    const vi pairs = vi_loadu_pairs(p);
    return ATTN__LITTLE ? attn__from_bf16(pairs) : attn__upper_bf16(pairs);
}
ATTN_SIMD vf vf_odd_bf16(const bf16 *p) {
    const vi pairs = vi_loadu_pairs(p);
    return ATTN__LITTLE ? attn__upper_bf16(pairs) : attn__from_bf16(pairs);
}
ATTN_SIMD vf vf_loadn_bf16(const bf16 *p, int n) {
    return attn__from_bf16(vi_loadn_u16(p, n));
}
ATTN_SIMD void vf_storen_bf16(bf16 *p, vf a, int n) {
    vi_storen_u16(p, attn__to_bf16(a), n);
}
ATTN_SIMD void vf_storeu_bf16(bf16 *p, vf a) {
    vf_storen_bf16(p, a, VF_WIDTH);
}
ATTN_SIMD void vf_store_bf16(bf16 *p, vf a) {
    vf_storen_bf16(p, a, VF_WIDTH);
}

#endif
