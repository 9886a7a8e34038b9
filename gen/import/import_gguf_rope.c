/* import_gguf_rope.c - RoPE of a GGUF file as rope_scaling of a config.json. */
#include "import_gguf_internal.h"
#include "text.h"
#include "weight_types.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* llama3's, whose factors are in a tensor: those of all published models but for `factor`. high:
 * its high_freq_factor. */
static bool put_llama3(gguf *x, const char *key, double high, const attn_gguf_tensor *t) {
    static const double low = 1, original = 8192;
    const int32_t pairs = x->head_dim / 2;
    attn_gguf_key k;
    double base = 10000;
    if (gguf_find(x, "rope.freq_base", &k) && !attn_gguf_number(&x->file, &k, 0, &base))
        return gguf_fail(x, gguf_full_name(x, "rope.freq_base"), "must be a number");
    if (t->type != ATTN_WEIGHT_F32 || t->rank != 1 || t->dim[0] != pairs)
        return gguf_fail(x, t->name, "must be f32 [%d], one a pair of a head's columns", pairs);
    const unsigned char *data = t->data;
    float factor, is;
    memcpy(&factor, data + 4 * (pairs - 1), sizeof factor);
    for (int32_t i = 0; i < pairs; i++) {
        const double wave = 2 * 3.14159265358979323846 * pow(base, 2.0 * i / x->head_dim);
        const double smooth = (original / wave - low) / (high - low);
        double want = 1 / ((1 - smooth) / (double)factor + smooth);
        if (wave < original / high) want = 1;
        if (wave > original / low) want = (double)factor;
        memcpy(&is, data + 4 * i, sizeof is);
        if (!(fabs((double)is - want) <= 1e-4 * want))
            return gguf_fail(
                x, t->name,
                "[%d] is %.9g: llama3's factors with low_freq_factor 1, high_freq_factor %g "
                "and original_max_position_embeddings 8192, which published files have, are "
                "%.9g there, and others are not understood",
                i, (double)is, high, want);
    }
    if (factor == 1)
        gguf_put(x, key, t->name, "null");
    else
        gguf_put(
            x, key, t->name,
            arena_printf(x->a,
                         "{\"rope_type\": \"llama3\", \"factor\": %.9g, \"low_freq_factor\": 1, "
                         "\"high_freq_factor\": %g, \"original_max_position_embeddings\": 8192}",
                         (double)factor, high));
    return true;
}

/* A number beside rope.scaling.type; null: there is none, or it is wrong. */
static const char *scaling_number(gguf *x, const char *suffix, bool *ok) {
    attn_gguf_key k;
    if (!gguf_find(x, suffix, &k)) return NULL;
    const char *text = gguf_number_text(x, suffix, &k);
    *ok = *ok && text;
    return text;
}

/* Of deepseek's files: what multiplies both mscales, a tenth of it. "": there is none. */
static const char *yarn_mscales(gguf *x, bool *ok) {
    if (!json_get(x->row, "yarn_mscale")) return "";
    const char *tenth = scaling_number(x, "rope.scaling.yarn_log_multiplier", ok);
    if (!tenth) return "";
    const double m = 10 * strtod(tenth, NULL);
    return arena_printf(x->a, ", \"mscale\": %.6g, \"mscale_all_dim\": %.6g", m, m);
}

static bool put_yarn(gguf *x, const char *key, const char *factor) {
    bool ok = true;
    const char *mscales = yarn_mscales(x, &ok);
    const char *fast = scaling_number(x, "rope.scaling.yarn_beta_fast", &ok);
    const char *slow = scaling_number(x, "rope.scaling.yarn_beta_slow", &ok);
    int32_t longest, original;
    if (!ok || !gguf_read_int(x, "context_length", -1, &longest) ||
        !gguf_read_int(x, "rope.scaling.original_context_length", longest, &original))
        return false;
    const json_val *truncate = json_get(x->row, "truncate");
    gguf_put_from(x, key, "rope.scaling.type",
                  arena_printf(x->a,
                               "{\"rope_type\": \"yarn\", \"factor\": %s, \"beta_fast\": %s, "
                               "\"beta_slow\": %s, \"original_max_position_embeddings\": %d%s%s%s}",
                               factor, fast ? fast : "32", slow ? slow : "1", original, mscales,
                               truncate ? ", \"truncate\": " : "",
                               truncate ? gguf_row_text(x, truncate) : ""));
    return true;
}

/* A tensor of longrope's factors as a list; null: it is none. */
static const char *factor_list(gguf *x, const char *name) {
    attn_gguf_tensor t;
    buf b = buf_new(x->a);
    if (!attn_gguf_find_tensor(&x->file, name, &t)) {
        gguf_fail(x, name, "is missing: longrope has two sets of factors");
        return NULL;
    }
    if (t.type != ATTN_WEIGHT_F32 || t.rank != 1 || t.dim[0] > 4096) {
        gguf_fail(x, name, "must be f32, of one dimension");
        return NULL;
    }
    for (int64_t i = 0; i < t.dim[0]; i++) {
        float factor;
        memcpy(&factor, (const char *)t.data + 4 * i, sizeof factor);
        if (!(factor > 0 && factor < 1e30f)) {
            gguf_fail(x, name, "[%d] is %.9g: must be greater than 0", (int)i, (double)factor);
            return NULL;
        }
        buf_printf(&b, "%s%.9g", i ? ", " : "", (double)factor);
    }
    return b.data;
}

/* llama.cpp multiplies by attn_factor, which its converter has worked out. */
static bool put_longrope(gguf *x, const char *key) {
    bool ok = true;
    const char *attention = scaling_number(x, "rope.scaling.attn_factor", &ok);
    const char *near = factor_list(x, "rope_factors_short.weight");
    const char *far = near ? factor_list(x, "rope_factors_long.weight") : NULL;
    int32_t longest, original;
    if (!ok || !far || !gguf_read_int(x, "context_length", -1, &longest) ||
        !gguf_read_int(x, "rope.scaling.original_context_length", longest, &original))
        return false;
    gguf_put_from(
        x, key, "rope.scaling.type",
        arena_printf(x->a,
                     "{\"rope_type\": \"longrope\", \"original_max_position_embeddings\": %d, "
                     "\"attention_factor\": %s, \"short_factor\": [%s], \"long_factor\": [%s]}",
                     original, attention ? attention : "1", near, far));
    return true;
}

bool gguf_put_scaling(gguf *x, const char *key) {
    static const char suffix[] = "rope.scaling.type";
    attn_gguf_key k;
    attn_gguf_tensor t;
    attn_gguf_text type = {"linear", 6};
    bool ok = true;
    if (gguf_find(x, suffix, &k) && (k.array || !attn_gguf_string(&x->file, &k, 0, &type)))
        return gguf_fail(x, gguf_full_name(x, suffix), "must be a string");
    const char *factor = scaling_number(x, "rope.scaling.factor", &ok);
    if (!factor) factor = scaling_number(x, "rope.scale_linear", &ok);
    if (!ok) return false;
    if (attn_gguf_find_tensor(&x->file, "rope_factors_long.weight", &t) ||
        attn_gguf_is(type, "longrope")) {
        return put_longrope(x, key);
    }
    if (attn_gguf_find_tensor(&x->file, "rope_freqs.weight", &t)) {
        const json_val *high = json_get(x->row, "rope_freqs");
        if (!high) return gguf_fail(x, t.name, "is not understood in files of %s", x->arch);
        return put_llama3(x, key, high->number, &t);
    }
    const bool none = !factor || strtod(factor, NULL) == 0 || strtod(factor, NULL) == 1;
    if (attn_gguf_is(type, "none") || none) {
        gguf_put_from(x, key, suffix, "null");
        return true;
    }
    if (attn_gguf_is(type, "yarn")) return put_yarn(x, key, factor);
    if (!attn_gguf_is(type, "linear"))
        return gguf_fail(
            x, gguf_full_name(x, suffix), "'%s' is not known: none, linear, yarn, longrope",
            text_shown_n(x->a, type.data, type.length > 80 ? 80 : (size_t)type.length));
    gguf_put_from(x, key, suffix,
                  arena_printf(x->a, "{\"rope_type\": \"linear\", \"factor\": %s}", factor));
    return true;
}
