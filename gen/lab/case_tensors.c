/* case_tensors.c - see case_reader.h. */
#include "case_reader.h"
#include "text.h"

bool case_bad(reader *r, const char *key, const char *why) {
    return diag_set(r->d, "%s: %s: %s", r->file.path, text_shown(r->a, key), why);
}

const st_tensor *case_need(reader *r, const char *name, int rank) {
    const st_tensor *t = st_find(&r->file, name);
    if (!t)
        case_bad(r, name, "missing");
    else if (t->rank != rank)
        case_bad(r, name, arena_printf(r->a, "its rank must be %d", rank));
    else
        return t;
    return NULL;
}

bool case_has_shape(reader *r, const st_tensor *t, int rank, const int64_t *dim) {
    buf b = buf_new(r->a);
    for (int i = 0; i < rank; i++) buf_printf(&b, "%s%lld", i ? ", " : "", (long long)dim[i]);
    bool ok = t->rank == rank;
    for (int i = 0; ok && i < rank; i++) ok = t->dim[i] == dim[i];
    return ok || case_bad(r, t->name, arena_printf(r->a, "its shape must be [%s]", b.data));
}

bool case_floats(reader *r, const char *name, int rank, const int64_t *dim, const float **out) {
    const st_tensor *t = st_find(&r->file, name);
    if (!t) return true;
    if (!case_has_shape(r, t, rank, dim)) return false;
    *out = st_floats(r->a, &r->file, t, r->d);
    return *out != NULL;
}

bool case_ints(reader *r, const char *name, int rank, const int64_t *dim, const int32_t **out) {
    const st_tensor *t = st_find(&r->file, name);
    if (!t) return true;
    if (!case_has_shape(r, t, rank, dim)) return false;
    *out = st_ints(r->a, &r->file, t, r->d);
    return *out != NULL;
}

bool case_bools(reader *r, const char *name, int rank, const int64_t *dim, const uint8_t **out) {
    const st_tensor *t = st_find(&r->file, name);
    if (!t) return true;
    if (!case_has_shape(r, t, rank, dim)) return false;
    *out = st_bools(r->a, &r->file, t, r->d);
    return *out != NULL;
}

bool case_read_begin(reader *r) {
    const st_tensor *t = st_find(&r->file, "in.q_begin");
    const int64_t dim[] = {r->batch + 1};
    if (!t) return true;
    if (!case_has_shape(r, t, 1, dim)) return false;
    if (!(r->q_begin = st_ints(r->a, &r->file, t, r->d))) return false;
    bool rises = r->q_begin[0] == 0 && r->q_items == 1 && r->q_begin[r->batch] == r->q_rows;
    r->q_len = 0;
    for (int64_t b = 0; b < r->batch; b++) {
        const int64_t rows = (int64_t)r->q_begin[b + 1] - r->q_begin[b];
        rises = rises && rows >= 0;
        if (rows > r->q_len) r->q_len = rows;
    }
    /* A mask may have more rows than any item has. */
    const st_tensor *mask = st_find(&r->file, "in.attn_mask");
    const int64_t shown = mask && mask->rank > 1 ? mask->dim[mask->rank - 2] : 1;
    if (shown > r->q_len && shown > 1) r->q_len = shown;
    return rises ||
           case_bad(r, t->name, "must ascend from 0 to the rows of in.q, [1, heads, rows, D]");
}
