/* main.c - argv -> command -> exit status. */
#include "cli.h"
#include "cpu.h"
#include "show/diff.h"
#include "help.h"
#include "output/check.h"
#include "output/emit.h"
#include "show/explain.h"
#include "show/memory.h"
#include "output/folder.h"
#include "import/find_model.h"
#include "plan/isa.h"
#include "plan/plan.h"
#include "output/program.h"
#include "output/render.h"
#include "show/report.h"
#include "output/single.h"
#include "text.h"
#include "lab/tune.h"
#include "lab/build.h"
#include "lab/golden.h"
#include "version.h"
#include "output/write_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DONE = 0, CHECK_FAILED = 1, WRONG_INPUT = 2 };

static bool load_model(arena *a, const options *o, model *m, diag *d) {
    const char *notes = "";
    const bool found = o->target ? find_model(a, o->target, o->inputs, o->input_count, m, &notes, d)
                                 : model_from_flags(a, o->inputs, o->input_count, m, d);
    if (!found) return false;
    char *shown = arena_strdup(a, notes);
    text_mask(shown, true);
    fputs(shown, stderr);
    if (!model_pool(a, m, o->pool, o->normalize, d)) return false;
    return o->name ? model_rename(a, m, o->name, d)
                   : !o->target || model_name_check(a, m, o->target, d);
}

static bool make_options(arena *a, const options *o, const model *m, gen_options *g, diag *d) {
    *g = (gen_options){.runtime = o->runtime, .templates = o->templates};
    if (o->tune) {
        tune_set *tune = arena_alloc(a, sizeof *tune);
        if (!tune_load(a, o->tune, m, tune, d)) return false;
        g->tune = tune;
    }
    g->isa_mask = isa_parse(o->isa ? o->isa : "all", d);
    if (o->unroll && !strcmp(o->unroll, "full"))
        g->unroll = -1;
    else if (o->unroll && strcmp(o->unroll, "auto"))
        g->unroll = atoi(o->unroll);
    for (int i = 0; i < m->kernel_count; i++) {
        const char *wrong = plan_check_unroll(a, &m->kernels[i], g->unroll);
        if (wrong) return diag_set(d, "--unroll: %s", wrong);
    }
    return g->isa_mask != 0;
}

static bool dump_expr(buf *b, const model *m) {
    for (int i = 0; i < m->kernel_count; i++) {
        const kernel_spec *k = &m->kernels[i];
        buf_printf(b, "%s\n", k->name);
        if (k->score_expr) buf_printf(b, "score:\n%s", expr_dump(b->a, k->score_expr));
        if (k->mask_expr) buf_printf(b, "mask:\n%s", expr_dump(b->a, k->mask_expr));
    }
    return true;
}

static bool dump_lua(buf *b, const gen_options *g, diag *d) {
    template_set set;
    if (!templates_load(b->a, g->templates, &set, d)) return false;
    for (int i = 0; i < set.count; i++)
        buf_printf(b, "-- %s\n%s\n", set.source[i].name, set.source[i].chunk);
    return true;
}

static bool dump_c(buf *b, const product_list *p, diag *d) {
    gen_files files;
    if (!gen_render(b->a, p, &files, d)) return false;
    for (int i = 0; i < files.count; i++)
        if (!strncmp(files.file[i].path, "attn_", 5)) buf_puts(b, files.file[i].text);
    return true;
}

static bool dump(arena *a, const options *o, const product_list *p, diag *d) {
    const model *m = p->model;
    const explain_extent none = {-1, -1, -1};
    const char *text = "";
    buf b = buf_new(a);
    const bool ok = !strcmp(o->dump, "plan")   ? explain_text(a, p, &none, 0, NULL, &text, d)
                    : !strcmp(o->dump, "expr") ? dump_expr(&b, m)
                    : !strcmp(o->dump, "lua")  ? dump_lua(&b, p->options, d)
                    : !strcmp(o->dump, "c")    ? dump_c(&b, p, d)
                                               : (text = model_to_lua(a, m), true);
    if (ok) fputs(b.len ? b.data : text, stdout);
    return ok;
}

/* Before files are written. */
static void reserve_for(const gen_files *files) {
    size_t bytes = 0;
    for (int i = 0; i < files->count; i++)
        bytes += files->file[i].size ? files->file[i].size : strlen(files->file[i].text);
    memory_reserve(bytes);
}

static bool generate(arena *a, const options *o, diag *d) {
    model m;
    gen_options g;
    gen_files files;
    if (!load_model(a, o, &m, d) || !make_options(a, o, &m, &g, d)) return false;
    const product_list p = products_make(a, &m, &g);
    if (o->dump) return dump(a, o, &p, d);
    if (!gen_render(a, &p, &files, d)) return false;
    const gen_files folder = files;
    if (o->single_file && !single_render(a, &p, &folder, &files, d)) return false;
    reserve_for(&files);
    if (o->single_file ? !single_write(a, o->out, &files, d)
                       : !folder_write(a, o->out, FOLDER_OWN, &files, d))
        return false;
    printf("%s: %d layer%s, %d kernel%s x %d instruction set%s, %d files in %s\n", m.name,
           m.layer_count, m.layer_count == 1 ? "" : "s", m.kernel_count,
           m.kernel_count == 1 ? "" : "s", p.isas, p.isas == 1 ? "" : "s", files.count,
           text_shown(a, o->out));
    return true;
}

/* Compiles the kernels for --measure-text. */
static const explain_sizes *measure_text(arena *a, const model *m, const gen_options *g, diag *d) {
    explain_sizes *sizes = arena_alloc(a, (size_t)m->kernel_count * sizeof *sizes);
    built *out = arena_alloc(a, (size_t)m->kernel_count * sizeof *out);
    const build_options build = {.isa_mask = g->isa_mask, .unroll = g->unroll, .tune = g->tune};
    if (!build_compiler(a, d)) return NULL;
    build_kernels(a, m->kernels, m->kernel_count, &build, out);
    for (int i = 0; i < m->kernel_count; i++) {
        if (out[i].error) {
            diag_set(d, "--measure-text: %s: %s", m->kernels[i].name, out[i].error);
            return NULL;
        }
        memcpy(sizes[i].bytes, out[i].text_bytes, sizeof sizes[i].bytes);
    }
    return sizes;
}

/* To the file of -o, or to the standard output. */
static bool put(arena *a, const options *o, const char *text, diag *d) {
    memory_reserve(strlen(text));
    if (o->out) return write_file(a, o->out, text, strlen(text), d);
    fputs(text, stdout);
    return true;
}

static bool check_context(const options *o, diag *d) {
    if (o->context < 0 || (o->context > 0 && o->context <= MEMORY_MOST_CONTEXT)) return true;
    return diag_set(d, "--context: must be 1 .. %d, got %d", MEMORY_MOST_CONTEXT, o->context);
}

static bool explain(arena *a, const options *o, diag *d) {
    model m;
    gen_options g;
    const explain_extent e = {o->batch, o->q_len, o->kv_len};
    const explain_sizes *sizes = NULL;
    const char *text;
    if (!check_context(o, d) || !load_model(a, o, &m, d) || !make_options(a, o, &m, &g, d))
        return false;
    if (o->measure_text && !(sizes = measure_text(a, &m, &g, d))) return false;
    const product_list p = products_make(a, &m, &g);
    const bool ok = o->svg    ? report_svg(a, &p, &e, o->layer < 0 ? 0 : o->layer, &text, d)
                    : o->json ? explain_json(a, &p, &e, o->context, sizes, &text, d)
                              : explain_text(a, &p, &e, o->context, sizes, &text, d);
    return ok && put(a, o, text, d);
}

static bool report(arena *a, const options *o, diag *d) {
    model m;
    gen_options g;
    const explain_extent e = {1, o->q_len, o->kv_len};
    const char *text;
    if (!check_context(o, d) || !load_model(a, o, &m, d) || !make_options(a, o, &m, &g, d))
        return false;
    const product_list p = products_make(a, &m, &g);
    if (!report_html(a, &p, &e, o->context, o->users, &text, d) || !put(a, o, text, d))
        return false;
    printf("%s: %d layer%s, %d kernel%s in %s\n", m.name, m.layer_count,
           m.layer_count == 1 ? "" : "s", m.kernel_count, m.kernel_count == 1 ? "" : "s",
           text_shown(a, o->out));
    return true;
}

/* The instruction sets to tune: the best that this CPU runs, and what that is like, or those asked
 * for, if it runs them. */
static unsigned tune_isas(const options *o, diag *d) {
    const unsigned native = isa_native();
    if (!o->isa) return isa_best(native);
    const unsigned mask = isa_parse(o->isa, d);
    for (int i = 0; i < ATTN_ISA_COUNT; i++)
        if ((mask & ~native) >> i & 1) {
            diag_set(d, "--isa: this CPU does not run %s: tune on one that does",
                     isa_table[i].name);
            return 0;
        }
    return mask;
}

static bool tune(arena *a, const options *o, diag *d) {
    model m;
    const char *text;
    if (!load_model(a, o, &m, d)) return false;
    const unsigned isas = tune_isas(o, d);
    if (!isas || !file_can_be_written(a, o->out, d)) return false;
    int measured;
    if (!tune_model(a, &m, m.name, isas, &text, &measured, d) ||
        !write_file(a, o->out, text, strlen(text), d))
        return false;
    printf("%s: %d kernel%s measured, %s\n", m.name, measured, measured == 1 ? "" : "s",
           text_shown(a, o->out));
    return true;
}

static bool is_single(const char *path) {
    return strlen(path) > 2 && ends_with(path, ".c");
}

static bool golden(arena *a, const options *o, diag *d) {
    model m;
    gen_options g = {0};
    gen_files files;
    int skipped;
    const golden_options settings = {.seed = o->seed < 0 ? 0 : (uint64_t)o->seed,
                                     .cases = o->cases < 0 ? 8 : o->cases};
    if (!(is_single(o->target) ? single_load(a, o->target, &m, &g, d)
                               : gen_folder(a, o->target, &m, &g, d)))
        return false;
    if (!golden_render(a, &m, &settings, &files, &skipped, d)) return false;
    reserve_for(&files);
    if (!folder_write(a, o->out, FOLDER_OWN, &files, d)) return false;
    int taken = 0;
    for (int i = 0; i < m.kernel_count; i++) {
        const kernel_spec *k = &m.kernels[i];
        const bool layer = k->core.level == ATTN_LEVEL_BLOCK;
        taken += !layer || golden_takes_layer(a, k);
        if (layer && !golden_takes_layer(a, k))
            printf("skipped %s: weights of %.0f MB or side tensors; make selftest runs layers\n",
                   k->name, (double)golden_layer_bytes(a, k) / 1e6);
    }
    printf("%s: %d kernel%s, %d cases in %s\n", m.name, taken, taken == 1 ? "" : "s",
           files.count - 1, text_shown(a, o->out));
    if (skipped)
        printf("skipped %d cases: no random values keep an index of the expression in range\n",
               skipped);
    return true;
}

static int diff(arena *a, const options *o, diag *d) {
    const char *report;
    if (!diff_folders(a, o->target, o->second, &report, d)) return WRONG_INPUT;
    fputs(report, stdout);
    return *report ? CHECK_FAILED : DONE;
}

static int check(arena *a, const options *o, diag *d) {
    const char *report;
    if (is_single(o->target) ? !single_check(a, o->target, o->templates, &report, d)
                             : !gen_check(a, o->target, o->templates, &report, d))
        return WRONG_INPUT;
    fputs(report, stdout);
    if (*report) return CHECK_FAILED;
    printf("%s: current\n", text_shown(a, o->target));
    return DONE;
}

static bool completion(arena *a, const options *o, diag *d) {
    const char *text = help_completion(a, o->target, d);
    if (text) fputs(text, stdout);
    return text != NULL;
}

static int run(arena *a, int argc, char **argv, diag *d) {
    options o;
    if (!cli_parse(a, argc, argv, &o, d)) return WRONG_INPUT;
    switch (o.command) {
    case CMD_VERSION: puts("attn-gen " ATTN_GEN_VERSION); return DONE;
    case CMD_GENERATE: return generate(a, &o, d) ? DONE : WRONG_INPUT;
    case CMD_EXPLAIN: return explain(a, &o, d) ? DONE : WRONG_INPUT;
    case CMD_TUNE: return tune(a, &o, d) ? DONE : WRONG_INPUT;
    case CMD_REPORT: return report(a, &o, d) ? DONE : WRONG_INPUT;
    case CMD_CHECK: return check(a, &o, d);
    case CMD_MODELS: fputs(find_model_list(a), stdout); return DONE;
    case CMD_GOLDEN: return golden(a, &o, d) ? DONE : WRONG_INPUT;
    case CMD_DIFF: return diff(a, &o, d);
    case CMD_MAN: fputs(help_man(a), stdout); return DONE;
    case CMD_COMPLETION: return completion(a, &o, d) ? DONE : WRONG_INPUT;
    case CMD_HELP: fputs(help_text(a, o.topic), stdout); return DONE;
    default: return DONE;
    }
}

int main(int argc, char **argv) {
    program_begin();
    arena *a = arena_new();
    diag d = {0};
    int status = run(a, argc, argv, &d);
    if (!program_printed(&d)) status = WRONG_INPUT;
    if (d.set)
        fprintf(stderr, "attn-gen: %s%s", d.text, d.text[strlen(d.text) - 1] == '\n' ? "" : "\n");
    arena_free(a);
    return status;
}
