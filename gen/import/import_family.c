/* import_family.c - which family a config is of: its row in hf_families.json. */
#include "import_internal.h"

#include "embedded.h"

#include <string.h>

const json_val *import_table(arena *a) {
    diag d = {0};
    return json_read(a, "gen/import/hf_families.json", embedded_find("gen/import/hf_families.json"),
                     NULL, &d);
}

static const char *const *family_names(arena *a, const json_val *t) {
    const json_val *rows[] = {json_get(t, "families"), json_get(t, "wrappers")};
    const int count = rows[0]->count + rows[1]->count;
    const char **names = arena_alloc(a, ((size_t)count + 1) * sizeof *names);
    for (int i = 0, n = 0; i < 2; i++)
        for (int k = 0; k < rows[i]->count; k++) names[n++] = rows[i]->item[k].name;
    return names;
}

const char *import_hf_families(arena *a) {
    const char *const *names = family_names(a, import_table(a));
    buf b = buf_new(a);
    for (int i = 0; names[i]; i++) buf_printf(&b, "%s%s", i ? ", " : "", names[i]);
    return b.data;
}

/* A row, with what it has of the row that it is like; null: none of this name. */
static const json_val *row_of(arena *a, const json_val *rows, const char *name) {
    const json_val *row = json_get(rows, name), *like = json_get(row, "like");
    return like ? json_over(a, row_of(a, rows, like->string), row) : row;
}

/* The part of a wrapper's file that describes the text model, whatever it is called there. */
static const json_val *inner_config(const json_val *top) {
    static const char *const names[] = {
        "text_config", "llm_config", "language_config", "language_model_config", "thinker_config",
        "decoder",     NULL};
    for (int i = 0; names[i]; i++) {
        const json_val *v = json_get(top, names[i]);
        if (!v || v->kind != JSON_OBJECT) continue;
        const json_val *deeper = inner_config(v);
        return deeper ? deeper : v;
    }
    return NULL;
}

/* --- Types that are not known --- */

/* What to do about one. */
static const char *advice(hf *h, const json_val *at) {
    static const char write_one[] = "describe its layers in a model file, .lua (attn-gen models "
                                    "lists ready-made ones)";
    const json_val *inner = inner_config(h->in), *type = json_get(inner, "model_type");
    const bool says = type && type->kind == JSON_STRING;
    const char *const *names = family_names(h->a, h->table);
    for (int i = 0; names[i]; i++)
        if (hf_same_word(names[i], at->string))
            return arena_printf(h->a, "write it as '%s'", names[i]);
    if (says && json_get(json_get(h->table, "families"), type->string))
        return arena_printf(h->a, "its %s is of type %s: save that as a file of its own",
                            inner->path, hf_quote(h, type));
    if (says)
        return arena_printf(h->a, "nor is %s, the type of its %s; %s", hf_quote(h, type),
                            inner->path, write_one);
    return arena_printf(h->a,
                        "if its layers are those of a family that is known, write that as its "
                        "model_type; else %s",
                        write_one);
}

static bool unknown_type(hf *h, const json_val *at) {
    const json_val *why = json_get(json_get(h->table, "out_of_reach"), at->string);
    if (why) return hf_fail(h, at, "%s is out of reach: %s", hf_quote(h, at), why->string);
    buf b = buf_new(h->a);
    suggest(&b, at->string, family_names(h->a, h->table));
    return hf_fail(h, at, "%s is not known%s; %s; attn-gen generate --help lists the types",
                   hf_quote(h, at), b.data, advice(h, at));
}

/* --- Wrappers --- */

static bool type_of(hf *h, const json_val *object, const json_val **type) {
    *type = json_get(object, "model_type");
    if (*type && (*type)->kind != JSON_STRING)
        return hf_fail(h, *type, "must be a string, got %s", hf_quote(h, *type));
    if (*type) h->model_type = (*type)->string;
    return true;
}

/* The family whose layers a class makes that has the text model's keys at the top; null: none. */
static const json_val *flat_type(const hf *h, const json_val *wrapper) {
    const json_val *classes = json_get(h->in, "architectures"), *flat = json_get(wrapper, "flat");
    if (flat && flat->kind == JSON_STRING) return flat;
    if (!classes || classes->kind != JSON_ARRAY || !classes->count) return NULL;
    const json_val *first = &classes->item[0];
    return first->kind == JSON_STRING ? json_get(flat, first->string) : NULL;
}

/* The text model inside a wrapper's file, or at its top. */
static bool unwrap(hf *h, const json_val *wrapper, const json_val **type) {
    const json_val *own = json_get(wrapper, "key"), *note = json_get(wrapper, "note");
    const char *key = own ? own->string : "text_config";
    const json_val *inner = json_get(h->in, key), *flat = flat_type(h, wrapper);
    if (inner && inner->kind == JSON_OBJECT) flat = NULL;
    if (!flat && (!inner || inner->kind != JSON_OBJECT))
        return hf_fail(h, inner ? inner : *type, "%s needs an object %s", h->model_type, key);
    if (note) hf_note(h, *type, "%s", note->string);
    if (flat) {
        h->model_type = flat->string;
        return true;
    }
    h->in = inner;
    h->model_type = json_get(wrapper, "text")->string;
    return type_of(h, inner, type);
}

bool import_find_family(hf *h) {
    const json_val *type;
    if (!type_of(h, h->in, &type)) return false;
    if (!type)
        return hf_fail(h, h->in,
                       "model_type is required: which family the model is of "
                       "(attn-gen generate --help lists them)");
    const json_val *wrapper = json_get(json_get(h->table, "wrappers"), type->string);
    if (wrapper && !unwrap(h, wrapper, &type)) return false;
    h->family = row_of(h->a, json_get(h->table, "families"), h->model_type);
    if (!h->family) return unknown_type(h, type);
    h->class = json_get(wrapper ? wrapper : h->family, "class")->string;
    h->keys = json_less(h->a, json_get(h->family, "keys"), json_get(h->family, "without"));
    return true;
}
