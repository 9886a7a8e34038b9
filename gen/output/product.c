#include "product.h"

/* Of what a file was made from. Layers: no tune file changes them. */
static const char *digest(arena *a, const product *p) {
    const kernel_spec *k = p->spec;
    buf b = buf_new(a);
    buf_printf(&b, "%s\n%s\n%s\n", k->name, k->score ? expr_canonical(a, k->score_expr) : "",
               k->mask ? expr_canonical(a, k->mask_expr) : "");
    for (int i = 0; i < k->tensor_count; i++)
        buf_printf(&b, "%s\n", expr_decl_canonical(a, &k->tensors[i]));
    for (int i = 0; !p->layer && i < PLAN_PARAMS; i++)
        if (p->plan.tuned >> i & 1)
            buf_printf(&b, "%s=%d\n", plan_params[i].name, plan_choice_get(&p->plan.choice, i));
    return arena_printf(a, "%016llx", (unsigned long long)hash64(b.data, b.len));
}

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
    p->digest = digest(a, p);
}

/* Products of one kernel lie as its instruction sets do: a layer finds its core by them. */
static void add(arena *a, product_list *list, int kernel, int isa, int place) {
    const kernel_spec *k = &list->model->kernels[kernel];
    product *p = &list->row[list->count++];
    *p = (product){.spec = k,
                   .kernel = kernel,
                   .isa = &isa_table[isa],
                   .layer = k->core.level == ATTN_LEVEL_BLOCK,
                   .core = p};
    if (k->inner >= 0) p->core = products_of(list, k->inner) + place;
    if (k->expanded >= 0) p->expanded = products_of(list, k->expanded) + place;
    decide(a, list->options, p);
}

product_list products_make(arena *a, const model *m, const gen_options *o) {
    product_list list = {.model = m, .options = o};
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) list.isas += o->isa_mask >> isa & 1;
    list.row = arena_alloc(a, ((size_t)m->kernel_count * (size_t)list.isas + 1) * sizeof(product));
    for (int kernel = 0; kernel < m->kernel_count; kernel++)
        for (int isa = 0, place = 0; isa < ATTN_ISA_COUNT; isa++)
            if (o->isa_mask >> isa & 1) add(a, &list, kernel, isa, place++);
    return list;
}

const product *products_of(const product_list *p, int kernel) {
    return &p->row[kernel * p->isas];
}

const product *product_widest(const product_list *p, int kernel) {
    return &products_of(p, kernel)[p->isas - 1];
}
