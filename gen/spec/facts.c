#include "facts.h"

#include "types.h"
#include "weight_types.h"

#include "layout.h"
#include "op.h"
#include "spec.h"

enum { FACTS_MAX = 96 }; /* 32 side tensors and 32 scalars at most, and a line each of the rest */

static void add(fact_list *l, fact f) {
    l->fact[l->count++] = f;
}

static void say(fact_list *l, const char *topic, const char *lead, const char *text) {
    add(l, (fact){topic, lead, text, false, true});
}

static void show(fact_list *l, const char *topic, const char *lead, const char *text) {
    add(l, (fact){topic, lead, text, true, true});
}

static void rule(fact_list *l, const char *topic, const char *text) {
    add(l, (fact){topic, "", text, false, false});
}

static const char *visible_keys(arena *a, const attn_spec *s) {
    char text[ATTN_OP_WORDS_MAX];
    attn_op_of(s)->words(s, text);
    return arena_strdup(a, text);
}

static void say_scores(arena *a, fact_list *l, const kernel_spec *k) {
    const attn_spec *s = &k->core;
    buf b = buf_new(a);
    buf_printf(&b, "%.9g * q.k", (double)s->scale);
    if (s->softcap > 0)
        buf_printf(&b, ", then %.9g * tanh(s / %.9g)", (double)s->softcap, (double)s->softcap);
    if (k->score) buf_puts(&b, ", then the score expression");
    if (attn_spec_takes_mask(s)) buf_puts(&b, ", then the run-time mask");
    buf_puts(&b, s->sinks ? "; one sink a head joins the denominator." : ".");
    say(l, "Scores", "Scores: ", b.data);
    if (k->score_expr) show(l, "Score expression", "score = ", expr_canonical(a, k->score_expr));
    if (k->mask_expr) show(l, "Mask expression", "mask = ", expr_canonical(a, k->mask_expr));
    for (int i = 0; i < k->tensor_count; i++)
        show(l, "Side tensor", arena_printf(a, "side[%d]: ", i),
             expr_decl_canonical(a, &k->tensors[i]));
    for (int i = 0; i < k->scalar_count; i++)
        show(l, "Scalar", arena_printf(a, "scalars[%d]: ", i),
             arena_printf(a, "%s=%s", k->scalars[i].name, k->scalars[i].is_float ? "f32" : "i32"));
}

/* --- Layers --- */

static const char *enum_text(arena *a, const char *field, int32_t value) {
    char name[32];
    attn_enum_name(attn_field_find(field), value, name, sizeof name);
    return arena_strdup(a, name);
}

static const char *float_text(arena *a, float x) {
    char text[ATTN_FLOAT_MAX];
    attn_float_text(x, text);
    return arena_strdup(a, text);
}

/* "y = x + attention(norm1(x))", by where norms and residuals stand. norm: null where none does. */
static const char *part_formula(arena *a, const attn_spec *s, const char *from, const char *what,
                                const char *norm, const char *post) {
    const bool norms = s->norm != ATTN_NORM_NONE, both = s->norm_place == ATTN_NORM_PLACE_BOTH;
    const bool before = norms && norm && (both || s->norm_place == ATTN_NORM_PLACE_PRE);
    const bool after = norms && (both || s->norm_place == ATTN_NORM_PLACE_BRANCH);
    const char *out =
        arena_printf(a, "%s(%s)", what, before ? arena_printf(a, "%s(%s)", norm, from) : from);
    if (after) out = arena_printf(a, "%s(%s)", post, out);
    if (s->residual_scale != 0)
        out = arena_printf(a, "%s * %s", float_text(a, s->residual_scale), out);
    const char *sum =
        s->residual == ATTN_RESIDUAL_NONE ? out : arena_printf(a, "%s + %s", from, out);
    if (norms && s->norm_place == ATTN_NORM_PLACE_POST) sum = arena_printf(a, "%s(%s)", norm, sum);
    return arena_printf(a, "y = %s", sum);
}

static const char *biases(arena *a, const attn_spec *s) {
    const struct {
        const char *name;
        int32_t on;
    } all[] = {{"q", s->q_bias},
               {"k", s->k_bias},
               {"v", s->v_bias},
               {"o", s->o_bias},
               {"ffn", s->ffn_bias}};
    buf b = buf_new(a);
    for (int i = 0; i < 5; i++)
        if (all[i].on) buf_printf(&b, "%s%s", b.len ? ", " : "", all[i].name);
    return b.len ? b.data : "none";
}

static const char *rope_text(arena *a, const attn_spec *s) {
    if (s->rope == ATTN_ROPE_NONE) return "none.";
    buf b = buf_new(a);
    buf_printf(&b, "%s, the first %d components, base %s",
               s->rope == ATTN_ROPE_HALF ? "pairs i, i + n/2" : "pairs 2i, 2i + 1", s->rope_dim,
               float_text(a, s->rope_base));
    if (s->rope_scaling != ATTN_ROPE_SCALING_NONE)
        buf_printf(&b, ", scaling %s by %s", enum_text(a, "rope_scaling", s->rope_scaling),
                   float_text(a, s->rope_factor));
    if (s->rope_scaling == ATTN_ROPE_SCALING_LONGROPE)
        buf_puts(&b, ", each angle divided by its factor in the weight rope_factors");
    buf_puts(&b, "; keys are cached rotated.");
    return b.data;
}

/* Which experts a row passes, and what becomes of them. */
static const char *mixture_text(arena *a, const attn_spec *s) {
    buf b = buf_new(a);
    buf_printf(&b, "a mixture of %d experts, %s, %d wide; a row passes %d, ", s->experts,
               enum_text(a, "expert_act", s->expert_act), s->expert_dim, s->top_k);
    if (s->groups > 1) buf_printf(&b, "of %d of %d groups, ", s->group_top, s->groups);
    buf_printf(&b, "chosen by %s%s, ties to the lower index; weights %s%s",
               s->router == ATTN_ROUTER_SIGMOID        ? "sigmoid of the scores"
               : s->router == ATTN_ROUTER_SOFTMAX_TOPK ? "softmax of the scores"
                                                       : "the scores",
               s->router_bias == ATTN_ROUTER_BIAS_SELECTION ? " and a bias" : "",
               s->router == ATTN_ROUTER_TOPK_SOFTMAX ? "softmax of the chosen scores"
               : s->router == ATTN_ROUTER_SPARSEMIXER
                   ? "softmax of each among the scores that are left and near it"
                   : "are these",
               s->norm_topk ? " by their sum" : "");
    if (s->router_scale != 1) buf_printf(&b, ", times %s", float_text(a, s->router_scale));
    if (s->router_input) buf_puts(&b, ", of what goes into an expert");
    if (s->shared_experts)
        buf_printf(&b, "; %d shared experts%s", s->shared_experts,
                   s->shared_gate ? ", times sigmoid of their gate" : "");
    buf_puts(&b, ".");
    return b.data;
}

/* "; rmsnorm of q and k heads" */
static const char *qk_norm_text(arena *a, const attn_spec *s) {
    if (!s->qk_norm) return "";
    return arena_printf(a, "; %s of q and k %s%s%s", enum_text(a, "qk_norm_kind", s->qk_norm_kind),
                        s->qk_norm_over == ATTN_QK_NORM_OVER_ALL ? "rows" : "heads",
                        s->qk_norm_weights == ATTN_QK_NORM_WEIGHTS_NONE ? " without weights"
                        : s->qk_norm_weights == ATTN_QK_NORM_WEIGHTS_HEADS
                            ? ", weights of each head"
                            : "",
                        s->qk_norm_place == ATTN_QK_NORM_PLACE_AFTER ? ", after RoPE" : "");
}

/* What matrices are stored in, and why where nobody asked for it. */
static void say_weights(arena *a, fact_list *l, const attn_spec *s) {
    buf b = buf_new(a);
    bool plain = s->weight_type == ATTN_WEIGHT_F32;
    buf_printf(&b, "matrices are stored in %s", attn_weight_get(s->weight_type).name);
    for (int32_t i = 0; i < ATTN_MATRIX_COUNT; i++) {
        const char *why;
        if (!attn_spec_has_matrix(s, i)) continue;
        const int32_t type = attn_spec_stored_type(s, i, &why);
        if (type == s->weight_type) continue;
        plain = false;
        buf_printf(&b, "; %s in %s", attn_matrix_name(i), attn_weight_get(type).name);
        if (why) buf_printf(&b, ", not as weight_type says: it %s", why);
    }
    if (plain) return;
    buf_puts(&b, ". Weights that are given in another type are rounded to that, once.");
    say(l, "Weights", "Weights: ", b.data);
}

/* The layer around the attention, as formulas of x. */
static void say_layer(arena *a, fact_list *l, const attn_spec *s) {
    const bool kv = s->kv_dim != ATTN_UNSET;
    const bool own = s->ffn != ATTN_FFN_NONE && s->ffn != ATTN_FFN_EXTERNAL;
    const char *scale =
        s->residual_scale != 0 ? arena_printf(a, "%s * ", float_text(a, s->residual_scale)) : "";
    buf b = buf_new(a);
    buf_printf(&b, "rows of %d floats", attn_spec_row_dim(s));
    if (kv) buf_printf(&b, ", keys from a second input of %d", s->kv_dim);
    if (s->norm != ATTN_NORM_NONE)
        buf_printf(&b, "; %s%s, eps %s", enum_text(a, "norm", s->norm),
                   s->norm_offset ? " (weights stored less one)"
                   : s->norm_bare ? " (without weights)"
                                  : "",
                   float_text(a, s->norm_eps));
    buf_printf(&b, "; biases: %s%s.", biases(a, s), qk_norm_text(a, s));
    say(l, "Layer", "Layer: ", b.data);
    say_weights(a, l, s);
    const char *first = s->skip_norm1 ? NULL : "norm1";
    show(l, "Attention", "", part_formula(a, s, "x", "attention", first, "post_norm1"));
    if (own && s->residual == ATTN_RESIDUAL_PARALLEL)
        show(l, "Feed-forward", "",
             arena_printf(a, "y = y + %sffn(%s(x))", scale, s->shared_norm ? "norm1" : "norm2"));
    else if (own)
        show(l, "Feed-forward", "", part_formula(a, s, "y", "ffn", "norm2", "post_norm2"));
    if (s->ffn == ATTN_FFN_MOE)
        say(l, "Feed-forward", "ffn: ", mixture_text(a, s));
    else if (own)
        say(l, "Feed-forward",
            "ffn: ", arena_printf(a, "%s, %d wide.", enum_text(a, "ffn", s->ffn), s->ffn_dim));
    say(l, "RoPE", "RoPE: ", rope_text(a, s));
    if (s->q_growth != 0)
        say(l, "Queries", "Queries: ",
            arena_printf(a, "times 1 + %s ln(1 + floor((p + %d) / %d)), p their position.",
                         float_text(a, s->q_growth), s->q_growth_offset, s->q_growth_every));
    if (s->o_gate != ATTN_O_GATE_NONE)
        say(l, "Gate", "Gate: ",
            arena_printf(a, "what the heads give is multiplied by sigmoid(a Wg^T), a number a %s.",
                         s->o_gate == ATTN_O_GATE_HEAD ? "head" : "column"));
}

/* All operands are f32. */
static bool is_plain(const attn_spec *s) {
    return s->type == ATTN_TYPE_F32 && s->kv_type == ATTN_KV_TYPE_SAME;
}

/* What holds for every kernel (attn.h's members say the same of each argument). */
static void say_rules(arena *a, fact_list *l, const attn_spec *s) {
    rule(
        l, "Lengths",
        "kv_len[b] keys exist, kv_len_max where it is not given; keys past them are never read, so "
        "that memory may hold anything.");
    if (attn_op_of(s)->segments)
        rule(l, "Segments",
             "seg[b][i] is the segment of query row i; keys that do not exist are not clamped to "
             "ones that do.");
    else
        rule(l, "Positions",
             "Query row i stands at position p = q_start[b] + i; q_start is 0 where it is not "
             "given, and kv_len - q_len in a call with a cache.");
    if (attn_spec_takes_mask(s))
        rule(l, "Run-time mask",
             "attn_mask (bool: nonzero is visible; f32: added to the score) of rank 1 to 4 "
             "broadcasts to [batch, heads, q_len, kv_len_max]. A bias of -1e30 or less hides.");
    rule(l, "Padding", "key_padding[b][j] != 0 hides key j.");
    rule(l, "NaN and Inf",
         "The score of a hidden key is discarded, not multiplied: NaN or Inf there reaches no "
         "output. A final score of -inf hides, too. NaN or Inf in Q, in a bias or in a visible K "
         "reaches only the rows that use it. V must be finite for every key that exists.");
    rule(
        l, "LSE",
        "lse, where it is wanted, is the natural logarithm of the softmax denominator of each row, "
        "sinks included.");
    const char *bound = "or any number of keys, |O - exact| <= (4e-6 + 4e-7 A) max|V| a row and "
                        "|LSE - exact| <= 1e-6 + 4e-7 A, where A grows with the size of its scores";
    const int32_t o = attn_spec_types(s).o;
    if (is_plain(s))
        rule(l, "Accuracy", arena_printf(a, "f32 in and out; f%s.", bound));
    else if (o == ATTN_TYPE_F32)
        rule(l, "Accuracy", arena_printf(a, "F%s.", bound));
    else
        rule(l, "Accuracy",
             arena_printf(a, "F%s; then O is rounded to %s, once.", bound, attn_type_get(o).name));
    rule(l, "Same bits",
         "The same inputs give the same bits at any number of threads, batch size and alignment, "
         "for one kernel, compiler and flags.");
}

static const char *heads(arena *a, int32_t count, const char *of) {
    return arena_printf(a, "%d %s head%s", count, of, count == 1 ? "" : "s");
}

/* Products may be formed in fewer bits. */
static const char *dot_words(arena *a, const attn_spec *s) {
    if (s->dot == ATTN_DOT_F32) return "";
    return arena_printf(a, ", but for products that the plan forms as dot = %s allows",
                        enum_text(a, "dot", s->dot));
}

/* The same of a layer, which makes them. */
static void say_layer_scaled(arena *a, fact_list *l, const attn_spec *s) {
    const attn_rotation turn = attn_spec_rotation(s);
    say(l, "Types", "",
        arena_printf(
            a,
            "K and V are rounded to %s as they are made, with a cache or without, and cached so: "
            "codes, and for each row and head an f32 scale (k_scale%s); an element is scale * "
            "code. All else is f32%s; exact is what the stored values give.",
            attn_type_get(attn_spec_types(s).k).name,
            attn_spec_one_row(s) ? ", which serves V too" : ", v_scale", dot_words(a, s)));
    if (turn.block)
        say(l, "Rotation", "",
            arena_printf(a,
                         "K is rotated after RoPE and before it is rounded, in blocks of %d "
                         "columns from column %d on: H[i][j] = (-1)^popcount(i & j) / sqrt(%d); "
                         "and Q in the attention.",
                         turn.block, turn.from, turn.block));
}

/* Integers, what scales them, and how keys lie. */
static void say_scaled(arena *a, fact_list *l, const attn_spec *s) {
    const attn_rotation turn = attn_spec_rotation(s);
    const attn_types type = attn_spec_types(s);
    if (s->level == ATTN_LEVEL_BLOCK) {
        say_layer_scaled(a, l, s);
        return;
    }
    say(l, "Types", "",
        arena_printf(
            a,
            "K and V are stored in i8, each row with an f32 scale (k_scale%s): an element is "
            "scale * code. Q is stored in %s, O in %s; all arithmetic is f32%s; exact is what the "
            "stored values give.",
            attn_spec_one_row(s) ? ", which serves V too" : ", v_scale", attn_type_get(type.q).name,
            attn_type_get(type.o).name, dot_words(a, s)));
    if (turn.block)
        say(l, "Rotation", "",
            arena_printf(
                a,
                "K is stored rotated, in blocks of %d columns from column %d on: H[i][j] = "
                "(-1)^popcount(i & j) / sqrt(%d). Q comes as it is, and is rotated here.",
                turn.block, turn.from, turn.block));
}

/* Where operands are not all f32. */
static void say_types(arena *a, fact_list *l, const attn_spec *s) {
    if (is_plain(s)) return;
    if (attn_spec_scaled(s)) {
        say_scaled(a, l, s);
        return;
    }
    const attn_types type = attn_spec_types(s);
    const char *q = attn_type_get(type.q).name, *k = attn_type_get(type.k).name;
    const char *o = attn_type_get(type.o).name, *stored;
    if (s->level == ATTN_LEVEL_BLOCK) {
        say(l, "Types", "",
            arena_printf(a,
                         "K and V are rounded to %s as they are made, with a cache or without, and "
                         "cached so; all else is f32, and exact is what the stored values give.",
                         k));
        return;
    }
    if (type.q == type.k && type.k == type.o)
        stored = arena_printf(a, "Q, K, V and O are stored in %s", k);
    else if (type.q == type.o)
        stored = arena_printf(a, "K and V are stored in %s, Q and O in %s", k, q);
    else
        stored = arena_printf(a, "Q is stored in %s, K and V in %s, O in %s", q, k, o);
    say(l, "Types", "",
        arena_printf(a, "%s; all arithmetic is f32, and exact is what the stored values give.",
                     stored));
}

static void say_layout(arena *a, fact_list *l, const attn_spec *s) {
    const attn_layout_rule *rule = attn_layout_of(s);
    if (rule->paged && s->level == ATTN_LEVEL_BLOCK)
        say(l, "Layout", "Layout: ",
            arena_printf(a,
                         "keys are cached in pages of %d, all heads of a key side by side; the "
                         "table that says which pages an item has is the caller's.",
                         s->page));
    else if (rule->paged)
        say(l, "Layout", "Layout: ", arena_printf(a, "%s; page = %d.", rule->words, s->page));
    else if (rule->words)
        say(l, "Layout", "Layout: ", rule->words);
}

fact_list facts_of(arena *a, const kernel_spec *k) {
    const attn_spec *s = &k->core;
    fact_list l = {arena_alloc(a, FACTS_MAX * sizeof(fact)), 0};
    char form[32], backend[32];
    attn_enum_name(attn_field_find("form"), s->form, form, sizeof form);
    attn_enum_name(attn_field_find("backend"), s->backend, backend, sizeof backend);
    say(&l, "Shape", "",
        arena_printf(a, "%s attention, %s: %s, %s, %s; Q and K rows of %d, V and O rows of %d %s.",
                     form, backend, heads(a, s->heads, "query"), heads(a, s->kv_heads, "key"),
                     heads(a, s->v_heads, "value"), attn_spec_k_dim(s), s->v_dim,
                     is_plain(s) ? "floats" : "elements"));
    say_types(a, &l, s);
    say_layout(a, &l, s);
    if (s->level == ATTN_LEVEL_BLOCK) say_layer(a, &l, s);
    say(&l, "Visible keys", "Keys: ",
        arena_printf(a, "%s, below kv_len[b]%s.", visible_keys(a, s),
                     s->select == ATTN_SELECT_INDEX
                         ? ", of those that index[b][key head][i] names, each as often as it does"
                         : ""));
    say_scores(a, &l, k);
    say(&l, "Empty rows", "",
        arena_printf(a, "A row that sees no key: O = 0, LSE = %s.",
                     s->sinks ? "its sink" : "-inf"));
    say_rules(a, &l, s);
    return l;
}
