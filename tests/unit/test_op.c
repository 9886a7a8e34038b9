/* What an op sees: the runtime's table and the oracle's restatement say the same. */
#include "lab/oracle.h"
#include "op.h"
#include <criterion/criterion.h>
#include <string.h>

/* Every op of the field table, with each window at hand. */
static attn_spec op_spec(int32_t op, int32_t reach, bool causal) {
    attn_spec s;
    attn_spec_init(&s);
    s.op = op, s.heads = 2, s.head_dim = 8;
    const int fields = attn_op_of(&s)->fields;
    if (fields & ATTN_IN_SELF) s.causal = causal;
    if (fields & ATTN_IN_SLIDING) s.window = reach;
    if ((fields & ATTN_IN_SLIDING) && !causal) s.right_window = reach / 2;
    if (fields & ATTN_IN_CROSS) s.lookback = reach;
    cr_assert_eq(attn_spec_resolve(&s, NULL), ATTN_OK);
    return s;
}

static void expect_keys(const attn_spec *s, int64_t place, int64_t kv_len) {
    int64_t lo, hi;
    oracle_range(s, place, &lo, &hi);
    if (lo < 0) lo = 0;
    if (hi > kv_len - 1) hi = kv_len - 1;
    const attn_keys got = attn_op_keys(s, place, kv_len);
    if (lo > hi) {
        cr_expect_gt(got.first, got.last);
        return;
    }
    cr_expect_eq(got.first, lo, "op %d, place %lld", s->op, (long long)place);
    cr_expect_eq(got.last, hi, "op %d, place %lld", s->op, (long long)place);
    const attn_op_reach reach = attn_op_of(s)->reach(s);
    cr_expect_leq(hi - lo + 1, reach.most);
    if (!attn_op_of(s)->segments) cr_expect_leq(hi - reach.ahead, place);
    if (!attn_op_of(s)->segments) cr_expect_geq(lo + reach.back, place);
}

Test(op, keys_are_the_oracles) {
    static const int32_t reach[] = {0, 1, 7, 15, 16, 1000, INT32_MAX};
    static const int64_t at[] = {INT32_MIN,       -9, -1, 0, 1, 8, 63, 64, 100, INT32_MAX,
                                 INT64_C(1) << 32};
    const attn_field *op = attn_field_find("op");
    char name[32];
    int ops = 0;
    for (int32_t o = 0; attn_enum_name(op, o, name, sizeof name), *name; o++, ops++)
        for (size_t r = 0; r < sizeof reach / sizeof *reach; r++)
            for (int causal = 0; causal < 2; causal++) {
                const attn_spec s = op_spec(o, reach[r], causal);
                for (size_t i = 0; i < sizeof at / sizeof *at; i++)
                    for (int64_t kv_len = 0; kv_len <= 64; kv_len += 32)
                        expect_keys(&s, at[i], kv_len);
            }
    cr_expect_geq(ops, 3);
}

Test(op, words_fit_and_say_the_window) {
    const attn_field *op = attn_field_find("op");
    char name[32], text[ATTN_OP_WORDS_MAX];
    for (int32_t o = 0; attn_enum_name(op, o, name, sizeof name), *name; o++) {
        const attn_spec s = op_spec(o, INT32_MAX, false);
        attn_op_of(&s)->words(&s, text);
        cr_expect(*text && strlen(text) + 1 < sizeof text, "%s", name);
        if (attn_op_of(&s)->reach(&s).back < ATTN_FAR)
            cr_expect(strstr(text, "2147483647"), "%s: %s", name, text);
    }
}
