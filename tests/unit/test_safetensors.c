/* The runtime's readers of safetensors files and of their index: what is right, and what is wrong
 * at which byte. */
#include "safetensors.h"
#include "weight_types.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file with this header and 16 bytes of data, 0 .. 15. */
static attn_status open_file(attn_safetensors *s, const char *header, char *message, size_t size) {
    static uint8_t file[4096];
    const size_t n = strlen(header);
    memset(file, 0, 8);
    file[0] = (uint8_t)n, file[1] = (uint8_t)(n >> 8);
    memcpy(file + 8, header, n);
    for (int i = 0; i < 16; i++) file[8 + n + (size_t)i] = (uint8_t)i;
    return attn_safetensors_open(s, file, 8 + n + 16, message, size);
}

Test(safetensors, tensors) {
    attn_safetensors s;
    char message[300];
    const attn_status status = open_file(
        &s,
        "{ \"__metadata__\" : {\"format\":\"pt\\u00e9\"},\n"
        "\"a.b\":{\"dtype\":\"F32\",\"shape\":[1, 2],\"data_offsets\":[0,8]},"
        "\"c\":{\"shape\":[],\"data_offsets\":[8,10],\"dtype\":\"BF16\",\"more\":[{\"x\":-1.5e3}]},"
        "\"d\":{\"dtype\":\"I64\",\"shape\":[0,9],\"data_offsets\":[16,16]}} ",
        message, sizeof message);
    cr_assert_eq(status, ATTN_OK, "%s", message);
    attn_safetensor t = {0};
    cr_assert(attn_safetensors_next(&s, &t) && attn_text_is(t.name, "a.b"));
    cr_assert(t.type == ATTN_WEIGHT_F32 && t.rank == 2 && t.dim[0] == 1 && t.dim[1] == 2);
    cr_assert(t.bytes == 8 && *(const uint8_t *)t.data == 0);
    cr_assert(attn_safetensors_next(&s, &t) && attn_text_is(t.name, "c"));
    cr_assert(t.type == ATTN_WEIGHT_BF16 && t.rank == 0 && *(const uint8_t *)t.data == 8);
    cr_assert(attn_safetensors_next(&s, &t) && t.type == -1 && t.bytes == 0);
    cr_assert_not(attn_safetensors_next(&s, &t));
    cr_assert_not(attn_safetensors_next(&s, &t));
}

Test(safetensors, wrong_headers) {
    static const struct {
        const char *header, *says;
    } cases[] = {
        {"", "expected '{', got the end"},
        {"[]", "byte 0: expected '{', got '['"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,20]}}",
         "are not within the file"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}",
         "are not within the file"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}",
         "2 elements of 4 bytes are not 4"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", "must have dtype, shape and data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", "dtype is given twice"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1]}}", "expected a whole number, got '-'"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5]}}", "expected ',' or ']', got '.'"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775808]}}", "beyond 2^63 - 1"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296]}}",
         "more than 2^63 - 1 elements"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1]}}", "more than 8 dimensions"},
        {"{\"a\\u0041\":{}}", "a name with an escape"},
        {"{\"a\":{}} x", "must have dtype"},
        {"{} x", "expected the end, got 'x'"},
        {"{\"__metadata__\":[}", "expected a value, got '}'"},
        {"{\"a", "a string without an end"},
    };
    attn_safetensors s;
    char message[300];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const attn_status status = open_file(&s, cases[i].header, message, sizeof message);
        cr_expect_eq(status, ATTN_E_WEIGHTS, "%s", cases[i].header);
        cr_expect(strstr(message, cases[i].says), "%s: %s", cases[i].header, message);
    }
    const uint8_t huge[16] = {255, 255, 255, 255, 255, 255, 255, 255};
    cr_assert_eq(attn_safetensors_open(&s, huge, 16, message, sizeof message), ATTN_E_WEIGHTS);
    cr_assert_eq(attn_safetensors_open(&s, huge, 7, message, sizeof message), ATTN_E_WEIGHTS);
    cr_assert_eq(attn_safetensors_open(&s, NULL, 0, message, sizeof message), ATTN_E_ARGUMENT);
}

Test(safetensors, deep_values) {
    attn_safetensors s;
    char header[3000] = "{\"__metadata__\":", message[300];
    for (int i = 0; i < 2000; i++) strcat(header, "[");
    cr_assert_eq(open_file(&s, header, message, sizeof message), ATTN_E_WEIGHTS);
    cr_assert(strstr(message, "nested deeper than 64 levels"), "%s", message);
}

/* How many entries an index has; -1 with a message. */
static int entries(const char *text, char *message, size_t size) {
    attn_safetensors_index x = {.json = {text, strlen(text), 0, message, size}};
    bool ok;
    int n = 0;
    message[0] = 0;
    while (attn_safetensors_index_next(&x, &ok)) n++;
    return ok ? n : -1;
}

Test(safetensors, indexes) {
    static const char *const out[] = {"../a.safetensors",   "/a.safetensors",  "a/b.safetensors",
                                      "a\\\\b.safetensors", "c:a.safetensors", ".a.safetensors",
                                      "model.safetensor",   ".safetensors"};
    char message[300], text[300];
    cr_assert_eq(
        entries("{\"metadata\":{\"total_size\":1},\"weight_map\":{\"a\":\"m-1.safetensors\","
                "\"b\":\"m-2.safetensors\"},\"x\":[]}",
                message, sizeof message),
        2, "%s", message);
    cr_assert_eq(entries("{\"weight_map\":{}}", message, sizeof message), 0);
    cr_assert_eq(entries("{\"metadata\":{}}", message, sizeof message), -1);
    cr_assert(strstr(message, "it has no weight_map"));
    cr_assert_eq(entries("{\"weight_map\":{}} {", message, sizeof message), -1);
    for (size_t i = 0; i < sizeof out / sizeof *out; i++) {
        snprintf(text, sizeof text, "{\"weight_map\":{\"a\":\"%s\"}}", out[i]);
        cr_expect_eq(entries(text, message, sizeof message), -1, "%s", text);
    }
}
