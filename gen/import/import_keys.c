/* import_keys.c - keys of a config that the family's class does not read: what changes nothing,
 * what says no more than the layers do, and what is an error; and code that is not the class's. */
#include "import_internal.h"

#include "op.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool in_list(const json_val *list, const char *name) {
    for (int i = 0; list && i < list->count; i++)
        if (!strcmp(list->item[i].string, name)) return true;
    return false;
}

/* Whether a name has one of the words in it, in whatever letters. */
static bool says(const hf *h, const char *name, const char *words) {
    char *low = arena_strdup(h->a, name);
    for (char *p = low; *p; p++) *p = (char)tolower((unsigned char)*p);
    const json_val *list = json_get(h->table, words);
    for (int i = 0; i < list->count; i++)
        if (strstr(low, list->item[i].string)) return true;
    return false;
}

/* By its name: whether it is about the attention (or, at level block, about the layer around it).
 */
static bool is_telling(const hf *h, const char *name) {
    if (says(h, name, "harmless")) return false;
    return says(h, name, "attention") || (h->block && says(h, name, "around"));
}

/* What the code of the importer asks for by itself, beside the row's keys. */
static bool is_asked(const hf *h, const char *name) {
    static const char *const asked[] = {"architectures", "auto_map", "is_causal", NULL};
    for (int i = 0; asked[i]; i++)
        if (!strcmp(asked[i], name)) return true;
    return hf_has(h, "rope_scaling") && !strcmp(name, "original_max_position_embeddings");
}

/* The key that a family's second name or echo stands for. */
static const char *stands_for(const hf *h, const char *name) {
    const json_val *same = json_get(json_get(h->family, "alias"), name);
    if (!same) same = json_get(json_get(h->family, "echo"), name);
    return same ? same->string : NULL;
}

static bool is_read(const hf *h, const char *name) {
    return hf_has(h, name) || in_list(json_get(h->family, "other"), name) ||
           in_list(json_get(h->table, "common"), name) || is_asked(h, name);
}

static bool refuse(hf *h, const json_val *v, const char *why) {
    return hf_fail(h, v,
                   "is not understood: %s's class has no such key, and %s; remove it if the model "
                   "does without it",
                   h->model_type, why);
}

static bool refuse_by_name(hf *h, const json_val *v) {
    return refuse(h, v,
                  says(h, v->name, "attention") ? "by its name it changes the attention"
                                                : "by its name it changes the layer");
}

/* --- Before the layers are made --- */

/* gpt_neox's rope_theta is rotary_emb_base, and both may stand in rope_parameters. */
static const json_val *inside_rope(const hf *h, const char *name, const char *key) {
    static const char *const inner[] = {"rope_theta", "partial_rotary_factor", NULL};
    const json_val *v = NULL;
    for (int i = 0; inner[i]; i++)
        if (!strcmp(inner[i], name)) v = json_get(json_get(h->in, "rope_parameters"), name);
    return v && !hf_is_null(v) ? v : hf_get(h, key);
}

static bool check_echo(hf *h, const json_val *v, const char *key) {
    const json_val *means = inside_rope(h, v->name, key);
    if (json_same(v, means) || hf_is_null(v)) return true;
    return hf_fail(h, v, "is %s, and %s, which %s's class reads, is %s%s: let them agree",
                   hf_quote(h, v), key, h->model_type, hf_quote(h, means),
                   hf_in_file(h, means) ? "" : " by default");
}

static bool is_neutral(const hf *h, const json_val *v) {
    const json_val *values = json_get(json_get(h->table, "neutral"), v->name);
    for (int i = 0; values && i < values->count; i++)
        if (json_same(v, &values->item[i])) return true;
    return false;
}

/* Keys of experts, where the file says that there are none. */
static bool is_of_no_expert(const hf *h, const char *name) {
    static const char *const counts[] = {"num_experts", "num_local_experts", "n_routed_experts",
                                         "moe_num_experts", NULL};
    for (int i = 0; counts[i]; i++) {
        const json_val *v = json_get(h->in, counts[i]);
        if (v && (hf_is_off(v) || is_neutral(h, v))) return says(h, name, "experts");
    }
    return false;
}

/* Keys of windows are held against the layers, as what fields say is. */
static bool is_window(const char *name) {
    return strstr(name, "window") || strstr(name, "sliding") || !strcmp(name, "layer_types");
}

static bool is_stated(const hf *h, const char *name) {
    return json_get(json_get(h->table, "states"), name) || is_window(name);
}

/* Another class's name alone, where the family's class would take its default instead. */
static bool check_instead(hf *h, const json_val *v) {
    static const char *const roles[] = {"heads", "layers", "d_model", "ffn_dim"};
    const json_val *row = json_get(json_get(h->table, "states"), v->name);
    for (int i = 0; row && i < 4; i++) {
        const char *key = hf_key(h, roles[i]);
        if (strcmp(row->string, roles[i]) || !hf_has(h, key)) continue;
        const json_val *means = hf_get(h, key);
        if (!hf_in_file(h, means) && !json_same(v, means))
            return hf_fail(h, v, "is not read by %s's class: write it as %s", h->model_type, key);
    }
    return true;
}

static bool check_unread(hf *h, const json_val *v) {
    const json_val *row = json_get(json_get(h->family, "ignored"), v->name);
    if (hf_is_null(v)) return true;
    if (!check_instead(h, v)) return false;
    if (row && !hf_is_null(row) && !json_same(row, v))
        return hf_fail(h, v, "%s is not what %s's class does without reading it: %s",
                       hf_quote(h, v), h->model_type, hf_quote(h, row));
    if (row || is_neutral(h, v) || is_stated(h, v->name) || is_of_no_expert(h, v->name))
        return true;
    return hf_is_off(v) || !is_telling(h, v->name) || refuse_by_name(h, v);
}

bool import_check_keys(hf *h) {
    buf unread = buf_new(h->a);
    const size_t inner = strlen(h->in->path) + (*h->in->path != 0);
    for (int i = 0; i < h->in->count; i++) {
        const json_val *v = &h->in->item[i];
        const char *key = stands_for(h, v->name);
        if (key && !check_echo(h, v, key)) return false;
        if (key || is_read(h, v->name)) continue;
        if (!check_unread(h, v)) return false;
        buf_printf(&unread, "%s %s", unread.len ? "," : "", v->path + inner);
    }
    if (unread.len)
        buf_printf(&h->notes, "%s: keys that %s's class does not read either:%s\n", h->path,
                   h->model_type, unread.data);
    return true;
}

/* --- After it: what such keys say about the layers --- */

static const attn_spec *layer_spec(const hf *h, int layer) {
    return &h->out->kernels[h->out->layer_kernel[layer]].core;
}

/* A field of a layer, as JSON has it; false: the layer has none of it. */
static bool field_value(hf *h, const attn_spec *s, const attn_field *f, json_val *out) {
    if (!attn_field_applies(f, s, NULL)) return false;
    char text[ATTN_FIELD_TEXT_MAX];
    if (!attn_field_text(f, s, text)) return false;
    *out = (json_val){.kind = JSON_NUMBER, .path = ""};
    if (f->kind == ATTN_KIND_ENUM || f->kind == ATTN_KIND_TYPES) {
        out->kind = JSON_STRING;
        out->string = arena_strdup(h->a, text);
    } else if (f->kind == ATTN_KIND_BOOL) {
        out->kind = JSON_BOOL;
        out->boolean = attn_field_get(f, s) != 0;
    } else {
        out->number = strtod(text, NULL);
    }
    return true;
}

static bool agrees(const json_val *said, const json_val *field) {
    if (said->kind != field->kind) return false;
    if (said->kind == JSON_STRING) return hf_same_word(said->string, field->string);
    /* the spec's numbers are of single precision */
    if (said->kind == JSON_NUMBER)
        return fabs(said->number - field->number) <= 1e-6 * fabs(field->number);
    return said->boolean == field->boolean;
}

/* What a row of "states" says about a key: F, !F, F=V or !F=V, or how many layers there are. */
typedef struct stated {
    const attn_field *field; /* null: the layers */
    const char *value;       /* of an enum; null: the field's own */
    bool opposite, inverse_square;
} stated;

static bool find_stated(hf *h, const char *name, stated *out) {
    const json_val *row = json_get(json_get(h->table, "states"), name);
    if (!row) return false;
    out->opposite = *row->string == '!';
    const char *text = row->string + out->opposite;
    const size_t n = strcspn(text, "=");
    out->inverse_square = !strcmp(text + n, "=^-1/2");
    out->value = text[n] && !out->inverse_square ? text + n + 1 : NULL;
    out->field = attn_field_find(arena_strndup(h->a, text, n));
    return true;
}

/* Layers without RoPE have no kind of it. */
static bool says_nothing(const stated *st, const json_val *field) {
    return st->value && strcmp(st->value, "none") && !strcmp(st->field->name, "rope") &&
           !strcmp(field->string, "none");
}

static const char *field_words(hf *h, const stated *st, const json_val *field) {
    return arena_printf(h->a, "its layers have %s = %s", st->field->name, hf_quote(h, field));
}

/* That windows are in use is true where one layer has one; all else holds of every layer. */
static bool check_field(hf *h, const json_val *v, const stated *st) {
    const bool any = !strcmp(st->field->name, "op");
    bool found = false, met = false;
    json_val field = {0};
    for (int i = 0; i < h->out->layer_count; i++) {
        if (!field_value(h, layer_spec(h, i), st->field, &field) || says_nothing(st, &field))
            continue;
        json_val is = field;
        if (st->value)
            is = (json_val){.kind = JSON_BOOL, .boolean = !strcmp(field.string, st->value)};
        if (st->opposite) is.boolean = !is.boolean;
        if (st->inverse_square) is.number = 1 / (is.number * is.number);
        found = true;
        if (any && v->kind == JSON_BOOL) {
            met = met || is.boolean;
            continue;
        }
        if (!agrees(v, &is)) return refuse(h, v, field_words(h, st, &field));
    }
    if (any && v->kind == JSON_BOOL && met != v->boolean)
        return refuse(h, v, met ? "its layers have windows" : "its layers have no windows");
    const bool callers = !h->block && (st->field->applies & ATTN_IN_BLOCK);
    return found || callers || hf_is_off(v) || !is_telling(h, v->name) || refuse_by_name(h, v);
}

static bool check_count(hf *h, const json_val *v) {
    const char *key = hf_key(h, "layers");
    return !hf_has(h, key) || check_echo(h, v, key);
}

static bool slides(const hf *h, int layer) {
    return attn_op_of(layer_spec(h, layer))->fields & ATTN_IN_SLIDING;
}

/* The file says that there are no windows, or the key says something only where there are.
 * is_switch: the key says by itself whether there are. */
static bool window_is_void(const hf *h, const json_val *v, bool is_switch) {
    for (int i = 0; i < h->out->layer_count; i++)
        if (slides(h, i)) return false;
    const json_val *used = json_get(h->in, "use_sliding_window");
    const json_val *window = json_get(h->in, "sliding_window");
    if (window && hf_is_off(window)) return true;
    return !is_switch && ((used && hf_is_off(used)) || !strcmp(v->name, "max_window_layers") ||
                          strstr(v->name, "window_pattern"));
}

static bool types_agree(const hf *h, const json_val *v) {
    if (v->kind != JSON_ARRAY || v->count != h->out->layer_count) return false;
    for (int i = 0; i < v->count; i++) {
        const char *type = slides(h, i) ? "sliding_attention" : "full_attention";
        if (v->item[i].kind != JSON_STRING || strcmp(v->item[i].string, type)) return false;
    }
    return true;
}

/* The window of every layer that slides; a config's counts the token itself. */
static bool width_agrees(const hf *h, const json_val *v) {
    bool any = false;
    if (v->kind != JSON_NUMBER || strstr(v->name, "layer") || strstr(v->name, "pattern"))
        return false;
    for (int i = 0; i < h->out->layer_count; i++) {
        if (!slides(h, i)) continue;
        any = true;
        if (layer_spec(h, i)->window + (h->causal ? 1 : 0) != v->number) return false;
    }
    return any;
}

static bool check_window(hf *h, const json_val *v) {
    if (hf_is_off(v)) return true;
    const bool agree = strcmp(v->name, "layer_types") ? width_agrees(h, v) : types_agree(h, v);
    return agree || !is_telling(h, v->name) || refuse_by_name(h, v);
}

bool import_check_stated(hf *h) {
    for (int i = 0; i < h->in->count; i++) {
        const json_val *v = &h->in->item[i];
        stated st;
        if (hf_is_null(v) || stands_for(h, v->name) || is_read(h, v->name) ||
            json_get(json_get(h->family, "ignored"), v->name) || is_neutral(h, v))
            continue;
        const bool stated = find_stated(h, v->name, &st);
        if (is_window(v->name) && window_is_void(h, v, stated)) continue;
        if (stated && !(st.field ? check_field(h, v, &st) : check_count(h, v))) return false;
        if (!stated && is_window(v->name) && !check_window(h, v)) return false;
    }
    return true;
}

/* --- Code of the file's own --- */

/* LlamaForCausalLM is transformers', LlamaEncoderModel is not. */
static bool is_own_class(const hf *h, const char *class, const char *name) {
    const size_t n = strlen(class);
    return strncmp(name, class, n) || !in_list(json_get(h->table, "class_ends"), name + n);
}

/* "module.Class", or a list that begins with it; null: neither. */
static const json_val *class_name(const json_val *v) {
    if (v->kind == JSON_ARRAY && v->count) v = &v->item[0];
    return v->kind == JSON_STRING ? v : NULL;
}

/* The class of its own that makes the layers, if the map names one. */
static const json_val *mapped_model(const json_val *map) {
    const json_val *found = NULL;
    for (int i = 0; map && map->kind == JSON_OBJECT && i < map->count; i++) {
        const json_val *v = &map->item[i], *class = class_name(v);
        if (class && !strncmp(v->name, "AutoModel", 9)) return class;
        if (class && !strcmp(v->name, "AutoConfig")) found = class;
    }
    return found;
}

static void note_classes(hf *h, const json_val *list, const char *class, const char *type) {
    for (int i = 0; list && list->kind == JSON_ARRAY && i < list->count; i++) {
        const json_val *v = &list->item[i];
        if (v->kind == JSON_STRING && is_own_class(h, class, v->string))
            hf_note(h, list,
                    "%s is no class of transformers' %s and may do otherwise: the layers here are "
                    "those of %s",
                    hf_quote(h, v), type, h->model_type);
    }
}

static void note_map(hf *h, const json_val *object) {
    const json_val *map = json_get(object, "auto_map"), *code = mapped_model(map);
    if (code)
        hf_note(h, map,
                "%s is code of the model's own and may do otherwise: the layers here are those of "
                "transformers' %s",
                hf_quote(h, code), h->model_type);
}

void import_note_code(hf *h) {
    note_map(h, h->top);
    note_classes(h, json_get(h->top, "architectures"), h->class,
                 json_get(h->top, "model_type")->string);
    if (h->in == h->top) return;
    note_map(h, h->in);
    note_classes(h, json_get(h->in, "architectures"), json_get(h->family, "class")->string,
                 h->model_type);
}
