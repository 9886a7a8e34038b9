/* import_stack.c - the layers of a model, from the first to the last. */
#include "import_internal.h"

#include <string.h>

static const char *window_key(const hf *h) {
    return hf_has(h, "local_attention") ? "local_attention" : "sliding_window";
}

/* sliding_window of a layer: the count includes the token itself, but for the mask that is_causal =
 * false asks for. */
static bool read_window(hf *h, import_layer *l) {
    l->window_at = hf_get(h, window_key(h));
    if (!hf_int(h, l->window_at, 1, INT32_MAX, &l->window)) return false;
    if (hf_sees_both_ways(h)) { /* modernbert: half to each side, beside the token itself */
        l->window /= 2;
        return true;
    }
    if (l->both_ways) l->window = l->window / 2 + 1; /* gemma3: half to each side */
    if (h->causal) l->window--;
    return true;
}

/* transformers 5 makes every decoder's mask by it (masking_utils.py); 4.57 has no such key. */
static bool read_is_causal(hf *h) {
    const json_val *v = json_get(h->in, "is_causal");
    h->causal = !hf_sees_both_ways(h);
    if (!v) return true;
    if (hf_is_null(v))
        return hf_fail(h, v,
                       "null makes a model that sees both ways in transformers 5, and a causal one "
                       "in releases before: write true or false");
    bool says;
    if (!hf_bool(h, v, &says)) return false;
    if (says && !h->causal)
        return hf_fail(h, v, "is true, and the layers of %s see both ways", h->model_type);
    h->causal = says;
    return true;
}

static void note_is_causal(hf *h, bool windows) {
    if (!h->causal && !hf_sees_both_ways(h))
        hf_note(h, json_get(h->in, "is_causal"),
                "the layers see both ways%s, as in transformers 5; releases before it do not read "
                "the key and are causal",
                windows ? ", sliding_window keys to each side beside the token itself" : "");
}

static const char chunk_key[] = "attention_chunk_size";

static bool read_layer_types(hf *h, int32_t layers, const json_val **types) {
    *types = hf_has(h, "layer_types") ? hf_get(h, "layer_types") : NULL;
    if (!*types || hf_is_null(*types)) {
        *types = NULL;
        return true;
    }
    if ((*types)->kind != JSON_ARRAY)
        return hf_fail(h, *types, "must be a list, got %s", hf_quote(h, *types));
    if ((*types)->count != layers)
        return hf_fail(h, *types, "must have %s = %d%s items, got %d", hf_key(h, "layers"), layers,
                       hf_in_file(h, hf_get(h, hf_key(h, "layers"))) ? "" : " (by default)",
                       (*types)->count);
    for (int i = 0; i < layers; i++) {
        const json_val *t = &(*types)->item[i];
        const char *other = hf_has(h, chunk_key) ? "chunked_attention" : "sliding_attention";
        if (t->kind != JSON_STRING ||
            (strcmp(t->string, "full_attention") && strcmp(t->string, other)))
            return hf_fail(h, t, "must be 'full_attention' or '%s', got %s", other, hf_quote(h, t));
    }
    return true;
}

/* --- Which layers slide, and which have positions --- */

typedef struct stack_rule {
    bool enabled; /* there is a window, and it is in use */
    int32_t layers, pattern, first;
    const json_val *off_at;  /* what switched it off */
    const json_val *types;   /* layer_types; null: the family's rule */
    const json_val *rotated; /* no_rope_layers: 0 where a layer has no positions; null: see below */
    int32_t interval;        /* every so manieth layer has none; 0: all have them */
} stack_rule;

/* By the rule of the family, where there is no list. */
static bool rule_slides(hf *h, const stack_rule *r, int32_t i, bool rope) {
    if (hf_row_is(h, "layers", "pattern")) return (i + 1) % r->pattern != 0;
    if (hf_row_is(h, "layers", "first_of")) return i % r->pattern != 0;
    if (hf_row_is(h, "layers", "after")) return r->enabled && i >= r->first;
    if (hf_row_is(h, "layers", "even")) return r->enabled && i % 2 == 0 && i < r->first;
    if (hf_row_is(h, "layers", "no_rope")) return r->enabled && !rope;
    return hf_row_is(h, "layers", "all") && r->enabled;
}

static bool slides(hf *h, const stack_rule *r, int32_t i, bool rope) {
    return r->types ? !strcmp(r->types->item[i].string, "sliding_attention")
                    : rule_slides(h, r, i, rope);
}

/* llama4: layers with positions see their chunk alone, where there are chunks. */
static bool is_chunked(hf *h, const stack_rule *r, int32_t i, bool rope) {
    if (!hf_has(h, chunk_key)) return false;
    return r->types ? !strcmp(r->types->item[i].string, "chunked_attention")
                    : rope && !hf_is_null(hf_get(h, chunk_key));
}

/* The rule's number; keys that say it are not read beside a list. */
static bool read_pattern(hf *h, stack_rule *r) {
    static const char *const keys[] = {"sliding_window_pattern", "global_attn_every_n_layers"};
    const json_val *fixed = json_get(h->family, "pattern");
    r->pattern = fixed ? (int32_t)fixed->number : 1;
    for (int i = 0; i < 2 && !r->types; i++)
        if (hf_has(h, keys[i]) && !hf_key_int(h, keys[i], 1, MODEL_MAX_LAYERS, &r->pattern))
            return false;
    return true;
}

static bool read_windows(hf *h, stack_rule *r) {
    const char *key = window_key(h);
    if (!hf_has(h, key)) return true;
    r->off_at = hf_get(h, key);
    r->enabled = !hf_is_null(r->off_at);
    if (!read_pattern(h, r)) return false;
    if (hf_has(h, "use_sliding_window")) {
        bool used;
        if (!hf_key_bool(h, "use_sliding_window", &used)) return false;
        if (!used) r->off_at = hf_get(h, "use_sliding_window");
        r->enabled = r->enabled && used;
    }
    return !r->enabled || !hf_has(h, "max_window_layers") ||
           hf_key_int(h, "max_window_layers", 0, INT32_MAX, &r->first);
}

static bool read_no_rope(hf *h, stack_rule *r) {
    if (!hf_has(h, "no_rope_layers")) return true;
    const json_val *list = hf_get(h, "no_rope_layers");
    const bool empty = list->kind == JSON_ARRAY && !list->count && hf_row_says(h, "empty_no_rope");
    if (hf_is_null(list) || empty)
        return hf_key_int(h, "no_rope_layer_interval", 1, MODEL_MAX_LAYERS, &r->interval);
    if (list->kind != JSON_ARRAY || list->count != r->layers)
        return hf_fail(h, list, "must be a list of %d numbers, one a layer: 0 without positions",
                       r->layers);
    for (int i = 0; i < list->count; i++) {
        int32_t n;
        if (!hf_int(h, &list->item[i], 0, 1, &n)) return false;
    }
    r->rotated = list;
    return true;
}

/* cohere2's full layers have no positions, nor have exaone4's where there are windows. */
static bool has_rope(const hf *h, const stack_rule *r, int32_t i, bool sliding) {
    const json_val *full = json_get(h->family, "full_rope");
    if (r->rotated) return r->rotated->item[i].number != 0;
    if (r->interval) return (i + 1) % r->interval != 0;
    if (!full || sliding) return true;
    return full->kind == JSON_STRING && !r->enabled;
}

static bool read_rule(hf *h, stack_rule *r) {
    *r = (stack_rule){.pattern = 1};
    return hf_key_int(h, hf_key(h, "layers"), 1, MODEL_MAX_LAYERS, &r->layers) &&
           read_layer_types(h, r->layers, &r->types) && read_windows(h, r) && read_no_rope(h, r);
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
    stack_rule rule;
    import_layer base = {.heads = hf_key(h, "heads"), .ffn_dim = hf_key(h, "ffn_dim")};
    if (!read_rule(h, &rule) || !both_ways(h, &base.both_ways)) return false;
    base.causal = h->causal && !base.both_ways;
    bool windows = false;
    for (int32_t i = 0; i < rule.layers; i++) {
        import_layer l = base;
        l.index = i;
        l.sliding = slides(h, &rule, i, has_rope(h, &rule, i, false));
        l.rope = has_rope(h, &rule, i, l.sliding);
        l.chunked = is_chunked(h, &rule, i, l.rope);
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
    h->encoder_layers = h->out->layer_count;
    for (int32_t i = 0; i < layers; i++) {
        import_layer self = l, cross = l;
        self.index = cross.index = i;
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
    if (!hf_key_int(h, hf_key(h, "layers"), 1, MODEL_MAX_LAYERS / 2, &layers) ||
        !hf_key_bool(h, "is_decoder", &decoder) || !hf_key_bool(h, "add_cross_attention", &cross))
        return false;
    import_layer l = {.heads = hf_key(h, "heads"),
                      .ffn_dim = hf_key(h, "ffn_dim"),
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
    for (l.index = 0; l.index < layers; l.index++)
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

/* An encoder and a decoder of one shape. */
static bool add_t5(hf *h) {
    const json_val *own = hf_get(h, "num_decoder_layers");
    int32_t encoder, decoder;
    if (!hf_key_int(h, hf_key(h, "layers"), 1, MODEL_MAX_LAYERS / 4, &encoder)) return false;
    decoder = encoder;
    if (!hf_is_null(own) && !hf_int(h, own, 0, MODEL_MAX_LAYERS / 4, &decoder)) return false;
    import_layer l = {.heads = hf_key(h, "heads"), .ffn_dim = hf_key(h, "ffn_dim")};
    for (l.index = 0; l.index < encoder; l.index++)
        if (!import_add_layer(h, &l)) return false;
    if (decoder) note_is_causal(h, false);
    return add_decoder(h, decoder, l);
}

bool import_layers(hf *h) {
    if (!read_is_causal(h)) return false;
    if (hf_row_is(h, "layers", "bert")) return add_bert(h);
    if (hf_row_is(h, "layers", "t5")) return add_t5(h);
    return hf_row_is(h, "layers", "whisper") ? add_whisper(h) : add_stack(h);
}
