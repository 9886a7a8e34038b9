#include "manifest.h"

#include "disk.h"
#include "embedded.h"
#include "spec/facts.h"
#include "plan/isa.h"
#include "json.h"
#include "text.h"
#include "version.h"

#include <string.h>

enum { MANIFEST_MAX_BYTES = 16 << 20 };

const char *manifest_hash(arena *a, const void *data, size_t size) {
    return arena_printf(a, "%016llx", (unsigned long long)hash64(data, size));
}

/* --- Writing. --- */

static cJSON *kernel_json(arena *a, const product_list *p, int kernel) {
    const kernel_spec *k = &p->model->kernels[kernel];
    const product *products = products_of(p, kernel);
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", k->name);
    json_spec(a, row, k);
    cJSON *list = cJSON_AddArrayToObject(row, "semantics");
    const fact_list facts = facts_of(a, k);
    for (int i = 0; i < facts.count; i++) {
        const fact *f = &facts.fact[i];
        if (f->banner)
            cJSON_AddItemToArray(list,
                                 cJSON_CreateString(arena_printf(a, "%s%s", f->lead, f->text)));
    }
    cJSON *plans = cJSON_AddArrayToObject(row, "plans");
    for (int i = 0; i < products_count(p, kernel); i++) {
        cJSON *t = cJSON_CreateObject();
        json_product(t, &products[i]);
        cJSON_AddItemToArray(plans, t);
    }
    return row;
}

/* What the files were made from, as two hashes: they tell a change of the generator from a change
 * of the model. */
static void sources_json(arena *a, cJSON *root, const template_set *set) {
    buf templates = buf_new(a), runtime = buf_new(a);
    for (int i = 0; i < set->count; i++)
        buf_printf(&templates, "%s\n%s", set->source[i].name, set->source[i].chunk);
    for (size_t i = 0; i < embedded_file_count; i++)
        if (!strncmp(embedded_files[i].path, "runtime/", 8))
            buf_printf(&runtime, "%s\n%s", embedded_files[i].path, embedded_files[i].text);
    cJSON *sources = cJSON_AddObjectToObject(root, "sources");
    cJSON_AddStringToObject(sources, "templates", manifest_hash(a, templates.data, templates.len));
    cJSON_AddStringToObject(sources, "runtime", manifest_hash(a, runtime.data, runtime.len));
}

void manifest_add_files(arena *a, cJSON *root, const gen_files *files) {
    cJSON *list = cJSON_AddArrayToObject(root, "files");
    for (int i = 0; i < files->count; i++) {
        const gen_file *f = &files->file[i];
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "path", f->path);
        cJSON_AddStringToObject(row, "hash",
                                manifest_hash(a, f->text, f->size ? f->size : strlen(f->text)));
        cJSON_AddItemToArray(list, row);
    }
}

const char *manifest_print(arena *a, cJSON *root) {
    char *json = cJSON_Print(root);
    const char *text = arena_printf(a, "%s\n", json);
    cJSON_free(json);
    cJSON_Delete(root);
    return text;
}

const char *manifest_text(arena *a, const product_list *p, const template_set *set,
                          const gen_files *files) {
    const model *m = p->model;
    const gen_options *o = p->options;
    cJSON *root = cJSON_CreateObject(), *options = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "generator", "attn-gen " ATTN_GEN_VERSION);
    cJSON_AddNumberToObject(root, "kernel_abi", ATTN_KERNEL_ABI);
    cJSON_AddStringToObject(root, "license", "0BSD");
    cJSON_AddStringToObject(root, "model", m->name);
    cJSON_AddStringToObject(root, "header", arena_printf(a, "%s.h", model_identifier(a, m->name)));
    cJSON_AddItemToObject(root, "options", options);
    cJSON_AddStringToObject(options, "isa", isa_list(a, o->isa_mask, ","));
    cJSON_AddNumberToObject(options, "unroll", o->unroll);
    if (o->tune) cJSON_AddStringToObject(options, "tune", "tune.lua");
    if (o->runtime) cJSON_AddStringToObject(options, "runtime", o->runtime);
    sources_json(a, root, set);
    json_layers(root, m);
    cJSON *kernels = cJSON_AddArrayToObject(root, "kernels");
    for (int i = 0; i < m->kernel_count; i++) cJSON_AddItemToArray(kernels, kernel_json(a, p, i));
    manifest_add_files(a, root, files);
    return manifest_print(a, root);
}

/* --- Reading. --- */

static bool is_ours(const cJSON *root) {
    const cJSON *by = cJSON_GetObjectItem(root, "generator");
    return cJSON_IsString(by) && !strncmp(by->valuestring, "attn-gen ", 9) &&
           cJSON_IsArray(cJSON_GetObjectItem(root, "files"));
}

const char *manifest_load(arena *a, const char *dir, diag *d) {
    if (!disk_is_whole(a, dir, d)) return NULL;
    return disk_read_in(a, dir, "manifest.json", MANIFEST_MAX_BYTES, NULL, d);
}

cJSON *manifest_read(arena *a, const char *dir, diag *d) {
    const char *text = manifest_load(a, dir, d);
    if (!text) return NULL;
    cJSON *root = cJSON_Parse(text);
    if (is_ours(root)) return root;
    cJSON_Delete(root);
    diag_set(d, "%s/manifest.json: not a manifest of attn-gen", text_shown(a, dir));
    return NULL;
}

const char *manifest_kind(arena *a, const char *text) {
    cJSON *root = cJSON_Parse(text);
    const cJSON *kind = cJSON_GetObjectItem(root, "kind");
    const char *result = cJSON_IsString(kind) ? arena_strdup(a, kind->valuestring) : "kernels";
    cJSON_Delete(root);
    return result;
}

const gen_files *manifest_files(arena *a, const char *text) {
    cJSON *root = cJSON_Parse(text);
    const cJSON *list = cJSON_GetObjectItem(root, "files"), *row;
    gen_files *files = NULL;
    if (is_ours(root)) {
        files = arena_alloc(a, sizeof *files);
        files->file = arena_alloc(a, ((size_t)cJSON_GetArraySize(list) + 1) * sizeof(gen_file));
        cJSON_ArrayForEach(row, list) {
            const cJSON *path = cJSON_GetObjectItem(row, "path");
            const cJSON *hash = cJSON_GetObjectItem(row, "hash");
            if (!cJSON_IsString(path) || !cJSON_IsString(hash)) continue;
            files->file[files->count++] = (gen_file){.path = arena_strdup(a, path->valuestring),
                                                     .text = arena_strdup(a, hash->valuestring)};
        }
    }
    cJSON_Delete(root);
    return files;
}

bool manifest_is_tuned(const cJSON *root) {
    return cJSON_GetObjectItem(cJSON_GetObjectItem(root, "options"), "tune") != NULL;
}

bool manifest_options(arena *a, const cJSON *root, const char *path, gen_options *o, diag *d) {
    const cJSON *options = cJSON_GetObjectItem(root, "options");
    const cJSON *isa = cJSON_GetObjectItem(options, "isa");
    const cJSON *unroll = cJSON_GetObjectItem(options, "unroll");
    const cJSON *runtime = cJSON_GetObjectItem(options, "runtime");
    if (cJSON_IsString(isa)) o->isa_mask = isa_parse(isa->valuestring, d);
    if (cJSON_IsNumber(unroll)) o->unroll = unroll->valueint;
    if (cJSON_IsString(runtime)) o->runtime = arena_strdup(a, runtime->valuestring);
    if (o->unroll < -1 || o->unroll > GEN_MAX_UNROLL)
        return diag_set(d, "%s: options.unroll must be from -1 to %d, got %d", text_shown(a, path),
                        GEN_MAX_UNROLL, o->unroll);
    return o->isa_mask || diag_set(d, "%s: not a manifest of attn-gen", text_shown(a, path));
}
