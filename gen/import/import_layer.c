/* import_layer.c - one layer: what its family and keys say, as fields of a spec. */
#include "import_internal.h"

#include <math.h>
#include <string.h>

/* Keys that are fields of the spec, wherever a family has them. */
static const struct {
    const char *field, *key;
    bool may_be_null; /* then the field is not given */
} direct[] = {
    {"kv_heads", "num_key_value_heads", true},
    {"norm_eps", "rms_norm_eps", false},
    {"norm_eps", "layer_norm_eps", false},
    {"norm_eps", "layer_norm_epsilon", false},
    {"norm_eps", "norm_epsilon", false},
    {"norm_eps", "norm_eps", false},
    {"norm_bias", "norm_bias", false},
    {"scale", "attention_multiplier", false},
    {"qk_norm", "use_qk_norm", false},
    {"qk_norm", "qk_layernorm", false},
    {"residual_scale", "residual_multiplier", false},
    {"softcap", "attn_logit_softcapping", true},
    {"q_bias", "attention_bias", false},
    {"q_bias", "qkv_bias", false},
    {"q_bias", "use_qkv_bias", false},
    {"q_bias", "bias", false},
    {"q_bias", "use_bias", false},
    {"q_bias", "enable_bias", false},
    {"o_bias", "attention_out_bias", false},
    {"ffn_bias", "bias", false},
    {"ffn_bias", "use_bias", false},
    {"ffn_bias", "enable_bias", false},
    {"ffn_bias", "mlp_bias", false},
    {"kv_comp_dim", "kv_lora_rank", false},
    {"q_comp_dim", "q_lora_rank", true},
    {"retr_dim", "qk_rope_head_dim", false},
    {"v_head_dim", "v_head_dim", false},
};

/* Later ones win: what a row says of a layer, keys, and what the row says whatever keys say. */
static void put_row(hf *h, fields *f, const char *part) {
    const json_val *spec = json_get(h->family, part);
    for (int i = 0; spec && i < spec->count; i++) {
        const json_val *v = &spec->item[i];
        put_lua(h, f, v->name, json_to_lua(h->a, v), NULL);
    }
}

static bool has_put_true(const fields *f, const char *field) {
    for (int i = 0; i < f->count; i++)
        if (!strcmp(f->item[i].field, field)) return f->item[i].value->boolean;
    return false;
}

static void put_direct(hf *h, fields *f) {
    put_row(h, f, "spec");
    put_value(h, f, "d_model", hf_get(h, hf_key(h, "d_model")));
    for (size_t i = 0; i < sizeof direct / sizeof *direct; i++) {
        if (!hf_has(h, direct[i].key)) continue;
        const json_val *v = hf_get(h, direct[i].key);
        if (hf_is_null(v) && direct[i].may_be_null) continue;
        put_value(h, f, direct[i].field, v);
    }
    if (has_put_true(f, "qk_norm")) put_row(h, f, "qk_norm");
    put_row(h, f, "always");
}

/* Width of a head: given, or what hidden_size leaves to each. */
static bool head_width(hf *h, const import_layer *l, int32_t *width, const json_val **at) {
    const char *own = hf_has(h, "qk_nope_head_dim") ? "qk_nope_head_dim"
                      : hf_has(h, "d_kv")           ? "d_kv"
                                                    : "head_dim";
    if (hf_has(h, own)) {
        *at = hf_get(h, own);
        /* Of the classes that have a width of their own as the default, few take null. */
        const bool whole = hf_is_null(json_get(h->keys, own)) || hf_row_says(h, "null_head_dim");
        if (!hf_is_null(*at) || !whole) return hf_int(h, *at, 1, 65536, width);
    }
    int32_t hidden, heads;
    *at = hf_get(h, hf_key(h, "d_model"));
    if (!hf_int(h, *at, 1, 1048576, &hidden) || !hf_key_int(h, l->heads, 1, 65536, &heads))
        return false;
    if (hidden % heads && !hf_row_says(h, "floor_head_dim"))
        return hf_fail(h, *at, "must be a multiple of %s: %d is no multiple of %d%s", l->heads,
                       hidden, heads, hf_has(h, own) ? "; or give head_dim" : "");
    *width = hidden / heads;
    return true;
}

static bool put_scale(hf *h, int32_t head_dim, double mscale2, fields *f) {
    double x;
    if (hf_has(h, "query_pre_attn_scalar")) {
        const json_val *v = hf_get(h, "query_pre_attn_scalar");
        if (!hf_number(h, v, &x)) return false;
        if (!(x > 0)) return hf_fail(h, v, "must be greater than 0, got %s", hf_quote(h, v));
        put_float(h, f, "scale", 1 / sqrt(x), v);
    }
    if (!hf_has(h, "qk_rope_head_dim")) return true;
    int32_t rotated;
    if (!hf_key_int(h, "qk_rope_head_dim", 1, 65536, &rotated)) return false;
    put_float(h, f, "scale", mscale2 / sqrt((double)head_dim + rotated),
              hf_get(h, "qk_rope_head_dim"));
    return true;
}

/* The activation of the feed-forward part, as a field. */
static bool put_activation(hf *h, const char *field, fields *f) {
    static const char *const names[] = {"hidden_act", "hidden_activation", "activation",
                                        "activation_function"};
    const json_val *act = NULL;
    for (int i = 0; i < 4 && !act; i++)
        if (hf_has(h, names[i])) act = hf_get(h, names[i]);
    if (!act) { /* the row says it */
        const json_val *own = json_get(h->family, "act");
        if (own) put_text(h, f, field, own->string, NULL);
        return true;
    }
    if (act->kind != JSON_STRING)
        return hf_fail(h, act, "must be a string, got %s", hf_quote(h, act));
    const bool glu = !hf_row_is(h, "ffn", "plain");
    const json_val *means = json_get(json_get(h->family, "act_means"), act->string);
    const char *kind = hf_ffn_kind(means ? means->string : act->string, glu);
    if (!kind)
        return hf_fail(h, act, "%s is no activation of the spec's %s: %s", hf_quote(h, act),
                       glu ? "gated ffn" : "ffn",
                       glu ? "silu, gelu, gelu_pytorch_tanh (gelu_new, gelu_fast)"
                           : "gelu, gelu_pytorch_tanh (gelu_new, gelu_fast), relu, relu2, silu, "
                             "quick_gelu, xielu");
    put_text(h, f, field, kind, act);
    return true;
}

static bool put_ffn(hf *h, const import_layer *l, fields *f) {
    if (!h->block) return true;
    if (l->ffn == FFN_EXPERTS)
        return import_put_experts(h, f) && put_activation(h, "expert_act", f);
    if (l->ffn == FFN_NONE) {
        put_nothing(f, "ffn_bias");
        put_text(h, f, "ffn", "none", NULL);
        return true;
    }
    if (!put_activation(h, "ffn", f)) return false;
    if (has_put(f, "ffn_dim")) return true;
    const json_val *width = hf_get(h, l->ffn_dim);
    /* null where the class has it as its default: 4 * d_model */
    if (!hf_is_null(width) || !hf_is_null(json_get(h->keys, l->ffn_dim)))
        put_value(h, f, "ffn_dim", width);
    return true;
}

static void put_op(hf *h, const import_layer *l, fields *f) {
    put_text(h, f, "op", l->sliding ? "sliding_self" : "full_self", l->window_at);
    if (!l->causal) put_bool(h, f, "causal", false, NULL);
    if (l->sliding) put_int(h, f, "window", l->window, l->window_at);
    if (l->sliding && !l->causal) put_int(h, f, "right_window", l->window, l->window_at);
    if (l->cross) put_value(h, f, "kv_dim", hf_get(h, hf_key(h, "d_model")));
}

static bool add_rope(hf *h, const import_layer *l, int32_t width, const json_val *width_at,
                     fields *f, double *mscale2) {
    fields rope = {0};
    const bool mla = hf_has(h, "qk_rope_head_dim");
    if (mla) width_at = hf_get(h, "qk_rope_head_dim");
    if (mla && !hf_int(h, width_at, 1, 65536, &width)) return false;
    if (!import_rope(h, l->sliding, width, width_at, &rope, mscale2)) return false;
    for (int i = 0; i < rope.count; i++)
        if (strcmp(rope.item[i].field, "rope"))
            f->item[f->count++] = rope.item[i];
        else
            put_lua(h, f, "rope", rope.item[i].value, NULL);
    return true;
}

static void put_members(hf *h, fields *f, const json_val *object) {
    for (int i = 0; object && i < object->count; i++)
        put_lua(h, f, object->item[i].name, json_to_lua(h->a, &object->item[i]), NULL);
}

bool import_add_layer(hf *h, const import_layer *l) {
    fields f = {0};
    int32_t head_dim;
    const json_val *width_at;
    if (!head_width(h, l, &head_dim, &width_at)) return false;
    put_text(h, &f, "level", h->block ? "block" : "core", NULL);
    put_direct(h, &f);
    put_value(h, &f, "heads", hf_get(h, l->heads));
    put_int(h, &f, "head_dim", head_dim, width_at);
    put_op(h, l, &f);
    if (!import_put_own(h, l, &f)) return false;
    const bool off = hf_has(h, "alibi") && hf_get(h, "alibi")->boolean;
    double mscale2 = 1;
    if (l->rope && !off && !add_rope(h, l, head_dim, width_at, &f, &mscale2)) return false;
    if (!l->rope) put_text(h, &f, "rope", "none", NULL);
    if (!put_scale(h, head_dim, mscale2, &f) || !put_ffn(h, l, &f)) return false;
    put_members(h, &f, h->own_fields);
    if (h->layer_fields) put_members(h, &f, &h->layer_fields->item[h->out->layer_count]);
    if (h->backend) {
        put_nothing(&f, "backend");
        f.item[f.count++] = *h->backend;
    }
    kernel_spec k;
    const char *where = arena_printf(h->a, "%s: layer %d", h->path, h->out->layer_count);
    if (!kernel_spec_build(h->a, f.item, f.count, where, &k, h->d)) return false;
    return model_add_layer(h->a, h->out, &k) ||
           diag_set(h->d, "%s: two layers have one hash", where);
}
