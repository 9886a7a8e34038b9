/* plans.c - plans of a few specs, for tests that call them with arguments of their own. */
#include "property.h"
#include <stdio.h>

const kernel_lib *property_plans(arena *a, const char *test, const build_options *build,
                                 const char *const *fields, int count, kernel_spec *spec,
                                 attn_plan **plan) {
    built *b = arena_alloc(a, (size_t)count * sizeof *b);
    build_options portable = *build;
    diag d = {0};
    portable.isa_mask = 1u << ATTN_ISA_PORTABLE;
    for (int k = 0; k < count; k++)
        if (!property_try(a, test, fields[k], &spec[k], &d))
            return printf("FAIL %s\n", d.text), NULL;
    build_kernels(a, spec, count, &portable, b);
    for (int k = 0; k < count; k++) {
        const char *why = b[k].error;
        if (!why && b[k].lib != b[0].lib) why = "in another library";
        plan[k] = why ? NULL : build_plan(a, b[k].lib, &spec[k], ATTN_ISA_PORTABLE, 0, &why);
        if (!plan[k]) return printf("FAIL %s: %s\n", fields[k], why), NULL;
    }
    return b[0].lib;
}
