/* Tune files: what is read is what is planned; anything else is refused with its place. */
#include "plan/cost.h"
#include "output/emit.h"
#include "plan/tune_file.h"

#include <criterion/criterion.h>
#include <string.h>

static const char model_text[] =
    "return { layers = { { heads = 8, kv_heads = 2, head_dim = 64 },\n"
    "{ backend = 'flex', heads = 3, head_dim = 17, score = 's + k' },\n"
    "{ op = 'segment_cross', heads = 3, head_dim = 17 },\n"
    "{ heads = 2, head_dim = 32, type = 'bf16', dot = 'bf16' } } }\n";
static const char name0[] = "attn_f32_regular_sdpa_full_self_h8k2d64";

static model make_model(arena *a) {
    model m;
    diag d = {0};
    cr_assert(model_from_lua(a, "m.lua", model_text, &m, &d), "%s", d.text);
    return m;
}

/* The message about a tune file, "" if it is read. */
static const char *message(arena *a, const char *text) {
    const model m = make_model(a);
    tune_set set;
    diag d = {0};
    return tune_read(a, "dir/t.lua", text, &m, &set, &d) ? "" : arena_strdup(a, d.text);
}

static const struct {
    const char *text, *message;
} refused[] = {
    {"return 5", "must return a table"},
    {"return {\n  3,\n}", "a tune file is a table of kernels by their names"},
    {"return {\n  attn_x = {},\n}", "dir/t.lua:2:3: unknown kernel 'attn_x'; allowed: attn_f32"},
    {"return {\n  KERNEL = 3,\n}", "dir/t.lua:2:"},
    {"return {\n  KERNEL = {\n    avx3 = {} } }", "dir/t.lua:3:5: unknown instruction set 'avx3'"},
    {"return {\n  KERNEL = {\n    avx2 = 1 } }", "dir/t.lua:3:5: must be a table of parameters"},
    {"return {\n  KERNEL = {\n    avx2 = { 1 } } }", "dir/t.lua:3:5: holds a value without a key"},
    {"return {\n  KERNEL = {\n    avx2 = {\n tilse = 1 } } }",
     "dir/t.lua:4:2: unknown parameter 'tilse' (did you mean 'tiles'?); allowed: vectors, keys"},
    {"return {\n  KERNEL = {\n    avx2 = {\n tiles = 1.5 } } }",
     "dir/t.lua:4:2: tiles must be an integer, got a fraction"},
    {"return {\n  KERNEL = {\n    avx2 = {\n tiles = 33 } } }",
     "dir/t.lua:4:2: tiles must be from 1 to 32, got 33"},
    {"return {\n  KERNEL = {\n    avx2 = {\n tiles = 0 } } }", "must be from 1 to 32, got 0"},
    {"return {\n  KERNEL = {\n    avx2 = {\n tiles = -1 } } }", "must be from 1 to 32, got -1"},
    {"return {\n  KERNEL = {\n    avx2 = {\n lazy = 1 } } }", "lazy must be true or false"},
    {"return {\n  KERNEL = {\n    avx2 = {\n keys = 5 } } }",
     "dir/t.lua:4:2: keys: at most 4 keys x 3 vectors of queries fit the 16 registers, got 5"},
    {"return {\n  KERNEL = {\n    avx2 = {\n columns = 4 } } }", "more than 8 groups"},
    {"return {\n  KERNEL = {\n    avx2 = {\n key_block = 100 } } }",
     "dir/t.lua:4:2: key_block: must be a multiple of 8, got 100"},
    {"return {\n  KERNEL = {\n    avx2 = {\n unroll = 65 } } }", "at most the head width, 64"},
    {"return {\n  KERNEL = {\n    avx2 = {\n unroll = 257 } } }", "must be from 1 to 256, got 257"},
    {"return {\n  KERNEL = {\n    avx2 = {\n unroll = 8, prefetch = 1 } } }",
     "dir/t.lua:4:14: prefetch: must be 0 where unroll (8) is no multiple of 16"},
    {"return {\n  KERNEL = {\n    avx2 = {\n dot_keys = 6 } } }", "must be a power of two, got 6"},
    {"return {\n  KERNEL = {\n    avx2 = {\n part_keys = 200 } } }",
     "must be a multiple of key_block (96), got 200"},
    {"return {\n  SCORED = {\n    avx2 = {\n lazy = true } } }",
     "dir/t.lua:4:2: lazy: must be false: a score expression may drift"},
    {"return {\n  GATHER = {\n    avx2 = {\n tiles = 2 } } }",
     "dir/t.lua:4:2: tiles: a gather kernel has nothing to choose"},
    {"return {\n  PAIRS = {\n    avx512bf16 = {\n unasked = 1 } } }",
     "dir/t.lua:4:2: unasked must be true or false, got an integer"},
    {"return {\n  PAIRS = {\n    avx512 = {\n unasked = true } } }",
     "dir/t.lua:4:2: unasked: says nothing of avx512, which is taken wherever no better one runs"},
    {"return {\n  KERNEL = {\n    avx512bf16 = {\n unasked = true } } }",
     "dir/t.lua:4:2: unasked: this kernel has no code of its own for avx512bf16"},
};

static const char *replace(arena *a, const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    if (!at) return text;
    return arena_printf(a, "%.*s[\"%s\"]%s", (int)(at - text), text, to, at + strlen(from));
}

static const char *with_names(arena *a, const model *m, const char *text) {
    text = replace(a, text, "KERNEL", m->kernels[0].name);
    text = replace(a, text, "SCORED", m->kernels[1].name);
    text = replace(a, text, "PAIRS", m->kernels[3].name);
    return replace(a, text, "GATHER", m->kernels[2].name);
}

Test(tune, refused) {
    arena *a = arena_new();
    const model m = make_model(a);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const char *text = with_names(a, &m, refused[i].text), *got = message(a, text);
        cr_expect(strstr(got, refused[i].message), "%s\n  gives: %s\n  lacks: %s", text, got,
                  refused[i].message);
    }
    arena_free(a);
}

Test(tune, read_and_planned) {
    arena *a = arena_new();
    const model m = make_model(a);
    cr_assert_str_eq(m.kernels[0].name, name0);
    const char *text = with_names(a, &m,
                                  "return { KERNEL = { avx2 = { key_block = 192, unroll = 8, "
                                  "lazy = false } } }");
    tune_set set;
    diag d = {0};
    cr_assert(tune_read(a, "t.lua", text, &m, &set, &d), "%s", d.text);
    const plan_choice *choice = tune_find(&set, name0, ATTN_ISA_AVX2);
    cr_assert_not_null(choice);
    cr_expect_null(tune_find(&set, name0, ATTN_ISA_AVX512));
    plan own, tuned;
    plan_make(a, &m.kernels[0], &isa_table[ATTN_ISA_AVX2], 0, NULL, &own);
    plan_make(a, &m.kernels[0], &isa_table[ATTN_ISA_AVX2], 0, choice, &tuned);
    cr_expect_eq(own.key_block, 96);
    cr_expect_eq(tuned.key_block, 192);
    cr_expect_eq(tuned.part_keys, 384); /* follows */
    cr_expect_eq(tuned.tile[2].unroll, 8);
    cr_expect_eq(tuned.tile[2].prefetch, 0);
    cr_expect(own.lazy && !tuned.lazy);
    cr_expect(strstr(tuned.note[0], "tune file: key_block 192 (without it: 96), unroll 8"), "%s",
              tuned.note[0]);
    cr_expect(strstr(tuned.symbol, "__avx2_q24k192"));
    arena_free(a);
}

/* What was measured of an instruction set is in the kernel, for whoever makes a plan of it. */
Test(tune, taken_unasked) {
    static const char *const member[] = {".unasked = ATTN_UNASKED_NO,",
                                         ".unasked = ATTN_UNASKED_YES,"};
    arena *a = arena_new();
    const model m = make_model(a);
    for (int yes = 0; yes < 2; yes++) {
        const char *text = arena_printf(a, "return { PAIRS = { avx512bf16 = { unasked = %s } } }",
                                        yes ? "true" : "false");
        tune_set set;
        diag d = {0};
        gen_files files;
        cr_assert(tune_read(a, "t.lua", with_names(a, &m, text), &m, &set, &d), "%s", d.text);
        cr_expect_eq(tune_find(&set, m.kernels[3].name, ATTN_ISA_AVX512BF16)->unasked, yes);
        const gen_options o = {.isa_mask = isa_all(), .tune = &set};
        const product_list p = products_make(a, &m, &o);
        cr_assert(gen_render(a, &p, &files, &d), "%s", d.text);
        int saying = 0;
        for (int i = 0; i < files.count; i++) {
            if (!strstr(files.file[i].path, "__") || !strstr(files.file[i].text, member[yes]))
                continue;
            saying++;
            cr_expect(strstr(files.file[i].path, "__avx512bf16_"), "%s", files.file[i].path);
        }
        cr_expect_eq(saying, 1);
    }
    arena_free(a);
}

static bool render_same(arena *a, const model *m, const tune_set *set, gen_files *first) {
    const gen_options o = {.isa_mask = 7, .tune = set};
    gen_files second;
    diag d = {0};
    const product_list p = products_make(a, m, &o);
    cr_assert(gen_render(a, &p, first, &d), "%s", d.text);
    cr_assert(gen_render(a, &p, &second, &d), "%s", d.text);
    if (first->count != second.count) return false;
    for (int i = 0; i < second.count; i++)
        if (strcmp(first->file[i].path, second.file[i].path) ||
            strcmp(first->file[i].text, second.file[i].text))
            return false;
    return true;
}

/* The file is all that counts: a full record of the plan's own choices gives the plan's own code.
 */
Test(tune, deterministic) {
    arena *a = arena_new();
    const model m = make_model(a);
    const char *text =
        with_names(a, &m, "return { KERNEL = { avx2 = { vectors = 2 }, avx512 = { keys = 8 } } }");
    tune_set set;
    diag d = {0};
    gen_files files;
    cr_assert(tune_read(a, "t.lua", text, &m, &set, &d), "%s", d.text);
    cr_expect(render_same(a, &m, &set, &files));
    bool kept = false;
    for (int i = 0; i < files.count; i++)
        kept |= !strcmp(files.file[i].path, "tune.lua") && !strcmp(files.file[i].text, text);
    cr_expect(kept);
    arena_free(a);
}

/* Whatever plan_check accepts, the templates print, on every instruction set. */
Test(tune, every_choice_renders) {
    const int rounds = getenv("ATTN_FULL") ? 400 : 150;
    arena *a = arena_new();
    const model m = make_model(a);
    uint64_t state = 1;
    int rendered = 0, made[PLAN_PARAMS] = {0};
    for (int round = 0; round < rounds; round++) {
        tune_set set = {.text = "", .entry = arena_alloc(a, 8 * sizeof(tune_entry))};
        const int isa = round % ATTN_ISA_COUNT;
        for (int k = 0; k < 2; k++) {
            plan_choice c = plan_choice_none(), next = c;
            for (int i = 0; i < PLAN_PARAMS; i++) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                const plan_param *p = &plan_params[i];
                const int span = (p->max < 260 ? p->max : 260) - p->min + 1;
                int value = p->min + (int)((state >> 33) % (unsigned)span), wrong;
                if (!strcmp(p->name, "key_block")) value = value / 8 * 8;
                if (!strcmp(p->name, "part_keys")) value = 2 * (c.key_block > 0 ? c.key_block : 96);
                if (!strcmp(p->name, "dot_keys")) value = 1 << value % 6;
                plan_choice_set(&next, i, value);
                if (plan_check(a, &m.kernels[k], &isa_table[isa], &next, &wrong))
                    next = c;
                else
                    c = next, made[i]++;
            }
            set.entry[set.count++] = (tune_entry){m.kernels[k].name, (attn_isa)isa, c};
        }
        const gen_options o = {.isa_mask = 1u << isa, .tune = &set};
        gen_files files;
        diag d = {0};
        const product_list p = products_make(a, &m, &o);
        cr_assert(gen_render(a, &p, &files, &d), "round %d: %s", round, d.text);
        rendered++;
    }
    cr_expect_eq(rendered, rounds);
    for (int i = 0; i < PLAN_PARAMS; i++)
        cr_expect_gt(made[i], rounds / 20, "%s: %d legal values", plan_params[i].name, made[i]);
    arena_free(a);
}

/* The cost model's numbers where they are known: tests/bench/NOTES.md. */
Test(tune, cost) {
    arena *a = arena_new();
    const model m = make_model(a);
    plan p;
    plan_make(a, &m.kernels[0], &isa_table[ATTN_ISA_AVX2], 0, NULL, &p);
    const plan_cost c = cost_of(&p);
    cr_expect_eq(c.q_bytes, 24 * 64 * 4);
    cr_expect_eq(c.s_bytes, 24 * 96 * 4);
    cr_expect(c.fits_l1 && c.fits_l2);
    cr_expect(c.qk > 24 * 96 * 64 / 16 && c.pv > 24 * 96 * 64 / 16);
    cr_expect(c.peak_percent > 80 && c.peak_percent < 90, "%g", c.peak_percent);
    arena_free(a);
}

/* Whether keys = value makes other code than the plan's own choice. */
static bool other_code(arena *a, const char *fields, const char *param, int value) {
    model m;
    diag d = {0};
    const char *text = arena_printf(a, "return {name = 't', layers = {{%s}}}", fields);
    cr_assert(model_from_lua(a, "t.lua", text, &m, &d), "%s", d.text);
    plan own, other;
    plan_make(a, &m.kernels[0], &isa_table[ATTN_ISA_AVX2], 0, NULL, &own);
    plan_choice choice = own.choice;
    for (int i = 0; i < PLAN_PARAMS; i++)
        if (!strcmp(plan_params[i].name, param)) plan_choice_set(&choice, i, value);
    plan_make(a, &m.kernels[0], &isa_table[ATTN_ISA_AVX2], 0, &choice, &other);
    return strcmp(plan_code(a, &own), plan_code(a, &other)) != 0;
}

/* What tune measures: every choice that changes code, and none that does not. */
Test(tune, choices_that_make_other_code) {
    arena *a = arena_new();
    const char *few = "heads = 4, head_dim = 64", *many = "heads = 32, kv_heads = 1, head_dim = 64";
    cr_expect(!other_code(a, few, "unroll", 16), "the plan's own");
    cr_expect(other_code(a, few, "unroll", 8));
    cr_expect(other_code(a, few, "prefetch", 3));
    cr_expect(other_code(a, few, "dot_keys", 16));
    cr_expect(!other_code(a, many, "dot_keys", 16), "no rows run as dot products");
    arena_free(a);
}
