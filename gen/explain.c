#include "explain.h"

#include "block_plan.h"
#include "cost.h"

#include <cjson/cJSON.h>
#include <string.h>

/* What a call at given extents does, for one batch item. */
typedef struct work {
    int64_t none, all,
        some;     /* tiles of the grid query tiles x key blocks, over all heads at once */
    double pairs; /* visible (query row, key) pairs of a head, or an upper bound */
    bool exact;
    double flops, bytes; /* of the whole call */
    size_t workspace;
} work;

static bool has_extents(const explain_extent *e) {
    return e->q_len >= 0 && e->kv_len >= 0;
}

static int32_t batch_of(const explain_extent *e) {
    return e->batch >= 0 ? e->batch : 1;
}

/* Keys lo..hi that the op shows to query row i; false: known only at run time. */
static bool op_keys(const attn_spec *s, const explain_extent *e, int32_t i, int64_t *lo,
                    int64_t *hi) {
    const int64_t p = (int64_t)e->kv_len - e->q_len + i;
    *lo = 0;
    *hi = e->kv_len - 1;
    if (s->op == ATTN_OP_SEGMENT_CROSS) return false;
    int64_t to = *hi;
    if (s->op == ATTN_OP_SLIDING_SELF) {
        if (p - s->window > 0) *lo = p - s->window;
        to = p + (s->causal ? 0 : s->right_window);
    } else if (s->causal) {
        to = p;
    }
    if (to < *hi) *hi = to;
    return true;
}

/* Visible pairs inside one tile, counted where the mask needs no run-time data. */
static double tile_pairs(const kernel_spec *k, const explain_extent *e, const attn_tile_box *box,
                         attn_tile_class class) {
    double pairs = 0;
    const int32_t start = e->kv_len - e->q_len;
    expr_point p = {.q_start = start,
                    .q_len = e->q_len,
                    .kv_len = e->kv_len,
                    .batch = batch_of(e),
                    .kv_len_max = e->kv_len};
    for (int32_t q = box->q0; q <= box->q1; q++) {
        int64_t lo, hi;
        op_keys(&k->core, e, q - start, &lo, &hi);
        if (lo < box->k0) lo = box->k0;
        if (hi > box->k1) hi = box->k1;
        if (class == ATTN_TILE_ALL || !k->mask_expr || k->tensor_count || k->scalar_count) {
            if (hi >= lo) pairs += (double)(hi - lo + 1);
            continue;
        }
        p.q = q;
        for (int64_t key = lo; key <= hi; key++) {
            p.k = (int32_t)key;
            pairs += expr_eval_mask(k->mask_expr, &p);
        }
    }
    return pairs;
}

/* What a tile shows: the op's closed form, then the mask's classifier. */
static attn_tile_class classify(const kernel_spec *k, const explain_extent *e,
                                const attn_tile_box *box) {
    const int32_t start = e->kv_len - e->q_len;
    int64_t first_lo, first_hi, last_lo, last_hi;
    if (!op_keys(&k->core, e, box->q0 - start, &first_lo, &first_hi)) return ATTN_TILE_SOME;
    op_keys(&k->core, e, box->q1 - start, &last_lo, &last_hi);
    /* Both bounds grow with the position. */
    if (box->k1 < first_lo || box->k0 > last_hi) return ATTN_TILE_NONE;
    const bool op_all = box->k0 >= last_lo && box->k1 <= first_hi;
    attn_tile_class mask = ATTN_TILE_ALL;
    const expr_point p = {.q_start = start,
                          .q_len = e->q_len,
                          .kv_len = e->kv_len,
                          .batch = batch_of(e),
                          .kv_len_max = e->kv_len};
    if (k->mask_expr) mask = expr_classify(k->mask_expr, box, &p);
    return mask == ATTN_TILE_ALL && !op_all ? ATTN_TILE_SOME : mask;
}

static work measure(const kernel_spec *k, const plan *p, const explain_extent *e) {
    work w = {.exact = k->tensor_count == 0 && k->scalar_count == 0};
    const int32_t rows = p->tile_vectors * isa_table[p->isa].width;
    const int32_t start = e->kv_len - e->q_len;
    if (k->core.op == ATTN_OP_SEGMENT_CROSS) w.exact = false;
    for (int32_t q = 0; q < e->q_len; q += rows)
        for (int32_t key = 0; key < e->kv_len; key += p->key_block) {
            attn_tile_box box = {0,   k->core.heads - 1,     start + q, start + q + rows - 1,
                                 key, key + p->key_block - 1};
            if (box.q1 > e->kv_len - 1) box.q1 = e->kv_len - 1;
            if (box.k1 > e->kv_len - 1) box.k1 = e->kv_len - 1;
            const attn_tile_class class = classify(k, e, &box);
            w.none += class == ATTN_TILE_NONE;
            w.all += class == ATTN_TILE_ALL;
            w.some += class == ATTN_TILE_SOME;
            if (class != ATTN_TILE_NONE) w.pairs += tile_pairs(k, e, &box, class);
        }
    if (p->gather_keys) w.pairs = (double)e->q_len * p->gather_keys;
    const double items = batch_of(e);
    w.flops = plan_flops(p, w.pairs) * k->core.heads * items;
    w.bytes = 4.0 * items *
              ((double)k->core.heads * e->q_len * (p->d + p->dv) +
               (double)e->kv_len * ((double)p->key_heads * p->d + (double)p->value_heads * p->dv));
    w.workspace = plan_workspace(p, k, batch_of(e), e->q_len, e->kv_len, 1);
    return w;
}

double explain_flops(const kernel_spec *k, const plan *p, const explain_extent *e, bool *exact) {
    const work w = measure(k, p, e);
    *exact = w.exact;
    return w.flops;
}

/* What is explained, rendered once. */
typedef struct explained {
    arena *a;
    const model *m;
    const gen_options *o;
    const explain_extent *e;
    const explain_sizes *sizes;
    gen_files files;
    size_t total; /* bytes of C of the model */
} explained;

static bool begin(arena *a, const model *m, const gen_options *o, const explain_extent *e,
                  const explain_sizes *sizes, explained *x, diag *d) {
    *x = (explained){.a = a, .m = m, .o = o, .e = e, .sizes = sizes};
    if (!gen_render(a, m, o, &x->files, d)) return false;
    for (int i = 0; i < x->files.count; i++) {
        const char *path = x->files.file[i].path, *dot = strrchr(path, '.');
        const bool is_c = dot && (!strcmp(dot, ".c") || !strcmp(dot, ".h"));
        if (is_c && strncmp(path, "runtime/", 8)) x->total += strlen(x->files.file[i].text);
    }
    return true;
}

static size_t source_bytes(const explained *x, const char *symbol) {
    const char *path = arena_printf(x->a, "%s.c", symbol);
    for (int i = 0; i < x->files.count; i++)
        if (!strcmp(x->files.file[i].path, path)) return strlen(x->files.file[i].text);
    return 0;
}

/* --- Text. --- */

static void field_text(buf *b, const attn_field *f, const attn_spec *spec) {
    const char *at = (const char *)spec + f->offset;
    float x;
    int32_t i;
    char name[64];
    memcpy(&x, at, sizeof x);
    memcpy(&i, at, sizeof i);
    switch (f->kind) {
    case ATTN_KIND_FLOAT:
        if (x == ATTN_UNSET_F) return;
        attn_float_text(x, name);
        buf_printf(b, " %s=%s", f->name, name);
        return;
    case ATTN_KIND_ENUM:
        attn_enum_name(f, i, name, sizeof name);
        buf_printf(b, " %s=%s", f->name, name);
        return;
    case ATTN_KIND_BOOL: buf_printf(b, " %s=%s", f->name, i == 1 ? "true" : "false"); return;
    default:
        if (i != ATTN_UNSET) buf_printf(b, " %s=%d", f->name, i);
    }
}

static void layers_text(buf *b, const model *m, int kernel) {
    buf_puts(b, "  layers:");
    for (int i = 0; i < m->layer_count; i++)
        if (m->layer_kernel[i] == kernel || m->kernels[m->layer_kernel[i]].inner == kernel)
            buf_printf(b, " %d", i);
    buf_puts(b, "\n");
}

static void work_text(buf *b, const kernel_spec *k, const plan *p, const explain_extent *e) {
    const work w = measure(k, p, e);
    buf_printf(b, "    call: batch %d, %d queries at positions %d .. %d, %d keys, one thread\n",
               batch_of(e), e->q_len, e->kv_len - e->q_len, e->kv_len - 1, e->kv_len);
    if (p->gather_keys)
        buf_printf(b, "      each query reads its own keys, at most %d; no tiles\n",
                   p->gather_keys);
    else
        buf_printf(b,
                   "      tiles of %d queries x %d keys: %lld skipped, %lld full, %lld partial\n",
                   p->tile_vectors * isa_table[p->isa].width, p->key_block, (long long)w.none,
                   (long long)w.all, (long long)w.some);
    buf_printf(b, "      no mask tensor exists, and none is built\n");
    buf_printf(b, "      visible pairs a head: %s%.0f; useful FLOPs: %.4g; tensor bytes: %.4g\n",
               w.exact ? "" : "at most ", w.pairs, w.flops, w.bytes);
    buf_printf(b, "      workspace: %zu bytes; heap: 0\n", w.workspace);
}

static const char *over(bool fits) {
    return fits ? "" : ", which is over";
}

static void cost_text(buf *b, const plan *p) {
    const plan_cost c = cost_of(p);
    const isa_row *isa = &isa_table[p->isa];
    if (p->gather_keys) return;
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

/* A layer's estimate is left out: nothing of it has been fitted. */
static void size_text(buf *b, const explained *x, int kernel, int isa, const char *symbol,
                      int estimate) {
    const size_t measured = x->sizes ? x->sizes[kernel].bytes[isa] : 0;
    buf_printf(b, "  %s: %zu bytes of C in %s.c\n", isa_table[isa].name, source_bytes(x, symbol),
               symbol);
    if (measured)
        buf_printf(b, "    machine code and constants: %zu bytes, measured\n", measured);
    else if (estimate)
        buf_printf(b,
                   "    machine code and constants: about %d KB, an estimate; --measure-text "
                   "compiles and measures\n",
                   (estimate + 500) / 1000);
}

static void block_text(buf *b, const explained *x, int kernel, int isa) {
    const kernel_spec *k = &x->m->kernels[kernel];
    block_plan p;
    block_plan_make(x->a, k, &isa_table[isa], &p);
    size_text(b, x, kernel, isa, p.symbol, 0);
    for (int n = 0; n < p.notes; n++) buf_printf(b, "    %s\n", p.note[n]);
    buf_printf(b, "    core: %s\n", x->m->kernels[k->inner].name);
    buf_printf(b, "    projections: %.4g FLOPs a row\n", block_plan_row_flops(k));
}

static void isa_text(buf *b, const explained *x, int kernel, int isa) {
    const kernel_spec *k = &x->m->kernels[kernel];
    plan p;
    if (k->core.level == ATTN_LEVEL_BLOCK) {
        block_text(b, x, kernel, isa);
        return;
    }
    gen_plan(x->a, k, &isa_table[isa], x->o, &p);
    size_text(b, x, kernel, isa, p.symbol, cost_of(&p).text_bytes);
    for (int n = 0; n < p.notes; n++) buf_printf(b, "    %s\n", p.note[n]);
    cost_text(b, &p);
    if (has_extents(x->e)) work_text(b, k, &p, x->e);
}

static void budget_text(buf *b, const explained *x) {
    buf_printf(b, "generated C: %zu bytes, %s the budget of %d a model%s\n", x->total,
               x->total <= EXPLAIN_TEXT_BUDGET ? "within" : "OVER", EXPLAIN_TEXT_BUDGET,
               x->total <= EXPLAIN_TEXT_BUDGET ? "" : "; fewer instruction sets (--isa) make less");
}

bool explain_text(arena *a, const model *m, const gen_options *o, const explain_extent *e,
                  const explain_sizes *sizes, const char **text, diag *d) {
    buf b = buf_new(a);
    explained x;
    if (!begin(a, m, o, e, sizes, &x, d)) return false;
    buf_printf(&b, "%s: %d layer%s, %d kernel%s\n", m->name, m->layer_count,
               m->layer_count == 1 ? "" : "s", m->kernel_count, m->kernel_count == 1 ? "" : "s");
    budget_text(&b, &x);
    for (int i = 0; i < m->kernel_count; i++) {
        const kernel_spec *k = &m->kernels[i];
        buf_printf(&b, "\n%s\n", k->name);
        layers_text(&b, m, i);
        buf_puts(&b, "  spec:");
        for (int f = 0; f < attn_field_count; f++)
            if (attn_fields[f].offset >= 0 && attn_field_applies(&attn_fields[f], &k->core, NULL))
                field_text(&b, &attn_fields[f], &k->core);
        buf_puts(&b, "\n");
        if (k->score_expr) buf_printf(&b, "  score: %s\n", expr_canonical(a, k->score_expr));
        if (k->mask_expr) buf_printf(&b, "  mask: %s\n", expr_canonical(a, k->mask_expr));
        for (int isa = 0; isa < ATTN_ISA_COUNT; isa++)
            if (o->isa_mask >> isa & 1) isa_text(&b, &x, i, isa);
    }
    *text = b.data;
    return true;
}

/* --- JSON. --- */

static void field_json(cJSON *row, const attn_field *f, const attn_spec *spec) {
    const char *at = (const char *)spec + f->offset;
    float x;
    int32_t i;
    char name[64];
    memcpy(&x, at, sizeof x);
    memcpy(&i, at, sizeof i);
    if (f->kind == ATTN_KIND_FLOAT) {
        if (x == ATTN_UNSET_F)
            cJSON_AddNullToObject(row, f->name);
        else
            cJSON_AddNumberToObject(row, f->name, x);
        return;
    }
    if (f->kind == ATTN_KIND_ENUM) {
        attn_enum_name(f, i, name, sizeof name);
        cJSON_AddStringToObject(row, f->name, name);
        return;
    }
    if (i == ATTN_UNSET)
        cJSON_AddNullToObject(row, f->name);
    else if (f->kind == ATTN_KIND_BOOL)
        cJSON_AddBoolToObject(row, f->name, i == 1);
    else
        cJSON_AddNumberToObject(row, f->name, i);
}

static void cost_json(cJSON *plan_row, const plan *p) {
    const plan_cost c = cost_of(p);
    if (p->gather_keys) return;
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

static void choice_json(cJSON *plan_row, const plan *p) {
    if (p->gather_keys) return;
    cJSON *t = cJSON_AddObjectToObject(plan_row, "choice");
    cJSON *tuned = cJSON_AddArrayToObject(plan_row, "from_tune_file");
    for (int i = 0; i < PLAN_PARAMS; i++) {
        const int value = plan_choice_get(&p->choice, i);
        if (plan_params[i].is_bool)
            cJSON_AddBoolToObject(t, plan_params[i].name, value);
        else
            cJSON_AddNumberToObject(t, plan_params[i].name, value);
        if (p->tuned >> i & 1) cJSON_AddItemToArray(tuned, cJSON_CreateString(plan_params[i].name));
    }
}

static cJSON *plan_json(const explained *x, int kernel, const plan *p) {
    const kernel_spec *k = &x->m->kernels[kernel];
    const explain_extent *e = x->e;
    const size_t measured = x->sizes ? x->sizes[kernel].bytes[p->isa] : 0;
    cJSON *t = cJSON_CreateObject();
    cJSON_AddStringToObject(t, "isa", isa_table[p->isa].name);
    cJSON_AddStringToObject(t, "symbol", p->symbol);
    cJSON_AddNumberToObject(t, "tile_queries", p->tile_vectors * isa_table[p->isa].width);
    cJSON_AddNumberToObject(t, "key_block", p->key_block);
    cJSON_AddNumberToObject(t, "tiles_per_block", p->tiles);
    cJSON_AddNumberToObject(t, "unroll", p->tile[p->tile_vectors - 1].unroll);
    cJSON_AddNumberToObject(t, "decode_q", p->gather_keys ? 0 : p->decode_q);
    cJSON_AddNumberToObject(t, "part_keys", p->part_keys);
    cJSON_AddNumberToObject(t, "gather_keys", p->gather_keys);
    cJSON_AddNumberToObject(t, "source_bytes", (double)source_bytes(x, p->symbol));
    cJSON_AddNumberToObject(t, "text_bytes", measured ? (double)measured : cost_of(p).text_bytes);
    cJSON_AddBoolToObject(t, "text_measured", measured > 0);
    choice_json(t, p);
    cost_json(t, p);
    cJSON *notes = cJSON_AddArrayToObject(t, "reasons");
    for (int i = 0; i < p->notes; i++) cJSON_AddItemToArray(notes, cJSON_CreateString(p->note[i]));
    if (!has_extents(e)) return t;
    const work w = measure(k, p, e);
    cJSON *tiles = cJSON_AddObjectToObject(t, "tiles");
    cJSON_AddNumberToObject(tiles, "none", (double)w.none);
    cJSON_AddNumberToObject(tiles, "all", (double)w.all);
    cJSON_AddNumberToObject(tiles, "some", (double)w.some);
    cJSON_AddNumberToObject(t, "pairs", w.pairs);
    cJSON_AddBoolToObject(t, "pairs_exact", w.exact);
    cJSON_AddNumberToObject(t, "flops", w.flops);
    cJSON_AddNumberToObject(t, "bytes", w.bytes);
    cJSON_AddNumberToObject(t, "workspace_bytes", (double)w.workspace);
    return t;
}

static cJSON *block_json(const explained *x, int kernel, int isa) {
    const kernel_spec *k = &x->m->kernels[kernel];
    const size_t measured = x->sizes ? x->sizes[kernel].bytes[isa] : 0;
    block_plan p;
    block_plan_make(x->a, k, &isa_table[isa], &p);
    cJSON *t = cJSON_CreateObject();
    cJSON_AddStringToObject(t, "isa", isa_table[isa].name);
    cJSON_AddStringToObject(t, "symbol", p.symbol);
    cJSON_AddStringToObject(t, "core", x->m->kernels[k->inner].name);
    cJSON_AddNumberToObject(t, "tile_rows", p.mr);
    cJSON_AddNumberToObject(t, "tile_columns", p.nr);
    cJSON_AddNumberToObject(t, "flops_per_row", block_plan_row_flops(k));
    cJSON_AddNumberToObject(t, "source_bytes", (double)source_bytes(x, p.symbol));
    if (measured) cJSON_AddNumberToObject(t, "text_bytes", (double)measured);
    cJSON_AddBoolToObject(t, "text_measured", measured > 0);
    cJSON *notes = cJSON_AddArrayToObject(t, "reasons");
    for (int i = 0; i < p.notes; i++) cJSON_AddItemToArray(notes, cJSON_CreateString(p.note[i]));
    return t;
}

static cJSON *kernel_json(const explained *x, int kernel) {
    arena *a = x->a;
    const kernel_spec *k = &x->m->kernels[kernel];
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", k->name);
    for (int f = 0; f < attn_field_count; f++)
        if (attn_fields[f].offset >= 0) field_json(row, &attn_fields[f], &k->core);
    if (k->score_expr) cJSON_AddStringToObject(row, "score", expr_canonical(a, k->score_expr));
    if (k->mask_expr) {
        cJSON_AddStringToObject(row, "mask", expr_canonical(a, k->mask_expr));
        cJSON_AddStringToObject(row, "key_range", expr_range_text(a, k->mask_expr));
    }
    cJSON *plans = cJSON_CreateArray(), *widest = NULL;
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
        if (!(x->o->isa_mask >> isa & 1)) continue;
        plan p;
        if (k->core.level == ATTN_LEVEL_BLOCK) {
            widest = block_json(x, kernel, isa);
        } else {
            gen_plan(a, k, &isa_table[isa], x->o, &p);
            widest = plan_json(x, kernel, &p);
        }
        cJSON_AddItemToArray(plans, widest);
    }
    /* "plan" is the widest instruction set asked for; "plans" has them all. */
    cJSON_AddItemToObject(row, "plan", cJSON_Duplicate(widest, true));
    cJSON_AddItemToObject(row, "plans", plans);
    return row;
}

bool explain_json(arena *a, const model *m, const gen_options *o, const explain_extent *e,
                  const explain_sizes *sizes, const char **text, diag *d) {
    explained x;
    if (!begin(a, m, o, e, sizes, &x, d)) return false;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "model", m->name);
    cJSON_AddNumberToObject(root, "source_bytes", (double)x.total);
    cJSON_AddNumberToObject(root, "source_budget", EXPLAIN_TEXT_BUDGET);
    cJSON *layers = cJSON_AddArrayToObject(root, "layers");
    for (int i = 0; i < m->layer_count; i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddNumberToObject(row, "index", i);
        cJSON_AddStringToObject(row, "kernel", m->kernels[m->layer_kernel[i]].name);
        cJSON_AddItemToArray(layers, row);
    }
    cJSON *kernels = cJSON_AddArrayToObject(root, "kernels");
    for (int i = 0; i < m->kernel_count; i++) cJSON_AddItemToArray(kernels, kernel_json(&x, i));
    char *json = cJSON_Print(root);
    *text = arena_printf(a, "%s\n", json);
    cJSON_free(json);
    cJSON_Delete(root);
    return true;
}
