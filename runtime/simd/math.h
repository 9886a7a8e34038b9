/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* math.h - the part of the vector vocabulary that is written once, in terms of the rest. Included
 * by portable.h, avx2.h and avx512.h, never alone.
 *
 * What an ISA header provides for it beside the vocabulary:
 *   ATTN_SIMD_FMA    1 if vf_fma rounds once
 *   vi_bits vf_bits  reinterpret the lanes
 *   attn__shl23 attn__shr23   shifts by 23 (arithmetic to the right)
 *   attn__xorsign(a, s)       a, negated where the sign bit of s is set
 *   attn__rev attn__revi      lanes in reverse order
 *   ATTN__OWN_SCALE2 defined if it has its own attn__scale2 and vf_exp2_*_each
 *
 * Methods: exponent by magic-number addition and argument reduction in two or three constants
 * (Cody & Waite, Software Manual for the Elementary Functions, 1980); minimax polynomials with
 * coefficients from tests/unit/minimax.py. No function may be built with -ffast-math.
 * vf_sin and vf_cos may call sinf and cosf: link libm.
 *
 * All but vf_exp2_softmax return what C's functions do for 0, inf, NaN, and where the result is
 * denormal or overflows. Largest errors in units of the spacing of floats at the exact result
 * (the sweep of tests/unit/simd_body.h at a stride of 17), and cycles a vector of AVX2 on Zen 3
 * (gcc 12, three vectors in flight):
 *                      FMA    no FMA   cycles
 *   vf_exp2_softmax    1.82   2.08      4.0     (AVX-512: 2.14, by emulation)
 *   vf_exp2            0.88   1.07      8.6
 *   vf_exp             1.01   0.97      9.6
 *   vf_log             1.15   1.15     15.8
 *   vf_log2            1.87   2.03     12.6
 *   vf_tanh            2.51   2.51      9.7
 *   vf_sigmoid         2.41   2.41     14.6
 *   vf_sin vf_cos      1.56   2.35     12.6
 */
#ifndef ATTN_SIMD_MATH_H
#define ATTN_SIMD_MATH_H

#if !defined VF_WIDTH
#error "include simd/portable.h, simd/avx2.h or simd/avx512.h"
#endif

/* Adding it rounds to an integer n, which then stands in the low bits; and the same with n + 127,
 * a biased exponent, there. */
#define ATTN__MAGIC 0x1.8p23f
#define ATTN__MAGIC_127 (0x1.8p23f + 127.0f)

#if !defined ATTN__OWN_SCALE2
/* p * 2^n, n integral in [-151, 129], rounded once: in two halves, as 2^n may not be a float. */
ATTN_SIMD vf attn__scale2(vf p, vf n) {
    const vf magic = vf_set1(ATTN__MAGIC_127);
    const vf t = vf_fma(n, vf_set1(0.5f), magic);
    const vf u = vf_add(vf_sub(n, vf_sub(t, magic)), magic);
    return vf_mul(vf_mul(p, vf_bits(attn__shl23(vi_bits(t)))), vf_bits(attn__shl23(vi_bits(u))));
}

/* x[i] = 2^x[i] for x < 127: exactly 1 at 0, exactly 0 at x < -126.5 and -inf (denormal from -126
 * to there), NaN stays NaN. Beyond 128 the result means nothing. n: see ATTN_EACH. */
ATTN_SIMD void vf_exp2_softmax_each(vf *x, const int n) {
    vf t[4], p[4];
    ATTN_EACH(n) x[i] = vf_max(vf_set1(-127.0f), x[i]);
    ATTN_EACH(n) t[i] = vf_add(x[i], vf_set1(ATTN__MAGIC_127));
    ATTN_EACH(n) x[i] = vf_sub(x[i], vf_sub(t[i], vf_set1(ATTN__MAGIC_127))); /* -0.5 .. 0.5 */
    ATTN_EACH(n) p[i] = vf_fma(vf_set1(0x1.5aac76p-10f), x[i], vf_set1(0x1.3cec46p-7f));
    ATTN_EACH(n) p[i] = vf_fma(p[i], x[i], vf_set1(0x1.c6babap-5f));
    ATTN_EACH(n) p[i] = vf_fma(p[i], x[i], vf_set1(0x1.ebf9b6p-3f));
    ATTN_EACH(n) p[i] = vf_fma(p[i], x[i], vf_set1(0x1.62e424p-1f));
    ATTN_EACH(n) p[i] = vf_fma(p[i], x[i], vf_set1(1.0f));
    ATTN_EACH(n) x[i] = vf_mul(p[i], vf_bits(attn__shl23(vi_bits(t[i]))));
}

/* The same for any x: from 2^127 up the result is at least 2^127, so that a sum shows it. */
ATTN_SIMD void vf_exp2_lazy_each(vf *x, const int n) {
    ATTN_EACH(n) x[i] = vf_min(vf_set1(127.0f), x[i]);
    vf_exp2_softmax_each(x, n);
}
#endif /* ATTN__OWN_SCALE2 */

ATTN_SIMD vf vf_exp2_softmax(vf x) {
    vf_exp2_softmax_each(&x, 1);
    return x;
}

/* 2^x on the whole domain. */
ATTN_SIMD vf vf_exp2(vf x) {
    x = vf_max(vf_set1(-151.0f), vf_min(vf_set1(129.0f), x));
    const vf n = vf_sub(vf_add(x, vf_set1(ATTN__MAGIC)), vf_set1(ATTN__MAGIC));
    const vf r = vf_sub(x, n);
    vf p = vf_set1(0x1.40b24ap-13f);
    p = vf_fma(p, r, vf_set1(0x1.5f095ap-10f));
    p = vf_fma(p, r, vf_set1(0x1.3b2f1ap-7f));
    p = vf_fma(p, r, vf_set1(0x1.c6af7ap-5f));
    p = vf_fma(p, r, vf_set1(0x1.ebfbdap-3f));
    p = vf_fma(p, r, vf_set1(0x1.62e430p-1f));
    p = vf_fma(p, r, vf_set1(1.0f));
    return attn__scale2(p, n);
}

ATTN_SIMD vf vf_exp(vf x) {
    x = vf_max(vf_set1(-104.5f), vf_min(vf_set1(89.0f), x));
    const vf t = vf_fma(x, vf_set1(0x1.715476p+0f), vf_set1(ATTN__MAGIC)); /* log2(e) */
    const vf n = vf_sub(t, vf_set1(ATTN__MAGIC));
    vf r = vf_fma(n, vf_set1(-0x1.62e4p-1f), x); /* ln 2 in 15 + 24 bits: n * 15 bits is exact */
    r = vf_fma(n, vf_set1(-0x1.7f7d1cp-20f), r);
    vf p = vf_set1(0x1.697b94p-10f);
    p = vf_fma(p, r, vf_set1(0x1.12397ep-7f));
    p = vf_fma(p, r, vf_set1(0x1.5559fep-5f));
    p = vf_fma(p, r, vf_set1(0x1.555492p-3f));
    p = vf_fma(p, r, vf_set1(0x1.fffffap-2f));
    p = vf_add(vf_fma(p, vf_mul(r, r), r), vf_set1(1.0f));
    return attn__scale2(p, n);
}

/* x = 2^e * m with m in [sqrt(1/2), sqrt(2)), for positive finite x; f = m - 1. */
ATTN_SIMD vf attn__log_split(vf x, vf *f) {
    const vm tiny = vf_lt(x, vf_set1(0x1p-126f));
    const vi i = vi_bits(vf_select(tiny, vf_mul(x, vf_set1(0x1p24f)), x));
    const vi k = attn__shr23(vi_sub(i, vi_set1(0x3f3504f3)));
    *f = vf_sub(vf_bits(vi_sub(i, attn__shl23(k))), vf_set1(1.0f));
    return vf_sub(vi_to_f(k), vf_select(tiny, vf_set1(24.0f), vf_zero()));
}

/* y where x is positive and finite; else what C's logarithms return. */
ATTN_SIMD vf attn__log_special(vf x, vf y) {
    const vm plain = vm_and(vf_gt(x, vf_zero()), vf_lt(x, vf_set1(INFINITY)));
    vf s = vf_select(vf_lt(x, vf_zero()), vf_set1(NAN), x);
    s = vf_select(vf_eq(x, vf_zero()), vf_set1(-INFINITY), s);
    return vf_select(plain, y, s);
}

ATTN_SIMD vf vf_log(vf x) {
    vf f;
    const vf e = attn__log_split(x, &f), f2 = vf_mul(f, f);
    vf p = vf_set1(0x1.645f86p-4f);
    p = vf_fma(p, f, vf_set1(-0x1.242fe0p-3f));
    p = vf_fma(p, f, vf_set1(0x1.3172d6p-3f));
    p = vf_fma(p, f, vf_set1(-0x1.5382a2p-3f));
    p = vf_fma(p, f, vf_set1(0x1.98d826p-3f));
    p = vf_fma(p, f, vf_set1(-0x1.000380p-2f));
    p = vf_fma(p, f, vf_set1(0x1.5556d8p-2f));
    p = vf_fma(vf_mul(p, f), f2, vf_mul(f2, vf_set1(-0.5f)));
    p = vf_add(vf_fma(e, vf_set1(0x1.7f7d1cp-20f), p), f);
    return attn__log_special(x, vf_fma(e, vf_set1(0x1.62e4p-1f), p));
}

ATTN_SIMD vf vf_log2(vf x) {
    vf f;
    const vf e = attn__log_split(x, &f);
    vf p = vf_set1(0x1.01b9d4p-3f);
    p = vf_fma(p, f, vf_set1(-0x1.a78006p-3f));
    p = vf_fma(p, f, vf_set1(0x1.b94e02p-3f));
    p = vf_fma(p, f, vf_set1(-0x1.e980a2p-3f));
    p = vf_fma(p, f, vf_set1(0x1.26dd48p-2f));
    p = vf_fma(p, f, vf_set1(-0x1.715b7ep-2f));
    p = vf_fma(p, f, vf_set1(0x1.ec7366p-2f));
    p = vf_fma(p, f, vf_set1(-0x1.715472p-1f));
    p = vf_fma(p, f, vf_set1(0x1.715476p+0f));
    return attn__log_special(x, vf_fma(p, f, e));
}

/* x[i] = tanh x[i] for n vectors, n a constant of at most 4.
 * tanh |x| = u / (u + 2) with u = e^(2|x|) - 1 = 2^m (q + 1) - 1, q = e^(2r) - 1: accurate near 0
 * because m is 0 there, and near 1 because the errors of u fade. */
ATTN_SIMD void vf_tanh_each(vf *x, const int n) {
    vf a[4], t[4], r[4], q[4], s[4];
    ATTN_EACH(n) a[i] = vf_min(vf_set1(9.25f), vf_abs(x[i])); /* from there on it is 1 */
    ATTN_EACH(n)
    t[i] = vf_fma(a[i], vf_set1(0x1.715476p+1f), vf_set1(ATTN__MAGIC_127)); /* 2 log2(e) */
    ATTN_EACH(n) q[i] = vf_sub(t[i], vf_set1(ATTN__MAGIC_127));
#if ATTN_SIMD_FMA
    ATTN_EACH(n)
    r[i] = vf_fma(q[i], vf_set1(-0x1.62e430p-2f), a[i]); /* ln 2 / 2, off by 1e-9 only */
#else
    ATTN_EACH(n) r[i] = vf_fma(q[i], vf_set1(-0x1.62e4p-2f), a[i]);
    ATTN_EACH(n) r[i] = vf_fma(q[i], vf_set1(-0x1.7f7d1cp-21f), r[i]);
#endif
    ATTN_EACH(n) q[i] = vf_fma(vf_set1(0x1.6b95c4p-4f), r[i], vf_set1(0x1.12252ep-2f));
    ATTN_EACH(n) q[i] = vf_fma(q[i], r[i], vf_set1(0x1.5556f8p-1f));
    ATTN_EACH(n) q[i] = vf_fma(q[i], r[i], vf_set1(0x1.5554b4p+0f));
    ATTN_EACH(n) q[i] = vf_fma(q[i], r[i], vf_set1(0x1.fffffep+0f));
    ATTN_EACH(n) q[i] = vf_fma(q[i], vf_mul(r[i], r[i]), vf_add(r[i], r[i]));
    ATTN_EACH(n) s[i] = vf_bits(attn__shl23(vi_bits(t[i])));
    ATTN_EACH(n) q[i] = vf_fma(q[i], s[i], vf_sub(s[i], vf_set1(1.0f)));
    ATTN_EACH(n) q[i] = vf_div(q[i], vf_add(q[i], vf_set1(2.0f)));
    ATTN_EACH(n) x[i] = attn__xorsign(q[i], x[i]);
}

ATTN_SIMD vf vf_tanh(vf x) {
    vf_tanh_each(&x, 1);
    return x;
}

/* 1 / (1 + e^-x), from e^-|x| so that it neither overflows nor cancels. */
ATTN_SIMD vf vf_sigmoid(vf x) {
    const vf e = vf_exp(vf_neg(vf_abs(x)));
    const vf one = vf_set1(1.0f);
    return vf_div(vf_select(vf_lt(x, vf_zero()), e, one), vf_add(one, e));
}

/* int(x) of expressions (attn_intf). */
ATTN_SIMD vi vf_int(vf x) {
    const vf most = vf_set1(0x1.fffffep+30f), least = vf_set1(-0x1p31f);
    const vi inside = vf_to_i(vf_max(vf_min(x, most), least));
    const vi whole = vi_select(vf_gt(x, most), vi_set1(INT32_MAX), inside);
    return vi_select(vf_eq(x, x), whole, vi_set1(0));
}

/* Lanes of |x| beyond the reduction's range, inf included, by libm: no lane depends on others. */
static __attribute__((noinline, cold, unused)) void attn__trig_lanes(float *y, const float *x,
                                                                     float range, int cosine) {
    for (int i = 0; i < VF_WIDTH; i++) {
        if (x[i] > range) y[i] = cosine ? cosf(x[i]) : sinf(x[i]);
    }
}

/* sin (quadrant 0) or cos (quadrant 1) of a >= 0. */
ATTN_SIMD vf attn__trig(vf a, int quadrant) {
    const vf t = vf_fma(a, vf_set1(0x1.45f306p-1f), vf_set1(ATTN__MAGIC)); /* 2 / pi */
    const vf n = vf_sub(t, vf_set1(ATTN__MAGIC));
#if ATTN_SIMD_FMA
    const float range = 1e5f; /* pi / 2 in 72 bits */
    vf r = vf_fma(n, vf_set1(-0x1.921fb6p+0f), a);
    r = vf_fma(n, vf_set1(0x1.777a5cp-25f), r);
    r = vf_fma(n, vf_set1(0x1.ee59dap-50f), r);
#else
    const float range = 12000.0f; /* pi / 2 in 11 + 11 + 11 + 24 bits; n has 13 */
    vf r = vf_fma(n, vf_set1(-0x1.92p+0f), a);
    r = vf_fma(n, vf_set1(-0x1.fb4p-12f), r);
    r = vf_fma(n, vf_set1(-0x1.444p-24f), r);
    r = vf_fma(n, vf_set1(-0x1.68c234p-39f), r);
#endif
    const vf r2 = vf_mul(r, r);
    vf s = vf_set1(-0x1.995408p-13f);
    s = vf_fma(s, r2, vf_set1(0x1.110778p-7f));
    s = vf_fma(s, r2, vf_set1(-0x1.555546p-3f));
    s = vf_fma(vf_mul(s, r2), r, r);
    vf c = vf_set1(0x1.99e80cp-16f);
    c = vf_fma(c, r2, vf_set1(-0x1.6c0c28p-10f));
    c = vf_fma(c, r2, vf_set1(0x1.55554ap-5f));
    c = vf_fma(c, vf_mul(r2, r2), vf_fma(r2, vf_set1(-0.5f), vf_set1(1.0f)));
    const vi q = vi_add(vi_bits(t), vi_set1(quadrant));
    const vm odd = vi_ne(vi_and(q, vi_set1(1)), vi_set1(0));
    const vm minus = vi_ne(vi_and(q, vi_set1(2)), vi_set1(0));
    vf y = vf_select(odd, c, s);
    y = vf_select(minus, vf_neg(y), y);
    if (vf_any_gt(a, vf_set1(range))) {
        float in[VF_WIDTH], out[VF_WIDTH];
        vf_storeu(in, a);
        vf_storeu(out, y);
        attn__trig_lanes(out, in, range, quadrant);
        y = vf_loadu(out);
    }
    return y;
}

ATTN_SIMD vf vf_sin(vf x) {
    return attn__xorsign(attn__trig(vf_abs(x), 0), x);
}

ATTN_SIMD vf vf_cos(vf x) {
    return attn__trig(vf_abs(x), 1);
}

/* Indexes base + i (or base - i) clamped to 0 .. n - 1, without overflow. */
ATTN_SIMD vi attn__side_index(int32_t base, int32_t n) {
    const int32_t b = base < -VF_WIDTH ? -VF_WIDTH : base > n - 1 ? n - 1 : base;
    const int64_t left = (int64_t)n - 1 - b;
    const vi i = vi_min(vi_iota(), vi_set1(left < VF_WIDTH ? (int32_t)left : VF_WIDTH));
    return vi_max(vi_add(i, vi_set1(b)), vi_set1(0));
}

ATTN_SIMD vi attn__side_index_rev(int32_t base, int32_t n) {
    const vi i = vi_sub(vi_set1(base < 0 ? 0 : base), vi_iota());
    return vi_min(vi_max(i, vi_set1(0)), vi_set1(n - 1));
}

/* Lane i is p[base + i], or p[base - i], the index clamped to 0 .. n - 1; n = 0 gives 0. */
ATTN_SIMD vf vf_load_side(const float *p, int32_t base, int32_t n) {
    if (base >= 0 && base <= n - VF_WIDTH) return vf_loadu(p + base);
    return n > 0 ? vf_gather(p, attn__side_index(base, n)) : vf_zero();
}

ATTN_SIMD vf vf_load_side_rev(const float *p, int32_t base, int32_t n) {
    if (base >= VF_WIDTH - 1 && base < n) return attn__rev(vf_loadu(p + (base - (VF_WIDTH - 1))));
    return n > 0 ? vf_gather(p, attn__side_index_rev(base, n)) : vf_zero();
}

ATTN_SIMD vi vi_load_side(const int32_t *p, int32_t base, int32_t n) {
    if (base >= 0 && base <= n - VF_WIDTH) return vi_loadu(p + base);
    return n > 0 ? vi_gather(p, attn__side_index(base, n)) : vi_set1(0);
}

ATTN_SIMD vi vi_load_side_rev(const int32_t *p, int32_t base, int32_t n) {
    if (base >= VF_WIDTH - 1 && base < n) return attn__revi(vi_loadu(p + (base - (VF_WIDTH - 1))));
    return n > 0 ? vi_gather(p, attn__side_index_rev(base, n)) : vi_set1(0);
}

#endif
