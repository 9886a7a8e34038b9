/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* i8.h - the vocabulary's loads and stores of i8: codes, widened to f32; what scales them is the
 * kernel's. On the primitives of 8 bits of an ISA's header, which stands before it. Stores are of
 * codes that were loaded: nothing is rounded. */
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

#endif
