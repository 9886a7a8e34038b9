/* build_has.c - apart from build.c, so that programs without its libraries can ask too. */
#include "build.h"
#include "plan/isa.h"
#include <stdlib.h>
#include <string.h>

bool build_has(arena *a, const kernel_lib *lib, const kernel_spec *kernel, int isa) {
    const char *own = arena_printf(a, "__%s_", isa_table[isa].name), *name = "";
    if (!isa_table[isa].like || !lib) return true;
    setenv("ATTN_ISA", isa_table[isa].name, 1);
    if (kernel->core.level == ATTN_LEVEL_BLOCK) {
        attn_block *block = NULL;
        if (lib->block_create(&block, &kernel->core, 0) == ATTN_OK) name = lib->block_name(block);
        const bool has = !*name || strstr(name, own);
        lib->block_destroy(block);
        return has;
    }
    attn_plan *plan = NULL;
    if (lib->plan_create(&plan, &kernel->core, 0) == ATTN_OK) name = lib->plan_kernel(plan, 1);
    const bool has = !*name || strstr(name, own); /* none: who asks for it will say why */
    lib->plan_destroy(plan);
    return has;
}
