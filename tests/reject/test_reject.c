/* Every way to be refused, with what the message must say. Add a row to cases.inc. */
#include "cli.h"
#include "help.h"
#include "embedded.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { MAX_ARGS = 40 };

/* One argument a line. */
static int split(arena *a, const char *line, char **argv) {
    int argc = 0;
    argv[argc++] = arena_strdup(a, "attn-gen");
    char *copy = arena_strdup(a, line);
    for (char *p = strtok(copy, "\n"); p && argc < MAX_ARGS; p = strtok(NULL, "\n"))
        argv[argc++] = p;
    return argc;
}

/* The message of a command line, "" if it is accepted. */
static const char *flags_message(arena *a, const char *line) {
    char *argv[MAX_ARGS];
    int argc = split(a, line, argv);
    options o;
    model m;
    diag d = {0};
    if (!cli_parse(a, argc, argv, &o, &d)) return arena_strdup(a, d.text);
    if (o.input_count == 0 || model_from_flags(a, o.inputs, o.input_count, &m, &d)) return "";
    return arena_strdup(a, d.text);
}

static const char *model_message(arena *a, const char *path, const char *source) {
    model m;
    diag d = {0};
    return model_from_lua(a, path, source, &m, &d) ? "" : arena_strdup(a, d.text);
}

static void expect(const char *input, const char *message, const char *text) {
    cr_expect_not_null(strstr(message, text), "%s\n  gives: %s\n  lacks: %s", input, message, text);
    cr_expect(!*message || message[strlen(message) - 1] != '\n', "%s: a newline at the end", input);
}

typedef struct reject_case {
    const char *input, *text;
} reject_case;

#define SELF "explain\n--heads=8\n--head-dim=64\n"
#define FLEX SELF "--backend=flex\n"
#define SLIDING SELF "--op=sliding_self\n"
#define CROSS SELF "--op=segment_cross\n"
#define BLOCK SELF "--level=block\n--d-model=512\n"
#define YARN BLOCK "--rope-scaling=yarn\n--rope-factor=4\n--rope-original=2048\n"
#define MLA "explain\n--form=mla\n--heads=8\n--kv-comp-dim=64\n--retr-dim=32\n"
static const reject_case flag_cases[] = {
#define FLAGS(input, text) {input, text},
#define LAYER(input, text)
#define MODEL(input, text)
#include "cases.inc"
};

/* The first layer stands on line 2, the refused one on line 3. */
#define BEFORE "return { layers = {\n{ heads = 8, head_dim = 64 },\n"
#define AFTER "\n} }\n"
static const reject_case layer_cases[] = {
#undef FLAGS
#undef LAYER
#define FLAGS(input, text)
#define LAYER(input, text) {BEFORE input AFTER, text},
#include "cases.inc"
};

static const reject_case model_cases[] = {
#undef LAYER
#undef MODEL
#define LAYER(input, text)
#define MODEL(input, text) {input, text},
#include "cases.inc"
};
#undef FLAGS
#undef LAYER
#undef MODEL

#define COUNT(list) (sizeof list / sizeof *list)

Test(reject, flags) {
    for (size_t i = 0; i < COUNT(flag_cases); i++) {
        arena *a = arena_new();
        expect(flag_cases[i].input, flags_message(a, flag_cases[i].input), flag_cases[i].text);
        arena_free(a);
    }
}

static void expect_model(const reject_case *c, const char *path) {
    arena *a = arena_new();
    const char *message = model_message(a, path, c->input);
    expect(c->input, message, c->text);
    cr_expect_eq(strncmp(message, path, strlen(path)), 0, "%s", message);
    arena_free(a);
}

Test(reject, layers) {
    for (size_t i = 0; i < COUNT(layer_cases); i++) expect_model(&layer_cases[i], "dir/m.lua");
}

Test(reject, models) {
    for (size_t i = 0; i < COUNT(model_cases); i++) expect_model(&model_cases[i], "dir/m.lua");
}

/* Whole messages, caret included. */
Test(reject, carets) {
    arena *a = arena_new();
    cr_expect_str_eq(
        model_message(a, "tiny.lua",
                      "-- windw = 3\nreturn { layers = {\n    { heads = 8, windw = 3 },\n} }"),
        "tiny.lua:3:18: layers[1]: unknown key 'windw' (did you mean 'window'?); allowed: level, "
        "form, "
        "op, backend, heads, kv_heads, v_heads, head_dim, v_dim, key, kv_comp_dim, retr_dim, "
        "q_comp_dim, causal, window, right_window, lookback, scale, softcap, sinks, type, kv_type, "
        "o_type, rotate, dot, layout, page, select, score, mask, "
        "tensor, scalar\n"
        "        { heads = 8, windw = 3 },\n"
        "                     ^");
    const char *m =
        model_message(a, "tiny.lua",
                      "return { layers = { { heads = 8, head_dim = 4, backend = 'flex',\n"
                      "\tmask = [[k <= q and\n  q - k < 3 and kk > 1]] } } }");
    expect("two lines", m, "tiny.lua:3:17: layers[1].mask: line 2, column 17: unknown name 'kk'");
    expect("two lines", m, "\n      q - k < 3 and kk > 1]] } } }\n                    ^");
    arena_free(a);
}

/* An expression that stands nowhere in the file as it is: the key and the expression are shown. */
Test(reject, composed_expressions) {
    arena *a = arena_new();
    const char *m =
        model_message(a, "m.lua",
                      "return { layers = { { heads = 8, head_dim = 4, backend = 'flex',\n"
                      "    mask = both(causal(), 'kk' .. ' > 3') } } }");
    expect("composed", m, "m.lua:2:5: layers[1].mask: column 15: ");
    expect("composed", m, "\n        mask = both(causal(), 'kk' .. ' > 3') } } }\n        ^\n");
    expect("composed", m, "\n  in the expression\n    (k <= q) and (kk > 3)\n                  ^");
    arena_free(a);
}

Test(reject, long_lines_are_cut) {
    arena *a = arena_new();
    buf b = buf_new(a);
    buf_puts(&b, "return { layers = { { heads = 8, ");
    for (int i = 0; i < 2000; i++) buf_puts(&b, "          ");
    buf_puts(&b, "head_dim = 64, windw = 3 } } }");
    const char *m = model_message(a, "m.lua", b.data);
    cr_expect_lt(strlen(m), 1000);
    expect("long line", m, "windw = 3");
    arena_free(a);
}

Test(accept, flags) {
    static const char *const lines[] = {
        SELF,
        SELF "--scale=-0.5",
        SELF "--scale\n-.5e-3",
        SELF "--causal\nfalse",
        SELF "--key=per_head",
        SLIDING "--window\n0",
        SLIDING "--window=2147483647",
        SLIDING "--window=1\n--causal=false\n--right-window=0",
        CROSS "--lookback=0",
        MLA,
        MLA "--key=shared\n--scale=1\n--head-dim=64\n--q-comp-dim=7",
        FLEX "--score\n-s",
        FLEX "--score=s\n--mask=true",
        FLEX "--tensor\nslope=f32[heads]\n--tensor=doc=i32[kv_len]\n--scalar\nprefix=i32\n"
             "--mask\ndoc[q] == doc[k] or k < prefix",
        "generate\n--heads\n8\n--head-dim\n64\n-o\nout",
        "generate\n--heads\n8\n--head-dim\n64\n--dump=plan\n--unroll=4",
        "generate\ntiny\n-o=out\n--isa=avx2\n--runtime\n../runtime\n--templates=t",
        "explain\ntiny\n--json\n--batch=1\n--q-len=0\n--kv-len=7",
        "explain\ntiny\n--svg\n--layer=1\n-o\nx.svg",
        "report\ntiny\n-o=x.html\n--isa=avx2\n--q-len=7",
        "check\nout",
        "models",
        "--help",
        "--version",
        "generate\n--help",
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        arena *a = arena_new();
        cr_expect_str_eq(flags_message(a, lines[i]), "", "%s", lines[i]);
        arena_free(a);
    }
}

/* Every field of the table is a flag and a key; help names all of them. */
Test(accept, help_lists_every_field) {
    arena *a = arena_new();
    const command with_fields[] = {CMD_GENERATE, CMD_EXPLAIN, CMD_REPORT};
    for (int c = 0; c < 3; c++) {
        const char *help = help_text(a, with_fields[c]);
        cr_expect_not_null(strstr(help, "Example:"));
        for (int i = 0; i < attn_field_count; i++) {
            char *flag = arena_printf(a, "\n  --%s ", attn_fields[i].name);
            for (char *p = flag; *p; p++)
                if (*p == '_') *p = '-';
            cr_expect_not_null(strstr(help, flag), "%s is missing", flag);
        }
    }
    cr_expect_null(strstr(help_text(a, CMD_CHECK), "--heads"));
    cr_expect_not_null(strstr(help_text(a, CMD_NONE), "COMMAND --help"));
    arena_free(a);
}

Test(accept, options_are_read) {
    arena *a = arena_new();
    char *argv[MAX_ARGS];
    int argc = split(a, "explain\ntiny\n--json\n--batch=2\n--kv-len\n7\n--isa=avx2", argv);
    options o;
    diag d = {0};
    cr_assert(cli_parse(a, argc, argv, &o, &d), "%s", d.text);
    cr_expect_eq(o.command, CMD_EXPLAIN);
    cr_expect_str_eq(o.target, "tiny");
    cr_expect_str_eq(o.isa, "avx2");
    cr_expect(o.json);
    cr_expect_eq(o.batch, 2);
    cr_expect_eq(o.q_len, -1);
    cr_expect_eq(o.kv_len, 7);
    cr_expect_null(o.unroll);
    arena_free(a);
}
