/* workspaces.c - the plan's figure of a workspace, which explain prints, against what the layout()
 * of the generated file answers: every kernel of the catalog, tiles that each row places by itself,
 * and extents at the borders of variants, blocks, parts and threads. */
#include "embedded.h"
#include "plan/plan.h"
#include "property.h"
#include <limits.h>
#include <stdio.h>

enum { MORE = 2 };
static const char *const more[MORE] = {
    "op=segment_cross;heads=4;kv_heads=2;head_dim=20;lookback=20",
    "backend=flex;heads=4;kv_heads=2;head_dim=20;causal=false;mask=doc[k] == doc[q];"
    "tensor=doc=i32[kv_len]",
};

static const int32_t batches[] = {0, 1, 3};
static const int32_t threads[] = {0, 1, 5, 1000};
static const int32_t keys[] = {0, 1, 100, 513, 5000, INT32_MAX};

typedef struct figures {
    const kernel_lib *lib;
    const attn_plan *run;
    const plan *planned;
    const kernel_spec *spec;
    int checks, failures;
} figures;

static void compare(figures *f, int32_t batch, int32_t q_len, int32_t kv_len, int32_t team) {
    const attn_extent e = {sizeof e, batch, q_len, kv_len, team, 0};
    size_t need = SIZE_MAX; /* as where 64 bits do not hold it */
    const attn_status status = f->lib->workspace(f->run, &e, &need);
    const uint64_t figure = plan_workspace(f->planned, f->spec, batch, q_len, kv_len, team);
    f->checks++;
    if (status == ATTN_OK ? figure == need : figure > SIZE_MAX / 2) return;
    if (f->failures++ < 5)
        printf("FAIL workspace of %s: %zu bytes, planned %llu, for B=%d Lq=%d Lk=%d threads=%d\n",
               f->planned->symbol, need, (unsigned long long)figure, batch, q_len, kv_len, team);
}

static void check_kernel(figures *f) {
    const plan *p = f->planned;
    int32_t rows[3 + 2 * PLAN_MAX_VARIANTS] = {0, 1, 200};
    int count = 3;
    for (int i = 0; i < p->variants; i++) /* the last of a variant, and the first of the next */
        if (p->variant[i].most_rows > 0)
            rows[count++] = p->variant[i].most_rows, rows[count++] = p->variant[i].most_rows + 1;
    for (int q = 0; q < count; q++)
        for (size_t b = 0; b < sizeof batches / sizeof *batches; b++)
            for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
                for (size_t t = 0; t < sizeof threads / sizeof *threads; t++)
                    compare(f, batches[b], rows[q], keys[k], threads[t]);
}

/* The kernels of the catalog, cores of layers among them, and more. Returns how many. Layers have
 * no planned figure. */
static int kernels_of(arena *a, kernel_spec **kernels) {
    static const char path[] = "gen/models/catalog.lua";
    model m;
    diag d = {0};
    if (!model_from_lua(a, path, embedded_find(path), &m, &d)) return 0;
    *kernels = arena_alloc(a, (size_t)(m.kernel_count + MORE) * sizeof **kernels);
    int count = 0;
    for (int i = 0; i < m.kernel_count; i++)
        if (m.kernels[i].core.level == ATTN_LEVEL_CORE) (*kernels)[count++] = m.kernels[i];
    for (int i = 0; i < MORE; i++)
        if (!property_try(a, arena_printf(a, "more %d", i), more[i], &(*kernels)[count++], &d))
            return 0;
    return count;
}

int property_workspaces(const property_options *o) {
    arena *a = arena_new();
    kernel_spec *kernels = NULL;
    build_options build = o->build;
    const int isa = 0; /* sizes of others are other numbers, not other code */
    const int count = kernels_of(a, &kernels);
    figures f = {.checks = 0};
    build.isa_mask = 1u << isa;
    build.cflags = arena_printf(a, "%s -O0", build.cflags);
    built *libs = arena_alloc(a, ((size_t)count + 1) * sizeof *libs);
    build_kernels(a, kernels, count, &build, libs);
    for (int i = 0; i < count; i++) {
        plan planned;
        const char *why = libs[i].error;
        plan_make(a, &kernels[i], &isa_table[isa], build.unroll, NULL, &planned);
        attn_plan *run = why ? NULL : build_plan(a, libs[i].lib, &kernels[i], isa, 0, &why);
        if (!run) printf("FAIL %s: %s\n", kernels[i].name, why);
        f.failures += !run;
        f.lib = libs[i].lib, f.run = run, f.planned = &planned, f.spec = &kernels[i];
        if (!run) continue;
        check_kernel(&f);
        f.lib->plan_destroy(run);
    }
    f.failures += count == 0;
    printf("property: %d status checks of workspaces, %d failed\n", f.checks, f.failures);
    arena_free(a);
    return f.failures;
}
