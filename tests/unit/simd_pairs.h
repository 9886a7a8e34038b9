/* simd_pairs.h - products of pairs of bf16; part of simd_body.h. */

/* The value of a bf16, where what is below 2^-126 counts as zero. */
static float pair_value(uint32_t code) {
    const float x = float_of(code << 16);
    return fabsf(x) < 0x1p-126f ? 0 : x;
}

static uint32_t rounded(float x) {
    bf16 code[W];
    vf_storeu_bf16(code, vf_set1(fabsf(x) < 0x1p-126f ? 0 * x : x));
    return code[0];
}

static void check_pair_products(void) {
    const float some[] = {0,          -0.0f,    1,   0x1.01p0f,   0x1.03p0f,      0x1p-130f,
                          -0x1p-126f, INFINITY, NAN, 0x1.ffp127f, 0x1.fffffep127f};
    enum { SOME = sizeof some / sizeof *some };
    for (int t = 0; t < 200; t++) {
        float a[W], b[W], s[W], got[W];
        uint32_t pair[W], other[W];
        for (int i = 0; i < W; i++) {
            a[i] = t % 2 ? random_float() : some[(t + i) % SOME];
            b[i] = t % 3 ? random_float() : some[(t * 5 + i) % SOME];
            s[i] = random_float();
            other[i] = bits_of(random_float());
        }
        vf_storeu((float *)(void *)pair, vf_pairs(vf_loadu(a), vf_loadu(b)));
        for (int i = 0; i < W; i++) {
            const uint32_t low = pair[i] & 0xffff, high = pair[i] >> 16;
            CHECK(same(float_of(low << 16), float_of(rounded(a[i]) << 16)), "vf_pairs %a: %x",
                  (double)a[i], low);
            CHECK(same(float_of(high << 16), float_of(rounded(b[i]) << 16)),
                  "vf_pairs, second %a: %x", (double)b[i], high);
        }
        const vf p = vf_bits(vi_loadu((const void *)pair)),
                 q = vf_bits(vi_loadu((const void *)other));
        vf_storeu(got, vf_fma_pairs(p, q, vf_loadu(s)));
        for (int i = 0; i < W; i++) {
            const double x = (double)pair_value(pair[i] & 0xffff) * pair_value(other[i] & 0xffff);
            const double y = (double)pair_value(pair[i] >> 16) * pair_value(other[i] >> 16);
            const double size = fabs(x) + fabs(y) + fabs((double)s[i]), want = s[i] + x + y;
            CHECK(!(size < 0x1p127) ? !isfinite(got[i]) || size < INFINITY
                                    : fabs(got[i] - want) <= 0x1p-23 * size,
                  "vf_fma_pairs lane %d: %a for %a", i, (double)got[i], want);
        }
    }
}
