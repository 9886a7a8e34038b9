#include "explain.h"

#include "block_plan.h"
#include "json.h"
#include "work.h"

#include <string.h>

static bool has_extents(const explain_extent *e) {
    return e->q_len >= 0 && e->kv_len >= 0;
}

size_t explain_source_bytes(arena *a, const gen_files *files, const char *symbol) {
    const char *path = arena_printf(a, "%s.c", symbol);
    for (int i = 0; i < files->count; i++)
        if (!strcmp(files->file[i].path, path)) return strlen(files->file[i].text);
    return 0;
}

/* --- Text. --- */

const char *explain_field(arena *a, const attn_field *f, const attn_spec *spec) {
    if (f->offset < 0 || !attn_field_applies(f, spec, NULL)) return NULL;
    const char *at = (const char *)spec + f->offset;
    float x;
    int32_t i;
    char name[64];
    memcpy(&x, at, sizeof x);
    memcpy(&i, at, sizeof i);
    switch (f->kind) {
    case ATTN_KIND_FLOAT:
        attn_float_text(x, name);
        return x == ATTN_UNSET_F ? NULL : arena_strdup(a, name);
    case ATTN_KIND_ENUM: attn_enum_name(f, i, name, sizeof name); return arena_strdup(a, name);
    case ATTN_KIND_BOOL: return i == 1 ? "true" : "false";
    default: return i == ATTN_UNSET ? NULL : arena_printf(a, "%d", i);
    }
}

static void layers_text(buf *b, const model *m, int kernel) {
    buf_puts(b, "  layers:");
    for (int i = 0; i < m->layer_count; i++)
        if (model_layer_runs(m, i, kernel)) buf_printf(b, " %d", i);
    buf_puts(b, "\n");
}

/* What side tensors, scalars or segments decide, for made-up ones. */
static void example_text(arena *a, buf *b, const kernel_spec *k, const plan *p,
                         const explain_extent *e) {
    example x;
    if (!work_needs_data(k)) return;
    example_make(a, k, p, e, &x);
    const work w = work_of(k, p, e, &x);
    buf_printf(b, "      for example, with %s:\n       ", x.text);
    if (!p->gather_keys)
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
    example_text(a, b, k, p, e);
    buf_printf(b, "      workspace: %zu bytes; heap: 0\n", w.workspace);
}

static void block_text(arena *a, buf *b, const model *m, const kernel_spec *k, int isa,
                       const gen_files *files) {
    block_plan p;
    block_plan_make(a, k, &isa_table[isa], &p);
    buf_printf(b, "  %s: %zu bytes of C in %s.c\n", isa_table[isa].name,
               explain_source_bytes(a, files, p.symbol), p.symbol);
    for (int n = 0; n < p.notes; n++) buf_printf(b, "    %s\n", p.note[n]);
    buf_printf(b, "    core: %s\n", m->kernels[k->inner].name);
    buf_printf(b, "    projections: %.4g FLOPs a row\n", block_plan_row_flops(k));
}

bool explain_text(arena *a, const model *m, const gen_options *o, const explain_extent *e,
                  const char **text, diag *d) {
    buf b = buf_new(a);
    gen_files files;
    if (!gen_render(a, m, o, &files, d)) return false;
    buf_printf(&b, "%s: %d layer%s, %d kernel%s\n", m->name, m->layer_count,
               m->layer_count == 1 ? "" : "s", m->kernel_count, m->kernel_count == 1 ? "" : "s");
    for (int i = 0; i < m->kernel_count; i++) {
        const kernel_spec *k = &m->kernels[i];
        buf_printf(&b, "\n%s\n", k->name);
        layers_text(&b, m, i);
        buf_puts(&b, "  spec:");
        for (int f = 0; f < attn_field_count; f++) {
            const char *value = explain_field(a, &attn_fields[f], &k->core);
            if (value) buf_printf(&b, " %s=%s", attn_fields[f].name, value);
        }
        buf_puts(&b, "\n");
        if (k->score_expr) buf_printf(&b, "  score: %s\n", expr_canonical(a, k->score_expr));
        if (k->mask_expr) buf_printf(&b, "  mask: %s\n", expr_canonical(a, k->mask_expr));
        for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
            if (!(o->isa_mask >> isa & 1)) continue;
            if (k->core.level == ATTN_LEVEL_BLOCK) {
                block_text(a, &b, m, k, isa, &files);
                continue;
            }
            plan p;
            plan_make(a, k, &isa_table[isa], o->unroll, &p);
            buf_printf(&b, "  %s: %zu bytes of C in %s.c\n", isa_table[isa].name,
                       explain_source_bytes(a, &files, p.symbol), p.symbol);
            for (int n = 0; n < p.notes; n++) buf_printf(&b, "    %s\n", p.note[n]);
            if (has_extents(e)) work_text(a, &b, k, &p, e);
        }
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

static cJSON *plan_json(arena *a, const kernel_spec *k, const plan *p, const explain_extent *e,
                        size_t size) {
    cJSON *t = cJSON_CreateObject();
    json_plan(t, p);
    cJSON_AddNumberToObject(t, "source_bytes", (double)size);
    if (!has_extents(e)) return t;
    const work w = work_of(k, p, e, NULL);
    tiles_json(t, &w);
    cJSON_AddBoolToObject(t, "pairs_exact", w.exact);
    cJSON_AddNumberToObject(t, "flops", w.flops);
    cJSON_AddNumberToObject(t, "bytes", w.bytes);
    cJSON_AddNumberToObject(t, "workspace_bytes", (double)w.workspace);
    example_json(a, t, k, p, e);
    return t;
}

static cJSON *block_json(arena *a, const model *m, const kernel_spec *k, int isa,
                         const gen_files *files) {
    block_plan p;
    block_plan_make(a, k, &isa_table[isa], &p);
    cJSON *t = cJSON_CreateObject();
    json_block_plan(t, m, k, &p);
    cJSON_AddNumberToObject(t, "source_bytes", (double)explain_source_bytes(a, files, p.symbol));
    return t;
}

static cJSON *kernel_json(arena *a, const model *m, const kernel_spec *k, const gen_options *o,
                          const explain_extent *e, const gen_files *files) {
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", k->name);
    json_spec(a, row, k);
    if (k->mask_expr) cJSON_AddStringToObject(row, "key_range", expr_range_text(a, k->mask_expr));
    cJSON *plans = cJSON_CreateArray(), *widest = NULL;
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
        if (!(o->isa_mask >> isa & 1)) continue;
        if (k->core.level == ATTN_LEVEL_BLOCK) {
            widest = block_json(a, m, k, isa, files);
            cJSON_AddItemToArray(plans, widest);
            continue;
        }
        plan p;
        plan_make(a, k, &isa_table[isa], o->unroll, &p);
        widest = plan_json(a, k, &p, e, explain_source_bytes(a, files, p.symbol));
        cJSON_AddItemToArray(plans, widest);
    }
    /* "plan" is the widest instruction set asked for; "plans" has them all. */
    cJSON_AddItemToObject(row, "plan", cJSON_Duplicate(widest, true));
    cJSON_AddItemToObject(row, "plans", plans);
    return row;
}

bool explain_json(arena *a, const model *m, const gen_options *o, const explain_extent *e,
                  const char **text, diag *d) {
    gen_files files;
    if (!gen_render(a, m, o, &files, d)) return false;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "model", m->name);
    json_layers(root, m);
    cJSON *kernels = cJSON_AddArrayToObject(root, "kernels");
    for (int i = 0; i < m->kernel_count; i++)
        cJSON_AddItemToArray(kernels, kernel_json(a, m, &m->kernels[i], o, e, &files));
    char *json = cJSON_Print(root);
    *text = arena_printf(a, "%s\n", json);
    cJSON_free(json);
    cJSON_Delete(root);
    return true;
}
