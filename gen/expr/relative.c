/* relative.c - expressions that see distances, and no positions: they say the same where queries
 * and keys are counted from another key on. Then a sliding cache may let go of its first keys. */
#include "expr_internal.h"

/* By how much an int changes where q, k, q_start and kv_len grow by one, modulo 2^32; floats and
 * bools have to stay as they are. */
typedef struct step {
    bool known;
    uint32_t by;
} step;

static const step unknown = {false, 0}, none = {true, 0};

/* Positions of any layer: from there on 32 bits might not hold what is compared. */
static const attn_tile_box positions = {0, INT32_MAX, 0, (1 << 30) - 1, 0, (1 << 30) - 1};

static bool is_any(attn_iv v) {
    return v.lo == INT32_MIN && v.hi == INT32_MAX;
}

static bool is_fixed(step s) {
    return s.known && s.by == 0;
}

static step of_leaf(const expr_node *n) {
    const bool moves =
        n->op == EX_VAR && (n->index == VAR_Q || n->index == VAR_K || n->index == VAR_K_POS ||
                            n->index == VAR_Q_START || n->index == VAR_KV_LEN);
    return (step){true, moves};
}

/* All operands from `first` on move together; then so do their order, least and greatest, as long
 * as none wraps. */
static step together(const expr *e, const expr_node *n, const step *of, int first) {
    const step s = of[n->kid[first]->id];
    for (int i = first; i < n->kids; i++) {
        const step kid = of[n->kid[i]->id];
        if (!s.known || !kid.known || kid.by != s.by) return unknown;
        if (s.by != 0 && n->op != EX_WHERE && is_any(expr_interval(e, n->kid[i], &positions)))
            return unknown;
    }
    return s;
}

static step all_fixed(const expr_node *n, const step *of) {
    for (int i = 0; i < n->kids; i++)
        if (!is_fixed(of[n->kid[i]->id])) return unknown;
    return none;
}

static bool has_key_dim(const expr *e, const expr_node *n) {
    const attn_side_decl *t = &e->tensors[n->index];
    for (int d = 0; d < t->rank; d++)
        if (t->dim[d] == ATTN_DIM_KV_LEN) return true;
    return false;
}

static step of_product(const expr_node *n, const step *of) {
    const step x = of[n->kid[0]->id], y = of[n->kid[1]->id];
    const bool x_const = n->kid[0]->op == EX_CONST, y_const = n->kid[1]->op == EX_CONST;
    if (n->type != TYPE_INT || !(x_const || y_const) || !x.known || !y.known)
        return all_fixed(n, of);
    return (step){true, x_const ? (uint32_t)n->kid[0]->i * y.by : (uint32_t)n->kid[1]->i * x.by};
}

static step step_of(const expr *e, const expr_node *n, const step *of) {
    const step x = n->kids > 0 ? of[n->kid[0]->id] : none;
    const step y = n->kids > 1 ? of[n->kid[1]->id] : none;
    switch (n->op) {
    case EX_CONST:
    case EX_SCALAR:
    case EX_VAR: return of_leaf(n);
    case EX_TENSOR: return has_key_dim(e, n) ? unknown : all_fixed(n, of);
    case EX_ADD: return (step){x.known && y.known, x.by + y.by};
    case EX_SUB: return (step){x.known && y.known, x.by - y.by};
    case EX_NEG:
    case EX_BIT_NOT: return (step){x.known, 0u - x.by};
    case EX_MUL: return of_product(n, of);
    case EX_MIN:
    case EX_MAX:
    case EX_CLAMP: return together(e, n, of, 0);
    case EX_WHERE: return is_fixed(x) ? together(e, n, of, 1) : unknown;
    default: break;
    }
    if (!expr_is_compare(n->op)) return all_fixed(n, of);
    return together(e, n, of, 0).known ? none : unknown;
}

bool expr_relative(arena *a, const expr *e) {
    step *of = arena_alloc(a, ((size_t)e->node_count + 1) * sizeof *of);
    for (int i = 0; i < e->node_count; i++) of[i] = step_of(e, e->node[i], of);
    return is_fixed(of[e->root->id]);
}
