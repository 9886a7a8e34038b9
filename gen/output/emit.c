#include "emit.h"

#include "align.h"
#include "binding.h"
#include "data.h"
#include "declared.h"
#include "embedded.h"
#include "manifest.h"
#include "rename.h"
#include "render.h"
#include "text.h"
#include "wrap.h"

#include <string.h>

typedef struct output {
    arena *a;
    gen_files *files;
    int cap;
} output;

static void add_file(output *out, const char *path, const char *text) {
    gen_files *f = out->files;
    if (f->count == out->cap) {
        out->cap = out->cap ? out->cap * 2 : 64;
        gen_file *grown = arena_alloc(out->a, (size_t)out->cap * sizeof *grown);
        if (f->count) memcpy(grown, f->file, (size_t)f->count * sizeof *grown);
        f->file = grown;
    }
    f->file[f->count++] = (gen_file){.path = path, .text = text};
}

static bool render_product(output *out, const template_set *set, const product *p,
                           const gen_options *o, diag *d) {
    const char *text;
    const lua_val *data = product_data(out->a, p, o);
    if (!render(out->a, set, p->layer ? "block.c" : "kernel.c", data, &text, d)) return false;
    name_set statics = {.a = out->a};
    declared_names(text, DECLARED_STATICS, &statics);
    text = align_parentheses(out->a, rename_text(out->a, text, &statics, p->prefix));
    text = space_functions(out->a, wrap_lines(out->a, text, LINE_WIDTH));
    add_file(out, arena_printf(out->a, "%s.c", p->symbol),
             align_comments(out->a, text, LINE_WIDTH));
    return true;
}

/* A folder runtime/ somewhere else: the build files say where. */
static bool is_runtime_path(const char *path) {
    const char *slash = strrchr(path, '/');
    return text_plain_path(path) && !strcmp(slash ? slash + 1 : path, "runtime");
}

/* What the folder's Makefile builds and its files include. */
static void add_runtime(output *out, const model *m) {
    for (size_t i = 0; i < embedded_file_count; i++)
        if (runtime_needs(m, embedded_files[i].path))
            add_file(out, embedded_files[i].path, embedded_files[i].text);
}

static const char *text_at(const gen_files *files, const char *path) {
    for (int i = 0; i < files->count; i++)
        if (!strcmp(files->file[i].path, path)) return files->file[i].text;
    return embedded_find(path);
}

/* The module for Python: what it declares is read from the headers, the model's own included. */
static bool render_module(output *out, const template_set *set, const model *m, lua_val *data,
                          diag *d) {
    arena *a = out->a;
    const char *ident = model_identifier(a, m->name), *text;
    const char *const headers[] = {"runtime/attn.h", arena_printf(a, "%s.h", ident),
                                   "runtime/attn_model.h", arena_printf(a, "%s_model.h", ident)};
    const char *texts[4];
    const int count = m->is_whole ? 4 : 2;
    lua_val *c;
    for (int i = 0; i < count; i++) texts[i] = text_at(out->files, headers[i]);
    if (!declared(a, texts, count, &c, d)) return false;
    binding_constants(a, c);
    lua_val_set(a, data, "c", c);
    if (!render(a, set, "package/module.py", data, &text, d)) return false;
    add_file(out, arena_printf(a, "%s.py", binding_name(a, ident)), text);
    return true;
}

bool gen_render(arena *a, const product_list *p, gen_files *files, diag *d) {
    const gen_options *o = p->options;
    *files = (gen_files){0};
    output out = {a, files, 0};
    template_set set;
    if (o->runtime && !is_runtime_path(o->runtime))
        return diag_set(
            d,
            "--runtime: must be a path of letters, digits and / . _ - + , = @ that does "
            "not start with '-', so that C, make, CMake and shells read it alike, and end "
            "with runtime, as sources include runtime/attn_kernel.h; got '%s': link or copy "
            "the runtime to such a path",
            text_shown(a, o->runtime));
    if (!templates_load(a, o->templates, &set, d)) return false;
    for (int i = 0; i < p->count; i++)
        if (!render_product(&out, &set, &p->row[i], o, d)) return false;
    lua_val *data = lua_val_table(a);
    lua_val_set(a, data, "model", model_data(a, p));
    const char *ident = model_identifier(a, p->model->name);
    const struct {
        const char *template, *path;
    } package[] = {
        {"package/header.h", arena_printf(a, "%s.h", ident)},
        {"package/header.hpp", arena_printf(a, "%s.hpp", ident)},
        {"package/registry.c", "registry.c"},
        {"package/selftest.c", "selftest.c"},
        {"package/Makefile", "Makefile"},
        {"package/CMakeLists.txt", "CMakeLists.txt"},
        {"package/model.pc", arena_printf(a, "%s.pc", ident)},
        {"model/header.h", arena_printf(a, "%s_model.h", ident)},
        {"model/model.c", arena_printf(a, "%s_model.c", ident)},
    };
    for (size_t i = 0; i < sizeof package / sizeof *package; i++) {
        const char *text;
        if (o->runtime && !strcmp(package[i].template, "package/model.pc")) continue;
        if (!p->model->is_whole && !strncmp(package[i].template, "model/", 6)) continue;
        if (!render(a, &set, package[i].template, data, &text, d)) return false;
        add_file(&out, package[i].path, text);
    }
    if (!render_module(&out, &set, p->model, data, d)) return false;
    add_file(&out, "model.lua", model_to_lua(a, p->model));
    if (o->tune) add_file(&out, "tune.lua", o->tune->text);
    if (!o->runtime) add_runtime(&out, p->model);
    add_file(&out, "manifest.json", manifest_text(a, p, &set, files));
    return true;
}
