#include "memory.h"

#include "plan/block_plan.h"
#include "weight_types.h"

uint64_t memory_packed_bytes(const product *p) {
    enum { HEADER = 64, LINE = 64 };
    const uint64_t bytes = (uint64_t)p->block_plan.packed_floats * sizeof(float);
    return HEADER + (bytes + LINE - 1) / LINE * LINE;
}

double memory_token_bytes(const product *p) {
    return work_cache_bytes(p->core->spec, &p->core->plan);
}

work memory_token_work(const product *p, int32_t n) {
    const explain_extent e = {1, 1, n};
    work w = work_of(p->spec, &p->core->plan, &e, NULL);
    if (!p->layer) return w;
    w.flops += block_plan_row_flops(p->spec);
    w.bytes += block_plan_row_bytes(&p->block_plan);
    w.workspace = (size_t)product_workspace(p, 1, 1, n, true, 1);
    return w;
}

size_t memory_prompt_workspace(const product *p, int32_t n, int32_t threads) {
    if (p->layer) return (size_t)product_workspace(p, 1, n, n, true, threads);
    return (size_t)plan_workspace(&p->core->plan, p->spec, 1, n, n, threads);
}

static int layers_of(const model *m, int kernel) {
    int count = 0;
    for (int i = 0; i < m->layer_count; i++) count += m->layer_kernel[i] == kernel;
    return count;
}

memory memory_of(const product_list *p, int32_t n) {
    const model *m = p->model;
    memory sum = {.whole = true};
    for (int i = 0; i < m->kernel_count; i++) {
        const int layers = layers_of(m, i);
        if (!layers) continue; /* a layer's core */
        const product *best = product_best(p, i);
        const work w = memory_token_work(best, n);
        const size_t prompt = memory_prompt_workspace(best, n, 1);
        if (best->layer) sum.packed += layers * (double)memory_packed_bytes(best);
        sum.whole = sum.whole && best->layer;
        sum.token += layers * memory_token_bytes(best);
        sum.flops += layers * w.flops;
        sum.bytes += layers * w.bytes;
        if (w.workspace > sum.step) sum.step = w.workspace;
        if (prompt > sum.prompt) sum.prompt = prompt;
    }
    return sum;
}

int memory_tables(const model *m, memory_table out[MEMORY_TABLES]) {
    const attn_model_spec *s = &m->whole;
    int count = 0;
    if (!m->is_whole) return 0;
    const int64_t width = attn_spec_row_dim(&m->kernels[m->layer_kernel[0]].core);
    const memory_table tables[MEMORY_TABLES] = {
        {"embedding", s->input == ATTN_MODEL_INPUT_IDS ? s->vocab : 0, width, s->embed_type - 1},
        {"positions", s->positions, width, -1},
        {"token types", s->token_types, width, -1},
        {"head", s->head == ATTN_MODEL_HEAD_OWN ? s->vocab : 0, width, s->head_type - 1},
        {"pooler", s->pool_dense ? width : 0, width, -1}};
    for (int i = 0; i < MEMORY_TABLES; i++)
        if (tables[i].rows) out[count++] = tables[i];
    return count;
}

const char *memory_table_text(arena *a, const memory_table *t,
                              const char *(*bytes)(arena *a, double v)) {
    const double count = (double)t->rows * (double)t->columns;
    const char *size = arena_printf(a, "%lld x %lld", (long long)t->rows, (long long)t->columns);
    if (t->type < 0)
        return arena_printf(a, "%s, as the file has it: %s in f32, %s in bf16 or f16", size,
                            bytes(a, count * 4), bytes(a, count * 2));
    const attn_weight_row row = attn_weight_get(t->type);
    return arena_printf(a, "%s, %s in %s", size, bytes(a, count / row.block * row.bytes), row.name);
}
