/* One escape a language: what comes out, for what is likely to go wrong. tests/fuzz has the rest.
 */
#include "spec/reserved.h"
#include "text.h"

#include <criterion/criterion.h>
#include <string.h>

Test(text, terminal) {
    static const char *const rows[][2] = {
        {"plain \t text", "plain \t text"},
        {"a\nb\rc", "a?b?c"},
        {"\x1b[31mred", "?[31mred"},
        {"gr\xc3\xbc\xc3\x9f \xe4\xb8\xad \xf0\x9f\x98\x80",
         "gr\xc3\xbc\xc3\x9f \xe4\xb8\xad \xf0\x9f\x98\x80"},
        {"\xe2\x80\xae"
         "x",
         "???x"},                  /* right-to-left override */
        {"\xe2\x81\xa6x", "???x"}, /* isolate */
        {"\xc2\x9b"
         "31m",
         "??31m"},                           /* CSI of eight bits */
        {"\xff\xc3", "??"},                  /* no UTF-8, and a cut one */
        {"\xc0\xaf \xed\xa0\x80", "?? ???"}, /* overlong, surrogate */
        {"\xe2\x80\xa8", "???"},             /* line separator */
    };
    arena *a = arena_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_str_eq(text_shown(a, rows[i][0]), rows[i][1], "row %zu", i);
    char lines[] = "a\nb\x07";
    text_mask(lines, true);
    cr_expect_str_eq(lines, "a\nb?");
    diag d = {0};
    diag_set(&d, "%s: %s", "x", "\x1b]0;t\x07");
    cr_expect_str_eq(d.text, "x: ?]0;t?");
    diag lines_of = {0}, full = {0};
    diag_set(&lines_of, "a\n::b\n  c\nd\n");
    cr_expect_str_eq(lines_of.text, "a\n    ::b\n  c\n    d\n");
    char many[6000];
    memset(many, '\n', sizeof many);
    many[sizeof many - 1] = 0;
    for (size_t i = 0; i < sizeof many - 1; i += 2) many[i] = 'x';
    diag_set(&full, "%s", many);
    cr_expect_eq(strlen(full.text), sizeof full.text - 1);
    for (const char *p = full.text; (p = strchr(p, '\n')); p++)
        cr_expect(p[1] == ' ' || p + 5 >= full.text + sizeof full.text - 1 || !p[1]);
    arena_free(a);
}

Test(text, c_line) {
    static const char *const rows[][2] = {
        {"x = 1 -- plain", "x = 1 -- plain"},
        {"ends in \\", "ends in \\x5c"},
        {"a\rint x;", "a\\x0dint x;"},
        {"what?"
         "?/",
         "what?\\x3f/"},
        {"\\x41", "\\x5cx41"},
        {"\xe2\x80\xae", "\\xe2\\x80\\xae"},
        {"\xc3\xbc", "\xc3\xbc"},
        {"", ""},
    };
    arena *a = arena_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf c = buf_new(a), back = buf_new(a);
        text_c_line(&c, rows[i][0], strlen(rows[i][0]));
        cr_expect_str_eq(c.data, rows[i][1]);
        text_c_line_read(&back, c.data, c.len);
        cr_expect_str_eq(back.data, rows[i][0]);
    }
    buf old = buf_new(a); /* what is no escape stays: \x00 too, which ends texts */
    text_c_line_read(&old, "a\\nb\\x0 \\x00 \\", 14);
    cr_expect_str_eq(old.data, "a\\nb\\x0 \\x00 \\");
    arena_free(a);
}

Test(text, others) {
    arena *a = arena_new();
    cr_expect_str_eq(text_c_comment(a, "a */ b /* c \\ ?"
                                       "?/ \n"),
                     "a * / b / * c . ?./ ?");
    cr_expect_str_eq(text_xml(a, "<a href='\"&\x01"), "&lt;a href=&#39;&quot;&amp;?");
    buf b = buf_new(a);
    text_lua(&b, "a\"\\\n\r\xff");
    cr_expect_str_eq(b.data, "\"a\\\"\\\\\\n\\013\\255\"");
    cr_expect(text_plain_path("../run-time_1.0/x+y,z=@"));
    static const char *const odd[] = {"",   "-a",  "a b", "a\nb", "a'",  "a\"",
                                      "$a", "`a`", "a#b", "a\\b", "a:b", "a;b",
                                      "a*", "a?",  "~",   "a%",   "(a)", "\xc3\xbc"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        cr_expect(!text_plain_path(odd[i]), "%s", odd[i]);
    arena_free(a);
}

Test(text, reserved_names) {
    static const char *const taken[] = {
        "stdio", "STDIO",        "math", "c",    "m",      "omp", "immintrin",
        "timer", "pthread_attr", "con",  "COM1", "openmp", "gomp"};
    static const char *const fine[] = {"int",   "class", "std",         "main",  "all",
                                       "llama", "com",   "stdio_model", "cmath", "comet1"};
    arena *a = arena_new();
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        cr_expect_not_null(reserved_reason(a, taken[i]), "%s", taken[i]);
        cr_expect_null(reserved_reason(a, reserved_instead(a, taken[i])), "%s", taken[i]);
    }
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        cr_expect_null(reserved_reason(a, fine[i]), "%s", fine[i]);
    arena_free(a);
}
