/* simd_types.h - tests of the vocabulary's loads and stores of stored types, the same for each ISA
 * and each row of types.def: element by element they are what types.h says. Included by simd_body.h
 * before ATTN_TARGET_END. A row that is new needs its header here. */
#include "types.h"
#include "simd/bf16.h"
#include "simd/f16.h"
#include "simd/i8.h"

/* The names without a suffix are f32's. */
#define vf_loadu_f32 vf_loadu
#define vf_loadn_f32 vf_loadn
#define vf_bcast_f32 vf_bcast
#define vf_storeu_f32 vf_storeu
#define vf_storen_f32 vf_storen

#define STORED_FUNCTIONS(ID, NAME, ...)                         \
    static void loadu_##NAME(float *y, const void *p) {         \
        vf_storeu(y, vf_loadu_##NAME(p));                       \
    }                                                           \
    static void loadn_##NAME(float *y, const void *p, int n) {  \
        vf_storeu(y, vf_loadn_##NAME(p, n));                    \
    }                                                           \
    static void bcast_##NAME(float *y, const void *p) {         \
        vf_storeu(y, vf_bcast_##NAME(p));                       \
    }                                                           \
    static void storeu_##NAME(void *p, const float *x) {        \
        vf_storeu_##NAME(p, vf_loadu(x));                       \
    }                                                           \
    static void storen_##NAME(void *p, const float *x, int n) { \
        vf_storen_##NAME(p, vf_loadu(x), n);                    \
    }
ATTN_TYPES(STORED_FUNCTIONS)

typedef struct stored_type {
    int32_t type;
    const char *name;
    int bits, exponent;
    void (*loadu)(float *, const void *);
    void (*loadn)(float *, const void *, int);
    void (*bcast)(float *, const void *);
    void (*storeu)(void *, const float *);
    void (*storen)(void *, const float *, int);
} stored_type;

#define STORED_ROW(ID, NAME, BITS, EXPONENT, ...)                             \
    {ATTN_TYPE_##ID, #NAME,        BITS,          EXPONENT,     loadu_##NAME, \
     loadn_##NAME,   bcast_##NAME, storeu_##NAME, storen_##NAME},
static const stored_type stored_types[] = {ATTN_TYPES(STORED_ROW)};

enum { CODES = 65536 }; /* all of up to 16 bits, and a spread of 32 */

/* The i-th code, as element `at`. */
static void put_code(const stored_type *t, void *p, int at, uint32_t i) {
    const uint32_t code = t->bits > 16 ? i * 65537u + (i >> 7) : i;
    memcpy((char *)p + at * t->bits / 8, &code, (size_t)t->bits / 8); /* the low bytes are first */
}

static float code_value(const stored_type *t, uint32_t i) {
    uint32_t code = 0;
    put_code(t, &code, 0, i);
    return attn_load(&code, t->type, 0);
}

static void check_loads(const stored_type *t) {
    _Alignas(64) unsigned char codes[4 * (W + 1)];
    float y[W];
    for (uint32_t i = 0; i < CODES; i += W) {
        for (int j = 0; j < W + 1; j++) put_code(t, codes, j, i + (uint32_t)j);
        t->loadu(y, codes + t->bits / 8); /* not aligned to vectors */
        for (int j = 0; j < W; j++)
            CHECK(same(y[j], attn_load(codes, t->type, j + 1)), "vf_loadu_%s, code %x", t->name,
                  i + (uint32_t)j + 1);
        t->bcast(y, codes);
        for (int j = 0; j < W; j++)
            CHECK(same(y[j], attn_load(codes, t->type, 0)), "vf_bcast_%s, code %x", t->name, i);
    }
}

/* Tails end, or start, at a page nobody may touch. */
static void check_tails(const stored_type *t) {
    const int size = t->bits / 8;
    for (int n = 0; n <= W; n++)
        for (int end = 0; end < 2; end++) {
            unsigned char *p = (unsigned char *)guarded((size_t)W, end);
            if (end) p += (W * 4) - n * size;
            for (int j = 0; j < n; j++) put_code(t, p, j, 77u * (uint32_t)j + 3);
            float x[W], y[W];
            t->loadn(y, p, n);
            for (int j = 0; j < W; j++)
                CHECK(j < n ? same(y[j], attn_load(p, t->type, j)) : bits_of(y[j]) == 0,
                      "vf_loadn_%s(%d), lane %d", t->name, n, j);
            for (int j = 0; j < W; j++) x[j] = (float)(j + 1);
            t->storen(p, x, n);
            for (int j = 0; j < n; j++)
                CHECK(attn_load(p, t->type, j) == x[j], "vf_storen_%s(%d), %d", t->name, n, j);
        }
    unsigned char q[4 * (W + 2)];
    float x[W];
    for (int j = 0; j < W; j++) x[j] = 1.0f;
    for (int n = 0; n <= W; n++) {
        memset(q, 0xa5, sizeof q);
        t->storen(q + size, x, n);
        for (int j = 0; j < (W + 2) * size; j++)
            CHECK(q[j] == 0xa5 || (j >= size && j < (n + 1) * size), "vf_storen_%s(%d) at %d",
                  t->name, n, j);
    }
}

/* A vector's worth of floats, stored at once, by n and one at a time. */
static void check_store(const stored_type *t, const float *x) {
    unsigned char got[4 * (W + 1)], some[4 * (W + 1)], want[4 * (W + 1)];
    const int size = t->bits / 8;
    t->storeu(got + size, x);
    t->storen(some + size, x, W - 1);
    for (int j = 0; j < W; j++) {
        attn_store(want, t->type, j, x[j]);
        CHECK(!memcmp(got + (j + 1) * size, want + j * size, (size_t)size), "vf_storeu_%s(%08x)",
              t->name, bits_of(x[j]));
        CHECK(j == W - 1 || !memcmp(some + (j + 1) * size, want + j * size, (size_t)size),
              "vf_storen_%s(%08x)", t->name, bits_of(x[j]));
    }
}

typedef struct gathered {
    float x[W];
    int count;
} gathered;

static void gather_float(const stored_type *t, gathered *g, float x) {
    g->x[g->count++] = x;
    if (g->count < W) return;
    check_store(t, g->x);
    g->count = 0;
}

static float float_beside(float x, int steps) {
    return float_of(bits_of(x) + (uint32_t)steps);
}

/* All values, what lies between two of them and on both sides of that, and ends of f32. */
static void check_stores(const stored_type *t) {
    gathered g = {.count = 0};
    for (uint32_t i = 0; i < CODES; i++) {
        const float x = code_value(t, i), next = code_value(t, i + 1);
        gather_float(t, &g, x);
        if (t->exponent == 0) continue; /* codes alone */
        const float between = x / 2 + next / 2;
        for (int step = -1; step <= 1; step++) gather_float(t, &g, float_beside(between, step));
    }
    for (int e = 0; e < 256 && t->exponent > 0; e++)
        for (int sign = 0; sign < 2; sign++)
            for (int k = 0; k < 24; k++) {
                /* powers of two, the largest of an exponent, denormals, infinities and NaN */
                const uint32_t bits = (uint32_t)sign << 31 | (uint32_t)e << 23;
                gather_float(t, &g, float_of(bits | 1u << k >> 1));
                gather_float(t, &g, float_of(bits | (0x7fffff >> k)));
            }
    while (g.count) gather_float(t, &g, 0);
}

/* Pairs of bf16, not aligned to vectors, are what vf_split makes of their values. */
static void check_pairs(void) {
    bf16 codes[2 * W + 1];
    _Alignas(64) float x[2 * W], y[2 * W];
    for (uint32_t i = 0; i < CODES; i += 2 * W) {
        for (int j = 0; j < 2 * W; j++) {
            codes[j + 1] = (bf16)(i + (uint32_t)j);
            x[j] = attn_load(codes, ATTN_TYPE_BF16, j + 1);
        }
        vf_store(y, vf_even_bf16(codes + 1));
        vf_store(y + W, vf_odd_bf16(codes + 1));
        for (int j = 0; j < 2 * W; j++)
            CHECK(same(y[j], x[2 * (j % W) + j / W]), "pairs of bf16, code %x",
                  i + (uint32_t)(2 * (j % W) + j / W));
        vf_split(x);
        for (int j = 0; j < 2 * W; j++) CHECK(same(y[j], x[j]), "vf_split, lane %d", j);
        vf_join(x);
        for (int j = 0; j < 2 * W; j++)
            CHECK(same(x[j], attn_load(codes, ATTN_TYPE_BF16, j + 1)), "vf_join, lane %d", j);
    }
    vf_storeu(x, vf_held(vf_loadu(y)));
    CHECK(!memcmp(x, y, sizeof(float) * W), "vf_held");
}

/* A row of n codes and its scale, against types.h, bit by bit; nothing beside it is written. */
static void check_row(const float *x, int n) {
    int8_t got[4 * W + 2], want[4 * W];
    memset(got, 0x55, sizeof got);
    const float scale = vf_row_i8(got + 1, x, n), right = attn_round_i8(want, x, n);
    CHECK(same(scale, right), "vf_row_i8 of %d: scale %08x, not %08x", n, bits_of(scale),
          bits_of(right));
    for (int i = 0; i < n; i++)
        CHECK(got[i + 1] == want[i], "vf_row_i8 of %d: code %d is %d, not %d", n, i, got[i + 1],
              want[i]);
    CHECK(got[0] == 0x55 && got[n + 1] == 0x55, "vf_row_i8 of %d writes beside its row", n);
}

/* Rows of each length: many sizes, ties, and one number that decides about all of them. */
static void check_rows(void) {
    static const float one[] = {127,       -127,      NAN,      INFINITY, -INFINITY,
                                0x1p-100f, 0x1p-149f, 0x1p127f, -FLT_MAX, 0x1.fffffep-101f};
    float x[4 * W];
    uint32_t state = 1;
    for (int n = 0; n <= 4 * W; n++) {
        for (int e = -120; e < 120; e += 7) {
            for (int i = 0; i < n; i++) {
                state = state * 1664525u + 1013904223u;
                x[i] = ldexpf((float)(int32_t)state, e - 31 - (int)(state >> 8 & 7));
            }
            check_row(x, n);
        }
        for (size_t k = 0; k < sizeof one / sizeof *one && n > 0; k++) {
            for (int i = 0; i < n; i++) x[i] = (float)(i % 64) + 0.5f - 32 * (float)(k > 5);
            if (k > 5)
                for (int i = 0; i < n; i++) x[i] *= one[k] / 127;
            x[(int)k * 5 % n] = one[k];
            check_row(x, n);
        }
    }
}

static void check_types(void) {
    check_pairs();
    check_rows();
    for (size_t i = 0; i < sizeof stored_types / sizeof *stored_types; i++) {
        check_loads(&stored_types[i]);
        check_tails(&stored_types[i]);
        check_stores(&stored_types[i]);
    }
}
