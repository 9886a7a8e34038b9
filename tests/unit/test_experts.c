/* Weights of experts in every form that files hold them in: names, orders, types. Packed as f32
 * rows by the runtime's own files, for a layer that is made here. */
#include "block.h"
#include "quant.h"
#include "types.h"
#include "weight_types.h"
#include "lab/problem.h"
#include "util.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { E = 2, HIDDEN = 32, MODEL = 64, WEIGHTS = 3, PARTS = 6 };
enum { GATE, UP, DOWN, GATE_BIAS, UP_BIAS, DOWN_BIAS };

static const attn_weight weights[WEIGHTS] = {
    {"router.weight", 2, {E, MODEL}, true},
    {"e_score_correction_bias", 1, {E}, true},
    {"shared_expert_gate.weight", 2, {1, MODEL}, true},
};
static const attn_weight parts[PARTS] = {
    {"experts.gate_proj.weight", 3, {E, HIDDEN, MODEL}, true},
    {"experts.up_proj.weight", 3, {E, HIDDEN, MODEL}, true},
    {"experts.down_proj.weight", 3, {E, MODEL, HIDDEN}, true},
    {"experts.gate_proj.bias", 2, {E, HIDDEN}, true},
    {"experts.up_proj.bias", 2, {E, HIDDEN}, true},
    {"experts.down_proj.bias", 2, {E, MODEL}, true},
};

static attn_spec spec;
static attn_block_kernel kernel;
static attn_weights found;
static char message[4096];
static arena *a;
static rng r;

static void begin(void) {
    a = arena_new();
    r = (rng){42};
    spec.expert_act = ATTN_EXPERT_ACT_SWIGLU;
    kernel = (attn_block_kernel){.spec = &spec, .weights = weights, .weight_count = WEIGHTS};
    kernel.expert_weights = parts, kernel.expert_weight_count = PARTS, kernel.experts = E;
    memset(&found, 0, sizeof found);
    message[0] = 0;
}

static void end(void) {
    arena_free(a);
}

TestSuite(experts, .init = begin, .fini = end);

static attn_status find(const attn_tensor *t, int32_t count) {
    memset(&found, 0, sizeof found);
    message[0] = 0;
    return attn_weights_find(&kernel, t, count, &found, message, sizeof message);
}

/* Whether something, beside what is not given here, is wrong. */
static bool says(const char *text) {
    return strstr(message, text) != NULL;
}

static const float *random_floats(int64_t count) {
    float *x = arena_alloc(a, (size_t)count * sizeof *x);
    for (int64_t i = 0; i < count; i++) x[i] = rng_normal(&r);
    return x;
}

static int64_t elements(int part) {
    return parts[part].dim[1] * (parts[part].rank == 3 ? parts[part].dim[2] : 1);
}

/* An expert's weight as rows of f32: what is packed of it. */
static const float *packed(int part, int32_t expert) {
    const attn_weight *w = &parts[part];
    float *to = arena_alloc(a, (size_t)elements(part) * sizeof *to);
    const attn_panels m = {0, ATTN_WEIGHT_F32, 1, w->rank == 3 ? w->dim[2] : 1};
    attn_packing p = {found.weight, to, -1, NULL};
    const int32_t number = attn_expert_weight(&kernel, part, expert);
    if (w->rank == 3)
        attn_pack_rows(&p, &m, 0, number, 0, w->dim[1]);
    else
        attn_pack_vector(&p, 0, number, 0, w->dim[1]);
    cr_expect_null(p.why);
    return to;
}

static void expect(int part, const float *want, const char *what) {
    for (int32_t e = 0; e < E; e++) {
        const float *got = packed(part, e);
        for (int64_t i = 0; i < elements(part); i++)
            cr_assert_eq(got[i], want[e * elements(part) + i], "%s of expert %d, element %d: %g",
                         what, e, (int)i, (double)got[i]);
    }
}

/* The same numbers in another type. */
static void *in_type(int32_t type, int64_t count, const float *x) {
    void *blocks = arena_alloc(a, (size_t)attn_weight_bytes(type, count) + 1);
    cr_assert_null(attn_quantise(blocks, type, count, x));
    return blocks;
}

static const float *values(int32_t type, int64_t count, const void *blocks) {
    float *x = arena_alloc(a, (size_t)count * sizeof *x);
    attn_dequantise(blocks, type, count, x);
    return x;
}

/* --- GGUF: one tensor for each weight, in any type --- */

static void check_gguf(int32_t type) {
    static const char *const names[PARTS] = {
        "blk.3.ffn_gate_exps.weight", "blk.3.ffn_up_exps.weight", "blk.3.ffn_down_exps.weight",
        "blk.3.ffn_gate_exps.bias",   "blk.3.ffn_up_exps.bias",   "blk.3.ffn_down_exps.bias"};
    attn_tensor t[PARTS + WEIGHTS] = {{0}};
    const float *want[PARTS];
    for (int i = 0; i < PARTS; i++) {
        const int32_t own = parts[i].rank == 3 ? type : ATTN_WEIGHT_F32;
        t[i].name = names[i], t[i].rank = parts[i].rank, t[i].type = own;
        memcpy(t[i].dim, parts[i].dim, sizeof parts[i].dim);
        t[i].data = in_type(own, E * elements(i), random_floats(E * elements(i)));
        want[i] = values(own, E * elements(i), t[i].data);
    }
    const float *x = random_floats(E * MODEL);
    t[PARTS] = (attn_tensor){"blk.3.ffn_gate_inp.weight", x, 2, {E, MODEL}, 0};
    t[PARTS + 1] = (attn_tensor){"blk.3.exp_probs_b.bias", x, 1, {E}, 0};
    t[PARTS + 2] = (attn_tensor){"blk.3.ffn_gate_inp_shexp.weight", x, 1, {MODEL}, 0};
    cr_assert_eq(find(t, PARTS + WEIGHTS), ATTN_OK, "%s", message);
    for (int i = 0; i < PARTS; i++) expect(i, want[i], names[i]);
}

Test(experts, gguf_names_in_every_type) {
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++)
        if (attn_weight_get(type).block <= HIDDEN) check_gguf(type);
}

/* --- gpt_oss --- */

/* Rows of the i-th of two pieces, by turns. */
static int64_t turn(int64_t e, int64_t row, int i) {
    return (e * HIDDEN + row) * 2 + i;
}

/* E2M1 (OCP Microscaling Formats 1.0, table 5): a sign, two bits of exponent, one of mantissa. */
static double e2m1(int code) {
    const int exponent = code >> 1 & 3, mantissa = code & 1;
    const double x = exponent ? ldexp(1 + mantissa / 2.0, exponent - 1) : mantissa / 2.0;
    return code & 8 ? -x : x;
}

/* Codes and scales as Hugging Face's files have them, and their values. */
typedef struct split {
    uint8_t *codes, *scales;
    float *value;
} split;

static split random_split(int64_t count) {
    split s;
    s.codes = arena_alloc(a, (size_t)count / 2);
    s.scales = arena_alloc(a, (size_t)count / 32);
    s.value = arena_alloc(a, (size_t)count * sizeof *s.value);
    for (int64_t i = 0; i < count / 2; i++) s.codes[i] = (uint8_t)rng_int(&r, 0, 255);
    for (int64_t i = 0; i < count / 32; i++) s.scales[i] = (uint8_t)rng_int(&r, 100, 140);
    for (int64_t i = 0; i < count; i++) {
        const int code = i % 2 ? s.codes[i / 2] >> 4 : s.codes[i / 2] & 15;
        s.value[i] = (float)ldexp(e2m1(code), s.scales[i / 32] - 127);
    }
    return s;
}

Test(experts, mxfp4_in_two_tensors) {
    spec.expert_act = ATTN_EXPERT_ACT_SWIGLU_CLAMPED;
    const split both = random_split(E * 2 * HIDDEN * MODEL),
                down = random_split(E * MODEL * HIDDEN);
    const int32_t type = ATTN_WEIGHT_MXFP4;
    attn_tensor t[] = {
        {"mlp.experts.gate_up_proj_scales", both.scales, 3, {E, 2 * HIDDEN, MODEL / 32}, type},
        {"mlp.experts.gate_up_proj_blocks", both.codes, 4, {E, 2 * HIDDEN, MODEL / 32, 16}, type},
        {"mlp.experts.down_proj_blocks", down.codes, 4, {E, MODEL, HIDDEN / 32, 16}, type},
        {"mlp.experts.down_proj_scales", down.scales, 3, {E, MODEL, HIDDEN / 32}, type},
    };
    find(t, 4);
    cr_expect(!says("mlp") && !says("gate_proj.weight") && !says("down_proj.weight"), "%s",
              message);
    float *want[2];
    for (int i = 0; i < 2; i++) {
        want[i] = arena_alloc(a, E * HIDDEN * MODEL * sizeof(float));
        for (int64_t row = 0; row < E * HIDDEN; row++)
            memcpy(want[i] + row * MODEL, both.value + turn(row / HIDDEN, row % HIDDEN, i) * MODEL,
                   MODEL * sizeof(float));
    }
    expect(GATE, want[0], "gate");
    expect(UP, want[1], "up");
    expect(DOWN, down.value, "down");

    find(t, 3);
    cr_expect(says("experts.down_proj.weight: missing: the scales (_scales)"), "%s", message);
    find(t + 1, 3);
    cr_expect(says("experts.gate_proj.weight: missing: the codes") == false, "%s", message);
    cr_expect(says("experts.up_proj.weight: missing: the scales (_scales)"), "%s", message);
    t[0].name = "mlp.experts.gate_up_proj_blocks";
    find(t, 4);
    cr_expect(says("mlp.experts.gate_up_proj_blocks: must be [2, 64, 2, 16], got [2, 64, 2]"), "%s",
              message);
    t[0] = t[1];
    find(t, 4);
    cr_expect(says("gives experts.up_proj.weight of expert 1 a second time"), "%s", message);
    t[3].type = ATTN_WEIGHT_F32;
    find(t, 4);
    cr_expect(says("down_proj_scales: type is 0: must be ATTN_WEIGHT_MXFP4"), "%s", message);
}

Test(experts, bf16_by_turns_and_turned) {
    spec.expert_act = ATTN_EXPERT_ACT_SWIGLU_CLAMPED;
    const int32_t type = ATTN_WEIGHT_BF16;
    const int64_t count = E * MODEL * 2 * HIDDEN, biases = E * 2 * HIDDEN;
    const void *both = in_type(type, count, random_floats(count));
    const void *bias = in_type(type, biases, random_floats(biases));
    attn_tensor t[] = {
        {"mlp.experts.gate_up_proj", both, 3, {E, MODEL, 2 * HIDDEN}, type},
        {"mlp.experts.gate_up_proj_bias", bias, 2, {E, 2 * HIDDEN}, type},
    };
    find(t, 2);
    cr_expect(!says("mlp"), "%s", message);
    const float *x = values(type, count, both), *b = values(type, biases, bias);
    for (int i = 0; i < 2; i++) {
        float *want = arena_alloc(a, E * HIDDEN * MODEL * sizeof *want);
        float *want_bias = arena_alloc(a, E * HIDDEN * sizeof *want);
        for (int64_t e = 0; e < E; e++)
            for (int64_t row = 0; row < HIDDEN; row++) {
                want_bias[e * HIDDEN + row] = b[turn(e, row, i)];
                for (int64_t k = 0; k < MODEL; k++)
                    want[(e * HIDDEN + row) * MODEL + k] =
                        x[(e * MODEL + k) * 2 * HIDDEN + 2 * row + i];
            }
        expect(i == 0 ? GATE : UP, want, "weight by turns");
        expect(i == 0 ? GATE_BIAS : UP_BIAS, want_bias, "bias by turns");
    }
    t[0].type = t[1].type = ATTN_WEIGHT_Q8_0;
    find(t, 2);
    cr_expect(says("gate_up_proj: type is q8_0: must be f32, bf16 or f16 of rows that stand as"),
              "%s", message);
    cr_expect(says("proj_bias: type is q8_0: must be f32, bf16 or f16 of vectors"), "%s", message);
}

/* --- Blocks stay as they are --- */

enum { COLUMNS = 8 };

/* Panels of expert e's piece. */
static const uint8_t *panels(int part, int32_t e, int32_t type, size_t *bytes) {
    *bytes = (size_t)attn_weight_bytes(type, elements(part));
    uint8_t *to = arena_alloc(a, *bytes);
    const attn_panels m = {0, type, COLUMNS, MODEL};
    attn_packing p = {found.weight, (float *)(void *)to, -1, NULL};
    attn_pack_rows(&p, &m, 0, attn_expert_weight(&kernel, part, e), 0, HIDDEN);
    cr_expect_null(p.why);
    return to;
}

Test(experts, one_tensor_or_one_each_in_blocks) {
    const int32_t type = ATTN_WEIGHT_Q4_1;
    const int64_t count = E * 2 * HIDDEN * MODEL;
    const int64_t piece = attn_weight_bytes(type, HIDDEN * MODEL);
    const uint8_t *blocks = in_type(type, count, random_floats(count)), *together[4];
    const attn_tensor all = {"experts.gate_up_proj", blocks, 3, {E, 2 * HIDDEN, MODEL}, type};
    size_t bytes;
    find(&all, 1);
    for (int i = 0; i < 4; i++) together[i] = panels(i % 2, i / 2, type, &bytes);
    attn_tensor t[4];
    for (int i = 0; i < 4; i++) {
        const char *name = i % 2 ? "w3" : "w1";
        t[i] = (attn_tensor){.rank = 2, .dim = {HIDDEN, MODEL}, .type = type};
        t[i].name = arena_printf(a, "block_sparse_moe.experts.%d.%s.weight", i / 2, name);
        t[i].data = blocks + i * piece;
    }
    find(t, 4);
    for (int i = 0; i < 4; i++)
        cr_expect_arr_eq(panels(i % 2, i / 2, type, &bytes), together[i], bytes, "piece %d", i);
}
