/* decl.c - declarations of side tensors and run-time scalars. */
#include "expr_internal.h"

enum { NAME_MAX_BYTES = 40 };

static const struct {
    const char *name;
    int32_t dim;
} extents[] = {{"batch", ATTN_DIM_BATCH},
               {"heads", ATTN_DIM_HEADS},
               {"kv_heads", ATTN_DIM_KV_HEADS},
               {"q_len", ATTN_DIM_Q_LEN},
               {"kv_len", ATTN_DIM_KV_LEN}};
enum { EXTENT_COUNT = sizeof extents / sizeof *extents };

typedef struct reader {
    arena *a;
    const char *text;
    size_t at;
    expr_error *err;
} reader;

static void skip(reader *r) {
    while (r->text[r->at] == ' ' || r->text[r->at] == '\t') r->at++;
}

static bool take(reader *r, char c) {
    skip(r);
    if (r->text[r->at] != c) return false;
    r->at++;
    return true;
}

static const char *word(reader *r) {
    skip(r);
    size_t start = r->at;
    while (expr_name_char(r->text[r->at])) r->at++;
    return arena_strndup(r->a, r->text + start, r->at - start);
}

/* NAME = i32|f32 */
static bool read_head(reader *r, const char **name, bool *is_float) {
    skip(r);
    size_t start = r->at;
    if (!expr_name_start(r->text[start]))
        return expr_fail(r->err, start, "expected a name, as in slope=f32[heads]");
    *name = word(r);
    if (strlen(*name) > NAME_MAX_BYTES)
        return expr_fail(r->err, start, "name is longer than %d bytes", NAME_MAX_BYTES);
    if (expr_reserved(*name))
        return expr_fail(r->err, start, "'%s' is a name of the language: choose another", *name);
    if (!take(r, '=')) return expr_fail(r->err, r->at, "expected '=' after the name");
    skip(r);
    size_t at = r->at;
    const char *type = word(r);
    *is_float = strcmp(type, "f32") == 0;
    if (*is_float || strcmp(type, "i32") == 0) return true;
    return expr_fail(r->err, at, "expected a type, i32 or f32");
}

static bool read_number(const char *text, int32_t *v) {
    int64_t n = 0;
    for (; *text >= '0' && *text <= '9' && n <= INT32_MAX; text++) n = n * 10 + (*text - '0');
    *v = (int32_t)n;
    return *text == 0 && n >= 1 && n <= INT32_MAX;
}

static bool read_dim(reader *r, int32_t *dim) {
    skip(r);
    size_t at = r->at;
    const char *text = word(r);
    for (int i = 0; i < EXTENT_COUNT; i++) {
        if (strcmp(text, extents[i].name) != 0) continue;
        *dim = extents[i].dim;
        return true;
    }
    if (read_number(text, dim)) return true;
    buf b = buf_new(r->a);
    const char *names[EXTENT_COUNT + 1] = {0};
    for (int i = 0; i < EXTENT_COUNT; i++) names[i] = extents[i].name;
    if (*text) suggest(&b, text, names);
    return expr_fail(r->err, at,
                     "a dimension is a number from 1 to 2147483647, or batch, heads, kv_heads, "
                     "q_len or kv_len%s",
                     b.data);
}

bool expr_parse_tensor(arena *a, const char *text, attn_side_decl *out, expr_error *err) {
    reader r = {a, text, 0, err};
    *out = (attn_side_decl){0};
    if (!read_head(&r, &out->name, &out->is_float)) return false;
    int64_t elements = 1;
    while (take(&r, '[')) {
        size_t at = r.at;
        if (out->rank == ATTN_SIDE_RANK)
            return expr_fail(err, at, "more than %d dimensions", ATTN_SIDE_RANK);
        int32_t *dim = &out->dim[out->rank++];
        if (!read_dim(&r, dim)) return false;
        if (!take(&r, ']')) return expr_fail(err, r.at, "expected ']' after the dimension");
        if (*dim > 0) elements *= *dim;
        if (elements > INT32_MAX)
            return expr_fail(err, at, "side tensor has more than 2147483647 elements");
    }
    skip(&r);
    if (text[r.at]) return expr_fail(err, r.at, "expected '[' or the end of the declaration");
    if (out->rank > 0) return true;
    return expr_fail(err, r.at,
                     "a side tensor needs dimensions, as in %s=f32[heads]; a single "
                     "value is a scalar",
                     out->name);
}

bool expr_parse_scalar(arena *a, const char *text, expr_scalar *out, expr_error *err) {
    reader r = {a, text, 0, err};
    if (!read_head(&r, &out->name, &out->is_float)) return false;
    skip(&r);
    if (text[r.at] == '[')
        return expr_fail(err, r.at, "a scalar has no dimensions: declare it as a side tensor");
    if (text[r.at]) return expr_fail(err, r.at, "expected the end of the declaration");
    return true;
}

const char *expr_decl_canonical(arena *a, const attn_side_decl *t) {
    buf b = buf_new(a);
    buf_printf(&b, "%s=%s", t->name, t->is_float ? "f32" : "i32");
    for (int i = 0; i < t->rank; i++) {
        if (t->dim[i] > 0) buf_printf(&b, "[%d]", (int)t->dim[i]);
        for (int j = 0; j < EXTENT_COUNT; j++)
            if (t->dim[i] == extents[j].dim) buf_printf(&b, "[%s]", extents[j].name);
    }
    return b.data;
}
