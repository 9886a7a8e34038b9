/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* safetensors.c - one reader for opening and for walking: opening walks over everything with a
 * place for messages, so that later walks, which go the same way, cannot fail. */
#include "safetensors.h"

#include "weight_types.h"
#include <stdio.h>
#include <string.h>

enum { LENGTH_BYTES = 8 };

/* Bytes of a dtype's elements, those that are no weights too; 0: not known, and not checked. */
static int dtype_bytes(attn_text dtype) {
    static const struct {
        const char *name;
        int bytes;
    } known[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
                 {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
                 {"U32", 4},  {"F32", 4}, {"F64", 8}, {"I64", 8},     {"U64", 8}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (attn_text_is(dtype, known[i].name)) return known[i].bytes;
    return 0;
}

static int32_t type_of(attn_text dtype) {
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++)
        if (*attn_weight_get(type).safetensors &&
            attn_text_is(dtype, attn_weight_get(type).safetensors))
            return type;
    return -1;
}

/* "shape": [2, 3] */
static bool read_shape(attn_json *j, attn_safetensor *t) {
    bool first = true, ok = true;
    uint64_t elements = 1;
    t->rank = 0;
    if (!attn_json_take(j, '[')) return false;
    while (attn_json_more(j, ']', &first, &ok)) {
        const size_t at = j->at;
        int64_t dim;
        if (!attn_json_whole(j, &dim)) return false;
        if (t->rank == ATTN_SAFETENSORS_RANK_MAX)
            return attn_json_wrong(j, at, "a shape of more than %d dimensions",
                                   ATTN_SAFETENSORS_RANK_MAX);
        if (dim && elements > (uint64_t)INT64_MAX / (uint64_t)dim)
            return attn_json_wrong(j, at, "a shape of more than 2^63 - 1 elements");
        elements *= (uint64_t)dim;
        t->dim[t->rank++] = dim;
    }
    return ok;
}

static bool read_offsets(const attn_safetensors *s, attn_json *j, attn_safetensor *t) {
    int64_t from, to;
    (void)attn_json_peek(j);
    const size_t at = j->at;
    if (!attn_json_take(j, '[') || !attn_json_whole(j, &from) || !attn_json_take(j, ',') ||
        !attn_json_whole(j, &to) || !attn_json_take(j, ']'))
        return false;
    if (from > to || (uint64_t)to > s->bytes)
        return attn_json_wrong(j, at,
                               "data_offsets [%lld, %lld] are not within the file's %llu bytes of "
                               "data",
                               (long long)from, (long long)to, (unsigned long long)s->bytes);
    t->data = s->data + from;
    t->bytes = (uint64_t)(to - from);
    return true;
}

static bool check_size(const attn_json *j, const attn_safetensor *t, size_t at) {
    const uint64_t size = (uint64_t)dtype_bytes(t->dtype);
    uint64_t elements = 1;
    char name[ATTN_SHOWN_MAX];
    for (int32_t i = 0; i < t->rank; i++) elements *= (uint64_t)t->dim[i];
    if (!size || (elements <= UINT64_MAX / size && elements * size == t->bytes)) return true;
    return attn_json_wrong(j, at, "tensor %s: %llu elements of %llu bytes are not %llu bytes",
                           attn_text_shown(t->name, name), (unsigned long long)elements,
                           (unsigned long long)size, (unsigned long long)t->bytes);
}

/* {"dtype": .., "shape": .., "data_offsets": ..} */
static bool read_tensor(const attn_safetensors *s, attn_json *j, attn_safetensor *t) {
    enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4, ALL = 7 };
    bool first = true, ok = true;
    unsigned seen = 0;
    char name[ATTN_SHOWN_MAX];
    (void)attn_json_peek(j);
    const size_t at = j->at;
    if (!attn_json_take(j, '{')) return false;
    while (attn_json_more(j, '}', &first, &ok)) {
        attn_text key;
        if (!attn_json_name(j, &key)) return false;
        const unsigned what = attn_text_is(key, "dtype")          ? DTYPE
                              : attn_text_is(key, "shape")        ? SHAPE
                              : attn_text_is(key, "data_offsets") ? OFFSETS
                                                                  : 0;
        if (seen & what)
            return attn_json_wrong(j, j->at, "tensor %s: %.*s is given twice",
                                   attn_text_shown(t->name, name), (int)key.length, key.data);
        seen |= what;
        ok = what == DTYPE     ? attn_json_string(j, &t->dtype)
             : what == SHAPE   ? read_shape(j, t)
             : what == OFFSETS ? read_offsets(s, j, t)
                               : attn_json_skip(j);
        if (!ok) return false;
    }
    if (!ok) return false;
    if (seen != ALL)
        return attn_json_wrong(j, at, "tensor %s: must have dtype, shape and data_offsets",
                               attn_text_shown(t->name, name));
    t->type = type_of(t->dtype);
    return check_size(j, t, at);
}

/* The next member that is a tensor. */
static bool next(const attn_safetensors *s, attn_json *j, attn_safetensor *t, bool *ok) {
    bool first = t->next == 0;
    j->at = t->next;
    *ok = true;
    if (first && !attn_json_take(j, '{')) {
        *ok = false;
        return false;
    }
    while (attn_json_more(j, '}', &first, ok)) {
        *ok = attn_json_name(j, &t->name);
        if (!*ok) return false;
        const bool metadata = attn_text_is(t->name, "__metadata__");
        *ok = metadata ? attn_json_skip(j) : read_tensor(s, j, t);
        t->next = j->at;
        if (!*ok || !metadata) return *ok;
    }
    t->next = j->at;
    return false;
}

attn_status attn_safetensors_open(attn_safetensors *s, const void *data, size_t bytes,
                                  char *message, size_t message_size) {
    const uint8_t *b = data;
    uint64_t length = 0;
    attn_json j = {NULL, bytes, 0, message, message_size};
    bool ok;
    if (message && message_size) *message = 0;
    if (!s || !data) return ATTN_E_ARGUMENT;
    *s = (attn_safetensors){0};
    for (int i = LENGTH_BYTES; i-- > 0 && bytes >= LENGTH_BYTES;) length = length << 8 | b[i];
    if (bytes < LENGTH_BYTES || length > bytes - LENGTH_BYTES ||
        length > ATTN_SAFETENSORS_HEADER_MAX) {
        attn_json_wrong(&j, 0,
                        "not a safetensors file: the header's length, %llu, must be at most %d, "
                        "and lie in the file's %zu bytes",
                        (unsigned long long)length, ATTN_SAFETENSORS_HEADER_MAX, bytes);
        return ATTN_E_WEIGHTS;
    }
    s->header = (const char *)b + LENGTH_BYTES;
    s->header_bytes = (size_t)length;
    s->data = b + LENGTH_BYTES + length;
    s->bytes = bytes - LENGTH_BYTES - length;
    j.text = s->header;
    j.bytes = s->header_bytes;
    attn_safetensor t = {0};
    while (next(s, &j, &t, &ok)) continue;
    return ok && attn_json_end(&j) ? ATTN_OK : ATTN_E_WEIGHTS;
}

bool attn_safetensors_next(const attn_safetensors *s, attn_safetensor *t) {
    attn_json j = {s->header, s->header_bytes, 0, NULL, 0};
    bool ok;
    return (t->next < s->header_bytes || !t->next) && next(s, &j, t, &ok);
}

/* --- The index --- */

/* A file of the same folder: no path, no hidden file. */
static bool is_plain(attn_text file) {
    static const char end[] = ".safetensors";
    const size_t n = sizeof end - 1;
    if (file.length <= n || file.length > 255 || file.data[0] == '.') return false;
    for (size_t i = 0; i < file.length; i++)
        if (strchr("/\\:", file.data[i])) return false; /* and 0 */
    return !memcmp(file.data + file.length - n, end, n);
}

/* To the first entry of weight_map. */
static bool open_index(attn_safetensors_index *x) {
    attn_json *j = &x->json;
    bool first = true, ok = true;
    if (!attn_json_take(j, '{')) return false;
    while (attn_json_more(j, '}', &first, &ok)) {
        attn_text key;
        if (!attn_json_name(j, &key)) return false;
        if (attn_text_is(key, "weight_map")) {
            x->first = x->open = true;
            return attn_json_take(j, '{');
        }
        if (!attn_json_skip(j)) return false;
    }
    return ok && attn_json_wrong(j, 0, "not an index: it has no weight_map");
}

/* What follows the weight_map. */
static bool close_index(attn_json *j) {
    bool first = false, ok = true;
    attn_text key;
    while (attn_json_more(j, '}', &first, &ok))
        if (!attn_json_name(j, &key) || !attn_json_skip(j)) return false;
    return ok && attn_json_end(j);
}

bool attn_safetensors_index_next(attn_safetensors_index *x, bool *ok) {
    attn_json *j = &x->json;
    char shown[ATTN_SHOWN_MAX];
    *ok = x->open || open_index(x);
    if (!*ok) return false;
    if (!attn_json_more(j, '}', &x->first, ok)) {
        *ok = *ok && close_index(j);
        return false;
    }
    const size_t at = j->at;
    *ok = attn_json_name(j, &x->name) && attn_json_string(j, &x->file);
    if (*ok && !is_plain(x->file))
        *ok = attn_json_wrong(j, at,
                              "weight_map names '%s': must be a file of the same folder, "
                              "NAME.safetensors without / \\ : and a leading dot",
                              attn_text_shown(x->file, shown));
    return *ok;
}
