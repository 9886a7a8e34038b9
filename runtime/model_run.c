/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_run.c - a call of a whole model: embedded rows, the layers, norm, logits, pooled rows. */
#include "model_call.h"
#include "mode.h"

enum { ROWS_A_TASK = 8, VOCAB_A_TASK = 256 };

static float *row_at(const attn_model_call *c, int32_t row) {
    return c->h + (int64_t)row * c->model->width;
}

/* Tasks of ROWS_A_TASK rows: the first of task's, and one past its last. */
static int32_t end_of(const attn_model_call *c, int64_t task) {
    const int64_t end = (task + 1) * ROWS_A_TASK;
    return end < c->rows ? (int32_t)end : c->rows;
}

static int64_t row_tasks(const attn_model_call *c) {
    return ((int64_t)c->rows + ROWS_A_TASK - 1) / ROWS_A_TASK;
}

/* --- Before the layers --- */

static void add_row(const attn_model_matrix *m, int64_t row, float *x, float *buffer) {
    if (!m->data) return;
    attn_model_row(m, row, buffer);
    for (int64_t i = 0; i < m->width; i++) x[i] += buffer[i];
}

/* The item of a row: the last one that begins at it or before, and has rows. */
static int32_t item_of(const attn_model_call *c, int32_t row) {
    int32_t low = 0, high = c->args.items;
    while (high - low > 1) {
        const int32_t middle = low + (high - low) / 2;
        if (c->args.begin[middle] <= row)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The token's number in its item, as the table of positions counts. */
static int64_t position_of(const attn_model_call *c, int32_t row) {
    const int32_t item = item_of(c, row), token = row - c->args.begin[item];
    if (c->args.position)
        return (int64_t)c->args.position[row] + c->model->desc->spec.position_offset;
    const attn_model_cache *cache = c->args.cache;
    const int64_t held =
        cache ? (int64_t)cache->layer[0].start[item] + cache->layer[0].length[item] : 0;
    return held + token + c->model->desc->spec.position_offset;
}

/* A row of the embedding, which is not x, becomes one of the layers'. */
static void project(const attn_model *m, const float *from, float *x) {
    attn_model_product(&m->embed_project, from, 0, 1, 0, m->width, x, 0);
    for (int32_t i = 0; i < m->width && m->embed_project_bias; i++)
        x[i] += m->embed_project_bias[i];
}

static void embed(const attn_model_call *c, int32_t row, float *buffer) {
    const attn_model *m = c->model;
    const attn_model_stack *s = c->stack;
    const attn_model_args *a = &c->args;
    float *x = row_at(c, row);
    const int32_t place = m->desc->spec.embed_project, columns = attn_model_embed_width(m);
    float *own = place ? buffer : x, *rest = place ? buffer + attn_model_buffer(m) / 2 : buffer;
    if (!a->ids) {
        own = x, rest = buffer;
        memcpy(x, a->x + row * a->x_row, (size_t)m->width * sizeof *x);
        if (!s->rows) return;
    } else {
        attn_model_row(&m->embedding, a->ids[row], own);
        for (int32_t i = 0; i < columns; i++) own[i] *= m->desc->spec.embed_scale;
    }
    if (a->ids && place == ATTN_MODEL_EMBED_PROJECT_FIRST) {
        project(m, own, x);
        own = x;
    }
    if (a->ids && !c->encodes)
        add_row(&m->token_types, a->token_types ? a->token_types[row] : 0, own, rest);
    if (s->positions.data) add_row(&s->positions, position_of(c, row), own, rest);
    attn_model_norm_row(&s->embed_norm, own, own == x ? m->width : columns);
    if (a->ids && place == ATTN_MODEL_EMBED_PROJECT_LAST) project(m, own, x);
}

static void embed_task(void *ctx, int64_t task, int worker) {
    const attn_model_call *c = ctx;
    float *buffer = c->buffer + (int64_t)worker * attn_model_buffer(c->model);
    for (int32_t row = (int32_t)task * ROWS_A_TASK; row < end_of(c, task); row++)
        embed(c, row, buffer);
}

/* --- After them --- */

static void norm_task(void *ctx, int64_t task, int worker) {
    const attn_model_call *c = ctx;
    const attn_model *m = c->model;
    const attn_model_args *a = &c->args;
    (void)worker;
    for (int32_t row = (int32_t)task * ROWS_A_TASK; row < end_of(c, task); row++) {
        float *x = row_at(c, row);
        attn_model_norm_row(&c->stack->final_norm, x, m->width);
        if (a->hidden) memcpy(a->hidden + row * a->hidden_row, x, (size_t)m->width * sizeof *x);
    }
}

/* Rows whose logits are wanted, normed here where not all rows were. */
static void pick(const attn_model_call *c, bool normed) {
    const attn_model *m = c->model;
    const int32_t width = attn_model_head_width(m);
    for (int32_t i = 0; i < c->args.logit_count; i++) {
        float *to = c->picked + (int64_t)i * width;
        float *row = m->head_project.data ? c->buffer : to;
        memcpy(row, row_at(c, c->args.logit_rows[i]), (size_t)m->width * sizeof *to);
        if (!normed) attn_model_norm_row(&c->stack->final_norm, row, m->width);
        if (row != to) attn_model_product(&m->head_project, row, 0, 1, 0, width, to, 0);
    }
}

static void finish_logits(const attn_model_call *c, int64_t from, int64_t to) {
    const attn_model *m = c->model;
    const float scale = m->desc->spec.logit_scale, cap = m->desc->spec.logit_softcap;
    for (int32_t i = 0; i < c->args.logit_count; i++) {
        float *x = c->args.logits + i * c->args.logits_row;
        for (int64_t k = from; k < to && m->head_bias; k++) x[k] += m->head_bias[k];
        for (int64_t k = from; k < to && scale != 1; k++) x[k] *= scale;
        for (int64_t k = from; k < to && cap > 0; k++) x[k] = cap * tanhf(x[k] / cap);
    }
}

static void logits_task(void *ctx, int64_t task, int worker) {
    const attn_model_call *c = ctx;
    (void)worker;
    const attn_model *m = c->model;
    const int64_t from = task * VOCAB_A_TASK, end = from + VOCAB_A_TASK;
    const int64_t to = end < m->head.rows ? end : m->head.rows;
    attn_model_product(&m->head, c->picked, attn_model_head_width(m), c->args.logit_count, from, to,
                       c->args.logits, c->args.logits_row);
    finish_logits(c, from, to);
}

static void mean(const attn_model_call *c, int32_t item, float *to) {
    const int32_t first = c->args.begin[item], n = c->args.begin[item + 1] - first;
    for (int32_t i = 0; i < c->model->width; i++) {
        double sum = 0;
        for (int32_t t = 0; t < n; t++) sum += (double)row_at(c, first + t)[i];
        to[i] = (float)(sum / n);
    }
}

static void pool_task(void *ctx, int64_t task, int worker) {
    const attn_model_call *c = ctx;
    const attn_model *m = c->model;
    const attn_model_spec *s = &m->desc->spec;
    const int32_t item = (int32_t)task, first = c->args.begin[item];
    const int32_t n = c->args.begin[item + 1] - first;
    float *to = c->args.pooled + item * c->args.pooled_row;
    float *from = c->buffer + (int64_t)worker * attn_model_buffer(m);
    const size_t bytes = (size_t)m->width * sizeof *to;
    if (!n) {
        memset(to, 0, bytes);
        return;
    }
    if (s->pool == ATTN_MODEL_POOL_MEAN)
        mean(c, item, to);
    else
        memcpy(to, row_at(c, s->pool == ATTN_MODEL_POOL_CLS ? first : first + n - 1), bytes);
    if (s->pool_dense) {
        memcpy(from, to, bytes);
        attn_model_product(&m->pooler, from, m->width, 1, 0, m->width, to, m->width);
        for (int32_t i = 0; i < m->width; i++) to[i] = tanhf(to[i] + m->pooler_bias[i]);
    }
    if (s->normalize) attn_model_normalise(to, m->width);
}

static void finish(attn_model_call *c, attn_team *team) {
    const attn_model_args *a = &c->args;
    const bool all = a->hidden || a->pooled || attn_model_crossings(c);
    if (all) attn_parallel(team, row_tasks(c), norm_task, c);
    if (a->logits) {
        pick(c, all);
        const int64_t tasks = (c->model->head.rows + VOCAB_A_TASK - 1) / VOCAB_A_TASK;
        attn_parallel(team, tasks, logits_task, c);
    }
    if (a->pooled) attn_parallel(team, a->items, pool_task, c);
}

/* --- A call: one region of threads --- */

static void run_layers(attn_model_call *c, attn_team *team) {
    const attn_model *m = c->model;
    if (!c->rows) return;
    attn_parallel(team, row_tasks(c), embed_task, c);
    for (int32_t i = c->stack->first; i < c->stack->end && c->status == ATTN_OK; i++) {
        const attn_block_args b = attn_model_layer_args(c, i);
        c->status = attn_own_block_run(m->block[i], &b, attn_model_layer_resets(c, i), &team);
    }
}

/* An item's normed rows, from where they lie in a row to where each item has as much room. */
static void spread_task(void *ctx, int64_t task, int worker) {
    const attn_model_call *c = ctx;
    const int64_t width = c->model->width;
    const int32_t first = c->args.begin[task], n = c->args.begin[task + 1] - first;
    (void)worker;
    c->kept[task] = n;
    memcpy(c->kv + task * c->tokens * width, c->h + first * width,
           (size_t)(n * width) * sizeof *c->kv);
}

/* Keys and values that the decoder's layers make of the encoder's rows. */
static void cross(attn_model_call *c, attn_team *team) {
    const attn_model *m = c->model;
    if (!attn_model_crossings(c)) return;
    attn_parallel(team, c->args.items, spread_task, c);
    for (int32_t i = 0; i < m->cross.count && c->status == ATTN_OK; i++) {
        const attn_block_args b = attn_model_cross_args(c, i);
        c->status = attn_own_block_run(m->block[m->cross.layer[i]], &b, true, &team);
    }
}

static void run_all(void *ctx, attn_team *team) {
    attn_model_call *c = ctx;
    run_layers(c, team);
    if (c->status == ATTN_OK) finish(c, team);
    if (c->status == ATTN_OK) cross(c, team);
}

static __attribute__((noinline)) attn_status run(const attn_model_question *q) {
    attn_model_call c;
    size_t bytes;
    const attn_status status = attn_model_call_check(NULL, q, &c, &bytes);
    if (status != ATTN_OK) return status;
    attn_team_run(c.args.pool, c.threads, run_all, &c);
    return c.status;
}

static attn_status run_in_mode(attn_model_question q) {
    const attn_mode mode = attn_mode_enter();
    const attn_status status = run(&q);
    attn_mode_leave(mode);
    return status;
}

static attn_status check(attn_model_question q, char *message, size_t size) {
    const attn_why why = attn_why_begin(message, size);
    attn_model_call c;
    size_t bytes;
    return attn_model_call_check(&why, &q, &c, &bytes);
}

static attn_status size_call(attn_model_question q, size_t *bytes) {
    attn_model_call c;
    if (!bytes) return ATTN_E_ARGUMENT;
    *bytes = 0;
    return attn_model_call_check(NULL, &q, &c, bytes);
}

attn_status attn_model_forward(const attn_model *model, const attn_model_args *args) {
    return run_in_mode((attn_model_question){model, args, false, false});
}

attn_status attn_model_check(const attn_model *model, const attn_model_args *args, char *message,
                             size_t size) {
    return check((attn_model_question){model, args, false, false}, message, size);
}

attn_status attn_model_bytes(const attn_model *model, const attn_model_args *args, size_t *bytes) {
    return size_call((attn_model_question){model, args, false, true}, bytes);
}

attn_status attn_model_encode(const attn_model *model, const attn_model_args *args) {
    return run_in_mode((attn_model_question){model, args, true, false});
}

attn_status attn_model_encode_check(const attn_model *model, const attn_model_args *args,
                                    char *message, size_t size) {
    return check((attn_model_question){model, args, true, false}, message, size);
}

attn_status attn_model_encode_bytes(const attn_model *model, const attn_model_args *args,
                                    size_t *bytes) {
    return size_call((attn_model_question){model, args, true, true}, bytes);
}
