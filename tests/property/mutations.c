/* mutations.c - the comparison can fail: kernels with one changed constant must be noticed. */
#include "isa.h"
#include "property.h"
#include "verify/oracle.h"
#include <stdio.h>
#include <string.h>

/* A constant that the spec brings into the kernel's text, and what replaces it there. */
typedef struct mutation {
    const char *name, *fields, *from, *to;
} mutation;

static const mutation mutations[] = {
    {"scale", "heads=2;head_dim=32;scale=0.28125", "0x1.2p-2f", "0x1.21p-2f"},
    {"score constant", "backend=flex;heads=2;head_dim=32;score=s + 0.40625 * (k % 3)", "0x1.ap-2f",
     "0x1.a01p-2f"},
    {"mask constant", "backend=flex;heads=2;head_dim=32;causal=false;mask=(q + k * 3) % 1511 < 777",
     "777", "775"},
    {"softcap", "heads=2;head_dim=32;softcap=1.375", "0x1.6p+0f", "0x1.601p+0f"},
};
enum { MUTATIONS = sizeof mutations / sizeof *mutations };

/* Replaces from by to in the kernels' own files, and counts how often. */
typedef struct edit {
    const mutation *m;
    int count;
} edit;

static char *replaced(arena *a, const char *text, edit *e) {
    buf b = buf_new(a);
    size_t n = strlen(e->m->from);
    for (const char *hit; (hit = strstr(text, e->m->from)) != NULL; text = hit + n) {
        buf_add(&b, text, (size_t)(hit - text));
        buf_puts(&b, e->m->to);
        e->count++;
    }
    buf_puts(&b, text);
    return b.data;
}

/* Not in the spec that the kernel declares: the runtime must still find it. */
static bool is_kernel(const gen_file *f) {
    size_t n = strlen(f->path);
    return n > 2 && strcmp(f->path + n - 2, ".c") == 0 && strstr(f->path, "__");
}

static void mutate(arena *a, gen_files *files, void *ctx) {
    edit *e = ctx;
    for (int i = 0; i < files->count; i++) {
        gen_file *f = &files->file[i];
        const char *spec = strstr(f->text, "static const attn_spec ");
        if (!is_kernel(f) || !spec) continue;
        const char *head = arena_strndup(a, f->text, (size_t)(spec - f->text));
        f->text = arena_printf(a, "%s%s", replaced(a, head, e), spec);
    }
}

/* Null, or why the kernel in the library is wrong. */
static const char *judge(arena *a, const kernel_spec *kernel, const built *b) {
    static const property_spec row = {0};
    rng r = {42};
    const char *why, *text;
    if (b->error) return b->error;
    for (int i = 0; i < 12; i++) {
        call c;
        oracle want;
        long compared = 0;
        double worst = 0;
        property_problem(a, &row, kernel, &r, i, 4e6, &c, &text);
        attn_args dense = call_dense_args(&c);
        oracle_run(a, kernel, &dense, &want);
        attn_plan *plan = build_plan(a, b->lib, kernel, ATTN_ISA_PORTABLE, 0, &why);
        if (!plan) return why;
        placement p = property_placement(&r, 1);
        outcome got = call_run(a, b->lib, plan, &c, &p);
        b->lib->plan_destroy(plan);
        if (got.status != ATTN_OK) return b->lib->status_text(got.status);
        why = property_compare(a, &c, &want, &got, &compared, &worst);
        if (why) return why;
    }
    return NULL;
}

/* 1 if the mutation goes unnoticed, or the original fails. */
static int run_mutation(const mutation *m, const build_options *build) {
    arena *a = arena_new();
    kernel_spec kernel;
    diag d = {0};
    built good, bad;
    edit e = {m, 0};
    const char *wrong = NULL;
    build_options o = *build;
    o.isa_mask = 1u << ATTN_ISA_PORTABLE;
    if (!property_try(a, m->name, m->fields, &kernel, &d)) wrong = d.text;
    if (!wrong) {
        build_kernels(a, &kernel, 1, &o, &good);
        wrong = judge(a, &kernel, &good);
    }
    if (!wrong) {
        o.edit = mutate;
        o.edit_ctx = &e;
        build_kernels(a, &kernel, 1, &o, &bad);
        if (bad.error)
            wrong = bad.error;
        else if (e.count == 0)
            wrong = arena_printf(a, "no %s in the kernel's text", m->from);
        else if (!judge(a, &kernel, &bad))
            wrong = "nobody noticed the change";
    }
    if (wrong) printf("FAIL mutation of %s: %s\n", m->name, wrong);
    arena_free(a);
    return wrong != NULL;
}

int property_mutations(const property_options *o) {
    int failures = 0;
    for (int i = 0; i < MUTATIONS; i++) failures += run_mutation(&mutations[i], &o->build);
    printf("property: %d mutations, %d unnoticed or wrong\n", MUTATIONS, failures);
    return failures;
}
