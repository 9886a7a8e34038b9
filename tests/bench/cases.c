/* cases.c - the case table as structs; specs through the generator's own reader. */
#include "cases.h"
#include "spec.h"
#include "types.h"
#include "weight_types.h"
#include "../../gen/lab/oracle.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const series_label[SERIES_COUNT] = {"D128 full",  "D128 causal", "D64 full",
                                                "D64 causal", "head-major",  "token-major"};

static const char *const series_spec[SERIES_COUNT] = {
    "heads=4; head_dim=128; causal=false", "heads=4; head_dim=128",
    "heads=4; head_dim=64; causal=false",  "heads=4; head_dim=64",
    "heads=32; kv_heads=8; head_dim=128",  "heads=32; kv_heads=8; head_dim=128",
};

const bench_ratio bench_ratios[] = {
#define RATIO(title, name, base, limit) {title, name, base, limit},
#include "cases.def"
};
const int bench_ratio_count = sizeof bench_ratios / sizeof *bench_ratios;

static const bench_case table[] = {
#define CASE(name, group, spec, q_len, kv_len, threads, how, avx2, avx512) \
    {name,    group, spec,                                                 \
     1,       q_len, kv_len,                                               \
     threads, how,   {[ATTN_ISA_AVX2] = avx2, [ATTN_ISA_AVX512] = avx512}, \
     -1,      0},
#define LAYER(name, group, spec, batch, tokens, held, threads, avx2, avx512) \
    LAYER_ON(name, group, spec, batch, tokens, held, threads, avx2, avx512, 0)
#define LAYER_ON(name, group, spec, batch, tokens, held, threads, avx2, avx512, vnni)    \
    {name,                                                                               \
     group,                                                                              \
     spec,                                                                               \
     batch,                                                                              \
     tokens,                                                                             \
     (held) + (tokens),                                                                  \
     threads,                                                                            \
     0,                                                                                  \
     {[ATTN_ISA_AVX2] = avx2, [ATTN_ISA_AVX512] = avx512, [ATTN_ISA_AVX512VNNI] = vnni}, \
     -1,                                                                                 \
     0},
#define ITEMS_OF(name, group, spec, batch, tokens, how) \
    {name, group, spec, batch, tokens, tokens, 1, how, {0}, -1, 0},
#include "cases.def"
};
enum { PADDED_TOKENS = 256 };
enum { TABLE = sizeof table / sizeof *table, MOST_ROWS = 320, MOST_FIELDS = 16 };

static void wrong(const char *spec, const char *why) {
    fprintf(stderr, "bench: cases.def: %s: %s\n", spec, why);
    exit(2);
}

static char *trim(char *s) {
    while (isspace((unsigned char)*s)) s++;
    for (size_t n = strlen(s); n && isspace((unsigned char)s[n - 1]);) s[--n] = 0;
    return s;
}

/* "field=value; field=value" as flags would give them. */
static kernel_spec parse_spec(arena *a, const char *text) {
    spec_input inputs[MOST_FIELDS];
    lua_val *values = arena_alloc(a, MOST_FIELDS * sizeof *values);
    int count = 0;
    char *rest = arena_strdup(a, text), *save = NULL;
    for (char *field = strtok_r(rest, ";", &save); field; field = strtok_r(NULL, ";", &save)) {
        char *equals = strchr(field, '=');
        if (!equals || count == MOST_FIELDS) wrong(text, "not a list of field=value");
        *equals = 0;
        values[count] = (lua_val){.kind = LUA_VAL_STRING, .string = trim(equals + 1)};
        inputs[count] = (spec_input){
            .field = trim(field), .value = &values[count], .from_flag = true, .where = field};
        count++;
    }
    kernel_spec k;
    diag d = {0};
    if (!kernel_spec_build(a, inputs, count, NULL, &k, &d)) wrong(text, d.text);
    return k;
}

static void add_row(arena *a, bench_cases *c, bench_case row) {
    if (c->count == MOST_ROWS) wrong(row.name, "too many cases");
    kernel_spec k = parse_spec(a, row.text);
    /* What case_weights and the peers know. */
    const bool swiglu = k.core.ffn == ATTN_FFN_SWIGLU ||
                        (k.core.ffn == ATTN_FFN_MOE && k.core.expert_act == ATTN_EXPERT_ACT_SWIGLU);
    if (case_is_layer(&k) && (k.core.form != ATTN_FORM_REGULAR || !k.core.causal ||
                              k.core.op != ATTN_OP_FULL_SELF || !swiglu))
        wrong(row.text, "only regular, causal full_self layers with swiglu");
    while (row.kernel < c->kernel_count && strcmp(c->kernels[row.kernel].name, k.name))
        row.kernel++;
    if (row.kernel == c->kernel_count) c->kernels[c->kernel_count++] = k;
    c->row[c->count++] = row;
}

static void add_scaled(arena *a, bench_cases *c, const char *name, int threads) {
    char *own = arena_printf(a, "%s_t%d", name, threads);
    if (cases_find(c, own, strlen(own))) return;
    bench_case row = *cases_find(c, name, strlen(name));
    row.name = own, row.threads = threads;
    row.group = row.group == WHOLE ? WHOLE_SCALE : SCALE;
    row.kernel = 0;
    memset(row.target, 0, sizeof row.target);
    add_row(a, c, row);
}

static void add_point(arena *a, bench_cases *c, int series, int32_t length) {
    const bool prefill = series < SERIES_PREFILL;
    bench_case row = {.group = PLOT, .text = series_spec[series], .threads = 1, .series = series};
    row.batch = 1;
    row.q_len = prefill ? length : 1;
    row.kv_len = length;
    row.how = prefill ? 0 : series == SERIES_PREFILL ? COLD : COLD | TOKEN;
    char *name = arena_printf(a, "%s_%d", series_label[series], length);
    for (char *p = name; *p; p++)
        if (*p == ' ' || *p == '-') *p = '_';
    row.name = name;
    add_row(a, c, row);
}

/* Rows that --threads repeats. */
static const char *const scaled[] = {"P1",       "P2",         "D2",      "B1024_p256",
                                     "B1024_s1", "B4096_p256", "B4096_s1"};

bench_cases cases_make(arena *a, const int *scale) {
    bench_cases c = {.row = arena_alloc(a, MOST_ROWS * sizeof *c.row)};
    c.kernels = arena_alloc(a, MOST_ROWS * sizeof *c.kernels);
    for (int i = 0; i < TABLE; i++) add_row(a, &c, table[i]);
    for (; *scale; scale++) {
        for (size_t i = 0; i < sizeof scaled / sizeof *scaled; i++)
            add_scaled(a, &c, scaled[i], *scale);
    }
    for (int s = 0; s < SERIES_COUNT; s++) {
        const bool prefill = s < SERIES_PREFILL;
        for (int32_t n = prefill ? 128 : 512; n <= (prefill ? 4096 : 65536); n *= 2)
            add_point(a, &c, s, n);
    }
    return c;
}

const bench_case *cases_find(const bench_cases *c, const char *name, size_t length) {
    for (int i = 0; i < c->count; i++)
        if (strlen(c->row[i].name) == length && !memcmp(c->row[i].name, name, length))
            return &c->row[i];
    return NULL;
}

bool case_shares_v(const kernel_spec *k) {
    return k->core.form == ATTN_FORM_MLA && k->core.key == ATTN_KEY_SHARED;
}

int32_t case_segment(const bench_case *c, int64_t i) {
    return (int32_t)(i * c->kv_len / c->q_len);
}

int32_t case_tokens(const bench_case *c) {
    return c->how & PADDED && c->q_len < PADDED_TOKENS ? PADDED_TOKENS : c->q_len;
}

bool case_owns_keys(const bench_case *c) {
    return c->how & (EVEN | RAGGED);
}

bool case_is_items(const bench_case *c) {
    return c->how & ITEMS || case_owns_keys(c);
}

int32_t case_room(const bench_case *c) {
    return case_owns_keys(c) ? c->kv_len / c->q_len : c->kv_len;
}

int32_t case_keys(const bench_case *c, int32_t i) {
    const int32_t room = case_room(c);
    if (c->how & RAGGED) return 1 + (int32_t)((int64_t)i * (room - 1) / (c->q_len - 1));
    return c->how & EVEN ? room / 2 : room;
}

int32_t case_start(const bench_case *c) {
    return c->how & BEYOND || case_is_items(c) ? c->kv_len : c->kv_len - c->q_len;
}

bool case_is_layer(const kernel_spec *k) {
    return k->core.level == ATTN_LEVEL_BLOCK;
}

bool case_is_gemm(const bench_case *c, const kernel_spec *k) {
    return case_is_layer(k) && c->q_len > 1;
}

/* Of the feed-forward part, those that a row passes, for each column of the layer's rows. */
static double ffn_weights(const attn_spec *s) {
    if (s->ffn != ATTN_FFN_MOE) return 3.0 * s->ffn_dim;
    return 3.0 * (s->top_k + s->shared_experts) * s->expert_dim;
}

double case_weights(const kernel_spec *k) {
    const attn_spec *s = &k->core;
    if (!case_is_layer(k)) return 0;
    const double q = (double)s->heads * s->head_dim, o = (double)s->heads * s->v_dim;
    const double kv = (double)s->kv_heads * s->head_dim + (double)s->v_heads * s->v_dim;
    return s->d_model * (q + kv + o + ffn_weights(s));
}

double case_flops(const bench_case *c, const kernel_spec *k) {
    const double rows = (double)c->batch * c->q_len;
    return 2 * case_pairs(c, k) * (attn_spec_k_dim(&k->core) + k->core.v_dim) +
           2 * case_weights(k) * rows;
}

bool case_reads(const bench_case *c, const kernel_spec *k) {
    const bool few = c->q_len == 1 || case_owns_keys(c);
    return few && k->core.form == ATTN_FORM_REGULAR;
}

double case_bytes(const bench_case *c, const kernel_spec *k) {
    if (case_is_layer(k)) {
        const attn_weight_row row = attn_weight_get(k->core.weight_type);
        return case_weights(k) * row.bytes / row.block;
    }
    double floats = (double)k->core.kv_heads * attn_spec_k_dim(&k->core);
    if (!case_shares_v(k)) floats += (double)k->core.v_heads * k->core.v_dim;
    double keys = k->core.select == ATTN_SELECT_INDEX ? CHOSEN : c->kv_len;
    if (case_owns_keys(c)) keys = 0;
    for (int32_t i = 0; case_owns_keys(c) && i < c->q_len; i++) keys += case_keys(c, i);
    const double bytes = floats * keys * (double)attn_type_size(attn_spec_types(&k->core).k);
    if (!attn_spec_scaled(&k->core)) return bytes;
    const int32_t scales = k->core.kv_heads + (case_shares_v(k) ? 0 : k->core.v_heads);
    return bytes + scales * keys * sizeof(float);
}

/* Keys that row i sees. A mask expression of these cases reads int side tensors as segments. */
static int64_t visible(const bench_case *c, const kernel_spec *k, const attn_side *side,
                       int32_t i) {
    int64_t lo, hi, count = 0;
    const bool cross = k->core.op == ATTN_OP_SEGMENT_CROSS;
    const int32_t p = cross ? case_segment(c, i) : case_start(c) + i;
    oracle_range(&k->core, p, &lo, &hi);
    if (lo < 0) lo = 0;
    if (hi >= case_keys(c, i)) hi = case_keys(c, i) - 1;
    if (k->core.select == ATTN_SELECT_INDEX) return CHOSEN;
    if (!k->mask_expr) return hi < lo ? 0 : hi - lo + 1;
    expr_point at = {.q = p,
                     .q_start = case_start(c),
                     .q_len = c->q_len,
                     .kv_len = c->kv_len,
                     .batch = 1,
                     .kv_len_max = c->kv_len,
                     .side = side};
    for (at.k = (int32_t)lo; at.k <= hi; at.k++) count += expr_eval_mask(k->mask_expr, &at);
    return count;
}

double case_pairs(const bench_case *c, const kernel_spec *k) {
    int32_t *segment = malloc((size_t)c->q_len * sizeof *segment);
    attn_side side[MOST_FIELDS];
    if (!segment) wrong(c->name, "out of memory");
    for (int32_t i = 0; i < c->q_len; i++) segment[i] = case_segment(c, i);
    for (int t = 0; t < MOST_FIELDS; t++) side[t] = (attn_side){segment, c->q_len};
    int64_t pairs = 0;
    for (int32_t i = 0; i < c->q_len; i++) pairs += visible(c, k, side, i);
    free(segment);
    return (double)pairs * k->core.heads * c->batch;
}
