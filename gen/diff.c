#include "diff.h"

#include "manifest.h"
#include "spec.h"

#include <stdio.h>
#include <string.h>

/* One of the two folders. */
typedef struct side {
    const char *dir;
    cJSON *root;
    const cJSON *layers, *kernels, *files;
} side;

typedef struct differ {
    arena *a;
    side was, is;
    buf out;
} differ;

/* --- JSON. --- */

static const char *text_of(const cJSON *row, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(row, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

/* A value as people read it: "none" for null and where there is none. */
static const char *value_text(arena *a, const cJSON *item) {
    if (!item || cJSON_IsNull(item)) return "none";
    if (cJSON_IsString(item)) return item->valuestring;
    if (cJSON_IsNumber(item)) return arena_printf(a, "%.9g", item->valuedouble);
    char *json = cJSON_PrintUnformatted(item);
    const char *text = arena_strdup(a, json);
    cJSON_free(json);
    return text;
}

static const cJSON *row_named(const cJSON *list, const char *key, const char *name) {
    const cJSON *row;
    cJSON_ArrayForEach(row, list) if (!strcmp(text_of(row, key), name)) return row;
    return NULL;
}

static bool lists(const cJSON *list, const char *text) {
    const cJSON *item;
    cJSON_ArrayForEach(item, list) if (!strcmp(item->valuestring, text)) return true;
    return false;
}

/* --- Members, sentences, plans. --- */

/* What a field of the spec means, from its table. */
static const char *help_of(const char *name) {
    const attn_field *f = attn_field_find(name);
    return f ? f->help : NULL;
}

static void say_member(differ *d, const char *indent, const char *name, const cJSON *was,
                       const cJSON *is, bool help) {
    const char *old = value_text(d->a, was), *now = value_text(d->a, is);
    if (!strcmp(old, now)) return;
    buf_printf(&d->out, "%s%s: %s -> %s", indent, name, old, now);
    if (help && help_of(name)) buf_printf(&d->out, " (%s)", help_of(name));
    buf_puts(&d->out, "\n");
}

/* Members that hold one value: numbers, strings, booleans; and lists, unless they are left out. */
static void say_members(differ *d, const char *indent, const cJSON *was, const cJSON *is,
                        const char *const *skip, bool help) {
    const cJSON *item;
    cJSON_ArrayForEach(item, was) {
        bool skipped = false;
        for (int i = 0; skip[i]; i++) skipped = skipped || !strcmp(item->string, skip[i]);
        if (!skipped)
            say_member(d, indent, item->string, item,
                       cJSON_GetObjectItemCaseSensitive(is, item->string), help);
    }
    cJSON_ArrayForEach(item, is) {
        bool skipped = cJSON_GetObjectItemCaseSensitive(was, item->string) != NULL;
        for (int i = 0; skip[i]; i++) skipped = skipped || !strcmp(item->string, skip[i]);
        if (!skipped) say_member(d, indent, item->string, NULL, item, help);
    }
}

/* Sentences that only one side has. */
static void say_sentences(differ *d, const char *indent, const cJSON *was, const cJSON *is) {
    const cJSON *item;
    cJSON_ArrayForEach(item, was) if (!lists(is, item->valuestring))
        buf_printf(&d->out, "%swas: %s\n", indent, item->valuestring);
    cJSON_ArrayForEach(item, is) if (!lists(was, item->valuestring))
        buf_printf(&d->out, "%snow: %s\n", indent, item->valuestring);
}

static void say_plans(differ *d, const cJSON *was, const cJSON *is) {
    static const char *const skip[] = {"isa", "symbol", "choice", "reasons", NULL};
    /* A choice of these names is what the plan says already. */
    static const char *const said[] = {"key_block", "unroll", "decode_q", "part_keys", NULL};
    const cJSON *plan;
    cJSON_ArrayForEach(plan, was) {
        const char *isa = text_of(plan, "isa");
        const cJSON *now = row_named(is, "isa", isa);
        if (!now) {
            buf_printf(&d->out, "  plan %s: removed\n", isa);
            continue;
        }
        const size_t before = d->out.len;
        buf_printf(&d->out, "  plan %s:\n", isa);
        const size_t header = d->out.len;
        say_members(d, "    ", plan, now, skip, false);
        say_members(d, "    ", cJSON_GetObjectItem(plan, "choice"),
                    cJSON_GetObjectItem(now, "choice"), said, false);
        say_sentences(d, "    ", cJSON_GetObjectItem(plan, "reasons"),
                      cJSON_GetObjectItem(now, "reasons"));
        if (d->out.len == header) {
            d->out.len = before;
            d->out.data[before] = '\0';
        }
    }
    cJSON_ArrayForEach(plan, is) if (!row_named(was, "isa", text_of(plan, "isa")))
        buf_printf(&d->out, "  plan %s: added\n", text_of(plan, "isa"));
}

/* --- Kernels and layers. --- */

static const char *layer_kernel(const side *s, int layer) {
    return text_of(cJSON_GetArrayItem(s->layers, layer), "kernel");
}

static int layer_count(const side *s) {
    return cJSON_GetArraySize(s->layers);
}

/* "0..3, 5": layers from `from` on whose kernels are these; null: that side has no such layer. */
static const char *layers_with(differ *d, const char *was, const char *is) {
    buf b = buf_new(d->a);
    const int olds = layer_count(&d->was), news = layer_count(&d->is);
    int start = -1;
    for (int i = 0; i <= olds || i <= news; i++) {
        const char *w = i < olds ? layer_kernel(&d->was, i) : NULL;
        const char *n = i < news ? layer_kernel(&d->is, i) : NULL;
        const bool match =
            (w || n) && (was ? w && !strcmp(w, was) : !w) && (is ? n && !strcmp(n, is) : !n);
        if (match && start < 0) start = i;
        if (match || start < 0) continue;
        buf_printf(&b, "%s%d", b.len ? ", " : "", start);
        if (i - 1 > start) buf_printf(&b, "%s%d", i - 2 > start ? ".." : ", ", i - 1);
        start = -1;
    }
    return b.data;
}

static void say_kernel(differ *d, const cJSON *was, const cJSON *is) {
    static const char *const skip[] = {"name", "semantics", "plans", NULL};
    say_members(d, "  ", was, is, skip, true);
    say_sentences(d, "  ", cJSON_GetObjectItem(was, "semantics"),
                  cJSON_GetObjectItem(is, "semantics"));
    say_plans(d, cJSON_GetObjectItem(was, "plans"), cJSON_GetObjectItem(is, "plans"));
}

/* Layers whose kernel is another now, once a pair of kernels. */
static void say_changed_layers(differ *d) {
    const int olds = layer_count(&d->was), news = layer_count(&d->is);
    for (int i = 0; i < olds && i < news; i++) {
        const char *was = layer_kernel(&d->was, i), *is = layer_kernel(&d->is, i);
        bool first = strcmp(was, is) != 0;
        for (int j = 0; j < i; j++)
            first = first &&
                    (strcmp(was, layer_kernel(&d->was, j)) || strcmp(is, layer_kernel(&d->is, j)));
        if (!first) continue;
        buf_printf(&d->out, "layer %s: %s\n  -> %s\n", layers_with(d, was, is), was, is);
        say_kernel(d, row_named(d->was.kernels, "name", was), row_named(d->is.kernels, "name", is));
    }
}

/* Layers past the end of the other side. */
static void say_layer_counts(differ *d) {
    const int olds = layer_count(&d->was), news = layer_count(&d->is);
    if (olds == news) return;
    buf_printf(&d->out, "layers: %d -> %d\n", olds, news);
    const side *longer = olds > news ? &d->was : &d->is;
    for (int i = olds < news ? olds : news; i < layer_count(longer); i++) {
        const char *kernel = layer_kernel(longer, i);
        bool first = true;
        for (int j = olds < news ? olds : news; j < i; j++)
            first = first && strcmp(kernel, layer_kernel(longer, j));
        if (first)
            buf_printf(&d->out, "  layer %s %s: %s\n",
                       olds > news ? layers_with(d, kernel, NULL) : layers_with(d, NULL, kernel),
                       olds > news ? "removed" : "added", kernel);
    }
}

/* Whether a changed layer has this kernel on that side: then it was spoken of. */
static bool in_changed_layer(const differ *d, const side *s, const char *name) {
    for (int i = 0; i < layer_count(&d->was) && i < layer_count(&d->is); i++)
        if (!strcmp(layer_kernel(s, i), name) &&
            strcmp(layer_kernel(&d->was, i), layer_kernel(&d->is, i)))
            return true;
    return false;
}

static void say_kernels(differ *d) {
    const cJSON *row, *line;
    cJSON_ArrayForEach(row, d->was.kernels) {
        const char *name = text_of(row, "name");
        const cJSON *now = row_named(d->is.kernels, "name", name);
        if (!now && !in_changed_layer(d, &d->was, name))
            buf_printf(&d->out, "kernel removed: %s\n", name);
        if (!now) continue;
        const size_t before = d->out.len;
        buf_printf(&d->out, "kernel changed: %s\n", name);
        const size_t header = d->out.len;
        say_kernel(d, row, now);
        if (d->out.len == header) {
            d->out.len = before;
            d->out.data[before] = '\0';
        }
    }
    cJSON_ArrayForEach(row, d->is.kernels) {
        if (row_named(d->was.kernels, "name", text_of(row, "name")) ||
            in_changed_layer(d, &d->is, text_of(row, "name")))
            continue;
        buf_printf(&d->out, "kernel added: %s\n", text_of(row, "name"));
        cJSON_ArrayForEach(line, cJSON_GetObjectItem(row, "semantics"))
            buf_printf(&d->out, "  %s\n", line->valuestring);
    }
}

/* --- Sources and files. --- */

static void say_sources(differ *d) {
    const cJSON *was = cJSON_GetObjectItem(d->was.root, "sources");
    const cJSON *is = cJSON_GetObjectItem(d->is.root, "sources");
    if (strcmp(text_of(was, "templates"), text_of(is, "templates")))
        buf_puts(&d->out, "templates: changed: the code of every kernel may differ\n");
    if (strcmp(text_of(was, "runtime"), text_of(is, "runtime")))
        buf_puts(&d->out, "runtime: changed\n");
}

/* The manifest is read above, member by member. */
static void say_files(differ *d) {
    const cJSON *row;
    cJSON_ArrayForEach(row, d->was.files) {
        const char *path = text_of(row, "path");
        const cJSON *now = row_named(d->is.files, "path", path);
        if (!now)
            buf_printf(&d->out, "file removed: %s\n", path);
        else if (strcmp(text_of(row, "hash"), text_of(now, "hash")))
            buf_printf(&d->out, "file changed: %s\n", path);
    }
    cJSON_ArrayForEach(row, d->is.files) if (!row_named(d->was.files, "path", text_of(row, "path")))
        buf_printf(&d->out, "file added: %s\n", text_of(row, "path"));
}

/* Files that are not what their folder's manifest says. */
static void say_edits(differ *d, const side *s) {
    const cJSON *row;
    cJSON_ArrayForEach(row, s->files) {
        diag ignored = {0};
        size_t size;
        const char *path = arena_printf(d->a, "%s/%s", s->dir, text_of(row, "path"));
        const char *text = read_file(d->a, path, 64 << 20, &size, &ignored);
        if (!text)
            buf_printf(&d->out, "%s: missing\n", path);
        else if (strcmp(manifest_hash(d->a, text, size), text_of(row, "hash")))
            buf_printf(&d->out, "%s: edited since it was generated\n", path);
    }
}

static void compare(differ *d) {
    static const char *const skip[] = {"options", "sources", "layers", "kernels", "files", NULL};
    static const char *const none[] = {NULL};
    say_members(d, "", d->was.root, d->is.root, skip, false);
    say_members(d, "option ", cJSON_GetObjectItem(d->was.root, "options"),
                cJSON_GetObjectItem(d->is.root, "options"), none, false);
    say_layer_counts(d);
    say_changed_layers(d);
    say_kernels(d);
    say_sources(d);
    say_files(d);
    say_edits(d, &d->was);
    say_edits(d, &d->is);
}

static bool read_side(arena *a, const char *dir, side *s, diag *d) {
    *s = (side){.dir = dir, .root = manifest_read(a, dir, d)};
    if (!s->root) return false;
    s->layers = cJSON_GetObjectItem(s->root, "layers");
    s->kernels = cJSON_GetObjectItem(s->root, "kernels");
    s->files = cJSON_GetObjectItem(s->root, "files");
    if (cJSON_IsArray(s->layers) && cJSON_IsArray(s->kernels)) return true;
    cJSON_Delete(s->root);
    s->root = NULL;
    return diag_set(d, "%s/manifest.json: lists no layers and kernels: not a generated model", dir);
}

bool diff_folders(arena *a, const char *old_dir, const char *new_dir, const char **report,
                  diag *d) {
    differ f = {.a = a, .out = buf_new(a)};
    const bool ok = read_side(a, old_dir, &f.was, d) && read_side(a, new_dir, &f.is, d);
    if (ok) compare(&f);
    cJSON_Delete(f.was.root);
    cJSON_Delete(f.is.root);
    *report = f.out.data;
    return ok;
}
