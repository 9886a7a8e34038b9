/* stores.c - keys and values as cores store them: attn_store_rows against the contract's rules,
 * restated here, and what is refused of rows and of scales. */
#include "property.h"
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { B = 2, TOKENS = 7, LQ = 3, WIDEST = 24, MOST = 2 * 2 * 8 * (WIDEST + 3) };

enum core { FLOATS, BF16, F16, I8, TURNED, SHARED, CORES, PAGED = CORES, ALL };
static const char *const fields[ALL] = {
    [FLOATS] = "heads=2;head_dim=8",
    [BF16] = "heads=2;head_dim=8;kv_type=bf16",
    [F16] = "heads=2;head_dim=8;type=bf16;kv_type=f16",
    [I8] = "heads=2;head_dim=8;v_dim=5;kv_type=i8",
    [TURNED] = "heads=2;head_dim=24;v_dim=8;kv_type=i8;rotate=true", /* blocks of 8 */
    [SHARED] =
        "form=mla;key=shared;heads=2;retr_dim=16;kv_comp_dim=8;scale=1;kv_type=i8;rotate=true",
    [PAGED] = "heads=2;kv_heads=1;head_dim=8;v_dim=5;kv_type=i8;layout=paged;page=16",
};

typedef struct store_test {
    arena *a;
    const kernel_lib *lib;
    attn_plan *plan[ALL];
    kernel_spec spec[ALL];
    int checks, failures;
} store_test;

static void expect(store_test *t, bool ok, const char *what, const char *more) {
    t->checks++;
    if (ok) return;
    t->failures++;
    printf("FAIL stores: %s: %s\n", what, more);
}

/* --- What is stored --- */

/* Rows of all kinds: the kind goes by the row's number. */
static void fill_row(rng *r, int row, float *x, int32_t width) {
    for (int32_t d = 0; d < width; d++) {
        x[d] = rng_normal(r);
        if (row % 7 == 1) x[d] = 0;
        if (row % 7 == 2) x[d] = ldexpf(x[d], -103); /* next to nothing */
        if (row % 7 == 3) x[d] = (float)(d - 3);     /* 127 steps of 1 or so: ties of bf16 and i8 */
        if (row % 7 == 4) x[d] = ldexpf(x[d], 120);
        if (row % 7 == 6)
            x[d] = ldexpf(2048 + (float)(d % 4), -20 - d); /* ties of f16, subnormal */
    }
    if (row % 7 == 6) x[0] = 65519.996f, x[1] = -65520; /* where f16 becomes infinite */
    if (row % 7 == 3) x[0] = 254, x[1] = 1, x[2] = 3;
    if (row % 7 == 5) x[width - 1] = row % 2 ? NAN : INFINITY;
}

/* Storage types, rotation: H k of the last `width` columns, entry by entry. */
static void turn(const float *from, float *to, int32_t dim, int32_t width) {
    int32_t n = 1;
    while (width % (2 * n) == 0) n *= 2;
    memcpy(to, from, sizeof(float) * (size_t)dim);
    for (int32_t at = dim - width; at < dim; at += n)
        for (int32_t i = 0; i < n; i++) {
            long double sum = 0;
            for (int32_t j = 0; j < n; j++)
                sum +=
                    __builtin_parity((unsigned)(i & j)) ? -(long double)from[at + j] : from[at + j];
            to[at + i] = (float)(sum / sqrtl(n));
        }
}

/* Storage types, rounding of i8. */
static bool is_rounded(const int8_t *code, float scale, const float *x, int32_t width) {
    float most = 0;
    bool finite = true;
    for (int32_t d = 0; d < width; d++)
        finite = finite && isfinite(x[d]), most = fmaxf(most, fabsf(x[d]));
    const bool none = !finite || most < ldexpf(1, -100);
    const volatile float want = !finite ? NAN
                                : none  ? 0
                                        : most / 127,
                         inverse = none ? 0 : 127 / most;
    if (finite ? scale != want : !isnan(scale)) return false;
    for (int32_t d = 0; d < width; d++) {
        const volatile float product = none ? 0 : x[d] * inverse;
        if ((float)code[d] != nearbyintf(product)) return false;
    }
    return true;
}

/* The upper half, rounded by what is cut off. */
static uint16_t upper(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (isnan(x)) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Steps of 2^-24 below 2^-14, of 2^-10 of the leading power above; from 65520 on infinity. */
static bool is_half(uint16_t half, float x) {
    const int sign = half >> 15, exponent = half >> 10 & 31, rest = half & 1023;
    if (isnan(x)) return exponent == 31 && rest >> 9;
    if (sign != !!signbit(x)) return false;
    const double size = fabs((double)x);
    if (size >= 65520) return exponent == 31 && !rest;
    if (exponent == 31) return false;
    const double step = ldexp(1, (exponent ? exponent : 1) - 25);
    const double value = step * (rest + (exponent ? 1024 : 0)), off = fabs(size - value);
    const bool even = !(rest & 1), least = exponent > 1 && !rest; /* the step below is half */
    const double most = least && size < value ? step / 4 : step / 2;
    return off < most || (off == most && even);
}

static bool is_stored(enum core k, const void *to, int64_t at, float scale, const float *x,
                      int32_t width) {
    if (k == FLOATS) return !memcmp((const float *)to + at, x, sizeof(float) * (size_t)width);
    if (k >= I8) return is_rounded((const int8_t *)to + at, scale, x, width);
    const uint16_t *bits = (const uint16_t *)to + at;
    for (int32_t d = 0; d < width; d++)
        if (k == F16 ? !is_half(bits[d], x[d]) : bits[d] != upper(x[d])) return false;
    return true;
}

static const size_t sizes[CORES] = {4, 2, 2, 1, 1, 1};

/* An operand of a core: rows within tokens within heads, with gaps, that no store touches. */
static void store_operand(store_test *t, enum core k, attn_operand which) {
    const attn_spec *s = &t->spec[k].core;
    const bool shared = k == SHARED, keys = which == ATTN_OPERAND_K;
    const int32_t heads = keys ? s->kv_heads : s->v_heads;
    const int32_t width = !keys ? s->v_dim : shared ? s->kv_comp_dim + s->retr_dim : s->head_dim;
    static float from[MOST], scale[2 * MOST];
    static uint8_t to[4 * MOST], before[4 * MOST];
    rng r = {(uint64_t)k + 1};
    memset(to, 0x5a, sizeof to);
    memcpy(before, to, sizeof to);
    for (int i = 0; i < 2 * MOST; i++) scale[i] = 77;
    const int64_t step = width + 3, head = TOKENS * step, batch = heads * head;
    for (int row = 0; row < B * heads * TOKENS; row++) fill_row(&r, row, from + row * step, width);
    const attn_rows rows = {.struct_size = sizeof rows,
                            .batch = B,
                            .tokens = TOKENS,
                            .from = {from, batch, head, step},
                            .to = {to, batch, step, heads * step}, /* heads within tokens */
                            .scale = {k >= I8 ? scale : NULL, 2 * heads * TOKENS, 2 * TOKENS, 2}};
    const attn_status status = t->lib->store_rows(t->plan[k], which, &rows);
    expect(t, status == ATTN_OK, fields[k], t->lib->status_text(status));
    for (int b = 0; b < B; b++)
        for (int h = 0; h < heads; h++)
            for (int i = 0; i < TOKENS; i++) {
                const float *x = from + b * batch + h * head + i * step;
                float turned[WIDEST];
                if (keys && (k == TURNED || shared)) {
                    turn(x, turned, width, shared ? s->retr_dim : width);
                    x = turned;
                }
                const int64_t at = b * batch + h * step + i * heads * step;
                float *own = &scale[((int64_t)(b * heads + h) * TOKENS + i) * 2];
                expect(t, is_stored(k, to, at, *own, x, width), fields[k],
                       "a row is not as it should be");
                expect(t, own[1] == 77 && (k >= I8 || own[0] == 77), fields[k],
                       "a scale in between");
                memcpy(to + (size_t)at * sizes[k], before, (size_t)width * sizes[k]);
            }
    expect(t, !memcmp(to, before, sizeof to), fields[k], "wrote between the rows");
}

/* --- What is refused --- */

static void refuse_rows(store_test *t, enum core k, attn_operand which, const attn_rows *rows,
                        attn_status want, const char *says) {
    char text[ATTN_MESSAGE_MAX] = "?";
    const attn_plan *plan = k < CORES ? t->plan[k] : NULL;
    expect(t, t->lib->store_check(plan, which, rows, text, sizeof text) == want, says, text);
    expect(t, want == ATTN_OK ? !*text : strstr(text, says) != NULL, says, text);
    expect(t, t->lib->store_rows(plan, which, rows) == want, says, "the call's own status");
}

#define ROWS(core, operand, spoil, want, says)                \
    do {                                                      \
        attn_rows r = {sizeof r,                              \
                       2,                                     \
                       3,                                     \
                       {from, 48, 24, 8},                     \
                       {to, 48, 24, 8},                       \
                       {core >= I8 ? scale : NULL, 6, 3, 1}}; \
        spoil;                                                \
        refuse_rows(t, core, operand, &r, want, says);        \
    } while (0)

static void check_rows(store_test *t) {
    static float from[96 * 3], to[96], scale[16];
    const attn_operand k = ATTN_OPERAND_K, v = ATTN_OPERAND_V;
    refuse_rows(t, CORES, k, NULL, ATTN_E_ARGUMENT, "plan is null");
    refuse_rows(t, I8, k, NULL, ATTN_E_ARGUMENT, "rows is null");
    ROWS(I8, k, (void)0, ATTN_OK, "");
    ROWS(FLOATS, v, (void)0, ATTN_OK, "");
    ROWS(I8, (attn_operand)7, (void)0, ATTN_E_ARGUMENT,
         "operand is 7: must be ATTN_OPERAND_K or ATTN_OPERAND_V");
    ROWS(SHARED, v, (void)0, ATTN_E_UNUSED,
         "operand is ATTN_OPERAND_V: v is the first columns of k, and stored with it");
    ROWS(I8, k, r.struct_size -= 8, ATTN_E_ABI, "rows.struct_size is ");
    ROWS(I8, k, r.batch = -1, ATTN_E_ARGUMENT, "batch is -1: must be from 0 to");
    ROWS(I8, k, r.tokens = -1, ATTN_E_ARGUMENT, "tokens is -1");
    ROWS(I8, k, r.from.data = NULL, ATTN_E_ARGUMENT, "from.data is null");
    ROWS(I8, k, r.to.data = NULL, ATTN_E_ARGUMENT, "to.data is null");
    ROWS(
        I8, k, r.scale.data = NULL, ATTN_E_ARGUMENT,
        "scale.data is null: must have room for floats, [batch, heads, tokens] = [2, 2, 3], as the "
        "rows are stored in i8");
    ROWS(BF16, k, r.scale.data = scale, ATTN_E_UNUSED,
         "scale.data is given: must be null, as bf16 has no scales");
    ROWS(I8, k, r.to.token = 7, ATTN_E_ARGUMENT, "to.token is 7: rows of to overlap");
    ROWS(I8, k, r.scale.token = 0, ATTN_E_ARGUMENT, "scale.token is 0: rows of scale overlap");
    ROWS(I8, k, r.to.data = from, ATTN_E_ARGUMENT, "to overlaps from");
    ROWS(I8, k, r.scale.data = to, ATTN_E_ARGUMENT, "overlaps");
    ROWS(I8, k, (r.tokens = 0, r.from.data = NULL, r.to.data = NULL, r.scale.data = NULL), ATTN_OK,
         "");
}

/* A call with its scales, for a test to spoil. */
static void refuse_call(store_test *t, enum core k, void (*spoil)(attn_args *a), attn_status want,
                        const char *says) {
    static float qo[2][B * 2 * LQ * WIDEST], scale[B * 2 * TOKENS];
    static float kv[B * 2 * TOKENS * WIDEST]; /* of any type: zeros */
    const attn_spec *s = &t->spec[k].core;
    const int64_t d = k == SHARED ? s->kv_comp_dim + s->retr_dim : s->head_dim, dv = s->v_dim;
    const int64_t hk = s->kv_heads, hv = s->v_heads;
    attn_args a = ATTN_ARGS_INIT;
    a.batch = B, a.q_len = LQ, a.kv_len_max = TOKENS;
    a.q = (attn_view){qo[0], 2 * LQ * d, LQ * d, d};
    a.k = (attn_view){kv, hk * TOKENS * d, TOKENS * d, d};
    a.v = k == SHARED ? a.k : (attn_view){kv, hv * TOKENS * dv, TOKENS * dv, dv};
    a.o = (attn_out){qo[1], 2 * LQ * dv, LQ * dv, dv};
    if (k >= I8) a.k_scale = (attn_scales){scale, hk * TOKENS, TOKENS, 1};
    if (k == I8 || k == TURNED) a.v_scale = (attn_scales){scale, hv * TOKENS, TOKENS, 1};
    const attn_extent e = {sizeof e, B, LQ, TOKENS, 1, 0};
    t->lib->workspace(t->plan[k], &e, &a.workspace_bytes);
    a.workspace = attn_align(arena_alloc(t->a, a.workspace_bytes + 64));
    if (spoil) spoil(&a);
    char text[ATTN_MESSAGE_MAX] = "?";
    expect(t, t->lib->plan_check(t->plan[k], &a, text, sizeof text) == want, says, text);
    expect(t, want == ATTN_OK ? !*text : strstr(text, says) != NULL, says, text);
    expect(t, t->lib->run(t->plan[k], &a) == want, says, "the call's own status");
}

static const float some_scale[64];
static void no_k(attn_args *a) {
    a->k_scale.data = NULL;
}
static void no_v(attn_args *a) {
    a->v_scale.data = NULL;
}
static void with_k(attn_args *a) {
    a->k_scale.data = some_scale;
}
static void with_v(attn_args *a) {
    a->v_scale.data = some_scale;
}
static void k_in_o(attn_args *a) {
    a->k_scale.data = a->o.data;
}
static void v_in_o(attn_args *a) {
    a->v_scale.data = a->o.data;
}
static void far(attn_args *a) {
    a->v_scale.head = INT64_MAX;
}
static void older(attn_args *a) {
    a->struct_size = offsetof(attn_args, k_scale);
}
static void no_keys(attn_args *a) {
    a->kv_len_max = 0, a->k.data = a->v.data = NULL, a->k_scale.data = a->v_scale.data = NULL;
}

static void check_scales(store_test *t) {
    for (int k = 0; k < CORES; k++) refuse_call(t, (enum core)k, NULL, ATTN_OK, "");
    for (int k = 0; k < CORES; k++) refuse_call(t, (enum core)k, no_keys, ATTN_OK, "");
    refuse_call(
        t, I8, no_k, ATTN_E_ARGUMENT,
        "k_scale.data is null: must hold floats, [batch, heads, length] = [2, 2, 7], as k and "
        "v are stored in i8");
    refuse_call(t, I8, no_v, ATTN_E_ARGUMENT, "v_scale.data is null: must hold floats");
    refuse_call(t, SHARED, no_k, ATTN_E_ARGUMENT, "k_scale.data is null: must hold floats");
    refuse_call(t, SHARED, with_v, ATTN_E_UNUSED,
                "v_scale.data is given: must be null, as v is the first columns of k, whose scales "
                "serve both");
    refuse_call(t, FLOATS, with_k, ATTN_E_UNUSED,
                "k_scale.data is given: must be null, as the type of k and v has no scales");
    refuse_call(t, BF16, with_v, ATTN_E_UNUSED, "v_scale.data is given: must be null, as the type");
    refuse_call(t, F16, with_k, ATTN_E_UNUSED, "k_scale.data is given: must be null, as the type");
    refuse_call(t, I8, k_in_o, ATTN_E_ARGUMENT, "o overlaps k_scale");
    refuse_call(t, TURNED, v_in_o, ATTN_E_ARGUMENT, "o overlaps v_scale");
    refuse_call(t, I8, far, ATTN_E_ARGUMENT, "v_scale does not fit the address space");
    refuse_call(t, FLOATS, older, ATTN_OK, "");
    refuse_call(t, I8, older, ATTN_E_ARGUMENT, "k_scale.data is null");
}

/* What attn_sizes says of a call with 33 keys: of pages of 16 three, whole. */
static void check_sizes(store_test *t) {
    static const struct {
        int64_t q, k, v, o, k_scale, v_scale, pages;
    } want[ALL] = {
        [FLOATS] = {.q = 96, .k = 1056, .v = 1056, .o = 96},
        [BF16] = {.q = 96, .k = 1056, .v = 1056, .o = 96},
        [F16] = {.q = 96, .k = 1056, .v = 1056, .o = 96},
        [I8] = {.q = 96, .k = 1056, .v = 660, .o = 60, .k_scale = 132, .v_scale = 132},
        [TURNED] = {.q = 288, .k = 3168, .v = 1056, .o = 96, .k_scale = 132, .v_scale = 132},
        [SHARED] = {.q = 288, .k = 1584, .v = 528, .o = 96, .k_scale = 66},
        [PAGED] = {.q = 96, .k = 768, .v = 480, .o = 60, .k_scale = 96, .v_scale = 96, .pages = 6},
    };
    for (int k = 0; k < ALL; k++) {
        const attn_extent e = {sizeof e, B, LQ, 33, 1, 0};
        attn_size s;
        attn_key_size keys;
        size_t bytes = 0;
        expect(t, t->lib->sizes(t->plan[k], &e, &s) == ATTN_OK, fields[k], "attn_sizes");
        expect(t, t->lib->key_sizes(t->plan[k], &e, &keys) == ATTN_OK, fields[k], "attn_key_sizes");
        expect(t, t->lib->workspace(t->plan[k], &e, &bytes) == ATTN_OK && bytes == s.workspace,
               fields[k], "attn_sizes: the workspace");
        expect(t,
               s.q == want[k].q && s.k == want[k].k && s.v == want[k].v && s.o == want[k].o &&
                   s.lse == B * 2 * LQ,
               fields[k], "attn_sizes: elements");
        expect(t,
               keys.k_scale == want[k].k_scale && keys.v_scale == want[k].v_scale &&
                   keys.pages == want[k].pages,
               fields[k], "attn_sizes: scales and pages");
    }
}

int property_stores(const property_options *o) {
    arena *a = arena_new();
    store_test t = {.a = a};
    int failures = 1;
    t.lib = property_plans(a, "stores", &o->build, fields, ALL, t.spec, t.plan);
    if (t.lib) {
        for (int k = 0; k < CORES; k++) {
            store_operand(&t, (enum core)k, ATTN_OPERAND_K);
            if (k != SHARED) store_operand(&t, (enum core)k, ATTN_OPERAND_V);
        }
        check_rows(&t);
        check_scales(&t);
        check_sizes(&t);
        for (int k = 0; k < ALL; k++) t.lib->plan_destroy(t.plan[k]);
        printf("property: %d status checks (stores), %d failed\n", t.checks, t.failures);
        failures = t.failures;
    }
    arena_free(a);
    return failures;
}
