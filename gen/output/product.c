#include "product.h"

/* --- The digest: of all that is resolved for a file. --- */

static void digest_value(buf *b, const lua_val *v) {
    switch (v->kind) {
    case LUA_VAL_NIL: buf_puts(b, "nil"); break;
    case LUA_VAL_BOOL: buf_puts(b, v->boolean ? "true" : "false"); break;
    case LUA_VAL_INT: buf_printf(b, "%lld", (long long)v->integer); break;
    case LUA_VAL_FLOAT: buf_printf(b, "%a", v->number); break;
    case LUA_VAL_STRING: buf_printf(b, "%s", v->string); break;
    case LUA_VAL_TABLE:
        for (int i = 0; i < v->field_count; i++) {
            buf_printf(b, "%s=", v->field[i].name ? v->field[i].name : "");
            digest_value(b, v->field[i].value);
            buf_puts(b, ";");
        }
    }
    buf_puts(b, "\n");
}

static void digest_spec(arena *a, buf *b, const kernel_spec *k) {
    buf_printf(b, "%s\n", k->name);
    for (int i = 0; i < attn_field_count; i++) {
        char text[ATTN_FIELD_TEXT_MAX];
        if (attn_field_is_member(&attn_fields[i]) &&
            attn_field_text(&attn_fields[i], &k->core, text))
            buf_printf(b, "%s=%s\n", attn_fields[i].name, text);
    }
    buf_printf(b, "%s\n%s\n", k->score ? expr_canonical(a, k->score_expr) : "",
               k->mask ? expr_canonical(a, k->mask_expr) : "");
    for (int i = 0; i < k->tensor_count; i++)
        buf_printf(b, "%s\n", expr_decl_canonical(a, &k->tensors[i]));
    for (int i = 0; i < k->scalar_count; i++)
        buf_printf(b, "%s=%d\n", k->scalars[i].name, k->scalars[i].is_float);
}

/* The plan as templates see it, so that no list of its members can fall behind. */
static const char *digest(arena *a, const product *p) {
    buf b = buf_new(a);
    digest_spec(a, &b, p->spec);
    digest_value(&b, p->layer ? block_plan_to_lua(a, &p->block_plan) : plan_to_lua(a, &p->plan));
    if (p->layer) buf_printf(&b, "%s\n", p->core->symbol);
    if (p->expanded) buf_printf(&b, "%s\n", p->expanded->symbol);
    return arena_printf(a, "%016llx", (unsigned long long)hash64(b.data, b.len));
}

/* --- The list. --- */

static void decide(arena *a, const gen_options *o, product *p) {
    const kernel_spec *k = p->spec;
    if (p->layer) {
        block_plan_make(a, k, p->isa, &p->block_plan);
        p->symbol = p->block_plan.symbol;
        p->note = p->block_plan.note, p->notes = p->block_plan.notes;
    } else {
        const attn_isa isa = (attn_isa)(p->isa - isa_table);
        plan_make(a, k, p->isa, o->unroll, tune_find(o->tune, k->name, isa), &p->plan);
        p->symbol = p->plan.symbol;
        p->note = p->plan.note, p->notes = p->plan.notes;
    }
}

static void add(arena *a, product_list *list, int kernel, int isa) {
    const kernel_spec *k = &list->model->kernels[kernel];
    product *p = &list->row[list->count++];
    *p = (product){.spec = k,
                   .kernel = kernel,
                   .isa = &isa_table[isa],
                   .layer = k->core.level == ATTN_LEVEL_BLOCK,
                   .core = p};
    if (k->inner >= 0) p->core = product_on(list, k->inner, isa);
    if (k->expanded >= 0) p->expanded = product_on(list, k->expanded, isa);
    decide(a, list->options, p);
}

bool products_check(arena *a, const model *m, unsigned isa_mask, diag *d) {
    for (int i = 0; i < m->kernel_count; i++) {
        const unsigned some = isa_storing(&m->kernels[i].core);
        if (some & isa_mask) continue;
        return diag_set(d,
                        "--isa: %s has kernels for %s only, today: the others do not read its "
                        "storage types yet",
                        m->kernels[i].name, isa_list(a, some, ", "));
    }
    return true;
}

product_list products_make(arena *a, const model *m, const gen_options *o) {
    product_list list = {.model = m, .options = o};
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) list.isas += o->isa_mask >> isa & 1;
    list.row = arena_alloc(a, ((size_t)m->kernel_count * (size_t)list.isas + 1) * sizeof(product));
    list.first = arena_alloc(a, ((size_t)m->kernel_count + 1) * sizeof *list.first);
    for (int kernel = 0; kernel < m->kernel_count; kernel++) {
        const unsigned mask = o->isa_mask & isa_storing(&m->kernels[kernel].core);
        list.first[kernel] = list.count;
        for (int isa = 0; isa < ATTN_ISA_COUNT; isa++)
            if (mask >> isa & 1) add(a, &list, kernel, isa);
        list.first[kernel + 1] = list.count;
    }
    for (int i = 0; i < list.count; i++) list.row[i].digest = digest(a, &list.row[i]);
    return list;
}

const product *products_of(const product_list *p, int kernel) {
    return &p->row[p->first[kernel]];
}

int products_count(const product_list *p, int kernel) {
    return p->first[kernel + 1] - p->first[kernel];
}

const product *product_on(const product_list *p, int kernel, int isa) {
    for (int i = p->first[kernel]; i < p->first[kernel + 1]; i++)
        if (p->row[i].isa == &isa_table[isa]) return &p->row[i];
    return NULL;
}

const product *product_widest(const product_list *p, int kernel) {
    return &products_of(p, kernel)[products_count(p, kernel) - 1];
}
