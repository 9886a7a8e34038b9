/* import_hf.c - a config.json to a model: its name, and the way through the other parts. */
#include "import_internal.h"

#include "text.h"

#include <string.h>

/* Cuts the last part off a path of n characters. */
static const char *cut_part(arena *a, const char *path, size_t *n) {
    while (*n > 0 && path[*n - 1] == '/') --*n;
    const size_t end = *n;
    while (*n > 0 && path[*n - 1] != '/') --*n;
    return arena_strndup(a, path + *n, end - *n);
}

static bool is_commit(const char *name) {
    return strlen(name) == 40 && strspn(name, "0123456789abcdef") == 40;
}

/* A folder of a hub's cache, models--ORGANISATION--NAME/snapshots/COMMIT: NAME. */
static const char *cached_name(arena *a, const char *path, size_t n) {
    if (strcmp(cut_part(a, path, &n), "snapshots")) return NULL;
    const char *repository = cut_part(a, path, &n);
    if (strncmp(repository, "models--", 8)) return NULL;
    for (const char *p = repository; (p = strstr(p, "--")) != NULL;) repository = p += 2;
    return repository;
}

/* A name that the last part of a path makes, without the ends `.json` and `.gguf`; null: none. */
static const char *path_name(arena *a, const char *path, size_t n) {
    const char *name = cut_part(a, path, &n), *cached = cached_name(a, path, n);
    if (cached) name = cached;
    if (ends_with(name, ".json") || ends_with(name, ".gguf"))
        name = arena_strndup(a, name, strlen(name) - 5);
    const bool fit = strlen(name) <= 64 && !is_commit(name) && model_name_is_valid(name);
    return fit ? name : NULL;
}

/* The file's name; of a config.json, its folder's, or what the file says it is. */
static const char *model_name(hf *h) {
    const char *name = path_name(h->a, h->path, strlen(h->path));
    if (name && strcmp(name, "config")) return name;
    const char *slash = strrchr(h->path, '/');
    name = slash ? path_name(h->a, h->path, (size_t)(slash - h->path)) : NULL;
    if (name) return name;
    const json_val *origin = json_get(h->top, "_name_or_path");
    if (origin && origin->kind == JSON_STRING)
        name = path_name(h->a, origin->string, strlen(origin->string));
    return name ? name : h->model_type;
}

static void read_flags(hf *h, const spec_input *flags, int count) {
    const char *level = IMPORT_DEFAULT_LEVEL;
    for (int i = 0; i < count; i++) {
        if (!strcmp(flags[i].field, "backend")) h->backend = &flags[i];
        if (strcmp(flags[i].field, "level")) continue;
        level = flags[i].value->string;
        h->core_asked = !strcmp(level, "core");
    }
    h->block = !strcmp(level, "block");
}

/* What the checkpoint holds is no choice of what layers store. */
static void note_types(hf *h, const spec_input *flags, int count) {
    const json_val *type = json_get(h->top, "torch_dtype");
    if (!type) type = json_get(h->top, "dtype");
    bool halves = type && type->kind == JSON_STRING && strcmp(type->string, "float32") != 0;
    for (int i = 0; i < count; i++) halves = halves && strcmp(flags[i].field, "weight_type") != 0;
    if (h->block && halves)
        hf_note(h, type, "the checkpoint's weights are %s; layers store f32 without --weight-type",
                hf_quote(h, type));
}

/* How is not read: published files have long lists there. */
static void note_quantised(hf *h) {
    const json_val *how = json_get(h->top, "quantization_config");
    if (h->block && how && how->kind == JSON_OBJECT)
        hf_note(
            h, how,
            "the checkpoint is quantised: attn_block_pack takes mxfp4 as gpt_oss has it, but no "
            "fp8, GPTQ or AWQ: give it f32, bf16 or f16, or a GGUF file of the model");
}

bool import_hf_is_config(const char *path) {
    return ends_with(path, ".json");
}

bool import_run(arena *a, const import_source *source, const spec_input *flags, int flag_count,
                model *out, const char **notes, diag *d) {
    hf h = {.a = a, .path = text_shown(a, source->path), .text = source->text, .out = out, .d = d};
    h.names = source->names;
    h.own_fields = source->fields;
    h.layer_fields = source->layers;
    h.notes = buf_new(a);
    h.table = import_table(a);
    h.top = h.in = json_read(a, source->path, h.text, json_get(h.table, "common"), d);
    if (!h.top) return false;
    if (h.top->kind != JSON_OBJECT) return hf_fail(&h, h.top, "must be an object, { .. }");
    read_flags(&h, flags, flag_count);
    if (!import_find_family(&h) || !import_check_only(&h) || !import_check_keys(&h)) return false;
    import_note_code(&h);
    note_types(&h, flags, flag_count);
    note_quantised(&h);
    model_begin(a, model_name_free(a, model_name(&h)), MODEL_MAX_LAYERS, out);
    const bool ok = import_layers(&h) && import_check_stated(&h) && import_whole(&h);
    *notes = h.notes.data;
    return ok;
}

bool model_from_hf(arena *a, const char *path, const char *text, const spec_input *flags,
                   int flag_count, model *out, const char **notes, diag *d) {
    const import_source source = {.path = path, .text = text};
    return import_run(a, &source, flags, flag_count, out, notes, d);
}
