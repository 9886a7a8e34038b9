/* import_own.c - what single families add to a layer: their rows name it. */
#include "import_internal.h"

#include <math.h>
#include <string.h>

/* ALiBi, its slopes times a factor. k - q in place of k: the same softmax, and no large numbers. */
static void put_alibi(hf *h, fields *f, int32_t heads, const char *factor, const json_val *at) {
    int32_t power = 1;
    while (power * 2 <= heads) power *= 2;
    const char *slope = arena_printf(h->a, "exp2(%.9g * (h + 1))", -8.0 / power);
    if (power != heads)
        slope = arena_printf(h->a, "where(h < %d, %s, exp2(%.9g * (2 * h - %d)))", power, slope,
                             -4.0 / power, 2 * power - 1);
    put_text(h, f, "rope", "none", at);
    put_text(h, f, "backend", "flex", at);
    put_text(h, f, "score", arena_printf(h->a, "s + %s%s * (k - q)", slope, factor), at);
}

static bool put_falcon(hf *h, const import_layer *l, fields *f) {
    (void)l;
    bool is_new, multi_query, parallel, use_alibi;
    int32_t heads, norms = 1;
    if (!hf_key_bool(h, "new_decoder_architecture", &is_new) ||
        !hf_key_bool(h, "multi_query", &multi_query) ||
        !hf_key_bool(h, "parallel_attn", &parallel) || !hf_key_bool(h, "alibi", &use_alibi) ||
        !hf_key_int(h, "num_attention_heads", 1, 65536, &heads))
        return false;
    const json_val *kv = hf_get(h, "num_kv_heads"), *ln = hf_get(h, "num_ln_in_parallel_attn");
    int32_t kv_heads = heads;
    if (!hf_is_null(kv) && !hf_int(h, kv, 1, 65536, &kv_heads)) return false;
    if (!hf_is_null(ln) && !hf_int(h, ln, 1, 2, &norms)) return false;
    if (hf_is_null(ln) && is_new) norms = 2;
    if (!is_new && !hf_is_null(ln) && norms == 2 && parallel)
        return hf_fail(h, ln, "2 needs new_decoder_architecture");
    if (is_new && !parallel)
        return hf_fail(h, hf_get(h, "parallel_attn"),
                       "must be true where new_decoder_architecture is");
    if (!is_new && !multi_query && kv_heads != heads)
        return hf_fail(h, kv, "must be num_attention_heads = %d where multi_query is false", heads);
    if (is_new)
        put_int(h, f, "kv_heads", kv_heads, kv);
    else if (multi_query) /* whatever num_kv_heads says */
        put_int(h, f, "kv_heads", 1, hf_get(h, "multi_query"));
    put_text(h, f, "residual", parallel ? "parallel" : "serial", hf_get(h, "parallel_attn"));
    if (parallel && norms == 1) put_bool(h, f, "shared_norm", true, ln);
    /* added before the factor of the scores */
    if (use_alibi) put_alibi(h, f, heads, " / sqrt(head_dim)", hf_get(h, "alibi"));
    return true;
}

static bool put_bloom(hf *h, const import_layer *l, fields *f) {
    int32_t heads;
    (void)l;
    if (!hf_key_int(h, "n_head", 1, 65536, &heads)) return false;
    put_alibi(h, f, heads, "", hf_get(h, "n_head"));
    return true;
}

/* The slopes of MPT: of the next power of two heads, and where there are fewer, every second one
 * first. */
static const char *mpt_slope(hf *h, int32_t heads) {
    int32_t power = 1;
    while (power < heads) power *= 2;
    const double step = -8.0 / power;
    if (power == heads) return arena_printf(h->a, "exp2(%.9g * (h + 1))", step);
    return arena_printf(h->a, "exp2(%.9g * where(h < %d, 2 * h + 2, 2 * h - %d))", step, power / 2,
                        power - 1);
}

/* attn_config: what its class reads, and what changes nothing there. */
static bool put_mpt(hf *h, const import_layer *l, fields *f) {
    static const char *const read[] = {"alibi_bias_max", "softmax_scale", "clip_qkv"};
    static const char *const unread[] = {"alibi", "prefix_lm", "qk_ln", "attn_uses_sequence_id"};
    const json_val *in = hf_get(h, "attn_config"), *given[3] = {NULL};
    int32_t heads;
    double most, scale;
    (void)l;
    if (!hf_is_null(in) && in->kind != JSON_OBJECT)
        return hf_fail(h, in, "must be an object, got %s", hf_quote(h, in));
    for (int i = 0; i < 3; i++) given[i] = json_get(in, read[i]);
    for (int i = 0; i < 4; i++) {
        const json_val *v = json_get(in, unread[i]);
        const bool usual = i == 0;
        if (v && (v->kind != JSON_BOOL || v->boolean != usual))
            return hf_fail(h, v, "must be %s: %s's class does so whatever stands here",
                           usual ? "true" : "false", h->model_type);
    }
    if (given[2] && !hf_is_off(given[2]))
        return hf_fail(h, given[2], "must be null: the spec has no limit for queries and keys");
    if (given[0] && !hf_number(h, given[0], &most)) return false;
    if (given[0] && most != 8)
        return hf_fail(h, given[0], "must be 8, which %s's class has whatever stands here",
                       h->model_type);
    if (given[1] && !hf_is_null(given[1])) {
        if (!hf_number(h, given[1], &scale)) return false;
        put_float(h, f, "scale", scale, given[1]);
    }
    if (!hf_key_int(h, "n_heads", 1, 65536, &heads)) return false;
    put_text(h, f, "backend", "flex", in);
    put_text(h, f, "score", arena_printf(h->a, "s + %s * (k - q)", mpt_slope(h, heads)), in);
    return true;
}

/* gpt2 and gpt_bigcode: the factor of the scores. */
static bool put_gpt2(hf *h, const import_layer *l, fields *f) {
    static const char by_layer[] = "scale_attn_by_inverse_layer_idx";
    int32_t width, heads;
    bool by_width, by_index = false, one_key = false;
    const json_val *at = hf_get(h, "scale_attn_weights");
    if (!hf_key_int(h, "n_embd", 1, 1048576, &width) ||
        !hf_key_int(h, "n_head", 1, 65536, &heads) || !hf_bool(h, at, &by_width) ||
        (hf_has(h, by_layer) && !hf_key_bool(h, by_layer, &by_index)) ||
        (hf_has(h, "multi_query") && !hf_key_bool(h, "multi_query", &one_key)))
        return false;
    if (one_key) put_int(h, f, "kv_heads", 1, hf_get(h, "multi_query"));
    if (by_width && !by_index) return true;
    const double whole = by_width ? 1 / sqrt((double)width / heads) : 1;
    put_float(h, f, "scale", by_index ? whole / (l->index + 1) : whole,
              by_index ? hf_get(h, by_layer) : at);
    return true;
}

static bool put_gptj(hf *h, const import_layer *l, fields *f) {
    int32_t width;
    (void)l;
    if (!hf_key_int(h, "rotary_dim", 2, 65536, &width)) return false;
    put_int(h, f, "rope_dim", width, hf_get(h, "rotary_dim"));
    return true;
}

static bool put_opt(hf *h, const import_layer *l, fields *f) {
    bool before;
    (void)l;
    if (!hf_key_bool(h, "do_layer_norm_before", &before)) return false;
    if (!before) put_text(h, f, "norm_place", "post", hf_get(h, "do_layer_norm_before"));
    return true;
}

/* Attention and ffn side by side, after one norm or two. */
static bool put_stablelm(hf *h, const import_layer *l, fields *f) {
    bool parallel;
    (void)l;
    const json_val *at = hf_get(h, "use_parallel_residual");
    if (!hf_bool(h, at, &parallel)) return false;
    put_text(h, f, "residual", parallel ? "parallel" : "serial", at);
    if (parallel) put_bool(h, f, "shared_norm", true, at);
    return true;
}

/* Queries times 1 + growth ln(1 + floor((position + offset) / every)). */
static bool put_growth(hf *h, fields *f, const json_val *growth, const json_val *every,
                       int32_t offset) {
    double by;
    int32_t step;
    if (!hf_number(h, growth, &by) || !hf_int(h, every, 1, INT32_MAX, &step)) return false;
    if (by == 0) return true;
    put_float(h, f, "q_growth", by, growth);
    put_int(h, f, "q_growth_every", step, every);
    if (offset) put_int(h, f, "q_growth_offset", offset, growth);
    return true;
}

static bool put_ministral3(hf *h, const import_layer *l, fields *f) {
    const json_val *params = hf_get(h, "rope_parameters");
    (void)l;
    if (hf_is_null(params)) params = hf_get(h, "rope_scaling");
    const json_val *by = json_get(params, "llama_4_scaling_beta");
    const json_val *steps = json_get(params, "original_max_position_embeddings");
    if (!by || !steps)
        return hf_fail(h, params,
                       "needs llama_4_scaling_beta and original_max_position_embeddings");
    return put_growth(h, f, by, steps, 0);
}

/* Layers with RoPE norm q and k after it, and may see a chunk of keys alone; the others' queries
 * grow. */
static bool put_llama4(hf *h, const import_layer *l, fields *f) {
    bool norm, grows;
    int32_t chunk;
    const json_val *at = hf_get(h, "use_qk_norm");
    if (!hf_bool(h, at, &norm) || !hf_key_bool(h, "attn_temperature_tuning", &grows)) return false;
    put_bool(h, f, "qk_norm", norm && l->rope, at);
    if (norm && l->rope) {
        put_text(h, f, "qk_norm_place", "after", at);
        put_text(h, f, "qk_norm_weights", "none", at);
    }
    if (grows && !l->rope &&
        !put_growth(h, f, hf_get(h, "attn_scale"), hf_get(h, "floor_scale"), 1))
        return false;
    if (!l->chunked) return true;
    at = hf_get(h, "attention_chunk_size");
    if (!hf_int(h, at, 1, INT32_MAX, &chunk)) return false;
    put_text(h, f, "backend", "flex", at);
    put_text(h, f, "mask", arena_printf(h->a, "q // %d == k // %d", chunk, chunk), at);
    return true;
}

/* The first distance whose bucket is `exact` + j: floats as torch rounds them. */
static int32_t bucket_from(int32_t buckets, int32_t longest, int32_t j) {
    const int32_t exact = buckets / 2;
    const float whole = (float)log((double)longest / exact);
    for (int32_t n = exact;; n++) {
        const float part = logf((float)n / (float)exact) / whole;
        if ((int32_t)(part * (float)(buckets - exact)) >= j) return n;
    }
}

/* T5's buckets of distances: each its own up to a half of them, then ever wider ones. A list of
 * them for keys after the query, too, where it sees both ways. */
static const char *bucket(hf *h, int32_t buckets, int32_t longest, bool both_ways) {
    const char *n = both_ways ? "abs(k - q)" : "(q - k)";
    if (both_ways) buckets /= 2;
    buf b = buf_new(h->a);
    buf_printf(&b, "min(%s, %d)", n, buckets / 2);
    for (int32_t j = 1; j < buckets - buckets / 2; j++)
        buf_printf(&b, " + where(%s >= %d, 1, 0)", n, bucket_from(buckets, longest, j));
    if (both_ways) buf_printf(&b, " + where(k > q, %d, 0)", buckets);
    return b.data;
}

/* scores + relative_attention_bias[bucket][h], a table of the model's, at run time. */
static bool put_buckets(hf *h, fields *f, int32_t longest, bool both_ways) {
    static const char key[] = "relative_attention_num_buckets";
    const json_val *at = hf_get(h, key);
    int32_t buckets;
    if (!hf_int(h, at, 4, 4096, &buckets)) return false;
    if (buckets % 4) return hf_fail(h, at, "must be a multiple of 4, got %d", buckets);
    if (longest <= buckets / 2)
        return hf_fail(h, at, "must be less than twice the longest distance, %d", longest);
    put_text(h, f, "backend", "flex", at);
    put_text(h, f, "tensor", arena_printf(h->a, "relative_attention_bias=f32[%d][heads]", buckets),
             at);
    put_text(h, f, "score",
             arena_printf(h->a, "s + relative_attention_bias[%s][h]",
                          bucket(h, buckets, longest, both_ways)),
             at);
    return true;
}

static bool put_modernbert(hf *h, const import_layer *l, fields *f) {
    if (l->index == 0) put_bool(h, f, "skip_norm1", true, NULL);
    return true;
}

static bool put_mpnet(hf *h, const import_layer *l, fields *f) {
    (void)l;
    return put_buckets(h, f, 128, true);
}

/* Cross-attention has no bias; an ffn is "relu", "gated-gelu" and the like. */
static bool put_t5(hf *h, const import_layer *l, fields *f) {
    static const char longest_key[] = "relative_attention_max_distance";
    const json_val *act = hf_get(h, "feed_forward_proj");
    int32_t longest;
    if (act->kind != JSON_STRING)
        return hf_fail(h, act, "must be a string, got %s", hf_quote(h, act));
    const bool gated = !strncmp(act->string, "gated-", 6);
    const char *name = gated ? act->string + 6 : act->string;
    if (!strcmp(act->string, "gated-gelu")) name = "gelu_new";
    const char *kind = hf_ffn_kind(name, gated);
    if (!kind && l->ffn != FFN_NONE)
        return hf_fail(h, act, "%s is no ffn of the spec's: relu, gelu, gated-gelu, gated-silu",
                       hf_quote(h, act));
    if (kind) put_text(h, f, "ffn", kind, act);
    if (l->cross) return true;
    return hf_key_int(h, longest_key, 2, 1 << 20, &longest) &&
           put_buckets(h, f, longest, !l->causal);
}

static bool put_wav2vec2(hf *h, const import_layer *l, fields *f) {
    bool before;
    (void)l;
    const json_val *at = hf_get(h, "do_stable_layer_norm");
    if (!hf_bool(h, at, &before)) return false;
    put_text(h, f, "norm_place", before ? "pre" : "post", at);
    return true;
}

static bool holds(const json_val *list, int32_t n) {
    for (int i = 0; i < list->count; i++)
        if (list->item[i].kind == JSON_NUMBER && list->item[i].number == n) return true;
    return false;
}

/* Two thirds of a width, times a factor, to the next multiple: in float, as the class has it. */
static bool adjusted(hf *h, int32_t *width) {
    const json_val *times = hf_get(h, "block_ffn_dim_multiplier");
    const double part = floor(2 * (double)*width / 3);
    double factor = 1;
    int32_t step;
    *width = (int32_t)part;
    if (hf_is_null(times)) return true;
    if (!hf_number(h, times, &factor) || !hf_key_int(h, "block_multiple_of", 1, 1048576, &step))
        return false;
    if (!(factor > 0 && factor * part <= 1048576))
        return hf_fail(h, times, "must be greater than 0, and make an ffn of at most 1048576");
    *width = ((int32_t)(factor * part) + step - 1) / step * step;
    return true;
}

static bool put_lfm2(hf *h, const import_layer *l, fields *f) {
    const json_val *list = hf_get(h, "full_attn_idxs"), *at = hf_get(h, "intermediate_size");
    int32_t width;
    bool adjust;
    if (hf_is_null(hf_get(h, "layer_types")) && !hf_is_null(list) && !holds(list, l->index))
        return hf_fail(h, list,
                       "layer %d is none of them: it is a convolution, which the spec cannot say",
                       l->index);
    if (!hf_int(h, at, 1, 1048576, &width) ||
        !hf_key_bool(h, "block_auto_adjust_ff_dim", &adjust) || (adjust && !adjusted(h, &width)))
        return false;
    put_int(h, f, "ffn_dim", width, at);
    return true;
}

static bool put_deepseek(hf *h, const import_layer *l, fields *f) {
    (void)l;
    const json_val *kv = hf_get(h, "num_key_value_heads");
    int32_t heads, kv_heads;
    if (!hf_key_int(h, "num_attention_heads", 1, 65536, &heads)) return false;
    if (!hf_is_null(kv) && !hf_int(h, kv, 1, 65536, &kv_heads)) return false;
    if (!hf_is_null(kv) && kv_heads != heads)
        return hf_fail(h, kv, "must be num_attention_heads = %d: latent attention has no groups",
                       heads);
    put_float(h, f, "latent_eps", 1e-6, NULL); /* in the model whatever rms_norm_eps is */
    bool pairs = true;
    if (hf_has(h, "rope_interleave") && !hf_key_bool(h, "rope_interleave", &pairs)) return false;
    if (!pairs) put_text(h, f, "rope", "half", hf_get(h, "rope_interleave"));
    return true;
}

static bool put_neox(hf *h, const import_layer *l, fields *f) {
    (void)l;
    bool parallel;
    if (!hf_key_bool(h, "use_parallel_residual", &parallel)) return false;
    put_text(h, f, "residual", parallel ? "parallel" : "serial",
             hf_get(h, "use_parallel_residual"));
    return true;
}

/* A list of which layers have attention, 1, and which linear attention, in files alone. */
static bool put_minimax(hf *h, const import_layer *l, fields *f) {
    const json_val *kinds = json_get(h->in, "attn_type_list");
    (void)f;
    if (!kinds || hf_is_null(kinds)) return true;
    if (kinds->kind != JSON_ARRAY || l->index >= kinds->count)
        return hf_fail(h, kinds, "must be a list of a number a layer");
    const json_val *kind = &kinds->item[l->index];
    return (kind->kind == JSON_NUMBER && kind->number == 1) ||
           hf_fail(h, kind, "must be 1, got %s: layers of this family are of attention",
                   hf_quote(h, kind));
}

/* Keys that a class declares and its attention does not apply. */
static bool check_not_applied(hf *h) {
    const json_val *list = json_get(h->family, "not_applied");
    for (int i = 0; list && i < list->count; i++) {
        const json_val *v = hf_get(h, list->item[i].string);
        if (!hf_is_null(v))
            return hf_fail(h, v,
                           "is declared by %s, whose attention does not apply it: make it null to "
                           "go without",
                           h->model_type);
    }
    return true;
}

static bool is_any(const json_val *v, const json_val *values) {
    for (int i = 0; i < values->count; i++)
        if (json_same(v, &values->item[i])) return true;
    return false;
}

/* 0 is what the spec has where a factor is not given. */
static bool check_factors(hf *h) {
    if (!hf_has(h, "residual_multiplier")) return true;
    const json_val *v = hf_get(h, "residual_multiplier");
    double x;
    if (!hf_number(h, v, &x)) return false;
    return x != 0 || !h->block || hf_fail(h, v, "must not be 0: the layer would do nothing");
}

bool import_check_only(hf *h) {
    if (!check_factors(h)) return false;
    const json_val *rows = json_get(h->family, "only");
    for (int i = 0; rows && i < rows->count; i++) {
        const json_val *row = &rows->item[i], *v = hf_get(h, row->name);
        const json_val *values = json_get(row, "is"), *layer = json_get(row, "layer");
        if (is_any(v, values) || (!h->block && layer)) continue;
        return hf_fail(h, v, "must be %s, got %s: %s", hf_quote(h, &values->item[0]),
                       hf_quote(h, v), json_get(row, "why")->string);
    }
    return true;
}

bool import_put_own(hf *h, const import_layer *l, fields *f) {
    static const struct {
        const char *name; /* "adds" of a row */
        bool (*put)(hf *h, const import_layer *l, fields *f);
    } own[] = {
        {"bloom", put_bloom},       {"deepseek", put_deepseek},
        {"falcon", put_falcon},     {"gpt2", put_gpt2},
        {"gptj", put_gptj},         {"lfm2", put_lfm2},
        {"llama4", put_llama4},     {"ministral3", put_ministral3},
        {"minimax", put_minimax},   {"modernbert", put_modernbert},
        {"mpnet", put_mpnet},       {"t5", put_t5},
        {"mpt", put_mpt},           {"neox", put_neox},
        {"opt", put_opt},           {"stablelm", put_stablelm},
        {"wav2vec2", put_wav2vec2},
    };
    if (!check_not_applied(h)) return false;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (hf_row_is(h, "adds", own[i].name)) return own[i].put(h, l, f);
    return true;
}
