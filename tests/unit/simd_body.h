/* simd_body.h - tests of the vector vocabulary, the same for each ISA. The including file has
 * included criterion and one of simd/{portable,avx2,avx512}.h, and defines
 *   SIMD_SUITE       name of the suite
 *   SIMD_SUPPORTED   whether this CPU can run it
 *   SIMD_BYTES       if it has products of bytes
 *   SIMD_INTEGERS    if it has those that avx512vnni.h describes, too
 *   SIMD_PAIRS       if it has products of pairs of bf16
 * Everything that holds vectors stands before ATTN_TARGET_END, the tests proper after it. Run with
 * --verbose to see the largest errors found. */
#include <float.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { W = VF_WIDTH, ALIGN = 4 * W };

#define CHECK(cond, ...)                        \
    do {                                        \
        if (!(cond)) cr_assert(0, __VA_ARGS__); \
    } while (0)

static uint32_t bits_of(float x) {
    uint32_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static float float_of(uint32_t b) {
    float x;
    memcpy(&x, &b, sizeof x);
    return x;
}

/* Same bits, or both NaN. */
static bool same(float a, float b) {
    return bits_of(a) == bits_of(b) || (a != a && b != b);
}

static uint32_t seed = 1;
static uint32_t random_bits(void) {
    seed = seed * 1664525u + 1013904223u;
    return seed ^ seed >> 15;
}

static float random_float(void) {
    return ((float)(random_bits() >> 8) - 0x1p23f) * 0x1p-20f;
}

/* --- accuracy of the functions --- */
typedef vf vector_fn(vf);
typedef double scalar_fn(double);

/* |got - want| in units of the spacing of floats at want; 0 if C's conventions are met where one
 * of them is not finite, infinity if they are not. */
static double ulps(float got, double want) {
    if (want != want || got != got) return (want != want) == (got != got) ? 0 : INFINITY;
    const double a = fabs(want);
    if (a >= 0x1.ffffffp127) return got == (want > 0 ? INFINITY : -INFINITY) ? 0 : INFINITY;
    if (isinf(got)) return a > 0x1.fffff8p127 ? 1 : INFINITY;
    uint64_t b;
    memcpy(&b, &a, sizeof b);
    int e = (int)(b >> 52) - 1023;
    if (e < -126) e = -126;
    const uint64_t scale = (uint64_t)(23 - e + 1023) << 52; /* 1 / spacing */
    double s;
    memcpy(&s, &scale, sizeof s);
    return fabs((double)got - want) * s;
}

typedef struct sweep {
    const char *name;
    vector_fn *fn;
    scalar_fn *ref;
    double limit;
    float lo, hi; /* inputs outside are skipped; both 0: none */
    double worst;
    float at;
} sweep;

static void sweep_vector(sweep *s, const float *x) {
    float y[W];
    vf_storeu(y, s->fn(vf_loadu(x)));
    for (int i = 0; i < W; i++) {
        if ((s->lo != 0 || s->hi != 0) && !(x[i] >= s->lo && x[i] <= s->hi)) continue;
        const double want = s->ref((double)x[i]), e = ulps(y[i], want);
        CHECK(e <= s->limit, "%s(%a) = %a, want %a: %g ulp", s->name, (double)x[i], (double)y[i],
              want, e);
        if (e > s->worst) s->worst = e, s->at = x[i];
    }
}

/* Floats from bits `from`, count of them, so far apart. */
static void sweep_bits(sweep *s, uint32_t from, uint32_t step, uint32_t count) {
    float x[W];
    for (uint32_t i = 0; i < count; i += W) {
        for (uint32_t j = 0; j < W; j++) x[j] = float_of(from + (i + j) * step);
        sweep_vector(s, x);
    }
}

/* All the line at a stride; densely around the points where methods change; evenly in -130 .. 130;
 * near multiples of pi / 4, ln 2 / 4, 1 / 2. */
static void sweep_all(vector_fn *fn, scalar_fn *ref, const char *name, double limit, float lo,
                      float hi) {
    static const float critical[] = {
        0.0f,       FLT_MIN,    FLT_MAX,  INFINITY,  0.5f,           1.0f,          2.0f,
        0.17329f,   0.34657f,   0.69315f, 1.0397f,   0x1.6a09e6p-1f, 0x1.6a09e6p0f, 0.78539819f,
        1.5707964f, 3.1415927f, 9.01f,    9.25f,     87.33655f,      88.722839f,    103.97208f,
        104.5f,     126.0f,     126.5f,   127.0f,    128.0f,         149.0f,        150.0f,
        151.0f,     12000.0f,   1e5f,     0x1p-149f, 0x1p-24f,       0x1p-12f};
    sweep s = {name, fn, ref, limit, lo, hi, 0, 0};
    const uint32_t stride = 1021;
    sweep_bits(&s, 0, stride, 0xffffffffu / stride);
    for (size_t i = 0; i < sizeof critical / sizeof *critical; i++) {
        for (uint32_t sign = 0; sign < 2; sign++) {
            const uint32_t b = bits_of(critical[i]) | sign << 31;
            sweep_bits(&s, b - 4096, 1, 8192);
        }
    }
    float x[W];
    for (int i = 0; i < 1 << 19; i += W) {
        for (int j = 0; j < W; j++) x[j] = (float)(i + j - (1 << 18)) * (130.0f / (1 << 18));
        sweep_vector(&s, x);
    }
    static const double unit[] = {0.78539816339744831, 0.17328679513998633, 0.5};
    for (int u = 0; u < 3; u++) {
        for (int i = 1; i < 16384; i++) {
            const uint32_t b = bits_of((float)(unit[u] * i));
            sweep_bits(&s, b - W / 2, 1, W);
            if (i < 512) sweep_bits(&s, (b | 1u << 31) - 32, 1, 64);
        }
    }
    cr_log_info("%-16s width %2d  %.3f ulp at %a\n", name, W, s.worst, (double)s.at);
}

/* Functions passed by address cannot be always_inline ones. */
#define WRAP(name)                \
    static vf wrap_##name(vf x) { \
        return vf_##name(x);      \
    }
WRAP(exp2_softmax)
WRAP(exp2)
WRAP(exp)
WRAP(log)
WRAP(log2)
WRAP(tanh)
WRAP(sigmoid)
WRAP(sin)
WRAP(cos)
WRAP(sqrt)
WRAP(floor)
WRAP(rint)

static double ref_sigmoid(double x) {
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

#define SWEEP(name, ref, limit, lo, hi) sweep_all(wrap_##name, ref, "vf_" #name, limit, lo, hi)

static void check_exp2_softmax(void) {
    SWEEP(exp2_softmax, exp2, 2.5, -126.0f, 126.99f);
    static const struct {
        float x, lo, hi;
    } row[] = {{0.0f, 1, 1},           {-0.0f, 1, 1},    {-1.0f, 0.5f, 0.5f},
               {-INFINITY, 0, 0},      {-FLT_MAX, 0, 0}, {-1000.0f, 0, 0},
               {-150.5f, 0, 0},        {3.0f, 8, 8},     {-127.0f, 0, 0x1p-127f},
               {-126.7f, 0, 0x1p-126f}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        float y[W];
        vf_storeu(y, vf_exp2_softmax(vf_set1(row[i].x)));
        for (int j = 0; j < W; j++) {
            CHECK(y[j] >= row[i].lo && y[j] <= row[i].hi && !signbit(y[j]), "2^%g gave %a",
                  (double)row[i].x, (double)y[j]);
        }
    }
    static const uint32_t nan[] = {0x7fc00000, 0xffc00000, 0x7fffffff, 0xffffffff, 0x7f800001,
                                   0xff800001, 0x7fdfffff, 0xffe00000, 0x7fc00081};
    for (size_t i = 0; i < sizeof nan / sizeof *nan; i++) {
        float y[W];
        vf_storeu(y, vf_exp2_softmax(vf_bits(vi_set1((int32_t)nan[i]))));
        for (int j = 0; j < W; j++) CHECK(y[j] != y[j], "NaN %x was lost", nan[i]);
    }
    /* Nearly monotone: from one float to the next it never falls by more than 2 ulp. */
    float last = 0;
    for (uint32_t b = bits_of(-2.0f); b > bits_of(-0x1p-30f); b -= 37) {
        float y[W];
        vf_storeu(y, vf_exp2_softmax(vf_set1(float_of(b))));
        CHECK(y[0] >= last - 0x1p-23f && y[0] <= 1, "2^%a", (double)float_of(b));
        last = y[0];
    }
}

static void check_functions(void) {
    SWEEP(exp2, exp2, 1.5, 0, 0);
    SWEEP(exp, exp, 1.5, 0, 0);
    SWEEP(log, log, 1.5, 0, 0);
    SWEEP(log2, log2, 2.5, 0, 0);
    SWEEP(tanh, tanh, 2.75, 0, 0);
    SWEEP(sigmoid, ref_sigmoid, 2.5, 0, 0);
    SWEEP(sin, sin, 2.5, 0, 0);
    SWEEP(cos, cos, 2.5, 0, 0);
    SWEEP(sqrt, sqrt, 0.5, 0, 0);
    SWEEP(floor, floor, 0.0, 0, 0);
    SWEEP(rint, rint, 0.0, 0, 0);
    static const struct {
        vector_fn *fn;
        float x, y;
    } row[] = {{wrap_exp, 0, 1},
               {wrap_exp, -INFINITY, 0},
               {wrap_exp2, -0.0f, 1},
               {wrap_exp2, 10, 1024},
               {wrap_log, 1, 0},
               {wrap_log, 0, -INFINITY},
               {wrap_log, -1, NAN},
               {wrap_log, -0.0f, -INFINITY},
               {wrap_log2, 0x1p-149f, -149},
               {wrap_log2, -INFINITY, NAN},
               {wrap_log, INFINITY, INFINITY},
               {wrap_tanh, -0.0f, -0.0f},
               {wrap_tanh, 0, 0},
               {wrap_tanh, INFINITY, 1},
               {wrap_tanh, -100, -1},
               {wrap_sigmoid, 0, 0.5f},
               {wrap_sigmoid, INFINITY, 1},
               {wrap_sigmoid, -INFINITY, 0},
               {wrap_sin, 0, 0},
               {wrap_sin, -0.0f, -0.0f},
               {wrap_sin, INFINITY, NAN},
               {wrap_cos, -0.0f, 1},
               {wrap_cos, -INFINITY, NAN},
               {wrap_floor, -0.0f, -0.0f},
               {wrap_floor, 0.5f, 0},
               {wrap_floor, -0x1p-149f, -1},
               {wrap_rint, 0.5f, 0},
               {wrap_rint, 1.5f, 2},
               {wrap_rint, -2.5f, -2},
               {wrap_rint, 0x1.fffffep-2f, 0},
               {wrap_rint, -126.50001f, -127},
               {wrap_sqrt, -0.0f, -0.0f}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        float y[W];
        vf_storeu(y, row[i].fn(vf_set1(row[i].x)));
        for (int j = 0; j < W; j++) {
            CHECK(same(y[j], row[i].y), "row %zu: f(%g) = %a", i, (double)row[i].x, (double)y[j]);
        }
    }
    /* A lane that goes to libm changes no other. */
    float x[W], y[W], z[W];
    for (int i = 0; i < W; i++) x[i] = random_float();
    vf_storeu(y, vf_sin(vf_loadu(x)));
    x[W - 1] = 1e30f;
    vf_storeu(z, vf_sin(vf_loadu(x)));
    CHECK(memcmp(y, z, sizeof y - sizeof *y) == 0, "lanes of vf_sin depend on each other");
    CHECK(ulps(z[W - 1], sin((double)1e30f)) < 1, "vf_sin(1e30)");
}

/* --- float operations --- */
static const float special[] = {0.0f,    -0.0f,    1.0f,        -1.0f,   2.5f,       -2.5f,
                                NAN,     INFINITY, -INFINITY,   FLT_MIN, -FLT_MIN,   0x1p-149f,
                                FLT_MAX, -FLT_MAX, 0.49999997f, -0.5f,   8388609.0f, -8388607.5f,
                                3e9f,    -3e9f,    1e-20f};
enum { SPECIALS = sizeof special / sizeof *special };

static float pick(int i) {
    return i < SPECIALS ? special[i] : random_float();
}

/* Mask to one bit a lane, by way of select. */
static unsigned lanes_of(vm m) {
    int32_t v[W];
    unsigned r = 0;
    vi_storeu(v, vi_select(m, vi_set1(1), vi_set1(0)));
    for (int i = 0; i < W; i++) r |= (unsigned)v[i] << i;
    return r;
}

static void check_float_ops(void) {
    for (int i = 0; i < 64; i++) {
        for (int j = 0; j < 64; j++) {
            float a[W], b[W], c[W], y[13][W];
            for (int k = 0; k < W; k++) a[k] = pick(i), b[k] = pick(k ? (j + k) % 64 : j);
            for (int k = 0; k < W; k++) c[k] = pick((i + j + k) % 64);
            const vf va = vf_loadu(a), vb = vf_loadu(b), vc = vf_loadu(c);
            vf_storeu(y[0], vf_add(va, vb));
            vf_storeu(y[1], vf_sub(va, vb));
            vf_storeu(y[2], vf_mul(va, vb));
            vf_storeu(y[3], vf_div(va, vb));
            vf_storeu(y[4], vf_min(va, vb));
            vf_storeu(y[5], vf_max(va, vb));
            vf_storeu(y[6], vf_neg(va));
            vf_storeu(y[7], vf_abs(va));
            vf_storeu(y[8], vf_fma(va, vb, vc));
            vf_storeu(y[9], vf_select(vf_lt(va, vb), vb, vc));
            vf_storeu(y[10], vf_floor(va));
            vf_storeu(y[11], vf_sqrt(va));
            vf_storeu(y[12], vf_select(vf_ne(va, vb), vb, vc));
            const unsigned lt = lanes_of(vf_lt(va, vb)), le = lanes_of(vf_le(va, vb));
            const unsigned gt = lanes_of(vf_gt(va, vb)), ge = lanes_of(vf_ge(va, vb));
            const unsigned eq = lanes_of(vf_eq(va, vb)), ne = lanes_of(vf_ne(va, vb));
            bool any = false;
            for (int k = 0; k < W; k++) {
                volatile float product = a[k] * b[k];
                const float fma = ATTN_SIMD_FMA ? fmaf(a[k], b[k], c[k]) : product + c[k];
                const float want[13] = {a[k] + b[k],
                                        a[k] - b[k],
                                        a[k] * b[k],
                                        a[k] / b[k],
                                        a[k] < b[k] ? a[k] : b[k],
                                        a[k] > b[k] ? a[k] : b[k],
                                        -a[k],
                                        fabsf(a[k]),
                                        fma,
                                        a[k] < b[k] ? b[k] : c[k],
                                        floorf(a[k]),
                                        sqrtf(a[k]),
                                        a[k] != b[k] ? b[k] : c[k]};
                for (int o = 0; o < 13; o++) {
                    CHECK(same(y[o][k], want[o]), "op %d of %g, %g, %g gave %g", o, (double)a[k],
                          (double)b[k], (double)c[k], (double)y[o][k]);
                }
                CHECK((lt >> k & 1) == (a[k] < b[k]) && (le >> k & 1) == (a[k] <= b[k]) &&
                          (gt >> k & 1) == (a[k] > b[k]) && (ge >> k & 1) == (a[k] >= b[k]) &&
                          (eq >> k & 1) == (a[k] == b[k]) && (ne >> k & 1) == (a[k] != b[k]),
                      "comparing %g with %g", (double)a[k], (double)b[k]);
                any |= a[k] > b[k];
            }
            CHECK(vf_any_gt(va, vb) == any, "vf_any_gt");
        }
    }
    /* -0 and NaN keep their bits through neg and abs. */
    float y[W];
    vf_storeu(y, vf_neg(vf_set1(0.0f)));
    CHECK(signbit(y[0]) && signbit(y[W - 1]), "vf_neg(0)");
    const float one = 1.5f;
    vf_storeu(y, vf_add(vf_bcast(&one), vf_zero()));
    for (int k = 0; k < W; k++) CHECK(y[k] == 1.5f, "vf_bcast");
}

/* --- integer operations --- */
static int32_t pick_int(int i) {
    static const int32_t edge[] = {0,
                                   1,
                                   -1,
                                   2,
                                   -2,
                                   3,
                                   -3,
                                   7,
                                   -7,
                                   31,
                                   32,
                                   33,
                                   -31,
                                   128,
                                   -128,
                                   INT32_MAX,
                                   INT32_MIN,
                                   INT32_MAX - 1,
                                   INT32_MIN + 1,
                                   65536,
                                   46341};
    const int n = sizeof edge / sizeof *edge;
    if (i < n) return edge[i];
    return (int32_t)(random_bits() >> random_bits() % 32) * (i % 2 ? 1 : -1);
}

static int32_t wrap32(int64_t x) {
    return (int32_t)(uint32_t)(uint64_t)x;
}

static int64_t floor_div(int64_t a, int64_t b) {
    const int64_t q = a / b;
    return q * b != a && (a < 0) != (b < 0) ? q - 1 : q;
}

static void check_int_ops(void) {
    for (int i = 0; i < 64; i++) {
        for (int j = 0; j < 64; j++) {
            int32_t a[W], b[W], y[14][W];
            float f[W];
            for (int k = 0; k < W; k++) a[k] = pick_int(i), b[k] = pick_int((j + k) % 64);
            const vi va = vi_loadu(a), vb = vi_loadu(b);
            vi_storeu(y[0], vi_add(va, vb));
            vi_storeu(y[1], vi_sub(va, vb));
            vi_storeu(y[2], vi_mul(va, vb));
            vi_storeu(y[3], vi_neg(va));
            vi_storeu(y[4], vi_abs(va));
            vi_storeu(y[5], vi_and(va, vb));
            vi_storeu(y[6], vi_or(va, vb));
            vi_storeu(y[7], vi_not(va));
            vi_storeu(y[8], vi_shl(va, vb));
            vi_storeu(y[9], vi_shr(va, vb));
            vi_storeu(y[10], vi_min(va, vb));
            vi_storeu(y[11], vi_max(va, vb));
            vi_storeu(y[12], vi_floordiv(va, vb));
            vi_storeu(y[13], vi_floormod(va, vb));
            vf_storeu(f, vi_to_f(vb));
            const unsigned lt = lanes_of(vi_lt(va, vb)), le = lanes_of(vi_le(va, vb));
            const unsigned gt = lanes_of(vi_gt(va, vb)), ge = lanes_of(vi_ge(va, vb));
            const unsigned eq = lanes_of(vi_eq(va, vb)), ne = lanes_of(vi_ne(va, vb));
            int32_t byte[4][W], picked[W];
            vi_storeu(byte[0], vi_byte(va, 0)), vi_storeu(byte[1], vi_byte(va, 1));
            vi_storeu(byte[2], vi_byte(va, 2)), vi_storeu(byte[3], vi_byte(va, 3));
            const uint8_t table[16] = {9, 255, 3, 0, 128, 127, 1, 2, 77, 4, 5, 6, 7, 8, 200, 10};
            vi_storeu(picked, vi_pick(table, vi_low_halves(va)));
            for (int k = 0; k < W; k++) {
                uint32_t want_picked = 0;
                for (int n = 0; n < 4; n++) {
                    const int32_t want_byte = (int32_t)((uint32_t)a[k] >> 8 * n & 255);
                    want_picked |= (uint32_t)table[want_byte & 15] << 8 * n;
                    CHECK(byte[n][k] == want_byte, "vi_byte(%d, %d) = %d", a[k], n, byte[n][k]);
                }
                CHECK(picked[k] == (int32_t)want_picked, "vi_pick(%d) = %d", a[k], picked[k]);
            }
            for (int k = 0; k < W; k++) {
                const int64_t x = a[k], z = b[k];
                const int32_t want[14] = {wrap32(x + z),
                                          wrap32(x - z),
                                          wrap32(x * z),
                                          wrap32(-x),
                                          wrap32(x < 0 ? -x : x),
                                          a[k] & b[k],
                                          a[k] | b[k],
                                          ~a[k],
                                          (int32_t)((uint32_t)a[k] << (z & 31)),
                                          a[k] >> (z & 31),
                                          a[k] < b[k] ? a[k] : b[k],
                                          a[k] > b[k] ? a[k] : b[k],
                                          z ? wrap32(floor_div(x, z)) : 0,
                                          z ? wrap32(x - floor_div(x, z) * z) : 0};
                for (int o = 0; o < 14; o++) {
                    CHECK(y[o][k] == want[o], "op %d of %d, %d gave %d, not %d", o, a[k], b[k],
                          y[o][k], want[o]);
                }
                CHECK(f[k] == (float)b[k], "vi_to_f(%d)", b[k]);
                CHECK((lt >> k & 1) == (x < z) && (le >> k & 1) == (x <= z) &&
                          (gt >> k & 1) == (x > z) && (ge >> k & 1) == (x >= z) &&
                          (eq >> k & 1) == (x == z) && (ne >> k & 1) == (x != z),
                      "comparing %d with %d", a[k], b[k]);
            }
        }
    }
    int32_t y[W];
    vi_storeu(y, vi_iota());
    for (int k = 0; k < W; k++) CHECK(y[k] == k, "vi_iota");
}

static void check_masks(void) {
    const unsigned full = W == 32 ? ~0u : (1u << W) - 1;
    CHECK(lanes_of(vm_set1(true)) == full && lanes_of(vm_set1(false)) == 0, "vm_set1");
    for (int n = -3; n <= W + 3; n++) {
        const unsigned want = n <= 0 ? 0 : n >= W ? full : (1u << n) - 1;
        const vm m = vm_first(n), o = vi_gt(vi_iota(), vi_set1(W / 2));
        CHECK(lanes_of(m) == want, "vm_first(%d)", n);
        CHECK(vm_any(m) == (want != 0) && vm_all(m) == (want == full), "any, all of %d", n);
        const unsigned other = lanes_of(o);
        CHECK(lanes_of(vm_and(m, o)) == (want & other), "vm_and");
        CHECK(lanes_of(vm_or(m, o)) == (want | other), "vm_or");
        CHECK(lanes_of(vm_not(m)) == (~want & full), "vm_not");
        CHECK(vm_all(vm_not(m)) == (want == 0) && vm_any(vm_not(m)) == (want != full), "not");
    }
}

/* --- memory: n floats that end, or start, at a page nobody may touch --- */
static float *guarded(size_t n, bool at_end) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t bytes = (4 * n + page - 1) / page * page;
    char *p =
        mmap(NULL, bytes + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED, "mmap");
    mprotect(p, page, PROT_NONE);
    mprotect(p + page + bytes, page, PROT_NONE);
    return (float *)(void *)(at_end ? p + page + bytes - 4 * n : p + page);
}

static void check_memory(void) {
    for (int n = 0; n <= W; n++) {
        for (int end = 0; end < 2; end++) {
            float *p = guarded((size_t)n, end), y[W];
            for (int i = 0; i < n; i++) p[i] = (float)(i + 1);
            vf_storeu(y, vf_loadn(p, n));
            for (int i = 0; i < W; i++) {
                CHECK(same(y[i], i < n ? (float)(i + 1) : 0.0f), "vf_loadn(%d)", n);
            }
            vf_storen(p, vf_set1(7.0f), n);
            for (int i = 0; i < n; i++) CHECK(p[i] == 7.0f, "vf_storen(%d)", n);
        }
        float q[W + 2];
        for (int i = 0; i < W + 2; i++) q[i] = -1.0f;
        vf_storen(q + 1, vf_set1(7.0f), n);
        for (int i = 0; i < W + 2; i++) {
            CHECK(q[i] == (i >= 1 && i <= n ? 7.0f : -1.0f), "vf_storen(%d) at %d", n, i - 1);
        }
    }
    float y[W], *p = guarded(W, true);
    for (int i = 0; i < W; i++) p[i] = (float)i;
    vf_storeu(y, vf_loadn(p, W + 5));
    CHECK(y[W - 1] == (float)(W - 1), "vf_loadn of more than a vector");
    vf_storeu(y, vf_loadn(p, -5));
    CHECK(y[0] == 0 && y[W - 1] == 0, "vf_loadn of less than nothing");

    _Alignas(64) float a[2 * W];
    _Alignas(64) int32_t b[2 * W];
    for (int i = 0; i < W; i++) a[i] = random_float(), b[i] = (int32_t)random_bits();
    vf_store(a + W, vf_load(a));
    vi_store(b + W, vi_load(b));
    CHECK(memcmp(a, a + W, ALIGN) == 0 && memcmp(b, b + W, ALIGN) == 0, "aligned loads");
    vf_storeu(a + W - 1, vf_loadu(a + 1));
    vi_storeu(b + W - 1, vi_loadu(b + 1));
    CHECK(memcmp(a + W - 1, a + 1, ALIGN - 8) == 0 && memcmp(b + W - 1, b + 1, ALIGN - 8) == 0,
          "unaligned loads");

    int32_t idx[W];
    for (int i = 0; i < W; i++) idx[i] = (i * 7 + 3) % W - W;
    vf_storeu(y, vf_gather(a + W, vi_loadu(idx)));
    int32_t z[W];
    vi_storeu(z, vi_gather(b + W, vi_loadu(idx)));
    for (int i = 0; i < W; i++) {
        CHECK(y[i] == a[W + idx[i]] && z[i] == b[W + idx[i]], "gather with negative indexes");
    }
    ATTN_PREFETCH_L1((uintptr_t)y);
    ATTN_PREFETCH_L2((uintptr_t)4096);

    vf u[W];
    vi v[W];
    for (int i = 0; i < W; i++) u[i] = vf_set1((float)i), v[i] = vi_set1(i);
    for (int i = 0; i < W; i++) {
        vf_storeu(y, vf_add(u[i], vi_to_f(v[i])));
        CHECK(y[i] == (float)(2 * i), "arrays of vectors");
    }
}

static void check_side(const float *p, const int32_t *q, int32_t n, int32_t base) {
    float y[2][W];
    int32_t z[2][W];
    vf_storeu(y[0], vf_load_side(p, base, n));
    vf_storeu(y[1], vf_load_side_rev(p, base, n));
    vi_storeu(z[0], vi_load_side(q, base, n));
    vi_storeu(z[1], vi_load_side_rev(q, base, n));
    for (int i = 0; i < W; i++) {
        for (int r = 0; r < 2; r++) {
            int64_t at = r ? (int64_t)base - i : (int64_t)base + i;
            at = at < 0 || n == 0 ? 0 : at > n - 1 ? n - 1 : at;
            CHECK(y[r][i] == (float)at && z[r][i] == at, "side load %d of %d, base %d", r, n, base);
        }
    }
}

static void check_sides(void) {
    static const int32_t far[] = {INT32_MIN, INT32_MIN + 1, -1000, 1000, INT32_MAX - 3, INT32_MAX};
    static const int32_t sizes[] = {0, 1, 2, W - 1, W, W + 1, 2 * W + 3};
    for (size_t s = 0; s < 2 * (sizeof sizes / sizeof *sizes); s++) {
        const int32_t n = sizes[s / 2];
        float *p = guarded((size_t)n, s % 2);
        int32_t *q = (int32_t *)(void *)guarded((size_t)n, s % 2);
        for (int i = 0; i < n; i++) p[i] = (float)i, q[i] = i;
        for (int32_t base = -W - 2; base < n + W + 2; base++) check_side(p, q, n, base);
        for (size_t i = 0; i < sizeof far / sizeof *far; i++) check_side(p, q, n, far[i]);
    }
    /* The largest n: only the indexes, as nobody has such a tensor at hand. */
    for (int32_t base = INT32_MAX - 2 * W; base < INT32_MAX; base++) {
        int32_t i[W], r[W];
        vi_storeu(i, attn__side_index(base, INT32_MAX));
        vi_storeu(r, attn__side_index_rev(base, INT32_MAX));
        for (int k = 0; k < W; k++) {
            const int64_t f = (int64_t)base + k, g = (int64_t)base - k, top = INT32_MAX - 1;
            CHECK(i[k] == (f < top ? f : top) && r[k] == (g < top ? g : top), "index at %d", base);
        }
    }
    int32_t i[W];
    vi_storeu(i, attn__side_index(INT32_MIN, INT32_MAX));
    CHECK(i[0] == 0 && i[W - 1] == 0, "index at INT32_MIN");
}

/* --- reductions --- */
static void check_strides(const float *x, int r, vf add, vf max) {
    float s[W], m[W];
    vf_storeu(s, add);
    vf_storeu(m, max);
    for (int i = 0; i < W; i++) {
        double sum = 0, size = 0;
        float top = -INFINITY;
        for (int j = i % r; j < W; j += r) {
            sum += (double)x[j];
            size += fabs((double)x[j]);
            if (x[j] > top) top = x[j];
        }
        CHECK(fabs((double)s[i] - sum) <= size * 0x1p-22, "vf_stride_add(%d) lane %d", r, i);
        CHECK(bits_of(s[i]) == bits_of(s[i % r]), "vf_stride_add(%d): lanes differ", r);
        CHECK(m[i] == top && bits_of(m[i]) == bits_of(m[i % r]), "vf_stride_max(%d)", r);
    }
}

static void check_repeat(const float *x, int r, vf repeated) {
    float a[W];
    vf_storeu(a, repeated);
    for (int i = 0; i < W; i++) CHECK(a[i] == x[i / r], "vf_repeat(%d) lane %d", r, i);
}

static void check_reductions(void) {
    for (int t = 0; t < 200; t++) {
        float x[W][W], y[W], z[W][W];
        vf a[W];
        for (int i = 0; i < W; i++) {
            for (int j = 0; j < W; j++) x[i][j] = random_float();
            a[i] = vf_loadu(x[i]);
        }
        float few[4][VF_WIDTH];
        vf_storeu(few[0], vf_sums_few(a, 1)), vf_storeu(few[1], vf_sums_few(a, 2));
        vf_storeu(few[2], vf_sums_few(a, 3)), vf_storeu(few[3], vf_sums_few(a, 4));
        vf_storeu(y, vf_sums(a));
        for (int i = 0; i < W; i++) {
            CHECK(bits_of(y[i]) == bits_of(vf_reduce_add(a[i])), "vf_sums lane %d", i);
            for (int n = 1; n <= 4; n++)
                CHECK(bits_of(few[n - 1][i]) == (i < n ? bits_of(y[i]) : 0), "vf_sums_few %d", n);
            float top = x[i][0];
            double sum = 0;
            for (int j = 0; j < W; j++) {
                top = x[i][j] > top ? x[i][j] : top;
                sum += (double)x[i][j];
            }
            CHECK(vf_reduce_max(a[i]) == top, "vf_reduce_max");
            CHECK(fabs((double)y[i] - sum) <= 8.0 * W * 0x1p-23, "vf_reduce_add");
            check_repeat(x[i], 1, vf_repeat(x[i], 1));
            check_repeat(x[i], 2, vf_repeat(x[i], 2));
            check_repeat(x[i], 4, vf_repeat(x[i], 4));
            check_repeat(x[i], W, vf_repeat(x[i], W));
            if (W > 8) check_repeat(x[i], 8, vf_repeat(x[i], 8));
            check_strides(x[i], 1, vf_stride_add(a[i], 1), vf_stride_max(a[i], 1));
            check_strides(x[i], 2, vf_stride_add(a[i], 2), vf_stride_max(a[i], 2));
            check_strides(x[i], 4, vf_stride_add(a[i], 4), vf_stride_max(a[i], 4));
#if VF_WIDTH >= 8
            check_strides(x[i], 8, vf_stride_add(a[i], 8), vf_stride_max(a[i], 8));
#endif
#if VF_WIDTH >= 16
            check_strides(x[i], 16, vf_stride_add(a[i], 16), vf_stride_max(a[i], 16));
#endif
        }
        vf_transpose(a);
        for (int i = 0; i < W; i++) vf_storeu(z[i], a[i]);
        for (int i = 0; i < W; i++) {
            for (int j = 0; j < W; j++) {
                CHECK(bits_of(z[i][j]) == bits_of(x[j][i]), "vf_transpose %d %d", i, j);
            }
        }
    }
    /* Signed zeros and NaN: congruent lanes still get the same bits. */
    for (int t = 0; t < 200; t++) {
        static const float odd[] = {0.0f, -0.0f, NAN, -1.0f};
        float x[W], y[W];
        for (int i = 0; i < W; i++) x[i] = odd[random_bits() >> 16 & 3];
        vf_storeu(y, vf_stride_max(vf_loadu(x), 2));
        for (int i = 2; i < W; i++) CHECK(bits_of(y[i]) == bits_of(y[i - 2]), "vf_stride_max");
        vf_storeu(y, vf_stride_add(vf_loadu(x), 1));
        for (int i = 1; i < W; i++) CHECK(bits_of(y[i]) == bits_of(y[0]), "vf_stride_add");
    }
}

/* vf_int: towards zero; the nearest that 32 bits hold, and 0 of NaN. */
static void check_whole(void) {
    for (int t = 0; t < SPECIALS + 200; t++) {
        const float scale = t % 2 ? 0x1p31f : 100;
        const float x = t < SPECIALS ? special[t] : scale * 2 * random_float();
        const double want = isnan(x) ? 0 : fmin(fmax(trunc((double)x), -0x1p31), 0x1p31 - 1);
        int32_t got[W];
        vi_storeu(got, vf_int(vf_set1(x)));
        for (int j = 0; j < W; j++) CHECK((double)got[j] == want, "vf_int(%a)", (double)x);
    }
}

/* Side by side or alone: the same bits. vf_exp2_lazy_each: also where a sum must show an overflow.
 */
static void check_each(void) {
    for (int t = 0; t < 200; t++) {
        float x[4][W], y[W], z[W];
        vf tanhs[4], exps[4], lazy[4];
        for (int i = 0; i < 4; i++) {
            for (int j = 0; j < W; j++) x[i][j] = 40 * random_float();
            tanhs[i] = exps[i] = vf_loadu(x[i]);
            lazy[i] = vf_set1(i < 2 ? 3.0f : 126.0f + (float)(t << i));
        }
        vf_tanh_each(tanhs, 3), vf_exp2_softmax_each(exps, 4), vf_exp2_lazy_each(lazy, 4);
        for (int i = 0; i < 4; i++) {
            const vf one = i < 3 ? vf_tanh(vf_loadu(x[i])) : vf_loadu(x[i]);
            vf_storeu(y, tanhs[i]), vf_storeu(z, one);
            for (int j = 0; j < W; j++) CHECK(bits_of(y[j]) == bits_of(z[j]), "vf_tanh_each %d", i);
            vf_storeu(y, exps[i]), vf_storeu(z, vf_exp2_softmax(vf_loadu(x[i])));
            for (int j = 0; j < W; j++) CHECK(bits_of(y[j]) == bits_of(z[j]), "exp2 each %d", i);
            vf_storeu(y, lazy[i]);
            for (int j = 0; j < W; j++) CHECK(i < 2 ? y[j] == 8 : y[j] >= 0x1p126f, "lazy %d", i);
        }
    }
}

#include "simd_types.h"
#ifdef SIMD_BYTES
#include "simd_integers.h"
#endif
#ifdef SIMD_PAIRS
#include "simd_pairs.h"
#endif

ATTN_TARGET_END

#define SIMD_TEST(name)                                              \
    Test(SIMD_SUITE, name) {                                         \
        if (!SIMD_SUPPORTED) cr_skip_test("this CPU cannot run it"); \
        check_##name();                                              \
    }
SIMD_TEST(exp2_softmax)
SIMD_TEST(functions)
SIMD_TEST(float_ops)
SIMD_TEST(int_ops)
SIMD_TEST(masks)
SIMD_TEST(memory)
SIMD_TEST(sides)
SIMD_TEST(reductions)
SIMD_TEST(whole)
SIMD_TEST(each)
SIMD_TEST(types)
#ifdef SIMD_BYTES
SIMD_TEST(bytes)
#endif
#ifdef SIMD_INTEGERS
SIMD_TEST(integers)
#endif
#ifdef SIMD_PAIRS
SIMD_TEST(pair_products)
#endif
