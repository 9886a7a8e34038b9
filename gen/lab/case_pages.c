/* case_pages.c - pools of pages to dense keys. */
#include "case_pages.h"
#include "text.h"
#include <stdlib.h>
#include <string.h>

typedef struct pools {
    arena *a;
    st_file *file;
    diag *d;
    const st_tensor *table;
    const int32_t *entry;
    int64_t page, count, keys; /* keys a page, pages of a pool, Lk */
} pools;

static bool bad(const pools *p, const char *name, const char *why) {
    return diag_set(p->d, "%s: %s: %s", p->file->path, name, why);
}

/* A number of the metadata; `otherwise` if it has none; -1 if that is no number. */
static int64_t number(const pools *p, const char *key, int64_t otherwise) {
    const char *text = st_get(p->file, key);
    if (!text) return otherwise;
    char *end;
    const long long n = strtoll(text, &end, 10);
    return *end || !*text || n < 0 ? -1 : n;
}

static st_tensor *find(const pools *p, const char *name) {
    for (int i = 0; i < p->file->tensor_count; i++)
        if (strcmp(p->file->tensor[i].name, name) == 0) return &p->file->tensor[i];
    return NULL;
}

/* [pages, heads, page, ..] becomes [B, heads, Lk, ..]. */
static bool make_dense(const pools *p, const char *name, int rank) {
    st_tensor *t = find(p, name);
    if (!t) return true;
    if (t->rank != rank || t->dim[0] != p->count || t->dim[2] != p->page)
        return bad(p, name,
                   arena_printf(p->a,
                                "its shape must be [pages, heads, page%s] = [%lld, .., %lld%s]",
                                rank == 4 ? ", width" : "", (long long)p->count, (long long)p->page,
                                rank == 4 ? ", .." : ""));
    const int64_t batch = p->table->dim[0], heads = t->dim[1];
    const size_t elements = rank == 4 ? (size_t)t->dim[3] : 1; /* of a row */
    const size_t row = elements * st_dtype_size(t->dtype);
    uint8_t *to = arena_alloc(p->a, (size_t)(batch * heads * p->keys) * row + 1);
    for (int64_t b = 0; b < batch; b++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t k = 0; k < p->keys; k++) {
                const int64_t page = p->entry[b * p->table->dim[1] + k / p->page];
                if (page < 0 || page >= p->count) continue;
                const int64_t from = (page * heads + h) * p->page + k % p->page;
                memcpy(to + (size_t)((b * heads + h) * p->keys + k) * row,
                       t->data + (size_t)from * row, row);
            }
    t->dim[0] = batch, t->dim[2] = p->keys;
    t->count = batch * heads * p->keys * (int64_t)elements;
    t->data = to;
    return true;
}

/* How long K and V are: as said, or as what has a column a key, or all that the pages hold. */
static int64_t key_count(const pools *p) {
    const st_tensor *padding = find(p, "in.key_padding_mask"), *mask = find(p, "in.attn_mask");
    int64_t keys = p->table->dim[1] * p->page;
    if (mask && mask->rank > 0 && mask->dim[mask->rank - 1] > 1) keys = mask->dim[mask->rank - 1];
    if (padding && padding->rank == 2) keys = padding->dim[1];
    return number(p, "kv_len_max", keys);
}

bool case_pages_read(arena *a, st_file *f, case_pages *out, diag *d) {
    *out = (case_pages){0};
    pools p = {.a = a, .file = f, .d = d, .table = st_find(f, "in.pages")};
    if (!p.table) return true;
    const st_tensor *k = find(&p, "in.k");
    if (p.table->rank != 2)
        return bad(&p, "in.pages", "its shape must be [batch, pages of an item]");
    if (!k || k->rank != 4) return bad(&p, "in.k", "its shape must be [pages, heads, page, width]");
    p.entry = st_ints(a, f, p.table, d);
    if (!p.entry) return false;
    p.page = number(&p, "page", 64), p.count = k->dim[0], p.keys = key_count(&p);
    if (p.page < 1) return bad(&p, "page", "must be a number of keys");
    if (p.keys < 0 || (p.keys + p.page - 1) / p.page != p.table->dim[1])
        return bad(&p, "kv_len_max",
                   arena_printf(a, "in.pages has %lld pages of %lld keys an item, got %lld keys",
                                (long long)p.table->dim[1], (long long)p.page, (long long)p.keys));
    if (!make_dense(&p, "in.k", 4) || !make_dense(&p, "in.v", 4)) return false;
    if (!make_dense(&p, "in.k_scale", 3) || !make_dense(&p, "in.v_scale", 3)) return false;
    *out = (case_pages){p.entry, (int32_t)p.count, p.page};
    return true;
}
