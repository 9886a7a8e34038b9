/* import_experts.c - mixtures of experts: which layers have one, and what a family's row ("moe")
 * and keys say of it. */
#include "import_internal.h"

#include <string.h>

static bool listed(hf *h, const char *key, int32_t layer, bool *found) {
    const json_val *list = hf_get(h, key);
    *found = false;
    if (hf_is_null(list)) return true;
    if (list->kind != JSON_ARRAY)
        return hf_fail(h, list, "must be a list of layers, got %s", hf_quote(h, list));
    for (int i = 0; i < list->count; i++) {
        int32_t n;
        if (!hf_int(h, &list->item[i], 0, INT32_MAX, &n)) return false;
        *found = *found || n == layer;
    }
    return true;
}

/* Every decoder_sparse_step-th layer, less those of mlp_only_layers. */
static bool by_step(hf *h, int32_t layer, bool *out) {
    int32_t experts, step;
    bool dense;
    if (!hf_key_int(h, "num_experts", 0, INT32_MAX, &experts) ||
        !hf_key_int(h, "decoder_sparse_step", 1, INT32_MAX, &step) ||
        !listed(h, "mlp_only_layers", layer, &dense))
        return false;
    *out = experts > 0 && !dense && (layer + 1) % step == 0;
    return true;
}

/* Every moe_layer_interval-th layer from one to another. */
static bool by_interval(hf *h, int32_t layer, bool *out) {
    int32_t first, last, step;
    if (!hf_key_int(h, "moe_layer_start_index", 0, INT32_MAX, &first) ||
        !hf_key_int(h, "moe_layer_end_index", -1, INT32_MAX, &last) ||
        !hf_key_int(h, "moe_layer_interval", 1, INT32_MAX, &step))
        return false;
    *out = (layer + 1) % step == 0 && layer >= first && (last < 0 || layer <= last);
    return true;
}

/* Those of a list, or every so manieth. */
static bool by_list(hf *h, int32_t layer, bool *out) {
    int32_t step;
    if (!hf_is_null(hf_get(h, "moe_layers"))) return listed(h, "moe_layers", layer, out);
    if (!hf_key_int(h, "interleave_moe_layer_step", 1, INT32_MAX, &step)) return false;
    *out = (layer + 1) % step == 0;
    return true;
}

bool import_has_experts(hf *h, int32_t layer, bool *out) {
    *out = json_get(h->family, "moe") != NULL;
    if (!*out) return true;
    if (hf_has(h, "moe_layer_interval")) return by_interval(h, layer, out);
    if (hf_has(h, "interleave_moe_layer_step")) return by_list(h, layer, out);
    if (hf_has(h, "decoder_sparse_step")) return by_step(h, layer, out);
    int32_t dense = 0;
    if (hf_has(h, "first_k_dense_replace") &&
        !hf_key_int(h, "first_k_dense_replace", 0, INT32_MAX, &dense))
        return false;
    *out = layer >= dense;
    return true;
}

/* Groups, where the method uses them. */
static bool put_groups(hf *h, fields *f) {
    if (!hf_has(h, "n_group")) return true;
    const json_val *method = hf_has(h, "topk_method") ? hf_get(h, "topk_method") : NULL;
    if (method && method->kind == JSON_STRING && !strcmp(method->string, "greedy")) return true;
    if (method && (method->kind != JSON_STRING || strcmp(method->string, "group_limited_greedy")))
        return hf_fail(h, method, "must be 'greedy' or 'group_limited_greedy', got %s",
                       hf_quote(h, method));
    put_value(h, f, "groups", hf_get(h, "n_group"));
    put_value(h, f, "group_top", hf_get(h, "topk_group"));
    return true;
}

/* qwen2_moe says how wide the shared experts are together. */
static bool put_shared_width(hf *h, fields *f) {
    static const char key[] = "shared_expert_intermediate_size";
    int32_t all, each;
    if (!hf_has(h, key)) return true;
    if (!hf_key_int(h, key, 1, 1048576, &all) ||
        !hf_key_int(h, "moe_intermediate_size", 1, 1048576, &each))
        return false;
    if (all % each)
        return hf_fail(h, hf_get(h, key),
                       "must be a multiple of moe_intermediate_size: %d is no multiple of %d", all,
                       each);
    put_int(h, f, "shared_experts", all / each, hf_get(h, key));
    return true;
}

/* A key that the class has, and its router does not obey. */
static bool check_off(hf *h) {
    const json_val *key = json_get(json_get(h->family, "moe"), "off");
    bool on = false;
    if (!key || !hf_key_bool(h, key->string, &on)) return !key;
    return !on ||
           hf_fail(h, hf_get(h, key->string),
                   "true is declared by %s, whose router does not apply it: make it false to "
                   "go without",
                   h->model_type);
}

/* Constants of units that the spec has as they are published. */
static bool check_units(hf *h) {
    static const struct {
        const char *key;
        double value;
    } all[] = {{"swiglu_alpha", 1.702}, {"swiglu_limit", 7}};
    for (int i = 0; i < 2; i++) {
        double x;
        if (!hf_has(h, all[i].key)) continue;
        const json_val *v = hf_get(h, all[i].key);
        if (!hf_number(h, v, &x)) return false;
        if (x != all[i].value)
            return hf_fail(h, v, "must be %g, which the spec's swiglu_clamped has, got %s",
                           all[i].value, hf_quote(h, v));
    }
    const json_val *bias = hf_has(h, "mlp_bias") ? hf_get(h, "mlp_bias") : NULL;
    if (bias && bias->kind == JSON_BOOL && bias->boolean)
        return hf_fail(h, bias,
                       "true is not understood for layers with experts: their shared experts would "
                       "have biases, and the others not");
    return true;
}

static bool is_zero(const json_val *v) {
    return v->kind == JSON_NUMBER && v->number == 0;
}

/* Numbers that some classes have no default for. */
static bool check_null(hf *h, const json_val *keys) {
    static const char *const needed[] = {"experts", "top_k"};
    for (int i = 0; i < 2; i++) {
        const json_val *v = hf_get(h, json_get(keys, needed[i])->string);
        if (hf_is_null(v))
            return hf_fail(h, v,
                           "must be given: layers with experts need it, and %s has no default "
                           "(--level core makes the attention alone)",
                           h->model_type);
    }
    return true;
}

bool import_put_experts(hf *h, fields *f) {
    const json_val *row = json_get(h->family, "moe");
    const json_val *spec = json_get(row, "spec"), *keys = json_get(row, "fields");
    if (!check_null(h, keys)) return false;
    put_text(h, f, "ffn", "moe", NULL);
    for (int i = 0; i < spec->count; i++)
        put_lua(h, f, spec->item[i].name, json_to_lua(h->a, &spec->item[i]), NULL);
    for (int i = 0; i < keys->count; i++)
        if (hf_has(h, keys->item[i].string))
            put_value(h, f, keys->item[i].name, hf_get(h, keys->item[i].string));
    const json_val *scale = json_get(keys, "router_scale");
    if (scale && is_zero(hf_get(h, scale->string))) /* where the spec has none */
        return hf_fail(h, hf_get(h, scale->string), "must not be 0: experts would count nothing");
    return put_groups(h, f) && put_shared_width(h, f) && check_off(h) && check_units(h);
}
