#include "explain.h"

#include "memory.h"
#include "plan/block_plan.h"
#include "plan/cost.h"
#include "output/emit.h"
#include "output/json.h"
#include "plan/work.h"
#include "words.h"

#include <string.h>
#include "weight_types.h"
#include "spec/facts.h"

enum { SHOWN_KEYS = 4096 }; /* of a layer's workspace, whatever is asked for */

static bool has_extents(const explain_extent *e) {
    return e->q_len >= 0 && e->kv_len >= 0;
}

size_t explain_source_bytes(arena *a, const gen_files *files, const char *symbol) {
    const char *path = arena_printf(a, "%s.c", symbol);
    for (int i = 0; i < files->count; i++)
        if (!strcmp(files->file[i].path, path)) return strlen(files->file[i].text);
    return 0;
}

/* What is explained, rendered once. */
typedef struct explained {
    arena *a;
    const product_list *p;
    const model *m;
    const explain_extent *e;
    const explain_sizes *sizes;
    gen_files files;
    size_t total; /* bytes of C of the model */
} explained;

static bool begin(arena *a, const product_list *p, const explain_extent *e,
                  const explain_sizes *sizes, explained *x, diag *d) {
    *x = (explained){.a = a, .p = p, .m = p->model, .e = e, .sizes = sizes};
    if (!gen_render(a, p, &x->files, d)) return false;
    for (int i = 0; i < x->files.count; i++) {
        const char *path = x->files.file[i].path, *dot = strrchr(path, '.');
        const bool is_c = dot && (!strcmp(dot, ".c") || !strcmp(dot, ".h"));
        if (is_c && strncmp(path, "runtime/", 8)) x->total += strlen(x->files.file[i].text);
    }
    return true;
}

/* --- Text. --- */

/* What side tensors, scalars or segments decide, for made-up ones. */
static void example_text(arena *a, buf *b, const kernel_spec *k, const plan *p,
                         const explain_extent *e) {
    example x;
    if (!work_needs_data(k)) return;
    example_make(a, k, p, e, &x);
    const work w = work_of(k, p, e, &x);
    buf_printf(b, "      for example, with %s:\n       ", x.text);
    if (p->tiled && !p->indexed)
        buf_printf(b, " tiles: %lld skipped, %lld full, %lld partial;", (long long)w.none,
                   (long long)w.all, (long long)w.some);
    buf_printf(b, " visible pairs a head: %.0f\n", w.pairs);
}

static void work_text(arena *a, buf *b, const kernel_spec *k, const plan *p,
                      const explain_extent *e) {
    const int32_t start = extent_start(k, e);
    const work w = work_of(k, p, e, NULL);
    buf_printf(b, "    call: batch %d, %d queries at positions %d .. %d, %d keys, one thread\n",
               extent_batch(e), e->q_len, start, start + e->q_len - 1, e->kv_len);
    if (p->indexed)
        buf_printf(
            b,
            "      each query reads the keys that its list names, %d at a time; what follows "
            "is of lists of all that it may see\n",
            p->key_block);
    else if (!p->tiled)
        buf_printf(b, "      each query reads its own keys, at most %d; no tiles\n",
                   p->gather_keys);
    else
        buf_printf(b,
                   "      tiles of %d queries x %d keys: %lld skipped, %lld full, %lld partial\n",
                   p->tile_vectors * isa_table[p->isa].width, p->key_block, (long long)w.none,
                   (long long)w.all, (long long)w.some);
    buf_printf(b, "      no mask tensor exists, and none is built\n");
    buf_printf(b, "      visible pairs a head: %s%.0f; useful FLOPs: %.4g; tensor bytes: %.4g\n",
               w.exact && !p->indexed ? "" : "at most ", w.pairs, w.flops, w.bytes);
    example_text(a, b, k, p, e);
    buf_printf(b, "      workspace: %zu bytes; heap: 0\n", w.workspace);
}

static const char *over(bool fits) {
    return fits ? "" : ", which is over";
}

static void cost_text(buf *b, const plan *p) {
    const plan_cost c = cost_of(p);
    const isa_row *isa = &isa_table[p->isa];
    if (!p->tiled) return;
    buf_printf(
        b,
        "    cost: L1 %d KiB%s: a tile's Q %.1f and S %.1f, a V panel %.1f KiB; L2 %d KiB%s: "
        "a query and key block %.0f KiB\n",
        isa->l1_bytes >> 10, over(c.fits_l1), c.q_bytes / 1024.0, c.s_bytes / 1024.0,
        c.panel_bytes / 1024.0, isa->l2_bytes >> 10, over(c.fits_l2), c.block_bytes / 1024.0);
    buf_printf(b,
               "    cost: cycles of a tile where nothing is hidden: qk %.0f, softmax %.0f%s, pv "
               "%.0f, lines from L2 %.0f: %.0f %% of the FMA peak\n",
               c.qk, c.softmax, p->rescore ? " and more by what changes the scores" : "", c.pv,
               c.lines, c.peak_percent);
    if (c.prefetch_cycles > 0)
        buf_printf(b, "    cost: K rows are asked for %.0f cycles ahead\n", c.prefetch_cycles);
}

static size_t measured_bytes(const explained *x, const product *p) {
    return x->sizes ? x->sizes[p->kernel].bytes[p->isa - isa_table] : 0;
}

/* A layer's estimate is left out: nothing of it has been fitted. */
static void size_text(buf *b, const explained *x, const product *p, int estimate) {
    const size_t measured = measured_bytes(x, p);
    buf_printf(b, "  %s: %zu bytes of C in %s.c\n", p->isa->name,
               explain_source_bytes(x->a, &x->files, p->symbol), p->symbol);
    if (measured)
        buf_printf(b, "    machine code and constants: %zu bytes, measured\n", measured);
    else if (estimate)
        buf_printf(b,
                   "    machine code and constants: about %d KB, an estimate; --measure-text "
                   "compiles and measures\n",
                   (estimate + 500) / 1000);
}

const char *explain_type_bytes(arena *a, const product *p,
                               const char *(*text)(arena *a, double v)) {
    double rest = (double)p->block_plan.packed_floats * sizeof(float);
    buf b = buf_new(a);
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++) {
        const double bytes = (double)block_plan_type_bytes(&p->block_plan, type);
        if (bytes > 0) buf_printf(&b, "%s %s, ", attn_weight_get(type).name, text(a, bytes));
        rest -= bytes;
    }
    return arena_printf(a, "%svectors and tables %s", b.data, text(a, rest));
}

static const char *plain_number(arena *a, double v) {
    return arena_printf(a, "%.0f", v);
}

static const char *plain_bytes(arena *a, double v) {
    return arena_printf(a, "%.0f bytes", v);
}

static void layer_text(arena *a, buf *b, const product *p) {
    buf_printf(b, "    core: %s\n", p->core->spec->name);
    if (p->expanded) buf_printf(b, "    core, expanded: %s\n", p->expanded->spec->name);
    buf_printf(b, "    projections: %.4g FLOPs a row\n", block_plan_row_flops(p->spec));
    buf_printf(b, "    memory: %llu bytes of packed weights (%s), %.0f bytes a cached token\n",
               (unsigned long long)memory_packed_bytes(p), explain_type_bytes(a, p, plain_number),
               memory_token_bytes(p));
    buf_printf(b,
               "    workspace, one thread, a cache of %d: %llu bytes a token, %llu a prompt of as "
               "many\n",
               SHOWN_KEYS, (unsigned long long)product_workspace(p, 1, 1, SHOWN_KEYS, true, 1),
               (unsigned long long)product_workspace(p, 1, SHOWN_KEYS, SHOWN_KEYS, true, 1));
}

static void product_text(buf *b, const explained *x, const product *p) {
    size_text(b, x, p, p->layer ? 0 : cost_of(&p->plan).text_bytes);
    for (int n = 0; n < p->notes; n++) buf_printf(b, "    %s\n", p->note[n]);
    if (p->layer) {
        layer_text(x->a, b, p);
        return;
    }
    cost_text(b, &p->plan);
    if (has_extents(x->e)) work_text(x->a, b, p->spec, &p->plan, x->e);
}

static void budget_text(buf *b, const explained *x) {
    buf_printf(b, "generated C: %zu bytes, %s the budget of %d a model%s\n", x->total,
               x->total <= EXPLAIN_TEXT_BUDGET ? "within" : "OVER", EXPLAIN_TEXT_BUDGET,
               x->total <= EXPLAIN_TEXT_BUDGET ? "" : "; fewer instruction sets (--isa) make less");
}

static void context_text(buf *b, const memory *all, int32_t n) {
    const double cache = all->token * n;
    buf_printf(b,
               "a context of %d tokens: %.0f bytes of keys and values; a new token takes %.0f "
               "FLOPs and reads %.0f bytes\n",
               n, cache, all->flops, all->bytes);
    buf_printf(b,
               "  workspace, one thread: %zu bytes for a new token, %zu for a prompt of as many\n",
               all->step, all->prompt);
    buf_printf(b, "  in all, for one user: %.0f bytes%s\n",
               all->packed + cache + (double)all->prompt,
               all->whole ? ", packed weights among them" : "");
}

/* What matrices are stored in, where that is not f32. */
static void weights_text(arena *a, buf *b, const kernel_spec *k) {
    const fact_list facts = facts_of(a, k);
    for (int i = 0; i < facts.count; i++)
        if (!strcmp(facts.fact[i].topic, "Weights"))
            buf_printf(b, "  weights: %s\n", facts.fact[i].text);
}

/* Of all layers together, and of what stands around them. */
static void memory_text(arena *a, buf *b, const product_list *p, int32_t context) {
    memory_table table[MEMORY_TABLES];
    const int tables = memory_tables(p->model, table);
    const memory all = memory_of(p, context > 0 ? context : 1);
    if (all.whole)
        buf_printf(
            b, "memory of all layers: %.0f bytes of packed weights, %.0f bytes a cached token\n",
            all.packed, all.token);
    for (int i = 0; i < tables; i++)
        buf_printf(b, "%s: %s\n", table[i].name, memory_table_text(a, &table[i], plain_bytes));
    if (context > 0) context_text(b, &all, context);
}

bool explain_text(arena *a, const product_list *p, const explain_extent *e, int32_t context,
                  const explain_sizes *sizes, const char **text, diag *d) {
    const model *m = p->model;
    buf b = buf_new(a);
    explained x;
    int layers;
    if (!begin(a, p, e, sizes, &x, d)) return false;
    buf_printf(&b, "%s: %d layer%s, %d kernel%s\n", m->name, m->layer_count,
               m->layer_count == 1 ? "" : "s", m->kernel_count, m->kernel_count == 1 ? "" : "s");
    budget_text(&b, &x);
    memory_text(a, &b, p, context);
    for (int i = 0; i < m->kernel_count; i++) {
        const kernel_spec *k = &m->kernels[i];
        buf_printf(&b, "\n%s\n", k->name);
        buf_printf(&b, "  %s\n", words_of_layers(a, m, i, true, &layers));
        buf_puts(&b, "  spec:");
        for (int f = 0; f < attn_field_count; f++) {
            const char *value = words_of_field(a, &attn_fields[f], &k->core);
            if (value) buf_printf(&b, " %s=%s", attn_fields[f].name, value);
        }
        buf_puts(&b, "\n");
        weights_text(a, &b, k);
        if (k->score_expr) buf_printf(&b, "  score: %s\n", expr_canonical(a, k->score_expr));
        if (k->mask_expr) buf_printf(&b, "  mask: %s\n", expr_canonical(a, k->mask_expr));
        for (int j = 0; j < products_count(p, i); j++) product_text(&b, &x, &products_of(p, i)[j]);
    }
    *text = b.data;
    return true;
}

/* --- JSON. --- */

static void tiles_json(cJSON *row, const work *w) {
    cJSON *tiles = cJSON_AddObjectToObject(row, "tiles");
    cJSON_AddNumberToObject(tiles, "none", (double)w->none);
    cJSON_AddNumberToObject(tiles, "all", (double)w->all);
    cJSON_AddNumberToObject(tiles, "some", (double)w->some);
    cJSON_AddNumberToObject(row, "pairs", w->pairs);
}

static void example_json(arena *a, cJSON *t, const kernel_spec *k, const plan *p,
                         const explain_extent *e) {
    example x;
    if (!work_needs_data(k)) return;
    example_make(a, k, p, e, &x);
    const work w = work_of(k, p, e, &x);
    cJSON *row = cJSON_AddObjectToObject(t, "example");
    cJSON_AddStringToObject(row, "data", x.text);
    tiles_json(row, &w);
}

static void cost_json(cJSON *plan_row, const plan *p) {
    const plan_cost c = cost_of(p);
    if (!p->tiled) return;
    cJSON *t = cJSON_AddObjectToObject(plan_row, "model");
    const struct {
        const char *name;
        double value;
    } rows[] = {
        {"q_bytes", c.q_bytes},
        {"s_bytes", c.s_bytes},
        {"panel_bytes", c.panel_bytes},
        {"l1_bytes", isa_table[p->isa].l1_bytes},
        {"block_bytes", c.block_bytes},
        {"l2_bytes", isa_table[p->isa].l2_bytes},
        {"qk_cycles", c.qk},
        {"softmax_cycles", c.softmax},
        {"pv_cycles", c.pv},
        {"line_cycles", c.lines},
        {"prefetch_cycles", c.prefetch_cycles},
        {"peak_percent", c.peak_percent},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cJSON_AddNumberToObject(t, rows[i].name, rows[i].value);
}

/* What the plan of a kernel costs, and a call where its extents are given. */
static void costs_json(cJSON *t, const explained *x, const kernel_spec *k, const plan *p) {
    const explain_extent *e = x->e;
    cost_json(t, p);
    if (!has_extents(e)) return;
    const work w = work_of(k, p, e, NULL);
    tiles_json(t, &w);
    cJSON_AddBoolToObject(t, "pairs_exact", w.exact);
    cJSON_AddNumberToObject(t, "flops", w.flops);
    cJSON_AddNumberToObject(t, "bytes", w.bytes);
    cJSON_AddNumberToObject(t, "workspace_bytes", (double)w.workspace);
    example_json(x->a, t, k, p, e);
}

static void layer_json(cJSON *t, const product *p) {
    cJSON *types = cJSON_AddObjectToObject(t, "packed_bytes_by_type");
    cJSON_AddNumberToObject(t, "packed_bytes", (double)memory_packed_bytes(p));
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++) {
        const double bytes = (double)block_plan_type_bytes(&p->block_plan, type);
        if (bytes > 0) cJSON_AddNumberToObject(types, attn_weight_get(type).name, bytes);
    }
    cJSON_AddNumberToObject(t, "cache_bytes_a_token", memory_token_bytes(p));
    cJSON *call = cJSON_AddObjectToObject(t, "workspace");
    cJSON_AddNumberToObject(call, "keys", SHOWN_KEYS);
    cJSON_AddNumberToObject(call, "token_bytes",
                            (double)product_workspace(p, 1, 1, SHOWN_KEYS, true, 1));
    cJSON_AddNumberToObject(call, "prompt_bytes",
                            (double)product_workspace(p, 1, SHOWN_KEYS, SHOWN_KEYS, true, 1));
}

static cJSON *product_json(const explained *x, const product *p) {
    const size_t measured = measured_bytes(x, p);
    cJSON *t = cJSON_CreateObject();
    json_product(t, p);
    cJSON_AddNumberToObject(t, "source_bytes",
                            (double)explain_source_bytes(x->a, &x->files, p->symbol));
    if (measured || !p->layer)
        cJSON_AddNumberToObject(t, "text_bytes",
                                measured ? (double)measured : cost_of(&p->plan).text_bytes);
    cJSON_AddBoolToObject(t, "text_measured", measured > 0);
    if (!p->layer) costs_json(t, x, p->spec, &p->plan);
    if (p->layer) layer_json(t, p);
    return t;
}

static cJSON *kernel_json(const explained *x, int kernel) {
    arena *a = x->a;
    const kernel_spec *k = &x->m->kernels[kernel];
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", k->name);
    json_spec(a, row, k);
    if (k->mask_expr) cJSON_AddStringToObject(row, "key_range", expr_range_text(a, k->mask_expr));
    cJSON *plans = cJSON_CreateArray(), *widest = NULL;
    for (int i = 0; i < products_count(x->p, kernel); i++) {
        widest = product_json(x, &products_of(x->p, kernel)[i]);
        cJSON_AddItemToArray(plans, widest);
    }
    /* "plan" is the widest instruction set asked for; "plans" has them all. */
    cJSON_AddItemToObject(row, "plan", widest ? cJSON_Duplicate(widest, true) : cJSON_CreateNull());
    cJSON_AddItemToObject(row, "plans", plans);
    return row;
}

static void memory_json(cJSON *root, const product_list *p, int32_t context) {
    memory_table table[MEMORY_TABLES];
    const int tables = memory_tables(p->model, table);
    const memory all = memory_of(p, context > 0 ? context : 1);
    cJSON *t = cJSON_AddObjectToObject(root, "memory");
    cJSON_AddNumberToObject(t, "packed_bytes", all.packed);
    cJSON_AddNumberToObject(t, "cache_bytes_a_token", all.token);
    cJSON *list = cJSON_AddArrayToObject(t, "tables");
    for (int i = 0; i < tables; i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "name", table[i].name);
        cJSON_AddNumberToObject(row, "rows", (double)table[i].rows);
        cJSON_AddNumberToObject(row, "columns", (double)table[i].columns);
        cJSON_AddStringToObject(row, "type",
                                table[i].type < 0 ? "file" : attn_weight_get(table[i].type).name);
        cJSON_AddItemToArray(list, row);
    }
    if (context <= 0) return;
    cJSON *c = cJSON_AddObjectToObject(t, "context");
    cJSON_AddNumberToObject(c, "tokens", context);
    cJSON_AddNumberToObject(c, "cache_bytes", all.token * context);
    cJSON_AddNumberToObject(c, "token_flops", all.flops);
    cJSON_AddNumberToObject(c, "token_bytes", all.bytes);
    cJSON_AddNumberToObject(c, "token_workspace_bytes", (double)all.step);
    cJSON_AddNumberToObject(c, "prompt_workspace_bytes", (double)all.prompt);
}

bool explain_json(arena *a, const product_list *p, const explain_extent *e, int32_t context,
                  const explain_sizes *sizes, const char **text, diag *d) {
    const model *m = p->model;
    explained x;
    if (!begin(a, p, e, sizes, &x, d)) return false;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "model", m->name);
    cJSON_AddNumberToObject(root, "source_bytes", (double)x.total);
    cJSON_AddNumberToObject(root, "source_budget", EXPLAIN_TEXT_BUDGET);
    memory_json(root, p, context);
    json_layers(root, m);
    cJSON *kernels = cJSON_AddArrayToObject(root, "kernels");
    for (int i = 0; i < m->kernel_count; i++) cJSON_AddItemToArray(kernels, kernel_json(&x, i));
    char *json = cJSON_Print(root);
    *text = arena_printf(a, "%s\n", json);
    cJSON_free(json);
    cJSON_Delete(root);
    return true;
}
