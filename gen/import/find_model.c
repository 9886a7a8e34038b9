#include "find_model.h"

#include "embedded.h"
#include "files.h"
#include "import_gguf.h"
#include "import_hf.h"
#include "text.h"

#include <string.h>
#include <sys/stat.h>

static const char folder[] = "gen/models/"; /* of the embedded files */

/* The name of a built-in model; null: the file is none. */
static const char *builtin_name(arena *a, const embedded_file *file) {
    const size_t n = sizeof folder - 1;
    if (strncmp(file->path, folder, n)) return NULL;
    return arena_strndup(a, file->path + n, strlen(file->path + n) - strlen(".lua"));
}

static const char *builtin(arena *a, const char *name) {
    return embedded_find(arena_printf(a, "%s%s.lua", folder, name));
}

const char *find_model_list(arena *a) {
    buf b = buf_new(a);
    for (size_t i = 0; i < embedded_file_count; i++) {
        const char *name = builtin_name(a, &embedded_files[i]), *text = embedded_files[i].text;
        if (!name) continue;
        const int comment = !strncmp(text, "-- ", 3) ? (int)strcspn(text + 3, "\n") : 0;
        buf_printf(&b, "%-20s %.*s\n", name, comment, text + 3);
    }
    return b.data;
}

const char *find_model_path(arena *a, const char *target) {
    struct stat st;
    if (builtin(a, target) || stat(target, &st) || !S_ISDIR(st.st_mode)) return target;
    const char *slash = ends_with(target, "/") ? "" : "/";
    const char *config = arena_printf(a, "%s%sconfig.json", target, slash);
    return !stat(config, &st) && S_ISREG(st.st_mode) ? config : target;
}

/* What is wrong with a MODEL that is none of them, and what may be meant. */
static bool no_such_model(arena *a, const char *target, diag *d) {
    struct stat st;
    const bool found = !stat(target, &st);
    if (found && S_ISDIR(st.st_mode)) {
        const char *lua = arena_printf(a, "%s/model.lua", target);
        return stat(lua, &st) ? diag_set(d, "%s: a folder without a config.json", target)
                              : diag_set(d, "%s: a folder; its model file is %s", target, lua);
    }
    const char **names = arena_alloc(a, (embedded_file_count + 1) * sizeof *names);
    for (size_t i = 0, n = 0; i < embedded_file_count; i++)
        if ((names[n] = builtin_name(a, &embedded_files[i])) != NULL) n++;
    buf b = buf_new(a);
    buf_printf(&b, "%s: neither a .lua file, a config.json, a .gguf file nor a built-in model",
               target);
    suggest(&b, target, names);
    buf_puts(&b, " (attn-gen models lists them)");
    if (!found && strchr(target, '/'))
        buf_puts(&b, "; a model of a hub: download its config.json, and name that file");
    return diag_set(d, "%s", b.data);
}

/* Mapped: such files are large, and little of them is read. */
static bool read_gguf(arena *a, const char *target, const spec_input *inputs, int count, model *out,
                      const char **notes, diag *d) {
    mapped_file file;
    if (!file_map(a, target, &file, d)) return false;
    const bool ok = model_from_gguf(a, target, file.data, file.size, inputs, count, out, notes, d);
    file_unmap(&file);
    return ok;
}

/* As it stands in its file. */
static bool read_model(arena *a, const char *target, const spec_input *inputs, int count,
                       model *out, const char **notes, diag *d) {
    const char *source = builtin(a, target);
    *notes = "";
    if (source) return model_from_lua(a, arena_printf(a, "%s.lua", target), source, out, d);
    if (import_gguf_is(target)) return read_gguf(a, target, inputs, count, out, notes, d);
    const bool config = import_hf_is_config(target);
    if (!config && !ends_with(target, ".lua")) return no_such_model(a, target, d);
    size_t size;
    source = read_file(a, target, config ? IMPORT_MAX_BYTES : LUA_MODEL_MAX_BYTES, &size, d);
    if (!source) return false;
    const size_t zero = strlen(source);
    if (zero != size)
        return diag_set(d, "%s: has a zero byte at offset %zu: a model file is text%s",
                        text_shown(a, target), zero,
                        zero < 4 ? "; is it UTF-16? Save it as UTF-8" : "");
    return config ? model_from_hf(a, target, source, inputs, count, out, notes, d)
                  : model_from_lua(a, target, source, out, d);
}

bool find_model(arena *a, const char *target, const spec_input *inputs, int count, model *out,
                const char **notes, diag *d) {
    return read_model(a, target, inputs, count, out, notes, d) &&
           model_change(a, out, inputs, count, d);
}
