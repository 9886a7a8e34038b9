/* Notes of plans, which banners and explain print: a kernel's are of the variants that it has. */
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
