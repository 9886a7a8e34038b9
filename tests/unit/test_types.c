/* Storage types: every code of 16 bits has one value, and every float goes to the nearest code,
 * ties to even. Restated here with bits, where types.h counts units. */
#include "types.h"
#include "lab/stored.h"
#include <criterion/criterion.h>

static float of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* The upper half of a float is its bf16, rounded by what is cut off. */
static uint32_t bf16_of(float x) {
    const uint32_t bits = bits_of(x);
    if (isnan(x)) return bits >> 16 | 0x40;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

Test(types, bf16_is_the_upper_half) {
    for (uint32_t code = 0; code < 65536; code++) {
        const float x = attn_float_value(code, 16, 8);
        cr_assert_eq(bits_of(x), code << 16, "%04x", code);
        const uint32_t back = attn_round_float(x, 16, 8);
        cr_assert_eq(back, isnan(x) ? code | 0x40 : code, "%04x gives %04x", code, back);
    }
}

Test(types, bf16_rounds_to_even) {
    static const uint32_t rest[] = {1, 0x7fff, 0x8000, 0x8001, 0xffff};
    for (uint32_t code = 0; code < 65536; code++)
        for (int i = 0; i < 5; i++) {
            const float x = of_bits(code << 16 | rest[i]);
            const uint32_t got = attn_round_float(x, 16, 8);
            cr_assert_eq(got, bf16_of(x), "%08x gives %04x", bits_of(x), got);
        }
}

/* Between neighbours the middle goes to the even code. */
Test(types, f16_rounds_to_even) {
    cr_assert_eq(bits_of(attn_float_value(0x3c00, 16, 5)), bits_of(1.0f));
    cr_assert_eq(bits_of(attn_float_value(0x0001, 16, 5)), bits_of(0x1p-24f));
    cr_assert_eq(bits_of(attn_float_value(0xfbff, 16, 5)), bits_of(-65504.0f));
    for (uint32_t code = 0; code < 0x7c00; code++) {
        const float x = attn_float_value(code, 16, 5);
        const float above = code + 1 < 0x7c00 ? attn_float_value(code + 1, 16, 5) : 65536.0f;
        const float middle = x + (above - x) / 2;
        cr_assert_eq(attn_round_float(x, 16, 5), code);
        cr_assert_eq(attn_round_float(-x, 16, 5), code | 0x8000);
        cr_assert_eq(attn_round_float(middle, 16, 5), code + (code & 1), "middle of %04x", code);
        cr_assert_eq(attn_round_float(of_bits(bits_of(middle) - 1), 16, 5), code);
        cr_assert_eq(attn_round_float(of_bits(bits_of(middle) + 1), 16, 5), code + 1);
    }
    cr_assert_eq(attn_round_float(1e30f, 16, 5), 0x7c00);
    cr_assert_eq(attn_round_float(-INFINITY, 16, 5), 0xfc00);
    cr_assert_eq(attn_round_float(of_bits(0x7f802000), 16, 5), 0x7e01); /* quiet, payload kept */
    cr_assert_eq(attn_round_float(of_bits(0xff800001), 16, 5), 0xfe00);
}

Test(types, elements) {
    uint16_t stored[3] = {7, 7, 7};
    attn_store(stored, ATTN_TYPE_BF16, 1, -1.00390625f); /* a tie: -1 is even */
    cr_assert_eq(stored[0], 7);
    cr_assert_eq(stored[1], 0xbf80);
    cr_assert_eq(stored[2], 7);
    cr_assert_eq(bits_of(attn_load(stored, ATTN_TYPE_BF16, 1)), bits_of(-1.0f));
    cr_assert_eq(attn_type_size(ATTN_TYPE_BF16), 2);
    cr_assert_eq((const char *)attn_at(stored, ATTN_TYPE_BF16, 2) - (const char *)stored, 4);
    float one[2] = {0};
    attn_store(one, ATTN_TYPE_F32, 1, 0.1f);
    cr_assert_eq(bits_of(one[1]), bits_of(0.1f));
    cr_assert_eq(attn_type_size(ATTN_TYPE_F32), 4);
    cr_assert_str_eq(attn_type_get(ATTN_TYPE_BF16).name, "bf16");
}

/* A row in 8 bits: the largest number is 127 steps. */
static void check_i8(const float *x, int n, float scale, const int8_t *want) {
    int8_t got[8] = {0};
    const float s = attn_store_row(got, ATTN_TYPE_I8, 0, x, n);
    cr_assert_eq(bits_of(s), bits_of(scale), "%a, not %a", (double)s, (double)scale);
    for (int d = 0; d < n; d++)
        cr_assert_eq(got[d], want[d], "[%d] %d, not %d", d, got[d], want[d]);
}

Test(types, i8_rows) {
    /* Steps of 2: 1 and -3 are ties, to even; 4.9999995 is none. */
    check_i8((float[]){254, 1, -3, 5, 4.9999995f, -0.0f}, 6, 2, (int8_t[]){127, 0, -2, 2, 2, 0});
    check_i8((float[]){-254, 3, 253, 252.9f}, 4, 2, (int8_t[]){-127, 2, 126, 126});
    check_i8((float[]){0, -0.0f, 0}, 3, 0, (int8_t[]){0, 0, 0});
    check_i8((float[]){3.4e38f, -3.4e38f, 1.4e36f}, 3, 3.4e38f / 127, (int8_t[]){127, -127, 1});
    /* Next to nothing: below 2^-100. */
    check_i8((float[]){0x1p-100f, -0x1p-101f}, 2, 0x1p-100f / 127, (int8_t[]){127, -64});
    check_i8((float[]){0x1.fffffep-101f, 1e-40f}, 2, 0, (int8_t[]){0, 0});
}

Test(types, i8_rows_that_are_not_finite) {
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 4; i++) {
        int8_t got[3] = {7, 7, 7};
        const float s = attn_store_row(got, ATTN_TYPE_I8, 0, (float[]){1, bad[i], 5}, 3);
        cr_assert(isnan(s));
        for (int d = 0; d < 3; d++) cr_assert_eq(got[d], 0);
    }
}

/* The quotient is a product with 127 / m, rounded, as the contract says; no code is ever -128. */
Test(types, i8_codes_are_products) {
    uint32_t state = 1;
    for (int i = 0; i < 20000; i++) {
        float x[5];
        for (int d = 0; d < 5; d++) {
            state = state * 1664525u + 1013904223u;
            x[d] = (float)(int32_t)state * 0x1p-20f;
        }
        float most = 0;
        for (int d = 0; d < 5; d++) most = fmaxf(most, fabsf(x[d]));
        int8_t got[5];
        cr_assert_eq(attn_store_row(got, ATTN_TYPE_I8, 0, x, 5), most / 127.0f);
        const volatile float inverse = 127.0f / most;
        for (int d = 0; d < 5; d++) {
            const volatile float product = x[d] * inverse;
            cr_assert_eq((float)got[d], nearbyintf(product));
            cr_assert(got[d] != -128);
        }
    }
}

Test(types, i8_elements) {
    int8_t stored[4] = {7, 7, 7, 7};
    cr_assert_eq(attn_store_row(stored, ATTN_TYPE_I8, 1, (float[]){-127, 64}, 2), 1);
    cr_assert_eq(stored[0], 7);
    cr_assert_eq(stored[3], 7);
    cr_assert_eq(attn_load(stored, ATTN_TYPE_I8, 1), -127);
    cr_assert_eq(attn_load(stored, ATTN_TYPE_I8, 2), 64);
    cr_assert_eq(attn_type_size(ATTN_TYPE_I8), 1);
    cr_assert(attn_type_scaled(ATTN_TYPE_I8));
    cr_assert(!attn_type_scaled(ATTN_TYPE_F32) && !attn_type_scaled(ATTN_TYPE_BF16));
}

/* The layers' oracle rounds doubles: of those that are floats, as types.h does. */
Test(types, oracle_rounds_alike) {
    for (int32_t type = ATTN_TYPE_BF16; type < ATTN_TYPE_COUNT; type++)
        for (uint32_t i = 0; attn_type_get(type).exponent && i < 1 << 18; i++) {
            const float x = of_bits(i << 14 | (i * 2654435761u >> 18));
            const float tie = of_bits(i << 14 | (i & 1 ? 0x1000 : 0x2000));
            uint16_t stored[2];
            attn_store(stored, type, 0, x);
            attn_store(stored, type, 1, tie);
            const double want[2] = {(double)attn_load(stored, type, 0),
                                    (double)attn_load(stored, type, 1)};
            const double got[2] = {stored_rounded(type, (double)x),
                                   stored_rounded(type, (double)tie)};
            for (int n = 0; n < 2; n++)
                cr_assert(got[n] == want[n] || (isnan(got[n]) && isnan(want[n])), "%a: %a, not %a",
                          (double)(n ? tie : x), got[n], want[n]);
        }
}
