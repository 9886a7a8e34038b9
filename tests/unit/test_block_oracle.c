/* The double oracle of layers: its pieces against numbers from elsewhere, and what has to hold
 * between layers. tests/golden/block holds whole layers of other people's code. */
#include "lab/block_oracle.h"
#include "lab/cases.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* --- Small layers with made-up weights --- */

enum { MAX_WEIGHTS = 24, B = 2, T = 7, M = 8, H = 2 };

typedef struct made {
    arena *a;
    kernel_spec spec;
    block_tensor weight[MAX_WEIGHTS];
    block_case c;
} made;

static float *numbers(arena *a, int64_t count, unsigned seed) {
    float *x = arena_alloc(a, (size_t)count * sizeof *x);
    uint32_t state = seed * 2654435761u + 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(state >> 8) / (float)(1 << 23) - 1;
    }
    return x;
}

static float *add_weight(made *m, const char *name, int rank, int64_t d0, int64_t d1) {
    block_tensor *w = &m->weight[m->c.weight_count++];
    const int64_t count = rank == 1 ? d0 : d0 * d1;
    float *data = numbers(m->a, count, (unsigned)strlen(name) * 31 + (unsigned)name[0]);
    *w = (block_tensor){.name = name, .data = data, .rank = rank, .dim = {d0, d1}};
    return data;
}

static float *weight_data(made *m, const char *name) {
    for (int i = 0; i < m->c.weight_count; i++)
        if (strcmp(m->weight[i].name, name) == 0) return (float *)(uintptr_t)m->weight[i].data;
    cr_assert_fail("no weight %s", name);
    return NULL;
}

/* "field=value;..." on top of level = block. */
static void make_spec(made *m, const char *text) {
    spec_input inputs[40];
    int count = 0;
    char *copy = arena_printf(m->a, "level=block;%s", text), *save = NULL;
    for (char *part = strtok_r(copy, ";", &save); part; part = strtok_r(NULL, ";", &save)) {
        char *equals = strchr(part, '=');
        *equals = 0;
        lua_val *v = arena_alloc(m->a, sizeof *v);
        v->kind = LUA_VAL_STRING;
        v->string = equals + 1;
        inputs[count++] = (spec_input){.field = part, .value = v, .from_flag = true, .where = part};
    }
    diag d = {0};
    cr_assert(kernel_spec_build(m->a, inputs, count, NULL, &m->spec, &d), "%s", d.text);
}

static void add_ffn(made *m) {
    const attn_spec *s = &m->spec.core;
    if (s->ffn == ATTN_FFN_NONE || s->ffn == ATTN_FFN_EXTERNAL) return;
    add_weight(m, "norm2.weight", 1, M, 0);
    add_weight(m, "gate_proj.weight", 2, s->ffn_dim, M);
    add_weight(m, "up_proj.weight", 2, s->ffn_dim, M);
    add_weight(m, "down_proj.weight", 2, M, s->ffn_dim);
}

/* A regular self layer of rmsnorm, no biases and swiglu; text overrides. */
static made make(const char *text) {
    made m = {.a = arena_new()};
    make_spec(&m, arena_printf(m.a,
                               "heads=2;kv_heads=1;d_model=8;norm=rmsnorm;q_bias=false;"
                               "ffn_bias=false;%s",
                               text));
    const attn_spec *s = &m.spec.core;
    m.c.weight = m.weight;
    add_weight(&m, "norm1.weight", 1, M, 0);
    add_weight(&m, "q_proj.weight", 2, (int64_t)s->heads * s->head_dim, M);
    add_weight(&m, "k_proj.weight", 2, s->head_dim, M);
    add_weight(&m, "v_proj.weight", 2, s->head_dim, M);
    add_weight(&m, "o_proj.weight", 2, M, (int64_t)s->heads * s->head_dim);
    add_ffn(&m);
    m.c.batch = B;
    m.c.tokens = T;
    m.c.x = numbers(m.a, B * T * M, 99);
    return m;
}

/* The spec is set here: a made may have moved since. */
static const double *run(made *m) {
    char error[1024];
    m->c.spec = &m->spec;
    m->c.weight = m->weight;
    m->c.y = arena_alloc(m->a, sizeof(double) * (size_t)(m->c.batch * m->c.tokens * M));
    cr_assert(block_oracle(&m->c, error, sizeof error), "%s", error);
    return m->c.y;
}

static double difference(const double *x, const double *y, int count) {
    double most = 0;
    for (int i = 0; i < count; i++) {
        double d = fabs(x[i] - y[i]);
        if (!(d <= most)) most = d; /* NaN counts */
    }
    return most;
}

static void expect_near(double got, double want, double tolerance, const char *what) {
    cr_assert(fabs(got - want) <= tolerance, "%s: got %.17g want %.17g", what, got, want);
}

/* --- Pieces --- */

Test(block_oracle, activations) {
    /* torch.nn.functional in double: gelu, gelu(approximate = "tanh"), silu. */
    static const double x[] = {-8, -3, -1, -0.1, 0, 0.5, 1, 2.5, 6};
    static const double gelu[] = {-4.8849813083506888e-15,
                                  -0.0040496940948903104,
                                  -0.15865525393145702,
                                  -0.046017216272297101,
                                  0,
                                  0.34573123063700656,
                                  0.84134474606854304,
                                  2.4844758366855597,
                                  5.9999999940804738};
    static const double by_tanh[] = {0,
                                     -0.0036373920817729943,
                                     -0.15880800939172329,
                                     -0.046017248954564841,
                                     0,
                                     0.34571400982514394,
                                     0.84119199060827676,
                                     2.4849157339100012,
                                     5.9999999999156035};
    static const double silu[] = {
        -0.0026828010437318249, -0.14227761953270035, -0.2689414213699951, -0.047502081252106004, 0,
        0.3112296656009273,     0.7310585786300049,   2.3103545499468914,  5.9851642610601923};
    for (int i = 0; i < 9; i++) {
        expect_near(block_activation(ATTN_FFN_GELU, x[i]), gelu[i], 1e-14, "gelu");
        expect_near(block_activation(ATTN_FFN_GEGLU, x[i]), gelu[i], 1e-14, "geglu");
        expect_near(block_activation(ATTN_FFN_GELU_TANH, x[i]), by_tanh[i], 1e-11, "gelu_tanh");
        expect_near(block_activation(ATTN_FFN_GEGLU_TANH, x[i]), by_tanh[i], 1e-11, "geglu_tanh");
        expect_near(block_activation(ATTN_FFN_SWIGLU, x[i]), silu[i], 1e-14, "swiglu");
        expect_near(block_activation(ATTN_FFN_SILU, x[i]), silu[i], 1e-14, "silu");
        expect_near(block_activation(ATTN_FFN_RELU, x[i]), x[i] > 0 ? x[i] : 0, 0, "relu");
    }
}

/* Every fourth (64 pairs) or second (32 pairs) angle that transformers 5.23 computes, in f32. */
static void expect_angles(const char *fields, int32_t pairs, double mscale, const double want[16]) {
    made m = {.a = arena_new()};
    make_spec(&m, fields);
    double angle[64];
    cr_assert_eq(m.spec.core.rope_dim, 2 * pairs);
    block_rope_angles(&m.spec.core, angle);
    for (int i = 0; i < 16; i++) {
        const double got = angle[i * pairs / 16];
        expect_near(got / want[i], 1, 1e-6, fields);
    }
    expect_near(block_rope_mscale(&m.spec.core), mscale, 1e-7, "mscale");
    arena_free(m.a);
}

#define ROPE "heads=32;d_model=4096;rope=half;"

Test(block_oracle, rope_linear) {
    expect_angles(ROPE "rope_scaling=linear;rope_factor=4", 64, 1,
                  (double[]){0.25, 0.140585333, 0.079056941, 0.0444569848, 0.0250000004,
                             0.0140585322, 0.00790569466, 0.00444569858, 0.00249999994,
                             0.00140585331, 0.000790569466, 0.000444569858, 0.000250000012,
                             0.000140585325, 7.90569466e-05, 4.44569851e-05});
}

Test(block_oracle, rope_llama3) { /* Llama 3.1 */
    expect_angles(
        ROPE "rope_base=500000;rope_scaling=llama3;rope_factor=8;rope_original=8192", 64, 1,
        (double[]){1, 0.440366626, 0.193922758, 0.0853971019, 0.0376060307, 0.0165604409,
                   0.00729266508, 0.00321144611, 0.000524846022, 7.78465546e-05, 3.42810235e-05,
                   1.50962178e-05, 6.64786967e-06, 2.92749974e-06, 1.28917316e-06, 5.6770881e-07});
}

Test(block_oracle, rope_yarn_deepseek) {
    expect_angles("form=mla;key=shared;heads=128;d_model=7168;head_dim=128;kv_comp_dim=512;"
                  "retr_dim=64;rope_scaling=yarn;rope_factor=40;rope_original=4096;rope_mscale=1",
                  32, 1,
                  (double[]){1, 0.562341332, 0.316227764, 0.177827939, 0.100000001, 0.0562341288,
                             0.0268793609, 0.012447956, 0.00550000044, 0.00224936521,
                             0.000790569407, 0.00017782794, 2.49999994e-05, 1.40585325e-05,
                             7.90569447e-06, 4.44569832e-06});
}

Test(block_oracle, rope_yarn_gpt_oss) { /* no whole dimensions */
    expect_angles("heads=64;kv_heads=8;head_dim=64;d_model=2880;rope=half;rope_base=150000;"
                  "rope_scaling=yarn;rope_factor=32;rope_original=4096;rope_truncate=false",
                  32, 1.3465735902799727,
                  (double[]){1, 0.47478205, 0.225418001, 0.107024424, 0.0508132726, 0.0193349998,
                             0.00679495931, 0.00209379266, 0.000456483918, 3.83088118e-05,
                             1.8188337e-05, 8.63549576e-06, 4.09997847e-06, 1.94659629e-06,
                             9.24208962e-07, 4.38797855e-07});
}

Test(block_oracle, rope_yarn_qwen3) {
    expect_angles(ROPE "rope_base=1000000;rope_scaling=yarn;rope_factor=4;rope_original=32768", 64,
                  1.138629436111989,
                  (double[]){1, 0.421696514, 0.177827939, 0.0749894157, 0.0316227786, 0.0133352149,
                             0.00537532149, 0.00184827659, 0.000602941145, 0.000179841154,
                             4.44569851e-05, 1.87473561e-05, 7.90569356e-06, 3.33380353e-06,
                             1.40585337e-06, 5.92843435e-07});
}

/* One row of width 4 through a layer whose attention is 0: y is the norm itself. */
static void expect_norm(const char *fields, bool bias, const double want[4]) {
    made m = {.a = arena_new()};
    make_spec(&m, arena_printf(m.a,
                               "heads=1;d_model=4;ffn=none;q_bias=false;rope=none;"
                               "norm_place=post;norm_eps=0.001;%s",
                               fields));
    static const float x[] = {1, -2, 4, 0.5f}, w[] = {0.5f, 2, -1, 1.5f}, b[] = {0.25f, 0, 1, -2};
    static const float zero[16];
    const block_tensor weight[] = {
        {"q_proj.weight", zero, 2, {4, 4}}, {"k_proj.weight", zero, 2, {4, 4}},
        {"v_proj.weight", zero, 2, {4, 4}}, {"o_proj.weight", zero, 2, {4, 4}},
        {"norm1.weight", w, 1, {4}},        {"norm1.bias", b, 1, {4}}};
    double y[4];
    char error[512];
    const block_case c = {.spec = &m.spec,
                          .weight = weight,
                          .weight_count = bias ? 6 : 5,
                          .batch = 1,
                          .tokens = 1,
                          .x = x,
                          .y = y};
    cr_assert(block_oracle(&c, error, sizeof error), "%s", error);
    for (int i = 0; i < 4; i++) expect_near(y[i], want[i], 2e-8, fields);
    arena_free(m.a);
}

Test(block_oracle, norms) {
    expect_norm("norm=layernorm", true,
                (double[]){0.27930729647, -2.69627127521, -0.465364823486, -2.26376566823});
    expect_norm("norm=rmsnorm", false,
                (double[]){0.216910043716, -1.73528034973, -1.73528034973, 0.325365065575});
    expect_norm("norm=rmsnorm;norm_offset=true", false,
                (double[]){0.650730131149, -2.6029205246, 0, 0.542275109291});
}

/* --- Between layers --- */

Test(block_oracle, parallel_residual) {
    made serial = make("residual=serial"), parallel = make("residual=parallel");
    made alone = make("ffn=none"), fed = make("residual=parallel");
    memset(weight_data(&fed, "o_proj.weight"), 0, sizeof(float) * M * M);
    const double *whole = run(&parallel), *attended = run(&alone), *ffn = run(&fed);
    double sum[B * T * M];
    /* x + attn(norm1 x) and x + ffn(norm2 x) make up x + attn + ffn. */
    for (int i = 0; i < B * T * M; i++) sum[i] = attended[i] + ffn[i] - (double)parallel.c.x[i];
    cr_assert(difference(whole, sum, B * T * M) < 1e-14);
    cr_assert(difference(whole, run(&serial), B * T * M) > 1e-3);
}

Test(block_oracle, shared_norm_is_the_first) {
    made one = make("residual=parallel;shared_norm=true"), two = make("residual=parallel");
    memcpy(weight_data(&two, "norm2.weight"), weight_data(&two, "norm1.weight"), sizeof(float) * M);
    for (int i = 0; i < one.c.weight_count; i++) /* it has no second one */
        if (strcmp(one.weight[i].name, "norm2.weight") == 0)
            one.weight[i] = one.weight[--one.c.weight_count];
    cr_assert(difference(run(&one), run(&two), B * T * M) == 0);
}

Test(block_oracle, joint_weights) {
    made apart = make(""), joint = make("");
    static const char *const order[] = {"q_proj.weight", "k_proj.weight", "v_proj.weight"};
    float *qkv = arena_alloc(joint.a, sizeof(float) * 2 * M * M), *to = qkv;
    for (int i = 0; i < 3; i++) {
        const size_t rows = i ? M / H : M;
        memcpy(to, weight_data(&apart, order[i]), sizeof(float) * rows * M);
        to += rows * M;
    }
    const int64_t f = joint.spec.core.ffn_dim;
    float *w1 = arena_alloc(joint.a, sizeof(float) * (size_t)(2 * f * M));
    memcpy(w1, weight_data(&apart, "gate_proj.weight"), sizeof(float) * (size_t)(f * M));
    memcpy(w1 + f * M, weight_data(&apart, "up_proj.weight"), sizeof(float) * (size_t)(f * M));
    const block_tensor weight[] = {
        {"qkv.weight", qkv, 2, {2 * M, M}},
        {"w1.weight", w1, 2, {2 * f, M}},
        {"w2.weight", weight_data(&apart, "down_proj.weight"), 2, {M, f}},
        {"o_proj.weight", weight_data(&apart, "o_proj.weight"), 2, {M, M}},
        {"norm1.weight", weight_data(&apart, "norm1.weight"), 1, {M}},
        {"norm2.weight", weight_data(&apart, "norm2.weight"), 1, {M}}};
    memcpy(joint.weight, weight, sizeof weight);
    joint.c.weight_count = 6;
    cr_assert(difference(run(&apart), run(&joint), B * T * M) == 0);
}

Test(block_oracle, positions_are_relative) {
    static const char *const fields[] = {"rope=half", "rope=interleaved;rope_dim=2",
                                         "rope=half;rope_scaling=yarn;rope_factor=4;"
                                         "rope_original=64"};
    for (int i = 0; i < 3; i++) {
        made here = make(fields[i]), there = make(fields[i]), nowhere = make("rope=none");
        there.c.position = 1000;
        cr_assert(difference(run(&here), run(&there), B * T * M) < 1e-11, "%s", fields[i]);
        cr_assert(difference(run(&here), run(&nowhere), B * T * M) > 1e-3, "%s", fields[i]);
    }
}

Test(block_oracle, rows_after_the_length_do_not_exist) {
    static const int32_t length[B] = {4, 0};
    made whole = make(""), part = make("");
    float *x = numbers(part.a, B * T * M, 99);
    for (int i = 4 * M; i < B * T * M; i++) x[i] = NAN;
    double cache[B * T * M / H];
    for (int i = 0; i < B * T * M / H; i++) cache[i] = -7;
    part.c.x = x;
    part.c.length = length;
    part.c.cache_k = cache;
    const double *y = run(&whole), *z = run(&part);
    cr_assert(difference(y, z, 4 * M) == 0);
    for (int i = 4 * M; i < B * T * M; i++) cr_assert(z[i] == 0);
    for (int i = 0; i < B * T * M / H; i++) cr_assert((cache[i] == -7) == (i >= 4 * M / H));
}

/* The last rows alone, behind the keys and values of the first, rounded to f32 as a cache does. */
static void expect_past(const char *fields) {
    enum { PAST = 4, NEW = T - PAST, D = M / H, CAPACITY = T + 2 };
    made whole = make(fields), part = make(fields);
    double k[B * T * D], v[B * T * D];
    float past_k[B * CAPACITY * D], past_v[B * CAPACITY * D], x[B * NEW * M];
    whole.c.cache_k = k, whole.c.cache_v = v;
    const double *y = run(&whole);
    for (int i = 0; i < B * CAPACITY * D; i++) past_k[i] = past_v[i] = NAN; /* not read */
    for (int b = 0; b < B; b++) {
        for (int i = 0; i < PAST * D; i++) {
            past_k[b * CAPACITY * D + i] = (float)k[b * T * D + i];
            past_v[b * CAPACITY * D + i] = (float)v[b * T * D + i];
        }
        memcpy(x + b * NEW * M, whole.c.x + (b * T + PAST) * M, sizeof(float) * NEW * M);
    }
    part.c.tokens = NEW, part.c.x = x, part.c.position = part.c.past = PAST;
    part.c.past_capacity = CAPACITY, part.c.past_k = past_k, part.c.past_v = past_v;
    const double *z = run(&part);
    for (int b = 0; b < B; b++)
        cr_assert(difference(y + (b * T + PAST) * M, z + b * NEW * M, NEW * M) < 1e-5, "%s",
                  fields);
    arena_free(whole.a);
    arena_free(part.a);
}

Test(block_oracle, past_keys_come_first) {
    expect_past("");
    expect_past("op=sliding_self;window=2");
}

Test(block_oracle, expressions_are_the_op) {
    made window = make("op=sliding_self;window=2");
    made mask = make("op=full_self;backend=flex;mask=q - k <= 2");
    made bias = make("op=full_self;backend=flex;score=s + where(q - k <= 2, 0.0, -inf)");
    const double *y = run(&window);
    cr_assert(difference(y, run(&mask), B * T * M) < 1e-14);
    cr_assert(difference(y, run(&bias), B * T * M) < 1e-14);
    made all = make("op=full_self");
    cr_assert(difference(y, run(&all), B * T * M) > 1e-3);
}

Test(block_oracle, external_ffn_is_absent) {
    made none = make("ffn=none"), external = make("ffn=external");
    cr_assert(difference(run(&none), run(&external), B * T * M) == 0);
}

Test(block_oracle, every_wrong_weight_is_named) {
    made m = make("");
    m.weight[0].dim[0] = 9;                  /* norm1.weight */
    m.weight[1].name = "query.weight";       /* unknown, and q_proj.weight is missing */
    m.weight[m.c.weight_count - 1].rank = 1; /* down_proj.weight */
    double y[B * T * M];
    char error[1024];
    m.c.spec = &m.spec;
    m.c.weight = m.weight;
    m.c.y = y;
    cr_assert_not(block_oracle(&m.c, error, sizeof error));
    static const char *const parts[] = {"norm1.weight: its shape is [9] and must be [8]",
                                        "q_proj.weight: missing, [8, 8]",
                                        "query.weight: is no weight of this layer",
                                        "down_proj.weight: its shape is [8] and must be [8, 32]"};
    for (int i = 0; i < 4; i++) cr_assert(strstr(error, parts[i]), "%s\n%s", parts[i], error);
}

Test(block_oracle, names_of_case_files) {
    static const char *const names[][2] = {
        {"w.inner.block.mlp.0.w1.bias", "w1.bias"},
        {"w.inner.ffn.w2.weight", "w2.weight"},
        {"w.inner.attn.mla.out_proj.weight", "out_proj.weight"},
        {"w.attn.mla.W_qr", "W_qr"},
        {"w.inner.mla.w_kc_q", "w_kc_q"},
        {"w.attn.kv_proj.weight", "kv_proj.weight"},
        {"w.inner.kv_comp.weight", "kv_proj.weight"},
        {"w.inner.proj.bias", "o_proj.bias"},
        {"w.ln1.weight", "norm1.weight"},
        {"w.inner.ln2.bias", "norm2.bias"},
        {"w.norm1.weight", "norm1.weight"},
        {"w.inner.qkv.weight", "qkv.weight"},
    };
    arena *a = arena_new();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_assert_str_eq(block_weight_name(a, names[i][0]), names[i][1]);
    arena_free(a);
}
