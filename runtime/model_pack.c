/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_pack.c - weights that were checked become what calls read: layers are packed, a task each,
 * and matrices that are held in another type are rounded. */
#include "model.h"

#include "quant.h"
#include <stdatomic.h>
#include <stdlib.h>

enum { TEXT = 1024, ROWS_A_TASK = 64 };

static void *take_memory(attn_model *m, uint64_t bytes) {
    void *p = attn_size_fits(bytes) ? attn_model_allocate(m, bytes ? (size_t)bytes : 1) : NULL;
    if (p) m->packed_bytes += (size_t)bytes;
    return p;
}

/* --- Layers --- */

/* A layer's tensors, with copies of those that do not lie as their type needs. */
typedef struct tensors {
    attn_tensor *list;
    void **copy;
    int32_t count, copies;
} tensors;

static bool align_tensors(const attn_tensor *from, tensors *to) {
    const size_t count = (size_t)to->count + 1;
    to->list = malloc(count * sizeof *to->list);
    to->copy = malloc(count * sizeof *to->copy);
    if (!to->list || !to->copy) return false;
    for (int32_t i = 0; i < to->count; i++) {
        attn_tensor *t = &to->list[i];
        *t = from[i];
        if (attn_tensor_is_aligned(t)) continue;
        int64_t n = 1;
        for (int32_t d = 0; d < t->rank; d++) n *= t->dim[d];
        const size_t bytes = (size_t)attn_weight_bytes(t->type, n);
        void *copy = malloc(bytes + 1);
        if (!copy) return false;
        t->data = to->copy[to->copies++] = memcpy(copy, t->data, bytes);
    }
    return true;
}

/* What became of a layer. */
typedef struct result {
    attn_status status;
    char text[TEXT];
} result;

/* Layers that are packed side by side. */
typedef struct packing {
    attn_model *m;
    int32_t first;
    result *result;
} packing;

static attn_status pack_layer(const packing *p, int32_t i, char *text) {
    const attn_block *block = p->m->block[i];
    const attn_layer_tensors *all = &p->m->tensors;
    tensors t = {.count = all->first[i + 1] - all->first[i]};
    attn_status status = ATTN_E_MEMORY;
    if (align_tensors(all->list + all->first[i], &t))
        status = attn_own_block_pack(block, t.list, t.count, p->m->packed[i],
                                     attn_packed_size(block->kernel), text, TEXT);
    while (t.copies > 0) free(t.copy[--t.copies]);
    free(t.copy);
    free(t.list);
    return status;
}

static void pack_task(void *ctx, int64_t task, int worker) {
    const packing *p = ctx;
    (void)worker;
    const int32_t layer = p->first + (int32_t)task;
    result *r = &p->result[task];
    r->text[0] = 0;
    r->status = ATTN_OK;
    if (attn_model_owner(p->m, layer) == layer) r->status = pack_layer(p, layer, r->text);
}

typedef struct phase {
    attn_task_fn *fn;
    void *ctx;
    int64_t tasks;
} phase;

static void run_phase(void *ctx, attn_team *team) {
    const phase *p = ctx;
    attn_parallel(team, p->tasks, p->fn, p->ctx);
}

void attn_model_tasks(const attn_model_options *o, int64_t tasks, attn_task_fn *fn, void *ctx) {
    phase p = {fn, ctx, tasks};
    attn_team_run(o->pool, attn_model_threads(o), run_phase, &p);
}

int32_t attn_model_threads(const attn_model_options *o) {
    return attn_team_limit(o->pool, o->threads);
}

/* All layers in one piece of memory, in their order: a step reads it from end to end, and it may be
 * in large pages. False: it cannot be had. */
static bool place_layers(attn_model *m) {
    const int32_t layers = m->desc->layers;
    char *base = NULL;
    for (int pass = 0; pass < 2; pass++) {
        uint64_t used = 0;
        for (int32_t i = 0; i < layers; i++) {
            const int32_t owner = attn_model_owner(m, i);
            if (owner == i)
                m->packed[i] = attn_carve(base, &used, attn_packed_size(m->block[i]->kernel));
            else
                m->packed[i] = m->packed[owner];
        }
        if (pass == 0 && !(base = take_memory(m, used))) return false;
        if (pass == 0) attn_model_large_pages(base, (size_t)used);
    }
    return true;
}

/* As many layers as there are threads, then what became of them is told, and so on: progress comes
 * on the thread that opens. */
static attn_status pack_layers(packing *p, const attn_model_options *o, attn_problems *problems) {
    const int32_t layers = p->m->desc->layers, threads = attn_model_threads(o);
    if (!place_layers(p->m)) return ATTN_E_MEMORY;
    for (p->first = 0; p->first < layers; p->first += threads) {
        const int32_t rest = layers - p->first, some = rest < threads ? rest : threads;
        attn_model_tasks(o, some, pack_task, p);
        for (int32_t i = 0; i < some; i++) {
            if (*p->result[i].text)
                attn_problem(problems, "layer %d: %s", p->first + i, p->result[i].text);
            if (p->result[i].status != ATTN_OK) return p->result[i].status;
            if (o->progress) o->progress(o->ctx, p->first + i + 1, layers);
        }
    }
    return ATTN_OK;
}

/* --- Matrices --- */

typedef struct conversion {
    attn_model_matrix from, to;
    void *data;
    float *row;       /* [threads][width] */
    atomic_llong bad; /* first row that its type cannot hold; rows: none */
} conversion;

static const char *convert_row(const conversion *c, int64_t i, float *row) {
    attn_model_row(&c->from, i, row);
    return attn_quantise((char *)c->data + i * attn_weight_bytes(c->to.type, c->to.width),
                         c->to.type, c->to.width, row);
}

static void convert_task(void *ctx, int64_t task, int worker) {
    conversion *c = ctx;
    float *row = c->row + worker * c->to.width;
    const int64_t end =
        (task + 1) * ROWS_A_TASK < c->to.rows ? (task + 1) * ROWS_A_TASK : c->to.rows;
    for (int64_t i = task * ROWS_A_TASK; i < end; i++) {
        if (!convert_row(c, i, row)) continue;
        long long bad = atomic_load(&c->bad);
        while (i < bad && !atomic_compare_exchange_weak(&c->bad, &bad, i)) {
        }
        return;
    }
}

static attn_status convert(attn_model *m, attn_model_matrix *to, const attn_model_options *o,
                           attn_problems *p) {
    conversion c = {.from = *to, .to = *to, .data = take_memory(m, attn_model_matrix_bytes(to))};
    const size_t rows = (size_t)attn_model_threads(o);
    c.from.type = to->from->tensor.type;
    atomic_init(&c.bad, to->rows);
    c.row = malloc(rows * (size_t)to->width * sizeof(float));
    attn_status status = c.data && c.row ? ATTN_OK : ATTN_E_MEMORY;
    if (status == ATTN_OK)
        attn_model_tasks(o, (to->rows + ROWS_A_TASK - 1) / ROWS_A_TASK, convert_task, &c);
    const int64_t bad = atomic_load(&c.bad);
    if (status == ATTN_OK && bad < to->rows) {
        attn_problem(p, "%s: row %lld in %s: %s", to->from->tensor.name, (long long)bad,
                     attn_weight_get(to->type).name, convert_row(&c, bad, c.row));
        status = ATTN_E_WEIGHTS;
    }
    free(c.row);
    to->data = c.data;
    return status;
}

attn_status attn_model_pack(attn_model *m, const attn_model_options *o, attn_problems *p) {
    attn_model_matrix *matrix[ATTN_MODEL_MATRICES];
    attn_status status = ATTN_OK;
    attn_model_matrices(m, matrix);
    for (int i = 0; i < ATTN_MODEL_MATRICES && status == ATTN_OK; i++)
        if (matrix[i]->from) status = convert(m, matrix[i], o, p);
    packing k = {m, 0, malloc((size_t)attn_model_threads(o) * sizeof *k.result)};
    if (!k.result) return ATTN_E_MEMORY;
    if (status == ATTN_OK) status = pack_layers(&k, o, p);
    free(k.result);
    return status;
}
