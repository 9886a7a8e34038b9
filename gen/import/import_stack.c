/* import_stack.c - the layers of a model, from the first to the last. */
#include "import_internal.h"

#include <string.h>

/* sliding_window of a layer: the count includes the token itself, but for the mask that is_causal =
 * false asks for. */
static bool read_window(hf *h, import_layer *l) {
    l->window_at = hf_get(h, "sliding_window");
    if (!hf_int(h, l->window_at, 1, INT32_MAX, &l->window)) return false;
    if (l->both_ways) l->window = l->window / 2 + 1; /* gemma3: half to each side */
    if (h->causal) l->window--;
    return true;
}

/* transformers 5 makes every decoder's mask by it (masking_utils.py); 4.57 has no such key. */
static bool read_is_causal(hf *h) {
    const json_val *v = json_get(h->in, "is_causal");
    h->causal = true;
    if (!v) return true;
    if (hf_is_null(v))
        return hf_fail(h, v,
                       "null makes a model that sees both ways in transformers 5, and a causal one "
                       "in releases before: write true or false");
    return hf_bool(h, v, &h->causal);
}

static void note_is_causal(hf *h, bool windows) {
    if (!h->causal)
        hf_note(h, json_get(h->in, "is_causal"),
                "the layers see both ways%s, as in transformers 5; releases before it do not read "
                "the key and are causal",
                windows ? ", sliding_window keys to each side beside the token itself" : "");
}

static bool read_layer_types(hf *h, int32_t layers, const json_val **types) {
    *types = hf_has(h, "layer_types") ? hf_get(h, "layer_types") : NULL;
    if (!*types || hf_is_null(*types)) {
        *types = NULL;
        return true;
    }
    if ((*types)->kind != JSON_ARRAY)
        return hf_fail(h, *types, "must be a list, got %s", hf_quote(h, *types));
    if ((*types)->count != layers)
        return hf_fail(h, *types, "must have num_hidden_layers = %d%s items, got %d", layers,
                       hf_in_file(h, hf_get(h, "num_hidden_layers")) ? "" : " (by default)",
                       (*types)->count);
    for (int i = 0; i < layers; i++) {
        const json_val *t = &(*types)->item[i];
        if (t->kind != JSON_STRING ||
            (strcmp(t->string, "full_attention") && strcmp(t->string, "sliding_attention")))
            return hf_fail(h, t, "must be 'full_attention' or 'sliding_attention', got %s",
                           hf_quote(h, t));
    }
    return true;
}

/* Whether layer i slides, by the rule of the family. */
static bool rule_slides(hf *h, int32_t i, int32_t pattern, bool enabled, int32_t first) {
    if (hf_row_is(h, "layers", "pattern")) return (i + 1) % pattern != 0;
    if (hf_row_is(h, "layers", "after")) return enabled && i >= first;
    if (hf_row_is(h, "layers", "even")) return enabled && i % 2 == 0 && i < first;
    return hf_row_is(h, "layers", "all") && enabled;
}

typedef struct slide_rule {
    bool enabled; /* there is a window, and it is in use */
    int32_t pattern, first;
    const json_val *off_at; /* what switched it off */
} slide_rule;

static bool read_rule(hf *h, slide_rule *r) {
    *r = (slide_rule){.pattern = 1};
    if (!hf_has(h, "sliding_window")) return true;
    r->off_at = hf_get(h, "sliding_window");
    r->enabled = !hf_is_null(r->off_at);
    const json_val *fixed = json_get(h->family, "pattern");
    if (fixed) r->pattern = (int32_t)fixed->number;
    if (hf_has(h, "sliding_window_pattern") &&
        !hf_key_int(h, "sliding_window_pattern", 1, MODEL_MAX_LAYERS, &r->pattern))
        return false;
    if (!hf_has(h, "use_sliding_window")) return true;
    bool used;
    if (!hf_key_bool(h, "use_sliding_window", &used)) return false;
    if (!used) r->off_at = hf_get(h, "use_sliding_window");
    r->enabled = r->enabled && used;
    return !r->enabled || !hf_has(h, "max_window_layers") ||
           hf_key_int(h, "max_window_layers", 0, INT32_MAX, &r->first);
}

static bool both_ways(hf *h, bool *out) {
    *out = false;
    const json_val *v =
        hf_has(h, "use_bidirectional_attention") ? hf_get(h, "use_bidirectional_attention") : NULL;
    if (!v || hf_is_null(v)) return true;
    if (!hf_bool(h, v, out)) return false;
    if (*out && !hf_row_says(h, "both_ways"))
        return hf_fail(h, v, "true is not understood for %s", h->model_type);
    return true;
}

static bool add_stack(hf *h) {
    int32_t layers;
    const json_val *types;
    slide_rule rule;
    import_layer base = {.heads = "num_attention_heads",
                         .ffn_dim = hf_has(h, "ffn_hidden_size") ? "ffn_hidden_size"
                                                                 : "intermediate_size"};
    if (!hf_key_int(h, "num_hidden_layers", 1, MODEL_MAX_LAYERS, &layers) ||
        !read_layer_types(h, layers, &types) || !read_rule(h, &rule) ||
        !both_ways(h, &base.both_ways))
        return false;
    base.causal = h->causal && !base.both_ways;
    bool windows = false;
    for (int32_t i = 0; i < layers; i++) {
        import_layer l = base;
        l.sliding = types ? !strcmp(types->item[i].string, "sliding_attention")
                          : rule_slides(h, i, rule.pattern, rule.enabled, rule.first);
        if (l.sliding && !rule.enabled)
            return hf_fail(h, rule.off_at, "is %s, and layer %d is a sliding one",
                           hf_quote(h, rule.off_at), i);
        if (l.sliding && !read_window(h, &l)) return false;
        windows = windows || l.sliding;
        bool experts;
        if (!import_has_experts(h, i, &experts)) return false;
        if (experts) l.ffn = FFN_EXPERTS;
        if (!import_add_layer(h, &l)) return false;
    }
    note_is_causal(h, windows);
    return true;
}

/* A decoder's layer is two: self attention without an ffn, and cross-attention with the ffn. */
static bool add_decoder(hf *h, int32_t layers, import_layer l) {
    for (int32_t i = 0; i < layers; i++) {
        import_layer self = l, cross = l;
        self.causal = h->causal;
        self.ffn = FFN_NONE;
        cross.cross = true;
        if (!import_add_layer(h, &self) || !import_add_layer(h, &cross)) return false;
    }
    return true;
}

static bool add_bert(hf *h) {
    int32_t layers;
    bool decoder, cross;
    if (!hf_key_int(h, "num_hidden_layers", 1, MODEL_MAX_LAYERS / 2, &layers) ||
        !hf_key_bool(h, "is_decoder", &decoder) || !hf_key_bool(h, "add_cross_attention", &cross))
        return false;
    import_layer l = {.heads = "num_attention_heads",
                      .ffn_dim = "intermediate_size",
                      .causal = decoder && h->causal};
    if (cross && !decoder) return hf_fail(h, hf_get(h, "add_cross_attention"), "needs is_decoder");
    const json_val *says = json_get(h->in, "is_causal");
    if (says && h->causal && !decoder)
        return hf_fail(h, says, "is true, and the layers see both ways where is_decoder is false");
    if (decoder) note_is_causal(h, false);
    if (cross) {
        l.causal = false;
        return add_decoder(h, layers, l);
    }
    for (int32_t i = 0; i < layers; i++)
        if (!import_add_layer(h, &l)) return false;
    return true;
}

static bool add_whisper(hf *h) {
    int32_t encoder, decoder;
    if (!hf_key_int(h, "encoder_layers", 0, MODEL_MAX_LAYERS / 4, &encoder) ||
        !hf_key_int(h, "decoder_layers", 0, MODEL_MAX_LAYERS / 4, &decoder))
        return false;
    if (encoder + decoder == 0)
        return hf_fail(h, hf_get(h, "encoder_layers"), "and decoder_layers must not both be 0");
    const import_layer e = {.heads = "encoder_attention_heads", .ffn_dim = "encoder_ffn_dim"};
    const import_layer d = {.heads = "decoder_attention_heads", .ffn_dim = "decoder_ffn_dim"};
    for (int32_t i = 0; i < encoder; i++)
        if (!import_add_layer(h, &e)) return false;
    if (decoder) note_is_causal(h, false);
    return add_decoder(h, decoder, d);
}

bool import_layers(hf *h) {
    if (!read_is_causal(h)) return false;
    if (hf_row_is(h, "layers", "bert")) return add_bert(h);
    return hf_row_is(h, "layers", "whisper") ? add_whisper(h) : add_stack(h);
}
