/* mutations.c - the comparison can fail: a kernel made from a slightly changed spec, or whose code
 * is slightly changed, in the place of the right one, must be noticed. */
#include "plan/isa.h"
#include "output/emit.h"
#include "property.h"
#include "lab/oracle.h"
#include <stdio.h>
#include <string.h>

/* The spec that is asked for, and the one that the kernel's code is made from; or what is changed
 * in its text. */
typedef struct mutation {
    const char *name, *fields, *changed, *from, *to;
} mutation;

#define LATENT "form=mla;key=shared;heads=5;retr_dim=32;kv_comp_dim=64;scale=0.2;type=f16"
#define CODES "heads=4;kv_heads=2;head_dim=24;kv_type=i8;dot=f32"

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
};
enum { MUTATIONS = sizeof mutations / sizeof *mutations };

static const char spec_start[] = "static const attn_spec ";

typedef struct mutants {
    kernel_spec kernel[MUTATIONS], changed[MUTATIONS];
    built right[MUTATIONS], wrong[MUTATIONS];
    int replaced;
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

static const gen_file *render_changed(arena *a, kernel_spec *k, diag *d) {
    int layer = 0;
    model m = {"changed", 1, &layer, 1, k};
    gen_options o = {.isa_mask = 1u << ATTN_ISA_PORTABLE};
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
static void mutate(arena *a, gen_files *files, void *ctx) {
    mutants *m = ctx;
    for (int i = 0; i < files->count; i++)
        for (int n = 0; n < MUTATIONS; n++) {
            gen_file *f = &files->file[i];
            if (!is_kernel_file(f, &m->kernel[n])) continue;
            if (mutations[n].from) {
                m->replaced += strstr(f->text, mutations[n].from) != NULL;
                f->text = replace_all(a, f->text, mutations[n].from, mutations[n].to);
                continue;
            }
            const gen_file *changed = render_changed(a, &m->changed[n], &m->d);
            const char *code = changed ? changed->text : NULL;
            const char *end = code ? strstr(code, spec_start) : NULL;
            const char *spec = strstr(f->text, spec_start);
            if (!end || !spec) continue;
            code = arena_strndup(a, code, (size_t)(end - code));
            /* A name may begin with the other: whole symbols step aside meanwhile. */
            code = replace_all(a, code, symbol_of(a, changed), "\1");
            code = replace_all(a, code, m->changed[n].name, m->kernel[n].name);
            code = replace_all(a, code, "\1", symbol_of(a, f));
            code = replace_all(a, code, prefix_of(a, code), prefix_of(a, f->text));
            f->text = arena_printf(a, "%s%s", code, spec);
            m->replaced++;
        }
}

/* Null, or what the oracle says against the kernel in the library. */
static const char *judge(arena *a, const kernel_spec *kernel, const built *b) {
    static const property_spec row = {0};
    rng r = {42};
    const char *why = b->error, *text;
    attn_plan *plan = why ? NULL : build_plan(a, b->lib, kernel, ATTN_ISA_PORTABLE, 0, &why);
    for (int i = 0; plan && !why && i < 12; i++) {
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

static bool prepare(arena *a, mutants *m, const property_options *o) {
    build_options build = o->build;
    build.isa_mask = 1u << ATTN_ISA_PORTABLE;
    for (int n = 0; n < MUTATIONS; n++) {
        const mutation *t = &mutations[n];
        if (!property_try(a, t->name, t->fields, &m->kernel[n], &m->d)) return false;
        if (!property_try(a, t->name, t->changed, &m->changed[n], &m->d)) return false;
    }
    build_kernels(a, m->kernel, MUTATIONS, &build, m->right);
    build.edit = mutate;
    build.edit_ctx = m;
    build_kernels(a, m->kernel, MUTATIONS, &build, m->wrong);
    if (m->replaced >= MUTATIONS) return !m->d.set;
    return diag_set(&m->d, "only %d of %d kernels could be changed", m->replaced, MUTATIONS);
}

int property_mutations(const property_options *o) {
    arena *a = arena_new();
    mutants *m = arena_alloc(a, sizeof *m);
    int failures = 0;
    bool ready = prepare(a, m, o);
    if (!ready) printf("FAIL mutations: %s\n", m->d.text);
    for (int n = 0; ready && n < MUTATIONS; n++) {
        const char *why = judge(a, &m->kernel[n], &m->right[n]);
        const char *wrong = m->wrong[n].error;
        if (!why && !wrong && !judge(a, &m->kernel[n], &m->wrong[n])) wrong = "nobody noticed it";
        if (why)
            printf("FAIL %s, unchanged: %s\n", mutations[n].name, why);
        else if (wrong)
            printf("FAIL changed %s: %s\n", mutations[n].name, wrong);
        failures += why || wrong;
    }
    printf("property: %d mutations, %d unnoticed or wrong\n", MUTATIONS, failures);
    arena_free(a);
    return failures + !ready;
}
