/* create.c - what plans are, of kernels that are never run: each allocation of the runtime's create
 * functions fails in turn: ATTN_E_MEMORY, a null result, and nothing kept. Linked with -Wl,--wrap
 * for malloc, calloc, realloc and free. */
#include "attn_kernel.h"
#include "spec.h"

#include <stdio.h>
#include <stdlib.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *p, size_t bytes);
void __real_free(void *p);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes);
void __wrap_free(void *p);

static int fail_at, asked, held;

static bool fails(void) {
    return ++asked == fail_at;
}

static void *hold(void *p) {
    held += p != NULL;
    return p;
}

void *__wrap_malloc(size_t bytes) {
    return fails() ? NULL : hold(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes) {
    return fails() ? NULL : hold(__real_calloc(count, bytes));
}

void *__wrap_realloc(void *p, size_t bytes) {
    if (fails()) return NULL;
    return p ? __real_realloc(p, bytes) : hold(__real_realloc(p, bytes));
}

void __wrap_free(void *p) {
    held -= p != NULL;
    __real_free(p);
}

/* Kernels that are never run. */
static attn_spec core_spec, layer_spec;

static const char *variant(int32_t q_len) { /* "backward" is none that this runtime knows */
    return q_len > 1 ? "prefill" : q_len == 1 ? "backward" : NULL;
}

static const attn_kernel core = {.abi = ATTN_KERNEL_ABI,
                                 .name = "core",
                                 .spec = &core_spec,
                                 .variant = variant,
                                 .arithmetic_ok = attn_arithmetic_ok};
static const attn_block_kernel layer = {.abi = ATTN_KERNEL_ABI,
                                        .name = "layer",
                                        .spec = &layer_spec,
                                        .core = &core,
                                        .expanded = &core,
                                        .arithmetic_ok = attn_arithmetic_ok};
static const attn_kernel *const kernels[] = {&core};
static const attn_block_kernel *const blocks[] = {&layer};
static const attn_registry registry = {
    .kernel = kernels, .kernels = 1, .block = blocks, .blocks = 1};
const char attn_registry_linked = 1;

static attn_status create(bool whole, void **out) {
    if (whole) return attn_block_create((attn_block **)out, &layer_spec, 0);
    return attn_plan_create((attn_plan **)out, &core_spec, 0);
}

/* The number of its allocations, or -1. */
static int check(bool whole) {
    for (fail_at = 1;; fail_at++) {
        void *made = &made;
        asked = held = 0;
        const attn_status status = create(whole, &made);
        const bool failed = asked >= fail_at;
        if (failed && (status != ATTN_E_MEMORY || made || held)) {
            printf("FAIL: create, allocation %d: status %d, %s result, %d allocations kept\n",
                   fail_at, (int)status, made ? "a" : "no", held);
            return -1;
        }
        if (failed) continue;
        if (status != ATTN_OK) {
            printf("FAIL: create: status %d with all its allocations\n", (int)status);
            return -1;
        }
        whole ? attn_block_destroy(made) : attn_plan_destroy(made);
        if (!held) return fail_at - 1;
        printf("FAIL: destroy keeps %d allocations\n", held);
        return -1;
    }
}

/* A kernel's variants are told by name; one that the runtime does not know, by the kernel's alone.
 */
static bool check_variants(void) {
    static const char *const want[] = {"core", "core", "core:prefill"};
    attn_plan *plan = NULL, *reference = NULL;
    fail_at = 0;
    bool ok = attn_plan_create(&plan, &core_spec, 0) == ATTN_OK &&
              attn_plan_create(&reference, &core_spec, ATTN_REFERENCE) == ATTN_OK;
    for (int32_t i = 0; ok && i < 3; i++) {
        const char *name = attn_plan_kernel(plan, i);
        ok = !strcmp(name, want[i]) && !strcmp(attn_plan_kernel(reference, i), "core:reference");
        if (!ok) printf("FAIL: variant of %d rows: %s\n", i, name);
    }
    attn_plan_destroy(plan);
    attn_plan_destroy(reference);
    return ok;
}

int main(void) {
    attn_registries = &registry;
    attn_spec_init(&core_spec);
    core_spec.heads = 2, core_spec.head_dim = 8;
    attn_spec_init(&layer_spec);
    layer_spec.level = ATTN_LEVEL_BLOCK, layer_spec.heads = 2, layer_spec.d_model = 16;
    if (attn_spec_resolve(&core_spec, NULL) || attn_spec_resolve(&layer_spec, NULL)) return 2;
    const int plan = check(false), block = check(true);
    const bool variants = check_variants();
    const bool ok = plan >= 1 && block >= 3 && variants; /* a layer has two plans */
    printf("create: allocations of a plan %d, of a layer %d, each failed\n", plan, block);
    printf("%d passed, %d failed\n", ok ? plan + block + 1 : 0, !ok);
    return !ok;
}
