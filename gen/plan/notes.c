/* notes.c - why a plan is what it is, in words. */
#include "plan_internal.h"

#include "op.h"
#include "types.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void note(arena *a, plan *p, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void note(arena *a, plan *p, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (p->notes < PLAN_MAX_NOTES) p->note[p->notes++] = arena_strdup(a, text);
}

static const char *param_text(arena *a, const plan_choice *c, int param) {
    const int value = plan_choice_get(c, param);
    if (plan_params[param].is_bool) return value ? "true" : "false";
    return arena_printf(a, "%d", value);
}

/* Which choices come from a tune file, and what the model would have chosen. */
static void note_tuned(arena *a, const kernel_spec *k, const isa_row *isa, plan *p) {
    if (!p->tuned) return;
    plan model = *p;
    model.choice = plan_choice_none();
    plan_choose(&model, k, isa);
    buf changed = buf_new(a), same = buf_new(a);
    for (int i = 0; i < PLAN_PARAMS; i++) {
        if (!(p->tuned >> i & 1)) continue;
        const char *now = param_text(a, &p->choice, i), *then = param_text(a, &model.choice, i);
        if (strcmp(now, then))
            buf_printf(&changed, "%s%s %s (without it: %s)", changed.len ? ", " : "",
                       plan_params[i].name, now, then);
        else
            buf_printf(&same, "%s%s", same.len ? ", " : "", plan_params[i].name);
    }
    if (changed.len) note(a, p, "tune file: %s", changed.data);
    if (same.len) note(a, p, "tune file, the same as without it: %s", same.data);
}

static void note_unasked(arena *a, const isa_row *isa, plan *p) {
    if (p->choice.unasked < 0) return;
    note(a, p, "tune file: plans take this kernel %s",
         p->choice.unasked
             ? "wherever the CPU runs it (without it: as isa.def says of the CPU)"
             : arena_printf(a,
                            "only where ATTN_ISA = %s asks for it (without it: as isa.def says of "
                            "the CPU)",
                            isa->name));
}

static void note_tiles(arena *a, const isa_row *isa, plan *p) {
    const plan_tile *t = &p->tile[p->tile_vectors - 1];
    note(a, p,
         "prefill: tiles of %d queries x %d keys; S = K Q^T keeps %d x %d accumulators, "
         "%d queries and 1 broadcast in %d registers",
         p->tile_vectors * isa->width, p->key_block, t->keys, p->tile_vectors, p->tile_vectors,
         isa->registers);
    note(a, p, "prefill: P V in row groups of %d x %d columns; V packed in panels of %d columns",
         t->pv.groups[0], t->pv.columns * isa->width, p->panel);
    note(a, p,
         "prefill: V is packed once a value head; where that takes more than %d MiB, and more than "
         "key chunks do: %d keys at a time, for up to %d tiles that keep their state, %.1f MiB a "
         "thread, with the same bits",
         PACK_MOST >> 20, p->chunk_keys, p->held_tiles, (double)plan_chunk_bytes(p) / (1 << 20));
    if (p->pairs)
        note(a, p,
             "tiles: bf16 rows of a key block are copied as they are, pairs of columns, and V is "
             "put "
             "in pairs of keys, once for all that share it");
    else if (p->widen)
        note(a, p, "tiles: %s once for all that share it, V while it is packed",
             p->type.k == ATTN_TYPE_F32
                 ? "rows of a key block are brought side by side"
                 : arena_printf(a, "%s rows of a key block are widened to f32",
                                attn_type_get(p->type.k).name));
    note(a, p, "prefill: %d tiles share a key block; their Q and O stay in three quarters of L2",
         p->tiles);
}

static void note_decode(arena *a, plan *p) {
    const char *values = !p->widen                    ? "unpacked V"
                         : p->type.v == ATTN_TYPE_F32 ? "V that is brought side by side, not packed"
                                                      : "V that is widened, not packed";
    note(a, p,
         "decode: up to %d query rows; %d query head%s of a group; keys in "
         "parts of %d, merged in order",
         p->decode_q, p->group, p->group > 1 ? "s" : "", p->part_keys);
    if (p->dots)
        note(a, p,
             "decode: up to %d rows of a group run as dot products, %d a tile and %d keys at "
             "a time, their rows asked for %d keys ahead; more as tiles on %s",
             p->dot_most, p->dot[p->dots - 1].rows, p->turn_keys, p->dot_ahead, values);
    else
        note(a, p, "decode: tiles of prefill on %s", values);
}

static void note_loops(arena *a, plan *p) {
    const plan_tile *t = &p->tile[p->tile_vectors - 1];
    if (t->prefetch)
        note(a, p, "prefetch: K rows %d register tile%s ahead, a line a row and %d steps",
             t->prefetch, t->prefetch > 1 ? "s" : "", plan_line(ATTN_TYPE_F32));
    note(a, p, "unroll: %d of %d steps of the loop over the head width%s", t->unroll, p->dk,
         t->unroll == p->dk ? " (full)" : "");
}

static void note_mask(arena *a, const kernel_spec *k, plan *p) {
    const char *range = expr_range_text(a, k->mask_expr);
    if (!p->tiled)
        note(a, p, "mask: asked about each key that a row reads; no mask tensor exists");
    else if (*range)
        note(a, p, "mask: keys in closed form: %s; no mask tensor exists", range);
    else
        note(a, p,
             "mask: no bound on k in closed form: every key block is classified; no mask "
             "tensor exists");
}

static void note_maximum(arena *a, plan *p) {
    note(a, p,
         p->lazy ? "softmax: lazy maximum; a key block is redone where its sum leaves 2^-60 .. 2^60"
         : p->has_score ? "softmax: running maximum, since a score expression may drift"
                        : "softmax: running maximum");
}

/* Of part/sums.c.tpl, in keys. */
static void note_sums(arena *a, plan *p) {
    const plan_tile *t = &p->tile[p->tile_vectors - 1];
    const int most = t->lazy && !p->rescore ? t->exp_keys : EXP_SUMS;
    note(a, p,
         "tiles: P V sums up to %d keys from zero; P of up to %d keys is added up before the "
         "softmax's "
         "sum takes it, as if exactly",
         min_int(p->key_block, SUM_MOST), min_int(p->key_block, most));
}

static void note_floats(arena *a, plan *p, const char *dot) {
    note(a, p,
         "i8: products are formed of codes in f32; a score takes its key's scale, P its value's%s",
         p->tiled ? "; tiles widen rows to their values, scale * code" : "");
    note(a, p,
         "dot = %s: all products are formed in f32, so nothing is rounded below f32, and O is as "
         "exact as with f32 keys of these values: there is no term for dot",
         dot);
}

/* What "Storage types" of CONTRACT.md says of `dot`, with this kernel's bits. */
static void note_codes(arena *a, const kernel_spec *k, plan *p, const char *dot) {
    const plan_codes *c = &p->codes;
    note(a, p,
         "i8, dot products: a row of Q%s is rounded to codes of %d bits, its largest to %d; their "
         "products with codes of K are summed in integers, exactly; a score is such a sum times "
         "both scales, in f32",
         p->rotate.block ? ", rotated," : "", c->words ? 16 : 8, c->q_most);
    note(a, p,
         "i8, dot products: P times its value's scale is rounded to unsigned codes of %d bits, in "
         "blocks of %d keys at multiples of %d, the largest of a row to %d; their products with "
         "codes of V are summed in integers, exactly, and blocks in f32",
         8 * c->p_bytes, CODE_KEYS, CODE_KEYS, c->p_most);
    note(a, p,
         "dot = %s: dot products may add max|V| ((e^2u - 1) + %d / %d) to the bound of O, and u to "
         "that of LSE: u is the largest %s%g max|q| / %d sum|k| of a row's keys",
         dot, CODE_KEYS, 2 * c->p_most, p->rescore ? "|ds'/ds| " : "", fabs((double)k->core.scale),
         2 * c->q_most);
    note(
        a, p,
        "i8, tiles: rows are widened to their values, scale * code, and all products are formed in "
        "f32: nothing is added to their bound");
}

/* Why no instruction set multiplies pairs of bf16 for a kernel (plan_tile_pairs); null: some do. */
static const char *why_no_pairs(const kernel_spec *k, const plan *p) {
    const attn_spec *s = &k->core;
    if (p->type.k != ATTN_TYPE_BF16 || p->type.v != ATTN_TYPE_BF16)
        return "only keys and values that both are bf16 are multiplied in pairs";
    if (attn_op_few_keys(s)) return "each of a row's few keys is one dot product";
    if (s->select == ATTN_SELECT_INDEX) return "keys of a list are gathered for one query row";
    if (plan_is_latent(s))
        return "a row is key and value, and pairs of columns are not of two keys";
    return NULL;
}

/* The same for pairs of bf16. */
static void note_pairs(arena *a, const kernel_spec *k, plan *p) {
    if (!p->pairs) {
        const char *why = why_no_pairs(k, p);
        note(a, p,
             "dot = bf16: all products are formed in f32 %s%s, so nothing is rounded below f32: "
             "there is no term for dot",
             why ? "on all instruction sets, as " : "here", why ? why : "");
        return;
    }
    note(a, p,
         "dot = bf16, tiles: Q times its factor and P are rounded to bf16; products of pairs are "
         "exact and summed in f32, where numbers below 2^-126 count as zero; the sum of P that "
         "divides O is of P before it is rounded");
    note(a, p,
         "dot = bf16: tiles may add max|V| ((e^2u - 1) + 2^-8) to the bound of O, and u to that of "
         "LSE: u is the largest %s%g sum|q k| / 256 of a row's keys; %s",
         p->rescore ? "|ds'/ds| " : "", fabs((double)k->core.scale),
         p->dots ? "dot products of few rows are formed in f32 and add nothing"
                 : "few rows run as tiles too");
}

/* What is rounded, and what follows, where keys and values are integers. */
static void note_scaled(arena *a, const kernel_spec *k, plan *p) {
    char dot[ATTN_FIELD_TEXT_MAX];
    attn_field_text(attn_field_find("dot"), &k->core, dot);
    if (p->codes.q_most)
        note_codes(a, k, p, dot);
    else
        note_floats(a, p, dot);
    if (p->rotate.block)
        note(
            a, p,
            "rotate: Q is rotated in blocks of %d columns from column %d on, in double, once where "
            "it is packed",
            p->rotate.block, p->rotate.from);
}

/* Where the factor of scores goes. */
static void note_scores(arena *a, plan *p) {
    const char *in = p->tiled ? "Q" : "the factor of a product";
    if (!p->rescore)
        note(a, p, "scores: scale * log2(e) is folded into %s; exp is exp2", in);
    else if (p->apart)
        note(a, p,
             "scores: constant factors of the expression stay in it: in %s they would leave f32",
             in);
    else if (p->has_score)
        note(a, p,
             "scores: constant factors, log2(e) among them, are folded into %s and into what is "
             "the same for all keys",
             in);
    else
        note(a, p, "scores: the scale is folded into %s; every score is changed before the softmax",
             in);
}

static void note_index(arena *a, plan *p) {
    if (p->gathers) {
        note(
            a, p,
            "index: a query row of a group of %d heads runs as dot products, up to %d rows a tile; "
            "%d of the keys that its list names are gathered at a time, as they are stored, side "
            "by side, in the order of the list",
            p->group, p->dot[0].rows, p->index_keys);
        return;
    }
    note(a, p,
         "index: a query row of a group of %d heads runs as tiles of up to %d rows; %d of the keys "
         "that its list names are gathered at a time, once for all of these, as f32 rows side by "
         "side, in the order of the list",
         p->group, p->tile_vectors * isa_table[p->isa].width, p->key_block);
}

void plan_notes(arena *a, const kernel_spec *k, const isa_row *isa, plan *p) {
    note_tuned(a, k, isa, p);
    note_unasked(a, isa, p);
    if (p->tiled) {
        if (p->indexed)
            note_index(a, p);
        else
            note_tiles(a, isa, p), note_decode(a, p);
        note_loops(a, p);
    } else {
        note(a, p,
             "gather: a row sees at most %d key%s, so each is one dot product; no tiles, no "
             "packing, no workspace but a row of scores",
             p->gather_keys, p->gather_keys == 1 ? "" : "s");
    }
    if (p->has_mask) note_mask(a, k, p);
    if (p->tiled)
        note_maximum(a, p);
    else
        note(a, p, "softmax: over all keys of a row at once");
    if (p->tiled && !p->gathers) note_sums(a, p);
    note_scores(a, p);
    if (p->scaled) note_scaled(a, k, p);
    if (k->core.dot == ATTN_DOT_BF16 && !p->scaled) note_pairs(a, k, p);
}
