#include "report.h"

#include "cpu.h"
#include "plan/block_plan.h"

#include "explain.h"
#include "spec/facts.h"
#include "markup.h"
#include "memory.h"
#include "picture.h"
#include "words.h"
#include "output/emit.h"
#include "output/render.h"
#include "text.h"
#include "types.h"
#include "version.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PLOT_POINTS = 41, PLOT_LINES = 5 };

/* Context lengths of the tables: these, and the one asked for; the plots run from the first of
 * plot_context(). */
typedef struct context_list {
    int32_t n[6];
    int count;
} context_list;

static context_list contexts(int32_t asked) {
    static const int32_t usual[] = {512, 2048, 8192, 32768, 131072};
    context_list list = {{0}, 0};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        if (asked > 0 && asked < usual[i]) list.n[list.count++] = asked;
        if (asked <= usual[i]) asked = -1;
        list.n[list.count++] = usual[i];
    }
    if (asked > 0) list.n[list.count++] = asked;
    return list;
}

/* --- Text. --- */

/* Three digits and a decimal prefix: "1.25 M". */
static const char *count_text(arena *a, double v) {
    static const char *const prefix[] = {"", "k", "M", "G", "T", "P"};
    int i = 0;
    while (v >= 999.5 && i < 5) v /= 1000, i++;
    const int decimals = i == 0 || v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2;
    return arena_printf(a, "%.*f%s%s", decimals, v, i ? " " : "", prefix[i]);
}

static const char *bytes_text(arena *a, double v) {
    return arena_printf(a, "%s%sB", count_text(a, v), v < 999.5 ? " " : "");
}

/* 10 to the power of a decade, without decimals. */
static const char *decade_text(arena *a, int decade, const char *unit) {
    static const char *const prefix[] = {"", "k", "M", "G", "T", "P", "E"};
    const int i = decade < 0 ? 0 : decade / 3 < 6 ? decade / 3 : 6;
    const char *blank = i || *unit ? " " : "";
    return arena_printf(a, "%.0f%s%s%s", pow(10, decade - 3 * i), blank, prefix[i], unit);
}

/* 512, 2 K, 128 K */
static const char *context_text(arena *a, int32_t n) {
    return n % 1024 ? arena_printf(a, "%d", n) : arena_printf(a, "%d K", n / 1024);
}

/* --- Costs. --- */

typedef struct kernel_info {
    const kernel_spec *k;
    const plan *p;     /* of its attention, on the widest instruction set asked for */
    const product *of; /* there */
    int layers;
    const char *layer_text;
    double packed; /* bytes of a layer's weights; 0: attention alone */
} kernel_info;

/* Points of the plots: eight a doubling would be smooth; four are. 128 .. 131072 keys. */
static int32_t plot_context(int i) {
    return (int32_t)lround(128 * exp2(i / 4.0));
}

typedef struct line {
    const char *label;
    double y[PLOT_POINTS];
} line;

/* --- Plots: both axes in logarithms. --- */

enum { PLOT_LEFT = 58, PLOT_TOP = 26, PLOT_WIDTH = 280, PLOT_HEIGHT = 150 };

typedef struct scale {
    double low, high; /* decades */
} scale;

/* Nothing at all stands on the lower edge. */
static double plot_y(const scale *s, double v) {
    const double at = v > 0 ? log10(v) : s->low;
    return PLOT_TOP + PLOT_HEIGHT * (s->high - at) / (s->high - s->low);
}

/* Whole decades around all of it, two at least. */
static scale scale_of(const line *lines, int count) {
    scale s = {30, 0};
    for (int i = 0; i < count; i++)
        for (int j = 0; j < PLOT_POINTS; j++) {
            const double v = lines[i].y[j];
            s.low = fmin(s.low, v > 1 ? floor(log10(v)) : 0);
            s.high = fmax(s.high, v > 1 ? ceil(log10(v)) : 0);
        }
    if (s.high - s.low < 2) s.low = fmax(0, s.low - 1);
    if (s.high - s.low < 2) s.high = s.low + 2;
    return s;
}

static lua_val *y_ticks(arena *a, const scale *s, const char *unit) {
    lua_val *list = lua_val_table(a);
    const int every = s->high - s->low > 6 ? 2 : 1;
    for (int decade = (int)s->low; decade <= (int)s->high; decade += every) {
        lua_val *row = lua_val_table(a);
        const double v = pow(10, decade);
        lua_val_set_string(a, row, "at", arena_printf(a, "%.1f", plot_y(s, v)));
        lua_val_set_string(a, row, "label", decade_text(a, decade, unit));
        lua_val_push(a, list, row);
    }
    return list;
}

static double plot_x(int i) {
    return PLOT_LEFT + (double)PLOT_WIDTH * i / (PLOT_POINTS - 1);
}

static lua_val *x_ticks(arena *a) {
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < PLOT_POINTS; i += 8) {
        lua_val *row = lua_val_table(a);
        lua_val_set_string(a, row, "at", arena_printf(a, "%.1f", plot_x(i)));
        lua_val_set_string(a, row, "label", context_text(a, plot_context(i)));
        lua_val_push(a, list, row);
    }
    return list;
}

static const char *points(arena *a, const scale *s, const line *l) {
    buf b = buf_new(a);
    for (int i = 0; i < PLOT_POINTS; i++)
        buf_printf(&b, "%s%.1f,%.1f",
                   i == 0  ? ""
                   : i % 7 ? " "
                           : "\n",
                   plot_x(i), plot_y(s, l->y[i]));
    return b.data;
}

static lua_val *plot(arena *a, const char *title, const char *unit, const line *lines, int count) {
    lua_val *t = lua_val_table(a), *list = lua_val_table(a);
    const scale s = scale_of(lines, count);
    for (int i = 0; i < count; i++) {
        lua_val *row = lua_val_table(a);
        lua_val_set_string(a, row, "label", lines[i].label);
        lua_val_set_string(a, row, "points", points(a, &s, &lines[i]));
        lua_val_push(a, list, row);
    }
    lua_val_set_string(a, t, "title", title);
    lua_val_set_int(a, t, "left", PLOT_LEFT);
    lua_val_set_int(a, t, "top", PLOT_TOP);
    lua_val_set_int(a, t, "right", PLOT_LEFT + PLOT_WIDTH);
    lua_val_set_int(a, t, "bottom", PLOT_TOP + PLOT_HEIGHT);
    lua_val_set(a, t, "x_ticks", x_ticks(a));
    lua_val_set(a, t, "y_ticks", y_ticks(a, &s, unit));
    lua_val_set(a, t, "lines", list);
    return t;
}

/* --- The page's data. --- */

/* With a capital in front, but for names: of forms, of arguments (kv_len[b]), of types. */
static const char *first_big(arena *a, const char *of) {
    static const char *const names[] = {"mla", "lse", "swiglu", "geglu", "rmsnorm", "layernorm"};
    char *text = arena_strdup(a, of);
    const size_t word = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    if (text[word] && !strchr(" ,;:.-", text[word])) return text;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (word == strlen(names[i]) && !strncmp(text, names[i], word)) return text;
    *text = (char)toupper((unsigned char)*text);
    return text;
}

/* Code as it is, with what it defines. */
static const char *sentence(arena *a, const fact *f) {
    return f->code ? arena_printf(a, "%s%s", f->lead, f->text) : first_big(a, f->text);
}

static lua_val *facts_data(arena *a, const kernel_spec *k, bool banner) {
    const fact_list facts = facts_of(a, k);
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < facts.count; i++) {
        if (facts.fact[i].banner != banner) continue;
        lua_val *row = lua_val_table(a);
        lua_val_set_string(a, row, "topic", facts.fact[i].topic);
        lua_val_set_string(a, row, "text", markup_fold(a, sentence(a, &facts.fact[i])));
        lua_val_set_bool(a, row, "code", facts.fact[i].code);
        lua_val_push(a, list, row);
    }
    return list;
}

static lua_val *fields_data(arena *a, const kernel_spec *k) {
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < attn_field_count; i++) {
        const char *value = words_of_field(a, &attn_fields[i], &k->core);
        if (!value) continue;
        lua_val *row = lua_val_table(a);
        lua_val_set_string(a, row, "name", attn_fields[i].name);
        lua_val_set_string(a, row, "value", value);
        lua_val_set_string(a, row, "help", markup_fold(a, attn_fields[i].help));
        lua_val_push(a, list, row);
    }
    return list;
}

static lua_val *notes_data(arena *a, const plan *p) {
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < p->notes; i++) {
        lua_val *row = lua_val_table(a);
        lua_val_set_string(a, row, "text", markup_fold(a, p->note[i]));
        lua_val_push(a, list, row);
    }
    return list;
}

/* A row an instruction set: the file, its size, its tiles. */
static lua_val *isas_data(arena *a, const product_list *products, int kernel,
                          const gen_files *files) {
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < products_count(products, kernel); i++) {
        const product *of = &products_of(products, kernel)[i], *core = of->core;
        const plan *p = &core->plan;
        double source = (double)explain_source_bytes(a, files, core->symbol);
        const char *file = arena_printf(a, "%s.c", core->symbol);
        if (of->layer) { /* the layer's own file, and its cores' */
            source += (double)explain_source_bytes(a, files, of->symbol);
            file = arena_printf(a, "%s.c and %s", of->symbol, file);
        }
        if (of->expanded) {
            source += (double)explain_source_bytes(a, files, of->expanded->symbol);
            file = arena_printf(a, "%s, where keys are expanded %s.c", file, of->expanded->symbol);
        }
        lua_val *row = lua_val_table(a);
        lua_val_set_string(a, row, "name", of->isa->name);
        lua_val_set_string(a, row, "file", markup_fold(a, file));
        lua_val_set_string(a, row, "source", bytes_text(a, source));
        lua_val_set_string(
            a, row, "tile",
            p->tiled ? arena_printf(a, "%d x %d", p->tile_vectors * of->isa->width, p->key_block)
                     : arena_printf(a, "%d keys", p->gather_keys));
        lua_val_set_string(a, row, "thread", bytes_text(a, (double)plan_scratch(p)));
        lua_val_push(a, list, row);
    }
    return list;
}

static lua_val *costs_data(arena *a, const kernel_info *f, const context_list *c) {
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < c->count; i++) {
        const int32_t n = c->n[i];
        const work w = memory_token_work(f->of, n);
        const size_t prefill = memory_prompt_workspace(f->of, n, 1);
        lua_val *row = lua_val_table(a);
        lua_val_set_string(a, row, "context", context_text(a, n));
        lua_val_set_string(a, row, "flops", count_text(a, w.flops));
        lua_val_set_string(a, row, "bytes", bytes_text(a, w.bytes));
        lua_val_set_string(a, row, "step", bytes_text(a, (double)w.workspace));
        lua_val_set_string(a, row, "step_exact", arena_printf(a, "%zu", w.workspace));
        lua_val_set_string(a, row, "prefill", bytes_text(a, (double)prefill));
        lua_val_set_string(a, row, "prefill_exact", arena_printf(a, "%zu", prefill));
        lua_val_push(a, list, row);
    }
    return list;
}

static void kernel_lines(const kernel_info *f, line *flops, line *bytes) {
    for (int i = 0; i < PLOT_POINTS; i++) {
        const work w = memory_token_work(f->of, plot_context(i));
        flops->y[i] = w.flops;
        bytes->y[i] = w.bytes;
    }
}

static bool falls(const line *l) {
    for (int i = 1; i < PLOT_POINTS; i++)
        if (l->y[i] < l->y[i - 1]) return true;
    return false;
}

static lua_val *kernel_data(arena *a, const kernel_info *f, int number, lua_val *isas,
                            const explain_extent *e, const context_list *c) {
    lua_val *t = lua_val_table(a);
    line flops = {"one layer", {0}}, bytes = flops;
    const explain_extent shown = picture_extent(f->k, e);
    kernel_lines(f, &flops, &bytes);
    lua_val_set_int(a, t, "number", number);
    lua_val_set_string(a, t, "name", markup_fold(a, f->k->name));
    lua_val_set_string(a, t, "words",
                       markup_fold(a, arena_printf(a, "%s: %s.", first_big(a, f->layer_text),
                                                   words_of_kernel(a, f->k))));
    lua_val_set_int(a, t, "layer_count", f->layers);
    lua_val_set_bool(a, t, "bound", work_needs_data(f->k));
    lua_val_set_bool(a, t, "uneven", falls(&flops));
    lua_val_set_int(a, t, "plot_points", PLOT_POINTS);
    lua_val_set_bool(a, t, "gathers", !f->p->tiled);
    lua_val_set_string(a, t, "isa", isa_table[f->p->isa].name);
    lua_val_set_string(a, t, "cache", bytes_text(a, work_cache_bytes(f->k, f->p)));
    lua_val_set_bool(a, t, "whole", f->of->layer);
    lua_val_set_string(a, t, "weights", f->of->layer ? bytes_text(a, f->packed) : "");
    lua_val_set_string(a, t, "types",
                       f->of->layer ? markup_fold(a, explain_type_bytes(a, f->of, bytes_text))
                                    : "");
    lua_val_set(a, t, "facts", facts_data(a, f->k, true));
    lua_val_set(a, t, "rules", facts_data(a, f->k, false));
    lua_val_set(a, t, "picture",
                picture_make(a, f->k, f->p, &shown, arena_printf(a, "k%d", number)));
    lua_val_set(a, t, "isas", isas);
    lua_val_set(a, t, "costs", costs_data(a, f, c));
    lua_val_set(a, t, "flops", plot(a, "FLOPs a token, one layer", "", &flops, 1));
    lua_val_set(a, t, "bytes", plot(a, "Bytes a token, one layer", "B", &bytes, 1));
    lua_val_set(a, t, "fields", fields_data(a, f->k));
    lua_val_set(a, t, "notes", notes_data(a, f->p));
    return t;
}

/* A row a kernel, in the order of their first layers. */
static lua_val *layers_data(arena *a, const kernel_info *f, int count) {
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < count; i++) {
        lua_val *row = lua_val_table(a);
        lua_val_set_string(a, row, "which", markup_fold(a, first_big(a, f[i].layer_text)));
        lua_val_set_int(a, row, "kernel", i + 1);
        lua_val_set_string(a, row, "words", markup_fold(a, words_of_kernel(a, f[i].k)));
        lua_val_push(a, list, row);
    }
    return list;
}

/* What a whole model has around its layers, where it says more than the defaults do. */
static lua_val *around_data(arena *a, const model *m) {
    lua_val *list = lua_val_table(a);
    attn_model_spec usual;
    whole_begin(&usual);
    for (int i = 0; i < whole_field_count && m->is_whole; i++) {
        const whole_field *f = &whole_fields[i];
        if (whole_get(f, &m->whole) == whole_get(f, &usual)) continue;
        lua_val *row = lua_val_table(a);
        lua_val_set_string(a, row, "name", f->name);
        lua_val_set_string(a, row, "value", markup_fold(a, whole_text(a, f, &m->whole)));
        lua_val_set_string(a, row, "help", markup_fold(a, f->help));
        lua_val_push(a, list, row);
    }
    return list;
}

/* What all of them cache. */
static const char *cache_type(const kernel_info *f, int count) {
    for (int i = 1; i < count; i++)
        if (f[i].p->type.k != f[0].p->type.k) return "as stored";
    return attn_type_get(f[0].p->type.k).name;
}

/* All layers together. */
static lua_val *totals_data(arena *a, const product_list *p, const context_list *c) {
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < c->count; i++) {
        const int32_t n = c->n[i];
        const memory all = memory_of(p, n);
        lua_val *row = lua_val_table(a);
        lua_val_set_string(a, row, "context", context_text(a, n));
        lua_val_set_string(a, row, "flops", count_text(a, all.flops));
        lua_val_set_string(a, row, "bytes", bytes_text(a, all.bytes));
        lua_val_set_string(a, row, "cache", bytes_text(a, all.token * n));
        lua_val_set_string(a, row, "step", bytes_text(a, (double)all.step));
        lua_val_set_string(a, row, "prefill", bytes_text(a, (double)all.prompt));
        lua_val_push(a, list, row);
    }
    return list;
}

static void push_text(arena *a, lua_val *list, const char *text) {
    lua_val *row = lua_val_table(a);
    lua_val_set_string(a, row, "text", text);
    lua_val_push(a, list, row);
}

/* The matrices around the layers. */
static lua_val *tables_data(arena *a, const model *m) {
    memory_table table[MEMORY_TABLES];
    const int tables = memory_tables(m, table);
    lua_val *list = lua_val_table(a);
    for (int i = 0; i < tables; i++)
        push_text(a, list,
                  arena_printf(a, "%s: %s", first_big(a, table[i].name),
                               memory_table_text(a, &table[i], bytes_text)));
    return list;
}

/* Weights are there once, keys and values a user, workspace a call of one user's prompt. */
static void set_memory(arena *a, lua_val *page, const product_list *p, const context_list *c,
                       int32_t users) {
    const int32_t columns[] = {1, 8, 64, users};
    const int wide = users > 0 && users != 1 && users != 8 && users != 64 ? 4 : 3;
    lua_val *heads = lua_val_table(a), *rows = lua_val_table(a);
    memory all = {0};
    for (int u = 0; u < wide; u++)
        push_text(a, heads, arena_printf(a, "%d user%s", columns[u], u ? "s" : ""));
    for (int i = 0; i < c->count; i++) {
        lua_val *row = lua_val_table(a), *cells = lua_val_table(a);
        all = memory_of(p, c->n[i]);
        for (int u = 0; u < wide; u++)
            push_text(
                a, cells,
                bytes_text(a, all.packed + columns[u] * all.token * c->n[i] + (double)all.prompt));
        lua_val_set_string(a, row, "context", context_text(a, c->n[i]));
        lua_val_set(a, row, "cells", cells);
        lua_val_push(a, rows, row);
    }
    lua_val_set_bool(a, page, "whole", all.packed > 0);
    lua_val_set_string(a, page, "weights", bytes_text(a, all.packed));
    lua_val_set_string(a, page, "token", bytes_text(a, all.token));
    lua_val_set(a, page, "tables", tables_data(a, p->model));
    lua_val_set(a, page, "users", heads);
    lua_val_set(a, page, "memory", rows);
}

/* The sum, and the part of each kernel's layers where they are few. */
static void total_plots(arena *a, lua_val *page, const kernel_info *f, int count) {
    line flops[PLOT_LINES] = {{"all layers", {0}}}, bytes[PLOT_LINES] = {{"all layers", {0}}};
    int lines = 1;
    const bool parts = count > 1 && count < PLOT_LINES;
    for (int j = 0; j < count; j++) {
        line x = {NULL, {0}}, y = {NULL, {0}};
        kernel_lines(&f[j], &x, &y);
        x.label = y.label = arena_printf(a, "kernel %d x %d", j + 1, f[j].layers);
        for (int i = 0; i < PLOT_POINTS; i++) {
            x.y[i] *= f[j].layers, y.y[i] *= f[j].layers;
            flops[0].y[i] += x.y[i], bytes[0].y[i] += y.y[i];
        }
        if (!parts) continue;
        flops[lines] = x;
        bytes[lines++] = y;
    }
    lua_val_set(a, page, "flops", plot(a, "FLOPs a token, all layers", "", flops, lines));
    lua_val_set(a, page, "bytes", plot(a, "Bytes a token, all layers", "B", bytes, lines));
}

static bool check_lengths(const explain_extent *e, diag *d) {
    const struct {
        const char *flag;
        int32_t n;
    } lengths[] = {{"--q-len", e->q_len}, {"--kv-len", e->kv_len}};
    for (int i = 0; i < 2; i++)
        if (lengths[i].n == 0 || lengths[i].n > PICTURE_MAX_LENGTH)
            return diag_set(d, "%s: the picture of a mask takes 1 .. %d, got %d", lengths[i].flag,
                            PICTURE_MAX_LENGTH, lengths[i].n);
    return true;
}

bool report_html(arena *a, const product_list *p, const explain_extent *e, int32_t context,
                 int32_t users, const char **text, diag *d) {
    const context_list c = contexts(context);
    const model *m = p->model;
    const gen_options *o = p->options;
    template_set set;
    gen_files files;
    if (!check_lengths(e, d) || !templates_load(a, o->templates, &set, d) ||
        !gen_render(a, p, &files, d))
        return false;
    kernel_info *f = arena_alloc(a, (size_t)m->kernel_count * sizeof *f);
    lua_val *data = lua_val_table(a), *page = lua_val_table(a), *kernels = lua_val_table(a);
    bool bound = false;
    int count = 0;
    for (int i = 0; i < m->kernel_count; i++) {
        if (!m->kernels[i].outer) continue; /* shown with its layer */
        kernel_info *info = &f[count++];
        info->k = &m->kernels[i];
        info->layer_text = words_of_layers(a, m, i, false, &info->layers);
        info->of = product_best(p, i);
        info->p = &info->of->core->plan;
        info->packed =
            product_best(p, i)->layer ? (double)memory_packed_bytes(product_best(p, i)) : 0;
        bound |= work_needs_data(info->k);
        lua_val_push(a, kernels, kernel_data(a, info, count, isas_data(a, p, i, &files), e, &c));
    }
    lua_val_set_string(a, page, "name", text_xml(a, m->name));
    lua_val_set_string(a, page, "heading", markup_fold(a, m->name));
    lua_val_set_string(a, page, "version", ATTN_GEN_VERSION);
    lua_val_set_string(a, page, "isas", isa_list(a, o->isa_mask, ", "));
    lua_val_set_string(a, page, "isa", product_best(p, 0)->isa->name);
    lua_val_set_int(a, page, "layer_count", m->layer_count);
    lua_val_set_int(a, page, "kernel_count", m->kernel_count);
    lua_val_set_int(a, page, "inner_count", m->kernel_count - count);
    lua_val_set_bool(a, page, "bound", bound);
    lua_val_set_string(a, page, "cache_type", cache_type(f, count));
    lua_val_set(a, page, "layers", layers_data(a, f, count));
    lua_val_set(a, page, "around", around_data(a, m));
    lua_val_set(a, page, "totals", totals_data(a, p, &c));
    set_memory(a, page, p, &c, users);
    total_plots(a, page, f, count);
    lua_val_set(a, page, "kernels", kernels);
    lua_val_set(a, data, "page", page);
    return render(a, &set, "report/page.html", data, text, d);
}

bool report_svg(arena *a, const product_list *p, const explain_extent *e, int layer,
                const char **text, diag *d) {
    const model *m = p->model;
    template_set set;
    if (!check_lengths(e, d) || !templates_load(a, p->options->templates, &set, d)) return false;
    if (layer >= m->layer_count)
        return diag_set(d, "--layer: %s has the layers 0 .. %d, got %d", m->name,
                        m->layer_count - 1, layer);
    const product *of = product_best(p, m->layer_kernel[layer]);
    const explain_extent shown = picture_extent(of->spec, e);
    lua_val *data = lua_val_table(a);
    lua_val *picture = picture_make(a, of->spec, &of->core->plan, &shown, "mask");
    int layers;
    lua_val_set_string(a, picture, "model", markup_fold(a, m->name));
    lua_val_set_string(
        a, picture, "layers",
        markup_fold(a, words_of_layers(a, m, m->layer_kernel[layer], false, &layers)));
    lua_val_set(a, data, "picture", picture);
    return render(a, &set, "report/mask_file.svg", data, text, d);
}
