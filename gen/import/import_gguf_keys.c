/* import_gguf_keys.c - keys of a GGUF file, and members of the config.json that it becomes. */
#include "import_gguf_internal.h"
#include "text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool gguf_fail(gguf *x, const char *key, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return diag_set(x->d, "%s: %s: %s", x->path, text_shown(x->a, key), text);
}

const char *gguf_full_name(const gguf *x, const char *suffix) {
    return arena_printf(x->a, "%s.%s", x->arch, suffix);
}

bool gguf_find(gguf *x, const char *suffix, attn_gguf_key *k) {
    buf_printf(&x->used, "\n%s\n", suffix);
    return attn_gguf_find(&x->file, gguf_full_name(x, suffix), k);
}

const char *gguf_number_text(gguf *x, const char *suffix, const attn_gguf_key *k) {
    const char *name = gguf_full_name(x, suffix);
    double v, other;
    if (!k->count || !attn_gguf_number(&x->file, k, 0, &v) || !isfinite(v)) {
        gguf_fail(x, name, "must be a finite number");
        return NULL;
    }
    for (uint64_t i = 1; i < k->count; i++)
        if (!attn_gguf_number(&x->file, k, i, &other) || other != v) {
            gguf_fail(x, name, "differs from layer to layer, which is not understood");
            return NULL;
        }
    char text[32];
    if (fabs(v) < 9e15 && v == floor(v)) return arena_printf(x->a, "%.0f", v);
    /* An f32, in the fewest digits that mean it: 1e-05. */
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if ((k->kind == ATTN_GGUF_F32 ? (double)strtof(text, NULL) : strtod(text, NULL)) == v)
            break;
    }
    return arena_strdup(x->a, text);
}

bool gguf_read_int(gguf *x, const char *suffix, int32_t missing, int32_t *out) {
    attn_gguf_key k;
    int64_t v;
    *out = missing;
    if (!gguf_find(x, suffix, &k)) {
        if (missing >= 0) return true;
        return gguf_fail(x, gguf_full_name(x, suffix), "is missing");
    }
    const char *text = gguf_number_text(x, suffix, &k);
    if (!text) return false;
    if (!attn_gguf_int(&x->file, &k, 0, &v) || v < 0 || v > INT32_MAX)
        return gguf_fail(x, gguf_full_name(x, suffix), "must be an integer from 0 to %d, got %s",
                         INT32_MAX, text);
    *out = (int32_t)v;
    return true;
}

void gguf_put(gguf *x, const char *key, const char *name, const char *text) {
    buf_printf(&x->config, ",\n\"%s\": %s", key, text);
    buf_printf(&x->names, ",\n\"%s\": \"%s\"", key, name);
}

void gguf_put_from(gguf *x, const char *key, const char *suffix, const char *text) {
    gguf_put(x, key, gguf_full_name(x, suffix), text);
}

const char *gguf_row_text(gguf *x, const json_val *v) {
    if (v->kind == JSON_STRING) return arena_printf(x->a, "\"%s\"", v->string);
    if (v->kind == JSON_BOOL) return v->boolean ? "true" : "false";
    if (v->kind == JSON_NUMBER) return arena_printf(x->a, "%.17g", v->number);
    return "null";
}
