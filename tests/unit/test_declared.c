/* What is read of the C headers for other languages: structs have the sizes that a compiler gives
 * them, functions their names in libraries. */
#include "attn_model.h"
#include "embedded.h"
#include "output/declared.h"

#include <criterion/criterion.h>
#include <string.h>

static lua_val *read_headers(arena *a) {
    const char *const texts[] = {embedded_find("runtime/attn.h"),
                                 embedded_find("runtime/attn_model.h")};
    lua_val *c;
    diag d = {0};
    cr_assert(declared(a, texts, 2, &c, &d), "%s", d.text);
    return c;
}

static const lua_val *named(const lua_val *list, const char *name) {
    for (int i = 0; i < list->field_count; i++) {
        const lua_val *row = list->field[i].value;
        if (!strcmp(lua_val_get(row, "name")->string, name)) return row;
    }
    return NULL;
}

/* As compilers lay members out: each at a multiple of its alignment, the largest of which the whole
 * is a multiple of. */
typedef struct extent {
    size_t bytes, align;
} extent;

static extent extent_of(const lua_val *structs, const char *type, bool pointer) {
    static const struct {
        const char *name;
        size_t bytes;
    } numbers[] = {{"uint8_t", 1}, {"int32_t", 4},  {"uint32_t", 4},           {"float", 4},
                   {"int64_t", 8}, {"uint64_t", 8}, {"size_t", sizeof(size_t)}};
    if (pointer) return (extent){sizeof(void *), sizeof(void *)};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!strcmp(numbers[i].name, type)) return (extent){numbers[i].bytes, numbers[i].bytes};
    const lua_val *s = named(structs, type);
    cr_assert(s, "no such type: %s", type);
    const bool together = lua_val_get(s, "union")->boolean;
    const lua_val *fields = lua_val_get(s, "fields");
    extent all = {0, 1};
    for (int i = 0; i < fields->field_count; i++) {
        const lua_val *f = fields->field[i].value;
        const int64_t count = lua_val_get(f, "count")->integer;
        const extent e =
            extent_of(structs, lua_val_get(f, "type")->string, lua_val_get(f, "pointer")->boolean);
        const size_t bytes = e.bytes * (size_t)(count ? count : 1);
        const size_t at = together ? 0 : (all.bytes + e.align - 1) / e.align * e.align;
        if (at + bytes > all.bytes) all.bytes = at + bytes;
        if (e.align > all.align) all.align = e.align;
    }
    all.bytes = (all.bytes + all.align - 1) / all.align * all.align;
    return all;
}

/* The library tells the size of each struct that the headers declare. */
Test(declared, sizes) {
    arena *a = arena_new();
    const lua_val *structs = lua_val_get(read_headers(a), "structs");
    cr_assert(structs->field_count > 20);
    for (int i = 0; i < structs->field_count; i++) {
        const char *name = lua_val_get(structs->field[i].value, "name")->string;
        const size_t core = attn_struct_bytes(name),
                     told = core ? core : attn_model_struct_bytes(name);
        cr_expect_eq(told, extent_of(structs, name, false).bytes,
                     "%s: runtime/abi.c and model_abi.c say %zu bytes, headers %zu", name, told,
                     extent_of(structs, name, false).bytes);
    }
    cr_expect_eq(attn_struct_bytes("attn_nothing"), 0);
    cr_expect_eq(attn_struct_bytes(NULL), 0);
    arena_free(a);
}

Test(declared, functions) {
    arena *a = arena_new();
    const lua_val *functions = lua_val_get(read_headers(a), "functions");
    const lua_val *pack = named(functions, "attn_block_pack");
    cr_assert(pack);
    cr_expect_str_eq(lua_val_get(pack, "symbol")->string, "attn_block_pack_typed");
    cr_expect_eq(lua_val_get(pack, "parameters")->field_count, 7);
    const lua_val *abi = named(functions, "attn_abi"), *text = named(functions, "attn_status_text");
    cr_expect_eq(lua_val_get(abi, "parameters")->field_count, 0);
    cr_expect(lua_val_get(lua_val_get(text, "result"), "pointer")->boolean);
    cr_expect_null(named(functions, "attn_align"), "an inline function is in no library");
    arena_free(a);
}

Test(declared, not_understood) {
    static const char *const texts[] = {
        "typedef struct x {\n    int32_t a[N];\n} x;\n",
        "typedef struct x {\n    int32_t;\n} x;\n",
        "attn_status attn_f(int32_t a) = 3;\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        arena *a = arena_new();
        lua_val *c;
        diag d = {0};
        cr_expect(!declared(a, &texts[i], 1, &c, &d), "read: %s", texts[i]);
        cr_expect(strstr(d.text, "not understood"), "%s", d.text);
        arena_free(a);
    }
}
