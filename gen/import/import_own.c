/* import_own.c - what single families add to a layer: their rows name it. */
#include "import_internal.h"

#include <string.h>

/* Falcon's ALiBi is added before the factor 1/sqrt(head_dim). k - q in place of k: the same
 * softmax, and no large numbers. */
static const char *alibi(hf *h, int32_t heads) {
    int32_t power = 1;
    while (power * 2 <= heads) power *= 2;
    const char *first = arena_printf(h->a, "exp2(%.9g * (h + 1))", -8.0 / power);
    if (power == heads) return arena_printf(h->a, "s + %s / sqrt(head_dim) * (k - q)", first);
    return arena_printf(
        h->a, "s + where(h < %d, %s, exp2(%.9g * (2 * h - %d))) / sqrt(head_dim) * (k - q)", power,
        first, -4.0 / power, 2 * power - 1);
}

static bool put_falcon(hf *h, fields *f) {
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
    if (!use_alibi) return true;
    const json_val *at = hf_get(h, "alibi");
    put_text(h, f, "rope", "none", at);
    put_text(h, f, "backend", "flex", at);
    put_text(h, f, "score", alibi(h, heads), at);
    return true;
}

static bool put_deepseek(hf *h, fields *f) {
    const json_val *kv = hf_get(h, "num_key_value_heads");
    int32_t heads, kv_heads;
    double eps = 0;
    if (!hf_key_int(h, "num_attention_heads", 1, 65536, &heads)) return false;
    if (!hf_is_null(kv) && !hf_int(h, kv, 1, 65536, &kv_heads)) return false;
    if (!hf_is_null(kv) && kv_heads != heads)
        return hf_fail(h, kv, "must be num_attention_heads = %d: latent attention has no groups",
                       heads);
    const json_val *at = hf_get(h, "rms_norm_eps");
    if (!hf_number(h, at, &eps)) return false;
    if (h->block && eps != 1e-6)
        return hf_fail(h, at,
                       "must be 1e-06: the norms of the latent rows have that in the model "
                       "whatever stands here, and a layer has one norm_eps");
    bool pairs = true;
    if (hf_has(h, "rope_interleave") && !hf_key_bool(h, "rope_interleave", &pairs)) return false;
    if (!pairs) put_text(h, f, "rope", "half", hf_get(h, "rope_interleave"));
    return true;
}

static bool put_neox(hf *h, fields *f) {
    bool parallel;
    if (!hf_key_bool(h, "use_parallel_residual", &parallel)) return false;
    put_text(h, f, "residual", parallel ? "parallel" : "serial",
             hf_get(h, "use_parallel_residual"));
    return true;
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

bool import_put_own(hf *h, fields *f) {
    static const struct {
        const char *name; /* "adds" of a row */
        bool (*put)(hf *h, fields *f);
    } own[] = {{"falcon", put_falcon}, {"deepseek", put_deepseek}, {"neox", put_neox}};
    if (!check_not_applied(h)) return false;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (hf_row_is(h, "adds", own[i].name)) return own[i].put(h, f);
    return true;
}
