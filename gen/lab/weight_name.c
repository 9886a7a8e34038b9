/* weight_name.c - canonical names of a layer's weights in case files. */
#include "cases.h"

#include <string.h>

/* Modules around a layer's weights, in any number and order. */
static const char *const modules[] = {"w.", "inner.", "block.", "attn.", "mla.", "mlp.0.", "ffn."};
/* The reference's names of projections and norms. */
static const char *const renamed[][2] = {
    {"ln1", "norm1"}, {"ln2", "norm2"}, {"proj", "o_proj"}, {"kv_comp", "kv_proj"}};

const char *block_weight_name(arena *a, const char *name) {
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        size_t n = strlen(modules[i]);
        if (strncmp(name, modules[i], n) != 0) continue;
        name += n;
        i = (size_t)-1; /* from the first again */
    }
    size_t stem = strcspn(name, ".");
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++)
        if (strlen(renamed[i][0]) == stem && strncmp(name, renamed[i][0], stem) == 0)
            return arena_printf(a, "%s%s", renamed[i][1], name + stem);
    return name;
}
