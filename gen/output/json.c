#include "json.h"

#include <stdlib.h>
#include <string.h>

/* 1e-06, not 9.99999997e-07. */
static double json_float(float x) {
    char text[ATTN_FLOAT_MAX];
    attn_float_text(x, text);
    return strtod(text, NULL);
}

/* What form mla fills of the regular form's fields (one value head ..) is part of its kernel. */
static bool is_part(const attn_field *f, const attn_spec *spec) {
    return f->applies == ATTN_IN_REGULAR || attn_field_applies(f, spec, NULL);
}

/* Every field stands in every kernel; null: not set, or not of this level, form or op. */
static void field_json(cJSON *row, const attn_field *f, const attn_spec *spec) {
    const double v = attn_field_get(f, spec);
    char name[ATTN_FIELD_TEXT_MAX];
    if (!is_part(f, spec) || (!attn_field_is_set(f, spec) && f->kind != ATTN_KIND_ENUM)) {
        cJSON_AddNullToObject(row, f->name);
    } else if (f->kind == ATTN_KIND_FLOAT) {
        cJSON_AddNumberToObject(row, f->name, json_float((float)v));
    } else if (f->kind == ATTN_KIND_ENUM || f->kind == ATTN_KIND_TYPES) {
        attn_field_text(f, spec, name); /* "" where unset */
        cJSON_AddStringToObject(row, f->name, name);
    } else if (f->kind == ATTN_KIND_BOOL) {
        cJSON_AddBoolToObject(row, f->name, v == 1);
    } else {
        cJSON_AddNumberToObject(row, f->name, v);
    }
}

static void add_strings(cJSON *row, const char *name, const char *const *text, int count) {
    cJSON *list = cJSON_AddArrayToObject(row, name);
    for (int i = 0; i < count; i++) cJSON_AddItemToArray(list, cJSON_CreateString(text[i]));
}

static void text_json(cJSON *row, const char *name, const char *text) {
    if (text)
        cJSON_AddStringToObject(row, name, text);
    else
        cJSON_AddNullToObject(row, name);
}

void json_spec(arena *a, cJSON *row, const kernel_spec *k) {
    for (int f = 0; f < attn_field_count; f++)
        if (attn_field_is_member(&attn_fields[f]) &&
            !attn_field_is_silent(&attn_fields[f], &k->core))
            field_json(row, &attn_fields[f], &k->core);
    text_json(row, "score", k->score_expr ? expr_canonical(a, k->score_expr) : NULL);
    text_json(row, "mask", k->mask_expr ? expr_canonical(a, k->mask_expr) : NULL);
    const size_t most = (size_t)(k->tensor_count + k->scalar_count) + 1;
    const char **text = arena_alloc(a, most * sizeof *text);
    for (int i = 0; i < k->tensor_count; i++) text[i] = expr_decl_canonical(a, &k->tensors[i]);
    if (k->tensor_count) add_strings(row, "tensor", text, k->tensor_count);
    for (int i = 0; i < k->scalar_count; i++)
        text[i] =
            arena_printf(a, "%s=%s", k->scalars[i].name, k->scalars[i].is_float ? "f32" : "i32");
    if (k->scalar_count) add_strings(row, "scalar", text, k->scalar_count);
}

static void choice_json(cJSON *plan_row, const plan *p) {
    if (!p->tiled) return;
    cJSON *t = cJSON_AddObjectToObject(plan_row, "choice");
    cJSON *tuned = cJSON_AddArrayToObject(plan_row, "from_tune_file");
    if (p->choice.unasked >= 0) cJSON_AddBoolToObject(t, "unasked", p->choice.unasked);
    for (int i = 0; i < PLAN_PARAMS; i++) {
        const int value = plan_choice_get(&p->choice, i);
        if (plan_params[i].is_bool)
            cJSON_AddBoolToObject(t, plan_params[i].name, value);
        else
            cJSON_AddNumberToObject(t, plan_params[i].name, value);
        if (p->tuned >> i & 1) cJSON_AddItemToArray(tuned, cJSON_CreateString(plan_params[i].name));
    }
}

static void plan_json(cJSON *row, const plan *p) {
    if (p->tiled) {
        cJSON_AddNumberToObject(row, "tile_queries", p->tile_vectors * isa_table[p->isa].width);
        cJSON_AddNumberToObject(row, "key_block", p->key_block);
        cJSON_AddNumberToObject(row, "tiles_per_block", p->tiles);
        cJSON_AddNumberToObject(row, "unroll", p->tile[p->tile_vectors - 1].unroll);
        cJSON_AddNumberToObject(row, "decode_q", p->decode_q);
        cJSON_AddNumberToObject(row, "part_keys", p->part_keys);
    }
    cJSON_AddNumberToObject(row, "gather_keys", p->gather_keys);
    cJSON_AddNumberToObject(row, "thread_bytes", (double)plan_scratch(p));
    choice_json(row, p);
    add_strings(row, "reasons", p->note, p->notes);
}

static void layer_json(cJSON *row, const product *product) {
    const block_plan *p = &product->block_plan;
    cJSON_AddStringToObject(row, "core", product->core->spec->name);
    if (product->expanded)
        cJSON_AddStringToObject(row, "core_expanded", product->expanded->spec->name);
    cJSON_AddNumberToObject(row, "tile_rows", p->mr);
    cJSON_AddNumberToObject(row, "tile_columns", p->nr);
    cJSON_AddNumberToObject(row, "flops_per_row", block_plan_row_flops(product->spec));
    add_strings(row, "reasons", p->note, p->notes);
}

void json_product(cJSON *row, const product *p) {
    cJSON_AddStringToObject(row, "isa", p->isa->name);
    cJSON_AddStringToObject(row, "symbol", p->symbol);
    cJSON_AddStringToObject(row, "prefix", p->prefix);
    if (p->layer)
        layer_json(row, p);
    else
        plan_json(row, &p->plan);
}

void json_layers(cJSON *root, const model *m) {
    cJSON *layers = cJSON_AddArrayToObject(root, "layers");
    for (int i = 0; i < m->layer_count; i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddNumberToObject(row, "index", i);
        cJSON_AddStringToObject(row, "kernel", m->kernels[m->layer_kernel[i]].name);
        cJSON_AddItemToArray(layers, row);
    }
}
