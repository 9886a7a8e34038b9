/* Blocks of weights against ggml's own functions: tests/golden/make_quant_cases.py. */
#include "quant.h"
#include "lab/safetensors.h"
#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { MANY = 2000, BLOCK_MAX = 256, BYTES_MAX = 210 };

static arena *a;
static st_file golden;

static void open_golden(void) {
    diag d = {0};
    a = arena_new();
    cr_assert(st_read(a, "tests/golden/quant.safetensors", &golden, &d), "%s", d.text);
}

static void close_golden(void) {
    arena_free(a);
}

TestSuite(quant, .init = open_golden, .fini = close_golden);

static const st_tensor *tensor(const char *what, const char *type) {
    const char *name = type ? arena_printf(a, "%s.%s", what, type) : what;
    const st_tensor *t = st_find(&golden, name);
    cr_assert(t, "no %s", name);
    return t;
}

static bool has(const char *what, const char *type) {
    return st_find(&golden, arena_printf(a, "%s.%s", what, type)) != NULL;
}

static const float *floats(const st_tensor *t) {
    diag d = {0};
    const float *x = st_floats(a, &golden, t, &d);
    cr_assert(x, "%s", d.text);
    return x;
}

/* NaN's bits are nobody's. */
static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return isnan(x) ? 0x7fc00000 : bits;
}

static uint64_t hash_word(uint64_t hash, uint32_t word) { /* FNV-1a */
    return (hash ^ word) * 0x100000001b3u;
}

static const uint64_t hash_begin = 0xcbf29ce484222325u;

static void check_hash(const char *what, const char *type, uint64_t hash) {
    const char *want = st_get(&golden, arena_printf(a, "%s.%s", what, type));
    cr_assert_str_eq(arena_printf(a, "%016" PRIx64, hash), want, "%s.%s", what, type);
}

static uint32_t next(uint32_t *state) {
    return *state = *state * 1664525u + 1013904223u;
}

Test(quant, table_is_ggufs) {
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++) {
        const attn_weight_row row = attn_weight_get(type);
        cr_assert_eq(attn_weight_of_gguf(row.gguf), type);
        cr_assert_eq(attn_weight_bytes(type, 3 * row.block), 3 * row.bytes);
        if (!has("blocks", row.name)) continue;
        cr_assert_eq(tensor("blocks", row.name)->dim[1], row.bytes);
        cr_assert_eq(tensor("values", row.name)->dim[1], row.block);
    }
    cr_assert_eq(attn_weight_of_gguf(4), -1); /* q4_2, of which no file is left */
    cr_assert_eq(attn_weight_of_gguf(UINT32_MAX), -1);
}

/* Hostile blocks: infinite, NaN, subnormal and largest scales. At an odd address. */
Test(quant, values) {
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++) {
        const attn_weight_row row = attn_weight_get(type);
        if (!has("blocks", row.name)) continue;
        const st_tensor *blocks = tensor("blocks", row.name);
        const float *want = floats(tensor("values", row.name));
        const size_t size = (size_t)blocks->count;
        const int64_t n = blocks->dim[0] * row.block;
        uint8_t *odd = (uint8_t *)arena_alloc(a, size + 1) + 1;
        float *got = arena_alloc(a, (size_t)n * sizeof *got);
        memcpy(odd, blocks->data, size);
        attn_dequantise(odd, type, n, got);
        for (int64_t i = 0; i < n; i++)
            cr_assert_eq(bits_of(got[i]), bits_of(want[i]), "%s[%d]: %a, not %a", row.name, (int)i,
                         (double)got[i], (double)want[i]);
    }
}

Test(quant, values_of_many_blocks) {
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++) {
        const attn_weight_row row = attn_weight_get(type);
        if (!has("blocks", row.name)) continue;
        uint64_t hash = hash_begin;
        uint32_t state = 2;
        for (int i = 0; i < MANY; i++) {
            uint8_t block[BYTES_MAX];
            float x[BLOCK_MAX];
            for (int j = 0; j < row.bytes; j++) block[j] = (uint8_t)(next(&state) >> 24);
            attn_dequantise(block, type, row.block, x);
            for (int j = 0; j < row.block; j++) hash = hash_word(hash, bits_of(x[j]));
        }
        check_hash("values", row.name, hash);
    }
}

static bool all_finite(int32_t type, const uint8_t *block) {
    const int32_t n = attn_weight_get(type).block;
    float x[BLOCK_MAX];
    bool finite = true;
    attn_dequantise(block, type, n, x);
    for (int32_t i = 0; i < n; i++) finite = finite && isfinite(x[i]);
    return finite;
}

/* Ties, equal magnitudes, subnormal numbers, and what rounds up to a power of two. Where ggml makes
 * an infinite scale, rounding is refused. */
Test(quant, rounding) {
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++) {
        const attn_weight_row row = attn_weight_get(type);
        if (!has("rounded", row.name)) continue;
        const st_tensor *want = tensor("rounded", row.name), *rows = tensor("rows", NULL);
        const bool wide = has("rows", row.name);
        const float *x = floats(rows), *wider = wide ? floats(tensor("rows", row.name)) : NULL;
        for (int64_t i = 0; i < want->dim[0]; i++) {
            uint8_t got[BYTES_MAX];
            const int64_t beyond = i - rows->dim[0];
            const float *from = beyond < 0 ? x + i * row.block : wider + beyond * row.block;
            const uint8_t *block = want->data + i * row.bytes;
            const char *refusal = attn_quantise(got, type, row.block, from);
            cr_assert_eq(!refusal, all_finite(type, block), "%s, row %d: %s", row.name, (int)i,
                         refusal);
            for (int j = 0; j < row.bytes && !refusal; j++)
                cr_assert_eq(got[j], block[j], "%s, row %d, byte %d: %d, not %d", row.name, (int)i,
                             j, got[j], block[j]);
        }
    }
}

Test(quant, rounding_of_many_rows) {
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++) {
        const attn_weight_row row = attn_weight_get(type);
        if (!has("rounded", row.name)) continue;
        uint64_t hash = hash_begin;
        uint32_t state = 1;
        for (int i = 0; i < MANY; i++) {
            uint8_t got[BYTES_MAX];
            float x[BLOCK_MAX];
            for (int j = 0; j < row.block; j++)
                x[j] = ldexpf((float)(int32_t)next(&state), i % 61 - 76);
            cr_assert_null(attn_quantise(got, type, row.block, x));
            for (int j = 0; j < row.bytes; j++) hash = hash_word(hash, got[j]);
        }
        check_hash("rounded", row.name, hash);
    }
}

/* f32 as it is; 16 bits as types.h rounds (test_types.c). */
Test(quant, floats) {
    static const float x[] = {1.00390625f, -65519.0f, -0.0f, INFINITY, 0x1p-149f, NAN};
    enum { N = sizeof x / sizeof *x };
    static const uint8_t bf16[] = {0x80, 0x3f, 0x80, 0xc7, 0, 0x80, 0x80, 0x7f, 0, 0};
    static const uint8_t f16[] = {0x04, 0x3c, 0xff, 0xfb, 0, 0x80, 0x00, 0x7c, 0, 0};
    uint8_t got[4 * N];
    float back[N];
    cr_assert_null(attn_quantise(got, ATTN_WEIGHT_F32, N, x));
    attn_dequantise(got, ATTN_WEIGHT_F32, N, back);
    cr_assert_arr_eq(back, x, sizeof x);
    cr_assert_null(attn_quantise(got, ATTN_WEIGHT_BF16, N, x));
    cr_assert_arr_eq(got, bf16, sizeof bf16);
    attn_dequantise(got, ATTN_WEIGHT_BF16, N, back);
    cr_assert(back[0] == 1 && back[1] == -65536.0f && signbit(back[2]) && isinf(back[3]));
    cr_assert(isnan(back[5]));
    cr_assert_null(attn_quantise(got, ATTN_WEIGHT_F16, N, x));
    cr_assert_arr_eq(got, f16, sizeof f16);
    attn_dequantise(got, ATTN_WEIGHT_F16, N, back);
    cr_assert(back[1] == -65504.0f && isinf(back[3]) && back[4] == 0 && isnan(back[5]));
}

static void check_refused(int32_t type, const float *x, const char *why) {
    uint8_t got[BYTES_MAX];
    const char *text = attn_quantise(got, type, attn_weight_get(type).block, x);
    cr_assert(text && strstr(text, why), "%s: %s", attn_weight_get(type).name, text);
}

Test(quant, refusals) {
    float x[BLOCK_MAX] = {0};
    check_refused(ATTN_WEIGHT_Q4_K, x, "K-quants");
    check_refused(ATTN_WEIGHT_Q5_K, x, "K-quants");
    check_refused(ATTN_WEIGHT_Q6_K, x, "K-quants");
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++) {
        if (!has("rounded", attn_weight_get(type).name)) continue;
        static const float bad[] = {NAN, INFINITY, -INFINITY};
        for (int i = 0; i < 3; i++) {
            x[31] = bad[i];
            check_refused(type, x, "not finite");
        }
        x[31] = 3.4e38f;
        if (type != ATTN_WEIGHT_MXFP4) check_refused(type, x, "becomes infinite");
    }
    /* The minimum alone is too large; so is the distance from least to largest. */
    for (int i = 0; i < 32; i++) x[i] = -65520.0f;
    check_refused(ATTN_WEIGHT_Q4_1, x, "becomes infinite");
    check_refused(ATTN_WEIGHT_Q5_1, x, "becomes infinite");
    x[0] = 65520.0f;
    check_refused(ATTN_WEIGHT_F16, x, "becomes infinite");
    x[0] = 0x1.ff8p127f;
    check_refused(ATTN_WEIGHT_BF16, x, "becomes infinite");
}
