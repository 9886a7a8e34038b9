/* golden.c - problem -> oracle -> safetensors. */
#include "golden.h"

#include "output/manifest.h"
#include "version.h"
#include "block_oracle.h"
#include "oracle.h"
#include "problem.h"
#include "progress.h"
#include "stored.h"
#include "weight_types.h"
#include "op.h"

#include <math.h>
#include <string.h>

enum { MAX_TENSORS = 64, MAX_META = 64 };

/* Sizes of a case: the first three (one query, a few, a square) may be larger than the others, so
 * that they span several tiles of a real model. */
static const double large = 700e3, small = 200e3, most_work = 5e7;

/* A case in the making. */
typedef struct writer {
    arena *a;
    st_file file;
} writer;

/* --- Tensors and metadata. --- */

static void put(writer *w, const char *name, st_dtype dtype, const void *data, int rank,
                const int64_t *dim) {
    if (!data) return;
    st_tensor *t = &w->file.tensor[w->file.tensor_count++];
    *t = (st_tensor){.name = name, .dtype = dtype, .rank = rank, .count = 1, .data = data};
    for (int i = 0; i < rank; i++) {
        t->dim[i] = dim[i];
        t->count *= dim[i];
    }
}

static void say(writer *w, const char *key, const char *value) {
    if (value && *value) w->file.meta[w->file.meta_count++] = (st_meta){key, value};
}

static void put_inputs(writer *w, const call *c) {
    const attn_spec *s = &c->spec->core;
    const int64_t b = c->batch, items = call_q_items(c), n = call_q_rows(c), m = c->kv_len_max;
    const int64_t begins = b + 1;
    const attn_types type = attn_spec_types(s);
    const st_dtype k_type = stored_dtype(type.k), v_type = stored_dtype(type.v);
    put(w, "in.q", stored_dtype(type.q), c->q, 4,
        (const int64_t[]){items, s->heads, n, call_k_dim(c)});
    put(w, "in.q_begin", ST_I32, c->q_begin, 1, &begins);
    put(w, "in.k", k_type, c->k, 4, (const int64_t[]){b, s->kv_heads, m, call_k_dim(c)});
    put(w, "in.v", v_type, c->v, 4, (const int64_t[]){b, s->v_heads, m, call_v_dim(c)});
    put(w, "in.k_scale", ST_F32, c->k_scale, 3, (const int64_t[]){b, s->kv_heads, m});
    put(w, "in.v_scale", ST_F32, c->v_scale, 3, (const int64_t[]){b, s->v_heads, m});
    put(w, "in.kv_len", ST_I32, c->kv_len, 1, &b);
    put(w, "in.q_start", ST_I32, c->q_start, 1, &b);
    put(w, "in.seg_id", ST_I32, c->seg, 2, (const int64_t[]){items, n});
    put(w, "in.key_padding_mask", ST_U8, c->key_padding, 2, (const int64_t[]){b, m});
    put(w, "in.attn_mask", c->mask_type == ATTN_MASK_F32 ? ST_F32 : ST_U8, c->mask, c->mask_rank,
        c->mask_dim);
    put(w, "in.index", ST_I32, c->index, 4,
        (const int64_t[]){items, s->kv_heads, n, c->index_each});
    put(w, "in.index_count", ST_I32, c->index_count, 2, (const int64_t[]){items, n});
    put(w, "in.q_position", ST_I32, c->q_position, 2, (const int64_t[]){items, n});
    put(w, "in.tail", ST_I32, c->tail, 1, &b);
    put(w, "in.k_position", ST_I32, c->k_position, 2, (const int64_t[]){b, c->tail_most});
    put(w, "in.sinks", ST_F32, c->sinks, 1, (const int64_t[]){s->heads});
}

/* A side tensor's extents; count is known, so the model's dims suffice. */
static void put_sides(writer *w, const call *c) {
    for (int t = 0; t < c->spec->tensor_count; t++) {
        const attn_side_decl *decl = &c->spec->tensors[t];
        int64_t dim[ATTN_SIDE_RANK];
        for (int i = 0; i < decl->rank; i++) dim[i] = call_side_dim(c, decl->dim[i]);
        put(w, arena_printf(w->a, "side.%s", decl->name), decl->is_float ? ST_F32 : ST_I32,
            c->side[t].data, decl->rank, dim);
    }
}

static const char *field_text(arena *a, const attn_field *f, const attn_spec *s) {
    char text[ATTN_FIELD_TEXT_MAX];
    if (!attn_field_text(f, s, text)) return "";
    if (f->kind == ATTN_KIND_FLOAT) return arena_printf(a, "%.9g", attn_field_get(f, s));
    return arena_strdup(a, text);
}

static const char *tensors_text(arena *a, const kernel_spec *k) {
    buf b = buf_new(a);
    for (int i = 0; i < k->tensor_count; i++)
        buf_printf(&b, "%s%s", i ? ";" : "", expr_decl_canonical(a, &k->tensors[i]));
    return b.data;
}

static const char *scalars_text(arena *a, const call *c) {
    buf b = buf_new(a);
    for (int i = 0; i < c->spec->scalar_count; i++) {
        const expr_scalar *s = &c->spec->scalars[i];
        buf_printf(&b, "%s%s=", i ? ";" : "", s->name);
        if (s->is_float)
            buf_printf(&b, "%.9e", (double)c->scalars[i].f32); /* an e marks a float */
        else
            buf_printf(&b, "%d", c->scalars[i].i32);
    }
    return b.data;
}

/* The spec by its fields' names. Head counts and widths follow from the shapes, sinks from their
 * tensor; mla's head_dim and q_comp_dim have no shape to follow from. */
static void put_spec(writer *w, const kernel_spec *k) {
    const attn_spec *s = &k->core;
    static const char *const from_shapes[] = {"heads",       "kv_heads", "v_heads", "v_dim",
                                              "kv_comp_dim", "retr_dim", "sinks"};
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        bool skip = !attn_field_is_member(f) || !attn_field_applies(f, s, NULL);
        for (size_t j = 0; j < sizeof from_shapes / sizeof *from_shapes; j++)
            skip = skip || !strcmp(f->name, from_shapes[j]);
        const bool mla_only = !strcmp(f->name, "head_dim") || !strcmp(f->name, "key");
        skip = skip || (mla_only && s->form != ATTN_FORM_MLA);
        if (s->level == ATTN_LEVEL_BLOCK) /* whose weights' shapes are not looked at */
            skip = !attn_field_is_member(f) || !attn_field_applies(f, s, NULL) ||
                   !strcmp(f->name, "sinks");
        if (skip || !strcmp(f->name, "level")) continue;
        say(w, f->name, field_text(w->a, f, s));
    }
    say(w, "score", k->score);
    say(w, "mask", k->mask);
    say(w, "tensors", tensors_text(w->a, k));
}

/* --- Problem and answer. --- */

typedef struct problem {
    call c;
    oracle answer;
    const char *text;
} problem;

/* The share of rows that see keys; -1 if a row has no value: an index was out of range. */
static double seeing(const call *c, const oracle *o) {
    size_t count = 0;
    for (size_t i = 0; i < call_rows(c); i++) {
        if (o->row[i].any) return -1;
        count += o->row[i].visible > 0;
    }
    return call_rows(c) ? (double)count / (double)call_rows(c) : 0;
}

/* A number of a draw: its seed and how far lengths and integers are cut. */
typedef struct draw {
    int longest, highest, number;
} draw;

static double make(arena *a, const kernel_spec *k, const golden_options *o, int index, draw at,
                   problem *out) {
    static const int32_t longest[] = {INT32_MAX, 129, 64, 25, 7, 2, 1}, highest[] = {3, 1, 0};
    const int level = at.longest * 6 + at.highest;
    rng r = {o->seed ^ hash64(k->name, strlen(k->name))};
    r.state +=
        (uint64_t)index * 7919u + (uint64_t)level * 104729u + (uint64_t)at.number * 15485863u;
    /* Positions are the first thing to go where expressions index with them. */
    const bool placed = index == 7 && at.longest == 0 && at.highest == 0;
    const problem_options p = {.max_work = most_work,
                               .max_elements = index <= 2 ? large : small,
                               .longest = longest[at.longest],
                               .hi = highest[at.highest % 3],
                               .scalar_hi = at.highest < 3 ? -1 : highest[at.highest % 3],
                               .all = index == 2 || index == 6,
                               .empty_item = index == 6,
                               .ragged = index == 6 ? 100 : 0,
                               .placed = placed ? 100 : 0};
    problem_make(a, k, &p, &r, index, &out->c, &out->text);
    const attn_args args = call_dense_args(&out->c);
    oracle_run(a, k, &args, &out->answer);
    return seeing(&out->c, &out->answer);
}

/* Of some draws the first where enough rows see keys (none and no keys, cases 4 and 5, have no such
 * rows; case 6 has an item without keys), else the best. Integer tensors may be indexes, whose
 * bounds only the expression knows: their values, then the lengths, shrink until all are in range.
 */
static bool find_problem(arena *a, const kernel_spec *k, const golden_options *o, int index,
                         problem *out) {
    const double enough = index == 4 || index == 5 ? 0 : index == 6 ? 0.25 : 0.6;
    const int cuts = k->tensor_count ? 6 : 1;
    draw best = {0}, at;
    double most = -1;
    for (at.longest = 0; at.longest < 7 && most < enough; at.longest++)
        for (at.highest = 0; at.highest < cuts && most < enough; at.highest++) {
            const int draws = at.longest + at.highest == 0 ? 16 : 4;
            for (at.number = 0; at.number < draws && most < enough; at.number++) {
                arena *scratch = arena_new();
                const double share = make(scratch, k, o, index, at, out);
                arena_free(scratch);
                if (share > most) most = share, best = at;
            }
        }
    if (most >= 0) make(a, k, o, index, best, out);
    return most >= 0;
}

static float *rounded(arena *a, const double *from, size_t count) {
    float *out = arena_alloc(a, count * sizeof *out + 1);
    for (size_t i = 0; i < count; i++) out[i] = (float)from[i];
    return out;
}

/* The largest that rule 8 of CONTRACT.md allows in any row, relative to 1 + |value|: a kernel
 * within its bound passes, and its rounding to f32 is counted. */
static double tolerance(const call *c, const oracle *o) {
    const int32_t width = call_v_dim(c);
    double most = 1e-6;
    for (size_t i = 0; i < call_rows(c); i++) {
        const oracle_row *row = &o->row[i];
        double least = INFINITY;
        for (int32_t j = 0; j < width; j++) {
            const double x = fabs(o->o[i * (size_t)width + (size_t)j]);
            if (x < least) least = x;
        }
        most = fmax(most, row->bound / (1 + least));
        if (isfinite(row->lse)) most = fmax(most, row->lse_bound / (1 + fabs(row->lse)));
    }
    const double rounding = oracle_rounding(attn_spec_types(&c->spec->core).o);
    return most * (1 + rounding) + rounding + 1e-7;
}

static void put_answer(writer *w, const call *c, const oracle *o) {
    const attn_spec *s = &c->spec->core;
    const size_t rows = call_rows(c);
    double *lse = arena_alloc(w->a, rows * sizeof *lse + 1);
    for (size_t i = 0; i < rows; i++) lse[i] = o->row[i].lse;
    put(w, "out.o", ST_F32, rounded(w->a, o->o, call_o_size(c)), 4,
        (const int64_t[]){call_q_items(c), s->heads, call_q_rows(c), call_v_dim(c)});
    put(w, "out.lse", ST_F32, rounded(w->a, lse, rows), 3,
        (const int64_t[]){call_q_items(c), s->heads, call_q_rows(c)});
}

static void say_origin(writer *w, const golden_options *o) {
    say(w, "origin",
        arena_printf(w->a,
                     "attn-gen " ATTN_GEN_VERSION " golden --seed %llu; double-precision oracle",
                     (unsigned long long)o->seed));
}

static gen_file case_file(arena *a, const char *name, const problem *p, const golden_options *o) {
    const call *c = &p->c;
    const oracle *answer = &p->answer;
    writer w = {.a = a};
    w.file.tensor = arena_alloc(a, MAX_TENSORS * sizeof *w.file.tensor);
    w.file.meta = arena_alloc(a, MAX_META * sizeof *w.file.meta);
    put_inputs(&w, c);
    put_sides(&w, c);
    put_answer(&w, c, answer);
    say(&w, "case", name);
    say(&w, "level", "core");
    put_spec(&w, c->spec);
    say(&w, "kernel", c->spec->name);
    say(&w, "scalars", scalars_text(a, c));
    say(&w, "tolerance", arena_printf(a, "%.2e", tolerance(c, answer) * 1.01));
    say(&w, "problem", p->text);
    say_origin(&w, o);
    gen_file f = {.path = arena_printf(a, "%s.safetensors", name)};
    f.text = st_bytes(a, &w.file, &f.size);
    return f;
}

/* --- Whole layers --- */

enum { MAX_WEIGHTS = 64, LAYER_CASES = 2 }; /* the weights are in every case */

static float *normals(arena *a, rng *r, int64_t count, float scale, float offset) {
    float *x = arena_alloc(a, (size_t)count * sizeof *x + 1);
    for (int64_t i = 0; i < count; i++) x[i] = offset + scale * rng_normal(r);
    return x;
}

static int64_t elements(const block_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->dim[i];
    return n;
}

int64_t golden_layer_bytes(arena *a, const kernel_spec *k) {
    block_tensor t[MAX_WEIGHTS];
    const int n = block_weight_list(a, k, t, MAX_WEIGHTS);
    int64_t bytes = 0;
    for (int i = 0; i < n; i++)
        bytes += attn_weight_bytes(block_weight_type(&k->core, &t[i]), elements(&t[i]));
    return bytes;
}

/* Matrices keep the size of rows, vectors are near one (norms) or small (biases, sinks). */
static void random_weights(arena *a, rng *r, block_tensor *t, int count) {
    for (int i = 0; i < count; i++) {
        const bool norm =
            t[i].rank == 1 && strstr(t[i].name, "norm") && strstr(t[i].name, "weight");
        const float scale = t[i].rank > 1 ? 1 / sqrtf((float)t[i].dim[t[i].rank - 1]) : 0.2f;
        const bool factors = !strcmp(t[i].name, "rope_factors"); /* above 0 */
        t[i].data = normals(a, r, elements(&t[i]), scale, factors ? 3 : norm ? 0.8f : 0);
    }
}

static int32_t *random_ints(arena *a, rng *r, int64_t count, int32_t low, int32_t high) {
    int32_t *x = arena_alloc(a, (size_t)count * sizeof *x + 1);
    for (int64_t i = 0; i < count; i++) x[i] = rng_int(r, low, high);
    return x;
}

static uint8_t *random_bools(arena *a, rng *r, int64_t count, int percent) {
    uint8_t *x = arena_alloc(a, (size_t)count + 1);
    for (int64_t i = 0; i < count; i++) x[i] = rng_chance(r, percent);
    return x;
}

/* Lists of keys in any order, among numbers that name none. */
static void layer_lists(arena *a, rng *r, const attn_spec *s, block_case *c) {
    const int64_t rows = (int64_t)c->batch * c->tokens;
    if (s->select != ATTN_SELECT_INDEX) return;
    c->index_each = rng_int(r, 4, 20);
    c->index = random_ints(a, r, rows * s->kv_heads * c->index_each, -1, block_keys(c));
    c->index_count = random_ints(a, r, rows, 1, c->index_each);
}

/* Positions that grow, so that rows which come in steps see what they see at once. */
static int32_t *growing(arena *a, rng *r, const block_case *c) {
    int32_t *at = random_ints(a, r, (int64_t)c->batch * c->tokens, 1, 2);
    for (int32_t i = 0; i < c->batch * c->tokens; i++)
        at[i] += i % c->tokens ? at[i - 1] : rng_int(r, -1, 3);
    return at;
}

/* The second case of a layer has padding, and positions, as well. */
static void layer_inputs(arena *a, rng *r, const attn_spec *s, int index, block_case *c) {
    c->batch = 2, c->tokens = rng_int(r, 5, 23);
    const int64_t rows = (int64_t)c->batch * c->tokens;
    c->x = normals(a, r, rows * block_width(s), 1, 0);
    if (s->kv_dim != ATTN_UNSET) {
        c->kv_tokens = rng_int(r, 3, 17);
        c->kv = normals(a, r, (int64_t)c->batch * c->kv_tokens * s->kv_dim, 1, 0);
    }
    if (attn_op_of(s)->segments) c->seg = random_ints(a, r, rows, -1, c->kv_tokens - 1);
    layer_lists(a, r, s, c);
    if (index % 2 == 0) return;
    const bool tables = c->spec->tensor_count > 0; /* which expressions may index by positions */
    if (s->kv_dim == ATTN_UNSET && !tables) c->q_pos = growing(a, r, c);
    c->key_padding = random_bools(a, r, (int64_t)c->batch * block_keys(c), 20);
    if (attn_op_of(s)->segments) c->q_pad = random_bools(a, r, rows, 20);
}

/* In the type that the layer has it in; files know no blocks, which are bytes: `stored` has what
 * they are. */
static void put_weight(writer *w, const attn_spec *s, const block_tensor *t, buf *stored) {
    const char *name = arena_printf(w->a, "w.%s", t->name);
    if (!t->stored) {
        const int32_t type = attn_weight_element(block_weight_type(s, t));
        put(w, name, stored_dtype(type), stored_from(w->a, type, t->data, elements(t)), t->rank,
            t->dim);
        return;
    }
    int64_t dim[4];
    memcpy(dim, t->dim, sizeof dim);
    dim[t->rank - 1] = attn_weight_bytes(t->type, dim[t->rank - 1]);
    put(w, name, ST_U8, t->stored, t->rank, dim);
    buf_printf(stored, "%s%s=%s", stored->len ? ";" : "", t->name, attn_weight_get(t->type).name);
}

/* open: [batch, tokens], rows of y that are not said. */
static void put_layer(writer *w, const block_case *c, const uint8_t *open) {
    const attn_spec *s = &c->spec->core;
    const int64_t b = c->batch, n = c->tokens, m = block_keys(c), width = block_width(s);
    const bool cross = attn_op_of(s)->segments;
    put(w, cross ? "in.q" : "in.x", ST_F32, c->x, 3, (const int64_t[]){b, n, width});
    put(w, "in.kv", ST_F32, c->kv, 3, (const int64_t[]){b, c->kv_tokens, s->kv_dim});
    put(w, "in.key_padding_mask", ST_U8, c->key_padding, 2, (const int64_t[]){b, m});
    put(w, "in.seg_id", ST_I32, c->seg, 2, (const int64_t[]){b, n});
    put(w, "in.q_pad_mask", ST_U8, c->q_pad, 2, (const int64_t[]){b, n});
    put(w, "in.q_pos_ids", ST_I32, c->q_pos, 2, (const int64_t[]){b, n});
    put(w, "in.index", ST_I32, c->index, 4, (const int64_t[]){b, s->kv_heads, n, c->index_each});
    put(w, "in.index_count", ST_I32, c->index_count, 2, (const int64_t[]){b, n});
    buf stored = buf_new(w->a);
    for (int i = 0; i < c->weight_count; i++) put_weight(w, s, &c->weight[i], &stored);
    say(w, "stored", stored.data);
    put(w, "out.y", ST_F32, rounded(w->a, c->y, (size_t)(b * n * width)), 3,
        (const int64_t[]){b, n, width});
    if (memchr(open, 1, (size_t)(b * n)))
        put(w, "out.y_open", ST_U8, open, 2, (const int64_t[]){b, n});
}

/* Rows of a layer, as kernels may have them instead: how far y, and what experts are chosen by, is
 * from the answer, the most of a row. */
typedef struct moves {
    double *y, *choice;
} moves;

/* The oracle is to say what c's choices go by. */
static void take_choices(arena *a, block_case *c) {
    const attn_spec *s = &c->spec->core;
    const size_t rows = (size_t)c->batch * (size_t)c->tokens;
    if (s->ffn != ATTN_FFN_MOE) return;
    c->choice_key = arena_alloc(a, (rows * (size_t)s->experts + 1) * sizeof(double));
    c->choice_margin = arena_alloc(a, (rows + 1) * sizeof(double));
}

static void note_moves(arena *a, const block_case *c, block_rows rows, int lean, const moves *m) {
    const attn_spec *s = &c->spec->core;
    const int64_t count = (int64_t)c->batch * c->tokens, width = block_width(s);
    char error[512];
    block_case other = *c;
    other.rows = rows, other.lean = lean;
    other.y = arena_alloc(a, (size_t)(count * width) * sizeof *other.y + 1);
    take_choices(a, &other);
    block_oracle(&other, error, sizeof error); /* which has run with these weights */
    for (int64_t i = 0; i < count * width; i++)
        m->y[i / width] = fmax(m->y[i / width], fabs(other.y[i] - c->y[i]) / (1 + fabs(c->y[i])));
    for (int64_t i = 0; other.choice_key && i < count * s->experts; i++)
        m->choice[i / s->experts] =
            fmax(m->choice[i / s->experts], fabs(other.choice_key[i] - c->choice_key[i]));
}

/* Rounding through two norms and five products; what keys and values may make that kv_type rounds
 * to one side or the other; and what rows are as codes, where kernels may make some. Rows that may
 * choose other experts for that, or for the rounding of f32, are open: both are right. */
static double layer_tolerance(arena *a, const block_case *c, uint8_t *open) {
    const attn_spec *s = &c->spec->core;
    const int64_t count = (int64_t)c->batch * c->tokens;
    const size_t bytes = ((size_t)count + 1) * sizeof(double);
    const moves m = {arena_alloc(a, bytes), arena_alloc(a, bytes)};
    const bool stored = attn_spec_types(s).k != ATTN_TYPE_F32, codes = s->weight_dot;
    double most = 0;
    for (int lean = -1; lean <= 1; lean++) {
        if (lean && stored) note_moves(a, c, BLOCK_ROWS_FLOAT, lean, &m);
        if (codes) note_moves(a, c, BLOCK_ROWS_CODES, lean, &m);
    }
    for (int64_t i = 0; i < count; i++) {
        open[i] = c->choice_margin && !(c->choice_margin[i] > 4 * m.choice[i] + 1e-5);
        if (!open[i]) most = fmax(most, m.y[i]);
    }
    return 3e-5 + 2 * most;
}

static bool layer_file(arena *a, const kernel_spec *k, const golden_options *o, int index,
                       gen_file *out, diag *d) {
    const char *name = arena_printf(a, "%s.%d", k->name, index);
    rng r = {(o->seed ^ hash64(k->name, strlen(k->name))) + (uint64_t)index * 7919u};
    block_tensor weight[MAX_WEIGHTS];
    block_case c = {.spec = k, .weight = weight};
    c.weight_count = block_weight_list(a, k, weight, MAX_WEIGHTS);
    random_weights(a, &r, weight, c.weight_count);
    block_round_weights(a, k, weight, c.weight_count);
    layer_inputs(a, &r, &k->core, index, &c);
    const int64_t size = (int64_t)c.batch * c.tokens * block_width(&k->core);
    c.y = arena_alloc(a, (size_t)size * sizeof *c.y + 1);
    char error[512];
    take_choices(a, &c);
    if (!block_oracle(&c, error, sizeof error)) return diag_set(d, "%s: %s", k->name, error);
    uint8_t *open = arena_alloc(a, (size_t)c.batch * (size_t)c.tokens);
    const double tolerance = layer_tolerance(a, &c, open);
    writer w = {.a = a};
    w.file.tensor = arena_alloc(a, (MAX_TENSORS + MAX_WEIGHTS) * sizeof *w.file.tensor);
    w.file.meta = arena_alloc(a, 2 * MAX_META * sizeof *w.file.meta);
    put_layer(&w, &c, open);
    say(&w, "case", name);
    say(&w, "level", "block");
    put_spec(&w, k);
    say(&w, "kernel", k->name);
    say(&w, "tolerance", arena_printf(a, "%.2g", tolerance));
    say_origin(&w, o);
    *out = (gen_file){.path = arena_printf(a, "%s.safetensors", name)};
    out->text = st_bytes(a, &w.file, &out->size);
    return true;
}

/* Layers whose weights fit a file, and whose attention takes no side data. */
bool golden_takes_layer(arena *a, const kernel_spec *k) {
    return !k->tensor_count && !k->scalar_count && golden_layer_bytes(a, k) <= GOLDEN_MAX_LAYER;
}

static bool add_layer(arena *a, const kernel_spec *k, const golden_options *o, gen_files *out,
                      diag *d) {
    for (int i = 0; i < o->cases && i < LAYER_CASES; i++) {
        progress("%s, case %d", k->name, i + 1);
        if (!layer_file(a, k, o, i, &out->file[out->count++], d)) return false;
    }
    return true;
}

static void add_manifest(arena *a, const model *m, const golden_options *o, gen_files *out) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "generator", "attn-gen " ATTN_GEN_VERSION);
    cJSON_AddStringToObject(root, "kind", "cases");
    cJSON_AddStringToObject(root, "model", m->name);
    cJSON_AddStringToObject(root, "seed", arena_printf(a, "%llu", (unsigned long long)o->seed));
    cJSON_AddNumberToObject(root, "cases", o->cases);
    manifest_add_files(a, root, out);
    const gen_file f = {.path = "manifest.json", .text = manifest_print(a, root)};
    out->file[out->count++] = f;
}

static void say_progress(const model *m, const golden_options *o, int kernel, int number) {
    progress("kernel %d of %d, case %d of %d", kernel + 1, m->kernel_count, number + 1, o->cases);
}

static bool render_cases(arena *a, const model *m, const golden_options *o, gen_files *out,
                         int *skipped, diag *d) {
    if (o->cases < 1 || o->cases > 1000)
        return diag_set(d, "--cases: must be 1 to 1000, got %d", o->cases);
    *out = (gen_files){0};
    *skipped = 0;
    out->file = arena_alloc(a, ((size_t)m->kernel_count * (size_t)o->cases + 1) * sizeof(gen_file));
    for (int k = 0; k < m->kernel_count; k++) {
        if (m->kernels[k].core.level == ATTN_LEVEL_BLOCK) {
            if (golden_takes_layer(a, &m->kernels[k]) && !add_layer(a, &m->kernels[k], o, out, d))
                return false;
            continue;
        }
        for (int i = 0; i < o->cases; i++) {
            say_progress(m, o, k, i);
            const char *name = arena_printf(a, "%s.%d", m->kernels[k].name, i);
            arena *scratch = arena_new();
            problem p;
            if (find_problem(scratch, &m->kernels[k], o, i, &p)) {
                gen_file f = case_file(scratch, name, &p, o);
                char *bytes = arena_alloc(a, f.size + 1);
                memcpy(bytes, f.text, f.size);
                out->file[out->count++] = (gen_file){
                    .path = arena_printf(a, "%s.safetensors", name), .text = bytes, .size = f.size};
            } else {
                ++*skipped;
            }
            arena_free(scratch);
        }
    }
    add_manifest(a, m, o, out);
    return true;
}

bool golden_render(arena *a, const model *m, const golden_options *o, gen_files *out, int *skipped,
                   diag *d) {
    const bool ok = render_cases(a, m, o, out, skipped, d);
    progress_end();
    return ok;
}
