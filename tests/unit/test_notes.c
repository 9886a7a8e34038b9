/* Notes of plans, which banners and explain print: a kernel's are of the variants that it has. */
#include "output/product.h"
#include "plan/plan.h"

#include <criterion/criterion.h>
#include <string.h>

static const char model_text[] =
    "local function cross(fields)\n"
    "  fields.op, fields.heads, fields.head_dim = 'segment_cross', 2, 24\n"
    "  return fields\n"
    "end\n"
    "return { layers = {\n"
    "  cross { lookback = 3 }, cross { lookback = 2, softcap = 30 },\n"
    "  cross { backend = 'flex', score = '2 * s + k', mask = 'k % 2 == 0' },\n"
    "  cross { backend = 'flex', lookback = 1, score = 'tanh(s)' },\n"
    "  cross { lookback = 400 }, { heads = 2, head_dim = 24 } } }\n";

enum { GATHERED = 4 }; /* the others go by tiles */

static const char *const notes[GATHERED][4] = {
    {"gather: a row sees at most 4 keys, so each is one dot product; no tiles, no packing, no "
     "workspace but a row of scores",
     "softmax: over all keys of a row at once",
     "scores: scale * log2(e) is folded into the factor of a product; exp is exp2"},
    {"gather: a row sees at most 3 keys, so each is one dot product; no tiles, no packing, no "
     "workspace but a row of scores",
     "softmax: over all keys of a row at once",
     "scores: the scale is folded into the factor of a product; every score is changed before the "
     "softmax"},
    {"gather: a row sees at most 1 key, so each is one dot product; no tiles, no packing, no "
     "workspace but a row of scores",
     "mask: asked about each key that a row reads; no mask tensor exists",
     "softmax: over all keys of a row at once",
     "scores: constant factors, log2(e) among them, are folded into the factor of a product and "
     "into what is the same for all keys"},
    {"gather: a row sees at most 2 keys, so each is one dot product; no tiles, no packing, no "
     "workspace but a row of scores",
     "softmax: over all keys of a row at once",
     "scores: constant factors, log2(e) among them, are folded into the factor of a product and "
     "into what is the same for all keys"},
};

static bool says(const plan *p, const char *what) {
    for (int i = 0; i < p->notes; i++)
        if (strstr(p->note[i], what)) return true;
    return false;
}

Test(notes, gather_kernels_say_what_they_do) {
    arena *a = arena_new();
    model m;
    diag d = {0};
    cr_assert(model_from_lua(a, "m.lua", model_text, &m, &d), "%s", d.text);
    cr_assert_eq(m.kernel_count, GATHERED + 2);
    for (int i = 0; i < m.kernel_count; i++)
        for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
            plan p;
            plan_make(a, &m.kernels[i], &isa_table[isa], 0, NULL, &p);
            const bool tiled = i >= GATHERED;
            static const char *const of_tiles[] = {
                "prefill:", "decode:", "unroll:", "maximum", "packed", "folded into Q"};
            for (size_t j = 0; j < sizeof of_tiles / sizeof *of_tiles; j++)
                cr_expect_eq(says(&p, of_tiles[j]), tiled, "kernel %d: %s", i, of_tiles[j]);
            cr_expect_eq(says(&p, "gather:"), !tiled);
            for (int j = 0; j < 4 && !tiled; j++) {
                const char *note = j < p.notes ? p.note[j] : "", *want = notes[i][j];
                cr_expect_str_eq(note, want ? want : "", "kernel %d, note %d: %s", i, j, note);
            }
        }
    arena_free(a);
}

/* Likewise pairs of bf16; no instruction set has kernels that are those of one it is like. */
Test(notes, pairs_are_said_where_they_are) {
    static const char text[] =
        "local function t(f) f.op = f.op or 'full_self' f.dot = f.dot or 'bf16' f.type = 'bf16' "
        "if not f.form then f.heads = 4 f.head_dim = 48 end return f end "
        "return { layers = { t{}, t{layout = 'paged'}, t{dot = 'f32'}, t{kv_type = 'f16'}, "
        "t{select = 'index'}, t{op = 'segment_cross'}, "
        "t{form = 'mla', heads = 4, key = 'shared', kv_comp_dim = 32, retr_dim = 16, scale = 1} } "
        "}";
    enum { PAIRS = 2 };
    arena *a = arena_new();
    model m;
    diag d = {0};
    cr_assert(model_from_lua(a, "m.lua", text, &m, &d), "%s", d.text);
    gen_options o = {.isa_mask = isa_all()};
    const product_list list = products_make(a, &m, &o);
    for (int i = 0; i < m.kernel_count; i++) {
        plan p;
        plan_make(a, &m.kernels[i], &isa_table[ATTN_ISA_AVX512BF16], 0, NULL, &p);
        cr_expect_eq(says(&p, "P are rounded to bf16"), i < PAIRS, "%s", m.kernels[i].name);
        plan_make(a, &m.kernels[i], &isa_table[ATTN_ISA_AVX512VNNI], 0, NULL, &p);
        cr_expect(!says(&p, "rounded to bf16"), "%s", m.kernels[i].name);
        cr_expect_eq(list.first[i + 1] - list.first[i], i < PAIRS ? 4 : 3, "%s", m.kernels[i].name);
    }
    arena_free(a);
}

/* Which of these kernels multiply integers where the CPU does: what the plan, its notes and the
 * list of products say. */
Test(notes, integers_are_said_where_they_are) {
    static const char text[] =
        "local function i8(op, heads, width, dot) return { op = op, heads = heads, kv_heads = 2, "
        "head_dim = width, kv_type = 'i8', dot = dot } end "
        "return { layers = { i8('full_self', 4, 48), i8('full_self', 4, 48, 'i8'), "
        "i8('full_self', 4, 640), i8('full_self', 4, 48, 'f32'), i8('full_self', 4, 2056), "
        "i8('full_self', 34, 48), i8('segment_cross', 4, 48), "
        "{ op = 'full_self', heads = 2, head_dim = 8 } } }";
    static const char *const codes[] = {"its largest to 32639", "its largest to 127",
                                        "its largest to 8191"};
    enum { INTEGER = sizeof codes / sizeof *codes };
    arena *a = arena_new();
    model m;
    diag d = {0};
    cr_assert(model_from_lua(a, "m.lua", text, &m, &d), "%s", d.text);
    for (int n = 0; n < 2 * m.kernel_count; n++) {
        plan p;
        const int i = n / 2;
        const isa_row *isa = &isa_table[n % 2 ? ATTN_ISA_AVXVNNI : ATTN_ISA_AVX512VNNI];
        plan_make(a, &m.kernels[i], isa, 0, NULL, &p);
        cr_expect_eq(plan_adds(a, &m.kernels[i], isa, isa->like, 0), i < INTEGER, "%s",
                     m.kernels[i].name);
        cr_expect_eq(says(&p, "summed in integers"), i < INTEGER, "%s", m.kernels[i].name);
        if (i < INTEGER) cr_expect(says(&p, codes[i]), "%s", m.kernels[i].name);
        plan_make(a, &m.kernels[i], isa->like, 0, NULL, &p);
        cr_expect(!says(&p, "integers"), "%s", m.kernels[i].name);
    }
    arena_free(a);
}
