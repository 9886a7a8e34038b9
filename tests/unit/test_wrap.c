/* Long lines of C. */
#include "output/wrap.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect(const char *text, const char *want) {
    arena *a = arena_new();
    const char *got = wrap_lines(a, text, 32);
    cr_expect(!strcmp(got, want), "of:\n%s\ngot:\n%s\nwanted:\n%s", text, got, want);
    arena_free(a);
}

Test(wrap, outermost_parenthesis_and_comma_first) {
    expect("    call(one, two(three + 4, 5), six);\n",
           "    call(one, two(three + 4, 5),\n         six);\n");
    expect("    int x = one * two + three * four;\n",
           "    int x = one * two +\n            three * four;\n");
    expect("    int x = one_and_two_three, yyyy = 4;\n",
           "    int x = one_and_two_three,\n        yyyy = 4;\n");
}

Test(wrap, what_is_continued_goes_on) {
    expect("static void f(int first, int second,\n              int third) {\n",
           "static void f(int first,\n              int second,\n              int third) {\n");
    expect("static void f(int first, int two, int c,\n              int d) {\n",
           "static void f(int first,\n              int two, int c,\n              int d) {\n");
}

Test(wrap, heads_of_statements) {
    expect("    for (i = 0; i < n; i++) call(i, 1);\n",
           "    for (i = 0; i < n; i++)\n        call(i, 1);\n");
    expect("    if (one) return call(two, three);\n",
           "    if (one)\n        return call(two, three);\n");
}

Test(wrap, functions_stand_apart) {
    arena *a = arena_new();
    cr_expect_str_eq(space_functions(a, "int f(void) {\n    {\n    }\n}\nint g(void) {\n}\n\n"
                                        "/* h */\nvoid h(void) {\n}\n#endif\n}"),
                     "int f(void) {\n    {\n    }\n}\n\nint g(void) {\n}\n\n"
                     "/* h */\nvoid h(void) {\n}\n#endif\n}");
    arena_free(a);
}

Test(wrap, comments_directives_and_words_stay) {
    static const char *const same[] = {
        "/* a comment, of more than thirty-two columns */\n",
        " * its second line, which is as long\n",
        "#define A(b, c) b, c, of, more, than, thirty \\\n    columns\n",
        "attn_a_name_of_more_than_thirty_two_columns;\n",
        "    short(line,\n          two);\n",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) expect(same[i], same[i]);
}
