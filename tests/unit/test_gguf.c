/* The reader of GGUF files: what the package gguf wrote (tests/import/make_gguf_cases.py), and
 * files that are wrong somewhere. */
#include "gguf.h"
#include "files.h"
#include "gguf_builder.h"
#include "quant.h"
#include "weight_types.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static attn_gguf_key key(const attn_gguf *g, const char *name) {
    attn_gguf_key k;
    cr_assert(attn_gguf_find(g, name, &k), "no %s", name);
    return k;
}

static void check_int(const attn_gguf *g, const char *name, int64_t want) {
    const attn_gguf_key k = key(g, name);
    int64_t got = 7;
    double number = 7;
    cr_assert(attn_gguf_int(g, &k, 0, &got), "%s", name);
    cr_assert_eq(got, want, "%s is %lld", name, (long long)got);
    cr_assert(attn_gguf_number(g, &k, 0, &number) && number == (double)want);
    cr_assert_not(attn_gguf_int(g, &k, 1, &got));
}

/* Reads everything that there is, and returns how many keys and tensors that was. */
static uint64_t read_all(const attn_gguf *g) {
    uint64_t count = 0;
    for (attn_gguf_key k = {0}; attn_gguf_next_key(g, &k); count++) {
        attn_gguf_text text;
        int64_t whole;
        double number;
        bool yes;
        uint64_t at = k.at;
        for (uint64_t i = 0; i < k.count; i++) {
            const bool some = attn_gguf_bool(g, &k, i, &yes) || attn_gguf_int(g, &k, i, &whole) ||
                              attn_gguf_number(g, &k, i, &number) || k.kind == ATTN_GGUF_U64 ||
                              attn_gguf_next_string(g, &at, &text);
            cr_assert(some);
        }
    }
    for (attn_gguf_tensor t = {0}; attn_gguf_next_tensor(g, &t); count++) {
        int64_t n = 1;
        for (int i = 0; i < t.rank; i++) n *= t.dim[i];
        float *x = malloc((size_t)n * sizeof *x);
        attn_dequantise(t.data, t.type, n, x);
        free(x);
    }
    return count;
}

static const char *const kinds_of_ints[] = {"u8", "i8", "u16", "i16", "u32", "i32", "i64"};

Test(gguf, values_of_every_kind) {
    static const int64_t ints[] = {255, -128, 65535, -32768, UINT32_MAX, INT32_MIN, INT64_MIN};
    arena *a = arena_new();
    diag d = {0};
    size_t size;
    char message[200];
    const char *data = read_file(a, "tests/import/gguf/types.gguf", 1 << 20, &size, &d);
    cr_assert(data, "%s", d.text);
    attn_gguf g;
    cr_assert_eq(attn_gguf_open(&g, data, size, message, sizeof message), ATTN_OK, "%s", message);
    cr_assert_eq(g.version, 3);
    cr_assert_eq(g.alignment, 64);
    cr_assert_eq(g.data_at % 64, 0);
    cr_assert_eq(read_all(&g), g.keys + g.tensors);
    for (int i = 0; i < 7; i++) check_int(&g, kinds_of_ints[i], ints[i]);
    int64_t whole;
    double number;
    bool yes;
    attn_gguf_text text;
    attn_gguf_key k = key(&g, "u64");
    cr_assert_not(attn_gguf_int(&g, &k, 0, &whole)); /* 2^64 - 1 */
    k = key(&g, "f32");
    cr_assert(attn_gguf_number(&g, &k, 0, &number) && number == (double)0.1f);
    cr_assert_not(attn_gguf_int(&g, &k, 0, &whole));
    k = key(&g, "f64");
    cr_assert(attn_gguf_number(&g, &k, 0, &number) && number == 0.1);
    k = key(&g, "bool");
    cr_assert(attn_gguf_bool(&g, &k, 0, &yes) && yes && !attn_gguf_number(&g, &k, 0, &number));
    k = key(&g, "string");
    cr_assert(attn_gguf_string(&g, &k, 0, &text) && attn_gguf_is(text, "caf\303\251"));
    k = key(&g, "strings");
    cr_assert(k.array && k.count == 3 && k.kind == ATTN_GGUF_STRING);
    cr_assert(attn_gguf_string(&g, &k, 1, &text) && attn_gguf_is(text, ""));
    cr_assert(attn_gguf_string(&g, &k, 2, &text) && attn_gguf_is(text, "ccc"));
    cr_assert_not(attn_gguf_string(&g, &k, 3, &text));
    k = key(&g, "ints");
    cr_assert(attn_gguf_int(&g, &k, 1, &whole) && whole == -2);
    k = key(&g, "longs");
    cr_assert(attn_gguf_int(&g, &k, 0, &whole) && whole == (int64_t)1 << 40);
    k = key(&g, "floats");
    cr_assert(attn_gguf_number(&g, &k, 1, &number) && number == -1.5);
    k = key(&g, "bools");
    cr_assert(attn_gguf_bool(&g, &k, 1, &yes) && !yes);
    cr_assert_not(attn_gguf_find(&g, "bool ", &k));
    arena_free(a);
}

/* Each has bytes that count up from 1; f32 has floats. */
Test(gguf, tensors_of_every_type) {
    arena *a = arena_new();
    diag d = {0};
    size_t size;
    const char *data = read_file(a, "tests/import/gguf/types.gguf", 1 << 20, &size, &d);
    attn_gguf g;
    cr_assert(data && attn_gguf_open(&g, data, size, NULL, 0) == ATTN_OK);
    cr_assert_eq(g.tensors, ATTN_WEIGHT_COUNT);
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++) {
        const attn_weight_row row = attn_weight_get(type);
        attn_gguf_tensor t;
        cr_assert(attn_gguf_find_tensor(&g, arena_printf(a, "t.%s", row.name), &t), "%s", row.name);
        cr_assert_eq(t.type, type);
        const bool long_rows = row.block == 256;
        cr_assert_eq(t.rank, long_rows ? 2 : 3);
        cr_assert_eq(t.dim[0], long_rows ? 2 : 3);
        cr_assert_eq(t.dim[1], long_rows ? 256 : 2);
        cr_assert(long_rows || t.dim[2] == 32);
        cr_assert_eq(t.bytes, (uint64_t)attn_weight_bytes(type, long_rows ? 512 : 192));
        const uint8_t *bytes = t.data;
        float last;
        memcpy(&last, bytes + 4 * 191, sizeof last);
        if (type == ATTN_WEIGHT_F32)
            cr_assert_eq(last, 192);
        else
            for (uint64_t i = 0; i < t.bytes; i++) cr_assert_eq(bytes[i], (uint8_t)(i + 1));
    }
    attn_gguf_tensor t;
    cr_assert_not(attn_gguf_find_tensor(&g, "t.", &t));
    arena_free(a);
}

/* --- Files that are wrong --- */

static void check_refused(const void *data, size_t size, const char *what) {
    void *copy = exact_copy(data, size);
    char message[400] = "", small[12];
    attn_gguf g;
    cr_expect_eq(attn_gguf_open(&g, copy, size, message, sizeof message), ATTN_E_WEIGHTS, "%s",
                 what);
    cr_expect(!strncmp(message, "byte ", 5) && strstr(message, what), "%s, not: %s", message, what);
    cr_expect_eq(attn_gguf_open(&g, copy, size, small, sizeof small), ATTN_E_WEIGHTS);
    cr_expect(strlen(small) < sizeof small);
    cr_expect_eq(attn_gguf_open(&g, copy, size, NULL, 0), ATTN_E_WEIGHTS);
    free(copy);
}

static void check_built(const buf *b, const char *what) {
    check_refused(b->data, b->len, what);
}

Test(gguf, headers) {
    arena *a = arena_new();
    attn_gguf g;
    cr_assert_eq(attn_gguf_open(NULL, "", 0, NULL, 0), ATTN_E_ARGUMENT);
    cr_assert_eq(attn_gguf_open(&g, NULL, 0, NULL, 0), ATTN_E_ARGUMENT);
    check_refused("", 0, "byte 0: this is no GGUF file");
    check_refused("GGU", 3, "byte 0: this is no GGUF file");
    check_refused("GGML\3\0\0\0", 8, "byte 0: this is no GGUF file");
    check_refused("GGUF\3\0\0", 7, "byte 4: the version takes 4 bytes, and the file has 3 more");
    check_refused("GGUF\0\0\0\3", 8, "byte 4: the file is big-endian");
    check_refused("GGUF\1\0\0\0", 8, "byte 4: version 1: must be 2 or 3");
    check_refused("GGUF\0\0\0\0", 8, "byte 4: version 0: must be 2 or 3");
    buf b = buf_new(a);
    put_header(&b, 0, 65537);
    check_built(&b, "byte 16: 65537 keys: must be at most 65536");
    b = buf_new(a);
    put_header(&b, UINT64_MAX, 0);
    check_built(&b, "byte 8: 18446744073709551615 tensors: must be at most 65536");
    b = buf_new(a);
    put_header(&b, 0, 1);
    check_built(&b, "byte 24: the name of a key takes 8 bytes, and the file has 0 more");
    b = buf_new(a);
    put_header(&b, 0, 0);
    cr_assert_eq(attn_gguf_open(&g, b.data, b.len, NULL, 0), ATTN_OK);
    b.data[4] = 2;
    cr_assert_eq(attn_gguf_open(&g, b.data, b.len, NULL, 0), ATTN_OK);
    arena_free(a);
}

Test(gguf, keys_that_are_wrong) {
    arena *a = arena_new();
    buf b = buf_new(a);
    put_header(&b, 0, 1);
    put_int(&b, UINT64_MAX, 8);
    check_built(&b, "the name of a key takes 18446744073709551615 bytes, and the file has 0 more");
    b = buf_new(a);
    put_header(&b, 0, 1);
    put_u32_key(&b, "", 0);
    check_built(&b, "byte 24: the name of a key has 0 bytes: must be from 1 to 65535");
    b = buf_new(a);
    put_header(&b, 0, 1);
    put_u32_key(&b, arena_printf(a, "%065536d", 0), 0);
    check_built(&b, "the name of a key has 65536 bytes");
    b = buf_new(a);
    put_header(&b, 0, 1);
    put_key(&b, "a\033b", (attn_gguf_kind)13);
    put_int(&b, 0, 8);
    check_built(&b, "byte 35: key a?b: its value has type 13: must be from 0 to 12");
    b = buf_new(a);
    put_header(&b, 0, 1);
    put_key(&b, "a", ATTN_GGUF_ARRAY);
    put_int(&b, ATTN_GGUF_ARRAY, 4);
    put_int(&b, 1, 8);
    check_built(&b, "key a: its array has type 9: must be from 0 to 12, and not 9, an array");
    static const attn_gguf_kind kinds[] = {ATTN_GGUF_U64, ATTN_GGUF_STRING, ATTN_GGUF_U8};
    static const uint64_t counts[] = {(uint64_t)1 << 61, (uint64_t)1 << 61, UINT64_MAX};
    for (int i = 0; i < 3; i++) { /* counts times sizes wrap to 0, or to little */
        b = buf_new(a);
        put_header(&b, 0, 1);
        put_key(&b, "a", ATTN_GGUF_ARRAY);
        put_int(&b, kinds[i], 4);
        put_int(&b, counts[i], 8);
        put_int(&b, 0, 8);
        check_built(&b, "elements do not fit into the 8 bytes that are left");
    }
    b = buf_new(a);
    put_header(&b, 0, 1);
    put_key(&b, "a", ATTN_GGUF_BOOL);
    put_int(&b, 2, 1);
    check_built(&b, "byte 37: key a: a bool is 2: must be 0 or 1");
    b = buf_new(a);
    put_header(&b, 0, 3);
    for (int i = 0; i < 3; i++) put_u32_key(&b, i == 1 ? "b" : "a", 0);
    check_built(&b, "byte 58: key a is given a second time");
    b = buf_new(a);
    put_header(&b, 0, 1);
    put_u32_key(&b, "general.alignment", 48);
    check_built(&b, "key general.alignment: must be a u32, a power of two");
    b = buf_new(a);
    put_header(&b, 0, 1);
    put_u32_key(&b, "general.alignment", 0);
    check_built(&b, "key general.alignment: must be a u32, a power of two");
    b = buf_new(a);
    put_header(&b, 0, 1);
    put_string_key(&b, "general.alignment", "32");
    check_built(&b, "key general.alignment: must be a u32, a power of two");
    arena_free(a);
}

/* A file of one tensor, the dimension, type or offset of which is wrong. */
static void check_tensor(const char *name, uint64_t dim, uint32_t type, uint64_t offset,
                         size_t bytes, const char *what) {
    arena *a = arena_new();
    buf b = buf_new(a);
    put_header(&b, 1, 0);
    put_tensor(&b, name, dim, type, offset);
    put_data(&b, bytes);
    check_built(&b, what);
    arena_free(a);
}

Test(gguf, tensors_that_are_wrong) {
    arena *a = arena_new();
    check_tensor("", 1, 0, 0, 4, "byte 24: the name of a tensor has 0 bytes: must be from 1 to 63");
    check_tensor(arena_printf(a, "%064d", 0), 1, 0, 0, 4, "the name of a tensor has 64 bytes");
    check_tensor("t", 0, 0, 0, 4, "byte 37: tensor t: a dimension is 0: must be from 1 on");
    check_tensor("t", (uint64_t)1 << 63, 0, 0, 4, "tensor t: a dimension is 9223372036854775808");
    check_tensor("t", INT64_MAX, 0, 0, 4, "tensor t takes more than 2^64 bytes");
    check_tensor(
        "t", 1, 10, 0, 4,
        "byte 45: tensor t has type 10, which is not known: f32 = 0, bf16 = 30, f16 = 1, ");
    check_tensor("t", 1, UINT32_MAX, 0, 4, "tensor t has type 4294967295");
    check_tensor("t", 48, 2, 0, 40, "tensor t has rows of 48: of q4_0 they are multiples of 32");
    check_tensor("t", 1, 0, 1, 4, "tensor t: offset 1 is no multiple of the alignment, 32");
    check_tensor("t", 1, 0, 32, 32,
                 "byte 49: tensor t: offset 32 and 4 bytes lead out of the file");
    check_tensor("t", 8, 0, 32, 63, "tensor t: offset 32 and 32 bytes lead out of the file");
    check_tensor("t", 1, 0, UINT64_MAX - 31, 32,
                 "lead out of the file, which has 32 bytes of data");
    check_tensor("t", (uint64_t)1 << 60, 0, 0, 64,
                 "tensor t: offset 0 and 4611686018427387904 bytes");
    for (int rank = 0; rank < 6; rank += 5) {
        buf b = buf_new(a);
        put_header(&b, 1, 0);
        put_text(&b, "t");
        put_int(&b, (uint64_t)rank, 4);
        put_data(&b, 64);
        check_built(&b, "dimensions: must be from 1 to 4");
    }
    buf b = buf_new(a);
    put_header(&b, 1, 0);
    put_text(&b, "t");
    put_int(&b, 4, 4);
    for (int i = 0; i < 4; i++) put_int(&b, 1 << 16, 8);
    put_data(&b, 64);
    check_built(&b, "and all of them together at most 2^63 - 1 elements");
    b = buf_new(a);
    put_header(&b, 2, 0);
    put_tensor(&b, "same", 8, 0, 0);
    put_tensor(&b, "same", 8, 0, 32);
    put_data(&b, 64);
    check_built(&b, "byte 60: tensor same is given a second time");
    b = buf_new(a);
    put_header(&b, 1, 0);
    put_int(&b, 2, 8);
    put_int(&b, 'a', 2);
    put_data(&b, 64);
    check_built(&b, "the name of a tensor has a zero byte");
    arena_free(a);
}

/* Names are compared in groups: a second one far away is seen too. */
Test(gguf, many_names) {
    enum { MANY = 2500 };
    arena *a = arena_new();
    for (int twin = -1; twin < MANY; twin += 1249) {
        buf b = buf_new(a);
        attn_gguf g;
        char message[200];
        put_header(&b, 0, MANY + 1);
        for (int i = 0; i <= MANY; i++)
            put_u32_key(&b, arena_printf(a, "key%d", i == MANY && twin >= 0 ? twin : i), 0);
        const attn_status status = attn_gguf_open(&g, b.data, b.len, message, sizeof message);
        cr_assert_eq(status, twin < 0 ? ATTN_OK : ATTN_E_WEIGHTS);
        cr_assert(twin < 0 || strstr(message, arena_printf(a, "key key%d is given a second", twin)),
                  "%s", message);
    }
    arena_free(a);
}

/* Whatever is cut off or changed: a refusal with a place, or a file that can be read. */
Test(gguf, cut_and_changed) {
    arena *a = arena_new();
    diag d = {0};
    size_t size;
    const char *data = read_file(a, "tests/import/gguf/types.gguf", 1 << 20, &size, &d);
    cr_assert(data);
    for (size_t n = 0; n < size - 64; n += n < 1200 ? 1 : 61) { /* the end is padding */
        char message[400];
        attn_gguf g;
        void *copy = exact_copy(data, n);
        cr_assert_eq(attn_gguf_open(&g, copy, n, message, sizeof message), ATTN_E_WEIGHTS);
        cr_assert_eq(strncmp(message, "byte ", 5), 0);
        free(copy);
    }
    uint32_t state = 1;
    int good = 0;
    for (int i = 0; i < 4000; i++) {
        char message[400];
        attn_gguf g;
        char *copy = exact_copy(data, size);
        for (int j = 0; j < 1 + i % 3; j++) {
            state = state * 1664525u + 1013904223u;
            copy[(state >> 8) % 1700] = (char)(unsigned char)(state >> (i & 1 ? 0 : 27));
        }
        if (attn_gguf_open(&g, copy, size, message, sizeof message) == ATTN_OK) {
            good++;
            cr_assert_eq(read_all(&g), g.keys + g.tensors);
        } else
            cr_assert_eq(strncmp(message, "byte ", 5), 0);
        free(copy);
    }
    cr_assert(good > 100 && good < 3900, "%d", good);
    arena_free(a);
}
