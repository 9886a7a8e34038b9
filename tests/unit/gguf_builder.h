/* gguf_builder.h - GGUF files byte by byte, right and wrong ones. */
#ifndef TEST_GGUF_BUILDER_H
#define TEST_GGUF_BUILDER_H

#include "gguf.h"
#include "util.h"
#include <stdlib.h>
#include <string.h>

static inline void put_int(buf *b, uint64_t v, int bytes) {
    for (int i = 0; i < bytes; i++) {
        const char c = (char)(unsigned char)(v >> 8 * i);
        buf_add(b, &c, 1);
    }
}

static inline void put_text(buf *b, const char *text) {
    put_int(b, strlen(text), 8);
    buf_puts(b, text);
}

static inline void put_header(buf *b, uint64_t tensors, uint64_t keys) {
    buf_puts(b, "GGUF");
    put_int(b, 3, 4);
    put_int(b, tensors, 8);
    put_int(b, keys, 8);
}

static inline void put_key(buf *b, const char *name, attn_gguf_kind kind) {
    put_text(b, name);
    put_int(b, kind, 4);
}

static inline void put_u32_key(buf *b, const char *name, uint32_t v) {
    put_key(b, name, ATTN_GGUF_U32);
    put_int(b, v, 4);
}

static inline void put_f32_key(buf *b, const char *name, float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_key(b, name, ATTN_GGUF_F32);
    put_int(b, bits, 4);
}

static inline void put_string_key(buf *b, const char *name, const char *v) {
    put_key(b, name, ATTN_GGUF_STRING);
    put_text(b, v);
}

/* Its entry: one dimension. */
static inline void put_tensor(buf *b, const char *name, uint64_t dim, uint32_t type,
                              uint64_t offset) {
    put_text(b, name);
    put_int(b, 1, 4);
    put_int(b, dim, 8);
    put_int(b, type, 4);
    put_int(b, offset, 8);
}

/* Zeros to the alignment, and `bytes` more: tensors' data. */
static inline void put_data(buf *b, size_t bytes) {
    while (b->len % 32) put_int(b, 0, 1);
    for (size_t i = 0; i < bytes; i++) put_int(b, 0, 1);
}

/* A copy of exactly so many bytes, so that ASan sees every one beyond; to be freed. */
static inline void *exact_copy(const void *data, size_t bytes) {
    void *copy = malloc(bytes ? bytes : 1);
    if (copy && bytes) memcpy(copy, data, bytes);
    return copy;
}

#endif
