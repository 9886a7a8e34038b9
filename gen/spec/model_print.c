/* model_print.c - a model as a model file. */
#include "model.h"
#include "text.h"

#include <string.h>

static bool is_printed(const attn_field *f, const attn_spec *s) {
    if (!attn_field_is_member(f) || !attn_field_applies(f, s, NULL)) return false;
    if (strcmp(f->name, "key") == 0) return s->form == ATTN_FORM_MLA;
    return attn_field_is_set(f, s);
}

static void put_field(buf *b, const attn_field *f, const attn_spec *s) {
    const bool word = f->kind == ATTN_KIND_ENUM || f->kind == ATTN_KIND_TYPES;
    const char *quote = word ? "\"" : "";
    char text[ATTN_FIELD_TEXT_MAX];
    attn_field_text(f, s, text);
    buf_printf(b, "%s = %s%s%s", f->name, quote, text, quote);
}

static void put_expressions(arena *a, buf *b, const kernel_spec *k) {
    for (int i = 0; i < k->tensor_count; i++) {
        buf_puts(b, i ? ", " : "    tensor = { ");
        text_lua(b, expr_decl_canonical(a, &k->tensors[i]));
        if (i == k->tensor_count - 1) buf_puts(b, " },\n");
    }
    for (int i = 0; i < k->scalar_count; i++) {
        buf_puts(b, i ? ", " : "    scalar = { ");
        buf_printf(b, "\"%s=%s\"", k->scalars[i].name, k->scalars[i].is_float ? "f32" : "i32");
        if (i == k->scalar_count - 1) buf_puts(b, " },\n");
    }
    const char *const names[] = {"score", "mask"};
    const char *const texts[] = {k->score, k->mask};
    for (int i = 0; i < 2; i++) {
        if (!texts[i]) continue;
        buf_printf(b, "    %s = ", names[i]);
        text_lua(b, texts[i]);
        buf_puts(b, ",\n");
    }
}

static void put_kernel(arena *a, buf *b, int number, const kernel_spec *k) {
    buf_printf(b, "-- %s\nkernel[%d] = {\n", k->name, number);
    size_t line = b->len;
    for (int i = 0; i < attn_field_count; i++) {
        const attn_field *f = &attn_fields[i];
        if (!is_printed(f, &k->core)) continue;
        buf_puts(b, b->len == line ? "    " : " ");
        put_field(b, f, &k->core);
        buf_puts(b, ",");
        if (b->len - line <= 80) continue;
        buf_puts(b, "\n");
        line = b->len;
    }
    if (b->len != line) buf_puts(b, "\n");
    put_expressions(a, b, k);
    buf_puts(b, "}\n");
}

/* What stands around the layers: fields that are not at their defaults. */
static void put_whole(arena *a, buf *b, const attn_model_spec *s) {
    attn_model_spec usual;
    whole_begin(&usual);
    buf_puts(b, "    model = {");
    size_t line = b->len;
    for (int i = 0; i < whole_field_count; i++) {
        const whole_field *f = &whole_fields[i];
        if (whole_get(f, s) == whole_get(f, &usual)) continue;
        const char *quote = f->kind == WHOLE_ENUM ? "\"" : "";
        if (b->len - line > 80 || b->data[b->len - 1] == '{') {
            buf_puts(b, "\n       ");
            line = b->len;
        }
        buf_printf(b, " %s = %s%s%s,", f->name, quote, whole_text(a, f, s), quote);
    }
    buf_puts(b, "\n    },\n");
}

const char *model_to_lua(arena *a, const model *m) {
    buf b = buf_new(a);
    buf_puts(&b, "local kernel = {}\n");
    for (int i = 0; i < m->kernel_count; i++)
        if (m->kernels[i].outer) put_kernel(a, &b, i + 1, &m->kernels[i]);
    buf_puts(&b, "\nreturn {\n    name = ");
    text_lua(&b, m->name);
    buf_puts(&b, ",\n");
    if (m->is_whole) put_whole(a, &b, &m->whole);
    buf_puts(&b, "    layers = {");
    for (int i = 0; i < m->layer_count; i++)
        buf_printf(&b, "%skernel[%d],", i % 6 ? " " : "\n        ", m->layer_kernel[i] + 1);
    buf_puts(&b, "\n    },\n}\n");
    return b.data;
}
