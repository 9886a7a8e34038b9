/* config.json -> layers: tests/import/cases.inc, read twice. */
#include "cli.h"
#include "import_hf.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct import_case {
    const char *config, *edits;
    int layers;
    const char *pattern, *spec[3];
    const char *text; /* refused, noted */
} import_case;

static const import_case means[] = {
#define MEANS(config, edits, layers, pattern, a, b, c) {config, edits, layers, pattern, {a, b, c}},
#define REFUSED(config, edits, text)
#define NOTED(config, edits, text)
#include "../import/cases.inc"
#undef MEANS
#undef REFUSED
#undef NOTED
};

static const import_case refused[] = {
#define MEANS(config, edits, layers, pattern, a, b, c)
#define REFUSED(config, edits, text) {config, edits, 0, NULL, {NULL}, text},
#define NOTED(config, edits, text)
#include "../import/cases.inc"
#undef MEANS
#undef REFUSED
#undef NOTED
};

static const import_case noted[] = {
#define MEANS(config, edits, layers, pattern, a, b, c)
#define REFUSED(config, edits, text)
#define NOTED(config, edits, text) {config, edits, 0, NULL, {NULL}, text},
#include "../import/cases.inc"
#undef MEANS
#undef REFUSED
#undef NOTED
};

/* "from => to": the first place of `from`. */
static char *edit(arena *a, char *text, const char *line, size_t n) {
    const char *arrow = strstr(line, " => ");
    cr_assert(arrow && arrow < line + n, "no edit: %s", line);
    const char *from = arena_strndup(a, line, (size_t)(arrow - line));
    const char *to = arena_strndup(a, arrow + 4, (size_t)(line + n - arrow - 4));
    char *at = strstr(text, from);
    cr_assert_not_null(at, "nothing to edit: %s", from);
    return arena_printf(a, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

/* An edit starts at the begin of a line and has an arrow; a line without one goes on with it. */
static size_t edit_end(const char *edits) {
    size_t n = strcspn(edits, "\n");
    while (edits[n]) {
        const char *next = edits + n + 1;
        const size_t more = strcspn(next, "\n");
        const char *arrow = strstr(next, " => ");
        const bool is_edit = arrow && arrow < next + more;
        /* A line of a text that spans two: its arrow comes first there. */
        if (is_edit && strstr(edits, " => ") < edits + n) break;
        n += 1 + more;
    }
    return n;
}

static char *config_text(arena *a, const import_case *c) {
    char *text;
    const size_t n = strlen(c->config);
    if (n > 5 && !strcmp(c->config + n - 5, ".json")) {
        diag d = {0};
        text = read_file(a, arena_printf(a, "tests/import/%s", c->config), 1 << 20, NULL, &d);
        cr_assert_not_null(text, "%s", d.text);
    } else {
        text = arena_strdup(a, c->config);
        for (char *p = text; *p; p++)
            if (*p == '\'') *p = '"';
    }
    for (const char *e = c->edits; *e;) {
        const size_t length = edit_end(e);
        text = edit(a, text, e, length);
        e += length + (e[length] == '\n');
    }
    return text;
}

static spec_input level(const char *name) {
    static lua_val v[2] = {{.kind = LUA_VAL_STRING, .string = "core"},
                           {.kind = LUA_VAL_STRING, .string = "block"}};
    return (spec_input){.field = "level",
                        .value = &v[!strcmp(name, "block")],
                        .from_flag = true,
                        .where = "--level"};
}

/* "heads=8 window=3" as flags would give it. */
static void expected(arena *a, const char *spec, kernel_spec *out) {
    spec_input inputs[64] = {level("block")};
    int n = 1;
    for (char *p = strtok(arena_strdup(a, spec), " "); p; p = strtok(NULL, " ")) {
        char *equals = strchr(p, '=');
        *equals = 0;
        lua_val *v = arena_alloc(a, sizeof *v);
        *v = (lua_val){.kind = LUA_VAL_STRING, .string = equals + 1};
        inputs[n++] = (spec_input){.field = p, .value = v, .from_flag = true, .where = p};
    }
    diag d = {0};
    cr_assert(kernel_spec_build(a, inputs, n, "expected", out, &d), "%s\n%s", spec, d.text);
}

static int letter(const char *pattern, int i) {
    const char *bar = strchr(pattern, '|');
    const int prefix = (int)(bar - pattern), cycle = (int)strlen(bar + 1);
    return (i < prefix ? pattern[i] : bar[1 + (i - prefix) % cycle]) - 'a';
}

static const char *first_line(arena *a, const char *text) {
    return arena_strndup(a, text, strcspn(text, "\n"));
}

static void check_layers(arena *a, const import_case *c, const model *m) {
    cr_assert_eq(m->layer_count, c->layers, "%s: %d layers", c->config, m->layer_count);
    kernel_spec want[3];
    for (int i = 0; i < 3; i++)
        if (*c->spec[i]) expected(a, c->spec[i], &want[i]);
    for (int i = 0; i < m->layer_count; i++) {
        const kernel_spec *got = &m->kernels[m->layer_kernel[i]];
        const kernel_spec *w = &want[letter(c->pattern, i)];
        cr_assert_str_eq(got->name, w->name, "%s\n%s\n layer %d is\n  %s\n not\n  %s", c->config,
                         c->edits, i, got->name, w->name);
    }
}

/* At level core the layers are the attention inside them. */
static void check_cores(arena *a, const import_case *c, const char *text, const model *blocks) {
    model m;
    diag d = {0};
    const char *notes;
    const spec_input core = level("core");
    cr_assert(model_from_hf(a, "config.json", text, &core, 1, &m, &notes, &d), "%s", d.text);
    cr_assert_eq(m.layer_count, blocks->layer_count);
    for (int i = 0; i < m.layer_count; i++) {
        attn_spec got, want;
        attn_spec_core(&m.kernels[m.layer_kernel[i]].core, &got);
        attn_spec_core(&blocks->kernels[blocks->layer_kernel[i]].core, &want);
        if (got.form == ATTN_FORM_MLA) /* recorded at level core */
            got.head_dim = got.q_comp_dim = ATTN_UNSET;
        char g[ATTN_NAME_MAX], w[ATTN_NAME_MAX];
        attn_spec_format(&got, g);
        attn_spec_format(&want, w);
        cr_assert_str_eq(g, w, "%s: layer %d", c->config, i);
    }
}

Test(import, means) {
    for (size_t i = 0; i < sizeof means / sizeof *means; i++) {
        arena *a = arena_new();
        model m;
        diag d = {0};
        const char *notes;
        const char *text = config_text(a, &means[i]);
        const spec_input block = level("block");
        const bool ok = model_from_hf(a, "config.json", text, &block, 1, &m, &notes, &d);
        cr_expect(ok, "%s\n%s: %s", means[i].config, means[i].edits, d.text);
        if (ok) {
            check_layers(a, &means[i], &m);
            check_cores(a, &means[i], text, &m);
        }
        arena_free(a);
    }
}

Test(import, refused) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        arena *a = arena_new();
        model m;
        diag d = {0};
        const char *notes;
        const char *text = config_text(a, &refused[i]);
        const spec_input block = level("block");
        cr_expect_not(model_from_hf(a, "config.json", text, &block, 1, &m, &notes, &d),
                      "is not refused: %s\n%s", refused[i].config, refused[i].edits);
        cr_expect_not_null(strstr(d.text, refused[i].text), "%s\n%s\n  gives: %s\n  lacks: %s",
                           refused[i].config, refused[i].edits, d.text, refused[i].text);
        arena_free(a);
    }
}

Test(import, noted) {
    for (size_t i = 0; i < sizeof noted / sizeof *noted; i++) {
        arena *a = arena_new();
        model m;
        diag d = {0};
        const char *notes = "";
        const spec_input block = level("block");
        const bool ok =
            model_from_hf(a, "config.json", config_text(a, &noted[i]), &block, 1, &m, &notes, &d);
        const char *at = strstr(notes, noted[i].text);
        cr_expect(ok && at, "%s\n%s\n  gives: %s%s\n  lacks: %s", noted[i].config, noted[i].edits,
                  notes, d.text, noted[i].text);
        cr_expect(!at || !strstr(at + 1, noted[i].text), "%s: noted twice: %s", noted[i].config,
                  notes);
        arena_free(a);
    }
}

static const char *outcome(arena *a, const char *json, const char *level_name, model *m) {
    const import_case c = {.config = json, .edits = ""};
    diag d = {0};
    const char *notes = "";
    const spec_input flag = level(level_name ? level_name : "core");
    const char *text = config_text(a, &c);
    if (model_from_hf(a, "models/Some-1B/config.json", text, &flag, level_name != NULL, m, &notes,
                      &d))
        return notes;
    return arena_strdup(a, d.text);
}

/* RoPE that the spec cannot say is refused, but where it is the caller's by his own word. */
Test(import, rope_of_the_caller) {
    arena *a = arena_new();
    model m;
    const char *json = "{'model_type': 'llama', 'rope_scaling': {'rope_type': 'dynamic', "
                       "'factor': 2}}";
    cr_expect_not_null(strstr(outcome(a, json, NULL, &m), "--level core makes the attention"));
    const char *notes = outcome(a, json, "core", &m);
    cr_expect_not_null(strstr(notes, "RoPE is the caller's"), "%s", notes);
    cr_expect_null(strstr(strchr(notes, '\n') + 1, "RoPE"), "noted more than once: %s", notes);
    cr_expect_str_eq(m.name, "Some-1B");
    arena_free(a);
}

/* What the class does not read is said, and does not matter. */
Test(import, notes) {
    arena *a = arena_new();
    model m;
    const char *notes = outcome(a, "smollm2-135m.json", "block", &m);
    cr_expect_not_null(strstr(notes, "rope_interleaved"), "%s", notes);
    notes = outcome(a, "{'model_type': 'llama', 'is_llama_config': true, 'torch_dtype': 'f'}",
                    "block", &m);
    cr_expect_not_null(strstr(notes, ": is_llama_config\n"), "%s", first_line(a, notes));
    cr_expect_str_empty(outcome(a, "{'model_type': 'llama', 'vocab_size': 3}", "block", &m));
    notes = outcome(a,
                    "{'model_type': 'bert', 'directionality': 'bidi', 'pruned_heads': {}, "
                    "'_flash_attn_2_enabled': true, 'pooler_num_attention_heads': 12}",
                    "block", &m);
    cr_expect_not_null(strstr(notes, ": directionality, pruned_heads, _flash_attn_2_enabled\n"),
                       "%s", notes);
    arena_free(a);
}

/* Layers that differ in their rope base only share the attention. */
Test(import, kernels_are_shared) {
    arena *a = arena_new();
    model m;
    outcome(a, "{'model_type': 'gemma3_text', 'sliding_window_pattern': 1}", "core", &m);
    cr_expect_eq(m.kernel_count, 1);
    outcome(a, "{'model_type': 'whisper'}", "core", &m);
    cr_expect_eq(m.kernel_count, 2, "encoder and cross-attention have one kernel");
    outcome(a, "gemma-3-1b.json", "core", &m);
    cr_expect_eq(m.kernel_count, 2);
    arena_free(a);
}

Test(import, depth_and_size) {
    arena *a = arena_new();
    model m;
    buf b = buf_new(a);
    buf_puts(&b, "{'model_type': 'llama', 'x': ");
    for (int i = 0; i < 100000; i++) buf_puts(&b, "[");
    cr_expect_not_null(strstr(outcome(a, b.data, "core", &m), "nested more than 64 levels deep"));
    b = buf_new(a);
    buf_puts(&b, "{'model_type': 'llama'");
    for (int i = 0; i < 40000; i++) buf_printf(&b, ", 'k%d': %d", i, i);
    buf_puts(&b, "}");
    cr_expect_not_null(strstr(outcome(a, b.data, "core", &m), "k39999"));
    arena_free(a);
}

/* Any cut of a file is an error, not a crash. */
Test(import, cuts) {
    arena *a = arena_new();
    const import_case c = {.config = "gpt-oss-20b.json", .edits = ""};
    char *text = config_text(a, &c);
    for (size_t n = strlen(text) - 3; n > 0; n -= n > 7 ? 7 : n) {
        model m;
        diag d = {0};
        const char *notes;
        text[n] = 0;
        cr_expect_not(model_from_hf(a, "c.json", text, NULL, 0, &m, &notes, &d));
        cr_expect_not_null(strstr(d.text, "c.json:"));
    }
    arena_free(a);
}

Test(import, command_line) {
    arena *a = arena_new();
    options o;
    diag d = {0};
    char *fine[] = {"attn-gen", "explain", "x.json", "--level=core", "--backend=flex"};
    cr_expect(cli_parse(a, 5, fine, &o, &d), "%s", d.text);
    char *refuse[] = {"attn-gen", "explain", "x.json", "--heads=3"};
    cr_expect_not(cli_parse(a, 4, refuse, &o, &d));
    cr_expect_not_null(strstr(d.text, "--heads: a kernel flag and a MODEL"));
    arena_free(a);
}
