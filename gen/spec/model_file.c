/* model_file.c - a model file's table to a model. */
#include "model.h"
#include "embedded.h"
#include "lua_places.h"
#include "source.h"
#include "text.h"

#include <string.h>

typedef struct reading {
    arena *a;
    const char *path, *source;
    diag *d;
} reading;

/* An error about the key of the model's outer table, or about layers[index]. */
static bool model_error(const reading *r, int index, const char *key, const char *text) {
    const lua_tokens s = lua_tokenize(r->a, r->source);
    lua_span in;
    size_t offset = lua_place_layer(&s, index, &in);
    if (key) offset = lua_place_key(&s, in, key, NULL);
    buf b = buf_new(r->a);
    buf_printf(&b, "%s: ", source_place(r->a, r->path, r->source, offset));
    if (index >= 0) buf_printf(&b, "layers[%d]: ", index + 1);
    buf_puts(&b, text);
    source_show(&b, r->source, offset);
    return diag_set(r->d, "%s", b.data);
}

static const char *stem(arena *a, const char *path) {
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    size_t n = strlen(base);
    if (n > 4 && ends_with(base, ".lua")) n -= 4;
    return arena_strndup(a, base, n);
}

static bool read_name(const reading *r, const lua_val *table, model *out) {
    const lua_val *v = lua_val_get(table, "name");
    if (v && v->kind == LUA_VAL_STRING && model_name_is_valid(v->string)) {
        out->name = v->string;
        return true;
    }
    if (v)
        return model_error(
            r, -1, "name",
            arena_printf(r->a, "name %s, got %s", model_name_rule, value_quoted(r->a, v)));
    out->name = stem(r->a, r->path);
    if (model_name_is_valid(out->name)) {
        out->name = model_name_free(r->a, out->name);
        return true;
    }
    const lua_val got = {.kind = LUA_VAL_STRING, .string = out->name};
    return diag_set(r->d,
                    "%s:1:1: no name is given, and the file's name makes none: a name %s, got %s",
                    r->path, model_name_rule, value_quoted(r->a, &got));
}

static bool check_outer(const reading *r, const lua_val *table) {
    static const char *const allowed[] = {"name", "layers", "model", NULL};
    for (int i = 0; i < table->field_count; i++) {
        const char *key = table->field[i].name;
        if (!key)
            return model_error(r, -1, NULL,
                               "the model must be a table { name = .., layers = { .. } }, not a "
                               "list");
        if (!strcmp(key, "name") || !strcmp(key, "layers") || !strcmp(key, "model")) continue;
        buf b = buf_new(r->a);
        const lua_val got = {.kind = LUA_VAL_STRING, .string = key};
        buf_printf(&b, "unknown key %s", value_quoted(r->a, &got));
        suggest(&b, key, allowed);
        buf_puts(&b, "; allowed: name, layers, model");
        return model_error(r, -1, key, b.data);
    }
    return true;
}

typedef struct input_list {
    spec_input *item;
    int count, cap;
} input_list;

static void add_input(arena *a, input_list *l, const char *field, const lua_val *value,
                      const char *suffix) {
    if (l->count == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 32;
        spec_input *grown = arena_alloc(a, (size_t)l->cap * sizeof *grown);
        if (l->count) memcpy(grown, l->item, (size_t)l->count * sizeof *grown);
        l->item = grown;
    }
    l->item[l->count++] = (spec_input){.field = field, .value = value, .where = suffix};
}

/* One input a field, and one an item of tensor and scalar; where: the path inside the layer. */
static bool collect(const reading *r, int index, const lua_val *layer, input_list *l) {
    if (layer->kind != LUA_VAL_TABLE)
        return model_error(
            r, index, NULL,
            arena_printf(r->a, "must be a table, got %s", value_quoted(r->a, layer)));
    for (int i = 0; i < layer->field_count; i++) {
        const char *key = layer->field[i].name;
        const lua_val *v = layer->field[i].value;
        if (!key) return model_error(r, index, NULL, "holds a value without a key; write key = ..");
        const attn_field *f = attn_field_find(key);
        if (!f) l->count = 0; /* this is what will be refused; there may be very many more */
        bool list = f && f->kind == ATTN_KIND_LIST && v->kind == LUA_VAL_TABLE;
        if (list && v->field_count > KERNEL_MAX_DECLS)
            return model_error(r, index, key,
                               arena_printf(r->a, "%s: at most %d are allowed, got %d", key,
                                            KERNEL_MAX_DECLS, v->field_count));
        if (!list) add_input(r->a, l, key, v, f ? arena_printf(r->a, ".%s", key) : "");
        for (int k = 0; list && k < v->field_count; k++) {
            if (v->field[k].name)
                return model_error(
                    r, index, key,
                    arena_printf(r->a, "%s must be a string or a list of strings", key));
            add_input(r->a, l, key, v->field[k].value, arena_printf(r->a, ".%s[%d]", key, k + 1));
        }
        if (!f) break;
    }
    return true;
}

/* Adds positions to the inputs of a layer that was refused: finding them takes a pass over the
 * text, too much for every layer of every model. */
static const char *place_inputs(const reading *r, int index, input_list *l, size_t *layer_at) {
    const lua_tokens s = lua_tokenize(r->a, r->source);
    lua_span in;
    *layer_at = lua_place_layer(&s, index, &in);
    for (int i = 0; i < l->count; i++) {
        spec_input *x = &l->item[i];
        x->file = r->path;
        x->file_text = r->source;
        x->file_offset = attn_field_find(x->field) ? lua_place_value(&s, in, x->field, x->value)
                                                   : lua_place_key(&s, in, x->field, x->value);
        x->where = arena_printf(r->a, "%s: layers[%d]%s",
                                source_place(r->a, r->path, r->source, x->file_offset), index + 1,
                                x->where);
    }
    return arena_printf(r->a, "%s: layers[%d]", source_place(r->a, r->path, r->source, *layer_at),
                        index + 1);
}

static bool read_layer(const reading *r, int index, const lua_val *layer, kernel_spec *out) {
    input_list l = {0};
    if (!collect(r, index, layer, &l)) return false;
    diag quiet = {0};
    if (kernel_spec_build(r->a, l.item, l.count, "", out, &quiet)) return true;
    size_t layer_at;
    const char *where = place_inputs(r, index, &l, &layer_at);
    kernel_spec_build(r->a, l.item, l.count, where, out, r->d);
    if (strchr(r->d->text, '\n')) return false; /* has its source line */
    buf b = buf_new(r->a);
    buf_puts(&b, r->d->text);
    source_show(&b, r->source, layer_at);
    r->d->set = false;
    return diag_set(r->d, "%s", b.data);
}

static bool read_layers(const reading *r, const lua_val *table, model *out) {
    const lua_val *layers = lua_val_get(table, "layers");
    if (!layers) return model_error(r, -1, "return", "layers is required: a list of tables");
    if (layers->kind != LUA_VAL_TABLE || layers->field_count == 0)
        return model_error(r, -1, "layers", "layers must be a list of at least one table");
    if (layers->field[layers->field_count - 1].name)
        return model_error(r, -1, "layers", "layers must be a list of tables, without keys");
    if (layers->field_count > MODEL_MAX_LAYERS)
        return model_error(r, -1, "layers",
                           arena_printf(r->a, "layers must be at most %d, got %d", MODEL_MAX_LAYERS,
                                        layers->field_count));
    model_begin(r->a, out->name, layers->field_count, out);
    for (int i = 0; i < layers->field_count; i++) {
        kernel_spec k;
        if (!read_layer(r, i, layers->field[i].value, &k)) return false;
        if (!model_add_layer(r->a, out, &k))
            return model_error(r, i, NULL,
                               "it has the name of another layer, whose fields or expressions "
                               "have the same hash: change their wording or a field");
    }
    return true;
}

static bool read_whole(const reading *r, const lua_val *table, model *out) {
    const lua_val *v = lua_val_get(table, "model");
    if (!v) return true;
    if (v->kind != LUA_VAL_TABLE)
        return model_error(r, -1, "model",
                           arena_printf(r->a, "model must be a table { vocab = .. }, got %s",
                                        value_quoted(r->a, v)));
    const char *names[64] = {NULL};
    for (int i = 0; i < whole_field_count && i < 63; i++) names[i] = whole_fields[i].name;
    whole_begin(&out->whole);
    for (int i = 0; i < v->field_count; i++) {
        const char *key = v->field[i].name;
        const whole_field *f = key ? whole_find(key) : NULL;
        buf b = buf_new(r->a);
        if (!f) {
            const lua_val got = {.kind = LUA_VAL_STRING, .string = key ? key : ""};
            buf_printf(&b, "model: %s", key ? "unknown key " : "must have names for its values");
            if (key) buf_puts(&b, value_quoted(r->a, &got));
            if (key) suggest(&b, key, names);
            return model_error(r, -1, "model", b.data);
        }
        const char *why = whole_set(r->a, &out->whole, f, v->field[i].value);
        if (why) return model_error(r, -1, "model", arena_printf(r->a, "model.%s", why));
    }
    out->is_whole = true;
    const char *why = model_whole_why(r->a, out);
    return !why || model_error(r, -1, "model", arena_printf(r->a, "model: %s", why));
}

bool model_from_lua(arena *a, const char *path, const char *source, model *out, diag *d) {
    memset(out, 0, sizeof *out);
    lua_val *table;
    if (!lua_eval_model(a, path, source, embedded_find("gen/lua/prelude.lua"), &table, d))
        return false;
    reading r = {a, path, source, d};
    return check_outer(&r, table) && read_name(&r, table, out) && read_layers(&r, table, out) &&
           read_whole(&r, table, out);
}
