/* The Lua host: sandbox, budgets, values in and out; and model files as a whole. */
#include "embedded.h"
#include "spec/model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *error_of(arena *a, const char *source) {
    lua_val *v = NULL;
    diag d = {0};
    if (lua_eval_model(a, "m.lua", source, embedded_find("gen/lua/prelude.lua"), &v, &d)) return "";
    return arena_strdup(a, d.text);
}

static void expect_error(const char *source, const char *text) {
    arena *a = arena_new();
    const char *got = error_of(a, source);
    cr_expect_not_null(strstr(got, text), "%.80s\n  gives: %s\n  lacks: %s", source, got, text);
    arena_free(a);
}

static lua_val *value_of(arena *a, const char *source) {
    lua_val *v = NULL;
    diag d = {0};
    bool ok = lua_eval_model(a, "m.lua", source, embedded_find("gen/lua/prelude.lua"), &v, &d);
    cr_assert(ok, "%s", d.text);
    return v;
}

Test(lua, values_come_out) {
    arena *a = arena_new();
    lua_val *v = value_of(a, "return { 7, 'x', z = 1.5, b = true, t = { c = -3 } }");
    cr_assert_eq(v->field_count, 5);
    cr_expect_null(v->field[0].name);
    cr_expect_eq(v->field[0].value->integer, 7);
    cr_expect_str_eq(v->field[1].value->string, "x");
    cr_expect_str_eq(v->field[2].name, "b"); /* named fields are sorted */
    cr_expect_eq(lua_val_get(v, "z")->number, 1.5);
    cr_expect_eq(lua_val_get(v, "z")->kind, LUA_VAL_FLOAT);
    cr_expect_eq(lua_val_get(lua_val_get(v, "t"), "c")->integer, -3);
    cr_expect_null(lua_val_get(v, "nothing"));
    arena_free(a);
}

Test(lua, absent_names_are_named) {
    static const char *const names[] = {
        "pairs",  "next",       "pcall",        "xpcall",       "coroutine",
        "load",   "loadstring", "dofile",       "io",           "require",
        "os",     "debug",      "print",        "package",      "_G",
        "rawset", "rawget",     "setmetatable", "getmetatable", "loadfile",
        "utf8",   "warn",       "rawlen",       "rawequal",     "collectgarbage"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char source[64], text[64];
        snprintf(source, sizeof source, "\nlocal x = %s", names[i]);
        snprintf(text, sizeof text, "m.lua:2:1: %s is not available: ", names[i]);
        expect_error(source, text);
    }
    expect_error("for k in pairs({}) do end",
                 "pairs is not available: its order is not defined; use ipairs");
    expect_error("return layrs", "m.lua:1:1: undefined name 'layrs'");
    expect_error("return string.dump(causal)", "field 'dump'");
    expect_error("return ('').dump()", "field 'dump'");
    expect_error("return math.random()", "field 'random'");
}

Test(lua, errors_carry_the_line) {
    expect_error("local x = 1\nlocal y = = 2", "m.lua:2:1: unexpected symbol near '='");
    expect_error("\n\nerror('no such width')", "m.lua:3:1: no such width");
    expect_error("local function f() error('up', 2) end\nf()", "m.lua:2:1: up");
    expect_error("error('plain', 0)", "m.lua:1:1: plain");
    expect_error("\nerror({})", "m.lua:2:1: error was called with a table");
    expect_error("\nerror()", "m.lua:2:1: error was called without a message");
    expect_error("\nassert(false, {})", "m.lua:2:1: failed with a table");
    expect_error("\nassert(false)", "m.lua:2:1: assertion failed!");
    expect_error("\nlocal t\nreturn t.x", "m.lua:3:1: attempt to index a nil value (local 't')");
    expect_error("\nlocal x = sliding({})", "m.lua:2:1: sliding: w must be an expression");
    expect_error("\nlocal x = both()", "m.lua:2:1: needs one or more masks");
    expect_error("\nlocal x = both('true', nil, 'k < q')", "m.lua:2:1: mask 2 must be");
    expect_error("\nlocal x = document('a b')", "m.lua:2:1: document: t must be the name");
    expect_error("\nlocal x = rep('x')", "m.lua:2:1: rep: n must be an integer");
    expect_error("\x1bLua\x54", "binary chunk");
    expect_error("error('\\27[31mred')", "?[31mred");
}

Test(lua, results_are_plain) {
    expect_error("", "must return a table");
    expect_error("return 5", "must return a table");
    expect_error("local t = {} t.t = { t } return t", "t[1] is a table that contains itself");
    expect_error("return { f = function() end }", "f is a function");
    expect_error("return { s = 'a\\0b' }", "s holds a zero byte");
    expect_error("return { ['a\\0b'] = 1 }", "holds a zero byte");
    expect_error("return { [1.5] = 1 }", "neither a name nor an integer");
    expect_error("return { [true] = 1 }", "neither a name nor an integer");
    expect_error("return { [0] = 1 }", "list with holes");
    expect_error("return { l = { 1, nil, 3 } }", "l is a list with holes");
    expect_error("local t = {} for i = 1, 30 do t = { t } end return t", "nested too deep");
    expect_error("local t = { 1 } for i = 1, 14 do t = { t, t, t, t, t } end return t",
                 "too large");
    expect_error("local s = ('x'):rep(1e6) local t = {} for i = 1, 99 do t[i] = s end return t",
                 "larger than 16 MiB");
    expect_error("return { tostring({}) }", "a table has no text");
    expect_error("return { string.format('%s', print) }", "print is not available");
    expect_error("return { string.format('%5.1s', rep) }", "a function has no text");
    expect_error("return { string.format('%d%%%-5p', 1, 'x') }", "prints an address");
}

Test(lua, budgets, .timeout = 300) {
    expect_error("while true do end", "m.lua:1:1: ran more than 50 million steps");
    expect_error("\nlocal function f() return f() end f()", "m.lua:2:1: ran more than 50 million");
    expect_error("\nlocal function f() return 1 + f() end f()", "endless recursion");
    expect_error("\nlocal s = 'x' while true do s = s .. s end",
                 "m.lua:2:1: used more than 64 MiB");
    expect_error("\nreturn ('x'):rep(1e9)", "m.lua:2:1: used more than 64 MiB");
    expect_error("\nreturn ('x'):rep(1 << 62)", "m.lua:2:1: resulting string too large");
    expect_error("\nlocal t = {} while true do t[#t + 1] = {} end", "used more than 64 MiB");
    expect_error("\nreturn ('x'):rep(1e6):gsub('x', ('y'):rep(1e4))", "used more than 64 MiB");
    expect_error("\nreturn table.unpack({}, 1, 1e8)", "too many results to unpack");
    expect_error("\nreturn string.format('%9999999d', 1)", "m.lua:2:1: invalid conversion");
    expect_error("table.sort({ 3, 2, 1, 5, 4, 6, 7, 8, 9 }, function() return true end)",
                 "invalid order function");
    expect_error("return ('x'):rep(1e5):gsub('.', function() while true do end end)",
                 "50 million steps");
    char deep[4096];
    memset(deep, '{', sizeof deep - 1);
    memcpy(deep, "return ", 7);
    deep[sizeof deep - 1] = 0;
    expect_error(deep, "overflow");
    char *large = calloc(1, (1 << 20) + 2);
    memset(large, ' ', (1 << 20) + 1);
    expect_error(large, "larger than 1 MiB");
    free(large);
}

/* C functions of Lua run without steps: the clock ends the program. */
static void expect_late(const char *source) {
    int out[2];
    cr_assert_eq(pipe(out), 0);
    struct rusage before, after;
    getrusage(RUSAGE_CHILDREN, &before);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        dup2(out[1], STDERR_FILENO);
        arena *a = arena_new();
        error_of(a, source);
        _exit(7);
    }
    close(out[1]);
    char text[256] = "";
    size_t n = 0;
    for (ssize_t got; (got = read(out[0], text + n, sizeof text - 1 - n)) > 0;) n += (size_t)got;
    close(out[0]);
    int status = 0;
    waitpid(child, &status, 0);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 2, "%s: status %x", source, status);
    cr_expect_str_eq(text, "m.lua: error: model file ran longer than 5 s\n");
    getrusage(RUSAGE_CHILDREN, &after);
    cr_expect_lt(after.ru_utime.tv_sec - before.ru_utime.tv_sec, 10);
}

Test(lua, slow_pattern_ends, .timeout = 300) {
    expect_late("return ('x'):rep(10000):find(('.-'):rep(12) .. 'y')");
}

Test(lua, slow_move_ends, .timeout = 300) {
    expect_late("table.move({}, 1, 1 << 60, 2)");
}

Test(lua, prelude_composes) {
    arena *a = arena_new();
    lua_val *v = value_of(
        a, "return { both(causal(), document('doc')), either(sliding(7), 'k < prefix'),"
           " negate(block_diagonal(128)), sliding_both('window', 3), prefix_lm('n'), dilated(2),"
           " alibi('slope'), softcapped(30), softcapped(2.5), relative_bias('t', 64),"
           " t5_bias('t', 32, 128, true), t5_bias('t', 32, 128),"
           " chain(alibi('slope'), softcapped(30)), #rep(3, {}), sliding('a + 1') }");
    static const char *const expected[] = {
        "(k <= q) and (doc[q] == doc[k])",
        "(k <= q and q - k <= 7) or (k < prefix)",
        "not (q // 128 == k // 128)",
        "q - k <= window and k - q <= 3",
        "k <= q or k < n",
        "(q - k) % 2 == 0",
        "s + slope[h] * (k - q)",
        "30 * tanh(s / 30)",
        "2.5 * tanh(s / 2.5)",
        "s + t[h][clamp(q - k, -64, 64) + 64]",
        "s + t[where(max(q - k, 0) < 16, max(q - k, 0), min(16 + int(log(max(max(q - k, 0), 1) / "
        "16) "
        "/ log(128 / 16) * 16), 31))][h]",
        "s + t[where(k > q, 16, 0) + where(abs(q - k) < 8, abs(q - k), min(8 + int(log(max(abs(q - "
        "k), 1) / 8) / log(128 / 8) * 8), 15))][h]",
        "30 * tanh((s + slope[h] * (k - q)) / 30)",
        NULL,
        "k <= q and q - k <= (a + 1)",
    };
    for (int i = 0; i < v->field_count; i++)
        if (expected[i]) cr_expect_str_eq(v->field[i].value->string, expected[i]);
    cr_expect_eq(v->field[13].value->integer, 3);
    arena_free(a);
}

/* --- Templates --- */

static bool render(arena *a, const char *chunk, const char *driver, const char **text, diag *d) {
    const lua_source sources[] = {{"part/a.tpl", chunk}, {"b.tpl", "\nreturn f()"}};
    lua_val *data = lua_val_table(a), *list = lua_val_table(a);
    lua_val_set_int(a, list, NULL, 4);
    lua_val_set_float(a, list, NULL, 0.5);
    lua_val_set(a, data, "list", list);
    lua_val_set_string(a, data, "name", "tile");
    lua_val_set_bool(a, data, "on", true);
    return lua_render(a, sources, 2, driver, data, text, d);
}

Test(lua, templates_render) {
    arena *a = arena_new();
    const char *text = NULL;
    diag d = {0};
    bool ok = render(a, "return x .. data.name .. data.list[1]",
                     "return chunk('part/a.tpl', { x = f32(data.list[2]) .. ' ', data = data })()"
                     " .. f32(3) .. f32(-1/0) .. tostring(data.on)",
                     &text, &d);
    cr_assert(ok, "%s", d.text);
    cr_assert_str_eq(text, "0x1p-1f tile40x1.8p+1f-INFINITYtrue");
    arena_free(a);
}

static void expect_render_error(const char *chunk, const char *driver, const char *expected) {
    arena *a = arena_new();
    const char *text = NULL;
    diag d = {0};
    cr_expect_not(render(a, chunk, driver, &text, &d));
    cr_expect_not_null(strstr(d.text, expected), "gives: %s\nlacks: %s", d.text, expected);
    arena_free(a);
}

Test(lua, template_errors_carry_lines) {
    static const char driver[] = "local e = { error = error } e.f = chunk('part/a.tpl', e)\n"
                                 "return chunk('b.tpl', e)()";
    expect_render_error("local x\nreturn x.y", "return chunk('part/a.tpl', {})()",
                        "part/a.tpl:2: attempt to index a nil value");
    expect_render_error("\n\nlocal r = error('bad') return r", driver,
                        "part/a.tpl:3: bad\n    at part/a.tpl:3");
    expect_render_error("\nreturn = 1", driver, "part/a.tpl:2: unexpected symbol");
    expect_render_error("", "return chunk('none.tpl', {})", "there is no template 'none.tpl'");
    expect_render_error("", "return f32('3')", "f32 needs a number, got string");
    expect_render_error("", "return f32(nil)", "f32 needs a number, got nil");
    expect_render_error("", "return f32(0/0)", "nan");
    expect_render_error("", "return f32(1e300)", "too large");
    expect_render_error("", "return pairs", "pairs is not available");
    expect_render_error("", "return 5", "must return a string");
}

/* --- Model files --- */

static void load(arena *a, const char *path, const char *source, model *m) {
    diag d = {0};
    bool ok = model_from_lua(a, path, source, m, &d);
    cr_assert(ok, "%s", d.text);
}

static void expect_same(const model *x, const model *y) {
    cr_expect_str_eq(x->name, y->name);
    cr_assert_eq(x->layer_count, y->layer_count);
    cr_assert_eq(x->kernel_count, y->kernel_count);
    for (int i = 0; i < x->layer_count; i++) cr_expect_eq(x->layer_kernel[i], y->layer_kernel[i]);
    for (int i = 0; i < x->kernel_count; i++) {
        const kernel_spec *p = &x->kernels[i], *q = &y->kernels[i];
        cr_expect_eq(memcmp(&p->core, &q->core, sizeof p->core), 0, "%s", p->name);
        cr_expect_str_eq(p->name, q->name);
        cr_expect_str_eq(p->score ? p->score : "", q->score ? q->score : "");
        cr_expect_str_eq(p->mask ? p->mask : "", q->mask ? q->mask : "");
        cr_expect_eq(p->tensor_count, q->tensor_count);
        cr_expect_eq(p->scalar_count, q->scalar_count);
    }
}

Test(model, printed_models_read_back) {
    int seen = 0;
    for (size_t i = 0; i < embedded_file_count; i++) {
        const embedded_file *f = &embedded_files[i];
        if (strncmp(f->path, "gen/models/", 11) != 0) continue;
        arena *a = arena_new();
        model first, second;
        load(a, f->path, f->text, &first);
        const char *printed = model_to_lua(a, &first);
        load(a, "other.lua", printed, &second);
        expect_same(&first, &second);
        cr_expect_str_eq(printed, model_to_lua(a, &second));
        seen++;
        arena_free(a);
    }
    cr_assert_geq(seen, 6);
}

Test(model, long_names_of_flag_models_read_back) {
    arena *a = arena_new();
    model m, again;
    load(a, "m.lua",
         "return { layers = { { backend = 'flex', op = 'segment_cross', heads = 16384,"
         " kv_heads = 8192, v_heads = 4096, head_dim = 3, v_dim = 5, lookback = 12345,"
         " scale = 0.123456, softcap = 1.23456, mask = 'k != 3\\n or k == 5' } } }",
         &m);
    m.name = m.kernels[0].name;
    cr_assert_gt(strlen(m.name), 64);
    load(a, "other.lua", model_to_lua(a, &m), &again);
    expect_same(&m, &again);
    arena_free(a);
}

Test(model, equal_layers_share_a_kernel) {
    arena *a = arena_new();
    model m;
    load(a, "dir/two.kinds-1.lua",
         "local a = { heads = 8.0, head_dim = 64, backend = 'flex', mask = 'k<=q' }\n"
         "local b = { heads = 8, kv_heads = 8, head_dim = 64, backend = 'flex', mask = '(k <= q)' "
         "}\n"
         "local c = { heads = 8, head_dim = 64, scale = 1 / 8 }\n"
         "local d = { heads = 8, head_dim = 64, tensor = {} }\n"
         "return { layers = { a, b, c, d, a } }",
         &m);
    cr_expect_str_eq(m.name, "two.kinds-1");
    cr_expect_eq(m.layer_count, 5);
    cr_expect_eq(m.kernel_count, 2);
    cr_expect_eq(m.layer_kernel[1], 0);
    cr_expect_eq(m.layer_kernel[3], 1);
    cr_expect_eq(m.layer_kernel[4], 0);
    arena_free(a);
}

/* Declarations are part of what a kernel computes, and so of its hash. */
Test(model, hash_covers_declarations) {
    arena *a = arena_new();
    model m;
    load(a, "m.lua",
         "local function layer(t) return { heads = 8, head_dim = 64, backend = 'flex',\n"
         "    score = 's + 0', tensor = t } end\n"
         "return { layers = { layer('x=f32[heads]'), layer('x=i32[heads]'), layer(nil),\n"
         "    { heads = 8, head_dim = 64, backend = 'flex' } } }",
         &m);
    cr_expect_eq(m.kernel_count, 4);
    cr_expect_neq(m.kernels[0].core.expr_hash, m.kernels[1].core.expr_hash);
    cr_expect_neq(m.kernels[0].core.expr_hash, m.kernels[2].core.expr_hash);
    cr_expect_eq(m.kernels[3].core.expr_hash, 0);
    arena_free(a);
}

Test(model, catalog_shows_every_combination) {
    arena *a = arena_new();
    model m;
    load(a, "gen/models/catalog.lua", embedded_find("gen/models/catalog.lua"), &m);
    bool seen[2][3][2] = {{{false}}}, layer[2] = {false}, shared = false;
    for (int i = 0; i < m.kernel_count; i++) {
        const attn_spec *s = &m.kernels[i].core;
        if (s->level == ATTN_LEVEL_CORE) seen[s->form][s->op][s->backend] = true;
        if (s->level == ATTN_LEVEL_BLOCK) layer[s->form] = true;
        shared = shared || m.kernels[i].expanded >= 0;
    }
    cr_expect(layer[ATTN_FORM_REGULAR] && layer[ATTN_FORM_MLA] && shared, "layers of both forms");
    for (int i = 0; i < 12; i++) cr_expect(seen[i / 6][i / 2 % 3][i % 2], "combination %d", i);
    arena_free(a);
}

/* Fields around the layers that do not go together. */
Test(model, around_the_layers) {
    static const struct {
        const char *fields, *says; /* null: they do */
    } cases[] = {
        {"vocab = 9, names = 'albert', embed_project = 'last', embed_width = 8", NULL},
        {"vocab = 9, names = 'opt', embed_project = 'first', embed_width = 8, head = 'tied', "
         "head_project = true",
         NULL},
        {"vocab = 9, names = 'albert', layer_groups = 2", NULL},
        {"vocab = 9, names = 'albert', layer_groups = 1",
         "layer 2 shares weights with layer 1, and is another kernel"},
        {"vocab = 9, names = 'albert', layer_groups = 3", "layer_groups is 3, and there are 2"},
        {"vocab = 9, embed_width = 8", "embed_width needs embed_project"},
        {"vocab = 9, embed_project = 'last'", "embed_project needs names = electra, albert or opt"},
        {"vocab = 9, names = 'electra', embed_project = 'last', files = 'gguf'",
         "embed_project and head_project need files = safetensors"},
        {"vocab = 9, names = 'opt', embed_project = 'first', embed_width = 8, head = 'tied'",
         "head = tied is of embed_width = 8 columns, and rows have 16: head_project"},
        {"vocab = 9, names = 'electra', head = 'own', head_project = true",
         "head_project needs names = opt"},
        {"vocab = 9, names = 'opt', head_project = true", "head_project needs a head"},
        {"input = 'rows', names = 'electra', embed_project = 'last'",
         "input = rows has no vocab, tables, embed_project or head"},
    };
    arena *a = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static const char layer[] = "level = 'block', heads = 2, d_model = 16, norm = ";
        const char *text =
            arena_printf(a, "return { layers = { { %s'none' }, { %s'rmsnorm' } }, model = { %s } }",
                         layer, layer, cases[i].fields);
        model m;
        diag d = {0};
        const bool ok = model_from_lua(a, "m.lua", text, &m, &d);
        cr_expect_eq(ok, !cases[i].says, "%s: %s", cases[i].fields, ok ? "taken" : d.text);
        if (!ok && cases[i].says) cr_expect_not_null(strstr(d.text, cases[i].says), "%s", d.text);
    }
    arena_free(a);
}

/* What the command line says of all layers. */
Test(lua, model_change) {
    arena *a = arena_new();
    static const char text[] = "return { layers = { { heads = 2, head_dim = 8 },\n"
                               "  { level = 'block', heads = 2, d_model = 16, kv_type = 'f32' },\n"
                               "  { level = 'block', form = 'mla', key = 'shared', heads = 2, "
                               "d_model = 16, head_dim = 8,\n"
                               "    retr_dim = 4, kv_comp_dim = 32 } } }";
    model m;
    diag d = {0};
    cr_assert(model_from_lua(a, "m.lua", text, &m, &d), "%s", d.text);
    const lua_val bf16 = {.kind = LUA_VAL_STRING, .string = "bf16"};
    const lua_val wrong = {.kind = LUA_VAL_STRING, .string = "bf17"};
    spec_input in[] = {
        {.field = "backend", .value = &bf16, .from_flag = true, .where = "--backend"},
        {.field = "kv_type", .value = &bf16, .from_flag = true, .where = "--kv-type"}};
    const int kernels = m.kernel_count;
    cr_assert(model_change(a, &m, in, 1, &d)); /* of a config.json alone */
    cr_assert_eq(m.kernels[m.layer_kernel[0]].core.kv_type, ATTN_KV_TYPE_SAME);
    cr_assert(model_change(a, &m, in, 2, &d), "%s", d.text);
    cr_assert_eq(m.layer_count, 3);
    cr_assert_eq(m.kernel_count, kernels);
    for (int i = 0; i < m.layer_count; i++) {
        const kernel_spec *k = &m.kernels[m.layer_kernel[i]];
        cr_expect_eq(k->core.kv_type, ATTN_KV_TYPE_BF16, "layer %d", i);
        cr_expect_not_null(strstr(k->name, "_kvbf16_"), "%s", k->name);
        cr_expect(k->outer);
        if (k->inner < 0) continue;
        cr_expect_eq(m.kernels[k->inner].core.kv_type, ATTN_KV_TYPE_BF16, "layer %d's core", i);
        /* Keys a head are made of the stored rows, in f32. */
        if (k->expanded >= 0)
            cr_expect_eq(m.kernels[k->expanded].core.kv_type, ATTN_KV_TYPE_SAME, "layer %d", i);
    }
    in[1].value = &wrong;
    cr_expect_not(model_change(a, &m, in, 2, &d));
    cr_expect_not_null(strstr(d.text, "--kv-type: must be one of 'same', 'f32', 'bf16'"), "%s",
                       d.text);
    arena_free(a);
}
