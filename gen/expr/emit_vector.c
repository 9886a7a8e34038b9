/* emit_vector.c - an expression as vector code (expr.h says what is in scope).
 *
 * Each node has a shape, one value for all lanes (uniform), a run of ints that steps by +1 or -1
 * from lane to lane, or anything (varying), and a stage, the earliest place where it is known.
 * Code is made on demand from the root, each value once: a uniform node as a scalar, and as a
 * vector only where one is needed; a run as its scalar base, and as a vector likewise. A function
 * that has a form for several vectors side by side waits for its operand in all of them. */
#include "expr_internal.h"

#include <stdlib.h>

typedef enum shape { UNIFORM, RUN_UP, RUN_DOWN, VARYING } shape;
typedef enum stage { ONCE, KEY, LANE } stage;

typedef struct info {
    shape shape;
    stage stage;
    /* Names, once made. */
    const char *scalar;
    const char *broadcast;
    const char *base[EXPR_MAX_VECTORS];
    const char *vector[EXPR_MAX_VECTORS];
    const char *size[ATTN_SIDE_RANK]; /* TENSOR: dims */
} info;

typedef struct emitter {
    arena *a;
    const expr *e;
    expr_mode mode;
    int vectors;
    const char *prefix;
    expr_code *out;
    info *info;        /* by node id */
    const char **data; /* of side tensors: their pointers */
} emitter;

static const char *scalar(emitter *m, expr_node *n);
static const char *vector(emitter *m, expr_node *n, int j);

static info *info_of(emitter *m, const expr_node *n) {
    return &m->info[n->id];
}

static expr_lines *stage_lines(emitter *m, stage s) {
    return s == ONCE ? &m->out->once : s == KEY ? &m->out->key : &m->out->lane;
}

/* Values that differ by vector j know no key stage. */
static stage vector_stage(const info *f) {
    return f->stage == ONCE ? ONCE : LANE;
}

/* --- Shapes. --- */
static info leaf_info(const emitter *m, const expr_node *n) {
    bool tile = m->mode == EXPR_TILE;
    if (n->op != EX_VAR) return (info){.shape = UNIFORM, .stage = ONCE};
    switch (n->index) {
    case VAR_S: return (info){.shape = VARYING, .stage = LANE};
    case VAR_H: return (info){.shape = tile ? UNIFORM : VARYING, .stage = tile ? ONCE : LANE};
    case VAR_Q: return (info){.shape = tile ? RUN_UP : VARYING, .stage = tile ? ONCE : LANE};
    case VAR_K:
    case VAR_K_POS: return (info){.shape = tile ? UNIFORM : VARYING, .stage = tile ? KEY : LANE};
    default: return (info){.shape = UNIFORM, .stage = ONCE};
    }
}

static bool is_run(shape s) {
    return s == RUN_UP || s == RUN_DOWN;
}

static shape reversed(shape s) {
    return s == RUN_UP ? RUN_DOWN : RUN_UP;
}

static shape shape_of(emitter *m, const expr_node *n) {
    shape x = info_of(m, n->kid[0])->shape;
    shape y = n->kids > 1 ? info_of(m, n->kid[1])->shape : UNIFORM;
    bool uniform = true;
    for (int i = 0; i < n->kids; i++) uniform = uniform && info_of(m, n->kid[i])->shape == UNIFORM;
    if (uniform) return UNIFORM;
    if (n->type != TYPE_INT) return VARYING;
    if (n->op == EX_NEG && is_run(x)) return reversed(x);
    if (n->op != EX_ADD && n->op != EX_SUB) return VARYING;
    if (is_run(x) && y == UNIFORM) return x;
    if (!is_run(y) || x != UNIFORM) return VARYING;
    return n->op == EX_ADD ? y : reversed(y);
}

static void classify(emitter *m) {
    for (int i = 0; i < m->e->node_count; i++) {
        const expr_node *n = m->e->node[i];
        info *f = &m->info[i];
        if (n->kids == 0) {
            *f = leaf_info(m, n);
            continue;
        }
        f->shape = shape_of(m, n);
        for (int k = 0; k < n->kids; k++) {
            stage s = info_of(m, n->kid[k])->stage;
            if (s > f->stage) f->stage = s;
        }
    }
}

/* --- Side tensors. --- */
static const char *data_of(emitter *m, int t) {
    if (m->data[t]) return m->data[t];
    const char *type = m->e->tensors[t].is_float ? "float" : "int32_t";
    const char *call = m->e->tensors[t].is_float ? "attn_side_f32" : "attn_side_i32";
    m->data[t] = arena_printf(m->a, "%st%d", m->prefix, t);
    expr_line_printf(m->a, &m->out->once, "const %s *const %s = %s(x, %d); /* %s */", type,
                     m->data[t], call, t, m->e->tensors[t].name);
    return m->data[t];
}

/* Size of dimension d: a number, or a name made once a tensor. */
static const char *size_of(emitter *m, const expr_node *n, int d) {
    const attn_side_decl *t = &m->e->tensors[n->index];
    const char *text = expr_dim_text(m->a, m->e, t->dim[d]);
    bool fixed = true; /* then the tensor has elements */
    for (int i = 0; i < t->rank; i++)
        fixed = fixed && t->dim[i] != ATTN_DIM_BATCH && t->dim[i] != ATTN_DIM_Q_LEN &&
                t->dim[i] != ATTN_DIM_KV_LEN;
    if (fixed) return text;
    for (int i = 0; i < m->e->node_count; i++) { /* another read of the tensor may have named it */
        const expr_node *other = m->e->node[i];
        const char *name = info_of(m, other)->size[d];
        if (other->op == EX_TENSOR && other->index == n->index && name) return name;
    }
    const char *name = arena_printf(m->a, "%st%dn%d", m->prefix, n->index, d);
    expr_line_printf(m->a, &m->out->once, "const int32_t %s = attn_side_dim(x, %d, %s);", name,
                     n->index, text);
    return info_of(m, n)->size[d] = name;
}

/* Row-major position of the first `dims` indexes, all uniform; null if dims is 0. Emitted in
 * `lines`. */
static const char *flat_of(emitter *m, expr_node *n, int dims, expr_lines *lines) {
    const char *at = NULL;
    for (int d = 0; d < dims; d++) {
        const char *i = scalar(m, n->kid[d]), *size = size_of(m, n, d);
        const char *name = arena_printf(m->a, "%s%dr%d", m->prefix, n->id, d);
        expr_line_printf(m->a, lines, "const int64_t %s = attn_flat(%s, %s, %s);", name,
                         at ? at : "0", i, size);
        at = name;
    }
    return at;
}

static const char *read_uniform(emitter *m, expr_node *n) {
    const char *data = data_of(m, n->index);
    if (n->kids == 1)
        return arena_printf(m->a, "%s[attn_clamp_index(%s, %s)]", data, scalar(m, n->kid[0]),
                            size_of(m, n, 0));
    expr_lines *lines = stage_lines(m, info_of(m, n)->stage);
    return arena_printf(m->a, "%s[%s]", data, flat_of(m, n, n->kids, lines));
}

/* --- Scalars. --- */
static const char *c_type(const expr_node *n) {
    static const char *const type[] = {"bool", "int32_t", "float"};
    return type[n->type];
}

static const char *const_text(emitter *m, const expr_node *n) {
    if (n->type == TYPE_BOOL) return n->i ? "true" : "false";
    return n->type == TYPE_INT ? expr_int_text(m->a, n->i) : expr_f32_text(m->a, n->f);
}

static const char *scalar_text(emitter *m, expr_node *n) {
    if (n->op == EX_TENSOR) return read_uniform(m, n);
    if (n->op == EX_SCALAR)
        return arena_printf(m->a, "x->args->scalars[%d].%s", n->index,
                            n->type == TYPE_FLOAT ? "f32" : "i32");
    const char *operand[3] = {0};
    for (int i = 0; i < n->kids; i++) operand[i] = scalar(m, n->kid[i]);
    const expr_op_row *row = &expr_ops[n->op];
    bool ints = n->kid[0]->type == TYPE_INT && n->op != EX_TO_FLOAT;
    return expr_fill(m->a, ints ? row->ci : row->cf, operand);
}

/* The value of a uniform node. */
static const char *scalar(emitter *m, expr_node *n) {
    static const char *const var[VAR_COUNT] = {[VAR_B] = "x->b",
                                               [VAR_H] = "h",
                                               [VAR_K] = "k",
                                               [VAR_K_POS] = "k_pos",
                                               [VAR_Q_START] = "x->q_start",
                                               [VAR_Q_LEN] = "x->q_len",
                                               [VAR_KV_LEN] = "x->kv_len"};
    info *f = info_of(m, n);
    if (f->scalar) return f->scalar;
    if (n->op == EX_CONST) return f->scalar = const_text(m, n);
    if (n->op == EX_VAR) return f->scalar = var[n->index];
    const char *text = scalar_text(m, n);
    f->scalar = arena_printf(m->a, "%s%d", m->prefix, n->id);
    expr_line_printf(m->a, stage_lines(m, f->stage), "const %s %s = %s;", c_type(n), f->scalar,
                     text);
    return f->scalar;
}

/* Lane 0 of a run. */
static const char *base(emitter *m, expr_node *n, int j) {
    info *f = info_of(m, n);
    if (f->base[j]) return f->base[j];
    if (n->op == EX_VAR) return f->base[j] = arena_printf(m->a, "q_0_%d", j);
    const char *operand[2] = {0};
    for (int i = 0; i < n->kids; i++) {
        bool run = is_run(info_of(m, n->kid[i])->shape);
        operand[i] = run ? base(m, n->kid[i], j) : scalar(m, n->kid[i]);
    }
    f->base[j] = arena_printf(m->a, "%s%db_%d", m->prefix, n->id, j);
    expr_line_printf(m->a, stage_lines(m, vector_stage(f)), "const int32_t %s = %s;", f->base[j],
                     expr_fill(m->a, expr_ops[n->op].ci, operand));
    return f->base[j];
}

/* --- Vectors. --- */
static const char *vector_type(const expr_node *n) {
    static const char *const type[] = {"vm", "vi", "vf"};
    return type[n->type];
}

static const char *broadcast(emitter *m, expr_node *n) {
    info *f = info_of(m, n);
    if (f->broadcast) return f->broadcast;
    const char *value = scalar(m, n), *type = vector_type(n);
    f->broadcast = arena_printf(m->a, "%s%dv", m->prefix, n->id);
    expr_line_printf(m->a, stage_lines(m, f->stage), "const %s %s = %s_set1(%s);", type,
                     f->broadcast, type, value);
    return f->broadcast;
}

static void emit_lane(emitter *m, expr_node *n, int j, int cost, const char *text) {
    info *f = info_of(m, n);
    f->vector[j] = arena_printf(m->a, "%s%d_%d", m->prefix, n->id, j);
    expr_line_printf(m->a, stage_lines(m, vector_stage(f)), "const %s %s = %s;", vector_type(n),
                     f->vector[j], text);
    if (j == 0 && vector_stage(f) == LANE) m->out->ops += cost;
}

/* Where the row of the last dimension starts; the indexes before it are uniform. */
static const char *row_pointer(emitter *m, expr_node *n) {
    const char *data = data_of(m, n->index);
    int last = n->kids - 1;
    if (last == 0) return data;
    info *f = info_of(m, n);
    if (f->scalar) return f->scalar; /* n is not uniform, so the name is free for this */
    stage s = ONCE;
    for (int d = 0; d < last; d++)
        if (info_of(m, n->kid[d])->stage > s) s = info_of(m, n->kid[d])->stage;
    expr_lines *lines = stage_lines(m, s);
    const char *at = flat_of(m, n, last, lines);
    f->scalar = arena_printf(m->a, "%s%dp", m->prefix, n->id);
    expr_line_printf(m->a, lines, "const %s *const %s = %s + %s * %s;", c_type(n), f->scalar, data,
                     at, size_of(m, n, last));
    return f->scalar;
}

/* The last index is a run and the others are uniform: one load. */
static void read_run(emitter *m, expr_node *n, int j) {
    int last = n->kids - 1;
    const char *row = row_pointer(m, n), *first = base(m, n->kid[last], j);
    bool up = info_of(m, n->kid[last])->shape == RUN_UP;
    const char *text = arena_printf(m->a, "%s_load_side%s(%s, %s, %s)", vector_type(n),
                                    up ? "" : "_rev", row, first, size_of(m, n, last));
    emit_lane(m, n, j, 2, text);
}

static bool fixed_size(const char *size) {
    return size[0] >= '0' && size[0] <= '9';
}

/* Index d of a gather, moved into range. */
static const char *clamped(emitter *m, expr_node *n, int d, int j) {
    const char *size = size_of(m, n, d);
    const char *top = fixed_size(size) ? arena_printf(m->a, "%ld", strtol(size, NULL, 10) - 1)
                                       : arena_printf(m->a, "%s - 1", size);
    return arena_printf(m->a, "vi_max(vi_min(%s, vi_set1(%s)), vi_set1(0))",
                        vector(m, n->kid[d], j), top);
}

static void read_gather(emitter *m, expr_node *n, int j) {
    info *f = info_of(m, n);
    expr_lines *lines = stage_lines(m, vector_stage(f));
    const char *data = data_of(m, n->index), *at = NULL;
    for (int d = 0; d < n->kids; d++) {
        const char *i = clamped(m, n, d, j), *size = size_of(m, n, d);
        const char *name = arena_printf(m->a, "%s%di%d_%d", m->prefix, n->id, d, j);
        if (at) i = arena_printf(m->a, "vi_add(vi_mul(%s, vi_set1(%s)), %s)", at, size, i);
        expr_line_printf(m->a, lines, "const vi %s = %s;", name, i);
        at = name;
    }
    const char *text = arena_printf(m->a, "%s_gather(%s, %s)", vector_type(n), data, at);
    emit_lane(m, n, j, 6 + 4 * n->kids, text);
}

static void read_tensor(emitter *m, expr_node *n, int j) {
    int last = n->kids - 1;
    bool row = is_run(info_of(m, n->kid[last])->shape);
    for (int d = 0; d < last; d++) row = row && info_of(m, n->kid[d])->shape == UNIFORM;
    if (row)
        read_run(m, n, j);
    else
        read_gather(m, n, j);
}

/* Is n a product that is best computed inside the sum that uses it? */
static bool fuses(emitter *m, const expr_node *sum, const expr_node *n) {
    const info *f = info_of(m, n);
    return n->op == EX_MUL && n->uses == 1 && f->shape != UNIFORM &&
           vector_stage(f) == vector_stage(info_of(m, sum));
}

static bool emit_fma(emitter *m, expr_node *n, int j) {
    if (n->op != EX_ADD || n->type != TYPE_FLOAT) return false;
    int product = fuses(m, n, n->kid[1]) ? 1 : fuses(m, n, n->kid[0]) ? 0 : -1;
    if (product < 0) return false;
    expr_node *p = n->kid[product];
    const char *x = vector(m, p->kid[0], j), *y = vector(m, p->kid[1], j);
    const char *z = vector(m, n->kid[1 - product], j);
    emit_lane(m, n, j, 1, arena_printf(m->a, "vf_fma(%s, %s, %s)", x, y, z));
    return true;
}

static const char *vector_call(const expr_node *n) {
    const expr_op_row *row = &expr_ops[n->op];
    switch (n->op) {
    case EX_AND: return "vm_and";
    case EX_OR: return "vm_or";
    case EX_NOT: return "vm_not";
    case EX_WHERE: return n->type == TYPE_INT ? row->vi : row->vf;
    case EX_TO_FLOAT: return row->vf;
    default: return n->kid[0]->type == TYPE_INT ? row->vi : row->vf;
    }
}

static void emit_op(emitter *m, expr_node *n, int j) {
    buf b = buf_new(m->a);
    buf_printf(&b, "%s(", vector_call(n));
    for (int i = 0; i < n->kids; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", vector(m, n->kid[i], j));
    buf_puts(&b, ")");
    emit_lane(m, n, j, expr_ops[n->op].cost, b.data);
}

/* The function of all vectors at once, whose latencies then overlap. */
static void emit_each(emitter *m, expr_node *n) {
    info *f = info_of(m, n);
    buf b = buf_new(m->a);
    for (int j = 0; j < m->vectors; j++)
        buf_printf(&b, "%s%s", j ? ", " : "", vector(m, n->kid[0], j));
    const char *name = arena_printf(m->a, "%s%d", m->prefix, n->id);
    expr_lines *lines = stage_lines(m, vector_stage(f));
    expr_line_printf(m->a, lines, "vf %s[%d] = {%s};", name, m->vectors, b.data);
    expr_line_printf(m->a, lines, "%s(%s, %d);", expr_ops[n->op].each, name, m->vectors);
    for (int j = 0; j < m->vectors; j++) f->vector[j] = arena_printf(m->a, "%s[%d]", name, j);
    if (vector_stage(f) == LANE) m->out->ops += expr_ops[n->op].cost;
}

static const char *var_vector(emitter *m, int var, int j) {
    static const char *const name[VAR_COUNT] = {
        [VAR_S] = "s", [VAR_H] = "vh", [VAR_Q] = "vq", [VAR_K] = "vk", [VAR_K_POS] = "vp"};
    return arena_printf(m->a, "%s_%d", name[var], j);
}

/* The lanes of vector j. */
static const char *vector(emitter *m, expr_node *n, int j) {
    info *f = info_of(m, n);
    if (f->shape == UNIFORM) return broadcast(m, n);
    if (f->vector[j]) return f->vector[j];
    if (n->op == EX_VAR)
        f->vector[j] = var_vector(m, n->index, j);
    else if (n->op == EX_TENSOR)
        read_tensor(m, n, j);
    else if (m->vectors > 1 && expr_ops[n->op].each)
        emit_each(m, n);
    else if (!emit_fma(m, n, j))
        emit_op(m, n, j);
    return f->vector[j];
}

void expr_emit_vector(arena *a, const expr *e, expr_mode mode, int vectors, const char *prefix,
                      expr_code *out) {
    *out = (expr_code){0};
    emitter m = {a, e, mode, vectors, prefix, out, NULL, NULL};
    m.info = arena_alloc(a, sizeof *m.info * (size_t)e->node_count);
    m.data = arena_alloc(a, sizeof *m.data * (size_t)(e->tensor_count + 1));
    classify(&m);
    for (int j = 0; j < vectors; j++) out->result[j] = vector(&m, e->root, j);
}
