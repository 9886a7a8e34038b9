/* case_weights.c - weights of a layer from a case file, each in the type that it is stored in. */
#include "case_reader.h"
#include "quant.h"
#include "text.h"
#include "weight_types.h"

#include <string.h>

static int32_t type_named(const char *name, size_t n) {
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++) {
        const char *own = attn_weight_get(type).name;
        if (strlen(own) == n && !strncmp(own, name, n)) return type;
    }
    return -1;
}

/* The part of `stored`, "NAME=TYPE;..", that is of a tensor; null: none. *n: its length. */
static const char *stored_part(const char *stored, const char *name, size_t *n) {
    for (const char *p = stored; *p; p += *n + (p[*n] == ';')) {
        const size_t m = strlen(name);
        *n = strcspn(p, ";");
        if (*n > m && !strncmp(p, name, m) && p[m] == '=') return p;
    }
    return NULL;
}

/* Blocks of a type, as bytes: the last extent is a row's. */
static bool read_blocks(reader *r, const st_tensor *t, block_tensor *w) {
    const char *stored = st_get(&r->file, "stored"), *name = t->name + 2;
    size_t n = 0;
    const char *part = stored ? stored_part(stored, name, &n) : NULL;
    if (!part)
        return case_bad(r, t->name, "is U8: `stored` must say NAME=TYPE of it, a type of blocks");
    const size_t m = strlen(name) + 1;
    w->type = type_named(part + m, n - m);
    if (w->type < 0 || attn_weight_is_float(w->type))
        return case_bad(r, "stored",
                        arena_printf(r->a, "%s is no type of blocks",
                                     text_shown(r->a, arena_strndup(r->a, part, n))));
    const attn_weight_row row = attn_weight_get(w->type);
    const int64_t bytes = t->dim[t->rank - 1];
    if (bytes % row.bytes)
        return case_bad(r, t->name,
                        arena_printf(r->a, "its rows of %lld bytes are no blocks of %s, of %d",
                                     (long long)bytes, row.name, row.bytes));
    w->dim[t->rank - 1] = bytes / row.bytes * row.block;
    const int64_t count = t->count / row.bytes * row.block;
    float *values = arena_alloc(r->a, (size_t)count * sizeof *values + 1);
    attn_dequantise(t->data, w->type, count, values);
    w->data = values;
    w->stored = t->data;
    return true;
}

/* Floats as they are; those of 16 bits are given as such, too. */
static bool read_floats(reader *r, const st_tensor *t, block_tensor *w) {
    w->data = st_floats(r->a, &r->file, t, r->d);
    if (!w->data || (t->dtype != ST_BF16 && t->dtype != ST_F16)) return w->data != NULL;
    w->type = t->dtype == ST_BF16 ? ATTN_WEIGHT_BF16 : ATTN_WEIGHT_F16;
    const size_t bytes = (size_t)t->count * 2; /* a tensor's own may stand at any address */
    w->stored = memcpy(arena_alloc(r->a, bytes + 1), t->data, bytes);
    return true;
}

static bool read_weight(reader *r, const st_tensor *t, block_tensor *w) {
    if (t->rank < 1 || t->rank > 4) return case_bad(r, t->name, "its rank must be 1 to 4");
    w->rank = t->rank;
    for (int k = 0; k < t->rank; k++) w->dim[k] = t->dim[k];
    return t->dtype == ST_U8 ? read_blocks(r, t, w) : read_floats(r, t, w);
}

bool case_weights(reader *r, block_case *c) {
    block_tensor *weight = arena_alloc(r->a, (size_t)(r->file.tensor_count + 1) * sizeof *weight);
    for (int i = 0; i < r->file.tensor_count; i++) {
        const st_tensor *t = &r->file.tensor[i];
        if (strncmp(t->name, "w.", 2) != 0) continue;
        block_tensor *w = &weight[c->weight_count++];
        *w = (block_tensor){.name = block_weight_name(r->a, t->name)};
        for (int j = 0; j < c->weight_count - 1; j++)
            if (strcmp(weight[j].name, w->name) == 0)
                return case_bad(r, t->name, "another tensor is the same weight");
        if (!read_weight(r, t, w)) return false;
    }
    c->weight = weight;
    return true;
}
