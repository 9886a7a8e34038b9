#include "check.h"

#include "disk.h"
#include "emit.h"
#include "manifest.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 16 << 20 };

static size_t file_size(const gen_file *f) {
    return f->size ? f->size : strlen(f->text);
}

static bool listed(const gen_files *files, const char *path) {
    for (int i = 0; i < files->count; i++)
        if (!strcmp(files->file[i].path, path)) return true;
    return false;
}

/* Names every file below DIR/sub that is neither listed nor in DIR/build. */
static void find_orphans(arena *a, const char *dir, const char *sub, const gen_files *files,
                         buf *report) {
    DIR *handle = opendir(*sub ? arena_printf(a, "%s/%s", dir, sub) : dir);
    if (!handle && errno == ENOMEM) out_of_memory();
    if (!handle) return;
    for (struct dirent *e; (e = readdir(handle));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        const char *path = *sub ? arena_printf(a, "%s/%s", sub, e->d_name) : e->d_name;
        if (!strcmp(path, "build")) continue;
        struct stat st;
        const char *full = arena_printf(a, "%s/%s", dir, path);
        if (!lstat(full, &st) && S_ISDIR(st.st_mode))
            find_orphans(a, dir, arena_strdup(a, path), files, report);
        else if (!listed(files, path))
            buf_printf(report, "%s: orphan: attn-gen did not write it\n", text_shown(a, full));
    }
    closedir(handle);
}

/* The tune file beside a model, if the folder was made with one. */
static bool folder_tune(arena *a, const char *dir, const cJSON *root, const model *m,
                        gen_options *o, diag *d) {
    if (!manifest_is_tuned(root)) return true;
    tune_set *tune = arena_alloc(a, sizeof *tune);
    o->tune = tune;
    size_t size;
    const char *text = disk_read_in(a, dir, "tune.lua", FILE_MAX_BYTES, &size, d);
    return text && tune_take(a, arena_printf(a, "%s/tune.lua", dir), text, size, m, tune, d);
}

/* The model, and the options, that a folder was made from. */
bool gen_folder(arena *a, const char *dir, model *m, gen_options *o, diag *d) {
    const char *model_path = arena_printf(a, "%s/model.lua", dir);
    cJSON *root = manifest_read(a, dir, d);
    if (!root) return false;
    bool ok = manifest_options(a, root, arena_printf(a, "%s/manifest.json", dir), o, d);
    const char *source = ok ? disk_read_in(a, dir, "model.lua", FILE_MAX_BYTES, NULL, d) : NULL;
    ok =
        source && model_from_lua(a, model_path, source, m, d) && folder_tune(a, dir, root, m, o, d);
    cJSON_Delete(root);
    return ok;
}

/* What is wrong with a file of the folder; null: nothing. */
static const char *difference(arena *a, int folder, const gen_file *f) {
    const char *what;
    switch (disk_look(folder, f->path, &what)) {
    case DISK_NOTHING: return "missing";
    case DISK_UNKNOWN: return arena_printf(a, "cannot look: %s", strerror(errno));
    case DISK_ODD: return arena_printf(a, "stale: it is %s, not a file", what);
    case DISK_FILE: break;
    }
    return disk_holds(folder, f->path, f->text, file_size(f))
               ? NULL
               : "stale: it differs from what attn-gen writes today";
}

const char *gen_differences(arena *a, const char *dir, const gen_files *files) {
    buf b = buf_new(a);
    const int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < files->count; i++) {
        const char *why = folder < 0 ? "missing" : difference(a, folder, &files->file[i]);
        if (why)
            buf_printf(&b, "%s/%s: %s\n", text_shown(a, dir), text_shown(a, files->file[i].path),
                       why);
    }
    if (folder >= 0) close(folder);
    return b.data;
}

bool gen_check(arena *a, const char *dir, const char *templates, const char **report, diag *d) {
    gen_options o = {.templates = templates};
    model m;
    gen_files files;
    if (!gen_folder(a, dir, &m, &o, d)) return false;
    const product_list products = products_make(a, &m, &o);
    if (!gen_render(a, &products, &files, d)) return false;
    buf b = buf_new(a);
    buf_puts(&b, gen_differences(a, dir, &files));
    find_orphans(a, dir, "", &files, &b);
    *report = b.data;
    return true;
}
