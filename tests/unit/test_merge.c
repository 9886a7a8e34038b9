/* attn_merge: attention over parts of the keys gives attention over all of them. The formula is
 * restated in double over scores and values of our own, without a kernel. */
#include "../../runtime/merge.c"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { B = 2, H = 3, Q = 2, D = 7, KEYS = 40, PARTS = 4, ROWS = B * H * Q };

static double uniform(uint64_t *state) { /* -1..1 */
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(*state >> 11) / (double)(1ll << 52) - 1;
}

/* Keys begin..end-1 of scores s and values v: O and LSE in double. */
static void attend(const double *s, double v[][D], int begin, int end, double *o, double *lse) {
    double most = -INFINITY, sum = 0;
    memset(o, 0, sizeof(double) * D);
    for (int j = begin; j < end; j++) most = fmax(most, s[j]);
    for (int j = begin; j < end && most > -INFINITY; j++) {
        const double p = exp(s[j] - most);
        sum += p;
        for (int d = 0; d < D; d++) o[d] += p * v[j][d];
    }
    for (int d = 0; d < D && sum > 0; d++) o[d] /= sum;
    *lse = sum > 0 ? most + log(sum) : -INFINITY;
}

typedef struct sample {
    float o[PARTS][ROWS][D], lse[PARTS][ROWS];
    double want_o[ROWS][D], want_lse[ROWS];
    attn_part parts[PARTS];
    float got_o[ROWS][D], got_lse[ROWS];
    attn_merge_args args;
} sample;

/* Part n of row r; where nothing is visible, o is NaN: nobody may look at it. */
static void make_part(sample *t, int n, int r, const double *s, double v[][D], int begin, int end) {
    double o[D], lse;
    attend(s, v, begin, end, o, &lse);
    t->lse[n][r] = (float)lse;
    for (int d = 0; d < D; d++) t->o[n][r][d] = lse == -INFINITY ? NAN : (float)o[d];
}

static void make(sample *t, uint64_t seed) {
    static const int begin[PARTS + 1] = {0, 1, 9, 30, KEYS};
    double s[KEYS], v[KEYS][D];
    for (int r = 0; r < ROWS; r++) {
        for (int j = 0; j < KEYS; j++) {
            s[j] = 30 * uniform(&seed);
            if ((r == 1 && j >= 9) || r == 4) s[j] = -INFINITY; /* parts and a row without keys */
            for (int d = 0; d < D; d++) v[j][d] = uniform(&seed);
        }
        attend(s, v, 0, KEYS, t->want_o[r], &t->want_lse[r]);
        for (int n = 0; n < PARTS; n++) make_part(t, n, r, s, v, begin[n], begin[n + 1]);
    }
    for (int n = 0; n < PARTS; n++)
        t->parts[n] = (attn_part){.o = {t->o[n], (int64_t)H * Q * D, (int64_t)Q * D, D},
                                  .lse = t->lse[n],
                                  .lse_batch = (int64_t)H * Q,
                                  .lse_head = Q};
    t->args = (attn_merge_args){.struct_size = sizeof t->args,
                                .batch = B,
                                .heads = H,
                                .q_len = Q,
                                .v_dim = D,
                                .part_count = PARTS,
                                .parts = t->parts,
                                .o = {t->got_o, (int64_t)H * Q * D, (int64_t)Q * D, D},
                                .lse = t->got_lse,
                                .lse_batch = (int64_t)H * Q,
                                .lse_head = Q};
}

static void compare(const sample *t, const float *o, const float *lse) {
    for (int r = 0; r < ROWS; r++) {
        if (t->want_lse[r] == -INFINITY)
            cr_assert_eq(lse[r], -INFINITY, "row %d", r);
        else
            cr_assert_lt(fabs((double)lse[r] - t->want_lse[r]), 1e-5, "row %d: %g", r,
                         (double)lse[r]);
        for (int d = 0; d < D; d++) /* LSE of 30 is known to 1e-6 */
            cr_assert_lt(fabs((double)o[r * D + d] - t->want_o[r][d]), 1e-5, "row %d, %d: %g", r, d,
                         (double)o[r * D + d]);
    }
}

Test(merge, parts_are_the_whole) {
    sample t;
    for (uint64_t seed = 1; seed < 50; seed++) {
        make(&t, seed);
        cr_assert_eq(attn_merge(&t.args), ATTN_OK);
        compare(&t, t.got_o[0], t.got_lse);
    }
}

Test(merge, in_place_has_the_same_bits) {
    sample t;
    for (int n = 0; n < PARTS; n++) {
        make(&t, 7);
        cr_assert_eq(attn_merge(&t.args), ATTN_OK);
        t.args.o.data = t.o[n], t.args.lse = t.lse[n];
        cr_assert_eq(attn_merge(&t.args), ATTN_OK);
        cr_assert(memcmp(t.o[n], t.got_o, sizeof t.got_o) == 0, "part %d", n);
        cr_assert(memcmp(t.lse[n], t.got_lse, sizeof t.got_lse) == 0, "part %d", n);
    }
}

Test(merge, one_part_is_itself) {
    sample t;
    make(&t, 3);
    t.args.part_count = 1;
    t.parts[0].lse = t.lse[3], t.parts[0].o.data = t.o[3];
    cr_assert_eq(attn_merge(&t.args), ATTN_OK);
    for (int r = 0; r < ROWS; r++) {
        cr_assert_eq(t.got_lse[r], t.lse[3][r], "row %d", r);
        for (int d = 0; d < D; d++)
            cr_assert_eq(t.got_o[r][d], isinf(t.lse[3][r]) ? 0 : t.o[3][r][d], "row %d", r);
    }
}

Test(merge, far_apart_and_not_a_number) {
    sample t;
    make(&t, 5);
    t.lse[0][0] = 3e38f, t.lse[2][0] = -3e38f; /* one outweighs all */
    t.lse[1][2] = NAN;
    cr_assert_eq(attn_merge(&t.args), ATTN_OK);
    for (int d = 0; d < D; d++) {
        cr_assert_eq(t.got_o[0][d], t.o[0][0][d]);
        cr_assert(isnan(t.got_o[2][d]));
    }
    cr_assert_eq(t.got_lse[0], 3e38f);
    cr_assert(isnan(t.got_lse[2]));
}

Test(merge, wide_rows) { /* wider than what is summed at a time */
    enum { WIDE = 1300 };
    static float a[WIDE], b[WIDE], o[WIDE];
    const float la = 0, lb = logf(3);
    for (int d = 0; d < WIDE; d++) a[d] = (float)d, b[d] = 0;
    const attn_part parts[] = {{.o = {a, 0, 0, 0}, .lse = &la}, {.o = {b, 0, 0, 0}, .lse = &lb}};
    const attn_merge_args args = {.struct_size = sizeof args,
                                  .batch = 1,
                                  .heads = 1,
                                  .q_len = 1,
                                  .v_dim = WIDE,
                                  .part_count = 2,
                                  .parts = parts,
                                  .o = {o, 0, 0, 0}};
    cr_assert_eq(attn_merge(&args), ATTN_OK);
    for (int d = 0; d < WIDE; d++) cr_assert_lt(fabsf(o[d] - (float)d / 4), 1e-6f * (float)(d + 1));
}

Test(merge, nothing_to_merge) {
    sample t;
    make(&t, 1);
    t.args.part_count = 0, t.args.parts = NULL;
    cr_assert_eq(attn_merge(&t.args), ATTN_OK);
    for (int r = 0; r < ROWS; r++) {
        cr_assert_eq(t.got_lse[r], -INFINITY);
        for (int d = 0; d < D; d++) cr_assert_eq(t.got_o[r][d], 0);
    }
    const attn_merge_args empty = {.struct_size = sizeof empty, .heads = 4};
    cr_assert_eq(attn_merge(&empty), ATTN_OK);
}

/* The status of what *value is for this call, and that the sentence names it; nothing is written.
 */
static void refuse(sample *t, attn_status want, const char *names) {
    char text[256];
    memset(t->got_o, 0x5a, sizeof t->got_o);
    cr_assert_eq(attn_merge_check(&t->args, text, sizeof text), want, "%s: %s", names, text);
    cr_assert(strstr(text, names), "%s does not name %s", text, names);
    cr_assert_eq(attn_merge(&t->args), want);
    for (size_t i = 0; i < sizeof t->got_o; i++)
        cr_assert_eq(((const unsigned char *)t->got_o)[i], 0x5a);
}

Test(merge, refusals_name_the_argument) {
    sample t;
#define REFUSE(status, names, change) (make(&t, 1), change, refuse(&t, status, names))
    REFUSE(ATTN_E_ABI, "struct_size", t.args.struct_size = 3);
    REFUSE(ATTN_E_ARGUMENT, "batch", t.args.batch = -1);
    REFUSE(ATTN_E_ARGUMENT, "part_count", t.args.part_count = -1);
    REFUSE(ATTN_E_ARGUMENT, "parts is null", t.args.parts = NULL);
    REFUSE(ATTN_E_ARGUMENT, "o.data", t.args.o.data = NULL);
    REFUSE(ATTN_E_ARGUMENT, "parts[1].o.data", t.parts[1].o.data = NULL);
    REFUSE(ATTN_E_ARGUMENT, "parts[2].lse", t.parts[2].lse = NULL);
    REFUSE(ATTN_E_ARGUMENT, "o.token", t.args.o.token = D - 1);
    REFUSE(ATTN_E_ARGUMENT, "lse_head", t.args.lse_head = 1);
    REFUSE(ATTN_E_ARGUMENT, "overlaps", t.args.o.data = t.o[2][1]);
    REFUSE(ATTN_E_ARGUMENT, "overlaps", t.args.lse = (float *)t.got_o);
    REFUSE(ATTN_E_ARGUMENT, "overlaps", t.args.lse = t.lse[1] + 1);
    REFUSE(ATTN_E_ARGUMENT, "address space", t.args.o.batch = INT64_MAX / 2);
    cr_assert_eq(attn_merge(NULL), ATTN_E_ARGUMENT);
}
