#include "data.h"

#include "binding.h"
#include "disk.h"
#include "embedded.h"
#include "spec/facts.h"
#include "text.h"
#include "version.h"
#include "weight_types.h"

#include <ctype.h>
#include <string.h>

/* --- One kernel or layer. --- */

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

/* Lines of an initialiser: .weight_types[ATTN_MATRIX_V_PROJ] = 1 + ATTN_WEIGHT_Q8_0, */
static void push_types(arena *a, lua_val *list, const attn_field *f, const attn_spec *s) {
    static const char *const ids[] = {
#define MATRIX_ID(id, name) #id,
        ATTN_MATRICES(MATRIX_ID)
#undef MATRIX_ID
    };
    for (int32_t i = 0; i < ATTN_MATRIX_COUNT; i++) {
        if (!s->weight_types[i]) continue;
        char *type = arena_strdup(a, attn_weight_get(s->weight_types[i] - 1).name);
        for (char *p = type; *p; p++) *p = (char)toupper((unsigned char)*p);
        lua_val_push(a, list,
                     lua_text(a, arena_printf(a, ".%s[ATTN_MATRIX_%s] = 1 + ATTN_WEIGHT_%s,",
                                              f->name, ids[i], type)));
    }
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
        if (!attn_field_is_member(f) || attn_field_is_silent(f, spec)) continue;
        if (f->kind == ATTN_KIND_TYPES) {
            push_types(a, list, f, spec);
            continue;
        }
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
    lua_val_set_bool(a, t, "relative", kernel_spec_relative(a, k));
    lua_val_set(a, t, "sides", sides_to_lua(a, k));
    lua_val_set_int(a, t, "scalar_count", k->scalar_count);
    return t;
}

static lua_val *spec_to_lua(arena *a, const product *p) {
    const kernel_spec *k = p->spec;
    const attn_spec *s = &k->core;
    lua_val *t = lua_val_table(a), *notes = lua_val_table(a);
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        if (!attn_field_is_member(f)) continue;
        char name[ATTN_FIELD_TEXT_MAX];
        if (f->kind == ATTN_KIND_ENUM) {
            attn_enum_name(f, (int32_t)attn_field_get(f, s), name, sizeof name); /* unset: "" */
            lua_val_set_string(a, t, f->name, arena_strdup(a, name));
        } else if (f->kind == ATTN_KIND_BOOL) {
            lua_val_set_bool(a, t, f->name, attn_field_get(f, s) == 1);
        } else if (f->kind == ATTN_KIND_INT) {
            lua_val_set_int(a, t, f->name, (int32_t)attn_field_get(f, s));
        } else if (f->kind == ATTN_KIND_FLOAT && f->id == '.') {
            lua_val_set_float(a, t, f->name, attn_field_get(f, s));
        }
    }
    if (s->level == ATTN_LEVEL_BLOCK && s->norm_eps != ATTN_UNSET_F)
        lua_val_set_float(a, t, "norm_eps", (double)s->norm_eps);
    lua_val_set_float(a, t, "scale", s->scale);
    if (s->softcap > 0)
        lua_val_set_float(a, t, "softcap", s->softcap);
    else
        lua_val_set_bool(a, t, "softcap", false);
    for (int i = 0; i < p->notes; i++) push_wrapped(a, notes, p->note[i], 92);
    lua_val_set(a, t, "fields", fields_to_lua(a, s));
    lua_val_set_string(a, t, "hash", arena_printf(a, "0x%08xu", s->expr_hash));
    lua_val_set_string(a, t, "digest", p->digest);
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

/* What makes a file again, in its folder. */
static const char *command(arena *a, const gen_options *o, const char *isas) {
    const char *unroll = o->unroll < 0   ? " --unroll full"
                         : o->unroll > 0 ? arena_printf(a, " --unroll %d", o->unroll)
                                         : "";
    return arena_printf(a, "attn-gen generate model.lua --isa %s%s%s -o DIR", isas,
                        o->tune ? " --tune tune.lua" : "", unroll);
}

/* Its lines as a comment shows them: two where one would be too wide. */
static lua_val *command_lines(arena *a, const char *whole) {
    enum { WIDE = 84 };
    lua_val *list = lua_val_table(a);
    const char *rest = strlen(whole) > WIDE ? strstr(whole, " --tune") : NULL;
    if (strlen(whole) > WIDE && !rest) rest = strstr(whole, " -o ");
    const int first = rest ? (int)(rest - whole) : (int)strlen(whole);
    lua_val_set_string(a, list, NULL, arena_printf(a, "%.*s%s", first, whole, rest ? " \\" : ""));
    if (rest) lua_val_set_string(a, list, NULL, arena_printf(a, "   %s", rest));
    return list;
}

static lua_val *layer_plan(arena *a, const product *p) {
    lua_val *t = block_plan_to_lua(a, &p->block_plan);
    const product *expanded = p->expanded ? p->expanded : p->core;
    lua_val_set_string(a, t, "core", p->core->symbol);
    lua_val_set_string(a, t, "expanded", expanded->symbol);
    lua_val_set(a, t, "kv", plan_type_to_lua(a, attn_spec_types(&p->spec->core).k));
    lua_val_set_bool(a, t, "scaled", attn_spec_scaled(&p->spec->core));
    lua_val_set(a, t, "rotate", plan_rotation_to_lua(a, attn_spec_rotation(&p->spec->core)));
    return t;
}

lua_val *product_data(arena *a, const product *p, const gen_options *o) {
    lua_val *t = lua_val_table(a);
    lua_val_set(a, t, "plan", p->layer ? layer_plan(a, p) : plan_for_templates(a, &p->plan));
    lua_val_set(a, t, "spec", spec_to_lua(a, p));
    lua_val_set(a, t, "isa", isa_to_lua(a, p->isa));
    if (!p->layer) lua_val_set(a, t, "expr", exprs_to_lua(a, p->spec, &p->plan));
    lua_val *package = lua_val_table(a);
    lua_val_set_string(a, package, "command", command(a, o, p->isa->name));
    lua_val_set_string(a, package, "prefix", p->prefix);
    lua_val_set(a, t, "package", package);
    return t;
}

/* --- The folder. --- */

/* What products include: attn.h, and what it includes itself. */
static const char *const public_headers[] = {"attn.h", "spec_fields.def", "types.def",
                                             "weight_types.def", NULL};

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

/* Whether a kernel is inside layers, and in all of these for long items alone. */
static bool is_expanded(const model *m, int kernel) {
    bool expanded = false;
    for (int i = 0; i < m->layer_count; i++) {
        if (!model_layer_runs(m, i, kernel)) continue;
        expanded = m->kernels[m->layer_kernel[i]].expanded == kernel;
        if (!expanded) return false;
    }
    return expanded;
}

/* "Layers 0..3, 5", "Inside layer 4": lines; none where there are no such layers. */
static void push_layers(arena *a, lua_val *lines, const model *m, int kernel, bool inside) {
    int count;
    const char *list = layer_list(a, m, kernel, inside, &count);
    const char *word = inside ? "Inside layer" : "Layer";
    const char *when = is_expanded(m, kernel) ? ", where keys are expanded to heads" : "";
    if (count)
        push_wrapped(a, lines, arena_printf(a, "%s%s %s%s", word, count > 1 ? "s" : "", list, when),
                     90);
}

bool runtime_needs(const model *m, const char *path) {
    static const char *const whole[] = {"runtime/model", "runtime/attn_model.h", "runtime/json.",
                                        "runtime/safetensors."};
    if (strncmp(path, "runtime/", 8)) return false;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (!strncmp(path, whole[i], strlen(whole[i]))) return m->is_whole;
    return true;
}

/* As a C initializer. */
static const char *floats_text(arena *a, const attn_floats *list) {
    buf b = buf_new(a);
    if (!list->count) return "{NULL, 0}";
    buf_puts(&b, "{(const float[]){");
    for (int i = 0; i < list->count; i++)
        buf_printf(&b, "%s%s%af", i ? "," : "", i % 4 ? " " : "\n            ",
                   (double)list->data[i]);
    buf_printf(&b, "}, %d}", list->count);
    return b.data;
}

/* What stands around the layers: C initialisers, and words of those fields that say something. */
static void whole_lists(arena *a, const model *m, lua_val *t) {
    lua_val *fields = lua_val_table(a), *words = lua_val_table(a);
    attn_model_spec usual;
    whole_begin(&usual);
    for (int i = 0; i < whole_field_count && m->is_whole; i++) {
        const whole_field *f = &whole_fields[i];
        const double v = whole_get(f, &m->whole);
        const char *text = whole_text(a, f, &m->whole);
        lua_val_push(a, fields,
                     lua_text(a, f->kind == WHOLE_FLOAT ? arena_printf(a, ".%s = %af,", f->name, v)
                                 : f->kind == WHOLE_FLOATS
                                     ? arena_printf(a, ".%s = %s,", f->name,
                                                    floats_text(a, whole_list(f, &m->whole)))
                                 : f->kind == WHOLE_ENUM
                                     ? arena_printf(a, ".%s = %d, /* %s */", f->name, (int)v, text)
                                     : arena_printf(a, ".%s = %d,", f->name, (int)v)));
        if (v != whole_get(f, &usual))
            push_wrapped(a, words, arena_printf(a, "%s = %s: %s", f->name, text, f->help), 90);
    }
    lua_val_set(a, t, "whole_fields", fields);
    lua_val_set(a, t, "whole", words);
    lua_val_set_bool(a, t, "is_whole", m->is_whole);
    lua_val_set_bool(a, t, "has_encoder", m->is_whole && m->whole.encoder_layers > 0);
}

static bool rounds_weights(const attn_spec *s) {
    bool any = s->weight_type != ATTN_WEIGHT_F32;
    for (int32_t i = 0; i < ATTN_MATRIX_COUNT; i++) any = any || s->weight_types[i];
    return any;
}

/* The symbols of kernels and of layers, an entry an instruction set; and the folder's C files. */
static void kernel_lists(arena *a, const product_list *p, lua_val *t) {
    const model *m = p->model;
    lua_val *groups = lua_val_table(a), *sources = lua_val_table(a);
    bool any_block = false, any_core = false; /* layers */
    bool any_type = false;                    /* that is not f32 */
    bool any_dot = false;                     /* whose products round */
    bool any_weight = false;                  /* likewise, of layers */
    bool any_byte = false;                    /* that rows of a layer become */
    bool any_layout = false;                  /* that is not dense */
    bool any_list = false;                    /* of keys that rows are over */
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
        if (!(p->options->isa_mask >> isa & 1)) continue;
        lua_val *group = lua_val_table(a), *symbols = lua_val_table(a), *blocks = lua_val_table(a);
        if (m->kernel_count) set_guard(a, group, &isa_table[isa]);
        for (int i = 0; i < m->kernel_count; i++) {
            const product *row = product_on(p, i, isa);
            if (!row) continue;
            any_block = any_block || row->layer;
            any_type = any_type || row->spec->core.type != ATTN_TYPE_F32 ||
                       row->spec->core.kv_type != ATTN_KV_TYPE_SAME;
            any_dot = any_dot || row->plan.pairs || row->plan.codes.q_most;
            any_weight = any_weight || rounds_weights(&row->spec->core);
            any_byte = any_byte || (row->block_plan.integers && row->block_plan.int_bytes == 1);
            any_list = any_list || row->spec->core.select != ATTN_SELECT_ALL;
            any_layout = any_layout || row->spec->core.layout != ATTN_LAYOUT_DENSE;
            any_core = any_core || (!row->layer && row->spec->outer);
            lua_val_push(a, row->layer ? blocks : symbols, lua_text(a, row->symbol));
            lua_val_push(a, sources, lua_text(a, arena_printf(a, "%s.c", row->symbol)));
        }
        lua_val_set(a, group, "symbols", symbols);
        lua_val_set(a, group, "blocks", blocks);
        lua_val_push(a, groups, group);
    }
    lua_val_push(a, sources, lua_text(a, "registry.c"));
    if (m->is_whole)
        lua_val_push(a, sources,
                     lua_text(a, arena_printf(a, "%s_model.c", model_identifier(a, m->name))));
    lua_val_set(a, t, "isa_kernels", groups);
    lua_val_set(a, t, "sources", sources);
    lua_val_set_bool(a, t, "has_blocks", any_block);
    lua_val_set_bool(a, t, "has_cores", any_core);
    lua_val_set_bool(a, t, "has_types", any_type);
    lua_val_set_bool(a, t, "has_dots", any_dot);
    lua_val_set_bool(a, t, "has_weights", any_weight);
    lua_val_set_bool(a, t, "has_bytes", any_byte);
    lua_val_set_bool(a, t, "has_layouts", any_layout);
    lua_val_set_bool(a, t, "has_lists", any_list);
}

/* What the build files list of the runtime: its sources, and the headers that products see. */
static void runtime_lists(arena *a, const product_list *p, lua_val *t) {
    const gen_options *o = p->options;
    lua_val *sources = lua_val_table(a), *headers = lua_val_table(a);
    const char *runtime = o->runtime ? o->runtime : "runtime";
    for (size_t i = 0; i < embedded_file_count; i++) {
        const char *path = embedded_files[i].path;
        if (runtime_needs(p->model, path) && ends_with(path, ".c"))
            lua_val_push(a, sources, lua_text(a, path + 8));
    }
    for (int i = 0; public_headers[i]; i++)
        lua_val_push(a, headers, lua_text(a, arena_printf(a, "%s/%s", runtime, public_headers[i])));
    if (p->model->is_whole)
        lua_val_push(a, headers, lua_text(a, arena_printf(a, "%s/attn_model.h", runtime)));
    lua_val_set(a, t, "runtime_sources", sources);
    lua_val_set(a, t, "public_headers", headers);
    lua_val_set_string(a, t, "runtime", runtime);
    lua_val_set_bool(a, t, "shared_runtime", o->runtime != NULL);
    lua_val_set_string(a, t, "beside_runtime", disk_folder_of(a, runtime));
}

/* What the hash in a layer's name stands for; nothing of a core, whose name says it. */
static lua_val *spelled_fields(arena *a, const attn_spec *spec) {
    lua_val *lines = lua_val_table(a);
    buf b = buf_new(a);
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        char text[ATTN_FIELD_TEXT_MAX];
        if (!attn_field_is_member(f) || !attn_field_applies(f, spec, NULL)) continue;
        if (attn_field_text(f, spec, text)) buf_printf(&b, " %s=%s", f->name, text);
    }
    if (spec->level == ATTN_LEVEL_BLOCK)
        push_wrapped(a, lines, arena_printf(a, "Fields:%s", b.data), 90);
    return lines;
}

lua_val *model_data(arena *a, const product_list *p) {
    const model *m = p->model;
    const gen_options *o = p->options;
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
        lua_val_set(a, k, "spelled", spelled_fields(a, &m->kernels[i].core));
        lua_val_set(a, k, "fields", fields_to_lua(a, &m->kernels[i].core));
        lua_val_set_string(a, k, "hash", arena_printf(a, "0x%08xu", m->kernels[i].core.expr_hash));
        lua_val_set(a, k, "call", binding_of(a, &m->kernels[i]));
        lua_val_push(a, kernels, k);
    }
    for (int i = 0; i < m->layer_count; i++)
        lua_val_push(a, layers, lua_int(a, m->layer_kernel[i] + 1));
    lua_val_set_string(a, t, "name", m->name);
    lua_val_set_string(a, t, "file", ident);
    lua_val_set_string(a, t, "ident", ident);
    lua_val_set_string(a, t, "word", binding_name(a, ident));
    lua_val_set_string(a, t, "short", strlen(ident) > 40 ? "NAME" : ident);
    lua_val_set_string(a, t, "version", ATTN_GEN_VERSION);
    lua_val_set_string(a, t, "guard_stem", upper(a, ident));
    lua_val_set_string(a, t, "guard", arena_printf(a, "ATTN_MODEL_%s_H", upper(a, ident)));
    lua_val_set_string(a, t, "isas", isa_list(a, o->isa_mask, ","));
    const bool all = o->isa_mask == isa_all(); /* the list would be too long for a line */
    lua_val_set(a, t, "command",
                command_lines(a, command(a, o, all ? "all" : isa_list(a, o->isa_mask, ","))));
    lua_val_set_int(a, t, "layer_count", m->layer_count);
    lua_val_set_int(a, t, "kernel_abi", ATTN_KERNEL_ABI);
    lua_val_set(a, t, "layer_kernel", layers);
    lua_val_set(a, t, "kernels", kernels);
    kernel_lists(a, p, t);
    runtime_lists(a, p, t);
    whole_lists(a, m, t);
    return t;
}
