/* Names that C sources declare for themselves, and their renaming. */
#include "output/rename.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *renamed(arena *a, const char *text) {
    name_set names = {.a = a};
    declared_names(text, DECLARED_TYPES | DECLARED_STATICS, &names);
    return rename_text(a, text, &names, "x_");
}

static void expect(const char *text, const char *want) {
    arena *a = arena_new();
    const char *got = renamed(a, text);
    cr_expect(!strcmp(got, want), "of:\n%s\ngot:\n%s\nwanted:\n%s", text, got, want);
    arena_free(a);
}

Test(rename, functions_objects_types_enumerators) {
    expect("static int f(int a) { return a; }\nint g(void) { return f(1); }\n",
           "static int x_f(int a) { return a; }\nint g(void) { return x_f(1); }\n");
    expect("static const float LN2 = 0x1.6p-1f, *p = &LN2;\n",
           "static const float x_LN2 = 0x1.6p-1f, *p = &x_LN2;\n");
    expect("static const char *const names[4] = {\"names\"};\n",
           "static const char *const x_names[4] = {\"names\"};\n");
    expect("static enum kind { A } kind_of(int n) {\n    if (n) return A;\n}\n",
           "static enum kind { x_A } x_kind_of(int n) {\n    if (n) return x_A;\n}\n");
    expect("enum { D = 4, W = D * 2 };\nint a[W];\n",
           "enum { x_D = 4, x_W = x_D * 2 };\nint a[x_W];\n");
    expect("typedef float vf __attribute__((vector_size(16)));\nvf v;\n",
           "typedef float x_vf __attribute__((vector_size(16)));\nx_vf v;\n");
    expect("static inline __attribute__((always_inline)) int f(void);\n",
           "static inline __attribute__((always_inline)) int x_f(void);\n");
    expect("ATTN_SIMD vf vf_add(vf a, vf b) { return a + b; }\n",
           "ATTN_SIMD vf x_vf_add(vf a, vf b) { return a + b; }\n");
}

/* Members keep their names, where they are declared, used and designated; array sizes do not. */
Test(rename, members) {
    expect("enum { D = 2 };\ntypedef struct row { float row[D]; int D, h; } row;\n"
           "static int f(row *p) { row r = {.row = {D}}; return p->row[D] + r.D; }\n",
           "enum { x_D = 2 };\ntypedef struct x_row { float row[x_D]; int D, h; } x_row;\n"
           "static int x_f(x_row *p) { x_row r = {.row = {x_D}}; return p->row[x_D] + r.D; }\n");
    expect("static int score(void);\nint (*g)(void) = s->score ? s->score : score;\n",
           "static int x_score(void);\nint (*g)(void) = s->score ? s->score : x_score;\n");
}

Test(rename, leaves_comments_strings_includes_and_numbers) {
    expect(
        "#include <f.h>\n/* f */ static int f; // f\nconst char *s = \"f\"; double d = 1.5f;\n",
        "#include <f.h>\n/* f */ static int x_f; // f\nconst char *s = \"f\"; double d = 1.5f;\n");
    expect("static int e;\ndouble d = 1e+3, h = 0x1p-3; int c = 'e';\n",
           "static int x_e;\ndouble d = 1e+3, h = 0x1p-3; int c = 'e';\n");
}

/* A kernel's statics alone, and lines that continue a parenthesis. */
Test(rename, statics) {
    arena *a = arena_new();
    name_set names = {.a = a};
    const char *text = "enum { D };\ntypedef int t;\nstatic t f(int a,\n           int b) {\n"
                       "    return f(g(f,\n               D),\n             a);\n}\n";
    declared_names(text, DECLARED_STATICS, &names);
    cr_expect_str_eq(rename_text(a, text, &names, "k1_"),
                     "enum { D };\ntypedef int t;\nstatic t k1_f(int a,\n              int b) {\n"
                     "    return k1_f(g(k1_f,\n                  D),\n                a);\n}\n");
    arena_free(a);
}

Test(rename, macros) {
    arena *a = arena_new();
    name_set macros = {.a = a};
    defined_macros(
        "#if 1\n#define ONE 1\n#  define no\n#endif\n#define F(x) \\\n    x\nint define;\n",
        &macros);
    cr_expect(name_set_has(&macros, "ONE", 3) && name_set_has(&macros, "F", 1));
    cr_expect(!name_set_has(&macros, "define", 6) && !name_set_has(&macros, "x", 1));
    arena_free(a);
}
