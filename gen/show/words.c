#include "words.h"

#include "text.h"

#include <string.h>

/* --- Which layers --- */

static const char *nth(arena *a, int n) {
    const int ten = n % 100, one = n % 10;
    const char *end = ten >= 11 && ten <= 13 ? "th"
                      : one == 1             ? "st"
                      : one == 2             ? "nd"
                      : one == 3             ? "rd"
                                             : "th";
    return arena_printf(a, "%d%s", n, end);
}

/* A kernel's layers. */
typedef struct layer_set {
    const model *m;
    int kernel;
    bool inside; /* those too that have it in them */
} layer_set;

static bool has(const layer_set *s, int layer) {
    return s->inside ? model_layer_runs(s->m, layer, s->kernel)
                     : s->m->layer_kernel[layer] == s->kernel;
}

/* The layers of a set (or, where not, the others) are first, first + step, .. last; at least
 * three. */
static bool is_periodic(const layer_set *s, bool of, int *first, int *step, int *last) {
    int count = 0;
    *first = *step = *last = 0;
    for (int i = 0; i < s->m->layer_count; i++) {
        if (has(s, i) != of) continue;
        if (count == 0) *first = i;
        if (count == 1) *step = i - *last;
        if (count > 1 && i - *last != *step) return false;
        *last = i, count++;
    }
    return count > 2 && *step > 1;
}

/* From within the first period to within the last one. */
static bool is_whole(const model *m, int first, int step, int last) {
    return first < step && last + step >= m->layer_count;
}

static const char *period(arena *a, int first, int step) {
    if (step == 2) return first ? "odd layers" : "even layers";
    return arena_printf(a, "every %s layer, from %d", nth(a, step), first);
}

static const char *ranges(arena *a, const layer_set *s) {
    const int layers = s->m->layer_count;
    buf b = buf_new(a);
    for (int i = 0; i < layers; i++) {
        if (!has(s, i)) continue;
        int end = i;
        while (end + 1 < layers && has(s, end + 1)) end++;
        buf_printf(&b, "%s%d", b.len ? ", " : "layers ", i);
        if (end > i) buf_printf(&b, "%s%d", end == i + 1 ? ", " : " .. ", end);
        i = end;
    }
    return b.data;
}

const char *words_of_layers(arena *a, const model *m, int kernel, bool inside, int *count) {
    const layer_set s = {m, kernel, inside};
    int first = 0, step, last;
    *count = 0;
    for (int i = m->layer_count - 1; i >= 0; i--)
        if (has(&s, i)) first = i, ++*count;
    if (*count == 1) return arena_printf(a, "layer %d", first);
    if (*count == m->layer_count) return "all layers";
    if (is_periodic(&s, true, &first, &step, &last))
        return is_whole(m, first, step, last)
                   ? period(a, first, step)
                   : arena_printf(a, "every %s layer, %d to %d", nth(a, step), first, last);
    if (is_periodic(&s, false, &first, &step, &last) && is_whole(m, first, step, last))
        return arena_printf(a, "all layers but every %s, from %d", nth(a, step), first);
    return ranges(a, &s);
}

/* --- What it is --- */

const char *words_of_field(arena *a, const attn_field *f, const attn_spec *spec) {
    if (!attn_field_is_member(f) || !attn_field_applies(f, spec, NULL)) return NULL;
    char text[ATTN_FIELD_TEXT_MAX];
    return attn_field_text(f, spec, text) ? arena_strdup(a, text) : NULL;
}

static const char *field_text(arena *a, const kernel_spec *k, const char *name) {
    return words_of_field(a, attn_field_find(name), &k->core);
}

/* "full_self" -> "full self-attention" */
static void say_op(arena *a, buf *b, const kernel_spec *k) {
    static const char *const reach[] = {"window", "right_window", "lookback"};
    char *op = arena_strdup(a, field_text(a, k, "op"));
    const char *causal = field_text(a, k, "causal");
    for (char *c = op; *c; c++)
        if (*c == '_') *c = ' ';
    if (causal && !strcmp(causal, "true")) buf_puts(b, "causal ");
    buf_printf(b, "%s-attention", op);
    for (size_t i = 0; i < sizeof reach / sizeof *reach; i++) {
        const char *value = field_text(a, k, reach[i]);
        if (!value) continue;
        buf_printf(b, ", %s %s", i == 1 ? "right window" : reach[i], value);
    }
    if (k->score || k->mask_expr || k->score_expr) buf_puts(b, ", with expressions");
}

static void say_heads(buf *b, const attn_spec *s) {
    buf_printf(b, "; %d heads of %d", s->heads, attn_spec_k_dim(s));
    if (s->kv_heads != s->heads)
        buf_printf(b, ", %d key head%s", s->kv_heads, s->kv_heads == 1 ? "" : "s");
    if (s->form == ATTN_FORM_MLA) buf_printf(b, ", latent values of %d", s->v_dim);
}

static void say_ffn(arena *a, buf *b, const kernel_spec *k) {
    const attn_spec *s = &k->core;
    if (s->level != ATTN_LEVEL_BLOCK || s->ffn == ATTN_FFN_NONE) return;
    if (s->ffn == ATTN_FFN_MOE)
        buf_printf(b, "; %d of %d experts, %d wide", s->top_k, s->experts, s->expert_dim);
    else if (s->ffn == ATTN_FFN_EXTERNAL)
        buf_puts(b, "; the caller's ffn");
    else
        buf_printf(b, "; %s, %d wide", field_text(a, k, "ffn"), s->ffn_dim);
}

const char *words_of_kernel(arena *a, const kernel_spec *k) {
    buf b = buf_new(a);
    say_op(a, &b, k);
    say_heads(&b, &k->core);
    say_ffn(a, &b, k);
    return b.data;
}
