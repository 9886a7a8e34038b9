/* mutations.c - the comparison can fail: a kernel made from a slightly changed spec, or whose code
 * is slightly changed, in the place of the right one, must be noticed. Code of instruction sets
 * that this CPU has not is rendered alone, so that a line which has gone is noticed everywhere. */
#include "plan/isa.h"
#include "output/emit.h"
#include "property.h"
#include "lab/oracle.h"
#include <stdio.h>
#include <string.h>

/* The spec that is asked for, and the one that the kernel's code is made from; or what is changed
 * in its text. isa: whose code; portable where nothing is said. Names of specs differ. sums: in
 * long key blocks, and long sums are to notice it. */
typedef struct mutation {
    const char *name, *fields, *changed, *from, *to;
    attn_isa isa;
    bool sums;
} mutation;

#define LATENT "form=mla;key=shared;heads=5;retr_dim=32;kv_comp_dim=64;scale=0.2;type=f16"
#define CODES "heads=4;kv_heads=2;head_dim=24;kv_type=i8;dot=f32"
/* A scale of 0.02 leaves the rounding of q little room. D differs, so that each has a kernel. */
#define HALVES(D) "heads=4;kv_heads=2;type=f16;head_dim=" #D
#define UPPER(D) "heads=4;kv_heads=2;kv_type=bf16;head_dim=" #D
#define PAIRS(D) "heads=4;kv_heads=2;type=bf16;dot=bf16;scale=0.02;head_dim=" #D
#define WORDS(D) "heads=4;kv_heads=2;kv_type=i8;scale=0.02;head_dim=" #D
#define BYTES(D) "heads=4;kv_heads=2;kv_type=i8;dot=i8;scale=0.02;head_dim=" #D
/* Windows begin at keys of either parity: with full_self no first key is a second half. */
#define WINDOW(D) "op=sliding_self;window=37;" PAIRS(D)
#define SUMS(D) "heads=1;causal=false;head_dim=" #D
#define TEXT(FIELDS) FIELDS, FIELDS

/* Not here, as they change no result: all of a row's numbers a little larger where pack_codes looks
 * for the largest, since the unit grows as codes shrink; other bits than 0 in the half of a pair
 * behind the last column of K, for Q's half there is 0 (and where these bits are NaN, so is the
 * row, which then is computed in double). */

static const mutation mutations[] = {
    {"scale", "heads=2;head_dim=32;scale=0.28125", "heads=2;head_dim=32;scale=0.2815"},
    {"softcap", "heads=2;head_dim=24;softcap=1.375", "heads=2;head_dim=24;softcap=1.376"},
    {"causal", "heads=2;head_dim=16", "heads=2;head_dim=16;causal=false"},
    {"window", "op=sliding_self;heads=2;head_dim=16;window=37",
     "op=sliding_self;heads=2;head_dim=16;window=38"},
    {"right window", "op=sliding_self;heads=1;head_dim=8;causal=false;window=9;right_window=5",
     "op=sliding_self;heads=1;head_dim=8;causal=false;window=9;right_window=4"},
    {"lookback", "op=segment_cross;heads=2;head_dim=16;lookback=3",
     "op=segment_cross;heads=2;head_dim=16;lookback=4"},
    {"key head", "heads=4;kv_heads=4;v_heads=2;head_dim=8",
     "heads=4;kv_heads=2;v_heads=2;head_dim=8"},
    {"sinks", "heads=2;head_dim=12;sinks=true", "heads=2;head_dim=12"},
    {"score", "backend=flex;heads=2;head_dim=32;score=s + 0.40625 * (k % 3)",
     "backend=flex;heads=2;head_dim=32;score=s + 0.4063 * (k % 3)"},
    {"score's sum", "backend=flex;heads=2;head_dim=16;score=s + 0.25",
     "backend=flex;heads=2;head_dim=16;score=s + 0.2501"},
    {"mask", "backend=flex;heads=2;head_dim=24;causal=false;mask=(q + k) * 37 % 1511 < 777",
     "backend=flex;heads=2;head_dim=24;causal=false;mask=(q + k) * 37 % 1511 < 770"},
    {"affine mask", "backend=flex;heads=2;head_dim=8;causal=false;mask=k <= q + 7",
     "backend=flex;heads=2;head_dim=8;causal=false;mask=k <= q + 6"},
    {"a key too far, widened ahead", LATENT, LATENT, "(wanted ? next : key) + i;",
     "(wanted ? next + 1 : key) + i;"},
    {"a key's scale", CODES, CODES, "from, float scale) {\n    const vf factor = vf_set1(scale);",
     "from, float scale) {\n    const vf factor = vf_set1(1.0001f * scale);"},
    {"O's rounding to f16", TEXT(HALVES(24)), "vf_storeu_f16(to + c, vf_mul(vf_load(o + c), f))",
     "vf_storeu_f16(to + c, vf_mul(vf_load(o + c), vf_mul(vf_set1(1.001f), f)))"},
    {"a dot product's keys in f16", TEXT(HALVES(32)), "const vf b0 = vf_loadu_f16(k0 + d);",
     "const vf b0 = vf_mul(vf_set1(1.0001f), vf_loadu_f16(k0 + d));", ATTN_ISA_AVX2},
    {"values in bf16 that are widened", TEXT(UPPER(40)), "vf_loadu_bf16(from + d)",
     "vf_mul(vf_set1(1.0001f), vf_loadu_bf16(from + d))", ATTN_ISA_AVX2},
    {"the end of a row of Q in codes", TEXT(WORDS(16)), "vf_loadn(row + d, D - d)",
     "vf_loadn(row + d, D - d - 1)", ATTN_ISA_AVX512VNNI},
    {"an item's own lists", TEXT("heads=4;kv_heads=2;head_dim=28;select=index"),
     "attn_index_of(args, x->b, ",
     "attn_index_of(args, args->q_begin && args->index_by_item ? 0 : x->b, "},
    {"half of an item's own lists in pages",
     TEXT("heads=4;kv_heads=2;head_dim=36;select=index;layout=paged;page=16"),
     "*attn_index_count(args, x->b, i)",
     "*attn_index_count(args, x->b, i) / (args->q_begin && args->index_by_item ? 2 : 1)"},
    {"Q in 8 bits for dot = i16", TEXT(WORDS(24)), "= (int16_t)code[i], sum",
     "= (int16_t)(code[i] & -256), sum", ATTN_ISA_AVX512VNNI},
    {"P's upper byte", TEXT(WORDS(32)), "vi_shl(o0_1_0, vi_set1(8))", "vi_shl(o0_1_0, vi_set1(7))",
     ATTN_ISA_AVX512VNNI},
    {"P's lower byte", TEXT(WORDS(40)), "vi_key_bytes(u, ", "vi_key_bytes(high, ",
     ATTN_ISA_AVX512VNNI},
    {"values of negative scales", TEXT(WORDS(48)), "(w, n, -1);", "(w, n, 1);",
     ATTN_ISA_AVX512VNNI},
    {"the offset of codes of i8", TEXT(BYTES(24)), "128 * sum", "127 * sum", ATTN_ISA_AVX512VNNI},
    {"a unit of codes of i8", TEXT(BYTES(32)), "t->unit[r] = ordinary ? unit",
     "t->unit[r] = ordinary ? 1.1f * unit", ATTN_ISA_AVX512VNNI},
    {"an odd column of woven values", TEXT(BYTES(72)), "const vi r[4] = {vi_bytes(row[0] + c)",
     "const vi r[4] = {vi_bytes(row[1] + c)", ATTN_ISA_AVX512VNNI},
    {"the last column, half of a pair", TEXT(PAIRS(33)),
     "memset((char *)to + sizeof(*from) * D, 0, ",
     "memset((char *)to + sizeof(*from) * (D - 1), 0, 2 * ", ATTN_ISA_AVX512BF16},
    {"P's lower byte", TEXT(WORDS(40)), "vi_key_bytes(u, ", "vi_key_bytes(high, ",
     ATTN_ISA_AVXVNNI},
    {"an odd column of woven values", TEXT(BYTES(72)), "const vi r[4] = {vi_bytes(row[0] + c)",
     "const vi r[4] = {vi_bytes(row[1] + c)", ATTN_ISA_AVXVNNI},
    {"values of second keys", TEXT(PAIRS(40)), "vi_set1(16 * second)", "vi_set1(0 * second)",
     ATTN_ISA_AVX512BF16},
    {"the other half of a pair of values", TEXT(PAIRS(48)), "other ? vf_loadu(to) : vf_zero()",
     "other ? vf_zero() : vf_zero()", ATTN_ISA_AVX512BF16},
    {"P of a first key that is a second half", TEXT(WINDOW(56)), "for (int32_t key = -skip,",
     "for (int32_t key = 0 * skip,", ATTN_ISA_AVX512BF16},
    {"Q in pairs", TEXT(PAIRS(64)), "vf_pairs(vf_mul(c[i], scale), vf_mul(c[i + 1], scale))",
     "vf_pairs(vf_mul(c[i], scale), vf_mul(c[i], scale))", ATTN_ISA_AVX512BF16},
    {"a sum of P, on its way to l", TEXT(SUMS(24)), "add_exactly(&l[0], &lost[0], sum[0]);",
     "add_exactly(&l[0], &lost[0], vf_zero());"},
    {"what additions to l round off", TEXT(SUMS(32)), "*lost = vf_sub(y, vf_sub(s, *sum));",
     "*lost = vf_zero();", .sums = true},
    {"when a tile's sum is kept", TEXT(SUMS(48)), "k0 - t->span >= SPAN", "k0 < 0", .sums = true},
    {"how many sums of P are added up", TEXT(SUMS(40)), "min32(key + 48, end);", "max32(0, end);",
     .sums = true},
};
enum { MUTATIONS = sizeof mutations / sizeof *mutations };

enum { PROBLEMS = 60 }; /* few are of the kind that a mutation needs */

static const char spec_start[] = "static const attn_spec ";

/* Those of one instruction set. */
typedef struct mutants {
    attn_isa isa;
    const mutation *of[MUTATIONS];
    int count;
    kernel_spec kernel[MUTATIONS], changed[MUTATIONS];
    built right[MUTATIONS], wrong[MUTATIONS];
    bool made[MUTATIONS];
    diag d;
} mutants;

static char *replace_all(arena *a, const char *text, const char *from, const char *to) {
    buf b = buf_new(a);
    size_t n = strlen(from);
    for (const char *hit; (hit = strstr(text, from)) != NULL; text = hit + n) {
        buf_add(&b, text, (size_t)(hit - text));
        buf_puts(&b, to);
    }
    buf_puts(&b, text);
    return b.data;
}

/* The kernel file of a spec: NAME__ISA_TILE.c. */
static bool is_kernel_file(const gen_file *f, const kernel_spec *k) {
    size_t n = strlen(k->name), length = strlen(f->path);
    return strncmp(f->path, k->name, n) == 0 && strncmp(f->path + n, "__", 2) == 0 &&
           strcmp(f->path + length - 2, ".c") == 0;
}

static gen_file *render(arena *a, kernel_spec *k, attn_isa isa, diag *d) {
    int layer = 0;
    model m = {"changed", 1, &layer, 1, k};
    gen_options o = {.isa_mask = 1u << isa};
    gen_files files;
    const product_list p = products_make(a, &m, &o);
    if (!gen_render(a, &p, &files, d)) return NULL;
    for (int i = 0; i < files.count; i++)
        if (is_kernel_file(&files.file[i], k)) return &files.file[i];
    return NULL;
}

static const char *symbol_of(arena *a, const gen_file *f) {
    return arena_strndup(a, f->path, strlen(f->path) - 2);
}

/* What a file's statics begin with, as its banner says. */
static const char *prefix_of(arena *a, const char *text) {
    static const char words[] = "Statics begin with ";
    const char *at = strstr(text, words);
    at = at ? at + strlen(words) : "";
    return arena_strndup(a, at, strcspn(at, "."));
}

/* The changed kernel's code, under the right one's name and declared spec. */
static const char *code_of_changed(arena *a, mutants *m, int n, const gen_file *f) {
    const gen_file *changed = render(a, &m->changed[n], m->isa, &m->d);
    const char *code = changed ? changed->text : NULL;
    const char *end = code ? strstr(code, spec_start) : NULL;
    const char *spec = strstr(f->text, spec_start);
    if (!end || !spec) return NULL;
    code = arena_strndup(a, code, (size_t)(end - code));
    /* A name may begin with the other: whole symbols step aside meanwhile. */
    code = replace_all(a, code, symbol_of(a, changed), "\1");
    code = replace_all(a, code, m->changed[n].name, m->kernel[n].name);
    code = replace_all(a, code, "\1", symbol_of(a, f));
    code = replace_all(a, code, prefix_of(a, code), prefix_of(a, f->text));
    return arena_printf(a, "%s%s", code, spec);
}

static void mutate_file(arena *a, mutants *m, int n, gen_file *f) {
    const mutation *t = m->of[n];
    const char *text = NULL;
    if (!t->from)
        text = code_of_changed(a, m, n, f);
    else if (strstr(f->text, t->from))
        text = replace_all(a, f->text, t->from, t->to);
    if (!text) return;
    f->text = text;
    m->made[n] = true;
}

static void mutate(arena *a, gen_files *files, void *ctx) {
    mutants *m = ctx;
    for (int i = 0; i < files->count; i++)
        for (int n = 0; n < m->count; n++)
            if (is_kernel_file(&files->file[i], &m->kernel[n]))
                mutate_file(a, m, n, &files->file[i]);
}

/* Null, or what the oracle says against the kernel in the library. */
static const char *judge(arena *a, const mutants *m, int n, const built *b) {
    const kernel_spec *kernel = &m->kernel[n];
    const attn_isa isa = m->isa;
    if (m->of[n]->sums) return property_judge_sums(a, kernel, isa, b);
    static const property_spec row = {0};
    rng r = {42};
    const char *why = b->error, *text;
    attn_plan *plan = why ? NULL : build_plan(a, b->lib, kernel, (int)isa, 0, &why);
    for (int i = 0; plan && !why && i < PROBLEMS; i++) {
        call c;
        oracle want;
        long compared = 0;
        double worst = 0;
        property_problem(a, &row, kernel, &r, i, 4e6, &c, &text);
        attn_args dense = call_dense_args(&c);
        oracle_run(a, kernel, &dense, &want);
        placement p = property_placement(&r, 1);
        outcome got = call_run(a, b->lib, plan, &c, &p);
        if (got.status == ATTN_OK)
            why = property_compare(a, &c, &want, &got, &compared, &worst);
        else
            why = b->lib->status_text(got.status);
    }
    if (plan) b->lib->plan_destroy(plan);
    return why;
}

static bool collect(arena *a, mutants *m) {
    for (int i = 0; i < MUTATIONS; i++) {
        const mutation *t = &mutations[i];
        if (t->isa != m->isa) continue;
        m->of[m->count] = t;
        if (!property_try(a, t->name, t->fields, &m->kernel[m->count], &m->d)) return false;
        if (!property_try(a, t->name, t->changed, &m->changed[m->count], &m->d)) return false;
        m->count++;
    }
    return true;
}

/* Their code alone: whether it can be changed still. */
static void render_all(arena *a, mutants *m) {
    for (int n = 0; n < m->count; n++) {
        gen_file *f = render(a, &m->kernel[n], m->isa, &m->d);
        if (f) mutate_file(a, m, n, f);
    }
}

static void build_all(arena *a, mutants *m, const property_options *o) {
    build_options build = o->build;
    build.isa_mask = 1u << m->isa;
    const kernel_spec *sums[MUTATIONS];
    int count = 0;
    for (int n = 0; n < m->count; n++)
        if (m->of[n]->sums) sums[count++] = &m->kernel[n];
    build.tune = property_long_blocks(a, sums, count);
    build_kernels(a, m->kernel, m->count, &build, m->right);
    build.edit = mutate;
    build.edit_ctx = m;
    build_kernels(a, m->kernel, m->count, &build, m->wrong);
}

/* Null, or what is wrong with it. */
static const char *verdict(arena *a, const mutants *m, int n) {
    const char *why = judge(a, m, n, &m->right[n]);
    if (why) return arena_printf(a, "fails unchanged: %s", why);
    if (m->wrong[n].error) return m->wrong[n].error;
    return judge(a, m, n, &m->wrong[n]) ? NULL : "nobody noticed it";
}

/* Failures of those of one instruction set; *skipped += those that could not run. */
static int run_isa(attn_isa isa, const property_options *o, int *skipped) {
    arena *a = arena_new();
    mutants *m = arena_alloc(a, sizeof *m);
    m->isa = isa;
    const bool runs = o->isa_mask >> isa & 1;
    int failures = !collect(a, m);
    if (!failures && runs) build_all(a, m, o);
    if (!failures && !runs) render_all(a, m);
    for (int n = 0; n < m->count; n++) {
        const char *why = "its line is not in the code any more";
        if (m->made[n]) why = runs ? verdict(a, m, n) : NULL;
        if (why) printf("FAIL changed %s, %s: %s\n", m->of[n]->name, isa_table[isa].name, why);
        if (!why && !runs)
            printf("skipped changed %s: %s is not run here\n", m->of[n]->name, isa_table[isa].name);
        if (o->verbose && !why && runs)
            printf("%s, %s: noticed\n", m->of[n]->name, isa_table[isa].name);
        failures += why != NULL;
        *skipped += !why && !runs;
    }
    if (m->d.set) printf("FAIL mutations: %s\n", m->d.text), failures += !failures;
    arena_free(a);
    return failures;
}

int property_mutations(const property_options *o) {
    int failures = 0, skipped = 0;
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) failures += run_isa((attn_isa)isa, o, &skipped);
    printf("property: %d mutations, %d unnoticed or wrong, %d skipped\n", MUTATIONS - skipped,
           failures, skipped);
    return failures;
}
