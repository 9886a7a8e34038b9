#include "diff.h"

#include "output/disk.h"
#include "import/json_text.h"
#include "output/manifest.h"
#include "spec.h"
#include "spec/source.h"
#include "text.h"

#include <string.h>

enum { FILE_MAX_BYTES = 64 << 20 };

/* --- Names -> numbers. --- */

typedef struct name_index {
    const char **name;
    int *number;
    size_t size;
} name_index;

static name_index index_new(arena *a, int count) {
    name_index x = {.size = 2 * (size_t)count + 1};
    x.name = arena_alloc(a, x.size * sizeof *x.name);
    x.number = arena_alloc(a, x.size * sizeof *x.number);
    return x;
}

static size_t slot_of(const name_index *x, const char *name) {
    size_t i = (size_t)hash64(name, strlen(name)) % x->size;
    while (x->name[i] && strcmp(x->name[i], name)) i = (i + 1) % x->size;
    return i;
}

/* The number of a name, which is `number` from now on if the name is new. */
static int index_add(name_index *x, const char *name, int number) {
    const size_t i = slot_of(x, name);
    if (x->name[i]) return x->number[i];
    x->name[i] = name;
    x->number[i] = number;
    return number;
}

static bool index_find(const name_index *x, const char *name, int *number) {
    const size_t i = slot_of(x, name);
    if (x->name[i]) *number = x->number[i];
    return x->name[i] != NULL;
}

/* --- The two folders. --- */

/* A list of objects with names: the first of a name counts. */
typedef struct named_list {
    const json_val *list; /* null: there is none */
    const char *key;
    name_index rows;
} named_list;

typedef struct side {
    const char *dir, *path, *text;
    const json_val *root, *layers;
    named_list kernels, files;
    bool *told; /* by kernel: a changed layer is it, and was spoken of */
} side;

typedef struct differ {
    arena *a;
    side was, is;
    buf out;
} differ;

static int count_of(const json_val *list) {
    return list ? list->count : 0;
}

static const char *text_of(const json_val *row, const char *name) {
    const json_val *v = json_get(row, name);
    return v && v->kind == JSON_STRING ? v->string : "";
}

static named_list named(arena *a, const json_val *list, const char *key) {
    named_list n = {list, key, index_new(a, count_of(list))};
    for (int i = 0; i < count_of(list); i++) index_add(&n.rows, text_of(&list->item[i], key), i);
    return n;
}

static const json_val *row_named(const named_list *n, const char *name) {
    int i;
    return index_find(&n->rows, name, &i) ? &n->list->item[i] : NULL;
}

/* --- What a manifest must look like, before anything is read from it. --- */

typedef struct checking {
    arena *a;
    const side *s;
    diag *d;
} checking;

static bool refuse(const checking *c, const json_val *at, const char *what) {
    return diag_set(c->d, "%s: %s must be %s: not the manifest of a generated model",
                    source_place(c->a, c->s->path, c->s->text, at->key_at), at->path, what);
}

/* Null is as good as absent. */
static const json_val *optional(const json_val *object, const char *name) {
    const json_val *v = json_get(object, name);
    return v && v->kind != JSON_NULL ? v : NULL;
}

static bool check_sentences(const checking *c, const json_val *list) {
    if (!list) return true;
    if (list->kind != JSON_ARRAY) return refuse(c, list, "a list of strings");
    for (int i = 0; i < list->count; i++)
        if (list->item[i].kind != JSON_STRING) return refuse(c, &list->item[i], "a string");
    return true;
}

static bool check_object(const checking *c, const json_val *v) {
    return !v || v->kind == JSON_OBJECT || refuse(c, v, "an object");
}

static bool check_text(const checking *c, const json_val *row, const char *name) {
    const json_val *v = json_get(row, name);
    if (v && v->kind == JSON_STRING) return true;
    return refuse(c, v ? v : row, v ? "a string" : arena_printf(c->a, "an object with '%s'", name));
}

/* A list of objects in which a string stands under each of the keys. */
static bool check_rows(const checking *c, const json_val *list, const char *const *keys,
                       bool (*row)(const checking *c, const json_val *row)) {
    if (!list) return true;
    if (list->kind != JSON_ARRAY) return refuse(c, list, "a list");
    for (int i = 0; i < list->count; i++) {
        const json_val *v = &list->item[i];
        if (!check_object(c, v)) return false;
        for (int k = 0; keys[k]; k++)
            if (!check_text(c, v, keys[k])) return false;
        if (row && !row(c, v)) return false;
    }
    return true;
}

static bool check_plan(const checking *c, const json_val *plan) {
    return check_object(c, optional(plan, "choice")) &&
           check_sentences(c, optional(plan, "reasons"));
}

static bool check_kernel(const checking *c, const json_val *kernel) {
    static const char *const keys[] = {"isa", NULL};
    return check_sentences(c, optional(kernel, "semantics")) &&
           check_rows(c, optional(kernel, "plans"), keys, check_plan);
}

static bool check_manifest(const checking *c, const json_val *root) {
    static const char *const layer[] = {"kernel", NULL}, *const kernel[] = {"name", NULL};
    static const char *const file[] = {"path", "hash", NULL};
    const bool ours =
        root->kind == JSON_OBJECT && !strncmp(text_of(root, "generator"), "attn-gen ", 9);
    if (!ours) return diag_set(c->d, "%s: not a manifest of attn-gen", c->s->path);
    if (!optional(root, "layers") || !optional(root, "kernels") || !optional(root, "files"))
        return diag_set(c->d, "%s: lists no layers, kernels and files: not a generated model",
                        c->s->path);
    return check_object(c, optional(root, "options")) &&
           check_object(c, optional(root, "sources")) &&
           check_rows(c, json_get(root, "layers"), layer, NULL) &&
           check_rows(c, json_get(root, "kernels"), kernel, check_kernel) &&
           check_rows(c, json_get(root, "files"), file, NULL);
}

static bool read_side(arena *a, const char *dir, const char *text, side *s, diag *d) {
    *s = (side){.dir = dir, .path = arena_printf(a, "%s/manifest.json", dir), .text = text};
    s->root = json_read(a, s->path, text, NULL, d);
    const checking c = {a, s, d};
    if (!s->root || !check_manifest(&c, s->root)) return false;
    s->layers = json_get(s->root, "layers");
    s->kernels = named(a, json_get(s->root, "kernels"), "name");
    s->files = named(a, json_get(s->root, "files"), "path");
    s->told = arena_alloc(a, ((size_t)count_of(s->kernels.list) + 1) * sizeof *s->told);
    return true;
}

/* --- Members, sentences, plans. --- */

static void put_json(buf *b, const json_val *v) {
    switch (v->kind) {
    case JSON_NULL: buf_puts(b, "none"); return;
    case JSON_BOOL: buf_puts(b, v->boolean ? "true" : "false"); return;
    case JSON_NUMBER: buf_printf(b, "%.9g", v->number); return;
    case JSON_STRING: buf_printf(b, "\"%s\"", text_shown(b->a, v->string)); return;
    default: break;
    }
    const bool object = v->kind == JSON_OBJECT;
    buf_puts(b, object ? "{" : "[");
    for (int i = 0; i < v->count; i++) {
        if (i) buf_puts(b, ",");
        if (object) buf_printf(b, "\"%s\":", text_shown(b->a, v->item[i].name));
        put_json(b, &v->item[i]);
    }
    buf_puts(b, object ? "}" : "]");
}

/* A value as people read it: "none" for null and where there is none. */
static const char *value_text(arena *a, const json_val *v) {
    if (!v) return "none";
    if (v->kind == JSON_STRING) return text_shown(a, v->string);
    buf b = buf_new(a);
    put_json(&b, v);
    return b.data;
}

/* What a field of the spec means, from its table. */
static const char *help_of(const char *name) {
    const attn_field *f = attn_field_find(name);
    return f ? f->help : NULL;
}

static void say_member(differ *d, const char *indent, const char *name, const json_val *was,
                       const json_val *is, bool help) {
    const char *old = value_text(d->a, was), *now = value_text(d->a, is);
    if (!strcmp(old, now)) return;
    buf_printf(&d->out, "%s%s: %s -> %s", indent, text_shown(d->a, name), old, now);
    if (help && help_of(name)) buf_printf(&d->out, " (%s)", help_of(name));
    buf_puts(&d->out, "\n");
}

static bool in_list(const char *const *list, const char *name) {
    for (; *list; list++)
        if (!strcmp(*list, name)) return true;
    return false;
}

static name_index index_members(arena *a, const json_val *object) {
    name_index x = index_new(a, count_of(object));
    for (int i = 0; i < count_of(object); i++) index_add(&x, object->item[i].name, i);
    return x;
}

/* Members that differ, but for those that are said elsewhere. */
static void say_members(differ *d, const char *indent, const json_val *was, const json_val *is,
                        const char *const *skip, bool help) {
    const name_index old = index_members(d->a, was), now = index_members(d->a, is);
    int at;
    for (int i = 0; i < count_of(was); i++) {
        const json_val *v = &was->item[i];
        if (in_list(skip, v->name)) continue;
        say_member(d, indent, v->name, v, index_find(&now, v->name, &at) ? &is->item[at] : NULL,
                   help);
    }
    for (int i = 0; i < count_of(is); i++) {
        const json_val *v = &is->item[i];
        if (!in_list(skip, v->name) && !index_find(&old, v->name, &at))
            say_member(d, indent, v->name, NULL, v, help);
    }
}

/* Sentences of a list that the other lacks. */
static void say_missing(differ *d, const char *indent, const char *word, const json_val *list,
                        const json_val *other) {
    name_index x = index_new(d->a, count_of(other));
    int at;
    for (int i = 0; i < count_of(other); i++) index_add(&x, other->item[i].string, i);
    for (int i = 0; i < count_of(list); i++)
        if (!index_find(&x, list->item[i].string, &at))
            buf_printf(&d->out, "%s%s: %s\n", indent, word, text_shown(d->a, list->item[i].string));
}

static void say_sentences(differ *d, const char *indent, const json_val *was, const json_val *is,
                          const char *name) {
    const json_val *old = optional(was, name), *now = optional(is, name);
    say_missing(d, indent, "was", old, now);
    say_missing(d, indent, "now", now, old);
}

/* A heading goes again if nothing followed it. */
static void heading_end(differ *d, size_t before, size_t header) {
    if (d->out.len != header) return;
    d->out.len = before;
    d->out.data[before] = '\0';
}

static void say_plan(differ *d, const json_val *was, const json_val *is) {
    static const char *const skip[] = {"isa", "symbol", "choice", "reasons", NULL};
    /* A choice of these names is what the plan says already. */
    static const char *const said[] = {"key_block", "unroll", "decode_q", "part_keys", NULL};
    const size_t before = d->out.len;
    buf_printf(&d->out, "  plan %s:\n", text_shown(d->a, text_of(was, "isa")));
    const size_t header = d->out.len;
    say_members(d, "    ", was, is, skip, false);
    say_members(d, "    ", optional(was, "choice"), optional(is, "choice"), said, false);
    say_sentences(d, "    ", was, is, "reasons");
    heading_end(d, before, header);
}

static void say_plans(differ *d, const json_val *was, const json_val *is) {
    const named_list old = named(d->a, was, "isa"), now = named(d->a, is, "isa");
    for (int i = 0; i < count_of(was); i++) {
        const char *isa = text_of(&was->item[i], "isa");
        const json_val *plan = row_named(&now, isa);
        if (plan)
            say_plan(d, &was->item[i], plan);
        else
            buf_printf(&d->out, "  plan %s: removed\n", text_shown(d->a, isa));
    }
    for (int i = 0; i < count_of(is); i++) {
        const char *isa = text_of(&is->item[i], "isa");
        if (!row_named(&old, isa)) buf_printf(&d->out, "  plan %s: added\n", text_shown(d->a, isa));
    }
}

/* --- Kernels and layers. --- */

static void say_kernel(differ *d, const json_val *was, const json_val *is) {
    static const char *const skip[] = {"name", "semantics", "plans", NULL};
    say_members(d, "  ", was, is, skip, true);
    say_sentences(d, "  ", was, is, "semantics");
    say_plans(d, optional(was, "plans"), optional(is, "plans"));
}

/* Layers that went from one kernel to another, or to or from none (null). */
typedef struct layer_group {
    const char *was, *is;
    buf list; /* "0..3, 5" */
    int start, last;
} layer_group;

static void close_run(layer_group *g) {
    if (g->start < 0) return;
    buf_printf(&g->list, "%s%d", g->list.len ? ", " : "", g->start);
    if (g->last > g->start)
        buf_printf(&g->list, "%s%d", g->last > g->start + 1 ? ".." : ", ", g->last);
}

static void add_layer(layer_group *g, int layer) {
    if (g->start >= 0 && g->last + 1 == layer) {
        g->last = layer;
        return;
    }
    close_run(g);
    g->start = g->last = layer;
}

typedef struct layer_groups {
    layer_group *group; /* in the order of their first layers */
    int count;
} layer_groups;

static const char *layer_kernel(const side *s, int layer) {
    return layer < s->layers->count ? text_of(&s->layers->item[layer], "kernel") : NULL;
}

static layer_groups changed_layers(differ *d) {
    const int olds = d->was.layers->count, news = d->is.layers->count;
    const int most = olds > news ? olds : news;
    layer_groups all = {arena_alloc(d->a, ((size_t)most + 1) * sizeof(layer_group)), 0};
    name_index x = index_new(d->a, most);
    for (int i = 0; i < most; i++) {
        const char *was = layer_kernel(&d->was, i), *is = layer_kernel(&d->is, i);
        if (was && is && !strcmp(was, is)) continue;
        const char *pair = arena_printf(d->a, "%s\n%s\n%s", was ? was : "", is ? is : "",
                                        !was  ? "added"
                                        : !is ? "removed"
                                              : "changed");
        const int at = index_add(&x, pair, all.count);
        if (at == all.count) all.group[all.count++] = (layer_group){was, is, buf_new(d->a), -1, -1};
        add_layer(&all.group[at], i);
    }
    for (int i = 0; i < all.count; i++) close_run(&all.group[i]);
    return all;
}

/* Layers past the end of the other side. */
static void say_layer_counts(differ *d, const layer_groups *all) {
    if (d->was.layers->count == d->is.layers->count) return;
    buf_printf(&d->out, "layers: %d -> %d\n", d->was.layers->count, d->is.layers->count);
    for (int i = 0; i < all->count; i++) {
        const layer_group *g = &all->group[i];
        if (g->was && g->is) continue;
        buf_printf(&d->out, "  layer %s %s: %s\n", g->list.data, g->was ? "removed" : "added",
                   text_shown(d->a, g->was ? g->was : g->is));
    }
}

static void tell(side *s, const char *kernel) {
    int i;
    if (index_find(&s->kernels.rows, kernel, &i)) s->told[i] = true;
}

/* Layers whose kernel is another now, once a pair of kernels. */
static void say_changed_layers(differ *d, const layer_groups *all) {
    for (int i = 0; i < all->count; i++) {
        const layer_group *g = &all->group[i];
        if (!g->was || !g->is) continue;
        buf_printf(&d->out, "layer %s: %s\n  -> %s\n", g->list.data, text_shown(d->a, g->was),
                   text_shown(d->a, g->is));
        say_kernel(d, row_named(&d->was.kernels, g->was), row_named(&d->is.kernels, g->is));
        tell(&d->was, g->was);
        tell(&d->is, g->is);
    }
}

static void say_old_kernel(differ *d, int i) {
    const json_val *row = &d->was.kernels.list->item[i];
    const char *name = text_of(row, "name");
    const json_val *now = row_named(&d->is.kernels, name);
    if (!now && !d->was.told[i])
        buf_printf(&d->out, "kernel removed: %s\n", text_shown(d->a, name));
    if (!now) return;
    const size_t before = d->out.len;
    buf_printf(&d->out, "kernel changed: %s\n", text_shown(d->a, name));
    const size_t header = d->out.len;
    say_kernel(d, row, now);
    heading_end(d, before, header);
}

static void say_new_kernel(differ *d, int i) {
    const json_val *row = &d->is.kernels.list->item[i], *facts = optional(row, "semantics");
    const char *name = text_of(row, "name");
    if (d->is.told[i] || row_named(&d->was.kernels, name)) return;
    buf_printf(&d->out, "kernel added: %s\n", text_shown(d->a, name));
    for (int k = 0; k < count_of(facts); k++)
        buf_printf(&d->out, "  %s\n", text_shown(d->a, facts->item[k].string));
}

static void say_kernels(differ *d) {
    for (int i = 0; i < count_of(d->was.kernels.list); i++) say_old_kernel(d, i);
    for (int i = 0; i < count_of(d->is.kernels.list); i++) say_new_kernel(d, i);
}

/* --- Sources and files. --- */

static void say_sources(differ *d) {
    const json_val *was = optional(d->was.root, "sources"), *is = optional(d->is.root, "sources");
    if (strcmp(text_of(was, "templates"), text_of(is, "templates")))
        buf_puts(&d->out, "templates: changed: the code of every kernel may differ\n");
    if (strcmp(text_of(was, "runtime"), text_of(is, "runtime")))
        buf_puts(&d->out, "runtime: changed\n");
}

/* The manifest is read above, member by member. */
static void say_files(differ *d) {
    const json_val *was = d->was.files.list, *is = d->is.files.list;
    for (int i = 0; i < count_of(was); i++) {
        const char *path = text_of(&was->item[i], "path");
        const json_val *now = row_named(&d->is.files, path);
        if (!now)
            buf_printf(&d->out, "file removed: %s\n", text_shown(d->a, path));
        else if (strcmp(text_of(&was->item[i], "hash"), text_of(now, "hash")))
            buf_printf(&d->out, "file changed: %s\n", text_shown(d->a, path));
    }
    for (int i = 0; i < count_of(is); i++) {
        const char *path = text_of(&is->item[i], "path");
        if (!row_named(&d->was.files, path))
            buf_printf(&d->out, "file added: %s\n", text_shown(d->a, path));
    }
}

static void say_edit(differ *d, const side *s, const json_val *row) {
    diag ignored = {0};
    size_t size;
    const char *file = text_of(row, "path");
    const char *path = arena_printf(d->a, "%s/%s", s->dir, file), *shown = text_shown(d->a, path);
    const char *what;
    const bool ours = disk_path_is_ours(file);
    const disk_entry is = ours ? disk_look_in(s->dir, file, &what) : DISK_ODD;
    if (is == DISK_ODD) {
        buf_printf(&d->out, "%s: is no file of the folder\n", shown);
        return;
    }
    const char *text = disk_read_in(d->a, s->dir, file, FILE_MAX_BYTES, &size, &ignored);
    if (!text)
        buf_printf(&d->out, "%s: missing\n", shown);
    else if (strcmp(manifest_hash(d->a, text, size), text_of(row, "hash")))
        buf_printf(&d->out, "%s: edited since it was generated\n", shown);
}

/* Files that are not what their folder's manifest says. */
static void say_edits(differ *d, const side *s) {
    for (int i = 0; i < count_of(s->files.list); i++) say_edit(d, s, &s->files.list->item[i]);
}

static void compare(differ *d) {
    static const char *const skip[] = {"options", "sources", "layers", "kernels", "files", NULL};
    static const char *const none[] = {NULL};
    const layer_groups layers = changed_layers(d);
    say_members(d, "", d->was.root, d->is.root, skip, false);
    say_members(d, "option ", optional(d->was.root, "options"), optional(d->is.root, "options"),
                none, false);
    say_layer_counts(d, &layers);
    say_changed_layers(d, &layers);
    say_kernels(d);
    say_sources(d);
    say_files(d);
    say_edits(d, &d->was);
    say_edits(d, &d->is);
}

bool diff_manifests(arena *a, const diff_folder *was, const diff_folder *is, const char **report,
                    diag *d) {
    differ f = {.a = a, .out = buf_new(a)};
    if (!read_side(a, was->dir, was->manifest, &f.was, d) ||
        !read_side(a, is->dir, is->manifest, &f.is, d))
        return false;
    compare(&f);
    *report = f.out.data;
    return true;
}

bool diff_folders(arena *a, const char *old_dir, const char *new_dir, const char **report,
                  diag *d) {
    const diff_folder was = {old_dir, manifest_load(a, old_dir, d)};
    const diff_folder is = {new_dir, was.manifest ? manifest_load(a, new_dir, d) : NULL};
    return is.manifest && diff_manifests(a, &was, &is, report, d);
}
