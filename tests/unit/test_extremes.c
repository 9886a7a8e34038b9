/* Numbers near the ends of f32: a spec is refused with a sentence, or its kernels can be printed.
 */
#include "output/emit.h"

#include <criterion/criterion.h>
#include <float.h>
#include <string.h>

/* False with the message of what refused it. */
static bool renders(arena *a, const spec_input *inputs, int count, diag *d) {
    model m;
    gen_files files;
    const gen_options o = {.isa_mask = 1};
    if (!model_from_flags(a, inputs, count, &m, d)) return false;
    diag late = {0};
    const product_list p = products_make(a, &m, &o);
    cr_expect(gen_render(a, &p, &files, &late), "%s: %s", m.name, late.text);
    for (int i = 0; i < files.count; i++)
        if (!strncmp(files.file[i].path, m.name, strlen(m.name)))
            cr_expect_null(strstr(files.file[i].text, "inff"), "%s", m.name);
    return true;
}

static spec_input flag(arena *a, const char *field, const char *value) {
    lua_val *v = arena_alloc(a, sizeof *v);
    *v = (lua_val){.kind = LUA_VAL_STRING, .string = value};
    return (spec_input){.field = field, .value = v, .from_flag = true, .where = field};
}

Test(extremes, scores) {
    static const char *const numbers[] = {"",      "1",     "0",       "-1e38", "1e38",  "1e20",
                                          "1e-20", "1e-37", "1.2e-38", "1e-38", "1e-45", "50"};
    static const char *const scores[] = {"",
                                         "s * 1000000",
                                         "s / 1000000",
                                         "where(k < q, s, -3e38)",
                                         "s * 3e38",
                                         "3.4e38 * tanh(s / 3.4e38)",
                                         "s + 3e38 * (k - q)"};
    enum { NUMBERS = sizeof numbers / sizeof *numbers, SCORES = sizeof scores / sizeof *scores };
    int made = 0, refused = 0;
    for (int i = 0; i < NUMBERS * NUMBERS * SCORES; i++) {
        const char *scale = numbers[i % NUMBERS], *cap = numbers[i / NUMBERS % NUMBERS];
        const char *score = scores[i / NUMBERS / NUMBERS];
        if (*score && (i % NUMBERS + i / NUMBERS) % 3) continue; /* a third of these will do */
        arena *a = arena_new();
        diag d = {0};
        spec_input in[5] = {flag(a, "heads", "2"), flag(a, "head_dim", "8")};
        int count = 2;
        if (*scale) in[count++] = flag(a, "scale", scale);
        if (*cap) in[count++] = flag(a, "softcap", cap);
        if (*score) in[count++] = flag(a, "score", score);
        spec_input all[6];
        memcpy(all, in, sizeof in);
        if (*score) all[count++] = flag(a, "backend", "flex");
        const bool ok = renders(a, all, count, &d);
        made += ok;
        refused += !ok;
        cr_expect(ok || strstr(d.text, "scale") || strstr(d.text, "softcap"), "%s", d.text);
        arena_free(a);
    }
    cr_expect_gt(made, 80);
    cr_expect_gt(refused, 80);
}

Test(extremes, rope) {
    static const char *const bases[] = {"1e38", "1", "0.5", "1.2e-38", "10000", "0", "-1"};
    static const char *const factors[] = {"1", "1e38", "4", "0.5"};
    static const char *const kinds[] = {"linear", "llama3", "yarn"};
    int made = 0;
    for (int i = 0; i < 7 * 4 * 3; i++) {
        arena *a = arena_new();
        diag d = {0};
        spec_input in[] = {flag(a, "heads", "2"),
                           flag(a, "level", "block"),
                           flag(a, "d_model", "16"),
                           flag(a, "rope_base", bases[i % 7]),
                           flag(a, "rope_factor", factors[i / 7 % 4]),
                           flag(a, "rope_scaling", kinds[i / 28]),
                           flag(a, "rope_original", "2048")};
        const int count = strcmp(kinds[i / 28], "linear") ? 7 : 6;
        const bool ok = renders(a, in, count, &d);
        made += ok;
        cr_expect(ok || strstr(d.text, "rope_"), "%s", d.text);
        arena_free(a);
    }
    cr_expect_gt(made, 20);
}
