#include "single.h"

#include "isa.h"
#include "rename.h"
#include "spec.h"
#include "version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SINGLE_MAX_BYTES = 64 << 20 };

/* Lines of the .c that hold the model file, the tune file and the options. */
static const char model_mark[] = "//| ", tune_mark[] = "//+ ", options_mark[] = "//! ";

typedef struct single {
    arena *a;
    const model *m;
    const gen_options *o;
    const gen_files *folder;
    const char *ident;
    name_set done; /* paths of headers that stand in the .c already */
    buf c;
} single;

static bool starts(const char *s, const char *with) {
    return !strncmp(s, with, strlen(with));
}

static const gen_file *find(const single *s, const char *path) {
    for (int i = 0; i < s->folder->count; i++)
        if (!strcmp(s->folder->file[i].path, path)) return &s->folder->file[i];
    return NULL;
}

/* --- Includes. --- */

/* "runtime/simd/avx2.h" and "../attn_kernel.h" -> "runtime/attn_kernel.h" */
static const char *resolve(arena *a, const char *from, const char *include) {
    const char *slash = strrchr(from, '/');
    int dir = slash ? (int)(slash - from) : 0;
    while (starts(include, "../")) {
        include += 3;
        while (dir > 0 && from[--dir] != '/') continue;
    }
    return dir ? arena_printf(a, "%.*s/%s", dir, from, include) : include;
}

/* The path that the line at p includes, or null. */
static const char *included(arena *a, const char *from, const char *p) {
    static const char word[] = "#include \"";
    if (!starts(p, word)) return NULL;
    p += strlen(word);
    return resolve(a, from, arena_strndup(a, p, strcspn(p, "\"")));
}

/* The instruction set whose header this is, or -1. */
static int isa_header(arena *a, const char *path) {
    for (int i = 0; i < ATTN_ISA_COUNT; i++)
        if (!strcmp(path, arena_printf(a, "runtime/simd/%s.h", isa_table[i].name))) return i;
    return -1;
}

/* The instruction set that a source is for, or -1. */
static int isa_of(arena *a, const gen_file *f) {
    for (const char *p = f->text; p; p = strchr(p, '\n')) {
        p += *p == '\n';
        const char *path = included(a, f->path, p);
        const int isa = path ? isa_header(a, path) : -1;
        if (isa >= 0) return isa;
    }
    return -1;
}

static const char *field_type(const attn_field *f) {
    return f->kind == ATTN_KIND_FLOAT ? "float" : "int32_t";
}

/* The members that attn.h makes from spec_fields.def. */
static void spec_members(buf *b) {
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        if (f->offset < 0) continue;
        buf_printf(b, "    %s %s; /* %s */\n", field_type(f), f->name, f->help);
    }
}

/* A header's or a source's text with its own includes in their places: headers that stand in the
 * file already are left out, instruction sets' headers too (their section opens with them). */
static void expand(single *s, const gen_file *f, buf *b, bool members) {
    for (const char *p = f->text; *p;) {
        const size_t n = strcspn(p, "\n") + 1;
        const char *path = included(s->a, f->path, p);
        const gen_file *header = path ? find(s, path) : NULL;
        /* The banner says it for all. */
        if (starts(p, "/* Copyright ") || (members && starts(p, "#define ATTN_FIELD_"))) {
            p += n;
            continue;
        }
        if (!header) {
            buf_add(b, p, n);
        } else if (members && strstr(path, "spec_fields.def")) {
            spec_members(b);
        } else if (isa_header(s->a, path) < 0 && !name_set_has(&s->done, path, strlen(path))) {
            expand(s, header, b, members);
        }
        p += n;
    }
}

static void mark_done(single *s, const char *path) {
    s->done.name = s->done.name
                       ? s->done.name
                       : arena_alloc(s->a, ((size_t)s->folder->count + 1) * sizeof(char *));
    s->done.name[s->done.count++] = path;
}

/* --- Sections of the .c. --- */

static void title(single *s, const char *text) {
    buf_printf(&s->c, "\n/* ==== %s ==== */\n", text);
}

/* A header that many sources share, once, before all of them; those that it needs first. */
static void put_header(single *s, const char *path) {
    const gen_file *f = find(s, path);
    if (!f || name_set_has(&s->done, path, strlen(path))) return;
    mark_done(s, f->path);
    for (const char *p = f->text; p; p = strchr(p, '\n')) {
        p += *p == '\n';
        const char *inner = included(s->a, f->path, p);
        if (inner && !strstr(inner, ".def")) put_header(s, inner);
    }
    title(s, path);
    expand(s, f, &s->c, false);
}

/* Headers of a source that are no instruction set's. */
static void put_headers(single *s, const gen_file *f) {
    for (const char *p = f->text; p; p = strchr(p, '\n')) {
        p += *p == '\n';
        const char *path = included(s->a, f->path, p);
        if (path && isa_header(s->a, path) < 0 && !strstr(path, ".def")) put_header(s, path);
    }
}

static void undefine(single *s, const char *text) {
    name_set macros = {.a = s->a};
    defined_macros(text, &macros);
    for (int i = 0; i < macros.count; i++)
        if (!strstr(text, arena_printf(s->a, "#undef %s\n", macros.name[i])))
            buf_printf(&s->c, "#undef %s\n", macros.name[i]);
}

/* A source under names of its own. */
static void put_source(single *s, const gen_file *f, const char *text, const char *prefix) {
    name_set names = {.a = s->a};
    declared_names(text, &names);
    title(s, f->path);
    buf_puts(&s->c, rename_text(s->a, text, &names, prefix));
    undefine(s, text);
}

static const char *expanded(single *s, const gen_file *f) {
    buf b = buf_new(s->a);
    expand(s, f, &b, false);
    return b.data;
}

static const char *stem(arena *a, const char *path) {
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    return arena_strndup(a, base, strcspn(base, "."));
}

/* The pragmas with which an instruction set's header opens its target region; a source ends the
 * region, so that every further one opens it again. Empty where there is none. */
static const char *target_begin(arena *a, const char *header) {
    buf b = buf_new(a);
    const char *p = strstr(header, "#if defined(__clang__)"),
               *end = p ? strstr(p, "#endif\n") : NULL;
    while (p && p < end + strlen("#endif\n")) {
        const size_t n = strcspn(p, "\n") + 1;
        if (!starts(p, "#define ")) buf_add(&b, p, n);
        p += n;
    }
    return strstr(b.data, "push") ? b.data : "";
}

static bool is_source(const gen_file *f) {
    const size_t n = strlen(f->path);
    return n > 2 && !strcmp(f->path + n - 2, ".c") && strcmp(f->path, "selftest.c") &&
           strcmp(f->path, "registry.c");
}

/* All sources of an instruction set, after its header. */
static void put_isa(single *s, int isa) {
    const isa_row *row = &isa_table[isa];
    const gen_file *header = find(s, arena_printf(s->a, "runtime/simd/%s.h", row->name));
    name_set vocabulary = {.a = s->a};
    const char *text = NULL, *prefix = arena_printf(s->a, "%s_", row->name);
    int number = 0;
    for (int i = 0; i < s->folder->count; i++) {
        const gen_file *f = &s->folder->file[i];
        if (!is_source(f) || isa_of(s->a, f) != isa) continue;
        if (!text) {
            if (row->guard) buf_printf(&s->c, "\n#if %s\n", row->guard);
            title(s, header->path);
            text = expanded(s, header);
            declared_names(text, &vocabulary);
            buf_puts(&s->c, rename_text(s->a, text, &vocabulary, prefix));
        } else {
            buf_puts(&s->c, "\n");
            buf_puts(&s->c, target_begin(s->a, header->text));
        }
        const char *body = rename_text(s->a, expanded(s, f), &vocabulary, prefix);
        put_source(s, f, body, arena_printf(s->a, "%s_k%d_", row->name, ++number));
    }
    if (!text) return;
    undefine(s, text);
    if (row->guard) buf_puts(&s->c, "#endif\n");
}

/* --- The two files. --- */

static void put_lines(buf *b, const char *mark, const char *text) {
    for (const char *p = text; *p;) {
        const size_t n = strcspn(p, "\n");
        buf_printf(b, "%.*s%.*s\n", n ? (int)strlen(mark) : (int)strlen(mark) - 1, mark, (int)n, p);
        p += n + (p[n] == '\n');
    }
}

static void put_banner(single *s) {
    buf_printf(
        &s->c,
        "/* %s.c\n"
        " * Attention of the model %s, with its runtime: all of it, in one file.\n"
        " * Generated by attn-gen " ATTN_GEN_VERSION "; do not edit: attn-gen check %s.c "
        "reports it.\n"
        " * Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD\n"
        " *\n"
        " *     cc -O2 -c %s.c            no other flag is needed; link with -lm\n"
        " *     cc -O2 -fopenmp -c %s.c   calls may use several threads\n"
        " *\n"
        " * Kernels of each instruction set are compiled for it by attributes, and the best "
        "that the CPU\n"
        " * runs is chosen when a plan is made. The model, and the options it was made with: "
        "*/\n",
        s->ident, s->m->name, s->ident, s->ident, s->ident);
    put_lines(&s->c, options_mark,
              arena_printf(s->a, "isa %s\nunroll %d\n", isa_list(s->a, s->o->isa_mask, ","),
                           s->o->unroll));
    put_lines(&s->c, model_mark, model_to_lua(s->a, s->m));
    if (s->o->tune) put_lines(&s->c, tune_mark, s->o->tune->text);
    buf_printf(&s->c,
               "#if defined(__clang__)\n"
               "/* What headers offer is used by some models only. */\n"
               "#pragma clang diagnostic ignored \"-Wunused-function\"\n"
               "#endif\n"
               "#include \"%s.h\"\n",
               s->ident);
}

static const char *source_text(single *s) {
    put_banner(s);
    const gen_file *registry = find(s, "registry.c");
    mark_done(s, arena_printf(s->a, "%s.h", s->ident));
    mark_done(s, "runtime/attn.h");
    put_headers(s, registry);
    for (int i = 0; i < s->folder->count; i++)
        if (is_source(&s->folder->file[i])) put_headers(s, &s->folder->file[i]);
    for (int i = 0; i < s->folder->count; i++) {
        const gen_file *f = &s->folder->file[i];
        if (!is_source(f) || isa_of(s->a, f) >= 0) continue;
        put_source(s, f, expanded(s, f), arena_printf(s->a, "%s_", stem(s->a, f->path)));
    }
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) put_isa(s, isa);
    title(s, registry->path);
    buf_puts(&s->c, expanded(s, registry));
    return s->c.data;
}

static const char *header_text(single *s) {
    buf b = buf_new(s->a);
    expand(s, find(s, arena_printf(s->a, "%s.h", s->ident)), &b, true);
    return b.data;
}

bool single_render(arena *a, const model *m, const gen_options *o, const gen_files *folder,
                   gen_files *out, diag *d) {
    if (o->runtime)
        return diag_set(d, "--runtime: a single file holds its runtime; leave this flag out");
    single s = {a, m, o, folder, model_identifier(a, m->name), {.a = a}, buf_new(a)};
    out->file = arena_alloc(a, 2 * sizeof *out->file);
    out->count = 2;
    out->file[1] = (gen_file){.path = arena_printf(a, "%s.h", s.ident), .text = header_text(&s)};
    out->file[0] = (gen_file){.path = arena_printf(a, "%s.c", s.ident), .text = source_text(&s)};
    return true;
}

/* --- On disk. --- */

/* A file of that name which is not ours. */
static bool is_foreign(arena *a, const char *path) {
    diag ignored = {0};
    if (access(path, F_OK)) return false;
    const char *text = read_file(a, path, SINGLE_MAX_BYTES, NULL, &ignored);
    return !text || !strstr(arena_strndup(a, text, strnlen(text, 2000)), "Generated by attn-gen");
}

bool single_write(arena *a, const char *dir, const gen_files *files, diag *d) {
    if (!access(arena_printf(a, "%s/manifest.json", dir), F_OK))
        return diag_set(d, "-o: %s is a generated folder (it has a manifest.json): name another",
                        dir);
    for (int i = 0; i < files->count; i++) {
        const char *path = arena_printf(a, "%s/%s", dir, files->file[i].path);
        if (is_foreign(a, path))
            return diag_set(d,
                            "-o: %s exists and was not written by attn-gen: move it, or give the "
                            "model another name (--name)",
                            path);
    }
    return gen_write_files(a, dir, files, d);
}

/* What stands after the mark on the lines that have it. */
static const char *marked(arena *a, const char *text, const char *mark) {
    buf b = buf_new(a);
    const size_t length = strlen(mark);
    for (const char *p = text; p; p = strchr(p, '\n')) {
        p += *p == '\n';
        if (strncmp(p, mark, length - 1)) continue;
        const size_t n = strcspn(p, "\n");
        if (n > length) buf_add(&b, p + length, n - length);
        buf_puts(&b, "\n");
    }
    return b.data;
}

static bool read_options(arena *a, const char *path, const char *text, gen_options *o, diag *d) {
    const char *lines = marked(a, text, options_mark), *unroll = strstr(lines, "\nunroll ");
    if (!starts(lines, "isa ") || !unroll)
        return diag_set(d, "%s: not a single file of attn-gen: the options are missing", path);
    o->isa_mask = isa_parse(arena_strndup(a, lines + 4, strcspn(lines + 4, "\n")), d);
    o->unroll = atoi(unroll + 8);
    return o->isa_mask != 0;
}

/* The tune file that the lines hold, if there are any. */
static bool read_tune(arena *a, const char *path, const char *text, const model *m, gen_options *o,
                      diag *d) {
    const char *lines = marked(a, text, tune_mark);
    if (!*lines) return true;
    tune_set *tune = arena_alloc(a, sizeof *tune);
    o->tune = tune;
    return tune_read(a, path, lines, m, tune, d);
}

bool single_load(arena *a, const char *path, model *m, gen_options *o, diag *d) {
    const char *text = read_file(a, path, SINGLE_MAX_BYTES, NULL, d);
    return text && read_options(a, path, text, o, d) &&
           model_from_lua(a, path, marked(a, text, model_mark), m, d) &&
           read_tune(a, path, text, m, o, d);
}

bool single_check(arena *a, const char *path, const char *templates, const char **report, diag *d) {
    gen_options o = {.templates = templates};
    model m;
    gen_files folder, files;
    if (!single_load(a, path, &m, &o, d) || !gen_render(a, &m, &o, &folder, d) ||
        !single_render(a, &m, &o, &folder, &files, d))
        return false;
    const char *slash = strrchr(path, '/');
    const char *dir = slash ? arena_strndup(a, path, (size_t)(slash - path)) : ".";
    *report = gen_differences(a, dir, &files);
    return true;
}
