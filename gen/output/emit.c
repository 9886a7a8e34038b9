#include "emit.h"

#include "plan/block_plan.h"
#include "disk.h"
#include "embedded.h"
#include "spec/facts.h"
#include "manifest.h"
#include "plan/plan.h"
#include "render.h"
#include "text.h"
#include "version.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 16 << 20 };

/* --- Data for templates. --- */

static lua_val *lua_text(arena *a, const char *s) {
    lua_val *v = arena_alloc(a, sizeof *v);
    *v = (lua_val){.kind = LUA_VAL_STRING, .string = s};
    return v;
}

static lua_val *lua_int(arena *a, int64_t i) {
    lua_val *v = arena_alloc(a, sizeof *v);
    *v = (lua_val){.kind = LUA_VAL_INT, .integer = i};
    return v;
}

static const char *enumerator(arena *a, const attn_field *f, int32_t value) {
    char name[64];
    attn_enum_name(f, value, name, sizeof name);
    char *s = arena_printf(a, "ATTN_%s_%s", f->name, name);
    for (char *p = s; *p; p++) *p = (char)toupper((unsigned char)*p);
    return s;
}

/* A field's value as a C initialiser. */
static const char *field_initialiser(arena *a, const attn_field *f, const attn_spec *spec) {
    const double v = attn_field_get(f, spec);
    const bool is_float = f->kind == ATTN_KIND_FLOAT;
    if (!attn_field_is_set(f, spec)) return is_float ? "ATTN_UNSET_F" : "ATTN_UNSET";
    if (f->kind == ATTN_KIND_ENUM) return enumerator(a, f, (int32_t)v);
    return is_float ? arena_printf(a, "%af", v) : arena_printf(a, "%d", (int)v);
}

/* A core spec's fields of layers are at their defaults. */
static bool idle(const attn_field *f, const attn_spec *spec) {
    return spec->level == ATTN_LEVEL_CORE && (f->applies & ATTN_IN_BLOCK);
}

/* The spec's members as lines of an initialiser: one a line, those that say nothing together. */
static lua_val *fields_to_lua(arena *a, const attn_spec *spec) {
    lua_val *list = lua_val_table(a);
    buf rest = buf_new(a);
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        if (!attn_field_is_member(f)) continue;
        const char *member = arena_printf(a, ".%s = %s,", f->name, field_initialiser(a, f, spec));
        if (!idle(f, spec)) {
            lua_val_push(a, list, lua_text(a, member));
            continue;
        }
        if (rest.len + strlen(member) > 80) {
            lua_val_push(a, list, lua_text(a, rest.data));
            rest = buf_new(a);
        }
        buf_printf(&rest, "%s%s", rest.len ? " " : "", member);
    }
    if (rest.len) lua_val_push(a, list, lua_text(a, rest.data));
    return list;
}

/* A line of a comment, in pieces of at most `width` columns; breaks at blanks. */
static void push_wrapped(arena *a, lua_val *list, const char *text, size_t width) {
    const char *indent = "", *s = text_c_comment(a, text);
    while (strlen(s) + strlen(indent) > width) {
        size_t n = width - strlen(indent);
        while (n > 0 && s[n] != ' ') n--;
        if (n == 0) n = width - strlen(indent);
        lua_val_push(a, list, lua_text(a, arena_printf(a, "%s%.*s", indent, (int)n, s)));
        s += n + (s[n] == ' ');
        indent = "  ";
    }
    lua_val_push(a, list, lua_text(a, arena_printf(a, "%s%s", indent, s)));
}

/* What the kernel computes, in words. */
static lua_val *facts_to_lua(arena *a, const kernel_spec *k) {
    const fact_list facts = facts_of(a, k);
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < facts.count; i++)
        if (facts.fact[i].banner)
            push_wrapped(a, list, arena_printf(a, "%s%s", facts.fact[i].lead, facts.fact[i].text),
                         92);
    return list;
}

static lua_val *lines_to_lua(arena *a, const expr_lines *lines) {
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < lines->count; i++) lua_val_push(a, list, lua_text(a, lines->line[i]));
    return list;
}

static lua_val *code_to_lua(arena *a, const expr *e, expr_mode mode, int vectors,
                            const char *prefix) {
    expr_code code;
    expr_emit_vector(a, e, mode, vectors, prefix, &code);
    lua_val *t = lua_val_table(a), *results = lua_val_table(a);
    for (int j = 0; j < vectors; j++) lua_val_push(a, results, lua_text(a, code.result[j]));
    lua_val_set(a, t, "once", lines_to_lua(a, &code.once));
    lua_val_set(a, t, "key", lines_to_lua(a, &code.key));
    lua_val_set(a, t, "lane", lines_to_lua(a, &code.lane));
    lua_val_set(a, t, "result", results);
    return t;
}

/* lanes: what the kernel's lanes compute; e says it in other units where it is a score. */
static lua_val *expr_to_lua(arena *a, const expr *e, const expr *lanes, const plan *p,
                            const char *prefix) {
    lua_val *t = lua_val_table(a), *tiles = lua_val_table(a);
    expr_lines scalar = expr_emit_scalar(a, e);
    lua_val_set_string(a, t, "text", text_c_comment(a, expr_canonical(a, e)));
    lua_val_set(a, t, "scalar", lines_to_lua(a, &scalar));
    for (int nv = 1; nv <= p->tile_vectors; nv++)
        lua_val_push(a, tiles, code_to_lua(a, lanes, EXPR_TILE, nv, prefix));
    lua_val_set(a, t, "tile", tiles);
    lua_val_set(a, t, "lanes", code_to_lua(a, lanes, EXPR_LANES, 1, prefix));
    return t;
}

static lua_val *sides_to_lua(arena *a, const kernel_spec *k) {
    lua_val *list = lua_val_table(a);
    static const char *const names[] = {NULL,
                                        "ATTN_DIM_BATCH",
                                        "ATTN_DIM_HEADS",
                                        "ATTN_DIM_KV_HEADS",
                                        "ATTN_DIM_Q_LEN",
                                        "ATTN_DIM_KV_LEN"};
    for (int i = 0; i < k->tensor_count; i++) {
        const attn_side_decl *side = &k->tensors[i];
        lua_val *row = lua_val_table(a), *dims = lua_val_table(a);
        for (int j = 0; j < side->rank; j++)
            lua_val_push(a, dims,
                         lua_text(a, side->dim[j] < 0 ? names[-side->dim[j]]
                                                      : arena_printf(a, "%d", side->dim[j])));
        lua_val_set_string(a, row, "name", side->name);
        lua_val_set_bool(a, row, "is_float", side->is_float);
        lua_val_set_int(a, row, "rank", side->rank);
        lua_val_set(a, row, "dims", dims);
        lua_val_push(a, list, row);
    }
    return list;
}

/* Null if the kernel has no expressions. */
static lua_val *exprs_to_lua(arena *a, const kernel_spec *k, const plan *p) {
    if (!k->score_expr && !k->mask_expr && !k->tensor_count && !k->scalar_count) return NULL;
    lua_val *t = lua_val_table(a);
    lua_val_set_bool(a, t, "score", false);
    lua_val_set_bool(a, t, "mask", false);
    if (k->score_expr) lua_val_set(a, t, "score", expr_to_lua(a, k->score_expr, p->score, p, "e"));
    if (k->mask_expr) {
        lua_val *mask = expr_to_lua(a, k->mask_expr, k->mask_expr, p, "c");
        expr_lines classify = expr_emit_classify(a, k->mask_expr);
        expr_lines range = expr_emit_range(a, k->mask_expr);
        lua_val_set(a, mask, "classify", lines_to_lua(a, &classify));
        lua_val_set(a, mask, "range", lines_to_lua(a, &range));
        lua_val_set_string(a, mask, "range_text",
                           text_c_comment(a, expr_range_text(a, k->mask_expr)));
        lua_val_set(a, t, "mask", mask);
    }
    lua_val_set(a, t, "sides", sides_to_lua(a, k));
    lua_val_set_int(a, t, "scalar_count", k->scalar_count);
    return t;
}

/* Of what a file was made from. p: null for layers, which no tune file changes. */
static const char *digest(arena *a, const kernel_spec *k, const plan *p) {
    buf b = buf_new(a);
    buf_printf(&b, "%s\n%s\n%s\n", k->name, k->score ? expr_canonical(a, k->score_expr) : "",
               k->mask ? expr_canonical(a, k->mask_expr) : "");
    for (int i = 0; i < k->tensor_count; i++)
        buf_printf(&b, "%s\n", expr_decl_canonical(a, &k->tensors[i]));
    for (int i = 0; p && i < PLAN_PARAMS; i++)
        if (p->tuned >> i & 1)
            buf_printf(&b, "%s=%d\n", plan_params[i].name, plan_choice_get(&p->choice, i));
    return arena_printf(a, "%016llx", (unsigned long long)hash64(b.data, b.len));
}

static lua_val *spec_to_lua(arena *a, const kernel_spec *k, const plan *p, const char *const *note,
                            int count) {
    const attn_spec *s = &k->core;
    lua_val *t = lua_val_table(a), *notes = lua_val_table(a);
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        if (!attn_field_is_member(f)) continue;
        char name[ATTN_FIELD_TEXT_MAX];
        if (f->kind == ATTN_KIND_ENUM) {
            attn_field_text(f, s, name); /* "" where unset */
            lua_val_set_string(a, t, f->name, arena_strdup(a, name));
        } else if (f->kind == ATTN_KIND_BOOL) {
            lua_val_set_bool(a, t, f->name, attn_field_get(f, s) == 1);
        } else if (f->kind == ATTN_KIND_INT) {
            lua_val_set_int(a, t, f->name, (int32_t)attn_field_get(f, s));
        }
    }
    if (s->level == ATTN_LEVEL_BLOCK && s->norm_eps != ATTN_UNSET_F)
        lua_val_set_float(a, t, "norm_eps", (double)s->norm_eps);
    lua_val_set_float(a, t, "scale", s->scale);
    if (s->softcap > 0)
        lua_val_set_float(a, t, "softcap", s->softcap);
    else
        lua_val_set_bool(a, t, "softcap", false);
    for (int i = 0; i < count; i++) push_wrapped(a, notes, note[i], 92);
    lua_val_set(a, t, "fields", fields_to_lua(a, s));
    lua_val_set_string(a, t, "hash", arena_printf(a, "0x%08xu", s->expr_hash));
    lua_val_set_string(a, t, "digest", digest(a, k, p));
    lua_val_set(a, t, "facts", facts_to_lua(a, k));
    lua_val_set(a, t, "notes", notes);
    return t;
}

/* False where every target has the instruction set. */
static void set_guard(arena *a, lua_val *t, const isa_row *isa) {
    if (isa->guard)
        lua_val_set_string(a, t, "guard", isa->guard);
    else
        lua_val_set_bool(a, t, "guard", false);
}

static lua_val *isa_to_lua(arena *a, const isa_row *isa) {
    lua_val *t = lua_val_table(a);
    lua_val_set_string(a, t, "name", isa->name);
    lua_val_set_string(a, t, "id", isa->id);
    lua_val_set_string(a, t, "engine", isa->engine);
    lua_val_set_int(a, t, "width", isa->width);
    lua_val_set_int(a, t, "registers", isa->registers);
    set_guard(a, t, isa);
    return t;
}

/* --- Rendering. --- */

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

/* The runtime, seen from the folder: sources include it by this path, so that no -I is needed. */
static const char *runtime_path(const gen_options *o) {
    return o->runtime ? o->runtime : "runtime";
}

void gen_plan(arena *a, const kernel_spec *k, const isa_row *isa, const gen_options *o, plan *out) {
    const plan_choice *choice = tune_find(o->tune, k->name, (attn_isa)(isa - isa_table));
    plan_make(a, k, isa, o->unroll, choice, out);
}
/* What products include: attn.h, and what it includes itself. */
static const char *const public_headers[] = {"attn.h", "spec_fields.def", "types.def", NULL};

static bool render_kernel(output *out, const template_set *set, const kernel_spec *k,
                          const isa_row *isa, const gen_options *o, diag *d) {
    arena *a = out->a;
    plan p;
    gen_plan(a, k, isa, o, &p);
    lua_val *data = lua_val_table(a), *plan_table = plan_to_lua(a, &p);
    lua_val_set(a, data, "plan", plan_table);
    lua_val_set(a, data, "spec", spec_to_lua(a, k, &p, p.note, p.notes));
    lua_val_set(a, data, "isa", isa_to_lua(a, isa));
    lua_val_set(a, data, "expr", exprs_to_lua(a, k, &p));
    lua_val *package = lua_val_table(a);
    lua_val_set_string(a, package, "runtime", runtime_path(o));
    lua_val_set_bool(a, package, "tuned", o->tune != NULL);
    lua_val_set(a, data, "package", package);
    const char *text;
    if (!render(a, set, "kernel.c", data, &text, d)) return false;
    add_file(out, arena_printf(a, "%s.c", p.symbol), text);
    return true;
}

static bool render_block(output *out, const template_set *set, const model *m, const kernel_spec *k,
                         const isa_row *isa, const gen_options *o, diag *d) {
    arena *a = out->a;
    plan core;
    block_plan p;
    gen_plan(a, &m->kernels[k->inner], isa, o, &core);
    block_plan_make(a, k, isa, &p);
    lua_val *data = lua_val_table(a), *plan_table = block_plan_to_lua(a, &p);
    lua_val_set_string(a, plan_table, "core", arena_strdup(a, core.symbol));
    if (k->expanded >= 0) gen_plan(a, &m->kernels[k->expanded], isa, o, &core);
    lua_val_set_string(a, plan_table, "expanded", arena_strdup(a, core.symbol));
    lua_val_set(a, data, "plan", plan_table);
    lua_val_set(a, data, "spec", spec_to_lua(a, k, NULL, p.note, p.notes));
    lua_val_set(a, data, "isa", isa_to_lua(a, isa));
    lua_val *package = lua_val_table(a);
    lua_val_set_string(a, package, "runtime", runtime_path(o));
    lua_val_set_bool(a, package, "tuned", o->tune != NULL);
    lua_val_set(a, data, "package", package);
    const char *text;
    if (!render(a, set, "block.c", data, &text, d)) return false;
    add_file(out, arena_printf(a, "%s.c", p.symbol), text);
    return true;
}

static char *upper(arena *a, const char *s) {
    char *u = arena_strdup(a, s);
    for (char *p = u; *p; p++) *p = (char)toupper((unsigned char)*p);
    return u;
}

/* "0..3, 5": the layers that are a kernel, or (inside) that have it as their core. */
static const char *layer_list(arena *a, const model *m, int kernel, bool inside, int *count) {
    buf b = buf_new(a);
    *count = 0;
    for (int i = 0, end; i < m->layer_count; i = end + 1) {
        for (end = i; end < m->layer_count; end++)
            if (!model_layer_runs(m, end, kernel) || (m->layer_kernel[end] == kernel) == inside)
                break;
        if (end == i) continue;
        end--;
        buf_printf(&b, "%s%d", b.len ? ", " : "", i);
        if (end > i) buf_printf(&b, "%s%d", end == i + 1 ? ", " : "..", end);
        *count += end - i + 1;
    }
    return b.data;
}

/* "Layers 0..3, 5", "Inside layer 4": lines; none where there are no such layers. */
static void push_layers(arena *a, lua_val *lines, const model *m, int kernel, bool inside) {
    int count;
    const char *list = layer_list(a, m, kernel, inside, &count);
    const char *word = inside ? "Inside layer" : "Layer";
    if (count)
        push_wrapped(a, lines, arena_printf(a, "%s%s %s", word, count > 1 ? "s" : "", list), 90);
}

static const char *kernel_symbol(arena *a, const kernel_spec *k, int isa, const gen_options *o) {
    plan p;
    block_plan layer;
    if (k->core.level == ATTN_LEVEL_BLOCK) {
        block_plan_make(a, k, &isa_table[isa], &layer);
        return arena_strdup(a, layer.symbol);
    }
    gen_plan(a, k, &isa_table[isa], o, &p);
    return arena_strdup(a, p.symbol);
}

/* The symbols of kernels and of layers, an entry an instruction set; and the folder's C files. */
static void kernel_lists(arena *a, const model *m, const gen_options *o, lua_val *t) {
    lua_val *groups = lua_val_table(a), *sources = lua_val_table(a);
    bool any_block = false, any_core = false; /* layers */
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
        if (!(o->isa_mask >> isa & 1)) continue;
        lua_val *group = lua_val_table(a), *symbols = lua_val_table(a), *blocks = lua_val_table(a);
        set_guard(a, group, &isa_table[isa]);
        for (int i = 0; i < m->kernel_count; i++) {
            const bool block = m->kernels[i].core.level == ATTN_LEVEL_BLOCK;
            const char *symbol = kernel_symbol(a, &m->kernels[i], isa, o);
            any_block = any_block || block;
            any_core = any_core || (!block && m->kernels[i].outer);
            lua_val_push(a, block ? blocks : symbols, lua_text(a, symbol));
            lua_val_push(a, sources, lua_text(a, arena_printf(a, "%s.c", symbol)));
        }
        lua_val_set(a, group, "symbols", symbols);
        lua_val_set(a, group, "blocks", blocks);
        lua_val_push(a, groups, group);
    }
    lua_val_push(a, sources, lua_text(a, "registry.c"));
    lua_val_set(a, t, "isa_kernels", groups);
    lua_val_set(a, t, "sources", sources);
    lua_val_set_bool(a, t, "has_blocks", any_block);
    lua_val_set_bool(a, t, "has_cores", any_core);
}

/* What the build files list of the runtime: its sources, and the headers that products see. */
static void runtime_lists(arena *a, const gen_options *o, lua_val *t) {
    lua_val *sources = lua_val_table(a), *headers = lua_val_table(a);
    for (size_t i = 0; i < embedded_file_count; i++) {
        const char *path = embedded_files[i].path;
        if (strncmp(path, "runtime/", 8)) continue;
        if (ends_with(path, ".c")) lua_val_push(a, sources, lua_text(a, path + 8));
    }
    for (int i = 0; public_headers[i]; i++)
        lua_val_push(a, headers,
                     lua_text(a, arena_printf(a, "%s/%s", runtime_path(o), public_headers[i])));
    lua_val_set(a, t, "runtime_sources", sources);
    lua_val_set(a, t, "public_headers", headers);
    lua_val_set_bool(a, t, "shared_runtime", o->runtime != NULL);
}

static lua_val *model_data(arena *a, const model *m, const gen_options *o) {
    lua_val *t = lua_val_table(a), *kernels = lua_val_table(a), *layers = lua_val_table(a);
    const char *ident = model_identifier(a, m->name);
    for (int i = 0; i < m->kernel_count; i++) {
        lua_val *k = lua_val_table(a), *where = lua_val_table(a);
        push_layers(a, where, m, i, false);
        push_layers(a, where, m, i, true);
        lua_val_set_string(a, k, "name", m->kernels[i].name);
        lua_val_set_bool(a, k, "outer", m->kernels[i].outer);
        lua_val_set(a, k, "where", where);
        lua_val_set(a, k, "facts", facts_to_lua(a, &m->kernels[i]));
        lua_val_set(a, k, "fields", fields_to_lua(a, &m->kernels[i].core));
        lua_val_set_string(a, k, "hash", arena_printf(a, "0x%08xu", m->kernels[i].core.expr_hash));
        lua_val_push(a, kernels, k);
    }
    for (int i = 0; i < m->layer_count; i++)
        lua_val_push(a, layers, lua_int(a, m->layer_kernel[i] + 1));
    lua_val_set_string(a, t, "name", m->name);
    lua_val_set_string(a, t, "file", ident);
    lua_val_set_string(a, t, "ident", ident);
    lua_val_set_string(a, t, "short", strlen(ident) > 40 ? "NAME" : ident);
    lua_val_set_string(a, t, "version", ATTN_GEN_VERSION);
    lua_val_set_string(a, t, "guard_stem", upper(a, ident));
    lua_val_set_string(a, t, "guard", arena_printf(a, "ATTN_MODEL_%s_H", upper(a, ident)));
    lua_val_set_string(a, t, "isas", isa_list(a, o->isa_mask, ","));
    lua_val_set_string(a, t, "runtime", runtime_path(o));
    lua_val_set_int(a, t, "layer_count", m->layer_count);
    lua_val_set(a, t, "layer_kernel", layers);
    lua_val_set(a, t, "kernels", kernels);
    kernel_lists(a, m, o, t);
    runtime_lists(a, o, t);
    return t;
}

/* What the folder's Makefile builds and its files include. */
static void add_runtime(output *out) {
    for (size_t i = 0; i < embedded_file_count; i++)
        if (!strncmp(embedded_files[i].path, "runtime/", 8))
            add_file(out, embedded_files[i].path, embedded_files[i].text);
}

bool gen_render(arena *a, const model *m, const gen_options *o, gen_files *files, diag *d) {
    *files = (gen_files){0};
    output out = {a, files, 0};
    template_set set;
    if (o->runtime && !text_plain_path(o->runtime))
        return diag_set(
            d,
            "--runtime: must be a path of letters, digits and / . _ - + , = @ that does "
            "not start with '-', so that C, make, CMake and shells read it alike; got "
            "'%s': link or copy the runtime to such a path",
            text_shown(a, o->runtime));
    if (!templates_load(a, o->templates, &set, d)) return false;
    for (int i = 0; i < m->kernel_count; i++)
        for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
            const kernel_spec *k = &m->kernels[i];
            if (!(o->isa_mask >> isa & 1)) continue;
            if (k->core.level == ATTN_LEVEL_BLOCK
                    ? !render_block(&out, &set, m, k, &isa_table[isa], o, d)
                    : !render_kernel(&out, &set, k, &isa_table[isa], o, d))
                return false;
        }
    lua_val *data = lua_val_table(a);
    lua_val_set(a, data, "model", model_data(a, m, o));
    const char *ident = model_identifier(a, m->name);
    const struct {
        const char *template, *path;
    } package[] = {
        {"package/header.h", arena_printf(a, "%s.h", ident)},
        {"package/registry.c", "registry.c"},
        {"package/selftest.c", "selftest.c"},
        {"package/Makefile", "Makefile"},
        {"package/CMakeLists.txt", "CMakeLists.txt"},
        {"package/model.pc", arena_printf(a, "%s.pc", ident)},
    };
    for (size_t i = 0; i < sizeof package / sizeof *package; i++) {
        const char *text;
        if (o->runtime && !strcmp(package[i].template, "package/model.pc")) continue;
        if (!render(a, &set, package[i].template, data, &text, d)) return false;
        add_file(&out, package[i].path, text);
    }
    add_file(&out, "model.lua", model_to_lua(a, m));
    if (o->tune) add_file(&out, "tune.lua", o->tune->text);
    if (!o->runtime) add_runtime(&out);
    add_file(&out, "manifest.json", manifest_text(a, m, o, &set, files));
    return true;
}

/* --- The folder. --- */

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
    if (!gen_folder(a, dir, &m, &o, d) || !gen_render(a, &m, &o, &files, d)) return false;
    buf b = buf_new(a);
    buf_puts(&b, gen_differences(a, dir, &files));
    find_orphans(a, dir, "", &files, &b);
    *report = b.data;
    return true;
}
