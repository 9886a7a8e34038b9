/* choices.c - tune files that nobody measured: any choice of which a kernel can be made. */
#include "property.h"
#include <string.h>

/* A value that may be legal for a parameter, given those before it. */
static int some_value(rng *r, const plan_choice *c, const char *name) {
    const int block = c->key_block > 0 ? c->key_block : 96;
    if (!strcmp(name, "key_block")) return 8 * rng_int(r, 2, 25);
    if (!strcmp(name, "part_keys")) return block * rng_int(r, 1, 3);
    if (!strcmp(name, "dot_keys")) return 1 << rng_int(r, 0, 6);
    if (!strcmp(name, "unroll")) return rng_int(r, 1, 32) * (rng_chance(r, 50) ? 16 : 1);
    if (!strcmp(name, "decode_q")) return rng_int(r, 1, 40);
    if (!strcmp(name, "lazy")) return rng_int(r, 0, 1);
    if (!strcmp(name, "keys")) return rng_int(r, 1, 14);
    return rng_int(r, 0, 5);
}

static plan_choice some_choice(arena *a, const kernel_spec *k, int isa, rng *r, long *changed) {
    plan_choice c = plan_choice_none();
    plan own;
    plan_make(a, k, &isa_table[isa], 0, NULL, &own);
    for (int i = 0; i < PLAN_PARAMS; i++)
        for (int tries = 0; tries < 20; tries++) {
            plan_choice next = c;
            int wrong;
            const int value = some_value(r, &c, plan_params[i].name);
            if (value == plan_choice_get(&own.choice, i)) continue;
            plan_choice_set(&next, i, value);
            if (plan_check(a, k, &isa_table[isa], &next, &wrong)) continue;
            c = next;
            changed[i]++;
            break;
        }
    return c;
}

const tune_set *property_long_blocks(arena *a, const kernel_spec *const *kernels, int count) {
    tune_set *set = arena_alloc(a, sizeof *set);
    set->text = "";
    set->entry = arena_alloc(a, (size_t)(count * ATTN_ISA_COUNT + 1) * sizeof *set->entry);
    plan_choice c = plan_choice_none();
    c.key_block = 1024;
    for (int k = 0; k < count; k++)
        for (int isa = 0; isa < ATTN_ISA_COUNT; isa++)
            set->entry[set->count++] = (tune_entry){kernels[k]->name, (attn_isa)isa, c};
    return set;
}

const tune_set *property_choices(arena *a, const kernel_spec *kernels, int count, uint64_t seed,
                                 long *changed) {
    tune_set *set = arena_alloc(a, sizeof *set);
    set->text = "";
    set->entry = arena_alloc(a, (size_t)(count * ATTN_ISA_COUNT + 1) * sizeof *set->entry);
    for (int k = 0; k < count; k++)
        for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
            rng r = {hash64(kernels[k].name, strlen(kernels[k].name)) + 977 * seed + (uint64_t)isa};
            const plan_choice c = some_choice(a, &kernels[k], isa, &r, changed);
            set->entry[set->count++] = (tune_entry){kernels[k].name, (attn_isa)isa, c};
        }
    return set;
}
