/* layer_specs.c - layers that nobody chose by hand. */
#include "layers.h"
#include "types.h"
#include "weight_types.h"
#include <string.h>

typedef struct writer {
    buf b;
    rng *r;
} writer;

/* The kinds of attention, in turn. */
enum kind {
    FULL,
    SLIDING,
    CROSS,
    MLA_FULL,
    SHARED_FULL,
    FULL_KV,
    MLA_SLIDING,
    SHARED_SLIDING,
    MLA_CROSS,
    BIDIRECTIONAL,
    SLIDING_BOTH,
    KINDS
};

static bool is_regular(int kind) {
    return kind == FULL || kind == SLIDING || kind == CROSS || kind == FULL_KV ||
           kind == BIDIRECTIONAL || kind == SLIDING_BOTH;
}

static bool is_cross(int kind) {
    return kind == CROSS || kind == MLA_CROSS;
}

static bool is_shared(int kind) {
    return kind == SHARED_FULL || kind == SHARED_SLIDING;
}

static bool slides(int kind) {
    return kind == SLIDING || kind == MLA_SLIDING || kind == SHARED_SLIDING || kind == SLIDING_BOTH;
}

static int32_t pick(writer *w, int32_t lo, int32_t hi) {
    return rng_int(w->r, lo, hi);
}

static bool chance(writer *w, int percent) {
    return rng_chance(w->r, percent);
}

static void put(writer *w, const char *field, int32_t value) {
    buf_printf(&w->b, "%s=%d;", field, value);
}

static void maybe(writer *w, const char *field) {
    if (chance(w, 70)) buf_printf(&w->b, "%s=%s;", field, chance(w, 50) ? "true" : "false");
}

/* One of "a|b|c". */
static void choose(writer *w, const char *field, const char *const *values, int count) {
    buf_printf(&w->b, "%s=%s;", field, values[pick(w, 0, count - 1)]);
}
#define CHOOSE(w, field, ...)                            \
    choose(w, field, (const char *const[]){__VA_ARGS__}, \
           (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

/* --- The core --- */

static void put_heads(writer *w, int kind, int32_t *whole) {
    static const int32_t ratios[] = {1, 3, 5};
    if (is_regular(kind)) {
        const int32_t kv = pick(w, 1, 2), heads = kv * ratios[pick(w, 0, 2)];
        *whole = pick(w, 8, 40);
        put(w, "heads", heads);
        put(w, "kv_heads", kv);
        if (chance(w, 20)) put(w, "v_heads", heads);
        put(w, "head_dim", *whole);
        if (chance(w, 50)) put(w, "v_dim", pick(w, 8, 40));
        return;
    }
    *whole = pick(w, 4, 20);
    buf_puts(&w->b, "form=mla;");
    put(w, "heads", pick(w, 1, 5));
    put(w, "head_dim", pick(w, 5, 24));
    put(w, "kv_comp_dim", pick(w, 8, 40));
    put(w, "retr_dim", *whole);
    if (!is_shared(kind) || chance(w, 50)) put(w, "q_comp_dim", pick(w, 6, 30));
    if (!is_shared(kind)) return;
    buf_puts(&w->b, "key=shared;");
    if (chance(w, 50)) put(w, "v_head_dim", pick(w, 5, 24));
    if (chance(w, 30)) CHOOSE(w, "latent_eps", "1e-5", "0.25");
}

/* Expressions, which see positions of queries only where a layer numbers them. */
static void put_expressions(writer *w, int kind) {
    static const char *const any[] = {
        "score=s + slope[h] * abs(k % 7 - 3);tensor=slope=f32[heads];",
        "mask=k % 3 != 1 or k % 2 == h % 2;",
        "score=s + gain * (k % 5);mask=k >= first;scalar=gain=f32;scalar=first=i32;",
        "mask=doc[k] <= 1;tensor=doc=i32[kv_len];",
        "score=s - 0.03 * (q - k);",
        "mask=(q - k) % 4 != 2;",
    };
    const bool two_inputs = is_cross(kind) || kind == FULL_KV;
    buf_puts(&w->b, any[pick(w, 0, two_inputs ? 3 : 5)]);
}

static void put_core(writer *w, int kind, int32_t *whole) {
    put_heads(w, kind, whole);
    if (slides(kind)) {
        buf_puts(&w->b, "op=sliding_self;");
        put(w, "window", pick(w, 0, 9));
        if (kind == SLIDING_BOTH) put(w, "right_window", pick(w, 0, 9));
    }
    if (is_cross(kind)) {
        buf_puts(&w->b, "op=segment_cross;");
        put(w, "lookback", pick(w, 0, 5));
    }
    if (kind == BIDIRECTIONAL || kind == FULL_KV || kind == SLIDING_BOTH)
        buf_puts(&w->b, "causal=false;");
    if (chance(w, 25)) buf_puts(&w->b, "softcap=3.5;");
    if (chance(w, 30)) buf_puts(&w->b, "sinks=true;");
    if (chance(w, 25)) buf_puts(&w->b, "scale=0.3125;");
    if (!chance(w, 40)) return;
    buf_puts(&w->b, "backend=flex;");
    if (chance(w, 75)) put_expressions(w, kind);
}

/* --- The layer around it --- */

/* unit: rows are whole blocks of so many. */
static void put_widths(writer *w, int kind, int32_t unit) {
    const int32_t blocks = unit < 64 ? 2 : 1;
    const char *const width = is_cross(kind) ? "q_dim" : "d_model";
    const bool keys = is_cross(kind) || kind == FULL_KV;
    if (unit > 1) {
        put(w, width, unit * pick(w, 1, blocks));
        if (keys) put(w, "kv_dim", unit * pick(w, 1, blocks));
        return;
    }
    if (!is_cross(kind)) put(w, "d_model", pick(w, 9, 70));
    if (is_cross(kind)) put(w, "q_dim", pick(w, 9, 50));
    if (keys) put(w, "kv_dim", pick(w, 5, 50));
}

static void put_mixture(writer *w) {
    const int32_t experts = 2 * pick(w, 1, 6);
    const int router = pick(w, 0, 3);
    static const char *const routers[] = {"softmax_topk", "topk_softmax", "sigmoid", "sparsemixer"};
    const bool late = router == 1, mixer = router == 3;
    buf_printf(&w->b, "ffn=moe;router=%s;", routers[router]);
    if (mixer) CHOOSE(w, "router_jitter", "0", "0.01", "0.2", "1");
    CHOOSE(w, "expert_act", "swiglu", "swiglu_clamped", "geglu", "geglu_tanh", "gelu", "relu",
           "relu2", "quick_gelu", "silu");
    put(w, "experts", experts);
    put(w, "expert_dim", pick(w, 5, 40));
    maybe(w, "ffn_bias");
    if (chance(w, 50)) CHOOSE(w, "router_scale", "2.5", "0.5");
    const int bias = pick(w, 0, late || mixer ? 1 : 2);
    buf_printf(&w->b, "router_bias=%s;", bias == 0 ? "none" : bias == 1 ? "logits" : "selection");
    if (!late) maybe(w, "norm_topk");
    if (chance(w, 25)) buf_puts(&w->b, "router_input=true;");
    if (chance(w, 50)) put(w, "shared_experts", pick(w, 1, 2)), maybe(w, "shared_gate");
    const bool grouped = !late && !mixer && experts % 4 == 0 && chance(w, 60);
    if (grouped) buf_printf(&w->b, "groups=%d;group_top=%d;", experts / 2, experts / 4);
    put(w, "top_k", pick(w, 1, grouped ? experts / 2 : experts < 4 ? experts : 4));
}

static void put_norms(writer *w, bool mixture) {
    const int norm = pick(w, 0, 4);
    const bool parallel = chance(w, 30), bare = chance(w, 12);
    buf_printf(&w->b, "norm=%s;", norm == 0 ? "none" : norm < 3 ? "layernorm" : "rmsnorm");
    buf_printf(&w->b, "residual=%s;", parallel ? "parallel" : bare ? "none" : "serial");
    if (chance(w, 50)) CHOOSE(w, "norm_eps", "1e-6", "0.001", "0.125");
    if (chance(w, 25) && (parallel || !bare)) CHOOSE(w, "residual_scale", "0.22", "-1.5");
    if (norm > 0) {
        const bool plain = chance(w, 20);
        if (plain) buf_puts(&w->b, "norm_bare=true;");
        if (!plain) maybe(w, "norm_bias"), maybe(w, "norm_offset");
        if (parallel) maybe(w, "shared_norm");
        if (!parallel) CHOOSE(w, "norm_place", "pre", "post", "both", "branch");
    }
    if (!parallel && bare) {
        buf_puts(&w->b, "ffn=none;");
        return;
    }
    const int ffn = pick(w, 0, 8);
    if (ffn < 2) buf_puts(&w->b, ffn == 0 ? "ffn=none;" : "ffn=external;");
    if (ffn >= 2 && mixture) put_mixture(w);
    if (ffn < 2 || mixture) return;
    CHOOSE(w, "ffn", "swiglu", "geglu", "geglu_tanh", "gelu", "gelu_tanh", "relu", "relu2",
           "quick_gelu", "silu", "xielu");
    put(w, "ffn_dim", pick(w, 5, 90));
    maybe(w, "ffn_bias");
}

static void put_qk_norm(writer *w) {
    if (!chance(w, 50)) return;
    const bool all = chance(w, 40);
    buf_printf(&w->b, "qk_norm=true;qk_norm_over=%s;", all ? "all" : "head");
    CHOOSE(w, "qk_norm_kind", "rmsnorm", "rmsnorm", "layernorm");
    CHOOSE(w, "qk_norm_place", "before", "after");
    if (all) CHOOSE(w, "qk_norm_weights", "head", "none");
    if (!all) CHOOSE(w, "qk_norm_weights", "head", "heads", "none");
}

static void put_biases(writer *w) {
    maybe(w, "q_bias");
    maybe(w, "k_bias");
    maybe(w, "v_bias");
    maybe(w, "o_bias");
    put_qk_norm(w);
    if (chance(w, 30)) CHOOSE(w, "o_gate", "head", "channel");
}

static void put_rope(writer *w, int32_t whole) {
    const int kind = pick(w, 0, 4);
    buf_printf(&w->b, "rope=%s;", kind == 0 ? "none" : kind < 3 ? "interleaved" : "half");
    if (kind == 0) return;
    if (whole % 2 || chance(w, 50)) put(w, "rope_dim", 2 * pick(w, 1, whole / 2));
    if (chance(w, 50)) CHOOSE(w, "rope_base", "100", "500000");
    const int scaling = pick(w, 0, 7);
    if (scaling == 3) buf_puts(&w->b, "rope_scaling=longrope;rope_factor=8;rope_original=16;");
    if (scaling > 2) return;
    CHOOSE(w, "rope_factor", "1.5", "4", "8");
    if (scaling == 0) buf_puts(&w->b, "rope_scaling=linear;");
    if (scaling == 0) return;
    buf_printf(&w->b, "rope_scaling=%s;", scaling == 1 ? "llama3" : "yarn");
    put(w, "rope_original", pick(w, 8, 64));
    if (chance(w, 50)) buf_puts(&w->b, "rope_low=0.75;rope_high=6;");
    if (scaling == 1) return;
    maybe(w, "rope_truncate");
    if (chance(w, 30)) buf_puts(&w->b, "rope_mscale=1.25;");
}

/* Types that round, in turn. With scales: rotated or not; products in f32 are held to less. */
static void put_kv_type(writer *w, int turn) {
    int rounding = 0;
    for (int type = 0; type < ATTN_TYPE_COUNT; type++) rounding += type != ATTN_TYPE_F32;
    for (int type = 0, left = turn % rounding; type < ATTN_TYPE_COUNT; type++) {
        if (type == ATTN_TYPE_F32 || left-- > 0) continue;
        buf_printf(&w->b, "kv_type=%s;", attn_type_get(type).name);
        if (!attn_type_scaled(type)) return;
        maybe(w, "rotate");
        if (chance(w, 60)) buf_puts(&w->b, "dot=f32;");
        return;
    }
}

/* Likewise of matrices; every other latent layer has another type where it folds. */
static int32_t weight_type_of(int turn) {
    return ATTN_WEIGHT_BF16 + turn % ((int)ATTN_WEIGHT_COUNT - ATTN_WEIGHT_BF16);
}

/* whole: of blocks, and rows are whole ones. */
static void put_weight_type(writer *w, int kind, int turn, bool whole) {
    static const char *const rest[] = {"f32", "bf16"};
    const int32_t type = weight_type_of(turn);
    if (whole && chance(w, 40)) buf_puts(&w->b, "weight_dot=i8;");
    if (whole && chance(w, 30)) buf_puts(&w->b, "same_bits=false;");
    buf_printf(&w->b, "weight_type=%s;", attn_weight_get(type).name);
    if (is_regular(kind) && turn % 3 == 1) buf_puts(&w->b, "weight_types=q_proj=bf16, o_proj=f16;");
    if (!is_regular(kind) && turn % 4 == 0)
        buf_puts(&w->b, is_shared(kind) ? "weight_types=kv_b_proj=bf16, o_proj=f16;"
                                        : "weight_types=q_proj=bf16, kv_proj=f16, W_kr=f32, "
                                          "w_kc_kv=bf16, out_proj=f16;");
    if (!is_regular(kind) && turn % 4 > 1) buf_printf(&w->b, "weight_rest=%s;", rest[turn / 4 % 2]);
}

static bool sees_distances(const char *text) {
    for (const char *at = text; at && *at; at += *at != 0) {
        if (strncmp(at, "q - k", 5) == 0) at += 5;
        const size_t n = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
        if (n == 1 && (*at == 'q' || *at == 'k')) return false;
        if (n) at += n - 1;
    }
    return true;
}

bool layer_slides(const kernel_spec *k) {
    return k->core.select == ATTN_SELECT_ALL && k->core.op == ATTN_OP_SLIDING_SELF &&
           k->core.causal && sees_distances(k->score) && sees_distances(k->mask);
}

/* How keys are stored and seen, by the number of a core. */
static void put_keys(writer *w, int core) {
    if (core % 3 == 1) put_kv_type(w, core / 3);
    if ((core + core / 5) % 5 == 2) buf_printf(&w->b, "layout=paged;page=%d;", core % 2 ? 16 : 32);
    if ((core + core / 7) % 6 == 3) buf_puts(&w->b, "select=index;");
}

/* Over lists: each kind has each type, dense and in pages, within eight rounds of kinds. Rows with
 * scales in pages come in the first, with sinks, as all in pages have. */
static void put_listed(writer *w, int core) {
    const int kind = core % KINDS, round = core / KINDS, type = (kind + 2 + round) % 4;
    if (type > 0) put_kv_type(w, type - 1);
    buf_puts(&w->b, "select=index;");
    if ((kind / 4 + kind + round + round / 4) % 2 == 0) return;
    buf_printf(&w->b, "layout=paged;page=%d;", kind % 3 ? 16 : 32);
    if (!strstr(w->b.data, "sinks=")) buf_puts(&w->b, "sinks=true;");
}

const char *layer_fields(arena *a, uint64_t seed, int index, bool lists) {
    const int kind = index / 2 % KINDS;
    rng core = {seed * 1000003u + (uint64_t)(index / 2)}, around = {seed * 7919u + (uint64_t)index};
    writer w = {buf_new(a), &core};
    int32_t whole;
    buf_puts(&w.b, "level=block;");
    put_core(&w, kind, &whole);
    if (lists)
        put_listed(&w, index / 2);
    else
        put_keys(&w, index / 2);
    w.r = &around;
    const bool typed = index % 3 == 2;
    const int32_t type = typed ? weight_type_of(index / 3) : ATTN_WEIGHT_F32;
    const bool blocks = !attn_weight_is_float(type) && index / 3 % 3 > 0;
    put_widths(&w, kind, blocks ? attn_weight_get(type).block : 1);
    put_norms(&w, index % 7 == 3);
    if (is_regular(kind)) put_biases(&w);
    if (is_regular(kind) && !is_cross(kind) && kind != FULL_KV && chance(&w, 30))
        buf_printf(&w.b, "q_growth=0.4;q_growth_every=%d;q_growth_offset=%d;", pick(&w, 1, 9),
                   pick(&w, 0, 1));
    put_rope(&w, whole);
    if (typed) put_weight_type(&w, kind, index / 3, blocks);
    return w.b.data;
}
