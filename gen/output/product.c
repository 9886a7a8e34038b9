#include "product.h"
#include "layout.h"

#include "cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- The digest: of all that is resolved for a file. --- */

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
    lua_val_text(&b, p->layer ? block_plan_to_lua(a, &p->block_plan) : plan_to_lua(a, &p->plan));
    if (p->layer) buf_printf(&b, "%s\n", p->core->symbol);
    if (p->expanded) buf_printf(&b, "%s\n", p->expanded->symbol);
    return arena_printf(a, "%016llx", (unsigned long long)hash64(b.data, b.len));
}

/* --- Prefixes: a hash of the kernel's name and instruction set, as short as tells all apart. ---
 */

static uint64_t prefix_hash(arena *a, const model *m, int number) {
    const char *kernel = m->kernels[number / ATTN_ISA_COUNT].name;
    const char *text = arena_printf(a, "%s__%s", kernel, isa_table[number % ATTN_ISA_COUNT].name);
    return hash64(text, strlen(text));
}

static int ascending(const void *x, const void *y) {
    const uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return (a > b) - (a < b);
}

/* Bits of the hash that a model's prefixes show: all instruction sets count, so that a kernel's
 * file does not depend on which of them are asked for. */
static int prefix_bits(arena *a, const model *m) {
    const int count = m->kernel_count * ATTN_ISA_COUNT;
    uint64_t *hash = arena_alloc(a, ((size_t)count + 1) * sizeof *hash);
    int bits = 16;
    for (int i = 0; i < count; i++) hash[i] = prefix_hash(a, m, i);
    qsort(hash, (size_t)count, sizeof *hash, ascending);
    for (int i = 1; i < count; i++)
        while (bits < 64 && hash[i] >> (64 - bits) == hash[i - 1] >> (64 - bits)) bits += 4;
    return bits;
}

static const char *prefix(arena *a, const product *p, const model *m, int bits) {
    const int number = p->kernel * ATTN_ISA_COUNT + (int)(p->isa - isa_table);
    const uint64_t hash = prefix_hash(a, m, number) >> (64 - bits);
    return arena_printf(a, "k%0*llx_", bits / 4, (unsigned long long)hash);
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
    decide(a, list->options, p);
}

static const product *serving(const product_list *list, int kernel, const isa_row *isa) {
    const product *p = product_on(list, kernel, (int)(isa - isa_table));
    return p || !isa->like ? p : serving(list, kernel, isa->like);
}

/* A layer's kernels, which may come after it. */
static void link_cores(const product_list *list, product *p) {
    if (p->spec->inner >= 0) p->core = serving(list, p->spec->inner, p->isa);
    if (p->spec->expanded >= 0) p->expanded = serving(list, p->spec->expanded, p->isa);
    if (!p->layer) return;
    char *symbol = p->block_plan.symbol; /* a layer is another one where its cores are */
    const size_t n = strlen(symbol);
    snprintf(symbol + n, sizeof p->block_plan.symbol - n, "%s%s", p->core->plan.other,
             p->expanded ? p->expanded->plan.other : "");
}

/* Whether a kernel has code of its own on one of the instruction sets that were asked for: the
 * plan's or a tune file's, a layer where one of its cores has. Without a row that it is like, all
 * have. */
static bool adds(arena *a, const product_list *list, unsigned asked, int kernel,
                 const isa_row *isa) {
    const kernel_spec *k = &list->model->kernels[kernel];
    const gen_options *o = list->options;
    const attn_isa number = (attn_isa)(isa - isa_table);
    const isa_row *like = isa_like(isa, asked);
    if (!like) return true;
    if (k->core.level == ATTN_LEVEL_BLOCK)
        return block_plan_adds(a, k, isa, like) ||
               (k->inner >= 0 && adds(a, list, asked, k->inner, isa)) ||
               (k->expanded >= 0 && adds(a, list, asked, k->expanded, isa));
    return tune_find(o->tune, k->name, number) || plan_adds(a, k, isa, like, o->unroll);
}

/* Those asked for on which some kernel has code of its own. */
static unsigned useful_isas(arena *a, const product_list *list) {
    const unsigned asked = list->options->isa_mask;
    unsigned mask = 0;
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
        if (!(asked >> isa & 1)) continue;
        bool any = !isa_table[isa].like;
        for (int i = 0; i < list->model->kernel_count && !any; i++)
            any = adds(a, list, asked, i, &isa_table[isa]);
        if (any) mask |= 1u << isa;
    }
    return mask;
}

product_list products_make(arena *a, const model *m, const gen_options *o) {
    gen_options *own = arena_alloc(a, sizeof *own);
    product_list list = {.model = m, .options = own};
    *own = *o;
    own->isa_mask = useful_isas(a, &list);
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) list.isas += own->isa_mask >> isa & 1;
    list.row = arena_alloc(a, ((size_t)m->kernel_count * (size_t)list.isas + 1) * sizeof(product));
    list.first = arena_alloc(a, ((size_t)m->kernel_count + 1) * sizeof *list.first);
    for (int kernel = 0; kernel < m->kernel_count; kernel++) {
        list.first[kernel] = list.count;
        for (int isa = 0; isa < ATTN_ISA_COUNT; isa++)
            if ((own->isa_mask >> isa & 1) && adds(a, &list, o->isa_mask, kernel, &isa_table[isa]))
                add(a, &list, kernel, isa);
        list.first[kernel + 1] = list.count;
    }
    for (int i = 0; i < list.count; i++) link_cores(&list, &list.row[i]);
    const int bits = prefix_bits(a, m);
    for (int i = 0; i < list.count; i++) {
        list.row[i].digest = digest(a, &list.row[i]);
        list.row[i].prefix = prefix(a, &list.row[i], m, bits);
    }
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

const product *product_best(const product_list *p, int kernel) {
    const product *row = products_of(p, kernel), *best = row;
    for (int i = 1; i < products_count(p, kernel); i++)
        if (attn_isa_better((attn_isa)(row[i].isa - isa_table), (attn_isa)(best->isa - isa_table)))
            best = &row[i];
    return best;
}

uint64_t product_workspace(const product *p, int32_t batch, int32_t tokens, int32_t keys,
                           bool cached, int32_t threads) {
    const bool other = p->spec->core.kv_dim != ATTN_UNSET;
    attn_block_extent e = {.batch = batch, .tokens = tokens, .threads = threads, .cached = cached};
    e.rows = batch * tokens;
    e.kv_rows = other ? batch * keys : 0;
    e.keys = cached || other ? keys : tokens;
    if (!cached) e.keys = (int32_t)attn_layout_rows(&p->spec->core, e.keys);
    e.core_bytes = plan_workspace(&p->core->plan, p->core->spec, batch, tokens, e.keys, threads);
    if (p->expanded && tokens >= p->block_plan.expand_from) {
        const uint64_t expanded =
            plan_workspace(&p->expanded->plan, p->expanded->spec, batch, tokens, e.keys, threads);
        if (expanded > e.core_bytes) e.core_bytes = expanded;
    }
    return block_plan_workspace(&p->block_plan, &e);
}
