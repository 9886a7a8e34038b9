/* Long lines of C. */
#include "output/align.h"
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

static void expect_aligned(const char *text, const char *want) {
    arena *a = arena_new();
    const char *got = align_comments(a, align_parentheses(a, text), 40);
    cr_expect(!strcmp(got, want), "of:\n%s\ngot:\n%s\nwanted:\n%s", text, got, want);
    arena_free(a);
}

/* A step further than the statement is the other way to go on. */
Test(wrap, lines_stand_below_their_parenthesis) {
    expect_aligned(
        "static void k1_f(int a,\n              int b) {\n    g(k1_h(a,\n      2),\n  b);\n}\n",
        "static void k1_f(int a,\n                 int b) {\n    g(k1_h(a,\n           2),\n"
        "      b);\n}\n");
    expect_aligned("    longest_of_names(one,\n        two);\n    x = (y) {\n  1,\n    };\n",
                   "    longest_of_names(one,\n        two);\n    x = (y) {\n  1,\n    };\n");
    expect_aligned(
        "    f(\"(\", '(', /* ( */ a,\n   b);\n#define M(x) g(x, \\\n   1)\n/* (\n   ( */\n  c;\n",
        "    f(\"(\", '(', /* ( */ a,\n      b);\n#define M(x) g(x, \\\n   1)\n/* (\n   ( */\n"
        "  c;\n");
}

Test(wrap, comments_stand_below_each_other) {
    expect_aligned("    a = 1, /* one */\n    bcd = 2,  /* two */\n    e,\n    f, /* three */\n",
                   "    a = 1,   /* one */\n    bcd = 2, /* two */\n    e,\n    f, /* three */\n");
    expect_aligned("    int abcdefghijklmnopq; /* long */\n    int a; /* twenty columns are */\n",
                   "    int abcdefghijklmnopq; /* long */\n    int a; /* twenty columns are */\n");
    expect_aligned("    if (a) { /* one */\n        b; /* two */\n/* \"x\" */\n",
                   "    if (a) { /* one */\n        b; /* two */\n/* \"x\" */\n");
}
