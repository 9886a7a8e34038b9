/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* gguf.c - one reader for opening and for walking: opening walks over everything with a place for
 * messages, so that later walks, which go the same way, cannot fail. */
#include "gguf.h"

#include "weight_types.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { KEYS_AT = 24, SHOWN_MAX = 80, NAMES_AT_ONCE = 1024 };

typedef struct cursor {
    const uint8_t *data;
    uint64_t bytes, at;
    char *message; /* may be null */
    size_t message_size;
} cursor;

static bool wrong(const cursor *c, uint64_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Returns false. */
static bool wrong(const cursor *c, uint64_t at, const char *fmt, ...) {
    if (!c->message || !c->message_size) return false;
    const int n = snprintf(c->message, c->message_size, "byte %llu: ", (unsigned long long)at);
    if (n < 0 || (size_t)n >= c->message_size) return false;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->message + n, c->message_size - (size_t)n, fmt, ap);
    va_end(ap);
    return false;
}

/* A name of the file for a message: what is not plain ASCII as '?', cut where it is long. */
static const char *shown(attn_gguf_text text, char out[SHOWN_MAX]) {
    size_t n = 0;
    for (; n < text.length && n < SHOWN_MAX - 1; n++) {
        const char c = text.data[n];
        out[n] = '?';
        if (c >= ' ' && c <= '~') out[n] = c;
    }
    if (n < text.length) memcpy(out + n - 3, "...", 3);
    out[n] = 0;
    return out;
}

/* --- Numbers --- */

static uint64_t little(const uint8_t *b, int bytes) {
    uint64_t v = 0;
    for (int i = bytes; i-- > 0;) v = v << 8 | b[i];
    return v;
}

/* Moves on over so many bytes. */
static bool skip(cursor *c, uint64_t bytes, const char *what) {
    if (bytes > c->bytes - c->at)
        return wrong(c, c->at, "%s takes %llu bytes, and the file has %llu more", what,
                     (unsigned long long)bytes, (unsigned long long)(c->bytes - c->at));
    c->at += bytes;
    return true;
}

static bool read_int(cursor *c, int bytes, const char *what, uint64_t *out) {
    if (!skip(c, (uint64_t)bytes, what)) return false;
    *out = little(c->data + c->at - bytes, bytes);
    return true;
}

static bool read_string(cursor *c, const char *what, attn_gguf_text *out) {
    if (!read_int(c, 8, what, &out->length)) return false;
    out->data = (const char *)c->data + c->at;
    return skip(c, out->length, what);
}

/* --- Values --- */

/* Bytes of an element; 0: strings. */
static int kind_bytes(attn_gguf_kind kind) {
    static const int8_t bytes[ATTN_GGUF_KINDS] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return bytes[kind];
}

static bool read_kind(cursor *c, bool element, const char *name, attn_gguf_kind *out) {
    const uint64_t at = c->at;
    uint64_t kind;
    if (!read_int(c, 4, "the type of a value", &kind)) return false;
    if (kind >= ATTN_GGUF_KINDS || (element && kind == ATTN_GGUF_ARRAY))
        return wrong(c, at, "key %s: %s has type %llu: must be from 0 to %d%s", name,
                     element ? "its array" : "its value", (unsigned long long)kind,
                     ATTN_GGUF_KINDS - 1, element ? ", and not 9, an array" : "");
    *out = (attn_gguf_kind)kind;
    return true;
}

static bool read_elements(cursor *c, const attn_gguf_key *k, const char *name) {
    const int size = kind_bytes(k->kind);
    const uint64_t left = c->bytes - c->at;
    if (k->count > left / (uint64_t)(size ? size : 8))
        return wrong(c, c->at, "key %s: %llu elements do not fit into the %llu bytes that are left",
                     name, (unsigned long long)k->count, (unsigned long long)left);
    if (k->kind == ATTN_GGUF_BOOL)
        for (uint64_t i = 0; i < k->count; i++)
            if (c->data[c->at + i] > 1)
                return wrong(c, c->at + i, "key %s: a bool is %d: must be 0 or 1", name,
                             c->data[c->at + i]);
    if (size) return skip(c, k->count * (uint64_t)size, "a value");
    attn_gguf_text text;
    for (uint64_t i = 0; i < k->count; i++)
        if (!read_string(c, "a string", &text)) return false;
    return true;
}

static bool read_key(cursor *c, attn_gguf_key *k) {
    const uint64_t at = c->at;
    char name[SHOWN_MAX];
    if (!read_string(c, "the name of a key", &k->name)) return false;
    if (!k->name.length || k->name.length > ATTN_GGUF_KEY_MAX)
        return wrong(c, at, "the name of a key has %llu bytes: must be from 1 to %d",
                     (unsigned long long)k->name.length, ATTN_GGUF_KEY_MAX);
    shown(k->name, name);
    if (!read_kind(c, false, name, &k->kind)) return false;
    k->array = k->kind == ATTN_GGUF_ARRAY;
    k->count = 1;
    if (k->array && (!read_kind(c, true, name, &k->kind) ||
                     !read_int(c, 8, "the length of an array", &k->count)))
        return false;
    k->at = c->at;
    return read_elements(c, k, name);
}

/* --- Tensors --- */

/* The types, with commas. */
static const char *type_list(char *out, size_t size) {
    size_t n = 0;
    out[0] = 0;
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT && n < size; type++) {
        const attn_weight_row row = attn_weight_get(type);
        n += (size_t)snprintf(out + n, size - n, "%s%s = %u", type ? ", " : "", row.name, row.gguf);
    }
    return out;
}

static bool read_name(cursor *c, attn_gguf_tensor *t, char out[SHOWN_MAX]) {
    const uint64_t at = c->at;
    attn_gguf_text name;
    if (!read_string(c, "the name of a tensor", &name)) return false;
    if (!name.length || name.length >= ATTN_GGUF_NAME_MAX)
        return wrong(c, at, "the name of a tensor has %llu bytes: must be from 1 to %d",
                     (unsigned long long)name.length, ATTN_GGUF_NAME_MAX - 1);
    if (memchr(name.data, 0, (size_t)name.length))
        return wrong(c, at, "the name of a tensor has a zero byte");
    memset(t->name, 0, sizeof t->name);
    memcpy(t->name, name.data, (size_t)name.length);
    shown(name, out);
    return true;
}

static bool read_dims(cursor *c, attn_gguf_tensor *t, const char *name) {
    const uint64_t at = c->at;
    uint64_t rank, dim, elements = 1;
    if (!read_int(c, 4, "the rank of a tensor", &rank)) return false;
    if (!rank || rank > ATTN_GGUF_RANK_MAX)
        return wrong(c, at, "tensor %s: %llu dimensions: must be from 1 to %d", name,
                     (unsigned long long)rank, ATTN_GGUF_RANK_MAX);
    t->rank = (int32_t)rank;
    memset(t->dim, 0, sizeof t->dim);
    for (int32_t i = t->rank - 1; i >= 0; i--) {
        if (!read_int(c, 8, "a dimension of a tensor", &dim)) return false;
        if (!dim || dim > (uint64_t)INT64_MAX / elements)
            return wrong(c, c->at - 8,
                         "tensor %s: a dimension is %llu: must be from 1 on, and all of them "
                         "together at most 2^63 - 1 elements",
                         name, (unsigned long long)dim);
        elements *= dim;
        t->dim[i] = (int64_t)dim;
    }
    return true;
}

static bool read_type(cursor *c, attn_gguf_tensor *t, const char *name) {
    const uint64_t at = c->at;
    uint64_t number, elements = 1;
    char list[256];
    if (!read_int(c, 4, "the type of a tensor", &number)) return false;
    t->type = attn_weight_of_gguf((uint32_t)number);
    if (t->type < 0)
        return wrong(c, at, "tensor %s has type %llu, which is not known: %s", name,
                     (unsigned long long)number, type_list(list, sizeof list));
    const attn_weight_row row = attn_weight_get(t->type);
    if (t->dim[t->rank - 1] % row.block)
        return wrong(c, at, "tensor %s has rows of %lld: of %s they are multiples of %d", name,
                     (long long)t->dim[t->rank - 1], row.name, row.block);
    for (int32_t i = 0; i < t->rank; i++) elements *= (uint64_t)t->dim[i];
    elements /= (uint64_t)row.block;
    if (elements > UINT64_MAX / (uint64_t)row.bytes)
        return wrong(c, at, "tensor %s takes more than 2^64 bytes", name);
    t->bytes = elements * (uint64_t)row.bytes;
    return true;
}

/* Its entry in the list. *offset: where its data is said to be, from the first tensor's on. */
static bool read_tensor(cursor *c, attn_gguf_tensor *t, uint64_t *offset) {
    char name[SHOWN_MAX];
    t->at = c->at;
    return read_name(c, t, name) && read_dims(c, t, name) && read_type(c, t, name) &&
           read_int(c, 8, "the offset of a tensor", offset);
}

static bool place_tensor(const cursor *c, const attn_gguf *g, attn_gguf_tensor *t,
                         uint64_t offset) {
    const uint64_t room = g->bytes - g->data_at;
    char name[SHOWN_MAX];
    shown((attn_gguf_text){t->name, strlen(t->name)}, name);
    if (offset % g->alignment)
        return wrong(c, c->at - 8, "tensor %s: offset %llu is no multiple of the alignment, %u",
                     name, (unsigned long long)offset, g->alignment);
    if (offset > room || t->bytes > room - offset)
        return wrong(c, c->at - 8,
                     "tensor %s: offset %llu and %llu bytes lead out of the file, which has %llu "
                     "bytes of data",
                     name, (unsigned long long)offset, (unsigned long long)t->bytes,
                     (unsigned long long)room);
    t->data = g->data + g->data_at + offset;
    return true;
}

/* --- Names that are given twice --- */

typedef struct seen_name {
    uint64_t hash;
    attn_gguf_text name;
} seen_name;

static uint64_t hash_text(attn_gguf_text text) { /* FNV-1a */
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint64_t i = 0; i < text.length; i++)
        hash = (hash ^ (unsigned char)text.data[i]) * 0x100000001b3u;
    return hash;
}

static bool next_name(const attn_gguf *g, bool tensors, attn_gguf_key *k, attn_gguf_tensor *t,
                      attn_gguf_text *name, uint64_t *at) {
    if (!tensors) {
        *at = k->next ? k->next : KEYS_AT;
        const bool more = attn_gguf_next_key(g, k);
        *name = k->name;
        return more;
    }
    const bool more = attn_gguf_next_tensor(g, t);
    *name = (attn_gguf_text){t->name, strlen(t->name)};
    *at = t->at;
    return more;
}

/* So many names from index `first` on against all that follow. */
static bool check_some(const cursor *c, const attn_gguf *g, bool tensors, uint64_t first) {
    seen_name seen[NAMES_AT_ONCE];
    int count = 0;
    attn_gguf_key k = {0};
    attn_gguf_tensor t = {0};
    attn_gguf_text name;
    uint64_t at;
    for (uint64_t i = 0; next_name(g, tensors, &k, &t, &name, &at); i++) {
        if (i < first) continue;
        /* A tensor's name lies in its entry, after its length. */
        if (tensors) name.data = (const char *)g->data + at + 8;
        const uint64_t hash = hash_text(name);
        for (int j = 0; j < count; j++) {
            if (seen[j].hash != hash || seen[j].name.length != name.length) continue;
            if (memcmp(seen[j].name.data, name.data, (size_t)name.length)) continue;
            char text[SHOWN_MAX];
            return wrong(c, at, "%s %s is given a second time", tensors ? "tensor" : "key",
                         shown(name, text));
        }
        if (count < NAMES_AT_ONCE) seen[count++] = (seen_name){hash, name};
    }
    return true;
}

static bool check_names(const cursor *c, const attn_gguf *g) {
    for (uint64_t first = 0; first < g->keys; first += NAMES_AT_ONCE)
        if (!check_some(c, g, false, first)) return false;
    for (uint64_t first = 0; first < g->tensors; first += NAMES_AT_ONCE)
        if (!check_some(c, g, true, first)) return false;
    return true;
}

/* --- The file --- */

static bool read_header(cursor *c, attn_gguf *g) {
    uint64_t version;
    if (c->bytes < 4 || memcmp(c->data, "GGUF", 4))
        return wrong(c, 0, "this is no GGUF file: it does not begin with GGUF");
    c->at = 4;
    if (!read_int(c, 4, "the version", &version)) return false;
    if (version && !(version & 0xffff))
        return wrong(c, 4, "the file is big-endian: must be little-endian");
    if (version != 2 && version != 3)
        return wrong(c, 4, "version %llu: must be 2 or 3", (unsigned long long)version);
    g->version = (uint32_t)version;
    return read_int(c, 8, "the number of tensors", &g->tensors) &&
           read_int(c, 8, "the number of keys", &g->keys);
}

static bool check_count(const cursor *c, uint64_t at, uint64_t count, const char *what) {
    if (count <= ATTN_GGUF_COUNT_MAX) return true;
    return wrong(c, at, "%llu %s: must be at most %d", (unsigned long long)count, what,
                 ATTN_GGUF_COUNT_MAX);
}

static bool read_alignment(const cursor *c, attn_gguf *g) {
    static const char name[] = "general.alignment";
    attn_gguf_key k = {0};
    int64_t v;
    g->alignment = 32;
    if (!attn_gguf_find(g, name, &k)) return true;
    if (k.array || k.kind != ATTN_GGUF_U32 || !attn_gguf_int(g, &k, 0, &v) || v < 1 || v & (v - 1))
        return wrong(c, k.at, "key %s: must be a u32, a power of two", name);
    g->alignment = (uint32_t)v;
    return true;
}

static bool read_list(cursor *c, attn_gguf *g) {
    attn_gguf_tensor t;
    uint64_t offset;
    g->tensor_list_at = c->at;
    for (uint64_t i = 0; i < g->tensors; i++)
        if (!read_tensor(c, &t, &offset)) return false;
    const uint64_t rest = c->at % g->alignment;
    g->data_at = c->at;
    if (!g->tensors || !rest) return true;
    if (g->alignment - rest > c->bytes - c->at)
        return wrong(c, c->at, "the file ends before its tensors' data");
    g->data_at += g->alignment - rest;
    return true;
}

static bool check_places(cursor *c, const attn_gguf *g) {
    attn_gguf_tensor t;
    uint64_t offset;
    c->at = g->tensor_list_at;
    for (uint64_t i = 0; i < g->tensors; i++)
        if (!read_tensor(c, &t, &offset) || !place_tensor(c, g, &t, offset)) return false;
    return true;
}

static bool read_all(cursor *c, attn_gguf *g) {
    attn_gguf_key k;
    if (!read_header(c, g) || !check_count(c, 8, g->tensors, "tensors") ||
        !check_count(c, 16, g->keys, "keys"))
        return false;
    for (uint64_t i = 0; i < g->keys; i++)
        if (!read_key(c, &k)) return false;
    return read_alignment(c, g) && read_list(c, g) && check_places(c, g) && check_names(c, g);
}

attn_status attn_gguf_open(attn_gguf *g, const void *data, size_t bytes, char *message,
                           size_t message_size) {
    if (message && message_size) message[0] = 0;
    if (!g || !data) return ATTN_E_ARGUMENT;
    *g = (attn_gguf){.data = data, .bytes = bytes};
    cursor c = {data, bytes, 0, message, message_size};
    return read_all(&c, g) ? ATTN_OK : ATTN_E_WEIGHTS;
}

/* --- Walks --- */

bool attn_gguf_next_key(const attn_gguf *g, attn_gguf_key *k) {
    cursor c = {g->data, g->bytes, k->next ? k->next : KEYS_AT, NULL, 0};
    if (!k->next) k->index = 0;
    if (k->index >= g->keys || !read_key(&c, k)) return false;
    k->index++;
    k->next = c.at;
    return true;
}

bool attn_gguf_find(const attn_gguf *g, const char *name, attn_gguf_key *k) {
    *k = (attn_gguf_key){0};
    while (attn_gguf_next_key(g, k))
        if (attn_gguf_is(k->name, name)) return true;
    return false;
}

bool attn_gguf_next_tensor(const attn_gguf *g, attn_gguf_tensor *t) {
    cursor c = {g->data, g->bytes, t->next ? t->next : g->tensor_list_at, NULL, 0};
    uint64_t offset;
    if (!t->next) t->index = 0;
    if (t->index >= g->tensors || !read_tensor(&c, t, &offset) || !place_tensor(&c, g, t, offset))
        return false;
    t->index++;
    t->next = c.at;
    return true;
}

bool attn_gguf_find_tensor(const attn_gguf *g, const char *name, attn_gguf_tensor *t) {
    *t = (attn_gguf_tensor){0};
    while (attn_gguf_next_tensor(g, t))
        if (!strcmp(t->name, name)) return true;
    return false;
}

static const uint8_t *element(const attn_gguf *g, const attn_gguf_key *k, uint64_t i) {
    return g->data + k->at + i * (uint64_t)kind_bytes(k->kind);
}

bool attn_gguf_int(const attn_gguf *g, const attn_gguf_key *k, uint64_t i, int64_t *out) {
    const int bytes = kind_bytes(k->kind);
    const bool is_signed = k->kind == ATTN_GGUF_I8 || k->kind == ATTN_GGUF_I16 ||
                           k->kind == ATTN_GGUF_I32 || k->kind == ATTN_GGUF_I64;
    const bool is_unsigned = k->kind == ATTN_GGUF_U8 || k->kind == ATTN_GGUF_U16 ||
                             k->kind == ATTN_GGUF_U32 || k->kind == ATTN_GGUF_U64;
    if (i >= k->count || (!is_signed && !is_unsigned)) return false;
    const uint64_t v = little(element(g, k, i), bytes);
    if (is_unsigned) {
        *out = (int64_t)(v & INT64_MAX);
        return v <= INT64_MAX;
    }
    const uint64_t sign = (uint64_t)1 << (8 * bytes - 1);
    const int64_t below = v & sign ? -(int64_t)(sign - 1) - 1 : 0;
    *out = below + (int64_t)(v & (sign - 1));
    return true;
}

bool attn_gguf_number(const attn_gguf *g, const attn_gguf_key *k, uint64_t i, double *out) {
    int64_t whole;
    if (attn_gguf_int(g, k, i, &whole)) {
        *out = (double)whole;
        return true;
    }
    if (i >= k->count) return false;
    const uint64_t bits = k->kind == ATTN_GGUF_F32 || k->kind == ATTN_GGUF_F64
                              ? little(element(g, k, i), kind_bytes(k->kind))
                              : 0;
    if (k->kind == ATTN_GGUF_F64) {
        memcpy(out, &bits, sizeof *out);
        return true;
    }
    if (k->kind != ATTN_GGUF_F32) return false;
    const uint32_t half = (uint32_t)bits;
    float x;
    memcpy(&x, &half, sizeof x);
    *out = (double)x;
    return true;
}

bool attn_gguf_bool(const attn_gguf *g, const attn_gguf_key *k, uint64_t i, bool *out) {
    if (k->kind != ATTN_GGUF_BOOL || i >= k->count) return false;
    *out = *element(g, k, i) != 0;
    return true;
}

bool attn_gguf_next_string(const attn_gguf *g, uint64_t *at, attn_gguf_text *out) {
    cursor c = {g->data, g->bytes, *at, NULL, 0};
    if (*at > g->bytes || !read_string(&c, "a string", out)) return false;
    *at = c.at;
    return true;
}

bool attn_gguf_string(const attn_gguf *g, const attn_gguf_key *k, uint64_t i, attn_gguf_text *out) {
    if (k->kind != ATTN_GGUF_STRING || i >= k->count) return false;
    uint64_t at = k->at;
    for (uint64_t n = 0; n <= i; n++)
        if (!attn_gguf_next_string(g, &at, out)) return false;
    return true;
}

bool attn_gguf_is(attn_gguf_text text, const char *word) {
    const size_t n = strlen(word);
    return text.length == n && !memcmp(text.data, word, n);
}
