/* config.json -> layers: tests/import/cases.inc, read twice. */
#include "cli.h"
#include "files.h"
#include "import/import_hf.h"
#include "import/json_text.h"
#include "spec/source.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <math.h>
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
#define MEANS(config, edits, layers, pattern, a, b, c) \
    {config, edits, layers, pattern, {a, b, c}, NULL},
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
    static const char quantised[] =
        "{'model_type': 'llama', 'quantization_config': {'quant_method': 'gptq', 'bits': 4}}";
    notes = outcome(a, quantised, "block", &m);
    cr_expect_not_null(strstr(notes, "no fp8, GPTQ or AWQ"), "%s", notes);
    cr_expect_str_empty(outcome(a, quantised, "core", &m));
    notes = outcome(a,
                    "{'model_type': 'bert', 'directionality': 'bidi', 'pruned_heads': {}, "
                    "'_flash_attn_2_enabled': true, 'pooler_num_attention_heads': 12}",
                    "block", &m);
    cr_expect_not_null(strstr(notes, ": directionality, pruned_heads, _flash_attn_2_enabled\n"),
                       "%s", notes);
    arena_free(a);
}

/* What a config.json says of what stands around its layers, as "field = value; .."; and why no
 * whole model is made of it. */
static const char *around(arena *a, const char *json, const char **why) {
    static const char *const fields[] = {
        "names",       "embed_norm",   "embed_project", "embed_project_bias",
        "embed_width", "head_project", "layer_groups",  "final_norm",
        "input"};
    model m;
    attn_model_spec usual;
    *why = outcome(a, json, "block", &m);
    buf b = buf_new(a);
    whole_begin(&usual);
    for (size_t i = 0; m.is_whole && i < sizeof fields / sizeof *fields; i++) {
        const whole_field *f = whole_find(fields[i]);
        if (whole_get(f, &m.whole) != whole_get(f, &usual))
            buf_printf(&b, "%s%s=%s", *b.data ? " " : "", f->name, whole_text(a, f, &m.whole));
    }
    return b.data;
}

#define TINY "'vocab_size': 9, 'hidden_size': 32, 'num_hidden_layers': 2, 'num_attention_heads': 4"

Test(import, around_the_layers) {
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"{'model_type': 'albert', 'embedding_size': 32, " TINY "}",
         "names=albert embed_norm=layernorm embed_project=last layer_groups=1"},
        {"{'model_type': 'albert', 'num_hidden_groups': 2, " TINY "}",
         "names=albert embed_norm=layernorm embed_project=last embed_width=128 layer_groups=2"},
        {"{'model_type': 'electra', 'embedding_size': 32, " TINY "}",
         "names=electra embed_norm=layernorm"},
        {"{'model_type': 'electra', " TINY "}",
         "names=electra embed_norm=layernorm embed_project=last embed_width=128"},
        {"{'model_type': 'opt', " TINY "}", "names=opt final_norm=layernorm"},
        {"{'model_type': 'opt', 'word_embed_proj_dim': 16, 'do_layer_norm_before': false, " TINY
         "}",
         "names=opt embed_project=first embed_project_bias=false embed_width=16 head_project=true"},
        {"{'model_type': 'wav2vec2', " TINY "}", "names=wav2vec2 embed_norm=layernorm input=rows"},
        {"{'model_type': 'wav2vec2', 'do_stable_layer_norm': true, " TINY "}",
         "names=wav2vec2 final_norm=layernorm input=rows"},
    };
    arena *a = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *why, *says = around(a, cases[i].json, &why);
        cr_expect_str_eq(says, cases[i].says, "%s: %s, not %s; %s", cases[i].json, says,
                         cases[i].says, why);
    }
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

/* What is no JSON of Python's is refused at its place, in words that say what to do. */
Test(import, json_faults) {
    static const struct {
        const char *text, *says;
    } faults[] = {
        {"{\"a\": 1,}", "1:8: is no JSON from here on: a comma with nothing after it"},
        {"{\"a\": [1,\n 2,\n ]}", "2:3: is no JSON from here on: a comma with nothing after it"},
        {"{,\"a\": 1}", "1:2: is no JSON from here on: a comma with nothing before it"},
        {"{\"a\": 1,, \"b\": 2}", "1:9: is no JSON from here on: a comma with nothing before it"},
        {"{\"a\": 1 \"b\": 2}", "1:9: is no JSON from here on: before this a comma or a closing"},
        {"{\"a\": [1}", "1:9: is no JSON from here on: before this a comma or a closing"},
        {"{\"a\" 1}", "1:6: is no JSON from here on: a colon is missing after the name"},
        {"{1: 2}", "1:2: is no JSON from here on: here should stand a name in double quotes"},
        {"{'a': 1}", "1:2: is no JSON from here on: strings and names stand in double quotes"},
        {"{\"a\": 'x'}", "1:7: is no JSON from here on: strings and names stand in double"},
        {"{ // x\n}", "1:3: is no JSON from here on: it has no comments"},
        {"{\"a\": 1, # x\n}", "1:10: is no JSON from here on: it has no comments"},
        {"{\"a\": None}", "1:7: is no JSON from here on: it has true, false and null"},
        {"{\"a\": nan}", "1:7: is no JSON from here on: it writes NaN, Infinity and -Infinity"},
        {"{\"a\": truer}", "1:7: is no JSON from here on: here should stand a value"},
        {"{\"a\": 01}", "1:7: is no JSON from here on: this is not how it writes a number"},
        {"{\"a\": .5}", "1:7: is no JSON from here on: this is not how it writes a number"},
        {"{\"a\": 1.}", "1:7: is no JSON from here on: this is not how it writes a number"},
        {"{\"a\": 1e}", "1:7: is no JSON from here on: this is not how it writes a number"},
        {"{\"a\": +1}", "1:7: is no JSON from here on: this is not how it writes a number"},
        {"{\"a\": 0x1F}", "1:7: is no JSON from here on: this is not how it writes a number"},
        {"{\"a\": 1_000}", "1:7: is no JSON from here on: this is not how it writes a number"},
        {"{\"a\": \"x\n\"}", "1:7: is no JSON from here on: this quote is not closed in its line"},
        {"{\"a\": \"x\ty\"}", "1:9: is no JSON from here on: a string holds no control characters"},
        {"{\"a\": \"\\q\"}", "1:8: is no JSON from here on: a string has no such escape"},
        {"{\"a\": \"\\u12g4\"}", "1:8: is no JSON from here on: \\u needs four hexadecimal digits"},
        {"{\"a\": \"x\\u0000\"}", "1:9: a zero character is part of no name or value"},
        {"{\"a\": 1} x", "1:10: is no JSON from here on: after its last bracket or value nothing"},
        {"{\"a\": \"\xE9\"}", "1:8: is no UTF-8 from here on: save it as UTF-8"},
        {"{\"a\": \"\xC0\xAF\"}", "1:8: is no UTF-8 from here on"},
        {"{\"a\": \"\xED\xA0\x80\"}", "1:8: is no UTF-8 from here on"},
        {"\xFF\xFE{", "is UTF-16: save it as UTF-8"},
        {"version https://git-lfs.github.com/spec/v1\n",
         "1:1: is no JSON from here on: this is Git"},
        {"<!DOCTYPE html>", "1:1: is no JSON from here on: this is a web page or XML"},
        {"{\"a\": 1,\n\"b\": 2,\n\"a\": 3}", "3:1: a: is given twice, in line 1 too: remove one"},
        {"{\"a\": [1, 2", "1:12: is no JSON: the text ends before its last bracket or value does"},
        {"{\"a\":", "1:6: is no JSON: the text ends before"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        arena *a = arena_new();
        diag d = {0};
        cr_expect_null(json_read(a, "config.json", faults[i].text, NULL, &d), "%s", faults[i].text);
        const char *wanted =
            arena_printf(a, isdigit(*faults[i].says) ? ":%s" : "%s", faults[i].says);
        cr_expect_not_null(strstr(d.text, wanted), "%s\n gives: %s\n lacks: %s", faults[i].text,
                           d.text, wanted);
        arena_free(a);
    }
}

/* What Python's json reads is read, with the values it has there. */
Test(import, json_values) {
    arena *a = arena_new();
    diag d = {0};
    const json_val *v =
        json_read(a, "config.json",
                  "\xEF\xBB\xBF { \"a\": [NaN, Infinity, -Infinity, 1e400, -0.0, "
                  "12345678901234567890123, 2.0, 1E-3], \"\\u006c\\u00e9\": "
                  "\"\\ud83d\\ude00 \\ud83d \\\"\\\\\\/\\b\\f\\n\\r\\t\", \"b\": {}, "
                  "\"skip\": [1, {\"x\": \"\\u0000\"}], \"skip\": 3} \r\n",
                  json_get(json_read(a, "t", "{\"l\": [\"skip\"]}", NULL, &d), "l"), &d);
    cr_assert_not_null(v, "%s", d.text);
    const json_val *list = json_get(v, "a");
    cr_assert_eq(list->count, 8);
    cr_expect(isnan(list->item[0].number) && isinf(list->item[1].number));
    cr_expect(list->item[2].number < -1e308 && list->item[3].number > 1e308);
    cr_expect(list->item[4].number == 0 && list->item[5].number == 12345678901234567890123.0);
    cr_expect_str_eq(value_quoted(a, json_to_lua(a, &list->item[3])), "1e400");
    cr_expect_str_eq(value_quoted(a, json_to_lua(a, &list->item[4])), "-0.0");
    cr_expect_str_eq(value_quoted(a, json_to_lua(a, &list->item[1])), "Infinity");
    cr_expect_str_eq(value_quoted(a, json_to_lua(a, list)), "a list");
    cr_expect_str_eq(value_quoted(a, json_to_lua(a, json_get(v, "b"))), "an object");
    cr_expect_str_eq(json_get(v, "l\xC3\xA9")->string,
                     "\xF0\x9F\x98\x80 \xEF\xBF\xBD \"\\/\b\f\n\r\t");
    cr_expect_eq(json_get(v, "skip")->count, 0, "what nobody reads is not kept");
    cr_expect_eq(json_get(v, "b")->line, 1);
    arena_free(a);
}

static const char *name_of(arena *a, const char *path, const char *json) {
    model m = {0};
    diag d = {0};
    const char *notes;
    const import_case c = {.config = json, .edits = ""};
    cr_expect(model_from_hf(a, path, config_text(a, &c), NULL, 0, &m, &notes, &d), "%s", d.text);
    return m.name;
}

/* A model is named after its repository, not after the commit that a hub's cache has as a folder.
 */
Test(import, names) {
#define COMMIT "abcdef0123456789abcdef0123456789abcdef01"
    arena *a = arena_new();
    const char *llama = "{'model_type': 'llama'}";
    cr_expect_str_eq(
        name_of(a, "hub/models--org--Tiny-1.1B/snapshots/" COMMIT "/config.json", llama),
        "Tiny-1.1B");
    cr_expect_str_eq(name_of(a, "models--gpt--a-b/snapshots/main/config.json", llama), "a-b");
    cr_expect_str_eq(name_of(a, "models--tiny/snapshots/" COMMIT "//config.json", llama), "tiny");
    cr_expect_str_eq(name_of(a, COMMIT "/config.json", llama), "llama");
    cr_expect_str_eq(name_of(a, "/models/" COMMIT "/tiny.json", llama), "tiny");
    cr_expect_str_eq(name_of(a, "config.json",
                             "{'model_type': 'llama', '_name_or_path': "
                             "'/c/models--o--Base/snapshots/" COMMIT "'}"),
                     "Base");
    cr_expect_str_eq(
        name_of(a, "config.json", "{'model_type': 'llama', '_name_or_path': 'o/Big/'}"), "Big");
    cr_expect_str_eq(name_of(a, "./config.json", llama), "llama");
    cr_expect_str_eq(name_of(a, "two words/config.json", llama), "llama");
#undef COMMIT
    arena_free(a);
}

/* A file of many MB whose bulk is quantization, and one whose bulk nobody knows. */
Test(import, long_lists) {
    arena *a = arena_new();
    model m;
    buf b = buf_new(a);
    buf_puts(&b, "{'model_type': 'llama', 'quantization_config': {'ignore': [");
    for (int i = 0; i < 100000; i++) buf_printf(&b, "'layers.%d.q_proj', %d, ", i, i);
    buf_puts(&b, "NaN], 'quantization': {}}, 'num_hidden_layers': 2}");
    cr_expect_not_null(strstr(outcome(a, b.data, "block", &m), "the checkpoint is quantised"));
    cr_expect_eq(m.layer_count, 2);
    b = buf_new(a);
    buf_puts(&b, "{'model_type': 'llama', 'what': [");
    for (int i = 0; i < 300000; i++) buf_puts(&b, "0,");
    buf_puts(&b, "0]}");
    cr_expect_not_null(strstr(outcome(a, b.data, "block", &m), "what: is more than a config says"));
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
    char *types[] = {"attn-gen", "explain", "x.json", "--level=core", "--kv-type=bf16"};
    cr_expect(cli_parse(a, 5, types, &o, &d), "%s", d.text);
    char *refuse[] = {"attn-gen", "explain", "x.json", "--heads=3"};
    cr_expect_not(cli_parse(a, 4, refuse, &o, &d));
    cr_expect_not_null(strstr(d.text, "--heads: a kernel flag and a MODEL"));
    cr_expect_not_null(
        strstr(d.text, "a config.json takes --level, --backend, --kv-type, --rotate"));
    arena_free(a);
}
