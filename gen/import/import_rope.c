/* import_rope.c - both spellings of a config's rotary positions: rope_theta and rope_scaling, or
 * rope_parameters (for all layers, or one a kind of layer). */
#include "import_internal.h"

#include <math.h>
#include <string.h>

typedef struct rope {
    const json_val *base;
    const json_val *params; /* null: no scaling */
    const char *kind;       /* rope_type; "default" where none is given */
    const json_val *kind_at;
    const json_val *alpha; /* hunyuan's: stretches the base; null: none */
} rope;

static const json_val *given(const json_val *object, const char *name) {
    const json_val *v = json_get(object, name);
    return v && v->kind != JSON_NULL ? v : NULL;
}

/* rope_parameters as gemma3 has it: one object a kind of layer. */
static bool nested(hf *h, const json_val *params, bool sliding, const json_val **out) {
    for (int i = 0; i < params->count; i++)
        if (strcmp(params->item[i].name, "full_attention") &&
            strcmp(params->item[i].name, "sliding_attention"))
            return hf_fail(h, &params->item[i],
                           "is not understood: here stand full_attention and sliding_attention, "
                           "each with its own rope_type and rope_theta");
    *out = given(params, sliding ? "sliding_attention" : "full_attention");
    return true;
}

/* rope_type, or type, its older name; null: neither is given. */
static const json_val *kind_value(const json_val *object) {
    const json_val *v = given(object, "rope_type");
    return v ? v : given(object, "type");
}

static const char *kind_of(const json_val *object) {
    const json_val *v = kind_value(object);
    return !v ? "default" : v->kind == JSON_STRING ? v->string : "";
}

static const char *kind_words(hf *h, const json_val *object) {
    const json_val *v = kind_value(object);
    return v ? hf_quote(h, v) : "'default'";
}

static bool same_or_null(const json_val *x, const json_val *y) {
    const bool none = !x || hf_is_null(x), other_none = !y || hf_is_null(y);
    return none || other_none ? none && other_none : json_same(x, y);
}

/* Whether each kind of layer, sliding and full, has a rope of its own. */
static bool per_kind(const hf *h) {
    return hf_row_says(h, "rope_per_kind");
}

static const char *base_key(const hf *h, bool sliding) {
    static const char *const local[] = {"rope_local_base_freq", "local_rope_theta"};
    static const char *const usual[] = {"rotary_emb_base", "global_rope_theta"};
    for (int i = 0; i < 2; i++)
        if (sliding && per_kind(h) && hf_has(h, local[i])) return local[i];
    for (int i = 0; i < 2; i++)
        if (hf_has(h, usual[i])) return usual[i];
    return "rope_theta";
}

/* The key that says how much of a head is rotated; null: all of it. */
static const char *part_key(const hf *h) {
    if (hf_has(h, "rotary_pct")) return "rotary_pct";
    return hf_has(h, "partial_rotary_factor") ? "partial_rotary_factor" : NULL;
}

/* Whether a parameter of one spelling is what the other one says, with the keys beside it. */
static bool says_same(const hf *h, const json_val *v, const json_val *other) {
    const json_val *means = json_get(other, v->name);
    const bool theta = !strcmp(v->name, "rope_theta");
    const bool part = !strcmp(v->name, "partial_rotary_factor");
    /* gemma3: its own check, since each kind of layer has a base */
    if (theta && per_kind(h)) return true;
    if (!means && theta) means = hf_get(h, base_key(h, false));
    if (!means && part && part_key(h)) means = hf_get(h, part_key(h));
    if (!means && part && v->kind == JSON_NUMBER && v->number == 1) return true;
    return same_or_null(v, means);
}

/* Both spellings in one file: releases differ in which of them they read. */
static bool check_both(hf *h, const json_val *params, const json_val *scaling) {
    if (strcmp(kind_of(params), kind_of(scaling)))
        return hf_fail(h, params, "and %s contradict each other: %s and %s", scaling->path,
                       kind_words(h, params), kind_words(h, scaling));
    const json_val *side[] = {params, scaling};
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < side[s]->count; i++) {
            const json_val *v = &side[s]->item[i];
            const bool is_kind = !strcmp(v->name, "rope_type") || !strcmp(v->name, "type");
            if (!is_kind && !says_same(h, v, side[!s]))
                return hf_fail(h, v, "is %s, and %s says otherwise: let them agree", hf_quote(h, v),
                               side[!s]->path);
        }
    return true;
}

static bool is_nothing(const json_val *v) { /* {} is no true value of Python */
    return hf_is_null(v) || (v->kind == JSON_OBJECT && v->count == 0);
}

static bool check_object(hf *h, const json_val *v) {
    return v->kind == JSON_OBJECT || hf_fail(h, v, "must be an object, got %s", hf_quote(h, v));
}

static bool from_parameters(hf *h, const json_val *params, const json_val *scaling, bool sliding,
                            rope *r) {
    const bool kinds_differ = per_kind(h);
    const bool both = hf_in_file(h, scaling) && !is_nothing(scaling);
    if (!check_object(h, params) || (both && !check_object(h, scaling))) return false;
    r->params = params;
    if (kinds_differ && !nested(h, params, false, &r->params)) return false;
    if (both && !r->params)
        return hf_fail(h, params, "has no full_attention, which %s would be added to",
                       scaling->path);
    if (both && !check_both(h, r->params, scaling)) return false;
    return !kinds_differ || !sliding || nested(h, params, true, &r->params);
}

/* gemma3 in transformers 5 adds rope_scaling to a rope_type of its own, "default". */
static bool check_own_type(hf *h, const json_val *scaling) {
    const json_val *old = given(scaling, "type");
    if (!per_kind(h) || given(scaling, "rope_type") || !old) return true;
    if (!strcmp(kind_of(scaling), "default")) return true;
    return hf_fail(h, old,
                   "alone scales nothing in transformers 5, and is an error in releases before: "
                   "write rope_type");
}

static bool find_params(hf *h, bool sliding, rope *r) {
    const json_val *params = given(h->in, "rope_parameters");
    const json_val *scaling = hf_get(h, "rope_scaling");
    if (params) return from_parameters(h, params, scaling, sliding, r);
    if (is_nothing(scaling)) {
        if (hf_is_null(json_get(h->keys, "rope_scaling"))) return true;
        return hf_fail(h, scaling,
                       "%s means yarn in some releases of transformers and no scaling in others: "
                       "write out what it is",
                       hf_is_null(scaling) ? "null" : "{}");
    }
    if (!check_object(h, scaling) || !check_own_type(h, scaling)) return false;
    if (!sliding || !per_kind(h)) r->params = scaling;
    return true;
}

static bool find_base(hf *h, bool sliding, rope *r) {
    r->base = hf_get(h, base_key(h, sliding));
    const json_val *inner = given(r->params, "rope_theta");
    if (!inner) return true;
    if (hf_in_file(h, r->base) && !json_same(inner, r->base))
        return hf_fail(h, inner, "says otherwise than %s: give one of them", r->base->path);
    if (r->params == json_get(h->in, "rope_scaling") && !json_same(inner, r->base))
        hf_note(h, inner,
                "is what transformers 5 reads; releases before it read %s beside rope_scaling",
                base_key(h, sliding));
    r->base = inner;
    return true;
}

static bool find_kind(hf *h, rope *r) {
    r->kind = "default";
    const json_val *kind = given(r->params, "rope_type"), *old = given(r->params, "type");
    const bool mrope = old && old->kind == JSON_STRING && !strcmp(old->string, "mrope");
    if (kind && old && !json_same(kind, old) && !(mrope && hf_row_says(h, "mrope")))
        return hf_fail(h, old, "says otherwise than %s: give one of them", kind->path);
    r->kind_at = kind ? kind : old;
    if (!r->kind_at) {
        const json_val *factor = given(r->params, "factor");
        return factor ? hf_fail(h, factor, "needs a rope_type beside it") : true;
    }
    if (r->kind_at->kind != JSON_STRING) return hf_fail(h, r->kind_at, "must be a string");
    r->kind = r->kind_at->string;
    if (!strcmp(r->kind, "su")) r->kind = "longrope";
    if (!strcmp(r->kind, "mrope") && hf_row_says(h, "mrope")) r->kind = "default";
    const json_val *alpha = given(r->params, "alpha");
    r->alpha = alpha && hf_row_says(h, "ntk_alpha") && !strcmp(r->kind, "dynamic") ? alpha : NULL;
    if (r->alpha && alpha->kind == JSON_NUMBER && alpha->number == 0) r->alpha = NULL;
    if (r->alpha) r->kind = "default";
    return true;
}

/* --- The keys of one kind --- */

typedef struct rope_kind {
    const char *name;
    const char *spec;    /* rope_scaling; null: the spec cannot say it */
    const char *why_not; /* then */
    const char *keys;    /* what it reads, beside the common ones; between blanks */
} rope_kind;

static const char common_keys[] = " rope_type type rope_theta partial_rotary_factor ";
static const char all_keys[] =
    " factor original_max_position_embeddings attention_factor beta_fast beta_slow mscale "
    "mscale_all_dim truncate low_freq_factor high_freq_factor finetuned short_factor long_factor ";

static const char longrope_keys[] =
    " factor original_max_position_embeddings attention_factor short_factor long_factor ";

static const rope_kind kinds[] = {
    {"default", "none", NULL, " "},
    {"linear", "linear", NULL, " factor mscale_all_dim "},
    {"llama3", "llama3", NULL,
     " factor original_max_position_embeddings low_freq_factor high_freq_factor "},
    {"yarn", "yarn", NULL,
     " factor original_max_position_embeddings attention_factor beta_fast beta_slow mscale "
     "mscale_all_dim truncate "},
    {"dynamic", NULL,
     "changes the base with the length of the sequence, which a layer cannot; below "
     "max_position_embeddings it equals 'default': write that to have those lengths",
     ""},
    {"longrope", "longrope", NULL, longrope_keys},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static bool listed(const char *list, const char *name) {
    const size_t n = strlen(name);
    for (const char *p = list; (p = strstr(p, name)) != NULL; p += n)
        if (p > list && p[-1] == ' ' && p[n] == ' ') return true;
    return false;
}

/* Where RoPE is the caller's, what cannot be said is no obstacle. */
static bool not_expressible(hf *h, const json_val *at, const char *text) {
    if (!h->core_asked)
        return hf_fail(h, at, "%s (--level core makes the attention alone; RoPE is then yours)",
                       text);
    hf_note(h, at, "%s; RoPE is the caller's at level core", text);
    return true;
}

/* *out: null where the kind is left to the caller. */
static bool known_kind(hf *h, const rope *r, const rope_kind **out) {
    *out = NULL;
    for (int i = 0; i < KINDS; i++) {
        if (strcmp(kinds[i].name, r->kind)) continue;
        if (!kinds[i].spec)
            return not_expressible(h, r->kind_at,
                                   arena_printf(h->a, "'%s' %s", r->kind, kinds[i].why_not));
        const json_val *own = json_get(h->family, "rope_kinds");
        if (own && !listed(own->string, r->kind))
            return not_expressible(
                h, r->kind_at,
                arena_printf(h->a, "'%s' is none of %s's:%s", r->kind, h->model_type, own->string));
        *out = &kinds[i];
        return true;
    }
    return not_expressible(h, r->kind_at,
                           arena_printf(h->a,
                                        "%s is not known: default, linear, llama3, yarn, longrope",
                                        hf_quote(h, r->kind_at)));
}

/* own: keys that the family's class reads beside those of the kind. */
static bool check_keys(hf *h, const rope *r, const rope_kind *kind) {
    const json_val *own = json_get(h->family, "rope_keys");
    for (int i = 0; r->params && i < r->params->count; i++) {
        const json_val *v = &r->params->item[i];
        if (listed(common_keys, v->name) || listed(kind->keys, v->name)) continue;
        if (hf_is_null(v) || (own && listed(own->string, v->name))) continue;
        if (!listed(all_keys, v->name) && !hf_is_off(v))
            return hf_fail(h, v, "is not understood, and may change the positions");
        hf_note(h, v, "is not read where rope_type is %s", r->kind);
    }
    return true;
}

/* --- Into the spec --- */

static bool need(hf *h, const rope *r, const char *name, double *out) {
    const json_val *v = json_get(r->params, name);
    if (!v) return hf_fail(h, r->kind_at, "%s needs %s beside it", r->kind, name);
    return hf_number(h, v, out);
}

static bool optional(hf *h, const rope *r, const char *name, double *out) {
    const json_val *v = given(r->params, name);
    return v ? hf_number(h, v, out) : true;
}

/* transformers 5 has the key at the top before the one beside rope_type, releases before it do not
 * read it there. */
static bool put_original(hf *h, const rope *r, fields *f, int32_t *original) {
    static const char key[] = "original_max_position_embeddings";
    const json_val *v = given(r->params, key), *outer = given(h->in, key);
    if (!v) v = hf_get(h, "max_position_embeddings");
    if (outer && !json_same(outer, v))
        return hf_fail(h, outer,
                       "is %s, and %s is %s: let them agree, or write it beside rope_type",
                       hf_quote(h, outer), hf_name(h, v), hf_quote(h, v));
    if (!hf_int(h, v, 1, INT32_MAX, original)) return false;
    put_int(h, f, "rope_original", *original, v);
    return true;
}

/* Where the longrope was trained: beside rope_type, or at the top; releases read one or the other.
 */
static bool put_trained(hf *h, const rope *r, fields *f, int32_t *original) {
    static const char key[] = "original_max_position_embeddings";
    const json_val *inner = given(r->params, key), *outer = given(h->in, key), *v = inner;
    if (inner && outer && !json_same(inner, outer))
        return hf_fail(h, inner, "is %s, and %s is %s: let them agree", hf_quote(h, inner),
                       hf_name(h, outer), hf_quote(h, outer));
    if (!v) v = outer;
    if (!v) v = hf_get(h, hf_has(h, key) ? key : "max_position_embeddings");
    if (!hf_int(h, v, 2, INT32_MAX, original)) return false;
    put_int(h, f, "rope_original", *original, v);
    return true;
}

/* A list of numbers above 0, one a pair of columns. */
static const json_val *factors_of(hf *h, const rope *r, const char *name, int32_t pairs) {
    const json_val *v = given(r->params, name);
    if (!v || v->kind != JSON_ARRAY || v->count != pairs) {
        hf_fail(h, v ? v : r->kind_at, "%s%smust be a list of %d numbers, one a pair of columns",
                v ? "" : name, v ? "" : " ", pairs);
        return NULL;
    }
    for (int32_t i = 0; i < pairs; i++) {
        double x;
        if (!hf_number(h, &v->item[i], &x)) return NULL;
        if (!(x > 0 && x < 1e30)) {
            hf_fail(h, &v->item[i], "must be greater than 0");
            return NULL;
        }
    }
    return v;
}

/* Factors of the angles are no field: whole models hold them, layers take them as a weight. */
static bool put_longrope(hf *h, const rope *r, int32_t width, fields *f) {
    int32_t original, longest;
    double factor = 1, attention = 0;
    if (per_kind(h))
        return hf_fail(h, r->kind_at,
                       "is not understood where each kind of layer has its own rope");
    h->rope_short = factors_of(h, r, "short_factor", width / 2);
    h->rope_long = h->rope_short ? factors_of(h, r, "long_factor", width / 2) : NULL;
    const json_val *longest_at = hf_get(h, "max_position_embeddings");
    const json_val *factor_at = given(r->params, "factor");
    if (!h->rope_long || !put_trained(h, r, f, &original) ||
        !hf_int(h, longest_at, 1, INT32_MAX, &longest) || !optional(h, r, "factor", &factor) ||
        !optional(h, r, "attention_factor", &attention))
        return false;
    if (!factor_at) factor = (double)longest / original;
    put_float(h, f, "rope_factor", factor > 1 ? factor : 1, factor_at ? factor_at : longest_at);
    if (attention != 0)
        put_float(h, f, "rope_mscale", attention, given(r->params, "attention_factor"));
    return true;
}

static double yarn_mscale(double factor, double mscale) {
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

static bool put_llama3(hf *h, const rope *r, fields *f) {
    double low, high;
    int32_t original;
    if (!need(h, r, "low_freq_factor", &low) || !need(h, r, "high_freq_factor", &high))
        return false;
    put_value(h, f, "rope_low", json_get(r->params, "low_freq_factor"));
    put_value(h, f, "rope_high", json_get(r->params, "high_freq_factor"));
    return put_original(h, r, f, &original);
}

static bool put_yarn(hf *h, const rope *r, double factor, fields *f) {
    double fast = 32, slow = 1, mscale = 0, all = 0, attention = yarn_mscale(factor, 1);
    if (!optional(h, r, "beta_fast", &fast) || !optional(h, r, "beta_slow", &slow) ||
        !optional(h, r, "mscale", &mscale) || !optional(h, r, "mscale_all_dim", &all))
        return false;
    if (mscale != 0 && all != 0) attention = yarn_mscale(factor, mscale) / yarn_mscale(factor, all);
    if (!optional(h, r, "attention_factor", &attention)) return false;
    const json_val *fast_at = given(r->params, "beta_fast"),
                   *slow_at = given(r->params, "beta_slow");
    /* 0 reads as not given */
    put_float(h, f, "rope_high", fast != 0 ? fast : 32, fast_at ? fast_at : r->kind_at);
    put_float(h, f, "rope_low", slow != 0 ? slow : 1, slow_at ? slow_at : r->kind_at);
    put_float(h, f, "rope_mscale", attention, r->kind_at);
    const json_val *truncate = json_get(r->params, "truncate");
    bool whole = true;
    if (truncate && hf_is_null(truncate))
        whole = false; /* None is no true value of Python */
    else if (truncate && !hf_bool(h, truncate, &whole))
        return false;
    if (!whole && per_kind(h))
        return hf_fail(h, truncate,
                       "is %s, which transformers 5 does not read where each kind of layer has its "
                       "own rope",
                       hf_quote(h, truncate));
    if (!whole) put_bool(h, f, "rope_truncate", false, truncate);
    return true;
}

/* yarn's factor may be left to the ratio of the lengths. */
static bool read_factor(hf *h, const rope *r, fields *f, double *factor) {
    const json_val *v = json_get(r->params, "factor");
    if (!v || !hf_is_null(v) || strcmp(r->kind, "yarn")) {
        if (!need(h, r, "factor", factor)) return false;
        put_value(h, f, "rope_factor", v);
        return true;
    }
    int32_t original, longest;
    if (!put_original(h, r, f, &original) ||
        !hf_int(h, hf_get(h, "max_position_embeddings"), 1, INT32_MAX, &longest))
        return false;
    *factor = (double)longest / original;
    put_float(h, f, "rope_factor", *factor, v);
    return true;
}

static bool put_scaling(hf *h, const rope *r, const rope_kind *kind, int32_t width, fields *f,
                        double *mscale2) {
    *mscale2 = 1;
    if (!strcmp(kind->spec, "none")) return true;
    put_text(h, f, "rope_scaling", kind->spec, r->kind_at);
    if (!strcmp(kind->spec, "longrope")) return put_longrope(h, r, width, f);
    double factor, all = 0;
    if (!read_factor(h, r, f, &factor)) return false;
    if (!optional(h, r, "mscale_all_dim", &all)) return false;
    if (all != 0) *mscale2 = yarn_mscale(factor, all) * yarn_mscale(factor, all);
    if (!strcmp(kind->spec, "llama3")) return put_llama3(h, r, f);
    if (strcmp(kind->spec, "yarn")) return true;
    int32_t original;
    return put_original(h, r, f, &original) && put_yarn(h, r, factor, f);
}

/* rotary_dim says how many columns are rotated; a factor beside it says the same. */
static bool find_columns(hf *h, int32_t head_dim, const json_val *factor, int32_t *width,
                         const json_val **at) {
    double part;
    *at = hf_get(h, "rotary_dim");
    if (!hf_int(h, *at, 0, head_dim, width)) return false;
    if (!factor) return true;
    if (!hf_number(h, factor, &part)) return false;
    return (int32_t)(head_dim * part) == *width ||
           hf_fail(h, factor, "says otherwise than rotary_dim: let them agree");
}

/* How much of a head is rotated, and the key that says so; null: all of it. */
static bool find_width(hf *h, const rope *r, int32_t head_dim, int32_t *width,
                       const json_val **at) {
    const char *key = part_key(h);
    *width = head_dim;
    *at = given(r->params, "partial_rotary_factor");
    if (!*at && key) *at = hf_get(h, key);
    if (*at && hf_is_null(*at)) *at = NULL;
    if (hf_has(h, "rotary_dim") && !hf_is_null(hf_get(h, "rotary_dim")))
        return find_columns(h, head_dim, *at, width, at);
    if (!*at) return true;
    double part;
    if (!hf_number(h, *at, &part)) return false;
    if (!(part >= 0 && part <= 1)) return hf_fail(h, *at, "must be from 0 to 1");
    if (!key && part != 1)
        return hf_fail(h, *at, "is not understood: %s rotates whole heads", h->model_type);
    *width = (int32_t)(head_dim * part);
    return true;
}

/* NTK by a number of the file's, at all lengths. */
static bool put_stretched(hf *h, const rope *r, double base, int32_t width, fields *f) {
    double alpha;
    if (!hf_number(h, r->alpha, &alpha)) return false;
    if (!(alpha > 0) || width < 4)
        return hf_fail(h, r->alpha, "must be greater than 0, and needs heads of 4 columns");
    put_float(h, f, "rope_base", base * pow(alpha, (double)width / (width - 2)), r->alpha);
    return true;
}

bool import_rope(hf *h, bool sliding, int32_t head_dim, const json_val *width_at, fields *f,
                 double *mscale2) {
    rope r = {0};
    *mscale2 = 1;
    if (!hf_has(h, "rope_scaling")) return true;
    if (!find_params(h, sliding, &r) || !find_base(h, sliding, &r) || !find_kind(h, &r))
        return false;
    const rope_kind *kind;
    if (!known_kind(h, &r, &kind)) return false;
    if (!kind) return true; /* the caller's */
    int32_t width;
    const json_val *part_at;
    double base;
    if (!check_keys(h, &r, kind) || !find_width(h, &r, head_dim, &width, &part_at) ||
        !hf_number(h, r.base, &base))
        return false;
    if (part_at) width_at = part_at;
    /* Its model has angles base^(-2i / width) of one pair more than it has columns for; odd_rope:
     * and rotates the next column with them. */
    const bool stretched = hf_row_says(h, "odd_rope") && !strcmp(kind->spec, "none");
    const bool odd = width % 2 && stretched && width < head_dim;
    if (odd) width++;
    if (width % 2)
        return not_expressible(h, width_at,
                               arena_printf(h->a,
                                            "rotates %d columns of %d, an odd number, whose angles "
                                            "the spec cannot say",
                                            width, head_dim));
    if (width == 0) {
        put_text(h, f, "rope", "none", width_at);
        return true;
    }
    if (width != head_dim) put_int(h, f, "rope_dim", width, width_at);
    put_value(h, f, "rope_base", r.base);
    if (odd) put_float(h, f, "rope_base", pow(base, (double)width / (width - 1)), r.base);
    if (r.alpha && !put_stretched(h, &r, base, width, f)) return false;
    return put_scaling(h, &r, kind, width, f, mscale2);
}
