/* test_expr.c - the expression language: refusals, precedence, canonical text; then random
 * expressions, whose emitted C is compiled, loaded and compared with the oracle; then the tile
 * classifier against brute force. Run in the repository root (or define ATTN_ROOT). */
#include "expr/expr.h"
#include "simd/interval.h"
#include "spec.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef ATTN_ROOT
#define ATTN_ROOT "."
#endif

/* --- What the expressions may use. --- */
enum { HEADS = 4, BATCH = 2, Q_LEN = 11, LK = 150, TENSORS = 6, SCALARS = 2 };

static attn_spec spec;
static attn_side_decl tensors[TENSORS];
static expr_scalar scalars[SCALARS];
static expr_env env = {&spec, tensors, TENSORS, scalars, SCALARS};

static void set_up(arena *a) {
    static const char *const tensor[TENSORS] = {
        "slope=f32[heads]",         "doc=i32[kv_len]", "table=f32[heads][21]",
        "seg = i32 [batch][q_len]", "perm=i32[16]",    "cube=f32[2][kv_heads][kv_len]"};
    memset(&spec, 0, sizeof spec);
    int32_t *const unset[] = {&spec.v_dim,    &spec.right_window, &spec.kv_comp_dim,
                              &spec.retr_dim, &spec.q_comp_dim,   &spec.lookback};
    for (int i = 0; i < 6; i++) *unset[i] = ATTN_UNSET;
    spec.heads = HEADS;
    spec.kv_heads = spec.v_heads = 2;
    spec.head_dim = 64;
    spec.window = 5;
    expr_error err;
    for (int i = 0; i < TENSORS; i++)
        cr_assert(expr_parse_tensor(a, tensor[i], &tensors[i], &err), "%s", err.text);
    cr_assert(expr_parse_scalar(a, "prefix=i32", &scalars[0], &err));
    cr_assert(expr_parse_scalar(a, "temp = f32", &scalars[1], &err));
}

static float slope[HEADS] = {0.5f, 0.25f, -0.125f, 1.5f};
static float table[HEADS * 21], cube[2 * 2 * LK];
static int32_t doc[LK], seg[BATCH * Q_LEN], perm[16];
static attn_side sides[TENSORS] = {{slope, HEADS},      {doc, LK},  {table, HEADS * 21},
                                   {seg, BATCH *Q_LEN}, {perm, 16}, {cube, 4 * LK}};
static attn_scalar scalar_values[SCALARS];

static uint64_t state;

static uint32_t rnd(uint32_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % n;
}

static void fill_data(void) {
    state = 42;
    for (int i = 0; i < HEADS * 21; i++) table[i] = (float)(rnd(64)) / 16.0f - 2.0f;
    for (int i = 0; i < 4 * LK; i++) cube[i] = (float)(rnd(64)) / 32.0f - 1.0f;
    for (int i = 0; i < LK; i++) doc[i] = i / 17;
    for (int i = 0; i < BATCH * Q_LEN; i++) seg[i] = (int32_t)rnd(20) - 3;
    for (int i = 0; i < 16; i++) perm[i] = (int32_t)rnd(16);
    scalar_values[0].i32 = 7;
    scalar_values[1].f32 = 0.75f;
}

static expr *parse(arena *a, const char *text, expr_kind kind) {
    expr_error err;
    expr *e = expr_parse(a, text, kind, &env, &err);
    cr_assert(e, "%s\n%zu: %s", text, err.offset, err.text);
    return e;
}

static expr_point point_at(int32_t h, int32_t q, int32_t k, double s) {
    return (expr_point){.b = 1,
                        .h = h,
                        .q = q,
                        .k = k,
                        .q_start = 2,
                        .q_len = Q_LEN,
                        .kv_len = LK - 3,
                        .s = s,
                        .batch = BATCH,
                        .kv_len_max = LK,
                        .side = sides,
                        .scalars = scalar_values};
}

/* --- Refusals. --- */
typedef struct refusal {
    expr_kind kind;
    const char *text;
    size_t offset;
    const char *says; /* part of the message */
} refusal;

Test(expr, refusals) {
    static const refusal table_of[] = {
        {EXPR_MASK, "", 0, "empty"},
        {EXPR_MASK, "   ", 3, "empty"},
        {EXPR_MASK, "(k <= q", 7, "')'"},
        {EXPR_MASK, "k <= q)", 6, "closes nothing"},
        {EXPR_MASK, "k <= q q", 7, "operator"},
        {EXPR_MASK, "k <=", 4, "end of the text"},
        {EXPR_MASK, "0 <= k <= q", 7, "chain"},
        {EXPR_MASK, "k = q", 2, "=="},
        {EXPR_MASK, "!true", 0, "not"},
        {EXPR_MASK, "(k < q) ^ 1", 8, "ints"},
        {EXPR_SCORE, "s ^ 1", 2, "ints"},
        {EXPR_MASK, "(k < q) == 1", 8, "numbers"},
        {EXPR_MASK, "true != k", 5, "numbers"},
        {EXPR_SCORE, "int(k < q)", 6, "a number"},
        {EXPR_SCORE, "round(k < q)", 8, "numbers"},
        {EXPR_SCORE, "slope[floor(s)]", 6, "index must be an int"},
        {EXPR_SCORE, "rnd(s)", 0, "unknown function"},
        {EXPR_MASK, "k <= q && true", 8, "found '&'"},
        {EXPR_MASK, "s > 0", 0, "score"},
        {EXPR_MASK, "q", 0, "an int"},
        {EXPR_SCORE, "q < k", 0, "true or false"},
        {EXPR_MASK, "q and k < q", 2, "left side"},
        {EXPR_MASK, "not q", 0, "operand"},
        {EXPR_MASK, "(k < q) + 1 < 2", 8, "numbers"},
        {EXPR_SCORE, "s | 1", 2, "ints"},
        {EXPR_SCORE, "where(q, s, 0)", 6, "condition"},
        {EXPR_SCORE, "where(q < k, s, true)", 16, "alike"},
        {EXPR_SCORE, "exp(s, s)", 7, "too many"},
        {EXPR_SCORE, "max(s)", 0, "2 arguments"},
        {EXPR_SCORE, "s + 2147483648", 4, "2147483647"},
        {EXPR_SCORE, "s - -2147483648", 5, "2147483647"},
        {EXPR_SCORE, "s + 99999999999999999999", 4, "2147483647"},
        {EXPR_SCORE, "1e400", 0, "inf"},
        {EXPR_SCORE, "1e", 1, "exponent"},
        {EXPR_SCORE, "12ab", 2, "malformed"},
        {EXPR_MASK, "k <= right_window", 5, "no right_window"},
        {EXPR_MASK, "k <= prefx", 5, "did you mean 'prefix'"},
        {EXPR_SCORE, "sgmoid(s)", 0, "did you mean 'sigmoid'"},
        {EXPR_SCORE, "s + max(slope)", 4, "reduction"},
        {EXPR_SCORE, "s + sum(slope)", 4, "reduction"},
        {EXPR_MASK, "any(doc == 1)", 0, "reduction"},
        {EXPR_SCORE, "s for x", 2, "unbounded loop"},
        {EXPR_SCORE, "s if k < q else 0", 2, "where"},
        {EXPR_SCORE, "q(1)", 0, "not a function"},
        {EXPR_SCORE, "tanh", 0, "is a function"},
        {EXPR_SCORE, "s + slope", 4, "needs 1 index"},
        {EXPR_SCORE, "s + table[h]", 4, "needs 2 indexes"},
        {EXPR_SCORE, "slope[h][k]", 8, "too many"},
        {EXPR_SCORE, "slope[s]", 6, "index must be an int"},
        {EXPR_SCORE, "s[1]", 1, "only side tensors"},
        {EXPR_SCORE, "slope[h", 7, "']'"},
        {EXPR_SCORE, "s + \x01", 4, "byte"},
        {EXPR_SCORE, "1 + not true", 4, "parentheses"},
    };
    arena *a = arena_new();
    set_up(a);
    for (size_t i = 0; i < sizeof table_of / sizeof *table_of; i++) {
        const refusal *r = &table_of[i];
        expr_error err = {0};
        cr_expect(!expr_parse(a, r->text, r->kind, &env, &err), "accepted: %s", r->text);
        cr_expect_eq(err.offset, r->offset, "%s: offset %zu: %s", r->text, err.offset, err.text);
        cr_expect(strstr(err.text, r->says), "%s: %s", r->text, err.text);
    }
    arena_free(a);
}

static const char *repeat(arena *a, const char *open, const char *middle, const char *close,
                          int n) {
    buf b = buf_new(a);
    for (int i = 0; i < n; i++) buf_puts(&b, open);
    buf_puts(&b, middle);
    for (int i = 0; i < n; i++) buf_puts(&b, close);
    return b.data;
}

Test(expr, limits) {
    arena *a = arena_new();
    set_up(a);
    expr_error err;
    const char *const refused[] = {
        repeat(a, "(", "s", ")", 201),    repeat(a, "(", "s", ")", 2000),
        repeat(a, "-", "s", "", 300),     repeat(a, "abs(", "s", ")", 300),
        repeat(a, "", "s", " + 1", 1024), repeat(a, "", "s", "                    ", 300),
    };
    for (int i = 0; i < 6; i++)
        cr_expect(!expr_parse(a, refused[i], EXPR_SCORE, &env, &err), "%d", i);
    cr_expect(expr_parse(a, repeat(a, "(", "s", ")", 200), EXPR_SCORE, &env, &err));
    cr_expect(expr_parse(a, repeat(a, "", "s", " + q", 300), EXPR_SCORE, &env, &err));
    cr_expect(!expr_parse(a, repeat(a, "not ", "true", "", 300), EXPR_MASK, &env, &err));
    /* Nothing doubles the work at every level. */
    const char *deep = repeat(a, "where(", "q < k", ", k < 3, q < 4)", 100);
    expr *e = parse(a, deep, EXPR_MASK);
    expr_code code;
    expr_emit_vector(a, e, EXPR_TILE, 1, "m", &code);
    expr_emit_scalar(a, e);
    expr_emit_classify(a, e);
    expr_range_text(a, e);
    expr_classify(e, &(attn_tile_box){0, 0, 0, 9, 0, 9}, NULL);
    deep = repeat(a, "where(", "doc[k] < k", ", doc[k] < 3, doc[q] < 4)", 80);
    expr_emit_scalar(a, parse(a, deep, EXPR_MASK));
    parse(a, repeat(a, "(1.0 * (", "q", ") % k)", 60), EXPR_SCORE);
    arena_free(a);
}

Test(expr, declarations) {
    arena *a = arena_new();
    static const struct {
        const char *text;
        size_t offset;
    } refused[] = {{"x", 1},
                   {"x=", 2},
                   {"x=f64[3]", 2},
                   {"x=f32", 5},
                   {"x=f32[0]", 6},
                   {"x=f32[foo]", 6},
                   {"x=f32[3", 7},
                   {"x=f32[3]]", 8},
                   {"q=f32[3]", 0},
                   {"max=f32[3]", 0},
                   {"and=i32[3]", 0},
                   {"1x=f32[3]", 0},
                   {"heads=f32[1]", 0},
                   {"x=f32[65536][65536]", 13}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        attn_side_decl t;
        expr_error err = {0};
        cr_expect(!expr_parse_tensor(a, refused[i].text, &t, &err), "%s", refused[i].text);
        cr_expect_eq(err.offset, refused[i].offset, "%s: %zu %s", refused[i].text, err.offset,
                     err.text);
    }
    attn_side_decl t;
    expr_scalar s;
    expr_error err;
    cr_assert(expr_parse_tensor(a, " a = f32 [ heads ] [12][kv_len]", &t, &err));
    cr_expect_str_eq(expr_decl_canonical(a, &t), "a=f32[heads][12][kv_len]");
    cr_expect(!expr_parse_scalar(a, "x=i32[3]", &s, &err));
    set_up(a);
    scalars[0].name = "doc";
    cr_expect(!expr_parse(a, "true", EXPR_MASK, &env, &err));
    cr_expect(strstr(err.text, "twice"));
    arena_free(a);
}

/* Whatever the text, an answer: no crash, and an offset inside the text. */
Test(expr, token_soup) {
    static const char *const token[] = {
        "s",      "q",       "k",      "h",      "1",    "2.5",   "(",   ")",     "[",
        "]",      ",",       "+",      "-",      "*",    "//",    "%",   "<",     "<=",
        "==",     "and ",    "or ",    "not ",   "max",  "where", "doc", "table", "inf",
        "~",      "<<",      "slope",  "true",   "=",    "exp(",  "!",   "1e",    "for ",
        "doc[k]", "(q < k)", "where(", "window", "\xff", "prefix"};
    arena *a = arena_new();
    set_up(a);
    state = 3;
    for (int i = 0; i < 20000; i++) {
        buf b = buf_new(a);
        for (uint32_t n = 1 + rnd(9); n > 0; n--)
            buf_puts(&b, token[rnd(sizeof token / sizeof *token)]);
        expr_error err = {0};
        expr_kind kind = rnd(2) ? EXPR_SCORE : EXPR_MASK;
        if (expr_parse(a, b.data, kind, &env, &err)) continue;
        cr_assert(err.offset <= b.len && err.text[0], "%s", b.data);
    }
    arena_free(a);
}

/* --- Text. --- */
Test(expr, precedence) {
    static const char *const same[][2] = {
        {"1+2*3-4", "1 + 2 * 3 - 4"},
        {"(1+2)*3", "(1 + 2) * 3"},
        {"1-(2-3)", "1 - (2 - 3)"},
        {"(1-2)-3", "1 - 2 - 3"},
        {"-q*k", "-q * k"},
        {"-(q*k)", "-(q * k)"},
        {"q//k%3", "q // k % 3"},
        {"q//(k%3)", "q // (k % 3)"},
        {"q&3|k<<1+2", "q & 3 | k << 1 + 2"},
        {"q|k^3&h", "q | k ^ 3 & h"},
        {"(q|k)^(3^h)", "(q | k) ^ (3 ^ h)"},
        {"where((q<k)==(k<3),1,2)", "where((q < k) == (k < 3), 1, 2)"},
        {"where(q<k and(k<3)!=true,1,2)", "where(q < k and (k < 3) != true, 1, 2)"},
        {"where((q<k)^(k<3),1,2)", "where((q < k) ^ (k < 3), 1, 2)"},
        {"int(s)+floor(s)", "int(s) + floor(s)"},
        {"int(q)", "q"},
        {"(q|k)&3", "(q | k) & 3"},
        {"~-q", "~-q"},
        {"where(q<k and not k==3 or true,1,2)", "where(q < k and not k == 3 or true, 1, 2)"},
        {"where(not(q<k and k<3),1,2)", "where(not (q < k and k < 3), 1, 2)"},
        {"where((q<k or k<3)and true,.5,2.)", "where((q < k or k < 3) and true, 0.5, 2.0)"},
        {"s*1e-3+inf", "s * 0.001 + inf"},
        {"table[h][ (q-k)+10 ]", "table[h][q - k + 10]"},
        {"1/2", "1 / 2"},
        {"1e10", "1e+10"},
        {"window+heads", "window + heads"},
    };
    arena *a = arena_new();
    set_up(a);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        cr_expect_str_eq(expr_canonical(a, parse(a, same[i][0], EXPR_SCORE)), same[i][1]);
    arena_free(a);
}

static double value_of(arena *a, const char *text) {
    expr_point p = point_at(1, 5, 3, 2.0);
    return expr_eval_score(parse(a, text, EXPR_SCORE), &p);
}

Test(expr, values) {
    static const struct {
        const char *text;
        double value;
    } list[] = {{"-7 // 2", -4},
                {"7 // -2", -4},
                {"-7 % 3", 2},
                {"7 % -3", -2},
                {"5 // 0", 0},
                {"5 % 0", 0},
                {"7 / 2", 3.5},
                {"-7.5 // 2", -4},
                {"-7.5 % 2", 0.5},
                {"1 << 33", 2},
                {"-1 >> 40", -1},
                {"2147483647 + 1", -2147483648.0},
                {"abs(-2147483647 - 1)", -2147483648.0},
                {"(-2147483647 - 1) // -1", -2147483648.0},
                {"where(k < q, 1, 2)", 1},
                {"clamp(9, 1, 4)", 4},
                {"min(sqrt(-1.0), 5.0)", 5}, /* with NaN: the second */
                {"max(min(5.0, sqrt(-1.0)), 1.0)", 1},
                {"where(min(5.0, log(-1.0)) <= 9.0, 1, 2)", 2},
                {"clamp(sqrt(-1.0), -3.0, 4.0)", -3},
                {"1 + 2 * 3", 7},
                {"-q * k", -15},
                {"~5 & 7", 2},
                {"q - k - 1", 1},
                {"s * s", 4},
                {"65536 * 65536", 0},
                {"6 ^ 3", 5},
                {"~6 ^ 3", -6},
                {"where((k < q) == (q < k), 1, 2)", 2},
                {"where((k < q) != (q < k), 1, 2)", 1},
                {"where((k < q) ^ (k < q), 1, 2)", 2},
                {"int(2.75)", 2},
                {"int(-2.75)", -2},
                {"int(1e20)", 2147483647.0},
                {"int(-1e20)", -2147483648.0},
                {"int(sqrt(-1.0))", 0},
                {"int(-inf)", -2147483648.0},
                {"floor(-2.5)", -3},
                {"ceil(-2.5)", -2},
                {"ceil(2.25)", 3},
                {"round(2.5)", 2},
                {"round(-3.5)", -4},
                {"round(s * 1.75)", 4},
                {"floor(k)", 3},
                {"where(false, table[99][99], 3)", 3}};
    arena *a = arena_new();
    set_up(a);
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        cr_expect_eq(value_of(a, list[i].text), list[i].value, "%s", list[i].text);
    expr_point p = point_at(1, 5, 3, 0);
    expr_eval_mask(parse(a, "k < 3 and doc[k + 999] == 1", EXPR_MASK), &p);
    cr_expect(!p.oob);
    expr_eval_mask(parse(a, "k <= 3 and doc[k + 999] == 1", EXPR_MASK), &p);
    cr_expect(p.oob);
    arena_free(a);
}

Test(expr, simplification) {
    static const char *const same[][2] = {
        {"q // 128 == k // 128", "q >> 7 == k >> 7"},
        {"k % 8 == 0", "k & 7 == 0"},
        {"q * 1 + 0 < k", "q < k"},
        {"not (k <= q and q < 9)", "q < k or 9 <= q"},
        {"true and k <= q or false", "q >= k"},
        {"k <= k and q < k", "q < k"},
        {"1 + 1 == 2", "true"},
    };
    arena *a = arena_new();
    set_up(a);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        cr_expect_str_eq(expr_dump(a, parse(a, same[i][0], EXPR_MASK)),
                         expr_dump(a, parse(a, same[i][1], EXPR_MASK)), "%s", same[i][0]);
    arena_free(a);
}

/* How far a mask lets keys be from their query, and that it is so at every pair it shows. */
Test(expr, reach) {
    arena *a = arena_new();
    set_up(a);
    fill_data();
    enum { ANY = -1 };
    static const struct {
        const char *mask;
        int64_t back, ahead;
    } list[] = {
        {"q - k < 100", 99, ANY},
        {"k <= q and q - k <= window", 5, 0},
        {"k >= q // 64 * 64", 63, ANY},
        {"q // 16 == k // 16", 15, 15},
        {"k >> 4 == q >> 4 and k <= q", 15, 0},
        {"abs(q - k) < 8", 7, 7},
        {"k < q - 10 and k > q - 20", 19, -11},
        {"k == q - 3", 3, -3},
        {"q - k < 4 or k == q + 9", 3 /* of one, */, ANY /* and not of the other */},
        {"q - k < 4 and k < q or k == q + 9", 3, 9},
        {"q - k <= 7 * h", 21, ANY},
        {"2 * k >= 2 * q - 9", 4, ANY},
        {"k >= q - q % 8", 7, ANY},
        {"k >= q - perm[3]", ANY, ANY},
        {"k >= q - prefix", ANY, ANY},
        {"k <= 2 * q", ANY, ANY},
        {"k < prefix or q - k < 3", ANY, ANY},
        {"not q - k > 3", 3, ANY},
        {"q - k != 3", ANY, ANY},
        {"doc[q] == doc[k] and q - k < 7", 6, ANY},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        const expr *e = parse(a, list[i].mask, EXPR_MASK);
        const expr_reach r = expr_reach_of(a, e);
        const int64_t back = list[i].back == ANY ? EXPR_NO_REACH : list[i].back;
        const int64_t ahead = list[i].ahead == ANY ? EXPR_NO_REACH : list[i].ahead;
        cr_expect(r.back == back && r.ahead == ahead, "%s: %lld back, %lld ahead", list[i].mask,
                  (long long)r.back, (long long)r.ahead);
        for (int32_t q = 0; q < LK; q++)
            for (int32_t k = 0; k < LK; k++)
                for (int32_t h = 0; h < HEADS; h++) {
                    expr_point p = {.h = h,
                                    .q = q,
                                    .k = k,
                                    .q_len = LK,
                                    .kv_len = LK,
                                    .batch = BATCH,
                                    .kv_len_max = LK,
                                    .side = sides,
                                    .scalars = scalar_values};
                    if (!expr_eval_mask(e, &p)) continue;
                    cr_assert(q - k <= r.back && k - q <= r.ahead, "%s shows %d to %d",
                              list[i].mask, k, q);
                }
    }
    arena_free(a);
}

Test(expr, relative) {
    static const struct {
        const char *text;
        bool relative;
    } list[] = {
        {"s + slope[h] * (k - q)", true},
        {"s - 0.03 * (q - k)", true},
        {"s + table[h][clamp(q - k, 0, 20)]", true},
        {"s + where(k >= q - 3, 1.0, temp)", true},
        {"s + 2 * (3 * k - q - 2 * k)", true},
        {"s + (~k + q) % 5", true},
        {"s + (kv_len - 1 - k) + (q_start - q)", true},
        {"s + (min(k, q) - max(q - 1, k))", true},
        {"s * temp + prefix", true},
        {"s + where(2 * k < 2 * q - 7, 1.0, 0.0)", true},
        {"s + where(4 * k < 4 * q - 7, 1.0, 0.0)", false}, /* 4 * k wraps below 2^30 */
        {"s + where(k + 2147483647 < q, 1.0, 0.0)", false},
        {"s + where(k < q + prefix, 1.0, 0.0)", false}, /* prefix may be anything */
        {"s + 0.5 * k - 0.5 * q", false},               /* floats round */
        {"s + k % 7", false},
        {"s + where(k // 4 == q // 4, 1.0, 0.0)", false},
        {"s + doc[q - k]", false}, /* of another length once keys go */
        {"s + perm[q - k]", true},
        {"s + slope[h] * k", false},
        {"s + where(k < 4, 1.0, 0.0)", false},
        {"s + h * k - h * q", false},
    };
    arena *a = arena_new();
    set_up(a);
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        cr_expect_eq(expr_relative(a, parse(a, list[i].text, EXPR_SCORE)), list[i].relative, "%s",
                     list[i].text);
    arena_free(a);
}

Test(expr, range_text) {
    static const char *const list[][2] = {
        {"k <= q", "k <= q"},
        {"k <= q and q - k <= 256", "max(0, q - 256) <= k <= q"},
        {"abs(q - k) <= window", "max(0, q - 5) <= k <= q + 5"},
        {"k <= q and k < prefix", "k <= min(q, prefix - 1)"},
        {"k <= q or k < prefix", ""},
        {"doc[q] == doc[k]", ""},
        {"k // 4 == q // 4 and k <= q", "max(0, 4 * (q >> 2)) <= k <= min(4 * (q >> 2) + 3, q)"},
        {"true", ""},
    };
    arena *a = arena_new();
    set_up(a);
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        cr_expect_str_eq(expr_range_text(a, parse(a, list[i][0], EXPR_MASK)), list[i][1]);
    arena_free(a);
}

/* --- Random expressions. --- */
typedef enum make_type { MAKE_BOOL, MAKE_INT, MAKE_FLOAT } make_type;
typedef struct maker {
    buf *b;
    bool has_s;          /* scores */
    bool float_compares; /* f32 and double may disagree there, and where floats become whole */
    bool tensors;
} maker;

static void make(maker *m, make_type type, int depth);

static void make2(maker *m, make_type type, int depth, const char *op) {
    buf_puts(m->b, "(");
    make(m, type, depth - 1);
    buf_printf(m->b, " %s ", op);
    make(m, type, depth - 1);
    buf_puts(m->b, ")");
}

static void make_call(maker *m, const char *name, make_type type, int n, int depth) {
    buf_printf(m->b, "%s(", name);
    for (int i = 0; i < n; i++) {
        if (i) buf_puts(m->b, ", ");
        make(m, type, depth - 1);
    }
    buf_puts(m->b, ")");
}

static void make_where(maker *m, make_type type, int depth) {
    buf_puts(m->b, "where(");
    make(m, MAKE_BOOL, depth - 1);
    buf_puts(m->b, ", ");
    make(m, type, depth - 1);
    buf_puts(m->b, ", ");
    make(m, type, depth - 1);
    buf_puts(m->b, ")");
}

static void make_index(maker *m, int depth, int n) {
    static const char *const small[] = {"h", "b", "k % 16", "q - k + 10", "k", "q", "q_len"};
    buf_puts(m->b, "[");
    if (depth > 0 && rnd(4) == 0) {
        make(m, MAKE_INT, depth - 1);
        buf_printf(m->b, " %% %d", n);
    } else
        buf_puts(m->b, small[rnd(7)]);
    buf_puts(m->b, "]");
}

static void make_int(maker *m, int depth) {
    static const char *const leaf[] = {"q",     "k",      "h",      "b",      "q",
                                       "k_pos", "prefix", "kv_len", "q_start"};
    static const char *const op[] = {"+", "-",  "*",  "//", "%", "&", "|",
                                     "^", "<<", ">>", "-",  "+", "-"};
    static const char *const constant[] = {"0", "1", "2", "3", "8", "5", "2147483647", "16"};
    if (depth == 0 || rnd(6) == 0) {
        if (rnd(3) == 0)
            buf_puts(m->b, constant[rnd(8)]);
        else if (m->tensors && rnd(4) == 0) {
            bool one = rnd(2);
            buf_puts(m->b, one ? "doc" : "seg");
            make_index(m, depth, one ? LK : BATCH);
            if (!one) make_index(m, depth, Q_LEN);
        } else
            buf_puts(m->b, leaf[rnd(9)]);
        return;
    }
    switch (rnd(m->float_compares ? 9 : 8)) {
    case 8: make_call(m, "int", rnd(3) ? MAKE_FLOAT : MAKE_INT, 1, depth); return;
    case 0: make_where(m, MAKE_INT, depth); return;
    case 1:
        buf_puts(m->b, rnd(2) ? "-" : "~");
        make(m, MAKE_INT, depth - 1);
        return;
    case 2: make_call(m, rnd(2) ? "min" : "max", MAKE_INT, 2, depth); return;
    case 3:
        if (rnd(2))
            make_call(m, "abs", MAKE_INT, 1, depth);
        else
            make_call(m, "clamp", MAKE_INT, 3, depth);
        return;
    default: make2(m, MAKE_INT, depth, op[rnd(13)]);
    }
}

static void make_float(maker *m, int depth) {
    static const char *const calls[] = {"tanh", "sigmoid", "sin", "cos", "abs", "tanh"};
    static const char *const op[] = {"+", "-", "*", "+", "-"};
    if (depth == 0 || rnd(5) == 0) {
        switch (rnd(m->tensors ? 6 : 3)) {
        case 0: buf_puts(m->b, m->has_s ? "s" : "temp"); return;
        case 1: buf_puts(m->b, "0.375"); return;
        case 2: buf_puts(m->b, "temp"); return;
        case 3: buf_puts(m->b, rnd(2) ? "table[h][q - k + 10]" : "table[h % 4][k - q]"); return;
        case 4: buf_puts(m->b, rnd(2) ? "cube[b][h % 2][k]" : "cube[h & 1][h // 2][q]"); return;
        default: buf_puts(m->b, rnd(2) ? "slope[h]" : "slope[perm[k % 16] % 4]"); return;
        }
    }
    static const char *const steps[] = {"floor", "ceil", "round"};
    switch (rnd(m->float_compares ? 9 : 8)) {
    case 8: make_call(m, steps[rnd(3)], rnd(3) ? MAKE_FLOAT : MAKE_INT, 1, depth); return;
    case 0: make_where(m, MAKE_FLOAT, depth); return;
    case 1: make_call(m, rnd(2) ? "min" : "max", MAKE_FLOAT, 2, depth); return;
    case 2: make_call(m, calls[rnd(6)], MAKE_FLOAT, 1, depth); return;
    case 3:
        buf_puts(m->b, "(1.0 * ");
        buf_puts(m->b, rnd(2) ? "(q - k))" : "h / 4)");
        return;
    default: make2(m, MAKE_FLOAT, depth, op[rnd(5)]);
    }
}

static void make_bool(maker *m, int depth) {
    static const char *const compare[] = {"<", "<=", ">", ">=", "==", "!="};
    if (depth <= 1 || rnd(3) == 0) {
        bool floats = m->float_compares && rnd(4) == 0;
        make2(m, floats ? MAKE_FLOAT : MAKE_INT, depth > 0 ? depth : 1, compare[rnd(6)]);
        return;
    }
    switch (rnd(6)) {
    case 0: make_where(m, MAKE_BOOL, depth); return;
    case 1:
        buf_puts(m->b, "(not ");
        make(m, MAKE_BOOL, depth - 1);
        buf_puts(m->b, ")");
        return;
    case 2: {
        static const char *const of_bools[] = {"==", "!=", "^"};
        make2(m, MAKE_BOOL, depth, of_bools[rnd(3)]);
        return;
    }
    default: make2(m, MAKE_BOOL, depth, rnd(2) ? "and" : "or");
    }
}

static void make(maker *m, make_type type, int depth) {
    if (type == MAKE_BOOL)
        make_bool(m, depth);
    else if (type == MAKE_INT)
        make_int(m, depth);
    else
        make_float(m, depth);
}

static const char *random_text(arena *a, expr_kind kind, bool float_compares, bool with_tensors) {
    buf b = buf_new(a);
    maker m = {&b, kind == EXPR_SCORE, float_compares, with_tensors};
    make(&m, kind == EXPR_SCORE ? MAKE_FLOAT : MAKE_BOOL, 1 + (int)rnd(4));
    return b.data;
}

Test(expr, canonical_round_trip) {
    arena *a = arena_new();
    set_up(a);
    state = 7;
    for (int i = 0; i < 500; i++) {
        expr_kind kind = rnd(2) ? EXPR_SCORE : EXPR_MASK;
        expr *e = parse(a, random_text(a, kind, true, true), kind);
        const char *text = expr_canonical(a, e);
        expr *again = parse(a, text, kind);
        cr_expect_str_eq(expr_canonical(a, again), text);
        cr_expect_str_eq(expr_dump(a, again), expr_dump(a, e), "%s", text);
    }
    arena_free(a);
}

static expr_point moved(expr_point p, int32_t by) {
    p.q += by, p.k += by, p.q_start += by, p.kv_len += by;
    return p;
}

Test(expr, relative_moves) {
    fill_data();
    int relative = 0;
    state = 11;
    for (int n = 0; n < 6000; n++) {
        arena *a = arena_new();
        set_up(a);
        const expr_kind kind = rnd(2) ? EXPR_SCORE : EXPR_MASK;
        const char *text = random_text(a, kind, true, true);
        expr *e = parse(a, text, kind);
        for (int i = 0; expr_relative(a, e) && i < 20; i++) {
            expr_point p = point_at((int32_t)rnd(HEADS), (int32_t)rnd(30), (int32_t)rnd(30), 0.5);
            expr_point far = moved(p, i ? (int32_t)rnd(1000) : (1 << 30) - LK);
            const double want = kind == EXPR_SCORE ? expr_eval_score(e, &p) : expr_eval_mask(e, &p);
            const double got =
                kind == EXPR_SCORE ? expr_eval_score(e, &far) : expr_eval_mask(e, &far);
            const bool oob = p.oob || far.oob; /* also of what was simplified away */
            cr_assert(oob || want == got || (isnan(want) && isnan(got)), "%s: %g, and %g", text,
                      want, got);
            relative += i == 0 && strstr(text, "q - k");
        }
        arena_free(a);
    }
    cr_expect_gt(relative, 50);
}

/* --- Emitted C, compiled. --- */
static void print_lines(FILE *f, const expr_lines *l) {
    for (int i = 0; i < l->count; i++) {
        cr_expect_leq(strlen(l->line[i]), 96, "%s", l->line[i]);
        fprintf(f, "    %s\n", l->line[i]);
    }
}

static void print_result(FILE *f, expr_kind kind, const char *result, int j) {
    if (kind == EXPR_SCORE)
        fprintf(f, "    vf_storeu(out + %d * VF_WIDTH, vf_mul(%s, vf_set1(0x1.62e43p-1f)));\n", j,
                result);
    else
        fprintf(f, "    vf_storeu(out + %d * VF_WIDTH, vf_select(%s, vf_set1(1), vf_set1(0)));\n",
                j, result);
}

/* Scores as kernels take them: in units of log 2, which print_result takes back. */
static const expr *for_kernels(arena *a, const expr *e, expr_kind kind, double *s_factor) {
    *s_factor = 1;
    return kind == EXPR_SCORE ? expr_scale(a, e, 1.4426950408889634, s_factor) : e;
}

static void print_tile(FILE *f, arena *a, const expr *e, expr_kind kind, int id) {
    expr_code c;
    double factor;
    expr_emit_vector(a, for_kernels(a, e, kind, &factor), EXPR_TILE, 2, "m", &c);
    fprintf(f,
            "void tile%d(const attn_expr_ctx *x, int32_t h, int32_t q, int32_t k, const float *s,"
            " float *out) {\n    const int32_t k_pos = k;\n"
            "    (void)x, (void)h, (void)k, (void)k_pos, (void)s;\n",
            id);
    for (int j = 0; j < 2; j++)
        fprintf(f,
                "    const int32_t q_0_%d = attn_add32(q, %d * VF_WIDTH);\n"
                "    const vi vq_%d = iota(q_0_%d);\n    (void)vq_%d;\n"
                "    const vf s_%d = vf_mul(vf_loadu(s + %d * VF_WIDTH), vf_set1(%af));\n"
                "    (void)s_%d;\n",
                j, j, j, j, j, j, j, factor, j);
    print_lines(f, &c.once);
    print_lines(f, &c.key);
    print_lines(f, &c.lane);
    for (int j = 0; j < 2; j++) print_result(f, kind, c.result[j], j);
    fprintf(f, "}\n");
}

static void print_lanes(FILE *f, arena *a, const expr *e, expr_kind kind, int id) {
    expr_code c;
    double factor;
    expr_emit_vector(a, for_kernels(a, e, kind, &factor), EXPR_LANES, 1, "m", &c);
    cr_expect_eq(c.key.count, 0);
    fprintf(
        f,
        "void lanes%d(const attn_expr_ctx *x, const int32_t *h, const int32_t *q,"
        " const int32_t *k, const float *s, float *out) {\n"
        "    const vi vh_0 = vi_loadu(h), vq_0 = vi_loadu(q), vk_0 = vi_loadu(k), vp_0 = vk_0;\n"
        "    const vf s_0 = vf_mul(vf_loadu(s), vf_set1(%af));\n"
        "    (void)x, (void)vh_0, (void)vq_0, (void)vk_0, (void)vp_0, (void)s_0;\n",
        id, factor);
    print_lines(f, &c.once);
    print_lines(f, &c.lane);
    print_result(f, kind, c.result[0], 0);
    fprintf(f, "}\n");
}

static void print_scalar(FILE *f, arena *a, const expr *e, expr_kind kind, int id) {
    expr_lines l = expr_emit_scalar(a, e);
    fprintf(f,
            "%s scalar%d(const attn_expr_ctx *x, int32_t h, int32_t q, int32_t k%s, bool *oob) {\n",
            kind == EXPR_SCORE ? "double" : "bool", id, kind == EXPR_SCORE ? ", double s" : "");
    print_lines(f, &l);
    fprintf(f, "}\n");
    if (kind == EXPR_SCORE) return;
    l = expr_emit_classify(a, e);
    fprintf(f,
            "ATTN_CLASSIFIER attn_tile_class classify%d(const attn_expr_ctx *x,"
            " const attn_tile_box *box) {\n",
            id);
    print_lines(f, &l);
    l = expr_emit_range(a, e);
    fprintf(f,
            "}\nATTN_CLASSIFIER void range%d(const attn_expr_ctx *x, const attn_tile_box *box, "
            "int32_t *lo,"
            " int32_t *hi) {\n",
            id);
    print_lines(f, &l);
    fprintf(f, "}\n");
}

static bool has_vectors(void) {
    return access(ATTN_ROOT "/runtime/simd/portable.h", R_OK) == 0;
}

static FILE *open_c(const char *dir, bool vectors) {
    char path[300];
    snprintf(path, sizeof path, "%s/t.c", dir);
    FILE *f = fopen(path, "w");
    cr_assert(f);
    fputs("#include \"attn_kernel.h\"\n#include \"simd/interval.h\"\n#include \"simd/scalar.h\"\n",
          f);
    if (vectors)
        fputs("#include \"simd/portable.h\"\nconst int width = VF_WIDTH;\n"
              "static inline vi iota(int32_t q) {\n    int32_t v[VF_WIDTH];\n"
              "    for (int i = 0; i < VF_WIDTH; i++) v[i] = attn_add32(q, i);\n"
              "    return vi_loadu(v);\n}\n",
              f);
    return f;
}

static void *compile(const char *dir, const char *cc) {
    char text[1200];
    snprintf(text, sizeof text,
             "%s -std=c11 -Wall -Wextra -Wpedantic -Werror -O1 -ffp-contract=off -fno-builtin "
             "-I%s/runtime -shared "
             "-fPIC %s/t.c -o %s/t.so -lm",
             cc, ATTN_ROOT, dir, dir);
    cr_assert_eq(system(text), 0, "%s", text);
    snprintf(text, sizeof text, "%s/t.so", dir);
    void *so = dlopen(text, RTLD_NOW);
    cr_assert(so, "%s", dlerror());
    return so;
}

static void remove_dir(const char *dir) {
    char text[300];
    snprintf(text, sizeof text, "rm -r %s", dir);
    cr_expect_eq(system(text), 0);
}

typedef double score_fn(const attn_expr_ctx *, int32_t, int32_t, int32_t, double, bool *);
typedef bool mask_fn(const attn_expr_ctx *, int32_t, int32_t, int32_t, bool *);
typedef attn_tile_class classify_fn(const attn_expr_ctx *, const attn_tile_box *);
typedef void range_fn(const attn_expr_ctx *, const attn_tile_box *, int32_t *, int32_t *);
typedef void tile_fn(const attn_expr_ctx *, int32_t, int32_t, int32_t, const float *, float *);
typedef void lanes_fn(const attn_expr_ctx *, const int32_t *, const int32_t *, const int32_t *,
                      const float *, float *);
typedef void any_fn(void);

static any_fn *find(void *so, const char *name, int id) {
    char text[40];
    snprintf(text, sizeof text, "%s%d", name, id);
    void *symbol = dlsym(so, text);
    cr_assert(symbol, "%s", text);
    any_fn *f;
    memcpy(&f, &symbol, sizeof f);
    return f;
}

static attn_args args;
static attn_expr_ctx ctx;

static void set_ctx(void) {
    static int32_t doc_table[2 * 3];
    static float cube_table[2 * 10];
    static const void *minmax[TENSORS];
    attn_minmax_i32(doc, LK, doc_table);
    attn_minmax_f32(cube, 4 * LK, cube_table);
    minmax[1] = doc_table;
    minmax[5] = cube_table;
    args = ATTN_ARGS_INIT;
    args.batch = BATCH;
    args.q_len = Q_LEN;
    args.kv_len_max = LK;
    args.side = sides;
    args.side_count = TENSORS;
    args.scalars = scalar_values;
    args.scalar_count = SCALARS;
    ctx = (attn_expr_ctx){
        .args = &args, .b = 1, .q_start = 2, .q_len = Q_LEN, .kv_len = LK - 3, .minmax = minmax};
}

static bool same_double(double x, double y) {
    return x == y || (isnan(x) && isnan(y));
}

static double oracle(const expr *e, expr_kind kind, expr_point *p) {
    return kind == EXPR_SCORE ? expr_eval_score(e, p) : (double)expr_eval_mask(e, p);
}

static void check_scalar(void *so, const expr *e, expr_kind kind, int id, const char *text) {
    any_fn *f = find(so, "scalar", id);
    for (int i = 0; i < 200; i++) {
        expr_point p = point_at((int32_t)rnd(HEADS), (int32_t)rnd(30) - 8, (int32_t)rnd(LK),
                                (double)rnd(100) / 16 - 3);
        double want = oracle(e, kind, &p), got;
        bool oob = false;
        if (kind == EXPR_SCORE)
            got = ((score_fn *)f)(&ctx, p.h, p.q, p.k, p.s, &oob);
        else
            got = ((mask_fn *)f)(&ctx, p.h, p.q, p.k, &oob);
        cr_assert_eq(oob, p.oob, "%s: oob at h %d q %d k %d", text, p.h, p.q, p.k);
        cr_assert(oob || same_double(got, want), "%s: %g, not %g at h %d q %d k %d", text, got,
                  want, p.h, p.q, p.k);
    }
}

static void check_lane(const expr *e, expr_kind kind, expr_point p, float got, const char *text) {
    double want = oracle(e, kind, &p);
    if (p.oob || !isfinite(want)) return;
    double tolerance = kind == EXPR_SCORE ? 2e-4 * (1 + fabs(want)) : 0;
    cr_assert(fabs((double)got - want) <= tolerance, "%s: %g, not %g at h %d q %d k %d s %g", text,
              (double)got, want, p.h, p.q, p.k, p.s);
}

static void check_vectors(void *so, const expr *e, expr_kind kind, int id, const char *text) {
    tile_fn *tile = (tile_fn *)find(so, "tile", id);
    lanes_fn *lanes = (lanes_fn *)find(so, "lanes", id);
    int width = *(const int *)dlsym(so, "width");
    float s[64], out[64];
    int32_t h[32], q[32], k[32];
    for (int i = 0; i < 40; i++) {
        for (int l = 0; l < 2 * width; l++) s[l] = (float)rnd(100) / 16 - 3;
        int32_t head = (int32_t)rnd(HEADS), q0 = (int32_t)rnd(30) - 8, key = (int32_t)rnd(LK);
        if (i == 0) q0 = INT32_MAX - 2;
        if (i == 1) q0 = INT32_MIN;
        tile(&ctx, head, q0, key, s, out);
        for (int l = 0; l < 2 * width; l++)
            check_lane(e, kind, point_at(head, attn_add32(q0, l), key, (double)s[l]), out[l], text);
        for (int l = 0; l < width; l++) {
            h[l] = (int32_t)rnd(HEADS);
            q[l] = (int32_t)rnd(30) - 8;
            k[l] = (int32_t)rnd(LK);
        }
        lanes(&ctx, h, q, k, s, out);
        for (int l = 0; l < width; l++)
            check_lane(e, kind, point_at(h[l], q[l], k[l], (double)s[l]), out[l], text);
    }
}

/* Counts, over a box, the pairs whose value counts. */
typedef struct brute {
    int count, seen;
    int32_t lo, hi;
} brute;

static brute brute_force(const expr *e, const attn_tile_box *box) {
    brute r = {0, 0, INT32_MAX, INT32_MIN};
    for (int32_t h = box->h0; h <= box->h1; h++)
        for (int32_t q = box->q0; q <= box->q1; q++)
            for (int32_t k = box->k0; k <= box->k1; k++) {
                expr_point p = point_at(h, q, k, 0);
                bool seen = expr_eval_mask(e, &p);
                if (p.oob) continue;
                r.count++;
                r.seen += seen;
                if (seen && k < r.lo) r.lo = k;
                if (seen && k > r.hi) r.hi = k;
            }
    return r;
}

static attn_tile_box random_box(void) {
    int32_t h = (int32_t)rnd(HEADS), q = (int32_t)rnd(20) - 4, k = (int32_t)rnd(LK - 80);
    attn_tile_box box = {h, h, q, q + (int32_t)rnd(6), k, k + (int32_t)rnd(rnd(8) ? 10 : 80)};
    if (rnd(4) == 0) box.h1 = HEADS - 1;
    return box;
}

static void check_sound(const expr *e, const attn_tile_box *box, attn_tile_class c, int32_t lo,
                        int32_t hi, const char *text) {
    brute b = brute_force(e, box);
    cr_assert(c != ATTN_TILE_NONE || b.seen == 0, "%s: none, but %d seen", text, b.seen);
    cr_assert(c != ATTN_TILE_ALL || b.seen == b.count, "%s: all, but %d of %d seen", text, b.seen,
              b.count);
    cr_assert(b.seen == 0 || (lo <= b.lo && hi >= b.hi), "%s: range %d..%d, seen %d..%d", text, lo,
              hi, b.lo, b.hi);
    cr_assert(lo > hi || (lo >= box->k0 && hi <= box->k1), "%s", text);
}

static void check_classifier(void *so, const expr *e, int id, bool plain, const char *text) {
    classify_fn *classify = (classify_fn *)find(so, "classify", id);
    range_fn *range = (range_fn *)find(so, "range", id);
    for (int i = 0; i < 30; i++) {
        attn_tile_box box = random_box();
        expr_point p = point_at(0, 0, 0, 0);
        p.minmax = ctx.minmax;
        int32_t lo, hi, lo2, hi2;
        attn_tile_class c = classify(&ctx, &box), own = expr_classify(e, &box, &p);
        range(&ctx, &box, &lo, &hi);
        expr_range(e, &box, &p, &lo2, &hi2);
        check_sound(e, &box, c, lo, hi, text);
        check_sound(e, &box, own, lo2, hi2, text);
        cr_assert_eq(c, own, "%s", text);
        cr_assert(lo == lo2 && hi == hi2, "%s", text);
        p.side = NULL; /* no data: anything */
        own = expr_classify(e, &box, &p);
        cr_assert(own == ATTN_TILE_SOME || own == c, "%s", text);
        if (!plain) continue;
        own = expr_classify(e, &box, NULL);
        cr_assert(own == ATTN_TILE_SOME || own == c, "%s", text);
    }
}

/* T5's buckets of distance, as t5_bias of the prelude writes them: 32 of them up to distance 128.
 */
#define T5_BUCKET                                                                              \
    "where(max(q - k, 0) < 16, max(q - k, 0), min(16 + int(log(max(max(q - k, 0), 1) / 16) / " \
    "log(128 / 16) * 16), 31))"
#define T5_BUCKET_BOTH                                                                         \
    "where(k > q, 16, 0) + where(abs(q - k) < 8, abs(q - k), min(8 + int(log(max(abs(q - k), " \
    "1) / 8) / log(128 / 8) * 8), 15))"

/* T5Attention._relative_position_bucket(.., num_buckets=32, max_distance=128) of transformers
 * 5.24.0: the distances at which its bucket changes. */
Test(expr, t5_buckets) {
    static const int32_t causal[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,   10,
                                     11, 12, 13, 14, 15, 16, 19, 21, 24, 27,  31,
                                     35, 40, 46, 52, 59, 67, 77, 87, 99, 113, INT32_MAX};
    static const int32_t side[] = {0,  1,  2,  3,  4,  5,  6,  7,        8,
                                   12, 16, 23, 32, 46, 64, 91, INT32_MAX};
    arena *a = arena_new();
    set_up(a);
    const expr *one = parse(a, T5_BUCKET, EXPR_SCORE), *two = parse(a, T5_BUCKET_BOTH, EXPR_SCORE);
    for (int32_t d = 0, near = 0, far = 0; d < 2000; d++) {
        far += d == causal[far + 1];
        near += d == side[near + 1];
        expr_point before = point_at(0, 3000, 3000 - d, 0), after = point_at(0, 500, 500 + d, 0);
        cr_expect_eq(expr_eval_score(one, &before), far, "%d before", d);
        cr_expect_eq(expr_eval_score(one, &after), 0, "%d after", d);
        cr_expect_eq(expr_eval_score(two, &before), near, "%d before", d);
        cr_expect_eq(expr_eval_score(two, &after), d ? near + 16 : 0, "%d after", d);
    }
    arena_free(a);
}

/* NaN in min, max and clamp, in a value that the scalar, the vectors and the oracle share. */
static const char *const with_nan[] = {
    "min(sqrt(-1 - abs(s)), 5.0)",
    "s + max(log(-1 - s * s), -2.0)",
    "clamp(sqrt(-1 - abs(s)), -3.0, 4.0)",
    "max(min(5.0, sqrt(-1 - abs(s))), 1.0)",
    "where(max(5.0, sqrt(-1 - abs(s))) >= 1.0, 1.0, 2.0)",
    /* Whole numbers of what f32 holds exactly. */
    "s + int(s * 2.0) * int(sqrt(-1 - abs(s)))",
    "floor(s) + 2 * ceil(s * 0.5) - round(s) + int(s * 1e12) // 65536",
    "s + " T5_BUCKET, /* causal: see t5_buckets */
    "s + " T5_BUCKET_BOTH,
    "int(s) % 3 + where((k < q) == (int(s) > 0), 1, (q ^ k) % 7)",
};

static void run_compiled(uint64_t seed, int count, const char *cc) {
    bool vectors = has_vectors();
    char dir[] = "/tmp/attn-expr-XXXXXX";
    cr_assert(mkdtemp(dir));
    arena *a = arena_new();
    set_up(a);
    fill_data();
    set_ctx();
    state = seed;
    const char **texts = arena_alloc(a, sizeof *texts * (size_t)count);
    expr **list = arena_alloc(a, sizeof *list * (size_t)count);
    FILE *f = open_c(dir, vectors);
    /* By id: scores and masks in turn; every fourth with float comparisons; masks of 5 mod 8 read
     * no side tensor. */
    for (int i = 0; i < count; i++) {
        expr_kind kind = i % 2 ? EXPR_MASK : EXPR_SCORE;
        texts[i] = random_text(a, kind, i % 4 >= 2, i % 8 != 5);
        if (i % 4 == 0 && i / 4 < (int)(sizeof with_nan / sizeof *with_nan))
            texts[i] = with_nan[i / 4];
        list[i] = parse(a, texts[i], kind);
        print_scalar(f, a, list[i], kind, i);
        if (vectors) print_tile(f, a, list[i], kind, i);
        if (vectors) print_lanes(f, a, list[i], kind, i);
    }
    fclose(f);
    void *so = compile(dir, cc);
    for (int i = 0; i < count; i++) {
        expr_kind kind = i % 2 ? EXPR_MASK : EXPR_SCORE;
        check_scalar(so, list[i], kind, i, texts[i]);
        if (vectors && i % 4 < 2) check_vectors(so, list[i], kind, i, texts[i]);
        if (kind == EXPR_MASK) check_classifier(so, list[i], i, i % 8 == 5, texts[i]);
    }
    dlclose(so);
    remove_dir(dir);
    arena_free(a);
}

Test(expr, compiled_gcc, .timeout = 300) {
    const char *seed = getenv("EXPR_SEED"); /* to look further */
    if (seed) run_compiled(strtoull(seed, NULL, 10), 160, "gcc");
    run_compiled(1, 96, "gcc");
}

Test(expr, compiled_clang, .timeout = 300) {
    if (system("command -v clang >/dev/null") == 0) run_compiled(2, 48, "clang");
}

/* --- Exact classes and ranges. --- */
static const char *const exact[] = {
    "k <= q",
    "k < q",
    "k >= q - 3 and k <= q + 1",
    "k <= q and q - k <= window",
    "abs(q - k) <= 2",
    "abs(q - k) < 2 and k != 0",
    "abs(q - k) >= 3",
    "k + 5 > q",
    "2 * k < q",
    "3 * k <= 2 * q + 1 and k >= 1",
    "k == q",
    "2 * k == q",
    "k != q",
    "k != 3",
    "k != q and k <= q and k >= q",
    "k <= q - 5 and k >= q - 3",
    "k <= q and k >= 8 - q",
    "k == q + 1 and k == 2 * q",
    "k > q - h and k <= q + h",
    "k < prefix and q - k > 2",
    "k <= min(q, prefix)",
    "k >= max(2, q - 3) and k <= q",
    "k - q + q - k == 0",
    "not (k <= q)",
    "not (k > q and q - k > 3)",
    "k <= q or k > q",
    "k < prefix or k <= q",
    "true",
    "false",
    "q // 4 == k // 4",
    "q // 3 == k // 3 and k <= q",
    "k // 2 <= q - 1",
    "doc[q * 0] == 0 and k <= q",
};

static bool check_exact(const expr *e, const attn_tile_box *box, bool range, const char *text) {
    expr_point p = point_at(0, 0, 0, 0);
    brute b = brute_force(e, box);
    attn_tile_class want = b.seen == 0         ? ATTN_TILE_NONE
                           : b.seen == b.count ? ATTN_TILE_ALL
                                               : ATTN_TILE_SOME;
    attn_tile_class got = expr_classify(e, box, &p);
    int32_t lo, hi;
    expr_range(e, box, &p, &lo, &hi);
    bool class_ok = got == want;
    bool range_ok = !range || (b.seen ? lo == b.lo && hi == b.hi : lo > hi);
    cr_expect(class_ok && range_ok, "%s: h %d..%d q %d..%d k %d..%d: class %d not %d, range %d..%d",
              text, box->h0, box->h1, box->q0, box->q1, box->k0, box->k1, got, want, lo, hi);
    return class_ok && range_ok;
}

Test(expr, exact_classes, .timeout = 300) {
    arena *a = arena_new();
    set_up(a);
    fill_data();
    for (size_t i = 0; i < sizeof exact / sizeof *exact - 1; i++) {
        expr *e = parse(a, exact[i], EXPR_MASK);
        bool range = !strstr(exact[i], "or ") && !strstr(exact[i], "//");
        bool go = true;
        attn_tile_box b = {0, 0, 0, 0, 0, 0};
        for (b.q0 = -2; go && b.q0 <= 7; b.q0++)
            for (b.q1 = b.q0; go && b.q1 <= 7; b.q1++)
                for (b.k0 = 0; go && b.k0 <= 9; b.k0++)
                    for (b.k1 = b.k0; go && b.k1 <= 9; b.k1++)
                        for (b.h1 = 0; go && b.h1 < 4; b.h1 += 3)
                            go = check_exact(e, &b, range, exact[i]);
    }
    arena_free(a);
}

/* Near the ends of int32 intermediates wrap and linear forms must not be believed. */
Test(expr, wrapping_is_sound) {
    static const char *const list[] = {"k + 5 > q",
                                       "q - k <= 3",
                                       "q * 2 < k",
                                       "abs(q - k) <= 2",
                                       "k - 2147483647 < q",
                                       "-q < k",
                                       "q + k < 100 and k <= q"};
    arena *a = arena_new();
    set_up(a);
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        expr *e = parse(a, list[i], EXPR_MASK);
        for (int n = 0; n < 400; n++) {
            static const int64_t corner[] = {INT32_MIN, INT32_MAX - 9, 0, -1073741824, 1073741820};
            int32_t q = (int32_t)(corner[rnd(5)] + rnd(5)), k = (int32_t)(corner[rnd(5)] + rnd(5));
            attn_tile_box box = {0, 0, q, q + (int32_t)rnd(5), k, k + (int32_t)rnd(5)};
            expr_point p = point_at(0, 0, 0, 0);
            int32_t lo, hi;
            expr_range(e, &box, &p, &lo, &hi);
            check_sound(e, &box, expr_classify(e, &box, &p), lo, hi, list[i]);
        }
    }
    arena_free(a);
}

/* Wide boxes answer at once, and as they should. */
Test(expr, wide_boxes) {
    arena *a = arena_new();
    set_up(a);
    expr *e = parse(a, "k <= q and q - k <= 256", EXPR_MASK);
    attn_tile_box box = {0, 31, 1000000, 2000000, 0, 4000000};
    int32_t lo, hi;
    expr_range(e, &box, NULL, &lo, &hi);
    cr_expect_eq(lo, 1000000 - 256);
    cr_expect_eq(hi, 2000000);
    cr_expect_eq(expr_classify(e, &box, NULL), ATTN_TILE_SOME);
    e = parse(a, "doc[q] == doc[k]", EXPR_MASK);
    cr_expect_eq(expr_minmax_tensors(e), 2u);
    cr_expect_eq(expr_minmax_tensors(parse(a, "seg[b][0] == k", EXPR_MASK)), 0u);
    arena_free(a);
}

static int count_of(const expr_lines *l, const char *what) {
    int n = 0;
    for (int i = 0; i < l->count; i++) n += strstr(l->line[i], what) != NULL;
    return n;
}

Test(expr, stages) {
    arena *a = arena_new();
    set_up(a);
    expr_code c;
    expr_emit_vector(a, parse(a, "s + slope[h] * (k - q)", EXPR_SCORE), EXPR_TILE, 2, "x", &c);
    cr_expect_eq(count_of(&c.lane, "vf_fma"), 2);
    cr_expect_eq(count_of(&c.once, "attn_side_f32"), 1);
    cr_expect_eq(c.key.count, 1);
    expr_emit_vector(a, parse(a, "s + table[h][q - k + 10]", EXPR_SCORE), EXPR_TILE, 1, "x", &c);
    cr_expect_eq(count_of(&c.lane, "vf_load_side("), 1);
    expr_emit_vector(a, parse(a, "s + table[h][k - q + 10]", EXPR_SCORE), EXPR_TILE, 1, "x", &c);
    cr_expect_eq(count_of(&c.lane, "vf_load_side_rev("), 1);
    expr_emit_vector(a, parse(a, "doc[q] == doc[k]", EXPR_MASK), EXPR_TILE, 2, "x", &c);
    cr_expect_eq(count_of(&c.once, "vi_load_side("), 2);
    cr_expect_eq(c.lane.count, 2);
    cr_expect_eq(c.ops, 1);
    arena_free(a);
}

/* Code of a score in units of log 2, over three vectors. */
static double scale_code(arena *a, const char *text, expr_code *c) {
    double factor;
    const expr *e = expr_scale(a, parse(a, text, EXPR_SCORE), 1.5, &factor);
    expr_emit_vector(a, e, EXPR_TILE, 3, "x", c);
    return factor;
}

Test(expr, scale) {
    arena *a = arena_new();
    set_up(a);
    expr_code c;
    cr_expect_eq(scale_code(a, "s + slope[h] * (k - q)", &c), 1.5);
    cr_expect_eq(count_of(&c.lane, "vf_mul"), 0);
    cr_expect_eq(count_of(&c.lane, "vf_fma"), 3);
    cr_expect_eq(scale_code(a, "30 * tanh(s / 30)", &c), 1.0 / 30);
    cr_expect_eq(count_of(&c.lane, "vf_tanh_each"), 1);
    cr_expect_eq(count_of(&c.lane, "vf_mul"), 3);
    cr_expect_eq(count_of(&c.lane, "vf_div"), 0);
    cr_expect_eq(scale_code(a, "where(q - k < 9, 0.25 * s, -(q * slope[h]))", &c), 0.375);
    cr_expect_eq(count_of(&c.lane, "vf_mul"), 0);
    /* s is wanted as it is, too; or the factor is too large to go into Q. */
    cr_expect_eq(scale_code(a, "s + 0.5 * tanh(s / 2)", &c), 1);
    cr_expect_eq(scale_code(a, "s * 1e9", &c), 1);
    cr_expect_eq(count_of(&c.lane, "vf_mul"), 3);
    arena_free(a);
}
